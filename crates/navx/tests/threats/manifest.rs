//! The manifest: identity strictly, everything else with patience.

use navx::Kind;
use uuid::Uuid;

use crate::raw::{Entry, Zip};
use crate::{
    APP_ID, NAMESPACE, accepted, builder, manifest, read, refused, with_changed_manifest, with_manifest,
};

#[test]
fn entities_are_refused_whatever_they_do() {
    let mut laughs = "<!DOCTYPE Package [<!ENTITY a \"ha\">".to_owned();
    for (name, inner) in ('b'..='j').zip('a'..='i') {
        laughs.push_str(&format!(
            "<!ENTITY {name} \"{}\">",
            format!("&{inner};").repeat(10)
        ));
    }
    let billion = format!("{laughs}]>{}", manifest().replace("Brief=\"\"", "Brief=\"&j;\""));
    refused(
        &with_manifest(billion.as_bytes()),
        "bad_manifest",
        "document type",
    );
    let external = format!(
        "<!DOCTYPE Package [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>{}",
        manifest().replace("Brief=\"\"", "Brief=\"&x;\"")
    );
    refused(
        &with_manifest(external.as_bytes()),
        "bad_manifest",
        "document type",
    );
}

#[test]
fn xml_made_to_exhaust_is_refused() {
    let deep = format!("{}{}</Package>", "<a>".repeat(5_000), "</a>".repeat(5_000));
    refused(
        &with_changed_manifest("</Package>", &deep),
        "bad_manifest",
        "nested",
    );
    let wide: String = (0..10_000).map(|number| format!(" a{number}=\"\"")).collect();
    refused(
        &with_changed_manifest("<App", &format!("<App{wide}")),
        "bad_manifest",
        "attributes",
    );
    let many = format!("{}</Package>", "<a/>".repeat(5_000));
    refused(
        &with_changed_manifest("</Package>", &many),
        "bad_manifest",
        "elements",
    );
}

/// A tree builder copies the namespaces in scope for each element that declares one.
#[test]
fn namespaces_made_to_exhaust_are_refused() {
    let many = |count: usize| -> String { (0..count).map(|i| format!(" xmlns:n{i}=\"u\"")).collect() };
    let around = |depth: usize, each: usize, inside: &str| {
        let opening = format!("<a{}>", many(each)).repeat(depth);
        format!("{opening}{inside}{}</Package>", "</a>".repeat(depth))
    };
    for (inside, word) in [
        (around(14, 60, &"<y xmlns:z=\"v\"/>".repeat(4_000)), "namespaces"),
        (around(14, 2, "<y/>"), "namespaces"),
        (around(1, 16, "<y/>"), "namespaces"),
        (around(1, 15, &"<y xmlns='v'/>".repeat(9)), "namespaces"),
        (around(1, 0, &"<y xmlns:z=\"v\"/>".repeat(600)), "4096 bytes"),
        (
            around(1, 0, &format!("<y xmlns=\"{}\"/>", "u".repeat(257))),
            "257 bytes",
        ),
    ] {
        refused(
            &with_changed_manifest("</Package>", &inside),
            "bad_manifest",
            word,
        );
    }
    accepted(&with_changed_manifest("</Package>", &around(1, 15, "<y/>")));
    accepted(&with_changed_manifest("</Package>", &around(5, 3, "<y/>")));
}

#[test]
fn dependencies_are_counted() {
    let rows = |count: u128| -> String {
        let row = |id| {
            format!(
                "<Dependency Id=\"{}\" MinVersion=\"1.0.0.0\" />",
                Uuid::from_u128(id)
            )
        };
        (1..=count).map(row).collect()
    };
    let with_rows = |count| {
        let list = format!("<Dependencies>{}", rows(count));
        with_changed_manifest("<Dependencies>", &list)
    };
    assert_eq!(
        accepted(&with_rows(499)).manifest.unwrap().dependencies.len(),
        500
    );
    refused(&with_rows(500), "bad_manifest", "500 dependencies");
}

