//! `fame replay`: what was recorded of one service, asked of another, and what that answers otherwise (`docs/RECORDING.md`).
//!
//! A recording may come from anybody. It can ask for nothing but what the App Management API has, and for changes only where
//! that was allowed; what it shows of the answers is their shape.

use crate::{
    args::GlobalArgs,
    commands::package,
    exit::Exit,
    failure::Failure,
    output::{Column, Printer},
    recording::{
        body::Watch,
        cleaning::{self, REMOVED},
        format::{Asked, Body as Seen, Exchange, Recording},
        pseudonyms::{Bindings, Kind, Pseudonyms, as_guid, binding, kind_of, name_of},
        shapes::{Difference, differences},
        vocabulary::is_of_the_api,
    },
    session::Session,
    settings::{root_by, service_root},
};
use clap::Args;
use client::Parts;
use data_encoding::{BASE64, HEXLOWER};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::{
    Method,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::HashMap, fs, io::Cursor, path::PathBuf, time::Duration};

/// `fame replay`
///
/// Requests go out in the order in which they were recorded. What is compared is the shape of answers: status, headers,
/// members and their types, the order where one is promised; values only where they are constants. The exit code is 0 where
/// nothing differs, 5 where something does, and 20 where not all could be asked.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The service to ask
    #[arg(long, value_name = "URL")]
    to: String,
    /// Also send what changes something
    #[arg(long)]
    allow_writes: bool,
    /// What a pseudonym of the recording stands for at this service, as far as no answer tells; repeat it for several
    #[arg(long, value_name = "PSEUDONYM=VALUE", value_parser = binding)]
    bind: Vec<(String, String)>,
    /// A package that the recording uploads: it holds only their digests; repeat it for several
    #[arg(long, value_name = "FILE")]
    package: Vec<PathBuf>,
}

/// The longest path that is asked for.
const LONGEST_PATH: usize = 8 << 10;
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 1 << 30;
/// The most rows of a list from which is learnt what pseudonyms stand for.
const MOST_ROWS: usize = 1_000;

const COLUMNS: &[Column] = &[
    ("#", "number"),
    ("REQUEST", "request"),
    ("RESULT", "result"),
    ("WHERE, RECORDED, ANSWERED", "differences"),
];

/// What came of one request.
enum Outcome {
    Same,
    Differs(Vec<Difference>),
    /// It was not sent, and why.
    Left(Left),
}

/// Why a request was not sent.
enum Left {
    /// There is nothing to compare an answer with.
    Unanswered,
    NotOfTheApi,
    Writes,
    /// Nobody knows what these pseudonyms stand for.
    Unbound(Vec<String>),
    /// The package that it uploads, by its SHA-256.
    NoPackage(String),
    /// A part of its body was not recorded.
    NotKept,
}

impl Left {
    fn told(&self) -> String {
        match self {
            Self::Unanswered => "not sent: no whole answer was recorded".to_owned(),
            Self::NotOfTheApi => "not sent: it is none of the App Management API".to_owned(),
            Self::Writes => "not sent: it changes something (--allow-writes)".to_owned(),
            Self::Unbound(names) => format!("not sent: nothing is known to be {} (--bind)", names.join(", ")),
            Self::NoPackage(sha256) => format!("not sent: no --package has the SHA-256 {sha256}"),
            Self::NotKept => "not sent: its body was not recorded".to_owned(),
        }
    }

    /// Whether it was to be sent.
    fn is_lacking(&self) -> bool {
        matches!(self, Self::Unbound(_) | Self::NoPackage(_) | Self::NotKept)
    }
}

