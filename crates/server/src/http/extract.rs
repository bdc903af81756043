//! What handlers get instead of a raw request: who asks, under which conditions, and a body of bounded size.

use super::{
    encoding::{Chunks, decoded},
    request_info::RequestInfo,
};
use crate::{
    actions::{
        Principal, Service, access,
        agents::{self, AgentCall, AgentCaller, Credential, SignIn},
        preconditions::{Preconditions, Tags},
        publishers,
    },
    config::Operator,
    error::{Error, Result},
    http::{
        address::is_package,
        concurrency::{ConcurrencyLimiter, Key},
        context::refuse_options,
        exchange::Exchange,
        places::{Place, Places},
    },
};
use auth::{AgentCredential, AuthFailure, Authenticator, Caller, CallerKind, Door};
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use domain::{
    access::Permission,
    agent::Identity,
    country::CountryCode,
    ids::{AppId, PrincipalId, TenantId},
    principal::CallerKind as Kind,
    problem::{Code, RuleError},
    text::{control_in, control_in_lines, holds_control, is_invisible},
};
use futures::StreamExt;
use percent_encoding::percent_decode_str;
use std::{str::FromStr, sync::Arc, time::Duration};
use store::principals::PrincipalRef;
use uuid::Uuid;
use wire::agent::{READY_HEADER, SESSION_HEADER};

/// Longest text about an agent's software that is kept, in characters.
const LONGEST_SOFTWARE: usize = 100;

/// What all APIs share.
pub(crate) struct AppState {
    pub(crate) service: Arc<Service>,
    pub(crate) authenticator: Authenticator,
    pub(crate) operators: Vec<Operator>,
    pub(crate) concurrency: ConcurrencyLimiter,
    /// Places for inventories that are being taken in: they are large.
    pub(crate) inventories: Places,
}

/// Somebody with a valid token, and the request around what they ask.
pub(crate) struct RequestContext {
    pub(crate) state: Arc<AppState>,
    pub(crate) principal: Principal,
    pub(crate) info: Arc<RequestInfo>,
    pub(crate) method: Method,
    pub(crate) preconditions: Preconditions,
    pub(crate) headers: HeaderMap,
    pub(crate) exchange: Arc<Exchange>,
}

/// What is known of a request before anybody has signed in: its context, and what it signs in with.
pub(crate) fn begin(parts: &Parts) -> Result<(Arc<RequestInfo>, Option<&str>)> {
    let info = parts.extensions.get::<Arc<RequestInfo>>().cloned();
    let info = info.ok_or_else(|| Error::fault("a request without context"))?;
    let authorization = parts.headers.get(header::AUTHORIZATION);
    Ok((info, authorization.map(|value| value.to_str().unwrap_or(""))))
}

impl FromRequestParts<Arc<AppState>> for RequestContext {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self> {
        Self::through(Door::Vendor, parts, state).await
    }
}

impl RequestContext {
    async fn through(door: Door, parts: &Parts, state: &Arc<AppState>) -> Result<Self> {
        let (info, authorization) = begin(parts)?;
        let principal = match state.authenticator.publisher_token(authorization)? {
            Some(sha256) => run_of(door, sha256, &info, state).await?,
            None => caller_of(door, authorization, &info, state).await?,
        };
        check_address(&info)?;
        // Not earlier: under an address where the verb is not possible at all, that is what is wrong.
        if parts.method == Method::DELETE || is_package(&info.routed) {
            refuse_options(&info)?;
        }
        let permit = state.concurrency.enter((&principal).into()).await?;
        let exchange = parts.extensions.get::<Arc<Exchange>>().cloned();
        let exchange = exchange.ok_or_else(|| Error::fault("a request without context"))?;
        exchange.admit(&principal.signature(), permit);
        Ok(Self {
            state: Arc::clone(state),
            principal,
            info,
            method: parts.method.clone(),
            preconditions: preconditions_of(parts),
            headers: parts.headers.clone(),
            exchange,
        })
    }
}

/// Whoever a token of an issuer speaks for.
async fn caller_of(
    door: Door,
    authorization: Option<&str>,
    info: &RequestInfo,
    state: &AppState,
) -> Result<Principal> {
    let caller = state.authenticator.authenticate(door, authorization).await?;
    if caller.is_agent {
        let refused = state
            .authenticator
            .refuse(AuthFailure::OtherApi, "the token of an agent");
        return Err(refused.into());
    }
    Ok(principal_of(&caller, info))
}

