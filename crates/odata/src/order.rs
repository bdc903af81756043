//! `$orderby` and `$select`, bound to a schema.
//!
//! An order always ends with the entity's key: OData demands that `$top` and `$skip` see a stable order, and paging
//! continues behind a row that it must be able to tell from every other.

use crate::error::{ErrorCode, QueryError};
use crate::eval::Row;
use crate::limits::Limits;
use crate::parser::parse_filter;
use crate::schema::{self, Scalar, Schema, Type};
use crate::value::Value;
use std::{cmp::Ordering, collections::BTreeSet};

/// The order of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// From the most to the least significant; no key occurs twice.
    pub terms: Vec<OrderTerm>,
}

/// One criterion. Null comes first ascending, last descending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderTerm {
    /// What is compared.
    pub key: OrderKey,
    /// From the greatest to the least.
    pub descending: bool,
}

/// What an order compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKey {
    /// A property, as its type compares.
    Property(usize),
    /// The lower case of a text property, by code point.
    Lower(usize),
    /// The number of items of a collection.
    Count(usize),
}

impl OrderBy {
    /// Reads `$orderby` and appends the schema's keys.
    ///
    /// # Errors
    /// `InvalidQueryOption` for what is not a property that has an order; `NotImplemented` for other expressions.
    pub fn parse(text: &str, schema: &Schema, limits: &Limits) -> Result<OrderBy, QueryError> {
        if text.len() > limits.bytes {
            let message = format!("The order is longer than {} bytes.", limits.bytes);
            return Err(QueryError::option("$orderby", message));
        }
        let mut terms = Vec::new();
        let mut position = 0;
        for part in split_terms(text) {
            terms.push(parse_term(part, position, schema, limits)?);
            position += part.chars().count() + 1;
        }
        Ok(OrderBy::new(terms, schema))
    }

    /// An order by these terms and then by the schema's keys. A key that occurs again further back is left out.
    pub fn new(terms: Vec<OrderTerm>, schema: &Schema) -> OrderBy {
        let keys = schema.keys.iter().map(|key| OrderTerm {
            key: OrderKey::Property(*key),
            descending: false,
        });
        let mut unique: Vec<OrderTerm> = Vec::new();
        for term in terms.into_iter().chain(keys) {
            if !unique.iter().any(|earlier| earlier.key == term.key) {
                unique.push(term);
            }
        }
        OrderBy { terms: unique }
    }

    /// What the row is ordered by: one value per term, texts in their normal forms.
    pub fn values(&self, row: &impl Row, schema: &Schema) -> Vec<Value<'static>> {
        self.terms
            .iter()
            .map(|term| term.key.value(row, schema))
            .collect()
    }

    /// Compares two rows by their [`OrderBy::values`].
    pub fn compare(&self, left: &[Value], right: &[Value]) -> Ordering {
        for (term, (left, right)) in self.terms.iter().zip(left.iter().zip(right)) {
            let ascending = compare_values(left, right);
            let order = if term.descending {
                ascending.reverse()
            } else {
                ascending
            };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }
}

impl OrderKey {
    /// The type of the values that are compared.
    pub fn scalar(self, schema: &Schema) -> Scalar {
        match self {
            OrderKey::Count(_) => Scalar::Int,
            OrderKey::Lower(_) => Scalar::String,
            OrderKey::Property(index) => match schema.properties.get(index).map(|property| &property.ty) {
                Some(Type::Scalar(scalar)) => *scalar,
                _ => Scalar::String,
            },
        }
    }

    fn value(self, row: &impl Row, schema: &Schema) -> Value<'static> {
        let scalar = self.scalar(schema);
        match (self, self.fetch(row), scalar) {
            (OrderKey::Count(_), Value::List(items), _) => Value::count(items.len()),
            (OrderKey::Count(_), ..) => Value::integer(0),
            (OrderKey::Lower(_), Value::Text(text), _) => Value::text(text.to_lowercase()),
            (OrderKey::Lower(_), Value::Version(version), _) => Value::text(version.to_string()),
            (_, Value::Text(text), Scalar::Folded(fold)) => Value::text((fold.apply)(&text)),
            (_, value, _) => value.into_owned(),
        }
    }

    fn fetch(self, row: &impl Row) -> Value<'_> {
        let (OrderKey::Property(index) | OrderKey::Lower(index) | OrderKey::Count(index)) = self;
        row.value(index)
    }
}

/// Null before everything; values of one type by their order.
fn compare_values(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        _ => crate::compare::order(left, right, 0)
            .ok()
            .flatten()
            .unwrap_or(Ordering::Equal),
    }
}

/// Splits at commas outside parentheses.
fn split_terms(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    text.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
}

const BLANKS: [char; 2] = [' ', '\t'];

fn parse_term(
    part: &str,
    position: usize,
    schema: &Schema,
    limits: &Limits,
) -> Result<OrderTerm, QueryError> {
    let trimmed = part.trim_start_matches(BLANKS);
    let position = position + part.len() - trimmed.len();
    let trimmed = trimmed.trim_end_matches(BLANKS);
    let (expression, descending) = match trimmed.rsplit_once(BLANKS) {
        Some((expression, word)) if word.eq_ignore_ascii_case("asc") => (expression, false),
        Some((expression, word)) if word.eq_ignore_ascii_case("desc") => (expression, true),
        _ => (trimmed, false),
    };
    let expression = expression.trim_end_matches(BLANKS);
    if expression.is_empty() {
        return Err(wrong(position, "Expected a property"));
    }
    let key = parse_key(expression, position, schema, limits)?;
    Ok(OrderTerm { key, descending })
}

