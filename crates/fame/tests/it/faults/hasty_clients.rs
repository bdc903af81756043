//! Clients that hang up before they are answered, as a proxy does that has waited long enough.

use super::{upload, upload_body, upload_until_it_works, versions_path};
use crate::services::{APPS, Books, Database, Dice, Person, Process, Site, eventually, fill, package, pause};
use std::time::Duration;
use test_support::issuer::token_of;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

/// Uploads whose client hangs up.
const UPLOADS: u32 = 60;

/// The sweeper settles what a crash cut off; a living service settles what it has begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_whose_client_hung_up_is_settled_at_once() {
    // Nothing is tidied up for the next quarter of an hour.
    let site = Site::on(Database::Sqlite);
    let process = site.start(0).await;
    let owner = process.owner();
    fill(&process.operator(), &owner).await;
    upload(&owner, APPS[0], &package(APPS[0], UPLOADS + 1))
        .await
        .unwrap()
        .expect(200);
    let mut dice = Dice::for_player(1, 1);
    for number in 1..=UPLOADS {
        send_and_hang_up(&process, number, &mut dice).await;
    }
    let books = Books::of(&site);
    eventually("no upload is stuck", async || {
        let stuck = books
            .rows("SELECT version FROM versions WHERE status = 'Uploading'")
            .await;
        (stuck.is_empty() && books.staged().is_empty()).then_some(())
    })
    .await;
    for number in 1..=UPLOADS {
        upload_until_it_works(&owner, APPS[0], &package(APPS[0], number)).await;
    }
}

async fn send_and_hang_up(process: &Process, number: u32, dice: &mut Dice) {
    let body = upload_body(&package(APPS[0], number)).to_string();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        versions_path(APPS[0]),
        token_of(&Person::OWNER),
        body.len()
    );
    let mut stream = TcpStream::connect(process.base_url().replace("http://", ""))
        .await
        .unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    pause(dice, Duration::from_millis(30)).await;
    drop(stream);
}
