//! Trusted publishing: a pipeline shows the service who it is, and is given a short-lived token for each app whose owner
//! trusts it. Nothing is stored anywhere, and the tokens are given back at the end.

use super::{
    Source,
    pipelines::{AskedPipeline, Pipeline},
};
use crate::{
    failure::{Failure, told},
    settings::Place,
};
use client::{Assertions, Client, Credentials, Error, IssuedToken, Settings, TokenSource};
use domain::{ids::AppId, instant::Instant};
use futures::{FutureExt, future::BoxFuture, future::join_all};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use server::clock::wall_seconds;
use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use wire::publishers::{OidcAudience, PublisherExchange, PublisherToken};

/// A pipeline, and the service that trusts it.
pub(crate) struct TrustedPublishing {
    pipeline: AskedPipeline,
    /// How the service is reached.
    settings: Settings,
    /// What was given last, by the app that was asked for.
    given: Mutex<HashMap<Option<AppId>, PublisherToken>>,
}

/// The pipeline's own token, where this is a pipeline and the service takes such.
///
/// # Errors
/// Those of a service that is out of reach: it is not known then whether another source is meant.
pub(super) async fn offered(place: &Place) -> Result<Option<Source>, Failure> {
    let Some(pipeline) = Pipeline::found().filter(|_| !place.is_original()) else {
        return Ok(None);
    };
    let why = "this is a pipeline, and the service takes what pipelines prove themselves with";
    let publishing = TrustedPublishing::open(place, pipeline).await?;
    Ok(publishing.map(|publishing| source(why, publishing)))
}

const NAME: &str = "trusted publishing by this pipeline";

/// The same where it is what was named.
///
/// # Errors
/// [`Failure::NotSignedIn`] when this is no pipeline, or the service takes no such.
pub(super) async fn named(place: &Place, why: &str) -> Result<Source, Failure> {
    let Some(pipeline) = Pipeline::found() else {
        let hints: Vec<String> = super::pipelines::hints()
            .iter()
            .map(|hint| format!("\n  {hint}"))
            .collect();
        return Err(Failure::NotSignedIn(format!(
            "This is no pipeline that can prove which one it is.{}",
            hints.concat()
        )));
    };
    let publishing = TrustedPublishing::open(place, pipeline).await?;
    let publishing = publishing.ok_or_else(|| {
        Failure::NotSignedIn(format!(
            "{} takes no tokens of pipelines: it has no /oidc/audience.",
            place.host()
        ))
    })?;
    Ok(source(why, publishing))
}

fn source(why: &str, publishing: TrustedPublishing) -> Source {
    let publishing = Arc::new(publishing);
    Source {
        publishing: Some(Arc::clone(&publishing)),
        ..Source::new(NAME, why, Credentials::Source(publishing))
    }
}

impl fmt::Debug for TrustedPublishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedPublishing({:?})", self.pipeline)
    }
}

