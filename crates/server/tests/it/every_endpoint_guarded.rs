//! Nothing is served that nobody thought about: each operation of the OpenAPI document is asked for by every kind of
//! caller, and an operation that the table of [`every_operation`](crate::every_operation) does not know fails here.

use crate::{
    every_operation::{
        CallerKind, Described, Fixture, Guard, OPEN_TO_RUNS, Role, Sample, Whose, described, samples,
    },
    harness::{APP, Answer, Backend, on_both_databases},
};
use serde_json::Value;
use std::collections::BTreeSet;

on_both_databases!(
    refused_calls_change_nothing_and_say_no_more_than_they_may,
    permitted_calls_succeed,
    an_app_that_is_hidden_answers_as_one_that_is_not_there,
);

fn document() -> Vec<Described> {
    described(&serde_json::from_str(&server::openapi_json()).unwrap())
}

/// Each operation of the document with its row of the table.
fn operations() -> Vec<(Described, Sample)> {
    let mut samples = samples();
    let mut pairs = Vec::new();
    for operation in document() {
        let row = samples.iter().position(|sample| sample.operation == operation.id);
        let row = row.unwrap_or_else(|| panic!("the table of samples does not have {}", operation.id));
        pairs.push((operation, samples.remove(row)));
    }
    pairs
}

/// The status that a caller is to see.
fn expected(sample: &Sample, who: CallerKind) -> u16 {
    match (sample.guard, who) {
        (Guard::Public, _) => sample.success,
        (_, CallerKind::Nobody | CallerKind::Forger) => 401,
        (Guard::Administrator(whose), who) => expected_at_the_customers_door(sample, whose, who),
        (
            _,
            CallerKind::Administrator
            | CallerKind::Client
            | CallerKind::Partner
            | CallerKind::OtherAdministrator,
        ) => 401,
        (Guard::Agent, CallerKind::Agent | CallerKind::CloudAgent) => sample.success,
        (Guard::Agent, _) => 401,
        (Guard::OwnToken, CallerKind::Agent) => sample.success,
        (Guard::OwnToken, CallerKind::CloudAgent) => 400,
        (Guard::OwnToken, _) | (_, CallerKind::Agent | CallerKind::CloudAgent) => 401,
        (Guard::Run, CallerKind::Run) => sample.success,
        (Guard::Run, _) => 401,
        (Guard::AnyToken, _) => sample.success,
        (Guard::Operator, CallerKind::Run) => 401,
        (Guard::Role(_), CallerKind::Run) => match OPEN_TO_RUNS.contains(&sample.operation) {
            true => sample.success,
            false => 403,
        },
        (Guard::Role(_), CallerKind::Stranger | CallerKind::Operator) => 404,
        (Guard::Role(needed), CallerKind::Holder(role)) if role < needed => 403,
        (Guard::Operator, CallerKind::Stranger | CallerKind::Holder(_)) => 403,
        (Guard::Role(_), CallerKind::Holder(_)) | (Guard::Operator, CallerKind::Operator) => sample.success,
    }
}

fn expected_at_the_customers_door(sample: &Sample, whose: Whose, who: CallerKind) -> u16 {
    let is_insider = matches!(who, CallerKind::Administrator | CallerKind::OtherAdministrator);
    let is_of_customer = !matches!(who, CallerKind::OtherAdministrator);
    match (whose, who) {
        (_, CallerKind::Agent | CallerKind::CloudAgent | CallerKind::Run) => 401,
        (_, CallerKind::Stranger | CallerKind::Holder(_) | CallerKind::Operator) => 403,
        (Whose::OfPeople, CallerKind::Client) => 403,
        (Whose::OfPrograms, who) if who != CallerKind::Client => 403,
        (Whose::OfInsiders | Whose::CustomersInsiders, _) if !is_insider => 403,
        (Whose::Customers | Whose::CustomersInsiders, _) if !is_of_customer => 404,
        _ => sample.success,
    }
}

#[test]
fn the_table_and_the_document_name_the_same_operations() {
    let in_document: BTreeSet<_> = document().into_iter().map(|operation| operation.id).collect();
    let in_table: BTreeSet<_> = samples()
        .into_iter()
        .map(|sample| sample.operation.to_owned())
        .collect();
    assert_eq!(in_table, in_document);
    assert_eq!(
        samples().len(),
        in_table.len(),
        "an operation is in the table twice"
    );
}

