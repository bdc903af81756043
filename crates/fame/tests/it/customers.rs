//! What a customer decides and what others hear of it, from end to end: a customer, a vendor and an operator at a real
//! service, and receivers that are told what happened while the service is killed and they are away themselves.
//!
//! The service is `fame dev`, so that its clock can be moved: tonight comes when it is asked for.

use crate::{
    dev::Dev,
    services::{Answer, Caller, eventually},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::IntoResponse,
};
use domain::ids::AppId;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    io::Read as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};
use uuid::Uuid;

const INSTRUMENTATION_KEY: &str = "11112222-3333-4444-5555-666677778888";

const ENVIRONMENT: &str = "Seattle-Branch";
/// Where the customer finds it.
const PLACE: &str = "/admin/v2.29/applications/BusinessCentral/environments/Seattle-Branch";
const SALES_PACK: &str = "Contoso Sales Pack";
const SALES_REPORTS: &str = "Contoso Sales Reports";
const FREIGHT: &str = "Fabrikam Freight";

/// Morning in Seattle; the window that the customer chooses opens at 22:00 there, which is 05:00 in UTC.
const MORNING: &str = "2031-05-01T12:00:00Z";
const TONIGHT: &str = "2031-05-02T05:00:00Z";
const LATER_TONIGHT: &str = "2031-05-02T08:00:00Z";
const POSTPONED_TO: &str = "2031-05-04T00:00:00Z";
const THAT_NIGHT: &str = "2031-05-04T05:00:";
const IN_THAT_NIGHT: &str = "2031-05-04T05:01:00Z";

/// Something that a receiver was told: of which event, what of it, and word for word.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    event: String,
    /// The name of what happened.
    kind: String,
    operation: Option<String>,
    app: Option<String>,
    body: Value,
}

/// Whoever is told.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    told: watch::Sender<Vec<Told>>,
    /// What is taken, but not answered when it first comes.
    unanswered: Arc<Mutex<Option<&'static str>>>,
    /// What telemetry is not taken when it first comes, though all with it is.
    turned_away: Arc<Mutex<Option<&'static str>>>,
    /// What webhooks sign with.
    secret: Arc<Mutex<String>>,
}

