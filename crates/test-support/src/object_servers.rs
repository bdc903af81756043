//! Object stores for tests: a fresh container or bucket for each caller, on one server of each kind per test process.
//!
//! The servers are Azurite, which is Microsoft's, and s3s-fs; `./test` installs both and says where they are. For Google
//! there is a proxy in front of another s3s-fs (`google_server.rs`). Each is a child of `object_server.sh`, which lives
//! until its standard input ends. This process holds the other end of that pipe, so the servers go when the process
//! does, even after a panic or a kill.

use crate::google_server;
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use object_store::{
    ClientOptions, ObjectStore, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, path::Path as Key,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
};
use tempfile::TempDir;
use uuid::Uuid;

const SCRIPT: &str = include_str!("object_server.sh");
/// The account of every Azurite, and its key, which its documentation publishes.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const S3_KEY_ID: &str = "fame-tests";
/// The proxy for Google takes every token, so this one asks for none to be fetched.
const SERVICE_ACCOUNT: &str =
    r#"{"client_email": "fame@contoso.com", "private_key": "", "private_key_id": "", "disable_oauth": true}"#;
const S3_SECRET: &str = "fame-tests-secret-key";
/// Outside the range that connections get their own ports from.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Which object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectServerKind {
    Azure,
    S3,
    Google,
}

/// A running object store.
pub struct ObjectServer {
    kind: ObjectServerKind,
    address: SocketAddr,
    /// What it is reached through, if not directly.
    proxy: Option<SocketAddr>,
    folder: PathBuf,
    /// Removes the folder, where the script does not.
    owned: Option<TempDir>,
    script: Option<Child>,
}

static AZURE: OnceLock<ObjectServer> = OnceLock::new();
static S3: OnceLock<ObjectServer> = OnceLock::new();
static GOOGLE: OnceLock<ObjectServer> = OnceLock::new();

