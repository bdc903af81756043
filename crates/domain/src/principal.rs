//! Who may have roles on an app.

use crate::{ids::TenantId, vocabulary::vocabulary};
use std::{fmt, str::FromStr};

vocabulary! {
    /// What kind of Microsoft Entra identity a principal is.
    PrincipalKind {
        /// A person, known by tenant and object id.
        User,
        /// A program, known by its client id alone.
        Application,
    }
}

vocabulary! {
    /// What kind of identity asks for something.
    CallerKind {
        /// A person of the tenant.
        User,
        /// A program.
        Application,
        /// A person of a partner, who administers the tenant on its customer's behalf.
        Delegated,
        /// The run of a pipeline that an app trusts.
        Publisher,
    }
}

impl From<PrincipalKind> for CallerKind {
    fn from(kind: PrincipalKind) -> Self {
        match kind {
            PrincipalKind::User => Self::User,
            PrincipalKind::Application => Self::Application,
        }
    }
}

vocabulary! {
    /// What a principal may do with an app.
    Role {
        /// Everything, principals included.
        Owner,
        /// Everything but principals.
        Contributor,
        /// Reading only.
        Reader,
    }
}

/// Whose tokens an application has its roles with. Its client id is the same in every tenant, and an administrator of any
/// of them may be able to sign in as the application there; so where several tenants are trusted, its id is not enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TokenTenant {
    /// Tokens of the tenant of the app's publisher.
    #[default]
    Publisher,
    /// Those, and the tokens of this tenant.
    Also(TenantId),
    /// Tokens of every trusted tenant.
    Any,
}

impl FromStr for TokenTenant {
    type Err = NoTokenTenant;

    fn from_str(text: &str) -> Result<Self, NoTokenTenant> {
        match text {
            "publisher" => Ok(Self::Publisher),
            "any" => Ok(Self::Any),
            tenant => tenant
                .parse()
                .map(Self::Also)
                .map_err(|_| NoTokenTenant(tenant.to_owned())),
        }
    }
}

impl fmt::Display for TokenTenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publisher => f.write_str("publisher"),
            Self::Also(tenant) => tenant.fmt(f),
            Self::Any => f.write_str("any"),
        }
    }
}

/// A text that says nothing about tenants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither 'publisher' nor 'any' nor the GUID of a tenant")]
pub struct NoTokenTenant(pub String);

/// The roles that a principal has on an app: a set, shown in the documented order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// No role at all.
    pub const NONE: Self = Self(0);

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `role` is among them.
    #[must_use]
    pub fn contains(self, role: Role) -> bool {
        self.0 & bit(role) != 0
    }

    /// The same roles and `role`.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | bit(role))
    }

    /// The roles of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each role, in the documented order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.iter().copied().filter(move |&role| self.contains(role))
    }

    /// The set as a small number (Owner 1, Contributor 2, Reader 4): how databases store it.
    #[must_use]
    pub fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// The set that a small number stands for; unknown bits are dropped.
    #[must_use]
    pub fn from_bits(bits: i64) -> Self {
        Self(u8::try_from(bits & 0b111).unwrap_or(0))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

const fn bit(role: Role) -> u8 {
    match role {
        Role::Owner => 1,
        Role::Contributor => 2,
        Role::Reader => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_a_set_in_documented_order() {
        let roles: Roles = [Role::Reader, Role::Owner, Role::Reader].into_iter().collect();
        assert_eq!(roles.iter().collect::<Vec<_>>(), [Role::Owner, Role::Reader]);
        assert_eq!(Roles::from_bits(roles.bits()), roles);
        assert!(Roles::from_bits(0).is_empty());
        assert_eq!(Roles::from_bits(0b1111_1111), Role::ALL.iter().copied().collect());
    }

    #[test]
    fn who_has_roles_twice_has_those_of_both() {
        let both = [Role::Owner, Role::Reader].into_iter().collect::<Roles>();
        let others = [Role::Contributor, Role::Reader].into_iter().collect::<Roles>();
        assert_eq!(both.union(others), Role::ALL.iter().copied().collect());
        assert_eq!(both.union(Roles::NONE), both);
        assert_eq!(both.union(both), both);
    }
}
