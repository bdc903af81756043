//! Where packages are kept: the entries of `storage.locations`.
//!
//! A location is a folder or a place in an object store. Object stores need credentials, and those must not come out
//! again in any message; so an entry is read key by key here, and what is said about a secret never quotes it.

use super::layers::{self, Values};
use object_store::path::Path as Prefix;
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The keys of an entry that may be shown; all others are taken for secrets.
const PUBLIC_KEYS: [&str; 15] = [
    "directory",
    "url",
    "endpoint",
    "allow_http",
    "ca_file",
    "account",
    "access_key_file",
    "tenant_id",
    "client_id",
    "client_secret_file",
    "region",
    "access_key_id",
    "secret_access_key_file",
    "virtual_hosted",
    "service_account_file",
];

/// The largest object that S3 copies in one request, in bytes.
pub(super) const S3_COPY_LIMIT: i64 = 5 << 30;

/// Where the packages of a location are.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder.
    Directory(PathBuf),
    /// Part of an object store.
    Bucket(BucketPlace),
}

/// Part of an object store: everything under a prefix in one container or bucket.
#[derive(Clone, Debug)]
pub struct BucketPlace {
    /// Whose object store, and who we are there.
    pub provider: Provider,
    /// The container or bucket.
    pub bucket: String,
    /// What all keys begin with, without a slash at either end; may be empty.
    pub prefix: String,
    /// Another address than the provider's own, without a slash at its end.
    pub endpoint: Option<String>,
    /// Whether the endpoint may be reached without TLS.
    pub allow_http: bool,
    /// PEM file of certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// A kind of object store. Without credentials here, those of the machine or workload are used.
#[derive(Clone, Debug)]
pub enum Provider {
    /// Azure Blob Storage.
    Azure {
        /// The storage account.
        account: String,
        /// Who we are.
        credentials: AzureCredentials,
    },
    /// Amazon S3, or what speaks like it.
    S3 {
        /// The region, as requests are signed for it.
        region: String,
        /// The id of an access key and its secret.
        access_key: Option<(String, SecretString)>,
        /// Whether the bucket is part of the host name.
        virtual_hosted: bool,
    },
    /// Google Cloud Storage.
    Google {
        /// The key of a service account, as JSON.
        service_account: Option<SecretString>,
    },
}

/// Who we are at Azure.
#[derive(Clone, Debug)]
pub enum AzureCredentials {
    /// A key of the account.
    AccessKey(SecretString),
    /// An application in Entra.
    ClientSecret {
        /// Its tenant.
        tenant_id: String,
        /// Its client id.
        client_id: String,
        /// Its secret.
        client_secret: SecretString,
    },
    /// The workload's or machine's managed identity.
    Identity {
        /// Which one, where there are several.
        client_id: Option<String>,
    },
}

impl BucketPlace {
    /// What tells this object store from others: scheme, address and bucket.
    fn store(&self) -> String {
        let (scheme, own) = match &self.provider {
            Provider::Azure { account, .. } => ("az", account.as_str()),
            Provider::S3 { .. } => ("s3", ""),
            Provider::Google { .. } => ("gs", ""),
        };
        let endpoint = self.endpoint.as_deref().unwrap_or_default().to_lowercase();
        format!("{scheme} {own} {endpoint} {}", self.bucket)
    }

    /// Whether what is sent there may be read on the way: http to another machine.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let endpoint = self.endpoint.as_deref().unwrap_or_default();
        endpoint.starts_with("http://") && !is_loopback(endpoint)
    }
}

fn is_loopback(endpoint: &str) -> bool {
    let url: Option<http::Uri> = endpoint.parse().ok();
    let host = url.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback_address = address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    host == "localhost" || is_loopback_address
}

impl Place {
    /// What stands against having both places; `name` is the other's.
    pub(super) fn collision(&self, other: &Self, name: &str) -> Option<String> {
        match (self, other) {
            (Self::Directory(one), Self::Directory(two)) if one == two => {
                Some(format!("has the same directory as '{name}'"))
            }
            (Self::Directory(one), Self::Directory(two)) => nested(one, two, name),
            (Self::Bucket(one), Self::Bucket(two)) if one.store() == two.store() => {
                if one.prefix == two.prefix {
                    return Some(format!("has the same url as '{name}'"));
                }
                nested(Path::new(&one.prefix), Path::new(&two.prefix), name)
            }
            _ => None,
        }
    }
}

