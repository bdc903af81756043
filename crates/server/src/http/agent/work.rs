//! `/agent/v1/claim` and `/agent/v1/operations`: what there is to do, how far it has come, and the packages for it.

use super::{AgentHeaders, answer, read};
use crate::{
    actions::work::{self, WorkRequest},
    blobs::ByteStream,
    error::Result,
    http::{
        download,
        extract::{AgentContext, SmallBody, id},
        openapi::FileBytes,
    },
    wire_rows,
};
use axum::{extract::Path, http::Method, response::Response};
use domain::ids::OperationId;
use futures::stream;
use wire::{
    ErrorBody,
    agent::{Claim, ClaimRequest, Finish, Finished, Renewal, Renewed},
};

/// Gives the agent operations that are due, and what it holds without knowing of it. With `waitSeconds` it waits for the
/// first; a later claim of the same agent ends that.
#[utoipa::path(post, path = "/claim", tag = "agent", params(AgentHeaders),
    request_body = ClaimRequest,
    responses((status = 200, body = Claim), (status = "default", body = ErrorBody)))]
pub(crate) async fn claim_operations(context: AgentContext, SmallBody(body): SmallBody) -> Result<Response> {
    let request = WorkRequest::read(read(&body)?)?;
    let parks = || context.exchange.waits();
    let work = work::claim_operations(context.service(), &context.caller, &request, parks).await?;
    answer(&context.info, &wire_rows::claim(work))
}

/// Says that work goes on, and how far it has come.
#[utoipa::path(post, path = "/operations/{id}/renew", tag = "agent",
    params(("id" = uuid::Uuid, Path), AgentHeaders), request_body = Renewal,
    responses((status = 200, body = Renewed), (status = "default", body = ErrorBody)))]
pub(crate) async fn renew_operation(
    Path(operation): Path<String>,
    context: AgentContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let operation = id("id", &operation)?;
    let lease = work::renew_operation(context.service(), &context.caller, operation, read(&body)?).await?;
    let renewed = Renewed {
        lease_seconds: wire_rows::seconds(lease),
    };
    answer(&context.info, &renewed)
}

/// Says how an operation ended. The same may be said again.
#[utoipa::path(post, path = "/operations/{id}/finish", tag = "agent",
    params(("id" = uuid::Uuid, Path), AgentHeaders), request_body = Finish,
    responses((status = 200, body = Finished), (status = "default", body = ErrorBody)))]
pub(crate) async fn finish_operation(
    Path(operation): Path<String>,
    context: AgentContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let operation = id("id", &operation)?;
    let ended = work::finish_operation(context.service(), &context.caller, operation, read(&body)?).await?;
    let finished = Finished {
        operation_id: ended.id.0,
        status: ended.status.to_string(),
    };
    answer(&context.info, &finished)
}

/// Sends the package of an operation that the agent holds, whole or a range of it. HEAD is no download.
#[utoipa::path(get, path = "/operations/{id}/package", tag = "agent",
    params(("id" = uuid::Uuid, Path), AgentHeaders),
    responses((status = 200, body = inline(FileBytes), content_type = "application/octet-stream"),
        (status = 206, body = inline(FileBytes), content_type = "application/octet-stream"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn get_operation_package(
    method: Method,
    Path(operation): Path<String>,
    context: AgentContext,
) -> Result<Response> {
    let operation: OperationId = id("id", &operation)?;
    let (service, caller) = (context.service(), &context.caller);
    let version = work::find_package(service, caller, operation).await?;
    let read = async |part| match method {
        Method::HEAD => Ok(Box::pin(stream::empty()) as ByteStream),
        _ => work::read_operation_package(service, caller, operation, &version, part).await,
    };
    download::send((&context.headers, &context.preconditions), &version, read).await
}
