//! Every token that must be refused.

use entra_local::{SigningKeyChoice, TokenAlgorithm, TokenRequest};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use super::fixture::{
    ANY, API_URI, BASE_URL, Fixture, OTHER_TENANT, TENANT, application, bearer, call, call_as_customer,
    present, refusal, refused, user, v1,
};
use crate::AuthFailure::{Audience, Expired, InsufficientScope, Issuer, Malformed, Missing, Signature};
use crate::Door;
use crate::token::{UnverifiedToken, normal_audience};

#[tokio::test]
async fn times_that_do_not_include_now() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let cases = [
        (
            TokenRequest {
                expires_in: Some(-301),
                ..application()
            },
            Expired,
        ),
        (
            TokenRequest {
                not_before: Some(301),
                ..application()
            },
            Expired,
        ),
        (application().without_claim("exp"), Malformed),
        (application().with_claim("exp", "4102444800"), Malformed),
        (application().with_claim("exp", Value::Null), Malformed),
        (application().with_claim("nbf", "0"), Malformed),
        (application().with_claim("exp", i64::MIN), Expired),
        (application().with_claim("nbf", i64::MAX), Expired),
    ];
    for (request, failure) in cases {
        assert_eq!(
            refusal(&fixture, &authenticator, &request).await,
            (401, failure),
            "{:?}",
            request.claims
        );
    }
}

#[tokio::test]
async fn a_token_expires_while_it_is_remembered() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let token = fixture.mint(&TokenRequest {
        expires_in: Some(60),
        ..application()
    });
    assert!(present(&authenticator, &token).await.is_ok());
    fixture.advance(361);
    assert_eq!(refused(present(&authenticator, &token).await), (401, Expired));
}

#[tokio::test]
async fn a_token_for_somebody_else() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let audiences: [Value; 7] = [
        json!("https://graph.microsoft.com"),
        json!(format!("{API_URI}//")),
        json!(format!("{API_URI}/more")),
        json!(API_URI.to_uppercase().replace("APPS", "APP")),
        json!(["https://graph.microsoft.com"]),
        json!([]),
        json!(7),
    ];
    for audience in audiences {
        let request = application().with_claim("aud", audience.clone());
        assert_eq!(
            refusal(&fixture, &authenticator, &request).await,
            (401, Audience),
            "{audience}"
        );
    }
    let none = application().without_claim("aud");
    assert_eq!(refusal(&fixture, &authenticator, &none).await, (401, Audience));
}

#[tokio::test]
async fn an_issuer_or_tenant_that_is_not_trusted() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let issued_by = |issuer: String| TokenRequest {
        issuer: Some(issuer),
        ..application()
    };
    let cases = [
        issued_by("https://evil.example".to_owned()),
        issued_by(format!("{BASE_URL}/{TENANT}/")),
        issued_by(format!("{BASE_URL}/{TENANT}/v2.0/")),
        issued_by(format!("{BASE_URL}/{OTHER_TENANT}/v2.0")),
        v1(issued_by(format!("{BASE_URL}/{TENANT}/v2.0"))),
        TokenRequest {
            tenant: Some(OTHER_TENANT),
            ..application()
        },
        application().with_claim("tid", OTHER_TENANT.to_string()),
        application().with_claim("tid", "contoso.com"),
        application().with_claim("tid", format!("{{{TENANT}}}")),
        application().with_claim("ver", "3.0"),
        application().without_claim("ver"),
        application().without_claim("tid"),
        application().without_claim("iss"),
    ];
    for request in cases {
        assert_eq!(
            refusal(&fixture, &authenticator, &request).await,
            (401, Issuer),
            "{request:?}"
        );
    }
    assert_eq!(
        fixture.all_requests(),
        0,
        "nobody makes us fetch for a foreign issuer"
    );
}

#[tokio::test]
async fn the_tenant_of_personal_accounts_even_where_any_is_welcome() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator_with(ANY);
    let consumers = uuid!("9188040d-6c67-4c5b-b112-36a304b66dad");
    let request = TokenRequest {
        tenant: Some(consumers),
        ..user()
    };
    let outcome = call_as_customer(&fixture, &authenticator, &request).await;
    assert_eq!(refused(outcome), (401, Issuer));
}

