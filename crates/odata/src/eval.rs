//! A filter evaluated over one row in memory.
//!
//! The machine has a stack of tasks and a stack of values, so a deep filter costs heap, and an account of work, so
//! that nested lambdas or long concatenations cannot buy hours of computing with one short URL.
//!
//! The logic has three values. `eq` and `ne` treat null as a value equal to itself only; `gt ge lt le` with null are
//! false; functions, arithmetic and `has` of null are null; `and`, `or` and `not` follow Kleene; `in`, `any` and `all`
//! are never null. A row is kept only if the result is true. Operands are evaluated from left to right, and `and` and
//! `or` stop at the first operand that decides, so `a ne 0 and 1 div a gt 0` never divides by zero.

use crate::account::{Account, bytes_of};
use crate::calculate;
use crate::compare;
use crate::error::EvalError;
use crate::filter::{Collection, Expression, Filter, Reference};
use crate::pattern::MAX_TEXT;
use crate::syntax::{NodeId, Quantifier};
use crate::temporal::Instant;
use crate::value::Value;

/// Something that has the properties of a schema.
pub trait Row {
    /// The value of the property with this index in the schema, of the schema's type or null.
    fn value(&self, property: usize) -> Value<'_>;
}

impl Row for Vec<Value<'_>> {
    fn value(&self, property: usize) -> Value<'_> {
        self.get(property).map_or(Value::Null, Value::borrowed)
    }
}

impl Filter {
    /// Whether the filter keeps the row. `now` is what `now()` means.
    ///
    /// # Errors
    /// See [`EvalError`]; all but `RowDoesNotFit` go back to the caller with [`EvalError::as_query_error`].
    pub fn matches(&self, row: &impl Row, now: Instant) -> Result<bool, EvalError> {
        self.holds(self.root, row, now, &mut Account::default())
    }

    /// Whether one condition of the filter, such as one of [`Filter::conjuncts`], is true for the row. It must not lie
    /// inside a lambda.
    ///
    /// # Errors
    /// As for [`Filter::matches`].
    pub fn holds(
        &self,
        condition: NodeId,
        row: &impl Row,
        now: Instant,
        account: &mut Account<'_>,
    ) -> Result<bool, EvalError> {
        Ok(Machine::new(self, row, now, account).run(condition)? == Value::Boolean(true))
    }

    /// The value of a node that [`Filter::is_constant`]; null for what needs a row.
    ///
    /// # Errors
    /// As for [`Filter::matches`].
    pub fn constant(
        &self,
        id: NodeId,
        now: Instant,
        account: &mut Account<'_>,
    ) -> Result<Value<'static>, EvalError> {
        let no_row: Vec<Value<'static>> = Vec::new();
        let value = Machine::new(self, &no_row, now, account).run(id)?;
        Ok(value.into_owned())
    }
}

/// What the machine still has to do.
enum Task<'r> {
    Visit(NodeId),
    /// The operands are on the stack of values.
    Apply(NodeId),
    /// A chain of which an operand's value is on the stack.
    Chain {
        operands: &'r [NodeId],
        /// The operand to look at next.
        next: usize,
        /// The value that decides: false for `and`, true for `or`.
        decisive: bool,
        /// Whether an operand was null.
        unknown: bool,
    },
    /// A lambda of which the condition's value for an item is on the stack.
    Items {
        quantifier: Quantifier,
        variable: usize,
        body: NodeId,
        rest: std::vec::IntoIter<Value<'r>>,
    },
}

struct Machine<'r, 'a, 'w, R> {
    filter: &'r Filter,
    row: &'r R,
    now: Instant,
    tasks: Vec<Task<'r>>,
    values: Vec<Value<'r>>,
    variables: Vec<Value<'r>>,
    account: &'a mut Account<'w>,
}

