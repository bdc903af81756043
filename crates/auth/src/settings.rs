//! Which issuers are trusted, as configuration says it and as the rest of this module wants it.
//!
//! Whoever is named here can make anybody an owner, so the settings are checked as a whole before anything
//! starts: every problem is reported, not only the first. What is parsed here is not parsed again.

use std::fmt;
use std::path::PathBuf;

use domain::loopback::is_loopback;
use reqwest::Url;
use serde::Deserialize;
use uuid::Uuid;

use super::caller::{ApplicationMatch, Door};
use super::pipelines::PipelineIssuerSettings;
use super::trusted::{
    CONSUMER_TENANT, EntraIssuer, IssuerKind, OidcIssuer, TENANT_PLACEHOLDER, Tenants, TrustedIssuer,
};

/// The names under which Business Central itself takes tokens.
const BUSINESS_CENTRAL_AUDIENCES: [&str; 3] = [
    "https://apps.businesscentral.dynamics.com",
    "https://api.businesscentral.dynamics.com",
    "996def3d-b36c-4153-8607-a6fd3c01b89f",
];

/// The section `identity`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSettings {
    /// The trusted issuers; at least one.
    pub issuers: Vec<IssuerSettings>,
    /// Issuers of tokens for pipelines, which apps may trust.
    pub publishers: Vec<PipelineIssuerSettings>,
    /// Accept `http://` authorities on loopback hosts, and go to them without a proxy. For `fame dev` and
    /// tests: whoever can listen on that port can then sign for everybody.
    pub allow_insecure_loopback: bool,
    /// PEM file of certificate authorities to trust, in addition to the system's, when keys are fetched.
    pub ca_file: Option<PathBuf>,
}

/// One trusted issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum IssuerSettings {
    /// Microsoft Entra, or something that speaks like it.
    Entra(EntraSettings),
    /// Any other OpenID Connect issuer, such as Keycloak or Dex.
    Oidc(OidcSettings),
}

impl IssuerSettings {
    /// `iss` of an issuer that is not Entra.
    pub(super) fn oidc_issuer(&self) -> Option<&str> {
        match self {
            Self::Entra(_) => None,
            Self::Oidc(oidc) => Some(&oidc.issuer),
        }
    }
}

/// Microsoft Entra in one of its clouds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntraSettings {
    /// Host of the authority. Other clouds have other hosts.
    #[serde(default = "public_cloud")]
    pub authority: String,
    /// Tenant GUIDs, or the word `any`, which is possible where the entry opens the customers' API alone: there a tenant has
    /// to be registered besides. What another entry lists is not meant by `any`.
    pub tenants: TenantSetting,
    /// The APIs that tokens of this entry open.
    #[serde(default = "all_doors")]
    pub doors: Vec<Door>,
    /// What `aud` may be: client id and App ID URIs of the API's registration.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Well-known audiences to accept as well.
    #[serde(default)]
    pub audience_presets: Vec<AudiencePreset>,
    /// `iss` of v1.0 tokens, with `{tenantid}` for the tenant. Default: `https://sts.windows.net/{tenantid}/`.
    pub v1_issuer: Option<String>,
    /// `iss` of v2.0 tokens, with `{tenantid}`. Default: `{authority}/{tenantid}/v2.0`.
    pub v2_issuer: Option<String>,
    /// Delegated permission that a user's token must carry.
    #[serde(default = "user_impersonation")]
    pub required_scope: String,
    /// How applications are recognised.
    #[serde(default)]
    pub applications: ApplicationSettings,
    /// Origins (`https://host[:port]`), besides the authority's own, from which keys may be fetched.
    #[serde(default)]
    pub key_origins: Vec<String>,
}

