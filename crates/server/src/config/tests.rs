use super::{
    layers::{Given, Values},
    *,
};
use domain::principal::PrincipalKind;
use serde_json::json;
use std::{collections::BTreeSet, fs};

const TENANT: &str = "10000000-0000-0000-0000-000000000001";
const OBJECT: &str = "20000000-0000-0000-0000-000000000002";
const CLIENT: &str = "30000000-0000-0000-0000-000000000003";

fn environment(variables: &[(&str, &str)]) -> Sources {
    let environment = variables
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.into()))
        .collect();
    Sources {
        environment,
        ..Sources::default()
    }
}

fn file(folder: &tempfile::TempDir, text: &str) -> Sources {
    let path = folder.path().join("fame.toml");
    fs::write(&path, text).unwrap();
    Sources {
        file: Some(path),
        ..Sources::default()
    }
}

fn load(sources: &Sources) -> Settings {
    Settings::load(sources).unwrap().settings
}

fn complaints(sources: &Sources) -> Vec<String> {
    Settings::load(sources)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn explained(loaded: &Loaded, key: &str) -> (String, String) {
    let found = loaded
        .explain()
        .iter()
        .find(|explained| explained.key == key)
        .unwrap();
    (found.value.clone(), found.origin.to_string())
}

fn directory(location: &Location) -> &str {
    match &location.backend {
        StorageBackend::Directory(path) => path.to_str().unwrap(),
        StorageBackend::Bucket(_) => panic!("{location:?}"),
    }
}

fn variable(key: &str) -> String {
    format!("FAME_{}", key.to_uppercase().replace('.', "__"))
}

fn built_in() -> Values {
    layers::merge(&Sources::default()).0
}

#[test]
fn the_built_in_settings_are_good() {
    let settings = load(&Sources::default());
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.database.url.expose(), "sqlite:fame-data/fame.db");
    assert_eq!(settings.packages.max_bytes, 512 << 20);
    assert_eq!(settings.server.drain, Duration::from_secs(20));
    let west_europe = settings.storage.location("west europe").unwrap();
    assert_eq!(directory(west_europe), "fame-data/packages/west-europe");
    assert!(settings.storage.location("Central US").is_none());
}

#[test]
fn every_built_in_key_has_a_comment_above_it() {
    let lines: Vec<&str> = include_str!("../config.default.toml").lines().collect();
    let mut keys = 0;
    for pair in lines.windows(2) {
        let is_table = pair[1].starts_with('[') && pair[1].contains('.');
        let is_key = is_table || pair[1].starts_with(|first: char| first.is_ascii_lowercase());
        if is_key {
            assert!(pair[0].starts_with('#'), "{}", pair[1]);
            keys += 1;
        }
    }
    assert_eq!(keys, built_in().len());
}

#[test]
fn every_built_in_key_is_read() {
    let outcome = |sources: &Sources| format!("{:?}", Settings::load(sources).map(|loaded| loaded.settings));
    let unchanged = outcome(&Sources::default());
    for (key, Given { value, .. }) in built_in() {
        let other = match value {
            toml::Value::Boolean(value) => (!value).to_string(),
            toml::Value::Integer(_) => "-1".to_owned(),
            toml::Value::Array(_) => r#"[{"no": "such entry"}]"#.to_owned(),
            toml::Value::Table(_) => r#"{"no": "such entry"}"#.to_owned(),
            _ => "something else".to_owned(),
        };
        assert_ne!(
            outcome(&environment(&[(&variable(&key), &other)])),
            unchanged,
            "{key}"
        );
    }
}

#[test]
fn later_layers_win_and_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = file(
        &folder,
        "[database]\nconnections = 1\n[executor]\npoll_seconds = 2\nlease_seconds = 60\n",
    );
    sources.environment = vec![
        ("FAME_EXECUTOR__POLL_SECONDS".to_owned(), "3".into()),
        ("FAME_EXECUTOR__LEASE_SECONDS".to_owned(), "61".into()),
        ("PATH".to_owned(), "/bin".into()),
        ("FAME_CONFIG".to_owned(), "elsewhere.toml".into()),
    ];
    sources.overrides = vec![("executor.lease_seconds".to_owned(), "62".to_owned())];
    let loaded = Settings::load(&sources).unwrap();
    let path = folder.path().join("fame.toml").display().to_string();
    assert_eq!(
        explained(&loaded, "agents.token_days"),
        ("90".to_owned(), "default".to_owned())
    );
    assert_eq!(explained(&loaded, "database.connections"), ("1".to_owned(), path));
    assert_eq!(
        explained(&loaded, "executor.poll_seconds"),
        ("3".to_owned(), "FAME_EXECUTOR__POLL_SECONDS".to_owned())
    );
    assert_eq!(
        explained(&loaded, "executor.lease_seconds"),
        ("62".to_owned(), "command line".to_owned())
    );
    assert_eq!(loaded.settings.executor.lease, Duration::from_secs(62));
    assert_eq!(loaded.settings.database.connections, 1);
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let operators = format!("Application:{CLIENT}");
    let changed = environment(&[
        ("FAME_SERVER__DRAIN_SECONDS", "7"),
        ("FAME_OPERATORS__PRINCIPALS", &operators),
    ]);
    let first = Settings::load(&changed).unwrap();
    let mut text = String::new();
    for explained in first.explain() {
        let (section, key) = explained.key.split_once('.').unwrap();
        text += &format!("{section}.{key} = {}\n", explained.value);
    }
    let second = Settings::load(&file(&folder, &text)).unwrap();
    assert_eq!(format!("{:?}", second.settings), format!("{:?}", first.settings));
    let shown: BTreeSet<_> = first
        .explain()
        .iter()
        .map(|explained| explained.key.clone())
        .collect();
    assert_eq!(shown, built_in().into_keys().collect());
}

