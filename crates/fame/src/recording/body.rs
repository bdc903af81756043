//! Bodies while they pass. A package of half a gigabyte is on its way in a JSON text, and nothing of it is kept but how
//! long it is and its digest: so what comes out is the JSON without its long texts, made in constant memory.

use super::format::Body;
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The longest text in JSON that is looked at as it is, in bytes; of a longer one only its length is kept, and its digest
/// where it is a package.
const LONGEST_TEXT: usize = 8 << 10;
/// The longest JSON that is kept, its long texts aside, in bytes.
const MOST_JSON: usize = 4 << 20;

/// A body that is looked at while it passes.
pub(crate) struct Watch {
    length: u64,
    seen: Seen,
}

enum Seen {
    Json(Condensed),
    /// The bytes of a package.
    Package(Sha256),
    Other,
}

impl Watch {
    /// One of this `content-type`.
    pub(crate) fn of(content_type: Option<&str>) -> Self {
        let kind = content_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        let seen = match kind.as_str() {
            "application/octet-stream" => Seen::Package(Sha256::new()),
            json if json == "application/json" || json.ends_with("+json") => Seen::Json(Condensed::default()),
            _ => Seen::Other,
        };
        Self { length: 0, seen }
    }

    /// Looks at what comes next.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        match &mut self.seen {
            Seen::Json(json) => json.take(bytes),
            Seen::Package(digest) => digest.update(bytes),
            Seen::Other => {}
        }
    }

    /// How many bytes have come.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// What was seen: of a whole body, or of one that broke off.
    pub(crate) fn end(self, is_whole: bool) -> Body {
        let length = self.length;
        match self.seen {
            _ if !is_whole => Body::Cut { length },
            _ if length == 0 => Body::None,
            Seen::Package(digest) => Body::Bytes {
                length,
                sha256: Some(HEXLOWER.encode(&digest.finalize())),
            },
            Seen::Json(json) if json.is_too_long => Body::TooLong { length },
            Seen::Json(json) => json
                .parsed()
                .map_or(Body::Bytes { length, sha256: None }, Body::Json),
            Seen::Other => Body::Bytes { length, sha256: None },
        }
    }
}

/// What stands in the place of a package in JSON: its length in bytes, and its SHA-256.
pub(crate) fn package(length: u64, sha256: &str) -> Value {
    json!({ "package": { "length": length, "sha256": sha256 } })
}

/// What stands in the place of a text that is too long to be kept.
fn long_text(length: u64) -> Value {
    json!({ "longText": { "length": length } })
}

/// What stands for the base64 `text`, whatever its length.
pub(crate) fn of_base64(text: &str) -> Value {
    let mut long = LongText::default();
    long.take(text.as_bytes());
    long.end()
}

/// JSON in which what is long was replaced.
#[derive(Default)]
struct Condensed {
    text: Vec<u8>,
    is_too_long: bool,
    place: Place,
}

#[derive(Default)]
enum Place {
    #[default]
    Outside,
    /// In a text that is kept so far: where it begins in what is kept.
    Text { from: usize, is_escaped: bool },
    /// In one that is too long.
    Long(Box<LongText>, Escape),
}

/// How far an escape in a text has been read.
enum Escape {
    No,
    Begun,
    /// `\u` and these digits.
    Unicode(Vec<u8>),
}

impl Condensed {
    fn take(&mut self, bytes: &[u8]) {
        let mut left = bytes;
        while let Some((&first, rest)) = left.split_first() {
            if let Place::Long(long, Escape::No) = &mut self.place {
                let ends = |byte: &u8| matches!(byte, b'"' | b'\\');
                let (plain, after) = left.split_at(left.iter().position(ends).unwrap_or(left.len()));
                if !plain.is_empty() {
                    long.take(plain);
                    left = after;
                    continue;
                }
            }
            self.next(first);
            left = rest;
        }
        self.is_too_long |= self.text.len() > MOST_JSON;
        if self.is_too_long {
            self.text.clear();
            self.place = Place::Outside;
        }
    }

    fn next(&mut self, byte: u8) {
        match &mut self.place {
            Place::Outside => {
                if byte == b'"' {
                    self.place = Place::Text {
                        from: self.text.len(),
                        is_escaped: false,
                    };
                }
                self.text.push(byte);
            }
            Place::Text { from, is_escaped } => {
                self.text.push(byte);
                let (from, was_escaped) = (*from, *is_escaped);
                *is_escaped = byte == b'\\' && !was_escaped;
                if byte == b'"' && !was_escaped {
                    self.place = Place::Outside;
                } else if self.text.len() - from > LONGEST_TEXT {
                    let begun = self.text.split_off(from);
                    self.place = Place::Long(Box::default(), Escape::No);
                    // Without the quote that it begins with.
                    for byte in begun.into_iter().skip(1) {
                        self.next(byte);
                    }
                }
            }
            Place::Long(long, escape) => match escape.next(byte) {
                Step::Text(text) => long.take(text.as_slice()),
                Step::Nothing => {}
                Step::End => {
                    let replaced = long.end().to_string();
                    self.text.extend_from_slice(replaced.as_bytes());
                    self.place = Place::Outside;
                }
            },
        }
    }

    fn parsed(self) -> Option<Value> {
        serde_json::from_slice(self.text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.text)).ok()
    }
}

enum Step {
    Text(Vec<u8>),
    Nothing,
    End,
}

