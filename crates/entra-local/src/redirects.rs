//! Where somebody may be sent after a sign-in: to what the application has registered, and nowhere else.

use crate::own_page::LOOPBACK_NAMES;

/// Whether `asked` is one of the registered addresses.
pub(crate) fn is_registered(registered: &[String], asked: &str) -> bool {
    registered.iter().any(|registered| {
        registered == asked
            || on_loopback(registered)
                .is_some_and(|registered| on_loopback(asked).is_some_and(|asked| registered == asked))
    })
}

/// Host, and path with query, of an `http` address on this machine, whatever its port: applications listen on one that is
/// free (RFC 8252 §7.3).
fn on_loopback(address: &str) -> Option<(&str, &str)> {
    let rest = address.strip_prefix("http://")?;
    let end = rest.find(['/', '?', '#', '\\', '@']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let host = LOOPBACK_NAMES.into_iter().find(|host| {
        let port = authority.strip_prefix(host);
        port.is_some_and(|port| port.is_empty() || is_port(port))
    })?;
    let is_plain = (path.is_empty() || path.starts_with(['/', '?'])) && !path.contains('#');
    is_plain.then_some((host, if path.is_empty() { "/" } else { path }))
}

fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':');
    digits.is_some_and(|digits| {
        digits.bytes().all(|digit| digit.is_ascii_digit()) && digits.parse::<u16>().is_ok()
    })
}

/// What a page's policy calls the address, so that a form of the page may lead there.
pub(crate) fn policy_source(address: &str) -> Option<String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".:-".contains(letter);
    let (scheme, rest) = address.split_once(':')?;
    if scheme.is_empty() || !scheme.chars().all(is_plain) {
        return None;
    }
    let authority = rest.strip_prefix("//").unwrap_or_default();
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    // Policies know no IPv6 addresses, and no hosts of other schemes.
    let is_web =
        matches!(scheme, "http" | "https") && !authority.is_empty() && authority.chars().all(is_plain);
    Some(if is_web {
        format!("{scheme}://{authority}")
    } else {
        format!("{scheme}:")
    })
}

#[cfg(test)]
mod tests {
    use super::{is_registered, policy_source};

    #[test]
    fn an_address_is_registered_as_it_is_written() {
        let registered = ["https://contoso.com/signed-in".to_owned()];
        assert!(is_registered(&registered, "https://contoso.com/signed-in"));
        for other in [
            "https://contoso.com/signed-in/",
            "https://contoso.com/signed-in?x=1",
            "https://contoso.com:443/signed-in",
            "https://CONTOSO.com/signed-in",
            "http://contoso.com/signed-in",
            "https://contoso.com/signed-in/../out",
            "https://contoso.com.evil.example/signed-in",
            "https://contoso.com@evil.example/signed-in",
            "",
        ] {
            assert!(!is_registered(&registered, other), "{other}");
        }
    }

    #[test]
    fn on_this_machine_the_port_is_free() {
        let registered = [
            "http://localhost".to_owned(),
            "http://127.0.0.1/back?a=b".to_owned(),
        ];
        for fine in [
            "http://localhost",
            "http://localhost/",
            "http://localhost:1",
            "http://localhost:65535/",
            "http://127.0.0.1:8400/back?a=b",
        ] {
            assert!(is_registered(&registered, fine), "{fine}");
        }
        for other in [
            "https://localhost",
            "http://localhost:1/back",
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://127.0.0.1:8400/back",
            "http://127.0.0.1:8400/back?a=b&c=d",
            "http://localhost:65536",
            "http://localhost:",
            "http://localhost:+1",
            "http://localhost:1x",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://localhost:1@evil.example",
            "http://localhost\\@evil.example",
            "http://localhost#@evil.example",
            "http://localhost:1/#",
            "//localhost",
            "javascript:alert(1)",
        ] {
            assert!(!is_registered(&registered, other), "{other}");
        }
    }

    #[test]
    fn a_policy_names_the_place_and_nothing_that_could_end_it() {
        let named = [
            ("http://localhost:8400/back?a=b", Some("http://localhost:8400")),
            ("https://contoso.com", Some("https://contoso.com")),
            ("http://[::1]:8400/", Some("http:")),
            ("msal://auth", Some("msal:")),
            ("com.contoso.app:/back", Some("com.contoso.app:")),
            ("https://contoso.com; script-src *", Some("https:")),
            ("x y://a", None),
            ("nowhere", None),
        ];
        for (address, source) in named {
            assert_eq!(policy_source(address).as_deref(), source, "{address}");
        }
    }
}
