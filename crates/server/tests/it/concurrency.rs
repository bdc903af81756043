//! Many people at once: on SQLite through one server, on PostgreSQL through two replicas. Nobody is told of a fault of
//! ours or sent away from a database that works, no transactions wait for each other in a circle, and afterwards all
//! that was acknowledged is there, with one audit row for each change.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, Harness, Person, Plan, Replicas, Stopped, at_once,
    on_both_databases, package,
};
use axum::Router;
use futures::future::{BoxFuture, FutureExt, join_all};
use http::Method;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::IntoFuture,
    sync::Mutex,
    time::Duration,
};
use test_support::postgres_cluster::query;
use tokio::{net::TcpListener, sync::watch};
use uuid::Uuid;

on_both_databases!(
    one_package_may_be_uploaded_to_many_countries_at_once,
    versions_may_be_changed_while_others_are_uploaded,
    a_change_that_is_acknowledged_during_an_upload_is_kept,
    grants_and_removals_at_once_leave_an_owner_and_an_unbroken_history,
    the_answer_to_a_change_shows_what_that_change_made,
    everybody_may_do_everything_at_once,
);

fn plan(backend: Backend) -> Plan {
    Harness::with(backend)
        .setting("database.connections", 12)
        .setting("packages.concurrent_uploads", 64)
}

const COUNTRIES: [&str; 12] = [
    "US", "DE", "FR", "GB", "NL", "BE", "DK", "ES", "IT", "AT", "CH", "SE",
];

/// The status must be one of these.
#[track_caller]
fn one_of(answer: Answer, expected: &[u16]) -> Answer {
    assert!(
        expected.contains(&answer.status),
        "{} answered {} {}",
        answer.request,
        answer.status,
        answer.text()
    );
    answer
}

/// The first column of the first row that a statement finds in a service's database.
async fn finds(stopped: &Stopped, statement: &str) -> String {
    let url = stopped.database_url();
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            let found = connection.query_row(statement, (), |row| row.get::<_, i64>(0));
            found.unwrap().to_string()
        }
        None => query(&url, statement).await.unwrap(),
    }
}

/// Each package that a version has is there, and none is about to go.
async fn check_packages(stopped: &Stopped) {
    let lost = "SELECT COUNT(*) FROM versions t
                WHERE t.status <> 'Uploaded'
                   OR NOT EXISTS (SELECT 1 FROM blobs b
                                  WHERE b.location = t.location AND b.sha256 = t.sha256
                                    AND b.generation = t.generation AND b.state = 'stored')";
    assert_eq!(finds(stopped, lost).await, "0", "versions without their bytes");
}

async fn one_package_may_be_uploaded_to_many_countries_at_once(backend: Backend) {
    let replicas = Replicas::open(plan(backend)).await;
    for code in &COUNTRIES[1..] {
        replicas.at(0).owner().adds_country(code).await.expect(200);
    }
    for round in 0..6 {
        let package = package(&format!("1.0.0.{round}"));
        // Every country is sent the same twice, through different replicas.
        let uploads = (0..2 * COUNTRIES.len()).map(|number| {
            let country = COUNTRIES[number / 2];
            let contributor = replicas.at(number).contributor();
            contributor.uploads_to(country, &package, "Available")
        });
        let answers = at_once(uploads).await;
        for (pair, country) in answers.chunks(2).zip(COUNTRIES) {
            let mut statuses = [pair[0].status, pair[1].status];
            statuses.sort();
            assert_eq!(statuses, [200, 409], "{country}: {pair:?}");
            let path = format!("/v1.4/apps/{APP}/countries/{country}/versions/1.0.0.{round}");
            let stored = replicas.at(round).owner().get(path).await.expect(200);
            assert_eq!(stored.property("status"), "Uploaded");
            let target = format!("apps/{APP}/countries/{country}/versions/1.0.0.{round}");
            assert_eq!(replicas.audit(&target, "versions/upload").await.len(), 1);
        }
    }
    let kept = replicas.at(0).stored_packages().len();
    let stopped = replicas.close().await;
    check_packages(&stopped).await;
    assert_eq!(kept, 6, "equal bytes are kept once");
}

