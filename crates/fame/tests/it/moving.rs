//! `fame export` and `fame import`, as whoever runs a service uses them, and what a kill in the middle leaves.

use crate::service::{Ended, binary, run};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// `fame` in `folder`, with a service's data in `data` there.
fn command(folder: &Path, args: &[&str], data: &str) -> Command {
    let mut command = binary(args);
    command
        .current_dir(folder)
        .env("FAME_SERVER__DATA_DIR", data)
        .stdin(Stdio::null());
    command
}

async fn fame(folder: &Path, args: &[&str], data: &str) -> Ended {
    run(command(folder, args, data)).await
}

/// Rows of each table, as `--json` tells them.
fn rows_of(ended: &Ended) -> BTreeMap<String, u64> {
    let told = ended.json();
    let tables = told["tables"].as_array().unwrap();
    tables
        .iter()
        .map(|table| {
            let name = table["name"].as_str().unwrap().to_owned();
            (name, table["rows"].as_u64().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_service_moves_and_says_what_moved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let lived = fame(
        path,
        &["dev", "--once", "--listen", "127.0.0.1:0", "--data", "old"],
        "unused",
    )
    .await;
    assert_eq!(lived.code, 0, "{lived:?}");

    let exported = fame(path, &["export", "--to", "moving", "--json"], "old/service").await;
    assert_eq!(exported.code, 0, "{exported:?}");
    let rows = rows_of(&exported);
    assert!(rows["apps"] > 0 && rows["versions"] > 0 && rows["environments"] > 0 && rows["audit"] > 0);
    assert!(
        exported.err.contains("e-mail addresses included"),
        "{}",
        exported.err
    );

    let checked = fame(path, &["import", "--from", "moving", "--check"], "nowhere").await;
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.err.contains("complete and undamaged"), "{}", checked.err);
    assert!(!path.join("nowhere").exists(), "a check makes nothing");

    let import = ["import", "--from", "moving", "--json"];
    let imported = fame(path, &import, "new").await;
    assert_eq!(imported.code, 0, "{imported:?}");
    assert_eq!(imported.json(), exported.json());
    assert!(imported.err.contains("the service can start"), "{}", imported.err);
    let again = fame(path, &import, "new").await;
    assert_eq!((again.code, again.json()), (0, exported.json()), "{again:?}");
    assert!(again.err.contains("nothing was changed"), "{}", again.err);

    let back = fame(path, &["export", "--to", "again", "--json"], "new").await;
    assert_eq!(back.json(), exported.json(), "{back:?}");
    assert_eq!(lines_of(&path.join("again")), lines_of(&path.join("moving")));
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_code_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    Export {
        environments: 3,
        packages: 2,
    }
    .write(&path.join("export"));
    fs::create_dir(path.join("empty")).unwrap();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["import", "--from", "empty"], 4, "There is no export in empty"),
        (
            &["import", "--from", "export", "--map-location", "EU"],
            2,
            "expected FROM=TO",
        ),
        (
            &["import", "--from", "export", "--set", "log.level=loud"],
            2,
            "log.level",
        ),
        (
            &["import", "--from", "export", "--map-location", "West Europe=Mars"],
            5,
            "'West Europe' is mapped to 'Mars', which is not configured",
        ),
        (&["export", "--to", "export"], 5, "export holds an export already"),
        (
            &[
                "import",
                "--from",
                "export",
                "--set",
                "database.url=postgres://nobody@127.0.0.1:1/x",
            ],
            6,
            "database: ",
        ),
    ];
    for (args, code, problem) in cases {
        let refused = fame(path, args, "data").await;
        assert_eq!(refused.code, code, "{args:?}: {refused:?}");
        assert!(refused.err.contains(problem), "{args:?}: {}", refused.err);
    }
    let good = fame(
        path,
        &[
            "import",
            "--from",
            "export",
            "--map-location",
            "West Europe=East US",
        ],
        "data",
    )
    .await;
    assert_eq!(good.code, 0, "{good:?}");
    let full = fame(path, &["import", "--from", "empty"], "data").await;
    assert_eq!(full.code, 4);
    Export {
        environments: 4,
        packages: 2,
    }
    .write(&path.join("another"));
    let full = fame(path, &["import", "--from", "another"], "data").await;
    assert_eq!(full.code, 5, "{full:?}");
    assert!(full.err.contains("needs an empty database"), "{}", full.err);
}

