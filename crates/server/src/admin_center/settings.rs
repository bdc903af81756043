//! What a customer chooses for an environment: its update window, and when apps are updated together with the platform.

use super::{AdminContext, EnvironmentPath, answer, named};
use crate::{
    actions::customers::{reading, settings},
    error::Result,
    http::extract::SmallBody,
};
use axum::{extract::Path, response::Response};
use domain::{instant::Instant, window::UpdateWindow};
use wire::admin_center::{
    AdminError, CadenceBody, CadenceRequest, Kept, UpgradeSettings, UpgradeSettingsBody,
    UpgradeSettingsRequest,
};

/// Gets an environment's update window.
#[utoipa::path(get, path = "/applications/{applicationFamily}/environments/{environmentName}/settings/upgrade", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path)),
    responses((status = 200, body = UpgradeSettings), (status = "default", body = AdminError)))]
pub(crate) async fn get_upgrade_settings(
    Path(path): Path<EnvironmentPath>,
    context: AdminContext,
) -> Result<Response> {
    let service = context.service();
    let window = settings::get_window(service, &context.customer, &named(path)).await?;
    Ok(answer(&shown(&window, service.clock.now())))
}

/// Sets an environment's update window. It holds until another one is reported for the environment than before.
#[utoipa::path(put, path = "/applications/{applicationFamily}/environments/{environmentName}/settings/upgrade", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path)),
    request_body = UpgradeSettingsBody,
    responses((status = 200, body = UpgradeSettings), (status = "default", body = AdminError)))]
pub(crate) async fn put_upgrade_settings(
    Path(path): Path<EnvironmentPath>,
    context: AdminContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (service, name) = (context.service(), named(path));
    let environment = reading::get_environment(service, &context.customer, &name).await?;
    let read = UpgradeSettingsRequest::read(&body);
    let window = settings::put_window(service, &context.customer, &environment, read).await?;
    Ok(answer(&shown(&window, service.clock.now())))
}

fn shown(window: &UpdateWindow, now: Instant) -> UpgradeSettings {
    let occurrence = window.occurrence(now).unwrap_or(now..now);
    UpgradeSettings {
        preferred_start_time: window.start_text(),
        preferred_end_time: window.end_text(),
        time_zone_id: window.time_zone().to_owned(),
        preferred_start_time_utc: occurrence.start.to_string(),
        preferred_end_time_utc: occurrence.end.to_string(),
    }
}

/// Keeps when the customer wants their apps updated together with the platform. It changes nothing here: apps are updated when
/// that is asked for.
#[utoipa::path(put,
    path = "/applications/{applicationFamily}/environments/{environmentName}/settings/appSourceAppsUpdateCadence",
    tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path)),
    request_body = CadenceBody,
    responses((status = 200, body = Kept), (status = "default", body = AdminError)))]
pub(crate) async fn put_update_cadence(
    Path(path): Path<EnvironmentPath>,
    context: AdminContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (service, name) = (context.service(), named(path));
    let environment = reading::get_environment(service, &context.customer, &name).await?;
    let request = CadenceRequest::read(&body)?;
    let kept = settings::put_cadence(service, &context.customer, &environment, request).await?;
    Ok(answer(&Kept {
        value: kept.to_string(),
    }))
}
