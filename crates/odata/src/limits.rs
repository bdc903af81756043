//! Bounds of what a stranger may ask for.

/// How much of an option is read before it is refused. Start from the default and change what should differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a decoded value.
    pub bytes: usize,
    /// Open parentheses, calls, lambdas and prefix operators at any point.
    pub depth: usize,
    /// Lambdas within lambdas: every level multiplies the work.
    pub lambda_depth: usize,
    /// Operators and operands in all; list items are counted apart.
    pub nodes: usize,
    /// Items of one literal list.
    pub list_items: usize,
    /// Bytes of a regular expression.
    pub pattern_bytes: usize,
    /// Regular expressions of one filter: each may cost milliseconds to compile, and more on a long text.
    pub patterns: usize,
    /// Properties that rows are grouped by.
    pub grouping: usize,
}

impl Default for Limits {
    /// Enough for filters written by people and programs, and harmless on a public address.
    fn default() -> Limits {
        Limits {
            bytes: 8 * 1024,
            depth: 200,
            lambda_depth: 3,
            nodes: 2_000,
            list_items: 1_000,
            pattern_bytes: 1024,
            patterns: 4,
            grouping: 8,
        }
    }
}
