//! Talking to the service.
//!
//! Every request goes through [`Client::send`]: it signs in, waits no longer than it was told to, tries again
//! where that is safe, and turns whatever is no success into a [`Failure`] that has lost nothing of the answer.
//! Rows stay the JSON that they came as: what another service, or a newer one, says beyond what we know is shown
//! and not dropped.

use crate::{
    args::QueryArgs,
    failure::{Failure, Refusal, header},
    login::Login,
    output::Printer,
    retry::{Tries, is_turned_away, is_uncertain},
    settings::Settings,
    upload::Meter,
};
use reqwest::{
    Body, Method, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;
use std::{error::Error, time::Duration};

/// A connection to the service, shared by all requests of a command.
pub struct Client {
    http: reqwest::Client,
    root: Url,
    api_version: String,
    login: Login,
    patience: Duration,
    retries: u32,
    printer: Printer,
}

/// A request that can be sent, and sent again.
pub struct Call<'a> {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: CallBody<'a>,
    is_repeatable: bool,
}

enum CallBody<'a> {
    None,
    Json(Vec<u8>),
    /// Made anew for each try; the meter tells whether it is moving.
    Stream(&'a (dyn Fn(&Meter) -> Result<Body, Failure> + Sync)),
}

impl<'a> Call<'a> {
    /// A request without a body. Repeating it changes nothing, unless it is a POST.
    pub fn new(method: Method, url: Url) -> Self {
        let is_repeatable = method != Method::POST;
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: CallBody::None,
            is_repeatable,
        }
    }

    /// With `body` as JSON.
    ///
    /// # Errors
    /// When the body cannot be written as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, Failure> {
        let text = serde_json::to_vec(body).map_err(|error| Failure::Unexpected(error.to_string()))?;
        self.body = CallBody::Json(text);
        Ok(self)
    }

    /// With a body of JSON that is made while it is sent, anew for each try.
    pub fn stream(mut self, make: &'a (dyn Fn(&Meter) -> Result<Body, Failure> + Sync)) -> Self {
        self.body = CallBody::Stream(make);
        self
    }

    /// With a header. A value that no header can carry is left out by nobody: it is an error.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the value cannot stand in a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Result<Self, Failure> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Failure::Usage(format!("'{value}' cannot be sent as {name}")))?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Only if the row is still as `etag` says; nothing without one.
    ///
    /// # Errors
    /// As [`Call::header`].
    pub fn if_match(self, etag: Option<&str>) -> Result<Self, Failure> {
        match etag {
            Some(etag) => self.header("if-match", etag),
            None => Ok(self),
        }
    }

    /// Says that repeating it is safe though it is a POST.
    pub fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    fn request(&self, http: &reqwest::Client, meter: &Meter) -> Result<RequestBuilder, Failure> {
        let request = http
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone());
        let json = |request: RequestBuilder| request.header(CONTENT_TYPE, "application/json");
        Ok(match &self.body {
            // An empty POST says its length, because some gateways demand one.
            CallBody::None if self.method == Method::POST => request.header(CONTENT_LENGTH, 0),
            CallBody::None => request,
            CallBody::Json(text) => json(request).body(text.clone()),
            CallBody::Stream(make) => json(request).body(make(meter)?),
        })
    }

    /// Whether the request, once it was carried out, is refused when it is sent again.
    fn would_meet_itself(&self) -> bool {
        self.method == Method::DELETE
            || self.headers.contains_key("if-match")
            || self.headers.contains_key("if-none-match")
    }

    fn is_worth_repeating(&self, refusal: &Refusal) -> bool {
        let waits_for_other_upload = refusal.code == "UploadInProgress" && refusal.retry_after.is_some();
        if refusal.leaves_in_doubt() {
            return self.is_repeatable && !self.would_meet_itself();
        }
        is_turned_away(refusal.status)
            || waits_for_other_upload
            || (self.is_repeatable && is_uncertain(refusal.status))
    }
}

impl Client {
    /// A client for the service that `settings` name. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Failure::Unexpected`] when TLS cannot be set up.
    pub fn new(settings: Settings, printer: Printer) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("fame/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.patience.min(Duration::from_secs(30)))
            // A token must not follow a redirect to somewhere else.
            .redirect(redirect::Policy::none());
        if settings.is_local() {
            builder = builder.no_proxy();
        }
        builder = match settings.needs_tls() {
            true => builder.tls_certs_merge(settings.trusted),
            // Where nothing is encrypted, a machine without any certificate authorities will do.
            false => builder.tls_certs_only(settings.trusted),
        };
        let http = builder
            .build()
            .map_err(|error| Failure::Unexpected(format!("TLS cannot be set up: {}", reason(&error))))?;
        Ok(Self {
            http,
            root: settings.url,
            api_version: settings.api_version,
            login: Login::new(settings.credentials, settings.retries, printer),
            patience: settings.patience,
            retries: settings.retries,
            printer,
        })
    }

