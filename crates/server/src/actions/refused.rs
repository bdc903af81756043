//! What is known of an app that somebody was refused a change of, for whoever watches over the environment.

use super::Service;
use crate::error::Result;
use domain::{chain::Chain, ids::AppId, version::AppVersion};
use store::{
    Reader,
    environments::{self, Environment},
    versions,
};

/// An app, as far as it is known in an environment.
#[derive(Debug, Default)]
pub(super) struct RefusedApp {
    pub(super) name: Option<String>,
    pub(super) publisher: Option<String>,
    /// The version installed, if it is.
    pub(super) installed: Option<String>,
}

impl RefusedApp {
    /// Read after the refusal: most are decided before anything of the app is known. That it cannot be read keeps nobody from
    /// being told.
    pub(super) async fn find(
        service: &Service,
        environment: &Environment,
        app: AppId,
        target: Option<AppVersion>,
    ) -> Self {
        let found = Self::read(service, environment, app, target).await;
        found.unwrap_or_else(|error| {
            tracing::warn!(%app, error = %Chain(&error), "of an app that was refused nothing can be read");
            Self::default()
        })
    }

    async fn read(
        service: &Service,
        environment: &Environment,
        app: AppId,
        target: Option<AppVersion>,
    ) -> Result<Self> {
        let mut reader = Reader::Db(&service.db);
        let installed = environments::installed_apps(&mut reader, environment.id).await?;
        let installed = installed.into_iter().find(|one| one.app_id == app);
        let uploaded = versions::offered(&mut reader, environment.country_code, [app], Some(app)).await?;
        let uploaded = uploaded.into_iter();
        let package = uploaded.max_by_key(|one| (Some(one.version) == target, one.version));
        let (name, publisher) = package.map(|one| (one.name, one.publisher)).unzip();
        Ok(Self {
            installed: installed.as_ref().map(|one| one.version.to_string()),
            name: name.or(installed.as_ref().and_then(|one| one.name.clone())),
            publisher: publisher.or(installed.and_then(|one| one.publisher)),
        })
    }
}