/// Any other OpenID Connect issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// `iss`, exactly; its discovery document is looked for below it.
    pub issuer: String,
    /// The tenant GUID that all its principals belong to; no other entry may have it.
    pub tenant: String,
    /// The APIs that tokens of this entry open.
    #[serde(default = "all_doors")]
    pub doors: Vec<Door>,
    /// What `aud` may be.
    pub audiences: Vec<String>,
    /// Claim that identifies the principal.
    #[serde(default = "sub")]
    pub object_claim: String,
    /// Claim that identifies the client.
    #[serde(default = "azp")]
    pub client_claim: String,
    /// Claim that marks the tokens of applications (Keycloak: `client_id`), where their subject is not the client but an
    /// account of its own. A token is an application's if object and client claim are equal, as RFC 9068 has it, if
    /// `idtyp` is `app`, or if it is marked and `account_claim` names the client's account.
    pub application_claim: Option<String>,
    /// Claim with the name of the account that the token is for (Keycloak: `preferred_username`), which is
    /// `service-account-CLIENT` where it is a client's. People must not be able to choose such a name.
    pub account_claim: Option<String>,
    /// Claim with the delegated permissions, blank-separated or a list.
    #[serde(default = "scope")]
    pub scope_claim: String,
    /// Delegated permission that a user's token must carry.
    #[serde(default = "user_impersonation")]
    pub required_scope: String,
    /// How applications are recognised.
    #[serde(default)]
    pub applications: ApplicationSettings,
    /// Where a browser would sign in, for the challenge; default: the issuer.
    pub authorization_uri: Option<String>,
    /// Origins, besides the issuer's own, from which keys may be fetched.
    #[serde(default)]
    pub key_origins: Vec<String>,
}

/// How applications are recognised.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApplicationSettings {
    /// Which id of an application a principal row may name.
    #[serde(rename = "match")]
    pub match_by: ApplicationMatch,
    /// Where several tenants are trusted: those whose tokens are as good as the publisher's for every app, or `any`.
    pub tenants: Option<TenantSetting>,
}

/// A list of tenant GUIDs, or one word.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum TenantSetting {
    /// `any`, or a single GUID.
    One(String),
    /// GUIDs.
    Many(Vec<String>),
}

/// A well-known set of audiences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudiencePreset {
    /// The audiences of Business Central: for a client that cannot be told another one.
    BusinessCentral,
}

fn all_doors() -> Vec<Door> {
    Door::ALL.to_vec()
}

fn public_cloud() -> String {
    "https://login.microsoftonline.com".to_owned()
}

fn user_impersonation() -> String {
    "user_impersonation".to_owned()
}

fn sub() -> String {
    "sub".to_owned()
}

fn azp() -> String {
    "azp".to_owned()
}

fn scope() -> String {
    "scope".to_owned()
}

/// Something in the section `identity` that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Where, such as `identity.issuers[0].authority`.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.key, self.message)
    }
}

impl AuthSettings {
    /// Everything that is wrong; empty if the settings can be used.
    pub fn problems(&self) -> Vec<SettingsProblem> {
        self.parse().err().unwrap_or_default()
    }

    /// What stands against going to the issuers for their keys, such as a `ca_file` that cannot be read.
    pub fn unusable(&self) -> Option<SettingsProblem> {
        super::http_client(self).err()
    }

    /// Whether tokens of more than one tenant open the vendor or operator API; then an application is more than its client
    /// id, which is the same in all of them.
    pub fn trusts_several_tenants(&self) -> bool {
        let trusted = self.parse().unwrap_or_default();
        trusts_several(trusted.iter())
    }

