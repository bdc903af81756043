//! Gathering what the hotfix rules ask about: one place for scheduling, planning and starting.

use domain::{
    catalogue::{DependantConstraint, Installed, needed_before_install},
    environment::EnvironmentKind,
    hotfix::Facts,
    ids::{AppId, OperationId},
    signer::SignerRule,
    version::{AppVersion, Availability, Dependency},
};
use std::collections::HashSet;
use store::{
    environments::{Environment, InstalledApp},
    versions::Version,
};

/// What the rules ask of an app's installation in an environment.
pub(crate) struct InstallationFacts {
    environment_name: String,
    environment_kind: EnvironmentKind,
    application_version: Option<AppVersion>,
    platform_version: Option<AppVersion>,
    inventory_complete: bool,
    inventory: Vec<Installed>,
    dependants: Vec<DependantConstraint>,
    installed: AppVersion,
    installed_availability: Option<Availability>,
    installed_dependencies: Option<Vec<Dependency>>,
}

impl InstallationFacts {
    /// What the rules need to know of an environment that has `app` installed; `None` when it has not.
    pub(crate) fn new(environment: &Environment, apps: &[InstalledApp], app: AppId) -> Option<Self> {
        let installed = apps.iter().find(|installed| installed.app_id == app)?.clone();
        Some(Self::about(environment, apps, installed))
    }

    fn about(environment: &Environment, apps: &[InstalledApp], installed: InstalledApp) -> Self {
        let app = installed.app_id;
        let inventory = apps
            .iter()
            .map(|installed| Installed {
                app_id: installed.app_id,
                version: installed.version,
            })
            .collect();
        let dependants = apps
            .iter()
            .filter_map(|installed| constraint(installed, app))
            .collect();
        Self {
            environment_name: environment.name.clone(),
            environment_kind: environment.kind,
            application_version: environment.application_version,
            platform_version: environment.platform_version,
            inventory_complete: environment.inventory_complete,
            inventory,
            dependants,
            installed: installed.version,
            installed_availability: installed.availability,
            installed_dependencies: installed.dependencies,
        }
    }

    /// What the rules need to know of an environment that has not `app` installed.
    pub(crate) fn of_absent(environment: &Environment, apps: &[InstalledApp], app: AppId) -> Self {
        let absent = InstalledApp {
            app_id: app,
            version: AppVersion::default(),
            name: None,
            publisher: None,
            availability: None,
            dependencies: Some(needed_before_install()),
            scope: None,
            can_be_uninstalled: None,
        };
        Self::about(environment, apps, absent)
    }

    /// The same but for what these apps cannot live with: they are about to change too.
    pub(crate) fn without_constraints_of(mut self, changing: &HashSet<AppId>) -> Self {
        self.dependants
            .retain(|dependant| !changing.contains(&dependant.app_id));
        self
    }

    /// The version installed.
    pub(crate) fn installed(&self) -> AppVersion {
        self.installed
    }

    /// The facts about going to a target, with the rule about who must have signed it, as somebody may know them who sees the
    /// apps that are `visible`, or all.
    pub(crate) fn facts<'a>(
        &'a self,
        (target, signer_rule): (&'a Version, &'a SignerRule),
        occupied_by: Option<OperationId>,
        allow_preview_in_sandbox: bool,
        visible: Option<&'a HashSet<AppId>>,
    ) -> Facts<'a> {
        Facts {
            environment_name: &self.environment_name,
            environment_kind: self.environment_kind,
            installed: self.installed,
            installed_availability: self.installed_availability,
            installed_dependencies: self.installed_dependencies.as_deref(),
            target: target.version,
            target_availability: target.availability,
            dependencies: &target.dependencies,
            target_application: target.application,
            target_platform: target.platform,
            target_runtime: target.runtime,
            target_signer: target.signer.as_ref(),
            signer_rule,
            allow_preview_in_sandbox,
            occupied_by,
            inventory: &self.inventory,
            inventory_complete: self.inventory_complete,
            application_version: self.application_version,
            platform_version: self.platform_version,
            dependants: &self.dependants,
            visible,
            schema_break: None,
        }
    }
}

/// What an installed app says about versions of `app` that it cannot live with.
fn constraint(installed: &InstalledApp, app: AppId) -> Option<DependantConstraint> {
    let declared = installed.dependencies.as_ref()?;
    let from = declared
        .iter()
        .find(|dependency| dependency.app_id == app)?
        .incompatible_from?;
    Some(DependantConstraint {
        app_id: installed.app_id,
        name: installed
            .name
            .clone()
            .unwrap_or_else(|| installed.app_id.to_string()),
        incompatible_from: from,
    })
}
