//! How a driver signs in to its target.

use super::{Answer, Connection, OnceSent, Trouble, body::Content};
use crate::{
    failure::{CONFIGURATION, Failure},
    secret::{Proof, Secret},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use client::SecureUrl;
use domain::{chain::Chain, operation::FailureCause};
use reqwest::{Method, header::HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Mutex as Plain,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// With less left than this, a token is renewed; one that lives less than twice as long, at half of its life.
const MARGIN: Duration = Duration::from_secs(300);
/// How long a token is taken to live when its issuer does not say.
const USUAL_LIFE: Duration = Duration::from_secs(600);
/// A shorter text is no secret that could be told from other text.
const SHORTEST_SECRET: usize = 8;

/// What a driver signs in with. Secrets are named by where they are.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Credentials {
    /// An application, which fetches tokens for itself.
    Client(ClientCredentials),
    /// A user of a Business Central server, with a password or a web service access key.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that somebody else renews.
    Bearer {
        /// Where it is.
        token: Secret,
    },
}

/// An application.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "ClientKeys")]
pub struct ClientCredentials {
    /// Its client id.
    pub client_id: String,
    /// How it proves who it is.
    pub proof: Proof,
    /// Where tokens are issued; Microsoft Entra's address for the environment's tenant when left out.
    pub token_url: Option<SecureUrl>,
    /// What tokens are for.
    pub scope: String,
}

/// An application, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientKeys {
    client_id: String,
    client_secret: Option<Secret>,
    client_assertion_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "some_url")]
    token_url: Option<SecureUrl>,
    #[serde(default = "business_central")]
    scope: String,
}

impl TryFrom<ClientKeys> for ClientCredentials {
    type Error = &'static str;

    fn try_from(keys: ClientKeys) -> Result<Self, &'static str> {
        Ok(Self {
            client_id: keys.client_id,
            proof: Proof::of(keys.client_secret, keys.client_assertion_file)?,
            token_url: keys.token_url,
            scope: keys.scope,
        })
    }
}

fn business_central() -> String {
    "https://api.businesscentral.dynamics.com/.default".to_owned()
}

/// Reads an address that secrets may be sent to.
pub(crate) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecureUrl, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|wrong| de::Error::custom(format!("'{}' {wrong}", without_credentials(&text))))
}

/// Reads such an address where there may be none.
pub(crate) fn some_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecureUrl>, D::Error> {
    url(deserializer).map(Some)
}

fn without_credentials(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest)
}

/// What a request is signed with.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) header: HeaderValue,
    /// Whether there may be another one.
    pub(super) is_renewable: bool,
}

struct Fetched {
    header: HeaderValue,
    renewed_at: Instant,
}

/// Who a driver is at its target.
pub(super) struct SignIn {
    credentials: Credentials,
    token_url: Option<SecureUrl>,
    fetched: Mutex<Option<Fetched>>,
    /// All secrets that were sent, to be kept out of what is told.
    sent: Plain<BTreeSet<String>>,
}

impl SignIn {
    /// `token_url` is where tokens are issued unless the credentials say so.
    pub(super) fn new(credentials: Credentials, token_url: Option<SecureUrl>) -> Self {
        let token_url = match &credentials {
            Credentials::Client(client) => client.token_url.clone().or(token_url),
            _ => None,
        };
        Self {
            credentials,
            token_url,
            fetched: Mutex::default(),
            sent: Plain::default(),
        }
    }

    pub(super) fn token_url(&self) -> Option<&SecureUrl> {
        self.token_url.as_ref()
    }

    /// The application that signs in, if it is one.
    pub(super) fn client_id(&self) -> Option<&str> {
        match &self.credentials {
            Credentials::Client(client) => Some(&client.client_id),
            _ => None,
        }
    }