    /// The address of something in the API: `apps`, then an id, and so on.
    pub fn api(&self, segments: &[&str]) -> Url {
        let mut all = vec![self.api_version.as_str()];
        all.extend(segments);
        self.address(&all)
    }

    /// The address of something behind the operator's door.
    pub fn operator(&self, segments: &[&str]) -> Url {
        let mut all = vec!["operator", "v1"];
        all.extend(segments);
        self.address(&all)
    }

    fn address(&self, segments: &[&str]) -> Url {
        let mut url = self.root.clone();
        // Only addresses such as `mailto:` have no segments, and those are no service.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Sends `call` and returns the answer, its body unread.
    ///
    /// # Errors
    /// [`Failure::Refused`] for every answer that is no success, [`Failure::Unavailable`] for none, and those of
    /// signing in.
    pub async fn send(&self, call: &Call<'_>) -> Result<Response, Failure> {
        let mut tries = Tries::new(self.retries, self.printer);
        let mut has_renewed = false;
        loop {
            let token = self.login.token(&self.http).await?;
            let meter = Meter::default();
            let request = call.request(&self.http, &meter)?;
            let bearer = bearer(token.text.expose_secret())?;
            let sent = request.header(AUTHORIZATION, bearer).send();
            let answer = tokio::select! {
                answer = sent => answer,
                () = meter.stalls_for(self.patience) => {
                    let failure = Failure::Unavailable(self.no_answer_to(call));
                    if !call.is_repeatable {
                        return Err(failure);
                    }
                    tries.pause_or(failure, None).await?;
                    continue;
                }
            };
            match answer {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer)
                    if answer.status() == StatusCode::UNAUTHORIZED && token.is_renewable && !has_renewed =>
                {
                    self.login.forget().await;
                    has_renewed = true;
                }
                Ok(answer) => {
                    let refusal = self.read_refusal(call, answer).await;
                    let (again, wish) = (call.is_worth_repeating(&refusal), refusal.retry_after);
                    let failure = Failure::Refused(Box::new(refusal));
                    if !again {
                        return Err(failure);
                    }
                    tries.pause_or(failure, wish).await?;
                }
                Err(error) => {
                    let again = error.is_connect() || call.is_repeatable;
                    let failure = self.broken(&error);
                    if !again {
                        return Err(failure);
                    }
                    tries.pause_or(failure, None).await?;
                }
            }
        }
    }

    async fn read_refusal(&self, call: &Call<'_>, answer: Response) -> Refusal {
        let status = answer.status();
        let reading = Refusal::read(&call.method, answer);
        match tokio::time::timeout(self.patience, reading).await {
            Ok(refusal) => refusal,
            Err(_) => Refusal::without_body(&call.method, &call.url, status),
        }
    }

    fn no_answer_to(&self, call: &Call<'_>) -> String {
        let (host, seconds) = (self.host(), self.patience.as_secs_f32());
        let (method, path) = (&call.method, call.url.path());
        format!("{host} did not answer for {seconds} s.\n  request: {method} {path}")
    }

    fn host(&self) -> &str {
        self.root.host_str().unwrap_or_default()
    }

    /// What to say when the connection broke.
    pub fn broken(&self, error: &reqwest::Error) -> Failure {
        let what = if error.is_connect() {
            "cannot be reached"
        } else {
            "broke the connection"
        };
        Failure::Unavailable(format!("{} {what}: {}.", self.host(), reason(error)))
    }

