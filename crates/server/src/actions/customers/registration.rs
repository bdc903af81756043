//! Who administers a tenant's environments, as the operator registers it, and as the customer ends it for a partner.

use super::Customer;
use crate::{
    actions::{
        Principal, Service, access,
        audit::{self, Actor, Change},
        preconditions::Preconditions,
        repeat,
    },
    error::{Error, Result},
    wire_rows,
};
use domain::{
    customer::Partner,
    ids::{Etag, TenantId},
    instant::Instant,
    principal::CallerKind,
    problem::{Code, RuleError},
};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{Tx, customers};
use uuid::Uuid;
use wire::operator::CustomerRegistration;

/// One customer.
pub(crate) async fn get_customer(service: &Service, tenant: TenantId) -> Result<customers::Customer> {
    let found = customers::find_customer(&service.db, tenant).await?;
    found.ok_or_else(|| not_registered(tenant).into())
}

/// What the operator calls a customer, if it is registered under a name.
pub(crate) async fn customer_name(service: &Service, tenant: TenantId) -> Result<Option<String>> {
    let found = customers::find_customer(&service.db, tenant).await?;
    Ok(found.and_then(|customer| customer.display_name))
}

fn not_registered(tenant: TenantId) -> RuleError {
    RuleError::missing(target(tenant), format!("No customer {tenant} is registered."))
}

fn target(tenant: TenantId) -> String {
    format!("customers/{tenant}")
}

struct Saving {
    principal: Principal,
    tenant: TenantId,
    /// Nothing where it is to be removed.
    request: Option<CustomerRegistration>,
    preconditions: Preconditions,
    now: Instant,
}

/// Registers a customer, or replaces what is known of one; whether it is new.
pub(crate) async fn put_customer(
    service: &Service,
    principal: &Principal,
    tenant: TenantId,
    request: CustomerRegistration,
    preconditions: Preconditions,
) -> Result<(customers::Customer, bool)> {
    let input = Saving {
        principal: principal.clone(),
        tenant,
        request: Some(request),
        preconditions,
        now: service.clock.now(),
    };
    let saved = service
        .db
        .write(input, |tx, input| Box::pin(save_in(tx, input)))
        .await?;
    saved.ok_or_else(|| Error::fault("a customer that was saved is not there"))
}

/// Removes what is known of a customer.
pub(crate) async fn delete_customer(
    service: &Arc<Service>,
    principal: &Principal,
    tenant: TenantId,
    preconditions: Preconditions,
) -> Result<()> {
    let input = Saving {
        principal: principal.clone(),
        tenant,
        request: None,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(save_in(tx, input)))
        .await
        .map(drop)
}

async fn save_in(mut tx: Tx<'_>, input: &Saving) -> Result<Option<(customers::Customer, bool)>> {
    let tenant = input.tenant;
    let existing = customers::lock_customer(&mut tx, tenant).await?;
    if existing.is_none() && input.request.is_none() {
        return Err(input.preconditions.missing(not_registered(tenant)));
    }
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        let customer = existing.ok_or_else(|| not_registered(tenant))?;
        return Ok(Some((customer, false)));
    }
    input
        .preconditions
        .check_write(existing.as_ref().map(|customer| customer.etag))?;
    if let (Some(existing), Some(request)) = (&existing, &input.request) {
        wire_rows::registered_customer(existing.clone())?.check_read_only(&request.given)?;
    }
    let after = input.request.as_ref().map(|request| customers::Customer {
        tenant_id: tenant,
        administration: request.administration.clone(),
        etag: Etag::random(),
        display_name: request.display_name.clone(),
        domain: request.domain.clone(),
        notes: request.notes.clone(),
    });
    match &after {
        Some(customer) => customers::save_customer(&mut tx, customer).await?,
        None => customers::delete_customer(&mut tx, tenant).await?,
    }
    let change = Change {
        action: match after {
            Some(_) => "customers/write",
            None => "customers/delete",
        },
        target: target(tenant),
        before: existing.as_ref().map(state),
        after: after.as_ref().map(state),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok(after.map(|customer| (customer, existing.is_none())))
}

fn state(customer: &customers::Customer) -> Value {
    let administration = &customer.administration;
    let partner = |partner: &Partner| {
        json!({
            "tenantId": partner.tenant_id.0,
            "objectId": partner.object_id,
            "expiresOn": partner.expires_on.to_string(),
        })
    };
    json!({
        "administrators": administration.administrators,
        "clients": administration.clients,
        "partners": administration.partners.iter().map(partner).collect::<Vec<_>>(),
        "displayName": customer.display_name,
        "domain": customer.domain,
        "notes": customer.notes,
    })
}

/// The partners that were let into somebody's own tenant.
pub(crate) async fn list_partners(service: &Service, customer: &Customer) -> Result<Vec<Partner>> {
    require_internal(customer)?;
    let found = customers::find_customer(&service.db, customer.tenant_id).await?;
    Ok(found.map_or_else(Vec::new, |found| found.administration.partners))
}

/// Lets a partner into somebody's own tenant no more: its whole tenant, or one of its people.
pub(crate) async fn revoke_partner(
    service: &Service,
    customer: &Customer,
    partner: TenantId,
    object: Option<Uuid>,
) -> Result<()> {
    require_internal(customer)?;
    let input = (customer.clone(), partner, object, service.clock.now());
    service
        .db
        .write(input, |tx, (customer, partner, object, now)| {
            Box::pin(revoke_in(tx, customer, *partner, *object, *now))
        })
        .await
}

async fn revoke_in(
    mut tx: Tx<'_>,
    customer: &Customer,
    partner: TenantId,
    object: Option<Uuid>,
    now: Instant,
) -> Result<()> {
    let existing = customers::lock_customer(&mut tx, customer.tenant_id).await?;
    access::require_administrator(&mut tx, customer, now).await?;
    let is_meant =
        |entry: &Partner| entry.tenant_id == partner && (object.is_none() || object == entry.object_id);
    let missing = || {
        let message = format!("No partner {partner} is let in like that.");
        RuleError::missing(format!("delegatedPartners/{partner}"), message)
    };
    let existing = existing.ok_or_else(missing)?;
    let mut after = existing.clone();
    after.administration.partners.retain(|entry| !is_meant(entry));
    if after.administration.partners.len() == existing.administration.partners.len() {
        return Err(missing().into());
    }
    after.etag = Etag::random();
    customers::save_customer(&mut tx, &after).await?;
    let change = Change {
        action: "customers/revoke",
        target: target(customer.tenant_id),
        before: Some(state(&existing)),
        after: Some(state(&after)),
    };
    audit::record(&mut tx, Actor::Customer(customer), now, change).await
}

/// Whom a partner may let in is not a partner's matter, nor a program's.
fn require_internal(customer: &Customer) -> Result<()> {
    match customer.kind {
        CallerKind::User => Ok(()),
        CallerKind::Application | CallerKind::Delegated | CallerKind::Publisher => {
            let message = "Which partners are let in is seen and ended by administrators of the tenant itself: sign in as a \
                           user who belongs to it.";
            Err(RuleError::new(Code::Forbidden, message).into())
        }
    }
}
