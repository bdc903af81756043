//! What was written, as a tree without meaning: names are not looked up yet.
//!
//! The tree is a list of nodes in which children always precede their parents. Whatever a caller sends, every later
//! pass is a loop over the list and dropping it is freeing one vector: no pass can overflow the stack.

use crate::literal::Literal;

/// A node of a tree, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

impl NodeId {
    /// The place in the list of nodes.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Ast {
    pub(crate) nodes: Vec<SyntaxNode>,
    pub(crate) lambdas: Vec<LambdaSyntax>,
    pub(crate) root: NodeId,
}

impl Ast {
    /// The node of the whole expression.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// A node.
    #[expect(clippy::indexing_slicing, reason = "an id comes with its tree")]
    pub fn node(&self, id: NodeId) -> &SyntaxNode {
        &self.nodes[id.0]
    }

    /// An `any` or `all`, by the index that [`Syntax::Lambda`] and [`Root::Variable`] carry.
    #[expect(clippy::indexing_slicing, reason = "an index comes with its tree")]
    pub fn lambda(&self, index: usize) -> &LambdaSyntax {
        &self.lambdas[index]
    }

    /// The number of nodes.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }
}

/// An expression and where it was written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SyntaxNode {
    /// The expression.
    pub syntax: Syntax,
    /// Characters from the start of the text to its operator, or its first character.
    pub position: usize,
}

/// An expression as written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Syntax {
    /// A literal.
    Literal(Literal),
    /// `@name`, without the `@`.
    Alias(String),
    /// A property, a lambda variable, or a member of one.
    Path(Path),
    /// `path/$count`.
    Count(Path),
    /// `name(argument, …)`.
    Call {
        /// The function's name as written.
        name: String,
        /// The arguments in order.
        arguments: Vec<NodeId>,
    },
    /// `not x` or `-x`.
    Unary {
        /// Which.
        operator: UnaryOperator,
        /// Of what.
        operand: NodeId,
    },
    /// `x op y`, all but `and`, `or` and `in`.
    Binary {
        /// Which.
        operator: BinaryOperator,
        /// The left operand.
        left: NodeId,
        /// The right operand.
        right: NodeId,
    },
    /// `x and y and …`: at least two operands.
    And(Vec<NodeId>),
    /// `x or y or …`: at least two operands.
    Or(Vec<NodeId>),
    /// `x in (1, 2)`.
    InList {
        /// What is looked for.
        operand: NodeId,
        /// Where.
        items: Vec<Item>,
    },
    /// `x in collection`.
    InCollection {
        /// What is looked for.
        operand: NodeId,
        /// The expression that should be a collection.
        collection: NodeId,
    },
    /// `path/any(v:condition)` and its kin.
    Lambda {
        /// Which of the tree's lambdas.
        lambda: usize,
        /// The condition; only `any()` has none.
        body: Option<NodeId>,
    },
}

/// An item of a literal list.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Item {
    /// The literal or the alias of one.
    pub value: ItemValue,
    /// Characters from the start of the text.
    pub position: usize,
}

/// What a list may hold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ItemValue {
    /// A literal.
    Literal(Literal),
    /// `@name`, without the `@`.
    Alias(String),
}

/// Names with slashes between.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Path {
    /// Where the first name is looked up.
    pub root: Root,
    /// The names; for a variable, the first is the variable's own.
    pub names: Vec<String>,
    /// Characters from the start of the text.
    pub position: usize,
}

/// Where a path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// At the entity.
    Entity,
    /// At the variable of this lambda.
    Variable(usize),
}

/// The head of an `any` or `all`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LambdaSyntax {
    /// Which of the two.
    pub quantifier: Quantifier,
    /// Over which collection.
    pub collection: Path,
    /// The variable's name; only `any()` has none.
    pub variable: Option<String>,
}

/// `any` or `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// True if the condition is true for at least one item.
    Any,
    /// True if the condition is true for every item, so also if there is none.
    All,
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOperator {
    /// `not`.
    Not,
    /// `-`.
    Negate,
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    /// `eq`, `lt` and so on.
    Compare(Comparison),
    /// `add`, `div` and so on.
    Arithmetic(Arithmetic),
    /// `has`.
    Has,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `eq`: null equals null.
    Equal,
    /// `ne`.
    NotEqual,
    /// `gt`: false with null.
    Greater,
    /// `ge`: false with null.
    GreaterOrEqual,
    /// `lt`: false with null.
    Less,
    /// `le`: false with null.
    LessOrEqual,
}

/// How two values are calculated with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `add`.
    Add,
    /// `sub`.
    Subtract,
    /// `mul`.
    Multiply,
    /// `div`: cuts fractions off between integers.
    Divide,
    /// `divby`: never cuts fractions off.
    DivideExactly,
    /// `mod`.
    Modulo,
}

/// The operators between operands, with their keywords.
pub(crate) const BINARY_KEYWORDS: [(&str, BinaryOperator); 13] = [
    ("eq", BinaryOperator::Compare(Comparison::Equal)),
    ("ne", BinaryOperator::Compare(Comparison::NotEqual)),
    ("gt", BinaryOperator::Compare(Comparison::Greater)),
    ("ge", BinaryOperator::Compare(Comparison::GreaterOrEqual)),
    ("lt", BinaryOperator::Compare(Comparison::Less)),
    ("le", BinaryOperator::Compare(Comparison::LessOrEqual)),
    ("add", BinaryOperator::Arithmetic(Arithmetic::Add)),
    ("sub", BinaryOperator::Arithmetic(Arithmetic::Subtract)),
    ("mul", BinaryOperator::Arithmetic(Arithmetic::Multiply)),
    ("div", BinaryOperator::Arithmetic(Arithmetic::Divide)),
    ("divby", BinaryOperator::Arithmetic(Arithmetic::DivideExactly)),
    ("mod", BinaryOperator::Arithmetic(Arithmetic::Modulo)),
    ("has", BinaryOperator::Has),
];

impl BinaryOperator {
    /// The keyword.
    pub fn keyword(self) -> &'static str {
        BINARY_KEYWORDS
            .iter()
            .find(|(_, operator)| *operator == self)
            .map_or("", |(keyword, _)| keyword)
    }
}