fn parse_key(
    expression: &str,
    position: usize,
    schema: &Schema,
    limits: &Limits,
) -> Result<OrderKey, QueryError> {
    if let Some(name) = expression.strip_suffix("/$count") {
        return collection_count(name, position, schema);
    }
    if let Some(argument) = lower_argument(expression) {
        return lower(argument, position, schema);
    }
    let is_name = expression.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_name {
        return Err(not_a_key(expression, position, limits));
    }
    let (index, ty) = find(expression, position, schema)?;
    match ty {
        Type::Scalar(Scalar::Binary) => Err(wrong(
            position,
            format!("`{expression}` is binary data and has no order"),
        )),
        Type::Scalar(_) => Ok(OrderKey::Property(index)),
        _ => {
            let message =
                format!("`{expression}` is a collection and has no order; write {expression}/$count");
            Err(wrong(position, message))
        }
    }
}

/// The property inside `tolower( … )`.
fn lower_argument(expression: &str) -> Option<&str> {
    let (function, rest) = expression.split_once('(')?;
    let argument = rest.strip_suffix(')')?;
    function
        .eq_ignore_ascii_case("tolower")
        .then(|| argument.trim_matches(BLANKS))
}

fn lower(name: &str, position: usize, schema: &Schema) -> Result<OrderKey, QueryError> {
    let (index, ty) = find(name, position, schema)?;
    match ty {
        Type::Scalar(scalar) if scalar.is_textual() => Ok(OrderKey::Lower(index)),
        _ => Err(wrong(
            position,
            format!("`tolower` needs a string, and `{name}` is none"),
        )),
    }
}

fn collection_count(name: &str, position: usize, schema: &Schema) -> Result<OrderKey, QueryError> {
    let (index, ty) = find(name, position, schema)?;
    match ty {
        Type::Scalar(_) => Err(wrong(
            position,
            format!("`{name}` is not a collection and has no count"),
        )),
        _ => Ok(OrderKey::Count(index)),
    }
}

fn find<'s>(name: &str, position: usize, schema: &'s Schema) -> Result<(usize, &'s Type), QueryError> {
    let message = || {
        format!(
            "There is no property `{}` on {}",
            crate::literal::word(name),
            schema.name
        )
    };
    let found = schema::find(&schema.properties, name).map(|(index, property)| (index, &property.ty));
    found.ok_or_else(|| wrong(position, message()))
}

/// Tells an expression that OData would order by from nonsense.
fn not_a_key(expression: &str, position: usize, limits: &Limits) -> QueryError {
    match parse_filter(expression, limits) {
        Ok(_) => {
            let message = "Ordering by anything but a property, tolower(property) or collection/$count is not supported";
            QueryError::at(ErrorCode::NotImplemented, "$orderby", position, message)
        }
        Err(_) => wrong(position, "Expected a property with `asc` or `desc` or neither"),
    }
}

fn wrong(position: usize, what: impl std::fmt::Display) -> QueryError {
    QueryError::at(ErrorCode::InvalidQueryOption, "$orderby", position, what)
}

/// The properties that an answer shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// All of them.
    All,
    /// These, keys included, in the order of the schema.
    Only(Vec<usize>),
}

impl Select {
    /// Reads `$select`: names, or `*`.
    ///
    /// # Errors
    /// `InvalidQueryOption` for an unknown name.
    pub fn parse(text: &str, schema: &Schema) -> Result<Select, QueryError> {
        let mut chosen: BTreeSet<usize> = schema.keys.iter().copied().collect();
        let mut all = false;
        let mut position = 0;
        for item in text.split(',') {
            let name = item.trim_matches(BLANKS);
            match (name, schema.find(name)) {
                ("*", _) => all = true,
                (_, Some(index)) => drop(chosen.insert(index)),
                ("", None) => return Err(unknown_selection(position, "Expected a property")),
                (_, None) => {
                    let message = format!(
                        "There is no property `{}` on {}",
                        crate::literal::word(name),
                        schema.name
                    );
                    return Err(unknown_selection(position, &message));
                }
            }
            position += item.chars().count() + 1;
        }
        Ok(match all {
            true => Select::All,
            false => Select::Only(chosen.into_iter().collect()),
        })
    }

    /// Whether an answer shows this property.
    pub fn includes(&self, property: usize) -> bool {
        match self {
            Select::All => true,
            Select::Only(properties) => properties.contains(&property),
        }
    }

    /// The list for a context URL, such as `id,publisher`; `None` when everything is shown.
    pub fn context(&self, schema: &Schema) -> Option<String> {
        let Select::Only(properties) = self else {
            return None;
        };
        let names: Vec<&str> = properties
            .iter()
            .filter_map(|index| schema.properties.get(*index))
            .map(|property| property.name.as_str())
            .collect();
        Some(names.join(","))
    }
}

fn unknown_selection(position: usize, what: &str) -> QueryError {
    QueryError::at(ErrorCode::InvalidQueryOption, "$select", position, what)
}
