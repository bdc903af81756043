//! `fame dev` as its users have it: the real binary, the one line it promises, and what is behind the addresses in it.

use crate::services::Caller;
use client::{ClientCredentials, Credentials, Proof, RetryPolicy, Settings};
use domain::{
    ids::{AppId, OperationId},
    instant::Instant,
    operation::OperationStatus,
    version::AppVersion,
};
use reqwest::{Certificate, StatusCode};
use serde_json::{Value, json};
use server::clock::Clock;
use std::{
    io::Read as _,
    path::Path,
    process::{Command, ExitStatus, Output, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
};
use wire::hotfixes::{EnvironmentHotfix, HotfixRequestBody};

const SALES_PACK: &str = "Contoso Sales Pack";

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fame"));
    command
        .arg("dev")
        .args(args)
        .stdin(Stdio::null())
        .env_remove("FAME_LOG__LEVEL");
    command
}

/// A `fame dev` that is running.
pub(crate) struct Dev {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    pub(crate) ready: Value,
    http: reqwest::Client,
    /// Where it makes its temporary folder; a test that ends early leaves nothing behind.
    _temporary: tempfile::TempDir,
}

impl Dev {
    /// Starts it on any free port, and waits until it says that it is ready.
    pub(crate) async fn start(more: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", more).await
    }

