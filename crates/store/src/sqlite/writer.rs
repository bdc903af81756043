//! The one writer: changes that wait for it share a commit.
//!
//! Most changes succeed, or are refused before they wrote anything. So a group runs in one transaction without more. Only
//! when a change fails after it wrote something is the whole group undone and run again, this time each change under a
//! savepoint of its own, so that it is undone alone. Savepoints from the start would copy every page that is touched.

use super::{ChangeError, StoreError, Tx};
use futures::{FutureExt, future::BoxFuture};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::{mpsc, oneshot};

/// The metric of how many changes shared a commit.
const COMMIT_CHANGES: &str = "fame_commit_changes";
/// Changes that may share one commit.
const GROUP: usize = 256;

/// A change that waits for its turn.
pub(crate) trait Change: Send {
    /// Runs it, or runs it anew after all that it did was undone; whether it succeeded.
    fn run(&mut self, connection: &mut Connection) -> bool;

    /// Tells its caller; the error, if any, is the commit's. A refusal that `rests_on_others` is worth as little then as
    /// they are: they never came to be.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>, rests_on_others: bool);
}

/// What a caller of the database wants to be done.
pub(crate) struct PendingChange<I, T, E, F> {
    pub(crate) input: I,
    pub(crate) action: F,
    pub(crate) outcome: Option<Result<T, E>>,
    pub(crate) reply: oneshot::Sender<Result<T, E>>,
}

impl<I, T, E, F> Change for PendingChange<I, T, E, F>
where
    I: Send + Sync,
    T: Send,
    E: ChangeError,
    F: for<'t> Fn(Tx<'t>, &'t I) -> BoxFuture<'t, Result<T, E>> + Send,
{
    fn run(&mut self, connection: &mut Connection) -> bool {
        let run = || (self.action)(Tx::Sqlite(&mut *connection), &self.input).now_or_never();
        let outcome = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => {
                Err(StoreError::broken("a change waited for something else than its transaction").into())
            }
            Err(_) => Err(StoreError::broken("a change panicked").into()),
        };
        let succeeded = outcome.is_ok();
        self.outcome = Some(outcome);
        succeeded
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>, rests_on_others: bool) {
        let answer = match (self.outcome, committed) {
            (Some(Err(refused)), Err(_)) if !rests_on_others => Err(refused),
            (_, Err(failed)) => Err(failed.into()),
            (Some(Err(refused)), Ok(())) => Err(refused),
            (Some(Ok(done)), Ok(())) => Ok(done),
            (None, Ok(())) => Err(StoreError::broken("a change was never run").into()),
        };
        // The caller may have gone away; the change stands all the same.
        drop(self.reply.send(answer));
    }
}

/// Takes what waits, commits it at once, answers; until nobody can ask any more.
pub(crate) fn write_in_groups(mut connection: Connection, mut queue: mpsc::Receiver<Box<dyn Change>>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = Group::of(first);
        let committed = commit(&mut connection, &mut group, &mut queue);
        metrics::histogram!(COMMIT_CHANGES).record(group.changes.len() as f64);
        group.answer(committed);
    }
}

/// Changes that share a commit.
pub(crate) struct Group {
    changes: Vec<Box<dyn Change>>,
    /// The first of them that wrote something: what comes behind it has seen that.
    first_writer: Option<usize>,
}

impl Group {
    pub(crate) fn of(first: Box<dyn Change>) -> Self {
        Self {
            changes: vec![first],
            first_writer: None,
        }
    }

    /// Runs the change of that number; `None` when the database has undone the transaction.
    #[expect(clippy::indexing_slicing, reason = "callers count the changes")]
    fn run(&mut self, number: usize, connection: &mut Connection) -> Option<RunOutcome> {
        let written = connection.total_changes();
        let succeeded = self.changes[number].run(connection);
        let wrote = connection.total_changes() != written;
        if wrote && self.first_writer.is_none() {
            self.first_writer = Some(number);
        }
        (!connection.is_autocommit()).then_some(RunOutcome { succeeded, wrote })
    }

    fn answer(self, committed: Result<(), StoreError>) {
        let failure = committed.err().map(StoreError::into_cause);
        for (number, change) in self.changes.into_iter().enumerate() {
            let shared = failure
                .as_ref()
                .map_or(Ok(()), |cause| Err(StoreError::Unavailable(cause.clone())));
            change.answer(shared, self.first_writer.is_some_and(|first| first < number));
        }
    }
}

/// What a change did.
struct RunOutcome {
    succeeded: bool,
    wrote: bool,
}

/// Carries out a group and whoever joins it meanwhile.
pub(crate) fn commit(
    connection: &mut Connection,
    group: &mut Group,
    queue: &mut mpsc::Receiver<Box<dyn Change>>,
) -> Result<(), StoreError> {
    begin(connection)?;
    if !run_together(connection, group, queue) {
        begin(connection)?;
        run_apart(connection, group)?;
    }
    if connection.is_autocommit() {
        // SQLite undoes a whole transaction when the disk is full or fails.
        return Err(StoreError::unavailable(
            "the transaction was undone by the database",
        ));
    }
    let committed = say(connection, "COMMIT");
    if committed.is_err() {
        roll_back(connection)?;
    }
    committed
}

/// Begins a transaction. What another one left open was reported as failed, and must not be committed with this one.
fn begin(connection: &Connection) -> Result<(), StoreError> {
    roll_back(connection)?;
    say(connection, "BEGIN IMMEDIATE")
}

fn roll_back(connection: &Connection) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        return Ok(());
    }
    say(connection, "ROLLBACK")
}

fn say(connection: &Connection, statement: &str) -> Result<(), StoreError> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

/// Runs all of the group; `false` as soon as a change failed that had written something.
fn run_together(
    connection: &mut Connection,
    group: &mut Group,
    queue: &mut mpsc::Receiver<Box<dyn Change>>,
) -> bool {
    let mut next = 0;
    while next < group.changes.len() {
        match group.run(next, connection) {
            None => return true,
            Some(RunOutcome {
                succeeded: false,
                wrote: true,
            }) => return false,
            Some(_) => {}
        }
        next += 1;
        if next == group.changes.len() && next < GROUP {
            group.changes.extend(queue.try_recv());
        }
    }
    true
}

/// Runs each change of the group so that it can be undone alone.
fn run_apart(connection: &mut Connection, group: &mut Group) -> Result<(), StoreError> {
    for number in 0..group.changes.len() {
        say(connection, "SAVEPOINT change")?;
        let Some(RunOutcome { succeeded, .. }) = group.run(number, connection) else {
            return Ok(());
        };
        if !succeeded {
            say(connection, "ROLLBACK TO change")?;
        }
        say(connection, "RELEASE change")?;
    }
    Ok(())
}
