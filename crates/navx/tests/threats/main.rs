//! Every row of the format's threat table, and the tolerances next to it.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod archive;
mod container;
mod manifest;
mod raw;
mod ready_to_run;

use std::io::Cursor;

use navx::{Limits, Package, PackageBuilder, PackageError};
use raw::{Entry, Zip};
use uuid::Uuid;

const APP_ID: Uuid = Uuid::from_u128(0xfc2e_5540_26fe_5265_a4f8_1820_845e_5c1b);
const NAMESPACE: &str = "http://schemas.microsoft.com/navx/2015/manifest";

fn read(bytes: &[u8]) -> Result<Package, PackageError> {
    navx::read(Cursor::new(bytes), &Limits::default())
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

fn accepted(bytes: &[u8]) -> Package {
    read(bytes).unwrap_or_else(|error| panic!("refused with {}: {error}", error.code()))
}

#[track_caller]
fn refused(bytes: &[u8], code: &str, word: &str) {
    let error = read(bytes).expect_err("should be refused");
    assert_eq!(error.code(), code, "{error}");
    assert!(
        error.to_string().contains(word),
        "'{error}' does not say '{word}'"
    );
}

fn builder() -> PackageBuilder {
    PackageBuilder::new(APP_ID, "Sales Pack", "Contoso", "1.2.3.4".parse().unwrap())
}

fn good() -> Vec<u8> {
    builder().to_bytes().unwrap()
}

fn patched(mut bytes: Vec<u8>, offset: usize, patch: &[u8]) -> Vec<u8> {
    bytes[offset..offset + patch.len()].copy_from_slice(patch);
    bytes
}

fn manifest() -> String {
    format!(
        "<Package xmlns=\"{NAMESPACE}\">\r\n  <App Id=\"{APP_ID}\" Name=\"Sales Pack\" Publisher=\"Contoso\" \
         Brief=\"\" Description=\"\" Version=\"1.2.3.4\" Platform=\"27.0.0.0\" />\r\n  <Dependencies>\r\n    \
         <Dependency Id=\"63ca2fa4-4f03-4f2b-a480-172fef340d3f\" Name=\"System Application\" \
         Publisher=\"Microsoft\" MinVersion=\"27.0.0.0\" CompatibilityId=\"0.0.0.0\" />\r\n  </Dependencies>\r\n\
         </Package>"
    )
}

fn manifest_entry() -> Entry {
    Entry::deflated("NavxManifest.xml", manifest().as_bytes())
}

fn with_manifest(xml: &[u8]) -> Vec<u8> {
    Zip::default()
        .with(Entry::deflated("NavxManifest.xml", xml))
        .package()
}

fn with_changed_manifest(from: &str, to: &str) -> Vec<u8> {
    let xml = manifest();
    assert!(xml.contains(from), "nothing to change");
    with_manifest(xml.replace(from, to).as_bytes())
}
