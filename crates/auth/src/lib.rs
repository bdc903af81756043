//! Who is calling: bearer tokens of Microsoft Entra, or of another configured OpenID Connect issuer.
//!
//! This is the only room that reads tokens. It answers with a [`Caller`] or an [`AuthError`]; what the caller
//! may do is none of its business. Tokens are never logged, stored or repeated.
//!
//! | file | what for |
//! |---|---|
//! | `settings` | which issuers are trusted, as configured, and all that can be wrong with that |
//! | `trusted` | the same once it is checked |
//! | `token` | the checks, in their order, and the way from claims to a caller |
//! | `keys` | the issuers' keys: where from, how often, how long |
//! | `verified` | tokens that were verified a moment ago |
//! | `caller` | the caller, and which principal rows mean it |
//! | `own` | tokens that the service gives out itself, to agents and to runs of pipelines |
//! | `pipelines` | tokens of pipelines' issuers, which are exchanged for one of those |
//! | `error` | refusals and their `WWW-Authenticate` |

mod caller;
mod error;
mod keys;
mod own;
mod pipelines;
mod settings;
#[cfg(test)]
mod tests;
mod token;
mod trusted;
mod verified;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::chain::Chain;
use futures::{StreamExt, future, stream};
use uuid::Uuid;

pub use caller::{ApplicationMatch, Caller, CallerKind, CustomerCaller, Delegated, Door, MatchedBy};
pub use error::{AuthError, AuthFailure};
pub use own::{NoOwnToken, NoRandomness, OwnToken, OwnTokenKind};
pub use pipelines::{PipelineIssuerSettings, PipelineProvider, ProvenPipeline};
pub use settings::{
    ApplicationSettings, AudiencePreset, AuthSettings, EntraSettings, IssuerSettings, OidcSettings,
    SettingsProblem, TenantSetting,
};
pub use token::oidc_id;

use error::{Challenges, Refusal};
use keys::{KeySet, KeySource, NoKey};
use pipelines::PipelineIssuer;
use token::{Claims, UnverifiedToken};
use trusted::{EntraIssuer, EntraVersion, IssuerKind, OidcIssuer, Tenants, TrustedIssuer};
use verified::VerifiedTokens;

/// The application role of an issuer that opens the agent API, and no other.
pub const AGENT_ROLE: &str = "Fame.Agent";

/// The application role that administers environments of a tenant.
pub const ADMINISTRATOR_ROLE: &str = "AdminCenter.ReadWrite.All";

/// Whom a token speaks for, and where that counts.
#[derive(Clone, Debug)]
struct Bearer {
    caller: CustomerCaller,
    doors: Arc<[Door]>,
    /// Whether its tenant is trusted only because any is.
    is_of_any_tenant: bool,
}

/// Somebody at the customers' door.
#[derive(Clone, Debug)]
pub struct Customer {
    /// Who it is.
    pub caller: CustomerCaller,
    /// Whether their tenant has to be registered here, because it is trusted only as any is.
    pub must_be_registered: bool,
}

/// What an agent showed.
#[derive(Clone, Debug)]
pub enum AgentCredential {
    /// A token of the service's own: the SHA-256 of its text.
    Token([u8; 32]),
    /// A token of an issuer, which speaks for this application.
    Identity(Arc<Caller>),
}

/// Seconds since 1970 (UTC). Tokens live by the wall clock; tests and `fame dev` bring one they can move.
pub type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How long one fetch of keys may take, and how long connecting for it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Tells who is calling. Clones share keys and memory.
#[derive(Clone)]
pub struct Authenticator {
    shared: Arc<Shared>,
}

struct Shared {
    issuers: Vec<Issuer>,
    pipelines: Vec<PipelineIssuer>,
    /// Tenants of issuers that are not Entra; no Entra token may claim one.
    foreign_tenants: Vec<Uuid>,
    challenges: Challenges,
    verified: VerifiedTokens,
    clock: WallClock,
}

/// A trusted issuer and its keys.
struct Issuer {
    trusted: TrustedIssuer,
    keys: IssuerKeys,
}

enum IssuerKeys {
    /// Per tenant and version, as Entra's keys may differ in both; without a tenant if any is accepted,
    /// because then a stranger's token would choose what we fetch.
    Entra(HashMap<(Option<Uuid>, EntraVersion), Arc<KeySet>>),
    Oidc(Arc<KeySet>),
}

/// Where a token says it is from, among those we trust.
enum Origin<'a> {
    Entra {
        issuer: &'a Issuer,
        keys: &'a Arc<KeySet>,
        version: EntraVersion,
        tenant: Uuid,
    },
    Oidc {
        issuer: &'a Issuer,
        keys: &'a Arc<KeySet>,
        oidc: &'a OidcIssuer,
    },
}

