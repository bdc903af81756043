//! Exact decimal numbers for literals and arithmetic.
//!
//! Binary floating point would make `0.1 add 0.2 eq 0.3` false and lose the low digits of a 64-bit integer, so
//! numbers are a decimal coefficient and a power of ten, as in IEEE 754 decimal128: 34 significant digits.
//! Literals may have more digits; what lies beyond the 34th only matters as "there is more", which keeps every
//! comparison with a number of up to 33 digits exact (stored integers have at most 19).

use crate::wide::Wide;
use std::cmp::Ordering;
use std::fmt;

/// Significant digits that a result keeps.
const DIGITS: u32 = 34;
/// 10^34: the first coefficient that is too long.
const COEFFICIENT_END: u128 = 10u128.pow(DIGITS);
/// Exponents past this are held at it in literals and refused in results.
const EXPONENT_MAX: i64 = 1_000_000_000;

/// A number: finite and exact to 34 digits, an infinity, or not a number.
#[derive(Clone, Copy, Debug)]
pub struct Decimal(Form);

/// Finite values are normalised: no trailing zeros in the coefficient, exponent 0 for zero.
#[derive(Clone, Copy, Debug)]
enum Form {
    Finite { coefficient: i128, exponent: i32 },
    Infinite { negative: bool },
    NotANumber,
}

