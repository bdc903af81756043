//! `ORDER BY`, and the condition that continues behind a row.
//!
//! Null comes first ascending and last descending. That is how SQLite sorts by itself and the opposite of how
//! PostgreSQL does, so columns that may be null say it; those that may not say nothing, and an index serves them.

use super::{
    entity_set::{ColumnMapping, ColumnType, Spelling},
    request::refused,
};
use crate::filter::{COUNT_OF_ROLES, Fragment, Yields, stored};
use odata::{OrderBy, OrderKey, OrderTerm, QueryError, SkipToken, Value};

/// One criterion as SQL.
struct Term<'s> {
    sql: String,
    mapping: &'s ColumnMapping,
    descending: bool,
}

/// An order as SQL.
pub(crate) struct SqlOrder<'s>(Vec<Term<'s>>);

impl<'s> SqlOrder<'s> {
    /// The order over these columns; `None` if SQL cannot say it.
    pub(crate) fn new(order: &OrderBy, mappings: &'s [ColumnMapping]) -> Option<Self> {
        order
            .terms
            .iter()
            .map(|term| Term::new(term, mappings))
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// What stands behind `ORDER BY`.
    pub(crate) fn clause(&self) -> String {
        let mut clause = String::new();
        for term in &self.0 {
            clause.push_str(if clause.is_empty() { "" } else { ", " });
            clause.push_str(&term.sql);
            clause.push_str(match (term.descending, term.mapping.nullable) {
                (false, false) => "",
                (true, false) => " DESC",
                (false, true) => " ASC NULLS FIRST",
                (true, true) => " DESC NULLS LAST",
            });
        }
        clause
    }

    /// Whether a row comes behind the one that the token names.
    ///
    /// # Errors
    /// When the token holds what no row of this list can.
    pub(crate) fn behind(&self, token: &SkipToken) -> Result<Fragment, QueryError> {
        let condition = match self.uniform_direction() {
            Some(descending) => self.behind_as_a_whole(token, descending),
            None => self.behind_term_by_term(token),
        };
        let unusable = "The paging token does not belong to this query. Start again at the first page.";
        condition.ok_or_else(|| refused("$skiptoken", unusable))
    }

    /// Whether a row is one of those that have these values; none of them is null.
    pub(crate) fn one_of(&self, rows: &[Vec<Value<'static>>]) -> Option<Fragment> {
        if let [term] = self.0.as_slice() {
            let values = rows.iter().map(|values| term.bound(values.first()?));
            let values = values.collect::<Option<Vec<_>>>()?;
            return Some(term.condition().sql(" IN (").list(values).sql(")"));
        }
        let each = rows.iter().map(|values| {
            let terms = self.0.iter().zip(values).map(|(term, value)| term.equal(value));
            Fragment::chain(terms.collect::<Option<Vec<_>>>()?, " AND ")
        });
        Fragment::chain(each.collect::<Option<Vec<_>>>()?, " OR ")
    }

    /// The direction of all terms, if they have one and none can be null.
    fn uniform_direction(&self) -> Option<bool> {
        let descending = self.0.first()?.descending;
        let is_uniform = self
            .0
            .iter()
            .all(|term| term.descending == descending && !term.mapping.nullable);
        is_uniform.then_some(descending)
    }

    /// `(a, b) > ($1, $2)`: one range of an index.
    fn behind_as_a_whole(&self, token: &SkipToken, descending: bool) -> Option<Fragment> {
        let columns: Vec<&str> = self.0.iter().map(|term| term.sql.as_str()).collect();
        let mut condition = Fragment::new(Yields::Truth).sql("(").sql(&columns.join(", "));
        condition = condition.sql(if descending { ") < (" } else { ") > (" });
        for (index, (term, value)) in self.0.iter().zip(&token.values).enumerate() {
            condition = if index == 0 {
                condition
            } else {
                condition.sql(", ")
            };
            condition = condition.value(term.bound(value)?);
        }
        Some(condition.sql(")"))
    }

    /// The last term first: behind in it, or equal in the one before and behind in the rest.
    fn behind_term_by_term(&self, token: &SkipToken) -> Option<Fragment> {
        let mut condition: Option<Fragment> = None;
        for (term, value) in self.0.iter().zip(&token.values).rev() {
            let behind = term.behind(value)?;
            condition = Some(match condition {
                None => behind,
                Some(rest) => {
                    let tie = Fragment::chain(vec![term.equal(value)?, rest], " AND ")?;
                    let either = Fragment::chain(vec![behind, tie], " OR ")?;
                    // Says nothing new, but an index can begin where it says.
                    Fragment::chain(vec![term.at_or_behind(value)?, either], " AND ")?
                }
            });
        }
        condition
    }
}

impl<'s> Term<'s> {
    fn new(term: &OrderTerm, mappings: &'s [ColumnMapping]) -> Option<Self> {
        let (OrderKey::Property(property) | OrderKey::Lower(property) | OrderKey::Count(property)) = term.key;
        let mapping = mappings.get(property)?;
        let sql = match (term.key, &mapping.column_type) {
            (_, ColumnType::Memory | ColumnType::Hidden | ColumnType::Words)
            | (OrderKey::Property(_), ColumnType::Roles) => return None,
            (OrderKey::Property(_), _) => mapping.key.to_owned(),
            // The databases make other letters small in other ways.
            (OrderKey::Lower(_), ColumnType::Folded(_, Spelling::Ascii) | ColumnType::Version) => {
                format!("lower({})", mapping.shown)
            }
            (OrderKey::Count(_), ColumnType::Roles) => COUNT_OF_ROLES.replace("{}", mapping.key),
            _ => return None,
        };
        Some(Self {
            sql,
            mapping,
            descending: term.descending,
        })
    }

    /// A value of the token as it is bound; `None` for null and for what cannot be in the column.
    fn bound(&self, value: &Value<'_>) -> Option<crate::Value> {
        match (value, &self.mapping.column_type) {
            // What `tolower` gives is a text, whatever the column holds.
            (Value::Text(_), ColumnType::Version) => stored(value, &ColumnType::Text),
            (value, column_type) => stored(value, column_type),
        }
    }

    fn condition(&self) -> Fragment {
        Fragment::new(Yields::Truth).sql(&self.sql)
    }

    fn is_null(&self, value: &Value<'_>) -> bool {
        *value == Value::Null && self.mapping.nullable
    }

    fn behind(&self, value: &Value<'_>) -> Option<Fragment> {
        match (self.is_null(value), self.descending) {
            (true, true) => Some(Fragment::truth(Some(false))),
            (true, false) => Some(self.condition().sql(" IS NOT NULL")),
            (false, false) => Some(self.condition().sql(" > ").value(self.bound(value)?)),
            (false, true) => self.below_or_null(" < ", value),
        }
    }

    fn equal(&self, value: &Value<'_>) -> Option<Fragment> {
        if self.is_null(value) {
            return Some(self.condition().sql(" IS NULL"));
        }
        Some(self.condition().sql(" = ").value(self.bound(value)?))
    }

    fn at_or_behind(&self, value: &Value<'_>) -> Option<Fragment> {
        match (self.is_null(value), self.descending) {
            (true, true) => Some(self.condition().sql(" IS NULL")),
            (true, false) => Some(Fragment::truth(Some(true))),
            (false, false) => Some(self.condition().sql(" >= ").value(self.bound(value)?)),
            (false, true) => self.below_or_null(" <= ", value),
        }
    }

    fn below_or_null(&self, word: &str, value: &Value<'_>) -> Option<Fragment> {
        let below = self.condition().sql(word).value(self.bound(value)?);
        if !self.mapping.nullable {
            return Some(below);
        }
        Fragment::chain(vec![below, self.condition().sql(" IS NULL")], " OR ")
    }
}
