//! Holding what is there against what was acknowledged.

use super::{
    administrators::value_of,
    ledger::{KeyOutcome, hash_of},
    schedulers::note_status,
    uploaders::versions_path,
    world::World,
};
use crate::services::{
    APPS, AuditTrail, Books, Caller, Dice, Method, Person, Row, TIME_LIMIT, plain_id, within,
};
use std::collections::BTreeMap;

/// Versions, hotfixes and other things that a check in between looks at, each.
const SAMPLES: usize = 25;

/// Nothing is left of what crashes cut off, once the sweeper has had its time: it works beside a service that is ready.
pub(super) async fn rubbish_goes(world: &World, books: &Books) {
    let mut left = Vec::new();
    let gone = within(TIME_LIMIT, async || {
        left = rubbish(books).await;
        left.is_empty().then_some(())
    });
    if gone.await.is_none() {
        left.into_iter().for_each(|rubbish| world.finds(rubbish));
    }
}

/// Rows of uploads that never end, and bytes that nobody needs or that are missing.
async fn rubbish(books: &Books) -> Vec<String> {
    let [uploading, blobs, needed] = books
        .snapshot([
            "SELECT app_id, country_code, version FROM versions WHERE status = 'Uploading'",
            "SELECT location, sha256, state FROM blobs",
            "SELECT DISTINCT location, sha256 FROM versions WHERE status = 'Uploaded'",
        ])
        .await;
    let mut found: Vec<_> = uploading
        .iter()
        .map(|row| format!("is still Uploading: {row:?}"))
        .collect();
    let not_stored = blobs.iter().filter(|row| row[2] != "stored");
    found.extend(not_stored.map(|row| format!("a blob is left as it was: {row:?}")));
    let (listed, needed, stored) = (addresses(&blobs), addresses(&needed), books.objects());
    found.extend(surplus(&listed, &needed, "no version needs the blob"));
    found.extend(surplus(&needed, &listed, "needed, and not listed, is the blob"));
    found.extend(surplus(&listed, &stored, "the bytes are missing of the blob"));
    found.extend(surplus(&stored, &listed, "nobody knows of the object"));
    found.extend(
        books
            .staged()
            .iter()
            .map(|file| format!("staging still has {file}")),
    );
    found
}

/// LOCATION/HASH, as the folders say it.
fn addresses(rows: &[Row]) -> Vec<String> {
    let address = |row: &Row| format!("{}/{}", row[0].to_lowercase().replace(' ', "-"), row[1]);
    rows.iter().map(address).collect()
}

/// What is in the one oftener than in the other.
fn surplus(these: &[String], those: &[String], what: &str) -> Vec<String> {
    let mut left = those.to_vec();
    let mut found = Vec::new();
    for address in these {
        match left.iter().position(|other| other == address) {
            Some(at) => drop(left.swap_remove(at)),
            None => found.push(format!("{what} {address}")),
        }
    }
    found
}

/// The database holds everything that was acknowledged, and agrees with its own history.
pub(super) async fn books_agree(world: &World, books: &Books) {
    let [audit, operations, installed, versions, keys] = books
        .snapshot([
            AuditTrail::QUERY,
            "SELECT id, status, environment_id, app_id, run_after, started_on, reason FROM operations",
            "SELECT e.name, i.app_id, i.version FROM installations i JOIN environments e ON e.id = i.environment_id",
            "SELECT app_id, country_code, version, status, sha256 FROM versions",
            "SELECT idempotency_key, operation_id FROM idempotency_keys",
        ])
        .await;
    let trail = AuditTrail::read(&audit);
    for wrong in trail.check_operations(&operations) {
        world.finds(wrong);
    }
    for wrong in trail.check_installed(&installed) {
        world.finds(wrong);
    }
    changes_are_recorded(world, &trail);
    uploads_are_recorded(world, &versions);
    keys_are_remembered(world, &keys, &operations);
}

fn changes_are_recorded(world: &World, trail: &AuditTrail) {
    for (id, what) in &world.ledger().changes {
        if !trail.has_request(id) {
            world.finds(format!(
                "the request {id} was acknowledged and left no trace: {what}"
            ));
        }
    }
}

fn uploads_are_recorded(world: &World, versions: &[Row]) {
    let found: BTreeMap<_, _> = versions
        .iter()
        .map(|row| ((row[0].as_str(), row[1].as_str(), row[2].as_str()), row))
        .collect();
    let ledger = world.ledger();
    for ((app, country, number), package) in &ledger.packages {
        let (app, version) = (plain_id(&APPS[*app].to_string()), format!("1.0.{number}.0"));
        let row = found.get(&(app.as_str(), *country, version.as_str()));
        let is_right = row.is_some_and(|row| row[3] == "Uploaded" && row[4] == package.sha256);
        if package.is_acknowledged && !is_right {
            let history = package.history.join("\n  ");
            world.finds(format!(
                "{app} {country} {version} was acknowledged and is {row:?}:\n  {history}"
            ));
        }
    }
}

