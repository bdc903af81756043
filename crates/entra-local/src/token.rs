//! Minting: claims as Entra writes them, and every way to get them wrong that a test needs.

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::directory::{Application, Directory, TokenVersion, User};
use crate::keys::base64url;
use crate::{Error, Issuer};

/// Lifetime of a token unless asked otherwise, seconds: what Entra gives at least.
pub(crate) const LIFETIME_SECONDS: i64 = 3_600;

/// The public client through which users sign in when no other is named: Azure CLI's well-known id.
const DEFAULT_PUBLIC_CLIENT: Uuid = Uuid::from_u128(0x04b0_7795_8ddb_461a_bbee_02f9_e1bf_7b46);

/// The delegated permission of a resource that is not registered.
const DEFAULT_SCOPE: &str = "user_impersonation";

/// A token somebody asks for. Only `client` or `user` is required; the default of everything else makes a
/// good token. As JSON the members are camelCase, and unknown members are refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TokenRequest {
    /// Name, client id or object id of an application. Alone it makes an app-only token, with `user` it is
    /// the application through which the user signed in.
    pub client: Option<String>,
    /// Name, sign-in name or object id of a user: makes a delegated token.
    pub user: Option<String>,
    /// Claims of v1.0 or v2.0; default as the resource is registered, else v2.0.
    pub version: Option<TokenVersion>,
    /// Client id or URI of the resource. Default: the first registered one. A v2.0 token for a registered
    /// resource has its client id as `aud`, otherwise `aud` is this text.
    pub audience: Option<String>,
    /// Seconds from now to `exp`; negative makes a token that has expired. Default 3600.
    pub expires_in: Option<i64>,
    /// Seconds from now to `nbf`; positive makes a token that is not valid yet. Default 0.
    pub not_before: Option<i64>,
    /// Another `iss`.
    pub issuer: Option<String>,
    /// Another tenant, in `tid` and `iss`.
    pub tenant: Option<Uuid>,
    /// Claims to add or to replace.
    pub claims: Map<String, Value>,
    /// Claims to leave out, after everything else.
    pub omit_claims: Vec<String>,
    /// How the token is signed.
    pub alg: TokenAlgorithm,
    /// Another `kid` in the header.
    pub kid: Option<String>,
    /// Members to add to the header or to replace in it, after everything else.
    pub header: Map<String, Value>,
    /// Which key signs.
    pub key: SigningKeyChoice,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenAlgorithm {
    /// As Entra does.
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    /// Not at all: the third segment is empty.
    #[serde(rename = "none")]
    None,
    /// HMAC with the PEM of the public key as secret: the algorithm confusion attack.
    #[serde(rename = "HS256", alias = "HS256-with-public-key")]
    Hs256WithPublicKey,
}

/// Which key signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SigningKeyChoice {
    /// The current key.
    #[default]
    Current,
    /// A key that the key set never shows.
    Unknown,
}

impl TokenRequest {
    /// An app-only token of this application.
    pub fn client(key: impl Into<String>) -> Self {
        Self {
            client: Some(key.into()),
            ..Self::default()
        }
    }

    /// A delegated token of this user.
    pub fn user(key: impl Into<String>) -> Self {
        Self {
            user: Some(key.into()),
            ..Self::default()
        }
    }

    /// Adds or replaces a claim, even one that was left out before.
    #[must_use]
    pub fn with_claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.omit_claims.retain(|omitted| omitted != name);
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without_claim(mut self, name: &str) -> Self {
        self.omit_claims.push(name.to_owned());
        self
    }
}

pub(crate) fn mint(issuer: &Issuer, request: &TokenRequest) -> Result<String, Error> {
    let directory = issuer.directory();
    let claims = claims(issuer, &directory, request)?;
    sign(issuer, request, &claims)
}

/// A user who has signed in, as the application is told that they are.
pub(crate) struct SignIn<'a> {
    pub(crate) user: &'a User,
    /// The application through which they did.
    pub(crate) client_id: Uuid,
    /// When they did, seconds since 1970.
    pub(crate) at: i64,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) version: TokenVersion,
}

