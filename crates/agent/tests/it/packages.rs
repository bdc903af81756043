//! Packages on their way to a target: brought, cut off, and swapped.

use crate::{
    host::{APP, Host, NEW, OLD, hotfix},
    service::Service,
};
use navx::{PackageBuilder, Signatory, Version};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _, SigningKey as _,
    date_time_ymd,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use wire::agent::{ClaimedOperation, ClaimedPackage, Finish};

const SETTINGS: &str = "takes = \"1s\"\nbrings_package = true";

pub(crate) fn package(app: Uuid, version: [u32; 4]) -> Vec<u8> {
    let version = Version::new(version).unwrap();
    PackageBuilder::new(app, "Sales", "Contoso", version)
        .payload_bytes(50_000)
        .to_bytes()
        .unwrap()
}

pub(crate) fn of(bytes: &[u8]) -> ClaimedOperation {
    ClaimedOperation {
        package: Some(ClaimedPackage {
            sha256: data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)),
            size: bytes.len() as u64,
            differs_elsewhere: false,
        }),
        ..hotfix(1, "Production")
    }
}

/// Somebody with a key and a certificate that they made themselves.
struct Party {
    key: KeyPair,
    params: CertificateParams,
}

impl Party {
    /// Their certificate is valid only in the days of the agent's clock.
    fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.not_before = date_time_ymd(2027, 1, 15);
        params.not_after = date_time_ymd(2027, 1, 25);
        let key = KeyPair::generate().unwrap();
        Self { key, params }
    }

    fn signs(&self, package: Vec<u8>) -> Vec<u8> {
        let certificate = self.params.self_signed(&self.key).unwrap().der().to_vec();
        let signatory = Signatory {
            certificates: &[certificate],
            sign: &|message| self.key.sign(message).unwrap(),
        };
        navx::sign(package, &signatory, None).unwrap()
    }

    fn key(&self) -> String {
        data_encoding::HEXLOWER.encode(&Sha256::digest(self.key.subject_public_key_info()))
    }
}

/// What becomes of an operation whose package the service sends as `sent`.
async fn carried_out(service: &Service, host: &Host, operation: ClaimedOperation, sent: Vec<u8>) -> Finish {
    service.state().packages.insert(operation.operation_id, sent);
    let agent = host.runs();
    service.grants([operation.clone()]);
    let finish = service.finish_of(operation.operation_id).await;
    agent.stops().await;
    service.assert_obeyed();
    finish
}

#[tokio::test]
async fn a_download_that_breaks_off_is_taken_up_where_it_was() {
    let service = Service::start().await;
    let host = Host::of(&service).simulating(SETTINGS);
    let bytes = package(APP, NEW.0);
    service.state().cut_after = Some(20_000);
    let finish = carried_out(&service, &host, of(&bytes), bytes).await;
    assert_eq!(finish.status, "Succeeded", "{finish:?}");
    let ranges = service.state().ranges.clone();
    assert_eq!(ranges, [None, Some("bytes=20000-".to_owned())]);
    assert!(
        !host
            .path("state/packages")
            .join(Uuid::from_u128(1).to_string())
            .exists()
    );
}

#[tokio::test]
async fn bytes_that_were_swapped_start_nothing() {
    let good = package(APP, NEW.0);
    let mut flipped = good.clone();
    flipped[30_000] ^= 1;
    let longer = [good.as_slice(), b"x"].concat();
    for sent in [flipped, longer, good[..1_000].to_vec()] {
        let service = Service::start().await;
        let host = Host::of(&service).simulating(SETTINGS);
        let finish = carried_out(&service, &host, of(&good), sent).await;
        assert_eq!(
            finish.failure_cause.as_deref(),
            Some("PackageChanged"),
            "{finish:?}"
        );
        assert_eq!(finish.installed_version, Some(OLD.to_string()));
        assert_eq!(host.installed("Production"), OLD);
    }
}

#[tokio::test]
async fn a_package_of_another_app_or_version_starts_nothing() {
    let damaged = b"MZ no package".to_vec();
    for (bytes, fact) in [
        (
            package(Uuid::from_u128(9), NEW.0),
            "is of app 00000000-0000-0000-0000-000000000009",
        ),
        (package(APP, OLD.0), "16.0.0.5, and should be"),
        (damaged, "damaged"),
    ] {
        let service = Service::start().await;
        let host = Host::of(&service).simulating(SETTINGS);
        let finish = carried_out(&service, &host, of(&bytes), bytes).await;
        assert_eq!(
            finish.failure_cause.as_deref(),
            Some("PackageChanged"),
            "{finish:?}"
        );
        assert!(
            finish.error_message.as_ref().unwrap().contains(fact),
            "{finish:?}"
        );
        assert_eq!(host.installed("Production"), OLD);
    }
}

