//! Sends deliveries to webhooks: in order within an operation, at least once, and to nobody more than is good for them.
//!
//! Of several servers one at a time sends. So how many are under way can be counted in its memory, and an attempt needs no
//! claim of its own: what is under way is not begun again here, and what this server did not write down is sent again by the
//! next.

use super::failure_reporter::FailureReporter;
use crate::{
    actions::{
        Service,
        webhooks::{Attempt, FORMER_SECRET, Outcome, SECRET, place, record_attempt},
    },
    destinations::{
        Answer, Target, Unreached,
        insights::{self, Connection, Meaning},
        otlp::{self, Credential},
        payload, signing,
    },
    error::{Error, Result},
    telemetry::metrics::WEBHOOK_DELIVERIES,
};
use domain::{
    chain::Chain,
    freeze::Frozen,
    ids::AppId,
    instant::Instant,
    webhook::{AttemptResult, WebhookFormat},
};
use http::{HeaderMap, HeaderValue, header};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{
    freezes,
    webhooks::{self, Delivery, Webhook},
};
use tokio::{task::JoinSet, time};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Attempts at the same time for one app; the operator's webhooks count as one.
const AT_ONCE: usize = 5;
/// Attempts within a second at one host, of all apps together.
const EACH_SECOND: usize = 20;
const SECOND: Duration = Duration::from_secs(1);
/// How long others leave sending to this server, and how often it says that it is still there.
const TERM: Duration = Duration::from_secs(30);
const RENEWED: Duration = Duration::from_secs(10);
/// How often to look when nothing announced a delivery, or a host has had enough for the moment.
const PERIOD: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_millis(100);
/// How long what is under way may take when the service stops; what is left is sent again.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long deliveries can be looked up and sent anew.
const KEPT: Duration = Duration::from_hours(14 * 24);
const REMOVED_EACH: Duration = Duration::from_hours(1);
const REMOVED_AT_ONCE: i64 = 10_000;
/// How many redirects are followed, where any are, and how long they are kept to.
const REDIRECTS: usize = 2;
const REDIRECTED: Duration = Duration::from_hours(1);

/// A delivery under way: which, and whose.
type UnderWay = ((Uuid, Uuid), Option<AppId>);
/// Where destinations of telemetry have moved to.
#[derive(Default)]
struct Moved(Mutex<HashMap<Uuid, Move>>);

struct Move {
    from: Target,
    to: Target,
    /// Until when it is believed.
    until: time::Instant,
}

impl Moved {
    /// Where what is configured to go to `from` has moved to.
    fn known(&self, webhook: Uuid, from: &Target) -> Option<Target> {
        let moved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = moved.get(&webhook)?;
        (known.from == *from && time::Instant::now() < known.until).then(|| known.to.clone())
    }

    /// Remembers that what goes to `from` is taken at `to` from now on.
    fn keep(&self, webhook: Uuid, from: Target, to: Target) {
        let until = time::Instant::now() + REDIRECTED;
        let mut moved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moved.insert(webhook, Move { from, to, until });
    }

    fn forget(&self, webhook: Uuid) {
        let mut moved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moved.remove(&webhook);
    }

    /// Learns from what was answered at the end of so many redirects.
    fn learn(&self, webhook: Uuid, (from, to): (&Target, &Target), redirects: usize, status: u16) {
        match status {
            200..=299 if redirects > 0 => self.keep(webhook, from.clone(), to.clone()),
            300..=499 => self.forget(webhook),
            _ => {}
        }
    }
}

struct Sender {
    service: Arc<Service>,
    id: Uuid,
    turns: Turns,
    sends: JoinSet<UnderWay>,
    hosts: HostRates,
    held_since: Option<time::Instant>,
    removed: Option<time::Instant>,
    moved: Arc<Moved>,
}

/// Sends until it is asked to stop.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    let mut failures = FailureReporter::of("webhooks");
    let (mut announced, mut moved) = (service.deliveries.listener(), service.clock.listener());
    let mut sender = Sender {
        service,
        id: Uuid::new_v4(),
        turns: Turns::default(),
        sends: JoinSet::new(),
        hosts: HostRates::default(),
        held_since: None,
        removed: None,
        moved: Arc::default(),
    };
    loop {
        let looked = sender.look().await;
        failures.after(&looked);
        let rest = looked.unwrap_or(PERIOD);
        tokio::select! {
            () = stop.cancelled() => break,
            Some(sent) = sender.sends.join_next() => sender.ended(sent.ok()),
            () = announced.notified() => {}
            () = moved.notified() => {}
            () = time::sleep(rest) => {}
        }
    }
    sender.end().await;
}