/// The run of a pipeline that was given this token.
async fn run_of(door: Door, sha256: [u8; 32], info: &RequestInfo, state: &AppState) -> Result<Principal> {
    let refused = match door {
        Door::Vendor => match publishers::sign_in(&state.service, sha256, info.arrival()).await? {
            publishers::SignIn::Run(principal) => return Ok(*principal),
            publishers::SignIn::Unknown => (AuthFailure::Malformed, "no run has the token, or it was ended"),
            publishers::SignIn::Expired => (AuthFailure::Expired, "the token of a run"),
        },
        Door::Operator | Door::Agent | Door::Customer => (AuthFailure::OtherApi, "the token of a run"),
    };
    Err(state.authenticator.refuse(refused.0, refused.1).into())
}

/// No name has a control character, and so no address; a filter may have lines.
pub(crate) fn check_address(info: &RequestInfo) -> Result<(), RuleError> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
    let found = control_in(&decoded(&info.path)).or_else(|| control_in_lines(&decoded(&info.query)));
    match found {
        Some(control) => Err(RuleError::new(
            Code::InvalidInput,
            holds_control("The address", control),
        )),
        None => Ok(()),
    }
}

fn principal_of(caller: &Caller, info: &RequestInfo) -> Principal {
    let kind = match caller.kind {
        CallerKind::User => Kind::User,
        CallerKind::Application => Kind::Application,
    };
    let mut ids = caller.principal_ids().map(|(id, _)| id);
    let first = ids.next().unwrap_or(caller.id);
    let second = match kind {
        Kind::User => caller.tenant_id,
        _ => ids.next().unwrap_or(first),
    };
    Principal {
        kind,
        id: PrincipalId(caller.id),
        tenant_id: TenantId(caller.tenant_id),
        reference: PrincipalRef {
            kind,
            first,
            second,
            tenant: caller.bound_to,
        },
        object_id: caller.object_id,
        name: caller.name.as_deref().and_then(fit_name),
        run: None,
        arrival: info.arrival(),
    }
}

/// Longest name of a caller that is kept, in characters.
const LONGEST_NAME: usize = 250;

/// A name as it is kept and shown: people choose what their token calls them, and nothing in it may be unseen or turn a
/// line around.
pub(crate) fn fit_name(name: &str) -> Option<String> {
    let shown = |c: char| match is_invisible(c) {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    };
    let fit: String = name.chars().take(LONGEST_NAME).map(shown).collect();
    let fit: String = fit.chars().take(LONGEST_NAME).collect();
    (!fit.trim().is_empty()).then_some(fit)
}