    /// `text` without any secret that was sent.
    pub(super) fn clean(&self, text: &str) -> String {
        let sent = self.sent.lock().map(|sent| sent.clone()).unwrap_or_default();
        sent.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "***")
        })
    }

    fn keep_out(&self, secret: &SecretString) {
        let secret = secret.expose_secret();
        if let (true, Ok(mut sent)) = (secret.len() >= SHORTEST_SECRET, self.sent.lock()) {
            sent.insert(secret.to_owned());
        }
    }

    fn read(&self, secret: &Secret) -> Result<SecretString, Failure> {
        let secret = secret.read().map_err(unset)?;
        self.keep_out(&secret);
        Ok(secret)
    }

    /// What a request for a token says to prove who asks.
    async fn prove(&self, proof: &Proof) -> Result<Vec<(&'static str, SecretString)>, Failure> {
        let proof = proof.read().map_err(unset)?;
        let fields = proof.fields().await.map_err(|missing| unset(Chain(&missing)))?;
        let secrets = fields.iter().filter(|(name, _)| *name != "client_assertion_type");
        secrets.for_each(|(_, text)| self.keep_out(text));
        Ok(fields)
    }

    /// What to sign the next request with.
    pub(super) async fn authorization(&self, connection: &Connection) -> Result<Authorization, Failure> {
        let once = |header| Authorization {
            header,
            is_renewable: false,
        };
        match &self.credentials {
            Credentials::Basic { user, password } => {
                let password = self.read(password)?;
                let both = SecretString::from(
                    BASE64_STANDARD.encode(format!("{user}:{}", password.expose_secret())),
                );
                self.keep_out(&both);
                Ok(once(header("Basic", &both)?))
            }
            Credentials::Bearer { token } => Ok(once(header("Bearer", &self.read(token)?)?)),
            Credentials::Client(client) => self.token(client, connection).await,
        }
    }

    async fn token(
        &self,
        client: &ClientCredentials,
        connection: &Connection,
    ) -> Result<Authorization, Failure> {
        let mut fetched = self.fetched.lock().await;
        if let Some(known) = fetched.as_ref().filter(|known| known.renewed_at > Instant::now()) {
            return Ok(Authorization {
                header: known.header.clone(),
                is_renewable: true,
            });
        }
        let new = self.fetch(client, connection).await?;
        let header = new.header.clone();
        *fetched = Some(new);
        Ok(Authorization {
            header,
            is_renewable: true,
        })
    }

    /// Forgets a token that was refused, unless it has been replaced meanwhile.
    pub(super) async fn forget(&self, refused: &Authorization) {
        let mut fetched = self.fetched.lock().await;
        fetched.take_if(|known| known.header == refused.header);
    }

    async fn fetch(&self, client: &ClientCredentials, connection: &Connection) -> Result<Fetched, Failure> {
        let Some(issuer) = &self.token_url else {
            return Err(unset("No token_url says where tokens are issued"));
        };
        let mut tries = connection.tries();
        loop {
            let proof = self.prove(&client.proof).await?;
            let mut form = vec![
                ("grant_type", "client_credentials"),
                ("client_id", &client.client_id),
                ("scope", &client.scope),
            ];
            form.extend(proof.iter().map(|(name, text)| (*name, text.expose_secret())));
            let request = connection
                .client
                .request(Method::POST, (**issuer).clone())
                .form(&form);
            let within = connection.settings.read_within;
            let asked = Instant::now();
            match connection.send(request, &Content::Empty, within).await {
                OnceSent::Answer(answer) if answer.status.is_success() => {
                    return self.read_token(&answer, asked);
                }
                OnceSent::Answer(answer) if answer.is_passing() || answer.is_uncertain() => {
                    let text = format!("The token issuer answered {}", answer.status);
                    tries
                        .pause_or(Failure::new(FailureCause::Connection, text), answer.retry_after())
                        .await?;
                }
                OnceSent::Answer(answer) => return Err(self.refused(&answer)),
                OnceSent::Trouble(Trouble { text, .. }) => {
                    let text = format!("No token: {text}");
                    tries
                        .pause_or(Failure::new(FailureCause::Connection, text), None)
                        .await?;
                }
            }
        }
    }

    fn read_token(&self, answer: &Answer, asked: Instant) -> Result<Fetched, Failure> {
        #[derive(Deserialize)]
        struct Token {
            access_token: SecretString,
            #[serde(default)]
            expires_in: Value,
        }
        let no_token = || {
            Failure::new(
                FailureCause::Connection,
                "The token issuer's answer holds no access token",
            )
        };
        let token: Token = answer.json().map_err(|_| no_token())?;
        self.keep_out(&token.access_token);
        let life = life(&token.expires_in).unwrap_or(USUAL_LIFE);
        Ok(Fetched {
            header: header("Bearer", &token.access_token)?,
            renewed_at: asked + life.saturating_sub(MARGIN.min(life / 2)),
        })
    }

    fn refused(&self, answer: &Answer) -> Failure {
        let text = format!("The token issuer refused to sign in: {}", answer.told());
        Failure::new(FailureCause::Permission, self.clean(&text))
    }
}

/// Nothing to sign in with, for a reason that whoever configured the agent can remove.
fn unset(reason: impl ToString) -> Failure {
    Failure {
        hint: Some(CONFIGURATION),
        ..Failure::new(FailureCause::Permission, reason.to_string())
    }
}

/// Seconds; Microsoft's older endpoints write them as text.
fn life(expires_in: &Value) -> Option<Duration> {
    let seconds = expires_in
        .as_u64()
        .or_else(|| expires_in.as_str()?.parse().ok())?;
    Some(Duration::from_secs(seconds.min(86_400)))
}

fn header(scheme: &str, secret: &SecretString) -> Result<HeaderValue, Failure> {
    let value = HeaderValue::from_str(&format!("{scheme} {}", secret.expose_secret()));
    let mut value = value.map_err(|_| {
        Failure::new(
            FailureCause::Permission,
            "What was given as a token or a password has characters that no header can carry",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}