    /// Starts it at that address, and waits until it says that it is ready.
    pub(crate) async fn start_at(address: &str, more: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = command(&["--json", "--listen", address]);
        command
            .env("TMPDIR", temporary.path())
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = out
            .next_line()
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("it ended before it was ready"));
        let ready = serde_json::from_str(&line).unwrap();
        Self {
            child,
            out,
            ready,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _temporary: temporary,
        }
    }

    fn text(&self, member: &str) -> &str {
        self.ready[member]
            .as_str()
            .unwrap_or_else(|| panic!("{member} is no text"))
    }

    pub(crate) fn client(&self, name: &str) -> &Value {
        let clients = self.ready["clients"].as_array().unwrap();
        clients.iter().find(|client| client["name"] == name).unwrap()
    }

    pub(crate) fn app(&self, name: &str) -> AppId {
        let apps = self.ready["apps"].as_array().unwrap();
        let app = apps.iter().find(|app| app["name"] == name).unwrap();
        app["id"].as_str().unwrap().parse().unwrap()
    }

    fn environment(&self, name: &str) -> &Value {
        let environments = self.ready["environments"].as_array().unwrap();
        environments
            .iter()
            .find(|environment| environment["name"] == name)
            .unwrap()
    }

    /// The service, asked by somebody who has these credentials.
    fn asked_with(&self, credentials: Credentials) -> client::Client {
        client::Client::new(Settings {
            url: self.text("baseUrl").parse().unwrap(),
            api_version: "v1.0".into(),
            credentials,
            trusted: Vec::new(),
            timeout: Duration::from_secs(60),
            retry: RetryPolicy::new(0),
        })
        .unwrap()
    }

    /// The service, asked by somebody who signs in the way their type does.
    fn asked_by(&self, name: &str) -> client::Client {
        let client = self.client(name);
        let member = |member: &str| client[member].as_str().unwrap();
        self.asked_with(Credentials::Client(ClientCredentials {
            token_url: member("tokenUrl").parse().unwrap(),
            client_id: member("clientId").into(),
            proof: Proof::Secret(member("clientSecret").into()),
            scope: self.text("scope").into(),
            user: (client["type"] == "User").then(|| (member("username").into(), member("password").into())),
        }))
    }

    /// The service, asked over plain HTTP by somebody who signs in at the control endpoint.
    pub(crate) async fn caller(&self, name: &str) -> Caller {
        let (_, minted) = self.control("/tokens", &json!({ "client": name })).await;
        let token = minted["accessToken"].as_str().unwrap().to_owned();
        Caller::with_token(self.text("baseUrl").to_owned(), token)
    }

    pub(crate) async fn control(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.text("controlUrl"));
        let answer = self.http.post(url).json(body).send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap())
    }

    pub(crate) async fn now(&self) -> String {
        let answer = self
            .http
            .get(format!("{}/clock", self.text("controlUrl")))
            .send()
            .await
            .unwrap();
        answer.json::<Value>().await.unwrap()["now"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Schedules a hotfix of the Sales Pack that waits for no window.
    async fn schedule(&self, name: &str, run_after: Option<&str>) -> Hotfix {
        self.schedule_in(name, run_after, true).await
    }

    async fn schedule_in(&self, name: &str, run_after: Option<&str>, ignores_window: bool) -> Hotfix {
        let environment = self.environment(name);
        let member = |member: &str| environment[member].as_str().unwrap().to_owned();
        let contributor = self.asked_by("contributor");
        let (app, country) = (self.app(SALES_PACK), member("countryCode"));
        let body = HotfixRequestBody {
            environment_aad_tenant_id: member("aadTenantId").parse().unwrap(),
            target_app_version: AppVersion([16, 0, 2, 0]).to_string(),
            run_after: run_after.map(str::to_owned),
            ignore_upgrade_window: ignores_window,
            environment_application_family: member("applicationFamily"),
            environment_name: name.to_owned(),
            environment_type: None,
        };
        let made = contributor.schedule_hotfix(app, &country, &body).await.unwrap();
        Hotfix {
            contributor,
            app,
            country,
            id: made.id,
        }
    }

    /// Ends it at this very instant, as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end, and answers how it did and what else it wrote.
    async fn end(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().unwrap().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let status = self.child.wait().await.unwrap();
        let mut rest = String::new();
        self.out.into_inner().read_to_string(&mut rest).await.unwrap();
        (status, rest)
    }
}

/// A hotfix, and who scheduled it.
struct Hotfix {
    contributor: client::Client,
    app: AppId,
    country: String,
    id: OperationId,
}

impl Hotfix {
    async fn look(&self) -> EnvironmentHotfix {
        let hotfix = self.contributor.get_hotfix(self.app, &self.country, self.id);
        hotfix.await.unwrap()
    }

    async fn status(&self) -> OperationStatus {
        self.look().await.status
    }
}

/// The status of a request that was refused.
fn refused<T>(answer: client::Result<T>) -> StatusCode {
    match answer {
        Err(client::Error::Refused(refusal)) => refusal.status,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was not refused"),
    }
}

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn the_line_has_what_is_promised_and_nothing_follows_it() {
    let dev = Dev::start(&[]).await;
    let promised = [
        "baseUrl",
        "httpsBaseUrl",
        "authority",
        "tokenUrl",
        "httpsTokenUrl",
        "caFile",
        "scope",
        "controlUrl",
        "clients",
        "apps",
        "environments",
        "dataDir",
    ];
    assert_eq!(members(&dev.ready), promised);
    let clients = dev.ready["clients"].as_array().unwrap();
    let names: Vec<_> = clients
        .iter()
        .map(|client| client["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "owner",
            "contributor",
            "reader",
            "stranger",
            "operator",
            "owner-user",
            "reader-user",
            "customer-admin"
        ]
    );
    for client in clients {
        let is_user = client["name"].as_str().unwrap().ends_with("-user");
        assert_eq!(client["type"], if is_user { "User" } else { "Application" });
        assert_eq!(
            client["username"].is_string() && client["password"].is_string(),
            is_user
        );
        for member in ["principalId", "tenantId", "tokenUrl", "clientId", "clientSecret"] {
            assert!(client[member].is_string(), "{member} of {}", client["name"]);
        }
    }
    for app in dev.ready["apps"].as_array().unwrap() {
        assert_eq!(members(app), ["id", "name", "countries"]);
        for (name, role) in [
            ("owner", "Owner"),
            ("contributor", "Contributor"),
            ("reader", "Reader"),
        ] {
            assert_eq!(
                dev.client(name)["roles"][app["id"].as_str().unwrap()],
                json!([role])
            );
        }
        assert!(dev.client("stranger")["roles"].as_object().unwrap().is_empty());
    }
    let environments = dev.ready["environments"].as_array().unwrap();
    assert_eq!(
        (dev.ready["apps"].as_array().unwrap().len(), environments.len()),
        (3, 40)
    );
    for environment in environments {
        assert_eq!(
            members(environment),
            [
                "aadTenantId",
                "applicationFamily",
                "name",
                "type",
                "countryCode",
                "apps"
            ]
        );
        assert_eq!(members(&environment["apps"][0]), ["id", "version"]);
    }
    assert!(Path::new(dev.text("dataDir")).is_absolute());
    assert!(dev.text("authority").starts_with(dev.text("httpsBaseUrl")));

    let folder = dev.text("dataDir").to_owned();
    let (status, rest) = dev.end().await;
    assert_eq!((status.code(), rest.as_str()), (Some(0), ""));
    assert!(
        !Path::new(&folder).exists(),
        "a temporary folder is gone at the end"
    );
}

#[tokio::test]
async fn everybody_signs_in_and_sees_what_is_theirs() {
    let dev = Dev::start(&[]).await;
    let seen = [
        ("owner", 3),
        ("contributor", 3),
        ("reader", 3),
        ("owner-user", 3),
        ("reader-user", 3),
        ("stranger", 0),
        ("operator", 0),
    ];
    for (name, apps) in seen {
        let list = dev.asked_by(name).list_apps().all().await.unwrap();
        assert_eq!(list.len(), apps, "{name}");
    }
    let environments = |name| dev.asked_by(name).list_registered_environments();
    assert_eq!(environments("operator").all().await.unwrap().len(), 40);
    assert_eq!(refused(environments("owner").all().await), StatusCode::FORBIDDEN);

    let hotfixes = dev.asked_by("reader").list_hotfixes(dev.app(SALES_PACK), "US");
    let hotfixes = hotfixes.all().await.unwrap();
    let count = |wanted| hotfixes.iter().filter(|row| row.status == wanted).count();
    assert_eq!(
        (count(OperationStatus::Succeeded), count(OperationStatus::Failed)),
        (1, 1),
        "the lists have a past"
    );
}

/// What else the service answers is what its typed client reads.
#[tokio::test]
async fn every_kind_of_row_is_read_as_what_it_is() {
    let dev = Dev::start(&[]).await;
    let (owner, operator, app) = (
        dev.asked_by("owner"),
        dev.asked_by("operator"),
        dev.app(SALES_PACK),
    );
    assert_eq!(owner.get_service_document().await.unwrap().value[0].name, "apps");
    assert!(owner.get_metadata().await.unwrap().contains("EntityType"));
    assert!(owner.get_live().await.unwrap().is_object());
    assert!(owner.get_ready().await.unwrap().is_object());
    let contoso = Some("publisher eq 'Contoso'");
    assert_eq!(owner.count_apps(contoso).await.unwrap(), 2);
    assert_eq!(owner.get_app(app).await.unwrap().id, app);
    assert_eq!(owner.list_roles(app).all().await.unwrap().len(), 3);
    assert!(!owner.get_my_permissions(app).all().await.unwrap().is_empty());
    assert_eq!(owner.list_principals(app).all().await.unwrap().len(), 5);
    assert_eq!(owner.list_versions(app, "DK").all().await.unwrap().len(), 6);
    assert_eq!(owner.list_environments(app, "DK").all().await.unwrap().len(), 12);

    assert_eq!(operator.get_registered_app(app).await.unwrap().owners.len(), 2);
    assert_eq!(operator.list_operations().all().await.unwrap().len(), 7);
    let audit = operator.list_audit().all().await.unwrap();
    assert!(audit.iter().any(|row| row.action == "environmentHotfixes/cancel"));
}

#[tokio::test]
async fn https_is_proven_by_the_authority_of_the_folder() {
    let dev = Dev::start(&["--empty"]).await;
    let pem = std::fs::read(dev.text("caFile")).unwrap();
    let https = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap();
    let owner = dev.client("owner");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", owner["clientId"].as_str().unwrap()),
        ("client_secret", owner["clientSecret"].as_str().unwrap()),
        ("scope", dev.text("scope")),
    ];
    let answer = https
        .post(dev.text("httpsTokenUrl"))
        .form(&form)
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    let apps = format!("{}/v1.4/apps", dev.text("httpsBaseUrl"));
    let apps = https
        .get(apps)
        .bearer_auth(answer["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(apps.status(), StatusCode::OK);

    let with_client = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fame"));
        command
            .args(["apps", "list", "--url", dev.text("httpsBaseUrl")])
            .args(more);
        command
            .env_clear()
            .env("FAME_TOKEN", answer["access_token"].as_str().unwrap());
        crate::service::run(command)
    };
    let distrusted = with_client(&[]).await;
    assert_eq!(distrusted.code, 6, "{distrusted:?}");
    assert!(distrusted.err.contains("--ca-file"), "{distrusted:?}");
    assert!(!distrusted.err.contains("Trying again"), "{distrusted:?}");
    assert_eq!(with_client(&["--ca-file", dev.text("caFile")]).await.code, 0);

    let document = format!("{}/v2.0/.well-known/openid-configuration", dev.text("authority"));
    let document: Value = https.get(document).send().await.unwrap().json().await.unwrap();
    assert_eq!(document["token_endpoint"], dev.text("httpsTokenUrl"));
    assert_eq!(document["issuer"], format!("{}/v2.0", dev.text("authority")));
}

/// A program that was told no scope asks for Microsoft's, and finds out here and not on the first day with a service of its
/// own; where Microsoft's host leads here, that is what it means.
#[tokio::test]
async fn a_token_for_somebody_else_is_not_had() {
    let original = "apps.businesscentral.dynamics.com";
    for (more, expected) in [
        (&["--empty"][..], StatusCode::BAD_REQUEST),
        (&["--empty", "--host", original], StatusCode::OK),
    ] {
        let dev = Dev::start(more).await;
        let owner = dev.client("owner");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", owner["clientId"].as_str().unwrap()),
            ("client_secret", owner["clientSecret"].as_str().unwrap()),
            ("scope", &format!("https://{original}/.default")),
        ];
        let answer = dev
            .http
            .post(dev.text("tokenUrl"))
            .form(&form)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), expected, "{more:?}");
        for version in ["1.0", "2.0"] {
            let audience = format!("https://{original}");
            let (_, minted) = dev
                .control(
                    "/tokens",
                    &json!({ "client": "owner", "audience": audience, "version": version }),
                )
                .await;
            let token = minted["accessToken"].as_str().unwrap().into();
            let list = dev.asked_with(Credentials::Token(token)).list_apps().all().await;
            assert_eq!(list.is_ok(), expected == StatusCode::OK, "{more:?} {version}");
        }
    }
}

