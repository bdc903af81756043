//! Tokens: where they come from, how long they are kept, and where they never go.

use crate::service::{APP, Answer, Service, binary, run};
use serde_json::json;

/// A service that is its own token issuer; its tokens are numbered and live for `life` seconds.
async fn with_issuer(life: u64, accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Service {
    Service::start(move |asked, before| {
        if asked.path == "/contoso.com/token" {
            let token = format!("token-{}", before + 1);
            return Answer::json(200, json!({"access_token": token, "expires_in": life}));
        }
        if accepts(asked.header("authorization")) {
            Answer::json(200, json!({"value": []}))
        } else {
            Answer::refusal(401, "Unauthorized", "The token is not accepted.")
        }
    })
    .await
}

fn with_client(service: &Service, args: &[&str]) -> std::process::Command {
    let mut command = binary(args);
    command
        .env("FAME_URL", service.url())
        .env("FAME_TENANT_ID", "contoso.com")
        .env("FAME_CLIENT_ID", "the-client")
        .env("FAME_CLIENT_SECRET", "the secret & more")
        .env("FAME_TOKEN_URL", format!("{}/{{tenant}}/token", service.url()))
        .env("FAME_SCOPE", "api://fame/.default");
    command
}

const THREE_COUNTRIES: &[&str] = &["countries", "add", APP, "US", "DK", "DE"];

#[tokio::test(flavor = "multi_thread")]
async fn one_token_serves_all_requests_of_a_command() {
    let service = with_issuer(3_600, |_| true).await;
    let ended = run(with_client(&service, THREE_COUNTRIES)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let journal = service.journal();
    assert_eq!(journal.len(), 4);
    let form = String::from_utf8(journal[0].body.to_vec()).unwrap();
    assert!(form.contains("grant_type=client_credentials"), "{form}");
    assert!(form.contains("client_secret=the+secret+%26+more"), "{form}");
    assert!(form.contains("scope=api%3A%2F%2Ffame%2F.default"), "{form}");
    for asked in &journal[1..] {
        assert_eq!(asked.header("authorization"), "Bearer token-1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_about_to_expire_is_replaced() {
    let service = with_issuer(30, |_| true).await;
    run(with_client(&service, THREE_COUNTRIES)).await;
    let used: Vec<String> = service
        .journal()
        .iter()
        .map(|asked| asked.header("authorization").to_owned())
        .filter(|header| !header.is_empty())
        .collect();
    assert_eq!(used, ["Bearer token-1", "Bearer token-2", "Bearer token-3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_worked_and_no_longer_does_is_renewed_once() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let service = with_issuer(3_600, move |token| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        call == 0 || token == "Bearer token-2"
    })
    .await;
    let ended = run(with_client(&service, THREE_COUNTRIES)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let refused = with_issuer(3_600, |_| false).await;
    let ended = run(with_client(&refused, THREE_COUNTRIES)).await;
    assert_eq!(ended.code, 3);
    assert_eq!(
        refused.lines().len(),
        2,
        "a fresh token that is refused is not asked for again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_can_come_from_a_file_and_is_never_shown() {
    let service = Service::start(|_, _| {
        Answer::json(
            401,
            json!({"error": "invalid_client", "error_description": "Wrong secret."}),
        )
    })
    .await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret-in-a-file\n").unwrap();
    let mut command = with_client(&service, &["apps", "list"]);
    command.env("FAME_CLIENT_SECRET_FILE", file.path());
    let ended = run(command).await;
    assert_eq!(ended.code, 3);
    assert!(
        ended.err.contains("invalid_client Wrong secret."),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains("secret-in-a-file"));
    let form = String::from_utf8(service.journal()[0].body.to_vec()).unwrap();
    assert!(form.contains("client_secret=secret-in-a-file&"), "{form}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_sign_in_with_is_said_before_anything_is_sent() {
    let ended = run(binary(&["--url", "http://127.0.0.1:9", "apps", "list"])).await;
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("FAME_TOKEN"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_sent_in_the_clear() {
    let mut command = binary(&["--url", "http://fame.contoso.com", "apps", "list"]);
    command.env("FAME_TOKEN", "the-token");
    let ended = run(command).await;
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("use https"), "{}", ended.err);

    let mut command = binary(&[
        "apps",
        "list",
        "--client-id",
        "x",
        "--token-url",
        "http://login.contoso.com",
    ]);
    command.env("FAME_CLIENT_SECRET", "s");
    assert_eq!(run(command).await.code, 2);
}

/// A service that tells strangers to sign in at `authority`, which is itself where it says `here`.
async fn that_sends_to(authority: &'static str) -> Service {
    that_names(authority, "api://127.0.0.1").await
}

/// The same, with what tokens are issued for.
async fn that_names(authority: &'static str, resource: &'static str) -> Service {
    Service::start(move |asked, _| {
        if asked.path == "/contoso.com/oauth2/v2.0/token" {
            return Answer::json(200, json!({"access_token": "token-1", "expires_in": 3_600}));
        }
        if asked.header("authorization") == "Bearer token-1" {
            return Answer::json(200, json!({"value": []}));
        }
        let refused = Answer::refusal(401, "Unauthorized", "The token is not accepted.");
        let here = format!("http://{}", asked.header("host"));
        let sign_in = authority.replace("here", &here);
        match authority {
            "" => refused,
            _ => refused.with(
                "www-authenticate",
                format!(r#"Bearer realm="x", authorization_uri="{sign_in}", resource_id="{resource}", error="invalid_token""#),
            ),
        }
    })
    .await
}

fn with_a_secret(service: &Service) -> std::process::Command {
    let mut command = binary(&["apps", "list"]);
    command
        .env("FAME_URL", service.url())
        .env("FAME_CLIENT_ID", "the-client")
        .env("FAME_CLIENT_SECRET", "the-secret");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_says_of_signing_in_is_shown_and_never_followed() {
    let elsewhere = that_sends_to("").await;
    let foreign: &'static str = format!("{}/contoso.com/oauth2/authorize", elsewhere.url()).leak();
    for (sends_to, said) in [
        ("", "FAME_TOKEN_URL"),
        (
            "here/contoso.com/oauth2/authorize",
            "/contoso.com/oauth2/authorize",
        ),
        (foreign, foreign),
        (
            "https://login.microsoftonline.com/contoso.com/oauth2/authorize",
            "login.microsoftonline.com",
        ),
    ] {
        let service = that_sends_to(sends_to).await;
        let ended = run(with_a_secret(&service)).await;
        assert_eq!(ended.code, 3, "{sends_to}: {ended:?}");
        assert!(ended.err.contains(said), "{}", ended.err);
        assert_eq!(service.lines(), ["GET /v1.4/apps"]);
        assert!(service.journal()[0].body.is_empty());
        assert_eq!(service.journal()[0].header("authorization"), "Bearer none");
    }
    assert!(elsewhere.lines().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_sends_nothing_to_where_the_service_points() {
    let elsewhere = that_sends_to("").await;
    let foreign: &'static str = format!("{}/contoso.com/oauth2/authorize", elsewhere.url()).leak();
    let service = that_sends_to(foreign).await;
    let mut command = with_a_secret(&service);
    command
        .env("FAME_TOKEN_URL", format!("{}/contoso.com/token", service.url()))
        .env("FAME_SCOPE", "api://fame/.default");
    let ended = run(command).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    let ended = service.fame(&["apps", "list"]).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains(foreign), "it is shown: {}", ended.err);
    assert!(elsewhere.lines().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_alone_means_microsoft_entra_and_a_scope_is_always_said() {
    let service = that_names("here/contoso.com/oauth2/authorize", "https://graph.microsoft.com").await;
    let mut command = with_a_secret(&service);
    command.env("FAME_TENANT_ID", "contoso.com");
    let ended = run(command).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(
        ended.err.contains("FAME_SCOPE") && ended.err.contains("https://graph.microsoft.com"),
        "{}",
        ended.err
    );
    assert_eq!(service.lines().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_for_the_service_that_is_named_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = that_sends_to("").await;
    let here = format!("FAME_URL={}\nFAME_TOKEN=the-token\n", elsewhere.url());
    std::fs::write(folder.path().join(".env"), here).unwrap();
    let mut command = crate::service::binary_in(&folder, &["apps", "list"]);
    command.env("FAME_TOKEN", "the-token");
    let ended = run(command).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("FAME_URL"), "{}", ended.err);
    assert!(elsewhere.lines().is_empty(), "what lies in a folder says nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_issuer_and_what_may_help() {
    let service = Service::start(|_, _| {
        Answer::json(
            401,
            json!({"error": "invalid_client", "error_description": "AADSTS700213: No matching federated identity record."}),
        )
    })
    .await;
    let ended = run(with_client(&service, &["apps", "list"])).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    let issuer = format!("{}/contoso.com/token", service.url());
    assert!(
        ended.err.contains(&issuer) && ended.err.contains("fame whoami --show-claims"),
        "{}",
        ended.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn https_where_plain_http_is_spoken_is_said() {
    let service = with_issuer(3_600, |_| true).await;
    let mut command = service.command(&["apps", "list", "--retries", "0"]);
    command.env("FAME_URL", service.url().replace("http://", "https://"));
    let ended = run(command).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(ended.err.contains("Is http:// meant?"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_wrong_is_said_in_clear_words() {
    let service = with_issuer(3_600, |_| true).await;
    let cases = [
        (
            "FAME_URL",
            "fame.contoso.com",
            "is https://fame.contoso.com meant?",
        ),
        ("FAME_URL", "localhost:8080", "does not begin with https://"),
        ("FAME_URL", "", "it is empty"),
        ("FAME_TOKEN", "Bearer eyJ0", "begins with 'Bearer'"),
        ("FAME_TOKEN", "bearer", "begins with 'Bearer'"),
        (
            "FAME_TOKEN",
            "{\"access_token\": \"eyJ0\"}",
            "is to hold the token alone",
        ),
        ("FAME_TOKEN", "eyJ0\neyJ1", "is to hold the token alone"),
        ("FAME_PROFILE", "contoso", "no profile is called 'contoso'"),
    ];
    for (name, value, said) in cases {
        let mut command = service.command(&["apps", "list"]);
        command.env(name, value);
        let ended = run(command).await;
        assert_eq!(ended.code, 2, "{name}={value}: {ended:?}");
        assert!(
            ended.err.contains(said) && ended.err.contains(name),
            "{}",
            ended.err
        );
    }
    assert!(service.lines().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_means_nothing_is_not_taken_in_silence() {
    let service = with_issuer(3_600, |_| true).await;
    let mut command = service.command(&["apps", "list"]);
    command
        .env("FAME_TENANT", "contoso.com")
        .env("FAME_SERVICE_HOST", "10.0.0.1")
        .env("FAME_DATABASE__URL", "sqlite://x")
        .env("FAME_CONFIG", "x.toml");
    let ended = run(command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.err.matches("warning: ").count(), 1, "{}", ended.err);
    assert!(ended.err.contains("FAME_TENANT is no variable"), "{}", ended.err);
    assert!(ended.err.contains("FAME_TENANT_ID"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_follow_a_redirect_or_a_link_to_elsewhere() {
    let elsewhere = Service::start(|_, _| Answer::json(200, json!({"value": []}))).await;
    let there = format!("{}/v1.4/apps", elsewhere.url());
    let redirecting = Service::start({
        let there = there.clone();
        move |_, _| Answer::page(307, "").with("location", &there)
    })
    .await;
    let ended = redirecting.fame(&["apps", "list"]).await;
    assert_eq!(ended.code, 6);
    assert!(ended.err.contains("check --url"), "{}", ended.err);

    let linking =
        Service::start(move |_, _| Answer::json(200, json!({"value": [], "@odata.nextLink": there}))).await;
    let ended = linking.fame(&["apps", "list"]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("another service"), "{}", ended.err);
    assert!(elsewhere.lines().is_empty());
}

/// A service on this machine whose issuer is elsewhere, behind a proxy.
async fn behind_a_proxy(variables: &[(&str, &str)]) -> crate::service::Ended {
    let service = Service::start(|_, _| Answer::json(200, json!({"value": []}))).await;
    let mut command = with_client(&service, &["apps", "list", "--retries", "0"]);
    command.env("FAME_TOKEN_URL", "https://login.contoso.example/token");
    command.envs(variables.iter().copied());
    run(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_down_is_blamed() {
    let ended = behind_a_proxy(&[("HTTPS_PROXY", "http://user:hidden@127.0.0.1:1")]).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(
        ended.err.contains("The proxy 127.0.0.1:1 cannot be reached"),
        "{ended:?}"
    );
    assert!(
        ended.err.contains("login.contoso.example") && !ended.err.contains("hidden"),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_does_not_hide_the_proxy() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (connection, _) = proxy.accept().await.unwrap();
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).await.unwrap();
        line
    });
    let ended = behind_a_proxy(&[("HTTPS_PROXY", ""), ("https_proxy", &address)]).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    assert_eq!(
        asked.await.unwrap(),
        "CONNECT login.contoso.example:443 HTTP/1.1\r\n"
    );
}
