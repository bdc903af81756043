//! Where a generic OData client starts: the service document and the description of all types.

use super::{
    answer::{insert, json},
    extract::{OperatorContext, RequestContext},
};
use crate::error::Result;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use domain::problem::{Code, RuleError};
use odata::{Format, Resource};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use wire::{ErrorBody, ResponseFormat, service::ServiceDocument};

/// The description of all types that vendors see, in CSDL.
static METADATA: LazyLock<Bytes> = LazyLock::new(|| wire::csdl::document(odata::filter_words()).into());

/// The same of those that operators see.
static OPERATOR_METADATA: LazyLock<Bytes> =
    LazyLock::new(|| wire::csdl::operator_document(odata::filter_words()).into());

/// Tells which collections there are.
#[utoipa::path(get, path = "/", tag = "service",
    responses((status = 200, body = ServiceDocument), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_service_document(context: RequestContext) -> Result<Response> {
    context.options(Resource::Metadata)?;
    context.preconditions.check_untagged()?;
    let document = ServiceDocument::new(&format!("{}/$metadata", context.root()));
    let body = serde_json::to_vec(&document).map_err(crate::error::Error::fault)?;
    Ok(json(ResponseFormat::OData, StatusCode::OK, Body::from(body)))
}

/// Describes all types in XML.
#[utoipa::path(get, path = "/$metadata", tag = "service",
    responses((status = 200, body = String, content_type = "application/xml"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn get_metadata(context: RequestContext) -> Result<Response> {
    described(&context, &METADATA)
}

/// Describes all types of the operator API in XML.
#[utoipa::path(get, path = "/$metadata", tag = "operator",
    responses((status = 200, body = String, content_type = "application/xml"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn get_operator_metadata(OperatorContext(context): OperatorContext) -> Result<Response> {
    described(&context, &OPERATOR_METADATA)
}

fn described(context: &RequestContext, metadata: &Bytes) -> Result<Response> {
    if let Some(Format::Json(_)) = context.options(Resource::Metadata)?.format {
        let message = "The metadata is only available in XML.";
        return Err(RuleError::new(Code::NotAcceptable, message)
            .about("$format")
            .into());
    }
    let mut etag = HEXLOWER.encode(&Sha256::digest(metadata));
    etag.truncate(32);
    context.preconditions.check_read(&etag)?;
    let mut response = Response::new(Body::from(metadata.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.insert("odata-version", HeaderValue::from_static("4.0"));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=300"),
    );
    insert(headers, header::ETAG, &format!("W/\"{etag}\""));
    Ok(response)
}
