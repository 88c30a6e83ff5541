//! What has come of the answers to an exchange.

use super::{Connection, Protocol, TransactionStatus};
use crate::error::{DbError, Error};
use crate::rows::{Column, Row, Rows};
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Header, Message, RowDescriptionBody};
use postgres_protocol::message::frontend;
use std::sync::Arc;

/// What has come of the answers to an exchange.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) protocol: Protocol,
    pub(super) results: Vec<Rows>,
    pub(super) current: Rows,
    pub(super) failure: Option<Error>,
    /// How many bytes may still come to be kept.
    pub(super) left: usize,
    /// The columns of the statements that were prepared, by the step's number.
    pub(super) described: Vec<(usize, Arc<[Column]>)>,
}

impl Reading {
    pub(super) fn new(protocol: Protocol, bytes_max: usize) -> Self {
        Reading {
            protocol,
            results: Vec::new(),
            current: Rows::default(),
            failure: None,
            left: bytes_max,
            described: Vec::new(),
        }
    }

    /// Results, or the first failure.
    pub(super) fn end(self) -> Result<Vec<Rows>, Error> {
        self.failure.map_or(Ok(self.results), Err)
    }
}

impl Connection {
    /// Reads the answers up to the end of the exchange.
    pub(super) async fn collect(&mut self, reading: &mut Reading) -> Result<(), Error> {
        loop {
            self.admit(&mut reading.left)?;
            let Some(message) = Message::parse(&mut self.read)? else {
                // A server that stops says why before it hangs up.
                self.fill().await.map_err(|lost| reading.failure.take().unwrap_or(lost))?;
                continue;
            };
            if self.take_in(message, reading).await? {
                return Ok(());
            }
        }
    }

    /// Takes in one message of an answer; whether it was the last.
    pub(super) async fn take_in(&mut self, message: Message, reading: &mut Reading) -> Result<bool, Error> {
        let Reading { protocol, results, current, failure, described, .. } = reading;
        match message {
            Message::DataRow(body) => current.rows.push(read_row(&body)?),
            Message::RowDescription(body) => {
                current.columns = read_columns(&body)?;
                described.push((results.len(), Arc::clone(&current.columns)));
            }
            Message::NoData => described.push((results.len(), Arc::default())),
            Message::CommandComplete(body) => {
                current.tag = body.tag()?.to_owned();
                results.push(std::mem::take(current));
            }
            Message::EmptyQueryResponse => results.push(std::mem::take(current)),
            Message::ErrorResponse(body) => {
                let error = DbError::read(&body)?;
                self.failed_step.get_or_insert(results.len());
                failure.get_or_insert(Error::Db(Box::new(error)));
            }
            Message::CopyInResponse(_) => {
                frontend::copy_fail("COPY from the client is not possible here", &mut self.write)?;
                if *protocol == Protocol::Extended {
                    // The Sync that we sent was swallowed by the server's copy mode.
                    frontend::sync(&mut self.write);
                }
                self.flush().await?;
            }
            Message::ReadyForQuery(body) => {
                self.transaction = match body.status() {
                    b'I' => TransactionStatus::Idle,
                    _ => TransactionStatus::Open,
                };
                self.broken = false;
                return Ok(true);
            }
            other => self.note(other)?,
        }
        Ok(false)
    }

    /// Takes the next message's length, once its header is there, off what may still come. A larger answer would
    /// fill our memory, so the exchange is given up in the middle.
    pub(super) fn admit(&mut self, left: &mut usize) -> Result<(), Error> {
        let Some(header) = Header::parse(&self.read)? else { return Ok(()) };
        let length = usize::try_from(header.len()).unwrap_or(usize::MAX);
        let whole = self.read.len() > length;
        match left.checked_sub(length) {
            // A message that is not all there yet comes by here again.
            Some(rest) => *left = if whole { rest } else { *left },
            None => return Err(Error::AnswerTooLarge { bytes_max: self.config.answer_bytes_max }),
        }
        Ok(())
    }
}

fn read_columns(body: &RowDescriptionBody) -> Result<Arc<[Column]>, Error> {
    let columns: Vec<Column> =
        body.fields().map(|f| Ok(Column { name: f.name().to_owned(), type_oid: f.type_oid() })).collect()?;
    Ok(columns.into())
}

pub(super) fn read_row(body: &DataRowBody) -> Result<Row, Error> {
    let values: Vec<Option<std::ops::Range<usize>>> = body.ranges().collect()?;
    Ok(Row { buffer: body.buffer_bytes().clone(), values: values.into() })
}
