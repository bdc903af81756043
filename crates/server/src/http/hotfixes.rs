//! `/apps/{appId}/countries/{countryCode}/environmentHotfixes`: pushing a version to customers' environments.

use super::{
    answer::{ResponseWriter, created},
    extract::{AppState, RequestContext, SmallBody, id},
    lists,
};
use crate::{
    actions::{
        hotfixes::{self, Repeatable, ScheduleHotfix, shown},
        listing, plan,
    },
    error::Result,
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    environment::EnvironmentKey,
    ids::{AppId, OperationId},
    problem::RuleError,
    version::AppVersion,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use wire::{
    ErrorBody, List,
    hotfixes::{EnvironmentHotfix, HotfixPatch, HotfixPatchBody, HotfixRequest, HotfixRequestBody, PlanRow},
};

const READ: Permission = Permission::read(Resource::EnvironmentHotfixes);
const WRITE: Permission = Permission::write(Resource::EnvironmentHotfixes);

/// Longest idempotency key, in characters.
const LONGEST_KEY: usize = 255;

fn fragment(app: AppId, country: CountryCode) -> String {
    format!("apps({app})/countries('{country}')/environmentHotfixes")
}

/// The hotfix that an address names.
async fn addressed(
    state: &AppState,
    context: &RequestContext,
    (app, country, hotfix): &(String, String, String),
    permission: Permission,
) -> Result<(AppId, CountryCode, OperationId)> {
    let app = context.app(app)?;
    let country = context.country(state, app, country, permission).await?;
    let hotfix = context
        .reveal_to_permitted(state, app, permission, id("id", hotfix))
        .await?;
    Ok((app, country, hotfix))
}

/// Lists the hotfixes of the app in the country, the newest first.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes", tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), lists::ListQuery),
    responses((status = 200, body = List<EnvironmentHotfix>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_hotfixes(
    State(state): State<Arc<AppState>>,
    Path(path): Path<lists::ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::list(
        &state,
        &context,
        path,
        (Resource::EnvironmentHotfixes, &listing::HOTFIXES),
        shown,
    )
    .await
}

/// Counts the hotfixes of the app in the country.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes/$count",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), lists::CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_hotfixes(
    State(state): State<Arc<AppState>>,
    Path(path): Path<lists::ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::count(
        &state,
        &context,
        path,
        (Resource::EnvironmentHotfixes, &listing::HOTFIXES),
    )
    .await
}

/// Explains for each environment whether a hotfix to the target could be scheduled now, why not, and when it would
/// start. Nothing is changed by asking.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes/plan",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path),
        ("targetAppVersion" = String, Query, description = "The version to go to."), lists::ListQuery),
    responses((status = 200, body = List<PlanRow>), (status = "default", body = ErrorBody)))]
pub(crate) async fn plan_hotfixes(
    State(state): State<Arc<AppState>>,
    Path((app, country)): Path<(String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(&state, app, &country, READ).await?;
    let target = context
        .reveal_to_permitted(&state, app, READ, target_of(&context))
        .await?;
    let writer = ResponseWriter::new(&state, &context);
    let (request, view) = context
        .reveal_query_errors(&state, app, READ, lists::read(&writer, &listing::ENVIRONMENTS))
        .await?;
    let rows = plan::plan_hotfixes(&state.service, &context.principal, app, country, target, request).await?;
    lists::plan_answer(&writer, view, rows, &format!("{}/plan", fragment(app, country))).await
}

fn target_of(context: &RequestContext) -> Result<AppVersion, RuleError> {
    let options = lists::custom_options(&context.info.query);
    let target = options
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("targetAppVersion"));
    let (_, text) = target.ok_or_else(|| {
        RuleError::invalid(
            "targetAppVersion",
            "'targetAppVersion' is required: ?targetAppVersion=16.0.1.2.",
        )
    })?;
    text.parse().map_err(|error: domain::version::InvalidVersion| {
        RuleError::invalid("targetAppVersion", format!("{error}."))
    })
}

