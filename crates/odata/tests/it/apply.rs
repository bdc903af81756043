//! `$apply`: what is understood of it, what is not implemented, and what is wrong where.

use crate::shop::schema;
use odata::*;

fn parse(text: &str) -> Result<Apply, QueryError> {
    Apply::parse(text, &schema(), &Aliases::default(), &Limits::default())
}

/// The names of the groups' properties, those of the key marked by an asterisk.
fn made(text: &str) -> Vec<String> {
    let groups = parse(text).expect(text).schema(&schema());
    let names = groups.properties.iter().enumerate();
    names
        .map(|(index, property)| match groups.keys.contains(&index) {
            true => format!("{}*", property.name),
            false => property.name.clone(),
        })
        .collect()
}

#[test]
fn rows_are_grouped_and_counted() {
    assert_eq!(made("groupby((region))"), ["region*"]);
    assert_eq!(
        made("groupby((stock,region),aggregate($count as n))"),
        ["stock*", "region*", "n"]
    );
    assert_eq!(
        made(" GroupBy ( ( Region , release ) , Aggregate( $Count  AS  how_many ) ) "),
        ["region*", "release*", "how_many"]
    );
}

#[test]
fn a_filter_stands_before_it() {
    let apply = parse("filter(title eq 'it''s ) 1' and (stock gt 2))/groupby((region))").expect("a filter");
    let filter = apply.filter.expect("a filter");
    let row = |title: &'static str| {
        crate::shop::row(vec![("title", Value::text(title)), ("stock", Value::integer(3))])
    };
    let now = Instant::from_ticks(0);
    assert_eq!(filter.matches(&row("it's ) 1"), now), Ok(true));
    assert_eq!(filter.matches(&row("its ) 1"), now), Ok(false));
    assert!(parse("groupby((region))").expect("no filter").filter.is_none());
}

#[test]
fn a_filter_may_name_aliases() {
    let raw = "$apply=filter(stock eq @p)/groupby((region))&@p=3";
    let options = Options::parse(raw, Resource::Collection, false, &Limits::default()).expect("options");
    let text = options.apply.expect("the option");
    let apply = Apply::parse(&text, &schema(), &options.aliases, &Limits::default());
    assert!(apply.expect("an alias").filter.is_some());
}

#[test]
fn what_the_extension_has_besides_is_not_implemented() {
    for (text, position) in [
        ("aggregate($count as n)", 0),
        ("filter(stock gt 1)", 18),
        ("filter(stock gt 1)/filter(stock gt 2)/groupby((region))", 19),
        ("groupby((region),aggregate(stock with sum as total))", 27),
        ("groupby((region),aggregate($count as n,$count as m))", 39),
        ("groupby((region),filter(stock gt 1))", 17),
        ("groupby((rollup(region,line)))", 9),
        ("groupby((parts/partId))", 9),
        ("groupby((region))/aggregate($count as n)", 18),
        ("topcount(2,stock)", 0),
        ("concat(groupby((region)),identity)", 0),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(
            (error.code.status(), error.position),
            (501, Some(position)),
            "{text}: {error}"
        );
        assert_eq!(error.target, "$apply");
        assert!(error.message.contains("write groupby("), "{error}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, code, position) in [
        ("", ErrorCode::InvalidQueryOption, 0),
        ("groupby", ErrorCode::InvalidQueryOption, 7),
        ("groupby(region)", ErrorCode::InvalidQueryOption, 8),
        ("groupby(())", ErrorCode::InvalidQueryOption, 9),
        ("groupby((Ümlaut))", ErrorCode::InvalidQueryOption, 9),
        (
            "groupby((region,colour,REGION))",
            ErrorCode::InvalidQueryOption,
            23,
        ),
        ("groupby((tags))", ErrorCode::InvalidQueryOption, 9),
        ("groupby((parts))", ErrorCode::InvalidQueryOption, 9),
        ("groupby((photo))", ErrorCode::InvalidQueryOption, 9),
        ("groupby((region)", ErrorCode::InvalidQueryOption, 16),
        ("groupby((region)))", ErrorCode::InvalidQueryOption, 17),
        (
            "groupby((region),aggregate($count as))",
            ErrorCode::InvalidQueryOption,
            36,
        ),
        (
            "groupby((region),aggregate($count as 1))",
            ErrorCode::InvalidQueryOption,
            37,
        ),
        (
            "groupby((region),aggregate($count as Stock))",
            ErrorCode::InvalidQueryOption,
            37,
        ),
        (
            "groupby((id,title,region,line,release,stock,price,hidden,added))",
            ErrorCode::InvalidQueryOption,
            57,
        ),
        (
            "filter(stock gt 1/groupby((region))",
            ErrorCode::InvalidQueryOption,
            7,
        ),
        ("filter(stock gt)/groupby((region))", ErrorCode::InvalidFilter, 15),
        ("filter(stok gt 1)/groupby((region))", ErrorCode::InvalidFilter, 7),
        (
            "filter('ü' eq title and stok gt 1)/groupby((region))",
            ErrorCode::InvalidFilter,
            24,
        ),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(
            (error.code, error.position),
            (code, Some(position)),
            "{text}: {error}"
        );
        assert_eq!(error.target, "$apply");
    }
}

#[test]
fn it_applies_to_lists_alone() {
    let of = |resource| {
        let parsed = Options::parse("$apply=groupby((a))", resource, false, &Limits::default());
        parsed.map(|options| options.apply).map_err(|error| error.code)
    };
    assert_eq!(of(Resource::Collection), Ok(Some("groupby((a))".into())));
    for resource in [Resource::Entity, Resource::Count, Resource::Metadata] {
        assert_eq!(of(resource), Err(ErrorCode::InvalidQueryOption));
    }
}
