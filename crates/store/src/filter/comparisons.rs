//! `eq ne gt ge lt le in`: what is compared with what, and what becomes of null.
//!
//! Null equals null, differs from everything else, and is neither greater nor less than anything; a comparison is
//! never null itself.

use super::{
    fragment::{Fragment, Yields},
    numbers::{self, IntegerPosition},
    translator::{Calendar, Translation, Translator, bound},
};
use crate::{Value as Stored, list::entity_set::ColumnType};
use domain::instant::TICKS_PER_SECOND;
use odata::{Comparison, Date, Domain, Fold, Instant, NodeId, Value};

const TICKS_PER_DAY: i64 = 24 * 3600 * TICKS_PER_SECOND;

/// One side of a comparison.
enum Side {
    /// A value, not null.
    Value(Value<'static>),
    Sql(Fragment),
    Calendar(Calendar, usize),
}

pub(crate) fn compare(
    translator: &mut Translator<'_>,
    operator: Comparison,
    domain: Domain,
    (left, right): (NodeId, NodeId),
    null_is_false: bool,
) -> Option<Translation> {
    let (left, right) = (translator.take(left), translator.take(right));
    if let (Translation::Constant(Value::Null), other) | (other, Translation::Constant(Value::Null)) =
        (&left, &right)
    {
        return anything(translator, other).map(|other| Translation::Sql(with_null(operator, other)));
    }
    let (left_fold, right_fold) = folds(domain);
    let (small, equality) = (small_letters_text(&left, &right), is_equality(operator));
    let small = small.filter(|_| equality && domain == Domain::Text);
    let left = side(translator, left, domain, left_fold, small.as_deref())?;
    let right = side(translator, right, domain, right_fold, small.as_deref())?;
    let condition = match (left, right) {
        (Side::Value(value), other) => {
            with_value(translator, mirrored(operator), other, &value, null_is_false)
        }
        (other, Side::Value(value)) => with_value(translator, operator, other, &value, null_is_false),
        (Side::Sql(left), Side::Sql(right)) => Some(between(operator, left, right, null_is_false)),
        _ => None,
    };
    condition.map(Translation::Sql)
}

/// An operand of any type, for the question whether it is null.
fn anything(translator: &Translator<'_>, translation: &Translation) -> Option<Fragment> {
    match translation {
        Translation::Sql(fragment) => Some(fragment.clone()),
        Translation::Property(property)
        | Translation::SmallLetters(property)
        | Translation::Calendar(_, property) => {
            let mapping = translator.mapping(*property)?;
            let is_column = !matches!(
                mapping.column_type,
                ColumnType::Memory | ColumnType::Hidden | ColumnType::Roles
            );
            is_column.then(|| Fragment::column(mapping.key, Yields::Key, mapping.nullable))
        }
        Translation::Constant(_) | Translation::Nothing => None,
    }
}

fn folds(domain: Domain) -> (Option<Fold>, Option<Fold>) {
    match domain {
        Domain::Folded { left, right } => (left, right),
        _ => (None, None),
    }
}

/// The text that the lower case of a property is compared with.
fn small_letters_text(left: &Translation, right: &Translation) -> Option<String> {
    match (left, right) {
        (Translation::SmallLetters(_), Translation::Constant(Value::Text(text)))
        | (Translation::Constant(Value::Text(text)), Translation::SmallLetters(_)) => {
            Some(text.clone().into_owned())
        }
        _ => None,
    }
}

fn is_equality(operator: Comparison) -> bool {
    matches!(operator, Comparison::Equal | Comparison::NotEqual)
}

/// An operand's translation, as the domain compares it.
fn side(
    translator: &Translator<'_>,
    translation: Translation,
    domain: Domain,
    fold: Option<Fold>,
    small: Option<&str>,
) -> Option<Side> {
    match translation {
        Translation::Constant(Value::Text(text)) => {
            let text = fold.map_or_else(|| text.clone().into_owned(), |fold| (fold.apply)(&text));
            Some(Side::Value(Value::text(text)))
        }
        Translation::Constant(value) => Some(Side::Value(value)),
        Translation::Property(property) => key(translator, property, domain, fold).map(Side::Sql),
        Translation::SmallLetters(property) => translator.small_letters(property, small?).map(Side::Sql),
        Translation::Calendar(part, property) => Some(Side::Calendar(part, property)),
        Translation::Sql(fragment) => is_comparable(&fragment, domain).then_some(Side::Sql(fragment)),
        Translation::Nothing => None,
    }
}

/// The column by which the domain compares a property.
fn key(translator: &Translator<'_>, property: usize, domain: Domain, fold: Option<Fold>) -> Option<Fragment> {
    let mapping = translator.mapping(property)?;
    let yields = match (&mapping.column_type, domain) {
        (ColumnType::Number(range), Domain::Number) => {
            Yields::Number((*range.start()).into()..=(*range.end()).into())
        }
        (ColumnType::Truth, Domain::Boolean) => Yields::Truth,
        (ColumnType::Text, Domain::Text) => Yields::Text,
        (ColumnType::Version, Domain::Version)
        | (ColumnType::Guid, Domain::Guid)
        | (ColumnType::Instant, Domain::Instant) => Yields::Key,
        (ColumnType::Folded(own, _), Domain::Folded { .. }) if fold == Some(*own) => Yields::Text,
        _ => return None,
    };
    Some(Fragment::column(mapping.key, yields, mapping.nullable))
}

fn is_comparable(fragment: &Fragment, domain: Domain) -> bool {
    matches!(
        (fragment.yields(), domain),
        (Yields::Truth, Domain::Boolean) | (Yields::Number(_), Domain::Number) | (Yields::Text, Domain::Text)
    )
}

/// `5 lt x` is `x gt 5`.
fn mirrored(operator: Comparison) -> Comparison {
    match operator {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        equality => equality,
    }
}

fn with_value(
    translator: &Translator<'_>,
    operator: Comparison,
    side: Side,
    value: &Value<'static>,
    null_is_false: bool,
) -> Option<Fragment> {
    let sql = match side {
        Side::Sql(sql) => sql,
        Side::Calendar(part, property) => return with_calendar(translator, operator, part, property, value),
        Side::Value(_) => return None,
    };
    match value {
        Value::Number(number) => numbers::integer_position(*number)
            .map(|position| at_place(operator, sql, position, null_is_false)),
        Value::Instant(instant) => Some(at_place(
            operator,
            sql,
            numbers::tick_position(*instant),
            null_is_false,
        )),
        value => {
            let value = Fragment::new(sql.yields().clone()).value(bound(value)?);
            Some(between(operator, sql, value, null_is_false))
        }
    }
}

/// Two expressions of one kind.
fn between(operator: Comparison, left: Fragment, right: Fragment, null_is_false: bool) -> Fragment {
    let is_nullable = left.is_nullable() || right.is_nullable();
    let word = match operator {
        Comparison::NotEqual if is_nullable => " IS DISTINCT FROM ",
        // Two nulls are equal, so only a side that never is null lets the plain operator do.
        Comparison::Equal if is_nullable && !(null_is_false && left.is_nullable() != right.is_nullable()) => {
            " IS NOT DISTINCT FROM "
        }
        other => symbol(other),
    };
    let condition = Fragment::new(Yields::Truth)
        .piece(operand(left))
        .sql(word)
        .piece(operand(right));
    match word {
        " IS DISTINCT FROM " | " IS NOT DISTINCT FROM " => condition.never_null(),
        _ => condition.false_if_null(null_is_false),
    }
}

/// A condition among conditions needs parentheses.
fn operand(side: Fragment) -> Fragment {
    if *side.yields() == Yields::Truth {
        Fragment::new(Yields::Truth).sql("(").piece(side).sql(")")
    } else {
        side
    }
}

fn symbol(operator: Comparison) -> &'static str {
    match operator {
        Comparison::Equal => " = ",
        Comparison::NotEqual => " <> ",
        Comparison::Greater => " > ",
        Comparison::GreaterOrEqual => " >= ",
        Comparison::Less => " < ",
        Comparison::LessOrEqual => " <= ",
    }
}