pub(crate) fn preconditions_of(parts: &Parts) -> Preconditions {
    Preconditions {
        if_match: tags(&parts.headers, header::IF_MATCH),
        if_none_match: tags(&parts.headers, header::IF_NONE_MATCH),
        is_read: parts.method.is_safe(),
        repeatable: None,
    }
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Tags> {
    let values: Vec<_> = headers.get_all(name).iter().map(bytes_as_text).collect();
    if values.is_empty() {
        None
    } else {
        Some(Tags::read(&values.join(",")))
    }
}

/// A text that is the same for the same bytes only. Tags may hold any bytes beyond ASCII; none of ours does.
fn bytes_as_text(value: &HeaderValue) -> String {
    const BEYOND: u32 = 0x100;
    let letter = |byte: u8| match byte {
        byte if byte.is_ascii() => char::from(byte),
        byte => char::from_u32(BEYOND + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    value.as_bytes().iter().map(|byte| letter(*byte)).collect()
}

impl RequestContext {
    /// What actions work with.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.state.service
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The app that a segment names.
    pub(crate) fn app(&self, segment: &str) -> Result<AppId> {
        id("appId", segment).map_err(Error::from)
    }

    /// The country that a segment names; a word that is none is only called so to somebody who may know the app.
    pub(crate) async fn country(
        &self,
        app: AppId,
        segment: &str,
        permission: Permission,
    ) -> Result<CountryCode> {
        let allow_w1 = self.service().settings.countries.allow_w1;
        let read = CountryCode::parse(segment, allow_w1)
            .map_err(|error| RuleError::invalid("countryCode", format!("{error}.")));
        self.reveal_to_permitted(app, permission, read).await
    }

    /// The key of one of an app's rows that a segment spells, with the same care.
    pub(crate) async fn key<T: FromStr>(
        &self,
        app: AppId,
        (name, segment): (&str, &str),
        permission: Permission,
    ) -> Result<T>
    where
        T::Err: std::fmt::Display,
    {
        self.reveal_to_permitted(app, permission, id(name, segment)).await
    }

    /// What was understood; what is wrong with it is only said to somebody who may do this kind of thing.
    pub(crate) async fn reveal_to_permitted<T, E: Into<Error>>(
        &self,
        app: AppId,
        permission: Permission,
        read: Result<T, E>,
    ) -> Result<T> {
        match read.map_err(Into::into) {
            Err(Error::Rule(problem)) => {
                Err(
                    access::reveal_to_permitted(self.service(), &self.principal, app, permission, problem)
                        .await,
                )
            }
            other => other,
        }
    }
}

/// A key that a segment of the address spells.
pub(crate) fn id<T: FromStr>(name: &str, segment: &str) -> Result<T, RuleError>
where
    T::Err: std::fmt::Display,
{
    segment
        .parse()
        .map_err(|error| RuleError::invalid(name, format!("'{name}' in the address: {error}.")))
}

/// An operator of the service.
pub(crate) struct OperatorContext(pub(crate) RequestContext);

impl FromRequestParts<Arc<AppState>> for OperatorContext {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self> {
        let context = RequestContext::through(Door::Operator, parts, state).await?;
        access::require_operator(&state.operators, &context.principal)?;
        Ok(Self(context))
    }
}

/// An agent, and the request around what it asks.
pub(crate) struct AgentContext {
    pub(crate) state: Arc<AppState>,
    pub(crate) caller: AgentCaller,
    pub(crate) info: Arc<RequestInfo>,
    pub(crate) preconditions: Preconditions,
    pub(crate) headers: HeaderMap,
    pub(crate) exchange: Arc<Exchange>,
}

impl AgentContext {
    /// What actions work with.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.state.service
    }
}

impl FromRequestParts<Arc<AppState>> for AgentContext {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self> {
        let (info, authorization) = begin(parts)?;
        let credential = state.authenticator.authenticate_agent(authorization).await?;
        let call = AgentCall {
            credential: shown(credential),
            session_id: session_of(&parts.headers)?,
            software: software_of(&parts.headers),
            is_ready: readiness_of(&parts.headers)?,
            arrival: info.arrival(),
        };
        let caller = match agents::sign_in(&state.service, call).await? {
            SignIn::Agent(caller) => *caller,
            SignIn::Unknown => {
                let refused = state
                    .authenticator
                    .refuse(AuthFailure::Malformed, "no agent has the token");
                return Err(refused.into());
            }
            SignIn::Expired => {
                let refused = state
                    .authenticator
                    .refuse(AuthFailure::Expired, "the token of an agent");
                return Err(refused.into());
            }
        };
        let preconditions = preconditions_of(parts);
        if !preconditions.is_read {
            // What agents report and claim has no tag.
            preconditions.check_untagged()?;
        }
        let permit = state.concurrency.enter(Key::Agent(caller.id)).await?;
        let exchange = parts.extensions.get::<Arc<Exchange>>().cloned();
        let exchange = exchange.ok_or_else(|| Error::fault("a request without context"))?;
        exchange.admit(&format!("Agent/{}", caller.id), permit);
        Ok(Self {
            state: Arc::clone(state),
            caller,
            info,
            preconditions,
            headers: parts.headers.clone(),
            exchange,
        })
    }
}

fn shown(credential: AgentCredential) -> Credential {
    match credential {
        AgentCredential::Token(sha256) => Credential::Token(sha256),
        AgentCredential::Identity(caller) => Credential::Identity(Identity {
            tenant: caller.tenant_id,
            client: caller.id,
            object: caller.object_id.unwrap_or(caller.id),
        }),
    }
}

/// The process that calls, as its header says. The nil GUID is what a program has that made none.
fn session_of(headers: &HeaderMap) -> Result<Option<Uuid>, RuleError> {
    let Some(text) = headers.get(SESSION_HEADER).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let session: Uuid = text.trim().parse().map_err(|error| {
        RuleError::invalid(
            SESSION_HEADER,
            format!("'{text}' in the header {SESSION_HEADER}: {error}."),
        )
    })?;
    Ok((!session.is_nil()).then_some(session))
}

/// What a caller calls its software, as far as it fits in a list.
fn software_of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?.trim();
    let text: String = text.chars().take(LONGEST_SOFTWARE).collect();
    (!text.is_empty()).then_some(text)
}

/// Whether nothing keeps an agent from its work, if its header says so.
fn readiness_of(headers: &HeaderMap) -> Result<Option<bool>, RuleError> {
    let Some(said) = headers.get(READY_HEADER) else {
        return Ok(None);
    };
    match said.as_bytes() {
        b"true" => Ok(Some(true)),
        b"false" => Ok(Some(false)),
        _ => {
            let message = format!("The header {READY_HEADER} must be true or false, or be left out.");
            Err(RuleError::invalid(READY_HEADER, message))
        }
    }
}

/// A body of bounded size that arrived in bounded time.
pub(crate) struct SmallBody(pub(crate) Bytes);

impl FromRequest<Arc<AppState>> for SmallBody {
    type Rejection = Error;

    async fn from_request(request: Request, state: &Arc<AppState>) -> Result<Self> {
        let may_add = adds(&request);
        let (parts, body) = request.into_parts();
        let body = decoded(&parts.headers, body)?;
        if may_add {
            state.service.check_room()?;
        }
        let limits = &state.service.settings.limits;
        let time = BodyTime {
            at_first: limits.request_body,
            in_all: limits.request_body,
        };
        read_whole(body, limits.json_body_bytes, time).await.map(Self)
    }
}

/// Whether a request may add to the database. What agents say of their work does not, nor does canceling; and an emergency
/// stop must always be possible.
fn adds(request: &Request) -> bool {
    let info = request.extensions().get::<Arc<RequestInfo>>();
    let path = info.map_or("", |info| info.routed.as_str());
    let is_urgent = path.starts_with("/agent/") || path.contains("/freezes/");
    let may_add = match *request.method() {
        Method::POST | Method::PUT => true,
        Method::PATCH => matches!(path.rsplit('/').nth(1), Some("countries" | "principals")),
        _ => false,
    };
    may_add && !is_urgent
}

/// What an agent reports. There are few of them at a time, and one of each agent, from their first byte until they are
/// done with.
pub(crate) struct InventoryBody {
    pub(crate) bytes: Bytes,
    _place: Place,
}

/// How much longer than another body an inventory may take to arrive: it may be so much larger.
const LONGER: u32 = 10;

impl InventoryBody {
    /// Receives what this agent reports.
    ///
    /// # Errors
    /// `TooManyRequests` while another of its inventories is taken in; `ServiceUnavailable` where there is no place in
    /// time; `RequestTimeout`; `RequestEntityTooLarge`.
    pub(crate) async fn receive(context: &AgentContext, request: Request) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let body = decoded(&parts.headers, body)?;
        let settings = &context.state.service.settings;
        let patience = settings.limits.request_body;
        context.service().check_room()?;
        let place = context
            .state
            .inventories
            .enter(context.caller.id, patience)
            .await?;
        let time = BodyTime {
            at_first: patience,
            in_all: patience * LONGER,
        };
        let bytes = read_whole(body, settings.agents.inventory_body_bytes, time).await?;
        Ok(Self { bytes, _place: place })
    }
}

