//! `/apps/{appId}/principals`: who may, and that somebody always may.

use crate::harness::{Backend, CUSTOMER, HOME_TENANT, Harness, Person, on_both_databases, registration};
use serde_json::json;
use uuid::{Uuid, uuid};

on_both_databases!(
    principals_are_shown_as_documented_and_listed_by_id,
    a_user_has_a_tenant_and_an_application_has_none,
    an_existing_principal_needs_roles_only,
    type_and_tenant_never_change,
    roles_are_checked_and_collapse,
    several_roles_add_up,
    only_owners_change_principals,
    the_last_owner_stays,
    of_two_owners_who_remove_each_other_one_remains,
    removing_twice_finds_nothing,
    an_operator_can_always_add_an_owner,
    a_role_ends_with_the_request_that_takes_it,
    applications_are_known_by_either_id_and_users_by_tenant_too,
    path_and_body_must_name_the_same_principal,
    the_documented_filter_works,
);

const SOMEBODY: Uuid = uuid!("cccccccc-dddd-eeee-3333-444444444444");

fn path(id: Uuid) -> String {
    format!("/v1.4/apps/{}/principals/{id}", crate::harness::APP)
}

fn all() -> String {
    format!("/v1.4/apps/{}/principals", crate::harness::APP)
}

async fn principals_are_shown_as_documented_and_listed_by_id(backend: Backend) {
    let service = Harness::start(backend).await;
    let sent = json!({ "aadTenantId": HOME_TENANT, "Type": "User", "roles": ["Reader"] });
    let added = service.owner().patch(path(SOMEBODY), sent).await.expect(200);
    let expected = json!({
        "id": SOMEBODY, "type": "User", "aadTenantId": HOME_TENANT, "roles": ["Reader"], "_etag": added.etag(),
    });
    assert_eq!(added.json(), expected);
    assert_eq!(added.header("etag"), format!("W/\"{}\"", added.etag()));
    assert_eq!(
        service.reader().get(path(SOMEBODY)).await.expect(200).json(),
        expected
    );
    let application = service.reader().get(path(Person::OWNER.id)).await.expect(200);
    assert_eq!(application.json().get("aadTenantId"), None);
    let ids = service.reader().get(all()).await.expect(200).column("id");
    assert!(ids.is_sorted() && ids.len() == 6, "{ids:?}");
    service
        .reader()
        .get(path(Uuid::from_u128(1)))
        .await
        .refused(404, "ResourceDoesNotExist");
    service
        .reader()
        .get(format!("{}/nobody", all()))
        .await
        .refused(400, "InvalidInput");
}

