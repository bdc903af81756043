//! What is installed in many environments, with what its versions declare, each read once.

use crate::error::Result;
use domain::{ids::AppId, version::VersionStatus};
use std::collections::{HashMap, HashSet};
use store::{
    Tx,
    environments::InstalledApp,
    execution::{self as rows, Installed},
    versions::{self, Version, VersionKey},
};
use uuid::Uuid;

/// What is installed in environments, and the versions that are known of it.
pub(crate) struct Inventories {
    installed: HashMap<Uuid, Vec<Installed>>,
    versions: HashMap<VersionKey, Version>,
}

impl Inventories {
    /// What is installed in these environments, with the versions that operations there lead to.
    pub(crate) async fn read(
        tx: &mut Tx<'_>,
        environments: impl IntoIterator<Item = Uuid>,
        targets: impl IntoIterator<Item = VersionKey>,
    ) -> Result<Self> {
        let installed = rows::installed(tx, environments).await?;
        let keys: HashSet<VersionKey> = targets.into_iter().chain(installed.iter().map(key_of)).collect();
        let mut versions = HashMap::with_capacity(keys.len());
        for version in versions::versions_in(tx, &keys).await? {
            versions.insert(version.key(), version);
        }
        let mut apart: HashMap<Uuid, Vec<Installed>> = HashMap::new();
        for app in installed {
            apart.entry(app.environment).or_default().push(app);
        }
        Ok(Self {
            installed: apart,
            versions,
        })
    }

    /// What is installed in an environment, as the rules ask about it.
    pub(crate) fn apps_in(&self, environment: Uuid) -> Vec<InstalledApp> {
        let installed = self.installed.get(&environment);
        installed.into_iter().flatten().map(|app| self.app(app)).collect()
    }

    fn app(&self, installed: &Installed) -> InstalledApp {
        let known = self.uploaded(&key_of(installed));
        InstalledApp {
            app_id: installed.app_id,
            version: installed.version,
            name: installed.name.clone(),
            publisher: installed.publisher.clone(),
            availability: known.map(|version| version.availability),
            dependencies: known.map(|version| version.dependencies.clone()),
            scope: installed.scope,
            can_be_uninstalled: installed.can_be_uninstalled,
        }
    }

    /// A version, whatever became of its upload.
    pub(super) fn version(&self, key: &VersionKey) -> Option<&Version> {
        self.versions.get(key)
    }

    /// A version whose package is there.
    pub(crate) fn uploaded(&self, key: &VersionKey) -> Option<&Version> {
        let found = self.versions.get(key);
        found.filter(|version| version.status == VersionStatus::Uploaded)
    }

    /// Whether any version is known, of what is installed or led to.
    pub(super) fn knows_nothing(&self) -> bool {
        self.versions.is_empty()
    }

    /// The apps installed in an environment whose versions are known to need `app`.
    pub(super) fn dependents(&self, environment: Uuid, app: AppId) -> impl Iterator<Item = &Installed> {
        let installed = self.installed.get(&environment).into_iter().flatten();
        installed.filter(move |installed| {
            let version = self.uploaded(&key_of(installed));
            version.is_some_and(|version| version.dependencies.iter().any(|needed| needed.app_id == app))
        })
    }
}

fn key_of(installed: &Installed) -> VersionKey {
    VersionKey {
        app_id: installed.app_id,
        country_code: installed.country_code,
        version: installed.version,
    }
}