/// The token for the application itself, which says who signed in and opens nothing.
pub(crate) fn id_token(issuer: &Issuer, sign_in: &SignIn<'_>) -> Result<String, Error> {
    let SignIn { user, version, .. } = *sign_in;
    let audience = sign_in.client_id.to_string();
    let mut claims = Map::new();
    claims.insert("iss".into(), json!(issuer.issuer_of(user.tenant_id, version)));
    add_times(&mut claims, issuer.now(), &TokenRequest::default());
    claims.insert("auth_time".into(), json!(sign_in.at));
    claims.insert("tid".into(), json!(user.tenant_id));
    add_user(&mut claims, user, &audience, version);
    if let Some(nonce) = sign_in.nonce {
        claims.insert("nonce".into(), json!(nonce));
    }
    claims.insert("aud".into(), json!(audience));
    claims.insert("uti".into(), json!(base64url(Uuid::new_v4().as_bytes())));
    claims.insert("ver".into(), json!(version));
    sign(issuer, &TokenRequest::default(), &claims)
}

/// Who the token is about.
enum Subject<'a> {
    Application(&'a Application),
    User {
        user: &'a User,
        client: Option<&'a Application>,
    },
}

impl<'a> Subject<'a> {
    fn find(directory: &'a Directory, request: &TokenRequest) -> Result<Self, Error> {
        let client = match &request.client {
            Some(key) => Some(
                directory
                    .application(key)
                    .ok_or_else(|| Error::UnknownPrincipal(key.clone()))?,
            ),
            None => None,
        };
        let Some(key) = &request.user else {
            return client.map(Self::Application).ok_or(Error::NoPrincipal);
        };
        let user = directory
            .user(key)
            .ok_or_else(|| Error::UnknownPrincipal(key.clone()))?;
        Ok(Self::User { user, client })
    }

    fn tenant(&self) -> Uuid {
        match self {
            Self::Application(application) => application.tenant_id,
            Self::User { user, .. } => user.tenant_id,
        }
    }

    fn client_id(&self) -> Uuid {
        match self {
            Self::Application(application) => application.client_id,
            Self::User { client, .. } => client.map_or(DEFAULT_PUBLIC_CLIENT, |client| client.client_id),
        }
    }

    /// "0" for a public client, "1" for one that has shown a secret.
    fn client_authentication(&self) -> &'static str {
        match self {
            Self::Application(_) => "1",
            Self::User {
                client: Some(client), ..
            } if !client.public_client => "1",
            Self::User { .. } => "0",
        }
    }
}

/// The resource a token is for.
struct Audience {
    aud: String,
    version: TokenVersion,
    scope: String,
}

impl Audience {
    fn find(directory: &Directory, request: &TokenRequest) -> Result<Self, Error> {
        let resource = match &request.audience {
            Some(name) => directory.resource(name),
            None => Some(directory.resources.first().ok_or(Error::NoAudience)?),
        };
        let registered_version = resource.map_or(TokenVersion::V2, |resource| resource.token_version);
        let version = request.version.unwrap_or(registered_version);
        let aud = match (resource, &request.audience) {
            (Some(resource), None) => match (version, resource.identifier_uris.first()) {
                (TokenVersion::V1, Some(uri)) => uri.clone(),
                _ => resource.client_id.to_string(),
            },
            (Some(resource), Some(_)) if version == TokenVersion::V2 => resource.client_id.to_string(),
            (_, asked) => asked.clone().unwrap_or_default(),
        };
        let scope = resource.map_or(DEFAULT_SCOPE.to_owned(), |resource| resource.scopes.join(" "));
        Ok(Self { aud, version, scope })
    }
}

fn claims(
    issuer: &Issuer,
    directory: &Directory,
    request: &TokenRequest,
) -> Result<Map<String, Value>, Error> {
    let subject = Subject::find(directory, request)?;
    let audience = Audience::find(directory, request)?;
    let tenant = request.tenant.unwrap_or_else(|| subject.tenant());
    let iss = request
        .issuer
        .clone()
        .unwrap_or_else(|| issuer.issuer_of(tenant, audience.version));

    let mut claims = Map::new();
    claims.insert("aud".into(), json!(audience.aud));
    claims.insert("iss".into(), json!(iss));
    add_times(&mut claims, issuer.now(), request);
    claims.insert("tid".into(), json!(tenant));
    add_client(&mut claims, &subject, audience.version);
    add_subject(&mut claims, &subject, &audience);
    claims.insert("uti".into(), json!(base64url(Uuid::new_v4().as_bytes())));
    claims.insert("ver".into(), json!(audience.version));
    for (name, value) in &request.claims {
        claims.insert(name.clone(), value.clone());
    }
    for name in &request.omit_claims {
        claims.remove(name);
    }
    Ok(claims)
}

