//! What may be in a body: what is known, in readable characters. Whatever else is said would not be done.

use crate::{
    every_operation::{CallerKind, Described, Fixture, Guard, Role, Sample, described, samples},
    harness::{APP, Backend, Caller, Environment, Harness, Person, on_both_databases},
};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::io::Write as _;

on_both_databases!(
    no_operation_takes_what_nobody_knows,
    a_misspelt_moment_schedules_nothing,
    what_was_read_may_be_sent_back,
    what_is_read_only_is_not_said_to_change,
    no_operation_takes_control_characters,
    no_address_takes_control_characters,
    what_is_no_utf_8_is_called_what_it_is,
    what_says_how_it_is_encoded_is_read,
);

/// The operations of people that take a body, and somebody who may do each.
fn with_bodies(fixture: &Fixture) -> Vec<(CallerKind, Sample, Described, Value)> {
    let document = serde_json::from_str(&server::openapi_json()).unwrap();
    let mut described = described(&document);
    let mut found = Vec::new();
    for sample in samples() {
        let who = match sample.guard {
            Guard::Role(_) => CallerKind::Holder(Role::Owner),
            Guard::Operator => CallerKind::Operator,
            Guard::Public | Guard::AnyToken | Guard::Agent | Guard::OwnToken | Guard::Run => continue,
            // Their clients send more than there is: see `admin_center`.
            Guard::Administrator(_) => continue,
        };
        let at = described
            .iter()
            .position(|one| one.id == sample.operation)
            .unwrap();
        let described = described.remove(at);
        // What is asked of it cannot be done, whatever is said.
        if sample.success >= 400 {
            continue;
        }
        if let Some(body) = fixture.body(who, &sample) {
            found.push((who, sample, described, body));
        }
    }
    assert!(found.len() >= 9, "{}", found.len());
    found
}

async fn no_operation_takes_what_nobody_knows(backend: Backend) {
    let fixture = Fixture::set(backend).await;
    let before = fixture.changes().await;
    for (who, sample, described, body) in with_bodies(&fixture) {
        let names: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        for name in names {
            let misspelt = format!("{}x{}", &name[..1], &name[1..]);
            let mut changed = body.clone();
            let members = changed.as_object_mut().unwrap();
            let value = members.remove(&name).unwrap();
            members.insert(misspelt.clone(), value);
            let answer = fixture.request(who, &sample, &described).json(&changed).await;
            let refused = answer.refused(400, "InvalidInput");
            assert_eq!(refused.target(), misspelt, "{}", sample.operation);
            // Of a word as short as this, any other may be meant.
            let hint = match name.len() {
                ..3 => "known are".to_owned(),
                _ => format!("did you mean '{name}'?"),
            };
            assert!(
                refused.message().contains(&hint),
                "{}: {refused:?}",
                sample.operation
            );
        }
        let mut more = body.clone();
        more["colour"] = json!(null);
        let answer = fixture.request(who, &sample, &described).json(&more).await;
        assert_eq!(
            answer.refused(400, "InvalidInput").target(),
            "colour",
            "{}",
            sample.operation
        );
    }
    assert_eq!(fixture.changes().await, before);
    // Annotations are no properties.
    for (who, sample, described, mut body) in with_bodies(&fixture) {
        body["@odata.context"] = json!("$metadata#x");
        body["colour@odata.type"] = json!("#String");
        body["_etag"] = json!("any");
        let request = fixture.request(who, &sample, &described);
        let answer = request.json(&body).await;
        assert!(answer.status < 300, "{}: {answer:?}", sample.operation);
    }
}

async fn a_misspelt_moment_schedules_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for version in ["16.0.0.5", "16.0.1.2"] {
        owner.has_uploaded(version).await;
    }
    let environment = Environment::my_customer("16.0.0.5");
    service.operator().reports(&environment).await.expect(201);
    let all = owner.us("environmentHotfixes");
    for typo in ["runAftr", "run_after", "runafter ", "runAt"] {
        let mut body = environment.hotfix("16.0.1.2");
        body[typo] = json!("2030-01-01T00:00:00Z");
        let refused = owner.post(&all, body).await.refused(400, "InvalidInput");
        assert_eq!(refused.target(), typo);
        assert!(refused.message().contains("runAfter"), "{refused:?}");
    }
    assert_eq!(owner.get(format!("{all}/$count")).await.text(), "0");
}

