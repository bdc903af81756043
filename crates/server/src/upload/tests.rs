//! A body gives the same answer however it is cut, and the same as parsers that hold it whole.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use proptest::prelude::*;
use serde_json::Value;

use super::{UploadDecoder, UploadEnvelope, UploadError, UploadLimits};

type Outcome = Result<(Vec<u8>, UploadEnvelope), UploadError>;

const LIMITS: UploadLimits = UploadLimits {
    max_package_bytes: 1 << 20,
};

fn decode_chunks<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = UploadDecoder::new(LIMITS);
    let mut package = Vec::new();
    for chunk in chunks {
        decoder.push(chunk, &mut package)?;
    }
    let envelope = decoder.finish()?;
    Ok((package, envelope))
}

/// Decodes the body whole and in chunks of several sizes, which must not make a difference.
#[track_caller]
fn decode(body: impl AsRef<[u8]>) -> Outcome {
    let body = body.as_ref();
    let whole = decode_chunks([body]);
    for size in [1, 2, 3, 5, 64, 1_000] {
        assert_eq!(decode_chunks(body.chunks(size)), whole, "in chunks of {size}");
    }
    whole
}

#[track_caller]
fn package(body: impl AsRef<[u8]>) -> Vec<u8> {
    let (package, envelope) = decode(body).unwrap();
    assert_eq!(envelope.package_bytes, package.len() as u64);
    package
}

#[track_caller]
fn refused(body: impl AsRef<[u8]>) -> UploadError {
    decode(body).expect_err("should be refused")
}

/// The error for a value of `packageContents`.
#[track_caller]
fn refused_value(value: &str) -> UploadError {
    refused(format!("{{\"packageContents\":\"{value}\"}}"))
}

#[track_caller]
fn invalid_at(value: &str, expected: u64) {
    match refused_value(value) {
        UploadError::InvalidBase64 { offset, .. } => assert_eq!(offset, expected, "{value}"),
        other => panic!("{value}: {other}"),
    }
}

#[track_caller]
fn not_json_at(body: impl AsRef<[u8]>, expected: u64) {
    match refused(body.as_ref()) {
        UploadError::NotJson { offset, .. } => assert_eq!(offset, expected),
        other => panic!("{}: {other}", String::from_utf8_lossy(body.as_ref())),
    }
}

#[test]
fn the_documented_body_is_understood() {
    let (package, envelope) =
        decode(r#"{"initialAvailability":"Available","packageContents":"TkFWWA=="}"#).unwrap();
    assert_eq!(package, b"NAVX");
    assert_eq!(envelope.initial_availability.as_deref(), Some("Available"));
    assert_eq!(envelope.package_bytes, 4);
}

#[test]
fn order_case_blanks_and_a_byte_order_mark_make_no_difference() {
    let bodies = [
        "{\"packageContents\":\"TkFWWA==\",\"initialAvailability\":\"Available\"}",
        "\u{FEFF}{\"PackageContents\":\"TkFWWA==\",\"INITIALAVAILABILITY\":\"Available\"}",
        " \r\n\t{ \"packagecontents\" : \"TkFWWA==\" , \"initialAvailability\" : \"Available\" } \n",
        r#"{"packag\u0065Contents":"TkFWWA==","initialAvailability":"Av\u0061ilable"}"#,
    ];
    for body in bodies {
        let (package, envelope) = decode(body).unwrap();
        assert_eq!(package, b"NAVX", "{body}");
        assert_eq!(
            envelope.initial_availability.as_deref(),
            Some("Available"),
            "{body}"
        );
    }
}

#[test]
fn an_absent_or_null_availability_is_none() {
    for body in [
        r#"{"packageContents":"TkFWWA=="}"#,
        r#"{"initialAvailability":null,"packageContents":"TkFWWA=="}"#,
        r#"{"packageContents":"TkFWWA==","initialAvailability": null }"#,
    ] {
        assert_eq!(decode(body).unwrap().1.initial_availability, None, "{body}");
    }
}

#[test]
fn availability_may_be_any_text() {
    let body = r#"{"initialAvailability":"\ud83d\ude00 \"\\\/\b\f\n\r\t é日","packageContents":""}"#;
    let (_, envelope) = decode(body).unwrap();
    let expected = "\u{1F600} \"\\/\u{8}\u{C}\n\r\t é日";
    assert_eq!(envelope.initial_availability.as_deref(), Some(expected));
}

#[test]
fn annotations_are_skipped_whatever_they_hold() {
    let values = [
        "null",
        "true",
        "false",
        "0",
        "-0.5e+10",
        "1E9",
        "\"\"",
        "\"\\\"}\\u12aF\\/\"",
        "[]",
        "{}",
        "[1,[2,{\"@\":[]}],\"]\"]",
        "{\"packageContents\":\"not this one!\",\"initialAvailability\":7}",
        "[{\"packageContents\":1}]",
    ];
    for value in values {
        let body = format!(
            "{{\"@\":{value},\"packageContents\":\"TkFWWA==\",\"@\\\"\":{value} , \"_etag\" : {value} }}"
        );
        assert_eq!(package(&body), b"NAVX", "{body}");
    }
}

#[test]
fn what_nobody_knows_is_refused_as_soon_as_it_is_named() {
    for (given, hint) in [
        ("initialAvailabilty", "did you mean 'initialAvailability'?"),
        ("availability", "did you mean 'initialAvailability'?"),
        ("contents", "did you mean 'packageContents'?"),
        ("colour", "known are initialAvailability, packageContents."),
        ("packageContent", "did you mean 'packageContents'?"),
    ] {
        let error = refused(format!("{{\"{given}\""));
        assert_eq!(error.target(), Some(given));
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("'{given}' is not known here; ")) && message.ends_with(hint),
            "{error}"
        );
    }
    let long_name = "@".repeat(10_000);
    let body = format!("{{\"{long_name}\":1,\"packageContents\":\"TkFWWA==\"}}");
    assert!(matches!(refused(body), UploadError::UnknownProperty { .. }));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        format!(
            "{{\"@\":{}{},\"packageContents\":\"\"}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert_eq!(package(nested(31)), b"");
    assert!(matches!(
        refused(nested(32)),
        UploadError::NotJson { offset: 36, .. }
    ));
}

