//! One JSON value and nothing behind it, from bytes that anybody may have made.
//!
//! Symbols are read as they are inflated, by a parser that believes what it is given. So depth is counted here, before
//! the parser sees a byte: it would remember every bracket. Compilers put a byte order mark in front and sometimes NULs
//! behind; one of them wrote the whole document twice, which the parser then refuses, as NULs become blanks and nothing else does.

use std::io::{self, BufReader, Read};

use super::unreadable::TooDeep;
use crate::entry::EntryReader;
use crate::source::ByteSource;

/// The deepest nesting that is read. Measured symbols nest 27 levels deep at most.
const MAX_DEPTH: u32 = 64;
const BOM: [u8; 3] = *b"\xEF\xBB\xBF";

/// Bytes of JSON, of which the parser may expect that they end.
struct Guard<R> {
    inner: R,
    depth: u32,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Inside,
    InText,
    AfterBackslash,
    Behind,
}

/// `inner` but for its byte order mark, guarded.
pub(super) fn guarded(mut inner: impl Read) -> io::Result<impl Read> {
    let mut first = Vec::new();
    inner.by_ref().take(BOM.len() as u64).read_to_end(&mut first)?;
    if first == BOM {
        first.clear();
    }
    let guard = Guard {
        inner: io::Cursor::new(first).chain(inner),
        depth: 0,
        place: Place::Before,
    };
    Ok(BufReader::with_capacity(64 << 10, guard))
}

impl<R: Read> Guard<R> {
    fn pass(&mut self, byte: &mut u8) -> Result<(), TooDeep> {
        self.place = match (self.place, *byte) {
            (Place::Behind, 0) => {
                *byte = b' ';
                Place::Behind
            }
            (Place::Behind, _) => Place::Behind,
            (Place::AfterBackslash, _) => Place::InText,
            (Place::InText, b'\\') => Place::AfterBackslash,
            (Place::InText, b'"') => Place::Inside,
            (Place::InText, _) => Place::InText,
            (_, b'"') => Place::InText,
            (_, b'{' | b'[') => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(TooDeep);
                }
                Place::Inside
            }
            (Place::Inside, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                match self.depth {
                    0 => Place::Behind,
                    _ => Place::Inside,
                }
            }
            (place, _) => place,
        };
        Ok(())
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in buffer.iter_mut().take(count) {
            self.pass(byte).map_err(io::Error::other)?;
        }
        Ok(count)
    }
}

/// An entry of a ZIP, read as others read files. A refusal travels inside the error.
pub(super) struct EntryBytes<'a, S>(pub(super) EntryReader<'a, S>);

impl<S: ByteSource> Read for EntryBytes<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::guarded;
    use std::io::Read;

    fn passed(bytes: &[u8]) -> Result<String, String> {
        let mut text = String::new();
        let mut guard = guarded(bytes).unwrap();
        match guard.read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_mark_in_front_and_nuls_behind_are_no_part_of_the_value() {
        assert_eq!(passed(b"\xEF\xBB\xBF{}\0\0").unwrap(), "{}  ");
        assert_eq!(
            passed(b"{\"a\":\"}\\\"\0\"}\0x").unwrap(),
            "{\"a\":\"}\\\"\0\"} x"
        );
        assert_eq!(passed(b"").unwrap(), "");
    }

    #[test]
    fn brackets_in_texts_do_not_nest() {
        let text = format!("[\"{}\"]", "[".repeat(1_000));
        assert_eq!(passed(text.as_bytes()).unwrap(), text);
        assert!(passed("[".repeat(64).as_bytes()).is_ok());
        assert!(passed("[".repeat(65).as_bytes()).unwrap_err().contains("nested"));
    }
}
