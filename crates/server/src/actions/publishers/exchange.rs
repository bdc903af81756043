//! The exchange: a run shows what its issuer says of it, and gets a token of the service's own.
//!
//! Whoever asks has not signed in, so nothing is looked up before their token is proven to be its issuer's, and what they are
//! told depends on whether it is of a repository that somebody here has named.

use super::{emit, run, target};
use crate::{
    actions::{
        Arrival, Principal, Service,
        audit::{self, Actor, Change},
    },
    error::{Error, Result},
};
use auth::{OwnToken, OwnTokenKind, ProvenPipeline};
use domain::{
    ids::{AppId, Etag},
    instant::Instant,
    problem::{Code, RuleError},
    publisher::{EXCHANGES_EACH_HOUR, PipelineToken, PublisherState, shown},
    webhook::{PUBLISHER_LOCKED, PUBLISHER_TOKEN_REUSED},
};
use serde_json::json;
use std::time::Duration;
use store::{
    Tx,
    publishers::{self, Exchange, PublisherToken, TrustedPublisher, UnconfirmedIds},
};
use uuid::Uuid;

/// As whom the service refuses an exchange.
const DOOR: Actor<'static> = Actor::Service("oidc");
/// Publishers that are compared with one token, at most.
const MOST_COMPARED: i64 = 50;
/// Of several that fit, so many are named.
const MOST_NAMED: usize = 5;
/// Refused exchanges of a publisher that the audit keeps in an hour.
const REFUSALS_EACH_HOUR: u64 = 20;
const REFUSED: &str = "trustedPublishers/exchangeRefused";
const REUSED: &str = "trustedPublishers/tokenReused";
const HOUR: Duration = Duration::from_hours(1);
/// Seconds after which there may be more, at most.
const WAIT: u32 = 3_600;

/// What a run asks for where several publishers could be meant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) app: Option<AppId>,
    pub(crate) publisher: Option<Uuid>,
}

impl Wish {
    fn names_one(self) -> bool {
        self.app.is_some() || self.publisher.is_some()
    }
}

/// What a run was given.
pub(crate) struct Given {
    pub(crate) publisher: TrustedPublisher,
    pub(crate) token: OwnToken,
    pub(crate) until: Instant,
}

struct Exchanging {
    proven: ProvenPipeline,
    /// The publishers of its repository.
    about: Vec<TrustedPublisher>,
    sha256: [u8; 32],
    last_four: String,
    wish: Wish,
    arrival: Arrival,
    now: Instant,
}

/// Gives a run a token of the service's own.
///
/// # Errors
/// `Forbidden`, with what the publishers of its repository expect; `AmbiguousRequest` where several fit;
/// `TooManyRequests`.
pub(crate) async fn exchange(
    service: &Service,
    proven: ProvenPipeline,
    wish: Wish,
    arrival: Arrival,
) -> Result<Given> {
    let now = service.clock.now();
    service.exchanges.admit(&proven.token, now)?;
    let about = publishers_of(service, &proven, wish).await?;
    if about.is_empty() {
        return Err(no_fit(&proven.token).into());
    }
    let said = proven.token.clone();
    let token = OwnToken::random(OwnTokenKind::Publisher).map_err(Error::fault)?;
    let input = Exchanging {
        proven,
        about,
        sha256: token.sha256(),
        last_four: token.last_four(),
        wish,
        arrival,
        now,
    };
    let exchanged = service
        .db
        .write(input, |tx, input| Box::pin(exchange_in(tx, input)))
        .await?;
    service.emitted.notify_here();
    let (publisher, until) = exchanged?;
    service.exchanges.forget(&said, now);
    Ok(Given {
        publisher,
        token,
        until,
    })
}

/// The publishers that a run could mean. Of most repositories there is none, and to find that costs no more than a look.
async fn publishers_of(
    service: &Service,
    proven: &ProvenPipeline,
    wish: Wish,
) -> Result<Vec<TrustedPublisher>> {
    let said = &proven.token;
    let narrowed = (wish.app, wish.publisher);
    let mut about = publishers::publishers_of(&service.db, said, narrowed, MOST_COMPARED).await?;
    about.retain(|publisher| publisher.provider == proven.provider && publisher.binding().is_about(said));
    Ok(about)
}

