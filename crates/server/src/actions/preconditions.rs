//! What the caller believes the entity's state to be: `If-Match` and `If-None-Match`.

use super::repeat::Repeatable;
use crate::error::{Error, Result};
use domain::{
    ids::Etag,
    problem::{Code, RuleError},
};

/// Entity tags as a header lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: any state, as long as there is one.
    Any,
    /// One of these, compared weakly.
    These(Vec<String>),
}

impl Tags {
    /// Reads a header value: `*`, or a list of `"x"`, `W/"x"` or bare `x`. A `*` in quotes or among others is a tag
    /// like any, and no entity's.
    pub(crate) fn read(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        let mut tags = Vec::new();
        let mut rest = text.trim_start_matches(SEPARATORS);
        while !rest.is_empty() {
            let tag = rest.strip_prefix("W/").or_else(|| rest.strip_prefix("w/"));
            let tag = tag.unwrap_or(rest);
            let quoted = tag.strip_prefix('"').and_then(|text| text.split_once('"'));
            let (tag, behind) = quoted.unwrap_or_else(|| tag.split_at(tag.find(',').unwrap_or(tag.len())));
            tags.push(tag.trim_end().to_owned());
            rest = behind.trim_start_matches(SEPARATORS);
        }
        Self::These(tags)
    }

    fn contains(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| tag.eq_ignore_ascii_case(etag)),
        }
    }
}

/// What stands between the tags of a list.
const SEPARATORS: [char; 3] = [',', ' ', '\t'];

/// The conditions of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preconditions {
    pub(crate) if_match: Option<Tags>,
    pub(crate) if_none_match: Option<Tags>,
    /// Whether the request only reads.
    pub(crate) is_read: bool,
    /// What tells the same request when it comes again; of an upload it is told elsewhere.
    pub(crate) repeatable: Option<Repeatable>,
}

impl Preconditions {
    /// Whether the request may change an entity whose tag is `existing`; `None` where there is no entity.
    pub(crate) fn check_write(&self, existing: Option<Etag>) -> Result<()> {
        let tag = existing.map(|etag| etag.to_string());
        if let Some(wanted) = &self.if_match {
            match &tag {
                None => return Err(failed("There is no such entity, and If-Match asks for one.")),
                Some(tag) if !wanted.contains(tag) => {
                    return Err(failed(&format!("The entity has changed: its tag is {tag} now.")));
                }
                Some(_) => {}
            }
        }
        match (&self.if_none_match, &tag) {
            (Some(unwanted), Some(tag)) if unwanted.contains(tag) => Err(failed(
                "The entity exists already, and If-None-Match asks for a new one.",
            )),
            _ => Ok(()),
        }
    }

    /// Whether a read has something to answer that the caller does not know yet.
    pub(crate) fn check_read(&self, etag: &str) -> Result<()> {
        if self
            .if_match
            .as_ref()
            .is_some_and(|wanted| !wanted.contains(etag))
        {
            return Err(failed(&format!("The entity has changed: its tag is {etag} now.")));
        }
        if self
            .if_none_match
            .as_ref()
            .is_some_and(|known| known.contains(etag))
        {
            return Err(self.known(Some(format!("W/\"{etag}\""))));
        }
        Ok(())
    }

    /// Whether a request may go on whose address stands for something without a tag: a list, an action, a hotfix.
    pub(crate) fn check_untagged(&self) -> Result<()> {
        match (&self.if_match, &self.if_none_match) {
            (Some(Tags::These(_)), _) => Err(failed(
                "What is addressed has no tag, so If-Match can only be '*'.",
            )),
            (_, Some(Tags::Any)) => Err(self.known(None)),
            _ => Ok(()),
        }
    }

    /// The caller knows what there is, and wanted something else.
    fn known(&self, tag: Option<String>) -> Error {
        if self.is_read {
            Error::NotModified { tag }
        } else {
            failed("What is addressed exists as it is known, and If-None-Match asks for something else.")
        }
    }

    /// The answer to a row that is not there.
    pub(crate) fn missing(&self, problem: RuleError) -> Error {
        if self.if_match.is_some() {
            return failed("There is no such entity, and If-Match asks for one.");
        }
        problem.into()
    }
}

fn failed(message: &str) -> Error {
    RuleError::new(Code::PreconditionFailed, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_if_match(text: &str) -> Preconditions {
        Preconditions {
            if_match: Some(Tags::read(text)),
            ..Preconditions::default()
        }
    }

    fn with_if_none_match(text: &str) -> Preconditions {
        Preconditions {
            if_none_match: Some(Tags::read(text)),
            ..Preconditions::default()
        }
    }

    #[test]
    fn every_spelling_of_a_tag_is_the_same_tag() {
        let etag = Etag::random();
        for text in [
            format!("\"{etag}\""),
            format!("W/\"{etag}\""),
            etag.to_string(),
            format!("\"x\", W/\"{etag}\""),
            "*".into(),
        ] {
            assert!(with_if_match(&text).check_write(Some(etag)).is_ok(), "{text}");
        }
        assert!(with_if_match("\"other\"").check_write(Some(etag)).is_err());
    }

    #[test]
    fn if_match_on_nothing_fails_even_as_a_star() {
        assert!(with_if_match("*").check_write(None).is_err());
        assert!(Preconditions::default().check_write(None).is_ok());
    }

    #[test]
    fn if_none_match_star_only_creates() {
        let only_create = with_if_none_match("*");
        assert!(only_create.check_write(None).is_ok());
        assert!(only_create.check_write(Some(Etag::random())).is_err());
    }

    #[test]
    fn a_known_state_is_not_sent_again() {
        let known = Preconditions {
            is_read: true,
            ..with_if_none_match("W/\"a\"")
        };
        assert!(matches!(known.check_read("a"), Err(Error::NotModified { .. })));
        assert!(known.check_read("b").is_ok());
        let posts = with_if_none_match("W/\"a\"");
        assert!(matches!(posts.check_read("a"), Err(Error::Rule(_))));
    }

    #[test]
    fn only_a_bare_star_stands_for_all() {
        let these = |tags: &[&str]| Tags::These(tags.iter().map(|&tag| tag.to_owned()).collect());
        assert_eq!(Tags::read(" * "), Tags::Any);
        for (text, tags) in [
            ("\"*\"", &["*"][..]),
            ("W/\"*\"", &["*"]),
            ("\"x\", *", &["x", "*"]),
            ("*, *", &["*", "*"]),
            ("**", &["**"]),
            ("", &[]),
            (" , ,", &[]),
            ("\"a,b\",W/\"c\" , d e ,w/f", &["a,b", "c", "d e", "f"]),
            ("\"open", &["\"open"]),
            ("\"\"", &[""]),
        ] {
            assert_eq!(Tags::read(text), these(tags), "{text}");
            assert!(with_if_match(text).check_write(Some(Etag::random())).is_err());
            assert!(with_if_none_match(text).check_write(Some(Etag::random())).is_ok());
        }
    }

    #[test]
    fn what_has_no_tag_fits_a_star_alone() {
        assert!(Preconditions::default().check_untagged().is_ok());
        assert!(with_if_match("*").check_untagged().is_ok());
        assert!(with_if_match("\"*\"").check_untagged().is_err());
        assert!(with_if_none_match("\"x\"").check_untagged().is_ok());
        assert!(matches!(
            with_if_none_match("*").check_untagged(),
            Err(Error::Rule(_))
        ));
        let reads = Preconditions {
            is_read: true,
            ..with_if_none_match("*")
        };
        assert!(matches!(
            reads.check_untagged(),
            Err(Error::NotModified { tag: None })
        ));
    }
}
