//! The control endpoint: time that moves on request, and the issuer's tokens and keys. What it changes is written
//! down before it answers, so that the next start goes on from there.

use super::{simulator::Simulator, state_dir::StateDir};
use anyhow::Context;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use domain::instant::Instant;
use entra_local::{
    Issuer, control_router,
    own_page::{all_of, is_from_page_of, is_loopback_name},
};
use jiff::{Span, tz::TimeZone};
use serde::Deserialize;
use serde_json::json;
use server::{Server, clock::Clock};
use std::sync::{Arc, OnceLock};

/// How many instants are gone through on the way to another time; those behind them are stepped over.
const MOST_INSTANTS: usize = 100_000;

/// Moves the service's clock, one move after the other.
pub(super) struct Timekeeper {
    clock: Clock,
    server: Arc<Server>,
    /// Who carries out what becomes due, from when it has enrolled.
    simulator: OnceLock<Simulator>,
    turn: tokio::sync::Mutex<()>,
}

impl Timekeeper {
    /// The keeper of the clock that `server` was started with.
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            clock: server.clock().clone(),
            server,
            simulator: OnceLock::new(),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Has that agent do what becomes due from now on.
    pub(super) fn hires(&self, simulator: Simulator) {
        self.simulator.get_or_init(|| simulator);
    }

    /// Ends the agent, after what it is at.
    pub(super) async fn dismiss(&self) {
        if let Some(simulator) = self.simulator.get() {
            simulator.stop().await;
        }
    }

    /// The time of the service.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// How far the service is ahead of the machine, in ticks.
    fn offset(&self) -> i64 {
        self.clock.offset()
    }

    /// Makes it the time that `time` makes of the present one, and returns when all that became due is taken on. The
    /// instants in between at which something is due come in their order: nothing that a clock which runs on would have
    /// done is stepped over, and what follows from it, follows. Back in time there is nothing to do.
    ///
    /// # Errors
    /// That of `time`, with the clock left alone; or what kept the work from being taken on.
    pub(super) async fn change(
        &self,
        time: impl FnOnce(Instant) -> Result<Instant, String>,
    ) -> Result<Instant, TimeError> {
        let _turn = self.turn.lock().await;
        let target = time(self.now()).map_err(TimeError::Refused)?;
        for _ in 0..MOST_INSTANTS {
            match self.next_instant().await?.filter(|next| *next < target) {
                Some(next) => self.reach(next.max(self.now())).await?,
                None => break,
            }
        }
        self.reach(target).await?;
        Ok(self.now())
    }

    /// The next instant at which the service or the simulator has something to do.
    async fn next_instant(&self) -> Result<Option<Instant>, TimeError> {
        let now = self.now();
        let due = self.server.next_instant(now).await.map_err(TimeError::Work)?;
        let step = match self.simulator.get() {
            Some(simulator) => simulator.next_step().await.filter(|step| *step > now),
            None => None,
        };
        Ok(due.into_iter().chain(step).min())
    }

    /// Makes it `now`, and does what is due then.
    async fn reach(&self, now: Instant) -> Result<(), TimeError> {
        self.clock.set(now);
        if let Some(simulator) = self.simulator.get() {
            let caught_up = simulator.catch_up().await;
            caught_up.map_err(|error| TimeError::Work(format!("{error:#}")))?;
        }
        self.server.catch_up().await.map_err(TimeError::Work)
    }

    /// Makes it what it is on the machine's clock, and the two one from now on.
    ///
    /// # Errors
    /// What kept the work from being taken on.
    pub(super) async fn set_to_machine(&self) -> anyhow::Result<()> {
        self.set(Instant(self.now().0 - self.offset())).await?;
        self.clock.set_offset(0);
        Ok(())
    }

    /// Makes it `now`.
    ///
    /// # Errors
    /// What kept the work from being taken on.
    pub(super) async fn set(&self, now: Instant) -> anyhow::Result<()> {
        self.change(|_| Ok(now))
            .await
            .map(drop)
            .context("moving the clock")
    }
}

/// Why the clock was not moved, or not to the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum TimeError {
    /// There is no such time.
    #[error("{0}")]
    Refused(String),
    /// The clock was moved, but the work could not be taken on.
    #[error("the work that became due could not be taken on: {0}")]
    Work(String),
}

/// What the endpoint needs.
#[derive(Clone)]
struct Control {
    time: Arc<Timekeeper>,
    issuer: Issuer,
    state: Arc<StateDir>,
}

/// What is here, and the issuer's addresses beside it.
const DESCRIPTION: &str = include_str!("control.openapi.json");

