//! Packages on their way back: the whole or the rest of one, and what the service says of its bytes.

use crate::{
    Client,
    error::{Error, Result, header},
    request::{Call, Request},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use percent_encoding::percent_decode_str;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, ETAG, HeaderMap},
};
use sha2::{Digest, Sha256};

/// The package of a version, not asked for yet.
#[derive(Clone, Debug)]
pub struct StoredPackage {
    client: Client,
    url: Url,
}

/// What the service says of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageFacts {
    /// The SHA-256 of the whole, in lower-case hexadecimal digits; not every service names it.
    pub sha256: Option<String>,
    /// A strong tag of exactly these bytes, by which the rest of them is asked for; not every service has one.
    pub etag: Option<String>,
    /// The name it gives the file. It comes from whoever built the package and may be no harmless one.
    pub file_name: Option<String>,
}

/// The bytes of a package while they arrive.
#[derive(Debug)]
pub struct PackageStream {
    client: Client,
    answer: Response,
    /// What the service says of the whole.
    pub facts: PackageFacts,
    /// Which byte of the package comes first: 0, or the one that was asked for where the service knows ranges.
    pub begins_at: u64,
}

impl StoredPackage {
    pub(crate) fn new(client: &Client, url: Url) -> Self {
        Self {
            client: client.clone(),
            url,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Asks for the bytes from `first` on: by the documented POST for the whole, and by GET, which knows ranges, for
    /// the rest of it. With the `etag` of what is there already the whole is sent where it is another one by now.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub async fn open(&self, first: u64, etag: Option<&str>) -> Result<PackageStream> {
        let request: Request<()> = match first {
            0 => Request::new(&self.client, Method::POST, self.url.clone()).repeatable(),
            _ => {
                let range = format!("bytes={first}-");
                let mut rest = Call::new(Method::GET, self.url.clone()).header("range", &range);
                if let Some(etag) = etag {
                    rest = rest.header("if-range", etag);
                }
                Request::of(&self.client, rest)
            }
        };
        let (client, answer) = request.open().await?;
        Ok(PackageStream::new(client, answer))
    }

    /// What the service says of it, without its bytes.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub async fn facts(&self) -> Result<PackageFacts> {
        let request: Request<()> = Request::new(&self.client, Method::HEAD, self.url.clone());
        let (_, answer) = request.open().await?;
        Ok(PackageFacts::of(answer.headers()))
    }

    /// The digest of the stored bytes: as the service tells it, or else of the bytes, which are fetched and thrown
    /// away.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub async fn sha256(&self) -> Result<String> {
        if let Ok(PackageFacts {
            sha256: Some(told), ..
        }) = self.facts().await
        {
            return Ok(told);
        }
        self.open(0, None).await?.pass_on(|_| Ok(())).await
    }

    /// All bytes.
    ///
    /// # Errors
    /// Those of [`PackageStream::pass_on`].
    pub async fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let package = self.open(0, None).await?;
        package
            .pass_on(|chunk| {
                bytes.extend_from_slice(chunk);
                Ok::<_, Error>(())
            })
            .await?;
        Ok(bytes)
    }
}

impl PackageStream {
    pub(crate) fn new(client: Client, answer: Response) -> Self {
        Self {
            facts: PackageFacts::of(answer.headers()),
            begins_at: begins_at(answer.status(), answer.headers()),
            client,
            answer,
        }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the connection breaks, [`Error::Stalled`] when nothing arrives for too long.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.client.next_chunk(&mut self.answer).await
    }

    /// How many bytes the whole package has, as far as that is known.
    #[must_use]
    pub fn whole_length(&self) -> Option<u64> {
        let length: u64 = header(self.answer.headers(), CONTENT_LENGTH.as_str())?
            .parse()
            .ok()?;
        Some(self.begins_at + length)
    }