/// Why a calculation has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithmeticError {
    /// The divisor is zero.
    DivisionByZero,
    /// The result is too large to be held.
    OutOfRange,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal(Form::Finite {
        coefficient: 0,
        exponent: 0,
    });
    /// Positive infinity, written `INF`.
    pub const INFINITY: Decimal = Decimal(Form::Infinite { negative: false });
    /// Negative infinity, written `-INF`.
    pub const NEGATIVE_INFINITY: Decimal = Decimal(Form::Infinite { negative: true });
    /// Not a number, written `NaN`: different from everything, itself included.
    pub const NAN: Decimal = Decimal(Form::NotANumber);

    /// Reads `[+-]?d+(.d+)?(e[+-]?d+)?`, all of `text`; nothing else is a number.
    pub fn parse(text: &str) -> Option<Decimal> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        if !is_digits(whole) || fraction.is_some_and(|digits| !is_digits(digits)) {
            return None;
        }
        let fraction = fraction.unwrap_or("");
        let magnitude = from_digits(whole, fraction, exponent);
        Some(if text.starts_with('-') {
            magnitude.negate()
        } else {
            magnitude
        })
    }

    /// The value with the sign turned.
    pub fn negate(self) -> Decimal {
        Decimal(match self.0 {
            Form::Finite {
                coefficient,
                exponent,
            } => Form::Finite {
                coefficient: -coefficient,
                exponent,
            },
            Form::Infinite { negative } => Form::Infinite { negative: !negative },
            Form::NotANumber => Form::NotANumber,
        })
    }

    /// `coefficient` times ten to the power of `exponent`, rounded half to even at 34 digits.
    ///
    /// # Errors
    /// `OutOfRange` when the exponent leaves its range.
    pub fn new(coefficient: i128, exponent: i32) -> Result<Decimal, ArithmeticError> {
        round_wide(
            Wide::from(coefficient.unsigned_abs()),
            coefficient < 0,
            exponent.into(),
        )
    }

    /// The integer this is, if it is one and fits.
    pub fn to_i64(self) -> Option<i64> {
        i64::try_from(self.to_i128()?).ok()
    }

    pub(crate) fn to_i128(self) -> Option<i128> {
        let (coefficient, exponent) = self.parts()?;
        scaled(coefficient, exponent, 0).filter(|_| exponent >= 0)
    }

    /// True for neither an infinity nor `NaN`.
    pub fn is_finite(self) -> bool {
        matches!(self.0, Form::Finite { .. })
    }

    /// -1, 0 or 1; 0 also for `NaN`.
    pub fn signum(self) -> i32 {
        match self.0 {
            Form::Finite { coefficient, .. } => coefficient.signum() as i32,
            Form::Infinite { negative: true } => -1,
            Form::Infinite { negative: false } => 1,
            Form::NotANumber => 0,
        }
    }

    /// The coefficient and the power of ten of a finite number, without trailing zeros in the coefficient.
    pub fn parts(self) -> Option<(i128, i32)> {
        match self.0 {
            Form::Finite {
                coefficient,
                exponent,
            } => Some((coefficient, exponent)),
            _ => None,
        }
    }

    /// The sum, rounded half to even at 34 digits.
    ///
    /// # Errors
    /// `OutOfRange` when the exponent leaves its range.
    pub fn plus(self, other: Decimal) -> Result<Decimal, ArithmeticError> {
        match (self.parts(), other.parts()) {
            (Some(a), Some(b)) => add_finite(a, b),
            _ => Ok(add_special(self, other)),
        }
    }

    /// The difference, rounded half to even at 34 digits.
    ///
    /// # Errors
    /// `OutOfRange` when the exponent leaves its range.
    pub fn minus(self, other: Decimal) -> Result<Decimal, ArithmeticError> {
        self.plus(other.negate())
    }

    /// The product, rounded half to even at 34 digits.
    ///
    /// # Errors
    /// `OutOfRange` when the exponent leaves its range.
    pub fn times(self, other: Decimal) -> Result<Decimal, ArithmeticError> {
        let (Some((a, a_exponent)), Some((b, b_exponent))) = (self.parts(), other.parts()) else {
            return Ok(multiply_special(self, other));
        };
        let product = Wide::product(a.unsigned_abs(), b.unsigned_abs());
        let exponent = i64::from(a_exponent) + i64::from(b_exponent);
        round_wide(product, (a < 0) != (b < 0), exponent)
    }

    /// The quotient, rounded half to even at 34 digits: `divby`, and `div` of decimals.
    ///
    /// # Errors
    /// `DivisionByZero`, also for an infinite dividend; `OutOfRange` when the exponent leaves its range.
    pub fn divide(self, other: Decimal) -> Result<Decimal, ArithmeticError> {
        if other.signum() == 0 && other.is_finite() {
            return Err(ArithmeticError::DivisionByZero);
        }
        match (self.parts(), other.parts()) {
            (Some(a), Some(b)) => divide_finite(a, b),
            (Some(_), None) if other.signum() != 0 => Ok(Decimal::ZERO),
            (None, Some(_)) if self.signum() != 0 => Ok(infinity(self.signum() != other.signum())),
            _ => Ok(Decimal::NAN),
        }
    }

    /// The quotient with its fraction cut off: `div` of integers.
    ///
    /// # Errors
    /// `DivisionByZero`; `OutOfRange` when the quotient has more than 34 digits.
    pub fn divide_truncated(self, other: Decimal) -> Result<Decimal, ArithmeticError> {
        let Some((quotient, _)) = quotient_and_remainder(self, other)? else {
            return self.divide(other);
        };
        Ok(quotient)
    }

    /// What integer division leaves, with the sign of the dividend: `mod`.
    ///
    /// # Errors
    /// `DivisionByZero`; `OutOfRange` when the operands are too far apart in size.
    pub fn remainder(self, other: Decimal) -> Result<Decimal, ArithmeticError> {
        match quotient_and_remainder(self, other)? {
            Some((_, remainder)) => Ok(remainder),
            None if self.is_finite() && other.signum() != 0 => Ok(self),
            None => Ok(Decimal::NAN),
        }
    }

    /// The largest integer that is not greater.
    pub fn floor(self) -> Decimal {
        self.to_integer(|negative, _| negative)
    }

    /// The smallest integer that is not less.
    pub fn ceiling(self) -> Decimal {
        self.to_integer(|negative, _| !negative)
    }

    /// The nearest integer; halves go away from zero, as OData says.
    pub fn round(self) -> Decimal {
        self.to_integer(|_, fraction_to_half| fraction_to_half.is_ge())
    }

    /// Cuts the fraction off, then steps away from zero where `away` says so. It is told whether the number is
    /// negative and how its fraction, which is not zero, compares with one half.
    fn to_integer(self, away: fn(bool, Ordering) -> bool) -> Decimal {
        let Form::Finite {
            coefficient,
            exponent,
        } = self.0
        else {
            return self;
        };
        if exponent >= 0 {
            return self;
        }
        let unit = 10i128.checked_pow(exponent.unsigned_abs()).unwrap_or(i128::MAX);
        let (whole, fraction) = (coefficient / unit, (coefficient % unit).unsigned_abs());
        let half = unit.unsigned_abs() / 2;
        let step = away(coefficient < 0, fraction.cmp(&half));
        normalised(whole + if step { coefficient.signum() } else { 0 }, 0)
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Decimal {
        normalised(value.into(), 0)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Decimal) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        match (self.0, other.0) {
            (Form::NotANumber, _) | (_, Form::NotANumber) => None,
            (
                Form::Finite {
                    coefficient: a,
                    exponent: a_exponent,
                },
                Form::Finite {
                    coefficient: b,
                    exponent: b_exponent,
                },
            ) => Some(compare_finite((a, a_exponent), (b, b_exponent))),
            _ => Some(rank(*self).cmp(&rank(*other))),
        }
    }
}