/// How long a body may take: more, the more of it has come. Whoever sends next to nothing holds a place for little longer
/// than whoever sends nothing.
#[derive(Clone, Copy)]
struct BodyTime {
    at_first: Duration,
    in_all: Duration,
}

impl BodyTime {
    /// How long it may take when so much of the largest body has come.
    fn after(self, received: usize, limit: usize) -> Duration {
        let earned = u128::from(received as u64) * (self.in_all - self.at_first).as_millis();
        let earned = u64::try_from(earned / (limit.max(1) as u128)).unwrap_or(u64::MAX);
        self.at_first + Duration::from_millis(earned)
    }
}

async fn read_whole(mut chunks: Chunks, limit: usize, time: BodyTime) -> Result<Bytes> {
    let begun = tokio::time::Instant::now();
    let mut body = BytesMut::new();
    loop {
        let until = begun + time.after(body.len(), limit);
        let next = tokio::time::timeout_at(until, chunks.next()).await;
        let Some(chunk) = next.map_err(|_| too_slow())? else {
            return Ok(body.freeze());
        };
        let chunk = chunk?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
}

fn too_slow() -> Error {
    RuleError::new(Code::RequestTimeout, "The body took too long to arrive.").into()
}

fn too_large(limit: usize) -> Error {
    let message = format!("The body has more than {limit} bytes.");
    RuleError::new(Code::RequestEntityTooLarge, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_shows_what_nobody_would_see_and_has_an_end() {
        assert_eq!(fit_name("Zoë Brontë").unwrap(), "Zoë Brontë");
        let hostile = "a\u{0}b\r\nc\u{1b}[2J\u{202e}d\u{7f}";
        let shown = "a\\u{0}b\\u{d}\\u{a}c\\u{1b}[2J\\u{202e}d\\u{7f}";
        assert_eq!(fit_name(hostile).unwrap(), shown);
        for long in ["é".repeat(100_000), "\u{202e}".repeat(100_000)] {
            assert_eq!(fit_name(&long).unwrap().chars().count(), LONGEST_NAME);
        }
        assert_eq!(fit_name(" "), None);
    }

    #[test]
    fn a_body_earns_its_time_by_coming() {
        let seconds = Duration::from_secs;
        let time = BodyTime {
            at_first: seconds(30),
            in_all: seconds(300),
        };
        let after = [0, 500, 1000].map(|received| time.after(received, 1000));
        assert_eq!(after, [30, 165, 300].map(seconds));
        assert_eq!(time.after(1, usize::MAX), seconds(30));
    }
}
