//! Tokens of agents: the first one for a code, each further one for the one before.

use super::{AgentCaller, Credential, sign_in, sign_in_change};
use crate::{
    actions::{
        Arrival, Service,
        audit::{self, Actor},
        events::{self, AgentStep},
    },
    error::{Error, Result},
};
use auth::{OwnToken, OwnTokenKind};
use domain::{
    ids::Etag,
    instant::Instant,
    problem::{Code, RuleError},
};
use std::{sync::Arc, time::Duration};
use store::{
    Tx,
    agents::{self, Agent, FormerSessions},
    inventories::set_sequence,
};
use uuid::Uuid;

/// How old a token is at least when it is replaced.
const YOUNGEST: Duration = Duration::from_secs(60);

/// A token that is given out, to be shown once.
pub(crate) struct GivenToken {
    pub(crate) name: String,
    pub(crate) token: OwnToken,
    pub(crate) until: Instant,
}

struct Enrol {
    code_sha256: [u8; 32],
    token: OwnToken,
    until: Instant,
    arrival: Arrival,
    now: Instant,
}

/// Exchanges a code for a token, once. Whatever the agent signed in with before is gone, and so is what it was frozen for, and
/// the number of its last inventory.
///
/// # Errors
/// `InvalidInput` for a mistyped code; `EnrolmentRefused` for one that nobody was given, that was used or has ended;
/// `TooManyRequests`.
pub(crate) async fn enrol(service: &Arc<Service>, code: &str, arrival: Arrival) -> Result<GivenToken> {
    let code = OwnToken::read(OwnTokenKind::Enrolment, code.trim())
        .map_err(|error| RuleError::invalid("code", format!("The code cannot be right: {error}.")))?;
    let now = service.clock.now();
    service.enrolments.admit(1, now)?;
    let input = Enrol {
        code_sha256: code.sha256(),
        token: OwnToken::random(OwnTokenKind::Agent).map_err(Error::fault)?,
        until: now + service.settings.agents.token,
        arrival,
        now,
    };
    service
        .see_through(async move |service| {
            let enrolled = service
                .db
                .write(input, |tx, input| Box::pin(enrol_in(tx, input)))
                .await?;
            service.enrolments.forget(1, now);
            service.emitted.notify_here();
            tracing::info!(agent = enrolled.name, "an agent has enrolled");
            Ok(enrolled)
        })
        .await
}

async fn enrol_in(mut tx: Tx<'_>, input: &Enrol) -> Result<GivenToken> {
    let found = agents::lock_agent_by_code(&mut tx, input.code_sha256).await?;
    let usable = found.filter(|agent| agent.code_until.is_some_and(|until| input.now < until));
    let agent = usable.ok_or_else(refused)?;
    let enrolled = Agent {
        code_sha256: None,
        code_until: None,
        token_sha256: Some(input.token.sha256()),
        token_until: Some(input.until),
        token_used: false,
        former_token_sha256: None,
        former_token_until: None,
        lost_token_sha256: None,
        session_id: None,
        former_sessions: FormerSessions::default(),
        frozen_on: None,
        frozen_reason: None,
        etag: Etag::random(),
        ..agent.clone()
    };
    agents::update_agent(&mut tx, &enrolled).await?;
    set_sequence(&mut tx, enrolled.id, 0).await?;
    let caller = AgentCaller {
        id: enrolled.id,
        name: enrolled.name.clone(),
        credential: Credential::Token(input.token.sha256()),
        session_id: Uuid::nil(),
        arrival: input.arrival,
    };
    let (by, change) = (
        Actor::Agent(&caller),
        sign_in_change("agents/enrol", &agent, &enrolled),
    );
    audit::record(&mut tx, by, input.now, change).await?;
    events::emit_agent(&mut tx, AgentStep::Enrolled, by, input.now, &enrolled).await?;
    Ok(given(&enrolled, &input.token, input.until))
}

