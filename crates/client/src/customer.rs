//! The customers' API: the Admin Center API, as far as this service has it.

use crate::{Client, request::Request};
use domain::ids::{AppId, OperationId, TenantId};
use reqwest::{Method, Url};
use uuid::Uuid;
use wire::admin_center::{
    AdminApp, AdminEnvironment, AdminOperation, AdminTimeZone, ApplicationFamily, AuthorizedApp,
    AvailableUpdate, CadenceBody, CancelBody, DelegatedPartner, InstallBody, Kept, Listed, ManageableTenant,
    PostponeBody, UninstallBody, UninstallRequirement, UpdateBody, UpgradeSettings, UpgradeSettingsBody,
};

/// What tells an environment from all others of the caller's tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnEnvironment<'a> {
    /// The application family.
    pub application_family: &'a str,
    /// The name.
    pub name: &'a str,
}

impl Client {
    /// The address of something in the customers' API.
    fn admin(&self, segments: &[&str]) -> Url {
        self.below(&[&["admin", "v2.0"], segments].concat())
    }

    fn own_environment(&self, environment: OwnEnvironment<'_>, segments: &[&str]) -> Url {
        let one = [
            "applications",
            environment.application_family,
            "environments",
            environment.name,
        ];
        self.admin(&[&one, segments].concat())
    }

    fn own_app(&self, environment: OwnEnvironment<'_>, app: AppId, segments: &[&str]) -> Url {
        self.own_environment(environment, &[&["apps", &app.to_string()], segments].concat())
    }

    /// The application families of the caller's tenant.
    pub fn list_families(&self) -> Request<Listed<ApplicationFamily>> {
        Request::new(self, Method::GET, self.admin(&["applications"]))
    }

    /// The time zones that update windows can be in.
    pub fn list_time_zones(&self) -> Request<Listed<AdminTimeZone>> {
        Request::new(
            self,
            Method::GET,
            self.admin(&["applications", "settings", "timezones"]),
        )
    }

    /// The applications that may administer the caller's tenant.
    pub fn list_authorized_apps(&self) -> Request<Vec<AuthorizedApp>> {
        Request::new(self, Method::GET, self.admin(&["authorizedAadApps"]))
    }

    /// The tenants that the calling application may administer.
    pub fn list_manageable_tenants(&self) -> Request<Listed<ManageableTenant>> {
        Request::new(
            self,
            Method::GET,
            self.admin(&["authorizedAadApps", "manageableTenants"]),
        )
    }

    /// The environments of the caller's tenant.
    pub fn list_own_environments(&self) -> Request<Listed<AdminEnvironment>> {
        Request::new(self, Method::GET, self.admin(&["applications", "environments"]))
    }

    /// Those of a family.
    pub fn list_own_environments_of_family(&self, family: &str) -> Request<Listed<AdminEnvironment>> {
        Request::new(
            self,
            Method::GET,
            self.admin(&["applications", family, "environments"]),
        )
    }

    /// One environment.
    pub fn get_own_environment(&self, environment: OwnEnvironment<'_>) -> Request<AdminEnvironment> {
        Request::new(self, Method::GET, self.own_environment(environment, &[]))
    }

    /// The updates of the platform that an environment can choose from.
    pub fn list_platform_updates(
        &self,
        environment: OwnEnvironment<'_>,
    ) -> Request<Listed<serde_json::Value>> {
        Request::new(self, Method::GET, self.own_environment(environment, &["updates"]))
    }

    /// An environment's update window.
    pub fn get_upgrade_settings(&self, environment: OwnEnvironment<'_>) -> Request<UpgradeSettings> {
        Request::new(
            self,
            Method::GET,
            self.own_environment(environment, &["settings", "upgrade"]),
        )
    }

    /// Sets an environment's update window.
    pub fn put_upgrade_settings(
        &self,
        environment: OwnEnvironment<'_>,
        settings: &UpgradeSettingsBody,
    ) -> Request<UpgradeSettings> {
        let url = self.own_environment(environment, &["settings", "upgrade"]);
        Request::new(self, Method::PUT, url).with_body(settings)
    }

    /// Keeps when apps are to be updated together with the platform.
    pub fn put_update_cadence(
        &self,
        environment: OwnEnvironment<'_>,
        cadence: &CadenceBody,
    ) -> Request<Kept> {
        let url = self.own_environment(environment, &["settings", "appSourceAppsUpdateCadence"]);
        Request::new(self, Method::PUT, url).with_body(cadence)
    }

    /// The apps that are installed in an environment.
    pub fn list_installed_apps(&self, environment: OwnEnvironment<'_>) -> Request<Listed<AdminApp>> {
        Request::new(self, Method::GET, self.own_environment(environment, &["apps"]))
    }

    /// The highest version to which each app of an environment can be updated.
    pub fn list_available_updates(
        &self,
        environment: OwnEnvironment<'_>,
    ) -> Request<Listed<AvailableUpdate>> {
        Request::new(
            self,
            Method::GET,
            self.own_environment(environment, &["apps", "availableUpdates"]),
        )
    }

