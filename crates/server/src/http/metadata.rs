//! Where a generic OData client starts: the service document and the description of all types.

use super::{
    answer::{Frame, insert, json},
    extract::{Asking, Door},
};
use crate::error::Result;
use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use data_encoding::HEXLOWER;
use domain::problem::{Code, RuleError};
use odata::{Format, Limits, Options, Resource};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use wire::{ErrorBody, Face, service::ServiceDocument};

/// The description of all types, in CSDL.
pub(crate) const METADATA: &str = include_str!("metadata.xml");

/// Tells which collections there are.
#[utoipa::path(get, path = "/", tag = "service",
    responses((status = 200, body = ServiceDocument), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_service_document(State(door): State<Arc<Door>>, asking: Asking) -> Result<Response> {
    let frame = Frame::new(&door, &asking);
    frame.check_version()?;
    options(&asking)?;
    let document = ServiceDocument::new(&format!("{}/$metadata", frame.root()));
    let body = serde_json::to_vec(&document).map_err(crate::error::Error::fault)?;
    Ok(json(Face::OData, StatusCode::OK, Body::from(body)))
}

/// Describes all types in XML.
#[utoipa::path(get, path = "/$metadata", tag = "service",
    responses((status = 200, body = String, content_type = "application/xml"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn get_metadata(State(door): State<Arc<Door>>, asking: Asking) -> Result<Response> {
    Frame::new(&door, &asking).check_version()?;
    if let Some(Format::Json(_)) = options(&asking)?.format {
        let message = "The metadata is only available in XML.";
        return Err(RuleError::new(Code::NotAcceptable, message)
            .about("$format")
            .into());
    }
    let etag = HEXLOWER.encode(&Sha256::digest(METADATA.as_bytes())[..16]);
    asking.preconditions.check_read(&etag)?;
    let mut response = Response::new(Body::from(METADATA));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.insert("odata-version", HeaderValue::from_static("4.0"));
    insert(headers, header::ETAG, &format!("W/\"{etag}\""));
    Ok(response)
}

fn options(asking: &Asking) -> Result<Options> {
    Ok(Options::parse(
        &asking.context.query,
        Resource::Metadata,
        true,
        &Limits::default(),
    )?)
}
