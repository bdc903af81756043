//! The schema that the tests bind to: an imaginary shop's products, with a property of every type.

use odata::*;

pub(crate) static COLOURS: Enumeration = Enumeration {
    name: "Shop.Colour",
    members: &[("Red", 1), ("Green", 2), ("Blue", 4)],
};

pub(crate) const UPPER: Fold = Fold {
    name: "upper",
    apply: |text| text.to_uppercase(),
};

pub(crate) const COMPACT: Fold = Fold {
    name: "compact",
    apply: |text| text.replace(' ', "").to_lowercase(),
};

pub(crate) fn schema() -> Schema {
    let part = vec![
        Property::new("partId", Scalar::Guid),
        Property::new("minimum", Scalar::Version),
        Property::new("brokenFrom", Scalar::Version).nullable(),
        Property::new("labels", Type::Collection(Scalar::String)),
    ];
    let properties = vec![
        Property::new("id", Scalar::Guid),
        Property::new("title", Scalar::String).nullable(),
        Property::new("region", Scalar::Folded(UPPER)).nullable(),
        Property::new("line", Scalar::Folded(COMPACT)).nullable(),
        Property::new("release", Scalar::Version).nullable(),
        Property::new("stock", Scalar::Int).nullable(),
        Property::new("price", Scalar::Decimal).nullable(),
        Property::new("hidden", Scalar::Boolean).nullable(),
        Property::new("added", Scalar::DateTimeOffset).nullable(),
        Property::new("since", Scalar::Date).nullable(),
        Property::new("opens", Scalar::TimeOfDay).nullable(),
        Property::new("warranty", Scalar::Duration).nullable(),
        Property::new("colour", Scalar::Enumeration(&COLOURS)).nullable(),
        Property::new("photo", Scalar::Binary).nullable(),
        Property::new("tags", Type::Collection(Scalar::String)),
        Property::new("markets", Type::Collection(Scalar::Folded(UPPER))),
        Property::new("parts", Type::Complex(part)),
        Property::new("in", Scalar::Boolean).nullable(),
    ];
    Schema::new("product", properties, &["id"])
}

/// A row of nulls and empty collections in which some properties are set.
pub(crate) fn row(set: Vec<(&str, Value<'static>)>) -> Vec<Value<'static>> {
    let schema = schema();
    let mut values = vec![Value::Null; schema.properties.len()];
    for (name, value) in set {
        values[schema.find(name).expect("a property of the schema")] = value;
    }
    values
}

pub(crate) fn texts(items: &[&'static str]) -> Value<'static> {
    Value::List(items.iter().map(|item| Value::text(*item)).collect())
}

pub(crate) fn instant(text: &str) -> Instant {
    let filter = bind(&format!("added eq {text}")).expect("an instant");
    let literal = filter.nodes().iter().find_map(|node| match &node.expression {
        Expression::Literal(Value::Instant(instant)) => Some(*instant),
        _ => None,
    });
    literal.expect("an instant")
}

pub(crate) fn bind(text: &str) -> Result<Filter, QueryError> {
    bind_with(text, &Aliases::default())
}

pub(crate) fn bind_with(text: &str, aliases: &Aliases) -> Result<Filter, QueryError> {
    let limits = Limits::default();
    bind_filter(&parse_filter(text, &limits)?, &schema(), aliases, &limits)
}
