//! What is in a package's ZIP, seen in one walk over its directory.
//!
//! Only names are looked at, and only the manifest will ever be opened. Names are compared in their normal form, so
//! that two entries cannot both pass for the manifest.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::data_area::DataArea;
use crate::directory::{self, Directory, Entry};
use crate::entry::EntryReader;
use crate::error::{PackageError, RefusalCode};
use crate::limits::Limits;
use crate::part_name::normal_form;
use crate::source::ByteSource;

const MANIFEST: &str = "NavxManifest.xml";
const READY_TO_RUN_MANIFEST: &str = "readytorunappmanifest.json";
pub(crate) const SYMBOLS: &str = "SymbolReference.json";
/// What every compiler since 2017 writes, and no symbol download has.
pub(crate) const MEDIA_LISTING: &str = "MediaIdListing.xml";
pub(crate) const SOURCE_FOLDER: &[u8] = b"src/";

/// The directory of a package and what its names tell.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) directory: Directory,
    pub(crate) has_source: bool,
    pub(crate) has_symbols: bool,
    has_media_listing: bool,
    /// A digest of name, size and checksum of every entry but the manifest, whatever their order.
    pub(crate) digest: u64,
    manifest: Candidate,
    ready_to_run: Candidate,
}

/// The entry from which the identity of the app is to be read.
pub(crate) enum Identity<'a> {
    /// The app's own manifest.
    Manifest(&'a Entry),
    /// The JSON file that points to the embedded app.
    ReadyToRun(&'a Entry),
}

/// Entries that pass for one file: the first of them, and how many there are.
#[derive(Debug, Default)]
struct Candidate {
    first: Option<Entry>,
    count: usize,
}

impl Candidate {
    fn consider(&mut self, entry: &Entry, normal_form: &[u8], name: &str) {
        if !normal_form.eq_ignore_ascii_case(name.as_bytes()) {
            return;
        }
        self.count += 1;
        if self.first.is_none() {
            self.first = Some(entry.clone());
        }
    }
}

impl Contents {
    /// Finds the directory of the archive and walks it once.
    pub(crate) fn survey<S: ByteSource>(archive: &mut S, limits: &Limits) -> Result<Self, PackageError> {
        let directory = directory::locate(archive, limits)?;
        let mut area = DataArea::default();
        let mut contents = Self {
            directory: directory.clone(),
            has_source: false,
            has_symbols: false,
            has_media_listing: false,
            digest: 0,
            manifest: Candidate::default(),
            ready_to_run: Candidate::default(),
        };
        directory::visit(archive, &directory, |entry| {
            let normal_form = normal_form(&entry.name);
            contents.note(&entry, &normal_form);
            area.note(&entry, &normal_form);
            Ok(())
        })?;
        contents.identity()?;
        area.check(archive, directory.range.start)?;
        Ok(contents)
    }

    fn note(&mut self, entry: &Entry, normal_form: &[u8]) {
        let is_symbols = entry.name == SYMBOLS.as_bytes();
        self.has_symbols |= is_symbols;
        self.has_source |= entry.name.starts_with(SOURCE_FOLDER);
        self.has_media_listing |= normal_form.eq_ignore_ascii_case(MEDIA_LISTING.as_bytes());
        if !normal_form.eq_ignore_ascii_case(MANIFEST.as_bytes()) {
            let mut hasher = DefaultHasher::new();
            (&entry.name, entry.facts.size, entry.facts.crc32).hash(&mut hasher);
            self.digest = self.digest.wrapping_add(hasher.finish());
        }
        self.manifest.consider(entry, normal_form, MANIFEST);
        self.ready_to_run
            .consider(entry, normal_form, READY_TO_RUN_MANIFEST);
    }

    /// Whether the package is what developers compile against and not what a compiler made: it installs nowhere,
    /// whatever else is in it. Source proves nothing: symbol downloads may have some, and apps none.
    pub(crate) fn is_symbols_only(&self) -> bool {
        !self.has_media_listing
    }

    /// The one entry that says which app this is.
    pub(crate) fn identity(&self) -> Result<Identity<'_>, PackageError> {
        if self.manifest.count + self.ready_to_run.count > 1 {
            let message = format!(
                "the package has {} entries named {MANIFEST} and {} named {READY_TO_RUN_MANIFEST}; \
                 there must be exactly one of either",
                self.manifest.count, self.ready_to_run.count
            );
            return Err(RefusalCode::AmbiguousManifest.because(message));
        }
        let candidates = (self.manifest.first.as_ref(), self.ready_to_run.first.as_ref());
        let (entry, name, identity) = match candidates {
            (Some(entry), _) => (entry, MANIFEST, Identity::Manifest(entry)),
            (None, Some(entry)) => (entry, READY_TO_RUN_MANIFEST, Identity::ReadyToRun(entry)),
            (None, None) => {
                return Err(RefusalCode::NoManifest.because(format!("the package has no {MANIFEST}")));
            }
        };
        if !entry.name.eq_ignore_ascii_case(name.as_bytes()) {
            let shown = entry.display_name();
            let message = format!("the package has '{}' instead of {name}", shown.escape_debug());
            return Err(RefusalCode::NoManifest.because(message));
        }
        Ok(identity)
    }

    /// Reads an entry that must fit into memory: a manifest of either kind.
    pub(crate) fn read_small<S: ByteSource>(
        &self,
        archive: &mut S,
        entry: &Entry,
        limits: &Limits,
    ) -> Result<Vec<u8>, PackageError> {
        let (size, allowed) = (entry.facts.size, limits.max_manifest_bytes);
        if size > allowed {
            let message = format!(
                "'{}' has {size} bytes; {allowed} are allowed",
                entry.display_name()
            );
            return Err(RefusalCode::ManifestTooLarge.because(message));
        }
        EntryReader::open(archive, entry.clone())?.read_to_end()
    }
}

/// The entry of this name, if there is one.
pub(crate) fn find_entry<S: ByteSource>(
    archive: &mut S,
    directory: &Directory,
    name: &[u8],
) -> Result<Option<Entry>, PackageError> {
    let mut found = None;
    directory::visit(archive, directory, |entry| {
        if entry.name == name {
            found = Some(entry);
        }
        Ok(())
    })?;
    Ok(found)
}
