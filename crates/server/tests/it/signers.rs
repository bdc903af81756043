//! Who must have signed the packages of an app: asked when one is uploaded, and again before it goes anywhere.

use crate::harness::{
    APP, Answer, Backend, Environment, Harness, base64_of, bytes_of, country_path, on_both_databases,
    package, registration,
};
use navx::Signatory;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _, SigningKey as _,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

on_both_databases!(
    the_operator_says_who_must_have_signed,
    a_package_that_is_not_signed_as_it_must_be_leaves_nothing,
    the_rule_is_asked_again_before_a_hotfix_begins,
);

const TARGET: &str = "16.0.1.2";

/// Somebody with a key and a certificate that they made themselves.
struct Party {
    key: KeyPair,
    certificate: Vec<u8>,
}

impl Party {
    fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        Self { key, certificate }
    }

    fn signs(&self, package: Vec<u8>) -> Vec<u8> {
        let signatory = Signatory {
            certificates: std::slice::from_ref(&self.certificate),
            sign: &|message| self.key.sign(message).unwrap(),
        };
        navx::sign(package, &signatory, None).unwrap()
    }

    fn key(&self) -> String {
        let digest = Sha256::digest(self.key.subject_public_key_info());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn app_path() -> String {
    format!("/operator/v1/apps/{APP}")
}

async fn rule_becomes(service: &Harness, rule: &str) -> Answer {
    service
        .operator()
        .patch(app_path(), json!({ "signerRule": rule }))
        .await
        .expect(200)
}

async fn uploads(service: &Harness, package: &[u8]) -> Answer {
    let body = json!({ "initialAvailability": "Available", "packageContents": base64_of(package) });
    service
        .owner()
        .post(country_path(APP, "US", "versions"), body)
        .await
}

fn details(answer: &Answer) -> Vec<String> {
    let error = answer.json()["error"]["details"].clone();
    let code = |detail: &Value| detail["code"].as_str().unwrap().to_owned();
    error.as_array().unwrap().iter().map(code).collect()
}

async fn the_operator_says_who_must_have_signed(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let before = operator.get(app_path()).await.expect(200);
    assert_eq!(before.property("signerRule"), "none");
    let pinned = format!("pinned:{}", "0f".repeat(32));
    let changed = rule_becomes(&service, &pinned.to_uppercase().replace("PINNED", "pinned")).await;
    assert_eq!(changed.property("signerRule"), pinned);
    assert_ne!(changed.etag(), before.etag());
    // Whoever registers an app anew without a word about it does not lift the rule.
    let again = operator.put(app_path(), registration()).await.expect(200);
    assert_eq!(again.property("signerRule"), pinned);
    let listed = operator
        .get(format!("/operator/v1/apps?$filter=signerRule eq '{pinned}'"))
        .await
        .expect(200);
    assert_eq!(listed.column("id"), [APP.to_string()]);
    for wrong in ["Contoso", "pinned:", "pinned:0f"] {
        let refused = operator
            .patch(app_path(), json!({ "signerRule": wrong }))
            .await
            .refused(400, "InvalidInput");
        assert_eq!(refused.target(), "signerRule");
        assert!(refused.message().contains(wrong), "{refused:?}");
    }
    let audit = operator
        .get("/operator/v1/audit?$filter=action eq 'apps/write'&$orderby=at desc")
        .await
        .expect(200)
        .rows();
    let changed: Vec<_> = audit
        .iter()
        .filter(|row| row["before"]["signerRule"] == "none")
        .map(|row| &row["after"]["signerRule"])
        .collect();
    assert_eq!(changed, [&json!(pinned)]);
    let shown = service.owner().get(service.owner().app_path()).await.expect(200);
    assert_eq!(shown.json().get("signerRule"), None);
}

async fn a_package_that_is_not_signed_as_it_must_be_leaves_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let (contoso, other) = (Party::named("Contoso"), Party::named("Somebody"));
    let pinned = format!("pinned:{}", contoso.key());
    let unsigned = bytes_of(&package(TARGET));
    let mut changed = contoso.signs(unsigned.clone());
    changed[20] ^= 1;
    let shape = bytes_of(&package(TARGET).signed());
    for rule in ["signed", &pinned] {
        rule_becomes(&service, rule).await;
        for (package, fault) in [
            (&unsigned, "unsigned"),
            (&changed, "digest_differs"),
            (&shape, "unreadable_signature"),
        ] {
            let refused = uploads(&service, package).await.refused(400, "InvalidPackage");
            assert_eq!(details(&refused), ["NotSigned", fault]);
            assert_eq!(refused.target(), "packageContents");
            assert!(refused.message().contains(rule), "{refused:?}");
        }
    }
    let by_another = uploads(&service, &other.signs(unsigned.clone())).await;
    let by_another = by_another.refused(400, "InvalidPackage");
    assert_eq!(details(&by_another), ["SignedByAnother"]);
    for fact in [other.key(), contoso.key(), "CN=Somebody".into()] {
        assert!(by_another.message().contains(&fact), "{by_another:?}");
    }
    let versions = country_path(APP, "US", "versions");
    assert_eq!(
        service.owner().get(&versions).await.expect(200).rows(),
        Vec::<Value>::new()
    );
    assert_eq!(service.stored_packages(), Vec::<std::path::PathBuf>::new());
    service
        .until("staging is empty", async || service.staged_files().is_empty())
        .await;
    let signed = contoso.signs(unsigned);
    uploads(&service, &signed).await.expect(200);
    let contents = format!("{versions}/{TARGET}/getPackageContents");
    assert_eq!(service.owner().get(contents).await.expect(200).body, signed);
    let audit = service
        .operator()
        .get("/operator/v1/audit?$filter=action eq 'versions/upload'")
        .await
        .expect(200)
        .rows();
    assert_eq!(audit[0]["after"]["signer"], json!(contoso.key()));
}

