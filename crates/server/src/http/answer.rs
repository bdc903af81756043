//! Answers: one entity or a list, in the caller's format, with the properties that were selected.

use super::{context::RequestInfo, extract::AppState, extract::RequestContext, problem};
use crate::error::{Error, Result};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use odata::{Limits, Options, Property, Resource, Scalar, Schema, Select};
use wire::{Entity, Projection, ResponseFormat};

/// What surrounds the answer to one request.
pub(crate) struct ResponseWriter<'a> {
    pub(crate) state: &'a AppState,
    pub(crate) info: &'a RequestInfo,
    pub(crate) headers: &'a HeaderMap,
}

impl<'a> ResponseWriter<'a> {
    pub(crate) fn new(state: &'a AppState, context: &'a RequestContext) -> Self {
        Self {
            state,
            info: &context.info,
            headers: &context.headers,
        }
    }

    /// The address of the API's root in the version that the caller used.
    pub(crate) fn root(&self) -> String {
        let public_url = self.state.service.settings.server.public_url.as_deref();
        format!("{}/{}", self.info.origin(public_url), self.info.version_segment())
    }

    /// The address of the request itself, without its query.
    pub(crate) fn address(&self) -> String {
        let public_url = self.state.service.settings.server.public_url.as_deref();
        format!("{}{}", self.info.origin(public_url), self.info.path)
    }

    /// The context URL of what `fragment` describes, such as `apps/$entity`.
    pub(crate) fn context_url(&self, fragment: &str) -> String {
        format!("{}/$metadata#{fragment}", self.root())
    }

    /// Makes sure that the caller can read what we write.
    pub(crate) fn check_version(&self) -> Result<()> {
        let max_version = self
            .headers
            .get("odata-maxversion")
            .and_then(|value| value.to_str().ok());
        match max_version.and_then(|text| text.trim().parse::<f64>().ok()) {
            Some(max_version) if max_version < 4.0 => {
                let message = format!("OData {max_version} is asked for at most; this service speaks 4.0.");
                Err(
                    domain::problem::RuleError::new(domain::problem::Code::BadArgument, message)
                        .about("OData-MaxVersion")
                        .into(),
                )
            }
            _ => Ok(()),
        }
    }

    /// Whether query options may be written without their dollar sign.
    pub(crate) fn dollar_optional(&self) -> bool {
        self.state.service.settings.odata.no_dollar_options
    }

    fn options(&self, resource: Resource) -> Result<Options> {
        Ok(Options::parse(
            &self.info.query,
            resource,
            self.dollar_optional(),
            &Limits::default(),
        )?)
    }

    /// Makes sure, before anything is changed, that the answer can be given as it is asked for.
    pub(crate) fn check<E: Entity>(&self) -> Result<()> {
        self.check_version()?;
        projection::<E>(
            self.info.format,
            self.options(Resource::Entity)?.select.as_deref(),
        )
        .map(drop)
    }

    /// One entity. `fragment` is its context without what is selected, such as `apps`.
    pub(crate) fn entity<E: Entity>(&self, entity: &E, fragment: &str) -> Result<Response> {
        self.check_version()?;
        let options = self.options(Resource::Entity)?;
        let (projection, selected) = projection::<E>(self.info.format, options.select.as_deref())?;
        let selected = selected.map_or(String::new(), |names| format!("({names})"));
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

    /// A list that is known to be short and takes no options.
    pub(crate) fn short_list<E: Entity>(&self, entities: &[E], fragment: &str) -> Result<Response> {
        self.check_version()?;
        self.options(Resource::Entity)?;
        let projection = Projection::all(self.info.format);
        let body = wire::ListWriter::whole(projection, &self.context_url(fragment), entities);
        Ok(json(self.info.format, StatusCode::OK, Body::from(body)))
    }
}

/// What `$select` leaves of an entity, and how the context URL says so.
fn projection<E: Entity>(
    format: ResponseFormat,
    select: Option<&str>,
) -> Result<(Projection<E>, Option<String>)> {
    let Some(text) = select else {
        return Ok((Projection::all(format), None));
    };
    let properties = E::PROPERTIES
        .iter()
        .map(|name| Property::new(name, Scalar::String))
        .collect();
    let schema = Schema::new("the entity", properties, E::KEYS);
    let select = Select::parse(text, &schema)?;
    Ok((project(format, &select), select.context(&schema)))
}

/// The projection that a `$select` over the same properties means.
pub(crate) fn project<E: Entity>(format: ResponseFormat, select: &Select) -> Projection<E> {
    match select {
        Select::All => Projection::all(format),
        Select::Only(properties) => Projection::select(format, properties),
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

/// Says in OData's format where something new is; the bare format answers as documented.
pub(crate) fn created(writer: &ResponseWriter<'_>, mut response: Response, address: &str) -> Response {
    if writer.info.format == ResponseFormat::OData {
        *response.status_mut() = StatusCode::CREATED;
        insert(response.headers_mut(), header::LOCATION, address);
    }
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
