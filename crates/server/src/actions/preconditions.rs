//! What the caller believes the entity's state to be: `If-Match` and `If-None-Match`.

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
    /// Reads a header value: `*`, or a list of `"x"`, `W/"x"` or bare `x`.
    pub(crate) fn read(text: &str) -> Self {
        let tags: Vec<_> = text
            .split(',')
            .map(opaque)
            .filter(|tag| !tag.is_empty())
            .collect();
        if tags.iter().any(|tag| tag == "*") {
            Self::Any
        } else {
            Self::These(tags)
        }
    }

    fn contains(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| tag.eq_ignore_ascii_case(etag)),
        }
    }
}

/// The part of a tag that is compared: without the weakness mark and the quotes.
fn opaque(tag: &str) -> String {
    let tag = tag.trim();
    let tag = tag
        .strip_prefix("W/")
        .or_else(|| tag.strip_prefix("w/"))
        .unwrap_or(tag);
    tag.trim_matches('"').to_owned()
}

/// The conditions of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preconditions {
    pub(crate) if_match: Option<Tags>,
    pub(crate) if_none_match: Option<Tags>,
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
            return Err(Error::NotModified {
                tag: format!("W/\"{etag}\""),
            });
        }
        Ok(())
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
            if_none_match: None,
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
        let only_create = Preconditions {
            if_match: None,
            if_none_match: Some(Tags::Any),
        };
        assert!(only_create.check_write(None).is_ok());
        assert!(only_create.check_write(Some(Etag::random())).is_err());
    }

    #[test]
    fn a_known_state_is_not_sent_again() {
        let known = Preconditions {
            if_match: None,
            if_none_match: Some(Tags::read("W/\"a\"")),
        };
        assert!(matches!(known.check_read("a"), Err(Error::NotModified { .. })));
        assert!(known.check_read("b").is_ok());
    }
}