/// An export as `docs/OPERATING.md` describes the files, made without the program.
struct Export {
    environments: usize,
    packages: u8,
}

fn guid(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012x}")
}

fn sha256_of(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

const PACKAGE_BYTES: usize = 300_000;

impl Export {
    fn write(&self, folder: &Path) {
        let mut parts = Vec::new();
        let mut write = |table: &str, rows: Vec<Value>| {
            for (index, rows) in rows.chunks(5_000).enumerate() {
                let file = format!("rows/{table}-{:05}.jsonl", index + 1);
                let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
                parts.push(json!({
                    "file": file, "rows": rows.len(), "bytes": lines.len(), "sha256": sha256_of(lines.as_bytes()),
                }));
                fs::create_dir_all(folder.join("rows")).unwrap();
                fs::write(folder.join(file), lines).unwrap();
            }
        };
        write("apps", vec![app()]);
        write(
            "countries",
            vec![json!({"app_id": guid(1), "code": "US", "etag": guid(2)})],
        );
        let mut packages: Vec<_> = (1..=self.packages)
            .map(|number| (number, package(folder, number)))
            .collect();
        write(
            "versions",
            packages
                .iter()
                .map(|(number, sha256)| version(*number, sha256))
                .collect(),
        );
        packages.sort_by(|one, other| one.1.cmp(&other.1));
        write("blobs", packages.iter().map(|(_, sha256)| blob(sha256)).collect());
        write("environments", (0..self.environments).map(environment).collect());
        let manifest = json!({
            "format": "fame-export", "formatVersion": 1, "schemaVersion": migrations(), "program": "by hand",
            "madeOn": "2020-03-05T12:00:00.0000000Z", "packages": self.packages,
            "packageBytes": usize::from(self.packages) * PACKAGE_BYTES, "runningOperations": 0, "parts": parts,
        });
        fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    }
}

/// Writes a package of that number; answers with its hash.
fn package(folder: &Path, number: u8) -> String {
    let bytes: Vec<u8> = (0..PACKAGE_BYTES).map(|at| (at % 251) as u8 ^ number).collect();
    let sha256 = sha256_of(&bytes);
    let subfolder = folder.join("packages").join(&sha256[..2]);
    fs::create_dir_all(&subfolder).unwrap();
    fs::write(subfolder.join(format!("{sha256}.app")), bytes).unwrap();
    sha256
}

fn app() -> Value {
    json!({
        "id": guid(1), "publisher": "Contoso", "publisher_tenant_id": guid(3),
        "publisher_contact_email": "publisher@contoso.com", "storage_location": "West Europe", "name": null,
        "name_version_key": null, "etag": guid(4), "created_on": 1, "signer_rule": "none",
    })
}

fn version(number: u8, sha256: &str) -> Value {
    let version = format!("1.0.0.{number}");
    json!({
        "app_id": guid(1), "country_code": "US", "version_key": version, "version": version, "major": 1, "minor": 0,
        "build": 0, "revision": number, "package_id": guid(5), "publisher": "Contoso", "name": "Sales Pack",
        "uploaded_on": 2, "uploaded_by": "x", "availability": "Available", "status": "Uploaded", "sync_mode": "Sync",
        "dependencies": "[]", "application": null, "platform": null, "location": "West Europe", "sha256": sha256,
        "generation": guid(10), "size": PACKAGE_BYTES, "upload_id": guid(6), "etag": guid(7), "runtime": null,
        "signer_key": null, "signer_subject": null,
    })
}

fn blob(sha256: &str) -> Value {
    json!({
        "location": "West Europe", "sha256": sha256, "generation": guid(10), "size": PACKAGE_BYTES,
        "state": "stored", "changed_on": 3,
    })
}

fn environment(number: usize) -> Value {
    let name = format!("Customer {number}");
    json!({
        "id": guid(number), "tenant_id": guid(8), "family": "Business Central", "family_key": "BUSINESS CENTRAL",
        "name": name, "name_key": name.to_uppercase(), "country_code": "US", "kind": "Production",
        "location_name": "West Europe", "application_version": null, "platform_version": "27.0.0.0",
        "window_start": "20:00", "window_end": "06:00", "window_zone": "UTC", "inventory_complete": false,
        "inventory_on": 4, "held_since": null, "held_by": null, "due_on": null,
        "etag": guid(9), "agent_id": null, "missing_since": null, "disputed_since": null, "contested_since": null,
        "update_cadence": null, "web_client_url": null, "web_service_url": null, "reported_window": null,
    })
}

/// All rows of an export, table by table, however they are cut into parts.
fn lines_of(export: &Path) -> BTreeMap<String, String> {
    let mut files: Vec<PathBuf> = fs::read_dir(export.join("rows"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let table = name.rsplit_once('-').unwrap().0;
        *lines.entry(table.to_owned()).or_default() += &fs::read_to_string(&file).unwrap();
    }
    lines
}

/// Bytes of all files below `folder`.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
            Ok(metadata) => metadata.len(),
            // It went away between the two looks.
            Err(_) => 0,
        });
    sizes.sum()
}

