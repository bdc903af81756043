//! Pseudonyms: what stands in a recording in the place of ids, names and addresses.
//!
//! They are counted, and not made from what they stand for, so that nobody can try out names until one fits.

use std::{collections::HashMap, fmt::Write as _};
use uuid::Uuid;

/// What a pseudonym stands for, as far as the place in which it was found tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    App,
    Tenant,
    Principal,
    Package,
    Hotfix,
    Etag,
    /// An id of something else.
    Id,
    /// An e-mail address, or the name that a user signs in with.
    Email,
    /// The name of an environment, an app or a publisher.
    Name,
    Location,
    /// An address on the network.
    Address,
    Text,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::App,
        Self::Tenant,
        Self::Principal,
        Self::Package,
        Self::Hotfix,
        Self::Etag,
        Self::Id,
        Self::Email,
        Self::Name,
        Self::Location,
        Self::Address,
        Self::Text,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Tenant => "tenant",
            Self::Principal => "principal",
            Self::Package => "package",
            Self::Hotfix => "hotfix",
            Self::Etag => "etag",
            Self::Id => "id",
            Self::Email => "email",
            Self::Name => "name",
            Self::Location => "location",
            Self::Address => "address",
            Self::Text => "text",
        }
    }

    /// Whether it stands for a GUID; for a text otherwise.
    pub(crate) fn is_guid(self) -> bool {
        matches!(
            self,
            Self::App | Self::Tenant | Self::Principal | Self::Package | Self::Hotfix | Self::Etag | Self::Id
        )
    }

    /// The same for what is a GUID, or is none.
    fn of_form(self, is_guid: bool) -> Self {
        match (self.is_guid(), is_guid) {
            (false, true) => Self::Id,
            (true, false) => Self::Text,
            _ => self,
        }
    }
}

/// The most different things that are told apart in one recording.
const MOST: usize = 200_000;
/// The shortest text that is looked for inside of others.
const SHORTEST_FOUND: usize = 3;

/// Which pseudonym stands for what. Case is no difference: the API compares ids and names without it.
#[derive(Debug, Default)]
pub(crate) struct Pseudonyms {
    known: HashMap<String, String>,
    counts: HashMap<Kind, usize>,
    /// The texts among them, in lower case, by their first character.
    texts: HashMap<char, Vec<String>>,
}

