//! The feed: what happens, told to whoever listens, as it happens and from where they left off.
//!
//! Somebody who listens keeps in mind how far they have come in the line of events (`store::events`). What is behind that
//! they read from the line; once there is nothing more, they wait for news of the one who looks on behalf of all
//! (`jobs/feed.rs`). News say from where to where they go, so nobody passes over anything: whoever had not come that far
//! reads the line again. Rights are asked for with each portion and with each sign of life. Nothing is kept for somebody
//! slow: news that they did not take in time they read from the line.

use super::{
    Principal, Service,
    access::{self, Allowed},
};
use crate::{
    config::FeedSettings,
    destinations::payload,
    error::{Error, Result},
};
use bytes::Bytes;
use domain::{
    access::{Permission, Resource},
    chain::Chain,
    ids::AppId,
    jitter,
    problem::{Code, RuleError},
    webhook::SERVICE_EVENTS,
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{
    events::{self, Event, Kept},
    principals::PrincipalRef,
};
use tokio::{
    sync::{
        Notify,
        broadcast::{self, error::RecvError},
    },
    time::{Instant as Moment, sleep_until},
};

/// What somebody must be permitted to listen at all.
pub(crate) const READ: Permission = Permission::read(Resource::EnvironmentHotfixes);

/// Events that are read at once.
pub(crate) const PORTION: i64 = 100;
/// Portions of news that are kept for those who have not heard them yet.
const NEWS: usize = 16;
/// How long nothing may be said.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// How long anybody listens at most: then they come again, with a token that is good then.
const LONGEST: Duration = Duration::from_mins(10);

/// Everybody on this server who listens.
pub(crate) struct Feed {
    news: broadcast::Sender<News>,
    entered: Notify,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    /// Whether nobody may listen any more, because the server is about to end.
    is_closed: bool,
    taken: usize,
    by_principal: HashMap<PrincipalRef, usize>,
}

#[derive(Clone)]
enum News {
    Portion(Arc<Portion>),
    /// There is no use in listening on.
    Over,
}

/// What is in line behind one position, up to another.
struct Portion {
    after: i64,
    last: i64,
    told: Vec<Told>,
}

/// An event as it is told.
#[derive(Clone)]
struct Told {
    position: i64,
    app: Option<AppId>,
    /// What somebody must be permitted to hear of it through its app; nothing where it is only for operators.
    permission: Option<Permission>,
    to_app: Bytes,
    to_operator: Bytes,
}

impl Told {
    fn of((position, event): &(i64, Event)) -> Result<Self> {
        let payload: Value = serde_json::from_str(&event.payload).map_err(Error::fault)?;
        let written = |is_of_app| {
            let data = payload::data(is_of_app, event, &payload);
            let written = json!({
                "id": event.id,
                "type": event.kind,
                "timestamp": event.recorded_on.to_string(),
                "data": data,
            });
            Bytes::from(written.to_string())
        };
        Ok(Self {
            position: *position,
            app: event.app_id,
            permission: permission(&event.kind),
            to_app: written(true),
            to_operator: written(false),
        })
    }
}

/// What somebody must be permitted to hear of such an event of their app.
fn permission(kind: &str) -> Option<Permission> {
    if SERVICE_EVENTS.contains(&kind) {
        return None;
    }
    let resource = match kind.split('.').next().unwrap_or_default() {
        "version" => Resource::Versions,
        "principal" => Resource::Principals,
        "webhook" => Resource::Webhooks,
        "publisher" => Resource::TrustedPublishers,
        "hotfix" => Resource::EnvironmentHotfixes,
        _ => Resource::Environments,
    };
    Some(Permission::read(resource))
}

/// Events as they are told. One that cannot be read must not keep all that follow it from being told.
fn all_told(events: &[(i64, Event)]) -> Vec<Told> {
    let told = events.iter().filter_map(|event| match Told::of(event) {
        Ok(told) => Some(told),
        Err(error) => {
            tracing::error!(event = %event.1.id, error = %Chain(&error), "the feed cannot tell of an event");
            None
        }
    });
    told.collect()
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            news: broadcast::Sender::new(NEWS),
            entered: Notify::new(),
            places: Mutex::default(),
        }
    }
}

