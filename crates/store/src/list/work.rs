//! What a list costs in memory: done aside from the threads that serve everybody, by few requests at once, and no
//! longer than somebody waits for it and the request's budget lasts.

use super::{error::ListError, request::refused};
use crate::{
    Db, StoreError,
    shares::{Holder, Place},
};
use odata::QueryError;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// What deciding in memory may cost one request, all of its rows together: more would take a processor from everybody else.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) rows: u64,
    pub(crate) time: Duration,
}

const BUDGET: Budget = Budget {
    rows: 5_000_000,
    time: Duration::from_secs(10),
};

/// How long one request works before others have their turn.
const TURN: Duration = Duration::from_millis(50);

/// The work of one request.
pub(crate) struct Work {
    db: Db,
    pub(crate) holder: Holder,
    budget: Budget,
    spent: Mutex<(u64, Duration)>,
}

/// What work under way asks now and then.
pub(crate) struct Watch {
    begun: Instant,
    time: Duration,
    is_given_up: Arc<AtomicBool>,
}

impl Watch {
    /// Whether somebody waits for the result, and may wait longer.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.is_given_up.load(Ordering::Relaxed) && self.begun.elapsed() < self.time
    }

    /// Whether it is the turn of others.
    pub(crate) fn is_over(&self) -> bool {
        self.begun.elapsed() >= TURN
    }
}

/// Gives up what its owner does not wait for any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Work {
    pub(crate) fn new(db: &Db, holder: Holder) -> Self {
        Self {
            db: db.clone(),
            holder,
            budget: BUDGET,
            spent: Mutex::default(),
        }
    }

    /// The same with another budget.
    #[cfg(test)]
    pub(crate) fn with_budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// Does what the query option `option` asks of the memory, on a thread that serves nobody else. `work` says how
    /// many rows it decided about.
    pub(crate) async fn aside<R: Send + 'static>(
        &self,
        option: &str,
        work: impl FnOnce(&Watch) -> (u64, Result<R, ListError>) + Send + 'static,
    ) -> Result<R, ListError> {
        let place = self.db.judges().place(self.holder).await?;
        let is_given_up = Arc::new(AtomicBool::new(false));
        let _waiting = Waiting(Arc::clone(&is_given_up));
        let watch = Watch {
            begun: Instant::now(),
            time: self.left(),
            is_given_up,
        };
        let (answer, answered) = oneshot::channel();
        // Boxed, so that the compiler builds once what carries it out, and not for each kind of row.
        let work: Box<dyn FnOnce() + Send> = Box::new(move || {
            give_way();
            let place: Place = place;
            let (rows, result) = work(&watch);
            let outcome = (rows, result, watch.begun.elapsed());
            drop(place);
            drop(answer.send(outcome));
        });
        // Of its own, for a thread that gives way once cannot take that back.
        let thread = std::thread::Builder::new().name("fame-aside".to_owned());
        thread.spawn(work).map_err(StoreError::unavailable)?;
        let gone = |_| StoreError::broken("work aside ended without a result");
        let (rows, result, time) = answered.await.map_err(gone)?;
        self.spend(option, rows, time)?;
        result
    }

    fn left(&self) -> Duration {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        self.budget.time.saturating_sub(spent.1)
    }

    fn spend(&self, option: &str, rows: u64, time: Duration) -> Result<(), QueryError> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.0 += rows;
        spent.1 += time;
        if spent.0 <= self.budget.rows && spent.1 < self.budget.time {
            return Ok(());
        }
        let (rows, seconds) = (spent.0, spent.1.as_secs_f32());
        Err(refused(
            option,
            format!(
                "Parts of {option} can only be decided by the service itself, row by row. After {rows} rows and {seconds:.1} s of that it is given up. Narrow the list by conditions on properties as they are, such as eq, lt or startswith."
            ),
        ))
    }
}

/// Lets the threads that serve everybody go first: the system's scheduler would give this one as much as each of them, in
/// slices that are long beside a short request. Where a process is all that has a priority, nothing is changed.
fn give_way() {
    // About a tenth of what another thread is given, while there are others.
    #[cfg(target_os = "linux")]
    rustix::process::setpriority_process(None, 10).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::tests::fixture::FIXTURE;
    use futures::FutureExt;
    use uuid::Uuid;

    fn work(time: Duration) -> Work {
        let (_, db) = &FIXTURE.databases[0];
        Work::new(db, Some(Uuid::new_v4())).with_budget(Budget { rows: 100, time })
    }

    /// What ends only when nobody waits for it.
    fn endless(watch: &Watch) -> (u64, Result<(), ListError>) {
        while watch.is_wanted() {
            std::thread::yield_now();
        }
        (7, Err(odata::EvalError::Unwanted.into()))
    }

    #[test]
    fn work_ends_with_the_time_for_it() {
        FIXTURE.runtime.block_on(async {
            let refused = work(Duration::from_millis(20)).aside("$filter", endless).await;
            let Err(ListError::Query(refused)) = refused else {
                panic!("it is not given up");
            };
            assert_eq!(refused.target, "$filter");
            assert!(refused.message.contains("After 7 rows"), "{refused}");
        });
    }

    #[test]
    fn work_that_nobody_waits_for_makes_room() {
        FIXTURE.runtime.block_on(async {
            let work = work(Duration::from_secs(3_600));
            assert!(work.aside("$filter", endless).now_or_never().is_none());
            let next = work.aside("$filter", |_| (0, Ok(())));
            assert!(next.await.is_ok(), "the place is free again");
        });
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn work_gives_way() {
        fn niceness() -> i32 {
            rustix::process::getpriority_process(None).unwrap()
        }
        FIXTURE.runtime.block_on(async {
            let work = work(Duration::from_secs(3_600));
            let of_work = work.aside("$filter", |_| (0, Ok(niceness()))).await;
            assert!(of_work.unwrap() > niceness());
        });
    }
}
