//! Agents: who carries operations out beside the environments, and which environments they may serve.

use crate::{
    environment::{EnvironmentKey, name_key},
    ids::TenantId,
    instant::Instant,
    pattern,
    vocabulary::vocabulary,
};
use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};
use uuid::Uuid;

/// How long an agent may say nothing before it counts as silent: each calls at least once a minute.
const SILENT_AFTER: Duration = Duration::from_secs(5 * 60);

/// Whether an agent that last called at `last_seen_on` counts as silent.
#[must_use]
pub fn is_silent(last_seen_on: Option<Instant>, now: Instant) -> bool {
    last_seen_on.is_none_or(|seen| now >= seen + SILENT_AFTER)
}

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

    /// Whether there may be an environment that both cover.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        fn share<T>(
            ours: Option<&BTreeSet<T>>,
            others: Option<&BTreeSet<T>>,
            meet: impl Fn(&T, &T) -> bool,
        ) -> bool {
            let (Some(ours), Some(others)) = (ours, others) else {
                return true;
            };
            ours.iter().any(|one| others.iter().any(|other| meet(one, other)))
        }
        share(self.tenants.as_ref(), other.tenants.as_ref(), TenantId::eq)
            && share(self.families.as_ref(), other.families.as_ref(), String::eq)
            && share(self.names.as_ref(), other.names.as_ref(), NamePattern::meets)
    }
}

/// An application as an issuer knows it, whose tokens an agent signs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The tenant that issues the tokens.
    pub tenant: Uuid,
    /// The client id of the application.
    pub client: Uuid,
    /// The object id of its service principal in that tenant.
    pub object: Uuid,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tenant,
            client,
            object,
        } = self;
        write!(f, "{tenant}/{client}/{object}")
    }
}

/// A text that is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no identity of an agent: expected TENANT/CLIENT/OBJECT, each a GUID")]
pub struct NoIdentity(String);

impl FromStr for Identity {
    type Err = NoIdentity;

    fn from_str(text: &str) -> Result<Self, NoIdentity> {
        let ids: Result<Vec<Uuid>, _> = text.split('/').map(Uuid::parse_str).collect();
        match ids.as_deref() {
            Ok(&[tenant, client, object]) => Ok(Self {
                tenant,
                client,
                object,
            }),
            _ => Err(NoIdentity(text.to_owned())),
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

    /// Whether there is a name that fits both.
    fn meets(&self, other: &Self) -> bool {
        let others: Vec<char> = other.0.chars().collect();
        // For each beginning of the other pattern: whether something fits it and what was looked at of this one.
        let mut shared: Vec<bool> = (0..=others.len())
            .map(|length| others.iter().take(length).all(|character| *character == '*'))
            .collect();
        for one in self.0.chars() {
            let mut next = vec![one == '*' && shared.first() == Some(&true)];
            for ((both_shorter, shorter), other) in shared.iter().zip(shared.iter().skip(1)).zip(&others) {
                let other_shorter = next.last() == Some(&true);
                next.push(match one == '*' || *other == '*' {
                    true => *shorter || other_shorter,
                    false => one == *other && *both_shorter,
                });
            }
            shared = next;
        }
        shared.last() == Some(&true)
    }

    /// Whether the normal form of a name fits.
    #[must_use]
    pub fn fits(&self, name_key: &str) -> bool {
        pattern::fits(&self.0, name_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::family_key;
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
            families: Some([family_key("Business Central")].into()),
        };
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

    #[test]
    fn scopes_overlap_where_an_environment_may_fit_both() {
        let (ours, other) = (TenantId::random(), TenantId::random());
        let of = |tenant, names: &[&str]| AgentScope {
            tenants: Some([tenant].into()),
            names: Some(names.iter().map(|name| NamePattern::new(name)).collect()),
            ..AgentScope::default()
        };
        let family = |family: &str| AgentScope {
            families: Some([family.to_owned()].into()),
            ..AgentScope::default()
        };
        let all = AgentScope::default();
        assert!(all.overlaps(&all) && all.overlaps(&of(ours, &["prod*"])));
        for (overlaps, one, two) in [
            (true, of(ours, &["prod*"]), of(ours, &["*duction"])),
            (true, of(ours, &["test", "prod*"]), of(ours, &["Production"])),
            (false, of(ours, &["prod*"]), of(other, &["prod*"])),
            (false, of(ours, &["prod*"]), of(ours, &["test*"])),
            (false, family("one"), family("two")),
        ] {
            assert_eq!(one.overlaps(&two), overlaps, "{one:?} {two:?}");
            assert_eq!(two.overlaps(&one), overlaps, "{two:?} {one:?}");
        }
    }

    #[test]
    fn an_identity_is_read_from_how_it_is_written() {
        let [tenant, client, object] = [1, 2, 3].map(Uuid::from_u128);
        let identity = Identity {
            tenant,
            client,
            object,
        };
        assert_eq!(identity.to_string().parse(), Ok(identity));
        for text in ["", "eu", &tenant.to_string(), &format!("{identity}/{object}")] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn patterns_meet_where_a_name_fits_both(one in "[ab*]{0,5}", two in "[ab*]{0,5}") {
            let mut names = vec![String::new()];
            for length in 0..7 {
                let longest: Vec<_> = names.iter().filter(|name| name.len() == length).cloned().collect();
                names.extend(longest.iter().flat_map(|name| [format!("{name}a"), format!("{name}b")]));
            }
            let [one, two] = [one, two].map(|text| NamePattern::new(&text));
            let fits_both = names.iter().any(|name| one.fits(name) && two.fits(name));
            prop_assert_eq!(one.meets(&two), fits_both);
        }

        #[test]
        fn a_pattern_fits_what_it_was_made_of(parts in prop::collection::vec("[ab]{0,3}", 1..5), filler in "[abc]{0,3}") {
            let name = parts.join(&filler);
            prop_assert!(NamePattern::new(&parts.join("*")).fits(&name));
        }
    }
}