impl ReplayArgs {
    /// Asks for all of it.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the flags or the environment name another service than `--to`, [`Failure::Rule`] where the
    /// file is no recording, [`Failure::Service`] and [`Failure::Unavailable`] when the service does not answer.
    pub(crate) async fn run(self, mut global: GlobalArgs, printer: Printer) -> Result<Exit, Failure> {
        root_by("--to", &self.to)?;
        let recording = Recording::read(&self.file)?;
        let packages = self.packages()?;
        let of_whom = match recording.head.original {
            true => "the original service",
            false => "another service than the original",
        };
        printer.note(format!("Recorded of {of_whom} by {}.", recording.head.recorder));
        refuse_another(global.url.as_deref(), &self.to)?;
        global.url = Some(self.to);
        let mut player = Player {
            timeout: global.request_timeout,
            session: Session::open(&global, printer).await?,
            allow_writes: self.allow_writes,
            packages,
            bindings: Bindings::default(),
            pseudonyms: Pseudonyms::default(),
        };
        for (name, value) in &self.bind {
            player.bindings.learn(name, value);
        }
        let counter = printer.counter(Some(recording.exchanges.len() as u64), "Asking");
        let mut outcomes = Vec::new();
        for exchange in &recording.exchanges {
            let outcome = player.play(exchange).await?;
            counter.inc(1);
            outcomes.push((exchange.request.line(), outcome));
        }
        counter.finish_and_clear();
        tell(printer, &outcomes)
    }

    /// The packages that are at hand, by their SHA-256.
    fn packages(&self) -> Result<HashMap<String, Vec<u8>>, Failure> {
        let package = |path: &PathBuf| {
            let bytes = fs::read(path).map_err(|error| Failure::unreadable(path, &error))?;
            package::read_from(path, Cursor::new(&bytes))?;
            Ok((HEXLOWER.encode(&Sha256::digest(&bytes)), bytes))
        };
        self.package.iter().map(package).collect()
    }
}

/// Refuses to take to one service what was made ready for another: a token of the environment is for the service that is
/// named beside it.
fn refuse_another(named: Option<&str>, to: &str) -> Result<(), Failure> {
    let Some(named) = named else {
        return Ok(());
    };
    let [named, to] = [service_root(named)?, service_root(to)?].map(|root| root.origin());
    match named == to {
        true => Ok(()),
        false => Err(Failure::Usage(format!(
            "--url (FAME_URL) names {}, and --to names {}: what signs in at one service goes to no other. Leave --url out, or \
             name the same.",
            named.ascii_serialization(),
            to.ascii_serialization()
        ))),
    }
}

/// Prints what came of each request; the exit code that stands for all.
fn tell(printer: Printer, outcomes: &[(String, Outcome)]) -> Result<Exit, Failure> {
    let rows = outcomes.iter().enumerate().map(|(index, (request, outcome))| {
        let (result, found) = match outcome {
            Outcome::Same => ("same".to_owned(), &[][..]),
            Outcome::Differs(found) => ("differs".to_owned(), found.as_slice()),
            Outcome::Left(left) => (left.told(), &[][..]),
        };
        json!({ "number": index + 1, "request": request, "result": result, "differences": found })
    });
    printer.rows(&rows.collect::<Vec<_>>(), COLUMNS)?;
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|(_, outcome)| is(outcome)).count();
    let same = count(|outcome| matches!(outcome, Outcome::Same));
    let differing = count(|outcome| matches!(outcome, Outcome::Differs(_)));
    let left = count(|outcome| matches!(outcome, Outcome::Left(_)));
    let lacking = count(|outcome| matches!(outcome, Outcome::Left(left) if left.is_lacking()));
    printer.note(format!(
        "{} requests: {same} the same, {differing} different, {left} not sent.",
        outcomes.len()
    ));
    Ok(match (same, differing, lacking) {
        (_, 1.., _) => Exit::Refused,
        (0, 0, _) => Exit::NotFound,
        (_, _, 1..) => Exit::Partial,
        _ => Exit::Done,
    })
}

/// Who asks, and what they have learnt.
struct Player {
    session: Session,
    timeout: Duration,
    allow_writes: bool,
    packages: HashMap<String, Vec<u8>>,
    bindings: Bindings,
    /// Those of what is answered now, which are others than the recording's.
    pseudonyms: Pseudonyms,
}

