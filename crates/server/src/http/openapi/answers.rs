//! What is so of every operation, said once: who calls it, under which conditions, what is answered, and what every
//! answer carries. It follows from the operation's verb, its address and the shape of its success; tests ask the service
//! whether it is true.

use serde_json::{Map, Value, json};

/// Who calls what lies below a root.
const CALLERS: [(&str, &str); 4] = [
    (
        "/v1.0",
        "For users and applications; what is about an app is for those who have a role on it.",
    ),
    ("/operator/v1", "For operators."),
    (
        "/agent/v1",
        "For agents, with a token that they enrolled for or one of Microsoft Entra.",
    ),
    (
        "/admin/v2.0",
        "For administrators of a tenant, applications that it lists, and partners whom it has let in.",
    ),
];

/// What stands in an address.
const PARAMETERS: [(&str, &str); 14] = [
    ("appId", "The app."),
    (
        "countryCode",
        "The country: its ISO 3166-1 alpha-2 code, or `W1`.",
    ),
    ("versionNumber", "The version number, one to four parts."),
    ("aadTenantId", "The customer's Microsoft Entra tenant."),
    ("applicationFamily", "The environment's application family."),
    ("environmentName", "The environment's name."),
    ("name", "What it is called."),
    ("id", "By which it is addressed."),
    ("eventId", "The event that was told."),
    ("partnerTenantId", "The partner's Microsoft Entra tenant."),
    ("objectId", "The person's object id in the partner's tenant."),
    (
        "subject",
        "What is frozen: `scheduling`, `app:ID` or `principal:ID`.",
    ),
    (
        "fame-agent-session",
        "A GUID that each process of an agent makes up when it starts.",
    ),
    (
        "fame-agent-ready",
        "Whether nothing keeps the agent from its work.",
    ),
];

/// Answers to requests that did not succeed, by the shape of their body.
const FAILURES: [(&str, &str, &str); 2] = [
    ("ErrorBody", "Refused", "Failed"),
    ("AdminError", "RefusedToCustomer", "FailedForCustomer"),
];

/// An entity that has a tag and does not show it.
const ONLY_IN_HEADER: &str = "RegisteredEnvironment";

/// Adds all of it to a document.
pub(super) fn add(document: &mut Value) {
    let shapes = document
        .pointer("/components/schemas")
        .cloned()
        .unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        let operations = item.as_object_mut().into_iter().flatten();
        let operations = operations.map(|(verb, operation)| (verb.as_str(), operation));
        let mut operations: Vec<_> = operations.collect();
        // What can be got has a tag, or else nothing below its address has one.
        let got = operations.iter().find(|(verb, _)| *verb == "get");
        let got = got.map(|(_, operation)| Success::of(operation, &shapes));
        for (verb, operation) in &mut operations {
            let success = Success::of(operation, &shapes);
            describe(path, operation);
            conditions(path, verb, operation, success, got);
            answers(verb, operation, success, &shapes);
        }
    }
    name_rows(document);
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("responses".to_owned(), failures());
        components.insert("headers".to_owned(), headers());
    }
}

/// Has the rows of a list by their name, where the list was described with a copy of them.
fn name_rows(document: &mut Value) {
    let shapes = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut);
    let Some(shapes) = shapes else {
        return;
    };
    let names: Vec<_> = shapes.keys().cloned().collect();
    for list in &names {
        let of_it = list
            .strip_prefix("List_")
            .or_else(|| list.strip_prefix("Listed_"));
        let of_it = of_it.filter(|row| shapes.contains_key(*row));
        if let (Some(row), Some(shape)) = (of_it, shapes.get_mut(list)) {
            set(shape, "/properties/value", "items", refers("schemas", row));
        }
    }
}

/// What an operation answers when it succeeds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Success {
    /// An entity with a tag.
    Tagged,
    /// Rows.
    Rows,
    /// The bytes of a package.
    Package,
    /// The description of types.
    Metadata,
    Other,
}

impl Success {
    fn of(operation: &Value, shapes: &Value) -> Self {
        let answered = ["200", "201"]
            .iter()
            .find_map(|status| operation.pointer(&format!("/responses/{status}/content")));
        let has = |media: &str| answered.is_some_and(|content| content.get(media).is_some());
        let shape = answered.and_then(|content| content.pointer("/application~1json/schema"));
        let name = shape.and_then(name_of).unwrap_or_default();
        let is_tagged =
            name == ONLY_IN_HEADER || shapes.pointer(&format!("/{name}/properties/_etag")).is_some();
        match () {
            () if has("application/octet-stream") => Self::Package,
            () if has("application/xml") => Self::Metadata,
            () if name.starts_with("List") => Self::Rows,
            () if is_tagged => Self::Tagged,
            () => Self::Other,
        }
    }

