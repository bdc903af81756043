//! From the text of a bearer token to a caller, in the order in which the checks must happen: form, issuer,
//! key and signature, times, audience, and only then who it is.
//!
//! Nothing that a token says about itself decides how it is checked, except which of the configured issuers
//! it claims to be from.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use uuid::{Uuid, uuid};

use super::caller::{ApplicationMatch, Caller, CallerKind, CustomerCaller, Delegated};
use super::error::{AuthFailure, Refusal};
use super::trusted::{EntraVersion, OidcIssuer, TrustedIssuer};
use super::{ADMINISTRATOR_ROLE, AGENT_ROLE};

/// Longest token that is looked at, bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Longest key id that is looked at.
pub(super) const LONGEST_KID: usize = 256;

/// How Keycloak begins the name of the account that it makes for a client.
const SERVICE_ACCOUNT: &str = "service-account-";

/// The directory roles that administer environments: Dynamics 365 Administrator, and Dynamics 365 Business Central
/// Administrator.
const ADMINISTRATORS: [Uuid; 2] = [
    uuid!("44367163-eba1-44c3-98af-f5787879f96a"),
    uuid!("963797fb-eb3b-4cde-8ce3-5878b3f32a3f"),
];

/// What stands among the roles of somebody whom a customer has granted administration from the tenant of a partner.
const DELEGATION: Uuid = uuid!("08372b87-7d02-482a-9e02-fb03ea5fe193");

/// By how many seconds our clock and the issuer's may differ.
pub(super) const LEEWAY: i64 = 300;

/// A token that is well-formed and signed with an algorithm that is allowed. Nothing in it is proven.
pub(super) struct UnverifiedToken<'a> {
    /// The first two segments: what the signature covers.
    pub message: &'a str,
    /// The third segment.
    pub signature: &'a str,
    /// Which key is said to have signed.
    pub kid: String,
    pub claims: Claims,
}

impl<'a> UnverifiedToken<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::malformed("longer than 16 KiB"));
        }
        let not_three = || Refusal::malformed("not three segments");
        let (message, signature) = token.rsplit_once('.').ok_or_else(not_three)?;
        let (header, payload) = message.split_once('.').ok_or_else(not_three)?;
        if payload.contains('.') {
            return Err(not_three());
        }
        let header = json_object(header).ok_or(Refusal::malformed("the header is not JSON in base64url"))?;
        let kid = checked_header(&header)?;
        let claims =
            json_object(payload).ok_or(Refusal::malformed("the payload is not JSON in base64url"))?;
        Ok(Self {
            message,
            signature,
            kid,
            claims: Claims(claims),
        })
    }
}

fn json_object(segment: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).ok()?).ok()
}

/// What tokens for access call themselves, where they do (RFC 9068): what an issuer signs besides, it calls otherwise.
const KINDS: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// Allows RS256 only, whatever the token would like, and answers the key id.
fn checked_header(header: &Map<String, Value>) -> Result<String, Refusal> {
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(Refusal::malformed("the algorithm is not RS256"));
    }
    let kind = header
        .get("typ")
        .map(|kind| kind.as_str().unwrap_or_default().to_ascii_lowercase());
    if kind.is_some_and(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(Refusal::malformed("its `typ` is of something else than access"));
    }
    if header.contains_key("crit") {
        return Err(Refusal::malformed("the header has critical extensions"));
    }
    let kid = header.get("kid").and_then(Value::as_str).unwrap_or_default();
    if kid.is_empty() || kid.len() > LONGEST_KID {
        return Err(Refusal::malformed("the header names no key"));
    }
    Ok(kid.to_owned())
}

