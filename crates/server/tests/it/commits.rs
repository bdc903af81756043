//! Commits in doubt: the connection to PostgreSQL breaks while a change is being committed, either before the server
//! hears of it, or after it has carried it out. Each flow that writes is cut at each of its commits in both ways, and
//! must come to exactly one outcome, of which the answer or the next look tells.

use crate::{
    cut_line::{CutLine, Moment},
    harness::{
        APP, Answer, Backend, Caller, Environment, Harness, Person, Request, bytes_of, country_path,
        package_of, principal_body, registration,
    },
    own_postgres::{OwnPostgres, asks},
};
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use server::simulate::Fault;
use std::{cell::Cell, future::IntoFuture, time::Duration};
use uuid::Uuid;

/// More commits than any flow has.
const MANY: usize = 20;

/// A service behind a line that is cut, and the same data through another that is not.
struct Fixture {
    line: CutLine,
    service: Harness,
    direct: Harness,
    postgres: OwnPostgres,
}

impl Fixture {
    async fn set() -> Self {
        let postgres = OwnPostgres::start();
        let line = CutLine::to(&postgres).await;
        let on = async |url: &str| {
            let plan = Harness::with(Backend::Postgres).on_database(url);
            plan.setting("executor.kind", "none").start_empty().await
        };
        let service = on(&line.url("postgres")).await;
        let direct = on(&postgres.url).await;
        Self {
            line,
            service,
            direct,
            postgres,
        }
    }

    /// Ends both services. Their transactions must never have waited for each other in a circle.
    async fn close(mut self) {
        drop(self.service.crash().await);
        drop(self.direct.crash().await);
        assert_eq!(self.postgres.deadlocks(), 0, "PostgreSQL counted deadlocks");
    }

    /// Lets `flow` happen with each of its commits cut in both ways, on an app of its own each time.
    async fn with_each_commit_cut(&self, flow: impl AsyncFn(&Trial<'_>)) {
        for moment in Moment::BOTH {
            for nth in 1.. {
                assert!(nth < MANY, "the flow never gets through uncut");
                let trial = Trial::begin(self, nth, moment).await;
                flow(&trial).await;
                if !trial.was_cut.get() {
                    assert!(nth > 1, "no commit was cut: the flow changes nothing");
                    break;
                }
            }
        }
    }
}

/// Lets a flow that needs nothing else happen with each of its commits cut in both ways.
async fn each_commit_cut(flow: impl AsyncFn(&Trial<'_>)) {
    let fixture = Fixture::set().await;
    fixture.with_each_commit_cut(flow).await;
    fixture.close().await;
}

/// One attempt at a flow.
struct Trial<'s> {
    fixture: &'s Fixture,
    nth: usize,
    moment: Moment,
    app: Uuid,
    was_cut: Cell<bool>,
}

impl<'s> Trial<'s> {
    async fn begin(fixture: &'s Fixture, nth: usize, moment: Moment) -> Self {
        let app = Uuid::new_v4();
        fixture.direct.has_app(app).await;
        Self {
            fixture,
            nth,
            moment,
            app,
            was_cut: Cell::new(false),
        }
    }

    /// What to call it when something is wrong.
    fn name(&self) -> String {
        format!("commit {} cut {:?}", self.nth, self.moment)
    }

    fn owner(&self) -> Caller {
        self.fixture.service.owner().on(self.app)
    }

    fn operator(&self) -> Caller {
        self.fixture.service.operator().on(self.app)
    }

    /// Somebody whose requests go past the line.
    fn looker(&self) -> Caller {
        self.fixture.direct.owner().on(self.app)
    }

    fn looking_operator(&self) -> Caller {
        self.fixture.direct.operator().on(self.app)
    }