impl Sender {
    /// Begins what is due and may be sent; how long to wait until the next look.
    async fn look(&mut self) -> Result<Duration> {
        self.remove_old().await?;
        if !webhooks::is_any_waiting(&self.service.db).await? || !self.hold().await? {
            return Ok(PERIOD);
        }
        let now = self.service.clock.now();
        let frozen = freezes::all(&self.service.db).await?;
        if frozen.contains(&Frozen::Webhooks) {
            return Ok(PERIOD);
        }
        let mut all = Vec::new();
        for webhook in webhooks::due_webhooks(&self.service.db, now).await? {
            let is_frozen = webhook
                .app_id
                .is_some_and(|app| frozen.contains(&Frozen::WebhooksOf(app)));
            if !is_frozen && self.turns.is_free(webhook.app_id) {
                let due = webhooks::due_deliveries(&self.service.db, webhook.id, now, 2 * AT_ONCE).await?;
                let is_new = |delivery: &Delivery| !self.turns.is_under_way((webhook.id, delivery.event_id));
                let due: VecDeque<_> = due.into_iter().filter(is_new).collect();
                all.push((webhook, due));
            }
        }
        all.sort_by_key(|(_, due): &(_, VecDeque<Delivery>)| due.front().and_then(|first| first.next_on));
        Ok(self.begin(all))
    }

    /// Begins as much of what is due as may be under way, in turns; how long to wait until the next look.
    fn begin(&mut self, mut all: Vec<(Webhook, VecDeque<Delivery>)>) -> Duration {
        let mut rest = PERIOD;
        loop {
            let may_begin = all.iter_mut().filter(|(_, due)| !due.is_empty());
            let Some((webhook, due)) = self
                .turns
                .next(may_begin, |(webhook, _)| (webhook.id, webhook.app_id))
            else {
                return rest;
            };
            let host = Target::read(&webhook.url).map(|target| target.host().to_owned());
            if !self
                .hosts
                .take_more(&host.unwrap_or_default(), time::Instant::now())
            {
                due.clear();
                rest = SOON;
                continue;
            }
            if let Some(delivery) = due.pop_front() {
                self.send(webhook.clone(), delivery);
            }
        }
    }

    fn send(&mut self, webhook: Webhook, delivery: Delivery) {
        let under_way = ((webhook.id, delivery.event_id), webhook.app_id);
        self.turns.begin(under_way);
        let (service, moved) = (Arc::clone(&self.service), Arc::clone(&self.moved));
        self.sends.spawn(async move {
            attempt(&service, &moved, &webhook, &delivery).await;
            under_way
        });
    }

    fn ended(&mut self, sent: Option<UnderWay>) {
        match sent {
            Some(under_way) => drop(self.turns.under_way.remove(&under_way)),
            // One broke off, and it is not known which: what is under way no more is begun again.
            None => self.turns.under_way.clear(),
        }
    }

    /// Whether this server sends.
    async fn hold(&mut self) -> Result<bool> {
        if self.held_since.is_some_and(|since| since.elapsed() < RENEWED) {
            return Ok(true);
        }
        let asked = time::Instant::now();
        let there = self.service.db.clock().await?;
        let now = there.unwrap_or_else(|| self.service.clock.machine());
        // Where a database belongs to one process, whoever else has sent from it is gone.
        let others_until = if self.service.db.is_shared() {
            now
        } else {
            Instant(i64::MAX)
        };
        let input = (self.id, others_until, now + TERM);
        let is_held = self
            .service
            .db
            .write(input, |mut tx, (id, now, until)| {
                Box::pin(async move { Ok::<_, Error>(webhooks::hold(&mut tx, *id, *now, *until).await?) })
            })
            .await?;
        self.held_since = is_held.then_some(asked);
        Ok(is_held)
    }

    async fn remove_old(&mut self) -> Result<()> {
        if self.removed.is_some_and(|at| at.elapsed() < REMOVED_EACH) {
            return Ok(());
        }
        remove_old(&self.service).await?;
        self.removed = Some(time::Instant::now());
        Ok(())
    }

    /// Lets what is under way end, and others send.
    async fn end(mut self) {
        let all = async { while self.sends.join_next().await.is_some() {} };
        if time::timeout(FAREWELL, all).await.is_err() {
            tracing::info!("some deliveries to webhooks are sent again when a service runs next");
            self.sends.shutdown().await;
        }
        let let_go = self.service.db.write(self.id, |mut tx, id| {
            Box::pin(async move { Ok::<_, Error>(webhooks::let_go(&mut tx, *id).await?) })
        });
        if let Err(error) = let_go.await {
            tracing::info!(error = %Chain(&error), "other servers begin to send to webhooks a little later");
        }
    }
}

