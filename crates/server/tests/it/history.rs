//! The history of an environment: what was done in it, by whom, and who is told that.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, Harness, LIBRARY, OTHER_CUSTOMER, Person, admin_path,
    administrator_of, on_both_databases,
};
use serde_json::{Value, json};

on_both_databases!(
    what_was_done_is_listed_the_newest_first,
    who_a_customer_is_operators_are_told_alone,
    one_of_several_environments_is_meant,
);

async fn history(caller: &Caller, query: &str) -> Answer {
    let path = caller.us(&format!("environments/MyCustomer/history{query}"));
    caller.get(path).await.expect(200)
}

async fn what_was_done_is_listed_the_newest_first(backend: Backend) {
    let service = Harness::start(backend).await;
    service.has_app(LIBRARY).await;
    let (owner, reader) = (service.owner(), service.reader());
    for version in ["16.0.1.2", "16.0.1.3"] {
        owner.has_uploaded(version).await;
    }
    let environment = Environment::my_customer("16.0.0.5").has(LIBRARY, "1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    assert!(history(&reader, "").await.rows().is_empty());
    for version in ["16.0.1.2", "16.0.1.3"] {
        owner.schedules_at_once(&environment, version).await.expect(200);
        service.finishes_work().await;
    }
    let listed = history(&reader, "").await;
    assert_eq!(listed.column("targetAppVersion"), ["16.0.1.3", "16.0.1.2"]);
    assert_eq!(listed.column("sourceAppVersion"), ["16.0.1.2", "16.0.0.5"]);
    assert_eq!(listed.column("status"), ["Succeeded", "Succeeded"]);
    let newest = &listed.rows()[0];
    assert_eq!(newest["kind"], "Hotfix");
    assert_eq!(newest["requestedByType"], "Application");
    assert_eq!(newest["requestedBy"], format!("Application/{}", Person::OWNER.id));
    assert!(newest["endedOn"].is_string(), "{newest}");
    let page = history(&reader, "?$top=1&$skip=1&$count=true").await;
    assert_eq!(page.column("targetAppVersion"), ["16.0.1.2"]);
    assert_eq!(page.json()["@odata.count"], 2);
    let found = history(&reader, "?$filter=targetAppVersion eq '16.0.1.2'").await;
    assert_eq!(found.rows().len(), 1);

    let of_library = service.owner().on(LIBRARY);
    assert!(history(&of_library, "").await.rows().is_empty());
    let path = owner.us("environments/Elsewhere/history");
    owner.get(path).await.refused(404, "EnvironmentNotFound");
    let path = owner.us("environments/MyCustomer/history");
    service
        .stranger()
        .get(&path)
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn who_a_customer_is_operators_are_told_alone(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded("16.0.1.2").await;
    let environment = Environment::my_customer("16.0.0.5");
    service.operator().reports(&environment).await.expect(201);
    let update = json!({ "targetVersion": "16.0.1.2", "useEnvironmentUpdateWindow": false });
    let path = admin_path("MyCustomer", &format!("apps/{APP}/update"));
    let answer = service.administrator().post(path, update).await;
    assert!(answer.status < 300, "{answer:?}");
    service.finishes_work().await;

    let listed = history(&owner, "").await;
    let entry = &listed.rows()[0];
    assert_eq!(entry["kind"], "Update");
    assert_eq!(entry["requestedByType"], "User");
    assert_eq!(entry.get("requestedBy"), None);
    for option in ["$filter=requestedBy ne null", "$orderby=requestedBy"] {
        let path = owner.us(&format!("environments/MyCustomer/history?{option}"));
        owner.get(path).await.expect(400);
    }
    let path = format!("{}/history", environment.operator_path());
    let listed = service.operator().get(path).await.expect(200);
    let entry = &listed.rows()[0];
    assert_eq!(entry["kind"], "Update");
    let user = administrator_of(environment.tenant);
    let who = entry["requestedBy"].as_str().unwrap();
    assert!(
        who.starts_with(&format!("User/{}/", environment.tenant)),
        "{who} {user:?}"
    );
}

async fn one_of_several_environments_is_meant(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded("16.0.1.2").await;
    let one = Environment::my_customer("16.0.0.5");
    let other = Environment::my_customer("16.0.0.5").of(OTHER_CUSTOMER);
    for environment in [&one, &other] {
        service.operator().reports(environment).await.expect(201);
    }
    owner.schedules_at_once(&other, "16.0.1.2").await.expect(200);
    let path = owner.us("environments/MyCustomer/history");
    owner.get(&path).await.refused(400, "AmbiguousRequest");
    let of = async |environment: &Environment| {
        let query = format!("?aadTenantId={}&$select=status", environment.tenant);
        history(&owner, &query).await.rows()
    };
    assert_eq!(of(&one).await, Vec::<Value>::new());
    assert_eq!(of(&other).await[0]["status"], "Scheduled");
    let keyed = format!(
        "environments(aadTenantId={},applicationFamily='{}',name='MyCustomer')/History",
        other.tenant, other.family
    );
    assert_eq!(owner.get(owner.us(&keyed)).await.expect(200).rows().len(), 1);
}
