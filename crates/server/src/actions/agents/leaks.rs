//! Tokens that somebody found where they do not belong, and told of. Whoever knows a token may end it; nobody learns by
//! telling whether it was one.

use super::{
    AgentCall, Credential,
    sign_in::{GUARD, freeze},
    sign_in_change,
};
use crate::{
    actions::{
        Arrival, Service,
        access::{self, Standing},
        audit, publishers,
    },
    error::Result,
};
use auth::{OwnToken, OwnTokenKind};
use domain::{ids::Etag, instant::Instant, problem::RuleError};
use std::sync::Arc;
use store::{
    Tx,
    agents::{self, Agent, find_agent_by_token},
};
use uuid::Uuid;

/// Tokens that are told of at once, at most.
const MOST: usize = 100;

/// Freezes the agents whose tokens are among these, and ends codes that are, and tokens of runs.
///
/// # Errors
/// `InvalidInput` for too many, or none; `TooManyRequests`, for each costs a look-up.
pub(crate) async fn end_leaked(service: &Arc<Service>, texts: &[String], arrival: Arrival) -> Result<()> {
    if texts.is_empty() || texts.len() > MOST {
        let message = format!("'tokens' has {} tokens; it may have 1 to {MOST}.", texts.len());
        return Err(RuleError::invalid("tokens", message).into());
    }
    let leaked: Vec<_> = texts.iter().filter_map(|text| Leaked::read(text)).collect();
    let now = service.clock.now();
    service.leaks.admit(leaked.len(), now)?;
    for one in leaked {
        let is_found = match one {
            Leaked::Token(sha256) => end_token(service, sha256, arrival).await?,
            Leaked::OfRun(sha256) => {
                publishers::end_token(service, sha256, publishers::End::Leaked, arrival).await?
            }
            Leaked::Code(sha256) => {
                let ended = service.db.write((sha256, now), |tx, (sha256, now)| {
                    Box::pin(end_code(tx, *sha256, *now))
                });
                ended.await?
            }
        };
        if is_found {
            service.leaks.forget(1, now);
        }
    }
    Ok(())
}

/// What may be a token or a code: SHA-256 of its text. Whatever is mistyped is none, and costs no look-up.
enum Leaked {
    Token([u8; 32]),
    OfRun([u8; 32]),
    Code([u8; 32]),
}

impl Leaked {
    fn read(text: &str) -> Option<Self> {
        let read = |kind| OwnToken::read(kind, text).ok();
        let token = read(OwnTokenKind::Agent).map(|token| Self::Token(token.sha256()));
        let of_run = || read(OwnTokenKind::Publisher).map(|token| Self::OfRun(token.sha256()));
        let code = || read(OwnTokenKind::Enrolment).map(|code| Self::Code(code.sha256()));
        token.or_else(of_run).or_else(code)
    }
}

/// Ends a token; whether it is one.
async fn end_token(service: &Arc<Service>, sha256: [u8; 32], arrival: Arrival) -> Result<bool> {
    let Some(agent) = find_agent_by_token(&service.db, sha256).await? else {
        return Ok(false);
    };
    let call = AgentCall {
        credential: Credential::Token(sha256),
        session_id: None,
        software: None,
        is_ready: None,
        arrival,
    };
    let input = (agent.id, call, service.clock.now());
    let frozen = service.db.write(input, |tx, (id, call, now)| {
        Box::pin(end_token_in(tx, *id, call, *now))
    });
    if let Some(agent) = frozen.await? {
        service.emitted.notify_here();
        tracing::warn!(
            agent = agent.name,
            "an agent is frozen: its token was found and told of"
        );
    }
    Ok(true)
}

async fn end_token_in(mut tx: Tx<'_>, id: Uuid, call: &AgentCall, now: Instant) -> Result<Option<Agent>> {
    let Some(agent) = agents::lock_agent_by_id(&mut tx, id).await? else {
        return Ok(None);
    };
    match access::standing(&agent, call, now) {
        Standing::Same | Standing::Changed | Standing::Reused(_) => {
            let reason = "Its token was found where it does not belong, as somebody told.";
            freeze(&mut tx, agent, reason, now).await.map(Some)
        }
        Standing::Frozen | Standing::Expired | Standing::Unknown => Ok(None),
    }
}

/// Ends a code; whether it is one.
async fn end_code(mut tx: Tx<'_>, sha256: [u8; 32], now: Instant) -> Result<bool> {
    let Some(agent) = agents::lock_agent_by_code(&mut tx, sha256).await? else {
        return Ok(false);
    };
    let without = Agent {
        code_sha256: None,
        code_until: None,
        etag: Etag::random(),
        ..agent.clone()
    };
    agents::update_agent(&mut tx, &without).await?;
    audit::record(
        &mut tx,
        GUARD,
        now,
        sign_in_change("agents/endCode", &agent, &without),
    )
    .await?;
    Ok(true)
}
