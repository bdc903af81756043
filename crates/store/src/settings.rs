//! Which database, and the one secret there is: its password.

use crate::postgres_url::{PostgresUrl, Tls};
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, path::PathBuf};

/// Section `database`.
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
    /// The database at `url`, with everything else as it usually is in tests.
    ///
    /// # Panics
    /// The url is none.
    #[cfg(any(test, feature = "test"))]
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "a test names a database that can be")]
    pub fn at(url: &str) -> Self {
        Self {
            url: DatabaseUrl::parse(url).unwrap(),
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

impl DatabaseUrl {
    /// Reads a url; on failure says what is wrong with it, without quoting any of it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let problem = match text.strip_prefix("sqlite:") {
            Some("") => Some("has no path after sqlite:"),
            Some(":memory:") => Some("must be a file: a database in memory would not survive"),
            Some(path) if path.starts_with("//") && !path.starts_with("///") => {
                Some("has slashes after sqlite: that do not belong to the path: write sqlite:PATH")
            }
            Some(_) => None,
            None => problem_of_server(text),
        };
        problem.map_or_else(|| Ok(Self(text.to_owned().into())), Err)
    }

    /// In the place of one that cannot be used, while the rest is read.
    pub fn stand_in() -> Self {
        Self(String::new().into())
    }

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

    /// The server, if it is PostgreSQL's.
    fn postgres(&self) -> Option<PostgresUrl> {
        PostgresUrl::parse(self.expose()).ok()
    }
}

/// Why these settings send the database's password and rows over a network where others may read or change them;
/// `None` when they do not.
pub fn exposure(settings: &DatabaseSettings) -> Option<&'static str> {
    let server = settings.url.postgres()?;
    if server.is_local() {
        return None;
    }
    match server.tls {
        Tls::Verified => None,
        Tls::None => Some("has sslmode=disable"),
        Tls::IfOffered => Some("has an sslmode that goes on without encryption where none is offered"),
    }
}

fn problem_of_server(text: &str) -> Option<&'static str> {
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Some("begins neither with sqlite: nor with postgres://");
    }
    PostgresUrl::parse(text).err()
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
    let (user_and_password, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let mut shown = format!("{scheme}://");
    if !user_and_password.is_empty() {
        let (user, password) = user_and_password
            .split_once(':')
            .unwrap_or((user_and_password, ""));
        let mask = if password.is_empty() { "" } else { ":***" };
        shown += &format!("{user}{mask}@");
    }
    let (address, options) = place.split_once('?').unwrap_or((place, ""));
    shown += address;
    for (index, option) in options.split('&').filter(|option| !option.is_empty()).enumerate() {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = if name.to_ascii_lowercase().contains("pass") {
            "***"
        } else {
            value
        };
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
            assert!(DatabaseUrl::parse(url).is_err(), "{url}");
        }
        assert_eq!(
            DatabaseUrl::parse("sqlite:a/b.db").unwrap().sqlite_path(),
            Some(PathBuf::from("a/b.db"))
        );
        assert_eq!(DatabaseUrl::parse("postgres://h/db").unwrap().sqlite_path(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_password_is_ever_shown(password in "[A-Z@:/?#&=%]{0,6}SECRET[A-Z@:/?#&=%]{0,6}") {
            let url = format!("postgres://fame:{password}@db/fame");
            prop_assert!(!redacted(&url).contains("SECRET"), "{}", redacted(&url));
            if let Ok(url) = DatabaseUrl::parse(&url) {
                let debug = format!("{:?}", url);
                prop_assert!(!debug.contains("SECRET"));
            }
        }
    }
}
