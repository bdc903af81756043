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
        .with(Entry::deflated("MediaIdListing.xml", b"<MediaIdListing/>"))
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
    refused(&with_manifest(padded.as_bytes()), "manifest_too_large", "262144");
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
    let zip = Zip::default().with(hidden).with(alias);
    assert_eq!(read(&zip.package()).unwrap_err().code(), "bad_zip");
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
        "src/A%2520folder/Größe.al",
    ];
    for name in names {
        zip = zip.with(Entry::deflated(name, b"x"));
    }
    assert_eq!(accepted(&zip.package()).entries, Some(6));
}

#[test]
fn names_that_end_early_for_others_are_refused() {
    let with = |name: &[u8]| {
        let entry = Entry::deflated("x", b"x").named(name);
        Zip::default().with(manifest_entry()).with(entry).package()
    };
    for name in [
        "a\0b",
        "NavxManifest.xml\0.al",
        "a\nb",
        "a\x7F",
        "a\u{85}",
        "a%00b",
        "a%250Ab",
    ] {
        refused(&with(name.as_bytes()), "bad_zip", "control character");
    }
    for name in [
        "C:NavxManifest.xml",
        "NavxManifest.xml::$DATA",
        "src/NavxManifest.xml:ads",
    ] {
        refused(&with(name.as_bytes()), "bad_zip", "drive or a stream");
    }
    for name in ["", "/", "./", ".", "\\", "%2e", " "] {
        refused(&with(name.as_bytes()), "bad_zip", "no name");
    }
    refused(&with(b"Gr\xF6\xDFe.al"), "bad_zip", "not UTF-8");
    let ended = manifest_entry().named(b"NavxManifest.xml\0.al");
    assert!(read(&Zip::default().with(ended).package()).is_err());
}

#[test]
fn an_entry_has_one_name() {
    let unicode_path = |id: u16, name: &str| {
        let mut crc = flate2::Crc::new();
        crc.update(b"SymbolReference.json");
        let mut field = id.to_le_bytes().to_vec();
        field.extend((name.len() as u16 + 5).to_le_bytes());
        field.push(1);
        field.extend(crc.sum().to_le_bytes());
        field.extend(name.as_bytes());
        field
    };
    let other = || Entry::deflated("SymbolReference.json", manifest().as_bytes());
    let with = |entry| Zip::default().with(entry).with(manifest_entry()).package();
    for id in [0x7075, 0x2605, 0x2705, 0x334D, 0x07C8] {
        for name in ["NavxManifest.xml", "harmless", ""] {
            let field = unicode_path(id, name);
            let message = format!("{id:#06x}");
            refused(&with(other().extra(&field)), "bad_zip", &message);
            refused(&with(other().local_extra(&field)), "bad_zip", &message);
            let behind = [&[0x20, 0xA2, 1, 0, 0][..], &field].concat();
            refused(&with(other().extra(&behind)), "bad_zip", &message);
        }
    }
    for damaged in [&[0x20, 0xA2, 5, 0][..], &[0x75], &[0, 0, 0]] {
        refused(&with(other().extra(damaged)), "bad_zip", "damaged");
        refused(&with(other().local_extra(damaged)), "bad_zip", "damaged");
    }
    let twice = other().extra(&[1, 0, 0, 0, 1, 0, 0, 0]);
    refused(&with(twice), "bad_zip", "two zip64");
}

#[test]
fn names_that_others_take_for_one_are_refused() {
    let with = |first: &str, second: &str| {
        Zip::default()
            .with(manifest_entry())
            .with(Entry::deflated(first, b"{}"))
            .with(Entry::deflated(second, b"{}"))
            .package()
    };
    for (first, second) in [
        ("SymbolReference.json", "SymbolReference.json"),
        ("SymbolReference.json", "symbolreference.JSON"),
        ("src/a b.al", "src/a%20b.al"),
        ("src/a%20b.al", "src/a%2520b.al"),
        ("src/a.al", "src%2Fa.al"),
        ("src/a.al", "src\\a.al"),
        ("src/a.al", "./src//a.al"),
        ("src/a.al", "src/x/../a.al"),
        ("src/a.al", "src/a.al."),
        ("logo/ä.png", "logo/%C3%A4.png"),
        ("logo/ä.png", "logo/Ä.png"),
        ("bin/a.dll/[0].piece", "bin/a.dll/[1].last.piece"),
    ] {
        refused(&with(first, second), "bad_zip", "take for one");
        refused(&with(second, first), "bad_zip", "take for one");
    }
    accepted(&with("src/a.al", "src/a/al"));
    for second in [
        "NavxManifest%2Exml",
        "%4Eavx%254danifest.xml",
        "src/../NavxManifest.xml",
        "NavxManifest.xml.",
        "NavxManifest.xml/[0].piece",
        "NavxManife\u{17F}t.xml",
    ] {
        let other = Entry::deflated(second, manifest().as_bytes());
        let zip = Zip::default().with(other.clone()).with(manifest_entry());
        refused(&zip.package(), "ambiguous_manifest", "2 entries");
        refused(
            &Zip::default().with(other).package(),
            "no_manifest",
            "instead of NavxManifest.xml",
        );
    }
}

