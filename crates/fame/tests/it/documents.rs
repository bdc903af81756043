//! What is written for people is tried as people would: the blocks of the documents and of the guides are scripts, and so is
//! what `fame dev` prints. A block `sh` is run as it stands, in the order of the page and in one shell; `console` shows commands after a
//! `$`, of which those that go on until they are stopped run beside; `toml` that begins with a comment of a file's name is that
//! file; `text` is what the command above it prints.

use crate::{
    book::{page, pages_below},
    service::binary,
};
use regex::Regex;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};
use tempfile::TempDir;
use test_support::issuer::{self, Person};

/// A block of a page between fences.
struct Block {
    language: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut is_inside = false;
    for line in page.lines() {
        match (line.strip_prefix("```"), is_inside) {
            (Some(language), false) => {
                is_inside = true;
                found.push(Block {
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), true) => is_inside = false,
            (None, true) => {
                let block = found.last_mut().unwrap();
                block.text += line;
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    found
}

/// A folder in which scripts run, with the program under test before all others.
struct Shell {
    folder: TempDir,
}

impl Shell {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script that may fail nowhere, and in which no service answers with an error; what it printed.
    fn runs(&self, script: &str) -> String {
        let file = self.path("script.sh");
        fs::write(&file, script).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_fame")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .args(["-e", "-u"])
            .arg(&file)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}\n{errors}\n{}", self.logs());
        assert!(!told.contains(r#""error":{"#), "{told}");
        told
    }

    /// What the programs that run beside have said.
    fn logs(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        ["serve.log", "agent.log"].map(read).join("\n")
    }
}

/// A `fame dev`, and what it said when it was ready. Dropping it kills it.
struct Dev {
    child: Child,
    said: String,
}

impl Dev {
    /// Starts one, and reads until the line that holds `last`.
    fn until(last: &str, more: &[&str]) -> Self {
        let mut child = binary(&["dev", "--listen", "127.0.0.1:0"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = read_until(last, child.stdout.take().unwrap());
        Self { child, said }
    }

    /// One with the guide.
    fn with_guide(more: &[&str]) -> Self {
        Self::until("Ctrl-C ends it.", more)
    }

    fn moves_its_clock_to(&self, instant: &str) {
        let ready: Value = serde_json::from_str(&self.said).unwrap();
        let base = ready["baseUrl"].as_str().unwrap();
        let set = ["dev", "clock", "--url", base, "set", instant];
        assert!(binary(&set).output().unwrap().status.success());
    }

    /// The commands of the guide: all of it from the first on.
    fn script(&self) -> &str {
        &self.said[self.said.find("# Commands to try").unwrap()..]
    }
}

fn read_until(last: &str, out: ChildStdout) -> String {
    let mut said = String::new();
    for line in BufReader::new(out).lines() {
        said += &line.unwrap();
        said.push('\n');
        if said.contains(last) {
            return said;
        }
    }
    panic!("it ended early: {said}");
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_guide_is_a_script_at_every_start_on_a_folder() {
    let shell = Shell::new();
    let data = shell.path("data").display().to_string();
    for start in 1..=2 {
        let dev = Dev::with_guide(&["--data", &data]);
        let told = shell.runs(dev.script());
        // By `fame` in the environment and in its hotfix, and by curl.
        assert!(told.matches("Succeeded").count() >= 2, "start {start}: {told}");
        for shown in [
            "/control/openapi.json",
            "/control/tokens",
            "/keys/rotate",
            "/oauth2/v2.0/token",
        ] {
            assert!(dev.said.contains(shown), "{shown}: {}", dev.said);
        }
    }
}

#[test]
fn the_guide_of_an_empty_one_makes_an_app() {
    let shell = Shell::new();
    let dev = Dev::with_guide(&["--empty"]);
    let told = shell.runs(dev.script());
    assert!(told.contains("Contoso Sales Pack"), "{told}");
}

#[test]
fn the_control_endpoint_is_as_it_is_described() {
    let dev = Dev::until("}", &["--json"]);
    let ready: Value = serde_json::from_str(&dev.said).unwrap();
    let base = ready["baseUrl"].as_str().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let described = http
            .get(format!("{base}/control/openapi.json"))
            .send()
            .await
            .unwrap();
        let described: Value = described.json().await.unwrap();
        let tenant = described["components"]["parameters"]["Tenant"]["example"]
            .as_str()
            .unwrap();
        for (path, item) in described["paths"].as_object().unwrap() {
            let url = format!("{base}{}", path.replace("{tenant}", tenant));
            for (verb, operation) in item
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| *name != "parameters")
            {
                let method = verb.to_uppercase().parse().unwrap();
                let content = &operation["requestBody"]["content"];
                let (json, form) = (
                    &content["application/json"]["example"],
                    &content["application/x-www-form-urlencoded"]["example"],
                );
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let given: Vec<(&str, &str)> = parameters
                    .filter_map(|one| Some((one["name"].as_str()?, one["example"].as_str()?)))
                    .collect();
                let request = http.request(method, &url).query(&given);
                let answer = match (json.is_object(), form.is_object()) {
                    (true, _) => request.json(json),
                    (_, true) => request.form(form),
                    _ => request,
                };
                assert_eq!(answer.send().await.unwrap().status(), 200, "{verb} {path}");
                if json.is_object() {
                    for other in ["text/json", "application/x-www-form-urlencoded", "text/plain"] {
                        let post = http
                            .post(&url)
                            .header("content-type", other)
                            .body(json.to_string());
                        assert_eq!(post.send().await.unwrap().status(), 415, "{other} to {path}");
                    }
                    let post = http
                        .post(&url)
                        .header("content-type", "application/json")
                        .body("{");
                    let answer = post.send().await.unwrap();
                    assert_eq!(answer.status(), 400, "{path}");
                    let said: Value = answer.json().await.unwrap();
                    assert_eq!(said["error"]["code"], "InvalidInput", "{path}");
                }
            }
        }
    });
}

#[test]
fn the_clock_is_moved_from_the_command_line() {
    let dev = Dev::until("}", &["--json", "--empty"]);
    let ready: Value = serde_json::from_str(&dev.said).unwrap();
    let base = ready["baseUrl"].as_str().unwrap();
    let clock = |args: &[&str]| {
        let output = binary(&["dev", "clock", "--json", "--url", base])
            .args(args)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = serde_json::from_str::<Value>(&told).unwrap_or_default();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code(),
            told["now"].as_str().unwrap_or_default().to_owned(),
            errors,
        )
    };
    let (code, now, _) = clock(&["set", "2031-05-01T12:00:00Z"]);
    assert_eq!((code, &now[..14]), (Some(0), "2031-05-01T12:"));
    for (span, expected) in [
        ("6h", "2031-05-01T18:"),
        ("P1D", "2031-05-02T18:"),
        ("1d 2h", "2031-05-03T20:"),
    ] {
        let (code, now, errors) = clock(&["advance", span]);
        assert_eq!((code, &now[..14]), (Some(0), expected), "{span}: {errors}");
    }
    assert_eq!(clock(&["show"]).1[..14], *"2031-05-03T20:");
    for (wrong, fact) in [
        (&["advance", "six"][..], "'six'"),
        (&["set", "soon"], "soon"),
        (&["advance", "--", "-6h"], "fame dev clock set"),
    ] {
        let (code, _, errors) = clock(wrong);
        assert!(
            code == Some(2) && errors.contains(fact),
            "{wrong:?}: {code:?} {errors}"
        );
    }
    for (url, code, fact) in [
        ("https://fame.contoso.com", 2, "not on this machine"),
        (
            "http://127.0.0.1:1",
            6,
            "No `fame dev` answers at http://127.0.0.1:1/control/clock",
        ),
    ] {
        let output = binary(&["dev", "clock", "show", "--url", url]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(code) && errors.contains(fact),
            "{output:?}"
        );
    }
}

/// What a page has to be tried out on `fame dev`.
struct Walk {
    script: String,
    /// What the page shows of what is printed.
    samples: Vec<String>,
}

impl Walk {
    /// The page's, with `fame dev` at another port than the one that it names.
    fn of(name: &str, dev: &Dev) -> Self {
        let mut walk = Self {
            script: String::new(),
            samples: Vec::new(),
        };
        for block in blocks(&page(name)) {
            match block.language.as_str() {
                "sh" => walk.script += &block.text,
                "text" => walk.samples.push(block.text),
                shown => assert!(
                    ["console", "mermaid"].contains(&shown),
                    "{name}: '{shown}' is run by nobody"
                ),
            }
        }
        let ready: Value = serde_json::from_str(&dev.said).unwrap();
        let base = ready["baseUrl"].as_str().unwrap();
        assert!(walk.script.contains("http://127.0.0.1:8080"));
        walk.script = walk.script.replace("http://127.0.0.1:8080", base);
        walk
    }
}

#[test]
fn the_readme_is_a_script_that_may_run_again() {
    let dev = Dev::until("}", &["--json"]);
    // Whether an environment waits for its window is another matter at another time of the day.
    dev.moves_its_clock_to("2031-01-15T16:00:00Z");
    let walk = Walk::of("README.md", &dev);
    let shell = Shell::new();
    let told = shell.runs(&walk.script);
    assert!(told.contains("Succeeded"), "{told}");
    let said = words(&told);
    for sample in walk.samples {
        let untrue: Vec<_> = words(&sample).difference(&said).cloned().collect();
        assert!(
            untrue.is_empty(),
            "README shows {untrue:?}, but what is printed is\n{told}"
        );
        let heading = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let first = heading(sample.lines().next().unwrap_or_default());
        assert!(
            told.lines().any(|line| heading(line) == first),
            "README shows the columns {first:?}, but what is printed is\n{told}"
        );
    }
    shell.runs(&walk.script);
}

#[test]
fn the_guides_are_scripts() {
    for (guide, shown) in [
        ("vendor", &["Succeeded", "Deprecated"][..]),
        ("hoster", &["working", "freezes/write"]),
        (
            "customer",
            &["Fabrikam Freight\tFabrikam\t5.0.1.0", "true\n5.0.2.0\n", "22:00"],
        ),
    ] {
        let dev = Dev::until("}", &["--json"]);
        let walk = Walk::of(&format!("docs/guide/{guide}.md"), &dev);
        assert!(walk.samples.is_empty(), "{guide} shows what nobody compares");
        let told = Shell::new().runs(&walk.script);
        for text in shown {
            assert!(told.contains(text), "{guide}: {text} is not in\n{told}");
        }
    }
}

/// Of pages that are about services of all kinds, what is to be tried on `fame dev`.
#[test]
fn what_a_page_has_for_fame_dev_is_a_script_that_may_run_again() {
    let dev = Dev::until("}", &["--json"]);
    let ready: Value = serde_json::from_str(&dev.said).unwrap();
    let base = ready["baseUrl"].as_str().unwrap();
    for (name, shown) in [
        ("docs/SIGNING-IN.md", &["by its secret", "15.0.1.0"][..]),
        ("docs/TRUSTED-PUBLISHING.md", &["15.0.2.0", "contoso/sales-pack"]),
    ] {
        let blocks = blocks(&page(name)).into_iter();
        let script: String = blocks
            .filter(|block| block.language == "sh" && block.text.contains("http://127.0.0.1:8080"))
            .map(|block| block.text.replace("http://127.0.0.1:8080", base))
            .collect();
        let shell = Shell::new();
        for _ in 0..2 {
            let told = shell.runs(&script);
            for text in shown {
                assert!(told.contains(text), "{name}: {text} is not in\n{told}");
            }
        }
    }
}

/// The words of what is printed; of instants only that they are some, for each day has its own.
fn words(text: &str) -> BTreeSet<String> {
    let instant = Regex::new(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?( ?Z| UTC)?").unwrap();
    let without = instant.replace_all(text, "INSTANT");
    without.split_whitespace().map(str::to_owned).collect()
}

/// An address of this machine that no other test has, for what has to be written down before it starts.
fn own_address() -> String {
    let [low, high, ..] = std::process::id().to_le_bytes();
    format!("127.{}.{}.13:8080", 1 + low % 250, high)
}

#[test]
fn the_first_steps_lead_to_a_hotfix() {
    let shell = Shell::new();
    let address = own_address();
    let mut script = String::from(
        "BESIDE=\ntrap 'kill $BESIDE' EXIT\nexport FAME_IDENTITY__ALLOW_INSECURE_LOOPBACK=true\n",
    );
    for block in blocks(&page("docs/FIRST-STEPS.md")) {
        let text = block.text.replace("127.0.0.1:8080", &address);
        match block.language.as_str() {
            "sh" => script += &signed_in(&text),
            "console" => script += &run_beside(&text, &address),
            "toml" => {
                let name = text.lines().next().unwrap().strip_prefix("# ").unwrap();
                let text = text.replace("https://login.microsoftonline.com", issuer::base_url());
                fs::write(shell.path(name), text).unwrap();
                fs::set_permissions(shell.path(name), fs::Permissions::from_mode(0o600)).unwrap();
            }
            other => panic!("'{other}' is run by nobody"),
        }
    }
    let told = shell.runs(&script);
    assert!(told.contains("Succeeded"), "{told}");
    assert!(told.matches("16.0.1.0").count() > 2, "{told}");
}

/// Who signs in with a secret brings a token of the tests' issuer instead.
fn signed_in(text: &str) -> String {
    let mut text = text.to_owned();
    for person in [Person::OPERATOR, Person::OWNER] {
        let secret = format!("export FAME_CLIENT_ID={} FAME_CLIENT_SECRET=…", person.id);
        text = text.replace(
            &secret,
            &format!("export FAME_TOKEN={}", issuer::token_of(&person)),
        );
    }
    assert!(!text.contains('…'), "{text}");
    text
}

/// The commands after a `$`: two of them go on until they are stopped.
fn run_beside(text: &str, address: &str) -> String {
    let mut script = String::new();
    for line in text.lines() {
        let command = line.strip_prefix("$ ").unwrap();
        script += &match command.split(' ').nth(1).unwrap() {
            "serve" => format!(
                "{command} >serve.log 2>&1 &\nBESIDE=\"$BESIDE $!\"\nuntil curl -s -o /dev/null http://{address}/health/live; do sleep 0.1; done\n"
            ),
            "agent" => format!("{command} >agent.log 2>&1 &\nBESIDE=\"$BESIDE $!\"\n"),
            _ => format!("{command}\n"),
        };
    }
    script
}

/// All that is written as a command of ours, in code of any kind.
fn commands(page: &str) -> BTreeSet<String> {
    let flat = Regex::new(r"\\\n\s*").unwrap().replace_all(page, "").into_owned();
    let inline = Regex::new(r"`((?:FAME_[A-Z_]+=\S+ )*fame [a-z][^`]*)`").unwrap();
    let mut found: BTreeSet<String> = inline
        .captures_iter(&flat)
        .map(|found| found[1].split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let start =
        Regex::new(r"(?m)(?:^[ \t]*|\$\(|\$ |\|\| )(?:FAME_[A-Z_]+=\S+ )?(fame [a-z][^|#\n;]*)").unwrap();
    for block in blocks(&flat).iter().filter(|block| block.language != "mermaid") {
        let lines = start.captures_iter(&block.text);
        found.extend(lines.map(|found| found[1].trim().to_owned()));
    }
    found
}

/// Every page that people read, but for the one that is made from the commands.
fn pages() -> BTreeSet<String> {
    let mut pages = pages_below("docs");
    pages.remove("docs/reference/commands.md");
    pages.extend(pages_below("contrib"));
    pages.extend(["README.md", "CONTRIBUTING.md"].map(String::from));
    pages
}

#[test]
fn every_command_that_is_written_down_is_one() {
    let mut count = 0;
    for name in pages() {
        for command in commands(&page(&name)) {
            let words: Vec<_> = command
                .split(' ')
                .skip_while(|word| *word != "fame")
                .skip(1)
                .collect();
            let is_name = |word: &&&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            let path: Vec<_> = words
                .iter()
                .take_while(is_name)
                .filter(|word| !word.starts_with('-'))
                .copied()
                .collect();
            let help =
                help_of(&path).unwrap_or_else(|| panic!("{name}: {command}: there is no such command"));
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap().trim_end_matches([',', ')', '.']);
                assert!(help.contains(flag), "{name}: {command}: there is no {flag}");
            }
            count += 1;
        }
    }
    assert!(count > 60, "{count} commands were found");
}

/// The help of the command that these words are, but for those at the end that are its arguments.
fn help_of(words: &[&str]) -> Option<String> {
    let help = |words: &[&str]| {
        let output = binary(&["help"]).args(words).output().unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    };
    let (length, found) = (1..=words.len())
        .rev()
        .find_map(|length| Some((length, help(&words[..length])?)))?;
    let is_group = found.contains("\nCommands:");
    (length == words.len() || !is_group).then_some(found)
}

/// What becomes of a command of OPERATING here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    /// It is run while the service runs.
    Served,
    /// It is run after the service was stopped.
    Stopped,
    /// It is named, and needs more than is written there; or it goes on until it is stopped, as others of these tests do.
    Named,
}

use Tried::{Named, Served, Stopped};

/// Every command of OPERATING, in the order in which they are run.
const OPERATING: [(&str, Tried); 29] = [
    ("fame serve", Named),
    ("fame dev", Named),
    ("fame export", Named),
    ("fame import", Named),
    ("fame versions download", Named),
    ("fame package inspect", Named),
    ("fame secrets rotate --forget", Named),
    ("fame serve --config new.toml", Named),
    (
        "fame webhooks add APP --to https://hooks.contoso.com/fame --event 'hotfix.*'",
        Named,
    ),
    ("fame webhooks add operator --to URL --header-file FILE", Named),
    ("fame operator environments put", Named),
    (
        "fame operator principals set APP CLIENT-ID --token-tenant TENANT-ID",
        Served,
    ),
    ("fame operator apps update APP --signer-rule pinned:0f1e…", Served),
    ("fame config show", Served),
    ("fame config check", Served),
    ("fame config zones", Served),
    (
        "fame config principal-id https://login.contoso.com/realms/apps reader",
        Served,
    ),
    ("fame apps list", Served),
    ("fame operator freezes put scheduling --reason \"…\"", Served),
    ("fame operator agents list", Served),
    ("fame migrate --check", Served),
    ("fame export --to /backup/export", Served),
    ("fame export --to /move/rehearsal", Served),
    ("fame export --to /move/export", Served),
    ("fame secrets rotate", Stopped),
    ("fame migrate", Stopped),
    ("fame import --from /backup/export --check", Stopped),
    ("fame config check --config new.toml", Stopped),
    (
        "fame import --from /move/export --config new.toml --map-location \"West Europe=EU\"",
        Stopped,
    ),
];

#[test]
fn the_commands_of_operating_do_what_they_say() {
    let found = commands(&page("docs/OPERATING.md"));
    let known: BTreeSet<String> = OPERATING
        .iter()
        .map(|(command, _)| (*command).to_owned())
        .collect();
    assert_eq!(
        found, known,
        "who writes a command down there says here how it is tried"
    );

    let shell = Shell::new();
    let address = own_address().replace(".13:", ".14:");
    let issuer = format!(
        "[server]\nlisten = {address:?}\ndata_dir = \"DATA\"\n[secrets]\nkeys = [\"secret.key\"]\n\
         [operators]\nprincipals = [\"Application:{operator}\"]\n\
         [identity]\nallow_insecure_loopback = true\n\
         [[identity.issuers]]\nkind = \"entra\"\nauthority = {authority:?}\ntenants = [\"{tenant}\"]\n\
         audiences = [\"{api}\", \"{uri}\"]\n[storage.locations]\n\"LOCATION\" = {{ directory = \"DATA/packages\" }}\n",
        operator = Person::OPERATOR.id,
        authority = issuer::base_url(),
        tenant = issuer::HOME_TENANT,
        api = issuer::API,
        uri = issuer::API_URI,
    );
    for (name, data, location) in [
        ("fame-serve.toml", "old", "West Europe"),
        ("new.toml", "new", "EU"),
    ] {
        let text = issuer.replace("DATA", data).replace("LOCATION", location);
        fs::write(shell.path(name), text).unwrap();
    }
    let app = "9bc02177-a149-5454-a3d8-fe1ba4004a2b";
    let mut script = format!(
        "umask 077\nhead -c 32 /dev/urandom > secret.key\n\
         export FAME_URL=http://{address} FAME_TOKEN={token}\nfame serve >serve.log 2>&1 &\nSERVICE=$!\n\
         trap 'kill $SERVICE 2>/dev/null || true' EXIT\n\
         until curl -s -o /dev/null http://{address}/health/live; do sleep 0.1; done\n\
         fame operator apps put {app} --publisher Contoso --publisher-aad-tenant-id {tenant} \
         --publisher-contact-email apps@contoso.com --storage-location 'West Europe' \
         --owner Application:{owner}\n",
        token = issuer::token_of(&Person::OPERATOR),
        tenant = issuer::HOME_TENANT,
        owner = Person::OWNER.id,
    );
    let with_values = |command: &str| {
        let key = "0f1e".repeat(16);
        let command = command.replace(" APP ", &format!(" {app} "));
        let command = command.replace("CLIENT-ID", &Person::OWNER.id.to_string());
        let command = command.replace("TENANT-ID", &issuer::PARTNER_TENANT.to_string());
        let command = command.replace("0f1e…", &key);
        command.replace(" /", " ./")
    };
    for (time, stop) in [(Served, "kill $SERVICE\nwait $SERVICE\n"), (Stopped, "")] {
        for (command, _) in OPERATING.iter().filter(|(_, tried)| *tried == time) {
            script += &with_values(command);
            script.push('\n');
        }
        script += stop;
    }
    let told = shell.runs(&script);
    assert!(told.contains("ee3171a3-f562-5ec9-863a-49e5a2ed91bb"), "{told}");
}
