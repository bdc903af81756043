//! The ZIP: what it claims, and what is true.

use std::io::Cursor;

use navx::Kind;

use crate::raw::{Entry, Zip, package_around};
use crate::{APP_ID, accepted, limits, manifest, manifest_entry, patched, read, refused, with_manifest};

#[test]
fn a_bomb_that_is_not_needed_is_never_unpacked() {
    let bomb = vec![0; 64 << 20];
    let zip = Zip::default()
        .with(manifest_entry())
        .with(Entry::deflated("src/bomb.al", &bomb));
    let broken = Entry::packed("src/damaged.al", &bomb, 8, vec![0xFF; 100]);
    assert_eq!(accepted(&zip.with(broken).package()).kind, Kind::Regular);
}

#[test]
fn a_bomb_as_manifest_is_refused_before_and_while_unpacking() {
    let bomb = vec![0; 64 << 20];
    let honest = Entry::deflated("NavxManifest.xml", &bomb);
    refused(
        &Zip::default().with(honest.clone()).package(),
        "manifest_too_large",
        "67108864",
    );
    refused(
        &Zip::default().with(honest.size(500)).package(),
        "bad_zip",
        "'NavxManifest.xml' should have 500 bytes, but has more",
    );
    let padded = manifest().replace("</Package>", &format!("<!--{}--></Package>", "a".repeat(5 << 20)));
    refused(&with_manifest(padded.as_bytes()), "manifest_too_large", "4194304");
    refused(
        &Zip::default().with(manifest_entry().size(10)).package(),
        "bad_zip",
        "has more",
    );
    refused(
        &Zip::default().with(manifest_entry().size(100_000)).package(),
        "bad_zip",
        "ends after",
    );
}

#[test]
fn a_manifest_may_be_as_large_as_the_limit_and_no_larger() {
    let bytes = Zip::default().with(manifest_entry()).package();
    let size = manifest().len() as u64;
    let with_limit = |max_manifest_bytes| {
        let limits = limits(|limits| limits.max_manifest_bytes = max_manifest_bytes);
        navx::read(Cursor::new(&bytes), &limits)
    };
    assert!(with_limit(size).is_ok());
    let error = with_limit(size - 1).unwrap_err();
    assert_eq!(error.code(), "manifest_too_large");
    let told = format!("'NavxManifest.xml' has {size} bytes");
    assert!(error.to_string().contains(&told), "{error}");
}

#[test]
fn two_manifests_are_refused() {
    let xml = manifest();
    let fabrikam = xml.replace("Contoso", "Fabrikam");
    for second in [
        "NavxManifest.xml",
        "navxmanifest.XML",
        "/NavxManifest.xml",
        "\\NavxManifest.xml",
        "./NavxManifest.xml",
    ] {
        let zip = Zip::default()
            .with(manifest_entry())
            .with(Entry::deflated(second, fabrikam.as_bytes()));
        refused(&zip.package(), "ambiguous_manifest", "2 entries");
    }
    let both = Zip::default()
        .with(manifest_entry())
        .with(Entry::deflated("readytorunappmanifest.json", b"{}"));
    refused(&both.package(), "ambiguous_manifest", "1 named readytorun");
}

#[test]
fn a_missing_manifest_is_told() {
    let empty = Zip::default();
    assert_eq!(empty.package().len(), 62);
    refused(&empty.package(), "no_manifest", "NavxManifest.xml");
    refused(
        &empty
            .with(Entry::deflated("SymbolReference.json", b"{}"))
            .package(),
        "no_manifest",
        "no NavxManifest",
    );
    for elsewhere in ["x/NavxManifest.xml", "/NavxManifest.xml"] {
        let zip = Zip::default().with(Entry::deflated(elsewhere, manifest().as_bytes()));
        refused(&zip.package(), "no_manifest", "NavxManifest");
    }
}

#[test]
fn a_local_header_that_tells_another_story_is_refused() {
    let zip = |entry| Zip::default().with(entry).package();
    refused(
        &zip(manifest_entry().local_name("SomethingElse.xml")),
        "bad_zip",
        "SomethingElse.xml",
    );
    refused(&zip(manifest_entry().local_method(0)), "bad_zip", "disagree");
    refused(&zip(manifest_entry().local_crc32(1)), "bad_zip", "disagree");
    let hidden = Entry::deflated("SymbolReference.json", manifest().as_bytes());
    let alias = manifest_entry().pointing_to(0);
    refused(
        &Zip::default().with(hidden).with(alias).package(),
        "bad_zip",
        "the entry itself says",
    );
}

