//! OData query options: read, checked against a schema, evaluated in memory.
//!
//! The options of a URL are text from strangers. This crate turns them into values that the rest of a program can
//! trust, in three steps: [`Options::parse`] splits and decodes the query string, [`parse_filter`] and its like read
//! the grammar, and binding looks up names and types in a [`Schema`]. A bound [`Filter`] can be walked node by node
//! (to translate it into a database's language) or evaluated over any [`Row`]. The crate knows no entity and no
//! database.
//!
//! The grammar is OData 4.01's; left out, and answered as not implemented, are JSON literals, `$it` and `$root`,
//! annotations, bound functions, and the functions `cast`, `isof`, `case`, `hassubset`, `hassubsequence` and `geo.*`.
//! Nothing recurses over input: trees are lists of nodes in which children precede parents, and every pass is a loop.
//!
//! ```
//! use odata::*;
//!
//! let schema = Schema::new(
//!     "product",
//!     vec![Property::new("id", Scalar::Guid), Property::new("title", Scalar::String)],
//!     &["id"],
//! );
//! let ast = parse_filter("title eq 'Chair'", &Limits::default())?;
//! let filter = bind_filter(&ast, &schema, &Aliases::default(), &Limits::default())?;
//!
//! let row = vec![Value::Guid(Guid(7)), Value::text("Chair")];
//! assert!(filter.matches(&row, Instant::from_ticks(0))?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod aliases;
mod apply;
mod bind;
mod calculate;
mod compare;
mod error;
mod eval;
mod filter;
mod functions;
mod lexer;
mod limits;
mod literal;
mod number;
mod order;
mod paging;
mod parser;
mod pattern;
mod query;
mod schema;
mod syntax;
mod temporal;
mod types;
mod value;

pub use account::Account;
pub use aliases::Aliases;
pub use apply::Apply;
pub use bind::bind_filter;
pub use error::{ErrorCode, EvalError, QueryError};
pub use eval::Row;
pub use filter::{Collection, Domain, Expression, Filter, Kind, Node, Reference};
pub use functions::{Function, filter_words};
pub use limits::Limits;
pub use literal::Literal;
pub use number::{InvalidNumber, Number};
pub use order::{OrderBy, OrderKey, OrderTerm, Select};
pub use paging::{SkipToken, max_page_size, next_link_query};
pub use parser::parse_filter;
pub use pattern::Pattern;
pub use query::{Format, Metadata, Options, Resource};
pub use schema::{Enumeration, Fold, Property, Scalar, Schema, Type};
pub use syntax::{
    Arithmetic, Ast, BinaryOperator, Comparison, Item, ItemValue, LambdaSyntax, NodeId, Path, Quantifier,
    Root, Syntax, SyntaxNode, UnaryOperator,
};
pub use temporal::{Date, Duration, Instant, TimeOfDay, parse_duration};
pub use value::{Guid, Value, Version};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
