//! What every layer of the vendor API may know of a request: who answers it, how, and what it is called in the log.

use super::address;
use axum::{
    extract::Request,
    http::{HeaderMap, header},
};
use uuid::Uuid;
use wire::ResponseFormat;

/// The scheme of the listener that a request came in by, where it is not http.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheme(pub &'static str);

/// What is known of a request besides what it asks for.
#[derive(Clone, Debug)]
pub(crate) struct RequestInfo {
    pub(crate) correlation_id: Uuid,
    pub(crate) format: ResponseFormat,
    /// The address as it was sent, without the query.
    pub(crate) path: String,
    pub(crate) query: String,
    /// The address in the one form that is routed.
    pub(crate) routed: String,
    scheme: &'static str,
    host: String,
}

impl RequestInfo {
    pub(crate) fn of(request: &Request) -> Self {
        let uri = request.uri();
        let headers = request.headers();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host
            .or_else(|| uri.authority().map(|authority| authority.as_str()))
            .unwrap_or("localhost");
        let query = uri.query().unwrap_or_default().to_owned();
        let path = uri.path().to_owned();
        Self {
            correlation_id: Uuid::new_v4(),
            format: format_of(headers, &query),
            routed: address::canonical(&path).unwrap_or_else(|| path.clone()),
            path,
            query,
            scheme: request
                .extensions()
                .get::<Scheme>()
                .map_or("http", |scheme| scheme.0),
            host: host.to_owned(),
        }
    }

    /// The service's address as the caller knows it, without a slash at the end.
    pub(crate) fn origin(&self, public_url: Option<&str>) -> String {
        match public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.scheme, self.host),
        }
    }

    /// The first segment of the address: `v1.4`.
    pub(crate) fn version_segment(&self) -> &str {
        self.path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default()
    }
}

/// Callers that speak OData get OData's format: they say so by a version header, by `$format`, or by asking for a
/// degree of metadata.
fn format_of(headers: &HeaderMap, query: &str) -> ResponseFormat {
    let by_version = headers.contains_key("odata-version") || headers.contains_key("odata-maxversion");
    let by_accept = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accept| {
            let accept = accept.to_ascii_lowercase();
            accept.contains("odata.metadata=")
                || accept.contains(";metadata=")
                || accept.contains("; metadata=")
        });
    let by_format = query.split('&').any(|item| {
        let name = item.split('=').next().unwrap_or_default().to_ascii_lowercase();
        matches!(name.as_str(), "$format" | "%24format" | "format")
    });
    if by_version || by_accept || by_format {
        ResponseFormat::OData
    } else {
        ResponseFormat::Bare
    }
}