#[tokio::test]
async fn a_customers_administrator_sees_the_environments_of_their_tenant() {
    let dev = Dev::start(&[]).await;
    let administrator = dev.asked_by("customer-admin");
    let environments = administrator.list_own_environments().await.unwrap().value;
    let names: Vec<_> = environments
        .iter()
        .map(|environment| environment.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "Seattle-Branch",
            "Seattle-Production",
            "Seattle-Sandbox",
            "Seattle-Training"
        ]
    );
    let tenant = dev.client("customer-admin")["tenantId"].as_str().unwrap();
    let managed = administrator.list_manageable_tenants().await.unwrap().value;
    let managed: Vec<_> = managed
        .iter()
        .map(|managed| managed.entra_tenant_id.to_string())
        .collect();
    assert_eq!(
        managed,
        [tenant],
        "the operator has it on the tenant's list of clients"
    );
    let url = format!("{}/{tenant}/Seattle-Sandbox/deployment/url", dev.text("baseUrl"));
    let told: Value = dev.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&told["status"], &told["environmentType"]),
        (&json!("Ready"), &json!(1))
    );
}

#[tokio::test]
async fn an_empty_one_has_clients_and_nothing_else() {
    let dev = Dev::start(&["--empty"]).await;
    assert_eq!(dev.ready["clients"].as_array().unwrap().len(), 8);
    assert_eq!(
        (&dev.ready["apps"], &dev.ready["environments"]),
        (&json!([]), &json!([]))
    );
    for client in dev.ready["clients"].as_array().unwrap() {
        assert_eq!(client["roles"], json!({}));
        let name = client["name"].as_str().unwrap();
        dev.asked_by(name).sign_in().await.unwrap();
    }
}