/// Removes what is too old to be looked up. What waits goes only with a webhook that is disabled, of which others were told.
/// By a clock that is wrong nothing does.
pub(crate) async fn remove_old(service: &Service) -> Result<()> {
    if !service.clock_check.agrees(service).await? {
        return Ok(());
    }
    let before = service.clock.now() - KEPT;
    let remove = || {
        service.db.write(before, |mut tx, before| {
            Box::pin(async move {
                let done = webhooks::remove_deliveries(&mut tx, *before, REMOVED_AT_ONCE).await?;
                let unsent = webhooks::remove_unsent(&mut tx, *before, REMOVED_AT_ONCE).await?;
                Ok::<_, Error>((done, unsent))
            })
        })
    };
    loop {
        let (done, unsent) = remove().await?;
        if unsent > 0 {
            tracing::warn!(
                unsent,
                "deliveries to disabled webhooks were removed that were never taken"
            );
        }
        if done + unsent == 0 {
            return Ok(());
        }
    }
}

/// Whose turn it is: nobody waits because somebody else has much to be told.
#[derive(Default)]
struct Turns {
    under_way: HashSet<UnderWay>,
    /// When each webhook and each app had its last turn, counted in turns.
    of_webhooks: HashMap<Uuid, u64>,
    of_apps: HashMap<Option<AppId>, u64>,
    count: u64,
}

impl Turns {
    /// Whether more may be under way for an app.
    fn is_free(&self, app: Option<AppId>) -> bool {
        let of_app = self.under_way.iter().filter(|(_, whose)| *whose == app);
        of_app.count() < AT_ONCE
    }

    fn is_under_way(&self, delivery: (Uuid, Uuid)) -> bool {
        self.under_way.iter().any(|(which, _)| *which == delivery)
    }

    /// Of those who may be told something, who has the least under way; among equals the app, then the webhook, that has
    /// waited longest for a turn, then who comes first.
    fn next<T>(&self, all: impl Iterator<Item = T>, who: impl Fn(&T) -> (Uuid, Option<AppId>)) -> Option<T> {
        all.filter(|one| self.is_free(who(one).1)).min_by_key(|one| {
            let (id, app) = who(one);
            let under_way = self.under_way.iter().filter(|((webhook, _), _)| *webhook == id);
            let (of_app, of_webhook) = (self.of_apps.get(&app), self.of_webhooks.get(&id));
            (under_way.count(), of_app.copied(), of_webhook.copied())
        })
    }

    fn begin(&mut self, under_way: UnderWay) {
        let ((webhook, _), app) = under_way;
        self.count += 1;
        self.of_webhooks.insert(webhook, self.count);
        self.of_apps.insert(app, self.count);
        self.under_way.insert(under_way);
    }
}

/// When hosts were sent to within the last second.
#[derive(Default)]
struct HostRates(HashMap<String, VecDeque<time::Instant>>);

impl HostRates {
    /// Whether a host has not had yet what it gets in a second; if so, it has one more from now on.
    fn take_more(&mut self, host: &str, now: time::Instant) -> bool {
        let is_past = |at: &time::Instant| now.saturating_duration_since(*at) >= SECOND;
        self.0
            .retain(|_, times| times.back().is_some_and(|last| !is_past(last)));
        let times = self.0.entry(host.to_owned()).or_default();
        while times.front().is_some_and(is_past) {
            times.pop_front();
        }
        let takes_more = times.len() < EACH_SECOND;
        if takes_more {
            times.push_back(now);
        }
        takes_more
    }
}

/// Tries once to deliver something, and writes down what came of it.
async fn attempt(service: &Service, moved: &Moved, webhook: &Webhook, delivery: &Delivery) {
    let begun = time::Instant::now();
    let sent = send(service, moved, webhook, delivery).await;
    let (outcome, status) = match sent {
        Ok(sent) => sent,
        Err(error) => {
            tracing::error!(webhook = %webhook.id, error = %Chain(&error), "a webhook cannot be told anything");
            return time::sleep(PERIOD).await;
        }
    };
    metrics::counter!(WEBHOOK_DELIVERIES, "result" => outcome.result().as_str()).increment(1);
    let attempt = Attempt {
        outcome,
        status,
        took: begun.elapsed(),
    };
    if let Err(error) = record_attempt(service, delivery, attempt).await {
        tracing::warn!(webhook = %webhook.id, event = %delivery.event_id, error = %Chain(&error),
            "what came of a delivery cannot be written down; it is sent again");
        time::sleep(PERIOD).await;
    }
}

