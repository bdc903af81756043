//! What an evaluation is charged against what it takes: no operator and no function may take time that nobody accounts
//! for. Time is the thread's own, so it is the same however busy the machine is, and the shortest of several runs.

use crate::shop::{bind, row, schema};
use odata::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration as StdDuration;

/// The most that one step may take: several times what the dearest one was measured to take without optimisation.
const STEP: StdDuration = StdDuration::from_nanos(250);
/// What every evaluation may take, and what a clock is not sure of.
const START: StdDuration = StdDuration::from_micros(200);

fn cpu_time() -> StdDuration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    StdDuration::from_secs(time.tv_sec as u64) + StdDuration::from_nanos(time.tv_nsec as u64)
}

fn long_text(letters: &str) -> String {
    letters.chars().cycle().take(4_000).collect()
}

/// Long texts wherever a row can have one.
fn long_row() -> Vec<Value<'static>> {
    let texts = |letters: &str, count| {
        let text = |number| Value::text(format!("{}{number}", long_text(letters)));
        Value::List((0..count).map(text).collect())
    };
    let part = || {
        Value::Record(vec![
            Value::Guid(Guid(1)),
            Value::Version(Version([1, 2, 3, 4])),
            Value::Null,
            texts("ab", 8),
        ])
    };
    row(vec![
        ("id", Value::Guid(Guid(1))),
        ("title", Value::text(long_text("ab"))),
        ("region", Value::text(long_text("ä b"))),
        ("line", Value::text(long_text("ab "))),
        ("release", Value::Version(Version([25, 1, 2, 3]))),
        ("stock", Value::integer(7)),
        ("photo", Value::Binary(vec![7; 4_000])),
        ("tags", texts("ab", 40)),
        ("markets", texts("äb", 40)),
        ("parts", Value::List((0..20).map(|_| part()).collect())),
    ])
}

fn a_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("title".to_owned()),
        Just("region".to_owned()),
        Just("line".to_owned()),
        Just("concat(release,'')".to_owned()),
        Just(format!("'{}'", long_text("ab"))),
        Just(format!("'{}'", long_text("ß "))),
        Just("'x'".to_owned()),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("concat({left},{right})")),
            inner.clone().prop_map(|text| format!("tolower({text})")),
            inner.clone().prop_map(|text| format!("toupper({text})")),
            inner.clone().prop_map(|text| format!("trim({text})")),
            inner.clone().prop_map(|text| format!("substring({text},-1000)")),
            inner.prop_map(|text| format!("substring({text},1,3000)")),
        ]
    })
}

fn a_condition() -> impl Strategy<Value = String> {
    let comparisons = prop::sample::select(vec!["eq", "ne", "lt", "le", "gt", "ge"]);
    let functions = prop::sample::select(vec!["contains", "startswith", "endswith"]);
    let patterns = prop::sample::select(vec![
        "(?:(?:a|b|ab){0,9}a){4}z",
        "[ab]{0,60}[ab]{0,60}z",
        r"(?i)\w+ß\d",
        ".{20}$",
    ]);
    let list = |text: String| vec![text; 100].join(",");
    let leaf = prop_oneof![
        (a_text(), comparisons, a_text())
            .prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
        (functions, a_text(), a_text())
            .prop_map(|(function, left, right)| format!("{function}({left},{right})")),
        (a_text(), a_text()).prop_map(|(left, right)| format!("indexof({left},{right}) eq 1")),
        a_text().prop_map(|text| format!("length({text}) eq 1")),
        (a_text(), patterns)
            .prop_map(|(text, pattern)| { format!("matchesPattern(substring({text},0,2000),'{pattern}')") }),
        a_text().prop_map(move |text| format!("{text} in ({})", list(format!("'{}c'", long_text("ab"))))),
        a_text().prop_map(move |text| format!("{text} in ({})", list("'x'".to_owned()))),
        a_text().prop_map(|text| format!("{text} in tags")),
        a_text().prop_map(|text| format!("{text} in markets")),
        Just("photo eq photo or photo ne photo".to_owned()),
        Just("parts/$count eq 1 or tags/$count eq 2".to_owned()),
        Just("stock div 3.1 mul 7.7 sub 0.3333333333 gt 1e20".to_owned()),
    ];
    leaf.prop_recursive(1, 3, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" or "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" and "))),
            inner.clone().prop_map(|condition| format!("not ({condition})")),
            inner
                .clone()
                .prop_map(|condition| format!("tags/all(t:t ne 'x' or {condition})")),
            inner
                .clone()
                .prop_map(|condition| format!("tags/any(t:t in tags and tolower(t) eq 'x' or {condition})")),
            inner
                .clone()
                .prop_map(|condition| format!("markets/any(m:m eq region or m in markets or {condition})")),
            inner.prop_map(|condition| format!("parts/all(p:p/labels/any(l:l eq title) or {condition})")),
        ]
    })
}

