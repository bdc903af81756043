//! The description of a list: which rows there are, what their properties are called, and where SQL finds them.
//!
//! One line describes one property for everybody: its name and type for the query options, its column for SQL, and
//! how it is read from a row in memory. So the two ways of deciding a filter cannot look at different things.

use domain::problem::UnknownWord;
use odata::{Fold, OrderBy, OrderKey, OrderTerm, Scalar, Schema, Type, Value};
use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

/// Reads one property of a row in memory.
pub(crate) type Read<T> = for<'r> fn(&'r T) -> Value<'r>;

/// A list of rows of `T`.
pub struct EntitySet<T> {
    /// The properties as the query options know them; the same indexes as in the wire's entity.
    pub schema: Schema,
    /// The table and its alias `t`.
    pub(crate) table: &'static str,
    /// Which of the table's rows are meant at all, where not all of them are.
    pub(crate) condition: Option<&'static str>,
    /// What `T` is made of.
    pub(crate) columns: &'static str,
    /// The properties that are not read where nobody looks at them.
    pub(crate) bulk: Vec<Bulk>,
    /// The order of those who do not ask for another.
    pub(crate) order: OrderBy,
    pub(crate) mappings: Vec<ColumnMapping>,
    reads: Vec<Read<T>>,
    /// For every property, the one as part of which it is shown, if it is not shown by itself.
    shown_in: Vec<Option<&'static str>>,
}

/// A property that makes rows large, or that takes a search to find.
#[derive(Clone, Copy)]
pub(crate) struct Bulk {
    pub(crate) property: usize,
    pub(crate) column: &'static str,
    /// What is read in its place where nobody looks at it.
    pub(crate) stand_in: &'static str,
    /// Whether those look at it who select nothing.
    pub(crate) is_shown: bool,
}

/// A property of a list.
pub struct Property<T> {
    name: &'static str,
    kind: Kind,
    read: Read<T>,
    shown_in: Option<&'static str>,
}

impl<T> Property<T> {
    /// The same, but rows show it as a part of another property; it is there to filter and to sort by.
    pub fn shown_in(mut self, whole: &'static str) -> Self {
        self.shown_in = Some(whole);
        self
    }
}

/// A property called `name`, kept as `kind` says, and read from a row by `read`.
pub fn property<T>(name: &'static str, kind: Kind, read: Read<T>) -> Property<T> {
    Property {
        name,
        kind,
        read,
        shown_in: None,
    }
}

/// Those of `properties` that are named, in the order of the names: for lists that show the same rows.
pub fn picked<T>(mut properties: Vec<Property<T>>, names: &[&str]) -> Vec<Property<T>> {
    let position = |property: &Property<T>| names.iter().position(|name| *name == property.name);
    properties.retain(|property| position(property).is_some());
    properties.sort_by_key(position);
    properties
}

/// The type of a property and where SQL finds it.
pub struct Kind {
    ty: Type,
    mapping: ColumnMapping,
}

/// Where SQL finds a property.
#[derive(Clone, Debug)]
pub struct ColumnMapping {
    /// The column that holds the value as it is shown.
    pub shown: &'static str,
    /// The column by which it is compared and sorted; mostly the same.
    pub key: &'static str,
    /// Whether the columns may be null.
    pub nullable: bool,
    /// What the columns hold.
    pub column_type: ColumnType,
    /// The columns that it is calculated from, row by row; nothing where it is one itself.
    pub determined_by: &'static [&'static str],
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnType {
    /// `BOOLEAN`.
    Truth,
    /// `BIGINT`, nothing outside the range.
    Number(RangeInclusive<i64>),
    /// `TEXT`, compared as it is.
    Text,
    /// `TEXT`, compared by its normal form in the key column.
    Folded(Fold, Spelling),
    /// `TEXT` in canonical form, and sixteen bytes as the key.
    Version,
    /// `UUID`.
    Guid,
    /// `BIGINT`, in ticks.
    Instant,
    /// `BIGINT` with a bit for each role.
    Roles,
    /// `TEXT` with a word on each line, and the end of a line before the first as well.
    Words,
    /// Nothing that SQL could decide anything by; the row in memory knows.
    Memory,
    /// Nothing that could be filtered or sorted by anywhere.
    Hidden,
}

