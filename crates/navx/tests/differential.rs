//! No package is two apps: what this reader accepts, other people's readers see as the same app or not at all.
//!
//! `tests/python/readers.py` reads each package with zipfile, stream-unzip, unzip, lxml and expat.
#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the writer is that of the threats, which use all of it; a test that cannot go on has failed"
)]

#[path = "threats/raw.rs"]
mod raw;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use navx::Limits;
use raw::{Entry, Zip, package_around};

const APP_ID: &str = "fc2e5540-26fe-5265-a4f8-1820845e5c1b";
const OTHER_ID: &str = "63ca2fa4-4f03-4f2b-a480-172fef340d3f";

/// Id, name, publisher and version.
type App = [String; 4];

/// The program with the other readers, asked one package at a time.
struct Readers {
    program: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Readers {
    fn start() -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let installed = repository.join(".venv/bin/python");
        let python = std::env::var_os("FAME_TEST_PYTHON").map_or(installed, PathBuf::from);
        assert!(
            python.exists(),
            "{} is missing: run ./test, which installs it",
            python.display()
        );
        let mut program = Command::new(python)
            .arg(repository.join("tests/python/readers.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the readers start");
        Self {
            questions: program.stdin.take().unwrap(),
            answers: BufReader::new(program.stdout.take().unwrap()),
            program,
        }
    }

    /// What each reader sees.
    fn see(&mut self, package: &[u8], unpack: bool) -> BTreeMap<String, Vec<App>> {
        let question = serde_json::json!({ "package": base64(package), "unpack": unpack });
        writeln!(self.questions, "{question}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).expect("an answer; is lxml missing? ./test installs it")
    }

    /// Whether this reader accepts the package; if it does, all see the same app in it or none.
    fn agree(&mut self, what: &str, package: &[u8], unpack: bool) -> bool {
        let Ok(read) = navx::read(Cursor::new(package), &Limits::default()) else {
            return false;
        };
        let manifest = read.manifest.expect("a manifest");
        let ours = [
            manifest.app_id.to_string(),
            manifest.name,
            manifest.publisher,
            manifest.version.to_string(),
        ];
        for (reader, apps) in self.see(package, unpack) {
            let others: Vec<_> = apps.iter().filter(|app| **app != ours).collect();
            assert!(
                others.is_empty(),
                "{what}: {ours:?} for us, {others:?} for {reader}"
            );
        }
        true
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = char::from(DIGITS[(group >> (18 - 6 * place)) as usize & 63]);
            text.push(if place > chunk.len() { '=' } else { digit });
        }
    }
    text
}

fn app(id: &str, name: &str) -> String {
    format!("<App Id=\"{id}\" Name=\"{name}\" Publisher=\"Contoso\" Version=\"1.2.3.4\" />")
}

fn document(declaration: &str, inside: &str) -> String {
    format!(
        "{declaration}<Package xmlns=\"http://schemas.microsoft.com/navx/2015/manifest\">{inside}<Dependencies />\
         </Package>"
    )
}

fn manifest(id: &str) -> Entry {
    Entry::deflated(
        "NavxManifest.xml",
        document("", &app(id, "Sales Pack")).as_bytes(),
    )
}

fn with_manifest(xml: &[u8]) -> Vec<u8> {
    Zip::default()
        .with(Entry::deflated("NavxManifest.xml", xml))
        .package()
}

fn field(id: u16, content: &[u8]) -> Vec<u8> {
    [
        &id.to_le_bytes()[..],
        &(content.len() as u16).to_le_bytes(),
        content,
    ]
    .concat()
}

fn unicode_path(stored: &str, name: &str) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(stored.as_bytes());
    field(
        0x7075,
        &[&[1], &crc.sum().to_le_bytes()[..], name.as_bytes()].concat(),
    )
}

/// A package that somebody made, and what they did.
type Made = (String, Vec<u8>);

