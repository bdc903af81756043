//! What `fame login` leaves behind: a refresh token, and whom and what it is for.
//!
//! It lies in the keyring of the system, or, where somebody says so, in a file that nobody else may read. It says for
//! which service, issuer and application it was made, and is used for no other, whatever a profile says by then. In
//! pipelines nothing is kept: what lies on shared machines is what thieves look for.

use crate::{
    failure::Failure,
    profiles::{KeptIn, folder},
    settings::{Place, variable},
};
use agent::owner_only;
use client::{Error, IssuedToken, Issuers, SecureUrl, TokenSource};
use domain::ids::AppId;
use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs, io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// A login that goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Login {
    /// The origin of the service that it is for.
    pub origin: String,
    /// Where it goes on.
    pub token_url: String,
    /// The application by which somebody signed in.
    pub client_id: String,
    /// What its tokens are for.
    pub scope: String,
    /// Who signed in, as the issuer calls them.
    pub signed_in_as: String,
    #[serde(serialize_with = "in_clear")]
    refresh_token: SecretString,
}

fn in_clear<S: serde::Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose_secret())
}

/// Whether this is a pipeline, where nothing is to stay.
pub(crate) fn is_pipeline() -> bool {
    let is_set = |name: &&str| variable([*name]).is_some_and(|value| !value.eq_ignore_ascii_case("false"));
    ["CI", "TF_BUILD", "GITHUB_ACTIONS"].iter().any(is_set)
}

/// What somebody has to be asked for at sign-in so that the login can go on.
pub(crate) fn lasting(scope: &str) -> String {
    format!("{scope} openid profile offline_access")
}

impl Login {
    /// The login that an issuer's answer to a sign-in begins, for the service at `place`.
    ///
    /// # Errors
    /// [`Failure::NotSignedIn`] when the issuer gave nothing that goes on.
    pub(crate) fn begin(place: &Place, at: &SignInPlace, answer: &Value) -> Result<Self, Failure> {
        let refresh_token = answer["refresh_token"].as_str().ok_or_else(|| {
            Failure::NotSignedIn(format!(
                "{} signed you in, but gave nothing with which that goes on: the application has to be allowed \
                 offline_access.",
                at.token_url.as_str()
            ))
        })?;
        let told = answer["id_token"]
            .as_str()
            .and_then(client::claims)
            .unwrap_or_default();
        let names = ["preferred_username", "upn", "unique_name", "name", "oid", "sub"];
        let name = names.iter().find_map(|name| told.get(*name)?.as_str());
        Ok(Self {
            origin: origin(place),
            token_url: at.token_url.as_str().to_owned(),
            client_id: at.client_id.clone(),
            scope: at.scope.clone(),
            signed_in_as: name.unwrap_or("somebody").to_owned(),
            refresh_token: refresh_token.into(),
        })
    }

    fn is_for(&self, place: &Place, at: &SignInPlace) -> bool {
        self.origin == origin(place)
            && self.token_url == at.token_url.as_str()
            && self.client_id == at.client_id
            && self.scope == at.scope
    }
}

fn origin(place: &Place) -> String {
    place.url.origin().ascii_serialization()
}

/// Where somebody signs in, by which application, and what for.
#[derive(Clone, Debug)]
pub(crate) struct SignInPlace {
    /// Where tokens are issued.
    pub token_url: SecureUrl,
    /// The application.
    pub client_id: String,
    /// What tokens are for.
    pub scope: String,
}

impl SignInPlace {
    /// As `place` says it.
    ///
    /// # Errors
    /// Those of [`Place::sign_in_place`] and [`Place::application`].
    pub(crate) async fn of(place: &Place) -> Result<Self, Failure> {
        let client_id = place.application()?;
        let (token_url, scope) = place.sign_in_place().await?;
        Ok(Self {
            token_url,
            client_id,
            scope,
        })
    }

    /// The issuer's address for something else, which lies beside the one for tokens.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the address for tokens is of another form.
    pub(crate) fn beside(&self, name: &str) -> Result<SecureUrl, Failure> {
        let text = self.token_url.as_str();
        let told = || {
            Failure::Usage(format!(
                "People sign in where tokens are issued at an address that ends with /token, such as Microsoft Entra's; \
                 {text} is none."
            ))
        };
        let folder = text.strip_suffix("/token").ok_or_else(told)?;
        format!("{folder}/{name}").parse().map_err(|_| told())
    }
}

