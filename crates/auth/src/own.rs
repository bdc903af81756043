//! Tokens that the service gives out itself, to agents and to runs of pipelines, as opposed to those of issuers.
//!
//! `fame<kind>_`, 43 random characters (256 bits) and 6 characters of CRC-32 over all before them. The prefix lets secret
//! scanners find one that was published; the checksum lets a mistyped one be refused without a look-up. What is kept of
//! a token is its SHA-256: nobody guesses 256 bits, so a slow hash would protect nothing.

use aws_lc_rs::rand;
use sha2::{Digest as _, Sha256};
use std::fmt;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of 256 random bits.
const RANDOM: usize = 43;
/// Characters of a checksum.
const CHECKSUM: usize = 6;

/// What a token of the service's own is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnTokenKind {
    /// An agent signs in with it.
    Agent,
    /// An agent gets its first token for it, once.
    Enrolment,
    /// A run of a pipeline signs in with it.
    Publisher,
}

impl OwnTokenKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Agent => "fameagt_",
            Self::Enrolment => "fameenr_",
            Self::Publisher => "fametp_",
        }
    }
}

/// A token of the service's own, whose checksum is right. Whether anybody was given it is not known yet.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnToken(String);

/// A text that is no token of the kind that was expected, or a mistyped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no such token, or a character of it is wrong or missing")]
pub struct NoOwnToken;

/// The machine gave no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the machine gives no random numbers")]
pub struct NoRandomness;

impl OwnToken {
    /// A new one.
    ///
    /// # Errors
    /// Where the machine gives no random numbers.
    #[expect(
        clippy::indexing_slicing,
        reason = "a remainder is less than the number of digits"
    )]
    pub fn random(kind: OwnTokenKind) -> Result<Self, NoRandomness> {
        let mut text = kind.prefix().to_owned();
        let mut bytes = [0; 2 * RANDOM];
        let whole = text.len() + RANDOM;
        while text.len() < whole {
            rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
            // Of the 256 values the last eight are left out, so that all digits are equally likely.
            let digits = bytes.iter().filter(|byte| **byte < 248);
            let digits = digits.map(|byte| char::from(DIGITS[usize::from(byte % 62)]));
            text.extend(digits.take(whole - text.len()));
        }
        text.push_str(&checksum(&text));
        Ok(Self(text))
    }

    /// The token that a text is.
    ///
    /// # Errors
    /// Where it is none of that kind, or its checksum is not that of the rest.
    pub fn read(kind: OwnTokenKind, text: &str) -> Result<Self, NoOwnToken> {
        let digits = text.strip_prefix(kind.prefix()).ok_or(NoOwnToken)?;
        let is_well_formed =
            digits.len() == RANDOM + CHECKSUM && digits.bytes().all(|digit| DIGITS.contains(&digit));
        if !is_well_formed {
            return Err(NoOwnToken);
        }
        let (before, sum) = text.split_at(text.len() - CHECKSUM);
        (checksum(before) == sum)
            .then(|| Self(text.to_owned()))
            .ok_or(NoOwnToken)
    }

    /// Whether a text says of itself that it is a token of the service's own, of any kind.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        [
            OwnTokenKind::Agent,
            OwnTokenKind::Enrolment,
            OwnTokenKind::Publisher,
        ]
        .into_iter()
        .any(|kind| Self::is_meant(kind, text))
    }

    /// Whether a text says of itself that it is one of that kind.
    pub(super) fn is_meant(kind: OwnTokenKind, text: &str) -> bool {
        text.starts_with(kind.prefix())
    }

    /// Its text, to be shown once to whoever is to have it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its last four characters, by which whoever has it finds it in a list. They follow from the rest, and tell nothing of it
    /// that helps to guess it.
    #[must_use]
    pub fn last_four(&self) -> String {
        let before = self.0.chars().count().saturating_sub(4);
        self.0.chars().skip(before).collect()
    }

    /// What is kept of it.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// A secret is not written by accident.
impl fmt::Debug for OwnToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OwnToken(***)")
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "a remainder is less than the number of digits"
)]
fn checksum(text: &str) -> String {
    let mut rest = crc32(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

/// CRC-32 as in gzip and PNG (RFC 1952), bit by bit: the texts are short.
fn crc32(bytes: &[u8]) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0xEDB8_8320;
    let remainder = bytes.iter().fold(u32::MAX, |remainder, byte| {
        (0..8).fold(remainder ^ u32::from(*byte), |remainder, _| {
            (remainder >> 1) ^ (REVERSED_POLYNOMIAL * (remainder & 1))
        })
    });
    !remainder
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_checksum_is_the_well_known_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        // 0xCBF43926 in the digits 0-9A-Za-z.
        assert_eq!(checksum("123456789"), "3jZRME");
    }

    #[test]
    fn a_token_is_read_as_its_own_kind_only() {
        let token = OwnToken::random(OwnTokenKind::Agent).unwrap();
        assert_eq!(token.text().len(), "fameagt_".len() + 49);
        assert_eq!(
            OwnToken::read(OwnTokenKind::Agent, token.text()),
            Ok(token.clone())
        );
        assert_eq!(
            OwnToken::read(OwnTokenKind::Enrolment, token.text()),
            Err(NoOwnToken)
        );
        assert_eq!(format!("{token:?}"), "OwnToken(***)");
    }

    #[test]
    fn no_two_tokens_are_alike_and_all_digits_occur() {
        let tokens: Vec<_> = (0..200)
            .map(|_| OwnToken::random(OwnTokenKind::Enrolment).unwrap())
            .collect();
        let hashes: std::collections::BTreeSet<_> = tokens.iter().map(OwnToken::sha256).collect();
        assert_eq!(hashes.len(), tokens.len());
        let seen: std::collections::BTreeSet<_> = tokens
            .iter()
            .flat_map(|token| token.text().bytes().skip(8).take(43))
            .collect();
        assert_eq!(seen.len(), DIGITS.len());
    }

    proptest! {
        #[test]
        fn one_wrong_character_is_noticed(at in 8_usize..57, other in 0_usize..62) {
            let token = OwnToken::random(OwnTokenKind::Agent).unwrap();
            let mut text = token.text().as_bytes().to_vec();
            prop_assume!(text[at] != DIGITS[other]);
            text[at] = DIGITS[other];
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(OwnToken::read(OwnTokenKind::Agent, &text), Err(NoOwnToken));
        }

        #[test]
        fn any_other_text_is_refused(text in "\\PC*") {
            prop_assert_eq!(OwnToken::read(OwnTokenKind::Agent, &format!("fameagt_{text}")), Err(NoOwnToken));
        }
    }
}
