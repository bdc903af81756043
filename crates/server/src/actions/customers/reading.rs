//! What administrators of a tenant see of its environments. Each statement carries the tenant, so what is another's is not
//! there, in the same words as what is nobody's.

use super::Customer;
use crate::{actions::Service, error::Result};
use domain::{
    environment::{DEFAULT_FAMILY, EnvironmentKey, family_key, family_shown},
    ids::{AppId, OperationId, TenantId},
    operation::{OperationKind, OperationStatus},
    problem::{Code, RuleError},
};
use std::{collections::HashMap, fmt};
use store::{
    environments::{self, Environment, InstalledApp},
    hotfixes::{self, Operation, OperationsOf},
};
use uuid::Uuid;

/// An environment as an address names it, its family in the spelling that customers read.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentName {
    family: String,
    name: String,
}

impl EnvironmentName {
    pub(crate) fn new(family: &str, name: impl Into<String>) -> Self {
        Self {
            family: family_shown(family).to_owned(),
            name: name.into(),
        }
    }

    /// As an address would name an environment.
    pub(crate) fn of(environment: &Environment) -> Self {
        Self::new(&environment.family, environment.name.as_str())
    }

    /// The environment that it names in a tenant.
    pub(crate) fn key(&self, tenant: TenantId) -> EnvironmentKey {
        EnvironmentKey::new(tenant, &self.family, &self.name)
    }

    /// What is told of one that the tenant does not have.
    pub(crate) fn missing(&self) -> RuleError {
        let Self { family, name } = self;
        let message = format!("There is no environment '{name}' of the application family '{family}'.");
        RuleError::new(Code::EnvironmentNotFound, message).about(self.to_string())
    }
}

/// `family/name`, as the target of an error says it.
impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family, self.name)
    }
}

/// All environments of the tenant, or those of a family.
pub(crate) async fn list_environments(
    service: &Service,
    customer: &Customer,
    family: Option<&str>,
) -> Result<Vec<Environment>> {
    let found = environments::environments_of(&service.db, customer.tenant_id, family).await?;
    match family {
        Some(family) if found.is_empty() => check_family(family).map(|()| found).map_err(Into::into),
        _ => Ok(found),
    }
}

/// A family that nobody has and that is not the usual one is a mistake.
fn check_family(family: &str) -> Result<(), RuleError> {
    if family_key(family) == family_key(DEFAULT_FAMILY) {
        return Ok(());
    }
    let message =
        format!("There is no application family '{family}' here; the usual one is {DEFAULT_FAMILY}.");
    Err(RuleError::new(Code::ApplicationTypeDoesNotExist, message).about(family))
}

/// One environment.
pub(crate) async fn get_environment(
    service: &Service,
    customer: &Customer,
    name: &EnvironmentName,
) -> Result<Environment> {
    let found = environments::find_environment(&service.db, &name.key(customer.tenant_id)).await?;
    if let Some(environment) = found {
        return Ok(environment);
    }
    // The family is wrong where the tenant has none of it; then nothing of it can be there.
    list_environments(service, customer, Some(&name.family)).await?;
    Err(name.missing().into())
}

/// The last that was done with an app.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastDone {
    /// The last update or hotfix.
    pub(crate) update: Option<(OperationId, OperationStatus)>,
    /// The last attempt to take it out.
    pub(crate) uninstall: Option<(OperationId, OperationStatus)>,
}

/// What is installed in an environment by name, with what was last done with it.
pub(crate) async fn list_apps(
    service: &Service,
    customer: &Customer,
    name: &EnvironmentName,
) -> Result<Vec<(InstalledApp, LastDone)>> {
    let environment = get_environment(service, customer, name).await?;
    let mut apps = environments::installed_apps(&service.db, environment.id).await?;
    let named = |app: &InstalledApp| app.name.clone().unwrap_or_default().to_lowercase();
    apps.sort_by_cached_key(|app| (named(app), app.app_id));
    let of = OperationsOf::Environment(environment.id);
    let mut done: HashMap<AppId, LastDone> = HashMap::new();
    for operation in hotfixes::operations_of(&service.db, customer.tenant_id, of).await? {
        let done = done.entry(operation.app_id).or_default();
        let last = match operation.kind {
            OperationKind::Update | OperationKind::Hotfix => &mut done.update,
            OperationKind::Uninstall => &mut done.uninstall,
            OperationKind::Install => continue,
        };
        last.get_or_insert((operation.id, operation.status));
    }
    let with_done = |app: InstalledApp| {
        let done = done.remove(&app.app_id).unwrap_or_default();
        (app, done)
    };
    Ok(apps.into_iter().map(with_done).collect())
}

/// Which operations an address means.
#[derive(Clone, Debug)]
pub(crate) enum OperationsAt {
    /// Those of the whole tenant.
    Tenant,
    /// Those in an environment, or of an app in it.
    Environment(EnvironmentName, Option<AppId>),
}

/// Operations, the newest first.
pub(crate) async fn list_operations(
    service: &Service,
    customer: &Customer,
    at: &OperationsAt,
) -> Result<Vec<Operation>> {
    let of = find_place(service, customer, at).await?;
    Ok(hotfixes::operations_of(&service.db, customer.tenant_id, of).await?)
}

/// One of them.
pub(crate) async fn get_operation(
    service: &Service,
    customer: &Customer,
    at: &OperationsAt,
    id: OperationId,
) -> Result<Operation> {
    let of = find_place(service, customer, at).await?;
    let found = hotfixes::operation_of(&service.db, customer.tenant_id, of, id).await?;
    found.ok_or_else(|| operation_missing(id).into())
}

/// What is told of an operation that the tenant does not have.
pub(crate) fn operation_missing(id: OperationId) -> RuleError {
    RuleError::missing(
        format!("operations/{id}"),
        format!("There is no operation {id} here."),
    )
}

async fn find_place(service: &Service, customer: &Customer, at: &OperationsAt) -> Result<OperationsOf> {
    match at {
        OperationsAt::Tenant => Ok(OperationsOf::Tenant),
        OperationsAt::Environment(name, app) => {
            let environment = get_environment(service, customer, name).await?.id;
            Ok(match app {
                Some(app) => OperationsOf::App(environment, *app),
                None => OperationsOf::Environment(environment),
            })
        }
    }
}

/// The applications that the tenant lists.
pub(crate) async fn list_clients(service: &Service, customer: &Customer) -> Result<Vec<Uuid>> {
    let found = store::customers::find_customer(&service.db, customer.tenant_id).await?;
    let clients = found.map(|found| found.administration.clients);
    Ok(clients.unwrap_or_default().into_iter().collect())
}

/// The tenants that list the calling application.
pub(crate) async fn list_manageable_tenants(service: &Service, customer: &Customer) -> Result<Vec<TenantId>> {
    Ok(store::customers::tenants_of_client(&service.db, customer.id.0).await?)
}

/// The environment of that name in the usual family, where the web address of environments is asked for it.
pub(crate) async fn find_deployment(
    service: &Service,
    tenant: TenantId,
    name: &str,
) -> Result<Option<Environment>> {
    let key = EnvironmentKey::new(tenant, DEFAULT_FAMILY, name);
    let found = environments::find_environment(&service.db, &key).await?;
    Ok(found.filter(|environment| environment.missing_since.is_none()))
}
