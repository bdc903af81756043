//! What must not leave the machine in a text: secrets, however they got into it.
//!
//! A script may print its environment, a target may repeat what it was sent. What the agent tells the service, and what it
//! logs of targets, goes through here.

use crate::secret::Secret;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use domain::redaction::{HIDDEN, redacted};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use std::sync::{PoisonError, RwLock};

/// A shorter one is a word that texts may well have.
const SHORTEST: usize = 8;

/// Takes secrets out of texts.
#[derive(Debug, Default)]
pub struct Redactor {
    named: Vec<Secret>,
    known: RwLock<Vec<SecretString>>,
}

impl Redactor {
    /// One that knows these secrets, as they are at the time.
    #[must_use]
    pub fn new(named: Vec<Secret>) -> Self {
        Self {
            named,
            known: RwLock::default(),
        }
    }

    /// Hides this one too, from now on.
    pub fn learn(&self, secret: SecretString) {
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(secret);
    }

    /// `text` without secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let named = self.named.iter().filter_map(|secret| secret.read().ok());
        for secret in known.iter().cloned().chain(named) {
            text = without(text, secret.expose_secret());
        }
        redacted(&text)
    }
}

/// `text` without the secret in each of the forms in which it is passed around.
fn without(text: String, secret: &str) -> String {
    if secret.chars().count() < SHORTEST {
        return text;
    }
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let sparing = percent_outside_of(secret, "-._~");
    let mut forms = vec![
        secret.to_owned(),
        lower_digits(&percent),
        lower_digits(&sparing),
        percent,
        sparing,
    ];
    forms.extend(base64_forms(secret));
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms
        .iter()
        .fold(text, |text, form| text.replace(form.as_str(), HIDDEN))
}

/// As base64 alone, and as a part of something longer: there its first and last letters depend on what is beside it.
fn base64_forms(secret: &str) -> Vec<String> {
    let mut forms = vec![STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret)];
    for (before, unsure) in [(0, 0), (1, 2), (2, 3)] {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret.as_bytes());
        // Letters that hold bits of the secret alone.
        let whole = bytes.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            if let Some(inner) = encoded.get(unsure..whole).filter(|inner| inner.len() >= SHORTEST) {
                forms.push(inner.to_owned());
            }
        }
    }
    forms
}

fn percent_outside_of(secret: &str, plain: &str) -> String {
    let letters = secret.chars().map(|letter| {
        if plain.contains(letter) {
            letter.to_string()
        } else {
            utf8_percent_encode(&letter.to_string(), NON_ALPHANUMERIC).to_string()
        }
    });
    letters.collect()
}

/// The same with the digits of percent-encoding in lower case.
fn lower_digits(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        format!("{text}%{}{rest}", digits.to_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    const SECRET: &str = "Pä55 wo/rd+ü?&geheim";

    fn redactor() -> Redactor {
        let redactor = Redactor::default();
        redactor.learn(SECRET.into());
        redactor.learn("short".into());
        redactor
    }

    #[test]
    fn a_secret_is_hidden_in_every_coding() {
        let percent = utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string();
        for told in [
            SECRET.to_owned(),
            STANDARD.encode(SECRET),
            URL_SAFE_NO_PAD.encode(SECRET),
            STANDARD.encode(format!("user:{SECRET}")),
            STANDARD.encode(format!("a:{SECRET}:b")),
            STANDARD.encode(format!("ab:{SECRET}:b")),
            lower_digits(&percent),
            percent,
        ] {
            let text = redactor().redact(&format!("It says: {told}, and more"));
            assert!(text.contains(HIDDEN), "{told}: {text}");
            assert!(
                !text.contains("geheim") && !text.contains("Z2VoZWlt"),
                "{told}: {text}"
            );
            assert!(
                text.starts_with("It says: ") && text.ends_with(", and more"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden_though_nobody_named_it() {
        let told = "Server=x;Password=hunter2;User=y";
        assert_eq!(redactor().redact(told), "Server=x;Password=***;User=y");
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in [
            "The table 'short' cannot be changed.",
            "The password must be changed by the user.",
            "Publish → Sync → Start-NAVAppDataUpgrade 100 %",
        ] {
            assert_eq!(redactor().redact(text), text);
        }
    }
}
