//! Names to indexes, and the type rules.
//!
//! One pass over the nodes of the syntax tree. Every syntax node becomes the bound node with the same id, so what a
//! node was called can always be read back for a message. A literal is converted here to the type of what it is
//! compared with; nothing has to be guessed at run time.

use crate::aliases::Aliases;
use crate::error::QueryError;
use crate::filter::*;
use crate::functions::{self, Function, Signature};
use crate::limits::Limits;
use crate::literal::Literal;
use crate::pattern::compile;
use crate::schema::{self, Property, Scalar, Schema, Type};
use crate::syntax::*;
use crate::types::{arithmetic_result, convert, domain_of, domain_of_pair, literal_value, with_right_fold};
use crate::value::Value;

/// Binds a parsed filter to a schema.
///
/// # Errors
/// `InvalidFilter` for unknown names, types that do not fit, literals that are not what they are compared with, and
/// aliases that cannot be read (their `target` is the alias); `NotImplemented` for functions this library lacks.
pub fn bind_filter(
    ast: &Ast,
    schema: &Schema,
    aliases: &Aliases,
    limits: &Limits,
) -> Result<Filter, QueryError> {
    let mut binder = Binder {
        ast,
        schema,
        aliases,
        limits,
        nodes: Vec::new(),
        lambdas: Vec::new(),
        patterns: 0,
    };
    for lambda in &ast.lambdas {
        let collection = binder.bind_collection(&lambda.collection)?;
        binder.lambdas.push(collection);
    }
    for node in &ast.nodes {
        let (expression, kind) = binder.bind(node)?;
        binder.nodes.push(Node {
            expression,
            kind,
            position: node.position,
        });
    }
    binder.require_condition(ast.root)?;
    Ok(Filter::new(binder.nodes, ast.root, ast.lambdas.len()))
}

/// What a path leads to.
#[derive(Clone, Copy)]
enum Shape<'s> {
    Scalar(Scalar),
    Collection(Items<'s>),
}

/// What a collection holds.
#[derive(Clone, Copy)]
enum Items<'s> {
    Scalar(Scalar),
    Complex(&'s [Property]),
}

impl Items<'_> {
    fn scalar(self) -> Option<Scalar> {
        match self {
            Items::Scalar(scalar) => Some(scalar),
            Items::Complex(_) => None,
        }
    }
}

impl<'s> From<&'s Type> for Shape<'s> {
    fn from(ty: &'s Type) -> Shape<'s> {
        match ty {
            Type::Scalar(scalar) => Shape::Scalar(*scalar),
            Type::Collection(scalar) => Shape::Collection(Items::Scalar(*scalar)),
            Type::Complex(members) => Shape::Collection(Items::Complex(members)),
        }
    }
}

struct Binder<'s> {
    ast: &'s Ast,
    schema: &'s Schema,
    aliases: &'s Aliases,
    limits: &'s Limits,
    nodes: Vec<Node>,
    lambdas: Vec<(Reference, Items<'s>)>,
    patterns: usize,
}

type Bound = Result<(Expression, Kind), QueryError>;

const BOOLEAN: Kind = Kind::Scalar(Scalar::Boolean);

impl<'s> Binder<'s> {
    fn bind(&mut self, node: &SyntaxNode) -> Bound {
        let position = node.position;
        match &node.syntax {
            Syntax::Literal(literal) => Ok(literal_expression(literal)),
            Syntax::Alias(name) => Ok(literal_expression(&self.aliases.literal(name)?)),
            Syntax::Path(path) => self.bind_path(path),
            Syntax::Count(path) => {
                let (source, items) = self.bind_collection(path)?;
                let collection = Collection {
                    source,
                    element: items.scalar(),
                };
                Ok((Expression::Count(collection), Kind::Scalar(Scalar::Int)))
            }
            Syntax::Call { name, arguments } => self.bind_call(name, arguments, position),
            Syntax::Unary {
                operator: UnaryOperator::Not,
                operand,
            } => self.bind_not(*operand, position),
            Syntax::Unary {
                operator: UnaryOperator::Negate,
                operand,
            } => self.bind_negate(*operand, position),
            Syntax::Binary {
                operator,
                left,
                right,
            } => self.bind_binary(*operator, *left, *right, position),
            Syntax::And(operands) => Ok((Expression::And(self.conditions(operands)?), BOOLEAN)),
            Syntax::Or(operands) => Ok((Expression::Or(self.conditions(operands)?), BOOLEAN)),
            Syntax::InList { operand, items } => self.bind_in_list(*operand, items, position),
            Syntax::InCollection { operand, collection } => {
                self.bind_in_collection(*operand, *collection, position)
            }
            Syntax::Lambda { lambda, body } => self.bind_lambda(*lambda, *body),
        }
    }