fn with_null(operator: Comparison, sql: Fragment) -> Fragment {
    let word = match operator {
        Comparison::Equal => " IS NULL",
        Comparison::NotEqual => " IS NOT NULL",
        _ => return Fragment::truth(Some(false)),
    };
    if !sql.is_nullable() {
        return Fragment::truth(Some(operator == Comparison::NotEqual));
    }
    Fragment::new(Yields::Truth)
        .sql("(")
        .piece(sql)
        .sql(")")
        .sql(word)
        .never_null()
}

/// An integer against a number that need not be one.
fn at_place(operator: Comparison, sql: Fragment, position: IntegerPosition, null_is_false: bool) -> Fragment {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let (operator, number) = match (position, operator) {
        (IntegerPosition::At(number), operator) => (operator, number),
        (IntegerPosition::Behind(number), Greater | GreaterOrEqual) => (Greater, number),
        (IntegerPosition::Behind(number), Less | LessOrEqual) => (LessOrEqual, number),
        (_, Equal) => return Fragment::truth(Some(false)),
        (_, NotEqual) => return Fragment::truth(Some(true)),
        (IntegerPosition::BelowAll, Greater | GreaterOrEqual)
        | (IntegerPosition::AboveAll, Less | LessOrEqual) => {
            return with_null(NotEqual, sql);
        }
        _ => return Fragment::truth(Some(false)),
    };
    let number = Fragment::new(sql.yields().clone()).value(number);
    between(operator, sql, number, null_is_false)
}

