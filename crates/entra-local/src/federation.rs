//! Workload identity federation: an application proves who it is by a token of another issuer, whom its registration
//! names, instead of by a secret (RFC 7523 §2.2). Refused in the order and with the numbers that Entra has for it.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::directory::FederatedCredential;
use crate::grants::Fields;
use crate::oauth_error::Refusal;
use crate::{JsonWebKey, JsonWebKeySet};

/// The kind of an assertion that is read.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far the clocks of two issuers may differ, seconds.
const LEEWAY_SECONDS: i64 = 300;

/// A token that an application shows, read and not believed.
pub(crate) struct Assertion {
    header: Value,
    claims: Value,
    /// What is signed.
    message: String,
    signature: Vec<u8>,
}

impl Assertion {
    /// The one of the form; none in a form without.
    pub(crate) fn read(fields: &Fields) -> Result<Option<Self>, Refusal> {
        let Some(token) = fields.get("client_assertion") else {
            return Ok(None);
        };
        let kind = fields
            .get("client_assertion_type")
            .map(String::as_str)
            .unwrap_or_default();
        if kind != JWT_BEARER {
            return Err(Refusal::UnsupportedAssertion(kind.to_owned()));
        }
        Self::parse(token).map(Some).ok_or(Refusal::MalformedAssertion)
    }

    fn parse(token: &str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let json = |part: &str| -> Option<Value> { serde_json::from_slice(&decoded(part)?).ok() };
        Some(Self {
            header: json(header)?,
            claims: json(claims)?,
            message: message.to_owned(),
            signature: decoded(signature)?,
        })
    }

    fn claim(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it proves an application that has these credentials registered.
    pub(crate) fn prove(&self, registered: &[FederatedCredential], now: i64) -> Result<(), Refusal> {
        self.check_time(now)?;
        if registered.is_empty() {
            return Err(Refusal::NoFederatedCredential);
        }
        let (issuer, subject, audience) = (self.claim("iss"), self.claim("sub"), self.claim("aud"));
        let of_issuer: Vec<_> = registered.iter().filter(|one| one.issuer == issuer).collect();
        if of_issuer.is_empty() {
            return Err(Refusal::OtherIssuer(issuer.to_owned()));
        }
        let of_subject: Vec<_> = of_issuer.iter().filter(|one| one.subject == subject).collect();
        if of_subject.is_empty() {
            return Err(Refusal::OtherSubject(subject.to_owned()));
        }
        let found = of_subject.iter().find(|one| one.audience == audience);
        let found = found.ok_or_else(|| Refusal::OtherAudience(audience.to_owned()))?;
        match self.is_signed_with(&found.keys) {
            true => Ok(()),
            false => Err(Refusal::BadAssertionSignature),
        }
    }

    fn check_time(&self, now: i64) -> Result<(), Refusal> {
        let second = |name: &str| self.claims.get(name).and_then(Value::as_i64);
        let until = second("exp").ok_or(Refusal::MalformedAssertion)?;
        let from = second("nbf").or_else(|| second("iat")).unwrap_or(now);
        let is_good =
            from.saturating_sub(LEEWAY_SECONDS) <= now && now < until.saturating_add(LEEWAY_SECONDS);
        match is_good {
            true => Ok(()),
            false => Err(Refusal::AssertionOutOfTime { from, until }),
        }
    }

    fn is_signed_with(&self, keys: &JsonWebKeySet) -> bool {
        let of_header = |name: &str| self.header.get(name).and_then(Value::as_str);
        let key = keys
            .keys
            .iter()
            .find(|key| Some(key.kid.as_str()) == of_header("kid"));
        of_header("alg") == Some("RS256") && key.is_some_and(|key| self.is_signed_by(key).is_some())
    }

    fn is_signed_by(&self, key: &JsonWebKey) -> Option<()> {
        let number = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let public = PublicKeyComponents {
            n: number(&key.n)?,
            e: number(&key.e)?,
        };
        let message = self.message.as_bytes();
        let verified = public.verify(&RSA_PKCS1_2048_8192_SHA256, message, &self.signature);
        verified.ok()
    }
}
