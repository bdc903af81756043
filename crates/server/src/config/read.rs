//! From values to settings: each key parsed once into the type that the rest of the service trusts.

use super::{
    DatabaseUrl, Location, Operator, Origin, database,
    layers::{self, Given, Problem, Values},
    storage::{self, Place},
};
use crate::telemetry::LogFilter;
use auth::AuthSettings;
use domain::principal::PrincipalKind;
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};
use toml::Value;
use uuid::Uuid;

/// A hundred years.
const DAYS_KEPT_AT_MOST: i64 = 36_500;

/// Reads keys and remembers what was wrong. After a problem it returns a stand-in, so that reading goes on and
/// finds the others too.
pub(super) struct Reader<'v> {
    values: &'v Values,
    pub(super) problems: Vec<Problem>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "needs type, id and, for a User, tenant_id; or a text such as \"Application:ID\""
)]
enum OperatorEntry {
    Text(String),
    Table(OperatorTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorTable {
    #[serde(rename = "type")]
    kind: String,
    id: Uuid,
    tenant_id: Option<Uuid>,
}

impl<'v> Reader<'v> {
    pub(super) fn new(values: &'v Values) -> Self {
        Self {
            values,
            problems: Vec::new(),
        }
    }

    fn value(&mut self, key: &str) -> Option<&'v Value> {
        let found = self.values.get(key);
        if found.is_none() {
            self.refuse(key, "is missing among the built-in defaults");
        }
        found.map(|given| &given.value)
    }

    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        // `identity.issuers[0].tenants` was set where `identity.issuers` was.
        let whole = key.split('[').next().unwrap_or(key);
        let origin = self
            .values
            .get(whole)
            .map_or(&Origin::Default, |given: &Given| &given.origin);
        self.problems
            .push(Problem::error("InvalidValue", key, origin, message));
    }

    pub(super) fn text(&mut self, key: &str) -> &'v str {
        self.value(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.value(key).and_then(Value::as_bool).unwrap_or_default()
    }

    pub(super) fn number<N: TryFrom<i64> + Default>(&mut self, key: &str, allowed: RangeInclusive<i64>) -> N {
        let number = self.value(key).and_then(Value::as_integer).unwrap_or_default();
        match N::try_from(number) {
            Ok(fitting) if allowed.contains(&number) => fitting,
            _ => {
                let (least, most) = allowed.into_inner();
                self.refuse(key, format!("{number} is not from {least} to {most}"));
                N::default()
            }
        }
    }

    /// A number of days from `least` on; 0 means for ever.
    pub(super) fn days_kept(&mut self, key: &str, least: i64) -> Option<u16> {
        let days = self.value(key).and_then(Value::as_integer).unwrap_or_default();
        if days == 0 {
            return None;
        }
        if (least..=DAYS_KEPT_AT_MOST).contains(&days) {
            return u16::try_from(days).ok();
        }
        let message = format!("{days} is neither 0, for ever, nor from {least} to {DAYS_KEPT_AT_MOST}");
        self.refuse(key, message);
        None
    }

    pub(super) fn seconds(&mut self, key: &str, allowed: RangeInclusive<i64>) -> Duration {
        Duration::from_secs(self.number(key, allowed))
    }

    /// A span that must be longer than `idle`: whoever pauses for less is not taken for gone.
    pub(super) fn sweep_grace(&mut self, key: &str, (idle_key, idle): (&str, Duration)) -> Duration {
        let grace = self.seconds(key, 10..=86_400);
        if !grace.is_zero() && grace <= idle {
            self.refuse(
                key,
                format!("is not more than {idle_key}, which is {}", idle.as_secs()),
            );
        }
        grace
    }

