//! Who administers a customer's environments: what is written down about a tenant, and what follows from it for whoever calls.

use crate::{
    ids::{PrincipalId, TenantId},
    instant::Instant,
    principal::CallerKind,
};
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

/// For how long a partner may be let in, at most: 730 days, as Microsoft has it for delegated administration.
pub const LONGEST_PARTNERSHIP: Duration = Duration::from_secs(730 * 24 * 3_600);

/// Somebody of another tenant who may administer a customer's environments for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partner {
    /// The partner's tenant.
    pub tenant_id: TenantId,
    /// Whom of that tenant alone; anybody of it if nothing is said.
    pub object_id: Option<Uuid>,
    /// Until when.
    pub expires_on: Instant,
}

/// What is written down about a customer's tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Administration {
    /// Who administers without a directory role: users by their object ids, applications by their client or object ids.
    pub administrators: BTreeSet<Uuid>,
    /// The applications that may use the role that their tokens have: client ids.
    pub clients: BTreeSet<Uuid>,
    /// The partners that were let in.
    pub partners: Vec<Partner>,
}

/// Who asks, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// What they are.
    pub kind: CallerKind,
    /// A user's object id in their own tenant, an application's client id.
    pub id: PrincipalId,
    /// The object id of an application's service principal.
    pub object_id: Option<Uuid>,
    /// The tenant of a delegated administrator.
    pub partner: Option<TenantId>,
    /// Whether their token has the role of an administrator.
    pub has_role: bool,
}

/// Whether somebody administers a customer's environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They do.
    Administrator,
    /// Nothing says so.
    NoRole,
    /// The application has the role, and is not among the clients.
    UnlistedClient,
    /// The partner was not let in, or not any more: there is nothing here for them.
    NoPartner,
}

impl Administration {
    /// How somebody stands now.
    #[must_use]
    pub fn standing(&self, who: Asking, now: Instant) -> Standing {
        let is_named = self.names(who);
        match who.kind {
            CallerKind::Delegated if !self.lets_in(who, now) => Standing::NoPartner,
            CallerKind::Application if who.has_role && !is_named && !self.clients.contains(&who.id.0) => {
                Standing::UnlistedClient
            }
            _ if who.has_role || is_named => Standing::Administrator,
            _ => Standing::NoRole,
        }
    }

    /// A partner's ids are those of another tenant, and mean nobody here.
    fn names(&self, who: Asking) -> bool {
        let is_named = |id: &Uuid| self.administrators.contains(id);
        let is_own = who.kind != CallerKind::Delegated;
        is_own && (is_named(&who.id.0) || who.object_id.as_ref().is_some_and(is_named))
    }