fn archives() -> Vec<Made> {
    let ours = || manifest(APP_ID);
    let other = || manifest(OTHER_ID);
    let hidden = other().local_bytes();
    let both = |first: Entry, second: Entry| Zip::default().with(first).with(second);
    let decoy = "SymbolReference.json";
    let renamed = |entry: Entry| entry.named(decoy.as_bytes());
    let mut made: Vec<(String, Zip)> = vec![
        ("nothing".into(), Zip::default().with(ours())),
        (
            "unicode path, directory".into(),
            both(
                renamed(other()).extra(&unicode_path(decoy, "NavxManifest.xml")),
                ours(),
            ),
        ),
        (
            "unicode path, both".into(),
            both(
                ours()
                    .extra(&unicode_path("NavxManifest.xml", "x"))
                    .local_extra(&unicode_path("NavxManifest.xml", "x")),
                renamed(other())
                    .extra(&unicode_path(decoy, "NavxManifest.xml"))
                    .local_extra(&unicode_path(decoy, "NavxManifest.xml")),
            ),
        ),
        (
            "unicode path of our own".into(),
            Zip::default().with(ours().extra(&unicode_path("NavxManifest.xml", "x"))),
        ),
        (
            "unlisted in front".into(),
            Zip::default().with(ours().after(&hidden)),
        ),
        (
            "unlisted between".into(),
            both(Entry::stored("a", b"a"), ours().after(&hidden)),
        ),
        ("unlisted behind".into(), Zip::default().with(ours()).gap(&hidden)),
        (
            "another name in the entry".into(),
            both(renamed(other()).local_name("NavxManifest.xml"), ours()),
        ),
        (
            "our name in the directory alone".into(),
            Zip::default().with(ours().local_name("x")),
        ),
        (
            "a size that hides".into(),
            both(Entry::stored("a", &hidden).local_sizes(0, 0), ours()),
        ),
        (
            "a stored entry with its end behind it".into(),
            both(Entry::stored("a", &hidden).descriptor(), ours()),
        ),
        (
            "bytes behind packed data".into(),
            both(
                Entry::deflated("a", b"a").trailed_by(&hidden).descriptor(),
                ours(),
            ),
        ),
        (
            "a descriptor in packed data".into(),
            both(
                Entry::deflated("a", b"a")
                    .trailed_by(&[Entry::deflated("a", b"a").numbers(false), hidden.clone()].concat())
                    .descriptor(),
                ours(),
            ),
        ),
        (
            "an honest descriptor".into(),
            both(Entry::deflated("a", b"a").descriptor(), ours().descriptor()),
        ),
        ("a comment".into(), Zip::default().with(ours()).comment(b"hello")),
        (
            "an archive in the comment".into(),
            Zip::default()
                .with(ours())
                .comment(&Zip::default().with(other()).bytes()),
        ),
        (
            "a stored archive".into(),
            both(
                Entry::stored("a.zip", &Zip::default().with(other()).bytes()),
                ours(),
            ),
        ),
        ("wide numbers".into(), Zip::default().with(ours().zip64()).zip64()),
        ("utf-8 flag".into(), Zip::default().with(ours().flags(1 << 11))),
    ];
    for name in [
        "NavxManifest.xml",
        "navxmanifest.xml",
        "/NavxManifest.xml",
        "\\NavxManifest.xml",
        "./NavxManifest.xml",
        "x/../NavxManifest.xml",
        "NavxManifest%2Exml",
        "%4eavxManifest.xml",
        "%254eavxManifest.xml",
        "NavxManifest.xml\0.al",
        "NavxManifest.xml.",
        "NavxManifest.xml ",
        "NavxManifest.xml%00",
        "..\\NavxManifest.xml",
    ] {
        let second = || other().named(name.as_bytes());
        made.push((format!("second manifest {name:?}"), both(ours(), second())));
        made.push((format!("first manifest {name:?}"), both(second(), ours())));
        made.push((format!("only manifest {name:?}"), Zip::default().with(second())));
        made.push((
            format!("local name {name:?}"),
            both(renamed(other()).local_name(name), ours()),
        ));
    }
    let mut made: Vec<Made> = made
        .into_iter()
        .map(|(what, zip)| (what, zip.package()))
        .collect();
    let [one, two] = [ours(), other()].map(|entry| Zip::default().with(entry).bytes());
    made.push((
        "an archive behind".into(),
        package_around(&[&one[..], &two].concat()),
    ));
    made.push((
        "an archive in front".into(),
        package_around(&[&two[..], &one].concat()),
    ));
    made
}