/// `year(x) eq 2026`, `date(x) lt 2026-01-01`: the spans of instants that the column must lie in.
fn with_calendar(
    translator: &Translator<'_>,
    operator: Comparison,
    part: Calendar,
    property: usize,
    value: &Value<'static>,
) -> Option<Fragment> {
    let mapping = translator.mapping(property)?;
    let column = || Fragment::column(mapping.key, Yields::Key, mapping.nullable);
    let position = match (part, value) {
        (Calendar::Year, Value::Number(number)) => numbers::integer_position(*number)?,
        (Calendar::Day, Value::Date(day)) => {
            IntegerPosition::At(Instant::midnight(*day).to_ticks().0 / TICKS_PER_DAY)
        }
        _ => return None,
    };
    let (first, is_span) = match position {
        IntegerPosition::At(first) => (first, true),
        IntegerPosition::Behind(last) => (last.checked_add(1)?, false),
        IntegerPosition::BelowAll | IntegerPosition::AboveAll | IntegerPosition::Nowhere => return None,
    };
    let start = start_of(part, first)?;
    let end = if is_span {
        start_of(part, first.checked_add(1)?)?
    } else {
        start
    };
    let against = |word: &str, ticks: i64| {
        Fragment::new(Yields::Truth)
            .piece(column())
            .sql(word)
            .value(ticks)
    };
    let condition = match operator {
        Comparison::Greater => against(" >= ", end),
        Comparison::GreaterOrEqual => against(" >= ", start),
        Comparison::Less => against(" < ", start),
        Comparison::LessOrEqual => against(" < ", end),
        Comparison::Equal | Comparison::NotEqual => {
            Fragment::chain(vec![against(" >= ", start), against(" < ", end)], " AND ")?
        }
    };
    let condition = condition.false_if_null(false);
    if operator == Comparison::NotEqual {
        return Some(
            Fragment::new(Yields::Truth)
                .sql("NOT (")
                .piece(condition)
                .sql(")"),
        );
    }
    Some(condition)
}

/// The first tick of a year, or of a day counted from 1970.
fn start_of(part: Calendar, number: i64) -> Option<i64> {
    match part {
        Calendar::Year => {
            let first = Date::new(i16::try_from(number).ok()?, 1, 1).ok()?;
            Some(Instant::midnight(first).to_ticks().0)
        }
        Calendar::Day => number.checked_mul(TICKS_PER_DAY),
    }
}

pub(crate) fn in_list(
    translator: &mut Translator<'_>,
    domain: Domain,
    operand: NodeId,
    items: &[Value<'static>],
    null_is_false: bool,
) -> Option<Translation> {
    let translation = translator.take(operand);
    let (fold, _) = folds(domain);
    let letters: Option<String> = match &translation {
        Translation::SmallLetters(_) => Some(items.iter().filter_map(text_of).collect()),
        _ => None,
    };
    let Side::Sql(sql) = side(translator, translation, domain, fold, letters.as_deref())? else {
        return None;
    };
    let mut values = Vec::with_capacity(items.len());
    for item in items.iter().filter(|item| **item != Value::Null) {
        values.extend(stored_item(item)?);
    }
    let with_null_item = items.contains(&Value::Null);
    Some(Translation::Sql(is_one_of(
        sql,
        values,
        with_null_item,
        null_is_false,
    )))
}

fn text_of<'v>(value: &'v Value<'static>) -> Option<&'v str> {
    if let Value::Text(text) = value {
        Some(text)
    } else {
        None
    }
}

/// An item as it is bound: none where no row can equal it. `None` if SQL does not know its kind.
fn stored_item(item: &Value<'static>) -> Option<Option<Stored>> {
    let position = match item {
        Value::Number(number) => numbers::integer_position(*number).unwrap_or(IntegerPosition::Nowhere),
        Value::Instant(instant) => numbers::tick_position(*instant),
        other => return bound(other).map(Some),
    };
    Some(if let IntegerPosition::At(number) = position {
        Some(Stored::Int(number))
    } else {
        None
    })
}

fn is_one_of(sql: Fragment, values: Vec<Stored>, or_null: bool, null_is_false: bool) -> Fragment {
    let is_nullable = sql.is_nullable();
    if values.is_empty() {
        return if or_null {
            with_null(Comparison::Equal, sql)
        } else {
            Fragment::truth(Some(false))
        };
    }
    let found = Fragment::new(Yields::Truth)
        .piece(operand(sql))
        .sql(" IN (")
        .list(values)
        .sql(")");
    if or_null && is_nullable {
        return Fragment::new(Yields::Truth)
            .sql("COALESCE(")
            .piece(found)
            .sql(", TRUE)")
            .never_null();
    }
    found.false_if_null(null_is_false)
}
