//! Refusals arrive: whoever is refused before they have sent everything gets the answer all the same, whatever they call
//! the service with.
//!
//! They are curl, which speaks both versions of HTTP, Node with its own `fetch` (`tests/node/early_answers.mjs`), Python
//! with httpx (`tests/python/early_answers.py`), and reqwest. `./test` installs what of them is missing.

use crate::{
    connections::raw,
    harness::{Backend, Caller, Harness},
    msal::python,
    reviewed_file::in_repository,
};
use http::Method;
use serde_json::{Map, Value, json};
use std::{
    fs,
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

const MB: usize = 1_000_000;
/// How many bytes are sent.
const SIZES: [usize; 4] = [10, MB, 5 * MB, 100 * MB];
/// How often each of the seven reasons is given for each size: so everybody is refused every size more than 20 times.
const ROUNDS: usize = 3;
/// Longer than anything here takes that ends.
const LONG: Duration = Duration::from_secs(60);
/// How bodies begin.
const CONTENTS: &str = "{\"packageContents\":\"";

/// A request that is refused.
struct Refused {
    method: Method,
    url: String,
    authorization: Option<String>,
    bytes: usize,
    /// The status and the code of its answer.
    with: &'static str,
}

impl Refused {
    fn headers(&self) -> Vec<(&'static str, &str)> {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(
            self.authorization
                .as_deref()
                .map(|value| ("authorization", value)),
        );
        headers
    }

    fn to_json(&self) -> Value {
        let headers = self.headers().into_iter();
        let headers: Map<_, _> = headers.map(|(name, value)| (name.into(), value.into())).collect();
        json!({ "method": self.method.as_str(), "url": self.url, "headers": headers, "bytes": self.bytes })
    }
}

/// Services that refuse.
struct Refusing {
    service: Harness,
    /// Does nothing more for the owner, since it takes in an upload of theirs that does not end.
    busy: Harness,
    _upload: TcpStream,
    /// Bodies, each in a file that is called by its size.
    bodies: TempDir,
}

impl Refusing {
    async fn start() -> Self {
        let service = Harness::with(Backend::Sqlite)
            .setting("packages.max_bytes", 1024)
            .setting("limits.json_body_bytes", 1024)
            .start()
            .await;
        let busy = Harness::with(Backend::Sqlite)
            .setting("limits.concurrent_per_principal", 1)
            .setting("limits.queue_per_principal", 0)
            .setting("packages.upload_idle_seconds", 899)
            .start()
            .await;
        let owner = busy.owner();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: fame\r\nAuthorization: {}\r\nContent-Length: 9999\r\nExpect: 100-continue\r\n\r\n",
            owner.us("versions"),
            owner.authorization()
        );
        let mut upload = busy.connection().await;
        upload.write_all(head.as_bytes()).await.unwrap();
        let mut asked = [0; 12];
        upload.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100");
        let bodies = tempfile::tempdir().unwrap();
        for bytes in SIZES {
            let mut body = CONTENTS.as_bytes().to_vec();
            body.resize(bytes, b'A');
            fs::write(bodies.path().join(bytes.to_string()), body).unwrap();
        }
        Self {
            service,
            busy,
            _upload: upload,
            bodies,
        }
    }

    fn body(&self, bytes: usize) -> PathBuf {
        self.bodies.path().join(bytes.to_string())
    }

    /// What is refused of bodies of this size, each for another reason: some before anything has been read, some when too
    /// much has been.
    fn refused(&self, bytes: usize) -> [Refused; 7] {
        let (service, busy) = (&self.service, &self.busy);
        let owner = service.owner();
        let post = |by: &Harness, caller: Option<Caller>, with| Refused {
            method: Method::POST,
            url: format!("{}{}", by.base_url(), owner.us("versions")),
            authorization: caller.as_ref().map(Caller::authorization),
            bytes,
            with,
        };
        let read = match bytes {
            10 => "400 InvalidInput",
            _ => "413 RequestEntityTooLarge",
        };
        let patch = post(service, Some(service.owner()), read);
        let put = post(service, None, "405 MethodNotAllowed");
        [
            post(service, None, "401 Unauthorized"),
            post(service, Some(service.reader()), "403 Forbidden"),
            post(service, Some(service.owner()), read),
            post(service, Some(service.stranger()), "404 ResourceDoesNotExist"),
            post(busy, Some(busy.owner()), "429 TooManyRequests"),
            Refused {
                method: Method::PATCH,
                url: format!("{}/1.0.0.0", patch.url),
                ..patch
            },
            Refused {
                method: Method::PUT,
                ..put
            },
        ]
    }

    /// All that one client is refused.
    fn all(&self) -> Vec<Refused> {
        let sizes = SIZES.into_iter().flat_map(|bytes| [bytes; ROUNDS]);
        sizes.flat_map(|bytes| self.refused(bytes)).collect()
    }
}

/// Makes sure that all of these have been heard of.
fn heard(refused: &[Refused], heard: &[String]) {
    let missed: Vec<_> = refused
        .iter()
        .zip(heard)
        .filter(|(refused, heard)| refused.with != heard.as_str())
        .map(|(refused, heard)| (refused.bytes, refused.with, heard))
        .collect();
    let (missing, all) = (missed.len(), refused.len());
    assert!(missed.is_empty(), "{missing} of {all} were not heard: {missed:?}");
    assert_eq!(heard.len(), all);
}

