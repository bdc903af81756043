//! What texts may hold, whoever wrote them: names and messages are read by people and shown by terminals, and neither may
//! be led astray by characters that nobody sees.

use crate::problem::RuleError;
use std::fmt;

/// Whether a character is not seen, or changes how others are: control characters, marks of direction, tags, and those
/// without width. Nobody who reads a name with one in it reads what programs do.
#[must_use]
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{FEFF}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}')
}

/// The first control character of a text, if it has one: nobody sees it, terminals take it for an order, and not every
/// database can keep U+0000.
#[must_use]
pub fn control_in(text: &str) -> Option<char> {
    text.chars().find(|character| character.is_control())
}

/// The first control character of a text that may have lines and tabs, if it has another.
#[must_use]
pub fn control_in_lines(text: &str) -> Option<char> {
    text.chars().find(|&character| is_control_in_lines(character))
}

/// Whether a character is a control character that is not part of how lines are laid out.
#[must_use]
pub fn is_control_in_lines(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

/// Says that something holds a control character: `holder` is what does, as the sentence begins.
#[must_use]
pub fn holds_control(holder: impl fmt::Display, control: char) -> String {
    format!(
        "{holder} holds the control character U+{:04X}, which is not allowed here.",
        u32::from(control)
    )
}

/// Refuses a text that is longer than `longest` characters, or has any that is not seen.
///
/// # Errors
/// `InvalidInput` about `what`.
pub fn check_text(what: &str, text: &str, longest: usize) -> Result<(), RuleError> {
    let length = text.chars().count();
    if length > longest {
        let message = format!("'{what}' has {length} characters, of which there may be {longest}.");
        return Err(RuleError::invalid(what, message));
    }
    if let Some(invisible) = text.chars().find(|&character| is_invisible(character)) {
        let message = format!(
            "'{what}' has the character U+{:04X}, which nobody sees and which is not allowed in names.",
            u32::from(invisible)
        );
        return Err(RuleError::invalid(what, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_character_is_told_by_its_number() {
        assert_eq!(control_in("a\u{85}b"), Some('\u{85}'));
        assert_eq!(control_in_lines("a\r\n\tb"), None);
        assert_eq!(
            holds_control("The address", '\u{1B}'),
            "The address holds the control character U+001B, which is not allowed here."
        );
    }
}
