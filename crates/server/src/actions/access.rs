//! Whether the caller may. A role is read in the very statement or transaction that needs it, and never remembered.

use super::{
    Principal, Service,
    agents::{AgentCall, Credential},
    customers::Customer,
    freezes,
};
use crate::{
    config::Operator,
    error::{Error, Result},
};
use domain::{
    access::{Permission, Resource, least_role, permits},
    country::CountryCode,
    customer::{Administration, Asking, Standing as CustomerStanding},
    ids::{AppId, TenantId},
    instant::Instant,
    principal::CallerKind,
    problem::{Code, RuleError},
    publisher::Grant,
};
use std::time::Duration;
use store::{
    Tx,
    agents::Agent,
    customers,
    principals::{self, AppAccess, PrincipalRef},
};

/// The caller may do what was asked about; holding this is the proof.
#[derive(Clone, Debug)]
pub(crate) struct Allowed(AppAccess);

impl Allowed {
    /// Whether a role lets its holder do something else besides; the run of a pipeline has none.
    pub(crate) fn permits(&self, permission: Permission) -> bool {
        self.0.grant.is_none() && permits(self.0.roles, permission)
    }

    /// The same, if the app was added to the country too.
    pub(crate) fn in_country(self, app: AppId, country: CountryCode) -> Result<Self> {
        if self.0.has_country {
            Ok(self)
        } else {
            Err(country_missing(app, country).into())
        }
    }

    /// Decides what else the run of a pipeline may not do; nobody else is confined so.
    pub(crate) fn within(&self, check: impl FnOnce(&Grant) -> Result<(), RuleError>) -> Result<()> {
        self.0.grant.as_ref().map_or(Ok(()), check).map_err(Error::from)
    }
}

/// Decides about what belongs to no app: the environments of all tenants, and the service itself.
pub(crate) fn require_operator(operators: &[Operator], principal: &Principal) -> Result<()> {
    let is_meant = |operator: &Operator| {
        let PrincipalRef {
            kind, first, second, ..
        } = principal.reference;
        let tenant = principal.tenant_id.0;
        CallerKind::from(operator.kind) == kind
            && match kind {
                CallerKind::User => operator.id == first && operator.tenant_id == Some(second),
                CallerKind::Application => {
                    (operator.id == first || operator.id == second)
                        && operator.tenant_id.is_none_or(|named| named == tenant)
                }
                CallerKind::Delegated | CallerKind::Publisher => false,
            }
    };
    if operators.iter().any(is_meant) {
        return Ok(());
    }
    let Principal { kind, id, .. } = principal;
    let message = format!("This API is for the operators of the service. {kind} {id} is none.");
    Err(RuleError::new(Code::Forbidden, message).into())
}

/// Decides about what belongs to a customer's tenant, outside a transaction: for reading, and for what must be known before a
/// body is read. The tenant's registration, if it has one.
///
/// # Errors
/// `Forbidden`; `ResourceDoesNotExist` for a partner who was not let in: for them there is nothing here.
pub(crate) async fn preview_administrator(
    service: &Service,
    customer: &Customer,
) -> Result<Option<customers::Customer>> {
    let found = customers::find_customer(&service.db, customer.tenant_id).await?;
    decide_administrator(customer, found.as_ref(), service.clock.now())?;
    Ok(found)
}

/// Decides within a transaction that changes something.
pub(crate) async fn require_administrator(tx: &mut Tx<'_>, customer: &Customer, now: Instant) -> Result<()> {
    let found = customers::find_customer(&mut *tx, customer.tenant_id).await?;
    decide_administrator(customer, found.as_ref(), now)?;
    freezes::check_customer(tx, customer).await
}

