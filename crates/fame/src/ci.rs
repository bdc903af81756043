//! The system whose pipeline runs the command, and what of our lines it would take for an order.
//!
//! GitHub Actions and Azure DevOps read what a step prints and carry out what looks like a command to them. Names and
//! messages come from other people, so nothing that is printed may look so by accident or on purpose: [`Ci::defuse`] breaks
//! it. What we mean as a command is written by [`crate::reports`] alone.

use clap::ValueEnum;
use std::{borrow::Cow, env, ffi::OsStr};

/// The system whose pipeline runs the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ci {
    /// None: somebody at a terminal, or a system that carries nothing out.
    #[default]
    None,
    /// GitHub Actions.
    Github,
    /// Azure DevOps pipelines.
    Azure,
}

impl Ci {
    /// The system that says of itself that it runs the command; of both, Azure DevOps.
    pub(crate) fn detected() -> Self {
        let says = |name: &str| env::var_os(name).is_some_and(|told| is_yes(&told));
        match (says("TF_BUILD"), says("GITHUB_ACTIONS")) {
            (true, _) => Self::Azure,
            (false, true) => Self::Github,
            (false, false) => Self::None,
        }
    }

    /// `text` without anything that the system would carry out: a blank stands inside of `##`, and of `::` where a line
    /// begins. A blank, because searches that go by a language pass over characters that nobody sees.
    pub(crate) fn defuse(self, text: &str) -> Cow<'_, str> {
        if self == Self::None || !(text.contains("##") || text.contains("::")) {
            return text.into();
        }
        let (mut defused, mut before, mut is_start) = (String::with_capacity(text.len()), ' ', true);
        for character in text.chars() {
            let is_pair = character == before && (character == '#' || (character == ':' && is_start));
            if is_pair {
                defused.push(' ');
            }
            defused.push(character);
            is_start = match character {
                '\n' | '\r' => true,
                ':' => is_start && before != ':',
                other => is_start && other.is_whitespace(),
            };
            before = character;
        }
        defused.into()
    }

    /// JSON that means the same, and in which the system finds nothing to carry out: no line of it can begin with `::`, and
    /// each `#` is escaped.
    pub(crate) fn defuse_json(self, json: &str) -> Cow<'_, str> {
        match self {
            Self::None => json.into(),
            Self::Github | Self::Azure => json.replace('#', "\\u0023").into(),
        }
    }
}

fn is_yes(told: &OsStr) -> bool {
    told.eq_ignore_ascii_case("true") || told == "1"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Whether an agent of Azure DevOps, or a runner of GitHub Actions, finds a command in a line.
    fn is_command(line: &str) -> bool {
        let line = line.to_ascii_lowercase();
        line.contains("##vso[") || line.contains("##[") || line.trim_start().starts_with("::")
    }

    #[test]
    fn commands_of_pipelines_are_broken() {
        for (text, defused) in [
            (
                "##vso[task.setvariable variable=A]b",
                "# #vso[task.setvariable variable=A]b",
            ),
            ("a ###[error]b", "a # # #[error]b"),
            ("::add-path::/tmp", ": :add-path::/tmp"),
            ("a\n \t::error::b", "a\n \t: :error::b"),
            (":::", ": ::"),
            ("std::io # 1", "std::io # 1"),
        ] {
            assert_eq!(Ci::Azure.defuse(text), defused);
            assert_eq!(Ci::Github.defuse(text), defused);
            assert_eq!(Ci::None.defuse(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_holds_a_command(text in "[#:a \\[vso\\]\n\r\t\u{a0}é]{0,40}") {
            let defused = Ci::Azure.defuse(&text);
            prop_assert!(!defused.split(['\n', '\r']).any(is_command), "{defused:?}");
            prop_assert_eq!(defused.replace(' ', ""), text.replace(' ', ""));
        }

        #[test]
        fn no_json_holds_a_command_and_it_means_the_same(text in "[#:a\\[vso\\]\n\"\\\\]{0,40}") {
            let value = json!({ text.clone(): [text] });
            let defused = Ci::Github.defuse_json(&serde_json::to_string_pretty(&value).unwrap()).into_owned();
            prop_assert!(!defused.lines().any(is_command), "{defused}");
            prop_assert_eq!(serde_json::from_str::<Value>(&defused).unwrap(), value);
        }
    }
}