impl Feed {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.places().taken > 0
    }

    /// Waits until somebody begins to listen, or has since this was last waited for. For one waiter.
    pub(crate) async fn entered(&self) {
        self.entered.notified().await;
    }

    /// Tells everybody what is in line behind a position, up to another.
    pub(crate) fn tell(&self, after: i64, last: i64, events: &[(i64, Event)]) {
        let told = all_told(events);
        // Where nobody listens any more, nobody has to be told.
        drop(
            self.news
                .send(News::Portion(Arc::new(Portion { after, last, told }))),
        );
    }

    /// Has everybody come again: the line is not what they know of it.
    pub(crate) fn end(&self) {
        drop(self.news.send(News::Over));
    }

    /// Lets nobody listen any more.
    pub(crate) fn close(&self) {
        self.places().is_closed = true;
        self.end();
    }

    fn enter(&self, principal: PrincipalRef, limits: FeedSettings) -> Result<()> {
        let mut places = self.places();
        if places.is_closed {
            let message = "The service is about to end, and nobody listens any more.";
            return Err(Error::try_later(Code::ServiceUnavailable, message, 1));
        }
        if places.taken >= limits.streams {
            let message = format!(
                "{} streams of events are open, and no more are served.",
                limits.streams
            );
            return Err(Error::try_later(Code::ServiceUnavailable, message, 30));
        }
        let own = places.by_principal.entry(principal).or_default();
        if *own >= limits.streams_per_principal {
            let most = limits.streams_per_principal;
            let message =
                format!("{most} streams of events of this principal are open, and no more are served.");
            return Err(Error::try_later(Code::TooManyRequests, message, 30));
        }
        *own += 1;
        places.taken += 1;
        drop(places);
        self.entered.notify_one();
        Ok(())
    }

    fn leave(&self, principal: PrincipalRef) {
        let mut places = self.places();
        places.taken = places.taken.saturating_sub(1);
        if let Some(own) = places.by_principal.get_mut(&principal) {
            *own = own.saturating_sub(1);
        }
        places.by_principal.retain(|_, own| *own > 0);
    }
}

/// A place among those who listen; it is free again when this goes.
struct Place {
    service: Arc<Service>,
    principal: PrincipalRef,
}

impl Place {
    fn take(service: &Arc<Service>, principal: PrincipalRef) -> Result<Self> {
        service.feed.enter(principal, service.settings.feed)?;
        Ok(Self {
            service: Arc::clone(service),
            principal,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.service.feed.leave(self.principal);
    }
}

/// Of what somebody is told.
pub(crate) enum About {
    /// Of an app, as far as their roles on it go.
    App(AppId),
    /// Of everything: they are an operator.
    Everything,
}

/// What somebody may hear at this moment.
enum Rights {
    OfApp(Allowed),
    All,
}

impl Rights {
    fn include(&self, told: &Told) -> bool {
        match self {
            Self::All => true,
            Self::OfApp(allowed) => told
                .permission
                .is_some_and(|permission| allowed.permits(permission)),
        }
    }
}

/// From where somebody listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// From now on.
    Now,
    /// From the first event that is kept.
    Kept,
    /// From behind this position.
    Behind(i64),
}

/// What there is to say to somebody who listens.
pub(crate) enum Step {
    /// These events, each with its position.
    Told(Vec<(i64, Bytes)>),
    /// Nothing but that they have come that far.
    Alive(i64),
}

/// Somebody who listens.
pub(crate) struct Listening {
    principal: Principal,
    about: About,
    /// How far they have come.
    position: i64,
    /// Whether there may be more in line than they have been told of.
    is_behind: bool,
    /// Whether they wait for what is yet to come.
    waits: bool,
    until: Moment,
    news: broadcast::Receiver<News>,
    place: Place,
}

/// Begins to listen; whoever does not wait is told what there is, and no more.
///
/// # Errors
/// `EventsGone` where events behind that position are not kept any more, or where the line has never come that far;
/// `TooManyRequests`, `ServiceUnavailable` where there is no place; that the caller may not.
pub(crate) async fn listen(
    service: &Arc<Service>,
    principal: &Principal,
    about: About,
    begin: Begin,
    waits: bool,
) -> Result<Listening> {
    rights(service, principal, &about).await?;
    let place = Place::take(service, principal.reference)?;
    // Before it is read how far the line has come: whatever comes behind that is news.
    let news = service.feed.news.subscribe();
    let kept = events::kept(&service.db).await?;
    let position = match begin {
        Begin::Now => kept.end,
        Begin::Kept => kept.after,
        Begin::Behind(position) if holds(kept, position) => position,
        Begin::Behind(position) => return Err(gone(position, kept).into()),
    };
    Ok(Listening {
        principal: principal.clone(),
        about,
        position,
        is_behind: true,
        waits,
        until: Moment::now() + jitter::between(LONGEST / 2, LONGEST),
        news,
        place,
    })
}

async fn rights(service: &Service, principal: &Principal, about: &About) -> Result<Rights> {
    match about {
        About::App(app) => access::preview(service, principal, *app, None, READ)
            .await
            .map(Rights::OfApp),
        About::Everything => Ok(Rights::All),
    }
}

/// Whether the line has everything behind a position.
fn holds(kept: Kept, position: i64) -> bool {
    (kept.after..=kept.end).contains(&position)
}

fn gone(position: i64, kept: Kept) -> RuleError {
    let Kept { after, end } = kept;
    let message = if position < after {
        format!(
            "Events behind {position} are not kept any more: the first that can be had are those behind {after}. Read anew \
             what there is, and begin with from=now or from=kept."
        )
    } else {
        format!(
            "There is no event {position} yet: the last is {end}. The database is another one, or was put back. Read anew \
             what there is, and begin with from=now or from=kept."
        )
    };
    RuleError::new(Code::EventsGone, message)
        .about("Last-Event-ID")
        .with("keptAfter", after.to_string())
        .with("end", end.to_string())
}

impl Listening {
    fn service(&self) -> &Service {
        &self.place.service
    }

