//! Signing in by browser: the issuer's page asks who it is, and sends the browser back to this machine with a code.
//!
//! Other programs of this machine, and pages in the browser, must get nothing of that: the way back is listened for by
//! both of this machine's addresses, so that nobody else can take it by the other one; the code is worth nothing without
//! a verifier that only this process knows (RFC 7636); and what comes back is believed only with the state that went out.

use super::login::{SignInPlace, lasting};
use crate::{failure::Failure, output::Printer};
use client::Issuers;
use data_encoding::BASE64URL_NOPAD;
use reqwest::Url;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener as AsyncListener, TcpStream},
    time::timeout,
};
use uuid::Uuid;

/// How long somebody has to sign in.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);
/// How long a browser may take to say what it wants.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// The longest head of a request, bytes.
const MOST_OF_A_HEAD: usize = 16 * 1024;
/// Most connections that lead to nothing, as browsers ask for pictures and open some beforehand.
const MOST_ASIDE: usize = 32;

/// Signs somebody in; what the issuer gave. `port` is where the browser comes back to, 0 for any.
///
/// # Errors
/// [`Failure::Rule`] when somebody else listens there already, [`Failure::NotSignedIn`] when nobody signed in, or what came
/// back is not what was asked for, [`Failure::Service`] when the issuer refuses or is out of reach.
pub(crate) async fn sign_in(
    at: &SignInPlace,
    issuers: &Issuers,
    port: u16,
    printer: Printer,
) -> Result<Value, Failure> {
    let authorize = at.beside("authorize")?;
    let way_back = WayBack::open(port).map_err(|error| {
        Failure::Rule(format!(
            "The browser's way back cannot be kept for this program alone, so nobody is signed in: {error}."
        ))
    })?;
    let asked = Asked::new(way_back.address());
    let page = asked.page(&authorize, at);
    printer.note(format!(
        "Sign in in your browser. If none opens, open this there:\n{page}"
    ));
    open(&page);
    let waited = timeout(PATIENCE, way_back.answer(&asked.state)).await;
    let answer = waited.map_err(|_| {
        let minutes = PATIENCE.as_secs() / 60;
        Failure::NotSignedIn(format!("Nobody signed in within {minutes} minutes."))
    })??;
    let code = asked.code(&answer, &at.token_url)?;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", at.client_id.as_str()),
        ("scope", &lasting(&at.scope)),
        ("code", &code),
        ("redirect_uri", &asked.back),
        ("code_verifier", &asked.verifier),
    ];
    let given = issuers.post(&at.token_url, &form).await?;
    asked.check(&given, &at.client_id)?;
    Ok(given)
}

/// What was asked, and by what the answer is known.
struct Asked {
    back: String,
    state: String,
    nonce: String,
    verifier: String,
}

/// 244 random bits, in letters that need no encoding.
fn random() -> String {
    let bytes = [Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes).concat();
    BASE64URL_NOPAD.encode(&bytes)
}

fn refused(why: impl Into<String>) -> Failure {
    Failure::NotSignedIn(why.into())
}

impl Asked {
    fn new(back: String) -> Self {
        Self {
            back,
            state: random(),
            nonce: random(),
            verifier: random(),
        }
    }

    /// The issuer's page, with all that it has to know.
    fn page(&self, authorize: &Url, at: &SignInPlace) -> Url {
        let mut page = authorize.clone();
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(self.verifier.as_bytes()));
        page.query_pairs_mut()
            .append_pair("client_id", &at.client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", &self.back)
            .append_pair("response_mode", "query")
            .append_pair("scope", &lasting(&at.scope))
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("prompt", "select_account");
        page
    }

    /// The code of what came back.
    fn code(&self, answer: &Fields, issuer: &Url) -> Result<String, Failure> {
        if let Some(error) = answer.get("error") {
            let description = answer
                .get("error_description")
                .map(String::as_str)
                .unwrap_or_default();
            return Err(refused(
                format!("Nobody was signed in: {error} {description}")
                    .trim()
                    .to_owned(),
            ));
        }
        if let Some(told) = answer.get("iss")
            && !is_of(told, issuer)
        {
            return Err(refused(format!(
                "{told} answered, and not {}, which was asked (RFC 9207): nothing was sent to it.",
                issuer.origin().ascii_serialization()
            )));
        }
        let code = answer.get("code").filter(|code| !code.is_empty());
        code.cloned()
            .ok_or_else(|| refused("The browser came back without a code."))
    }