    /// One of a few words, in any case.
    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T); 2]) -> T {
        let text = self.text(key);
        let [(first, stand_in), (second, _)] = words;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            return *meaning;
        }
        self.refuse(key, format!("'{text}' is neither {first} nor {second}"));
        *stand_in
    }

    pub(super) fn listen_address(&mut self, key: &str) -> SocketAddr {
        let text = self.text(key);
        text.parse().unwrap_or_else(|_| {
            self.refuse(
                key,
                format!("'{text}' is not an address and port such as 127.0.0.1:8080"),
            );
            (Ipv4Addr::LOCALHOST, 0).into()
        })
    }

    pub(super) fn log_level(&mut self, key: &str) -> LogFilter {
        let text = self.text(key);
        text.parse()
            .unwrap_or_else(|error: crate::telemetry::InvalidLogFilter| {
                self.refuse(key, error.to_string());
                LogFilter::default()
            })
    }

    /// An absolute http or https url, without a slash at its end.
    pub(super) fn public_url(&mut self, key: &str) -> Option<String> {
        let text = self.text(key);
        if text.is_empty() {
            return None;
        }
        let url = http::Uri::from_str(text).ok().filter(|url| {
            let is_web = matches!(url.scheme_str(), Some("http" | "https"));
            let has_user = url
                .authority()
                .is_some_and(|authority| authority.as_str().contains('@'));
            is_web && url.host().is_some() && url.query().is_none() && !has_user && !text.contains('#')
        });
        if url.is_none() {
            self.refuse(
                key,
                format!("'{text}' is not a url such as https://fame.contoso.com"),
            );
        }
        url.map(|_| text.trim_end_matches('/').to_owned())
    }

    pub(super) fn data_dir(&mut self) -> PathBuf {
        let text = self.text("server.data_dir");
        if text.is_empty() {
            self.refuse("server.data_dir", "is empty: name a folder");
        }
        text.into()
    }

    pub(super) fn optional_path(&mut self, key: &str) -> Option<PathBuf> {
        let text = self.text(key);
        let path = layers::with_data_dir(self.values, text);
        Some(path).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    pub(super) fn database_url(&mut self) -> DatabaseUrl {
        let text = layers::with_data_dir(self.values, self.text(database::URL));
        DatabaseUrl::parse(&text).unwrap_or_else(|message| {
            self.refuse(database::URL, message);
            DatabaseUrl::stand_in()
        })
    }

    pub(super) fn locations(&mut self, key: &str) -> Vec<Location> {
        let entries = self.value(key).and_then(Value::as_table);
        let mut locations: Vec<Location> = Vec::new();
        for (name, entry) in entries.into_iter().flatten() {
            let at = format!("{key}[{name:?}]");
            let name = name.trim().to_owned();
            if name.is_empty() {
                self.refuse(&at, "needs a name");
            }
            if locations
                .iter()
                .any(|other| other.name.to_lowercase() == name.to_lowercase())
            {
                self.refuse(&at, "differs only in case from another location");
            }
            match storage::read_place(self.values, entry) {
                Ok(place) => {
                    self.refuse_collisions(&at, &place, &locations);
                    locations.push(Location { name, place });
                }
                Err(problems) => {
                    for problem in problems {
                        self.refuse(&at, problem);
                    }
                }
            }
        }
        if entries.is_none_or(toml::Table::is_empty) {
            self.refuse(key, "is empty, so no package could be stored: name a location");
        }
        locations
    }

    fn refuse_collisions(&mut self, at: &str, place: &Place, others: &[Location]) {
        for other in others {
            if let Some(problem) = place.collision(&other.place, &other.name) {
                self.refuse(at, problem);
            }
        }
        let Place::Bucket(bucket) = place else {
            return;
        };
        let most = self.value("packages.max_bytes").and_then(Value::as_integer);
        let is_s3 = matches!(bucket.provider, storage::Provider::S3 { .. });
        if is_s3 && most.is_some_and(|most| most > storage::S3_COPY_LIMIT) {
            let message = format!(
                "is on S3, where no object of more than {} bytes can be copied to its place: lower packages.max_bytes",
                storage::S3_COPY_LIMIT
            );
            self.refuse(at, message);
        }
    }

    pub(super) fn identity(&mut self) -> AuthSettings {
        let identity = AuthSettings {
            issuers: self.entries("identity.issuers"),
            allow_insecure_loopback: self.flag("identity.allow_insecure_loopback"),
            ca_file: self.optional_path("identity.ca_file"),
        };
        // None at all is a matter of serving, not of reading: `config check` and `fame dev` start without.
        if !identity.issuers.is_empty() {
            for problem in identity.problems() {
                let key = problem.key.replacen("auth.", "identity.", 1);
                self.refuse(&key, problem.message);
            }
        }
        identity
    }

    pub(super) fn operators(&mut self, key: &str) -> Vec<Operator> {
        let entries: Vec<OperatorEntry> = self.entries(key);
        let mut operators = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            match operator(entry) {
                Ok(operator) => operators.push(operator),
                Err(message) => self.refuse(&format!("{key}[{index}]"), message),
            }
        }
        operators
    }

    /// The entries of a list that can be read.
    fn entries<T: DeserializeOwned>(&mut self, key: &str) -> Vec<T> {
        let entries = self.value(key).and_then(Value::as_array);
        let mut read = Vec::new();
        for (index, entry) in entries.into_iter().flatten().enumerate() {
            read.extend(self.entry(&format!("{key}[{index}]"), entry));
        }
        read
    }

    fn entry<T: DeserializeOwned>(&mut self, at: &str, entry: &Value) -> Option<T> {
        let read = T::deserialize(entry.clone());
        read.map_err(|error: toml::de::Error| self.refuse(at, error.message()))
            .ok()
    }
}

fn operator(entry: OperatorEntry) -> Result<Operator, String> {
    let (kind, id, tenant_id) = match entry {
        OperatorEntry::Table(table) => (table.kind, table.id, table.tenant_id),
        OperatorEntry::Text(text) => split_operator(&text)?,
    };
    let kind: PrincipalKind = kind
        .parse()
        .map_err(|error: domain::problem::UnknownWord| error.to_string())?;
    match (kind, tenant_id) {
        (PrincipalKind::User, None) => Err("is a User and needs a tenant_id".to_owned()),
        (PrincipalKind::Application, Some(_)) => Err(
            "is an Application, whose client id is the same in every tenant: leave tenant_id out".to_owned(),
        ),
        _ => Ok(Operator { kind, id, tenant_id }),
    }
}

/// `User:OBJECT@TENANT` or `Application:CLIENT`.
fn split_operator(text: &str) -> Result<(String, Uuid, Option<Uuid>), String> {
    let (kind, ids) = text
        .split_once(':')
        .ok_or_else(|| format!("'{text}' is not of the form Application:ID"))?;
    let (id, tenant) = ids
        .split_once('@')
        .map_or((ids, None), |(id, tenant)| (id, Some(tenant)));
    let guid = |text: &str| text.trim().parse().map_err(|_| format!("'{text}' is not a GUID"));
    Ok((kind.trim().to_owned(), guid(id)?, tenant.map(guid).transpose()?))
}
