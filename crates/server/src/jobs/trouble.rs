//! What keeps a job from working, told once and not once per round.

use crate::{error::Error, store::StoreError};

/// Whether a job is in trouble, and how often it tried since.
pub(crate) struct Trouble {
    job: &'static str,
    failures: u64,
}

impl Trouble {
    pub(crate) fn of(job: &'static str) -> Self {
        Self { job, failures: 0 }
    }

    /// Tells of a round's end where that is news. A database or store that is away is told of once; what is a fault of
    /// ours, each time.
    pub(crate) fn after<T>(&mut self, round: &Result<T, Error>) {
        let job = self.job;
        match round {
            Ok(_) if self.failures == 0 => {}
            Ok(_) => {
                tracing::info!(job, failures = self.failures, "the job works again");
                self.failures = 0;
            }
            Err(error) => {
                self.failures += 1;
                if self.failures == 1 || !is_passing(error) {
                    tracing::error!(job, %error, "the job failed; it is tried again");
                }
            }
        }
    }
}

fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::Store(StoreError::Busy | StoreError::Unavailable(_)) | Error::Blobs(_)
    )
}
