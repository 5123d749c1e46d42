//! Whose turn it is: cases of several tables, side by side, as far as their claims allow.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::claim::Claim;

/// So many tables are open at the same time at most: each has a watch of its own.
const TABLE_COUNT_MAX: usize = 3;

/// One case, to be played once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// The table's place among the tables, and the case's in the table.
    pub table: usize,
    pub case: usize,
    pub attempt: Attempt,
    pub claim: Claim,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    First,
    /// Once more, alone.
    Second,
}

/// Who plays, and who waits.
pub(super) struct Board {
    /// In the order in which they begin where they may.
    waiting: Vec<Turn>,
    playing: Vec<Turn>,
    /// The tables that have begun and are not over.
    open: BTreeSet<usize>,
}

impl Board {
    /// What claims most goes first: later, all others would have to end for it. Then go the longest
    /// tables: many short ones end together.
    pub(super) fn new(mut waiting: Vec<Turn>) -> Self {
        let count = |turn: &Turn, all: &[Turn]| {
            all.iter().filter(|other| other.table == turn.table).count()
        };
        let all = waiting.clone();
        waiting.sort_by_cached_key(|turn| {
            (Reverse(turn.claim.width()), Reverse(count(turn, &all)), turn.table, turn.case)
        });
        Self { waiting, playing: Vec::new(), open: BTreeSet::new() }
    }

    /// The first turn that may begin beside those that play.
    pub(super) fn take(&mut self) -> Option<Turn> {
        let may_open = self.open.len() < TABLE_COUNT_MAX;
        let may_begin = |turn: &Turn| {
            (may_open || self.open.contains(&turn.table))
                && self.playing.iter().all(|other| other.claim.allows(&turn.claim))
        };
        let place = self.waiting.iter().position(may_begin)?;
        let turn = self.waiting.remove(place);
        self.open.insert(turn.table);
        self.playing.push(turn.clone());
        Some(turn)
    }

    /// It has been played. A wrong verdict may be the machine's doing (a container that took
    /// seconds to start, a neighbour): the case gets the lab for itself once.
    pub(super) fn end(&mut self, turn: &Turn, next: Next) -> Table {
        self.playing.retain(|other| other != turn);
        if next == Next::Again {
            let again = Turn { attempt: Attempt::Second, claim: Claim::Lab, ..turn.clone() };
            self.waiting.push(again);
        }
        if self.waiting.iter().chain(&self.playing).any(|other| other.table == turn.table) {
            return Table::Open;
        }
        self.open.remove(&turn.table);
        Table::Over
    }

    /// Nobody waits, so nobody else begins.
    pub(super) fn stop(&mut self) {
        self.waiting.clear();
    }

    /// Whether nothing plays and nothing will.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.playing.is_empty()
    }
}

/// Whether all of a table has been played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Open,
    Over,
}

/// What follows a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Again,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulate::case::Case;

    /// A case of this table that listens on this port; on none, it plays alone.
    fn turn(table: usize, case: usize, port: Option<u16>) -> Turn {
        let far_end = port.map_or_else(
            || "alone = true".to_owned(),
            |port| format!("far_end = {{ port = {port}, steps = [] }}"),
        );
        let text = format!("name = 'a case'\nverdict = 'high'\n{far_end}");
        let played: Case = toml::from_str(&text).expect("a case");
        Turn { table, case, attempt: Attempt::First, claim: Claim::of(&played) }
    }

    fn begun(board: &mut Board) -> Vec<usize> {
        std::iter::from_fn(|| board.take()).map(|turn| turn.case).collect()
    }

    #[test]
    fn what_has_something_in_common_waits_and_others_go_first() {
        let turns = vec![turn(0, 0, Some(80)), turn(0, 1, Some(80)), turn(0, 2, Some(81))];
        let mut board = Board::new(turns.clone());
        assert_eq!(begun(&mut board), [0, 2]);
        board.end(&turns[2], Next::Nothing);
        assert_eq!(begun(&mut board), [] as [usize; 0]);
        board.end(&turns[0], Next::Nothing);
        assert_eq!(begun(&mut board), [1]);
        assert!(!board.is_done());
        board.end(&turns[1], Next::Nothing);
        assert!(board.is_done());
    }

    #[test]
    fn what_plays_alone_begins_first_and_nothing_begins_beside_it() {
        let turns = vec![turn(0, 0, Some(80)), turn(0, 1, None), turn(0, 2, Some(81))];
        let mut board = Board::new(turns.clone());
        assert_eq!(begun(&mut board), [1]);
        board.end(&turns[1], Next::Nothing);
        assert_eq!(begun(&mut board), [0, 2]);
    }

    #[test]
    fn what_went_wrong_is_played_once_more_alone() {
        let turns = vec![turn(0, 0, Some(80)), turn(0, 1, Some(81)), turn(0, 2, Some(80))];
        let mut board = Board::new(turns.clone());
        assert_eq!(begun(&mut board), [0, 1]);
        assert_eq!(board.end(&turns[0], Next::Again), Table::Open);
        assert_eq!(begun(&mut board), [2]);
        board.end(&turns[1], Next::Nothing);
        assert_eq!(begun(&mut board), [] as [usize; 0]);
        assert_eq!(board.end(&turns[2], Next::Nothing), Table::Open);
        let again = board.take().expect("once more");
        assert_eq!((again.case, again.attempt), (0, Attempt::Second));
        assert_eq!(again.claim, Claim::Lab);
        assert_eq!(board.end(&again, Next::Nothing), Table::Over);
        assert!(board.is_done());
    }

    #[test]
    fn only_so_many_tables_are_open() {
        let turns: Vec<Turn> =
            (0..5).map(|table| turn(table, table, Some(80 + table as u16))).collect();
        let mut board = Board::new(turns.clone());
        assert_eq!(begun(&mut board), [0, 1, 2]);
        assert_eq!(board.end(&turns[1], Next::Nothing), Table::Over);
        assert_eq!(begun(&mut board), [3]);
    }

    #[test]
    fn the_longest_table_goes_first() {
        let mut turns: Vec<Turn> = vec![turn(0, 0, Some(80))];
        turns.extend([turn(1, 1, Some(81)), turn(1, 2, Some(82))]);
        assert_eq!(begun(&mut Board::new(turns)), [1, 2, 0]);
    }
}
