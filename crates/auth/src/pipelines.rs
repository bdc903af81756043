//! What runs in a pipeline: tokens of the issuers of pipelines, which open nothing here and are exchanged for one of the
//! service's own.
//!
//! Their rules are stricter than those for people: one audience, exactly as the service calls itself; a `jti`, so that each is
//! good once; and an age. What they say is compared elsewhere (`domain::publisher`).

use std::sync::Arc;
use std::time::Duration;

use domain::publisher::{PipelineToken, Provider};
use reqwest::Url;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::error::{AuthError, AuthFailure, Refusal};
use super::keys::{KeySet, KeySource};
use super::settings::{Problems, origin_of};
use super::token::{Claims, LEEWAY, UnverifiedToken};
use super::{AuthSettings, Authenticator, Shared, WallClock, key_refusal};

/// The audience of every token that Azure Pipelines gives; nobody can choose another.
const AZURE_DEVOPS_AUDIENCE: &str = "api://AzureADTokenExchange";

/// How many seconds ago a token may have been issued.
const LONGEST_AGE: i64 = 600;
/// How much longer than a token can be accepted its use is remembered, in seconds.
const REMEMBERED_AFTER: i64 = 5;
/// Longest `jti` that is looked at.
const LONGEST_JTI: usize = 256;
/// Longest name of a run that is kept.
const LONGEST_RUN: usize = 64;

/// An issuer of tokens for pipelines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineIssuerSettings {
    /// Whose pipelines.
    pub provider: PipelineProvider,
    /// `iss`, exactly; its discovery document is looked for below it.
    pub issuer: String,
    /// Origins (`https://host[:port]`), besides the issuer's own, from which keys may be fetched.
    #[serde(default)]
    pub key_origins: Vec<String>,
}

/// Which claims the tokens of an issuer have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum PipelineProvider {
    /// Those of GitHub Actions.
    #[serde(rename = "github")]
    GitHub,
    /// Those of Azure Pipelines.
    #[serde(rename = "azure_devops")]
    AzureDevOps,
    /// Those of GitHub Actions, by another issuer.
    #[serde(rename = "custom")]
    Custom,
}

impl From<PipelineProvider> for Provider {
    fn from(provider: PipelineProvider) -> Self {
        match provider {
            PipelineProvider::GitHub => Self::GitHub,
            PipelineProvider::AzureDevOps => Self::AzureDevOps,
            PipelineProvider::Custom => Self::Custom,
        }
    }
}

/// A token of a pipeline that is its issuer's, meant for this service, and of this moment.
#[derive(Clone, Debug)]
pub struct ProvenPipeline {
    /// Whose pipeline it is.
    pub provider: Provider,
    /// What it says.
    pub token: PipelineToken,
    /// What tells it from every other token: SHA-256 of issuer and `jti`.
    pub sha256: [u8; 32],
    /// How long its use has to be remembered, so that it is good once.
    pub remembered_for: Duration,
}

/// An issuer of tokens for pipelines, and its keys.
pub(super) struct PipelineIssuer {
    provider: PipelineProvider,
    issuer: String,
    pub(super) keys: Arc<KeySet>,
}

impl PipelineIssuer {
    pub(super) fn all(settings: &AuthSettings, http: &reqwest::Client, clock: &WallClock) -> Vec<Self> {
        let issuers = settings.publishers.iter();
        issuers
            .map(|issuer| {
                let base = issuer.issuer.trim_end_matches('/');
                let origins = [base]
                    .into_iter()
                    .chain(issuer.key_origins.iter().map(String::as_str));
                let source = KeySource {
                    http: http.clone(),
                    document_url: format!("{base}/.well-known/openid-configuration"),
                    issuer: issuer.issuer.clone(),
                    tenant: None,
                    origins: origins.filter_map(origin_of).collect(),
                };
                Self {
                    provider: issuer.provider,
                    issuer: issuer.issuer.clone(),
                    keys: KeySet::new(source, Arc::clone(clock)),
                }
            })
            .collect()
    }
}

impl AuthSettings {
    /// Everything that is wrong with the issuers of pipelines. None of them may be one of people's too: a token that was
    /// meant for the one must never be looked at as if it were the other's.
    pub(super) fn check_publishers(&self, problems: &mut Problems) {
        for (index, publisher) in self.publishers.iter().enumerate() {
            problems.entry = format!("identity.publishers[{index}]");
            self.parse_url("issuer", &publisher.issuer, problems);
            for origin in &publisher.key_origins {
                self.parse_url("key_origins", origin, problems);
            }
            let is_same = |other: &str| same_address(other, &publisher.issuer);
            let of_people = self.issuers.iter().filter_map(super::IssuerSettings::oidc_issuer);
            let before = self
                .publishers
                .iter()
                .take(index)
                .map(|other| other.issuer.as_str());
            if of_people.chain(before).any(is_same) {
                problems.at("issuer", format!("`{}` is named twice", publisher.issuer));
            }
        }
    }
}

