//! Answers, and what becomes of those that are no success.

use crate::service::{APP, Asked, Service, TAG, answer, gateway, json, with};
use axum::body::Body;
use client::{AgentClient, ClientCredentials, Credentials, Error, Proof, RetryPolicy, Upload};
use serde_json::json;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;
use wire::{agent::ClaimRequest, principals::PrincipalPatch};

#[tokio::test]
async fn an_answer_is_a_row_its_status_and_its_headers() {
    let row = json!({"countryCode": "US", "_etag": TAG});
    let service = Service::start(move |_, _| with(json(&row), "etag", "W/\"1\"")).await;
    let answered = service.client().get_country(APP, "US").send().await.unwrap();
    assert_eq!(
        (answered.status.as_u16(), &answered.headers["etag"]),
        (200, &"W/\"1\"".parse().unwrap())
    );
    assert_eq!(answered.value.country_code.as_str(), "US");
}

#[tokio::test]
async fn a_word_that_nobody_here_knows_can_still_be_read() {
    let row = json!({"id": TAG, "status": "Postponed"});
    let service = Service::start(move |_, _| json(&row)).await;
    let id = TAG.parse().unwrap();
    let typed = service.client().get_hotfix(APP, "US", id).await;
    assert!(matches!(typed, Err(Error::Unreadable { .. })));
    let plain = service.client().get_hotfix(APP, "US", id).json().await.unwrap();
    assert_eq!(plain["status"], "Postponed");
}

#[tokio::test]
async fn nothing_that_the_service_says_is_lost() {
    let body = json!({
        "error": {
            "code": "InvalidFilter", "message": "Expected an operand.", "target": "$filter",
            "details": [{"code": "Other", "message": "And more.", "target": "runAfter"}],
            "innererror": {"position": 14, "extensionData": {"inner": "1"}}
        },
        "extensionData": {"outer": "2"}
    });
    let text = body.to_string();
    let service = Service::start(move |_, _| {
        with(
            with(answer(400, text.clone()), "ms-correlation-x", TAG),
            "retry-after",
            "7",
        )
    })
    .await;
    let error = service.client().get_app(APP).await.unwrap_err();
    let Error::Refused(refusal) = error else {
        panic!("{error}");
    };
    assert_eq!(
        (refusal.code(), refusal.message()),
        ("InvalidFilter", "Expected an operand.")
    );
    assert_eq!(
        (refusal.target(), refusal.details()[0].code.as_str()),
        (Some("$filter"), "Other")
    );
    assert_eq!(json!(refusal.facts()), json!({"outer": "2", "inner": "1"}));
    assert_eq!(refusal.body.error.innererror.as_ref().unwrap().position, Some(14));
    assert_eq!(refusal.correlation_id.as_deref(), Some(TAG));
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(refusal.request, format!("GET /v1.0/apps/{APP}"));
    assert_eq!(refusal.text, body.to_string());
}

#[tokio::test]
async fn a_gateways_page_is_kept_as_it_is_and_a_redirect_is_not_followed() {
    let service = Service::start(|asked, _| match asked.uri.path().ends_with("roles") {
        true => with(gateway(404, "<h1>Gateway</h1>"), "retry-after", "0"),
        false => with(gateway(307, ""), "location", "https://fabrikam.com/"),
    })
    .await;
    let page = service.client().list_roles(APP).all().await.unwrap_err();
    let Error::Gateway(answered) = page else {
        panic!("{page}")
    };
    assert_eq!((answered.code(), answered.message()), ("", "<h1>Gateway</h1>"));
    let before = service.journal().len();
    let redirect = service.client().get_app(APP).await.unwrap_err();
    let Error::Gateway(answered) = redirect else {
        panic!("{redirect}")
    };
    assert_eq!(answered.location.as_deref(), Some("https://fabrikam.com/"));
    assert_eq!(
        service.journal().len(),
        before + 1,
        "it leads away another time too"
    );
}