async fn versions_may_be_changed_while_others_are_uploaded(backend: Backend) {
    let replicas = Replicas::open(plan(backend)).await;
    replicas.at(0).owner().adds_country("DE").await.expect(200);
    let changed: Vec<_> = (0..4).map(|number| format!("1.0.0.{number}")).collect();
    for version in &changed {
        replicas.at(0).owner().has_uploaded(version).await;
    }
    for round in 0..8 {
        let availability = ["Preview", "Deprecated", "Available"][round % 3];
        let change = json!({ "availability": availability });
        let changes = changed.iter().enumerate().map(|(number, version)| {
            let contributor = replicas.at(number).contributor();
            contributor.changes_version(version, change.clone())
        });
        let uploads = (0..4).map(|number| {
            let country = ["US", "DE"][number % 2];
            let package = package(&format!("2.{}.{round}.0", number / 2));
            let owner = replicas.at(number / 2).owner();
            owner.uploads_to(country, &package, "Available")
        });
        for answer in at_once(changes.chain(uploads)).await {
            answer.expect(200);
        }
        for version in &changed {
            let stored = replicas.at(round).owner().version(version).await.expect(200);
            assert_eq!(stored.property("availability"), availability);
        }
    }
    let history = History::of(&replicas).await;
    history.check_chains("/versions/", &["versions/upload", "versions/write"]);
    check_packages(&replicas.close().await).await;
}

/// An object store that takes what it is given only when it is told to.
struct SlowStore {
    entry: Value,
    takes: watch::Sender<bool>,
}

impl SlowStore {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (takes, told) = watch::channel(false);
        let answer = move |method: Method| {
            let mut told = told.clone();
            async move {
                if method == Method::PUT {
                    told.wait_for(|takes| *takes).await.unwrap();
                }
                // To whoever asks for a list, there is nothing in it.
                ([("etag", "\"taken\"")], "<ListBucketResult></ListBucketResult>")
            }
        };
        let router = Router::new().fallback(answer);
        tokio::spawn(axum::serve(listener, router).into_future());
        let entry = json!({
            "url": "s3://packages/fame",
            "region": "us-east-1",
            "access_key_id": "key",
            "secret_access_key": "secret",
            "endpoint": format!("http://{address}"),
            "allow_http": true,
        });
        Self { entry, takes }
    }

    fn plan(&self, backend: Backend) -> Plan {
        plan(backend).setting("storage.locations", json!({ "West Europe": self.entry }))
    }
}

/// Waits until the version is shown as being uploaded, and answers how it is shown then.
async fn on_its_way(service: &Harness, version: &str) -> Answer {
    let owner = service.owner();
    service
        .until("the version is on its way", async || {
            owner.version(version).await.status == 200
        })
        .await;
    let shown = owner.version(version).await.expect(200);
    assert_eq!(shown.property("status"), "Uploading");
    shown
}

async fn a_change_that_is_acknowledged_during_an_upload_is_kept(backend: Backend) {
    let store = SlowStore::open().await;
    let replicas = Replicas::open(store.plan(backend)).await;
    let sent = package("1.0.0.0");
    let upload = tokio::spawn(replicas.at(0).owner().uploads(&sent, "Preview").into_future());
    let before = on_its_way(replicas.at(1), "1.0.0.0").await;
    let change = json!({ "availability": "Available" });
    let changed = replicas
        .at(1)
        .contributor()
        .changes_version("1.0.0.0", change)
        .await;
    store.takes.send_replace(true);
    let uploaded = upload.await.unwrap().expect(200);
    let stored = replicas.at(0).owner().version("1.0.0.0").await.expect(200);
    assert_eq!(stored.property("status"), "Uploaded");
    assert_eq!(uploaded.json(), stored.json());
    let shown = stored.property("availability");
    let changes = replicas
        .audit(
            &format!("apps/{APP}/countries/US/versions/1.0.0.0"),
            "versions/write",
        )
        .await;
    assert_eq!(shown, "Available", "an acknowledged change is lost");
    assert_eq!(changes.len(), 1);
    let changed = changed.expect(200);
    assert_ne!(changed.etag(), stored.etag(), "the version has arrived since");
    let known = format!("W/\"{}\"", before.etag());
    let again = replicas.at(0).owner().version("1.0.0.0");
    again.header("if-none-match", known).await.expect(200);
    let arrivals = replicas
        .audit(
            &format!("apps/{APP}/countries/US/versions/1.0.0.0"),
            "versions/upload",
        )
        .await;
    assert_eq!(arrivals.len(), 1);
    assert_eq!(
        arrivals[0]["after"]["availability"],
        stored.json()["availability"]
    );
    replicas.close().await;
}