#[test]
fn a_directory_that_lies_is_refused() {
    let zip = || Zip::default().with(manifest_entry());
    let other = || Zip::default().with(Entry::deflated("src/a.al", b"x"));
    refused(
        &zip().directory_offset(0x7FFF_FFFF).package(),
        "bad_zip",
        "2147483647",
    );
    refused(&zip().directory_offset(0).package(), "bad_zip", "directory");
    refused(&zip().directory_size(u32::MAX).package(), "bad_zip", "4294967295");
    refused(&zip().directory_size(10).package(), "bad_zip", "directory");
    refused(&zip().count(900).package(), "bad_zip", "fewer");
    refused(&zip().count(0).package(), "bad_zip", "more than the 0");
    let second = Entry::deflated("src/a.al", b"x");
    refused(
        &zip().with(second).count(1).package(),
        "bad_zip",
        "more than the 1",
    );
    refused(&zip().zip64().zip64_count(7).package(), "bad_zip", "fewer");
    refused(
        &zip().zip64().zip64_count(7).count(1).package(),
        "bad_zip",
        "contradict",
    );
    refused(
        &zip().with(manifest_entry().pointing_to(u32::MAX - 1)).package(),
        "ambiguous_manifest",
        "2",
    );
    refused(
        &other().with(manifest_entry().pointing_to(70_000)).package(),
        "bad_zip",
        "outside",
    );
    refused(
        &Zip::default()
            .with(manifest_entry().compressed_size(70_000))
            .package(),
        "bad_zip",
        "beyond",
    );
}

/// Where `mark` stands in the package for the last time.
fn last(package: &[u8], mark: &[u8]) -> usize {
    let found = package.windows(mark.len()).rposition(|window| window == mark);
    found.expect("the mark")
}

#[test]
fn a_large_directory_is_where_its_locator_says_or_nowhere() {
    let large = Zip::default().with(manifest_entry().zip64()).zip64().package();
    accepted(&large);
    let locator = last(&large, b"PK\x06\x07");
    let offset = u32::from_le_bytes(large[locator + 8..locator + 12].try_into().unwrap());
    for (at, lie) in [(4, 1), (8, offset - 1), (8, offset + 1), (12, 1), (16, 2)] {
        let lying = patched(large.clone(), locator + at, &u32::to_le_bytes(lie));
        refused(&lying, "bad_zip", "not where its locator says");
    }
    let record = last(&large, b"PK\x06\x06");
    for (at, lie) in [(0, *b"PK\x06\x05"), (4, [45, 0, 0, 0])] {
        let lying = patched(large.clone(), record + at, &lie);
        refused(&lying, "bad_zip", "damaged");
    }
    for at in [16, 20, 24, 32, 40, 48] {
        let lying = patched(large.clone(), record + at, &[99]);
        assert_eq!(
            read(&lying).unwrap_err().code(),
            "bad_zip",
            "byte {at} of the record"
        );
    }
}

#[test]
fn an_entry_is_encrypted_if_either_of_its_headers_says_so() {
    let plain = Zip::default().with(manifest_entry()).package();
    let record = last(&plain, b"PK\x01\x02");
    for flags_at in [40 + 6, record + 8] {
        refused(&patched(plain.clone(), flags_at, &[1]), "bad_zip", "encrypted");
    }
}

#[test]
fn a_second_end_record_in_the_comment_is_refused() {
    let inner = Zip::default().with(manifest_entry()).bytes();
    refused(
        &Zip::default().with(manifest_entry()).comment(&inner).package(),
        "bad_zip",
        "directory",
    );
    let mark_only = Zip::default()
        .with(manifest_entry())
        .comment(b"PK\x05\x06 and more than twenty-two bytes");
    refused(&mark_only.package(), "bad_zip", "does not end");
}

#[test]
fn an_end_record_that_is_cut_off_is_refused() {
    let whole = Zip::default().with(manifest_entry()).bytes();
    for missing in 1..=22 {
        refused(
            &package_around(&whole[..whole.len() - missing]),
            "bad_zip",
            "no end record",
        );
    }
    let too_far_in_front = [&whole[..], &[0; 70_000]].concat();
    refused(&package_around(&too_far_in_front), "bad_zip", "no end record");
}

