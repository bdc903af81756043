//! Who may have roles on an app.

use crate::vocabulary::vocabulary;

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
