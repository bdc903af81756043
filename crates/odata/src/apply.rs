//! `$apply`: rows that are counted by what they have in common.
//!
//! Of OData's extension for data aggregation this is `groupby((a,b),aggregate($count as n))`, with or without the
//! aggregate, and with or without `filter(…)/` before it. The rest of its grammar is answered as not implemented.

use crate::aliases::Aliases;
use crate::bind::bind_filter;
use crate::error::{ErrorCode, QueryError};
use crate::filter::Filter;
use crate::lexer::begins_name;
use crate::limits::Limits;
use crate::parser::parse_filter;
use crate::schema::{Property, Scalar, Schema, Type};
use std::fmt;

const OPTION: &str = "$apply";

const BLANKS: [char; 2] = [' ', '\t'];

/// Characters of a name that a count is given.
const LONGEST_NAME: usize = 128;

/// Groups of rows: which rows, what they have in common, and whether they are counted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Apply {
    /// Which rows are looked at at all.
    pub filter: Option<Filter>,
    /// The properties that the rows of a group have in common, by their indexes; at least one.
    pub by: Vec<usize>,
    /// What the number of a group's rows is called, if it is asked for.
    pub count_as: Option<String>,
}

impl Apply {
    /// Reads `$apply` for rows of this schema.
    ///
    /// # Errors
    /// `InvalidQueryOption` for what cannot be read, for unknown properties and those that are no single values, and for
    /// a name that is taken; `InvalidFilter` for a filter that is wrong; `NotImplemented` for everything else that the
    /// extension defines. The position is that in the whole value.
    pub fn parse(
        text: &str,
        schema: &Schema,
        aliases: &Aliases,
        limits: &Limits,
    ) -> Result<Apply, QueryError> {
        let mut cursor = Cursor { text, rest: text };
        let mut word = cursor.word();
        let filter = match word.is("filter") {
            true => {
                let filter = cursor.filter(schema, aliases, limits)?;
                if cursor.is_at_end() {
                    return Err(unsupported(cursor.position(), "A filter without groupby"));
                }
                cursor.expect('/')?;
                word = cursor.word();
                Some(filter)
            }
            false => None,
        };
        word.expect("groupby", "a transformation")?;
        cursor.expect('(')?;
        cursor.expect('(')?;
        let by = cursor.properties(schema, limits)?;
        let count_as = match cursor.takes(',') {
            true => Some(cursor.count(schema)?),
            false => None,
        };
        cursor.expect(')')?;
        match cursor.is_at_end() {
            true => Ok(Apply { filter, by, count_as }),
            false if cursor.takes('/') => {
                Err(unsupported(cursor.position(), "A transformation behind groupby"))
            }
            false => Err(wrong(cursor.position(), "Expected the end")),
        }
    }

    /// What the groups of rows of `schema` are made of: the properties in the order in which they are named, which are
    /// the key, and the count.
    pub fn schema(&self, schema: &Schema) -> Schema {
        let mut properties: Vec<Property> = self
            .by
            .iter()
            .filter_map(|property| schema.properties.get(*property).cloned())
            .collect();
        let keys = (0..properties.len()).collect();
        properties.extend(
            self.count_as
                .as_deref()
                .map(|name| Property::new(name, Scalar::Int)),
        );
        Schema {
            name: schema.name.clone(),
            properties,
            keys,
        }
    }
}

/// A word and where it stands.
struct Word<'t> {
    text: &'t str,
    position: usize,
}

impl Word<'_> {
    fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }

    /// Makes sure that this is the one word of its kind that is supported.
    fn expect(&self, keyword: &str, kind: &str) -> Result<(), QueryError> {
        match self.text {
            _ if self.is(keyword) => Ok(()),
            "" => Err(wrong(
                self.position,
                format!("Expected {kind}, such as {keyword}"),
            )),
            other => Err(unsupported(self.position, format!("`{other}`"))),
        }
    }
}