fn decide_administrator(
    customer: &Customer,
    registered: Option<&customers::Customer>,
    now: Instant,
) -> Result<()> {
    let who = Asking {
        kind: customer.kind,
        id: customer.id,
        object_id: customer.object_id,
        partner: customer.partner_tenant_id,
        has_role: customer.has_administrator_role,
    };
    let nothing = Administration::default();
    let administration = registered.map_or(&nothing, |registered| &registered.administration);
    let tenant = customer.tenant_id;
    match administration.standing(who, now) {
        CustomerStanding::Administrator => Ok(()),
        CustomerStanding::NoPartner => Err(hidden(tenant).into()),
        CustomerStanding::UnlistedClient => {
            let message = format!(
                "The application {} is not on tenant {tenant}'s list of clients, which the operator of this service keeps.",
                customer.id
            );
            Err(RuleError::new(Code::Forbidden, message).into())
        }
        CustomerStanding::NoRole => {
            let message = format!(
                "This API is for administrators of tenant {tenant}. {} {} is none: a user needs the directory role \
                 Dynamics 365 Administrator or Dynamics 365 Business Central Administrator in the claim wids, an \
                 application the role AdminCenter.ReadWrite.All; or the operator names them.",
                customer.kind, customer.id
            );
            Err(RuleError::new(Code::Forbidden, message).into())
        }
    }
}

/// What a partner is told who was not let in, or not any more.
fn hidden(tenant: TenantId) -> RuleError {
    RuleError::missing("", format!("There is nothing here of tenant {tenant}."))
}

/// How often an agent is noted to have called.
const NOTED_EACH: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3_600);
/// How often an agent may be started within an hour. A copy that calls under a new session each time is not found out by
/// the sessions before.
const STARTS_EACH_HOUR: usize = 20;

/// How a call under an agent's token, or its identity, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may go on.
    Same,
    /// It may go on, once it is noted that it came.
    Changed,
    /// The agent gets nothing.
    Frozen,
    /// Two use one token, as these words say: the agent is to be frozen.
    Reused(&'static str),
    /// The token has ended.
    Expired,
    /// It is not the agent's.
    Unknown,
}

/// Decides whether an agent may call at all. Which environments it may serve is decided by what is bound to it.
///
/// A token that was replaced by one in use is in somebody's hands who did not hear of it. Of two processes one is a copy:
/// the one that started later takes over from those before, which is an ordinary restart until one of them calls again.
pub(crate) fn standing(agent: &Agent, call: &AgentCall, now: Instant) -> Standing {
    let (is_current, is_former, is_lost) = match &call.credential {
        Credential::Identity(identity) => (agent.identity.as_ref() == Some(identity), false, false),
        Credential::Token(sha256) => (
            agent.token_sha256.as_ref() == Some(sha256),
            agent.former_token_sha256.as_ref() == Some(sha256),
            agent.lost_token_sha256.as_ref() == Some(sha256),
        ),
    };
    let is_over = |until: Option<Instant>| until.is_none_or(|until| until <= now);
    let uses_token = is_current && matches!(call.credential, Credential::Token(_));
    if !is_current && !is_former && !is_lost {
        return Standing::Unknown;
    }
    if agent.frozen_on.is_some() {
        return Standing::Frozen;
    }
    if is_lost {
        return Standing::Reused("A token was used that had been given out in vain.");
    }
    let is_former_over = is_former && is_over(agent.former_token_until);
    if is_former_over && agent.token_used {
        return Standing::Reused("A token was used that had been replaced by another.");
    }
    if is_former_over || uses_token && is_over(agent.token_until) {
        return Standing::Expired;
    }
    if call
        .session_id
        .is_some_and(|session| agent.former_sessions.include(session))
    {
        return Standing::Reused("Two processes used its token, as if its folder had been copied.");
    }
    let is_new_session = agent.session_id != call.session_id;
    if is_new_session && agent.former_sessions.within(HOUR, now) >= STARTS_EACH_HOUR {
        return Standing::Reused("It was started too often within an hour, as if copies of it took turns.");
    }
    let is_noted = agent.last_seen_on.is_some_and(|seen| now < seen + NOTED_EACH);
    if !is_new_session && is_noted && (agent.token_used || !uses_token) {
        return Standing::Same;
    }
    Standing::Changed
}

/// Decides within a transaction.
pub(crate) async fn require(
    tx: &mut Tx<'_>,
    principal: &Principal,
    app: AppId,
    permission: Permission,
) -> Result<Allowed> {
    let app_access = principals::app_access_in(tx, principal.reference, app, "").await?;
    let allowed = decide(principal, app, None, permission, app_access)?;
    freezes::check_in(tx, principal, app, permission).await?;
    Ok(allowed)
}