async fn a_user_has_a_tenant_and_an_application_has_none(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let user = owner
        .patch(path(SOMEBODY), json!({ "type": "User", "roles": ["Reader"] }))
        .await;
    user.broke_rule("TenantRequired");
    let application = json!({ "type": "Application", "aadTenantId": HOME_TENANT, "roles": ["Reader"] });
    owner
        .patch(path(SOMEBODY), application)
        .await
        .broke_rule("TenantNotAllowed");
    owner
        .patch(path(SOMEBODY), json!({ "roles": ["Reader"] }))
        .await
        .broke_rule("TypeRequired");
    let device = json!({ "type": "Device", "roles": ["Reader"] });
    assert_eq!(
        owner
            .patch(path(SOMEBODY), device)
            .await
            .refused(400, "InvalidInput")
            .target(),
        "type"
    );
    let no_guid = json!({ "type": "User", "aadTenantId": "contoso.com", "roles": ["Reader"] });
    assert_eq!(
        owner
            .patch(path(SOMEBODY), no_guid)
            .await
            .refused(400, "InvalidInput")
            .target(),
        "aadTenantId"
    );
    owner
        .get(path(SOMEBODY))
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn an_existing_principal_needs_roles_only(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let before = owner.get(path(Person::READER_USER.id)).await.expect(200);
    let changed = owner
        .patch(path(Person::READER_USER.id), json!({ "roles": ["Contributor"] }))
        .await
        .expect(200);
    assert_eq!(changed.json()["roles"], json!(["Contributor"]));
    assert_eq!(changed.property("aadTenantId"), HOME_TENANT.to_string());
    assert_ne!(changed.etag(), before.etag());
    let same = owner
        .patch(path(Person::READER_USER.id), json!({ "roles": ["contributor"] }))
        .await
        .expect(200);
    assert_eq!(same.etag(), changed.etag());
}

async fn type_and_tenant_never_change(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let type_change = json!({ "type": "Application", "roles": ["Reader"] });
    owner
        .patch(path(Person::READER_USER.id), type_change)
        .await
        .broke_rule("ReadOnly");
    let tenant_change = json!({ "aadTenantId": CUSTOMER, "roles": ["Reader"] });
    owner
        .patch(path(Person::READER_USER.id), tenant_change)
        .await
        .broke_rule("ReadOnly");
    let to_application = json!({ "aadTenantId": CUSTOMER, "roles": ["Reader"] });
    owner
        .patch(path(Person::READER.id), to_application)
        .await
        .expect(400);
    owner.grants(&Person::READER_USER, &["Reader"]).await.expect(200);
}

async fn roles_are_checked_and_collapse(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let unknown = owner
        .grants(&Person::READER, &["Admin"])
        .await
        .refused(400, "InvalidInput");
    assert!(unknown.message().contains("Admin"), "{unknown:?}");
    owner
        .grants(&Person::READER, &[])
        .await
        .broke_rule("RolesRequired");
    owner
        .patch(path(SOMEBODY), json!({ "type": "Application" }))
        .await
        .broke_rule("RolesRequired");
    let not_a_list = owner
        .patch(path(Person::READER.id), json!({ "roles": "Reader" }))
        .await;
    not_a_list.refused(400, "InvalidInput");
    owner
        .asks(http::Method::PATCH, path(Person::READER.id))
        .await
        .refused(400, "RequestBodyRequired");
    let twice = owner
        .grants(&Person::READER, &["reader", "READER", "Owner", "Reader"])
        .await
        .expect(200);
    let mut roles = twice.json()["roles"].as_array().unwrap().clone();
    roles.sort_by_key(ToString::to_string);
    assert_eq!(roles, ["Owner", "Reader"]);
}

async fn several_roles_add_up(backend: Backend) {
    let service = Harness::start(backend).await;
    service
        .owner()
        .grants(&Person::READER, &["Reader", "Contributor"])
        .await
        .expect(200);
    service.reader().adds_country("DK").await.expect(200);
    service
        .owner()
        .grants(&Person::READER, &["Contributor"])
        .await
        .expect(200);
    service.reader().get(all()).await.expect(200);
}

async fn only_owners_change_principals(backend: Backend) {
    let service = Harness::start(backend).await;
    for caller in [service.contributor(), service.reader(), service.reader_user()] {
        let refused = caller
            .grants(&Person::STRANGER, &["Reader"])
            .await
            .refused(403, "Forbidden");
        assert!(refused.message().contains("Owner"), "{refused:?}");
        caller.removes(&Person::READER).await.refused(403, "Forbidden");
    }
    let seen = service.reader().removes(&Person::READER).await;
    assert!(
        seen.message().contains(&Person::READER.id.to_string()),
        "{seen:?}"
    );
    service
        .stranger()
        .grants(&Person::STRANGER, &["Owner"])
        .await
        .refused(404, "ResourceDoesNotExist");
    service
        .operator()
        .grants(&Person::STRANGER, &["Owner"])
        .await
        .refused(404, "ResourceDoesNotExist");
    service
        .owner_user()
        .grants(&Person::STRANGER, &["Reader"])
        .await
        .expect(200);
    service.stranger().get(all()).await.expect(200);
}

async fn the_last_owner_stays(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.removes(&Person::OWNER_USER).await.expect(204);
    owner.removes(&Person::OWNER).await.broke_rule("LastOwner");
    owner
        .grants(&Person::OWNER, &["Contributor"])
        .await
        .broke_rule("LastOwner");
    owner
        .grants(&Person::OWNER, &["Owner", "Reader"])
        .await
        .expect(200);
    let demotion = json!({ "type": "Application", "roles": ["Reader"] });
    let state = format!(
        "/operator/v1/apps/{}/principals/{}",
        crate::harness::APP,
        Person::OWNER.id
    );
    service
        .operator()
        .put(state, demotion)
        .await
        .broke_rule("LastOwner");
    owner.grants(&Person::OWNER_USER, &["Owner"]).await.expect(200);
    owner.grants(&Person::OWNER, &["Reader"]).await.expect(200);
    owner
        .grants(&Person::OWNER, &["Owner"])
        .await
        .refused(403, "Forbidden");
}

async fn of_two_owners_who_remove_each_other_one_remains(backend: Backend) {
    let service = Harness::start(backend).await;
    let (one, other) = (service.owner(), service.owner_user());
    for round in 0..12 {
        let (first, second) = tokio::join!(one.removes(&Person::OWNER_USER), other.removes(&Person::OWNER));
        let mut statuses = [first.status, second.status];
        statuses.sort();
        // Whoever comes second has no role any more.
        assert_eq!(statuses, [204, 404], "round {round}: {first:?} {second:?}");
        let (left, gone) = match first.status {
            204 => (&one, Person::OWNER_USER),
            _ => (&other, Person::OWNER),
        };
        left.grants(&gone, &["Owner"]).await.expect(200);
    }
}

async fn removing_twice_finds_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let gone = owner.removes(&Person::READER).await.expect(204);
    assert!(gone.body.is_empty());
    owner
        .removes(&Person::READER)
        .await
        .refused(404, "ResourceDoesNotExist");
    owner
        .removes(&Person::READER)
        .header("if-match", "*")
        .await
        .refused(412, "PreconditionFailed");
    let stale = owner
        .removes(&Person::CONTRIBUTOR)
        .header("if-match", "\"another\"")
        .await;
    stale.refused(412, "PreconditionFailed");
    let tag = owner.get(path(Person::CONTRIBUTOR.id)).await.etag();
    owner
        .removes(&Person::CONTRIBUTOR)
        .header("if-match", format!("W/\"{tag}\""))
        .await
        .expect(204);
}

