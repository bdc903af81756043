//! Who is at the customers' door.

use super::address;
use crate::{
    actions::{
        Service, access,
        customers::{Customer, reading::EnvironmentName},
    },
    error::{Error, Result},
    http::{
        concurrency::Key,
        exchange::Exchange,
        extract::{AppState, begin, check_address, fit_name, preconditions_of},
        request_info::RequestInfo,
    },
};
use auth::{AuthFailure, CustomerCaller};
use axum::{extract::FromRequestParts, http::request::Parts};
use domain::{
    ids::{AppId, PrincipalId, TenantId},
    principal::CallerKind,
    problem::{Code, RuleError},
};
use percent_encoding::percent_decode_str;
use std::{str::FromStr, sync::Arc};
use uuid::Uuid;

/// An administrator of a tenant, and the request around what they ask.
pub(crate) struct AdminContext {
    pub(crate) state: Arc<AppState>,
    pub(crate) customer: Customer,
}

impl AdminContext {
    /// What actions work with.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.state.service
    }
}

impl FromRequestParts<Arc<AppState>> for AdminContext {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self> {
        let (info, authorization) = begin(parts)?;
        let signed_in = state.authenticator.authenticate_customer(authorization).await?;
        let customer = customer_of(&signed_in.caller, &info);
        let found = access::preview_administrator(&state.service, &customer).await;
        let registered = found.map_err(|error| as_unknown(error, &info))?;
        if signed_in.must_be_registered && registered.is_none() {
            let refused = state
                .authenticator
                .refuse(AuthFailure::Issuer, "the tenant is not registered");
            return Err(refused.into());
        }
        check_address(&info)?;
        let preconditions = preconditions_of(parts);
        if !preconditions.is_read {
            // What customers see has no tag.
            preconditions.check_untagged()?;
        }
        let key = Key::Customer(customer.own_tenant_id(), customer.id);
        let permit = state.concurrency.enter(key).await?;
        let exchange = parts.extensions.get::<Arc<Exchange>>();
        exchange
            .ok_or_else(|| Error::fault("a request without context"))?
            .admit(&customer.signature(), permit);
        Ok(Self {
            state: Arc::clone(state),
            customer,
        })
    }
}

fn customer_of(caller: &CustomerCaller, info: &RequestInfo) -> Customer {
    let arrival = info.arrival();
    match caller {
        CustomerCaller::Own(caller) => Customer {
            tenant_id: TenantId(caller.tenant_id),
            kind: match caller.kind {
                auth::CallerKind::User => CallerKind::User,
                auth::CallerKind::Application => CallerKind::Application,
            },
            id: PrincipalId(caller.id),
            object_id: caller.object_id,
            partner_tenant_id: None,
            has_administrator_role: caller.is_administrator,
            name: caller.name.as_deref().and_then(fit_name),
            address: caller.address.as_deref().and_then(fit_name),
            arrival,
        },
        CustomerCaller::Delegated(delegated) => Customer {
            tenant_id: TenantId(delegated.tenant_id),
            kind: CallerKind::Delegated,
            id: PrincipalId(delegated.partner_object_id.unwrap_or(Uuid::nil())),
            object_id: None,
            partner_tenant_id: Some(TenantId(delegated.partner_tenant_id)),
            has_administrator_role: delegated.is_administrator,
            name: delegated.name.as_deref().and_then(fit_name),
            address: None,
            arrival,
        },
    }
}

/// To a partner who was not let in, an environment is one that is not there.
fn as_unknown(error: Error, info: &RequestInfo) -> Error {
    match error {
        Error::Rule(problem) if problem.code == Code::ResourceDoesNotExist => {
            match environment_in(&info.routed) {
                Some(environment) => environment.missing().into(),
                None => Error::Rule(problem.about(info.path.clone())),
            }
        }
        other => other,
    }
}

/// The environment that an address is about, in the form that is routed.
fn environment_in(routed: &str) -> Option<EnvironmentName> {
    let text = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let below = routed
        .strip_prefix(address::ROOT)?
        .strip_prefix("/applications/")?;
    let segments: Vec<_> = below.split('/').collect();
    match segments.as_slice() {
        [family, "environments", name, ..] if *name != "operations" || segments.len() > 3 => {
            Some(EnvironmentName::new(&text(family), text(name)))
        }
        _ => None,
    }
}

/// The app that a segment names, which may stand in braces.
pub(super) fn app(segment: &str) -> Result<AppId, RuleError> {
    id("appId", segment)
}

/// An id that a segment names.
pub(super) fn id<T: FromStr<Err: std::fmt::Display>>(name: &str, segment: &str) -> Result<T, RuleError> {
    segment
        .parse()
        .map_err(|error| RuleError::invalid(name, format!("'{name}' in the address: {error}.")))
}
