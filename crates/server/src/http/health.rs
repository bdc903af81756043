//! For whoever watches over the process: is it alive, and can it work?

use super::extract::AppState;
use crate::actions::readiness::{Agents, Database, Readiness, Storage};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse, response::Response};
use domain::zone;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// That the process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Liveness {
    /// `alive`.
    status: &'static str,
    /// The version of the service.
    version: &'static str,
}

/// Whether the service can work, and what is not as it should be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    /// `ready`; `degraded` where a part of it does not work and the rest goes on; or `unavailable`.
    status: &'static str,
    /// The version of the service.
    version: &'static str,
    /// Whether the database answers: `available`; `full` where it can be read and not changed; or `unavailable`.
    database: &'static str,
    /// Whether packages can be stored: in every location (`available`), in some (`degraded`) or in none (`unavailable`).
    storage: &'static str,
    /// Whether packages can be stored, for each location.
    locations: BTreeMap<String, &'static str>,
    /// Whether the disks have the room that is kept free, `enough` or `low`: with less, uploads and what adds rows are refused,
    /// and the rest goes on.
    room: &'static str,
    /// Whether this server's clock agrees with the database's: `right` or `wrong`.
    clock: &'static str,
    /// Whether somebody carries out what is asked for: `working`, `silent` where those who could have not called for minutes
    /// or are not ready, `none` where nobody could, or `unknown`.
    agents: &'static str,
    /// The releases of the time-zone data that this server goes by.
    time_zones: TimeZones,
    /// What is not as it should be, a sentence for each.
    details: Vec<String>,
}

/// Releases of time-zone data.
#[derive(Debug, Serialize, ToSchema)]
struct TimeZones {
    /// Of the IANA database, whose rules clocks go by.
    tzdb: &'static str,
    /// Of the Unicode CLDR, which has the ids of Windows.
    cldr: &'static str,
}

/// The version of the service.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Tells that the process answers.
#[utoipa::path(get, path = "/health/live", tag = "health", security(()),
    responses((status = 200, description = "The process answers.", body = Liveness)))]
pub(crate) async fn get_live() -> Json<Liveness> {
    Json(Liveness {
        status: "alive",
        version: VERSION,
    })
}

/// Tells whether the service can work, and what of it does not. Without its database, and while its clock is wrong, it
/// cannot (503).
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn get_ready(State(state): State<Arc<AppState>>) -> Response {
    let readiness = Readiness::of(&state.service).await;
    let (status, word) = match (readiness.is_ready(), readiness.is_degraded()) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (true, true) => (StatusCode::OK, "degraded"),
        (true, false) => (StatusCode::OK, "ready"),
    };
    let health = Health {
        status: word,
        version: VERSION,
        database: match readiness.database {
            Database::Available => "available",
            Database::Full => "full",
            Database::Unavailable => "unavailable",
        },
        storage: match readiness.storage() {
            Storage::All => "available",
            Storage::Some => "degraded",
            Storage::None => "unavailable",
        },
        room: if readiness.room { "enough" } else { "low" },
        clock: if readiness.clock { "right" } else { "wrong" },
        agents: match readiness.agents {
            Agents::Working => "working",
            Agents::Silent => "silent",
            Agents::None => "none",
            Agents::Unknown => "unknown",
        },
        details: readiness.details(),
        locations: readiness
            .locations
            .into_iter()
            .map(|(name, works)| (name, if works { "available" } else { "unavailable" }))
            .collect(),
        time_zones: TimeZones {
            tzdb: zone::tzdb(),
            cldr: zone::CLDR,
        },
    };
    (status, Json(health)).into_response()
}
