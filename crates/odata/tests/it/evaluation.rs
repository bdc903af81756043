//! What a filter means for a row: null logic, functions, arithmetic, and what stops it.

use crate::shop::{bind, instant, row, schema, texts};
use odata::*;

const NOON: &str = "2024-02-29T12:34:56.7891234Z";

fn chair() -> Vec<Value<'static>> {
    let part = |id: u128, minimum: [u32; 4], broken_from: Value<'static>, labels: &[&'static str]| {
        Value::Record(vec![
            Value::Guid(Guid(id)),
            Value::Version(Version(minimum)),
            broken_from,
            texts(labels),
        ])
    };
    row(vec![
        ("id", Value::Guid(Guid(7))),
        ("title", Value::text("Straße 🪑 Chair")),
        ("region", Value::text("de")),
        ("line", Value::text("Garden Chairs")),
        ("release", Value::Version(Version([16, 0, 10, 0]))),
        ("stock", Value::integer(7)),
        ("price", Value::Number("-2.5".parse().expect("a number"))),
        ("hidden", Value::Boolean(false)),
        ("added", Value::Instant(instant(NOON))),
        ("since", Value::Date(Date::new(2024, 2, 29).expect("a day"))),
        (
            "opens",
            Value::TimeOfDay(TimeOfDay::new(8, 30, 15, 0).expect("a time")),
        ),
        (
            "warranty",
            Value::Duration(parse_duration("P1DT2H3M4.5S").expect("a duration")),
        ),
        ("colour", Value::Flags(5)),
        ("photo", Value::Binary(b"foo".to_vec())),
        ("tags", texts(&["wood", "oak", ""])),
        ("markets", texts(&["de", "At"])),
        (
            "parts",
            Value::List(vec![
                part(1, [1, 0, 0, 0], Value::Null, &["new"]),
                part(2, [16, 0, 9, 0], Value::Version(Version([17, 0, 0, 0])), &[]),
            ]),
        ),
        ("in", Value::Null),
    ])
}

fn matches(text: &str, row: &Vec<Value>) -> Result<bool, EvalError> {
    bind(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .matches(row, instant("2024-03-01T00:00Z"))
}

fn assert_all(expected: bool, row: &Vec<Value>, filters: &[&str]) {
    for text in filters {
        assert_eq!(matches(text, row), Ok(expected), "{text}");
    }
}

#[test]
fn and_or_and_not_follow_kleene() {
    // `in` is a null Boolean in every row here, so it stands for "unknown".
    let words = [("true", Some(true)), ("false", Some(false)), ("in", None)];
    let row = row(vec![]);
    let value_of = |text: &str| {
        let is_true = matches(text, &row).expect(text);
        let is_false = matches(&format!("not ({text})"), &row).expect(text);
        match (is_true, is_false) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
            (true, true) => panic!("{text} is true and false"),
        }
    };
    for (left, a) in words {
        assert_eq!(
            value_of(&format!("not {left}")),
            a.map(|value| !value),
            "not {left}"
        );
        for (right, b) in words {
            let and = match (a, b) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            let or = match (a, b) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            assert_eq!(
                value_of(&format!("{left} and {right}")),
                and,
                "{left} and {right}"
            );
            assert_eq!(value_of(&format!("{left} or {right}")), or, "{left} or {right}");
            assert_eq!(
                value_of(&format!("{left} and {right} and {left}")),
                and,
                "{left} and {right} and {left}"
            );
            assert_eq!(
                value_of(&format!("{left} eq {right}")),
                Some(a == b),
                "{left} eq {right}"
            );
            assert_eq!(
                value_of(&format!("{left} ne {right}")),
                Some(a != b),
                "{left} ne {right}"
            );
            if a.is_none() || b.is_none() {
                for operator in ["lt", "le", "gt", "ge"] {
                    let text = format!("{left} {operator} {right}");
                    assert_eq!(value_of(&text), Some(false), "{text}");
                }
            }
        }
    }
}

#[test]
fn null_goes_through_functions_and_arithmetic() {
    let empty = row(vec![]);
    for unknown in [
        "contains(title,'a')",
        "contains('a',title)",
        "startswith(title,null)",
        "matchesPattern(title,'a')",
        "matchesPattern('a',null)",
        "colour has 'Red'",
        "null",
    ] {
        assert_all(false, &empty, &[unknown, &format!("not ({unknown})")]);
        assert_all(true, &empty, &[&format!("({unknown}) eq null")]);
    }
    let nulls = [
        "length(title)",
        "stock add 1",
        "1 div stock",
        "stock mod 0",
        "-stock",
        "year(added)",
        "added sub now()",
        "warranty mul 2",
        "substring('abc',stock)",
        "concat('a',title)",
        "round(price)",
        "date(added)",
    ];
    for null in nulls {
        assert_all(
            true,
            &empty,
            &[&format!("{null} eq null"), &format!("not ({null} ne null)")],
        );
    }
    assert_all(
        true,
        &empty,
        &[
            "title eq null",
            "null eq title",
            "title ne 'x'",
            "not (title eq 'x')",
            "null eq null",
        ],
    );
    assert_all(
        false,
        &empty,
        &[
            "title lt 'x'",
            "title ge 'x'",
            "null le null",
            "title ne null",
            "hidden",
            "not hidden",
        ],
    );
}

