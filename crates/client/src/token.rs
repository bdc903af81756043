//! Signing in.
//!
//! A token is fetched when the first request needs one and kept in memory, never on disk, until it has less than five
//! minutes left. Waiting for a rollout can take longer than a token lives, so it is renewed on the way, and with it
//! whatever the application proves itself with.

use crate::{
    Client, SecureUrl, Shared,
    error::{Error, Result},
};
use data_encoding::BASE64URL_NOPAD;
use domain::ids::AppId;
use futures::future::BoxFuture;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// A token with less than this left is replaced before it is used: a slow request must not outlive it.
const MARGIN: Duration = Duration::from_secs(300);
/// How long a token is taken to live when its issuer does not say.
const USUAL_LIFE: Duration = Duration::from_secs(600);

/// Who is calling.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nobody: for what is open to all.
    Nobody,
    /// An access token that was handed to us.
    Token(SecretString),
    /// An application that fetches tokens for itself, or for a user.
    Client(ClientCredentials),
    /// Somebody who is asked for a token whenever a request needs another one.
    Source(Arc<dyn TokenSource>),
}

/// Where tokens come from.
pub trait TokenSource: fmt::Debug + Send + Sync {
    /// A token that has its life before it, for a request about `app`, or about none.
    ///
    /// # Errors
    /// What kept it from coming. It is final: no other source is asked in its place.
    fn fetch(&self, app: Option<AppId>) -> BoxFuture<'_, Result<IssuedToken>>;

    /// Whether a token of one app opens no other.
    fn is_per_app(&self) -> bool {
        false
    }

    /// Gives back what need not live any longer, now that nobody asks any more.
    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// A token as its issuer gave it.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub text: SecretString,
    /// How long it lives from now on.
    pub life: Duration,
}

impl IssuedToken {
    /// Reads an issuer's answer (RFC 6749 §5.1). One that does not say how long its token lives is taken to mean ten
    /// minutes.
    ///
    /// # Errors
    /// [`Error::NoToken`] when there is none.
    pub fn read(answer: &Value) -> Result<Self> {
        let text = answer["access_token"].as_str().ok_or(Error::NoToken)?;
        Ok(Self {
            text: text.into(),
            life: life(&answer["expires_in"]).unwrap_or(USUAL_LIFE),
        })
    }
}

/// How an application proves to its issuer who it is.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A secret that both know.
    Secret(SecretString),
    /// A short-lived token of an issuer that the first one trusts (workload identity federation), in a file that the
    /// platform renews: read again for each token. Source: RFC 7523 §2.2, "client credentials flow" of Microsoft Entra.
    AssertionFile(PathBuf),
    /// The same from somebody who makes one each time.
    Assertion(Arc<dyn Assertions>),
}

/// Who makes the tokens that an application proves itself with.
pub trait Assertions: fmt::Debug + Send + Sync {
    /// A fresh one.
    ///
    /// # Errors
    /// What kept it from coming.
    fn fetch(&self) -> BoxFuture<'_, Result<SecretString>>;
}

/// The kind of an assertion, as RFC 7523 §2.2 names it.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Proof {
    /// What a request for a token says of it, by name.
    ///
    /// # Errors
    /// [`Error::NoAssertion`] when the file cannot be read or holds nothing, and those of [`Assertions::fetch`].
    pub async fn fields(&self) -> Result<Vec<(&'static str, SecretString)>> {
        let assertion = match self {
            Self::Secret(secret) => return Ok(vec![("client_secret", secret.clone())]),
            Self::AssertionFile(path) => read_assertion(path).await?,
            Self::Assertion(made) => made.fetch().await?,
        };
        Ok(vec![
            ("client_assertion_type", JWT_BEARER.into()),
            ("client_assertion", assertion),
        ])
    }
}

async fn read_assertion(path: &Path) -> Result<SecretString> {
    let missing = |source| Error::NoAssertion {
        path: path.to_owned(),
        source,
    };
    let text = tokio::fs::read_to_string(path).await.map_err(missing)?;
    match text.trim() {
        "" => Err(missing(io::Error::new(io::ErrorKind::InvalidData, "it is empty"))),
        assertion => Ok(assertion.into()),
    }
}

/// An application and its proof.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// Where tokens are issued.
    pub token_url: SecureUrl,
    /// The application.
    pub client_id: String,
    /// How it proves that.
    pub proof: Proof,
    /// What the token is for.
    pub scope: String,
    /// A user to sign in as, by name and password; for issuers that people try things out with.
    pub user: Option<(String, SecretString)>,
}

impl ClientCredentials {
    fn form<'a>(&'a self, proof: &'a [(&'static str, SecretString)]) -> Vec<(&'static str, &'a str)> {
        let mut form = vec![("client_id", self.client_id.as_str()), ("scope", &self.scope)];
        form.extend(proof.iter().map(|(name, text)| (*name, text.expose_secret())));
        match &self.user {
            None => form.push(("grant_type", "client_credentials")),
            Some((name, password)) => form.extend([
                ("grant_type", "password"),
                ("username", name),
                ("password", password.expose_secret()),
            ]),
        }
        form
    }
}