/// The same words whatever is wrong with the code: it is nobody's business whether it ever was one.
fn refused() -> RuleError {
    let message =
        "The code was used already, has ended, or was never given out. Ask the operator for a new one.";
    RuleError::new(Code::EnrolmentRefused, message).about("code")
}

fn given(agent: &Agent, token: &OwnToken, until: Instant) -> GivenToken {
    GivenToken {
        name: agent.name.clone(),
        token: token.clone(),
        until,
    }
}

struct RotateToken {
    caller: AgentCaller,
    token: OwnToken,
    lasts: Duration,
    now: Instant,
}

/// Gives an agent a new token. The one before is good as long as it was until somebody calls with the new one, as the
/// answer may get lost, and a few minutes more.
///
/// # Errors
/// `BadArgument` for an agent that signs in with tokens of an issuer; `Forbidden` for a token that was replaced by one in
/// use; `TooManyRequests` within a minute of the last new token; `AgentFrozen`.
pub(crate) async fn rotate_token(service: &Arc<Service>, caller: &AgentCaller) -> Result<GivenToken> {
    let now = service.clock.now();
    let input = RotateToken {
        caller: caller.clone(),
        token: OwnToken::random(OwnTokenKind::Agent).map_err(Error::fault)?,
        lasts: service.settings.agents.token,
        now,
    };
    service
        .see_through(async move |service| {
            service
                .db
                .write(input, |tx, input| Box::pin(rotate_token_in(tx, input)))
                .await
        })
        .await
}

async fn rotate_token_in(mut tx: Tx<'_>, input: &RotateToken) -> Result<GivenToken> {
    let Credential::Token(shown) = input.caller.credential else {
        let message = "The agent signs in with tokens of its issuer, and needs none of this service.";
        return Err(RuleError::new(Code::BadArgument, message).into());
    };
    let agent = agents::lock_agent_by_id(&mut tx, input.caller.id)
        .await?
        .ok_or_else(replaced)?;
    if agent.frozen_on.is_some() {
        return Err(sign_in::frozen(&agent).into());
    }
    let rotated = if agent.token_sha256 == Some(shown) {
        Agent {
            former_token_sha256: Some(shown),
            former_token_until: agent.token_until,
            lost_token_sha256: None,
            ..agent.clone()
        }
    } else if agent.former_token_sha256 == Some(shown) && !agent.token_used {
        Agent {
            lost_token_sha256: agent.token_sha256,
            ..agent.clone()
        }
    } else {
        return Err(replaced().into());
    };
    let until = input.now + input.lasts;
    check_age(&agent, until)?;
    let rotated = Agent {
        token_sha256: Some(input.token.sha256()),
        token_until: Some(until),
        token_used: false,
        etag: Etag::random(),
        ..rotated
    };
    agents::update_agent(&mut tx, &rotated).await?;
    let change = sign_in_change("agents/rotateToken", &agent, &rotated);
    audit::record(&mut tx, Actor::Agent(&input.caller), input.now, change).await?;
    Ok(given(&rotated, &input.token, until))
}

/// Refuses an agent that replaces its tokens as fast as it gets them; `until` is when the next one would end.
fn check_age(agent: &Agent, until: Instant) -> Result<()> {
    // A token that would end later than a new one was given when tokens were good for longer: nobody knows its age.
    let ends_with_a_new_one = |end: Instant| end <= until && until < end + YOUNGEST;
    if agent.token_until.is_some_and(ends_with_a_new_one) {
        let message = "The agent got its last token less than a minute ago, and has no need of another yet.";
        let wait = u32::try_from(YOUNGEST.as_secs()).unwrap_or(u32::MAX);
        return Err(Error::try_later(Code::TooManyRequests, message, wait));
    }
    Ok(())
}

fn replaced() -> RuleError {
    let message = "The access token was replaced by another, which is in use. Sign in with that one.";
    RuleError::new(Code::Forbidden, message)
}
