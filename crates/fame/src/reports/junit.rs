//! Reports as JUnit files, in the dialect that Azure DevOps reads: suites of cases, with nothing that it drops.

use super::{Case, CaseResult, Report};
use std::fmt::Write;

/// The longest message, in characters.
const LONGEST_MESSAGE: usize = 4_000;
/// The longest text of one case, in bytes.
const LONGEST_TEXT: usize = 64 << 10;
/// The most bytes of all texts together; after that, cases have their messages alone.
const ALL_TEXTS: usize = 32 << 20;

/// The file.
pub(super) fn document(title: &str, report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let cases: Vec<&Case> = report.cases().map(|(_, case)| case).collect();
    open(&mut xml, "testsuites", title, &cases);
    let mut left = ALL_TEXTS;
    for suite in &report.suites {
        let cases: Vec<&Case> = suite.cases.iter().collect();
        xml.push_str("  ");
        open(&mut xml, "testsuite", &suite.name, &cases);
        for case in cases {
            add(&mut xml, case, &mut left);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn open(xml: &mut String, element: &str, name: &str, cases: &[&Case]) {
    let count =
        |is_meant: fn(&CaseResult) -> bool| cases.iter().filter(|case| is_meant(&case.result)).count();
    let failures = count(|result| matches!(result, CaseResult::Failed { .. }));
    let skipped = count(|result| matches!(result, CaseResult::Skipped { .. }));
    let seconds = cases.iter().filter_map(|case| measured(case));
    // Writing into a string has no way to fail; so for all that follow.
    let _ = write!(
        xml,
        "<{element} name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"",
        attribute(name),
        cases.len()
    );
    took(xml, seconds.reduce(|all, seconds| all + seconds));
    xml.push_str(">\n");
}

/// How long it took, where that was measured.
fn took(xml: &mut String, seconds: Option<f64>) {
    if let Some(seconds) = seconds {
        let _ = write!(xml, " time=\"{seconds:.3}\"");
    }
}

fn measured(case: &Case) -> Option<f64> {
    case.seconds
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
}

fn add(xml: &mut String, case: &Case, left: &mut usize) {
    let (name, classname) = (attribute(&case.name), attribute(&case.classname));
    let _ = write!(xml, "    <testcase name=\"{name}\" classname=\"{classname}\"");
    took(xml, measured(case));
    match &case.result {
        CaseResult::Passed => xml.push_str("/>\n"),
        CaseResult::Skipped { message } => {
            let message = attribute(message);
            let _ = write!(
                xml,
                ">\n      <skipped message=\"{message}\"/>\n    </testcase>\n"
            );
        }
        CaseResult::Failed { code, message, text } => {
            let (code, message) = (attribute(code), attribute(message));
            let _ = write!(xml, ">\n      <failure type=\"{code}\" message=\"{message}\">");
            let text = within(text, LONGEST_TEXT.min(*left));
            *left = left.saturating_sub(text.len());
            escape(xml, text, false);
            xml.push_str("</failure>\n    </testcase>\n");
        }
    }
}

/// As much of the beginning of `text` as fits into so many bytes.
fn within(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

fn attribute(text: &str) -> String {
    let mut escaped = String::new();
    let shown: String = text.chars().take(LONGEST_MESSAGE).collect();
    escape(&mut escaped, &shown, true);
    escaped
}

/// Adds `text` as XML writes it. A reader makes one blank of a line break in an attribute, and no document may hold most
/// control characters, not even by their numbers.
fn escape(xml: &mut String, text: &str, is_attribute: bool) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\r' => xml.push_str("&#13;"),
            '\n' if is_attribute => xml.push_str("&#10;"),
            '\t' if is_attribute => xml.push_str("&#9;"),
            '\n' | '\t' => xml.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            _ => xml.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Suite, *};
    use proptest::prelude::*;

    fn report(cases: Vec<Case>) -> Report {
        let name = "Contoso <Sales> & \"more\"".to_owned();
        Report {
            suites: vec![Suite { name, cases }],
        }
    }

    fn failed(message: &str, text: &str) -> Case {
        Case {
            name: "US 26.1.4.0 upload".to_owned(),
            classname: "Contoso Sales".to_owned(),
            seconds: Some(1.5),
            result: CaseResult::Failed {
                code: "DifferentContent".to_owned(),
                message: message.to_owned(),
                text: text.to_owned(),
            },
        }
    }

    #[test]
    fn a_report_is_suites_of_cases() {
        let case = |name: &str, result| Case {
            name: name.to_owned(),
            classname: "Contoso Sales".to_owned(),
            seconds: None,
            result,
        };
        let skipped = CaseResult::Skipped {
            message: "It has a newer one.".to_owned(),
        };
        let cases = vec![
            case("US 26.1.4.0 upload", CaseResult::Passed),
            case("contoso-prod hotfix", skipped),
            failed("It is there.", "It is there.\n  ms-correlation-x: 1"),
        ];
        insta::assert_snapshot!(document("fame release", &report(cases)));
    }

    #[test]
    fn a_time_stands_only_where_one_was_measured() {
        let times = |seconds: &[Option<f64>]| {
            let case = |seconds: &Option<f64>| Case {
                seconds: *seconds,
                ..failed("It is there.", "")
            };
            let xml = document("fame release", &report(seconds.iter().map(case).collect()));
            let read = roxmltree::Document::parse(&xml).unwrap();
            let nodes = read.descendants().filter_map(|node| node.attribute("time"));
            nodes.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(times(&[]), Vec::<String>::new());
        assert_eq!(times(&[None, Some(-1.0), Some(f64::NAN)]), Vec::<String>::new());
        assert_eq!(times(&[None, Some(0.0)]), ["0.000"; 3]);
        assert_eq!(
            times(&[Some(1.0), Some(2.0)]),
            ["3.000", "3.000", "1.000", "2.000"]
        );
    }

    #[test]
    fn a_file_has_bounds() {
        let text = "é".repeat(1 << 20);
        let cases = (0..600).map(|_| failed(&text, &text)).collect();
        let xml = document("fame release", &report(cases));
        assert!(xml.len() < ALL_TEXTS + 600 * 10_000, "{}", xml.len());
        assert_eq!(xml.matches("<failure ").count(), 600);
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text in "(?s).{0,60}") {
            let xml = document("fame release", &report(vec![failed(&text, &text)]));
            let read = roxmltree::Document::parse(&xml).map_err(|error| TestCaseError::fail(format!("{error}: {xml}")))?;
            let failure = read.descendants().find(|node| node.has_tag_name("failure"));
            let failure = failure.ok_or_else(|| TestCaseError::fail("no failure"))?;
            let told: String = text.chars().map(|character| match character {
                '\t' | '\n' | '\r' => character,
                '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
                _ => character,
            }).collect();
            prop_assert_eq!(failure.attribute("message"), Some(told.as_str()));
            prop_assert_eq!(failure.text().unwrap_or_default(), told.as_str());
        }
    }
}