#[test]
fn huge_directories_are_refused_by_number_and_by_size() {
    let mut zip = Zip::default().with(manifest_entry());
    for number in 0..50 {
        zip = zip.with(Entry::stored(&format!("src/{number}.al"), b"x"));
    }
    let bytes = zip.package();
    accepted(&bytes);
    let entries = 51;
    let directory_bytes = 51 * 46 + "NavxManifest.xml".len() as u64 + 10 * 8 + 40 * 9;
    let just_enough = limits(|limits| {
        limits.max_entries = entries;
        limits.max_directory_bytes = directory_bytes;
    });
    assert!(navx::read(Cursor::new(&bytes), &just_enough).is_ok());
    for limits in [
        limits(|limits| limits.max_entries = entries - 1),
        limits(|limits| limits.max_directory_bytes = directory_bytes - 1),
    ] {
        let error = navx::read(Cursor::new(&bytes), &limits).unwrap_err();
        assert_eq!(error.code(), "bad_zip", "{error}");
        assert!(error.to_string().contains("allowed"), "{error}");
    }
}

#[test]
fn encrypted_exotic_and_damaged_manifests_are_refused() {
    let zip = |entry| Zip::default().with(entry).package();
    let xml = manifest();
    for flag in [0, 6, 13] {
        refused(&zip(manifest_entry().flags(1 << flag)), "bad_zip", "encrypted");
    }
    refused(
        &zip(Entry::packed(
            "NavxManifest.xml",
            xml.as_bytes(),
            99,
            xml.clone().into(),
        )),
        "bad_zip",
        "99",
    );
    refused(
        &zip(Entry::packed(
            "NavxManifest.xml",
            xml.as_bytes(),
            8,
            vec![0xFF; 200],
        )),
        "bad_zip",
        "damaged",
    );
    refused(
        &zip(Entry::packed("NavxManifest.xml", xml.as_bytes(), 8, Vec::new())),
        "bad_zip",
        "cut off",
    );
    refused(
        &zip(Entry::stored("NavxManifest.xml", xml.as_bytes()).size(5)),
        "bad_zip",
        "two different sizes",
    );
    refused(&zip(manifest_entry().crc32(1)), "bad_zip", "checksum");
    let empty_with_wrong_sum = Entry::stored("NavxManifest.xml", b"").crc32(1);
    refused(&zip(empty_with_wrong_sum), "bad_zip", "checksum");
}

#[test]
fn names_are_text_and_hostile_ones_do_no_harm() {
    let mut zip = Zip::default().with(manifest_entry());
    let names = [
        "../../../../etc/evil.al",
        "/abs.al",
        "C:\\w\\x.al",
        "publishedartifacts/file:///S:/x.dll",
        "",
        "a\0b",
    ];
    for name in names {
        zip = zip.with(Entry::deflated(name, b"x"));
    }
    assert_eq!(accepted(&zip.package()).entries, Some(7));
}

#[test]
fn layouts_that_compilers_and_packers_differ_in_are_accepted() {
    let xml = manifest();
    let growth_hint = [&[0x20, 0xA2, 24, 0][..], &[0; 24]].concat();
    let layouts = [
        Zip::default().with(Entry::stored("NavxManifest.xml", xml.as_bytes())),
        Zip::default().with(manifest_entry().local_extra(&growth_hint)),
        Zip::default().with(manifest_entry().flags(1 << 11)),
        Zip::default().with(manifest_entry().descriptor()),
        Zip::default().with(manifest_entry().zip64()).zip64(),
        Zip::default().with(manifest_entry()).comment(b"hello"),
        Zip::default()
            .with(Entry::deflated("DocComments.xml", b"<doc/>"))
            .with(manifest_entry()),
    ];
    for zip in layouts {
        let package = accepted(&zip.package());
        assert_eq!(package.manifest.map(|manifest| manifest.app_id), Some(APP_ID));
    }
}

#[test]
fn what_is_inside_is_told_from_the_names() {
    let symbols = Entry::deflated("SymbolReference.json", b"\xEF\xBB\xBF{}\0\0\0");
    let types = Entry::deflated("[Content_Types].xml", b"<Types/>");
    let zip = Zip::default().with(manifest_entry()).with(symbols).with(types);
    let package = accepted(&zip.clone().package());
    assert_eq!(
        (package.kind, package.has_symbols, package.has_source),
        (Kind::SymbolsOnly, true, false)
    );
    let package = accepted(&zip.with(Entry::deflated("src/a.al", b"x")).package());
    assert_eq!(
        (package.kind, package.has_symbols, package.has_source),
        (Kind::Regular, true, true)
    );
    let package = accepted(&Zip::default().with(manifest_entry()).package());
    assert_eq!(
        (package.kind, package.has_symbols, package.has_source),
        (Kind::Regular, false, false)
    );
}
