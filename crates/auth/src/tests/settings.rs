//! Settings: what is accepted, and that everything wrong is said at once.

use std::sync::Arc;

use super::fixture::Fixture;
use crate::{AuthSettings, Authenticator};

fn settings(text: &str) -> AuthSettings {
    toml::from_str(text).unwrap()
}

fn problem_keys(text: &str) -> Vec<String> {
    settings(text)
        .problems()
        .into_iter()
        .map(|problem| problem.key)
        .collect()
}

const GOOD: &str = r#"
    [[issuers]]
    kind = "entra"
    tenants = ["6f8c7a3e-1111-4c2b-9a55-0c0a7c0a0001"]
    audience_presets = ["business_central"]
"#;

#[test]
fn little_is_needed_for_the_public_cloud() {
    assert_eq!(settings(GOOD).problems(), []);
    let trusted = settings(GOOD).parse().unwrap();
    assert_eq!(
        trusted[0].resource_id,
        "https://apps.businesscentral.dynamics.com"
    );
    assert!(Authenticator::new(&settings(GOOD), Arc::new(|| 0)).is_ok());
}

#[test]
fn no_issuer_is_a_problem() {
    assert_eq!(problem_keys(""), ["identity.issuers"]);
    assert!(Authenticator::new(&AuthSettings::default(), Arc::new(|| 0)).is_err());
}

#[test]
fn unknown_keys_and_words_are_refused() {
    let wrong = [
        "issuer = []",
        "[[issuers]]\nkind = \"entra\"\ntenants = \"any\"\naudience = [\"x\"]",
        "[[issuers]]\nkind = \"saml\"",
        "[[issuers]]\nkind = \"entra\"\ntenants = \"any\"\naudience_presets = [\"graph\"]",
        "[[issuers]]\nkind = \"entra\"\ntenants = \"any\"\napplications.match = \"name\"",
    ];
    for text in wrong {
        assert!(toml::from_str::<AuthSettings>(text).is_err(), "{text}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let keys = problem_keys(
        r#"
        [[issuers]]
        kind = "entra"
        authority = "http://login.contoso.com"
        tenants = ["contoso.com", "9188040d-6c67-4c5b-b112-36a304b66dad"]
        v1_issuer = "https://sts.contoso.com/"
        key_origins = ["keys.contoso.com"]

        [[issuers]]
        kind = "oidc"
        issuer = "https://user:secret@id.cronus.example/?x"
        tenant = "cronus"
        audiences = []
        object_claim = ""
        required_scope = "two words"
        "#,
    );
    let expected = [
        "identity.issuers[0].authority",
        "identity.issuers[0].v1_issuer",
        "identity.issuers[0].audiences",
        "identity.issuers[0].key_origins",
        "identity.issuers[0].tenants",
        "identity.issuers[0].tenants",
        "identity.issuers[1].issuer",
        "identity.issuers[1].tenant",
        "identity.issuers[1].object_claim",
        "identity.issuers[1].audiences",
        "identity.issuers[1].required_scope",
    ];
    let mut sorted = keys.clone();
    sorted.sort();
    let mut expected_sorted = expected.map(str::to_owned).to_vec();
    expected_sorted.sort();
    assert_eq!(sorted, expected_sorted);
}

#[test]
fn tenants_must_not_overlap() {
    let entra = |tenants: &str| {
        format!("[[issuers]]\nkind = \"entra\"\ntenants = {tenants}\naudiences = [\"api://fame\"]\n")
    };
    let oidc = |name: &str, tenant: &str| {
        format!(
            "[[issuers]]\nkind = \"oidc\"\nissuer = \"https://id.example/{name}\"\n\
             tenant = \"6f8c7a3e-1111-4c2b-9a55-0c0a7c0a000{tenant}\"\naudiences = [\"fame\"]\n"
        )
    };
    let one = entra("[\"6f8c7a3e-1111-4c2b-9a55-0c0a7c0a0001\"]");
    let two = entra("[\"6f8c7a3e-1111-4c2b-9a55-0c0a7c0a0002\"]");
    let any = entra("\"any\"\ndoors = [\"customer\"]");
    let cases = [
        (format!("{one}{two}"), vec![]),
        (format!("{one}{one}"), vec!["identity.issuers[1].tenants"]),
        (format!("{one}{any}"), vec![]),
        (format!("{any}{any}"), vec!["identity.issuers[1].tenants"]),
        (format!("{any}{}", oidc("a", "1")), vec![]),
        (
            format!("{one}{}", oidc("a", "1")),
            vec!["identity.issuers[1].tenant"],
        ),
        (
            format!("{}{one}", oidc("a", "1")),
            vec!["identity.issuers[1].tenants"],
        ),
        (format!("{}{}", oidc("a", "3"), oidc("b", "4")), vec![]),
        (
            format!("{}{}", oidc("a", "3"), oidc("b", "3")),
            vec!["identity.issuers[1].tenant"],
        ),
        (
            format!("{}{}", oidc("a", "3"), oidc("a", "4")),
            vec!["identity.issuers[1].issuer"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problem_keys(&text), expected, "{text}");
    }
}

#[test]
fn plain_http_needs_a_loopback_host_and_permission() {
    let authority = |host: &str, allow: bool| {
        let text = format!(
            "allow_insecure_loopback = {allow}\n[[issuers]]\nkind = \"entra\"\nauthority = \"http://{host}\"\n\
             tenants = \"any\"\ndoors = [\"customer\"]\naudiences = [\"api://fame\"]"
        );
        problem_keys(&text).is_empty()
    };
    for host in ["127.0.0.1:8080", "localhost:1", "[::1]:8080", "127.9.9.9"] {
        assert!(authority(host, true) && !authority(host, false), "{host}");
    }
    for host in [
        "login.contoso.com",
        "localhost.contoso.com",
        "10.0.0.1",
        "[2001:db8::1]",
    ] {
        assert!(!authority(host, true), "{host}");
    }
}

#[test]
fn a_certificate_file_must_exist_and_hold_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let mut wanted = settings(GOOD);
    wanted.ca_file = Some(path.clone());
    let problems = Authenticator::new(&wanted, Arc::new(|| 0)).err().unwrap();
    assert_eq!(problems[0].key, "identity.ca_file");
}

#[tokio::test]
async fn keys_come_over_https_from_an_authority_of_ones_own() {
    let fixture = Fixture::open().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let routes = entra_local::router(fixture.issuer.clone(), entra_local::Scheme::Https);
    let certificates = fixture.issuer.certificates().clone();
    tokio::spawn(async move {
        entra_local::serve_https(listener, routes, &certificates, std::future::pending()).await
    });
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, fixture.issuer.certificates().authority_pem()).unwrap();

    let mut wanted = fixture.settings_with("tenants = [\"6f8c7a3e-1111-4c2b-9a55-0c0a7c0a0001\"]");
    wanted.allow_insecure_loopback = false;
    wanted.ca_file = Some(ca_file);
    let [crate::IssuerSettings::Entra(entra)] = wanted.issuers.as_mut_slice() else {
        panic!("one entry");
    };
    entra.authority = origin;
    let authenticator = Authenticator::new(&wanted, fixture.clock()).unwrap();
    assert!(
        super::fixture::call(&fixture, &authenticator, &super::fixture::user())
            .await
            .is_ok()
    );
}

