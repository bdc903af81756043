//! How SQLite goes about the lists that are asked for all the time: along an index, from the page's first row to its
//! last, sorting nothing.

use super::{
    fixture::{FIXTURE, NOW, encoded, read},
    rows::id,
};
use crate::{
    FromRow, Row, StoreError,
    entity_sets::*,
    list::{
        EntitySet, Scope,
        order::SqlOrder,
        statement::{Range, Statement},
    },
    principals::PrincipalRef,
};
use domain::{country::CountryCode, ids::AppId, principal::CallerKind};
use odata::{Guid, SkipToken};

/// A line of `EXPLAIN QUERY PLAN`.
struct Step(String);

impl FromRow for Step {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self(row.get(3)?))
    }
}

fn of_app_and_country() -> Scope {
    let principal = PrincipalRef {
        kind: CallerKind::User,
        first: id(0),
        second: id(0),
        tenant: None,
    };
    Scope::in_country(principal, AppId(id(0)), CountryCode::parse("US", true).unwrap())
}

/// The plan for a list, continued behind a row if there is a token.
fn plan<T: FromRow>(
    entity_set: &'static EntitySet<T>,
    scope: Scope,
    query: &str,
    token: Option<SkipToken>,
) -> String {
    let request = read(entity_set, query).unwrap();
    let (_, db) = &FIXTURE.databases[0];
    let order = SqlOrder::new(&request.order, &entity_set.mappings).unwrap();
    let behind = token.map(|token| order.behind(&token).unwrap());
    let statement = Statement::new(db, entity_set, scope, request.filter.as_ref(), NOW);
    let range = Range {
        behind,
        order: Some(order.clause()),
        skip: 0,
        limit: Some(100),
    };
    let (sql, values) = statement.select(range);
    let query = db.query(format!("EXPLAIN QUERY PLAN {sql}")).bind_all(values);
    let steps = FIXTURE.runtime.block_on(query.fetch_all::<Step>()).unwrap();
    steps.into_iter().map(|Step(step)| step + "\n").collect()
}

fn assert_walks(plan: &str, index: &str) {
    assert!(plan.contains(index), "does not use {index}:\n{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "sorts:\n{plan}");
}

#[test]
fn environments_of_a_version_come_straight_from_the_index() {
    let filter = format!(
        "$filter={}",
        encoded("version eq '16.0.9.0' and type eq 'Production'")
    );
    assert_walks(
        &plan(&ENVIRONMENTS, of_app_and_country(), &filter, None),
        "installations_by_version",
    );
    assert_walks(
        &plan(&ENVIRONMENTS, of_app_and_country(), "", None),
        "installations_in_order",
    );
    let by_version = plan(&ENVIRONMENTS, of_app_and_country(), "$orderby=version", None);
    assert_walks(&by_version, "installations_by_version");
    let sandboxes = format!("$filter={}", encoded("type eq 'Sandbox'"));
    assert_walks(
        &plan(&ENVIRONMENTS, of_app_and_country(), &sandboxes, None),
        "installations_in_order",
    );
}

#[test]
fn environments_of_a_name_come_straight_from_the_index() {
    for name in ["name eq 'Contoso'", "name eq 'Contoso' and type eq 'Production'"] {
        let filter = format!("$filter={}", encoded(name));
        let plan = plan(&ENVIRONMENTS, of_app_and_country(), &filter, None);
        assert_walks(&plan, "installations_by_name");
        assert!(plan.contains("name_key=?"), "{plan}");
    }
}

#[test]
fn a_later_page_begins_where_the_one_before_ended() {
    let tenant = odata::Value::Guid(Guid(7));
    let values = vec![tenant, "contoso".into(), "businesscentral".into()];
    let token = SkipToken {
        values,
        remaining_top: None,
    };
    let plan = plan(&ENVIRONMENTS, of_app_and_country(), "", Some(token));
    assert_walks(&plan, "installations_in_order");
    assert!(plan.contains("(tenant_id,name_key,family_key)>(?,?,?)"), "{plan}");
}

#[test]
fn hotfixes_come_newest_first_without_sorting() {
    assert_walks(
        &plan(&HOTFIXES, of_app_and_country(), "", None),
        "operations_newest",
    );
    let values = vec![
        odata::Value::Instant(odata::Instant::from_ticks(5)),
        odata::Value::Guid(Guid(1)),
    ];
    let token = SkipToken {
        values,
        remaining_top: None,
    };
    let later = plan(&HOTFIXES, of_app_and_country(), "", Some(token));
    assert_walks(&later, "operations_newest");
    assert!(later.contains("created_on<?"), "{later}");
    let of_target = format!("$filter={}", encoded("targetAppVersion eq '16.0.9.0'"));
    assert_walks(
        &plan(&HOTFIXES, of_app_and_country(), &of_target, None),
        "operations_by_target",
    );
}

#[test]
fn versions_and_the_operators_lists_walk_their_indexes() {
    let countries = Scope::in_app(
        PrincipalRef {
            kind: CallerKind::User,
            first: id(0),
            second: id(0),
            tenant: None,
        },
        AppId(id(0)),
    );
    assert_walks(&plan(&COUNTRIES, countries.clone(), "", None), "countries");
    assert_walks(&plan(&PRINCIPALS, countries, "", None), "principals");
    assert_walks(&plan(&VERSIONS, of_app_and_country(), "", None), "version");
    let line = format!("$filter={}", encoded("majorVersion eq 16 and minorVersion eq 0"));
    assert_walks(
        &plan(&VERSIONS, of_app_and_country(), &line, None),
        "versions_by_line",
    );
    assert_walks(
        &plan(&OPERATIONS, Scope::everything(), "", None),
        "operations_of_all",
    );
    assert_walks(&plan(&AUDIT, Scope::everything(), "", None), "audit_newest");
    assert_walks(
        &plan(&REGISTERED_ENVIRONMENTS, Scope::everything(), "", None),
        "environments",
    );
}