fn keys_are_remembered(world: &World, keys: &[Row], operations: &[Row]) {
    let kept: BTreeMap<_, _> = keys
        .iter()
        .map(|row| (row[0].as_str(), row[1].as_str()))
        .collect();
    let there: BTreeMap<_, _> = operations
        .iter()
        .map(|row| (row[0].as_str(), row[1].as_str()))
        .collect();
    let ledger = world.ledger();
    let is_open = |key: &str| ledger.unsure.iter().any(|request| request.key == key);
    for (key, outcome) in &ledger.keys {
        let made = kept.get(key.as_str());
        match outcome {
            KeyOutcome::Made(id) if made != Some(&plain_id(id).as_str()) => {
                world.finds(format!("the key {key} made {id} and stands for {made:?}"));
            }
            KeyOutcome::Refused if made.is_some() && !is_open(key) => {
                world.finds(format!("the key {key} was refused and stands for {made:?}"));
            }
            _ => {}
        }
    }
    for (id, hotfix) in &ledger.hotfixes {
        let status = there.get(plain_id(id).as_str()).copied();
        let is_right = match hotfix.seen.as_str() {
            _ if hotfix.is_canceled => status == Some("Canceled"),
            "Scheduled" => status.is_some(),
            "Running" => status.is_some_and(|status| status != "Scheduled" && status != "Canceled"),
            seen => status == Some(seen),
        };
        if !is_right {
            let history = hotfix.history.join("\n  ");
            world.finds(format!("the hotfix {id} is {status:?}:\n  {history}"));
        }
    }
}

/// Some of what was acknowledged is to be had from the service.
pub(super) async fn samples_are_there(world: &World, dice: &mut Dice) {
    look_at_some(world, |known| {
        let mut some = Vec::new();
        for _ in 0..SAMPLES.min(known.len()) {
            some.push(known[dice.below(known.len())].clone());
        }
        some
    })
    .await;
}

/// All of what was acknowledged is to be had from the service.
pub(super) async fn everything_is_there(world: &World) {
    look_at_some(world, |known| known.to_vec()).await;
}

async fn look_at_some(world: &World, mut choose: impl FnMut(&[Known]) -> Vec<Known>) {
    let mut players = Vec::new();
    let known = known(world);
    for (index, kind) in known.iter().enumerate() {
        let replica = index % world.replicas();
        let (owner, operator) = (
            world.caller_of(replica, &Person::OWNER),
            world.caller_of(replica, &Person::OPERATOR),
        );
        let chosen = choose(kind);
        players.push(async move {
            for known in chosen {
                known.look(world, &owner, &operator).await;
            }
        });
    }
    futures::future::join_all(players).await;
}

/// Something that was acknowledged.
#[derive(Clone, Debug)]
enum Known {
    Version { path: String, sha256: String },
    Hotfix { id: String },
    Thing { path: String },
}

fn known(world: &World) -> [Vec<Known>; 3] {
    let ledger = world.ledger();
    let versions = ledger
        .packages
        .iter()
        .filter(|(_, package)| package.is_acknowledged);
    let versions = versions.map(|((app, country, number), package)| Known::Version {
        path: format!("{}/1.0.{number}.0", versions_path(*app, country)),
        sha256: package.sha256.clone(),
    });
    let hotfixes = ledger.hotfixes.keys().map(|id| Known::Hotfix { id: id.clone() });
    let things = ledger
        .things
        .keys()
        .map(|path| Known::Thing { path: path.clone() });
    [versions.collect(), hotfixes.collect(), things.collect()]
}

impl Known {
    async fn look(self, world: &World, owner: &Caller, operator: &Caller) {
        match self {
            Self::Version { path, sha256 } => look_at_version(world, owner, &path, &sha256).await,
            Self::Hotfix { id } => look_at_hotfix(world, owner, &id).await,
            Self::Thing { path } if path.starts_with("/operator/") => {
                look_at_thing(world, operator, &path).await;
            }
            Self::Thing { path } => look_at_thing(world, owner, &path).await,
        }
    }
}

async fn look_at_version(world: &World, owner: &Caller, path: &str, sha256: &str) {
    let shown = owner.get(path).await.unwrap();
    if shown.status != 200 || shown.property("status") != "Uploaded" {
        world.finds(format!("was acknowledged: {shown}"));
    }
    let path = format!("{path}/getPackageContents");
    let contents = owner.ask(Method::POST, &path, &[], None).await.unwrap();
    let hash = hash_of(&contents.body);
    if contents.status != 200 || hash != sha256 {
        world.finds(format!("{path} should be {sha256} and is {hash}: {contents}"));
    }
}

async fn look_at_hotfix(world: &World, owner: &Caller, id: &str) {
    let (path, request) = {
        let ledger = world.ledger();
        let hotfix = &ledger.hotfixes[id];
        (hotfix.path.clone(), hotfix.request.clone())
    };
    let shown = owner.get(&path).await.unwrap();
    note_status(world, id, &shown);
    for fact in ["environmentName", "targetAppVersion", "environmentAadTenantId"] {
        if shown.json()[fact] != request[fact] {
            world.finds(format!("{fact} of {request} became {shown}"));
        }
    }
}

async fn look_at_thing(world: &World, caller: &Caller, path: &str) {
    let shown = caller.get(path).await.unwrap();
    let value = value_of(path, &shown);
    let ledger = world.ledger();
    let thing = &ledger.things[path];
    if !thing.possible.contains(&value) {
        let history = thing.history.join("\n  ");
        world.finds(format!(
            "{path} may be {:?} and is {shown}:\n  {history}",
            thing.possible
        ));
    }
}
