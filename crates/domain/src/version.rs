//! Versions of an app, their numbers, and what a publisher may say about them.

use crate::{ids::AppId, problem::UnknownWord, vocabulary::vocabulary};
use std::{fmt, str::FromStr};

/// The largest value of one part of a version number: .NET's `Int32.MaxValue`.
pub const MAX_PART: u32 = 2_147_483_647;

/// A version number: major, minor, build, revision, compared part by part as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppVersion(pub [u32; 4]);

/// The text was no version number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a version of one to four numbers such as 16.0.1.2, each from 0 to 2147483647")]
pub struct InvalidVersion(pub String);

impl AppVersion {
    /// The first number.
    #[must_use]
    pub fn major(self) -> u32 {
        self.0[0]
    }

    /// The second number.
    #[must_use]
    pub fn minor(self) -> u32 {
        self.0[1]
    }

    /// Whether both belong to one line: the major and minor numbers are equal. A hotfix never leaves its line.
    #[must_use]
    pub fn same_line(self, other: Self) -> bool {
        self.0[..2] == other.0[..2]
    }

    /// Sixteen bytes that sort as the version does; how databases store it.
    #[must_use]
    pub fn sort_key(self) -> [u8; 16] {
        let mut key = [0; 16];
        for (slot, part) in key.chunks_exact_mut(4).zip(self.0) {
            slot.copy_from_slice(&part.to_be_bytes());
        }
        key
    }

    /// The version that [`AppVersion::sort_key`] was made of.
    #[must_use]
    pub fn from_sort_key(key: [u8; 16]) -> Self {
        let mut version = Self([0; 4]);
        for (part, bytes) in version.0.iter_mut().zip(key.chunks_exact(4)) {
            *part = bytes.iter().fold(0, |part, byte| part << 8 | u32::from(*byte));
        }
        version
    }
}

impl fmt::Display for AppVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, build, revision] = self.0;
        write!(f, "{major}.{minor}.{build}.{revision}")
    }
}

impl FromStr for AppVersion {
    type Err = InvalidVersion;

    /// Missing parts are 0; leading zeros are accepted; signs, blanks, five parts and overflow are not.
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion(text.chars().take(80).collect());
        read_parts(text.as_bytes()).map(Self).ok_or_else(invalid)
    }
}

/// Reads in one pass, because a list does it for every row.
fn read_parts(text: &[u8]) -> Option<[u32; 4]> {
    let mut parts = [0_u32; 4];
    let mut index = 0;
    let mut has_digit = false;
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                let part = parts.get_mut(index)?;
                let longer = part.checked_mul(10)?.checked_add(u32::from(byte - b'0'))?;
                *part = Some(longer).filter(|&number| number <= MAX_PART)?;
                has_digit = true;
            }
            b'.' if has_digit => {
                index += 1;
                has_digit = false;
            }
            _ => return None,
        }
    }
    has_digit.then_some(parts)
}

vocabulary! {
    /// To whom a version is offered.
    Availability {
        /// Seen by the app's principals only; sandboxes may have it on explicit request.
        Preview,
        /// Offered to customers, and the only availability a hotfix may go to in production.
        Available,
        /// No longer offered; installed copies stay.
        Deprecated,
    }
}

vocabulary! {
    /// Where the bytes of a version are.
    VersionStatus {
        /// On their way into the storage location.
        Uploading,
        /// Durable in the storage location.
        Uploaded,
        /// The package was good but could not be stored; the version may be uploaded again.
        UploadFailed,
    }
}

vocabulary! {
    /// How an environment's database schema follows the app's when it is updated.
    SyncMode {
        /// Additive changes only; the default.
        Sync,
        /// Destructive changes too; never applies to a hotfix.
        ForceSync,
    }
}

impl SyncMode {
    /// Reads the word in any case; `Add` is an older name for [`SyncMode::Sync`].
    ///
    /// # Errors
    /// When the word is neither.
    pub fn parse(text: &str) -> Result<Self, UnknownWord> {
        if text.eq_ignore_ascii_case("Add") {
            Ok(Self::Sync)
        } else {
            text.parse()
        }
    }
}

/// Another app that a version needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The app needed.
    pub app_id: AppId,
    /// Its name, as the package says.
    pub name: String,
    /// Its publisher, as the package says.
    pub publisher: String,
    /// The least version that will do.
    pub min_version: AppVersion,
    /// The first version of it that will no longer do, as its publisher said after publication.
    pub incompatible_from: Option<AppVersion>,
    /// Whether the package needs it only by its manifest's `Application` or `Platform`. It is then a
    /// dependency for as long as an incompatibility with it is declared.
    pub is_implied: bool,
}

impl Dependency {
    /// Whether `installed` fulfils this: at least the minimum, and below what was marked incompatible.
    #[must_use]
    pub fn accepts(&self, installed: AppVersion) -> bool {
        installed >= self.min_version && self.incompatible_from.is_none_or(|from| installed < from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let lower: AppVersion = "16.0.9.0".parse().unwrap();
        let higher: AppVersion = "16.0.10.0".parse().unwrap();
        assert!(lower < higher);
        assert!(lower.sort_key() < higher.sort_key());
        assert!(lower.same_line(higher));
    }

    #[test]
    fn missing_parts_are_zero_and_output_is_canonical() {
        assert_eq!("16".parse::<AppVersion>().unwrap().to_string(), "16.0.0.0");
        assert_eq!("16.0".parse::<AppVersion>().unwrap().to_string(), "16.0.0.0");
        assert_eq!(
            "016.00.1.2".parse::<AppVersion>().unwrap().to_string(),
            "16.0.1.2"
        );
        assert_eq!("2.2.2147483647.0".parse::<AppVersion>().unwrap().0[2], MAX_PART);
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4.5",
            "1.-2",
            "1.+2",
            "1. 2",
            "1.2147483648",
            "a.b",
            "1.2.3.x",
        ] {
            assert!(text.parse::<AppVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn words_are_read_in_any_case_and_unknown_ones_list_the_known() {
        assert_eq!("pReViEw".parse::<Availability>().unwrap(), Availability::Preview);
        let unknown = "Hidden".parse::<Availability>().unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "'Hidden' is not one of Preview, Available, Deprecated"
        );
        assert_eq!(SyncMode::parse("add").unwrap(), SyncMode::Sync);
    }

    proptest! {
        #[test]
        fn the_sort_key_sorts_as_the_version(a in any::<[u32; 4]>(), b in any::<[u32; 4]>()) {
            let (a, b) = (AppVersion(a), AppVersion(b));
            prop_assert_eq!(a.cmp(&b), a.sort_key().cmp(&b.sort_key()));
            prop_assert_eq!(AppVersion::from_sort_key(a.sort_key()), a);
        }

        #[test]
        fn text_round_trips(parts in prop::array::uniform4(0..=MAX_PART)) {
            let version = AppVersion(parts);
            prop_assert_eq!(version.to_string().parse::<AppVersion>().unwrap(), version);
        }
    }
}
