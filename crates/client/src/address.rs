//! Addresses, and which of them a secret may be sent to.

use crate::error::{Error, Result};
use domain::loopback::is_loopback;
use reqwest::Url;
use std::{ops::Deref, str::FromStr};

type NotAUrl = <Url as FromStr>::Err;

/// An address that a secret may be sent to: over https, or to this very machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecureUrl(Url);

/// Why no secret may be sent to an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsecureUrl {
    /// It cannot be understood.
    #[error("is not a URL: {0}")]
    Unreadable(NotAUrl),
    /// It holds a user's name or password, which would end up in logs.
    #[error("holds credentials, which do not belong into a URL")]
    Credentials,
    /// It is neither https nor on this machine.
    #[error("would send secrets in the clear: use https (http is for this machine only)")]
    Cleartext,
    /// Nothing speaks HTTP there.
    #[error("is neither https nor http")]
    Scheme,
}

impl FromStr for SecureUrl {
    type Err = InsecureUrl;

    fn from_str(text: &str) -> Result<Self, InsecureUrl> {
        let url = Url::parse(text).map_err(InsecureUrl::Unreadable)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InsecureUrl::Credentials);
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if url.host_str().is_some_and(is_loopback) => Ok(Self(url)),
            "http" => Err(InsecureUrl::Cleartext),
            _ => Err(InsecureUrl::Scheme),
        }
    }
}

impl Deref for SecureUrl {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.0
    }
}

impl SecureUrl {
    /// Whether it is on this machine, so that no proxy has any business with it.
    pub(crate) fn is_local(&self) -> bool {
        self.0.host_str().is_some_and(is_loopback)
    }

    /// The address of what lies `segments` below this one. A segment that would lead up from there, `..`, is written as the
    /// key of the one before it.
    pub(crate) fn below(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        let mut written: Vec<String> = Vec::new();
        for &segment in segments {
            match (segment, written.last_mut()) {
                ("." | "..", Some(before)) => *before = keyed(before, segment),
                _ => written.push(segment.to_owned()),
            }
        }
        // Only addresses such as `mailto:` have no segments, and those are not secure.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(written);
        }
        url
    }
}

/// One of a collection by its key, in the form in which a key may be any text.
pub(crate) fn keyed(collection: &str, key: &str) -> String {
    format!("{collection}({})", literal(key))
}

/// `url` with those of the query options that are given.
pub(crate) fn with_options(mut url: Url, options: &[(&str, Option<String>)]) -> Url {
    let given: Vec<String> = options
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_deref()?))))
        .collect();
    if !given.is_empty() {
        url.set_query(Some(&given.join("&")));
    }
    url
}

/// The names of options keep their `$` and blanks are `%20`: the form that every OData service reads.
fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The address of the next page, as long as it is with the same service: the token goes nowhere else.
pub(crate) fn next_page(current: &Url, link: &str) -> Result<Url> {
    let next = current.join(link).map_err(Error::InvalidLink)?;
    if next.origin() != current.origin() {
        return Err(Error::ForeignLink {
            origin: next.origin().ascii_serialization(),
        });
    }
    Ok(next)
}

/// A text as an OData literal.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn secrets_go_over_https_or_nowhere() {
        for good in [
            "https://fame.contoso.com",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(good.parse::<SecureUrl>().is_ok(), "{good}");
        }
        for bad in [
            "http://fame.contoso.com",
            "http://127.0.0.1.contoso.com",
            "http://0.0.0.0",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "127.0.0.1:8080",
            "https://user:secret@fame.contoso.com",
        ] {
            let refused = bad.parse::<SecureUrl>().unwrap_err();
            assert!(!refused.to_string().contains("secret@"), "{refused}");
        }
    }

    #[test]
    fn a_service_may_live_below_a_path() {
        for root in ["https://contoso.com/fame", "https://contoso.com/fame/"] {
            let root: SecureUrl = root.parse().unwrap();
            assert_eq!(
                root.below(&["v1.4", "a b"]).as_str(),
                "https://contoso.com/fame/v1.4/a%20b"
            );
        }
    }

    #[test]
    fn no_segment_is_lost() {
        let root: SecureUrl = "https://contoso.com".parse().unwrap();
        for (segments, path) in [
            (&["countries", "..", "versions"][..], "/countries('..')/versions"),
            (&["countries", "."], "/countries('.')"),
            (
                &["countries", "...", "a/b", "%2e%2e"],
                "/countries/.../a%2Fb/%252e%252e",
            ),
            (&["environments", "t", "..", ".."], "/environments/t('..')('..')"),
        ] {
            assert_eq!(root.below(segments).path(), path);
        }
    }

    #[test]
    fn options_are_encoded_as_every_service_reads_them() {
        let address = with_options(
            url("https://fame.contoso.com/v1.4/apps"),
            &[("$filter", Some("name eq 'A&B'".into())), ("$top", None)],
        );
        assert_eq!(address.query(), Some("$filter=name%20eq%20%27A%26B%27"));
    }

    #[test]
    fn the_token_stays_with_its_service() {
        let current = url("https://fame.contoso.com/v1.4/apps");
        assert!(next_page(&current, "https://fame.contoso.com/v1.4/apps?$skiptoken=1").is_ok());
        assert!(next_page(&current, "/v1.4/apps?$skiptoken=1").is_ok());
        for elsewhere in [
            "http://fame.contoso.com/v1.4/apps",
            "https://fame.contoso.com:444/",
            "https://fabrikam.com/",
        ] {
            assert!(next_page(&current, elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn quotes_in_names_are_doubled() {
        assert_eq!(literal("L'Oréal"), "'L''Oréal'");
    }
}