async fn an_operator_can_always_add_an_owner(backend: Backend) {
    let service = Harness::start(backend).await;
    let state = format!(
        "/operator/v1/apps/{}/principals/{}",
        crate::harness::APP,
        Person::STRANGER.id
    );
    let body = json!({ "type": "Application", "roles": ["Owner"] });
    service.operator().put(&state, body.clone()).await.expect(200);
    service.stranger().removes(&Person::OWNER).await.expect(204);
    for caller in [service.owner(), service.stranger()] {
        assert_ne!(caller.put(&state, body.clone()).await.status, 200);
    }
    let again = registration();
    service
        .operator()
        .put(format!("/operator/v1/apps/{}", crate::harness::APP), again)
        .await
        .expect(200);
    assert!(
        service
            .owner()
            .get(all())
            .await
            .expect(200)
            .column("id")
            .contains(&Person::OWNER.id.to_string())
    );
}

async fn a_role_ends_with_the_request_that_takes_it(backend: Backend) {
    let service = Harness::start(backend).await;
    for _ in 0..5 {
        service.reader().get(all()).await.expect(200);
        service.owner().removes(&Person::READER).await.expect(204);
        service
            .reader()
            .get(all())
            .await
            .refused(404, "ResourceDoesNotExist");
        service
            .owner()
            .grants(&Person::READER, &["Reader"])
            .await
            .expect(200);
    }
}

async fn applications_are_known_by_either_id_and_users_by_tenant_too(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let body = json!({ "type": "Application", "roles": ["Reader"] });
    owner
        .patch(path(Person::STRANGER.service_principal()), body)
        .await
        .expect(200);
    service.stranger().get(all()).await.expect(200);
    // The same object id in another tenant is somebody else.
    owner.removes(&Person::READER_USER).await.expect(204);
    let elsewhere = json!({ "type": "User", "aadTenantId": CUSTOMER, "roles": ["Reader"] });
    owner
        .patch(path(Person::READER_USER.id), elsewhere)
        .await
        .expect(200);
    service
        .reader_user()
        .get(all())
        .await
        .refused(404, "ResourceDoesNotExist");
    // An id of the other kind is somebody else, too.
    let as_application = json!({ "type": "Application", "roles": ["Owner"] });
    owner.removes(&Person::OWNER_USER).await.expect(204);
    owner
        .patch(path(Person::OWNER_USER.id), as_application)
        .await
        .expect(200);
    service
        .owner_user()
        .get(all())
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn path_and_body_must_name_the_same_principal(backend: Backend) {
    let service = Harness::start(backend).await;
    let body = json!({ "id": SOMEBODY, "roles": ["Reader"] });
    let answer = service.owner().patch(path(Person::READER.id), body).await;
    assert_eq!(answer.refused(400, "InvalidInput").target(), "id");
    let braced = json!({ "ID": format!("{{{}}}", Person::READER.id).to_uppercase(), "roles": ["Reader"] });
    service
        .owner()
        .patch(path(Person::READER.id), braced)
        .await
        .expect(200);
}

async fn the_documented_filter_works(backend: Backend) {
    let service = Harness::start(backend).await;
    let found = |filter: &'static str| {
        let reader = service.reader();
        async move {
            reader
                .get(format!("{}?$filter={filter}", all()))
                .await
                .expect(200)
                .column("id")
        }
    };
    assert_eq!(
        found("type eq 'User' and 'Owner' in roles").await,
        [Person::OWNER_USER.id.to_string()]
    );
    assert_eq!(
        found("type eq 'user' and roles/any(r:r eq 'owner')").await,
        [Person::OWNER_USER.id.to_string()]
    );
    assert_eq!(
        found("aadTenantId eq null and 'Reader' in roles").await,
        [Person::READER.id.to_string()]
    );
    assert_eq!(
        found("not ('Owner' in roles) and type eq 'User'").await,
        [Person::READER_USER.id.to_string()]
    );
}