impl Pseudonyms {
    /// The pseudonym of `value`, in braces: `{app-1}`.
    pub(crate) fn of(&mut self, kind: Kind, value: &str) -> String {
        let guid = as_guid(value);
        let kind = kind.of_form(guid.is_some());
        let key = guid.map_or_else(|| value.to_lowercase(), |guid| guid.to_string());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        if self.known.len() >= MOST {
            return format!("{{{}-0}}", kind.word());
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let pseudonym = format!("{{{}-{count}}}", kind.word());
        if guid.is_none() && key.chars().count() >= SHORTEST_FOUND {
            self.texts
                .entry(key.chars().next().unwrap_or_default())
                .or_default()
                .push(key.clone());
        }
        self.known.insert(key, pseudonym.clone());
        pseudonym
    }

    /// `text` with pseudonyms for the GUIDs in it, and for every text that has one already and stands there by itself.
    pub(crate) fn in_text(&mut self, kind: Kind, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        let mut is_inside_word = false;
        while let Some(character) = rest.chars().next() {
            if !is_inside_word {
                if let Some(length) = guid_at(rest) {
                    let (guid, after) = rest.split_at(length);
                    clean += &self.of(kind, guid);
                    (rest, is_inside_word) = (after, true);
                    continue;
                }
                if let Some(length) = self.known_at(rest) {
                    let (known, after) = rest.split_at(length);
                    clean += &self.of(Kind::Text, known);
                    (rest, is_inside_word) = (after, true);
                    continue;
                }
            }
            clean.push(character);
            is_inside_word = character.is_alphanumeric();
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        }
        clean
    }

    /// How many bytes at the beginning of `text` are one that has a pseudonym: the longest.
    fn known_at(&self, text: &str) -> Option<usize> {
        let first = text.chars().next()?.to_lowercase().next()?;
        let lengths = self.texts.get(&first)?.iter().filter_map(|known| {
            let length = same_beginning(text, known)?;
            let is_whole = !text.get(length..)?.starts_with(char::is_alphanumeric);
            is_whole.then_some(length)
        });
        lengths.max()
    }
}

/// How many bytes of `text` are `lower` in any case.
fn same_beginning(text: &str, lower: &str) -> Option<usize> {
    let mut wanted = lower.chars();
    let mut length = 0;
    let mut characters = text.chars();
    while !wanted.as_str().is_empty() {
        let character = characters.next()?;
        for folded in character.to_lowercase() {
            if wanted.next() != Some(folded) {
                return None;
            }
        }
        length += character.len_utf8();
    }
    Some(length)
}

/// The GUID that `text` is, with dashes, without, or in braces.
pub(crate) fn as_guid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

/// How many bytes at the beginning of `text` are a GUID that ends there.
fn guid_at(text: &str) -> Option<usize> {
    const LENGTHS: [usize; 2] = [36, 32];
    LENGTHS.into_iter().find(|length| {
        let is_guid = text.get(..*length).is_some_and(|start| as_guid(start).is_some());
        is_guid
            && !text
                .get(*length..)
                .unwrap_or_default()
                .starts_with(char::is_alphanumeric)
    })
}

/// The kind of a text that is one pseudonym and nothing else.
pub(crate) fn kind_of(text: &str) -> Option<Kind> {
    let (name, rest) = first_name(text.strip_prefix('{')?)?;
    rest.is_empty().then(|| kind_of_name(name)).flatten()
}

fn kind_of_name(name: &str) -> Option<Kind> {
    let (word, number) = name.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
    kind.filter(|_| is_number)
}

/// `name` and what comes after it, where `text` begins with `name}`.
fn first_name(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('}')?;
    kind_of_name(name).map(|_| (name, rest))
}

/// The parts of `text` that are no pseudonyms, in their order.
pub(crate) fn outside(text: &str) -> Vec<&str> {
    let (mut parts, mut rest, mut from) = (Vec::new(), text, 0);
    while let Some((before, after)) = text.get(from..).and_then(|left| left.split_once('{')) {
        from += before.len() + 1;
        let Some((_, behind)) = first_name(after) else {
            continue;
        };
        parts.extend(rest.get(..rest.len() - after.len() - 1));
        (rest, from) = (behind, text.len() - behind.len());
    }
    parts.push(rest);
    parts
}

/// What pseudonyms stand for at a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings(HashMap<String, String>);

impl Bindings {
    /// Says what the pseudonym of that name stands for, unless that is known.
    pub(crate) fn learn(&mut self, name: &str, value: &str) {
        self.0.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// What the pseudonym that `text` is stands for.
    pub(crate) fn of(&self, text: &str) -> Option<&str> {
        self.0.get(name_of(text)?).map(String::as_str)
    }

    /// `text` with what its pseudonyms stand for, each written as `write` does; those that stand for nothing are added to
    /// `unbound`.
    pub(crate) fn resolve(
        &self,
        text: &str,
        write: impl Fn(&str) -> String,
        unbound: &mut Vec<String>,
    ) -> String {
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            resolved += before;
            let Some((name, after)) = first_name(after) else {
                resolved.push('{');
                rest = after;
                continue;
            };
            match self.0.get(name) {
                Some(value) => resolved += &write(value),
                None => {
                    // Writing into a string has no way to fail.
                    let _ = write!(resolved, "{{{name}}}");
                    if !unbound.iter().any(|known| known == name) {
                        unbound.push(name.to_owned());
                    }
                }
            }
            rest = after;
        }
        resolved + rest
    }
}

/// The name of the pseudonym that `text` is: `app-1` of `{app-1}`.
pub(crate) fn name_of(text: &str) -> Option<&str> {
    kind_of(text)?;
    text.strip_prefix('{')?.strip_suffix('}')
}

/// Reads `app-1=VALUE`, as it is given on the command line.
///
/// # Errors
/// What is expected instead.
pub(crate) fn binding(text: &str) -> Result<(String, String), String> {
    let expected =
        || "expected PSEUDONYM=VALUE, such as app-1=63ca2fa4-4f03-4f2b-a480-172fef340d3f".to_owned();
    let (name, value) = text.split_once('=').ok_or_else(expected)?;
    let name = name.trim().trim_matches(['{', '}']);
    let kind = kind_of_name(name).ok_or_else(expected)?;
    match kind.is_guid() && as_guid(value.trim()).is_none() {
        true => Err(format!("{name} stands for a GUID, and '{value}' is none")),
        false => Ok((name.to_owned(), value.trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";

    #[test]
    fn the_same_has_the_same_pseudonym_however_it_is_written() {
        let mut known = Pseudonyms::default();
        let app = known.of(Kind::App, ID);
        assert_eq!(app, "{app-1}");
        assert_eq!(known.of(Kind::Tenant, &ID.to_uppercase()), app);
        assert_eq!(known.of(Kind::Id, &ID.replace('-', "")), app);
        assert_eq!(known.of(Kind::Name, "Größe AG"), "{name-1}");
        assert_eq!(known.of(Kind::Name, "GRÖSSE AG"), "{name-2}", "ß is no SS");
        assert_eq!(known.of(Kind::Text, "GRÖßE ag"), "{name-1}");
        assert_eq!(
            known.of(Kind::Etag, "7"),
            "{text-1}",
            "an etag that is no GUID is a text"
        );
    }

    #[test]
    fn texts_lose_ids_and_what_is_known() {
        let mut known = Pseudonyms::default();
        known.of(Kind::Name, "CRONUS");
        known.of(Kind::Name, "CRONUS Nord");
        let told = format!("Cronus nord ({ID}) is no CRONUS, nor Cronusx; x{ID}");
        let clean = known.in_text(Kind::Tenant, &told);
        assert_eq!(
            clean,
            format!("{{name-2}} ({{tenant-1}}) is no {{name-1}}, nor Cronusx; x{ID}")
        );
    }

    #[test]
    fn a_text_falls_apart_at_its_pseudonyms() {
        assert_eq!(outside("{name-1}'s {x} and {id-2}"), ["", "'s {x} and ", ""]);
        assert_eq!(outside("{{id-2}{id-3}}"), ["{", "", "}"]);
        assert_eq!(outside("{"), ["{"]);
    }

    #[test]
    fn pseudonyms_are_bound_to_what_they_stand_for() {
        let mut bound = Bindings::default();
        bound.learn("app-1", ID);
        bound.learn("app-1", "another");
        let mut unbound = Vec::new();
        let text = bound.resolve("{{app-1}}/{name-1}/{x}/{", |value| value.to_owned(), &mut unbound);
        assert_eq!(text, format!("{{{ID}}}/{{name-1}}/{{x}}/{{"));
        assert_eq!(unbound, ["name-1"]);
        assert_eq!(bound.of("{app-1}"), Some(ID));
        assert!(binding("app-1=x").is_err() && binding("x-1=y").is_err() && binding("app-1").is_err());
        assert_eq!(binding("{name-2}=a b").unwrap(), ("name-2".into(), "a b".into()));
    }

    proptest! {
        #[test]
        fn no_text_is_lost_but_what_is_known(text in ".{0,80}", name in "[a-zäß]{3,8}") {
            let mut known = Pseudonyms::default();
            known.of(Kind::Name, &name);
            let clean = known.in_text(Kind::Id, &format!("{text} {name} {text}"));
            let told = clean.contains("{name-1}");
            prop_assert!(told, "{clean}");
        }

        #[test]
        fn what_is_bound_comes_back(text in "[a-z{}0-9-]{0,40}") {
            let mut unbound = Vec::new();
            let same = Bindings::default().resolve(&text, |value| value.to_owned(), &mut unbound);
            prop_assert_eq!(same, text);
        }
    }
}
