//! What a command signs in with: which source comes first, that none stands in for another, and what each asks for.

use crate::service::{Answer, Asked, Ended, Service, run};
use serde_json::{Value, json};
use std::process::Command;
use tempfile::TempDir;

const CLIENT: &str = "4bb9d09b-9856-5934-bb34-e11bf6360c9e";

/// All that is asked for a token in these tests: the service, its issuer, the pipelines' token endpoints, and the machine's
/// own identity. Each token says who gave it, and how often that had been asked before.
async fn everybody() -> Service {
    everybody_who(|_, _| None).await
}

/// The same, but for what `first` answers.
async fn everybody_who(first: impl Fn(&Asked, usize) -> Option<Answer> + Send + Sync + 'static) -> Service {
    Service::start(move |asked, before| {
        if let Some(answer) = first(asked, before) {
            return answer;
        }
        let numbered = |name: &str| format!("{name}-{before}");
        match asked.path.as_str() {
            "/token" => {
                let form = String::from_utf8_lossy(&asked.body).into_owned();
                let by = ["client_secret", "client_assertion"]
                    .into_iter()
                    .find(|name| form.contains(*name));
                let token = numbered(by.unwrap_or("nothing"));
                Answer::json(200, json!({"access_token": token, "expires_in": 3_600}))
            }
            "/github" => Answer::json(200, json!({"value": numbered("github")})),
            "/azure" => Answer::json(200, json!({"oidcToken": numbered("azure")})),
            "/identity" => Answer::json(
                200,
                json!({"access_token": numbered("identity"), "expires_on": "4102444800"}),
            ),
            "/oidc/audience" => Answer::refusal(404, "NotFound", "There is nothing here."),
            _ => Answer::json(200, json!({"value": []})),
        }
    })
    .await
}

/// Somebody with a place for their own settings.
struct Desk {
    home: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn fame(&self, service: &Service, args: &[&str], variables: &[(&str, String)]) -> Command {
        let mut command = crate::service::binary_in(&self.home, args);
        command
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("FAME_URL", service.url())
            .env("FAME_TOKEN_URL", format!("{}/token", service.url()))
            .env("FAME_SCOPE", "api://fame/.default")
            .envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
        command
    }

    async fn whoami(&self, service: &Service, variables: &[(&str, String)]) -> Ended {
        run(self.fame(service, &["whoami", "--json"], variables)).await
    }

