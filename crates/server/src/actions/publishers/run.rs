//! A run of a pipeline, from the token that it shows to the end of that token.

use super::{emit, target};
use crate::{
    actions::{
        Arrival, Principal, Service,
        audit::{self, Actor, Change},
    },
    error::Result,
};
use domain::{
    ids::{PrincipalId, TenantId},
    instant::Instant,
    principal::CallerKind,
    webhook::PUBLISHER_TOKEN_LEAKED,
};
use serde_json::json;
use std::time::Duration;
use store::{
    Tx,
    publishers::{self, PublisherToken, reference_of},
};
use uuid::Uuid;

/// How long a token is remembered after it has ended: an upload that began under it may take as long.
const REMEMBERED: Duration = Duration::from_hours(24);

/// How often a token is noted to have been used.
const NOTED_EACH: Duration = Duration::from_hours(1);

/// Whether somebody has signed in.
pub(crate) enum SignIn {
    Run(Box<Principal>),
    /// Nobody was given that, or it was ended.
    Unknown,
    /// Its time is over.
    Expired,
}

/// Signs a run in.
pub(crate) async fn sign_in(service: &Service, sha256: [u8; 32], arrival: Arrival) -> Result<SignIn> {
    let Some(token) = publishers::find_token(&service.db, sha256).await? else {
        return Ok(SignIn::Unknown);
    };
    let now = service.clock.now();
    if token.revoked_on.is_some() {
        return Ok(SignIn::Unknown);
    }
    if token.expires_on <= now {
        return Ok(SignIn::Expired);
    }
    if token.used_on.is_none_or(|used| used + NOTED_EACH <= now) {
        note_use(service, token.id, now).await?;
    }
    Ok(SignIn::Run(Box::new(principal_of(&token, arrival))))
}

async fn note_use(service: &Service, token: Uuid, now: Instant) -> Result<()> {
    service
        .db
        .write((token, now), |mut tx, (token, now)| {
            Box::pin(async move { Ok(publishers::note_use(&mut tx, *token, *now).await?) })
        })
        .await
}

/// The run that a token was given to.
pub(super) fn principal_of(token: &PublisherToken, arrival: Arrival) -> Principal {
    let run = token.run.as_deref();
    let name = match run {
        Some(run) => format!("{} run {run}", token.repository),
        None => token.repository.clone(),
    };
    Principal {
        kind: CallerKind::Publisher,
        id: PrincipalId(token.publisher_id),
        tenant_id: TenantId(Uuid::nil()),
        object_id: None,
        reference: reference_of(token),
        name: Some(name),
        run: run.map(str::to_owned),
        arrival,
    }
}

/// Why the token of a run ends before its time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The run is done with it.
    Done,
    /// Somebody found it where it does not belong.
    Leaked,
}

impl End {
    const fn action(self) -> &'static str {
        match self {
            Self::Done => "trustedPublishers/endToken",
            Self::Leaked => "trustedPublishers/endLeaked",
        }
    }
}

struct Ending {
    sha256: [u8; 32],
    why: End,
    arrival: Arrival,
    now: Instant,
}

/// Ends the token of a run; whether it was one that had not ended.
pub(crate) async fn end_token(
    service: &Service,
    sha256: [u8; 32],
    why: End,
    arrival: Arrival,
) -> Result<bool> {
    let input = Ending {
        sha256,
        why,
        arrival,
        now: service.clock.now(),
    };
    let has_ended = service
        .db
        .write(input, |tx, input| Box::pin(end_token_in(tx, input)))
        .await?;
    service.emitted.notify_here();
    Ok(has_ended)
}

async fn end_token_in(mut tx: Tx<'_>, input: &Ending) -> Result<bool> {
    let now = input.now;
    let found = publishers::lock_token(&mut tx, input.sha256).await?;
    let Some(token) = found.filter(|token| token.revoked_on.is_none() && token.expires_on > now) else {
        return Ok(false);
    };
    publishers::revoke_token(&mut tx, token.id, now).await?;
    let run = principal_of(&token, input.arrival);
    let by = Actor::Principal(&run);
    let change = Change {
        action: input.why.action(),
        target: target(token.app_id, token.publisher_id),
        before: None,
        after: Some(json!({ "run": token.run })),
    };
    audit::record(&mut tx, by, now, change).await?;
    if input.why == End::Leaked {
        let of = (token.app_id, token.publisher_id);
        emit(&mut tx, PUBLISHER_TOKEN_LEAKED, of, by, now).await?;
    }
    Ok(true)
}

/// Forgets what no run and no exchange can come with any more; how much there was.
pub(crate) async fn forget_ended(service: &Service) -> Result<u64> {
    let now = service.clock.now();
    service
        .db
        .write((now - REMEMBERED, now), |mut tx, (before, now)| {
            Box::pin(async move { Ok(publishers::forget_ended(&mut tx, *before, *now).await?) })
        })
        .await
}
