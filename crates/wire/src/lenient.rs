//! Reading requests as real clients send them.
//!
//! Windows PowerShell 5 puts a byte-order mark in front; the documentation's own sample spells a property
//! `Type` where all others are lower case; clients read an entity, change one value and send all of it back.
//! So property names are read in any case at every depth, annotations and what an entity shows of itself may be in a
//! body, and `null` is the same as leaving a property out.
//!
//! Two things are refused. A property that nobody knows: it is a misspelt one that is known, and a request that is
//! carried out without what it says starts at once what was to start next week. And the same property twice, be it in
//! different spellings: which of the two would count is a matter of chance, and a request to make somebody Reader must
//! not make them Owner because somebody else reads the other one.
//!
//! A wrong value is answered with its place and what was expected there, so that nobody has to guess.

use crate::{entity::Entity, format::ResponseFormat, value::Presence};
use domain::{
    country::CountryCode,
    ids::parse_guid,
    instant::Instant,
    problem::{Code, RuleError, UnknownWord},
    text::{control_in, holds_control},
    version::AppVersion,
};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{collections::HashSet, fmt, str::FromStr};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How many characters of a name that nobody knows are shown.
const LONGEST_SHOWN: usize = 80;
/// How many properties that mean nothing a body may have. The clients that are known send two at most.
const MOST_PASSED_OVER: usize = 20;

/// A JSON object whose properties are found in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// Where it stands in the body, with a dot behind it; empty for the body itself.
    path: String,
    members: Map<String, Value>,
}

/// Reads a request body, which has to be a JSON object.
///
/// # Errors
/// `RequestBodyRequired` when there is none, `InvalidInput` when it is not a JSON object.
pub fn object(body: &[u8]) -> Result<Object, RuleError> {
    check_encoding(body)?;
    let json = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if json.iter().all(u8::is_ascii_whitespace) {
        return Err(RuleError::new(
            Code::RequestBodyRequired,
            "The request needs a JSON object as its body.",
        ));
    }
    let parsed: Checked = serde_json::from_slice(json).map_err(|error| {
        RuleError::new(
            Code::InvalidInput,
            format!("The body cannot be read as JSON: {error}."),
        )
    })?;
    match parsed.0 {
        Value::Object(members) => {
            check_controls("", &members)?;
            Ok(Object {
                path: String::new(),
                members,
            })
        }
        other => {
            let message = format!("The body has to be a JSON object, not {}.", kind_of(&other));
            Err(RuleError::new(Code::InvalidInput, message))
        }
    }
}

/// Whether a body is UTF-8 text, as JSON has to be: what a parser would say of other bytes tells nobody what they did.
///
/// # Errors
/// `InvalidInput` that says what the body is instead, as far as its bytes tell.
pub fn check_encoding(body: &[u8]) -> Result<(), RuleError> {
    let refused = |what: String| Err(RuleError::invalid("body", what));
    if let Some(encoding) = encoding_of(body) {
        return refused(format!("The body is {encoding}."));
    }
    match std::str::from_utf8(body) {
        Ok(_) => Ok(()),
        Err(error) => {
            let at = error.valid_up_to();
            let byte = body.get(at).copied().unwrap_or_default();
            refused(format!(
                "The body is not UTF-8: byte 0x{byte:02X} at position {at}, counted from 0. Send it in UTF-8, or say how it is written: Content-Type: application/json; charset=iso-8859-1."
            ))
        }
    }
}

