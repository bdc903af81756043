//! Where packages are kept: the entries of `storage.locations`.
//!
//! A location is a folder or a bucket of an object store. Object stores need credentials, and those must not come out
//! again in any message; so nothing that is said about an entry quotes a value that could be one.

use super::values;
use domain::loopback::is_loopback;
use object_store::path::Path as Prefix;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{Table, Value};

/// The keys of an entry that may be shown; all others are taken for secrets.
const PUBLIC_KEYS: &str = "directory url endpoint allow_http ca_file account access_key_file tenant_id client_id \
                           client_secret_file region access_key_id secret_access_key_file virtual_hosted \
                           service_account_file";

/// The largest object that S3 copies in one request, in bytes.
const S3_COPY_LIMIT: u64 = 5 << 30;

/// Section `storage`.
#[derive(Clone, Debug, Deserialize)]
pub struct StorageSettings {
    /// How often to tidy up after crashes.
    #[serde(
        rename = "sweep_seconds",
        deserialize_with = "values::seconds::<1, 86_400, _>"
    )]
    pub sweep: Duration,
    /// How long uploads that give no heartbeat, and bytes that no version needs, are left alone.
    #[serde(
        rename = "grace_seconds",
        deserialize_with = "values::seconds::<10, 86_400, _>"
    )]
    pub grace: Duration,
    /// Bytes that stay free on the disks of folders and of a SQLite database; 0: none are kept free.
    #[serde(deserialize_with = "values::number::<0, 70_368_744_177_664, _, _>")]
    pub min_free_bytes: u64,
    /// At least one; no two of one name or in one folder or bucket.
    #[serde(deserialize_with = "locations")]
    pub locations: Vec<Location>,
}

/// Where packages are kept, by a name that apps may give.
#[derive(Clone, Debug)]
pub struct Location {
    /// As the operator writes it.
    pub name: String,
    /// Where its packages are.
    pub backend: StorageBackend,
}

/// Where the packages of a location are.
#[derive(Clone, Debug)]
pub enum StorageBackend {
    /// A folder.
    Directory(PathBuf),
    /// Part of an object store.
    Bucket(BucketSettings),
}

/// Part of an object store: everything under a prefix in one container or bucket.
#[derive(Clone, Debug)]
pub struct BucketSettings {
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

impl BucketSettings {
    /// What distinguishes this object store from others: scheme, address and bucket.
    fn store(&self) -> String {
        let (scheme, own) = match &self.provider {
            Provider::Azure { account, .. } => ("az", account.as_str()),
            Provider::S3 { .. } => ("s3", ""),
            Provider::Google { .. } => ("gs", ""),
        };
        let endpoint = self.endpoint.as_deref().unwrap_or_default().to_lowercase();
        format!("{scheme} {own} {endpoint} {}", self.bucket)
    }

    fn is_exposed(&self) -> bool {
        let endpoint = self.endpoint.as_deref().unwrap_or_default();
        let url: Option<http::Uri> = endpoint.parse().ok();
        let host = url.as_ref().and_then(http::Uri::host);
        endpoint.starts_with("http://") && !host.is_some_and(is_loopback)
    }
}

impl StorageSettings {
    /// The location of that name, in any case.
    #[must_use]
    pub fn location(&self, name: &str) -> Option<&Location> {
        self.locations.iter().find(|location| location.is_called(name))
    }
}

impl Location {
    /// Its folder, where it is one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match &self.backend {
            StorageBackend::Directory(folder) => Some(folder),
            StorageBackend::Bucket(_) => None,
        }
    }

    /// Whether what is sent there may be read on the way: http to another machine.
    pub(super) fn is_exposed(&self) -> bool {
        matches!(&self.backend, StorageBackend::Bucket(bucket) if bucket.is_exposed())
    }

    fn is_called(&self, name: &str) -> bool {
        self.name.to_lowercase() == name.trim().to_lowercase()
    }

    /// What stands against this location beside `others`, for packages of up to `max_bytes`.
    pub(super) fn problems(&self, others: &[Self], max_bytes: u64) -> Vec<String> {
        let mut problems = Vec::new();
        if self.name.is_empty() {
            problems.push("needs a name".to_owned());
        }
        if others.iter().any(|other| other.is_called(&self.name)) {
            problems.push("differs only in case from another location".to_owned());
        }
        problems.extend(others.iter().filter_map(|other| self.backend.collision(other)));
        if self.backend.is_on_s3() && max_bytes > S3_COPY_LIMIT {
            problems.push(format!(
                "is on S3, where no object of more than {S3_COPY_LIMIT} bytes can be copied to its place: lower packages.max_bytes",
            ));
        }
        problems
    }
}

impl StorageBackend {
    fn is_on_s3(&self) -> bool {
        matches!(self, Self::Bucket(bucket) if matches!(bucket.provider, Provider::S3 { .. }))
    }