#[test]
fn every_byte_in_front_of_the_directory_belongs_to_an_entry() {
    let unlisted = manifest_entry().local_bytes();
    let other = || Entry::deflated("src/a.al", b"x");
    for gap in [&unlisted[..], b"PK\x03\x04", b"PK\x03\x04\0"] {
        let count = gap.len();
        let message = format!("{count} bytes at");
        let in_front = Zip::default().with(manifest_entry().after(gap)).with(other());
        let between = Zip::default().with(manifest_entry()).with(other().after(gap));
        let behind = Zip::default().with(manifest_entry()).with(other()).gap(gap);
        for zip in [in_front, between, behind] {
            refused(&zip.package(), "bad_zip", &message);
        }
    }
    let only_unlisted = Zip::default().gap(&unlisted);
    refused(&only_unlisted.package(), "no_manifest", "no NavxManifest.xml");
    let inside = Entry::stored("src/a.al", &unlisted);
    let header = (30 + "src/a.al".len()) as u32;
    let overlapping = Zip::default()
        .with(inside.clone())
        .with(manifest_entry().pointing_to(header));
    refused(&overlapping.package(), "bad_zip", "inside another");
    accepted(&Zip::default().with(inside).with(manifest_entry()).package());
    let twice = Zip::default()
        .with(manifest_entry())
        .with(Entry::deflated("src/b.al", b"x").pointing_to(0));
    refused(&twice.package(), "bad_zip", "inside another");
}

#[test]
fn the_order_of_the_directory_is_free() {
    let first = Entry::deflated("src/a.al", b"x");
    let length = first.local_bytes().len() as u32;
    let zip = Zip::default().with(first.clone()).with(manifest_entry());
    accepted(&zip.package());
    let whole = zip.bytes();
    let directory = last(&whole, b"PK\x01\x02");
    let (records, end) = whole.split_at(last(&whole, b"PK\x05\x06"));
    let data = &records[..records.len() - (46 + 8) - (46 + 16)];
    let (one, other) = records[data.len()..].split_at(46 + 8);
    assert_eq!(directory, data.len() + one.len());
    assert_eq!(other[42..46], length.to_le_bytes());
    let turned = [data, other, one, end].concat();
    accepted(&package_around(&turned));
}

#[test]
fn what_every_entry_says_of_itself_is_compared() {
    let with = |entry| Zip::default().with(manifest_entry()).with(entry).package();
    let other = || Entry::deflated("src/a.al", b"some text");
    refused(&with(other().local_name("src/b.al")), "bad_zip", "src/b.al");
    refused(
        &with(other().local_name("NavxManifest.xml")),
        "bad_zip",
        "NavxManifest.xml",
    );
    for changed in [
        other().local_method(0),
        other().local_crc32(7),
        other().local_sizes(3, 9),
        other().local_sizes(11, 3),
        other().local_sizes(0, 0),
        other().descriptor().local_sizes(3, 0),
        other().descriptor().local_sizes(0, 3),
    ] {
        refused(&with(changed), "bad_zip", "disagree");
    }
    refused(&with(other().local_sizes(u32::MAX, u32::MAX)), "bad_zip", "zip64");
    let wide = |compressed: u64, size: u64| {
        let field = [&[1, 0, 16, 0][..], &size.to_le_bytes(), &compressed.to_le_bytes()].concat();
        let length = other().local_bytes().len() - 38;
        assert_eq!(length, 11);
        other().local_sizes(u32::MAX, u32::MAX).local_extra(&field)
    };
    accepted(&with(wide(11, 9)));
    refused(&with(wide(12, 9)), "bad_zip", "disagree");
    refused(&with(wide(11, 8)), "bad_zip", "disagree");
    let flagged = Zip::default().with(manifest_entry()).with(other()).package();
    let local = last(&flagged, b"PK\x03\x04");
    for flags in [1 << 3, 1 << 11u16] {
        let one_sided = patched(flagged.clone(), local + 6, &u16::to_le_bytes(flags));
        refused(&one_sided, "bad_zip", "disagree");
    }
    refused(&with(other().flags(1)), "bad_zip", "encrypted");
    refused(
        &with(Entry::stored("src/a.al", b"some text").size(5)),
        "bad_zip",
        "two different sizes",
    );
}