/// Those that fit a run: where any has its ids, those alone, since anybody can name a repository; and where runs have named
/// any of these, those alone, since anybody can give ids that are public, and only its own runs can name a record.
fn fitting<'a>(about: &'a [TrustedPublisher], said: &PipelineToken) -> Vec<&'a TrustedPublisher> {
    let fitting = about.iter().filter(|publisher| fits(publisher, said));
    let (by_ids, by_name): (Vec<_>, Vec<_>) = fitting.partition(|publisher| publisher.binding().has_ids());
    let fitting = if by_ids.is_empty() { by_name } else { by_ids };
    let (named, others): (Vec<_>, Vec<_>) = fitting
        .into_iter()
        .partition(|publisher| publisher.named_on.is_some());
    if named.is_empty() { others } else { named }
}

/// The inner result is a refusal that is committed with what the audit says of it.
async fn exchange_in(
    mut tx: Tx<'_>,
    input: &Exchanging,
) -> Result<Result<(TrustedPublisher, Instant), RuleError>> {
    let said = &input.proven.token;
    let chosen = match fitting(&input.about, said).as_slice() {
        [] => return refuse_all(&mut tx, input).await.map(Err),
        [only] => only.id,
        several => return Ok(Err(ambiguous(several, input.wish))),
    };
    let Some(publisher) = publishers::lock_publisher(&mut tx, chosen)
        .await?
        .filter(|now| fits(now, said))
    else {
        return refuse_all(&mut tx, input).await.map(Err);
    };
    if publisher.pending_until.is_some_and(|until| until <= input.now) {
        let problem = RuleError::new(
            Code::Forbidden,
            "The publisher waited for its first exchange for seven days, and waits no more: an Owner has to save it again.",
        );
        return refuse(&mut tx, input, &publisher, problem).await.map(Err);
    }
    let since = input.now - HOUR;
    if publishers::tokens_since(&mut tx, publisher.id, since).await? >= EXCHANGES_EACH_HOUR {
        let message = format!(
            "The runs of a publisher are given {EXCHANGES_EACH_HOUR} tokens an hour. Try again later."
        );
        return Err(Error::try_later(Code::TooManyRequests, &message, WAIT));
    }
    let exchange = Exchange {
        token_sha256: input.proven.sha256,
        remembered_until: input.now + input.proven.remembered_for,
    };
    if !publishers::remember_exchange(&mut tx, &exchange).await? {
        warn_of_reuse(&mut tx, input, &publisher).await?;
        let problem = RuleError::new(
            Code::Forbidden,
            "The pipeline's token was exchanged before, and each is good once: ask the pipeline for another.",
        );
        return refuse(&mut tx, input, &publisher, problem).await.map(Err);
    }
    give(&mut tx, input, publisher).await.map(Ok)
}

fn fits(publisher: &TrustedPublisher, said: &PipelineToken) -> bool {
    let binding = publisher.binding();
    binding.is_about(said) && binding.mismatches(said).is_empty()
}

async fn give(
    tx: &mut Tx<'_>,
    input: &Exchanging,
    publisher: TrustedPublisher,
) -> Result<(TrustedPublisher, Instant)> {
    let said = &input.proven.token;
    let token = PublisherToken {
        id: Uuid::now_v7(),
        publisher_id: publisher.id,
        app_id: publisher.app_id,
        sha256: input.sha256,
        run: said.run.clone(),
        repository: said
            .repository
            .as_deref()
            .map_or_else(|| publisher.repository.clone(), shown),
        issued_on: input.now,
        expires_on: input.now + Duration::from_secs(publisher.lifetime_seconds.into()),
        revoked_on: None,
        last_four: input.last_four.clone(),
        used_on: None,
    };
    let by = run::principal_of(&token, input.arrival);
    let used = TrustedPublisher {
        used_on: Some(input.now),
        named_on: match input.wish.names_one() {
            true => Some(input.now),
            false => publisher.named_on,
        },
        ..publisher
    };
    let used = lock_ids(tx, input, used, &by).await?;
    publishers::update_publisher(tx, &used).await?;
    publishers::insert_token(tx, &token).await?;
    let change = Change {
        action: "trustedPublishers/exchange",
        target: target(used.app_id, used.id),
        before: None,
        after: Some(json!({
            "run": token.run,
            "repository": token.repository,
            "ref": said.git_ref.as_deref().map(shown),
            "expiresOn": token.expires_on.to_string(),
        })),
    };
    audit::record(tx, Actor::Principal(&by), input.now, change).await?;
    Ok((used, token.expires_on))
}

