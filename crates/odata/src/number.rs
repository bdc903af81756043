//! Numbers of literals and arithmetic: exact decimals, and what IEEE 754 has beside them.
//!
//! Binary floating point would make `0.1 add 0.2 eq 0.3` false and lose the low digits of a 64-bit integer, so finite
//! numbers are decimals. A number that would have to be rounded is refused where it is written or calculated; only a
//! quotient is rounded, because most quotients have no end.

use rust_decimal::{Decimal, RoundingStrategy};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A number: an exact decimal, an infinity, or not a number.
///
/// A decimal has at least 28 digits, of which up to 28 stand behind the point; the largest is
/// 79228162514264337593543950335.
#[derive(Clone, Copy, Debug)]
pub struct Number(Form);

#[derive(Clone, Copy, Debug)]
enum Form {
    /// Without trailing zeros behind the point, so that an integer has the scale 0.
    Finite(Decimal),
    /// An infinity or `NaN`.
    Special(f64),
}

/// Why a text is not a [`Number`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidNumber {
    /// It is not written as a number.
    Malformed,
    /// It is a number that cannot be held exactly.
    NotExact,
}

impl fmt::Display for InvalidNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidNumber::Malformed => "not written as a number",
            InvalidNumber::NotExact => "not a number that can be held exactly",
        })
    }
}

impl std::error::Error for InvalidNumber {}

/// Why a calculation has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArithmeticError {
    DivisionByZero,
    OutOfRange,
    /// The result has more digits than can be held.
    NotExact,
}

type Outcome = Result<Number, ArithmeticError>;

impl Number {
    /// Zero.
    pub const ZERO: Number = Number(Form::Finite(Decimal::ZERO));
    /// Positive infinity, written `INF`.
    pub const INFINITY: Number = Number(Form::Special(f64::INFINITY));
    /// Negative infinity, written `-INF`.
    pub const NEGATIVE_INFINITY: Number = Number(Form::Special(f64::NEG_INFINITY));
    /// Not a number, written `NaN`: different from everything, itself included.
    pub const NAN: Number = Number(Form::Special(f64::NAN));

    /// `digits` with the last `scale` of them behind the decimal point; `None` if that cannot be held exactly.
    pub fn new(digits: i128, scale: u32) -> Option<Number> {
        Decimal::try_from_i128_with_scale(digits, scale).ok().map(finite)
    }

    /// The integer this is, if it is one and fits.
    pub fn to_i64(self) -> Option<i64> {
        i64::try_from(self.to_i128()?).ok()
    }

    pub(crate) fn to_i128(self) -> Option<i128> {
        match self.0 {
            Form::Finite(decimal) if decimal.scale() == 0 => Some(decimal.mantissa()),
            _ => None,
        }
    }

    /// The largest integer that is not greater; infinities and `NaN` stay what they are.
    #[must_use]
    pub fn floor(self) -> Number {
        self.to_integer(RoundingStrategy::ToNegativeInfinity)
    }

    /// The smallest integer that is not less; infinities and `NaN` stay what they are.
    #[must_use]
    pub fn ceiling(self) -> Number {
        self.to_integer(RoundingStrategy::ToPositiveInfinity)
    }

    /// The nearest integer, halves away from zero as OData says; infinities and `NaN` stay what they are.
    #[must_use]
    pub fn round(self) -> Number {
        self.to_integer(RoundingStrategy::MidpointAwayFromZero)
    }

    fn to_integer(self, strategy: RoundingStrategy) -> Number {
        match self.0 {
            Form::Finite(decimal) => finite(decimal.round_dp_with_strategy(0, strategy)),
            Form::Special(_) => self,
        }
    }

    pub(crate) fn negate(self) -> Number {
        match self.0 {
            Form::Finite(decimal) => finite(-decimal),
            Form::Special(special) => Number(Form::Special(-special)),
        }
    }

    pub(crate) fn plus(self, other: Number) -> Outcome {
        let Some((left, right)) = both_finite(self, other) else {
            return Ok(special(self.shape() + other.shape()));
        };
        let sum = left.checked_add(right).ok_or(ArithmeticError::OutOfRange)?;
        exact(sum, left.scale().max(right.scale()))
    }