/// Somebody who signed in, asked for tokens.
#[derive(Debug)]
pub(super) struct StoredLogin {
    profile: String,
    kept_in: KeptIn,
    at: SignInPlace,
    issuers: Issuers,
    login: Mutex<Login>,
}

impl StoredLogin {
    /// The login of the profile, and what it is called.
    ///
    /// # Errors
    /// [`Failure::NotSignedIn`] when there is none, or one for something else.
    pub(super) async fn open(place: &Place) -> Result<(String, Self), Failure> {
        let unknown = || Failure::NotSignedIn("Nobody is signed in: fame login does that.".to_owned());
        let (profile, known) = place.profile.as_ref().ok_or_else(unknown)?;
        let again = |why: &str| Failure::NotSignedIn(format!("{why}: fame login --profile {profile}"));
        let kept_in = known
            .kept_in
            .ok_or_else(|| again(&format!("Nobody is signed in for the profile '{profile}'")))?;
        let at = SignInPlace::of(place).await?;
        let login = kept_in.load(profile).await?;
        let login = login.ok_or_else(|| again(&format!("The login of the profile '{profile}' is gone")))?;
        if !login.is_for(place, &at) {
            return Err(again(&format!(
                "The login of the profile '{profile}' was for {}, by {} at {}, and is used for nothing else; sign in anew",
                login.origin, login.client_id, login.token_url
            )));
        }
        let stored = Self {
            profile: profile.clone(),
            issuers: place.issuers(&at.token_url)?,
            kept_in,
            at,
            login: Mutex::new(login.clone()),
        };
        Ok((format!("{}, signed in by fame login", login.signed_in_as), stored))
    }

    async fn go_on(&self) -> client::Result<IssuedToken> {
        let mut login = self.login.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let scope = lasting(&self.at.scope);
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.at.client_id),
            ("scope", &scope),
            ("refresh_token", login.refresh_token.expose_secret()),
        ];
        let answer = match self.issuers.post(&self.at.token_url, &form).await {
            Ok(answer) => answer,
            Err(error @ Error::SignInRefused { .. }) => {
                return Err(Error::NoSignIn(format!(
                    "The login of the profile '{}' does not go on: {error}\n  Sign in anew: fame login --profile {}",
                    self.profile, self.profile
                )));
            }
            Err(error) => return Err(error),
        };
        if let Some(next) = answer.get("refresh_token").and_then(Value::as_str) {
            login.refresh_token = next.into();
            if !is_pipeline() {
                let kept = self.kept_in.save(&self.profile, &login).await;
                kept.map_err(|failure| Error::NoSignIn(failure.to_string()))?;
            }
            *self.login.lock().unwrap_or_else(PoisonError::into_inner) = login;
        }
        IssuedToken::read(&answer)
    }
}

impl TokenSource for StoredLogin {
    fn fetch(&self, _: Option<AppId>) -> BoxFuture<'_, client::Result<IssuedToken>> {
        Box::pin(self.go_on())
    }
}

impl KeptIn {
    /// What is kept for the profile.
    ///
    /// # Errors
    /// [`Failure::Usage`] when it is damaged or open to others, [`Failure::Io`] when it cannot be read; so for all that
    /// follow.
    pub(crate) async fn load(self, profile: &str) -> Result<Option<Login>, Failure> {
        let text = match self {
            Self::File => read_file(profile)?,
            Self::Keyring => system_keyring::read(profile).await?,
        };
        let read = |text: String| {
            serde_json::from_str(&text).map_err(|error| {
                Failure::Usage(format!(
                    "The login of the profile '{profile}' is damaged: {error}"
                ))
            })
        };
        text.map(read).transpose()
    }

    /// Keeps `login` for the profile, in the place of the one before.
    pub(crate) async fn save(self, profile: &str, login: &Login) -> Result<(), Failure> {
        let text = serde_json::to_string(login).map_err(|error| Failure::Unexpected(error.to_string()))?;
        match self {
            Self::File => {
                let path = file(profile)?;
                let failed = |source| Failure::file("write", &path, source);
                path.parent()
                    .map_or(Ok(()), owner_only::make_folder)
                    .map_err(failed)?;
                owner_only::replace(&path, text.as_bytes()).map_err(failed)
            }
            Self::Keyring => system_keyring::write(profile, &text).await,
        }
    }

