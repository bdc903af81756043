//! Who a token speaks for: the bridge from claims to the principals that apps are shared with.
//!
//! | caller | principal row that is meant |
//! |---|---|
//! | user | `type` User, `id` = object id, `aadTenantId` = tenant |
//! | application | `type` Application, `id` = client id (or service principal object id, see [`ApplicationMatch`]), no tenant |
//!
//! A client id is the same in every tenant, and whoever administers one of them may be able to sign in as the application
//! there. Where several tenants are trusted, an application is therefore bound to the tenant of its token.
//!
//! A delegated administrator is nobody's principal: they belong to a partner's tenant, and their token to a customer's. Such a
//! token has no object id of its tenant, so nothing here is looked up by its `sub`, and it opens the customers' API alone.

use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

/// A person, or a program that acts in its own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// A user, through whichever client.
    User,
    /// An application with an app-only token.
    Application,
}

/// An API of the service. A tenant is trusted for some of them, and not at large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The App Management API.
    Vendor,
    /// The operator API.
    Operator,
    /// The agents' API.
    Agent,
    /// The Admin Center API.
    Customer,
}

impl Door {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Vendor, Self::Operator, Self::Agent, Self::Customer];
}

/// Which id of an application a principal row may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationMatch {
    /// The client id, which is the same in every tenant.
    ClientId,
    /// The object id of its service principal, which differs from tenant to tenant.
    ObjectId,
    /// Either. Entra assigns both, so no caller can choose one to be taken for somebody else.
    #[default]
    Either,
}

/// Which id it was that a principal row named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchedBy {
    /// A user's object id.
    UserId,
    /// An application's client id.
    ClientId,
    /// The object id of an application's service principal.
    ObjectId,
}

/// Whom a valid token speaks for. Holding one proves nothing about rights; those are the principals' matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Person or program.
    pub kind: CallerKind,
    /// The tenant that issued the token.
    pub tenant_id: Uuid,
    /// A user's object id; an application's client id.
    pub id: Uuid,
    /// An application's service principal in `tenant_id`; nothing for users.
    pub object_id: Option<Uuid>,
    /// For display and audit only: names are chosen by people and prove nothing.
    pub name: Option<String>,
    /// What a user signs in with, which most often is an address; for display only as well.
    pub address: Option<String>,
    /// Whether the issuer says that it is an agent: an application with the role `Fame.Agent`.
    pub is_agent: bool,
    /// Whether the issuer says that it administers environments of its tenant: a user in one of the two directory roles for
    /// that, an application with the role `AdminCenter.ReadWrite.All`.
    pub is_administrator: bool,
    /// Which ids of an application count.
    pub match_by: ApplicationMatch,
    /// The tenant that an application's rights depend on besides its id; nothing for users, whose rows name theirs, and
    /// where the id alone is enough.
    pub bound_to: Option<Uuid>,
}

impl Caller {
    /// The ids under which this caller's rights may be listed, the preferred one first.
    pub fn principal_ids(&self) -> impl Iterator<Item = (Uuid, MatchedBy)> + use<> {
        let by_object_id = self.object_id.map(|id| (id, MatchedBy::ObjectId));
        let by_client_id = Some((self.id, MatchedBy::ClientId));
        let ids = match (self.kind, self.match_by) {
            (CallerKind::User, _) => [Some((self.id, MatchedBy::UserId)), None],
            (CallerKind::Application, ApplicationMatch::ClientId) => [by_client_id, None],
            (CallerKind::Application, ApplicationMatch::ObjectId) => [by_object_id, None],
            (CallerKind::Application, ApplicationMatch::Either) => [by_client_id, by_object_id],
        };
        ids.into_iter().flatten()
    }

    /// Whether a principal row means this caller, and by which id. A user's row must name the tenant, too;
    /// an application's row has none.
    pub fn is_meant_by(&self, kind: CallerKind, id: Uuid, tenant_id: Option<Uuid>) -> Option<MatchedBy> {
        if kind != self.kind {
            return None;
        }
        if kind == CallerKind::User && tenant_id != Some(self.tenant_id) {
            return None;
        }
        self.principal_ids()
            .find(|(own, _)| *own == id)
            .map(|(_, matched_by)| matched_by)
    }
}

/// Somebody of a partner, with a token of a customer's tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegated {
    /// The customer's tenant, which issued the token.
    pub tenant_id: Uuid,
    /// The partner's tenant.
    pub partner_tenant_id: Uuid,
    /// Their object id in the partner's tenant, if the token says it.
    pub partner_object_id: Option<Uuid>,
    /// For display and audit only.
    pub name: Option<String>,
    /// Whether the customer gave them one of the two directory roles that administer environments.
    pub is_administrator: bool,
}

/// Whom a token speaks for at the customers' door.
#[derive(Clone, Debug)]
pub enum CustomerCaller {
    /// Somebody of the tenant, or a program.
    Own(Arc<Caller>),
    /// Somebody of a partner.
    Delegated(Arc<Delegated>),
}