/// What bytes are that begin so and are neither JSON nor text in UTF-8, if it can be told, and what to do then. That
/// they are, their headers did not say, for then they would have been decoded.
#[must_use]
pub fn encoding_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1F, 0x8B, ..] => Some(
            "compressed with gzip, which no header says: send it with Content-Encoding: gzip, or as it is",
        ),
        [0x78, 0x01 | 0x5E | 0x9C | 0xDA, ..] => {
            Some("compressed with deflate, which is not read here: send it as it is, in UTF-8")
        }
        [0x28, 0xB5, 0x2F, 0xFD, ..] => {
            Some("compressed with zstd, which is not read here: send it as it is, in UTF-8")
        }
        [0, 0, ..] | [0xFF, 0xFE, 0, 0, ..] | [_, 0, 0, 0, ..] => {
            Some("UTF-32, which is not read here: send it in UTF-8")
        }
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..] => Some(
            "UTF-16, which no header says: send it with Content-Type: application/json; charset=utf-16, or in UTF-8",
        ),
        _ => None,
    }
}

/// No text and no name may hold a control character.
fn check_controls(path: &str, members: &Map<String, Value>) -> Result<(), RuleError> {
    for (name, value) in members {
        if let Some(control) = control_in(name) {
            let name: String = name
                .chars()
                .map(|letter| if letter.is_control() { '\u{FFFD}' } else { letter })
                .collect();
            return Err(holds(
                control,
                "The name of",
                format!("{path}{}", shortened(&name)),
            ));
        }
        check_controls_in(format!("{path}{name}"), value)?;
    }
    Ok(())
}

fn check_controls_in(place: String, value: &Value) -> Result<(), RuleError> {
    match value {
        Value::String(text) => match control_in(text) {
            Some(control) => Err(holds(control, "The text of", place)),
            None => Ok(()),
        },
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| check_controls_in(format!("{place}[{index}]"), item))
        }
        Value::Object(members) => check_controls(&format!("{place}."), members),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn holds(control: char, what: &str, place: String) -> RuleError {
    let message = holds_control(format_args!("{what} '{place}'"), control);
    RuleError::invalid(place, message)
}

