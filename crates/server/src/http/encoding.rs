//! How a body was encoded on its way here: compressed, and in letters of another kind. Whoever reads a body reads UTF-8.
//!
//! What is decoded is decoded while it comes, a piece at a time, and counts by what it becomes: whoever reads it sets the
//! limit. Where a limit would come too late, as with a package of half a gigabyte, what is compressed may become so many
//! times as much as it is, and no more.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use bytes::Buf;
use domain::problem::{Code, RuleError};
use flate2::write::MultiGzDecoder;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use std::io::Write;

/// A body as it is read.
pub(super) type Chunks = BoxStream<'static, Result<Bytes, RuleError>>;

/// How many times as much as it is something compressed may become; 1 MiB is never too much. Packages are compressed
/// already, and base64 is a third longer than what it stands for.
const PACKAGE_GROWS: u64 = 32;
const FREE_BYTES: u64 = 1024 * 1024;

/// How much longer than what it becomes something compressed may be: the decoder keeps up to 32 KiB to itself.
const SLACK: u64 = 64 * 1024;

/// What of a compressed body is decoded at a time.
const PIECE: usize = 16 * 1024;

/// The body of a request, decoded; its reader sets a limit to what it becomes.
///
/// # Errors
/// `UnsupportedMediaType` for an encoding that is not known. Of the chunks: `InvalidInput` where the body ends before its
/// end, or is not what its headers say.
pub(super) fn decoded(headers: &HeaderMap, body: Body) -> Result<Chunks, RuleError> {
    decode(headers, body, u64::MAX)
}

/// The body of an upload, decoded; whatever its reader makes of it, it does not become out of proportion.
///
/// # Errors
/// As [`decoded`]; and `RequestEntityTooLarge` of the chunks.
pub(super) fn decoded_upload(headers: &HeaderMap, body: Body) -> Result<Chunks, RuleError> {
    decode(headers, body, PACKAGE_GROWS)
}

fn decode(headers: &HeaderMap, body: Body, grows: u64) -> Result<Chunks, RuleError> {
    let (is_compressed, letters) = (is_compressed(headers)?, letters_of(headers)?);
    let mut chunks = body
        .into_data_stream()
        .map_err(|error| RuleError::invalid("body", format!("The body ended before its end: {error}.")))
        .boxed();
    if is_compressed {
        chunks = decompressed(chunks, grows);
    }
    match letters {
        None => Ok(chunks),
        Some(letters) => Ok(in_utf_8(chunks, letters)),
    }
}

/// How long a body is as it is read, where its headers say so before.
pub(super) fn declared_bytes(headers: &HeaderMap) -> Option<u64> {
    let is_plain = matches!(
        (is_compressed(headers), letters_of(headers)),
        (Ok(false), Ok(None))
    );
    let length = headers.get(header::CONTENT_LENGTH).filter(|_| is_plain)?;
    length.to_str().ok()?.parse().ok()
}

fn is_compressed(headers: &HeaderMap) -> Result<bool, RuleError> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let text: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    let text = text.join(",");
    let codings: Vec<_> = text
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
        .collect();
    match codings.as_slice() {
        [] => Ok(false),
        [coding]
            if ["gzip", "x-gzip"]
                .iter()
                .any(|name| name.eq_ignore_ascii_case(coding)) =>
        {
            Ok(true)
        }
        _ => {
            let message = format!(
                "The body is encoded as '{}', which is not read here: send it as it is, or compressed once with gzip.",
                codings.join(", ")
            );
            Err(RuleError::new(Code::UnsupportedMediaType, message).about("Content-Encoding"))
        }
    }
}

/// Letters of another kind than those of UTF-8.
#[derive(Debug, PartialEq)]
enum Letters {
    Latin1,
    Utf16(Utf16),
}

#[derive(Debug, Default, PartialEq)]
struct Utf16 {
    /// Unless that is told by what comes first.
    order: Option<Order>,
    /// The first byte of two.
    open: Option<u8>,
    /// The first unit of two.
    high: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Little,
    Big,
}

