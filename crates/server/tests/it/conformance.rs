//! `docs/CONFORMANCE.md`: every decision about how the service behaves, with its evidence and the tests that prove it.
//!
//! The rows below are the source of that page. A row whose test does not exist, or is no test, fails here, so that the
//! page cannot promise more than is proven.

mod apis;
mod customers;
mod hotfixes;
mod resolution;
mod rollouts;
mod surface;
mod versions;

use crate::reviewed_file::{self, in_repository};
use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

/// What a decision rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Evidence {
    /// Documented.
    D,
    /// Visible in the documents' history.
    H,
    /// A public client depends on it.
    C,
    /// Inferred from a sibling API or the platform's rules.
    I,
    /// Our own choice.
    X,
}

/// One decision: what is so, what it rests on, and which tests prove it.
///
/// A test is named `file::function` in this folder, or `crate::place::function` in another crate; the file and the place
/// may be folders too.
pub(crate) struct Row(pub &'static str, pub Evidence, pub &'static [&'static str]);

/// The decisions about one thing.
pub(crate) struct Section {
    pub title: &'static str,
    pub rows: &'static [Row],
}

const SECTIONS: &[Section] = &[
    surface::SURFACE,
    surface::VALUES,
    surface::CALLERS,
    versions::COUNTRIES,
    versions::VERSIONS,
    versions::ENVIRONMENTS,
    hotfixes::SCHEDULING,
    hotfixes::LIFE,
    rollouts::ROLLOUTS,
    resolution::CHANGES,
    apis::HTTP,
    apis::ODATA,
    apis::IDENTITY,
    apis::OPERATOR,
    apis::AGENTS,
    customers::CUSTOMERS,
];

const HEAD: &str = "\
# Conformance

Generated from the tests and compared by one; `FAME_UPDATE=1` writes it anew.

The original App Management API can be called only by members of Microsoft's Embed programme, and no recording of it is
public. So nobody outside can compare, and this page says of every decision what it rests on, and which tests hold the
service to it. Where the documents show an example, the example is sent and the answer compared member by member.

## How to read the tags

| tag | rests on | how sure |
|---|---|---|
| D | the documentation: text, tables and examples | as sure as the documentation |
| H | earlier versions of the documentation, and its history | likely still so |
| C | a public client that would break otherwise | sure for what that client does |
| I | a sibling API of the same service, or a rule of the platform | plausible, unproven |
| X | our own choice, where nothing is known or where this service adds something | the original may differ |

A test is named by its file in `crates/server/tests/it` and its function (`hotfixes::rights_come_first`), or by crate,
place and function. Most run on both databases.

## How to compare

Whoever may call the original can record some of their work with `fame record`, which leaves out who they are, and send the
recording in; `fame replay` asks this service the same and says what it answers otherwise. [Recordings](RECORDING.md) has the
steps. What a recording shows turns an X or an I into a fact.
";

const DEVIATIONS: &str = "\
## Deviations

What is known to differ from the documentation, or from what a reader of it could expect:

* **Storage location.** The documentation says that packages and other metadata are stored in the app's location. Here
  only packages are; everything else is in the service's one database.
* **Uploading to a changed location.** Versions stay where they were stored when an app's location changes.
* **The address and the answers of the documented examples name two different apps.** Here an answer always shows the id
  that was asked for.
* **Order of lists.** One documented list of countries is not in order; here countries are sorted by code.
* **Registration, environments and their inventory** come from the operator of the service; in the original they come from
  Microsoft's side.
* **Customer's side.** Of the Admin Center API what is about apps is served. Environments are not made, copied or removed by
  it, the platform is not updated, and per-tenant extensions are not published: 501, which names the call. Members that
  nobody knows pass there, but for misspelt ones. Partners of a customer need an entry besides the role that they were granted.
* **ForceSync** is kept and shown, and no hotfix ever uses it.
* **Execution.** The service decides when a hotfix starts and what may start; agents carry it out. Without an agent
  hotfixes stay `Scheduled`.
* **OData.** `$expand`, `$search`, `$apply`, `$compute`, `cast`, `isof`, `case`, `geo.*`, JSON literals, `$it` and `$root`
  are known and answered with 501. There is no `$batch`, no delta, no asynchronous request, no CSDL in JSON and no
  `/$value`. `odata.metadata=full` and `none` are answered as `minimal`.
* **`matchesPattern`** understands the dialect of Rust's `regex` crate, which has no look-around and no back-references
  and takes linear time; the standard says ECMAScript. A pattern may become an automaton of 1,000 states, and is matched
  with texts of up to 4 KB.
* **Words in `$filter`** compare in any case. What is a part of one, as in `syncMode ge 'ForceSyn'`, comes before it.
* **Long lists** that are read slowly show what comes later as it is then, and so do lists whose order the service makes itself.
* **Versions in `$filter`** compare by number; as plain text, which OData would do, `16.0.9.0` would be after `16.0.10.0`.
* **Versions of the API.** v1.1 and v1.2 are answered like the others, though nothing that is published shows them.
* **`name` of apps** is shown and documented nowhere: it is the name that the highest uploaded version has, and no part of
  the app's tag.
* **`Add`** is taken as another word for the sync mode `Sync`; where the documents name the modes, it is not among them.
* **Targets of hotfixes.** Deprecated versions are refused, and previews but for sandboxes where the operator allows it. The
  documents say of the version that is installed that it may be no preview, and of the target's availability nothing.
* **`runAfter` that has passed** is answered as it was sent, and due at once. The documents say nothing of it.
* **Properties that nobody knows** in a body are refused (400); the documents say nothing of them.
* **Limits** are the service's own and configured; Microsoft's request limits are not imitated.
";

#[test]
fn the_committed_page_is_what_the_rows_make() {
    reviewed_file::holds("docs/CONFORMANCE.md", &page());
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (number, Section { title, rows }) in (1..).zip(SECTIONS) {
        write!(
            page,
            "\n## {number}. {title}\n\n| decision | tag | proven by |\n|---|---|---|\n"
        )
        .unwrap();
        for Row(decision, evidence, tests) in *rows {
            let tests: Vec<_> = tests.iter().map(|test| format!("`{test}`")).collect();
            writeln!(page, "| {decision} | {evidence:?} | {} |", tests.join("<br>")).unwrap();
        }
    }
    page.push('\n');
    page.push_str(DEVIATIONS);
    page
}

#[test]
fn every_named_test_exists() {
    let sources = sources();
    for Section { rows, .. } in SECTIONS {
        for Row(decision, _, tests) in *rows {
            assert!(!tests.is_empty(), "nothing proves: {decision}");
            for test in *tests {
                assert!(
                    sources.iter().any(|source| source.has_test(test)),
                    "there is no test {test}, for: {decision}"
                );
            }
        }
    }
}

#[test]
fn every_decision_is_made_once_and_in_one_line() {
    let mut seen = BTreeSet::new();
    for Section { rows, .. } in SECTIONS {
        for Row(decision, ..) in *rows {
            assert!(seen.insert(decision), "twice: {decision}");
            assert!(
                !decision.contains(['\n', '|']) && decision.ends_with('.'),
                "{decision}"
            );
        }
    }
    let used: BTreeSet<_> = SECTIONS
        .iter()
        .flat_map(|section| section.rows)
        .map(|row| row.1)
        .collect();
    assert_eq!(used.len(), 5, "a tag is explained that no decision has");
}

#[test]
fn what_is_no_test_is_not_taken_for_one() {
    let text =
        "#[test]\nfn proves() {}\n\nfn helps() {}\non_both_databases!(\n    runs,\n);\nasync fn runs() {}\n";
    let source = Source {
        place: vec!["server".into(), "it".into(), "things".into()],
        text: text.into(),
    };
    assert!(source.has_test("things::proves") && source.has_test("things::runs"));
    assert!(source.has_test("server::things::proves"));
    assert!(!source.has_test("things::helps") && !source.has_test("others::proves"));
    assert!(!source.has_test("domain::things::proves"));
}

/// A source file that may hold tests.
struct Source {
    /// Its crate, then the folders below `src` or `tests`, then its own name.
    place: Vec<String>,
    text: String,
}

impl Source {
    fn has_test(&self, name: &str) -> bool {
        let mut path: Vec<_> = name.split("::").collect();
        let function = path.pop().unwrap_or_default();
        let is_here = match path[..] {
            [file] => self.place.len() >= 3 && self.place[..2] == ["server", "it"] && self.place[2] == file,
            [krate, ref places @ ..] => {
                self.place[0] == krate
                    && places
                        .iter()
                        .all(|place| self.place.iter().any(|part| part == place))
            }
            [] => false,
        };
        is_here && (self.is_marked(function) || self.is_run_on_both_databases(function))
    }

    /// Whether the function stands below an attribute that makes it a test.
    fn is_marked(&self, function: &str) -> bool {
        let mut marked = false;
        for line in self.text.lines().map(str::trim) {
            let declared = line.trim_start_matches("async ").strip_prefix("fn ");
            match declared.and_then(|rest| rest.split(['(', '<']).next()) {
                Some(name) if name == function => return marked,
                Some(_) => marked = false,
                None => marked |= line == "#[test]" || line.starts_with("#[tokio::test"),
            }
        }
        false
    }

    fn is_run_on_both_databases(&self, function: &str) -> bool {
        let list = self
            .text
            .split("on_both_databases!(")
            .nth(1)
            .and_then(|rest| rest.split(");").next());
        list.is_some_and(|list| list.split(',').any(|name| name.trim() == function))
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for krate in fs::read_dir(in_repository("crates")).unwrap() {
        let krate = krate.unwrap().path();
        let place = vec![name_of(&krate)];
        for kind in ["src", "tests"] {
            collect(&krate.join(kind), &place, &mut found);
        }
    }
    found
}

fn collect(folder: &Path, place: &[String], found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let place = [place, &[name_of(&path)]].concat();
        if path.is_dir() {
            collect(&path, &place, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push(Source { place, text });
        }
    }
}

/// The name of a file without its ending, or of a folder.
fn name_of(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
