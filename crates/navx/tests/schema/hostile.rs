//! Symbols that were made to hurt.

use std::io::Cursor;

use navx::Limits;
use navx::schema::{Mode, Schema, Unreadable, Verdict, compare};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::made::{after, builder, symbols};

fn unreadable(symbols: &[u8], limits: &Limits) -> Option<Unreadable> {
    let package = builder("1.0.0.0").symbols(Some(symbols)).to_bytes().unwrap();
    Schema::read(Cursor::new(package), limits).unwrap().unreadable()
}

#[test]
fn more_than_is_read_is_not_begun() {
    let symbols = vec![b' '; 200 << 20];
    assert_eq!(
        unreadable(&symbols, &Limits::default()),
        Some(Unreadable::TooLarge)
    );
}

#[test]
fn depth_ends_before_anything_is_remembered() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for at in ["{\"Tables\":[],\"Other\":", "{\"Tables\":", "{\"Namespaces\":"] {
            let symbols = format!("{at}{}1{}}}", open.repeat(10_000), close.repeat(10_000));
            assert_eq!(
                unreadable(symbols.as_bytes(), &Limits::default()),
                Some(Unreadable::Malformed)
            );
        }
    }
    let nested = format!(
        "{}{}",
        "{\"Name\":\"N\",\"Namespaces\":[".repeat(10_000),
        "]}".repeat(10_000)
    );
    assert_eq!(
        unreadable(nested.as_bytes(), &Limits::default()),
        Some(Unreadable::Malformed)
    );
}

/// Three bytes of JSON are an object of hundreds of bytes in memory.
#[test]
fn memory_is_bounded_whatever_a_byte_becomes() {
    let mut limits = Limits::default();
    limits.max_symbol_memory = 1 << 20;
    let empty = "{},".repeat(20_000);
    let empty = empty.trim_end_matches(',');
    for symbols in [
        format!("{{\"Tables\":[{empty}]}}"),
        format!("{{\"Tables\":[{{\"Fields\":[{empty}]}}]}}"),
        format!("{{\"Codeunits\":[{{\"Methods\":[{empty}]}}]}}"),
        format!("{{\"Pages\":[{{\"Controls\":[{{\"Controls\":[{empty}]}}]}}]}}"),
        format!(
            "{{\"Tables\":[{{\"Keys\":[{{\"FieldNames\":[{}1]}}]}}]}}",
            "1,".repeat(60_000)
        ),
        format!("{{\"Tables\":[{{\"Properties\":[{empty}]}}]}}"),
        format!("{{\"Namespaces\":[{empty}]}}"),
    ] {
        let shown = &symbols[..40];
        assert_eq!(
            unreadable(symbols.as_bytes(), &limits),
            Some(Unreadable::TooLarge),
            "{shown}"
        );
        assert_eq!(
            unreadable(symbols.as_bytes(), &Limits::default()),
            None,
            "{shown}"
        );
    }
}

/// What is passed over takes no memory, however much of it there is.
#[test]
fn what_is_not_kept_is_not_charged() {
    let mut limits = Limits::default();
    limits.max_symbol_memory = 100_000;
    let caption = format!("{{\"Name\":\"Caption\",\"Value\":\"{}\"}},", "x".repeat(1_000));
    let captions = caption.repeat(1_000);
    let local =
        "{\"Name\":\"L\",\"IsLocal\":true,\"Parameters\":[{\"Name\":\"P\"},{\"Name\":\"Q\"}]},".repeat(2_000);
    for symbols in [
        format!(
            "{{\"Tables\":[{{\"Properties\":[{}]}}]}}",
            captions.trim_end_matches(',')
        ),
        format!(
            "{{\"Codeunits\":[{{\"Methods\":[{}]}}]}}",
            local.trim_end_matches(',')
        ),
        format!(
            "{{\"Reports\":[{{\"DataItems\":[{}]}}]}}",
            captions.trim_end_matches(',')
        ),
    ] {
        assert_eq!(unreadable(symbols.as_bytes(), &limits), None);
    }
}

#[test]
fn an_object_with_members_without_end_is_none() {
    let members: String = (0..100).map(|number| format!("\"M{number}\":1,")).collect();
    let symbols = format!("{{\"Tables\":[{{{members}\"Id\":1}}]}}");
    assert_eq!(
        unreadable(symbols.as_bytes(), &Limits::default()),
        Some(Unreadable::Malformed)
    );
}

