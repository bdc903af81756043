//! Version numbers as .NET's `System.Version` has them, which is neither semantic versioning nor four
//! 16-bit numbers: build numbers beyond 65535 exist in real packages.

use std::fmt;
use std::str::FromStr;

/// The largest value of a part.
const MAX_PART: u32 = i32::MAX as u32;

/// A version of four parts, each 0 to 2,147,483,647, compared as numbers.
///
/// Parsing takes two to four parts and fills missing ones with 0; [`Display`](fmt::Display) always writes
/// four, without leading zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u32; 4]);

impl Version {
    /// The version of these parts, or `None` when one of them is above 2,147,483,647.
    pub fn new(parts: [u32; 4]) -> Option<Self> {
        parts.iter().all(|part| *part <= MAX_PART).then_some(Self(parts))
    }

    /// Major, minor, build and revision.
    pub fn parts(&self) -> [u32; 4] {
        self.0
    }

    /// Parses a version that must have all four parts, as an app's own version has.
    pub(crate) fn parse_complete(text: &str) -> Result<Self, VersionError> {
        let parts = text.split('.').count();
        if parts != 4 {
            return Err(VersionError::new(text, "an app's version has four parts"));
        }
        text.parse()
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let mut parts = [0; 4];
        let mut missing = parts.iter_mut();
        for part in text.split('.') {
            let Some(next) = missing.next() else {
                return Err(VersionError::new(text, "it has more than four parts"));
            };
            *next = parse_part(part).map_err(|reason| VersionError::new(text, reason))?;
        }
        if missing.len() > 2 {
            return Err(VersionError::new(text, "it needs at least two parts"));
        }
        Ok(Self(parts))
    }
}

fn parse_part(text: &str) -> Result<u32, &'static str> {
    if text.is_empty() {
        return Err("a part is empty");
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a part is not a number");
    }
    let significant = text.trim_start_matches('0');
    match significant.parse::<u32>() {
        _ if significant.is_empty() => Ok(0),
        Ok(part) if part <= MAX_PART => Ok(part),
        _ => Err("a part is above 2147483647"),
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, build, revision] = self.0;
        write!(f, "{major}.{minor}.{build}.{revision}")
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is not a version, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a version: {reason}")]
pub struct VersionError {
    text: String,
    reason: &'static str,
}

impl VersionError {
    /// Long texts are cut: they end up in an error message.
    fn new(text: &str, reason: &'static str) -> Self {
        Self {
            text: text.chars().take(60).collect(),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    fn parse(text: &str) -> Option<String> {
        text.parse::<Version>().ok().map(|version| version.to_string())
    }

    #[test]
    fn missing_parts_are_zero_and_leading_zeros_go() {
        assert_eq!(parse("15.0").as_deref(), Some("15.0.0.0"));
        assert_eq!(parse("0.11.14434").as_deref(), Some("0.11.14434.0"));
        assert_eq!(parse("01.002.00000000000000003.0").as_deref(), Some("1.2.3.0"));
        assert_eq!(parse("2.2.2147483647.0").as_deref(), Some("2.2.2147483647.0"));
    }

    #[test]
    fn what_dotnet_refuses_is_refused() {
        for text in [
            "",
            "1",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4.5",
            "1.-2",
            "+1.2",
            "1. 2",
            " 1.2",
            "1.x",
            "1.2.3.2147483648",
            "1.99999999999999999999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_apps_own_version_has_four_parts() {
        assert!(Version::parse_complete("1.2.3").is_err());
        assert!(Version::parse_complete("1.2.3.4").is_ok());
    }

    #[test]
    fn order_is_numeric() {
        let older: Version = "16.0.9.0".parse().unwrap();
        let newer: Version = "16.0.10.0".parse().unwrap();
        assert!(older < newer);
    }

    #[test]
    fn parts_beyond_int32_do_not_exist() {
        assert!(Version::new([1, 0, 0, 1 << 31]).is_none());
        assert_eq!(
            Version::new([1, 2, 3, 4]).map(|version| version.parts()),
            Some([1, 2, 3, 4])
        );
    }
}