/// What of a member of the line outlasts a restart, after which addresses have other ports.
fn lasting(ready: &Value, member: &str) -> Value {
    let mut value = ready[member].clone();
    for row in value.as_array_mut().into_iter().flatten() {
        row.as_object_mut().unwrap().remove("tokenUrl");
    }
    value
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let first = Dev::start(&["--data", data]).await;
    first.control("/keys/rotate", &json!({})).await;
    first
        .control("/clock", &json!({ "now": "2031-05-01T12:00:00Z" }))
        .await;
    let keys = keys_of(&first).await;
    let before = first.ready.clone();
    assert_eq!(first.end().await.0.code(), Some(0));

    let second = Dev::start(&["--data", data]).await;
    for member in ["clients", "apps", "caFile", "dataDir"] {
        assert_eq!(
            lasting(&second.ready, member),
            lasting(&before, member),
            "{member}"
        );
    }
    // What was scheduled for the days between was carried out on the way, so other versions are installed.
    let names = |ready: &Value| -> Vec<Value> {
        let environments = ready["environments"].as_array().unwrap().iter();
        environments
            .map(|environment| environment["name"].clone())
            .collect()
    };
    assert_eq!(names(&second.ready), names(&before));
    assert_eq!(keys_of(&second).await, keys);
    assert!(second.now().await.starts_with("2031-05-01T12:"));
    let reader = second.asked_by("reader");
    let hotfixes = reader.count_hotfixes(second.app(SALES_PACK), "US", None);
    assert_eq!(hotfixes.await.unwrap(), 2, "nothing is seeded twice");
}

