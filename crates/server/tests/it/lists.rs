//! Lists: filtered, ordered, counted, paged; whole unless pages are asked for.

use crate::harness::{
    APP, Answer, Backend, CUSTOMER, Caller, Environment, Harness, LIBRARY, Request, country_path,
    on_both_databases, package, package_needing_library,
};
use flate2::read::GzDecoder;
use futures::future::join_all;
use serde_json::{Value, json};
use std::io::Read as _;
use uuid::Uuid;

on_both_databases!(
    versions_compare_by_number_with_every_operator,
    functions_see_a_version_as_text,
    closed_words_and_keys_compare_without_case,
    filters_reach_into_dependencies,
    three_valued_logic_keeps_only_what_is_true,
    the_dollar_sign_may_be_left_out,
    a_wrong_filter_says_where,
    wrong_options_are_named,
    what_is_not_supported_says_so,
    rows_are_ordered_as_asked,
    top_skip_and_count_work_together,
    a_selection_keeps_the_keys,
    pages_are_sent_only_on_request,
    pages_survive_changes_and_refuse_other_queries,
    a_link_goes_on_after_its_plus_signs_were_encoded_anew,
    a_long_list_arrives_whole,
    hotfixes_come_newest_first,
    an_empty_list_is_a_list,
    custom_options_are_ignored,
    a_costly_filter_holds_nobody_up,
);

fn versions() -> String {
    country_path(APP, "US", "versions")
}

async fn with_versions(backend: Backend, versions: &[&str]) -> Harness {
    let service = Harness::start(backend).await;
    for version in versions {
        service.owner().has_uploaded(version).await;
    }
    service
}

async fn found(service: &Harness, query: &str) -> Vec<String> {
    service
        .reader()
        .get(format!("{}?{query}", versions()))
        .await
        .expect(200)
        .column("version")
}

