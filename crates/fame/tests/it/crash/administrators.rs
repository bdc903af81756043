//! A client that reports environments, gives and takes roles, and adds countries. Nobody else touches these, so it
//! always knows what each of them may be.

use super::world::{Moment, World};
use crate::services::{APPS, Answer, Dice, Lost, Person, pause, principal_body};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// Countries that are added in the course of a run.
const MORE_COUNTRIES: [&str; 8] = ["AT", "BE", "CH", "ES", "FR", "GB", "IT", "NL"];
/// Principals of each app that come and go.
const PRINCIPALS: u128 = 4;

pub(super) async fn run(world: Arc<World>, player: u64) {
    let mut dice = Dice::for_player(world.seed, player);
    let mut reports = 0;
    while let Some(turn) = world.turn().await {
        match dice.below(100) {
            0..60 => {
                reports += 1;
                report(&world, &mut dice, reports).await;
            }
            60..95 => change_principal(&world, &mut dice).await,
            _ => add_country(&world, &mut dice).await,
        }
        drop(turn);
        pause(&mut dice, Duration::from_millis(40)).await;
    }
}

/// Notes what became of writing a thing.
fn note(world: &World, thing: &str, value: Option<String>, what: &'static str, asked: Result<Answer, Lost>) {
    let decided = world.decides(&asked);
    let Ok(answer) = asked else { return };
    if !decided || answer.status == 429 {
        return;
    }
    let is_done = answer.status < 300 || (answer.status == 404 && value.is_none());
    if !is_done {
        return world.finds(format!("{thing}: {answer}"));
    }
    let line = world.noted(&answer);
    let mut ledger = world.ledger();
    ledger.is_now(thing, value, line);
    ledger.counts(what);
}

async fn report(world: &Arc<World>, dice: &mut Dice, number: usize) {
    let environment = &world.environments[dice.below(world.environments.len())];
    let path = environment.path();
    let mark = format!("report {number}");
    let line = world.noted(&mark);
    world.ledger().may_become(&path, Some(mark.clone()), line);
    let caller = world.caller(dice, &Person::OPERATOR);
    world.moment(Moment::Administers);
    let asked = caller.put(&path, &environment.report("1.0.0.0", &mark)).await;
    if let Ok(answer) = &asked
        && answer.status == 200
        && let Some(id) = answer.header("ms-correlation-x")
    {
        world
            .ledger()
            .changes
            .insert(id.to_owned(), format!("{mark} of {path}"));
    }
    note(world, &path, Some(mark), "reports", asked);
}

async fn change_principal(world: &Arc<World>, dice: &mut Dice) {
    let app = APPS[dice.below(APPS.len())];
    let id = Uuid::from_u128(0x3000_0000_0000_4000_8000_0000_0000_0000 + dice.next() as u128 % PRINCIPALS);
    let path = format!("/v1.4/apps/{app}/principals/{id}");
    let caller = world.caller(dice, &Person::OWNER);
    let role = ["", "Reader", "Contributor", "Owner"][dice.below(4)];
    let value = Some(role.to_owned()).filter(|role| !role.is_empty());
    let line = world.noted(format!("becomes {value:?}"));
    world.ledger().may_become(&path, value.clone(), line);
    world.moment(Moment::Administers);
    let asked = if role.is_empty() {
        caller.delete(&path).await
    } else {
        caller.patch(&path, &principal_body(&[role])).await
    };
    note(world, &path, value, "principals", asked);
}

async fn add_country(world: &Arc<World>, dice: &mut Dice) {
    let app = APPS[dice.below(APPS.len())];
    let code = MORE_COUNTRIES[dice.below(MORE_COUNTRIES.len())];
    let path = format!("/v1.4/apps/{app}/countries/{code}");
    let line = world.noted("is added");
    world.ledger().may_become(&path, Some(code.to_owned()), line);
    let caller = world.caller(dice, &Person::OWNER);
    world.moment(Moment::Administers);
    let asked = caller
        .patch(&path, &serde_json::json!({ "countryCode": code }))
        .await;
    note(world, &path, Some(code.to_owned()), "countries", asked);
}

/// What an answer about a thing says that it is; nothing when it is not there.
pub(super) fn value_of(path: &str, answer: &Answer) -> Option<String> {
    if answer.status == 404 {
        return None;
    }
    let found = if path.contains("/environments/") {
        answer.property("locationName")
    } else if path.contains("/principals/") {
        answer.json()["roles"][0].as_str().unwrap_or_default().to_owned()
    } else {
        answer.property("countryCode")
    };
    Some(found)
}