    pub(crate) fn minus(self, other: Number) -> Outcome {
        self.plus(other.negate())
    }

    pub(crate) fn times(self, other: Number) -> Outcome {
        let Some((left, right)) = both_finite(self, other) else {
            return Ok(special(self.shape() * other.shape()));
        };
        if left.is_zero() || right.is_zero() {
            return Ok(Number::ZERO);
        }
        let product = left.checked_mul(right).ok_or(ArithmeticError::OutOfRange)?;
        match exact(product, left.scale() + right.scale()) {
            // What was too small to be seen at all is no zero.
            Ok(product) if product == Number::ZERO => Err(ArithmeticError::NotExact),
            product => product,
        }
    }

    /// `divby`, and `div` of decimals: rounded to what can be held. An infinity divided by zero is an error too.
    pub(crate) fn divide(self, other: Number) -> Outcome {
        if other == Number::ZERO {
            return Err(ArithmeticError::DivisionByZero);
        }
        match both_finite(self, other) {
            Some((left, right)) => {
                let quotient = left.checked_div(right).ok_or(ArithmeticError::OutOfRange)?;
                Ok(finite(quotient))
            }
            None => Ok(special(self.shape() / other.shape())),
        }
    }

    /// `div` of integers: the fraction is cut off.
    pub(crate) fn divide_truncated(self, other: Number) -> Outcome {
        match both_finite(self, other) {
            Some(_) => self.minus(self.remainder(other)?)?.divide(other),
            None => self.divide(other),
        }
    }

    /// `mod`: what integer division leaves, with the sign of the dividend.
    pub(crate) fn remainder(self, other: Number) -> Outcome {
        if other == Number::ZERO {
            return Err(ArithmeticError::DivisionByZero);
        }
        match (self.0, other.0) {
            (Form::Finite(left), Form::Finite(right)) => {
                let rest = left.checked_rem(right).ok_or(ArithmeticError::OutOfRange)?;
                Ok(finite(rest))
            }
            (Form::Finite(_), Form::Special(divisor)) if divisor.is_infinite() => Ok(self),
            _ => Ok(Number::NAN),
        }
    }

    /// A stand-in that behaves alike beside an infinity or `NaN`, where only the sign of a finite number matters.
    fn shape(self) -> f64 {
        match self.0 {
            Form::Finite(decimal) if decimal.is_zero() => 0.0,
            Form::Finite(decimal) if decimal.is_sign_negative() => -1.0,
            Form::Finite(_) => 1.0,
            Form::Special(special) => special,
        }
    }
}

fn both_finite(left: Number, right: Number) -> Option<(Decimal, Decimal)> {
    match (left.0, right.0) {
        (Form::Finite(left), Form::Finite(right)) => Some((left, right)),
        _ => None,
    }
}

fn finite(decimal: Decimal) -> Number {
    Number(Form::Finite(decimal.normalize()))
}

/// What comes of an infinity or `NaN`; finite is only the zero that a division by an infinity gives.
fn special(value: f64) -> Number {
    if value.is_finite() {
        Number::ZERO
    } else {
        Number(Form::Special(value))
    }
}

/// A result of which no digit was rounded off: all those behind the point that it must have are there.
fn exact(result: Decimal, scale: u32) -> Outcome {
    if result.scale() == scale || result.is_zero() {
        Ok(finite(result))
    } else {
        Err(ArithmeticError::NotExact)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Number {
        Number(Form::Finite(Decimal::from(value)))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        match both_finite(*self, *other) {
            Some((left, right)) => Some(left.cmp(&right)),
            None => self.shape().partial_cmp(&other.shape()),
        }
    }
}

impl fmt::Display for Number {
    /// What [`Number::from_str`] reads back to the same value, but for infinities and `NaN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Form::Finite(decimal) => decimal.fmt(f),
            Form::Special(special) if special.is_nan() => f.write_str("NaN"),
            Form::Special(special) => f.write_str(if special < 0.0 { "-INF" } else { "INF" }),
        }
    }
}

impl FromStr for Number {
    type Err = InvalidNumber;

