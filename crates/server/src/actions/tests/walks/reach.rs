//! Whether the walks come far enough: a walk on which everything is refused would agree with any model.

use super::{
    LONG,
    acts::{Act, Answer},
    model::Model,
    steps::{beginning, walks},
};
use crate::actions::tests::NOW;
use domain::operation::OperationStatus;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use std::collections::BTreeSet;

/// What walks must come to, if they are to prove anything: refusals, endings and changes.
const NOTEWORTHY: &[&str] = &[
    "AlreadyScheduled",
    "DependantIncompatible",
    "DependencyIncompatible",
    "DependencyMissing",
    "DependencyTooOld",
    "EnvironmentBusy",
    "EnvironmentNotFound",
    "IdempotencyKeyReused",
    "InstalledIsPreview",
    "LineDiffers",
    "NotCancelable",
    "NotNewer",
    "ResourceDoesNotExist",
    "TargetDeprecated",
    "TargetPreview",
    "Succeeded",
    "Canceled",
    "AlreadyUpToDate",
    "AppUninstalled",
    "DependenciesUnmet",
    "EnvironmentGone",
    "EnvironmentMoved",
    "NothingToDo",
    "OutcomeUnknown",
    "Reported",
    "SourceBecamePreview",
    "TargetBecamePreview",
    "environments/release",
    "operations/lateReport",
    "a newer version stays",
    "a removed app stays away",
    "work runs in both",
    "three wait in one",
];

#[test]
fn walks_come_to_everything_that_the_model_knows() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..600 {
        let steps = walks(LONG).new_tree(&mut runner).unwrap().current();
        let mut model = Model::new(NOW);
        for act in beginning() {
            model.take(&act);
        }
        for step in steps.iter().flatten() {
            let Some(act) = step.act(&model) else { continue };
            let answer = model.take(&act);
            reached.extend(noteworthy(&model, &act, &answer));
        }
    }
    let missing: Vec<_> = NOTEWORTHY
        .iter()
        .filter(|what| !reached.contains(**what))
        .collect();
    assert!(missing.is_empty(), "no walk came to {missing:?}");
}

fn noteworthy(model: &Model, act: &Act, answer: &Answer) -> Vec<String> {
    let mut words: Vec<String> = model.audit.iter().map(|row| row.action.to_owned()).collect();
    if let Answer::Refused(code) = answer {
        words.push(code.clone());
    }
    for operation in &model.operations {
        words.push(operation.status.to_string());
        words.extend(operation.reason.clone());
    }
    let Act::Reports(reports) = act else {
        words.extend(crowds(model));
        return words;
    };
    for report in reports {
        let operation = &model.operations[report.operation];
        let environment = model
            .environments
            .iter()
            .flatten()
            .find(|environment| environment.home == operation.home);
        let ended_now =
            operation.status == OperationStatus::Succeeded && operation.ended_on == Some(model.now);
        let Some(environment) = environment.filter(|_| ended_now) else {
            continue;
        };
        match environment.apps[operation.app] {
            None => words.push("a removed app stays away".into()),
            Some(version) if version > operation.target => words.push("a newer version stays".into()),
            Some(_) => {}
        }
    }
    words
}

fn crowds(model: &Model) -> Vec<String> {
    let count = |home: Option<usize>, status| {
        let found = model
            .operations
            .iter()
            .filter(|one| home.is_none_or(|home| one.home == home));
        found.filter(|one| one.status == status).count()
    };
    let waiting = |home| count(Some(home), OperationStatus::Scheduled);
    let homes = model
        .environments
        .iter()
        .flatten()
        .map(|environment| environment.home);
    let full = homes.map(waiting).any(|waiting| waiting == 3);
    let both_run = count(None, OperationStatus::Running) == 2;
    let words = [
        full.then_some("three wait in one"),
        both_run.then_some("work runs in both"),
    ];
    words.into_iter().flatten().map(str::to_owned).collect()
}