/// What a token says.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(super) fn guid(&self, name: &str) -> Option<Uuid> {
        parse_guid(self.text(name)?)
    }

    /// Whether it is said to be true, as a text or not; whatever else stands there says that it is not.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let is_true = |said: &Value| said.as_bool() == Some(true) || said.as_str() == Some("true");
        self.0.get(name).map(is_true)
    }

    /// Seconds since 1970, those that are out of range as the last within it. A text is no time, however it looks.
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    pub(super) fn seconds(&self, name: &str) -> Option<i64> {
        let number = self.0.get(name)?.as_number()?;
        number
            .as_i64()
            .or_else(|| number.as_f64().map(|seconds| seconds as i64))
    }

    /// Blank-separated text or a list of texts.
    fn words(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            Some(Value::String(text)) => text.split_whitespace().collect(),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The directory roles of a user.
    fn directory_roles(&self) -> Vec<Uuid> {
        self.words("wids").into_iter().filter_map(parse_guid).collect()
    }

    fn administers(&self) -> bool {
        let mut roles = self.directory_roles().into_iter();
        roles.any(|role| ADMINISTRATORS.contains(&role))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Refuses a token whose times do not include `now`.
    pub(super) fn check_times(&self, now: i64) -> Result<(), Refusal> {
        let expires = self
            .seconds("exp")
            .ok_or(Refusal::malformed("`exp` is missing or no number"))?;
        if expires.saturating_add(LEEWAY) < now {
            return Err(Refusal::new(AuthFailure::Expired, "`exp` is past"));
        }
        if !self.has("nbf") {
            return Ok(());
        }
        let starts = self
            .seconds("nbf")
            .ok_or(Refusal::malformed("`nbf` is no number"))?;
        if starts.saturating_sub(LEEWAY) > now {
            return Err(Refusal::new(AuthFailure::Expired, "`nbf` is yet to come"));
        }
        Ok(())
    }

    /// Refuses a token that is meant for somebody else. `audiences` are in normal form.
    pub(super) fn check_audience(&self, audiences: &[String]) -> Result<(), Refusal> {
        let named = match self.0.get("aud") {
            Some(Value::String(audience)) => vec![audience.as_str()],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => return Err(Refusal::new(AuthFailure::Audience, "`aud` is missing")),
        };
        let is_ours = |audience: &&str| audiences.contains(&normal_audience(audience));
        if named.iter().any(is_ours) {
            return Ok(());
        }
        let detail = format!(
            "`aud` is {}, and the audiences of its issuer are {}",
            listed(named),
            listed(audiences.iter().map(String::as_str))
        );
        Err(Refusal::new(AuthFailure::Audience, detail))
    }
}

/// Texts on one line, as many and as long as fit there.
fn listed<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    const LONGEST: usize = 200;
    let quoted = texts.into_iter().take(MOST).map(|text| {
        let text: String = text.chars().take(LONGEST).collect();
        format!("'{}'", text.escape_debug())
    });
    quoted.collect::<Vec<_>>().join(", ")
}

/// A GUID in its usual spelling with hyphens, and in no other.
pub(super) fn parse_guid(text: &str) -> Option<Uuid> {
    const HYPHENATED: usize = 36;
    if text.len() != HYPHENATED {
        return None;
    }
    Uuid::try_parse(text).ok()
}

/// One spelling for audiences that mean the same: without one slash at the end, GUIDs in lower case, scheme
/// and host of a URI in lower case.
pub(super) fn normal_audience(audience: &str) -> String {
    let plain = audience.strip_suffix('/').unwrap_or(audience);
    if let Some(id) = parse_guid(plain) {
        return id.to_string();
    }
    let Some((scheme, rest)) = plain.split_once("://") else {
        return plain.to_owned();
    };
    let path_at = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(path_at);
    format!(
        "{}://{}{path}",
        scheme.to_ascii_lowercase(),
        host.to_ascii_lowercase()
    )
}

/// What the versions call their claims.
impl EntraVersion {
    pub(super) fn of(claims: &Claims) -> Option<Self> {
        match claims.text("ver")? {
            "1.0" => Some(Self::V1),
            "2.0" => Some(Self::V2),
            _ => None,
        }
    }

    fn client_claim(self) -> &'static str {
        match self {
            Self::V1 => "appid",
            Self::V2 => "azp",
        }
    }

    /// A name to show, the best that there is.
    fn name_in(self, claims: &Claims) -> Option<&str> {
        let more = match self {
            Self::V1 => "unique_name",
            Self::V2 => "preferred_username",
        };
        claims.text("name").or_else(|| claims.text(more))
    }
}

/// What a user signs in with, which most often is an address of theirs.
fn address_in(claims: &Claims) -> Option<String> {
    let named = ["preferred_username", "upn", "unique_name"];
    let mut addresses = named.into_iter().filter_map(|claim| claims.text(claim));
    addresses.next().map(str::to_owned)
}

