//! Package bytes on their way to this machine.
//!
//! What has arrived stays in a `.part` file beside the target until all of it is there and its digest is right, so
//! that a broken connection costs nothing and a file under its final name is always whole.

use crate::{
    client::{Call, Client},
    failure::{Failure, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use data_encoding::HEXLOWER;
use reqwest::{Method, Response, StatusCode, Url, header::HeaderMap};
use sha2::{Digest, Sha256};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// The digest of the stored package: as the service tells it, or else of the bytes, which are fetched and thrown away.
pub(super) async fn stored_sha256(client: &Client, contents: &Url) -> Result<String, Failure> {
    let asked = client.send(&Call::new(Method::HEAD, contents.clone())).await;
    if let Some(told) = asked.ok().and_then(|answer| told_sha256(answer.headers())) {
        return Ok(told);
    }
    let call = Call::new(Method::POST, contents.clone()).repeatable();
    let mut answer = client.send(&call).await?;
    let mut digest = Sha256::new();
    while let Some(chunk) = client.next_chunk(&mut answer).await? {
        digest.update(&chunk);
    }
    Ok(HEXLOWER.encode(&digest.finalize()))
}

/// The SHA-256 in `Repr-Digest` (RFC 9530), which is that of the whole package also when only a part is sent.
pub(super) fn told_sha256(headers: &HeaderMap) -> Option<String> {
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

/// Feeds everything that `source` holds to `digest`; says how many bytes that was.
pub(super) fn digest_all(mut source: impl Read, digest: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let mut length = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(bytes) => {
                digest.update(&buffer[..bytes]);
                length += bytes as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A file that is not complete yet.
pub(super) struct Partial {
    path: PathBuf,
    digest: Sha256,
    length: u64,
}

impl Partial {
    /// What an earlier try left at `path`, or nothing.
    pub(super) fn open(path: PathBuf) -> Result<Self, Failure> {
        let mut digest = Sha256::new();
        let length = match File::open(&path) {
            Ok(file) => digest_all(file, &mut digest).map_err(|error| Failure::file("read", &path, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(Failure::file("read", &path, error)),
        };
        Ok(Self { path, digest, length })
    }

    /// How many bytes are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends what `answer` holds, or starts anew when it holds the whole.
    pub(super) async fn take(
        &mut self,
        client: &Client,
        mut answer: Response,
        on_bytes: impl Fn(u64),
    ) -> Result<(), Failure> {
        let continues = answer.status() == StatusCode::PARTIAL_CONTENT && self.continues(answer.headers());
        let mut file = self.reopen(continues)?;
        if continues {
            on_bytes(self.length);
        }
        while let Some(chunk) = client.next_chunk(&mut answer).await? {
            file.write_all(&chunk)
                .map_err(|error| Failure::file("write", &self.path, error))?;
            self.digest.update(&chunk);
            self.length += chunk.len() as u64;
            on_bytes(chunk.len() as u64);
        }
        file.sync_all()
            .map_err(|error| Failure::file("write", &self.path, error))
    }

    /// Whether the answer begins where the file ends.
    fn continues(&self, headers: &HeaderMap) -> bool {
        let range = header(headers, "content-range").unwrap_or_default();
        range.starts_with(&format!("bytes {}-", self.length))
    }

    fn reopen(&mut self, continues: bool) -> Result<File, Failure> {
        let mut options = OpenOptions::new();
        options.create(true);
        if continues {
            options.append(true);
        } else {
            (self.digest, self.length) = (Sha256::new(), 0);
            options.write(true).truncate(true);
        }
        options
            .open(&self.path)
            .map_err(|error| Failure::file("write", &self.path, error))
    }

    /// The digest of what is there.
    pub(super) fn sha256(&self) -> String {
        HEXLOWER.encode(&self.digest.clone().finalize())
    }

    /// Gives the file its final name.
    pub(super) fn finish(self, target: &Path) -> Result<(), Failure> {
        std::fs::rename(&self.path, target).map_err(|error| Failure::file("write", target, error))
    }

    /// Throws away what is there.
    pub(super) fn discard(self) {
        // A leftover does no harm: the next try looks at it again.
        let _ = std::fs::remove_file(self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn told(field: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("repr-digest", HeaderValue::from_str(field).unwrap());
        told_sha256(&headers)
    }

    #[test]
    fn the_digest_is_found_among_others() {
        let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(told(&format!("sha-256=:{empty}:")).as_deref(), Some(expected));
        let among = format!("sha-512=:AAAA:, SHA-256=:{empty}:");
        assert_eq!(told(&among).as_deref(), Some(expected));
        assert_eq!(told("sha-512=:AAAA:"), None);
    }
}
