//! Secrets of targets, which a configuration only says the place of.
//!
//! They are read each time they are needed, so that one that was replaced is taken from then on, and kept nowhere else.

use crate::owner_only::others_mode;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where a secret is: `env:NAME`, a variable of the agent's environment, or `file:PATH`, a file that only its owner may
/// read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In a variable.
    Variable(String),
    /// In a file, at the end of which one line break is not part of it.
    File(PathBuf),
}

/// Why there is no secret. It is told by where it should be, never by what is there.
#[derive(Debug, thiserror::Error)]
pub enum NoSecret {
    /// It is no reference.
    #[error("A secret is named by env:NAME or file:PATH, and not written down")]
    NotAReference,
    /// The variable is missing or empty.
    #[error("The variable {0} with a secret is not set")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("The file {} with a secret cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may read the file.
    #[error("The file {} with a secret may be read by others than its owner (mode {mode:03o}): chmod 600", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is empty.
    #[error("The file {} with a secret is empty", .0.display())]
    Empty(PathBuf),
}

impl FromStr for Secret {
    type Err = NoSecret;

    fn from_str(text: &str) -> Result<Self, NoSecret> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Variable(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(NoSecret::NotAReference),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// How an application proves who it is: exactly one of the two keys.
#[derive(Clone, Debug)]
pub enum Proof {
    /// `client_secret`: a secret of its own.
    Secret(Secret),
    /// `client_assertion_file`: a token that the platform puts there and renews, and that the issuer trusts; no secret
    /// is needed. Platforms let others than its owner read it, as it lives for minutes only.
    AssertionFile(PathBuf),
}

impl Proof {
    /// What the two keys say.
    ///
    /// # Errors
    /// What is wrong when it is not one of them.
    pub(crate) fn of(secret: Option<Secret>, assertion_file: Option<PathBuf>) -> Result<Self, &'static str> {
        match (secret, assertion_file) {
            (Some(secret), None) => Ok(Self::Secret(secret)),
            (None, Some(path)) => Ok(Self::AssertionFile(path)),
            (None, None) => Err("needs client_secret or client_assertion_file"),
            (Some(_), Some(_)) => Err("has client_secret and client_assertion_file, and may have only one"),
        }
    }

    /// The proof as it is now.
    ///
    /// # Errors
    /// [`NoSecret`] when a secret is not there, or not safe there.
    pub fn read(&self) -> Result<client::Proof, NoSecret> {
        Ok(match self {
            Self::Secret(secret) => client::Proof::Secret(secret.read()?),
            Self::AssertionFile(path) => client::Proof::AssertionFile(path.clone()),
        })
    }
}

impl Secret {
    /// The secret as it is now.
    ///
    /// # Errors
    /// [`NoSecret`] when it is not there, or not safe there.
    pub fn read(&self) -> Result<SecretString, NoSecret> {
        match self {
            Self::Variable(name) => match std::env::var(name) {
                Ok(text) if !text.is_empty() => Ok(text.into()),
                _ => Err(NoSecret::NoVariable(name.clone())),
            },
            Self::File(path) => of_file(path),
        }
    }
}

fn of_file(path: &Path) -> Result<SecretString, NoSecret> {
    let unreadable = |source| NoSecret::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    if let Some(mode) = others_mode(&file.metadata().map_err(unreadable)?) {
        let path = path.to_owned();
        return Err(NoSecret::Open { path, mode });
    }
    let text = io::read_to_string(file).map_err(unreadable)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    match text.strip_suffix('\r').unwrap_or(text) {
        "" => Err(NoSecret::Empty(path.to_owned())),
        text => Ok(text.into()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_itself_is_no_reference_and_is_not_repeated() {
        for text in ["hunter2", "env:", "file:", "https://contoso.com"] {
            let refused = text.parse::<Secret>().unwrap_err().to_string();
            assert!(
                !refused.contains("hunter2") && !refused.contains("contoso"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_file_that_others_may_read_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hunter2\r\n").unwrap();
        let secret: Secret = format!("file:{}", path.display()).parse().unwrap();
        for (mode, is_read) in [(0o644, false), (0o640, false), (0o604, false), (0o600, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match secret.read() {
                Ok(read) => assert!(is_read && read.expose_secret() == "hunter2", "{mode:o}"),
                Err(refused) => {
                    assert!(!is_read, "{refused}");
                    assert!(!refused.to_string().contains("hunter2"));
                }
            }
        }
    }

    #[test]
    fn what_is_not_there_is_told_by_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty");
        std::fs::write(&path, "\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for place in [
            "env:FAME_NO_SUCH_VARIABLE".to_owned(),
            format!("file:{}", path.display()),
            format!("file:{}", folder.path().join("missing").display()),
        ] {
            let secret: Secret = place.parse().unwrap();
            let missing = secret.read().unwrap_err().to_string();
            assert!(missing.contains(place.split_once(':').unwrap().1), "{missing}");
            assert_eq!(secret.to_string(), place);
        }
    }
}
