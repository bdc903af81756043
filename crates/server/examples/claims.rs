//! Measures how fast operations are claimed, started and finished.
//!
//! ```text
//! cargo run --release -p server --example claims -- DATABASE_URL WAITING [BATCH] [ROUNDS] [ORDER]
//! ```
//!
//! `DATABASE_URL` is `sqlite:PATH` or `postgres://…` and must name an empty database. WAITING operations are put into
//! it, each in an environment of its own, all of one agent; then, on a clock that stands still, the agent ROUNDS times
//! (default 8) claims BATCH operations (default 100), which is timed, then ends all of them, and then ROUNDS times goes
//! through a full cycle: BATCH operations end, each by a report of its own, and BATCH others are claimed and started. ORDER
//! says whether operations were asked for in the order of their environments (`alike`, the default) or of none
//! (`scattered`).
//!
//! Everything is as in production: sign-in, JSON, rules, windows, audit rows, durability. Prints one JSON object for each kind of
//! measurement: the fastest, median and slowest round in milliseconds, operations per second at the median and, where the system
//! tells, the processor time that this process spent on each operation, which is the steadiest of these figures.

use auth::{OwnToken, OwnTokenKind};
use axum::{
    body::{Body, to_bytes},
    http::{Request, header},
};
use domain::{
    agent::AgentScope,
    ids::{Etag, TenantId},
    instant::{Instant, TICKS_PER_SECOND},
};
use rusqlite::Connection;
use serde::{Serialize, de::DeserializeOwned};
use server::{
    Server,
    clock::Clock,
    config::{Settings, Sources},
};
use std::{
    error::Error,
    io::Write,
    time::{Duration, Instant as Moment},
};
use store::agents::{Agent as Row, insert_agent};
use tower::ServiceExt;
use uuid::Uuid;
use wire::agent::{Claim, ClaimRequest, ClaimedOperation, Finish, Finished, SESSION_HEADER};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// 2026-11-20T12:00:00Z, when the first operations become due.
const FIRST: i64 = 17_951_760_000_000_000;
const HOUR: i64 = 3_600 * TICKS_PER_SECOND;
/// When all become due that were not among the first.
const LATER: i64 = FIRST + 24 * HOUR;
const TENANT: TenantId = TenantId(Uuid::from_u128(0xB));
const FAMILY: &str = "BusinessCentral";
/// The agent, which is its own session too.
const AGENT: Uuid = Uuid::from_u128(0xE);

struct Plan {
    url: String,
    waiting: usize,
    batch: usize,
    rounds: usize,
    scattered: bool,
}

impl Plan {
    fn from_arguments() -> Outcome<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let number = |index: usize, default: usize| {
            let given = arguments.get(index);
            given.map_or(Ok(default), |text| text.parse::<usize>())
        };
        let url = arguments
            .first()
            .ok_or("name a database: sqlite:PATH or postgres://…")?;
        let plan = Self {
            url: url.clone(),
            waiting: number(1, 100_000)?,
            batch: number(2, 100)?,
            rounds: number(3, 8)?,
            scattered: arguments.get(4).is_some_and(|order| order == "scattered"),
        };
        let needed = (2 * plan.rounds + 1) * plan.batch;
        if plan.waiting < needed {
            return Err(format!(
                "{} rounds of {} need {needed} waiting operations",
                plan.rounds, plan.batch
            )
            .into());
        }
        Ok(plan)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let plan = Plan::from_arguments()?;
    let folder = tempfile::tempdir()?;
    let settings = settings(&plan, folder.path())?;
    let database = settings.database.clone();
    let server = Server::start(settings, Clock::stopped(Instant(FIRST - HOUR))).await?;
    let token = OwnToken::random(OwnTokenKind::Agent)?;
    add_agent(&store::open(&database).await?, &token).await?;
    let agent = Agent { server, token };
    let mut measured = Measured::begin(&plan);
    let began = Moment::now();
    seed(&plan).await?;
    measured.report("seed", &[began.elapsed()], plan.waiting)?;

