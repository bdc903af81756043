//! Operations: their life, and which of several comes first.
//!
//! A hotfix, an update, an install and an uninstall are asked for through different APIs but live the same life. Everything
//! that moves an operation asks here whether it may, so that a state that was reported to somebody as final stays
//! final.

use crate::{
    country::CountryCode,
    ids::{AppId, OperationId},
    instant::Instant,
    problem::RuleError,
    version::AppVersion,
    vocabulary::vocabulary,
};
use std::fmt;

vocabulary! {
    /// What an operation does with an app in an environment.
    OperationKind {
        /// Moves it to a fix within its line, asked for by the vendor.
        Hotfix,
        /// Moves it to a newer version, asked for by the customer.
        Update,
        /// Brings it in.
        Install,
        /// Takes it out.
        Uninstall,
    }
}

vocabulary! {
    /// Where an operation is in its life.
    OperationStatus {
        /// Waiting for its time.
        Scheduled,
        /// Being carried out.
        Running,
        /// Carried out.
        Succeeded,
        /// Tried without success; final, a retry is a new operation.
        Failed,
        /// Called off before it started.
        Canceled,
        /// Not carried out, because there was nothing to do or it no longer made sense; nobody's fault.
        Skipped,
    }
}

impl OperationStatus {
    /// Whether the operation is over, and its state will never change again.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Scheduled | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Canceled | Self::Skipped => true,
        }
    }

    /// Whether the operation takes its installation's slot, so that no other may be scheduled there.
    #[must_use]
    pub fn occupies_slot(self) -> bool {
        !self.is_terminal()
    }

    /// Whether an operation in this state may come into `next`. Staying is not a change, and not allowed
    /// either.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Scheduled => matches!(next, Self::Running | Self::Canceled | Self::Skipped),
            Self::Running => matches!(next, Self::Succeeded | Self::Failed | Self::Skipped),
            Self::Succeeded | Self::Failed | Self::Canceled | Self::Skipped => false,
        }
    }

    /// Whether an operation that comes into this state has a time of completion: only one that was tried
    /// has.
    #[must_use]
    pub fn has_completion(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// What canceling comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It is to be canceled.
    Cancel,
    /// It was canceled before; nothing changes, and nothing is wrong.
    AlreadyCanceled,
}

/// Whether an operation in this state may be canceled.
///
/// # Errors
/// `NotCancelable`, when it runs or is over.
pub fn check_cancel(status: OperationStatus) -> Result<CancelOutcome, RuleError> {
    match status {
        OperationStatus::Scheduled => Ok(CancelOutcome::Cancel),
        OperationStatus::Canceled => Ok(CancelOutcome::AlreadyCanceled),
        other => {
            let message =
                format!("The operation is {other}. Only an operation that is Scheduled can be canceled.");
            Err(RuleError::broken("NotCancelable", message).about("status"))
        }
    }
}

/// Whether the status that a request asks for is one that can be asked for: `Canceled`, and no other.
///
/// # Errors
/// `NothingToChange` without a status, `StatusNotAllowed` for any other.
pub fn check_requested_status(requested: Option<OperationStatus>) -> Result<(), RuleError> {
    let (reason, message) = match requested {
        Some(OperationStatus::Canceled) => return Ok(()),
        None => (
            "NothingToChange",
            "Nothing to change: send {\"status\":\"Canceled\"} to cancel.".to_owned(),
        ),
        Some(other) => (
            "StatusNotAllowed",
            format!("The status cannot be set to {other}, only to Canceled."),
        ),
    };
    Err(RuleError::broken(reason, message).about("status"))
}

vocabulary! {
    /// Why an operation failed, as far as its agent could tell from what the target said.
    FailureCause {
        /// Something that the version needs is not there, or too old.
        MissingDependency,
        /// The tables of the new version do not fit those of the old one.
        SchemaBreak,
        /// The upgrade code of the version failed.
        UpgradeCode,
        /// Somebody else held what was needed.
        Lock,
        /// It took longer than it may.
        TimeOut,
        /// Whoever carried it out was not allowed to.
        Permission,
        /// The target could not be reached, or the connection broke.
        Connection,
        /// The version is made for a newer Business Central.
        RuntimeTooNew,
        /// The target has the same version already, and does not take it again.
        AlreadyPublished,
        /// The package is not what it was when the operation was scheduled.
        PackageChanged,
        /// What was asked for cannot be done at this target, or by this agent.
        NotSupported,
        /// Something else; the message says what.
        Other,
    }
}

