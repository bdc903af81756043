//! The query string and the options other than the filter.

use crate::shop::{row, schema, texts};
use odata::*;
use std::cmp::Ordering;

fn parse(raw: &str) -> Result<Options, QueryError> {
    Options::parse(raw, Resource::Collection, true, &Limits::default())
}

fn parsed(raw: &str) -> Options {
    parse(raw).unwrap_or_else(|error| panic!("{raw}: {error}"))
}

#[test]
fn names_are_recognised_in_every_spelling() {
    for raw in [
        "$filter=a",
        "filter=a",
        "%24filter=a",
        "$FILTER=a",
        "Filter=a",
        "&filter=a",
        "&&$filter=a&",
    ] {
        assert_eq!(parsed(raw).filter.as_deref(), Some("a"), "{raw}");
    }
    let options =
        parsed("$top=5&skip=2&$COUNT=true&$orderby=a%20desc&select=a,b&$skiptoken=xyz&$schemaversion=*");
    assert_eq!(
        (options.top, options.skip, options.count),
        (Some(5), Some(2), true)
    );
    assert_eq!(options.order_by.as_deref(), Some("a desc"));
    assert_eq!(
        (options.select.as_deref(), options.skip_token.as_deref()),
        (Some("a,b"), Some("xyz"))
    );
    assert_eq!(parsed(""), Options::default());
    assert_eq!(parsed("$count=False"), Options::default());
    assert!(parsed("@a_1=1").aliases.texts.contains_key("a_1"));
}

#[test]
fn the_dollar_can_be_made_mandatory() {
    let options = Options::parse(
        "filter=a&search=b&$top=1",
        Resource::Collection,
        false,
        &Limits::default(),
    );
    let options = options.expect("custom options");
    assert_eq!((options.filter, options.top), (None, Some(1)));
    assert_eq!(
        options.custom,
        [("filter".into(), "a".into()), ("search".into(), "b".into())]
    );
}

#[test]
fn values_are_decoded_once_after_splitting() {
    let options = parsed("$filter=a%20eq+%27x%26y%3D%2Bz%2525%27&@p=%27M%C3%BCller+%26+Co%27&x=1=2&flag");
    assert_eq!(options.filter.as_deref(), Some("a eq 'x&y=+z%25'"));
    assert_eq!(
        options.aliases.texts.get("p").map(String::as_str),
        Some("'Müller & Co'")
    );
    assert_eq!(
        options.custom,
        [("x".into(), "1=2".into()), ("flag".into(), String::new())]
    );
}

#[test]
fn broken_query_strings_are_refused_by_name() {
    for (raw, code, target) in [
        ("$filter=%zz", ErrorCode::InvalidQueryOption, "$filter"),
        ("$filter=%2", ErrorCode::InvalidQueryOption, "$filter"),
        ("$filter=%+1", ErrorCode::InvalidQueryOption, "$filter"),
        ("other=%FF", ErrorCode::InvalidQueryOption, "other"),
        ("$orderby=a%00", ErrorCode::InvalidQueryOption, "$orderby"),
        ("%zz=1", ErrorCode::InvalidQueryOption, "%zz"),
        ("$filter=a&filter=b", ErrorCode::InvalidQueryOption, "$filter"),
        ("$Top=1&%24top=1", ErrorCode::InvalidQueryOption, "$top"),
        ("@p=1&@p=2", ErrorCode::InvalidQueryOption, "@p"),
        ("@=1", ErrorCode::InvalidQueryOption, "@"),
        ("@1=1", ErrorCode::InvalidQueryOption, "@1"),
        ("@a-b=1", ErrorCode::InvalidQueryOption, "@a-b"),
        ("$fliter=a", ErrorCode::InvalidQueryOption, "$fliter"),
        ("$=a", ErrorCode::InvalidQueryOption, "$"),
        ("$top=-1", ErrorCode::InvalidQueryOption, "$top"),
        ("$top=", ErrorCode::InvalidQueryOption, "$top"),
        ("$top=1.5", ErrorCode::InvalidQueryOption, "$top"),
        ("$skip=%2B1", ErrorCode::InvalidQueryOption, "$skip"),
        ("$count=1", ErrorCode::InvalidQueryOption, "$count"),
        ("$count", ErrorCode::InvalidQueryOption, "$count"),
        ("$search=a", ErrorCode::NotImplemented, "$search"),
        ("expand=a", ErrorCode::NotImplemented, "$expand"),
        ("$compute=a", ErrorCode::NotImplemented, "$compute"),
        ("$deltatoken=a", ErrorCode::NotImplemented, "$deltatoken"),
        ("$schemaversion=1", ErrorCode::NotImplemented, "$schemaversion"),
        ("$format=atom", ErrorCode::NotAcceptable, "$format"),
        ("$format=xml", ErrorCode::NotAcceptable, "$format"),
        (
            "$format=application/json;odata.metadata=some",
            ErrorCode::NotAcceptable,
            "$format",
        ),
    ] {
        let error = parse(raw).expect_err(raw);
        assert_eq!(
            (error.code, error.target.as_str()),
            (code, target),
            "{raw}: {error}"
        );
    }
    let too_long = format!("$filter={}", "a".repeat(8193));
    assert_eq!(
        parse(&too_long).map_err(|error| error.code),
        Err(ErrorCode::InvalidFilter)
    );
    assert!(parse(&too_long[..too_long.len() - 1]).is_ok());
}