/// Whoever names nested namespaces at length would have each of them say the names of all above.
#[test]
fn names_of_namespaces_do_not_multiply() {
    let name = "N".repeat(100);
    let nested = format!(
        "{}{}",
        format!("{{\"Name\":\"{name}\",\"Namespaces\":[").repeat(20),
        "]}".repeat(20)
    );
    let symbols = format!("{{\"Namespaces\":[{nested}]}}");
    assert_eq!(
        unreadable(symbols.as_bytes(), &Limits::default()),
        Some(Unreadable::Malformed)
    );
}

/// Every finding says again what its object and its part are called.
#[test]
fn names_longer_than_any_are_not_read() {
    let named = |list: &str, inside: &str, length: usize| {
        let name = "N".repeat(length);
        match inside {
            "" => format!("{{\"{list}\":[{{\"Name\":\"{name}\"}}]}}"),
            _ => format!("{{\"{list}\":[{{\"{inside}\":[{{\"Name\":\"{name}\"}}]}}]}}"),
        }
    };
    for (list, inside) in [
        ("Tables", ""),
        ("TableExtensions", ""),
        ("Tables", "Fields"),
        ("Tables", "Keys"),
        ("EnumTypes", "Values"),
        ("Codeunits", "Methods"),
    ] {
        let read = |length| unreadable(named(list, inside, length).as_bytes(), &Limits::default());
        assert_eq!(read(500), None, "{list} {inside}");
        assert_eq!(read(501), Some(Unreadable::Malformed), "{list} {inside}");
    }
}

fn fields(count: usize, data_type: &str) -> Value {
    let field = |id| json!({ "Id": id, "Name": format!("F{id}"), "TypeDefinition": { "Name": data_type } });
    json!({ "Tables": [{ "Id": 50_100, "Name": "T", "Fields": (1..=count).map(field).collect::<Vec<_>>() }] })
}

#[test]
fn findings_without_end_are_undecided_unless_one_is_refused() {
    let (none, many) = (fields(0, "Integer"), fields(10_100, "Integer"));
    for (found, verdict) in [
        (after(&none, &many), Verdict::Undecided),
        (after(&many, &none), Verdict::Refused),
    ] {
        assert_eq!((found.findings.len(), found.verdict), (10_001, verdict));
        assert_eq!(found.findings[0].code, "too-many-findings");
    }
}

/// A few values of many bytes are as much as many of a few.
#[test]
fn what_was_and_is_has_bounds_in_bytes_too() {
    let long = "x".repeat(1 << 20);
    let found = after(&fields(20, &format!("A{long}")), &fields(20, &format!("B{long}")));
    let told: usize = found
        .findings
        .iter()
        .flat_map(|finding| [&finding.before, &finding.after])
        .flatten()
        .map(String::len)
        .sum();
    assert!((1 << 20..=16 << 20).contains(&told), "{told}");
    assert_eq!(found.findings[0].code, "too-many-findings");
}

#[test]
fn texts_that_are_no_text_are_no_crash() {
    for symbols in [
        &b"{\"Tables\":[{\"Id\":1e999}]}"[..],
        b"{\"Tables\":[{\"Id\":99999999999999999999999}]}",
        b"{\"Tables\":[{\"Id\":null,\"Name\":null,\"Fields\":null,\"Keys\":null}]}",
        b"{\"Tables\":[{\"Name\":\"\xFF\xFE\"}]}",
        b"{\"Tables\":[{\"Name\":\"\\uD800\"}]}",
        b"{\"Tables\":[1]}",
        b"{\"Tables\"",
        b"\xEF\xBB",
    ] {
        // Read or not, it is decided.
        unreadable(symbols, &Limits::default());
    }
}

/// The symbols with something of one place at another.
fn mangled(symbols: &Value, places: &[(prop::sample::Index, prop::sample::Index)]) -> String {
    let mut bytes = symbols.to_string().into_bytes();
    for (from, to) in places {
        let byte = bytes[from.index(bytes.len())];
        let at = to.index(bytes.len());
        bytes[at] = byte;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damage_is_decided_and_compares_with_itself(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
    ) {
        let text = mangled(&symbols(), &places);
        let read = |version: &str, text: &str| {
            let package = builder(version).symbols(Some(text.as_bytes())).to_bytes().unwrap();
            Schema::read(Cursor::new(package), &Limits::default()).unwrap()
        };
        let (old, new) = (read("1.0.0.0", &text), read("1.0.1.0", &text));
        let found = compare(&old, &new, Mode::Add).unwrap();
        let is_nothing = found.findings.iter().all(|finding| finding.code == "newer-compiler");
        prop_assert!(is_nothing || old.unreadable().is_some(), "{:?}", found.findings);
        compare(&old, &read("1.0.1.0", &symbols().to_string()), Mode::ForceSync).unwrap();
    }
}
