//! How much of an untrusted file the reader is willing to look at.
//!
//! Every number bounds memory or time; none of them is near what real packages need, so that a limit is met
//! only by a file made to hurt.

/// Bounds on what [`read`](crate::read) accepts. [`Limits::default`] suits every package known to exist.
///
/// The size of the whole file is not among them: it is limited while it arrives, before anything is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Entries in one ZIP directory. The Base Application has a little over 8,000.
    pub max_entries: u64,
    /// Bytes of one ZIP directory.
    pub max_directory_bytes: u64,
    /// Bytes of an inflated manifest, of either kind. The largest of 1,448 measured ones has 2,239; as many dependencies
    /// as are allowed have about 100,000.
    pub max_manifest_bytes: u64,
    /// Bytes of the signature block after the payload. Measured ones have 7 to 16 KB.
    pub max_signature_bytes: u64,
    /// Inflated bytes of the app inside a ready-to-run package. The Base Application has about 46 MB.
    pub max_embedded_bytes: u64,
    /// Dependencies in a manifest. The 1,448 measured ones have 2,591 together.
    pub max_dependencies: usize,
    /// Inflated bytes of `SymbolReference.json`, which only comparing schemas looks at. The Base Application has 58 MB.
    pub max_symbol_bytes: u64,
    /// Bytes of memory for what is kept of the symbols of one package.
    pub max_symbol_memory: usize,
}

/// Bytes that data has at most, which must be unpacked though nobody wants it, for the bytes that came. The app inside a
/// ready-to-run package is packed already, and what compilers pack becomes five times as large.
pub(crate) fn unpackable(packed: u64) -> u64 {
    packed.saturating_mul(16).saturating_add(1 << 20)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entries: 100_000,
            max_directory_bytes: 32 << 20,
            max_manifest_bytes: 256 << 10,
            max_signature_bytes: 1 << 20,
            max_embedded_bytes: 256 << 20,
            max_dependencies: 500,
            max_symbol_bytes: 128 << 20,
            max_symbol_memory: 128 << 20,
        }
    }
}
