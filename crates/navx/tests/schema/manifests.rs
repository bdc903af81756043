//! What manifests say, and packages that say too little.

use navx::schema::Severity::{Environment, Note, Refused, Undecided};
use navx::schema::{Mode, Unreadable, Verdict, compare};
use navx::{Kind, PackageBuilder};
use serde_json::json;
use uuid::Uuid;

use crate::made::{
    APP, after, assert_found, builder, changed, codes, extension, forecast, schema, symbols, with,
};

fn with_symbols(builder: PackageBuilder) -> PackageBuilder {
    with(builder, &symbols())
}

#[test]
fn what_environments_must_have_is_told_of() {
    let needed = Uuid::from_u128(5);
    let needs =
        |version: &str| builder(version).dependency(needed, "Base", "Fabrikam", version.parse().unwrap());
    let old = with_symbols(needs("1.0.0.0").runtime(Some("13.0")));
    let new = needs("1.0.1.0").runtime(Some("14.0")).target("OnPrem");
    let narrowed = PackageBuilder::new(APP, "A", "Contoso", "1.0.1.0".parse().unwrap())
        .dependency(needed, "Base", "Fabrikam", "1.0.1.0".parse().unwrap())
        .runtime(Some("14.0"))
        .target("OnPrem")
        .id_range(50_100, 50_100);
    let found = forecast(&old, &with_symbols(new), Mode::Add).unwrap();
    let expected = [
        ("dependency-raised", Environment),
        ("runtime-raised", Environment),
        ("target-onprem", Environment),
    ];
    assert_found(&found, &expected, Verdict::Compatible);
    assert_eq!(
        found.findings[1].after.as_deref(),
        Some("14.0 (Business Central 25.0)")
    );
    let found = forecast(&old, &with_symbols(narrowed), Mode::Add).unwrap();
    let (range, outside) = (("id-range-narrowed", Note), ("object-outside-range", Environment));
    // The extension, and the field that it adds.
    let expected = [expected[0], range, expected[1], expected[2], outside, outside];
    assert_found(&found, &expected, Verdict::Compatible);
}

#[test]
fn versions_rise_within_their_line() {
    let found = |old: &str, new: &str| {
        codes(
            &forecast(
                &with_symbols(builder(old)),
                &with_symbols(builder(new)),
                Mode::Add,
            )
            .unwrap(),
        )
    };
    assert_eq!(found("1.0.1.0", "1.0.0.0"), [("not-newer", Environment)]);
    assert_eq!(found("1.0.1.0", "1.1.0.0"), [("other-line", Environment)]);
    assert_eq!(found("1.0.0.0", "1.0.0.1"), []);
}

#[test]
fn other_needs_are_told_of() {
    let version = |text: &str| Some(text.parse().unwrap());
    let old = with_symbols(builder("1.0.0.0").application(None).platform(version("26.0.0.0")));
    let new = builder("1.0.1.0")
        .application(version("27.0.0.0"))
        .platform(version("27.0.0.0"));
    let new =
        with_symbols(new.dependency(Uuid::from_u128(5), "Base", "Fabrikam", "1.0.0.0".parse().unwrap()));
    let expected = [
        ("application-raised", Environment),
        ("dependency-added", Environment),
        ("platform-raised", Environment),
    ];
    assert_found(
        &forecast(&old, &new, Mode::Add).unwrap(),
        &expected,
        Verdict::Compatible,
    );
    let renamed =
        PackageBuilder::new(APP, "B", "Contoso", "1.0.1.0".parse().unwrap()).id_range(50_100, 50_199);
    let found = forecast(
        &with_symbols(builder("1.0.0.0")),
        &with_symbols(renamed),
        Mode::Add,
    )
    .unwrap();
    assert_found(&found, &[("identity-text-changed", Note)], Verdict::Compatible);
}

#[test]
fn two_apps_cannot_be_compared() {
    let other = PackageBuilder::new(Uuid::from_u128(2), "A", "Contoso", "1.0.1.0".parse().unwrap());
    let error = forecast(&builder("1.0.0.0"), &other, Mode::Add).unwrap_err();
    assert!(error.to_string().contains(&APP.to_string()), "{error}");
}

#[test]
fn one_build_is_known_before_and_after_it_is_signed() {
    let old = with_symbols(builder("1.0.0.0"));
    let found = forecast(&old, &old.clone().signed(), Mode::Add).unwrap();
    assert_found(&found, &[("same-content", Note)], Verdict::Compatible);
    assert_eq!(found.old.signed_content_sha256, found.new.signed_content_sha256);
    assert_ne!(found.old.sha256, found.new.sha256);
}

