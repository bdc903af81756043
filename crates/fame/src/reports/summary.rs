//! What became of a command in Markdown, as both systems show it with a run: apps and countries first, then what failed,
//! within a limit above which they would show nothing.

use super::{Case, CaseResult, Report};
use crate::{exit::Exit, output::Printer};
use std::{collections::BTreeSet, fmt::Write, path::Path};

/// The most bytes of a summary: GitHub takes 1 MiB from a step, and nothing at all of more.
pub(super) const LIMIT: usize = 900 << 10;
/// What is kept free for the line that says what was left out.
const LAST_LINE: usize = 4 << 10;
/// The longest text of one case, in characters.
const LONGEST_TEXT: usize = 16_000;
/// The most cases that are listed in a log.
const MOST_LISTED: usize = 1_000;

/// The summary in at most `limit` bytes; where even its beginning does not fit, nothing.
pub(super) fn markdown(
    report: &Report,
    title: &str,
    outcome: Exit,
    junit: Option<&Path>,
    limit: usize,
) -> String {
    let limit = limit.saturating_sub(LAST_LINE);
    let mut text = format!(
        "### {}\n\n{}: {}.\n\n",
        plain(title),
        sentence(outcome.meaning()),
        counted(report)
    );
    if text.len() > limit {
        return String::new();
    }
    let rows = table(report);
    let (mut apps, mut failures) = (report.suites.len(), 0);
    for (number, row) in rows.iter().enumerate() {
        if text.len() + row.len() > limit {
            break;
        }
        text.push_str(row);
        // The first two are the headings.
        apps = apps.saturating_sub(usize::from(number >= 2));
    }
    text.push('\n');
    for block in report.cases().filter_map(|(_, case)| failed(case)) {
        match text.len() + block.len() > limit || failures > 0 {
            true => failures += 1,
            false => text.push_str(&block),
        }
    }
    if apps + failures > 0 {
        let place = match junit {
            Some(path) => format!("in the JUnit file {}", plain(&path.display().to_string())),
            None => "not shown here".to_owned(),
        };
        let _ = writeln!(text, "{} more {place}.\n", apps + failures);
    }
    text
}

/// Lists cases in a log, between two `commands` that fold them.
pub(super) fn list_cases(report: &Report, commands: &[String; 2], printer: Printer) {
    let cases: Vec<_> = report.cases().collect();
    if printer.is_quiet() || cases.is_empty() {
        return;
    }
    let [start, end] = commands;
    printer.command(start);
    for (suite, case) in cases.iter().take(MOST_LISTED) {
        let result = match &case.result {
            CaseResult::Passed => "passed".to_owned(),
            CaseResult::Failed { code, .. } => format!("failed: {code}"),
            CaseResult::Skipped { message } => format!("skipped: {}", one_line(message)),
        };
        printer.note(format!(
            "{}: {}: {result}",
            one_line(&suite.name),
            one_line(&case.name)
        ));
    }
    if cases.len() > MOST_LISTED {
        printer.note(format!("and {} more", cases.len() - MOST_LISTED));
    }
    printer.command(end);
}

fn counted(report: &Report) -> String {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (_, case) in report.cases() {
        match &case.result {
            CaseResult::Passed => passed += 1,
            CaseResult::Failed { .. } => failed += 1,
            CaseResult::Skipped { .. } => skipped += 1,
        }
    }
    format!("{passed} passed, {failed} failed, {skipped} skipped")
}

/// The lines of a table of apps and countries.
fn table(report: &Report) -> Vec<String> {
    let countries: BTreeSet<&str> = report.cases().filter_map(|(_, case)| case.country()).collect();
    let has_others = report.cases().any(|(_, case)| case.country().is_none());
    let others = has_others.then_some("Environments");
    let headings: Vec<&str> = countries.iter().copied().chain(others).collect();
    if headings.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        format!("| App | {} |\n", headings.join(" | ")),
        format!("|---|{}\n", "---|".repeat(headings.len())),
    ];
    for suite in &report.suites {
        let cell = |country: Option<&str>| state(suite.cases.iter().filter(|case| case.country() == country));
        let cells = countries.iter().map(|country| cell(Some(country)));
        let cells: Vec<String> = cells.chain(others.map(|_| cell(None))).collect();
        lines.push(format!("| {} | {} |\n", plain(&suite.name), cells.join(" | ")));
    }
    lines
}

