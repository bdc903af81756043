//! Messages for people. A service may say anything in them, about anybody: so what stays is what reads as a word of prose or
//! as one of the API, and what does not is a pseudonym.

use super::{
    pseudonyms::{Kind, Pseudonyms, kind_of, outside},
    vocabulary::{
        is_code, is_country, is_member, is_option, is_plain, is_small_number, is_time, is_version, is_word,
    },
};
use domain::redaction::{HIDDEN, redacted};

/// The most characters of a message that are kept.
const LONGEST: usize = 2_000;
/// The longest word.
const LONGEST_WORD: usize = 24;
/// Digits of numbers in a row from which on they may be somebody's: a telephone has no fewer.
const DIGITS_OF_SOMEBODY: usize = 6;

/// What is written with capitals, whoever writes; any other word with one may be a name, also where a sentence begins.
const CAPITALS: &[&str] = &[
    "A",
    "AAD",
    "AL",
    "API",
    "APIs",
    "Access",
    "After",
    "All",
    "An",
    "Another",
    "Any",
    "App",
    "AppSource",
    "Application",
    "Apps",
    "Ask",
    "At",
    "Azure",
    "BC",
    "Bad",
    "Bearer",
    "Business",
    "By",
    "Call",
    "Cannot",
    "Central",
    "Check",
    "Country",
    "DELETE",
    "Each",
    "Either",
    "Entra",
    "Environment",
    "Error",
    "Every",
    "Expected",
    "Failed",
    "For",
    "Forbidden",
    "GET",
    "GUID",
    "GUIDs",
    "HEAD",
    "HTTP",
    "HTTPS",
    "Hotfix",
    "I",
    "ID",
    "IDs",
    "If",
    "In",
    "Internal",
    "Invalid",
    "It",
    "JSON",
    "JWT",
    "Make",
    "Management",
    "Microsoft",
    "Missing",
    "No",
    "Nobody",
    "None",
    "Not",
    "Nothing",
    "OAuth",
    "OData",
    "OK",
    "Of",
    "On",
    "One",
    "Only",
    "Operation",
    "PATCH",
    "POST",
    "PUT",
    "Package",
    "Parameter",
    "Please",
    "Principal",
    "Property",
    "Request",
    "Resource",
    "Role",
    "SHA",
    "See",
    "Server",
    "Service",
    "Set",
    "Some",
    "Such",
    "TLS",
    "That",
    "The",
    "There",
    "These",
    "They",
    "This",
    "To",
    "Too",
    "Try",
    "UPN",
    "URI",
    "URL",
    "UTC",
    "UTF",
    "Unexpected",
    "Unknown",
    "Update",
    "Upload",
    "Use",
    "User",
    "Value",
    "Version",
    "Wait",
    "We",
    "What",
    "When",
    "Where",
    "Whoever",
    "With",
    "XML",
    "You",
    "Your",
];
/// What comes before a secret.
const SECRETS: &[&str] = &[
    "apikey",
    "credential",
    "credentials",
    "key",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "pwd",
    "secret",
    "sig",
    "signature",
    "token",
];
/// What comes between the two.
const BETWEEN: &[&str] = &["is", "was", "are", "equals"];
/// What comes after them where no secret does.
const NO_SECRETS: &[&str] = &[
    "a",
    "also",
    "an",
    "and",
    "are",
    "as",
    "at",
    "by",
    "can",
    "cannot",
    "does",
    "empty",
    "equals",
    "expired",
    "expires",
    "for",
    "from",
    "has",
    "have",
    "in",
    "incorrect",
    "invalid",
    "is",
    "isn't",
    "malformed",
    "may",
    "missing",
    "must",
    "needed",
    "no",
    "not",
    "of",
    "on",
    "or",
    "required",
    "should",
    "that",
    "the",
    "to",
    "too",
    "unknown",
    "was",
    "which",
    "with",
    "wrong",
    "your",
];

/// What stands between the parts of one word.
const BETWEEN_PIECES: [char; 9] = ['-', '/', ',', '’', '\'', '*', '%', '–', '…'];

/// A message as it is kept.
pub(super) fn message(known: &mut Pseudonyms, message: &str) -> String {
    let message: String = redacted(message).chars().take(LONGEST).collect();
    let mut told = Told {
        known,
        clean: String::new(),
        before: [String::new(), String::new()],
    };
    told.take(&message);
    told.clean
}