/// All audit rows, in the order in which they were made.
struct History {
    rows: Vec<Value>,
}

impl History {
    async fn of(replicas: &Replicas) -> Self {
        let path = "/operator/v1/audit?$orderby=id";
        let rows = replicas.at(0).operator().get(path).await.expect(200).rows();
        Self { rows }
    }

    fn count(&self, action: &str) -> usize {
        self.rows.iter().filter(|row| row["action"] == action).count()
    }

    /// Every change of a target must begin with what the one before it left.
    #[track_caller]
    fn check_chains(&self, part: &str, actions: &[&str]) {
        let mut last: BTreeMap<&str, &Value> = BTreeMap::new();
        for row in &self.rows {
            let target = row["target"].as_str().unwrap();
            if !target.contains(part) || !actions.contains(&row["action"].as_str().unwrap()) {
                continue;
            }
            let left = last.insert(target, &row["after"]).unwrap_or(&Value::Null);
            if row["action"] != "versions/upload" {
                assert_eq!(&row["before"], left, "{target} was changed unseen");
            }
        }
        assert!(!last.is_empty(), "there is no change of any {part}");
    }
}

async fn grants_and_removals_at_once_leave_an_owner_and_an_unbroken_history(backend: Backend) {
    let replicas = Replicas::open(plan(backend)).await;
    let somebody: Vec<_> = (0..3).map(|number| Uuid::new_v5(&APP, &[number, b'p'])).collect();
    for round in 0..8 {
        let mut requests = Vec::new();
        for (number, id) in somebody.iter().enumerate() {
            let owner = replicas.at(number + round).owner();
            let path = format!("{}/principals/{id}", owner.app_path());
            let roles = ["Reader", "Contributor", "Owner"];
            for role in roles {
                let grant = json!({ "type": "Application", "roles": [role] });
                requests.push(owner.patch(&path, grant));
            }
            requests.push(replicas.at(number).owner_user().delete(&path));
            let operators = format!("/operator/v1/apps/{APP}/principals/{id}");
            let grant = json!({ "type": "Application", "roles": [roles[round % 3]] });
            requests.push(replicas.at(number + 1).operator().put(operators, grant));
        }
        requests.push(replicas.at(0).owner().removes(&Person::OWNER_USER));
        requests.push(replicas.at(1).owner_user().removes(&Person::OWNER));
        for answer in at_once(requests).await {
            // Whoever is no owner any more may know of nothing, and one that was removed meanwhile is not there.
            one_of(answer, &[200, 204, 404]);
        }
        let operator = replicas.at(round).operator();
        let path = format!("/operator/v1/apps/{APP}");
        let app = operator.get(path).await.expect(200);
        assert!(
            !app.json()["owners"].as_array().unwrap().is_empty(),
            "nobody owns the app"
        );
        for person in [Person::OWNER, Person::OWNER_USER] {
            let path = format!("/operator/v1/apps/{APP}/principals/{}", person.id);
            let grant = crate::harness::principal_body(&person, &["Owner"]);
            operator.put(path, grant).await.expect(200);
        }
    }
    let history = History::of(&replicas).await;
    history.check_chains("/principals/", &["principals/write", "principals/delete"]);
    replicas.close().await;
}

