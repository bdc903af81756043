//! The proxies between here and everybody else, as the environment names them.
//!
//! What is set to nothing counts as not set, so that an empty `HTTPS_PROXY` does not hide `https_proxy`. And which proxy is
//! on the way to somebody is known, so that it can be named when it is not there.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, NoProxy, Proxy, Url};
use std::{env, fmt};

/// The proxies, if there are any.
pub(crate) struct Proxies {
    http: String,
    https: String,
    not_for: String,
    matcher: Matcher,
}

impl Proxies {
    pub(crate) fn from_env() -> Self {
        Self::named_by(|name| env::var(name).ok())
    }

    fn named_by(read: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| read(name).filter(|value| !value.trim().is_empty());
        // Who asks a script on a web server sets its HTTP_PROXY by a header named Proxy.
        let is_script = set("REQUEST_METHOD").is_some();
        let first = |names: [&str; 4]| {
            let found = names.into_iter().find_map(set).filter(|_| !is_script);
            found.unwrap_or_default()
        };
        let http = first(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]);
        let https = first(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]);
        let not_for = ["NO_PROXY", "no_proxy"]
            .into_iter()
            .find_map(set)
            .unwrap_or_default();
        // No proxy has any business with what is on this machine.
        let not_for = format!("{not_for},localhost,127.0.0.0/8,::1");
        let matcher = Matcher::builder();
        let matcher = matcher
            .http(http.clone())
            .https(https.clone())
            .no(not_for.clone());
        Self {
            http,
            https,
            not_for,
            matcher: matcher.build(),
        }
    }

    /// Has the connections of a client go through them.
    pub(crate) fn lead(&self, builder: ClientBuilder) -> ClientBuilder {
        let https = Proxy::https(&self.https);
        let named = [Proxy::http(&self.http), https].into_iter().flatten();
        named.fold(builder.no_proxy(), |builder, proxy| {
            builder.proxy(proxy.no_proxy(NoProxy::from_string(&self.not_for)))
        })
    }

    /// Which of them is on the way to `url`, without what it is to be told.
    pub(crate) fn before(&self, url: &Url) -> Option<String> {
        let proxy = self.matcher.intercept(&url.as_str().parse().ok()?)?;
        let authority = proxy.uri().authority()?.as_str();
        let (_, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        Some(address.to_owned())
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let read = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Proxies::named_by(read).before(&url.parse().unwrap())
    }

    #[test]
    fn what_is_set_to_nothing_hides_nothing() {
        let there = Some("proxy.contoso.com:3128".to_owned());
        let (small, url) = (
            "http://user:secret@proxy.contoso.com:3128",
            "https://login.contoso.com/",
        );
        assert_eq!(before(&[("HTTPS_PROXY", ""), ("https_proxy", small)], url), there);
        assert_eq!(
            before(
                &[("HTTPS_PROXY", " "), ("https_proxy", ""), ("all_proxy", small)],
                url
            ),
            there
        );
        assert_eq!(before(&[("HTTP_PROXY", small)], url), None);
        assert_eq!(
            before(
                &[
                    ("https_proxy", small),
                    ("NO_PROXY", ""),
                    ("no_proxy", "contoso.com")
                ],
                url
            ),
            None
        );
        assert_eq!(
            before(&[("https_proxy", small), ("REQUEST_METHOD", "GET")], url),
            None
        );
    }
}
