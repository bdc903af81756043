//! `/oidc`: how the run of a pipeline comes by a token of the service's own, and ends it.

use super::{
    agent::{answer, read},
    extract::{AppState, SmallBody, begin},
    request_info::RequestInfo,
};
use crate::{
    actions::publishers::{self, End, Given, Wish},
    error::Result,
};
use auth::AuthFailure;
use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{country::CountryCode, ids::AppId, problem::RuleError};
use std::sync::Arc;
use wire::{
    ErrorBody,
    publishers::{OidcAudience, PublisherExchange, PublisherToken},
};

/// Longest token of a pipeline, bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Tells what a pipeline's own token has to be meant for (`aud`) to be exchanged here.
#[utoipa::path(get, path = "/oidc/audience", tag = "trustedPublishers", security(()),
    responses((status = 200, body = OidcAudience), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_oidc_audience(
    State(state): State<Arc<AppState>>,
    Extension(info): Extension<Arc<RequestInfo>>,
) -> Result<Response> {
    let audience = audience(&state, &info)?;
    answer(&info, &OidcAudience { audience })
}

/// Exchanges the token that a pipeline's issuer gave a run for a token of this service, which opens the vendor's API for one
/// app and as far as the app's trusted publisher says. A pipeline's token is good once.
#[utoipa::path(post, path = "/oidc/exchange", tag = "trustedPublishers", security(()), request_body = PublisherExchange,
    responses((status = 200, body = PublisherToken), (status = "default", body = ErrorBody)))]
pub(crate) async fn exchange_oidc_token(
    State(state): State<Arc<AppState>>,
    Extension(info): Extension<Arc<RequestInfo>>,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let audience = audience(&state, &info)?;
    let PublisherExchange {
        token,
        app_id,
        publisher_id,
    } = read(&body)?;
    if token.len() > LONGEST_TOKEN {
        let message = format!("'token' has {} bytes; it may have {LONGEST_TOKEN}.", token.len());
        return Err(RuleError::invalid("token", message).into());
    }
    let proven = state.authenticator.prove_pipeline(&token, &audience).await?;
    let wish = Wish {
        app: app_id.map(AppId),
        publisher: publisher_id,
    };
    let Given {
        publisher,
        token,
        until,
    } = publishers::exchange(&state.service, proven, wish, info.arrival()).await?;
    let grant = publisher.grant();
    let mut response = answer(
        &info,
        &PublisherToken {
            token: token.text().to_owned(),
            expires_on: until.to_string(),
            app_id: publisher.app_id.0,
            publisher_id: publisher.id,
            may: grant.rights().map(|right| right.to_string()).collect(),
            max_availability: grant.highest_availability().to_string(),
            countries: grant
                .countries
                .iter()
                .flatten()
                .map(CountryCode::to_string)
                .collect(),
        },
    )?;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

/// Ends the token that the request is made with.
///
/// It is what a run does last, so that nobody finds anything of use on its machine.
#[utoipa::path(delete, path = "/oidc/token", tag = "trustedPublishers",
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn end_oidc_token(State(state): State<Arc<AppState>>, request: Request) -> Result<Response> {
    let (parts, _) = request.into_parts();
    let (info, authorization) = begin(&parts)?;
    let refuse = |failure, detail| state.authenticator.refuse(failure, detail);
    let Some(sha256) = state.authenticator.publisher_token(authorization)? else {
        let failure = match authorization {
            Some(_) => AuthFailure::OtherApi,
            None => AuthFailure::Missing,
        };
        return Err(refuse(failure, "not the token of a run").into());
    };
    if !publishers::end_token(&state.service, sha256, End::Done, info.arrival()).await? {
        return Err(refuse(AuthFailure::Malformed, "no run has the token, or it has ended").into());
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// How the service calls itself, where any issuer of pipelines is enabled: on this machine as the caller calls it, elsewhere as
/// its operator does.
fn audience(state: &AppState, info: &RequestInfo) -> Result<String, RuleError> {
    let settings = &state.service.settings;
    let audience = info.origin(settings.server.public_url.as_deref());
    if audience.is_empty() || settings.identity.publishers.is_empty() {
        let message = "Trusted publishing is off here: the operator has enabled no issuer of pipelines \
                       (identity.publishers), or has not said how the service is reached (server.public_url).";
        return Err(RuleError::missing("oidc", message));
    }
    Ok(audience)
}