impl ObjectServer {
    /// The one that all tests of this process share.
    pub fn shared(kind: ObjectServerKind) -> &'static Self {
        let shared = match kind {
            ObjectServerKind::Azure => &AZURE,
            ObjectServerKind::S3 => &S3,
            ObjectServerKind::Google => &GOOGLE,
        };
        shared.get_or_init(|| {
            // What is static is never dropped.
            let mut server = Self::in_folder(kind, new_folder().keep(), None);
            server.begin();
            server
        })
    }

    /// One of the caller's own.
    ///
    /// # Panics
    /// When there is none to be had, saying what to do.
    pub fn start(kind: ObjectServerKind) -> Self {
        let folder = new_folder();
        let mut server = Self::in_folder(kind, folder.path().to_owned(), Some(folder));
        server.begin();
        server
    }

    fn in_folder(kind: ObjectServerKind, folder: PathBuf, owned: Option<TempDir>) -> Self {
        let address = free_address();
        let proxy = (kind == ObjectServerKind::Google).then(|| google_server::open(address));
        Self {
            kind,
            address,
            proxy,
            folder,
            owned,
            script: None,
        }
    }

    /// Lets it run on what it kept, at the same address.
    pub fn begin(&mut self) {
        // A group of its own, so that a Ctrl-C meant for the tests leaves the script alive to clean up.
        let mut script = Command::new("sh")
            .args(["-c", SCRIPT, "object_server.sh"])
            .arg(self.signal())
            .arg(self.folder_to_remove())
            .args(self.command())
            .env("RUST_LOG", "info")
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start sh: {error}"));
        let output = script.stdout.take().unwrap_or_else(|| panic!("no output"));
        let mut output = BufReader::new(output);
        let mut output_text = String::new();
        while !output_text.contains("successfully listens on")
            && !output_text.contains("server is running at")
        {
            let read = output
                .read_line(&mut output_text)
                .unwrap_or_else(|error| panic!("{:?}: {error}", self.kind));
            assert!(read > 0, "{:?} did not start: {output_text}", self.kind);
        }
        // What it says later, nobody reads; but it must not wait for a reader.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        self.script = Some(script);
    }

    /// Azurite writes what it keeps when it is asked to end, and s3s-fs waits for its clients then.
    fn signal(&self) -> &'static str {
        match self.kind {
            ObjectServerKind::Azure => "TERM",
            ObjectServerKind::S3 | ObjectServerKind::Google => "KILL",
        }
    }

    fn folder_to_remove(&self) -> &std::ffi::OsStr {
        match &self.owned {
            Some(_) => "".as_ref(),
            None => self.folder.as_os_str(),
        }
    }

    fn command(&self) -> Vec<String> {
        let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
        match self.kind {
            ObjectServerKind::Azure => {
                let azurite = installed("FAME_TEST_AZURITE");
                let modules = azurite.join("node_modules");
                [
                    modules.join(".bin/node").display().to_string(),
                    modules
                        .join("azurite/dist/src/blob/main.js")
                        .display()
                        .to_string(),
                    "--silent".into(),
                    "--disableTelemetry".into(),
                    "--skipApiVersionCheck".into(),
                    "--location".into(),
                    self.folder.display().to_string(),
                    "--blobHost".into(),
                    host,
                    "--blobPort".into(),
                    port,
                ]
                .into()
            }
            ObjectServerKind::S3 | ObjectServerKind::Google => {
                let mut command = vec![
                    installed("FAME_TEST_S3").display().to_string(),
                    "--host".into(),
                    host,
                    "--port".into(),
                    port,
                ];
                if self.kind == ObjectServerKind::S3 {
                    command.extend(["--access-key", S3_KEY_ID, "--secret-key", S3_SECRET].map(String::from));
                }
                command.push(self.folder.display().to_string());
                command
            }
        }
    }

    /// Ends it; what it kept stays.
    pub fn end(&mut self) {
        if let Some(mut script) = self.script.take() {
            drop(script.stdin.take());
            drop(script.wait());
        }
    }

    /// Something new and empty in it.
    pub fn bucket(&self) -> TestBucket {
        let name = format!("fame-{}", Uuid::new_v4().simple());
        match self.kind {
            ObjectServerKind::Azure => self.create_container(&name),
            ObjectServerKind::S3 | ObjectServerKind::Google => {
                fs::create_dir(self.folder.join(&name)).unwrap_or_else(|error| panic!("no bucket: {error}"))
            }
        }
        TestBucket {
            kind: self.kind,
            endpoint: self.endpoint(),
            folder: self.folder.join(&name),
            name,
        }
    }

    fn endpoint(&self) -> String {
        match self.kind {
            ObjectServerKind::Azure => format!("http://{}/{ACCOUNT}", self.address),
            ObjectServerKind::S3 | ObjectServerKind::Google => {
                format!("http://{}", self.proxy.unwrap_or(self.address))
            }
        }
    }

    /// Says `Create Container` as Azure's documentation has it, signed with the shared key.
    fn create_container(&self, name: &str) {
        let headers = "x-ms-date:Fri, 20 Nov 2026 12:00:00 GMT\nx-ms-version:2021-08-06";
        let path = format!("/{ACCOUNT}/{name}");
        let to_sign = format!(
            "PUT{}{headers}\n/{ACCOUNT}{path}\nrestype:container",
            "\n".repeat(12)
        );
        let key = STANDARD
            .decode(ACCOUNT_KEY)
            .unwrap_or_else(|error| panic!("{error}"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signature = STANDARD.encode(hmac::sign(&key, to_sign.as_bytes()));
        let request = format!(
            "PUT {path}?restype=container HTTP/1.1\r\nHost: {}\r\n{}\r\nAuthorization: SharedKey {ACCOUNT}:{signature}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.address,
            headers.replace('\n', "\r\n"),
        );
        let mut answer = String::new();
        TcpStream::connect(self.address)
            .and_then(|mut connection| {
                connection.write_all(request.as_bytes())?;
                connection.read_to_string(&mut answer)
            })
            .unwrap_or_else(|error| panic!("Azurite: {error}"));
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn new_folder() -> TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"))
}

/// What `./test` installed.
fn installed(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    let path = path.map(PathBuf::from).unwrap_or_else(|| {
        panic!("{variable} does not say where the object store for tests is: run ./test, which installs it")
    });
    assert!(
        path.exists(),
        "{variable} names {}, which is not there: run ./test, which installs it",
        path.display()
    );
    path
}

/// A port of the loopback interface that nobody listens on, and that no connection gets by chance.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = u16::try_from(std::process::id() % 1009).unwrap_or_default() * 11;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + (spread + step) % (PORTS.end - PORTS.start);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port))
            && let Ok(address) = listener.local_addr()
        {
            return address;
        }
    }
}

