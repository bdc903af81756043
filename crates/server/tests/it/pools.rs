//! One connection is enough: with a pool of one, everything is served, a little later. Whoever held a connection while
//! waiting for another would wait for ever.

use crate::{
    every_operation::{CallerKind, Described, Fixture, Guard, Role, Sample, Whose, described, samples},
    harness::{APP, Answer, Backend, Caller, Environment, Harness, Plan, Request, on_both_databases},
};
use futures::future::join_all;
use http::Method;
use std::time::Duration;

on_both_databases!(
    everything_is_read_through_one_connection,
    everything_is_changed_through_one_connection,
    long_lists_and_plans_come_through_one_connection,
);

/// How long anything may take that waits for nobody who waits for it.
const IN_TIME: Duration = Duration::from_secs(120);

fn plan(backend: Backend) -> Plan {
    Harness::with(backend).setting("database.connections", 1)
}

/// What all of the work comes to, which must end in time.
async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(IN_TIME, work).await;
    ended.unwrap_or_else(|_| panic!("{what}: no end within {IN_TIME:?}"))
}

/// The operations of the document that this is true of.
fn operations(which: impl Fn(&Method) -> bool) -> Vec<(Described, Sample)> {
    let document = serde_json::from_str(&server::openapi_json()).unwrap();
    let mut samples = samples();
    let described = described(&document).into_iter();
    let wanted = described.filter(|operation| which(&operation.method));
    wanted
        .map(|operation| {
            let row = samples.iter().position(|sample| sample.operation == operation.id);
            let sample = samples.remove(row.unwrap_or_else(|| panic!("no sample of {}", operation.id)));
            (operation, sample)
        })
        .collect()
}

/// Those who may do it.
fn permitted(sample: &Sample) -> Vec<CallerKind> {
    match sample.guard {
        Guard::Public => vec![CallerKind::Nobody, CallerKind::Holder(Role::Reader)],
        Guard::AnyToken => vec![CallerKind::Holder(Role::Reader), CallerKind::Holder(Role::Owner)],
        Guard::Operator => vec![CallerKind::Operator],
        Guard::Administrator(Whose::OfPrograms) => vec![CallerKind::Client],
        Guard::Administrator(_) => vec![CallerKind::Administrator],
        // The inventories of one agent come one after the other.
        Guard::Agent if sample.operation == "patch_inventory" => vec![CallerKind::CloudAgent],
        Guard::Agent | Guard::OwnToken => vec![CallerKind::Agent],
        Guard::Run => vec![CallerKind::Run],
        Guard::Role(needed) => [Role::Reader, Role::Contributor, Role::Owner]
            .into_iter()
            .filter(|role| *role >= needed)
            .map(CallerKind::Holder)
            .collect(),
    }
}

#[track_caller]
fn succeeded(sample: &Sample, answer: &Answer) {
    assert_eq!(
        answer.status,
        sample.success,
        "{}: {}",
        sample.operation,
        answer.text()
    );
}

async fn everything_is_read_through_one_connection(backend: Backend) {
    let fixture = Fixture::on(plan(backend).start().await).await;
    let operations = operations(|method| method == Method::GET);
    assert!(operations.len() > 20, "the document is not read rightly");
    let reads = operations.iter().flat_map(|(operation, sample)| {
        let fixture = &fixture;
        // Each of them twice, so that everybody has somebody to wait for.
        [permitted(sample), permitted(sample)]
            .concat()
            .into_iter()
            .map(move |who| async move { (sample, fixture.answer(who, sample, operation).await) })
    });
    for (sample, answer) in in_time("reading", join_all(reads)).await {
        succeeded(sample, &answer);
    }
}

async fn everything_is_changed_through_one_connection(backend: Backend) {
    let fixture = Fixture::on(plan(backend).start().await).await;
    let operations = operations(|method| method != Method::GET);
    assert!(operations.len() > 10, "the document is not read rightly");
    let changes = operations.iter().flat_map(|(operation, sample)| {
        let fixture = &fixture;
        permitted(sample)
            .into_iter()
            .map(move |who| async move { (sample, fixture.answer(who, sample, operation).await) })
    });
    for (sample, answer) in in_time("changing", join_all(changes)).await {
        succeeded(sample, &answer);
    }
}

