//! The description of all types that generic OData clients read: it must be well formed, and say of every entity what
//! `wire` writes.

use crate::{
    every_operation::{CallerKind, Fixture, Guard, Role, samples},
    harness::{APP, Backend, Harness},
};
use http::Method;
use roxmltree::{Document, Node};
use std::collections::{BTreeMap, BTreeSet};
use wire::{
    Entity,
    apps::{AllowedAction, App, RolePermissions},
    countries::Country,
    environments::Environment,
    freezes::AppFreeze,
    history::EnvironmentHistory,
    hotfixes::{EnvironmentHotfix, PlanReason, PlanRow},
    operator::{
        Actor, AuditRow, Freeze, Identity, InstalledApp, OperationRow, Owner, Partner, RegisteredAgent,
        RegisteredApp, RegisteredCustomer, RegisteredEnvironment, RegisteredPrincipal, Scope, Window,
    },
    principals::Principal,
    publishers::{Token, TrustedPublisher},
    rollouts::{
        ApprovalPolicy, Rollout, RolloutApproval, RolloutCounts, RolloutEnvironment, RolloutFailure,
        RolloutWarning, RolloutWave,
    },
    versions::{Dependency, MissingDependency, UploadedVersion, Version},
    webhooks::{Webhook, WebhookDelivery},
};

const EDM: &str = "http://docs.oasis-open.org/odata/ns/edm";
const EDMX: &str = "http://docs.oasis-open.org/odata/ns/edmx";

/// The document as it is served.
async fn served() -> String {
    let service = Harness::with(Backend::Sqlite).start_empty().await;
    let answer = service.stranger().get("/v1.4/$metadata").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/xml");
    assert_eq!(answer.header("odata-version"), "4.0");
    answer.text()
}

/// The one of the operator API.
async fn served_to_operators() -> String {
    let service = Harness::with(Backend::Sqlite).start_empty().await;
    let answer = service.operator().get("/operator/v1/$metadata").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/xml");
    service
        .owner()
        .get("/operator/v1/$metadata")
        .await
        .refused(403, "Forbidden");
    answer.text()
}

/// A structured type of the document.
#[derive(Debug, PartialEq)]
struct Described {
    keys: Vec<String>,
    properties: Vec<String>,
}

impl Described {
    fn read(node: Node<'_, '_>) -> Self {
        let key = children(node, "Key").next();
        Self {
            keys: key.map(|key| names(key, "PropertyRef")).unwrap_or_default(),
            properties: names(node, "Property"),
        }
    }

    /// What `wire` writes.
    fn entity<E: Entity>() -> Self {
        Self {
            keys: owned(E::KEYS),
            ..Self::complex::<E>()
        }
    }