#[test]
fn padding_may_be_missing_but_not_wrong() {
    for (value, bytes) in [
        ("", ""),
        ("TQ", "M"),
        ("TQ==", "M"),
        ("TmE", "Na"),
        ("TmE=", "Na"),
        ("TmF2", "Nav"),
    ] {
        assert_eq!(
            package(format!("{{\"packageContents\":\"{value}\"}}")),
            bytes.as_bytes(),
            "{value}"
        );
    }
    for value in ["T", "TQ=", "TmF2=", "TmF2TmF2TQ=", "=", "=="] {
        invalid_at(value, value.len() as u64);
    }
    invalid_at("TQ===", 4);
    invalid_at("TQ==TQ==", 4);
    invalid_at("TQ==\\u0041", 9);
    invalid_at("TR==", 4);
    invalid_at("TmF=", 4);
}

#[test]
fn line_breaks_and_escapes_within_the_base64_are_tolerated() {
    let bytes: Vec<u8> = (0..100_000u32)
        .map(|number| (number.wrapping_mul(number) >> 5) as u8)
        .collect();
    let base64 = STANDARD.encode(&bytes);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let values = [
        lines.join("\\r\\n"),
        lines.join("\r\n"),
        lines.join("\\u000A\\t "),
        format!("\\n{}\\n", lines.join("\n \t")),
        base64.replace('/', "\\/"),
        base64
            .replace('+', "\\u002B")
            .replace('/', "\\u002f")
            .replace('=', "\\u003D"),
        base64
            .chars()
            .map(|character| format!("\\u{:04x}", character as u32))
            .collect(),
    ];
    for value in values {
        assert!(
            package(format!("{{\"packageContents\":\"{value}\"}}")) == bytes,
            "{}",
            &value[..100]
        );
    }
}

#[test]
fn what_is_not_base64_is_told_with_its_position() {
    invalid_at("TkFWWA-_", 6);
    invalid_at("TkFW\u{e9}", 4);
    invalid_at("TkFW*TkFW", 4);
    invalid_at("TkFW\u{1}", 4);
    invalid_at("TkFW\\\"TkFW", 5);
    invalid_at("\\u00e9", 5);
    invalid_at("\\ud83d\\ude00", 5);
    let long = "TkFW".repeat(20_000);
    invalid_at(&format!("{long}%{long}"), 80_000);
    let error = refused_value("%");
    assert_eq!(error.details_code(), Some("InvalidBase64"));
    assert_eq!(error.target(), Some("packageContents"));
    assert!(error.to_string().contains("position 0"), "{error}");
}

#[test]
fn a_body_without_an_object_is_told() {
    for body in ["", "  \r\n", "\u{FEFF}"] {
        assert_eq!(refused(body), UploadError::Empty);
    }
    for body in ["[]", "\"TkFWWA==\"", "null", "true", "-1", " 7"] {
        assert_eq!(refused(body), UploadError::NotAnObject, "{body}");
    }
}

