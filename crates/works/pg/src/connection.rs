//! One session, owned by whoever uses it.

pub mod parts;
mod reading;

use crate::cancel::CancelToken;
use crate::config::Config;
use crate::error::{DbError, Error};
use crate::handshake;
use crate::pipeline::{Pipeline, Step};
use crate::rows::{Column, Rows};
use crate::statements::{Statement, Statements};
use crate::stream::Stream;
use crate::transaction::Transaction;
use bytes::{Buf, BytesMut};
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend::{self, BindError};
use reading::Reading;
use sql::Param;
use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A message that another session sent with NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub channel: String,
    pub payload: String,
    /// The server process of the sender.
    pub process_id: i32,
}

/// A session with a server.
///
/// Dropping a future of this type before it is done leaves the session in the middle of an exchange: it is
/// then [broken](Connection::is_broken) and only good for being closed, which a pool does.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    stream: Stream,
    read: BytesMut,
    write: BytesMut,
    parameters: HashMap<String, String>,
    process_id: i32,
    secret_key: i32,
    statements: Statements,
    notifications: VecDeque<Notification>,
    transaction: TransactionStatus,
    /// Set while an exchange is under way, and for good once one failed.
    broken: bool,
    /// Which step of the last pipeline the server refused.
    failed_step: Option<usize>,
    /// An answer that is read in parts.
    open: Option<Box<parts::Open>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionStatus {
    Idle,
    Open,
}

/// The format of values that are not text.
const BINARY: i16 = 1;

/// Which of the two query protocols an exchange speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Simple,
    Extended,
}

/// How a step of a pipeline names its statement.
#[derive(Debug)]
enum Plan {
    Known(Statement),
    /// Prepared now, and kept under this name.
    Named(Arc<str>),
    Unnamed,
}

impl Connection {
    /// Notifications that wait to be read; older ones make room.
    const NOTIFICATIONS: usize = 4096;
    /// Above this the write buffer is given back after use.
    const BUFFER_KEPT: usize = 256 * 1024;

    /// Opens a session.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, or does not answer within the configured time.
    pub async fn connect(config: &Config) -> Result<Connection, Error> {
        let session = handshake::connect(config).await?;
        Ok(Connection {
            config: Arc::new(config.clone()),
            stream: session.stream,
            read: session.read,
            write: BytesMut::with_capacity(8 * 1024),
            parameters: session.parameters,
            process_id: session.process_id,
            secret_key: session.secret_key,
            statements: Statements::new(config.statement_cache),
            notifications: VecDeque::new(),
            transaction: TransactionStatus::Idle,
            broken: false,
            failed_step: None,
            open: None,
        })
    }

    /// Runs one statement: in a transaction of its own, or in the one that is open.
    ///
    /// # Errors
    /// The server's report, or the loss of the connection.
    pub async fn query(&mut self, sql: &str, params: &[Param]) -> Result<Rows, Error> {
        let mut pipeline = Pipeline::new();
        pipeline.step(sql, params.to_vec());
        let mut results = self.run(&pipeline).await?;
        results.pop().ok_or_else(|| Error::Protocol("no result for a statement".to_owned()))
    }

    /// Runs all statements of a pipeline in one round trip; outside an open transaction they are one.
    ///
    /// # Errors
    /// The first report of the server (nothing of the pipeline took effect then), or the loss of the connection.
    pub async fn run(&mut self, pipeline: &Pipeline) -> Result<Vec<Rows>, Error> {
        let alone = self.transaction == TransactionStatus::Idle;
        match self.exchange(&pipeline.steps).await {
            Err(error) if error.is_stale_statement() => {
                self.forget(&pipeline.steps);
                // Not where a step of the pipeline itself has opened a transaction, which has failed now.
                if !alone || self.in_transaction() {
                    return Err(error);
                }
                self.exchange(&pipeline.steps).await
            }
            result => result,
        }
    }