    /// Makes sure that the tokens are of this sign-in. They came from the issuer itself, over TLS, so their signature adds
    /// nothing (OpenID Connect Core §3.1.3.7).
    fn check(&self, given: &Value, client_id: &str) -> Result<(), Failure> {
        let Some(token) = given["id_token"].as_str() else {
            return Ok(());
        };
        let told = client::claims(token).unwrap_or_default();
        let is_ours = told.get("nonce").and_then(Value::as_str) == Some(&self.nonce)
            && told.get("aud").and_then(Value::as_str) == Some(client_id);
        match is_ours {
            true => Ok(()),
            false => Err(refused(
                "The issuer gave tokens of another sign-in: nothing is kept of them.",
            )),
        }
    }
}

/// Whether the issuer that is called `told` lives where tokens are issued.
fn is_of(told: &str, issuer: &Url) -> bool {
    Url::parse(told).is_ok_and(|told| told.origin() == issuer.origin())
}

type Fields = HashMap<String, String>;

/// Where the browser comes back to: one port of this machine, by both of its addresses.
#[derive(Debug)]
struct WayBack {
    port: u16,
    listeners: Vec<AsyncListener>,
}

impl WayBack {
    /// Takes `port`, or any for 0.
    fn open(port: u16) -> io::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(|error| taken(error, "127.0.0.1", port))?;
        let port = first.local_addr()?.port();
        let second = match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))) {
            Ok(second) => Some(second),
            // A machine without that address has nobody who could listen there.
            Err(error) if has_no_such_address(&error) => None,
            Err(error) => return Err(taken(error, "[::1]", port)),
        };
        let ready = |listener: TcpListener| {
            listener.set_nonblocking(true)?;
            AsyncListener::from_std(listener)
        };
        let listeners = [Some(first), second].into_iter().flatten().map(ready);
        Ok(Self {
            port,
            listeners: listeners.collect::<io::Result<_>>()?,
        })
    }

    fn address(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// What the browser comes back with. Whatever it asks for besides leads to nothing.
    async fn answer(&self, state: &str) -> Result<Fields, Failure> {
        for _ in 0..MOST_ASIDE {
            let accepting = self.listeners.iter().map(|listener| Box::pin(listener.accept()));
            let (accepted, ..) = futures::future::select_all(accepting).await;
            let Ok((mut connection, _)) = accepted else {
                continue;
            };
            let head = timeout(HEAD_WITHIN, head(&mut connection)).await;
            let Some(fields) = head.ok().and_then(|head| self.read(&head?)) else {
                say(connection, "404 Not Found", "There is nothing here.").await;
                continue;
            };
            let is_ours = fields.get("state").is_some_and(|told| told == state);
            if !is_ours {
                say(
                    connection,
                    "400 Bad Request",
                    "This is not the sign-in that was begun.",
                )
                .await;
                // Whoever else sends somebody here does not end what was begun.
                continue;
            }
            let text = match fields.contains_key("code") {
                true => "You can close this page and go on where you began.",
                false => "You are not signed in. You can close this page.",
            };
            say(connection, "200 OK", text).await;
            return Ok(fields);
        }
        Err(refused(
            "Somebody keeps asking at the browser's way back: nobody was signed in.",
        ))
    }

    /// The query of a request for our page; nothing of any other request.
    fn read(&self, head: &str) -> Option<Fields> {
        let mut lines = head.split("\r\n");
        let target = lines.next()?.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?;
        let host = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("host").then(|| value.trim())
        })?;
        let url = Url::parse(&self.address()).ok()?.join(target).ok()?;
        let is_ours =
            host == format!("localhost:{}", self.port) && url.path() == "/" && target.starts_with("/?");
        is_ours.then(|| url.query_pairs().into_owned().collect())
    }
}

fn taken(error: io::Error, address: &str, port: u16) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{address}:{port} cannot be listened on: {error}"),
    )
}

fn has_no_such_address(error: &io::Error) -> bool {
    const NO_SUCH_FAMILY: [i32; 3] = [97, 47, 10_047];
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error
            .raw_os_error()
            .is_some_and(|code| NO_SUCH_FAMILY.contains(&code))
}

/// The head of a request; nothing of one that is too long.
async fn head(connection: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while head.len() < MOST_OF_A_HEAD {
        let mut bytes = [0; 2_048];
        let read = connection.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(bytes.get(..read)?);
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            return String::from_utf8(head).ok();
        }
    }
    None
}

async fn say(mut connection: TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=utf-8><title>fame</title><p>{text}</p>\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    // Whoever left does not read it.
    let _ = connection.write_all(answer.as_bytes()).await;
    let _ = connection.shutdown().await;
}