    /// The trusted issuers, or everything that is wrong with them.
    pub(super) fn parse(&self) -> Result<Vec<TrustedIssuer>, Vec<SettingsProblem>> {
        let mut problems = Problems::default();
        if self.issuers.is_empty() {
            problems.add(
                "identity.issuers",
                "name at least one issuer, or nobody can sign in",
            );
        }
        let mut trusted = Vec::new();
        for (index, issuer) in self.issuers.iter().enumerate() {
            problems.entry = format!("identity.issuers[{index}]");
            let before = problems.found.len();
            let parsed = match issuer {
                IssuerSettings::Entra(entra) => self.parse_entra(entra, &mut problems),
                IssuerSettings::Oidc(oidc) => self.parse_oidc(oidc, &mut problems),
            };
            // An entry that is wrong in itself says nothing reliable about others.
            if problems.found.len() == before {
                trusted.push((index, parsed));
            }
        }
        report_overlaps(&trusted, &mut problems);
        self.check_publishers(&mut problems);
        // A tenant that is listed belongs to the entry that lists it.
        trusted.sort_by_key(|(_, issuer)| issuer.trusts_any());
        if !trusts_several(trusted.iter().map(|(_, issuer)| issuer)) {
            trusted
                .iter_mut()
                .for_each(|(_, issuer)| issuer.unbound = Tenants::Any);
        }
        match problems.found.is_empty() {
            true => Ok(trusted.into_iter().map(|(_, issuer)| issuer).collect()),
            false => Err(problems.found),
        }
    }

    fn parse_entra(&self, entra: &EntraSettings, problems: &mut Problems) -> TrustedIssuer {
        let authority = self.parse_url("authority", &entra.authority, problems);
        let v1_issuer = entra
            .v1_issuer
            .clone()
            .unwrap_or_else(|| "https://sts.windows.net/{tenantid}/".into());
        let v2_default = || format!("{authority}/{TENANT_PLACEHOLDER}/v2.0");
        let v2_issuer = entra.v2_issuer.clone().unwrap_or_else(v2_default);
        for (key, template) in [("v1_issuer", &v1_issuer), ("v2_issuer", &v2_issuer)] {
            if template.matches(TENANT_PLACEHOLDER).count() != 1 {
                problems.at(
                    key,
                    format!("`{template}` must contain `{TENANT_PLACEHOLDER}` once"),
                );
            }
        }
        if v1_issuer == v2_issuer {
            problems.at("v2_issuer", "must differ from `v1_issuer`");
        }

        let mut audiences = entra.audiences.clone();
        if entra.audience_presets.contains(&AudiencePreset::BusinessCentral) {
            audiences.extend(BUSINESS_CENTRAL_AUDIENCES.map(str::to_owned));
        }
        TrustedIssuer {
            audiences: parse_audiences(&audiences, problems),
            resource_id: audiences.into_iter().next().unwrap_or_default(),
            required_scope: parse_scope(&entra.required_scope, problems),
            match_by: entra.applications.match_by,
            unbound: parse_unbound(&entra.applications, problems),
            key_origins: self.parse_origins(&authority, &entra.key_origins, problems),
            doors: parse_doors(&entra.doors, problems),
            kind: IssuerKind::Entra(EntraIssuer {
                tenants: parse_trusted_tenants(entra, problems),
                authority,
                v1_issuer,
                v2_issuer,
            }),
        }
    }

    fn parse_oidc(&self, oidc: &OidcSettings, problems: &mut Problems) -> TrustedIssuer {
        let base = self.parse_url("issuer", &oidc.issuer, problems);
        let tenant = parse_tenant("tenant", &oidc.tenant, problems).unwrap_or_default();
        let claims = [
            ("object_claim", Some(&oidc.object_claim)),
            ("client_claim", Some(&oidc.client_claim)),
            ("scope_claim", Some(&oidc.scope_claim)),
            ("application_claim", oidc.application_claim.as_ref()),
            ("account_claim", oidc.account_claim.as_ref()),
        ];
        for (key, claim) in claims {
            if claim.is_some_and(|claim| claim.is_empty()) {
                problems.at(key, "must be the name of a claim");
            }
        }
        let sign_in = oidc.authorization_uri.as_deref();
        let authorization_uri = match sign_in {
            Some(uri) => self.parse_url("authorization_uri", uri, problems),
            None => base.clone(),
        };
        TrustedIssuer {
            audiences: parse_audiences(&oidc.audiences, problems),
            resource_id: oidc.audiences.first().cloned().unwrap_or_default(),
            required_scope: parse_scope(&oidc.required_scope, problems),
            match_by: oidc.applications.match_by,
            unbound: parse_unbound(&oidc.applications, problems),
            key_origins: self.parse_origins(&base, &oidc.key_origins, problems),
            doors: parse_doors(&oidc.doors, problems),
            kind: IssuerKind::Oidc(OidcIssuer {
                issuer: oidc.issuer.clone(),
                base,
                tenant,
                object_claim: oidc.object_claim.clone(),
                client_claim: oidc.client_claim.clone(),
                application_claim: oidc.application_claim.clone(),
                account_claim: oidc.account_claim.clone(),
                scope_claim: oidc.scope_claim.clone(),
                authorization_uri,
            }),
        }
    }