async fn what_was_read_may_be_sent_back(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    let hotfix = something_of_everything(&service).await;
    for format in ["", "?$format=application/json;odata.metadata=full"] {
        for (caller, path, put) in everything(&owner, &operator) {
            let read = caller.get(format!("{path}{format}")).await.expect(200).json();
            for _ in 0..2 {
                let again = if put {
                    caller.put(&path, read.clone())
                } else {
                    caller.patch(&path, read.clone())
                };
                again.await.expect(200);
            }
        }
    }
    // Whoever asks again for a hotfix sends it as they read it.
    let mut read = owner.get(&hotfix).await.expect(200).json();
    read["status"] = json!("Canceled");
    owner.patch(&hotfix, read.clone()).await.expect(200);
    owner
        .post(owner.us("environmentHotfixes"), read)
        .await
        .expect(200);
}

async fn what_is_read_only_is_not_said_to_change(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    something_of_everything(&service).await;
    let changes = [
        ("countries/US", "countryCode", json!("DK"), "InvalidInput"),
        ("principals/", "id", json!(Person::STRANGER.id), "InvalidInput"),
        ("principals/", "type", json!("User"), "EntityValidationFailed"),
        ("versions/", "name", json!("Other"), "EntityValidationFailed"),
        (
            "operator/v1/apps",
            "id",
            json!(Person::STRANGER.id),
            "InvalidInput",
        ),
        (
            "operator/v1/apps",
            "createdOn",
            json!("2001-01-01T00:00:00Z"),
            "EntityValidationFailed",
        ),
        (
            "operator/v1/apps",
            "name",
            json!("Other"),
            "EntityValidationFailed",
        ),
        ("operator/v1/apps", "owners", json!([]), "EntityValidationFailed"),
        ("operator/v1/environments", "name", json!("Other"), "InvalidInput"),
        (
            "operator/v1/environments",
            "agent",
            json!("eu"),
            "EntityValidationFailed",
        ),
        ("operator/v1/agents", "name", json!("us"), "InvalidInput"),
        (
            "operator/v1/agents",
            "state",
            json!("Frozen"),
            "EntityValidationFailed",
        ),
        (
            "operator/v1/freezes",
            "subject",
            json!("scheduling"),
            "InvalidInput",
        ),
        (
            "operator/v1/freezes",
            "frozenOn",
            json!("2001-01-01T00:00:00Z"),
            "EntityValidationFailed",
        ),
        (
            "operator/v1/freezes",
            "frozenBy",
            json!("Somebody else"),
            "EntityValidationFailed",
        ),
    ];
    for (part, name, value, code) in changes {
        let found = everything(&owner, &operator)
            .into_iter()
            .find(|(_, path, _)| path.contains(part));
        let (caller, path, put) = found.unwrap();
        let read = caller.get(&path).await.expect(200).json();
        let mut body = read.clone();
        body[name] = value;
        let answer = if put {
            caller.put(&path, body)
        } else {
            caller.patch(&path, body)
        };
        let refused = answer.await.refused(400, code);
        assert!(
            refused.message().contains(name) || code == "InvalidInput",
            "{refused:?}"
        );
        assert_eq!(caller.get(&path).await.expect(200).json(), read, "{path}");
    }
}

/// One of everything that can be changed; the address of the hotfix.
async fn something_of_everything(service: &Harness) -> String {
    let (owner, operator) = (service.owner(), service.operator());
    for version in ["16.0.0.5", "16.0.1.2"] {
        owner.has_uploaded(version).await;
    }
    let environment = Environment::my_customer("16.0.0.5");
    operator.reports(&environment).await.expect(201);
    operator
        .registers_agent("eu", crate::harness::agent_registration())
        .await;
    let reason = json!({ "reason": "Their secret was found." });
    operator.put(freeze_path(), reason).await.expect(201);
    let scheduled = owner.schedules(&environment, "16.0.1.2").await.expect(200);
    format!("{}/{}", owner.us("environmentHotfixes"), scheduled.property("id"))
}

/// Who changes what, at which address, by PUT or else by PATCH.
fn everything(owner: &Caller, operator: &Caller) -> Vec<(Caller, String, bool)> {
    let environment = Environment::my_customer("16.0.0.5").operator_path();
    let principal = format!("{}/principals/{}", owner.app_path(), Person::READER.id);
    vec![
        (owner.clone(), format!("{}/countries/US", owner.app_path()), false),
        (owner.clone(), principal, false),
        (owner.clone(), owner.us("versions/16.0.1.2"), false),
        (operator.clone(), format!("/operator/v1/apps/{APP}"), true),
        (operator.clone(), environment, true),
        (operator.clone(), "/operator/v1/agents/eu".to_owned(), true),
        (operator.clone(), freeze_path(), true),
        (operator.clone(), format!("/operator/v1/apps/{APP}"), false),
    ]
}

fn freeze_path() -> String {
    format!("/operator/v1/freezes/principal:{}", Person::STRANGER.id)
}

