//! The lines of HTTP/1 requests, which end with a carriage return and a line feed. A line feed alone would end a line
//! here and not for a proxy on the way, or the other way round: two that see two requests in the same bytes.
//!
//! What is no line is not looked at: bodies are passed over by what their heads say of them, and HTTP/2 has no lines. Where
//! it cannot be told what follows, nothing is looked at any more, for then the request is refused for that.

/// As much of a line as matters, without blanks: the names and values that frame a body are shorter.
const LONGEST: usize = 64;

/// Takes the place of a line feed that stands alone. It is part of no head, so that the request is refused.
const REFUSED: u8 = 0;
/// Follows it, so that there is a head to be refused.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Follows what comes by a connection.
#[derive(Default)]
pub(super) struct Heads {
    at: At,
    /// The beginning of the line, without blanks.
    line: Vec<u8>,
    /// How many bytes the line has so far.
    length: usize,
    last: u8,
    body: Framing,
    /// What comes next, whatever is sent.
    next: &'static [u8],
}

#[derive(Clone, Copy, Default)]
enum At {
    #[default]
    FirstLine,
    Fields,
    /// So many bytes of a body.
    Body(u64),
    ChunkSize,
    /// So many bytes of a chunk and its end.
    Chunk(u64),
    Trailers,
    /// Where nothing is looked at any more.
    Elsewhere,
}

/// What a head says of its body.
#[derive(Clone, Copy, Default)]
enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
    Unclear,
}