impl TrustedPublishing {
    /// Asks the service for whom tokens of pipelines are to be; nothing where it takes none.
    async fn open(place: &Place, pipeline: Pipeline) -> Result<Option<Self>, Failure> {
        let settings = place.settings(Credentials::Nobody);
        let answer = match Client::new(settings.clone())?.get_oidc_audience().json().await {
            Ok(answer) => answer,
            Err(error) if knows_no_such_door(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Ok(OidcAudience { audience }) = serde_json::from_value(answer) else {
            return Ok(None);
        };
        Ok(Some(Self {
            pipeline: pipeline.for_service(place, audience)?,
            settings,
            given: Mutex::default(),
        }))
    }

    /// What the run may on an app, as far as it was given a token for it.
    pub(crate) fn grant(&self, app: AppId) -> Option<PublisherToken> {
        self.grants().into_iter().find(|grant| grant.app_id == app.0)
    }

    /// What the run was given until now.
    pub(crate) fn grants(&self) -> Vec<PublisherToken> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.values().cloned().collect()
    }

    /// What the pipeline's own token says.
    ///
    /// # Errors
    /// What kept it from coming.
    pub(crate) async fn claims(&self) -> client::Result<Option<Value>> {
        let shown = self.pipeline.fetch().await?;
        Ok(client::claims(shown.expose_secret()))
    }

    async fn exchange(&self, app: Option<AppId>) -> client::Result<IssuedToken> {
        let given = match self.exchange_once(app).await {
            // Each is taken once, so that another try shows another one.
            Err(error) if error.is_unavailable() => self.exchange_once(app).await,
            ended => ended,
        };
        let given = given.map_err(|error| refusal(error, app))?;
        let issued = IssuedToken {
            text: SecretString::from(given.token.as_str()),
            life: life(&given.expires_on, wall_seconds()),
        };
        let mut kept = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(app, given);
        Ok(issued)
    }

    async fn exchange_once(&self, app: Option<AppId>) -> client::Result<PublisherToken> {
        let shown = self.pipeline.fetch().await?;
        let exchange = PublisherExchange {
            token: shown.expose_secret().to_owned(),
            app_id: app.map(|app| app.0),
            publisher_id: None,
        };
        Client::new(self.settings.clone())?
            .exchange_oidc_token(&exchange)
            .await
    }

    async fn give_back(&self) {
        let given = mem::take(&mut *self.given.lock().unwrap_or_else(PoisonError::into_inner));
        let ends = given.into_values().map(async |given| {
            let credentials = Credentials::Token(given.token.into());
            let settings = Settings {
                credentials,
                ..self.settings.clone()
            };
            Client::new(settings)?.end_oidc_token().await
        });
        // They end by themselves, and soon: what came of the command does not depend on it.
        drop(tokio::time::timeout(FAREWELL, join_all(ends)).await);
    }
}

/// Whether a service says so that it takes no tokens of pipelines: one that knows no such door may ask strangers who they
/// are.
fn knows_no_such_door(error: &Error) -> bool {
    let (Error::Refused(answer) | Error::Gateway(answer)) = error else {
        return false;
    };
    [StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED].contains(&answer.status)
}

/// Why a run was given nothing: whoever is not given a token is not signed in.
fn refusal(error: Error, app: Option<AppId>) -> Error {
    match error {
        Error::Refused(refusal) if app.is_none() && refusal.code() == "AmbiguousRequest" => {
            Error::NoSignIn(format!(
                "Several apps trust this pipeline, and a token is for one of them: name the app by its id.\n  {}",
                told(&refusal)
            ))
        }
        Error::Refused(refusal) if !is_passing(refusal.status) => Error::NoSignIn(told(&refusal)),
        error => error,
    }
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

/// How long the end of a command waits for the tokens to be taken back.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long a token that ends then lives, seen at `now` (seconds since 1970): not at all where that is not understood.
fn life(expires_on: &str, now: i64) -> Duration {
    let ends: Option<Instant> = expires_on.parse().ok();
    let left = ends.map(|ends| ends.to_timestamp().as_second().saturating_sub(now));
    Duration::from_secs(left.and_then(|left| left.try_into().ok()).unwrap_or(0))
}

impl TokenSource for TrustedPublishing {
    fn fetch(&self, app: Option<AppId>) -> BoxFuture<'_, client::Result<IssuedToken>> {
        self.exchange(app).boxed()
    }

    fn is_per_app(&self) -> bool {
        true
    }

    fn end(&self) -> BoxFuture<'_, ()> {
        self.give_back().boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_until_it_is_said_to_end() {
        let now = 1_790_000_000;
        let ends = |text: &str| life(text, now).as_secs();
        assert_eq!(ends("2026-09-21T14:28:20Z"), 900);
        assert_eq!(ends("2026-09-21T14:13:19Z"), 0);
        assert_eq!(ends("soon"), 0);
    }
}
