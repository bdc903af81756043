//! What is known of a condition's nodes while it is being translated.

use super::fragment::{Fragment, Yields};
use crate::{
    Value as Stored,
    dialect::Dialect,
    list::entity_set::{ColumnMapping, ColumnType, Spelling},
};
use domain::version::AppVersion;
use odata::{Account, Filter, Instant, NodeId, Value};
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
    /// What may be spent on constants.
    pub(crate) account: &'f mut Account<'static>,
    /// By the node's number.
    translations: Vec<Translation>,
}

impl<'f> Translator<'f> {
    pub(crate) fn new(
        filter: &'f Filter,
        mappings: &'f [ColumnMapping],
        dialect: Dialect,
        (now, account): (Instant, &'f mut Account<'static>),
    ) -> Self {
        Self {
            filter,
            mappings,
            dialect,
            now,
            account,
            translations: vec![Translation::Nothing; filter.nodes().len()],
        }
    }

    pub(crate) fn set(&mut self, id: NodeId, translation: Translation) {
        if let Some(of_node) = self.translations.get_mut(id.index()) {
            *of_node = translation;
        }
    }

    /// The translation of a node. Each node has one parent, so nobody asks twice.
    pub(crate) fn take(&mut self, id: NodeId) -> Translation {
        let of_node = self.translations.get_mut(id.index());
        of_node.map(std::mem::take).unwrap_or_default()
    }

    /// The same without taking it.
    pub(crate) fn translation_of(&self, id: NodeId) -> &Translation {
        self.translations.get(id.index()).unwrap_or(&Translation::Nothing)
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
pub(crate) fn bound(value: &Value<'_>) -> Option<Stored> {
    Some(match value {
        Value::Boolean(value) => Stored::Bool(*value),
        Value::Text(text) => Stored::Text(text.clone().into_owned()),
        Value::Guid(guid) => Stored::Uuid(Uuid::from_u128(guid.0)),
        Value::Version(version) => AppVersion(version.0).into(),
        Value::Number(number) => Stored::Int(number.to_i64()?),
        _ => return None,
    })
}
