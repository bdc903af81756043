//! People who sign in at a desk: by browser and by device against the issuer of `fame dev`, with the test as the person; what
//! that leaves behind, for which service it is good, and what `fame logout` takes away.

use crate::{
    dev::Dev,
    service::{Answer, Service, binary, run},
};
use regex::Regex;
use reqwest::{Url, redirect::Policy};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr},
};

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

    fn folder(&self) -> PathBuf {
        self.home.path().join("fame")
    }

    fn fame(&self, args: &[&str]) -> std::process::Command {
        let mut command = binary(args);
        command.env("XDG_CONFIG_HOME", self.home.path());
        command
    }

    /// `fame login` for the reader at `dev`, with these arguments besides.
    fn login(&self, dev: &Dev, more: &[&str]) -> std::process::Command {
        let client = dev.client("reader-user");
        let mut command = self.fame(&["login", "--profile", "dev", "--json"]);
        command
            .args(["--url", dev.text("baseUrl"), "--scope", dev.text("scope")])
            .args(["--token-url", dev.text("tokenUrl")])
            .args(["--client-id", client["clientId"].as_str().unwrap()])
            .args(more);
        command
    }

    /// The modes of all files that are kept, by name.
    fn modes(&self) -> Vec<(String, u32)> {
        fn collect(folder: &Path, found: &mut Vec<(String, u32)>) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                found.push((entry.file_name().into_string().unwrap(), mode));
                if entry.path().is_dir() {
                    collect(&entry.path(), found);
                }
            }
        }
        let mut found = Vec::new();
        collect(self.home.path(), &mut found);
        found.sort();
        found
    }

    fn everything(&self) -> String {
        let files = ["profiles.toml", "logins/dev.json"].map(|name| self.folder().join(name));
        files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap_or_default())
            .collect()
    }
}

/// A `fame login` that waits for its browser.
struct Waiting {
    child: Child,
    err: BufReader<ChildStderr>,
    page: Url,
}

impl Waiting {
    async fn begin(command: std::process::Command) -> Self {
        let mut command = tokio::process::Command::from(command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                err.read_line(&mut line).await.unwrap(),
                0,
                "it shows no page: {told}"
            );
            if let Some(at) = line.find("http") {
                let page = Url::parse(line[at..].trim()).unwrap();
                return Self { child, err, page };
            }
            told += &line;
        }
    }

    fn query(&self, name: &str) -> String {
        let found = self.page.query_pairs().find(|(field, _)| field == name);
        found
            .unwrap_or_else(|| panic!("{name} is not in {}", self.page))
            .1
            .into_owned()
    }

    /// Its exit code, and what it printed.
    async fn ended(mut self) -> (i32, String, String) {
        let (mut out, mut told) = (String::new(), String::new());
        self.err.read_to_string(&mut told).await.unwrap();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut out).await.unwrap();
        (self.child.wait().await.unwrap().code().unwrap(), out, told)
    }
}

fn browser() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap()
}

/// What a browser is sent on to when the reader picks themselves on the issuer's page.
async fn picked(page: &Url, dev: &Dev) -> Url {
    let mut fields: Vec<(String, String)> = page.query_pairs().into_owned().collect();
    fields.push((
        "account".into(),
        dev.client("reader-user")["principalId"].as_str().unwrap().into(),
    ));
    let mut form = page.clone();
    form.set_query(None);
    let answer = browser().post(form).form(&fields).send().await.unwrap();
    let place = answer.headers()["location"].to_str().unwrap();
    Url::parse(place).unwrap()
}

