//! Which database, and the one secret there is: its password.

use crate::{
    postgres_url::{PostgresUrl, Tls},
    tls,
};
use domain::chain::Chain;
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, path::PathBuf, str::FromStr};

/// Which database, and how it is reached.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Which database, with its password.
    pub url: DatabaseUrl,
    /// Most connections to PostgreSQL that requests and jobs use, one more listens for signals; or reads of SQLite that
    /// may go on for long at the same time.
    pub connections: usize,
    /// Authorities whose certificates a PostgreSQL may show, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether connections over a network may be unencrypted.
    pub allow_plaintext: bool,
    /// Who brings the database up to date.
    pub migrate: Migrate,
}

impl DatabaseSettings {
    /// Why the database's password and rows are sent over a network where others may read or change them; `None`
    /// when they are not.
    #[must_use]
    pub fn exposure(&self) -> Option<&'static str> {
        let server = PostgresUrl::parse(self.url.expose()).ok()?;
        match server.tls {
            _ if server.is_local() => None,
            Tls::Verified => None,
            Tls::None => Some("has sslmode=disable"),
            Tls::IfOffered => Some("has an sslmode that goes on without encryption where none is offered"),
        }
    }

    /// What is wrong with the authorities that a PostgreSQL's certificate is checked by, and whether it is the url that names
    /// them.
    #[must_use]
    pub fn unusable_authorities(&self) -> Option<(bool, String)> {
        let server = PostgresUrl::parse(self.url.expose()).ok()?;
        if server.tls == Tls::None {
            return None;
        }
        let file = server.authorities(self.ca_file.as_deref());
        let error = tls::connector(file).err()?.into_cause();
        Some((server.authorities(None).is_some(), Chain(&error).to_string()))
    }

    /// The database at `url`, with everything else as it usually is.
    ///
    /// # Panics
    /// The url is none.
    #[cfg(any(test, feature = "test"))]
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "a test names a database that can be")]
    pub fn at(url: &str) -> Self {
        Self {
            url: url.parse().unwrap(),
            connections: 4,
            ca_file: None,
            allow_plaintext: false,
            migrate: Migrate::AtStart,
        }
    }
}

/// Who brings the database up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// The service, when it starts.
    AtStart,
    /// `fame migrate`; the service starts only on a database that is up to date.
    Separately,
}

/// `sqlite:PATH` or `postgres://…`; shows itself without its password.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl FromStr for DatabaseUrl {
    type Err = &'static str;

    /// Reads a url; on failure says what is wrong with it, without quoting any of it.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_server = text.starts_with("postgres://") || text.starts_with("postgresql://");
        match text.strip_prefix("sqlite:") {
            Some("") => return Err("has no path after sqlite:"),
            Some(":memory:") => return Err("must be a file: a database in memory would not survive"),
            Some(path) if path.starts_with("//") && !path.starts_with("///") => {
                return Err("has slashes after sqlite: that do not belong to the path: write sqlite:PATH");
            }
            Some(_) => {}
            None if is_server => drop(PostgresUrl::parse(text)?),
            None => return Err("begins neither with sqlite: nor with postgres://"),
        }
        Ok(Self(text.to_owned().into()))
    }
}

impl DatabaseUrl {
    /// The url with its password, for opening the database.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The file, if it is SQLite's.
    #[must_use]
    pub fn sqlite_path(&self) -> Option<PathBuf> {
        self.expose().strip_prefix("sqlite:").map(PathBuf::from)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(self.expose()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// The same url with `***` for the password; rather hides too much than too little.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let login = match login.split_once(':') {
        Some((user, password)) if !password.is_empty() => format!("{user}:***@"),
        Some((user, _)) => format!("{user}@"),
        None if login.is_empty() => String::new(),
        None => format!("{login}@"),
    };
    let (address, options) = place.split_once('?').unwrap_or((place, ""));
    let mut shown = format!("{scheme}://{login}{address}");
    for (index, option) in options.split('&').filter(|option| !option.is_empty()).enumerate() {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let is_password = name.to_ascii_lowercase().contains("pass");
        let value = if is_password { "***" } else { value };
        shown += &format!("{}{name}={value}", if index == 0 { '?' } else { '&' });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_password_is_hidden() {
        let cases = [
            ("sqlite:data/fame.db", "sqlite:data/fame.db"),
            (
                "postgres://fame:s3cret@db:5432/fame",
                "postgres://fame:***@db:5432/fame",
            ),
            (
                "postgres://fame@db/fame?sslmode=disable",
                "postgres://fame@db/fame?sslmode=disable",
            ),
            (
                "postgres://db/fame?user=u&password=s3cret",
                "postgres://db/fame?user=u&password=***",
            ),
        ];
        for (url, shown) in cases {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn what_is_no_database_is_refused() {
        for url in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "sqlite://a.db",
            "mysql://h/db",
            "postgres://h:port/db",
            "postgres:///db",
        ] {
            assert!(url.parse::<DatabaseUrl>().is_err(), "{url}");
        }
        let path = |url: &str| url.parse::<DatabaseUrl>().unwrap().sqlite_path();
        assert_eq!(path("sqlite:a/b.db"), Some(PathBuf::from("a/b.db")));
        assert_eq!(path("postgres://h/db"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_password_is_ever_shown(password in "[A-Z@:/?#&=%]{0,6}SECRET[A-Z@:/?#&=%]{0,6}") {
            let url = format!("postgres://fame:{password}@db/fame");
            prop_assert!(!redacted(&url).contains("SECRET"), "{}", redacted(&url));
            if let Ok(url) = url.parse::<DatabaseUrl>() {
                let debug = format!("{:?}", url);
                prop_assert!(!debug.contains("SECRET"));
            }
        }
    }
}
