//! Expressions of OData: operators and the names of properties stay, literals do not.

use super::{
    pseudonyms::{Kind, Pseudonyms},
    vocabulary::{is_member, is_plain, is_small_number, is_time, is_word},
};

/// Words that stand in expressions besides names of properties.
const WORDS: &[&str] = &[
    "eq",
    "ne",
    "gt",
    "ge",
    "lt",
    "le",
    "and",
    "or",
    "not",
    "in",
    "has",
    "asc",
    "desc",
    "any",
    "all",
    "contains",
    "startswith",
    "endswith",
    "tolower",
    "toupper",
    "trim",
    "length",
    "indexof",
    "substring",
    "concat",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "now",
    "date",
    "time",
    "matchespattern",
    "add",
    "sub",
    "mul",
    "div",
    "mod",
    "null",
    "true",
    "false",
    "$count",
    "aggregate",
    "average",
    "countdistinct",
    "filter",
    "groupby",
    "max",
    "min",
    "sum",
    "with",
    "as",
];

/// An expression about `what`, in which every literal and every name that nobody knows is a pseudonym. A literal is held
/// against the property that was named last.
pub(super) fn expression(known: &mut Pseudonyms, what: &str, expression: &str) -> String {
    let mut clean = String::new();
    let mut what = what.to_owned();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let (piece, after) = match first {
            '\'' => quoted(rest),
            _ if is_of_words(first) => {
                rest.split_at(rest.find(|next| !is_of_words(next)).unwrap_or(rest.len()))
            }
            _ => rest.split_at(first.len_utf8()),
        };
        if is_member(piece) {
            piece.clone_into(&mut what);
        }
        clean += &match first {
            '\'' => {
                let inner = piece.trim_matches('\'').replace("''", "'");
                match is_plain(&what, &inner) {
                    true => format!("'{inner}'"),
                    false => format!("'{}'", known.of(Kind::Text, &inner)),
                }
            }
            _ if !is_of_words(first) || is_of_expressions(&what, piece) => piece.to_owned(),
            _ => known.of(Kind::Text, piece),
        };
        rest = after;
    }
    clean
}

fn is_of_expressions(what: &str, word: &str) -> bool {
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
        || is_member(word)
        || is_word(word)
        || is_small_number(word)
        || is_time(word)
        || is_plain(what, word)
}

/// A literal in quotes at the beginning of `text`, and what comes after it.
fn quoted(text: &str) -> (&str, &str) {
    let mut end = 1;
    let mut quotes = text.match_indices('\'').skip(1).peekable();
    while let Some((at, _)) = quotes.next() {
        end = at + 1;
        // Two in a row are one of the text.
        if quotes.next_if(|(next, _)| *next == end).is_none() {
            return text.split_at(end);
        }
    }
    match end {
        1 => (text, ""),
        _ => text.split_at(text.len()),
    }
}

fn is_of_words(character: char) -> bool {
    character.is_alphanumeric() || "_.-$@:+".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literals_are_held_against_their_property() {
        for (written, clean) in [
            ("version lt '16.0.1.2'", "version lt '16.0.1.2'"),
            ("name eq '16.0.1.2'", "name eq '{text-1}'"),
            (
                "name eq '12345678' or name eq 12345678",
                "name eq '{text-1}' or name eq {text-1}",
            ),
            ("countryCode in ('US','DE')", "countryCode in ('US','DE')"),
            ("name eq 'US'", "name eq '{text-1}'"),
            ("majorVersion eq 16", "majorVersion eq 16"),
            (
                "createdOn gt 2026-01-01T00:00:00Z",
                "createdOn gt 2026-01-01T00:00:00Z",
            ),
            ("host eq 10.1.2.3", "{text-1} eq {text-2}"),
        ] {
            let mut known = Pseudonyms::default();
            assert_eq!(expression(&mut known, "", written), clean);
        }
    }

    proptest! {
        #[test]
        fn expressions_are_cut_into_pieces_and_lose_nothing_else(text in "[a-zA-Z0-9' ()=,é]{0,40}") {
            let clean = expression(&mut Pseudonyms::default(), "", &text);
            let signs = |text: &str| text.matches(['(', ')', '=']).count();
            prop_assert!(signs(&clean) <= signs(&text), "{clean}");
        }
    }
}
