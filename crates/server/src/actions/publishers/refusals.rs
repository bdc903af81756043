//! How many exchanges are refused to runs of one repository. Whoever asks has shown a genuine token of some repository, which
//! anybody can have, so none of them may use up what is left to the others.

use crate::error::{Error, Result};
use domain::{instant::Instant, problem::Code, publisher::PipelineToken};
use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

const SECONDS: i64 = 60;
/// Refused exchanges of a repository within a minute.
const EACH_MINUTE: u32 = 120;
/// Repositories that are counted on their own within a minute; later ones share one count.
const REPOSITORIES: usize = 8_192;

/// Refused exchanges within a minute, by issuer and id of the repository. What is given is forgotten again.
#[derive(Default)]
pub(crate) struct Refusals {
    /// Unknown to everybody, so that nobody finds a repository that is counted as another.
    hashes: RandomState,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    minute: i64,
    by_repository: HashMap<u64, u32>,
    others: u32,
}

impl Counted {
    fn of(&mut self, repository: u64) -> &mut u32 {
        if self.by_repository.len() >= REPOSITORIES && !self.by_repository.contains_key(&repository) {
            return &mut self.others;
        }
        self.by_repository.entry(repository).or_default()
    }
}

impl Refusals {
    /// Counts an exchange that is about to be tried.
    ///
    /// # Errors
    /// `TooManyRequests`, and then it is not counted.
    pub(super) fn admit(&self, run: &PipelineToken, now: Instant) -> Result<()> {
        let mut counted = self.counted(now);
        let refused = counted.of(self.repository(run));
        if *refused < EACH_MINUTE {
            *refused += 1;
            return Ok(());
        }
        let message = format!(
            "More than {EACH_MINUTE} exchanges of the repository's runs are refused within a minute."
        );
        let seconds = SECONDS - now.unix_seconds().rem_euclid(SECONDS);
        let wait = u32::try_from(seconds).unwrap_or(1);
        Err(Error::try_later(Code::TooManyRequests, message, wait))
    }

    /// Forgets one that was given a token after all.
    pub(super) fn forget(&self, run: &PipelineToken, now: Instant) {
        let mut counted = self.counted(now);
        let refused = counted.of(self.repository(run));
        *refused = refused.saturating_sub(1);
    }

    fn repository(&self, run: &PipelineToken) -> u64 {
        self.hashes.hash_one((&run.issuer, &run.repository_id))
    }

    fn counted(&self, now: Instant) -> MutexGuard<'_, Counted> {
        let minute = now.unix_seconds().div_euclid(SECONDS);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.minute != minute {
            *counted = Counted {
                minute,
                ..Counted::default()
            };
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::instant::TICKS_PER_SECOND;

    fn run_of(id: usize) -> PipelineToken {
        PipelineToken {
            issuer: "https://token.actions.githubusercontent.com".into(),
            repository_id: Some(id.to_string()),
            ..PipelineToken::default()
        }
    }

    #[test]
    fn repositories_are_counted_on_their_own_until_there_are_too_many() {
        let refusals = Refusals::default();
        let now = Instant(60 * TICKS_PER_SECOND);
        for _ in 0..EACH_MINUTE {
            refusals.admit(&run_of(0), now).unwrap();
        }
        assert!(refusals.admit(&run_of(0), now).is_err());
        refusals.forget(&run_of(0), now);
        refusals.admit(&run_of(0), now).unwrap();
        for id in 1..REPOSITORIES {
            refusals.admit(&run_of(id), now).unwrap();
        }
        for more in 0..EACH_MINUTE {
            refusals
                .admit(&run_of(REPOSITORIES + more as usize), now)
                .unwrap();
        }
        assert!(refusals.admit(&run_of(0), now).is_err());
        assert!(refusals.admit(&run_of(2 * REPOSITORIES), now).is_err());
        refusals.admit(&run_of(1), now).unwrap();
        let later = Instant(120 * TICKS_PER_SECOND);
        refusals.admit(&run_of(0), later).unwrap();
        refusals.admit(&run_of(2 * REPOSITORIES), later).unwrap();
    }
}