    /// Whether the answer has a tag.
    fn is_tagged(self) -> bool {
        matches!(self, Self::Tagged | Self::Package | Self::Metadata)
    }
}

/// The name of the shape that is referred to.
fn name_of(shape: &Value) -> Option<&str> {
    shape.get("$ref")?.as_str()?.rsplit('/').next()
}

/// One sentence as the summary; all that is said, and who calls it, as the description.
fn describe(path: &str, operation: &mut Value) {
    let said = ["summary", "description"].map(|name| operation[name].as_str().unwrap_or_default());
    let said = said.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    let callers = match operation.get("security") {
        Some(_) => Some("Without a token."),
        None => CALLERS
            .iter()
            .find_map(|(root, who)| path.starts_with(root).then_some(*who)),
    };
    let summary = match said.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => said.clone(),
    };
    set(operation, "", "summary", summary);
    let said = format!("{said} {}", callers.unwrap_or_default());
    set(operation, "", "description", said.trim_end());
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let meaning = PARAMETERS.iter().find(|(parameter, _)| *parameter == name);
        if let (Some((_, meaning)), None) = (meaning, parameter.get("description")) {
            set(parameter, "", "description", *meaning);
        }
        // A parameter that may be left out is never null.
        let kinds = parameter.pointer("/schema/type").and_then(Value::as_array);
        if let Some(kind) = kinds.and_then(|kinds| kinds.first()).cloned() {
            set(parameter, "/schema", "type", kind);
        }
    }
}

/// The headers under which an entity is changed, or read, as its tag says.
fn conditions(path: &str, verb: &str, operation: &mut Value, success: Success, got: Option<Success>) {
    let is_ours = path.starts_with("/v1.0") || path.starts_with("/operator/v1");
    let is_tagged = success.is_tagged() || got == Some(Success::Tagged);
    // What is posted to something that can be got itself is added to it, and has no tag yet.
    let changes = match verb {
        "put" | "patch" | "delete" => is_tagged,
        "post" => success == Success::Tagged && got.is_none(),
        _ => false,
    };
    if is_ours && changes {
        let text = "Only if the entity has one of these tags; `*`: only if there is one.";
        header_of(operation, "If-Match", text, Some("*"));
    }
    if is_ours && changes && verb == "put" {
        let text = "`*`: only if there is none yet.";
        header_of(operation, "If-None-Match", text, None);
    }
    if verb == "get" && success.is_tagged() {
        let text = "Only if the tag is none of these; else the answer is 304.";
        header_of(operation, "If-None-Match", text, None);
        let known = json!({ "description": "It is as the caller has it." });
        set(operation, "/responses", "304", known);
    }
    if success == Success::Package {
        header_of(
            operation,
            "Range",
            "`bytes=FIRST-LAST`, to go on where a download broke off.",
            None,
        );
        header_of(
            operation,
            "If-Range",
            "A part only if the package still has this tag; else all of it.",
            None,
        );
    }
}

fn header_of(operation: &mut Value, name: &str, text: &str, example: Option<&str>) {
    let mut header = json!({
        "name": name,
        "in": "header",
        "description": text,
        "required": false,
        "schema": { "type": "string" },
    });
    if let Some(example) = example {
        set(&mut header, "", "example", example);
    }
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(header);
    }
}

/// Says of every answer what it is, and which headers come with it.
fn answers(verb: &str, operation: &mut Value, success: Success, shapes: &Value) {
    let failure = operation.pointer("/responses/default/content/application~1json/schema");
    let failure = failure.and_then(name_of).unwrap_or("ErrorBody");
    let (_, refused, failed) = FAILURES
        .iter()
        .find(|(shape, ..)| *shape == failure)
        .unwrap_or(&FAILURES[0]);
    let (refused, failed) = (refers("responses", refused), refers("responses", failed));
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, answer) in answers.iter_mut().filter(|(status, _)| *status != "default") {
        if answer.get("description").is_none() {
            let said = said_of(verb, status, answer, success, shapes);
            set(answer, "", "description", said);
        }
        let named = ["Ms-Correlation-X"]
            .into_iter()
            .chain(named_headers(verb, status, success).iter().copied());
        let mut named: Map<_, _> = named
            .map(|name| (name.to_owned(), refers("headers", name)))
            .collect();
        // What only this answer has is said where it is made.
        named.extend(answer["headers"].as_object().cloned().into_iter().flatten());
        set(answer, "", "headers", named);
    }
    answers.insert("4XX".to_owned(), refused);
    answers.insert("default".to_owned(), failed);
}

