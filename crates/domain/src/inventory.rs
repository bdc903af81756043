//! Inventories as agents report them: how much may come at once, what looks like a mistake, and what is drift.
//!
//! An inventory is never trusted to delete, and an agent that reports far fewer or far more environments than before is
//! more often misconfigured than right. So it has to say that it means it.

use crate::{
    problem::{Code, RuleError},
    version::AppVersion,
    vocabulary::vocabulary,
};

/// Environments that an agent may have.
pub const MOST_ENVIRONMENTS: usize = 20_000;
/// Apps that an environment may have.
pub const MOST_APPS: usize = 1_000;
/// What an agent may gain without saying that it means it, however few it had.
const FEW: usize = 50;

/// What a full set makes of the environments that an agent had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Environments that it had, and has not lost before.
    pub had: usize,
    /// Of these, those that it does not name.
    pub lost: usize,
    /// Those that it names and that the agent did not have.
    pub gained: usize,
    /// Whether no full set came before.
    pub is_first: bool,
}

impl Shift {
    /// Refuses a set that loses more than a fifth, or gains more than a fifth and more than fifty.
    ///
    /// # Errors
    /// `ConfirmationRequired` with the numbers.
    pub fn check(self) -> Result<(), RuleError> {
        let Self {
            had,
            lost,
            gained,
            is_first,
        } = self;
        let is_much = |count: usize| count * 5 > had;
        if !is_much(lost) && (is_first || gained <= FEW || !is_much(gained)) {
            return Ok(());
        }
        let message = format!(
            "Of {had} environments the inventory loses {lost}, and it has {gained} others. If that is right, send it \
             again with \"confirm\": true; `fame agent run --confirm-inventory` does."
        );
        let problem = RuleError::new(Code::ConfirmationRequired, message).about("environments");
        Err(problem
            .with("had", had.to_string())
            .with("lost", lost.to_string())
            .with("gained", gained.to_string()))
    }
}

vocabulary! {
    /// What became of an environment, or of an app in it, without the service's doing.
    DriftKind {
        /// The app has a higher version.
        AppChanged,
        /// The app has a lower version, as after a restore.
        AppOlder,
        /// The app is not there any more.
        AppGone,
        /// The environment is not there any more.
        EnvironmentGone,
        /// The environment is there again.
        EnvironmentBack,
        /// The environment is reported as a sandbox, and was production.
        EnvironmentDisputed,
    }
}

impl DriftKind {
    /// What an app's way from a version to another is, or to none.
    #[must_use]
    pub fn of_app(before: AppVersion, after: Option<AppVersion>) -> Option<Self> {
        match after {
            None => Some(Self::AppGone),
            Some(after) if after < before => Some(Self::AppOlder),
            Some(after) if after > before => Some(Self::AppChanged),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shift(had: usize, lost: usize, gained: usize) -> Shift {
        Shift {
            had,
            lost,
            gained,
            is_first: false,
        }
    }

    #[test]
    fn more_than_a_fifth_has_to_be_meant() {
        for (had, lost, gained, is_usual) in [
            (0, 0, 0, true),
            (10, 2, 0, true),
            (10, 3, 0, false),
            (1, 1, 0, false),
            (0, 0, 50, true),
            (0, 0, 51, false),
            (10, 0, 50, true),
            (1_000, 0, 200, true),
            (1_000, 0, 201, false),
            (1_000, 200, 200, true),
        ] {
            let checked = shift(had, lost, gained).check();
            assert_eq!(checked.is_ok(), is_usual, "{had} {lost} {gained}");
        }
        let error = shift(10, 3, 0).check().unwrap_err();
        assert_eq!(error.code, Code::ConfirmationRequired);
        assert!(
            error.message.contains("Of 10 environments the inventory loses 3"),
            "{error}"
        );
        for way in ["\"confirm\": true", "--confirm-inventory"] {
            assert!(error.message.contains(way), "{error}");
        }
    }

    #[test]
    fn a_first_set_may_have_any_size_but_not_lose_what_was_bound_before() {
        let first = |shift: Shift| Shift {
            is_first: true,
            ..shift
        };
        assert_eq!(first(shift(0, 0, MOST_ENVIRONMENTS)).check(), Ok(()));
        assert!(first(shift(4, 1, 0)).check().is_err());
    }

    #[test]
    fn drift_is_called_by_where_the_app_went() {
        let [one, two] = [AppVersion([1, 0, 0, 0]), AppVersion([2, 0, 0, 0])];
        assert_eq!(DriftKind::of_app(one, Some(two)), Some(DriftKind::AppChanged));
        assert_eq!(DriftKind::of_app(two, Some(one)), Some(DriftKind::AppOlder));
        assert_eq!(DriftKind::of_app(one, None), Some(DriftKind::AppGone));
        assert_eq!(DriftKind::of_app(one, Some(one)), None);
    }

    proptest! {
        #[test]
        fn what_loses_and_gains_nothing_is_never_questioned(had in 0..100_000_usize) {
            prop_assert!(shift(had, 0, 0).check().is_ok());
        }
    }
}
