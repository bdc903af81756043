//! Agents as their operator makes and sees them.

use super::some_text;
use crate::{
    entity::{Entity, entity},
    lenient::{self, Object},
};
use domain::{
    agent::{AgentScope, AgentState, NamePattern},
    environment::{check_name, family_key},
    ids::{Etag, TenantId},
    instant::Instant,
    problem::{Code, RuleError},
};
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;
use uuid::Uuid;

entity! {
    /// An agent as its operator sees it.
    RegisteredAgent "registeredAgent" keyed by ["name"] tagged by etag {
        /// What its operator calls it.
        #[schema(example = "hosting-eu")]
        name "name": String,
        /// Which environments it may serve.
        scope "scope": Scope,
        /// Whether it also serves environments that belong to no agent when it is registered, and those that the operator
    /// registers later.
        #[serde(default)]
        #[schema(required = true)]
        serves_unreported "servesUnreported": bool,
        /// Whose tokens of Microsoft Entra it may sign in with.
        #[serde(default)]
        identity "identity": Option<Identity>,
        /// Enrolling, Active, Silent or Frozen.
        #[schema(value_type = crate::words::AgentState)]
        state "state": AgentState,
        /// When it was made.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        created_on "createdOn": Option<Instant>,
        /// When it last called, to the minute.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        last_seen_on "lastSeenOn": Option<Instant>,
        /// What it calls its software.
        #[serde(default)]
        software "software": Option<String>,
        /// Whether nothing kept it from its work when it last called, as it said itself; none when it did not say. What is in
        /// the way stands in its log.
        #[serde(default)]
        ready "ready": Option<bool>,
        /// When its token ends.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        token_expires_on "tokenExpiresOn": Option<Instant>,
        /// A code that it can exchange for a token, once. Shown in no other answer than the one that makes it.
        #[serde(default)]
        enrolment_code "enrolmentCode": Option<String>,
        /// When the code ends that it has not used yet.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        enrolment_code_expires_on "enrolmentCodeExpiresOn": Option<Instant>,
        /// Other agents whose scopes overlap with its own: what several may serve is served by the first to report it. Told
        /// in the answer to its registration only.
        #[serde(default)]
        overlaps "overlaps": Option<Vec<String>>,
        /// Since when it gets nothing, because its token was used by somebody else.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        frozen_on "frozenOn": Option<Instant>,
        /// How that was noticed.
        #[serde(default)]
        frozen_reason "frozenReason": Option<String>,
        /// How many environments are bound to it.
        #[serde(default)]
        #[schema(required = true)]
        environments "environments": u32,
        /// How many operations it is carrying out.
        #[serde(default)]
        #[schema(required = true)]
        running "running": u32,
        /// When the first operation in its environments is due; work waits for it where that is past.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        due_on "dueOn": Option<Instant>,
        /// When it last sent a full inventory.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        inventory_on "inventoryOn": Option<Instant>,
        /// A value unique to what is registered of it.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

entity! {
    /// Which environments an agent may serve: those that fit all that is said.
    Scope "agentScope" keyed by [] {
        /// Environments of these tenants; none when it may serve those of all.
        #[serde(default)]
        #[schema(value_type = Option<Vec<uuid::Uuid>>)]
        tenants "tenants": Option<Vec<TenantId>>,
        /// Whether it may serve environments of all tenants.
        #[serde(default)]
        #[schema(required = true)]
        all_tenants "allTenants": bool,
        /// Why it may.
        #[serde(default)]
        reason "reason": Option<String>,
        /// Of these application families; of all when nothing is said.
        #[serde(default)]
        families "families": Option<Vec<String>>,
        /// Whose names fit one of these, `*` standing for any characters; all when nothing is said.
        #[serde(default)]
        #[schema(example = json!(["prod*"]))]
        names "names": Option<Vec<String>>,
    }
}

entity! {
    /// An application of Microsoft Entra whose tokens an agent signs in with.
    Identity "agentIdentity" keyed by [] {
        /// The tenant that issues the tokens.
        tenant_id "tenantId": Uuid,
        /// The client id of the application.
        client_id "clientId": Uuid,
        /// The object id of its service principal in that tenant.
        object_id "objectId": Uuid,
    }
}

/// A request to make an agent, or to replace what is registered of it, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentRegistrationBody {
    /// Which environments it may serve.
    pub scope: ScopeBody,
    /// Whether it also serves environments that belong to no agent when it is registered, and those that the operator
    /// registers later.
    #[schema(required = false, nullable)]
    pub serves_unreported: bool,
    /// Whose tokens of Microsoft Entra it may sign in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityBody>,
}

/// Which environments an agent may serve, as a client sends it: `tenants`, or `allTenants` with a `reason`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScopeBody {
    /// Environments of these tenants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<Uuid>>,
    /// Whether it may serve environments of all tenants.
    #[schema(required = false, nullable)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_tenants: bool,
    /// Why it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of these application families; of all when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub families: Option<Vec<String>>,
    /// Whose names fit one of these, `*` standing for any characters; all when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["prod*"]))]
    pub names: Option<Vec<String>>,
}