impl Player {
    async fn play(&mut self, exchange: &Exchange) -> Result<Outcome, Failure> {
        let asked = &exchange.request;
        let Some(recorded) = exchange.answer.as_ref().filter(|answer| !is_cut(&answer.body)) else {
            return Ok(Outcome::Left(Left::Unanswered));
        };
        let parts = match self.parts(asked) {
            Ok(parts) => parts,
            Err(left) => return Ok(Outcome::Left(left)),
        };
        let (status, headers, seen) = self.ask(parts).await?;
        if let (Seen::Json(recorded), Seen::Json(answered)) = (&recorded.body, &seen) {
            self.learn(recorded, answered);
        }
        let answered = cleaning::answer(&mut self.pseudonyms, &asked.path, status, &headers, seen);
        let found = differences(asked, recorded, &answered);
        Ok(match found.is_empty() {
            true => Outcome::Same,
            false => Outcome::Differs(found),
        })
    }

    /// The request as it is sent to this service.
    fn parts(&self, asked: &Asked) -> Result<Parts, Left> {
        let method = match asked.method.as_str() {
            "GET" => Method::GET,
            "HEAD" => Method::HEAD,
            "POST" => Method::POST,
            "PATCH" => Method::PATCH,
            "PUT" => Method::PUT,
            "DELETE" => Method::DELETE,
            _ => return Err(Left::NotOfTheApi),
        };
        if !is_sound(&asked.path) {
            return Err(Left::NotOfTheApi);
        }
        let reads = is_read(&method, &asked.path);
        if !reads && !self.allow_writes {
            return Err(Left::Writes);
        }
        let mut unbound = Vec::new();
        let path = self.path(&asked.path, &mut unbound);
        let query = self.query(&asked.query, &mut unbound);
        let mut headers = self.headers(asked, &mut unbound);
        let body = match &asked.body {
            Seen::Json(json) => Some(self.body(json, &mut unbound)?.to_string()),
            Seen::None => None,
            // What is read needs none.
            _ if reads => None,
            _ => return Err(Left::NotKept),
        };
        match &body {
            Some(_) => _ = headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json")),
            None if method == Method::POST => {
                _ = headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"))
            }
            None => {}
        }
        match (unbound.is_empty(), is_sound(&path)) {
            (false, _) => Err(Left::Unbound(unbound)),
            (true, false) => Err(Left::NotOfTheApi),
            (true, true) => Ok(Parts {
                method,
                path,
                query,
                headers,
                body: body.map(reqwest::Body::from),
            }),
        }
    }

    fn path(&self, path: &str, unbound: &mut Vec<String>) -> String {
        let segments = path.split('/').map(|segment| {
            // A key in brackets is a literal.
            let is_literal = segment.contains('(');
            let write = |value: &str| match is_literal {
                true => encode(&value.replace('\'', "''")),
                false => encode(value),
            };
            self.bindings.resolve(segment, write, unbound)
        });
        segments.collect::<Vec<_>>().join("/")
    }

