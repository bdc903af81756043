//! Measures how fast an agent's full inventory is taken in.
//!
//! ```text
//! cargo run --release -p server --example inventories -- DATABASE_URL [ENVIRONMENTS] [APPS]
//! ```
//!
//! `DATABASE_URL` is `sqlite:PATH` or `postgres://…` and must name an empty database. One agent sends a full set of
//! ENVIRONMENTS environments (default 20000) with APPS apps each (default 5) through the API: for the first time, then twice
//! unchanged, then with another version of one app in each hundredth environment, then in all of them.
//!
//! Everything is as in production: sign-in, JSON, rules, audit rows, durability. Prints one JSON object for each set:
//! milliseconds, environments per second, and the answer's counts.

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
use server::{
    Server,
    clock::Clock,
    config::{Settings, Sources},
};
use std::{error::Error, io::Write, time::Instant as Moment};
use store::agents::{Agent, FormerSessions, insert_agent};
use tower::ServiceExt;
use uuid::Uuid;
use wire::agent::{
    EnvironmentName, Inventory, InventoryResult, ReportedApp, ReportedEnvironment, ReportedWindow,
    SESSION_HEADER,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// 2026-11-20T12:00:00Z.
const NOW: Instant = Instant(17_951_760_000_000_000);
const TENANT: TenantId = TenantId(Uuid::from_u128(0xB));

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let url = arguments
        .first()
        .ok_or("name a database: sqlite:PATH or postgres://…")?;
    let number = |index: usize, default: usize| {
        let given = arguments.get(index);
        given.map_or(Ok(default), |text| text.parse::<usize>())
    };
    let (environments, apps) = (number(1, 20_000)?, number(2, 5)?);
    let folder = tempfile::tempdir()?;
    let settings = settings(url, folder.path())?;
    let db = settings.database.clone();
    let server = Server::start(settings, Clock::stopped(NOW)).await?;
    let token = OwnToken::random(OwnTokenKind::Agent)?;
    add_agent(&store::open(&db).await?, &token).await?;
    let sets: [(&str, usize); 5] = [
        ("first", usize::MAX),
        ("unchanged", usize::MAX),
        ("unchanged again", usize::MAX),
        ("one in a hundred", 100),
        ("all", 1),
    ];
    for (index, (what, each)) in sets.into_iter().enumerate() {
        let sequence = i64::try_from(index)? + 1;
        let inventory = inventory(sequence, environments, apps, each);
        let body = serde_json::to_vec(&inventory)?;
        let bytes = body.len();
        let began = Moment::now();
        let taken = put(&server, &token, body).await?;
        let took = began.elapsed();
        let rate = f64::from(u32::try_from(environments)?) / took.as_secs_f64();
        let line = serde_json::json!({
            "measured": what,
            "database": url.split(':').next(),
            "environments": environments,
            "apps": apps,
            "bytes": bytes,
            "ms": took.as_millis(),
            "environments_per_second": rate.round(),
            "added": taken.added,
            "changed": taken.changed,
            "unchanged": taken.unchanged,
        });
        writeln!(std::io::stdout(), "{line}")?;
    }
    server.stop().await;
    Ok(())
}

fn settings(url: &str, folder: &std::path::Path) -> Outcome<Settings> {
    // Nobody signs in by an issuer here, but a service without one does not start.
    let issuers =
        serde_json::json!([{ "kind": "entra", "tenants": [TENANT.to_string()], "audiences": ["fame"] }]);
    let overrides = [
        ("identity.issuers", issuers.to_string()),
        ("server.data_dir", folder.display().to_string()),
        ("database.url", url.to_owned()),
    ];
    let sources = Sources {
        file: None,
        environment: Vec::new(),
        overrides: overrides.map(|(key, value)| (key.to_owned(), value)).into(),
    };
    let loaded = Settings::load(&sources).map_err(|problems| format!("{problems:?}"))?;
    Ok(loaded.settings)
}

async fn add_agent(db: &store::Db, token: &OwnToken) -> Outcome<()> {
    let agent = Agent {
        id: Uuid::now_v7(),
        name: "hoster".into(),
        scope: AgentScope {
            tenants: Some([TENANT].into()),
            ..AgentScope::default()
        },
        scope_reason: None,
        serves_unreported: false,
        identity: None,
        created_on: NOW,
        code_sha256: None,
        code_until: None,
        token_sha256: Some(token.sha256()),
        token_until: Some(Instant(NOW.0 + 3_600 * TICKS_PER_SECOND)),
        token_used: false,
        former_token_sha256: None,
        former_token_until: None,
        lost_token_sha256: None,
        session_id: None,
        former_sessions: FormerSessions::default(),
        frozen_on: None,
        frozen_reason: None,
        last_seen_on: None,
        software: None,
        inventory_sequence: 0,
        inventory_on: None,
        counted_since: None,
        gained: 0,
        etag: Etag::random(),
    };
    let added = db.write(agent, |mut tx, agent| {
        Box::pin(async move { insert_agent(&mut tx, agent).await })
    });
    Ok(added.await?)
}

/// Each so-manieth environment has another version of its first app.
fn inventory(sequence: i64, environments: usize, apps: usize, each: usize) -> Inventory {
    let app = |number: usize, is_other: bool| ReportedApp {
        id: Uuid::from_u128(0xA000 + number as u128),
        version: match is_other {
            true => format!("16.0.0.{}", 1 + sequence),
            false => "16.0.0.1".into(),
        },
        name: Some("Sales".into()),
        publisher: Some("Contoso".into()),
    };
    let environment = |number: usize| ReportedEnvironment {
        environment: EnvironmentName {
            aad_tenant_id: TENANT.0,
            application_family: "BusinessCentral".into(),
            name: format!("Environment {number}"),
        },
        country_code: "US".into(),
        kind: "Production".into(),
        location_name: Some("Rack 7".into()),
        application_version: Some("26.0.0.0".into()),
        platform_version: Some("26.0.0.0".into()),
        window: Some(ReportedWindow {
            start: "20:00".into(),
            end: "06:00".into(),
            time_zone: "UTC".into(),
        }),
        inventory_complete: true,
        apps: (0..apps)
            .map(|index| app(index, index == 0 && number.is_multiple_of(each)))
            .collect(),
    };
    Inventory {
        sequence,
        confirm: false,
        environments: (1..=environments).map(environment).collect(),
        gone: Vec::new(),
        unread: Vec::new(),
    }
}

async fn put(server: &Server, token: &OwnToken, body: Vec<u8>) -> Outcome<InventoryResult> {
    let request = Request::put("/agent/v1/inventory")
        .header(header::AUTHORIZATION, format!("Bearer {}", token.text()))
        .header(SESSION_HEADER, Uuid::from_u128(1).to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))?;
    let response = server.router("http").oneshot(request).await?;
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 24).await?;
    if !status.is_success() {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
    }
    Ok(serde_json::from_slice(&body)?)
}
