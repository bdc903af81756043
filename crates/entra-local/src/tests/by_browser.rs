//! Signing in by browser: whom the page offers, where it leads, and what a code is good for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::harness::{
    API, API_URI, CLIENT, DIRECTORY_ROLE, Harness, NOW, OTHER_TENANT, OTHER_USER, PUBLIC_CLIENT, Page,
    SECRET, TENANT, USER, WEB_ADDRESS, WEB_CLIENT, verified_claims,
};
use crate::TokenVersion;

/// A verifier and its challenge, those of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const BACK: &str = "http://localhost:8400";

/// A field of a form and its value.
type Field<'a> = (&'static str, &'a str);

/// What a public client asks with; `changes` replace or (with an empty value) remove some.
fn asked(changes: &[Field<'_>]) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("client_id", PUBLIC_CLIENT.to_string()),
        ("response_type", "code".to_owned()),
        ("redirect_uri", BACK.to_owned()),
        (
            "scope",
            format!("{API_URI}/.default openid profile offline_access"),
        ),
        ("state", "a b&c=d#e".to_owned()),
        ("nonce", "n-0S6".to_owned()),
        ("code_challenge", CHALLENGE.to_owned()),
        ("code_challenge_method", "S256".to_owned()),
    ];
    for (name, value) in changes {
        fields.retain(|(field, _)| field != name);
        if !value.is_empty() {
            fields.push((name, (*value).to_owned()));
        }
    }
    fields
}

fn borrowed<'a>(fields: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