impl Authenticator {
    /// Sets up trust in the configured issuers. Nothing is fetched yet.
    ///
    /// # Errors
    /// Everything that is wrong with the settings, including an unreadable `ca_file`.
    pub fn new(settings: &AuthSettings, clock: WallClock) -> Result<Self, Vec<SettingsProblem>> {
        let trusted = settings.parse()?;
        let http = http_client(settings).map_err(|problem| vec![problem])?;
        let Some(first) = trusted.first() else {
            return Err(settings.problems());
        };
        let challenges = Challenges::of(first);
        let foreign_tenants = trusted.iter().filter_map(TrustedIssuer::foreign_tenant).collect();
        let pipelines = PipelineIssuer::all(settings, &http, &clock);
        let issuers = trusted
            .into_iter()
            .map(|trusted| Issuer::new(trusted, &http, &clock))
            .collect();
        let shared = Shared {
            issuers,
            pipelines,
            foreign_tenants,
            challenges,
            verified: VerifiedTokens::default(),
            clock,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Tells who sent a request with this `Authorization` header to the vendor, operator or agents' API.
    ///
    /// # Errors
    /// 401 without a valid token that opens this door, 403 for a token of the wrong kind or without the required
    /// permission, 503 while an issuer's keys were never fetched.
    pub async fn authenticate(
        &self,
        door: Door,
        authorization: Option<&str>,
    ) -> Result<Arc<Caller>, AuthError> {
        match self.bearer(door, authorization).await?.caller {
            CustomerCaller::Own(caller) => Ok(caller),
            CustomerCaller::Delegated(_) => {
                Err(self.refuse(AuthFailure::OtherApi, "the token of a delegated administrator"))
            }
        }
    }

    /// The same where customers' administrators call, and those of their partners.
    ///
    /// # Errors
    /// As for everybody, and 401 for the token of an agent.
    pub async fn authenticate_customer(&self, authorization: Option<&str>) -> Result<Customer, AuthError> {
        let bearer = self.bearer(Door::Customer, authorization).await?;
        if matches!(&bearer.caller, CustomerCaller::Own(caller) if caller.is_agent) {
            return Err(self.refuse(AuthFailure::OtherApi, "the token of an agent"));
        }
        Ok(Customer {
            caller: bearer.caller,
            must_be_registered: bearer.is_of_any_tenant,
        })
    }

    async fn bearer(&self, door: Door, authorization: Option<&str>) -> Result<Bearer, AuthError> {
        let challenges = &self.shared.challenges;
        let token = match authorization.map(bearer_token) {
            None | Some(None) => return Err(challenges.missing_header()),
            Some(Some("")) => return Err(challenges.missing_token()),
            Some(Some(token)) => token,
        };
        let bearer = self.shared.bearer_of(token).await;
        let bearer = bearer.map_err(|refusal| challenges.refuse(refusal))?;
        match bearer.doors.contains(&door) {
            true => Ok(bearer),
            false => Err(self.refuse(AuthFailure::OtherApi, "its tenant is not trusted for this API")),
        }
    }

    /// The same where only agents may call: by a token of the service's own, or by one of an issuer whose application has
    /// the role [`AGENT_ROLE`].
    ///
    /// # Errors
    /// 401 for whatever is no agent's token; otherwise as for everybody.
    pub async fn authenticate_agent(
        &self,
        authorization: Option<&str>,
    ) -> Result<AgentCredential, AuthError> {
        let text = authorization.and_then(bearer_token).unwrap_or_default();
        if OwnToken::is_meant(OwnTokenKind::Agent, text) {
            let token = OwnToken::read(OwnTokenKind::Agent, text);
            let token = token.map_err(|_| self.refuse(AuthFailure::Malformed, "the checksum is wrong"))?;
            return Ok(AgentCredential::Token(token.sha256()));
        }
        let caller = self.authenticate(Door::Agent, authorization).await?;
        if !caller.is_agent {
            return Err(self.refuse(AuthFailure::OtherApi, "not the token of an agent"));
        }
        Ok(AgentCredential::Identity(caller))
    }

    /// The token of a run of a pipeline, if that is what somebody shows: SHA-256 of its text. It opens the vendor's API
    /// alone.
    ///
    /// # Errors
    /// 401 for one that is mistyped.
    pub fn publisher_token(&self, authorization: Option<&str>) -> Result<Option<[u8; 32]>, AuthError> {
        let text = authorization.and_then(bearer_token).unwrap_or_default();
        if !OwnToken::is_meant(OwnTokenKind::Publisher, text) {
            return Ok(None);
        }
        let token = OwnToken::read(OwnTokenKind::Publisher, text);
        let token = token.map_err(|_| self.refuse(AuthFailure::Malformed, "the checksum is wrong"))?;
        Ok(Some(token.sha256()))
    }

    /// Turns somebody away whose token is good, or of the service's own.
    pub fn refuse(&self, failure: AuthFailure, detail: &'static str) -> AuthError {
        self.shared.challenges.refuse(Refusal::new(failure, detail))
    }

    fn key_sets(&self) -> impl Iterator<Item = &Arc<KeySet>> {
        let of_pipelines = self.shared.pipelines.iter().map(|issuer| &issuer.keys);
        self.shared
            .issuers
            .iter()
            .flat_map(Issuer::key_sets)
            .chain(of_pipelines)
    }

    /// Fetches the keys of every issuer that has none yet, so that the first caller need not wait, and says
    /// whether all are there. Failures are logged and tried again when a token needs the keys.
    pub async fn load_keys(&self) -> bool {
        let sets = self.key_sets();
        let loaded = future::join_all(sets.map(KeySet::load)).await;
        loaded.into_iter().all(|is_loaded| is_loaded)
    }

    /// Fetches the keys of every issuer, and says what stands in the way, for each address at which some are.
    pub async fn try_issuers(&self) -> Vec<String> {
        let sets = self.key_sets();
        let tried = stream::iter(sets.map(|set| set.try_fetch())).buffer_unordered(TRIED_AT_ONCE);
        let mut failed: Vec<String> = tried.filter_map(future::ready).collect().await;
        failed.sort();
        failed
    }
}

/// How many addresses are tried at once.
const TRIED_AT_ONCE: usize = 8;

/// The token of a `Bearer` header; nothing for any other scheme, an empty text if there is none.
fn bearer_token(authorization: &str) -> Option<&str> {
    let text = authorization.trim();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

impl Shared {
    async fn bearer_of(&self, token: &str) -> Result<Bearer, Refusal> {
        let digest = verified::digest(token);
        if let Some(bearer) = self.verified.get(&digest, (self.clock)()) {
            return Ok(bearer);
        }
        let token = UnverifiedToken::read(token)?;
        let origin = self.origin_of(&token.claims)?;
        let key = origin.keys().key(&token.kid).await.map_err(key_refusal)?;
        if !origin.accepts(&key, &token.claims) || !key.verifies(token.message, token.signature) {
            return Err(Refusal::new(
                AuthFailure::Signature,
                "the signature is not the key's",
            ));
        }

        let now = (self.clock)();
        let claims = &token.claims;
        claims.check_times(now)?;
        claims.check_audience(&origin.issuer().trusted.audiences)?;
        let trusted = &origin.issuer().trusted;
        let bearer = Bearer {
            caller: origin.caller(claims)?,
            doors: trusted.doors.as_slice().into(),
            is_of_any_tenant: trusted.trusts_any(),
        };
        let expires = claims.seconds("exp").unwrap_or(now);
        self.verified.insert(digest, bearer.clone(), key, now, expires);
        Ok(bearer)
    }

    /// Chooses among the configured issuers by what the token claims; the signature has to prove it.
    fn origin_of(&self, claims: &Claims) -> Result<Origin<'_>, Refusal> {
        let named = claims
            .text("iss")
            .ok_or(Refusal::new(AuthFailure::Issuer, "`iss` is missing"))?;
        for issuer in &self.issuers {
            let origin = match (&issuer.trusted.kind, &issuer.keys) {
                (IssuerKind::Entra(entra), IssuerKeys::Entra(sets)) => {
                    self.entra_origin(issuer, entra, sets, named, claims)
                }
                (IssuerKind::Oidc(oidc), IssuerKeys::Oidc(keys)) if oidc.issuer == named => {
                    Some(Origin::Oidc { issuer, keys, oidc })
                }
                _ => None,
            };
            if let Some(origin) = origin {
                return Ok(origin);
            }
        }
        Err(Refusal::new(
            AuthFailure::Issuer,
            "`iss` and `tid` are not configured",
        ))
    }

    fn entra_origin<'a>(
        &self,
        issuer: &'a Issuer,
        entra: &'a EntraIssuer,
        sets: &'a HashMap<(Option<Uuid>, EntraVersion), Arc<KeySet>>,
        named: &str,
        claims: &Claims,
    ) -> Option<Origin<'a>> {
        let tenant = claims.guid("tid")?;
        let version = EntraVersion::of(claims)?;
        let is_allowed = entra.tenants.allow(tenant) && !self.foreign_tenants.contains(&tenant);
        if !is_allowed || entra.issuer_of(tenant, version) != named {
            return None;
        }
        let listed = matches!(entra.tenants, Tenants::Listed(_)).then_some(tenant);
        let keys = sets.get(&(listed, version))?;
        Some(Origin::Entra {
            issuer,
            keys,
            version,
            tenant,
        })
    }
}

