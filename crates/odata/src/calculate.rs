//! What functions and arithmetic operators give. Null in, null out; text is counted in characters.

use crate::error::EvalError;
use crate::filter::Kind;
use crate::functions::Function;
use crate::number::{ArithmeticError, Number};
use crate::schema::Scalar;
use crate::syntax::Arithmetic;
use crate::temporal::{Date, Duration, Instant, TimeOfDay};
use crate::value::Value;
use std::borrow::Cow;

type Outcome<'v> = Result<Value<'v>, EvalError>;

/// `-x`.
pub(crate) fn negate(operand: Value<'_>, position: usize) -> Outcome<'_> {
    match operand {
        Value::Null => Ok(Value::Null),
        Value::Number(number) => Ok(Value::Number(number.negate())),
        Value::Duration(duration) => duration
            .checked_neg()
            .map(Value::Duration)
            .ok_or(EvalError::OutOfRange { position }),
        _ => Err(EvalError::RowDoesNotFit { position }),
    }
}

/// `x add y` and its kin; `kind` is the type of the result.
pub(crate) fn arithmetic(
    operator: Arithmetic,
    kind: Kind,
    left: &Value,
    right: &Value,
    position: usize,
) -> Outcome<'static> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Number(left), Value::Number(right)) => {
            let between_integers = kind == Kind::Scalar(Scalar::Int);
            let number = numbers(operator, between_integers, *left, *right);
            number
                .map(Value::Number)
                .map_err(|error| EvalError::from_arithmetic(error, position))
        }
        _ => temporal_arithmetic(operator, left, right, position),
    }
}

fn numbers(
    operator: Arithmetic,
    between_integers: bool,
    left: Number,
    right: Number,
) -> Result<Number, ArithmeticError> {
    match operator {
        Arithmetic::Add => left.plus(right),
        Arithmetic::Subtract => left.minus(right),
        Arithmetic::Multiply => left.times(right),
        Arithmetic::Divide if between_integers => left.divide_truncated(right),
        Arithmetic::Divide | Arithmetic::DivideExactly => left.divide(right),
        Arithmetic::Modulo => left.remainder(right),
    }
}

fn temporal_arithmetic(
    operator: Arithmetic,
    left: &Value,
    right: &Value,
    position: usize,
) -> Outcome<'static> {
    use Arithmetic::{Add, Divide, DivideExactly, Multiply, Subtract};
    let out_of_range = EvalError::OutOfRange { position };
    let value = match (left, operator, right) {
        (Value::Instant(left), Subtract, Value::Instant(right)) => Some(Value::Duration(left.since(*right))),
        (Value::Instant(left), Add, Value::Duration(right)) => left.plus(*right).map(Value::Instant),
        (Value::Instant(left), Subtract, Value::Duration(right)) => right
            .checked_neg()
            .and_then(|back| left.plus(back))
            .map(Value::Instant),
        (Value::Date(left), Subtract, Value::Date(right)) => {
            Some(Value::Duration(left.duration_since(*right)))
        }
        (Value::Date(left), Add, Value::Duration(right)) => later(*left, *right),
        (Value::Date(left), Subtract, Value::Duration(right)) => {
            right.checked_neg().and_then(|back| later(*left, back))
        }
        (Value::Duration(left), Add, Value::Duration(right)) => left.checked_add(*right).map(Value::Duration),
        (Value::Duration(left), Subtract, Value::Duration(right)) => {
            left.checked_sub(*right).map(Value::Duration)
        }
        (Value::Duration(duration), Multiply, Value::Number(number))
        | (Value::Number(number), Multiply, Value::Duration(duration)) => {
            let product = seconds(*duration).and_then(|seconds| seconds.times(*number));
            Some(duration_of(product, position)?)
        }
        (Value::Duration(duration), Divide | DivideExactly, Value::Number(number)) => {
            let quotient = seconds(*duration).and_then(|seconds| seconds.divide(*number));
            Some(duration_of(quotient, position)?)
        }
        _ => return Err(EvalError::RowDoesNotFit { position }),
    };
    value.ok_or(out_of_range)
}

fn later(date: Date, duration: Duration) -> Option<Value<'static>> {
    let later = Instant::midnight(date).plus(duration)?.civil()?;
    Some(Value::Date(later.date()))
}

fn seconds(duration: Duration) -> Result<Number, ArithmeticError> {
    Number::new(duration.as_nanos(), 9).ok_or(ArithmeticError::OutOfRange)
}

/// Seconds as a duration, rounded to the nanosecond.
fn duration_of(seconds: Result<Number, ArithmeticError>, position: usize) -> Outcome<'static> {
    let nanos = seconds.and_then(|seconds| seconds.times(Number::from(1_000_000_000)));
    let nanos = nanos.map_err(|error| EvalError::from_arithmetic(error, position))?;
    let duration = nanos.round().to_i128().and_then(Duration::try_from_nanos_i128);
    duration
        .map(Value::Duration)
        .ok_or(EvalError::OutOfRange { position })
}

/// The text of a value that text functions take; `None` for null.
pub(crate) fn text(value: Value<'_>, position: usize) -> Result<Option<Cow<'_, str>>, EvalError> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        Value::Version(version) => Ok(Some(Cow::Owned(version.to_string()))),
        _ => Err(EvalError::RowDoesNotFit { position }),
    }
}

