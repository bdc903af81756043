//! Who signed a package, and who must have signed the packages of an app.
//!
//! A signer is known by their key. Names in certificates are whatever whoever made them wrote there.

use crate::problem::{Code, RuleError};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// The code of what speaks against a package of which nothing is proven.
pub const NOT_SIGNED: &str = "NotSigned";

/// The SHA-256 of a public key, its SubjectPublicKeyInfo; shown as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignerKey(pub [u8; 32]);

/// Who signed a package, as it proves by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Whose key it was.
    pub key: SignerKey,
    /// Whom their certificate names.
    pub subject: String,
}

/// Who must have signed the packages of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SignerRule {
    /// Nobody.
    #[default]
    None,
    /// Anybody.
    Signed,
    /// Somebody with one of these keys.
    Pinned(BTreeSet<SignerKey>),
}

impl SignerRule {
    /// Keys that a rule may name: the one in use, the next, and some to spare.
    pub const MAX_KEYS: usize = 16;

    /// What speaks against a package whose signer is proven to be `signer`, with its stable code.
    #[must_use]
    pub fn objection(&self, signer: Option<&Signer>) -> Option<(&'static str, String)> {
        match (self, signer) {
            (Self::None, _) | (Self::Signed, Some(_)) => None,
            (_, None) => Some((
                NOT_SIGNED,
                format!(
                    "Packages of this app must be signed ({self}), and nothing proves who signed this one."
                ),
            )),
            (Self::Pinned(keys), Some(signer)) if keys.contains(&signer.key) => None,
            (Self::Pinned(_), Some(signer)) => Some((
                "SignedByAnother",
                format!(
                    "Packages of this app must be signed with another key ({self}): this one was signed with {}, whose \
                     certificate names {}.",
                    signer.key, signer.subject
                ),
            )),
        }
    }

    /// Whether a package may be taken in whose signer is proven to be `signer`.
    ///
    /// # Errors
    /// `InvalidPackage` with `NotSigned` or `SignedByAnother`.
    pub fn check(&self, signer: Option<&Signer>) -> Result<(), RuleError> {
        let Some((code, message)) = self.objection(signer) else {
            return Ok(());
        };
        Err(RuleError::new(Code::InvalidPackage, message.clone())
            .about("packageContents")
            .because(code, message))
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for SignerKey {
    type Err = NoSignerKey;

    fn from_str(text: &str) -> Result<Self, NoSignerKey> {
        let unknown = || NoSignerKey(text.chars().take(80).collect());
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut key = [0; 32];
        if pairs.len() != key.len() || !rest.is_empty() {
            return Err(unknown());
        }
        for (byte, pair) in key.iter_mut().zip(pairs) {
            let digit = |digit: u8| {
                char::from(digit)
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            };
            let [high, low] = *pair;
            let (high, low) = digit(high).zip(digit(low)).ok_or_else(unknown)?;
            *byte = high << 4 | low;
        }
        Ok(Self(key))
    }
}

impl fmt::Display for SignerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Signed => f.write_str("signed"),
            Self::Pinned(keys) => {
                let keys: Vec<_> = keys.iter().map(SignerKey::to_string).collect();
                write!(f, "pinned:{}", keys.join(","))
            }
        }
    }
}

impl FromStr for SignerRule {
    type Err = NoSignerRule;

    fn from_str(text: &str) -> Result<Self, NoSignerRule> {
        let unknown = || NoSignerRule(text.chars().take(80).collect());
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            None if text == "signed" => Ok(Self::Signed),
            Some(("pinned", keys)) if keys.split(',').count() <= Self::MAX_KEYS => {
                let keys: Result<_, _> = keys.split(',').map(|key| key.trim().parse()).collect();
                keys.map(Self::Pinned).map_err(|_: NoSignerKey| unknown())
            }
            _ => Err(unknown()),
        }
    }
}

/// A text that is no key of a signer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no SHA-256 in 64 hexadecimal digits")]
pub struct NoSignerKey(pub String);

/// A text that says nothing about signers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is none of none, signed and pinned:KEY[,KEY], where a key is the SHA-256 of a public key in 64 hexadecimal \
     digits, and there are at most {max}", max = SignerRule::MAX_KEYS
)]
pub struct NoSignerRule(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(of: u8) -> Signer {
        Signer {
            key: SignerKey([of; 32]),
            subject: "CN=Contoso".into(),
        }
    }

    fn code(rule: &str, signer: Option<&Signer>) -> Option<&'static str> {
        let rule: SignerRule = rule.parse().unwrap();
        assert_eq!(rule.check(signer).is_err(), rule.objection(signer).is_some());
        rule.objection(signer).map(|(code, _)| code)
    }

    #[test]
    fn what_is_no_key_is_told_what_one_is() {
        let told = "abc".parse::<SignerKey>().unwrap_err().to_string();
        assert_eq!(told, "'abc' is no SHA-256 in 64 hexadecimal digits");
    }

    #[test]
    fn a_rule_asks_for_nobody_anybody_or_a_key() {
        let (mine, other) = (signer(0xA1), signer(0xB2));
        let pinned = format!("pinned:{},{}", SignerKey([0; 32]), mine.key);
        assert_eq!([code("none", None), code("none", Some(&other))], [None, None]);
        assert_eq!(
            [code("signed", None), code("signed", Some(&other))],
            [Some("NotSigned"), None]
        );
        assert_eq!(
            [code(&pinned, None), code(&pinned, Some(&mine))],
            [Some("NotSigned"), None]
        );
        assert_eq!(code(&pinned, Some(&other)), Some("SignedByAnother"));
        let rule: SignerRule = pinned.parse().unwrap();
        let message = rule.objection(Some(&other)).unwrap().1;
        for fact in [pinned, other.key.to_string(), other.subject] {
            assert!(message.contains(&fact), "{message}");
        }
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        let key = "0f".repeat(32);
        for text in ["none".into(), "signed".into(), format!("pinned:{key}")] {
            assert_eq!(text.parse::<SignerRule>().unwrap().to_string(), text);
        }
        let upper = format!("pinned:{}, {key}", key.to_uppercase());
        assert_eq!(
            upper.parse::<SignerRule>().unwrap().to_string(),
            format!("pinned:{key}")
        );
        for wrong in [
            String::new(),
            "Signed by us".into(),
            "pinned".into(),
            "pinned:".into(),
            format!("pinned:{key}0"),
            format!("pinned:{}", "0".repeat(63)),
            format!("pinned:+{}", "0".repeat(63)),
            format!("pinned:{key},"),
            format!("pinned:{}", [key.as_str(); 17].join(",")),
            format!("signed:{key}"),
        ] {
            let error = wrong.parse::<SignerRule>().unwrap_err();
            let shown: String = wrong.chars().take(80).collect();
            assert!(
                error.to_string().starts_with(&format!("'{shown}' is none of")),
                "{error}"
            );
        }
    }
}