vocabulary! {
    /// Why an operation was skipped. Stable: the error message of the operation starts with it.
    SkipReason {
        /// The installed version is the target or newer.
        AlreadyUpToDate,
        /// The app that was to be installed is installed by now.
        AlreadyInstalled,
        /// The app is no longer installed in the environment.
        AppUninstalled,
        /// The environment is no longer there.
        EnvironmentGone,
        /// The environment belongs to another country now.
        EnvironmentMoved,
        /// The installed version has another major or minor number than the target now.
        LineChanged,
        /// The target was deprecated since.
        TargetDeprecated,
        /// The target was put back into preview, and may not go there.
        TargetBecamePreview,
        /// The target is no longer in the repository.
        TargetMissing,
        /// The target is not signed as the app's packages must be now.
        SignerNotAllowed,
        /// The installed version was put into preview.
        SourceBecamePreview,
        /// What the target depends on is not there, too old or incompatible.
        DependenciesUnmet,
        /// An installed app is not compatible with the target.
        DependantIncompatible,
        /// The environment runs an older application or platform than the target needs.
        EnvironmentTooOld,
        /// The app is a part of the environment that cannot be uninstalled.
        AppCannotBeUninstalled,
        /// Installed apps need the app that was to be uninstalled.
        DependentsInstalled,
        /// Something that was asked for together with it did not come about; the message says what.
        PartFailed,
        /// Whoever was to carry it out found nothing to do.
        NothingToDo,
    }
}

/// Why an operation is skipped, with the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The stable reason.
    pub reason: SkipReason,
    /// One or two sentences with the facts.
    pub message: String,
}

impl Skip {
    /// The app was uninstalled while the operation waited.
    #[must_use]
    pub fn app_uninstalled(environment: &str) -> Self {
        let message = format!("The app is no longer installed in environment '{environment}'.");
        Self {
            reason: SkipReason::AppUninstalled,
            message,
        }
    }

    /// The environment disappeared while the operation waited.
    #[must_use]
    pub fn environment_gone(environment: &str) -> Self {
        let message = format!("Environment '{environment}' no longer exists.");
        Self {
            reason: SkipReason::EnvironmentGone,
            message,
        }
    }

    /// The environment came to belong to another country while the operation waited.
    #[must_use]
    pub fn environment_moved(environment: &str, from: CountryCode, to: CountryCode) -> Self {
        let message = format!(
            "Environment '{environment}' was in country {from} when this was scheduled and is in {to} now."
        );
        Self {
            reason: SkipReason::EnvironmentMoved,
            message,
        }
    }

    /// The target version disappeared while the operation waited.
    #[must_use]
    pub fn target_missing(target: AppVersion, country: CountryCode) -> Self {
        let message = format!("Version {target} is no longer uploaded for country {country}.");
        Self {
            reason: SkipReason::TargetMissing,
            message,
        }
    }

    /// The agent says that there was nothing to do.
    #[must_use]
    pub fn nothing_to_do(report: Option<&str>) -> Self {
        let message = report.unwrap_or("There was nothing to do.").to_owned();
        Self {
            reason: SkipReason::NothingToDo,
            message,
        }
    }
}

/// The text for `errorMessage`: the stable reason, then the sentence.
impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

vocabulary! {
    /// Why an operation failed.
    FailReason {
        /// The agent tried and reported what went wrong; its text is kept, but for secrets.
        Reported,
        /// The agent fell silent: nobody knows how far it came, so it is never carried out again by
        /// itself.
        OutcomeUnknown,
    }
}

/// The text for `errorMessage` of an operation whose agent gave no heartbeat any more after `last_heard`.
#[must_use]
pub fn outcome_unknown(environment: &str, last_heard: Instant) -> String {
    format!(
        "{}: Nothing was heard from the agent of environment '{environment}' after {last_heard}. The operation may have been carried out in part or in full and is not tried again \
         by itself. Check the environment, then report its installed apps or release it.",
        FailReason::OutcomeUnknown
    )
}

/// An operation whose time has come, as far as the choice among several of one environment needs to know
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The app that it changes.
    pub app_id: AppId,
    /// The apps whose due operations go first: those that its target needs, or, of an uninstall, those that need it.
    pub goes_after: Vec<AppId>,
    /// What it was asked for with: the first operation of a customer's plan, or itself.
    pub plan: OperationId,
    /// When it was to run at the earliest.
    pub run_after: Instant,
    /// When it was asked for.
    pub created_on: Instant,
}

