//! The one way out.

use crate::config::{DestinationSettings, Host};
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use domain::{
    destination::{Reach, reach},
    webhook::AttemptResult,
};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long connecting may take, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// How long all of it may take.
const TOTAL: Duration = Duration::from_secs(20);
/// How much of an answer's body is read.
const MOST_BYTES: usize = 16 * 1024;
/// How much is read in all, with the head and whatever comes before it: answers that only say that another will come
/// (102) could go on for ever.
const MOST_READ: u64 = 64 * 1024;
/// The ports of the internet at which something may be sent to.
const PUBLIC_PORTS: [u16; 2] = [443, 8443];

/// What a name stands for.
type Resolver = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Why nothing is sent to an address, as text for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// Why nothing is sent to an url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    /// For whoever chose it: nothing of what a name stands for, because others may not ask that.
    pub(crate) told: String,
    /// For operators.
    pub(crate) detail: String,
}

/// Where something is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    uri: Uri,
    host: Host,
}

impl Target {
    /// Reads an url.
    pub(crate) fn read(url: &str) -> Result<Self, Refused> {
        let refused = |why: &str| Refused(format!("'{url}' {why}"));
        let uri: Uri = url
            .parse()
            .map_err(|_| refused("is no url such as https://hooks.contoso.com/fame"))?;
        let host = Host::of(&uri).map_err(refused)?;
        if url.contains('#') {
            return Err(refused("has a fragment (#), which is not sent anywhere"));
        }
        Ok(Self { uri, host })
    }

    /// Whether what is sent there is read by nobody on the way who could not read it on the way to `other`.
    pub(crate) fn is_as_safe_as(&self, other: &Self) -> bool {
        self.host.is_tls || !other.host.is_tls
    }

    /// The host that it names, in small letters.
    pub(crate) fn host(&self) -> &str {
        &self.host.name
    }

    fn authority(&self) -> &str {
        self.uri.authority().map_or("", http::uri::Authority::as_str)
    }

    fn path(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreached(pub(crate) AttemptResult);

/// An answer, as far as it concerns anybody.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// What came with it, for those who know what they sent there; empty if that is longer than is read.
    pub(crate) body: Bytes,
}

impl Answer {
    /// How long whoever answered wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let value = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        // Their clock may not be ours, so a date says something beside theirs alone.
        let until = httpdate::parse_http_date(value).ok()?;
        Some(until.duration_since(self.date()?).unwrap_or_default())
    }

    fn date(&self) -> Option<SystemTime> {
        let value = self.headers.get(header::DATE)?.to_str().ok()?;
        httpdate::parse_http_date(value).ok()
    }
}

/// What sends.
pub(crate) struct Connector {
    settings: DestinationSettings,
    tls: TlsConnector,
    resolver: Resolver,
}

impl Connector {
    pub(crate) fn new(settings: DestinationSettings) -> Result<Self, rustls::Error> {
        let resolver: Resolver = Arc::new(|host, port| Box::pin(resolve(host, port)));
        Self::with(settings, resolver)
    }

