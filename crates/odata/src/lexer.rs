//! Text to tokens. The grammar cannot be split into words beforehand: a word is a keyword only where an operator
//! can stand, digits may begin four kinds of literal, and blanks are part of the syntax. So the parser says which
//! of the two it needs, an operand or an operator, and the lexer reads just that.

use crate::error::QueryError;
use crate::functions;
use crate::literal::{self, Flaw, Literal, split_while};
use crate::syntax::{BINARY_KEYWORDS, BinaryOperator, Item, ItemValue, Quantifier};
use crate::temporal::parse_duration;
use crate::value::Guid;

/// What can stand where an operand is expected.
#[derive(Debug)]
pub(crate) enum Operand {
    Open,
    Not,
    Minus,
    Literal(Literal),
    Alias(String),
    Path(Vec<String>),
    Count(Vec<String>),
    /// A function's name; its parenthesis is already consumed.
    Call(String),
    /// `path/any()`, complete.
    AnyItem(Vec<String>),
    /// `path/any(v:`, up to its condition.
    Lambda {
        quantifier: Quantifier,
        path: Vec<String>,
        variable: String,
    },
}

/// What can follow an operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operator {
    Binary(BinaryOperator),
    And,
    Or,
    In,
    Comma,
    Close,
    End,
}

pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// A byte offset and the characters before it, so that counting never starts over.
    counted: (usize, usize),
}