async fn refused_calls_change_nothing_and_say_no_more_than_they_may(backend: Backend) {
    let fixture = Fixture::set(backend).await;
    let (changes, everything) = (fixture.changes().await, everything(&fixture).await);
    for (operation, sample) in operations() {
        for who in CallerKind::ALL {
            let status = expected(&sample, who);
            if status < 400 {
                continue;
            }
            let answer = fixture.answer(who, &sample, &operation).await;
            assert_eq!(
                answer.status,
                status,
                "{} as {}: {}",
                sample.operation,
                who.name(),
                answer.text()
            );
            check_refusal(&sample, who, &answer);
        }
    }
    assert_eq!(
        fixture.changes().await,
        changes,
        "a refused call was recorded as a change"
    );
    assert_eq!(
        self::everything(&fixture).await,
        everything,
        "a refused call changed something"
    );
}

/// A refusal says what is missing, to the program and to the person. That every error has its ids and the shape of
/// the error body is checked with every answer (see [`Answer`]).
fn check_refusal(sample: &Sample, who: CallerKind, answer: &Answer) {
    match answer.status {
        401 => {
            assert!(
                answer.header("www-authenticate").starts_with("Bearer "),
                "{answer:?}"
            );
            assert_eq!(answer.code(), "Unauthorized", "{answer:?}");
        }
        400 => assert_eq!(answer.code(), "BadArgument", "{answer:?}"),
        404 if matches!(sample.guard, Guard::Administrator(_)) => {
            let codes = ["ResourceDoesNotExist", "EnvironmentNotFound"];
            assert!(codes.contains(&answer.code().as_str()), "{answer:?}");
        }
        403 if matches!(sample.guard, Guard::Administrator(_)) => {
            assert_eq!(answer.code(), "Forbidden", "{answer:?}");
        }
        404 => {
            assert_eq!(answer.code(), "ResourceDoesNotExist", "{answer:?}");
            assert_eq!(answer.target(), format!("apps/{APP}"), "{answer:?}");
        }
        403 if who == CallerKind::Run => {
            assert_eq!(answer.code(), "Forbidden", "{answer:?}");
            assert!(answer.message().contains("may: upload."), "{answer:?}");
        }
        403 => {
            assert_eq!(answer.code(), "Forbidden", "{answer:?}");
            let missing = match sample.guard {
                Guard::Role(role) => format!("{role:?}"),
                _ => "operator".into(),
            };
            let seen = who.person().unwrap().id.to_string();
            for fact in [missing, seen] {
                assert!(
                    answer.message().contains(&fact),
                    "{answer:?} does not name {fact}"
                );
            }
        }
        409 => assert_eq!(answer.code(), "RolloutNotInState", "{answer:?}"),
        other => panic!("{other} is no refusal: {answer:?}"),
    }
}

/// All that owner and operator can see.
async fn everything(fixture: &Fixture) -> Vec<Value> {
    let (owner, operator) = (fixture.service.owner(), fixture.service.operator());
    let mut seen = Vec::new();
    for rest in ["versions", "environments", "environmentHotfixes"] {
        seen.push(owner.get(owner.us(rest)).await.expect(200).json());
    }
    for rest in ["", "/countries", "/principals"] {
        seen.push(
            owner
                .get(format!("{}{rest}", owner.app_path()))
                .await
                .expect(200)
                .json(),
        );
    }
    // That somebody called is noted, whatever becomes of the call.
    let agents = "agents?$select=scope,tokenExpiresOn,enrolmentCodeExpiresOn,frozenOn,environments,_etag";
    for rest in ["apps", "environments", agents, "operations"] {
        seen.push(
            operator
                .get(format!("/operator/v1/{rest}"))
                .await
                .expect(200)
                .json(),
        );
    }
    seen
}

async fn permitted_calls_succeed(backend: Backend) {
    let fixture = Fixture::set(backend).await;
    for (operation, sample) in operations() {
        for who in CallerKind::ALL {
            let status = expected(&sample, who);
            if status >= 400 {
                continue;
            }
            let answer = fixture.answer(who, &sample, &operation).await;
            assert_eq!(
                answer.status,
                status,
                "{} as {}: {}",
                sample.operation,
                who.name(),
                answer.text()
            );
        }
    }
}

async fn an_app_that_is_hidden_answers_as_one_that_is_not_there(backend: Backend) {
    let fixture = Fixture::set(backend).await;
    let elsewhere = uuid::Uuid::new_v4();
    for (operation, sample) in operations() {
        if !matches!(sample.guard, Guard::Role(Role::Reader)) {
            continue;
        }
        let hidden = fixture.answer(CallerKind::Stranger, &sample, &operation).await;
        let missing = Described {
            path: operation.path.replace("{appId}", &elsewhere.to_string()),
            ..operation
        };
        let missing = fixture
            .answer(CallerKind::Stranger, &sample, &missing)
            .await
            .expect(404);
        let as_hidden = missing
            .message()
            .replace(&elsewhere.to_string(), &APP.to_string());
        assert_eq!(
            (missing.code(), as_hidden),
            (hidden.code(), hidden.message()),
            "{}",
            sample.operation
        );
    }
}
