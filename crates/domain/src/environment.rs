//! A customer's environment, and the several spellings under which it is the same one.

use crate::{ids::TenantId, vocabulary::vocabulary};
use std::fmt;

vocabulary! {
    /// What an environment is for.
    EnvironmentKind {
        /// A company's daily work.
        Production,
        /// Trying things out.
        Sandbox,
    }
}

/// An application family under its normal form: blanks dropped, lower case.
///
/// `Business Central` and `BusinessCentral` are the same family; both spellings are documented.
#[must_use]
pub fn family_key(family: &str) -> String {
    family
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect()
}

/// An environment's name under its normal form: lower case.
#[must_use]
pub fn name_key(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// What identifies an environment: tenant, family and name, the last two compared under their normal forms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentKey {
    /// The customer's tenant.
    pub tenant_id: TenantId,
    /// The normal form of the family, from [`family_key`].
    pub family_key: String,
    /// The normal form of the name, from [`name_key`].
    pub name_key: String,
}

impl EnvironmentKey {
    /// The key of the environment with these spellings.
    #[must_use]
    pub fn new(tenant_id: TenantId, family: &str, name: &str) -> Self {
        Self {
            tenant_id,
            family_key: family_key(family),
            name_key: name_key(name),
        }
    }
}

impl fmt::Display for EnvironmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant_id, self.family_key, self.name_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_documented_spellings_of_the_family_are_one_key() {
        let tenant = TenantId::random();
        let one = EnvironmentKey::new(tenant, "Business Central", "MyCustomer");
        let other = EnvironmentKey::new(tenant, "businesscentral", "MYCUSTOMER");
        assert_eq!(one, other);
        assert_eq!(one.to_string(), format!("{tenant}/businesscentral/mycustomer"));
    }

    #[test]
    fn another_name_family_or_tenant_is_another_environment() {
        let tenant = TenantId::random();
        let one = EnvironmentKey::new(tenant, "Business Central", "My Customer");
        for other in [
            EnvironmentKey::new(TenantId::random(), "Business Central", "My Customer"),
            EnvironmentKey::new(tenant, "Another Family", "My Customer"),
            EnvironmentKey::new(tenant, "Business Central", "Your Customer"),
            EnvironmentKey::new(tenant, "Business Central", "MyCustomer"),
        ] {
            assert_ne!(one, other);
        }
    }
}
