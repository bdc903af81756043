//! Trusted publishers: which runs of pipelines may act for an app, and how one exchanges its own issuer's token for one of
//! the service's.
//!
//! None of it is part of the original's API.

use crate::{
    entity::{Entity, entity},
    lenient::{self, Object},
};
use domain::{
    ids::Etag,
    instant::Instant,
    problem::RuleError,
    publisher::{
        DEFAULT_EVENTS, DEFAULT_LIFETIME_SECONDS, HOSTED, LONGEST_LIFETIME_SECONDS, Provider, PublisherState,
        Right, SHORTEST_LIFETIME_SECONDS,
    },
    text::control_in,
    version::Availability,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use uuid::Uuid;

/// Longest text of a record, in characters.
const LONGEST_TEXT: usize = 500;
/// Most events, and most countries, of a record.
const MOST: usize = 50;

entity! {
    /// The runs of a pipeline that may act for an app.
    TrustedPublisher "trustedPublisher" keyed by ["id"] tagged by etag {
        /// By which it is addressed.
        id "id": Uuid,
        /// GitHub, AzureDevOps, or Custom for another issuer with the claims of GitHub's.
        #[schema(value_type = crate::words::Provider)]
        provider "provider": Provider,
        /// Who issues the pipeline's tokens: one that the operator has enabled.
        #[schema(example = "https://token.actions.githubusercontent.com")]
        issuer "issuer": String,
        /// `OWNER/NAME`; of Azure DevOps `ORGANIZATION/PROJECT`, for people.
        #[schema(example = "contoso/sales-pack")]
        repository "repository": String,
        /// The id of the repository; of Azure DevOps the project's (`prj_id`).
        #[serde(default)]
        #[schema(example = "123456789")]
        repository_id "repositoryId": Option<String>,
        /// The id of its owner; of Azure DevOps the organization's (`org_id`).
        #[serde(default)]
        #[schema(example = "9876543")]
        owner_id "ownerId": Option<String>,
        /// The file of the workflow, its whole path; of Azure DevOps the pipeline's id (`def_id`).
        #[schema(example = ".github/workflows/release.yml")]
        workflow "workflow": String,
        /// The workflow that the job itself has to be in, `OWNER/NAME/PATH`, where it is a reusable one.
        #[serde(default)]
        job_workflow "jobWorkflow": Option<String>,
        /// The deployment environment that the job has to have.
        #[serde(default)]
        #[schema(example = "release")]
        environment "environment": Option<String>,
        /// What the branch or tag has to fit; `*` stands for any characters.
        #[serde(default)]
        #[schema(example = "refs/heads/main")]
        ref_pattern "refPattern": Option<String>,
        /// What may begin a run.
        #[schema(example = json!(["push", "release", "workflow_dispatch", "schedule"]))]
        events "events": Vec<String>,
        /// What it has to run on: github-hosted or self-hosted.
        #[schema(example = "github-hosted")]
        runner_environment "runnerEnvironment": String,
        /// What a run may: upload, availability, hotfix:sandbox, hotfix:production.
        #[schema(example = json!(["upload"]))]
        may "may": Vec<String>,
        /// The highest availability that it may give a version.
        #[schema(value_type = crate::words::Availability)]
        max_availability "maxAvailability": Availability,
        /// The countries that it is confined to; all of the app's when there are none.
        #[serde(default)]
        #[schema(required = true, example = json!(["US"]))]
        countries "countries": Vec<String>,
        /// How long its tokens are good, in seconds.
        lifetime_seconds "lifetimeSeconds": u32,
        /// Pending, Unconfirmed or Active.
        #[schema(value_type = crate::words::PublisherState)]
        state "state": PublisherState,
        /// Until when it waits for its first exchange.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        pending_until "pendingUntil": Option<Instant>,
        /// When its ids were locked to those of a run.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        locked_on "lockedOn": Option<Instant>,
        /// When a run was last given a token.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        used_on "usedOn": Option<Instant>,
        /// When it was made.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        created_on "createdOn": Option<Instant>,
        /// By whom: `User/tenant/id` or `Application/id`.
        #[serde(default)]
        created_by "createdBy": Option<String>,
        /// A value unique to its current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

entity! {
    /// A token that opens an app and has not ended.
    Token "token" keyed by ["id"] {
        /// By which it is addressed; it is not the token.
        id "id": Uuid,
        /// What kind it is: Publisher for those of runs of pipelines.
        #[schema(example = "Publisher")]
        kind "kind": String,
        /// The last four characters of it.
        #[schema(example = "x7Qa")]
        last_four "lastFour": String,
        /// The trusted publisher whose run was given it.
        #[schema(value_type = uuid::Uuid)]
        publisher_id "publisherId": Uuid,
        /// The repository, as its pipeline called it then.
        #[schema(example = "contoso/sales-pack")]
        repository "repository": String,
        /// The run, as its pipeline numbers it.
        #[serde(default)]
        run "run": Option<String>,
        /// When it was given.
        #[schema(value_type = String, format = DateTime)]
        created_on "createdOn": Instant,
        /// When it ends.
        #[schema(value_type = String, format = DateTime)]
        expires_on "expiresOn": Instant,
        /// When it was last used; within an hour, the first use counts.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        used_on "usedOn": Option<Instant>,
    }
}

/// A request to trust a publisher, or to change what is said of one, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustedPublisherBody {
    /// GitHub, AzureDevOps or Custom.
    #[schema(value_type = crate::words::Provider)]
    pub provider: String,
    /// Who issues the pipeline's tokens; where one is enabled for the provider, it may be left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `OWNER/NAME`; of Azure DevOps `ORGANIZATION/PROJECT`.
    pub repository: String,
    /// The id of the repository. Without ids the publisher is Pending, and those of the first run that fits are locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// The id of its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// The file of the workflow, its whole path; of Azure DevOps the pipeline's id.
    pub workflow: String,
    /// The workflow that the job itself has to be in, where it is a reusable one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_workflow: Option<String>,
    /// The deployment environment that the job has to have. Either it or `refPattern` is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What the branch or tag has to fit, from refs/ on; `*` stands for any characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ref_pattern: Option<String>,
    /// What may begin a run; push, release, workflow_dispatch and schedule when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// What it has to run on; github-hosted when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner_environment: Option<String>,
    /// What a run may; upload when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may: Option<Vec<String>>,
    /// The highest availability that it may give a version; Preview when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::Availability>)]
    pub max_availability: Option<String>,
    /// The countries that it is confined to; all of the app's when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub countries: Option<Vec<String>>,
    /// How long its tokens are good, in seconds: 60 to 3600, and 900 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, maximum = 3600)]
    pub lifetime_seconds: Option<u32>,
    /// Says of an Unconfirmed publisher that the ids that the request repeats are the right ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
}

/// A request to trust a publisher, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedPublisherRequest {
    /// Whose pipeline.
    pub provider: Provider,
    /// Who issues its tokens, if it was said.
    pub issuer: Option<String>,
    /// The repository.
    pub repository: String,
    /// The id of the repository.
    pub repository_id: Option<String>,
    /// The id of its owner.
    pub owner_id: Option<String>,
    /// The file of the workflow, or the pipeline's id.
    pub workflow: String,
    /// The workflow that the job itself has to be in.
    pub job_workflow: Option<String>,
    /// The deployment environment.
    pub environment: Option<String>,
    /// What the branch or tag has to fit.
    pub ref_pattern: Option<String>,
    /// What may begin a run.
    pub events: Vec<String>,
    /// What it has to run on.
    pub runner_environment: String,
    /// What a run may.
    pub may: BTreeSet<Right>,
    /// The highest availability that it may give.
    pub max_availability: Availability,
    /// The countries, as they were spelled; none: all.
    pub countries: Vec<String>,
    /// How long its tokens are good.
    pub lifetime_seconds: u32,
    /// Whether the ids are said to be right.
    pub confirmed: bool,
    /// All that was said.
    pub given: Object,
}

impl TrustedPublisherRequest {
    /// Reads a request body about the publisher `id`.
    ///
    /// # Errors
    /// `RequestBodyRequired`; `InvalidInput` for missing, malformed and unknown values and for another publisher's id.
    pub fn read(body: &[u8], id: Uuid) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        let known: Vec<_> = TrustedPublisher::PROPERTIES
            .iter()
            .copied()
            .chain(["confirmed"])
            .collect();
        object.only(&known)?;
        object.is_about("trusted publisher", "id", &id)?;
        let required = |name| limited(&object, name)?.ok_or_else(|| object.required(name));
        let may = object.understood_list("may", |text| {
            text.parse::<Right>().map_err(|error| error.to_string())
        })?;
        let events = object.understood_list("events", word)?;
        let countries = object.understood_list("countries", word)?.unwrap_or_default();
        for (name, many) in [
            ("events", events.as_ref().map_or(0, Vec::len)),
            ("countries", countries.len()),
        ] {
            if many > MOST {
                return Err(object.invalid(name, &format!("there are more than {MOST}")));
            }
        }
        Ok(Self {
            provider: object
                .parsed("provider")?
                .ok_or_else(|| object.required("provider"))?,
            issuer: limited(&object, "issuer")?,
            repository: required("repository")?,
            repository_id: limited(&object, "repositoryId")?,
            owner_id: limited(&object, "ownerId")?,
            workflow: required("workflow")?,
            job_workflow: limited(&object, "jobWorkflow")?,
            environment: limited(&object, "environment")?,
            ref_pattern: limited(&object, "refPattern")?,
            events: events.unwrap_or_else(|| DEFAULT_EVENTS.map(str::to_owned).into()),
            runner_environment: limited(&object, "runnerEnvironment")?.unwrap_or_else(|| HOSTED.to_owned()),
            may: may.map_or_else(|| [Right::Upload].into(), |may| may.into_iter().collect()),
            max_availability: object.parsed("maxAvailability")?.unwrap_or(Availability::Preview),
            countries,
            lifetime_seconds: lifetime(&object)?,
            confirmed: object.flag("confirmed")?.unwrap_or(false),
            given: object,
        })
    }
}

