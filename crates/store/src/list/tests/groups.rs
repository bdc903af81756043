//! Groups on both databases against counting the plain list.

use super::{
    agreement::made,
    fixture::{FIXTURE, NOW, answered, encoded, expected, query_error, read},
};
use crate::{
    FromRow,
    entity_sets::*,
    list::{
        EntitySet, GroupRequest, Groups, ListRequest, Scope,
        groups::{MOST_GROUPS, groups},
    },
};
use odata::{Limits, Options, OrderBy, QueryError, Resource, Type, Value};
use proptest::prelude::*;
use std::{collections::BTreeMap, fmt::Debug};

fn request<T>(entity_set: &EntitySet<T>, query: &str) -> Result<GroupRequest, QueryError> {
    let options = Options::parse(query, Resource::Collection, true, &Limits::default())?;
    Ok(GroupRequest::bind(entity_set, &options)?.expect("the query asks for groups"))
}

/// What each database makes of a query.
fn answers<T: FromRow>(
    entity_set: &'static EntitySet<T>,
    query: &str,
) -> Vec<(&'static str, Result<Groups, QueryError>)> {
    let request = request(entity_set, query).unwrap_or_else(|error| panic!("{query}: {error}"));
    FIXTURE.runtime.block_on(async {
        let mut answers = Vec::new();
        for (name, db) in &FIXTURE.databases {
            let groups = groups(db, entity_set, Scope::everything(), request.clone(), NOW).await;
            answers.push((*name, groups.map_err(query_error)));
        }
        answers
    })
}

/// The groups as texts, where both databases make the same of a query.
fn shown<T: FromRow>(entity_set: &'static EntitySet<T>, query: &str) -> Vec<String> {
    let text = |value: &Value<'_>| match value {
        Value::Text(text) => text.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Version(version) => version.to_string(),
        other => format!("{other:?}"),
    };
    let mut answers = answers(entity_set, query).into_iter().map(|(_, groups)| {
        let rows = groups.unwrap_or_else(|error| panic!("{query}: {error}")).rows;
        let rows = rows
            .iter()
            .map(|row| row.iter().map(text).collect::<Vec<_>>().join(" "));
        rows.collect::<Vec<_>>()
    });
    let (sqlite, postgres) = (answers.next().unwrap(), answers.next().unwrap());
    assert_eq!(sqlite, postgres, "{query}");
    sqlite
}

