//! The operator API, which only a self-hosted service has.

use crate::{Client, error::Result, list::List, request::Request};
use domain::{
    freeze::Frozen,
    ids::{AppId, PrincipalId, TenantId},
};
use reqwest::{Method, Url};
use uuid::Uuid;
use wire::{
    history::EnvironmentHistory,
    operator::{
        AgentRegistrationBody, AppRegistrationBody, AuditRow, CustomerBody, EnvironmentPatchBody,
        EnvironmentRegistrationBody, Freeze, FreezeBody, OperationRow, PrincipalRegistrationBody,
        RebindingBody, RegisteredAgent, RegisteredApp, RegisteredCustomer, RegisteredEnvironment,
        RegisteredPrincipal, RotationBody,
    },
    webhooks::{Webhook, WebhookBody, WebhookDelivery},
};

/// What tells an environment from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvironmentPath<'a> {
    /// The customer's tenant.
    pub aad_tenant_id: TenantId,
    /// The application family.
    pub application_family: &'a str,
    /// The name.
    pub name: &'a str,
}

impl Client {
    fn registered_app(&self, app: AppId, segments: &[&str]) -> Url {
        self.operator(&[&["apps", &app.to_string()], segments].concat())
    }

    fn registered_environment(&self, path: EnvironmentPath<'_>, segments: &[&str]) -> Url {
        let tenant = path.aad_tenant_id.to_string();
        let one = ["environments", &tenant, path.application_family, path.name];
        self.operator(&[&one, segments].concat())
    }

