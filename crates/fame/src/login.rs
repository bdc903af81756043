//! Signing in.
//!
//! A token is fetched when the first request needs one and kept in memory, never on disk, until shortly before it
//! expires. Waiting for a rollout can take longer than a token lives, so it is renewed on the way.

use crate::{
    failure::Failure,
    output::Printer,
    retry::Tries,
    settings::{ClientCredentials, Credentials},
};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long before its end a token counts as expired, so that it does not expire on its way.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token is taken to live when its issuer does not say.
const USUAL_LIFE: Duration = Duration::from_secs(600);

/// Whoever is calling, with the token that says so.
pub struct Login {
    credentials: Credentials,
    fetched: Mutex<Option<Fetched>>,
    retries: u32,
    printer: Printer,
}

struct Fetched {
    token: SecretString,
    expires: Instant,
}

/// A token, and whether another try with a new one could help if it is refused.
pub struct Token {
    /// The text to send.
    pub text: SecretString,
    /// Whether it was used before and could be replaced by a new one.
    pub is_renewable: bool,
}

impl Login {
    /// Somebody who has not signed in yet.
    pub fn new(credentials: Credentials, retries: u32, printer: Printer) -> Self {
        Self {
            credentials,
            fetched: Mutex::new(None),
            retries,
            printer,
        }
    }

    /// A token that is good for now.
    ///
    /// # Errors
    /// [`Failure::NotSignedIn`] when the issuer refuses, [`Failure::Unavailable`] when it cannot be reached.
    pub async fn token(&self, http: &reqwest::Client) -> Result<Token, Failure> {
        let client = match &self.credentials {
            Credentials::Token(token) => {
                return Ok(Token {
                    text: token.clone(),
                    is_renewable: false,
                });
            }
            Credentials::Client(client) => client,
        };
        let mut fetched = self.fetched.lock().await;
        if let Some(known) = fetched.as_ref().filter(|known| known.expires > Instant::now()) {
            return Ok(Token {
                text: known.token.clone(),
                is_renewable: true,
            });
        }
        let new = self.fetch(client, http).await?;
        let text = new.token.clone();
        *fetched = Some(new);
        Ok(Token {
            text,
            is_renewable: false,
        })
    }

    /// Forgets the token, because the service no longer takes it.
    pub async fn forget(&self) {
        *self.fetched.lock().await = None;
    }

    async fn fetch(&self, client: &ClientCredentials, http: &reqwest::Client) -> Result<Fetched, Failure> {
        let mut tries = Tries::new(self.retries, self.printer);
        loop {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", &client.client_id),
                ("client_secret", client.client_secret.expose_secret()),
                ("scope", &client.scope),
            ];
            let request = http.post(client.token_url.clone()).form(&form).timeout(MARGIN);
            let (failure, wish) = match request.send().await {
                Ok(answer) if answer.status().is_success() => return read_token(answer).await,
                Ok(answer) if is_passing(answer.status()) => {
                    let status = answer.status();
                    let wish = crate::failure::header(answer.headers(), "retry-after");
                    let wish = wish.and_then(|text| text.parse().ok()).map(Duration::from_secs);
                    let message = format!("The token issuer answered {status}.");
                    (Failure::Unavailable(message), wish)
                }
                Ok(answer) => return Err(refused(answer).await),
                Err(error) => (Failure::Unavailable(unreachable(client, &error)), None),
            };
            tries.pause_or(failure, wish).await?;
        }
    }
}

fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

fn unreachable(client: &ClientCredentials, error: &reqwest::Error) -> String {
    let host = client.token_url.host_str().unwrap_or_default();
    format!(
        "The token issuer at {host} cannot be reached: {}.",
        crate::client::reason(error)
    )
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    #[serde(default)]
    expires_in: Value,
}

async fn read_token(answer: Response) -> Result<Fetched, Failure> {
    let answered = Instant::now();
    let body = answer.bytes().await;
    let body = body.map_err(|error| {
        Failure::Unavailable(format!(
            "The token issuer's answer broke off: {}.",
            crate::client::reason(&error)
        ))
    })?;
    let answer: TokenAnswer = serde_json::from_slice(&body)
        .map_err(|_| Failure::Unexpected("The token issuer's answer holds no access token.".to_owned()))?;
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

async fn refused(answer: Response) -> Failure {
    let status = answer.status();
    let body = answer.bytes().await.unwrap_or_default();
    let error: OauthError = serde_json::from_slice(&body).unwrap_or_default();
    let (code, description) = (error.error, error.error_description);
    Failure::NotSignedIn(
        format!("The token issuer refused to sign in: {status} {code} {description}")
            .trim()
            .to_owned(),
    )
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