async fn keys_of(dev: &Dev) -> Vec<String> {
    let url = dev
        .text("tokenUrl")
        .replace("oauth2/v2.0/token", "discovery/v2.0/keys");
    let set: Value = dev.http.get(url).send().await.unwrap().json().await.unwrap();
    let mut kids: Vec<_> = set["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect();
    kids.sort();
    kids
}

#[tokio::test]
async fn a_start_that_was_cut_off_is_done_again_without_doubles() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let first = Dev::start(&["--data", data]).await;
    let before = first.ready.clone();
    first.end().await;
    // What a crash in the middle leaves: a folder with some of the sample data, not marked as complete.
    let kept = folder.path().join("dev.json");
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(text.contains("\"complete\": true"));
    std::fs::write(&kept, text.replace("\"complete\": true", "\"complete\": false")).unwrap();

    let second = Dev::start(&["--data", data]).await;
    for member in ["clients", "apps", "environments"] {
        assert_eq!(
            lasting(&second.ready, member),
            lasting(&before, member),
            "{member}"
        );
    }
}

#[tokio::test]
async fn the_clock_of_a_fresh_one_is_the_machines() {
    let machine = Clock::system();
    for more in [&[][..], &["--empty"]] {
        let dev = Dev::start(more).await;
        let before = machine.now();
        let now: Instant = dev.now().await.parse().unwrap();
        assert!((before..=machine.now()).contains(&now), "{before} and then {now}");
    }
}

#[tokio::test]
async fn time_moves_on_request_and_due_work_is_taken_on_before_the_answer() {
    let dev = Dev::start(&[]).await;
    let (status, answer) = dev
        .control("/clock", &json!({ "now": "2031-05-01T12:00:00Z" }))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert!(answer["now"].as_str().unwrap().starts_with("2031-05-01T12:00:0"));

    let hotfix = dev.schedule("Chicago-Branch", Some("2031-05-03T12:00:00Z")).await;
    assert_eq!(hotfix.status().await, OperationStatus::Scheduled);
    dev.control("/clock", &json!({ "advance": "P2D" })).await;
    let started_on = hotfix.look().await.started_on.unwrap().to_string();
    assert!(started_on.starts_with("2031-05-03T12:"), "{started_on}");
    dev.control("/clock", &json!({ "advance": "PT1M" })).await;
    assert_eq!(hotfix.status().await, OperationStatus::Succeeded);

    for wrong in [
        json!({}),
        json!({ "advance": "-PT1H" }),
        json!({ "now": "soon" }),
        json!({ "advance": "six" }),
    ] {
        let (status, answer) = dev.control("/clock", &wrong).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("InvalidInput")),
            "{wrong}"
        );
    }
    let foreign = dev
        .http
        .get(format!("{}/clock", dev.text("controlUrl")))
        .header("host", "contoso.com");
    assert_eq!(foreign.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    // Tokens live on the machine's time.
    assert!(dev.asked_by("reader").list_apps().all().await.is_ok());
}