async fn send(
    service: &Service,
    moved: &Moved,
    webhook: &Webhook,
    delivery: &Delivery,
) -> Result<(Outcome, Option<u16>)> {
    let opened = |column, sealed: &str| {
        service
            .secrets
            .open(place(webhook.id, column), sealed)
            .map_err(Error::fault)
    };
    let secret = opened(SECRET, &webhook.secret)?;
    if webhook.format == WebhookFormat::ApplicationInsights {
        return send_telemetry(service, moved, webhook, delivery, &secret).await;
    }
    let target = Target::read(&webhook.url).map_err(Error::fault)?;
    if webhook.format == WebhookFormat::OpenTelemetry {
        return send_records(service, &target, delivery, &secret).await;
    }
    let mut secrets = vec![secret];
    if let Some(former) = &webhook.former_secret
        && webhook.former_secret_until > Some(service.clock.now())
    {
        secrets.push(opened(FORMER_SECRET, former)?);
    }
    let at = service.clock.machine().unix_seconds();
    let id = delivery.event_id.to_string();
    let mut headers = signing::headers(&id, at, &delivery.body, &secrets);
    describe(&mut headers, payload::content_type(webhook.format));
    Ok(post(service, &target, headers, delivery, meaning).await)
}

async fn post(
    service: &Service,
    target: &Target,
    headers: HeaderMap,
    delivery: &Delivery,
    meaning: fn(&Answer) -> Outcome,
) -> (Outcome, Option<u16>) {
    let body = delivery.body.clone().into_bytes();
    match service.connector.post(target, headers, body).await {
        Ok(answer) => (meaning(&answer), Some(answer.status)),
        Err(unreached) => (unanswered(unreached), None),
    }
}

async fn send_records(
    service: &Service,
    target: &Target,
    delivery: &Delivery,
    header: &str,
) -> Result<(Outcome, Option<u16>)> {
    let mut headers = HeaderMap::new();
    describe(&mut headers, "application/json");
    if !header.is_empty() {
        let Credential(name, value) = Credential::read(header).map_err(Error::fault)?;
        headers.insert(name, value);
    }
    Ok(post(service, target, headers, delivery, meaning_of_records).await)
}

fn meaning_of_records(answer: &Answer) -> Outcome {
    match otlp::meaning(answer) {
        otlp::Meaning::Taken => Outcome::Accepted,
        otlp::Meaning::Refused => Outcome::Refused,
        otlp::Meaning::Again { pauses } => Outcome::Later {
            result: AttemptResult::Status,
            asked: answer.retry_after(),
            pauses,
            rest: None,
        },
    }
}

fn describe(headers: &mut HeaderMap, content_type: &'static str) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("fame"));
}

fn meaning(answer: &Answer) -> Outcome {
    match answer.status {
        200..=299 => Outcome::Accepted,
        410 => Outcome::Gone,
        status => Outcome::Later {
            result: AttemptResult::Status,
            asked: answer.retry_after(),
            pauses: matches!(status, 429 | 502 | 503 | 504),
            rest: None,
        },
    }
}

fn unanswered(Unreached(result): Unreached) -> Outcome {
    Outcome::Later {
        result,
        asked: None,
        pauses: true,
        rest: None,
    }
}

async fn send_telemetry(
    service: &Service,
    moved: &Moved,
    webhook: &Webhook,
    delivery: &Delivery,
    connection: &str,
) -> Result<(Outcome, Option<u16>)> {
    let connection = Connection::read(connection).map_err(Error::fault)?;
    let configured = Target::read(&connection.url).map_err(Error::fault)?;
    let body = compressed(&connection.addressed(&delivery.body)).map_err(Error::fault)?;
    let mut headers = HeaderMap::new();
    describe(&mut headers, "application/json");
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let known = moved.known(webhook.id, &configured);
    let mut target = known.unwrap_or_else(|| configured.clone());
    let mut redirects = 0;
    loop {
        let answer = match service
            .connector
            .post(&target, headers.clone(), body.clone())
            .await
        {
            Ok(answer) => answer,
            Err(unreached) => {
                moved.forget(webhook.id);
                return Ok((unanswered(unreached), None));
            }
        };
        match insights::redirected(&configured, &answer) {
            Some(next) if redirects < REDIRECTS => {
                redirects += 1;
                target = next;
            }
            _ => {
                moved.learn(webhook.id, (&configured, &target), redirects, answer.status);
                return Ok((meaning_of_telemetry(&answer, delivery), Some(answer.status)));
            }
        }
    }
}

