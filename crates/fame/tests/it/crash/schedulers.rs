//! Clients that schedule hotfixes under a key, ask again under the same key when no answer came, look at what became of
//! them, and cancel some.

use super::{
    ledger::{Hotfix, KeyOutcome, ScheduleRequest},
    uploaders::versions_path,
    world::{Moment, World},
};
use crate::services::{APPS, Answer, Dice, Lost, Method, Person, pause};
use serde_json::json;
use std::{sync::Arc, time::Duration};

pub(super) async fn run(world: Arc<World>, player: u64) {
    let mut dice = Dice::for_player(world.seed, player);
    while let Some(turn) = world.turn().await {
        match dice.below(100) {
            0..45 => schedule(&world, &mut dice).await,
            45..65 => ask_again(&world, &mut dice).await,
            65..85 => cancel(&world, &mut dice).await,
            _ => look(&world, &mut dice).await,
        }
        drop(turn);
        pause(&mut dice, Duration::from_millis(60)).await;
    }
    // Nothing is left open: whatever nobody answered is asked again.
    settle_all(&world, &mut dice).await;
}

async fn settle_all(world: &Arc<World>, dice: &mut Dice) {
    while let Some(request) = next_unsure(world) {
        ask(world, dice, request).await;
        pause(dice, Duration::from_millis(20)).await;
    }
}

fn next_unsure(world: &World) -> Option<ScheduleRequest> {
    world.ledger().unsure.pop()
}

async fn schedule(world: &Arc<World>, dice: &mut Dice) {
    let Some(request) = new_request(world, dice) else {
        return;
    };
    ask(world, dice, request).await;
}

fn new_request(world: &World, dice: &mut Dice) -> Option<ScheduleRequest> {
    let environment = dice.pick(&world.environments)?;
    let app = dice.below(APPS.len());
    let number = world.ledger().target(dice, app, environment.country)?;
    let mut body = environment.hotfix(&format!("1.0.{number}.0"));
    if dice.chance(10) {
        // Waits for the night, if it is not night.
        body["ignoreUpgradeWindow"] = json!(false);
    }
    Some(ScheduleRequest {
        key: format!("key-{:016x}", dice.next()),
        path: versions_path(app, environment.country).replace("/versions", "/environmentHotfixes"),
        body,
    })
}

/// Sends a request, sometimes to two replicas at once.
async fn ask(world: &Arc<World>, dice: &mut Dice, request: ScheduleRequest) {
    let twice = dice.chance(20);
    let callers = [0, 1].map(|_| world.caller(dice, &Person::OWNER));
    world.moment(Moment::Schedules);
    let before = world.ledger().keys.get(&request.key).cloned();
    let headers = [("idempotency-key", request.key.as_str())];
    let [one, other] = callers
        .each_ref()
        .map(|caller| caller.ask(Method::POST, &request.path, &headers, Some(&request.body)));
    if twice {
        let (one, other) = tokio::join!(one, other);
        note_answer(world, &request, before.as_ref(), one);
        note_answer(world, &request, before.as_ref(), other);
    } else {
        note_answer(world, &request, before.as_ref(), one.await);
    }
}

/// Notes an answer; `before` is what was known of the key when the request was sent.
fn note_answer(
    world: &World,
    request: &ScheduleRequest,
    before: Option<&KeyOutcome>,
    asked: Result<Answer, Lost>,
) {
    let decided = world.decides(&asked);
    let Ok(answer) = asked else {
        return world.ledger().unsure.push(request.clone());
    };
    if !decided || answer.status == 429 {
        return world.ledger().unsure.push(request.clone());
    }
    let outcome = match answer.status {
        200 => KeyOutcome::Made(answer.property("id")),
        400 | 404 | 409 => KeyOutcome::Refused,
        _ => return world.finds(format!("{request:?}: {answer}")),
    };
    let line = world.noted(&answer);
    let mut ledger = world.ledger();
    let known = ledger.keys.get(&request.key).cloned();
    match (&outcome, known) {
        (KeyOutcome::Made(id), Some(KeyOutcome::Made(other))) if *id != other => {
            world.finds(format!("the key {} made {other} and {answer}", request.key));
        }
        (KeyOutcome::Made(_), Some(KeyOutcome::Made(_))) => ledger.counts("hotfixes asked for again"),
        (KeyOutcome::Made(id), _) => {
            ledger.counts("hotfixes");
            ledger.keys.insert(request.key.clone(), outcome.clone());
            ledger
                .hotfixes
                .insert(id.clone(), hotfix_of(request, id, &answer, line));
        }
        (KeyOutcome::Refused, _) if matches!(before, Some(KeyOutcome::Made(_))) => {
            world.finds(format!("the key {} had made a hotfix: {answer}", request.key));
        }
        // A refusal is not remembered: somebody else may have got through with the same key meanwhile.
        (KeyOutcome::Refused, Some(KeyOutcome::Made(_))) => {}
        (KeyOutcome::Refused, _) => {
            ledger.keys.insert(request.key.clone(), outcome);
        }
    }
}