/// Chooses what rows are grouped by, and counts the groups of those that a filter leaves by hand.
fn check<T: FromRow + PartialEq + Debug>(entity_set: &'static EntitySet<T>, by: &[u8], choices: &[u8]) {
    let properties = entity_set.schema.properties.iter().enumerate();
    let names: Vec<&str> = properties
        .filter(|(index, property)| matches!(property.ty, Type::Scalar(_)) && !entity_set.is_hidden(*index))
        .map(|(_, property)| property.name.as_str())
        .collect();
    let mut by: Vec<&str> = by
        .iter()
        .map(|choice| names[usize::from(*choice) % names.len()])
        .collect();
    by.sort_unstable();
    by.dedup();
    let filter = made(entity_set, choices);
    let Ok(plain) = read(entity_set, &format!("$filter={}", encoded(&filter))) else {
        return;
    };
    let (_, db) = &FIXTURE.databases[0];
    let all = FIXTURE
        .runtime
        .block_on(answered(db, entity_set, ListRequest::all(entity_set)))
        .unwrap();
    let Ok(rows) = expected(all, entity_set, &plain) else {
        return;
    };
    let terms: Vec<_> = by
        .iter()
        .map(|name| {
            OrderBy::parse(name, &entity_set.schema, &Limits::default())
                .unwrap()
                .terms[0]
        })
        .collect();
    let key = OrderBy { terms };
    let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
    for row in &rows {
        let values = key.values(&entity_set.view(row), &entity_set.schema);
        *wanted.entry(format!("{values:?}")).or_default() += 1;
    }
    let apply = format!(
        "filter({filter})/groupby(({}),aggregate($count as n))",
        by.join(",")
    );
    let query = format!("$count=true&$apply={}", encoded(&apply));
    let schema = request(entity_set, &query).unwrap().schema;
    let key = OrderBy::new(Vec::new(), &schema);
    for (name, groups) in answers(entity_set, &query) {
        if wanted.len() > MOST_GROUPS {
            let refused = groups.expect_err(&apply);
            assert_eq!(
                (refused.code.status(), refused.target.as_str()),
                (400, "$apply"),
                "{name}: {apply}"
            );
            continue;
        }
        let groups = groups.unwrap_or_else(|error| panic!("{name}, {apply}: {error}"));
        assert_eq!(groups.count, Some(wanted.len() as u64), "{name}: {apply}");
        let got: BTreeMap<String, i64> = groups
            .rows
            .iter()
            .map(|row| {
                let Some(Value::Number(number)) = row.last() else {
                    panic!("{row:?}")
                };
                (
                    format!("{:?}", key.values(row, &schema)),
                    number.to_i64().unwrap(),
                )
            })
            .collect();
        assert_eq!(got, wanted, "{name}: {apply}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_count_what_the_list_has(
        by in prop::collection::vec(any::<u8>(), 1..4),
        choices in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        check(&ENVIRONMENTS, &by, &choices);
        check(&HOTFIXES, &by, &choices);
        check(&VERSIONS, &by, &choices);
        check(&UPLOADED_VERSIONS, &by, &choices);
        check(&REGISTERED_ENVIRONMENTS, &by, &choices);
        check(&PRINCIPALS, &by, &choices);
        check(&OPERATIONS, &by, &choices);
        check(&AUDIT, &by, &choices);
    }
}

/// The number of versions that an environment is behind, counted by hand.
#[test]
fn behind_counts_newer_versions_of_the_line() {
    FIXTURE.runtime.block_on(async {
        for (name, db) in &FIXTURE.databases {
            let entries = answered(db, &ENVIRONMENTS, ListRequest::all(&ENVIRONMENTS))
                .await
                .unwrap();
            let versions = answered(db, &VERSIONS, ListRequest::all(&VERSIONS))
                .await
                .unwrap();
            for entry in &entries {
                let own = &entry.installation;
                let newer = versions.iter().filter(|version| {
                    (version.app_id, version.country_code) == (own.app_id, own.country_code)
                        && version.version > own.version
                        && version.version.same_line(own.version)
                        && version.availability == domain::version::Availability::Available
                        && version.status == domain::version::VersionStatus::Uploaded
                });
                assert_eq!(entry.behind, Some(newer.count() as u32), "{name}: {own:?}");
            }
            assert!(
                entries.iter().any(|entry| entry.behind > Some(0)),
                "{name}: nobody is behind"
            );
        }
    });
}

#[test]
fn nobody_counts_who_does_not_look() {
    let without = read(&ENVIRONMENTS, "").unwrap();
    assert!(without.without_bulk);
    for query in ["$select=behind", "$filter=behind gt 0", "$orderby=behind desc"] {
        assert!(!read(&ENVIRONMENTS, query).unwrap().without_bulk, "{query}");
    }
}

#[test]
fn what_follows_is_about_the_groups() {
    let all = shown(&HOTFIXES, "$apply=groupby((status),aggregate($count as n))");
    assert!(all.len() > 2, "{all:?}");
    assert!(all.is_sorted(), "in the order of the key: {all:?}");
    let number = |row: &String| row.rsplit(' ').next().unwrap().parse::<i64>().unwrap();
    let most = all.iter().map(number).max().unwrap();
    let query = |rest: &str| format!("$apply=groupby((status),aggregate($count as n))&{rest}");
    let fewer: Vec<_> = all.iter().filter(|row| number(row) < most).cloned().collect();
    assert_eq!(shown(&HOTFIXES, &query(&format!("$filter=n lt {most}"))), fewer);
    let mut descending = all.clone();
    descending.sort_by_key(|row| std::cmp::Reverse(number(row)));
    assert_eq!(shown(&HOTFIXES, &query("$orderby=n desc")), descending);
    assert_eq!(shown(&HOTFIXES, &query("$skip=1&$top=1")), all[1..2]);
    for (name, groups) in answers(&HOTFIXES, &query("$skip=1&$top=1&$count=true")) {
        assert_eq!(groups.unwrap().count, Some(all.len() as u64), "{name}");
    }
}

#[test]
fn what_groups_do_not_have_is_refused() {
    let refused = |query: &str| {
        let error = request(&HOTFIXES, query).unwrap_err();
        (error.code.status(), error.target)
    };
    let apply = "$apply=groupby((status),aggregate($count as n))";
    for (rest, wanted) in [
        ("$filter=createdOn lt now()", (400, "$filter")),
        ("$orderby=createdOn", (400, "$orderby")),
        ("$select=status", (400, "$select")),
        ("$skiptoken=x", (400, "$skiptoken")),
    ] {
        let (status, target) = refused(&format!("{apply}&{rest}"));
        assert_eq!((status, target.as_str()), wanted, "{rest}");
    }
    for apply in ["groupby((waitingFor))", "groupby((expectedStart))"] {
        assert_eq!(
            refused(&format!("$apply={apply}")),
            (400, "$apply".to_owned()),
            "{apply}"
        );
    }
    let filtered = refused("$apply=filter(waitingFor eq 'Slot')/groupby((status))");
    assert_eq!(filtered, (400, "$apply".to_owned()));
    let rows = read(&HOTFIXES, apply).unwrap_err();
    assert_eq!(rows.code.status(), 501, "a list that has rows alone says so");
}

#[test]
fn there_are_not_too_many_groups() {
    for (name, groups) in answers(
        &ENVIRONMENTS,
        "$apply=groupby((aadTenantId,name,applicationFamily))",
    ) {
        let refused = groups.expect_err(name);
        assert!(
            refused.message.contains("more than 20 groups"),
            "{name}: {refused}"
        );
    }
}
