//! What a service is asked that knows no rollouts, by documented calls alone: its environments, its hotfixes and its versions
//! are read; a hotfix is posted, or called off.

use crate::{
    args::{AppInCountry, Country},
    commands::hotfixes::selection::{Environment, Target, environments},
    failure::Failure,
    session::Session,
};
use client::{Query, literal};
use domain::{
    country::CountryCode,
    environment::EnvironmentKey,
    ids::{AppId, OperationId},
    operation::OperationStatus,
    version::{AppVersion, Availability},
};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use wire::hotfixes::HotfixRequestBody;

/// The service, and what of it the rollout is about.
pub(super) struct Remote<'s> {
    /// The conversation with it.
    pub session: &'s Session,
    /// The app.
    pub app: AppId,
    /// The version to go to.
    pub target: AppVersion,
    /// Whether update windows are not waited for.
    pub ignores_window: bool,
}

/// A hotfix as it was read. A status that nobody knows is none: it has not ended.
#[derive(Clone, Debug)]
pub(super) struct Hotfix {
    pub id: OperationId,
    pub environment: EnvironmentKey,
    /// The version that it brings, if it can be understood.
    pub target: Option<AppVersion>,
    pub status: Option<OperationStatus>,
    /// Why it failed or was skipped, as the service says.
    pub message: Option<String>,
}

impl Hotfix {
    /// Reads one; none for a row that names no environment.
    pub(super) fn read(row: &Value) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        Some(Self {
            id: text("id")?.parse().ok()?,
            environment: Target::deserialize(row).ok()?.key()?,
            target: text("targetAppVersion").and_then(|version| version.parse().ok()),
            status: text("status").and_then(|word| word.parse().ok()),
            message: text("errorMessage")
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
        })
    }

    /// Whether it is known to have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.status.is_some_and(OperationStatus::is_terminal)
    }
}

impl Remote<'_> {
    fn scope(&self, country: &CountryCode) -> AppInCountry {
        AppInCountry {
            app: self.app,
            country: Country(country.to_string()),
        }
    }

    /// The environments of a country that have the app and match.
    pub(super) async fn environments(
        &self,
        country: &CountryCode,
        filter: Option<String>,
    ) -> Result<Vec<Environment>, Failure> {
        environments(self.session, &self.scope(country), filter).await
    }

    /// The hotfixes of a country that matter: those to the target, whatever became of them, and all that have not ended.
    pub(super) async fn hotfixes(&self, country: &CountryCode) -> Result<Vec<Hotfix>, Failure> {
        let open = "status eq 'Scheduled' or status eq 'Running'";
        self.listed(
            country,
            format!("targetAppVersion eq '{}' or {open}", self.target),
        )
        .await
    }

    /// All hotfixes of the environments of that name.
    pub(super) async fn hotfixes_of(
        &self,
        country: &CountryCode,
        name: &str,
    ) -> Result<Vec<Hotfix>, Failure> {
        self.listed(country, format!("environmentName eq {}", literal(name)))
            .await
    }

    async fn listed(&self, country: &CountryCode, filter: String) -> Result<Vec<Hotfix>, Failure> {
        let all = self.session.client.list_hotfixes(self.app, country.as_str());
        let rows = all.query(Query::default().filter(filter)).json().all().await?;
        Ok(rows.iter().filter_map(Hotfix::read).collect())
    }

    /// To whom the target is offered in a country; none where it is not there.
    pub(super) async fn offered(&self, country: &CountryCode) -> Result<Option<Availability>, Failure> {
        let version = self
            .session
            .client
            .get_version(self.app, country.as_str(), self.target);
        match version.json().await {
            Ok(row) => Ok(row
                .get("availability")
                .and_then(|word| word.as_str()?.parse().ok())),
            Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The countries that the app has.
    pub(super) async fn countries(&self) -> Result<Vec<CountryCode>, Failure> {
        let rows: Vec<Value> = self.session.client.list_countries(self.app).json().all().await?;
        let codes = rows.iter().filter_map(|row| row["countryCode"].as_str());
        Ok(codes.filter_map(|code| code.parse().ok()).collect())
    }

    /// Posts a hotfix, once: what may have been done is for the caller to find out.
    pub(super) async fn post(
        &self,
        country: &CountryCode,
        environment: &Environment,
    ) -> client::Result<Value> {
        let body = HotfixRequestBody {
            environment_aad_tenant_id: environment.aad_tenant_id.0,
            target_app_version: self.target.to_string(),
            run_after: None,
            ignore_upgrade_window: self.ignores_window,
            environment_application_family: environment.application_family.clone(),
            environment_name: environment.name.clone(),
            environment_type: None,
            despite_forecast: false,
        };
        let client = &self.session.client;
        client
            .schedule_hotfix(self.app, country.as_str(), &body)
            .json()
            .await
    }

    /// Calls a hotfix off, and says what is the case then: it may have started meanwhile.
    pub(super) async fn cancel(
        &self,
        country: &CountryCode,
        id: OperationId,
    ) -> Result<Option<Hotfix>, Failure> {
        let client = &self.session.client;
        let canceled = client.update_hotfix(self.app, country.as_str(), id).json().await;
        let row = match canceled {
            Ok(row) => row,
            // It is no longer Scheduled; how it is now decides.
            Err(client::Error::Refused(refusal))
                if refusal.status.is_client_error() && !is_of_callers(refusal.status) =>
            {
                client.get_hotfix(self.app, country.as_str(), id).json().await?
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Hotfix::read(&row))
    }
}

/// Whether an answer is about who asks, or how often, and not about what is asked.
fn is_of_callers(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 408 | 429)
}
