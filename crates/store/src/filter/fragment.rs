//! A piece of SQL and the values bound in it.

use crate::Value;
use std::ops::RangeInclusive;

/// Stands for a bound value until the statement is put together and values get their numbers. No SQL of ours
/// contains it otherwise, and none of a caller's text becomes SQL.
const MARK: char = '?';

/// Operators within operators that a fragment may have. SQLite refuses trees of more than a thousand levels, and a
/// level of ours is several of its own.
pub(crate) const DEEPEST: u32 = 60;

/// Bytes that a text in a column may have, names of environments and publishers among them.
const COLUMN_BYTES: u64 = 1_000;

/// What a piece of SQL yields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Yields {
    /// True, false or null.
    Truth,
    /// A 64-bit integer within these bounds.
    Number(RangeInclusive<i128>),
    /// A text.
    Text,
    /// Bytes, a GUID, or another value that is only ever compared with its own kind.
    Key,
}

/// A piece of SQL, its values in the order of their marks.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    sql: String,
    values: Vec<Value>,
    yields: Yields,
    nullable: bool,
    depth: u32,
    /// Bytes of all texts in it, at most.
    text_bytes: u64,
}

impl Fragment {
    pub(crate) fn new(yields: Yields) -> Self {
        Self {
            sql: String::new(),
            values: Vec::new(),
            yields,
            nullable: false,
            depth: 0,
            text_bytes: 0,
        }
    }

    /// A column, or an expression over one.
    pub(crate) fn column(sql: &str, yields: Yields, nullable: bool) -> Self {
        let text_bytes = if yields == Yields::Text { COLUMN_BYTES } else { 0 };
        Self {
            nullable,
            text_bytes,
            ..Self::new(yields).sql(sql)
        }
    }

    /// A condition that is the same for every row.
    pub(crate) fn truth(value: Option<bool>) -> Self {
        let sql = match value {
            Some(true) => TRUE,
            Some(false) => "FALSE",
            None => "CAST(NULL AS BOOLEAN)",
        };
        Self::column(sql, Yields::Truth, value.is_none())
    }

    /// Appends SQL of ours.
    pub(crate) fn sql(mut self, text: &str) -> Self {
        self.sql.push_str(text);
        self
    }

    /// Appends a bound value.
    pub(crate) fn value(mut self, value: impl Into<Value>) -> Self {
        let value = value.into();
        if let Value::Text(text) = &value {
            self.text_bytes += text.len() as u64;
        }
        self.sql.push(MARK);
        self.values.push(value);
        self
    }

    /// Appends another piece; if it can be null, so can the whole.
    pub(crate) fn piece(mut self, piece: Self) -> Self {
        self.sql.push_str(&piece.sql);
        self.values.extend(piece.values);
        self.nullable |= piece.nullable;
        self.text_bytes += piece.text_bytes;
        self.depth = self.depth.max(piece.depth + 1);
        self
    }

    /// SQL in which `{name}` stands for a piece, as often as it occurs.
    pub(crate) fn filled(yields: Yields, template: &str, pieces: &[(&str, &Self)]) -> Self {
        let mut filled = Self::new(yields);
        for (index, part) in template.split(['{', '}']).enumerate() {
            let piece = pieces.iter().find(|(name, _)| index % 2 == 1 && *name == part);
            filled = match piece {
                Some((_, piece)) => filled.piece((*piece).clone()),
                None => filled.sql(part),
            };
        }
        filled
    }

    /// Appends values with commas between, their number made up to a power of two by repeating the last, so that
    /// lists of all lengths make only few different texts.
    pub(crate) fn list(mut self, mut values: Vec<Value>) -> Self {
        if let Some(last) = values.last().cloned() {
            values.resize(values.len().next_power_of_two(), last);
        }
        for (index, value) in values.into_iter().enumerate() {
            self = if index == 0 { self } else { self.sql(", ") };
            self = self.value(value);
        }
        self
    }

    /// The same, known never to be null.
    pub(crate) fn never_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// A condition that is false where it was null. One whose null has the same effect as false is left as it is,
    /// because an index serves only what is plain.
    pub(crate) fn false_if_null(self, null_is_false: bool) -> Self {
        if !self.nullable || null_is_false {
            return self;
        }
        Self::new(Yields::Truth)
            .sql("COALESCE(")
            .piece(self)
            .sql(", FALSE)")
            .never_null()
    }

    /// All of the conditions, or one of them.
    pub(crate) fn chain(conditions: Vec<Self>, word: &str) -> Option<Self> {
        let mut level = conditions;
        // Pair by pair, so that a long chain becomes a low tree.
        while level.len() > 1 {
            let mut pairs = Vec::with_capacity(level.len().div_ceil(2));
            let mut rest = level.into_iter();
            while let Some(left) = rest.next() {
                pairs.push(match rest.next() {
                    Some(right) => Self::new(Yields::Truth)
                        .sql("(")
                        .piece(left)
                        .sql(word)
                        .piece(right)
                        .sql(")"),
                    None => left,
                });
            }
            level = pairs;
        }
        level.pop()
    }

    pub(crate) fn yields(&self) -> &Yields {
        &self.yields
    }

    /// Bytes of all texts in it, at most: what a database may have to copy or look through, which it does not count.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    pub(crate) fn is_nullable(&self) -> bool {
        self.nullable
    }

    pub(crate) fn is_true(&self) -> bool {
        self.sql == TRUE
    }

    pub(crate) fn is_too_deep(&self) -> bool {
        self.depth > DEEPEST
    }

    /// Whether it may stand twice in a statement: without values, it is as short as a column.
    pub(crate) fn is_plain(&self) -> bool {
        self.values.is_empty() && self.depth == 0
    }

    /// Appends the SQL to `statement` and the values to `values`, whose positions the marks then name.
    pub(crate) fn append_to(self, statement: &mut String, values: &mut Vec<Value>) {
        let mut number = values.len();
        for letter in self.sql.chars() {
            if letter == MARK {
                number += 1;
                statement.push('$');
                statement.push_str(&number.to_string());
            } else {
                statement.push(letter);
            }
        }
        values.extend(self.values);
    }
}

const TRUE: &str = "TRUE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_numbers_behind_those_that_are_taken() {
        let fragment = Fragment::new(Yields::Truth)
            .sql("t.a = ")
            .value(7i64)
            .sql(" AND t.b IN (")
            .list(vec![Value::from("x"), Value::from("y"), Value::from("z")]);
        let (mut statement, mut values) = (String::from("WHERE t.c = $1 AND "), vec![Value::Null]);
        fragment.sql(")").append_to(&mut statement, &mut values);
        assert_eq!(
            statement,
            "WHERE t.c = $1 AND t.a = $2 AND t.b IN ($3, $4, $5, $6)"
        );
        assert_eq!(values[4..], [Value::from("z"), Value::from("z")]);
    }

    #[test]
    fn a_long_chain_is_a_low_tree() {
        let conditions = vec![Fragment::column("t.a", Yields::Truth, false); 1000];
        let chain = Fragment::chain(conditions, " OR ").unwrap();
        assert_eq!(chain.depth, 10);
    }
}
