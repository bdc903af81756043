//! Every kind of wrong token really is wrong in the way that was asked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::harness::{API, API_URI, BASE_URL, CLIENT, NOW, TENANT, issuer, verified_claims};
use crate::{Error, SigningKeyChoice, TokenAlgorithm, TokenRequest, TokenVersion};

fn part(token: &str, index: usize) -> Map<String, Value> {
    let segment = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).unwrap()).unwrap()
}

#[test]
fn a_v1_token_has_the_older_claims() {
    let request = TokenRequest {
        version: Some(TokenVersion::V1),
        ..TokenRequest::user("reader-user")
    };
    let token = issuer().mint(&request).unwrap();
    let claims = part(&token, 1);

    assert_eq!(claims["ver"], "1.0");
    assert_eq!(claims["iss"], format!("{BASE_URL}/{TENANT}/"));
    assert_eq!(claims["aud"], API_URI);
    assert_eq!((&claims["appidacr"], claims.get("azp")), (&json!("0"), None));
    assert_eq!(claims["upn"], "reader@contoso.com");
    let header = part(&token, 0);
    assert_eq!(header["x5t"], header["kid"]);
}

#[test]
fn the_audience_is_as_asked_in_v1_and_the_client_id_in_v2() {
    let slashed = format!("{API_URI}/");
    let cases = [
        (TokenVersion::V1, slashed.as_str(), slashed.clone()),
        (TokenVersion::V2, slashed.as_str(), API.to_string()),
        (
            TokenVersion::V2,
            "https://elsewhere.example",
            "https://elsewhere.example".to_owned(),
        ),
    ];
    let issuer = issuer();
    for (version, audience, expected) in cases {
        let mut request = TokenRequest::client("owner");
        request.version = Some(version);
        request.audience = Some(audience.to_owned());
        assert_eq!(part(&issuer.mint(&request).unwrap(), 1)["aud"], expected);
    }
}

#[test]
fn times_are_relative_to_the_clock() {
    let issuer = issuer();
    let expired = TokenRequest {
        expires_in: Some(-600),
        ..TokenRequest::client("owner")
    };
    let claims = part(&issuer.mint(&expired).unwrap(), 1);
    assert_eq!(
        (&claims["exp"], &claims["iat"]),
        (&json!(NOW - 600), &json!(NOW - 4_200))
    );

    let early = TokenRequest {
        not_before: Some(900),
        ..TokenRequest::client("owner")
    };
    assert_eq!(part(&issuer.mint(&early).unwrap(), 1)["nbf"], json!(NOW + 900));
}

#[test]
fn claims_can_be_replaced_and_left_out() {
    let tenant = Uuid::from_u128(7);
    let mut request = TokenRequest::client("owner")
        .with_claim("idtyp", "device")
        .without_claim("sub");
    request.tenant = Some(tenant);
    request.issuer = Some("https://evil.example".to_owned());
    let claims = part(&issuer().mint(&request).unwrap(), 1);

    assert_eq!(
        (&claims["tid"], &claims["iss"]),
        (&json!(tenant), &json!("https://evil.example"))
    );
    assert_eq!((&claims["idtyp"], claims.get("sub")), (&json!("device"), None));
}

#[test]
fn another_tenant_changes_the_issuer_too() {
    let tenant = Uuid::from_u128(7);
    let request = TokenRequest {
        tenant: Some(tenant),
        ..TokenRequest::client("owner")
    };
    let claims = part(&issuer().mint(&request).unwrap(), 1);
    assert_eq!(claims["iss"], format!("{BASE_URL}/{tenant}/v2.0"));
}

#[test]
fn the_header_can_be_changed() {
    let mut request = TokenRequest::client("owner");
    request.header.insert("crit".to_owned(), json!(["exp"]));
    request.header.insert("kid".to_owned(), Value::Null);
    let header = part(&issuer().mint(&request).unwrap(), 0);
    assert_eq!(
        (&header["crit"], &header["kid"], &header["alg"]),
        (&json!(["exp"]), &Value::Null, &json!("RS256"))
    );
}

#[test]
fn an_unsigned_token_has_an_empty_signature() {
    let request = TokenRequest {
        alg: TokenAlgorithm::None,
        ..TokenRequest::client("owner")
    };
    let token = issuer().mint(&request).unwrap();
    assert_eq!(part(&token, 0)["alg"], "none");
    assert!(token.ends_with('.'));
}

#[test]
fn a_confused_token_is_signed_with_the_public_key() {
    let issuer = issuer();
    let request = TokenRequest {
        alg: TokenAlgorithm::Hs256WithPublicKey,
        ..TokenRequest::client("owner")
    };
    let token = issuer.mint(&request).unwrap();
    let pem = issuer.current_key().public_pem().unwrap();

    let secret = jsonwebtoken::DecodingKey::from_secret(pem.as_bytes());
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    assert!(jsonwebtoken::decode::<Map<String, Value>>(&token, &secret, &validation).is_ok());
    assert!(
        jsonwebtoken::DecodingKey::from_rsa_pem(pem.as_bytes()).is_ok(),
        "the PEM is a real key"
    );
}

#[test]
fn an_impostors_key_is_unknown_and_can_borrow_a_kid() {
    let issuer = issuer();
    let keys = issuer.key_set(TokenVersion::V2);
    let mut request = TokenRequest {
        key: SigningKeyChoice::Unknown,
        ..TokenRequest::client("owner")
    };
    let unknown = issuer.mint(&request).unwrap();
    assert!(
        keys.keys
            .iter()
            .all(|key| part(&unknown, 0)["kid"] != key.kid.as_str())
    );

    request.kid = Some(keys.keys[0].kid.clone());
    let borrowed = issuer.mint(&request).unwrap();
    assert_eq!(part(&borrowed, 0)["kid"], keys.keys[0].kid.as_str());
    assert!(verified_claims(&borrowed, &keys).is_none());
}

#[test]
fn principals_are_found_by_name_and_by_id() {
    let issuer = issuer();
    for key in [
        "owner".to_owned(),
        CLIENT.to_string(),
        CLIENT.to_string().to_uppercase(),
    ] {
        assert!(issuer.mint(&TokenRequest::client(key)).is_ok());
    }
    let stranger = issuer.mint(&TokenRequest::user("stranger")).unwrap_err();
    assert_eq!(
        (stranger.code(), stranger.to_string().contains("stranger")),
        ("UnknownPrincipal", true)
    );
    assert!(matches!(
        issuer.mint(&TokenRequest::default()),
        Err(Error::NoPrincipal)
    ));
}

#[test]
fn secrets_do_not_print() {
    let printed = format!("{:?}", super::harness::directory());
    assert!(!printed.contains(super::harness::SECRET) && !printed.contains(super::harness::PASSWORD));
}