#[test]
fn a_body_that_is_no_utf_8_is_called_what_it_is() {
    let json = r#"{"packageContents":""}"#;
    let little: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = json.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let wide = |bytes: fn(u32) -> [u8; 4]| json.chars().flat_map(|c| bytes(c.into())).collect();
    for (body, encoding) in [
        (little.clone(), "UTF-16"),
        (big.clone(), "UTF-16"),
        ([&[0xFF, 0xFE][..], &little].concat(), "UTF-16"),
        ([&[0xFE, 0xFF][..], &big].concat(), "UTF-16"),
        (little[..3].to_vec(), "UTF-16"),
        (wide(u32::to_le_bytes), "UTF-32"),
        (wide(u32::to_be_bytes), "UTF-32"),
        (vec![0x1F, 0x8B, 8, 0], "compressed with gzip"),
        (vec![0x1F, 0x8B], "compressed with gzip"),
        (vec![0x78, 0x9C, 0xAB, 0x56], "compressed with deflate"),
        (vec![0x28, 0xB5, 0x2F, 0xFD, 4], "compressed with zstd"),
    ] {
        let error = refused(&body);
        let is_told = matches!(error, UploadError::Encoded { encoding: told } if told.starts_with(encoding));
        assert!(is_told, "{error:?}");
    }
    for latin_1 in [
        &b"{\"initialAvailability\":\"Verf\xFCgbar\""[..],
        b"{\"@Pr\xFCfung\"",
    ] {
        let error = refused(latin_1);
        let is_told = matches!(error, UploadError::NotUtf8 { byte: 0xFC, .. });
        assert!(
            is_told && error.to_string().contains("charset=iso-8859-1"),
            "{error}"
        );
    }
}

#[test]
fn every_cut_of_a_good_body_is_told() {
    let body =
        r#"{"@":[{"b":-1.5e3},null],"initialAvailability":"Pre\u0076iew","packageContents":"TkFW\r\nWA=="}"#;
    for end in 1..body.len() {
        assert_eq!(
            refused(&body[..end]),
            UploadError::Truncated { offset: end as u64 }
        );
    }
    decode(body).unwrap();
}