    // Names

    fn bind_path(&self, path: &Path) -> Bound {
        let (reference, shape) = self.resolve(path)?;
        let kind = match shape {
            Shape::Scalar(scalar) => Kind::Scalar(scalar),
            Shape::Collection(items) => Kind::Collection(items.scalar()),
        };
        Ok((Expression::Reference(reference), kind))
    }

    fn bind_collection(&self, path: &Path) -> Result<(Reference, Items<'s>), QueryError> {
        match self.resolve(path)? {
            (reference, Shape::Collection(items)) => Ok((reference, items)),
            (_, Shape::Scalar(scalar)) => {
                let message = format!("`{}` is {scalar}, not a collection", path.names.join("/"));
                Err(QueryError::filter_at(path.position, message))
            }
        }
    }

    fn resolve(&self, path: &Path) -> Result<(Reference, Shape<'s>), QueryError> {
        match path.root {
            Root::Entity => self.resolve_property(path),
            Root::Variable(variable) => self.resolve_variable(path, variable),
        }
    }

    fn resolve_property(&self, path: &Path) -> Result<(Reference, Shape<'s>), QueryError> {
        let name = path.names.first().map_or("", String::as_str);
        let Some((index, property)) = schema::find(&self.schema.properties, name) else {
            return Err(QueryError::filter_at(
                path.position,
                unknown_property(&self.schema.name, name),
            ));
        };
        let shape = Shape::from(&property.ty);
        match (path.names.get(1), shape) {
            (None, shape) => Ok((Reference::Property(index), shape)),
            (Some(_), Shape::Scalar(scalar)) => {
                let message = format!("`{name}` is {scalar} and has no properties of its own");
                Err(QueryError::filter_at(path.position, message))
            }
            (Some(member), Shape::Collection(_)) => {
                let message = format!("`{name}` is a collection; write {name}/any(x:x/{member} eq …)");
                Err(QueryError::filter_at(path.position, message))
            }
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the parser has numbered the lambdas")]
    fn resolve_variable(&self, path: &Path, variable: usize) -> Result<(Reference, Shape<'s>), QueryError> {
        let name = path.names.first().map_or("", String::as_str);
        match (self.lambdas[variable].1, path.names.get(1)) {
            (Items::Scalar(scalar), None) => Ok((Reference::Variable(variable), Shape::Scalar(scalar))),
            (Items::Complex(members), Some(wanted)) if path.names.len() == 2 => {
                let Some((member, property)) = schema::find(members, wanted) else {
                    let message = format!("`{name}` has no property `{wanted}`");
                    return Err(QueryError::filter_at(path.position, message));
                };
                Ok((Reference::Member { variable, member }, Shape::from(&property.ty)))
            }
            (Items::Complex(_), None) => {
                let message =
                    format!("`{name}` is not a single value; name one of its properties, as in {name}/…");
                Err(QueryError::filter_at(path.position, message))
            }
            _ => {
                let message = format!("There is nothing at the path `{}`", path.names.join("/"));
                Err(QueryError::filter_at(path.position, message))
            }
        }
    }

    // Conditions

    fn bind_not(&self, operand: NodeId, position: usize) -> Bound {
        if !self.is_condition(operand) {
            let what = self.describe(operand);
            let message = format!(
                "`not` needs a condition, but {what} is none; `not` binds tighter than comparisons: use not (…)"
            );
            return Err(QueryError::filter_at(position, message));
        }
        Ok((Expression::Not(operand), BOOLEAN))
    }

    fn conditions(&self, operands: &[NodeId]) -> Result<Vec<NodeId>, QueryError> {
        for operand in operands {
            self.require_condition(*operand)?;
        }
        Ok(operands.to_vec())
    }

    fn require_condition(&self, id: NodeId) -> Result<(), QueryError> {
        if self.is_condition(id) {
            return Ok(());
        }
        let message = format!("Expected a condition, but {} is none", self.describe(id));
        Err(QueryError::filter_at(self.node(id).position, message))
    }

    fn is_condition(&self, id: NodeId) -> bool {
        matches!(self.node(id).kind, Kind::Null | BOOLEAN)
    }

    #[expect(clippy::indexing_slicing, reason = "the parser has numbered the lambdas")]
    fn bind_lambda(&self, lambda: usize, body: Option<NodeId>) -> Bound {
        if let Some(body) = body {
            self.require_condition(body)?;
        }
        let (source, items) = self.lambdas[lambda];
        let collection = Collection {
            source,
            element: items.scalar(),
        };
        let quantifier = self.ast.lambdas[lambda].quantifier;
        Ok((
            Expression::Lambda {
                quantifier,
                collection,
                variable: lambda,
                body,
            },
            BOOLEAN,
        ))
    }

    // Comparisons

    fn bind_binary(
        &mut self,
        operator: BinaryOperator,
        left: NodeId,
        right: NodeId,
        position: usize,
    ) -> Bound {
        self.require_single(left)?;
        self.require_single(right)?;
        match operator {
            BinaryOperator::Compare(operator) => {
                let domain = self.comparable(left, right, position)?;
                let asks_for_order = !matches!(operator, Comparison::Equal | Comparison::NotEqual);
                if domain == Domain::Binary && asks_for_order {
                    return Err(QueryError::filter_at(
                        position,
                        "Binary data has no order; use eq or ne",
                    ));
                }
                Ok((
                    Expression::Compare {
                        operator,
                        domain,
                        left,
                        right,
                    },
                    BOOLEAN,
                ))
            }
            BinaryOperator::Arithmetic(operator) => self.bind_arithmetic(operator, left, right, position),
            BinaryOperator::Has => self.bind_has(left, right, position),
        }
    }

    fn require_single(&self, id: NodeId) -> Result<(), QueryError> {
        if !matches!(self.node(id).kind, Kind::Collection(_)) {
            return Ok(());
        }
        let name = self.name(id);
        let message = format!("`{name}` is a collection; write 'x' in {name}, or {name}/any(x:…)");
        Err(QueryError::filter_at(self.node(id).position, message))
    }

    /// As what two operands are compared; a literal among them is converted.
    fn comparable(&mut self, left: NodeId, right: NodeId, position: usize) -> Result<Domain, QueryError> {
        let (left_scalar, right_scalar) = match (self.node(left).kind, self.node(right).kind) {
            (Kind::Scalar(left), Kind::Scalar(right)) => (left, right),
            (Kind::Scalar(scalar), _) | (_, Kind::Scalar(scalar)) => return Ok(domain_of(scalar)),
            _ => return Ok(Domain::Null),
        };
        if let Some(domain) = self.convert_literal(right, left_scalar)? {
            return Ok(self.with_left_fold(domain, left, left_scalar));
        }
        if let Some(domain) = self.convert_literal(left, right_scalar)? {
            return Ok(with_right_fold(domain, right_scalar));
        }
        match domain_of_pair(left_scalar, right_scalar) {
            Some(domain) => Ok(domain),
            None => Err(self.incomparable(left, right, position)),
        }
    }

    /// Turns a literal into a value of `target`; `None` when it is no literal or the types have nothing in common.
    fn convert_literal(&mut self, id: NodeId, target: Scalar) -> Result<Option<Domain>, QueryError> {
        let Node {
            expression: Expression::Literal(value),
            kind: Kind::Scalar(scalar),
            position,
        } = self.node(id)
        else {
            return Ok(None);
        };
        let converted = convert(value, *scalar, target);
        let Some(value) = converted.map_err(|problem| QueryError::filter_at(*position, problem))? else {
            return Ok(None);
        };
        if let Some(node) = self.nodes.get_mut(id.index()) {
            node.expression = Expression::Literal(value);
            node.kind = Kind::Scalar(target);
        }
        Ok(Some(domain_of(target)))
    }

    /// The left side's own fold, unless it is a literal that has been folded.
    fn with_left_fold(&self, domain: Domain, left: NodeId, scalar: Scalar) -> Domain {
        let is_literal = matches!(self.node(left).expression, Expression::Literal(_));
        match (domain, scalar) {
            (Domain::Folded { .. }, Scalar::Folded(fold)) if !is_literal => Domain::Folded {
                left: Some(fold),
                right: None,
            },
            _ => domain,
        }
    }

    fn incomparable(&self, left: NodeId, right: NodeId, position: usize) -> QueryError {
        let (left, right) = (self.describe(left), self.describe(right));
        QueryError::filter_at(position, format!("Cannot compare {left} with {right}"))
    }

    fn bind_has(&mut self, left: NodeId, right: NodeId, position: usize) -> Bound {
        let scalar = match self.node(left).kind {
            Kind::Scalar(scalar @ Scalar::Enumeration(_)) => scalar,
            Kind::Null => return Ok((Expression::Literal(Value::Null), Kind::Null)),
            _ => {
                let message = format!(
                    "`has` needs an enumeration on its left, not {}",
                    self.describe(left)
                );
                return Err(QueryError::filter_at(position, message));
            }
        };
        self.convert_literal(right, scalar)?;
        if ![Kind::Null, Kind::Scalar(scalar)].contains(&self.node(right).kind) {
            return Err(self.incomparable(left, right, position));
        }
        Ok((Expression::Has { left, right }, BOOLEAN))
    }

    fn bind_in_list(&mut self, operand: NodeId, items: &[Item], position: usize) -> Bound {
        self.require_single(operand)?;
        let kind = self.node(operand).kind;
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.bind_item(item, kind, position)?);
        }
        let domain = match kind {
            Kind::Scalar(scalar) => self.with_left_fold(domain_of(scalar), operand, scalar),
            _ => Domain::Null,
        };
        Ok((
            Expression::InList {
                domain,
                operand,
                items: values,
            },
            BOOLEAN,
        ))
    }

