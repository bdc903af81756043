//! What keeps a job from working, logged once and not once per round.

use crate::error::Error;
use domain::chain::Chain;

/// Whether a job is failing, and how often it tried since.
pub(crate) struct FailureReporter {
    job: &'static str,
    failures: u64,
    /// Whether it was logged that the job fails.
    is_told: bool,
}

impl FailureReporter {
    pub(crate) fn of(job: &'static str) -> Self {
        Self {
            job,
            failures: 0,
            is_told: false,
        }
    }

    /// Logs a round's end where that is news; whether it was. What passes is logged once, and not by each job where it is an
    /// outage that the log tells of anyway; what is a fault of ours, each time.
    pub(crate) fn after<T>(&mut self, round: &Result<T, Error>) -> bool {
        let (job, before) = (self.job, self.failures);
        match round {
            Ok(_) => {
                self.failures = 0;
                let is_news = std::mem::take(&mut self.is_told);
                if is_news {
                    tracing::info!(job, failures = before, "the job works again");
                }
                is_news
            }
            Err(error) => {
                self.failures += 1;
                let is_outage = matches!(error, Error::Store(error) if error.is_told());
                let is_news = !(self.is_told || is_outage) || !error.is_passing();
                if is_news {
                    self.is_told = true;
                    tracing::error!(job, error = %Chain(error), "the job failed; it is tried again");
                }
                is_news
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::StoreError;

    #[test]
    fn an_outage_is_told_once_at_its_beginning_and_once_at_its_end() {
        let away = || Err::<(), _>(Error::from(StoreError::unavailable("it is off")));
        let mut failures = FailureReporter::of("test");
        let logged =
            [Ok(()), away(), away(), away(), Ok(()), Ok(()), away()].map(|round| failures.after(&round));
        assert_eq!(logged, [false, true, false, false, true, false, true]);
    }

    #[test]
    fn a_fault_of_ours_is_told_each_time() {
        let mut failures = FailureReporter::of("test");
        let logged = [(); 3].map(|()| failures.after(&Err::<(), _>(Error::fault("wrong"))));
        assert_eq!(logged, [true; 3]);
    }
}
