//! Agents: who carries operations out beside the environments, and which environments they may serve.

use crate::{
    environment::{EnvironmentKey, family_key, name_key},
    ids::TenantId,
    vocabulary::vocabulary,
};
use std::collections::BTreeSet;

vocabulary! {
    /// How an agent is.
    AgentState {
        /// It has nothing yet to sign in with.
        Enrolling,
        /// It calls.
        Active,
        /// It has not called for a while, or never.
        Silent,
        /// It gets nothing, because its token was used by somebody else.
        Frozen,
    }
}

/// Which environments an agent may serve.
///
/// It names only what an agent cannot decide by its own report: tenant, family and name. What an agent reports never
/// widens it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentScope {
    /// Environments of these tenants; of all where nothing is said.
    pub tenants: Option<BTreeSet<TenantId>>,
    /// Of these application families, by their normal forms; of all where nothing is said.
    pub families: Option<BTreeSet<String>>,
    /// Whose names fit one of these patterns; all where nothing is said.
    pub names: Option<BTreeSet<NamePattern>>,
}

impl AgentScope {
    /// Whether it covers that environment.
    #[must_use]
    pub fn covers(&self, environment: &EnvironmentKey) -> bool {
        let Self {
            tenants,
            families,
            names,
        } = self;
        tenants
            .as_ref()
            .is_none_or(|tenants| tenants.contains(&environment.tenant_id))
            && families
                .as_ref()
                .is_none_or(|families| families.contains(&environment.family_key))
            && names
                .as_ref()
                .is_none_or(|names| names.iter().any(|pattern| pattern.fits(&environment.name_key)))
    }

    /// The same with families as they are compared.
    #[must_use]
    pub fn with_families<'f>(self, families: impl IntoIterator<Item = &'f str>) -> Self {
        Self {
            families: Some(families.into_iter().map(family_key).collect()),
            ..self
        }
    }
}

/// A pattern that names of environments fit: any text stands for itself in any case, `*` for any characters, also none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamePattern(String);

impl NamePattern {
    /// The pattern that this text is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(name_key(text))
    }

    /// It as it is compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the normal form of a name fits.
    #[must_use]
    pub fn fits(&self, name_key: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else {
            return self.0 == name_key;
        };
        let Some(mut left) = name_key.strip_prefix(start) else {
            return false;
        };
        let mut parts: Vec<_> = rest.split('*').collect();
        let end = parts.pop().unwrap_or_default();
        for part in parts {
            match left.split_once(part) {
                Some((_, behind)) => left = behind,
                None => return false,
            }
        }
        left.ends_with(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(tenant: TenantId, family: &str, name: &str) -> EnvironmentKey {
        EnvironmentKey::new(tenant, family, name)
    }

    #[test]
    fn a_scope_covers_what_meets_all_that_it_says() {
        let (ours, other) = (TenantId::random(), TenantId::random());
        assert!(AgentScope::default().covers(&key(other, "BusinessCentral", "Any")));
        let scope = AgentScope {
            tenants: Some([ours].into()),
            names: Some(["prod*", "TEST"].map(NamePattern::new).into()),
            ..AgentScope::default()
        }
        .with_families(["Business Central"]);
        for (covered, environment) in [
            (true, key(ours, "businesscentral", "Production")),
            (true, key(ours, "Business Central", "test")),
            (false, key(other, "BusinessCentral", "Production")),
            (false, key(ours, "Another", "Production")),
            (false, key(ours, "BusinessCentral", "Sandbox")),
        ] {
            assert_eq!(scope.covers(&environment), covered, "{environment}");
        }
        let none = AgentScope {
            tenants: Some(BTreeSet::new()),
            ..AgentScope::default()
        };
        assert!(!none.covers(&key(ours, "BusinessCentral", "Production")));
    }

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "a-b-b-c", true),
            ("a**c", "abc", true),
            ("aa*aa", "aaa", false),
            ("a*c", "abcd", false),
            ("abc", "abcd", false),
        ] {
            assert_eq!(NamePattern::new(pattern).fits(name), fits, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_fits_what_it_was_made_of(parts in prop::collection::vec("[ab]{0,3}", 1..5), filler in "[abc]{0,3}") {
            let name = parts.join(&filler);
            prop_assert!(NamePattern::new(&parts.join("*")).fits(&name));
        }
    }
}
