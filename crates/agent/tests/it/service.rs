//! A service that follows the agent API to the letter, remembers what it was asked, and fails where a test says so.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode},
};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;
use wire::agent::{
    AgentToken, Claim, ClaimRequest, ClaimedOperation, Enrolment, Finish, Finished, Inventory,
    InventoryResult, READY_HEADER, Renewal, Renewed, SESSION_HEADER,
};

/// How long a test waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const FIRST_TOKEN: &str = "the-first-token";
pub(crate) const SECOND_TOKEN: &str = "the-second-token";

#[derive(Default)]
pub(crate) struct State {
    pub(crate) token: String,
    /// The token before, which is good for a while.
    former: String,
    /// What was signed in with.
    pub(crate) tokens: Vec<String>,
    pub(crate) sessions: Vec<String>,
    /// What the agent last said of itself.
    pub(crate) ready: String,
    pub(crate) inventories: Vec<(Method, Inventory)>,
    /// What is said to each inventory.
    pub(crate) result: InventoryResult,
    pub(crate) claims: Vec<ClaimRequest>,
    pub(crate) renewals: Vec<(Uuid, Renewal)>,
    pub(crate) finishes: Vec<(Uuid, Finish)>,
    pub(crate) ranges: Vec<Option<String>>,
    /// What is granted to the next claims.
    pub(crate) due: VecDeque<ClaimedOperation>,
    pub(crate) held: BTreeMap<Uuid, ClaimedOperation>,
    pub(crate) packages: BTreeMap<Uuid, Vec<u8>>,
    /// After so many bytes the next download breaks off.
    pub(crate) cut_after: Option<usize>,
    /// Answers to the next requests whose line begins so, instead of what they ask for.
    pub(crate) faults: Vec<(&'static str, u16)>,
    /// The agent is frozen.
    pub(crate) is_frozen: bool,
    /// What no agent may ask.
    pub(crate) violations: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    asked: watch::Sender<usize>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::new(Mutex::new(State {
                token: FIRST_TOKEN.into(),
                ..State::default()
            })),
            asked: watch::channel(0).0,
        };
        let answering = service.clone();
        let router = Router::new().fallback(async move |request: Request| answering.answer(request).await);
        tokio::spawn(async move { axum::serve(listener, router).await });
        service
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Something is due from now on.
    pub(crate) fn grants(&self, operations: impl IntoIterator<Item = ClaimedOperation>) {
        self.state().due.extend(operations);
        self.asked.send_modify(|asked| *asked += 1);
    }

