//! Whose turn it is: cases of several tables, side by side, as far as their claims allow.

use super::claim::Claim;

/// How many tables are played at the same time at most: each has a watch of its own.
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
    /// In the order of the tables.
    waiting: Vec<Turn>,
    playing: Vec<Turn>,
}

impl Board {
    pub(super) const fn new(waiting: Vec<Turn>) -> Self {
        Self { waiting, playing: Vec::new() }
    }

    /// The first turn that may begin beside those that play.
    pub(super) fn take(&mut self) -> Option<Turn> {
        let last = self.last_table();
        let may_begin = |turn: &Turn| {
            turn.table <= last && self.playing.iter().all(|other| other.claim.allows(&turn.claim))
        };
        let place = self.waiting.iter().position(may_begin)?;
        let turn = self.waiting.remove(place);
        self.playing.push(turn.clone());
        Some(turn)
    }

    /// It has been played. A wrong verdict may be the machine's doing (a container that took
    /// seconds to start, a neighbour): the case gets the lab for itself once.
    pub(super) fn end(&mut self, turn: &Turn, next: Next) {
        self.playing.retain(|other| other != turn);
        if next == Next::Again {
            let place = self.waiting.partition_point(|other| other.table < turn.table);
            let again = Turn { attempt: Attempt::Second, claim: Claim::Lab, ..turn.clone() };
            self.waiting.insert(place, again);
        }
    }

    /// Nobody waits, so nobody else begins.
    pub(super) fn stop(&mut self) {
        self.waiting.clear();
    }

    /// Whether nothing plays and nothing will.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.playing.is_empty()
    }

    /// Whether all of a table has been played.
    pub(super) fn is_over(&self, table: usize) -> bool {
        self.waiting.iter().chain(&self.playing).all(|turn| turn.table != table)
    }

    /// The last table that may be played now: tables begin one after the other.
    fn last_table(&self) -> usize {
        let mut tables: Vec<usize> =
            self.waiting.iter().chain(&self.playing).map(|turn| turn.table).collect();
        tables.sort_unstable();
        tables.dedup();
        tables.into_iter().take(TABLE_COUNT_MAX).last().unwrap_or_default()
    }
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
    fn what_plays_alone_begins_when_nothing_plays_and_nothing_begins_beside_it() {
        let turns = vec![turn(0, 0, Some(80)), turn(0, 1, None), turn(0, 2, Some(81))];
        let mut board = Board::new(turns.clone());
        assert_eq!(begun(&mut board), [0, 2]);
        board.end(&turns[0], Next::Nothing);
        assert_eq!(begun(&mut board), [] as [usize; 0]);
        board.end(&turns[2], Next::Nothing);
        assert_eq!(begun(&mut board), [1]);
    }

    #[test]
    fn what_went_wrong_is_played_once_more_alone() {
        let turns = vec![turn(0, 0, Some(80)), turn(0, 1, Some(81)), turn(0, 2, Some(80))];
        let mut board = Board::new(turns.clone());
        assert_eq!(begun(&mut board), [0, 1]);
        board.end(&turns[0], Next::Again);
        assert!(!board.is_over(0));
        assert_eq!(begun(&mut board), [2]);
        board.end(&turns[1], Next::Nothing);
        board.end(&turns[2], Next::Nothing);
        let again = board.take().expect("once more");
        assert_eq!((again.case, again.attempt), (0, Attempt::Second));
        assert_eq!(again.claim, Claim::Lab);
        board.end(&again, Next::Nothing);
        assert!(board.is_over(0) && board.is_done());
    }

    #[test]
    fn tables_begin_one_after_the_other() {
        let turns: Vec<Turn> =
            (0..5).map(|table| turn(table, table, Some(80 + table as u16))).collect();
        let mut board = Board::new(turns.clone());
        assert_eq!(begun(&mut board), [0, 1, 2]);
        board.end(&turns[1], Next::Nothing);
        assert_eq!(begun(&mut board), [3]);
    }
}
