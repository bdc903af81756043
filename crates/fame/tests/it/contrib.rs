//! The files in `contrib` that others' programs read: that they fit the service that they are made for.

use crate::service::binary;
use regex::Regex;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};
use tempfile::TempDir;

fn file(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(name)).unwrap()
}

#[test]
fn the_compose_file_configures_a_service_that_may_start() {
    let compose = file("contrib/docker/compose.yaml");
    let values = file("contrib/docker/example.env");
    let line = Regex::new(r"(?m)^      (FAME_[A-Z_]+): (.*)$").unwrap();
    let variable = Regex::new(r"(?m)^([A-Z_]+)=(.*)$").unwrap();
    let mut command = binary(&["config", "check"]);
    let folder = TempDir::new().unwrap();
    command
        .current_dir(&folder)
        .env("FAME_SERVER__LISTEN", "0.0.0.0:8080");
    let mut settings = 0;
    for found in line.captures_iter(&compose) {
        let mut value = found[2].trim_matches(['\'', '"']).to_owned();
        for known in variable.captures_iter(&values) {
            value = value.replace(&format!("${{{}}}", &known[1]), &known[2]);
        }
        assert!(!value.contains("${"), "{value} is in no example.env");
        command.env(&found[1], value);
        settings += 1;
    }
    assert!(settings > 5);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// The script ends as soon as an attempt comes no further than the one before, and at once where no other can.
#[test]
fn the_release_script_tries_again_only_where_that_helps() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/pipelines/script/release.sh");
    for (prints, code, attempts) in [
        ("echo same", 20, 2),
        ("wc -l <\"$0.calls\"", 20, 5),
        ("echo same", 6, 5),
        ("echo same", 15, 1),
        ("echo same", 0, 1),
    ] {
        let folder = TempDir::new().unwrap();
        let fame = format!(
            "#!/bin/sh\ncase \"$*\" in *--wait*) echo >>\"$0.calls\"; {prints}; exit {code};; esac\n"
        );
        for (name, text) in [("fame", fame.as_str()), ("sleep", "#!/bin/sh\n")] {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .arg(&script)
            .env("PATH", path)
            .env("VERSION", "1.0.0.0")
            .env("COUNTRIES", "US")
            .env("FAME_URL", "http://127.0.0.1:1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let calls = fs::read_to_string(folder.path().join("fame.calls")).unwrap();
        assert_eq!(calls.lines().count(), attempts, "{prints} {code}: {output:?}");
    }
}

/// What nginx lets through, and how long it waits, is not less than what the service does by itself.
#[test]
fn the_proxy_refuses_nothing_that_the_service_takes() {
    let (nginx, defaults) = (
        file("contrib/nginx/fame.conf"),
        file("crates/server/src/config.default.toml"),
    );
    let number = |text: &str, pattern: &str| {
        let found = Regex::new(pattern)
            .unwrap()
            .captures(text)
            .unwrap_or_else(|| panic!("{pattern}"));
        found[1].parse::<u64>().unwrap()
    };
    let setting = |name: &str| number(&defaults, &format!(r"(?m)^{name} = (\d+)$"));
    let body = number(&nginx, r"client_max_body_size (\d+)m;") << 20;
    assert!(body > setting("max_bytes") * 4 / 3 + setting("json_body_bytes"));
    for pattern in [
        "client_body_timeout",
        "proxy_send_timeout",
        "send_timeout",
        "proxy_read_timeout",
    ] {
        let seconds = number(&nginx, &format!(r"[^_]{pattern} (\d+)s;"));
        let own = setting("upload_idle_seconds").max(setting("response_idle_seconds"));
        assert!(
            seconds > own.max(u64::from(wire::agent::LONGEST_WAIT_SECONDS)),
            "{pattern}"
        );
    }
    let idle = number(&nginx, r"keepalive_timeout (\d+)s;");
    assert!(idle < setting("request_header_seconds"));
}
