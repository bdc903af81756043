//! Examples in the description, and what of an answer the next request is made of: enough for a program that knows
//! nothing else to call every operation. They are of the sample data of `fame dev`, whose ids are the same everywhere, and
//! `tests/python/openapi_walk.py` sends them.

use serde_json::{Map, Value, json};

/// An app, the Contoso Sales Pack.
const APP: &str = "9bc02177-a149-5454-a3d8-fe1ba4004a2b";
/// The tenant of its publisher.
const PUBLISHER: &str = "972ea18d-3019-51d0-abbf-624916612301";
/// The tenant of a customer in Atlanta.
const CUSTOMER: &str = "727b8618-d2c2-5575-8be4-49801cb98a74";
const FAMILY: &str = "Business Central";
const ENVIRONMENT: &str = "Atlanta-Production";
/// An environment of the customer whose administrator is among the clients of `fame dev`.
const CUSTOMERS_ENVIRONMENT: &str = "Seattle-Branch";
/// An application with a role on the app, and one without.
const READER: &str = "6bd0a7ea-a9c5-5aa3-9269-c34efb0f29a1";
const FROZEN: &str = "principal:074d58c9-b1c6-52c8-9558-02186215bd07";
const AGENT: &str = "hosting-eu";
/// What only an answer tells: a hotfix, an operation and what it is held by, and a code.
const OPERATION: &str = "aaaa0000-bb11-2222-33cc-444444dddddd";
const LEASE: &str = "bbbb1111-cc22-3333-44dd-555555eeeeee";
const CODE: &str = "fameenr_wNZ8kUqVjvJFrYJ4nDh2S0kXo9tQeGmTc5bA1pLx";
/// A webhook of the app, one of the operator's, and something that it was told.
const WEBHOOK: &str = "dddd3333-ee44-5555-66ff-777777aaaaaa";
const OPERATORS_WEBHOOK: &str = "ffff5555-aa66-7777-88bb-999999cccccc";
/// A trusted publisher, and a token of a pipeline's run.
const PUBLISHER_OF_APP: &str = "aaaa7777-bb88-9999-00cc-dddddd111111";
const RUN: &str =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlLmNvbSJ9.c2lnbmVk";
/// A freeze of the app.
const FREEZE: &str = "bbbb8888-cc99-0000-11dd-eeeeee222222";
const EVENT: &str = "eeee4444-ff55-6666-77aa-888888bbbbbb";
const SESSION: &str = "cccc2222-dd33-4444-55ee-666666ffffff";

/// A package of the app with nothing in it but its manifest, in a version that nobody has uploaded.
const PACKAGE: &str = "\
    TkFWWCgAAAACAAAAdrjIerNUXc6sBl1BNqfweyACAAAAAAAATkFWWFBLAwQUAAAACAAAACFcgA6R9MIAAADzAAAAEAAAAE5h\
    dnhNYW5pZmVzdC54bWw9j02LwjAURff+ivD2+arpqENTEVduRGZg9q9pasM0SWlS8efbgri83Mvh3Or49AN52Cm5GDRIJoDY\
    YGLrwl3DnDu6h2O9qW5o/vFuybIOSUOf8/jNeTK99ZiYd2aKKXaZmeh5wMeTF0KW3GNwnU0Z6uo0juTSajg0RhRyt6Mo1YGW\
    qlQUt+2edlY2qIRQWDRAruithnMMecGSXxxsIqsCkNvcDC71dvrUQP4++l9Msu364WcO2a0MWS6R1xV/P6g3L1BLAwQUAAAA\
    CAAAACFc9Ytn5mwAAAB3AAAAEgAAAE1lZGlhSWRMaXN0aW5nLnhtbCXLwQrCMAwA0Pu+ouRus3kQkXU7C/oRpe1cYE1kiWOf\
    78Tz4/XjXhe3lVVJOEDnW3CFk2TiV4CPTacrjEPTP0umeM8PUjvEHYk1wGz2viFqmkuN6iulVVQm80kqctx2PLfdBesvU17+\
    GXBovlBLAQIUAxQAAAAIAAAAIVyADpH0wgAAAPMAAAAQAAAAAAAAAAAAAACAAQAAAABOYXZ4TWFuaWZlc3QueG1sUEsBAhQD\
    FAAAAAgAAAAhXPWLZ+ZsAAAAdwAAABIAAAAAAAAAAAAAAIAB8AAAAE1lZGlhSWRMaXN0aW5nLnhtbFBLBQYAAAAAAgACAH4A\
    AACMAQAAAAA=";

/// An answer and what of it goes into another request: the operation that answers, how the link is called, the operation that
/// is asked, and its parameters.
type Link = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// The parameters of the address that an answer is about.
const SAME_COUNTRY: [(&str, &str); 2] = [
    ("appId", "$request.path.appId"),
    ("countryCode", "$request.path.countryCode"),
];

