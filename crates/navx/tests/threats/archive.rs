//! The ZIP: what it claims, and what is true.

use std::io::Cursor;

use navx::{Kind, Limits};

use crate::raw::{Entry, Zip};
use crate::{APP_ID, accepted, manifest, manifest_entry, refused, with_manifest};

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
        "has more",
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
fn huge_directories_are_refused_by_number_and_by_size() {
    let mut zip = Zip::default().with(manifest_entry());
    for number in 0..50 {
        zip = zip.with(Entry::stored(&format!("src/{number}.al"), b"x"));
    }
    let bytes = zip.package();
    accepted(&bytes);
    for limits in [
        Limits {
            max_entries: 50,
            ..Limits::default()
        },
        Limits {
            max_directory_bytes: 2_000,
            ..Limits::default()
        },
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