/// Which of several due operations of one environment is next; none when there is none.
///
/// One that goes after another due one's app, directly or through a third due one, waits for it. The operations of one
/// plan go in the order in which they are given, which is the plan's. Among those that wait for
/// nobody the earliest `run_after` is next, then the earliest `created_on`, then the first given. Apps that need each
/// other in a circle do not wait for each other, only for what lies outside the circle; so there is always a next one.
#[must_use]
#[expect(
    clippy::indexing_slicing,
    reason = "all indices are those of the due operations"
)]
pub fn pick_next(due: &[Due]) -> Option<usize> {
    let earliest = |one: &usize| (due[*one].run_after, due[*one].created_on, *one);
    let needs = needs_by_index(due);
    if needs.iter().all(Vec::is_empty) {
        return (0..due.len()).min_by_key(earliest);
    }
    let reached: Vec<Vec<bool>> = (0..due.len()).map(|start| reachable(&needs, start)).collect();
    let waits_for = |one: usize, other: usize| reached[one][other] && !reached[other][one];
    let is_free = |one: usize| (0..due.len()).all(|other| !waits_for(one, other));
    let free = (0..due.len()).filter(|&one| is_free(one));
    free.min_by_key(earliest)
}

#[expect(
    clippy::indexing_slicing,
    reason = "all indices are those of the due operations"
)]
fn needs_by_index(due: &[Due]) -> Vec<Vec<usize>> {
    let index_of = |app: &AppId| due.iter().position(|other| other.app_id == *app);
    let needs = |(index, operation): (usize, &Due)| {
        let of_plan = due.iter().take(index).enumerate();
        let of_plan = of_plan.filter(|(_, other)| other.plan == operation.plan);
        let others = operation.goes_after.iter().filter_map(index_of);
        let others = others.filter(|&other| due[other].plan != operation.plan);
        others.chain(of_plan.map(|(other, _)| other)).collect()
    };
    due.iter().enumerate().map(needs).collect()
}