type Token<T> = Result<(T, usize), QueryError>;

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Lexer<'t> {
        Lexer {
            text,
            at: 0,
            counted: (0, 0),
        }
    }

    /// Reads an operand, or what introduces one, and its position.
    pub(crate) fn operand(&mut self) -> Token<Operand> {
        self.skip_blanks();
        let start = self.at;
        let position = self.position(start);
        let Some(first) = self.peek() else {
            return self.fail(start, "Expected an operand");
        };
        let operand = match first {
            '(' => self.advance_with(first, Operand::Open),
            '\'' => Operand::Literal(Literal::String(self.quoted()?)),
            '@' => self.alias()?,
            ')' | ',' => return self.fail(start, "Expected an operand"),
            '"' => return self.fail(start, "Text stands in single quotes; write 'x', not \"x\""),
            '[' | '{' => return self.bracket(),
            '$' => return self.dollar(),
            _ => self.bare_operand(first)?,
        };
        Ok((operand, position))
    }

    /// Reads what follows an operand, and its position.
    pub(crate) fn operator(&mut self) -> Token<Operator> {
        let blank = self.skip_blanks();
        let start = self.at;
        let position = self.position(start);
        let operator = match self.peek() {
            None => Operator::End,
            Some(')') => self.advance_with(')', Operator::Close),
            Some(',') => self.advance_with(',', Operator::Comma),
            Some(_) => self.keyword(blank)?,
        };
        Ok((operator, position))
    }

    /// Consumes a closing parenthesis, if the next thing is one.
    pub(crate) fn closes(&mut self) -> bool {
        self.skip_blanks();
        self.eat(')')
    }

    /// Reads a literal list with its parentheses, if one begins here.
    pub(crate) fn list(&mut self, max_items: usize) -> Result<Option<Vec<Item>>, QueryError> {
        self.skip_blanks();
        if !self.eat('(') {
            return Ok(None);
        }
        let mut items = Vec::new();
        if self.closes() {
            return Ok(Some(items));
        }
        loop {
            items.push(self.list_item()?);
            if items.len() > max_items {
                return self.fail(self.at, format!("The list has more than {max_items} items"));
            }
            if self.closes() {
                return Ok(Some(items));
            }
            if !self.eat(',') {
                return self.fail(self.at, "Expected `,` or `)` in the list");
            }
        }
    }

    fn list_item(&mut self) -> Result<Item, QueryError> {
        let (operand, position) = self.operand()?;
        let value = match operand {
            Operand::Literal(literal) => ItemValue::Literal(literal),
            Operand::Alias(name) => ItemValue::Alias(name),
            Operand::Path(_) => {
                let hint = "A list may only hold literals; text stands in single quotes, and a collection property without parentheses";
                return Err(QueryError::filter_at(position, hint));
            }
            _ => return Err(QueryError::filter_at(position, "A list may only hold literals")),
        };
        Ok(Item { value, position })
    }

    fn bare_operand(&mut self, first: char) -> Result<Operand, QueryError> {
        let start = self.at;
        let scanned = literal::scan(self.rest());
        match scanned {
            Err(Flaw { offset, message }) => self.fail(start + offset, message),
            Ok(Some((literal, length))) => {
                self.at += length;
                Ok(Operand::Literal(literal))
            }
            Ok(None) if first == '-' => Ok(self.advance_with('-', Operand::Minus)),
            Ok(None) if begins_name(first) => self.named(),
            Ok(None) => self.fail(start, format!("Unexpected {}", describe(first))),
        }
    }

    /// A word: `not`, a constant, a prefixed literal, a call or a path.
    fn named(&mut self) -> Result<Operand, QueryError> {
        let start = self.at;
        let (name, qualified) = self.name();
        let next = self.peek();
        let is_not = name.eq_ignore_ascii_case("not") && matches!(next, None | Some(' ' | '\t' | '('));
        match next {
            _ if is_not => Ok(Operand::Not),
            Some('\'') => self.prefixed(start, name, qualified),
            Some('(') => self.call(start, name, qualified),
            _ if qualified => self.refuse(start, format!("The qualified name `{name}`")),
            Some('/') => self.path(name),
            _ => Ok(constant(name).map_or_else(|| Operand::Path(vec![name.into()]), Operand::Literal)),
        }
    }

    fn call(&mut self, start: usize, name: &str, qualified: bool) -> Result<Operand, QueryError> {
        if qualified || functions::is_known_elsewhere(name) {
            return self.refuse(start, format!("The function `{name}`"));
        }
        if quantifier(name).is_some() {
            let message = format!("`{name}` needs a collection; write collection/{name}(…)");
            return self.fail(self.at, message);
        }
        Ok(self.advance_with('(', Operand::Call(name.into())))
    }

    /// The rest of a path behind its first name.
    fn path(&mut self, first: &str) -> Result<Operand, QueryError> {
        let mut names = vec![first.to_string()];
        while self.eat('/') {
            let start = self.at;
            match self.peek() {
                Some('$') => return self.path_end(names),
                Some('@') => return self.refuse(start, "An annotation"),
                Some(first) if begins_name(first) => {}
                _ => return self.fail(start, "Expected a name behind `/`"),
            }
            let (name, qualified) = self.name();
            if qualified {
                return self.refuse(start, format!("The qualified name `{name}`"));
            }
            if self.eat('(') {
                return self.lambda(names, start, name);
            }
            names.push(name.into());
        }
        Ok(Operand::Path(names))
    }

    /// `$count` behind a collection.
    fn path_end(&mut self, names: Vec<String>) -> Result<Operand, QueryError> {
        let start = self.at;
        self.at += 1;
        let (name, _) = self.name();
        match name {
            "count" if !matches!(self.peek(), Some('/' | '(')) => Ok(Operand::Count(names)),
            _ => self.refuse(start, format!("The path segment `${name}`")),
        }
    }

    /// The head of `any` or `all` behind its opening parenthesis.
    fn lambda(&mut self, path: Vec<String>, start: usize, name: &str) -> Result<Operand, QueryError> {
        let Some(quantifier) = quantifier(name) else {
            return self.fail(start, format!("Expected `any` or `all`, not `{name}`"));
        };
        if self.closes() {
            return match quantifier {
                Quantifier::Any => Ok(Operand::AnyItem(path)),
                Quantifier::All => self.fail(
                    self.at - 1,
                    "`all` needs a variable and a condition; write all(x:…)",
                ),
            };
        }
        if !self.peek().is_some_and(begins_name) {
            return self.fail(self.at, "Expected a variable; write any(x:…)");
        }
        let (variable, _) = self.name();
        self.skip_blanks();
        if !self.eat(':') {
            return self.fail(self.at, format!("Expected `:` behind the variable `{variable}`"));
        }
        Ok(Operand::Lambda {
            quantifier,
            path,
            variable: variable.into(),
        })
    }

    /// A literal with a word before its quotes.
    fn prefixed(&mut self, start: usize, name: &str, qualified: bool) -> Result<Operand, QueryError> {
        if let Some(hint) = old_prefix_hint(name) {
            return self.fail(
                start,
                format!("`{name}'…'` is a literal of OData 2 and 3; {hint}"),
            );
        }
        let prefix = name.to_ascii_lowercase();
        if !qualified && prefix != "duration" && prefix != "binary" {
            return self.fail(self.at, "Unexpected quote");
        }
        let content = self.quoted()?;
        let literal = match prefix.as_str() {
            "duration" => parse_duration(&content).map(Literal::Duration),
            "binary" => literal::decode_base64url(&content).map(Literal::Binary),
            _ => Some(Literal::Enumeration {
                type_name: name.into(),
                members: content,
            }),
        };
        match literal {
            Some(literal) => Ok(Operand::Literal(literal)),
            None if prefix == "duration" => self.fail(
                start,
                "The duration is malformed; write it as duration'P1DT2H30M15.5S', with at most nine digits behind the point",
            ),
            None => self.fail(start, "The binary literal is not base64url"),
        }
    }

    /// A string in single quotes; two quotes in a row are one.
    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        let mut content = String::new();
        let mut rest = self.rest().strip_prefix('\'').unwrap_or_default();
        while let Some((before, behind)) = rest.split_once('\'') {
            content.push_str(before);
            let Some(behind_second) = behind.strip_prefix('\'') else {
                self.at = self.text.len() - behind.len();
                return Ok(content);
            };
            content.push('\'');
            rest = behind_second;
        }
        self.fail(start, "There is no closing quote for the text that begins")
    }

    fn alias(&mut self) -> Result<Operand, QueryError> {
        let start = self.at;
        self.at += 1;
        if !self.peek().is_some_and(begins_name) {
            return self.fail(start, "Expected a parameter alias such as @p");
        }
        let (name, qualified) = self.name();
        if qualified {
            return self.refuse(start, "An annotation");
        }
        Ok(Operand::Alias(name.into()))
    }

    /// JSON arrays and objects; a GUID in braces gets a better answer.
    fn bracket<T>(&mut self) -> Result<T, QueryError> {
        let inner = self.text.get(self.at + 1..self.at + 37);
        if inner.and_then(Guid::parse).is_some() {
            return self.fail(self.at, "A GUID stands without braces");
        }
        self.refuse(self.at, "A JSON array or object")
    }

    fn dollar<T>(&mut self) -> Result<T, QueryError> {
        let start = self.at;
        self.at += 1;
        let (name, _) = self.name();
        match name {
            "it" | "root" | "this" => self.refuse(start, format!("`${name}`")),
            _ => self.fail(start, "Expected an operand"),
        }
    }

    /// An operator's keyword, with the blanks it needs on both sides.
    fn keyword(&mut self, blank_before: bool) -> Result<Operator, QueryError> {
        let start = self.at;
        let rest = self.rest();
        let (word, behind) = split_while(rest, |c| c.is_ascii_alphabetic());
        let next = behind.chars().next();
        let Some(operator) = operator(word).filter(|_| !next.is_some_and(continues_name)) else {
            return self.fail(start, expected_operator(rest));
        };
        if !blank_before {
            return self.fail(start, format!("Expected a blank before `{word}`"));
        }
        if !matches!(next, None | Some(' ' | '\t')) {
            return self.fail(start + word.len(), format!("Expected a blank behind `{word}`"));
        }
        self.at += word.len();
        Ok(operator)
    }

    /// A name, and whether it is qualified by dots.
    fn name(&mut self) -> (&'t str, bool) {
        let start = self.at;
        let mut qualified = false;
        loop {
            let (part, behind) = split_while(self.rest(), continues_name);
            self.at += part.len();
            let behind_dot = behind.strip_prefix('.');
            if !behind_dot.is_some_and(|behind| behind.starts_with(begins_name)) {
                return (self.text.get(start..self.at).unwrap_or_default(), qualified);
            }
            qualified = true;
            self.at += 1;
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn advance_with<T>(&mut self, consumed: char, token: T) -> T {
        self.at += consumed.len_utf8();
        token
    }

    /// Skips blanks and tabs, nothing else; says whether there were any.
    fn skip_blanks(&mut self) -> bool {
        let (blanks, _) = split_while(self.rest(), |c| matches!(c, ' ' | '\t'));
        self.at += blanks.len();
        !blanks.is_empty()
    }

    /// Characters before a byte offset.
    fn position(&mut self, byte: usize) -> usize {
        let (bytes, chars) = self.counted;
        let position = match self.text.get(bytes..byte) {
            Some(between) => chars + between.chars().count(),
            None => self.text.get(..byte).unwrap_or_default().chars().count(),
        };
        self.counted = (byte, position);
        position
    }

    fn fail<T>(&mut self, byte: usize, what: impl std::fmt::Display) -> Result<T, QueryError> {
        Err(QueryError::filter_at(self.position(byte), what))
    }

    fn refuse<T>(&mut self, byte: usize, what: impl std::fmt::Display) -> Result<T, QueryError> {
        Err(QueryError::unsupported_at(self.position(byte), what))
    }
}

pub(crate) fn begins_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn describe(c: char) -> String {
    if c.is_control() || c.is_whitespace() {
        format!(
            "character U+{:04X} (only blanks and tabs separate words)",
            c as u32
        )
    } else {
        format!("character `{c}`")
    }
}

fn constant(name: &str) -> Option<Literal> {
    match name {
        "null" => Some(Literal::Null),
        _ if name.eq_ignore_ascii_case("true") => Some(Literal::Boolean(true)),
        _ if name.eq_ignore_ascii_case("false") => Some(Literal::Boolean(false)),
        _ => None,
    }
}

fn quantifier(name: &str) -> Option<Quantifier> {
    match name {
        _ if name.eq_ignore_ascii_case("any") => Some(Quantifier::Any),
        _ if name.eq_ignore_ascii_case("all") => Some(Quantifier::All),
        _ => None,
    }
}

fn operator(word: &str) -> Option<Operator> {
    let logical = [("and", Operator::And), ("or", Operator::Or), ("in", Operator::In)];
    let binary = BINARY_KEYWORDS
        .iter()
        .map(|(keyword, operator)| (*keyword, Operator::Binary(*operator)));
    let mut all = logical.into_iter().chain(binary);
    all.find(|(keyword, _)| keyword.eq_ignore_ascii_case(word))
        .map(|(_, operator)| operator)
}

/// What to say where an operator should be, with the OData word for operators of other languages.
fn expected_operator(rest: &str) -> String {
    const FOREIGN: [(&str, &str); 12] = [
        ("&&", "and"),
        ("||", "or"),
        ("!=", "ne"),
        ("<>", "ne"),
        ("==", "eq"),
        ("=", "eq"),
        (">=", "ge"),
        ("<=", "le"),
        (">", "gt"),
        ("<", "lt"),
        ("*", "mul"),
        ("+", "add"),
    ];
    let foreign = FOREIGN.iter().find(|(symbol, _)| rest.starts_with(symbol));
    if let Some((symbol, keyword)) = foreign {
        return format!("Expected an operator, not `{symbol}`; write `{keyword}`");
    }
    if let Some(strange) = rest
        .chars()
        .next()
        .filter(|c| c.is_whitespace() || c.is_control())
    {
        return format!("Unexpected {}", describe(strange));
    }
    let word = literal::word(rest);
    if word.eq_ignore_ascii_case("not") {
        return "Expected an operator; `not` goes before what it negates, as in not (a eq b)".into();
    }
    if word.eq_ignore_ascii_case("like") {
        return "Expected an operator; for a part of a text write contains(property,'part')".into();
    }
    "Expected an operator".into()
}

/// What to write instead of a literal that OData 4 has no prefix for.
fn old_prefix_hint(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "guid" => Some("write the GUID without prefix and quotes"),
        "datetime" | "datetimeoffset" => {
            Some("write it without prefix and quotes, as in 2024-02-29T12:00:00Z")
        }
        "time" => Some("write a time of day as 12:00:00, or a duration as duration'PT12H'"),
        _ => None,
    }
}