fn key_refusal(no_key: NoKey) -> Refusal {
    match no_key {
        NoKey::Unknown => Refusal::new(AuthFailure::Signature, "the issuer serves no such key"),
        NoKey::NeverLoaded => Refusal::new(AuthFailure::Unavailable, "the issuer's keys were never fetched"),
    }
}

impl Origin<'_> {
    fn issuer(&self) -> &Issuer {
        match self {
            Self::Entra { issuer, .. } | Self::Oidc { issuer, .. } => issuer,
        }
    }

    fn keys(&self) -> &Arc<KeySet> {
        match self {
            Self::Entra { keys, .. } | Self::Oidc { keys, .. } => keys,
        }
    }

    /// Whether the key may sign for the token's issuer.
    fn accepts(&self, key: &keys::PublicKey, claims: &Claims) -> bool {
        let named = claims.text("iss").unwrap_or_default();
        match self {
            Self::Entra { tenant, .. } => key.may_sign_for(named, *tenant),
            Self::Oidc { oidc, .. } => key.may_sign_for(named, oidc.tenant),
        }
    }

    fn caller(&self, claims: &Claims) -> Result<CustomerCaller, Refusal> {
        match self {
            Self::Entra {
                issuer,
                version,
                tenant,
                ..
            } => token::entra_caller(claims, *version, *tenant, &issuer.trusted),
            Self::Oidc { issuer, oidc, .. } => {
                let caller = token::oidc_caller(claims, oidc, &issuer.trusted)?;
                Ok(CustomerCaller::Own(Arc::new(caller)))
            }
        }
    }
}