fn letters_of(headers: &HeaderMap) -> Result<Option<Letters>, RuleError> {
    let media_type = headers.get(header::CONTENT_TYPE);
    let media_type = media_type.map_or("".into(), |value| String::from_utf8_lossy(value.as_bytes()));
    let charset = media_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    let utf_16 = |order| {
        Ok(Some(Letters::Utf16(Utf16 {
            order,
            ..Utf16::default()
        })))
    };
    match charset.as_deref().unwrap_or_default() {
        "" | "utf-8" | "utf8" | "us-ascii" | "ascii" => Ok(None),
        "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "latin-1" => Ok(Some(Letters::Latin1)),
        "utf-16" | "utf16" => utf_16(None),
        "utf-16le" => utf_16(Some(Order::Little)),
        "utf-16be" => utf_16(Some(Order::Big)),
        other => {
            let message = format!(
                "The charset of the body is '{other}', which is not read here: send it in UTF-8, UTF-16, or ISO-8859-1."
            );
            Err(RuleError::new(Code::UnsupportedMediaType, message).about("Content-Type"))
        }
    }
}

/// A compressed body on its way.
struct Decompressing {
    chunks: Chunks,
    /// What has come and not been decoded.
    chunk: Bytes,
    decoder: MultiGzDecoder<Vec<u8>>,
    came: u64,
    became: u64,
    grows: u64,
}

fn decompressed(chunks: Chunks, grows: u64) -> Chunks {
    let decompressing = Decompressing {
        chunks,
        chunk: Bytes::new(),
        decoder: MultiGzDecoder::new(Vec::new()),
        came: 0,
        became: 0,
        grows,
    };
    stream::try_unfold(Some(decompressing), async |state| {
        let Some(mut state) = state else {
            return Ok(None);
        };
        while let Some(piece) = state.next().await? {
            if !piece.is_empty() {
                return Ok(Some((piece, Some(state))));
            }
        }
        Ok(Some((state.last()?, None)))
    })
    .boxed()
}

impl Decompressing {
    /// What the next piece becomes, perhaps nothing yet; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, RuleError> {
        if self.chunk.is_empty() {
            match self.chunks.try_next().await? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(None),
            }
        }
        let piece = self.chunk.get(..PIECE).unwrap_or(&self.chunk);
        let taken = self.decoder.write(piece).map_err(|error| damaged(&error))?;
        if taken == 0 {
            return Err(damaged(&std::io::ErrorKind::InvalidData.into()));
        }
        self.chunk.advance(taken);
        self.came += taken as u64;
        let piece = self.decoded()?;
        // What is packed is hardly ever longer for it; what becomes nothing costs work that no limit counts.
        if self.came > self.became + self.became / 8 + SLACK {
            let message = "The body is longer compressed than it is: send it as it is.";
            return Err(RuleError::invalid("body", message));
        }
        // However much has come, others have their turn.
        tokio::task::yield_now().await;
        Ok(Some(piece))
    }

    fn last(&mut self) -> Result<Bytes, RuleError> {
        self.decoder.try_finish().map_err(|error| damaged(&error))?;
        self.decoded()
    }

    fn decoded(&mut self) -> Result<Bytes, RuleError> {
        let piece = std::mem::take(self.decoder.get_mut());
        self.became += piece.len() as u64;
        if self.became > FREE_BYTES.max(self.came.saturating_mul(self.grows)) {
            let message = format!(
                "The body becomes more than {} times as large as it is when it is decompressed: send it as it is.",
                self.grows
            );
            return Err(RuleError::new(Code::RequestEntityTooLarge, message).about("body"));
        }
        Ok(piece.into())
    }
}

fn damaged(error: &std::io::Error) -> RuleError {
    let message =
        format!("The body is not compressed with gzip, as its header Content-Encoding says: {error}.");
    RuleError::invalid("body", message)
}

fn in_utf_8(chunks: Chunks, letters: Letters) -> Chunks {
    stream::try_unfold(Some((chunks, letters)), async |state| {
        let Some((mut chunks, mut letters)) = state else {
            return Ok(None);
        };
        match chunks.try_next().await? {
            Some(chunk) => Ok(Some((letters.read(&chunk)?.into(), Some((chunks, letters))))),
            None => letters.end().map(|()| None),
        }
    })
    .boxed()
}

