//! `$apply`: lists in groups, within the rights of whoever asks, and in every format. What the groups are is compared with
//! the plain lists where they are made (`store`).

use crate::harness::{
    APP, Backend, CUSTOMER, Environment, Harness, OTHER_CUSTOMER, country_path, on_both_databases, package,
};
use serde_json::json;

on_both_databases!(
    environments_are_counted_by_how_far_they_are_behind,
    groups_are_filtered_sorted_and_cut,
    groups_are_for_those_who_see_the_list,
    groups_come_in_every_format,
    what_cannot_be_grouped_says_so,
);

fn environments(query: &str) -> String {
    country_path(APP, "US", &format!("environments?{query}"))
}

/// Three environments on two versions, of which the older has two newer ones that are Available.
async fn fleet(backend: Backend) -> Harness {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for version in ["16.0.1.0", "16.0.2.0", "16.0.3.0", "16.1.0.0"] {
        owner.has_uploaded(version).await;
    }
    owner.uploads(&package("16.0.4.0"), "Preview").await.expect(200);
    for environment in [
        Environment::named("One").has(APP, "16.0.1.0"),
        Environment::named("Two").has(APP, "16.0.1.0").sandbox(),
        Environment::named("Three")
            .has(APP, "16.0.3.0")
            .of(OTHER_CUSTOMER),
    ] {
        service.operator().reports(&environment).await.expect(201);
    }
    service
}

async fn environments_are_counted_by_how_far_they_are_behind(backend: Backend) {
    let service = fleet(backend).await;
    let reader = service.reader();
    let query = "$apply=groupby((version,behind),aggregate($count as n))";
    assert_eq!(
        reader.get(environments(query)).await.expect(200).json(),
        json!({ "value": [
            { "version": "16.0.1.0", "behind": 2, "n": 2 },
            { "version": "16.0.3.0", "behind": 0, "n": 1 },
        ]})
    );
    let query = "$apply=filter(type eq 'Sandbox')/groupby((behind),aggregate($count as n))";
    let sandboxes = reader.get(environments(query)).await.expect(200).json();
    assert_eq!(sandboxes, json!({ "value": [{ "behind": 2, "n": 1 }] }));
    let selected = reader
        .get(environments("$filter=behind gt 0&$select=behind"))
        .await
        .expect(200);
    assert_eq!(selected.column("name"), ["One", "Two"]);
    assert!(
        selected.rows().iter().all(|row| row["behind"] == 2),
        "{:?}",
        selected.rows()
    );
    let one = country_path(APP, "US", "environments/One");
    assert!(reader.get(&one).await.expect(200).json().get("behind").is_none());
    let one = reader
        .get(format!("{one}?$select=behind"))
        .await
        .expect(200)
        .json();
    assert_eq!(one["behind"], 2);
}

async fn groups_are_filtered_sorted_and_cut(backend: Backend) {
    let service = fleet(backend).await;
    let apply = "$apply=groupby((version),aggregate($count as n))";
    let versions = async |rest: &str| {
        let answer = service
            .reader()
            .get(environments(&format!("{apply}&{rest}")))
            .await;
        answer.expect(200).column("version")
    };
    assert_eq!(versions("$orderby=n").await, ["16.0.3.0", "16.0.1.0"]);
    assert_eq!(versions("$filter=n gt 1").await, ["16.0.1.0"]);
    assert_eq!(versions("$skip=1").await, ["16.0.3.0"]);
    assert_eq!(versions("$top=1").await, ["16.0.1.0"]);
    let path = environments(&format!("{apply}&$top=0&$count=true"));
    let counted = service.reader().get(path).await.expect(200).json();
    assert_eq!(counted, json!({ "@odata.count": 2, "value": [] }));
    let path = environments("$apply=groupby((version))&$filter=version gt '99.0'");
    let none = service.reader().get(path).await.expect(200).json();
    assert_eq!(none, json!({ "value": [] }));
}

async fn groups_are_for_those_who_see_the_list(backend: Backend) {
    let service = fleet(backend).await;
    let path = environments("$apply=groupby((version),aggregate($count as n))");
    service
        .stranger()
        .get(&path)
        .await
        .refused(404, "ResourceDoesNotExist");
    let wrong = environments("$apply=groupby((versoin))");
    service
        .stranger()
        .get(&wrong)
        .await
        .refused(404, "ResourceDoesNotExist");
    let everything = "/operator/v1/environments?$apply=groupby((aadTenantId),aggregate($count as n))";
    service.owner().get(everything).await.refused(403, "Forbidden");
    let mut wanted = vec![
        json!({ "aadTenantId": CUSTOMER, "n": 2 }),
        json!({ "aadTenantId": OTHER_CUSTOMER, "n": 1 }),
    ];
    wanted.sort_by_key(|row| row["aadTenantId"].to_string());
    assert_eq!(
        service.operator().get(everything).await.expect(200).json(),
        json!({ "value": wanted })
    );
    let mine = "/v1.0/apps?$apply=groupby((publisher),aggregate($count as n))";
    assert_eq!(
        service.stranger().get(mine).await.expect(200).json(),
        json!({ "value": [] })
    );
}

async fn groups_come_in_every_format(backend: Backend) {
    let service = fleet(backend).await;
    let query = "$apply=groupby((version,locationName),aggregate($count as n))&$orderby=version";
    let odata = service
        .reader()
        .get(environments(query))
        .odata()
        .await
        .expect(200);
    let group = &odata.json()["value"][0];
    assert_eq!(
        group.to_string(),
        json!({
            "@odata.id": null, "version": "16.0.1.0", "locationName": group["locationName"],
            "n@odata.type": "#Decimal", "n": 2,
        })
        .to_string()
    );
    let context = odata.property("@odata.context");
    assert!(
        context.ends_with("/environments(version,locationName,n)"),
        "{context}"
    );
    let csv = service
        .reader()
        .get(environments("$apply=groupby((version),aggregate($count as n))"))
        .header("accept", "text/csv")
        .await
        .expect(200);
    assert_eq!(csv.text(), "version,n\r\n16.0.1.0,2\r\n16.0.3.0,1\r\n");
}

async fn what_cannot_be_grouped_says_so(backend: Backend) {
    let service = fleet(backend).await;
    let refused = async |query: &str, status: u16, code: &str| {
        let answer = service
            .reader()
            .get(environments(query))
            .await
            .refused(status, code);
        assert_eq!(answer.target(), "$apply", "{query}");
        answer.message()
    };
    let message = refused("$apply=aggregate($count as n)", 501, "NotImplemented").await;
    assert!(
        message.contains("groupby((property,…),aggregate($count as name))"),
        "{message}"
    );
    refused("$apply=groupby((nothing))", 400, "InvalidQueryOption").await;
    refused(
        "$apply=filter(nothing eq 1)/groupby((version))",
        400,
        "InvalidFilter",
    )
    .await;
    let plan = "environmentHotfixes/plan?targetAppVersion=16.0.3.0&$apply=groupby((eligible))";
    service
        .reader()
        .get(country_path(APP, "US", plan))
        .await
        .refused(501, "NotImplemented");
}