impl Object {
    /// The value of a property; none when it is missing or `null`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.member(name).filter(|value| !value.is_null())
    }

    /// Whether a property is there, be it as `null`.
    #[must_use]
    pub fn mentions(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    fn member(&self, name: &str) -> Option<&Value> {
        let exact = self.members.get(name);
        exact.or_else(|| {
            let mut members = self.members.iter();
            members
                .find(|(given, _)| given.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })
    }

    /// The place of a property, as an error's target names it.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// A text.
    ///
    /// # Errors
    /// `InvalidInput` when it is something else.
    pub fn text(&self, name: &str) -> Result<Option<String>, RuleError> {
        Ok(self.str(name)?.map(str::to_owned))
    }

    fn str(&self, name: &str) -> Result<Option<&str>, RuleError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong_kind(name, "a text", other)),
        }
    }

    /// A truth; the texts `true` and `false` are accepted too, because scripts send them.
    ///
    /// # Errors
    /// `InvalidInput` when it is something else.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, RuleError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(self.wrong_kind(name, "true or false", other)),
        }
    }

    /// A text that stands for something: a GUID, a version, a moment, a word of a vocabulary.
    ///
    /// # Errors
    /// `InvalidInput` when it is no text or cannot be understood.
    pub fn parsed<T>(&self, name: &str) -> Result<Option<T>, RuleError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.understood(name, |text| text.parse::<T>().map_err(|error| error.to_string()))
    }

    /// A country; `allow_w1` says whether the worldwide localisation is one.
    ///
    /// # Errors
    /// `InvalidInput` when it is no text or no country.
    pub fn country(&self, name: &str, allow_w1: bool) -> Result<Option<CountryCode>, RuleError> {
        self.understood(name, |text| {
            CountryCode::parse(text, allow_w1).map_err(|error| error.to_string())
        })
    }

    /// A text, understood by `parse`, whose error says what is wrong with it.
    ///
    /// # Errors
    /// `InvalidInput` when it is no text or `parse` refuses it.
    pub fn understood<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, RuleError> {
        let Some(text) = self.str(name)? else {
            return Ok(None);
        };
        let understood = parse(text).map_err(|error| self.invalid(name, &error))?;
        Ok(Some(understood))
    }

    /// A list of words of a vocabulary.
    ///
    /// # Errors
    /// `InvalidInput` when it is no list of texts or holds an unknown word.
    pub fn words<T: FromStr<Err = UnknownWord>>(&self, name: &str) -> Result<Option<Vec<T>>, RuleError> {
        self.understood_list(name, |text| {
            text.parse().map_err(|error: UnknownWord| error.to_string())
        })
    }

    /// A list of texts, each understood by `parse`, whose error says what is wrong with it.
    ///
    /// # Errors
    /// `InvalidInput` when it is no list of texts or `parse` refuses one.
    pub fn understood_list<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, RuleError> {
        let Some(items) = self.array(name)? else {
            return Ok(None);
        };
        let mut understood = Vec::with_capacity(items.len());
        for item in items {
            let Value::String(text) = item else {
                return Err(self.wrong_kind(name, "a list of texts", item));
            };
            understood.push(parse(text).map_err(|error| self.invalid(name, &error))?);
        }
        Ok(Some(understood))
    }

    /// An object inside this one.
    ///
    /// # Errors
    /// `InvalidInput` when it is something else.
    pub fn object(&self, name: &str) -> Result<Option<Self>, RuleError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self {
                path: format!("{}.", self.place(name)),
                members: members.clone(),
            })),
            Some(other) => Err(self.wrong_kind(name, "an object", other)),
        }
    }

    /// A list of objects.
    ///
    /// # Errors
    /// `InvalidInput` when it is something else.
    pub fn objects(&self, name: &str) -> Result<Option<Vec<Self>>, RuleError> {
        let Some(items) = self.array(name)? else {
            return Ok(None);
        };
        let mut objects = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let Value::Object(members) = item else {
                return Err(self.wrong_kind(name, "a list of objects", item));
            };
            let path = format!("{}[{index}].", self.place(name));
            objects.push(Self {
                path,
                members: members.clone(),
            });
        }
        Ok(Some(objects))
    }

    fn array(&self, name: &str) -> Result<Option<&Vec<Value>>, RuleError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(self.wrong_kind(name, "a list", other)),
        }
    }

    /// Whether all that is said is known here: `known` has the names of the properties. Annotations of OData and an
    /// entity's tag pass.
    ///
    /// # Errors
    /// `InvalidInput` naming the first other property, and the known one that it is likely to mean.
    pub fn only(&self, known: &[&str]) -> Result<(), RuleError> {
        match self.members.keys().find(|given| !is_known(given, known)) {
            Some(given) => {
                let place = self.place(&shortened(given));
                let message = unknown(given, known).replacen(&shortened(given), &place, 1);
                Err(RuleError::invalid(place, message))
            }
            None => Ok(()),
        }
    }

    /// The names of what is said and means nothing here, as some clients send more than there is. `known` has the names of the
    /// properties, `in_vain` more that clients are known to send. What is nearly one of the properties, or speaks of what one
    /// of them decides (`crucial`), is taken for a misspelt one.
    ///
    /// # Errors
    /// `InvalidInput` naming the first misspelt property, and the one that it is likely to mean; `BadArgument` for more than
    /// any client sends.
    pub fn passing_over(
        &self,
        known: &[&str],
        in_vain: &[&str],
        crucial: &[&str],
    ) -> Result<Vec<String>, RuleError> {
        let is_one_of =
            |given: &str, names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(given));
        let others = || self.members.keys().filter(|given| !is_one_of(given, known));
        let count = others().count();
        if count > MOST_PASSED_OVER {
            let message = format!(
                "The body has {count} properties that mean nothing here; {MOST_PASSED_OVER} are passed over at most."
            );
            return Err(RuleError::new(Code::BadArgument, message).about("body"));
        }
        let is_meant = |given: &str| {
            let given = plain(&shortened(given));
            let is_near = |name: &&str| {
                let name = plain(name);
                let far = strsim::osa_distance(&given, &name);
                far <= 2.max(name.chars().count() / 4)
            };
            known.iter().any(is_near) || crucial.iter().any(|word| given.contains(word))
        };
        match others().find(|given| !is_one_of(given, in_vain) && is_meant(given)) {
            Some(given) => Err(RuleError::invalid(
                self.place(&shortened(given)),
                unknown(given, known),
            )),
            None => Ok(others().map(|given| shortened(given)).collect()),
        }
    }

    /// Whether a key that the body repeats is the one in the address; `what` says what it is the key of.
    ///
    /// # Errors
    /// `InvalidInput` when it is another or none at all.
    pub fn is_about<T>(&self, what: &str, name: &str, addressed: &T) -> Result<(), RuleError>
    where
        T: FromStr + PartialEq + fmt::Display,
        T::Err: fmt::Display,
    {
        match self.parsed::<T>(name)? {
            Some(given) if given != *addressed => {
                let message = format!("The body is about {what} {given}, the address about {addressed}.");
                Err(RuleError::invalid(self.place(name), message))
            }
            _ => Ok(()),
        }
    }

    /// A value that has to be there and is not.
    #[must_use]
    pub fn required(&self, name: &str) -> RuleError {
        let place = self.place(name);
        let message = format!("'{place}' is required.");
        RuleError::invalid(place, message)
    }

    /// A value that cannot be understood.
    #[must_use]
    pub fn invalid(&self, name: &str, reason: &str) -> RuleError {
        let place = self.place(name);
        let message = format!("'{place}': {reason}.");
        RuleError::invalid(place, message)
    }

    fn wrong_kind(&self, name: &str, expected: &str, given: &Value) -> RuleError {
        self.invalid(name, &format!("expected {expected}, not {}", kind_of(given)))
    }

    /// Whether what is said about the read-only properties of an entity is what they are anyway. Clients send
    /// whole entities back with one value changed, and that is fine as long as it is that one.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the first property that would have to change.
    pub fn check_read_only<E: Entity>(&self, current: &E, writable: &[&str]) -> Result<(), RuleError> {
        for (index, name) in E::PROPERTIES.iter().enumerate() {
            if *name == "_etag" || writable.contains(name) {
                continue;
            }
            let Some(given) = self.get(name) else { continue };
            let kept = property(current, index);
            if !means_the_same(given, &kept) {
                let place = self.place(name);
                let message = format!("'{place}' is read-only: it is {kept}, not {given}.");
                return Err(RuleError::broken("ReadOnly", message).about(place));
            }
        }
        Ok(())
    }
}

