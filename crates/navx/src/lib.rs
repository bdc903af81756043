//! The `.app` package format of Business Central ("NAVX"): who is in a package, and is it well formed?
//!
//! Packages come from outside and are handed on to other programs, so reading one is a defence: every length
//! is checked before it is used, nothing is unpacked but the manifest, and whatever could make two programs
//! see two different apps in one file is refused. This crate knows the format and nothing else of the
//! project; it opens no files, makes no network calls and does not log.
//!
//! [`read`] turns a file into a [`Package`] of facts or a [`PackageError`] with a stable code.
//! [`PackageBuilder`] makes packages for tests and demonstrations. [`download_file_name`] names a package
//! for people.
//!
//! What reading does not do: it does not verify signatures, does not prove that a publisher is who it claims
//! to be, and does not check whether the app would compile or run.

mod builder;
mod bytes;
mod contents;
mod directory;
mod entry;
mod error;
mod file_name;
mod header;
mod limits;
mod manifest;
mod manifest_writer;
mod noise;
mod package;
mod ready_to_run;
mod replay;
mod signature;
mod source;
mod version;
mod xml_shape;
mod zip_writer;

pub use builder::PackageBuilder;
pub use error::{PackageError, RefusalCode};
pub use file_name::download_file_name;
pub use limits::Limits;
pub use manifest::{BuildInfo, Dependency, Manifest, Module, ResourceExposurePolicy, SourceInfo};
pub use package::{Kind, Package, read};
pub use ready_to_run::EmbeddedApp;
pub use signature::Signature;
pub use version::{Version, VersionError};
