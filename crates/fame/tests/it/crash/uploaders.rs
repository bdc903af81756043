//! Clients that upload: new versions, the same bytes for several countries, again what nobody knows of, and what must
//! be refused.

use super::{
    ledger::{VersionId, bytes_of},
    world::{Moment, World},
};
use crate::services::{APPS, Answer, COUNTRIES, Dice, Lost, Person, pause};
use axum::body::Bytes;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{Stream, stream};
use serde_json::json;
use std::{io, sync::Arc, time::Duration};

pub(super) async fn run(world: Arc<World>, player: u64) {
    let mut dice = Dice::for_player(world.seed, player);
    while let Some(_turn) = world.turn().await {
        match dice.below(100) {
            0..50 => {
                let version = world.ledger().new_version(&mut dice, &COUNTRIES);
                upload(&world, &mut dice, version).await;
            }
            50..70 => upload_elsewhere(&world, &mut dice).await,
            70..85 => upload_again(&world, &mut dice).await,
            85..92 => upload_half(&world, &mut dice).await,
            _ => upload_wrong(&world, &mut dice).await,
        }
        drop(_turn);
        pause(&mut dice, Duration::from_millis(120)).await;
    }
}

/// Where versions of that app and country are uploaded to.
pub(super) fn versions_path(app: usize, country: &str) -> String {
    format!("/v1.4/apps/{}/countries/{country}/versions", APPS[app])
}

fn body_of(bytes: &[u8]) -> Bytes {
    let contents = STANDARD.encode(bytes);
    json!({ "initialAvailability": "Available", "packageContents": contents })
        .to_string()
        .into()
}

/// The body in a few chunks that report when they go out; with `cut`, it ends in the middle.
fn chunks(
    world: &Arc<World>,
    body: Bytes,
    cut: bool,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let size = (body.len() / 5).max(1);
    let world = world.clone();
    stream::unfold((body, 0), move |(mut rest, sent)| {
        let world = world.clone();
        async move {
            if sent == 1 {
                world.moment(Moment::UploadBegins);
            }
            if rest.is_empty() {
                world.moment(Moment::UploadEnds);
                return None;
            }
            if cut && sent == 3 {
                return Some((Err(io::Error::other("cut")), (Bytes::new(), sent)));
            }
            let chunk = rest.split_to(size.min(rest.len()));
            Some((Ok(chunk), (rest, sent + 1)))
        }
    })
}

async fn upload(world: &Arc<World>, dice: &mut Dice, version: VersionId) {
    let bytes = bytes_of(version);
    let line = world.noted("is uploaded");
    let is_known = world.ledger().tries(version, &bytes, line);
    let caller = world.caller(dice, &Person::OWNER);
    let path = versions_path(version.0, version.1);
    let asked = caller
        .post_in_chunks(&path, chunks(world, body_of(&bytes), false))
        .await;
    note_upload(world, version, is_known, asked);
}

fn note_upload(world: &World, version: VersionId, is_known: bool, asked: Result<Answer, Lost>) {
    let decided = world.decides(&asked);
    let line = world.noted(match &asked {
        Ok(answer) => answer.to_string(),
        Err(lost) => format!("no answer: {}", lost.0),
    });
    let mut ledger = world.ledger();
    let package = ledger.packages.get_mut(&version).unwrap();
    package.history.push(line);
    let Ok(answer) = asked else { return };
    if !decided {
        return;
    }
    match (answer.status, answer.code().as_str()) {
        (200, _) if is_known => {
            let history = package.history.join("\n  ");
            world.finds(format!(
                "{version:?} was acknowledged and is accepted again:\n  {history}"
            ));
        }
        (200, _) => {
            package.is_acknowledged = true;
            ledger.counts("uploads");
            if let Some(id) = answer.header("ms-correlation-x") {
                ledger
                    .changes
                    .insert(id.to_owned(), format!("upload of {version:?}"));
            }
        }
        // An earlier try succeeded and nobody was told; from now on it is known to be there.
        (409, "ResourceExists") if package.history.len() > 2 || is_known => package.is_acknowledged = true,
        (409, "UploadInProgress") | (429, _) => {}
        _ => {
            let history = package.history.join("\n  ");
            world.finds(format!("{version:?} is refused: {answer}\n  {history}"));
        }
    }
}

/// The same bytes for another country.
async fn upload_elsewhere(world: &Arc<World>, dice: &mut Dice) {
    let any = world.ledger().any_version(dice);
    if let Some((app, _, number)) = any {
        let country = COUNTRIES[dice.below(COUNTRIES.len())];
        upload(world, dice, (app, country, number)).await;
    }
}

/// Again what was tried before, whatever became of it.
async fn upload_again(world: &Arc<World>, dice: &mut Dice) {
    let any = world.ledger().any_version(dice);
    if let Some(version) = any {
        upload(world, dice, version).await;
    }
}

/// A body that ends in the middle: the client goes away.
async fn upload_half(world: &Arc<World>, dice: &mut Dice) {
    let version = world.ledger().new_version(dice, &COUNTRIES);
    let caller = world.caller(dice, &Person::OWNER);
    let path = versions_path(version.0, version.1);
    let body = body_of(&bytes_of(version));
    let asked = caller.post_in_chunks(&path, chunks(world, body, true)).await;
    if let Ok(answer) = asked
        && answer.status < 400
    {
        world.finds(format!("half of {version:?} was accepted: {answer}"));
    }
}

/// A package of another app, or none at all.
async fn upload_wrong(world: &Arc<World>, dice: &mut Dice) {
    let version = world.ledger().new_version(dice, &COUNTRIES);
    let other = (version.0 + 1) % APPS.len();
    let bytes = if dice.chance(50) {
        bytes_of((other, version.1, version.2))
    } else {
        b"NAVX and then nothing".to_vec()
    };
    let caller = world.caller(dice, &Person::OWNER);
    let path = versions_path(version.0, version.1);
    let asked = caller
        .post_in_chunks(&path, chunks(world, body_of(&bytes), false))
        .await;
    if world.decides(&asked)
        && let Ok(answer) = asked
        && answer.code() != "InvalidPackage"
        && answer.status != 429
    {
        world.finds(format!("a wrong package for {version:?}: {answer}"));
    }
}
