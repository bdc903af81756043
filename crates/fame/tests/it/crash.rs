//! `kill -9` at any instant: what was acknowledged is there, and nothing is there by half.
//!
//! Clients upload, schedule, cancel, report and administer at once, and note what was acknowledged. Meanwhile the
//! service is killed again and again, at random and right after something has begun, and started on what it left.
//! Every so often everybody stops, and database, folders and service are held against the notes.
//!
//! A run shows its seed. `FAME_CRASH_SEED` makes the same choices again (though not the same timing), and
//! `FAME_CRASH_KILLS` says how many kills there are on each database: 110 reach what 20 seldom do, in some minutes.

mod administrators;
mod killer;
mod ledger;
mod schedulers;
mod uploaders;
mod verdict;
mod world;

use crate::services::{Database, PostgresCluster, Site, number_from};
use killer::Killer;
use std::{io::Write as _, sync::Arc, time::Instant};
use uuid::Uuid;
use world::World;

const SEED: &str = "FAME_CRASH_SEED";
const KILLS: &str = "FAME_CRASH_KILLS";
/// Kills on each database, unless the environment says otherwise.
const USUAL_KILLS: usize = 20;
/// How often the database restarts.
const USUAL_RESTARTS: usize = 8;
/// Processes that share a PostgreSQL.
const REPLICAS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_sqlite() {
    let kills = number_from(KILLS, USUAL_KILLS);
    survives(Site::on(Database::Sqlite), 1, Blow::Kills(kills)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_postgres_with_replicas() {
    let kills = number_from(KILLS, USUAL_KILLS);
    survives(Site::on(Database::Postgres), REPLICAS, Blow::Kills(kills)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_postgres_restarts() {
    let cluster = PostgresCluster::start();
    let site = Site::in_cluster(&cluster);
    survives(site, REPLICAS, Blow::DatabaseRestarts(cluster, USUAL_RESTARTS)).await;
}

/// What the service has to live through, and how often.
enum Blow {
    /// One of its processes is killed.
    Kills(usize),
    /// Its database stops or crashes, and comes back.
    DatabaseRestarts(PostgresCluster, usize),
}

async fn survives(site: Site, replicas: usize, blow: Blow) {
    let seed = number_from(SEED, Uuid::new_v4().as_u64_pair().0 >> 16);
    tells(format!(
        "{SEED}={seed} with {replicas} replicas on {}",
        site.database_url()
    ));
    let began = Instant::now();
    let site = site
        .with_simulator()
        .with("storage.sweep_seconds", 1)
        .with("storage.grace_seconds", 10);
    let world = World::new(seed, replicas, matches!(blow, Blow::DatabaseRestarts(..)));
    let mut killer = Killer::start(&world, site, replicas).await;
    let clients = start_clients(&world);
    let blows = match blow {
        Blow::Kills(kills) => {
            killer.kill_often(kills).await;
            kills
        }
        Blow::DatabaseRestarts(mut cluster, restarts) => {
            killer.restart_database_often(&mut cluster, restarts).await;
            killer.keeps(cluster);
            restarts
        }
    };
    world.stop();
    for client in clients {
        client.await.unwrap();
    }
    killer.last_check().await;
    let (kills, took, tally) = (world.kills(), began.elapsed(), world.ledger().tally());
    tells(format!(
        "{SEED}={seed} survived {kills} blows in {took:.0?}: {tally}"
    ));
    world.must_have_no_findings();
    world.ledger().must_have_been_busy(blows / 4);
}

/// Says a line that is seen in every run, not only when the test fails.
fn tells(line: String) {
    std::io::stderr()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
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
