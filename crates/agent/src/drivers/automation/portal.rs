//! Whether an environment online is ready, which the portal tells everybody and the Automation API does not.

use crate::{
    cause::Target,
    driver::{Finding, Found, Weight},
    failure::Failure,
    http::{self, Http, HttpSettings},
};
use client::SecureUrl;
use domain::environment::EnvironmentKind;
use reqwest::Url;
use serde::Deserialize;
use wire::agent::EnvironmentName;

/// What the portal calls a sandbox.
const SANDBOX: i64 = 1;

/// An environment as the portal shows it.
pub(super) struct Portal {
    http: Http,
    url: Url,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    status: String,
    environment_type: Option<i64>,
}

impl Portal {
    pub(super) fn new(
        settings: HttpSettings,
        root: &SecureUrl,
        environment: &EnvironmentName,
    ) -> Result<Self, Failure> {
        let tenant = environment.aad_tenant_id.to_string();
        Ok(Self {
            http: Http::open(Target::Automation, settings, root)?,
            url: http::below(root, &[&tenant, &environment.name, "deployment", "url"]),
        })
    }

    /// What keeps work from starting, if anything does.
    pub(super) async fn find_out(&self) -> Option<Finding> {
        let (weight, text) = match self.state().await {
            Ok(found) if found.is_ready => return None,
            Ok(_) => (
                Weight::Warning,
                "The portal says that the environment is not ready: nothing starts there now".to_owned(),
            ),
            Err(failure) => (Weight::Problem, failure.to_string()),
        };
        Some(Finding { weight, text })
    }

    /// What the environment is, without its apps.
    pub(super) async fn state(&self) -> Result<Found, Failure> {
        let told: Told = self.http.get(&self.url).await?.json()?;
        let is = |word: &str| told.status.eq_ignore_ascii_case(word);
        Ok(Found {
            kind: (told.environment_type == Some(SANDBOX)).then_some(EnvironmentKind::Sandbox),
            is_ready: is("Ready"),
            is_gone: is("DoesNotExist"),
            ..Found::default()
        })
    }
}
