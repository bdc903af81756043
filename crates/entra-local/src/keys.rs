//! Signing keys, and the key set in which their public halves are served.
//!
//! A rotation keeps the former keys in the set, as Entra does, because tokens signed by them are still good;
//! they go only when told to.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Base64 as tokens and key sets use it: URL alphabet, no padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// One public key as Entra serves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JsonWebKey {
    /// Always `RSA`.
    pub kty: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// Key id: the RFC 7638 thumbprint.
    pub kid: String,
    /// Entra repeats the key id here for clients of v1.0.
    #[serde(default)]
    pub x5t: String,
    /// Modulus, base64url.
    pub n: String,
    /// Exponent, base64url.
    pub e: String,
    /// Whose tokens the key may sign; `{tenantid}` stands for any tenant. Only v2.0 sets have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// The answer of the keys endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JsonWebKeySet {
    /// The current key first.
    pub keys: Vec<JsonWebKey>,
}

/// An RSA-2048 key pair that signs tokens.
pub(crate) struct SigningKey {
    pair: KeyPair,
    kid: String,
}

impl SigningKey {
    pub(crate) fn generate() -> Result<Self, Error> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::KeyGeneration)?;
        Ok(Self::from_pair(pair))
    }

    /// Reads what [`SigningKey::to_base64`] wrote.
    pub(crate) fn from_base64(text: &str) -> Result<Self, Error> {
        let damaged = || Error::DamagedState("a signing key is not PKCS#8 in base64");
        let pkcs8 = STANDARD.decode(text).map_err(|_| damaged())?;
        let pair = KeyPair::from_pkcs8(&pkcs8).map_err(|_| damaged())?;
        Ok(Self::from_pair(pair))
    }

    /// PKCS#8 in base64.
    pub(crate) fn to_base64(&self) -> Result<String, Error> {
        let pkcs8: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| Error::KeyGeneration)?;
        Ok(STANDARD.encode(pkcs8.as_ref()))
    }

    fn from_pair(pair: KeyPair) -> Self {
        let kid = thumbprint(&pair);
        Self { pair, kid }
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// RS256 over `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0_u8; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| Error::Signing)?;
        Ok(signature)
    }

    /// The public key as a PEM file: the "secret" of an algorithm confusion attack.
    pub(crate) fn public_pem(&self) -> Result<String, Error> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().map_err(|_| Error::Signing)?;
        let body = STANDARD.encode(der.as_ref());
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for line in body.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        Ok(pem)
    }

    fn public(&self, issuer: Option<String>) -> JsonWebKey {
        let (n, e) = components(&self.pair);
        JsonWebKey {
            kty: "RSA".to_owned(),
            usage: "sig".to_owned(),
            kid: self.kid.clone(),
            x5t: self.kid.clone(),
            n,
            e,
            issuer,
        }
    }
}

fn components(pair: &KeyPair) -> (String, String) {
    let public = pair.public_key();
    let n = base64url(public.modulus().big_endian_without_leading_zero());
    let e = base64url(public.exponent().big_endian_without_leading_zero());
    (n, e)
}

/// RFC 7638: SHA-256 over the required members in alphabetical order.
fn thumbprint(pair: &KeyPair) -> String {
    let (n, e) = components(pair);
    let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    base64url(digest.as_ref())
}

/// The current key and its predecessors.
pub(crate) struct KeyRing {
    /// The current key first; never empty.
    keys: Vec<Arc<SigningKey>>,
}

impl KeyRing {
    pub(crate) fn generate() -> Result<Self, Error> {
        Ok(Self {
            keys: vec![Arc::new(SigningKey::generate()?)],
        })
    }

    pub(crate) fn from_base64(keys: &[String]) -> Result<Self, Error> {
        if keys.is_empty() {
            return Err(Error::DamagedState("it has no signing key"));
        }
        let mut loaded = Vec::with_capacity(keys.len());
        for key in keys {
            loaded.push(Arc::new(SigningKey::from_base64(key)?));
        }
        Ok(Self { keys: loaded })
    }

    pub(crate) fn to_base64(&self) -> Result<Vec<String>, Error> {
        self.keys.iter().map(|key| key.to_base64()).collect()
    }

    #[expect(clippy::indexing_slicing, reason = "there is always one")]
    pub(crate) fn current(&self) -> Arc<SigningKey> {
        Arc::clone(&self.keys[0])
    }

    pub(crate) fn rotate(&mut self, new: SigningKey) {
        self.keys.insert(0, Arc::new(new));
    }

    pub(crate) fn retire_previous(&mut self) {
        self.keys.truncate(1);
    }

    pub(crate) fn public_keys(&self, issuer: Option<&str>) -> JsonWebKeySet {
        let keys = self
            .keys
            .iter()
            .map(|key| key.public(issuer.map(str::to_owned)))
            .collect();
        JsonWebKeySet { keys }
    }
}
