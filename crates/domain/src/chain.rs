//! How a failure is told with everything that led to it. An error says only what went wrong at its own level; whoever
//! tells of it, once and at the end of its way, tells its sources too.

use std::{error::Error, fmt};

/// An error and its sources on one line: `what: why: why that`.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'e>(pub &'e (dyn Error + 'static));

const OWN_AUTHORITY: &str = " (the server shows the certificate of an authority as its own: give it one that an authority \
                             has signed, or make its own without CA:TRUE among its basic constraints)";

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut next = Some(self.0);
        let mut told = String::new();
        while let Some(error) = next {
            let text = error.to_string();
            // Some libraries repeat their source in their own text.
            if !told.ends_with(&text) {
                let colon = if told.is_empty() { "" } else { ": " };
                told += &format!("{colon}{text}");
            }
            next = error.source();
        }
        f.write_str(&told)?;
        // What TLS libraries call it says little to whoever made the certificate.
        if told.contains("CaUsedAsEndEntity") {
            f.write_str(OWN_AUTHORITY)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Step(&'static str, #[source] Option<Box<Step>>);

    fn chain(texts: &[&'static str]) -> Step {
        let (first, rest) = texts.split_first().unwrap();
        Step(first, (!rest.is_empty()).then(|| Box::new(chain(rest))))
    }

    #[test]
    fn every_source_is_told_once() {
        assert_eq!(Chain(&chain(&["alone"])).to_string(), "alone");
        assert_eq!(
            Chain(&chain(&["not stored", "disk", "no room"])).to_string(),
            "not stored: disk: no room"
        );
        let certificate = Chain(&chain(&[
            "not connected",
            "invalid peer certificate: Other(CaUsedAsEndEntity)",
        ]));
        assert!(certificate.to_string().contains("CA:TRUE"), "{certificate}");
        assert_eq!(
            Chain(&chain(&["disk: no room", "no room"])).to_string(),
            "disk: no room"
        );
    }
}
