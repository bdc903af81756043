//! The issuers' public keys: fetched from configured addresses only, kept, and replaced as they rotate.
//!
//! Two people must not be able to hurt us here. Who sends tokens must not make us fetch at will, nor keep a new key from
//! us: a few unknown key ids are searched for at once, then one fetch in ten seconds answers for all of them together, and
//! whoever names such a key waits for it. And who runs the issuer's web server badly must not lock everybody out: a failed
//! or empty answer leaves the last good keys in force.

use domain::chain::Chain;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use super::WallClock;
use super::error::UNAVAILABLE_PAUSE;
use super::settings::origin_of;
use super::token::LONGEST_KID;
use super::trusted::TENANT_PLACEHOLDER;

/// Seconds after which keys are fetched again in the background, while the known ones serve on.
const REFRESH_AFTER: i64 = 3_600;
/// Seconds after which keys are not used without an attempt to fetch them again.
const TIME_TO_LIVE: i64 = 24 * 3_600;
/// Time between two fetches that unknown key ids may cause, once [`SEARCHES_AT_ONCE`] have been made.
const SEARCH_PAUSE: Duration = Duration::from_secs(10);
/// Fetches that unknown key ids may cause without a pause.
const SEARCHES_AT_ONCE: u32 = 5;
/// Most callers who wait until an unknown key may be searched for.
const MOST_SEARCHERS: usize = 256;
/// Seconds between two attempts to renew keys that serve on meanwhile.
const RENEWAL_PAUSE: i64 = 60;
/// Seconds for which a key id that a fresh set lacked stays unknown; the issuer may be about to publish it.
const UNKNOWN_KEY_LIFE: i64 = 10;
/// Most keys of one set, and most unknown ids that are remembered for it.
const MAX_KEYS: usize = 1_000;
/// Largest discovery document or key set, bytes.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// Modulus lengths in bytes that are neither weak nor a way to waste our time.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// A key that verifies RS256 signatures.
pub(super) struct PublicKey {
    kid: String,
    /// Whose tokens it may sign, with `{tenantid}` for any tenant; nothing if the set does not say.
    issuer: Option<String>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    /// Set once the issuer no longer serves it, so that what it verified is not trusted any longer.
    retired: AtomicBool,
}

impl PublicKey {
    /// Reads one key of a set; nothing if it is of no use here, such as another type or purpose.
    fn from_json(key: &Value) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let is_for_signatures = text("use").is_none_or(|purpose| purpose == "sig");
        let is_for_rs256 = text("alg").is_none_or(|algorithm| algorithm == "RS256");
        if text("kty") != Some("RSA") || !is_for_signatures || !is_for_rs256 {
            return None;
        }
        let kid = text("kid").filter(|kid| !kid.is_empty() && kid.len() <= LONGEST_KID)?;
        let modulus = without_leading_zeros(URL_SAFE_NO_PAD.decode(text("n")?).ok()?);
        let exponent = without_leading_zeros(URL_SAFE_NO_PAD.decode(text("e")?).ok()?);
        if !MODULUS_BYTES.contains(&modulus.len()) || exponent.is_empty() {
            return None;
        }
        Some(Self {
            kid: kid.to_owned(),
            issuer: text("issuer").map(str::to_owned),
            modulus,
            exponent,
            retired: AtomicBool::new(false),
        })
    }

    /// Whether the set that holds the key says it may sign for this issuer and tenant.
    pub(super) fn may_sign_for(&self, issuer: &str, tenant: Uuid) -> bool {
        let Some(own) = &self.issuer else {
            return true;
        };
        own.replace(TENANT_PLACEHOLDER, &tenant.to_string()) == issuer
    }

    /// Whether the signature (base64url) over `message` is RS256 by this key.
    pub(super) fn verifies(&self, message: &str, signature: &str) -> bool {
        let key = RsaPublicKeyComponents {
            n: &self.modulus,
            e: &self.exponent,
        };
        URL_SAFE_NO_PAD.decode(signature).is_ok_and(|signature| {
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature)
                .is_ok()
        })
    }

    /// Whether the issuer has stopped serving it.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.modulus == other.modulus && self.exponent == other.exponent
    }
}