const LINKS: [Link; 9] = [
    (
        "list_apps",
        "firstApp",
        "get_app",
        &[("appId", "$response.body#/value/0/id")],
    ),
    (
        "upload_version",
        "uploaded",
        "get_version",
        &[
            SAME_COUNTRY[0],
            SAME_COUNTRY[1],
            ("versionNumber", "$response.body#/version"),
        ],
    ),
    (
        "upload_version",
        "package",
        "get_package_contents",
        &[
            SAME_COUNTRY[0],
            SAME_COUNTRY[1],
            ("versionNumber", "$response.body#/version"),
        ],
    ),
    (
        "list_hotfixes",
        "newestHotfix",
        "get_hotfix",
        &[
            SAME_COUNTRY[0],
            SAME_COUNTRY[1],
            ("id", "$response.body#/value/0/id"),
        ],
    ),
    (
        "schedule_hotfix",
        "scheduled",
        "get_hotfix",
        &[SAME_COUNTRY[0], SAME_COUNTRY[1], ("id", "$response.body#/id")],
    ),
    (
        "schedule_hotfix",
        "toCancel",
        "update_hotfix",
        &[SAME_COUNTRY[0], SAME_COUNTRY[1], ("id", "$response.body#/id")],
    ),
    (
        "claim_operations",
        "package",
        "get_operation_package",
        &[("id", "$response.body#/operations/0/operationId")],
    ),
    (
        "claim_operations",
        "goesOn",
        "renew_operation",
        &[("id", "$response.body#/operations/0/operationId")],
    ),
    (
        "claim_operations",
        "ended",
        "finish_operation",
        &[("id", "$response.body#/operations/0/operationId")],
    ),
];

/// What is sent in a parameter of an address that looks like this.
fn parameter(path: &str, name: &str) -> Option<&'static str> {
    Some(match name {
        "appId" => APP,
        "countryCode" => "US",
        "versionNumber" => "16.0.0.5",
        "targetAppVersion" => "16.1.1.0",
        "aadTenantId" => CUSTOMER,
        "applicationFamily" => FAMILY,
        "environmentName" => CUSTOMERS_ENVIRONMENT,
        "partnerTenantId" => PUBLISHER,
        "objectId" => READER,
        "name" if path.contains("/agents/") => AGENT,
        "name" => ENVIRONMENT,
        "id" if path.contains("/principals/") => READER,
        "id" if path.starts_with("/operator/v1/webhooks/") => OPERATORS_WEBHOOK,
        "id" if path.contains("/webhooks/") => WEBHOOK,
        "id" if path.contains("/trustedPublishers/") => PUBLISHER_OF_APP,
        "id" if path.contains("/freezes/") => FREEZE,
        "eventId" => EVENT,
        "id" => OPERATION,
        "subject" => FROZEN,
        "from" => "kept",
        "follow" => "false",
        "fame-agent-session" => SESSION,
        _ => return None,
    })
}

