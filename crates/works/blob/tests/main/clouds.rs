//! What Google and Azure are asked, as far as that can be seen without them.

use crate::place::{key, project};
use blob::{Azure, Gcs, Store};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that takes one request with its body and says that it is done; the request as text.
async fn one_request(listener: TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).ends_with("hello") {
        let length = stream.read(&mut buffer).await.unwrap();
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..length]);
    }
    let answer = "HTTP/1.1 201 Created\r\netag: \"1\"\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(seen).unwrap().to_lowercase()
}

async fn asked(store: impl FnOnce(String) -> Store) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store(format!("http://{}", listener.local_addr().unwrap()));
    let key = key(&project("p"));
    let write = async {
        let mut writer = store.write(&key).await.unwrap();
        writer.push(Bytes::from_static(b"hello")).await.unwrap();
        writer.finish().await.unwrap()
    };
    let (request, written) = tokio::join!(one_request(listener), write);
    assert_eq!(written.size, 5);
    (request, key.to_string())
}

#[tokio::test]
async fn azure_is_asked_with_its_signature() {
    let (request, key) = asked(|endpoint| {
        let azure = Azure {
            account: "account".to_owned(),
            access_key: "c2VjcmV0".to_owned(),
            container: "container".to_owned(),
            endpoint: Some(endpoint),
            allow_http: true,
            prefix: "pre".to_owned(),
        };
        azure.store().unwrap()
    })
    .await;
    assert!(
        request.starts_with("put /") && request.contains(&format!("container/pre/bodies/{key}")),
        "{request}"
    );
    assert!(request.contains("authorization: sharedkey account:"), "{request}");
    assert!(request.contains("x-ms-blob-type: blockblob"), "{request}");
}

#[tokio::test]
async fn google_is_asked_by_its_own_protocol() {
    let (request, key) = asked(|endpoint| {
        let service_account_key = serde_json_key(&endpoint);
        Gcs {
            bucket: "bucket".to_owned(),
            service_account_key,
            prefix: "pre".to_owned(),
            endpoint: Some(endpoint),
        }
        .store()
        .unwrap()
    })
    .await;
    let plain = request.replace("%2f", "/").replace("%2d", "-");
    assert!(plain.starts_with(&format!("put /bucket/pre/bodies/{key}")), "{request}");
    assert!(request.ends_with("hello"), "{request}");
}

/// A service account that is asked for no token.
fn serde_json_key(endpoint: &str) -> String {
    format!(
        r#"{{"gcs_base_url":"{endpoint}","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}}"#
    )
}