/// Who an Entra token speaks for; all other checks have passed.
pub(super) fn entra_caller(
    claims: &Claims,
    version: EntraVersion,
    tenant: Uuid,
    issuer: &TrustedIssuer,
) -> Result<CustomerCaller, Refusal> {
    let idtyp = claims.text("idtyp");
    if idtyp == Some("device") {
        return Err(Refusal::new(
            AuthFailure::InsufficientScope,
            "a token of a device",
        ));
    }
    let is_delegation = claims.directory_roles().contains(&DELEGATION);
    if is_delegation || !claims.has("oid") {
        return delegated(claims, version, tenant, issuer)
            .map(|caller| CustomerCaller::Delegated(Arc::new(caller)));
    }
    let object_id = claims.guid("oid").ok_or(Refusal::malformed("`oid` is no GUID"))?;
    if claims.has("scp") {
        if idtyp == Some("app") {
            return Err(Refusal::malformed("an app-only token with delegated permissions"));
        }
        require_scope(claims, "scp", issuer)?;
        let caller = Caller {
            is_administrator: claims.administers(),
            address: address_in(claims),
            ..user(tenant, object_id, version.name_in(claims), issuer.match_by)
        };
        return Ok(CustomerCaller::Own(Arc::new(caller)));
    }
    application(claims, version, (tenant, object_id), issuer)
        .map(|caller| CustomerCaller::Own(Arc::new(caller)))
}

/// Somebody of a partner. Which one is said by `idp`, and by `aai` together with their object id there; where both say it,
/// they say the same, or nothing of it is believed.
fn delegated(
    claims: &Claims,
    version: EntraVersion,
    tenant: Uuid,
    issuer: &TrustedIssuer,
) -> Result<Delegated, Refusal> {
    if !claims.has("scp") || claims.text("idtyp") == Some("app") {
        return Err(Refusal::malformed("`oid` is missing"));
    }
    require_scope(claims, "scp", issuer)?;
    let partner = claims.text("idp").and_then(|idp| issuer.tenant_named_by(idp));
    let partner = partner.ok_or(Refusal::malformed(
        "`oid` is missing, and `idp` is no tenant's issuer",
    ))?;
    let acting = match claims.text("aai") {
        Some(text) => {
            Some(acting_identity(text).ok_or(Refusal::malformed("`aai` names no tenant and object"))?)
        }
        None if claims.has("aai") => return Err(Refusal::malformed("`aai` is no text")),
        None => None,
    };
    if acting.is_some_and(|(tenant, _)| tenant != partner) {
        return Err(Refusal::malformed("`aai` and `idp` name different tenants"));
    }
    if partner == tenant {
        return Err(Refusal::malformed("a delegation within one tenant"));
    }
    Ok(Delegated {
        tenant_id: tenant,
        partner_tenant_id: partner,
        partner_object_id: acting.map(|(_, object)| object),
        name: version.name_in(claims).map(str::to_owned),
        is_administrator: claims.administers(),
    })
}

/// `tenant: GUID, object: GUID`
fn acting_identity(text: &str) -> Option<(Uuid, Uuid)> {
    let (tenant, object) = text.split_once(',')?;
    let part = |text: &str, name: &str| {
        let (given, id) = text.trim().split_once(':')?;
        given.eq_ignore_ascii_case(name).then(|| parse_guid(id.trim()))?
    };
    Some((part(tenant, "tenant")?, part(object, "object")?))
}

fn application(
    claims: &Claims,
    version: EntraVersion,
    (tenant, object_id): (Uuid, Uuid),
    issuer: &TrustedIssuer,
) -> Result<Caller, Refusal> {
    let idtyp = claims.text("idtyp");
    let has_client = claims.has(version.client_claim());
    let looks_app_only = idtyp.is_none() && claims.text("oid") == claims.text("sub") && has_client;
    if idtyp != Some("app") && !looks_app_only {
        return Err(Refusal::new(
            AuthFailure::InsufficientScope,
            "a user's token without `scp`",
        ));
    }
    let no_client = Refusal::malformed("the client claim is missing or no GUID");
    let client_id = claims.guid(version.client_claim()).ok_or(no_client)?;
    Ok(Caller {
        kind: CallerKind::Application,
        tenant_id: tenant,
        id: client_id,
        object_id: Some(object_id),
        name: claims.text("app_displayname").map(str::to_owned),
        address: None,
        is_agent: claims.words("roles").contains(&AGENT_ROLE),
        is_administrator: claims.words("roles").contains(&ADMINISTRATOR_ROLE),
        match_by: issuer.match_by,
        bound_to: issuer.binding_of(tenant),
    })
}