/// Picks `account` on the page, as its form does.
async fn pick(harness: &Harness, tenant: &str, fields: &[(&'static str, String)], account: &str) -> Page {
    let mut fields = borrowed(fields);
    fields.push(("account", account));
    let own = [
        ("origin", harness.origin.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    harness
        .post_page(&format!("/{tenant}/oauth2/v2.0/authorize"), &fields, &own)
        .await
}

async fn code(harness: &Harness, changes: &[Field<'_>]) -> String {
    let page = pick(harness, &TENANT.to_string(), &asked(changes), &USER.to_string()).await;
    page.sent("code").unwrap_or_else(|| panic!("no code: {page:?}"))
}

async fn redeem(harness: &Harness, tenant: &str, changes: &[Field<'_>]) -> (u16, Value) {
    let mut fields = vec![
        ("grant_type", "authorization_code".to_owned()),
        ("client_id", PUBLIC_CLIENT.to_string()),
        ("redirect_uri", BACK.to_owned()),
        ("code_verifier", VERIFIER.to_owned()),
        ("client_info", "1".to_owned()),
    ];
    for (name, value) in changes {
        fields.retain(|(field, _)| field != name);
        if !value.is_empty() {
            fields.push((name, (*value).to_owned()));
        }
    }
    let path = format!("/{tenant}/oauth2/v2.0/token");
    harness.post_form(&path, &borrowed(&fields)).await
}

fn number(answer: &(u16, Value)) -> (u16, u64) {
    (answer.0, answer.1["error_codes"][0].as_u64().unwrap_or_default())
}

#[tokio::test]
async fn a_page_offers_the_users_of_the_tenant_and_runs_nothing() {
    let harness = Harness::open().await;
    let path = format!("/{TENANT}/oauth2/v2.0/authorize");
    let page = harness.page(&path, &borrowed(&asked(&[]))).await;

    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("reader@contoso.com") && page.text.contains("desktop"));
    assert!(!page.text.contains("ann@cronus.com") && !page.text.contains("<script"));
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self' http://localhost:8400",
    ] {
        assert!(page.policy.contains(part), "{}", page.policy);
    }
    assert!(!page.policy.contains("script-src") && !page.policy.contains("unsafe"));

    // An application of many tenants, at the address of all of them, and with names that could be markup.
    let client = WEB_CLIENT.to_string();
    let web = asked(&[
        ("client_id", &client),
        ("redirect_uri", WEB_ADDRESS),
        ("state", "\"><script>alert(1)</script>"),
        ("login_hint", "ANN@cronus.com"),
    ]);
    let page = harness
        .page("/organizations/oauth2/v2.0/authorize", &borrowed(&web))
        .await;
    assert!(page.text.contains("&lt;Ann&gt; &quot;admin&quot;") && !page.text.contains("<script"));
    let place = |name: &str| page.text.find(name).unwrap();
    assert!(
        place("ann@cronus.com") < place("reader@contoso.com"),
        "the one that is expected comes first"
    );
    assert!(
        page.policy
            .ends_with("form-action 'self' https://console.contoso.com"),
        "{}",
        page.policy
    );
}

#[tokio::test]
async fn who_signed_in_comes_back_with_a_code_for_all_that_a_library_stores() {
    let harness = Harness::open().await;
    let tenant = TENANT.to_string();
    let page = pick(
        &harness,
        &tenant,
        &asked(&[("client_info", "1")]),
        &USER.to_string(),
    )
    .await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert!(
        page.location
            .as_ref()
            .unwrap()
            .starts_with("http://localhost:8400?code=")
    );
    assert_eq!(page.sent("state").as_deref(), Some("a b&c=d#e"));
    let info = json!({ "uid": USER, "utid": TENANT });
    let read =
        |text: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap() };
    assert_eq!(read(&page.sent("client_info").unwrap()), info);

    harness.advance(5);
    let (status, body) = redeem(&harness, &tenant, &[("code", &page.sent("code").unwrap())]).await;
    assert_eq!(status, 200, "{body}");
    let keys = harness.issuer.key_set(TokenVersion::V2);
    let access = verified_claims(body["access_token"].as_str().unwrap(), &keys).unwrap();
    assert_eq!(
        (&access["aud"], &access["oid"], &access["scp"]),
        (&json!(API), &json!(USER), &json!("user_impersonation"))
    );
    assert_eq!(
        body["scope"],
        format!("{API_URI}/user_impersonation {API_URI}/.default")
    );
    assert_eq!(read(body["client_info"].as_str().unwrap()), info);
    let id = verified_claims(body["id_token"].as_str().unwrap(), &keys).unwrap();
    assert_eq!(id["aud"], json!(PUBLIC_CLIENT));
    assert_eq!(id["iss"], harness.issuer.issuer_of(TENANT, TokenVersion::V2));
    assert_eq!(
        (&id["nonce"], &id["auth_time"], &id["iat"]),
        (&json!("n-0S6"), &json!(NOW), &json!(NOW + 5))
    );
    assert_eq!(
        (&id["oid"], &id["tid"], &id["preferred_username"]),
        (&json!(USER), &json!(TENANT), &json!("reader@contoso.com"))
    );
    assert_eq!((id.get("scp"), id.get("wids"), id.get("azp")), (None, None, None));
    assert!(body["refresh_token"].is_string());
}

#[tokio::test]
async fn a_code_is_good_once_for_a_while_and_for_whoever_asked() {
    let harness = Harness::open().await;
    let tenant = TENANT.to_string();
    let good = code(&harness, &[]).await;
    assert_eq!(redeem(&harness, &tenant, &[("code", &good)]).await.0, 200);
    assert_eq!(
        number(&redeem(&harness, &tenant, &[("code", &good)]).await),
        (400, 70000),
        "a second time"
    );

    let owner = CLIENT.to_string();
    let cases: [(&[Field<'_>], u64); 5] = [
        (
            &[("code_verifier", "another-verifier-another-verifier-another-1")],
            501_481,
        ),
        (&[("code_verifier", "")], 501_481),
        (&[("redirect_uri", "http://localhost:8401")], 500_112),
        (&[("redirect_uri", "")], 500_112),
        (&[("client_id", &owner), ("client_secret", SECRET)], 70000),
    ];
    for (changes, expected) in cases {
        let code = code(&harness, &[]).await;
        let with_code = [changes, &[("code", code.as_str())]].concat();
        assert_eq!(
            number(&redeem(&harness, &tenant, &with_code).await),
            (400, expected),
            "{changes:?}"
        );
        assert_eq!(
            number(&redeem(&harness, &tenant, &[("code", &code)]).await),
            (400, 70000),
            "it is gone"
        );
    }

    let late = code(&harness, &[]).await;
    harness.advance(300);
    assert_eq!(
        number(&redeem(&harness, &tenant, &[("code", &late)]).await),
        (400, 70000),
        "too late"
    );
    let elsewhere = code(&harness, &[]).await;
    let refused = redeem(&harness, &OTHER_TENANT.to_string(), &[("code", &elsewhere)]).await;
    assert_eq!(number(&refused), (400, 700_016), "at another tenant");
}

#[tokio::test]
async fn a_public_client_proves_that_it_asked_and_others_their_secret() {
    let harness = Harness::open().await;
    let tenant = TENANT.to_string();
    let unproven = [("code_challenge", ""), ("code_challenge_method", "")];
    let bare = code(&harness, &unproven).await;
    let refused = redeem(&harness, &tenant, &[("code", &bare), ("code_verifier", "")]).await;
    assert_eq!(number(&refused), (400, 9_002_325));
    let bare = code(&harness, &unproven).await;
    assert_eq!(
        number(&redeem(&harness, &tenant, &[("code", &bare)]).await),
        (400, 501_481),
        "no challenge was given"
    );

    // Users of any tenant sign in to an application of many; it has roles to tell of them.
    let client = WEB_CLIENT.to_string();
    let web = [("client_id", client.as_str()), ("redirect_uri", WEB_ADDRESS)];
    let fields = asked(&[&web[..], &unproven, &[("scope", "openid profile")]].concat());
    let page = pick(&harness, "organizations", &fields, &OTHER_USER.to_string()).await;
    assert!(
        page.location
            .as_ref()
            .unwrap()
            .starts_with(&format!("{WEB_ADDRESS}&code="))
    );
    let code = page.sent("code").unwrap();
    let with = [
        &web[..],
        &[
            ("code", code.as_str()),
            ("code_verifier", ""),
            ("client_secret", SECRET),
        ],
    ]
    .concat();
    let (status, body) = redeem(&harness, "organizations", &with).await;
    assert_eq!(status, 200, "{body}");
    let keys = harness.issuer.key_set(TokenVersion::V2);
    let id = verified_claims(body["id_token"].as_str().unwrap(), &keys).unwrap();
    assert_eq!(
        (&id["tid"], &id["wids"]),
        (&json!(OTHER_TENANT), &json!([DIRECTORY_ROLE]))
    );
    let access = verified_claims(body["access_token"].as_str().unwrap(), &keys).unwrap();
    assert_eq!(
        (&access["aud"], &access["scp"]),
        (&json!(WEB_CLIENT), &json!("openid profile")),
        "it opens no API"
    );
    assert!(body["refresh_token"].is_null());
}

#[tokio::test]
async fn nobody_is_sent_where_the_application_is_not() {
    let harness = Harness::open().await;
    let tenant = TENANT.to_string();
    let nobody = "00000000-0000-0000-0000-00000000000f";
    let web = WEB_CLIENT.to_string();
    let cases: [(&str, &[Field<'_>], &str); 7] = [
        (
            &tenant,
            &[("redirect_uri", "https://evil.example/")],
            "https://evil.example/",
        ),
        (
            &tenant,
            &[("redirect_uri", "http://localhost:8400/other")],
            "AADSTS50011",
        ),
        (
            &tenant,
            &[("redirect_uri", "http://localhost:8400@evil.example")],
            "AADSTS50011",
        ),
        (&tenant, &[("redirect_uri", "")], "redirect_uri"),
        (&tenant, &[("client_id", nobody)], nobody),
        (&tenant, &[("client_id", &web)], "AADSTS50011"),
        (nobody, &[], "AADSTS90002"),
    ];
    for (tenant, changes, fact) in cases {
        // What else is wrong must not matter, nor that somebody was picked.
        let fields = asked(&[changes, &[("response_type", "token")]].concat());
        let page = pick(&harness, tenant, &fields, &USER.to_string()).await;
        assert_eq!(
            (page.status, page.location.as_deref()),
            (400, None),
            "{changes:?}"
        );
        assert!(
            page.text.contains(fact) && !page.text.contains("<form"),
            "{}",
            page.text
        );
        assert!(page.policy.contains("default-src 'none'"));
    }
}

#[tokio::test]
async fn the_application_hears_why_it_gets_no_code() {
    let harness = Harness::open().await;
    let path = format!("/{TENANT}/oauth2/v2.0/authorize");
    let cases: [(&[Field<'_>], &str, u32); 10] = [
        (&[("response_type", "token")], "unsupported_response_type", 70005),
        (&[("response_type", "")], "invalid_request", 900_144),
        (&[("response_mode", "fragment")], "invalid_request", 70007),
        (
            &[("code_challenge_method", "plain")],
            "invalid_request",
            9_002_313,
        ),
        (&[("code_challenge_method", "")], "invalid_request", 9_002_313),
        (&[("code_challenge", "short")], "invalid_request", 9_002_313),
        (&[("scope", "")], "invalid_request", 900_144),
        (&[("scope", "User.Read")], "invalid_scope", 1_002_012),
        (
            &[("scope", "https://x/.default openid")],
            "invalid_resource",
            500_011,
        ),
        (&[("prompt", "none")], "login_required", 50058),
    ];
    for (changes, error, number) in cases {
        let page = harness.page(&path, &borrowed(&asked(changes))).await;
        assert_eq!(
            (page.status, page.sent("error").as_deref()),
            (303, Some(error)),
            "{changes:?}: {}",
            page.text
        );
        assert!(
            page.location
                .as_ref()
                .unwrap()
                .starts_with("http://localhost:8400?error=")
        );
        let told = page.sent("error_description").unwrap();
        assert!(told.starts_with(&format!("AADSTS{number}: ")), "{told}");
        assert_eq!(page.sent("state").as_deref(), Some("a b&c=d#e"));
    }
    let page = pick(&harness, &TENANT.to_string(), &asked(&[]), "").await;
    assert_eq!(
        page.sent("error").as_deref(),
        Some("access_denied"),
        "who cancels is not signed in"
    );
}

#[tokio::test]
async fn a_form_takes_the_answer_where_it_was_asked_for() {
    let harness = Harness::open().await;
    let by_form = asked(&[("response_mode", "form_post"), ("state", "<\">")]);
    let page = pick(&harness, &TENANT.to_string(), &by_form, &USER.to_string()).await;
    assert_eq!((page.status, page.location.as_deref()), (200, None));
    for part in [
        "<form method=\"post\" action=\"http://localhost:8400\">",
        "name=\"code\" value=\"",
        "name=\"state\" value=\"&lt;&quot;&gt;\"",
        "<button>",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert!(page.policy.ends_with("form-action http://localhost:8400") && !page.policy.contains("unsafe"));

    let refused = asked(&[("response_mode", "form_post"), ("prompt", "none")]);
    let page = harness
        .page(&format!("/{TENANT}/oauth2/v2.0/authorize"), &borrowed(&refused))
        .await;
    assert!(
        page.text.contains("name=\"error\" value=\"login_required\""),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn only_who_is_in_front_of_our_page_picks() {
    let harness = Harness::open().await;
    let path = format!("/{TENANT}/oauth2/v2.0/authorize");
    let fields = asked(&[]);
    let mut picked = borrowed(&fields);
    let user = USER.to_string();
    picked.push(("account", &user));
    let page = harness.page(&path, &picked).await;
    assert_eq!(
        (page.status, page.location.as_deref()),
        (200, None),
        "a link picks nobody"
    );
    for foreign in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
    ] {
        let page = harness.post_page(&path, &picked, foreign).await;
        assert_eq!(
            (page.status, page.location.as_deref()),
            (200, None),
            "{foreign:?}"
        );
        assert!(page.text.contains("reader@contoso.com"), "{foreign:?}");
    }
    let stranger = OTHER_USER.to_string();
    let page = pick(&harness, &TENANT.to_string(), &asked(&[]), &stranger).await;
    assert_eq!(
        (page.status, page.location.as_deref()),
        (200, None),
        "a user of another tenant"
    );
}

#[tokio::test]
async fn a_refresh_token_is_changed_for_the_next_and_ends_soon_after() {
    let harness = Harness::open().await;
    let tenant = TENANT.to_string();
    let code = code(&harness, &[]).await;
    let (_, body) = redeem(&harness, &tenant, &[("code", &code)]).await;
    let first = body["refresh_token"].as_str().unwrap().to_owned();
    let with = |token: &str, more: &[(&'static str, &'static str)]| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("redirect_uri", ""),
            ("code_verifier", ""),
        ];
        let mut fields: Vec<(&'static str, String)> = fields
            .iter()
            .chain(more)
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        fields.push(("refresh_token", token.to_owned()));
        fields
    };
    let ask = async |fields: Vec<(&'static str, String)>| {
        redeem(&harness, &tenant, &borrowed_static(&fields)).await
    };

    harness.advance(3_600);
    let (status, body) = ask(with(&first, &[])).await;
    assert_eq!(status, 200, "{body}");
    let second = body["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let id = verified_claims(
        body["id_token"].as_str().unwrap(),
        &harness.issuer.key_set(TokenVersion::V2),
    )
    .unwrap();
    assert_eq!(
        (&id["auth_time"], id.get("nonce")),
        (&json!(NOW), None),
        "nobody signed in anew"
    );

    // Of two requests at the same time both are answered, later ones are not.
    harness.advance(59);
    assert_eq!(ask(with(&first, &[])).await.0, 200);
    harness.advance(1);
    assert_eq!(number(&ask(with(&first, &[])).await), (400, 70000));

    // Another wish of the same sign-in, even one that forgets to say that it goes on.
    let (status, body) = ask(with(&second, &[("scope", "openid")])).await;
    assert_eq!(
        (status, body["scope"].as_str()),
        (200, Some("openid offline_access")),
        "{body}"
    );
    let third = body["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(
        number(&ask(with(&third, &[("scope", "https://x/.default")])).await),
        (400, 500_011)
    );
    let owner: [(&'static str, &'static str); 2] = [
        ("client_id", "6f8c7a3e-3333-4c2b-9a55-0c0a7c0a0003"),
        ("client_secret", SECRET),
    ];
    assert_eq!(
        number(&ask(with(&third, &owner)).await),
        (400, 70000),
        "of another application"
    );
    harness.advance(90 * 86_400);
    assert_eq!(number(&ask(with(&third, &[])).await), (400, 70000), "too late");
}

fn borrowed_static<'a>(fields: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

#[tokio::test]
async fn codes_are_bounded_in_number_and_the_oldest_goes_first() {
    let harness = Harness::open().await;
    let tenant = TENANT.to_string();
    let first = code(&harness, &[]).await;
    harness.advance(1);
    let second = code(&harness, &[]).await;
    for _ in 0..999 {
        code(&harness, &[]).await;
    }
    assert_eq!(
        number(&redeem(&harness, &tenant, &[("code", &first)]).await),
        (400, 70000)
    );
    assert_eq!(redeem(&harness, &tenant, &[("code", &second)]).await.0, 200);
}