/// Gets one hotfix, to see what became of it.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes/{id}",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = EnvironmentHotfix), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_hotfix(
    State(state): State<Arc<AppState>>,
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let (app, country, hotfix) = addressed(&state, &context, &path, READ).await?;
    let hotfix = hotfixes::get_hotfix(&state.service, &context.principal, app, country, hotfix).await?;
    ResponseWriter::new(&state, &context).entity(&shown(hotfix)?, &fragment(app, country))
}

/// Schedules a hotfix for one environment.
#[utoipa::path(post, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key within a day answers the same hotfix.")),
    request_body = HotfixRequestBody,
    responses((status = 200, body = EnvironmentHotfix), (status = "default", body = ErrorBody)))]
pub(crate) async fn schedule_hotfix(
    State(state): State<Arc<AppState>>,
    Path((app, country)): Path<(String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(&state, app, &country, WRITE).await?;
    context
        .expect_entity::<EnvironmentHotfix>(&state, app, WRITE)
        .await?;
    let read = HotfixRequest::read(&body, app, country);
    let command = context.reveal_to_permitted(&state, app, WRITE, read).await?;
    let repeatable = repeatable(&context, app, country, &body);
    let repeatable = context
        .reveal_to_permitted(&state, app, WRITE, repeatable)
        .await?;
    let (service, principal) = (&state.service, &context.principal);
    let hotfix =
        hotfixes::schedule_hotfix(service, principal, app, country, wish_of(command), repeatable).await?;
    let writer = ResponseWriter::new(&state, &context);
    let address = format!("{}/{}", writer.address().trim_end_matches('/'), hotfix.id);
    let response = writer.entity(&shown(hotfix)?, &fragment(app, country))?;
    Ok(created(&writer, response, &address))
}

fn wish_of(request: HotfixRequest) -> ScheduleHotfix {
    ScheduleHotfix {
        environment: EnvironmentKey::new(
            request.tenant_id,
            &request.application_family,
            &request.environment_name,
        ),
        environment_name: request.environment_name,
        environment_kind: request.environment_kind,
        target: request.target,
        run_after: request.run_after,
        ignore_window: request.ignore_window,
    }
}

fn repeatable(
    context: &RequestContext,
    app: AppId,
    country: CountryCode,
    body: &[u8],
) -> Result<Option<Repeatable>, RuleError> {
    let Some(key) = context.header("idempotency-key") else {
        return Ok(None);
    };
    let key = key.trim();
    if key.is_empty() || key.chars().count() > LONGEST_KEY {
        let message = format!("The Idempotency-Key must have 1 to {LONGEST_KEY} characters.");
        return Err(RuleError::invalid("Idempotency-Key", message));
    }
    Ok(Some(Repeatable {
        path: format!("apps/{app}/countries/{country}/environmentHotfixes"),
        key: key.to_owned(),
        body_sha256: Sha256::digest(body).into(),
    }))
}

/// Cancels a hotfix that has not begun.
#[utoipa::path(patch, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes/{id}",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("id" = uuid::Uuid, Path)),
    request_body = HotfixPatchBody,
    responses((status = 200, body = EnvironmentHotfix), (status = "default", body = ErrorBody)))]
pub(crate) async fn update_hotfix(
    State(state): State<Arc<AppState>>,
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (app, country, hotfix) = addressed(&state, &context, &path, WRITE).await?;
    context
        .expect_entity::<EnvironmentHotfix>(&state, app, WRITE)
        .await?;
    let patch = context
        .reveal_to_permitted(&state, app, WRITE, HotfixPatch::read(&body))
        .await?;
    let hotfix =
        hotfixes::update_hotfix(&state.service, &context.principal, app, country, hotfix, patch).await?;
    ResponseWriter::new(&state, &context).entity(&shown(hotfix)?, &fragment(app, country))
}