fn nested(one: &Path, other: &Path, name: &str) -> Option<String> {
    if one.starts_with(other) {
        Some(format!("lies inside the place of '{name}'"))
    } else if other.starts_with(one) {
        Some(format!("has the place of '{name}' inside it"))
    } else {
        None
    }
}

/// Reads an entry, with everything that is wrong with it.
pub(super) fn read_place(values: &Values, entry: &Value) -> Result<Place, Vec<String>> {
    let Some(table) = entry.as_table() else {
        return Err(vec!["needs a table with a directory or a url".to_owned()]);
    };
    let mut keys = Keys {
        values,
        table,
        known: Vec::new(),
        problems: Vec::new(),
    };
    let place = keys.place();
    keys.refuse_others();
    match place {
        Some(place) if keys.problems.is_empty() => Ok(place),
        _ => Err(keys.problems),
    }
}

/// The entries of `storage.locations` as they may be shown.
pub(super) fn redacted(locations: &Value) -> Value {
    let mut shown = locations.clone();
    for (_, entry) in shown.as_table_mut().into_iter().flatten() {
        for (key, value) in entry.as_table_mut().into_iter().flatten() {
            if !PUBLIC_KEYS.contains(&key.as_str()) {
                *value = Value::from("***");
            }
        }
    }
    shown
}

/// The keys of one entry, and what was found wrong with them.
struct Keys<'v> {
    values: &'v Values,
    table: &'v Table,
    known: Vec<&'static str>,
    problems: Vec<String>,
}

