//! Which hosts are this very machine: a rule of security, because secrets and tokens may go there unencrypted.

use std::net::IpAddr;

/// Whether what is sent to `host` (a name or an address, `[::1]` with or without its brackets) never leaves this
/// machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_address = address.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    is_address || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_counts() {
        for here in [
            "localhost",
            "LocalHost",
            "127.0.0.1",
            "127.8.9.10",
            "::1",
            "[::1]",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in [
            "",
            "localhost.contoso.com",
            "127.0.0.1.contoso.com",
            "10.0.0.1",
            "0.0.0.0",
            "[::2]",
            "1",
        ] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
