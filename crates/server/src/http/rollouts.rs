//! `/apps/{appId}/rollouts`: one decision for many environments.

use super::{
    accept::NDJSON,
    answer::{json, streamed},
    extract::{RequestContext, SmallBody},
    lists::{self, ListPath, fragment},
    options::{CountQuery, ListQuery},
    repeat::KeyHeader,
};
use crate::{
    actions::{
        listing::{self, ListScope},
        rollouts::{self, CreateRollout, Piece, READ, Verb, WRITE},
    },
    error::{Error, Result},
    wire_rows,
};
use axum::{
    body::Body,
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use domain::{
    access::{Permission, Resource},
    ids::AppId,
    problem::RuleError,
};
use futures::TryStreamExt;
use std::sync::Arc;
use uuid::Uuid;
use wire::{
    ErrorBody, List,
    lenient::{self, Object},
    rollouts::{
        ApprovalPolicy, ApprovalPolicyBody, Rollout, RolloutBody, RolloutEnvironment, RolloutPlan,
        RolloutRequest, RolloutVerbBody, read_keys,
    },
};

const RESOURCE: Resource = Resource::Rollouts;
/// What is found out of a rollout where it is shown.
const LOOKED_UP: &[&str] = &["counts", "waves", "failures", "supersededBy"];
/// What is found out of its environments where it is selected.
const WAITING: &[&str] = &["expectedStart", "waitingFor"];

/// The keys of a rollout in a path.
type RolloutPath = Path<(String, String)>;

/// Lists the rollouts of the app, the newest first.
#[utoipa::path(get, path = "/apps/{appId}/rollouts", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<Rollout>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_rollouts(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    let service = Arc::clone(context.service());
    let complete = move |batch, _| {
        let service = Arc::clone(&service);
        async move { rollouts::complete(&service, batch).await }
    };
    lists::list_with(
        &context,
        path,
        (RESOURCE, &listing::ROLLOUTS),
        (LOOKED_UP, complete),
        wire_rows::rollout,
    )
    .await
}

/// Counts the rollouts of the app.
#[utoipa::path(get, path = "/apps/{appId}/rollouts/$count", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_rollouts(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    lists::count(&context, path, (RESOURCE, &listing::ROLLOUTS)).await
}

/// Gets one rollout of the app: where its environments stand, and what failed.
#[utoipa::path(get, path = "/apps/{appId}/rollouts/{id}", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = Rollout), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_rollout(Path((app, id)): RolloutPath, context: RequestContext) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), READ).await?;
    let entry = rollouts::get_rollout(context.service(), &context.principal, app, id).await?;
    context.found(&wire_rows::rollout(entry)?, &fragment(RESOURCE, app, None))
}

/// Lists the environments of a rollout.
#[utoipa::path(get, path = "/apps/{appId}/rollouts/{id}/environments", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<RolloutEnvironment>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_rollout_environments(
    Path((app, id)): RolloutPath,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), READ).await?;
    rollouts::get_rollout(context.service(), &context.principal, app, id).await?;
    let service = Arc::clone(context.service());
    let complete = move |batch, with_waits| {
        let service = Arc::clone(&service);
        async move { rollouts::complete_environments(&service, batch, with_waits).await }
    };
    let scope = ListScope::OfRollout {
        principal: &context.principal,
        app,
        rollout: id,
    };
    let described = format!("{}({id})/environments", fragment(RESOURCE, app, None));
    let list = (&*listing::ROLLOUT_ENVIRONMENTS, &*described);
    lists::list_scope_with(
        &context,
        scope,
        list,
        (WAITING, complete),
        wire_rows::rollout_environment,
    )
    .await
}

/// Explains what a rollout would come to, if it were made now. Nothing is changed by asking. With
/// `Accept: application/x-ndjson` the environments stream, one a line, and what they come to is the last line, as `summary`.
#[utoipa::path(post, path = "/apps/{appId}/rollouts/plan", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path)), request_body = RolloutBody,
    responses((status = 200, body = RolloutPlan), (status = "default", body = ErrorBody)))]