/// Shows the page in the browser of whoever sits here; where there is none, they have read its address.
fn open(page: &Url) {
    let (program, first): (&str, &[&str]) = match () {
        () if cfg!(windows) => ("rundll32", &["url.dll,FileProtocolHandler"]),
        () if cfg!(target_os = "macos") => ("open", &[]),
        () => ("xdg-open", &[]),
    };
    let mut command = Command::new(program);
    command.args(first).arg(page.as_str());
    drop(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked::new("http://localhost:1".to_owned())
    }

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn another_issuer_gets_no_code() {
        let issuer = Url::parse("https://login.contoso.com/t/oauth2/v2.0/token").unwrap();
        let code = |pairs: &[(&str, &str)]| asked().code(&fields(pairs), &issuer);
        assert_eq!(code(&[("code", "c")]).unwrap(), "c");
        assert_eq!(
            code(&[("code", "c"), ("iss", "https://login.contoso.com/t/v2.0")]).unwrap(),
            "c"
        );
        for other in [
            "https://login.fabrikam.com/t",
            "http://login.contoso.com/t",
            "login.contoso.com",
            "",
        ] {
            let told = code(&[("code", "c"), ("iss", other)]).unwrap_err().to_string();
            assert!(told.contains("RFC 9207"), "{told}");
        }
        let told = code(&[("error", "access_denied"), ("error_description", "No.")]).unwrap_err();
        assert!(told.to_string().contains("access_denied No."), "{told}");
        assert!(code(&[]).is_err() && code(&[("code", "")]).is_err());
    }

    #[test]
    fn tokens_of_another_sign_in_are_not_taken() {
        let asked = asked();
        let token = |claims: Value| {
            let claims = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
            serde_json::json!({ "id_token": format!("e30.{claims}.x") })
        };
        let good = serde_json::json!({ "nonce": asked.nonce, "aud": "app" });
        assert!(asked.check(&token(good), "app").is_ok());
        for wrong in [
            serde_json::json!({ "nonce": random(), "aud": "app" }),
            serde_json::json!({ "aud": "app" }),
            serde_json::json!({ "nonce": asked.nonce, "aud": "other" }),
        ] {
            assert!(asked.check(&token(wrong.clone()), "app").is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn only_our_own_page_is_read() {
        let way_back = WayBack::open(0).unwrap();
        let host = format!("localhost:{}", way_back.port);
        let read = |line: &str, host: &str| way_back.read(&format!("{line}\r\nHost: {host}\r\n\r\n"));
        assert_eq!(read("GET /?code=a%20b HTTP/1.1", &host).unwrap()["code"], "a b");
        for (line, host) in [
            ("GET /favicon.ico HTTP/1.1", host.as_str()),
            ("GET / HTTP/1.1", &host),
            ("POST /?code=a HTTP/1.1", &host),
            ("GET //evil.example/?code=a HTTP/1.1", &host),
            ("GET http://evil.example/?code=a HTTP/1.1", &host),
            ("GET /?code=a HTTP/1.1", "evil.example"),
            ("GET /?code=a HTTP/1.1", "localhost:1"),
        ] {
            assert!(read(line, host).is_none(), "{line} {host}");
        }
        assert!(way_back.read("GET /?code=a HTTP/1.1\r\n\r\n").is_none());
    }

    /// What is answered to a browser that comes back with `state`.
    async fn comes_back(port: u16, state: &str) -> String {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let asked = format!("GET /?code=c&state={state} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        connection.write_all(asked.as_bytes()).await.unwrap();
        let mut told = String::new();
        connection.read_to_string(&mut told).await.unwrap();
        told
    }

    #[tokio::test]
    async fn another_state_ends_nothing_and_is_not_listened_to_for_ever() {
        let way_back = WayBack::open(0).unwrap();
        let guesses = async |count: usize| {
            for _ in 0..count {
                let told = comes_back(way_back.port, "guessed").await;
                assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
            }
        };
        let then_ours = async {
            guesses(MOST_ASIDE - 1).await;
            comes_back(way_back.port, "ours").await
        };
        let (answer, told) = tokio::join!(way_back.answer("ours"), then_ours);
        assert_eq!(answer.unwrap()["code"], "c");
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
        let (answer, ()) = tokio::join!(way_back.answer("ours"), guesses(MOST_ASIDE));
        assert!(answer.unwrap_err().to_string().contains("keeps asking"));
    }

    #[tokio::test]
    async fn a_port_that_somebody_else_has_by_either_address_is_not_taken() {
        let by_four = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(WayBack::open(by_four.local_addr().unwrap().port()).is_err());
        if let Ok(by_six) = TcpListener::bind("[::1]:0") {
            let told = WayBack::open(by_six.local_addr().unwrap().port()).unwrap_err();
            assert!(told.to_string().contains("[::1]"), "{told}");
        }
    }
}
