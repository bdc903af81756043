//! The walk over a condition: operands first, each translated once, no recursion over what a caller wrote.

use super::{
    calls, comparisons,
    fragment::{Fragment, Yields},
    numbers, roles,
};
use crate::{
    Value as Stored,
    dialect::Dialect,
    list::{ColumnMapping, ColumnType, Spelling},
};
use domain::version::AppVersion;
use odata::{Expression, Filter, Instant, NodeId, Reference, Value};
use uuid::Uuid;

/// A node in SQL, as far as SQL can say it.
#[derive(Clone, Debug, Default)]
pub(crate) enum Translation {
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
pub(crate) enum Calendar {
    Year,
    Day,
}

/// What the translation of a condition needs to know.
pub(crate) struct Translator<'f> {
    pub(crate) filter: &'f Filter,
    pub(crate) mappings: &'f [ColumnMapping],
    pub(crate) dialect: Dialect,
    pub(crate) now: Instant,
    /// By the node's number.
    translations: Vec<Translation>,
}

/// A node on the way, and whether its being null is the same as its being false.
type Visit = (NodeId, bool);

/// A condition as SQL; `None` if SQL cannot say exactly this.
pub(crate) fn condition(
    filter: &Filter,
    mappings: &[ColumnMapping],
    dialect: Dialect,
    now: Instant,
    condition: NodeId,
) -> Option<Fragment> {
    let translations = vec![Translation::Nothing; filter.nodes().len()];
    let mut translator = Translator {
        filter,
        mappings,
        dialect,
        now,
        translations,
    };
    for (id, null_is_false) in translator.parents_first(condition).into_iter().rev() {
        let translation = translator.translate(id, null_is_false).unwrap_or_default();
        let is_too_deep = matches!(&translation, Translation::Sql(fragment) if fragment.is_too_deep());
        translator.translations[id.index()] = if is_too_deep {
            Translation::Nothing
        } else {
            translation
        };
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

    fn translate(&mut self, id: NodeId, null_is_false: bool) -> Option<Translation> {
        let filter = self.filter;
        if filter.is_constant(id) {
            return filter.constant(id, self.now).ok().map(Translation::Constant);
        }
        match &filter.node(id).expression {
            Expression::Reference(Reference::Property(property)) => Some(Translation::Property(*property)),
            Expression::Not(operand) => {
                let operand = self.truth(*operand)?;
                Some(Translation::Sql(
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

    fn chain(&mut self, operands: &[NodeId], word: &str) -> Option<Translation> {
        let conditions: Option<Vec<Fragment>> = operands.iter().map(|operand| self.truth(*operand)).collect();
        Fragment::chain(conditions?, word).map(Translation::Sql)
    }

    /// The translation of a node. Each node has one parent, so nobody asks twice.
    pub(crate) fn take(&mut self, id: NodeId) -> Translation {
        std::mem::take(&mut self.translations[id.index()])
    }

    /// The same without taking it.
    pub(crate) fn translation_of(&self, id: NodeId) -> &Translation {
        &self.translations[id.index()]
    }

    pub(crate) fn mapping(&self, property: usize) -> Option<&ColumnMapping> {
        self.mappings.get(property)
    }

    /// The node as a condition.
    pub(crate) fn truth(&mut self, id: NodeId) -> Option<Fragment> {
        match self.take(id) {
            Translation::Constant(Value::Boolean(value)) => Some(Fragment::truth(Some(value))),
            Translation::Constant(Value::Null) => Some(Fragment::truth(None)),
            Translation::Property(property) => {
                let mapping = self
                    .mapping(property)
                    .filter(|mapping| mapping.column_type == ColumnType::Truth)?;
                Some(Fragment::column(mapping.key, Yields::Truth, mapping.nullable))
            }
            Translation::Sql(fragment) if *fragment.yields() == Yields::Truth => Some(fragment),
            _ => None,
        }
    }

    /// A translation, as a text as it is shown.
    pub(crate) fn shown_text(&self, translation: Translation) -> Option<Fragment> {
        match translation {
            Translation::Property(property) => {
                let mapping = self.mapping(property)?;
                let is_text = matches!(
                    mapping.column_type,
                    ColumnType::Text | ColumnType::Folded(..) | ColumnType::Version
                );
                is_text.then(|| Fragment::column(mapping.shown, Yields::Text, mapping.nullable))
            }
            Translation::Sql(fragment) if *fragment.yields() == Yields::Text => Some(fragment),
            _ => None,
        }
    }

    /// The column that holds a text in lower case, if `part` cannot meet the letter that lower case is not sure of.
    pub(crate) fn small_letters(&self, property: usize, part: &str) -> Option<Fragment> {
        let mapping = self.mapping(property)?;
        let is_sure = !part.contains(['σ', 'ς']);
        let has_key = matches!(mapping.column_type, ColumnType::Folded(_, Spelling::SmallLetters));
        (is_sure && has_key).then(|| Fragment::column(mapping.key, Yields::Text, mapping.nullable))
    }
}

/// A value as it is bound; `None` for null and for what has no column.
pub fn bound(value: &Value<'_>) -> Option<Stored> {
    Some(match value {
        Value::Boolean(value) => Stored::Bool(*value),
        Value::Text(text) => Stored::Text(text.clone().into_owned()),
        Value::Guid(guid) => Stored::Uuid(Uuid::from_u128(guid.0)),
        Value::Version(version) => AppVersion(version.0).into(),
        Value::Number(number) => Stored::Int(number.to_i64()?),
        _ => return None,
    })
}