#[tokio::test]
async fn signatures_that_prove_nothing() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let kid = fixture.issuer.key_set(entra_local::TokenVersion::V2).keys[0]
        .kid
        .clone();
    let unsigned = TokenRequest {
        alg: TokenAlgorithm::None,
        ..application()
    };
    let confused = TokenRequest {
        alg: TokenAlgorithm::Hs256WithPublicKey,
        ..application()
    };
    let impostor = TokenRequest {
        key: SigningKeyChoice::Unknown,
        ..application()
    };
    let borrowed = TokenRequest {
        kid: Some(kid),
        ..impostor.clone()
    };
    let long_kid = TokenRequest {
        kid: Some("k".repeat(257)),
        ..application()
    };
    let cases = [
        (unsigned, Malformed),
        (confused, Malformed),
        (impostor, Signature),
        (borrowed, Signature),
        (long_kid, Malformed),
    ];
    for (request, failure) in cases {
        assert_eq!(
            refusal(&fixture, &authenticator, &request).await,
            (401, failure),
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn headers_that_ask_for_something_else() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let with = |name: &str, value: Value| {
        let mut request = application();
        request.header.insert(name.to_owned(), value);
        request
    };
    let refused = [
        with("crit", json!(["exp"])),
        with("crit", json!([])),
        with("kid", Value::Null),
        with("kid", json!("")),
        with("alg", json!("rs256")),
        with("alg", json!("RS512")),
        with("alg", json!(["RS256"])),
    ];
    for request in refused {
        assert_eq!(
            refusal(&fixture, &authenticator, &request).await,
            (401, Malformed),
            "{:?}",
            request.header
        );
    }

    let elsewhere = Fixture::open().await;
    let keys = format!("{}/{TENANT}/discovery/v2.0/keys", elsewhere.origin);
    for name in ["jku", "x5u"] {
        let mut request = with(name, json!(keys));
        assert!(
            call(&fixture, &authenticator, &request).await.is_ok(),
            "{name} is ignored"
        );
        request.key = SigningKeyChoice::Unknown;
        assert_eq!(
            refusal(&fixture, &authenticator, &request).await,
            (401, Signature),
            "{name}"
        );
    }
    assert_eq!(elsewhere.all_requests(), 0);
}

#[tokio::test]
async fn a_bad_signature_hides_whatever_else_is_wrong() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let request = TokenRequest {
        key: SigningKeyChoice::Unknown,
        expires_in: Some(-9_999),
        ..application().with_claim("aud", "https://elsewhere.example")
    };
    assert_eq!(
        refusal(&fixture, &authenticator, &request).await,
        (401, Signature)
    );
}

#[tokio::test]
async fn no_byte_of_a_good_token_can_be_changed() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let good = fixture.mint(&application());
    for at in (0..good.len()).step_by(17).chain([good.len() - 1]) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert_eq!(
            refused(present(&authenticator, &changed).await).0,
            401,
            "byte {at}"
        );
    }
    assert!(present(&authenticator, &good).await.is_ok());
}

#[tokio::test]
async fn kinds_of_tokens_that_are_not_served() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let cases = [
        (
            application().with_claim("idtyp", "device"),
            403,
            InsufficientScope,
        ),
        (user().without_claim("scp"), 403, InsufficientScope),
        (user().with_claim("scp", "Other.Read"), 403, InsufficientScope),
        (
            user().with_claim("scp", "user_impersonation_not"),
            403,
            InsufficientScope,
        ),
        (
            user().with_claim("scp", "USER_IMPERSONATION"),
            403,
            InsufficientScope,
        ),
        (
            user().with_claim("idtyp", "user").without_claim("scp"),
            403,
            InsufficientScope,
        ),
        (application().with_claim("idtyp", "user"), 403, InsufficientScope),
        (
            application().with_claim("scp", "user_impersonation"),
            401,
            Malformed,
        ),
        (application().with_claim("scp", ""), 401, Malformed),
        (application().without_claim("azp"), 401, Malformed),
        (application().with_claim("azp", "not a GUID"), 401, Malformed),
        (v1(application()).without_claim("appid"), 401, Malformed),
        (user().without_claim("oid"), 401, Malformed),
        (user().with_claim("oid", "reader@contoso.com"), 401, Malformed),
    ];
    for (request, status, failure) in cases {
        let answered = refusal(&fixture, &authenticator, &request).await;
        assert_eq!(
            answered,
            (status, failure),
            "{:?} without {:?}",
            request.claims,
            request.omit_claims
        );
    }
}

