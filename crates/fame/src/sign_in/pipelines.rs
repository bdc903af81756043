//! Pipelines that can prove which one they are: GitHub Actions and Azure Pipelines give a running job tokens that say so.
//!
//! A token lives for minutes, so it is asked for anew each time that one is shown. Sources: GitHub's "OpenID Connect
//! reference", Azure DevOps' `SYSTEM_OIDCREQUESTURI`.

use super::Kind;
use crate::{
    failure::Failure,
    settings::{Place, secure_url, variable},
};
use client::{Assertions, Error, Issuers, SecureUrl};
use futures::future::BoxFuture;
use reqwest::{Url, header::CONTENT_LENGTH};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::env;

const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
const AZURE_URL: &str = "SYSTEM_OIDCREQUESTURI";
const AZURE_TOKEN: &str = "SYSTEM_ACCESSTOKEN";
const AZURE_CONNECTION: &str = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID";

/// A running job, as its environment describes it.
#[derive(Clone, Debug)]
pub(super) enum Pipeline {
    /// A workflow of GitHub Actions, which may ask for tokens for anybody.
    Github { url: String, token: SecretString },
    /// An Azure pipeline, whose tokens are for Microsoft Entra alone.
    AzurePipelines { url: String, token: SecretString },
}

impl Pipeline {
    /// The one that this is. Where both could be, Azure's agent is what runs.
    pub(super) fn found() -> Option<Self> {
        Self::azure().or_else(Self::github)
    }

    fn github() -> Option<Self> {
        Some(Self::Github {
            url: variable([GITHUB_URL])?,
            token: variable([GITHUB_TOKEN])?.into(),
        })
    }

    fn azure() -> Option<Self> {
        Some(Self::AzurePipelines {
            url: variable([AZURE_URL])?,
            token: variable([AZURE_TOKEN])?.into(),
        })
    }

    /// The one that is meant.
    ///
    /// # Errors
    /// What it lacks, for people.
    pub(super) fn of_kind(kind: Kind) -> Result<Self, String> {
        match kind {
            Kind::AzurePipelines => Self::azure().ok_or_else(|| no_token_in_azure().to_owned()),
            _ => Self::github().ok_or_else(|| no_token_at_github().to_owned()),
        }
    }

    /// The same, to be asked for what an application shows to Microsoft Entra. An Azure pipeline speaks for its service
    /// connection then, if it runs with one.
    ///
    /// # Errors
    /// [`Failure::Usage`] when its address is none that a secret may be sent to.
    pub(super) fn for_application(self, place: &Place) -> Result<AskedPipeline, Failure> {
        let connection = variable([AZURE_CONNECTION]);
        self.asked(place, super::EXCHANGE.to_owned(), connection)
    }

    /// The same, to be asked for what it shows itself to a service that is called `audience`.
    ///
    /// # Errors
    /// Those of [`Pipeline::for_application`].
    pub(super) fn for_service(self, place: &Place, audience: String) -> Result<AskedPipeline, Failure> {
        self.asked(place, audience, None)
    }

    fn asked(
        self,
        place: &Place,
        audience: String,
        connection: Option<String>,
    ) -> Result<AskedPipeline, Failure> {
        let (name, url) = match &self {
            Self::Github { url, .. } => (GITHUB_URL, url),
            Self::AzurePipelines { url, .. } => (AZURE_URL, url),
        };
        let url = secure_url(name, url)?;
        Ok(AskedPipeline {
            issuers: place.issuers(&url)?,
            pipeline: self,
            audience,
            connection,
            url,
        })
    }
}

/// A running job, and whom its tokens are for.
#[derive(Debug)]
pub(super) struct AskedPipeline {
    pipeline: Pipeline,
    url: SecureUrl,
    audience: String,
    connection: Option<String>,
    issuers: Issuers,
}

impl AskedPipeline {
    fn address(&self) -> Url {
        let mut url = (*self.url).clone();
        match &self.pipeline {
            Pipeline::Github { .. } => {
                url.query_pairs_mut().append_pair("audience", &self.audience);
            }
            Pipeline::AzurePipelines { .. } => {
                url.query_pairs_mut().append_pair("api-version", "7.1");
                if let Some(connection) = &self.connection {
                    let name = "serviceConnectionId";
                    url.query_pairs_mut().append_pair(name, connection);
                }
            }
        }
        url
    }

    async fn token(&self) -> client::Result<SecretString> {
        let make = |http: reqwest::Client| -> BoxFuture<'_, _> {
            let request = match &self.pipeline {
                Pipeline::Github { token, .. } => http.get(self.address()).bearer_auth(token.expose_secret()),
                Pipeline::AzurePipelines { token, .. } => http
                    .post(self.address())
                    .bearer_auth(token.expose_secret())
                    // Otherwise a page to sign in at is answered instead of 401.
                    .header("x-tfs-fedauthredirect", "Suppress")
                    .header(CONTENT_LENGTH, 0),
            };
            Box::pin(async move { Ok(request) })
        };
        let answer = self.issuers.ask(&self.url, make).await?;
        let member = match &self.pipeline {
            Pipeline::Github { .. } => "value",
            Pipeline::AzurePipelines { .. } => "oidcToken",
        };
        let token = answer.get(member).and_then(Value::as_str);
        token.map(SecretString::from).ok_or(Error::NoToken)
    }
}

impl Assertions for AskedPipeline {
    fn fetch(&self) -> BoxFuture<'_, client::Result<SecretString>> {
        Box::pin(self.token())
    }
}

fn no_token_at_github() -> &'static str {
    "This job cannot ask GitHub for a token: the workflow needs 'permissions: id-token: write', and pull requests of \
     forks never have it."
}

fn no_token_in_azure() -> &'static str {
    "This job cannot ask Azure DevOps for a token: the step needs 'env: { SYSTEM_ACCESSTOKEN: $(System.AccessToken) }'."
}

/// What keeps the platform on which this runs from proving who it is.
pub(super) fn hints() -> Vec<&'static str> {
    let is_set = |name: &str| env::var_os(name).is_some();
    let github = is_set("GITHUB_ACTIONS") && Pipeline::github().is_none();
    let azure = is_set("TF_BUILD") && Pipeline::azure().is_none();
    let hints = [(azure, no_token_in_azure()), (github, no_token_at_github())];
    hints
        .into_iter()
        .filter_map(|(lacks, hint)| lacks.then_some(hint))
        .collect()
}
