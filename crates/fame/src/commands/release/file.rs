//! `fame.toml`: a release that is written down beside the code that it releases.
//!
//! Whoever can change a repository can change this file, and whoever runs `fame release` in it is signed in somewhere. So
//! the file says what is released and names a profile; where that profile leads, and who signs in there by which means, is
//! the runner's to say. A file that says more is refused before anything is read or sent.

use super::policy::Policy;
use crate::{
    args::{Country, duration, said},
    failure::Failure,
    profiles,
};
use domain::version::Availability;
use glob::{MatchOptions, Pattern, glob_with};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{
    env, fs,
    ops::Range,
    path::{Component, Path, PathBuf},
    time::Duration,
};

/// What the file is called.
pub(super) const NAME: &str = "fame.toml";
/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The most files that are looked at for one pattern.
const MAX_MATCHES: usize = 1_000;

/// A release as it is written down.
#[derive(Debug, Default)]
pub(super) struct ReleaseFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The profile to sign in with.
    pub profile: Option<String>,
    /// The packages, and the countries that each group of them has.
    pub groups: Vec<Written>,
    /// The countries of those that name none.
    pub countries: Vec<Country>,
    /// How it is released.
    pub policy: Policy,
}

/// A group of packages.
#[derive(Debug)]
pub(super) struct Written {
    /// Patterns of files, below the folder of the file.
    pub patterns: Vec<String>,
    /// Their countries, where they have some of their own.
    pub countries: Vec<Country>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Toml {
    #[serde(default, deserialize_with = "profile")]
    profile: Option<String>,
    #[serde(default, deserialize_with = "countries")]
    countries: Vec<Country>,
    #[serde(default)]
    app: Vec<TomlApp>,
    #[serde(default)]
    policy: TomlPolicy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlApp {
    #[serde(deserialize_with = "patterns")]
    packages: Vec<String>,
    #[serde(default, deserialize_with = "countries")]
    countries: Vec<Country>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlPolicy {
    #[serde(default, deserialize_with = "availability")]
    availability: Option<Availability>,
    add_countries: Option<bool>,
    hotfix: Option<bool>,
    #[serde(default, rename = "where", deserialize_with = "filter")]
    filter: Option<String>,
    ignore_window: Option<bool>,
    wait: Option<bool>,
    #[serde(default, deserialize_with = "timeout")]
    timeout: Option<Duration>,
}

/// Members that would lead elsewhere, or sign in otherwise: what a file in a repository must not say.
const FOREIGN: [&str; 18] = [
    "api_version",
    "audience",
    "authority",
    "ca_file",
    "client",
    "client_assertion",
    "client_id",
    "client_secret",
    "client_secret_file",
    "credential",
    "credentials",
    "issuer",
    "scope",
    "tenant",
    "tenant_id",
    "token",
    "token_url",
    "url",
];
/// Sections of the configuration of `fame serve`, which somebody may have called `fame.toml`.
const OF_A_SERVICE: [&str; 7] = [
    "database",
    "executor",
    "identity",
    "log",
    "operators",
    "server",
    "storage",
];

/// What is said on the command line, because it holds for one run only.
const OF_ONE_RUN: [&str; 9] = [
    "allow_deprecated",
    "concurrency",
    "despite_forecast",
    "junit",
    "no_hotfix",
    "no_wait",
    "plan",
    "poll_interval",
    "run_after",
];
/// What stands in `[policy]`.
const OF_POLICY: [&str; 7] = [
    "add_countries",
    "availability",
    "hotfix",
    "ignore_window",
    "timeout",
    "wait",
    "where",
];
/// What other words are called here, and where that stands.
const CALLED: [(&str, &str); 10] = [
    ("apps", "[[app]]"),
    ("country", "countries, above [policy] or in [[app]]"),
    ("countries", "countries, above [policy] or in [[app]]"),
    ("environments", "where, in [policy]"),
    ("filter", "where, in [policy]"),
    ("files", "packages, in [[app]]"),
    ("ignore_upgrade_window", "ignore_window, in [policy]"),
    ("max_availability", "availability, in [policy]"),
    ("packages", "packages, in [[app]]"),
    ("profile", "profile, above all sections"),
];

/// Reads the file that is named, or else the one that is found.
///
/// # Errors
/// [`Failure::Usage`] for one that cannot be read, with the line and the column of what is wrong in it.
pub(super) fn read(named: Option<&Path>) -> Result<Option<ReleaseFile>, Failure> {
    let found = match named {
        Some(path) => Some(path.to_owned()),
        None => found()?,
    };
    found.map(|path| read_at(&path)).transpose()
}

fn read_at(path: &Path) -> Result<ReleaseFile, Failure> {
    let facts = fs::metadata(path).map_err(|error| Failure::unreadable(path, &error))?;
    if facts.len() > MAX_BYTES {
        let shown = path.display();
        return Err(Failure::Usage(format!(
            "{shown} is no release: it has more than {MAX_BYTES} bytes"
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
    understood(path, &text)
}

/// The file in the working directory, or above it up to the root of the repository. Outside a repository nothing above is
/// looked at: it may be anybody's.
fn found() -> Result<Option<PathBuf>, Failure> {
    let here = env::current_dir().map_err(|error| Failure::unreadable(Path::new("."), &error))?;
    let is_root = |folder: &Path| folder.join(".git").exists();
    let root = here.ancestors().find(|folder| is_root(folder)).unwrap_or(&here);
    let folders = here.ancestors().take_while(|folder| folder.starts_with(root));
    Ok(folders
        .map(|folder| folder.join(NAME))
        .find(|path| path.is_file()))
}

fn understood(path: &Path, text: &str) -> Result<ReleaseFile, Failure> {
    let toml: Toml = toml::from_str(text).map_err(|error| {
        let what = explained(text, error.message(), error.span());
        let (line, column) = place(text, error.span().unwrap_or_default().start);
        Failure::Usage(format!(
            "{}, line {line}, column {column}: {what}",
            path.display()
        ))
    })?;
    let policy = toml.policy;
    Ok(ReleaseFile {
        path: path.to_owned(),
        profile: toml.profile,
        groups: toml
            .app
            .into_iter()
            .map(|app| Written {
                patterns: app.packages,
                countries: app.countries,
            })
            .collect(),
        countries: toml.countries,
        policy: Policy {
            availability: policy.availability,
            adds_countries: policy.add_countries,
            hotfix: policy.hotfix,
            filter: policy.filter,
            ignores_window: policy.ignore_window,
            waits: policy.wait,
            timeout: policy.timeout,
        },
    })
}

/// What is wrong, in words that say what to do about it.
fn explained(text: &str, message: &str, span: Option<Range<usize>>) -> String {
    let at = span.and_then(|span| text.get(span)).unwrap_or_default();
    let word = at.trim_matches(|character| matches!(character, '[' | ']' | '"' | '\'' | ' '));
    let is_unknown = message.starts_with("unknown field");
    if is_unknown && FOREIGN.contains(&word) {
        return format!(
            "'{word}' has no place in a release: a file of a repository may name a profile, and never where its packages \
             go or who signs in there"
        );
    }
    if is_unknown && OF_A_SERVICE.contains(&word) {
        return format!(
            "'{word}' is of the configuration of `fame serve`, and this is to be a release: name the release's file with \
             --file"
        );
    }
    if is_unknown && OF_ONE_RUN.contains(&word) {
        let flag = word.replace('_', "-");
        return format!("'{word}' holds for one run only: say --{flag} on the command line");
    }
    if is_unknown && OF_POLICY.contains(&word) {
        return format!("'{word}' belongs into [policy]");
    }
    let called = CALLED.iter().find(|(other, _)| is_unknown && *other == word);
    if let Some((_, called)) = called {
        return format!("'{word}' is no member here: what is meant is {called}");
    }
    match is_unknown.then(|| meant(word, message)).flatten() {
        Some(meant) => format!("{message}; did you mean `{meant}`?"),
        None => message.to_owned(),
    }
}

/// The word among those that `message` names in backquotes which `word` was most likely to be.
fn meant<'m>(word: &str, message: &'m str) -> Option<&'m str> {
    let known = message.split('`').skip(3).step_by(2);
    let near = known.map(|known| (strsim::damerau_levenshtein(word, known), known));
    let (distance, known) = near.min()?;
    (distance <= 2).then_some(known)
}

/// The line and the column of a byte, from 1; columns count characters.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn profile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    profiles::name(&text).map(Some).map_err(D::Error::custom)
}

/// A list, or the only entry of one.
#[derive(Deserialize)]
#[serde(untagged, expecting = "neither a text nor a list of texts")]
enum Texts {
    One(String),
    Many(Vec<String>),
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Texts::deserialize(deserializer)? {
        Texts::One(text) => vec![text],
        Texts::Many(texts) => texts,
    })
}

fn countries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Country>, D::Error> {
    let read = |text: String| text.parse().map_err(|error| format!("'{text}': {error}"));
    let codes = texts(deserializer)?;
    codes
        .into_iter()
        .map(read)
        .collect::<Result<_, String>>()
        .map_err(D::Error::custom)
}

fn patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let patterns = texts(deserializer)?;
    for pattern in &patterns {
        check_pattern(pattern).map_err(D::Error::custom)?;
    }
    match patterns.is_empty() {
        true => Err(D::Error::custom("no packages are named")),
        false => Ok(patterns),
    }
}

/// What a repository names is its own: nothing above its folder, and no folder of somebody else.
fn check_pattern(pattern: &str) -> Result<(), String> {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if pattern.trim().is_empty() || !Path::new(pattern).components().all(is_plain) {
        return Err(format!("'{pattern}' does not lie below the folder of this file"));
    }
    let read = Pattern::new(pattern);
    read.map(drop).map_err(|error| format!("'{pattern}': {error}"))
}

fn availability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Availability>, D::Error> {
    let word = String::deserialize(deserializer)?;
    super::availability(&word).map(Some).map_err(D::Error::custom)
}

fn filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    said(&text).map(Some).map_err(D::Error::custom)
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration(&text).map(Some).map_err(D::Error::custom)
}

impl ReleaseFile {
    /// The files that a group of packages names: at least one for each pattern.
    ///
    /// # Errors
    /// [`Failure::Usage`] where a pattern matches nothing, or far too much.
    pub(super) fn files(&self, group: &Written) -> Result<Vec<PathBuf>, Failure> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let mut files = Vec::new();
        for pattern in &group.patterns {
            let found = matches(folder, pattern)?;
            self.refuse_elsewhere(folder, &found)?;
            if found.is_empty() {
                return Err(Failure::Usage(format!(
                    "{}: no file matches '{pattern}'",
                    self.path.display()
                )));
            }
            files.extend(
                found
                    .into_iter()
                    .filter(|file| !files.contains(file))
                    .collect::<Vec<_>>(),
            );
        }
        Ok(files)
    }

