//! What can be typed after `fame dev`.

use clap::{Args, Subcommand};
use navx::Version;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

/// Run a service with sample data on this machine, to try things out.
///
/// It answers the App Management API and the operator API, issues its own tokens, and pretends to carry out what
/// is scheduled. Whoever can reach it may become anybody, so it listens on this machine only. With --json it prints one
/// line of JSON when it is ready, instead of the guide.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DevArgs {
    /// What to do with one that runs
    #[command(subcommand)]
    pub command: Option<DevCommand>,
    /// Where to listen, on this machine only; port 0 takes any free one, and https gets a port of its own
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = loopback)]
    pub listen: SocketAddr,
    /// Host name that leads here too, such as one of your hosts file: https is proven by it, and the issuer answers to
    /// it and gives tokens for https://NAME; repeat it for several
    #[arg(long = "host", value_name = "NAME", value_parser = entra_local::host_name)]
    pub hosts: Vec<String>,
    /// Folder to keep everything in, to go on from there next time; without it, all is gone at the end
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// One line of JSON when ready, instead of the guide: the flag that holds for all commands
    #[arg(skip)]
    pub json: bool,
    /// Begin without apps and environments
    #[arg(long)]
    pub empty: bool,
    /// Run the whole main job once against itself, show each step, and end; for a fresh folder
    #[arg(long)]
    pub once: bool,
}

/// `fame dev …`
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum DevCommand {
    /// Read the clock of a `fame dev` that runs, or move it
    ///
    /// What becomes due on the way is carried out as if the time had passed. Tokens live on this machine's time. The
    /// service is the one that --url or FAME_URL names, else http://127.0.0.1:8080.
    #[command(subcommand)]
    Clock(ClockCommand),
    /// Write a package of the sample app Contoso Sales Pack, to have something to upload
    Package {
        /// Its version, such as 16.0.3.0
        version: Version,
        /// Where to write it; a file that is there is replaced
        file: PathBuf,
    },
}

/// `fame dev clock …`
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum ClockCommand {
    /// Say what time it is there
    Show,
    /// Move it on by a span: 6h, "1d 30m" or PT6H
    Advance {
        /// By how much
        #[arg(value_name = "SPAN")]
        by: String,
    },
    /// Make it a certain time, be it earlier: 2027-01-31T20:00:00Z
    Set {
        /// What time it is to be
        #[arg(value_name = "TIME")]
        to: String,
    },
}

/// Reads an address that only this machine can reach, and that the certificate is for.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let spelled = match text.strip_prefix("localhost:") {
        Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        None => text.to_owned(),
    };
    let address: SocketAddr = spelled
        .parse()
        .map_err(|_| "expected an address and port such as 127.0.0.1:8080".to_owned())?;
    let certified = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if certified.contains(&address.ip()) {
        return Ok(address);
    }
    Err(format!(
        "{} is not this machine alone: `fame dev` lets everybody in who reaches it, so it listens on 127.0.0.1 or \
         [::1] only; for others run `fame serve`",
        address.ip()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_plain_name() {
        for good in ["login.microsoftonline.com", "fame", "my-host.local"] {
            assert!(entra_local::host_name(good).is_ok(), "{good}");
        }
        for wrong in [
            "https://contoso.com",
            "contoso.com:8443",
            "*.contoso.com",
            "192.0.2.1",
            "[::1]",
            "-x.com",
            "x..com",
            "x.com.",
            "über.de",
            "",
        ] {
            let refusal = entra_local::host_name(wrong).err().unwrap();
            assert!(refusal.to_string().contains(&format!("`{wrong}`")), "{refusal}");
        }
    }

    #[test]
    fn only_this_machine_is_listened_to() {
        for good in ["127.0.0.1:8080", "[::1]:0", "localhost:0"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for wrong in [
            "0.0.0.0:8080",
            "[::]:8080",
            "192.0.2.1:80",
            "127.0.0.2:80",
            "127.0.0.1",
            "8080",
            "",
            "dev:80",
        ] {
            assert!(loopback(wrong).is_err(), "{wrong}");
        }
    }
}