/// A service that is busy, and what was told of the tries.
#[tokio::test]
async fn a_busy_service_is_asked_again_and_somebody_hears_of_it() {
    let row = json!({"countryCode": "US", "_etag": TAG});
    let service = Service::start(move |_, before| match before {
        0 => with(answer(429, ""), "retry-after", "0"),
        1 => with(answer(503, ""), "retry-after", "0"),
        _ => json(&row),
    })
    .await;
    let heard: Arc<Mutex<Vec<(u32, u32)>>> = Arc::default();
    let mut settings = service.settings();
    let told = heard.clone();
    settings.retry = RetryPolicy {
        retries: 2,
        on_retry: Arc::new(move |retry| told.lock().unwrap().push((retry.number, retry.allowed))),
    };
    let client = client::Client::new(settings).unwrap();
    assert!(client.patch_country(APP, "US").await.is_ok());
    assert_eq!(*heard.lock().unwrap(), [(1, 2), (2, 2)]);
}

/// Sent again, it might do twice what it has done already.
#[tokio::test]
async fn what_may_have_been_done_is_repeated_only_where_that_changes_nothing() {
    let service = Service::start(|_, _| with(answer(500, ""), "retry-after", "0")).await;
    let client = service.client();
    let mut asked = 0;
    let mut tries = || {
        let now = service.journal().len();
        std::mem::replace(&mut asked, now).abs_diff(now)
    };
    drop(client.get_app(APP).await);
    assert_eq!(tries(), 3);
    drop(client.upload_version(APP, "US", Upload::bytes(&b"abc"[..])).await);
    assert_eq!(tries(), 3, "a version is never overwritten");
    drop(client.rotate_webhook(APP, Uuid::from_u128(1)).await);
    assert_eq!(tries(), 1);
    let change = PrincipalPatch::default();
    drop(client.patch_principal(APP, TAG.parse().unwrap(), &change).await);
    assert_eq!(tries(), 3 + 3, "and it was looked what became of it");
}

fn in_doubt() -> axum::http::Response<axum::body::Body> {
    let detail = json!({"code": "ChangeInDoubt", "message": "Nobody knows."});
    let body = json!({"error": {"code": "ServiceUnavailable", "message": "?", "details": [detail]}});
    with(answer(503, body.to_string()), "retry-after", "0")
}

#[tokio::test]
async fn a_change_in_doubt_is_sent_again_and_looked_at() {
    let service = Service::start(|_, _| in_doubt()).await;
    let client = service.client();
    let error = client.patch_country(APP, "US").if_match("tag").await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused(refusal) if refusal.leaves_open()),
        "{error}"
    );
    let asked = service.lines();
    assert_eq!(asked.iter().filter(|line| line.starts_with("PATCH")).count(), 3);
    assert_eq!(asked.iter().filter(|line| line.starts_with("GET")).count(), 3);
}

#[tokio::test]
async fn nobody_there_and_nothing_said_differ() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let service = Service::start(|_, _| answer(200, "")).await;
    let mut settings = service.settings();
    settings.retry = RetryPolicy::new(0);
    settings.timeout = Duration::from_millis(50);
    settings.url = format!("http://{}", closed.local_addr().unwrap())
        .parse()
        .unwrap();
    let error = client::Client::new(settings.clone())
        .unwrap()
        .get_app(APP)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::NoAnswer { .. }) && error.is_unavailable(),
        "{error}"
    );
    drop(closed);
    let error = client::Client::new(settings)
        .unwrap()
        .get_app(APP)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { .. }) && error.is_unavailable(),
        "{error}"
    );
    assert!(error.cause().is_some(), "the network's own words are kept");
}