/// Every operation that `start` needs, directly or not. Walked with a stack of its own: data cannot
/// overflow it.
#[expect(
    clippy::indexing_slicing,
    reason = "all indices are those of the due operations"
)]
fn reachable(needs: &[Vec<usize>], start: usize) -> Vec<bool> {
    let mut seen = vec![false; needs.len()];
    let mut open = needs[start].clone();
    while let Some(next) = open.pop() {
        if !seen[next] {
            seen[next] = true;
            open.extend(&needs[next]);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn app(number: u128) -> AppId {
        AppId(Uuid::from_u128(number))
    }

    fn due(number: u128, depends_on: &[u128], run_after: i64, created_on: i64) -> Due {
        Due {
            app_id: app(number),
            goes_after: depends_on.iter().copied().map(app).collect(),
            plan: OperationId(Uuid::from_u128(number)),
            run_after: Instant(run_after),
            created_on: Instant(created_on),
        }
    }

    #[test]
    fn what_may_follow_what() {
        use OperationStatus::*;
        let allowed: Vec<_> = OperationStatus::ALL
            .iter()
            .flat_map(|&from| OperationStatus::ALL.iter().map(move |&to| (from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        let expected = [
            (Scheduled, Running),
            (Scheduled, Canceled),
            (Scheduled, Skipped),
            (Running, Succeeded),
            (Running, Failed),
            (Running, Skipped),
        ];
        assert_eq!(allowed, expected);
    }

    #[test]
    fn what_waits_or_runs_takes_the_slot_and_what_is_over_frees_it() {
        use OperationStatus::*;
        for status in [Scheduled, Running] {
            assert!(status.occupies_slot() && !status.is_terminal(), "{status}");
        }
        for status in [Succeeded, Failed, Canceled, Skipped] {
            assert!(!status.occupies_slot() && status.is_terminal(), "{status}");
        }
    }

    #[test]
    fn only_what_was_tried_to_its_end_was_completed() {
        use OperationStatus::*;
        let with_completion = OperationStatus::ALL
            .iter()
            .filter(|status| status.has_completion());
        assert_eq!(with_completion.collect::<Vec<_>>(), [&Succeeded, &Failed]);
    }

    #[test]
    fn only_what_is_scheduled_is_canceled_and_twice_is_no_error() {
        assert_eq!(
            check_cancel(OperationStatus::Scheduled).unwrap(),
            CancelOutcome::Cancel
        );
        assert_eq!(
            check_cancel(OperationStatus::Canceled).unwrap(),
            CancelOutcome::AlreadyCanceled
        );
        for status in [
            OperationStatus::Running,
            OperationStatus::Succeeded,
            OperationStatus::Failed,
            OperationStatus::Skipped,
        ] {
            let refused = check_cancel(status).unwrap_err();
            assert_eq!(refused.details[0].code, "NotCancelable");
            assert!(refused.message.contains(status.as_str()));
        }
    }

    #[test]
    fn canceled_is_the_only_status_that_can_be_asked_for() {
        assert!(check_requested_status(Some(OperationStatus::Canceled)).is_ok());
        assert_eq!(
            check_requested_status(None).unwrap_err().details[0].code,
            "NothingToChange"
        );
        let refused = check_requested_status(Some(OperationStatus::Running)).unwrap_err();
        assert_eq!(refused.details[0].code, "StatusNotAllowed");
    }

    #[test]
    fn error_messages_start_with_the_stable_reason() {
        assert_eq!(
            Skip::environment_gone("MyCustomer").to_string(),
            "EnvironmentGone: Environment 'MyCustomer' no longer exists."
        );
        let text = outcome_unknown("MyCustomer", Instant(0));
        let start = "OutcomeUnknown: Nothing was heard from the agent of environment 'MyCustomer'";
        assert!(text.starts_with(start), "{text}");
    }

    #[test]
    fn dependencies_come_before_earlier_wishes() {
        let due = [
            due(1, &[2], 0, 0),
            due(2, &[3], 5, 5),
            due(3, &[], 9, 9),
            due(4, &[], 10, 0),
        ];
        assert_eq!(pick_next(&due), Some(2));
        assert_eq!(
            pick_next(&due[..2]),
            Some(1),
            "an app that is not due is not waited for"
        );
    }

    #[test]
    fn then_run_after_then_created_on() {
        assert_eq!(pick_next(&[due(1, &[], 5, 0), due(2, &[], 4, 9)]), Some(1));
        assert_eq!(pick_next(&[due(1, &[], 5, 3), due(2, &[], 5, 2)]), Some(1));
        assert_eq!(pick_next(&[]), None);
    }

    #[test]
    fn a_circle_waits_only_for_what_lies_outside() {
        let circle = [due(1, &[2], 1, 0), due(2, &[1, 3], 0, 0), due(3, &[3], 9, 0)];
        assert_eq!(pick_next(&circle), Some(2));
        assert_eq!(pick_next(&circle[..2]), Some(1));
    }

    #[test]
    fn a_plan_goes_in_its_order_and_others_after_what_they_need_of_it() {
        let of_plan = |number, needs: &[u128]| Due {
            plan: OperationId(Uuid::from_u128(99)),
            ..due(number, needs, 1, 1)
        };
        // What 1 needs is 2, but 2 would break 1 as it is now: the plan says so.
        let mut due = vec![
            of_plan(1, &[2]),
            of_plan(2, &[]),
            of_plan(3, &[]),
            due(4, &[3], 0, 0),
        ];
        let mut order = Vec::new();
        while let Some(next) = pick_next(&due) {
            order.push(due.remove(next).app_id);
        }
        assert_eq!(order, [1, 2, 3, 4].map(app));
    }

    proptest! {
        #[test]
        fn terminal_states_never_change(
            path in prop::collection::vec(prop::sample::select(OperationStatus::ALL), 0..12),
        ) {
            let mut status = OperationStatus::Scheduled;
            for next in path {
                let was = status;
                if status.may_become(next) {
                    status = next;
                }
                prop_assert!(!was.is_terminal() || status == was);
                prop_assert!(status != OperationStatus::Scheduled || was == OperationStatus::Scheduled);
            }
        }

        /// Carrying out one after the other ends, does each once, and never one before what it needs,
        /// circles apart.
        #[test]
        fn the_order_respects_dependencies(
            edges in prop::collection::vec((0_usize..7, 0_u128..7), 0..14),
            times in prop::array::uniform7(0_i64..3),
        ) {
            let mut needs: [Vec<u128>; 7] = Default::default();
            for (from, to) in edges {
                needs[from].push(to);
            }
            let operations = needs.iter().zip(times).zip(0_u128..);
            let mut waiting: Vec<Due> =
                operations.map(|((needs, time), number)| due(number, needs, time, 0)).collect();
            for _ in 0..7 {
                let next = pick_next(&waiting).unwrap();
                let needs = needs_by_index(&waiting);
                let needed = reachable(&needs, next);
                for (other, needed) in needed.into_iter().enumerate() {
                    let in_a_circle = reachable(&needs, other)[next];
                    prop_assert!(!needed || in_a_circle, "{next} goes ahead of {other}, which it needs");
                }
                waiting.remove(next);
            }
            prop_assert_eq!(pick_next(&waiting), None);
        }
    }
}
