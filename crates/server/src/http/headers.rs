//! What holds for the headers of every request, whatever it asks for: what decides something is there once, and can be
//! read. A header that was passed over would count as one that was not sent.

use super::accept;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Version, header, uri::Authority},
};
use domain::problem::{Code, RuleError};
use std::net::Ipv6Addr;
use wire::agent::{READY_HEADER, SESSION_HEADER};

const MAX_VERSION: &str = "OData-MaxVersion";
const OWN_VERSION: &str = "OData-Version";

/// Headers of one value, of which two would be two requests.
const SINGLE: [&str; 9] = [
    "Authorization",
    "Host",
    "Idempotency-Key",
    "If-Range",
    MAX_VERSION,
    OWN_VERSION,
    "Range",
    READY_HEADER,
    SESSION_HEADER,
];

/// Headers that are text of ASCII. (What `Authorization` holds is judged where it is looked at, and entity tags are bytes.)
const TEXT: [&str; 7] = [
    "Accept",
    "Idempotency-Key",
    MAX_VERSION,
    OWN_VERSION,
    "Prefer",
    READY_HEADER,
    SESSION_HEADER,
];

/// Refuses a request that says two things, or something that nobody can read.
///
/// # Errors
/// The first header that is not as it has to be.
pub(super) fn check(request: &Request, routed: &str) -> Result<(), RuleError> {
    let headers = request.headers();
    for name in SINGLE {
        if headers.get_all(name).iter().nth(1).is_some() {
            let message = format!("The header {name} is there twice; it can have one value.");
            return Err(RuleError::invalid(name, message));
        }
    }
    for name in TEXT {
        headers
            .get_all(name)
            .iter()
            .try_for_each(|value| check_text(name, value))?;
    }
    check_host(request)?;
    check_coding(headers)?;
    check_versions(headers)?;
    accept::check(request, routed)
}

/// A body that is coded on its way in another manner than in chunks would be read as what it is not, by us or by whoever
/// stands in front of us.
fn check_coding(headers: &HeaderMap) -> Result<(), RuleError> {
    let codings = headers.get_all(header::TRANSFER_ENCODING);
    match codings
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        true if codings.iter().count() < 2 => Ok(()),
        _ => Err(RuleError::invalid(
            "Transfer-Encoding",
            "The header Transfer-Encoding may be chunked, once, and nothing else.",
        )),
    }
}

fn check_text(name: &str, value: &HeaderValue) -> Result<(), RuleError> {
    let is_readable = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let position = value.as_bytes().iter().position(|byte| !is_readable(byte));
    let Some((position, byte)) = position.and_then(|at| Some((at, value.as_bytes().get(at)?))) else {
        return Ok(());
    };
    let message = format!(
        "The header {name} cannot be read: it is ASCII, and byte {} of it is 0x{byte:02X}.",
        position + 1
    );
    Err(RuleError::invalid(name, message))
}

fn check_host(request: &Request) -> Result<(), RuleError> {
    let host = request.headers().get(header::HOST);
    let authority = request.uri().authority();
    if host.is_none() && authority.is_none() {
        // HTTP/1.0 knows none.
        return match request.version() {
            Version::HTTP_09 | Version::HTTP_10 => Ok(()),
            _ => Err(RuleError::invalid("Host", "The header Host is missing.")),
        };
    }
    let sent = host.map(|host| String::from_utf8_lossy(host.as_bytes()));
    let named = [sent.as_deref(), authority.map(Authority::as_str)];
    if let Some(wrong) = named.into_iter().flatten().find(|name| !is_plain(name)) {
        let message = format!("'{}' is no host, or host and port.", wrong.escape_default());
        return Err(RuleError::invalid("Host", message));
    }
    match named {
        [Some(one), Some(other)] if !one.eq_ignore_ascii_case(other) => {
            let message = format!("The request is for '{other}', and its header Host names '{one}'.");
            Err(RuleError::invalid("Host", message))
        }
        _ => Ok(()),
    }
}

/// Whether a text is a name or an address, and perhaps a port: nothing that means something elsewhere in an address.
fn is_plain(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let is_name = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    let rest = text.strip_prefix(host);
    let has_plain_end = rest.is_some_and(|rest| rest.is_empty() || authority.port_u16().is_some());
    !host.is_empty() && (is_name || is_address) && has_plain_end
}

/// A version as OData writes it, perhaps with what a client calls itself behind it: `3.0;NetFx`.
fn check_versions(headers: &HeaderMap) -> Result<(), RuleError> {
    for name in [MAX_VERSION, OWN_VERSION] {
        let Some(text) = headers.get(name).and_then(|value| value.to_str().ok()) else {
            continue;
        };
        let version = text.split(';').next().unwrap_or_default().trim();
        let major = read_major(version).ok_or_else(|| {
            let message = format!("'{text}' is no version of OData, such as 4.0.");
            RuleError::new(Code::BadArgument, message).about(name)
        })?;
        // Whoever can read what comes later can read this.
        let is_ours = match name {
            MAX_VERSION => major >= 4,
            _ => major == 4,
        };
        if !is_ours {
            let message = format!("{name} is {version}; this service speaks OData 4.0.");
            return Err(RuleError::new(Code::BadArgument, message).about(name));
        }
    }
    Ok(())
}

fn read_major(version: &str) -> Option<u32> {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(major) && is_number(minor) {
        major.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_authority_is_a_host_and_perhaps_a_port() {
        for plain in [
            "fame",
            "fame.contoso.com",
            "my_host:80",
            "10.0.0.1:8080",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in [
            "",
            "user@fame",
            "fame:port",
            "fame:80:80",
            "fame/path",
            "fame?a",
            "fame#a",
            "fame:99999",
            "[::1",
            "[fame]",
            "fa me",
            "fame,other",
            "a%2fb",
            "<b>",
            "fam\u{e9}",
            ":80",
        ] {
            assert!(!is_plain(other), "{other}");
        }
    }

    #[test]
    fn versions_are_numbers() {
        for (text, major) in [("4.0", 4), ("4.01", 4), ("4", 4), ("3.0", 3), ("10.0", 10)] {
            assert_eq!(read_major(text), Some(major), "{text}");
        }
        for text in [
            "",
            ".",
            "4.",
            ".0",
            "4.0.1",
            "four",
            "-4.0",
            "+4.0",
            "1e1",
            "inf",
            "NaN",
            "99999999999",
        ] {
            assert_eq!(read_major(text), None, "{text}");
        }
    }
}
