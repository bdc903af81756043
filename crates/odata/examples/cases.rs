//! Runs a file of filter cases against the parser and binder, and a file of generated attacks against the limits.
//!
//! ```text
//! cargo run -p odata --example cases -- CASES.json MODEL.json STRESS.json
//! ```
//!
//! Cases are `{id, input, raw?, valid, tier, fail_at?}`, the model is `{properties: {name: Edm type}}`, attacks are
//! `{generate, n}`. Cases of the tier `opt` may be refused either way; they are listed, not counted as mismatches.

#![allow(clippy::print_stdout)]

use odata::*;
use serde_json::Value as Json;
use std::time::{Duration as StdDuration, Instant as StdInstant};

static PATTERN: Enumeration = Enumeration {
    name: "Sales.Pattern",
    members: &[("Solid", 1), ("Yellow", 4)],
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let [cases, model, stress] = files.as_slice() else {
        return Err("usage: cases CASES.json MODEL.json STRESS.json".into());
    };
    let schema = read_model(&read_json(model)?)?;
    let mismatches = check_cases(&read_json(cases)?, &schema)? + check_stress(&read_json(stress)?, &schema)?;
    if mismatches > 0 {
        return Err(format!("{mismatches} mismatches").into());
    }
    Ok(())
}

fn read_json(path: &str) -> Result<Json, Failure> {
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

fn read_model(model: &Json) -> Result<Schema, Failure> {
    let properties = model["properties"]
        .as_object()
        .ok_or("the model has no properties")?;
    let mut bound = Vec::new();
    for (name, ty) in properties {
        bound.push(Property::new(name, read_type(ty.as_str().unwrap_or(""))?).nullable());
    }
    Ok(Schema::new("item", bound, &["ID"]))
}

fn read_type(name: &str) -> Result<Type, Failure> {
    let scalar = match name {
        "Edm.String" => Scalar::String,
        "Edm.Int32" => Scalar::Int,
        "Edm.Decimal" => Scalar::Decimal,
        "Edm.Boolean" => Scalar::Boolean,
        "Edm.DateTimeOffset" => Scalar::DateTimeOffset,
        "Edm.Duration" => Scalar::Duration,
        "Edm.Guid" => Scalar::Guid,
        "Sales.Pattern" => Scalar::Enumeration(&PATTERN),
        "Collection(Edm.String)" => return Ok(Type::Collection(Scalar::String)),
        other => return Err(format!("unknown type {other}").into()),
    };
    Ok(Type::Scalar(scalar))
}

fn accept(text: &str, schema: &Schema) -> Result<(), QueryError> {
    let limits = Limits::default();
    let ast = parse_filter(text, &limits)?;
    bind_filter(&ast, schema, &Aliases::default(), &limits)?;
    Ok(())
}

/// A case may carry its raw form; then the decoding is checked too.
fn run_case(case: &Json, schema: &Schema) -> Result<(), QueryError> {
    let input = case["input"].as_str().unwrap_or("");
    let Some(raw) = case["raw"].as_str() else {
        return accept(input, schema);
    };
    let query = format!("$filter={raw}");
    let options = Options::parse(&query, Resource::Collection, true, &Limits::default())?;
    accept(options.filter.as_deref().unwrap_or(""), schema)
}

fn check_cases(cases: &Json, schema: &Schema) -> Result<usize, Failure> {
    let cases = cases.as_array().ok_or("the cases are no array")?;
    let (mut agree, mut optional, mut mismatches) = (0, 0, 0);
    for case in cases {
        let result = run_case(case, schema);
        let is_agreed = case["valid"].as_bool() == Some(result.is_ok());
        let shown = match &result {
            Ok(()) => "accepted".to_string(),
            Err(error) => error.to_string(),
        };
        let (id, input) = (
            case["id"].as_str().unwrap_or("?"),
            case["input"].as_str().unwrap_or("?"),
        );
        let label = match (is_agreed, case["tier"].as_str()) {
            (true, _) => "agree",
            (false, Some("opt")) => "OPTIONAL",
            (false, _) => "MISMATCH",
        };
        agree += usize::from(label == "agree");
        optional += usize::from(label == "OPTIONAL");
        mismatches += usize::from(label == "MISMATCH");
        if label != "agree" || result.is_err() {
            println!("{label:9}{id} {input:?} -> {shown}");
        }
    }
    println!(
        "cases: {} of {} agree, {optional} optional ones differ, {mismatches} mismatch",
        agree,
        cases.len()
    );
    Ok(mismatches)
}

fn check_stress(attacks: &Json, schema: &Schema) -> Result<usize, Failure> {
    let attacks = attacks.as_array().ok_or("the attacks are no array")?;
    let mut mismatches = 0;
    for attack in attacks {
        let rule = attack["generate"].as_str().ok_or("an attack has no rule")?;
        for n in attack["n"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_u64)
            .filter_map(|n| usize::try_from(n).ok())
        {
            let Some(text) = generate(rule, n) else {
                mismatches += 1;
                println!("MISMATCH unknown rule {rule}");
                continue;
            };
            let started = StdInstant::now();
            let result = accept(&text, schema);
            let took = started.elapsed();
            let is_too_slow = took > StdDuration::from_millis(100);
            mismatches += usize::from(is_too_slow);
            let shown = result.map_or_else(|error| error.to_string(), |()| "accepted".into());
            println!(
                "{}{rule} n={n}: {took:?} {shown}",
                if is_too_slow { "MISMATCH " } else { "" }
            );
        }
    }
    Ok(mismatches)
}

/// The attacks' rules are Python expressions; these are the known ones.
fn generate(rule: &str, n: usize) -> Option<String> {
    Some(match rule {
        "'('*n + 'true' + ')'*n" => format!("{}true{}", "(".repeat(n), ")".repeat(n)),
        "'not '*n + 'true'" => format!("{}true", "not ".repeat(n)),
        "'-'*n + '1 lt 0'" => format!("{}1 lt 0", "-".repeat(n)),
        "' and '.join(['true']*n)" => vec!["true"; n].join(" and "),
        "' eq '.join(['true']*n)" => vec!["true"; n].join(" eq "),
        "'name in (' + ','.join(\"'a'\" for _ in range(n)) + ')'" => {
            format!("name in ({})", vec!["'a'"; n].join(","))
        }
        "'concat('*n + \"'a'\" + \",'b')\"*n + \" eq 'a'\"" => {
            format!("{}'a'{} eq 'a'", "concat(".repeat(n), ",'b')".repeat(n))
        }
        "\"name eq '\" + 'x'*n + \"'\"" => format!("name eq '{}'", "x".repeat(n)),
        "'roles/any(a:'*n + 'true' + ')'*n" => format!("{}true{}", "roles/any(a:".repeat(n), ")".repeat(n)),
        _ => return None,
    })
}