/// Each answer must show its own change under a tag of its own, one of which is the tag of what is stored. Whoever got
/// another's tag with it would take another's change for their own, and overwrite it unseen.
#[track_caller]
fn each_shows_its_own(
    answers: &[Answer],
    stored: &Answer,
    shown: impl Fn(&Answer) -> Value,
    tag: fn(&Answer) -> String,
) {
    let tags: BTreeSet<_> = answers.iter().map(tag).collect();
    assert_eq!(tags.len(), answers.len(), "different states under one tag");
    assert!(tags.contains(&tag(stored)), "what is stored is nobody's change");
    for (number, answer) in answers.iter().enumerate() {
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        assert_eq!(
            shown(answer),
            json!(format!("1.0.0.{number}")),
            "{}",
            answer.request
        );
    }
}

async fn the_answer_to_a_change_shows_what_that_change_made(backend: Backend) {
    let replicas = Replicas::open(plan(backend)).await;
    let environment = |number: usize| Environment::named("Shared").has(APP, &format!("1.0.0.{number}"));
    let path = format!("/operator/v1/apps/{APP}");
    for _ in 0..8 {
        let reports = (0..4).map(|number| replicas.at(number).operator().reports(&environment(number)));
        let answers = at_once(reports).await;
        let stored = replicas
            .at(0)
            .operator()
            .get(environment(0).operator_path())
            .await;
        let version = |answer: &Answer| answer.json()["apps"][0]["version"].clone();
        each_shows_its_own(&answers, &stored, version, |answer| {
            answer.header("etag").to_owned()
        });
        let changes = (0..4).map(|number| {
            let publisher = json!({ "publisher": format!("1.0.0.{number}") });
            replicas.at(number).operator().patch(&path, publisher)
        });
        let answers = at_once(changes).await;
        let stored = replicas.at(0).operator().get(&path).await;
        let publisher = |answer: &Answer| answer.json()["publisher"].clone();
        each_shows_its_own(&answers, &stored, publisher, Answer::etag);
    }
    replicas.close().await;
}

/// Steps that everybody takes.
const STEPS: usize = 10;
/// People of each trade.
const PEOPLE: usize = 4;
/// Environments that all schedulers and one of the reporters work on.
const SHARED: usize = 4;

/// Everybody, and how often what was acknowledged.
struct Crowd {
    replicas: Replicas,
    acknowledged: Mutex<BTreeMap<&'static str, usize>>,
}

impl Crowd {
    /// The answer must have one of these statuses; if it is the first of them, `what` was acknowledged once more.
    #[track_caller]
    fn notes(&self, what: &'static str, answer: Answer, expected: &[u16]) -> Answer {
        let answer = one_of(answer, expected);
        if answer.status == expected[0] {
            *self.acknowledged.lock().unwrap().entry(what).or_default() += 1;
        }
        answer
    }

    fn acknowledged(&self, what: &str) -> usize {
        self.acknowledged.lock().unwrap().get(what).copied().unwrap_or(0)
    }

    async fn uploads(&self, me: usize) {
        for step in 0..STEPS {
            let owner = self.replicas.at(me).contributor();
            let country = ["US", "DE"][me % 2];
            let own = package(&format!("2.{}.{step}.0", me / 2));
            let sent = owner.uploads_to(country, &own, "Available").await;
            self.notes("uploads", sent, &[200]);
            let everybodys = package(&format!("3.0.{step}.0"));
            let sent = owner.uploads(&everybodys, "Preview").await;
            self.notes("uploads", sent, &[200, 409]);
        }
    }

    async fn changes_versions(&self, me: usize) {
        let version = format!("1.0.0.{}", me + 1);
        for step in 0..STEPS {
            let owner = self.replicas.at(me + step).owner();
            let availability = ["Deprecated", "Available"][step % 2];
            let change = json!({ "availability": availability });
            let changed = owner.changes_version(&version, change.clone()).await;
            assert_eq!(changed.expect(200).property("availability"), availability);
            let seen = self.replicas.at(me).owner().version(&version).await;
            assert_eq!(
                seen.expect(200).property("availability"),
                availability,
                "an acknowledged change is lost"
            );
            owner.changes_version("1.0.0.0", change).await.expect(200);
        }
    }

