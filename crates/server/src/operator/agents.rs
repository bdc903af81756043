//! `/operator/v1/agents`: who carries operations out, within which scope, and how they are.

use super::environments::EnvironmentPath;
use crate::{
    actions::{
        agents::{self, RegisterAgent, Saved},
        listing::{self, ListScope},
    },
    error::Result,
    http::{
        answer::insert,
        extract::{OperatorContext, RequestContext, SmallBody},
        lists,
        options::ListQuery,
        repeat::KeyHeader,
    },
    wire_rows,
};
use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{agent::Identity, environment::check_name};
use wire::{
    ErrorBody, List,
    operator::{
        AgentRegistration, AgentRegistrationBody, RebindingBody, RegisteredAgent, RegisteredEnvironment,
        RotationBody,
    },
};

/// Lists all agents.
#[utoipa::path(get, path = "/agents", tag = "operator", params(ListQuery),
    responses((status = 200, body = List<RegisteredAgent>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_agents(OperatorContext(context): OperatorContext) -> Result<Response> {
    let now = context.service().clock.now();
    let shown = move |agent| wire_rows::registered_agent(agent, now);
    let list = (&*listing::AGENTS, "agents");
    lists::list_scope(&context, ListScope::Everything, list, shown).await
}

/// Gets one agent.
#[utoipa::path(get, path = "/agents/{name}", tag = "operator", params(("name" = String, Path)),
    responses((status = 200, body = RegisteredAgent), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_agent(
    Path(name): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let agent = agents::get_agent(context.service(), &name).await?;
    let now = context.service().clock.now();
    context.found(&wire_rows::registered_agent(agent, now)?, "agents")
}

/// Makes an agent, with an enrolment code that is shown this once, or replaces what is registered of one.
///
/// An agent that has an identity of Microsoft Entra gets no code: it signs in with tokens for this service, of an
/// application with the role `Fame.Agent`.
#[utoipa::path(put, path = "/agents/{name}", tag = "operator", params(("name" = String, Path),
        KeyHeader),
    request_body = AgentRegistrationBody,
    responses((status = 200, body = RegisteredAgent), (status = 201, body = RegisteredAgent),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn put_agent(
    Path(name): Path<String>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    check_name("name", &name)?;
    context.check_look::<RegisteredAgent>()?;
    let command = command_of(AgentRegistration::read(&body, &name)?);
    let conditions = context.conditions(&body)?;
    let saved = agents::put_agent(context.service(), &context.principal, name, command, conditions).await?;
    let status = match saved.is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let mut response = shown_once(&context, saved)?;
    *response.status_mut() = status;
    Ok(response)
}

fn command_of(registration: AgentRegistration) -> RegisterAgent {
    RegisterAgent {
        scope: registration.scope,
        scope_reason: registration.scope_reason,
        serves_unreported: registration.serves_unreported,
        identity: registration.identity.map(|identity| Identity {
            tenant: identity.tenant_id,
            client: identity.client_id,
            object: identity.object_id,
        }),
        given: registration.given,
    }
}

fn shown_once(context: &RequestContext, saved: Saved) -> Result<Response> {
    let now = context.service().clock.now();
    let agent = RegisteredAgent {
        enrolment_code: saved.code.map(|code| code.text().to_owned()),
        overlaps: saved.overlaps,
        ..wire_rows::registered_agent(saved.agent, now)?
    };
    let mut response = context.entity(&agent, "agents")?;
    insert(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    Ok(response)
}

/// Removes an agent. It can do nothing any more, and its environments are bound to nobody.
#[utoipa::path(delete, path = "/agents/{name}", tag = "operator", params(("name" = String, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_agent(
    Path(name): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let conditions = context.preconditions.clone();
    agents::delete_agent(context.service(), &context.principal, name, conditions).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Makes a new enrolment code for an agent, shown this once; whoever uses it takes over from whoever has the token now.
#[utoipa::path(post, path = "/agents/{name}/rotate", tag = "operator", params(("name" = String, Path)),
    request_body = Option<RotationBody>,
    responses((status = 200, body = RegisteredAgent), (status = "default", body = ErrorBody)))]
pub(crate) async fn rotate_agent(
    Path(name): Path<String>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    context.check_look::<RegisteredAgent>()?;
    let RotationBody { revoke } = RotationBody::read(&body)?;
    let conditions = context.preconditions.clone();
    let saved = agents::rotate_agent(context.service(), &context.principal, name, revoke, conditions).await?;
    shown_once(&context, saved)
}

/// Says whose an environment is: an agent's whose scope covers it, or nobody's.
#[utoipa::path(post, path = "/environments/{aadTenantId}/{applicationFamily}/{name}/rebind", tag = "operator",
    params(("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path), ("name" = String, Path)),
    request_body = RebindingBody,
    responses((status = 200, body = RegisteredEnvironment), (status = "default", body = ErrorBody)))]
pub(crate) async fn rebind_environment(
    Path(path): Path<(String, String, String)>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let key = EnvironmentPath::read(path)?.key();
    context.check_look::<RegisteredEnvironment>()?;
    let RebindingBody { agent } = RebindingBody::read(&body)?;
    let conditions = context.preconditions.clone();
    let rebound =
        agents::rebind_environment(context.service(), &context.principal, key, agent, conditions).await?;
    super::environments::registered(&context, rebound)
}
