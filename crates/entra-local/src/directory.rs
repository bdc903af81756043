//! Who exists: the applications, users and resources that Entra would hold in its directory.
//!
//! Nothing here is secret from the operator of `fame dev`, who prints it, but a secret still does not belong
//! into a log line; [`Secret`] sees to that.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, JsonWebKeySet};

/// A password or client secret. It serialises as its text and never prints.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Number of random bytes in a generated secret: more than anybody can guess, still short to paste.
    const RANDOM_BYTES: usize = 24;

    /// Takes a text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Makes a random secret of letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// [`Error::KeyGeneration`] without randomness from the operating system.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0_u8; Self::RANDOM_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::KeyGeneration)?;
        Ok(Self(crate::keys::base64url(&bytes)))
    }

    /// The text itself, for whoever has to show it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn matches(&self, given: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), given.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

/// Which claims a token has. Entra decides it by the registration of the resource, never by the endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenVersion {
    /// `ver` "1.0": audience as asked for, client in `appid`.
    #[serde(rename = "1.0", alias = "v1", alias = "V1", alias = "1")]
    V1,
    /// `ver` "2.0": audience is the resource's client id, client in `azp`.
    #[default]
    #[serde(rename = "2.0", alias = "v2", alias = "V2", alias = "2")]
    V2,
}

/// An application registration together with its service principals.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// A short name to find it by, and its display name.
    pub name: String,
    /// Application (client) id.
    pub client_id: Uuid,
    /// Object id of its service principal in `tenant_id`; `oid` and `sub` of its own tokens.
    pub object_id: Uuid,
    /// The tenant in which it is registered, and can ask for tokens of its own.
    pub tenant_id: Uuid,
    /// Whether users of all tenants may sign in through it, or those of `tenant_id` alone.
    #[serde(default)]
    pub multi_tenant: bool,
    /// Its secret; without one it cannot use `client_credentials`.
    pub secret: Option<Secret>,
    /// Whether users may sign in through it without its secret ("Allow public client flows").
    pub public_client: bool,
    /// Where users who signed in may be sent back to. Of `http` on `localhost`, `127.0.0.1` and `[::1]` any port will do.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// App roles, in `roles` of its own tokens.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Whose tokens it may show instead of its secret.
    #[serde(default)]
    pub federated_credentials: Vec<FederatedCredential>,
}

/// Tokens of another issuer by which an application proves who it is (workload identity federation). All of it is
/// compared exactly, with its case.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FederatedCredential {
    /// Their `iss`.
    pub issuer: String,
    /// Their `sub`.
    pub subject: String,
    /// Their `aud`, such as `api://AzureADTokenExchange`.
    pub audience: String,
    /// The keys that they are signed with. Entra would fetch them from the issuer.
    pub keys: JsonWebKeySet,
}

impl Application {
    /// Whether users of that tenant may sign in through it.
    pub(crate) fn serves(&self, tenant: Uuid) -> bool {
        self.multi_tenant || self.tenant_id == tenant
    }
}

/// A user of one tenant, who signs in with a password.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// A short name to find it by, and its display name.
    pub name: String,
    /// The sign-in name, compared without regard to case.
    pub username: String,
    /// The password of the resource owner password grant.
    pub password: Secret,
    /// Object id; `oid` of its tokens.
    pub object_id: Uuid,
    /// Home tenant.
    pub tenant_id: Uuid,
    /// Template ids of its directory roles, in `wids` of its tokens.
    #[serde(default)]
    pub directory_roles: Vec<Uuid>,
}

/// An API that tokens can be asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Client id of the API: `aud` of its v2.0 tokens.
    pub client_id: Uuid,
    /// App ID URIs, such as `https://apps.businesscentral.dynamics.com`.
    pub identifier_uris: Vec<String>,
    /// What its registration says about tokens (`requestedAccessTokenVersion`).
    pub token_version: TokenVersion,
    /// Delegated permissions it offers; a user's token carries all of them.
    pub scopes: Vec<String>,
}

impl Resource {
    /// Whether `name` is its client id or one of its URIs, with or without a trailing slash.
    pub fn is_called(&self, name: &str) -> bool {
        let plain = name.strip_suffix('/').unwrap_or(name);
        let is_client_id = Uuid::try_parse(plain).is_ok_and(|id| id == self.client_id);
        let is_uri = |uri: &String| uri.strip_suffix('/').unwrap_or(uri).eq_ignore_ascii_case(plain);
        is_client_id || self.identifier_uris.iter().any(is_uri)
    }
}

/// Everybody and everything that is registered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Tenants without applications and users; those of applications and users exist anyway.
    #[serde(default)]
    pub tenants: Vec<Uuid>,
    /// The APIs.
    #[serde(default)]
    pub resources: Vec<Resource>,
    /// The applications.
    #[serde(default)]
    pub applications: Vec<Application>,
    /// The users.
    #[serde(default)]
    pub users: Vec<User>,
}

impl Directory {
    /// Whether anything is known about the tenant.
    pub fn has_tenant(&self, tenant: Uuid) -> bool {
        self.tenants.contains(&tenant)
            || self
                .applications
                .iter()
                .any(|application| application.tenant_id == tenant)
            || self.users.iter().any(|user| user.tenant_id == tenant)
    }

    /// Finds an application by name, client id or object id.
    pub fn application(&self, key: &str) -> Option<&Application> {
        let id = Uuid::try_parse(key).ok();
        self.applications.iter().find(|application| {
            application.name == key || id == Some(application.client_id) || id == Some(application.object_id)
        })
    }

    /// Finds a user by name, sign-in name or object id.
    pub fn user(&self, key: &str) -> Option<&User> {
        let id = Uuid::try_parse(key).ok();
        self.users.iter().find(|user| {
            user.name == key || user.username.eq_ignore_ascii_case(key) || id == Some(user.object_id)
        })
    }

    /// Finds the resource that goes by this client id or URI.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.is_called(name))
    }
}
