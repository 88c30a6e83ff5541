//! The first packet of a client: a wish for encryption, a cancel request, or the start of a session.

use crate::directory::{Refusal, RouteRequest};
use model::ProjectRef;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest first packet, as in PostgreSQL.
pub(crate) const LENGTH_MAX: usize = 10_000;
const PARAMETERS_MAX: usize = 100;

const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    Ssl,
    Gss,
    Cancel { process_id: i32, secret: i32 },
    Startup(Startup),
}

/// A session that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Startup {
    pub(crate) user: String,
    pub(crate) database: String,
    /// The reference to a project in `options`, which is ours to read and not the server's.
    reference: Option<String>,
    /// All other parameters, for the server.
    pub(crate) parameters: Vec<(String, String)>,
    /// What the client asks of the protocol beyond 3.0: to be told that we do not know it.
    pub(crate) beyond: Option<Vec<String>>,
}

/// Why there is no packet.
#[derive(Debug)]
pub(crate) enum Invalid {
    /// Not PostgreSQL's protocol, or nobody there: closed without a word.
    Silent,
    Refused(Refusal),
}

impl From<Refusal> for Invalid {
    fn from(refusal: Refusal) -> Self {
        Invalid::Refused(refusal)
    }
}

/// Reads one packet; not a byte more, since what follows may be encrypted.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Packet, Invalid> {
    let length = stream.read_u32().await.map_err(|_| Invalid::Silent)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(8..=LENGTH_MAX).contains(&length) {
        return Err(Invalid::Silent);
    }
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.map_err(|_| Invalid::Silent)?;
    Ok(parse(&body)?)
}

/// Reads a packet without its length.
fn parse(body: &[u8]) -> Result<Packet, Refusal> {
    let Some((code, rest)) = body.split_first_chunk::<4>() else {
        return Err(Refusal::protocol("invalid length of startup packet"));
    };
    match u32::from_be_bytes(*code) {
        SSL if rest.is_empty() => Ok(Packet::Ssl),
        GSS if rest.is_empty() => Ok(Packet::Gss),
        CANCEL => {
            let key: [u8; 8] =
                rest.try_into().map_err(|_| Refusal::protocol("invalid length of cancel request"))?;
            let [a, b, c, d, e, f, g, h] = key;
            let (process_id, secret) = (i32::from_be_bytes([a, b, c, d]), i32::from_be_bytes([e, f, g, h]));
            Ok(Packet::Cancel { process_id, secret })
        }
        code if code >> 16 == 3 => startup(code & 0xffff, rest).map(Packet::Startup),
        code => {
            let version = format!("{}.{}", code >> 16, code & 0xffff);
            let text = format!("unsupported frontend protocol {version}: server supports 3.0 to 3.0");
            Err(Refusal::new("0A000", text))
        }
    }
}

fn startup(minor: u32, body: &[u8]) -> Result<Startup, Refusal> {
    let mut texts = texts(body)?.into_iter();
    let (mut user, mut database, mut reference) = (None, None, None);
    let (mut parameters, mut unknown) = (Vec::new(), Vec::new());
    while let Some(name) = texts.next() {
        let value = texts.next().ok_or_else(|| Refusal::protocol("invalid startup packet layout"))?;
        match name {
            "" => {
                return Err(Refusal::protocol(
                    "invalid startup packet layout: expected terminator as last byte",
                ));
            }
            "user" => set_once(&mut user, value)?,
            "database" => set_once(&mut database, value)?,
            "options" => {
                let (ours, theirs) = split_options(value);
                reference = ours;
                if !theirs.is_empty() {
                    parameters.push(("options".to_owned(), theirs));
                }
            }
            _ if name.starts_with("_pq_.") => unknown.push(name.to_owned()),
            _ => parameters.push((name.to_owned(), value.to_owned())),
        }
        if parameters.len() > PARAMETERS_MAX {
            return Err(Refusal::protocol("too many startup parameters"));
        }
    }
    let user = user.filter(|u| !u.is_empty());
    let user =
        user.ok_or_else(|| Refusal::new("28000", "no PostgreSQL user name specified in startup packet"))?;
    let beyond = (minor > 0 || !unknown.is_empty()).then_some(unknown);
    let database = database.filter(|d| !d.is_empty()).unwrap_or_default();
    Ok(Startup { user, database, reference, parameters, beyond })
}

/// The texts, each ended by a zero byte, up to the empty one that ends the packet.
fn texts(body: &[u8]) -> Result<Vec<&str>, Refusal> {
    let layout = || Refusal::protocol("invalid startup packet layout: expected terminator as last byte");
    let body = body.strip_suffix(&[0]).ok_or_else(layout)?;
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let body = body.strip_suffix(&[0]).ok_or_else(layout)?;
    let text =
        |bytes| std::str::from_utf8(bytes).map_err(|_| Refusal::protocol("startup packet is not UTF-8"));
    body.split(|b| *b == 0).map(text).collect()
}

/// A second value for the same parameter could be meant to be read differently by us and by the server.
fn set_once(slot: &mut Option<String>, value: &str) -> Result<(), Refusal> {
    match slot.replace(value.to_owned()) {
        None => Ok(()),
        Some(_) => Err(Refusal::protocol("invalid startup packet layout: parameter given twice")),
    }
}

/// Takes `reference=<ref>` out of `options`; the rest is the server's.
fn split_options(options: &str) -> (Option<String>, String) {
    if !options.contains("reference=") {
        return (None, options.to_owned());
    }
    let mut reference = None;
    let mut rest = Vec::new();
    for word in options.split_ascii_whitespace() {
        match word.strip_prefix("reference=") {
            Some(value) => reference = Some(value.to_owned()),
            None => rest.push(word),
        }
    }
    (reference, rest.join(" "))
}

impl Startup {
    /// Which project and role are meant. A reference that is none is an unknown project, not the default one.
    pub(crate) fn route(&self, sni: Option<&str>, peer: SocketAddr) -> Result<RouteRequest, Refusal> {
        let from_user =
            self.user.rsplit_once('.').and_then(|(user, r)| Some((user, r.parse::<ProjectRef>().ok()?)));
        let from_sni = || sni?.strip_prefix("db.")?.split_once('.')?.0.parse::<ProjectRef>().ok();
        let (user, project) = match (from_user, &self.reference) {
            (Some((user, project)), _) => (user, Some(project)),
            (None, Some(text)) => {
                let project = text.parse::<ProjectRef>().map_err(|_| Refusal::unknown_project())?;
                (self.user.as_str(), Some(project))
            }
            (None, None) => (self.user.as_str(), from_sni()),
        };
        if user.is_empty() {
            return Err(Refusal::new("28000", "no PostgreSQL user name specified in startup packet"));
        }
        // The client's own default is the whole name of the user, which is no database of the project.
        let default = self.database.is_empty() || self.database == self.user;
        let database = if default { user } else { &self.database };
        Ok(RouteRequest {
            user: user.to_owned(),
            database: database.to_owned(),
            project,
            sni: sni.map(str::to_owned),
            peer,
        })
    }
}

#[cfg(test)]
mod tests;