    fn with(settings: DestinationSettings, resolver: Resolver) -> Result<Self, rustls::Error> {
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            settings,
            tls: TlsConnector::from(Arc::new(config)),
            resolver,
        })
    }

    /// Whether something may be sent there, as far as can be told now; it is asked anew at each connection.
    pub(crate) async fn check(&self, target: &Target) -> Result<(), Denied> {
        let host = &target.host.name;
        let hidden = |detail| Denied {
            told: format!(
                "the host '{host}' cannot be found, or is not on the internet. An operator can allow others under \
                 destinations.allowed"
            ),
            detail,
        };
        match timeout(CONNECT, self.addresses(target)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Resolution::Url(told))) => Err(Denied {
                detail: told.clone(),
                told,
            }),
            Ok(Err(Resolution::Address(detail))) => Err(hidden(detail)),
            Ok(Err(Resolution::Unknown)) | Err(_) => {
                Err(hidden(format!("the host '{host}' cannot be found")))
            }
        }
    }

    /// Sends a body, and brings the answer.
    pub(crate) async fn post(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, Unreached> {
        let sent = timeout(TOTAL, self.post_within(target, headers, body)).await;
        sent.unwrap_or(Err(Unreached(AttemptResult::Timeout)))
    }

    async fn post_within(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, Unreached> {
        let connected = timeout(CONNECT, self.connect(target)).await;
        let stream = connected.unwrap_or(Err(Unreached(AttemptResult::Timeout)))?;
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target
            .path()
            .parse()
            .map_err(|_| Unreached(AttemptResult::Connect))?;
        *request.headers_mut() = headers;
        let host = HeaderValue::from_str(target.authority());
        let host = host.map_err(|_| Unreached(AttemptResult::Connect))?;
        request.headers_mut().insert(header::HOST, host);
        exchange(stream, request).await
    }

    /// Connects to one of the addresses that were judged just now.
    async fn connect(&self, target: &Target) -> Result<Box<dyn Stream>, Unreached> {
        let addresses = match self.addresses(target).await {
            Ok(addresses) => addresses,
            Err(Resolution::Url(detail) | Resolution::Address(detail)) => {
                tracing::warn!(detail, "nothing is sent to an address");
                return Err(Unreached(AttemptResult::RefusedAddress));
            }
            // Who is told how attempts went is not told which names there are.
            Err(Resolution::Unknown) => return Err(Unreached(AttemptResult::RefusedAddress)),
        };
        let stream = TcpStream::connect(addresses.as_slice()).await;
        let stream = stream.map_err(|_| Unreached(AttemptResult::Connect))?;
        if !target.host.is_tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(target.host.name.clone());
        let name = name.map_err(|_| Unreached(AttemptResult::Tls))?;
        let encrypted = self.tls.connect(name, stream).await;
        encrypted
            .map(|stream| Box::new(stream) as Box<dyn Stream>)
            .map_err(|_| Unreached(AttemptResult::Tls))
    }

    /// All addresses that the host stands for, each of which may be sent to.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Resolution> {
        let Host { name, port, .. } = &target.host;
        let found = match name.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => (self.resolver)(name.clone(), *port)
                .await
                .map_err(|_| Resolution::Unknown)?,
        };
        if found.is_empty() {
            return Err(Resolution::Unknown);
        }
        for address in &found {
            self.judge(target, *address)?;
        }
        let with_port = |address| SocketAddr::new(address, *port);
        Ok(found.into_iter().map(with_port).collect())
    }

    fn judge(&self, target: &Target, address: IpAddr) -> Result<(), Resolution> {
        let Host { name, port, is_tls } = &target.host;
        let reach = reach(address);
        if reach == Reach::Never {
            let message = format!("'{name}' stands for {address}, to which nothing is ever sent");
            return Err(Resolution::Address(message));
        }
        let mut allowed = self.settings.allowed.iter();
        let is_allowed = allowed.any(|allowed| allowed.allows(&target.host, address.to_canonical()));
        let is_here = self.settings.allow_loopback && address.to_canonical().is_loopback();
        if is_allowed || is_here {
            return Ok(());
        }
        let allowing = "An operator can allow it under destinations.allowed";
        if reach == Reach::Internal {
            let why = format!("'{name}' stands for {address}, which is no address of the internet");
            return Err(Resolution::Address(format!("{why}. {allowing}")));
        }
        let why = if !is_tls {
            format!(
                "'{}' is reached by http, and others could read and change what is sent: use https",
                target.uri
            )
        } else if !PUBLIC_PORTS.contains(port) {
            format!("port {port} is none of 443 and 8443")
        } else {
            return Ok(());
        };
        Err(Resolution::Url(format!("{why}. {allowing}")))
    }
}

/// Why there are no addresses to connect to.
enum Resolution {
    /// The url is not one that may be sent to.
    Url(String),
    /// What it stands for is not.
    Address(String),
    Unknown,
}

