//! What schema synchronisation would make of one package after another, as far as two packages can show it.
//!
//! When an app is updated, Business Central compares its tables with those it synchronised last, and refuses what would
//! lose data. Whether it would can be told beforehand from the symbols in both packages, by rules of which each says
//! how it is known. Nobody is ever told that an update is safe: rows, upgrade code and other apps are in no package, and
//! what cannot be read is undecided. Read each package once with [`Schema::read`], then [`compare`] any two.

mod breaking;
mod changes;
mod enums;
mod extensions;
mod fields;
mod finding;
mod guard;
mod keys;
mod manifests;
mod matching;
mod model;
mod property;
mod rules;
mod stream;
mod symbols;
mod tables;
mod unreadable;

use std::fmt;
use std::io::{Read, Seek};

use sha2::{Digest, Sha256};

use crate::bytes::first_of;
use crate::error::PackageError;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::package::{self, Kind};
use crate::source::{ByteSource, SeekSource};
use changes::Changes;
use symbols::Symbols;

pub use finding::{
    Evidence, Finding, Forecast, Mode, NOT_CHECKED, ObjectRef, Outcome, Outcomes, Part, RULES, Severity,
    Side, Verdict,
};
pub use unreadable::Unreadable;

/// What is compared of one package. Read once, it is compared as often as wanted.
#[derive(Debug)]
pub struct Schema {
    kind: Kind,
    sha256: [u8; 32],
    signed_content_sha256: [u8; 32],
    manifest: Option<Manifest>,
    symbols: Result<Symbols, Unreadable>,
    has_conditional_source: bool,
}

impl Schema {
    /// Reads the package that fills `source` from its first to its last byte: its facts, digests and symbols, and whether its
    /// source leaves parts out by conditions.
    ///
    /// Reads all bytes once, and inflates symbols and source. What is kept takes at most [`Limits::max_symbol_memory`].
    ///
    /// # Errors
    /// As for [`read`](crate::read), and [`PackageError::Refused`] when the entry that holds the symbols is damaged. Symbols
    /// that are missing or not of the shape they should have are no error: see [`Schema::unreadable`].
    pub fn read<R: Read + Seek>(mut source: R, limits: &Limits) -> Result<Self, PackageError> {
        let package = package::read(&mut source, limits)?;
        let mut file = SeekSource::new(&mut source)?;
        let signature = package.signature.map_or(0, |signature| signature.bytes);
        let (signed_content_sha256, sha256) = digests(&mut file, package.size - signature)?;
        let inside = symbols::read(&mut file, &package, limits)?;
        Ok(Self {
            kind: package.kind,
            sha256,
            signed_content_sha256,
            manifest: package.manifest,
            symbols: inside.symbols,
            has_conditional_source: inside.has_conditional_source,
        })
    }

    /// The shape of the package.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the app says about itself; `None` only for [`Kind::Runtime`].
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// The SHA-256 of the whole file.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The SHA-256 of the file without its signature, by which one build is known before and after it is signed.
    pub fn signed_content_sha256(&self) -> [u8; 32] {
        self.signed_content_sha256
    }

    /// Why nothing is known of the app's tables; `None` where something is.
    pub fn unreadable(&self) -> Option<Unreadable> {
        self.symbols.as_ref().err().copied()
    }
}

/// What `mode` would make of `new` where `old` is what was synchronised last.
///
/// # Errors
/// When the packages are of two apps, which cannot be compared.
pub fn compare(old: &Schema, new: &Schema, mode: Mode) -> Result<Forecast, DifferentApps> {
    if let (Some(before), Some(after)) = (&old.manifest, &new.manifest)
        && before.app_id != after.app_id
    {
        return Err(DifferentApps(before.app_id, after.app_id));
    }
    let mut changes = Changes::new(mode);
    if old.signed_content_sha256 == new.signed_content_sha256 {
        changes.add(&rules::SAME_CONTENT, None, None);
    } else {
        compare_contents(old, new, &mut changes);
    }
    Ok(changes.forecast(Side::of(old), Side::of(new)))
}

fn compare_contents(old: &Schema, new: &Schema, changes: &mut Changes) {
    if let (Some(before), Some(after)) = (&old.manifest, &new.manifest) {
        manifests::compare(before, after, changes);
    }
    for (schema, is_new) in [(old, false), (new, true)] {
        let shown = Some(schema.kind_word());
        let (before, after) = if is_new { (None, shown) } else { (shown, None) };
        if let Some(reason) = schema.unreadable() {
            changes.add(rules::unreadable(reason), before.clone(), after.clone());
        }
        if schema.kind == Kind::SymbolsOnly {
            changes.add(&rules::SYMBOLS_ONLY, before, after);
        }
    }
    let (Ok(before), Ok(after)) = (&old.symbols, &new.symbols) else {
        return;
    };
    let runtime = new
        .manifest
        .as_ref()
        .and_then(|manifest| manifest.runtime.as_deref());
    symbols::compare(before, after, runtime, changes);
    if let (Some(before), Some(after)) = (&old.manifest, &new.manifest) {
        manifests::compare_ids(before, after, (&old.symbols, &new.symbols), changes);
    }
    if new.has_conditional_source && changes.has_removals() {
        changes.add(&rules::PREPROCESSOR, None, None);
    }
}

impl Schema {
    fn kind_word(&self) -> String {
        match self.kind {
            Kind::Regular => "regular package",
            Kind::SymbolsOnly => "symbols-only package",
            Kind::ReadyToRun => "ready-to-run package",
            Kind::Runtime => "runtime package",
        }
        .to_owned()
    }
}

/// Two packages of two apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DifferentApps(uuid::Uuid, uuid::Uuid);

impl fmt::Display for DifferentApps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(old, new) = self;
        write!(
            f,
            "the packages are of two apps: the old one of {old}, the new one of {new}"
        )
    }
}

impl std::error::Error for DifferentApps {}

/// The SHA-256 of what is in front of `end`, and of everything.
fn digests(file: &mut impl ByteSource, end: u64) -> Result<([u8; 32], [u8; 32]), PackageError> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    let mut position = 0;
    let mut update = |hash: &mut Sha256, end: u64| {
        while position < end {
            let part = first_of(&mut chunk, end - position);
            file.read_exact_at(position, part)?;
            hash.update(&*part);
            position += part.len() as u64;
        }
        Ok::<_, PackageError>(file.len())
    };
    let len = update(&mut hash, end)?;
    let content = hash.clone().finalize().into();
    update(&mut hash, len)?;
    Ok((content, hash.finalize().into()))
}