impl Keys<'_> {
    fn refuse(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    fn value(&mut self, key: &'static str) -> Option<&Value> {
        self.known.push(key);
        self.table.get(key)
    }

    fn text(&mut self, key: &'static str) -> Option<String> {
        let text = match self.value(key)? {
            Value::String(text) => Some(text.trim().to_owned()),
            _ => None,
        };
        match text {
            Some(text) if !text.is_empty() => Some(text),
            Some(_) => {
                self.refuse(format!("has an empty {key}"));
                None
            }
            None => {
                self.refuse(format!("has {key} that is not text"));
                None
            }
        }
    }

    fn needed(&mut self, key: &'static str, of: &str) -> String {
        let is_given = self.table.contains_key(key);
        let text = self.text(key);
        if text.is_none() && !is_given {
            self.refuse(format!("needs {key}: {of}"));
        }
        text.unwrap_or_default()
    }

    fn flag(&mut self, key: &'static str) -> bool {
        let flag = self.value(key).map(Value::as_bool);
        if flag == Some(None) {
            self.refuse(format!("has {key} that is neither true nor false"));
        }
        flag.flatten().unwrap_or_default()
    }

    fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let text = self.text(key)?;
        Some(layers::with_data_dir(self.values, &text).into())
    }

    /// A secret that is given as it is, or in a file.
    fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<SecretString> {
        let given = self.text(key);
        let file = self.path(file_key);
        match (given, file) {
            (Some(_), Some(_)) => {
                self.refuse(format!("has both {key} and {file_key}: give one of the two"));
                None
            }
            (given, None) => given.map(Into::into),
            (None, Some(path)) => self.secret_in(file_key, &path),
        }
    }

    fn secret_in(&mut self, file_key: &str, path: &Path) -> Option<SecretString> {
        let shown = path.display();
        match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => return Some(text.trim().to_owned().into()),
            Ok(_) => self.refuse(format!("has {file_key} with nothing in it: '{shown}'")),
            Err(error) => self.refuse(format!("has {file_key} that cannot be read: '{shown}': {error}")),
        }
        None
    }

    fn place(&mut self) -> Option<Place> {
        match (
            self.table.contains_key("directory"),
            self.table.contains_key("url"),
        ) {
            (true, false) => self.path("directory").map(Place::Directory),
            (false, true) => self.bucket().map(Place::Bucket),
            (true, true) => {
                self.known.extend(PUBLIC_KEYS);
                self.refuse("has both a directory and a url: give one of the two");
                None
            }
            (false, false) => {
                self.refuse("needs a directory, or the url of an object store");
                None
            }
        }
    }

    fn bucket(&mut self) -> Option<BucketPlace> {
        let url = self.text("url")?;
        let Some((scheme, rest)) = url.split_once("://") else {
            self.known.extend(PUBLIC_KEYS);
            self.refuse(
                "has a url that is not like az://container/prefix, s3://bucket/prefix or gs://bucket/prefix",
            );
            return None;
        };
        let provider = match scheme {
            "az" => self.azure(),
            "s3" => self.s3(),
            "gs" => self.google(),
            _ => {
                self.known.extend(PUBLIC_KEYS);
                self.refuse(format!(
                    "has a url that begins with {scheme}://, and not with az://, s3:// or gs://"
                ));
                return None;
            }
        };
        let (bucket, prefix) = self.bucket_and_prefix(rest);
        Some(BucketPlace {
            provider,
            bucket,
            prefix,
            endpoint: self.endpoint(),
            allow_http: self.flag("allow_http"),
            ca_file: self.path("ca_file"),
        })
    }

    fn bucket_and_prefix(&mut self, rest: &str) -> (String, String) {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-._$".contains(letter);
        if bucket.is_empty() || !bucket.chars().all(is_name) {
            self.refuse("has a url without the name of a container or bucket after ://");
        }
        let prefix = prefix.trim_matches('/');
        if let Err(error) = Prefix::parse(prefix) {
            self.refuse(format!("has a url whose prefix cannot be used: {error}"));
        }
        (bucket.to_owned(), prefix.to_owned())
    }

    fn endpoint(&mut self) -> Option<String> {
        let endpoint = self.text("endpoint")?.trim_end_matches('/').to_owned();
        let url: Option<http::Uri> = endpoint.parse().ok();
        let is_plain = endpoint.starts_with("http://");
        let is_web = is_plain || endpoint.starts_with("https://");
        let has_more = endpoint.contains(['@', '?', '#']);
        if !is_web || has_more || url.is_none_or(|url| url.host().is_none()) {
            self.refuse("has an endpoint that is not a url such as https://objects.contoso.com");
        } else if is_plain && self.table.get("allow_http").and_then(Value::as_bool) != Some(true) {
            self.refuse("has an endpoint without TLS: write https://, or allow it with allow_http = true");
        }
        Some(endpoint)
    }

    fn azure(&mut self) -> Provider {
        let account = self.needed("account", "the storage account");
        let access_key = self.secret("access_key", "access_key_file");
        let client_secret = self.secret("client_secret", "client_secret_file");
        let (tenant_id, client_id) = (self.text("tenant_id"), self.text("client_id"));
        let credentials = match (access_key, client_secret, tenant_id, client_id) {
            (Some(key), None, None, None) => AzureCredentials::AccessKey(key),
            (None, Some(client_secret), Some(tenant_id), Some(client_id)) => AzureCredentials::ClientSecret {
                tenant_id,
                client_id,
                client_secret,
            },
            (None, None, None, client_id) => AzureCredentials::Identity { client_id },
            _ => {
                self.refuse(
                    "needs either access_key, or tenant_id with client_id and client_secret, or neither for a managed identity",
                );
                AzureCredentials::Identity { client_id: None }
            }
        };
        Provider::Azure { account, credentials }
    }

    fn s3(&mut self) -> Provider {
        let region = self.needed("region", "such as eu-west-1");
        let id = self.text("access_key_id");
        let secret = self.secret("secret_access_key", "secret_access_key_file");
        if id.is_some() != secret.is_some() && self.problems.is_empty() {
            self.refuse("needs access_key_id and secret_access_key together, or neither");
        }
        Provider::S3 {
            region,
            access_key: id.zip(secret),
            virtual_hosted: self.flag("virtual_hosted"),
        }
    }

    fn google(&mut self) -> Provider {
        Provider::Google {
            service_account: self.secret("service_account", "service_account_file"),
        }
    }

    fn refuse_others(&mut self) {
        for key in self.table.keys() {
            if !self.known.contains(&key.as_str()) {
                let problem = format!("has a key '{key}' that such a location does not have");
                self.problems.push(problem);
            }
        }
    }
}