fn hotfix_of(request: &ScheduleRequest, id: &str, answer: &Answer, line: String) -> Hotfix {
    Hotfix {
        path: format!("{}/{id}", request.path),
        request: request.body.clone(),
        seen: answer.property("status"),
        is_canceled: false,
        history: vec![line],
    }
}

/// What nobody answered, or what was answered long ago.
async fn ask_again(world: &Arc<World>, dice: &mut Dice) {
    if let Some(request) = next_unsure(world) {
        return ask(world, dice, request).await;
    }
    let known = {
        let ledger = world.ledger();
        let made: Vec<_> = ledger
            .keys
            .iter()
            .filter_map(|(key, outcome)| match outcome {
                KeyOutcome::Made(id) => Some((key.clone(), id.clone())),
                KeyOutcome::Refused => None,
            })
            .collect();
        dice.pick(&made).map(|(key, id)| {
            let hotfix = &ledger.hotfixes[id];
            ScheduleRequest {
                key: key.clone(),
                path: hotfix.path.replace(&format!("/{id}"), ""),
                body: hotfix.request.clone(),
            }
        })
    };
    if let Some(request) = known {
        ask(world, dice, request).await;
    }
}

/// Any hotfix that may still change; where it is.
fn any_open(world: &World, dice: &mut Dice) -> Option<(String, String)> {
    let ledger = world.ledger();
    let open = ledger
        .hotfixes
        .iter()
        .filter(|(_, hotfix)| matches!(hotfix.seen.as_str(), "Scheduled" | "Running"));
    let open: Vec<_> = open
        .map(|(id, hotfix)| (id.clone(), hotfix.path.clone()))
        .collect();
    dice.pick(&open).cloned()
}

async fn cancel(world: &Arc<World>, dice: &mut Dice) {
    let Some((id, path)) = any_open(world, dice) else {
        return;
    };
    let caller = world.caller(dice, &Person::OWNER);
    world.moment(Moment::Cancels);
    let asked = caller.patch(&path, &json!({ "status": "Canceled" })).await;
    if !world.decides(&asked) {
        return;
    }
    let Ok(answer) = asked else { return };
    match answer.status {
        200 => {
            note_status(world, &id, &answer);
            let mut ledger = world.ledger();
            ledger.counts("cancellations");
            ledger.hotfixes.get_mut(&id).unwrap().is_canceled = true;
        }
        // It has begun, or is over.
        400 | 409 | 429 => {}
        _ => world.finds(format!("{answer}")),
    }
}

async fn look(world: &Arc<World>, dice: &mut Dice) {
    let Some((id, path)) = any_open(world, dice) else {
        return;
    };
    let asked = world.caller(dice, &Person::OWNER).get(&path).await;
    if world.decides(&asked)
        && let Ok(answer) = asked
        && answer.status != 429
    {
        note_status(world, &id, &answer);
    }
}

fn rank(status: &str) -> usize {
    match status {
        "Scheduled" => 0,
        "Running" => 1,
        _ => 2,
    }
}

/// A status that was seen never goes back. Two clients may learn of it in any order, so what is seen late but is older
/// does not count here.
pub(super) fn note_status(world: &World, id: &str, answer: &Answer) {
    let line = world.noted(answer);
    let mut ledger = world.ledger();
    let hotfix = ledger.hotfixes.get_mut(id).unwrap();
    hotfix.history.push(line);
    let status = answer.property("status");
    let (before, now) = (rank(&hotfix.seen), rank(&status));
    let is_wrong = answer.status != 200 || (before == 2 && now == 2 && hotfix.seen != status);
    if is_wrong {
        let history = hotfix.history.join("\n  ");
        world.finds(format!(
            "the hotfix {id} was {} before:\n  {history}",
            hotfix.seen
        ));
    } else if now > before {
        hotfix.seen = status;
    }
}