/// `GET`/`POST /clock`, the issuer's `/tokens` and `/keys/rotate`, and what describes them.
pub(super) fn router(time: Arc<Timekeeper>, issuer: Issuer, state: Arc<StateDir>) -> Router {
    let control = Control {
        time,
        issuer: issuer.clone(),
        state,
    };
    Router::new()
        .route("/clock", get(read_clock).post(move_clock))
        .with_state(control.clone())
        .merge(control_router(issuer))
        .route("/openapi.json", get(describe))
        .layer(middleware::from_fn_with_state(control, write_down))
        .layer(middleware::from_fn(from_no_page))
}

/// Refuses what a page in a browser may have sent. It would be let in like everybody on this machine, and become anybody:
/// by a name that somebody made point here, from a page of somebody else's, or as what browsers send without asking first,
/// which is anything but JSON.
async fn from_no_page(request: Request, next: Next) -> Response {
    match refusal(request.headers()) {
        Some((status, code, message)) => problem(status, code, message),
        None => next.run(request).await,
    }
}

fn refusal(headers: &HeaderMap) -> Option<(StatusCode, &'static str, &'static str)> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host.filter(|host| is_loopback_name(host)) else {
        let message = "the control endpoint is reached by 127.0.0.1, [::1] or localhost only";
        return Some((StatusCode::FORBIDDEN, "ForeignHost", message));
    };
    if !is_from_page_of(host, headers) {
        let message = "the control endpoint takes no orders from pages of others";
        return Some((StatusCode::FORBIDDEN, "ForeignOrigin", message));
    }
    let is_json = |kind: &str| {
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/json")
    };
    let is_empty = !headers.contains_key(header::TRANSFER_ENCODING)
        && all_of(headers, header::CONTENT_LENGTH, |length| length.trim() == "0");
    let says_what_it_is = headers.contains_key(header::CONTENT_TYPE) || is_empty;
    if !says_what_it_is || !all_of(headers, header::CONTENT_TYPE, is_json) {
        let message = "the body has to be JSON that says so: send it with Content-Type: application/json";
        return Some((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        ));
    }
    None
}

/// Keeps what a request changed.
async fn write_down(State(control): State<Control>, request: Request, next: Next) -> Response {
    let is_change = request.method() != Method::GET && !request.uri().path().ends_with("/tokens");
    let response = next.run(request).await;
    if !is_change || !response.status().is_success() {
        return response;
    }
    match control.keep() {
        Ok(()) => response,
        Err(error) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "NotKept",
            &format!("{error:#}"),
        ),
    }
}

impl Control {
    fn keep(&self) -> anyhow::Result<()> {
        let issuer = self.issuer.state()?;
        self.state.change(|kept| {
            kept.issuer = issuer;
            kept.clock_offset = self.time.offset();
        })?;
        Ok(())
    }
}

async fn describe() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION).into_response()
}

async fn read_clock(State(control): State<Control>) -> Response {
    shown(control.time.now())
}

fn shown(now: Instant) -> Response {
    Json(json!({ "now": now.to_string() })).into_response()
}

async fn move_clock(State(control): State<Control>, body: Bytes) -> Response {
    let change = match Change::read(&body) {
        Ok(change) => change,
        Err(message) => return problem(StatusCode::BAD_REQUEST, "InvalidInput", &message),
    };
    match control.time.change(|now| change.apply(now)).await {
        Ok(now) => shown(now),
        Err(error @ TimeError::Refused(_)) => {
            problem(StatusCode::BAD_REQUEST, "InvalidInput", &error.to_string())
        }
        Err(error @ TimeError::Work(_)) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "WorkFailed",
            &error.to_string(),
        ),
    }
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    (
        status,
        Json(json!({ "error": { "code": code, "message": message } })),
    )
        .into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockBody {
    now: Option<String>,
    advance: Option<String>,
}

/// What time it is to be.
#[derive(Debug)]
enum Change {
    At(Instant),
    Later(Span),
}

impl Change {
    fn read(body: &[u8]) -> Result<Self, String> {
        const FORM: &str = r#"send {"now":"2027-01-31T20:00:00Z"} or {"advance":"PT6H"}"#;
        let body: ClockBody = serde_json::from_slice(body).map_err(|error| format!("{error}; {FORM}"))?;
        match (body.now, body.advance) {
            (Some(now), None) => Ok(Self::At(now.parse().map_err(|error| format!("{error}"))?)),
            (None, Some(advance)) => span(&advance).map(Self::Later),
            _ => Err(FORM.to_owned()),
        }
    }

    fn apply(&self, now: Instant) -> Result<Instant, String> {
        match self {
            Self::At(at) => Ok(*at),
            Self::Later(span) => {
                let later = now.to_timestamp().to_zoned(TimeZone::UTC).checked_add(*span);
                later
                    .map(|later| Instant::from_timestamp(later.timestamp()))
                    .map_err(|_| format!("{span} from {now} is beyond the calendar"))
            }
        }
    }
}

