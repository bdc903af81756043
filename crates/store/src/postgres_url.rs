//! What a url of PostgreSQL means to this service: where the server is, and whether the way there is encrypted.
//!
//! `sslmode` is written as for PostgreSQL's own programs, but no mode here trusts a certificate that was not
//! checked: encryption with whoever answers keeps nobody out who can redirect a connection.

use domain::loopback::is_loopback;
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How a connection to PostgreSQL is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Not at all.
    None,
    /// If the server offers it, and then with a certificate that was checked.
    IfOffered,
    /// Always; certificate and host name are checked.
    Verified,
}

/// A url of PostgreSQL, understood.
#[derive(Clone, Debug)]
pub(crate) struct PostgresUrl {
    /// How to connect, apart from certificates.
    pub(crate) config: tokio_postgres::Config,
    /// Whether connections are encrypted.
    pub(crate) tls: Tls,
    /// The file that `sslrootcert` names.
    ca_file: Option<PathBuf>,
}

impl PostgresUrl {
    /// Reads a url; on failure says what is wrong with it, as the end of a sentence and without quoting any of it.
    pub(crate) fn parse(url: &str) -> Result<Self, &'static str> {
        let (rest, options) = without_ssl_options(url)?;
        // The reason given by the parser may quote a part of the password, where that was not written with %.
        let mut config: tokio_postgres::Config = rest.parse().map_err(
            |_| "is not a url of PostgreSQL; characters such as @ : / ? # in the password are written with %",
        )?;
        if config.get_hosts().is_empty() {
            return Err("names no host");
        }
        let tls = tls_of(options.mode.as_deref(), &config)?;
        config.ssl_mode(match tls {
            Tls::None => SslMode::Disable,
            Tls::IfOffered => SslMode::Prefer,
            Tls::Verified => SslMode::Require,
        });
        let may_be_standby = config.get_hosts().len() > 1;
        if may_be_standby && config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self {
            config,
            tls,
            ca_file: options.ca_file,
        })
    }

    /// The file of certificate authorities: the one that the url names, else the one that is set.
    pub(crate) fn authorities<'f>(&'f self, set: Option<&'f Path>) -> Option<&'f Path> {
        self.ca_file.as_deref().or(set)
    }

    /// Whether nothing that is sent leaves this machine.
    pub(crate) fn is_local(&self) -> bool {
        is_local(&self.config)
    }
}

#[derive(Default)]
struct SslOptions {
    mode: Option<String>,
    ca_file: Option<PathBuf>,
}

/// The url without the options that the library does not know or understands otherwise.
fn without_ssl_options(url: &str) -> Result<(String, SslOptions), &'static str> {
    let mut options = SslOptions::default();
    let Some((place, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), options));
    };
    let mut left = Vec::new();
    for option in query.split('&') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = percent_encoding::percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| "has an option that is not UTF-8")?;
        match name {
            "sslmode" => options.mode = Some(value.into_owned()),
            "sslrootcert" if value == "system" => options.ca_file = None,
            "sslrootcert" => options.ca_file = Some(PathBuf::from(&*value)),
            "sslcert" | "sslkey" => {
                return Err(
                    "has sslcert or sslkey: signing in with a certificate is not supported, use a password",
                );
            }
            _ => left.push(option),
        }
    }
    let rest = if left.is_empty() {
        place.to_owned()
    } else {
        format!("{place}?{}", left.join("&"))
    };
    Ok((rest, options))
}

fn tls_of(mode: Option<&str>, config: &tokio_postgres::Config) -> Result<Tls, &'static str> {
    // PostgreSQL offers no encryption on a unix socket, whatever it is asked for.
    let only_sockets = config
        .get_hosts()
        .iter()
        .all(|host| !matches!(host, Host::Tcp(_)));
    if only_sockets {
        return Ok(Tls::None);
    }
    match mode {
        None if is_local(config) => Ok(Tls::None),
        Some("disable") => Ok(Tls::None),
        Some("allow" | "prefer") => Ok(Tls::IfOffered),
        None | Some("require" | "verify-ca" | "verify-full") => Ok(Tls::Verified),
        Some(_) => Err("has another sslmode than disable, allow, prefer, require, verify-ca or verify-full"),
    }
}

fn is_local(config: &tokio_postgres::Config) -> bool {
    let stays_here = |host: &Host| match host {
        Host::Tcp(name) => is_loopback(name),
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    let addresses_stay = config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    config.get_hosts().iter().all(stays_here) && addresses_stay
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(url: &str) -> Tls {
        PostgresUrl::parse(url).unwrap().tls
    }

    #[test]
    fn over_the_network_nothing_but_checked_encryption_is_assumed() {
        assert_eq!(tls("postgres://fame@db.contoso.com/fame"), Tls::Verified);
        assert_eq!(tls("postgres://fame@10.0.0.7/fame"), Tls::Verified);
        assert_eq!(
            tls("postgres://fame@localhost,db.contoso.com/fame"),
            Tls::Verified
        );
        assert_eq!(
            tls("postgres://fame@localhost/fame?hostaddr=10.0.0.7"),
            Tls::Verified
        );
    }

    #[test]
    fn on_the_machine_itself_there_is_none_unless_it_is_asked_for() {
        for here in ["localhost", "127.0.0.1", "%2Fvar%2Frun%2Fpostgresql"] {
            assert_eq!(tls(&format!("postgres://fame@{here}/fame")), Tls::None, "{here}");
        }
        assert_eq!(
            tls("postgres://fame@localhost/fame?sslmode=require"),
            Tls::Verified
        );
        assert_eq!(tls("postgres://fame@%2Frun/fame?sslmode=require"), Tls::None);
    }

    #[test]
    fn each_mode_is_known_by_its_usual_word() {
        let cases = [
            ("disable", Tls::None),
            ("allow", Tls::IfOffered),
            ("prefer", Tls::IfOffered),
            ("require", Tls::Verified),
            ("verify-ca", Tls::Verified),
            ("verify-full", Tls::Verified),
        ];
        for (mode, expected) in cases {
            assert_eq!(
                tls(&format!("postgres://h/db?sslmode={mode}")),
                expected,
                "{mode}"
            );
        }
        let refused = PostgresUrl::parse("postgres://h/db?sslmode=maybe").err().unwrap();
        assert!(cases.iter().all(|(mode, _)| refused.contains(mode)), "{refused}");
    }

    #[test]
    fn what_the_url_says_of_certificates_is_kept_from_the_library() {
        let url = "postgres://h/db?sslrootcert=%2Fetc%2Fca.pem&sslmode=verify-full&connect_timeout=3";
        let url = PostgresUrl::parse(url).unwrap();
        assert_eq!(url.ca_file, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(url.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(
            url.config.get_connect_timeout(),
            Some(&std::time::Duration::from_secs(3))
        );
        let system = PostgresUrl::parse("postgres://h/db?sslrootcert=system").unwrap();
        assert_eq!(
            system.authorities(Some(Path::new("own.pem"))),
            Some(Path::new("own.pem"))
        );
        assert!(PostgresUrl::parse("postgres://h/db?sslcert=a.pem").is_err());
    }

    #[test]
    fn of_several_servers_the_one_that_takes_changes_is_meant() {
        let one = PostgresUrl::parse("postgres://h/db").unwrap();
        assert_eq!(one.config.get_target_session_attrs(), TargetSessionAttrs::Any);
        let several = PostgresUrl::parse("postgres://h,i/db").unwrap();
        assert_eq!(
            several.config.get_target_session_attrs(),
            TargetSessionAttrs::ReadWrite
        );
    }
}
