//! The configurations that the official clients' auth suites want, over one store of users:
//!
//! ```text
//! cargo run -p auth --example configurations -- PORT SIGNING_KEYS
//! ```
//!
//! `PORT` confirms by mail and SMS, `PORT+1` confirms by itself, `PORT+2` signs nobody up, `PORT+3` confirms by
//! itself and signs with the JSON Web Keys in the file `SIGNING_KEYS`, and `PORT+4` is as `PORT` without anonymous
//! users.

use auth::{Auth, ProviderSettings, Settings};
use axum::Router;
use axum::body::Body;
use http::Request;
use model::SystemClock;
use pg::{Config, Pool, PoolOptions};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use testkit::{Database, Postgres};
use token::KeySet;

/// The suites' own.
const SECRET: &str = "37c304f8-51aa-419a-a1af-06154e63707a";
const ROLES: [&str; 6] =
    ["supabase_auth_admin", "postgres", "anon", "authenticated", "service_role", "dashboard_user"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().ok_or("say the first port")?.parse()?;
    let keys = std::fs::read_to_string(arguments.next().ok_or("say the file of signing keys")?)?;
    let roles: String = ROLES
        .iter()
        .map(|role| format!("do $$ begin create role {role} login noinherit; exception when duplicate_object then null; end $$;"))
        .collect();
    let script = format!("{roles}{}", auth::schema::dedicated());
    let database = Postgres::shared().await.database_like("auth configurations", &script).await;
    let configurations: [fn(&mut Settings); 5] = [
        texted,
        confirmed,
        |settings| {
            confirmed(settings);
            settings.disable_signup = true;
            settings.email_enabled = false;
            settings.phone_enabled = false;
        },
        confirmed,
        |settings| {
            texted(settings);
            settings.anonymous_enabled = false;
        },
    ];
    let mut servers = tokio::task::JoinSet::new();
    for (port, (at, configure)) in (port..).zip(configurations.into_iter().enumerate()) {
        let signing = if at == 3 {
            KeySet::from_json(&keys)?.with_secret(SECRET.as_bytes())
        } else {
            KeySet::from_secret(SECRET.as_bytes())
        };
        let mut settings = settings(signing, port);
        configure(&mut settings);
        servers.spawn(serve(settings, pool(&database), SocketAddr::from(([127, 0, 0, 1], port))));
    }
    println!("ready");
    match servers.join_next().await {
        Some(ended) => Ok(ended??),
        None => Ok(()),
    }
}

fn settings(keys: KeySet, port: u16) -> Settings {
    let mut settings =
        Settings::new(Arc::new(keys), "https://example.com", format!("http://localhost:{port}"));
    settings.uri_allow_list = vec!["https://supabase.io/docs".to_owned()];
    settings.phone_enabled = true;
    settings.anonymous_enabled = true;
    settings.mailer_max_frequency = Duration::ZERO;
    settings.sms_max_frequency = Duration::ZERO;
    settings.oauth_server.enabled = true;
    settings.oauth_server.allow_dynamic_registration = true;
    settings.oauth_server.authorization_path = "/oauth/consent".to_owned();
    let google = ProviderSettings {
        enabled: true,
        client_ids: vec!["client".to_owned()],
        ..ProviderSettings::default()
    };
    settings.external.providers = [("google".to_owned(), google)].into();
    settings
}

/// A provider that cannot send.
fn texted(settings: &mut Settings) {
    settings.sms_provider = "twilio".to_owned();
}

fn confirmed(settings: &mut Settings) {
    settings.mailer_autoconfirm = true;
    settings.sms_autoconfirm = true;
}

fn pool(database: &Database) -> Pool {
    let config = Config { user: "supabase_auth_admin".to_owned(), ..database.config.clone() };
    Pool::new(config, PoolOptions::default())
}

async fn serve(settings: Settings, pool: Pool, address: SocketAddr) -> std::io::Result<()> {
    let auth = Arc::new(Auth::new(settings, pool, Arc::new(SystemClock)));
    let answer = move |request: Request<Body>| {
        let auth = Arc::clone(&auth);
        async move { auth.handle(request).await }
    };
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, Router::new().fallback(answer)).await
}
