//! `fame dev` as its users have it: the real binary, the one line it promises, and what is behind the addresses in it.

use reqwest::{Certificate, Client, StatusCode};
use serde_json::{Value, json};
use std::{
    io::Read as _,
    path::Path,
    process::{Command, ExitStatus, Output, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
};

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
struct Dev {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    ready: Value,
    http: Client,
    /// Where it makes its temporary folder; a test that ends early leaves nothing behind.
    _temporary: tempfile::TempDir,
}

impl Dev {
    /// Starts it on any free port, and waits until it says that it is ready.
    async fn start(more: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = command(&["--json", "--listen", "127.0.0.1:0"]);
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
            http: Client::builder().no_proxy().build().unwrap(),
            _temporary: temporary,
        }
    }

    fn text(&self, member: &str) -> &str {
        self.ready[member]
            .as_str()
            .unwrap_or_else(|| panic!("{member} is no text"))
    }

    fn client(&self, name: &str) -> &Value {
        let clients = self.ready["clients"].as_array().unwrap();
        clients.iter().find(|client| client["name"] == name).unwrap()
    }

    fn app(&self, name: &str) -> &str {
        let apps = self.ready["apps"].as_array().unwrap();
        apps.iter().find(|app| app["name"] == name).unwrap()["id"]
            .as_str()
            .unwrap()
    }

    fn environment(&self, name: &str) -> &Value {
        let environments = self.ready["environments"].as_array().unwrap();
        environments
            .iter()
            .find(|environment| environment["name"] == name)
            .unwrap()
    }

    /// Signs a client in, the way its type does.
    async fn token(&self, name: &str) -> String {
        let client = self.client(name);
        let mut form: Vec<(&str, &str)> = vec![
            ("client_id", client["clientId"].as_str().unwrap()),
            ("client_secret", client["clientSecret"].as_str().unwrap()),
            ("scope", self.text("scope")),
        ];
        if client["type"] == "User" {
            form.push(("grant_type", "password"));
            form.push(("username", client["username"].as_str().unwrap()));
            form.push(("password", client["password"].as_str().unwrap()));
        } else {
            form.push(("grant_type", "client_credentials"));
        }
        let answer = self
            .http
            .post(self.text("tokenUrl"))
            .form(&form)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        let answer: Value = answer.json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn get(&self, token: &str, path: &str) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.text("baseUrl"));
        let answer = self.http.get(url).bearer_auth(token).send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    async fn post(&self, token: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.text("baseUrl"));
        let answer = self
            .http
            .post(url)
            .bearer_auth(token)
            .json(body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    async fn control(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.text("controlUrl"));
        let answer = self.http.post(url).json(body).send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap())
    }

    async fn now(&self) -> String {
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

    /// Schedules a hotfix of the Sales Pack, and answers its path.
    async fn schedule(&self, token: &str, name: &str, target: &str, more: Value) -> String {
        let environment = self.environment(name);
        let mut body = json!({
            "environmentAadTenantId": environment["aadTenantId"],
            "environmentApplicationFamily": environment["applicationFamily"],
            "environmentName": name,
            "targetAppVersion": target,
        });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let country = environment["countryCode"].as_str().unwrap();
        let path = format!(
            "/v1.0/apps/{}/countries/{country}/environmentHotfixes",
            self.app(SALES_PACK)
        );
        let (status, made) = self.post(token, &path, &body).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        format!("{path}/{}", made["id"].as_str().unwrap())
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

fn rows(list: &Value) -> &Vec<Value> {
    list["value"].as_array().unwrap()
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
            "reader-user"
        ]
    );
    for client in clients {
        let is_user = client["name"].as_str().unwrap().ends_with("-user");
        assert_eq!(client["type"], if is_user { "User" } else { "Application" });
        assert_eq!(
            client["username"].is_string() && client["password"].is_string(),
            is_user
        );
        for member in ["principalId", "tenantId", "clientId", "clientSecret"] {
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
        let (status, list) = dev.get(&dev.token(name).await, "/v1.0/apps").await;
        assert_eq!((status, rows(&list).len()), (StatusCode::OK, apps), "{name}");
    }
    let (status, list) = dev
        .get(&dev.token("operator").await, "/operator/v1/environments")
        .await;
    assert_eq!((status, rows(&list).len()), (StatusCode::OK, 40));
    let (status, _) = dev
        .get(&dev.token("owner").await, "/operator/v1/environments")
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    let hotfixes = format!(
        "/v1.0/apps/{}/countries/US/environmentHotfixes",
        dev.app(SALES_PACK)
    );
    let (_, list) = dev.get(&dev.token("reader").await, &hotfixes).await;
    let status_of = |wanted: &str| rows(&list).iter().filter(|row| row["status"] == wanted).count();
    assert_eq!(
        (status_of("Succeeded"), status_of("Failed")),
        (1, 1),
        "the lists have a past"
    );
}

#[tokio::test]
async fn https_is_proven_by_the_authority_of_the_folder() {
    let dev = Dev::start(&["--empty"]).await;
    let pem = std::fs::read(dev.text("caFile")).unwrap();
    let https = Client::builder()
        .no_proxy()
        .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap();
    let owner = dev.client("owner");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", owner["clientId"].as_str().unwrap()),
        ("client_secret", owner["clientSecret"].as_str().unwrap()),
        ("scope", "https://apps.businesscentral.dynamics.com/.default"),
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

    let document = format!("{}/v2.0/.well-known/openid-configuration", dev.text("authority"));
    let document: Value = https.get(document).send().await.unwrap().json().await.unwrap();
    assert_eq!(document["token_endpoint"], dev.text("httpsTokenUrl"));
    assert_eq!(document["issuer"], format!("{}/v2.0", dev.text("authority")));
}

#[tokio::test]
async fn an_empty_one_has_clients_and_nothing_else() {
    let dev = Dev::start(&["--empty"]).await;
    assert_eq!(dev.ready["clients"].as_array().unwrap().len(), 7);
    assert_eq!(
        (&dev.ready["apps"], &dev.ready["environments"]),
        (&json!([]), &json!([]))
    );
    for client in dev.ready["clients"].as_array().unwrap() {
        assert_eq!(client["roles"], json!({}));
        dev.token(client["name"].as_str().unwrap()).await;
    }
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
    for member in ["clients", "apps", "environments", "caFile", "dataDir"] {
        assert_eq!(second.ready[member], before[member], "{member}");
    }
    assert_eq!(keys_of(&second).await, keys);
    assert!(second.now().await.starts_with("2031-05-01T12:"));
    let token = second.token("reader").await;
    let hotfixes = format!(
        "/v1.0/apps/{}/countries/US/environmentHotfixes/$count",
        second.app(SALES_PACK)
    );
    assert_eq!(
        second.get(&token, &hotfixes).await.1,
        json!(2),
        "nothing is seeded twice"
    );
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
        assert_eq!(second.ready[member], before[member], "{member}");
    }
}