#[test]
fn anything_but_one_package_with_one_app_is_refused() {
    refused(&with_manifest(b""), "bad_manifest", "root");
    refused(&with_manifest(b"{}"), "bad_manifest", "XML");
    refused(&with_manifest(b"\xFF\xFE<\0"), "bad_manifest", "UTF-8");
    refused(
        &with_manifest(&manifest().as_bytes()[..200]),
        "bad_manifest",
        "tag",
    );
    refused(
        &with_manifest(manifest().replace("Package", "Bundle").as_bytes()),
        "bad_manifest",
        "Package",
    );
    refused(
        &with_manifest(format!("{}<Package/>", manifest()).as_bytes()),
        "bad_manifest",
        "XML",
    );
    refused(
        &with_changed_manifest(NAMESPACE, "http://example.test/other"),
        "bad_manifest",
        NAMESPACE,
    );
    refused(
        &with_changed_manifest(&format!(" xmlns=\"{NAMESPACE}\""), ""),
        "bad_manifest",
        NAMESPACE,
    );
    refused(&with_changed_manifest("<App ", "<Apx "), "bad_manifest", "no App");
    refused(
        &with_changed_manifest("<App ", "<App/><App "),
        "bad_manifest",
        "more than one App",
    );
    refused(
        &with_changed_manifest("</Dependencies>", "</Dependencies><Dependencies/>"),
        "bad_manifest",
        "more than one",
    );
}

#[test]
fn identity_must_be_complete_and_well_formed() {
    let id = format!("<App Id=\"{APP_ID}\"");
    refused(
        &with_changed_manifest("<App Id=", "<App Idx="),
        "bad_manifest",
        "no Id",
    );
    refused(
        &with_changed_manifest(&id, "<App Id=\"not-a-guid\""),
        "bad_manifest",
        "not-a-guid",
    );
    refused(
        &with_changed_manifest(&id, &format!("<App Id=\"{}\"", APP_ID.simple())),
        "bad_manifest",
        "GUID",
    );
    refused(
        &with_changed_manifest(&id, &format!("<App Id=\"{}\"", Uuid::nil())),
        "bad_manifest",
        "empty GUID",
    );
    for wrong in [
        "1.0.x.0",
        "1.0.0.0.0",
        "1.0.0.2147483648",
        "1.0.0",
        "",
        " 1.0.0.0",
        "1.0.-1.0",
    ] {
        refused(
            &with_changed_manifest(" Version=\"1.2.3.4\"", &format!(" Version=\"{wrong}\"")),
            "bad_manifest",
            "Version",
        );
    }
    refused(
        &with_changed_manifest("Name=\"Sales Pack\"", "Name=\" \""),
        "bad_manifest",
        "blank Name",
    );
    refused(
        &with_changed_manifest("Publisher=\"Contoso\"", ""),
        "bad_manifest",
        "no Publisher",
    );
    let long = format!("Name=\"{}\"", "n".repeat(251));
    refused(
        &with_changed_manifest("Name=\"Sales Pack\"", &long),
        "bad_manifest",
        "251 characters",
    );
}

#[test]
fn names_have_up_to_250_characters_wherever_they_stand() {
    for (attribute, of) in [
        ("Name=\"Sales Pack\"", "App"),
        ("Publisher=\"Contoso\"", "App"),
        ("Name=\"System Application\"", "Dependency"),
        ("Publisher=\"Microsoft\"", "Dependency"),
    ] {
        let (name, _) = attribute.split_once('=').unwrap();
        let of_length = |length| format!("{name}=\"{}\"", "ñ".repeat(length));
        accepted(&with_changed_manifest(attribute, &of_length(250)));
        refused(
            &with_changed_manifest(attribute, &of_length(251)),
            "bad_manifest",
            &format!("{name} of {of} has 251 characters"),
        );
    }
}

