//! Trusted publishing: which runs of a pipeline may act for an app, and what they may do then.
//!
//! A pipeline's own issuer says what runs: of which repository, by which workflow, for which branch. An app's Owner says
//! once which of that is trusted (a [`Binding`]), and what it may ([`Right`]). Names are for people and can be given up
//! and taken by others, so what is compared are ids, and `sub` is never read.

use crate::{
    access::{Access, Permission, Resource},
    country::CountryCode,
    environment::EnvironmentKind,
    pattern::fits,
    problem::{Code, RuleError, UnknownWord},
    version::Availability,
    vocabulary::vocabulary,
};
use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

/// How long a publisher without ids waits for its first exchange.
pub const PENDING_FOR: Duration = Duration::from_hours(7 * 24);
/// How long a publisher's token is good unless its record says otherwise.
pub const DEFAULT_LIFETIME_SECONDS: u32 = 900;
/// The longest that one may be.
pub const LONGEST_LIFETIME_SECONDS: u32 = 3_600;
/// How long the shortest is.
pub const SHORTEST_LIFETIME_SECONDS: u32 = 60;
/// Exchanges of one publisher in an hour, at most.
pub const EXCHANGES_EACH_HOUR: u64 = 50;

/// Events by which a run may begin unless a record says otherwise: strangers can cause none of them.
pub const DEFAULT_EVENTS: [&str; 4] = ["push", "release", "workflow_dispatch", "schedule"];
/// Events that no record may allow, besides all of pull requests: by them people who may not push begin runs that have the
/// repository's own token.
const STRANGERS_EVENTS: [&str; 13] = [
    "check_run",
    "check_suite",
    "discussion",
    "discussion_comment",
    "fork",
    "gollum",
    "issue_comment",
    "issues",
    "label",
    "milestone",
    "status",
    "watch",
    "workflow_run",
];
/// What a pipeline runs on that nobody else's jobs have been on.
pub const HOSTED: &str = "github-hosted";
/// What it runs on that somebody keeps.
pub const SELF_HOSTED: &str = "self-hosted";

vocabulary! {
    /// Whose pipelines.
    Provider {
        /// GitHub Actions, in its cloud or on an Enterprise Server.
        GitHub,
        /// Azure Pipelines.
        AzureDevOps,
        /// GitLab, of whose claims nothing was checked yet.
        GitLab,
        /// An issuer whose tokens have the claims of GitHub's.
        Custom,
    }
}

vocabulary! {
    /// How far a publisher has come.
    PublisherState {
        /// Its ids are those of the first run that fits; until then it waits.
        Pending,
        /// Its ids are those of that run, and no Owner has said that they are right.
        Unconfirmed,
        /// An Owner has said which ids are meant.
        Active,
    }
}

/// One thing that a publisher may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Uploading versions as Preview.
    Upload,
    /// Changing to whom a version is offered, up to the record's highest availability.
    Availability,
    /// Scheduling and canceling hotfixes in sandboxes.
    HotfixSandbox,
    /// The same in production.
    HotfixProduction,
}

impl Right {
    /// Every right, the least first.
    pub const ALL: &[Self] = &[
        Self::Upload,
        Self::Availability,
        Self::HotfixSandbox,
        Self::HotfixProduction,
    ];

    /// It as the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Availability => "availability",
            Self::HotfixSandbox => "hotfix:sandbox",
            Self::HotfixProduction => "hotfix:production",
        }
    }

    /// What scheduling a hotfix there takes.
    #[must_use]
    pub fn of_hotfix(kind: EnvironmentKind) -> Self {
        match kind {
            EnvironmentKind::Production => Self::HotfixProduction,
            EnvironmentKind::Sandbox => Self::HotfixSandbox,
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Right {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL
            .iter()
            .find(|right| right.as_str().eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| UnknownWord {
            text: text.chars().take(80).collect(),
            known: Self::ALL.iter().map(|right| right.as_str()).collect(),
        })
    }
}

/// What a pipeline's token says that was proven to be its issuer's. What it does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineToken {
    /// Who issued it.
    pub issuer: String,
    /// The repository, `OWNER/NAME`.
    pub repository: Option<String>,
    /// Its id; on Azure DevOps the project's.
    pub repository_id: Option<String>,
    /// The id of who owns it; on Azure DevOps the organization's.
    pub owner_id: Option<String>,
    /// The workflow's file with its repository and ref, `OWNER/NAME/PATH@REF`; on Azure DevOps the pipeline's id.
    pub workflow: Option<String>,
    /// The same of the workflow that the job itself is in.
    pub job_workflow: Option<String>,
    /// The deployment environment of the job.
    pub environment: Option<String>,
    /// The branch or tag, from `refs/` on.
    pub git_ref: Option<String>,
    /// Whether that is protected.
    pub is_ref_protected: Option<bool>,
    /// What began the run.
    pub event: Option<String>,
    /// What it runs on.
    pub runner_environment: Option<String>,
    /// Which run it is.
    pub run: Option<String>,
}

