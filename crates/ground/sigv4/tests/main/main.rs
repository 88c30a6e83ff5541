//! Signatures that AWS has published, and bodies cut in every place.

mod chunks;
mod forms;
mod requests;

use sigv4::{Expected, Regions, Signer, Stamp};
use time::OffsetDateTime;

/// The access key of the examples in the documentation of S3.
const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn at(stamp: &str) -> OffsetDateTime {
    Stamp::parse(stamp).expect("a stamp").at()
}

fn signer(service: &str) -> Signer {
    Signer {
        access_key: ACCESS_KEY.to_owned(),
        secret: SECRET.to_owned(),
        token: None,
        region: "us-east-1".to_owned(),
        service: service.to_owned(),
    }
}

/// What the documentation's examples are measured by.
struct Server {
    hosts: Vec<String>,
    prefixes: Vec<String>,
}

impl Server {
    fn at(host: &str) -> Server {
        Server { hosts: vec![host.to_owned()], prefixes: vec![String::new()] }
    }

    fn expected<'a>(&'a self, service: &'a str, now: OffsetDateTime) -> Expected<'a> {
        let regions = Regions { ours: "local", enforced: false };
        Expected { hosts: &self.hosts, prefixes: &self.prefixes, regions, service, now }
    }
}