#[test]
fn data_whose_end_is_told_behind_it_ends_there() {
    let with = |entry| Zip::default().with(entry).with(manifest_entry()).package();
    let other = || Entry::deflated("src/a.al", b"some text");
    for wide in [false, true] {
        let numbers = other().numbers(wide);
        accepted(&with(other().descriptor_of(&numbers)));
        let marked = [&b"PK\x07\x08"[..], &numbers].concat();
        accepted(&with(other().descriptor_of(&marked)));
        for wrong in 0..numbers.len() {
            let lie = patched(numbers.clone(), wrong, &[99]);
            refused(
                &with(other().descriptor_of(&lie)),
                "bad_zip",
                "checksum and sizes",
            );
        }
    }
    for wrong in [&b""[..], b"PK\x07\x08", &other().numbers(false)[..8], &[0; 28]] {
        refused(
            &with(other().descriptor_of(wrong)),
            "bad_zip",
            "checksum and sizes",
        );
    }
    let hidden = Entry::deflated("NavxManifest.xml", manifest().as_bytes()).local_bytes();
    let trail = [other().numbers(false), hidden].concat();
    let hiding = other().trailed_by(&trail).descriptor();
    refused(&with(hiding), "bad_zip", "followed by bytes");
    let stored = Entry::stored("src/a.al", &trail).descriptor();
    refused(&with(stored), "bad_zip", "not deflated");
    accepted(&with(Entry::stored("src/", b"").descriptor()));
    let bomb = Entry::deflated("src/bomb.al", &vec![0; 4 << 20]).descriptor();
    refused(&with(bomb), "bad_zip", "too large to be looked through");
    let half = |number: u8| Entry::deflated(&number.to_string(), &vec![0; 600_000]).descriptor();
    accepted(&with(half(1)));
    let both = Zip::default().with(half(1)).with(half(2)).with(manifest_entry());
    refused(&both.package(), "bad_zip", "too large to be looked through");
}

#[test]
fn nothing_follows_a_manifest_in_its_own_data() {
    let trailed = Zip::default().with(manifest_entry().trailed_by(b"more"));
    refused(&trailed.package(), "bad_zip", "followed by bytes");
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
    let told = |names: &[&str]| {
        let entry = |name: &&str| Entry::deflated(name, b"\xEF\xBB\xBF{}\0\0\0");
        let zip = names.iter().map(entry).fold(Zip::default(), Zip::with);
        let package = accepted(&zip.with(manifest_entry()).package());
        (package.kind, package.has_symbols, package.has_source)
    };
    let symbols = ["SymbolReference.json", "[Content_Types].xml"];
    assert_eq!(told(&symbols), (Kind::SymbolsOnly, true, false));
    for more in [
        "DocComments.xml",
        "navigation.xml",
        "resources/x.png",
        "x/MediaIdListing.xml",
    ] {
        assert_eq!(
            told(&[symbols[0], more, symbols[1]]),
            (Kind::SymbolsOnly, true, false),
            "{more}"
        );
    }
    assert_eq!(told(&[symbols[0], "src/a.al"]), (Kind::SymbolsOnly, true, true));
    assert_eq!(told(&[]), (Kind::SymbolsOnly, false, false));
    for compiled in ["MediaIdListing.xml", "mediaidlisting.XML"] {
        assert_eq!(told(&[symbols[0], compiled]), (Kind::Regular, true, false));
        assert_eq!(told(&["src/a.al", compiled]), (Kind::Regular, false, true));
    }
}