    /// Passes all bytes of a whole package on to `take`, then makes sure that they are the right ones; their SHA-256.
    ///
    /// # Errors
    /// [`Error::Damaged`] when they are not those that the service named, and those of [`PackageStream::chunk`] and
    /// of `take`.
    pub async fn pass_on<E: From<Error>>(
        mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<String, E> {
        let mut digest = Sha256::new();
        while let Some(chunk) = self.chunk().await? {
            digest.update(&chunk);
            take(&chunk)?;
        }
        let actual = HEXLOWER.encode(&digest.finalize());
        match self.facts.sha256 {
            Some(expected) if expected != actual => Err(Error::Damaged { expected, actual }.into()),
            _ => Ok(actual),
        }
    }
}

impl PackageFacts {
    fn of(headers: &HeaderMap) -> Self {
        Self {
            sha256: sha256(headers),
            etag: header(headers, ETAG.as_str()).filter(|tag| tag.starts_with('"')),
            file_name: file_name(headers),
        }
    }
}

/// Where a part begins.
fn begins_at(status: StatusCode, headers: &HeaderMap) -> u64 {
    let range = header(headers, "content-range").filter(|_| status == StatusCode::PARTIAL_CONTENT);
    let first = range
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok());
    first.unwrap_or(0)
}

/// The SHA-256 in `Repr-Digest` (RFC 9530), which is that of the whole package also when only a part is sent.
fn sha256(headers: &HeaderMap) -> Option<String> {
    let field = header(headers, "repr-digest")?;
    let digests = field
        .split(',')
        .filter_map(|member| member.trim().split_once('='));
    for (algorithm, value) in digests {
        if algorithm.trim().eq_ignore_ascii_case("sha-256") {
            let bytes = STANDARD.decode(value.trim().trim_matches(':')).ok()?;
            return Some(HEXLOWER.encode(&bytes));
        }
    }
    None
}

fn file_name(headers: &HeaderMap) -> Option<String> {
    let field = header(headers, "content-disposition")?;
    extended_name(&field).or_else(|| quoted_name(&field))
}

/// `filename*=UTF-8''…` (RFC 8187).
fn extended_name(field: &str) -> Option<String> {
    let (_, value) = field.split_once("filename*=")?;
    let encoded = value.split(';').next()?.trim();
    let (_, text) = encoded
        .strip_prefix("UTF-8'")
        .or_else(|| encoded.strip_prefix("utf-8'"))?
        .split_once('\'')?;
    Some(percent_decode_str(text).decode_utf8_lossy().into_owned())
}

/// `filename="…"`.
fn quoted_name(field: &str) -> Option<String> {
    let (_, value) = field.split_once("filename=")?;
    match value.strip_prefix('"') {
        Some(quoted) => Some(quoted.split_once('"')?.0.to_owned()),
        None => Some(value.split(';').next()?.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn facts(name: &'static str, field: &str) -> PackageFacts {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(field).unwrap());
        PackageFacts::of(&headers)
    }

    #[test]
    fn the_digest_is_found_among_others() {
        let told = |field: &str| facts("repr-digest", field).sha256;
        let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(told(&format!("sha-256=:{empty}:")).as_deref(), Some(expected));
        let among = format!("sha-512=:AAAA:, SHA-256=:{empty}:");
        assert_eq!(told(&among).as_deref(), Some(expected));
        assert_eq!(told("sha-512=:AAAA:"), None);
    }

    #[test]
    fn the_service_names_the_file() {
        let named = |field: &str| facts("content-disposition", field).file_name;
        let plain = named("attachment; filename=\"Contoso_Sales Pack_1.2.3.4.app\"");
        assert_eq!(plain.as_deref(), Some("Contoso_Sales Pack_1.2.3.4.app"));
        let extended = named(
            "attachment; filename=\"x_x_1.app\"; filename*=UTF-8''Contoso_Localizaci%C3%B3n_1.0.0.0.app",
        );
        assert_eq!(extended.as_deref(), Some("Contoso_Localización_1.0.0.0.app"));
        assert_eq!(named("attachment"), None);
    }

    #[test]
    fn a_part_says_where_it_begins() {
        let mut headers = HeaderMap::new();
        headers.insert("content-range", HeaderValue::from_static("bytes 7-9/10"));
        assert_eq!(begins_at(StatusCode::PARTIAL_CONTENT, &headers), 7);
        assert_eq!(begins_at(StatusCode::OK, &headers), 0);
    }
}
