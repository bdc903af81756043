//! Sending a package: whole or a range of it, with what a client needs to check and resume.

use super::{answer::insert, extract::RequestContext, problem::SIZE};
use crate::{
    actions::{preconditions::Preconditions, versions::read_package},
    blobs::{BlobError, ByteStream},
    error::{Error, Result},
};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use data_encoding::HEXLOWER;
use domain::{
    chain::Chain,
    problem::{Code, RuleError},
};
use futures::{Stream, TryStreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use store::versions::Version;

/// What may stand in the extended form of a file name as it is (RFC 8187).
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'!')
    .remove(b'&')
    .remove(b'+');

/// The bytes from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
}

/// The bytes of a package from the first to the one before the last; all of them where nothing is said.
pub(crate) type Part = Option<std::ops::Range<u64>>;

/// Sends the package of a version. The store is not asked before it is certain that it has something to send.
pub(crate) async fn package(context: &RequestContext, version: &Version) -> Result<Response> {
    let read = |part| read_package(context.service(), version, part);
    send((&context.headers, &context.preconditions), version, read).await
}

/// Sends the package of a version to somebody who sent these headers; `read` brings the part that they want.
pub(crate) async fn send<R: Future<Output = Result<ByteStream>>>(
    (headers, conditions): (&HeaderMap, &Preconditions),
    version: &Version,
    read: impl FnOnce(Part) -> R,
) -> Result<Response> {
    let etag = HEXLOWER.encode(&version.sha256);
    conditions
        .check_read(&etag)
        .map_err(|error| strong(error, &etag))?;
    let size = version.size;
    let range = wanted_range(headers, &etag, size)?;
    let part = range.map(|Range { first, last }| first..last + 1);
    let length = range.map_or(size, |range| range.last - range.first + 1);
    let bytes = whole(read(part).await?, length);
    let bytes = bytes.inspect_err(|error| tracing::error!("a download broke off: {}", Chain(error)));
    let mut response = Response::new(Body::from_stream(bytes));
    if let Some(Range { first, last }) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        insert(
            response.headers_mut(),
            header::CONTENT_RANGE,
            &format!("bytes {first}-{last}/{size}"),
        );
    }
    describe(response.headers_mut(), version, &etag, length);
    Ok(response)
}

/// The same bytes, which fail where there are fewer than so many.
fn whole(bytes: ByteStream, length: u64) -> impl Stream<Item = Result<Bytes, BlobError>> + Send {
    stream::try_unfold((bytes, length), async |(mut bytes, missing)| {
        match bytes.try_next().await? {
            Some(chunk) => {
                let missing = missing.saturating_sub(chunk.len() as u64);
                Ok(Some((chunk, (bytes, missing))))
            }
            None if missing == 0 => Ok(None),
            None => Err(BlobError::Truncated { missing }),
        }
    })
}

/// Bytes that are the same are the same to the last: their tag is a strong one.
fn strong(error: Error, etag: &str) -> Error {
    match error {
        Error::NotModified { .. } => Error::NotModified {
            tag: Some(format!("\"{etag}\"")),
        },
        other => other,
    }
}

fn describe(headers: &mut HeaderMap, version: &Version, etag: &str, length: u64) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(headers, header::ETAG, &format!("\"{etag}\""));
    let digest = STANDARD.encode(version.sha256);
    insert(
        headers,
        header::HeaderName::from_static("repr-digest"),
        &format!("sha-256=:{digest}:"),
    );
    insert(headers, header::CONTENT_DISPOSITION, &disposition(version));
}

/// The file name in the form that every client reads, and in the one that keeps every letter (RFC 6266).
fn disposition(version: &Version) -> String {
    let name = navx::download_file_name(&version.publisher, &version.name, version.version);
    let plain: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii() && letter != '"' {
                letter
            } else {
                '_'
            }
        })
        .collect();
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        utf8_percent_encode(&name, ATTRIBUTE)
    )
}

