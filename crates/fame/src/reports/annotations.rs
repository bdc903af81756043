//! Annotations: what went wrong, where a pipeline's run is looked at first.
//!
//! Both systems show ten of a step and drop the rest without a word. So there is one for each cause, however many cases it
//! is the cause of; at most nine, and a last one that says how many there are besides.

use super::{CaseResult, Report, azure, github};
use crate::{ci::Ci, failure::Failure, output::Printer};
use std::collections::HashMap;

/// How many causes have an annotation of their own.
const MOST: usize = 9;
/// The longest text of an annotation, in characters.
const LONGEST: usize = 1_000;

/// Why cases failed: the same is one cause.
struct Cause<'r> {
    code: &'r str,
    message: &'r str,
    /// The first case of which it is the cause.
    case: &'r str,
    cases: usize,
}

/// Annotates a run with the causes of what failed.
pub(super) fn of_report(report: &Report, title: &str, printer: Printer) {
    for (code, text) in lines(report, title) {
        tell(&code, &text, printer);
    }
}

/// Annotates a run with why its command ended early.
pub(crate) fn annotate(failure: &Failure, printer: Printer) {
    let text = failure.to_string();
    tell(failure.code(), text.lines().next().unwrap_or_default(), printer);
}

fn tell(code: &str, text: &str, printer: Printer) {
    let text: String = text.chars().take(LONGEST).collect();
    match printer.ci() {
        Ci::None => {}
        Ci::Github => printer.command(&github::error(code, &text)),
        Ci::Azure => printer.command(&azure::error(code, &text)),
    }
}

fn lines(report: &Report, title: &str) -> Vec<(String, String)> {
    let causes = causes(report);
    let line = |cause: &Cause<'_>| {
        let text = match cause.cases {
            1 => format!("{}: {}", cause.case, cause.message),
            cases => format!("{} ({cases} cases, such as {})", cause.message, cause.case),
        };
        (cause.code.to_owned(), text)
    };
    let mut lines: Vec<_> = causes.iter().take(MOST).map(line).collect();
    let others = causes.get(MOST..).unwrap_or_default();
    if !others.is_empty() {
        let cases: usize = others.iter().map(|cause| cause.cases).sum();
        let text = format!("{} more causes, of {cases} cases.", others.len());
        lines.push((title.to_owned(), text));
    }
    lines
}

fn causes(report: &Report) -> Vec<Cause<'_>> {
    let (mut causes, mut places) = (Vec::<Cause<'_>>::new(), HashMap::new());
    for (_, case) in report.cases() {
        let CaseResult::Failed { code, message, .. } = &case.result else {
            continue;
        };
        let place = *places.entry((code, message)).or_insert_with(|| {
            causes.push(Cause {
                code,
                message,
                case: &case.name,
                cases: 0,
            });
            causes.len() - 1
        });
        if let Some(cause) = causes.get_mut(place) {
            cause.cases += 1;
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Case, Suite},
        *,
    };

    fn report(messages: impl Iterator<Item = String>) -> Report {
        let case = |(number, message): (usize, String)| Case {
            name: format!("contoso-{number} hotfix"),
            classname: "Contoso Sales".to_owned(),
            seconds: None,
            result: CaseResult::Failed {
                code: "DeploymentFailed".to_owned(),
                text: message.clone(),
                message,
            },
        };
        let cases = messages.enumerate().map(case).collect();
        Report {
            suites: vec![Suite {
                name: "Contoso Sales".to_owned(),
                cases,
            }],
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let told = lines(
            &report((0..40).map(|_| "The table holds rows.".to_owned())),
            "fame hotfixes wait",
        );
        let text = "The table holds rows. (40 cases, such as contoso-0 hotfix)";
        assert_eq!(told, [("DeploymentFailed".to_owned(), text.to_owned())]);
    }

    #[test]
    fn of_many_causes_nine_are_told_and_the_rest_is_counted() {
        let told = lines(
            &report((0..5_000).map(|number| format!("Cause {number}."))),
            "fame hotfixes wait",
        );
        assert_eq!(told.len(), 10);
        assert_eq!(told[9].1, "4991 more causes, of 4991 cases.");
    }
}