/// A function's value.
pub(crate) fn call<'v>(
    function: Function,
    arguments: Vec<Value<'v>>,
    now: Instant,
    position: usize,
) -> Outcome<'v> {
    if arguments.contains(&Value::Null) {
        return Ok(Value::Null);
    }
    let mut arguments = arguments.into_iter();
    match (arguments.next(), arguments.next(), arguments.next()) {
        (None, ..) => Ok(Value::Instant(match function {
            Function::MinDateTime => Instant::MIN,
            Function::MaxDateTime => Instant::MAX,
            _ => now,
        })),
        (Some(Value::Number(number)), ..) => Ok(Value::Number(match function {
            Function::Floor => number.floor(),
            Function::Ceiling => number.ceiling(),
            _ => number.round(),
        })),
        (Some(Value::Instant(instant)), ..) => of_instant(function, instant, position),
        (Some(Value::Date(date)), ..) => of_day(function, date, position),
        (Some(Value::TimeOfDay(time)), ..) => of_clock(function, since_midnight(time), position),
        (Some(Value::Duration(duration)), ..) if function == Function::TotalSeconds => {
            let seconds = seconds(duration).map_err(|error| EvalError::from_arithmetic(error, position))?;
            Ok(Value::Number(seconds))
        }
        (Some(Value::Duration(duration)), ..) => of_clock(function, duration, position),
        (Some(first), second, third) => {
            let first = text(first, position)?.unwrap_or_default();
            of_text(function, first, second, third, position)
        }
    }
}

fn of_instant(function: Function, instant: Instant, position: usize) -> Outcome<'static> {
    let at = instant.civil().ok_or(EvalError::OutOfRange { position })?;
    match function {
        Function::Date => Ok(Value::Date(at.date())),
        Function::Time => Ok(Value::TimeOfDay(at.time())),
        Function::TotalOffsetMinutes => Ok(Value::integer(0)),
        Function::Year | Function::Month | Function::Day => of_day(function, at.date(), position),
        _ => of_clock(function, since_midnight(at.time()), position),
    }
}

fn of_day(function: Function, date: Date, position: usize) -> Outcome<'static> {
    match function {
        Function::Year => Ok(Value::integer(date.year().into())),
        Function::Month => Ok(Value::integer(date.month().into())),
        Function::Day => Ok(Value::integer(date.day().into())),
        _ => Err(EvalError::RowDoesNotFit { position }),
    }
}

fn since_midnight(time: TimeOfDay) -> Duration {
    time.duration_since(TimeOfDay::midnight())
}

/// The parts of the time since midnight, or of a duration without its days.
fn of_clock(function: Function, time: Duration, position: usize) -> Outcome<'static> {
    let seconds = time.as_secs();
    match function {
        Function::Hour => Ok(Value::integer(seconds / 3600 % 24)),
        Function::Minute => Ok(Value::integer(seconds / 60 % 60)),
        Function::Second => Ok(Value::integer(seconds % 60)),
        Function::FractionalSeconds => {
            let fraction = Number::new(time.subsec_nanos().into(), 9);
            fraction
                .map(Value::Number)
                .ok_or(EvalError::OutOfRange { position })
        }
        _ => Err(EvalError::RowDoesNotFit { position }),
    }
}

fn of_text<'v>(
    function: Function,
    first: Cow<'v, str>,
    second: Option<Value<'v>>,
    third: Option<Value<'v>>,
    position: usize,
) -> Outcome<'v> {
    match function {
        Function::ToLower => return Ok(Value::text(first.to_lowercase())),
        Function::ToUpper => return Ok(Value::text(first.to_uppercase())),
        Function::Trim => return Ok(Value::text(first.trim().to_string())),
        Function::Length => return Ok(Value::count(first.chars().count())),
        Function::Substring => return substring(&first, second, third, position),
        _ => {}
    }
    let second = text(second.unwrap_or(Value::Null), position)?.unwrap_or_default();
    match function {
        Function::Contains => Ok(Value::Boolean(first.contains(&*second))),
        Function::StartsWith => Ok(Value::Boolean(first.starts_with(&*second))),
        Function::EndsWith => Ok(Value::Boolean(first.ends_with(&*second))),
        Function::Concat => Ok(Value::Text(first + second)),
        Function::IndexOf => Ok(index_of(&first, &second)),
        _ => Err(EvalError::RowDoesNotFit { position }),
    }
}

fn index_of(text: &str, part: &str) -> Value<'static> {
    text.split_once(part).map_or(Value::integer(-1), |(before, _)| {
        Value::count(before.chars().count())
    })
}

/// Starts before the beginning start at the beginning, starts past the end give nothing.
fn substring(text: &str, start: Option<Value>, length: Option<Value>, position: usize) -> Outcome<'static> {
    let whole = |value: Option<Value>| match value {
        Some(Value::Number(number)) => Ok(Some(held(number))),
        None => Ok(None),
        Some(_) => Err(EvalError::RowDoesNotFit { position }),
    };
    let start = whole(start)?.unwrap_or(0);
    let length = whole(length)?.unwrap_or(i64::MAX);
    let Ok(length) = u64::try_from(length) else {
        return Err(EvalError::NegativeLength { position });
    };
    let characters = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let away = characters(start.unsigned_abs());
    let skipped = match start {
        0.. => away,
        _ => text.chars().count().saturating_sub(away),
    };
    let part: String = text.chars().skip(skipped).take(characters(length)).collect();
    Ok(Value::text(part))
}

/// An integer, held at the ends of `i64`.
fn held(number: Number) -> i64 {
    let end = if number < Number::ZERO { i64::MIN } else { i64::MAX };
    number.to_i64().unwrap_or(end)
}
