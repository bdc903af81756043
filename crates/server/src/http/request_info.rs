//! What every layer of the vendor API may know of a request: who answers it, how, and what it is called in the log.

use super::{
    accept,
    address::{NamedKey, Routed},
};
use crate::admin_center;
use axum::{
    extract::Request,
    http::{HeaderMap, header, uri::Authority},
};
use domain::loopback::is_loopback;
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
    /// Whether a list is to come as CSV.
    pub(crate) wants_csv: bool,
    /// The address as it was sent, without the query.
    pub(crate) path: String,
    pub(crate) query: String,
    /// The address in the one form that is routed.
    pub(crate) routed: String,
    /// The parts of its last key, where they were named.
    pub(crate) named_key: Option<NamedKey>,
    scheme: &'static str,
    host: Option<Authority>,
}

impl RequestInfo {
    pub(crate) fn of(request: &Request) -> Self {
        let uri = request.uri();
        let headers = request.headers();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.and_then(|host| host.parse().ok());
        let query = uri.query().unwrap_or_default().to_owned();
        let path = uri.path().to_owned();
        let routed = Routed::of(&path);
        Self {
            correlation_id: Uuid::new_v4(),
            format: match admin_center::address::is_below_root(&routed.path) {
                true => ResponseFormat::Bare,
                false => format_of(headers, &query),
            },
            wants_csv: accept::wants_csv(request, &routed.path),
            routed: routed.path,
            named_key: routed.named_key,
            path,
            query,
            scheme: request
                .extensions()
                .get::<Scheme>()
                .map_or("http", |scheme| scheme.0),
            host: uri.authority().cloned().or(host),
        }
    }

    /// The service's address as the caller knows it, without a slash at the end. Anybody can name any host; one that is
    /// this machine is believed, and without another the addresses in answers begin with their path.
    pub(crate) fn origin(&self, public_url: Option<&str>) -> String {
        let own = self.host.as_ref().filter(|host| is_loopback(host.host()));
        match (public_url, own) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(host)) => format!("{}://{host}", self.scheme),
            (None, None) => String::new(),
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
    if by_version || by_accept || names_format(query) {
        ResponseFormat::OData
    } else {
        ResponseFormat::Bare
    }
}

/// Whether a query says by `$format` what the answer is to be.
pub(super) fn names_format(query: &str) -> bool {
    query.split('&').any(|item| {
        let name = item.split('=').next().unwrap_or_default().to_ascii_lowercase();
        matches!(name.as_str(), "$format" | "%24format" | "format")
    })
}
