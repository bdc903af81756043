//! What drivers share that speak HTTP to their targets.
//!
//! Reading may be tried again as often as it takes. What can change something is sent once: it is either answered, or
//! certainly never arrived, or nobody knows ([`Sent`]), and then the driver has to find out.

mod answer;
mod body;
mod sign_in;

pub use answer::{Answer, Told};
pub(crate) use body::{Content, Form};
pub use sign_in::{ClientCredentials, Credentials};
pub(crate) use sign_in::{some_url, url};

use crate::{
    cause::{self, Said, Target, Verdict},
    driver::Workplace,
    failure::Failure,
};
use client::{SecureUrl, spread};
use domain::{loopback::is_loopback, operation::FailureCause};
use jiff::{SignedDuration, Timestamp};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE},
    redirect,
};
use serde::{Deserialize, de::DeserializeOwned};
use sign_in::{Authorization, SignIn};
use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Most pages of a list.
const PAGES: usize = 1_000;

/// How patient a driver is with its target.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// How long a connection may take to come about.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub connect_within: Duration,
    /// How long an answer may take to what changes nothing.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub read_within: Duration,
    /// How long an answer may take to what can change something, sending included.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub change_within: Duration,
    /// How often the same is tried.
    pub tries: u32,
    /// The pause after the first try; each is twice as long as the one before it.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub first_pause: Duration,
    /// The longest pause that is made without being asked for.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub longest_pause: Duration,
    /// The longest pause that a target may ask for; who asks for more is given up.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub longest_asked_pause: Duration,
    /// Most bytes of an answer.
    pub answer_bytes: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connect_within: Duration::from_secs(30),
            read_within: Duration::from_secs(120),
            change_within: Duration::from_secs(15 * 60),
            tries: 8,
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(120),
            longest_asked_pause: Duration::from_secs(10 * 60),
            answer_bytes: 64 << 20,
        }
    }
}

/// What came of something that can change something.
#[derive(Debug)]
pub enum Sent {
    /// It was answered by whoever decides.
    Answer(Answer),
    /// It never arrived: trying it again does it once.
    NotSent(Failure),
    /// It may have arrived, and nobody says what came of it.
    Unclear(Failure),
}

/// Something that can change something.
pub(crate) struct Change {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) content: Content,
    /// Whether it replaces whatever is there (`If-Match: *`).
    pub(crate) replaces: bool,
    /// How long it may take, if not as long as all others.
    pub(crate) within: Option<Duration>,
}

impl Change {
    pub(crate) fn post(url: Url, content: Content) -> Self {
        Self {
            method: Method::POST,
            url,
            content,
            replaces: false,
            within: None,
        }
    }
}

/// Why there is no answer.
pub(super) struct Trouble {
    text: String,
    /// Whether nothing of the request can have arrived.
    is_unsent: bool,
}

pub(super) enum OnceSent {
    Answer(Answer),
    Trouble(Trouble),
}

/// Requests to a host on behalf of a tenant, spaced so that nobody is overrun.
#[derive(Debug, Default)]
pub(crate) struct Pace(tokio::sync::Mutex<Option<Instant>>);

impl Pace {
    /// The one pace of all that is asked of `host` for this tenant, by however many drivers.
    pub(crate) fn of(host: &str, tenant: Uuid) -> Arc<Self> {
        type Paces = HashMap<(String, Uuid), Arc<Pace>>;
        static ALL: LazyLock<Mutex<Paces>> = LazyLock::new(Mutex::default);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((host.to_owned(), tenant)).or_default().clone()
    }

    async fn keep(&self, between: Duration) {
        let mut next = self.0.lock().await;
        if let Some(next) = *next {
            tokio::time::sleep_until(next.into()).await;
        }
        *next = Instant::now().checked_add(between);
    }
}

/// A connection to a host, not signed in.
pub(super) struct Connection {
    client: reqwest::Client,
    settings: HttpSettings,
}

