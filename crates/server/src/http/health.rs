//! For whoever watches over the process: is it alive, and can it work?

use super::extract::AppState;
use crate::actions::readiness::Readiness;
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse, response::Response};
use domain::zone;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// Whether the service can work, and if not, what is missing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    /// `ready` or `unavailable`.
    status: &'static str,
    /// Whether the database answers.
    database: &'static str,
    /// Whether packages can be stored in every location.
    storage: &'static str,
    /// Whether packages can be stored, for each location.
    locations: BTreeMap<String, &'static str>,
    /// Whether the disks have the room that is kept free, `enough` or `low`: with less, uploads and what adds rows are refused,
    /// and the rest goes on.
    room: &'static str,
    /// Whether this server's clock agrees with the database's: `right` or `wrong`.
    clock: &'static str,
    /// The releases of the time-zone data that this server goes by.
    time_zones: TimeZones,
}

/// Releases of time-zone data.
#[derive(Debug, Serialize, ToSchema)]
struct TimeZones {
    /// Of the IANA database, whose rules clocks go by.
    tzdb: &'static str,
    /// Of the Unicode CLDR, which has the ids of Windows.
    cldr: &'static str,
}

/// Tells that the process answers.
#[utoipa::path(get, path = "/health/live", tag = "health", security(()), responses((status = 200, description = "The process answers.")))]
pub(crate) async fn get_live() -> Response {
    StatusCode::OK.into_response()
}

/// Tells whether the database, the package stores and the clock can be relied on.
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn get_ready(State(state): State<Arc<AppState>>) -> Response {
    let readiness = Readiness::of(&state.service).await;
    let is_ready = readiness.is_ready();
    let word = |works| if works { "available" } else { "unavailable" };
    let health = Health {
        status: if is_ready { "ready" } else { "unavailable" },
        database: word(readiness.database),
        storage: word(readiness.storage()),
        room: if readiness.room { "enough" } else { "low" },
        clock: if readiness.clock { "right" } else { "wrong" },
        locations: readiness
            .locations
            .into_iter()
            .map(|(name, works)| (name, word(works)))
            .collect(),
        time_zones: TimeZones {
            tzdb: zone::tzdb(),
            cldr: zone::CLDR,
        },
    };
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}
