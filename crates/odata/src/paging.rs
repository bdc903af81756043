//! Server-driven paging: `Prefer: odata.maxpagesize`, the next link and its token.
//!
//! A token names the last row that was sent by the values it was ordered by, so the next page continues behind it
//! even if rows before it come or go. It also carries a hash of the query it belongs to: with another filter or order
//! those values would mean another place, and a mixed-up link must fail rather than skip rows.

use crate::error::QueryError;
use crate::literal::{decode_base64url, encode_base64url};
use crate::number::Number;
use crate::order::OrderBy;
use crate::query::option_name;
use crate::schema::{Scalar, Schema};
use crate::temporal::{Duration, Instant, TimeOfDay, date_of, days_of};
use crate::value::{Guid, Value, Version};

/// The layout of a token; one that begins otherwise is refused.
const LAYOUT: u8 = 1;

const PICOS_PER_NANO: i128 = 1_000;

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq)]
pub struct SkipToken {
    /// What the last row sent was ordered by: [`OrderBy::values`].
    pub values: Vec<Value<'static>>,
    /// What is left of `$top`.
    pub remaining_top: Option<u64>,
}

impl SkipToken {
    /// The text of the token for the query with this [fingerprint](crate::Options::fingerprint). It needs no escaping
    /// in a URL. Lists, records and binary values have no order and are written as null.
    pub fn encode(&self, fingerprint: u64) -> String {
        let mut bytes = vec![LAYOUT];
        bytes.extend(fingerprint.to_be_bytes());
        match self.remaining_top {
            Some(top) => {
                bytes.push(1);
                bytes.extend(top.to_be_bytes());
            }
            None => bytes.push(0),
        }
        for value in &self.values {
            write_value(&mut bytes, value);
        }
        encode_base64url(&bytes)
    }

    /// Reads a token that must belong to this query and carry values of this order.
    ///
    /// # Errors
    /// `InvalidQueryOption` for anything that [`SkipToken::encode`] has not written for the same query.
    pub fn decode(
        text: &str,
        fingerprint: u64,
        order: &OrderBy,
        schema: &Schema,
    ) -> Result<SkipToken, QueryError> {
        let bytes = decode_base64url(text).ok_or_else(unusable)?;
        let mut reader = Reader { rest: &bytes };
        if reader.byte() != Some(LAYOUT) || reader.u64() != Some(fingerprint) {
            return Err(unusable());
        }
        read_token(&mut reader, order, schema)
            .filter(|_| reader.rest.is_empty())
            .ok_or_else(unusable)
    }
}

fn unusable() -> QueryError {
    let message = "The paging token does not belong to this query. Start again at the first page.";
    QueryError::option("$skiptoken", message)
}

fn read_token(reader: &mut Reader, order: &OrderBy, schema: &Schema) -> Option<SkipToken> {
    let remaining_top = match reader.byte()? {
        0 => None,
        1 => Some(reader.u64()?),
        _ => return None,
    };
    let mut values = Vec::with_capacity(order.terms.len());
    for term in &order.terms {
        values.push(read_value(reader, term.key.scalar(schema))?);
    }
    Some(SkipToken {
        values,
        remaining_top,
    })
}

/// A value: 0 for null, otherwise 1 and what its type needs.
fn write_value(bytes: &mut Vec<u8>, value: &Value) {
    bytes.push(u8::from(!matches!(
        value,
        Value::Null | Value::List(_) | Value::Record(_) | Value::Binary(_)
    )));
    match value {
        Value::Null | Value::List(_) | Value::Record(_) | Value::Binary(_) => {}
        Value::Boolean(value) => bytes.push(u8::from(*value)),
        Value::Number(number) => write_text(bytes, &number.to_string()),
        Value::Text(text) => write_text(bytes, text),
        Value::Guid(guid) => bytes.extend(guid.0.to_be_bytes()),
        Value::Version(version) => bytes.extend(version.0.iter().flat_map(|part| part.to_be_bytes())),
        Value::Instant(instant) => write_duration(bytes, instant.since(Instant::from_ticks(0))),
        Value::Date(date) => bytes.extend(i128::from(days_of(*date)).to_be_bytes()),
        Value::TimeOfDay(time) => write_duration(bytes, time.duration_since(TimeOfDay::midnight())),
        Value::Duration(duration) => write_duration(bytes, *duration),
        Value::Flags(flags) => bytes.extend(flags.to_be_bytes()),
    }
}