fn meaning_of_telemetry(answer: &Answer, delivery: &Delivery) -> Outcome {
    let later = |asked, rest| Outcome::Later {
        result: AttemptResult::Status,
        asked,
        pauses: true,
        rest,
    };
    match insights::meaning(answer, &delivery.body, delivery.attempts + 1) {
        Meaning::Taken => Outcome::Accepted,
        Meaning::Again(rest) => later(answer.retry_after(), rest),
        Meaning::QuotaUsedUp(pause) => later(Some(pause), None),
        Meaning::Refused => Outcome::Refused,
    }
}

fn compressed(body: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body.as_bytes())?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gets_so_much_in_a_second_and_others_as_much_besides() {
        let (mut rates, begun) = (HostRates::default(), time::Instant::now());
        let mut taken = 0;
        for millisecond in 0..3_000 {
            let now = begun + Duration::from_millis(millisecond);
            taken += usize::from(rates.take_more("one", now));
        }
        assert_eq!(taken, 3 * EACH_SECOND);
        let now = begun + Duration::from_millis(3_000);
        assert!(rates.take_more("two", now));
        assert!(rates.take_more("one", now + SECOND) && rates.0.len() == 1);
    }

    #[test]
    fn webhooks_and_apps_have_their_turns_whatever_their_ids() {
        let (one, other) = (Some(AppId(Uuid::from_u128(1))), Some(AppId(Uuid::from_u128(2))));
        let hooks: Vec<_> = [one, one, one, other]
            .into_iter()
            .zip(0..)
            .map(|(app, id)| (Uuid::from_u128(id), app))
            .collect();
        let (mut turns, mut begun, mut event) = (Turns::default(), [0; 4], 0_u128);
        let mut begins = |turns: &mut Turns| {
            let next = turns.next(hooks.iter().enumerate(), |(_, hook)| **hook);
            let (at, (webhook, app)) = next?;
            event += 1;
            let under_way = ((*webhook, Uuid::from_u128(event)), *app);
            turns.begin(under_way);
            begun[at] += 1;
            Some(under_way)
        };
        // Each of an app's webhooks has something under way before one has the rest, and another app has as much.
        while begins(&mut turns).is_some() {}
        turns.under_way.clear();
        // Where one thing at a time may be sent, apps share it, and within an app its webhooks.
        for _ in 0..12 {
            let under_way = begins(&mut turns).unwrap();
            turns.under_way.remove(&under_way);
        }
        let [first, second, third, alone] = begun;
        assert_eq!(alone, AT_ONCE + 6);
        assert_eq!(first + second + third, AT_ONCE + 6);
        assert!(
            [first, second, third].iter().all(|count| (3..=4).contains(count)),
            "{begun:?}"
        );
    }

    #[test]
    fn a_move_is_believed_once_it_was_good_and_only_of_where_it_began() {
        let [old, new, moved_to] = ["old", "new", "moved"]
            .map(|host| Target::read(&format!("https://{host}.contoso.com/v2.1/track")).unwrap());
        let (moved, id) = (Moved::default(), Uuid::from_u128(1));
        for status in [500, 429, 307] {
            moved.learn(id, (&old, &moved_to), 1, status);
            assert_eq!(moved.known(id, &old), None, "{status}");
        }
        moved.learn(id, (&old, &moved_to), 1, 200);
        assert_eq!(moved.known(id, &old), Some(moved_to.clone()));
        // Whoever changes the connection string means another place.
        assert_eq!(moved.known(id, &new), None);
        moved.learn(id, (&old, &moved_to), 0, 503);
        assert!(moved.known(id, &old).is_some());
        moved.learn(id, (&old, &moved_to), 0, 403);
        assert_eq!(moved.known(id, &old), None);
    }

    #[test]
    fn an_answer_says_what_is_done_next() {
        let answer = |status| Answer {
            status,
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
        };
        assert_eq!(meaning(&answer(204)), Outcome::Accepted);
        assert_eq!(meaning(&answer(410)), Outcome::Gone);
        for (status, expected) in [
            (301, false),
            (400, false),
            (500, false),
            (429, true),
            (502, true),
            (504, true),
        ] {
            let Outcome::Later { pauses, .. } = meaning(&answer(status)) else {
                panic!("{status}");
            };
            assert_eq!(pauses, expected, "{status}");
        }
    }
}
