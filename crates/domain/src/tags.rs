//! A vendor's own words on the environments of its app: rings, promises, whatever it sorts its customers by.
//!
//! They are shown in terminals and tables beside what the service says itself, so they are as plain as names are.

use crate::{problem::RuleError, text::check_text};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// Most tags of an app on one environment.
pub const MOST_TAGS: usize = 20;
/// Longest tag, in characters.
pub const LONGEST_TAG: usize = 50;

/// The tags of an app on one environment. They are compared as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(BTreeSet<String>);

/// Refuses what is no tag.
///
/// # Errors
/// `InvalidInput` about `what` where it is empty, longer than [`LONGEST_TAG`], begins or ends with a blank, or has characters
/// that nobody sees.
pub fn check_tag(what: &str, tag: &str) -> Result<(), RuleError> {
    if tag.is_empty() || tag.trim() != tag {
        let message = format!("'{what}' has '{tag}': a tag is not empty, and has no blanks around it.");
        return Err(RuleError::invalid(what, message));
    }
    check_text(what, tag, LONGEST_TAG)
}

impl Tags {
    /// Those of `tags`, each once.
    ///
    /// # Errors
    /// Those of [`check_tag`], and `InvalidInput` about `what` where there are more than [`MOST_TAGS`].
    pub fn new(what: &str, tags: impl IntoIterator<Item = String>) -> Result<Self, RuleError> {
        let tags: BTreeSet<String> = tags.into_iter().collect();
        for tag in &tags {
            check_tag(what, tag)?;
        }
        if tags.len() > MOST_TAGS {
            let message = format!(
                "'{what}' has {} tags, of which an environment may have {MOST_TAGS}.",
                tags.len()
            );
            return Err(RuleError::invalid(what, message));
        }
        Ok(Self(tags))
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These without those of `removed` and with those of `added`; nothing where they would be too many.
    #[must_use]
    pub fn changed(&self, added: &Self, removed: &Self) -> Option<Self> {
        let kept = self.0.difference(&removed.0);
        let tags: BTreeSet<String> = kept.chain(&added.0).cloned().collect();
        (tags.len() <= MOST_TAGS).then_some(Self(tags))
    }
}

/// A line each, with the end of a line before the first as well, so that each is found with both of its ends.
impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() {
            f.write_str("\n")?;
        }
        self.0.iter().try_for_each(|tag| writeln!(f, "{tag}"))
    }
}

impl FromStr for Tags {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let lines = text.split('\n').filter(|line| !line.is_empty());
        Self::new("tags", lines.map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tags(words: &[&str]) -> Tags {
        Tags::new("tags", words.iter().map(|&word| word.to_owned())).unwrap()
    }

    #[test]
    fn each_stands_once_and_in_order() {
        let some = tags(&["ring0", "EU", "ring0"]);
        assert_eq!(some.iter().collect::<Vec<_>>(), ["EU", "ring0"]);
        assert_eq!(some.to_string(), "\nEU\nring0\n");
        assert_eq!(Tags::default().to_string(), "");
    }

    #[test]
    fn what_is_no_plain_word_is_refused() {
        for wrong in [
            "",
            " ring0",
            "ring0 ",
            "a\nb",
            "\u{202E}ring0",
            "a\u{200B}",
            &"x".repeat(51),
        ] {
            assert!(check_tag("tags", wrong).is_err(), "{wrong:?}");
        }
        for right in ["ring0", "ring 0", "Zürich", "a,b", &"ü".repeat(50)] {
            assert!(check_tag("tags", right).is_ok(), "{right:?}");
        }
        let many = |count: usize| Tags::new("tags", (0..count).map(|number| number.to_string()));
        assert!(many(MOST_TAGS).is_ok());
        assert!(many(MOST_TAGS + 1).is_err());
    }

    #[test]
    fn what_is_added_and_removed_at_once_is_there() {
        let before = tags(&["a", "b"]);
        let after = before.changed(&tags(&["c"]), &tags(&["b", "c"]));
        assert_eq!(after, Some(tags(&["a", "c"])));
        let full = Tags::new("tags", (0..MOST_TAGS).map(|number| number.to_string())).unwrap();
        assert_eq!(full.changed(&tags(&["a"]), &Tags::default()), None);
        assert!(full.changed(&tags(&["a"]), &tags(&["0"])).is_some());
    }

    proptest! {
        #[test]
        fn they_are_read_as_they_are_written(words in proptest::collection::vec("[a-zA-Zü][a-z ,]{0,8}[a-z]", 0..10)) {
            let tags = Tags::new("tags", words).unwrap();
            prop_assert_eq!(tags.to_string().parse::<Tags>(), Ok(tags));
        }
    }
}