    /// Reads `[+-]?d+(.d+)?(e[+-]?d+)?`, all of `text`.
    fn from_str(text: &str) -> Result<Number, InvalidNumber> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if ![whole, fraction, power].into_iter().all(is_digits) {
            return Err(InvalidNumber::Malformed);
        }
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Ok(Number::ZERO);
        }
        let dropped = digits.len() - digits.trim_end_matches('0').len();
        let value = shifted(significant, exponent, dropped, fraction.len()).ok_or(InvalidNumber::NotExact)?;
        Ok(if text.starts_with('-') {
            value.negate()
        } else {
            value
        })
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits times ten to the power of `exponent`, after `dropped` zeros and before `behind` places were moved.
fn shifted(digits: &str, exponent: &str, dropped: usize, behind: usize) -> Option<Number> {
    let moved = i64::try_from(dropped).ok()? - i64::try_from(behind).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_add(moved)?;
    let digits: i128 = digits.parse().ok()?;
    let power = u32::try_from(exponent.unsigned_abs()).ok()?;
    if exponent > 0 {
        Number::new(digits.checked_mul(10i128.checked_pow(power)?)?, 0)
    } else {
        Number::new(digits, power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn calculate(left: &str, operator: &str, right: &str) -> Outcome {
        let (a, b) = (number(left), number(right));
        match operator {
            "add" => a.plus(b),
            "sub" => a.minus(b),
            "mul" => a.times(b),
            "divby" => a.divide(b),
            "div" => a.divide_truncated(b),
            _ => a.remainder(b),
        }
    }

    #[test]
    fn reads_what_the_grammar_allows_and_nothing_else() {
        for text in [
            "0",
            "-0",
            "+7",
            "3.14",
            "1e-28",
            "-1.5E+3",
            "00012",
            "0e99999999999999999999",
        ] {
            assert!(text.parse::<Number>().is_ok(), "{text}");
        }
        for text in [
            "", "-", ".5", "5.", "1e", "1e+", "1_0", "0x1", "1.2.3", "١", " 1", "INF", "1e1.5", "1e+-1",
        ] {
            assert_eq!(text.parse::<Number>(), Err(InvalidNumber::Malformed), "{text}");
        }
    }

    /// Zeros that say nothing count as little as the place of the point.
    #[test]
    fn what_cannot_be_held_exactly_is_refused() {
        for text in [
            "79228162514264337593543950335",
            "-79228162514264337593543950335.000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000001e28",
            "0.00000000000000000000000000000000000001e10",
            "100000000000000000000000000000000000000000000000000e-60",
            "7.9228162514264337593543950335",
        ] {
            assert!(text.parse::<Number>().is_ok(), "{text}");
        }
        for text in [
            "79228162514264337593543950336",
            "99999999999999999999999999999999999999999999",
            "7.000000000000000000000000000000000000000000001",
            "7.92281625142643375935439503351",
            "1e29",
            "1e-29",
            "1e999999999",
            "1e-999999999",
            "1e99999999999999999999",
            "-1e9223372036854775807",
            "10e9223372036854775807",
            "0.1e-9223372036854775808",
        ] {
            assert_eq!(text.parse::<Number>(), Err(InvalidNumber::NotExact), "{text}");
        }
    }

    #[test]
    fn compares_across_scales_and_sizes() {
        let ascending = [
            "-79228162514264337593543950335",
            "-10",
            "-2.5",
            "-2",
            "-1e-28",
            "0",
            "1e-28",
            "0.1",
            "0.30",
            "1",
            "1.0000000000000000000000000001",
            "2",
            "9.99",
            "10",
            "9223372036854775808",
            "79228162514264337593543950335",
        ];
        for (left_index, left) in ascending.iter().enumerate() {
            for (right_index, right) in ascending.iter().enumerate() {
                let order = number(left).partial_cmp(&number(right));
                assert_eq!(order, Some(left_index.cmp(&right_index)), "{left} {right}");
            }
            assert!(Number::NEGATIVE_INFINITY < number(left) && number(left) < Number::INFINITY);
        }
        assert_eq!(number("1.50"), number("15e-1"));
        assert_eq!(number("-0"), Number::ZERO);
        assert!(Number::NAN != Number::NAN && Number::INFINITY == Number::INFINITY);
    }

    #[test]
    fn calculates_exactly() {
        for (left, operator, right, expected) in [
            ("0.1", "add", "0.2", "0.3"),
            ("0.5", "add", "0.5", "1"),
            ("9223372036854775807", "add", "1", "9223372036854775808"),
            ("12345670000000000000", "add", "1", "12345670000000000001"),
            ("1e-28", "sub", "1e-28", "0"),
            ("1", "sub", "1e-28", "0.9999999999999999999999999999"),
            ("0.2", "mul", "0.5", "0.1"),
            ("0", "mul", "1e-28", "0"),
            ("1", "divby", "3", "0.3333333333333333333333333333"),
            ("2", "divby", "3", "0.6666666666666666666666666667"),
            ("1", "divby", "8", "0.125"),
            ("300", "divby", "100", "3"),
            ("7", "div", "2", "3"),
            ("-7", "div", "2", "-3"),
            (
                "79228162514264337593543950335",
                "div",
                "2",
                "39614081257132168796771975167",
            ),
            ("-7", "mod", "2", "-1"),
            ("5.5", "mod", "2", "1.5"),
            ("3", "mod", "1e28", "3"),
            ("1e28", "mod", "3e-28", "1e-28"),
        ] {
            let result = calculate(left, operator, right);
            assert_eq!(result, Ok(number(expected)), "{left} {operator} {right}");
        }
    }

    #[test]
    fn a_result_that_would_be_rounded_is_refused() {
        for (left, operator, right, error) in [
            (
                "79228162514264337593543950335",
                "add",
                "1",
                ArithmeticError::OutOfRange,
            ),
            (
                "9223372036854775807",
                "mul",
                "9223372036854775807",
                ArithmeticError::OutOfRange,
            ),
            ("1e28", "divby", "1e-28", ArithmeticError::OutOfRange),
            ("7e28", "add", "0.1", ArithmeticError::NotExact),
            ("1e28", "sub", "1e-28", ArithmeticError::NotExact),
            ("1e-28", "mul", "0.1", ArithmeticError::NotExact),
            (
                "1.0000000000000001",
                "mul",
                "1.0000000000000001",
                ArithmeticError::NotExact,
            ),
        ] {
            let result = calculate(left, operator, right);
            assert_eq!(result, Err(error), "{left} {operator} {right}");
        }
    }

    #[test]
    fn division_by_zero_is_an_error_and_infinities_follow_ieee() {
        let one = number("1");
        for dividend in [one, Number::INFINITY] {
            assert_eq!(
                dividend.divide(Number::ZERO),
                Err(ArithmeticError::DivisionByZero)
            );
            assert_eq!(
                dividend.divide_truncated(Number::ZERO),
                Err(ArithmeticError::DivisionByZero)
            );
            assert_eq!(
                dividend.remainder(Number::ZERO),
                Err(ArithmeticError::DivisionByZero)
            );
        }
        assert_eq!(one.divide(Number::INFINITY), Ok(Number::ZERO));
        assert_eq!(one.divide_truncated(Number::INFINITY), Ok(Number::ZERO));
        assert_eq!(one.remainder(Number::INFINITY), Ok(one));
        assert_eq!(
            Number::INFINITY.times(number("-2")),
            Ok(Number::NEGATIVE_INFINITY)
        );
    }

    #[test]
    fn infinities_swallow_what_is_finite_and_keep_their_sign() {
        let (one, minus_two) = (number("1"), number("-2"));
        for infinite in [Number::INFINITY, Number::NEGATIVE_INFINITY] {
            assert_eq!(one.plus(infinite), Ok(infinite));
            assert_eq!(infinite.plus(one), Ok(infinite));
            assert_eq!(infinite.plus(infinite), Ok(infinite));
            assert_eq!(infinite.divide(one), Ok(infinite));
            assert_eq!(infinite.divide(minus_two), Ok(infinite.negate()));
            assert_eq!(
                [infinite.floor(), infinite.ceiling(), infinite.round()],
                [infinite; 3]
            );
        }
        for undefined in [
            one.plus(Number::NAN),
            Number::INFINITY.minus(Number::INFINITY),
            Number::INFINITY.times(Number::ZERO),
            Number::INFINITY.divide(Number::INFINITY),
            Number::INFINITY.remainder(one),
            one.remainder(Number::NAN),
            one.divide(Number::NAN),
            Number::NAN.divide(one),
        ] {
            assert_eq!(undefined.map(|value| value.to_string()), Ok("NaN".to_owned()));
        }
    }

    #[test]
    fn a_quotient_has_the_sign_that_school_teaches() {
        for (dividend, divisor, quotient) in [
            ("1", "4", "0.25"),
            ("-1", "4", "-0.25"),
            ("1", "-4", "-0.25"),
            ("-1", "-4", "0.25"),
        ] {
            let result = number(dividend).divide(number(divisor));
            assert_eq!(result, Ok(number(quotient)), "{dividend} by {divisor}");
        }
    }

    #[test]
    fn is_shown_without_idle_zeros() {
        for (written, shown) in [
            ("1.50", "1.5"),
            ("-0.001", "-0.001"),
            ("15e2", "1500"),
            ("-0.0", "0"),
        ] {
            assert_eq!(number(written).to_string(), shown);
        }
        assert_eq!(Number::INFINITY.to_string(), "INF");
        assert_eq!(Number::NEGATIVE_INFINITY.to_string(), "-INF");
    }

    #[test]
    fn rounds_to_integers() {
        for (text, floor, ceiling, round) in [
            ("2.5", "2", "3", "3"),
            ("-2.5", "-3", "-2", "-3"),
            ("2.4", "2", "3", "2"),
            ("-0.5", "-1", "0", "-1"),
            ("7", "7", "7", "7"),
            ("1e-28", "0", "1", "0"),
            ("-1e-28", "-1", "0", "0"),
            ("1e28", "1e28", "1e28", "1e28"),
        ] {
            let value = number(text);
            let rounded = [value.floor(), value.ceiling(), value.round()];
            assert_eq!(rounded, [number(floor), number(ceiling), number(round)], "{text}");
        }
    }

    #[test]
    fn integers_are_told_from_fractions() {
        for (text, integer) in [
            ("16.0", Some(16)),
            ("-16e3", Some(-16_000)),
            ("1.5", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
        ] {
            assert_eq!(number(text).to_i64(), integer, "{text}");
        }
        assert_eq!(Number::INFINITY.to_i64(), None);
    }

    proptest! {
        #[test]
        fn agrees_with_wide_integers(a: i64, b: i64, scale in 0u32..9) {
            let unit = 10i128.pow(scale);
            let decimal = |value: i64| number(&format!("{value}e-{scale}"));
            let (wide_a, wide_b) = (i128::from(a), i128::from(b));
            prop_assert_eq!(decimal(a).partial_cmp(&decimal(b)), Some(a.cmp(&b)));
            prop_assert_eq!(decimal(a).plus(decimal(b)), Ok(number(&format!("{}e-{scale}", wide_a + wide_b))));
            let product = format!("{}e-{}", wide_a * wide_b, scale * 2).parse();
            match decimal(a).times(decimal(b)) {
                Ok(held) => prop_assert_eq!(Ok(held), product),
                Err(_) => prop_assert!((wide_a * wide_b).unsigned_abs() >= 1 << 96),
            }
            if b != 0 {
                let quotient = number(&(wide_a / wide_b).to_string());
                prop_assert_eq!(decimal(a).divide_truncated(decimal(b)), Ok(quotient));
                let rest = number(&format!("{}e-{scale}", wide_a % wide_b));
                prop_assert_eq!(decimal(a).remainder(decimal(b)), Ok(rest));
            }
            prop_assert_eq!(decimal(a).floor(), number(&wide_a.div_euclid(unit).to_string()));
        }

        #[test]
        fn text_round_trips(digits in -(1i128 << 96) + 1..1 << 96, scale in 0u32..29) {
            let value = Number::new(digits, scale).unwrap();
            prop_assert_eq!(value.to_string().parse(), Ok(value));
        }
    }
}