async fn no_operation_takes_control_characters(backend: Backend) {
    let fixture = Fixture::set(backend).await;
    let before = fixture.changes().await;
    for (who, sample, described, body) in with_bodies(&fixture) {
        for (name, value) in body.as_object().unwrap() {
            let Value::String(text) = value else { continue };
            for control in ['\0', '\u{1}', '\n', '\u{1B}', '\u{7F}', '\u{9B}'] {
                let mut changed = body.clone();
                changed[name] = json!(format!("{text}{control}"));
                let answer = fixture.request(who, &sample, &described).json(&changed).await;
                // Blanks within base64 are none of its bytes.
                if (name.as_str(), control) == ("packageContents", '\n') {
                    continue;
                }
                assert_eq!(
                    answer.status, 400,
                    "{} {name} {control:?}: {answer:?}",
                    sample.operation
                );
                assert_eq!(answer.target(), *name, "{}", sample.operation);
            }
        }
        let mut named = body.clone();
        named["a\u{1}"] = json!(1);
        let answer = fixture.request(who, &sample, &described).json(&named).await;
        answer.refused(400, "InvalidInput");
    }
    assert_eq!(
        fixture.changes().await,
        before + 1,
        "one package with a line break in its base64"
    );
}

async fn no_address_takes_control_characters(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    let environment = |name: &str| {
        Environment::my_customer("16.0.0.5")
            .operator_path()
            .replace("MyCustomer", name)
    };
    for control in ["%00", "%01", "%0A", "%0d", "%1b", "%7F", "%C2%9B"] {
        for (caller, path) in [
            (&owner, owner.us(&format!("environments/a{control}b"))),
            (&owner, owner.us(&format!("environments(name='a{control}b')"))),
            (&owner, format!("{}/countries/US{control}", owner.app_path())),
            (&operator, environment(&format!("a{control}b"))),
            (&operator, format!("/operator/v1/agents/a{control}")),
        ] {
            caller.get(&path).await.refused(400, "InvalidInput");
        }
        let filter = format!("?$filter=name%20eq%20'a{control}b'");
        let answer = owner.get(owner.us(&format!("environments{filter}"))).await;
        match control {
            "%0A" | "%0d" => answer.expect(200),
            _ => answer.refused(400, "InvalidInput"),
        };
    }
}

async fn what_is_no_utf_8_is_called_what_it_is(backend: Backend) {
    let fixture = Fixture::set(backend).await;
    for (who, sample, described, mut body) in with_bodies(&fixture) {
        body["@aside"] = json!("Prüfung");
        let text = body.to_string();
        let latin_1: Vec<u8> = text
            .chars()
            .map(|letter| u8::try_from(u32::from(letter)).unwrap())
            .collect();
        let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let gzip = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0];
        for (bytes, said) in [(latin_1, "byte 0xFC"), (utf_16, "UTF-16"), (gzip, "gzip")] {
            // Of an upload's annotations nothing is read but the name.
            if sample.operation == "upload_version" && said == "byte 0xFC" {
                continue;
            }
            let answer = fixture.request(who, &sample, &described).bytes(bytes).await;
            let refused = answer.refused(400, "InvalidInput");
            assert!(
                refused.message().contains(said),
                "{}: {refused:?}",
                sample.operation
            );
        }
    }
}

async fn what_says_how_it_is_encoded_is_read(backend: Backend) {
    let fixture = Fixture::set(backend).await;
    for (who, sample, described, mut body) in with_bodies(&fixture) {
        let request = || fixture.request(who, &sample, &described);
        body["@aside"] = json!("Prüfung");
        for (header, value, target) in [
            ("content-encoding", "br", "Content-Encoding"),
            ("content-type", "application/json; charset=koi8-r", "Content-Type"),
        ] {
            let answer = request().json(&body).header(header, value).await;
            let refused = answer.refused(415, "UnsupportedMediaType");
            assert_eq!(
                (refused.target().as_str(), refused.header("accept-encoding")),
                (target, "gzip")
            );
        }
        let text = body.to_string();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let cut = gzip[..gzip.len() / 2].to_vec();
        let latin_1: Vec<u8> = text
            .chars()
            .map(|letter| u8::try_from(u32::from(letter)).unwrap())
            .collect();
        let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let half = request().bytes(cut).header("content-encoding", "gzip").await;
        assert!(half.refused(400, "InvalidInput").message().contains("gzip"));
        for (bytes, header, value) in [
            (gzip, "content-encoding", "gzip"),
            (latin_1, "content-type", "application/json; charset=iso-8859-1"),
            (utf_16, "content-type", "application/json; charset=utf-16"),
        ] {
            let answer = request().bytes(bytes).header(header, value).await;
            let is_there = ["ResourceExists", "EntityValidationFailed"];
            // What was done with the first of them cannot always be done again.
            let is_understood = header == "content-type" && is_there.contains(&answer.code().as_str());
            assert!(answer.status < 300 || is_understood, "{answer:?}");
        }
    }
}
