//! Operator precedence over an explicit stack.
//!
//! What waits for its right side, and every open parenthesis, call and lambda, is an entry of one vector. Nothing
//! calls itself, so the depth of an input costs heap that the limits bound, never the thread's stack.

use crate::error::QueryError;
use crate::lexer::{Lexer, Operand, Operator};
use crate::limits::Limits;
use crate::syntax::*;

/// Parses the decoded value of `$filter`.
///
/// # Errors
/// `InvalidFilter` with the position for a syntax error or a limit; `NotImplemented` for what OData defines and this
/// library does not do.
pub fn parse_filter(text: &str, limits: &Limits) -> Result<Ast, QueryError> {
    if text.len() > limits.bytes {
        let message = format!("The filter is longer than {} bytes.", limits.bytes);
        return Err(QueryError::filter(message));
    }
    Parser::new(text, limits).run()
}

/// Something that waits on the stack.
enum Waiting {
    Prefix(UnaryOperator),
    Binary(BinaryOperator),
    In,
    /// `and` or `or` with this many operands before the one that is awaited.
    Chain(Chain, usize),
    Paren,
    /// A call whose arguments begin at this height of the operands.
    Call(String, usize),
    Lambda(usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Chain {
    And,
    Or,
}

impl Waiting {
    /// How tightly it holds its right side; `None` for what only a parenthesis can close.
    fn binding(&self) -> Option<u8> {
        match self {
            Waiting::Chain(Chain::Or, _) => Some(1),
            Waiting::Chain(Chain::And, _) => Some(2),
            Waiting::Binary(operator) => Some(binding(*operator)),
            Waiting::Prefix(_) => Some(7),
            Waiting::In => Some(8),
            Waiting::Paren | Waiting::Call(..) | Waiting::Lambda(_) => None,
        }
    }

    /// Whether it makes the expression deeper.
    fn nests(&self) -> bool {
        !matches!(self, Waiting::Binary(_) | Waiting::In | Waiting::Chain(..))
    }
}

fn binding(operator: BinaryOperator) -> u8 {
    match operator {
        BinaryOperator::Compare(Comparison::Equal | Comparison::NotEqual) => 3,
        BinaryOperator::Compare(_) => 4,
        BinaryOperator::Arithmetic(Arithmetic::Add | Arithmetic::Subtract) => 5,
        BinaryOperator::Arithmetic(_) => 6,
        BinaryOperator::Has => 8,
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    limits: &'t Limits,
    nodes: Vec<SyntaxNode>,
    lambdas: Vec<LambdaSyntax>,
    operands: Vec<NodeId>,
    waiting: Vec<(Waiting, usize)>,
    depth: usize,
    /// The lambdas whose bodies are being read, innermost last.
    open_lambdas: Vec<usize>,
}

/// What the parser has to read next.
enum Next {
    Operand,
    Operator,
    Nothing,
}

type Step = Result<Next, QueryError>;

impl<'t> Parser<'t> {
    fn new(text: &'t str, limits: &'t Limits) -> Parser<'t> {
        Parser {
            lexer: Lexer::new(text),
            limits,
            nodes: Vec::new(),
            lambdas: Vec::new(),
            operands: Vec::new(),
            waiting: Vec::new(),
            depth: 0,
            open_lambdas: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Ast, QueryError> {
        let mut next = Next::Operand;
        loop {
            next = match next {
                Next::Operand => self.read_operand()?,
                Next::Operator => self.read_operator()?,
                Next::Nothing => break,
            }
        }
        let root = self.pop_operand()?;
        Ok(Ast {
            nodes: self.nodes,
            lambdas: self.lambdas,
            root,
        })
    }

    fn read_operand(&mut self) -> Step {
        let (operand, position) = self.lexer.operand()?;
        match operand {
            Operand::Open => self.wait(Waiting::Paren, position),
            Operand::Not => self.wait(Waiting::Prefix(UnaryOperator::Not), position),
            Operand::Minus => self.wait(Waiting::Prefix(UnaryOperator::Negate), position),
            Operand::Literal(literal) => self.finish(Syntax::Literal(literal), position),
            Operand::Alias(name) => self.finish(Syntax::Alias(name), position),
            Operand::Path(names) => {
                let path = self.path(names, position);
                self.finish(Syntax::Path(path), position)
            }
            Operand::Count(names) => {
                let path = self.path(names, position);
                self.finish(Syntax::Count(path), position)
            }
            Operand::Call(name) => self.open_call(name, position),
            Operand::AnyItem(names) => {
                let lambda = self.declare_lambda(Quantifier::Any, names, None, position);
                self.finish(Syntax::Lambda { lambda, body: None }, position)
            }
            Operand::Lambda {
                quantifier,
                path,
                variable,
            } => {
                let lambda = self.declare_lambda(quantifier, path, Some(variable), position);
                self.open_lambda(lambda, position)
            }
        }
    }

    fn read_operator(&mut self) -> Step {
        let (operator, position) = self.lexer.operator()?;
        match operator {
            Operator::Binary(operator) => {
                self.reduce_down_to(binding(operator))?;
                self.wait(Waiting::Binary(operator), position)
            }
            Operator::And => self.extend_chain(Chain::And, position),
            Operator::Or => self.extend_chain(Chain::Or, position),
            Operator::In => self.read_in(position),
            Operator::Comma => self.next_argument(position),
            Operator::Close => self.close(position),
            Operator::End => self.end(),
        }
    }

    /// Puts an entry on the stack; an operand follows all of them.
    fn wait(&mut self, entry: Waiting, position: usize) -> Step {
        if entry.nests() {
            self.depth += 1;
            if self.depth > self.limits.depth {
                let message = format!("The filter is nested more than {} levels deep", self.limits.depth);
                return Err(QueryError::filter_at(position, message));
            }
        }
        self.waiting.push((entry, position));
        Ok(Next::Operand)
    }

    fn open_call(&mut self, name: String, position: usize) -> Step {
        if self.lexer.closes() {
            return self.finish(
                Syntax::Call {
                    name,
                    arguments: Vec::new(),
                },
                position,
            );
        }
        self.wait(Waiting::Call(name, self.operands.len()), position)
    }

    fn open_lambda(&mut self, lambda: usize, position: usize) -> Step {
        self.open_lambdas.push(lambda);
        if self.open_lambdas.len() > self.limits.lambda_depth {
            let message = format!(
                "`any` and `all` are nested more than {} levels deep",
                self.limits.lambda_depth
            );
            return Err(QueryError::filter_at(position, message));
        }
        self.wait(Waiting::Lambda(lambda), position)
    }

    fn declare_lambda(
        &mut self,
        quantifier: Quantifier,
        names: Vec<String>,
        variable: Option<String>,
        position: usize,
    ) -> usize {
        let collection = self.path(names, position);
        self.lambdas.push(LambdaSyntax {
            quantifier,
            collection,
            variable,
        });
        self.lambdas.len() - 1
    }

    /// Decides whether a path starts at a variable: the innermost open one of that name, in that case.
    fn path(&self, names: Vec<String>, position: usize) -> Path {
        let first = names.first();
        let variable = |lambda: usize| self.lambdas.get(lambda)?.variable.as_ref();
        let is_first = |lambda: &&usize| variable(**lambda) == first;
        let root = match self.open_lambdas.iter().rev().find(is_first) {
            Some(lambda) => Root::Variable(*lambda),
            None => Root::Entity,
        };
        Path {
            root,
            names,
            position,
        }
    }

    /// Chains are one node with many operands, however long.
    fn extend_chain(&mut self, chain: Chain, position: usize) -> Step {
        let entry = Waiting::Chain(chain, 1);
        let binding = entry.binding().unwrap_or(0);
        self.reduce_down_to(binding + 1)?;
        if let Some((Waiting::Chain(open, operands), _)) = self.waiting.last_mut()
            && *open == chain
        {
            *operands += 1;
            return Ok(Next::Operand);
        }
        self.wait(entry, position)
    }

    fn read_in(&mut self, position: usize) -> Step {
        self.reduce_down_to(8)?;
        let Some(items) = self.lexer.list(self.limits.list_items)? else {
            return self.wait(Waiting::In, position);
        };
        let operand = self.pop_operand()?;
        self.finish(Syntax::InList { operand, items }, position)
    }

    fn next_argument(&mut self, position: usize) -> Step {
        self.reduce_down_to(0)?;
        match self.waiting.last() {
            Some((Waiting::Call(..), _)) => Ok(Next::Operand),
            _ => Err(QueryError::filter_at(position, "Unexpected `,`")),
        }
    }

    fn close(&mut self, position: usize) -> Step {
        self.reduce_down_to(0)?;
        let Some((entry, opened_at)) = self.waiting.pop() else {
            return Err(QueryError::filter_at(
                position,
                "There is no opening parenthesis for the `)`",
            ));
        };
        self.depth -= 1;
        match entry {
            Waiting::Call(name, first) => {
                let arguments = self.operands.split_off(first);
                self.finish(Syntax::Call { name, arguments }, opened_at)
            }
            Waiting::Lambda(lambda) => {
                self.open_lambdas.pop();
                let body = Some(self.pop_operand()?);
                self.finish(Syntax::Lambda { lambda, body }, opened_at)
            }
            _ => Ok(Next::Operator),
        }
    }

    fn end(&mut self) -> Step {
        self.reduce_down_to(0)?;
        match self.waiting.last() {
            None => Ok(Next::Nothing),
            Some((_, opened_at)) => {
                let what = "There is no `)` for the parenthesis that was opened";
                Err(QueryError::filter_at(*opened_at, what))
            }
        }
    }

    /// Completes everything on the stack that holds its right side at least this tightly.
    fn reduce_down_to(&mut self, tightness: u8) -> Result<(), QueryError> {
        let holds =
            |(entry, _): &mut (Waiting, usize)| entry.binding().is_some_and(|binding| binding >= tightness);
        while let Some((entry, position)) = self.waiting.pop_if(holds) {
            let syntax = self.reduce(entry)?;
            self.finish(syntax, position)?;
        }
        Ok(())
    }

    fn reduce(&mut self, entry: Waiting) -> Result<Syntax, QueryError> {
        if entry.nests() {
            self.depth -= 1;
        }
        match entry {
            Waiting::Prefix(operator) => Ok(Syntax::Unary {
                operator,
                operand: self.pop_operand()?,
            }),
            Waiting::Chain(chain, before) => {
                let first = self.operands.len().saturating_sub(before + 1);
                let operands = self.operands.split_off(first);
                Ok(if chain == Chain::And {
                    Syntax::And(operands)
                } else {
                    Syntax::Or(operands)
                })
            }
            Waiting::In => {
                let collection = self.pop_operand()?;
                Ok(Syntax::InCollection {
                    operand: self.pop_operand()?,
                    collection,
                })
            }
            Waiting::Binary(operator) => {
                let right = self.pop_operand()?;
                Ok(Syntax::Binary {
                    operator,
                    left: self.pop_operand()?,
                    right,
                })
            }
            Waiting::Paren | Waiting::Call(..) | Waiting::Lambda(_) => Err(out_of_step()),
        }
    }

    /// Adds a node; it is an operand of whatever comes next.
    fn finish(&mut self, syntax: Syntax, position: usize) -> Step {
        if self.nodes.len() >= self.limits.nodes {
            let message = format!(
                "The filter has more than {} operators and operands.",
                self.limits.nodes
            );
            return Err(QueryError::filter(message));
        }
        self.operands.push(NodeId(self.nodes.len()));
        self.nodes.push(SyntaxNode { syntax, position });
        Ok(Next::Operator)
    }

    fn pop_operand(&mut self) -> Result<NodeId, QueryError> {
        self.operands.pop().ok_or_else(out_of_step)
    }
}

/// Cannot happen: operands and operators alternate by construction. Answered, not unwound, if it ever does.
fn out_of_step() -> QueryError {
    QueryError::filter("The filter cannot be read.")
}
