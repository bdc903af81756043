//! What every layer of the vendor API may know of a request: who answers it, how, and what it is called in the log.

use super::{
    accept,
    address::{NamedKey, Routed},
};
use crate::{actions::Arrival, admin_center, config::Network};
use axum::{
    extract::Request,
    http::{HeaderMap, header, uri::Authority},
};
use domain::loopback::is_loopback;
use std::{net::IpAddr, sync::Arc};
use uuid::Uuid;
use wire::ResponseFormat;

/// The scheme of the listener that a request came in by, where it is not http.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheme(pub &'static str);

/// Whom the connection is with by which a request came, and which addresses are those of proxies.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) proxies: Arc<[Network]>,
}

impl Peer {
    /// The address that a request came from: each proxy adds the one that it was asked by, so the last one that is no proxy's
    /// is the caller's. What stands before it, whoever asked can have made up.
    fn of(&self, headers: &HeaderMap) -> IpAddr {
        let is_proxy = |address: IpAddr| self.proxies.iter().any(|proxy| proxy.contains(address));
        let passed_on: Vec<_> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|text| {
                text.trim()
                    .parse()
                    .ok()
                    .map(|address: IpAddr| address.to_canonical())
            })
            .collect();
        let mut address = self.address;
        for before in passed_on.into_iter().rev() {
            match before {
                Some(before) if is_proxy(address) => address = before,
                _ => break,
            }
        }
        address
    }
}

/// The API that an address in the form that is routed is one of, in a word.
fn api_of(routed: &str) -> &'static str {
    match routed.trim_start_matches('/').split('/').next() {
        Some("operator") => "operator",
        Some("agent") => "agent",
        Some("admin") => "customer",
        Some("oidc") => "oidc",
        Some("tokens") => "tokens",
        _ => "vendor",
    }
}

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
    /// The address that it came from, where it came by a connection.
    address: Option<IpAddr>,
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
            address: request.extensions().get::<Peer>().map(|peer| peer.of(headers)),
        }
    }

    /// How it came, as actions write it down.
    pub(crate) fn arrival(&self) -> Arrival {
        Arrival {
            correlation_id: self.correlation_id,
            address: self.address,
            via: api_of(&self.routed),
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
