//! Answers that are no success: what is shown of them, the exit code, and when they are not the last word.

use crate::service::{APP, Answer, Service, binary, run};
use serde_json::json;

const LIST: &[&str] = &["countries", "list", APP];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_service_says_is_lost() {
    let service = Service::start(|_, _| {
        let body = json!({
            "error": {
                "code": "EntityValidationFailed", "message": "An operation has already been scheduled.",
                "target": "environmentName",
                "details": [{"code": "AlreadyScheduled", "message": "An operation has already been scheduled."},
                            {"code": "Other", "message": "And more.", "target": "runAfter"}],
            },
            "code": "EntityValidationFailed", "message": "An operation has already been scheduled.",
            "extensionData": {"operationId": "dddddddd-3333-4444-5555-eeeeeeeeeeee"}
        });
        Answer::json(400, body).with("ms-correlation-x", "11111111-2222-3333-4444-555555555555")
    })
    .await;
    let ended = service.fame(LIST).await;
    assert_eq!((ended.code, ended.out.as_str()), (5, ""));
    insta::assert_snapshot!(ended.err, @r"
    error: 400 Bad Request EntityValidationFailed: An operation has already been scheduled.
      AlreadyScheduled
      Other: And more. (runAfter)
      operationId: dddddddd-3333-4444-5555-eeeeeeeeeeee
      target: environmentName
      request: GET /v1.4/apps/aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb/countries
      ms-correlation-x: 11111111-2222-3333-4444-555555555555
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_has_its_exit_code() {
    let table = [
        (400, 5),
        (401, 3),
        (403, 3),
        (404, 4),
        (405, 5),
        (408, 6),
        (409, 5),
        (412, 5),
        (422, 5),
        (429, 6),
        (500, 6),
        (501, 6),
        (503, 6),
    ];
    for (status, code) in table {
        let service = Service::start(move |_, _| Answer::refusal(status, "Code", "Message.")).await;
        let ended = service.fame(&[LIST, &["--retries", "0"]].concat()).await;
        assert_eq!(ended.code, code, "{status}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_service_is_asked_again_when_it_wants_to_be() {
    let service = Service::start(|_, before| match before {
        0 => Answer::refusal(429, "TooManyRequests", "Slow down.").with("retry-after", 0),
        1 => Answer::refusal(503, "ServiceUnavailable", "Later.").with("retry-after", 0),
        _ => Answer::json(200, json!({"value": []})),
    })
    .await;
    let ended = service.fame(LIST).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(service.lines().len(), 3);
    assert!(
        ended.err.contains("Trying again at once (1 of 4)"),
        "{}",
        ended.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_may_have_been_made_is_repeated_and_looked_at() {
    let service = Service::start(|_, _| {
        let error = json!({
            "code": "ServiceUnavailable",
            "message": "It may or may not have been made.",
            "details": [{"code": "ChangeInDoubt", "message": "It may or may not have been made."}]
        });
        Answer::json(503, json!({ "error": error })).with("retry-after", 0)
    })
    .await;
    let update: &[&str] = &[
        "versions",
        "update",
        APP,
        "1.0.0.0",
        "-c",
        "US",
        "--availability",
        "Preview",
    ];
    let cases: [&[&str]; 3] = [
        &["countries", "add", APP, "US"],
        &[update, &["--if-match", "tag"]].concat(),
        &["principals", "remove", APP, APP],
    ];
    let mut asked = 0;
    for command in cases {
        let ended = service.fame(command).await;
        assert_eq!(ended.code, 6, "{command:?}: {ended:?}");
        assert!(ended.err.contains("may or may not"), "{ended:?}");
        let lines = service.lines();
        let looks = lines[asked..]
            .iter()
            .filter(|line| line.starts_with("GET"))
            .count();
        assert_eq!((lines.len() - asked, looks), (10, 5), "{command:?}");
        asked = lines.len();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_come_to_an_end_and_too_long_a_pause_is_not_made() {
    let busy =
        Service::start(|_, _| Answer::refusal(503, "ServiceUnavailable", "Later.").with("retry-after", 0))
            .await;
    assert_eq!(busy.fame(LIST).await.code, 6);
    assert_eq!(busy.lines().len(), 5);
    let closed = Service::start(|_, _| {
        Answer::refusal(503, "ServiceUnavailable", "Tomorrow.").with("retry-after", 86_400)
    })
    .await;
    assert_eq!(closed.fame(LIST).await.code, 6);
    assert_eq!(closed.lines().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_of_ours_is_shown_as_it_is() {
    let service = Service::start(|_, _| Answer::page(502, "<h1>Bad gateway</h1>")).await;
    let ended = service.fame(&[LIST, &["--retries", "0"]].concat()).await;
    assert_eq!(ended.code, 6);
    assert!(
        ended.err.contains("502 Bad Gateway: <h1>Bad gateway</h1>"),
        "{}",
        ended.err
    );
    let service = Service::start(|_, _| Answer::page(200, "<h1>Welcome</h1>")).await;
    let ended = service.fame(&[LIST, &["--retries", "0"]].concat()).await;
    assert_eq!(ended.code, 6);
    assert!(ended.err.contains("is --url right?"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_or_says_nothing_is_unavailable() {
    let mut nobody = binary(&[LIST, &["--retries", "0", "--url", "http://127.0.0.1:1"]].concat());
    nobody.env("FAME_TOKEN", "the-token");
    let ended = run(nobody).await;
    assert_eq!(ended.code, 6);
    assert!(
        ended.err.contains("127.0.0.1:1 cannot be reached"),
        "{}",
        ended.err
    );

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut process = binary(
        &[
            LIST,
            &["--retries", "0", "--request-timeout", "50ms", "--url", &url],
        ]
        .concat(),
    );
    process.env("FAME_TOKEN", "the-token");
    let ended = run(process).await;
    assert_eq!(ended.code, 6);
    assert!(ended.err.contains("did not answer"), "{}", ended.err);
}
