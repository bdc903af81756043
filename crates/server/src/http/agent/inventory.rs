//! `/agent/v1/inventory`: what is installed in the environments of an agent.

use crate::{
    actions::inventory,
    error::{Error, Result},
    http::{
        agent::{AgentHeaders, answer, read},
        extract::{AgentContext, InventoryBody},
    },
};
use axum::{extract::Request, response::Response};
use wire::{
    ErrorBody,
    agent::{Inventory, InventoryResult},
};

/// Says all that the agent serves: what it had and does not name any more is missing from then on.
#[utoipa::path(put, path = "/inventory", tag = "agent", params(AgentHeaders),
    request_body = Inventory,
    responses((status = 200, body = InventoryResult), (status = "default", body = ErrorBody)))]
pub(crate) async fn put_inventory(context: AgentContext, request: Request) -> Result<Response> {
    let mut body = InventoryBody::receive(&context, request).await?;
    let reported = read_apart(&mut body).await?;
    let taken = inventory::put_inventory(context.service(), &context.caller, reported).await?;
    answer(&context.info, &taken)
}

/// Says what has changed of what the agent serves: environments that are new or different, and those that are gone.
#[utoipa::path(patch, path = "/inventory", tag = "agent", params(AgentHeaders),
    request_body = Inventory,
    responses((status = 200, body = InventoryResult), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_inventory(context: AgentContext, request: Request) -> Result<Response> {
    let mut body = InventoryBody::receive(&context, request).await?;
    let reported = read_apart(&mut body).await?;
    let taken = inventory::patch_inventory(context.service(), &context.caller, reported).await?;
    answer(&context.info, &taken)
}

/// Reading tens of megabytes takes a processor for a while, which others need too. They are not kept for longer than that.
async fn read_apart(body: &mut InventoryBody) -> Result<Inventory> {
    let bytes = std::mem::take(&mut body.bytes);
    let reading = tokio::task::spawn_blocking(move || read(&bytes));
    Ok(reading.await.map_err(Error::fault)??)
}