/// What became of several cases, in a cell.
fn state<'c>(cases: impl Iterator<Item = &'c Case>) -> String {
    let (mut all, mut failed, mut skipped) = (0, 0, 0);
    for case in cases {
        all += 1;
        failed += usize::from(matches!(case.result, CaseResult::Failed { .. }));
        skipped += usize::from(matches!(case.result, CaseResult::Skipped { .. }));
    }
    match (all, failed, skipped) {
        (0, _, _) => String::new(),
        (_, 0, 0) => format!("✅ {all}"),
        (_, 0, _) => format!("⚠️ {skipped} of {all} skipped"),
        _ => format!("❌ {failed} of {all} failed"),
    }
}

/// A case that failed, with all that is known of why.
fn failed(case: &Case) -> Option<String> {
    let CaseResult::Failed { code, text, .. } = &case.result else {
        return None;
    };
    let text: String = text.chars().take(LONGEST_TEXT).collect();
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    Some(format!(
        "#### {}: {} ({})\n\n{fence}text\n{text}\n{fence}\n\n",
        plain(&case.classname),
        plain(&case.name),
        plain(code)
    ))
}

/// The most backticks that follow one another.
fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Text that Markdown and HTML make nothing of.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for character in one_line(text).chars() {
        match character {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '@' => plain.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' => {
                plain.push('\\');
                plain.push(character);
            }
            _ => plain.push(character),
        }
    }
    plain
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

#[cfg(test)]
mod tests {
    use super::{super::Suite, *};

    fn case(name: &str, result: CaseResult) -> Case {
        Case {
            name: name.to_owned(),
            classname: "Contoso Sales".to_owned(),
            seconds: None,
            result,
        }
    }

    fn failure(text: &str) -> CaseResult {
        CaseResult::Failed {
            code: "DifferentContent".to_owned(),
            message: text.to_owned(),
            text: text.to_owned(),
        }
    }

    fn report(cases: Vec<Case>) -> Report {
        Report {
            suites: vec![Suite {
                name: "Contoso Sales".to_owned(),
                cases,
            }],
        }
    }

    #[test]
    fn apps_and_countries_come_first() {
        let skipped = CaseResult::Skipped {
            message: "It has a newer one.".to_owned(),
        };
        let cases = vec![
            case("DE 26.1.4.0 upload", failure("It is there.\n````\n<script>")),
            case("US 26.1.4.0 upload", CaseResult::Passed),
            case("US 26.1.4.0 availability", CaseResult::Passed),
            case("contoso-prod hotfix", skipped),
        ];
        insta::assert_snapshot!(markdown(
            &report(cases),
            "fame release",
            Exit::Partial,
            None,
            LIMIT
        ));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let cases =
            (0..5_000).map(|number| case(&format!("contoso-{number} hotfix"), failure(&"word ".repeat(100))));
        let report = report(cases.collect());
        let shown = markdown(
            &report,
            "fame hotfixes wait",
            Exit::HotfixFailed,
            Some(Path::new("fame.xml")),
            LIMIT,
        );
        assert!(shown.len() <= LIMIT, "{}", shown.len());
        let blocks = shown.matches("#### ").count();
        let last = format!("{} more in the JUnit file fame.xml.", 5_000 - blocks);
        assert!(shown.trim_end().ends_with(&last), "{last}");
        assert_eq!(
            markdown(&report, "fame hotfixes wait", Exit::HotfixFailed, None, 100),
            ""
        );
    }

    #[test]
    fn names_are_no_markup() {
        assert_eq!(
            plain("a|b\n[c](d) <b> @e `f`"),
            r"a\|b \[c\]\(d\) &lt;b&gt; &#64;e \`f\`"
        );
    }
}