#[test]
fn what_an_app_says_beyond_its_identity_is_told() {
    let more = format!(
        "<InternalsVisibleTo><Module Id=\"{}\" Name=\"Tests\" Publisher=\"Contoso\" /></InternalsVisibleTo>\
         <Features><Feature>NoImplicitWith</Feature><Feature> </Feature></Features>\
         <PreprocessorSymbols><PreprocessorSymbol Name=\"CLEAN25\" /></PreprocessorSymbols>\
         <ResourceExposurePolicy AllowDebugging=\"true\" AllowDownloadingSource=\"false\" \
         IncludeSourceInSymbolFile=\"True\" />\
         <Source RepositoryUrl=\"&quot;https://example.test/x&quot;\" Commit=\"abc\" />\
         <Build By=\"&quot;&quot;\" Url=\"\" Timestamp=\"2024-02-29\" CompilerVersion=\"15.0\" /></Package>",
        Uuid::from_u128(7)
    );
    let manifest = accepted(&with_changed_manifest("</Package>", &more))
        .manifest
        .unwrap();
    let facts = serde_json::to_value(&manifest).unwrap();
    assert_eq!(
        facts["internalsVisibleTo"],
        serde_json::json!([{ "id": Uuid::from_u128(7), "name": "Tests", "publisher": "Contoso" }])
    );
    assert_eq!(facts["features"], serde_json::json!(["NoImplicitWith"]));
    assert_eq!(facts["preprocessorSymbols"], serde_json::json!(["CLEAN25"]));
    assert_eq!(
        facts["resourceExposurePolicy"],
        serde_json::json!({
            "allowDebugging": true,
            "allowDownloadingSource": false,
            "includeSourceInSymbolFile": true,
            "applyToDevExtension": false,
        })
    );
    assert_eq!(
        facts["source"],
        serde_json::json!({ "repositoryUrl": "https://example.test/x", "commit": "abc" })
    );
    assert_eq!(
        facts["build"],
        serde_json::json!({ "timestamp": "2024-02-29", "compilerVersion": "15.0" })
    );
}

#[test]
fn control_characters_are_refused_and_other_odd_text_is_only_text() {
    for control in ["&#0;", "&#1;", "&#xA;", "&#x7F;", "&#x85;", "\u{1}"] {
        let name = format!("Name=\"Sales{control}Pack\"");
        assert!(
            read(&with_changed_manifest("Name=\"Sales Pack\"", &name)).is_err(),
            "{control:?}"
        );
    }
    refused(
        &with_changed_manifest("Description=\"\"", "Description=\"&#x85;\""),
        "bad_manifest",
        "Description",
    );
    let odd = "Description=\"&lt;script&gt;&#xA;\u{202E}javascript:alert(1)\"";
    let manifest = accepted(&with_changed_manifest("Description=\"\"", odd))
        .manifest
        .unwrap();
    assert_eq!(manifest.description, "<script>\n\u{202E}javascript:alert(1)");
}

#[test]
fn dependencies_must_be_well_formed() {
    let id = "63ca2fa4-4f03-4f2b-a480-172fef340d3f";
    refused(&with_changed_manifest(id, "zzz"), "bad_manifest", "zzz");
    refused(
        &with_changed_manifest("MinVersion=\"27.0.0.0\"", "MinVersion=\"27\""),
        "bad_manifest",
        "MinVersion",
    );
    refused(
        &with_changed_manifest("MinVersion=\"27.0.0.0\"", ""),
        "bad_manifest",
        "MinVersion",
    );
    let again = format!("<Dependencies><Dependency Id=\"{id}\" MinVersion=\"1.0.0.0\" />");
    refused(
        &with_changed_manifest("<Dependencies>", &again),
        "bad_manifest",
        "two dependencies",
    );
}

