//! What an evaluation may cost.
//!
//! A step stands for at most a tenth of a microsecond or so: a node visited, 64 bytes copied or compared, 8 bytes that
//! a function or a fold goes through letter by letter, or a byte of text in 8 states of a pattern. Everything that
//! takes time for each byte or item is charged before it is done, so that no operator buys more than it pays for.

use crate::error::EvalError;
use crate::filter::Domain;
use crate::functions::Function;
use crate::value::Value;

/// Steps for one row.
const BUDGET: u64 = 1_000_000;
/// Steps after which it is asked whether anybody still waits.
const UNASKED: u64 = 10_000;
/// Bytes that are copied or compared in one step.
const BLOCK: usize = 64;
/// Bytes that are gone through letter by letter in one step.
const LETTERS: usize = 8;
/// What an item of a list costs like: it is made, cloned or looked at whatever its bytes.
const ITEM: usize = 16;

/// What is left of the work that may be spent, and whether anybody still waits for the result.
pub struct Account<'w> {
    left: u64,
    unasked: u64,
    is_wanted: &'w dyn Fn() -> bool,
}

impl Default for Account<'_> {
    /// The usual work for one row, which is done whoever waits.
    fn default() -> Self {
        Account::new(&|| true)
    }
}

impl<'w> Account<'w> {
    /// The usual work for one row. `is_wanted` is asked now and then; once it says no, evaluation ends with
    /// [`EvalError::Unwanted`].
    pub fn new(is_wanted: &'w dyn Fn() -> bool) -> Self {
        Account {
            left: BUDGET,
            unasked: 0,
            is_wanted,
        }
    }

    /// The same with another number of steps.
    pub fn with_steps(self, steps: u64) -> Self {
        Account { left: steps, ..self }
    }

    /// The usual work, for the next row.
    pub fn next_row(&mut self) {
        self.left = BUDGET;
    }

    /// Steps that are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn spend(&mut self, steps: u64) -> Result<(), EvalError> {
        self.left = self.left.checked_sub(steps).ok_or(EvalError::TooExpensive)?;
        self.unasked = self.unasked.saturating_add(steps);
        if self.unasked >= UNASKED {
            self.unasked = 0;
            if !(self.is_wanted)() {
                return Err(EvalError::Unwanted);
            }
        }
        Ok(())
    }

    pub(crate) fn copies(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.spend((bytes / BLOCK) as u64)
    }

    /// A value against each of `items`, with the folds of the domain.
    pub(crate) fn compares(
        &mut self,
        domain: Domain,
        operand: &Value,
        items: &[Value],
    ) -> Result<(), EvalError> {
        let (left_fold, right_fold) = match domain {
            Domain::Folded { left, right } => (left.is_some(), right.is_some()),
            _ => (false, false),
        };
        let size = bytes_of(operand);
        let folded = if left_fold { size } else { 0 };
        // A fold makes a text of an item, which is more than to look at it.
        let (per_item, per_byte) = if right_fold {
            (BLOCK, BLOCK / LETTERS)
        } else {
            (ITEM, 1)
        };
        let compared: usize = items
            .iter()
            .map(|item| {
                let bytes = bytes_of(item);
                let read = if right_fold { bytes } else { bytes.min(size) };
                per_item + read * per_byte
            })
            .sum();
        self.spend((folded / LETTERS + compared / BLOCK) as u64)
    }

    pub(crate) fn calls(&mut self, function: Function, arguments: &[Value]) -> Result<(), EvalError> {
        let bytes: usize = arguments.iter().map(bytes_of).sum();
        let per_step = match function {
            Function::Concat | Function::StartsWith | Function::EndsWith => BLOCK,
            _ => LETTERS,
        };
        self.spend((bytes / per_step) as u64)
    }
}

/// How many bytes are copied where a value is; what is more than a number counts as an item at least.
pub(crate) fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Binary(bytes) => bytes.len(),
        Value::List(items) | Value::Record(items) => {
            ITEM + items.iter().map(|item| ITEM + bytes_of(item)).sum::<usize>()
        }
        _ => 0,
    }
}
