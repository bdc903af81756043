//! What watches over the process may know without a token.

use crate::harness::{Backend, Harness, on_both_databases};
use serde_json::json;
use std::{fs, time::Duration};

on_both_databases!(
    a_healthy_service_says_so_to_everybody,
    a_store_that_is_gone_shows_and_takes_nobody_out,
    a_clock_that_others_do_not_share_shows,
);

async fn a_healthy_service_says_so_to_everybody(backend: Backend) {
    let service = Harness::start(backend).await;
    let live = service.nobody().get("/health/live").await.expect(200);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(live.json(), json!({ "status": "alive", "version": version }));
    service.catches_up().await;
    let ready = service.nobody().get("/health/ready").await.expect(200);
    let expected = json!({
        "status": "ready",
        "version": version,
        "database": "available",
        "storage": "available",
        "locations": { "East US": "available", "North Europe": "available", "West Europe": "available" },
        "room": "enough",
        "clock": "right",
        "agents": "working",
        "timeZones": { "tzdb": domain::zone::tzdb(), "cldr": domain::zone::CLDR },
        "details": [],
    });
    assert_eq!(ready.json(), expected);
}

async fn a_store_that_is_gone_shows_and_takes_nobody_out(backend: Backend) {
    let service = Harness::start(backend).await;
    fs::remove_dir_all(service.location("East US")).unwrap();
    let ready = service.nobody().get("/health/ready").await.expect(200);
    assert_eq!(
        (ready.property("status"), ready.property("storage")),
        ("degraded".into(), "degraded".into())
    );
    assert_eq!(ready.property("database"), "available");
    let details = ready.json()["details"].to_string();
    assert!(
        details.contains("'East US'") && !details.contains("'West Europe'"),
        "{details}"
    );
    assert_eq!(
        ready.json()["locations"],
        json!({ "East US": "unavailable", "North Europe": "available", "West Europe": "available" })
    );
    service.nobody().get("/health/live").await.expect(200);
}

async fn a_clock_that_others_do_not_share_shows(backend: Backend) {
    let service = Harness::start(backend).await;
    service.its_machine_is_ahead_by(Duration::from_secs(60)).await;
    // A database in the same process has no other clock.
    let (status, clock) = match backend {
        Backend::Sqlite => (200, "right"),
        Backend::Postgres => (503, "wrong"),
    };
    let ready = service.nobody().get("/health/ready").await.expect(status);
    assert_eq!(ready.property("clock"), clock);
    let details = ready.json()["details"].to_string();
    assert_eq!(details.contains("clock"), status == 503, "{details}");
    assert_eq!(ready.property("database"), "available");
    service.its_machine_is_ahead_by(Duration::from_secs(2)).await;
    let ready = service.nobody().get("/health/ready").await.expect(200);
    assert_eq!(ready.property("clock"), "right");
}