impl Heads {
    /// Looks at the bytes that came next, and spoils a line feed that stands alone.
    pub(super) fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let passed = match self.at {
                At::Elsewhere => return,
                At::Body(left) => self.pass_over(left, bytes.len(), At::Body, At::FirstLine),
                At::Chunk(left) => self.pass_over(left, bytes.len(), At::Chunk, At::ChunkSize),
                At::FirstLine | At::Fields | At::ChunkSize | At::Trailers => self.pass_line(bytes),
            };
            bytes = bytes.get_mut(passed..).unwrap_or_default();
        }
    }

    /// What comes next in place of what is sent, at most so many bytes.
    pub(super) fn instead(&mut self, most: usize) -> &'static [u8] {
        let (now, later) = self.next.split_at(most.min(self.next.len()));
        self.next = later;
        now
    }

    /// Whether nothing has come of a request but all of it.
    pub(super) fn is_between_requests(&self) -> bool {
        matches!(self.at, At::FirstLine) && self.length == 0
    }

    /// How many of `there` bytes belong to what has `left` to come.
    fn pass_over(&mut self, left: u64, there: usize, same: fn(u64) -> At, next: At) -> usize {
        let passed = usize::try_from(left).unwrap_or(usize::MAX).min(there);
        self.at = match left - passed as u64 {
            0 => next,
            left => same(left),
        };
        passed
    }

    /// How many bytes belong to the line.
    fn pass_line(&mut self, bytes: &mut [u8]) -> usize {
        let feed = bytes.iter().position(|byte| *byte == b'\n');
        let (line, rest) = bytes.split_at_mut(feed.unwrap_or(bytes.len()));
        self.add(line);
        if let Some(feed) = rest.first_mut() {
            if self.last == b'\r' {
                self.at = self.after_line();
            } else {
                *feed = REFUSED;
                self.next = END_OF_HEAD;
                self.at = At::Elsewhere;
            }
            self.line.clear();
            (self.length, self.last) = (0, 0);
        }
        line.len() + rest.len().min(1)
    }

    fn add(&mut self, bytes: &[u8]) {
        let missing = LONGEST.saturating_sub(self.line.len());
        let solid = bytes.iter().filter(|byte| !b" \t\r".contains(byte));
        self.line.extend(solid.map(u8::to_ascii_lowercase).take(missing));
        self.length += bytes.len();
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    /// What comes after the line that has ended.
    fn after_line(&mut self) -> At {
        let is_blank = self.length == 1;
        match self.at {
            // Lines before a request are none of it.
            At::FirstLine if is_blank => At::FirstLine,
            At::FirstLine if self.line == b"pri*http/2.0" => At::Elsewhere,
            At::FirstLine => {
                self.body = Framing::None;
                At::Fields
            }
            At::Fields if is_blank => match self.body {
                Framing::None | Framing::Length(0) => At::FirstLine,
                Framing::Length(bytes) => At::Body(bytes),
                Framing::Chunked => At::ChunkSize,
                Framing::Unclear => At::Elsewhere,
            },
            At::Fields => {
                self.read_field();
                At::Fields
            }
            At::ChunkSize => match self.chunk_size() {
                Some(0) => At::Trailers,
                Some(bytes) => At::Chunk(bytes.saturating_add(2)),
                None => At::Elsewhere,
            },
            At::Trailers if is_blank => At::FirstLine,
            other => other,
        }
    }

    fn read_field(&mut self) {
        if self.line.starts_with(b"transfer-encoding:") {
            // It is what counts, wherever a length is named too.
            self.body = Framing::Chunked;
        } else if let (Some(value), false) = (
            self.line.strip_prefix(b"content-length:"),
            matches!(self.body, Framing::Chunked),
        ) {
            let digits = value.split(|byte| *byte == b',').next().unwrap_or_default();
            let length = number(digits, 10).filter(|_| self.line.len() < LONGEST);
            self.body = length.map_or(Framing::Unclear, Framing::Length);
        }
    }

    fn chunk_size(&self) -> Option<u64> {
        let digits = self.line.split(|byte| *byte == b';').next()?;
        number(digits, 16).filter(|_| digits.len() < LONGEST)
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = str::from_utf8(digits).ok()?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, radix).ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bytes as they are after they were passed in pieces of this size.
    fn passed(text: &str, size: usize) -> String {
        let mut heads = Heads::default();
        let mut bytes = text.as_bytes().to_vec();
        bytes.chunks_mut(size).for_each(|piece| heads.pass(piece));
        String::from_utf8(bytes).unwrap()
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const BODY: &str = "POST / HTTP/1.1\r\nHost: a\r\ncontent-Length: \t 6\r\n\r\n\n\r\na\n\n";
    const CHUNKS: &str = "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nA;x=y\r\n\n23456789\n\r\n1\r\n\n\r\n0\r\nA: b\r\n\r\n";

    #[test]
    fn requests_are_followed_and_bodies_left_alone() {
        let several = [GET, BODY, CHUNKS, "\r\n", GET, CHUNKS, BODY].concat();
        for size in 1..several.len() {
            assert_eq!(passed(&several, size), several);
        }
    }

    #[test]
    fn a_line_feed_that_stands_alone_is_spoilt_in_every_line() {
        for before in ["", GET, BODY, CHUNKS, "\r\n"] {
            for at in GET.match_indices("\r\n").map(|(at, _)| at) {
                let (head, tail) = (&GET[..at], &GET[at + 2..]);
                let whole = format!("{before}{head}\n{tail}");
                for size in 1..whole.len() {
                    assert_eq!(passed(&whole, size), format!("{before}{head}\0{tail}"));
                }
            }
        }
    }

    #[test]
    fn what_has_no_lines_is_left_alone() {
        for text in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n",
            "POST / HTTP/1.1\r\nContent-Length: 4x\r\n\r\n\n\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n\n\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\n\n",
        ] {
            assert_eq!(passed(text, 5), text);
        }
    }

    proptest! {
        #[test]
        fn only_line_feeds_are_ever_spoilt(text in "[ -~\r\n]{0,200}|(GET|[a-z: 0-9]|\r\n|\n){0,50}", size in 1_usize..20) {
            let after = passed(&text, size);
            let spoilt = after.bytes().zip(text.bytes()).filter(|(after, before)| after != before);
            let spoilt: Vec<_> = spoilt.collect();
            prop_assert!(spoilt.len() <= 1 && spoilt.iter().all(|pair| *pair == (0, b'\n')));
        }
    }
}