/// A message on its way: what a word may be depends on what came before it.
struct Told<'k> {
    known: &'k mut Pseudonyms,
    clean: String,
    /// The last two words, in lower case.
    before: [String; 2],
}

impl Told<'_> {
    /// Takes what stands in quotes whole, and the rest by its words.
    fn take(&mut self, message: &str) {
        let (mut unquoted, mut rest) = (String::new(), message);
        while let Some(first) = rest.chars().next() {
            let is_opening =
                "'\"`“‘«".contains(first) && !unquoted.ends_with(|before: char| before.is_alphanumeric());
            if let Some((inner, quote, after)) = is_opening.then(|| in_quotes(rest, first)).flatten() {
                self.prose(&std::mem::take(&mut unquoted));
                self.quoted(inner, first, quote);
                rest = after;
                continue;
            }
            unquoted.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
        self.prose(&unquoted);
    }

    fn quoted(&mut self, inner: &str, opening: char, closing: char) {
        let is_kept = is_plain("", inner)
            || is_of_the_api(inner)
            || is_country(inner)
            || (self.is_about_versions() && is_version(inner))
            || kind_of(inner).is_some();
        let clean = match is_kept {
            true => inner.to_owned(),
            false => self.pseudonym(inner),
        };
        self.clean += &format!("{opening}{clean}{closing}");
        self.passed("");
    }

    fn prose(&mut self, text: &str) {
        let text = self.known.in_text(Kind::Id, text);
        let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
        let mut left = words.as_slice();
        while let Some((first, rest)) = left.split_first() {
            let numbers = left.iter().take_while(|word| is_of_numbers(bare(word))).count();
            let (row, after) = left.split_at(numbers);
            let row = row.concat();
            if row.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_OF_SOMEBODY {
                let number = bare(&row).to_owned();
                self.write(&row, &number, false);
                left = after;
                continue;
            }
            let word = bare(first).to_owned();
            self.write(first, &word, self.is_kept(&word));
            left = rest;
        }
    }

    /// Writes `written` with a pseudonym for the word in it, unless that is kept.
    fn write(&mut self, written: &str, word: &str, is_kept: bool) {
        let clean = match is_kept {
            true => word.to_owned(),
            false if self.is_secret(word) => HIDDEN.to_owned(),
            false => self.cut(word),
        };
        self.clean += &match word.is_empty() {
            true => written.to_owned(),
            false => written.replacen(word, &clean, 1),
        };
        if !word.is_empty() {
            self.passed(word);
        }
    }

    fn passed(&mut self, word: &str) {
        self.before.swap(0, 1);
        if let Some(last) = self.before.last_mut() {
            *last = word.to_lowercase();
        }
    }

    fn last(&self) -> &str {
        self.before.last().map_or("", String::as_str)
    }

    fn is_about_versions(&self) -> bool {
        let last = self.last();
        last.starts_with("version") || last.ends_with("version")
    }

    /// Whether a secret stands here.
    fn is_secret(&self, word: &str) -> bool {
        let is_of = |words: &[&str], word: &str| words.contains(&word);
        let follows = is_of(SECRETS, self.last())
            || (is_of(BETWEEN, self.last())
                && self.before.first().is_some_and(|first| is_of(SECRETS, first)));
        follows && !is_of(NO_SECRETS, &word.to_lowercase())
    }

    fn is_kept(&self, word: &str) -> bool {
        if self.is_secret(word) {
            return word.is_empty() || word == HIDDEN;
        }
        is_time(word)
            || is_of_the_api(word)
            || (self.is_about_versions() && is_version(word))
            || outside(word)
                .iter()
                .flat_map(|part| part.split(BETWEEN_PIECES))
                .all(is_piece)
    }

    /// What stands in the place of a word that is not kept: of `name=value` the name may stay.
    fn cut(&mut self, word: &str) -> String {
        match word.split_once('=') {
            Some((name, value)) if !value.is_empty() && self.is_kept(name) => {
                let value = match SECRETS.contains(&name.to_lowercase().as_str()) {
                    true => HIDDEN.to_owned(),
                    false if is_plain(name, value) => value.to_owned(),
                    false => self.pseudonym(value),
                };
                format!("{name}={value}")
            }
            _ => self.pseudonym(word),
        }
    }

    fn pseudonym(&mut self, text: &str) -> String {
        let kind = match text {
            text if text.contains("://") => Kind::Address,
            text if text.contains('@') => Kind::Email,
            _ => Kind::Text,
        };
        self.known.of(kind, text)
    }
}