impl<'r, 'a, 'w, R: Row> Machine<'r, 'a, 'w, R> {
    fn new(filter: &'r Filter, row: &'r R, now: Instant, account: &'a mut Account<'w>) -> Self {
        let variables = vec![Value::Null; filter.variables];
        Machine {
            filter,
            row,
            now,
            tasks: Vec::new(),
            values: Vec::new(),
            variables,
            account,
        }
    }

    fn run(mut self, start: NodeId) -> Result<Value<'r>, EvalError> {
        self.tasks.push(Task::Visit(start));
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Visit(id) => self.visit(id)?,
                Task::Apply(id) => self.apply(id)?,
                Task::Chain {
                    operands,
                    next,
                    decisive,
                    unknown,
                } => self.chain(operands, next, decisive, unknown),
                Task::Items {
                    quantifier,
                    variable,
                    body,
                    rest,
                } => self.items(quantifier, variable, body, rest),
            }
        }
        Ok(self.pop())
    }

    fn visit(&mut self, id: NodeId) -> Result<(), EvalError> {
        self.account.spend(1)?;
        let filter = self.filter;
        match &filter.node(id).expression {
            Expression::Literal(value) => {
                if let Value::Binary(bytes) = value {
                    self.account.copies(bytes.len())?;
                }
                self.values.push(value.borrowed());
            }
            Expression::Reference(reference) => {
                let value = self.fetch(*reference);
                self.account.copies(bytes_of(&value))?;
                self.values.push(value);
            }
            Expression::Count(collection) => {
                let count = self.fetch_items(*collection, id)?.len();
                self.values.push(Value::count(count));
            }
            Expression::And(operands) => self.start_chain(operands, false),
            Expression::Or(operands) => self.start_chain(operands, true),
            Expression::Lambda {
                quantifier,
                collection,
                variable,
                body,
            } => {
                let items = self.fetch_items(*collection, id)?;
                self.start_lambda(*quantifier, *variable, *body, items);
            }
            other => {
                self.tasks.push(Task::Apply(id));
                self.tasks
                    .extend(other.children().into_iter().rev().map(Task::Visit));
            }
        }
        Ok(())
    }

    fn start_chain(&mut self, operands: &'r [NodeId], decisive: bool) {
        self.tasks.push(Task::Chain {
            operands,
            next: 1,
            decisive,
            unknown: false,
        });
        self.tasks.extend(operands.first().copied().map(Task::Visit));
    }

    fn chain(&mut self, operands: &'r [NodeId], next: usize, decisive: bool, unknown: bool) {
        let value = self.pop();
        if value == Value::Boolean(decisive) {
            self.values.push(value);
            return;
        }
        let unknown = unknown || value == Value::Null;
        match operands.get(next) {
            Some(operand) => {
                self.tasks.push(Task::Chain {
                    operands,
                    next: next + 1,
                    decisive,
                    unknown,
                });
                self.tasks.push(Task::Visit(*operand));
            }
            None if unknown => self.values.push(Value::Null),
            None => self.values.push(Value::Boolean(!decisive)),
        }
    }

    fn start_lambda(
        &mut self,
        quantifier: Quantifier,
        variable: usize,
        body: Option<NodeId>,
        items: Vec<Value<'r>>,
    ) {
        match body {
            Some(body) => self.next_item(quantifier, variable, body, items.into_iter()),
            None => self.values.push(Value::Boolean(!items.is_empty())),
        }
    }

    fn next_item(
        &mut self,
        quantifier: Quantifier,
        variable: usize,
        body: NodeId,
        mut rest: std::vec::IntoIter<Value<'r>>,
    ) {
        match rest.next() {
            Some(item) => {
                if let Some(slot) = self.variables.get_mut(variable) {
                    *slot = item;
                }
                self.tasks.push(Task::Items {
                    quantifier,
                    variable,
                    body,
                    rest,
                });
                self.tasks.push(Task::Visit(body));
            }
            None => self.values.push(Value::Boolean(quantifier == Quantifier::All)),
        }
    }

    fn items(
        &mut self,
        quantifier: Quantifier,
        variable: usize,
        body: NodeId,
        rest: std::vec::IntoIter<Value<'r>>,
    ) {
        let holds = self.pop() == Value::Boolean(true);
        match (quantifier, holds) {
            (Quantifier::Any, true) | (Quantifier::All, false) => self.values.push(Value::Boolean(holds)),
            _ => self.next_item(quantifier, variable, body, rest),
        }
    }

    /// Computes a node whose operands are on the stack.
    fn apply(&mut self, id: NodeId) -> Result<(), EvalError> {
        let filter = self.filter;
        let node = filter.node(id);
        let position = node.position;
        let value = match &node.expression {
            Expression::Not(_) => match self.pop() {
                Value::Boolean(value) => Value::Boolean(!value),
                _ => Value::Null,
            },
            Expression::Negate(_) => calculate::negate(self.pop(), position)?,
            Expression::Compare { operator, domain, .. } => {
                let (left, right) = self.pop_two();
                self.account
                    .compares(*domain, &left, std::slice::from_ref(&right))?;
                Value::Boolean(compare::compare(*operator, *domain, &left, &right, position)?)
            }
            Expression::Arithmetic { operator, .. } => {
                let (left, right) = self.pop_two();
                calculate::arithmetic(*operator, node.kind, &left, &right, position)?
            }
            Expression::Has { .. } => compare::has(self.pop_two(), position)?,
            Expression::Matches { pattern, .. } => match calculate::text(self.pop(), position)? {
                Some(text) => {
                    if text.len() > MAX_TEXT {
                        return Err(EvalError::TextTooLong { position });
                    }
                    self.account.spend(pattern.steps(&text))?;
                    Value::Boolean(pattern.is_match(&text))
                }
                None => Value::Null,
            },
            Expression::InList { domain, items, .. } => {
                let operand = self.pop();
                self.account.compares(*domain, &operand, items)?;
                Value::Boolean(compare::contains(*domain, operand, items, position)?)
            }
            Expression::InCollection {
                domain, collection, ..
            } => {
                let items = self.fetch_items(*collection, id)?;
                let operand = self.pop();
                self.account.compares(*domain, &operand, &items)?;
                Value::Boolean(compare::contains(*domain, operand, &items, position)?)
            }
            Expression::Call { function, arguments } => {
                let first = self.values.len().saturating_sub(arguments.len());
                let arguments = self.values.split_off(first);
                self.account.calls(*function, &arguments)?;
                calculate::call(*function, arguments, self.now, position)?
            }
            _ => return Err(EvalError::RowDoesNotFit { position }),
        };
        self.values.push(value);
        Ok(())
    }

    fn fetch(&self, reference: Reference) -> Value<'r> {
        let row: &'r R = self.row;
        match reference {
            Reference::Property(index) => row.value(index),
            Reference::Variable(variable) => self.variables.get(variable).cloned().unwrap_or(Value::Null),
            Reference::Member { variable, member } => match self.variables.get(variable) {
                Some(Value::Record(members)) => members.get(member).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            },
        }
    }

    /// The items of a collection; a collection that is null has none.
    fn fetch_items(&mut self, collection: Collection, id: NodeId) -> Result<Vec<Value<'r>>, EvalError> {
        match self.fetch(collection.source) {
            Value::List(items) => {
                self.account.copies(items.iter().map(bytes_of).sum())?;
                Ok(items)
            }
            Value::Null => Ok(Vec::new()),
            _ => Err(EvalError::RowDoesNotFit {
                position: self.filter.node(id).position,
            }),
        }
    }

    fn pop(&mut self) -> Value<'r> {
        self.values.pop().unwrap_or(Value::Null)
    }

    fn pop_two(&mut self) -> (Value<'r>, Value<'r>) {
        let right = self.pop();
        (self.pop(), right)
    }
}