#[test]
fn in_and_lambdas_are_never_null() {
    let empty = row(vec![]);
    assert_all(
        true,
        &empty,
        &[
            "title in ('a',null)",
            "not (title in ('a'))",
            "not (title in ())",
            "not (null in tags)",
        ],
    );
    assert_all(
        true,
        &empty,
        &[
            "tags/all(t:false)",
            "not tags/any(t:true)",
            "not tags/any()",
            "tags/$count eq 0",
        ],
    );
    let chair = chair();
    assert_all(
        true,
        &chair,
        &[
            "'oak' in tags",
            "not ('Oak' in tags)",
            "'DE' in markets and 'at' in markets and not ('fr' in markets)",
            "region in ('fr','DE')",
            "stock in (6,7.0)",
            "release in ('16.0.10')",
            "tags/any()",
            "tags/any(t:startswith(t,'w'))",
            "not tags/all(t:startswith(t,'w'))",
            "tags/all(t:length(t) lt 5)",
            "tags/any(t:t eq '') and tags/$count eq 3",
            "markets/any(m:m eq 'AT')",
            "parts/any(p:p/partId eq 00000000-0000-0000-0000-000000000002 and p/minimum lt '16.0.10')",
            "parts/any(p:p/labels/any(l:l eq 'new'))",
            "parts/any(p:not p/labels/any()) and parts/all(p:p/labels/$count lt 2)",
            "parts/any(p:'new' in p/labels)",
            "not parts/all(p:contains(p/brokenFrom,'17'))",
            "parts/any(p:p/minimum lt release)",
            "tags/any(t:tags/any(u:u gt t and t ne ''))",
            "tags/any(t:tags/any(t:t eq 'oak') and t eq 'wood')",
            // A condition that is null for an item is not true for it, and `not` sees false.
            "not parts/any(p:p/brokenFrom gt '17.0' and contains(p/brokenFrom,'1'))",
        ],
    );
}

#[test]
fn comparisons_know_their_types() {
    assert_all(
        true,
        &chair(),
        &[
            "release gt '16.0.9.0' and release lt '16.0.11' and release eq '16.0.10'",
            "contains(release,'0.10.') and length(release) eq 9 and substring(release,0,2) eq '16'",
            "region eq 'De' and 'dE' eq region and region ge 'DE' and not (region eq 'FR')",
            "tolower(region) eq 'de' and not contains(region,'D')",
            "line eq 'gardenCHAIRS' and contains(line,' C')",
            "region ne line and title ne region",
            "title eq 'Straße 🪑 Chair' and title ne 'straße 🪑 chair' and title gt 'Str' and title lt 'Stz'",
            "'z' lt 'ä' and 'Z' lt 'a' and '' lt ' '",
            "id eq 00000000-0000-0000-0000-000000000007 and id lt 10000000-0000-0000-0000-000000000000",
            "price eq -2.50 and price lt -2.4999999999999999999999999999 and price gt -INF",
            "stock eq 7.0 and stock lt 7.0000000000000000000000000001",
            "stock lt 79228162514264337593543950335 and stock ne NaN and not (NaN eq NaN)",
            "stock gt price and price lt stock and not (price eq stock)",
            "hidden lt true and hidden eq false",
            "added eq 2024-02-29T14:34:56.7891234+02:00 and added lt 2024-02-29T12:34:56.789123401Z",
            "added eq 2024-02-29T07:04:56.7891234-05:30 and added eq 2024-02-29T18:04:56.7891234+05:30",
            "added ge 2024-02-29 and added lt '2024-03-01'",
            "1972-06-30T23:59:60Z eq 1972-07-01T00:00Z",
            "since eq 2024-02-29 and opens gt 08:30 and opens lt '08:30:16'",
            "warranty gt duration'P1D' and warranty lt 'P1DT2H3M4.500000001S'",
            "photo eq binary'Zm9v' and photo ne binary'Zm8'",
            "colour has '1' and colour has '5' and not (colour has '2') and colour eq '1,Blue'",
            "colour eq Shop.Colour'5' and colour has Shop.Colour'0' and colour eq '05'",
            "colour has 'Red' and colour has 'Red,Blue' and not (colour has 'Green') and colour eq 'blue,RED'",
            "release eq release and title ne region",
        ],
    );
}

