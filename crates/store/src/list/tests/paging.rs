//! `$orderby`, `$top`, `$skip` and pages: whatever the order, pages put together are the list.

use super::fixture::{
    FIXTURE, NOW, agree, answered, collected, encoded, expected, query_error, read, read_page, whole,
};
use crate::{
    Db, FromRow,
    entity_sets::*,
    list::{
        EntitySet, ListError, ListRequest, Scope, count_only, list, sorted, statement::Statement,
        work::Budget,
    },
};
use futures::{FutureExt, TryStreamExt};
use proptest::prelude::*;
use std::{fmt::Debug, sync::Arc, time::Duration};
use uuid::Uuid;

/// All pages of a list, each with the rows that it has.
async fn pages<T: FromRow>(
    db: &Db,
    entity_set: &'static EntitySet<T>,
    query: &str,
    size: u32,
    in_portions: bool,
) -> Vec<Vec<T>> {
    let mut pages = Vec::new();
    let mut query = query.to_owned();
    loop {
        let request = whole(read_page(entity_set, "/list", &query, Some(size)).unwrap());
        let request = ListRequest {
            in_portions,
            without_bulk: false,
            ..request
        };
        let mut page = list(db, entity_set, Scope::everything(), request, NOW)
            .await
            .unwrap();
        pages.push(collected(&mut page).await.unwrap());
        match page.next_token() {
            Some(token) => query = odata::next_link_query(&query, token),
            None => return pages,
        }
    }
}

fn check_pages<T: FromRow + PartialEq + Debug>(entity_set: &'static EntitySet<T>, query: &str, size: u32) {
    agree(entity_set, &without_bounds(query));
    let request = whole(read(entity_set, query).unwrap());
    FIXTURE.runtime.block_on(async {
        for (name, db) in &FIXTURE.databases {
            let all = answered(db, entity_set, ListRequest::all(entity_set))
                .await
                .unwrap();
            let wanted: Vec<T> = expected(all, entity_set, &request)
                .unwrap()
                .into_iter()
                .skip(request.skip as usize)
                .take(request.top.map_or(usize::MAX, |top| top as usize))
                .collect();
            for in_portions in [false, true] {
                let pages = pages(db, entity_set, query, size, in_portions).await;
                let (last, others) = pages.split_last().unwrap();
                assert!(
                    others.iter().all(|page| page.len() == size as usize),
                    "{name}: {query}"
                );
                assert!(
                    !last.is_empty() || others.is_empty(),
                    "{name}: a link led to nothing: {query}"
                );
                let got: Vec<T> = pages.into_iter().flatten().collect();
                assert_eq!(got, wanted, "{name}, by {size}: {query}");
                let request = ListRequest {
                    in_portions,
                    without_bulk: false,
                    ..request.clone()
                };
                assert_eq!(
                    answered(db, entity_set, request).await.unwrap(),
                    wanted,
                    "{name}, whole: {query}"
                );
            }
        }
    });
}

fn without_bounds(query: &str) -> String {
    let kept = query
        .split('&')
        .filter(|option| !option.starts_with("$top") && !option.starts_with("$skip"));
    kept.collect::<Vec<_>>().join("&")
}

#[test]
fn without_a_wish_lists_come_as_documented() {
    for query in ["", "$top=5", "$skip=7", "$top=9&$skip=3", "$top=0", "$skip=1000"] {
        check_pages(&APPS, query, 3);
        check_pages(&COUNTRIES, query, 3);
        check_pages(&PRINCIPALS, query, 3);
        check_pages(&VERSIONS, query, 3);
        check_pages(&ENVIRONMENTS, query, 3);
        check_pages(&HOTFIXES, query, 3);
        check_pages(&REGISTERED_APPS, query, 3);
        check_pages(&REGISTERED_ENVIRONMENTS, query, 3);
        check_pages(&OPERATIONS, query, 3);
        check_pages(&AUDIT, query, 3);
    }
}

