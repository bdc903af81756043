//! Reading requests as real clients send them.
//!
//! Windows PowerShell 5 puts a byte-order mark in front; the documentation's own sample spells a property
//! `Type` where all others are lower case; clients read an entity, change one value and send all of it back.
//! So property names are read in any case at every depth, unknown ones are ignored, and `null` is the same as
//! leaving a property out.
//!
//! One thing is refused that JSON allows: the same property twice, be it in different spellings. Which of the
//! two would count is a matter of chance, and a request to make somebody Reader must not make them Owner
//! because somebody else reads the other one.
//!
//! A wrong value is answered with its place and what was expected there, so that nobody has to guess.

use crate::{entity::Entity, format::ResponseFormat, value::Presence};
use domain::{
    country::CountryCode,
    ids::parse_guid,
    instant::Instant,
    problem::{Code, RuleError, UnknownWord},
    version::AppVersion,
};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{collections::HashSet, fmt, str::FromStr};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A JSON object whose properties are found in any case.
#[derive(Clone, Debug, Default, PartialEq)]
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
        Value::Object(members) => Ok(Object {
            path: String::new(),
            members,
        }),
        other => {
            let message = format!("The body has to be a JSON object, not {}.", kind_of(&other));
            Err(RuleError::new(Code::InvalidInput, message))
        }
    }
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
        (Value::Number(given), Value::Number(kept)) => given.as_f64() == kept.as_f64(),
        (given, kept) => given == kept,
    }
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

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.visit_string(text.to_owned())
    }

    /// No text may hold U+0000: not every database can keep it.
    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        if text.contains('\0') {
            return Err(E::custom("a text holds the character U+0000"));
        }
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
                let shown: String = name.chars().take(80).collect();
                return Err(A::Error::custom(format_args!(
                    "property '{shown}' is given twice; names are the same in upper and lower case"
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
        let body = read(r#"{"Type":"User","OWNER":{"aadtenantid":"x"},"Apps":[{"ID":"y"}],"unknown":1}"#);
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
    fn a_byte_order_mark_is_no_obstacle() {
        assert!(object(b"\xEF\xBB\xBF{}").is_ok());
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