fn limited(object: &Object, name: &str) -> Result<Option<String>, RuleError> {
    object.understood(name, |text| match text.trim() {
        "" => Err("it is empty".to_owned()),
        text if text.chars().count() > LONGEST_TEXT => {
            Err(format!("it has more than {LONGEST_TEXT} characters"))
        }
        text if control_in(text).is_some() => Err("it holds a control character".to_owned()),
        text => Ok(text.to_owned()),
    })
}

/// A word that can stand among others with blanks between.
fn word(text: &str) -> Result<String, String> {
    let is_word = !text.is_empty()
        && text.len() <= LONGEST_TEXT
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    match is_word {
        true => Ok(text.to_owned()),
        false => Err("one of them is no word of letters, digits, '_' and '-'".to_owned()),
    }
}

fn lifetime(object: &Object) -> Result<u32, RuleError> {
    let Some(value) = object.get("lifetimeSeconds") else {
        return Ok(DEFAULT_LIFETIME_SECONDS);
    };
    let range = SHORTEST_LIFETIME_SECONDS..=LONGEST_LIFETIME_SECONDS;
    let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
    seconds.filter(|seconds| range.contains(seconds)).ok_or_else(|| {
        let why =
            format!("it must be a number from {SHORTEST_LIFETIME_SECONDS} to {LONGEST_LIFETIME_SECONDS}");
        object.invalid("lifetimeSeconds", &why)
    })
}

