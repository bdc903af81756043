//! What handlers get instead of a raw request: who asks, under which conditions, and a body of bounded size.

use super::{answer::Frame, context::Context, refused_body};
use crate::{
    actions::{
        Asker, Service, access,
        preconditions::{Preconditions, Tags},
    },
    auth::{Authenticator, Caller, CallerKind},
    config::Operator,
    error::{Error, Result},
    http::fairness::{Fairness, UntilSent},
    store::principals::Who,
};
use axum::{
    body::BodyDataStream,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use domain::{
    access::Permission,
    country::CountryCode,
    ids::{AppId, PrincipalId, TenantId},
    principal::PrincipalKind,
    problem::{Code, RuleError},
};
use futures::StreamExt;
use std::{str::FromStr, sync::Arc};

/// What all doors share.
pub(crate) struct Door {
    pub(crate) service: Arc<Service>,
    pub(crate) authenticator: Authenticator,
    pub(crate) operators: Vec<Operator>,
    pub(crate) fairness: Fairness,
}

/// Somebody with a valid token, and the request around what he asks.
pub(crate) struct Asking {
    pub(crate) asker: Asker,
    pub(crate) context: Context,
    pub(crate) preconditions: Preconditions,
    pub(crate) headers: HeaderMap,
}

impl FromRequestParts<Arc<Door>> for Asking {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<Door>) -> Result<Self> {
        let context = parts.extensions.get::<Context>().cloned();
        let context = context.ok_or_else(|| Error::fault("a request without context"))?;
        let authorization = parts
            .headers
            .get(header::AUTHORIZATION)
            .map(|value| value.to_str().unwrap_or(""));
        let caller = door.authenticator.authenticate(authorization).await?;
        if context.path.contains("%00") {
            let message = "The address holds the character U+0000, which is part of no name.";
            return Err(RuleError::new(Code::InvalidInput, message).into());
        }
        let asker = asker_of(&caller, &context);
        let place = door.fairness.enter(&asker).await?;
        let until_sent = parts.extensions.get::<UntilSent>();
        until_sent
            .ok_or_else(|| Error::fault("a request without context"))?
            .keep(place);
        Ok(Self {
            asker,
            context,
            preconditions: preconditions_of(&parts.headers),
            headers: parts.headers.clone(),
        })
    }
}

fn asker_of(caller: &Caller, context: &Context) -> Asker {
    let kind = match caller.kind {
        CallerKind::User => PrincipalKind::User,
        CallerKind::Application => PrincipalKind::Application,
    };
    let mut ids = caller.principal_ids().map(|(id, _)| id);
    let first = ids.next().unwrap_or(caller.id);
    let second = match kind {
        PrincipalKind::User => caller.tenant_id,
        PrincipalKind::Application => ids.next().unwrap_or(first),
    };
    Asker {
        kind,
        id: PrincipalId(caller.id),
        tenant_id: TenantId(caller.tenant_id),
        who: Who { kind, first, second },
        name: caller.name.clone(),
        correlation_id: context.correlation_id,
    }
}

fn preconditions_of(headers: &HeaderMap) -> Preconditions {
    Preconditions {
        if_match: tags(headers, header::IF_MATCH),
        if_none_match: tags(headers, header::IF_NONE_MATCH),
    }
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Tags> {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    if values.is_empty() {
        None
    } else {
        Some(Tags::read(&values.join(",")))
    }
}

impl Asking {
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
        door: &Door,
        app: AppId,
        segment: &str,
        permission: Permission,
    ) -> Result<CountryCode> {
        let allow_w1 = door.service.settings.countries.allow_w1;
        let read = CountryCode::parse(segment, allow_w1)
            .map_err(|error| RuleError::invalid("countryCode", format!("{error}.")));
        self.understood(door, app, permission, read).await
    }

    /// What was understood; what is wrong with it is only said to somebody who may do this kind of thing.
    pub(crate) async fn understood<T>(
        &self,
        door: &Door,
        app: AppId,
        permission: Permission,
        read: Result<T, RuleError>,
    ) -> Result<T> {
        match read {
            Ok(value) => Ok(value),
            Err(problem) => Err(access::refuse(&door.service, &self.asker, app, permission, problem).await),
        }
    }
}

impl Asking {
    /// Makes sure, before anything is changed, that the answer can be given as it is asked for.
    pub(crate) async fn expect_entity<E: wire::Entity>(
        &self,
        door: &Door,
        app: AppId,
        permission: Permission,
    ) -> Result<()> {
        match Frame::new(door, self).check::<E>() {
            Err(Error::Rule(problem)) => {
                Err(access::refuse(&door.service, &self.asker, app, permission, problem).await)
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
pub(crate) struct Operating(pub(crate) Asking);

impl FromRequestParts<Arc<Door>> for Operating {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<Door>) -> Result<Self> {
        let asking = Asking::from_request_parts(parts, door).await?;
        if door
            .operators
            .iter()
            .any(|operator| is_meant(operator, &asking.asker))
        {
            return Ok(Self(asking));
        }
        let Asker { kind, id, .. } = &asking.asker;
        let message = format!("This door is for the operators of the service. {kind} {id} is none.");
        Err(RuleError::new(Code::Forbidden, message).into())
    }
}

fn is_meant(operator: &Operator, asker: &Asker) -> bool {
    let Who { kind, first, second } = asker.who;
    operator.kind == kind
        && match kind {
            PrincipalKind::User => operator.id == first && operator.tenant_id == Some(second),
            PrincipalKind::Application => operator.id == first || operator.id == second,
        }
}

/// A body of bounded size that arrived in bounded time.
pub(crate) struct SmallBody(pub(crate) Bytes);

impl FromRequest<Arc<Door>> for SmallBody {
    type Rejection = Error;

    async fn from_request(request: Request, door: &Arc<Door>) -> Result<Self> {
        let limits = &door.service.settings.limits;
        let mut pieces = request.into_body().into_data_stream();
        let reading = read_whole(&mut pieces, limits.json_body_bytes);
        let read = tokio::time::timeout(limits.request_body, reading)
            .await
            .unwrap_or_else(|_| Err(too_slow()));
        if read.is_err() {
            refused_body::forget(pieces);
        }
        read.map(Self)
    }
}

async fn read_whole(pieces: &mut BodyDataStream, most: usize) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            RuleError::invalid("body", format!("The body ended before its end: {error}."))
        })?;
        if body.len() + piece.len() > most {
            return Err(too_large(most));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

fn too_slow() -> Error {
    RuleError::new(Code::RequestTimeout, "The body took too long to arrive.").into()
}

fn too_large(most: usize) -> Error {
    let message = format!("The body has more than {most} bytes.");
    RuleError::new(Code::RequestEntityTooLarge, message).into()
}
