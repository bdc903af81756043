//! Why a package was refused, in words for the person who built it and in a code for programs.
//!
//! A refusal is a fact about the bytes and never changes on a second try; a failure to read says nothing
//! about the package. Callers answer the two differently, so they are different variants.

use std::io;

/// The outcome of reading a package that did not end in a [`Package`](crate::Package).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The source could not be read or changed its length while it was read. Says nothing about the package.
    #[error("the package could not be read")]
    Io(#[source] io::Error),

    /// The bytes are not an acceptable package. The same bytes are refused every time.
    #[error("{message}")]
    #[non_exhaustive]
    Refused {
        /// The kind of fault, stable across releases.
        code: RefusalCode,
        /// One sentence with the fact that is wrong.
        message: String,
    },
}

impl PackageError {
    /// The stable code of the fault: one of [`RefusalCode`]'s texts, or `io_error` when the source failed.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "io_error",
            Self::Refused { code, .. } => code.as_str(),
        }
    }
}

/// A reason to refuse a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCode {
    /// Fewer bytes than the header has.
    TooShort,
    /// One of the two `NAVX` marks is missing.
    BadMagic,
    /// The header says it is not 40 bytes long.
    BadHeaderSize,
    /// A header version other than 2.
    BadHeaderVersion,
    /// The content length does not fit the file.
    BadLength,
    /// What follows the header is neither a ZIP nor a runtime package.
    BadPayload,
    /// What follows the payload is not one well-formed signature block.
    BadTrailer,
    /// The ZIP contradicts itself, is damaged, or uses a feature that packages never use.
    BadZip,
    /// Neither kind of manifest is in the package.
    NoManifest,
    /// More than one entry claims to be the manifest.
    AmbiguousManifest,
    /// The manifest is larger than the limit.
    ManifestTooLarge,
    /// The manifest is not the XML it should be, or a value in it is wrong.
    BadManifest,
    /// The ready-to-run wrapper and the app inside it do not fit together.
    BadReadyToRun,
}

impl RefusalCode {
    /// The text of the code, such as `bad_zip`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::BadMagic => "bad_magic",
            Self::BadHeaderSize => "bad_header_size",
            Self::BadHeaderVersion => "bad_header_version",
            Self::BadLength => "bad_length",
            Self::BadPayload => "bad_payload",
            Self::BadTrailer => "bad_trailer",
            Self::BadZip => "bad_zip",
            Self::NoManifest => "no_manifest",
            Self::AmbiguousManifest => "ambiguous_manifest",
            Self::ManifestTooLarge => "manifest_too_large",
            Self::BadManifest => "bad_manifest",
            Self::BadReadyToRun => "bad_ready_to_run",
        }
    }

    /// A refusal with this code and the sentence that names the wrong fact.
    pub(crate) fn because(self, message: impl Into<String>) -> PackageError {
        PackageError::Refused {
            code: self,
            message: message.into(),
        }
    }
}