async fn the_rule_is_asked_again_before_a_hotfix_begins(backend: Backend) {
    let service = Harness::start(backend).await;
    let contoso = Party::named("Contoso");
    for version in ["16.0.0.5", TARGET] {
        let signed = contoso.signs(bytes_of(&package(version)));
        uploads(&service, &signed).await.expect(200);
    }
    let environment = Environment::my_customer("16.0.0.5");
    service.operator().reports(&environment).await.expect(201);
    let hotfix = service.owner().schedules(&environment, TARGET).await.expect(200);
    rule_becomes(&service, &format!("pinned:{}", "00".repeat(32))).await;
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    let skipped = service.reader().looks_at(&hotfix).await;
    assert_eq!(skipped.property("status"), "Skipped");
    let text = skipped.property("errorMessage");
    assert!(
        text.starts_with("SignerNotAllowed: ") && text.contains(&contoso.key()),
        "{text}"
    );
    service
        .owner()
        .schedules(&environment, TARGET)
        .await
        .broke_rule("SignerNotAllowed");
    let plan = country_path(APP, "US", "environmentHotfixes/plan?targetAppVersion=16.0.1.2");
    let planned = service.owner().get(&plan).await.expect(200).rows();
    assert_eq!(planned[0]["reasons"][0]["code"], "SignerNotAllowed");
    rule_becomes(&service, &format!("pinned:{}", contoso.key())).await;
    let planned = service.owner().get(&plan).await.expect(200).rows();
    assert_eq!(planned[0]["eligible"], true);
    let hotfix = service
        .owner()
        .schedules_at_once(&environment, TARGET)
        .await
        .expect(200);
    service.catches_up().await;
    service.finishes_work().await;
    let done = service.reader().looks_at(&hotfix).await;
    assert_eq!(done.property("status"), "Succeeded", "{done:?}");
}
