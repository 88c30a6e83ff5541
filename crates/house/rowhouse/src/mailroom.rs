//! The mail catcher of a local stack: its folder, its doors, and its place among the addresses that are printed.

use crate::cli::StartArgs;
use crate::config::{self, CatcherSection};
use crate::data_dir::DataDir;
use crate::house::{Door, House};
use crate::wire::LocalMail;
use anyhow::Context;
use catcher::{Bounds, Catcher};
use serde_json::{Map, Value};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Where the page is when nobody says otherwise.
const PORT: u16 = 54324;
/// The folder of the messages in the data directory.
const FOLDER: &str = "mail";

/// A catcher with its doors, not open yet.
pub struct Mailroom {
    catcher: Catcher,
    sender: mail::Mailbox,
    page: TcpListener,
    smtp: Option<TcpListener>,
}

impl Mailroom {
    /// What the file asks for; nothing when it wants none. All doors are on this machine only, whatever the address
    /// of the others: everybody's mail is behind them.
    ///
    /// # Errors
    /// When a port that somebody chose is taken, or the folder cannot be used.
    pub async fn new(
        args: &StartArgs,
        section: &CatcherSection,
        data: &DataDir,
    ) -> anyhow::Result<Option<Self>> {
        if !section.enabled {
            return Ok(None);
        }
        let chosen = args.mail_port.or(section.port);
        let door = |port: u16, setting: &str| Door {
            address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
            setting: format!("{setting} under [inbucket] in {}", config::FILE),
        };
        let page = match (door(chosen.unwrap_or(PORT), "--mail-port PORT, or `port`").open().await, chosen) {
            (Err(error), None) => {
                tracing::warn!("{error:#}; the mail catcher takes a free port instead");
                door(0, "`port`").open().await?
            }
            (opened, _) => opened?,
        };
        let smtp = match section.smtp_port {
            Some(port) => Some(door(port, "`smtp_port`").open().await?),
            None => None,
        };
        let folder = data.path().join(FOLDER);
        let opening = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || Catcher::open(&folder, Bounds::default())).await?
        };
        let catcher = opening.with_context(|| format!("the mail catcher cannot use {}", folder.display()))?;
        let sender =
            mail::Mailbox { name: section.sender_name.clone(), address: section.admin_email.clone() };
        Ok(Some(Mailroom { catcher, sender, page, smtp }))
    }

    /// What takes mail in place of a server.
    pub fn local_mail(&self) -> LocalMail {
        LocalMail { inbox: Arc::new(self.catcher.clone()), sender: self.sender.clone() }
    }

    /// The addresses, under the official CLI's names.
    ///
    /// # Errors
    /// When the system does not know where we listen.
    pub fn values(&self, values: &mut Map<String, Value>) -> anyhow::Result<()> {
        let url = format!("http://{}", self.page.local_addr()?);
        for name in ["MAILPIT_URL", "INBUCKET_URL"] {
            values.insert(name.to_owned(), Value::String(url.clone()));
        }
        if let Some(smtp) = &self.smtp {
            values.insert("SMTP_URL".to_owned(), Value::String(format!("smtp://{}", smtp.local_addr()?)));
        }
        Ok(())
    }

    /// Opens the doors until the house closes.
    pub fn open(self, house: &House) {
        let catcher = self.catcher.clone();
        house.accompany(|stop| catcher::serve_http(catcher, self.page, stop));
        if let Some(smtp) = self.smtp {
            let catcher = self.catcher;
            house.accompany(|stop| catcher::serve_smtp(catcher, smtp, stop));
        }
    }
}