/// Whether a property may be in a body whose own properties are `known`: it is one of them, an annotation of OData, or an
/// entity's tag.
#[must_use]
pub fn is_known(given: &str, known: &[&str]) -> bool {
    let is_property = |name: &str| known.iter().any(|known| known.eq_ignore_ascii_case(name));
    match given.split_once('@') {
        // A property's name with an `@` in front is a property that somebody misspelled.
        Some(("", term)) => !is_property(term),
        Some((property, term)) => term.contains('.') || (is_property(property) && !term.is_empty()),
        None => given.eq_ignore_ascii_case("_etag") || is_property(given),
    }
}

/// Says of a property that it is not one of the `known`, and which of them is likely to be meant: one a few letters away.
#[must_use]
pub fn unknown(given: &str, known: &[&str]) -> String {
    let given = shortened(given);
    let letters = |name: &str| strsim::osa_distance(&given.to_lowercase(), &name.to_lowercase());
    let names = known.iter().map(|name| (letters(name), *name));
    let one_in_the_other = |name: &str| {
        let (given, name) = (given.to_lowercase(), name.to_lowercase());
        given.len().min(name.len()) >= 6 && (given.contains(&name) || name.contains(&given))
    };
    let longer = known.iter().find(|name| one_in_the_other(name));
    match (names.min(), longer) {
        (Some((letters, meant)), _) if letters <= meant.len() / 3 => {
            format!("'{given}' is not known here; did you mean '{meant}'?")
        }
        (_, Some(meant)) => format!("'{given}' is not known here; did you mean '{meant}'?"),
        _ => format!("'{given}' is not known here; known are {}.", known.join(", ")),
    }
}