impl TrustedPublisher {
    /// Whether everything else that a request says is what the publisher is anyway. What changes by itself may be as it was
    /// when it was read.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property.
    pub fn check_read_only(&self, given: &Object) -> Result<(), RuleError> {
        let steady = ["id", "createdOn", "createdBy"];
        let others: Vec<_> = Self::PROPERTIES
            .iter()
            .copied()
            .filter(|name| !steady.contains(name))
            .collect();
        given.check_read_only(self, &others)
    }
}

/// What a pipeline's own token has to be meant for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcAudience {
    /// The one `aud` of the token: the address of the service.
    #[schema(example = "https://apps.contoso.com")]
    pub audience: String,
}

/// A pipeline's own token, to be exchanged once.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublisherExchange {
    /// The token, as the pipeline's issuer gave it to the run.
    #[schema(max_length = 16384)]
    pub token: String,
    /// The app that the run is to act for, where several trust it. Left out, it is the one that the repository's runs have named
    /// before, where that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub app_id: Option<Uuid>,
    /// The publisher as which it is to act, where several fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub publisher_id: Option<Uuid>,
}

/// What a run signs in with from now on.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublisherToken {
    /// The token, `fametp_…`. It is not shown again.
    pub token: String,
    /// When it ends.
    #[schema(format = DateTime)]
    pub expires_on: String,
    /// The app that it opens.
    #[schema(value_type = uuid::Uuid)]
    pub app_id: Uuid,
    /// The publisher whose run it is.
    #[schema(value_type = uuid::Uuid)]
    pub publisher_id: Uuid,
    /// What it may.
    pub may: Vec<String>,
    /// The highest availability that it may give a version.
    pub max_availability: String,
    /// The countries that it is confined to; all of the app's when there are none.
    pub countries: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"provider": "github", "repository": "contoso/sales-pack",
        "workflow": ".github/workflows/release.yml", "refPattern": "refs/heads/main"}"#;

    #[test]
    fn what_is_left_out_is_the_least() {
        let read = TrustedPublisherRequest::read(LEAST.as_bytes(), Uuid::nil()).unwrap();
        assert_eq!(read.provider, Provider::GitHub);
        assert_eq!(read.may, [Right::Upload].into());
        assert_eq!(read.max_availability, Availability::Preview);
        assert_eq!((read.lifetime_seconds, read.events.len()), (900, 4));
        assert_eq!(
            (read.runner_environment.as_str(), read.confirmed),
            (HOSTED, false)
        );
    }

    #[test]
    fn what_is_wrong_with_it_is_named() {
        for (from, to, target) in [
            ("\"github\"", "\"jenkins\"", "provider"),
            ("\"provider\"", "\"providers\"", "providers"),
            ("contoso/sales-pack", " ", "repository"),
            (
                "refs/heads/main\"",
                "refs/heads/main\", \"may\": [\"everything\"]",
                "may",
            ),
            (
                "refs/heads/main\"",
                "refs/heads/main\", \"events\": [\"a b\"]",
                "events",
            ),
            (
                "refs/heads/main\"",
                "refs/heads/main\", \"lifetimeSeconds\": 3601",
                "lifetimeSeconds",
            ),
            (
                "refs/heads/main\"",
                "refs/heads/main\", \"lifetimeSeconds\": \"900\"",
                "lifetimeSeconds",
            ),
            ("refs/heads/main", "refs/heads/ma\\u0000in", "refPattern"),
        ] {
            let body = LEAST.replacen(from, to, 1);
            assert_ne!(body, LEAST);
            let error = TrustedPublisherRequest::read(body.as_bytes(), Uuid::nil()).unwrap_err();
            assert_eq!(error.target.as_deref(), Some(target), "{body}");
        }
    }
}