#[test]
fn an_error_has_a_word_for_programs_and_a_sentence_for_people() {
    for (raw, word, status) in [
        ("$top=x", "InvalidQueryOption", 400),
        ("$search=a", "NotImplemented", 501),
        ("$format=atom", "NotAcceptable", 406),
    ] {
        let error = parse(raw).expect_err(raw);
        assert_eq!(
            (error.code.as_str(), error.code.status()),
            (word, status),
            "{raw}"
        );
    }
    let error = crate::shop::bind("hidden or")
        .map(drop)
        .expect_err("an operand is missing");
    assert_eq!(
        error.to_string(),
        "InvalidFilter ($filter): Expected an operand at position 9."
    );
}

#[test]
fn amounts_are_held_where_databases_can_take_them() {
    assert_eq!(
        parsed("$top=99999999999999999999999&$skip=0").top,
        Some(i64::MAX as u64)
    );
    assert_eq!(parsed("$top=18446744073709551615").top, Some(i64::MAX as u64));
    assert_eq!(parsed("$top=007").top, Some(7));
}

#[test]
fn every_resource_has_its_options() {
    let all = [
        "$filter=a",
        "$orderby=a",
        "$top=1",
        "$skip=1",
        "$count=true",
        "$skiptoken=a",
        "$select=a",
        "$format=json",
    ];
    for (resource, allowed) in [
        (Resource::Collection, &all[..]),
        (Resource::Entity, &["$select=a", "$format=json"]),
        (Resource::Count, &["$filter=a"]),
        (Resource::Metadata, &["$format=json"]),
    ] {
        for raw in all {
            let result = Options::parse(raw, resource, true, &Limits::default());
            assert_eq!(
                result.is_ok(),
                allowed.contains(&raw),
                "{raw} on {resource:?}: {result:?}"
            );
        }
        assert!(Options::parse("custom=1&@p=2", resource, true, &Limits::default()).is_ok());
    }
    for (resource, hint) in [
        (Resource::Entity, "a single entity; only $select and $format do"),
        (Resource::Count, "$count; only $filter does"),
        (Resource::Metadata, "this resource; only $format does"),
    ] {
        let error = Options::parse("$top=1", resource, true, &Limits::default()).expect_err(hint);
        assert_eq!(error.message, format!("`$top` does not apply to {hint}."));
    }
}

