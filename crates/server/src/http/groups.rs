//! Lists in groups: rows counted by what they have in common, as `$apply` asks for it.
//!
//! There are few, so the answer is made in one piece. A group is no entity: it has no key of its own, no tag and no address.

use super::{
    answer::{csv, json},
    extract::RequestContext,
};
use crate::{
    actions::listing::{self, ListScope},
    error::Result,
};
use axum::{body::Body, http::StatusCode, response::Response};
use domain::instant::Instant;
use serde_json::{Map, Value as Json};
use store::{
    FromRow,
    list::{EntitySet, GroupRequest, Groups},
};
use uuid::Uuid;
use wire::{
    ResponseFormat,
    csv::{cell, line},
};

/// The groups of a list.
pub(super) async fn send_groups<T: FromRow>(
    context: &RequestContext,
    scope: ListScope<'_>,
    (entity_set, fragment): (&'static EntitySet<T>, &str),
    request: GroupRequest,
) -> Result<Response> {
    context.preconditions.check_untagged()?;
    let properties = request.schema.properties.iter();
    let names: Vec<String> = properties.map(|property| property.name.clone()).collect();
    let counted = request.counted().map(str::to_owned);
    let groups = listing::groups(context.service(), scope, entity_set, request).await?;
    if context.info.wants_csv {
        return Ok(csv(Body::from(as_csv(&names, &groups))));
    }
    let format = context.info.format;
    let mut answer = Map::new();
    if format == ResponseFormat::OData {
        let url = context.context_url(&format!("{fragment}({})", names.join(",")));
        answer.insert("@odata.context".to_owned(), url.into());
    }
    if let Some(count) = groups.count {
        answer.insert("@odata.count".to_owned(), count.into());
    }
    let rows = groups
        .rows
        .iter()
        .map(|row| as_json(&names, counted.as_deref(), row, format));
    answer.insert("value".to_owned(), rows.collect());
    let body = Json::Object(answer).to_string();
    Ok(json(format, StatusCode::OK, Body::from(body)))
}

fn as_csv(names: &[String], groups: &Groups) -> Vec<u8> {
    let mut out = Vec::new();
    line(names.iter(), &mut out, |name, out| {
        out.extend_from_slice(name.as_bytes())
    });
    for row in &groups.rows {
        line(row.iter().map(shown), &mut out, |value, out| {
            if !value.is_null() {
                cell(value.to_string().as_bytes(), out);
            }
        });
    }
    out
}

/// A group as an object. Bare, what has no value is left out; in OData's format it is null, the group says that it has no
/// address, and its number, whose type nobody has declared, says what it is.
fn as_json(
    names: &[String],
    counted: Option<&str>,
    row: &[odata::Value<'_>],
    format: ResponseFormat,
) -> Json {
    let is_bare = format == ResponseFormat::Bare;
    let mut object = Map::new();
    if !is_bare {
        object.insert("@odata.id".to_owned(), Json::Null);
    }
    for (name, value) in names.iter().zip(row.iter().map(shown)) {
        if is_bare && value.is_null() {
            continue;
        }
        if !is_bare && counted == Some(name.as_str()) {
            object.insert(format!("{name}@odata.type"), "#Decimal".into());
        }
        object.insert(name.clone(), value);
    }
    object.into()
}

/// A value as entities show it.
fn shown(value: &odata::Value<'_>) -> Json {
    match value {
        odata::Value::Boolean(value) => (*value).into(),
        odata::Value::Number(number) => number.to_i64().into(),
        odata::Value::Text(text) => text.as_ref().into(),
        odata::Value::Guid(id) => Uuid::from_u128(id.0).to_string().into(),
        odata::Value::Version(version) => version.to_string().into(),
        odata::Value::Instant(instant) => Instant(instant.to_ticks().0).to_string().into(),
        // Nothing else is grouped by.
        _ => Json::Null,
    }
}