impl Connection {
    fn new(settings: HttpSettings, urls: &[&SecureUrl]) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("fame-agent/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_within)
            // What is signed must not follow a redirect to somebody else.
            .redirect(redirect::Policy::none());
        if urls.iter().all(|url| url.host_str().is_some_and(is_loopback)) {
            builder = builder.no_proxy();
        }
        if urls.iter().all(|url| url.scheme() == "http") {
            // Where nothing is encrypted, a machine without any certificate authorities will do.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|wrong| {
            Failure::new(
                FailureCause::Connection,
                format!("TLS cannot be set up: {}", cause(&wrong)),
            )
        })?;
        Ok(Self { client, settings })
    }

    fn tries(&self) -> Tries<'_> {
        Tries {
            settings: &self.settings,
            made: 1,
        }
    }

    /// Sends `content` once, and reads the answer to its end.
    async fn send(&self, request: RequestBuilder, content: &Content, within: Duration) -> OnceSent {
        let body = match content.open().await {
            Ok(body) => body,
            Err(wrong) => {
                return OnceSent::Trouble(Trouble {
                    text: format!("The package cannot be read: {wrong}"),
                    is_unsent: true,
                });
            }
        };
        let begun = (!body.is_empty()).then(|| body.begun.clone());
        let request = match (content, content.media_type()) {
            (_, Some(media_type)) => request
                .header(CONTENT_TYPE, media_type)
                .body(reqwest::Body::wrap(body)),
            _ => request,
        };
        let untouched = || begun.as_ref().is_some_and(|begun| !begun.has());
        match tokio::time::timeout(within, self.exchange(request)).await {
            Ok(Ok(answer)) => OnceSent::Answer(answer),
            Ok(Err(trouble)) => OnceSent::Trouble(Trouble {
                is_unsent: trouble.is_unsent || untouched(),
                ..trouble
            }),
            Err(_) => OnceSent::Trouble(Trouble {
                text: format!("No answer within {within:?}"),
                is_unsent: untouched(),
            }),
        }
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        let (client, request) = request.build_split();
        let request = request.map_err(|wrong| Trouble {
            text: cause(&wrong),
            is_unsent: true,
        })?;
        let line = format!("{} {}", request.method(), request.url().path());
        let host = host(request.url());
        let response = client.execute(request).await.map_err(|wrong| Trouble {
            is_unsent: wrong.is_connect(),
            text: match wrong.is_connect() {
                true => format!("{host} cannot be reached: {}", cause(&wrong)),
                false => format!("{host} broke the connection: {}", cause(&wrong)),
            },
        })?;
        self.read(line, response).await
    }

    async fn read(&self, request: String, mut response: Response) -> Result<Answer, Trouble> {
        let cut = |text| Trouble {
            text,
            is_unsent: false,
        };
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|wrong| cut(format!("The answer to {request} broke off: {}", cause(&wrong))))?
        {
            if body.len() + chunk.len() > self.settings.answer_bytes {
                let most = self.settings.answer_bytes;
                return Err(cut(format!(
                    "The answer to {request} is longer than {most} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            request,
            status: response.status(),
            headers: response.headers().clone(),
            body,
        })
    }
}

/// The innermost cause: what the network or the system said first. No address is in it, for it may hold names.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The tries of one request.
pub(super) struct Tries<'s> {
    settings: &'s HttpSettings,
    made: u32,
}