/// What the key of a folded text is to the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// The text itself, of ASCII letters only.
    Ascii,
    /// The text with each letter made small by itself.
    SmallLetters,
    /// Something else.
    Other,
}

impl<T> EntitySet<T> {
    /// A list of `entity`, from `table` (with the alias `t`), identified by `keys`. Without `$orderby` the rows come
    /// newest first by the property `newest_by`, or else in the order of the keys.
    pub fn new(
        entity: &str,
        (table, columns): (&'static str, &'static str),
        keys: &[&str],
        newest_by: Option<&str>,
        properties: Vec<Property<T>>,
    ) -> Self {
        let mut described = Vec::with_capacity(properties.len());
        let mut mappings = Vec::with_capacity(properties.len());
        let mut reads = Vec::with_capacity(properties.len());
        let mut shown_in = Vec::with_capacity(properties.len());
        for Property {
            name,
            kind,
            read,
            shown_in: whole,
        } in properties
        {
            let nullable = kind.mapping.nullable;
            let property = odata::Property::new(name, kind.ty);
            described.push(if nullable { property.nullable() } else { property });
            mappings.push(kind.mapping);
            reads.push(read);
            shown_in.push(whole);
        }
        let schema = Schema::new(entity, described, keys);
        let newest = newest_by
            .and_then(|name| schema.find(name))
            .map(OrderKey::Property);
        let terms = newest.map(|key| OrderTerm {
            key,
            descending: true,
        });
        let order = OrderBy::new(terms.into_iter().collect(), &schema);
        Self {
            schema,
            table,
            condition: None,
            bulk: Vec::new(),
            columns,
            order,
            mappings,
            reads,
            shown_in,
        }
    }

    /// The same of those rows only for which `condition`, SQL over the alias `t`, is true.
    pub fn only(mut self, condition: &'static str) -> Self {
        self.condition = Some(condition);
        self
    }

    /// The same, in which the property `name` is not read where nobody looks at it: a list in `column`, whose rows may be
    /// large.
    pub fn with_bulk(mut self, name: &str, column: &'static str) -> Self {
        self.bulk.extend(self.schema.find(name).map(|property| Bulk {
            property,
            column,
            stand_in: "'[]'",
            is_shown: true,
        }));
        self
    }

    /// The same, in which the number `name` is counted by `column`, SQL over the alias `t`, for those alone who look at it.
    pub fn with_counted(self, name: &str, column: &'static str) -> Self {
        self.found_out_as(name, column, "NULL")
    }

    /// The same, in which the property `name`, which is shown only when it is selected, is found out by `column` only where
    /// somebody looks at it.
    pub fn found_out(self, name: &str, column: &'static str) -> Self {
        self.found_out_as(name, column, "CAST(NULL AS TEXT)")
    }

    fn found_out_as(mut self, name: &str, column: &'static str, stand_in: &'static str) -> Self {
        self.bulk.extend(self.schema.find(name).map(|property| Bulk {
            property,
            column,
            stand_in,
            is_shown: false,
        }));
        self
    }

    /// A row as the query options see it.
    pub(crate) fn view<'r>(&'r self, row: &'r T) -> RowView<'r, T> {
        RowView {
            entity_set: self,
            row,
        }
    }

    /// The property as part of which this one is shown, if it is not shown by itself.
    pub(crate) fn shown_in(&self, property: usize) -> Option<&'static str> {
        self.shown_in.get(property).copied().flatten()
    }

    /// Whether the property is only shown, and not to be filtered or sorted by.
    pub(crate) fn is_hidden(&self, property: usize) -> bool {
        self.mappings
            .get(property)
            .is_none_or(|mapping| mapping.column_type == ColumnType::Hidden)
    }
}

/// A row with the names that its list gives to its parts.
pub(crate) struct RowView<'r, T> {
    entity_set: &'r EntitySet<T>,
    row: &'r T,
}

impl<T> odata::Row for RowView<'_, T> {
    fn value(&self, property: usize) -> Value<'_> {
        self.entity_set
            .reads
            .get(property)
            .map_or(Value::Null, |read| read(self.row))
    }
}