    /// An https URL (or http on loopback, if allowed) as text without a slash at its end.
    pub(super) fn parse_url(&self, key: &str, text: &str, problems: &mut Problems) -> String {
        let Ok(url) = Url::parse(text) else {
            problems.at(key, format!("`{text}` is not an absolute URL"));
            return String::new();
        };
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain || url.cannot_be_a_base() {
            problems.at(key, format!("`{text}` must be scheme, host and path only"));
        }
        match url.scheme() {
            "https" => {}
            "http" if self.allow_insecure_loopback && url.host_str().is_some_and(is_loopback) => {}
            "http" => problems.at(
                key,
                format!("`{text}` must be https: keys fetched over http prove nothing"),
            ),
            _ => problems.at(key, format!("`{text}` must be https")),
        }
        url.as_str().trim_end_matches('/').to_owned()
    }

    fn parse_origins(&self, own: &str, more: &[String], problems: &mut Problems) -> Vec<String> {
        let mut origins = Vec::new();
        origins.extend(origin_of(own));
        for text in more {
            let url = self.parse_url("key_origins", text, problems);
            origins.extend(origin_of(&url));
        }
        origins
    }
}

/// `scheme://host[:port]` in one spelling.
pub(super) fn origin_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    url.has_host().then(|| url.origin().ascii_serialization())
}

fn parse_tenants(key: &str, setting: &TenantSetting, problems: &mut Problems) -> Tenants {
    let texts = match setting {
        TenantSetting::One(word) if word.eq_ignore_ascii_case("any") => return Tenants::Any,
        TenantSetting::One(text) => std::slice::from_ref(text),
        TenantSetting::Many(texts) => texts.as_slice(),
    };
    if texts.is_empty() {
        problems.at(key, "name at least one tenant, or say `any`");
    }
    let tenants = texts.iter().filter_map(|text| parse_tenant(key, text, problems));
    Tenants::Listed(tenants.collect())
}

/// The tenants of an entry. Whoever may be of any is a stranger until somebody says otherwise: to the vendor's half they would
/// be a directory whose administrators we do not know, and a token for Business Central itself is in many hands.
fn parse_trusted_tenants(entra: &EntraSettings, problems: &mut Problems) -> Tenants {
    let tenants = parse_tenants("tenants", &entra.tenants, problems);
    if matches!(tenants, Tenants::Listed(_)) {
        return tenants;
    }
    if entra.doors != [Door::Customer] {
        problems.at(
            "tenants",
            "`any` is possible for the customers' API alone: list the tenants, or say doors = [\"customer\"]",
        );
    }
    if entra.audience_presets.contains(&AudiencePreset::BusinessCentral) {
        problems.at(
            "audience_presets",
            "tokens for Business Central's own audience, which others can replay, are not accepted of `any` tenant: list \
             the tenants",
        );
    }
    tenants
}

fn parse_doors(doors: &[Door], problems: &mut Problems) -> Vec<Door> {
    if doors.is_empty() {
        problems.at("doors", "name at least one: vendor, operator, agent or customer");
    }
    doors.to_vec()
}

fn parse_unbound(applications: &ApplicationSettings, problems: &mut Problems) -> Tenants {
    let key = "applications.tenants";
    match &applications.tenants {
        Some(setting) => parse_tenants(key, setting, problems),
        None => Tenants::Listed(Vec::new()),
    }
}

