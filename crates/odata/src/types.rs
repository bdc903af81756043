//! The type rules: what a literal is, what it can become, what can be compared and calculated with what.
//!
//! Quoted texts become GUIDs, dates, versions and the like where they meet one, because clients quote them; numbers and
//! Booleans stay strict, so that a mistake is noticed.

use crate::filter::Domain;
use crate::literal::{self, Literal};
use crate::schema::Scalar;
use crate::syntax::Arithmetic;
use crate::temporal::{Instant, parse_duration};
use crate::value::{Guid, Value, Version};

/// The value of a literal and its type; null has none. A literal of an enumeration is its members' text until it
/// meets an enumeration.
pub(crate) fn literal_value(literal: &Literal) -> (Value<'static>, Option<Scalar>) {
    let (value, scalar) = match literal {
        Literal::Null => return (Value::Null, None),
        Literal::Boolean(value) => (Value::Boolean(*value), Scalar::Boolean),
        Literal::Number { value, integer: true } => (Value::Number(*value), Scalar::Int),
        Literal::Number {
            value,
            integer: false,
        } => (Value::Number(*value), Scalar::Decimal),
        Literal::String(text) => (Value::text(text.clone()), Scalar::String),
        Literal::Guid(guid) => (Value::Guid(*guid), Scalar::Guid),
        Literal::Instant(instant) => (Value::Instant(*instant), Scalar::DateTimeOffset),
        Literal::Date(date) => (Value::Date(*date), Scalar::Date),
        Literal::TimeOfDay(time) => (Value::TimeOfDay(*time), Scalar::TimeOfDay),
        Literal::Duration(duration) => (Value::Duration(*duration), Scalar::Duration),
        Literal::Binary(bytes) => (Value::Binary(bytes.clone()), Scalar::Binary),
        Literal::Enumeration { members, .. } => (Value::text(members.clone()), Scalar::String),
    };
    (value, Some(scalar))
}

/// A literal as a value of another type; `Ok(None)` when the types have nothing in common.
pub(crate) fn convert(
    value: &Value<'static>,
    from: Scalar,
    to: Scalar,
) -> Result<Option<Value<'static>>, String> {
    match (value, to) {
        (Value::Text(text), _) if from == Scalar::String => convert_text(text, to),
        (Value::Date(date), Scalar::DateTimeOffset) => Ok(Some(Value::Instant(Instant::midnight(*date)))),
        _ if from == to || (from.is_numeric() && to.is_numeric()) => Ok(Some(value.clone())),
        _ => Ok(None),
    }
}

/// A quoted text as a value of another type. Numbers and Booleans are never quoted.
fn convert_text(text: &str, to: Scalar) -> Result<Option<Value<'static>>, String> {
    let value = match to {
        Scalar::String => Some(Value::text(text.to_string())),
        Scalar::Folded(fold) => Some(Value::text((fold.apply)(text))),
        Scalar::Version => Version::parse(text).map(Value::Version),
        Scalar::Guid => Guid::parse(text).map(Value::Guid),
        Scalar::Duration => parse_duration(text).map(Value::Duration),
        Scalar::Enumeration(enumeration) => enumeration.parse(text).map(Value::Flags),
        Scalar::DateTimeOffset | Scalar::Date | Scalar::TimeOfDay => convert_temporal_text(text, to),
        Scalar::Boolean | Scalar::Int | Scalar::Decimal | Scalar::Binary => return Ok(None),
    };
    match value {
        Some(value) => Ok(Some(value)),
        None => Err(format!("`{}` is not {}", shortened(text), wanted_text(to))),
    }
}

fn convert_temporal_text(text: &str, to: Scalar) -> Option<Value<'static>> {
    match (literal::parse(text)?, to) {
        (Literal::Instant(instant), Scalar::DateTimeOffset) => Some(Value::Instant(instant)),
        (Literal::Date(date), Scalar::DateTimeOffset) => Some(Value::Instant(Instant::midnight(date))),
        (Literal::Date(date), Scalar::Date) => Some(Value::Date(date)),
        (Literal::TimeOfDay(time), Scalar::TimeOfDay) => Some(Value::TimeOfDay(time)),
        _ => None,
    }
}

fn wanted_text(scalar: Scalar) -> String {
    match scalar {
        Scalar::Version => "a version of up to four numbers such as 16.0.1.2".into(),
        Scalar::Duration => {
            "a duration such as P1DT2H30M15.5S, with at most nine digits behind the point".into()
        }
        Scalar::Enumeration(enumeration) => format!("a member of {}", enumeration.name),
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() > 48 {
        text.chars().take(45).chain("...".chars()).collect()
    } else {
        text.into()
    }
}

pub(crate) fn domain_of(scalar: Scalar) -> Domain {
    match scalar {
        Scalar::Boolean => Domain::Boolean,
        Scalar::Int | Scalar::Decimal => Domain::Number,
        Scalar::String => Domain::Text,
        Scalar::Folded(_) => Domain::Folded {
            left: None,
            right: None,
        },
        Scalar::Version => Domain::Version,
        Scalar::Guid => Domain::Guid,
        Scalar::DateTimeOffset => Domain::Instant,
        Scalar::Date => Domain::Date,
        Scalar::TimeOfDay => Domain::TimeOfDay,
        Scalar::Duration => Domain::Duration,
        Scalar::Binary => Domain::Binary,
        Scalar::Enumeration(_) => Domain::Flags,
    }
}

pub(crate) fn with_right_fold(domain: Domain, scalar: Scalar) -> Domain {
    match (domain, scalar) {
        (Domain::Folded { .. }, Scalar::Folded(fold)) => Domain::Folded {
            left: None,
            right: Some(fold),
        },
        _ => domain,
    }
}

/// As what two values that are not literals are compared. Two folded properties each in their own normal form, a
/// folded property and plain text both in the property's.
pub(crate) fn domain_of_pair(left: Scalar, right: Scalar) -> Option<Domain> {
    match (left, right) {
        (Scalar::Folded(left), Scalar::Folded(right)) => Some(Domain::Folded {
            left: Some(left),
            right: Some(right),
        }),
        (Scalar::Folded(fold), Scalar::String) | (Scalar::String, Scalar::Folded(fold)) => {
            Some(Domain::Folded {
                left: Some(fold),
                right: Some(fold),
            })
        }
        _ if left.is_numeric() && right.is_numeric() => Some(Domain::Number),
        _ if left == right => Some(domain_of(left)),
        _ => None,
    }
}

pub(crate) fn arithmetic_result(operator: Arithmetic, left: Scalar, right: Scalar) -> Option<Scalar> {
    use Arithmetic::{Add, Divide, DivideExactly, Multiply, Subtract};
    use Scalar::{Date, DateTimeOffset, Decimal, Duration, Int};
    match (left, operator, right) {
        (Int, DivideExactly, Int) => Some(Decimal),
        (Int, _, Int) => Some(Int),
        _ if left.is_numeric() && right.is_numeric() => Some(Decimal),
        (DateTimeOffset, Add | Subtract, Duration) => Some(DateTimeOffset),
        (Date, Add | Subtract, Duration) => Some(Date),
        (Duration, Add | Subtract, Duration) => Some(Duration),
        (DateTimeOffset, Subtract, DateTimeOffset) | (Date, Subtract, Date) => Some(Duration),
        (Duration, Multiply | Divide | DivideExactly, Int | Decimal)
        | (Int | Decimal, Multiply, Duration) => Some(Duration),
        _ => None,
    }
}