fn manifests() -> Vec<Made> {
    let seven = |text: &str| {
        let units = |unit: char| format!("+{}-", base64(&(unit as u16).to_be_bytes()).trim_end_matches('='));
        text.chars()
            .map(|unit| {
                if unit.is_ascii_alphanumeric() {
                    unit.to_string()
                } else {
                    units(unit)
                }
            })
            .collect::<String>()
    };
    let mut made = vec![(
        "nothing".to_owned(),
        document("", &app(APP_ID, "Sales Pack")).into_bytes(),
    )];
    for encoding in [
        "utf-7",
        "UTF-7",
        "utf-16",
        "utf-16le",
        "utf-32",
        "iso-8859-1",
        "windows-1252",
        "us-ascii",
        "shift_jis",
        "gb18030",
        "utf-8",
        "UTF-8",
        "utf8",
        "nonsense",
        "ebcdic-cp-us",
        "iso-2022-jp",
        "hz",
    ] {
        for gap in [" ", "\t", "\n"] {
            let declaration = format!("<?xml{gap}version=\"1.0\"{gap}encoding=\"{encoding}\"?>");
            let hides = format!(
                "{}{}{}{}",
                seven(&app(OTHER_ID, "Other")),
                seven("<!--"),
                app(APP_ID, "Sales Pack"),
                seven("-->")
            );
            for (kind, inside) in [("names", app(APP_ID, "Größe ~{ \\ ¥")), ("hides", hides)] {
                let text = document(&declaration, &inside);
                made.push((format!("{encoding}{gap:?} {kind}"), text.clone().into_bytes()));
                made.push((
                    format!("{encoding}{gap:?} {kind}, marked"),
                    format!("\u{FEFF}{text}").into_bytes(),
                ));
                let latin: Vec<u8> = text.chars().map(|unit| unit as u8).collect();
                made.push((format!("{encoding}{gap:?} {kind}, in Latin-1"), latin));
                for swap in [false, true] {
                    let wide = |unit: u16| {
                        if swap {
                            unit.to_be_bytes()
                        } else {
                            unit.to_le_bytes()
                        }
                    };
                    made.push((
                        format!("{encoding}{gap:?} {kind}, wide"),
                        text.encode_utf16().flat_map(wide).collect(),
                    ));
                    let marked = format!("\u{FEFF}{text}");
                    made.push((
                        format!("{encoding}{gap:?} {kind}, wide and marked"),
                        marked.encode_utf16().flat_map(wide).collect(),
                    ));
                }
            }
        }
    }
    let ours = app(APP_ID, "Sales Pack");
    let named = |name: &str| app(APP_ID, name);
    for inside in [
        format!("{ours}{}", app(OTHER_ID, "Other")),
        format!("{ours}<app Id=\"{OTHER_ID}\"/>"),
        format!("<x:App xmlns:x=\"u\" Id=\"{OTHER_ID}\"/>{ours}"),
        format!("{ours}<App xmlns=\"\" Id=\"{OTHER_ID}\"/>"),
        format!("<![CDATA[{}]]>{ours}", app(OTHER_ID, "Other")),
        format!("<!--{}-->{ours}", app(OTHER_ID, "Other")),
        format!("<?x {}?>{ours}", app(OTHER_ID, "Other")),
        format!("<!--a--b {}-->{ours}", app(OTHER_ID, "Other")),
        ours.replace("<App ", &format!("<App id=\"{OTHER_ID}\" ")),
        ours.replace("<App ", &format!("<App xmlns:x=\"u\" x:Id=\"{OTHER_ID}\" ")),
        ours.replace("<App ", &format!("<App Id=\"{OTHER_ID}\" ")),
        named("a\tb"),
        named("a\nb"),
        named("a\r\nb"),
        named("a&#32;b"),
        named(" a "),
        named("a&#9;b"),
        named("&amp;lt;"),
        named("a\u{85}b"),
        named("a\u{2028}b"),
        named("a\u{FEFF}b"),
        named("\u{1F600}"),
        named("a\u{FFFE}b"),
        named("&x;"),
        named("&#x1F600;"),
        named("&#xD800;"),
        named("&#0;"),
        named("a<b"),
        named("a>b"),
        named("'"),
    ] {
        made.push((inside.clone(), document("", &inside).into_bytes()));
        made.push((
            format!("1.1: {inside}"),
            document("<?xml version=\"1.1\"?>", &inside).into_bytes(),
        ));
    }
    made.push((
        "entity".into(),
        document(
            &format!("<!DOCTYPE Package [<!ENTITY x \"{OTHER_ID}\">]>"),
            &ours.replace(APP_ID, "&x;"),
        )
        .into_bytes(),
    ));
    made.into_iter()
        .map(|(what, xml)| (what, with_manifest(&xml)))
        .collect()
}

