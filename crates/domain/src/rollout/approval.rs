//! Whether a rollout has to be approved, and who may do that.

use super::definition::{Definition, Later};
use crate::{
    instant::Instant,
    principal::{CallerKind, Role, Roles},
    problem::{Code, RuleError},
    vocabulary::vocabulary,
};
use std::time::Duration;

/// How long somebody must have had their role before they may approve: whoever adds a helper to an app cannot have them
/// approve at once.
pub const ROLE_AGE: Duration = Duration::from_secs(24 * 3_600);
/// How long ago somebody may have signed in who approves.
pub const SIGN_IN_AGE: Duration = Duration::from_secs(15 * 60);

vocabulary! {
    /// Whether a rollout has its approval.
    Approval {
        /// Nobody has to approve it.
        NotNeeded,
        /// Somebody has to.
        Needed,
        /// Somebody did.
        Given,
    }
}

/// Which rollouts of an app have to be approved by somebody else than who creates them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApprovalPolicy {
    /// Those that say so themselves.
    #[default]
    Never,
    /// All.
    Always,
    /// Those to more production environments than this; to any at all where update windows are ignored, and where
    /// nobody can say to how many.
    ProductionAbove(u64),
}

impl ApprovalPolicy {
    /// Whether a rollout has to be approved whose selection has so many production environments.
    #[must_use]
    pub fn requires(self, definition: &Definition, production: u64) -> bool {
        let by_policy = match self {
            Self::Never => false,
            Self::Always => true,
            Self::ProductionAbove(most) => {
                let ignores_windows = definition.ignore_upgrade_window.is_some() && production > 0;
                production > most || ignores_windows || definition.select.later == Later::Include
            }
        };
        definition.approval_required || by_policy
    }
}

/// Who wants to approve or reject a rollout.
#[derive(Clone, Copy, Debug)]
pub struct Approver {
    /// What kind of identity they are.
    pub kind: CallerKind,
    /// Their roles on the app.
    pub roles: Roles,
    /// Since when they have had one that lets them.
    pub role_since: Option<Instant>,
    /// When they last signed in, if their token says.
    pub signed_in: Option<Instant>,
    /// Whether the rollout is theirs.
    pub is_creator: bool,
    /// Whether they uploaded the target.
    pub is_uploader: bool,
}

impl Approver {
    /// Whether they may approve it.
    ///
    /// # Errors
    /// `Forbidden`, with the narrower reason.
    pub fn check(&self, now: Instant) -> Result<(), RuleError> {
        self.check_other()?;
        if self.is_uploader {
            let message = "Who uploaded the target may not approve that it is brought to customers.";
            return Err(forbidden("UploaderMayNotApprove", message));
        }
        let may_from = self.role_since.map(|since| since + ROLE_AGE);
        if may_from.is_none_or(|may_from| now < may_from) {
            let from = may_from.map_or(String::new(), |from| format!(", which is from {from} on"));
            let message =
                format!("Who approves a rollout must have been Contributor or Owner for 24 hours{from}.");
            return Err(forbidden("RoleTooNew", message));
        }
        let is_recent = self
            .signed_in
            .is_some_and(|signed_in| now.since(signed_in) <= SIGN_IN_AGE);
        if !is_recent {
            let message =
                "Who approves a rollout must have signed in within the last 15 minutes. Sign in again.";
            return Err(forbidden("SignInTooOld", message));
        }
        Ok(())
    }

    /// Whether they may say anything about it as somebody else than its creator.
    ///
    /// # Errors
    /// `Forbidden`, with the narrower reason.
    pub fn check_other(&self) -> Result<(), RuleError> {
        if self.kind != CallerKind::User {
            let message = "A rollout is approved by a person: an application or a pipeline may not.";
            return Err(forbidden("ApproverMustBeUser", message));
        }
        if self.is_creator {
            let message = "Who created a rollout may not approve it.";
            return Err(forbidden("CreatorMayNotApprove", message));
        }
        if !self.roles.contains(Role::Contributor) && !self.roles.contains(Role::Owner) {
            let message = "Who approves a rollout must be Contributor or Owner of its app.";
            return Err(forbidden("ApproverNeedsRole", message));
        }
        Ok(())
    }
}

fn forbidden(reason: &str, message: impl Into<String>) -> RuleError {
    let message = message.into();
    RuleError::new(Code::Forbidden, message.clone()).because(reason, message)
}
