//! A client of somebody else's making: Microsoft's sign-in library for Python gets a token from a local issuer over
//! https, and a plain HTTP library calls the service with it.
//!
//! The program is `tests/python/msal_client.py`; its libraries are installed by `./test`.

use crate::{
    harness::{API, APP, Backend, Caller, HOME_TENANT, Harness, Person},
    reviewed_file::in_repository,
};
use entra_local::{Application, Directory, Issuer, Resource, Scheme, Secret, Settings, TokenVersion};
use serde_json::{Value, json};
use std::{fs, net::TcpListener, path::PathBuf, sync::Arc};
use tempfile::TempDir;
use tokio::process::Command;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The App ID URI of the service.
const API_URI: &str = "api://contoso-apps";
const SECRET: &str = "a secret of the reader's";

/// An issuer behind https, known by its own certificate authority only.
struct HttpsIssuer {
    issuer: Issuer,
    origin: String,
    folder: TempDir,
    _serving: DropGuard,
}

impl HttpsIssuer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("https://{}", listener.local_addr().unwrap());
        let settings = Settings {
            base_url: origin.clone(),
            hosts: Vec::new(),
            clock: Arc::new(server::clock::wall_seconds),
        };
        let issuer = Issuer::new(settings, directory()).unwrap();
        let certificates = issuer.certificates().clone();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), certificates.authority_pem()).unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let router = entra_local::router(issuer.clone(), Scheme::Https);
        tokio::spawn(async move {
            entra_local::serve_https(listener, router, &certificates, stopped)
                .await
                .unwrap();
        });
        Self {
            issuer,
            origin,
            folder,
            _serving: stop.drop_guard(),
        }
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Somebody with a token of this issuer.
    fn caller(&self, service: &Harness, person: Person) -> Caller {
        service.caller_with_token(self.issuer.mint(&person.token()).unwrap())
    }

    /// A service that trusts this issuer and no other, with two versions of an app that `reader` may read.
    async fn trusting_service(&self) -> Harness {
        let issuers = json!([{
            "kind": "entra",
            "tenants": [HOME_TENANT],
            "audiences": [API, API_URI],
            "authority": self.origin,
        }]);
        let plan = Harness::with(Backend::Sqlite).setting("identity.issuers", issuers);
        let service = plan
            .setting("identity.ca_file", self.ca_file().display())
            .start_empty()
            .await;
        self.caller(&service, Person::OPERATOR)
            .registers_app()
            .await
            .expect(201);
        let owner = self.caller(&service, Person::OWNER);
        owner.grants(&Person::READER, &["Reader"]).await.expect(200);
        owner.adds_country("US").await.expect(200);
        for version in ["16.0.0.5", "16.0.1.2", "16.0.10.0"] {
            owner.has_uploaded(version).await;
        }
        owner
            .changes_version("16.0.1.2", json!({ "availability": "Deprecated" }))
            .await
            .expect(200);
        service
    }
}

/// The service's registration, and those who call it.
fn directory() -> Directory {
    let resource = Resource {
        client_id: API,
        identifier_uris: vec![API_URI.into()],
        token_version: TokenVersion::V2,
        scopes: vec!["user_impersonation".into()],
    };
    let application = |person: Person| Application {
        name: person.name.into(),
        client_id: person.id,
        object_id: person.service_principal(),
        tenant_id: HOME_TENANT,
        secret: Some(Secret::new(SECRET)),
        ..Application::default()
    };
    Directory {
        tenants: vec![HOME_TENANT],
        resources: vec![resource],
        applications: [Person::OPERATOR, Person::OWNER, Person::READER, Person::STRANGER]
            .map(application)
            .into(),
        ..Directory::default()
    }
}

/// The interpreter that has the libraries.
pub(crate) fn python() -> PathBuf {
    let installed = in_repository(".venv/bin/python");
    let python = std::env::var_os("FAME_TEST_PYTHON").map_or(installed, PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: run ./test, which installs it",
        python.display()
    );
    python
}

/// Runs the program as `person`.
async fn runs_as(
    issuer: &HttpsIssuer,
    service: &Harness,
    person: Person,
    secret: &str,
) -> Result<Value, String> {
    let output = Command::new(python())
        .arg(in_repository("tests/python/msal_client.py"))
        .env("AUTHORITY", format!("{}/{HOME_TENANT}", issuer.origin))
        .env("CLIENT_ID", person.id.to_string())
        .env("CLIENT_SECRET", secret)
        .env("SCOPE", format!("{API_URI}/.default"))
        .env("API_URL", service.base_url())
        .env("CA_FILE", issuer.ca_file())
        .env("NO_PROXY", "127.0.0.1")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_signs_in_and_reads_what_it_may() {
    let issuer = HttpsIssuer::start();
    let service = issuer.trusting_service().await;
    let seen = runs_as(&issuer, &service, Person::READER, SECRET).await.unwrap();
    let offered = json!({ "apps": [APP], "versions": ["16.0.0.5", "16.0.10.0"] });
    assert_eq!(seen, json!({ "authority": offered, "oidc_authority": offered }));
    let seen = runs_as(&issuer, &service, Person::STRANGER, SECRET)
        .await
        .unwrap();
    let nothing = json!({ "apps": [], "versions": [] });
    assert_eq!(seen, json!({ "authority": nothing, "oidc_authority": nothing }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_issuer_says_why_it_gives_no_token() {
    let issuer = HttpsIssuer::start();
    let service = issuer.trusting_service().await;
    let refused = runs_as(&issuer, &service, Person::READER, "another secret")
        .await
        .unwrap_err();
    assert!(refused.contains("invalid_client"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_another_issuer_is_not_believed() {
    let (trusted, other) = (HttpsIssuer::start(), HttpsIssuer::start());
    let service = trusted.trusting_service().await;
    let refused = runs_as(&other, &service, Person::READER, SECRET)
        .await
        .unwrap_err();
    assert!(
        refused.contains(": 401 ") && refused.contains("\"Unauthorized\""),
        "{refused}"
    );
}