#[tokio::test]
async fn a_moved_clock_steps_over_no_window() {
    let dev = Dev::start(&[]).await;
    // Noon in London is morning in Chicago, where the window opens at midnight.
    dev.control("/clock", &json!({ "now": "2031-05-01T12:00:00Z" }))
        .await;
    let waits = dev.schedule_in("Chicago-Branch", None, false).await;
    let lost = dev.schedule_in("Hamburg-GetsLost", None, false).await;
    let (status, answer) = dev.control("/clock", &json!({ "advance": "P7DT2H" })).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        answer["now"].as_str().unwrap().starts_with("2031-05-08T14:00:0"),
        "{answer}"
    );
    let done = waits.look().await;
    assert_eq!(done.status, OperationStatus::Succeeded);
    let at = |instant: Option<Instant>| instant.unwrap().to_string();
    assert!(at(done.started_on).starts_with("2031-05-02T05:00:0"), "{done:?}");
    assert!(
        at(done.completed_on).starts_with("2031-05-02T05:00:0"),
        "{done:?}"
    );
    // What follows from work that starts follows too: the lease of what got lost ran out long ago.
    let failed = lost.look().await;
    assert_eq!(failed.status, OperationStatus::Failed);
    assert!(at(failed.started_on) < at(failed.completed_on), "{failed:?}");
    assert!(*at(failed.completed_on) < *"2031-05-03", "{failed:?}");
}