/// The one range that was asked for and can be sent. Several ranges, other units and what cannot be read are ignored,
/// as RFC 9110 allows; so is a range of a file that is another one by now.
fn wanted_range(headers: &HeaderMap, etag: &str, size: u64) -> Result<Option<Range>> {
    let Some(text) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let if_range = headers.get(header::IF_RANGE);
    if if_range.is_some_and(|tag| tag.as_bytes().trim_ascii() != format!("\"{etag}\"").as_bytes()) {
        return Ok(None);
    }
    let Some(bounds) = read_range(text.trim()) else {
        return Ok(None);
    };
    let range = match bounds {
        (Some(first), last) => Range {
            first,
            last: last.unwrap_or(u64::MAX).min(size.saturating_sub(1)),
        },
        (None, Some(suffix)) => Range {
            first: size.saturating_sub(suffix),
            last: size.saturating_sub(1),
        },
        (None, None) => return Ok(None),
    };
    let is_empty_suffix = bounds == (None, Some(0));
    if range.first >= size || is_empty_suffix {
        let message = format!("The range '{text}' lies outside the package, which has {size} bytes.");
        return Err(RuleError::new(Code::RangeNotSatisfiable, message)
            .about("Range")
            .with(SIZE, size.to_string())
            .into());
    }
    Ok(Some(range))
}

type Bounds = (Option<u64>, Option<u64>);

/// The bounds of one range of bytes, if it is one.
fn read_range(text: &str) -> Option<Bounds> {
    let (unit, bounds) = text.split_once('=')?;
    let (first, last) = bounds.split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let bounds = (read_bound(first)?, read_bound(last)?);
    match bounds {
        (Some(first), Some(last)) if last < first => None,
        bounds => Some(bounds),
    }
}

/// Nothing but digits, or nothing; a number that is larger than any is the largest.
fn read_bound(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(range: &str) -> Option<(u64, u64)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        wanted_range(&headers, "tag", 100)
            .unwrap()
            .map(|range| (range.first, range.last))
    }

    #[test]
    fn one_range_is_understood_in_all_its_forms() {
        assert_eq!(wanted("bytes=0-9"), Some((0, 9)));
        assert_eq!(wanted("bytes=90-"), Some((90, 99)));
        assert_eq!(wanted("bytes=-10"), Some((90, 99)));
        assert_eq!(wanted("bytes=-1000"), Some((0, 99)));
        assert_eq!(wanted("bytes=10-1000"), Some((10, 99)));
        assert_eq!(wanted("bytes=10-99999999999999999999"), Some((10, 99)));
        assert_eq!(wanted("Bytes=0-9"), Some((0, 9)));
    }

    #[test]
    fn what_cannot_be_read_is_ignored() {
        for text in [
            "bytes=0-1,5-6",
            "items=0-1",
            "bytes=9-1",
            "bytes=a-b",
            "bytes=-",
            "bytes=+0-9",
            "bytes=0-+9",
            "bytes=-+9",
            "bytes=0 - 9",
            "bytes= 0-9",
            "bytes=0x1-9",
            "bytes =0-9",
            "bytes0-9",
            "bytes=0--9",
        ] {
            assert_eq!(wanted(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_beyond_the_end_is_refused() {
        let mut headers = HeaderMap::new();
        for range in ["bytes=100-", "bytes=99999999999999999999-"] {
            headers.insert(header::RANGE, HeaderValue::from_static(range));
            assert!(wanted_range(&headers, "tag", 100).is_err(), "{range}");
        }
    }

    #[test]
    fn a_range_of_another_file_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"other\""));
        assert_eq!(wanted_range(&headers, "tag", 100).unwrap(), None);
        let unlike = HeaderValue::from_bytes(b"\"tag\xe9\"").unwrap();
        headers.insert(header::IF_RANGE, unlike);
        assert_eq!(wanted_range(&headers, "tag", 100).unwrap(), None);
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"tag\""));
        assert!(wanted_range(&headers, "tag", 100).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_package_that_ends_too_early_is_an_error_and_not_its_end() {
        let sent = |length| {
            let chunks = ["ab", "c"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
            whole(Box::pin(stream::iter(chunks)), length).try_collect::<Vec<_>>()
        };
        assert_eq!(sent(3).await.unwrap().concat(), b"abc");
        let broken = sent(5).await.unwrap_err().to_string();
        assert!(broken.contains("2 bytes too early"), "{broken}");
    }
}
