//! Integers: arithmetic that cannot leave its range, and numbers that lie between two integers.

use super::{
    fragment::{Fragment, Yields},
    translator::{Said, Translator},
};
use crate::store::list::Holds;
use odata::{Arithmetic, Instant, Kind, NodeId, Scalar, Value};

/// Results beyond this are left to the memory, which knows larger numbers.
const LARGEST: i128 = 1 << 62;

/// Where a number lies among the 64-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On one.
    At(i64),
    /// Between this one and the next.
    Behind(i64),
    BelowAll,
    AboveAll,
    /// It is no number at all.
    Nowhere,
}

/// The place of a decimal number; `None` for one that is too long to tell.
pub(super) fn place(number: odata::Number) -> Option<Place> {
    if let Some(whole) = number.to_i64() {
        return Some(Place::At(whole));
    }
    if number.partial_cmp(&number).is_none() {
        return Some(Place::Nowhere);
    }
    let is_below = number < odata::Number::from(i64::MIN);
    let is_above = number > odata::Number::from(i64::MAX);
    match (is_below, is_above) {
        (true, _) => Some(Place::BelowAll),
        (_, true) => Some(Place::AboveAll),
        _ => number.floor().to_i64().map(Place::Behind),
    }
}

/// The place of an instant among the ticks.
pub(super) fn tick_place(instant: Instant) -> Place {
    match instant.to_ticks() {
        (ticks, true) => Place::At(ticks),
        (ticks, false) => Place::Behind(ticks),
    }
}

/// An integer and the bounds within which it lies.
struct Number {
    sql: Fragment,
    low: i128,
    high: i128,
}

impl Number {
    fn new(sql: Fragment) -> Option<Self> {
        let Yields::Number(bounds) = sql.yields() else {
            return None;
        };
        let (low, high) = (*bounds.start(), *bounds.end());
        Some(Self { sql, low, high })
    }
}

fn number(translator: &mut Translator<'_>, id: NodeId) -> Option<Number> {
    match translator.take(id) {
        Said::Constant(Value::Number(number)) => {
            let value = number.to_i64()?;
            let bounds = i128::from(value)..=i128::from(value);
            Number::new(
                Fragment::new(Yields::Number(bounds))
                    .sql("CAST(")
                    .value(value)
                    .sql(" AS BIGINT)"),
            )
        }
        Said::Property(property) => {
            let storage = translator.storage(property)?;
            let Holds::Number(range) = &storage.holds else {
                return None;
            };
            let bounds = i128::from(*range.start())..=i128::from(*range.end());
            Number::new(Fragment::column(
                storage.key,
                Yields::Number(bounds),
                storage.nullable,
            ))
        }
        Said::Sql(fragment) => Number::new(fragment),
        _ => None,
    }
}

pub(super) fn negate(translator: &mut Translator<'_>, operand: NodeId) -> Option<Said> {
    let Number { sql, low, high } = number(translator, operand)?;
    let bounds = within_range(&[-high, -low])?;
    Some(Said::Sql(Fragment::new(bounds).sql("(0 - ").piece(sql).sql(")")))
}

/// A calculation with integers whose result is one, and of which no row can make an error.
pub(super) fn arithmetic(
    translator: &mut Translator<'_>,
    operator: Arithmetic,
    kind: Kind,
    left: NodeId,
    right: NodeId,
) -> Option<Said> {
    if kind != Kind::Scalar(Scalar::Int) {
        return None;
    }
    let (left, right) = (number(translator, left)?, number(translator, right)?);
    let (word, bounds) = match operator {
        Arithmetic::Add => (" + ", [left.low + right.low, left.high + right.high, 0, 0]),
        Arithmetic::Subtract => (" - ", [left.low - right.high, left.high - right.low, 0, 0]),
        Arithmetic::Multiply => (" * ", products(&left, &right)),
        Arithmetic::Divide if can_divide(&right) => (" / ", [left.low, left.high, -left.low, -left.high]),
        Arithmetic::Modulo if can_divide(&right) => (" % ", [left.low, left.high, 0, 0]),
        _ => return None,
    };
    let yields = within_range(&bounds)?;
    let sql = Fragment::new(yields)
        .sql("(")
        .piece(left.sql)
        .sql(word)
        .piece(right.sql)
        .sql(")");
    Some(Said::Sql(sql))
}

/// A divisor that is never zero.
fn can_divide(divisor: &Number) -> bool {
    divisor.low > 0 || divisor.high < 0
}

/// The products of the bounds, which are 64-bit numbers, so that none of them can overflow.
fn products(left: &Number, right: &Number) -> [i128; 4] {
    [
        left.low * right.low,
        left.low * right.high,
        left.high * right.low,
        left.high * right.high,
    ]
}

/// Numbers between the least and the greatest of `corners`, if they stay in the range.
fn within_range(corners: &[i128]) -> Option<Yields> {
    let (low, high) = (*corners.iter().min()?, *corners.iter().max()?);
    (low >= -LARGEST && high <= LARGEST).then_some(Yields::Number(low..=high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(text: &str) -> Option<Place> {
        place(text.parse().unwrap())
    }

    #[test]
    fn numbers_find_their_place_among_the_integers() {
        assert_eq!(placed("16.0"), Some(Place::At(16)));
        assert_eq!(placed("1.5"), Some(Place::Behind(1)));
        assert_eq!(placed("-1.5"), Some(Place::Behind(-2)));
        assert_eq!(placed("9223372036854775807"), Some(Place::At(i64::MAX)));
        assert_eq!(placed("9223372036854775808"), Some(Place::AboveAll));
        assert_eq!(placed("-1e28"), Some(Place::BelowAll));
        assert_eq!(place(odata::Number::NEGATIVE_INFINITY), Some(Place::BelowAll));
        assert_eq!(place(odata::Number::NAN), Some(Place::Nowhere));
    }
}
