//! How many codes and tokens are looked up that nobody was given. Whoever brings them has not signed in; nobody guesses one,
//! but each guess costs a look-up.

use crate::error::{Error, Result};
use domain::{instant::Instant, problem::Code};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SECONDS: i64 = 60;

/// Look-ups of one kind within a minute, whoever asks for them. What is found is forgotten again.
pub(crate) struct LookUps {
    each_minute: usize,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    minute: i64,
    look_ups: usize,
}

impl LookUps {
    /// Of codes by which agents enrol.
    pub(crate) fn of_enrolments() -> Self {
        Self::at_most(120)
    }

    /// Of tokens and codes that were found where they do not belong, of which a list may hold a hundred.
    pub(crate) fn of_leaks() -> Self {
        Self::at_most(1_200)
    }

    fn at_most(each_minute: usize) -> Self {
        Self {
            each_minute,
            counted: Mutex::default(),
        }
    }

    /// Counts look-ups that are about to be made.
    ///
    /// # Errors
    /// `TooManyRequests`, and then none of them is counted.
    pub(in crate::actions) fn admit(&self, look_ups: usize, now: Instant) -> Result<()> {
        let mut counted = self.counted(now);
        if counted.look_ups + look_ups <= self.each_minute {
            counted.look_ups += look_ups;
            return Ok(());
        }
        let message = format!(
            "More than {} codes or tokens are brought within a minute that nobody was given.",
            self.each_minute
        );
        let seconds = SECONDS - now.unix_seconds().rem_euclid(SECONDS);
        Err(Error::try_later(
            Code::TooManyRequests,
            message,
            u32::try_from(seconds).unwrap_or(1),
        ))
    }

    /// Forgets look-ups of what was found after all.
    pub(in crate::actions) fn forget(&self, look_ups: usize, now: Instant) {
        let mut counted = self.counted(now);
        counted.look_ups = counted.look_ups.saturating_sub(look_ups);
    }

    fn counted(&self, now: Instant) -> MutexGuard<'_, Counted> {
        let minute = now.unix_seconds().div_euclid(SECONDS);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.minute != minute {
            *counted = Counted { minute, look_ups: 0 };
        }
        counted
    }
}
