//! Section `destinations`: where webhooks and telemetry may be sent besides the internet.

use super::Network;
use http::Uri;
use serde::{Deserialize, Deserializer, de::Error};
use std::{net::IpAddr, str::FromStr};

/// Section `destinations`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct DestinationSettings {
    /// Whether they may be on this very machine, without TLS and at any port: for development.
    pub allow_loopback: bool,
    /// Those inside the operator's own networks, or at other ports, or without TLS.
    #[serde(deserialize_with = "allowed")]
    pub allowed: Vec<AllowedDestination>,
}

/// The host of an url, and how it is spoken to. Two are equal where the urls mean the same in other words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) is_tls: bool,
    /// In small letters; an address of IPv6 in its shortest form, without brackets.
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Host {
    /// What an url names, or why it names none that something could be sent to.
    pub(crate) fn of(url: &Uri) -> Result<Self, &'static str> {
        let is_tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("does not begin with https://"),
        };
        let authority = url.authority().ok_or("names no host")?;
        if authority.as_str().contains('@') {
            return Err("has a user name, which is not sent anywhere");
        }
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        if name.is_empty() {
            return Err("names no host");
        }
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err("has a port that is none of 0 to 65535");
        }
        let address: Result<IpAddr, _> = name.parse();
        Ok(Self {
            is_tls,
            name: address.map_or_else(|_| name.to_ascii_lowercase(), |address| address.to_string()),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
        })
    }
}

/// A host that may be sent to, as long as it is in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedDestination {
    host: Host,
    network: Network,
}

impl AllowedDestination {
    /// Whether this is that host, which may be at that address.
    pub(crate) fn allows(&self, host: &Host, address: IpAddr) -> bool {
        self.host == *host && self.network.contains(address)
    }
}

impl FromStr for AllowedDestination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || {
            format!(
                "'{text}' is not a host and its network, such as \"https://hooks.contoso.local 10.1.0.0/16\""
            )
        };
        let (origin, network) = text.trim().split_once(' ').ok_or_else(problem)?;
        let origin: Uri = origin.parse().map_err(|_| problem())?;
        if !matches!(origin.path(), "" | "/") || origin.query().is_some() {
            return Err(problem());
        }
        Ok(Self {
            host: Host::of(&origin).map_err(|_| problem())?,
            network: network.trim().parse()?,
        })
    }
}

fn allowed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AllowedDestination>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let allowed = texts.iter().map(|text| text.parse());
    allowed.collect::<Result<_, String>>().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_allowed_by_its_name_port_and_network() {
        let allowed: AllowedDestination = "https://Hooks.contoso.local:9443  10.1.0.0/16".parse().unwrap();
        for (url, address, expected) in [
            ("https://hooks.CONTOSO.local:9443/a", "10.1.2.3", true),
            ("https://hooks.contoso.local:9443", "10.2.0.1", false),
            ("http://hooks.contoso.local:9443", "10.1.2.3", false),
            ("https://hooks.contoso.local", "10.1.2.3", false),
            ("https://contoso.local:9443", "10.1.2.3", false),
        ] {
            let host = Host::of(&url.parse().unwrap()).unwrap();
            assert_eq!(allowed.allows(&host, address.parse().unwrap()), expected, "{url}");
        }
        for wrong in [
            "",
            "hooks 10.0.0.0/8",
            "https://hooks",
            "https://hooks/a 10.0.0.0/8",
            "ftp://a 10.0.0.0/8",
            "https://a b",
            "https://me@a 10.0.0.0/8",
        ] {
            assert!(wrong.parse::<AllowedDestination>().is_err(), "{wrong}");
        }
    }
}
