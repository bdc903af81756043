//! Answers: one entity or a list, in the caller's format, with the properties that were selected.

use super::{extract::RequestContext, options::View, problem};
use crate::error::{Error, Result};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use domain::{access::Permission, ids::AppId};
use odata::Resource;
use wire::{Entity, Projection, ResponseFormat};

impl RequestContext {
    /// The address of the API's root in the version that the caller used.
    pub(crate) fn root(&self) -> String {
        let version = match self.info.version_segment() {
            "operator" => "operator/v1",
            version => version,
        };
        format!("{}/{version}", self.origin())
    }

    /// The address of the request itself, without its query.
    pub(crate) fn address(&self) -> String {
        format!("{}{}", self.origin(), self.info.path)
    }

    fn origin(&self) -> String {
        self.info
            .origin(self.service().settings.server.public_url.as_deref())
    }

    /// The context URL of what `fragment` describes, such as `apps/$entity`.
    pub(crate) fn context_url(&self, fragment: &str) -> String {
        format!("{}/$metadata#{fragment}", self.root())
    }

    /// Makes sure, before anything is changed, that the answer can be given as it is asked for.
    pub(crate) fn check_look<E: Entity>(&self) -> Result<()> {
        self.view_of_entity::<E>().map(drop)
    }

    /// The same about an app; what is wrong is only said to somebody who may change this kind of thing.
    pub(crate) async fn expect_entity<E: Entity>(&self, app: AppId, permission: Permission) -> Result<()> {
        self.reveal_to_permitted(app, permission, self.check_look::<E>())
            .await
    }

    /// Makes sure that no condition is set that something without a tag, a list to add to or a hotfix, cannot meet; who
    /// may not change this kind of thing is told that first.
    pub(crate) async fn expect_no_tag(&self, app: AppId, permission: Permission) -> Result<()> {
        let met = self.preconditions.check_untagged();
        self.reveal_to_permitted(app, permission, met).await
    }

    /// One entity that was asked for, unless the caller has it as it is. `fragment` is its context without what is
    /// selected, such as `apps`.
    pub(crate) fn found<E: Entity>(&self, entity: &E, fragment: &str) -> Result<Response> {
        match entity.etag() {
            Some(etag) => self.preconditions.check_read(&etag.to_string())?,
            None => self.preconditions.check_untagged()?,
        }
        self.entity(entity, fragment)
    }

    /// One entity.
    pub(crate) fn entity<E: Entity>(&self, entity: &E, fragment: &str) -> Result<Response> {
        let View { projection, selected } = self.view_of_entity::<E>()?;
        let body = projection.single(
            entity,
            &self.context_url(&format!("{fragment}{selected}/$entity")),
        );
        let mut response = json(self.info.format, StatusCode::OK, Body::from(body));
        if let Some(etag) = entity.etag() {
            insert(response.headers_mut(), header::ETAG, &format!("W/\"{etag}\""));
        }
        Ok(response)
    }

    /// Says in OData's format where something new is; the bare format answers as documented.
    pub(crate) fn created(&self, response: Response, key: &str) -> Response {
        match self.info.format {
            ResponseFormat::OData => self.made(response, key),
            ResponseFormat::Bare => response,
        }
    }

    /// Says where something new is of which the original knows nothing, in either format.
    pub(crate) fn made(&self, mut response: Response, key: &str) -> Response {
        *response.status_mut() = StatusCode::CREATED;
        let address = format!("{}/{key}", self.address().trim_end_matches('/'));
        insert(response.headers_mut(), header::LOCATION, &address);
        response
    }

    /// A list that is known to be short and takes no options.
    pub(crate) fn short_list<E: Entity>(&self, entities: &[E]) -> Result<Response> {
        self.preconditions.check_untagged()?;
        self.options(Resource::Entity)?;
        let projection = Projection::all(self.info.format);
        let context = self.context_url(&format!("Collection({}.{})", wire::csdl::NAMESPACE, E::NAME));
        let body = wire::ListWriter::whole(projection, &context, entities);
        Ok(json(self.info.format, StatusCode::OK, Body::from(body)))
    }
}

/// A JSON answer.
pub(crate) fn json(format: ResponseFormat, status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(problem::content_type(format)),
    );
    if format == ResponseFormat::OData {
        headers.insert("odata-version", HeaderValue::from_static("4.0"));
    }
    response
}

/// An answer for spreadsheets.
pub(crate) fn csv(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
    );
    response
}

/// Adds a header, if its text can be one.
pub(crate) fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Streams chunks as a body. A failure on the way breaks the connection off: half a list must not look whole.
pub(crate) fn streamed<S>(chunks: S) -> Body
where
    S: futures::Stream<Item = Result<Bytes, Error>> + Send + 'static,
{
    use futures::StreamExt;
    Body::from_stream(chunks.map(|chunk| chunk.map_err(|error| error.to_string())))
}