async fn signed_in(desk: &Desk, dev: &Dev, more: &[&str]) -> Value {
    let waiting = Waiting::begin(desk.login(dev, more)).await;
    let back = picked(&waiting.page, dev).await;
    let shown = browser().get(back).send().await.unwrap();
    assert_eq!(shown.status(), 200);
    assert_eq!(shown.headers()["cache-control"], "no-store");
    let (code, out, told) = waiting.ended().await;
    assert_eq!(code, 0, "{told}");
    serde_json::from_str(&out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_by_browser_goes_on_and_signs_out() {
    let (dev, desk) = (Dev::start(&[]).await, Desk::new());
    let told = signed_in(&desk, &dev, &["--insecure-storage"]).await;
    assert_eq!(
        (told["profile"].as_str(), told["keptIn"].as_str()),
        (Some("dev"), Some("file"))
    );
    assert_eq!(told["signedInAs"], "reader-user@contoso.com");
    for (name, mode) in desk.modes() {
        let own = if name == "fame" || name == "logins" {
            0o700
        } else {
            0o600
        };
        assert_eq!(mode, own, "{name}");
    }
    let before = desk.everything();
    let ended = run(desk.fame(&["--profile", "dev", "whoami", "--json"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let who = ended.json();
    assert_eq!(who["principal"]["name"], "reader-user@contoso.com");
    assert_eq!(who["apps"][0]["roles"], json!(["Reader"]), "{who}");
    let permissions = who["apps"][0]["permissions"].as_array().unwrap();
    assert!(permissions.contains(&json!("apps/read")), "{who}");
    let shown = run(desk.fame(&["--profile", "dev", "whoami"])).await;
    assert!(
        shown.out.contains("reader-user@contoso.com, ") && shown.out.contains("ROLES"),
        "{shown:?}"
    );
    let shown = run(desk.fame(&["--profile", "dev", "whoami"])).await;
    assert!(
        shown.out.contains("reader-user@contoso.com, ") && shown.out.contains("ROLES"),
        "{shown:?}"
    );
    assert_ne!(desk.everything(), before, "what was used is replaced");
    let ended = run(desk.fame(&["profiles", "list", "--json"])).await;
    assert_eq!(ended.json()[0]["name"], "dev", "{ended:?}");

    let ended = run(desk.fame(&["--profile", "dev", "logout"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("stays valid"), "{}", ended.err);
    assert!(!desk.folder().join("logins/dev.json").exists());
    assert!(!desk.everything().contains("refresh"));
    let ended = run(desk.fame(&["--profile", "dev", "whoami"])).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("fame login --profile dev"), "{}", ended.err);
    let ended = run(desk.fame(&["profiles", "remove", "dev"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        run(desk.fame(&["--profile", "dev", "apps", "list"])).await.code,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_comes_back_with_is_checked() {
    let (dev, desk) = (Dev::start(&[]).await, Desk::new());
    let waiting = Waiting::begin(desk.login(&dev, &["--insecure-storage"])).await;
    assert_eq!(waiting.query("code_challenge_method"), "S256");
    assert_eq!(waiting.query("response_type"), "code");
    assert!(waiting.query("scope").ends_with(" openid profile offline_access"));
    let lengths = ["state", "nonce", "code_challenge"].map(|name| waiting.query(name).len());
    assert_eq!(lengths, [43, 43, 43]);
    let back = Url::parse(&waiting.query("redirect_uri")).unwrap();
    assert_eq!(back.host_str(), Some("localhost"));
    let aside = browser()
        .get(back.join("/favicon.ico").unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(aside.status(), 404);
    let by_another_name = browser()
        .get(back.join("/?code=x").unwrap())
        .header("host", "evil.example");
    assert_eq!(by_another_name.send().await.unwrap().status(), 404);
    // Whoever guesses ends nothing: the same sign-in goes on.
    for guessed in [
        "/?code=stolen&state=guessed",
        "/?code=stolen",
        "/?error=access_denied&state=",
    ] {
        let forged = browser().get(back.join(guessed).unwrap());
        assert_eq!(forged.send().await.unwrap().status(), 400, "{guessed}");
    }
    let mut back = picked(&waiting.page, &dev).await;
    back.query_pairs_mut()
        .append_pair("iss", "https://login.fabrikam.example/t/v2.0");
    browser().get(back).send().await.unwrap();
    let (code, _, told) = waiting.ended().await;
    assert_eq!(code, 3, "{told}");
    assert!(
        told.contains("login.fabrikam.example") && told.contains("RFC 9207"),
        "{told}"
    );
    assert_eq!(desk.modes(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_in_where_another_program_listens_for_the_browser() {
    let desk = Desk::new();
    let service = Service::start(|_, _| Answer::json(200, json!({}))).await;
    let mut taken = vec![std::net::TcpListener::bind("127.0.0.1:0").unwrap()];
    taken.extend(std::net::TcpListener::bind("[::1]:0"));
    for listener in taken {
        let port = listener.local_addr().unwrap().port().to_string();
        let mut command = desk.fame(&[
            "login",
            "--port",
            &port,
            "--client-id",
            "x",
            "--scope",
            "api://x/.default",
        ]);
        command.args([
            "--url",
            &service.url(),
            "--token-url",
            &format!("{}/t/oauth2/v2.0/token", service.url()),
        ]);
        let ended = run(command).await;
        assert_eq!(ended.code, 5, "{ended:?}");
        assert!(ended.err.contains(&port), "{}", ended.err);
        assert!(!ended.err.contains("Sign in in your browser"), "{}", ended.err);
    }
    assert!(service.lines().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_good_for_the_service_that_it_was_made_for() {
    let (dev, desk) = (Dev::start(&[]).await, Desk::new());
    signed_in(&desk, &dev, &["--insecure-storage"]).await;
    let elsewhere = Service::start(|_, _| Answer::json(200, json!({"value": []}))).await;

    let mut command = desk.fame(&["--profile", "dev", "apps", "list"]);
    command.env("FAME_URL", elsewhere.url());
    let ended = run(command).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("goes to no other"), "{}", ended.err);

    // Whoever writes into the profile does not write into the login.
    let path = desk.folder().join("profiles.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace(
        &format!("url = \"{}\"", dev.text("baseUrl")),
        &format!("url = \"{}\"", elsewhere.url()),
    );
    fs::write(&path, text).unwrap();
    let ended = run(desk.fame(&["--profile", "dev", "apps", "list"])).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("is used for nothing else"), "{}", ended.err);
    assert!(elsewhere.lines().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_leaves_nothing_behind() {
    let (dev, desk) = (Dev::start(&[]).await, Desk::new());
    let mut command = desk.login(&dev, &["--insecure-storage"]);
    command.env("CI", "true");
    let ended = run(command).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("--credential"), "{}", ended.err);
    assert_eq!(desk.modes(), []);

    signed_in(&desk, &dev, &["--insecure-storage"]).await;
    let before = desk.everything();
    let mut command = desk.fame(&["--profile", "dev", "apps", "list"]);
    command.env("CI", "true");
    let ended = run(command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(desk.everything(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_lies_in_the_keyring_where_there_is_one() {
    let (dev, desk) = (Dev::start(&[]).await, Desk::new());
    let waiting = Waiting::begin(desk.login(&dev, &[])).await;
    browser()
        .get(picked(&waiting.page, &dev).await)
        .send()
        .await
        .unwrap();
    let (code, _, told) = waiting.ended().await;
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("--insecure-storage"), "{told}");
    assert_eq!(desk.modes(), []);

    // A stand-in for the program that speaks to the keyring.
    let kept = desk.home.path().join("keyring");
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstore) cat >{0};;\nlookup) cat {0} 2>/dev/null || exit 1;;\nclear) rm -f {0};;\nesac\n",
        kept.display()
    );
    let program = desk.home.path().join("secret-tool");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:/bin:/usr/bin", desk.home.path().display());
    let mut command = desk.login(&dev, &[]);
    command.env("PATH", &path);
    let waiting = Waiting::begin(command).await;
    browser()
        .get(picked(&waiting.page, &dev).await)
        .send()
        .await
        .unwrap();
    let (code, _, told) = waiting.ended().await;
    assert_eq!(code, 0, "{told}");
    assert!(kept.exists() && !desk.folder().join("logins").exists());
    assert!(!desk.everything().contains("refresh"));
    let with_keyring = |args: &[&str]| {
        let mut command = desk.fame(args);
        command.env("PATH", &path);
        run(command)
    };
    let ended = with_keyring(&["--profile", "dev", "apps", "list"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let ended = with_keyring(&["--profile", "dev", "logout"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!kept.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_for_another_device_is_shown_to_people_only() {
    let (dev, desk) = (Dev::start(&[]).await, Desk::new());
    let ended = run(desk.login(&dev, &["--device", "--insecure-storage"])).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("terminal"), "{}", ended.err);

    let login = desk.login(&dev, &["--device", "--insecure-storage"]);
    let words = [login.get_program()].into_iter().chain(login.get_args());
    let words: Vec<String> = words
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut command = tokio::process::Command::new("script");
    command
        .args(["-qec", &words.join(" "), "/dev/null"])
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("XDG_CONFIG_HOME", desk.home.path());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    let code = Regex::new("enter ([A-Z]{4}-[A-Z]{4})").unwrap();
    while !code.is_match(&told) {
        assert_ne!(out.read_line(&mut told).await.unwrap(), 0, "{told}");
    }
    let client = dev.client("reader-user");
    for named in [
        dev.text("tokenUrl"),
        client["clientId"].as_str().unwrap(),
        "5 minutes",
    ] {
        assert!(told.contains(named), "{named}: {told}");
    }
    let fields = [
        ("user_code", &code.captures(&told).unwrap()[1]),
        ("account", client["principalId"].as_str().unwrap()),
    ];
    let page = format!("{}/common/oauth2/deviceauth", dev.text("baseUrl"));
    assert_eq!(
        browser().post(page).form(&fields).send().await.unwrap().status(),
        200
    );
    out.read_to_string(&mut told).await.unwrap();
    assert!(child.wait().await.unwrap().success(), "{told}");
    let ended = run(desk.fame(&["--profile", "dev", "apps", "list"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn microsofts_service_is_known_and_a_profile_may_name_a_credential() {
    let desk = Desk::new();
    let mut command = desk.fame(&["--profile", "microsoft", "apps", "list"]);
    command.env("FAME_CLIENT_SECRET", "s").env("FAME_CLIENT_ID", "x");
    let ended = run(command).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("FAME_TENANT_ID"), "{}", ended.err);

    let service = Service::start(|asked, _| match asked.path.as_str() {
        "/token" => Answer::json(200, json!({"access_token": "t", "expires_in": 3_600})),
        _ => Answer::json(200, json!({"value": []})),
    })
    .await;
    let secret = desk.home.path().join("secret");
    fs::write(&secret, "in-a-file").unwrap();
    let mut command = desk.fame(&[
        "login",
        "--credential",
        "secret",
        "--client-id",
        "the-app",
        "--json",
    ]);
    command
        .args([
            "--url",
            &service.url(),
            "--token-url",
            &format!("{}/token", service.url()),
        ])
        .args([
            "--scope",
            "api://fame/.default",
            "--client-secret-file",
            secret.to_str().unwrap(),
        ]);
    let ended = run(command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["profile"], "default");
    assert!(
        service.lines().is_empty(),
        "nobody signs in before there is something to do"
    );
    let ended = run(desk.fame(&["whoami", "--json"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.json()["because"]
            .as_str()
            .unwrap()
            .contains("profile 'default'"),
        "{ended:?}"
    );
    let form = String::from_utf8(service.journal()[0].body.to_vec()).unwrap();
    assert!(
        form.contains("client_secret=in-a-file") && form.contains("client_id=the-app"),
        "{form}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_before_a_login_is_named_before_it_is_refused() {
    let (dev, desk) = (Dev::start(&[]).await, Desk::new());
    signed_in(&desk, &dev, &["--insecure-storage"]).await;
    let mut command = desk.fame(&["--profile", "dev", "whoami"]);
    command.env("FAME_CLIENT_SECRET", "wrong");
    let ended = run(command).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    for said in [
        dev.text("baseUrl"),
        "by its secret",
        "an application's secret is set by FAME_CLIENT_SECRET, which goes before the login of the profile 'dev'",
    ] {
        assert!(ended.out.contains(said), "{said}: {ended:?}");
    }
    let ended = run(desk.fame(&["--profile", "dev", "whoami", "--show-claims"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!ended.out.contains("goes before"), "{ended:?}");
    let audience = Regex::new(r"(?m)^aud\s+\S+$").unwrap();
    let issuer = Regex::new(r"(?m)^iss\s+http\S+$").unwrap();
    assert!(
        audience.is_match(&ended.out) && issuer.is_match(&ended.out),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_never_work_is_refused_and_leaves_nothing() {
    let desk = Desk::new();
    let secret = desk.home.path().join("secret");
    fs::write(&secret, "in-a-file").unwrap();
    let secret = secret.to_str().unwrap();
    let own = [
        "--url",
        "https://fame.contoso.com",
        "--tenant",
        "contoso.com",
        "--client-id",
        "x",
    ];
    let of_microsoft = [
        "--profile",
        "microsoft",
        "--tenant",
        "contoso.com",
        "--client-id",
        "x",
    ];
    for (at, more, fact) in [
        (own, &["--client-secret-file", secret][..], "--credential secret"),
        (own, &["--client-certificate", secret], "--credential certificate"),
        (
            own,
            &["--credential", "azure-cli", "--client-secret-file", secret],
            "the profile's is azure-cli",
        ),
        (
            own,
            &["--credential", "login", "--client-certificate", secret],
            "the profile's is login",
        ),
        (own, &["--credential", "secret", "--device"], "--device"),
        (
            own,
            &["--credential", "azure-cli", "--insecure-storage"],
            "--insecure-storage",
        ),
        (own, &["--credential", "github", "--port", "8400"], "--port"),
        (
            of_microsoft,
            &["--credential", "trusted-publishing"],
            "Microsoft's service",
        ),
    ] {
        let mut command = desk.fame(&["login"]);
        command.args(at).args(more);
        let ended = run(command).await;
        assert_eq!(ended.code, 2, "{more:?}: {ended:?}");
        assert!(ended.err.contains(fact), "{fact}: {}", ended.err);
    }
    assert!(!desk.folder().exists());
}