/// What the filter was charged for the row, and what it took.
fn measured(filter: &Filter, row: &Vec<Value<'static>>) -> (u64, StdDuration) {
    let mut shortest = StdDuration::MAX;
    let mut spent = 0;
    for _ in 0..2 {
        let mut account = Account::default();
        let before = account.left();
        let begun = cpu_time();
        let result = filter.holds(filter.root(), row, Instant::from_ticks(0), &mut account);
        shortest = shortest.min(cpu_time() - begun);
        spent = match result {
            Err(EvalError::TooExpensive) => before,
            _ => before - account.left(),
        };
    }
    (spent, shortest)
}

#[test]
fn what_takes_time_is_charged() {
    let row = long_row();
    let mut limits = Limits::default();
    limits.bytes = usize::MAX;
    limits.patterns = usize::MAX;
    limits.lambda_depth = 4;
    let config = Config {
        cases: 60,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    };
    // Always the same filters: a limit that holds today holds tomorrow.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&a_condition(), |condition| {
        // So often that what it takes outweighs all the rest.
        let text = format!("parts/all(p:tags/all(t:{condition} or true))");
        let ast = parse_filter(&text, &limits).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let filter = bind_filter(&ast, &schema(), &Aliases::default(), &limits)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let (steps, took) = measured(&filter, &row);
        let allowed = START + STEP * u32::try_from(steps).unwrap_or(u32::MAX);
        prop_assert!(took <= allowed, "{steps} steps took {took:?}");
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn an_evaluation_ends_when_nobody_waits_for_it() {
    let filter = bind("tags/all(a:tags/all(b:tags/all(c:a ne 'x' or b ne c)))").expect("a filter");
    let row = long_row();
    let asked = std::cell::Cell::new(0);
    let is_wanted = || {
        asked.set(asked.get() + 1);
        asked.get() < 3
    };
    let mut account = Account::new(&is_wanted);
    let before = account.left();
    let result = filter.holds(filter.root(), &row, Instant::from_ticks(0), &mut account);
    assert_eq!(result, Err(EvalError::Unwanted));
    assert!(before - account.left() < before / 4, "it was asked often enough");
}

#[test]
fn several_conditions_share_one_account() {
    let filter =
        bind("tags/all(a:tags/all(b:a ne b or a eq b)) and tags/all(a:tags/all(b:a ne b or a eq b))");
    let (filter, row) = (filter.expect("a filter"), long_row());
    let mut account = Account::default().with_steps(1_000_000);
    let mut left = Vec::new();
    for condition in filter.conjuncts() {
        assert_eq!(
            filter.holds(condition, &row, Instant::from_ticks(0), &mut account),
            Ok(true)
        );
        left.push(account.left());
    }
    assert_eq!(1_000_000 - left[0], left[0] - left[1]);
    account.next_row();
    assert_eq!(account.left(), Account::default().left());
}