/// How many there are: the version of the schema.
fn migrations() -> usize {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../store/migrations");
    fs::read_dir(folder).unwrap().count()
}

/// Kills the process as soon as `folder` has grown to `bytes`; whether that came about before it ended on its own.
fn kill_when(mut child: Child, folder: &Path, bytes: u64) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "{ended}");
            return false;
        }
        if size_of(folder) >= bytes {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        assert!(Instant::now() < deadline, "{} never grew", folder.display());
        std::thread::yield_now();
    }
}

/// Runs a command to its end, killing it each time that what it makes has grown by `step` bytes; how often.
fn kills_until_done(folder: &TempDir, args: &[&str], data: &str, makes: &str, step: u64) -> usize {
    let makes = folder.path().join(makes);
    let mut kills = 0;
    loop {
        let mut command = command(folder.path(), args, data);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let target = size_of(&makes) + step;
        if !kill_when(command.spawn().unwrap(), &makes, target) {
            return kills;
        }
        kills += 1;
        assert!(kills < 500, "it never comes to an end");
    }
}

#[test]
fn kills_in_the_middle_lose_nothing_and_bring_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    Export {
        environments: 30_000,
        packages: 20,
    }
    .write(&path.join("export"));
    let import = ["import", "--from", "export"];
    let imports_killed = kills_until_done(&folder, &import, "data", "data", 2_500_000);
    let export = ["export", "--to", "again"];
    let exports_killed = kills_until_done(&folder, &export, "data", "again", 14_000_000);
    assert!(
        imports_killed >= 3 && exports_killed >= 1,
        "{imports_killed}, {exports_killed}"
    );
    assert_eq!(lines_of(&path.join("again")), lines_of(&path.join("export")));
    let mut check = command(path, &["import", "--from", "again", "--check"], "unused");
    assert!(check.output().unwrap().status.success());
}

#[cfg(unix)]
#[test]
fn a_service_does_not_start_on_half_an_import() {
    let folder = tempfile::tempdir().unwrap();
    Export {
        environments: 20_000,
        packages: 1,
    }
    .write(&folder.path().join("export"));
    let mut import = command(folder.path(), &["import", "--from", "export"], "data");
    import.stdout(Stdio::null()).stderr(Stdio::null());
    let database = folder.path().join("data");
    assert!(kill_when(import.spawn().unwrap(), &database, 4_000_000));
    let operator = "operators.principals=Application:cccccccc-dddd-eeee-3333-444444444444@aaaabbbb-0000-cccc-1111-dddd2222eeee";
    let issuer = "identity.issuers=[{\"kind\": \"entra\", \"tenants\": [\"aaaabbbb-0000-cccc-1111-dddd2222eeee\"], \"audiences\": [\"fame\"]}]";
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--set",
        operator,
        "--set",
        issuer,
    ];
    let output = command(folder.path(), &serve, "data").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("an import into the database has not finished"),
        "{said}"
    );
}
