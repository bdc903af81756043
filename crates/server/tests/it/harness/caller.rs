//! Somebody who calls the service: plain requests, and the things that people of the trade do with it.

use super::{
    APP, Answer, Environment, HOME_TENANT, Person,
    samples::{country_path, upload_body},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use navx::PackageBuilder;
use serde_json::{Value, json};
use std::{future::IntoFuture, str::FromStr};
use uuid::Uuid;

/// A caller, and the app that they are about.
#[derive(Clone)]
pub(crate) struct Caller {
    client: reqwest::Client,
    base_url: String,
    token: Option<String>,
    /// The process of an agent.
    session: Option<Uuid>,
    app: Uuid,
}

impl Caller {
    pub(super) fn new(client: reqwest::Client, base_url: String, token: Option<String>) -> Self {
        Self {
            client,
            base_url,
            token,
            session: None,
            app: APP,
        }
    }

    /// The same caller, about another app.
    pub(crate) fn on(&self, app: Uuid) -> Self {
        Self { app, ..self.clone() }
    }

    /// The same caller, as an agent in another process.
    pub(crate) fn in_session(&self, session: Uuid) -> Self {
        Self {
            session: Some(session),
            ..self.clone()
        }
    }

    /// Where the service is that they call.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// What the caller shows, for a request that no client library would send.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.token.as_deref().unwrap())
    }

    /// A request that is sent when it is awaited. What may not stand in an address as it is, is encoded.
    pub(crate) fn asks(&self, method: Method, path: impl AsRef<str>) -> Request {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        if let Some(session) = self.session {
            headers.insert("fame-agent-session", session.to_string().parse().unwrap());
        }
        let url = format!("{}{}", self.base_url, path.as_ref());
        Request {
            client: self.client.clone(),
            method,
            url,
            headers,
            body: None,
        }
    }

    pub(crate) fn get(&self, path: impl AsRef<str>) -> Request {
        self.asks(Method::GET, path)
    }

    pub(crate) fn head(&self, path: impl AsRef<str>) -> Request {
        self.asks(Method::HEAD, path)
    }

    pub(crate) fn delete(&self, path: impl AsRef<str>) -> Request {
        self.asks(Method::DELETE, path)
    }

    pub(crate) fn patch(&self, path: impl AsRef<str>, body: Value) -> Request {
        self.asks(Method::PATCH, path).json(&body)
    }

    pub(crate) fn post(&self, path: impl AsRef<str>, body: Value) -> Request {
        self.asks(Method::POST, path).json(&body)
    }

    pub(crate) fn put(&self, path: impl AsRef<str>, body: Value) -> Request {
        self.asks(Method::PUT, path).json(&body)
    }

    /// `/v1.4/apps/{app}`
    pub(crate) fn app_path(&self) -> String {
        format!("/v1.4/apps/{}", self.app)
    }

    /// `/v1.4/apps/{app}/countries/US/{rest}`
    pub(crate) fn us(&self, rest: &str) -> String {
        country_path(self.app, "US", rest)
    }

    /// Registers the app, owned by the application `owner`.
    pub(crate) fn registers_app(&self) -> Request {
        self.put(format!("/operator/v1/apps/{}", self.app), super::registration())
    }

    /// Gives somebody roles on the app.
    pub(crate) fn grants(&self, person: &Person, roles: &[&str]) -> Request {
        self.patch(self.principal_path(person), principal_body(person, roles))
    }

    /// Takes all roles on the app from somebody.
    pub(crate) fn removes(&self, person: &Person) -> Request {
        self.delete(self.principal_path(person))
    }

    /// `/v1.4/apps/{app}/principals/{id}`
    pub(crate) fn principal_path(&self, person: &Person) -> String {
        format!("{}/principals/{}", self.app_path(), person.id)
    }

    pub(crate) fn adds_country(&self, code: &str) -> Request {
        self.patch(
            format!("{}/countries/{code}", self.app_path()),
            json!({ "countryCode": code }),
        )
    }

    /// Uploads to US.
    pub(crate) fn uploads(&self, package: &PackageBuilder, availability: &str) -> Request {
        self.uploads_to("US", package, availability)
    }

    pub(crate) fn uploads_to(&self, country: &str, package: &PackageBuilder, availability: &str) -> Request {
        self.post(
            country_path(self.app, country, "versions"),
            upload_body(package, availability),
        )
    }

    /// Uploads the sample app in this version to US, as Available, and must succeed.
    pub(crate) async fn has_uploaded(&self, version: &str) -> Answer {
        self.uploads(&super::package_of(self.app, version), "Available")
            .await
            .expect(200)
    }

    /// Changes a version in US.
    pub(crate) fn changes_version(&self, version: &str, change: Value) -> Request {
        self.patch(self.us(&format!("versions/{version}")), change)
    }

    /// One version in US.
    pub(crate) fn version(&self, version: &str) -> Request {
        self.get(self.us(&format!("versions/{version}")))
    }

    /// Tells the service about an environment, as the operator.
    pub(crate) fn reports(&self, environment: &Environment) -> Request {
        self.put(environment.operator_path(), environment.report())
    }

    /// Schedules a hotfix that waits for the update window.
    pub(crate) fn schedules(&self, environment: &Environment, target: &str) -> Request {
        self.post(self.us("environmentHotfixes"), environment.hotfix(target))
    }

    /// Schedules a hotfix that does not wait for the update window.
    pub(crate) fn schedules_at_once(&self, environment: &Environment, target: &str) -> Request {
        let mut body = environment.hotfix(target);
        body["ignoreUpgradeWindow"] = json!(true);
        self.post(self.us("environmentHotfixes"), body)
    }

    /// The hotfix as it is now.
    pub(crate) async fn looks_at(&self, hotfix: &Answer) -> Answer {
        self.get(self.hotfix_path(hotfix)).await.expect(200)
    }

    /// The address of a hotfix that an answer shows.
    pub(crate) fn hotfix_path(&self, hotfix: &Answer) -> String {
        self.us(&format!("environmentHotfixes/{}", hotfix.property("id")))
    }

    pub(crate) fn cancels(&self, hotfix: &Answer) -> Request {
        self.patch(self.hotfix_path(hotfix), json!({ "status": "Canceled" }))
    }
}