/// In picoseconds, though durations have none.
fn write_duration(bytes: &mut Vec<u8>, duration: Duration) {
    bytes.extend((duration.as_nanos() * PICOS_PER_NANO).to_be_bytes());
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn read_value(reader: &mut Reader, scalar: Scalar) -> Option<Value<'static>> {
    match reader.byte()? {
        0 => return Some(Value::Null),
        1 => {}
        _ => return None,
    }
    match scalar {
        Scalar::Boolean => Some(Value::Boolean(reader.byte().filter(|byte| *byte < 2)? == 1)),
        Scalar::Int | Scalar::Decimal => reader.text()?.parse::<Number>().ok().map(Value::Number),
        Scalar::String | Scalar::Folded(_) => Some(Value::text(reader.text()?.to_string())),
        Scalar::Guid => Some(Value::Guid(Guid(u128::from_be_bytes(reader.array()?)))),
        Scalar::Version => read_version(reader).map(Value::Version),
        Scalar::DateTimeOffset => Instant::from_ticks(0)
            .plus(reader.duration()?)
            .map(Value::Instant),
        Scalar::Date => i64::try_from(reader.i128()?)
            .ok()
            .and_then(date_of)
            .map(Value::Date),
        Scalar::TimeOfDay => TimeOfDay::midnight()
            .checked_add(reader.duration()?)
            .ok()
            .map(Value::TimeOfDay),
        Scalar::Duration => reader.duration().map(Value::Duration),
        Scalar::Enumeration(_) => Some(Value::Flags(i64::from_be_bytes(reader.array()?))),
        Scalar::Binary => None,
    }
}

fn read_version(reader: &mut Reader) -> Option<Version> {
    let mut parts = [0; 4];
    for part in &mut parts {
        *part = u32::from_be_bytes(reader.array()?);
    }
    parts
        .iter()
        .all(|part| *part <= i32::MAX as u32)
        .then_some(Version(parts))
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn bytes(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn i128(&mut self) -> Option<i128> {
        self.array().map(i128::from_be_bytes)
    }

    fn duration(&mut self) -> Option<Duration> {
        let picos = self.i128()?;
        let nanos = (picos % PICOS_PER_NANO == 0).then_some(picos / PICOS_PER_NANO)?;
        Duration::try_from_nanos_i128(nanos)
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = usize::try_from(self.u64()?).ok()?;
        let text = std::str::from_utf8(self.bytes(length)?).ok()?;
        (!text.contains('\0')).then_some(text)
    }
}

/// The page size that the values of the `Prefer` headers ask for, at most `largest`.
///
/// `odata.maxpagesize=n` and `maxpagesize=n` mean the same; the first readable one counts; what cannot be read, and
/// every other preference, is ignored, as RFC 7240 wants it.
pub fn max_page_size<'h>(headers: impl IntoIterator<Item = &'h str>, largest: u32) -> Option<u32> {
    headers
        .into_iter()
        .flat_map(|header| header.split(','))
        .find_map(page_size_of)
        .map(|size| size.min(largest))
}

fn page_size_of(preference: &str) -> Option<u32> {
    let (name, value) = preference.split(';').next()?.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    if name.strip_prefix("odata.").unwrap_or(&name) != "maxpagesize" {
        return None;
    }
    let value = value.trim();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    if unquoted.is_empty() || !unquoted.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = unquoted.parse().unwrap_or(u32::MAX);
    (size > 0).then_some(size)
}

/// The query string of the next link: all of the request's options as they were sent, with this token. A blank that was
/// sent as `+` is written so that nobody can take it for a plus, and encode it as one.
pub fn next_link_query(raw_query: &str, token: &str) -> String {
    let kept = raw_query
        .split('&')
        .filter(|item| !item.is_empty() && !is_skip_token(item));
    let mut items: Vec<String> = kept.map(|item| item.replace('+', "%20")).collect();
    items.push(format!("$skiptoken={token}"));
    items.join("&")
}

fn is_skip_token(item: &str) -> bool {
    option_name(item).is_some_and(|name| name.trim_start_matches('$').eq_ignore_ascii_case("skiptoken"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{OrderKey, OrderTerm};
    use crate::schema::Property;

    /// Only what was written is read: a token is a place in a list, not a way to put values into a comparison.
    #[test]
    fn a_truth_value_has_one_of_two_bytes() {
        let schema = Schema::new("switch", vec![Property::new("on", Scalar::Boolean)], &["on"]);
        let key = OrderKey::Property(0);
        let order = OrderBy {
            terms: vec![OrderTerm {
                key,
                descending: false,
            }],
        };
        let token_with =
            |byte| encode_base64url(&[&[LAYOUT][..], &7_u64.to_be_bytes(), &[0, 1, byte]].concat());
        let read = |byte| SkipToken::decode(&token_with(byte), 7, &order, &schema);
        assert_eq!(read(0).map(|token| token.values), Ok(vec![Value::Boolean(false)]));
        assert_eq!(read(1).map(|token| token.values), Ok(vec![Value::Boolean(true)]));
        assert!(read(2).is_err());
    }
}
