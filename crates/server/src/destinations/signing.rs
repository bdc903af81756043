//! Signatures of Standard Webhooks 1.0: whoever is told can see that the service told it, and when.

use crate::secrets::{SecretError, random};
use aws_lc_rs::hmac;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue};

/// How secrets begin.
const PREFIX: &str = "whsec_";

/// A new secret: 32 random bytes.
pub(crate) fn new_secret() -> Result<String, SecretError> {
    Ok(format!("{PREFIX}{}", BASE64.encode(&random::<32>()?)))
}

/// The headers of a message, signed with each of the secrets.
pub(crate) fn headers(id: &str, timestamp: i64, body: &str, secrets: &[String]) -> HeaderMap {
    let content = format!("{id}.{timestamp}.{body}");
    let signatures: Vec<_> = secrets
        .iter()
        .filter_map(|secret| BASE64.decode(secret.trim_start_matches(PREFIX).as_bytes()).ok())
        .map(|key| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), content.as_bytes()))
        .map(|tag| format!("v1,{}", BASE64.encode(tag.as_ref())))
        .collect();
    let values = [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ];
    let headers = values.into_iter().filter_map(|(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
    });
    headers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_the_specification_comes_out() {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned();
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        let headers = headers("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body, &[secret]);
        assert_eq!(
            headers["webhook-signature"],
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }
}