/// An application of Microsoft Entra, as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityBody {
    /// The tenant that issues the tokens.
    pub tenant_id: Uuid,
    /// The client id of the application.
    pub client_id: Uuid,
    /// The object id of its service principal in that tenant.
    pub object_id: Uuid,
}

/// A request to make an agent, or to replace what is registered of it, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRegistration {
    /// Which environments it may serve.
    pub scope: AgentScope,
    /// Why it may serve all tenants.
    pub scope_reason: Option<String>,
    /// Whether it also serves environments that belong to no agent when it is registered, and those that the operator
    /// registers later.
    pub serves_unreported: bool,
    /// Whose tokens of Microsoft Entra it may sign in with.
    pub identity: Option<Identity>,
    /// All that was said.
    pub given: Object,
}

impl AgentRegistration {
    /// Reads a request body about the agent called `name`.
    ///
    /// # Errors
    /// `RequestBodyRequired`; `InvalidInput` for missing, malformed and unknown values and for the name of another agent;
    /// `BadArgument` for a scope that names both some tenants and all of them.
    pub fn read(body: &[u8], name: &str) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(RegisteredAgent::PROPERTIES)?;
        object.is_about("agent", "name", &name.to_owned())?;
        let scope = object.object("scope")?.ok_or_else(|| object.required("scope"))?;
        scope.only(Scope::PROPERTIES)?;
        let tenants = read_tenants(&scope)?;
        let scope_reason = match tenants {
            None => Some(some_text(&scope, "reason")?.ok_or_else(|| scope.required("reason"))?),
            Some(_) => None,
        };
        let families =
            scope.understood_list("families", |family| named(family).map(|()| family_key(family)))?;
        let names = scope.understood_list("names", |name| named(name).map(|()| NamePattern::new(name)))?;
        Ok(Self {
            scope: AgentScope {
                tenants,
                families: some(&scope, "families", families)?,
                names: some(&scope, "names", names)?,
            },
            scope_reason,
            serves_unreported: object.flag("servesUnreported")?.unwrap_or(false),
            identity: object
                .object("identity")?
                .as_ref()
                .map(read_identity)
                .transpose()?,
            given: object,
        })
    }
}

impl RegisteredAgent {
    /// Whether everything else that a request says is what the agent is anyway. What changes while it works may be as it
    /// was when it was read.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property.
    pub fn check_read_only(&self, given: &Object) -> Result<(), RuleError> {
        let steady = ["createdOn", "state", "frozenOn", "frozenReason"];
        let others: Vec<_> = Self::PROPERTIES
            .iter()
            .copied()
            .filter(|name| !steady.contains(name))
            .collect();
        given.check_read_only(self, &others)
    }
}

/// Some tenants, or nothing for all of them. An agent of no tenants would serve nothing, and one that serves all is one
/// that somebody wanted to.
fn read_tenants(scope: &Object) -> Result<Option<BTreeSet<TenantId>>, RuleError> {
    let tenants = scope.understood_list("tenants", |text| {
        text.parse()
            .map_err(|error: domain::ids::InvalidGuid| error.to_string())
    })?;
    let are_all = scope.flag("allTenants")?.unwrap_or(false);
    match (some(scope, "tenants", tenants)?, are_all) {
        (Some(tenants), false) => Ok(Some(tenants)),
        (None, true) => Ok(None),
        (None, false) => Err(scope.invalid(
            "tenants",
            "name the tenants whose environments it may serve, or say \"allTenants\": true with a \"reason\"",
        )),
        (Some(_), true) => {
            let message = "An agent may serve either the tenants that are named or all of them: leave out 'tenants' or 'allTenants'.";
            Err(RuleError::new(Code::BadArgument, message).about(scope.place("tenants")))
        }
    }
}

/// A list that holds something, where it is there.
fn some<T: Ord>(scope: &Object, name: &str, list: Option<Vec<T>>) -> Result<Option<BTreeSet<T>>, RuleError> {
    match list {
        Some(list) if list.is_empty() => Err(scope.invalid(name, "the list is empty, so nothing would fit")),
        list => Ok(list.map(|list| list.into_iter().collect())),
    }
}

/// What stands for names is as names are.
fn named(text: &str) -> Result<(), String> {
    check_name("it", text).map_err(|problem| problem.message)
}