#[test]
fn what_breaks_the_grammar_is_told_with_its_position() {
    let cases: [(&[u8], u64); 28] = [
        (b"x", 0),
        (b"\xEF\xBB{}", 2),
        (b" \xEF\xBB\xBF{}", 1),
        (b"{]", 1),
        (b"{\"@\"}", 4),
        (b"{\"@\":}", 5),
        (b"{\"@\":1,}", 7),
        (b"{\"@\":1;", 6),
        (b"{\"@\":1 2", 7),
        (b"{,", 1),
        (b"{a", 1),
        (b"{\"@\":01", 6),
        (b"{\"@\":1.}", 7),
        (b"{\"@\":1e}", 7),
        (b"{\"@\":-}", 6),
        (b"{\"@\":+1", 5),
        (b"{\"@\":trUe", 7),
        (b"{\"@\":nul}", 8),
        (b"{\"@\":[1}", 7),
        (b"{\"@\":[,", 6),
        (b"{\"@\":[1,]", 8),
        (b"{\"@\":{]", 6),
        (b"{\"a\n", 3),
        (b"{\"a\\x", 4),
        (b"{\"a\\u12g", 7),
        (b"{\"\\ud800a", 8),
        (b"{\"packageContents\":\"TkFW\\x", 25),
        (b"{} x", 3),
    ];
    for (body, offset) in cases {
        not_json_at(body, offset);
    }
    not_json_at("{}{}", 2);
    not_json_at(r#"{"packageContents":"TkFW"}]"#, 26);
}

#[test]
fn properties_of_the_wrong_type_or_number_are_told() {
    for value in ["7", "[]", "{}", "true", "-1"] {
        for property in ["packageContents", "initialAvailability"] {
            let error = refused(format!("{{\"{property}\":{value}}}"));
            assert_eq!(error, UploadError::NotAString { property });
            assert_eq!(error.target(), Some(property));
        }
    }
    for body in [
        "{}",
        "{\"initialAvailability\":\"Preview\"}",
        "{\"packageContents\":null}",
        "{\"@\":{\"packageContents\":\"TkFW\"}}",
    ] {
        assert_eq!(refused(body), UploadError::MissingContents, "{body}");
    }
    let twice = refused(r#"{"packageContents":"TkFW","PACKAGECONTENTS":"TkFW"}"#);
    assert_eq!(
        twice,
        UploadError::DuplicateProperty {
            property: "packageContents"
        }
    );
    let twice = refused(r#"{"initialAvailability":null,"initialAvailability":"Preview"}"#);
    assert_eq!(
        twice,
        UploadError::DuplicateProperty {
            property: "initialAvailability"
        }
    );
    let long = format!("{{\"initialAvailability\":\"{}\"}}", "a".repeat(257));
    assert_eq!(refused(long), UploadError::AvailabilityTooLong);
}

#[test]
fn a_package_may_be_as_large_as_the_limit_and_no_larger() {
    let body = |size: usize| {
        let base64 = STANDARD.encode(vec![7; size]);
        format!("{{\"packageContents\":\"{base64}\"}}")
    };
    assert_eq!(package(body(1 << 20)).len(), 1 << 20);
    let max_package_bytes = LIMITS.max_package_bytes;
    for size in [(1 << 20) + 1, 3 << 20] {
        assert_eq!(
            refused(body(size)),
            UploadError::PackageTooLarge { max_package_bytes }
        );
    }
}

#[test]
fn the_limit_is_met_while_the_body_still_arrives() {
    let mut decoder = UploadDecoder::new(LIMITS);
    let mut out = Vec::new();
    decoder.push(br#"{"packageContents":""#, &mut out).unwrap();
    let chunk = b"TkFW".repeat(16 << 10);
    let mut taken = 0;
    while decoder.push(&chunk, &mut out).is_ok() {
        taken += 1;
        out.clear();
        assert!(taken < 100, "an endless body is read without end");
    }
    assert_eq!(taken, (1 << 20) / (48 << 10));
}

#[test]
fn bytes_come_out_as_they_come_in() {
    let mut decoder = UploadDecoder::new(LIMITS);
    let mut out = Vec::new();
    decoder.push(br#"{"packageContents":""#, &mut out).unwrap();
    let mut total = 0;
    for _ in 0..10 {
        decoder.push(&b"TkFW".repeat(10_000), &mut out).unwrap();
        assert!(out.len() >= 30_000 - 12 * 1024, "held back too much");
        total += out.len();
        out.clear();
    }
    assert_eq!(total, 300_000);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

/// Cuts `body` at the given positions.
fn cut_at<'a>(body: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut positions: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    positions.sort_unstable();
    let mut chunks = Vec::new();
    let mut start = 0;
    for position in positions {
        chunks.push(&body[start..position]);
        start = position;
    }
    chunks.push(&body[start..]);
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn valid_bodies_mean_what_whole_parsers_say(
        bytes in proptest::collection::vec(any::<u8>(), 0..40_000),
        availability in proptest::option::of(".{0,30}"),
        others in proptest::collection::hash_map(r"@\PC{0,8}", any_json(), 0..4),
        (padded, pretty, contents_first) in any::<(bool, bool, bool)>(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let base64 = if padded { STANDARD.encode(&bytes) } else { STANDARD_NO_PAD.encode(&bytes) };
        let mut body = serde_json::Map::new();
        if contents_first {
            body.insert("packageContents".to_owned(), base64.clone().into());
        }
        body.extend(others);
        body.insert("initialAvailability".to_owned(), availability.clone().into());
        body.insert("packageContents".to_owned(), base64.into());
        let text = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.unwrap();

        let (package, envelope) = decode_chunks(cut_at(&text, &cuts)).unwrap();
        prop_assert!(package == bytes);
        prop_assert_eq!(envelope.package_bytes, bytes.len() as u64);
        prop_assert_eq!(envelope.initial_availability, availability);
    }

    #[test]
    fn damaged_bodies_mean_the_same_however_they_are_cut(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let base64 = STANDARD.encode(&bytes);
        let mut body = format!("{{\"@\":[1.5,\"\\u0041\"],\"packageContents\":\"{base64}\"}}").into_bytes();
        for (position, byte) in damage {
            let position = position.index(body.len());
            body[position] = byte;
        }
        prop_assert_eq!(decode_chunks(cut_at(&body, &cuts)), decode_chunks([&*body]));
    }

    #[test]
    fn any_text_of_json_characters_is_answered_as_by_a_whole_parser(body in "\\PC{0,20}|[\\[\\]{}:,\"\\\\u0-9aeltrufnsE+. -]{0,40}") {
        let parsed = serde_json::from_str::<Value>(&body);
        match decode_chunks([body.as_bytes()]) {
            Err(UploadError::MissingContents) => prop_assert!(parsed.is_ok_and(|value| value.is_object())),
            Err(UploadError::NotAnObject) => prop_assert!(!parsed.is_ok_and(|value| value.is_object())),
            outcome => prop_assert!(outcome.is_err() && parsed.is_err(), "{body}"),
        }
    }
}