    /// The apps that depend on an app.
    pub fn list_uninstall_requirements(
        &self,
        environment: OwnEnvironment<'_>,
        app: AppId,
    ) -> Request<Listed<UninstallRequirement>> {
        Request::new(
            self,
            Method::GET,
            self.own_app(environment, app, &["uninstallRequirements"]),
        )
    }

    /// Schedules the install of an app.
    pub fn install_app(
        &self,
        environment: OwnEnvironment<'_>,
        app: AppId,
        request: &InstallBody,
    ) -> Request<AdminOperation> {
        Request::new(self, Method::POST, self.own_app(environment, app, &["install"])).with_body(request)
    }

    /// Schedules the update of an app.
    pub fn update_app(
        &self,
        environment: OwnEnvironment<'_>,
        app: AppId,
        request: &UpdateBody,
    ) -> Request<AdminOperation> {
        Request::new(self, Method::POST, self.own_app(environment, app, &["update"])).with_body(request)
    }

    /// Schedules that an app is taken out.
    pub fn uninstall_app(
        &self,
        environment: OwnEnvironment<'_>,
        app: AppId,
        request: &UninstallBody,
    ) -> Request<AdminOperation> {
        Request::new(self, Method::POST, self.own_app(environment, app, &["uninstall"])).with_body(request)
    }

    /// Calls off what waits for an app.
    pub fn cancel_app_operation(
        &self,
        environment: OwnEnvironment<'_>,
        app: AppId,
        request: &CancelBody,
    ) -> Request<AdminOperation> {
        let url = self.own_app(environment, app, &["update", "cancel"]);
        Request::new(self, Method::POST, url).with_body(request)
    }

    /// Calls off an operation that waits.
    pub fn cancel_environment_operation(
        &self,
        environment: OwnEnvironment<'_>,
        id: OperationId,
    ) -> Request<AdminOperation> {
        let url = self.own_environment(environment, &["operations", &id.to_string(), "cancel"]);
        Request::new(self, Method::POST, url)
    }

    /// Puts a vendor's hotfix off.
    pub fn postpone_operation(
        &self,
        environment: OwnEnvironment<'_>,
        id: OperationId,
        request: &PostponeBody,
    ) -> Request<AdminOperation> {
        let url = self.own_environment(environment, &["operations", &id.to_string(), "postpone"]);
        Request::new(self, Method::POST, url).with_body(request)
    }

    /// The operations of all environments of the caller's tenant.
    pub fn list_tenant_operations(&self) -> Request<Listed<AdminOperation>> {
        Request::new(self, Method::GET, self.admin(&["environments", "operations"]))
    }

    /// One of them.
    pub fn get_tenant_operation(&self, id: OperationId) -> Request<AdminOperation> {
        Request::new(
            self,
            Method::GET,
            self.admin(&["environments", "operations", &id.to_string()]),
        )
    }

    /// The operations of an environment.
    pub fn list_environment_operations(
        &self,
        environment: OwnEnvironment<'_>,
    ) -> Request<Listed<AdminOperation>> {
        Request::new(
            self,
            Method::GET,
            self.own_environment(environment, &["operations"]),
        )
    }

    /// One of them.
    pub fn get_environment_operation(
        &self,
        environment: OwnEnvironment<'_>,
        id: OperationId,
    ) -> Request<AdminOperation> {
        let url = self.own_environment(environment, &["operations", &id.to_string()]);
        Request::new(self, Method::GET, url)
    }

    /// The operations of an app in an environment.
    pub fn list_app_operations(
        &self,
        environment: OwnEnvironment<'_>,
        app: AppId,
    ) -> Request<Listed<AdminOperation>> {
        Request::new(self, Method::GET, self.own_app(environment, app, &["operations"]))
    }

    /// One of them.
    pub fn get_app_operation(
        &self,
        environment: OwnEnvironment<'_>,
        app: AppId,
        id: OperationId,
    ) -> Request<AdminOperation> {
        let url = self.own_app(environment, app, &["operations", &id.to_string()]);
        Request::new(self, Method::GET, url)
    }

    /// The partners whose delegated administrators are let in.
    pub fn list_delegated_partners(&self) -> Request<Listed<DelegatedPartner>> {
        Request::new(self, Method::GET, self.admin(&["delegatedPartners"]))
    }

    /// Lets nobody of a partner in any more.
    pub fn revoke_delegated_partner(&self, partner: TenantId) -> Request<()> {
        Request::new(
            self,
            Method::DELETE,
            self.admin(&["delegatedPartners", &partner.to_string()]),
        )
    }

    /// Lets one person of a partner in no more.
    pub fn revoke_delegated_person(&self, partner: TenantId, object: Uuid) -> Request<()> {
        let url = self.admin(&["delegatedPartners", &partner.to_string(), &object.to_string()]);
        Request::new(self, Method::DELETE, url)
    }
}
