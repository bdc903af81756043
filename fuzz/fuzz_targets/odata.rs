//! The query string of a request, from its raw bytes to a row that is kept or not.
//!
//! Whatever is sent must end in a value or a refusal: no panic, no overflowing stack, no endless work. A refusal must
//! point into the text that it is about.

#![no_main]

use libfuzzer_sys::fuzz_target;
use odata::*;
use std::sync::LazyLock;

static COLOURS: Enumeration = Enumeration { name: "Shop.Colour", members: &[("Red", 1), ("Blue", 4)] };

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let upper = Fold { name: "upper", apply: |text| text.to_uppercase() };
    let part = vec![
        Property::new("partId", Scalar::Guid),
        Property::new("minimum", Scalar::Version),
        Property::new("labels", Type::Collection(Scalar::String)),
    ];
    let properties = vec![
        Property::new("id", Scalar::Guid),
        Property::new("title", Scalar::String),
        Property::new("region", Scalar::Folded(upper)),
        Property::new("release", Scalar::Version),
        Property::new("stock", Scalar::Int),
        Property::new("price", Scalar::Decimal),
        Property::new("hidden", Scalar::Boolean),
        Property::new("added", Scalar::DateTimeOffset),
        Property::new("warranty", Scalar::Duration),
        Property::new("colour", Scalar::Enumeration(&COLOURS)),
        Property::new("tags", Type::Collection(Scalar::String)),
        Property::new("parts", Type::Complex(part)),
    ];
    Schema::new("product", properties, &["id"])
});

fn row() -> Vec<Value<'static>> {
    let labels = Value::List(vec![Value::text("new"), Value::text("old")]);
    let part = Value::Record(vec![Value::Guid(Guid(2)), Value::Version(Version([1, 2, 3, 4])), labels.clone()]);
    vec![
        Value::Guid(Guid(1)),
        Value::text("Stühle 🪑"),
        Value::text("de"),
        Value::Version(Version([16, 0, 1, 2])),
        Value::integer(7),
        Value::Null,
        Value::Boolean(true),
        Value::Instant(Instant::from_ticks(16_000_000_000_000_000)),
        Value::Duration(Duration::from_hours(24)),
        Value::Flags(5),
        labels,
        Value::List(vec![part]),
    ]
}

/// Reads, binds and evaluates; gives back where a refusal points.
fn run_filter(text: &str, aliases: &Aliases) -> Result<bool, QueryError> {
    let limits = Limits::default();
    let filter = bind_filter(&parse_filter(text, &limits)?, &SCHEMA, aliases, &limits)?;
    let now = Instant::from_ticks(17_000_000_000_000_000);
    filter.matches(&row(), now).map_err(|error| error.as_query_error().expect("the row fits its schema"))
}

fn check_filter(text: &str, aliases: &Aliases) {
    let Err(error) = run_filter(text, aliases) else { return };
    if error.target == "$filter" {
        assert!(error.position.is_none_or(|position| position <= text.chars().count()), "{error}");
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_filter(text, &Aliases::default());
    max_page_size([text], 20_000);
    next_link_query(text, "token");
    let Ok(options) = Options::parse(text, Resource::Collection, true, &Limits::default()) else { return };
    check_filter(options.filter.as_deref().unwrap_or("true"), &options.aliases);
    let _ = Select::parse(options.select.as_deref().unwrap_or("*"), &SCHEMA);
    let order = OrderBy::parse(options.order_by.as_deref().unwrap_or("title"), &SCHEMA, &Limits::default());
    let Ok(order) = order else { return };
    let fingerprint = options.fingerprint("/products");
    let _ = SkipToken::decode(options.skip_token.as_deref().unwrap_or(""), fingerprint, &order, &SCHEMA);
    let token = SkipToken { values: order.values(&row(), &SCHEMA), remaining_top: options.top };
    assert_eq!(SkipToken::decode(&token.encode(fingerprint), fingerprint, &order, &SCHEMA), Ok(token));
});