pub(crate) async fn plan_rollout(
    Path(app): Path<String>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let request = context
        .reveal_to_permitted(app, READ, RolloutRequest::read(&body))
        .await?;
    context.expect_no_tag(app, READ).await?;
    let (service, principal) = (context.service(), &context.principal);
    let streams = context
        .header("accept")
        .is_some_and(|accept| accept.contains(NDJSON));
    if streams {
        let pieces = rollouts::rows_of_plan(service, principal, app, &request.definition).await?;
        let lines = pieces.map_err(Error::from).and_then(async |piece| lines(piece));
        let mut response = json(context.info.format, StatusCode::OK, streamed(lines));
        let kind = HeaderValue::from_static(NDJSON);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        return Ok(response);
    }
    let plan = rollouts::plan_rollout(service, principal, app, &request.definition).await?;
    let body = serde_json::to_vec(&wire_rows::rollout_plan(plan)).map_err(Error::fault)?;
    Ok(json(context.info.format, StatusCode::OK, Body::from(body)))
}

/// A piece of a plan, as lines.
fn lines(piece: Piece) -> Result<Bytes> {
    let mut lines = Vec::new();
    match piece {
        Piece::Rows(rows) => {
            for row in &rows {
                serde_json::to_writer(&mut lines, &wire_rows::judged(row)).map_err(Error::fault)?;
                lines.push(b'\n');
            }
        }
        Piece::End(summary) => {
            let line = wire_rows::rollout_summary(&summary);
            serde_json::to_writer(&mut lines, &line).map_err(Error::fault)?;
            lines.push(b'\n');
        }
    }
    Ok(lines.into())
}

/// Makes a rollout. With the `fingerprint` of a plan it is made only if what was planned is still so.
#[utoipa::path(post, path = "/apps/{appId}/rollouts", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), KeyHeader), request_body = RolloutBody,
    responses((status = 201, body = Rollout), (status = "default", body = ErrorBody)))]
pub(crate) async fn create_rollout(
    Path(app): Path<String>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    context.expect_entity::<Rollout>(app, WRITE).await?;
    context.expect_no_tag(app, WRITE).await?;
    let request = context
        .reveal_to_permitted(app, WRITE, RolloutRequest::read(&body))
        .await?;
    let repeatable = context.repeatable(&body);
    let command = CreateRollout {
        definition: request.definition,
        fingerprint: request.fingerprint,
        may_shrink: request.may_shrink,
        repeatable: context.reveal_to_permitted(app, WRITE, repeatable).await?,
    };
    let made = rollouts::create_rollout(context.service(), &context.principal, app, command).await?;
    let mut rollout = wire_rows::rollout(made.0)?;
    rollout.warnings = wire_rows::rollout_warnings(made.1);
    let response = context.entity(&rollout, &fragment(RESOURCE, app, None))?;
    Ok(context.made(response, &rollout.id.to_string()))
}

/// Reads what somebody says who does something to a rollout; saying nothing is fine.
fn said(body: &[u8], known: &[&str]) -> Result<Object, RuleError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Object::default());
    }
    let object = lenient::object(body)?;
    object.only(known)?;
    Ok(object)
}

async fn does(
    (app, id): (String, String),
    context: RequestContext,
    verb: impl FnOnce() -> Result<Verb, RuleError>,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), WRITE).await?;
    context.expect_entity::<Rollout>(app, WRITE).await?;
    context.expect_no_tag(app, WRITE).await?;
    let verb = context.reveal_to_permitted(app, WRITE, verb()).await?;
    let entry = rollouts::change_rollout(context.service(), &context.principal, app, id, verb).await?;
    context.entity(&wire_rows::rollout(entry)?, &fragment(RESOURCE, app, None))
}

/// Approves a rollout of somebody else, which then begins.
#[utoipa::path(post, path = "/apps/{appId}/rollouts/{id}/approve", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = Option<RolloutVerbBody>,
    responses((status = 200, body = Rollout), (status = "default", body = ErrorBody)))]
pub(crate) async fn approve_rollout(
    Path(path): RolloutPath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let verb = || {
        let remark = said(&body, &["remark"])?.text("remark")?;
        Ok(Verb::Approve { remark })
    };
    does(path, context, verb).await
}

/// Rejects a rollout of somebody else, which is then Aborted.
#[utoipa::path(post, path = "/apps/{appId}/rollouts/{id}/reject", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = Option<RolloutVerbBody>,
    responses((status = 200, body = Rollout), (status = "default", body = ErrorBody)))]
pub(crate) async fn reject_rollout(
    Path(path): RolloutPath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let verb = || {
        let remark = said(&body, &["remark"])?.text("remark")?;
        Ok(Verb::Reject { remark })
    };
    does(path, context, verb).await
}

