//! Regular expressions from strangers.

/// The largest compiled program, and the largest cache while it runs.
const PROGRAM_BYTES: usize = 256 * 1024;

/// A compiled regular expression.
///
/// It is the `regex` crate's language, not ECMAScript's: it matches in linear time and has neither look-around nor
/// back-references.
#[derive(Clone, Debug)]
pub struct Pattern(regex::Regex);

impl Pattern {
    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Compiles within bounds: of the text, of nesting, and of the program that it becomes. A refusal says what is wrong,
/// and brings the error of the compiler if it was its.
pub(crate) fn compile(source: &str, max_bytes: usize) -> Result<Pattern, (String, Option<regex::Error>)> {
    if source.len() > max_bytes {
        return Err((format!("The pattern is longer than {max_bytes} bytes"), None));
    }
    let built = regex::RegexBuilder::new(source)
        .size_limit(PROGRAM_BYTES)
        .dfa_size_limit(PROGRAM_BYTES)
        .nest_limit(50)
        .build();
    built.map(Pattern).map_err(|error| {
        let problem = match error {
            regex::Error::CompiledTooBig(_) => "The pattern is too large once it is compiled",
            _ => "The pattern is not a regular expression without look-around and back-references",
        };
        (problem.into(), Some(error))
    })
}
