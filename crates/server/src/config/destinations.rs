//! Section `destinations`: where webhooks and telemetry may be sent besides the internet.

use super::Network;
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

/// A host that may be sent to, as long as it is in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedDestination {
    is_tls: bool,
    host: String,
    port: u16,
    network: Network,
}

impl AllowedDestination {
    /// Whether this is the host that an url names.
    #[must_use]
    pub fn is_called(&self, is_tls: bool, host: &str, port: u16) -> bool {
        self.is_tls == is_tls && self.host.eq_ignore_ascii_case(host) && self.port == port
    }

    /// Whether the host may be at that address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.network.contains(address)
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
        let origin: http::Uri = origin.parse().map_err(|_| problem())?;
        let is_tls = match origin.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(problem()),
        };
        if !matches!(origin.path(), "" | "/") || origin.query().is_some() {
            return Err(problem());
        }
        Ok(Self {
            is_tls,
            host: origin.host().ok_or_else(problem)?.to_owned(),
            port: origin.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
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
        assert!(allowed.is_called(true, "hooks.contoso.local", 9443));
        assert!(!allowed.is_called(false, "hooks.contoso.local", 9443));
        assert!(!allowed.is_called(true, "hooks.contoso.local", 443));
        assert!(
            allowed.contains("10.1.2.3".parse().unwrap()) && !allowed.contains("10.2.0.1".parse().unwrap())
        );
        for wrong in [
            "",
            "hooks 10.0.0.0/8",
            "https://hooks",
            "https://hooks/a 10.0.0.0/8",
            "ftp://a 10.0.0.0/8",
            "https://a b",
        ] {
            assert!(wrong.parse::<AllowedDestination>().is_err(), "{wrong}");
        }
    }
}