fn without_leading_zeros(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// Where the keys of one issuer are, and how to be sure that they are its.
pub(super) struct KeySource {
    pub http: reqwest::Client,
    /// The discovery document.
    pub document_url: String,
    /// The issuer that the document must name.
    pub issuer: String,
    /// The tenant whose document it is, for documents that name their issuer with a placeholder.
    pub tenant: Option<Uuid>,
    /// `scheme://host[:port]` of where the document may send us.
    pub origins: Vec<String>,
}

/// Why keys could not be fetched. For our log only.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("the answer is larger than {LARGEST_ANSWER} bytes")]
    TooLarge,
    #[error("the answer is not the expected JSON")]
    Json(#[from] serde_json::Error),
    #[error("the discovery document names the issuer `{0}`")]
    ForeignIssuer(String),
    #[error("the discovery document sends us for keys to `{0}`, which is not configured")]
    ForeignOrigin(String),
    #[error("the key set has no usable key")]
    NoKeys,
}

#[derive(Deserialize)]
struct DiscoveryDocument {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct RawKeySet {
    keys: Vec<Value>,
}

type Keys = HashMap<String, Arc<PublicKey>>;

impl KeySource {
    async fn fetch(&self) -> Result<Keys, FetchError> {
        let document: DiscoveryDocument = serde_json::from_slice(&self.get(&self.document_url).await?)?;
        if !self.is_our_issuer(&document.issuer) {
            return Err(FetchError::ForeignIssuer(document.issuer));
        }
        let origin = origin_of(&document.jwks_uri);
        if !origin.is_some_and(|origin| self.origins.contains(&origin)) {
            return Err(FetchError::ForeignOrigin(document.jwks_uri));
        }
        let set: RawKeySet = serde_json::from_slice(&self.get(&document.jwks_uri).await?)?;
        let keys = usable_keys(&set.keys);
        if keys.is_empty() {
            Err(FetchError::NoKeys)
        } else {
            Ok(keys)
        }
    }

    fn is_our_issuer(&self, named: &str) -> bool {
        match self.tenant {
            Some(tenant) => named.replace(TENANT_PLACEHOLDER, &tenant.to_string()) == self.issuer,
            None => named == self.issuer,
        }
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let mut response = self.http.get(url).send().await?;
        if response.status() != http::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Keys are read one by one, because a set may hold types that did not exist when this was written.
fn usable_keys(raw: &[Value]) -> Keys {
    let mut keys = Keys::new();
    for key in raw.iter().filter_map(PublicKey::from_json).take(MAX_KEYS) {
        keys.entry(key.kid.clone()).or_insert_with(|| Arc::new(key));
    }
    keys
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer does not serve this key.
    Unknown,
    /// Nothing was ever fetched from the issuer.
    NeverLoaded,
}

/// The keys of one issuer for one tenant.
pub(super) struct KeySet {
    source: KeySource,
    clock: WallClock,
    state: RwLock<State>,
    /// Whoever fetches holds this; everybody else who needs a fetch waits for it and takes its result.
    turn: tokio::sync::Mutex<()>,
    /// Places for those who name an unknown key.
    searchers: Semaphore,
}

#[derive(Default)]
struct State {
    keys: Keys,
    /// Key ids that a fresh set lacked, and when.
    unknown: HashMap<String, i64>,
    loaded_at: Option<i64>,
    attempted_at: Option<i64>,
    /// When all searches so far will have had their pause.
    searched_until: Option<Instant>,
    /// Counts the attempts to fetch.
    begun: u64,
    /// Which of them was the last to finish; there is one at a time.
    finished: u64,
    /// Counts those of them that brought keys.
    loads: u64,
}

/// Why one would fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RefreshReason {
    /// There are no keys at all.
    FirstLoad,
    /// The keys have become old.
    Renewal,
    /// A token names a key that is not in the set.
    UnknownKey,
}

/// What a look at the state says about one key id.
enum Lookup {
    Fresh(Arc<PublicKey>),
    Ageing(Arc<PublicKey>),
    Outdated,
    KnownToBeUnknown,
    Absent,
    Empty,
}

impl KeySet {
    pub(super) fn new(source: KeySource, clock: WallClock) -> Arc<Self> {
        let state = RwLock::default();
        Arc::new(Self {
            source,
            clock,
            state,
            turn: tokio::sync::Mutex::default(),
            searchers: Semaphore::new(MOST_SEARCHERS),
        })
    }

    /// The key with this id, fetched if need be and allowed.
    pub(super) async fn key(self: &Arc<Self>, kid: &str) -> Result<Arc<PublicKey>, NoKey> {
        match self.lookup(kid) {
            Lookup::Fresh(key) => return Ok(key),
            Lookup::Ageing(key) => {
                self.renew_in_background();
                return Ok(key);
            }
            Lookup::KnownToBeUnknown => return Err(NoKey::Unknown),
            Lookup::Outdated => self.refresh(RefreshReason::Renewal).await,
            Lookup::Absent => self.search_for(kid).await,
            Lookup::Empty => self.refresh(RefreshReason::FirstLoad).await,
        }
        let state = self.read();
        match state.keys.get(kid) {
            Some(key) => Ok(Arc::clone(key)),
            None if state.loaded_at.is_none() => Err(NoKey::NeverLoaded),
            None => Err(NoKey::Unknown),
        }
    }

    /// Fetches the keys, and says what stands in the way.
    pub(super) async fn try_fetch(&self) -> Option<String> {
        let failed = self.source.fetch().await.err()?;
        Some(format!("{}: {}", self.source.document_url, Chain(&failed)))
    }

    /// Fetches the keys if there are none yet, and says whether there are any now.
    pub(super) async fn load(self: &Arc<Self>) -> bool {
        if self.read().loaded_at.is_none() {
            self.refresh(RefreshReason::FirstLoad).await;
        }
        self.read().loaded_at.is_some()
    }

    fn lookup(&self, kid: &str) -> Lookup {
        let now = (self.clock)();
        let state = self.read();
        let Some(loaded_at) = state.loaded_at else {
            return Lookup::Empty;
        };
        let age = now.saturating_sub(loaded_at);
        match state.keys.get(kid) {
            Some(_) if age >= TIME_TO_LIVE => Lookup::Outdated,
            Some(key) if age >= REFRESH_AFTER => Lookup::Ageing(Arc::clone(key)),
            Some(key) => Lookup::Fresh(Arc::clone(key)),
            None if state.is_known_to_be_unknown(kid, now) => Lookup::KnownToBeUnknown,
            None => Lookup::Absent,
        }
    }

    /// Waits for a fetch that begins from now on: one under way may be older than the key.
    async fn search_for(self: &Arc<Self>, kid: &str) {
        let Ok(_place) = self.searchers.try_acquire() else {
            return;
        };
        let (loads, begun, pause) = {
            let state = self.read();
            (
                state.loads,
                state.begun,
                state.pause_before_search(Instant::now()),
            )
        };
        tokio::time::sleep(pause).await;
        self.fetch_after(begun, RefreshReason::UnknownKey).await;
        let now = (self.clock)();
        let mut state = self.write();
        // Only a set that really came can tell that the key does not exist.
        if state.loads != loads && !state.keys.contains_key(kid) {
            state.remember_unknown(kid, now);
        }
    }

    fn renew_in_background(self: &Arc<Self>) {
        if !self.read().permits(RefreshReason::Renewal, (self.clock)()) {
            return;
        }
        let set = Arc::clone(self);
        tokio::spawn(async move { set.refresh(RefreshReason::Renewal).await });
    }

    /// Fetches if it is permitted, or waits for the fetch that is under way. The fetch is a task of its own,
    /// so that a caller who hangs up does not cancel it for the others.
    async fn refresh(self: &Arc<Self>, reason: RefreshReason) {
        let finished = self.read().finished;
        let is_permitted = self.read().permits(reason, (self.clock)());
        let is_under_way = self.turn.try_lock().is_err();
        if is_permitted || is_under_way {
            self.fetch_after(finished, reason).await;
        }
    }

    /// Fetches, unless an attempt after this one has come to its end meanwhile.
    async fn fetch_after(self: &Arc<Self>, attempt: u64, reason: RefreshReason) {
        let set = Arc::clone(self);
        let fetch = tokio::spawn(async move { set.fetch_in_turn(attempt, reason).await });
        if fetch.await.is_err() {
            tracing::error!(url = %self.source.document_url, "fetching signing keys was aborted");
        }
    }

    async fn fetch_in_turn(&self, attempt: u64, reason: RefreshReason) {
        let _turn = self.turn.lock().await;
        let somebody_has_just_done_it = self.read().finished > attempt;
        if somebody_has_just_done_it || !self.begin_attempt(reason) {
            return;
        }
        let fetched = self.source.fetch().await;
        if let Err(error) = &fetched {
            let url = &self.source.document_url;
            tracing::warn!(%url, error = %Chain(error), "signing keys could not be fetched; the known ones stay in force");
        }
        self.finish_attempt(fetched.ok());
    }

    fn begin_attempt(&self, reason: RefreshReason) -> bool {
        let now = (self.clock)();
        let mut state = self.write();
        if !state.permits(reason, now) {
            return false;
        }
        state.attempted_at = Some(now);
        state.begun += 1;
        if reason == RefreshReason::UnknownKey {
            let now = Instant::now();
            let until = state.searched_until.map_or(now, |until| until.max(now));
            state.searched_until = Some(until + SEARCH_PAUSE);
        }
        true
    }

    fn finish_attempt(&self, fetched: Option<Keys>) {
        let now = (self.clock)();
        let mut state = self.write();
        state.finished = state.begun;
        if let Some(keys) = fetched {
            state.replace_keys(keys, now);
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn permits(&self, reason: RefreshReason, now: i64) -> bool {
        let (last, pause) = match reason {
            RefreshReason::FirstLoad => (self.attempted_at, UNAVAILABLE_PAUSE.into()),
            RefreshReason::Renewal => (self.attempted_at, RENEWAL_PAUSE),
            RefreshReason::UnknownKey => return self.pause_before_search(Instant::now()).is_zero(),
        };
        // A clock that was set back must not forbid fetching until it catches up.
        last.is_none_or(|last| now < last || now - last >= pause)
    }

    /// How long a search has to wait. It goes by a clock that nobody sets.
    fn pause_before_search(&self, now: Instant) -> Duration {
        let Some(until) = self.searched_until else {
            return Duration::ZERO;
        };
        let credit = SEARCH_PAUSE * (SEARCHES_AT_ONCE - 1);
        until.saturating_duration_since(now + credit)
    }

    fn is_known_to_be_unknown(&self, kid: &str, now: i64) -> bool {
        let since = self.unknown.get(kid);
        since.is_some_and(|since| (0..UNKNOWN_KEY_LIFE).contains(&now.saturating_sub(*since)))
    }

    fn remember_unknown(&mut self, kid: &str, now: i64) {
        if self.unknown.len() >= MAX_KEYS {
            self.unknown
                .retain(|_, since| (0..UNKNOWN_KEY_LIFE).contains(&now.saturating_sub(*since)));
        }
        if self.unknown.len() < MAX_KEYS {
            self.unknown.insert(kid.to_owned(), now);
        }
    }

    /// Takes over a fetched set. A key that is still served stays the same object, so that what it verified
    /// stays verified; one that is gone is retired.
    fn replace_keys(&mut self, mut fetched: Keys, now: i64) {
        for (kid, old) in &self.keys {
            match fetched.get_mut(kid) {
                Some(new) if new.is_same(old) => *new = Arc::clone(old),
                _ => old.retired.store(true, Ordering::Relaxed),
            }
        }
        self.keys = fetched;
        self.loaded_at = Some(now);
        self.loads += 1;
    }
}
