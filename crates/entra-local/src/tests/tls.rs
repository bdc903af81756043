//! https for clients that trust the authority and nobody else.

use reqwest::{Certificate, Client};
use serde_json::Value;

use super::harness::{TENANT, issuer, loopback_listener};
use crate::{Scheme, router, serve_https};

#[tokio::test]
async fn a_client_that_trusts_only_the_authority_gets_https_documents() {
    let issuer = issuer();
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
        .tls_certs_only([authority])
        .build()
        .unwrap();
    for host in ["127.0.0.1", "localhost"] {
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