/// Who a token of any other issuer speaks for; all other checks have passed.
///
/// Such an issuer's administrator chooses ids freely. They are hashed together with the issuer's name, so that
/// nobody there can call a client by the GUID of somebody at Entra.
pub(super) fn oidc_caller(
    claims: &Claims,
    oidc: &OidcIssuer,
    issuer: &TrustedIssuer,
) -> Result<Caller, Refusal> {
    let idtyp = claims.text("idtyp");
    if idtyp == Some("device") {
        return Err(Refusal::new(
            AuthFailure::InsufficientScope,
            "a token of a device",
        ));
    }
    let object = non_empty(claims, &oidc.object_claim)?;
    let client = claims
        .text(&oidc.client_claim)
        .filter(|client| !client.is_empty());
    let is_application =
        idtyp == Some("app") || client == Some(object) || is_service_account(claims, oidc, client);
    if !is_application {
        require_scope(claims, &oidc.scope_claim, issuer)?;
        let name = claims.text("name").or_else(|| claims.text("preferred_username"));
        return Ok(Caller {
            address: address_in(claims),
            ..user(oidc.tenant, oidc_id(&oidc.issuer, object), name, issuer.match_by)
        });
    }
    let client = non_empty(claims, &oidc.client_claim)?;
    Ok(Caller {
        kind: CallerKind::Application,
        tenant_id: oidc.tenant,
        id: oidc_id(&oidc.issuer, client),
        object_id: Some(oidc_id(&oidc.issuer, object)),
        name: Some(client.to_owned()),
        address: None,
        is_agent: false,
        is_administrator: false,
        match_by: issuer.match_by,
        bound_to: issuer.binding_of(oidc.tenant),
    })
}

/// Whether the token is marked as an application's, and its subject is the account that the issuer made for the client.
/// The mark alone proves nothing: tokens of users may carry such a claim as well.
fn is_service_account(claims: &Claims, oidc: &OidcIssuer, client: Option<&str>) -> bool {
    let (Some(mark), Some(account), Some(client)) = (&oidc.application_claim, &oidc.account_claim, client)
    else {
        return false;
    };
    let account = claims
        .text(account)
        .and_then(|name| name.strip_prefix(SERVICE_ACCOUNT));
    claims.has(mark) && account.is_some_and(|account| account == client.to_lowercase())
}

/// The id of a principal of an issuer that is not Entra: version 5 over the claim, in a namespace that is
/// version 5 over the issuer's URL. Operators need it to write principals down before they first call.
pub fn oidc_id(issuer: &str, claim: &str) -> Uuid {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, issuer.as_bytes());
    Uuid::new_v5(&namespace, claim.as_bytes())
}

fn non_empty<'a>(claims: &'a Claims, name: &str) -> Result<&'a str, Refusal> {
    let text = claims.text(name).filter(|text| !text.is_empty());
    text.ok_or(Refusal::malformed("the object or client claim is missing"))
}

fn require_scope(claims: &Claims, claim: &str, issuer: &TrustedIssuer) -> Result<(), Refusal> {
    let has_it = claims.words(claim).contains(&issuer.required_scope.as_str());
    has_it.then_some(()).ok_or(Refusal::new(
        AuthFailure::InsufficientScope,
        "the required scope is missing",
    ))
}

fn user(tenant: Uuid, object_id: Uuid, name: Option<&str>, match_by: ApplicationMatch) -> Caller {
    Caller {
        kind: CallerKind::User,
        tenant_id: tenant,
        id: object_id,
        object_id: None,
        name: name.map(str::to_owned),
        address: None,
        is_agent: false,
        is_administrator: false,
        match_by,
        bound_to: None,
    }
}
