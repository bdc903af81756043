//! The agent API: how agents sign in, say what is installed, and take work on. It translates, and decides nothing.

pub(crate) mod inventory;
pub(crate) mod sign_in;
pub(crate) mod work;

use super::{answer::json, request_info::RequestInfo};
use crate::error::{Error, Result};
use axum::{body::Body, http::StatusCode, response::Response};
use domain::problem::RuleError;
use serde::{Serialize, de::DeserializeOwned};
use utoipa::IntoParams;
use uuid::Uuid;

/// What each call of a running agent says of it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(
    dead_code,
    reason = "only described; the headers are read where the agent signs in"
)]
struct AgentHeaders {
    #[param(rename = "fame-agent-session")]
    session: Uuid,
    #[param(rename = "fame-agent-ready")]
    ready: Option<bool>,
}

/// What an agent sent. Both sides are ours, so it is read as its shape is declared.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, RuleError> {
    wire::lenient::check_encoding(body)?;
    serde_json::from_slice(body)
        .map_err(|error| RuleError::invalid("body", format!("The body cannot be read: {error}.")))
}

/// An answer to an agent.
pub(crate) fn answer(info: &RequestInfo, shape: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(shape).map_err(Error::fault)?;
    Ok(json(info.format, StatusCode::OK, Body::from(body)))
}
