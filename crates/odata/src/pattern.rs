//! Regular expressions from strangers: what they cost to compile is bounded before they are compiled, what they cost to
//! match is known before they are matched.

use regex_automata::nfa::thompson;
use regex_syntax::ast::{self, Ast, ClassSetItem, Flag, GroupKind};

/// The longest text that a pattern is matched with, in bytes.
pub(crate) const MAX_TEXT: usize = 4 * 1024;
/// States of the automaton that a pattern becomes: each of them may be looked at for each byte of a text.
const MAX_STATES: usize = 1_000;
/// States that are looked at for one byte in one step of work.
const STATES_IN_STEP: u64 = 8;
/// The largest compiled program, and the largest cache while it runs. What `\w` becomes needs much for few states.
const PROGRAM_BYTES: usize = 256 * 1024;
const MAX_DEPTH: u32 = 50;
/// What may be spent on making large classes of characters ignore case, which is done character by character: a class
/// of Unicode counts once, and eight times what may be most of Unicode.
const MAX_FOLDED: usize = 16;
/// From how many characters on a range counts as most of Unicode.
const LARGE_RANGE: u32 = 1_000;

/// A compiled regular expression.
///
/// It is the `regex` crate's language, not ECMAScript's: it matches in linear time and has neither look-around nor
/// back-references.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: regex::Regex,
    /// States of its automaton.
    states: u64,
}

impl Pattern {
    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The most steps of work that a look at the text takes.
    pub(crate) fn steps(&self, text: &str) -> u64 {
        text.len() as u64 * (1 + self.states / STATES_IN_STEP)
    }
}

/// Compiles within bounds: of the text, of nesting, and of the program that it becomes. A refusal says what is wrong,
/// and brings the error of the compiler if it was its.
pub(crate) fn compile(source: &str, max_bytes: usize) -> Result<Pattern, (String, Option<regex::Error>)> {
    if source.len() > max_bytes {
        return Err((format!("The pattern is longer than {max_bytes} bytes"), None));
    }
    if folding_cost(source) > MAX_FOLDED {
        let problem = "The pattern has too many large classes of characters to ignore their case";
        return Err((problem.into(), None));
    }
    let built = regex::RegexBuilder::new(source)
        .size_limit(PROGRAM_BYTES)
        .dfa_size_limit(PROGRAM_BYTES)
        .nest_limit(MAX_DEPTH)
        .build();
    let too_large = "The pattern is too large once it is compiled";
    let regex = built.map_err(|error| {
        let problem = match error {
            regex::Error::CompiledTooBig(_) => too_large,
            _ => "The pattern is not a regular expression without look-around and back-references",
        };
        (problem.into(), Some(error))
    })?;
    let limits = thompson::Config::new().nfa_size_limit(Some(PROGRAM_BYTES));
    let automaton = thompson::NFA::compiler().configure(limits).build(source);
    match automaton.map(|automaton| automaton.states().len()) {
        Ok(states) if states <= MAX_STATES => Ok(Pattern {
            regex,
            states: states as u64,
        }),
        _ => Err((too_large.into(), None)),
    }
}

/// What the pattern's classes cost if it ignores case anywhere; nothing for what is no pattern.
fn folding_cost(source: &str) -> usize {
    let parsed = ast::parse::ParserBuilder::new()
        .nest_limit(MAX_DEPTH)
        .build()
        .parse(source);
    let folding = Folding::default();
    match parsed.map(|pattern| ast::visit(&pattern, folding)) {
        Ok(Ok(folding)) if folding.ignores_case => folding.cost,
        _ => 0,
    }
}

#[derive(Default)]
struct Folding {
    ignores_case: bool,
    cost: usize,
}

impl ast::Visitor for Folding {
    type Output = Self;
    type Err = std::convert::Infallible;

    fn finish(self) -> Result<Self, Self::Err> {
        Ok(self)
    }

    fn visit_pre(&mut self, pattern: &Ast) -> Result<(), Self::Err> {
        let flags = match pattern {
            Ast::Flags(set) => Some(&set.flags),
            Ast::Group(group) => match &group.kind {
                GroupKind::NonCapturing(flags) => Some(flags),
                _ => None,
            },
            Ast::ClassUnicode(_) => {
                self.cost += 1;
                None
            }
            _ => None,
        };
        self.ignores_case |= flags.is_some_and(|flags| flags.flag_state(Flag::CaseInsensitive) == Some(true));
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Self::Err> {
        let most_of_unicode = MAX_FOLDED / 2;
        self.cost += match item {
            ClassSetItem::Range(range) if range.end.c as u32 - range.start.c as u32 > LARGE_RANGE => {
                most_of_unicode
            }
            ClassSetItem::Unicode(class) if !class.negated => 1,
            ClassSetItem::Perl(class) if !class.negated => 1,
            ClassSetItem::Ascii(class) if !class.negated => 0,
            ClassSetItem::Unicode(_)
            | ClassSetItem::Perl(_)
            | ClassSetItem::Ascii(_)
            | ClassSetItem::Bracketed(_) => most_of_unicode,
            _ => 0,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(source: &str) -> Option<String> {
        compile(source, 1024).err().map(|(problem, _)| problem)
    }

    #[test]
    fn what_people_write_is_compiled() {
        for source in [
            "^BC.*",
            r"^\w+-\d{4}-\d{2}-\d{2}$",
            r"(?i)^(contoso|fabrikam)\W+.*prod(uction)?$",
            r"(?i)[\p{L}\d_]+[^a-z]",
            r"\b\p{Lu}\p{L}+\b",
            "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        ] {
            assert_eq!(refusal(source), None, "{source}");
        }
    }

    #[test]
    fn what_would_cost_much_is_refused_before_it_does() {
        for source in [
            "(?:(?:a|b|ab){0,9}a){40}z".to_owned(),
            r"\w{40}".into(),
            "(?:a{0,1000}){0,1000}".into(),
        ] {
            assert!(refusal(&source).unwrap().contains("too large once"), "{source}");
        }
        let everything = "[a-\u{10ffff}]";
        for class in [
            everything,
            r"[\P{Greek}]",
            r"[\D]",
            "[[^a]]",
            "[[:^alpha:]]",
            r"\p{L}",
        ] {
            let source = format!("(?i:{})", class.repeat(1000 / class.len()));
            assert!(
                refusal(&source).unwrap().contains("ignore their case"),
                "{source}"
            );
        }
    }
}
