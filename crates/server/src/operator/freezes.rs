//! `/operator/v1/freezes`: the emergency stop.

use crate::{
    actions::{
        freezes,
        listing::{self, ListScope},
    },
    error::Result,
    http::{
        extract::{OperatorContext, SmallBody, id},
        lists,
        options::ListQuery,
        repeat::KeyHeader,
    },
    wire_rows,
};
use axum::{
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::freeze::Frozen;
use wire::{
    ErrorBody, List,
    operator::{Freeze, FreezeBody, FreezeRequest},
};

/// Lists all that is frozen.
#[utoipa::path(get, path = "/freezes", tag = "operator", params(ListQuery),
    responses((status = 200, body = List<Freeze>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_freezes(OperatorContext(context): OperatorContext) -> Result<Response> {
    let list = (&*listing::FREEZES, "freezes");
    lists::list_scope(&context, ListScope::Everything, list, wire_rows::freeze).await
}

/// Gets one freeze.
#[utoipa::path(get, path = "/freezes/{subject}", tag = "operator", params(("subject" = String, Path)),
    responses((status = 200, body = Freeze), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_freeze(
    Path(subject): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let freeze = freezes::get_freeze(context.service(), id::<Frozen>("subject", &subject)?).await?;
    context.found(&wire_rows::freeze(freeze)?, "freezes")
}

/// Freezes an app (`app:ID`), a user or an application (`principal:ID`), all `scheduling`, all `webhooks`, or those of an
/// app (`webhooks:APP-ID`), and says why.
///
/// Nothing about a frozen app is changed, and a frozen principal changes nothing: 403 with `Frozen` and the reason. Hotfixes
/// of the app, or that the principal asked for, do not begin; those that wait can be canceled. What has begun goes on, and so
/// does reading. While webhooks are frozen nothing is sent to them; what happens meanwhile is sent afterwards.
#[utoipa::path(put, path = "/freezes/{subject}", tag = "operator", params(("subject" = String, Path),
        KeyHeader),
    request_body = FreezeBody,
    responses((status = 200, body = Freeze), (status = 201, body = Freeze), (status = "default", body = ErrorBody)))]
pub(crate) async fn put_freeze(
    Path(subject): Path<String>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let subject = id::<Frozen>("subject", &subject)?;
    context.check_look::<Freeze>()?;
    let request = FreezeRequest::read(&body, subject)?;
    let conditions = context.conditions(&body)?;
    let (freeze, is_new) = freezes::put_freeze(
        context.service(),
        &context.principal,
        subject,
        request,
        conditions,
    )
    .await?;
    let mut response = context.entity(&wire_rows::freeze(freeze)?, "freezes")?;
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// Lets what was frozen go on.
#[utoipa::path(delete, path = "/freezes/{subject}", tag = "operator", params(("subject" = String, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_freeze(
    Path(subject): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let subject = id::<Frozen>("subject", &subject)?;
    let conditions = context.preconditions.clone();
    freezes::delete_freeze(context.service(), &context.principal, subject, conditions).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
