//! Functions. A text is counted in characters on both databases, and is searched by position, never by `LIKE`.

use super::{
    fragment::{Fragment, Yields},
    translator::{Calendar, Translation, Translator, bound},
};
use crate::{
    Value as Stored,
    dialect::Dialect,
    list::entity_set::{ColumnType, Spelling},
};
use domain::instant::TICKS_PER_SECOND;
use odata::{Function, NodeId, Value};

/// Longer than any text, and a length that both databases accept.
const ENDLESS: i64 = 1_000_000_000;
/// Bytes of texts that a database is to put together for one row: what is longer is put together here, where it is
/// charged for.
const MOST_JOINED: u64 = 8_000;
/// Bytes of a text times bytes of what is looked for in it, which is what a database may compare: SQLite does so in one
/// step of its program, so that neither a count of steps nor an interruption ends it.
const MOST_COMPARED: u64 = 1_000_000;
/// The characters that Unicode calls white space.
const BLANKS: &str = "\t\n\u{b}\u{c}\r \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\
                      \u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";

pub(crate) fn call(
    translator: &mut Translator<'_>,
    function: Function,
    arguments: &[NodeId],
) -> Option<Translation> {
    match (function, arguments) {
        (Function::Year, [instant]) => calendar(translator, Calendar::Year, *instant),
        (Function::Date, [instant]) => calendar(translator, Calendar::Day, *instant),
        (Function::Hour, [instant]) => clock(translator, *instant, 24 * 3600, 3600),
        (Function::Minute, [instant]) => clock(translator, *instant, 3600, 60),
        (Function::Second, [instant]) => clock(translator, *instant, 60, 1),
        (Function::Contains | Function::IndexOf, [text, part]) => {
            position(translator, function, *text, *part)
        }
        (Function::StartsWith | Function::EndsWith, [text, part]) => {
            border(translator, function == Function::StartsWith, *text, *part)
        }
        (Function::ToLower, [text]) => lower(translator, *text),
        (Function::ToUpper, [text]) => ascii(translator, "upper(", *text),
        (Function::Trim, [text]) => trim(translator, *text),
        (Function::Length, [text]) => {
            let text = text_of(translator, *text)?;
            Some(Translation::Sql(
                length_type().sql("CAST(length(").piece(text).sql(") AS BIGINT)"),
            ))
        }
        (Function::Concat, [left, right]) => {
            let (left, right) = (text_of(translator, *left)?, text_of(translator, *right)?);
            if left.text_bytes() + right.text_bytes() > MOST_JOINED {
                return None;
            }
            Some(Translation::Sql(
                Fragment::new(Yields::Text)
                    .sql("(")
                    .piece(left)
                    .sql(" || ")
                    .piece(right)
                    .sql(")"),
            ))
        }
        (Function::Substring, [text, bounds @ ..]) => substring(translator, *text, bounds),
        _ => None,
    }
}

/// A text, or a literal whose type the databases are told.
fn text_of(translator: &mut Translator<'_>, id: NodeId) -> Option<Fragment> {
    match translator.take(id) {
        Translation::Constant(value @ (Value::Text(_) | Value::Version(_))) => {
            let text = shown(&value)?;
            Some(
                Fragment::new(Yields::Text)
                    .sql("CAST(")
                    .value(text)
                    .sql(" AS TEXT)"),
            )
        }
        translation => translator.shown_text(translation),
    }
}

/// A constant as text functions see it.
fn shown(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Version(version) => Some(version.to_string()),
        value => match bound(value) {
            Some(Stored::Text(text)) => Some(text),
            _ => None,
        },
    }
}

/// No text is longer than this many characters.
fn length_type() -> Fragment {
    Fragment::new(Yields::Number(-1..=1 << 40))
}

fn position(
    translator: &mut Translator<'_>,
    function: Function,
    text: NodeId,
    part: NodeId,
) -> Option<Translation> {
    let (text, part) = text_and_part(translator, text, part)?;
    if text.text_bytes().saturating_mul(part.text_bytes()) > MOST_COMPARED {
        return None;
    }
    let integer_position = |yields: Fragment| {
        yields
            .sql(translator.dialect.position_function())
            .sql("(")
            .piece(text)
            .sql(", ")
    };
    Some(Translation::Sql(match function {
        Function::Contains => integer_position(Fragment::new(Yields::Truth))
            .piece(part)
            .sql(") > 0"),
        _ => integer_position(length_type().sql("(CAST("))
            .piece(part)
            .sql(") AS BIGINT) - 1)"),
    }))
}

/// A text and what is looked for in it; the text may be the lower case of a property.
fn text_and_part(
    translator: &mut Translator<'_>,
    text: NodeId,
    part: NodeId,
) -> Option<(Fragment, Fragment)> {
    let whole = match translator.take(text) {
        Translation::SmallLetters(property) => match &translator.translation_of(part) {
            Translation::Constant(Value::Text(letters)) => translator.small_letters(property, letters)?,
            _ => return None,
        },
        Translation::Constant(value) => Fragment::new(Yields::Text)
            .sql("CAST(")
            .value(shown(&value)?)
            .sql(" AS TEXT)"),
        translation => translator.shown_text(translation)?,
    };
    Some((whole, text_of(translator, part)?))
}