/// Which runs of a pipeline are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Whose pipeline.
    pub provider: Provider,
    /// Who issues its tokens.
    pub issuer: String,
    /// Its repository, `OWNER/NAME`; on Azure DevOps `ORGANIZATION/PROJECT`, for people.
    pub repository: String,
    /// The id of the repository; on Azure DevOps the project's.
    pub repository_id: Option<String>,
    /// The id of its owner; on Azure DevOps the organization's.
    pub owner_id: Option<String>,
    /// The file of the workflow, its whole path; on Azure DevOps the pipeline's id.
    pub workflow: String,
    /// The workflow that the job itself has to be in, `OWNER/NAME/PATH`.
    pub job_workflow: Option<String>,
    /// The deployment environment that the job has to have.
    pub environment: Option<String>,
    /// The pattern that the branch or tag has to fit: `*` stands for any characters.
    pub ref_pattern: Option<String>,
    /// What may begin a run.
    pub events: Vec<String>,
    /// What it has to run on.
    pub runner_environment: String,
}

/// Something that a token says otherwise than the record that it should fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What, as the record calls it.
    pub what: &'static str,
    /// What the record expects.
    pub expected: String,
    /// What the token says, shortened, with nothing in it that is not seen.
    pub seen: Option<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, expected, seen } = self;
        match seen {
            Some(seen) => write!(f, "{what}: expected '{expected}', and the token says '{seen}'"),
            None => write!(
                f,
                "{what}: expected '{expected}', and the token says nothing of it"
            ),
        }
    }
}

/// Longest text of a token that is shown.
const LONGEST_SHOWN: usize = 200;

/// A text of a token as it may be shown and kept.
#[must_use]
pub fn shown(text: &str) -> String {
    let text: String = text.chars().take(LONGEST_SHOWN).collect();
    text.escape_debug().to_string()
}

impl Binding {
    fn is_azure_devops(&self) -> bool {
        self.provider == Provider::AzureDevOps
    }

    /// Whether an Owner has said, or a run has, which ids are meant.
    #[must_use]
    pub fn has_ids(&self) -> bool {
        self.repository_id.is_some() && self.owner_id.is_some()
    }

    /// Whether a token is of the repository that is meant, by its name or by its id: only then anything is said of it.
    #[must_use]
    pub fn is_about(&self, token: &PipelineToken) -> bool {
        let has_id = self.repository_id.is_some() && self.repository_id == token.repository_id;
        let has_name = token
            .repository
            .as_ref()
            .is_some_and(|name| name.eq_ignore_ascii_case(&self.repository));
        self.issuer == token.issuer && (has_id || has_name)
    }

    /// All that a token of that repository says otherwise; nothing where its run is trusted.
    #[must_use]
    pub fn mismatches(&self, token: &PipelineToken) -> Vec<Mismatch> {
        let mut found = Vec::new();
        let mut expect = |what, expected: &str, seen: Option<&str>, is_right: bool| {
            if !is_right {
                found.push(Mismatch {
                    what,
                    expected: expected.to_owned(),
                    seen: seen.map(shown),
                });
            }
        };
        let ids = [
            ("ownerId", &self.owner_id, &token.owner_id),
            ("repositoryId", &self.repository_id, &token.repository_id),
        ];
        for (what, expected, seen) in ids {
            match expected {
                Some(expected) => expect(what, expected, seen.as_deref(), Some(expected) == seen.as_ref()),
                // What is locked at first use has to be there to be locked.
                None => expect(what, "any", None, seen.is_some()),
            }
        }
        let workflow = token.workflow.as_deref();
        let is_right = match (workflow, self.is_azure_devops()) {
            (Some(id), true) => id == self.workflow,
            (Some(named), false) => self.is_own_workflow(named, token.repository.as_deref()),
            (None, _) => false,
        };
        expect("workflow", &self.workflow, workflow, is_right);
        if let Some(expected) = &self.job_workflow {
            let seen = token.job_workflow.as_deref();
            expect(
                "jobWorkflow",
                expected,
                seen,
                seen.is_some_and(|seen| without_ref(seen) == expected),
            );
        }
        if let Some(expected) = &self.environment {
            let seen = token.environment.as_deref();
            // GitHub's environments are the same in any case.
            let is_right = seen.is_some_and(|seen| seen.to_lowercase() == expected.to_lowercase());
            expect("environment", expected, seen, is_right);
        }
        if let Some(expected) = &self.ref_pattern {
            let seen = token.git_ref.as_deref();
            expect(
                "refPattern",
                expected,
                seen,
                seen.is_some_and(|seen| fits(expected, seen)),
            );
        }
        let is_unprotected = token.is_ref_protected == Some(false);
        expect("ref_protected", "true", Some("false"), !is_unprotected);
        if !self.is_azure_devops() {
            let seen = token.event.as_deref();
            let is_right = seen.is_some_and(|seen| self.events.iter().any(|event| event == seen));
            expect("events", &self.events.join(", "), seen, is_right);
            let seen = token.runner_environment.as_deref();
            let expected = &self.runner_environment;
            expect(
                "runnerEnvironment",
                expected,
                seen,
                seen == Some(expected.as_str()),
            );
        }
        found
    }