    /// Runs a text of several statements without parameters; outside an open transaction they are one, unless
    /// the text says otherwise.
    ///
    /// # Errors
    /// The first report of the server, or the loss of the connection.
    pub async fn batch(&mut self, sql: &str) -> Result<Vec<Rows>, Error> {
        self.begin_exchange()?;
        frontend::query(sql, &mut self.write)?;
        self.flush().await?;
        let mut reading = Reading::new(Protocol::Simple, self.config.answer_bytes_max);
        self.collect(&mut reading).await?;
        reading.end()
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// The loss of the connection.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        self.query("begin", &[]).await?;
        Ok(Transaction::new(self))
    }

    /// Waits for a notification on a channel that was listened to.
    ///
    /// # Errors
    /// The loss of the connection.
    pub async fn notification(&mut self) -> Result<Notification, Error> {
        loop {
            if let Some(notification) = self.notifications.pop_front() {
                return Ok(notification);
            }
            match Message::parse(&mut self.read)? {
                Some(Message::ErrorResponse(body)) => {
                    self.broken = true;
                    return Err(Error::Db(Box::new(DbError::read(&body)?)));
                }
                Some(message) => self.note(message)?,
                None => self.fill().await?,
            }
        }
    }

    /// The name by which another session can cancel what this one does.
    pub fn cancel_token(&self) -> CancelToken {
        CancelToken {
            config: (*self.config).clone(),
            process_id: self.process_id,
            secret_key: self.secret_key,
        }
    }

    /// A setting that the server reports: `server_version`, `TimeZone`, …
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The number of the server's process for this session.
    pub fn process_id(&self) -> i32 {
        self.process_id
    }

    /// Whether the session can only be closed.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The number, from 0, of the step that the server refused in the last pipeline: every step before it had run.
    /// Nothing when it refused none.
    pub fn failed_step(&self) -> Option<usize> {
        self.failed_step
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.transaction == TransactionStatus::Open
    }

    /// Ends the session in order.
    pub async fn close(mut self) {
        self.write.clear();
        frontend::terminate(&mut self.write);
        // The server ends the session either way once the socket closes.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), self.flush()).await;
    }

    /// Whether the session can be handed to the next user: nothing open, nothing pending, the socket alive.
    pub(crate) fn is_reusable(&mut self) -> bool {
        if self.broken || self.in_transaction() {
            return false;
        }
        let mut context = Context::from_waker(Waker::noop());
        match pin!(self.stream.read_buf(&mut self.read)).poll(&mut context) {
            Poll::Ready(Ok(0) | Err(_)) => return false,
            Poll::Ready(Ok(_)) | Poll::Pending => {}
        }
        loop {
            match Message::parse(&mut self.read) {
                Ok(None) => return true,
                Ok(Some(Message::ErrorResponse(_))) | Err(_) => return false,
                Ok(Some(message)) => {
                    if self.note(message).is_err() {
                        return false;
                    }
                }
            }
        }
    }

    fn begin_exchange(&mut self) -> Result<(), Error> {
        if self.broken {
            return Err(Error::Closed);
        }
        self.broken = true;
        self.failed_step = None;
        Ok(())
    }

    async fn exchange(&mut self, steps: &[Step]) -> Result<Vec<Rows>, Error> {
        let plans = self.send(steps).await?;
        let mut reading = Reading::new(Protocol::Extended, self.config.answer_bytes_max);
        let collected = self.collect(&mut reading).await;
        self.keep(steps, &plans, &reading.described);
        collected?;
        name_columns(&mut reading.results, &plans, 0);
        reading.end()
    }

    /// Sends the steps under one Sync.
    async fn send(&mut self, steps: &[Step]) -> Result<Vec<Plan>, Error> {
        self.begin_exchange()?;
        let plans: Vec<Plan> = steps.iter().map(|step| self.plan(step)).collect();
        for (step, plan) in steps.iter().zip(&plans) {
            write_step(&mut self.write, step, plan)?;
        }
        frontend::sync(&mut self.write);
        self.flush().await?;
        Ok(plans)
    }

    fn plan(&mut self, step: &Step) -> Plan {
        if !step.cached || !self.statements.keeps(&step.sql) {
            return Plan::Unnamed;
        }
        match self.statements.get(&step.sql) {
            Some(statement) => Plan::Known(statement),
            None => Plan::Named(self.statements.new_name()),
        }
    }