#[tokio::test]
async fn control_takes_no_orders_from_pages() {
    let dev = Dev::start(&["--empty"]).await;
    let before = dev.now().await;
    let url = format!("{}/clock", dev.text("controlUrl"));
    let post = || dev.http.post(&url).body(r#"{"advance":"P1D"}"#);
    let json = "application/json";
    for (request, expected) in [
        (post(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            post().header("content-type", "text/plain"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            post()
                .header("content-type", json)
                .header("origin", "http://contoso.com"),
            StatusCode::FORBIDDEN,
        ),
        (
            post()
                .header("content-type", json)
                .header("sec-fetch-site", "cross-site"),
            StatusCode::FORBIDDEN,
        ),
    ] {
        assert_eq!(request.send().await.unwrap().status(), expected);
    }
    assert_eq!(dev.now().await[..10], before[..10]);
    let taken = post().header("content-type", json).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::OK);
}

#[tokio::test]
async fn two_environments_fail_and_one_gets_lost() {
    let dev = Dev::start(&[]).await;
    let mut hotfixes = Vec::new();
    for name in ["Atlanta-SyncFails", "Aarhus-DependencyFails", "Hamburg-GetsLost"] {
        hotfixes.push(dev.schedule(name, None).await);
    }
    dev.control("/clock", &json!({ "advance": "PT1S" })).await;
    dev.control("/clock", &json!({ "advance": "PT1M" })).await;
    let reasons = [
        "could not be synchronized",
        "depends on an app that is not installed",
    ];
    for (hotfix, reason) in hotfixes.iter().zip(reasons) {
        let ended = hotfix.look().await;
        assert_eq!(ended.status, OperationStatus::Failed);
        let told = ended.error_message.unwrap();
        assert!(told.contains(reason), "{told}");
    }
    assert_eq!(hotfixes[2].status().await, OperationStatus::Running);
    dev.control("/clock", &json!({ "advance": "PT1H" })).await;
    assert_eq!(hotfixes[2].status().await, OperationStatus::Failed);
}

#[tokio::test]
async fn bad_tokens_can_be_had_and_are_refused() {
    let dev = Dev::start(&["--empty"]).await;
    let apps_with = async |request: &Value| {
        let (_, minted) = dev.control("/tokens", request).await;
        let token = minted["accessToken"].as_str().unwrap().into();
        dev.asked_with(Credentials::Token(token)).list_apps().all().await
    };
    for bad in [
        json!({ "client": "owner", "expiresIn": -3600 }),
        json!({ "client": "owner", "audience": "https://graph.microsoft.com" }),
        json!({ "client": "owner", "issuer": "https://login.contoso.com/" }),
        json!({ "client": "owner", "key": "unknown" }),
    ] {
        assert_eq!(refused(apps_with(&bad).await), StatusCode::UNAUTHORIZED, "{bad}");
    }
    for version in ["1.0", "2.0"] {
        let good = json!({ "client": "owner", "version": version });
        assert!(apps_with(&good).await.is_ok(), "{version}");
    }
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

#[test]
fn other_machines_are_not_let_in() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.7:8080", "nonsense"] {
        let output = run(&["--json", "--listen", address]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(output.stdout.is_empty());
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn the_main_job_runs_once_and_keeps_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("fresh");
    let data = data.to_str().unwrap();
    let args = ["--once", "--listen", "127.0.0.1:0", "--data", data];
    let output = run(&args);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    for fact in [
        "Scheduled -> Running",
        "Running -> Succeeded",
        "it waits for its window",
        "Done: both environments",
    ] {
        assert!(told.contains(fact), "{fact}: {told}");
    }
    let kept: Value =
        serde_json::from_slice(&std::fs::read(Path::new(data).join("dev.json")).unwrap()).unwrap();
    for application in kept["issuer"]["directory"]["applications"].as_array().unwrap() {
        assert!(!told.contains(application["secret"].as_str().unwrap()));
    }
    assert!(!told.contains("eyJ"), "no token is shown");

    let again = run(&args);
    assert_eq!(again.status.code(), Some(2), "the folder is not fresh any more");
}

#[test]
fn people_get_a_guide() {
    let mut child = command(&["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut guide = String::new();
    let mut buffer = [0; 4096];
    while !guide.contains("Ctrl-C ends it.") {
        let count = out.read(&mut buffer).unwrap();
        assert!(count > 0, "it ended early: {guide}");
        guide.push_str(std::str::from_utf8(&buffer[..count]).unwrap_or_default());
    }
    for word in [
        "curl",
        "/oauth2/v2.0/token",
        "/environmentHotfixes",
        "/control/clock",
        "client_secret=",
    ] {
        assert!(guide.contains(word), "{word}: {guide}");
    }
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A pipeline's rollout to two countries, by an app's name, signed in where the service says; and the same pipeline again.
#[tokio::test]
async fn a_rollout_is_scheduled_waited_for_and_rerun() {
    let dev = Dev::start(&[]).await;
    let owner = dev.client("owner");
    let fame = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fame"));
        command.args(args).env_clear();
        command
            .env("FAME_URL", dev.text("baseUrl"))
            .env("FAME_CA_FILE", dev.text("caFile"))
            .env("FAME_CLIENT_ID", owner["clientId"].as_str().unwrap())
            .env("FAME_CLIENT_SECRET", owner["clientSecret"].as_str().unwrap());
        crate::service::run(command)
    };
    let scope = [SALES_PACK, "-c", "US", "-c", "DK"];
    let offer = [
        &["versions", "update"],
        &scope[..],
        &["16.1.2.0", "--availability", "available"],
    ]
    .concat();
    assert_eq!(fame(&offer).await.code, 0);
    let filter = "version lt '16.1.2.0' and version ge '16.1' and type eq 'Sandbox'";
    let schedule = [
        "--target",
        "16.1.2.0",
        "--filter",
        filter,
        "--ignore-window",
        "--eligible-only",
    ];
    let schedule = [
        &["hotfixes", "schedule"],
        &scope[..],
        &schedule,
        &["--idempotency-key", "run 7", "--json"],
    ]
    .concat();
    let ids = |ended: &crate::service::Ended| {
        assert_eq!(ended.code, 0, "{ended:?}");
        let rows = ended.json();
        let mut ids: Vec<String> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].to_string())
            .collect();
        ids.sort();
        ids
    };
    let first = ids(&fame(&schedule).await);
    assert!(first.len() > 1, "{first:?}");
    let wait = [
        "--target",
        "16.1.2.0",
        "--poll-interval",
        "100ms",
        "--timeout",
        "60s",
    ];
    let waited = fame(&[&["hotfixes", "wait"], &scope[..], &wait].concat()).await;
    assert_eq!(waited.code, 0, "{waited:?}");
    let again = fame(&schedule).await;
    assert_eq!(ids(&again), first);
    let counted = format!("{0} hotfixes ({0} Succeeded)", first.len());
    assert!(again.err.contains(&counted), "{again:?}");
}
