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
    EnvironmentPatch, EnvironmentPatchBody, EnvironmentRegistration, EnvironmentRegistrationBody,
    InstalledApp, InstalledAppBody, RegisteredEnvironment, Window, WindowBody,
};
pub use freezes::{Freeze, FreezeBody, FreezeRequest};
pub use history::{Actor, AuditRow, OperationRow};

use crate::{hotfixes, lenient::Object};
use domain::{problem::RuleError, text::check_text};

/// The most characters of a text that operators say: those that a package may say of itself.
const LONGEST_TEXT: usize = 250;

/// A text, if there is one, that is no longer than texts may be.
fn short_text(object: &Object, name: &str) -> Result<Option<String>, RuleError> {
    let text = object.text(name)?;
    check_text(
        &object.place(name),
        text.as_deref().unwrap_or_default(),
        LONGEST_TEXT,
    )?;
    Ok(text)
}

/// Such a text, which has to be there.
fn required_text(object: &Object, name: &str) -> Result<String, RuleError> {
    short_text(object, name)?;
    hotfixes::required_text(object, name)
}

/// A text that may be missing, but not be only blanks.
fn some_text(object: &Object, name: &str) -> Result<Option<String>, RuleError> {
    if object.get(name).is_some() {
        required_text(object, name).map(Some)
    } else {
        Ok(None)
    }
}
