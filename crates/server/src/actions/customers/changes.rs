//! How much a customer's caller may change in an hour: one script with a mistake in its loop, or one stolen secret, reaches all
//! the tenants that let it in.

use super::Customer;
use crate::{
    actions::Service,
    error::{Error, Result},
};
use domain::{instant::Instant, problem::Code};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

const HOUR: i64 = 3_600;

/// Changes within an hour by this server, of each caller in whatever tenants.
#[derive(Default)]
pub(crate) struct Changes(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    hour: i64,
    by_caller: HashMap<String, u32>,
}

impl Changes {
    /// Counts a change that is about to be made, unless there are as many as may be.
    fn admit(&self, caller: String, most: u32, now: Instant) -> Result<()> {
        let hour = now.unix_seconds().div_euclid(HOUR);
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.hour != hour {
            *counted = Counted {
                hour,
                by_caller: HashMap::new(),
            };
        }
        let changes = counted.by_caller.entry(caller).or_default();
        if *changes < most {
            *changes += 1;
            return Ok(());
        }
        let message = format!(
            "More than {most} changes of this caller within an hour, in all tenants together (customers.changes_per_hour)."
        );
        let seconds = HOUR - now.unix_seconds().rem_euclid(HOUR);
        Err(Error::try_later(
            Code::TooManyRequests,
            message,
            u32::try_from(seconds).unwrap_or(1),
        ))
    }
}

/// Counts a change that a customer's caller is about to make.
///
/// # Errors
/// `TooManyRequests`.
pub(crate) fn admit(service: &Service, customer: &Customer) -> Result<()> {
    match service.settings.customers.changes_per_hour {
        0 => Ok(()),
        most => service
            .customers_changes
            .admit(customer.signature(), most, service.clock.now()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_so_many_in_an_hour() {
        let changes = Changes::default();
        let at = |text: &str| text.parse::<Instant>().unwrap();
        let admit = |caller: &str, now| changes.admit(caller.to_owned(), 2, now);
        let noon = at("2026-03-01T12:00:00Z");
        assert!(admit("a", noon).is_ok() && admit("a", noon).is_ok() && admit("b", noon).is_ok());
        let refused = admit("a", at("2026-03-01T12:59:00Z")).unwrap_err();
        assert!(
            matches!(refused, Error::TryLater { seconds: 60, .. }),
            "{refused:?}"
        );
        assert!(admit("a", at("2026-03-01T13:00:00Z")).is_ok());
    }
}