#[test]
fn formats() {
    let json = |metadata| Some(Format::Json(metadata));
    assert_eq!(parsed("$format=json").format, json(Metadata::Minimal));
    assert_eq!(
        parsed("$format=application/json;odata.metadata=full;IEEE754Compatible=true").format,
        json(Metadata::Full)
    );
    assert_eq!(
        parsed("$format=Application/JSON;%20metadata=none").format,
        json(Metadata::None)
    );
    assert_eq!(
        parsed("$format=application/json;odata.metadata=minimal").format,
        json(Metadata::Minimal)
    );
    let metadata = Options::parse("$format=xml", Resource::Metadata, true, &Limits::default());
    assert_eq!(metadata.map(|options| options.format), Ok(Some(Format::Xml)));
}

fn order(text: &str) -> Result<OrderBy, QueryError> {
    OrderBy::parse(text, &schema(), &Limits::default())
}

#[test]
fn orders_end_with_the_key() {
    let key = |name: &str| OrderKey::Property(schema().find(name).expect(name));
    let term = |key, descending| OrderTerm { key, descending };
    let id = term(key("id"), false);
    let tags = schema().find("tags").expect("tags");
    let title = schema().find("title").expect("title");
    for (text, terms) in [
        ("title", vec![term(key("title"), false), id]),
        (
            " TITLE\t DESC , stock Asc ",
            vec![term(key("title"), true), term(key("stock"), false), id],
        ),
        (
            "tolower( title ) desc",
            vec![term(OrderKey::Lower(title), true), id],
        ),
        (
            "tags/$count desc,id desc,title",
            vec![
                term(OrderKey::Count(tags), true),
                term(key("id"), true),
                term(key("title"), false),
            ],
        ),
        ("title,title desc", vec![term(key("title"), false), id]),
        (
            "tolower(title),stock desc",
            vec![term(OrderKey::Lower(title), false), term(key("stock"), true), id],
        ),
    ] {
        assert_eq!(order(text), Ok(OrderBy { terms }), "{text}");
    }
}

#[test]
fn wrong_orders_are_refused() {
    for (text, code, position) in [
        ("", ErrorCode::InvalidQueryOption, 0),
        ("title,", ErrorCode::InvalidQueryOption, 6),
        ("title, missing desc", ErrorCode::InvalidQueryOption, 7),
        ("title up", ErrorCode::InvalidQueryOption, 0),
        ("desc", ErrorCode::InvalidQueryOption, 0),
        ("tags", ErrorCode::InvalidQueryOption, 0),
        ("parts desc", ErrorCode::InvalidQueryOption, 0),
        ("photo", ErrorCode::InvalidQueryOption, 0),
        ("title/$count", ErrorCode::InvalidQueryOption, 0),
        ("tolower(stock)", ErrorCode::InvalidQueryOption, 0),
        ("title,tolower(", ErrorCode::InvalidQueryOption, 6),
        ("title, length(title) desc", ErrorCode::NotImplemented, 7),
        ("concat(title,title)", ErrorCode::NotImplemented, 0),
        ("stock add 1", ErrorCode::NotImplemented, 0),
    ] {
        let error = order(text).expect_err(text);
        assert_eq!(
            (error.code, error.position),
            (code, Some(position)),
            "{text}: {error}"
        );
        assert_eq!(error.target, "$orderby");
    }
    let longest = format!("title{}", " ".repeat(Limits::default().bytes - "title".len()));
    assert!(order(&longest).is_ok());
    let error = order(&format!("{longest} ")).expect_err("one byte too long");
    assert!(error.message.contains("longer than 8192 bytes"), "{error}");
}

