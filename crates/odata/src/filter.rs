//! The bound filter: names resolved to indexes, types checked, literals converted to what they are compared with.
//!
//! Like the syntax tree it is a list of nodes in which children precede parents. A translator can therefore go
//! through it from front to back and find the translation of every child already made.

use crate::functions::Function;
use crate::pattern::Pattern;
use crate::schema::{Fold, Scalar};
use crate::syntax::{Arithmetic, Comparison, NodeId, Quantifier};
use crate::value::Value;

/// A condition on an entity that fits its schema.
#[derive(Clone, Debug)]
pub struct Filter {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
    /// Slots for lambda variables.
    pub(crate) variables: usize,
    /// For every node, whether it depends on the row.
    varies: Vec<bool>,
}

impl Filter {
    pub(crate) fn new(nodes: Vec<Node>, root: NodeId, variables: usize) -> Filter {
        let mut varies: Vec<bool> = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let from_row = matches!(
                node.expression,
                Expression::Reference(_)
                    | Expression::Count(_)
                    | Expression::Lambda { .. }
                    | Expression::InCollection { .. }
            );
            let from_child = node
                .expression
                .children()
                .iter()
                .any(|child| varies.get(child.index()) == Some(&true));
            varies.push(from_row || from_child);
        }
        Filter {
            nodes,
            root,
            variables,
            varies,
        }
    }

    /// All nodes, children before parents.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A node.
    #[expect(clippy::indexing_slicing, reason = "an id comes with its filter")]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The node of the whole condition.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// Conditions that must all be true, and together say what the filter says. They can be decided in different
    /// places, such as some in a database and the rest in memory.
    pub fn conjuncts(&self) -> Vec<NodeId> {
        match &self.node(self.root).expression {
            Expression::And(operands) => operands.clone(),
            _ => vec![self.root],
        }
    }

    /// Whether the node has the same value for every row. It may still depend on `now()`.
    pub fn is_constant(&self, id: NodeId) -> bool {
        self.varies.get(id.index()) == Some(&false)
    }
}

/// An expression, its type, and where it was written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Node {
    /// The expression.
    pub expression: Expression,
    /// Its type.
    pub kind: Kind,
    /// Characters from the start of the text.
    pub position: usize,
}

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Always null; fits every type.
    Null,
    /// One value, or null.
    Scalar(Scalar),
    /// Any number of values; `None` stands for complex items. Only ever the right side of `in`.
    Collection(Option<Scalar>),
}

/// A bound expression.
#[derive(Clone, Debug)]
pub enum Expression {
    /// A value. Compared with a version, a GUID, a folded text and so on, it is already of that type and form.
    Literal(Value<'static>),
    /// A property, a lambda variable, or a member of one.
    Reference(Reference),
    /// Boolean negation; null stays null.
    Not(NodeId),
    /// A number or a duration with its sign turned.
    Negate(NodeId),
    /// False if one is false, else null if one is null. At least two operands.
    And(Vec<NodeId>),
    /// True if one is true, else null if one is null. At least two operands.
    Or(Vec<NodeId>),
    /// A comparison: never null.
    Compare {
        /// How.
        operator: Comparison,
        /// As what.
        domain: Domain,
        /// The left operand.
        left: NodeId,
        /// The right operand.
        right: NodeId,
    },
    /// A calculation; its node's kind is the type of the result.
    Arithmetic {
        /// Which.
        operator: Arithmetic,
        /// The left operand.
        left: NodeId,
        /// The right operand.
        right: NodeId,
    },
    /// Whether all bits of the right are set in the left.
    Has {
        /// The left operand.
        left: NodeId,
        /// The right operand.
        right: NodeId,
    },
    /// A function's value; null if an argument is null.
    Call {
        /// Which function.
        function: Function,
        /// As many arguments as it takes.
        arguments: Vec<NodeId>,
    },
    /// Whether a text contains a match of a regular expression.
    Matches {
        /// The text.
        text: NodeId,
        /// The compiled expression.
        pattern: Pattern,
    },
    /// Whether the operand equals an item: never null, and null equals null.
    InList {
        /// As what they are compared.
        domain: Domain,
        /// What is looked for.
        operand: NodeId,
        /// Where; already of the operand's type and form.
        items: Vec<Value<'static>>,
    },
    /// Whether the operand equals an item of a collection: never null, and null equals null.
    InCollection {
        /// As what they are compared; the item is the right side.
        domain: Domain,
        /// What is looked for.
        operand: NodeId,
        /// Where.
        collection: Collection,
    },
    /// `any` or `all`: never null. A condition that is null for an item counts as not true.
    Lambda {
        /// Which of the two.
        quantifier: Quantifier,
        /// Over what.
        collection: Collection,
        /// The slot that [`Reference::Variable`] and [`Reference::Member`] in the body carry.
        variable: usize,
        /// The condition; without one, `any` asks whether there is an item at all.
        body: Option<NodeId>,
    },
    /// The number of items of a collection.
    Count(Collection),
}

impl Expression {
    /// The nodes it is made of, in order.
    pub fn children(&self) -> Vec<NodeId> {
        match self {
            Expression::Literal(_) | Expression::Reference(_) | Expression::Count(_) => Vec::new(),
            Expression::Not(operand) | Expression::Negate(operand) => vec![*operand],
            Expression::And(operands) | Expression::Or(operands) => operands.clone(),
            Expression::Compare { left, right, .. }
            | Expression::Arithmetic { left, right, .. }
            | Expression::Has { left, right } => vec![*left, *right],
            Expression::Call { arguments, .. } => arguments.clone(),
            Expression::Matches { text, .. } => vec![*text],
            Expression::InList { operand, .. } | Expression::InCollection { operand, .. } => vec![*operand],
            Expression::Lambda { body, .. } => body.iter().copied().collect(),
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The property with this index in the schema.
    Property(usize),
    /// The item that a lambda looks at.
    Variable(usize),
    /// A member of the complex item that a lambda looks at.
    Member {
        /// The lambda's slot.
        variable: usize,
        /// The index among the members.
        member: usize,
    },
}

/// A collection that a row holds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Collection {
    /// Where it comes from.
    pub source: Reference,
    /// The type of its items; `None` for complex ones.
    pub element: Option<Scalar>,
}

/// As what two values are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Both are always null.
    Null,
    /// False before true.
    Boolean,
    /// By number.
    Number,
    /// By code point.
    Text,
    /// By code point of the normal forms. A side without a fold is in normal form already.
    Folded {
        /// The fold to apply to the left side.
        left: Option<Fold>,
        /// The fold to apply to the right side.
        right: Option<Fold>,
    },
    /// By four numbers.
    Version,
    /// By text, which is by bytes.
    Guid,
    /// By point in time.
    Instant,
    /// By day.
    Date,
    /// By time since midnight.
    TimeOfDay,
    /// By length.
    Duration,
    /// Equal or not.
    Binary,
    /// By bits.
    Flags,
}