#[test]
fn nulls_and_ties_do_not_break_pages() {
    for order in [
        "startedOn",
        "startedOn desc",
        "startedOn,completedOn desc",
        "completedOn desc,startedOn",
        "errorMessage,status desc,createdOn",
        "errorMessage desc,startedOn desc,completedOn desc",
        "ignoreUpgradeWindow desc,environmentType",
        "tolower(environmentType) desc,tolower(sourceAppVersion)",
        "tolower(environmentName),targetAppVersion desc",
        "environmentName desc",
        "environmentApplicationFamily,environmentName desc",
    ] {
        check_pages(&HOTFIXES, &format!("$orderby={}", encoded(order)), 4);
    }
    check_pages(&PRINCIPALS, "$orderby=roles/$count%20desc,aadTenantId", 2);
    check_pages(&VERSIONS, "$orderby=dependencies/$count%20desc,status", 2);
    check_pages(&VERSIONS, "$orderby=dependencies/$count&$top=5&$skip=2", 2);
    check_pages(
        &REGISTERED_ENVIRONMENTS,
        "$orderby=applicationVersion%20desc,type&$top=11",
        4,
    );
}

#[test]
fn what_only_the_memory_decides_is_skipped_and_counted_there() {
    let filter = encoded("matchesPattern(name,'[a-z]') and type eq 'Sandbox'");
    for bounds in [
        "",
        "&$top=3",
        "&$skip=2&$top=4",
        "&$orderby=tolower(name)%20desc&$skip=1",
    ] {
        check_pages(&ENVIRONMENTS, &format!("$filter={filter}{bounds}"), 2);
    }
}

#[test]
fn the_count_knows_nothing_of_bounds_and_pages() {
    for filter in ["type eq 'Sandbox'", "matchesPattern(name,'[a-z]')"] {
        let query = format!("$filter={}&$count=true&$top=2&$skip=1", encoded(filter));
        let request = read_page(&ENVIRONMENTS, "/list", &query, Some(1)).unwrap();
        for (name, db) in &FIXTURE.databases {
            FIXTURE.runtime.block_on(async {
                let page = list(db, &ENVIRONMENTS, Scope::everything(), request.clone(), NOW)
                    .await
                    .unwrap();
                let counted = count_only(db, &ENVIRONMENTS, Scope::everything(), &request, NOW)
                    .await
                    .unwrap();
                assert_eq!(page.count, Some(counted), "{name}");
                assert!(counted > 2, "{name}");
            });
        }
    }
}

#[test]
fn a_token_of_another_query_is_refused() {
    let first = read_page(&ENVIRONMENTS, "/list", "$orderby=version", Some(2)).unwrap();
    let (_, db) = &FIXTURE.databases[0];
    let token = FIXTURE.runtime.block_on(async {
        let mut page = list(db, &ENVIRONMENTS, Scope::everything(), first, NOW)
            .await
            .unwrap();
        collected(&mut page).await.unwrap();
        page.next_token().unwrap().to_owned()
    });
    let other = |path: &str, query: &str| {
        let query = odata::next_link_query(query, &token);
        read_page(&ENVIRONMENTS, path, &query, Some(2)).map(drop)
    };
    assert!(other("/list", "$orderby=version").is_ok());
    assert!(other("/list", "$orderby=version%20desc").is_err());
    assert!(other("/another", "$orderby=version").is_err());
    assert!(other("/list", "$orderby=version&$filter=true").is_err());
}

#[test]
fn a_token_with_what_no_column_holds_is_refused_and_no_fault() {
    let mut request = read(&HOTFIXES, "").unwrap();
    let id = odata::Value::Guid(odata::Guid(1));
    for value in [odata::Value::Null, odata::Value::Instant(odata::Instant::MIN)] {
        request.after = Some(odata::SkipToken {
            values: vec![value, id.clone()],
            remaining_top: None,
        });
        for (name, db) in &FIXTURE.databases {
            let outcome =
                FIXTURE
                    .runtime
                    .block_on(list(db, &HOTFIXES, Scope::everything(), request.clone(), NOW));
            assert!(matches!(outcome, Err(ListError::Query(_)) | Ok(_)), "{name}");
        }
    }
}

