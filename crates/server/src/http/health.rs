//! For whoever watches over the process: is it alive, and can it work?

use super::extract::AppState;
use crate::blobs::Availability;
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse, response::Response};
use futures::future::join_all;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use utoipa::ToSchema;

/// How long the database may take to answer: less than whoever asks is likely to wait.
const PING: Duration = Duration::from_secs(2);

/// Whether the service can work, and if not, what is missing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ready` or `unavailable`.
    status: &'static str,
    /// Whether the database answers.
    database: &'static str,
    /// Whether packages can be stored in every location.
    storage: &'static str,
    /// Whether packages can be stored, for each location.
    locations: BTreeMap<String, &'static str>,
    /// Whether this server's clock agrees with the database's: `right` or `wrong`.
    clock: &'static str,
    /// Who carries out operations: `none` leaves them waiting, `simulate` only pretends.
    executor: &'static str,
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
    let (database, locations) = tokio::join!(database_answers(&state), locations_that_work(&state));
    let storage = locations.values().all(|works| *works);
    let clock = state.service.clock_check.is_right();
    let is_ready = database && storage && clock;
    let word = |works| if works { "available" } else { "unavailable" };
    let health = Health {
        status: if is_ready { "ready" } else { "unavailable" },
        database: word(database),
        storage: word(storage),
        locations: locations
            .into_iter()
            .map(|(name, works)| (name, word(works)))
            .collect(),
        clock: if clock { "right" } else { "wrong" },
        executor: match state.service.settings.executor.kind {
            crate::config::ExecutorKind::None => "none",
            crate::config::ExecutorKind::Simulate => "simulate",
        },
    };
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

async fn database_answers(state: &AppState) -> bool {
    let answer = tokio::time::timeout(PING, state.service.db.ping()).await;
    answer.is_ok_and(|answer| answer.is_ok())
}

/// Asks all at once, so that one that does not answer keeps nobody waiting for the others.
async fn locations_that_work(state: &AppState) -> BTreeMap<String, bool> {
    let asked = state.service.blobs.all().map(|location| async move {
        let works = location.availability().await == Availability::Available;
        (location.name().to_owned(), works)
    });
    join_all(asked).await.into_iter().collect()
}
