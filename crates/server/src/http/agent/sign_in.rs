//! `/agent/v1/enrol` and `/agent/v1/token`: how an agent comes by its tokens; and `/tokens/leaked`, how they come to an end
//! when somebody finds them.

use crate::{
    actions::agents::{self, GivenToken},
    error::Result,
    http::{
        agent::{AgentHeaders, answer, read},
        extract::{AgentContext, AppState, SmallBody},
        request_info::RequestInfo,
    },
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use wire::{
    ErrorBody,
    agent::{AgentToken, Enrolment, LeakedTokens},
};

/// Exchanges an enrolment code for a token. The code is good once; the answer is not given a second time.
#[utoipa::path(post, path = "/enrol", tag = "agent", security(()), request_body = Enrolment,
    responses((status = 200, body = AgentToken), (status = "default", body = ErrorBody)))]
pub(crate) async fn enrol_agent(
    State(state): State<Arc<AppState>>,
    Extension(info): Extension<Arc<RequestInfo>>,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let Enrolment { code } = read(&body)?;
    let given = agents::enrol(&state.service, &code, info.arrival()).await?;
    given_token(&info, given)
}

/// Gives the agent a new token in the place of the one that it signed in with, which is good until the
/// new one is used, and ten minutes more.
#[utoipa::path(post, path = "/token", tag = "agent", params(AgentHeaders),
    responses((status = 200, body = AgentToken), (status = "default", body = ErrorBody)))]
pub(crate) async fn rotate_agent_token(context: AgentContext) -> Result<Response> {
    let given = agents::rotate_token(context.service(), &context.caller).await?;
    given_token(&context.info, given)
}

/// Tells that tokens of this service were found where anybody could read them: an agent whose token is among them gets
/// nothing from then on, and a code is good for nothing. Whether they were any is not said.
#[utoipa::path(post, path = "/tokens/leaked", tag = "agent", security(()), request_body = LeakedTokens,
    responses((status = 202, description = "Whatever was among them has come to its end."),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn report_leaked_tokens(
    State(state): State<Arc<AppState>>,
    Extension(info): Extension<Arc<RequestInfo>>,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let LeakedTokens { tokens } = read(&body)?;
    agents::end_leaked(&state.service, &tokens, info.arrival()).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

fn given_token(info: &RequestInfo, given: GivenToken) -> Result<Response> {
    let mut response = answer(
        info,
        &AgentToken {
            name: given.name,
            token: given.token.text().to_owned(),
            expires_on: given.until.to_string(),
        },
    )?;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}
