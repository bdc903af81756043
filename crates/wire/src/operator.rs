//! The operator API: registering apps, environments and agents, and seeing everything that happens.
//!
//! None of it is part of the original's API, whose operator is not its users' business. The shapes keep its
//! habits all the same: the same names for the same things, and the same order.

mod agents;
mod apps;
mod customers;
mod environments;
mod freezes;
mod history;

pub use agents::{
    AgentRegistration, AgentRegistrationBody, Identity, IdentityBody, RebindingBody, RegisteredAgent,
    RotationBody, Scope, ScopeBody,
};
pub use apps::{
    AppPatch, AppRegistration, AppRegistrationBody, Owner, OwnerBody, PrincipalRegistrationBody,
    RegisteredApp, RegisteredPrincipal,
};
pub use customers::{CustomerBody, CustomerRegistration, Partner, PartnerBody, RegisteredCustomer};
pub use environments::{
    EnvironmentRegistration, EnvironmentRegistrationBody, InstalledApp, InstalledAppBody,
    RegisteredEnvironment, Window, WindowBody,
};
pub use freezes::{Freeze, FreezeBody, FreezeRequest};
pub use history::{Actor, AuditRow, OperationRow};

use crate::{hotfixes::required_text, lenient::Object};
use domain::problem::RuleError;

/// A text that may be missing, but not be only blanks.
fn some_text(object: &Object, name: &str) -> Result<Option<String>, RuleError> {
    if object.get(name).is_some() {
        required_text(object, name).map(Some)
    } else {
        Ok(None)
    }
}
