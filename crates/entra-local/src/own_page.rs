//! Who sends a request, as far as browsers say: a page of the listener that it reaches, or somebody else's.
//!
//! Whatever listens on this machine is reached by every page that a browser here shows. A name of somebody else's that
//! leads here, and a page of somebody else's that sends here, are told from our own by what browsers add to requests.

use axum::http::{HeaderMap, HeaderName, header};

/// The names of this machine to itself, as a request's Host has them.
pub const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Where a request comes from, as browsers say it.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The host of `host:port`, whose port may be left out.
pub fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether `authority` names this machine by one of its own names.
pub fn is_loopback_name(authority: &str) -> bool {
    let host = host_of(authority);
    LOOPBACK_NAMES.iter().any(|own| own.eq_ignore_ascii_case(host))
}

/// Whether all that `headers` say of `name` is fine; nothing said is.
pub fn all_of(headers: &HeaderMap, name: HeaderName, is_fine: impl Fn(&str) -> bool) -> bool {
    let mut values = headers.get_all(name).iter();
    values.all(|value| value.to_str().is_ok_and(&is_fine))
}

/// Whether a page from `authority` sent the request, or nobody's page did. What is no browser says nothing.
pub fn is_from_page_of(authority: &str, headers: &HeaderMap) -> bool {
    let is_own_origin = |origin: &str| {
        let origin = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        origin.is_some_and(|origin| origin.eq_ignore_ascii_case(authority))
    };
    let is_own_site = |site: &str| matches!(site, "same-origin" | "none");
    all_of(headers, header::ORIGIN, is_own_origin) && all_of(headers, FETCH_SITE, is_own_site)
}
