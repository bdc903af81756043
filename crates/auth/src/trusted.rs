//! The issuers we trust, once their settings are checked: nothing here needs to be parsed or doubted again.

use uuid::{Uuid, uuid};

use super::caller::{ApplicationMatch, Door};
use super::token::parse_guid;

/// The tenant of personal Microsoft accounts. Nobody administers it, so nobody there can be trusted.
pub(super) const CONSUMER_TENANT: Uuid = uuid!("9188040d-6c67-4c5b-b112-36a304b66dad");

/// Entra's placeholder for the tenant in issuer names.
pub(super) const TENANT_PLACEHOLDER: &str = "{tenantid}";

/// The tenant segment under which an Entra authority serves the keys of all organisations.
const ALL_ORGANISATIONS: &str = "organizations";

/// One trusted issuer, checked.
#[derive(Clone, Debug)]
pub(super) struct TrustedIssuer {
    /// In normal form.
    pub audiences: Vec<String>,
    /// The first audience as it was written, for the challenge.
    pub resource_id: String,
    pub required_scope: String,
    pub match_by: ApplicationMatch,
    /// Whose applications have their rights by their id alone.
    pub unbound: Tenants,
    /// Where keys may come from; the issuer's own origin first.
    pub key_origins: Vec<String>,
    /// The APIs that its tokens open.
    pub doors: Vec<Door>,
    pub kind: IssuerKind,
}

impl TrustedIssuer {
    /// The tenant that the rights of one of its applications depend on.
    pub(super) fn binding_of(&self, tenant: Uuid) -> Option<Uuid> {
        (!self.unbound.allow(tenant)).then_some(tenant)
    }

    /// The tenant whose issuer a text names, in one of the two spellings and with or without a slash at its end.
    pub(super) fn tenant_named_by(&self, issuer: &str) -> Option<Uuid> {
        let IssuerKind::Entra(entra) = &self.kind else {
            return None;
        };
        let plain = |text: &'_ str| text.strip_suffix('/').unwrap_or(text).to_owned();
        let named = plain(issuer);
        let tenant = [EntraVersion::V1, EntraVersion::V2]
            .into_iter()
            .find_map(|version| {
                let template = plain(entra.issuer_template(version));
                let (before, behind) = template.split_once(TENANT_PLACEHOLDER)?;
                parse_guid(named.strip_prefix(before)?.strip_suffix(behind)?)
            });
        tenant.filter(|tenant| *tenant != CONSUMER_TENANT)
    }

    /// Whether whoever comes may be of any tenant, so that the tenant has to be known besides.
    pub(super) fn trusts_any(&self) -> bool {
        matches!(&self.kind, IssuerKind::Entra(entra) if matches!(entra.tenants, Tenants::Any))
    }

    /// The tenant, unless it is one of Entra's.
    pub(super) fn foreign_tenant(&self) -> Option<Uuid> {
        match &self.kind {
            IssuerKind::Entra(_) => None,
            IssuerKind::Oidc(oidc) => Some(oidc.tenant),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum IssuerKind {
    Entra(EntraIssuer),
    Oidc(OidcIssuer),
}

/// The versions of Entra's tokens: each has its own issuer and its own claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum EntraVersion {
    V1,
    V2,
}

#[derive(Clone, Debug)]
pub(super) struct EntraIssuer {
    pub authority: String,
    pub tenants: Tenants,
    pub v1_issuer: String,
    pub v2_issuer: String,
}

impl EntraIssuer {
    /// `iss` with the placeholder for the tenant.
    pub(super) fn issuer_template(&self, version: EntraVersion) -> &str {
        match version {
            EntraVersion::V1 => &self.v1_issuer,
            EntraVersion::V2 => &self.v2_issuer,
        }
    }

    pub(super) fn issuer_of(&self, tenant: Uuid, version: EntraVersion) -> String {
        self.issuer_template(version)
            .replace(TENANT_PLACEHOLDER, &tenant.to_string())
    }

    /// The discovery document of a tenant, or of all organisations.
    pub(super) fn document_url(&self, tenant: Option<Uuid>, version: EntraVersion) -> String {
        let segment = tenant.map_or(ALL_ORGANISATIONS.to_owned(), |tenant| tenant.to_string());
        let folder = match version {
            EntraVersion::V1 => "",
            EntraVersion::V2 => "/v2.0",
        };
        format!(
            "{}/{segment}{folder}/.well-known/openid-configuration",
            self.authority
        )
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let same_issuer = self.v1_issuer == other.v1_issuer || self.v2_issuer == other.v2_issuer;
        same_issuer && self.tenants.overlap(&other.tenants)
    }
}

#[derive(Clone, Debug)]
pub(super) struct OidcIssuer {
    /// `iss`, exactly.
    pub issuer: String,
    /// The same without a slash at its end.
    pub base: String,
    pub tenant: Uuid,
    pub object_claim: String,
    pub client_claim: String,
    pub application_claim: Option<String>,
    pub account_claim: Option<String>,
    pub scope_claim: String,
    pub authorization_uri: String,
}

/// Whose tokens are accepted.
#[derive(Clone, Debug)]
pub(super) enum Tenants {
    /// Every tenant but the consumers'.
    Any,
    /// These.
    Listed(Vec<Uuid>),
}

impl Tenants {
    pub(super) fn allow(&self, tenant: Uuid) -> bool {
        match self {
            Self::Any => tenant != CONSUMER_TENANT,
            Self::Listed(tenants) => tenants.contains(&tenant),
        }
    }

    pub(super) fn lists(&self, tenant: Uuid) -> bool {
        matches!(self, Self::Listed(tenants) if tenants.contains(&tenant))
    }

    /// Whether a tenant is meant by both. One that is listed is not meant by `any` elsewhere.
    fn overlap(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Listed(tenants), Self::Listed(_)) => tenants.iter().any(|tenant| other.lists(*tenant)),
            (Self::Any, Self::Any) => true,
            _ => false,
        }
    }
}
