//! What is written for people is tried as people would: the guide of `fame dev` is a script.

use crate::service::binary;
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};
use tempfile::TempDir;

/// A folder in which scripts run, with the program under test before all others.
struct Shell {
    folder: TempDir,
}

impl Shell {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script that may fail nowhere, and in which no service answers with an error; what it printed.
    fn runs(&self, script: &str) -> String {
        let file = self.path("script.sh");
        fs::write(&file, script).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_fame")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .args(["-e", "-u"])
            .arg(&file)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}\n{errors}\n{}", self.logs());
        assert!(!told.contains(r#""error":{"#), "{told}");
        told
    }

    /// What the programs that run beside have said.
    fn logs(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        ["serve.log", "agent.log"].map(read).join("\n")
    }
}

/// A `fame dev`, and what it said when it was ready. Dropping it kills it.
struct Dev {
    child: Child,
    said: String,
}

impl Dev {
    /// Starts one, and reads until the line that holds `last`.
    fn until(last: &str, more: &[&str]) -> Self {
        let mut child = binary(&["dev", "--listen", "127.0.0.1:0"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = read_until(last, child.stdout.take().unwrap());
        Self { child, said }
    }

    /// One with the guide.
    fn with_guide(more: &[&str]) -> Self {
        Self::until("Ctrl-C ends it.", more)
    }

    /// The commands of the guide: all of it from the first on.
    fn script(&self) -> &str {
        &self.said[self.said.find("# Commands to try").unwrap()..]
    }
}

fn read_until(last: &str, out: ChildStdout) -> String {
    let mut said = String::new();
    for line in BufReader::new(out).lines() {
        said += &line.unwrap();
        said.push('\n');
        if said.contains(last) {
            return said;
        }
    }
    panic!("it ended early: {said}");
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_guide_is_a_script_at_every_start_on_a_folder() {
    let shell = Shell::new();
    let data = shell.path("data").display().to_string();
    for start in 1..=2 {
        let dev = Dev::with_guide(&["--data", &data]);
        let told = shell.runs(dev.script());
        // By `fame` in the environment and in its hotfix, and by curl.
        assert!(told.matches("Succeeded").count() >= 2, "start {start}: {told}");
        for shown in [
            "/control/openapi.json",
            "/control/tokens",
            "/keys/rotate",
            "/oauth2/v2.0/token",
        ] {
            assert!(dev.said.contains(shown), "{shown}: {}", dev.said);
        }
    }
}

#[test]
fn the_guide_of_an_empty_one_makes_an_app() {
    let shell = Shell::new();
    let dev = Dev::with_guide(&["--empty"]);
    let told = shell.runs(dev.script());
    assert!(told.contains("Contoso Sales Pack"), "{told}");
}

#[test]
fn the_control_endpoint_is_as_it_is_described() {
    let dev = Dev::until("}", &["--json"]);
    let ready: Value = serde_json::from_str(&dev.said).unwrap();
    let base = ready["baseUrl"].as_str().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let described = http
            .get(format!("{base}/control/openapi.json"))
            .send()
            .await
            .unwrap();
        let described: Value = described.json().await.unwrap();
        let tenant = described["components"]["parameters"]["Tenant"]["example"]
            .as_str()
            .unwrap();
        for (path, item) in described["paths"].as_object().unwrap() {
            let url = format!("{base}{}", path.replace("{tenant}", tenant));
            for (verb, operation) in item
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| *name != "parameters")
            {
                let method = verb.to_uppercase().parse().unwrap();
                let content = &operation["requestBody"]["content"];
                let (json, form) = (
                    &content["application/json"]["example"],
                    &content["application/x-www-form-urlencoded"]["example"],
                );
                let request = http.request(method, &url);
                let answer = match (json.is_object(), form.is_object()) {
                    (true, _) => request.json(json),
                    (_, true) => request.form(form),
                    _ => request,
                };
                assert_eq!(answer.send().await.unwrap().status(), 200, "{verb} {path}");
                if json.is_object() {
                    for other in ["text/json", "application/x-www-form-urlencoded", "text/plain"] {
                        let post = http
                            .post(&url)
                            .header("content-type", other)
                            .body(json.to_string());
                        assert_eq!(post.send().await.unwrap().status(), 415, "{other} to {path}");
                    }
                    let post = http
                        .post(&url)
                        .header("content-type", "application/json")
                        .body("{");
                    let answer = post.send().await.unwrap();
                    assert_eq!(answer.status(), 400, "{path}");
                    let said: Value = answer.json().await.unwrap();
                    assert_eq!(said["error"]["code"], "InvalidInput", "{path}");
                }
            }
        }
    });
}

#[test]
fn the_clock_is_moved_from_the_command_line() {
    let dev = Dev::until("}", &["--json", "--empty"]);
    let ready: Value = serde_json::from_str(&dev.said).unwrap();
    let base = ready["baseUrl"].as_str().unwrap();
    let clock = |args: &[&str]| {
        let output = binary(&["dev", "clock", "--json", "--url", base])
            .args(args)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = serde_json::from_str::<Value>(&told).unwrap_or_default();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code(),
            told["now"].as_str().unwrap_or_default().to_owned(),
            errors,
        )
    };
    let (code, now, _) = clock(&["set", "2031-05-01T12:00:00Z"]);
    assert_eq!((code, &now[..14]), (Some(0), "2031-05-01T12:"));
    for (span, expected) in [
        ("6h", "2031-05-01T18:"),
        ("P1D", "2031-05-02T18:"),
        ("1d 2h", "2031-05-03T20:"),
    ] {
        let (code, now, errors) = clock(&["advance", span]);
        assert_eq!((code, &now[..14]), (Some(0), expected), "{span}: {errors}");
    }
    assert_eq!(clock(&["show"]).1[..14], *"2031-05-03T20:");
    for (wrong, fact) in [(&["advance", "six"], "'six'"), (&["set", "soon"], "soon")] {
        let (code, _, errors) = clock(wrong);
        assert!(
            code == Some(2) && errors.contains(fact),
            "{wrong:?}: {code:?} {errors}"
        );
    }
    for (url, code, fact) in [
        ("https://fame.contoso.com", 2, "not on this machine"),
        (
            "http://127.0.0.1:1",
            6,
            "No `fame dev` answers at http://127.0.0.1:1/control/clock",
        ),
    ] {
        let output = binary(&["dev", "clock", "show", "--url", url]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(code) && errors.contains(fact),
            "{output:?}"
        );
    }
}
