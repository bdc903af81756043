//! Numbers, `true`, `false` and `null` among the values that are skipped.
//!
//! They are not kept, but they are checked: a body that only looks like JSON is refused, not guessed at.

/// A value without quotes or brackets, as far as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    /// What is still to come of a word.
    Word(&'static [u8]),
    /// After `-`.
    Minus,
    /// After a leading `0`, which no digit may follow.
    Zero,
    /// Among the digits before a point.
    Integer,
    /// After the point.
    Point,
    /// Among the digits after a point.
    Fraction,
    /// After `e`.
    Exponent,
    /// After the sign of an exponent.
    ExponentSign,
    /// Among the digits of an exponent.
    ExponentDigits,
}

impl Scalar {
    /// The value that begins with this byte, if any does.
    pub(super) fn start(byte: u8) -> Option<Self> {
        match byte {
            b't' => Some(Self::Word(b"rue")),
            b'f' => Some(Self::Word(b"alse")),
            b'n' => Some(Self::Word(b"ull")),
            b'-' => Some(Self::Minus),
            b'0' => Some(Self::Zero),
            b'1'..=b'9' => Some(Self::Integer),
            _ => None,
        }
    }

    /// The value after one more byte; `None` when the byte does not belong to it.
    pub(super) fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Word([next, rest @ ..]), byte) if *next == byte => Some(Self::Word(rest)),
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Some(Self::Integer),
            (Self::Zero | Self::Integer, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Some(Self::Exponent),
            (Self::Exponent, b'+' | b'-') => Some(Self::ExponentSign),
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => {
                Some(Self::ExponentDigits)
            }
            _ => None,
        }
    }

    /// Whether the value may end here.
    pub(super) fn is_complete(self) -> bool {
        match self {
            Self::Word(left) => left.is_empty(),
            Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits => true,
            Self::Minus | Self::Point | Self::Exponent | Self::ExponentSign => false,
        }
    }
}