/// A service that is its own issuer; its tokens are numbered and live for `life` seconds.
async fn with_issuer(life: u64, accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Service {
    Service::start(move |asked: &Asked, before| {
        if asked.uri.path() == "/token" {
            return json(&json!({"access_token": format!("token-{before}"), "expires_in": life}));
        }
        match accepts(asked.header("authorization")) {
            true => json(&json!({"value": []})),
            false => answer(401, ""),
        }
    })
    .await
}

fn signing_in(service: &Service, user: Option<(&str, &str)>) -> client::Client {
    signing_in_with(service, Proof::Secret("the secret".into()), user)
}

fn signing_in_with(service: &Service, proof: Proof, user: Option<(&str, &str)>) -> client::Client {
    let mut settings = service.settings();
    settings.credentials = Credentials::Client(ClientCredentials {
        token_url: format!("{}token", service.url().as_str()).parse().unwrap(),
        client_id: "the-client".into(),
        proof,
        scope: "the-scope".into(),
        user: user.map(|(name, password)| (name.into(), password.into())),
    });
    client::Client::new(settings).unwrap()
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_about_to_expire_or_refused() {
    let lasting = with_issuer(3_600, |_| true).await;
    let client = signing_in(&lasting, None);
    client.sign_in().await.unwrap();
    for _ in 0..2 {
        client.list_apps().all().await.unwrap();
    }
    let asked = lasting.lines();
    assert_eq!(asked, ["POST /token", "GET /v1.0/apps", "GET /v1.0/apps"]);
    let form = String::from_utf8(lasting.journal()[0].body.to_vec()).unwrap();
    assert!(form.contains("grant_type=client_credentials"), "{form}");

    let short = with_issuer(30, |_| true).await;
    let client = signing_in(&short, Some(("a-user", "a-password")));
    for _ in 0..2 {
        client.list_apps().all().await.unwrap();
    }
    assert_eq!(
        short.lines().iter().filter(|line| *line == "POST /token").count(),
        2
    );
    let form = String::from_utf8(short.journal()[0].body.to_vec()).unwrap();
    assert!(
        form.contains("grant_type=password") && form.contains("username=a-user"),
        "{form}"
    );

    let refusing = with_issuer(3_600, |token| token == "Bearer token-2").await;
    let client = signing_in(&refusing, None);
    client.sign_in().await.unwrap();
    client.list_apps().all().await.unwrap();
    assert_eq!(refusing.journal().len(), 4);
}

#[tokio::test]
async fn an_assertion_is_read_again_for_each_token() {
    let short = with_issuer(30, |_| true).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assertion");
    let client = signing_in_with(&short, Proof::AssertionFile(path.clone()), None);
    let missing = client.list_apps().all().await.unwrap_err();
    assert!(matches!(&missing, Error::NoAssertion { .. }), "{missing}");
    for assertion in ["first", "second"] {
        std::fs::write(&path, assertion).unwrap();
        client.list_apps().all().await.unwrap();
        let journal = short.journal();
        let asked = journal
            .iter()
            .rfind(|asked| asked.uri.path() == "/token")
            .unwrap();
        let form = String::from_utf8(asked.body.to_vec()).unwrap();
        assert!(
            form.contains(&format!("client_assertion={assertion}")) && !form.contains("client_secret"),
            "{form}"
        );
    }
}

#[tokio::test]
async fn whoever_is_not_let_in_is_told_why_without_the_secret() {
    let body = json!({"error": "invalid_client", "error_description": "Wrong secret."}).to_string();
    let service = Service::start(move |_, _| answer(401, body.clone())).await;
    let client = signing_in(&service, None);
    let error = client.list_apps().all().await.unwrap_err();
    assert!(matches!(error, Error::SignInRefused { .. }), "{error}");
    assert!(
        error.to_string().contains("invalid_client Wrong secret."),
        "{error}"
    );
    assert!(!format!("{client:?} {error:?}").contains("the secret"));
    assert_eq!(service.journal().len(), 1);
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_for_ever() {
    let endless = || {
        Body::from_stream(futures::stream::repeat_with(|| {
            Ok::<_, Infallible>(vec![b' '; 1 << 16])
        }))
    };
    let service = Service::start(move |_, _| answer(200, endless())).await;
    let listed = service.client().get_app(APP).await.unwrap_err();
    let agent = AgentClient::new(service.client(), Uuid::from_u128(1));
    let claimed = agent
        .claim_operations(&ClaimRequest::default())
        .await
        .unwrap_err();
    for (error, most) in [(listed, 64 << 20), (claimed, 4 << 20)] {
        assert!(
            error
                .to_string()
                .ends_with(&format!("is longer than {most} bytes: not read any further")),
            "{error}"
        );
        assert!(!error.is_unavailable());
    }
    // A refusal is told all the same.
    let service = Service::start(move |_, _| answer(400, endless())).await;
    let refused = service.client().get_app(APP).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(refusal) if refusal.status == 400));
}
