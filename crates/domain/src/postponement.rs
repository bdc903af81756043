//! Whether a customer may put off what a vendor has scheduled in their environment, and until when.

use crate::{
    instant::Instant,
    operation::{OperationKind, OperationStatus},
    problem::RuleError,
    text::check_text,
};
use std::time::Duration;

/// Longest reason, in characters.
pub const LONGEST_REASON: usize = 250;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What decides about it.
#[derive(Clone, Copy, Debug)]
pub struct Postponement<'a> {
    /// What the operation does.
    pub kind: OperationKind,
    /// Where it stands.
    pub status: OperationStatus,
    /// When its vendor wants it to run at the earliest, or asked for it, if that was later. It does not move when the
    /// operation is put off.
    pub asked_for: Instant,
    /// When the customer wants it to run at the earliest.
    pub until: Instant,
    /// Why.
    pub reason: &'a str,
    /// How many days after what was asked for that may be.
    pub most_days: u32,
    /// The time.
    pub now: Instant,
}

/// Whether it may be. It may be put off again, and brought forward again, as long as it is not further off than it may be
/// and not earlier than its vendor wants it.
///
/// # Errors
/// `NotPostponable` for what is no hotfix, runs or is over; `InvalidInput` for a time that is past or earlier than the
/// vendor's, and for a reason that is missing or too long; `PostponedTooLong`.
pub fn check_postpone(asked: &Postponement<'_>) -> Result<(), RuleError> {
    let refused = |reason: &str, message: String| Err(RuleError::broken(reason, message).about("until"));
    if asked.kind != OperationKind::Hotfix {
        let message = format!(
            "The kind of the operation is {}. What can be postponed is a hotfix: cancel what you asked for yourself.",
            asked.kind
        );
        return refused("NotPostponable", message);
    }
    if asked.status != OperationStatus::Scheduled {
        let status = asked.status;
        let message = format!("The hotfix is {status}. Only one that is Scheduled can be postponed.");
        return refused("NotPostponable", message);
    }
    if asked.reason.trim().is_empty() {
        let message = "'reason' must say why the hotfix is postponed: its vendor reads it.";
        return Err(RuleError::invalid("reason", message));
    }
    check_text("reason", asked.reason, LONGEST_REASON)?;
    let (until, now, asked_for) = (asked.until, asked.now, asked.asked_for);
    if until <= now {
        let message = format!("'until' is {until}, which is past: it is {now}.");
        return Err(RuleError::invalid("until", message));
    }
    if until < asked_for {
        let message =
            format!("'until' is {until}, which is before {asked_for}, when the hotfix may run anyway.");
        return Err(RuleError::invalid("until", message));
    }
    let latest = asked_for + DAY.saturating_mul(asked.most_days);
    if until > latest {
        let message = format!(
            "'until' is {until}. The hotfix was asked for at {asked_for} and can be postponed by {} days at most, until \
             {latest} (customers.postpone_days, which the operator sets).",
            asked.most_days
        );
        return refused("PostponedTooLong", message);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn good() -> Postponement<'static> {
        Postponement {
            kind: OperationKind::Hotfix,
            status: OperationStatus::Scheduled,
            asked_for: at("2026-03-01T20:00:00Z"),
            until: at("2026-03-08T20:00:00Z"),
            reason: "Closing of the year",
            most_days: 7,
            now: at("2026-03-01T12:00:00Z"),
        }
    }

    fn refused(asked: Postponement<'_>) -> (Code, String) {
        let error = check_postpone(&asked).unwrap_err();
        let reason = error.details.first().map(|detail| detail.code.clone());
        (error.code, reason.or(error.target).unwrap())
    }

    #[test]
    fn a_hotfix_is_put_off_as_far_as_its_operator_lets_it_and_back_again() {
        assert_eq!(check_postpone(&good()), Ok(()));
        let back = at("2026-03-01T20:00:00Z");
        assert_eq!(
            check_postpone(&Postponement {
                until: back,
                ..good()
            }),
            Ok(())
        );
        let rule = Code::EntityValidationFailed;
        let a_tick_more = Instant(good().until.0 + 1);
        let too_long = Postponement {
            until: a_tick_more,
            ..good()
        };
        assert_eq!(refused(too_long), (rule, "PostponedTooLong".into()));
        assert_eq!(
            refused(Postponement {
                most_days: 0,
                ..good()
            }),
            (rule, "PostponedTooLong".into())
        );
        let message = check_postpone(&too_long).unwrap_err().message;
        assert!(
            message.contains("until 2026-03-08T20:00:00.0000000Z"),
            "{message}"
        );
    }

    #[test]
    fn nothing_but_a_hotfix_that_waits_is_put_off() {
        let rule = Code::EntityValidationFailed;
        for &kind in OperationKind::ALL
            .iter()
            .filter(|kind| **kind != OperationKind::Hotfix)
        {
            assert_eq!(
                refused(Postponement { kind, ..good() }),
                (rule, "NotPostponable".into())
            );
        }
        let update = Postponement {
            kind: OperationKind::Update,
            ..good()
        };
        let message = check_postpone(&update).unwrap_err().message;
        assert!(
            message.starts_with("The kind of the operation is Update."),
            "{message}"
        );
        for &status in OperationStatus::ALL
            .iter()
            .filter(|status| **status != OperationStatus::Scheduled)
        {
            assert_eq!(
                refused(Postponement { status, ..good() }),
                (rule, "NotPostponable".into())
            );
        }
    }

    #[test]
    fn the_time_lies_ahead_and_the_reason_says_something() {
        let wrong = |asked: Postponement<'_>, target: &str| {
            assert_eq!(refused(asked), (Code::InvalidInput, target.into()));
            let message = check_postpone(&asked).unwrap_err().message;
            assert!(message.starts_with(&format!("'{target}'")), "{message}");
        };
        wrong(
            Postponement {
                until: good().now,
                ..good()
            },
            "until",
        );
        wrong(
            Postponement {
                until: at("2026-03-01T19:59:59Z"),
                ..good()
            },
            "until",
        );
        wrong(
            Postponement {
                reason: " ",
                ..good()
            },
            "reason",
        );
        let long = "é".repeat(LONGEST_REASON + 1);
        wrong(
            Postponement {
                reason: &long,
                ..good()
            },
            "reason",
        );
        let longest = "é".repeat(LONGEST_REASON);
        assert_eq!(
            check_postpone(&Postponement {
                reason: &longest,
                ..good()
            }),
            Ok(())
        );
    }
}
