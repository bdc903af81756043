//! A customer's environment, and the several spellings under which it is the same one.

use crate::{ids::TenantId, problem::RuleError, text::check_text, vocabulary::vocabulary};
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

vocabulary! {
    /// When the customer wants apps to be updated with the platform. It is kept and shown; nothing follows from it, for
    /// apps are updated here when somebody asks for it.
    UpdateCadence {
        /// As the platform does by itself.
        Default,
        /// With major updates.
        DuringMajorUpgrade,
        /// With major and minor updates.
        DuringMajorMinorUpgrade,
    }
}

vocabulary! {
    /// For whom an installed app was published.
    AppScope {
        /// For all tenants, from a repository.
        Global,
        /// For one tenant.
        Tenant,
        /// By a developer, to try it out.
        Dev,
    }
}

/// The application family that is meant where none is named, as it is shown.
pub const DEFAULT_FAMILY: &str = "BusinessCentral";

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

/// An application family as customers read it: their clients know the usual one by [`DEFAULT_FAMILY`] alone, however it was
/// registered. Any other is shown as it is.
#[must_use]
pub fn family_shown(family: &str) -> &str {
    match family_key(family) == family_key(DEFAULT_FAMILY) {
        true => DEFAULT_FAMILY,
        false => family,
    }
}

/// An environment's name under its normal form: lower case.
#[must_use]
pub fn name_key(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// Longest name of an environment or family, in characters.
pub const LONGEST_NAME: usize = 100;

/// Refuses what cannot be the name of an environment or of a family; `what` says which it is.
///
/// # Errors
/// `InvalidInput` about `what`.
pub fn check_name(what: &str, text: &str) -> Result<(), RuleError> {
    check_text(what, text, LONGEST_NAME)?;
    if text.trim().is_empty() {
        return Err(RuleError::invalid(
            what,
            format!("'{what}' must have more than blanks."),
        ));
    }
    if text.trim() != text {
        let message = format!("'{what}' begins or ends with a blank, which nobody sees.");
        return Err(RuleError::invalid(what, message));
    }
    if matches!(text, "." | "..") {
        let message =
            format!("'{what}' is '{text}', which is a way through folders and addresses, and no name.");
        return Err(RuleError::invalid(what, message));
    }
    Ok(())
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
    fn a_name_is_what_people_read() {
        for good in [
            "Production",
            "My Cust & Co",
            "Größe",
            "a'; Stop-Computer #",
            "$(x)",
            "日本",
            "-Force",
            "...",
            ".a",
        ] {
            assert_eq!(check_name("name", good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "  ",
            " a",
            "a\u{A0}",
            ".",
            "..",
            "a\nb",
            "a\u{85}",
            "\u{202A}a",
            "a\u{202E}b",
            "\u{2066}",
            "a\u{2069}",
            "a\u{E0041}",
            "\u{E007F}",
            "a\u{200B}b",
            "\u{FEFF}a",
            "a\u{2060}",
        ] {
            assert!(check_name("name", bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_name("name", &"é".repeat(LONGEST_NAME)), Ok(()));
        let error = check_name("name", &"é".repeat(LONGEST_NAME + 1)).unwrap_err();
        assert!(error.message.contains("101"), "{error}");
        let error = check_name("name", "a\u{202E}b").unwrap_err();
        assert_eq!(error.target.as_deref(), Some("name"));
        assert!(error.message.contains("U+202E"), "{error}");
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
