//! Lists on both databases against the evaluator in memory: whatever a caller asks for, all three must agree.

mod agreement;
mod cases;
pub(crate) mod fixture;
mod groups;
mod paging;
mod plans;
mod rows;