impl Escape {
    /// What the next byte of a text comes to.
    fn next(&mut self, byte: u8) -> Step {
        match self {
            Self::No => match byte {
                b'"' => return Step::End,
                b'\\' => *self = Self::Begun,
                _ => return Step::Text(vec![byte]),
            },
            Self::Begun => match byte {
                b'u' => *self = Self::Unicode(Vec::new()),
                // Lines in base64 may be broken.
                b'n' | b'r' | b't' => {
                    *self = Self::No;
                    return Step::Text(vec![b' ']);
                }
                _ => {
                    *self = Self::No;
                    return Step::Text(vec![byte]);
                }
            },
            Self::Unicode(digits) => {
                digits.push(byte);
                if digits.len() == 4 {
                    let code = std::str::from_utf8(digits).ok();
                    let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
                    let character = code
                        .and_then(char::from_u32)
                        .unwrap_or(char::REPLACEMENT_CHARACTER);
                    *self = Self::No;
                    return Step::Text(character.to_string().into_bytes());
                }
            }
        }
        Step::Nothing
    }
}

/// A text of which only the length is kept, and the digest of what it is the base64 of.
#[derive(Default)]
struct LongText {
    length: u64,
    /// Characters that wait for others: base64 is read by four.
    waiting: Vec<u8>,
    decoded: u64,
    digest: Sha256,
    is_no_base64: bool,
}

/// How many characters are decoded at once.
const GROUP: usize = 4 << 10;

impl LongText {
    fn take(&mut self, text: &[u8]) {
        self.length += text.len() as u64;
        for mut line in text.split(u8::is_ascii_whitespace) {
            while !line.is_empty() {
                let room = GROUP - self.waiting.len();
                let (fits, rest) = line.split_at(room.min(line.len()));
                self.waiting.extend_from_slice(fits);
                line = rest;
                if self.waiting.len() == GROUP {
                    self.decode();
                }
            }
        }
    }

    fn decode(&mut self) {
        match BASE64.decode(&self.waiting) {
            Ok(bytes) => {
                self.decoded += bytes.len() as u64;
                self.digest.update(&bytes);
            }
            Err(_) => self.is_no_base64 = true,
        }
        self.waiting.clear();
    }

    /// What stands in its place.
    fn end(&mut self) -> Value {
        while !self.waiting.len().is_multiple_of(4) {
            self.waiting.push(b'=');
        }
        self.decode();
        match self.is_no_base64 || self.decoded == 0 {
            true => long_text(self.length),
            false => package(self.decoded, &HEXLOWER.encode(&self.digest.clone().finalize())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(bytes: &[u8]) -> String {
        HEXLOWER.encode(&Sha256::digest(bytes))
    }

    fn watched(kind: &str, chunks: &[&[u8]]) -> Body {
        let mut watch = Watch::of(Some(kind));
        for chunk in chunks {
            watch.take(chunk);
        }
        watch.end(true)
    }

    #[test]
    fn a_package_in_json_is_its_length_and_digest() {
        let bytes: Vec<u8> = (0..=250).cycle().take(100_000).collect();
        let plain = BASE64.encode(&bytes);
        let broken: String = plain
            .as_bytes()
            .chunks(76)
            .map(|line| format!("{}\\r\\n", std::str::from_utf8(line).unwrap()))
            .collect();
        let escaped = plain.replace('+', "\\u002B").replace('/', "\\/");
        let bare = plain.trim_end_matches('=').to_owned();
        for text in [plain, broken, escaped, bare] {
            let json = format!(
                "{{\"a\":\"x\\\"y\",\"packageContents\":\"{text}\",\"initialAvailability\":\"Preview\"}}"
            );
            let expected = json!({
                "a": "x\"y", "packageContents": package(bytes.len() as u64, &digest(&bytes)),
                "initialAvailability": "Preview",
            });
            let chunks: Vec<&[u8]> = json.as_bytes().chunks(7_777).collect();
            assert_eq!(
                watched("application/json; charset=utf-8", &chunks),
                Body::Json(expected)
            );
        }
    }

    #[test]
    fn other_long_texts_are_their_length() {
        let text = "no base64! ".repeat(1_000);
        let json = format!("[\"{text}\",1]");
        let expected = json!([{"longText": {"length": text.len()}}, 1]);
        assert_eq!(
            watched("application/problem+json", &[json.as_bytes()]),
            Body::Json(expected)
        );
        assert_eq!(of_base64("AQID"), package(3, &digest(&[1, 2, 3])));
    }

    #[test]
    fn what_is_no_json_is_counted() {
        let length = 3;
        assert_eq!(
            watched("text/html", &[b"<a>"]),
            Body::Bytes { length, sha256: None }
        );
        assert_eq!(
            watched("application/json", &[b"<a>"]),
            Body::Bytes { length, sha256: None }
        );
        let sha256 = Some(digest(b"abc"));
        assert_eq!(
            watched("application/octet-stream", &[b"ab", b"c"]),
            Body::Bytes { length, sha256 }
        );
        assert_eq!(watched("application/json", &[]), Body::None);
        let mut broken = Watch::of(None);
        broken.take(b"ab");
        assert_eq!(broken.end(false), Body::Cut { length: 2 });
        let long = format!("[{}1]", "1,".repeat(MOST_JSON));
        assert_eq!(
            watched("application/json", &[long.as_bytes()]),
            Body::TooLong {
                length: long.len() as u64
            }
        );
    }

    proptest! {
        #[test]
        fn json_without_long_texts_stays_as_it_is(texts in prop::collection::vec(".{0,40}", 0..8), at in 1_usize..50) {
            let json = json!({ "texts": texts, "more": {"a\"b": [1, null, true]} });
            let written = json.to_string();
            let chunks: Vec<&[u8]> = written.as_bytes().chunks(at).collect();
            prop_assert_eq!(watched("application/json", &chunks), Body::Json(json));
        }
    }
}
