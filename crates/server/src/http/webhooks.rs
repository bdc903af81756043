//! `/apps/{appId}/webhooks`: who is told of what happens to the app.

use super::{
    answer::insert,
    extract::{RequestContext, SmallBody},
    lists::{self, ListPath, fragment},
    options::ListQuery,
    repeat::KeyHeader,
};
use crate::{
    actions::{
        listing::{self, ListScope},
        webhooks::{self, READ, Reached, Saved, WRITE},
    },
    error::Result,
    wire_rows,
};
use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{access::Resource, ids::AppId};
use store::webhooks::Delivery;
use uuid::Uuid;
use wire::{
    ErrorBody, List,
    webhooks::{Webhook, WebhookBody, WebhookDelivery, WebhookRequest},
};

const RESOURCE: Resource = Resource::Webhooks;

/// The keys of a webhook in a path.
type WebhookPath = Path<(String, String)>;

fn described(app: AppId) -> String {
    fragment(RESOURCE, app, None)
}

/// Lists the webhooks of the app.
#[utoipa::path(get, path = "/apps/{appId}/webhooks", tag = "webhooks",
    params(("appId" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<Webhook>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_webhooks(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    lists::list(&context, path, (RESOURCE, &listing::WEBHOOKS), wire_rows::webhook).await
}

/// Gets one webhook of the app.
#[utoipa::path(get, path = "/apps/{appId}/webhooks/{id}", tag = "webhooks",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = Webhook), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_webhook(Path((app, id)): WebhookPath, context: RequestContext) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), READ).await?;
    let reached = Reached::Through(app);
    let webhook = webhooks::get_webhook(context.service(), &context.principal, reached, id).await?;
    context.found(&wire_rows::webhook(webhook)?, &described(app))
}

/// Makes a webhook of the app under an id that the caller chooses, or changes one.
///
/// The answer to a new one has the secret that deliveries are signed with (Standard Webhooks 1.0). No other answer has it.
#[utoipa::path(put, path = "/apps/{appId}/webhooks/{id}", tag = "webhooks",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path), KeyHeader), request_body = WebhookBody,
    responses((status = 200, body = Webhook), (status = 201, body = Webhook), (status = "default", body = ErrorBody)))]
pub(crate) async fn put_webhook(
    Path((app, id)): WebhookPath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), WRITE).await?;
    context.expect_entity::<Webhook>(app, WRITE).await?;
    let request = WebhookRequest::read(&body, id, true);
    let request = context.reveal_to_permitted(app, WRITE, request).await?;
    let conditions = context.conditions(&body);
    let conditions = context.reveal_to_permitted(app, WRITE, conditions).await?;
    let reached = Reached::Through(app);
    let saved = webhooks::put_webhook(
        context.service(),
        &context.principal,
        reached,
        id,
        request,
        conditions,
    )
    .await?;
    shown_once(&context, saved, &described(app))
}

/// Removes a webhook of the app.
#[utoipa::path(delete, path = "/apps/{appId}/webhooks/{id}", tag = "webhooks",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_webhook(
    Path((app, id)): WebhookPath,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), WRITE).await?;
    let (reached, conditions) = (Reached::Through(app), context.preconditions.clone());
    webhooks::delete_webhook(context.service(), &context.principal, reached, id, conditions).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Gives a webhook of the app another secret, shown this once. For 24 hours deliveries are signed with the one before too.
#[utoipa::path(post, path = "/apps/{appId}/webhooks/{id}/rotate", tag = "webhooks",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path), KeyHeader),
    responses((status = 200, body = Webhook), (status = "default", body = ErrorBody)))]
pub(crate) async fn rotate_webhook(
    Path((app, id)): WebhookPath,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), WRITE).await?;
    context.expect_entity::<Webhook>(app, WRITE).await?;
    let conditions = context.conditions(b"");
    let conditions = context.reveal_to_permitted(app, WRITE, conditions).await?;
    let reached = Reached::Through(app);
    let saved =
        webhooks::rotate_webhook(context.service(), &context.principal, reached, id, conditions).await?;
    shown_once(&context, saved, &described(app))
}

/// Sends a webhook of the app a `webhook.test`, which says no more than that it arrives: 10 times an hour for an app.
#[utoipa::path(post, path = "/apps/{appId}/webhooks/{id}/test", tag = "webhooks",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = WebhookDelivery), (status = "default", body = ErrorBody)))]
pub(crate) async fn test_webhook(Path((app, id)): WebhookPath, context: RequestContext) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), WRITE).await?;
    context.expect_entity::<WebhookDelivery>(app, WRITE).await?;
    context.expect_no_tag(app, WRITE).await?;
    let reached = Reached::Through(app);
    let sent = webhooks::test_webhook(context.service(), &context.principal, reached, id).await?;
    delivery(&context, sent, &described(app))
}

/// Lists what a webhook of the app was told, and is still to be told: for 14 days.
#[utoipa::path(get, path = "/apps/{appId}/webhooks/{id}/deliveries", tag = "webhooks",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<WebhookDelivery>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_webhook_deliveries(
    Path((app, id)): WebhookPath,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), READ).await?;
    let reached = Reached::Through(app);
    webhooks::get_webhook(context.service(), &context.principal, reached, id).await?;
    let scope = ListScope::OfWebhook {
        principal: Some((&context.principal, app)),
        webhook: id,
    };
    let list = (
        &*listing::DELIVERIES,
        &*format!("{}({id})/deliveries", described(app)),
    );
    lists::list_scope(&context, scope, list, wire_rows::webhook_delivery).await
}

/// Sends a webhook of the app once more what it was told, under the same id.
#[utoipa::path(post, path = "/apps/{appId}/webhooks/{id}/deliveries/{eventId}/replay", tag = "webhooks",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path), ("eventId" = uuid::Uuid, Path)),
    responses((status = 200, body = WebhookDelivery), (status = "default", body = ErrorBody)))]
pub(crate) async fn replay_webhook_delivery(
    Path((app, id, event)): Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), WRITE).await?;
    let event: Uuid = context.key(app, ("eventId", &event), WRITE).await?;
    context.expect_entity::<WebhookDelivery>(app, WRITE).await?;
    context.expect_no_tag(app, WRITE).await?;
    let reached = Reached::Through(app);
    let sent = webhooks::replay_delivery(context.service(), &context.principal, reached, id, event).await?;
    delivery(&context, sent, &described(app))
}

/// The answer that makes a webhook or its secret, which nobody else is to keep.
pub(crate) fn shown_once(context: &RequestContext, saved: Saved, fragment: &str) -> Result<Response> {
    let webhook = Webhook {
        secret: saved.secret,
        ..wire_rows::webhook(saved.webhook)?
    };
    let mut response = context.entity(&webhook, fragment)?;
    insert(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    if saved.is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// The answer that tells of one delivery.
pub(crate) fn delivery(context: &RequestContext, sent: Delivery, webhooks: &str) -> Result<Response> {
    let fragment = format!("{webhooks}({})/deliveries", sent.webhook_id);
    context.entity(&wire_rows::webhook_delivery(sent.into())?, &fragment)
}