async fn versions_compare_by_number_with_every_operator(backend: Backend) {
    let service = with_versions(backend, &["16.0.9.0", "16.0.10.0", "9.1.0.0"]).await;
    let cases: [(&str, &[&str]); 9] = [
        ("version lt '16.0.10.0'", &["9.1.0.0", "16.0.9.0"]),
        ("version le '16.0.10'", &["9.1.0.0", "16.0.9.0", "16.0.10.0"]),
        ("version gt '16.0.9'", &["16.0.10.0"]),
        ("version ge '16.0.9'", &["16.0.9.0", "16.0.10.0"]),
        ("version eq '16.00.010.0'", &["16.0.10.0"]),
        ("version ne '9.1'", &["16.0.9.0", "16.0.10.0"]),
        ("version in ('9.1','16.0.9.0','1.0')", &["9.1.0.0", "16.0.9.0"]),
        ("'16.0.9.0' lt version", &["16.0.10.0"]),
        (
            "MajorVersion eq 16 and MinorVersion eq 0",
            &["16.0.9.0", "16.0.10.0"],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(
            found(&service, &format!("$filter={filter}")).await,
            expected,
            "{filter}"
        );
    }
    assert_eq!(
        found(&service, "$orderby=version desc").await,
        ["16.0.10.0", "16.0.9.0", "9.1.0.0"]
    );
    for wrong in ["version eq 'latest'", "version gt '1.2.3.4.5'", "version eq 16"] {
        let path = format!("{}?$filter={wrong}", versions());
        service.reader().get(path).await.refused(400, "InvalidFilter");
    }
}

async fn functions_see_a_version_as_text(backend: Backend) {
    let service = with_versions(backend, &["16.0.9.0", "16.0.10.0", "9.16.0.0"]).await;
    assert_eq!(
        found(&service, "$filter=startswith(version,'16.0.1')").await,
        ["16.0.10.0"]
    );
    assert_eq!(found(&service, "$filter=contains(version,'16')").await.len(), 3);
    assert_eq!(
        found(&service, "$filter=length(version) eq 9").await,
        ["16.0.10.0"]
    );
    assert_eq!(
        found(&service, "$filter=matchesPattern(version,'^9')").await,
        ["9.16.0.0"]
    );
}

async fn closed_words_and_keys_compare_without_case(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.0"]).await;
    for filter in [
        "availability eq 'available'",
        "status eq 'UPLOADED'",
        "countryCode eq 'us'",
        "availability in ('preview','AVAILABLE')",
    ] {
        assert_eq!(
            found(&service, &format!("$filter={filter}")).await,
            ["1.0.0.0"],
            "{filter}"
        );
    }
    // Names are what people wrote.
    assert!(found(&service, "$filter=name eq 'exampleapp'").await.is_empty());
    assert_eq!(
        found(&service, "$filter=tolower(name) eq 'exampleapp'").await,
        ["1.0.0.0"]
    );
    assert_eq!(
        found(&service, &format!("$filter=appId eq {APP}")).await,
        ["1.0.0.0"]
    );
    assert_eq!(
        found(
            &service,
            &format!("$filter=appId eq '{}'", APP.to_string().to_uppercase())
        )
        .await,
        ["1.0.0.0"]
    );
}

async fn filters_reach_into_dependencies(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.0"]).await;
    let owner = service.owner();
    for (version, library) in [("1.0.0.1", "1.0"), ("1.0.0.2", "2.0"), ("1.0.0.3", "10.0")] {
        owner
            .uploads(&package_needing_library(version, library), "Available")
            .await
            .expect(200);
    }
    let any = format!("$filter=dependencies/any(d:d/appId eq {LIBRARY})");
    assert_eq!(found(&service, &any).await, ["1.0.0.1", "1.0.0.2", "1.0.0.3"]);
    let newer = format!("$filter=dependencies/any(d:d/appId eq {LIBRARY} and d/version ge '2.0')");
    assert_eq!(found(&service, &newer).await, ["1.0.0.2", "1.0.0.3"]);
    assert_eq!(
        found(&service, "$filter=not dependencies/any()").await,
        ["1.0.0.0"]
    );
    assert_eq!(
        found(&service, "$filter=dependencies/$count eq 0").await,
        ["1.0.0.0"]
    );
    // What is decided in memory is decided before rows are counted and cut.
    let page = service
        .reader()
        .get(format!("{}?{newer}&$count=true&$top=1&$skip=1", versions()))
        .await
        .expect(200);
    assert_eq!(
        (page.json()["@odata.count"].clone(), page.column("version")),
        (json!(2), vec!["1.0.0.3".into()])
    );
    let counted = service
        .reader()
        .get(format!("{}/$count?{newer}", versions()))
        .await
        .expect(200);
    assert_eq!(counted.text(), "2");
}

async fn three_valued_logic_keeps_only_what_is_true(backend: Backend) {
    let service = Harness::start(backend).await;
    let path = |filter: &str| format!("/v1.4/apps/{APP}/principals?$filter={filter}");
    let count = async |filter: &str| service.reader().get(path(filter)).await.expect(200).rows().len();
    let users = count("aadTenantId ne null").await;
    assert_eq!((users, count("aadTenantId eq null").await), (2, 3));
    assert_eq!(count(&format!("aadTenantId eq {CUSTOMER}")).await, 0);
    assert_eq!(count(&format!("aadTenantId ne {CUSTOMER}")).await, 5);
    assert_eq!(
        count(&format!("aadTenantId gt {CUSTOMER} or aadTenantId le {CUSTOMER}")).await,
        users
    );
    assert_eq!(count("false").await, 0);
    assert_eq!(
        count("true or aadTenantId gt 00000000-0000-0000-0000-000000000000").await,
        5
    );
}

async fn the_dollar_sign_may_be_left_out(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.0", "2.0.0.0"]).await;
    for query in [
        "$filter=majorVersion eq 1",
        "filter=majorVersion eq 1",
        "&filter=majorVersion eq 1",
        "%24filter=majorVersion+eq+1",
        "$FILTER=MAJORVERSION EQ 1",
        "Top=1",
    ] {
        assert_eq!(found(&service, query).await, ["1.0.0.0"], "{query}");
    }
    let strict = Harness::with(backend)
        .setting("odata.no_dollar_options", false)
        .start()
        .await;
    strict.owner().has_uploaded("1.0.0.0").await;
    assert_eq!(found(&strict, "filter=majorVersion eq 7").await, ["1.0.0.0"]);
    assert!(found(&strict, "$filter=majorVersion eq 7").await.is_empty());
}

async fn a_wrong_filter_says_where(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.0"]).await;
    let cases = [
        ("majorVersion eq ", 16),
        ("majorVersion = 1", 13),
        ("colour eq 'blue'", 0),
        ("name eq 'open", 8),
    ];
    for (filter, position) in cases {
        let path = format!("{}?$filter={}", versions(), filter.replace(' ', "%20"));
        let answer = service.reader().get(path).await.refused(400, "InvalidFilter");
        assert_eq!(answer.target(), "$filter");
        assert_eq!(
            answer.json()["error"]["innererror"]["position"],
            position,
            "{filter}: {answer:?}"
        );
    }
    for filter in [
        "majorVersion eq 'one'",
        "name gt 5",
        "not name eq 'x'",
        "majorVersion div 0 eq 1",
    ] {
        let path = format!("{}?$filter={filter}", versions());
        service.reader().get(path).await.refused(400, "InvalidFilter");
    }
    // Somebody without a role learns nothing.
    let path = format!("{}?$filter=(", versions());
    service
        .stranger()
        .get(path)
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn wrong_options_are_named(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.0"]).await;
    let cases = [
        ("$top=-1", "$top"),
        ("$top=", "$top"),
        ("$skip=x", "$skip"),
        ("$count=yes", "$count"),
        ("$select=colour", "$select"),
        ("$orderby=colour", "$orderby"),
        ("$orderby=dependencies", "$orderby"),
        ("$orderby=name up", "$orderby"),
        ("$skiptoken=abc", "$skiptoken"),
        ("$top=1&TOP=2", "$top"),
        ("$colour=blue", "$colour"),
    ];
    for (query, target) in cases {
        let answer = service.reader().get(format!("{}?{query}", versions())).await;
        let answer = answer.refused(400, "InvalidQueryOption");
        assert_eq!(answer.target(), target, "{query}");
    }
    let broken = service
        .reader()
        .get(format!("{}?$filter=name%20eq%20%27%zz%27", versions()))
        .await;
    assert_eq!(broken.expect(400).target(), "$filter");
    service
        .reader()
        .get(format!("{}/1.0.0.0?$filter=true", versions()))
        .await
        .refused(400, "InvalidQueryOption");
    service
        .reader()
        .get(format!("{}/$count?$top=1", versions()))
        .await
        .refused(400, "InvalidQueryOption");
}

async fn what_is_not_supported_says_so(backend: Backend) {
    let service = Harness::start(backend).await;
    for query in [
        "$search=x",
        "$expand=versions",
        "$apply=aggregate($count as n)",
        "$compute=majorVersion as m",
        "$filter=cast(name,Edm.String) eq 'x'",
        "$filter=isof(name,Edm.String)",
    ] {
        service
            .reader()
            .get(format!("{}?{query}", versions()))
            .await
            .refused(501, "NotImplemented");
    }
}

async fn rows_are_ordered_as_asked(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for (version, availability) in [
        ("1.0.0.0", "Preview"),
        ("2.0.0.0", "Available"),
        ("10.0.0.0", "Preview"),
    ] {
        owner.uploads(&package(version), availability).await.expect(200);
    }
    let cases: [(&str, [&str; 3]); 5] = [
        ("majorVersion desc", ["10.0.0.0", "2.0.0.0", "1.0.0.0"]),
        (
            "availability,majorVersion desc",
            ["2.0.0.0", "10.0.0.0", "1.0.0.0"],
        ),
        ("availability desc", ["1.0.0.0", "10.0.0.0", "2.0.0.0"]),
        (
            "tolower(name) ASC, version DESC",
            ["10.0.0.0", "2.0.0.0", "1.0.0.0"],
        ),
        ("dependencies/$count", ["1.0.0.0", "2.0.0.0", "10.0.0.0"]),
    ];
    for (order, expected) in cases {
        assert_eq!(
            found(&service, &format!("$orderby={order}")).await,
            expected,
            "{order}"
        );
    }
    // Nulls first, ascending; last, descending.
    let principals = |order: &str| {
        service
            .reader()
            .get(format!(
                "/v1.4/apps/{APP}/principals?$orderby=aadTenantId {order}"
            ))
            .into_future()
    };
    let types = async |order: &str| principals(order).await.expect(200).column("type");
    assert_eq!(types("asc").await[4], "User");
    assert_eq!(types("desc").await[0], "User");
}

async fn top_skip_and_count_work_together(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.0", "2.0.0.0", "3.0.0.0", "4.0.0.0"]).await;
    let list = async |query: &str| {
        service
            .reader()
            .get(format!("{}?{query}", versions()))
            .await
            .expect(200)
    };
    let page = list("$filter=majorVersion gt 1&$count=true&$skip=1&$top=1&$orderby=version desc").await;
    assert_eq!(page.column("version"), ["3.0.0.0"]);
    assert_eq!(page.json()["@odata.count"], 3);
    assert_eq!(page.json().get("@odata.nextLink"), None);
    assert_eq!(
        list("$top=0&$count=true").await.json(),
        json!({ "@odata.count": 4, "value": [] })
    );
    assert_eq!(list("$skip=9").await.json(), json!({ "value": [] }));
    assert_eq!(list("$count=false").await.json().get("@odata.count"), None);
    let count = service
        .reader()
        .get(format!("{}/$count?$filter=majorVersion gt 2", versions()))
        .await
        .expect(200);
    assert_eq!(
        (count.text().as_str(), count.header("content-type")),
        ("2", "text/plain")
    );
}

async fn a_selection_keeps_the_keys(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.0"]).await;
    let rows = async |query: &str| {
        service
            .reader()
            .get(format!("{}?{query}", versions()))
            .await
            .expect(200)
            .rows()
    };
    assert_eq!(
        rows("$select=NAME").await,
        [json!({ "version": "1.0.0.0", "name": "ExampleApp" })]
    );
    let tagged = &rows("$select=_etag,status").await[0];
    assert_eq!(tagged.as_object().unwrap().len(), 3);
    assert_eq!(rows("$select=*").await, rows("").await);
    let one = service
        .reader()
        .get(format!("{}/1.0.0.0?$select=status", versions()))
        .await
        .expect(200);
    assert_eq!(one.json(), json!({ "version": "1.0.0.0", "status": "Uploaded" }));
}

fn paged(caller: &Caller, query: &str, size: usize) -> Request {
    caller
        .get(format!("{}?{query}", versions()))
        .header("prefer", format!("odata.maxpagesize={size}"))
}

/// The address behind the next link, as a path of this service.
fn next(service: &Harness, page: &Answer) -> Option<String> {
    let json = page.json();
    let link = json.get("@odata.nextLink")?.as_str().unwrap();
    let path = link.strip_prefix(&service.base_url());
    Some(
        path.unwrap_or_else(|| panic!("{link} is not absolute"))
            .to_owned(),
    )
}

async fn pages_are_sent_only_on_request(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.0", "2.0.0.0", "3.0.0.0", "4.0.0.0", "5.0.0.0"]).await;
    let reader = service.reader();
    for (query, size, expected) in [
        ("$orderby=version desc", 2, vec!["5", "4", "3", "2", "1"]),
        ("$filter=majorVersion ne 3", 3, vec!["1", "2", "4", "5"]),
        ("$top=3&$count=true", 2, vec!["1", "2", "3"]),
        ("$skip=1&$select=version", 1, vec!["2", "3", "4", "5"]),
        (
            "$orderby=name,availability desc",
            4,
            vec!["1", "2", "3", "4", "5"],
        ),
    ] {
        let mut page = paged(&reader, query, size).await.expect(200);
        assert_eq!(
            page.header("preference-applied"),
            format!("odata.maxpagesize={size}")
        );
        let mut seen = page.column("version");
        while let Some(path) = next(&service, &page) {
            assert_eq!(page.rows().len(), size, "{query}");
            page = reader
                .get(path)
                .header("prefer", format!("maxpagesize={size}"))
                .await
                .expect(200);
            seen.extend(page.column("version"));
        }
        let seen: Vec<_> = seen
            .iter()
            .map(|version| version.split('.').next().unwrap())
            .collect();
        assert_eq!(seen, expected, "{query}");
    }
    let counted = paged(&reader, "$count=true", 2).await.expect(200);
    assert_eq!(counted.json()["@odata.count"], 5);
    let whole = reader.get(versions()).await.expect(200);
    assert!(!whole.has_header("preference-applied") && next(&service, &whole).is_none());
    for ignored in ["return=minimal", "odata.maxpagesize=0", "maxpagesize=x"] {
        let answer = reader.get(versions()).header("prefer", ignored).await.expect(200);
        assert_eq!(answer.rows().len(), 5, "{ignored}");
    }
}

async fn pages_survive_changes_and_refuse_other_queries(backend: Backend) {
    let service = with_versions(backend, &["2.0.0.0", "3.0.0.0", "4.0.0.0"]).await;
    let first = paged(&service.reader(), "", 2).await.expect(200);
    service.owner().has_uploaded("1.0.0.0").await;
    let path = next(&service, &first).unwrap();
    let second = service.reader().get(&path).await.expect(200);
    assert_eq!(second.column("version"), ["4.0.0.0"]);
    let other = format!("{path}&$filter=majorVersion eq 2");
    service
        .reader()
        .get(other)
        .await
        .refused(400, "InvalidQueryOption");
    let elsewhere = path.replace("versions", "environments");
    service
        .reader()
        .get(elsewhere)
        .await
        .refused(400, "InvalidQueryOption");
    service
        .stranger()
        .get(&path)
        .await
        .refused(404, "ResourceDoesNotExist");
}

/// Some programs take a link apart and put it together again, and then each `+` is a plus sign and no blank.
async fn a_link_goes_on_after_its_plus_signs_were_encoded_anew(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.0", "2.0.0.0", "3.0.0.0"]).await;
    let reader = service.reader();
    let query = "$filter=majorVersion+ne+2&$orderby=version+desc";
    let first = paged(&reader, query, 1).await.expect(200);
    assert_eq!(first.column("version"), ["3.0.0.0"]);
    let link = next(&service, &first).unwrap().replace('+', "%2B");
    let second = reader
        .get(link)
        .header("prefer", "odata.maxpagesize=1")
        .await
        .expect(200);
    assert_eq!(second.column("version"), ["1.0.0.0"]);
}

async fn a_long_list_arrives_whole(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let count = 1_500;
    let numbers: Vec<usize> = (0..count).collect();
    for group in numbers.chunks(100) {
        let reports = group.iter().map(|number| {
            let environment =
                Environment::named(&format!("E{number:05}")).has(APP, &format!("1.0.0.{number}"));
            operator.reports(&environment).into_future()
        });
        for answer in futures::future::join_all(reports).await {
            answer.expect(201);
        }
    }
    let path = country_path(APP, "US", "environments");
    let whole = service.reader().get(&path).await.expect(200);
    assert!(
        !whole.has_header("content-length"),
        "a long list is not collected first"
    );
    let names = whole.column("name");
    assert_eq!((names.len(), names.is_sorted()), (count, true));
    let asked = service.reader().get(&path).header("accept-encoding", "gzip");
    let compressed = asked.await.expect(200);
    assert_eq!(compressed.header("content-encoding"), "gzip");
    assert!(compressed.body.len() * 3 < whole.body.len());
    let mut text = Vec::new();
    GzDecoder::new(compressed.body.as_ref())
        .read_to_end(&mut text)
        .unwrap();
    assert_eq!(text, whole.body);
    let mut seen = Vec::new();
    let mut address = Some(format!("{path}?$orderby=version desc&$select=version"));
    while let Some(path) = address {
        let page = service
            .reader()
            .get(path)
            .header("prefer", "odata.maxpagesize=400")
            .await
            .expect(200);
        seen.extend(page.column("version"));
        address = next(&service, &page);
    }
    let expected: Vec<_> = (0..count).rev().map(|number| format!("1.0.0.{number}")).collect();
    assert_eq!(seen, expected);
    let tail = service
        .reader()
        .get(format!("{path}?$skip=1490&$orderby=version"))
        .await
        .expect(200);
    assert_eq!(tail.rows().len(), 10);
}

async fn hotfixes_come_newest_first(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.1"]).await;
    let mut expected = Vec::new();
    for name in ["One", "Two", "Three"] {
        let environment = Environment::named(name).has(APP, "1.0.0.0");
        service.operator().reports(&environment).await.expect(201);
        service
            .owner()
            .schedules(&environment, "1.0.0.1")
            .await
            .expect(200);
        service.advances(std::time::Duration::from_secs(60)).await;
        expected.insert(0, name);
    }
    let list = async |query: &str| {
        let path = country_path(APP, "US", &format!("environmentHotfixes?{query}"));
        service
            .reader()
            .get(path)
            .await
            .expect(200)
            .column("environmentName")
    };
    assert_eq!(list("").await, expected);
    assert_eq!(
        list("$filter=createdOn gt 2020-03-05T12:00:30Z and environmentName ne 'three'").await,
        ["Two"]
    );
    assert_eq!(
        list("$filter=status eq 'scheduled' and startedOn eq null")
            .await
            .len(),
        3
    );
    assert_eq!(list("$orderby=environmentName").await, ["One", "Three", "Two"]);
}

async fn an_empty_list_is_a_list(backend: Backend) {
    let service = Harness::start(backend).await;
    for rest in ["versions", "environments", "environmentHotfixes"] {
        let path = country_path(APP, "US", rest);
        assert_eq!(
            service.reader().get(&path).await.expect(200).json(),
            json!({ "value": [] })
        );
        assert_eq!(
            service
                .reader()
                .get(format!("{path}/$count"))
                .await
                .expect(200)
                .text(),
            "0"
        );
        let paged = service
            .reader()
            .get(&path)
            .header("prefer", "odata.maxpagesize=5")
            .await
            .expect(200);
        assert_eq!(paged.json(), json!({ "value": Value::Array(Vec::new()) }));
    }
}

async fn custom_options_are_ignored(backend: Backend) {
    let service = with_versions(backend, &["1.0.0.0"]).await;
    assert_eq!(found(&service, "api-version=1.0&_=123&&x").await, ["1.0.0.0"]);
    let alias = format!("$filter=packageId ne @p&@p={}", Uuid::nil());
    assert_eq!(found(&service, &alias).await, ["1.0.0.0"]);
}

/// Rows that take long to decide about, by as many requests at once as would keep every processor busy.
async fn a_costly_filter_holds_nobody_up(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    for number in 0..60 {
        let environment = Environment::named(&format!("E{number:02}")).has(APP, "1.0.0.0");
        service.operator().reports(&environment).await.expect(201);
    }
    let environments = service.reader().us("environments");
    let pattern = ["matchesPattern(concat(name,@a),'(?:(?:a|b|ab){0,9}a){20}z')"; 2].join(" or ");
    let text: String = (0..3_900u32)
        .map(|number| {
            if number.wrapping_mul(2_654_435_761) >> 31 == 1 {
                'a'
            } else {
                'b'
            }
        })
        .collect();
    let costly = || {
        service
            .reader()
            .get(format!("{environments}?$filter={pattern}&@a='{text}'"))
            .send()
    };
    let mut under_way = Box::pin(join_all((0..8).map(|_| costly())));
    let others = async {
        for _ in 0..3 {
            service.nobody().get("/health/live").await.expect(200);
            service.reader().get(&environments).await.expect(200);
        }
    };
    tokio::select! {
        biased;
        _ = &mut under_way => panic!("others were served only after all of the costly filters"),
        () = others => {}
    }
    drop(under_way);
    let quick = format!("{environments}?$filter=matchesPattern(name,'7$')");
    let other = service.owner().get(quick).await.expect(200);
    assert_eq!(other.rows().len(), 6, "what nobody waits for any more makes room");
    let too_large = format!("{environments}?$filter=matchesPattern(name,'(?:(?:a|b|ab){{0,9}}a){{40}}z')");
    service
        .reader()
        .get(too_large)
        .await
        .refused(400, "InvalidFilter");
}
