//! The body of a version upload, parsed while it arrives.
//!
//! A package travels as base64 inside a JSON object: a few hundred megabytes in one string. Parsing such a
//! body the usual way holds it in memory twice, so it is parsed byte by byte as the network delivers it,
//! and the package's bytes are handed on at once. This module is pure: it reads no socket and writes no file.
//! What it needs to remember is bounded, whatever the body holds and however it is cut into chunks.
//!
//! Clients differ, so much is tolerated: a byte order mark, property names in any case and order, annotations, escapes
//! that some JSON writers use for `+` and `/`, and line breaks in the base64. A property that nobody knows is refused: a
//! misspelt availability must not offer a version to nobody, or to everybody.

mod contents;
mod scalar;
mod text;

use contents::{ContentsFault, PackageContents};
use domain::text::control_in;
use scalar::Scalar;
use text::{BoundedText, Escape, NotUnicode};
use wire::lenient::{encoding_of, is_known};

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];
/// So much of a body tells how it is encoded.
const TELLING_BYTES: usize = 4;
/// Objects and arrays within each other, the body itself included.
const MAX_DEPTH: usize = 32;
/// Longer names are unknown, and longer availabilities are wrong ones.
const MAX_TEXT_BYTES: usize = 256;

/// How much one upload may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UploadLimits {
    /// Size of the decoded package in bytes.
    pub(crate) max_package_bytes: u64,
}

/// What the body said, apart from the package itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadEnvelope {
    /// `initialAvailability` as written, not yet checked against the known values; `null` counts as absent.
    pub(crate) initial_availability: Option<String>,
    /// Size of the decoded package in bytes.
    pub(crate) package_bytes: u64,
}

/// Why a body is refused. Offsets count bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadError {
    /// There was no body, or nothing but blanks.
    #[error("the request has no body")]
    Empty,
    /// The body breaks the grammar of JSON.
    #[error("the body is not JSON: {reason} at byte {offset}")]
    NotJson {
        /// Position in the body.
        offset: u64,
        /// What was found or missed there.
        reason: &'static str,
    },
    /// The body is something else than text in UTF-8.
    #[error("the body is {encoding}")]
    Encoded {
        /// What it is, and what to do then.
        encoding: &'static str,
    },
    /// A string is in another encoding.
    #[error(
        "the body is not UTF-8: byte 0x{byte:02X} in the string that ends at byte {offset}; send it in UTF-8, or say how it is written: Content-Type: application/json; charset=iso-8859-1"
    )]
    NotUtf8 {
        /// What is found there.
        byte: u8,
        /// Position of the string's end in the body.
        offset: u64,
    },
    /// The body is JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// The body ended before the object did.
    #[error("the body ends after {offset} bytes, in the middle of the JSON object")]
    Truncated {
        /// Length of what arrived.
        offset: u64,
    },
    /// A property is neither of the two nor an annotation.
    #[error("{}", wire::lenient::unknown(property, KNOWN))]
    UnknownProperty {
        /// Its name as it was given, as far as that is remembered.
        property: String,
    },
    /// A property that is needed once was given twice, under whatever case.
    #[error("the property '{property}' is given twice")]
    DuplicateProperty {
        /// Its documented name.
        property: &'static str,
    },
    /// A property has a value of the wrong type.
    #[error("the property '{property}' is not a string")]
    NotAString {
        /// Its documented name.
        property: &'static str,
    },
    /// `initialAvailability` is a string longer than any known value by far.
    #[error("the property 'initialAvailability' has more than {MAX_TEXT_BYTES} bytes")]
    AvailabilityTooLong,
    /// `packageContents` is missing or `null`.
    #[error("the property 'packageContents' is missing")]
    MissingContents,
    /// `packageContents` is not base64 of the standard alphabet.
    #[error("packageContents is not base64: {reason} at position {offset} of the value")]
    InvalidBase64 {
        /// Position behind the value's opening quote, escapes counted as written.
        offset: u64,
        /// What was found or missed there.
        reason: &'static str,
    },
    /// The package is larger than the limit. The rest of the body need not be read.
    #[error("the package has more than {max_package_bytes} bytes")]
    PackageTooLarge {
        /// The limit that was passed.
        max_package_bytes: u64,
    },
}

impl UploadError {
    /// The reason for an answer's `details[].code`, where the contract names one for this fault.
    pub(crate) fn details_code(&self) -> Option<&'static str> {
        match self {
            Self::InvalidBase64 { .. } => Some("InvalidBase64"),
            _ => None,
        }
    }

    /// The property at fault, for the answer's `target`.
    pub(crate) fn target(&self) -> Option<&str> {
        match self {
            Self::UnknownProperty { property } => Some(property),
            Self::DuplicateProperty { property } | Self::NotAString { property } => Some(property),
            Self::AvailabilityTooLong => Some(Property::InitialAvailability.name()),
            Self::MissingContents | Self::InvalidBase64 { .. } | Self::PackageTooLarge { .. } => {
                Some(Property::PackageContents.name())
            }
            Self::Empty
            | Self::NotJson { .. }
            | Self::Encoded { .. }
            | Self::NotUtf8 { .. }
            | Self::NotAnObject
            | Self::Truncated { .. } => None,
        }
    }
}