    /// Refuses files that only symbolic links put below the folder: a repository may hold such links, and no other file of
    /// this machine is its to release.
    fn refuse_elsewhere(&self, folder: &Path, files: &[PathBuf]) -> Result<(), Failure> {
        let real = |path: &Path| fs::canonicalize(path).map_err(|error| Failure::unreadable(path, &error));
        let real_folder = real(folder)?;
        for file in files {
            if !real(file)?.starts_with(&real_folder) {
                return Err(Failure::Usage(format!(
                    "{}: {} leads out of the folder of this file",
                    self.path.display(),
                    file.display()
                )));
            }
        }
        Ok(())
    }
}

/// The files below `folder` that match a pattern, in the order of their names.
pub(super) fn matches(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, Failure> {
    let unusable = |why: String| Failure::Usage(format!("'{pattern}': {why}"));
    let below = match folder == Path::new(".") {
        true => pattern.to_owned(),
        false => format!("{}/{pattern}", Pattern::escape(&folder.display().to_string())),
    };
    let options = MatchOptions {
        require_literal_separator: true,
        require_literal_leading_dot: true,
        ..MatchOptions::default()
    };
    let found = glob_with(&below, options).map_err(|error| unusable(error.to_string()))?;
    let mut files = Vec::new();
    for path in found {
        let path = path.map_err(|error| unusable(error.to_string()))?;
        if !path.is_file() {
            continue;
        }
        if files.len() == MAX_MATCHES {
            return Err(unusable(format!("more than {MAX_MATCHES} files match")));
        }
        files.push(path);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        understood(Path::new("fame.toml"), text).unwrap_err().to_string()
    }

    const GOOD: &str = r#"
profile = "contoso"
countries = ["us", "DE"]

[[app]]
packages = ["output/*.app"]

[[app]]
packages = ["output/dk/*.app"]
countries = ["DK"]

[policy]
availability = "available"
add_countries = true
hotfix = true
where = "type eq 'Sandbox'"
wait = true
timeout = "30m"
"#;

    #[test]
    fn a_release_is_read() {
        let read = understood(Path::new("fame.toml"), GOOD).unwrap();
        assert_eq!(read.profile.as_deref(), Some("contoso"));
        assert_eq!(read.countries, ["US", "DE"].map(|code| Country(code.to_owned())));
        assert_eq!(read.groups.len(), 2);
        assert_eq!(read.policy.availability, Some(Availability::Available));
        assert_eq!(read.policy.timeout, Some(Duration::from_mins(30)));
        assert_eq!(read.policy.ignores_window, None);
    }

    #[test]
    fn what_the_documentation_shows_is_a_release() {
        let page = include_str!("../../../../../docs/RELEASING.md");
        let sample = page
            .split("```toml\n")
            .nth(1)
            .unwrap()
            .split("```")
            .next()
            .unwrap();
        let read = understood(Path::new("fame.toml"), sample).unwrap();
        assert_eq!((read.groups.len(), read.groups[1].countries.len()), (2, 1));
        assert_eq!(read.policy.waits, Some(true));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, place, fact) in [
            (
                "url = 'https://evil.example'",
                "line 1, column 1",
                "never where its packages go",
            ),
            (
                "countries = []\n\n[policy]\nissuer = 'x'",
                "line 4, column 1",
                "'issuer'",
            ),
            (
                "[[app]]\npackages = ['a.app']\n  token = 'x'",
                "line 3, column 3",
                "'token'",
            ),
            ("[server]\nlisten = 'x'", "line 1", "`fame serve`"),
            ("countries = ['US', 'Denmark']", "line 1, column 13", "'Denmark'"),
            ("[policy]\nwhere = '  '", "line 2, column 9", "empty"),
            (
                "[policy]\navailability = 'Deprecated'",
                "line 2, column 16",
                "Preview or Available",
            ),
            ("profile = 'https://evil.example'", "line 1, column 11", "profile"),
            ("profiles = 'x'", "line 1, column 1", "unknown field"),
            ("countries = [", "line 1", "array"),
            ("contries = []", "line 1, column 1", "did you mean `countries`?"),
            (
                "[[app]]\npackage = 'a.app'",
                "line 2, column 1",
                "did you mean `packages`?",
            ),
            ("[[app]]\npackages = 3", "line 2, column 12", "a list of texts"),
            (
                "profile = 'con.toso'",
                "line 1, column 11",
                "letters, digits, - and _",
            ),
        ] {
            let told = refusal(text);
            assert!(told.contains(place) && told.contains(fact), "{text}: {told}");
        }
        let long = format!("# {}\nurl = 'x'", "é".repeat(40));
        assert!(refusal(&long).contains("line 2, column 1"));
    }

    #[test]
    fn a_list_of_one_needs_no_brackets() {
        let text = "countries = 'us'\n[[app]]\npackages = 'out/*.app'";
        let read = understood(Path::new("fame.toml"), text).unwrap();
        assert_eq!(read.countries, [Country("US".to_owned())]);
        assert_eq!(read.groups[0].patterns, ["out/*.app"]);
        assert!(!refusal("nonsense = 1").contains("did you mean"));
        for (text, told) in [
            (
                "[policy]\nrun_after = 'x'",
                "'run_after' holds for one run only: say --run-after",
            ),
            ("[policy]\nno_hotfix = true", "--no-hotfix"),
            ("[policy]\nfilter = 'x'", "what is meant is where, in [policy]"),
            (
                "[policy]\ncountries = ['US']",
                "what is meant is countries, above [policy]",
            ),
            ("[policy]\ntimeuot = '1h'", "did you mean `timeout`?"),
            (
                "availability = 'Available'",
                "'availability' belongs into [policy]",
            ),
        ] {
            assert!(refusal(text).contains(told), "{}", refusal(text));
        }
    }

    #[test]
    fn packages_lie_below_the_file() {
        for pattern in ["../x.app", "a/../../x.app", "/etc/x.app", "", " ", "***"] {
            let text = format!("[[app]]\npackages = ['{pattern}']");
            assert!(refusal(&text).contains("line 2"), "{pattern}");
        }
        assert!(refusal("[[app]]\npackages = []").contains("no packages"));
    }

    #[test]
    fn patterns_find_files_in_order_and_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("a[b]*");
        fs::create_dir(&odd).unwrap();
        for name in ["b.app", "a.app", ".hidden.app", "c.txt"] {
            fs::write(odd.join(name), "").unwrap();
        }
        let names = |pattern: &str| {
            let found = matches(&odd, pattern).unwrap();
            let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            found.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names("*.app"), ["a.app", "b.app"]);
        let text = "[[app]]\npackages = ['*.nothing']";
        let file = understood(&odd.join(NAME), text).unwrap();
        let told = file.files(&file.groups[0]).unwrap_err().to_string();
        assert!(told.contains("no file matches '*.nothing'"), "{told}");
    }
    #[cfg(unix)]
    #[test]
    fn symbolic_links_lead_to_nothing_outside() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("repository"), folder.path().join("other"));
        for made in [&inside, &outside, &inside.join("output")] {
            fs::create_dir(made).unwrap();
        }
        fs::write(outside.join("x.app"), "").unwrap();
        fs::write(inside.join("output/a.app"), "").unwrap();
        symlink(&outside, inside.join("folder")).unwrap();
        symlink(outside.join("x.app"), inside.join("file.app")).unwrap();
        symlink(inside.join("output"), inside.join("same")).unwrap();
        // The repository itself may lie behind a link.
        symlink(&inside, folder.path().join("link")).unwrap();
        for place in [&inside, &folder.path().join("link")] {
            let files = |pattern: &str| {
                let text = format!("[[app]]\npackages = ['{pattern}']");
                let file = understood(&place.join(NAME), &text).unwrap();
                file.files(&file.groups[0])
            };
            for elsewhere in ["folder/*.app", "*.app", "*/x.app"] {
                let told = files(elsewhere).unwrap_err().to_string();
                assert!(told.contains("leads out of the folder"), "{elsewhere}: {told}");
            }
            assert_eq!(files("output/*.app").unwrap(), [place.join("output/a.app")]);
            assert_eq!(files("same/*.app").unwrap().len(), 1);
        }
    }
}
