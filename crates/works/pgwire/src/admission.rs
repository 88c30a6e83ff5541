//! Letting a client in: its server is found, and it proves who it is — before its server is woken, where we can
//! tell by what is remembered.

use crate::client::Client;
use crate::directory::{Refusal, RouteRequest, Target, Verifiers};
use crate::message;
use crate::roles::ProjectRoles;
use crate::router::Shared;
use crate::scram::{self, Exchange, Failure, Verifier};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// One client's way in.
pub(crate) struct Admission<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) request: &'a RouteRequest,
    pub(crate) roles: Arc<ProjectRoles>,
}

impl Admission<'_> {
    /// The server that the client may use. `None`: it has left, as psql does to ask for the password.
    pub(crate) async fn of(&self, client: &mut Client) -> Result<Option<Target>, Refusal> {
        if let Some(verifiers) = self.read().await? {
            let proven = self.prove(client, self.verifier(&verifiers)).await?;
            return if proven { Ok(Some(self.route().await?)) } else { Ok(None) };
        }
        if let Some(remembered) = self.roles.remembered(&self.request.user) {
            return self.of_a_sleeper(client, &remembered).await;
        }
        let (target, verifiers) = self.wake().await?;
        let proven = self.prove(client, self.verifier(&verifiers)).await?;
        Ok(proven.then_some(target))
    }

    /// Wakes the server for a password that was right when it went to sleep, and still is.
    async fn of_a_sleeper(
        &self,
        client: &mut Client,
        remembered: &Verifiers,
    ) -> Result<Option<Target>, Refusal> {
        let verifier = self.verifier(remembered);
        match self.prove(client, verifier.clone()).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(refusal) => {
                if refusal.is_wrong_password() && self.shared.roles.may_doubt(&self.roles, Instant::now()) {
                    // This exchange is over, but the client's next one is held against what is true now.
                    self.wake().await?;
                }
                return Err(refusal);
            }
        }
        let (target, verifiers) = self.wake().await?;
        match verifiers.of(&self.request.user) == Some(&verifier) {
            true => Ok(Some(target)),
            false => Err(Refusal::wrong_password(&self.request.user)),
        }
    }

    async fn read(&self) -> Result<Option<Arc<Verifiers>>, Refusal> {
        self.roles.read(&*self.shared.directory, &self.request.user).await
    }

    /// The server, awake, and what it says of its roles.
    async fn wake(&self) -> Result<(Target, Arc<Verifiers>), Refusal> {
        let target = self.route().await?;
        let verifiers = self.read().await?.ok_or_else(Refusal::unavailable)?;
        Ok((target, verifiers))
    }

    async fn route(&self) -> Result<Target, Refusal> {
        let route = async {
            let _place = self.roles.routes.acquire().await.map_err(|_| Refusal::unavailable())?;
            self.shared.directory.route(self.request).await
        };
        let limit = self.shared.settings.route_timeout;
        let target = timeout(limit, route).await.map_err(|_| Refusal::unavailable())??;
        // A domain may have been given to another project meanwhile: the proof was for this one.
        if target.project == self.roles.project { Ok(target) } else { Err(Refusal::unavailable()) }
    }

    fn verifier(&self, known: &Verifiers) -> Verifier {
        let user = &self.request.user;
        known.of(user).cloned().unwrap_or_else(|| Verifier::mock(&self.shared.mock_secret, user))
    }

    /// Lets the client prove that it knows the password. `false`: it has left, or does not speak.
    async fn prove(&self, client: &mut Client, verifier: Verifier) -> Result<bool, Refusal> {
        let exchange = exchange(client, verifier, &self.request.user);
        timeout(self.shared.settings.startup_timeout, exchange).await.unwrap_or(Ok(false))
    }
}

/// Speaks SCRAM with the client. `false`: it has left.
async fn exchange(client: &mut Client, verifier: Verifier, user: &str) -> Result<bool, Refusal> {
    let failed = |failure| match failure {
        Failure::Malformed(reason) => Refusal::protocol(format!("malformed SCRAM message: {reason}")),
        Failure::WrongPassword => Refusal::wrong_password(user),
    };
    let mut out = BytesMut::new();
    message::authentication_sasl(&mut out, scram::MECHANISM);
    let Some(body) = ask(client, &mut out).await? else { return Ok(false) };
    let Some((mechanism, data)) = message::parse_sasl_initial(&body) else {
        return Err(Refusal::protocol("malformed SASL initial response"));
    };
    if mechanism != scram::MECHANISM {
        return Err(Refusal::protocol("client selected an invalid SASL authentication mechanism"));
    }
    let nonce = scram::random().ok_or_else(Refusal::unavailable)?;
    let exchange = Exchange::begin(verifier, data, nonce).map_err(failed)?;
    message::authentication_sasl_continue(&mut out, &exchange.server_first);
    let Some(body) = ask(client, &mut out).await? else { return Ok(false) };
    let last = exchange.finish(&body).map_err(failed)?;
    message::authentication_sasl_final(&mut out, &last);
    Ok(client.write_all(&out).await.is_ok())
}

/// Sends what is in the buffer, and waits for the client's next step.
async fn ask(client: &mut Client, out: &mut BytesMut) -> Result<Option<Vec<u8>>, Refusal> {
    let sent = client.write_all(&out.split()).await;
    if sent.is_err() || client.flush().await.is_err() {
        return Ok(None);
    }
    message::read_sasl(client).await
}