/// A name without what people spell differently and mean alike.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters
        .collect::<String>()
        .to_lowercase()
        .replace("upgrade", "update")
}

fn shortened(name: &str) -> String {
    name.chars().take(LONGEST_SHOWN).collect()
}

fn property<E: Entity>(entity: &E, index: usize) -> Value {
    let mut json = Vec::new();
    match entity.write_property(index, ResponseFormat::OData, &mut json) {
        Presence::Null => Value::Null,
        Presence::Value | Presence::Usual => serde_json::from_slice(&json).unwrap_or(Value::Null),
    }
}

/// Whether two values are the same, however they are spelled: GUIDs, versions and moments have several forms.
fn means_the_same(given: &Value, kept: &Value) -> bool {
    match (given, kept) {
        (Value::String(given), Value::String(kept)) => {
            given.eq_ignore_ascii_case(kept)
                || same(given, kept, |text| parse_guid(text).ok())
                || same(given, kept, |text| text.parse::<AppVersion>().ok())
                || same(given, kept, |text| text.parse::<Instant>().ok())
        }
        (Value::Array(given), Value::Array(kept)) => {
            given.len() == kept.len()
                && given
                    .iter()
                    .zip(kept)
                    .all(|(given, kept)| means_the_same(given, kept))
        }
        (Value::Object(given), Value::Object(kept)) => are_the_same(given, kept),
        (Value::Number(given), Value::Number(kept)) => given.as_f64() == kept.as_f64(),
        (given, kept) => given == kept,
    }
}

/// Whether two objects have the same properties, where `null` is the same as none, and annotations count for nothing.
fn are_the_same(given: &Map<String, Value>, kept: &Map<String, Value>) -> bool {
    let value = |members: &Map<String, Value>, name: &str| {
        let mut members = members.iter();
        members
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map_or(Value::Null, |(_, value)| value.clone())
    };
    let mut names = given.keys().chain(kept.keys()).filter(|name| !name.contains('@'));
    names.all(|name| means_the_same(&value(given, name), &value(kept, name)))
}

fn same<T: PartialEq>(one: &str, other: &str, parse: impl Fn(&str) -> Option<T>) -> bool {
    parse(one).is_some_and(|one| parse(other) == Some(one))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A JSON value in which no object names a property twice.
struct Checked(Value);

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CheckedVisitor).map(Self)
    }
}

struct CheckedVisitor;

