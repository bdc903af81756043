//! `fame record` and `fame replay`: what a real service answers, written down without what is nobody else's business, and
//! asked again of others.

use crate::{
    dev::Dev,
    service::{APP, Answer, Ended, Service, TENANT, binary, run},
    services::{APPS, Installed, Original},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
};

/// A `fame record` that runs.
struct Recording {
    child: Child,
    url: String,
    file: PathBuf,
}

impl Recording {
    /// Records what is asked of the service at `to`.
    async fn of(to: &str, file: &Path) -> Self {
        let mut command = binary(&["record", "--listen", "127.0.0.1:0", "--json", "--to", to, "--out"]);
        command.arg(file).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Self {
            child,
            url: said["url"].as_str().unwrap().to_owned(),
            file: file.to_owned(),
        }
    }

    /// Ends it as a person does; the lines of the file.
    async fn ends(mut self) -> Vec<Value> {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", "INT", &pid]).status().unwrap();
        assert!(sent.success());
        let ended = self.child.wait().await.unwrap();
        assert_eq!(ended.code(), Some(0));
        lines(&self.file)
    }
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The command, signed in at a `fame dev` as one of its people and sent to `url`.
fn signed_in(dev: &Dev, name: &str, url: &str, args: &[&str]) -> Command {
    let client = dev.client(name);
    let member = |member: &str| client[member].as_str().unwrap();
    let mut command = binary(args);
    command
        .env("FAME_URL", url)
        .env("FAME_CLIENT_ID", member("clientId"))
        .env("FAME_CLIENT_SECRET", member("clientSecret"))
        .env("FAME_TOKEN_URL", member("tokenUrl"))
        .env("FAME_SCOPE", dev.ready["scope"].as_str().unwrap());
    command
}

fn url(dev: &Dev) -> &str {
    dev.ready["baseUrl"].as_str().unwrap()
}

/// Replays a file to a `fame dev`, as its owner.
async fn replayed(dev: &Dev, file: &Path, more: &[&str]) -> Ended {
    let mut command = signed_in(dev, "owner", url(dev), &["replay", "--json", "--to", url(dev)]);
    command.args(more).arg(file);
    run(command).await
}

fn written(folder: &TempDir, name: &str, lines: &[Value]) -> PathBuf {
    let file = folder.path().join(name);
    let head = json!({"format": "fame-recording", "version": 1, "recorder": "a test", "original": true});
    let all = [&[head][..], lines].concat();
    let text: String = all.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&file, text).unwrap();
    file
}

