//! The whole state of the issuer, shared by its listeners.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::certificates::{CertificateState, Certificates};
use crate::directory::{Directory, TokenVersion};
use crate::keys::{JsonWebKeySet, KeyRing, SigningKey};
use crate::own_page::{LOOPBACK_NAMES, host_of};
use crate::tickets::Tickets;
use crate::{Error, TokenRequest};

/// Seconds since 1970 (UTC), asked whenever a token is made, so that a test or `fame dev` can move time.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What an issuer is set up with.
#[derive(Clone)]
pub struct Settings {
    /// The URL under which tokens say they were issued, without a tenant, such as `https://127.0.0.1:8802`.
    /// It stays the same whichever listener a request comes by. Its path, if any, is where the router is nested.
    pub base_url: String,
    /// Names under which it is reached besides `localhost`, the loopback addresses and that of `base_url`. The
    /// certificate is for them too.
    pub hosts: Vec<String>,
    /// The time.
    pub clock: Clock,
}

/// Everything that must survive a restart: keys, certificates, who exists. It holds secrets in clear text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerState {
    /// Private signing keys, PKCS#8 in base64, the current one first.
    pub signing_keys: Vec<String>,
    /// The authority's certificate, the leaf and its key.
    pub certificates: CertificateState,
    /// Tenants, resources, applications and users.
    pub directory: Directory,
}

/// A token issuer. Clones share one state.
#[derive(Clone)]
pub struct Issuer {
    shared: Arc<Shared>,
}

struct Shared {
    base_url: String,
    hosts: Vec<String>,
    clock: Clock,
    certificates: Certificates,
    tickets: Tickets,
    keys: RwLock<KeyRing>,
    directory: RwLock<Arc<Directory>>,
    /// A key that is never served, for tokens of an impostor; made when first asked for.
    unknown_key: OnceLock<Arc<SigningKey>>,
}

impl Issuer {
    /// Sets up a fresh issuer with new keys and certificates.
    ///
    /// # Errors
    /// A bad base URL or host name, or no randomness.
    pub fn new(settings: Settings, directory: Directory) -> Result<Self, Error> {
        let certificates = Certificates::generate(settings.hosts.clone())?;
        Self::assemble(settings, KeyRing::generate()?, certificates, directory)
    }

    /// Sets up the issuer that [`Issuer::state`] described, on a base URL that may have changed. Where host names have
    /// come that its certificate is not for, it has new certificates, for those that it had as well.
    ///
    /// # Errors
    /// A bad base URL or host name, or a damaged state.
    pub fn load(settings: Settings, state: IssuerState) -> Result<Self, Error> {
        let keys = KeyRing::from_base64(&state.signing_keys)?;
        let certificates = Certificates::load(state.certificates)?.with_hosts(&settings.hosts)?;
        Self::assemble(settings, keys, certificates, state.directory)
    }