impl Kind {
    fn of(ty: impl Into<Type>, shown: &'static str, key: &'static str, column_type: ColumnType) -> Self {
        Self {
            ty: ty.into(),
            mapping: ColumnMapping {
                shown,
                key,
                nullable: false,
                column_type,
                determined_by: &[],
            },
        }
    }

    /// The same, but the columns may be null.
    pub fn or_null(mut self) -> Self {
        self.mapping.nullable = true;
        self
    }

    /// The same, calculated from nothing but these columns: rows that have them in common are asked about once where they
    /// are grouped.
    pub fn determined_by(mut self, columns: &'static [&'static str]) -> Self {
        self.mapping.determined_by = columns;
        self
    }
}

/// A truth value.
pub fn truth(column: &'static str) -> Kind {
    Kind::of(Scalar::Boolean, column, column, ColumnType::Truth)
}

/// A number that is never outside `range`.
pub fn number(column: &'static str, range: RangeInclusive<i64>) -> Kind {
    Kind::of(Scalar::Int, column, column, ColumnType::Number(range))
}

/// A text that compares as it is.
pub fn text(column: &'static str) -> Kind {
    Kind::of(Scalar::String, column, column, ColumnType::Text)
}

/// A text that compares by its normal form, which `key` holds.
pub fn folded(column: &'static str, key: &'static str, fold: Fold, spelling: Spelling) -> Kind {
    Kind::of(
        Scalar::Folded(fold),
        column,
        key,
        ColumnType::Folded(fold, spelling),
    )
}

/// A word of the closed vocabulary `W`, kept as the API spells it.
pub fn word<W: FromStr<Err = UnknownWord> + Display>(column: &'static str) -> Kind {
    folded(column, column, fold_of::<W>(), Spelling::Ascii)
}

/// The same, which only the row in memory knows.
pub fn word_in_memory<W: FromStr<Err = UnknownWord> + Display>() -> Kind {
    in_memory(Scalar::Folded(fold_of::<W>()))
}

fn fold_of<W: FromStr<Err = UnknownWord> + Display>() -> Fold {
    Fold {
        name: std::any::type_name::<W>(),
        apply: spelled::<W>,
    }
}

/// A country code, kept in upper case.
pub fn country(column: &'static str) -> Kind {
    let fold = Fold {
        name: "country",
        apply: str::to_ascii_uppercase,
    };
    folded(column, column, fold, Spelling::Ascii)
}

/// A version, with the key that sorts as it does.
pub fn version(column: &'static str, key: &'static str) -> Kind {
    Kind::of(Scalar::Version, column, key, ColumnType::Version)
}

/// A GUID.
pub fn guid(column: &'static str) -> Kind {
    Kind::of(Scalar::Guid, column, column, ColumnType::Guid)
}

/// A point in time.
pub fn instant(column: &'static str) -> Kind {
    Kind::of(Scalar::DateTimeOffset, column, column, ColumnType::Instant)
}

/// The roles of a principal.
pub fn roles(column: &'static str) -> Kind {
    Kind::of(Type::Collection(role_type()), column, column, ColumnType::Roles)
}

/// Words, each on a line of the column, which is empty where there is none.
pub fn words(column: &'static str) -> Kind {
    Kind::of(
        Type::Collection(Scalar::String),
        column,
        column,
        ColumnType::Words,
    )
}

/// The type of one role.
fn role_type() -> Scalar {
    Scalar::Folded(Fold {
        name: "role",
        apply: spelled::<domain::principal::Role>,
    })
}

/// Something that only the row in memory knows.
pub fn in_memory(ty: impl Into<Type>) -> Kind {
    Kind::of(ty, "", "", ColumnType::Memory)
}

/// A text that is shown, and that is all.
pub fn hidden_text() -> Kind {
    Kind::of(Scalar::String, "", "", ColumnType::Hidden)
}

/// An instant that is shown, and that is all.
pub fn hidden_instant() -> Kind {
    Kind::of(Scalar::DateTimeOffset, "", "", ColumnType::Hidden)
}