/// More environments than are on their way at once, however many batches may wait for a receiver.
const ENVIRONMENTS: usize = 1_700;
/// How many of them have a number that ends with a seven.
const SEVENS: usize = ENVIRONMENTS / 10;
/// The same request so many times at once.
const AT_ONCE: usize = 3;
/// Reports on their way at once.
const REPORTERS: usize = 8;

/// A service with many environments, which were reported through another one where there can be another.
async fn with_environments(backend: Backend) -> Harness {
    let service = plan(backend).start().await;
    service.owner().has_uploaded("1.0.0.1").await;
    let other = match backend {
        Backend::Sqlite => None,
        Backend::Postgres => Some(service.beside("database.connections", "8").await),
    };
    let operator = other.as_ref().unwrap_or(&service).operator();
    let reporters = (0..REPORTERS).map(|first| {
        let operator = operator.clone();
        async move {
            for number in (first..ENVIRONMENTS).step_by(REPORTERS) {
                let environment = Environment::named(&format!("E{number:04}")).has(APP, "1.0.0.0");
                let environment = environment.on_application(&format!("{}.0", 20 + number % 7));
                operator.reports(&environment).await.expect(201);
            }
        }
    });
    join_all(reporters).await;
    service
}

/// A list, and how many rows it has to bring.
struct List {
    path: String,
    rows: usize,
    principal: Caller,
}

impl List {
    fn request(&self) -> Request {
        self.principal.get(&self.path)
    }

    /// A list that breaks off is an error of the connection, because its status has gone out before.
    fn check(&self, answer: reqwest::Result<Answer>) {
        let answer = answer.unwrap_or_else(|error| panic!("{} broke off: {error:?}", self.path));
        let answer = answer.expect(200);
        if self.path.contains("/$count") {
            assert_eq!(answer.text(), self.rows.to_string(), "{}", self.path);
            return;
        }
        assert_eq!(answer.rows().len(), self.rows, "{}", self.path);
    }
}

fn lists(service: &Harness) -> Vec<List> {
    let (vendor, operator) = (service.reader(), service.operator());
    let of_country = |rest: &str, rows| List {
        path: vendor.us(rest),
        rows,
        principal: vendor.clone(),
    };
    let of_all = |rest: &str, rows| List {
        path: format!("/operator/v1/{rest}"),
        rows,
        principal: operator.clone(),
    };
    // Only the memory can decide what matches a pattern, and what comes first among versions that are kept as text.
    let sevens = "$filter=matchesPattern(name,'7$')";
    let plan = "environmentHotfixes/plan?targetAppVersion=1.0.0.1";
    vec![
        of_country("environments", ENVIRONMENTS),
        of_country("environments/$count", ENVIRONMENTS),
        of_country("environments?$count=true", ENVIRONMENTS),
        of_country("environments?$orderby=version desc,name desc", ENVIRONMENTS),
        of_country(&format!("environments?$count=true&{sevens}"), SEVENS),
        of_country(&format!("environments/$count?{sevens}"), SEVENS),
        of_country(plan, ENVIRONMENTS),
        of_country(&format!("{plan}&$count=true&$orderby=name desc"), ENVIRONMENTS),
        of_country(&format!("{plan}&$skip=100&$top=1000"), 1000),
        of_country(&format!("{plan}&$count=true&{sevens}"), SEVENS),
        of_all("environments?$orderby=applicationVersion", ENVIRONMENTS),
        of_all(
            "environments?$orderby=applicationVersion&$count=true&$top=300",
            300,
        ),
        of_all(
            &format!("environments?$orderby=applicationVersion&$count=true&{sevens}"),
            SEVENS,
        ),
        of_all(
            "audit?$count=true&$filter=matchesPattern(target,'e...7$')",
            SEVENS,
        ),
    ]
}

async fn long_lists_and_plans_come_through_one_connection(backend: Backend) {
    let service = with_environments(backend).await;
    let lists = lists(&service);
    for list in &lists {
        let requests = (0..AT_ONCE).map(|_| list.request().send());
        for answer in in_time(&list.path, join_all(requests)).await {
            list.check(answer);
        }
    }
    let plans = || lists.iter().filter(|list| list.path.contains("/plan"));
    let requests = plans().map(|list| list.request().send());
    let answers = in_time("several plans", join_all(requests)).await;
    for (list, answer) in plans().zip(answers) {
        list.check(answer);
    }
}
