//! `fame package`, and the packages that other tests use.

use crate::service::{APP, binary, run};
use navx::{Kind, PackageBuilder};
use std::path::PathBuf;
use tempfile::TempDir;
use uuid::Uuid;

/// A package of [`APP`] in a folder of its own.
pub(crate) struct PackageFile {
    pub folder: TempDir,
    pub path: PathBuf,
}

impl PackageFile {
    pub(crate) fn new(version: &str) -> Self {
        Self::built(builder(version))
    }

    pub(crate) fn built(builder: PackageBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("package.app");
        builder
            .write_to(&mut std::fs::File::create(&path).unwrap())
            .unwrap();
        Self { folder, path }
    }

    pub(crate) fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }
}

pub(crate) fn builder(version: &str) -> PackageBuilder {
    let id = APP.parse().unwrap();
    PackageBuilder::new(id, "Sales Pack", "Contoso", version.parse().unwrap()).package_id(Uuid::from_u128(7))
}

#[tokio::test]
async fn a_package_is_shown_as_facts() {
    let needed = "63ca2fa4-4f03-4f2b-a480-172fef340d3f".parse().unwrap();
    let minimum = "16.0.0.0".parse().unwrap();
    let package = PackageFile::built(builder("16.0.1.2").dependency(needed, "System", "Fabrikam", minimum));
    let shown = run(binary(&["package", "inspect", package.name()])).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    let size = format!("{} bytes", package.bytes().len());
    insta::assert_snapshot!(shown.out.replace(&size, "[SIZE]"), @r"
    kind            regular
    app             aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb
    name            Sales Pack
    publisher       Contoso
    version         16.0.1.2
    application     27.0.0.0
    platform        27.0.0.0
    runtime         16.0
    needs           Fabrikam System 16.0.0.0 (63ca2fa4-4f03-4f2b-a480-172fef340d3f)
    package id      00000000-0000-0000-0000-000000000007
    size            [SIZE]
    signature       none
    source inside   true
    symbols inside  true
    ");
    let json = run(binary(&["package", "inspect", package.name(), "--json"]))
        .await
        .json();
    assert_eq!(json["app"]["id"], APP);
    assert_eq!(json["app"]["version"], "16.0.1.2");
}

#[tokio::test]
async fn what_a_signature_proves_is_shown() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Contoso");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::CodeSigning];
    let certificate = params.self_signed(&key).unwrap().der().to_vec();
    let signatory = navx::Signatory {
        certificates: &[certificate],
        sign: &|message| rcgen::SigningKey::sign(&key, message).unwrap(),
    };
    let signed = navx::sign(builder("1.0.0.0").to_bytes().unwrap(), &signatory, None).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let inspect = ["package", "inspect", file.path().to_str().unwrap()];
    std::fs::write(file.path(), &signed).unwrap();
    let shown = run(binary(&inspect)).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    let lines: Vec<_> = shown
        .out
        .lines()
        .filter(|line| line.starts_with("sign"))
        .collect();
    assert_eq!(
        lines,
        [
            "signature       intact; whether its signer is trusted was not checked",
            "signed by       CN=Contoso",
        ]
    );
    let json = run(binary(&[inspect.as_slice(), &["--json"]].concat()))
        .await
        .json();
    let key = json["signer"]["keySha256"].as_str().unwrap();
    assert!(key.len() == 64 && shown.out.contains(key), "{shown:?}");
    let mut changed = signed;
    changed[20] ^= 1;
    std::fs::write(file.path(), &changed).unwrap();
    let shown = run(binary(&inspect)).await;
    assert!(
        shown
            .out
            .contains("proves nothing. The package was changed after it was signed"),
        "{shown:?}"
    );
    let json = run(binary(&[inspect.as_slice(), &["--json"]].concat()))
        .await
        .json();
    assert_eq!(json["unproven"]["code"], "digest_differs");
}

#[tokio::test]
async fn a_refused_package_has_its_own_exit_code() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "not a package, but long enough to have a header").unwrap();
    let ended = run(binary(&["package", "inspect", file.path().to_str().unwrap()])).await;
    assert_eq!(ended.code, 14);
    assert!(ended.err.contains(": bad_magic: "), "{}", ended.err);
}

/// Wherever it is named: nothing was sent, and the command line is what is wrong.
#[tokio::test]
async fn a_file_that_cannot_be_read_is_a_usage_error() {
    let upload = ["versions", "upload", "no-such-file.app", "-c", "US"];
    let put = [
        "operator",
        "apps",
        "put",
        crate::service::APP,
        "--file",
        "no-such-file.json",
    ];
    for command in [
        &["package", "inspect", "no-such-file.app"][..],
        &upload,
        &["versions", "upload", ".", "-c", "US"],
        &put,
        &["apps", "list", "--ca-file", "no-such-file.pem"],
    ] {
        let mut process = binary(command);
        process
            .env("FAME_TOKEN", "the-token")
            .env("FAME_URL", "http://127.0.0.1:9");
        let ended = run(process).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("Cannot read"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_runtime_package_can_be_looked_at_but_not_uploaded() {
    let package = PackageFile::built(builder("1.0.0.0").kind(Kind::Runtime));
    let shown = run(binary(&["package", "inspect", package.name()])).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    let mut upload = binary(&[
        "versions",
        "upload",
        package.name(),
        "--country",
        "US",
        "--url",
        "http://127.0.0.1:1",
    ]);
    upload.env("FAME_TOKEN", "the-token");
    let ended = run(upload).await;
    assert_eq!(ended.code, 14, "{ended:?}");
    assert!(ended.err.contains("RuntimePackage"), "{}", ended.err);
}