impl Tries<'_> {
    /// Waits before the next try; `asked` is how long the target wants to be left alone.
    ///
    /// # Errors
    /// `failure` itself, when it is time to give up.
    async fn pause_or(&mut self, failure: Failure, asked: Option<Duration>) -> Result<(), Failure> {
        let HttpSettings {
            tries,
            first_pause,
            longest_pause,
            longest_asked_pause,
            ..
        } = *self.settings;
        let grown = first_pause.saturating_mul(1 << (self.made - 1).min(16));
        let pause = asked.unwrap_or_else(|| spread(grown.min(longest_pause)));
        if self.made >= tries || asked.is_some_and(|asked| asked > longest_asked_pause) {
            return Err(failure);
        }
        self.made += 1;
        tracing::debug!(?pause, made = self.made, why = failure.text, "tried again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// A target, signed in to unless anybody may ask it.
pub(crate) struct Http {
    target: Target,
    connection: Connection,
    sign_in: Option<SignIn>,
    pace: Option<(Arc<Pace>, Duration)>,
    /// What the target's clock showed at last, and when.
    clock: Mutex<Option<(Timestamp, Instant)>>,
}

impl Http {
    /// `url` is where the target is; `token_url` where tokens are issued unless the credentials say.
    pub(crate) fn new(
        target: Target,
        settings: HttpSettings,
        credentials: Credentials,
        url: &SecureUrl,
        token_url: Option<SecureUrl>,
    ) -> Result<Self, Failure> {
        let sign_in = SignIn::new(credentials, token_url);
        let urls: Vec<&SecureUrl> = [url].into_iter().chain(sign_in.token_url()).collect();
        Ok(Self {
            target,
            connection: Connection::new(settings, &urls)?,
            sign_in: Some(sign_in),
            pace: None,
            clock: Mutex::default(),
        })
    }

    /// A target that anybody may ask.
    pub(crate) fn open(target: Target, settings: HttpSettings, url: &SecureUrl) -> Result<Self, Failure> {
        Ok(Self {
            target,
            connection: Connection::new(settings, &[url])?,
            sign_in: None,
            pace: None,
            clock: Mutex::default(),
        })
    }

    /// With at least this pause between requests of that pace.
    pub(crate) fn paced(self, pace: Arc<Pace>, between: Duration) -> Self {
        Self {
            pace: Some((pace, between)),
            ..self
        }
    }

    /// Why an answer is no success, and all that it says.
    pub(crate) fn refusal(&self, answer: &Answer, to_change: bool, app: Option<&str>) -> (Verdict, Failure) {
        let verdict = cause::classify(&Said {
            by: self.target,
            to_change,
            status: Some(answer.status.as_u16()),
            text: &String::from_utf8_lossy(&answer.body),
            app,
        });
        let text = format!("{} was answered {}", answer.request, answer.told());
        (verdict, self.clean(verdict.failure(text)))
    }

    /// What was read, if it is a success.
    ///
    /// # Errors
    /// Those of [`Self::read`], and the answer if it is none.
    pub(crate) async fn get(&self, url: &Url) -> Result<Answer, Failure> {
        let answer = self.read(url).await?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(self.refusal(&answer, false, None).1),
        }
    }

    /// The application that signs in, if it is one.
    pub(crate) fn client_id(&self) -> Option<&str> {
        self.sign_in.as_ref()?.client_id()
    }

    /// Now by the target's clock, as far as it ever told.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let (shown, seen) = (*self.clock.lock().unwrap_or_else(PoisonError::into_inner))?;
        let passed = SignedDuration::try_from(seen.elapsed()).ok()?;
        shown.checked_add(passed).ok()
    }

    /// `failure` without secrets.
    pub(crate) fn clean(&self, failure: Failure) -> Failure {
        match &self.sign_in {
            Some(sign_in) => Failure {
                text: sign_in.clean(&failure.text),
                ..failure
            },
            None => failure,
        }
    }

    /// Signs in now rather than with the first request.
    pub(crate) async fn sign_in(&self) -> Result<(), Failure> {
        self.authorization().await.map(drop)
    }

    async fn authorization(&self) -> Result<Option<Authorization>, Failure> {
        match &self.sign_in {
            Some(sign_in) => sign_in.authorization(&self.connection).await.map(Some),
            None => Ok(None),
        }
    }

    async fn once(
        &self,
        change: &Change,
        within: Duration,
        has_renewed: &mut bool,
    ) -> Result<OnceSent, Failure> {
        loop {
            if let Some((pace, between)) = &self.pace {
                pace.keep(*between).await;
            }
            let authorization = self.authorization().await?;
            let mut request = self
                .connection
                .client
                .request(change.method.clone(), change.url.clone())
                .header(ACCEPT, "application/json")
                .header(ACCEPT_LANGUAGE, "en-US");
            if let Some(authorization) = &authorization {
                request = request.header(AUTHORIZATION, authorization.header.clone());
            }
            if change.replaces {
                request = request.header("if-match", "*");
            }
            let sent = self.connection.send(request, &change.content, within).await;
            let OnceSent::Answer(answer) = &sent else {
                return Ok(sent);
            };
            if let Some(date) = answer.date() {
                *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, Instant::now()));
            }
            if answer.status == StatusCode::UNAUTHORIZED
                && !*has_renewed
                && let (Some(sign_in), Some(authorization)) = (&self.sign_in, &authorization)
                && authorization.is_renewable
            {
                sign_in.forget(authorization).await;
                *has_renewed = true;
                continue;
            }
            return Ok(sent);
        }
    }

    /// What is there: whatever was answered in the end, also when it is no success.
    ///
    /// # Errors
    /// When nobody answered, however often it was tried, or nobody could sign in.
    pub(crate) async fn read(&self, url: &Url) -> Result<Answer, Failure> {
        let reading = Change {
            method: Method::GET,
            ..Change::post(url.clone(), Content::Empty)
        };
        let mut tries = self.connection.tries();
        let mut has_renewed = false;
        let within = self.connection.settings.read_within;
        loop {
            match self.once(&reading, within, &mut has_renewed).await? {
                OnceSent::Answer(answer) if answer.is_passing() => {
                    let (_, failure) = self.refusal(&answer, false, None);
                    tries.pause_or(failure, answer.retry_after()).await?;
                }
                OnceSent::Answer(answer) => return Ok(answer),
                OnceSent::Trouble(trouble) => {
                    let failure = Failure::new(FailureCause::Connection, trouble.text);
                    tries.pause_or(self.clean(failure), None).await?;
                }
            }
        }
    }

    /// All rows of a list, page after page, as long as the pages are with the same service.
    ///
    /// # Errors
    /// Those of [`Self::get`], and lists without an end.
    pub(crate) async fn rows<T: DeserializeOwned>(&self, url: &Url) -> Result<Vec<T>, Failure> {
        #[derive(Deserialize)]
        struct Page<T> {
            value: Option<Vec<T>>,
            #[serde(rename = "@odata.nextLink", alias = "nextLink")]
            next: Option<String>,
        }
        let mut rows = Vec::new();
        let mut url = url.clone();
        for _ in 0..PAGES {
            let page: Page<T> = self.get(&url).await?.json()?;
            rows.extend(page.value.unwrap_or_default());
            match page.next {
                None => return Ok(rows),
                Some(link) => url = self.same_service(&url, &link)?,
            }
        }
        Err(Failure::other(format!("The list at {} does not end", url.path())))
    }

    /// The address that a link says, as long as it is with the service that said it: nothing is signed in elsewhere.
    pub(crate) fn same_service(&self, current: &Url, link: &str) -> Result<Url, Failure> {
        let next = current.join(link).map_err(|_| {
            Failure::other(format!(
                "A link in the answer to {} is no address",
                current.path()
            ))
        })?;
        match next.origin() == current.origin() {
            true => Ok(next),
            false => Err(Failure::other(format!(
                "A link in the answer to {} is to {}, which is another service: not followed",
                current.path(),
                next.origin().ascii_serialization()
            ))),
        }
    }

    /// Sends something that can change something, once; again only where nothing of it can have been carried out. What begins
    /// something at the target is begun from a workplace, and not tried again without its leave.
    pub(crate) async fn change(&self, change: &Change, from: Option<&dyn Workplace>) -> Sent {
        let mut tries = self.connection.tries();
        let mut has_renewed = false;
        let within = change.within.unwrap_or(self.connection.settings.change_within);
        loop {
            let (failure, asked) = match self.once(change, within, &mut has_renewed).await {
                // Nobody could sign in.
                Err(failure) => return Sent::NotSent(failure),
                Ok(OnceSent::Answer(answer)) if answer.status == StatusCode::TOO_MANY_REQUESTS => {
                    (self.refusal(&answer, true, None).1, answer.retry_after())
                }
                Ok(OnceSent::Answer(answer)) if answer.is_uncertain() => {
                    return Sent::Unclear(self.refusal(&answer, true, None).1);
                }
                Ok(OnceSent::Answer(answer)) => return Sent::Answer(answer),
                Ok(OnceSent::Trouble(Trouble { text, is_unsent })) => {
                    let failure = self.clean(Failure::new(FailureCause::Connection, text));
                    if !is_unsent {
                        return Sent::Unclear(failure);
                    }
                    (failure, None)
                }
            };
            if let Err(failure) = tries.pause_or(failure, asked).await {
                return Sent::NotSent(failure);
            }
            if let Some(Err(failure)) = from.map(Workplace::may_begin) {
                return Sent::NotSent(failure);
            }
        }
    }
}

/// The host of an address with its port: on one host several may answer.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The address of what lies `segments` below `root`.
pub(crate) fn below(root: &Url, segments: &[&str]) -> Url {
    let mut url = root.clone();
    // Only addresses such as `mailto:` have no segments, and those are not secure.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_with_its_port() {
        for (url, told) in [
            ("https://contoso.com/x", "contoso.com:443"),
            ("http://[::1]:7049/BC", "[::1]:7049"),
        ] {
            assert_eq!(host(&url.parse().unwrap()), told);
        }
    }

    #[tokio::test]
    async fn requests_to_one_tenant_keep_their_distance() {
        let (tenant, between) = (Uuid::new_v4(), Duration::from_millis(20));
        let begun = Instant::now();
        for _ in 0..3 {
            // Each by another driver.
            Pace::of("contoso.com", tenant).keep(between).await;
        }
        assert!(begun.elapsed() >= 2 * between);
        let other = Pace::of("contoso.com", Uuid::new_v4());
        assert!(other.0.lock().await.is_none(), "another tenant waits for nobody");
    }
}