    /// Waits until the agent has asked for enough that `holds`.
    pub(crate) async fn until<T>(&self, what: &str, mut holds: impl FnMut(&State) -> Option<T>) -> T {
        let mut asked = self.asked.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = holds(&self.state()) {
                    return found;
                }
                asked.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("never {what}; violations: {:?}", self.state().violations.first()),
        }
    }

    /// How the operation ended, once it is told.
    pub(crate) async fn finish_of(&self, id: Uuid) -> Finish {
        self.until(&format!("was the end of {id} told"), |state| {
            let found = state.finishes.iter().find(|(told, _)| *told == id);
            found.map(|(_, finish)| finish.clone())
        })
        .await
    }

    /// Fails if an agent asked for what none may.
    pub(crate) fn assert_obeyed(&self) {
        let violations = &self.state().violations;
        assert!(violations.is_empty(), "{violations:#?}");
    }

    async fn answer(&self, request: Request) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let line = format!("{} {}", parts.method, parts.uri);
        let fault = {
            let mut state = self.state();
            let fault = state.faults.iter().position(|(start, _)| line.starts_with(start));
            fault.map(|index| state.faults.remove(index).1)
        };
        let mut answer = match fault {
            Some(status) => refusal(status, "Fault"),
            None => {
                self.route(&parts.method, parts.uri.path(), &parts.headers, &body, &line)
                    .await
            }
        };
        self.asked.send_modify(|asked| *asked += 1);
        let headers = answer.headers_mut();
        headers.insert("ms-correlation-x", HeaderValue::from_static("the-correlation"));
        answer
    }

    async fn route(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
        line: &str,
    ) -> Response<Body> {
        if (method, path) == (&Method::POST, "/agent/v1/enrol") {
            return self.enrol(headers, body, line);
        }
        if (method, path) == (&Method::GET, "/health/live") {
            return Response::new(Body::empty());
        }
        if let Some(answer) = self.keep_out(headers, line) {
            return answer;
        }
        let segments: Vec<&str> = path.split('/').skip(3).collect();
        let operation = segments
            .get(1)
            .and_then(|id| id.parse::<Uuid>().ok())
            .unwrap_or_default();
        match (method.as_str(), segments.as_slice()) {
            ("POST", ["token"]) => self.rotate(),
            ("PUT" | "PATCH", ["inventory"]) => self.inventory(method, self.read(body, line)),
            ("POST", ["claim"]) => self.claim(self.read(body, line)).await,
            ("POST", ["operations", _, "renew"]) => self.renew(operation, self.read(body, line)),
            ("POST", ["operations", _, "finish"]) => self.finish(operation, self.read(body, line)),
            ("GET", ["operations", _, "package"]) => self.package(operation, headers),
            _ => self.violated(line, "is no call of the API"),
        }
    }

    fn violated(&self, line: &str, what: &str) -> Response<Body> {
        self.state().violations.push(format!("{line}: {what}"));
        refusal(400, "InvalidInput")
    }

    fn read<T: DeserializeOwned + Default>(&self, body: &[u8], line: &str) -> T {
        serde_json::from_slice(body).unwrap_or_else(|error| {
            self.violated(line, &error.to_string());
            T::default()
        })
    }

    fn keep_out(&self, headers: &HeaderMap, line: &str) -> Option<Response<Body>> {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or("")
                .to_owned()
        };
        let session = text(SESSION_HEADER);
        let mut state = self.state();
        let authorization = text("authorization");
        let token = authorization
            .strip_prefix("Bearer ")
            .unwrap_or_default()
            .to_owned();
        if ![&state.token, &state.former].contains(&&token) {
            state.violations.push(format!("{line}: signed in as '{token}'"));
            return Some(refusal(401, "Unauthorized"));
        }
        state.tokens.push(token);
        state.ready = text(READY_HEADER);
        self.asked.send_modify(|asked| *asked += 1);
        if session.parse::<Uuid>().is_err() {
            state.violations.push(format!("{line}: session '{session}'"));
        }
        if state.sessions.last() != Some(&session) {
            if state.sessions.contains(&session) {
                state.violations.push(format!("{line}: a former session"));
            }
            state.sessions.push(session);
        }
        if state.is_frozen {
            return Some(refusal(403, "AgentFrozen"));
        }
        None
    }

    fn enrol(&self, headers: &HeaderMap, body: &[u8], line: &str) -> Response<Body> {
        if headers.contains_key("authorization") {
            return self.violated(line, "nobody signs in to enrol");
        }
        match serde_json::from_slice::<Enrolment>(body) {
            Ok(enrolment) if enrolment.code == "the-code" => self.token(FIRST_TOKEN),
            Ok(_) => refusal(401, "Unauthorized"),
            Err(error) => self.violated(line, &error.to_string()),
        }
    }

    fn rotate(&self) -> Response<Body> {
        let mut state = self.state();
        state.former = std::mem::replace(&mut state.token, SECOND_TOKEN.into());
        self.token(SECOND_TOKEN)
    }

    fn token(&self, token: &str) -> Response<Body> {
        json_of(&AgentToken {
            name: "north".into(),
            token: token.into(),
            expires_on: "9000-01-01T00:00:00Z".into(),
        })
    }

    fn inventory(&self, method: &Method, inventory: Inventory) -> Response<Body> {
        let mut state = self.state();
        let last = state.inventories.last().map_or(0, |(_, last)| last.sequence);
        if inventory.sequence <= last {
            return refusal(409, "StaleInventory");
        }
        state.inventories.push((method.clone(), inventory));
        json_of(&state.result)
    }

    async fn claim(&self, request: ClaimRequest) -> Response<Body> {
        self.state().claims.push(request.clone());
        let mut asked = self.asked.subscribe();
        let waiting = async {
            loop {
                let granted = self.grant(&request);
                if !granted.operations.is_empty() || request.wait_seconds == 0 {
                    return granted;
                }
                asked.changed().await.unwrap();
            }
        };
        let wait = Duration::from_secs(request.wait_seconds.max(1).into());
        json_of(&tokio::time::timeout(wait, waiting).await.unwrap_or_default())
    }

    fn grant(&self, request: &ClaimRequest) -> Claim {
        let mut state = self.state();
        let mut operations: Vec<_> = state
            .held
            .values()
            .filter(|held| !request.holding.contains(&held.operation_id))
            .cloned()
            .collect();
        for _ in 0..request.max {
            let Some(due) = state.due.pop_front() else {
                break;
            };
            state.held.insert(due.operation_id, due.clone());
            operations.push(due);
        }
        Claim { operations }
    }

    fn renew(&self, id: Uuid, renewal: RenewalOrNone) -> Response<Body> {
        let mut state = self.state();
        let Some(renewal) = renewal.0 else {
            return refusal(400, "InvalidInput");
        };
        let answer = match state.held.get(&id) {
            Some(held) if held.lease_id == renewal.lease_id => json_of(&Renewed {
                lease_seconds: held.lease_seconds,
            }),
            _ => refusal(409, "LeaseLost"),
        };
        state.renewals.push((id, renewal));
        answer
    }

    fn finish(&self, id: Uuid, finish: FinishOrNone) -> Response<Body> {
        let mut state = self.state();
        let Some(finish) = finish.0 else {
            return refusal(400, "InvalidInput");
        };
        if finish.status == "Failed" && finish.error_message.is_none() {
            state.violations.push(format!("{id} failed without a reason"));
        }
        let held = state.held.get(&id).cloned();
        let is_held = held.as_ref().is_some_and(|held| held.lease_id == finish.lease_id);
        if let Some(held) = held.filter(|_| finish.status == "Succeeded")
            && finish.installed_version != held.target_version
        {
            state
                .violations
                .push(format!("{id} succeeded with {:?}", finish.installed_version));
        }
        let status = finish.status.clone();
        state.finishes.push((id, finish));
        if !is_held {
            return refusal(409, "LeaseLost");
        }
        state.held.remove(&id);
        json_of(&Finished {
            operation_id: id,
            status,
        })
    }

    fn package(&self, id: Uuid, headers: &HeaderMap) -> Response<Body> {
        let mut state = self.state();
        let range = headers
            .get("range")
            .map(|range| range.to_str().unwrap().to_owned());
        state.ranges.push(range.clone());
        let Some(bytes) = state
            .packages
            .get(&id)
            .filter(|_| state.held.contains_key(&id))
            .cloned()
        else {
            return refusal(404, "NotFound");
        };
        let first = range.map_or(0, |range| {
            range
                .strip_prefix("bytes=")
                .and_then(|range| range.strip_suffix('-'))
                .unwrap()
                .parse()
                .unwrap()
        });
        let rest = bytes[first..].to_vec();
        let answer = match first {
            0 => Response::builder(),
            _ => Response::builder().status(StatusCode::PARTIAL_CONTENT).header(
                "content-range",
                format!("bytes {first}-{}/{}", bytes.len() - 1, bytes.len()),
            ),
        };
        let Some(cut) = state.cut_after.take() else {
            return answer.body(rest.into()).unwrap();
        };
        let told = futures::stream::iter([Ok(rest[..cut].to_vec())]);
        let broken = futures::stream::once(async {
            // What was told has left before.
            tokio::task::yield_now().await;
            Err(std::io::Error::other("cut"))
        });
        let chunks = told.chain(broken);
        answer.body(Body::from_stream(chunks)).unwrap()
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(transparent)]
struct RenewalOrNone(Option<Renewal>);

#[derive(Default, serde::Deserialize)]
#[serde(transparent)]
struct FinishOrNone(Option<Finish>);

fn json_of(body: &impl serde::Serialize) -> Response<Body> {
    Response::new(serde_json::to_vec(body).unwrap().into())
}

fn refusal(status: u16, code: &str) -> Response<Body> {
    let body: Value = json!({"error": {"code": code, "message": code}});
    Response::builder()
        .status(status)
        .header("retry-after", "0")
        .header("content-type", "application/json")
        .body(body.to_string().into())
        .unwrap()
}