/// Gives a member its value in the object that is found there.
fn set(value: &mut Value, pointer: &str, name: &str, member: impl Into<Value>) {
    if let Some(object) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
        object.insert(name.to_owned(), member.into());
    }
}

fn refers(what: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{what}/{name}") })
}

fn said_of(verb: &str, status: &str, answer: &Value, success: Success, shapes: &Value) -> String {
    let shape = answer.pointer("/content/application~1json/schema");
    let shape = shape.and_then(name_of).and_then(|name| shapes.get(name));
    let of_shape = shape.and_then(|shape| shape["description"].as_str());
    let said = match (status, success) {
        ("200", Success::Rows) => {
            "The rows. Vendors' and operators' lists come as CSV, too, to who accepts `text/csv`."
        }
        ("200", Success::Package) => "The bytes of the package.",
        ("200", Success::Metadata) => "The types, in the XML of CSDL.",
        ("201", _) if verb == "post" => "It is new: the answer in the format of OData.",
        ("201", _) => "It is new.",
        ("204", _) => "It is done, and there is nothing to say.",
        ("206", _) => "The part that was asked for.",
        ("503", _) => "The service cannot work, or not in everything.",
        ("200", _) => of_shape.unwrap_or("What was asked for."),
        _ => "It is done.",
    };
    said.to_owned()
}

/// The headers that an answer may have besides those that all have.
fn named_headers(verb: &str, status: &str, success: Success) -> &'static [&'static str] {
    match (status, success) {
        ("304", _) => &["ETag"],
        ("201", Success::Tagged) if verb == "post" => &["ETag", "Location"],
        ("201", _) if verb == "post" => &["Location"],
        ("200", Success::Rows) => &["Preference-Applied"],
        ("200" | "201", Success::Tagged) | ("200", Success::Metadata) => &["ETag"],
        ("200", Success::Package) => &["ETag", "Content-Disposition", "Repr-Digest", "Accept-Ranges"],
        ("206", Success::Package) => &[
            "ETag",
            "Content-Disposition",
            "Repr-Digest",
            "Accept-Ranges",
            "Content-Range",
        ],
        _ => &[],
    }
}

/// What is answered to requests that did not succeed.
fn failures() -> Value {
    let mut failures = Map::new();
    for (shape, refused, failed) in FAILURES {
        let content = json!({ "application/json": { "schema": refers("schemas", shape) } });
        let text = "The request was refused; the body says why, with a stable code.";
        let headers = ["Ms-Correlation-X", "WWW-Authenticate", "Retry-After"];
        let headers: Map<_, _> = headers
            .map(|name| (name.to_owned(), refers("headers", name)))
            .into_iter()
            .collect();
        let answer = json!({ "description": text, "headers": headers, "content": content });
        failures.insert(refused.to_owned(), answer.clone());
        let text = "The service could not do it; where there is a `Retry-After`, the same may succeed later.";
        let mut answer = answer;
        set(&mut answer, "", "description", text);
        failures.insert(failed.to_owned(), answer);
    }
    failures.into()
}

/// The headers of answers.
fn headers() -> Value {
    let described = [
        (
            "Ms-Correlation-X",
            "uuid",
            "The id under which the request stands in the log.",
        ),
        (
            "ETag",
            "",
            "The tag of what is answered, for `If-Match`, `If-None-Match` and `If-Range`.",
        ),
        ("Location", "uri", "Where it is."),
        (
            "Preference-Applied",
            "",
            "Of `Prefer`, what was done: `odata.maxpagesize`.",
        ),
        ("Content-Disposition", "", "The name of the file."),
        (
            "Repr-Digest",
            "",
            "The SHA-256 of the whole package, in base64, as RFC 9530 has it.",
        ),
        ("Accept-Ranges", "", "`bytes`: a part can be asked for."),
        ("Content-Range", "", "Which part it is, and of how many bytes."),
        (
            "WWW-Authenticate",
            "",
            "To a request without a token that is good for it: where to get one.",
        ),
        ("Retry-After", "", "After how many seconds to ask again."),
    ];
    let headers = described.map(|(name, format, text)| {
        let mut shape = json!({ "type": "string" });
        if !format.is_empty() {
            set(&mut shape, "", "format", format);
        }
        (name.to_owned(), json!({ "description": text, "schema": shape }))
    });
    Map::from_iter(headers).into()
}
