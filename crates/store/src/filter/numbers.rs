//! Integers: arithmetic that cannot leave its range, and numbers that lie between two integers.

use super::{
    fragment::{Fragment, Yields},
    translator::{Translation, Translator},
};
use crate::list::entity_set::ColumnType;
use odata::{Arithmetic, Instant, Kind, NodeId, Scalar, Value};

/// Results beyond this are left to the memory, which knows larger numbers.
const LARGEST: i128 = 1 << 62;

/// Where a number lies among the 64-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntegerPosition {
    /// On one.
    At(i64),
    /// Between this one and the next.
    Behind(i64),
    BelowAll,
    AboveAll,
    /// It is no number at all.
    Nowhere,
}

/// The position of a decimal number; `None` for one that is too long to find.
pub(crate) fn integer_position(number: odata::Number) -> Option<IntegerPosition> {
    if let Some(whole) = number.to_i64() {
        return Some(IntegerPosition::At(whole));
    }
    if number.partial_cmp(&number).is_none() {
        return Some(IntegerPosition::Nowhere);
    }
    let is_below = number < odata::Number::from(i64::MIN);
    let is_above = number > odata::Number::from(i64::MAX);
    match (is_below, is_above) {
        (true, _) => Some(IntegerPosition::BelowAll),
        (_, true) => Some(IntegerPosition::AboveAll),
        _ => number.floor().to_i64().map(IntegerPosition::Behind),
    }
}

/// The position of an instant among the ticks.
pub(crate) fn tick_position(instant: Instant) -> IntegerPosition {
    match instant.to_ticks() {
        (ticks, true) => IntegerPosition::At(ticks),
        (ticks, false) => IntegerPosition::Behind(ticks),
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
        Translation::Constant(Value::Number(number)) => {
            let value = number.to_i64()?;
            let bounds = i128::from(value)..=i128::from(value);
            Number::new(
                Fragment::new(Yields::Number(bounds))
                    .sql("CAST(")
                    .value(value)
                    .sql(" AS BIGINT)"),
            )
        }
        Translation::Property(property) => {
            let mapping = translator.mapping(property)?;
            let ColumnType::Number(range) = &mapping.column_type else {
                return None;
            };
            let bounds = i128::from(*range.start())..=i128::from(*range.end());
            Number::new(Fragment::column(
                mapping.key,
                Yields::Number(bounds),
                mapping.nullable,
            ))
        }
        Translation::Sql(fragment) => Number::new(fragment),
        _ => None,
    }
}

pub(crate) fn negate(translator: &mut Translator<'_>, operand: NodeId) -> Option<Translation> {
    let Number { sql, low, high } = number(translator, operand)?;
    let bounds = within_range(&[-high, -low])?;
    Some(Translation::Sql(
        Fragment::new(bounds).sql("(0 - ").piece(sql).sql(")"),
    ))
}

/// A calculation with integers whose result is one, and of which no row can make an error.
pub(crate) fn arithmetic(
    translator: &mut Translator<'_>,
    operator: Arithmetic,
    kind: Kind,
    left: NodeId,
    right: NodeId,
) -> Option<Translation> {
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
    Some(Translation::Sql(sql))
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

    fn position_of(text: &str) -> Option<IntegerPosition> {
        integer_position(text.parse().unwrap())
    }

    #[test]
    fn numbers_find_their_position_among_the_integers() {
        assert_eq!(position_of("16.0"), Some(IntegerPosition::At(16)));
        assert_eq!(position_of("1.5"), Some(IntegerPosition::Behind(1)));
        assert_eq!(position_of("-1.5"), Some(IntegerPosition::Behind(-2)));
        assert_eq!(
            position_of("9223372036854775807"),
            Some(IntegerPosition::At(i64::MAX))
        );
        assert_eq!(
            position_of("9223372036854775808"),
            Some(IntegerPosition::AboveAll)
        );
        assert_eq!(position_of("-1e28"), Some(IntegerPosition::BelowAll));
        assert_eq!(
            integer_position(odata::Number::NEGATIVE_INFINITY),
            Some(IntegerPosition::BelowAll)
        );
        assert_eq!(
            integer_position(odata::Number::NAN),
            Some(IntegerPosition::Nowhere)
        );
    }
}