    measured.begin_again();
    let (mut claims, mut held) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        agent.is_at(FIRST + ticks(round) * TICKS_PER_SECOND);
        let began = Moment::now();
        held.extend(agent.claims(plan.batch, &held).await?);
        claims.push(began.elapsed());
    }
    measured.report("claim", &claims, plan.batch)?;
    let began = Moment::now();
    agent.ends(&held).await?;
    measured.report("finish", &[began.elapsed()], held.len())?;

    agent.is_at(LATER);
    let mut held = agent.claims(plan.batch, &[]).await?;
    measured.begin_again();
    let mut cycles = Vec::new();
    for round in 1..=plan.rounds {
        agent.is_at(LATER + ticks(2 * round) * TICKS_PER_SECOND);
        let began = Moment::now();
        agent.ends(&held).await?;
        held = agent.claims(plan.batch, &[]).await?;
        cycles.push(began.elapsed());
    }
    measured.report("cycle", &cycles, plan.batch)?;
    agent.server.stop().await;
    Ok(())
}

fn ticks(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn settings(plan: &Plan, folder: &std::path::Path) -> Outcome<Settings> {
    // Nobody signs in by an issuer here, but a service without an issuer does not start.
    let issuers =
        serde_json::json!([{ "kind": "entra", "tenants": [TENANT.to_string()], "audiences": ["fame"] }]);
    let overrides = [
        ("identity.issuers", issuers.to_string()),
        ("server.data_dir", folder.display().to_string()),
        ("database.url", plan.url.clone()),
        ("executor.lease_seconds", "86400".into()),
        ("executor.poll_seconds", "3600".into()),
    ];
    let sources = Sources {
        file: None,
        environment: Vec::new(),
        overrides: overrides.map(|(key, value)| (key.to_owned(), value)).into(),
    };
    let loaded = Settings::load(&sources).map_err(|problems| format!("{problems:?}"))?;
    Ok(loaded.settings)
}

/// The agent that all environments belong to.
async fn add_agent(db: &store::Db, token: &OwnToken) -> Outcome<()> {
    let agent = Row {
        id: AGENT,
        name: "hoster".into(),
        scope: AgentScope::default(),
        scope_reason: None,
        serves_unreported: false,
        identity: None,
        created_on: Instant(FIRST - HOUR),
        code_sha256: None,
        code_until: None,
        token_sha256: Some(token.sha256()),
        token_until: Some(Instant(LATER + 24 * HOUR)),
        token_used: false,
        former_token_sha256: None,
        former_token_until: None,
        lost_token_sha256: None,
        session_id: None,
        former_sessions: store::agents::FormerSessions::default(),
        frozen_on: None,
        frozen_reason: None,
        last_seen_on: None,
        software: None,
        is_ready: None,
        inventory_sequence: 0,
        inventory_on: None,
        counted_since: None,
        gained: 0,
        recorded: store::agents::Recorded::default(),
        etag: Etag::random(),
    };
    let added = db.write(agent, |mut tx, agent| {
        Box::pin(async move { insert_agent(&mut tx, agent).await })
    });
    Ok(added.await?)
}

/// An agent, and the service that it asks.
struct Agent {
    server: Server,
    token: OwnToken,
}

impl Agent {
    fn is_at(&self, now: i64) {
        self.server.clock().set(Instant(now));
    }

    /// Takes `most` more operations on than those that it holds.
    async fn claims(&self, most: usize, held: &[ClaimedOperation]) -> Outcome<Vec<ClaimedOperation>> {
        let request = ClaimRequest {
            max: u32::try_from(most)?,
            wait_seconds: 0,
            holding: held.iter().map(|one| one.operation_id).collect(),
            kinds: Vec::new(),
        };
        let claim: Claim = self.asks("/agent/v1/claim", &request).await?;
        match claim.operations.len() == most {
            true => Ok(claim.operations),
            false => Err(format!("{} operations were given, not {most}", claim.operations.len()).into()),
        }
    }

    /// Reports that all have succeeded, one after the other.
    async fn ends(&self, held: &[ClaimedOperation]) -> Outcome<()> {
        for one in held {
            let finish = Finish {
                lease_id: one.lease_id,
                status: "Succeeded".into(),
                error_message: None,
                failure_cause: None,
                installed_version: one.target_version.clone(),
            };
            let path = format!("/agent/v1/operations/{}/finish", one.operation_id);
            let _: Finished = self.asks(&path, &finish).await?;
        }
        Ok(())
    }

    async fn asks<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Outcome<T> {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.text()))
            .header(SESSION_HEADER, AGENT.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(serde_json::to_vec(body)?))?;
        let response = self.server.router("http").oneshot(request).await?;
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 24).await?;
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// One kind of measurement after the other.
struct Measured<'p> {
    plan: &'p Plan,
    processor: Option<u64>,
}