#[test]
fn functions_count_characters() {
    assert_all(
        true,
        &chair(),
        &[
            "length(title) eq 14 and indexof(title,'Chair') eq 9 and indexof(title,'x') eq -1 and indexof(title,'') eq 0",
            "substring(title,7,1) eq '🪑' and substring(title,9) eq 'Chair' and substring(title,14) eq ''",
            "substring(title,99) eq '' and substring(title,0,0) eq '' and substring(title,0,99) eq title",
            "substring(title,-5) eq 'Chair' and substring(title,-5,2) eq 'Ch' and substring(title,-99,3) eq 'Str'",
            "substring(title,-99999999999999999999) eq title",
            "substring(title,99999999999999999999) eq '' and substring(title,0,99999999999999999999) eq title",
            "toupper('straße') eq 'STRASSE' and tolower('ÄÖ') eq 'äö' and trim(' \t a b ') eq 'a b'",
            "concat(region,concat('-',title)) eq 'de-Straße 🪑 Chair'",
            "contains(title,'') and startswith(title,'Straß') and endswith(title,'air') and not startswith(title,'str')",
            "matchesPattern(title,'^Stra.e') and matchesPattern(title,'🪑') and not matchesPattern(title,'^Chair')",
            "matchesPattern(release,'^16\\.') and matchesPattern(region,'^d')",
        ],
    );
}

#[test]
fn time_is_utc() {
    assert_all(
        true,
        &chair(),
        &[
            "year(added) eq 2024 and month(added) eq 2 and day(added) eq 29",
            "hour(added) eq 12 and minute(added) eq 34 and second(added) eq 56",
            "fractionalseconds(added) eq 0.7891234",
            "year(since) eq 2024 and hour(opens) eq 8 and second(opens) eq 15 and fractionalseconds(opens) eq 0",
            "hour(2024-01-01T00:30+01:00) eq 23 and year(2024-01-01T00:30+01:00) eq 2023",
            "date(added) eq 2024-02-29 and time(added) gt 12:34:56.789 and totaloffsetminutes(added) eq 0",
            "now() eq 2024-03-01T00:00Z and now() sub added gt duration'PT11H'",
            "added lt now() sub duration'PT11H' and added add duration'P1D' gt now()",
            "mindatetime() eq 0001-01-01T00:00Z and maxdatetime() eq 9999-12-31T23:59:59.9999999Z",
            "since add duration'P1D' eq 2024-03-01 and since sub duration'PT1H' eq 2024-02-28",
            "2024-03-01 sub since eq duration'P1D'",
            "totalseconds(warranty) eq 93784.5 and hour(warranty) eq 2 and fractionalseconds(warranty) eq 0.5",
            "-warranty lt duration'PT0S' and warranty add warranty eq warranty mul 2 and 2 mul warranty eq warranty mul 2",
            "warranty div 2 eq duration'PT13H1M32.25S' and warranty sub warranty eq duration'PT0S'",
            "second(-warranty) eq -4",
        ],
    );
}

#[test]
fn arithmetic_is_exact() {
    assert_all(
        true,
        &chair(),
        &[
            "0.1 add 0.2 eq 0.3 and stock add price eq 4.5 and stock sub 10 eq -3",
            "stock div 2 eq 3 and -stock div 2 eq -3 and stock divby 2 eq 3.5 and stock div 2.0 eq 3.5",
            "stock mod 4 eq 3 and -stock mod 4 eq -3 and price mod 2 eq -0.5",
            "stock mul 9223372036854775807 gt 9223372036854775807",
            "round(price) eq -3 and floor(price) eq -3 and ceiling(price) eq -2 and round(2.5) eq 3 and round(stock) eq 7",
            "floor(2.7) eq 2 and ceiling(2.2) eq 3 and round(2.4) eq 2 and floor(stock) eq ceiling(stock)",
            "round(stock) div 2 eq 3",
            "INF gt 1e28 and -INF lt stock and INF sub INF ne 0 and 1 divby INF eq 0",
            "1 add INF eq INF and INF add INF eq INF and INF divby -2 eq -INF and not (1 add NaN eq 1)",
        ],
    );
}