impl fmt::Display for Decimal {
    /// Digits that [`Decimal::parse`] reads back to the same value; an exponent only where zeros would be many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Form::NotANumber => f.write_str("NaN"),
            Form::Infinite { negative } => f.write_str(if negative { "-INF" } else { "INF" }),
            Form::Finite {
                coefficient,
                exponent,
            } => write_finite(f, coefficient, exponent),
        }
    }
}

fn write_finite(f: &mut fmt::Formatter<'_>, coefficient: i128, exponent: i32) -> fmt::Result {
    if !(-40..=40).contains(&exponent) {
        return write!(f, "{coefficient}e{exponent}");
    }
    if exponent >= 0 {
        return write!(f, "{coefficient}{}", "0".repeat(exponent.unsigned_abs() as usize));
    }
    let places = exponent.unsigned_abs() as usize;
    let digits = format!("{:0>width$}", coefficient.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let sign = if coefficient < 0 { "-" } else { "" };
    write!(f, "{sign}{whole}.{fraction}")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The exponent, held at the border when it is absurd.
fn parse_exponent(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !is_digits(unsigned) {
        return None;
    }
    let size = unsigned.parse::<i64>().unwrap_or(EXPONENT_MAX).min(EXPONENT_MAX);
    Some(if text.starts_with('-') { -size } else { size })
}

fn from_digits(whole: &str, fraction: &str, exponent: i64) -> Decimal {
    let mut coefficient: i128 = 0;
    let mut kept = 0;
    let mut dropped = 0;
    let mut more = false;
    for digit in whole
        .bytes()
        .chain(fraction.bytes())
        .map(|byte| i128::from(byte - b'0'))
    {
        if kept == DIGITS {
            dropped += 1;
            more |= digit != 0;
        } else if kept > 0 || digit != 0 {
            coefficient = coefficient * 10 + digit;
            kept += 1;
        }
    }
    if more && coefficient % 10 == 0 {
        coefficient += 1;
    }
    let exponent = exponent + dropped - fraction.len() as i64;
    normalised(coefficient, exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX) as i32)
}

fn normalised(mut coefficient: i128, mut exponent: i32) -> Decimal {
    if coefficient == 0 {
        return Decimal::ZERO;
    }
    while coefficient % 10 == 0 {
        coefficient /= 10;
        exponent += 1;
    }
    Decimal(Form::Finite {
        coefficient,
        exponent,
    })
}

fn infinity(negative: bool) -> Decimal {
    Decimal(Form::Infinite { negative })
}

/// Orders the infinities around everything finite.
fn rank(value: Decimal) -> i32 {
    if value.is_finite() { 0 } else { value.signum() }
}

fn compare_finite((a, a_exponent): (i128, i32), (b, b_exponent): (i128, i32)) -> Ordering {
    let by_sign = a.signum().cmp(&b.signum());
    if by_sign.is_ne() || a == 0 {
        return by_sign;
    }
    let (a_size, b_size) = (a.unsigned_abs(), b.unsigned_abs());
    let a_top = i64::from(a_exponent) + i64::from(a_size.ilog10());
    let b_top = i64::from(b_exponent) + i64::from(b_size.ilog10());
    let by_size = a_top
        .cmp(&b_top)
        .then_with(|| left_aligned(a_size).cmp(&left_aligned(b_size)));
    if a < 0 { by_size.reverse() } else { by_size }
}

/// The coefficient with zeros appended up to 34 digits, so that equal lengths can be compared.
fn left_aligned(coefficient: u128) -> u128 {
    let digits = coefficient.ilog10() + 1;
    coefficient * 10u128.pow((DIGITS + 1).saturating_sub(digits))
}

fn add_special(a: Decimal, b: Decimal) -> Decimal {
    match (a.is_finite(), b.is_finite()) {
        (true, _) => b,
        (_, true) => a,
        _ if a.signum() == b.signum() && a.signum() != 0 => a,
        _ => Decimal::NAN,
    }
}

fn multiply_special(a: Decimal, b: Decimal) -> Decimal {
    match a.signum() * b.signum() {
        0 => Decimal::NAN,
        sign => infinity(sign < 0),
    }
}

fn add_finite(a: (i128, i32), b: (i128, i32)) -> Result<Decimal, ArithmeticError> {
    let (high, low) = if a.1 >= b.1 { (a, b) } else { (b, a) };
    if high.0 == 0 {
        return Ok(normalised(low.0, low.1));
    }
    let shift = i64::from(high.1) - i64::from(low.1);
    // Past 76 digits the smaller number lies below everything that rounding can see.
    let Some(shift) = u32::try_from(shift)
        .ok()
        .filter(|shift| high.0.unsigned_abs().ilog10() + shift < 76)
    else {
        return Ok(normalised(high.0, high.1));
    };
    let high_size = Wide::from(high.0.unsigned_abs()).times_power_of_ten(shift);
    let low_size = Wide::from(low.0.unsigned_abs());
    let exponent = i64::from(low.1);
    if (high.0 < 0) == (low.0 < 0) {
        return round_wide(high_size.plus(low_size), high.0 < 0, exponent);
    }
    if high_size >= low_size {
        round_wide(high_size.minus(low_size), high.0 < 0, exponent)
    } else {
        round_wide(low_size.minus(high_size), low.0 < 0, exponent)
    }
}

/// Brings a wide result back to 34 digits, half to even.
fn round_wide(mut size: Wide, negative: bool, mut exponent: i64) -> Result<Decimal, ArithmeticError> {
    let mut last = 0;
    let mut more = false;
    while size >= Wide::from(COEFFICIENT_END) {
        more |= last != 0;
        (size, last) = size.divided_by_ten();
        exponent += 1;
    }
    let mut coefficient = size.low_u128();
    let up = last > 5 || (last == 5 && (more || coefficient % 2 == 1));
    coefficient += u128::from(up);
    finished(coefficient, negative, exponent)
}

fn finished(coefficient: u128, negative: bool, exponent: i64) -> Result<Decimal, ArithmeticError> {
    if exponent.abs() >= EXPONENT_MAX {
        return Err(ArithmeticError::OutOfRange);
    }
    let size = i128::try_from(coefficient).map_err(|_| ArithmeticError::OutOfRange)?;
    Ok(normalised(if negative { -size } else { size }, exponent as i32))
}

/// Long division, digit by digit.
fn divide_finite(a: (i128, i32), b: (i128, i32)) -> Result<Decimal, ArithmeticError> {
    let (numerator, divisor) = (a.0.unsigned_abs(), b.0.unsigned_abs());
    let mut exponent = i64::from(a.1) - i64::from(b.1);
    let mut quotient = numerator / divisor;
    let mut rest = numerator % divisor;
    while rest != 0 && quotient < COEFFICIENT_END / 10 {
        rest *= 10;
        quotient = quotient * 10 + rest / divisor;
        rest %= divisor;
        exponent -= 1;
    }
    let up = match (rest * 2).cmp(&divisor) {
        Ordering::Greater => true,
        Ordering::Equal => quotient % 2 == 1,
        Ordering::Less => false,
    };
    finished(quotient + u128::from(up), (a.0 < 0) != (b.0 < 0), exponent)
}

/// Integer quotient and remainder of two finite numbers; `None` when one is not finite.
fn quotient_and_remainder(a: Decimal, b: Decimal) -> Result<Option<(Decimal, Decimal)>, ArithmeticError> {
    let (Some((a_coefficient, a_exponent)), Some((b_coefficient, b_exponent))) = (a.parts(), b.parts())
    else {
        return Ok(None);
    };
    if b_coefficient == 0 {
        return Err(ArithmeticError::DivisionByZero);
    }
    let exponent = a_exponent.min(b_exponent);
    let Some(divisor) = scaled(b_coefficient, b_exponent, exponent) else {
        return Ok(Some((Decimal::ZERO, a)));
    };
    let dividend = scaled(a_coefficient, a_exponent, exponent).ok_or(ArithmeticError::OutOfRange)?;
    let quotient = dividend / divisor;
    if quotient.unsigned_abs() >= COEFFICIENT_END {
        return Err(ArithmeticError::OutOfRange);
    }
    Ok(Some((
        normalised(quotient, 0),
        normalised(dividend % divisor, exponent),
    )))
}

/// The coefficient that means the same with a smaller exponent, if it fits.
fn scaled(coefficient: i128, exponent: i32, to: i32) -> Option<i128> {
    if coefficient == 0 {
        return Some(0);
    }
    let places = exponent.checked_sub(to)?;
    coefficient.checked_mul(10i128.checked_pow(u32::try_from(places).ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
    }

    #[test]
    fn reads_what_the_grammar_allows_and_nothing_else() {
        for text in [
            "0",
            "-0",
            "+7",
            "3.14",
            "1e-101",
            "-1.5E+3",
            "00012",
            "1e99999999999999999999",
        ] {
            assert!(Decimal::parse(text).is_some(), "{text}");
        }
        for text in [
            "", "-", ".5", "5.", "1e", "1e+", "1_0", "0x1", "1.2.3", "١", " 1", "INF",
        ] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn compares_across_scales_and_sizes() {
        let ascending = [
            "-1e400",
            "-99999999999999999999999999999999999999999",
            "-10",
            "-2.5",
            "-2",
            "-1e-101",
            "0",
            "1e-101",
            "0.1",
            "0.30",
            "1",
            "1.0000000000000000000000000000000000000000001",
            "2",
            "9.99",
            "10",
            "9223372036854775808",
            "99999999999999999999999999999999999999999",
            "1e400",
        ];
        for (left_index, left) in ascending.iter().enumerate() {
            for (right_index, right) in ascending.iter().enumerate() {
                let order = number(left).partial_cmp(&number(right));
                assert_eq!(order, Some(left_index.cmp(&right_index)), "{left} {right}");
            }
        }
        assert_eq!(number("1.50"), number("15e-1"));
        assert!(Decimal::NAN != Decimal::NAN && Decimal::NEGATIVE_INFINITY < number("-1e400"));
        assert!(number("1e400") < Decimal::INFINITY && Decimal::INFINITY == Decimal::INFINITY);
    }

    #[test]
    fn calculates_exactly_and_rounds_half_to_even() {
        let cases = [
            ("0.1", "add", "0.2", "0.3"),
            ("9223372036854775807", "add", "1", "9223372036854775808"),
            ("1e50", "add", "-1", "1e50"),
            ("12345670000000000000", "add", "1", "12345670000000000001"),
            ("1e-101", "sub", "1e-101", "0"),
            ("1", "sub", "1e-34", "0.9999999999999999999999999999999999"),
            (
                "1234567890123456789012345678901234",
                "mul",
                "10000000001",
                "1234567890246913578024691357802469e10",
            ),
            (
                "2000000000000000000000000000000001",
                "mul",
                "0.5",
                "1000000000000000000000000000000000",
            ),
            (
                "2000000000000000000000000000000003",
                "mul",
                "0.5",
                "1000000000000000000000000000000002",
            ),
            ("1", "divby", "3", "0.3333333333333333333333333333333333"),
            ("2", "divby", "3", "0.6666666666666666666666666666666667"),
            ("1", "divby", "8", "0.125"),
            ("300", "divby", "100", "3"),
            (
                "2000000000000000000000000000000001",
                "divby",
                "2",
                "1000000000000000000000000000000000",
            ),
            (
                "2000000000000000000000000000000003",
                "divby",
                "2",
                "1000000000000000000000000000000002",
            ),
            ("7", "div", "2", "3"),
            ("-7", "div", "2", "-3"),
            ("-7", "mod", "2", "-1"),
            ("5.5", "mod", "2", "1.5"),
            ("3", "mod", "1e90", "3"),
        ];
        for (left, operator, right, expected) in cases {
            let (a, b) = (number(left), number(right));
            let result = match operator {
                "add" => a.plus(b),
                "sub" => a.minus(b),
                "mul" => a.times(b),
                "divby" => a.divide(b),
                "div" => a.divide_truncated(b),
                _ => a.remainder(b),
            };
            assert_eq!(result, Ok(number(expected)), "{left} {operator} {right}");
        }
    }

    #[test]
    fn division_by_zero_is_an_error_and_infinities_follow_ieee() {
        let one = number("1");
        assert_eq!(one.divide(Decimal::ZERO), Err(ArithmeticError::DivisionByZero));
        assert_eq!(
            one.divide_truncated(Decimal::ZERO),
            Err(ArithmeticError::DivisionByZero)
        );
        assert_eq!(one.remainder(Decimal::ZERO), Err(ArithmeticError::DivisionByZero));
        assert_eq!(
            Decimal::INFINITY.divide(Decimal::ZERO),
            Err(ArithmeticError::DivisionByZero)
        );
        assert_eq!(one.divide(Decimal::INFINITY), Ok(Decimal::ZERO));
        assert_eq!(one.remainder(Decimal::INFINITY), Ok(one));
        assert_eq!(Decimal::INFINITY.plus(one), Ok(Decimal::INFINITY));
        assert_eq!(
            Decimal::INFINITY.times(number("-2")),
            Ok(Decimal::NEGATIVE_INFINITY)
        );
        assert!(
            Decimal::INFINITY
                .minus(Decimal::INFINITY)
                .is_ok_and(|value| value != value)
        );
        assert!(
            Decimal::NAN
                .plus(one)
                .is_ok_and(|value| value.to_string() == "NaN")
        );
        let huge = number("1e999999999");
        assert_eq!(huge.times(huge), Err(ArithmeticError::OutOfRange));
    }

    #[test]
    fn infinities_swallow_what_is_finite_and_keep_their_sign() {
        let (one, minus_two) = (number("1"), number("-2"));
        for infinite in [Decimal::INFINITY, Decimal::NEGATIVE_INFINITY] {
            assert_eq!(one.plus(infinite), Ok(infinite));
            assert_eq!(infinite.plus(one), Ok(infinite));
            assert_eq!(infinite.plus(infinite), Ok(infinite));
            assert_eq!(infinite.divide(one), Ok(infinite));
            assert_eq!(infinite.divide(minus_two), Ok(infinite.negate()));
        }
        for undefined in [
            one.plus(Decimal::NAN),
            Decimal::INFINITY.plus(Decimal::NEGATIVE_INFINITY),
            Decimal::INFINITY.times(Decimal::ZERO),
            Decimal::INFINITY.divide(Decimal::INFINITY),
            Decimal::INFINITY.remainder(one),
            one.remainder(Decimal::NAN),
            one.divide(Decimal::NAN),
            Decimal::NAN.divide(one),
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
    fn an_exponent_is_shown_only_where_zeros_would_be_many() {
        for (written, shown) in [
            ("1.50", "1.5"),
            ("-0.001", "-0.001"),
            ("15e2", "1500"),
            ("1e40", &format!("1{}", "0".repeat(40))),
            ("1e41", "1e41"),
            ("-1e-41", "-1e-41"),
        ] {
            assert_eq!(number(written).to_string(), shown);
        }
    }

    #[test]
    fn rounds_to_integers() {
        for (text, floor, ceiling, round) in [
            ("2.5", "2", "3", "3"),
            ("-2.5", "-3", "-2", "-3"),
            ("2.4", "2", "3", "2"),
            ("-0.5", "-1", "0", "-1"),
            ("7", "7", "7", "7"),
            ("1e-101", "0", "1", "0"),
            ("-1e-39", "-1", "0", "0"),
            ("1e60", "1e60", "1e60", "1e60"),
        ] {
            let value = number(text);
            let rounded = [value.floor(), value.ceiling(), value.round()];
            assert_eq!(rounded, [number(floor), number(ceiling), number(round)], "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_wide_integers(a: i64, b: i64, scale in 0u32..12) {
            let unit = 10i128.pow(scale);
            let decimal = |value: i64| number(&format!("{value}e-{scale}"));
            let product = (i128::from(a) * i128::from(b)).to_string();
            prop_assert_eq!(decimal(a).partial_cmp(&decimal(b)), Some(a.cmp(&b)));
            prop_assert_eq!(decimal(a).plus(decimal(b)).unwrap(), number(&format!("{}e-{scale}", i128::from(a) + i128::from(b))));
            if product.len() <= 34 {
                prop_assert_eq!(decimal(a).times(decimal(b)).unwrap(), number(&format!("{product}e-{}", scale * 2)));
            }
            if b != 0 {
                prop_assert_eq!(decimal(a).divide_truncated(decimal(b)).unwrap(), number(&(i128::from(a) / i128::from(b)).to_string()));
                let rest = number(&format!("{}e-{scale}", i128::from(a) % i128::from(b)));
                prop_assert_eq!(decimal(a).remainder(decimal(b)).unwrap(), rest);
            }
            prop_assert_eq!(decimal(a).floor(), number(&i128::from(a).div_euclid(unit).to_string()));
        }

        #[test]
        fn text_round_trips(coefficient in -(10i128.pow(34) - 1)..10i128.pow(34), exponent in -80i32..80) {
            let value = number(&format!("{coefficient}e{exponent}"));
            prop_assert_eq!(Decimal::parse(&value.to_string()), Some(value));
        }
    }
}