    fn assemble(
        settings: Settings,
        keys: KeyRing,
        certificates: Certificates,
        directory: Directory,
    ) -> Result<Self, Error> {
        let base_url = settings.base_url.trim_end_matches('/').to_owned();
        let host = host_of_url(&base_url).ok_or(Error::BadBaseUrl(settings.base_url))?;
        let mut hosts = LOOPBACK_NAMES.map(str::to_owned).to_vec();
        for host in [host].into_iter().chain(settings.hosts) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        let shared = Shared {
            hosts,
            tickets: Tickets::new(),
            base_url,
            clock: settings.clock,
            certificates,
            keys: RwLock::new(keys),
            directory: RwLock::new(Arc::new(directory)),
            unknown_key: OnceLock::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// What to write down so that [`Issuer::load`] continues from here.
    ///
    /// # Errors
    /// A key that cannot be encoded.
    pub fn state(&self) -> Result<IssuerState, Error> {
        Ok(IssuerState {
            signing_keys: self.with_keys(KeyRing::to_base64)?,
            certificates: self.shared.certificates.state().clone(),
            directory: Directory::clone(&self.directory()),
        })
    }

    /// The certificate authority and the leaf.
    pub fn certificates(&self) -> &Certificates {
        &self.shared.certificates
    }

    /// Who exists at this moment.
    pub fn directory(&self) -> Arc<Directory> {
        let directory = self
            .shared
            .directory
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&directory)
    }

    /// Registers, changes or removes whom or what `change` likes.
    pub fn change_directory(&self, change: impl FnOnce(&mut Directory)) {
        let mut directory = self
            .shared
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut directory));
    }

    /// Signs with a new key from now on; the former keys are served until [`Issuer::retire_previous_keys`].
    /// Answers the id of the new key.
    ///
    /// # Errors
    /// No randomness.
    pub fn rotate_keys(&self) -> Result<String, Error> {
        let key = SigningKey::generate()?;
        let kid = key.kid().to_owned();
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.rotate(key);
        Ok(kid)
    }

    /// Serves the current key only.
    pub fn retire_previous_keys(&self) {
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.retire_previous();
    }

    /// The public keys as the keys endpoint of that version answers them.
    pub fn key_set(&self, version: TokenVersion) -> JsonWebKeySet {
        // Entra marks keys with their issuer in the v2.0 sets only.
        let issuer = match version {
            TokenVersion::V1 => None,
            TokenVersion::V2 => Some(self.issuer_template(version)),
        };
        self.with_keys(|keys| keys.public_keys(issuer.as_deref()))
    }

    /// The `iss` of tokens of this tenant.
    pub fn issuer_of(&self, tenant: Uuid, version: TokenVersion) -> String {
        self.issuer_template(version)
            .replace("{tenantid}", &tenant.to_string())
    }

    /// The same with Entra's placeholder `{tenantid}` for the tenant.
    pub fn issuer_template(&self, version: TokenVersion) -> String {
        let base = &self.shared.base_url;
        match version {
            TokenVersion::V1 => format!("{base}/{{tenantid}}/"),
            TokenVersion::V2 => format!("{base}/{{tenantid}}/v2.0"),
        }
    }

    /// Makes the token that is asked for, good or bad.
    ///
    /// # Errors
    /// A principal that does not exist, or nothing to take the audience from.
    pub fn mint(&self, request: &TokenRequest) -> Result<String, Error> {
        crate::token::mint(self, request)
    }

    /// The time on the issuer's clock, seconds since 1970 (UTC).
    pub fn now(&self) -> i64 {
        (self.shared.clock)()
    }

    /// The path of the base URL: empty, or `/…` without a slash at the end.
    pub(crate) fn base_path(&self) -> &str {
        let url = self.shared.base_url.as_str();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
    }

    /// The names by which it is reached.
    pub(crate) fn own_names(&self) -> &[String] {
        &self.shared.hosts
    }

    pub(crate) fn is_own_name(&self, host: &str) -> bool {
        self.own_names().iter().any(|own| own.eq_ignore_ascii_case(host))
    }

    pub(crate) fn tickets(&self) -> &Tickets {
        &self.shared.tickets
    }

    pub(crate) fn current_key(&self) -> Arc<SigningKey> {
        self.with_keys(KeyRing::current)
    }

    pub(crate) fn unknown_key(&self) -> Result<Arc<SigningKey>, Error> {
        if let Some(key) = self.shared.unknown_key.get() {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(SigningKey::generate()?);
        Ok(Arc::clone(self.shared.unknown_key.get_or_init(|| key)))
    }

    fn with_keys<T>(&self, read: impl FnOnce(&KeyRing) -> T) -> T {
        let keys = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner);
        read(&keys)
    }
}

/// The host of an absolute http or https URL.
fn host_of_url(url: &str) -> Option<String> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split('/').next()?;
    let host = host_of(authority);
    (!host.is_empty()).then(|| host.to_owned())
}