fn is_piece(piece: &str) -> bool {
    let is_prose = piece.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_prose && piece.len() <= LONGEST_WORD)
        || matches!(piece, "=" | "->" | "+" | "&" | ":")
        || CAPITALS.contains(&piece)
        || is_small_number(piece)
        || (is_country(piece) && piece.chars().all(|letter| !letter.is_ascii_lowercase()))
        || is_of_the_api(piece)
}

fn is_of_the_api(word: &str) -> bool {
    is_member(word) || is_option(word) || is_word(word) || is_code(word)
}

/// A word without what stands around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|character: char| {
        character.is_whitespace() || "()[]<>.,;:!?\"'`“”‘’«»".contains(character)
    })
}

fn is_of_numbers(word: &str) -> bool {
    word.contains(|character: char| character.is_ascii_digit())
        && word
            .chars()
            .all(|character| character.is_ascii_digit() || "+-()/".contains(character))
        && !is_time(word)
}

/// What stands in quotes at the beginning of `text`, the quote at its end, and what comes after it.
fn in_quotes(text: &str, opening: char) -> Option<(&str, char, &str)> {
    let closing = match opening {
        '“' => '”',
        '‘' => '’',
        '«' => '»',
        same => same,
    };
    let inside = text.get(opening.len_utf8()..)?;
    let mut ends = inside.match_indices(closing).map(|(at, _)| at);
    let end = ends.find(|at| {
        let after = inside.get(at + closing.len_utf8()..).unwrap_or_default();
        !after.starts_with(char::is_alphanumeric)
    })?;
    let after = inside.get(end + closing.len_utf8()..)?;
    Some((inside.get(..end)?, closing, after)).filter(|(inner, ..)| !inner.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clean(text: &str) -> String {
        message(&mut Pseudonyms::default(), text)
    }

    #[test]
    fn prose_and_the_words_of_the_api_stay() {
        for text in [
            "The app does not have the country; it can be added.",
            "Version 16.0.1.2 isn't newer: set 'runAfter' or 'targetAppVersion', and select Preview/Available.",
            "The environment is held since 2026-11-27T07:10:00Z. Wait for 15 minutes, or 100 % of them.",
            "'US' is no country that POST takes (EntityValidationFailed).",
            "The token is invalid, and the password must be changed.",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn what_is_somebodys_goes() {
        for (told, kept) in [
            ("The pwd is hunter of them.", "The pwd is *** of them."),
            ("The password was Hunter2!", "The password was ***!"),
            (
                "Use key=abcdef or sig=abc%2F, please.",
                "Use key=*** or sig=***, please.",
            ),
            ("Ask jane@localhost today.", "Ask {email-1} today."),
            (
                "The host 10.1.2.3 is gone, as is 2001:db8::1.",
                "The host {text-1} is gone, as is {text-2}.",
            ),
            ("Call +45 12 34 56 78 now.", "Call {text-1} now."),
            ("Call 4512345678 now.", "Call {text-1} now."),
            ("It belongs to Fabrikam now.", "It belongs to {text-1} now."),
            ("See https://contoso.com/x now.", "See {address-1} now."),
            ("On server contoso-sql01.local now.", "On server {text-1} now."),
            ("By CONTOSO\\jane now.", "By {text-1} now."),
            (
                "The name 'Fabrikam Ltd.' is taken.",
                "The name '{text-1}' is taken.",
            ),
            (
                "The version '10.1.2.3' of '10.1.2.3'.",
                "The version '10.1.2.3' of '{text-1}'.",
            ),
        ] {
            assert_eq!(clean(told), kept);
        }
    }

    #[test]
    fn what_was_seen_elsewhere_keeps_its_pseudonym() {
        let mut known = Pseudonyms::default();
        known.of(Kind::Name, "My Customer");
        let told = message(
            &mut known,
            "The environment my customer's is busy, and MY CUSTOMER knows.",
        );
        assert_eq!(told, "The environment {name-1}'s is busy, and {name-1} knows.");
    }

    proptest! {
        #[test]
        fn no_message_tells_a_name(before in "[a-z ]{0,20}", name in "[A-Z][a-z]{5,9}[0-9]", after in "[ .,a-z]{0,20}") {
            let clean = clean(&format!("It {before} {name} {after}"));
            prop_assert!(!clean.contains(&name), "{clean}");
        }

        #[test]
        fn any_text_is_a_message(text in ".{0,120}") {
            clean(&text);
        }
    }
}