/// What is sent to an operation.
fn body(operation: &str) -> Option<Value> {
    let principal = || json!({ "type": "Application", "roles": ["Reader"] });
    Some(match operation {
        "patch_country" => json!({ "countryCode": "US" }),
        "patch_principal" | "put_principal" => principal(),
        "upload_version" => json!({ "initialAvailability": "Preview", "packageContents": PACKAGE }),
        "what_if_version" => json!({ "availability": "Deprecated" }),
        "patch_version" => json!({ "availability": "Available" }),
        "schedule_hotfix" => json!({
            "environmentAadTenantId": CUSTOMER,
            "targetAppVersion": "16.1.1.0",
            "runAfter": "2099-01-31T20:00:00Z",
            "environmentApplicationFamily": FAMILY,
            "environmentName": ENVIRONMENT,
        }),
        "update_hotfix" => json!({ "status": "Canceled" }),
        "put_app" => json!({
            "publisher": "Contoso",
            "publisherAadTenantId": PUBLISHER,
            "publisherContactEmail": "apps@contoso.com",
            "storageLocation": "West Europe",
        }),
        "patch_app" => json!({ "publisherContactEmail": "apps@contoso.com" }),
        "put_environment" => json!({
            "countryCode": "US",
            "type": "Production",
            "window": { "start": "19:00", "end": "05:00", "timeZone": "Eastern Standard Time" },
            "inventoryComplete": true,
            "apps": [{ "id": APP, "version": "16.1.0.0" }],
        }),
        "patch_environment" => json!({
            "window": { "start": "19:00", "end": "05:00", "timeZone": "Eastern Standard Time" },
        }),
        "rebind_environment" => json!({ "agent": AGENT }),
        "put_customer" => json!({
            "displayName": "Contoso Atlanta",
            "domain": "atlanta.contoso.com",
            "clients": [READER],
            "partners": [{ "tenantId": PUBLISHER, "expiresOn": "2027-01-31T00:00:00Z" }],
        }),
        "put_upgrade_settings" => json!({
            "preferredStartTime": "20:00",
            "preferredEndTime": "06:00",
            "timeZoneId": "Pacific Standard Time",
        }),
        "put_update_cadence" => json!({ "value": "DuringMajorUpgrade" }),
        "install_app" => json!({ "acceptIsvEula": true, "useEnvironmentUpdateWindow": true }),
        "update_app" => json!({ "targetVersion": "16.1.1.0", "useEnvironmentUpdateWindow": true }),
        "uninstall_app" => json!({ "uninstallDependents": true, "useEnvironmentUpdateWindow": true }),
        "cancel_app_operation" => json!({ "ScheduledOperationId": OPERATION }),
        "postpone_operation" => json!({ "until": "2099-02-01T20:00:00Z", "reason": "It is month end." }),
        "put_webhook" | "put_any_webhook" => {
            json!({ "url": "https://hooks.contoso.com/fame", "events": ["hotfix.*"] })
        }
        "put_trusted_publisher" => json!({
            "provider": "Custom",
            "repository": "contoso/sales-pack",
            "repositoryId": "123456789",
            "ownerId": "9876543",
            "workflow": ".github/workflows/release.yml",
            "refPattern": "refs/heads/main",
        }),
        "put_tags" => json!({ "tags": ["ring0", "early adopter"] }),
        "change_tags" => json!({ "filter": "type eq 'Sandbox'", "add": ["ring0"], "remove": ["hold"] }),
        "put_app_freeze" => json!({
            "from": "2098-12-20T00:00:00+01:00",
            "to": "2099-01-04T00:00:00+01:00",
            "types": ["Production"],
            "reason": "Our support is closed between the years.",
        }),
        "plan_rollout" | "create_rollout" => json!({
            "name": "The tax fix",
            "targetAppVersion": "16.1.1.0",
            "runAfter": "2099-01-31T20:00:00Z",
            "select": { "countries": ["US"], "filter": "type eq 'Production'" },
            "waves": [
                { "name": "canary", "take": { "count": 1 }, "proceed": { "soak": "PT4H" } },
                { "name": "rest", "take": "rest" },
            ],
        }),
        "approve_rollout" | "reject_rollout" => json!({ "remark": "It was tried in the sandbox." }),
        "pause_rollout" | "resume_rollout" | "abort_rollout" => json!({ "reason": "A call from support." }),
        "advance_rollout" => json!({ "wave": "canary" }),
        "retry_rollout" => json!({}),
        "put_approval_policy" => json!({ "approval": "ProductionAbove", "productionAbove": 100 }),
        "exchange_oidc_token" => json!({ "token": RUN }),
        "put_freeze" => json!({ "reason": "Its secret was found in a public repository." }),
        "put_agent" => json!({ "scope": { "tenants": [CUSTOMER] } }),
        "rotate_agent" => json!({ "revoke": false }),
        "enrol_agent" => json!({ "code": CODE }),
        "report_leaked_tokens" => json!({ "tokens": [CODE] }),
        "put_inventory" | "patch_inventory" => json!({ "sequence": 1, "environments": [] }),
        "claim_operations" => json!({ "max": 10 }),
        "renew_operation" => json!({ "leaseId": LEASE, "progress": { "percent": 50, "step": "Publish" } }),
        "finish_operation" => {
            json!({ "leaseId": LEASE, "status": "Succeeded", "installedVersion": "16.1.1.0" })
        }
        _ => return None,
    })
}

/// Adds examples and links to every operation of a document.
pub(super) fn add(document: &mut Value) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        let operations = item.as_object_mut().into_iter().flatten();
        for (_, operation) in operations {
            add_to(path, operation);
        }
    }
}

fn add_to(path: &str, operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for of_it in parameters.into_iter().flatten().filter_map(Value::as_object_mut) {
        let name = of_it.get("name").and_then(Value::as_str).unwrap_or_default();
        let is_flag = of_it
            .get("schema")
            .is_some_and(|schema| schema["type"] == "boolean");
        if let Some(example) = parameter(path, name) {
            let example = match is_flag {
                true => Value::Bool(example == "true"),
                false => example.into(),
            };
            of_it.insert("example".to_owned(), example);
        }
    }
    let content = operation.pointer_mut("/requestBody/content/application~1json");
    if let (Some(Value::Object(content)), Some(example)) = (content, body(&id)) {
        content.insert("example".to_owned(), example);
    }
    if let Some(Value::Object(answer)) = operation.pointer_mut("/responses/200") {
        let links = links_from(&id);
        if !links.is_empty() {
            answer.insert("links".to_owned(), links.into());
        }
    }
}

fn links_from(operation: &str) -> Map<String, Value> {
    let from = LINKS.iter().filter(|(from, ..)| *from == operation);
    from.map(|(_, name, to, parameters)| {
        let parameters: Map<_, _> = parameters
            .iter()
            .map(|(parameter, value)| ((*parameter).to_owned(), Value::from(*value)))
            .collect();
        (
            (*name).to_owned(),
            json!({ "operationId": to, "parameters": parameters }),
        )
    })
    .collect()
}