impl Letters {
    fn read(&mut self, bytes: &[u8]) -> Result<String, RuleError> {
        match self {
            Self::Latin1 => Ok(bytes.iter().copied().map(char::from).collect()),
            Self::Utf16(utf_16) => {
                let mut text = String::with_capacity(bytes.len() / 2);
                bytes.iter().try_for_each(|byte| utf_16.read(*byte, &mut text))?;
                Ok(text)
            }
        }
    }

    fn end(&self) -> Result<(), RuleError> {
        match self {
            Self::Utf16(Utf16 {
                open: None,
                high: None,
                ..
            })
            | Self::Latin1 => Ok(()),
            Self::Utf16(_) => Err(not_utf_16("it ends within a letter")),
        }
    }
}

impl Utf16 {
    fn read(&mut self, byte: u8, text: &mut String) -> Result<(), RuleError> {
        let Some(first) = self.open.take() else {
            self.open = Some(byte);
            return Ok(());
        };
        let pair = [first, byte];
        // JSON begins with a letter of ASCII, if not with a mark.
        let order = *self.order.get_or_insert(match pair {
            [0xFE, 0xFF] | [0, _] => Order::Big,
            _ => Order::Little,
        });
        let unit = match order {
            Order::Little => u16::from_le_bytes(pair),
            Order::Big => u16::from_be_bytes(pair),
        };
        if self.high.is_none() && matches!(unit, 0xD800..=0xDBFF) {
            self.high = Some(unit);
            return Ok(());
        }
        let units = self.high.take().into_iter().chain([unit]);
        for letter in char::decode_utf16(units) {
            text.push(letter.map_err(|_| not_utf_16("it has half of a letter"))?);
        }
        Ok(())
    }
}