/// A receiver that can be reached.
struct Reachable {
    leave: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Reachable {
    /// Nobody listens there any more.
    async fn leaves(self) {
        self.leave.send(()).unwrap();
        self.serving.await.unwrap();
    }
}

impl Receiver {
    async fn new() -> (Self, Reachable) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            told: watch::Sender::new(Vec::new()),
            unanswered: Arc::default(),
            turned_away: Arc::default(),
            secret: Arc::default(),
        };
        let reachable = receiver.listens(listener);
        (receiver, reachable)
    }

    fn listens(&self, listener: TcpListener) -> Reachable {
        let router = Router::new().fallback(take).with_state(self.clone());
        let (leave, left) = oneshot::channel();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async { drop(left.await) });
        Reachable {
            leave,
            serving: tokio::spawn(async move { serving.await.unwrap() }),
        }
    }

    async fn returns(&self) -> Reachable {
        self.listens(TcpListener::bind(self.address).await.unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn leaves_unanswered(&self, kind: &'static str) {
        *self.unanswered.lock().unwrap() = Some(kind);
    }

    fn turns_away(&self, kind: &'static str) {
        *self.turned_away.lock().unwrap() = Some(kind);
    }

    /// Waits until it was told so.
    async fn hears(&self, kind: &str) {
        eventually(&format!("{kind} is told"), async || {
            self.all().iter().any(|told| told.kind == kind).then_some(())
        })
        .await;
    }

    fn all(&self) -> Vec<Told> {
        self.told.borrow().clone()
    }

    /// What was told of each operation, and of what is none, in the order in which it first came. What came again came
    /// as before.
    fn stories(&self) -> Stories {
        let mut known: BTreeMap<(String, String), Told> = BTreeMap::new();
        let mut stories = Stories::new();
        for told in self.all() {
            let before = known.insert((told.event.clone(), told.kind.clone()), told.clone());
            match before {
                Some(before) => assert_eq!(before, told),
                None => stories.entry(told.operation).or_default().push(told.kind),
            }
        }
        stories
    }

    fn events(&self) -> BTreeSet<String> {
        self.all().into_iter().map(|told| told.event).collect()
    }
}

/// What happened to each operation, and to what is none.
type Stories = BTreeMap<Option<String>, Vec<String>>;

async fn take(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let (taken, status, answer) = match uri.path() {
        "/v2.1/track" => receiver.ingests(&headers, &body),
        _ => (
            vec![receiver.understands(&headers, &body)],
            StatusCode::OK,
            String::new(),
        ),
    };
    let goes_unanswered = once(&receiver.unanswered, &taken).is_some();
    receiver.told.send_modify(|told| told.extend(taken));
    if goes_unanswered {
        pending::<()>().await;
    }
    (status, answer)
}

/// Where something of that kind is in what is told, if it is; it is looked for no more from then on.
fn once(kind: &Mutex<Option<&'static str>>, all: &[Told]) -> Option<usize> {
    let mut kind = kind.lock().unwrap();
    let at = all.iter().position(|told| Some(told.kind.as_str()) == *kind)?;
    *kind = None;
    Some(at)
}

impl Receiver {
    /// A webhook's delivery, which has to be signed.
    fn understands(&self, headers: &HeaderMap, body: &Bytes) -> Told {
        let secret = self.secret.lock().unwrap().clone();
        let verifier = standardwebhooks::Webhook::new(&secret).unwrap();
        verifier.verify(body, headers).unwrap();
        let body: Value = serde_json::from_slice(body).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Told {
            event: headers["webhook-id"].to_str().unwrap().to_owned(),
            kind: text(&body["type"]).unwrap(),
            operation: text(&body["data"]["id"]),
            app: text(&body["data"]["appId"]),
            body,
        }
    }

    /// Takes telemetry as Application Insights does: an array of envelopes, compressed. Its answer says what was not taken.
    fn ingests(&self, headers: &HeaderMap, body: &Bytes) -> (Vec<Told>, StatusCode, String) {
        assert_eq!(headers["content-encoding"], "gzip");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&**body)
            .read_to_string(&mut text)
            .unwrap();
        let items: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut taken: Vec<_> = items.iter().map(telemetry).collect();
        let mut errors = Vec::new();
        if let Some(index) = once(&self.turned_away, &taken) {
            taken.remove(index);
            errors.push(json!({ "index": index, "statusCode": 500, "message": "Internal Server Error" }));
        }
        let status = match errors.is_empty() {
            true => StatusCode::OK,
            false => StatusCode::PARTIAL_CONTENT,
        };
        let answer = json!({ "itemsReceived": items.len(), "itemsAccepted": taken.len(), "errors": errors });
        (taken, status, answer.to_string())
    }
}

fn telemetry(item: &Value) -> Told {
    assert_eq!(item["name"], "Microsoft.ApplicationInsights.Message");
    assert_eq!(item["iKey"], INSTRUMENTATION_KEY);
    assert_eq!(item["data"]["baseType"], "MessageData");
    assert_eq!(item["data"]["baseData"]["ver"], 2);
    let dimensions = &item["data"]["baseData"]["properties"];
    let dimension = |name: &str| dimensions[name].as_str().map(str::to_owned);
    let event = dimension("fameEventId").unwrap();
    // What is no operation's is told under its own id.
    let operation = item["tags"]["ai.operation.id"].as_str().unwrap().to_owned();
    Told {
        operation: (operation != event).then_some(operation),
        event,
        kind: dimension("eventId").unwrap(),
        app: dimension("extensionId"),
        body: item.clone(),
    }
}

/// Everybody, and the service between them.
struct Town {
    folder: TempDir,
    dev: Dev,
    customer: Caller,
    vendor: Caller,
    owner: Caller,
    operator: Caller,
    /// Where those who are told are kept, each with whom its deliveries are shown to.
    hooks: Vec<(Who, String)>,
}

#[derive(Clone, Copy)]
enum Who {
    Owner,
    Operator,
}

