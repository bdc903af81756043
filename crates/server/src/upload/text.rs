//! Short texts of the body, and the escapes that all its strings may have.

/// An escape sequence, as far as it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Escape {
    /// Not in an escape.
    #[default]
    Closed,
    /// After the backslash.
    Opened,
    /// After `\u` and some of its four digits.
    Unicode { digits: u8, value: u16 },
}

/// A backslash is followed by something JSON does not know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MalformedEscape;

impl Escape {
    pub(super) fn is_open(self) -> bool {
        self != Self::Closed
    }

    pub(super) fn open(&mut self) {
        *self = Self::Opened;
    }

    /// Takes the next byte; the UTF-16 unit is known with the escape's last one.
    pub(super) fn next(&mut self, byte: u8) -> Result<Option<u16>, MalformedEscape> {
        let unit = match (*self, byte) {
            (Self::Unicode { digits, value }, digit) => return self.unicode_digit(digits, value, digit),
            (_, b'u') => {
                *self = Self::Unicode { digits: 0, value: 0 };
                return Ok(None);
            }
            (_, b'"' | b'\\' | b'/') => byte,
            (_, b'b') => 8,
            (_, b'f') => 12,
            (_, b'n') => b'\n',
            (_, b'r') => b'\r',
            (_, b't') => b'\t',
            _ => return Err(MalformedEscape),
        };
        *self = Self::Closed;
        Ok(Some(unit.into()))
    }

    fn unicode_digit(&mut self, digits: u8, value: u16, digit: u8) -> Result<Option<u16>, MalformedEscape> {
        let digit = char::from(digit).to_digit(16);
        let digit = digit.and_then(|digit| u16::try_from(digit).ok());
        let value = value << 4 | digit.ok_or(MalformedEscape)?;
        if digits == 3 {
            *self = Self::Closed;
            return Ok(Some(value));
        }
        *self = Self::Unicode {
            digits: digits + 1,
            value,
        };
        Ok(None)
    }
}

/// A text of which no more is kept than could matter.
#[derive(Debug)]
pub(super) struct BoundedText {
    bytes: Vec<u8>,
    max_bytes: usize,
    is_overlong: bool,
    /// The first half of a surrogate pair, whose second half must follow at once.
    high_surrogate: Option<u16>,
}

/// The text cannot be Unicode.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotUnicode {
    /// Half a surrogate pair stands alone.
    Surrogate,
    /// This byte is not part of UTF-8 where it stands.
    Byte(u8),
}

impl BoundedText {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(max_bytes),
            max_bytes,
            is_overlong: false,
            high_surrogate: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.is_overlong = false;
        self.high_surrogate = None;
    }

    /// Adds a byte that was written as it is.
    pub(super) fn push_byte(&mut self, byte: u8) -> Result<(), NotUnicode> {
        if self.high_surrogate.is_some() {
            return Err(NotUnicode::Surrogate);
        }
        self.keep(&[byte]);
        Ok(())
    }

    /// Adds a UTF-16 unit that was written as an escape.
    pub(super) fn push_unit(&mut self, unit: u16) -> Result<(), NotUnicode> {
        let is_high = (0xD800..0xDC00).contains(&unit);
        let high = self.high_surrogate.take();
        if high.is_none() && is_high {
            self.high_surrogate = Some(unit);
            return Ok(());
        }
        let mut decoded = char::decode_utf16(high.into_iter().chain([unit]));
        let (Some(Ok(character)), None) = (decoded.next(), decoded.next()) else {
            return Err(NotUnicode::Surrogate);
        };
        self.keep(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// The whole text; `None` inside when it was longer than the bound.
    pub(super) fn finish(&self) -> Result<Option<&str>, NotUnicode> {
        if self.high_surrogate.is_some() {
            return Err(NotUnicode::Surrogate);
        }
        if self.is_overlong {
            return Ok(None);
        }
        std::str::from_utf8(&self.bytes).map(Some).map_err(|error| {
            let byte = self.bytes.get(error.valid_up_to());
            NotUnicode::Byte(byte.copied().unwrap_or_default())
        })
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > self.max_bytes {
            self.is_overlong = true;
        } else if !self.is_overlong {
            self.bytes.extend_from_slice(bytes);
        }
    }
}