#[test]
fn rows_sort_with_null_first_ascending_and_last_descending() {
    let schema = schema();
    let title = |text: Option<&'static str>| row(vec![("title", Value::or_null(text))]);
    let rows = [title(Some("b")), title(None), title(Some("B")), title(Some("a"))];
    let sorted = |text: &str| {
        let order = order(text).expect(text);
        let mut keyed: Vec<_> = rows
            .iter()
            .map(|row| (order.values(row, &schema), row[1].clone()))
            .collect();
        keyed.sort_by(|left, right| order.compare(&left.0, &right.0));
        keyed.into_iter().map(|(_, title)| title).collect::<Vec<_>>()
    };
    let texts = |items: [Option<&'static str>; 4]| items.map(Value::or_null).to_vec();
    assert_eq!(sorted("title"), texts([None, Some("B"), Some("a"), Some("b")]));
    assert_eq!(
        sorted("title desc"),
        texts([Some("b"), Some("a"), Some("B"), None])
    );
    assert_eq!(
        sorted("tolower(title)"),
        texts([None, Some("a"), Some("b"), Some("B")])
    );
}

#[test]
fn rows_sort_by_what_their_types_compare() {
    let schema = schema();
    let compare = |order_text: &str, left: Vec<Value<'static>>, right: Vec<Value<'static>>| {
        let order = order(order_text).expect(order_text);
        order.compare(&order.values(&left, &schema), &order.values(&right, &schema))
    };
    let release = |parts| row(vec![("release", Value::Version(Version(parts)))]);
    assert_eq!(
        compare("release", release([16, 0, 9, 0]), release([16, 0, 10, 0])),
        Ordering::Less
    );
    let region =
        |text: &'static str, id| row(vec![("region", Value::text(text)), ("id", Value::Guid(Guid(id)))]);
    assert_eq!(
        compare("region", region("de", 2), region("DE", 1)),
        Ordering::Greater
    );
    assert_eq!(
        compare("region", region("at", 2), region("DE", 1)),
        Ordering::Less
    );
    let tags = |items: &[&'static str]| row(vec![("tags", texts(items))]);
    assert_eq!(
        compare("tags/$count desc", tags(&["a"]), tags(&["a", "b"])),
        Ordering::Greater
    );
    let hidden = |value| row(vec![("hidden", Value::Boolean(value))]);
    assert_eq!(compare("hidden", hidden(false), hidden(true)), Ordering::Less);
}

#[test]
fn selections_keep_the_key() {
    let select = |text: &str| Select::parse(text, &schema());
    let chosen = select("stock, TITLE,stock").expect("a selection");
    assert_eq!(chosen.context(&schema()).as_deref(), Some("id,title,stock"));
    assert!(chosen.includes(0) && chosen.includes(1) && !chosen.includes(2));
    assert_eq!(select("title,*"), Ok(Select::All));
    assert!(Select::All.includes(3) && Select::All.context(&schema()).is_none());
    for (text, position) in [
        ("", 0),
        ("title,", 6),
        ("title,missing", 6),
        ("parts/partId", 0),
        ("title desc", 0),
    ] {
        let error = select(text).expect_err(text);
        assert_eq!(
            (error.code, error.position),
            (ErrorCode::InvalidQueryOption, Some(position)),
            "{text}: {error}"
        );
    }
}

#[test]
fn paging_tokens_belong_to_one_query() {
    let schema = schema();
    let order = order("release desc,title,added,stock,hidden,warranty,opens,since,colour,region,tags/$count")
        .expect("an order");
    let row = row(vec![
        ("id", Value::Guid(Guid(u128::MAX - 5))),
        ("release", Value::Version(Version([16, 0, 2_147_483_647, 0]))),
        ("title", Value::text("Stühle\n'")),
        ("added", Value::Instant(Instant::from_ticks(-1))),
        ("stock", Value::integer(i64::MIN)),
        ("hidden", Value::Boolean(true)),
        ("warranty", Value::Duration(Duration::from_nanos(-300))),
        ("since", Value::Date(Date::new(1968, 11, 27).expect("a day"))),
        (
            "opens",
            Value::TimeOfDay(TimeOfDay::new(8, 30, 15, 7).expect("a time")),
        ),
        ("colour", Value::Flags(5)),
        ("region", Value::text("de")),
        ("tags", texts(&["a", "b"])),
    ]);
    let token = SkipToken {
        values: order.values(&row, &schema),
        remaining_top: Some(40),
    };
    let options = parsed(
        "$filter=stock gt 1&$orderby=title&@p=1"
            .replace(' ', "+")
            .as_str(),
    );
    let text = token.encode(options.fingerprint("/products"));
    assert!(
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'),
        "{text}"
    );
    let decode = |text: &str, fingerprint| SkipToken::decode(text, fingerprint, &order, &schema);
    assert_eq!(decode(&text, options.fingerprint("/products")), Ok(token.clone()));

    for other in [
        "$filter=stock+gt+2&$orderby=title&@p=1",
        "$filter=stock+gt+1&$orderby=titl&@p=1",
        "$filter=stock+gt+1&$orderby=title&@p=2",
    ] {
        assert!(
            decode(&text, parsed(other).fingerprint("/products")).is_err(),
            "{other}"
        );
    }
    assert!(decode(&text, options.fingerprint("/shops")).is_err());
    let fingerprint = options.fingerprint("/products");
    for wrong in [
        "",
        "A",
        "AAAA",
        "!",
        &text[..text.len() - 4],
        &format!("{text}AAAA"),
        &format!("AA{}", &text[2..]),
    ] {
        let error = decode(wrong, fingerprint).expect_err(wrong);
        assert_eq!(
            (error.code, error.target.as_str()),
            (ErrorCode::InvalidQueryOption, "$skiptoken")
        );
    }
    let shorter = OrderBy {
        terms: order.terms[1..].to_vec(),
    };
    assert!(SkipToken::decode(&text, fingerprint, &shorter, &schema).is_err());
    let unlimited = SkipToken {
        values: vec![Value::Null; order.terms.len()],
        remaining_top: None,
    };
    assert_eq!(decode(&unlimited.encode(1), 1), Ok(unlimited));
}

#[test]
fn fingerprints_stay_the_same_between_releases() {
    let options = parsed("$filter=title+eq+'x'");
    assert_eq!(
        format!("{:016x}", options.fingerprint("/v1.0/apps")),
        "9106f3fff9679138"
    );
}

#[test]
fn next_links_keep_the_options_as_meant() {
    assert_eq!(next_link_query("", "T"), "$skiptoken=T");
    assert_eq!(
        next_link_query("$filter=a%20eq+1&&top=5", "T"),
        "$filter=a%20eq%201&top=5&$skiptoken=T",
        "a plus that somebody encodes again would be another filter"
    );
    assert_eq!(
        next_link_query("%24SkipToken=old&x=%zz&skiptoken=old", "T"),
        "x=%zz&$skiptoken=T"
    );
}

#[test]
fn a_link_leads_on_when_its_pluses_are_encoded_again() {
    let sent = "$filter=title+eq+%27a%2Bb%27&$orderby=stock+desc";
    let link = next_link_query(sent, "T");
    for followed in [link.clone(), link.replace('+', "%2B")] {
        let mut followed = parsed(&followed);
        followed.skip_token = None;
        assert_eq!(
            followed.fingerprint("/products"),
            parsed(sent).fingerprint("/products")
        );
    }
}

#[test]
fn page_sizes_are_asked_for_by_preference() {
    for (headers, size) in [
        (vec!["odata.maxpagesize=10"], Some(10)),
        (vec!["maxpagesize=10"], Some(10)),
        (
            vec!["respond-async, OData.MaxPageSize = \"7\"; x=y , maxpagesize=9"],
            Some(7),
        ),
        (vec!["return=minimal", "odata.maxpagesize=3"], Some(3)),
        (vec!["odata.maxpagesize=20001"], Some(20_000)),
        (vec!["odata.maxpagesize=99999999999999999999"], Some(20_000)),
        (vec!["odata.maxpagesize=0"], None),
        (vec!["odata.maxpagesize=-1"], None),
        (vec!["odata.maxpagesize="], None),
        (vec!["odata.maxpagesize"], None),
        (vec!["odata.maxpagesize=x, maxpagesize=5"], Some(5)),
        (vec!["x.maxpagesize=5"], None),
        (vec![], None),
    ] {
        assert_eq!(
            max_page_size(headers.iter().copied(), 20_000),
            size,
            "{headers:?}"
        );
    }
}
