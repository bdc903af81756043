//! Microsoft's ready-to-run packages (Business Central 27 and later): a package around a complete package.
//!
//! The wrapper names the app inside in a small JSON file, but only the inner manifest knows its
//! dependencies. So the inner package is read in full, by the same rules as any other, and both must agree on
//! who it is; otherwise the wrapper could pass for one app and install another. One level only: a wrapper in
//! a wrapper does not exist and would be a way to make the reader work without end.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::contents::{Contents, Identity, find_entry};
#[cfg(feature = "proof")]
use crate::directory;
use crate::directory::{Directory, Entry, Facts};
use crate::entry::EntryReader;
use crate::error::{PackageError, RefusalCode};
use crate::header::{self, PayloadForm};
use crate::limits::{self, Limits};
use crate::manifest::{Manifest, parse_guid};
use crate::replay::ReplayedEntry;
use crate::signature::{self, Signature};
use crate::source::{ByteSource, Window};
use crate::version::Version;

/// The app inside a ready-to-run package, as a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct EmbeddedApp {
    /// Name of the entry that holds it.
    pub file_name: String,
    /// Its own package id, different from the wrapper's.
    pub package_id: Uuid,
    /// Its size in bytes, inflated.
    pub size: u64,
    /// Its own signature block, not verified.
    pub signature: Option<Signature>,
}

/// What the wrapper's JSON file says about the app inside.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "build", derive(serde::Serialize))]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Claim {
    pub(crate) embedded_app_id: String,
    pub(crate) embedded_app_name: String,
    pub(crate) embedded_app_publisher: String,
    pub(crate) embedded_app_version: String,
    pub(crate) embedded_app_file_name: String,
}

/// The embedded package after it was read: its own facts, its manifest and its contents.
pub(crate) struct Inner {
    pub(crate) app: EmbeddedApp,
    pub(crate) manifest: Manifest,
    pub(crate) contents: Contents,
}

fn mismatch(message: impl Into<String>) -> PackageError {
    RefusalCode::BadReadyToRun.because(message)
}

/// Reads the app that the wrapper's JSON `claim_bytes` points to.
pub(crate) fn read<S: ByteSource>(
    payload: &mut S,
    directory: &Directory,
    claim_bytes: &[u8],
    limits: &Limits,
) -> Result<Inner, PackageError> {
    let claim = parse_claim(claim_bytes)?;
    let entry = find_embedded(payload, directory, &claim.embedded_app_file_name)?;
    if entry.facts.size > limits.max_embedded_bytes {
        let (size, allowed) = (entry.facts.size, limits.max_embedded_bytes);
        return Err(mismatch(format!(
            "the embedded app has {size} bytes; {allowed} are allowed"
        )));
    }
    if entry.facts.size > limits::unpackable(entry.facts.compressed_size) {
        let Facts {
            size,
            compressed_size,
            ..
        } = entry.facts;
        return Err(mismatch(format!(
            "the embedded app has {size} bytes in {compressed_size}; an app is packed already"
        )));
    }
    let inner = read_inner(payload, entry, &claim.embedded_app_file_name, limits);
    let inner = inner.map_err(|error| match error {
        PackageError::Refused { message, .. } => mismatch(format!("the embedded app is refused: {message}")),
        io @ PackageError::Io(_) => io,
    })?;
    check_identity(&claim, &inner.manifest)?;
    Ok(inner)
}

fn parse_claim(bytes: &[u8]) -> Result<Claim, PackageError> {
    let json = bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(bytes)
        .trim_ascii_start();
    if !json.starts_with(b"{") {
        return Err(mismatch("readytorunappmanifest.json is not a JSON object"));
    }
    let unreadable = |error| mismatch(format!("readytorunappmanifest.json cannot be read: {error}"));
    serde_json::from_slice::<Keys>(json).map_err(unreadable)?;
    serde_json::from_slice(json).map_err(unreadable)
}

/// The keys of an object, no two of which differ only in case: some programs take them for one.
struct Keys;

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some((key, IgnoredAny)) = object.next_entry::<String, _>()? {
            if !seen.insert(key.to_uppercase().to_lowercase()) {
                let shown: String = key.chars().take(120).collect();
                return Err(A::Error::custom(format!("the key {shown:?} is there twice")));
            }
        }
        Ok(self)
    }
}

/// The app inside a package that was read before, as a file.
#[cfg(feature = "proof")]
pub(crate) fn open<'p, S: ByteSource>(
    payload: &'p mut S,
    file_name: &str,
    limits: &Limits,
) -> Result<ReplayedEntry<'p, S>, PackageError> {
    let directory = directory::locate(payload, limits)?;
    let entry = find_embedded(payload, &directory, file_name)?;
    Ok(ReplayedEntry::new(EntryReader::open(payload, entry)?))
}

fn find_embedded<S: ByteSource>(
    payload: &mut S,
    directory: &Directory,
    file_name: &str,
) -> Result<Entry, PackageError> {
    let shown: String = file_name.chars().take(120).collect();
    let is_plain = !file_name.contains(['/', '\\', ':']) && !file_name.chars().any(char::is_control);
    let is_app = file_name.to_ascii_lowercase().ends_with(".app") && file_name.len() > ".app".len();
    if !is_plain || !is_app {
        return Err(mismatch(format!(
            "'{shown}' is not the plain name of an embedded .app file"
        )));
    }
    let found = find_entry(payload, directory, file_name.as_bytes())?;
    found.ok_or_else(|| mismatch(format!("the embedded app '{shown}' is not in the package")))
}

fn read_inner<S: ByteSource>(
    payload: &mut S,
    entry: Entry,
    file_name: &str,
    limits: &Limits,
) -> Result<Inner, PackageError> {
    let reader = EntryReader::open(payload, entry)?;
    let mut file = ReplayedEntry::new(reader);
    let header = header::read(&mut file)?;
    file.verify()?;
    if header.form == PayloadForm::Runtime {
        return Err(mismatch("it is a runtime package, whose manifest cannot be read"));
    }
    let signature = signature::read(&mut file, header.payload.end, limits)?;
    let mut inner_payload = Window::new(&mut file, header.payload.clone());
    let contents = Contents::survey(&mut inner_payload, limits)?;
    let Identity::Manifest(manifest_entry) = contents.identity()? else {
        return Err(mismatch("it is itself a ready-to-run package"));
    };
    if contents.is_symbols_only() {
        return Err(mismatch("it holds symbols and nothing that could run"));
    }
    let bytes = contents.read_small(&mut inner_payload, manifest_entry, limits)?;
    let manifest = Manifest::parse(&bytes, limits)?;
    let app = EmbeddedApp {
        file_name: file_name.to_owned(),
        package_id: header.package_id,
        size: file.len(),
        signature,
    };
    Ok(Inner {
        app,
        manifest,
        contents,
    })
}

fn check_identity(claim: &Claim, manifest: &Manifest) -> Result<(), PackageError> {
    let same_id = parse_guid(&claim.embedded_app_id) == Some(manifest.app_id);
    let same_version = claim.embedded_app_version.parse::<Version>() == Ok(manifest.version);
    let same_name = claim.embedded_app_name == manifest.name;
    let same_publisher = claim.embedded_app_publisher == manifest.publisher;
    let checks = [
        ("id", same_id),
        ("version", same_version),
        ("name", same_name),
        ("publisher", same_publisher),
    ];
    for (fact, agrees) in checks {
        if !agrees {
            return Err(mismatch(format!(
                "the wrapper and the embedded app disagree about the app's {fact}"
            )));
        }
    }
    Ok(())
}
