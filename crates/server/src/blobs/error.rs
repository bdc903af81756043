//! What a storage location could not do.

use super::ObjectName;
use std::{io, path::Path};

/// A failure of a storage location.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    /// The location works and does not have these bytes. No waiting brings them back.
    #[error("the stored package {name} is missing in {location}")]
    Missing { name: ObjectName, location: String },
    /// Stored bytes ended before their end.
    #[error("the package ended {missing} bytes too early")]
    Truncated { missing: u64 },
    /// Stored bytes are others than were stored.
    #[error("the stored package is not what was uploaded: its hash is another one")]
    Changed,
    /// Whoever is sent the bytes may have them no longer.
    #[error("the package is sent no further: whoever fetches it may not any more")]
    Withdrawn,
    /// Nothing is known of a location but its name.
    #[error("the storage location '{0}' is not configured")]
    NotConfigured(String),
    /// A file, a folder or an object store failed.
    #[error("{operation}")]
    Io { operation: String, source: io::Error },
}

impl BlobError {
    pub(super) fn new(operation: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            operation: operation.into(),
            source,
        }
    }

    /// A failure to do something with a file or folder, as in `cannot open /srv/packages/objects/…`.
    pub(super) fn file(operation: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::new(format!("cannot {operation} {}", path.display()), source)
    }

    /// A failure to read staged bytes, by whoever reads them as a file.
    pub(crate) fn reading_staged(source: io::Error) -> Self {
        Self::new("cannot read the staged package", source)
    }

    /// The class of the failure.
    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Missing { .. } | Self::Changed => io::ErrorKind::InvalidData,
            Self::Withdrawn => io::ErrorKind::PermissionDenied,
            Self::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            Self::NotConfigured(_) => io::ErrorKind::NotFound,
            Self::Io { source, .. } => source.kind(),
        }
    }

    /// Whether there is no room for more.
    pub(crate) fn is_full(&self) -> bool {
        matches!(
            self.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    /// Whether waiting may end it: the location is away, its disk is full, or it does not let us in.
    pub(crate) fn is_passing(&self) -> bool {
        !matches!(
            self.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
        )
    }
}

impl From<BlobError> for io::Error {
    fn from(error: BlobError) -> Self {
        Self::new(error.kind(), error)
    }
}