#[tokio::test]
async fn a_package_that_cannot_be_had_is_a_matter_of_the_connection() {
    let service = Service::start().await;
    let host = Host::of(&service).simulating(SETTINGS);
    let bytes = package(APP, NEW.0);
    service.state().faults = vec![("GET /agent/v1/operations", 404)];
    let finish = carried_out(&service, &host, of(&bytes), bytes).await;
    assert_eq!(finish.failure_cause.as_deref(), Some("Connection"), "{finish:?}");
    assert_eq!(host.installed("Production"), OLD);
}

#[tokio::test]
async fn a_package_that_is_too_large_is_not_even_asked_for() {
    let service = Service::start().await;
    let host = Host::of(&service)
        .simulating(SETTINGS)
        .with_agent("max_package_bytes = 1000");
    let bytes = package(APP, NEW.0);
    let huge = ClaimedOperation {
        package: Some(ClaimedPackage {
            size: 1 << 40,
            ..of(&bytes).package.unwrap()
        }),
        ..of(&bytes)
    };
    let finish = carried_out(&service, &host, huge, bytes).await;
    assert_eq!(
        finish.error_message.as_deref(),
        Some(
            "Configuration: The package has 1099511627776 bytes, and agent.max_package_bytes is 1000. Nothing was started."
        )
    );
    assert!(service.state().ranges.is_empty());
}

#[tokio::test]
async fn a_package_that_is_not_signed_as_the_policy_asks_starts_nothing() {
    let (contoso, mut other) = (Party::named("Contoso"), Party::named("Somebody"));
    let unsigned = package(APP, NEW.0);
    let mut changed = contoso.signs(unsigned.clone());
    changed[20] ^= 1;
    let by_another = other.signs(unsigned.clone());
    other.params.not_before = date_time_ymd(2025, 1, 1);
    other.params.not_after = date_time_ymd(2027, 1, 14);
    let too_late = other.signs(unsigned.clone());
    let signed = "require_signature = true".to_owned();
    let pinned = format!("signers = [\"{}\"]", contoso.key());
    let key = contoso.key();
    let others_key = other.key();
    for (rule, bytes, facts) in [
        (&signed, &unsigned, vec!["(signed)", "The package is not signed."]),
        (&signed, &changed, vec!["was changed after it was signed"]),
        (&signed, &too_late, vec!["CN=Somebody is not valid now"]),
        (
            &pinned,
            &unsigned,
            vec![key.as_str(), "The package is not signed."],
        ),
        (&pinned, &by_another, vec![&key, &others_key, "CN=Somebody"]),
    ] {
        let service = Service::start().await;
        let host = Host::of(&service).simulating(SETTINGS);
        host.policy(&format!("allowed_apps = \"any\"\n{rule}"));
        let finish = carried_out(&service, &host, of(bytes), bytes.clone()).await;
        assert_eq!(finish.failure_cause.as_deref(), Some("Permission"), "{finish:?}");
        let text = finish.error_message.unwrap();
        assert!(facts.iter().all(|fact| text.contains(fact)), "{facts:?}: {text}");
        assert!(text.ends_with("Nothing was started."), "{text}");
        assert_eq!(host.installed("Production"), OLD);
    }
}

#[tokio::test]
async fn a_package_that_is_signed_as_the_policy_asks_comes_in() {
    let contoso = Party::named("Contoso");
    let bytes = contoso.signs(package(APP, NEW.0));
    for rule in [
        "require_signature = true".to_owned(),
        format!("signers = [\"{}\", \"{}\"]", "00".repeat(32), contoso.key()),
    ] {
        let service = Service::start().await;
        let host = Host::of(&service).simulating(SETTINGS);
        host.policy(&format!("allowed_apps = \"any\"\n{rule}"));
        let finish = carried_out(&service, &host, of(&bytes), bytes.clone()).await;
        assert_eq!(finish.status, "Succeeded", "{finish:?}");
        assert_eq!(host.installed("Production"), NEW);
    }
}

#[tokio::test]
async fn where_a_signature_is_asked_for_nothing_comes_in_that_the_agent_does_not_see() {
    let service = Service::start().await;
    let host = Host::of(&service).simulating("takes = \"1s\"");
    host.policy("allowed_apps = \"any\"\nallow_uninstall = true\nrequire_signature = true");
    let agent = host.runs();
    let uninstall = ClaimedOperation {
        kind: "Uninstall".into(),
        target_version: None,
        package: None,
        ..hotfix(2, "Production")
    };
    service.grants([hotfix(1, "Production")]);
    let refused = service.finish_of(Uuid::from_u128(1)).await;
    assert_eq!(host.installed("Production"), OLD);
    service.grants([uninstall]);
    let taken_out = service.finish_of(Uuid::from_u128(2)).await;
    agent.stops().await;
    service.assert_obeyed();
    assert_eq!(
        refused.failure_cause.as_deref(),
        Some("Permission"),
        "{refused:?}"
    );
    let text = refused.error_message.unwrap();
    assert!(text.contains("does not see"), "{text}");
    assert_eq!(taken_out.status, "Succeeded", "{taken_out:?}");
}
