//! One token issuer for all tests of the process, and the people who get tokens from it: its keys are slow to make, and
//! nobody here changes them.

use entra_local::{
    Application, Directory, Issuer, Resource, Scheme, Secret, Settings, TokenRequest, TokenVersion, User,
};
use std::{
    collections::HashMap,
    net::TcpListener,
    sync::{Arc, LazyLock, Mutex},
    time::SystemTime,
};
use uuid::{Uuid, uuid};

/// The tenant of the publisher, Contoso, where all callers live.
pub const HOME_TENANT: Uuid = uuid!("aaaabbbb-0000-cccc-1111-dddd2222eeee");
/// Other tenants that the issuer signs for: a partner's, and a reseller's.
pub const PARTNER_TENANT: Uuid = uuid!("bbbbcccc-1111-dddd-2222-eeee3333ffff");
pub const RESELLER_TENANT: Uuid = uuid!("eeeeffff-4444-aaaa-5555-bbbb6666cccc");
/// The tenants of two customers.
pub const CUSTOMER_TENANTS: [Uuid; 2] = [
    uuid!("ccccdddd-2222-eeee-3333-ffff4444aaaa"),
    uuid!("ddddeeee-3333-ffff-4444-aaaa5555bbbb"),
];
/// The tenant whose v2.0 issuer stands for one of pipelines. Nobody is in it, and no service trusts it as a tenant.
pub const PIPELINES_TENANT: Uuid = uuid!("ffffaaaa-5555-bbbb-6666-cccc7777dddd");
/// The client id of the service.
pub const API: Uuid = uuid!("0a0a0a0a-1111-4222-8333-000000000001");
/// The App ID URI of the service.
pub const API_URI: &str = "api://fame";

/// Somebody with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: &'static str,
    /// What a principal row names them by: an application's client id, a user's object id.
    pub id: Uuid,
    pub is_user: bool,
}

impl Person {
    pub const OWNER: Self = application("owner", uuid!("10000000-0000-4000-8000-000000000001"));
    pub const CONTRIBUTOR: Self = application("contributor", uuid!("10000000-0000-4000-8000-000000000002"));
    pub const READER: Self = application("reader", uuid!("10000000-0000-4000-8000-000000000003"));
    pub const STRANGER: Self = application("stranger", uuid!("10000000-0000-4000-8000-000000000004"));
    pub const OPERATOR: Self = application("operator", uuid!("10000000-0000-4000-8000-000000000005"));
    pub const SECOND_OWNER: Self = application("second-owner", uuid!("10000000-0000-4000-8000-000000000006"));
    pub const SIMULATOR: Self = application("simulator", uuid!("10000000-0000-4000-8000-000000000007"));
    pub const OWNER_USER: Self = user("owner-user", uuid!("20000000-0000-4000-8000-000000000001"));
    pub const READER_USER: Self = user("reader-user", uuid!("20000000-0000-4000-8000-000000000002"));

    const ALL: [Self; 9] = [
        Self::OWNER,
        Self::CONTRIBUTOR,
        Self::READER,
        Self::STRANGER,
        Self::SIMULATOR,
        Self::OPERATOR,
        Self::SECOND_OWNER,
        Self::OWNER_USER,
        Self::READER_USER,
    ];

    /// The object id of an application's service principal.
    pub fn service_principal(&self) -> Uuid {
        Uuid::new_v5(&HOME_TENANT, self.name.as_bytes())
    }

    /// What a good token is minted from.
    pub fn token(&self) -> TokenRequest {
        if self.is_user {
            TokenRequest::user(self.name)
        } else {
            TokenRequest::client(self.name)
        }
    }
}

const fn application(name: &'static str, id: Uuid) -> Person {
    Person {
        name,
        id,
        is_user: false,
    }
}

const fn user(name: &'static str, id: Uuid) -> Person {
    Person {
        name,
        id,
        is_user: true,
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
        hosts: Vec::new(),
        clock: Arc::new(now),
    };
    let issuer = Issuer::new(settings, directory()).unwrap();
    serve(listener, issuer.clone());
    Shared {
        issuer,
        base_url,
        tokens: Mutex::default(),
    }
});

/// Seconds since 1970.
fn now() -> i64 {
    let elapsed = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    elapsed.as_secs().try_into().unwrap()
}

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
    let mut directory = Directory {
        tenants: [
            &[HOME_TENANT, PARTNER_TENANT, RESELLER_TENANT, PIPELINES_TENANT][..],
            &CUSTOMER_TENANTS,
        ]
        .concat(),
        resources: vec![api],
        ..Directory::default()
    };
    for person in Person::ALL {
        if person.is_user {
            directory.users.push(User {
                name: person.name.into(),
                username: format!("{}@contoso.com", person.name),
                password: Secret::new("not used here"),
                object_id: person.id,
                tenant_id: HOME_TENANT,
                directory_roles: Vec::new(),
            });
        } else {
            directory.applications.push(Application {
                name: person.name.into(),
                client_id: person.id,
                object_id: person.service_principal(),
                tenant_id: HOME_TENANT,
                ..Application::default()
            });
        }
    }
    directory
}

/// The address at which the issuer answers.
pub fn base_url() -> &'static str {
    &SHARED.base_url
}

/// The issuer of tokens of pipelines.
pub fn pipeline_issuer() -> String {
    format!("{}/{PIPELINES_TENANT}/v2.0", base_url())
}

/// What a good token of a pipeline's run is minted from, as GitHub would say it: a push to `main` of `contoso/sales-pack`.
pub fn pipeline_run(audience: &str) -> TokenRequest {
    let issuer = pipeline_issuer();
    let request = TokenRequest {
        issuer: Some(issuer),
        ..Person::OWNER.token()
    };
    [
        ("aud", audience),
        ("jti", &Uuid::new_v4().to_string()),
        ("sub", "repo:contoso@7/sales-pack@42:ref:refs/heads/main"),
        ("repository", "contoso/sales-pack"),
        ("repository_id", "42"),
        ("repository_owner_id", "7"),
        (
            "workflow_ref",
            "contoso/sales-pack/.github/workflows/release.yml@refs/heads/main",
        ),
        (
            "job_workflow_ref",
            "contoso/sales-pack/.github/workflows/release.yml@refs/heads/main",
        ),
        ("ref", "refs/heads/main"),
        ("ref_protected", "true"),
        ("event_name", "push"),
        ("runner_environment", "github-hosted"),
        ("run_id", "1001"),
        ("run_attempt", "1"),
    ]
    .into_iter()
    .fold(request, |request, (name, value)| request.with_claim(name, value))
}

/// Any token, good or bad.
pub fn mint(request: &TokenRequest) -> String {
    SHARED.issuer.mint(request).unwrap()
}

/// A good token.
pub fn token_of(person: &Person) -> String {
    let mut tokens = SHARED.tokens.lock().unwrap();
    tokens
        .entry(person.name)
        .or_insert_with(|| mint(&person.token()))
        .clone()
}