fn not_utf_16(why: &str) -> RuleError {
    let message = format!("The body is not UTF-16, as its header Content-Type says: {why}.");
    RuleError::invalid("body", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn what_is_compressed_and_becomes_nothing_has_an_end() {
        let headers = headers(&[("content-encoding", "gzip")]);
        let members = |count: usize| gzip(b"").repeat(count);
        assert_eq!(read(&headers, &members(1_000), 4_096).await.unwrap(), b"");
        let problem = read(&headers, &members(5_000), 1 << 20).await.unwrap_err();
        assert!(
            problem.message.contains("longer compressed than it is"),
            "{problem}"
        );
        let mut stored = gzip(b"");
        stored.truncate(10);
        stored.extend([0, 0, 0, 0xFF, 0xFF].repeat(20_000));
        assert!(read(&headers, &stored, 1 << 20).await.is_err());
    }

    /// What a body is read as that comes in pieces of this size.
    async fn read(headers: &HeaderMap, body: &[u8], size: usize) -> Result<Vec<u8>, RuleError> {
        let pieces: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
        let pieces = stream::iter(pieces).map(Ok::<_, std::io::Error>);
        let chunks = decoded_upload(headers, Body::from_stream(pieces))?;
        let chunks: Vec<_> = chunks.try_collect().await?;
        Ok(chunks.concat())
    }

    const TEXT: &str = "{\"name\":\"Pr\u{fc}fung\"}";
    const BEYOND: &str = "\u{feff}{\"name\":\"\u{1f600}\u{20ac}\"}";

    fn in_utf_16(text: &str, bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[tokio::test]
    async fn a_body_is_read_whatever_its_pieces() {
        let latin_1: Vec<u8> = TEXT
            .chars()
            .map(|letter| u8::try_from(u32::from(letter)).unwrap())
            .collect();
        let twice = [gzip(&TEXT.as_bytes()[..5]), gzip(&TEXT.as_bytes()[5..])].concat();
        let little = |text| in_utf_16(text, u16::to_le_bytes);
        let big = |text| in_utf_16(text, u16::to_be_bytes);
        let coding = |coding| [("content-encoding", coding)];
        let utf_16 = [("content-type", "application/json; charset=\"UTF-16\"")];
        let le = [("content-type", "application/json;Charset=utf-16le")];
        let be = [("content-type", "application/json; charset=utf-16be")];
        let iso = [("content-type", "text/plain; a=b; charset=ISO-8859-1")];
        let both = [coding("gzip"), iso].concat();
        for (sent, body, expected) in [
            (headers(&[]), TEXT.into(), TEXT),
            (headers(&coding("identity")), TEXT.into(), TEXT),
            (headers(&coding("GZip")), gzip(TEXT.as_bytes()), TEXT),
            (headers(&coding("identity, x-gzip")), twice, TEXT),
            (headers(&iso), latin_1.clone(), TEXT),
            (headers(&both), gzip(&latin_1), TEXT),
            (headers(&utf_16), little(TEXT), TEXT),
            (headers(&utf_16), big(TEXT), TEXT),
            (headers(&utf_16), little(BEYOND), BEYOND),
            (headers(&utf_16), big(BEYOND), BEYOND),
            (headers(&le), little(BEYOND), BEYOND),
            (headers(&be), big(TEXT), TEXT),
        ] {
            for size in [1, 2, 3, 1000] {
                let read = read(&sent, &body, size).await.unwrap();
                assert_eq!(String::from_utf8(read).unwrap(), expected, "{sent:?} {size}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_what_it_says_is_called_so() {
        let gzipped = gzip(TEXT.as_bytes());
        let compressed = headers(&[("content-encoding", "gzip")]);
        let utf_16 = headers(&[("content-type", "application/json; charset=utf-16")]);
        let mut damaged = gzipped.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for (sent, body) in [
            (&compressed, TEXT.as_bytes()),
            (&compressed, &damaged),
            (&compressed, &gzipped[..gzipped.len() - 1]),
            (&compressed, &[gzipped.as_slice(), b"more"].concat()),
            (&utf_16, b"{\0\"\0}"),
            (&utf_16, b"\"\0\x00\xD8\"\0"),
            (&utf_16, b"\"\0\x00\xDC\"\0"),
            (&utf_16, b"\"\0\x00\xD8"),
        ] {
            let refused = read(sent, body, 3).await.unwrap_err();
            assert_eq!(refused.code, Code::InvalidInput);
            assert!(refused.message.contains("as its header Content-"), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn other_encodings_are_not_supported() {
        for (name, value) in [
            ("content-encoding", "br"),
            ("content-encoding", "deflate"),
            ("content-encoding", "gzip, gzip"),
            ("content-type", "application/json; charset=windows-1252"),
            ("content-type", "application/json; charset=utf-32"),
        ] {
            let refused = read(&headers(&[(name, value)]), b"{}", 9).await.unwrap_err();
            assert_eq!(refused.code, Code::UnsupportedMediaType, "{value}");
            assert!(
                refused
                    .target
                    .is_some_and(|target| target.eq_ignore_ascii_case(name))
            );
        }
    }

    #[tokio::test]
    async fn nothing_becomes_more_than_is_asked_for() {
        let blanks = gzip(&vec![b' '; 64 << 20]);
        let sent = headers(&[("content-encoding", "gzip")]);
        let refused = read(&sent, &blanks, usize::MAX).await.unwrap_err();
        assert_eq!(refused.code, Code::RequestEntityTooLarge);
        let mut chunks = decoded(&sent, blanks.into()).unwrap();
        let (mut most, mut all) = (0, 0);
        while let Some(chunk) = chunks.try_next().await.unwrap() {
            most = most.max(chunk.len());
            all += chunk.len();
        }
        assert_eq!(all, 64 << 20);
        assert!(most <= 64 << 10, "{most} bytes at once");
    }

    #[test]
    fn a_length_says_something_of_what_is_sent_as_it_is() {
        let length = ("content-length", "12");
        assert_eq!(declared_bytes(&headers(&[length])), Some(12));
        for encoded in [
            ("content-encoding", "gzip"),
            ("content-encoding", "br"),
            ("content-type", "application/json; charset=utf-16"),
        ] {
            assert_eq!(declared_bytes(&headers(&[length, encoded])), None);
        }
    }
}
