//! Random walks: what a vendor, an operator, agents, the clock and crashes do to two environments, in any order,
//! held after every step against a model that is simple enough to be believed. On both databases.
//!
//! `FAME_MODEL_CASES` says how many walks are tried on each of them, for whoever wants to look longer.

mod acts;
mod model;
mod reach;
mod steps;
mod world;

use super::NOW;
use acts::Act;
use model::Model;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use std::fmt::{Debug, Write};
use steps::{Step, beginning, walks};
use test_support::postgres_cluster;
use tokio::runtime::Runtime;
use world::World;

/// The most steps of a walk.
const LONG: usize = 40;

/// Walks in a row, each on a database of its own.
fn try_walks(cases: u32, database: impl Fn() -> Option<String>) {
    let asked = std::env::var("FAME_MODEL_CASES").ok();
    let cases = asked.map_or(cases, |asked| asked.parse().unwrap());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let runtime = Runtime::new().unwrap();
    let outcome = TestRunner::new(config).run(&walks(LONG), |steps| {
        let walked = runtime.block_on(walk(&steps, database()));
        walked.map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => {
            let steps: Vec<_> = steps
                .iter()
                .flatten()
                .map(|step| format!("  {step:?}\n"))
                .collect();
            panic!("{why}\nThe steps:\n{}", steps.concat())
        }
        Err(other) => panic!("{other}"),
    }
}

async fn walk(steps: &[Option<Step>], database: Option<String>) -> Result<(), String> {
    let mut walk = Walk {
        model: Model::new(NOW),
        world: World::on(database).await,
        story: String::new(),
    };
    for act in beginning() {
        walk.go(&act).await?;
    }
    for step in steps.iter().flatten() {
        if let Some(act) = step.act(&walk.model) {
            walk.go(&act).await?;
        }
    }
    let seen = walk.world.statuses_for_the_vendor().await;
    let known: Vec<_> = walk
        .model
        .operations
        .iter()
        .map(|operation| operation.status)
        .collect();
    walk.agrees("the vendor sees", &known, &seen)
}

struct Walk {
    model: Model,
    world: World,
    /// What happened, to be read where the two part.
    story: String,
}

impl Walk {
    async fn go(&mut self, act: &Act) -> Result<(), String> {
        let before = self.model.clone();
        let expected = self.model.take(act);
        let answer = self.world.take(act).await;
        writeln!(self.story, "  {act:?}\n    => {answer:?}").unwrap();
        self.agrees("the answer", &expected, &answer)?;
        self.compare().await?;
        match self.model.broken_promise(&before, act) {
            Some(broken) => Err(self.parted(&broken)),
            None => Ok(()),
        }
    }

    async fn compare(&mut self) -> Result<(), String> {
        let operations = self.world.operations().await;
        for (number, (expected, found)) in self.model.operations.iter().zip(&operations).enumerate() {
            self.agrees(&format!("operation {number}"), expected, found)?;
        }
        let environments = self.world.environments().await;
        for (number, found) in environments.iter().enumerate() {
            self.model
                .allows_due(number, found.as_ref().and_then(|environment| environment.due));
            self.agrees(
                &format!("environment {number}"),
                &self.model.environments[number],
                found,
            )?;
        }
        let mut expected = self.model.audit.clone();
        expected.sort();
        let audit = self.world.audit().await;
        self.agrees("the audit", &expected, &audit)?;
        self.agrees("the clock", &self.model.now, &self.world.now())
    }

    fn agrees<T: PartialEq + Debug>(&self, what: &str, expected: &T, found: &T) -> Result<(), String> {
        if expected == found {
            return Ok(());
        }
        Err(self.parted(&format!("{what}:\n  expected {expected:?}\n  found    {found:?}")))
    }

    fn parted(&self, why: &str) -> String {
        format!("{why}\nWhat happened:\n{}", self.story)
    }
}

#[test]
fn whatever_happens_to_an_environment_it_is_as_the_model_says_on_sqlite() {
    try_walks(48, || None);
}

#[test]
fn whatever_happens_to_an_environment_it_is_as_the_model_says_on_postgresql() {
    try_walks(16, || Some(postgres_cluster::database_url()));
}