#[tokio::test]
async fn time_moves_on_request_and_due_work_is_taken_on_before_the_answer() {
    let dev = Dev::start(&[]).await;
    let token = dev.token("contributor").await;
    let (status, answer) = dev
        .control("/clock", &json!({ "now": "2031-05-01T12:00:00Z" }))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert!(answer["now"].as_str().unwrap().starts_with("2031-05-01T12:00:0"));

    let later = json!({ "runAfter": "2031-05-03T12:00:00Z", "ignoreUpgradeWindow": true });
    let hotfix = dev.schedule(&token, "Chicago-Branch", "16.0.2.0", later).await;
    assert_eq!(dev.get(&token, &hotfix).await.1["status"], "Scheduled");
    dev.control("/clock", &json!({ "advance": "P2D" })).await;
    let (_, taken_on) = dev.get(&token, &hotfix).await;
    assert!(
        taken_on["startedOn"]
            .as_str()
            .unwrap()
            .starts_with("2031-05-03T12:"),
        "{taken_on}"
    );
    dev.control("/clock", &json!({ "advance": "PT1M" })).await;
    assert_eq!(dev.get(&token, &hotfix).await.1["status"], "Succeeded");

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
    assert_eq!(
        dev.get(&dev.token("reader").await, "/v1.0/apps").await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn two_environments_fail_and_one_gets_lost() {
    let dev = Dev::start(&[]).await;
    let token = dev.token("contributor").await;
    let at_once = json!({ "ignoreUpgradeWindow": true });
    let mut hotfixes = Vec::new();
    for name in ["Atlanta-SyncFails", "Aarhus-DependencyFails", "Hamburg-GetsLost"] {
        hotfixes.push(dev.schedule(&token, name, "16.0.2.0", at_once.clone()).await);
    }
    dev.control("/clock", &json!({ "advance": "PT1S" })).await;
    dev.control("/clock", &json!({ "advance": "PT1M" })).await;
    let reasons = [
        "could not be synchronized",
        "depends on an app that is not installed",
    ];
    for (hotfix, reason) in hotfixes.iter().zip(reasons) {
        let (_, ended) = dev.get(&token, hotfix).await;
        assert_eq!(ended["status"], "Failed");
        assert!(
            ended["errorMessage"].as_str().unwrap().contains(reason),
            "{ended}"
        );
    }
    assert_eq!(dev.get(&token, &hotfixes[2]).await.1["status"], "Running");
    dev.control("/clock", &json!({ "advance": "PT1H" })).await;
    assert_eq!(dev.get(&token, &hotfixes[2]).await.1["status"], "Failed");
}

#[tokio::test]
async fn bad_tokens_can_be_had_and_are_refused() {
    let dev = Dev::start(&["--empty"]).await;
    let refused = [
        json!({ "client": "owner", "expiresIn": -3600 }),
        json!({ "client": "owner", "audience": "https://graph.microsoft.com" }),
        json!({ "client": "owner", "issuer": "https://login.contoso.com/" }),
        json!({ "client": "owner", "key": "unknown" }),
    ];
    for wish in refused {
        let (_, minted) = dev.control("/tokens", &wish).await;
        let (status, _) = dev
            .get(minted["accessToken"].as_str().unwrap(), "/v1.0/apps")
            .await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{wish}");
    }
    for version in ["1.0", "2.0"] {
        let (_, minted) = dev
            .control("/tokens", &json!({ "client": "owner", "version": version }))
            .await;
        let (status, _) = dev
            .get(minted["accessToken"].as_str().unwrap(), "/v1.0/apps")
            .await;
        assert_eq!(status, StatusCode::OK, "{version}");
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
