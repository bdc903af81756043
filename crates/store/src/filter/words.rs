//! Words that a row has any number of, each on a line of one column, so that a condition on one of them is a search for its
//! line.

use super::{
    fragment::{Fragment, Yields},
    translator::{Translation, Translator},
};
use crate::list::entity_set::ColumnType;
use domain::text::control_in;
use odata::{Comparison, Expression, NodeId, Quantifier, Reference, Value};
use std::collections::BTreeSet;

/// Words a condition may name before it is left to the memory.
const MOST: usize = 100;

/// `'x' in tags`, and `tags/any(…)` where the word is compared with others for being the same.
pub(crate) fn membership(
    translator: &mut Translator<'_>,
    source: Reference,
    id: NodeId,
) -> Option<Translation> {
    let column = column(translator, source)?;
    let wanted = match &translator.filter.node(id).expression {
        Expression::InCollection { operand, .. } => constants(translator, &[*operand])?,
        Expression::Lambda {
            quantifier: Quantifier::Any,
            body: None,
            ..
        } => {
            let is_there = Fragment::column(column, Yields::Truth, false).sql(" <> ''");
            return Some(Translation::Sql(is_there));
        }
        Expression::Lambda {
            quantifier: Quantifier::Any,
            variable,
            body: Some(body),
            ..
        } => named(translator, *variable, *body)?,
        _ => return None,
    };
    (wanted.len() <= MOST).then(|| Translation::Sql(one_of(translator, column, wanted)))
}

fn column(translator: &Translator<'_>, source: Reference) -> Option<&'static str> {
    let Reference::Property(property) = source else {
        return None;
    };
    let mapping = translator.mapping(property)?;
    (mapping.column_type == ColumnType::Words).then_some(mapping.key)
}

/// The words that the item may be for a condition to hold; nothing where it asks for anything else.
fn named(translator: &mut Translator<'_>, variable: usize, body: NodeId) -> Option<BTreeSet<String>> {
    let filter = translator.filter;
    let is_item = |id: NodeId| matches!(filter.node(id).expression, Expression::Reference(Reference::Variable(item)) if item == variable);
    let mut words = BTreeSet::new();
    let mut waiting = vec![body];
    while let Some(id) = waiting.pop() {
        match &filter.node(id).expression {
            Expression::Or(operands) => waiting.extend(operands),
            Expression::Compare {
                operator: Comparison::Equal,
                left,
                right,
                ..
            } if is_item(*left) => words.extend(constants(translator, &[*right])?),
            Expression::Compare {
                operator: Comparison::Equal,
                left,
                right,
                ..
            } if is_item(*right) => words.extend(constants(translator, &[*left])?),
            Expression::InList { operand, items, .. } if is_item(*operand) => {
                words.extend(items.iter().filter_map(word));
            }
            _ => return None,
        }
    }
    Some(words)
}

/// What these are for every row, if they are the same for all. A null is no word.
fn constants(translator: &mut Translator<'_>, ids: &[NodeId]) -> Option<BTreeSet<String>> {
    let mut words = BTreeSet::new();
    for id in ids {
        if !translator.filter.is_constant(*id) {
            return None;
        }
        let constant = translator
            .filter
            .constant(*id, translator.now, translator.account);
        words.extend(word(&constant.ok()?));
    }
    Some(words)
}

/// A text that can be a word: one with the end of a line in it would be found across two of them.
fn word(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) if control_in(text).is_none() => Some(text.to_string()),
        _ => None,
    }
}

fn one_of(translator: &Translator<'_>, column: &str, words: BTreeSet<String>) -> Fragment {
    let position = translator.dialect.position_function();
    let is_there = |word: String| {
        Fragment::new(Yields::Truth)
            .sql(position)
            .sql("(")
            .sql(column)
            .sql(", ")
            .value(format!("\n{word}\n"))
            .sql(") > 0")
    };
    let conditions = words.into_iter().map(is_there).collect();
    Fragment::chain(conditions, " OR ").unwrap_or_else(|| Fragment::truth(Some(false)))
}