    /// Whether a workflow is the file that is meant, in the repository that the token is of: up to its last `@`, behind which
    /// stands the ref.
    fn is_own_workflow(&self, named: &str, repository: Option<&str>) -> bool {
        let path =
            repository.and_then(|repository| without_ref(named).strip_prefix(repository)?.strip_prefix('/'));
        path == Some(self.workflow.as_str())
    }

    /// Whether it may be kept: narrow enough that nobody fits it who may not.
    ///
    /// # Errors
    /// `ProviderNotSupported`, `IdsRequired`, `BindingTooWide`, `EventNotAllowed`, `InvalidInput`; each names the property.
    pub fn check(&self) -> Result<(), RuleError> {
        if self.provider == Provider::GitLab {
            let message = "What GitLab's tokens say has not been checked yet, so none is trusted.";
            return Err(RuleError::broken("ProviderNotSupported", message).about("provider"));
        }
        if self.repository_id.is_some() != self.owner_id.is_some() {
            let message = "'repositoryId' and 'ownerId' belong together: both are compared, or both are locked at first use.";
            return Err(RuleError::broken("IdsRequired", message).about("repositoryId"));
        }
        if self.is_azure_devops() && !self.has_ids() {
            let message = "Tokens of Azure DevOps name nothing by name that could be trusted: give 'ownerId' (org_id) and \
                           'repositoryId' (prj_id), and as 'workflow' the pipeline's id (def_id).";
            return Err(RuleError::broken("IdsRequired", message).about("repositoryId"));
        }
        if !self.is_azure_devops() {
            self.check_names()?;
        }
        self.check_ref()?;
        for event in &self.events {
            if STRANGERS_EVENTS.contains(&event.as_str()) || event.starts_with("pull_request") {
                let message = format!("Strangers can cause '{event}', so no publisher may act upon it.");
                return Err(RuleError::broken("EventNotAllowed", message).about("events"));
            }
        }
        if self.events.is_empty() {
            return Err(RuleError::invalid(
                "events",
                "'events' is empty: nothing could begin a run.",
            ));
        }
        if ![HOSTED, SELF_HOSTED].contains(&self.runner_environment.as_str()) {
            let message = format!("'runnerEnvironment' is '{HOSTED}' or '{SELF_HOSTED}'.");
            return Err(RuleError::invalid("runnerEnvironment", message));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), RuleError> {
        let parts: Vec<_> = self.repository.split('/').collect();
        if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) {
            let message = "'repository' must be OWNER/NAME.";
            return Err(RuleError::invalid("repository", message));
        }
        let is_path =
            self.workflow.contains('/') && !self.workflow.starts_with('/') && !self.workflow.contains('@');
        if !is_path {
            let message =
                "'workflow' must be the whole path of the file, such as .github/workflows/release.yml.";
            return Err(RuleError::invalid("workflow", message));
        }
        Ok(())
    }

