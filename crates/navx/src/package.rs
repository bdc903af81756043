//! Reading a package: from the file's first byte to the facts about the app.

use std::io::{Read, Seek};

use uuid::Uuid;

use crate::contents::{Contents, Identity};
use crate::error::PackageError;
use crate::header::{self, Header, PayloadForm};
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::ready_to_run::{self, EmbeddedApp};
use crate::signature::{self, Signature};
use crate::source::{SeekSource, Window};

/// The shapes a package comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Kind {
    /// An app as the compiler writes it.
    Regular,
    /// Symbols of an app, nothing that could run: what developers download to compile against. Told from the absence of
    /// `MediaIdListing.xml`, which every compiler writes.
    SymbolsOnly,
    /// Precompiled code around a complete regular package; Microsoft's apps since Business Central 27.
    ReadyToRun,
    /// Obfuscated for sale without source. Its manifest cannot be read, so nobody knows which app it is.
    Runtime,
}

/// The facts of a package.
///
/// With the feature `serde` they serialise in camelCase, the manifest as `app` and the signature as `signed` and
/// `signatureBytes`; what a runtime package hides is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Package {
    /// The shape of the package.
    pub kind: Kind,
    /// The random id in the header. Neither the app's id nor proof of its bytes: tell packages apart by digest.
    pub package_id: Uuid,
    /// Size of the whole file in bytes.
    pub size: u64,
    /// Content length as the header states it; it fits the file.
    pub content_length: u64,
    /// The signature block after the content. It was **not** verified.
    pub signature: Option<Signature>,
    /// Entries of the ZIP; `None` only for [`Kind::Runtime`].
    pub entries: Option<u64>,
    /// What the app says about itself; `None` only for [`Kind::Runtime`]. For [`Kind::ReadyToRun`] it is the
    /// embedded app's.
    pub manifest: Option<Manifest>,
    /// The app inside a [`Kind::ReadyToRun`] package; `None` for every other kind.
    pub embedded: Option<EmbeddedApp>,
    /// Whether AL source is inside (for [`Kind::ReadyToRun`]: inside the embedded app).
    pub has_source: bool,
    /// Whether symbols are inside (for [`Kind::ReadyToRun`]: inside the embedded app).
    pub has_symbols: bool,
    /// A digest of the entries but for the manifest.
    content: u64,
}

/// Reads the facts of the package that fills `source` from its first to its last byte.
///
/// Looks at the header, what follows the content, the ZIP directory, the header in front of each entry's data, and the
/// manifest. Nothing else is inflated, but entries whose sizes follow their data (a multiple of the package's size, and 64 MiB at most), and the
/// embedded app of a ready-to-run package, without being kept. Memory stays below about thirty megabytes plus a small
/// multiple of [`Limits::max_manifest_bytes`], whatever the file says.
///
/// # Errors
/// [`PackageError::Io`] when `source` cannot be read, [`PackageError::Refused`] when it is not an acceptable
/// package. A runtime package is not an error: see [`Kind::Runtime`].
pub fn read<R: Read + Seek>(source: R, limits: &Limits) -> Result<Package, PackageError> {
    let mut file = SeekSource::new(source)?;
    let header = header::read(&mut file)?;
    let signature = signature::read(&mut file, header.payload.end, limits)?;
    let mut package = Package::unread(&header, signature);
    if header.form == PayloadForm::Zip {
        let mut payload = Window::new(&mut file, header.payload.clone());
        package.read_payload(&mut payload, limits)?;
    }
    Ok(package)
}

impl Package {
    /// Whether both packages have the same entries, and their manifests say the same but for where the app was built and
    /// from which source: compilers give the same app other bytes each time. Told by checksums, which prove nothing where
    /// somebody wants to deceive.
    pub fn is_same_content(&self, other: &Self) -> bool {
        let digests = |package: &Self| {
            let manifest = package.manifest.as_ref()?;
            Some((package.kind, package.content, manifest.digest))
        };
        digests(self).is_some_and(|own| Some(own) == digests(other))
    }

    /// What is known before the payload is opened, which for a runtime package is all there is to know.
    fn unread(header: &Header, signature: Option<Signature>) -> Self {
        let signature_bytes = signature.map_or(0, |signature| signature.bytes);
        Self {
            kind: Kind::Runtime,
            package_id: header.package_id,
            size: header.payload.end + signature_bytes,
            content_length: header.content_length,
            signature,
            entries: None,
            manifest: None,
            embedded: None,
            has_source: false,
            has_symbols: false,
            content: 0,
        }
    }

    fn read_payload<R: Read + Seek>(
        &mut self,
        payload: &mut Window<'_, SeekSource<R>>,
        limits: &Limits,
    ) -> Result<(), PackageError> {
        let contents = Contents::survey(payload, limits)?;
        self.entries = Some(contents.directory.entries);
        self.content = contents.digest;
        match contents.identity()? {
            Identity::Manifest(entry) => {
                let bytes = contents.read_small(payload, entry, limits)?;
                self.manifest = Some(Manifest::parse(&bytes, limits)?);
                self.kind = if contents.is_symbols_only() {
                    Kind::SymbolsOnly
                } else {
                    Kind::Regular
                };
                self.note_contents(&contents);
            }
            Identity::ReadyToRun(entry) => {
                let claim = contents.read_small(payload, entry, limits)?;
                let inner = ready_to_run::read(payload, &contents.directory, &claim, limits)?;
                self.note_contents(&inner.contents);
                self.kind = Kind::ReadyToRun;
                self.manifest = Some(inner.manifest);
                self.embedded = Some(inner.app);
            }
        }
        Ok(())
    }

    fn note_contents(&mut self, contents: &Contents) {
        self.has_source = contents.has_source;
        self.has_symbols = contents.has_symbols;
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Package {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;

        let signature_bytes = self.signature.map_or(0, |signature| signature.bytes);
        let mut facts = serializer.serialize_struct("Package", 11)?;
        facts.serialize_field("kind", &self.kind)?;
        facts.serialize_field("size", &self.size)?;
        facts.serialize_field("packageId", &self.package_id)?;
        facts.serialize_field("contentLength", &self.content_length)?;
        facts.serialize_field("signed", &self.signature.is_some())?;
        facts.serialize_field("signatureBytes", &signature_bytes)?;
        if self.kind != Kind::Runtime {
            facts.serialize_field("entries", &self.entries)?;
            facts.serialize_field("app", &self.manifest)?;
            facts.serialize_field("hasSource", &self.has_source)?;
            facts.serialize_field("hasSymbols", &self.has_symbols)?;
        }
        if let Some(embedded) = &self.embedded {
            facts.serialize_field("embedded", embedded)?;
        }
        facts.end()
    }
}
