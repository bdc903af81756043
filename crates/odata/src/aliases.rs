//! Parameter aliases: `@name=literal` beside the filter, `@name` inside.

use crate::error::QueryError;
use crate::lexer::{Lexer, Operand, Operator};
use crate::literal::Literal;
use std::collections::BTreeMap;

/// The parameter aliases of a request: `@name=literal`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aliases {
    /// Decoded literals by name, without the `@`.
    pub texts: BTreeMap<String, String>,
}

impl Aliases {
    /// The literal of an alias; null if it is not set.
    pub(crate) fn literal(&self, name: &str) -> Result<Literal, QueryError> {
        let Some(text) = self.texts.get(name) else {
            return Ok(Literal::Null);
        };
        let target = format!("@{name}");
        read_single_literal(text).map_err(|error| error.blamed_on(&target))
    }
}

fn read_single_literal(text: &str) -> Result<Literal, QueryError> {
    let mut lexer = Lexer::new(text);
    let (operand, position) = lexer.operand()?;
    let Operand::Literal(literal) = operand else {
        return Err(QueryError::filter_at(
            position,
            "A parameter alias may only hold a literal, which is missing",
        ));
    };
    match lexer.operator()? {
        (Operator::End, _) => Ok(literal),
        (_, position) => Err(QueryError::filter_at(
            position,
            "Unexpected text behind the literal",
        )),
    }
}