async fn resolve(host: String, port: u16) -> io::Result<Vec<IpAddr>> {
    let found = lookup_host((host, port)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

/// What a request goes over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn exchange(stream: Box<dyn Stream>, request: Request<Body>) -> Result<Answer, Unreached> {
    let failed = |_| Unreached(AttemptResult::Connect);
    let (read, write) = tokio::io::split(stream);
    let stream = tokio::io::join(read.take(MOST_READ), write);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let asked = async {
        let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
        // A body that is longer, or breaks off, has been answered all the same.
        let body = to_bytes(Body::new(body), MOST_BYTES).await.unwrap_or_default();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    };
    tokio::pin!(asked, connection);
    tokio::select! {
        answer = &mut asked => answer,
        // The connection has ended; what it has brought is still to be read.
        _ = &mut connection => asked.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    fn loopback() -> DestinationSettings {
        DestinationSettings {
            allow_loopback: true,
            ..DestinationSettings::default()
        }
    }

    /// A resolver that answers with these, one after the other.
    fn answers(answers: &'static [&'static [&'static str]]) -> (Resolver, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let resolver: Resolver = Arc::new(move |_, _| {
            let answer = answers[counted.fetch_add(1, Ordering::SeqCst) % answers.len()];
            Box::pin(async move { Ok(answer.iter().map(|address| address.parse().unwrap()).collect()) })
        });
        (resolver, asked)
    }

    /// Answers each connection with `answer`; how many there were.
    async fn listener(answer: &'static [u8]) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let met = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&met);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await.unwrap();
                stream.write_all(answer).await.unwrap();
            }
        });
        (port, met)
    }

    #[tokio::test]
    async fn answers_that_say_only_that_another_comes_have_an_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let sent = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let wait = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(4_000);
            let mut sent = 0;
            while stream.write_all(&wait).await.is_ok() {
                sent += wait.len();
            }
            sent
        });
        let connector = Connector::new(loopback()).unwrap();
        let target = Target::read(&url).unwrap();
        let answer = connector.post(&target, HeaderMap::new(), Vec::new()).await;
        assert_eq!(answer.unwrap_err(), Unreached(AttemptResult::Connect));
        // What the machine holds for a connection is more than what is read of it.
        assert!(sent.await.unwrap() < 32 << 20);
    }

    #[tokio::test]
    async fn an_address_of_the_internet_at_the_usual_ports_by_tls_is_all_that_is_sent_to() {
        let (resolver, _) = answers(&[&["8.8.8.8"]]);
        let connector = Connector::with(DestinationSettings::default(), resolver).unwrap();
        for url in [
            "https://a.b/",
            "https://a.b:8443/x?y",
            "https://8.8.8.8/",
            "https://[2606:4700:4700::1111]/",
        ] {
            connector.check(&Target::read(url).unwrap()).await.unwrap();
        }
        for url in [
            "http://a.b/",
            "https://a.b:22/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:a9fe:a9fe]/",
        ] {
            assert!(
                connector.check(&Target::read(url).unwrap()).await.is_err(),
                "{url}"
            );
        }
        for url in [
            "a.b",
            "ftp://a.b/",
            "https://me@a.b/",
            "https://a.b/#c",
            "https:///x",
            "https://8.8.8.8:99999/",
            "https://a.b:/",
            "https://[2606:4700:4700::1111]:65536/",
            "file:///etc/passwd",
        ] {
            assert!(Target::read(url).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn an_address_of_ipv6_is_allowed_in_any_spelling() {
        let allowed = ["http://[::1]:9443 ::1/128", "https://[FD00:0::7] fd00::/8"];
        let settings = DestinationSettings {
            allowed: allowed.map(|text| text.parse().unwrap()).to_vec(),
            ..DestinationSettings::default()
        };
        let connector = Connector::new(settings).unwrap();
        for (url, expected) in [
            ("http://[::1]:9443/a", true),
            ("http://[0:0:0:0:0:0:0:1]:9443/", true),
            ("https://[fd00::7]/", true),
            ("https://[fd00::8]/", false),
            ("http://[::1]:9444/", false),
        ] {
            let checked = connector.check(&Target::read(url).unwrap()).await;
            assert_eq!(checked.is_ok(), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn names_that_stand_for_another_address_in_other_words_are_judged_by_it() {
        let connector = Connector::new(DestinationSettings::default()).unwrap();
        for host in ["localhost", "0x7f.1", "2130706433", "0177.0.0.1", "127.1"] {
            let target = Target::read(&format!("https://{host}/")).unwrap();
            // What the system cannot resolve is no way in either.
            assert!(connector.check(&target).await.is_err(), "{host}");
        }
    }

    #[tokio::test]
    async fn one_address_among_many_is_enough_to_refuse() {
        let (resolver, _) = answers(&[&["8.8.8.8", "10.0.0.1"]]);
        let connector = Connector::with(DestinationSettings::default(), resolver).unwrap();
        let refused = connector
            .check(&Target::read("https://a.b/").unwrap())
            .await
            .unwrap_err();
        assert!(refused.detail.contains("10.0.0.1"), "{refused:?}");
    }

    #[tokio::test]
    async fn what_a_name_stands_for_is_told_to_operators_alone() {
        let mut told = Vec::new();
        let stands_for: [&[&[&str]]; 4] =
            [&[&["10.0.0.1"]], &[&["169.254.169.254"]], &[&["fd00::1"]], &[&[]]];
        for addresses in stands_for {
            let (resolver, _) = answers(addresses);
            let connector = Connector::with(DestinationSettings::default(), resolver).unwrap();
            let target = Target::read("https://db.internal.contoso.com/").unwrap();
            told.push(connector.check(&target).await.unwrap_err().told);
            let unreached = connector.post(&target, HeaderMap::new(), Vec::new()).await;
            assert_eq!(unreached.unwrap_err(), Unreached(AttemptResult::RefusedAddress));
        }
        told.dedup();
        let [told] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert!(told.contains("'db.internal.contoso.com'"), "{told}");
    }

    #[tokio::test]
    async fn a_resolver_that_changes_its_mind_is_judged_each_time() {
        let (resolver, asked) = answers(&[
            &["8.8.8.8"],
            &["168.63.129.16"],
            &["64:ff9b::a9fe:a9fe"],
            &["127.0.0.1"],
        ]);
        let connector = Connector::with(DestinationSettings::default(), resolver).unwrap();
        let target = Target::read("https://a.b/").unwrap();
        connector.check(&target).await.unwrap();
        for _ in 0..3 {
            let refused = connector
                .post(&target, HeaderMap::new(), Vec::new())
                .await
                .unwrap_err();
            assert_eq!(refused, Unreached(AttemptResult::RefusedAddress));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn it_connects_to_what_it_judged_and_keeps_the_name() {
        let (port, met) = listener(b"HTTP/1.1 204 No Content\r\nRetry-After: 7\r\n\r\n").await;
        let (resolver, asked) = answers(&[&["127.0.0.1"]]);
        let connector = Connector::with(loopback(), resolver).unwrap();
        let target = Target::read(&format!("http://hooks.contoso.com:{port}/x")).unwrap();
        let answer = connector
            .post(&target, HeaderMap::new(), b"{}".to_vec())
            .await
            .unwrap();
        assert_eq!(
            (answer.status, answer.retry_after()),
            (204, Some(Duration::from_secs(7)))
        );
        assert_eq!((met.load(Ordering::SeqCst), asked.load(Ordering::SeqCst)), (1, 1));
    }

    #[test]
    fn when_to_come_back_is_said_in_seconds_or_by_a_date() {
        let after = |value: &'static str, date: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
            headers.extend(date.map(|date| (header::DATE, HeaderValue::from_static(date))));
            let answer = Answer {
                status: 503,
                headers,
                body: Bytes::new(),
            };
            answer.retry_after()
        };
        let (date, later) = ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:30:00 GMT");
        assert_eq!(after("120", None), Some(Duration::from_secs(120)));
        assert_eq!(after(later, Some(date)), Some(Duration::from_secs(120)));
        assert_eq!(after(date, Some(later)), Some(Duration::ZERO));
        assert_eq!(after(later, None), None);
        assert_eq!(after("soon", Some(date)), None);
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_like_any_other() {
        let (inner, reached) = listener(b"HTTP/1.1 200 OK\r\n\r\nsecret").await;
        let answer =
            format!("HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:{inner}/\r\nContent-Length: 0\r\n\r\n");
        let (port, _) = listener(answer.leak().as_bytes()).await;
        let connector = Connector::new(loopback()).unwrap();
        let target = Target::read(&format!("http://127.0.0.1:{port}/")).unwrap();
        let answer = connector
            .post(&target, HeaderMap::new(), Vec::new())
            .await
            .unwrap();
        assert_eq!((answer.status, reached.load(Ordering::SeqCst)), (307, 0));
    }

    #[tokio::test]
    async fn a_long_answer_is_not_read_to_its_end_and_nobody_is_told_what_it_holds() {
        let long = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}",
            "x".repeat(100_000)
        );
        let (port, _) = listener(long.leak().as_bytes()).await;
        let connector = Connector::new(loopback()).unwrap();
        let target = Target::read(&format!("http://127.0.0.1:{port}/")).unwrap();
        let answer = connector
            .post(&target, HeaderMap::new(), Vec::new())
            .await
            .unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 0));
    }

    #[tokio::test]
    async fn what_does_not_answer_is_told_by_how() {
        let connector = Connector::new(loopback()).unwrap();
        let unused = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let (plain, _) = listener(b"SSH-2.0-banner\r\n").await;
        for (url, expected) in [
            (format!("http://127.0.0.1:{unused}/"), AttemptResult::Connect),
            (format!("https://127.0.0.1:{plain}/"), AttemptResult::Tls),
            (format!("http://127.0.0.1:{plain}/"), AttemptResult::Connect),
            (
                "https://169.254.169.254/".to_owned(),
                AttemptResult::RefusedAddress,
            ),
        ] {
            let target = Target::read(&url).unwrap();
            let unreached = connector
                .post(&target, HeaderMap::new(), Vec::new())
                .await
                .unwrap_err();
            assert_eq!(unreached, Unreached(expected), "{url}");
        }
    }
}