    /// How far they have come.
    pub(crate) fn position(&self) -> i64 {
        self.position
    }

    /// What there is to say next; nothing where the stream is over. Whoever has no right to it any more is told nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Step>> {
        loop {
            let Some((told, is_alive)) = self.wait().await? else {
                return Ok(None);
            };
            if told.is_empty() && !is_alive {
                continue;
            }
            let rights = match rights(self.service(), &self.principal, &self.about).await {
                Ok(rights) => rights,
                Err(Error::Rule(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            let heard: Vec<_> = told.iter().filter(|told| rights.include(told)).collect();
            if !heard.is_empty() {
                return Ok(Some(Step::Told(self.shown(&heard))));
            }
            if is_alive {
                return Ok(Some(Step::Alive(self.position)));
            }
        }
    }

    fn shown(&self, heard: &[&Told]) -> Vec<(i64, Bytes)> {
        let shown = heard.iter().map(|told| {
            let text = match self.about {
                About::App(_) => &told.to_app,
                About::Everything => &told.to_operator,
            };
            (told.position, text.clone())
        });
        shown.collect()
    }

    /// The next events, or a time in which there were none.
    async fn wait(&mut self) -> Result<Option<(Vec<Told>, bool)>> {
        if self.until <= Moment::now() {
            return Ok(None);
        }
        if self.is_behind {
            return self.catch_up().await;
        }
        if !self.waits {
            return Ok(None);
        }
        let silent = Moment::now() + SIGN_OF_LIFE;
        tokio::select! {
            biased;
            news = self.news.recv() => Ok(self.hear(news).map(|told| (told, false))),
            () = sleep_until(silent.min(self.until)) => Ok(Some((Vec::new(), true))),
        }
    }

    /// What is in line behind what they know.
    async fn catch_up(&mut self) -> Result<Option<(Vec<Told>, bool)>> {
        let kept = events::kept(&self.service().db).await?;
        if !holds(kept, self.position) {
            return Ok(None);
        }
        let app = match self.about {
            About::App(app) => Some(app),
            About::Everything => None,
        };
        let found = events::read_line(&self.service().db, app, self.position, PORTION).await?;
        self.is_behind = found.len() >= usize::try_from(PORTION).unwrap_or(usize::MAX);
        let last = found.last().map_or(self.position, |(position, _)| *position);
        self.position = if self.is_behind { last } else { last.max(kept.end) };
        Ok(Some((all_told(&found), false)))
    }

    /// What of the news is for them, unless the stream is over.
    fn hear(&mut self, news: Result<News, RecvError>) -> Option<Vec<Told>> {
        let portion = match news {
            Ok(News::Portion(portion)) => portion,
            Ok(News::Over) | Err(RecvError::Closed) => return None,
            Err(RecvError::Lagged(_)) => {
                self.is_behind = true;
                return Some(Vec::new());
            }
        };
        if portion.after > self.position {
            self.is_behind = true;
            return Some(Vec::new());
        }
        let is_theirs = |told: &&Told| {
            told.position > self.position
                && match self.about {
                    About::App(app) => told.app == Some(app),
                    About::Everything => true,
                }
        };
        let told = portion.told.iter().filter(is_theirs).cloned().collect();
        self.position = self.position.max(portion.last);
        Some(told)
    }
}

/// Forgets events that were kept long enough, of which there may be many: some at a time. By a wrong clock nothing is old
/// enough.
pub(crate) async fn forget(service: &Service) -> Result<()> {
    if !service.clock_check.agrees(service).await? {
        return Ok(());
    }
    let FeedSettings { keep, keep_most, .. } = service.settings.feed;
    let before = service.clock.now() - keep;
    loop {
        let goes_on = service
            .db
            .write((before, keep_most), |mut tx, (before, keep_most)| {
                Box::pin(async move {
                    Ok::<_, Error>(events::forget(&mut tx, *before, *keep_most, FORGOTTEN).await?)
                })
            })
            .await?;
        if !goes_on {
            return Ok(());
        }
    }
}

/// Events that are forgotten at once.
const FORGOTTEN: i64 = 500;