#[test]
fn all_problems_come_at_once_with_key_and_origin() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = file(
        &folder,
        "[server]\nlisten = \"here\"\ndrain_second = 3\n[database]\nconnections = \"many\"\n[storge]\n[log]\n",
    );
    sources.environment = vec![("FAME_DATABASE__MIGRATE".to_owned(), "never".into())];
    sources.overrides = vec![("log.level".to_owned(), "loud".to_owned())];
    let path = folder.path().join("fame.toml").display().to_string();
    let mut found = complaints(&sources);
    found.sort();
    let mut expected = vec![
        format!("database.connections ({path}): is text, where a whole number is needed"),
        "database.migrate (FAME_DATABASE__MIGRATE): 'never' is neither at_start nor separately".to_owned(),
        "log.level (command line): 'loud' is neither error, warn, info, debug, trace or off, nor one of them for a \
         module (hyper=debug)"
            .to_owned(),
        format!("server.drain_second ({path}): is not a setting; did you mean server.drain_seconds?"),
        format!("server.listen ({path}): 'here' is not an address and port such as 127.0.0.1:8080"),
        format!("storge ({path}): is not a setting; did you mean storage?"),
    ];
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn unknown_keys_lead_to_what_was_meant() {
    let cases = [
        (
            r#"listen = "127.0.0.1:1""#,
            "listen",
            "did you mean server.listen?",
        ),
        (
            "[packages]\nlisten = 1",
            "packages.listen",
            "did you mean server.listen?",
        ),
        (
            "[sever]\nlisten = 1",
            "sever.listen",
            "did you mean server.listen?",
        ),
        ("server = 1", "server", "is a section and has no value itself"),
        ("[fruit]\napples = 1", "fruit.apples", "is not a setting"),
        (
            "[executor]\nkind = \"simulate\"",
            "executor.kind",
            "(docs/agents/README.md). Leave it out",
        ),
        ("executor.slots = 4", "executor.slots", "Leave it out"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (text, key, words) in cases {
        let problems = Settings::load(&file(&folder, text)).unwrap_err();
        assert_eq!(
            (problems.len(), problems[0].code, problems[0].key.as_str()),
            (1, "UnknownKey", key)
        );
        assert!(problems[0].message.ends_with(words), "{}", problems[0]);
    }
    let slips = environment(&[
        ("FAME_SERVER_LISTEN", "x"),
        ("FAME_STORAGE__LOCATIONS__EAST_US", "x"),
    ]);
    assert_eq!(
        complaints(&slips),
        [
            "server.listen (FAME_SERVER_LISTEN): did you mean FAME_SERVER__LISTEN?",
            "storage.locations.east_us (FAME_STORAGE__LOCATIONS__EAST_US): is not a setting: storage.locations is \
             set as a whole",
        ]
    );
}

#[test]
fn values_outside_their_bounds_are_refused() {
    for (key, given) in built_in() {
        if !given.value.is_integer() {
            continue;
        }
        for wrong in ["-1", "99999999999999", "99999999999999999999", "1.5", "ten", ""] {
            let problems = Settings::load(&environment(&[(&variable(&key), wrong)])).unwrap_err();
            assert_eq!(
                (problems.len(), problems[0].key.as_str()),
                (1, key.as_str()),
                "{wrong}"
            );
        }
    }
    assert_eq!(
        load(&environment(&[("FAME_LIMITS__QUEUE_PER_PRINCIPAL", "0")]))
            .limits
            .queue_per_principal,
        0
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let broken = file(&folder, "[database]\nurl = \"postgres://fame:s3cret@db/fame\n");
    let found = complaints(&broken);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("fame.toml: line 2 is not TOML") && !found[0].contains("s3cret"),
        "{}",
        found[0]
    );
    let missing = Sources {
        file: Some(folder.path().join("no.toml")),
        ..Sources::default()
    };
    assert!(complaints(&missing)[0].contains("no.toml: cannot be read"));
}

#[test]
fn the_password_of_the_database_is_never_shown() {
    let good = environment(&[("FAME_DATABASE__URL", "postgres://fame:s3cret@db/fame")]);
    let loaded = Settings::load(&good).unwrap();
    assert_eq!(
        loaded.settings.database.url.expose(),
        "postgres://fame:s3cret@db/fame"
    );
    assert_eq!(
        explained(&loaded, "database.url").0,
        r#""postgres://fame:***@db/fame""#
    );
    assert!(!format!("{loaded:?}").contains("s3cret"));
    for bad in [
        "postgres://fame:s3cret@db:port/fame",
        "postgrse://fame:s3cret@db/fame",
        "s3cret",
    ] {
        let found = format!(
            "{:?}",
            Settings::load(&environment(&[("FAME_DATABASE__URL", bad)])).unwrap_err()
        );
        assert!(
            found.contains("database.url") && !found.contains("s3cret"),
            "{found}"
        );
    }
}

#[test]
fn the_url_of_the_database_may_be_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url").display().to_string();
    fs::write(&path, "postgres://fame:s3cret@db/fame\n").unwrap();
    let named = environment(&[("FAME_DATABASE__URL_FILE", &path)]);
    let loaded = Settings::load(&named).unwrap();
    assert_eq!(
        loaded.settings.database.url.expose(),
        "postgres://fame:s3cret@db/fame"
    );
    let shown = (
        r#""postgres://fame:***@db/fame""#.to_owned(),
        format!("secret file {path}"),
    );
    assert_eq!(explained(&loaded, "database.url"), shown);

    let mut overruled = named.clone();
    overruled.overrides = vec![("database.url".to_owned(), "sqlite:other.db".to_owned())];
    assert_eq!(load(&overruled).database.url.expose(), "sqlite:other.db");

    let both = environment(&[
        ("FAME_DATABASE__URL_FILE", &path),
        ("FAME_DATABASE__URL", "sqlite:x.db"),
    ]);
    assert!(complaints(&both)[0].contains("give one of the two"));

    fs::remove_file(&path).unwrap();
    let problems = Settings::load(&named).unwrap_err();
    assert_eq!(
        (problems[0].code, problems[0].key.as_str()),
        ("UnreadableFile", "database.url_file")
    );
}

#[test]
fn locations_replace_the_built_in_ones_and_may_not_collide() {
    let folder = tempfile::tempdir().unwrap();
    let one = "[server]\ndata_dir = \"/srv\"\n[storage.locations.Attic]\ndirectory = \"{data_dir}/attic\"\n";
    let storage = load(&file(&folder, one)).storage;
    assert_eq!(storage.locations.len(), 1);
    assert_eq!(directory(&storage.locations[0]), "/srv/attic");
    assert_eq!(storage.location(" ATTIC ").unwrap().name, "Attic");

    let cases = [
        (
            r#"{"A": {"directory": "x"}, "a": {"directory": "y"}}"#,
            "differs only in case from another location",
        ),
        (
            r#"{"A": {"directory": "x"}, "B": {"directory": "x"}}"#,
            "has the same directory as 'A'",
        ),
        (r#"{"A": {"directory": ""}}"#, "has an empty directory"),
        (r#"{" ": {"directory": "x"}}"#, "needs a name"),
        (
            r#"{"A": {"directory": "x"}, "B": {"directory": "x/y"}}"#,
            "lies inside the place of 'A'",
        ),
        (
            r#"{"A": {"folder": "x"}}"#,
            "has a key 'folder' that such a location does not have",
        ),
        (r#"{"A": "x"}"#, "needs a table with a directory or a url"),
        ("{}", "is empty, so no package could be stored: name a location"),
        (
            "West Europe=/srv",
            "is not JSON: expected value at line 1 column 1",
        ),
    ];
    for (json, words) in cases {
        let found = complaints(&environment(&[("FAME_STORAGE__LOCATIONS", json)]));
        assert!(
            found.iter().any(|text| text.ends_with(words)),
            "{json}: {found:?}"
        );
    }
}

fn location(entry: &serde_json::Value) -> Result<Location, Vec<String>> {
    let json = serde_json::json!({ "A": entry }).to_string();
    match Settings::load(&environment(&[("FAME_STORAGE__LOCATIONS", &json)])) {
        Ok(mut loaded) => Ok(loaded.settings.storage.locations.remove(0)),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

fn bucket(entry: &serde_json::Value) -> BucketSettings {
    match location(entry).unwrap().backend {
        StorageBackend::Bucket(bucket) => bucket,
        StorageBackend::Directory(path) => panic!("{}", path.display()),
    }
}

#[test]
fn locations_may_be_in_object_stores() {
    let azure = bucket(&json!({ "url": "az://packages/a/b/", "account": "contoso", "access_key": "k" }));
    assert_eq!(
        (azure.bucket.as_str(), azure.prefix.as_str()),
        ("packages", "a/b")
    );
    assert!(matches!(
        azure.provider,
        Provider::Azure { account, credentials: AzureCredentials::AccessKey(_) } if account == "contoso"
    ));
    let application = json!({
        "url": "az://packages", "account": "contoso", "tenant_id": TENANT, "client_id": CLIENT, "client_secret": "s",
    });
    assert!(matches!(
        bucket(&application).provider,
        Provider::Azure { credentials: AzureCredentials::ClientSecret { tenant_id, .. }, .. } if tenant_id == TENANT
    ));
    let identity = bucket(&json!({ "url": "az://packages", "account": "contoso", "client_id": CLIENT }));
    assert!(matches!(
        identity.provider,
        Provider::Azure { credentials: AzureCredentials::Identity { client_id: Some(id) }, .. } if id == CLIENT
    ));

    let s3 = bucket(&json!({
        "url": "s3://packages", "region": "eu-west-1", "endpoint": "https://minio.contoso.com/", "ca_file": "{data_dir}/ca",
        "access_key_id": "id", "secret_access_key": "s", "virtual_hosted": true,
    }));
    assert_eq!(s3.endpoint.as_deref(), Some("https://minio.contoso.com"));
    assert_eq!(s3.ca_file, Some(PathBuf::from("fame-data/ca")));
    assert!(matches!(
        s3.provider,
        Provider::S3 { region, access_key: Some((id, _)), virtual_hosted: true } if region == "eu-west-1" && id == "id"
    ));
    let role = bucket(&json!({ "url": "s3://packages/x", "region": "eu-west-1" }));
    assert!(matches!(role.provider, Provider::S3 { access_key: None, .. }));

    let google = bucket(&json!({ "url": "gs://packages/x" }));
    assert!(matches!(
        google.provider,
        Provider::Google {
            service_account: None
        }
    ));
}

#[test]
fn what_is_wrong_with_a_location_is_said() {
    let cases = [
        (
            json!({ "url": "packages" }),
            "has a url that is not like az://container/prefix, s3://bucket/prefix or gs://bucket/prefix",
        ),
        (
            json!({ "url": "ftp://packages/x" }),
            "has a url that begins with ftp://, and not with az://, s3:// or gs://",
        ),
        (
            json!({ "url": "gs:///x" }),
            "has a url without the name of a container or bucket after ://",
        ),
        (
            json!({ "url": "gs://user@bucket" }),
            "has a url without the name of a container or bucket after ://",
        ),
        (
            json!({ "url": "gs://bucket/a//b" }),
            "Path \"a//b\" contained empty path segment",
        ),
        (
            json!({ "url": "gs://bucket", "directory": "x" }),
            "has both a directory and a url: give one of the two",
        ),
        (json!({}), "needs a directory, or the url of an object store"),
        (
            json!({ "url": "gs://bucket", "region": "eu" }),
            "has a key 'region' that such a location does not have",
        ),
        (
            json!({ "directory": "x", "endpoint": "https://h" }),
            "has a key 'endpoint' that such a location does not have",
        ),
        (
            json!({ "url": "az://packages" }),
            "needs account: the storage account",
        ),
        (
            json!({ "url": "az://packages", "account": "a", "access_key": "k", "tenant_id": "t" }),
            "needs either access_key, or tenant_id with client_id and client_secret, or neither for a managed identity",
        ),
        (json!({ "url": "s3://bucket" }), "needs region: such as eu-west-1"),
        (
            json!({ "url": "s3://bucket", "region": "r", "access_key_id": "id" }),
            "needs access_key_id and secret_access_key together, or neither",
        ),
        (
            json!({ "url": "gs://bucket", "endpoint": "objects" }),
            "has an endpoint that is not a url such as https://objects.contoso.com",
        ),
        (
            json!({ "url": "gs://bucket", "endpoint": "http://objects" }),
            "has an endpoint without TLS: write https://, or allow it with allow_http = true",
        ),
        (
            json!({ "url": "gs://bucket", "allow_http": "yes" }),
            "has allow_http that is neither true nor false",
        ),
    ];
    for (entry, words) in cases {
        let found = location(&entry).unwrap_err();
        assert!(
            found.len() == 1
                && found[0].starts_with("storage.locations[\"A\"] ")
                && found[0].ends_with(words),
            "{entry}: {found:?}"
        );
    }
}

#[test]
fn places_in_object_stores_may_not_overlap() {
    let gs = |url: &str| json!({ "url": url });
    let on = |endpoint: &str| json!({ "url": "gs://b/x", "endpoint": endpoint });
    let account = |account: &str| json!({ "url": "az://b/x", "account": account });
    let cases = [
        (gs("gs://b/x"), gs("gs://b/x/"), Some("has the same url as 'A'")),
        (
            gs("gs://b/x"),
            gs("gs://b/x/y"),
            Some("lies inside the place of 'A'"),
        ),
        (
            gs("gs://b/x/y"),
            gs("gs://b"),
            Some("has the place of 'A' inside it"),
        ),
        (gs("gs://b/x"), gs("gs://b/xy"), None),
        (gs("gs://b/x"), gs("gs://c/x"), None),
        (on("https://h"), on("https://H/"), Some("has the same url as 'A'")),
        (on("https://h"), on("https://i"), None),
        (account("one"), account("other"), None),
        (gs("gs://b/x"), json!({ "directory": "x" }), None),
    ];
    for (one, other, words) in cases {
        let json = json!({ "A": one, "B": other }).to_string();
        let loaded = Settings::load(&environment(&[("FAME_STORAGE__LOCATIONS", &json)]));
        match (loaded, words) {
            (Ok(_), None) => {}
            (Err(problems), Some(words)) => {
                assert!(
                    problems.len() == 1 && problems[0].message == words,
                    "{problems:?}"
                );
            }
            (loaded, _) => panic!("{json}: {loaded:?}"),
        }
    }
}

#[test]
fn a_package_that_s3_could_not_copy_is_too_large() {
    let json = json!({ "A": { "url": "s3://b", "region": "r" } }).to_string();
    let with = |max_bytes: &str| {
        Settings::load(&environment(&[
            ("FAME_STORAGE__LOCATIONS", &json),
            ("FAME_PACKAGES__MAX_BYTES", max_bytes),
        ]))
    };
    assert!(with("5368709120").is_ok());
    let problems = with("5368709121").unwrap_err();
    assert!(
        problems[0].message.contains("lower packages.max_bytes"),
        "{problems:?}"
    );
}

#[test]
fn the_keys_of_object_stores_are_never_shown() {
    let entries = [
        json!({ "url": "az://b", "account": "a", "access_key": "s3cret" }),
        json!({ "url": "az://b", "account": "a", "tenant_id": "t", "client_id": "c", "client_secret": "s3cret" }),
        json!({ "url": "s3://b", "region": "r", "access_key_id": "i", "secret_access_key": "s3cret" }),
        json!({ "url": "gs://b", "service_account": "s3cret" }),
    ];
    for entry in entries {
        let json = json!({ "A": entry }).to_string();
        let loaded = Settings::load(&environment(&[("FAME_STORAGE__LOCATIONS", &json)])).unwrap();
        let shown = explained(&loaded, "storage.locations").0;
        assert!(shown.contains("\"***\"") && shown.contains("://b"), "{shown}");
        assert!(!format!("{loaded:?} {shown}").contains("s3cret"), "{shown}");
        let mut wrong = entry.clone();
        wrong["no_such_key"] = "s3cret".into();
        wrong["endpoint"] = "http://s3cret@host".into();
        let found = location(&wrong).unwrap_err();
        assert!(
            found.len() == 2 && !format!("{found:?}").contains("s3cret"),
            "{found:?}"
        );
    }
    let number = json!({ "url": "gs://b", "service_account": 1234567 });
    let found = location(&number).unwrap_err();
    assert!(found.len() == 1 && !found[0].contains("1234567"), "{found:?}");
}

#[test]
fn the_keys_of_object_stores_may_be_in_files() {
    use secrecy::ExposeSecret;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key").display().to_string();
    let entry = json!({ "url": "az://b", "account": "a", "access_key_file": path });
    assert!(location(&entry).unwrap_err()[0].contains("has access_key_file that cannot be read"));
    fs::write(&path, "\n").unwrap();
    assert!(location(&entry).unwrap_err()[0].contains("has access_key_file with nothing in it"));
    fs::write(&path, "s3cret\n").unwrap();
    match bucket(&entry).provider {
        Provider::Azure {
            credentials: AzureCredentials::AccessKey(key),
            ..
        } => assert_eq!(key.expose_secret(), "s3cret"),
        other => panic!("{other:?}"),
    }
    let mut both = entry.clone();
    both["access_key"] = "other".into();
    assert!(
        location(&both).unwrap_err()[0]
            .ends_with("has both access_key and access_key_file: give one of the two")
    );
}

#[test]
fn production_talks_to_other_machines_with_tls() {
    let exposed = |endpoint: &str| {
        let json = json!({ "A": { "url": "gs://b", "endpoint": endpoint, "allow_http": true } }).to_string();
        let loaded = Settings::load(&environment(&[("FAME_STORAGE__LOCATIONS", &json)])).unwrap();
        let problems = loaded.check_production();
        let found = problems.iter().find(|problem| problem.key == "storage.locations");
        found.map(|problem| problem.severity)
    };
    for endpoint in [
        "http://objects.contoso.com",
        "http://10.0.0.1:9000",
        "http://localhost.contoso.com",
    ] {
        assert_eq!(exposed(endpoint), Some(Severity::Error), "{endpoint}");
    }
    for endpoint in [
        "https://objects.contoso.com",
        "http://127.0.0.1:9000",
        "http://[::1]:9000",
        "http://localhost",
    ] {
        assert_eq!(exposed(endpoint), None, "{endpoint}");
    }
}

#[test]
fn nothing_is_tidied_away_while_it_may_still_go_on() {
    let graces = |grace, idle| {
        environment(&[
            ("FAME_STORAGE__GRACE_SECONDS", grace),
            ("FAME_PACKAGES__UPLOAD_IDLE_SECONDS", idle),
        ])
    };
    assert_eq!(load(&graces("61", "60")).storage.grace, Duration::from_secs(61));
    for (grace, idle, words) in [
        (
            "60",
            "60",
            "is not more than packages.upload_idle_seconds, which is 60",
        ),
        ("9", "5", "9 is not from 10 to 86400"),
    ] {
        let found = complaints(&graces(grace, idle));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(words), "{found:?}");
    }
}

#[test]
fn metrics_are_not_where_callers_are() {
    let listening = |callers, metrics| {
        environment(&[
            ("FAME_SERVER__LISTEN", callers),
            ("FAME_METRICS__LISTEN", metrics),
        ])
    };
    for (callers, metrics) in [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "[::]:8080"),
    ] {
        let found = complaints(&listening(callers, metrics));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("metrics are for operators"), "{found:?}");
    }
    let apart = load(&listening("0.0.0.0:8080", "127.0.0.1:8081"));
    assert_eq!(apart.metrics.listen, Some(([127, 0, 0, 1], 8081).into()));
}

#[test]
fn operators_are_tables_or_short_texts() {
    let user = Operator {
        kind: PrincipalKind::User,
        id: OBJECT.parse().unwrap(),
        tenant_id: Some(TENANT.parse().unwrap()),
    };
    let application = Operator {
        kind: PrincipalKind::Application,
        id: CLIENT.parse().unwrap(),
        tenant_id: None,
    };
    let json = format!(
        r#"[{{"type": "user", "id": "{OBJECT}", "tenant_id": "{TENANT}"}}, {{"type": "Application", "id": "{CLIENT}"}}]"#
    );
    let short = format!("User:{OBJECT}@{TENANT}, Application:{CLIENT}");
    for text in [json, short] {
        let settings = load(&environment(&[("FAME_OPERATORS__PRINCIPALS", &text)]));
        assert_eq!(settings.operators.principals, [user, application], "{text}");
    }
    for wrong in [
        format!("User:{OBJECT}"),
        format!("Application:{CLIENT}@here"),
        format!("Robot:{CLIENT}"),
        "Application:me".to_owned(),
        CLIENT.to_owned(),
        r#"[{"type": "User"}]"#.to_owned(),
    ] {
        let problems = Settings::load(&environment(&[("FAME_OPERATORS__PRINCIPALS", &wrong)])).unwrap_err();
        assert_eq!(problems[0].key, "operators.principals[0]", "{wrong}");
    }
}

#[test]
fn a_program_that_operates_is_of_a_tenant_where_several_are_trusted() {
    let entra =
        |tenants: &str| format!(r#"{{"kind": "entra", "tenants": {tenants}, "audiences": ["api://fame"]}}"#);
    let realm = format!(
        r#"{{"kind": "oidc", "issuer": "https://login.contoso.com", "tenant": "{OBJECT}", "audiences": ["fame"]}}"#
    );
    let home = entra(&format!(r#"["{TENANT}"]"#));
    let one = format!("[{home}]");
    let several = format!("[{}]", entra(&format!(r#"["{TENANT}", "{OBJECT}"]"#)));
    let any = entra(r#""any", "doors": ["customer"]"#);
    let customers = format!("[{home}, {any}]");
    let beside = format!("[{home}, {realm}]");
    let operators = format!("User:{OBJECT}@{TENANT}, Application:{CLIENT}");
    let named = format!("Application:{CLIENT}@{TENANT}");
    let load = |issuers: &str, operators: &str| {
        Settings::load(&environment(&[
            ("FAME_IDENTITY__ISSUERS", issuers),
            ("FAME_OPERATORS__PRINCIPALS", operators),
        ]))
    };
    for issuers in [&one, &customers] {
        assert!(load(issuers, &operators).is_ok(), "{issuers}");
    }
    for issuers in [&several, &beside] {
        assert!(load(issuers, &named).is_ok(), "{issuers}");
        let problems = load(issuers, &operators).unwrap_err();
        assert_eq!(problems[0].key, "operators.principals[1]", "{issuers}");
        assert!(problems[0].message.contains(CLIENT), "{problems:?}");
    }
}

#[test]
fn every_entry_that_cannot_be_read_has_its_own_number() {
    let principals = format!("Robot:{CLIENT}, Application:{CLIENT}, User:{OBJECT}, Application:me");
    let locations =
        r#"{"A": {"url": "gs://b/x", "region": 1}, "B": {"directory": 2}, "C": {"directory": "c"}}"#;
    let wrong = environment(&[
        ("FAME_OPERATORS__PRINCIPALS", &principals),
        ("FAME_STORAGE__LOCATIONS", locations),
    ]);
    let problems = Settings::load(&wrong).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "operators.principals[0]",
            "operators.principals[2]",
            "operators.principals[3]",
            r#"storage.locations["A"]"#,
            r#"storage.locations["B"]"#,
        ]
    );
}

#[test]
fn issuers_are_checked_with_everything_else() {
    let good = format!(r#"[{{"kind": "entra", "tenants": ["{TENANT}"], "audiences": ["api://fame"]}}]"#);
    assert_eq!(
        load(&environment(&[("FAME_IDENTITY__ISSUERS", &good)]))
            .identity
            .issuers
            .len(),
        1
    );

    let no_audience = format!(r#"[{{"kind": "entra", "tenants": ["{TENANT}"]}}]"#);
    let found = complaints(&environment(&[
        ("FAME_IDENTITY__ISSUERS", &no_audience),
        ("FAME_LOG__FORMAT", "xml"),
    ]));
    assert_eq!(found.len(), 2);
    assert!(
        found[0].starts_with("identity.issuers[0].audiences (FAME_IDENTITY__ISSUERS): "),
        "{}",
        found[0]
    );

    let http = good.replace(r#""kind""#, r#""authority": "http://127.0.0.1:8802", "kind""#);
    let refused = environment(&[("FAME_IDENTITY__ISSUERS", &http)]);
    assert!(complaints(&refused)[0].starts_with("identity.issuers[0].authority "));
    let allowed = [
        ("FAME_IDENTITY__ISSUERS", http.as_str()),
        ("FAME_IDENTITY__ALLOW_INSECURE_LOOPBACK", "true"),
    ];
    assert!(load(&environment(&allowed)).identity.allow_insecure_loopback);

    let misspelt = good.replace("tenants", "tennants");
    assert!(complaints(&environment(&[("FAME_IDENTITY__ISSUERS", &misspelt)]))[0].contains("tennants"));
}

#[test]
fn production_needs_somebody_who_can_sign_in_and_an_operator() {
    let bare = Settings::load(&Sources::default()).unwrap().check_production();
    let keys: Vec<_> = bare
        .iter()
        .map(|problem| (problem.key.as_str(), problem.severity))
        .collect();
    assert_eq!(
        keys,
        [
            ("identity.issuers", Severity::Error),
            ("operators.principals", Severity::Error)
        ]
    );

    let issuers = format!(r#"[{{"kind": "entra", "tenants": ["{TENANT}"], "audiences": ["api://fame"]}}]"#);
    let operators = format!("Application:{CLIENT}");
    let variables = [
        ("FAME_IDENTITY__ISSUERS", issuers.as_str()),
        ("FAME_OPERATORS__PRINCIPALS", operators.as_str()),
    ];
    assert_eq!(
        Settings::load(&environment(&variables))
            .unwrap()
            .check_production(),
        []
    );
}

#[test]
fn the_public_url_is_a_place_on_the_web() {
    let public_url = |text: &str| Settings::load(&environment(&[("FAME_SERVER__PUBLIC_URL", text)]));
    let good = public_url("https://fame.contoso.com/apps/")
        .unwrap()
        .settings
        .server
        .public_url;
    assert_eq!(good.as_deref(), Some("https://fame.contoso.com/apps"));
    for wrong in [
        "fame.contoso.com",
        "/apps",
        "ftp://fame",
        "https://u:p@fame",
        "https://fame?x=1",
        "https://fame/#x",
    ] {
        assert!(public_url(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn whoever_is_reached_from_elsewhere_says_how() {
    let objects = |listen: &str, public_url: &str| {
        let sources = environment(&[
            ("FAME_SERVER__LISTEN", listen),
            ("FAME_SERVER__PUBLIC_URL", public_url),
        ]);
        let problems = Settings::load(&sources).unwrap().check_production();
        let mut keys = problems
            .iter()
            .map(|problem| (problem.key.as_str(), problem.severity));
        keys.any(|found| found == ("server.public_url", Severity::Error))
    };
    for elsewhere in ["0.0.0.0:8080", "[::]:8080", "10.0.0.5:8080"] {
        assert!(objects(elsewhere, ""), "{elsewhere}");
        assert!(!objects(elsewhere, "https://fame.contoso.com"), "{elsewhere}");
    }
    for here in ["127.0.0.1:8080", "[::1]:8080"] {
        assert!(!objects(here, ""), "{here}");
    }
}

/// What stands against a database at `url`, and how much.
fn objections(url: &str, allow_plaintext: bool) -> Vec<Severity> {
    let allow = allow_plaintext.to_string();
    let sources = environment(&[
        ("FAME_DATABASE__URL", url),
        ("FAME_DATABASE__ALLOW_PLAINTEXT", &allow),
    ]);
    let problems = Settings::load(&sources).unwrap().check_production();
    let of_database = problems.iter().filter(|problem| problem.key == "database.url");
    of_database.map(|problem| problem.severity).collect()
}

#[test]
fn a_secret_in_a_file_that_others_may_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fame.toml");
    let warned = |password: &str, mode| {
        let url = format!("postgres://fame{password}@localhost/fame");
        std::fs::write(&file, format!("[database]\nurl = \"{url}\"\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let sources = Sources {
            file: Some(file.clone()),
            ..Sources::default()
        };
        let problems = Settings::load(&sources).unwrap().check_production();
        let told = problems.iter().find(|problem| problem.key == "database.url");
        told.map(|problem| (problem.severity, problem.message.clone()))
    };
    let (severity, message) = warned(":hunter2", 0o640).unwrap();
    assert_eq!(severity, Severity::Warning);
    assert!(
        message.contains("0640") && !message.contains("hunter2"),
        "{message}"
    );
    assert_eq!(warned(":hunter2", 0o600), None);
    assert_eq!(warned("", 0o644), None);
}

#[test]
fn a_database_over_a_network_needs_checked_encryption() {
    for url in [
        "sqlite:fame.db",
        "postgres://fame@localhost/fame",
        "postgres://fame@127.0.0.1/fame?sslmode=disable",
        "postgres://fame@%2Frun%2Fpostgresql/fame",
        "postgres://fame@db.contoso.com/fame",
        "postgres://fame@db.contoso.com/fame?sslmode=require",
        "postgres://fame@db.contoso.com/fame?sslmode=verify-full",
    ] {
        assert_eq!(objections(url, false), [], "{url}");
    }
    for url in [
        "postgres://fame@db.contoso.com/fame?sslmode=disable",
        "postgres://fame@db.contoso.com/fame?sslmode=prefer",
        "postgres://fame@localhost/fame?sslmode=disable&hostaddr=10.0.0.7",
    ] {
        assert_eq!(objections(url, false), [Severity::Error], "{url}");
        assert_eq!(objections(url, true), [Severity::Warning], "{url}");
    }
}

#[test]
fn what_is_kept_for_some_days_is_kept_for_long_enough() {
    let kept = |key: &str, days: &str| {
        let loaded = Settings::load(&environment(&[(&variable(key), days)]));
        loaded.map(|loaded| loaded.settings.retention)
    };
    let both = RetentionSettings {
        audit_days: None,
        operations_days: Some(7),
    };
    assert_eq!(kept("retention.operations_days", "7").unwrap(), both);
    assert_eq!(
        kept("retention.operations_days", "0").unwrap(),
        RetentionSettings::default()
    );
    for (key, days) in [
        ("retention.operations_days", "6"),
        ("retention.operations_days", "-1"),
        ("retention.audit_days", "29"),
        ("retention.audit_days", "36501"),
    ] {
        let problems = kept(key, days).unwrap_err();
        assert_eq!(problems[0].key, key);
    }
}

#[test]
fn everything_that_is_wrong_in_a_list_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
        limits.proxies = ["proxy", "10.0.0.0/8", "10.0.0.0/33"]
        time_zones.added = { "Atlantis Standard Time" = "Atlantis/Poseidonis", "Avalon Standard Time" = "Avalon/Camelot" }
        operators.principals = ["Robot:1", "Application"]
    "#;
    let problems = Settings::load(&file(&folder, text)).unwrap_err();
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (problem.key.as_str(), problem.message.as_str()))
        .collect();
    for (key, what) in [
        ("limits.proxies[0]", "'proxy'"),
        ("limits.proxies[2]", "'10.0.0.0/33'"),
        ("time_zones.added", "Atlantis/Poseidonis"),
        ("time_zones.added", "Avalon/Camelot"),
        ("operators.principals[0]", "'1'"),
        ("operators.principals[1]", "'Application'"),
    ] {
        let is_told = told
            .iter()
            .any(|(at, message)| *at == key && message.contains(what));
        assert!(is_told, "{key} {what}: {told:?}");
    }
    assert_eq!(told.len(), 6, "{told:?}");
}

#[test]
fn everything_that_is_wrong_with_issuers_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
        [[identity.issuers]]
        kind = "entra"
        tenant = "{TENANT}"
        audience = ["api://fame"]
        authority = "login.contoso.com"
        [[identity.issuers]]
        kind = "saml"
        tenants = ["me"]
        [[identity.issuers]]
        kind = "oidc"
        issuer = "http://id.contoso.com"
        tenant = "contoso"
        [[identity.issuers]]
        kind = "entra"
        tenants = ["everybody"]
        audiences = ["api://fame"]
        "#
    );
    let problems = Settings::load(&file(&folder, &text)).unwrap_err();
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (problem.key.as_str(), problem.message.as_str()))
        .collect();
    let expected = [
        ("identity.issuers[0]", "unknown field `audience`"),
        ("identity.issuers[0]", "unknown field `tenant`"),
        ("identity.issuers[0]", "missing field `tenants`"),
        ("identity.issuers[0].audiences", "name at least one"),
        ("identity.issuers[0].authority", "login.contoso.com"),
        ("identity.issuers[1]", "saml"),
        ("identity.issuers[2]", "missing field `audiences`"),
        ("identity.issuers[2].issuer", "must be https"),
        ("identity.issuers[2].tenant", "contoso"),
        ("identity.issuers[3].tenants", "everybody"),
    ];
    for (key, what) in expected {
        let is_told = told
            .iter()
            .any(|(at, message)| *at == key && message.contains(what));
        assert!(is_told, "{key} {what}: {told:?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:?}");
}

#[test]
fn every_file_that_is_named_is_opened_before_the_start() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for name in ["no-certificate.pem", "short.key"] {
        fs::write(path(name), "nothing").unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = format!(
        r#"
        database.url = "postgres://fame@db.contoso.com/fame"
        database.ca_file = "{missing}"
        identity.ca_file = "{no_certificate}"
        secrets.keys = ["{missing}", "{short}"]
        [storage.locations]
        EU = {{ url = "s3://a", region = "eu", endpoint = "https://a.contoso.com", ca_file = "{missing}" }}
        US = {{ url = "s3://b", region = "us", endpoint = "https://b.contoso.com", ca_file = "{no_certificate}" }}
        "#,
        missing = path("missing"),
        no_certificate = path("no-certificate.pem"),
        short = path("short.key"),
    );
    let problems = Settings::load(&file(&folder, &text)).unwrap().check_production();
    for (key, what) in [
        ("database.ca_file", "missing"),
        ("identity.ca_file", "no-certificate.pem"),
        ("secrets.keys", "missing"),
        ("secrets.keys", "has 7 bytes"),
        (r#"storage.locations["EU"]"#, "missing"),
        (r#"storage.locations["US"]"#, "no-certificate.pem"),
    ] {
        let is_told = |problem: &&Problem| {
            problem.key == key && problem.severity == Severity::Error && problem.message.contains(what)
        };
        let told = problems.iter().find(is_told);
        assert!(
            told.is_some_and(|problem| problem.origin.is_some()),
            "{key} {what}: {problems:?}"
        );
    }
}

#[test]
fn time_zones_can_be_added() {
    let folder = tempfile::tempdir().unwrap();
    let with = |iana: &str| {
        let text = format!("[time_zones.added]\n\"Atlantis Standard Time\" = \"{iana}\"");
        Settings::load(&file(&folder, &text))
    };
    let added = with("atlantic/azores").unwrap().settings.time_zones.added;
    let wanted = domain::zone::AddedZone::new("Atlantis Standard Time".into(), "Atlantic/Azores".into());
    assert_eq!(added, [wanted.unwrap()]);
    let problems = with("Atlantic/Atlantis").unwrap_err();
    assert_eq!(problems[0].key, "time_zones.added");
    assert!(
        problems[0].message.contains("'Atlantic/Atlantis'"),
        "{}",
        problems[0]
    );
}
