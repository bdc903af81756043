//! Lists as CSV: all rows of them, read back by another's parser, and no cell of them a formula.

use crate::{
    agent_work::carry_out,
    harness::{APP, Backend, Environment, Harness, Request, country_path, on_both_databases},
};
use futures::future::join_all;
use navx::PackageBuilder;
use serde_json::{Value, json};

on_both_databases!(
    a_list_is_read_back_as_it_is,
    no_text_is_taken_for_a_formula,
    a_long_list_comes_whole_and_on_no_pages,
    csv_is_for_lists_and_for_those_who_ask,
    a_list_that_breaks_off_does_not_look_whole,
);

fn as_csv(request: Request) -> Request {
    request.header("accept", "text/csv")
}

/// Header and rows, as a reader of CSV has them.
fn read(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let texts = |record: &::csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let header = texts(reader.headers().unwrap());
    let rows = reader.records().map(|record| texts(&record.unwrap())).collect();
    (header, rows)
}

/// The column of a name.
fn column(text: &str, name: &str) -> Vec<String> {
    let (header, rows) = read(text);
    let at = header.iter().position(|column| column == name).unwrap();
    rows.into_iter().map(|row| row[at].clone()).collect()
}

async fn a_list_is_read_back_as_it_is(backend: Backend) {
    let service = Harness::start(backend).await;
    let names = ["Contoso, Inc.", "say \"so\"", "a;b", "Größe"];
    for name in names {
        let address = Environment {
            name: name.replace('"', "%22"),
            ..Environment::named(name).has(APP, "1.0.0.0")
        };
        service
            .operator()
            .put(address.operator_path(), address.report())
            .await
            .expect(201);
    }
    let path = country_path(APP, "US", "environments?$orderby=name desc&$filter=name ne 'a;b'");
    let plain = service.reader().get(&path).await.expect(200);
    let answer = as_csv(service.reader().get(&path)).await.expect(200);
    assert_eq!(
        answer.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    let (header, rows) = read(&answer.text());
    let row = plain.rows()[0].clone();
    assert_eq!(
        header,
        row.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    );
    let wanted: Vec<Vec<String>> = plain
        .rows()
        .iter()
        .map(|row| {
            let values = row.as_object().unwrap().values();
            values.map(|value| value.as_str().unwrap().to_owned()).collect()
        })
        .collect();
    assert_eq!(rows, wanted);
    let selected = country_path(APP, "US", "environments?$select=name,behind&$top=1&$orderby=name");
    let selected = as_csv(service.reader().get(selected)).await.expect(200).text();
    assert_eq!(
        read(&selected).0,
        ["aadTenantId", "applicationFamily", "name", "behind"]
    );
    assert_eq!(column(&selected, "behind"), ["0"]);
    let owners = as_csv(service.operator().get("/operator/v1/apps"))
        .await
        .expect(200)
        .text();
    let owners: Value = serde_json::from_str(&column(&owners, "owners")[0]).unwrap();
    assert!(owners[0]["id"].is_string(), "what has parts is JSON: {owners}");
    let none = country_path(APP, "US", "environmentHotfixes?$select=id,status");
    let none = as_csv(service.reader().get(none)).await.expect(200);
    assert_eq!(none.text(), "id,status\r\n");
}

/// Texts that spreadsheets take for formulas, wherever they are let in.
const FORMULAS: [&str; 11] = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "＝1",
    "＋1",
    "－1",
    "＠a",
    "=HYPERLINK(\"http://x\",\"y\")",
    "\u{a0}=1",
    "'=1",
];

async fn no_text_is_taken_for_a_formula(backend: Backend) {
    let service = Harness::start(backend).await;
    let marked = |text: &&str| format!("'{text}");
    let mut wanted: Vec<String> = FORMULAS.iter().map(marked).collect();
    wanted.sort();
    for (number, formula) in FORMULAS.iter().enumerate() {
        let version = format!("1.0.0.{number}").parse().unwrap();
        let package = PackageBuilder::new(APP, "ExampleApp", formula, version);
        service.owner().uploads(&package, "Available").await.expect(200);
    }
    let lists = [
        country_path(APP, "US", "versions"),
        format!("/v1.0/apps/{APP}/versions"),
        country_path(APP, "US", "versions?$apply=groupby((publisher))"),
    ];
    for list in lists {
        let text = as_csv(service.reader().get(&list)).await.expect(200).text();
        let mut publishers = column(&text, "publisher");
        publishers.sort();
        assert_eq!(publishers, wanted, "{list}");
    }
    for formula in FORMULAS {
        let body = json!({ "reason": formula });
        let frozen = service
            .operator()
            .put("/operator/v1/freezes/scheduling", body)
            .await;
        assert!(frozen.status < 300, "{formula}: {}", frozen.text());
        let list = as_csv(service.operator().get("/operator/v1/freezes"))
            .await
            .expect(200);
        assert_eq!(column(&list.text(), "reason"), [marked(&formula)], "{formula}");
        let plain = service.operator().get("/operator/v1/freezes").await.expect(200);
        assert_eq!(plain.column("reason"), [formula], "JSON is as it was");
    }
}

