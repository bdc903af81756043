//! One token issuer for all tests of the process, reached over loopback http: its keys are slow to make, and nobody
//! here changes them.

use entra_local::{Application, Directory, Issuer, Resource, Scheme, Settings, TokenRequest, TokenVersion};
use std::{
    collections::HashMap,
    net::TcpListener,
    sync::{Arc, LazyLock, Mutex},
};
use uuid::{Uuid, uuid};

/// The tenant of the publisher, where all callers live.
pub const HOME_TENANT: Uuid = uuid!("aaaabbbb-0000-cccc-1111-dddd2222eeee");
/// The client id of the service.
pub const API: Uuid = uuid!("0a0a0a0a-1111-4222-8333-000000000001");
/// The App ID URI of the service.
const API_URI: &str = "api://fame";

/// An application with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: &'static str,
    /// What a principal row names it by: its client id.
    pub id: Uuid,
}

impl Person {
    pub const OWNER: Self = Self::new("owner", uuid!("10000000-0000-4000-8000-000000000001"));
    pub const SECOND_OWNER: Self = Self::new("second-owner", uuid!("10000000-0000-4000-8000-000000000002"));
    pub const OPERATOR: Self = Self::new("operator", uuid!("10000000-0000-4000-8000-000000000005"));

    const ALL: [Self; 3] = [Self::OWNER, Self::SECOND_OWNER, Self::OPERATOR];

    const fn new(name: &'static str, id: Uuid) -> Self {
        Self { name, id }
    }

    /// A good token.
    pub fn token(&self) -> String {
        let mut tokens = SHARED.tokens.lock().unwrap();
        tokens
            .entry(self.name)
            .or_insert_with(|| SHARED.issuer.mint(&TokenRequest::client(self.name)).unwrap())
            .clone()
    }
}

struct Shared {
    issuer: Issuer,
    base_url: String,
    tokens: Mutex<HashMap<&'static str, String>>,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let settings = Settings {
        base_url: base_url.clone(),
        clock: Arc::new(server::clock::wall_seconds),
    };
    let issuer = Issuer::new(settings, directory()).unwrap();
    serve(listener, issuer.clone());
    Shared {
        issuer,
        base_url,
        tokens: Mutex::default(),
    }
});

/// On a thread of its own: a test's runtime ends with the test, the issuer stays for the others.
fn serve(listener: TcpListener, issuer: Issuer) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, entra_local::router(issuer, Scheme::Http))
                .await
                .unwrap();
        });
    });
}

fn directory() -> Directory {
    let api = Resource {
        client_id: API,
        identifier_uris: vec![API_URI.into()],
        token_version: TokenVersion::V2,
        scopes: vec!["user_impersonation".into()],
    };
    let application = |person: &Person| Application {
        name: person.name.into(),
        client_id: person.id,
        object_id: Uuid::new_v5(&HOME_TENANT, person.name.as_bytes()),
        tenant_id: HOME_TENANT,
        secret: None,
        public_client: false,
    };
    Directory {
        tenants: vec![HOME_TENANT],
        resources: vec![api],
        applications: Person::ALL.iter().map(application).collect(),
        ..Directory::default()
    }
}

/// The issuer as the configuration of a service names it.
pub fn settings() -> String {
    let authority = &SHARED.base_url;
    format!(
        "[[identity.issuers]]\n\
         kind = \"entra\"\n\
         tenants = [\"{HOME_TENANT}\"]\n\
         audiences = [\"{API}\", \"{API_URI}\"]\n\
         authority = \"{authority}\"\n\
         v1_issuer = \"{authority}/{{tenantid}}/\"\n"
    )
}