#[tokio::test]
async fn an_application_is_not_known_by_the_other_versions_client_claim() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let request = application()
        .without_claim("azp")
        .with_claim("appid", Uuid::from_u128(1).to_string());
    assert_eq!(
        refusal(&fixture, &authenticator, &request).await,
        (401, Malformed)
    );
}

#[tokio::test]
async fn text_that_is_no_token() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let good = fixture.mint(&application());
    let huge = fixture.mint(&application().with_claim("filler", "x".repeat(16 * 1024)));
    let with_four_parts = format!("{good}.x");
    let (two_parts, _) = good.rsplit_once('.').unwrap();
    let padded = good.replacen('.', "=.", 1);
    let cases = [
        "garbage",
        "a.b.c",
        "..",
        ".",
        &huge,
        &with_four_parts,
        two_parts,
        &padded,
        "x y z",
        "💥.💥.💥",
    ];
    for token in cases {
        assert_eq!(
            refused(present(&authenticator, token).await),
            (401, Malformed),
            "{token:.40}"
        );
    }
    for header in ["Basic dXNlcjpwYXNz", "Token x", good.as_str(), ""] {
        assert_eq!(
            refused(authenticator.authenticate(Door::Vendor, Some(header)).await),
            (401, Missing),
            "{header:.40}"
        );
    }
    assert_eq!(fixture.all_requests(), 0);
}

#[tokio::test]
async fn a_token_of_sixteen_kibibytes_is_still_read() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let short = fixture.mint(&application().with_claim("filler", ""));
    // Four letters of base64 carry three bytes.
    let room = (16 * 1024 - short.len()) / 4 * 3;
    let longest = fixture.mint(&application().with_claim("filler", "x".repeat(room)));
    assert!(longest.len() > 16 * 1024 - 4 && longest.len() <= 16 * 1024);
    assert!(present(&authenticator, &longest).await.is_ok());
}

#[tokio::test]
async fn a_refusal_never_repeats_what_was_sent() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let request = user().with_claim("aud", "https://sent-by-the-caller.example");
    let error = authenticator
        .authenticate(Door::Vendor, Some(&bearer(&fixture.mint(&request))))
        .await
        .unwrap_err();
    let told = format!("{error} {}", error.www_authenticate().unwrap());
    assert!(
        !told.contains("sent-by-the-caller") && !told.contains("eyJ"),
        "{told}"
    );
    // The log has both sides: whoever sees only one of them cannot tell what to mend.
    let logged = error.detail();
    for side in ["https://sent-by-the-caller.example", API_URI] {
        assert!(logged.contains(&format!("'{side}'")), "{logged}");
    }
    assert!(!logged.contains("eyJ"), "{logged}");
}

#[tokio::test]
async fn a_strange_audience_stays_on_its_line() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let request = user().with_claim("aud", vec!["a\nb\u{202e}c".to_owned(), "x".repeat(5_000)]);
    let error = present(&authenticator, &fixture.mint(&request))
        .await
        .unwrap_err();
    let logged = error.detail();
    assert!(!logged.contains('\n') && !logged.contains('\u{202e}'), "{logged}");
    assert!(logged.len() < 1_000, "{logged}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_text_is_refused_without_a_panic(text in "\\PC{0,80}") {
        prop_assert!(UnverifiedToken::read(&text).is_err());
    }

    #[test]
    fn audiences_differ_neither_by_a_slash_nor_by_the_case_of_the_host(
        host in "[a-z0-9.-]{1,20}", path in "(/[A-Za-z0-9]{1,8}){0,3}"
    ) {
        let plain = format!("https://{host}{path}");
        let shouted = format!("HTTPS://{}{path}/", host.to_uppercase());
        prop_assert_eq!(normal_audience(&plain), normal_audience(&shouted));
    }
}