impl Issuer {
    fn new(trusted: TrustedIssuer, http: &reqwest::Client, clock: &WallClock) -> Self {
        let keys = match &trusted.kind {
            IssuerKind::Entra(entra) => IssuerKeys::Entra(entra_key_sets(entra, &trusted, http, clock)),
            IssuerKind::Oidc(oidc) => {
                let source = KeySource {
                    http: http.clone(),
                    document_url: format!("{}/.well-known/openid-configuration", oidc.base),
                    issuer: oidc.issuer.clone(),
                    tenant: None,
                    origins: trusted.key_origins.clone(),
                };
                IssuerKeys::Oidc(KeySet::new(source, Arc::clone(clock)))
            }
        };
        Self { trusted, keys }
    }

    fn key_sets(&self) -> Vec<&Arc<KeySet>> {
        match &self.keys {
            IssuerKeys::Entra(sets) => sets.values().collect(),
            IssuerKeys::Oidc(keys) => vec![keys],
        }
    }
}

fn entra_key_sets(
    entra: &EntraIssuer,
    trusted: &TrustedIssuer,
    http: &reqwest::Client,
    clock: &WallClock,
) -> HashMap<(Option<Uuid>, EntraVersion), Arc<KeySet>> {
    let tenants = match &entra.tenants {
        Tenants::Any => vec![None],
        Tenants::Listed(tenants) => tenants.iter().copied().map(Some).collect(),
    };
    let mut sets = HashMap::new();
    for tenant in tenants {
        for version in [EntraVersion::V1, EntraVersion::V2] {
            let source = KeySource {
                http: http.clone(),
                document_url: entra.document_url(tenant, version),
                issuer: match tenant {
                    Some(tenant) => entra.issuer_of(tenant, version),
                    None => entra.issuer_template(version).to_owned(),
                },
                tenant,
                origins: trusted.key_origins.clone(),
            };
            sets.insert((tenant, version), KeySet::new(source, Arc::clone(clock)));
        }
    }
    sets
}

/// A client that goes where it is sent and nowhere else: no redirects, no plain http unless allowed.
fn http_client(settings: &AuthSettings) -> Result<reqwest::Client, SettingsProblem> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .https_only(!settings.allow_insecure_loopback)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(FETCH_TIMEOUT);
    if settings.allow_insecure_loopback {
        builder = builder.no_proxy();
    }
    if let Some(path) = &settings.ca_file {
        let problem = |message: String| SettingsProblem {
            key: "identity.ca_file".to_owned(),
            message,
        };
        let pem = std::fs::read(path).map_err(|error| problem(format!("{}: {error}", path.display())))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if authorities.is_empty() {
            return Err(problem(format!("{} holds no PEM certificates", path.display())));
        }
        builder = builder.tls_certs_merge(authorities);
    }
    builder.build().map_err(|error| SettingsProblem {
        key: "identity".to_owned(),
        message: format!(
            "the client that fetches keys could not be set up: {}",
            Chain(&error)
        ),
    })
}