    /// Removes what is kept for the profile.
    pub(crate) async fn remove(self, profile: &str) -> Result<(), Failure> {
        match self {
            Self::File => {
                let path = file(profile)?;
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(Failure::file("remove", &path, error))
                    }
                    _ => Ok(()),
                }
            }
            Self::Keyring => system_keyring::remove(profile).await,
        }
    }
}

fn file(profile: &str) -> Result<PathBuf, Failure> {
    Ok(folder()?.join("logins").join(format!("{profile}.json")))
}

fn read_file(profile: &str) -> Result<Option<String>, Failure> {
    let path = file(profile)?;
    match fs::read_to_string(&path) {
        Ok(text) => {
            owner_only::check(&path).map_err(|open| Failure::Usage(open.to_string()))?;
            Ok(Some(text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file("read", &path, error)),
    }
}

/// The keyring of a desktop that has the Secret Service, by the program that comes with its library: it takes secrets on
/// its standard input.
#[cfg(not(any(windows, target_os = "macos")))]
mod system_keyring {
    use crate::failure::Failure;
    use std::process::{Output, Stdio};
    use tokio::{io::AsyncWriteExt, process::Command};

    const PROGRAM: &str = "secret-tool";

    async fn run(first: &[&str], profile: &str, secret: Option<&str>) -> Result<Output, Failure> {
        let told = |problem: String| {
            Failure::Usage(format!(
                "There is no keyring to keep a login in ({PROGRAM}: {problem}). Install libsecret's {PROGRAM} and unlock \
                 the keyring, or let fame login --insecure-storage keep it in a file that only you can read."
            ))
        };
        let mut child = Command::new(PROGRAM)
            .args(first)
            .args(["service", "fame", "profile", profile])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| told(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // Whether it took the secret, it says itself at its end.
            let _ = stdin.write_all(secret.unwrap_or_default().as_bytes()).await;
        }
        let ended = child.wait_with_output().await;
        let ended = ended.map_err(|error| told(error.to_string()))?;
        let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
        match ended.status.success() || said.is_empty() {
            true => Ok(ended),
            false => Err(told(said)),
        }
    }

    pub(super) async fn read(profile: &str) -> Result<Option<String>, Failure> {
        let found = run(&["lookup"], profile, None).await?;
        let text = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        Ok(Some(text).filter(|text| found.status.success() && !text.is_empty()))
    }

    pub(super) async fn write(profile: &str, text: &str) -> Result<(), Failure> {
        let label = format!("--label=fame: {profile}");
        let ended = run(&["store", &label], profile, Some(text)).await?;
        match ended.status.success() {
            true => Ok(()),
            false => Err(Failure::Usage(format!(
                "The keyring did not take the login ({PROGRAM}: {})",
                ended.status
            ))),
        }
    }

    pub(super) async fn remove(profile: &str) -> Result<(), Failure> {
        run(&["clear"], profile, None).await.map(drop)
    }
}

/// The keyring that the system has.
#[cfg(any(windows, target_os = "macos"))]
mod system_keyring {
    use crate::failure::Failure;
    use keyring::{Entry, Error};

    /// What is done with the profile's entry, away from the threads that serve everybody.
    async fn with<T: Send + 'static>(
        profile: &str,
        act: impl FnOnce(&Entry) -> Result<T, Error> + Send + 'static,
    ) -> Result<Option<T>, Failure> {
        let name = format!("profile {profile}");
        let done = tokio::task::spawn_blocking(move || act(&Entry::new("fame", &name)?)).await;
        match done {
            Ok(Ok(found)) => Ok(Some(found)),
            Ok(Err(Error::NoEntry)) => Ok(None),
            Ok(Err(error)) => Err(Failure::Usage(format!(
                "The keyring cannot be used ({error}). fame login --insecure-storage keeps a login in a file that only you \
                 can read."
            ))),
            Err(error) => Err(Failure::Unexpected(error.to_string())),
        }
    }

    pub(super) async fn read(profile: &str) -> Result<Option<String>, Failure> {
        let found = with(profile, |entry| entry.get_secret()).await?;
        Ok(found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    pub(super) async fn write(profile: &str, text: &str) -> Result<(), Failure> {
        let text = text.to_owned();
        with(profile, move |entry| entry.set_secret(text.as_bytes()))
            .await
            .map(drop)
    }

    pub(super) async fn remove(profile: &str) -> Result<(), Failure> {
        with(profile, |entry| entry.delete_credential()).await.map(drop)
    }
}