/// More environments than are sent at once.
const MANY: usize = 700;

async fn has_many(service: &Harness) {
    let operator = service.operator();
    for first in (0..MANY).step_by(100) {
        let reports = (first..first + 100).map(|number| {
            let environment = Environment::named(&format!("Customer{number:04}")).has(APP, "1.0.0.0");
            operator.reports(&environment).into_future()
        });
        for answer in join_all(reports).await {
            answer.expect(201);
        }
    }
}

async fn a_long_list_comes_whole_and_on_no_pages(backend: Backend) {
    let service = Harness::start(backend).await;
    has_many(&service).await;
    let path = country_path(APP, "US", "environments?$orderby=name");
    let answer = as_csv(service.reader().get(&path))
        .header("prefer", "odata.maxpagesize=7")
        .await
        .expect(200);
    assert!(!answer.has_header("preference-applied"));
    let names = column(&answer.text(), "name");
    assert!(names.is_sorted());
    assert_eq!(names.len(), MANY);
    let cut = as_csv(service.reader().get(format!("{path}&$skip=690&$top=3")))
        .await
        .expect(200);
    assert_eq!(
        column(&cut.text(), "name"),
        ["Customer0690", "Customer0691", "Customer0692"]
    );
    let compressed = as_csv(service.reader().get(&path))
        .header("accept-encoding", "gzip")
        .await;
    let compressed = compressed.expect(200);
    assert_eq!(compressed.header("content-encoding"), "gzip");
    assert_eq!(column(&compressed.decompressed().text(), "name"), names);
}

async fn csv_is_for_lists_and_for_those_who_ask(backend: Backend) {
    let service = Harness::start(backend).await;
    let reader = service.reader();
    let versions = country_path(APP, "US", "versions");
    for accepted in ["text/csv, application/json", "*/*", "application/json"] {
        let answer = reader.get(&versions).header("accept", accepted).await.expect(200);
        assert_eq!(answer.json(), json!({ "value": [] }), "{accepted}");
    }
    let app = format!("/v1.0/apps/{APP}");
    as_csv(reader.get(&app)).await.refused(406, "NotAcceptable");
    as_csv(reader.get(format!("{app}/roles")))
        .await
        .refused(406, "NotAcceptable");
    as_csv(reader.get(format!("{versions}/$count")))
        .await
        .refused(406, "NotAcceptable");
    let change = as_csv(service.owner().adds_country("DK"));
    change.await.refused(406, "NotAcceptable");
    let counted = as_csv(reader.get(format!("{versions}?$count=true"))).await;
    assert_eq!(counted.refused(400, "InvalidQueryOption").target(), "$count");
    let wrong = as_csv(reader.get(format!("{versions}?$filter=nothing eq 1"))).await;
    wrong.refused(400, "InvalidFilter");
    as_csv(service.stranger().get(&versions))
        .await
        .refused(404, "ResourceDoesNotExist");
    as_csv(service.nobody().get(&versions)).await.expect(401);
}

/// The last row of a long list is damaged: by then the status and most rows have been sent.
async fn a_list_that_breaks_off_does_not_look_whole(backend: Backend) {
    let service = Harness::start(backend).await;
    has_many(&service).await;
    let last = MANY - 1;
    let damage = format!("UPDATE installations SET kind = 'Nothing' WHERE name = 'Customer{last:04}'");
    carry_out(&service, &damage).await;
    let path = country_path(APP, "US", "environments?$orderby=name");
    let broken = as_csv(service.reader().get(&path)).send().await;
    assert!(broken.is_err(), "the answer looks whole");
    let whole = as_csv(service.reader().get(format!("{path}&$top={last}")))
        .await
        .expect(200);
    assert_eq!(column(&whole.text(), "name").len(), last);
}