    /// What stands against having both backends.
    fn collision(&self, other: &Location) -> Option<String> {
        let name = &other.name;
        match (self, &other.backend) {
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

/// The entries of `storage.locations` as they may be shown.
pub(super) fn redacted(locations: &Value) -> Value {
    let mut shown = locations.clone();
    for (_, entry) in shown.as_table_mut().into_iter().flatten() {
        for (key, value) in entry.as_table_mut().into_iter().flatten() {
            if !PUBLIC_KEYS.split(' ').any(|public| public == key) {
                *value = Value::from("***");
            }
        }
    }
    shown
}

fn locations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Location>, D::Error> {
    let backends = BTreeMap::<String, StorageBackend>::deserialize(deserializer)?;
    let location = |(name, backend): (String, StorageBackend)| Location {
        name: name.trim().to_owned(),
        backend,
    };
    Ok(backends.into_iter().map(location).collect())
}

impl<'de> Deserialize<'de> for StorageBackend {
    /// Everything that is wrong with an entry is in the error, a line for each.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Value::Table(keys) = Value::deserialize(deserializer)? else {
            return Err(D::Error::custom("needs a table with a directory or a url"));
        };
        let problems = Vec::new();
        let mut entry = Entry { keys, problems };
        let backend = entry.backend();
        for key in std::mem::take(&mut entry.keys).keys() {
            entry.refuse(format!("has a key '{key}' that such a location does not have"));
        }
        let problems = entry.problems.join("\n");
        backend
            .filter(|_| problems.is_empty())
            .ok_or_else(|| D::Error::custom(problems))
    }
}

/// The keys of an entry that have not been read yet, and what was wrong with the others.
struct Entry {
    keys: Table,
    problems: Vec<String>,
}

impl Entry {
    fn refuse(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.keys.remove(key)? {
            Value::String(text) if text.trim().is_empty() => self.refuse(format!("has an empty {key}")),
            Value::String(text) => return Some(text.trim().to_owned()),
            _ => self.refuse(format!("has {key} that is not text")),
        }
        None
    }

    fn needed(&mut self, key: &str, of: &str) -> String {
        if !self.keys.contains_key(key) {
            self.refuse(format!("needs {key}: {of}"));
        }
        self.text(key).unwrap_or_default()
    }

    fn flag(&mut self, key: &str) -> bool {
        let value = self.keys.remove(key).unwrap_or(Value::Boolean(false));
        value.as_bool().unwrap_or_else(|| {
            self.refuse(format!("has {key} that is neither true nor false"));
            false
        })
    }

    /// A secret that is given as it is, or in a file.
    fn secret(&mut self, key: &str) -> Option<SecretString> {
        let given = self.text(key);
        let Some(path) = self.text(&format!("{key}_file")) else {
            return given.map(Into::into);
        };
        match fs::read_to_string(&path) {
            _ if given.is_some() => {
                self.refuse(format!("has both {key} and {key}_file: give one of the two"))
            }
            Ok(text) if !text.trim().is_empty() => return Some(text.trim().into()),
            Ok(_) => self.refuse(format!("has {key}_file with nothing in it: '{path}'")),
            Err(error) => self.refuse(format!("has {key}_file that cannot be read: '{path}': {error}")),
        }
        None
    }

    /// As [`refuse`](Self::refuse), where nobody can say what the other keys are for.
    fn give_up<T>(&mut self, problem: impl Into<String>) -> Option<T> {
        self.keys.clear();
        self.refuse(problem);
        None
    }

    fn backend(&mut self) -> Option<StorageBackend> {
        match (self.text("directory"), self.text("url")) {
            (Some(path), None) => Some(StorageBackend::Directory(path.into())),
            (None, Some(url)) => self.bucket(&url).map(StorageBackend::Bucket),
            (Some(_), Some(_)) => self.give_up("has both a directory and a url: give one of the two"),
            (None, None) => {
                if self.problems.is_empty() {
                    self.refuse("needs a directory, or the url of an object store");
                }
                None
            }
        }
    }

    fn bucket(&mut self, url: &str) -> Option<BucketSettings> {
        let (provider, rest) = match url.split_once("://") {
            Some(("az", rest)) => (self.azure(), rest),
            Some(("s3", rest)) => (self.s3(), rest),
            Some(("gs", rest)) => (self.google(), rest),
            Some((scheme, _)) => {
                let problem = "and not with az://, s3:// or gs://";
                return self.give_up(format!("has a url that begins with {scheme}://, {problem}"));
            }
            None => {
                let likes = "az://container/prefix, s3://bucket/prefix or gs://bucket/prefix";
                return self.give_up(format!("has a url that is not like {likes}"));
            }
        };
        let (bucket, prefix) = self.bucket_and_prefix(rest);
        let allow_http = self.flag("allow_http");
        Some(BucketSettings {
            provider,
            bucket,
            prefix,
            endpoint: self.endpoint(allow_http),
            allow_http,
            ca_file: self.text("ca_file").map(PathBuf::from),
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

    fn endpoint(&mut self, allow_http: bool) -> Option<String> {
        let endpoint = self.text("endpoint")?.trim_end_matches('/').to_owned();
        let is_plain = endpoint.starts_with("http://");
        let is_web = is_plain || endpoint.starts_with("https://");
        if !is_web || endpoint.contains('@') || !values::is_web_address(&endpoint) {
            self.refuse("has an endpoint that is not a url such as https://objects.contoso.com");
        } else if is_plain && !allow_http {
            self.refuse("has an endpoint without TLS: write https://, or allow it with allow_http = true");
        }
        Some(endpoint)
    }

    fn azure(&mut self) -> Provider {
        let account = self.needed("account", "the storage account");
        let (access_key, client_secret) = (self.secret("access_key"), self.secret("client_secret"));
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
        let (id, secret) = (self.text("access_key_id"), self.secret("secret_access_key"));
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
        let service_account = self.secret("service_account");
        Provider::Google { service_account }
    }
}