fn exchange(method: &str, path: &str, answer: Value) -> Value {
    let headers = json!({"content-type": "application/json", "ms-correlation-x": "(removed)"});
    json!({"request": {"method": method, "path": path, "headers": {}, "body": "none"},
           "answer": {"status": 200, "headers": headers, "body": {"json": answer}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_of_one_service_is_asked_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let (file, package) = (folder.path().join("a.jsonl"), folder.path().join("a.app"));
    let package = package.to_str().unwrap();
    let ended = run(binary(&["dev", "package", "16.1.9.0", package])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let dev = Dev::start(&[]).await;
    let app = dev.app("Contoso Sales Pack").to_string();
    let environments = [
        "environments",
        "list",
        &app,
        "-c",
        "US",
        "--filter",
        "type eq 'Production'",
    ];
    let recording = Recording::of(url(&dev), &file).await;
    let download = folder.path().join("b.app");
    let vendor: [&[&str]; 9] = [
        &["apps", "list"],
        &["countries", "list", &app],
        &["principals", "list", &app],
        &["versions", "list", &app, "-c", "US"],
        &[
            "versions",
            "download",
            &app,
            "16.0.1.2",
            "-c",
            "US",
            "-o",
            download.to_str().unwrap(),
        ],
        &environments,
        &["hotfixes", "list", &app, "-c", "US"],
        &["versions", "upload", package, "-c", "US"],
        &[
            "versions",
            "update",
            &app,
            "16.1.9.0",
            "-c",
            "US",
            "--availability",
            "Available",
        ],
    ];
    let mut printed = String::new();
    for args in vendor {
        let ended = run(signed_in(
            &dev,
            "owner",
            &recording.url,
            &[args, &["--json"]].concat(),
        ))
        .await;
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        printed += &ended.out;
    }
    // A refusal is an answer too.
    let missing = ["versions", "get", &app, "99.0.0.0", "-c", "US"];
    let ended = run(signed_in(&dev, "owner", &recording.url, &missing)).await;
    assert_eq!(ended.code, 4, "{ended:?}");
    let lines = recording.ends().await;
    assert_eq!(lines[0]["format"], "fame-recording");
    assert!(lines.len() > vendor.len() + 1, "{lines:?}");

    hides_what_was_printed(&file, &printed, &dev);
    hides_package(&file, &fs::read(package).unwrap(), &lines);

    // Another service of the same kind answers the same, and is not changed unasked.
    let other = Dev::start(&[]).await;
    let ended = replayed(&other, &file, &[]).await;
    assert_eq!(
        ended.code, 5,
        "of what was not uploaded nothing is foretold: {ended:?}"
    );
    let rows = ended.json();
    let of_result = |rows: &Value, result: &str| {
        let rows = rows.as_array().unwrap().iter();
        rows.filter(|row| row["result"].as_str().unwrap().starts_with(result))
            .count()
    };
    assert_eq!(of_result(&rows, "not sent: it changes something"), 2, "{rows:#}");
    assert_eq!(of_result(&rows, "differs"), 1, "{rows:#}");
    assert_eq!(of_result(&rows, "same") + 3, lines.len() - 1, "{rows:#}");
    let get = ["versions", "get", &app, "16.1.9.0", "-c", "US"];
    assert_eq!(run(signed_in(&other, "owner", url(&other), &get)).await.code, 4);

    let ended = replayed(&other, &file, &["--allow-writes"]).await;
    assert_eq!(ended.code, 5, "what was not uploaded is not there: {ended:?}");
    let ended = replayed(&other, &file, &["--allow-writes", "--package", package]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let ended = run(signed_in(
        &other,
        "owner",
        url(&other),
        &[&get[..], &["--json"]].concat(),
    ))
    .await;
    assert_eq!(ended.json()["availability"], "Available", "{ended:?}");

    // One that has no more than what is documented shows less.
    let original = Original::start().await;
    original.knows(|books| {
        books.has_countries(APPS[0], &["DE", "DK", "US"]);
        books.installs(Installed::new(APPS[0], "US", "CRONUS", "16.0.1.2"));
    });
    let mut command = original.command(&["replay", "--json", "--to", original.url()]);
    // Its apps are others, in another order.
    let path = lines[2]["request"]["path"].as_str().unwrap();
    let pseudonym = path.split(['{', '}']).nth(1).unwrap();
    command
        .arg(&file)
        .arg("--bind")
        .arg(format!("{pseudonym}={}", APPS[0]));
    let ended = run(command).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    let rows = ended.json();
    let apps = &rows[0];
    let at: Vec<&str> = apps["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| difference["at"].as_str().unwrap())
        .collect();
    assert_eq!(at, ["value[].name"], "{rows:#}");
    assert_eq!(rows[1]["result"], "same", "{rows:#}");
    let sent = original.lines();
    assert!(
        sent.iter()
            .any(|line| *line == format!("GET /v1.4/apps/{}/countries", APPS[0])),
        "{sent:?}"
    );
    assert!(
        sent.iter()
            .all(|line| line.starts_with("GET ") || line.ends_with("getPackageContents")),
        "{sent:?}"
    );
}

/// Whoever reads the file learns nobody's id, name or address, and no secret.
fn hides_what_was_printed(file: &Path, printed: &str, dev: &Dev) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let text = fs::read_to_string(file).unwrap().to_lowercase();
    let mut private: Vec<String> = vec!["bearer ey".into(), "eyj".into(), "127.0.0.1".into()];
    let secret = dev.client("owner")["clientSecret"].as_str().unwrap();
    private.push(secret.to_owned());
    let names = [
        "publisher",
        "publisherContactEmail",
        "name",
        "storageLocation",
        "locationName",
        "environmentName",
    ];
    let guids = regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    private.extend(guids.find_iter(printed).map(|guid| guid.as_str().to_owned()));
    for name in names {
        let member = regex::Regex::new(&format!("\"{name}\": \"([^\"]+)\"")).unwrap();
        private.extend(member.captures_iter(printed).map(|found| found[1].to_owned()));
    }
    assert!(private.len() > 40, "{private:?}");
    for private in private {
        assert!(!text.contains(&private.to_lowercase()), "{private}");
    }
}

/// A package is its length and its digest, on its way there and back.
fn hides_package(file: &Path, package: &[u8], lines: &[Value]) {
    use sha2::{Digest as _, Sha256};
    let sha256: String = Sha256::digest(package)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let upload = lines.iter().find(|line| {
        line["request"]["method"] == "POST"
            && line["answer"]["status"] == 200
            && line["request"]["body"] != "none"
    });
    let contents = &upload.unwrap()["request"]["body"]["json"]["packageContents"];
    assert_eq!(
        *contents,
        json!({"package": {"length": package.len(), "sha256": sha256}})
    );
    let download = lines.iter().find(|line| {
        line["request"]["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("getPackageContents"))
    });
    let bytes = &download.unwrap()["answer"]["body"]["bytes"];
    assert_eq!(bytes["sha256"].as_str().unwrap().len(), 64, "{download:?}");
    assert!(bytes["length"].as_u64().unwrap() > 1_000);
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &package[..60]);
    assert!(!fs::read_to_string(file).unwrap().contains(&base64));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_signs_in_at_one_service_goes_to_no_other() {
    let own = Service::start(|_, _| Answer::json(200, json!({"value": []}))).await;
    let other = Service::start(|_, _| Answer::json(200, json!({"value": []}))).await;
    let folder = tempfile::tempdir().unwrap();
    let file = written(
        &folder,
        "a.jsonl",
        &[exchange("GET", "/v1.4/apps", json!({"value": []}))],
    );
    let file = file.to_str().unwrap();
    fs::create_dir(folder.path().join("fame")).unwrap();
    let profiles = folder.path().join("fame/profiles.toml");
    fs::write(
        &profiles,
        format!("[profiles.contoso]\nurl = \"{}\"\n", own.url()),
    )
    .unwrap();

    let for_its_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&profiles, for_its_owner).unwrap();
    let to_other = ["replay", "--to", &other.url(), file];
    let mut by_variable = binary(&to_other);
    by_variable.env("FAME_URL", own.url());
    let by_flag = binary(&[&to_other[..], &["--url", &own.url()]].concat());
    let mut by_profile = binary(&[&to_other[..], &["--profile", "contoso"]].concat());
    by_profile.env("XDG_CONFIG_HOME", folder.path());
    for mut command in [by_variable, by_flag, by_profile] {
        command.env("FAME_TOKEN", "the-own-token");
        let ended = run(command).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("goes to no other"), "{ended:?}");
    }
    assert!(
        own.lines().is_empty() && other.lines().is_empty(),
        "nothing was sent"
    );

    let mut same = binary(&["replay", "--to", &own.url(), file]);
    same.env("FAME_URL", own.url()).env("FAME_TOKEN", "the-own-token");
    assert_eq!(run(same).await.code, 0);
    assert_eq!(own.lines(), ["GET /v1.4/apps"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_can_ask_for_nothing_but_what_the_api_has() {
    let service = Service::start(|_, _| Answer::json(200, json!({"value": []}))).await;
    let folder = tempfile::tempdir().unwrap();
    let apps = json!({"value": [{"id": "{app-1}"}]});
    let hostile = [
        exchange("GET", "/operator/v1/apps", apps.clone()),
        exchange("GET", "/v1.4/../operator/v1/apps", apps.clone()),
        exchange("GET", "/v1.4/%2e%2e/operator/v1/apps", apps.clone()),
        exchange("GET", "/v1.4/apps/..%2f..%2foperator%2fv1", apps.clone()),
        exchange("GET", "/v1.4/%252e%252e/operator/v1/apps", apps.clone()),
        exchange("GET", "//contoso.com/v1.4/apps", apps.clone()),
        exchange("TRACE", "/v1.4/apps", apps.clone()),
        exchange("DELETE", "/v1.4/apps/x/principals/y", apps.clone()),
        exchange(
            "POST",
            "/v1.4/apps/x/countries/US/environmentHotfixes",
            apps.clone(),
        ),
        exchange("GET", "/v1.4/apps", apps),
    ];
    let file = written(&folder, "a.jsonl", &hostile);
    let url = service.url();
    let args = ["replay", "--json", "--to", &url, file.to_str().unwrap()];
    let ended = service.fame(&args).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(service.lines(), ["GET /v1.4/apps"]);
    for (name, bytes, told) in [
        ("b", b"{}\n".to_vec(), "first line"),
        ("c", vec![0; 100], "first line"),
        ("d", vec![0x1f, 0x8b, 0xff, 0xfe], "it is no text"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let ended = service
            .fame(&["replay", "--to", &url, file.to_str().unwrap()])
            .await;
        assert_eq!(ended.code, 5, "{ended:?}");
        assert!(ended.err.contains(told), "{ended:?}");
    }
    assert_eq!(service.lines().len(), 1, "nothing else was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonyms_are_bound_by_answers_or_by_hand() {
    let service = Service::start(|asked, _| match asked.path.as_str() {
        "/v1.4/apps" => Answer::json(
            200,
            json!({"value": [{"id": TENANT, "publisher": "Fabrikam"}, {"id": APP, "publisher": "Contoso"}]}),
        ),
        _ => Answer::json(200, json!({"value": []})),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let countries = exchange("GET", "/v1.4/apps/{app-2}/countries", json!({"value": []}));
    let mut environments = exchange(
        "GET",
        "/v1.4/apps/{app-2}/countries/US/environments",
        json!({"value": []}),
    );
    environments["request"]["query"] = json!([["$filter", "name eq '{name-3}'"]]);
    let apps = exchange(
        "GET",
        "/v1.4/apps",
        json!({"value": [{"id": "{app-1}", "publisher": "{name-1}"}, {"id": "{app-2}", "publisher": "{name-2}"}]}),
    );
    let url = service.url();
    let unknown = written(&folder, "a.jsonl", &[countries.clone(), environments.clone()]);
    let unknown = unknown.to_str().unwrap();
    let ended = service.fame(&["replay", "--to", &url, unknown]).await;
    assert_eq!(ended.code, 4, "nothing could be asked: {ended:?}");
    assert!(ended.out.contains("app-2, name-3 (--bind)"), "{ended:?}");

    let by_hand = format!("app-2={APP}");
    let bound = ["replay", "--to", &url, unknown, "--bind", &by_hand];
    let ended = service.fame(&bound).await;
    assert_eq!(ended.code, 20, "{ended:?}");
    let ended = service
        .fame(&[&bound[..], &["--bind", "name-3=O'Neil & Co"]].concat())
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let asked = service.journal().pop().unwrap();
    assert_eq!(asked.path, format!("/v1.4/apps/{APP}/countries/US/environments"));
    assert_eq!(asked.query, "$filter=name%20eq%20%27O%27%27Neil%20%26%20Co%27");
    let wrong = service
        .fame(&["replay", "--to", &url, unknown, "--bind", "app-2=Contoso"])
        .await;
    assert_eq!(wrong.code, 2, "{wrong:?}");

    let learnt = written(&folder, "b.jsonl", &[apps, countries]);
    let named = [
        "replay",
        "--to",
        &url,
        learnt.to_str().unwrap(),
        "--bind",
        "name-2=Contoso",
    ];
    assert_eq!(service.fame(&named).await.code, 0);
    assert_eq!(
        service.lines().pop().unwrap(),
        format!("GET /v1.4/apps/{APP}/countries")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_what_is_sent_and_what_is_cut_is_said_to_be() {
    let service = Service::start(|asked, _| match asked.path.as_str() {
        "/v1.4/apps" if asked.query == "$top=1" => {
            Answer::page(503, "<h1>A gateway</h1>").with("retry-after", 7)
        }
        "/secret/token" => Answer::json(200, json!({"access_token": "hunter2 of the service"})),
        _ => Answer::json(200, json!({"value": [{"id": APP, "odd member": 1}]}))
            .with("set-cookie", "session=hunter2"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    let recording = Recording::of(&service.url(), &file).await;
    let client = crate::services::Caller::new_client();
    let get = async |path: &str| {
        let asked = client
            .get(format!("{}{path}", recording.url))
            .bearer_auth("hunter2");
        let asked = asked
            .header("cookie", "a=hunter2")
            .header("accept-encoding", "gzip");
        let answer = asked.send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.headers().clone(),
            answer.text().await.unwrap(),
        )
    };
    let (status, headers, text) = get("/v1.4/apps?who=hunter2").await;
    assert_eq!(
        (status, headers["set-cookie"].to_str().unwrap()),
        (200, "session=hunter2")
    );
    assert!(text.contains("odd member"), "{text}");
    assert_eq!(get("/v1.4/apps?$top=1").await.0, 503);
    assert!(get("/secret/token").await.2.contains("hunter2"));
    let asked = service.journal();
    assert_eq!(
        (asked[0].header("authorization"), asked[0].query.as_str()),
        ("Bearer hunter2", "who=hunter2")
    );
    assert_eq!(asked[0].header("accept-encoding"), "", "the answer is to be read");

    let mut elsewhere = binary(&[
        "record",
        "--listen",
        "127.0.0.1:0",
        "--to",
        &service.url(),
        "--out",
    ]);
    elsewhere.arg(&file);
    let ended = run(elsewhere).await;
    assert_eq!(ended.code, 1, "a recording is not written over: {ended:?}");
    let lines = recording.ends().await;
    assert_eq!(
        lines.len(),
        3,
        "what is none of the API is not recorded: {lines:?}"
    );
    assert!(!fs::read_to_string(&file).unwrap().contains("hunter2"));
    assert_eq!(lines[1]["request"]["headers"]["authorization"], "(removed)");
    assert_eq!(
        lines[1]["answer"]["body"]["json"],
        json!({"value": [{"id": "{app-1}", "{text-3}": 0}]})
    );
    let page = &lines[2]["answer"];
    assert_eq!(
        (&page["status"], &page["headers"]["retry-after"]),
        (&json!(503), &json!("7"))
    );
    assert_eq!(page["body"], json!({"bytes": {"length": 18}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_recorded_whole_and_by_the_same_pseudonyms() {
    let service = Service::start(|asked, _| {
        let number = asked.query.trim_start_matches("$top=").to_owned();
        Answer::json(
            200,
            json!({"value": [{"id": APP, "publisher": "Contoso", "name": format!("App {number}")}]}),
        )
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let recording = Recording::of(&service.url(), &folder.path().join("a.jsonl")).await;
    let client = crate::services::Caller::new_client();
    let asked = (1..=40).map(|number| {
        let request = client.get(format!("{}/v1.4/apps?$top={number}", recording.url));
        async move {
            let text = request.send().await.unwrap().text().await.unwrap();
            assert!(text.contains(&format!("\"App {number}\"")), "{text}");
        }
    });
    futures::future::join_all(asked).await;
    let lines = recording.ends().await;
    let mut asked: Vec<u64> = lines[1..]
        .iter()
        .map(|line| line["request"]["query"][0][1].as_str().unwrap().parse().unwrap())
        .collect();
    asked.sort_unstable();
    assert_eq!(asked, (1..=40).collect::<Vec<_>>());
    let mut names = std::collections::BTreeSet::new();
    for line in &lines[1..] {
        let row = &line["answer"]["body"]["json"]["value"][0];
        assert_eq!(
            (&row["id"], &row["publisher"]),
            (&json!("{app-1}"), &json!("{name-1}")),
            "{line}"
        );
        names.insert(row["name"].as_str().unwrap().to_owned());
    }
    assert_eq!(names.len(), 40, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_reached_is_written_down_as_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    let recording = Recording::of("http://127.0.0.1:1", &file).await;
    let mut command = binary(&["apps", "list", "--retries", "0"]);
    command
        .env("FAME_URL", &recording.url)
        .env("FAME_TOKEN", "hunter2");
    let ended = run(command).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(ended.err.contains("no answer of the service"), "{ended:?}");
    let lines = recording.ends().await;
    assert_eq!(lines[1]["answer"], Value::Null);
    let ended = run(binary(&["record", "--to", "http://contoso.com", "--out", "x"])).await;
    assert_eq!(ended.code, 2, "nobody's token goes there in the clear: {ended:?}");
}

/// The most memory that the recorder ever had, as Linux tells it.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_what_passes() {
    use axum::{Router, body::Body, routing::post};
    const PACKAGE_BYTES: u64 = 96 << 20;
    const ALLOWED_KIB: u64 = 80 << 10;

    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("large.app");
    let version = "16.0.1.2".parse().unwrap();
    let built =
        navx::PackageBuilder::new(APPS[0], "Sales Pack", "Contoso", version).payload_bytes(PACKAGE_BYTES);
    let length = built.write_to(&mut fs::File::create(&package).unwrap()).unwrap();
    let receive = async |body: Body| {
        let mut frames = body.into_data_stream();
        let mut received = 0;
        while let Some(Ok(frame)) = futures::StreamExt::next(&mut frames).await {
            received += frame.len() as u64;
        }
        assert!(received > PACKAGE_BYTES * 4 / 3);
        let row = json!({"version": "16.0.1.2", "countryCode": "US", "status": "Uploaded"});
        ([("ms-correlation-x", "-")], axum::Json(row))
    };
    let path = format!("/v1.4/apps/{APP}/countries/US/versions");
    let address = crate::service::serve(Router::new().route(&path, post(receive))).await;
    let recording = Recording::of(&format!("http://{address}"), &folder.path().join("a.jsonl")).await;
    let mut command = binary(&["versions", "upload", package.to_str().unwrap(), "-c", "US"]);
    command
        .env("FAME_URL", &recording.url)
        .env("FAME_TOKEN", "the-token");
    let ended = run(command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let status = fs::read_to_string(format!("/proc/{}/status", recording.child.id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < ALLOWED_KIB, "{kib} KiB for {} KiB", PACKAGE_BYTES >> 10);
    let lines = recording.ends().await;
    let contents = &lines[1]["request"]["body"]["json"]["packageContents"]["package"];
    assert_eq!(contents["length"], length, "{lines:?}");
}

#[tokio::test]
async fn an_address_that_will_not_do_is_laid_to_the_flag_that_named_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.jsonl");
    let file = file.to_str().unwrap();
    for args in [
        ["record", "--to", "ftp://contoso.com", "--out", file].as_slice(),
        ["replay", "--to", "ftp://contoso.com", file].as_slice(),
        ["record", "--to", "https://contoso.com/?a=b", "--out", file].as_slice(),
    ] {
        let ended = run(binary(args)).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(
            ended.err.contains("--to: 'http") || ended.err.contains("--to: 'ftp"),
            "{ended:?}"
        );
        assert!(!ended.err.contains("--url"), "{ended:?}");
    }
    assert!(!Path::new(file).exists());
}