fn add_times(claims: &mut Map<String, Value>, now: i64, request: &TokenRequest) {
    let expires = now.saturating_add(request.expires_in.unwrap_or(LIFETIME_SECONDS));
    // An expired token was issued while it was still good.
    let issued = now.min(expires.saturating_sub(LIFETIME_SECONDS));
    let not_before = request
        .not_before
        .map_or(issued, |seconds| now.saturating_add(seconds));
    claims.insert("iat".into(), json!(issued));
    claims.insert("nbf".into(), json!(not_before));
    claims.insert("exp".into(), json!(expires));
}

fn add_client(claims: &mut Map<String, Value>, subject: &Subject<'_>, version: TokenVersion) {
    let (id, authentication) = match version {
        TokenVersion::V1 => ("appid", "appidacr"),
        TokenVersion::V2 => ("azp", "azpacr"),
    };
    claims.insert(id.into(), json!(subject.client_id()));
    claims.insert(authentication.into(), json!(subject.client_authentication()));
}

fn add_subject(claims: &mut Map<String, Value>, subject: &Subject<'_>, audience: &Audience) {
    match subject {
        Subject::Application(application) => {
            claims.insert("app_displayname".into(), json!(application.name));
            claims.insert("idtyp".into(), json!("app"));
            claims.insert("oid".into(), json!(application.object_id));
            claims.insert("sub".into(), json!(application.object_id));
            if !application.roles.is_empty() {
                claims.insert("roles".into(), json!(application.roles));
            }
        }
        Subject::User { user, .. } => {
            add_user(claims, user, &audience.aud, audience.version);
            claims.insert("scp".into(), json!(audience.scope));
        }
    }
}

fn add_user(claims: &mut Map<String, Value>, user: &User, audience: &str, version: TokenVersion) {
    claims.insert("name".into(), json!(user.name));
    claims.insert("oid".into(), json!(user.object_id));
    claims.insert("sub".into(), json!(pairwise_subject(user.object_id, audience)));
    if !user.directory_roles.is_empty() {
        claims.insert("wids".into(), json!(user.directory_roles));
    }
    add_sign_in_name(claims, &user.username, version);
}

fn add_sign_in_name(claims: &mut Map<String, Value>, username: &str, version: TokenVersion) {
    let names: &[&str] = match version {
        TokenVersion::V1 => &["unique_name", "upn"],
        TokenVersion::V2 => &["preferred_username"],
    };
    for name in names {
        claims.insert((*name).into(), json!(username));
    }
}

/// A user's `sub` differs from resource to resource and tells nothing about the `oid`.
fn pairwise_subject(object_id: Uuid, audience: &str) -> String {
    let text = format!("{object_id} {audience}");
    base64url(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

fn sign(issuer: &Issuer, request: &TokenRequest, claims: &Map<String, Value>) -> Result<String, Error> {
    let key = match request.key {
        SigningKeyChoice::Current => issuer.current_key(),
        SigningKeyChoice::Unknown => issuer.unknown_key()?,
    };
    let kid = request.kid.as_deref().unwrap_or_else(|| key.kid());
    let header = header(request, kid, claims).to_string();
    let payload = Value::Object(claims.clone()).to_string();
    let message = format!(
        "{}.{}",
        base64url(header.as_bytes()),
        base64url(payload.as_bytes())
    );
    let signature = match request.alg {
        TokenAlgorithm::Rs256 => key.sign(message.as_bytes())?,
        TokenAlgorithm::None => Vec::new(),
        TokenAlgorithm::Hs256WithPublicKey => {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, key.public_pem()?.as_bytes());
            hmac::sign(&secret, message.as_bytes()).as_ref().to_vec()
        }
    };
    Ok(format!("{message}.{}", base64url(&signature)))
}

fn header(request: &TokenRequest, kid: &str, claims: &Map<String, Value>) -> Value {
    let mut header = Map::new();
    header.insert("typ".to_owned(), json!("JWT"));
    header.insert("alg".to_owned(), json!(request.alg));
    // v1.0 tokens repeat the key id as `x5t`; whoever reads that instead of `kid` shall find it here, too.
    if claims.get("ver").and_then(Value::as_str) == Some("1.0") {
        header.insert("x5t".to_owned(), json!(kid));
    }
    header.insert("kid".to_owned(), json!(kid));
    header.extend(request.header.clone());
    Value::Object(header)
}