#[test]
fn what_cannot_be_read_is_undecided() {
    let old = with_symbols(builder("1.0.0.0"));
    let new = |bytes: Option<&[u8]>| builder("1.0.1.0").symbols(bytes);
    let doubled = format!("{0}{0}", symbols());
    let mut other_version = symbols();
    other_version["Version"] = json!("9.9.0.0");
    let mut other_app = symbols();
    other_app["AppId"] = json!(Uuid::from_u128(9));
    let cases = [
        (builder("1.0.1.0").kind(Kind::Runtime), Unreadable::RuntimePackage),
        (new(None), Unreadable::Missing),
        (new(Some(doubled.as_bytes())), Unreadable::Malformed),
        (new(Some(b"[]")), Unreadable::Malformed),
        (new(Some(b"{\"Tables\":{}}")), Unreadable::Malformed),
        (new(Some(b"{\"Tables\":[],\"Tables\":[]}")), Unreadable::Malformed),
        (new(Some(b"")), Unreadable::Malformed),
        (with(builder("1.0.1.0"), &other_version), Unreadable::Mismatch),
        (with(builder("1.0.1.0"), &other_app), Unreadable::Mismatch),
    ];
    for (new, reason) in cases {
        for (old, new) in [(&old, &new), (&new, &old)] {
            let found = forecast(old, new, Mode::Add).unwrap();
            assert_eq!(found.verdict, Verdict::Undecided, "{reason:?}");
            assert!(
                codes(&found).contains(&(reason.as_str(), Undecided)),
                "{found:#?}"
            );
        }
    }
}

#[test]
fn a_mark_in_front_and_nuls_behind_are_no_fault() {
    let text = format!("\u{FEFF}{}\0\0\0", symbols());
    let new = builder("1.0.1.0").symbols(Some(text.as_bytes()));
    let found = forecast(&with_symbols(builder("1.0.0.0")), &new, Mode::Add).unwrap();
    assert_found(&found, &[], Verdict::Compatible);
}

#[test]
fn nobody_is_told_of_what_symbols_say_of_nobody() {
    let mut nobody = symbols();
    nobody["AppId"] = json!(Uuid::nil());
    assert_found(&after(&symbols(), &nobody), &[], Verdict::Compatible);
}

#[test]
fn the_app_inside_is_compared() {
    let old = with_symbols(builder("1.0.0.0"));
    let mut new = symbols();
    new["TableExtensions"] = json!([]);
    let new = with(builder("1.0.1.0").kind(Kind::ReadyToRun), &new);
    let found = forecast(&old, &new, Mode::Add).unwrap();
    assert_found(&found, &[("extension-removed", Refused)], Verdict::Refused);
    assert_eq!(found.new.kind, Kind::ReadyToRun);
}

#[test]
fn symbols_alone_are_compared_and_install_nowhere() {
    let new = with_symbols(builder("1.0.1.0").kind(Kind::SymbolsOnly));
    let found = forecast(&with_symbols(builder("1.0.0.0")), &new, Mode::Add).unwrap();
    assert_found(&found, &[("symbols-only", Note)], Verdict::Compatible);
}

#[test]
fn source_that_is_left_out_by_conditions_explains_what_looks_gone() {
    let old = with_symbols(builder("1.0.0.0"));
    let mut new = symbols();
    new["TableExtensions"] = json!([]);
    let source = "#if not CLEAN27\r\ntableextension 50101 \"X Customer\" extends Customer { }\r\n#endif";
    let new = with(builder("1.0.1.0").entry("src/src/X.al", source.as_bytes()), &new);
    let found = forecast(&old, &new, Mode::Add).unwrap();
    assert_found(
        &found,
        &[("preprocessor", Note), ("extension-removed", Refused)],
        Verdict::Refused,
    );
    let unchanged = with_symbols(builder("1.0.1.0").entry("src/src/X.al", source.as_bytes()));
    assert_found(
        &forecast(&old, &unchanged, Mode::Add).unwrap(),
        &[],
        Verdict::Compatible,
    );
}

#[test]
fn a_newer_compiler_is_told_of() {
    let mut new = symbols();
    new["RuntimeVersion"] = json!("99.0");
    assert_found(
        &after(&symbols(), &new),
        &[("newer-compiler", Note)],
        Verdict::Compatible,
    );
}

#[test]
fn every_forecast_says_what_it_does_not_know() {
    let found = changed(|app| extension(app)["Id"] = json!(50_102));
    assert_eq!(found.assumes, "OLD is the schema last synchronised there");
    assert!(found.not_checked.contains(&"upgrade-code"));
    let shown = serde_json::to_value(&found).unwrap();
    assert_eq!(shown["rules"], "2026-11");
    assert_eq!(
        (&shown["mode"], &shown["verdict"]),
        (&json!("add"), &json!("undecided"))
    );
    let finding = &shown["findings"][0];
    assert_eq!(finding["code"], "extension-renumbered");
    assert_eq!(finding["object"]["kind"], "tableExtension");
    assert_eq!(
        finding["outcome"],
        json!({ "add": "undecided", "forceSync": "undecided" })
    );
    assert_eq!(finding["evidence"], "inferred");
    assert_eq!(shown["new"]["version"], "1.0.1.0");
    assert_eq!(shown["new"]["sha256"].as_str().map(str::len), Some(64));
    assert!(shown["notChecked"].is_array() && shown["new"]["signedContentSha256"].is_string());
}

#[test]
fn a_package_is_read_once_and_compared_often() {
    let (old, new) = (
        schema(&with_symbols(builder("1.0.0.0"))),
        schema(&with_symbols(builder("1.0.1.0"))),
    );
    let first = compare(&old, &new, Mode::Add).unwrap();
    assert_eq!(first, compare(&old, &new, Mode::Add).unwrap());
    assert_eq!(old.unreadable(), None);
    assert_eq!(
        compare(&new, &old, Mode::Add).unwrap().findings[0].code,
        "not-newer"
    );
    assert_eq!(codes(&first), Vec::<(&str, navx::schema::Severity)>::new());
}