    /// A stand-in for the Azure CLI, which writes down that it was asked.
    #[cfg(unix)]
    fn azure_cli(&self, script: &str) -> (&'static str, String) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.home.path().join("az");
        let asked = self.home.path().join("asked");
        let script = format!("#!/bin/sh\necho \"$@\" >>{}\n{script}\n", asked.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        ("PATH", format!("{}:/bin:/usr/bin", self.home.path().display()))
    }

    #[cfg(unix)]
    fn asked_of_azure_cli(&self) -> String {
        std::fs::read_to_string(self.home.path().join("asked")).unwrap_or_default()
    }
}

fn github(service: &Service) -> [(&'static str, String); 2] {
    [
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            format!("{}/github?api-version=2.0", service.url()),
        ),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the-job".to_owned()),
    ]
}

fn azure(service: &Service) -> [(&'static str, String); 3] {
    [
        ("SYSTEM_OIDCREQUESTURI", format!("{}/azure", service.url())),
        ("SYSTEM_ACCESSTOKEN", "the-job".to_owned()),
        (
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
            "the-connection".to_owned(),
        ),
    ]
}

fn form(asked: &Asked) -> std::collections::HashMap<String, String> {
    let query = format!("http://x/?{}", String::from_utf8_lossy(&asked.body));
    reqwest::Url::parse(&query)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

fn requests<'a>(journal: &'a [Asked], path: &str) -> Vec<&'a Asked> {
    journal.iter().filter(|asked| asked.path == path).collect()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn sources_are_asked_in_one_order() {
    let (service, desk) = (everybody().await, Desk::new());
    let file = desk.home.path().join("platform");
    std::fs::write(&file, "of-the-platform").unwrap();
    let token = desk.home.path().join("token");
    std::fs::write(&token, "in-a-file\n").unwrap();
    let cli = desk.azure_cli(r#"echo '{"accessToken": "of-the-cli", "expires_on": 4102444800}'"#);
    // From the last to the first: each is added to those that come after it.
    let steps: [(&str, &[(&str, String)]); 7] = [
        ("Azure CLI", &[cli]),
        (
            "FAME_CLIENT_ASSERTION",
            &[
                ("FAME_CLIENT_ID", CLIENT.into()),
                ("FAME_CLIENT_ASSERTION", "given".into()),
            ],
        ),
        (
            "the platform's token",
            &[("AZURE_FEDERATED_TOKEN_FILE", file.display().to_string())],
        ),
        ("GitHub Actions", &github(&service)),
        ("Azure DevOps", &azure(&service)),
        ("its secret", &[("AZURE_CLIENT_SECRET", "the-secret".into())]),
        (
            "managed identity",
            &[
                ("FAME_CREDENTIAL", "managed-identity".into()),
                ("IDENTITY_ENDPOINT", format!("{}/identity", service.url())),
                ("IDENTITY_HEADER", "the-machine".into()),
            ],
        ),
    ];
    let mut set: Vec<(&str, String)> = Vec::new();
    for (name, variables) in steps {
        set.extend(variables.iter().cloned());
        let ended = desk.whoami(&service, &set).await;
        assert_eq!(ended.code, 0, "{name}: {ended:?}");
        let told = ended.json();
        assert!(
            told["signedInWith"].as_str().unwrap().contains(name),
            "{name}: {told}"
        );
        assert!(!told["because"].as_str().unwrap().is_empty());
    }
    set.push(("FAME_TOKEN", "a-token".into()));
    let told = desk.whoami(&service, &set).await.json();
    assert_eq!(told["signedInWith"], "the token in FAME_TOKEN");
    set.push(("FAME_TOKEN_FILE", token.display().to_string()));
    let told = desk.whoami(&service, &set).await.json();
    assert!(
        told["signedInWith"].as_str().unwrap().contains("token in /"),
        "{told}"
    );
    let last = service.journal().pop().unwrap();
    assert_eq!(last.header("authorization"), "Bearer in-a-file");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_is_the_last_one_asked() {
    let service = everybody_who(|asked, _| {
        (asked.path == "/github").then(|| Answer::json(403, json!({"message": "no id-token here"})))
    })
    .await;
    let desk = Desk::new();
    let mut set = vec![
        ("FAME_CLIENT_ID", CLIENT.to_owned()),
        ("FAME_CLIENT_ASSERTION", "given".into()),
    ];
    set.push(desk.azure_cli(r#"echo '{"accessToken": "of-the-cli"}'"#));
    set.extend(github(&service));
    let ended = desk.whoami(&service, &set).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(
        ended.err.contains("/github") && ended.err.contains("no id-token here"),
        "{}",
        ended.err
    );
    assert!(requests(&service.journal(), "/token").is_empty());
    assert_eq!(desk.asked_of_azure_cli(), "");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_azure_cli_is_asked_for_this_service_and_its_refusal_is_told() {
    let (service, desk) = (everybody().await, Desk::new());
    let cli = desk.azure_cli("echo \"Please run 'az login' to setup account.\" >&2; exit 1");
    let ended = desk
        .whoami(&service, &[cli, ("FAME_TENANT_ID", "contoso.com".into())])
        .await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("az login"), "{}", ended.err);
    assert_eq!(
        desk.asked_of_azure_cli().trim(),
        "account get-access-token --output json --scope api://fame/.default --tenant contoso.com"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_shows_entra_a_token_of_github() {
    let (service, desk) = (everybody().await, Desk::new());
    let mut set = github(&service).to_vec();
    set.push(("FAME_CLIENT_ID", CLIENT.into()));
    let ended = run(desk.fame(&service, &["apps", "list"], &set)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let journal = service.journal();
    let asked = requests(&journal, "/github")[0];
    assert_eq!(
        asked.query,
        "api-version=2.0&audience=api%3A%2F%2FAzureADTokenExchange"
    );
    assert_eq!(asked.header("authorization"), "Bearer the-job");
    let form = form(requests(&journal, "/token")[0]);
    assert_eq!(form["client_assertion"], "github-0");
    assert_eq!(
        form["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert_eq!(
        (form["grant_type"].as_str(), form["client_id"].as_str()),
        ("client_credentials", CLIENT)
    );
    assert!(!form.contains_key("client_secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_job_shows_a_fresh_token_each_time() {
    let service = everybody_who(|asked, before| {
        let token = json!({"access_token": format!("short-{before}"), "expires_in": 299});
        (asked.path == "/token").then(|| Answer::json(200, token))
    })
    .await;
    let desk = Desk::new();
    let mut set = github(&service).to_vec();
    set.push(("FAME_CLIENT_ID", CLIENT.into()));
    let app = crate::service::APP;
    let ended = run(desk.fame(&service, &["countries", "add", app, "US", "DK", "DE"], &set)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let journal = service.journal();
    let shown: Vec<String> = requests(&journal, "/token")
        .iter()
        .map(|asked| form(asked)["client_assertion"].clone())
        .collect();
    assert_eq!(shown, ["github-0", "github-1", "github-2"]);
    let used: Vec<&str> = journal
        .iter()
        .filter(|asked| asked.path.starts_with("/v1.4"))
        .map(|asked| asked.header("authorization"))
        .collect();
    assert_eq!(used, ["Bearer short-0", "Bearer short-1", "Bearer short-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_azure_pipeline_asks_for_its_connection_and_tells_where_failures_are_logged() {
    let (service, desk) = (everybody().await, Desk::new());
    let mut set = azure(&service).to_vec();
    set.push(("AZURE_CLIENT_ID", CLIENT.into()));
    let ended = run(desk.fame(&service, &["apps", "list"], &set)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let journal = service.journal();
    let asked = requests(&journal, "/azure")[0];
    assert_eq!(asked.line(), "POST /azure");
    assert_eq!(asked.query, "api-version=7.1&serviceConnectionId=the-connection");
    assert_eq!(asked.header("x-tfs-fedauthredirect"), "Suppress");
    assert_eq!(asked.header("content-length"), "0");
    assert_eq!(
        form(requests(&journal, "/token")[0])["client_assertion"],
        "azure-0"
    );

    let refusing = everybody_who(|asked, _| {
        let refused =
            || Answer::json(401, json!({"message": "TF400813"})).with("x-vss-e2eid", "the-log-entry");
        (asked.path == "/azure").then(refused)
    })
    .await;
    let mut set = azure(&refusing).to_vec();
    set.push(("AZURE_CLIENT_ID", CLIENT.into()));
    let ended = run(desk.fame(&refusing, &["apps", "list"], &set)).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(
        ended.err.contains("TF400813") && ended.err.contains("the-log-entry"),
        "{}",
        ended.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_may_not_ask_for_tokens_is_told_what_it_lacks() {
    let (service, desk) = (everybody().await, Desk::new());
    for (variable, said) in [
        ("GITHUB_ACTIONS", "id-token: write"),
        ("TF_BUILD", "SYSTEM_ACCESSTOKEN"),
    ] {
        let ended = desk.whoami(&service, &[(variable, "true".into())]).await;
        assert_eq!(ended.code, 3, "{ended:?}");
        assert!(ended.err.contains(said), "{}", ended.err);
    }
    assert!(service.lines().is_empty());
}

/// A service that takes tokens of pipelines for its own, which live for so many seconds.
async fn that_trusts_pipelines(life: i64) -> Service {
    everybody_who(move |asked, before| match asked.line().as_str() {
        "GET /oidc/audience" => Some(Answer::json(200, json!({"audience": "https://fame.contoso.com"}))),
        "POST /oidc/exchange" => {
            let shown = asked.json();
            assert!(shown["token"].is_string(), "{shown}");
            let ends = jiff_now() + life;
            let ends = jiff::Timestamp::from_second(ends).unwrap().to_string();
            let token = format!("fametp_{before}");
            Some(Answer::json(
                200,
                json!({"token": token, "expiresOn": ends, "appId": crate::service::APP,
                    "publisherId": crate::service::APP, "may": ["upload"], "maxAvailability": "Preview",
                    "countries": []}),
            ))
        }
        "DELETE /oidc/token" => Some(Answer::bytes(204, "")),
        _ => None,
    })
    .await
}

fn jiff_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_pipeline_needs_no_application_and_gives_its_token_back() {
    let (service, desk) = (that_trusts_pipelines(900).await, Desk::new());
    let app = crate::service::APP;
    let add = ["countries", "add", app, "US", "DK"];
    let ended = run(desk.fame(&service, &add, &github(&service))).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let journal = service.journal();
    assert!(
        requests(&journal, "/github")[0]
            .query
            .ends_with("audience=https%3A%2F%2Ffame.contoso.com")
    );
    assert_eq!(requests(&journal, "/oidc/exchange").len(), 1);
    assert_eq!(
        requests(&journal, "/oidc/exchange")[0].json(),
        json!({"token": "github-0", "appId": app})
    );
    let last = journal.last().unwrap();
    assert_eq!(
        (last.line().as_str(), last.header("authorization")),
        ("DELETE /oidc/token", "Bearer fametp_0")
    );

    let refusing = that_trusts_pipelines(200).await;
    let ended = run(desk.fame(
        &refusing,
        &["apps", "get", app, "--retries", "0"],
        &github(&refusing),
    ))
    .await;
    let journal = refusing.journal();
    let last = journal.last().unwrap();
    assert_eq!(last.line(), "DELETE /oidc/token", "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_pipelines_token_is_replaced_before_it_ends() {
    let (service, desk) = (that_trusts_pipelines(250).await, Desk::new());
    let add = ["countries", "add", crate::service::APP, "US", "DK", "DE"];
    let ended = run(desk.fame(&service, &add, &github(&service))).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let journal = service.journal();
    let shown: Vec<Value> = requests(&journal, "/oidc/exchange")
        .iter()
        .map(|asked| asked.json()["token"].clone())
        .collect();
    assert_eq!(shown, ["github-0", "github-1", "github-2"], "none is shown twice");
    assert_eq!(journal.last().unwrap().header("authorization"), "Bearer fametp_2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_nobody_trusts_is_nobody_else() {
    let service = everybody_who(|asked, _| match asked.line().as_str() {
        "GET /oidc/audience" => Some(Answer::json(200, json!({"audience": "https://fame.contoso.com"}))),
        "POST /oidc/exchange" => Some(Answer::refusal(
            403,
            "NoPublisher",
            "Expected refs/tags/v1, seen refs/heads/x.",
        )),
        _ => None,
    })
    .await;
    let desk = Desk::new();
    let mut set = github(&service).to_vec();
    set.push(("FAME_CLIENT_ID", CLIENT.into()));
    let ended = run(desk.fame(&service, &["apps", "list"], &set)).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(
        ended.err.contains("NoPublisher") && ended.err.contains("refs/heads/x"),
        "{}",
        ended.err
    );
    assert!(requests(&service.journal(), "/token").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_signs_for_its_application() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
    let (service, desk) = (everybody().await, Desk::new());
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["fame".into()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let path = desk.home.path().join("app.pem");
    std::fs::write(&path, format!("{}{}", certificate.pem(), key.serialize_pem())).unwrap();
    let set = [
        ("FAME_CLIENT_ID", CLIENT.to_owned()),
        ("FAME_CLIENT_CERTIFICATE", path.display().to_string()),
    ];
    let ended = run(desk.fame(&service, &["apps", "list"], &set)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let assertion = &form(requests(&service.journal(), "/token")[0])["client_assertion"].clone();
    let header = decode_header(assertion).unwrap();
    assert_eq!((header.alg, header.x5t_s256.is_some()), (Algorithm::PS256, true));
    let mut validation = Validation::new(Algorithm::PS256);
    let token_url = format!("{}/token", service.url());
    validation.set_audience(&[&token_url]);
    validation.set_issuer(&[CLIENT]);
    let public = pem_of(&key.public_key_pem());
    let claims = decode::<Value>(
        assertion,
        &DecodingKey::from_rsa_pem(public.as_bytes()).unwrap(),
        &validation,
    );
    let claims = claims.unwrap().claims;
    assert_eq!(
        (
            &claims["sub"],
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
        ),
        (&json!(CLIENT), 600)
    );

    std::fs::write(&path, certificate.pem()).unwrap();
    let ended = run(desk.fame(&service, &["apps", "list"], &set)).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("holds no RSA key"), "{}", ended.err);
}

fn pem_of(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_asked_for_its_identity_only_when_that_is_named() {
    let (service, desk) = (everybody().await, Desk::new());
    let set = [
        ("IDENTITY_ENDPOINT", format!("{}/identity", service.url())),
        ("IDENTITY_HEADER", "the-machine".to_owned()),
    ];
    assert_eq!(desk.whoami(&service, &set).await.code, 3);
    assert!(service.lines().is_empty());
    let ended = run(desk.fame(
        &service,
        &["apps", "list", "--credential", "managed-identity"],
        &set,
    ))
    .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let journal = service.journal();
    assert_eq!(
        journal[0].query,
        "api-version=2019-08-01&resource=api%3A%2F%2Ffame"
    );
    assert_eq!(journal[0].header("x-identity-header"), "the-machine");
    assert_eq!(journal[1].header("authorization"), "Bearer identity-0");
}

/// An issuer that speaks Entra's endpoints and trusts another one for its application, and a token of that other one.
async fn entra(subject: &str) -> (entra_local::Issuer, String, String) {
    use entra_local::{
        Application, Directory, FederatedCredential, Issuer, Resource, Scheme, Settings, TokenRequest,
        TokenVersion,
    };
    let tenant = uuid::Uuid::from_u128(1);
    let now = jiff_now();
    let issuer = |base_url: &str, directory: Directory| {
        let settings = Settings {
            base_url: base_url.to_owned(),
            hosts: Vec::new(),
            clock: std::sync::Arc::new(move || now),
        };
        Issuer::new(settings, directory).unwrap()
    };
    let application = Application {
        name: "pipeline".into(),
        client_id: CLIENT.parse().unwrap(),
        object_id: uuid::Uuid::from_u128(2),
        tenant_id: tenant,
        ..Application::default()
    };
    let directory = Directory {
        resources: vec![Resource {
            client_id: uuid::Uuid::from_u128(3),
            identifier_uris: vec!["api://fame".into()],
            token_version: TokenVersion::V2,
            scopes: Vec::new(),
        }],
        applications: vec![application],
        ..Directory::default()
    };
    let github = issuer("https://127.0.0.1:1", directory.clone());
    let asked = TokenRequest {
        issuer: Some("https://token.actions.githubusercontent.com".into()),
        audience: Some("api://AzureADTokenExchange".into()),
        ..TokenRequest::client("pipeline")
    };
    let shown = github
        .mint(&asked.with_claim("sub", "repo:contoso/app:ref:refs/heads/main"))
        .unwrap();
    let entra = issuer("https://127.0.0.1:2", directory);
    entra.change_directory(|directory| {
        directory.applications[0]
            .federated_credentials
            .push(FederatedCredential {
                issuer: "https://token.actions.githubusercontent.com".into(),
                subject: subject.to_owned(),
                audience: "api://AzureADTokenExchange".into(),
                keys: github.key_set(TokenVersion::V1),
            });
    });
    let address = crate::service::serve(entra_local::router(entra.clone(), Scheme::Http)).await;
    (
        entra,
        format!("http://{address}/{tenant}/oauth2/v2.0/token"),
        shown,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federated_credential_is_believed_to_the_letter() {
    for (subject, code) in [
        ("repo:contoso/app:ref:refs/heads/main", 0),
        ("repo:contoso@7/app@9:ref:refs/heads/main", 3),
    ] {
        let (_, token_url, shown) = entra(subject).await;
        let service = everybody_who(move |asked, _| {
            (asked.path == "/github").then(|| Answer::json(200, json!({"value": shown})))
        })
        .await;
        let desk = Desk::new();
        let mut set = github(&service).to_vec();
        set.extend([
            ("FAME_CLIENT_ID", CLIENT.to_owned()),
            ("FAME_TOKEN_URL", token_url),
        ]);
        let ended = run(desk.fame(&service, &["whoami", "--show-claims", "--json"], &set)).await;
        assert_eq!(ended.code, code, "{ended:?}");
        for said in [
            "issuer    https://token.actions.githubusercontent.com",
            "subject   repo:contoso/app:ref:refs/heads/main",
            "audience  api://AzureADTokenExchange",
        ] {
            assert!(ended.err.contains(said), "{}", ended.err);
        }
        match code {
            0 => {
                let told = ended.json();
                assert_eq!(told["principal"]["clientId"], CLIENT);
                assert_eq!(told["shown"]["sub"], "repo:contoso/app:ref:refs/heads/main");
                let all = format!("{}{}", ended.out, ended.err);
                assert!(!all.contains("eyJ"), "no token is ever printed: {all}");
            }
            _ => assert!(
                ended.err.contains("AADSTS700213") && ended.err.contains("Renaming"),
                "{}",
                ended.err
            ),
        }
    }
}