    fn query(&self, options: &[(String, String)], unbound: &mut Vec<String>) -> Option<String> {
        let options: Vec<String> = options
            .iter()
            .map(|(name, value)| {
                let is_expression = value.contains('\'');
                let write = |value: &str| match is_expression {
                    true => value.replace('\'', "''"),
                    false => value.to_owned(),
                };
                let value = self.bindings.resolve(value, write, unbound);
                let name = self.bindings.resolve(name, str::to_owned, unbound);
                let name = utf8_percent_encode(&name, OF_OPTION_NAMES);
                format!("{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC))
            })
            .collect();
        (!options.is_empty()).then(|| options.join("&"))
    }

    /// Those of the recorded headers that say something to the API, and were kept.
    fn headers(&self, asked: &Asked, unbound: &mut Vec<String>) -> HeaderMap {
        const SENT: [&str; 7] = [
            "accept",
            "if-match",
            "if-none-match",
            "odata-maxversion",
            "odata-version",
            "prefer",
            "range",
        ];
        let mut headers = HeaderMap::new();
        for name in SENT {
            let kept = asked.headers.get(name).filter(|value| *value != REMOVED);
            let value = kept.map(|value| self.bindings.resolve(value, str::to_owned, unbound));
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }

    /// A body with what its pseudonyms stand for, and its package.
    fn body(&self, json: &Value, unbound: &mut Vec<String>) -> Result<Value, Left> {
        Ok(match json {
            Value::String(text) => self.bindings.resolve(text, str::to_owned, unbound).into(),
            Value::Array(items) => {
                let items = items.iter().map(|item| self.body(item, unbound));
                items.collect::<Result<Vec<_>, _>>()?.into()
            }
            Value::Object(members) if members.contains_key("longText") => return Err(Left::NotKept),
            Value::Object(members) if members.contains_key("package") => {
                let sha256 = json.pointer("/package/sha256").and_then(Value::as_str);
                let sha256 = sha256.unwrap_or_default();
                let bytes = self.packages.get(sha256);
                let bytes = bytes.ok_or_else(|| Left::NoPackage(sha256.to_owned()))?;
                BASE64.encode(bytes).into()
            }
            Value::Object(members) => {
                let mut bound = serde_json::Map::new();
                for (name, member) in members {
                    let name = self.bindings.resolve(name, str::to_owned, unbound);
                    bound.insert(name, self.body(member, unbound)?);
                }
                bound.into()
            }
            plain => plain.clone(),
        })
    }

    async fn ask(&self, parts: Parts) -> Result<(u16, HeaderMap, Seen), Failure> {
        let client = &self.session.client;
        let line = format!("{} {}", parts.method, parts.path);
        let silent = || {
            Failure::Unavailable(format!(
                "{line} was not answered for {} s.",
                self.timeout.as_secs()
            ))
        };
        let is_head = parts.method == Method::HEAD;
        let answer = tokio::time::timeout(self.timeout, client.exchange(parts)).await;
        let mut answer = answer.map_err(|_| silent())??;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let mut watch = Watch::of(kind);
        let mut length = 0;
        while let Some(bytes) = client.next_bytes(&mut answer).await?
            && !is_head
        {
            length += bytes.len() as u64;
            if length > LONGEST_ANSWER {
                return Err(Failure::Unexpected(format!("The answer to {line} does not end.")));
            }
            watch.take(&bytes);
        }
        Ok((status, headers, watch.end(true)))
    }

    /// Learns what the pseudonyms of the recording stand for from what stands in their places now.
    fn learn(&mut self, recorded: &Value, answered: &Value) {
        match (recorded, answered) {
            (Value::String(pseudonym), Value::String(value)) => {
                let is_of_form =
                    kind_of(pseudonym).is_some_and(|kind| kind.is_guid() == as_guid(value).is_some());
                if let Some(name) = name_of(pseudonym).filter(|_| is_of_form) {
                    self.bindings.learn(name, value);
                }
            }
            (Value::Object(recorded), Value::Object(answered)) => {
                for (name, recorded) in recorded {
                    if let Some(answered) = answered.get(name) {
                        self.learn(recorded, answered);
                    }
                }
            }
            (Value::Array(recorded), Value::Array(answered)) => {
                let mut left: Vec<&Value> = answered.iter().take(MOST_ROWS).collect();
                for row in recorded.iter().take(MOST_ROWS) {
                    let agreements = left
                        .iter()
                        .enumerate()
                        .filter_map(|(at, now)| Some((self.agree(row, now)?, at)));
                    // Of those that agree in as much, the first.
                    let best = agreements.max_by_key(|(agreements, at)| (*agreements, usize::MAX - at));
                    if let Some((_, at)) = best {
                        let now = left.remove(at);
                        self.learn(row, now);
                    }
                }
            }
            _ => {}
        }
    }

    /// In how many members two rows agree; nothing where what is known says that they are about different things.
    fn agree(&self, recorded: &Value, answered: &Value) -> Option<usize> {
        let (Value::Object(recorded), Value::Object(answered)) = (recorded, answered) else {
            return Some(usize::from(recorded == answered));
        };
        let mut agreements = 0;
        for (name, recorded) in recorded {
            let (Some(recorded), Some(answered)) =
                (recorded.as_str(), answered.get(name).and_then(Value::as_str))
            else {
                continue;
            };
            match (kind_of(recorded), self.bindings.of(recorded)) {
                (Some(Kind::Etag), _) | (Some(_), None) => {}
                (Some(_), Some(known)) if known.eq_ignore_ascii_case(answered) => agreements += 1,
                (Some(_), Some(_)) => return None,
                (None, _) => agreements += usize::from(recorded == answered),
            }
        }
        Some(agreements)
    }
}

fn is_cut(body: &Seen) -> bool {
    matches!(body, Seen::Cut { .. })
}

/// What stays as it is in a segment of a path (RFC 3986 §2.3).
const OF_SEGMENTS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// What stays as it is in the name of a query option.
const OF_OPTION_NAMES: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'$')
    .remove(b'_')
    .remove(b'.')
    .remove(b'-');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, OF_SEGMENTS).to_string()
}

