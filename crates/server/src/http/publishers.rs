//! `/apps/{appId}/trustedPublishers` and `/apps/{appId}/tokens`: which runs of pipelines may act for the app, and what they
//! were given.

use super::{
    extract::{RequestContext, SmallBody},
    lists::{self, ListPath, fragment},
    options::ListQuery,
    repeat::KeyHeader,
};
use crate::{
    actions::{
        listing::{self, ListScope},
        publishers::{self, READ, WRITE},
    },
    error::Result,
    wire_rows,
};
use axum::{
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::access::{Permission, Resource};
use uuid::Uuid;
use wire::{
    ErrorBody, List,
    publishers::{Token, TrustedPublisher, TrustedPublisherBody, TrustedPublisherRequest},
};

const RESOURCE: Resource = Resource::TrustedPublishers;

/// The keys of a publisher in a path.
type PublisherPath = Path<(String, String)>;

/// Lists the trusted publishers of the app.
#[utoipa::path(get, path = "/apps/{appId}/trustedPublishers", tag = "trustedPublishers",
    params(("appId" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<TrustedPublisher>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_trusted_publishers(
    Path(path): Path<ListPath>,
    context: RequestContext,
) -> Result<Response> {
    let list = (RESOURCE, &*listing::TRUSTED_PUBLISHERS);
    lists::list(&context, path, list, wire_rows::trusted_publisher).await
}

/// Gets one trusted publisher of the app.
#[utoipa::path(get, path = "/apps/{appId}/trustedPublishers/{id}", tag = "trustedPublishers",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = TrustedPublisher), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_trusted_publisher(
    Path((app, id)): PublisherPath,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), READ).await?;
    let publisher = publishers::get_trusted_publisher(context.service(), &context.principal, app, id).await?;
    context.found(
        &wire_rows::trusted_publisher(publisher)?,
        &fragment(RESOURCE, app, None),
    )
}

/// Trusts a publisher under an id that the caller chooses, or changes what is said of one.
///
/// With ids it is Active. Without, it is Pending for 7 days, its ids are those of the first run that fits, and it may upload
/// Preview versions alone until an Owner repeats them with `confirmed`.
#[utoipa::path(put, path = "/apps/{appId}/trustedPublishers/{id}", tag = "trustedPublishers",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path), KeyHeader), request_body = TrustedPublisherBody,
    responses((status = 200, body = TrustedPublisher), (status = 201, body = TrustedPublisher),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn put_trusted_publisher(
    Path((app, id)): PublisherPath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), WRITE).await?;
    context.expect_entity::<TrustedPublisher>(app, WRITE).await?;
    let request = TrustedPublisherRequest::read(&body, id);
    let request = context.reveal_to_permitted(app, WRITE, request).await?;
    let conditions = context.conditions(&body);
    let conditions = context.reveal_to_permitted(app, WRITE, conditions).await?;
    let (publisher, is_new) = publishers::put_trusted_publisher(
        context.service(),
        &context.principal,
        app,
        id,
        request,
        conditions,
    )
    .await?;
    let publisher = wire_rows::trusted_publisher(publisher)?;
    let mut response = context.entity(&publisher, &fragment(RESOURCE, app, None))?;
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// Trusts a publisher no more; whatever its runs were given ends at once.
#[utoipa::path(delete, path = "/apps/{appId}/trustedPublishers/{id}", tag = "trustedPublishers",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_trusted_publisher(
    Path((app, id)): PublisherPath,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), WRITE).await?;
    let conditions = context.preconditions.clone();
    publishers::delete_trusted_publisher(context.service(), &context.principal, app, id, conditions).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lists the tokens that open the app and have not ended.
///
/// Of each it is shown whose it is, when it was given, when it ends, when it was last used, and its last four characters.
#[utoipa::path(get, path = "/apps/{appId}/tokens", tag = "trustedPublishers",
    params(("appId" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<Token>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_tokens(Path(app): Path<String>, context: RequestContext) -> Result<Response> {
    let app = context.app(&app)?;
    let scope = ListScope::TokensOf {
        principal: &context.principal,
        app,
    };
    let permission = Permission::read(Resource::Tokens);
    let wanted = context.wanted(&listing::TOKENS);
    let wanted = context.reveal_to_permitted(app, permission, wanted).await?;
    let list = (&*listing::TOKENS, &*fragment(Resource::Tokens, app, None));
    lists::list_wanted(&context, scope, list, wanted, wire_rows::token).await
}

/// Ends a token of the app before its time; whoever has it is nobody with the next request.
#[utoipa::path(delete, path = "/apps/{appId}/tokens/{id}", tag = "trustedPublishers",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn revoke_token(
    Path((app, id)): PublisherPath,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let permission = Permission::write(Resource::Tokens);
    let id: Uuid = context.key(app, ("id", &id), permission).await?;
    context.preconditions.check_untagged()?;
    publishers::revoke_token(context.service(), &context.principal, app, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