/// Something of several parts that is shown, and that is all.
pub fn hidden() -> Kind {
    Kind::of(Type::Complex(Vec::new()), "", "", ColumnType::Hidden)
}

/// A word as its vocabulary spells it.
fn spelled<W: FromStr<Err = UnknownWord> + Display>(text: &str) -> String {
    match text.parse::<W>() {
        Ok(word) => word.to_string(),
        Err(unknown) => spelled_among(&unknown.known, text),
    }
}

/// A text as one of these words is spelled, and a part of one as it is spelled there. Anything else is spelled so that it
/// comes before and behind the words that it would come before and behind if no letter had a case, as far as they are
/// in that order themselves: then a column of words compares with it as it is.
pub(crate) fn spelled_among(words: &[&str], text: &str) -> String {
    if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        return (*word).to_owned();
    }
    let small = text.to_ascii_lowercase();
    let shared = |word: &str| {
        let same = word.bytes().zip(small.bytes());
        same.take_while(|(left, right)| left.to_ascii_lowercase() == *right)
            .count()
    };
    let nearest = words
        .iter()
        .copied()
        .max_by_key(|word| shared(word))
        .unwrap_or_default();
    let (begin, rest) = small.split_at(shared(nearest));
    let begin = nearest.get(..begin.len()).unwrap_or(begin);
    let mut capital = rest.to_owned();
    if let Some(first) = capital.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    // What stands between capital and small letters has its place before all of them.
    let spellings = [
        format!("{begin}{capital}"),
        format!("{begin}{rest}"),
        format!("{begin}@{rest}"),
    ];
    let well_placed = |spelling: &String| {
        let same_place = |word: &&&str| spelling.as_str().cmp(word) == small.cmp(&word.to_ascii_lowercase());
        words.iter().filter(same_place).count()
    };
    let best = spellings.into_iter().rev().max_by_key(well_placed);
    best.unwrap_or(small)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        environment::EnvironmentKind,
        operation::{FailureCause, OperationKind, OperationStatus},
        principal::{PrincipalKind, Role},
        version::{Availability, SyncMode, VersionStatus},
    };
    use proptest::prelude::*;

    fn vocabularies() -> Vec<Vec<&'static str>> {
        fn words<W: FromStr<Err = UnknownWord>>() -> Vec<&'static str> {
            "no word".parse::<W>().err().unwrap().known
        }
        vec![
            words::<EnvironmentKind>(),
            words::<FailureCause>(),
            words::<OperationKind>(),
            words::<OperationStatus>(),
            words::<PrincipalKind>(),
            words::<Role>(),
            words::<Availability>(),
            words::<SyncMode>(),
            words::<VersionStatus>(),
            crate::entity_sets::ACTOR_KINDS.to_vec(),
        ]
    }

    #[test]
    fn a_part_of_a_word_comes_before_it() {
        for words in vocabularies() {
            for word in &words {
                for end in 1..=word.len() {
                    let part = &word[..end];
                    for text in [part.to_ascii_lowercase(), part.to_ascii_uppercase()] {
                        assert_eq!(spelled_among(&words, &text), part);
                    }
                }
            }
        }
    }

    fn check(text: &str) {
        let small = text.to_ascii_lowercase();
        for words in vocabularies() {
            let smaller = words.iter().map(|word| word.to_ascii_lowercase());
            let mut sorted: Vec<_> = words.iter().copied().zip(smaller).collect();
            sorted.sort();
            if !sorted.is_sorted_by_key(|(_, small)| small) {
                continue;
            }
            let spelling = spelled_among(&words, text);
            for (word, of_word) in sorted {
                let (place, wanted) = (spelling.as_str().cmp(word), small.cmp(&of_word));
                assert_eq!(place, wanted, "{text} as {spelling} against {word}");
            }
        }
    }

    #[test]
    fn what_is_like_a_word_has_its_place() {
        for words in vocabularies() {
            for word in words {
                for end in 0..=word.len() {
                    for letter in ["a", "M", "z", "_", "0", "~", "ä"] {
                        check(&format!("{}{letter}", &word[..end]));
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_compared_with_a_word_has_its_place(text in "[a-zA-Z_ 0-9ä]{0,4}") {
            check(&text);
        }
    }
}