    /// Whoever may push to any branch may change the workflow there.
    fn check_ref(&self) -> Result<(), RuleError> {
        if self.ref_pattern.is_none() && (self.environment.is_none() || self.is_azure_devops()) {
            let message = "Any branch could publish: give a 'refPattern', such as refs/heads/main or refs/tags/v*, or the \
                           'environment' of the job, whose rules say who may deploy. Azure DevOps has no environment in its \
                           tokens.";
            return Err(RuleError::broken("BindingTooWide", message).about("refPattern"));
        }
        let Some(pattern) = &self.ref_pattern else {
            return Ok(());
        };
        let mut kinds = ["refs/heads/", "refs/tags/"].iter();
        let name = kinds.find_map(|kind| pattern.strip_prefix(kind));
        if name.is_some_and(|name| !name.is_empty() && !name.starts_with('*')) {
            return Ok(());
        }
        let message = format!(
            "'{pattern}' fits too much: begin with refs/heads/ and what the branch begins with, or with refs/tags/ and what \
             the tag begins with."
        );
        Err(RuleError::broken("BindingTooWide", message).about("refPattern"))
    }
}

fn without_ref(workflow: &str) -> &str {
    workflow.rsplit_once('@').map_or(workflow, |(path, _)| path)
}

/// What a publisher may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whose pipeline it is.
    pub provider: Provider,
    /// Whether an Owner has said whose.
    pub state: PublisherState,
    /// What its record allows.
    pub may: BTreeSet<Right>,
    /// The highest availability that it may give a version, or change.
    pub max_availability: Availability,
    /// The countries that it is confined to; the app's where none are named.
    pub countries: Option<BTreeSet<CountryCode>>,
}

/// What a record may hold for its provider: the audience of Azure DevOps' tokens is everybody's, so that another who is shown
/// one could come with it first.
///
/// # Errors
/// `NotForProvider`.
pub fn check_grant(grant: &Grant) -> Result<(), RuleError> {
    let is_wide = grant.may.contains(&Right::Availability)
        || grant.may.contains(&Right::HotfixProduction)
        || grant.max_availability != Availability::Preview;
    if grant.provider == Provider::AzureDevOps && is_wide {
        let message = "A pipeline of Azure DevOps may upload Preview versions and schedule hotfixes in sandboxes, and no \
                       more: its tokens are not for this service alone.";
        return Err(RuleError::broken("NotForProvider", message).about("may"));
    }
    if grant.may.is_empty() {
        return Err(RuleError::invalid(
            "may",
            "'may' is empty: the publisher could do nothing.",
        ));
    }
    if grant.max_availability == Availability::Deprecated {
        let message =
            "'maxAvailability' is Preview or Available; what may be Available may be Deprecated too.";
        return Err(RuleError::invalid("maxAvailability", message));
    }
    Ok(())
}

impl Grant {
    fn is_confirmed(&self) -> bool {
        self.state == PublisherState::Active
    }

    /// Whether it may do this now. Of a publisher of which no Owner has said that its ids are right, nothing but uploads is
    /// taken.
    #[must_use]
    pub fn has(&self, right: Right) -> bool {
        self.may.contains(&right) && (self.is_confirmed() || right == Right::Upload)
    }

    /// All that it may do now.
    pub fn rights(&self) -> impl Iterator<Item = Right> {
        self.may.iter().copied().filter(|right| self.has(*right))
    }

    /// The highest availability that it may give a version now.
    #[must_use]
    pub fn highest_availability(&self) -> Availability {
        if self.is_confirmed() {
            self.max_availability
        } else {
            Availability::Preview
        }
    }

    fn has_hotfixes(&self) -> bool {
        self.has(Right::HotfixSandbox) || self.has(Right::HotfixProduction)
    }

    /// Whether it may do this kind of thing at all.
    #[must_use]
    pub fn permits(&self, permission: Permission) -> bool {
        match (permission.access, permission.resource) {
            (Access::Read, Resource::Apps | Resource::Countries | Resource::Versions) => true,
            (Access::Write, Resource::Versions) => self.has(Right::Upload) || self.has(Right::Availability),
            (Access::Read, Resource::Environments) | (_, Resource::EnvironmentHotfixes) => {
                self.has_hotfixes()
            }
            _ => false,
        }
    }

    /// Decides about a kind of thing, in a country where one is asked about.
    ///
    /// # Errors
    /// `Forbidden`, which says what the record allows.
    pub fn check(&self, permission: Permission, country: Option<CountryCode>) -> Result<(), RuleError> {
        if !self.permits(permission) {
            return Err(self.refuse(&format!("This needs {permission}.")));
        }
        match (&self.countries, country) {
            (Some(countries), Some(country)) if !countries.contains(&country) => {
                Err(self.refuse(&format!("Country {country} is none of the publisher's.")))
            }
            _ => Ok(()),
        }
    }

