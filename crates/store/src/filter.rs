//! `$filter` as SQL.
//!
//! A filter is a conjunction more often than not. What SQL can say of it, exactly as the evaluator in memory would
//! decide it, becomes part of the statement; the other conditions are decided in memory, over the rows that are
//! left. Nothing of what a caller wrote becomes part of a statement's text: literals are bound, and names were
//! looked up long before. Texts vary with the shape of a filter only, never with its values, so that the databases can
//! keep them prepared.

mod calls;
mod comparisons;
mod condition;
mod fragment;
mod numbers;
mod roles;
mod translator;
mod words;

use super::{
    dialect::Dialect,
    list::entity_set::{ColumnMapping, ColumnType},
};
use odata::{Account, Expression, Filter, Function, Instant, NodeId, Reference, Row, Value};

pub(crate) use fragment::{Fragment, Yields};
pub(crate) use roles::COUNT_OF_ROLES;
pub(crate) use translator::bound;

/// A filter, split between the database and the memory.
#[derive(Debug, Default)]
pub(crate) struct SplitFilter {
    /// Conditions for the `WHERE` clause, all of which must be true.
    pub(crate) in_sql: Vec<Fragment>,
    /// The conditions that are left.
    pub(crate) post_filter: PostFilter,
}

/// Conditions that are decided in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct PostFilter {
    conditions: Vec<NodeId>,
    /// Whether deciding them can fail for a row, as a division can.
    pub(crate) can_fail: bool,
}

impl PostFilter {
    pub(crate) fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether all conditions are true for the row.
    pub(crate) fn keeps(
        &self,
        filter: &Filter,
        row: &impl Row,
        now: Instant,
        account: &mut Account<'_>,
    ) -> Result<bool, odata::EvalError> {
        account.next_row();
        for condition in &self.conditions {
            if !filter.holds(*condition, row, now, account)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Steps of work for what is the same for every row, of a whole filter. More is left to be done for each row.
const CONSTANTS: u64 = 50_000;

/// Splits a filter.
///
/// A row is out with the first condition that is not true, and nothing that stands behind it can fail for the row.
/// Behind a condition that can fail everything is left to the memory: in SQL it would hide rows for which the caller
/// has to learn that the filter fails.
pub(crate) fn split_filter(
    filter: &Filter,
    mappings: &[ColumnMapping],
    dialect: Dialect,
    now: Instant,
) -> SplitFilter {
    let mut split = SplitFilter::default();
    let mut account = Account::default().with_steps(CONSTANTS);
    for condition in filter.conjuncts() {
        let translation = match split.post_filter.can_fail {
            true => None,
            false => condition::condition(filter, mappings, dialect, (now, &mut account), condition),
        };
        match translation {
            Some(fragment) => split.in_sql.push(fragment),
            None => {
                split.post_filter.can_fail |= can_fail(filter, condition, now, &mut account);
                split.post_filter.conditions.push(condition);
            }
        }
    }
    split.in_sql.retain(|fragment| !fragment.is_true());
    split
}

/// Whether a condition contains what can fail: arithmetic, or a part of a text of calculated length.
fn can_fail(filter: &Filter, condition: NodeId, now: Instant, account: &mut Account<'_>) -> bool {
    let mut waiting = vec![condition];
    while let Some(id) = waiting.pop() {
        if filter.is_constant(id) {
            if filter.constant(id, now, account).is_err() {
                return true;
            }
            continue;
        }
        match &filter.node(id).expression {
            Expression::Arithmetic { .. } => return true,
            Expression::Call {
                function: Function::Substring,
                arguments,
            } if arguments.len() == 3 => return true,
            other => waiting.extend(other.children()),
        }
    }
    false
}

/// The first property that a filter looks at and that `is_hidden`, with the position where it does.
pub(crate) fn hidden_property(filter: &Filter, is_hidden: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
    filter.nodes().iter().find_map(|node| {
        let source = match &node.expression {
            Expression::Reference(reference) => *reference,
            Expression::Count(collection)
            | Expression::Lambda { collection, .. }
            | Expression::InCollection { collection, .. } => collection.source,
            _ => return None,
        };
        match source {
            Reference::Property(property) if is_hidden(property) => Some((property, node.position)),
            _ => None,
        }
    })
}

/// The stored form of a value that is compared with a key; `None` for null and for what no column holds.
pub(crate) fn stored(value: &Value<'_>, column_type: &ColumnType) -> Option<super::Value> {
    match (value, column_type) {
        (Value::Number(number), ColumnType::Number(_) | ColumnType::Roles) => {
            number.to_i64().map(super::Value::Int)
        }
        (Value::Instant(instant), ColumnType::Instant) => match instant.to_ticks() {
            (ticks, true) => Some(super::Value::Int(ticks)),
            _ => None,
        },
        (Value::Boolean(_), ColumnType::Truth)
        | (Value::Text(_), ColumnType::Text | ColumnType::Folded(..) | ColumnType::Version)
        | (Value::Version(_), ColumnType::Version)
        | (Value::Guid(_), ColumnType::Guid) => bound(value),
        _ => None,
    }
}
