//! `/apps/{appId}/countries/{countryCode}/environmentHotfixes`: pushing a version to customers' environments.

use super::{
    answer::insert,
    extract::{RequestContext, SmallBody},
    lists::{self, ListPath, fragment},
    openapi::HowMany,
    options::{CountQuery, ListQuery},
};
use crate::{
    actions::{
        customers::registration,
        hotfixes::{self, ScheduleHotfix},
        listing,
        plan::{self, AskedStart},
        waits,
    },
    error::{Error, Result},
    wire_rows,
};
use axum::{extract::Path, http::HeaderName, response::Response};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    environment::EnvironmentKey,
    ids::{AppId, OperationId},
    problem::RuleError,
    version::AppVersion,
    waiting::WaitingFor,
};
use std::sync::Arc;
use store::hotfixes::HotfixEntry;
use utoipa::IntoParams;
use wire::{
    ErrorBody, List,
    hotfixes::{
        EnvironmentHotfix, HotfixPatch, HotfixPatchBody, HotfixRequest, HotfixRequestBody, PlanRow,
        WAITING_HEADER,
    },
};

const RESOURCE: Resource = Resource::EnvironmentHotfixes;
const READ: Permission = Permission::read(RESOURCE);
const WRITE: Permission = Permission::write(RESOURCE);
/// What of a hotfix is found out where it is selected.
const WAITING: &[&str] = &["expectedStart", "waitingFor"];

/// Says what is waited for, where something is.
fn told(mut response: Response, waiting_for: Option<WaitingFor>) -> Response {
    if let Some(word) = waiting_for {
        let header = HeaderName::from_static(WAITING_HEADER);
        insert(response.headers_mut(), header, word.as_str());
    }
    response
}

/// The query options of a plan. Its rows are shown whole.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described; the options are read from the raw query")]
pub(crate) struct PlanQuery {
    /// Which rows: an OData expression over their properties, and those that environments are listed with, such as
    /// `eligible eq false and reasons/any(r: r/code ne 'NotNewer')`. What is found out for each environment, `eligible`,
    /// `reasons`, `startsAt` and `waitingFor`, decides about the rows one by one.
    #[param(rename = "$filter")]
    filter: Option<String>,
    /// In which order, by the same properties.
    #[param(rename = "$orderby")]
    order_by: Option<String>,
    /// How many rows at most.
    #[param(rename = "$top", inline)]
    top: Option<HowMany>,
    /// How many rows to leave out at the beginning.
    #[param(rename = "$skip", inline)]
    skip: Option<HowMany>,
    /// Whether to tell how many rows there are.
    #[param(rename = "$count")]
    count: Option<bool>,
    /// `json`, with a degree of metadata.
    #[param(rename = "$format")]
    format: Option<String>,
}

/// The hotfix that an address names.
async fn addressed(
    context: &RequestContext,
    (app, country, hotfix): &(String, String, String),
    permission: Permission,
) -> Result<(AppId, CountryCode, OperationId)> {
    let app = context.app(app)?;
    let country = context.country(app, country, permission).await?;
    let hotfix = context.key(app, ("id", hotfix), permission).await?;
    Ok((app, country, hotfix))
}

/// Lists the hotfixes of the app in the country, the newest first.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes", tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ListQuery),
    responses((status = 200, body = List<EnvironmentHotfix>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_hotfixes(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    let service = Arc::clone(context.service());
    let complete = move |batch: Vec<HotfixEntry>, with_waits| {
        let service = Arc::clone(&service);
        async move {
            let named = batch.into_iter().map(|row| (row.operation, row.customer_name));
            let (operations, names): (Vec<_>, Vec<_>) = named.unzip();
            let waiting = waits::waits_if(&service, operations, with_waits).await?;
            Ok::<Vec<_>, Error>(waiting.into_iter().zip(names).collect())
        }
    };
    let added = (WAITING, complete);
    lists::list_with(
        &context,
        path,
        (RESOURCE, &listing::HOTFIXES),
        added,
        wire_rows::named_hotfix,
    )
    .await
}

/// Counts the hotfixes of the app in the country.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes/$count",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_hotfixes(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    lists::count(&context, path, (RESOURCE, &listing::HOTFIXES)).await
}

/// Explains for each environment whether a hotfix to the target could be scheduled now, why not, and when it would
/// start, if it were scheduled as `runAfter` and `ignoreUpgradeWindow` say. Nothing is changed by asking.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes/plan",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path),
        ("targetAppVersion" = String, Query, description = "The version to go to."),
        ("runAfter" = Option<String>, Query, format = DateTime, description = "When the hotfixes are to start at the earliest, such as \
            2026-11-30T18:00:00Z; left out, now."),
        ("ignoreUpgradeWindow" = Option<bool>, Query, description = "Whether they do not wait for the environments' update \
            windows."), PlanQuery),
    responses((status = 200, body = List<PlanRow>,
            headers(("fame-waiting-for" = String, description = "`Agent` where nobody is there to carry anything out."))),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn plan_hotfixes(
    Path((app, country)): Path<(String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(app, &country, READ).await?;
    let asked = context
        .reveal_to_permitted(app, READ, asked_plan(&context))
        .await?;
    let (request, select) = context
        .reveal_to_permitted(app, READ, context.list_request(&listing::PLANNED_ENVIRONMENTS))
        .await?;
    let plan = plan::plan_hotfixes(
        context.service(),
        &context.principal,
        app,
        country,
        asked,
        request,
    )
    .await?;
    let fragment = format!("{}/plan", fragment(RESOURCE, app, country));
    let response = lists::send_plan(&context, &select, plan.rows, &fragment).await?;
    Ok(told(response, plan.waiting_for))
}

/// Which version a plan is to, and when its hotfixes are to start.
fn asked_plan(context: &RequestContext) -> Result<(AppVersion, AskedStart)> {
    let options = context.custom_options(odata::Resource::Collection)?;
    let given = context.info.named_key.iter().flatten().cloned();
    let given: Vec<(String, String)> = options.into_iter().chain(given).collect();
    let named = |wanted: &str| {
        let found = given.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, text)| text.as_str())
    };
    let target = named("targetAppVersion").ok_or_else(|| {
        RuleError::invalid(
            "targetAppVersion",
            "'targetAppVersion' is required: ?targetAppVersion=16.0.1.2.",
        )
    })?;
    let target = target
        .parse()
        .map_err(|error: domain::version::InvalidVersion| invalid("targetAppVersion", error))?;
    let run_after = named("runAfter").map(str::parse).transpose();
    let ignores_window = named("ignoreUpgradeWindow").map(str::parse).transpose();
    let start = AskedStart {
        run_after: run_after.map_err(|error: domain::instant::InvalidInstant| invalid("runAfter", error))?,
        ignores_window: ignores_window
            .map_err(|_| invalid("ignoreUpgradeWindow", "'ignoreUpgradeWindow' is true or false"))?
            .unwrap_or_default(),
    };
    Ok((target, start))
}