    async fn reports(&self, me: usize) {
        for step in 0..STEPS {
            let operator = self.replicas.at(me + step).operator();
            let own = Environment::named(&format!("Own{me}")).has(APP, &format!("1.0.{step}.0"));
            let reported = operator.reports(&own).await;
            one_of(reported, &[200, 201]);
            let path = own.operator_path();
            let stored = self.replicas.at(me).operator().get(&path).await.expect(200);
            assert_eq!(stored.json()["apps"][0]["version"], format!("1.0.{step}.0"));
            if step % 3 == 2 {
                let removed = operator.delete(&path).await;
                self.notes("removals", removed, &[204]);
                self.replicas.at(me).operator().get(&path).await.expect(404);
            }
            let everybodys = shared(step);
            let reported = operator.reports(&everybodys).await;
            one_of(reported, &[200, 201]);
            if me == 0 {
                let removed = operator.delete(everybodys.operator_path()).await;
                self.notes("removals", removed, &[204, 404, 409]);
            }
        }
    }

    async fn schedules(&self, me: usize) {
        for step in 0..STEPS {
            let owner = self.replicas.at(me + step).contributor();
            let environment = shared(step + me);
            let target = format!("1.0.0.{}", 1 + (me + step) % PEOPLE);
            let asked = owner.schedules_at_once(&environment, &target).await;
            let hotfix = self.notes("hotfixes", asked, &[200, 400, 404]);
            if hotfix.status == 200 && step % 3 == 0 {
                one_of(owner.cancels(&hotfix).await, &[200, 400, 409]);
            }
        }
    }

    async fn grants(&self, me: usize) {
        let own = Uuid::new_v5(&APP, &[b'o', me.to_le_bytes()[0]]);
        for step in 0..STEPS {
            let owner = self.replicas.at(me + step).owner();
            let role = ["Reader", "Contributor", "Owner"][step % 3];
            let grant = json!({ "type": "Application", "roles": [role] });
            let path = format!("{}/principals/{own}", owner.app_path());
            owner.patch(&path, grant.clone()).await.expect(200);
            let seen = self.replicas.at(me).owner().get(&path).await.expect(200);
            assert_eq!(seen.json()["roles"], json!([role]));
            let everybodys = Uuid::new_v5(&APP, &[b'e', (step % 2).to_le_bytes()[0]]);
            let path = format!("{}/principals/{everybodys}", owner.app_path());
            owner.patch(&path, grant).await.expect(200);
            if me.is_multiple_of(2) {
                let removed = owner.delete(&path).await;
                self.notes("principals removed", removed, &[204, 404]);
            }
        }
    }