/// A publisher without ids has those of its first run from now on, until an owner says otherwise.
async fn lock_ids(
    tx: &mut Tx<'_>,
    input: &Exchanging,
    publisher: TrustedPublisher,
    by: &Principal,
) -> Result<TrustedPublisher> {
    if publisher.state != PublisherState::Pending {
        return Ok(publisher);
    }
    let said = &input.proven.token;
    let locked = TrustedPublisher {
        repository_id: said.repository_id.clone(),
        owner_id: said.owner_id.clone(),
        state: PublisherState::Unconfirmed,
        pending_until: None,
        locked_on: Some(input.now),
        etag: Etag::random(),
        ..publisher.clone()
    };
    if let (Some(repository_id), Some(owner_id)) = (&locked.repository_id, &locked.owner_id) {
        let ids = UnconfirmedIds {
            app_id: locked.app_id,
            issuer: locked.issuer.clone(),
            repository_id: repository_id.clone(),
            owner_id: owner_id.clone(),
        };
        publishers::remember_unconfirmed(tx, &ids).await?;
    }
    let change = Change {
        action: "trustedPublishers/lock",
        target: target(locked.app_id, locked.id),
        before: Some(super::state(&publisher)),
        after: Some(super::state(&locked)),
    };
    audit::record(tx, Actor::Principal(by), input.now, change).await?;
    let of = (locked.app_id, locked.id);
    emit(tx, PUBLISHER_LOCKED, of, Actor::Principal(by), input.now).await?;
    Ok(locked)
}

/// Two who come with one token may be a run and whoever took it from the run. Its owners are told once an hour, however often
/// somebody comes with it. The row of the publisher is locked.
async fn warn_of_reuse(tx: &mut Tx<'_>, input: &Exchanging, publisher: &TrustedPublisher) -> Result<()> {
    let (now, of) = (input.now, (publisher.app_id, publisher.id));
    let target = target(publisher.app_id, publisher.id);
    if store::audit::count_since(tx, REUSED, &target, now - HOUR).await? > 0 {
        return Ok(());
    }
    let change = Change {
        action: REUSED,
        target,
        before: None,
        after: Some(json!({ "run": input.proven.token.run })),
    };
    audit::record(tx, DOOR, now, change).await?;
    emit(tx, PUBLISHER_TOKEN_REUSED, of, DOOR, now).await
}

fn ambiguous(several: &[&TrustedPublisher], wish: Wish) -> RuleError {
    let mut ids: Vec<_> = several
        .iter()
        .take(MOST_NAMED)
        .map(|publisher| format!("{} of app {}", publisher.id, publisher.app_id))
        .collect();
    if several.len() > MOST_NAMED {
        ids.push("others".to_owned());
    }
    let by = match wish.app {
        Some(_) => "'publisherId'",
        None => "'appId' or 'publisherId'",
    };
    let message = format!(
        "The run fits several trusted publishers: {}. Say which by {by}.",
        ids.join(", ")
    );
    RuleError::new(Code::AmbiguousRequest, message).about("publisherId")
}

fn no_fit(said: &PipelineToken) -> RuleError {
    let named = said
        .repository
        .as_deref()
        .or(said.repository_id.as_deref())
        .unwrap_or("?");
    RuleError::new(
        Code::Forbidden,
        format!("No trusted publisher fits this run of '{}'.", shown(named)),
    )
}

/// The refusal of a run that fits none of the publishers of its repository, with what each of them expects.
async fn refuse_all(tx: &mut Tx<'_>, input: &Exchanging) -> Result<RuleError> {
    let said = &input.proven.token;
    let mut problem = no_fit(said);
    for publisher in &input.about {
        let mut own = problem.clone();
        own.details.clear();
        for mismatch in publisher.binding().mismatches(said) {
            let told = format!("{mismatch} (publisher {}).", publisher.id);
            problem = problem.because("PublisherMismatch", told.clone());
            own = own.because("PublisherMismatch", told);
        }
        drop(refuse(tx, input, publisher, own).await?);
    }
    Ok(problem)
}

/// Writes down that a run was refused, as long as that is not too often.
async fn refuse(
    tx: &mut Tx<'_>,
    input: &Exchanging,
    publisher: &TrustedPublisher,
    problem: RuleError,
) -> Result<RuleError> {
    let target = target(publisher.app_id, publisher.id);
    if store::audit::count_since(tx, REFUSED, &target, input.now - HOUR).await? < REFUSALS_EACH_HOUR {
        let why: Vec<_> = problem
            .details
            .iter()
            .map(|detail| detail.message.as_str())
            .collect();
        let change = Change {
            action: REFUSED,
            target,
            before: None,
            after: Some(json!({
                "run": input.proven.token.run,
                "message": problem.message,
                "why": why,
            })),
        };
        audit::record(tx, DOOR, input.now, change).await?;
    }
    Ok(problem)
}
