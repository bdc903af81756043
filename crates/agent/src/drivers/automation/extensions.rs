//! The extensions of an environment as the Automation API lists them: one row for each published package, of which at
//! most one of an app is installed.

use crate::{
    cause::Target,
    driver::{AppScope, Found, InstalledApp},
    failure::Failure,
    http::{self, Credentials, Http, HttpSettings},
};
use client::SecureUrl;
use domain::{ids::AppId, version::AppVersion};
use reqwest::Url;
use serde::Deserialize;
use uuid::Uuid;

/// The API of an environment, or of a tenant of a server.
pub(in crate::drivers) struct Api {
    pub(super) http: Http,
    root: SecureUrl,
    tenant: Option<String>,
    company: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::drivers) struct Company {
    pub(in crate::drivers) id: Uuid,
    name: Option<String>,
    system_version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    id: Uuid,
    display_name: Option<String>,
    publisher: Option<String>,
    version_major: u32,
    version_minor: u32,
    version_build: u32,
    version_revision: u32,
    is_installed: Option<bool>,
    published_as: Option<String>,
}

impl Extension {
    fn installed(self) -> Option<InstalledApp> {
        let Self {
            version_major,
            version_minor,
            version_build,
            version_revision,
            ..
        } = self;
        let version = format!("{version_major}.{version_minor}.{version_build}.{version_revision}");
        // It comes with a blank before it.
        let published_as = self.published_as.unwrap_or_default();
        Some(InstalledApp {
            id: AppId(self.id),
            version: version.parse().ok()?,
            name: self.display_name,
            publisher: self.publisher,
            scope: match published_as.trim().to_ascii_lowercase().as_str() {
                "global" => Some(AppScope::Global),
                "pte" | "tenant" => Some(AppScope::Tenant),
                "dev" => Some(AppScope::Dev),
                _ => None,
            },
            can_be_uninstalled: None,
        })
    }
}

impl Api {
    pub(in crate::drivers) fn new(
        target: Target,
        settings: HttpSettings,
        credentials: Credentials,
        root: SecureUrl,
        token_url: Option<SecureUrl>,
        tenant: Option<String>,
        company: Option<String>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            http: Http::new(target, settings, credentials, &root, token_url)?,
            root,
            tenant,
            company,
        })
    }

    pub(super) fn at(&self, segments: &[&str]) -> Url {
        let mut url = http::below(&self.root, segments);
        if let Some(tenant) = &self.tenant {
            url.query_pairs_mut().append_pair("tenant", tenant);
        }
        url
    }

    pub(super) fn of_company(&self, company: Uuid, segments: &[&str]) -> Url {
        self.at(&[&[format!("companies({company})").as_str()], segments].concat())
    }

    /// The company whose extensions are looked at; they are the same for all.
    pub(in crate::drivers) async fn company(&self) -> Result<Company, Failure> {
        let mut companies: Vec<Company> = self.http.rows(&self.at(&["companies"])).await?;
        let Some(named) = &self.company else {
            return match companies.is_empty() {
                true => Err(Failure::misconfigured(
                    "There is no company that these credentials may see",
                )),
                false => Ok(companies.swap_remove(0)),
            };
        };
        let is_it = |company: &Company| {
            let by_name = company
                .name
                .as_ref()
                .is_some_and(|name| name.eq_ignore_ascii_case(named));
            by_name || company.id.to_string().eq_ignore_ascii_case(named)
        };
        companies.into_iter().find(is_it).ok_or_else(|| {
            Failure::misconfigured(format!(
                "There is no company '{named}' that these credentials may see"
            ))
        })
    }

    /// What is installed; the second is whether every row could be read.
    pub(in crate::drivers) async fn installed(
        &self,
        company: Uuid,
    ) -> Result<(Vec<InstalledApp>, bool), Failure> {
        let url = self.of_company(company, &["extensions"]);
        let mut rows: Vec<Extension> = self.http.rows(&url).await?;
        rows.retain(|row| row.is_installed == Some(true));
        let count = rows.len();
        let apps: Vec<_> = rows.into_iter().filter_map(Extension::installed).collect();
        let is_complete = apps.len() == count;
        Ok((apps, is_complete))
    }

    pub(in crate::drivers) async fn version(
        &self,
        company: Uuid,
        app: AppId,
    ) -> Result<Option<AppVersion>, Failure> {
        let (apps, _) = self.installed(company).await?;
        Ok(apps.iter().find(|row| row.id == app).map(|row| row.version))
    }

    pub(in crate::drivers) async fn inventory(&self) -> Result<Found, Failure> {
        let company = self.company().await?;
        let (apps, is_complete) = self.installed(company.id).await?;
        let of_microsoft = |name: &str| {
            let found = apps.iter().find(|app| {
                app.name.as_deref() == Some(name) && app.publisher.as_deref() == Some("Microsoft")
            });
            found.map(|app| app.version)
        };
        Ok(Found {
            application_version: of_microsoft("Application").or_else(|| of_microsoft("Base Application")),
            platform_version: company.system_version.and_then(|text| text.parse().ok()),
            is_complete,
            is_ready: true,
            apps,
            ..Found::default()
        })
    }

    /// Signs in and reads; what was seen, in a sentence.
    pub(in crate::drivers) async fn look_around(&self) -> Result<String, Failure> {
        let company = self.company().await?;
        let (apps, _) = self.installed(company.id).await?;
        let name = company.name.unwrap_or_else(|| company.id.to_string());
        Ok(format!(
            "Signed in: {} apps are installed, seen by the company {name}",
            apps.len()
        ))
    }
}
