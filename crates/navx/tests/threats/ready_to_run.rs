//! A package around a package.

use std::io::Cursor;

use navx::Kind;

use crate::raw::{Entry, Zip, package_around};
use crate::{APP_ID, accepted, builder, good, limits, manifest_entry, refused};

struct Wrapper {
    inner: Vec<u8>,
    entry_name: &'static str,
    claim: serde_json::Value,
}

impl Wrapper {
    fn new() -> Self {
        let claim = serde_json::json!({
            "EmbeddedAppId": APP_ID, "EmbeddedAppName": "Sales Pack", "EmbeddedAppPublisher": "Contoso",
            "EmbeddedAppVersion": "1.2.3.4", "EmbeddedAppFileName": "inner.app",
        });
        Self {
            inner: good(),
            entry_name: "inner.app",
            claim,
        }
    }

    fn claiming(mut self, key: &str, value: &str) -> Self {
        self.claim[key] = value.into();
        self
    }

    fn around(mut self, inner: Vec<u8>) -> Self {
        self.inner = inner;
        self
    }

    fn zip(&self) -> Zip {
        let claim = Entry::deflated("readytorunappmanifest.json", self.claim.to_string().as_bytes());
        Zip::default()
            .with(claim)
            .with(Entry::deflated(self.entry_name, &self.inner))
    }

    fn package(&self) -> Vec<u8> {
        self.zip().package()
    }
}

#[test]
fn the_embedded_app_is_found_packed_and_stored() {
    let package = accepted(&Wrapper::new().package());
    assert_eq!(package.kind, Kind::ReadyToRun);
    let embedded = package.embedded.unwrap();
    assert_eq!(embedded.file_name, "inner.app");
    assert_ne!(embedded.package_id, package.package_id);
    assert_eq!(package.manifest.unwrap().app_id, APP_ID);

    let wrapper = Wrapper::new();
    let claim = Entry::deflated("readytorunappmanifest.json", wrapper.claim.to_string().as_bytes());
    let stored = Zip::default()
        .with(claim)
        .with(Entry::stored("inner.app", &wrapper.inner));
    assert_eq!(accepted(&stored.package()).kind, Kind::ReadyToRun);
}

#[test]
fn a_large_embedded_app_is_read_without_keeping_it() {
    let inner = builder().payload_bytes(24 << 20).signed().to_bytes().unwrap();
    let size = inner.len() as u64;
    let package = accepted(&Wrapper::new().around(inner).package());
    let embedded = package.embedded.unwrap();
    assert_eq!(embedded.size, size);
    assert!(embedded.signature.is_some());
}

#[test]
fn wrapper_and_embedded_app_must_agree() {
    let other = "63ca2fa4-4f03-4f2b-a480-172fef340d3f";
    let claims = [
        ("EmbeddedAppId", other, "id"),
        ("EmbeddedAppName", "Other", "name"),
        ("EmbeddedAppPublisher", "Fabrikam", "publisher"),
        ("EmbeddedAppVersion", "9.9.9.9", "version"),
    ];
    for (key, value, fact) in claims {
        refused(
            &Wrapper::new().claiming(key, value).package(),
            "bad_ready_to_run",
            &format!("app's {fact}"),
        );
    }
}

#[test]
fn the_embedded_name_must_be_plain_and_exist_once() {
    for name in [
        "../../x.app",
        "a/b.app",
        "a\\b.app",
        "C:x.app",
        "inner.dll",
        ".app",
        "",
        "in\nner.app",
    ] {
        let wrapper = Wrapper::new().claiming("EmbeddedAppFileName", name);
        refused(&wrapper.package(), "bad_ready_to_run", "plain name");
    }
    refused(
        &Wrapper::new().claiming("EmbeddedAppFileName", "x.app").package(),
        "bad_ready_to_run",
        "not in the package",
    );
    for second in ["inner.app", "INNER.app", "/inner.app", "inner%2Eapp"] {
        let zip = Wrapper::new().zip().with(Entry::deflated(second, b"x"));
        refused(&zip.package(), "bad_zip", "take for one");
    }
}

#[test]
fn what_is_embedded_must_be_a_regular_package() {
    let inside = |inner| Wrapper::new().around(inner).package();
    let nested = builder().kind(Kind::ReadyToRun).to_bytes().unwrap();
    refused(&inside(nested), "bad_ready_to_run", "itself a ready-to-run");
    let runtime = builder().kind(Kind::Runtime).to_bytes().unwrap();
    refused(&inside(runtime), "bad_ready_to_run", "runtime package");
    refused(&inside(b"not an app".to_vec()), "bad_ready_to_run", "10 bytes");
    refused(&inside(Vec::new()), "bad_ready_to_run", "0 bytes");
    let symbols = builder().kind(Kind::SymbolsOnly).to_bytes().unwrap();
    refused(&inside(symbols), "bad_ready_to_run", "symbols");
    let hidden_tail = [good(), good()].concat();
    refused(&inside(hidden_tail), "bad_ready_to_run", "NXSB");
}