fn same_address(one: &str, other: &str) -> bool {
    let normal = |text: &str| {
        Url::parse(text)
            .map(|url| url.as_str().trim_end_matches('/').to_owned())
            .ok()
    };
    normal(one).is_some() && normal(one) == normal(other)
}

impl Authenticator {
    /// Proves a pipeline's token, which must be meant for `audience`.
    ///
    /// # Errors
    /// 401 for whatever is no such token, 503 while the issuer's keys were never fetched.
    pub async fn prove_pipeline(&self, token: &str, audience: &str) -> Result<ProvenPipeline, AuthError> {
        let proven = self.shared.prove_pipeline(token, audience).await;
        proven.map_err(|refusal| self.shared.challenges.refuse(refusal))
    }
}

impl Shared {
    async fn prove_pipeline(&self, token: &str, audience: &str) -> Result<ProvenPipeline, Refusal> {
        let token = UnverifiedToken::read(token)?;
        let claims = &token.claims;
        let issuer = self
            .pipelines
            .iter()
            .find(|known| claims.text("iss") == Some(&known.issuer));
        let issuer = issuer.ok_or(Refusal::new(
            AuthFailure::Issuer,
            "`iss` is no issuer of pipelines",
        ))?;
        let key = issuer.keys.key(&token.kid).await.map_err(key_refusal)?;
        if !key.verifies(token.message, token.signature) {
            return Err(Refusal::new(
                AuthFailure::Signature,
                "the signature is not the key's",
            ));
        }
        let now = (self.clock)();
        claims.check_times(now)?;
        let accepted_until = check_age(claims, now)?;
        let audience = match issuer.provider {
            PipelineProvider::AzureDevOps => AZURE_DEVOPS_AUDIENCE,
            PipelineProvider::GitHub | PipelineProvider::Custom => audience,
        };
        // More than one audience would let another of them come with the token.
        if claims.text("aud") != Some(audience) {
            let detail = format!("`aud` is not the one text '{audience}'");
            return Err(Refusal::new(AuthFailure::Audience, detail));
        }
        let jti = claims.text("jti").unwrap_or_default();
        if jti.is_empty() || jti.len() > LONGEST_JTI {
            return Err(Refusal::malformed("`jti` is missing or longer than 256 bytes"));
        }
        let remembered = accepted_until
            .saturating_sub(now)
            .saturating_add(REMEMBERED_AFTER);
        Ok(ProvenPipeline {
            provider: issuer.provider.into(),
            token: said(issuer, claims),
            sha256: Sha256::new()
                .chain_update(&issuer.issuer)
                .chain_update([0])
                .chain_update(jti)
                .finalize()
                .into(),
            remembered_for: Duration::from_secs(u64::try_from(remembered).unwrap_or_default()),
        })
    }
}

/// The last second at which the token is accepted: `exp` bounds it, and so does its age, whatever `exp` says.
fn check_age(claims: &Claims, now: i64) -> Result<i64, Refusal> {
    let issued = claims
        .seconds("iat")
        .ok_or(Refusal::malformed("`iat` is missing or no number"))?;
    if issued.saturating_sub(LEEWAY) > now {
        return Err(Refusal::new(AuthFailure::Expired, "`iat` is yet to come"));
    }
    let until = issued.saturating_add(LONGEST_AGE);
    if until < now {
        return Err(Refusal::new(
            AuthFailure::Expired,
            "issued more than ten minutes ago",
        ));
    }
    let expires = claims.seconds("exp").unwrap_or(now).saturating_add(LEEWAY);
    Ok(until.min(expires))
}

/// What the claims of an issuer say, in the words of all.
fn said(issuer: &PipelineIssuer, claims: &Claims) -> PipelineToken {
    let text = |name: &str| claims.text(name).map(str::to_owned);
    let run = [claims.text("run_id"), claims.text("run_attempt")];
    let run = run.into_iter().flatten().collect::<Vec<_>>().join(".");
    let is_plain = !run.is_empty()
        && run.len() <= LONGEST_RUN
        && run
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let common = PipelineToken {
        issuer: issuer.issuer.clone(),
        run: is_plain.then_some(run),
        ..PipelineToken::default()
    };
    match issuer.provider {
        PipelineProvider::AzureDevOps => PipelineToken {
            repository_id: text("prj_id"),
            owner_id: text("org_id"),
            workflow: text("def_id"),
            git_ref: text("rpo_ref"),
            ..common
        },
        PipelineProvider::GitHub | PipelineProvider::Custom => PipelineToken {
            repository: text("repository"),
            repository_id: text("repository_id"),
            owner_id: text("repository_owner_id"),
            workflow: text("workflow_ref"),
            job_workflow: text("job_workflow_ref"),
            environment: text("environment"),
            git_ref: text("ref"),
            is_ref_protected: claims.flag("ref_protected"),
            event: text("event_name"),
            runner_environment: text("runner_environment"),
            ..common
        },
    }
}
