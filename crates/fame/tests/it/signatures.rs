//! `fame package verify` and `fame package sign-info`: what pipelines may build on.

use crate::{
    packages::builder,
    service::{binary, run},
};
use navx::{Signatory, Signing};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose::{CodeSigning, TimeStamping},
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use serde_json::Value;
use std::{path::PathBuf, time::SystemTime};
use tempfile::TempDir;

/// A folder with packages, keys that belong to nobody, and files of those who may be believed.
struct Desk {
    folder: TempDir,
    root: Issuer<'static, KeyPair>,
}

struct Party {
    key: KeyPair,
    certificate: Vec<u8>,
}

/// The number of each signer's certificate.
const SERIAL: u64 = 4711;

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(folder.path().join("roots.pem"), pem).unwrap();
        let root = Issuer::new(params, key);
        Self { folder, root }
    }

    fn party(&self, name: &str, years: (i32, i32), purpose: rcgen::ExtendedKeyUsagePurpose) -> Party {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Contoso");
        params.extended_key_usages = vec![purpose];
        params.serial_number = Some(SerialNumber::from(SERIAL));
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let certificate = params.signed_by(&key, &self.root).unwrap().der().to_vec();
        Party { key, certificate }
    }

    fn contoso(&self) -> Party {
        self.party("Contoso", (2020, 2090), CodeSigning)
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn roots(&self) -> String {
        self.folder.path().join("roots.pem").to_str().unwrap().to_owned()
    }

    /// The list of certificates that were taken back: of that number.
    fn list(&self, serial: u64) -> String {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2025, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.root).unwrap();
        self.file(&format!("{serial}.crl"), list.der())
    }
}

impl Party {
    fn signs<R>(&self, then: impl FnOnce(&Signatory<'_>) -> R) -> R {
        then(&Signatory {
            certificates: std::slice::from_ref(&self.certificate),
            sign: &|message| rcgen::SigningKey::sign(&self.key, message).unwrap(),
        })
    }

    fn sign(&self) -> Vec<u8> {
        self.signs(|own| Signing::by(own).sign(unsigned()).unwrap())
    }

    /// The SHA-256 of the certificate and of the key.
    fn hashes(&self) -> [String; 2] {
        let key = rcgen::PublicKeyData::subject_public_key_info(&self.key);
        [&self.certificate, &key].map(|der| {
            let digest = <sha2::Sha256 as sha2::Digest>::digest(der);
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        })
    }
}

fn unsigned() -> Vec<u8> {
    builder("1.0.0.0").to_bytes().unwrap()
}

/// 2025-01-01T00:00:00Z.
fn new_year() -> SystemTime {
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_735_689_600)
}

/// The exit code of a command on packages, and what it printed as JSON.
async fn package(args: &[&str]) -> (i32, Value) {
    let ended = run(binary(&[&["package"], args, &["--json"]].concat())).await;
    (ended.code, ended.json())
}

async fn code(args: &[&str]) -> i32 {
    package(args).await.0
}

#[tokio::test]
async fn a_signature_is_shown_with_what_is_proven_and_what_is_not() {
    let desk = Desk::new();
    let clock = desk.party("Clock", (2020, 2090), TimeStamping);
    let signed = desk.contoso().signs(|own| {
        clock.signs(|clock| {
            let signing = Signing::by(own).stamped(clock, new_year());
            let signing = signing.claiming("Sales Pack", "https://contoso.com");
            signing.sign(unsigned()).unwrap()
        })
    });
    let file = desk.file("signed.app", &signed);
    let shown = run(binary(&["package", "sign-info", &file])).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    let text = shown.out.replace(&file, "[FILE]");
    let hidden = regex::Regex::new("[0-9a-f]{64}").unwrap();
    insta::assert_snapshot!(hidden.replace_all(&text, "[SHA256]"));
    let (_, json) = package(&["sign-info", &file]).await;
    let one = &json[0]["signatures"][0];
    for (name, value) in [
        ("of", "package"),
        ("state", "intact"),
        ("digest", "ok"),
        ("hash", "SHA-256"),
        ("time", "2025-01-01T00:00:00Z"),
        ("trust", "unknown"),
        ("programName", "Sales Pack"),
        ("url", "https://contoso.com"),
        ("serial", "1267"),
    ] {
        assert_eq!(one[name], value, "{name}: {json}");
    }
    assert_eq!(
        (&one["validAtSigning"], &one["trustChecked"]),
        (&true.into(), &false.into())
    );
    assert_eq!(one["timestamp"]["form"], "rfc3161");
    assert_eq!(
        (&one["chain"]["state"], &one["chain"]["missingIssuer"]),
        (&"incomplete".into(), &"CN=Root".into())
    );
    assert_eq!(json[0]["verdict"], "holds");
}