/// Pauses a rollout: after the answer nothing of it starts any more, until it is resumed.
#[utoipa::path(post, path = "/apps/{appId}/rollouts/{id}/pause", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = Option<RolloutVerbBody>,
    responses((status = 200, body = Rollout), (status = "default", body = ErrorBody)))]
pub(crate) async fn pause_rollout(
    Path(path): RolloutPath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let verb = || {
        let said = said(&body, &["withdraw", "reason"])?;
        Ok(Verb::Pause {
            withdraw: said.flag("withdraw")?.unwrap_or(false),
            reason: said.text("reason")?,
        })
    };
    does(path, context, verb).await
}

/// Resumes a rollout that is Paused.
#[utoipa::path(post, path = "/apps/{appId}/rollouts/{id}/resume", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = Option<RolloutVerbBody>,
    responses((status = 200, body = Rollout), (status = "default", body = ErrorBody)))]
pub(crate) async fn resume_rollout(
    Path(path): RolloutPath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let verb = || {
        let reason = said(&body, &["reason"])?.text("reason")?;
        Ok(Verb::Resume { reason })
    };
    does(path, context, verb).await
}

/// Opens the way from a wave that is AwaitingGate to the next.
#[utoipa::path(post, path = "/apps/{appId}/rollouts/{id}/advance", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = RolloutVerbBody,
    responses((status = 200, body = Rollout), (status = "default", body = ErrorBody)))]
pub(crate) async fn advance_rollout(
    Path(path): RolloutPath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let verb = || {
        let said = said(&body, &["wave"])?;
        let wave = said.text("wave")?.ok_or_else(|| said.required("wave"))?;
        Ok(Verb::Advance { wave })
    };
    does(path, context, verb).await
}

/// Tries environments again that failed or were refused, or those that are named.
#[utoipa::path(post, path = "/apps/{appId}/rollouts/{id}/retry", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = Option<RolloutVerbBody>,
    responses((status = 200, body = Rollout), (status = "default", body = ErrorBody)))]
pub(crate) async fn retry_rollout(
    Path(path): RolloutPath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let verb = || {
        let environments = read_keys(&said(&body, &["environments"])?, "environments")?;
        Ok(Verb::Retry { environments })
    };
    does(path, context, verb).await
}

/// Gives a rollout up: what waits of it is canceled, and what runs ends by itself.
#[utoipa::path(post, path = "/apps/{appId}/rollouts/{id}/abort", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = Option<RolloutVerbBody>,
    responses((status = 200, body = Rollout), (status = "default", body = ErrorBody)))]
pub(crate) async fn abort_rollout(
    Path(path): RolloutPath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let verb = || {
        let reason = said(&body, &["reason"])?.text("reason")?;
        Ok(Verb::Abort { reason })
    };
    does(path, context, verb).await
}

const POLICY: Resource = Resource::ApprovalPolicy;

fn policy_of(app: AppId) -> String {
    fragment(POLICY, app, None)
}

/// Says which rollouts of the app somebody else than their creator has to approve.
#[utoipa::path(get, path = "/apps/{appId}/approvalPolicy", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = ApprovalPolicy), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_approval_policy(
    Path(app): Path<String>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let policy = rollouts::get_approval_policy(context.service(), &context.principal, app).await?;
    context.found(&wire_rows::approval_policy(policy)?, &policy_of(app))
}

/// Decides which rollouts of the app somebody else than their creator has to approve.
#[utoipa::path(put, path = "/apps/{appId}/approvalPolicy", tag = "rollouts",
    params(("appId" = uuid::Uuid, Path), KeyHeader), request_body = ApprovalPolicyBody,
    responses((status = 200, body = ApprovalPolicy), (status = "default", body = ErrorBody)))]
pub(crate) async fn put_approval_policy(
    Path(app): Path<String>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let write = Permission::write(POLICY);
    let app = context.app(&app)?;
    context.expect_entity::<ApprovalPolicy>(app, write).await?;
    let approval = context
        .reveal_to_permitted(app, write, ApprovalPolicyBody::read(&body))
        .await?;
    let conditions = context.conditions(&body);
    let conditions = context.reveal_to_permitted(app, write, conditions).await?;
    let policy =
        rollouts::put_approval_policy(context.service(), &context.principal, app, approval, conditions)
            .await?;
    context.entity(&wire_rows::approval_policy(policy)?, &policy_of(app))
}