impl<'de> Visitor<'de> for CheckedVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Checked(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut seen = HashSet::new();
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name.to_ascii_lowercase()) {
                return Err(A::Error::custom(format_args!(
                    "property '{}' is given twice; names are the same in upper and lower case",
                    shortened(&name)
                )));
            }
            let Checked(value) = members.next_value()?;
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ids::AppId, principal::Role};

    fn read(json: &str) -> Object {
        object(json.as_bytes()).unwrap()
    }

    #[test]
    fn names_are_read_in_any_case_at_every_depth() {
        let body = read(r#"{"Type":"User","OWNER":{"aadtenantid":"x"},"Apps":[{"ID":"y"}]}"#);
        assert_eq!(body.text("type").unwrap().as_deref(), Some("User"));
        assert_eq!(
            body.object("owner")
                .unwrap()
                .unwrap()
                .text("aadTenantId")
                .unwrap()
                .as_deref(),
            Some("x")
        );
        assert_eq!(
            body.objects("apps").unwrap().unwrap()[0]
                .text("id")
                .unwrap()
                .as_deref(),
            Some("y")
        );
    }

    #[test]
    fn what_nobody_knows_is_refused_with_what_was_meant() {
        let known = ["id", "runAfter", "ignoreUpgradeWindow", "roles"];
        let refused = |body: &str| read(body).only(&known).unwrap_err();
        for (given, meant) in [
            ("runAftr", "runAfter"),
            ("run_after", "runAfter"),
            ("RUN-AFTER", "runAfter"),
            ("ruNfAter", "runAfter"),
            ("ignoreUpgradWindow", "ignoreUpgradeWindow"),
            ("ignoreUpdateWindow", "ignoreUpgradeWindow"),
            ("role", "roles"),
            ("runAfterDateUtc", "runAfter"),
            ("upgradeWindow", "ignoreUpgradeWindow"),
            ("run@fter", "runAfter"),
            ("@runAfter", "runAfter"),
        ] {
            let error = refused(&format!("{{\"{given}\":null}}"));
            assert_eq!(
                (error.code, error.target.as_deref()),
                (Code::InvalidInput, Some(given))
            );
            assert_eq!(
                error.message,
                format!("'{given}' is not known here; did you mean '{meant}'?")
            );
        }
        let far = refused(r#"{"colour":"blue"}"#);
        assert_eq!(
            far.message,
            "'colour' is not known here; known are id, runAfter, ignoreUpgradeWindow, roles."
        );
        let passing =
            r##"{"@odata.context":"#","_ETag":"x","roles@odata.type":"#Collection(String)","RUNAFTER":1}"##;
        assert_eq!(read(passing).only(&known), Ok(()));

        let row = &read(r#"{"apps":[{"id":"x","versoin":"1"}]}"#)
            .objects("apps")
            .unwrap()
            .unwrap()[0];
        let error = row.only(&["id", "version"]).unwrap_err();
        assert_eq!(error.target.as_deref(), Some("apps[0].versoin"));
        assert!(
            error
                .message
                .contains("'apps[0].versoin' is not known here; did you mean 'version'?"),
            "{error}"
        );
        let long = refused(&format!("{{\"{}\":1}}", "é".repeat(5_000)));
        assert!(long.message.chars().count() < 200);
    }

    #[test]
    fn a_byte_order_mark_is_no_obstacle() {
        assert!(object(b"\xEF\xBB\xBF{}").is_ok());
    }

    #[test]
    fn what_is_no_utf_8_is_called_what_it_is() {
        let utf_16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(bytes).collect()
        };
        let json = "{\"name\":\"Prüfung\"}";
        let latin_1: Vec<u8> = json
            .chars()
            .map(|letter| u8::try_from(u32::from(letter)).unwrap())
            .collect();
        for (body, said) in [
            (latin_1, "not UTF-8: byte 0xFC at position 11"),
            (b"{\"a\":1}\xFF".to_vec(), "not UTF-8: byte 0xFF at position 7"),
            (
                b"\xEF\xBB\xBF{\"a\":\"\xE9\"}".to_vec(),
                "byte 0xE9 at position 9",
            ),
            (utf_16(json, u16::to_le_bytes), "UTF-16"),
            (utf_16(json, u16::to_be_bytes), "UTF-16"),
            (utf_16(&format!("\u{FEFF}{json}"), u16::to_le_bytes), "UTF-16"),
            (utf_16(&format!("\u{FEFF}{json}"), u16::to_be_bytes), "UTF-16"),
            (
                json.chars()
                    .flat_map(|letter| u32::from(letter).to_le_bytes())
                    .collect(),
                "UTF-32",
            ),
            (
                json.chars()
                    .flat_map(|letter| u32::from(letter).to_be_bytes())
                    .collect(),
                "UTF-32",
            ),
            (b"\x1F\x8B\x08\0\0\0\0\0".to_vec(), "gzip"),
            (b"\x78\x9C\xAB".to_vec(), "deflate"),
        ] {
            let refused = object(&body).unwrap_err();
            assert_eq!(
                (refused.code, refused.target.as_deref()),
                (Code::InvalidInput, Some("body"))
            );
            assert!(refused.message.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_missing_body_differs_from_an_unreadable_one() {
        for body in [&b""[..], b" \r\n", b"\xEF\xBB\xBF"] {
            assert_eq!(object(body).unwrap_err().code, Code::RequestBodyRequired);
        }
        for body in [
            &b"{"[..],
            b"[]",
            b"null",
            b"{} x",
            b"{\"a\":\"\xFF\"}",
            b"\"text\"",
        ] {
            assert_eq!(object(body).unwrap_err().code, Code::InvalidInput, "{body:?}");
        }
    }

    #[test]
    fn the_same_property_twice_is_refused_at_every_depth() {
        for body in [
            r#"{"roles":["Reader"],"roles":["Owner"]}"#,
            r#"{"roles":["Reader"],"Roles":["Owner"]}"#,
            r#"{"a":[{"b":{"c":1,"C":2}}]}"#,
        ] {
            let refused = object(body.as_bytes()).unwrap_err();
            assert!(refused.message.contains("given twice"), "{refused}");
        }
    }

    #[test]
    fn control_characters_are_refused_by_their_place() {
        for (body, place, control) in [
            (r#"{"a":"x\u0000"}"#, "a", "U+0000"),
            (r#"{"a":{"b":["c","\n"]}}"#, "a.b[1]", "U+000A"),
            (r#"{"a":[{"b":"\u007f"}]}"#, "a[0].b", "U+007F"),
            ("{\"a\":\"\u{9B}31m\"}", "a", "U+009B"),
            (r#"{"@a":"\u001b"}"#, "@a", "U+001B"),
            (r#"{"a":{"b\t":1}}"#, "a.b\u{FFFD}", "U+0009"),
        ] {
            let refused = object(body.as_bytes()).unwrap_err();
            assert_eq!(
                (refused.code, refused.target.as_deref()),
                (Code::InvalidInput, Some(place))
            );
            assert!(refused.message.contains(control), "{refused}");
        }
        assert!(object("{\"a\":\"é \u{1F600}\"}".as_bytes()).is_ok());
    }

    #[test]
    fn deep_nesting_is_refused_without_harm() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert_eq!(object(deep.as_bytes()).unwrap_err().code, Code::InvalidInput);
    }

    #[test]
    fn null_is_the_same_as_nothing_but_can_be_told_apart() {
        let body = read(r#"{"incompatibleFromVersion":null}"#);
        assert_eq!(
            body.parsed::<AppVersion>("incompatibleFromVersion").unwrap(),
            None
        );
        assert!(body.mentions("IncompatibleFromVersion"));
        assert!(!body.mentions("other"));
    }

    #[test]
    fn a_wrong_value_is_named_by_its_place() {
        let body = read(r#"{"dependencies":[{"appId":"x"}],"roles":"Owner","on":1}"#);
        let row = &body.objects("dependencies").unwrap().unwrap()[0];
        let error = row.parsed::<AppId>("appId").unwrap_err();
        assert_eq!(error.target.as_deref(), Some("dependencies[0].appId"));
        assert_eq!(error.message, "'dependencies[0].appId': 'x' is not a GUID.");
        let error = body.words::<Role>("roles").unwrap_err();
        assert_eq!(error.message, "'roles': expected a list, not a text.");
        assert!(body.flag("on").is_err());
    }

    #[test]
    fn words_and_flags_are_read_as_scripts_send_them() {
        let body = read(r#"{"roles":["owner","READER"],"a":"True","b":false}"#);
        assert_eq!(
            body.words::<Role>("roles").unwrap().unwrap(),
            [Role::Owner, Role::Reader]
        );
        assert_eq!(
            (body.flag("a").unwrap(), body.flag("b").unwrap()),
            (Some(true), Some(false))
        );
        let unknown = read(r#"{"roles":["Admin"]}"#).words::<Role>("roles").unwrap_err();
        assert!(
            unknown
                .message
                .contains("'Admin' is not one of Owner, Contributor, Reader"),
            "{unknown}"
        );
    }
}