impl<'p> Measured<'p> {
    fn begin(plan: &'p Plan) -> Self {
        let processor = processor_millis();
        Self { plan, processor }
    }

    /// What was spent since the last report was spent on something else.
    fn begin_again(&mut self) {
        self.processor = processor_millis();
    }

    /// Prints what `rounds` of so many operations each took.
    fn report(&mut self, measured: &str, rounds: &[Duration], operations: usize) -> Outcome<()> {
        let now = processor_millis();
        let spent = now.zip(self.processor).map(|(now, before)| now - before);
        self.processor = now;
        let count = |number: usize| Outcome::Ok(f64::from(u32::try_from(number)?));
        let millis = |span: &Duration| (span.as_secs_f64() * 1e5).round() / 1e2;
        let mut sorted: Vec<_> = rounds.to_vec();
        sorted.sort();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let all = count(operations * rounds.len())?;
        let spent = spent.map(usize::try_from).transpose()?.map(count).transpose()?;
        let per_operation = spent.map(|spent| (spent * 1e4 / all).round() / 1e1);
        let line = serde_json::json!({
            "measured": measured,
            "database": self.plan.url.split(':').next(),
            "waiting": self.plan.waiting,
            "order": if self.plan.scattered { "scattered" } else { "alike" },
            "operations": operations,
            "rounds": rounds.len(),
            "fastest_ms": sorted.first().map(millis),
            "median_ms": millis(&median),
            "slowest_ms": sorted.last().map(millis),
            "operations_per_second": (count(operations)? / median.as_secs_f64()).round(),
            "processor_us_per_operation": per_operation,
        });
        writeln!(std::io::stdout(), "{line}")?;
        Ok(())
    }
}

/// Processor time of this process, where the system keeps it as Linux does: in ticks of ten milliseconds.
fn processor_millis() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let behind_name = stat.rsplit(')').next()?;
    let fields: Vec<_> = behind_name.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) * 10)
}

