//! The agent API: how agents sign in, say what is installed, and take work on. It translates, and decides nothing.

pub(crate) mod inventory;
pub(crate) mod sign_in;

use super::{answer::json, request_info::RequestInfo};
use crate::error::{Error, Result};
use axum::{body::Body, http::StatusCode, response::Response};
use serde::Serialize;

/// An answer to an agent.
pub(crate) fn answer(info: &RequestInfo, shape: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(shape).map_err(Error::fault)?;
    Ok(json(info.format, StatusCode::OK, Body::from(body)))
}