impl Town {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let town = Self::on(folder, Vec::new()).await;
        town.is_now(MORNING).await;
        town
    }

    async fn on(folder: TempDir, hooks: Vec<(Who, String)>) -> Self {
        let dev = Dev::start(&["--data", folder.path().to_str().unwrap()]).await;
        Self {
            customer: dev.caller("customer-admin").await,
            vendor: dev.caller("contributor").await,
            owner: dev.caller("owner").await,
            operator: dev.caller("operator").await,
            folder,
            dev,
            hooks,
        }
    }

    /// The service is killed, and started on what it left.
    async fn dies_and_returns(self) -> Self {
        self.dev.kill().await;
        Self::on(self.folder, self.hooks).await
    }

    async fn is_now(&self, now: &str) {
        let (status, answer) = self.dev.control("/clock", &json!({ "now": now })).await;
        assert_eq!(status, 200, "{answer}");
    }

    fn app(&self, name: &str) -> AppId {
        self.dev.app(name)
    }

    /// Somebody is told from now on; the secret that they are told under.
    async fn tells(&mut self, who: Who, below: &str, body: Value) -> String {
        let path = format!("{below}/webhooks/{}", Uuid::new_v4());
        let made = self.asked_by(who).put(&path, &body).await.unwrap().expect(201);
        self.hooks.push((who, path));
        made.property("secret")
    }

    fn asked_by(&self, who: Who) -> &Caller {
        match who {
            Who::Owner => &self.owner,
            Who::Operator => &self.operator,
        }
    }

    async fn customer_gets(&self, path: &str) -> Answer {
        let path = format!("{PLACE}{path}");
        self.customer.get(&path).await.unwrap().expect(200)
    }

    /// The customer's operations of an app.
    async fn operations(&self, app: &str) -> Vec<Value> {
        let path = format!("/apps/{}/operations", self.app(app));
        self.customer_gets(&path).await.rows()
    }

    /// Waits until the newest operation of an app is so.
    async fn until(&self, app: &str, status: &str) -> Value {
        eventually(&format!("{app} is {status}"), async || {
            let newest = self.operations(app).await.into_iter().next()?;
            (newest["status"] == status).then_some(newest)
        })
        .await
    }

    /// What has been told to a receiver, or is to be.
    async fn deliveries(&self, (who, path): &(Who, String)) -> Vec<Value> {
        let path = format!("{path}/deliveries?$top=100");
        self.asked_by(*who).get(&path).await.unwrap().expect(200).rows()
    }

    /// Until when a receiver that could not be reached is left alone.
    async fn left_alone_until(&self, (who, path): &(Who, String)) -> String {
        self.asked_by(*who)
            .get(path)
            .await
            .unwrap()
            .expect(200)
            .property("pausedUntil")
    }

    /// Waits until everybody has been tried in vain to be told of something.
    async fn until_nobody_is_reached(&self) {
        for hook in &self.hooks {
            eventually("nobody is there", async || {
                let all = self.deliveries(hook).await;
                let in_vain = |row: &Value| row["status"] == "Waiting" && row["lastResult"] == "Connect";
                all.iter().any(in_vain).then_some(())
            })
            .await;
        }
    }

    /// Waits until everybody has been told of as much as that; the clock goes to when it is tried again.
    async fn until_told(&self, counts: &[usize]) {
        for (hook, count) in self.hooks.iter().zip(counts) {
            eventually(&format!("{count} are told at {}", hook.1), async || {
                let all = self.deliveries(hook).await;
                let next = all.iter().map(|row| text(row, "nextAttemptOn")).max();
                let next = next.filter(|next| !next.is_empty());
                if let Some(next) = &next {
                    let next = next.clone().max(self.left_alone_until(hook).await);
                    if next > self.dev.now().await {
                        self.is_now(&next).await;
                    }
                }
                (next.is_none() && all.len() >= *count).then_some(())
            })
            .await;
        }
    }
}

fn text(row: &Value, member: &str) -> String {
    row[member].as_str().unwrap_or_default().to_owned()
}

