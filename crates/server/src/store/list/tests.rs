//! Lists on both databases against the evaluator in memory: whatever a caller asks for, all three must agree.

mod agreement;
mod cases;
mod paging;
mod plans;
#[path = "../../../tests/it/postgres_cluster.rs"]
mod postgres_cluster;
mod rows;
mod stage;
