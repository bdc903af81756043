//! How single values are written and read.
//!
//! Lists are the service's daily bread, thousands of rows of a dozen values each. So values write themselves
//! into the buffer of the answer, without a tree or a string in between.

use crate::format::ResponseFormat;
use domain::{
    agent::AgentState,
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{AppId, Etag, OperationId, PackageId, PrincipalId, TenantId},
    instant::Instant,
    operation::{FailureCause, OperationKind, OperationStatus},
    principal::{PrincipalKind, Role, Roles},
    publisher::{Provider, PublisherState},
    version::{AppVersion, Availability, SyncMode, VersionStatus},
    waiting::WaitingFor,
    webhook::{AttemptResult, DeliveryStatus, DisabledReason, WebhookFormat},
};
use serde::{Deserialize, Deserializer, de::Error};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// What was written for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The value.
    Value,
    /// The value, but it is the usual one, which the bare format leaves out.
    Usual,
    /// Nothing: there is no value.
    Null,
}

/// The type of a value in the description that OData clients read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdmType {
    /// The type of the value, or of each of the values.
    pub name: &'static str,
    /// Whether the type is one of ours, and not one of OData's.
    pub is_complex: bool,
    /// Whether it is any number of values.
    pub is_collection: bool,
}

impl EdmType {
    /// One of OData's types.
    pub(crate) const fn primitive(name: &'static str) -> Self {
        Self {
            name,
            is_complex: false,
            is_collection: false,
        }
    }

    /// An entity that is a part of another.
    pub(crate) const fn complex(name: &'static str) -> Self {
        Self {
            is_complex: true,
            ..Self::primitive(name)
        }
    }

    /// Any number of these.
    pub(crate) const fn collection(self) -> Self {
        Self {
            is_collection: true,
            ..self
        }
    }
}

/// A value that can be a property of an entity.
pub trait Value: Sized {
    /// Its type in the description that OData clients read.
    const TYPE: EdmType;

    /// Appends the value as JSON, or appends nothing and says so.
    fn write(&self, format: ResponseFormat, out: &mut Vec<u8>) -> Presence;

    /// Reads the value as it is written.
    ///
    /// # Errors
    /// When the JSON is of another kind or its text cannot be understood.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// [`Value::read`] as a free function, which is what serde's attributes can name.
pub(crate) fn read<'de, T: Value, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::read(deserializer)
}

/// Appends `text` as a JSON string.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing a string into memory has no way to fail.
    let _ = serde_json::to_writer(out, text);
}

/// Appends `number` in decimal.
pub(crate) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        start -= 1;
        *digit += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends a text that is known to need no escaping, in quotes.
pub(crate) fn write_plain(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn read_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

macro_rules! guids {
    ($($id:ty: $edm:literal),+) => {$(
        impl Value for $id {
            const TYPE: EdmType = EdmType::primitive($edm);

            fn write(&self, format: ResponseFormat, out: &mut Vec<u8>) -> Presence {
                self.0.write(format, out)
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read_text(deserializer)
            }
        }
    )+};
}
guids!(
    AppId: "Edm.Guid",
    TenantId: "Edm.Guid",
    PrincipalId: "Edm.Guid",
    OperationId: "Edm.Guid",
    PackageId: "Edm.Guid",
    Etag: "Edm.String"
);

macro_rules! words {
    ($($word:ty),+) => {$(
        impl Value for $word {
            const TYPE: EdmType = EdmType::primitive("Edm.String");

            fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
                write_plain(self.as_str(), out);
                Presence::Value
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read_text(deserializer)
            }
        }
    )+};
}
words!(
    Availability,
    VersionStatus,
    EnvironmentKind,
    PrincipalKind,
    Role,
    FailureCause,
    OperationKind,
    OperationStatus,
    AgentState,
    WebhookFormat,
    DeliveryStatus,
    AttemptResult,
    DisabledReason,
    WaitingFor,
    Provider,
    PublisherState
);

impl Value for SyncMode {
    const TYPE: EdmType = EdmType::primitive("Edm.String");

    fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        write_plain(self.as_str(), out);
        match self {
            Self::Sync => Presence::Usual,
            Self::ForceSync => Presence::Value,
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map_or(Ok(Self::Sync), |text| {
            Self::parse(&text).map_err(D::Error::custom)
        })
    }
}

impl Value for Uuid {
    const TYPE: EdmType = EdmType::primitive("Edm.Guid");

    fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        write_plain(self.hyphenated().encode_lower(&mut Self::encode_buffer()), out);
        Presence::Value
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        domain::ids::parse_guid(&text).map_err(D::Error::custom)
    }
}

impl Value for AppVersion {
    const TYPE: EdmType = EdmType::primitive("Edm.String");

    fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        let mut separator = b'"';
        for part in self.0 {
            out.push(separator);
            write_number(part.into(), out);
            separator = b'.';
        }
        out.push(b'"');
        Presence::Value
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer)
    }
}

impl Value for Instant {
    const TYPE: EdmType = EdmType::primitive("Edm.DateTimeOffset");

    fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        out.push(b'"');
        out.extend_from_slice(&self.to_ascii());
        out.push(b'"');
        Presence::Value
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer)
    }
}

impl Value for CountryCode {
    const TYPE: EdmType = EdmType::primitive("Edm.String");

    fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        write_plain(self.as_str(), out);
        Presence::Value
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text, true).map_err(D::Error::custom)
    }
}

impl Value for String {
    const TYPE: EdmType = EdmType::primitive("Edm.String");

    fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        write_text(self, out);
        Presence::Value
    }

    /// No text and an empty one are the same to a reader.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or_default())
    }
}

impl Value for u32 {
    const TYPE: EdmType = EdmType::primitive("Edm.Int32");

    fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        write_number((*self).into(), out);
        Presence::Value
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

impl Value for u64 {
    const TYPE: EdmType = EdmType::primitive("Edm.Int64");

    fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        write_number(*self, out);
        Presence::Value
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

impl Value for bool {
    const TYPE: EdmType = EdmType::primitive("Edm.Boolean");

    fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
        Presence::Value
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or_default())
    }
}

/// A truth that the bare format mentions only when it is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl Value for Flag {
    const TYPE: EdmType = EdmType::primitive("Edm.Boolean");

    fn write(&self, format: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        self.0.write(format, out);
        if self.0 { Presence::Value } else { Presence::Usual }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::read(deserializer).map(Self)
    }
}

impl Value for Roles {
    const TYPE: EdmType = Role::TYPE.collection();

    fn write(&self, format: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        write_items(self.iter(), out, |role, out| role.write(format, out));
        Presence::Value
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Role>::read(deserializer)?.into_iter().collect())
    }
}

impl<T: Value> Value for Option<T> {
    const TYPE: EdmType = T::TYPE;

    fn write(&self, format: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        self.as_ref()
            .map_or(Presence::Null, |value| value.write(format, out))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Read<T>>::deserialize(deserializer)?.map(|value| value.0))
    }
}

impl<T: Value> Value for Vec<T> {
    const TYPE: EdmType = T::TYPE.collection();

    fn write(&self, format: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        write_items(self.iter(), out, |item, out| item.write(format, out));
        Presence::Value
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Option::<Vec<Read<T>>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(items.into_iter().map(|item| item.0).collect())
    }
}

/// Lets [`Value::read`] be used where serde wants a type.
struct Read<T>(T);

impl<'de, T: Value> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}

/// Appends a list whose items are written by `write`.
fn write_items<I>(
    items: impl Iterator<Item = I>,
    out: &mut Vec<u8>,
    write: impl Fn(I, &mut Vec<u8>) -> Presence,
) {
    out.push(b'[');
    let empty = out.len();
    for item in items {
        if out.len() > empty {
            out.push(b',');
        }
        if write(item, out) == Presence::Null {
            out.extend_from_slice(b"null");
        }
    }
    out.push(b']');
}

/// A JSON value that is passed through as it was stored, such as the state before a change in the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// The JSON in `text`; none when it is not JSON, so that a damaged row cannot break the answer around it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        Some(Self(value.to_string()))
    }

    /// The JSON as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for Json {
    const TYPE: EdmType = EdmType::primitive("Edm.Untyped");

    fn write(&self, _: ResponseFormat, out: &mut Vec<u8>) -> Presence {
        out.extend_from_slice(self.0.as_bytes());
        Presence::Value
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(serde_json::Value::deserialize(deserializer)?.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &impl Value) -> (String, Presence) {
        let mut out = Vec::new();
        let presence = value.write(ResponseFormat::Bare, &mut out);
        (String::from_utf8(out).unwrap(), presence)
    }

    #[test]
    fn values_are_written_as_documented() {
        let id: AppId = "{AAAAAAAA-0000-1111-2222-BBBBBBBBBBBB}".parse().unwrap();
        assert_eq!(written(&id).0, r#""aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb""#);
        let at: Instant = "2020-03-05T17:30:00Z".parse().unwrap();
        assert_eq!(written(&at).0, r#""2020-03-05T17:30:00.0000000Z""#);
        assert_eq!(
            written(&AppVersion([16, 0, 10, u32::MAX])).0,
            r#""16.0.10.4294967295""#
        );
        assert_eq!(written(&"a \"b\"\n\u{1}ü".to_owned()).0, r#""a \"b\"\n\u0001ü""#);
        let roles: Roles = [Role::Reader, Role::Owner].into_iter().collect();
        assert_eq!(written(&roles).0, r#"["Owner","Reader"]"#);
        assert_eq!(written(&Vec::<String>::new()).0, "[]");
        assert_eq!(written(&OperationStatus::Canceled).0, r#""Canceled""#);
        assert_eq!(written(&true).0, "true");
    }

    #[test]
    fn usual_values_say_that_they_are() {
        assert_eq!(written(&SyncMode::Sync).1, Presence::Usual);
        assert_eq!(written(&SyncMode::ForceSync).1, Presence::Value);
        assert_eq!(written(&Flag(false)).1, Presence::Usual);
        assert_eq!(written(&Flag(true)), ("true".into(), Presence::Value));
        assert_eq!(written(&None::<u32>), (String::new(), Presence::Null));
    }

    #[test]
    fn damaged_json_is_left_out_rather_than_passed_on() {
        assert_eq!(Json::parse("{\"a\": 1").as_ref().map(Json::as_str), None);
        assert_eq!(
            Json::parse("{\"b\": 1, \"a\": [ ]}").unwrap().as_str(),
            r#"{"b":1,"a":[]}"#
        );
    }
}
