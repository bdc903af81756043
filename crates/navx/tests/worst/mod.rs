//! Packages that make the reader work as much as its limits allow, one for each limit.

use navx::{Limits, PackageBuilder};
use uuid::Uuid;

use crate::raw::{Entry, Zip, package_around};

const APP_ID: Uuid = Uuid::from_u128(7);

/// Name and bytes of each package, with one of `part` of the entries that are allowed.
pub(crate) fn packages(part: usize) -> Vec<(&'static str, Vec<u8>)> {
    let limits = Limits::default();
    let entries = usize::try_from(limits.max_entries).unwrap_or(usize::MAX) / part - 2;
    let long = 500 / part;
    let manifest_bytes = usize::try_from(limits.max_manifest_bytes).unwrap_or(usize::MAX);
    let up_to = |part: &str| filled(part, manifest_bytes, usize::MAX);
    let around = |opening: &str, inside: &str| [opening, inside].concat();
    let namespaces: String = (0..15)
        .map(|i| format!(" xmlns:n{i}=\"{}\"", "u".repeat(250)))
        .collect();
    let attributes: String = (0..64).map(|i| format!(" n0:a{i}=\"\"")).collect();
    let nested = format!("{}{}", "<a>".repeat(14), "</a>".repeat(14));
    vec![
        ("entries", with_entries(entries, |number| format!("{number:x}"))),
        (
            "entries with encoded names",
            with_entries(long, |number| format!("{number:03}%{}41", "25".repeat(32_000))),
        ),
        (
            "entries with detours",
            with_entries(long, |number| format!("{}{number}", "a/../".repeat(12_000))),
        ),
        ("extra fields", extra_fields(long)),
        (
            "end marks",
            Zip::default().comment(&b"PK\x05\x06".repeat(16_000)).package(),
        ),
        (
            "data whose end is looked for",
            data_whose_end_is_looked_for().package(),
        ),
        ("elements", with_manifest(&filled("<a/>", manifest_bytes, 4_990))),
        (
            "elements in depth",
            with_manifest(&filled(&nested, manifest_bytes, 350)),
        ),
        ("comments", with_manifest(&up_to("<!---->"))),
        ("instructions", with_manifest(&up_to("<?a?>"))),
        (
            "attributes",
            with_manifest(&around(
                &format!("<x{namespaces}>"),
                &(filled(&format!("<a{attributes}/>"), manifest_bytes - 5_000, 4_990) + "</x>"),
            )),
        ),
        (
            "namespaces",
            with_manifest(&around(
                &format!(
                    "<x{}>",
                    (0..14).map(|i| format!(" xmlns:n{i}=''")).collect::<String>()
                ),
                &(filled("<a xmlns:z=''/>", manifest_bytes - 5_000, 480)
                    + &filled("<a/>", manifest_bytes, 4_500)
                    + "</x>"),
            )),
        ),
        (
            "references",
            with_manifest(&around(
                "<x a=\"",
                &(filled("&#9;", manifest_bytes - 1_000, usize::MAX) + "\"/>"),
            )),
        ),
        ("dependencies", dependencies()),
        ("an embedded app that unpacks", embedded(30)),
        (
            "an embedded app in which data's end is looked for",
            around_app(&data_whose_end_is_looked_for().package()),
        ),
        (
            "an embedded app with a large directory",
            around_app(&with_entries(entries, |number| format!("{number:x}"))),
        ),
    ]
}

fn filled(part: &str, bytes: usize, most: usize) -> String {
    part.repeat((bytes.saturating_sub(1_000) / part.len()).min(most))
}

fn manifest(inside: &str) -> String {
    format!(
        "<Package xmlns=\"http://schemas.microsoft.com/navx/2015/manifest\"><App Id=\"{APP_ID}\" Name=\"A\" \
         Publisher=\"B\" Version=\"1.0.0.0\"/>{inside}</Package>"
    )
}

fn manifest_entry(inside: &str) -> Entry {
    Entry::deflated("NavxManifest.xml", manifest(inside).as_bytes())
}

fn with_manifest(inside: &str) -> Vec<u8> {
    Zip::default().with(manifest_entry(inside)).package()
}

fn with_entries(count: usize, name: impl Fn(usize) -> String) -> Vec<u8> {
    let entries = (0..count).map(|number| Entry::stored(&name(number), b""));
    let compiled = Zip::default().with(Entry::stored("MediaIdListing.xml", b""));
    let zip = entries.fold(compiled, Zip::with);
    zip.with(manifest_entry("")).zip64().package()
}

fn extra_fields(count: usize) -> Vec<u8> {
    let fields = [0x20, 0xA2, 0, 0].repeat(16_000);
    let entry = |number| {
        Entry::stored(&format!("{number}"), b"")
            .extra(&fields)
            .local_extra(&fields)
    };
    let zip = (0..count).map(entry).fold(Zip::default(), Zip::with);
    zip.with(manifest_entry("")).package()
}

fn data_whose_end_is_looked_for() -> Zip {
    let bytes = vec![0; 1 << 19];
    let entry = |number: u8| Entry::deflated(&number.to_string(), &bytes).descriptor();
    Zip::default()
        .with(Entry::stored("MediaIdListing.xml", b""))
        .with(entry(1))
        .with(entry(2))
        .with(manifest_entry(""))
}

fn dependencies() -> Vec<u8> {
    let name = "ñ".repeat(100);
    let row = |id| {
        let id = Uuid::from_u128(id);
        format!("<Dependency Id=\"{id}\" Name=\"{name}\" Publisher=\"{name}\" MinVersion=\"1.0.0.0\"/>")
    };
    let rows: String = (1..=500).map(row).collect();
    with_manifest(&format!("<Dependencies>{rows}</Dependencies>"))
}

/// An embedded app of `megabytes`, packed as well as may be.
pub(crate) fn embedded(megabytes: usize) -> Vec<u8> {
    let zeros = vec![0; megabytes << 19];
    let packed = Entry::stored("1", &zeros);
    let version = navx::Version::default();
    let noise = PackageBuilder::new(APP_ID, "A", "B", version).payload_bytes((megabytes << 20) as u64 / 15);
    let noise = noise.to_bytes().unwrap_or_default();
    let compiled = Entry::stored("MediaIdListing.xml", b"");
    let zip = Zip::default()
        .with(compiled)
        .with(packed)
        .with(Entry::stored("2", &noise));
    around_app(
        &zip.with(manifest_entry(""))
            .with(Entry::stored("3", &zeros))
            .package(),
    )
}

fn around_app(app: &[u8]) -> Vec<u8> {
    let claim = format!(
        "{{\"EmbeddedAppId\":\"{APP_ID}\",\"EmbeddedAppName\":\"A\",\"EmbeddedAppPublisher\":\"B\",\
         \"EmbeddedAppVersion\":\"1.0.0.0\",\"EmbeddedAppFileName\":\"a.app\"}}"
    );
    let claim = Entry::deflated("readytorunappmanifest.json", claim.as_bytes());
    let zip = Zip::default().with(claim).with(Entry::deflated("a.app", app));
    package_around(&zip.bytes())
}

/// Nanoseconds that this thread has been at work, whatever else the machine did.
pub(crate) fn worked() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or_default()
}