#[test]
fn spellings_of_other_compilers_are_accepted() {
    let changes = [
        (
            "<Package ",
            "\u{FEFF}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Package ",
        ),
        ("\r\n", "\n"),
        (
            "<App Id=\"fc2e5540-26fe-5265-a4f8-1820845e5c1b\"",
            "<App Id=\"{FC2E5540-26FE-5265-A4F8-1820845E5C1B}\"",
        ),
        ("MinVersion=\"27.0.0.0\"", "MinVersion=\"27.0\""),
        ("Platform=\"27.0.0.0\"", "Platform=\"0.11.14434\""),
        ("Platform=\"27.0.0.0\"", "Platform=\"\" Runtime=\"\" Target=\"\""),
        ("<Dependency Id=", "<Dependency AppId="),
        ("</Package>", "<Future a=\"1\"><x>y</x></Future></Package>"),
    ];
    for (from, to) in changes {
        let manifest = accepted(&with_changed_manifest(from, to)).manifest.unwrap();
        assert_eq!(
            (manifest.app_id, manifest.dependencies.len()),
            (APP_ID, 1),
            "{to}"
        );
    }
}

/// Others decode the manifest as it says; what is read here is UTF-8.
#[test]
fn a_manifest_that_names_another_encoding_is_refused() {
    let other = "<App Id=\"63ca2fa4-4f03-4f2b-a480-172fef340d3f\" Name=\"Other\" />";
    let utf7 = other.replace('<', "+ADw-").replace('>', "+AD4-");
    for declared in [
        "UTF-7",
        "utf-7",
        "iso-8859-1",
        "utf-16",
        "ucs-2",
        "windows-1252",
        "nonsense",
    ] {
        for gap in [" ", "\t", "\n"] {
            let declaration = format!("<?xml{gap}version=\"1.0\"{gap}encoding='{declared}'?>");
            let text = format!("{declaration}{}<!-- {utf7} -->", manifest());
            refused(&with_manifest(text.as_bytes()), "bad_manifest", declared);
            let marked = format!("\u{FEFF}{text}");
            refused(&with_manifest(marked.as_bytes()), "bad_manifest", declared);
        }
    }
    let late = format!("\n<?xml version=\"1.0\" encoding=\"utf-7\"?>{}", manifest());
    refused(&with_manifest(late.as_bytes()), "bad_manifest", "declaration");
    let marked_twice = format!("\u{FEFF}\u{FEFF}{}", manifest());
    refused(
        &with_manifest(marked_twice.as_bytes()),
        "bad_manifest",
        "byte order",
    );
    for utf16 in [false, true] {
        let unit = |unit: u16| {
            if utf16 {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        let bytes: Vec<u8> = manifest().encode_utf16().flat_map(unit).collect();
        refused(&with_manifest(&bytes), "bad_manifest", "NavxManifest.xml");
    }
    for declared in ["UTF-8", "utf-8", "Utf-8"] {
        let text = format!("<?xml version=\"1.0\" encoding=\"{declared}\"?>{}", manifest());
        accepted(&with_manifest(text.as_bytes()));
    }
}

/// Not every program minds case and namespace.
#[test]
fn what_others_take_for_the_app_is_there_once() {
    for second in [
        "<o:App xmlns:o=\"http://example.test/other\"/>",
        "<App xmlns=\"\"/>",
        "<app/>",
        "<APP/>",
    ] {
        let after = format!("{second}</Package>");
        refused(
            &with_changed_manifest("</Package>", &after),
            "bad_manifest",
            "more than one App",
        );
        let before = format!("{second}<App ");
        refused(
            &with_changed_manifest("<App ", &before),
            "bad_manifest",
            "more than one App",
        );
    }
    refused(
        &with_changed_manifest("<App ", "<Foo><App Id=\"x\"/></Foo><App "),
        "bad_manifest",
        "more than one App",
    );
    refused(
        &with_changed_manifest("<App Id=", "<App runtime=\"99.0\" Id="),
        "bad_manifest",
        "'runtime' in another case",
    );
    refused(
        &with_changed_manifest("</Dependencies>", "<dependency/></Dependencies>"),
        "bad_manifest",
        "'dependency' in another case",
    );
    let second = "<dependencies/></Package>";
    refused(
        &with_changed_manifest("</Package>", second),
        "bad_manifest",
        "more than one Dependencies",
    );
    for attribute in ["id", "ID", "name", "PUBLISHER", "version", "o:Id"] {
        let twice = format!("<App xmlns:o=\"http://example.test/other\" {attribute}=\"x\" ");
        refused(
            &with_changed_manifest("<App ", &twice),
            "bad_manifest",
            "more than one attribute",
        );
    }
    let both = format!("<Dependency AppId=\"{APP_ID}\" ");
    refused(
        &with_changed_manifest("<Dependency ", &both),
        "bad_manifest",
        "both Id and AppId",
    );
    let twice = "<Dependency minversion=\"9.9\" ";
    refused(
        &with_changed_manifest("<Dependency ", twice),
        "bad_manifest",
        "more than one attribute",
    );
}

/// What a compiler makes of the same source has other bytes each time.
#[test]
fn the_same_content_is_known_though_it_was_built_again() {
    let built = |build: &str, app: &str, entry: &str, content: &[u8]| {
        let xml = manifest()
            .replace("<App ", &format!("<App {app} "))
            .replace("</Package>", &format!("{build}</Package>"));
        let zip = Zip::default()
            .with(Entry::deflated("NavxManifest.xml", xml.as_bytes()))
            .with(Entry::deflated(entry, content));
        accepted(&zip.package())
    };
    let first = "<Source RepositoryUrl=\"u\" Commit=\"1\" /><Build Timestamp=\"1\" CompilerVersion=\"15\" />";
    let second =
        "<Source RepositoryUrl=\"u\" Commit=\"2\" /><Build Timestamp=\"2\" CompilerVersion=\"16\" />";
    let package = built(first, "", "src/a.al", b"x");
    assert!(package.is_same_content(&built(second, "", "src/a.al", b"x")));
    for other in [
        built(first, "Url=\"https://example.test\"", "src/a.al", b"x"),
        built(first, "", "src/a.al", b"y"),
        built(first, "", "src/b.al", b"x"),
        built(
            &format!("{first}<Features><Feature>F</Feature></Features>"),
            "",
            "src/a.al",
            b"x",
        ),
    ] {
        assert!(!package.is_same_content(&other));
    }
    let runtime = accepted(&builder().kind(Kind::Runtime).to_bytes().unwrap());
    assert!(!runtime.is_same_content(&runtime));
}

#[test]
fn both_places_of_id_ranges_and_the_old_flags_are_read() {
    let old = "<IdRange MinObjectId=\"1\" MaxObjectId=\"2\" /></Package>";
    let new = "<IdRanges><IdRange MinObjectId=\"3\" MaxObjectId=\"2147483647\" /></IdRanges></Package>";
    let ranges = |tail| {
        accepted(&with_changed_manifest("</Package>", tail))
            .manifest
            .unwrap()
            .id_ranges
    };
    assert_eq!(ranges(old), [(1, 2)]);
    assert_eq!(ranges(new), [(3, i32::MAX)]);
    refused(
        &with_changed_manifest("</Package>", "<IdRange/></Package>"),
        "bad_manifest",
        "IdRange",
    );
    let flags = "<App ShowMyCode=\"TRUE\" PropagateDependencies=\"True\" Target=\"Internal\" ";
    let manifest = accepted(&with_changed_manifest("<App ", flags)).manifest.unwrap();
    assert!(manifest.show_my_code && manifest.propagate_dependencies);
    assert_eq!(manifest.target.as_deref(), Some("Internal"));
}

#[test]
fn telemetry_keys_never_come_out() {
    let keys = "<App ApplicationInsightsKey=\"secret-1\" ApplicationInsightsConnectionString=\"secret-2\" ";
    let package = accepted(&with_changed_manifest("<App ", keys));
    let shown = format!("{package:?}{}", serde_json::to_string(&package).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}
