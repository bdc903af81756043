//! `/apps/{appId}/environments/…/tags`: the vendor's own words on the environments that have the app.

use super::{
    extract::{RequestContext, SmallBody},
    repeat::KeyHeader,
};
use crate::{
    actions::{
        listing,
        tags::{self, READ, WRITE},
    },
    error::Result,
    wire_rows,
};
use axum::{extract::Path, response::Response};
use domain::{
    access::Permission,
    environment::EnvironmentKey,
    ids::{AppId, TenantId},
};
use store::list::ListRequest;
use wire::{
    ErrorBody,
    tags::{
        EnvironmentTags, EnvironmentTagsBody, TagsChange, TagsChangeBody, TagsChangeRequest, TagsRequest,
    },
};

/// App, tenant, family and name.
type TagsPath = Path<(String, String, String, String)>;

async fn addressed(
    context: &RequestContext,
    (app, tenant, family, name): &(String, String, String, String),
    permission: Permission,
) -> Result<(AppId, EnvironmentKey)> {
    let app = context.app(app)?;
    let tenant: TenantId = context.key(app, ("aadTenantId", tenant), permission).await?;
    Ok((app, EnvironmentKey::new(tenant, family, name)))
}

fn fragment(app: AppId) -> String {
    format!("apps({app})/environments/tags")
}

/// Gets the words that the app's vendor has put on an environment.
#[utoipa::path(get, path = "/apps/{appId}/environments/{aadTenantId}/{applicationFamily}/{name}/tags", tag = "tags",
    params(("appId" = uuid::Uuid, Path), ("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path),
        ("name" = String, Path)),
    responses((status = 200, body = EnvironmentTags), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_tags(Path(path): TagsPath, context: RequestContext) -> Result<Response> {
    let (app, key) = addressed(&context, &path, READ).await?;
    let tagged = tags::get_tags(context.service(), &context.principal, app, &key).await?;
    context.found(&wire_rows::environment(tagged)?.with_tags(), &fragment(app))
}

/// Puts words of the app's vendor on an environment, in place of those that it has.
///
/// They are the app's own: other vendors, customers and events never show them. Environments can be listed and planned for by
/// them, `$filter=tags/any(t:t eq 'ring0')`, and show them when they are selected.
#[utoipa::path(put, path = "/apps/{appId}/environments/{aadTenantId}/{applicationFamily}/{name}/tags", tag = "tags",
    params(("appId" = uuid::Uuid, Path), ("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path),
        ("name" = String, Path), KeyHeader),
    request_body = EnvironmentTagsBody,
    responses((status = 200, body = EnvironmentTags), (status = "default", body = ErrorBody)))]
pub(crate) async fn put_tags(
    Path(path): TagsPath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (app, key) = addressed(&context, &path, WRITE).await?;
    context.expect_entity::<EnvironmentTags>(app, WRITE).await?;
    context.expect_no_tag(app, WRITE).await?;
    let request = TagsRequest::read(&body, &key);
    let request = context.reveal_to_permitted(app, WRITE, request).await?;
    let conditions = context.conditions(&body);
    let conditions = context.reveal_to_permitted(app, WRITE, conditions).await?;
    let (service, principal) = (context.service(), &context.principal);
    let tagged = tags::put_tags(service, principal, app, key, request.tags, conditions).await?;
    context.entity(&wire_rows::environment(tagged)?.with_tags(), &fragment(app))
}

/// Puts words on all environments for which a filter holds, in whichever country they are, and takes others from them.
///
/// Some hundreds are changed together. What comes to the same may be asked again: whoever got no answer does so.
#[utoipa::path(post, path = "/apps/{appId}/environments/tags", tag = "tags",
    params(("appId" = uuid::Uuid, Path)), request_body = TagsChangeBody,
    responses((status = 200, body = TagsChange), (status = "default", body = ErrorBody)))]
pub(crate) async fn change_tags(
    Path(app): Path<String>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    context.expect_entity::<TagsChange>(app, WRITE).await?;
    context.expect_no_tag(app, WRITE).await?;
    let request = TagsChangeRequest::read(&body);
    let request = context.reveal_to_permitted(app, WRITE, request).await?;
    let chosen = ListRequest::filtered(&listing::ENVIRONMENTS, Some(&request.filter));
    let chosen = context.reveal_to_permitted(app, WRITE, chosen).await?;
    let changed = tags::change_tags(context.service(), &context.principal, app, request, chosen).await?;
    context.entity(&changed, &fragment(app))
}
