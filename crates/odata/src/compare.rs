//! How two values compare, and what null does to a comparison.

use crate::error::EvalError;
use crate::filter::Domain;
use crate::schema::Fold;
use crate::syntax::Comparison;
use crate::value::Value;
use std::cmp::Ordering;

pub(crate) fn has(
    (left, right): (Value<'_>, Value<'_>),
    position: usize,
) -> Result<Value<'static>, EvalError> {
    match (left, right) {
        (Value::Flags(left), Value::Flags(right)) => Ok(Value::Boolean(left & right == right)),
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        _ => Err(EvalError::RowDoesNotFit { position }),
    }
}

/// Whether an item equals the operand; null equals null.
pub(crate) fn contains(
    domain: Domain,
    operand: Value,
    items: &[Value],
    position: usize,
) -> Result<bool, EvalError> {
    let (left_fold, right_fold) = folds(domain);
    let operand = folded(operand, left_fold);
    for item in items {
        let equal = match (&operand, item) {
            (Value::Null, Value::Null) => true,
            (Value::Null, _) | (_, Value::Null) => false,
            (_, item) if right_fold.is_some() => {
                order(&operand, &folded(item.borrowed(), right_fold), position)? == Some(Ordering::Equal)
            }
            (_, item) => order(&operand, item, position)? == Some(Ordering::Equal),
        };
        if equal {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn compare(
    operator: Comparison,
    domain: Domain,
    left: &Value,
    right: &Value,
    position: usize,
) -> Result<bool, EvalError> {
    let order = match (left, right) {
        (Value::Null, Value::Null) => {
            return Ok(operator == Comparison::Equal);
        }
        (Value::Null, _) | (_, Value::Null) => return Ok(operator == Comparison::NotEqual),
        _ => {
            let (left_fold, right_fold) = folds(domain);
            order(
                &folded(left.borrowed(), left_fold),
                &folded(right.borrowed(), right_fold),
                position,
            )?
        }
    };
    Ok(match operator {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Greater => order.is_some_and(Ordering::is_gt),
        Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        Comparison::Less => order.is_some_and(Ordering::is_lt),
        Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
    })
}

fn folds(domain: Domain) -> (Option<Fold>, Option<Fold>) {
    match domain {
        Domain::Folded { left, right } => (left, right),
        _ => (None, None),
    }
}

fn folded(value: Value<'_>, fold: Option<Fold>) -> Value<'_> {
    match (value, fold) {
        (Value::Text(text), Some(fold)) => Value::text((fold.apply)(&text)),
        (value, _) => value,
    }
}

/// The order of two values that are not null; `None` only where `NaN` takes part.
pub(crate) fn order(left: &Value, right: &Value, position: usize) -> Result<Option<Ordering>, EvalError> {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => return Ok(left.partial_cmp(right)),
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Guid(left), Value::Guid(right)) => left.cmp(right),
        (Value::Version(left), Value::Version(right)) => left.cmp(right),
        (Value::Instant(left), Value::Instant(right)) => left.cmp(right),
        (Value::Date(left), Value::Date(right)) => left.cmp(right),
        (Value::TimeOfDay(left), Value::TimeOfDay(right)) => left.cmp(right),
        (Value::Duration(left), Value::Duration(right)) => left.cmp(right),
        (Value::Binary(left), Value::Binary(right)) => left.cmp(right),
        (Value::Flags(left), Value::Flags(right)) => left.cmp(right),
        _ => return Err(EvalError::RowDoesNotFit { position }),
    };
    Ok(Some(order))
}