#[test]
fn any_tenant_is_for_customers_alone_and_not_with_tokens_of_others() {
    let any = |more: &str| {
        let text =
            format!("[[issuers]]\nkind = \"entra\"\ntenants = \"any\"\naudiences = [\"api://fame\"]\n{more}");
        problem_keys(&text)
    };
    assert_eq!(any("doors = [\"customer\"]"), Vec::<String>::new());
    let (tenants, preset) = (
        "identity.issuers[0].tenants",
        "identity.issuers[0].audience_presets",
    );
    assert_eq!(any(""), [tenants]);
    assert_eq!(any("doors = [\"customer\", \"vendor\"]"), [tenants]);
    assert_eq!(
        any("doors = []"),
        ["identity.issuers[0].doors", tenants].map(str::to_owned)
    );
    let replayable = "doors = [\"customer\"]\naudience_presets = [\"business_central\"]";
    assert_eq!(any(replayable), [preset]);
    assert!(
        toml::from_str::<AuthSettings>("[[issuers]]\nkind = \"entra\"\ntenants = \"any\"\ndoors = [\"all\"]")
            .is_err()
    );
}

#[test]
fn issuers_of_pipelines_are_https_and_nobody_elses() {
    let more = |text: &str| format!("{GOOD}{text}");
    let github =
        "[[publishers]]\nprovider = \"github\"\nissuer = \"https://token.actions.githubusercontent.com\"\n";
    assert_eq!(problem_keys(&more(github)), [""; 0]);
    for (wrong, keys) in [
        (
            "[[publishers]]\nprovider = \"custom\"\nissuer = \"http://ci.contoso.com\"\n".to_owned(),
            &["identity.publishers[0].issuer"][..],
        ),
        (
            "[[publishers]]\nprovider = \"custom\"\nissuer = \"https://a.b\"\nkey_origins = [\"http://c.d\"]\n".to_owned(),
            &["identity.publishers[0].key_origins"],
        ),
        (format!("{github}{github}"), &["identity.publishers[1].issuer"]),
        (
            "[[issuers]]\nkind = \"oidc\"\nissuer = \"https://ci.contoso.com/\"\naudiences = [\"fame\"]\n\
             tenant = \"6f8c7a3e-1111-4c2b-9a55-0c0a7c0a0002\"\n\
             [[publishers]]\nprovider = \"custom\"\nissuer = \"https://ci.contoso.com\"\n"
                .to_owned(),
            &["identity.publishers[0].issuer"],
        ),
    ] {
        assert_eq!(problem_keys(&more(&wrong)), keys, "{wrong}");
    }
    for unknown in ["gitlab", "jenkins"] {
        let text = github.replace("github\"\nissuer", &format!("{unknown}\"\nissuer"));
        assert!(toml::from_str::<AuthSettings>(&text).is_err(), "{unknown}");
    }
}