fn trusts_several<'a>(trusted: impl Iterator<Item = &'a TrustedIssuer>) -> bool {
    let mut found = Vec::new();
    let knows_principals = |issuer: &&TrustedIssuer| {
        let mut doors = issuer.doors.iter();
        doors.any(|door| matches!(door, Door::Vendor | Door::Operator))
    };
    for issuer in trusted.filter(knows_principals) {
        match &issuer.kind {
            IssuerKind::Oidc(oidc) => found.push(oidc.tenant),
            IssuerKind::Entra(entra) => match &entra.tenants {
                Tenants::Any => return true,
                Tenants::Listed(tenants) => found.extend(tenants),
            },
        }
    }
    found.iter().any(|tenant| Some(tenant) != found.first())
}

fn parse_tenant(key: &str, text: &str, problems: &mut Problems) -> Option<Uuid> {
    let tenant = super::token::parse_guid(text);
    match tenant {
        None => problems.at(key, format!("`{text}` is not the GUID of a tenant")),
        Some(CONSUMER_TENANT) => problems.at(key, "the tenant of personal accounts cannot be trusted"),
        Some(_) => {}
    }
    tenant
}

fn parse_audiences(texts: &[String], problems: &mut Problems) -> Vec<String> {
    if texts.is_empty() {
        problems.at(
            "audiences",
            "name at least one: a token meant for another API must not open this one",
        );
    }
    let mut audiences = Vec::new();
    for text in texts {
        // The first one is quoted in the challenge header.
        let is_quotable = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        if text.is_empty() || !is_quotable {
            problems.at("audiences", format!("`{text}` is neither a GUID nor a URI"));
        }
        audiences.push(super::token::normal_audience(text));
    }
    audiences
}

fn parse_scope(text: &str, problems: &mut Problems) -> String {
    let is_token = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    if text.is_empty() || !is_token {
        problems.at("required_scope", format!("`{text}` is not one scope"));
    }
    text.to_owned()
}

/// The same token must never fit two entries, and a tenant with ids of its own must not be another's.
fn report_overlaps(trusted: &[(usize, TrustedIssuer)], problems: &mut Problems) {
    for (at, (later, second)) in trusted.iter().enumerate() {
        problems.entry = format!("identity.issuers[{later}]");
        for (earlier, first) in trusted.iter().take(at) {
            report_overlap(*earlier, &first.kind, &second.kind, problems);
        }
    }
}

fn report_overlap(earlier: usize, first: &IssuerKind, second: &IssuerKind, problems: &mut Problems) {
    let taken = |tenant: Uuid| format!("{tenant} belongs to entry {earlier} already");
    match (first, second) {
        (IssuerKind::Entra(a), IssuerKind::Entra(b)) => {
            if a.overlaps(b) {
                let message = format!("accepts the same tenants of the same authority as entry {earlier}");
                problems.at("tenants", message);
            }
        }
        (IssuerKind::Entra(entra), IssuerKind::Oidc(oidc)) => {
            if entra.tenants.lists(oidc.tenant) {
                problems.at("tenant", taken(oidc.tenant));
            }
        }
        (IssuerKind::Oidc(oidc), IssuerKind::Entra(entra)) => {
            if entra.tenants.lists(oidc.tenant) {
                problems.at("tenants", taken(oidc.tenant));
            }
        }
        (IssuerKind::Oidc(a), IssuerKind::Oidc(b)) => {
            if a.tenant == b.tenant {
                problems.at("tenant", taken(b.tenant));
            }
            if a.issuer == b.issuer {
                problems.at(
                    "issuer",
                    format!("`{}` is the issuer of entry {earlier} already", b.issuer),
                );
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Problems {
    /// The entry that is looked at, such as `identity.issuers[0]`.
    pub(super) entry: String,
    found: Vec<SettingsProblem>,
}

impl Problems {
    fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.found.push(SettingsProblem {
            key: key.into(),
            message: message.into(),
        });
    }

    pub(super) fn at(&mut self, key: &str, message: impl Into<String>) {
        self.add(format!("{}.{key}", self.entry), message);
    }
}