    /// Remembers the statements that the server has prepared, whether or not they then ran.
    fn keep(&mut self, steps: &[Step], plans: &[Plan], described: &[(usize, Arc<[Column]>)]) {
        for (at, columns) in described {
            let (Some(step), Some(Plan::Named(name))) = (steps.get(*at), plans.get(*at)) else { continue };
            let superfluous = if self.statements.get(&step.sql).is_some() {
                vec![Arc::clone(name)]
            } else {
                let statement = Statement { name: Arc::clone(name), columns: Arc::clone(columns) };
                self.statements.put(Arc::clone(&step.sql), statement)
            };
            self.close_later(&superfluous);
        }
    }

    fn forget(&mut self, steps: &[Step]) {
        for step in steps {
            let name = self.statements.remove(&step.sql);
            self.close_later(name.as_slice());
        }
    }

    /// Puts Close messages before the next exchange; their answers are skipped there.
    fn close_later(&mut self, names: &[Arc<str>]) {
        for name in names {
            // Writing to memory fails only for names with a NUL; ours have none.
            let _ = frontend::close(b'S', name, &mut self.write);
        }
    }

    /// Writes what is buffered, reading meanwhile if the server cannot take more before we do.
    async fn flush(&mut self) -> Result<(), Error> {
        let Connection { stream, read, write, .. } = self;
        poll_fn(|cx| {
            while write.has_remaining() {
                match pin!(stream.write_buf(write)).poll(cx)? {
                    Poll::Ready(0) => return Poll::Ready(Err(Error::Closed)),
                    Poll::Ready(_) => {}
                    Poll::Pending => match pin!(stream.read_buf(read)).poll(cx)? {
                        Poll::Ready(0) => return Poll::Ready(Err(Error::Closed)),
                        Poll::Ready(_) => {}
                        Poll::Pending => return Poll::Pending,
                    },
                }
            }
            pin!(stream.flush()).poll(cx).map_err(Error::from)
        })
        .await?;
        if self.write.capacity() > Self::BUFFER_KEPT {
            self.write = BytesMut::with_capacity(8 * 1024);
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), Error> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) => {
                self.broken = true;
                Err(Error::Closed)
            }
            Ok(_) => Ok(()),
            Err(e) => {
                self.broken = true;
                Err(e.into())
            }
        }
    }

    /// Takes in a message that may come at any time, or that carries no information.
    fn note(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::NotificationResponse(body) => {
                if self.notifications.len() == Self::NOTIFICATIONS {
                    self.notifications.pop_front();
                    tracing::warn!("notifications from PostgreSQL are not read fast enough; one is lost");
                }
                self.notifications.push_back(Notification {
                    channel: body.channel()?.to_owned(),
                    payload: body.message()?.to_owned(),
                    process_id: body.process_id(),
                });
            }
            Message::ParameterStatus(body) => {
                self.parameters.insert(body.name()?.to_owned(), body.value()?.to_owned());
            }
            _ => {}
        }
        Ok(())
    }
}

/// Gives results the columns of statements that were prepared before. `first` is the number of their first step.
fn name_columns(results: &mut [Rows], plans: &[Plan], first: usize) {
    for (rows, plan) in results.iter_mut().zip(plans.iter().skip(first)) {
        if let Plan::Known(statement) = plan {
            rows.columns = Arc::clone(&statement.columns);
        }
    }
}

fn write_step(write: &mut BytesMut, step: &Step, plan: &Plan) -> Result<(), Error> {
    let name = match plan {
        Plan::Known(statement) => &*statement.name,
        Plan::Named(name) => name,
        Plan::Unnamed => "",
    };
    if !matches!(plan, Plan::Known(_)) {
        frontend::parse(name, &step.sql, [], write)?;
        frontend::describe(b'S', name, write)?;
    }
    let value = |param: &Param, out: &mut BytesMut| {
        Ok(match param {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    };
    let formats = step.binary.then_some(BINARY);
    frontend::bind("", name, [], &step.params, value, formats, write).map_err(|e| match e {
        BindError::Conversion(e) => Error::Protocol(e.to_string()),
        BindError::Serialization(e) => Error::Protocol(e.to_string()),
    })?;
    Ok(frontend::execute("", 0, write)?)
}