fn invalid(option: &str, why: impl std::fmt::Display) -> Error {
    RuleError::invalid(option, format!("{why}.")).into()
}

/// Gets one hotfix, to see what became of it.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes/{id}",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = EnvironmentHotfix), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_hotfix(
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let (app, country, hotfix) = addressed(&context, &path, READ).await?;
    let service = context.service();
    let hotfix = hotfixes::get_hotfix(service, &context.principal, app, country, hotfix).await?;
    let with_wait = context.selects::<EnvironmentHotfix>(WAITING)?;
    let mut hotfix = waits::waits_if(service, vec![hotfix], with_wait).await?;
    let hotfix = hotfix.pop().ok_or_else(|| Error::fault("a hotfix got lost"))?;
    let name = match context.selects::<EnvironmentHotfix>(&["customerName"])? {
        true => registration::customer_name(service, hotfix.0.tenant_id).await?,
        false => None,
    };
    context.found(
        &wire_rows::named_hotfix((hotfix, name))?,
        &fragment(RESOURCE, app, country),
    )
}

/// Schedules a hotfix for one environment.
#[utoipa::path(post, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key within a day answers the same hotfix.")),
    request_body = HotfixRequestBody,
    responses((status = 200, body = EnvironmentHotfix,
            headers(("fame-waiting-for" = String, description = "What it waits for; left out where it can start now."))),
        (status = 201, body = EnvironmentHotfix,
            headers(("fame-waiting-for" = String, description = "What it waits for; left out where it can start now."))),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn schedule_hotfix(
    Path((app, country)): Path<(String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(app, &country, WRITE).await?;
    context.expect_entity::<EnvironmentHotfix>(app, WRITE).await?;
    context.expect_no_tag(app, WRITE).await?;
    let read = HotfixRequest::read(&body, app, country);
    let command = context.reveal_to_permitted(app, WRITE, read).await?;
    let repeatable = context.repeatable(&body);
    let repeatable = context.reveal_to_permitted(app, WRITE, repeatable).await?;
    let (service, principal) = (context.service(), &context.principal);
    let hotfix =
        hotfixes::schedule_hotfix(service, principal, app, country, command_of(command), repeatable).await?;
    let key = hotfix.id.to_string();
    let hotfix = waits::told_with(service, hotfix).await;
    let waiting_for = hotfix.1.waiting_for;
    let hotfix = wire_rows::waiting_hotfix(hotfix)?;
    let response = context.entity(&hotfix, &fragment(RESOURCE, app, country))?;
    Ok(told(context.created(response, &key), waiting_for))
}

fn command_of(request: HotfixRequest) -> ScheduleHotfix {
    ScheduleHotfix {
        environment: EnvironmentKey::new(
            request.tenant_id,
            &request.application_family,
            &request.environment_name,
        ),
        environment_family: request.application_family,
        environment_name: request.environment_name,
        environment_kind: request.environment_kind,
        target: request.target,
        run_after: request.run_after,
        ignore_window: request.ignore_window,
        despite_forecast: request.despite_forecast,
    }
}

/// Cancels a hotfix that has not begun.
#[utoipa::path(patch, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes/{id}",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("id" = uuid::Uuid, Path)),
    request_body = HotfixPatchBody,
    responses((status = 200, body = EnvironmentHotfix), (status = "default", body = ErrorBody)))]
pub(crate) async fn update_hotfix(
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (app, country, hotfix) = addressed(&context, &path, WRITE).await?;
    context.expect_entity::<EnvironmentHotfix>(app, WRITE).await?;
    context.expect_no_tag(app, WRITE).await?;
    let patch = context
        .reveal_to_permitted(app, WRITE, HotfixPatch::read(&body))
        .await?;
    let hotfix =
        hotfixes::update_hotfix(context.service(), &context.principal, app, country, hotfix, patch).await?;
    context.entity(&wire_rows::hotfix(hotfix)?, &fragment(RESOURCE, app, country))
}