struct Cursor<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Cursor<'t> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(BLANKS);
    }

    fn position(&self) -> usize {
        self.text.chars().count() - self.rest.chars().count()
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest.is_empty()
    }

    /// The first of the rest, as far as it is `length` bytes long.
    fn cut(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Letters, digits, `_` and a leading `$`; maybe none.
    fn word(&mut self) -> Word<'t> {
        self.skip_blanks();
        let position = self.position();
        let is_part = |(at, letter): &(usize, char)| {
            letter.is_alphanumeric() || *letter == '_' || (*at == 0 && *letter == '$')
        };
        let mut letters = self.rest.char_indices().skip_while(is_part);
        let length = letters.next().map_or(self.rest.len(), |(at, _)| at);
        Word {
            text: self.cut(length),
            position,
        }
    }

    fn takes(&mut self, letter: char) -> bool {
        self.skip_blanks();
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, letter: char) -> Result<(), QueryError> {
        match self.takes(letter) {
            true => Ok(()),
            false => Err(wrong(self.position(), format!("Expected `{letter}`"))),
        }
    }

    /// A condition in parentheses.
    fn filter(&mut self, schema: &Schema, aliases: &Aliases, limits: &Limits) -> Result<Filter, QueryError> {
        self.expect('(')?;
        let begin = self.position();
        let length = closing(self.rest).ok_or_else(|| wrong(begin, "The parenthesis is not closed"))?;
        // Blanks stand for what is before it, so that positions are those in the whole value.
        let text = " ".repeat(begin) + self.cut(length);
        self.expect(')')?;
        let of_filter = |error: QueryError| match error.target == "$filter" {
            true => error.blamed_on(OPTION),
            false => error,
        };
        let limits = &Limits {
            bytes: limits.bytes + begin,
            ..limits.clone()
        };
        let ast = parse_filter(&text, limits).map_err(of_filter)?;
        bind_filter(&ast, schema, aliases, limits).map_err(of_filter)
    }

    /// Names of properties up to the closing parenthesis.
    fn properties(&mut self, schema: &Schema, limits: &Limits) -> Result<Vec<usize>, QueryError> {
        let mut by = Vec::new();
        loop {
            let name = self.word();
            self.skip_blanks();
            if self.rest.starts_with(['/', '(']) {
                return Err(unsupported(name.position, format!("`{}…` in groupby", name.text)));
            }
            let property = groupable(&name, schema)?;
            if by.contains(&property) {
                return Err(wrong(name.position, format!("`{}` is named twice", name.text)));
            }
            by.push(property);
            if by.len() > limits.grouping {
                let message = format!("There are more than {} properties", limits.grouping);
                return Err(wrong(name.position, message));
            }
            if !self.takes(',') {
                break;
            }
        }
        self.expect(')')?;
        Ok(by)
    }

    /// `aggregate($count as n)`: the name.
    fn count(&mut self, schema: &Schema) -> Result<String, QueryError> {
        self.word().expect("aggregate", "a transformation")?;
        self.expect('(')?;
        self.word().expect("$count", "what is aggregated")?;
        self.word().expect("as", "a name for it")?;
        let name = self.word();
        let is_name = name.text.starts_with(begins_name) && name.text.chars().count() <= LONGEST_NAME;
        if !is_name {
            return Err(wrong(name.position, "Expected a name for the count"));
        }
        if schema.find(name.text).is_some() {
            let message = format!("`{}` is the name of a property", name.text);
            return Err(wrong(name.position, message));
        }
        if self.takes(',') {
            return Err(unsupported(self.position(), "A second aggregate"));
        }
        self.expect(')')?;
        Ok(name.text.to_owned())
    }
}

/// The bytes up to the parenthesis that closes what was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut is_quoted) = (0_usize, false);
    for (at, letter) in text.char_indices() {
        match letter {
            // A doubled quote ends a text and begins another, which comes to the same.
            '\'' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted && depth == 0 => return Some(at),
            ')' if !is_quoted => depth -= 1,
            _ => {}
        }
    }
    None
}

fn groupable(name: &Word, schema: &Schema) -> Result<usize, QueryError> {
    if name.text.is_empty() {
        return Err(wrong(name.position, "Expected a property"));
    }
    let index = schema.find(name.text).ok_or_else(|| {
        let message = format!("There is no property `{}` on a {}", name.text, schema.name);
        wrong(name.position, message)
    })?;
    let ty = schema.properties.get(index).map(|property| &property.ty);
    match ty {
        Some(Type::Scalar(scalar)) if *scalar != Scalar::Binary => Ok(index),
        _ => {
            let message = format!(
                "`{}` is not a single value that rows could have in common",
                name.text
            );
            Err(wrong(name.position, message))
        }
    }
}

fn wrong(position: usize, what: impl fmt::Display) -> QueryError {
    QueryError::at(ErrorCode::InvalidQueryOption, OPTION, position, what)
}

fn unsupported(position: usize, what: impl fmt::Display) -> QueryError {
    let message = format!(
        "{what} is not supported; write groupby((property,…),aggregate($count as name)), with filter(condition)/ before it if need be"
    );
    QueryError::at(ErrorCode::NotImplemented, OPTION, position, message)
}