    fn lets_in(&self, who: Asking, now: Instant) -> bool {
        let person = (!who.id.0.is_nil()).then_some(who.id.0);
        self.partners.iter().any(|partner| {
            Some(partner.tenant_id) == who.partner
                && now < partner.expires_on
                && partner.object_id.is_none_or(|object| Some(object) == person)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTNER: TenantId = TenantId(Uuid::from_u128(1));
    const PERSON: Uuid = Uuid::from_u128(2);
    const CLIENT: Uuid = Uuid::from_u128(3);
    const SERVICE_PRINCIPAL: Uuid = Uuid::from_u128(4);
    const NOON: Instant = Instant(1_000);

    fn user(has_role: bool) -> Asking {
        Asking {
            kind: CallerKind::User,
            id: PrincipalId(PERSON),
            object_id: None,
            partner: None,
            has_role,
        }
    }

    fn application(has_role: bool) -> Asking {
        Asking {
            kind: CallerKind::Application,
            id: PrincipalId(CLIENT),
            object_id: Some(SERVICE_PRINCIPAL),
            ..user(has_role)
        }
    }

    fn delegated(has_role: bool, person: Uuid) -> Asking {
        Asking {
            kind: CallerKind::Delegated,
            id: PrincipalId(person),
            partner: Some(PARTNER),
            ..user(has_role)
        }
    }

    fn administration(administrators: &[Uuid], clients: &[Uuid], partners: &[Partner]) -> Administration {
        Administration {
            administrators: administrators.iter().copied().collect(),
            clients: clients.iter().copied().collect(),
            partners: partners.to_vec(),
        }
    }

    fn partner(object_id: Option<Uuid>, expires_on: Instant) -> Partner {
        Partner {
            tenant_id: PARTNER,
            object_id,
            expires_on,
        }
    }

    #[test]
    fn users_have_the_role_or_are_named() {
        let (nothing, named) = (Administration::default(), administration(&[PERSON], &[], &[]));
        assert_eq!(nothing.standing(user(true), NOON), Standing::Administrator);
        assert_eq!(nothing.standing(user(false), NOON), Standing::NoRole);
        assert_eq!(named.standing(user(false), NOON), Standing::Administrator);
        // A client id is no object id.
        assert_eq!(
            administration(&[], &[PERSON], &[]).standing(user(false), NOON),
            Standing::NoRole
        );
    }

    #[test]
    fn applications_have_the_role_and_are_listed_or_are_named() {
        let (nothing, listed) = (Administration::default(), administration(&[], &[CLIENT], &[]));
        assert_eq!(
            nothing.standing(application(true), NOON),
            Standing::UnlistedClient
        );
        assert_eq!(nothing.standing(application(false), NOON), Standing::NoRole);
        assert_eq!(listed.standing(application(true), NOON), Standing::Administrator);
        assert_eq!(listed.standing(application(false), NOON), Standing::NoRole);
        assert_eq!(
            administration(&[], &[SERVICE_PRINCIPAL], &[]).standing(application(true), NOON),
            Standing::UnlistedClient
        );
        for id in [CLIENT, SERVICE_PRINCIPAL] {
            let named = administration(&[id], &[], &[]);
            assert_eq!(named.standing(application(false), NOON), Standing::Administrator);
            assert_eq!(named.standing(application(true), NOON), Standing::Administrator);
        }
    }

    #[test]
    fn partners_are_let_in_for_a_time_and_have_the_role() {
        let of = |partners: &[Partner], who| {
            administration(&[PERSON, Uuid::nil()], &[], partners).standing(who, NOON)
        };
        let (later, now) = (Instant(1_001), NOON);
        let whole = partner(None, later);
        assert_eq!(of(&[whole], delegated(true, PERSON)), Standing::Administrator);
        assert_eq!(
            of(&[whole], delegated(true, Uuid::nil())),
            Standing::Administrator
        );
        assert_eq!(of(&[whole], delegated(false, PERSON)), Standing::NoRole);
        assert_eq!(
            of(&[partner(None, now)], delegated(true, PERSON)),
            Standing::NoPartner
        );
        assert_eq!(of(&[], delegated(true, PERSON)), Standing::NoPartner);
        assert_eq!(of(&[], delegated(false, PERSON)), Standing::NoPartner);
        let one = partner(Some(PERSON), later);
        assert_eq!(of(&[one], delegated(true, PERSON)), Standing::Administrator);
        for other in [CLIENT, Uuid::nil()] {
            assert_eq!(of(&[one], delegated(true, other)), Standing::NoPartner);
        }
        let nil = partner(Some(Uuid::nil()), later);
        assert_eq!(of(&[nil], delegated(true, Uuid::nil())), Standing::NoPartner);
        let elsewhere = Asking {
            partner: Some(TenantId(Uuid::from_u128(9))),
            ..delegated(true, PERSON)
        };
        assert_eq!(of(&[whole], elsewhere), Standing::NoPartner);
        let nowhere = Asking {
            partner: None,
            ..delegated(true, PERSON)
        };
        assert_eq!(of(&[whole], nowhere), Standing::NoPartner);
    }
}