#[test]
fn an_order_in_memory_keeps_few_rows_or_refuses() {
    let request = read(&HOTFIXES, "$orderby=tolower(environmentName)").unwrap();
    for (name, db) in &FIXTURE.databases {
        FIXTURE.runtime.block_on(async {
            let statement = Arc::new(Statement::new(db, &HOTFIXES, Scope::everything(), None, NOW));
            let sorted =
                |limit, capacity| sorted::rows(db, &statement, &request.order, None, limit, capacity);
            let all: Vec<_> = sorted(None, 1000).await.unwrap().try_concat().await.unwrap();
            assert!(all.len() > 16, "{name}");
            let first = sorted(Some(5), 12).await.unwrap().try_concat().await.unwrap();
            assert_eq!(first, all[..5], "{name}");
            for most in [None, Some(1000)] {
                let refused = sorted(most, 12).await.err().unwrap();
                assert_eq!(query_error(refused).target, "$orderby", "{name}");
            }
        });
    }
}

/// Until the last row has been taken, what a sort keeps counts among what all of them may keep.
#[test]
fn an_order_in_memory_holds_its_part_of_it_until_its_rows_are_sent() {
    let request = read(&HOTFIXES, "$orderby=tolower(environmentName)").unwrap();
    for (name, db) in &FIXTURE.databases {
        FIXTURE.runtime.block_on(async {
            let somebody = Some(Uuid::new_v4());
            let scope = || Scope {
                holder: somebody,
                ..Scope::everything()
            };
            let mut pages = Vec::new();
            for _ in 0..db.sorts().each() {
                let mut page = list(db, &HOTFIXES, scope(), request.clone(), NOW).await.unwrap();
                assert!(page.next().await.unwrap().is_some(), "{name}");
                pages.push(page);
            }
            let one_more = list(db, &HOTFIXES, scope(), request.clone(), NOW);
            assert!(
                one_more.now_or_never().is_none(),
                "{name}: it waits for the others"
            );
            let free = db.sorts().free();
            pages.pop();
            assert!(db.sorts().free() > free, "{name}");
            assert!(
                list(db, &HOTFIXES, scope(), request.clone(), NOW).await.is_ok(),
                "{name}"
            );
        });
    }
}

/// Properties to sort hotfixes by.
const ORDERS: [&str; 12] = [
    "id",
    "status",
    "startedOn",
    "completedOn",
    "errorMessage",
    "createdOn",
    "ignoreUpgradeWindow",
    "environmentName",
    "sourceAppVersion",
    "environmentType",
    "tolower(status)",
    "tolower(errorMessage)",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn pages_put_together_are_the_list(
        terms in prop::collection::vec((0..ORDERS.len(), any::<bool>()), 1..4),
        size in 1u32..12,
        top in prop::option::of(0u64..40),
        skip in prop::option::of(0u64..12),
    ) {
        let terms: Vec<String> = terms
            .into_iter()
            .map(|(term, descending)| format!("{} {}", ORDERS[term], if descending { "desc" } else { "asc" }))
            .collect();
        let mut query = format!("$orderby={}", encoded(&terms.join(",")));
        if let Some(top) = top {
            query.push_str(&format!("&$top={top}"));
        }
        if let Some(skip) = skip {
            query.push_str(&format!("&$skip={skip}"));
        }
        check_pages(&HOTFIXES, &query, size);
    }
}

#[test]
fn what_memory_decides_row_by_row_comes_to_an_end() {
    let few = Budget {
        rows: 10,
        time: Duration::from_secs(3_600),
    };
    for query in [
        "$filter=matchesPattern(environmentName,'nothing')",
        "$orderby=tolower(errorMessage)",
    ] {
        let request = read(&HOTFIXES, query).unwrap();
        FIXTURE.runtime.block_on(async {
            for (name, db) in &FIXTURE.databases {
                let statement =
                    Statement::new(db, &HOTFIXES, Scope::everything(), request.filter.as_ref(), NOW);
                let statement = Arc::new(statement.with_budget(few));
                let refused = match request.filter {
                    Some(_) => statement.count(db).await.err(),
                    None => sorted::rows(db, &statement, &request.order, None, None, sorted::CAPACITY)
                        .await
                        .err(),
                };
                let Some(ListError::Query(refused)) = refused else {
                    panic!("{name}: {query} is not given up");
                };
                assert_eq!(refused.target, query.split('=').next().unwrap());
                assert!(refused.message.contains("row by row"), "{refused:?}");
            }
        });
    }
}
