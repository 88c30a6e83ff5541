//! Files of another program, in a directory and in a bucket.

use crate::place::{Directory, noise};
use crate::server::{bucket, port, send};
use blob::{Error, S3, Seen, Source};
use bytes::Bytes;
use std::fs;
use std::os::unix::fs::symlink;

async fn all(source: &Source, path: &str) -> Result<Bytes, Error> {
    let mut opened = source.open(path).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = opened.next().await? {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(bytes.len() as u64, opened.size);
    Ok(bytes.into())
}

/// Files with their sizes, and what else was seen, in order.
async fn seen(source: &Source) -> (Vec<(String, u64)>, Vec<String>) {
    let (mut files, mut odd, mut walk) = (Vec::new(), Vec::new(), source.walk());
    while let Some(seen) = walk.next().await.unwrap() {
        match seen {
            Seen::File(file) => files.push((file.path, file.size)),
            Seen::Odd { path, .. } => odd.push(path),
        }
    }
    assert_eq!(walk.next().await.unwrap(), None, "the end stays the end");
    files.sort();
    odd.sort();
    (files, odd)
}

#[tokio::test]
async fn a_tree_is_read_and_links_are_not_followed() {
    let dir = Directory::new();
    let root = dir.path().join("tree");
    fs::create_dir_all(root.join("b/a key.txt")).unwrap();
    let long = noise(1_500_000, 3);
    fs::write(root.join("b/a key.txt/v1"), &long).unwrap();
    fs::write(root.join("b/empty"), b"").unwrap();
    fs::write(dir.path().join("secret"), b"secret").unwrap();
    symlink(dir.path().join("secret"), root.join("b/link")).unwrap();
    symlink(dir.path(), root.join("out")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("b/pipe"), rustix::fs::Mode::RUSR).unwrap();
    let noted = fs::File::open(root.join("b/a key.txt/v1")).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::fsetxattr(&noted, "user.supabase.content-type", b"text/x", flags).unwrap();

    let source = Source::tree(root.clone()).await.unwrap();
    assert_eq!(source.folders().await.unwrap(), ["b"]);
    let (files, odd) = seen(&source).await;
    assert_eq!(files, [("b/a key.txt/v1".to_owned(), 1_500_000), ("b/empty".to_owned(), 0)]);
    assert_eq!(odd, ["b/link", "b/pipe", "out"]);

    let opened = source.open("b/a key.txt/v1").await.unwrap();
    assert_eq!((opened.content_type.as_deref(), opened.cache_control), (Some("text/x"), None));
    assert!(all(&source, "b//a key.txt/v1").await.unwrap() == long, "empty parts count for nothing");
    assert_eq!(all(&source.folder("b").await.unwrap(), "empty").await.unwrap().len(), 0);
    assert_eq!(source.size("b/a key.txt/v1").await.unwrap(), 1_500_000);
    for absent in
        ["b", "b/none", "b/link", "b/pipe", "out/secret", "../secret", "b/../b/empty", "", "b/empty/x"]
    {
        assert!(matches!(all(&source, absent).await, Err(Error::NotFound)), "{absent}");
        assert!(matches!(source.size(absent).await, Err(Error::NotFound)), "{absent}");
    }
    assert!(source.folder("out").await.is_err() && source.folder("..").await.is_err());
    assert!(Source::tree(root.join("none")).await.is_err());
}

#[tokio::test]
async fn a_file_that_grows_while_it_is_read_is_no_file_of_that_size() {
    let dir = Directory::new();
    let path = dir.path().join("growing");
    fs::write(&path, noise(600_000, 1)).unwrap();
    let source = Source::tree(dir.path().to_owned()).await.unwrap();
    let mut opened = source.open("growing").await.unwrap();
    opened.next().await.unwrap();
    fs::write(&path, noise(3_000_000, 1)).unwrap();
    let rest = async {
        while opened.next().await?.is_some() {}
        Ok::<_, Error>(())
    };
    assert!(rest.await.is_err());
}

#[tokio::test]
async fn a_bucket_is_read_as_it_is() {
    let (port, bucket) = (port().await, bucket().await);
    let headers = "content-type: text/x\r\ncache-control: max-age=5\r\n";
    for key in ["pre/t/b/a%20key%2A%25.txt/v1", "pre/t/b/other/v2", "pre/u/b/x/v3"] {
        let answer = send("PUT", &format!("/{bucket}/{key}"), headers, "some bytes").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let settings = S3 {
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        region: "us-east-1".to_owned(),
        bucket,
        access_key: "key".to_owned(),
        secret_key: "secret".to_owned(),
        path_style: true,
        allow_http: true,
        prefix: "pre".to_owned(),
        ..S3::default()
    };
    let root = Source::bucket(&settings).unwrap();
    assert_eq!(root.folders().await.unwrap(), ["t", "u"]);
    let source = root.folder("t").await.unwrap();
    let (files, odd) = seen(&source).await;
    assert_eq!(files, [("b/a key*%.txt/v1".to_owned(), 10), ("b/other/v2".to_owned(), 10)]);
    assert!(odd.is_empty());
    let opened = source.open("b/a key*%.txt/v1").await.unwrap();
    assert_eq!(opened.content_type.as_deref(), Some("text/x"));
    assert_eq!(opened.cache_control.as_deref(), Some("max-age=5"));
    assert_eq!(opened.etag.map(|tag| tag.len()), Some(32));
    assert_eq!(all(&source, "b/other/v2").await.unwrap(), "some bytes");
    for absent in ["b/none", "b//other/v2", "../u/b/x/v3", ""] {
        assert!(matches!(all(&source, absent).await, Err(Error::NotFound)), "{absent}");
    }
}