    /// Sends `call` and reads the JSON of the answer; `null` when there is none.
    ///
    /// # Errors
    /// As [`Client::send`], and [`Failure::Unexpected`] when the answer is not JSON.
    pub async fn fetch(&self, call: &Call<'_>) -> Result<Value, Failure> {
        let answer = self.send(call).await?;
        let correlation = header(answer.headers(), "ms-correlation-x");
        let body = self.read_all(answer).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| {
            let correlation = correlation.unwrap_or_default();
            Failure::Unexpected(format!(
                "The answer is not JSON: {error}; is --url right?\n  request: {} {}\n  ms-correlation-x: {correlation}",
                call.method,
                call.url.path()
            ))
        })
    }

    async fn read_all(&self, mut answer: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = self.next_chunk(&mut answer).await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The next bytes of an answer's body; none at its end.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when the connection breaks or nothing arrives for too long.
    pub async fn next_chunk(&self, answer: &mut Response) -> Result<Option<bytes::Bytes>, Failure> {
        match tokio::time::timeout(self.patience, answer.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| self.broken(&error)),
            Err(_) => Err(Failure::Unavailable(format!(
                "{} stopped in the middle of its answer.",
                self.host()
            ))),
        }
    }

    /// GET.
    ///
    /// # Errors
    /// As [`Client::fetch`]; so for all that follow.
    pub async fn get(&self, url: Url) -> Result<Value, Failure> {
        self.fetch(&Call::new(Method::GET, url)).await
    }

    /// All rows of a list, following the links from page to page.
    pub async fn list(&self, url: Url, query: &QueryArgs) -> Result<Vec<Value>, Failure> {
        let options = [
            ("$filter", query.filter.clone()),
            ("$orderby", query.orderby.clone()),
            ("$top", query.top.map(|top| top.to_string())),
            ("$skip", query.skip.map(|skip| skip.to_string())),
        ];
        self.pages(with_options(url, &options), Method::GET).await
    }

    /// All rows of a list that is read by POST.
    pub async fn post_for_list(&self, url: Url) -> Result<Vec<Value>, Failure> {
        self.pages(url, Method::POST).await
    }

    async fn pages(&self, first: Url, method: Method) -> Result<Vec<Value>, Failure> {
        let mut rows = Vec::new();
        let mut next = Some(first.clone());
        while let Some(url) = next {
            let mut page = self
                .fetch(&Call::new(method.clone(), url.clone()).repeatable())
                .await?;
            rows.append(&mut rows_of(&mut page)?);
            next = match page["@odata.nextLink"].as_str() {
                Some(link) => Some(next_page(&url, link)?),
                None => None,
            };
        }
        Ok(rows)
    }

    /// How many rows a list has, whichever of them a page would show.
    pub async fn count(&self, url: Url, query: &QueryArgs) -> Result<u64, Failure> {
        let filter = ("$filter", query.filter.clone());
        let only_count = [
            filter.clone(),
            ("$count", Some("true".to_owned())),
            ("$top", Some("0".to_owned())),
        ];
        let page = self.get(with_options(url.clone(), &only_count)).await?;
        if let Some(count) = page["@odata.count"].as_u64() {
            return Ok(count);
        }
        // A service that does not count: then the rows are counted here.
        let rows = self.pages(with_options(url, &[filter]), Method::GET).await?;
        Ok(rows.len() as u64)
    }

    /// Prints the rows of a list, or how many there are.
    pub async fn print_list(
        &self,
        url: Url,
        query: &QueryArgs,
        columns: &[crate::output::Column],
    ) -> Result<(), Failure> {
        if query.count {
            let count = self.count(url, query).await?;
            return Ok(self.printer.text(&count.to_string())?);
        }
        let rows = self.list(url, query).await?;
        Ok(self.printer.rows(&rows, columns)?)
    }

    /// Prints one thing.
    pub async fn print_one(&self, url: Url) -> Result<(), Failure> {
        let record = self.get(url).await?;
        Ok(self.printer.record(&record)?)
    }

    /// Sends a change and prints what came of it.
    pub async fn print_change(&self, call: &Call<'_>) -> Result<(), Failure> {
        let record = self.fetch(call).await?;
        Ok(self.printer.record(&record)?)
    }

    /// Where output goes.
    pub fn printer(&self) -> Printer {
        self.printer
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.map_err(|_| {
        Failure::NotSignedIn("The access token is not a token: it has odd characters.".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// `url` with those of the query options that are given.
pub fn with_options(mut url: Url, options: &[(&str, Option<String>)]) -> Url {
    let given: Vec<String> = options
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_deref()?))))
        .collect();
    if !given.is_empty() {
        url.set_query(Some(&given.join("&")));
    }
    url
}

/// The names of options keep their `$` and blanks are `%20`: the form that every OData service reads.
fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn rows_of(page: &mut Value) -> Result<Vec<Value>, Failure> {
    match page["value"].take() {
        Value::Array(rows) => Ok(rows),
        _ => {
            let message = "The answer is not a list: it has no rows in 'value'; is --url right?";
            Err(Failure::Unexpected(message.to_owned()))
        }
    }
}

/// The address of the next page, as long as it is with the same service: the token goes nowhere else.
fn next_page(current: &Url, link: &str) -> Result<Url, Failure> {
    let next = current
        .join(link)
        .map_err(|error| Failure::Unexpected(format!("The link to the next page is no address: {error}")))?;
    if next.origin() != current.origin() {
        return Err(Failure::Unexpected(format!(
            "The next page is said to be at {}, which is another service: not followed.",
            next.origin().ascii_serialization()
        )));
    }
    Ok(next)
}

/// A text as an OData literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The cause of a failed request, without the address that is said elsewhere.
pub fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn options_are_encoded_as_every_service_reads_them() {
        let address = with_options(
            url("https://fame.contoso.com/v1.4/apps"),
            &[("$filter", Some("name eq 'A&B'".into())), ("$top", None)],
        );
        assert_eq!(address.query(), Some("$filter=name%20eq%20%27A%26B%27"));
    }

    #[test]
    fn the_token_stays_with_its_service() {
        let current = url("https://fame.contoso.com/v1.4/apps");
        assert!(next_page(&current, "https://fame.contoso.com/v1.4/apps?$skiptoken=1").is_ok());
        assert!(next_page(&current, "/v1.4/apps?$skiptoken=1").is_ok());
        for elsewhere in [
            "http://fame.contoso.com/v1.4/apps",
            "https://fame.contoso.com:444/",
            "https://fabrikam.com/",
        ] {
            assert!(next_page(&current, elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn quotes_in_names_are_doubled() {
        assert_eq!(literal("L'Oréal"), "'L''Oréal'");
    }
}