/// A token that an issuer gave, until it is to be replaced.
pub(crate) struct Fetched {
    token: SecretString,
    renewed_at: Instant,
}

/// A token, and whether another try with a new one could help if it is refused.
pub(crate) struct Token {
    text: SecretString,
    /// Whether it was used before and could be replaced by a new one.
    pub(crate) is_renewable: bool,
}

impl Token {
    fn new(text: &SecretString, is_renewable: bool) -> Self {
        Self {
            text: text.clone(),
            is_renewable,
        }
    }

    /// The value of the `authorization` header.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] when the token has characters that no header can carry.
    pub(crate) fn bearer(&self) -> Result<HeaderValue> {
        let value = HeaderValue::from_str(&format!("Bearer {}", self.text.expose_secret()));
        let mut value = value.map_err(|_| Error::InvalidToken)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Client {
    /// A token that is good for now, for a request about `app`; none for nobody.
    ///
    /// # Errors
    /// [`Error::SignInRefused`] when the issuer refuses, those of an issuer that is out of reach, and those of
    /// [`TokenSource::fetch`].
    pub(crate) async fn token(&self, app: Option<AppId>) -> Result<Option<Token>> {
        let Shared {
            settings, fetched, ..
        } = &*self.0;
        let app = self.kept_for(app);
        let ask: BoxFuture<'_, Result<IssuedToken>> = match &settings.credentials {
            Credentials::Nobody => return Ok(None),
            Credentials::Token(token) => return Ok(Some(Token::new(token, false))),
            Credentials::Client(application) => Box::pin(self.fetch(application)),
            Credentials::Source(source) => source.fetch(app),
        };
        let mut fetched = fetched.lock().await;
        if let Some(known) = fetched
            .get(&app)
            .filter(|known| known.renewed_at > Instant::now())
        {
            return Ok(Some(Token::new(&known.token, true)));
        }
        let new = ask.await?;
        let kept = Fetched {
            token: new.text.clone(),
            renewed_at: Instant::now() + new.life.saturating_sub(MARGIN),
        };
        fetched.insert(app, kept);
        Ok(Some(Token::new(&new.text, false)))
    }

    /// The app under which a token is kept: none where one token does for all of them.
    fn kept_for(&self, app: Option<AppId>) -> Option<AppId> {
        match &self.0.settings.credentials {
            Credentials::Source(source) if source.is_per_app() => app,
            _ => None,
        }
    }

    async fn fetch(&self, application: &ClientCredentials) -> Result<IssuedToken> {
        let url = &application.token_url;
        let make = |http: reqwest::Client| -> BoxFuture<'_, _> {
            Box::pin(async move {
                let proof = application.proof.fields().await?;
                Ok(http.post((**url).clone()).form(&application.form(&proof)))
            })
        };
        IssuedToken::read(&self.0.issuers.ask(url, make).await?)
    }

    /// Gives back the tokens, where that shortens their life. Nothing can be asked in their name afterwards.
    pub async fn sign_out(&self) {
        if let Credentials::Source(source) = &self.0.settings.credentials {
            source.end().await;
        }
        self.0.fetched.lock().await.clear();
    }

    /// What the token says of whoever has it; nothing where it is not made to be read. Nobody here proves it.
    ///
    /// # Errors
    /// Those of [`Client::sign_in`].
    pub async fn claims(&self) -> Result<Option<Value>> {
        let token = self.token(None).await?;
        Ok(token
            .as_ref()
            .and_then(|token| claims(token.text.expose_secret())))
    }

    /// The ids under which the caller may have roles, as far as their token tells.
    ///
    /// # Errors
    /// Those of [`Client::sign_in`].
    pub async fn signed_in_as(&self) -> Result<Vec<Uuid>> {
        let claims = self.claims().await?;
        let id = |name: &&str| claims.as_ref()?.get(name)?.as_str()?.parse().ok();
        Ok(["oid", "appid", "azp", "client_id"]
            .iter()
            .filter_map(id)
            .collect())
    }

    /// Forgets the token, because the service no longer takes it.
    pub(crate) async fn forget_token(&self, app: Option<AppId>) {
        self.0.fetched.lock().await.remove(&self.kept_for(app));
    }
}

/// What a JSON Web Token says, by whomever it was made; nothing of what is none.
#[must_use]
pub fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let text = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Seconds; Microsoft's older endpoints write them as text.
fn life(expires_in: &Value) -> Option<Duration> {
    let seconds = expires_in
        .as_u64()
        .or_else(|| expires_in.as_str()?.parse().ok())?;
    Some(Duration::from_secs(seconds.min(86_400)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_life_of_a_token_is_read_from_numbers_and_text() {
        assert_eq!(life(&json!(3599)), Some(Duration::from_secs(3_599)));
        assert_eq!(life(&json!("3599")), Some(Duration::from_secs(3_599)));
        assert_eq!(life(&json!(null)), None);
        assert_eq!(life(&json!("soon")), None);
    }
}
