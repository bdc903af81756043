//! Who may do what, as a table that people review: `access_matrix.txt` beside this file shows what each kind of caller
//! really got for each operation.

use crate::{
    every_operation::{CallerKind, Fixture, described, samples},
    harness::Backend,
    reviewed_file,
};
use std::fmt::Write as _;

const FILE: &str = "crates/server/tests/it/access_matrix.txt";

const HEAD: &str = "\
Who may do what. Generated from real calls and compared by a test; FAME_UPDATE=1 writes it anew.

  ✔    succeeds
  401  no token, or none that is believed
  403  may see the app, but not do that; or is no operator; or administers no tenant
  404  no role on the app, or of another tenant: it is hidden

nobody: without a token. forger: with the owner's token, signed by another key. stranger: with a good token and
without a role. operator: who runs the service, without a role on the app. agent: with a token of the service's own.
cloud agent: with a token of its issuer, whose application has the role Fame.Agent. admin: a user who administers the
customer's tenant. client: an application that the customer lists. partner: a delegated administrator of a partner whom the
customer lets in. other admin: a user who administers another customer's tenant. run: of a pipeline whose trusted publisher may
upload.

";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reviewed_matrix_is_what_callers_really_get() {
    reviewed_file::holds(FILE, &matrix().await);
}

async fn matrix() -> String {
    let fixture = Fixture::set(Backend::Sqlite).await;
    let samples = samples();
    let mut text = HEAD.to_owned();
    line(&mut text, "", CallerKind::ALL.map(|who| who.name().to_owned()));
    for operation in described(&serde_json::from_str(&server::openapi_json()).unwrap()) {
        let sample = samples
            .iter()
            .find(|sample| sample.operation == operation.id)
            .unwrap();
        let mut cells = CallerKind::ALL.map(|_| String::new());
        for (cell, who) in cells.iter_mut().zip(CallerKind::ALL) {
            *cell = shown(fixture.answer(who, sample, &operation).await.status);
        }
        line(&mut text, &operation.id, cells);
    }
    text
}

fn shown(status: u16) -> String {
    if status < 300 {
        "✔".into()
    } else {
        status.to_string()
    }
}

fn line(text: &mut String, name: &str, cells: [String; CallerKind::ALL.len()]) {
    let mut line = format!("{name:<32}");
    for cell in cells {
        write!(line, "{cell:<13}").unwrap();
    }
    writeln!(text, "{}", line.trim_end()).unwrap();
}
