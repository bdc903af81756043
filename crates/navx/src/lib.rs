#![doc = include_str!("../README.md")]

#[cfg(feature = "build")]
mod archive;
#[cfg(feature = "build")]
mod builder;
mod bytes;
mod contents;
mod data_area;
mod directory;
mod entry;
mod error;
mod extra;
mod file_name;
#[cfg(feature = "build")]
mod filler;
mod header;
mod limits;
mod manifest;
#[cfg(feature = "build")]
mod manifest_writer;
mod package;
mod part_name;
#[cfg(feature = "proof")]
mod proof;
mod ready_to_run;
mod replay;
#[cfg(feature = "schema")]
pub mod schema;
mod signature;
mod source;
mod version;
mod xml_shape;

#[cfg(feature = "build")]
pub use builder::PackageBuilder;
pub use error::{PackageError, RefusalCode};
pub use file_name::download_file_name;
pub use limits::Limits;
pub use manifest::{BuildInfo, Dependency, Manifest, Module, ResourceExposurePolicy, SourceInfo};
pub use package::{Kind, Package, read};
#[cfg(feature = "proof")]
pub use proof::{
    Examination, Examined, NotBelievable, Place, Revocation, Signer, SignerCertificate, Stamp, StampForm,
    Standing, Trust, Unproven, UnprovenCode, examine, prove,
};
#[cfg(all(feature = "build", feature = "proof"))]
pub use proof::{Signatory, Signing, sign};
pub use ready_to_run::EmbeddedApp;
pub use signature::Signature;
pub use version::{Version, VersionError};