#[test]
fn made_packages_are_one_app_or_refused() {
    let mut readers = Readers::start();
    let mut accepted = BTreeSet::new();
    for (what, package) in archives().into_iter().chain(manifests()) {
        if readers.agree(&what, &package, true) {
            accepted.insert(what);
        }
    }
    for honest in [
        "nothing",
        "an honest descriptor",
        "a comment",
        "wide numbers",
        "utf-8 flag",
        "utf-8\" \" names",
    ] {
        assert!(accepted.contains(honest), "{honest} is refused");
    }
}

/// All readers see something in a package that is well, or the comparison would prove nothing.
#[test]
fn every_reader_reads() {
    let mut readers = Readers::start();
    let package = Zip::default().with(manifest(APP_ID)).package();
    for (reader, apps) in readers.see(&package, true) {
        assert!(!apps.is_empty(), "{reader} sees nothing");
    }
    let two = with_manifest(document("", &(app(APP_ID, "A") + &app(OTHER_ID, "B"))).as_bytes());
    for (reader, apps) in readers.see(&two, true) {
        let ids: BTreeSet<_> = apps.iter().map(|app| &app[0]).collect();
        assert_eq!(ids.len(), 2, "{reader} sees {apps:?}");
    }
}

#[test]
fn one_changed_byte_of_a_manifest_makes_no_second_app() {
    let mut readers = Readers::start();
    let text = document(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>",
        &app(APP_ID, "Größe"),
    );
    let mut accepted = 0;
    for at in 0..text.len() {
        for byte in *b"\0<>&\"'=:!?-/ \t\rA\x7F\x85\xC3\xFF" {
            let mut xml = text.clone().into_bytes();
            xml[at] = byte;
            let what = format!("byte {at} is {byte:#04x}");
            accepted += usize::from(readers.agree(&what, &with_manifest(&xml), false));
        }
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn one_changed_byte_of_an_archive_makes_no_second_app() {
    let mut readers = Readers::start();
    let zip = Zip::default()
        .with(Entry::deflated("a", b"a").descriptor())
        .with(Entry::stored(
            "NavxManifest.xml",
            document("", &app(APP_ID, "A")).as_bytes(),
        ))
        .with(manifest(OTHER_ID).named(b"MavxManifest.xml"));
    let whole = zip.package();
    let mut accepted = 0;
    for at in 40..whole.len() {
        for change in [1u8, 3, 8, 0x20, 0x80, 0xFF] {
            let mut package = whole.clone();
            package[at] ^= change;
            let what = format!("byte {at} is changed by {change:#04x}");
            accepted += usize::from(readers.agree(&what, &package, false));
        }
    }
    assert!(accepted > 10, "{accepted}");
}