/// The same for something that lies in a country.
pub(crate) async fn require_in_country(
    tx: &mut Tx<'_>,
    principal: &Principal,
    app: AppId,
    country: CountryCode,
    permission: Permission,
) -> Result<Allowed> {
    let app_access = principals::app_access_in(tx, principal.reference, app, country.as_str()).await?;
    let allowed = decide(principal, app, Some(country), permission, app_access)?;
    freezes::check_in(tx, principal, app, permission).await?;
    Ok(allowed)
}

/// Decides outside a transaction: for what must be known before a body is read, and decided again at its end.
pub(crate) async fn preview(
    service: &Service,
    principal: &Principal,
    app: AppId,
    country: Option<CountryCode>,
    permission: Permission,
) -> Result<Allowed> {
    let code = country.map_or("", CountryCode::as_str);
    let app_access = principals::app_access(&service.db, principal.reference, app, code).await?;
    let allowed = decide(principal, app, country, permission, app_access)?;
    freezes::check(service, principal, app, permission).await?;
    Ok(allowed)
}

/// Decides before a read whose statement knows roles alone: the run of a pipeline is confined to less than any role.
pub(crate) async fn admit(
    service: &Service,
    principal: &Principal,
    app: AppId,
    country: Option<CountryCode>,
    permission: Permission,
) -> Result<()> {
    if !principal.reference.is_run() {
        return Ok(());
    }
    let allowed = preview(service, principal, app, country, permission).await?;
    match (country, permission.resource) {
        (None, Resource::Versions) => allowed.within(Grant::check_all_countries),
        _ => Ok(()),
    }
}

/// The answer to a malformed request: what is wrong with it, but only to somebody who may know that the app exists
/// and do this kind of thing with it.
pub(crate) async fn reveal_to_permitted(
    service: &Service,
    principal: &Principal,
    app: AppId,
    permission: Permission,
    problem: RuleError,
) -> Error {
    match preview(service, principal, app, None, permission).await {
        Ok(_) => problem.into(),
        Err(error) => error,
    }
}

/// Why a read that carries the caller in its statement found nothing: no role, no country, or just nothing.
pub(crate) async fn explain_nothing(
    service: &Service,
    principal: &Principal,
    app: AppId,
    country: Option<CountryCode>,
    permission: Permission,
) -> Result<()> {
    let allowed = preview(service, principal, app, country, permission).await?;
    country.map_or(Ok(()), |country| allowed.in_country(app, country).map(drop))
}

fn decide(
    principal: &Principal,
    app: AppId,
    country: Option<CountryCode>,
    permission: Permission,
    app_access: AppAccess,
) -> Result<Allowed> {
    if app_access.roles.is_empty() {
        return Err(app_missing(app).into());
    }
    if let Some(grant) = &app_access.grant {
        grant.check(permission, country)?;
    } else if !permits(app_access.roles, permission) {
        return Err(too_weak(principal, permission, app_access).into());
    }
    Ok(Allowed(app_access))
}

/// The same words whether there is no such app or only no role on it.
pub(crate) fn app_missing(app: AppId) -> RuleError {
    let message = format!("There is no app {app}, or you have no role on it.");
    RuleError::missing(format!("apps/{app}"), message)
}

pub(crate) fn country_missing(app: AppId, country: CountryCode) -> RuleError {
    let message = format!(
        "Country {country} was not added to app {app}. Add it first: fame countries add {app} {country}, or PATCH apps/{app}/countries/{country} with {{\"countryCode\":\"{country}\"}}."
    );
    RuleError::missing(format!("apps/{app}/countries/{country}"), message)
}

fn too_weak(principal: &Principal, permission: Permission, app_access: AppAccess) -> RuleError {
    let has: Vec<_> = app_access.roles.iter().map(|role| role.as_str()).collect();
    let message = format!(
        "This needs {permission}, which the role {} has. {} {} has {}.",
        least_role(permission),
        principal.kind,
        principal.id,
        has.join(" and ")
    );
    RuleError::new(Code::Forbidden, message)
}
