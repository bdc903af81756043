//! What an environment is, and what is installed there.

use super::AdminCenter;
use crate::{
    driver::{AppScope, Found, InstalledApp},
    failure::Failure,
};
use domain::{environment::family_key, ids::AppId, version::AppVersion};
use reqwest::StatusCode;
use serde::Deserialize;
use uuid::{Uuid, uuid};
use wire::agent::EnvironmentName;

/// Microsoft's apps whose version is that of the application.
const APPLICATION: [Uuid; 2] = [
    uuid!("c1335042-3002-4257-bf8a-75c898ccb1b8"),
    uuid!("437dbf0e-84ff-417a-965d-ed2bb9650972"),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnvironmentRow {
    name: String,
    application_family: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    country_code: Option<String>,
    aad_tenant_id: Option<Uuid>,
    location_name: Option<String>,
    status: Option<String>,
    application_version: Option<String>,
    platform_version: Option<String>,
    web_client_login_url: Option<String>,
    web_service_url: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct AppRow {
    /// Older versions of the API call it `id`.
    #[serde(rename = "appId", alias = "id")]
    id: Option<Uuid>,
    name: Option<String>,
    publisher: Option<String>,
    version: Option<String>,
    state: Option<String>,
    #[serde(rename = "appType")]
    kind: Option<String>,
    #[serde(rename = "canBeUninstalled")]
    can_be_uninstalled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WindowRow {
    preferred_start_time: Option<String>,
    preferred_end_time: Option<String>,
    time_zone_id: Option<String>,
}

impl EnvironmentRow {
    pub(super) fn status(&self) -> &str {
        self.status.as_deref().unwrap_or("Active")
    }

    pub(super) fn is_active(&self) -> bool {
        self.status().eq_ignore_ascii_case("Active")
    }

    /// What was deleted comes back at most under another name; whether what is being deleted will be, is not known yet.
    fn is_gone(&self) -> bool {
        let gone = ["Removing", "SoftDeleted"];
        gone.iter().any(|gone| gone.eq_ignore_ascii_case(self.status()))
    }
}

impl AppRow {
    pub(super) fn is_updating(&self) -> bool {
        let state = self.state.as_deref().unwrap_or_default();
        state.eq_ignore_ascii_case("Updating")
    }

    pub(super) fn is(&self, app: AppId) -> bool {
        self.id == Some(app.0)
    }

    pub(super) fn version(&self) -> Option<AppVersion> {
        self.version.as_deref()?.parse().ok()
    }

    pub(super) fn title(&self) -> &str {
        self.name.as_deref().unwrap_or("an app without a name")
    }

    fn installed(&self) -> Option<InstalledApp> {
        let kind = self.kind.as_deref().unwrap_or_default();
        Some(InstalledApp {
            id: AppId(self.id?),
            version: self.version()?,
            name: self.name.clone(),
            publisher: self.publisher.clone(),
            scope: match kind.to_ascii_lowercase().as_str() {
                "global" => Some(AppScope::Global),
                "tenant" => Some(AppScope::Tenant),
                "dev" => Some(AppScope::Dev),
                _ => None,
            },
            can_be_uninstalled: self.can_be_uninstalled,
        })
    }
}

impl AdminCenter {
    /// The environment among all of the tenant; none when there is none of that name.
    pub(super) async fn environment(&self) -> Result<Option<EnvironmentRow>, Failure> {
        let rows: Vec<EnvironmentRow> = self
            .http
            .rows(&self.root(&["applications", "environments"]))
            .await?;
        let family = family_key(&self.environment.application_family);
        let found = rows.into_iter().find(|row| {
            row.name.eq_ignore_ascii_case(&self.environment.name)
                && row
                    .application_family
                    .as_deref()
                    .is_none_or(|named| family_key(named) == family)
        });
        let Some(row) = found else {
            return Ok(None);
        };
        match row.aad_tenant_id {
            Some(tenant) if tenant != self.environment.aad_tenant_id => Err(Failure::misconfigured(format!(
                "The environment {} that these credentials see belongs to the tenant {tenant}, not to {}",
                row.name, self.environment.aad_tenant_id
            ))),
            _ => {
                self.spelled.get_or_init(|| self.spelled_as(&row));
                Ok(Some(row))
            }
        }
    }

    fn spelled_as(&self, row: &EnvironmentRow) -> EnvironmentName {
        let configured = &self.environment;
        EnvironmentName {
            aad_tenant_id: configured.aad_tenant_id,
            application_family: row
                .application_family
                .clone()
                .unwrap_or_else(|| configured.application_family.clone()),
            name: row.name.clone(),
        }
    }

    pub(super) async fn apps(&self) -> Result<Vec<AppRow>, Failure> {
        self.http.rows(&self.at(&["apps"])).await
    }

    async fn window(&self) -> Result<Option<[String; 3]>, Failure> {
        let answer = self.http.read(&self.at(&["settings", "upgrade"])).await?;
        if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::NO_CONTENT) {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(self.http.refusal(&answer, false, None).1);
        }
        let row: Option<WindowRow> = answer.json()?;
        Ok(row.and_then(|row| {
            Some([
                row.preferred_start_time?,
                row.preferred_end_time?,
                row.time_zone_id?,
            ])
        }))
    }

    /// What the environment is, without its apps.
    pub(in crate::drivers) async fn state(&self) -> Result<Found, Failure> {
        let Some(row) = self.environment().await?.filter(|row| !row.is_gone()) else {
            return Ok(Found {
                is_gone: true,
                ..Found::default()
            });
        };
        let version = |text: Option<&String>| text.and_then(|text| text.parse().ok());
        let found = Found {
            country_code: row.country_code.as_deref().and_then(|code| code.parse().ok()),
            kind: row.kind.as_deref().and_then(|kind| kind.parse().ok()),
            location_name: row.location_name.clone(),
            application_version: version(row.application_version.as_ref()),
            platform_version: version(row.platform_version.as_ref()),
            web_client_url: row.web_client_login_url.clone(),
            web_service_url: row.web_service_url.clone(),
            is_ready: row.is_active(),
            ..Found::default()
        };
        Ok(match found.is_ready {
            true => Found {
                window: self.window().await?,
                ..found
            },
            false => found,
        })
    }

    pub(super) async fn read_inventory(&self) -> Result<Found, Failure> {
        let found = self.state().await?;
        if !found.is_ready {
            // What its apps are can only be told when it is back.
            return Ok(found);
        }
        let rows = self.apps().await?;
        let apps: Vec<InstalledApp> = rows.iter().filter_map(AppRow::installed).collect();
        let application = APPLICATION
            .iter()
            .find_map(|id| Some(apps.iter().find(|app| app.id.0 == *id)?.version));
        Ok(Found {
            is_complete: apps.len() == rows.len(),
            application_version: application.or(found.application_version),
            apps,
            ..found
        })
    }
}