/// What a program of somebody else's hears that is told of all requests at once.
async fn program(mut command: Command, refused: &[Refused]) -> Vec<String> {
    let requests: Value = refused.iter().map(Refused::to_json).collect();
    let mut program = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    input.write_all(requests.to_string().as_bytes()).await.unwrap();
    drop(input);
    let output = program.wait_with_output().await.unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(String::from).collect()
}

async fn output_of(curl: &mut Command) -> Output {
    let output = curl.output().await;
    output.unwrap_or_else(|error| panic!("curl is missing, which ./test installs: {error}"))
}

/// What curl hears, which is called once for each request.
async fn curl(version: &str) {
    let refusing = Refusing::start().await;
    let refused = refusing.all();
    let mut answers = Vec::new();
    for request in &refused {
        let mut command = Command::new("curl");
        command
            .args([
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--max-time",
                "60",
                version,
            ])
            .args([
                "--write-out",
                "\n%{http_code}",
                "--request",
                request.method.as_str(),
            ])
            .arg("--data-binary")
            .arg(format!("@{}", refusing.body(request.bytes).display()));
        for (name, value) in request.headers() {
            command.args(["--header", &format!("{name}: {value}")]);
        }
        command.arg(&request.url).kill_on_drop(true);
        let mut output = output_of(&mut command).await;
        // It ends a body before its end when it has seen the head of a refusal, which in HTTP/2 is an error, and what did not
        // come with the head does not come any more. Head and body only part where a machine has too much to do.
        if String::from_utf8_lossy(&output.stderr).contains("PROTOCOL_ERROR") {
            output = output_of(&mut command).await;
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let answer = text.rsplit_once('\n').and_then(|(body, status)| {
            let body: Value = serde_json::from_str(body).ok()?;
            Some(format!("{status} {}", body["error"]["code"].as_str()?))
        });
        answers.push(match answer {
            Some(answer) if output.status.success() => answer,
            answer => format!("{answer:?} {}", String::from_utf8_lossy(&output.stderr)),
        });
    }
    heard(&refused, &answers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_hears_why_it_is_refused() {
    curl("--http1.1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_hears_why_it_is_refused_by_http_2() {
    curl("--http2-prior-knowledge").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_hears_why_it_is_refused() {
    let refusing = Refusing::start().await;
    let refused = refusing.all();
    let installed = in_repository(".tools/azurite/node_modules/.bin/node");
    let node = std::env::var_os("FAME_TEST_NODE").map_or(installed, PathBuf::from);
    assert!(
        node.exists(),
        "{} is missing: run ./test, which installs it",
        node.display()
    );
    let mut command = Command::new(node);
    command.arg(in_repository("tests/node/early_answers.mjs"));
    heard(&refused, &program(command, &refused).await);
}

/// What Python hears.
async fn httpx(version: &str) {
    let refusing = Refusing::start().await;
    let refused = refusing.all();
    let mut command = Command::new(python());
    command
        .arg(in_repository("tests/python/early_answers.py"))
        .arg(version);
    heard(&refused, &program(command, &refused).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn httpx_hears_why_it_is_refused() {
    httpx("1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn httpx_hears_why_it_is_refused_by_http_2() {
    httpx("2").await;
}

/// What reqwest hears.
async fn reqwest(client: reqwest::ClientBuilder) {
    let refusing = Refusing::start().await;
    let refused = refusing.all();
    let client = client.no_proxy().build().unwrap();
    let mut answers = Vec::new();
    for request in &refused {
        let asked = async {
            let mut asked = client.request(request.method.clone(), &request.url);
            for (name, value) in request.headers() {
                asked = asked.header(name, value);
            }
            let body = fs::read(refusing.body(request.bytes)).unwrap();
            let answer = asked.body(body).send().await?;
            let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await?);
            Ok(format!(
                "{status} {}",
                body["error"]["code"].as_str().unwrap_or_default()
            ))
        };
        answers.push(
            asked
                .await
                .unwrap_or_else(|error: reqwest::Error| format!("{error:?}")),
        );
    }
    heard(&refused, &answers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reqwest_hears_why_it_is_refused() {
    reqwest(reqwest::Client::builder()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reqwest_hears_why_it_is_refused_by_http_2() {
    reqwest(reqwest::Client::builder().http2_prior_knowledge()).await;
}

/// Nobody is asked for a body that is refused anyway; who waits to be asked is told so at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_to_be_asked_for_a_body_is_refused_without_being_asked() {
    let service = Harness::with(Backend::Sqlite).start_empty().await;
    let request = "POST /v1.4/apps/x/countries/US/versions HTTP/1.1\r\nHost: fame\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    let answer = timeout(LONG, raw(&service, request.as_bytes())).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

/// What is refused is read on for a while, however slowly it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_body_that_never_ends_keeps_no_connection() {
    let service = Harness::with(Backend::Sqlite)
        .setting("limits.request_header_seconds", 1)
        .start_empty()
        .await;
    let mut connection = service.connection().await;
    let head = "POST /v1.4/apps/x/countries/US/versions HTTP/1.1\r\nHost: fame\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut drops = tokio::time::interval(Duration::from_millis(100));
    let dripping = async {
        while connection.write_all(b"1\r\nA\r\n").await.is_ok() {
            drops.tick().await;
        }
    };
    timeout(LONG, dripping).await.unwrap();
}