    /// The same for a type that lives only within others, and has no key there.
    fn complex<E: Entity>() -> Self {
        Self {
            keys: Vec::new(),
            properties: owned(E::PROPERTIES),
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn children<'a, 'input: 'a>(
    node: Node<'a, 'input>,
    tag: &'a str,
) -> impl Iterator<Item = Node<'a, 'input>> + use<'a, 'input> {
    node.children()
        .filter(move |child| child.has_tag_name((EDM, tag)))
}

fn names(node: Node<'_, '_>, tag: &str) -> Vec<String> {
    children(node, tag)
        .map(|child| child.attribute("Name").unwrap().to_owned())
        .collect()
}

fn schema<'a, 'input>(document: &'a Document<'input>) -> Node<'a, 'input> {
    let mut schemas = document
        .descendants()
        .filter(|node| node.has_tag_name((EDM, "Schema")));
    let schema = schemas.next().unwrap();
    assert!(schemas.next().is_none(), "more than one schema");
    schema
}

/// The element type of `Collection(T)`, or the type itself.
fn element_type(of: &str) -> &str {
    of.strip_prefix("Collection(")
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(of)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_has_the_properties_that_are_written_in_their_order() {
    let text = served().await;
    let document = Document::parse(&text).unwrap();
    let mut described = BTreeMap::new();
    for node in schema(&document).children().filter(|node| node.is_element()) {
        if ["EntityType", "ComplexType"].contains(&node.tag_name().name()) {
            described.insert(node.attribute("Name").unwrap().to_owned(), Described::read(node));
        }
    }
    let written = BTreeMap::from([
        ("app".into(), Described::entity::<App>()),
        ("country".into(), Described::entity::<Country>()),
        ("principal".into(), Described::entity::<Principal>()),
        ("version".into(), Described::entity::<Version>()),
        ("uploadedVersion".into(), Described::entity::<UploadedVersion>()),
        ("environment".into(), Described::entity::<Environment>()),
        (
            "environmentHistory".into(),
            Described::entity::<EnvironmentHistory>(),
        ),
        (
            "environmentHotfix".into(),
            Described::entity::<EnvironmentHotfix>(),
        ),
        ("webhook".into(), Described::entity::<Webhook>()),
        ("webhookDelivery".into(), Described::entity::<WebhookDelivery>()),
        ("trustedPublisher".into(), Described::entity::<TrustedPublisher>()),
        ("token".into(), Described::entity::<Token>()),
        ("appFreeze".into(), Described::entity::<AppFreeze>()),
        ("rollout".into(), Described::entity::<Rollout>()),
        (
            "rolloutEnvironment".into(),
            Described::entity::<RolloutEnvironment>(),
        ),
        ("rolloutCounts".into(), Described::complex::<RolloutCounts>()),
        ("rolloutWave".into(), Described::complex::<RolloutWave>()),
        ("rolloutFailure".into(), Described::complex::<RolloutFailure>()),
        ("rolloutApproval".into(), Described::complex::<RolloutApproval>()),
        ("rolloutWarning".into(), Described::complex::<RolloutWarning>()),
        ("approvalPolicy".into(), Described::complex::<ApprovalPolicy>()),
        ("dependency".into(), Described::complex::<Dependency>()),
        (
            "missingDependency".into(),
            Described::complex::<MissingDependency>(),
        ),
        ("allowedAction".into(), Described::complex::<AllowedAction>()),
        ("role".into(), Described::complex::<RolePermissions>()),
        ("planRow".into(), Described::complex::<PlanRow>()),
        ("planReason".into(), Described::complex::<PlanReason>()),
    ]);
    assert_eq!(described, written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_see_is_described_too() {
    let text = served_to_operators().await;
    let document = Document::parse(&text).unwrap();
    let mut described = BTreeMap::new();
    let mut declared = BTreeSet::new();
    for node in schema(&document).children().filter(|node| node.is_element()) {
        if ["EntityType", "ComplexType"].contains(&node.tag_name().name()) {
            let name = node.attribute("Name").unwrap().to_owned();
            declared.insert(format!("{}.{name}", wire::csdl::NAMESPACE));
            described.insert(name, Described::read(node));
        }
    }
    let written = BTreeMap::from([
        (RegisteredApp::NAME.into(), Described::entity::<RegisteredApp>()),
        (
            RegisteredPrincipal::NAME.into(),
            Described::entity::<RegisteredPrincipal>(),
        ),
        (Freeze::NAME.into(), Described::entity::<Freeze>()),
        (Webhook::NAME.into(), Described::entity::<Webhook>()),
        (
            WebhookDelivery::NAME.into(),
            Described::entity::<WebhookDelivery>(),
        ),
        (
            RegisteredEnvironment::NAME.into(),
            Described::entity::<RegisteredEnvironment>(),
        ),
        (
            EnvironmentHistory::NAME.into(),
            Described::entity::<EnvironmentHistory>(),
        ),
        (
            RegisteredAgent::NAME.into(),
            Described::entity::<RegisteredAgent>(),
        ),
        (OperationRow::NAME.into(), Described::entity::<OperationRow>()),
        (AuditRow::NAME.into(), Described::entity::<AuditRow>()),
        (Owner::NAME.into(), Described::complex::<Owner>()),
        (Window::NAME.into(), Described::complex::<Window>()),
        (InstalledApp::NAME.into(), Described::complex::<InstalledApp>()),
        (Scope::NAME.into(), Described::complex::<Scope>()),
        (Identity::NAME.into(), Described::complex::<Identity>()),
        (Actor::NAME.into(), Described::complex::<Actor>()),
        (
            RegisteredCustomer::NAME.into(),
            Described::entity::<RegisteredCustomer>(),
        ),
        (Partner::NAME.into(), Described::complex::<Partner>()),
    ]);
    assert_eq!(described, written);
    for node in schema(&document).descendants() {
        for named in ["Type", "EntityType"]
            .iter()
            .filter_map(|name| node.attribute(*name))
        {
            let named = element_type(named);
            assert!(
                named.starts_with("Edm.") || declared.contains(named),
                "{named} is not declared"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_names_metadata_that_exists() {
    let fixture = Fixture::set(Backend::Sqlite).await;
    let mut found = 0;
    for operation in
        crate::every_operation::described(&serde_json::from_str(&server::openapi_json()).unwrap())
    {
        let all = samples();
        let sample = all
            .iter()
            .find(|sample| sample.operation == operation.id)
            .unwrap();
        let who = match sample.guard {
            Guard::AnyToken | Guard::Role(_) => CallerKind::Holder(Role::Owner),
            Guard::Operator => CallerKind::Operator,
            Guard::Public | Guard::Agent | Guard::OwnToken | Guard::Run | Guard::Administrator(_) => continue,
        };
        if operation.method != Method::GET {
            continue;
        }
        let answer = fixture
            .request(who, sample, &operation)
            .header("odata-version", "4.0")
            .await
            .expect(200);
        if !answer.header("content-type").starts_with("application/json") {
            continue;
        }
        let body = answer.json();
        let context = body["@odata.context"].as_str().unwrap_or_default();
        let (metadata, fragment) = context.split_once('#').unwrap_or((context, ""));
        let path = metadata.replace(&fixture.service.base_url(), "");
        let caller = fixture.service.caller(&who.person().unwrap());
        let text = caller.get(&path).await.expect(200).text();
        let set = fragment.split(['(', '/']).next().unwrap();
        let is_there =
            ["", "Collection"].contains(&set) || text.contains(&format!("<EntitySet Name=\"{set}\""));
        assert!(is_there, "{}: {context}", sample.operation);
        found += 1;
    }
    assert!(found > 15, "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_that_is_named_is_there() {
    let text = served().await;
    let document = Document::parse(&text).unwrap();
    let schema = schema(&document);
    let namespace = schema.attribute("Namespace").unwrap();
    let declared: BTreeSet<_> = schema
        .children()
        .filter_map(|node| node.attribute("Name").map(|name| format!("{namespace}.{name}")))
        .collect();
    let mut navigations = 0;
    for node in schema.descendants() {
        for attribute in ["Type", "EntityType"] {
            let Some(named) = node.attribute(attribute).map(element_type) else {
                continue;
            };
            assert!(
                named.starts_with("Edm.") || declared.contains(named),
                "{named} is not declared"
            );
        }
        navigations += usize::from(node.has_tag_name((EDM, "NavigationProperty")));
    }
    assert_eq!(
        navigations, 14,
        "apps contain eight collections; countries contain three more, environments a history, webhooks deliveries, and \
         rollouts environments"
    );
}

/// What is said of a property of a record, which stands in an annotation or in the record of another.
fn said(of: Node<'_, '_>, term: &str, property: &str) -> bool {
    let whole = format!("Org.OData.Capabilities.V1.{term}");
    let is_it = |node: &Node<'_, '_>| {
        node.attribute("Term") == Some(&whole) || node.attribute("Property") == Some(term)
    };
    let annotation = of.children().find(is_it);
    let annotation = annotation.unwrap_or_else(|| panic!("{term} is not said"));
    let mut values = annotation.descendants();
    let value = values.find(|node| node.attribute("Property") == Some(property));
    value.unwrap().attribute("Bool") == Some("true")
}

/// The verbs of the description at the collection that is reached by these words, and at its members.
fn verbs(root: &str, words: &[&str]) -> [BTreeSet<String>; 2] {
    let document: serde_json::Value = serde_json::from_str(&server::openapi_json()).unwrap();
    let mut verbs = [BTreeSet::new(), BTreeSet::new()];
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(path) = path.strip_prefix(root) else {
            continue;
        };
        let literals = path
            .split('/')
            .filter(|segment| !segment.is_empty() && !segment.starts_with('{'));
        if literals.eq(words.iter().copied()) {
            let of_members = usize::from(path.ends_with('}'));
            verbs[of_members].extend(item.as_object().unwrap().keys().cloned());
        }
    }
    verbs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_says_can_be_done_is_what_is_served() {
    let mut looked_at = 0;
    for (root, text) in [
        ("/v1.0", served().await),
        ("/operator/v1", served_to_operators().await),
    ] {
        let document = Document::parse(&text).unwrap();
        let mut containers = children(schema(&document), "EntityContainer");
        for set in children(containers.next().unwrap(), "EntitySet") {
            let name = set.attribute("Name").unwrap();
            assert!(!said(set, "ExpandRestrictions", "Expandable"), "{name}");
            let below = set
                .descendants()
                .filter(|node| node.has_attribute("NavigationPropertyPath"));
            let below = below.map(|node| {
                let path = node.attribute("NavigationPropertyPath").unwrap();
                (format!("{name}/{path}"), node.parent().unwrap())
            });
            for (path, restricted) in below.chain([(name.to_owned(), set)]) {
                let [of_collection, of_members] = verbs(root, &path.split('/').collect::<Vec<_>>());
                let may = |term, property| said(restricted, term, property);
                assert!(!may("SearchRestrictions", "Searchable"), "{path}");
                let is_added = may("InsertRestrictions", "Insertable");
                assert_eq!(is_added, of_collection.contains("post"), "{path}");
                let is_changed = of_members.contains("put") || of_members.contains("patch");
                assert_eq!(may("UpdateRestrictions", "Updatable"), is_changed, "{path}");
                let is_removed = of_members.contains("delete");
                assert_eq!(may("DeleteRestrictions", "Deletable"), is_removed, "{path}");
                looked_at += 1;
            }
        }
        let below = document
            .descendants()
            .filter(|node| node.has_tag_name((EDM, "NavigationProperty")));
        let restricted = document
            .descendants()
            .filter(|node| node.has_attribute("NavigationPropertyPath"));
        assert_eq!(
            below.count(),
            restricted.count(),
            "{root}: every collection below another is spoken of"
        );
    }
    assert_eq!(looked_at, 26);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_says_is_not_there_is_not() {
    let service = Harness::with(Backend::Sqlite).start_empty().await;
    let stranger = service.stranger();
    for query in [
        "$expand=countries",
        "$search=x",
        "$filter=cast(id,Edm.String) eq 'x'",
    ] {
        stranger.get(format!("/v1.4/apps?{query}")).await.expect(501);
    }
    stranger
        .post("/v1.4/$batch", serde_json::json!({}))
        .await
        .expect(404);
    let text = served().await;
    for tag in [
        "BatchSupported",
        "AsynchronousRequestsSupported",
        "CrossJoinSupported",
    ] {
        let said = format!("<Annotation Term=\"Org.OData.Capabilities.V1.{tag}\" Bool=\"false\"/>");
        assert!(text.contains(&said), "{tag}");
    }
    assert!(!text.contains("<String>cast</String>"));
    for (word, filter) in [
        ("contains", "contains(publisher,'x')"),
        ("in", "publisher in ('x','y')"),
        ("divby", "length(publisher) divby 2 gt 1"),
        ("matchesPattern", "matchesPattern(publisher,'x')"),
        ("any", "publisher ne null"),
    ] {
        assert!(text.contains(&format!("<String>{word}</String>")), "{word}");
        stranger
            .get(format!("/v1.4/apps?$filter={filter}"))
            .await
            .expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_called_is_declared_and_can_be_called_so() {
    let text = served().await;
    let document = Document::parse(&text).unwrap();
    let mut declared = BTreeSet::new();
    for (tag, verb) in [("Function", "get"), ("Action", "post")] {
        declared.extend(names(schema(&document), tag).into_iter().map(|name| (name, verb)));
    }
    let openapi: serde_json::Value = serde_json::from_str(&server::openapi_json()).unwrap();
    let mut served = BTreeSet::new();
    let collections = names_of_collections(&document);
    for (path, item) in openapi["paths"].as_object().unwrap() {
        let last = path.rsplit('/').next().unwrap();
        let is_called =
            path.starts_with("/v1.0/") && !last.starts_with(['{', '$']) && !collections.contains(last);
        // Neither a stream of events, nor a preview, nor words on an environment are anything of OData's.
        let is_called = is_called && !["events", "whatIf", "tags"].contains(&last);
        // What is posted may be had by GET too; it is declared once.
        let verb = ["post", "get"].into_iter().find(|verb| item.get(verb).is_some());
        served.extend(verb.filter(|_| is_called).map(|verb| (last.to_owned(), verb)));
    }
    assert_eq!(declared, served);

    let service = Harness::start(Backend::Sqlite).await;
    service.owner().has_uploaded("16.0.1.2").await;
    let reader = service.reader();
    let app = format!("/v1.4/apps({APP})");
    reader
        .get(format!("{app}/AppManagement.roles()"))
        .await
        .expect(200);
    let permissions = format!("{app}/AppManagement.getMyPermissions");
    reader.asks(Method::POST, permissions).await.expect(200);
    let plan = "countries('US')/environmentHotfixes/AppManagement.plan(targetAppVersion='16.0.1.2')";
    let by_function = reader.get(format!("{app}/{plan}")).await.expect(200);
    let by_option = reader.get(reader.us("environmentHotfixes/plan?targetAppVersion=16.0.1.2"));
    assert_eq!(by_function.json(), by_option.await.expect(200).json());
    // With all that the function is described to take.
    let parameters = "targetAppVersion='16.0.1.2',runAfter=2099-01-31T20:00:00Z,ignoreUpgradeWindow=true";
    let plan = format!("countries('US')/environmentHotfixes/plan({parameters})");
    reader.get(format!("{app}/{plan}")).await.expect(200);
    let late = plan.replace("2099", "20x9");
    let refused = reader
        .get(format!("{app}/{late}"))
        .await
        .refused(400, "InvalidInput");
    assert_eq!(refused.target(), "runAfter");
    let plan = document
        .descendants()
        .find(|node| node.has_tag_name((EDM, "Function")) && node.attribute("Name") == Some("plan"));
    let parameters = plan
        .unwrap()
        .children()
        .filter(|node| node.has_tag_name((EDM, "Parameter")));
    let types: Vec<_> = parameters
        .map(|node| (node.attribute("Name").unwrap(), node.attribute("Type").unwrap()))
        .collect();
    let optional = [
        ("runAfter", "Edm.DateTimeOffset"),
        ("ignoreUpgradeWindow", "Edm.Boolean"),
    ];
    assert_eq!(types[2..], optional);
}

fn names_of_collections(document: &Document<'_>) -> BTreeSet<String> {
    let collections = document.descendants().filter(|node| {
        node.has_tag_name((EDM, "NavigationProperty")) || node.has_tag_name((EDM, "EntitySet"))
    });
    collections
        .map(|node| node.attribute("Name").unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_never_null() {
    let text = served().await;
    let document = Document::parse(&text).unwrap();
    for entity in children(schema(&document), "EntityType") {
        for key in Described::read(entity).keys {
            let mut properties = children(entity, "Property");
            let property = properties
                .find(|property| property.attribute("Name") == Some(&key))
                .unwrap();
            assert_eq!(property.attribute("Nullable"), Some("false"), "{key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vocabulary_that_is_used_is_referred_to() {
    let text = served().await;
    let document = Document::parse(&text).unwrap();
    let mut included = BTreeSet::new();
    for include in document
        .descendants()
        .filter(|node| node.has_tag_name((EDMX, "Include")))
    {
        let reference = include.parent().unwrap();
        assert!(reference.has_tag_name((EDMX, "Reference")) && reference.has_attribute("Uri"));
        included.insert(include.attribute("Namespace").unwrap());
    }
    let mut used = BTreeSet::new();
    for term in document.descendants().filter_map(|node| node.attribute("Term")) {
        let (namespace, _) = term.rsplit_once('.').unwrap();
        used.insert(namespace);
    }
    assert_eq!(used, included);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_document_names_what_the_container_has() {
    let text = served().await;
    let document = Document::parse(&text).unwrap();
    let mut containers = children(schema(&document), "EntityContainer");
    let sets = names(containers.next().unwrap(), "EntitySet");
    let service = Harness::with(Backend::Sqlite).start_empty().await;
    let root = service.stranger().get("/v1.4/").await.expect(200);
    assert_eq!(root.column("name"), sets);
    let metadata = root.json()["@odata.context"]
        .as_str()
        .unwrap()
        .replace(&service.base_url(), "");
    service.stranger().get(metadata).await.expect(200);
    let apps = service
        .stranger()
        .get(format!("/v1.4/{}", root.column("url")[0]))
        .odata()
        .await
        .expect(200);
    let set = apps.json()["@odata.context"]
        .as_str()
        .unwrap()
        .rsplit('#')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!([set], sets[..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_when_it_has_not_changed_and_speaks_only_xml() {
    let service = Harness::with(Backend::Sqlite).start_empty().await;
    let stranger = service.stranger();
    let first = stranger.get("/v1.4/$metadata").await.expect(200);
    let again = stranger
        .get("/v1.4/$metadata")
        .header("if-none-match", first.header("etag"))
        .await
        .expect(304);
    assert!(again.body.is_empty());
    stranger.get("/v1.4/$metadata?$format=xml").await.expect(200);
    stranger
        .get("/v1.4/$metadata?$format=json")
        .await
        .refused(406, "NotAcceptable");
    stranger
        .get("/v1.4/$metadata")
        .header("odata-maxversion", "3.0")
        .await
        .expect(400);
}