#[test]
fn an_embedded_app_that_lies_about_itself_is_refused() {
    let wrapper = Wrapper::new();
    let claim = Entry::deflated("readytorunappmanifest.json", wrapper.claim.to_string().as_bytes());
    let size = wrapper.inner.len() as u64;
    let inner = || Entry::deflated("inner.app", &wrapper.inner);
    for (entry, word) in [
        (inner().size(size - 1), "has more"),
        (inner().size(size + 1), "ends after"),
        (inner().crc32(1), "checksum"),
        (inner().size(1 << 31), "allowed"),
    ] {
        let zip = Zip::default().with(claim.clone()).with(entry);
        refused(&zip.package(), "bad_ready_to_run", word);
    }
    let renamed = Zip::default().with(claim).with(inner().local_name("other.app"));
    refused(&renamed.package(), "bad_zip", "other.app");
}

#[test]
fn the_embedded_archive_is_walked_like_any_other() {
    let unlisted = manifest_entry().local_bytes();
    let inside = |zip: Zip| Wrapper::new().around(zip.package()).package();
    let gap = Zip::default().with(manifest_entry().after(&unlisted));
    refused(&inside(gap), "bad_ready_to_run", "belong to no entry");
    let twice = Zip::default()
        .with(manifest_entry())
        .with(Entry::deflated("NavxManifest%2Exml", b""));
    refused(&inside(twice), "bad_ready_to_run", "2 entries");
    let other_name = Entry::deflated("src/a.al", b"").extra(&[0x75, 0x70, 0, 0]);
    let renamed = Zip::default().with(manifest_entry()).with(other_name);
    refused(&inside(renamed), "bad_ready_to_run", "0x7075");
}

#[test]
fn the_wrappers_json_must_be_an_object_with_all_five_texts_once() {
    let texts = [
        "[1,2",
        "",
        "[\"a\",\"b\",\"1.0\",\"c\",\"d.app\"]",
        "{}",
        "{\"EmbeddedAppId\":1}",
    ];
    let once = Wrapper::new().claim.to_string();
    let with_key = |key: &str| once.replacen('{', &format!("{{\"{key}\":\"Other\","), 1);
    let twice = [
        "EmbeddedAppName",
        "embeddedAppName",
        "EMBEDDEDAPPID",
        "\\u0065mbeddedAppVersion",
        "EmbeddedAppPubli\u{17F}her",
    ];
    let twice = twice.map(with_key);
    for text in texts.into_iter().chain(twice.iter().map(String::as_str)) {
        let zip = Zip::default().with(Entry::deflated("readytorunappmanifest.json", text.as_bytes()));
        refused(&zip.package(), "bad_ready_to_run", "readytorunappmanifest.json");
    }
    let with_bom = Entry::deflated("readytorunappmanifest.json", format!("\u{FEFF}{once}").as_bytes());
    let zip = Zip::default()
        .with(with_bom)
        .with(Entry::deflated("inner.app", &good()));
    assert_eq!(accepted(&zip.package()).kind, Kind::ReadyToRun);
    refused(&package_around(b"PKPK and more"), "bad_payload", "neither");
}

#[test]
fn an_embedded_directory_larger_than_what_is_kept_is_read_all_the_same() {
    let compiled = Entry::deflated("MediaIdListing.xml", b"<MediaIdListing/>");
    let mut zip = Zip::default().with(manifest_entry()).with(compiled);
    let long_name = "n".repeat(60_000);
    for number in 0..180 {
        zip = zip.with(Entry::stored(&format!("{number}{long_name}"), b""));
    }
    let wrapper = Wrapper::new().around(zip.package());
    let claim = Entry::deflated("readytorunappmanifest.json", wrapper.claim.to_string().as_bytes());
    let inner = Entry::stored("inner.app", &wrapper.inner);
    let package = accepted(&Zip::default().with(claim).with(inner).package());
    assert_eq!(package.manifest.unwrap().app_id, APP_ID);
    refused(&wrapper.package(), "bad_ready_to_run", "packed already");
}

#[test]
fn an_embedded_app_beyond_the_limit_is_refused() {
    let package = Wrapper::new().package();
    let limits = limits(|limits| limits.max_embedded_bytes = 500);
    let error = navx::read(Cursor::new(package), &limits).unwrap_err();
    assert_eq!(error.code(), "bad_ready_to_run", "{error}");
}