/// Whether a text begins or ends with another.
fn border(
    translator: &mut Translator<'_>,
    at_start: bool,
    text: NodeId,
    part: NodeId,
) -> Option<Translation> {
    let length = match translator.translation_of(part) {
        Translation::Constant(value) => Some(shown(value)?.chars().count()),
        _ => None,
    };
    let (text, part) = text_and_part(translator, text, part)?;
    let length = match length {
        Some(length) => Fragment::new(Yields::Key).value(i64::try_from(length).ok()?),
        None if part.is_plain() => Fragment::new(Yields::Key)
            .sql("length(")
            .piece(part.clone())
            .sql(")"),
        None => return None,
    };
    let border = if at_start {
        first(text, length)
    } else {
        last(translator.dialect, text, length)
    };
    Some(Translation::Sql(
        Fragment::new(Yields::Truth).piece(border).sql(" = ").piece(part),
    ))
}

/// The first characters of a text.
fn first(text: Fragment, length: Fragment) -> Fragment {
    Fragment::new(Yields::Text)
        .sql("substr(")
        .piece(text)
        .sql(", 1, ")
        .piece(length)
        .sql(")")
}

/// The last characters of a text.
fn last(dialect: Dialect, text: Fragment, length: Fragment) -> Fragment {
    Fragment::filled(
        Yields::Text,
        dialect.last_characters(),
        &[("text", &text), ("length", &length)],
    )
}

fn lower(translator: &mut Translator<'_>, text: NodeId) -> Option<Translation> {
    if let Translation::Property(property) = *translator.translation_of(text) {
        let column_type = &translator.mapping(property)?.column_type;
        if matches!(column_type, ColumnType::Folded(_, Spelling::SmallLetters)) {
            return Some(Translation::SmallLetters(property));
        }
    }
    ascii(translator, "lower(", text)
}

/// Letters made small or large where all of them are ASCII; beyond it the databases differ from each other.
fn ascii(translator: &mut Translator<'_>, function: &str, text: NodeId) -> Option<Translation> {
    let Translation::Property(property) = translator.take(text) else {
        return None;
    };
    let mapping = translator.mapping(property)?;
    let is_ascii = matches!(
        mapping.column_type,
        ColumnType::Folded(_, Spelling::Ascii) | ColumnType::Version
    );
    let column = Fragment::column(mapping.shown, Yields::Text, mapping.nullable);
    is_ascii.then(|| Translation::Sql(Fragment::new(Yields::Text).sql(function).piece(column).sql(")")))
}

fn trim(translator: &mut Translator<'_>, text: NodeId) -> Option<Translation> {
    let text = text_of(translator, text)?;
    let function = translator.dialect.trim_function();
    Some(Translation::Sql(
        Fragment::new(Yields::Text)
            .sql(function)
            .sql("(")
            .piece(text)
            .sql(", ")
            .value(BLANKS)
            .sql(")"),
    ))
}

/// A part between constant bounds.
fn substring(translator: &mut Translator<'_>, text: NodeId, bounds: &[NodeId]) -> Option<Translation> {
    let mut numbers = [0, ENDLESS];
    for (number, bound) in numbers.iter_mut().zip(bounds) {
        *number = match translator.take(*bound) {
            Translation::Constant(Value::Number(number)) => number.to_i64()?.clamp(-ENDLESS, ENDLESS),
            _ => return None,
        };
    }
    let [start, length] = numbers;
    if length < 0 {
        return None;
    }
    let text = text_of(translator, text)?;
    let count = |count: i64| Fragment::new(Yields::Key).value(count);
    Some(Translation::Sql(if start < 0 {
        first(last(translator.dialect, text, count(-start)), count(length))
    } else {
        let part = Fragment::new(Yields::Text)
            .sql("substr(")
            .piece(text)
            .sql(", ")
            .value(start + 1);
        part.sql(", ").value(length).sql(")")
    }))
}

fn instant_property(translator: &mut Translator<'_>, id: NodeId) -> Option<usize> {
    let Translation::Property(property) = translator.take(id) else {
        return None;
    };
    (translator.mapping(property)?.column_type == ColumnType::Instant).then_some(property)
}

fn calendar(translator: &mut Translator<'_>, part: Calendar, instant: NodeId) -> Option<Translation> {
    Some(Translation::Calendar(
        part,
        instant_property(translator, instant)?,
    ))
}

/// How many whole `unit`s of seconds have passed since the last full `cycle` of seconds.
fn clock(translator: &mut Translator<'_>, instant: NodeId, cycle: i64, unit: i64) -> Option<Translation> {
    let property = instant_property(translator, instant)?;
    let mapping = translator.mapping(property)?;
    let column = Fragment::column(mapping.key, Yields::Key, mapping.nullable);
    let yields = Yields::Number(0..=i128::from(cycle / unit));
    let (cycle, unit) = (cycle * TICKS_PER_SECOND, unit * TICKS_PER_SECOND);
    let remainder = format!(" % {cycle} + {cycle}) % {cycle} / {unit})");
    Some(Translation::Sql(
        Fragment::new(yields).sql("((").piece(column).sql(&remainder),
    ))
}