/// The body that gives somebody roles.
pub(crate) fn principal_body(person: &Person, roles: &[&str]) -> Value {
    if person.is_user {
        json!({ "type": "User", "aadTenantId": HOME_TENANT, "roles": roles })
    } else {
        json!({ "type": "Application", "roles": roles })
    }
}

/// A request that is sent when it is awaited.
#[must_use = "a request is sent when it is awaited"]
pub(crate) struct Request {
    client: reqwest::Client,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Option<reqwest::Body>,
}

impl Request {
    /// Sets a header in place of what it was.
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_str(name).unwrap();
        self.headers
            .insert(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    /// Speaks OData.
    pub(crate) fn odata(self) -> Self {
        self.header("odata-maxversion", "4.0")
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string())
            .header("content-type", "application/json")
    }

    /// A body as it is, without a content type.
    pub(crate) fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(reqwest::Body::from(body.into()));
        self
    }

    /// A body of unknown length, in these chunks.
    pub(crate) fn stream<S>(mut self, chunks: S) -> Self
    where
        S: futures::Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        self.body = Some(reqwest::Body::wrap_stream(chunks));
        self
    }

    /// Sends it; what is answered is still to be read.
    pub(crate) async fn opens(self) -> reqwest::Result<reqwest::Response> {
        let mut request = self.client.request(self.method, &self.url).headers(self.headers);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        request.send().await
    }

    /// Sends it; an error is one of the connection.
    pub(crate) async fn send(self) -> reqwest::Result<Answer> {
        let (method, described) = (self.method.clone(), format!("{} {}", self.method, self.url));
        let response = self.opens().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?;
        Ok(Answer::new(&method, described, status, headers, body))
    }
}

impl IntoFuture for Request {
    type Output = Answer;
    type IntoFuture = BoxFuture<'static, Answer>;

    fn into_future(self) -> Self::IntoFuture {
        let described = format!("{} {}", self.method, self.url);
        Box::pin(async move {
            match self.send().await {
                Ok(answer) => answer,
                Err(error) => panic!("{described}: {error:?}"),
            }
        })
    }
}
