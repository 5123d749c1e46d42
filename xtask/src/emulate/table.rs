//! Plays tables: cases side by side, each table with a watch of its own, its rows printed together
//! and in the table's order.

use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::board::{self, Attempt, Board, Next, Turn};
use super::case::{Attack, Case};
use super::claim::Claim;
use super::own::Own;
use super::played::{self, Row};
use super::watch::Watch;
use crate::lab::Lab;

/// One strategy's cases, or some of them.
pub(super) struct Table {
    pub strategy: String,
    pub attack: Attack,
    /// Which cases are played, by their place.
    pub chosen: Vec<usize>,
}

impl Table {
    /// Those that are played, in the table's order.
    pub(super) fn cases(&self) -> impl Iterator<Item = &Case> {
        self.chosen.iter().filter_map(|&place| self.attack.case.get(place))
    }

    fn case(&self, place: usize) -> Result<&Case> {
        self.attack.case.get(place).context("the table's own case")
    }
}

/// How far a table has come.
#[derive(Default)]
struct Progress {
    began: Option<Instant>,
    watch: Option<Arc<Watch>>,
    /// What was said of a case, both times where it was played twice.
    rows: Vec<(usize, String)>,
    passed: usize,
    failed: usize,
}

struct Play<'a> {
    lab: &'a Lab,
    tables: &'a [Table],
    progress: Vec<Mutex<Progress>>,
    board: Mutex<Board>,
    ended: Condvar,
    /// What went so wrong that there is no verdict.
    errors: Mutex<Vec<anyhow::Error>>,
}

/// Plays all of them, on so many lanes.
pub(super) fn play(lab: &Lab, tables: &[Table], lanes: usize) -> Result<()> {
    let play = Play {
        lab,
        tables,
        progress: tables.iter().map(|_| Mutex::default()).collect(),
        board: Mutex::new(Board::new(turns(tables)?)),
        ended: Condvar::new(),
        errors: Mutex::default(),
    };
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| play.lane());
        }
    });
    let errors = play.errors.into_inner().unwrap_or_else(PoisonError::into_inner);
    // The first is why there are others.
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    let mut wrong = Vec::new();
    for (table, progress) in tables.iter().zip(play.progress) {
        let failed = progress.into_inner().unwrap_or_else(PoisonError::into_inner).failed;
        if failed > 0 {
            wrong.push(format!("{failed} of {}", table.strategy));
        }
    }
    if !wrong.is_empty() {
        bail!("verdicts are not as they should be: {}", wrong.join(", "));
    }
    Ok(())
}

fn turns(tables: &[Table]) -> Result<Vec<Turn>> {
    let mut turns = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        for &place in &table.chosen {
            let claim = Claim::of(table.case(place)?);
            turns.push(Turn { table: number, case: place, attempt: Attempt::First, claim });
        }
    }
    Ok(turns)
}

impl Play<'_> {
    /// Takes one turn after the other until there are none.
    fn lane(&self) {
        while let Some(turn) = self.next() {
            let next = self.turn(&turn).unwrap_or_else(|error| {
                locked(&self.errors).push(error);
                locked(&self.board).stop();
                Next::Nothing
            });
            let mut board = locked(&self.board);
            let state = board.end(&turn, next);
            drop(board);
            self.ended.notify_all();
            if state == board::Table::Over
                && let Err(error) = self.print(turn.table)
            {
                locked(&self.errors).push(error);
            }
        }
    }

    /// Waits for a turn that may begin.
    fn next(&self) -> Option<Turn> {
        let mut board = locked(&self.board);
        loop {
            if board.is_done() {
                return None;
            }
            if let Some(turn) = board.take() {
                return Some(turn);
            }
            board = self.ended.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn turn(&self, turn: &Turn) -> Result<Next> {
        let table = self.tables.get(turn.table).context("the turn's table")?;
        let progress = self.progress.get(turn.table).context("the turn's table")?;
        let case = table.case(turn.case)?;
        let watch = {
            let mut progress = locked(progress);
            progress.began.get_or_insert_with(Instant::now);
            match &progress.watch {
                Some(watch) => Arc::clone(watch),
                None => {
                    let host = &self.lab.engine.host;
                    let watch = Arc::new(Watch::start_at(host, None, &table.attack.intel)?);
                    Arc::clone(progress.watch.insert(watch))
                }
            }
        };
        // Of what cannot be told, nor can it be told who made a container.
        let own = match Claim::of(case) {
            Claim::Lab => Own::since_now(),
            Claim::Part(_) => Own::by_files()?,
        };
        let played = played::play(self.lab, &watch, case, &own);
        drop(watch);
        let (row, verdict) = played.with_context(|| case.name.clone())?.row(case);
        let mut progress = locked(progress);
        match (verdict, turn.attempt) {
            (Row::Right, _) => progress.passed += 1,
            (Row::Wrong, Attempt::First) => {
                progress.rows.push((turn.case, row + "    once more, alone:\n"));
                return Ok(Next::Again);
            }
            (Row::Wrong, Attempt::Second) => progress.failed += 1,
        }
        progress.rows.push((turn.case, row));
        Ok(Next::Nothing)
    }

    /// Prints a table that is over, and ends its watch.
    fn print(&self, table: usize) -> Result<()> {
        let strategy = &self.tables.get(table).context("the table")?.strategy;
        let mut progress = locked(self.progress.get(table).context("the table")?);
        let seconds = progress.began.map_or(0.0, |began| began.elapsed().as_secs_f32());
        let watch = progress.watch.take().context("the table's watch")?;
        let last = Arc::into_inner(watch).context("somebody still watches")?.stop()?;
        // What was played twice keeps its order.
        progress.rows.sort_by_key(|(place, _)| *place);
        let rows: String = progress.rows.iter().map(|(_, row)| row.as_str()).collect();
        let heads =
            format!("{:<52} {:<13} {:<9} {:>8}  alerts", "case", "expected", "seen", "after");
        let mut output = std::io::stdout().lock();
        writeln!(
            output,
            "\n── {strategy}\n{heads}\n{rows}{last}\n{} passed, {} failed in {seconds:.1} s",
            progress.passed, progress.failed
        )?;
        output.flush().context("printing a table")
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
