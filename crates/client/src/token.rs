//! Signing in.
//!
//! A token is fetched when the first request needs one and kept in memory, never on disk, until shortly before it
//! expires. Waiting for a rollout can take longer than a token lives, so it is renewed on the way.

use crate::{
    Client, SecureUrl, Shared,
    error::{Error, Result, is_distrust, read_short, retry_after},
};
use data_encoding::BASE64URL_NOPAD;
use reqwest::{Response, StatusCode, header::HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How long before its end a token counts as expired, so that it does not expire on its way.
const MARGIN: Duration = Duration::from_secs(60);
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
}

/// How an application proves to its issuer who it is.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A secret that both know.
    Secret(SecretString),
    /// A short-lived token of an issuer that the first one trusts (workload identity federation), in a file that the
    /// platform renews: read again for each token. Source: RFC 7523 §2.2, "client credentials flow" of Microsoft Entra.
    AssertionFile(PathBuf),
}

/// The kind of an assertion, as RFC 7523 §2.2 names it.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Proof {
    /// What a request for a token says of it, by name.
    ///
    /// # Errors
    /// [`Error::NoAssertion`] when the file cannot be read or holds nothing.
    pub async fn fields(&self) -> Result<Vec<(&'static str, SecretString)>> {
        match self {
            Self::Secret(secret) => Ok(vec![("client_secret", secret.clone())]),
            Self::AssertionFile(path) => Ok(vec![
                ("client_assertion_type", JWT_BEARER.into()),
                ("client_assertion", read_assertion(path).await?),
            ]),
        }
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

/// A token that an issuer gave, until it expires.
pub(crate) struct Fetched {
    token: SecretString,
    expires: Instant,
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
    /// A token that is good for now; none for nobody.
    ///
    /// # Errors
    /// [`Error::SignInRefused`] when the issuer refuses, and those of an issuer that is out of reach.
    pub(crate) async fn token(&self) -> Result<Option<Token>> {
        let Shared {
            settings, fetched, ..
        } = &*self.0;
        let application = match &settings.credentials {
            Credentials::Nobody => return Ok(None),
            Credentials::Token(token) => return Ok(Some(Token::new(token, false))),
            Credentials::Client(application) => application,
        };
        let mut fetched = fetched.lock().await;
        if let Some(known) = fetched.as_ref().filter(|known| known.expires > Instant::now()) {
            return Ok(Some(Token::new(&known.token, true)));
        }
        let new = self.fetch(application).await?;
        let token = Token::new(&new.token, false);
        *fetched = Some(new);
        Ok(Some(token))
    }

    async fn fetch(&self, application: &ClientCredentials) -> Result<Fetched> {
        let Shared { settings, http, .. } = &*self.0;
        let url = &application.token_url;
        let mut tries = settings.retry.tries();
        loop {
            let proof = application.proof.fields().await?;
            let request = http.post((**url).clone()).form(&application.form(&proof));
            let (error, asked) = match request.timeout(MARGIN).send().await {
                Ok(answer) if answer.status().is_success() => return read_token(answer).await,
                Ok(answer) if is_passing(answer.status()) => {
                    let status = answer.status();
                    (Error::IssuerUnavailable { status }, retry_after(answer.headers()))
                }
                Ok(answer) => return Err(refused(answer).await),
                Err(source) => {
                    let host = url.host_str().unwrap_or_default().to_owned();
                    if is_distrust(&source) {
                        return Err(Error::Untrusted { host, source });
                    }
                    let unreachable = |source| Error::IssuerUnreachable { host, source };
                    (self.unreachable(url, source, unreachable), None)
                }
            };
            tries.pause_or(error, asked).await?;
        }
    }

    /// The ids under which the caller may have roles, as far as their token tells: nobody here proves it.
    ///
    /// # Errors
    /// Those of [`Client::sign_in`].
    pub async fn signed_in_as(&self) -> Result<Vec<Uuid>> {
        let token = self.token().await?;
        let claims = token
            .as_ref()
            .and_then(|token| claims(token.text.expose_secret()));
        let id = |name: &&str| claims.as_ref()?.get(name)?.as_str()?.parse().ok();
        Ok(["oid", "appid", "azp", "client_id"]
            .iter()
            .filter_map(id)
            .collect())
    }

    /// Forgets the token, because the service no longer takes it.
    pub(crate) async fn forget_token(&self) {
        *self.0.fetched.lock().await = None;
    }
}

/// What a token says of whoever has it, if it is a JSON Web Token.
fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let text = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    serde_json::from_slice(&text).ok()
}

fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    #[serde(default)]
    expires_in: Value,
}

async fn read_token(answer: Response) -> Result<Fetched> {
    let answered = Instant::now();
    let body = read_short(answer).await.map_err(Error::IssuerInterrupted)?;
    let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| Error::NoToken)?;
    let life = life(&answer.expires_in).unwrap_or(USUAL_LIFE);
    Ok(Fetched {
        token: answer.access_token,
        expires: answered + life.saturating_sub(MARGIN),
    })
}

/// Seconds; Microsoft's older endpoints write them as text.
fn life(expires_in: &Value) -> Option<Duration> {
    let seconds = expires_in
        .as_u64()
        .or_else(|| expires_in.as_str()?.parse().ok())?;
    Some(Duration::from_secs(seconds.min(86_400)))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OauthError {
    error: String,
    error_description: String,
}

async fn refused(answer: Response) -> Error {
    let status = answer.status();
    let body = read_short(answer).await.unwrap_or_default();
    let error: OauthError = serde_json::from_slice(&body).unwrap_or_default();
    Error::SignInRefused {
        status,
        code: error.error,
        description: error.error_description,
    }
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
