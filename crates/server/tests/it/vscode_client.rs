//! What the public VS Code client sends, as it sends it: spellings and omissions that no documentation shows, and
//! that must go on working.

use crate::harness::{
    APP, Backend, CUSTOMER, Caller, Environment, Harness, OTHER_CUSTOMER, Person, Request, bytes_of,
    on_both_databases, package, upload_body,
};
use http::Method;
use serde_json::json;

on_both_databases!(
    it_finds_its_apps_and_their_names_without_a_walk,
    it_reverses_the_versions_to_show_the_newest_first,
    it_filters_with_a_stray_ampersand_and_without_the_dollar,
    it_cuts_filters_at_ampersands_and_is_told_so,
    it_adds_principals_with_a_capital_type,
    it_downloads_with_an_empty_form,
    it_patches_incompatibility_flat_and_is_told_how_to,
    it_uploads_and_changes_a_version,
    it_schedules_one_hotfix_per_environment_and_finds_the_one_in_the_way,
    it_sees_the_same_errors_in_both_places,
);

/// What its HTTP library sends with every request.
const ACCEPT: &str = "application/json, text/plain, */*";

trait ByTheClient {
    fn by_the_client(self) -> Request;
}

impl ByTheClient for Request {
    fn by_the_client(self) -> Request {
        self.header("accept", ACCEPT)
            .header("user-agent", "axios/1.21.0")
            .header("accept-encoding", "gzip, compress, deflate, br")
    }
}

/// An address of the version that it is built against.
fn path(rest: &str) -> String {
    format!("/v1.3/apps/{APP}/countries/US/{rest}")
}

async fn two_environments(service: &Harness) -> [Environment; 2] {
    let first = Environment::my_customer("16.0.0.5");
    let second = Environment::named("Other")
        .of(OTHER_CUSTOMER)
        .has(APP, "16.0.0.5");
    for environment in [&first, &second] {
        service.operator().reports(environment).await.expect(201);
    }
    [first, second]
}

async fn names(caller: &Caller, query: &str) -> Vec<String> {
    let answer = caller
        .get(path(&format!("environments{query}")))
        .by_the_client()
        .await
        .expect(200);
    answer.column("name")
}

async fn it_finds_its_apps_and_their_names_without_a_walk(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("16.0.1.2").await;
    let listed = service
        .reader_user()
        .get("/v1.3/apps")
        .by_the_client()
        .await
        .expect(200);
    assert_eq!(listed.header("content-type"), "application/json; charset=utf-8");
    let body = listed.json();
    assert_eq!(
        body.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["value"],
        "nothing but the list"
    );
    assert_eq!(
        (body["value"][0]["id"].as_str(), body["value"][0]["name"].as_str()),
        (Some(&*APP.to_string()), Some("ExampleApp"))
    );
    let one = service
        .reader_user()
        .get(format!("/v1.3/apps/{APP}"))
        .by_the_client()
        .await
        .expect(200);
    assert_eq!(one.json(), body["value"][0]);
}

async fn it_reverses_the_versions_to_show_the_newest_first(backend: Backend) {
    let service = Harness::start(backend).await;
    for version in ["16.0.10.0", "16.0.9.0", "16.0.1.2"] {
        service.owner().has_uploaded(version).await;
    }
    let listed = service
        .reader()
        .get(path("versions"))
        .by_the_client()
        .await
        .expect(200)
        .decompressed();
    assert_eq!(listed.column("version"), ["16.0.1.2", "16.0.9.0", "16.0.10.0"]);
    for row in listed.rows() {
        assert!(row["packageId"].is_string(), "{row}");
    }
    assert!(
        listed.json().get("@odata.nextLink").is_none(),
        "it never follows a link"
    );
}

async fn it_filters_with_a_stray_ampersand_and_without_the_dollar(backend: Backend) {
    let service = Harness::start(backend).await;
    two_environments(&service).await;
    let reader = service.reader();
    let bare = format!("?&filter=aadTenantId%20eq%20{CUSTOMER}");
    assert_eq!(names(&reader, &bare).await, ["MyCustomer"]);
    let quoted = format!("?&filter=aadTenantId%20eq%20%27{OTHER_CUSTOMER}%27");
    assert_eq!(names(&reader, &quoted).await, ["Other"]);
    assert_eq!(
        names(&reader, "?&filter=name%20eq%20%27mycustomer%27").await,
        ["MyCustomer"]
    );

    service.owner().has_uploaded("16.0.1.2").await;
    let environment = Environment::my_customer("16.0.0.5");
    service
        .owner()
        .schedules(&environment, "16.0.1.2")
        .await
        .expect(200);
    let mine = path(&format!(
        "environmentHotfixes?&filter=environmentAadTenantId%20eq%20{CUSTOMER}"
    ));
    assert_eq!(reader.get(mine).by_the_client().await.expect(200).rows().len(), 1);
    let others = path(&format!(
        "environmentHotfixes?&filter=environmentAadTenantId%20eq%20{OTHER_CUSTOMER}"
    ));
    assert_eq!(
        reader.get(others).by_the_client().await.expect(200).rows().len(),
        0
    );
}