#[tokio::test]
async fn what_is_not_signed_fails_only_whoever_asks_for_it() {
    let desk = Desk::new();
    let file = desk.file("unsigned.app", &unsigned());
    let key = "00".repeat(32);
    let (exit, json) = package(&["sign-info", &file]).await;
    assert_eq!((exit, &json[0]["verdict"]), (0, &"unsigned".into()));
    assert_eq!(code(&["verify", &file]).await, 0);
    assert_eq!(code(&["verify", &file, "--require-signature"]).await, 19);
    assert_eq!(code(&["verify", &file, "--require-trust"]).await, 19);
    assert_eq!(code(&["sign-info", &file, "--signer", &key]).await, 19);
    let signed = desk.file("signed.app", &desk.contoso().sign());
    let content = |json: &Value| json[0]["signedContentSha256"].clone();
    let (_, of_signed) = package(&["sign-info", &signed]).await;
    assert_eq!(content(&json), content(&of_signed));
}

#[tokio::test]
async fn trust_comes_from_what_was_given_and_from_nowhere_else() {
    let (desk, other) = (Desk::new(), Desk::new());
    let party = desk.contoso();
    let file = desk.file("signed.app", &party.sign());
    assert_eq!(code(&["verify", &file, "--require-signature"]).await, 0);
    let (exit, json) = package(&["verify", &file, "--require-trust"]).await;
    assert_eq!((exit, &json[0]["verdict"]), (18, &"undecided".into()), "{json}");
    let trusting = |roots: String| {
        let file = file.clone();
        async move { package(&["verify", &file, "--require-trust", "--trust", &roots]).await }
    };
    let (exit, json) = trusting(desk.roots()).await;
    assert_eq!(
        (exit, &json[0]["signatures"][0]["trust"]),
        (0, &"anchored".into())
    );
    assert_eq!(trusting(other.roots()).await.0, 18);
    for hash in party.hashes() {
        let (exit, json) = package(&["verify", &file, "--require-trust", "--signer", &hash]).await;
        assert_eq!((exit, &json[0]["signatures"][0]["trust"]), (0, &"pinned".into()));
    }
    let [stranger, _] = desk.contoso().hashes();
    let (exit, json) = package(&["sign-info", &file, "--signer", &stranger]).await;
    assert_eq!(
        (exit, &json[0]["findings"][1]["code"]),
        (19, &"other_signer".into()),
        "{json}"
    );
    let shown = run(binary(&["package", "verify", &file])).await;
    assert!(
        shown.out.contains("signature intact, trust not checked"),
        "{shown:?}"
    );
    assert!(!shown.out.contains("trusted"), "{shown:?}");
}

#[tokio::test]
async fn what_does_not_hold_fails_though_nothing_was_asked_for() {
    let desk = Desk::new();
    let signed = desk.contoso().sign();
    let mut changed = signed.clone();
    changed[14] ^= 1;
    let changed = desk.file("changed.app", &changed);
    let clock = desk.party("Clock", (2020, 2090), TimeStamping);
    let not_for_code = desk.file("clock.app", &clock.sign());
    for (file, found) in [(&changed, "digest_differs"), (&not_for_code, "not_for_code")] {
        for command in ["sign-info", "verify"] {
            let (exit, json) = package(&[command, file]).await;
            assert_eq!(
                (exit, &json[0]["findings"][0]["code"]),
                (19, &found.into()),
                "{json}"
            );
            assert_eq!(json[0]["verdict"], "refused");
        }
    }
    let state = package(&["sign-info", &changed]).await.1[0]["signatures"][0].clone();
    assert_eq!(
        (&state["state"], &state["digest"]),
        (&"mismatch".into(), &"mismatch".into())
    );
}

