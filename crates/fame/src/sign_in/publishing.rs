//! Trusted publishing: a pipeline shows the service who it is, and is given a short-lived token for the app whose owner
//! trusts it. Nothing is stored anywhere, and the token is given back at the end.

use super::{
    Source,
    pipelines::{AskedPipeline, Pipeline},
};
use crate::{failure::Failure, settings::Place};
use client::{Assertions, Error, IssuedToken, Issuers, SecureUrl, TokenSource};
use domain::instant::Instant;
use futures::future::BoxFuture;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use server::clock::wall_seconds;
use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A pipeline, and the service that trusts it.
struct TrustedPublishing {
    pipeline: AskedPipeline,
    issuers: Issuers,
    exchange: SecureUrl,
    token: SecureUrl,
    /// The token that was given last.
    given: Mutex<Option<SecretString>>,
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
    Ok(publishing.map(|publishing| Source::asked(NAME, why, publishing)))
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
    Ok(Source::asked(NAME, why, publishing))
}

impl fmt::Debug for TrustedPublishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedPublishing({:?})", self.pipeline)
    }
}

impl TrustedPublishing {
    /// Asks the service for whom tokens of pipelines are to be; nothing where it takes none.
    async fn open(place: &Place, pipeline: Pipeline) -> Result<Option<Self>, Failure> {
        let issuers = place.issuers(&place.url)?;
        let url = place.below(&["oidc", "audience"])?;
        let make = |http: reqwest::Client| -> BoxFuture<'_, _> {
            let request = http.get((*url).clone());
            Box::pin(async { Ok(request) })
        };
        let answer = match issuers.ask(&url, make).await {
            Ok(answer) => answer,
            // A service that knows no such door asks strangers who they are.
            Err(Error::SignInRefused {
                status: StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED,
                ..
            }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(audience) = answer.get("audience").and_then(Value::as_str) else {
            return Ok(None);
        };
        Ok(Some(Self {
            pipeline: pipeline.for_service(place, audience.to_owned())?,
            exchange: place.below(&["oidc", "exchange"])?,
            token: place.below(&["oidc", "token"])?,
            given: Mutex::default(),
            issuers,
        }))
    }

    async fn exchange(&self) -> client::Result<IssuedToken> {
        // Each is taken once, so that another try shows another one.
        let make = |http: reqwest::Client| -> BoxFuture<'_, _> {
            Box::pin(async move {
                let shown = self.pipeline.fetch().await?;
                let body = json!({ "token": shown.expose_secret() });
                Ok(http.post((*self.exchange).clone()).json(&body))
            })
        };
        let answer = self.issuers.ask(&self.exchange, make).await?;
        let token = answer
            .get("token")
            .and_then(Value::as_str)
            .ok_or(Error::NoToken)?;
        let text = SecretString::from(token);
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
        Ok(IssuedToken {
            text,
            life: life(&answer, wall_seconds()),
        })
    }

    async fn give_back(&self) {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(given) = given else {
            return;
        };
        let make = |http: reqwest::Client| -> BoxFuture<'_, _> {
            let request = http.delete((*self.token).clone());
            let request = request.bearer_auth(given.expose_secret());
            Box::pin(async move { Ok(request) })
        };
        // It ends by itself, and soon: what came of the command does not depend on it.
        drop(tokio::time::timeout(FAREWELL, self.issuers.ask(&self.token, make)).await);
    }
}

/// How long the end of a command waits for the token to be taken back.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long the token that `answer` gives lives, seen at `now` (seconds since 1970): not at all where that is not said.
fn life(answer: &Value, now: i64) -> Duration {
    let ends: Option<Instant> = answer["expiresOn"].as_str().and_then(|text| text.parse().ok());
    let left = ends.map(|ends| ends.to_timestamp().as_second().saturating_sub(now));
    Duration::from_secs(left.and_then(|left| left.try_into().ok()).unwrap_or(0))
}

impl TokenSource for TrustedPublishing {
    fn fetch(&self) -> BoxFuture<'_, client::Result<IssuedToken>> {
        Box::pin(self.exchange())
    }

    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.give_back())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_until_it_is_said_to_end() {
        let now = 1_790_000_000;
        let ends = |text: &str| life(&json!({ "expiresOn": text }), now).as_secs();
        assert_eq!(ends("2026-09-21T14:28:20Z"), 900);
        assert_eq!(ends("2026-09-21T14:13:19Z"), 0);
        assert_eq!(ends("soon"), 0);
        assert_eq!(life(&json!({}), now), Duration::ZERO);
    }
}