    /// Lets time pass, and what is due be done, until `all` is done.
    async fn works(&self, mut all: watch::Receiver<bool>) {
        while !*all.borrow_and_update() {
            self.replicas.advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
    }

    async fn does_everything(&self) {
        let (done, all) = watch::channel(false);
        let mut everybody: Vec<BoxFuture<'_, ()>> = Vec::new();
        for me in 0..PEOPLE {
            everybody.push(self.uploads(me).boxed());
            everybody.push(self.changes_versions(me).boxed());
            everybody.push(self.reports(me).boxed());
            everybody.push(self.schedules(me).boxed());
            everybody.push(self.grants(me).boxed());
        }
        let everybody = async {
            join_all(everybody).await;
            done.send_replace(true);
        };
        tokio::join!(everybody, self.works(all));
    }

    async fn open_operations(&self) -> usize {
        let path = "/operator/v1/operations?$filter=status in ('Scheduled','Running')";
        let answer = self.replicas.at(0).operator().get(path).await;
        answer.expect(200).rows().len()
    }

    /// In an environment that nobody else works on: of the others, all may have been canceled or overtaken.
    async fn one_more_is_carried_out(&self) {
        let quiet = Environment::named("Quiet").has(APP, "1.0.0.0");
        let (owner, operator) = (self.replicas.at(0).owner(), self.replicas.at(0).operator());
        owner.has_uploaded("1.0.9.0").await;
        operator.reports(&quiet).await.expect(201);
        let asked = owner.schedules_at_once(&quiet, "1.0.9.0").await;
        self.notes("hotfixes", asked, &[200]);
        self.ends_what_is_open().await;
    }

    async fn ends_what_is_open(&self) {
        for _ in 0..20 {
            if self.open_operations().await == 0 {
                return;
            }
            self.replicas.advance(Duration::from_secs(2)).await;
        }
        panic!("hotfixes are open that nobody takes up");
    }
}

/// An environment that everybody works on.
fn shared(number: usize) -> Environment {
    Environment::named(&format!("Shared{}", number % SHARED)).has(APP, "1.0.0.0")
}

async fn set_the_scene(owner: &Caller, operator: &Caller) {
    owner.adds_country("DE").await.expect(200);
    for number in 0..=PEOPLE {
        owner.has_uploaded(&format!("1.0.0.{number}")).await;
    }
    for number in 0..SHARED {
        operator.reports(&shared(number)).await.expect(201);
    }
}

async fn everybody_may_do_everything_at_once(backend: Backend) {
    let replicas = Replicas::open(plan(backend)).await;
    set_the_scene(&replicas.at(0).owner(), &replicas.at(0).operator()).await;
    let crowd = Crowd {
        replicas,
        acknowledged: Mutex::default(),
    };
    crowd.does_everything().await;
    crowd.ends_what_is_open().await;
    crowd.one_more_is_carried_out().await;
    let history = History::of(&crowd.replicas).await;
    assert_eq!(
        history.count("versions/upload"),
        crowd.acknowledged("uploads") + PEOPLE + 2
    );
    assert_eq!(history.count("versions/uploadFailed"), 0);
    let reports = PEOPLE * STEPS * 2 + SHARED + 1;
    assert_eq!(history.count("environments/write"), reports);
    assert_eq!(
        history.count("environments/delete"),
        crowd.acknowledged("removals")
    );
    assert_eq!(
        history.count("principals/delete"),
        crowd.acknowledged("principals removed")
    );
    assert_eq!(
        history.count("environmentHotfixes/write"),
        crowd.acknowledged("hotfixes")
    );
    history.check_chains("/principals/", &["principals/write", "principals/delete"]);
    history.check_chains("/versions/", &["versions/upload", "versions/write"]);
    check_operations(&crowd.replicas, &history).await;
    let stopped = crowd.replicas.close().await;
    check_packages(&stopped).await;
    let still_due = "SELECT COUNT(*) FROM environments WHERE due_on IS NOT NULL";
    assert_eq!(finds(&stopped, still_due).await, "0", "nothing waits any more");
}

/// Every operation ended once, as somebody wanted; in no environment two ran at once, and none was removed under one.
async fn check_operations(replicas: &Replicas, history: &History) {
    let path = "/operator/v1/operations";
    let operations = replicas.at(0).operator().get(path).await.expect(200).rows();
    let mut place_of = BTreeMap::new();
    for operation in &operations {
        let status = operation["status"].as_str().unwrap();
        assert!(
            ["Succeeded", "Canceled", "Skipped"].contains(&status),
            "{operation}"
        );
        let id = operation["id"].as_str().unwrap();
        let target = format!("apps/{APP}/countries/US/environmentHotfixes/{id}");
        let name = operation["environmentName"].as_str().unwrap();
        place_of.insert(target, Environment::named(name).audited_as());
    }
    let (mut runs_in, mut ended) = (BTreeMap::new(), BTreeSet::new());
    for row in &history.rows {
        let target = row["target"].as_str().unwrap().to_owned();
        match row["action"].as_str().unwrap() {
            "operations/start" => {
                let before = runs_in.insert(place_of[&target].clone(), target);
                assert_eq!(before, None, "two ran in one environment");
            }
            "operations/end" | "environmentHotfixes/cancel" => {
                runs_in.retain(|_, running| *running != target);
                assert!(ended.insert(target), "an operation ended twice");
            }
            "environments/delete" => {
                let running = runs_in.get(&target);
                assert_eq!(running, None, "{target} was removed while something ran there");
            }
            _ => {}
        }
    }
    assert_eq!(ended.len(), place_of.len(), "each has ended");
    assert!(
        operations
            .iter()
            .any(|operation| operation["status"] == "Succeeded"),
        "nothing was carried out"
    );
}
