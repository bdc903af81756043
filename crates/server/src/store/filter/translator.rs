//! The walk over a condition: operands first, each translated once, no recursion over what a caller wrote.

use super::{
    calls, comparisons,
    fragment::{Fragment, Yields},
    numbers, roles,
};
use crate::store::{
    Value as Stored,
    dialect::Dialect,
    list::{Holds, Spelling, Storage},
};
use domain::version::AppVersion;
use odata::{Expression, Filter, Instant, NodeId, Reference, Value};
use uuid::Uuid;

/// What is known of a node once it was looked at.
#[derive(Clone, Debug, Default)]
pub(super) enum Said {
    /// SQL cannot say it.
    #[default]
    Nothing,
    /// The same for every row.
    Constant(Value<'static>),
    /// A property. Which of its columns is meant depends on what is done with it.
    Property(usize),
    /// The lower case of a text; the key column is that, but for the last sigma of a word.
    SmallLetters(usize),
    /// The year or the day of an instant.
    Calendar(Calendar, usize),
    /// SQL.
    Sql(Fragment),
}

/// A part of an instant that whole spans of instants share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calendar {
    Year,
    Day,
}

/// What the translation of a condition needs to know.
pub(super) struct Translator<'f> {
    pub(super) filter: &'f Filter,
    pub(super) storages: &'f [Storage],
    pub(super) dialect: Dialect,
    pub(super) now: Instant,
    said: Vec<Said>,
}

/// A node on the way, and whether its being null is the same as its being false.
type Visit = (NodeId, bool);

/// A condition as SQL; `None` if SQL cannot say exactly this.
pub(super) fn condition(
    filter: &Filter,
    storages: &[Storage],
    dialect: Dialect,
    now: Instant,
    condition: NodeId,
) -> Option<Fragment> {
    let said = vec![Said::Nothing; filter.nodes().len()];
    let mut translator = Translator {
        filter,
        storages,
        dialect,
        now,
        said,
    };
    for (id, null_is_false) in translator.parents_first(condition).into_iter().rev() {
        let said = translator.translate(id, null_is_false).unwrap_or_default();
        let is_too_deep = matches!(&said, Said::Sql(fragment) if fragment.is_too_deep());
        translator.said[id.index()] = if is_too_deep { Said::Nothing } else { said };
    }
    translator.truth(condition)
}

impl Translator<'_> {
    fn parents_first(&self, condition: NodeId) -> Vec<Visit> {
        let mut visits = Vec::new();
        let mut waiting = vec![(condition, true)];
        while let Some((id, null_is_false)) = waiting.pop() {
            visits.push((id, null_is_false));
            let expression = &self.filter.node(id).expression;
            let is_chain = matches!(expression, Expression::And(_) | Expression::Or(_));
            // What a lambda looks at is no property of the row.
            let is_leaf = self.filter.is_constant(id) || matches!(expression, Expression::Lambda { .. });
            if !is_leaf {
                waiting.extend(
                    expression
                        .children()
                        .into_iter()
                        .map(|child| (child, null_is_false && is_chain)),
                );
            }
        }
        visits
    }

    fn translate(&mut self, id: NodeId, null_is_false: bool) -> Option<Said> {
        let filter = self.filter;
        if filter.is_constant(id) {
            return filter.constant(id, self.now).ok().map(Said::Constant);
        }
        match &filter.node(id).expression {
            Expression::Reference(Reference::Property(property)) => Some(Said::Property(*property)),
            Expression::Not(operand) => {
                let operand = self.truth(*operand)?;
                Some(Said::Sql(
                    Fragment::new(Yields::Truth).sql("NOT (").piece(operand).sql(")"),
                ))
            }
            Expression::And(operands) => self.chain(operands, " AND "),
            Expression::Or(operands) => self.chain(operands, " OR "),
            Expression::Compare {
                operator,
                domain,
                left,
                right,
            } => comparisons::compare(self, *operator, *domain, (*left, *right), null_is_false),
            Expression::InList {
                domain,
                operand,
                items,
            } => comparisons::in_list(self, *domain, *operand, items, null_is_false),
            Expression::Negate(operand) => numbers::negate(self, *operand),
            Expression::Arithmetic {
                operator,
                left,
                right,
            } => numbers::arithmetic(self, *operator, filter.node(id).kind, *left, *right),
            Expression::Call { function, arguments } => calls::call(self, *function, arguments),
            Expression::InCollection {
                collection, operand, ..
            } if filter.is_constant(*operand) => roles::membership(self, collection.source, id),
            Expression::Lambda { collection, .. } => roles::membership(self, collection.source, id),
            Expression::Count(collection) => roles::count(self, collection.source),
            _ => None,
        }
    }

    fn chain(&mut self, operands: &[NodeId], word: &str) -> Option<Said> {
        let conditions: Option<Vec<Fragment>> = operands.iter().map(|operand| self.truth(*operand)).collect();
        Fragment::chain(conditions?, word).map(Said::Sql)
    }

    /// What was found out about a node. Each node has one parent, so nobody asks twice.
    pub(super) fn take(&mut self, id: NodeId) -> Said {
        std::mem::take(&mut self.said[id.index()])
    }

    /// The same without taking it.
    pub(super) fn said_of(&self, id: NodeId) -> &Said {
        &self.said[id.index()]
    }

    pub(super) fn storage(&self, property: usize) -> Option<&Storage> {
        self.storages.get(property)
    }

    /// The node as a condition.
    pub(super) fn truth(&mut self, id: NodeId) -> Option<Fragment> {
        match self.take(id) {
            Said::Constant(Value::Boolean(value)) => Some(Fragment::truth(Some(value))),
            Said::Constant(Value::Null) => Some(Fragment::truth(None)),
            Said::Property(property) => {
                let storage = self
                    .storage(property)
                    .filter(|storage| storage.holds == Holds::Truth)?;
                Some(Fragment::column(storage.key, Yields::Truth, storage.nullable))
            }
            Said::Sql(fragment) if *fragment.yields() == Yields::Truth => Some(fragment),
            _ => None,
        }
    }

    /// What was said, as a text as it is shown.
    pub(super) fn shown_text(&self, said: Said) -> Option<Fragment> {
        match said {
            Said::Property(property) => {
                let storage = self.storage(property)?;
                let is_text = matches!(storage.holds, Holds::Text | Holds::Folded(..) | Holds::Version);
                is_text.then(|| Fragment::column(storage.shown, Yields::Text, storage.nullable))
            }
            Said::Sql(fragment) if *fragment.yields() == Yields::Text => Some(fragment),
            _ => None,
        }
    }

    /// The column that holds a text in lower case, if `part` cannot meet the letter that lower case is not sure of.
    pub(super) fn small_letters(&self, property: usize, part: &str) -> Option<Fragment> {
        let storage = self.storage(property)?;
        let is_sure = !part.contains(['σ', 'ς']);
        let has_key = matches!(storage.holds, Holds::Folded(_, Spelling::SmallLetters));
        (is_sure && has_key).then(|| Fragment::column(storage.key, Yields::Text, storage.nullable))
    }
}

/// A value as it is bound; `None` for null and for what has no column.
pub(in crate::store) fn bound(value: &Value<'_>) -> Option<Stored> {
    Some(match value {
        Value::Boolean(value) => Stored::Bool(*value),
        Value::Text(text) => Stored::Text(text.clone().into_owned()),
        Value::Guid(guid) => Stored::Uuid(Uuid::from_u128(guid.0)),
        Value::Version(version) => AppVersion(version.0).into(),
        Value::Number(number) => Stored::Int(number.to_i64()?),
        _ => return None,
    })
}