    fn bind_item(
        &self,
        item: &Item,
        kind: Kind,
        operator_position: usize,
    ) -> Result<Value<'static>, QueryError> {
        let literal = match &item.value {
            ItemValue::Literal(literal) => literal_value(literal),
            ItemValue::Alias(name) => literal_value(&self.aliases.literal(name)?),
        };
        let (Some(scalar), Kind::Scalar(target)) = (literal.1, kind) else {
            return Ok(literal.0);
        };
        let converted = convert(&literal.0, scalar, target);
        let converted = converted.map_err(|problem| QueryError::filter_at(item.position, problem))?;
        converted.ok_or_else(|| {
            let message =
                format!("Cannot compare {target} (`in` at {operator_position}) with {scalar} in the list");
            QueryError::filter_at(item.position, message)
        })
    }

    fn bind_in_collection(&mut self, operand: NodeId, collection: NodeId, position: usize) -> Bound {
        self.require_single(operand)?;
        let node = self.node(collection);
        let (&Expression::Reference(source), Kind::Collection(element)) = (&node.expression, node.kind)
        else {
            let what = self.describe(collection);
            let message = format!(
                "The right side of `in` must be a list or a collection, not {what}; \
                 a list stands in parentheses, as in ('a','b')"
            );
            return Err(QueryError::filter_at(node.position, message));
        };
        let Some(item) = element else {
            let name = self.name(collection);
            let message = format!("`{name}` holds items with properties; write {name}/any(x:x/… eq …)");
            return Err(QueryError::filter_at(node.position, message));
        };
        let domain = self.comparable_with_item(operand, item);
        let Some(domain) = domain? else {
            let message = format!("Cannot compare {} with {item}", self.describe(operand));
            return Err(QueryError::filter_at(position, message));
        };
        let collection = Collection { source, element };
        Ok((
            Expression::InCollection {
                domain,
                operand,
                collection,
            },
            BOOLEAN,
        ))
    }

    fn comparable_with_item(&mut self, operand: NodeId, item: Scalar) -> Result<Option<Domain>, QueryError> {
        let Kind::Scalar(scalar) = self.node(operand).kind else {
            return Ok(Some(domain_of(item)));
        };
        match self.convert_literal(operand, item)? {
            Some(domain) => Ok(Some(with_right_fold(domain, item))),
            None => Ok(domain_of_pair(scalar, item)),
        }
    }

    // Calculations

    fn bind_negate(&self, operand: NodeId, position: usize) -> Bound {
        self.require_single(operand)?;
        let kind = self.node(operand).kind;
        let fits = match kind {
            Kind::Scalar(scalar) => scalar.is_numeric() || scalar == Scalar::Duration,
            _ => kind == Kind::Null,
        };
        if !fits {
            let message = format!("`-` needs a number or a duration, not {}", self.describe(operand));
            return Err(QueryError::filter_at(position, message));
        }
        Ok((Expression::Negate(operand), kind))
    }

    fn bind_arithmetic(&self, operator: Arithmetic, left: NodeId, right: NodeId, position: usize) -> Bound {
        let kind = match (self.node(left).kind, self.node(right).kind) {
            (Kind::Scalar(left), Kind::Scalar(right)) => {
                arithmetic_result(operator, left, right).map(Kind::Scalar)
            }
            _ => Some(Kind::Null),
        };
        let Some(kind) = kind else {
            let keyword = BinaryOperator::Arithmetic(operator).keyword();
            let (left, right) = (self.describe(left), self.describe(right));
            let message = format!("`{keyword}` cannot be used with {left} and {right}");
            return Err(QueryError::filter_at(position, message));
        };
        Ok((
            Expression::Arithmetic {
                operator,
                left,
                right,
            },
            kind,
        ))
    }

    // Calls

    fn bind_call(&mut self, name: &str, arguments: &[NodeId], position: usize) -> Bound {
        let Some(signature) = functions::find(name) else {
            return Err(unknown_function(name, position));
        };
        self.check_arguments(signature, arguments, position)?;
        if let (Function::MatchesPattern, [text, pattern]) = (signature.function, arguments) {
            return self.bind_pattern(*text, *pattern);
        }
        let kind = match (signature.returns, arguments.first()) {
            (Some(scalar), _) => Kind::Scalar(scalar),
            (None, Some(argument)) => self.node(*argument).kind,
            (None, None) => Kind::Null,
        };
        Ok((
            Expression::Call {
                function: signature.function,
                arguments: arguments.to_vec(),
            },
            kind,
        ))
    }

    fn check_arguments(
        &self,
        signature: &Signature,
        arguments: &[NodeId],
        position: usize,
    ) -> Result<(), QueryError> {
        let (name, most) = (signature.name, signature.parameters.len());
        let least = most - signature.optional;
        if !(least..=most).contains(&arguments.len()) {
            let wanted = if least == most {
                format!("{most}")
            } else {
                format!("{least} or {most}")
            };
            let plural = if most == 1 { "" } else { "s" };
            let message = format!(
                "`{name}` takes {wanted} argument{plural}, not {}",
                arguments.len()
            );
            return Err(QueryError::filter_at(position, message));
        }
        for (argument, parameter) in arguments.iter().zip(signature.parameters) {
            let node = self.node(*argument);
            let fits = match node.kind {
                Kind::Null => true,
                Kind::Scalar(scalar) => parameter.takes(scalar),
                Kind::Collection(_) => false,
            };
            if !fits {
                let (wanted, what) = (parameter.describe(), self.describe(*argument));
                let message = format!("`{name}` needs {wanted} here, not {what}");
                return Err(QueryError::filter_at(node.position, message));
            }
        }
        Ok(())
    }

    fn bind_pattern(&mut self, text: NodeId, pattern: NodeId) -> Bound {
        let Node {
            expression, position, ..
        } = self.node(pattern);
        let position = *position;
        let source = match expression {
            Expression::Literal(Value::Null) => return Ok((Expression::Literal(Value::Null), Kind::Null)),
            Expression::Literal(Value::Text(source)) => source,
            _ => return Err(QueryError::filter_at(position, "The pattern must be a literal")),
        };
        if self.patterns == self.limits.patterns {
            let message = format!("The filter has more than {} patterns", self.limits.patterns);
            return Err(QueryError::filter_at(position, message));
        }
        let pattern = compile(source, self.limits.pattern_bytes)
            .map_err(|(problem, cause)| QueryError::filter_at(position, problem).caused_by(cause))?;
        self.patterns += 1;
        Ok((Expression::Matches { text, pattern }, BOOLEAN))
    }

    // Words for messages

    #[expect(
        clippy::indexing_slicing,
        reason = "operands are bound before what they belong to"
    )]
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    fn name(&self, id: NodeId) -> String {
        match &self.ast.node(id).syntax {
            Syntax::Path(path) => path.names.join("/"),
            _ => "it".into(),
        }
    }

    fn describe(&self, id: NodeId) -> String {
        let kind = match self.node(id).kind {
            Kind::Null => "null".to_string(),
            Kind::Scalar(scalar) => scalar.to_string(),
            Kind::Collection(_) => "a collection".to_string(),
        };
        match &self.ast.node(id).syntax {
            Syntax::Path(path) => format!("`{}` ({kind})", path.names.join("/")),
            _ => kind,
        }
    }
}

fn unknown_property(entity: &str, name: &str) -> String {
    let fact = format!("There is no property `{name}` on {entity}");
    match name.to_ascii_lowercase().as_str() {
        "null" => format!("{fact}; null is written in lower case"),
        _ => fact,
    }
}

fn unknown_function(name: &str, position: usize) -> QueryError {
    if name.eq_ignore_ascii_case("substringof") {
        let message = "There is no function `substringof`; write contains(text,'part')";
        return QueryError::filter_at(position, message);
    }
    QueryError::filter_at(position, format!("There is no function `{name}`"))
}

fn literal_expression(literal: &Literal) -> (Expression, Kind) {
    let (value, scalar) = literal_value(literal);
    (
        Expression::Literal(value),
        scalar.map_or(Kind::Null, Kind::Scalar),
    )
}