#[tokio::test]
async fn a_list_takes_certificates_back() {
    let desk = Desk::new();
    let file = desk.file("signed.app", &desk.contoso().sign());
    let verify = |list: String, roots: Vec<String>| {
        let mut args = vec!["verify".to_owned(), file.clone(), "--crl".to_owned(), list];
        args.extend(roots);
        async move { package(&args.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let roots = || vec!["--trust".to_owned(), desk.roots()];
    let (exit, json) = verify(desk.list(SERIAL), roots()).await;
    assert_eq!(
        (exit, &json[0]["findings"][0]["code"]),
        (19, &"revoked".into()),
        "{json}"
    );
    let (exit, json) = verify(desk.list(7), roots()).await;
    assert_eq!(
        (exit, &json[0]["signatures"][0]["revocation"]["revokedAt"]),
        (0, &Value::Null)
    );
    assert_eq!(
        json[0]["signatures"][0]["revocation"]["listedAt"],
        "2026-01-01T00:00:00Z"
    );
    // Nobody who could have signed the list was given.
    let (exit, json) = verify(desk.list(SERIAL), Vec::new()).await;
    assert_eq!((exit, &json[0]["signatures"][0]["revocation"]), (0, &Value::Null));
}

#[tokio::test]
async fn several_packages_are_all_looked_at() {
    let desk = Desk::new();
    let good = desk.file("good.app", &desk.contoso().sign());
    let damaged = desk.file("damaged.app", b"not a package, but long enough to have a header");
    let unsigned = desk.file("unsigned.app", &unsigned());
    let (exit, json) = package(&["verify", &good, &damaged, &unsigned, "--require-signature"]).await;
    assert_eq!(exit, 14);
    let verdicts: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["holds", "refused", "refused"]);
    assert_eq!(json[1]["findings"][0]["code"], "bad_magic");
}

#[tokio::test]
async fn findings_can_be_read_by_code_scanning() {
    let desk = Desk::new();
    let (unsigned, damaged) = (
        desk.file("unsigned.app", &unsigned()),
        desk.file("damaged.app", b"not a package, but long enough to have a header"),
    );
    let log = desk.file("log.sarif", b"");
    let args = [
        "verify",
        &unsigned,
        &damaged,
        "--require-signature",
        "--sarif",
        &log,
    ];
    assert_eq!(
        code(&[&args[..], &["--sarif-root", "apps/sales"]].concat()).await,
        19
    );
    let log: Value = serde_json::from_slice(&std::fs::read(&log).unwrap()).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "fame package verify");
    let results = run["results"].as_array().unwrap();
    let told: Vec<_> = results
        .iter()
        .map(|one| (&one["ruleId"], &one["level"]))
        .collect();
    let (error, rules) = (Value::from("error"), ["unsigned", "bad_magic"].map(Value::from));
    assert_eq!(told, [(&rules[0], &error), (&rules[1], &error)]);
    let place = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(place["uri"], "apps/sales/app.json");
}

#[tokio::test]
async fn what_cannot_be_believed_is_a_usage_error() {
    let desk = Desk::new();
    let file = desk.file("signed.app", &desk.contoso().sign());
    let text = desk.file("text.pem", b"nothing");
    for (args, said) in [
        (["--trust", &text], "holds no certificates"),
        (["--trust", "none.pem"], "Cannot read"),
        (["--crl", &text], "cannot be read"),
        (["--signer", "abc"], "--signer"),
    ] {
        let ended = run(binary(&[&["package", "sign-info", &file], &args[..]].concat())).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains(said), "{ended:?}");
    }
}
