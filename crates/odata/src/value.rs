//! Values: what a literal says, what a row holds, what a calculation gives.

use crate::number::Number;
use crate::temporal::{Date, Duration, Instant, TimeOfDay};
use std::borrow::Cow;
use std::fmt;

/// A value of any type; `null` belongs to all of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer or a decimal; the type system tells them apart, the value does not.
    Number(Number),
    /// Text, as stored.
    Text(Cow<'a, str>),
    /// A GUID.
    Guid(Guid),
    /// A version of four numbers.
    Version(Version),
    /// A point in time.
    Instant(Instant),
    /// A calendar day.
    Date(Date),
    /// A time on any day.
    TimeOfDay(TimeOfDay),
    /// A length of time.
    Duration(Duration),
    /// Bytes.
    Binary(Vec<u8>),
    /// A member, or several or-ed members, of an enumeration.
    Flags(i64),
    /// The items of a collection.
    List(Vec<Value<'a>>),
    /// One complex item of a collection: its members in the order of the schema.
    Record(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// Text that is borrowed or owned.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Value<'a> {
        Value::Text(text.into())
    }

    /// An integer.
    pub fn integer(value: i64) -> Value<'a> {
        Value::Number(Number::from(value))
    }

    /// How many there are of something.
    pub(crate) fn count(count: usize) -> Value<'a> {
        Value::integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The same value; a text is borrowed from this one.
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Value::Text(text) => Value::Text(Cow::Borrowed(text)),
            other => other.clone(),
        }
    }

    /// The same value without anything borrowed.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Boolean(value) => Value::Boolean(value),
            Value::Number(value) => Value::Number(value),
            Value::Text(text) => Value::text(text.into_owned()),
            Value::Guid(value) => Value::Guid(value),
            Value::Version(value) => Value::Version(value),
            Value::Instant(value) => Value::Instant(value),
            Value::Date(value) => Value::Date(value),
            Value::TimeOfDay(value) => Value::TimeOfDay(value),
            Value::Duration(value) => Value::Duration(value),
            Value::Binary(value) => Value::Binary(value),
            Value::Flags(value) => Value::Flags(value),
            Value::List(items) => Value::List(items.into_iter().map(Value::into_owned).collect()),
            Value::Record(members) => Value::Record(members.into_iter().map(Value::into_owned).collect()),
        }
    }

    /// The value, or null.
    pub fn or_null(value: Option<impl Into<Value<'a>>>) -> Value<'a> {
        value.map_or(Value::Null, Into::into)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::text(text)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Boolean(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::integer(value)
    }
}

impl From<Instant> for Value<'_> {
    fn from(value: Instant) -> Self {
        Value::Instant(value)
    }
}

impl From<Guid> for Value<'_> {
    fn from(value: Guid) -> Self {
        Value::Guid(value)
    }
}

impl From<Version> for Value<'_> {
    fn from(value: Version) -> Self {
        Value::Version(value)
    }
}

/// A GUID; ordered as its text, which is also the order of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub u128);

impl Guid {
    /// Reads the form with dashes, hexadecimal digits in any case, without braces.
    pub fn parse(text: &str) -> Option<Guid> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return None;
        }
        let mut value: u128 = 0;
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return None;
                }
                continue;
            }
            let digit = char::from(*byte).to_digit(16)?;
            value = value << 4 | u128::from(digit);
        }
        Some(Guid(value))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = |shift: u32, digits: u32| self.0 >> shift & ((1 << (4 * digits)) - 1);
        let (first, second, third) = (group(96, 8), group(80, 4), group(64, 4));
        let (fourth, fifth) = (group(48, 4), group(0, 12));
        write!(
            f,
            "{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{fifth:012x}"
        )
    }
}

/// A version of four numbers, each 0..=2147483647, compared number by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub [u32; 4]);

impl Version {
    /// Reads one to four numbers with dots between; missing ones are 0.
    pub fn parse(text: &str) -> Option<Version> {
        let mut parts = [0; 4];
        for (index, digits) in text.split('.').enumerate() {
            *parts.get_mut(index)? = parse_version_part(digits)?;
        }
        Some(Version(parts))
    }
}

fn parse_version_part(digits: &str) -> Option<u32> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|part| *part <= i32::MAX as u32)
}

impl fmt::Display for Version {
    /// The canonical text: always four numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, build, revision] = self.0;
        write!(f, "{major}.{minor}.{build}.{revision}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_read_in_any_case_and_written_in_lower_case() {
        let text = "0123E567-89ab-cdef-0123-456789ABCDEF";
        assert_eq!(
            Guid::parse(text).map(|guid| guid.to_string()),
            Some(text.to_lowercase())
        );
        for wrong in [
            "",
            "0123e56789abcdef0123456789abcdef",
            "{0123e567-89ab-cdef-0123-456789abcdef}",
        ] {
            assert_eq!(Guid::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Guid::parse("0123e567-89ab-cdef-0123-456789abcde+"), None);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(Version::parse("16.0.9.0") < Version::parse("16.0.10.0"));
        assert_eq!(Version::parse("16"), Some(Version([16, 0, 0, 0])));
        assert_eq!(
            Version::parse("16.2147483647").map(|version| version.to_string()),
            Some("16.2147483647.0.0".into())
        );
        for wrong in [
            "",
            ".",
            "16.",
            "1.2.3.4.5",
            "2147483648",
            "-1",
            "+1",
            "1.a",
            " 1",
            "１",
        ] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }
}