/// The story of an operation.
fn story(operation: &str, steps: &[&str]) -> (Option<String>, Vec<String>) {
    (
        Some(operation.to_owned()),
        steps.iter().map(|step| (*step).to_owned()).collect(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_customer_decides_is_told_whoever_is_killed_or_away_meanwhile() {
    let mut town = Town::start().await;
    let [(operators, one), (vendors, two), (insights, three)] = [
        Receiver::new().await,
        Receiver::new().await,
        Receiver::new().await,
    ];
    let reachable = [one, two, three];

    // The operator hears everything of that customer, by webhook and in Application Insights; the vendor what is of one app.
    let tenant = text(town.dev.client("customer-admin"), "tenantId");
    let body = json!({ "url": operators.url(), "aadTenantId": tenant });
    *operators.secret.lock().unwrap() = town.tells(Who::Operator, "/operator/v1", body).await;
    let below = format!("/v1.0/apps/{}", town.app(FREIGHT));
    *vendors.secret.lock().unwrap() = town
        .tells(Who::Owner, &below, json!({ "url": vendors.url() }))
        .await;
    let connection = format!(
        "InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint={}",
        insights.url()
    );
    let body = json!({
        "format": "ApplicationInsights", "connectionString": connection, "aadTenantId": tenant,
    });
    town.tells(Who::Operator, "/operator/v1", body).await;

    // The customer looks at what there is.
    let updates = town.customer_gets("/apps/availableUpdates").await.rows();
    let found: BTreeSet<_> = updates
        .iter()
        .map(|row| (text(row, "name"), text(row, "version")))
        .collect();
    let expected = [(SALES_PACK, "16.1.1.0"), (FREIGHT, "5.0.2.0")];
    assert_eq!(
        found,
        expected
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into()
    );

    // They install an app that needs a newer one of another; the service is killed while that other is on its way, and
    // while it does not know whether it was heard.
    operators.leaves_unanswered("update.started");
    let install = format!("{PLACE}/apps/{}/install", town.app(SALES_REPORTS));
    let alone = town
        .customer
        .post(&install, &json!({ "acceptIsvEula": true }))
        .await
        .unwrap();
    let refused = alone.expect(400).json();
    assert_eq!(refused["code"], "EntityValidationFailed");
    assert_eq!(
        refused["data"]["requirements"][0]["name"], SALES_PACK,
        "{refused}"
    );
    let body = json!({ "acceptIsvEula": true, "installOrUpdateNeededDependencies": true });
    let asked = town.customer.post(&install, &body).await.unwrap().expect(200);
    operators.hears("update.started").await;
    town = town.dies_and_returns().await;
    let installed = town.until(SALES_REPORTS, "succeeded").await;
    let updated = town.until(SALES_PACK, "succeeded").await;
    assert_eq!(installed["id"], asked.json()["id"]);
    assert!(
        text(&updated, "completedOn") <= text(&installed, "startedOn"),
        "{updated} {installed}"
    );

    // They choose when updates may start; the service dies right after it has said yes.
    let window = json!({
        "preferredStartTime": "22:00", "preferredEndTime": "04:00", "timeZoneId": "Pacific Standard Time",
    });
    let path = format!("{PLACE}/settings/upgrade");
    let chosen = town.customer.put(&path, &window).await.unwrap().expect(200);
    let opens = chosen.property("preferredStartTimeUtc");
    assert!(opens.starts_with(&TONIGHT[..19]), "{opens}");
    town = town.dies_and_returns().await;
    town.until_told(&[7, 0, 7]).await;

    // Nobody is there to be told when the vendor schedules a hotfix for tonight, and the service dies right after it has said
    // yes; and again after the customer has postponed it.
    for receiver in reachable {
        receiver.leaves().await;
    }
    let hotfixes = format!(
        "/v1.0/apps/{}/countries/US/environmentHotfixes",
        town.app(FREIGHT)
    );
    let hotfix = json!({
        "environmentAadTenantId": tenant, "environmentApplicationFamily": "Business Central",
        "environmentName": ENVIRONMENT, "targetAppVersion": "5.0.2.0", "runAfter": TONIGHT,
    });
    let scheduled = town.vendor.post(&hotfixes, &hotfix).await.unwrap().expect(200);
    town = town.dies_and_returns().await;
    town.until_nobody_is_reached().await;
    let seen = town.operations(FREIGHT).await.remove(0);
    assert_eq!(
        (&seen["status"], &seen["type"]),
        (&json!("scheduled"), &json!("hotfix")),
        "{seen}"
    );
    assert_eq!(seen["id"], scheduled.json()["id"]);
    let id = text(&seen, "id");
    let postpone = format!("{PLACE}/operations/{id}/postpone");
    let body = json!({ "until": POSTPONED_TO, "reason": "We count our stock tonight." });
    town.customer.post(&postpone, &body).await.unwrap().expect(200);
    town = town.dies_and_returns().await;

    // The vendor sees it, and all are told once they are back.
    let path = format!("{hotfixes}/{id}?$select=status,postponeReason,askedRunAfter");
    let seen = town.vendor.get(&path).await.unwrap().expect(200).json();
    assert_eq!(seen["status"], "Scheduled", "{seen}");
    assert_eq!(seen["postponeReason"], "We count our stock tonight.");
    assert!(text(&seen, "askedRunAfter").starts_with(&TONIGHT[..19]), "{seen}");
    let _reachable = [
        operators.returns().await,
        vendors.returns().await,
        insights.returns().await,
    ];
    town.until_told(&[9, 2, 9]).await;

    // Tonight passes without it; it runs when the window opens after the time to which it was postponed. Half of what is said
    // of its start has to be sent again.
    insights.turns_away("LC0169");
    town.is_now(LATER_TONIGHT).await;
    assert_eq!(town.operations(FREIGHT).await[0]["status"], "scheduled");
    town.is_now(IN_THAT_NIGHT).await;
    let ran = town.until(FREIGHT, "succeeded").await;
    assert!(text(&ran, "startedOn").starts_with(THAT_NIGHT), "{ran}");
    town.until_told(&[11, 4, 11]).await;

    // Each has heard all that happened, in its order, and nothing else.
    let (update, install) = (text(&updated, "id"), text(&installed, "id"));
    let steps = |kind: &str| ["scheduled", "started", "succeeded"].map(|step| format!("{kind}.{step}"));
    let hotfix = story(
        &id,
        &[
            "hotfix.scheduled",
            "hotfix.postponed",
            "hotfix.started",
            "hotfix.succeeded",
        ],
    );
    let all = Stories::from([
        (None, vec!["environment.windowModified".to_owned()]),
        (Some(update.clone()), steps("update").into()),
        (Some(install.clone()), steps("install").into()),
        hotfix.clone(),
    ]);
    assert_eq!(operators.stories(), all);
    assert_eq!(vendors.stories(), Stories::from([hotfix]));
    let telemetry = Stories::from([
        (None, vec!["LC0146".to_owned()]),
        story(&update, &["LC0167", "LC0169", "LC0170"]),
        story(&install, &["LC0161", "LC0163", "LC0164"]),
        story(
            &id,
            &[
                "LC0155",
                "fame.hotfix.postponed",
                "LC0158",
                "LC0169",
                "LC0159",
                "LC0170",
            ],
        ),
    ]);
    assert_eq!(insights.stories(), telemetry);
    assert_eq!(
        insights.events(),
        operators.events(),
        "each event has one id everywhere"
    );
    assert!(vendors.events().is_subset(&operators.events()));
    // What went unanswered when the service was killed came again, before what followed it.
    let mut of_update: Vec<_> = operators
        .all()
        .into_iter()
        .filter(|told| told.operation.as_deref() == Some(&update))
        .map(|told| told.kind)
        .collect();
    assert!(of_update.iter().filter(|kind| *kind == "update.started").count() >= 2);
    of_update.dedup();
    assert_eq!(of_update, steps("update"));
    // Of what Application Insights had taken half, it got the other half alone.
    let all = insights.all();
    let halves = ["LC0158", "LC0169"].map(|kind| {
        let told = all.iter().filter(|told| told.kind == kind);
        told.filter(|told| told.operation.as_deref() == Some(&id)).count()
    });
    assert_eq!(halves, [1, 1]);
    // The vendor has heard of their app alone.
    let freight = town.app(FREIGHT).to_string();
    assert!(
        vendors
            .all()
            .iter()
            .all(|told| told.app.as_deref() == Some(freight.as_str()))
    );
}