/// A container or bucket of a test's own.
pub struct TestBucket {
    kind: ObjectServerKind,
    endpoint: String,
    name: String,
    folder: PathBuf,
}

impl TestBucket {
    /// The entry of `storage.locations` for a part of it.
    pub fn entry(&self, prefix: &str) -> Value {
        match self.kind {
            ObjectServerKind::Azure => json!({
                "url": format!("az://{}/{prefix}", self.name),
                "account": ACCOUNT,
                "access_key": ACCOUNT_KEY,
                "endpoint": self.endpoint,
                "allow_http": true,
            }),
            ObjectServerKind::S3 => json!({
                "url": format!("s3://{}/{prefix}", self.name),
                "region": "eu-west-1",
                "access_key_id": S3_KEY_ID,
                "secret_access_key": S3_SECRET,
                "endpoint": self.endpoint,
                "allow_http": true,
            }),
            ObjectServerKind::Google => json!({
                "url": format!("gs://{}/{prefix}", self.name),
                "service_account": SERVICE_ACCOUNT,
                "endpoint": self.endpoint,
                "allow_http": true,
            }),
        }
    }

    /// The same with a key that does not fit; and that key.
    pub fn entry_with_wrong_key(&self, prefix: &str) -> (Value, String) {
        let mut entry = self.entry(prefix);
        let wrong = STANDARD.encode("a key that opens nothing here");
        let key = match self.kind {
            ObjectServerKind::Azure => "access_key",
            ObjectServerKind::S3 => "secret_access_key",
            ObjectServerKind::Google => panic!("the proxy for Google takes every token"),
        };
        entry[key] = wrong.as_str().into();
        (entry, wrong)
    }

    /// A client of the test's own.
    pub fn client(&self) -> Box<dyn ObjectStore> {
        let options = ClientOptions::new().with_allow_http(true);
        match self.kind {
            ObjectServerKind::Azure => {
                let builder = MicrosoftAzureBuilder::new()
                    .with_account(ACCOUNT)
                    .with_access_key(ACCOUNT_KEY)
                    .with_container_name(&self.name)
                    .with_endpoint(self.endpoint.clone())
                    .with_client_options(options);
                Box::new(builder.build().unwrap_or_else(|error| panic!("{error}")))
            }
            ObjectServerKind::S3 => {
                let builder = AmazonS3Builder::new()
                    .with_region("eu-west-1")
                    .with_access_key_id(S3_KEY_ID)
                    .with_secret_access_key(S3_SECRET)
                    .with_bucket_name(&self.name)
                    .with_endpoint(&self.endpoint)
                    .with_client_options(options);
                Box::new(builder.build().unwrap_or_else(|error| panic!("{error}")))
            }
            ObjectServerKind::Google => {
                let builder = GoogleCloudStorageBuilder::new()
                    .with_bucket_name(&self.name)
                    .with_base_url(&self.endpoint)
                    .with_service_account_key(SERVICE_ACCOUNT)
                    .with_client_options(options);
                Box::new(builder.build().unwrap_or_else(|error| panic!("{error}")))
            }
        }
    }

    /// The keys under a prefix, in order.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        use futures::TryStreamExt as _;
        let client = self.client();
        let listed: Vec<_> = client
            .list(Some(&Key::from(prefix)))
            .try_collect()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let mut keys: Vec<_> = listed
            .into_iter()
            .map(|object| object.location.to_string())
            .collect();
        keys.sort();
        keys
    }

    /// Where s3s-fs keeps the objects, as files of their own.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }
}

#[tokio::test]
async fn every_caller_gets_something_empty_of_its_own() {
    use object_store::ObjectStoreExt as _;
    for kind in [
        ObjectServerKind::Azure,
        ObjectServerKind::S3,
        ObjectServerKind::Google,
    ] {
        let server = ObjectServer::shared(kind);
        let (one, other) = (server.bucket(), server.bucket());
        one.client().put(&Key::from("a/b"), "x".into()).await.unwrap();
        assert_eq!(one.keys("a").await, ["a/b"]);
        assert_eq!(other.keys("").await, Vec::<String>::new());
    }
    let bucket = ObjectServer::shared(ObjectServerKind::S3).bucket();
    assert!(bucket.folder().is_dir());
}
