//! Why the symbols of a package cannot be compared.
//!
//! None of it is a reason to refuse the package: a package may have no symbols and install all the same. It is a reason to
//! say that nothing is known.

/// Why there are no symbols to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unreadable {
    /// A runtime package: nobody can read what is in it.
    RuntimePackage,
    /// The package has no `SymbolReference.json`.
    Missing,
    /// It is not one JSON object of the shape that compilers write.
    Malformed,
    /// It is larger, or holds more, than [`Limits`](crate::Limits) allow.
    TooLarge,
    /// It is of another app or version than the manifest.
    Mismatch,
}

impl Unreadable {
    /// The word for it, which is also the code of the finding.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RuntimePackage => "runtime-package",
            Self::Missing => "symbols-missing",
            Self::Malformed => "symbols-malformed",
            Self::TooLarge => "symbols-too-large",
            Self::Mismatch => "symbols-mismatch",
        }
    }
}

/// The symbols nest deeper than any compiler nests them.
#[derive(Debug, thiserror::Error)]
#[error("the symbols are nested too deeply")]
pub(super) struct TooDeep;

/// What a parser's error says when what is kept takes more memory than allowed.
pub(super) const TOO_MUCH: &str = "the symbols hold more than is allowed";