/// Statements that fill the tables, for one database: `{number}` counts from 0, and what differs is filled in.
fn statements(plan: &Plan, id: fn(&str) -> String, bytes: fn(&str) -> String, series: &str) -> Vec<String> {
    let first = plan.rounds * plan.batch;
    let due = format!(
        "CASE WHEN number < {first} THEN {FIRST} + number / {} * {TICKS_PER_SECOND} ELSE {LATER} END",
        plan.batch
    );
    let place = if plan.scattered {
        format!("number * 7919 % {}", plan.waiting)
    } else {
        "number".into()
    };
    let app = id("10");
    let agent = id("14");
    let tenant = id("11");
    let version = |text: &str, revision: &str| {
        format!(
            "INSERT INTO versions (app_id, country_code, version_key, version, major, minor, build, revision, package_id, publisher, name, uploaded_on, uploaded_by, availability, status, sync_mode, dependencies, location, sha256, generation, size, upload_id, etag)
             VALUES ({app}, 'US', {}, '{text}', 16, 0, 0, {revision}, {app}, 'Contoso', 'Sales', 0, 'somebody', 'Available', 'Uploaded', 'Sync', '[]', 'West Europe', {}, {app}, 4, {app}, {app})",
            bytes(&key(revision)),
            bytes(&"00".repeat(32)),
        )
    };
    let environment = id("number + 1000000000");
    let name = "'Environment ' || number";
    let name_key = "'environment ' || number";
    vec![
        format!("INSERT INTO apps (id, publisher, publisher_tenant_id, publisher_contact_email, storage_location, etag, created_on) VALUES ({app}, 'Contoso', {tenant}, 'apps@contoso.com', 'West Europe', {app}, 0)"),
        format!("INSERT INTO countries (app_id, code, etag) VALUES ({app}, 'US', {app})"),
        version("16.0.0.1", "1"),
        version("16.0.0.2", "2"),
        format!(
            "INSERT INTO environments (id, tenant_id, family, family_key, name, name_key, country_code, kind, location_name, window_start, window_end, window_zone, inventory_complete, inventory_on, due_on, etag, agent_id)
             SELECT {environment}, {tenant}, '{FAMILY}', 'businesscentral', {name}, {name_key}, 'US', 'Production', '', '20:00', '06:00', 'UTC', false, 0, {due}, {app}, {agent}
             FROM {series}"
        ),
        format!(
            "INSERT INTO installations (app_id, environment_id, country_code, tenant_id, family, family_key, name, name_key, kind, location_name, version, version_key)
             SELECT {app}, {environment}, 'US', {tenant}, '{FAMILY}', 'businesscentral', {name}, {name_key}, 'Production', '', '16.0.0.1', {}
             FROM {series}",
            bytes(&key("1"))
        ),
        format!(
            "INSERT INTO operations (id, kind, app_id, app_name, app_publisher, country_code, environment_id, tenant_id, family, family_key, environment_name, environment_name_key, environment_kind, source_version, source_version_key, target_version, target_version_key, status, ignore_window, run_after, created_on, created_by)
             SELECT id, 'Hotfix', {app}, 'Sales', 'Contoso', 'US', {environment}, {tenant}, '{FAMILY}', 'businesscentral', {name}, {name_key}, 'Production', '16.0.0.1', {}, '16.0.0.2', {}, 'Scheduled', true, {due}, created_on, 'Application/{TENANT}'
             FROM (SELECT number, {} AS id, 10000 * ({place}) AS created_on FROM {series} ORDER BY id) AS asked",
            bytes(&key("1")),
            bytes(&key("2")),
            id(&format!("{place} + 4000000000"))
        ),
    ]
}

/// A version 16.0.0.n as sixteen bytes, in hexadecimal.
fn key(revision: &str) -> String {
    format!("00000010{}{}{revision:0>8}", "00000000", "00000000")
}

async fn seed(plan: &Plan) -> Outcome<()> {
    let last = plan.waiting - 1;
    if let Some(path) = plan.url.strip_prefix("sqlite:") {
        let series = format!(
            "(WITH RECURSIVE counted (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM counted WHERE number < {last}) SELECT number FROM counted)"
        );
        let id = |number: &str| format!("unhex(printf('%032x', {number}))");
        let connection = Connection::open(path)?;
        for statement in statements(plan, id, |hex| format!("x'{hex}'"), &series) {
            connection.execute_batch(&statement)?;
        }
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        return Ok(());
    }
    let series = format!("generate_series(0::bigint, {last}) AS counted(number)");
    let id = |number: &str| format!("lpad(to_hex(({number})::bigint), 32, '0')::uuid");
    let (client, connection) = tokio_postgres::connect(&plan.url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    for statement in statements(plan, id, |hex| format!("'\\x{hex}'::bytea"), &series) {
        client.batch_execute(&statement).await?;
    }
    client.batch_execute("VACUUM ANALYZE").await?;
    client.batch_execute("CHECKPOINT").await?;
    drop(client);
    connection.await??;
    Ok(())
}