/// The two properties that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    InitialAvailability,
    PackageContents,
}

const KNOWN: &[&str] = &[
    Property::InitialAvailability.name(),
    Property::PackageContents.name(),
];

impl Property {
    const fn name(self) -> &'static str {
        match self {
            Self::InitialAvailability => "initialAvailability",
            Self::PackageContents => "packageContents",
        }
    }

    fn named(text: &str) -> Option<Self> {
        let known = [Self::InitialAvailability, Self::PackageContents];
        known
            .into_iter()
            .find(|property| property.name().eq_ignore_ascii_case(text))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// Where in the body the decoder is: what the next byte has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The body's `{`, after a byte order mark of which this many bytes were seen.
    Start {
        mark: usize,
    },
    /// A name, or the end of an object without properties.
    FirstName,
    /// A name after a comma.
    NextName,
    /// Inside a name.
    Name,
    Colon,
    /// A value; of a known property or of one to skip.
    Value,
    /// A value, or the end of an empty array.
    FirstElement,
    /// Inside a string that nobody asked for.
    SkippedString,
    /// Inside a number, `true`, `false` or `null`.
    Scalar(Scalar),
    /// Inside `initialAvailability`.
    Availability,
    /// Inside `packageContents`.
    Contents,
    /// A comma, or the end of the object or array.
    AfterValue,
    /// Blanks after the body's `}`.
    End,
}

/// Parses an upload's body in chunks of any size and gives the package's bytes back as they come.
///
/// After an error the decoder is of no further use.
#[derive(Debug)]
pub(crate) struct UploadDecoder {
    limits: UploadLimits,
    /// What the body begins with, until it is enough to tell how it is encoded.
    beginning: Option<Vec<u8>>,
    state: State,
    /// Bytes of the body before the one looked at.
    offset: u64,
    nesting: Vec<Container>,
    escape: Escape,
    text: BoundedText,
    /// The property whose value comes next; `None` for a value to skip.
    property: Option<Property>,
    seen: Vec<Property>,
    initial_availability: Option<String>,
    contents: PackageContents,
    has_contents: bool,
}

impl UploadDecoder {
    /// A decoder at the beginning of a body.
    pub(crate) fn new(limits: UploadLimits) -> Self {
        Self {
            limits,
            beginning: Some(Vec::with_capacity(TELLING_BYTES)),
            state: State::Start { mark: 0 },
            offset: 0,
            nesting: Vec::with_capacity(MAX_DEPTH),
            escape: Escape::default(),
            text: BoundedText::new(MAX_TEXT_BYTES),
            property: None,
            seen: Vec::new(),
            initial_availability: None,
            contents: PackageContents::default(),
            has_contents: false,
        }
    }