async fn it_cuts_filters_at_ampersands_and_is_told_so(backend: Backend) {
    let service = Harness::start(backend).await;
    let cut = path("environmentHotfixes?&filter=environmentName%20eq%20%27My%20Cust%20&%20Co%27");
    let refused = service
        .reader()
        .get(cut)
        .by_the_client()
        .await
        .refused(400, "InvalidFilter");
    assert_eq!(refused.target(), "$filter");
}

async fn it_adds_principals_with_a_capital_type(backend: Backend) {
    let service = Harness::start(backend).await;
    let one = format!("/v1.3/apps/{APP}/principals/{}", Person::STRANGER.id);
    let body = json!({ "Type": "Application", "roles": ["Reader"] });
    let added = service
        .owner()
        .patch(&one, body)
        .by_the_client()
        .await
        .expect(200);
    assert_eq!(
        (added.property("type"), added.json().get("aadTenantId")),
        ("Application".into(), None)
    );
    let with_type = json!({ "type": "Application", "roles": ["Contributor"] });
    let changed = service
        .owner()
        .patch(&one, with_type)
        .by_the_client()
        .await
        .expect(200);
    assert_eq!(changed.json()["roles"], json!(["Contributor"]));
}

async fn it_downloads_with_an_empty_form(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("16.0.1.2").await;
    let contents = path("versions/16.0.1.2/getPackageContents");
    let request = service.reader().asks(Method::POST, contents).bytes("");
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .by_the_client();
    let answer = request.await.expect(200);
    assert_eq!(answer.body, bytes_of(&package("16.0.1.2")));
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert!(
        !answer.has_header("content-encoding"),
        "packages are sent as they are"
    );
}

async fn it_patches_incompatibility_flat_and_is_told_how_to(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("16.0.1.2").await;
    let flat =
        json!({ "appId": "63ca2fa4-4f03-4f2b-a480-172fef340d3f", "incompatibleFromVersion": "16.0.0.0" });
    let refused = service
        .owner()
        .patch(path("versions/16.0.1.2"), flat)
        .by_the_client()
        .await;
    let refused = refused.broke_rule("NothingWritable");
    assert!(
        refused.message().contains("\"dependencies\":[{\"appId\""),
        "{refused:?}"
    );
}

async fn it_uploads_and_changes_a_version(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner_user();
    let uploaded = owner
        .post(path("versions"), upload_body(&package("16.0.1.2"), "Preview"))
        .by_the_client()
        .await;
    assert_eq!(uploaded.expect(200).property("availability"), "Preview");
    let change = json!({ "availability": "Available" });
    let changed = owner
        .patch(path("versions/16.0.1.2"), change)
        .by_the_client()
        .await
        .expect(200);
    assert_eq!(changed.property("availability"), "Available");
    let read = owner
        .get(path("versions/16.0.1.2"))
        .by_the_client()
        .await
        .expect(200);
    assert_eq!(read.json(), changed.json());
}

async fn it_schedules_one_hotfix_per_environment_and_finds_the_one_in_the_way(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for version in ["16.0.0.5", "16.0.1.2"] {
        owner.has_uploaded(version).await;
    }
    let [environment, _] = two_environments(&service).await;
    let one = owner
        .get(path("environments/MyCustomer"))
        .by_the_client()
        .await
        .expect(200);
    assert_eq!(one.property("version"), "16.0.0.5");
    let body = environment.hotfix("16.0.1.2");
    let first = owner
        .post(path("environmentHotfixes"), body.clone())
        .by_the_client()
        .await
        .expect(200);
    let again = owner
        .post(path("environmentHotfixes"), body)
        .by_the_client()
        .await
        .broke_rule("AlreadyScheduled");
    assert!(again.message().contains("already been scheduled"), "{again:?}");
    assert_eq!(again.json()["extensionData"]["operationId"], first.json()["id"]);
    let cancel = path(&format!("environmentHotfixes/{}", first.property("id")));
    let canceled = owner
        .patch(cancel, json!({ "status": "Canceled" }))
        .by_the_client()
        .await
        .expect(200);
    assert_eq!(canceled.property("status"), "Canceled");
}

async fn it_sees_the_same_errors_in_both_places(backend: Backend) {
    let service = Harness::start(backend).await;
    let missing = service
        .reader()
        .get(path("versions/1.2.3.4"))
        .by_the_client()
        .await;
    let missing = missing.refused(404, "ResourceDoesNotExist");
    let body = missing.json();
    assert_eq!(missing.header("content-type"), "application/json; charset=utf-8");
    for member in ["code", "message", "target"] {
        assert_eq!(body[member], body["error"][member], "{member}");
        assert!(body[member].is_string(), "{member}");
    }
    let nobody = service
        .nobody()
        .get("/v1.3/apps")
        .by_the_client()
        .await
        .refused(401, "Unauthorized");
    assert!(
        nobody.header("www-authenticate").starts_with("Bearer "),
        "{nobody:?}"
    );
}
