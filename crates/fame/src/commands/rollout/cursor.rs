//! Tables read member by member: each of them what it has to be, none left over.

use super::written::{Is, Member, Part, Wrong};
use domain::{
    instant::Instant,
    rollout::definition::{InvalidPercent, Percent, read_span},
};
use jiff::Timestamp;
use std::time::Duration;

/// A table whose members are known.
pub(super) struct Table<'p> {
    part: &'p Part,
    members: &'p [Member],
}

impl<'p> Table<'p> {
    /// The table that `part` is, if all that it has is among `known`.
    ///
    /// # Errors
    /// What is wrong, at the place where it stands; so for everything here.
    pub(super) fn of(part: &'p Part, known: &[&str]) -> Result<Self, Wrong> {
        let Is::Table(members) = &part.is else {
            return Err(part.wrong(format!("a table is wanted here, and this is {}", part.kind())));
        };
        for member in members {
            if !known.contains(&member.name.as_str()) {
                return Err(unknown(member, known));
            }
        }
        Ok(Self { part, members })
    }

    /// A member; none where it is missing or null.
    pub(super) fn get(&self, name: &str) -> Option<&'p Part> {
        let found = self.members.iter().find(|member| member.name == name);
        found
            .map(|member| &member.part)
            .filter(|part| part.is != Is::Null)
    }

    /// A member that has to be there.
    pub(super) fn need(&self, name: &str) -> Result<&'p Part, Wrong> {
        self.get(name)
            .ok_or_else(|| self.part.wrong(format!("`{name}` is missing")))
    }

    /// What `read` makes of a member, if it is there.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl Fn(&'p Part) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Wrong> {
        self.get(name).map(read).transpose()
    }
}

fn unknown(member: &Member, known: &[&str]) -> Wrong {
    let name = &member.name;
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known));
    let near = near.min().filter(|(distance, _)| *distance <= 2);
    let meant = near.map_or_else(
        || format!("it has {}", listed(known)),
        |(_, known)| format!("did you mean `{known}`?"),
    );
    Wrong {
        what: format!("`{name}` is not known here; {meant}"),
        at: member.at,
    }
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// A text that says something.
pub(super) fn text(part: &Part) -> Result<&str, Wrong> {
    match &part.is {
        Is::Text(text) if text.trim().is_empty() => Err(part.wrong("it is empty")),
        Is::Text(text) => Ok(text),
        _ => Err(part.wrong(format!("a text is wanted here, and this is {}", part.kind()))),
    }
}

/// One of some words.
pub(super) fn word<T: Copy>(part: &Part, known: &[(&str, T)]) -> Result<T, Wrong> {
    let word = text(part)?;
    let found = known.iter().find(|(known, _)| *known == word);
    let found = found.map(|(_, meant)| *meant);
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        part.wrong(format!("'{word}' is none of {}", listed(&words)))
    })
}

/// What a text is read as.
pub(super) fn parsed<T>(part: &Part) -> Result<T, Wrong>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = text(part)?;
    text.parse()
        .map_err(|error| part.wrong(format!("'{text}': {error}")))
}

/// Yes or no.
pub(super) fn truth(part: &Part) -> Result<bool, Wrong> {
    match part.is {
        Is::Bool(yes) => Ok(yes),
        _ => Err(part.wrong(format!(
            "true or false is wanted here, and this is {}",
            part.kind()
        ))),
    }
}

/// A list of what `read` makes of its parts; a part that is no list is the only one of it.
pub(super) fn list<'p, T>(
    part: &'p Part,
    read: impl Fn(&'p Part) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    match &part.is {
        Is::List(parts) => parts.iter().map(read).collect(),
        _ => Ok(vec![read(part)?]),
    }
}

/// A whole number, from 1 on.
pub(super) fn count<T: std::str::FromStr + PartialOrd + From<u8>>(part: &Part) -> Result<T, Wrong> {
    let Is::Number(number) = &part.is else {
        return Err(part.wrong(format!("a number is wanted here, and this is {}", part.kind())));
    };
    let read = number.parse().ok().filter(|read| *read >= T::from(1));
    read.ok_or_else(|| part.wrong(format!("{number} is no whole number from 1 on")))
}

/// A share in percent: nothing is rounded.
pub(super) fn percent(part: &Part) -> Result<Percent, Wrong> {
    let Is::Number(number) = &part.is else {
        return Err(part.wrong(format!("a number is wanted here, and this is {}", part.kind())));
    };
    number
        .parse()
        .map_err(|error: InvalidPercent| part.wrong(error.to_string()))
}

/// How long something lasts.
pub(super) fn span(part: &Part) -> Result<Duration, Wrong> {
    read_span(text(part)?).map_err(|error| part.wrong(error.to_string()))
}

/// An instant, which has to say how far its clock is from UTC.
pub(super) fn instant(part: &Part) -> Result<Instant, Wrong> {
    let text = text(part)?;
    let read: Option<Timestamp> = text.parse().ok();
    let read = read.ok_or_else(|| {
        part.wrong(format!(
            "'{text}' is no time with an offset, such as 2026-12-20T00:00:00Z or …+01:00"
        ))
    })?;
    Ok(Instant::from_timestamp(read))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::rollout::written::Format;

    fn read<T>(json: &str, read: impl Fn(&Part) -> Result<T, Wrong>) -> Option<T> {
        read(&Part::read(json, Format::Json).unwrap()).ok()
    }

    #[test]
    fn shares_are_exact() {
        for (written, share) in [
            ("5", 500),
            ("2.5", 250),
            ("0", 0),
            ("100.00", 10_000),
            ("0.01", 1),
        ] {
            assert_eq!(
                read(written, percent).map(Percent::hundredths),
                Some(share),
                "{written}"
            );
        }
        for wrong in ["-1", "100.01", "2.555", "1e2", "\"5\"", "99999999999999"] {
            assert_eq!(read(wrong, percent), None, "{wrong}");
        }
    }

    #[test]
    fn counts_begin_at_one() {
        assert_eq!(read("1", count::<u64>), Some(1));
        for wrong in ["0", "-1", "1.0", "1e3", "true", "18446744073709551616"] {
            assert_eq!(read(wrong, count::<u64>), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_says_where_its_clock_stands() {
        let utc = read("\"2026-12-20T01:00:00+01:00\"", instant);
        assert_eq!(utc, Some("2026-12-20T00:00:00Z".parse().unwrap()));
        for wrong in ["\"2026-12-20T00:00:00\"", "\"2026-12-20\"", "\"tomorrow\""] {
            assert_eq!(read(wrong, instant), None, "{wrong}");
        }
    }
}
