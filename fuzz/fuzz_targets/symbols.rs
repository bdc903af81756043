//! Any bytes as the symbols of an app: read within limits or not at all, and compared with the symbols of another.
//!
//! An app after itself is nothing, whatever it is.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use navx::schema::{Mode, Schema, Verdict, compare};
use navx::{Limits, PackageBuilder};

const OTHER: &[u8] = br##"{"Tables":[{"Id":1,"Name":"T","Fields":[{"Id":1,"Name":"F","TypeDefinition":{"Name":"Code[20]"}}]}],
"TableExtensions":[{"Id":2,"Name":"X","TargetObject":"#1#T","Fields":[{"Id":2,"Name":"G","TypeDefinition":{"Name":"Option","OptionMembers":["A"]}}]}],
"EnumTypes":[{"Id":3,"Name":"E","Values":[{"Name":"A"}]}]}"##;

fuzz_target!(|data: &[u8]| {
    let (first, second) = (schema("1.0.0.0", data), schema("1.0.0.1", data));
    let found = compare(&first, &second, Mode::Add).expect("it is one app");
    assert!(first.unreadable().is_some() || found.findings.iter().all(|finding| finding.code == "newer-compiler"));
    let other = schema("1.0.0.2", OTHER);
    for (old, new) in [(&first, &other), (&other, &second)] {
        let found = compare(old, new, Mode::ForceSync).expect("it is one app");
        let is_readable = first.unreadable().is_none();
        assert!(is_readable || found.verdict == Verdict::Undecided);
    }
});

fn schema(version: &str, symbols: &[u8]) -> Schema {
    let version = version.parse().expect("it is a version");
    let package = PackageBuilder::new(uuid::Uuid::from_u128(7), "A", "Contoso", version).symbols(Some(symbols));
    let bytes = package.to_bytes().expect("memory takes whatever is written");
    let mut limits = Limits::default();
    limits.max_symbol_memory = 1 << 20;
    Schema::read(Cursor::new(bytes), &limits).expect("the package around the symbols is well formed")
}
