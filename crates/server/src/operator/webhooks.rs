//! `/operator/v1/webhooks`: the operator's own, which are told of everything, and those of all apps to look at, to stop and
//! to remove.

use crate::{
    actions::{
        listing::{self, ListScope},
        webhooks::{self, Reached},
    },
    error::Result,
    http::{
        extract::{OperatorContext, SmallBody, id},
        lists,
        options::ListQuery,
        repeat::KeyHeader,
        webhooks::{delivery, shown_once},
    },
    wire_rows,
};
use axum::{
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use uuid::Uuid;
use wire::{
    ErrorBody, List,
    webhooks::{Webhook, WebhookBody, WebhookDelivery, WebhookRequest},
};

const REACHED: Reached = Reached::ByOperator;
const FRAGMENT: &str = "webhooks";

/// Lists all webhooks, and so the hosts that anything is sent to.
#[utoipa::path(get, path = "/webhooks", tag = "operator", params(ListQuery),
    responses((status = 200, body = List<Webhook>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_all_webhooks(OperatorContext(context): OperatorContext) -> Result<Response> {
    let list = (&*listing::WEBHOOKS, FRAGMENT);
    lists::list_scope(&context, ListScope::Everything, list, wire_rows::webhook).await
}

/// Gets one webhook, whoever's it is.
#[utoipa::path(get, path = "/webhooks/{id}", tag = "operator", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = Webhook), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_any_webhook(
    Path(webhook): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let webhook = id::<Uuid>("id", &webhook)?;
    let webhook = webhooks::get_webhook(context.service(), &context.principal, REACHED, webhook).await?;
    context.found(&wire_rows::webhook(webhook)?, FRAGMENT)
}

/// Makes a webhook of the operator, which is told of everything or of one tenant's environments, or changes any.
///
/// The answer to a new one has the secret that deliveries are signed with (Standard Webhooks 1.0). No other answer has it.
#[utoipa::path(put, path = "/webhooks/{id}", tag = "operator", params(("id" = uuid::Uuid, Path), KeyHeader),
    request_body = WebhookBody,
    responses((status = 200, body = Webhook), (status = 201, body = Webhook), (status = "default", body = ErrorBody)))]
pub(crate) async fn put_any_webhook(
    Path(webhook): Path<String>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let webhook = id::<Uuid>("id", &webhook)?;
    context.check_look::<Webhook>()?;
    let request = WebhookRequest::read(&body, webhook, false)?;
    let conditions = context.conditions(&body)?;
    let (service, principal) = (context.service(), &context.principal);
    let saved = webhooks::put_webhook(service, principal, REACHED, webhook, request, conditions).await?;
    shown_once(&context, saved, FRAGMENT)
}

/// Removes a webhook, whoever's it is.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "operator", params(("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_any_webhook(
    Path(webhook): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let webhook = id::<Uuid>("id", &webhook)?;
    let conditions = context.preconditions.clone();
    webhooks::delete_webhook(
        context.service(),
        &context.principal,
        REACHED,
        webhook,
        conditions,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Gives a webhook another secret, shown this once. For 24 hours deliveries are signed with the one before too.
#[utoipa::path(post, path = "/webhooks/{id}/rotate", tag = "operator", params(("id" = uuid::Uuid, Path), KeyHeader),
    responses((status = 200, body = Webhook), (status = "default", body = ErrorBody)))]
pub(crate) async fn rotate_any_webhook(
    Path(webhook): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let webhook = id::<Uuid>("id", &webhook)?;
    context.check_look::<Webhook>()?;
    let (service, principal) = (context.service(), &context.principal);
    let conditions = context.conditions(b"")?;
    let saved = webhooks::rotate_webhook(service, principal, REACHED, webhook, conditions).await?;
    shown_once(&context, saved, FRAGMENT)
}

/// Sends a webhook a `webhook.test`, which says no more than that it arrives.
#[utoipa::path(post, path = "/webhooks/{id}/test", tag = "operator", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = WebhookDelivery), (status = "default", body = ErrorBody)))]
pub(crate) async fn test_any_webhook(
    Path(webhook): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let webhook = id::<Uuid>("id", &webhook)?;
    context.check_look::<WebhookDelivery>()?;
    context.preconditions.check_untagged()?;
    let sent = webhooks::test_webhook(context.service(), &context.principal, REACHED, webhook).await?;
    delivery(&context, sent, FRAGMENT)
}

/// Lists what a webhook was told, and is still to be told: for 14 days.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "operator",
    params(("id" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<WebhookDelivery>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_any_webhook_deliveries(
    Path(webhook): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let webhook = id::<Uuid>("id", &webhook)?;
    webhooks::get_webhook(context.service(), &context.principal, REACHED, webhook).await?;
    let scope = ListScope::OfWebhook {
        principal: None,
        webhook,
    };
    let list = (
        &*listing::DELIVERIES,
        &*format!("{FRAGMENT}({webhook})/deliveries"),
    );
    lists::list_scope(&context, scope, list, wire_rows::webhook_delivery).await
}

/// Sends a webhook once more what it was told, under the same id.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/{eventId}/replay", tag = "operator",
    params(("id" = uuid::Uuid, Path), ("eventId" = uuid::Uuid, Path)),
    responses((status = 200, body = WebhookDelivery), (status = "default", body = ErrorBody)))]
pub(crate) async fn replay_any_webhook_delivery(
    Path((webhook, event)): Path<(String, String)>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let (webhook, event) = (id::<Uuid>("id", &webhook)?, id::<Uuid>("eventId", &event)?);
    context.check_look::<WebhookDelivery>()?;
    context.preconditions.check_untagged()?;
    let (service, principal) = (context.service(), &context.principal);
    let sent = webhooks::replay_delivery(service, principal, REACHED, webhook, event).await?;
    delivery(&context, sent, FRAGMENT)
}
