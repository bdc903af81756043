//! Answers that are compressed because their caller asks for it: what somebody reads, as JSON, XML or CSV, in constant memory.
//!
//! Of a compressed answer its length can be seen by whoever sees the connection, and that tells something of a secret if
//! it stands beside a text of their choice, and they can have it asked for again and again. Secrets are only ever shown in
//! answers to what changes something, so these are sent as they are; and nobody can have somebody else's browser ask, for
//! it has no token.
//!
//! Packages are compressed already, and asked for by ranges of their bytes. Tags of everything else are weak: they stand
//! for what an answer says, however it is sent.

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use flate2::{Compression, write::GzEncoder};
use http_body::Frame;
use std::{
    io::Write,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Shorter answers are sent as they are.
const WORTH_BYTES: u64 = 1024;

/// Answers that are compressed at the same time, each with about 300 KB of memory; further ones are sent as they are.
const AT_ONCE: usize = 64;
static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// Whether a request asks for what may be compressed, and compressed.
pub(super) fn is_asked_for(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET && accepts_gzip(headers)
}

pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut of_all = false;
    for coding in codings {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().to_ascii_lowercase();
        let weight = weight
            .strip_prefix("q=")
            .and_then(|weight| weight.trim().parse::<f32>().ok());
        let is_wanted = weight.is_some_and(|weight| weight > 0.0);
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return is_wanted,
            "*" => of_all = is_wanted,
            _ => {}
        }
    }
    of_all
}

/// Bytes that are the same for everybody, compressed once.
pub(super) fn compressed_once(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// The answer to somebody who is known, compressed if they ask for it and it is worth it.
pub(super) fn compressed(mut response: Response, is_asked_for: bool) -> Response {
    if !may_be_compressed(&response) {
        return response;
    }
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let Some(place) = is_asked_for.then(|| PLACES.try_acquire().ok()).flatten() else {
        return response;
    };
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.map(|body| {
        Body::new(Compressing {
            body,
            encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())),
            _place: place,
        })
    })
}

fn may_be_compressed(response: &Response) -> bool {
    let headers = response.headers();
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let is_text = ["application/json", "application/xml", "text/csv"]
        .iter()
        .any(|start| media_type.starts_with(start));
    let is_weak = text(header::ETAG).is_none_or(|tag| tag.starts_with("W/"));
    let is_long = response
        .body()
        .size_hint()
        .exact()
        .is_none_or(|bytes| bytes >= WORTH_BYTES);
    response.status() == StatusCode::OK && is_text && is_weak && is_long
}

/// A body that is compressed while it is sent.
struct Compressing {
    body: Body,
    /// Until the end has been sent.
    encoder: Option<GzEncoder<Vec<u8>>>,
    _place: SemaphorePermit<'static>,
}

impl HttpBody for Compressing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            let Some(encoder) = &mut this.encoder else {
                return Poll::Ready(None);
            };
            let written = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => encoder
                    .write_all(&frame.into_data().unwrap_or_default())
                    .map(|()| std::mem::take(encoder.get_mut())),
                Some(Err(error)) => {
                    this.encoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => this.encoder.take().map_or(Ok(Vec::new()), GzEncoder::finish),
            };
            let written = written.map_err(axum::Error::new)?;
            if !written.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(written.into()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::MultiGzDecoder;
    use futures::{StreamExt, TryStreamExt, stream};
    use std::io::Read;

    fn asks(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        is_asked_for(&Method::GET, &headers)
    }

    #[test]
    fn whoever_names_gzip_is_taken_at_their_word() {
        for asked in [
            "gzip",
            "deflate, GZip",
            "gzip;q=0.1",
            "gzip ; q=1.0, *;q=0",
            "*",
            "br, x-gzip",
        ] {
            assert!(asks(&[asked]), "{asked}");
        }
        assert!(asks(&["br", "gzip"]));
        for not_asked in [
            "",
            "br",
            "gzip;q=0",
            "gzip; q=0.000, *",
            "*;q=0",
            "gzip;q=x",
            "identity",
        ] {
            assert!(!asks(&[not_asked]), "{not_asked}");
        }
        assert!(!asks(&[]));
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(!is_asked_for(&Method::POST, &headers) && !is_asked_for(&Method::HEAD, &headers));
    }

    /// An answer of this type, tag and body.
    fn answer(media_type: &'static str, tag: Option<&'static str>, body: Body) -> Response {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(tag) = tag {
            headers.insert(header::ETAG, HeaderValue::from_static(tag));
        }
        response
    }

    #[test]
    fn what_is_short_or_known_by_its_bytes_is_sent_as_it_is() {
        let long = || Body::from("[1]".repeat(1000));
        let is_compressed = |response| {
            compressed(response, true)
                .headers()
                .contains_key(header::CONTENT_ENCODING)
        };
        assert!(is_compressed(answer(
            "application/json; charset=utf-8",
            Some("W/\"1\""),
            long()
        )));
        assert!(is_compressed(answer("application/xml", None, long())));
        assert!(!is_compressed(answer("application/json", None, "[1]".into())));
        assert!(!is_compressed(answer("application/json", Some("\"1\""), long())));
        assert!(!is_compressed(answer("application/octet-stream", None, long())));
        let mut failed = answer("application/json", None, long());
        *failed.status_mut() = StatusCode::BAD_REQUEST;
        assert!(!is_compressed(failed));
        let plain = compressed(answer("application/xml", None, long()), false);
        assert_eq!(plain.headers()[header::VARY], "Accept-Encoding");
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    }

    /// The frames of a long answer, which fails after so many pieces, if at all.
    async fn frames(fails_after: usize) -> (Vec<Bytes>, bool) {
        let pieces = stream::iter(0..100).map(move |number| match number < fails_after {
            true => Ok(Bytes::from(format!("{number:>50000}"))),
            false => Err("broken off"),
        });
        let answer = answer("application/json", None, Body::from_stream(pieces));
        let mut body = compressed(answer, true).into_body().into_data_stream();
        let mut frames = Vec::new();
        loop {
            match body.try_next().await {
                Ok(Some(frame)) => frames.push(frame),
                ended => return (frames, ended.is_ok()),
            }
        }
    }

    #[tokio::test]
    async fn what_is_long_is_compressed_as_it_comes_and_broken_off_as_it_would_be() {
        let (all, is_whole) = frames(usize::MAX).await;
        assert!(is_whole && all.len() > 2);
        let mut text = String::new();
        MultiGzDecoder::new(all.concat().as_slice())
            .read_to_string(&mut text)
            .unwrap();
        assert!(text.len() == 100 * 50_000 && text.ends_with("     99"));
        let (_, is_whole) = frames(50).await;
        assert!(!is_whole);
    }
}
