//! `kill -9` at any instant: what was acknowledged is there, and nothing is there by half.
//!
//! Clients upload, schedule, cancel, report and administer at once, and note what was acknowledged. Meanwhile the
//! service is killed again and again, at random and right after something has begun, and started on what it left.
//! Every so often everybody stops, and database, folders and service are held against the notes.
//!
//! A run shows its seed. `FAME_CRASH_SEED` makes the same choices again (though not the same timing), and
//! `FAME_CRASH_KILLS` says how many kills there are on each database.

mod administrators;
mod audit_trail;
mod killer;
mod ledger;
mod schedulers;
mod uploaders;
mod verdict;
mod world;

use crate::services::{Database, Dice, Site};
use killer::Killer;
use std::{sync::Arc, time::Instant};
use world::World;

const SEED: &str = "FAME_CRASH_SEED";
const KILLS: &str = "FAME_CRASH_KILLS";
/// Kills on each database, unless the environment says otherwise.
const USUAL_KILLS: usize = 110;
/// Processes that share a PostgreSQL.
const REPLICAS: usize = 2;

fn kills() -> usize {
    match std::env::var(KILLS) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .unwrap_or_else(|_| panic!("{KILLS} is no number: {text}")),
        _ => USUAL_KILLS,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_sqlite() {
    survives(Database::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_postgres_with_replicas() {
    survives(Database::Postgres, REPLICAS).await;
}

async fn survives(database: Database, replicas: usize) {
    let seed = Dice::seed_from(SEED);
    let kills = kills();
    println!("{SEED}={seed} {KILLS}={kills} on {database:?} with {replicas} replicas");
    let began = Instant::now();
    let site = Site::on(database)
        .with("storage.sweep_seconds", 1)
        .with("storage.grace_seconds", 10);
    let world = World::new(seed, replicas);
    let mut killer = Killer::start(&world, site, replicas).await;
    let clients = start_clients(&world);
    killer.kill_often(kills).await;
    world.stop();
    for client in clients {
        client.await.unwrap();
    }
    killer.last_check().await;
    println!(
        "survived {} kills in {:.0?}: {}",
        world.kills(),
        began.elapsed(),
        world.ledger().tally()
    );
    world.must_have_no_findings();
    world.ledger().must_have_been_busy(kills);
}

fn start_clients(world: &Arc<World>) -> Vec<tokio::task::JoinHandle<()>> {
    let mut clients = Vec::new();
    for player in 0..3 {
        clients.push(tokio::spawn(uploaders::run(world.clone(), player)));
    }
    for player in 10..13 {
        clients.push(tokio::spawn(schedulers::run(world.clone(), player)));
    }
    clients.push(tokio::spawn(administrators::run(world.clone(), 20)));
    clients
}