    /// The description of all entities that operators see: CSDL in XML.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub async fn get_operator_metadata(&self) -> Result<String> {
        self.text(self.operator(&["$metadata"])).await
    }

    /// All apps.
    pub fn list_registered_apps(&self) -> List<RegisteredApp> {
        List::new(self, self.operator(&["apps"]))
    }

    /// An app and its owners.
    pub fn get_registered_app(&self, app: AppId) -> Request<RegisteredApp> {
        Request::new(self, Method::GET, self.registered_app(app, &[]))
    }

    /// Registers an app, or replaces what is known of it.
    pub fn put_app(&self, app: AppId, registration: &AppRegistrationBody) -> Request<RegisteredApp> {
        Request::new(self, Method::PUT, self.registered_app(app, &[])).with_body(registration)
    }

    /// Changes what `change` names of what is known of an app.
    pub fn patch_app(&self, app: AppId, change: &AppRegistrationBody) -> Request<RegisteredApp> {
        Request::new(self, Method::PATCH, self.registered_app(app, &[])).with_body(change)
    }

    /// Adds a principal to an app, or changes the roles of one and whose tokens it has them with, whoever owns the app.
    pub fn put_principal(
        &self,
        app: AppId,
        id: PrincipalId,
        change: &PrincipalRegistrationBody,
    ) -> Request<RegisteredPrincipal> {
        let url = self.registered_app(app, &["principals", &id.to_string()]);
        Request::new(self, Method::PUT, url).with_body(change)
    }

    /// All environments.
    pub fn list_registered_environments(&self) -> List<RegisteredEnvironment> {
        List::new(self, self.operator(&["environments"]))
    }

    /// An environment, its update window and its apps.
    pub fn get_registered_environment(&self, path: EnvironmentPath<'_>) -> Request<RegisteredEnvironment> {
        Request::new(self, Method::GET, self.registered_environment(path, &[]))
    }

    /// What was done in an environment, and who asked for it.
    pub fn list_registered_environment_history(&self, path: EnvironmentPath<'_>) -> List<EnvironmentHistory> {
        List::new(self, self.registered_environment(path, &["history"]))
    }

    /// Registers an environment, or replaces what is known of it.
    pub fn put_environment(
        &self,
        path: EnvironmentPath<'_>,
        registration: &EnvironmentRegistrationBody,
    ) -> Request<RegisteredEnvironment> {
        Request::new(self, Method::PUT, self.registered_environment(path, &[])).with_body(registration)
    }

    /// Changes what `change` names of what is known of an environment.
    pub fn patch_environment(
        &self,
        path: EnvironmentPath<'_>,
        change: &EnvironmentPatchBody,
    ) -> Request<RegisteredEnvironment> {
        Request::new(self, Method::PATCH, self.registered_environment(path, &[])).with_body(change)
    }

    /// Takes an environment out.
    pub fn delete_environment(&self, path: EnvironmentPath<'_>) -> Request<()> {
        Request::new(self, Method::DELETE, self.registered_environment(path, &[]))
    }

    /// Lets an environment work again after an operation whose outcome is unknown, or as the sandbox that it is reported to
    /// be.
    pub fn release_environment(&self, path: EnvironmentPath<'_>) -> Request<RegisteredEnvironment> {
        Request::new(
            self,
            Method::POST,
            self.registered_environment(path, &["release"]),
        )
        .repeatable()
    }

    /// Says whose an environment is: an agent's, or nobody's.
    pub fn rebind_environment(
        &self,
        path: EnvironmentPath<'_>,
        rebinding: &RebindingBody,
    ) -> Request<RegisteredEnvironment> {
        let url = self.registered_environment(path, &["rebind"]);
        Request::new(self, Method::POST, url)
            .with_body(rebinding)
            .repeatable()
    }

    /// All that is frozen.
    pub fn list_freezes(&self) -> List<Freeze> {
        List::new(self, self.operator(&["freezes"]))
    }

    /// One freeze.
    pub fn get_freeze(&self, subject: Frozen) -> Request<Freeze> {
        Request::new(self, Method::GET, self.freeze(subject))
    }

    /// Freezes an app, a principal, or all scheduling.
    pub fn put_freeze(&self, subject: Frozen, freeze: &FreezeBody) -> Request<Freeze> {
        Request::new(self, Method::PUT, self.freeze(subject)).with_body(freeze)
    }

    /// Lets what was frozen go on.
    pub fn delete_freeze(&self, subject: Frozen) -> Request<()> {
        Request::new(self, Method::DELETE, self.freeze(subject))
    }

    /// All customers that are registered.
    pub fn list_customers(&self) -> List<RegisteredCustomer> {
        List::new(self, self.operator(&["customers"]))
    }

    /// One customer.
    pub fn get_customer(&self, tenant: TenantId) -> Request<RegisteredCustomer> {
        Request::new(self, Method::GET, self.customer(tenant))
    }

    /// Registers a customer, or replaces what is known of one.
    pub fn put_customer(&self, tenant: TenantId, customer: &CustomerBody) -> Request<RegisteredCustomer> {
        Request::new(self, Method::PUT, self.customer(tenant)).with_body(customer)
    }

    /// Removes what is registered of a customer.
    pub fn delete_customer(&self, tenant: TenantId) -> Request<()> {
        Request::new(self, Method::DELETE, self.customer(tenant))
    }

    fn customer(&self, tenant: TenantId) -> Url {
        self.operator(&["customers", &tenant.to_string()])
    }

    fn freeze(&self, subject: Frozen) -> Url {
        self.operator(&["freezes", &subject.to_string()])
    }

    /// All webhooks, whoever's they are.
    pub fn list_all_webhooks(&self) -> List<Webhook> {
        List::new(self, self.operator(&["webhooks"]))
    }

    /// A webhook, whoever's it is.
    pub fn get_any_webhook(&self, id: Uuid) -> Request<Webhook> {
        Request::new(self, Method::GET, self.any_webhook(id, &[]))
    }

    /// Makes a webhook of the operator, or changes any. Of a new one the answer has the secret, which is shown in no other.
    pub fn put_any_webhook(&self, id: Uuid, webhook: &WebhookBody) -> Request<Webhook> {
        Request::new(self, Method::PUT, self.any_webhook(id, &[])).with_body(webhook)
    }

    /// Removes a webhook, whoever's it is.
    pub fn delete_any_webhook(&self, id: Uuid) -> Request<()> {
        Request::new(self, Method::DELETE, self.any_webhook(id, &[]))
    }

    /// Gives a webhook another secret, which the answer has and no other.
    pub fn rotate_any_webhook(&self, id: Uuid) -> Request<Webhook> {
        Request::new(self, Method::POST, self.any_webhook(id, &["rotate"]))
    }

    /// Sends a webhook something that says no more than that it arrives.
    pub fn test_any_webhook(&self, id: Uuid) -> Request<WebhookDelivery> {
        Request::new(self, Method::POST, self.any_webhook(id, &["test"]))
    }

    /// What a webhook was told.
    pub fn list_any_webhook_deliveries(&self, id: Uuid) -> List<WebhookDelivery> {
        List::new(self, self.any_webhook(id, &["deliveries"]))
    }

    /// Sends a webhook once more what it was told.
    pub fn replay_any_webhook_delivery(&self, id: Uuid, event: Uuid) -> Request<WebhookDelivery> {
        let url = self.any_webhook(id, &["deliveries", &event.to_string(), "replay"]);
        Request::new(self, Method::POST, url)
    }

    fn any_webhook(&self, id: Uuid, segments: &[&str]) -> Url {
        self.operator(&[&["webhooks", &id.to_string()], segments].concat())
    }

    /// All agents.
    pub fn list_agents(&self) -> List<RegisteredAgent> {
        List::new(self, self.operator(&["agents"]))
    }

    /// An agent.
    pub fn get_agent(&self, name: &str) -> Request<RegisteredAgent> {
        Request::new(self, Method::GET, self.operator(&["agents", name]))
    }

    /// Makes an agent, or replaces what is registered of it. Of a new one the answer has an enrolment code, which is shown
    /// in no other.
    pub fn put_agent(&self, name: &str, registration: &AgentRegistrationBody) -> Request<RegisteredAgent> {
        Request::new(self, Method::PUT, self.operator(&["agents", name])).with_body(registration)
    }

    /// Removes an agent.
    pub fn delete_agent(&self, name: &str) -> Request<()> {
        Request::new(self, Method::DELETE, self.operator(&["agents", name]))
    }

    /// Makes a new enrolment code for an agent, in the place of any before; the answer has it, and no other.
    pub fn rotate_agent(&self, name: &str, rotation: &RotationBody) -> Request<RegisteredAgent> {
        let url = self.operator(&["agents", name, "rotate"]);
        Request::new(self, Method::POST, url)
            .with_body(rotation)
            .repeatable()
    }

    /// Operations of any kind on any app.
    pub fn list_operations(&self) -> List<OperationRow> {
        List::new(self, self.operator(&["operations"]))
    }

    /// Who did what.
    pub fn list_audit(&self) -> List<AuditRow> {
        List::new(self, self.operator(&["audit"]))
    }
}