fn span(text: &str) -> Result<Span, String> {
    let span: Span = text
        .parse()
        .map_err(|_| format!("'{text}' is not a duration such as PT6H, P1DT30M or 6h"))?;
    if span.is_negative() {
        return Err(format!(
            "'{text}' is negative, and a clock moves on by a span; to go back, set the time itself (\"now\", or \
             `fame dev clock set`)"
        ));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(body: &str) -> Result<String, String> {
        let now: Instant = "2027-01-31T12:00:00Z".parse().unwrap();
        Change::read(body.as_bytes())?.apply(now).map(|at| at.to_string())
    }

    #[test]
    fn time_goes_where_it_is_told() {
        let cases = [
            (
                r#"{"now":"2027-03-01T20:00:00+01:00"}"#,
                "2027-03-01T19:00:00.0000000Z",
            ),
            (r#"{"now":"2026-03-01T20:00:00"}"#, "2026-03-01T20:00:00.0000000Z"),
            (r#"{"advance":"PT6H"}"#, "2027-01-31T18:00:00.0000000Z"),
            (r#"{"advance":"P1DT30M"}"#, "2027-02-01T12:30:00.0000000Z"),
            (r#"{"advance":"P1M"}"#, "2027-02-28T12:00:00.0000000Z"),
            (r#"{"advance":"PT0S"}"#, "2027-01-31T12:00:00.0000000Z"),
        ];
        for (body, expected) in cases {
            assert_eq!(moved(body).as_deref(), Ok(expected), "{body}");
        }
    }

    #[test]
    fn control_has_no_foreign_name() {
        for own in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "localhost:1",
            "LOCALHOST",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_loopback_name(own), "{own}");
        }
        for foreign in [
            "contoso.com:8080",
            "127.0.0.1.contoso.com",
            "",
            ":80",
            "localhost:80x",
            "127.0.0.2:80",
        ] {
            assert!(!is_loopback_name(foreign), "{foreign}");
        }
    }

    #[test]
    fn control_takes_no_orders_from_pages() {
        let refused = |given: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(*name, value.parse().unwrap());
            }
            refusal(&headers).map(|(status, ..)| status.as_u16())
        };
        let host = ("host", "127.0.0.1:8080");
        let json = ("content-type", "application/json; charset=utf-8");
        for fine in [
            &[host][..],
            &[host, json, ("content-length", "9")],
            &[host, json, ("transfer-encoding", "chunked")],
            &[host, ("content-length", "0")],
            &[
                host,
                json,
                ("origin", "http://127.0.0.1:8080"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert_eq!(refused(fine), None, "{fine:?}");
        }
        for (code, wrong) in [
            (403, &[][..]),
            (403, &[("host", "contoso.com")]),
            (403, &[host, json, ("origin", "http://contoso.com")]),
            (403, &[host, json, ("origin", "http://127.0.0.1:3000")]),
            (403, &[host, json, ("origin", "http://localhost:8080")]),
            (403, &[host, json, ("origin", "null")]),
            (
                403,
                &[
                    host,
                    json,
                    ("origin", "http://127.0.0.1:8080"),
                    ("origin", "http://contoso.com"),
                ],
            ),
            (403, &[host, ("sec-fetch-site", "cross-site")]),
            (403, &[host, ("sec-fetch-site", "same-site")]),
            (
                403,
                &[
                    host,
                    ("sec-fetch-site", "same-origin"),
                    ("sec-fetch-site", "cross-site"),
                ],
            ),
            (415, &[host, ("content-length", "9")]),
            (415, &[host, ("transfer-encoding", "chunked")]),
            (415, &[host, ("content-type", "text/plain")]),
            (
                415,
                &[
                    host,
                    ("content-type", "application/x-www-form-urlencoded"),
                    ("content-length", "9"),
                ],
            ),
            (
                415,
                &[
                    host,
                    ("content-type", "text/plain;application/json"),
                    ("content-length", "9"),
                ],
            ),
            (415, &[host, json, ("content-type", "text/plain")]),
        ] {
            assert_eq!(refused(wrong), Some(code), "{wrong:?}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_refused() {
        let wrong = [
            "",
            "{}",
            r#"{"now":"soon"}"#,
            r#"{"advance":"six"}"#,
            r#"{"advance":"-PT1H"}"#,
            r#"{"advance":"P9999Y"}"#,
            r#"{"now":"2027-01-31T12:00:00Z","advance":"PT1H"}"#,
            r#"{"nwo":"2027-01-31T12:00:00Z"}"#,
        ];
        for body in wrong {
            assert!(moved(body).is_err(), "{body}");
        }
    }
}
