//! No input overflows the stack or takes long: everything runs on a thread with a quarter of a megabyte.

use crate::shop::{bind, row, schema};
use odata::*;
use std::time::{Duration as StdDuration, Instant as StdInstant};

const TERMS: usize = 100_000;

fn unlimited() -> Limits {
    let mut limits = Limits::default();
    limits.bytes = usize::MAX;
    limits.depth = usize::MAX;
    limits.lambda_depth = usize::MAX;
    limits.nodes = usize::MAX;
    limits.list_items = usize::MAX;
    limits.pattern_bytes = 1024;
    limits.patterns = usize::MAX;
    limits
}

/// Parses, binds, evaluates and drops without limits, on a small stack.
fn survive(text: String) -> Result<bool, String> {
    let work = move || {
        let limits = unlimited();
        let ast = parse_filter(&text, &limits).map_err(|error| error.message)?;
        let filter =
            bind_filter(&ast, &schema(), &Aliases::default(), &limits).map_err(|error| error.message)?;
        drop(ast.clone());
        let row = row(vec![("tags", Value::List(vec![Value::text("a")]))]);
        filter
            .matches(&row, Instant::from_ticks(0))
            .map_err(|error| error.to_string())
    };
    let thread = std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(work)
        .expect("a thread");
    thread.join().expect("no panic")
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn hundred_thousand_terms_do_not_recurse() {
    for (text, expected) in [
        (vec!["true"; TERMS].join(" and "), Ok(true)),
        (vec!["false"; TERMS].join(" or "), Ok(false)),
        (vec!["true or false"; TERMS / 2].join(" and "), Ok(true)),
        (vec!["true"; TERMS].join(" eq "), Ok(true)),
        (format!("{} eq {TERMS}", vec!["1"; TERMS].join(" add ")), Ok(true)),
        (format!("stock in ({})", vec!["1"; TERMS].join(",")), Ok(false)),
        (nested("(", "true", ")", TERMS), Ok(true)),
        (nested("not ", "true", "", TERMS), Ok(true)),
        (nested("not(", "true", ")", TERMS), Ok(true)),
        (nested("- ", "1 lt 0", "", TERMS), Ok(false)),
        (nested("true and (", "true", ")", TERMS), Ok(true)),
        (nested("true eq (false or ", "true", ")", TERMS), Ok(true)),
        (nested("tolower(", "'A'", ")", TERMS) + " eq 'a'", Ok(true)),
        (nested("tags/any(t:", "true", ")", 2_000), Ok(true)),
    ] {
        let shown: String = text.chars().take(40).collect();
        assert_eq!(survive(text), expected, "{shown}");
    }
}

#[test]
fn unfinished_input_does_not_recurse_either() {
    for text in [
        "(".repeat(TERMS),
        "not ".repeat(TERMS),
        "-".repeat(TERMS),
        "contains(".repeat(TERMS),
        "tags/any(t:".repeat(2_000),
        "true and ".repeat(TERMS),
        "stock in (".to_string() + &"1,".repeat(TERMS),
        "a/".repeat(TERMS),
        "a.".repeat(TERMS),
        "'".repeat(TERMS + 1),
        "1".repeat(TERMS) + "x",
        ")".repeat(TERMS),
    ] {
        let shown: String = text.chars().take(20).collect();
        assert!(survive(text).is_err(), "{shown}");
    }
}

#[test]
fn over_a_limit_the_answer_is_quick() {
    let started = StdInstant::now();
    for text in [
        nested("(", "true", ")", 1_000),
        nested("not ", "true", "", 1_000),
        nested("tags/any(t:", "true", ")", 100),
        vec!["1 eq 1"; 700].join(" or "),
        vec!["1"; 1_100].join(" add ") + " gt 0",
        format!("stock in ({})", vec!["1"; 1_001].join(",")),
        format!("title eq '{}'", "x".repeat(1_000_000)),
        "(".repeat(1_000_000),
        format!("matchesPattern(title,'{}')", "(a{1000})".repeat(100)),
        ["matchesPattern(title,'x')"; 5].join(" or "),
    ] {
        let shown: String = text.chars().take(20).collect();
        let error = bind(&text).map(|_| ()).expect_err(&shown);
        assert_eq!(error.code, ErrorCode::InvalidFilter, "{shown}: {error}");
    }
    assert!(
        started.elapsed() < StdDuration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn within_the_limits_everything_is_accepted() {
    for text in [
        nested("(", "true", ")", 200),
        nested("not ", "true", "", 200),
        vec!["true"; 900].join(" and "),
        vec!["1"; 900].join(" add ") + " gt 0",
        format!("stock in ({})", vec!["1"; 1_000].join(",")),
        nested("tags/any(t:", "true", ")", 3),
    ] {
        let shown: String = text.chars().take(20).collect();
        assert!(bind(&text).is_ok(), "{shown}");
    }
}
