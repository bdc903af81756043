//! What administrators of a tenant may do with its environments, through the Admin Center API.

pub(crate) mod apps;
pub(crate) mod changes;
pub(crate) mod operations;
pub(crate) mod reading;
pub(crate) mod registration;
mod resolving;
pub(crate) mod settings;

use super::{Arrival, Service, access};
use crate::error::Result;
use domain::{
    ids::{PrincipalId, TenantId},
    instant::Instant,
    principal::CallerKind,
};
use futures::future::BoxFuture;
use reading::EnvironmentName;
use std::sync::Arc;
use store::{
    Tx,
    environments::{self, Environment},
};
use uuid::Uuid;

/// Who asks on a customer's behalf, and how that came. It is the tenant that decides what there is for them.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    /// The customer's tenant.
    pub(crate) tenant_id: TenantId,
    pub(crate) kind: CallerKind,
    /// A person's object id, in their own tenant; an application's client id.
    pub(crate) id: PrincipalId,
    /// An application's service principal in the customer's tenant.
    pub(crate) object_id: Option<Uuid>,
    /// The tenant of a delegated administrator.
    pub(crate) partner_tenant_id: Option<TenantId>,
    /// Whether the token has the role of an administrator.
    pub(crate) has_administrator_role: bool,
    /// For display only.
    pub(crate) name: Option<String>,
    /// What a user of the tenant signs in with, by which others of it know them; for display only.
    pub(crate) address: Option<String>,
    pub(crate) arrival: Arrival,
}

impl Customer {
    /// The tenant that they belong to themselves.
    pub(crate) fn own_tenant_id(&self) -> TenantId {
        self.partner_tenant_id.unwrap_or(self.tenant_id)
    }

    /// The customer in one word, as rows keep it: `User/tenant/id`, `Application/id` or `Delegated/partner's tenant/id`.
    pub(crate) fn signature(&self) -> String {
        match self.kind {
            CallerKind::User | CallerKind::Delegated => {
                format!("{}/{}/{}", self.kind, self.own_tenant_id(), self.id)
            }
            CallerKind::Application | CallerKind::Publisher => format!("{}/{}", self.kind, self.id),
        }
    }
}

/// Makes a customer's change, to its end whatever becomes of whoever asked for it, and wakes those who wait for what it
/// brings about.
async fn carry_out<I, T, F>(service: &Arc<Service>, input: I, change: F) -> Result<T>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
    F: for<'t> Fn(Tx<'t>, &'t I) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
{
    service
        .see_through(async move |service| {
            let changed = service.db.write(input, change).await;
            service.emitted.notify_here();
            service.wakeup.notify();
            changed
        })
        .await
}

/// An environment of a customer's, its row locked, if they administer its tenant.
async fn lock_environment(
    tx: &mut Tx<'_>,
    customer: &Customer,
    name: &EnvironmentName,
    now: Instant,
) -> Result<Environment> {
    let found = environments::lock_environment(tx, &name.key(customer.tenant_id)).await?;
    access::require_administrator(tx, customer, now).await?;
    found.ok_or_else(|| name.missing().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(kind: CallerKind, partner: Option<TenantId>) -> Customer {
        Customer {
            tenant_id: TenantId(Uuid::from_u128(1)),
            kind,
            id: PrincipalId(Uuid::from_u128(2)),
            object_id: None,
            partner_tenant_id: partner,
            has_administrator_role: true,
            name: None,
            address: None,
            arrival: Arrival::direct(),
        }
    }

    #[test]
    fn a_signature_names_the_tenant_that_somebody_belongs_to() {
        let (tenant, id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let partner = Uuid::from_u128(3);
        let user = customer(CallerKind::User, None).signature();
        assert_eq!(user, format!("User/{tenant}/{id}"));
        let application = customer(CallerKind::Application, None).signature();
        assert_eq!(application, format!("Application/{id}"));
        let delegated = customer(CallerKind::Delegated, Some(TenantId(partner))).signature();
        assert_eq!(delegated, format!("Delegated/{partner}/{id}"));
    }
}