/// Whether a path is one of the App Management API, and stays there, however often somebody on the way decodes it.
fn is_sound(path: &str) -> bool {
    let is_odd = |character: char| character.is_control() || "?#\\;".contains(character);
    let lower = path.to_ascii_lowercase();
    let hides = ["%2f", "%5c", "%25"].iter().any(|sign| lower.contains(sign));
    let leads_up = |segment: &str| {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        decoded == "." || decoded == ".."
    };
    path.len() <= LONGEST_PATH
        && is_of_the_api(path)
        && !path.contains(is_odd)
        && !hides
        && !path.split('/').any(leads_up)
}

/// Whether a request changes nothing: some are asked by POST all the same.
fn is_read(method: &Method, path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let asks = ["getmypermissions", "getpackagecontents"].contains(&last.as_str());
    *method == Method::GET || *method == Method::HEAD || (*method == Method::POST && asks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_leads_nowhere_else() {
        assert!(is_sound("/v1.4/apps/{app-1}/countries/US"));
        for path in [
            "v1.4/apps",
            "/operator/v1/apps",
            "//contoso.com/v1.4/apps",
            "/v1.4/../operator/v1/apps",
            "/v1.4/%2e%2E/operator",
            "/v1.4/apps?x",
            "/v1.4/apps#x",
            "/v1.4\\..\\operator",
            "/v1.4/apps\r\n",
            "/v1.4/apps/..%2foperator",
            "/v1.4/apps/..%5Coperator",
            "/v1.4/%252e%252e/operator",
            "/v1.4/apps/..;/operator",
        ] {
            assert!(!is_sound(path), "{path}");
        }
        assert!(!is_sound(&format!("/v1.4/{}", "a".repeat(LONGEST_PATH))));
    }

    #[test]
    fn what_is_for_one_service_goes_to_no_other() {
        let to = "https://fame.contoso.com/below";
        for same in [
            None,
            Some("https://fame.contoso.com"),
            Some("https://FAME.contoso.com:443/x"),
        ] {
            assert!(refuse_another(same, to).is_ok(), "{same:?}");
        }
        for other in [
            "https://fabrikam.com",
            "https://fame.contoso.com:8443",
            "https://contoso.com",
        ] {
            let told = refuse_another(Some(other), to).unwrap_err().to_string();
            assert!(told.contains("--to names https://fame.contoso.com:"), "{told}");
        }
    }

    #[test]
    fn what_changes_something_is_told_from_what_reads() {
        let version = "/v1.4/apps/a/countries/US/versions";
        assert!(is_read(&Method::GET, version) && is_read(&Method::HEAD, version));
        assert!(is_read(
            &Method::POST,
            &format!("{version}/1.0/getPackageContents")
        ));
        for method in [Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
            assert!(!is_read(&method, version), "{method}");
        }
        assert!(!is_read(&Method::PATCH, "/v1.4/getMyPermissions"));
    }
}
