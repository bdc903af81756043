//! The two formats of an answer.

/// How an answer looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseFormat {
    /// As in the documented examples: properties without a value are left out.
    #[default]
    Bare,
    /// As OData's JSON format wants it: with control information, and with `null` for what has no value,
    /// because typed clients are confused when a declared property is missing.
    OData,
}