    /// Parses the next chunk of the body and appends what it brings of the package to `out`, which the caller
    /// empties between calls. At most three quarters of the chunk, plus 12 KiB held back earlier, are appended.
    ///
    /// # Errors
    /// The first fault of the body, as early as it can be known.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), UploadError> {
        let Some(mut beginning) = self.beginning.take() else {
            return self.parse(input, out);
        };
        let (first, rest) = input.split_at(input.len().min(TELLING_BYTES - beginning.len()));
        beginning.extend(first);
        if beginning.len() < TELLING_BYTES {
            self.beginning = Some(beginning);
            return Ok(());
        }
        self.begin(&beginning, out)?;
        self.parse(rest, out)
    }

    fn begin(&mut self, beginning: &[u8], out: &mut Vec<u8>) -> Result<(), UploadError> {
        match encoding_of(beginning) {
            Some(encoding) => Err(UploadError::Encoded { encoding }),
            None => self.parse(beginning, out),
        }
    }

    fn parse(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), UploadError> {
        let mut rest = input;
        while let Some(byte) = rest.first() {
            let taken = if self.state == State::Contents && !self.escape.is_open() {
                self.take_contents(rest, out)?
            } else {
                self.take_byte(*byte, out)?;
                1
            };
            self.offset += taken as u64;
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the body; what it said.
    ///
    /// # Errors
    /// The body was empty or cut off, or had no `packageContents`, or was too short for its first fault to be known before.
    pub(crate) fn finish(mut self) -> Result<UploadEnvelope, UploadError> {
        if let Some(beginning) = self.beginning.take() {
            // What is as short as this holds nothing of a package.
            self.begin(&beginning, &mut Vec::new())?;
        }
        match self.state {
            State::Start { .. } => return Err(UploadError::Empty),
            State::End => {}
            _ => return Err(UploadError::Truncated { offset: self.offset }),
        }
        if !self.has_contents {
            return Err(UploadError::MissingContents);
        }
        let package_bytes = self.contents.decoded_bytes();
        Ok(UploadEnvelope {
            initial_availability: self.initial_availability,
            package_bytes,
        })
    }

    fn not_json<T>(&self, reason: &'static str) -> Result<T, UploadError> {
        Err(UploadError::NotJson {
            offset: self.offset,
            reason,
        })
    }

    fn take_byte(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), UploadError> {
        match self.state {
            State::Start { mark } => self.start(mark, byte),
            State::Name | State::SkippedString | State::Availability => self.string_byte(byte),
            State::Contents => self.contents_escape(byte, out),
            State::Scalar(scalar) => self.scalar_byte(scalar, byte),
            _ if is_blank(byte) => Ok(()),
            State::FirstName => self.name_or_end(byte),
            State::NextName => self.name(byte),
            State::Colon if byte == b':' => self.go(State::Value),
            State::Colon => self.not_json("a colon is missing"),
            State::Value => self.value(byte),
            State::FirstElement if byte == b']' => self.close(Container::Array),
            State::FirstElement => self.value(byte),
            State::AfterValue => self.after_value(byte),
            State::End => self.not_json("something follows the object"),
        }
    }

    fn go(&mut self, state: State) -> Result<(), UploadError> {
        self.state = state;
        Ok(())
    }

    fn start(&mut self, mark: usize, byte: u8) -> Result<(), UploadError> {
        let mark_is_open = 0 < mark && mark < BYTE_ORDER_MARK.len();
        let continues_mark = mark as u64 == self.offset && BYTE_ORDER_MARK.get(mark) == Some(&byte);
        if continues_mark {
            return self.go(State::Start { mark: mark + 1 });
        }
        match byte {
            _ if mark_is_open => self.not_json("the byte order mark is damaged"),
            b'{' => self.open(Container::Object),
            b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Err(UploadError::NotAnObject),
            _ if is_blank(byte) => Ok(()),
            _ => self.not_json("there is no value"),
        }
    }

    fn open(&mut self, container: Container) -> Result<(), UploadError> {
        if self.nesting.len() == MAX_DEPTH {
            return self.not_json("objects and arrays are nested more than 32 deep");
        }
        self.nesting.push(container);
        self.go(match container {
            Container::Object => State::FirstName,
            Container::Array => State::FirstElement,
        })
    }

    fn close(&mut self, container: Container) -> Result<(), UploadError> {
        if self.nesting.pop() != Some(container) {
            return self.not_json("a bracket closes what it did not open");
        }
        let is_done = self.nesting.is_empty();
        self.go(if is_done { State::End } else { State::AfterValue })
    }

    fn name_or_end(&mut self, byte: u8) -> Result<(), UploadError> {
        if byte == b'}' {
            self.close(Container::Object)
        } else {
            self.name(byte)
        }
    }

    fn name(&mut self, byte: u8) -> Result<(), UploadError> {
        if byte != b'"' {
            return self.not_json("a property name is missing");
        }
        self.text.clear();
        self.go(State::Name)
    }

    fn after_value(&mut self, byte: u8) -> Result<(), UploadError> {
        match (byte, self.nesting.last()) {
            (b',', Some(Container::Object)) => self.go(State::NextName),
            (b',', Some(Container::Array)) => self.go(State::Value),
            (b'}', _) => self.close(Container::Object),
            (b']', _) => self.close(Container::Array),
            _ => self.not_json("a comma is missing"),
        }
    }

    fn value(&mut self, byte: u8) -> Result<(), UploadError> {
        if let Some(property) = self.property.take() {
            return self.known_value(property, byte);
        }
        match byte {
            b'{' => self.open(Container::Object),
            b'[' => self.open(Container::Array),
            b'"' => self.go(State::SkippedString),
            _ => self.scalar(byte),
        }
    }

    fn scalar(&mut self, byte: u8) -> Result<(), UploadError> {
        match Scalar::start(byte) {
            Some(scalar) => self.go(State::Scalar(scalar)),
            None => self.not_json("there is no value"),
        }
    }

    /// Both known properties are strings. A `null` says the same as leaving the property out.
    fn known_value(&mut self, property: Property, byte: u8) -> Result<(), UploadError> {
        match (property, byte) {
            (_, b'n') => self.scalar(byte),
            (Property::InitialAvailability, b'"') => {
                self.text.clear();
                self.go(State::Availability)
            }
            (Property::PackageContents, b'"') => {
                self.has_contents = true;
                self.contents.start(self.offset + 1);
                self.go(State::Contents)
            }
            (_, b'{' | b'[' | b'-' | b'0'..=b'9' | b't' | b'f') => Err(UploadError::NotAString {
                property: property.name(),
            }),
            _ => self.not_json("there is no value"),
        }
    }

    /// A number has no end of its own: the byte that ends it belongs to what follows.
    fn scalar_byte(&mut self, scalar: Scalar, byte: u8) -> Result<(), UploadError> {
        if let Some(next) = scalar.next(byte) {
            return self.go(State::Scalar(next));
        }
        if !scalar.is_complete() {
            return self.not_json("a number, true, false or null is misspelt");
        }
        self.state = State::AfterValue;
        if is_blank(byte) {
            Ok(())
        } else {
            self.after_value(byte)
        }
    }

    fn string_byte(&mut self, byte: u8) -> Result<(), UploadError> {
        if self.escape.is_open() {
            return match self.escape.next(byte) {
                Ok(None) => Ok(()),
                Ok(Some(unit)) if self.keep_unit(unit) => Ok(()),
                _ => self.not_json("an escape is malformed"),
            };
        }
        match byte {
            b'"' => self.string_end(),
            b'\\' => {
                self.escape.open();
                Ok(())
            }
            0..=0x1F => self.not_json("a string has a bare control character"),
            _ if self.keep_byte(byte) => Ok(()),
            _ => self.not_json("half a surrogate pair is missing"),
        }
    }

    fn keep_unit(&mut self, unit: u16) -> bool {
        self.state == State::SkippedString || self.text.push_unit(unit).is_ok()
    }

    fn keep_byte(&mut self, byte: u8) -> bool {
        self.state == State::SkippedString || self.text.push_byte(byte).is_ok()
    }

    fn string_end(&mut self) -> Result<(), UploadError> {
        if self.state == State::SkippedString {
            return self.go(State::AfterValue);
        }
        let text = match self.text.finish() {
            Ok(text) => text,
            Err(NotUnicode::Surrogate) => return self.not_json("half a surrogate pair is missing"),
            Err(NotUnicode::Byte(byte)) => {
                let offset = self.offset;
                return Err(UploadError::NotUtf8 { byte, offset });
            }
        };
        if self.state == State::Availability {
            let text = text.ok_or(UploadError::AvailabilityTooLong)?;
            self.initial_availability = Some(text.to_owned());
            return self.go(State::AfterValue);
        }
        let is_of_body = self.nesting.len() == 1;
        if !is_of_body {
            return self.expect_value_of(None);
        }
        let is_fine = |text: &&str| is_known(text, KNOWN) && control_in(text).is_none();
        match text.filter(is_fine) {
            Some(text) => self.expect_value_of(Property::named(text)),
            None => Err(UploadError::UnknownProperty {
                property: text.map_or_else(|| "…".to_owned(), str::to_owned),
            }),
        }
    }

    fn expect_value_of(&mut self, property: Option<Property>) -> Result<(), UploadError> {
        if let Some(known) = property {
            if self.seen.contains(&known) {
                return Err(UploadError::DuplicateProperty {
                    property: known.name(),
                });
            }
            self.seen.push(known);
        }
        self.property = property;
        self.go(State::Colon)
    }

    fn take_contents(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Result<usize, UploadError> {
        let taken = match rest.first() {
            Some(b'\\') => {
                self.escape.open();
                return Ok(1);
            }
            Some(b'"') => {
                let finished = self.contents.finish(out);
                finished.map_err(|fault| self.contents_error(fault))?;
                self.state = State::AfterValue;
                1
            }
            _ => {
                let taken = self.contents.take(rest, out);
                taken.map_err(|fault| self.contents_error(fault))?
            }
        };
        self.check_size()?;
        Ok(taken)
    }

    fn contents_escape(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), UploadError> {
        let Ok(unit) = self.escape.next(byte) else {
            return self.not_json("an escape is malformed");
        };
        if let Some(unit) = unit {
            let character = u8::try_from(unit).unwrap_or(u8::MAX);
            let taken = self.contents.take_unescaped(character, out);
            taken.map_err(|fault| self.contents_error(fault))?;
        }
        self.check_size()
    }

    fn check_size(&self) -> Result<(), UploadError> {
        let max_package_bytes = self.limits.max_package_bytes;
        if self.contents.decoded_bytes() > max_package_bytes {
            return Err(UploadError::PackageTooLarge { max_package_bytes });
        }
        Ok(())
    }

    fn contents_error(&self, fault: ContentsFault) -> UploadError {
        let offset = self.offset - self.contents.value_start();
        UploadError::InvalidBase64 {
            offset,
            reason: fault.reason(),
        }
    }
}

/// What JSON takes for blanks between its tokens.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests;