#[test]
fn what_cannot_be_calculated_fails_the_request() {
    let chair = chair();
    for (text, error) in [
        ("stock div 0 eq 1", EvalError::DivisionByZero { position: 6 }),
        ("stock divby 0.0 eq 1", EvalError::DivisionByZero { position: 6 }),
        (
            "1 eq stock mod (stock sub 7)",
            EvalError::DivisionByZero { position: 11 },
        ),
        (
            "warranty div 0 eq null",
            EvalError::DivisionByZero { position: 9 },
        ),
        (
            "substring(title,0,-1) eq ''",
            EvalError::NegativeLength { position: 0 },
        ),
        ("1e28 mul 1e28 gt 0", EvalError::OutOfRange { position: 5 }),
        ("7e28 add 0.1 gt 0", EvalError::NotExact { position: 5 }),
        (
            "1e-28 mul stock div 1e28 gt 0 or 1e-28 mul 0.1 gt 0",
            EvalError::NotExact { position: 39 },
        ),
        (
            "year(since sub duration'P9999999D') eq 1",
            EvalError::OutOfRange { position: 11 },
        ),
        (
            "added add duration'P999999999999D' mul 999999999 gt now()",
            EvalError::OutOfRange { position: 35 },
        ),
    ] {
        assert_eq!(matches(text, &chair), Err(error), "{text}");
        let shown = error.as_query_error().expect("the caller's fault");
        assert_eq!(shown.code, ErrorCode::InvalidFilter, "{shown}");
    }
}

#[test]
fn deciding_operands_spare_the_rest() {
    assert_all(false, &chair(), &["stock ne 7 and 1 div (stock sub 7) eq 1"]);
    assert_all(true, &chair(), &["stock eq 7 or 1 div (stock sub 7) eq 1"]);
    assert!(matches("1 div (stock sub 7) eq 1 and stock ne 7", &chair()).is_err());
}

#[test]
fn the_work_for_a_row_is_bounded() {
    let items: Vec<Value> = (0..200)
        .map(|number| Value::text(format!("tag {number}")))
        .collect();
    let row = row(vec![
        ("tags", Value::List(items)),
        ("title", Value::text("x".repeat(32 * 1024))),
    ]);
    let long_list = vec!["'x'"; 1_000].join(",");
    assert_eq!(
        matches(&format!("tags/any(t:t in ({long_list}))"), &row),
        Ok(false),
        "the longest list for each of many tags is nothing unusual"
    );
    let four_looks = ["t in tags"; 4].join(" and ");
    assert_eq!(matches(&format!("tags/all(t:{four_looks})"), &row), Ok(true));
    let nested = "tags/all(a:tags/all(b:tags/all(c:a ne 'x' or b ne c)))";
    assert_eq!(matches(nested, &row), Err(EvalError::TooExpensive));
    for looked_up in ["tags".to_string(), format!("({long_list})")] {
        let each_with_each = format!("tags/all(a:tags/all(b:a eq b or not (b in {looked_up}) or b in tags))");
        assert_eq!(matches(&each_with_each, &row), Err(EvalError::TooExpensive));
    }
    let mut text = "title".to_string();
    for _ in 0..8 {
        text = format!("concat({text},{text})");
    }
    assert_eq!(
        matches(&format!("length({text}) gt 0"), &row),
        Err(EvalError::TooExpensive)
    );
    let looks = ["contains(tolower(title),'y')"; 200].join(" or ");
    assert_eq!(matches(&looks, &row), Err(EvalError::TooExpensive));
    let pattern = "matchesPattern(substring(title,0,4096),'(?:(?:x|y|xy){0,9}x){20}z')";
    assert_eq!(matches(pattern, &row), Ok(false), "one look at the longest text");
    let looks = [pattern; 4].join(" or ");
    assert_eq!(matches(&looks, &row), Err(EvalError::TooExpensive));
    let too_long = matches("matchesPattern(title,'y')", &row).expect_err("a limit");
    assert_eq!(too_long, EvalError::TextTooLong { position: 0 });
    assert!(too_long.to_string().contains("4096 bytes"), "{too_long}");
    assert_eq!(
        EvalError::TooExpensive.as_query_error().map(|error| error.code),
        Some(ErrorCode::InvalidFilter)
    );
}

#[test]
fn a_row_that_lies_about_its_types_is_not_the_callers_fault() {
    let error = matches("title eq 'x'", &row(vec![("title", Value::integer(1))])).expect_err("not a text");
    assert_eq!(error, EvalError::RowDoesNotFit { position: 6 });
    assert_eq!(error.as_query_error(), None);
    assert!(error.to_string().contains("does not fit"));
}

#[test]
fn conjuncts_say_together_what_the_filter_says() {
    let filter = bind("stock gt 1 and (hidden or in) and title ne null").expect("a filter");
    let now = instant("2024-03-01T00:00Z");
    let held: Vec<bool> = filter
        .conjuncts()
        .iter()
        .map(|id| {
            filter
                .holds(*id, &chair(), now, &mut Account::default())
                .expect("a result")
        })
        .collect();
    assert_eq!(held, [true, false, true]);
    assert_eq!(schema().find("STOCK"), schema().find("stock"));
}
