//! `/apps/{appId}/countries/{countryCode}/environmentHotfixes`: pushing a version to customers' environments.

use super::{
    answer::{Frame, created},
    extract::{Asking, Door, SmallBody, id},
    lists,
};
use crate::{
    actions::{
        hotfixes::{self, HotfixWish, Repeatable, shown},
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
    door: &Door,
    asking: &Asking,
    (app, country, hotfix): &(String, String, String),
    permission: Permission,
) -> Result<(AppId, CountryCode, OperationId)> {
    let app = asking.app(app)?;
    let country = asking.country(door, app, country, permission).await?;
    let hotfix = asking.understood(door, app, permission, id("id", hotfix)).await?;
    Ok((app, country, hotfix))
}

/// Lists the hotfixes of the app in the country, the newest first.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes", tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), lists::ListQuery),
    responses((status = 200, body = List<EnvironmentHotfix>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_hotfixes(
    State(door): State<Arc<Door>>,
    Path(path): Path<lists::ListPath>,
    asking: Asking,
) -> Result<Response> {
    lists::list(
        &door,
        &asking,
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
    State(door): State<Arc<Door>>,
    Path(path): Path<lists::ListPath>,
    asking: Asking,
) -> Result<Response> {
    lists::count(
        &door,
        &asking,
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
    State(door): State<Arc<Door>>,
    Path((app, country)): Path<(String, String)>,
    asking: Asking,
) -> Result<Response> {
    let app = asking.app(&app)?;
    let country = asking.country(&door, app, &country, READ).await?;
    let target = asking.understood(&door, app, READ, target_of(&asking)).await?;
    let frame = Frame::new(&door, &asking);
    let (request, look) = asking
        .understood_query(&door, app, READ, lists::read(&frame, &listing::ENVIRONMENTS))
        .await?;
    let rows = plan::plan_hotfixes(&door.service, &asking.asker, app, country, target, request).await?;
    lists::plan_answer(&frame, look, rows, &format!("{}/plan", fragment(app, country))).await
}

fn target_of(asking: &Asking) -> Result<AppVersion, RuleError> {
    let options = lists::custom_options(&asking.context.query);
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
    State(door): State<Arc<Door>>,
    Path(path): Path<(String, String, String)>,
    asking: Asking,
) -> Result<Response> {
    let (app, country, hotfix) = addressed(&door, &asking, &path, READ).await?;
    let hotfix = hotfixes::get_hotfix(&door.service, &asking.asker, app, country, hotfix).await?;
    Frame::new(&door, &asking).entity(&shown(hotfix)?, &fragment(app, country))
}

/// Schedules a hotfix for one environment.
#[utoipa::path(post, path = "/apps/{appId}/countries/{countryCode}/environmentHotfixes",
    tag = "environmentHotfixes",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key within a day answers the same hotfix.")),
    request_body = HotfixRequestBody,
    responses((status = 200, body = EnvironmentHotfix), (status = "default", body = ErrorBody)))]
pub(crate) async fn schedule_hotfix(
    State(door): State<Arc<Door>>,
    Path((app, country)): Path<(String, String)>,
    asking: Asking,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = asking.app(&app)?;
    let country = asking.country(&door, app, &country, WRITE).await?;
    asking
        .expect_entity::<EnvironmentHotfix>(&door, app, WRITE)
        .await?;
    let read = HotfixRequest::read(&body, app, country);
    let wish = asking.understood(&door, app, WRITE, read).await?;
    let repeatable = repeatable(&asking, app, country, &body);
    let repeatable = asking.understood(&door, app, WRITE, repeatable).await?;
    let (service, asker) = (&door.service, &asking.asker);
    let hotfix = hotfixes::schedule_hotfix(service, asker, app, country, wish_of(wish), repeatable).await?;
    let frame = Frame::new(&door, &asking);
    let address = format!("{}/{}", frame.address().trim_end_matches('/'), hotfix.id);
    let response = frame.entity(&shown(hotfix)?, &fragment(app, country))?;
    Ok(created(&frame, response, &address))
}

fn wish_of(request: HotfixRequest) -> HotfixWish {
    HotfixWish {
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
    asking: &Asking,
    app: AppId,
    country: CountryCode,
    body: &[u8],
) -> Result<Option<Repeatable>, RuleError> {
    let Some(key) = asking.header("idempotency-key") else {
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
    State(door): State<Arc<Door>>,
    Path(path): Path<(String, String, String)>,
    asking: Asking,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (app, country, hotfix) = addressed(&door, &asking, &path, WRITE).await?;
    asking
        .expect_entity::<EnvironmentHotfix>(&door, app, WRITE)
        .await?;
    let patch = asking
        .understood(&door, app, WRITE, HotfixPatch::read(&body))
        .await?;
    let hotfix = hotfixes::update_hotfix(&door.service, &asking.asker, app, country, hotfix, patch).await?;
    Frame::new(&door, &asking).entity(&shown(hotfix)?, &fragment(app, country))
}