    /// Sends a request while the line is being cut; it succeeds, or is told to come again.
    async fn sends(&self, request: Request) -> Answer {
        self.fixture.line.cuts(self.nth, self.moment);
        let answer = tokio::time::timeout(Duration::from_secs(20), request.into_future()).await;
        self.was_cut.set(self.fixture.line.opens());
        let answer = answer.unwrap_or_else(|_| panic!("{}: no answer", self.name()));
        let is_told = answer.status == 503 && answer.has_header("retry-after");
        assert!(
            answer.status / 100 == 2 || is_told,
            "{}: {} answered {} {}",
            self.name(),
            answer.request,
            answer.status,
            answer.text()
        );
        answer
    }

    async fn audited(&self, target: &str, action: &str) -> usize {
        let filter = format!("target eq '{target}' and action eq '{action}'");
        let path = format!("/operator/v1/audit?$filter={filter}");
        let answer = self.looking_operator().get(path).await.expect(200);
        answer.rows().len()
    }

    /// Makes one change. Either all of it is there or nothing, which the answer tells if it tells success; and then
    /// the same request succeeds.
    async fn changes(&self, change: Change<'_>) {
        let answer = self.sends((change.request)()).await;
        let is_there = (change.is_there)().await;
        assert!(
            is_there || answer.status == 503,
            "{}: {} was acknowledged and is not there",
            self.name(),
            answer.request
        );
        let (target, action) = &change.audited;
        let recorded = self.audited(target, action).await;
        assert_eq!(
            recorded,
            usize::from(is_there),
            "{}: {} has as many audit rows",
            self.name(),
            answer.request
        );
        if answer.status != 503 {
            return;
        }
        let again = (change.request)().await;
        assert!(
            change.again.contains(&again.status),
            "{}: {} answered {} {} when it was repeated",
            self.name(),
            again.request,
            again.status,
            again.text()
        );
        assert!((change.is_there)().await, "{}: {}", self.name(), again.request);
        let expected = 1 + usize::from(is_there && change.repeats_count);
        assert_eq!(self.audited(target, action).await, expected, "{}", self.name());
    }
}

type Sends<'c> = Box<dyn Fn() -> Request + 'c>;
type Looks<'c> = Box<dyn Fn() -> futures::future::LocalBoxFuture<'c, bool> + 'c>;

/// A change that one request makes.
struct Change<'c> {
    request: Sends<'c>,
    /// What the same request may be answered when it is repeated.
    again: &'static [u16],
    is_there: Looks<'c>,
    /// Target and action of its audit row.
    audited: (String, &'static str),
    /// Whether the same request is a change anew each time.
    repeats_count: bool,
}

impl<'c> Change<'c> {
    fn of(
        request: impl Fn() -> Request + 'c,
        audited: (String, &'static str),
        look: impl Fn() -> Request + 'c,
        is_so: impl Fn(&Answer) -> bool + Copy + 'c,
    ) -> Self {
        Self {
            request: Box::new(request),
            again: &[200, 201],
            is_there: Box::new(move || {
                let looking = look();
                Box::pin(async move { is_so(&looking.await) })
            }),
            audited,
            repeats_count: false,
        }
    }

    fn again(self, again: &'static [u16]) -> Self {
        Self { again, ..self }
    }

    fn repeats_count(self) -> Self {
        Self {
            repeats_count: true,
            ..self
        }
    }
}

fn is_found(answer: &Answer) -> bool {
    answer.status == 200
}

fn is_gone(answer: &Answer) -> bool {
    answer.status == 404
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_registered_or_not() {
    each_commit_cut(async |trial| {
        let (operator, app) = (trial.operator(), Uuid::new_v4());
        let path = format!("/operator/v1/apps/{app}");
        let audited = (format!("apps/{app}"), "apps/write");
        let is_whole = |answer: &Answer| answer.status == 200 && answer.json()["owners"][0].is_object();
        let change = Change::of(
            || operator.put(&path, registration()),
            audited,
            || trial.looking_operator().get(&path),
            is_whole,
        );
        trial.changes(change).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_changed_or_not() {
    each_commit_cut(async |trial| {
        let path = format!("/operator/v1/apps/{}", trial.app);
        let target = format!("apps/{}", trial.app);
        // Its registration is a change that has been recorded before.
        assert_eq!(trial.audited(&target, "apps/write").await, 1);
        let sent = json!({ "publisher": "Changed" });
        let answer = trial.sends(trial.operator().patch(&path, sent.clone())).await;
        let is_there = async || {
            let shown = trial.looking_operator().get(&path).await;
            shown.property("publisher") == "Changed"
        };
        let made = is_there().await;
        assert!(made || answer.status == 503, "{}", trial.name());
        assert_eq!(
            trial.audited(&target, "apps/write").await,
            1 + usize::from(made),
            "{}",
            trial.name()
        );
        trial.operator().patch(&path, sent).await.expect(200);
        assert!(is_there().await);
        assert_eq!(trial.audited(&target, "apps/write").await, 2, "{}", trial.name());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_country_is_added_or_not() {
    each_commit_cut(async |trial| {
        let target = format!("apps/{}/countries/DE", trial.app);
        let path = format!("/v1.4/{target}");
        let change = Change::of(
            || trial.owner().adds_country("DE"),
            (target, "countries/write"),
            || trial.looker().get(&path),
            is_found,
        );
        trial.changes(change).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_principal_is_granted_and_removed_or_not() {
    let fixture = Fixture::set().await;
    let target = |trial: &Trial<'_>, person: &Person| format!("apps/{}/principals/{}", trial.app, person.id);
    fixture
        .with_each_commit_cut(async |trial| {
            let somebody = Person::STRANGER;
            let change = Change::of(
                || trial.owner().grants(&somebody, &["Reader"]),
                (target(trial, &somebody), "principals/write"),
                || trial.looker().get(trial.looker().principal_path(&somebody)),
                is_found,
            );
            trial.changes(change).await;
        })
        .await;
    fixture
        .with_each_commit_cut(async |trial| {
            let somebody = Person::STRANGER;
            let path = format!("/operator/v1/{}", target(trial, &somebody));
            let change = Change::of(
                || {
                    trial
                        .operator()
                        .put(&path, principal_body(&somebody, &["Contributor"]))
                },
                (target(trial, &somebody), "principals/write"),
                || trial.looker().get(trial.looker().principal_path(&somebody)),
                is_found,
            );
            trial.changes(change).await;
        })
        .await;
    fixture
        .with_each_commit_cut(async |trial| {
            let somebody = Person::CONTRIBUTOR;
            let change = Change::of(
                || trial.owner().removes(&somebody),
                (target(trial, &somebody), "principals/delete"),
                || trial.looker().get(trial.looker().principal_path(&somebody)),
                is_gone,
            );
            trial.changes(change.again(&[204, 404])).await;
        })
        .await;
    fixture.close().await;
}

/// What an upload came to, once nobody is at it any more: its version is there, or nothing stands in the way of the next
/// try.
async fn settles(trial: &Trial<'_>, country: &str, version: &str) -> Option<Answer> {
    trial.fixture.service.drains().await;
    let path = country_path(trial.app, country, &format!("versions/{version}"));
    let shown = trial.looker().get(&path).await;
    if shown.status == 404 {
        return None;
    }
    match shown.property("status").as_str() {
        "Uploaded" => Some(shown),
        "UploadFailed" => None,
        _ => panic!("{}: the version stays Uploading", trial.name()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_uploaded_or_may_be_sent_again() {
    let fixture = Fixture::set().await;
    fixture
        .with_each_commit_cut(async |trial| {
            let sent = package_of(trial.app, "1.0.0.0");
            let target = format!("apps/{}/countries/US/versions/1.0.0.0", trial.app);
            let answer = trial.sends(trial.owner().uploads(&sent, "Available")).await;
            if answer.status == 200 {
                let shown = trial.looker().version("1.0.0.0").await.expect(200);
                assert_eq!(shown.property("status"), "Uploaded", "{}", trial.name());
                assert_eq!(shown.etag(), answer.etag(), "{}", trial.name());
            } else if settles(trial, "US", "1.0.0.0").await.is_some() {
                let again = trial.owner().uploads(&sent, "Available").await;
                again.refused(409, "ResourceExists");
            } else {
                trial.owner().uploads(&sent, "Available").await.expect(200);
            }
            assert!(settles(trial, "US", "1.0.0.0").await.is_some());
            assert_eq!(
                trial.audited(&target, "versions/upload").await,
                1,
                "{}",
                trial.name()
            );
            let path = trial.owner().us("versions/1.0.0.0/getPackageContents");
            assert!(trial.owner().get(path).await.expect(200).body == bytes_of(&sent));
        })
        .await;
    fixture
        .service
        .until("staging is empty", async || {
            fixture.service.staged_files().is_empty()
        })
        .await;
    fixture.close().await;
}

/// What the database itself says of a version's status.
async fn stored_status(fixture: &Fixture, app: Uuid) -> Option<String> {
    asks(
        &fixture.postgres.url,
        &format!("SELECT status FROM versions WHERE app_id = '{app}'"),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_version_stays_when_its_uploader_loses_the_role_in_between() {
    let fixture = Fixture::set().await;
    fixture
        .with_each_commit_cut(async |trial| {
            let contributor = fixture.service.contributor().on(trial.app);
            let sent = package_of(trial.app, "1.0.0.0");
            fixture.line.cuts_and_closes(trial.nth, trial.moment);
            let upload = tokio::spawn(contributor.uploads(&sent, "Available").into_future());
            fixture
                .direct
                .until("the line is cut or the upload has ended", async || {
                    fixture.line.was_cut() || upload.is_finished()
                })
                .await;
            trial.was_cut.set(fixture.line.was_cut());
            let stored = stored_status(&fixture, trial.app).await;
            let was_published = stored.as_deref() == Some("Uploaded");
            trial.looker().removes(&Person::CONTRIBUTOR).await.expect(204);
            fixture.line.opens();
            let answer = upload.await.unwrap();
            let is_there = settles(trial, "US", "1.0.0.0").await.is_some();
            assert_eq!(is_there, was_published, "{}: {}", trial.name(), answer.text());
            let expected: &[u16] = if was_published {
                &[200, 503]
            } else {
                &[403, 404, 503]
            };
            assert!(
                expected.contains(&answer.status),
                "{}: the upload was answered {} {}",
                trial.name(),
                answer.status,
                answer.text()
            );
            let target = format!("apps/{}/countries/US/versions/1.0.0.0", trial.app);
            let recorded = trial.audited(&target, "versions/upload").await;
            assert_eq!(recorded, usize::from(is_there), "{}", trial.name());
        })
        .await;
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_changed_or_not() {
    each_commit_cut(async |trial| {
        trial.owner().has_uploaded("1.0.0.0").await;
        let target = format!("apps/{}/countries/US/versions/1.0.0.0", trial.app);
        let change = Change::of(
            || {
                trial
                    .owner()
                    .changes_version("1.0.0.0", json!({ "availability": "Deprecated" }))
            },
            (target, "versions/write"),
            || trial.looker().version("1.0.0.0"),
            |shown| shown.property("availability") == "Deprecated",
        );
        trial.changes(change).await;
    })
    .await;
}

/// An environment of a trial's own, in which its app is installed.
fn environment(trial: &Trial<'_>) -> Environment {
    Environment::named(&trial.app.to_string()).has(trial.app, "1.0.0.0")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_is_reported_or_not() {
    each_commit_cut(async |trial| {
        let environment = environment(trial);
        let change = Change::of(
            || trial.operator().reports(&environment),
            (environment.audited_as(), "environments/write"),
            || trial.looking_operator().get(environment.operator_path()),
            |shown| shown.status == 200 && shown.json()["apps"][0].is_object(),
        );
        trial.changes(change.repeats_count()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_is_removed_or_not() {
    each_commit_cut(async |trial| {
        let environment = environment(trial);
        trial.looker().has_uploaded("1.0.0.1").await;
        trial.looking_operator().reports(&environment).await.expect(201);
        let waiting = trial
            .looker()
            .schedules(&environment, "1.0.0.1")
            .await
            .expect(200);
        let path = environment.operator_path();
        let change = Change::of(
            || trial.operator().delete(&path),
            (environment.audited_as(), "environments/delete"),
            || trial.looking_operator().get(&path),
            is_gone,
        );
        trial.changes(change.again(&[204, 404])).await;
        let shown = trial.looker().looks_at(&waiting).await;
        assert_eq!(shown.property("status"), "Skipped", "{}", trial.name());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_is_released_or_not() {
    let fixture = Fixture::set().await;
    fixture
        .with_each_commit_cut(async |trial| {
            let environment = environment(trial);
            let operator = trial.looking_operator();
            operator.reports(&environment).await.expect(201);
            let hold = format!(
                "UPDATE environments SET held_since = 1 WHERE name = '{}'",
                environment.name
            );
            asks(&fixture.postgres.url, &hold).await;
            let path = environment.operator_path();
            assert!(operator.get(&path).await.json()["heldSince"].is_string());
            let release = format!("{path}/release");
            let change = Change::of(
                || trial.operator().asks(Method::POST, &release),
                (environment.audited_as(), "environments/release"),
                || trial.looking_operator().get(&path),
                |shown| shown.json()["heldSince"].is_null(),
            );
            trial.changes(change).await;
        })
        .await;
    fixture.close().await;
}

async fn hotfixes_of(trial: &Trial<'_>) -> Vec<Value> {
    let looker = trial.looker();
    let all = looker.us("environmentHotfixes");
    looker.get(all).await.expect(200).rows()
}

/// An environment with an older version than the target.
async fn to_be_fixed(trial: &Trial<'_>) -> Environment {
    let environment = environment(trial);
    trial.looker().has_uploaded("1.0.0.1").await;
    trial.looking_operator().reports(&environment).await.expect(201);
    environment
}

async fn recorded_hotfixes(trial: &Trial<'_>) -> usize {
    let path = "/operator/v1/audit?$filter=action eq 'environmentHotfixes/write'";
    let rows = trial.looking_operator().get(path).await.expect(200).rows();
    let of_this = format!("apps/{}/", trial.app);
    let is_of_this = |row: &&Value| row["target"].as_str().unwrap().starts_with(&of_this);
    rows.iter().filter(is_of_this).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hotfix_is_scheduled_or_not() {
    each_commit_cut(async |trial| {
        let environment = to_be_fixed(trial).await;
        let answer = trial
            .sends(trial.owner().schedules(&environment, "1.0.0.1"))
            .await;
        let made = hotfixes_of(trial).await;
        assert!(made.len() <= 1, "{}: {made:?}", trial.name());
        assert_eq!(recorded_hotfixes(trial).await, made.len(), "{}", trial.name());
        if answer.status == 200 {
            assert_eq!(made[0]["id"], answer.json()["id"], "{}", trial.name());
            return;
        }
        let again = trial.owner().schedules(&environment, "1.0.0.1").await;
        match made.first() {
            None => drop(again.expect(200)),
            Some(there) => {
                let refused = again.broke_rule("AlreadyScheduled");
                assert!(refused.text().contains(there["id"].as_str().unwrap()));
            }
        }
        assert_eq!(hotfixes_of(trial).await.len(), 1);
        assert_eq!(recorded_hotfixes(trial).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hotfix_under_a_key_is_scheduled_once() {
    each_commit_cut(async |trial| {
        let environment = to_be_fixed(trial).await;
        let request = || {
            let request = trial.owner().schedules(&environment, "1.0.0.1");
            request.header("idempotency-key", "the same")
        };
        let answer = trial.sends(request()).await;
        let made = hotfixes_of(trial).await;
        assert!(
            made.len() == 1 || (made.is_empty() && answer.status == 503),
            "{}: {made:?}",
            trial.name()
        );
        let id = request().await.expect(200).property("id");
        let made = hotfixes_of(trial).await;
        assert_eq!(made.len(), 1, "{}", trial.name());
        assert_eq!(made[0]["id"], json!(id), "{}", trial.name());
        if answer.status == 200 {
            assert_eq!(answer.property("id"), id, "{}", trial.name());
        }
        assert_eq!(recorded_hotfixes(trial).await, 1, "{}", trial.name());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hotfix_is_canceled_or_not() {
    each_commit_cut(async |trial| {
        let environment = to_be_fixed(trial).await;
        let hotfix = trial
            .looker()
            .schedules(&environment, "1.0.0.1")
            .await
            .expect(200);
        let target = format!(
            "apps/{}/countries/US/environmentHotfixes/{}",
            trial.app,
            hotfix.property("id")
        );
        let path = trial.owner().hotfix_path(&hotfix);
        let change = Change::of(
            || trial.owner().cancels(&hotfix),
            (target, "environmentHotfixes/cancel"),
            || trial.looker().get(&path),
            |shown| shown.property("status") == "Canceled",
        );
        trial.changes(change).await;
    })
    .await;
}

/// Environments in which all goes well, one in which work outlasts its lease, and one whose executor falls silent.
const QUICK: [&str; 3] = ["Quick1", "Quick2", "Quick3"];
const LONG: &str = "Long";
const SILENT: &str = "Silent";

fn named(name: &str) -> Environment {
    Environment::named(name).has(APP, "1.0.0.0")
}

/// A service with an executor, behind a line of its own to a database of its own, and hotfixes that are due in a minute.
struct Work {
    line: CutLine,
    service: Harness,
    hotfixes: Vec<(&'static str, Answer)>,
    what: String,
}

impl Work {
    async fn prepare(postgres: &OwnPostgres, nth: usize, moment: Moment) -> Self {
        let line = CutLine::to(postgres).await;
        let url = line.url(&postgres.new_database().await);
        let service = Harness::with(Backend::Postgres)
            .on_database(&url)
            .setting("executor.slots", 50)
            .setting("executor.poll_seconds", 1)
            .fault(&named(LONG), Fault::Takes(Duration::from_secs(400)))
            .fault(&named(SILENT), Fault::GetsLost)
            .start()
            .await;
        service.owner().has_uploaded("1.0.0.1").await;
        let mut hotfixes = Vec::new();
        for name in QUICK.into_iter().chain([LONG, SILENT]) {
            let environment = named(name);
            service.operator().reports(&environment).await.expect(201);
            let mut wish = environment.hotfix("1.0.0.1");
            wish["ignoreUpgradeWindow"] = json!(true);
            wish["runAfter"] = json!("2020-03-05T12:01:00Z");
            let path = service.owner().us("environmentHotfixes");
            let hotfix = service.owner().post(path, wish).await.expect(200);
            hotfixes.push((name, hotfix));
        }
        service.catches_up().await;
        line.cuts(nth, moment);
        Self {
            line,
            service,
            hotfixes,
            what: format!("commit {nth} cut {moment:?}"),
        }
    }

    async fn advances(&self, steps: usize, seconds: u64) {
        for _ in 0..steps {
            let span = Duration::from_secs(seconds);
            self.service.advances_as_far_as_possible(span).await;
        }
    }

    async fn check(&self, name: &str, expected: &str) {
        let (_, hotfix) = self.hotfixes.iter().find(|(of, _)| *of == name).unwrap();
        let shown = self.service.reader().looks_at(hotfix).await;
        assert_eq!(
            shown.property("status"),
            expected,
            "{}: {name}: {}",
            self.what,
            shown.text()
        );
    }

    /// What is wanted has been done once, and each change is recorded once.
    async fn check_history(&self) {
        let operator = self.service.operator();
        let rows = operator.get("/operator/v1/audit").await.expect(200).rows();
        for (name, hotfix) in &self.hotfixes {
            let id = hotfix.property("id");
            let count = |action: &str| {
                let is_it = |row: &&Value| {
                    row["action"] == action && row["target"].as_str().unwrap().ends_with(id.as_str())
                };
                rows.iter().filter(is_it).count()
            };
            let counts = ["operations/start", "operations/end", "operations/lateReport"].map(count);
            assert_eq!(counts, [1, 1, 0], "{}: {name}", self.what);
            let shown = operator.get(named(name).operator_path()).await.expect(200);
            let expected = if *name == SILENT { "1.0.0.0" } else { "1.0.0.1" };
            assert_eq!(
                shown.json()["apps"][0]["version"],
                expected,
                "{}: {name}",
                self.what
            );
            assert_eq!(
                shown.json()["heldSince"].is_string(),
                *name == SILENT,
                "{}: {name}",
                self.what
            );
        }
    }
}

/// Lets all hotfixes happen with the `nth` commit cut; whether there was one.
async fn carries_out(postgres: &OwnPostgres, nth: usize, moment: Moment) -> bool {
    let work = Work::prepare(postgres, nth, moment).await;
    work.advances(1, 60).await;
    work.advances(6, 5).await;
    for name in QUICK {
        work.check(name, "Succeeded").await;
    }
    work.advances(25, 20).await;
    let was_cut = work.line.opens();
    work.advances(2, 1).await;
    work.check(LONG, "Succeeded").await;
    work.check(SILENT, "Failed").await;
    work.check_history().await;
    was_cut
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hotfixes_of_which_a_claim_was_in_doubt_are_carried_out_all_the_same() {
    let postgres = OwnPostgres::start();
    for moment in Moment::BOTH {
        assert!(carries_out(&postgres, 1, moment).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_renewals_and_lost_leases_are_written_down_once() {
    let postgres = OwnPostgres::start();
    for moment in Moment::BOTH {
        for nth in 2.. {
            assert!(nth < MANY, "the work never gets through uncut");
            if !carries_out(&postgres, nth, moment).await {
                assert!(
                    nth > 4,
                    "a claim, a report, a renewal and a lost lease are commits"
                );
                break;
            }
        }
    }
}

/// After how long what is left behind counts as old, and a little more.
const GRACE: Duration = Duration::from_secs(901);
/// Commits of a sweep that finds one thing of each kind.
const SWEEP: std::ops::RangeInclusive<usize> = 1..=4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_is_swept_in_spite_of_cuts() {
    let postgres = OwnPostgres::start();
    let cases = SWEEP.flat_map(|nth| Moment::BOTH.map(|moment| (nth, moment)));
    join_all(cases.map(|(nth, moment)| sweeps(&postgres, nth, moment))).await;
}

async fn sweeps(postgres: &OwnPostgres, nth: usize, moment: Moment) {
    let what = format!("commit {nth} cut {moment:?}");
    let line = CutLine::to(postgres).await;
    let database = postgres.new_database().await;
    let service = Harness::with(Backend::Postgres)
        .on_database(&line.url(&database))
        .setting("executor.kind", "none")
        .setting("storage.sweep_seconds", 1)
        .start()
        .await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    let url = postgres.url_of(&database);
    line.cuts(nth, moment);
    let left_behind = "
        UPDATE versions SET status = 'Uploading', uploaded_on = 0;
        UPDATE blobs SET state = 'storing', changed_on = 0;
        INSERT INTO idempotency_keys
        VALUES ('somebody', 'POST', 'somewhere', 'a key', '\\x00', gen_random_uuid(), 0)";
    asks(&url, left_behind).await;
    let left = "SELECT (SELECT COUNT(*) FROM versions WHERE status = 'Uploading')
                     + (SELECT COUNT(*) FROM blobs) + (SELECT COUNT(*) FROM idempotency_keys)";
    service
        .until(&format!("all is swept ({what})"), async || {
            // What was marked before the cut is looked at again when it is old.
            service.advances_as_far_as_possible(GRACE).await;
            line.was_cut() && asks(&url, left).await.as_deref() == Some("0")
        })
        .await;
    line.opens();
    let again = package_of(APP, "1.0.0.0");
    owner.uploads(&again, "Available").await.expect(200);
    let path = owner.us("versions/1.0.0.0/getPackageContents");
    assert!(
        owner.get(path).await.expect(200).body == bytes_of(&again),
        "{what}"
    );
}
