//! An application that proves who it is by a certificate: it signs what it shows with the key of that certificate.
//! Source: Microsoft Entra's "certificate credentials" of an application.

use crate::failure::Failure;
use client::{Assertions, Error, SecureUrl};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use futures::future::BoxFuture;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::SecretString;
use serde_json::json;
use server::clock::wall_seconds;
use sha2::{Digest, Sha256};
use std::{fmt, fs, path::Path};
use uuid::Uuid;

/// How long what is signed is good, seconds.
const LIFE: i64 = 600;

/// An application's certificate, with its key.
pub(super) struct Certificate {
    key: EncodingKey,
    /// SHA-256 of the certificate, by which the issuer finds it.
    thumbprint: String,
    client_id: String,
    /// The issuer that it is shown to.
    audience: String,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.thumbprint)
    }
}

impl Certificate {
    /// The one in the file at `path`, of the application `client_id`, to be shown at `token_url`.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the file holds no certificate and RSA key in PEM form.
    pub(super) fn read(path: &Path, token_url: &SecureUrl, client_id: String) -> Result<Self, Failure> {
        let pem = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
        let wrong = |what: &str| {
            Failure::Usage(format!(
                "--client-certificate: {} holds no {what} in PEM form",
                path.display()
            ))
        };
        let certificate = block(&pem, "CERTIFICATE").and_then(der);
        let certificate = certificate.ok_or_else(|| wrong("certificate"))?;
        let key = ["PRIVATE KEY", "RSA PRIVATE KEY"]
            .iter()
            .find_map(|label| block(&pem, label));
        let key = key.and_then(|key| EncodingKey::from_rsa_pem(key.as_bytes()).ok());
        Ok(Self {
            key: key.ok_or_else(|| wrong("RSA key without a password"))?,
            thumbprint: BASE64URL_NOPAD.encode(&Sha256::digest(&certificate)),
            audience: token_url.as_str().to_owned(),
            client_id,
        })
    }

    fn sign(&self, now: i64) -> client::Result<SecretString> {
        let mut header = Header::new(Algorithm::PS256);
        header.x5t_s256 = Some(self.thumbprint.clone());
        let claims = json!({
            "aud": self.audience,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": Uuid::new_v4(),
            "iat": now,
            "nbf": now,
            "exp": now + LIFE,
        });
        let signed = encode(&header, &claims, &self.key);
        let signed =
            signed.map_err(|error| Error::NoSignIn(format!("The certificate's key cannot sign: {error}")))?;
        Ok(signed.into())
    }
}

impl Assertions for Certificate {
    fn fetch(&self) -> BoxFuture<'_, client::Result<SecretString>> {
        Box::pin(async { self.sign(wall_seconds()) })
    }
}

/// The first block of that kind, with its borders.
fn block<'p>(pem: &'p str, label: &str) -> Option<&'p str> {
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let start = pem.find(&begin)?;
    let rest = pem.get(start..)?;
    rest.get(..rest.find(&end)? + end.len())
}

/// The bytes of a block.
fn der(block: &str) -> Option<Vec<u8>> {
    let lines: String = block
        .lines()
        .filter(|line| !line.starts_with('-'))
        .map(str::trim)
        .collect();
    BASE64.decode(lines.as_bytes()).ok()
}