    /// Decides about what belongs to all countries together.
    ///
    /// # Errors
    /// `Forbidden` for whoever is confined to some.
    pub fn check_all_countries(&self) -> Result<(), RuleError> {
        match &self.countries {
            Some(_) => Err(self.refuse("This tells of all countries; ask for each of the publisher's.")),
            None => Ok(()),
        }
    }

    /// Decides about an upload that begins with this availability.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn check_upload(&self, availability: Availability) -> Result<(), RuleError> {
        if !self.has(Right::Upload) {
            return Err(self.refuse("This needs 'upload'."));
        }
        match availability {
            Availability::Preview => Ok(()),
            _ => self.check_offer(availability),
        }
    }

    /// Decides about a change from one availability to another. What a person offered further is theirs to take back.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn check_availability(&self, before: Availability, after: Availability) -> Result<(), RuleError> {
        self.check_offer(before)?;
        self.check_offer(after)
    }

    fn check_offer(&self, availability: Availability) -> Result<(), RuleError> {
        if !self.has(Right::Availability) {
            return Err(self.refuse("This needs 'availability'."));
        }
        if availability != Availability::Preview && self.max_availability == Availability::Preview {
            return Err(self.refuse(&format!(
                "A version that is {availability} is beyond the publisher's maxAvailability, Preview."
            )));
        }
        Ok(())
    }

    /// Decides about a hotfix in an environment of that kind.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn check_hotfix(&self, kind: EnvironmentKind) -> Result<(), RuleError> {
        let right = Right::of_hotfix(kind);
        match self.has(right) {
            true => Ok(()),
            false => Err(self.refuse(&format!("This needs '{right}'."))),
        }
    }

    /// The refusal of what it may not do, with what it may.
    #[must_use]
    pub fn refuse(&self, what: &str) -> RuleError {
        let may: Vec<_> = self.may.iter().map(|right| right.as_str()).collect();
        let mut message = format!("{what} The publisher's record says may: {}.", may.join(", "));
        if !self.is_confirmed() {
            message.push_str(" Until an Owner confirms its ids it may only upload versions as Preview.");
        }
        RuleError::new(Code::Forbidden, message)
    }

    /// Whether it allows something that `other` does not.
    #[must_use]
    pub fn is_wider_than(&self, other: &Self) -> bool {
        let has_more_countries = match (&self.countries, &other.countries) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(own), Some(others)) => !own.is_subset(others),
        };
        !self.may.is_subset(&other.may)
            || self.max_availability > other.max_availability
            || has_more_countries
            || self.is_confirmed() && !other.is_confirmed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binding() -> Binding {
        Binding {
            provider: Provider::GitHub,
            issuer: "https://token.actions.githubusercontent.com".into(),
            repository: "contoso/sales-pack".into(),
            repository_id: Some("42".into()),
            owner_id: Some("7".into()),
            workflow: ".github/workflows/release.yml".into(),
            job_workflow: None,
            environment: None,
            ref_pattern: Some("refs/heads/main".into()),
            events: DEFAULT_EVENTS.map(str::to_owned).into(),
            runner_environment: HOSTED.into(),
        }
    }

    fn token() -> PipelineToken {
        let text = |text: &str| Some(text.to_owned());
        PipelineToken {
            issuer: binding().issuer,
            repository: text("contoso/sales-pack"),
            repository_id: text("42"),
            owner_id: text("7"),
            workflow: text("contoso/sales-pack/.github/workflows/release.yml@refs/heads/main"),
            job_workflow: text("contoso/shared/.github/workflows/upload.yml@refs/tags/v1"),
            environment: text("production"),
            git_ref: text("refs/heads/main"),
            is_ref_protected: Some(true),
            event: text("push"),
            runner_environment: text(HOSTED),
            run: text("1"),
        }
    }

    fn wrong(binding: &Binding, token: &PipelineToken) -> Vec<&'static str> {
        binding.mismatches(token).iter().map(|found| found.what).collect()
    }

    #[test]
    fn the_run_that_is_meant_fits() {
        assert!(binding().is_about(&token()));
        assert_eq!(wrong(&binding(), &token()), [""; 0]);
        let by_environment = Binding {
            environment: Some("Production".into()),
            ref_pattern: None,
            job_workflow: Some("contoso/shared/.github/workflows/upload.yml".into()),
            ..binding()
        };
        assert_eq!(wrong(&by_environment, &token()), [""; 0]);
    }

    /// P2, P3, P4 and P5: each claim that is otherwise is named, with what was expected.
    #[test]
    fn whatever_is_otherwise_is_named() {
        type Change = fn(&mut PipelineToken);
        let changes: [(&str, Change); 14] = [
            ("ownerId", |token| token.owner_id = Some("8".into())),
            ("ownerId", |token| token.owner_id = None),
            ("repositoryId", |token| token.repository_id = Some("43".into())),
            ("workflow", |token| {
                token.workflow = Some("contoso/sales-pack/.github/workflows/ci.yml@refs/heads/main".into());
            }),
            ("workflow", |token| {
                token.workflow = Some("contoso/fork/.github/workflows/release.yml@refs/heads/main".into());
            }),
            ("workflow", |token| {
                token.workflow = Some("contoso/sales-pack/release.yml@refs/heads/main".into());
            }),
            ("workflow", |token| token.workflow = None),
            ("refPattern", |token| token.git_ref = Some("refs/heads/x".into())),
            ("refPattern", |token| {
                token.git_ref = Some("refs/heads/main2".into())
            }),
            ("ref_protected", |token| token.is_ref_protected = Some(false)),
            ("events", |token| token.event = Some("pull_request_target".into())),
            ("events", |token| token.event = None),
            ("runnerEnvironment", |token| {
                token.runner_environment = Some(SELF_HOSTED.into())
            }),
            ("runnerEnvironment", |token| token.runner_environment = None),
        ];
        for (what, change) in changes {
            let mut token = token();
            change(&mut token);
            assert_eq!(wrong(&binding(), &token), [what]);
        }
        let shown = Binding {
            environment: Some("live".into()),
            ..binding()
        }
        .mismatches(&token());
        let shown: Vec<_> = shown.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["environment: expected 'live', and the token says 'production'"]
        );
    }

    /// P3: of every event that GitHub knows, those that only people of the repository cause are taken.
    #[test]
    fn only_events_of_people_of_the_repository_begin_a_run() {
        for event in [
            "branch_protection_rule",
            "check_run",
            "check_suite",
            "create",
            "delete",
            "deployment",
            "discussion",
            "fork",
            "gollum",
            "issue_comment",
            "issues",
            "label",
            "merge_group",
            "milestone",
            "page_build",
            "project",
            "public",
            "pull_request",
            "pull_request_comment",
            "pull_request_review",
            "pull_request_review_comment",
            "pull_request_target",
            "registry_package",
            "repository_dispatch",
            "status",
            "watch",
            "workflow_call",
            "workflow_run",
        ] {
            let token = PipelineToken {
                event: Some(event.into()),
                ..token()
            };
            assert_eq!(wrong(&binding(), &token), ["events"], "{event}");
        }
        for event in DEFAULT_EVENTS {
            let token = PipelineToken {
                event: Some(event.into()),
                ..token()
            };
            assert_eq!(wrong(&binding(), &token), [""; 0], "{event}");
        }
    }

    #[test]
    fn a_renamed_repository_is_known_by_its_id_and_a_taken_name_is_found_out() {
        let renamed = PipelineToken {
            repository: Some("fabrikam/packs".into()),
            workflow: Some("fabrikam/packs/.github/workflows/release.yml@refs/heads/main".into()),
            ..token()
        };
        assert!(binding().is_about(&renamed));
        assert_eq!(wrong(&binding(), &renamed), [""; 0]);
        let taken = PipelineToken {
            repository_id: Some("99".into()),
            owner_id: Some("98".into()),
            ..token()
        };
        assert!(binding().is_about(&taken));
        assert_eq!(wrong(&binding(), &taken), ["ownerId", "repositoryId"]);
        let elsewhere = PipelineToken {
            issuer: "https://ghe.contoso.com".into(),
            ..token()
        };
        assert!(!binding().is_about(&elsewhere));
    }

    #[test]
    fn azure_devops_is_compared_by_ids_alone() {
        let binding = Binding {
            provider: Provider::AzureDevOps,
            workflow: "12".into(),
            ..binding()
        };
        let token = PipelineToken {
            repository: None,
            workflow: Some("12".into()),
            event: None,
            runner_environment: None,
            is_ref_protected: None,
            ..token()
        };
        assert!(binding.is_about(&token) && binding.check().is_ok());
        assert_eq!(wrong(&binding, &token), [""; 0]);
        let other = PipelineToken {
            workflow: Some("13".into()),
            ..token
        };
        assert_eq!(wrong(&binding, &other), ["workflow"]);
    }

    #[test]
    fn what_would_trust_too_many_is_refused() {
        type Change = fn(&mut Binding);
        let changes: [(&str, Change); 16] = [
            ("provider", |binding| binding.provider = Provider::GitLab),
            ("repositoryId", |binding| binding.owner_id = None),
            ("repositoryId", |binding| {
                binding.provider = Provider::AzureDevOps;
                (binding.owner_id, binding.repository_id) = (None, None);
            }),
            ("refPattern", |binding| {
                binding.provider = Provider::AzureDevOps;
                (binding.environment, binding.ref_pattern) = (Some("live".into()), None);
            }),
            ("refPattern", |binding| binding.ref_pattern = None),
            ("refPattern", |binding| binding.ref_pattern = Some("*".into())),
            ("refPattern", |binding| {
                binding.ref_pattern = Some("refs/*".into())
            }),
            ("refPattern", |binding| {
                binding.ref_pattern = Some("refs/heads/*".into())
            }),
            ("refPattern", |binding| {
                binding.ref_pattern = Some("refs/heads/**".into())
            }),
            ("refPattern", |binding| {
                binding.ref_pattern = Some("refs/tags/*".into())
            }),
            ("refPattern", |binding| {
                binding.ref_pattern = Some("refs/tags/**".into())
            }),
            ("refPattern", |binding| {
                binding.ref_pattern = Some("refs/pull/*".into())
            }),
            ("refPattern", |binding| binding.ref_pattern = Some("main".into())),
            ("workflow", |binding| binding.workflow = "release.yml".into()),
            ("repository", |binding| binding.repository = "contoso".into()),
            ("runnerEnvironment", |binding| {
                binding.runner_environment = "any".into()
            }),
        ];
        for (target, change) in changes {
            let mut binding = binding();
            change(&mut binding);
            let error = binding.check().unwrap_err();
            assert_eq!(error.target.as_deref(), Some(target), "{binding:?}: {error}");
        }
        for pattern in ["refs/heads/main", "refs/heads/release/*", "refs/tags/v*"] {
            let binding = Binding {
                ref_pattern: Some(pattern.into()),
                ..binding()
            };
            assert!(binding.check().is_ok(), "{pattern}");
        }
    }

    /// P3: nobody may allow what people cause who may not push, and whoever asks for it is told which event it is.
    #[test]
    fn no_publisher_acts_upon_what_strangers_cause() {
        let of = |event: &str| {
            let events = vec!["push".into(), event.into()];
            Binding { events, ..binding() }.check()
        };
        for event in STRANGERS_EVENTS.into_iter().chain([
            "pull_request",
            "pull_request_comment",
            "pull_request_review",
            "pull_request_review_comment",
            "pull_request_target",
        ]) {
            let error = of(event).unwrap_err();
            assert_eq!(error.target.as_deref(), Some("events"), "{event}");
            assert!(
                error
                    .details
                    .iter()
                    .any(|detail| detail.code == "EventNotAllowed"),
                "{event}"
            );
            assert!(error.message.contains(&format!("'{event}'")), "{error}");
        }
        for event in DEFAULT_EVENTS
            .into_iter()
            .chain(["create", "repository_dispatch"])
        {
            assert!(of(event).is_ok(), "{event}");
        }
    }

    fn grant(may: &[Right]) -> Grant {
        Grant {
            provider: Provider::GitHub,
            state: PublisherState::Active,
            may: may.iter().copied().collect(),
            max_availability: Availability::Preview,
            countries: None,
        }
    }

    /// P1.
    #[test]
    fn a_usual_publisher_uploads_previews_and_no_more() {
        let usual = grant(&[Right::Upload]);
        assert!(usual.check_upload(Availability::Preview).is_ok());
        for refused in [
            usual.check_upload(Availability::Available),
            usual.check_availability(Availability::Preview, Availability::Preview),
            usual.check_hotfix(EnvironmentKind::Sandbox),
            usual.check_hotfix(EnvironmentKind::Production),
            usual.check(Permission::write(Resource::Countries), None),
            usual.check(Permission::read(Resource::Principals), None),
            usual.check(Permission::write(Resource::Principals), None),
            usual.check(Permission::read(Resource::Environments), None),
            usual.check(Permission::read(Resource::TrustedPublishers), None),
            usual.check(Permission::read(Resource::Webhooks), None),
            usual.check(Permission::read(Resource::Tokens), None),
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.code, Code::Forbidden);
            assert!(
                refused.message.ends_with("says may: upload."),
                "{}",
                refused.message
            );
        }
    }

    #[test]
    fn each_right_is_its_own() {
        let offers = Grant {
            max_availability: Availability::Available,
            ..grant(&[Right::Upload, Right::Availability])
        };
        assert!(offers.check_upload(Availability::Available).is_ok());
        assert!(
            offers
                .check_availability(Availability::Available, Availability::Deprecated)
                .is_ok()
        );
        let capped = grant(&[Right::Upload, Right::Availability]);
        assert!(capped.check_upload(Availability::Available).is_err());
        assert!(
            capped
                .check_availability(Availability::Available, Availability::Preview)
                .is_err()
        );
        assert!(
            capped
                .check_availability(Availability::Preview, Availability::Preview)
                .is_ok()
        );
        let sandboxes = grant(&[Right::HotfixSandbox]);
        assert!(sandboxes.check_hotfix(EnvironmentKind::Sandbox).is_ok());
        assert!(sandboxes.check_hotfix(EnvironmentKind::Production).is_err());
        assert!(sandboxes.check_upload(Availability::Preview).is_err());
        assert!(!sandboxes.permits(Permission::write(Resource::Versions)));
    }

    /// P4.
    #[test]
    fn until_it_is_confirmed_it_uploads_previews_alone() {
        for state in [PublisherState::Pending, PublisherState::Unconfirmed] {
            let wide = Grant {
                state,
                max_availability: Availability::Available,
                ..grant(Right::ALL)
            };
            assert!(wide.check_upload(Availability::Preview).is_ok());
            let refused = wide.check_upload(Availability::Available).unwrap_err();
            assert!(
                refused.message.contains("Until an Owner confirms"),
                "{}",
                refused.message
            );
            assert!(
                wide.check_availability(Availability::Preview, Availability::Preview)
                    .is_err()
            );
            assert!(wide.check_hotfix(EnvironmentKind::Sandbox).is_err());
        }
    }

    /// P6.
    #[test]
    fn azure_devops_offers_nothing() {
        let of = |may: &[Right], max_availability| {
            check_grant(&Grant {
                provider: Provider::AzureDevOps,
                max_availability,
                ..grant(may)
            })
        };
        assert!(of(&[Right::Upload, Right::HotfixSandbox], Availability::Preview).is_ok());
        assert!(of(&[Right::Upload], Availability::Available).is_err());
        assert!(of(&[Right::Upload, Right::Availability], Availability::Preview).is_err());
        assert!(of(&[Right::HotfixProduction], Availability::Preview).is_err());
    }

    #[test]
    fn countries_confine() {
        let confined = Grant {
            countries: Some(["US".parse().unwrap()].into()),
            ..grant(&[Right::Upload])
        };
        let write = Permission::write(Resource::Versions);
        assert!(confined.check(write, Some("US".parse().unwrap())).is_ok());
        assert!(confined.check(write, Some("DE".parse().unwrap())).is_err());
        assert!(confined.check_all_countries().is_err());
        assert!(grant(&[Right::Upload]).check_all_countries().is_ok());
        assert!(grant(Right::ALL).is_wider_than(&grant(&[Right::Upload])));
        assert!(grant(&[Right::Upload]).is_wider_than(&confined));
        assert!(!confined.is_wider_than(&grant(&[Right::Upload])));
    }

    proptest! {
        /// Whatever a token says, a run is trusted only with both ids, the workflow, the ref, an event and a runner that fit.
        #[test]
        fn nothing_fits_that_differs(at in 0_usize..6, text in "[ -~]{1,20}") {
            let mut token = token();
            let claim = match at {
                0 => &mut token.owner_id,
                1 => &mut token.repository_id,
                2 => &mut token.workflow,
                3 => &mut token.git_ref,
                4 => &mut token.event,
                _ => &mut token.runner_environment,
            };
            let is_same = claim.as_deref() == Some(text.as_str()) || DEFAULT_EVENTS.contains(&text.as_str());
            *claim = Some(text);
            prop_assume!(!is_same);
            prop_assert!(!binding().mismatches(&token).is_empty());
        }

        /// No series of narrower records permits more: what is in the smaller set is in the larger one.
        #[test]
        fn more_rights_permit_no_less(few in 0_usize..16, more in 0_usize..16) {
            let of = |bits: usize| {
                let rights: Vec<_> = (0..4).filter(|at| bits & (1 << at) != 0).map(|at| Right::ALL[at]).collect();
                grant(&rights)
            };
            let (small, large) = (of(few), of(few | more));
            for resource in [Resource::Apps, Resource::Versions, Resource::Environments, Resource::EnvironmentHotfixes] {
                for permission in [Permission::read(resource), Permission::write(resource)] {
                    prop_assert!(!small.permits(permission) || large.permits(permission));
                }
            }
            prop_assert!(!small.is_wider_than(&large));
        }
    }
}
