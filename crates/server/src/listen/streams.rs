//! The streams of HTTP/2. Each has a window of its own, so that one that takes nothing holds up none of the others, and
//! only it is ended.

use super::TAKEN_PER_SECOND;
use crate::pace::Pace;
use hyper::rt::Executor;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

tokio::task_local! {
    /// What the task of a stream knows of its answer.
    static TAKING: Taking;
}

/// Carries streams, each in a task.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) idle: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let taking = Taking::new(self.idle);
        tokio::spawn(TAKING.scope(taking.clone(), async move {
            tokio::select! {
                biased;
                _ = stream => {}
                () = taking.too_slow() => {}
            }
        }));
    }
}

/// How an answer is taken by a stream.
#[derive(Clone)]
pub(super) struct Taking {
    idle: Duration,
    pace: Arc<Mutex<Progress>>,
}

struct Progress {
    pace: Pace,
    turn: Turn,
}

/// Who has to do something next.
enum Turn {
    /// Whoever makes the answer, since then.
    Ours(Instant),
    /// Whoever takes it: so many bytes.
    Theirs(u64),
}

impl Taking {
    fn new(idle: Duration) -> Self {
        let progress = Progress {
            pace: Pace::new(idle, TAKEN_PER_SECOND),
            turn: Turn::Ours(Instant::now()),
        };
        Self {
            idle,
            pace: Arc::new(Mutex::new(progress)),
        }
    }

    /// That of the stream whose task this is; `None` on a connection without streams.
    pub(super) fn of_this_task() -> Option<Self> {
        TAKING.try_with(Clone::clone).ok()
    }

    /// What was given has been taken: more is asked for.
    pub(super) fn asked(&self) {
        let mut progress = self.progress();
        if let Turn::Theirs(bytes) = progress.turn {
            progress.pace.earn(bytes);
            progress.turn = Turn::Ours(Instant::now());
        }
    }

    pub(super) fn gave(&self, bytes: u64) {
        let mut progress = self.progress();
        if let Turn::Ours(since) = progress.turn {
            progress.pace.forgive(since.elapsed());
            progress.turn = Turn::Theirs(bytes);
        }
    }

    /// Waits until whoever takes the answer is too far behind.
    async fn too_slow(&self) {
        loop {
            let again = match &*self.progress() {
                Progress {
                    pace,
                    turn: Turn::Theirs(_),
                } if pace.is_over() => return,
                Progress {
                    pace,
                    turn: Turn::Theirs(_),
                } => pace.until(),
                _ => Instant::now() + self.idle,
            };
            tokio::time::sleep_until(again).await;
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
