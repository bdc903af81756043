//! Recordings: what was asked of a service and what it answered, without what is nobody else's business.
//!
//! The original can be called by few, so those who may call it have to be able to show others what it answers without
//! showing who they are, what they sell, and to whom. So nothing is kept but what is known to be harmless: words and
//! names of the API, versions, times, countries, numbers. Whatever else stood there becomes a pseudonym, which is the same
//! wherever the same thing stands, and by which a request can be sent again to another service (`docs/RECORDING.md`).
//!
//! [`body`] looks at bodies while they pass, [`cleaning`] decides what is kept of an exchange, [`vocabulary`] says which words
//! anybody may know, [`mod@format`] is the file, and [`shapes`] says how two answers differ.

pub(crate) mod body;
pub(crate) mod cleaning;
mod expressions;
pub(crate) mod format;
mod headers;
mod messages;
pub(crate) mod pseudonyms;
pub(crate) mod shapes;
pub(crate) mod vocabulary;