fn read_identity(object: &Object) -> Result<Identity, RuleError> {
    object.only(Identity::PROPERTIES)?;
    let id = |name| {
        object
            .parsed::<TenantId>(name)?
            .ok_or_else(|| object.required(name))
    };
    Ok(Identity {
        tenant_id: id("tenantId")?.0,
        client_id: id("clientId")?.0,
        object_id: id("objectId")?.0,
    })
}

/// A request for a new enrolment code, as a client sends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationBody {
    /// Whether the token that the agent has dies at once, and not only when the code is used.
    #[schema(required = false, nullable)]
    pub revoke: bool,
}

impl RotationBody {
    /// Reads a request body, which may be left out.
    ///
    /// # Errors
    /// `InvalidInput` for what is no JSON object or malformed.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let object = lenient::object(body)?;
        object.only(&["revoke"])?;
        Ok(Self {
            revoke: object.flag("revoke")?.unwrap_or(false),
        })
    }
}

/// Whose an environment is to be, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RebindingBody {
    /// The name of the agent; `null` for none.
    pub agent: Option<String>,
}

impl RebindingBody {
    /// Reads a request body, which has to say `null` to mean none.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` for a missing or malformed value.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(&["agent"])?;
        if !object.mentions("agent") {
            return Err(object.required("agent"));
        }
        Ok(Self {
            agent: some_text(&object, "agent")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = r#"{
        "scope": {"tenants": ["aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"], "families": ["Business Central"], "names": ["Prod*"]},
        "servesUnreported": true,
        "identity": {"tenantId": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb", "clientId": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
                     "objectId": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"}
    }"#;

    #[test]
    fn an_agent_is_read_with_its_scope_in_the_form_that_is_compared() {
        let read = AgentRegistration::read(AGENT.as_bytes(), "eu").unwrap();
        assert_eq!(
            read.scope.families.unwrap(),
            ["businesscentral".to_owned()].into()
        );
        assert_eq!(read.scope.names.unwrap(), [NamePattern::new("prod*")].into());
        assert!(read.serves_unreported && read.identity.is_some() && read.scope_reason.is_none());

        let all = r#"{"scope": {"allTenants": true, "reason": "One hoster, one agent"}}"#;
        let read = AgentRegistration::read(all.as_bytes(), "eu").unwrap();
        assert_eq!(
            (read.scope, read.scope_reason.as_deref()),
            (AgentScope::default(), Some("One hoster, one agent"))
        );
    }

    #[test]
    fn what_is_wrong_with_an_agent_is_named_by_its_place() {
        let tenants = r#""tenants": ["aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"]"#;
        for (from, to, target) in [
            ("\"scope\"", "\"scop\"", "scop"),
            ("\"scope\"", "\"@scope\"", "@scope"),
            ("\"scope\"", "\"name\": \"us\", \"scope\"", "name"),
            ("\"names\"", "\"name\"", "scope.name"),
            (tenants, "\"tenants\": []", "scope.tenants"),
            (tenants, "\"tenants\": [\"contoso\"]", "scope.tenants"),
            (tenants, "\"tenants\": null", "scope.tenants"),
            (tenants, "\"allTenants\": true", "scope.reason"),
            (
                tenants,
                &format!("{tenants}, \"allTenants\": true"),
                "scope.tenants",
            ),
            ("\"Prod*\"", "\" \"", "scope.names"),
            ("\"Prod*\"", "", "scope.names"),
            ("\"Prod*\"", "\"Prod\u{202E}*\"", "scope.names"),
            (
                "\"Business Central\"",
                "\"Business\u{200B}Central\"",
                "scope.families",
            ),
            ("\"Business Central\"", "7", "scope.families"),
            ("\"clientId\"", "\"client\"", "identity.client"),
            ("\"clientId\"", "\"@clientId\"", "identity.@clientId"),
        ] {
            let body = AGENT.replace(from, to);
            assert_ne!(body, AGENT);
            let error = AgentRegistration::read(body.as_bytes(), "eu").unwrap_err();
            assert_eq!(error.target.as_deref(), Some(target), "{body}");
        }
    }

    #[test]
    fn nothing_is_rebound_by_what_was_left_out() {
        assert_eq!(RebindingBody::read(br#"{"agent": null}"#).unwrap().agent, None);
        assert_eq!(
            RebindingBody::read(br#"{"agents": "eu"}"#)
                .unwrap_err()
                .target
                .as_deref(),
            Some("agents")
        );
        assert_eq!(
            RebindingBody::read(b"{}").unwrap_err().target.as_deref(),
            Some("agent")
        );
        assert!(RotationBody::read(br#"{"revok": true}"#).is_err());
        assert!(!RotationBody::read(b" ").unwrap().revoke);
        assert!(RotationBody::read(br#"{"revoke": true}"#).unwrap().revoke);
    }
}
