//! Profiles: a service, and how somebody signs in there, under a name.
//!
//! They are the user's own: a file in the folder that the system has for settings, which nobody else may read or write.
//! What comes with a repository may name a profile and nothing else, so that no clone can send a credential elsewhere.

use crate::{failure::Failure, sign_in::Kind};
use agent::owner_only;
use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The profile that is meant where none is named, and no service either.
pub(crate) const USUAL: &str = "default";
/// The profile of the original service, which needs not be made.
pub(crate) const MICROSOFT: &str = "microsoft";
/// The longest name.
const MOST_LETTERS: usize = 64;

/// A service, and how to sign in there. What is left out is said by flags, or not needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The service's root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The version of the API to speak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Certificate authorities to trust besides the system's (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The tenant to sign in to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The application to sign in as, or by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where tokens are issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// What tokens are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// What to sign in with; left out, the first that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<Kind>,
    /// A file that holds the application's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// A file that holds the application's certificate and its key (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_file: Option<PathBuf>,
    /// Where `fame login` put what goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_in: Option<KeptIn>,
}

/// Where a login is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeptIn {
    /// In the system's keyring.
    Keyring,
    /// In a file that nobody else may read.
    File,
}

/// All of them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// The folder for what is the user's own.
///
/// # Errors
/// [`Failure::Usage`] when nobody can say where that is.
pub(crate) fn folder() -> Result<PathBuf, Failure> {
    let places = etcetera::choose_base_strategy().map_err(|_| {
        let message = "Nobody says where this user's settings are: set HOME, or XDG_CONFIG_HOME.";
        Failure::Usage(message.to_owned())
    })?;
    Ok(places.config_dir().join("fame"))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("profiles.toml")
}

/// A name that can stand in a file's name, too.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match text.len() {
        1..=MOST_LETTERS if text.bytes().all(is_plain) => Ok(text.to_owned()),
        _ => Err(format!(
            "a profile's name is 1 to {MOST_LETTERS} letters, digits, - and _"
        )),
    }
}

impl Profiles {
    /// Those of this user; none where nobody can have any.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the file is not readable, not of this form, or open to others.
    pub(crate) fn load() -> Result<Self, Failure> {
        match folder() {
            Ok(folder) => Self::read(&file(&folder)),
            Err(_) => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::unreadable(path, &error)),
        };
        owner_only::check(path).map_err(|open| Failure::Usage(open.to_string()))?;
        toml::from_str(&text)
            .map_err(|error| Failure::Usage(format!("{}: {}", path.display(), error.to_string().trim_end())))
    }

    /// Writes them down for this user alone.
    ///
    /// # Errors
    /// [`Failure::Io`] when that is not possible.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let folder = folder()?;
        let path = file(&folder);
        let failed = |source| Failure::file("write", &path, source);
        let text = toml::to_string(self).map_err(|error| failed(io::Error::other(error)))?;
        owner_only::make_folder(&folder).map_err(failed)?;
        owner_only::replace(&path, text.as_bytes()).map_err(failed)
    }

    /// The one of that name.
    ///
    /// # Errors
    /// [`Failure::Usage`] when there is none.
    pub(crate) fn get(&self, name: &str) -> Result<Profile, Failure> {
        self.find(name).ok_or_else(|| {
            let known: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            let known = match known.as_slice() {
                [] => "There is none yet".to_owned(),
                known => format!("There is {}", known.join(", ")),
            };
            Failure::Usage(format!(
                "--profile (FAME_PROFILE): no profile is called '{name}'. {known}; fame login --profile {name} --url … makes one."
            ))
        })
    }

    /// The one of that name, if there is one. The original service's is always there; what somebody wrote about it adds to
    /// it.
    pub(crate) fn find(&self, name: &str) -> Option<Profile> {
        self.profiles.get(name).cloned().or_else(|| {
            let is_preset = name == MICROSOFT;
            is_preset.then(Profile::default)
        })
    }

    /// Puts `profile` in the place of the one of that name.
    pub(crate) fn put(&mut self, name: &str, profile: Profile) {
        self.profiles.insert(name.to_owned(), profile);
    }

    /// Takes the one of that name out.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Profile> {
        self.profiles.remove(name)
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.profiles
            .iter()
            .map(|(name, profile)| (name.as_str(), profile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_stand_in_a_path() {
        for fine in ["contoso", "Contoso-2", "a_b", &"x".repeat(64)] {
            assert!(name(fine).is_ok(), "{fine}");
        }
        for wrong in ["", "..", "a/b", "a\\b", "a b", "ä", "a.b", &"x".repeat(65)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_nobody_knows_is_refused_and_microsofts_is_always_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        assert!(Profiles::read(&path).unwrap().get("contoso").is_err());
        assert_eq!(
            Profiles::read(&path).unwrap().get(MICROSOFT).unwrap(),
            Profile::default()
        );
        let write = |text: &str| owner_only::replace(&path, text.as_bytes()).unwrap();
        write("[profiles.contoso]\nurl = \"https://fame.contoso.com\"\ncredential = \"azure-cli\"\n");
        let read = Profiles::read(&path).unwrap().get("contoso").unwrap();
        assert_eq!(read.credential, Some(Kind::AzureCli));
        write("[profiles.contoso]\nurll = \"https://fame.contoso.com\"\n");
        let refused = Profiles::read(&path).unwrap_err().to_string();
        assert!(refused.contains("urll"), "{refused}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_change_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(
            Profiles::read(&path)
                .unwrap_err()
                .to_string()
                .contains("chmod 0600")
        );
    }
}
