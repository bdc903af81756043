//! https for clients that trust the authority and nobody else.

use reqwest::{Certificate, Client};
use serde_json::Value;

use super::harness::{TENANT, directory, issuer, loopback_listener, settings};
use crate::{Issuer, Scheme, Settings, router, serve_https};

#[test]
fn a_name_that_comes_later_brings_another_certificate_which_the_former_names_keep() {
    let with = |issuer: &Issuer, hosts: &[&str]| {
        let settings = Settings {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..settings()
        };
        Issuer::load(settings, issuer.state().unwrap())
    };
    let authority = |issuer: &Issuer| issuer.certificates().authority_pem().to_owned();
    let first = issuer();
    let same = with(&first, &[]).unwrap();
    assert_eq!(authority(&first), authority(&same));
    let second = with(&same, &["fame.local"]).unwrap();
    assert_ne!(authority(&first), authority(&second));
    let third = with(&second, &["login.contoso.com"]).unwrap();
    assert_eq!(
        third.state().unwrap().certificates.hosts,
        ["fame.local", "login.contoso.com"]
    );
    let fourth = with(&third, &["fame.local"]).unwrap();
    assert_eq!(authority(&third), authority(&fourth));
    let refusal = with(&fourth, &["*.contoso.com"]).err().unwrap();
    assert_eq!(refusal.code(), "BadHost");
}

#[tokio::test]
async fn a_client_that_trusts_only_the_authority_gets_https_documents() {
    let settings = Settings {
        hosts: vec!["login.contoso.com".to_owned()],
        ..settings()
    };
    let issuer = Issuer::new(settings, directory()).unwrap();
    let listener = loopback_listener();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let routes = router(issuer.clone(), Scheme::Https);
    let certificates = issuer.certificates().clone();
    let shutdown = async move {
        stopped.await.ok();
    };
    let serving = tokio::spawn(async move { serve_https(listener, routes, &certificates, shutdown).await });

    let authority = Certificate::from_pem(issuer.certificates().authority_pem().as_bytes()).unwrap();
    let client = Client::builder()
        .no_proxy()
        .resolve("login.contoso.com", ([127, 0, 0, 1], port).into())
        .tls_certs_only([authority])
        .build()
        .unwrap();
    for host in ["127.0.0.1", "localhost", "login.contoso.com"] {
        let origin = format!("https://{host}:{port}");
        let url = format!("{origin}/{TENANT}/v2.0/.well-known/openid-configuration");
        let document: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(
            document["token_endpoint"],
            format!("{origin}/{TENANT}/oauth2/v2.0/token")
        );
    }

    let stranger = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    assert!(
        stranger
            .get(format!("https://127.0.0.1:{port}/"))
            .send()
            .await
            .is_err()
    );

    drop((client, stranger));
    stop.send(()).unwrap();
    assert!(serving.await.unwrap().is_ok());
}
