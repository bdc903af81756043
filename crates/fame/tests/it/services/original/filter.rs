//! `$filter` as the documents call it: an OData filter over the properties of an entity, in which a version is a text.

use super::books::Refused;
use odata::{
    Aliases, Instant, Limits, Property, Scalar, Schema, Type, Value as Operand, bind_filter, parse_filter,
};
use serde_json::Value;

/// A property and its type, as documented.
pub(super) type Documented = (&'static str, Kind);

/// The documented types that matter to a filter.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Id,
    Number,
    Truth,
    Texts,
}

use Kind::{Id, Number, Text, Texts, Truth};

pub(super) const APP: &[Documented] = &[
    ("id", Id),
    ("publisher", Text),
    ("publisherAadTenantId", Id),
    ("publisherContactEmail", Text),
    ("storageLocation", Text),
];
pub(super) const PRINCIPAL: &[Documented] =
    &[("aadTenantId", Id), ("id", Id), ("roles", Texts), ("type", Text)];
pub(super) const VERSION: &[Documented] = &[
    ("appId", Id),
    ("availability", Text),
    ("buildVersion", Number),
    ("countryCode", Text),
    ("majorVersion", Number),
    ("minorVersion", Number),
    ("name", Text),
    ("packageId", Id),
    ("publisher", Text),
    ("revisionVersion", Number),
    ("status", Text),
    ("uploadedOn", Text),
    ("version", Text),
];
pub(super) const ENVIRONMENT: &[Documented] = &[
    ("aadTenantId", Id),
    ("appId", Id),
    ("applicationFamily", Text),
    ("countryCode", Text),
    ("locationName", Text),
    ("name", Text),
    ("type", Text),
    ("version", Text),
];
pub(super) const HOTFIX: &[Documented] = &[
    ("appId", Id),
    ("completedOn", Text),
    ("countryCode", Text),
    ("createdOn", Text),
    ("environmentAadTenantId", Id),
    ("environmentApplicationFamily", Text),
    ("environmentName", Text),
    ("errorMessage", Text),
    ("id", Id),
    ("ignoreUpgradeWindow", Truth),
    ("runAfter", Text),
    ("sourceAppVersion", Text),
    ("startedOn", Text),
    ("status", Text),
    ("targetAppVersion", Text),
];

/// The rows for which the query's filter holds; every other option is refused.
pub(super) fn filtered(rows: Vec<Value>, properties: &[Documented], query: &str) -> Result<Value, Refused> {
    let refuse = |message: String| Refused(400, "BadRequest", message);
    let mut rows = rows;
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let name = decoded(name);
        if name != "$filter" {
            return Err(refuse(format!("The query option '{name}' is not supported.")));
        }
        let schema = Schema::new("row", properties.iter().map(property).collect(), &[]);
        let limits = Limits::default();
        let filter = parse_filter(&decoded(value), &limits)
            .and_then(|parsed| bind_filter(&parsed, &schema, &Aliases::default(), &limits))
            .map_err(|error| refuse(error.to_string()))?;
        let mut kept = Vec::new();
        for row in rows {
            let operands: Vec<Operand<'_>> = properties.iter().map(|known| operand(&row, *known)).collect();
            let holds = filter.matches(&operands, Instant::from_ticks(0));
            if holds.map_err(|error| refuse(error.to_string()))? {
                kept.push(row);
            }
        }
        rows = kept;
    }
    Ok(serde_json::json!({ "value": rows }))
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text)
        .decode_utf8_lossy()
        .into_owned()
}

fn property((name, kind): &Documented) -> Property {
    let ty: Type = match kind {
        Text => Scalar::String.into(),
        Id => Scalar::Guid.into(),
        Number => Scalar::Int.into(),
        Truth => Scalar::Boolean.into(),
        Texts => Type::Collection(Scalar::String),
    };
    Property::new(name, ty)
}

fn operand(row: &Value, (name, kind): Documented) -> Operand<'static> {
    let value = &row[name];
    match kind {
        Text => Operand::or_null(value.as_str()).into_owned(),
        Id => Operand::or_null(value.as_str().and_then(odata::Guid::parse)),
        Number => Operand::or_null(value.as_i64()),
        Truth => Operand::from(value.as_bool().unwrap_or_default()),
        Texts => {
            let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            Operand::List(texts.map(|text| Operand::text(text.to_owned())).collect())
        }
    }
}
