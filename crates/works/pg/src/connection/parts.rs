//! Answers that are too large to be held: read in parts, as fast as their reader takes them.
//!
//! While nobody asks for the next part nothing is read from the socket, so a slow reader slows down the server
//! rather than filling our memory.

use super::reading::{Reading, read_row};
use super::{Connection, Plan, Protocol, name_columns};
use crate::error::Error;
use crate::pipeline::{Pipeline, Step};
use crate::rows::{Column, Row, Rows};
use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::message::backend::{Header, Message};
use std::ops::Range;
use std::sync::Arc;

/// Which part of an answer may come in parts, and from when on it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// The number of the step.
    pub step: usize,
    /// More bytes than these are not held.
    pub bytes_max: usize,
    pub of: Parts,
}

/// What comes in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// The last value of the step's first row.
    Value,
    /// The step's rows.
    Rows,
}

/// A part.
#[derive(Debug, Clone)]
pub enum Part {
    /// Some bytes of the value.
    Bytes(Bytes),
    /// A row.
    Row(Row),
}

/// What [`Connection::run_in_parts`] has read so far.
#[derive(Debug)]
pub struct Begun {
    /// The results up to the watched step, whose own is the last: with its rows so far or, of a large value, with
    /// one row that lacks it. All results when `rest` is [`Remainder::Nothing`].
    pub results: Vec<Rows>,
    pub rest: Remainder,
}

/// What is still to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remainder {
    /// The exchange is over.
    Nothing,
    /// A value of so many bytes.
    Value(u64),
    /// Rows, at least one of them or the end.
    Rows,
}

/// An answer that is read in parts.
#[derive(Debug)]
pub(super) struct Open {
    steps: Vec<Step>,
    plans: Vec<Plan>,
    reading: Reading,
    /// How many results were handed out before.
    handed: usize,
    rest: Remainder,
}

impl Connection {
    /// How much is read at once of a large value.
    const PART_BYTES: usize = 64 * 1024;

    /// As [`Connection::run`], but what is watched is handed over in parts when it is large. Then the session is
    /// in the middle of the exchange: [`Connection::part`] reads on and [`Connection::finish`] comes to its end.
    ///
    /// # Errors
    /// As for [`Connection::run`], as far as the server has reported yet.
    pub async fn run_in_parts(&mut self, pipeline: &Pipeline, watch: Watch) -> Result<Begun, Error> {
        let alone = !self.in_transaction();
        match self.begin_parts(&pipeline.steps, watch).await {
            Err(error) if error.is_stale_statement() => {
                self.forget(&pipeline.steps);
                // Not where a step of the pipeline itself has opened a transaction, which has failed now.
                if !alone || self.in_transaction() {
                    return Err(error);
                }
                self.begin_parts(&pipeline.steps, watch).await
            }
            begun => begun,
        }
    }

    async fn begin_parts(&mut self, steps: &[Step], watch: Watch) -> Result<Begun, Error> {
        let plans = self.send(steps).await?;
        let mut reading = Reading::new(Protocol::Extended, self.config.answer_bytes_max);
        let rest = match self.collect_until(&mut reading, watch).await {
            Ok(rest) => rest,
            Err(error) => {
                self.keep(steps, &plans, &reading.described);
                return Err(error);
            }
        };
        if rest == Remainder::Nothing {
            self.keep(steps, &plans, &reading.described);
            name_columns(&mut reading.results, &plans, 0);
            return Ok(Begun { results: reading.end()?, rest });
        }
        let mut results = std::mem::take(&mut reading.results);
        results.push(std::mem::take(&mut reading.current));
        name_columns(&mut results, &plans, 0);
        let handed = results.len();
        // What comes from now on is numbered from where it was.
        reading.results = Vec::new();
        self.keep(steps, &plans, &std::mem::take(&mut reading.described));
        // The parameters have been sent: they need not live as long as the answer takes.
        let steps = steps.iter().map(|step| Step { params: Vec::new(), ..step.clone() }).collect();
        self.open = Some(Box::new(Open { steps, plans, reading, handed, rest }));
        Ok(Begun { results, rest })
    }

    /// The next part of what is watched; nothing after the last.
    ///
    /// # Errors
    /// The server's report in the middle of its rows, or the loss of the connection. The exchange is over then.
    pub async fn part(&mut self) -> Result<Option<Part>, Error> {
        let Some(mut open) = self.open.take() else { return Ok(None) };
        let part = self.next_part(&mut open).await;
        if part.is_ok() {
            self.open = Some(open);
        } else if !self.broken {
            let described = numbered(&mut open.reading.described, open.handed);
            self.keep(&open.steps, &open.plans, &described);
        }
        part
    }

    async fn next_part(&mut self, open: &mut Open) -> Result<Option<Part>, Error> {
        match open.rest {
            Remainder::Nothing | Remainder::Value(0) => Ok(None),
            Remainder::Value(left) => {
                if self.read.is_empty() {
                    self.read.reserve(Self::PART_BYTES);
                    self.fill().await?;
                }
                let left_here = usize::try_from(left).unwrap_or(usize::MAX);
                let bytes = self.read.split_to(self.read.len().min(left_here)).freeze();
                open.rest = Remainder::Value(left - bytes.len() as u64);
                Ok(Some(Part::Bytes(bytes)))
            }
            Remainder::Rows => self.next_row(open).await,
        }
    }

    async fn next_row(&mut self, open: &mut Open) -> Result<Option<Part>, Error> {
        open.reading.left = self.config.answer_bytes_max;
        loop {
            self.admit(&mut open.reading.left)?;
            let Some(message) = Message::parse(&mut self.read)? else {
                self.read.reserve(Self::PART_BYTES);
                self.fill().await?;
                continue;
            };
            if let Message::DataRow(body) = &message {
                return Ok(Some(Part::Row(read_row(body)?)));
            }
            let over = self.take_in(message, &mut open.reading).await?;
            if open.reading.failure.is_some() {
                if !over {
                    self.collect(&mut open.reading).await?;
                }
                return Err(open.reading.failure.take().unwrap_or(Error::Closed));
            }
            if !open.reading.results.is_empty() {
                open.rest = Remainder::Nothing;
                return Ok(None);
            }
        }
    }

    /// Reads to the end of the exchange and drops what is left of the parts. The results from the watched step's
    /// on, its own without rows.
    ///
    /// # Errors
    /// The first report of the server since the parts began, or the loss of the connection.
    pub async fn finish(&mut self) -> Result<Vec<Rows>, Error> {
        while self.part().await?.is_some() {}
        let Some(mut open) = self.open.take() else { return Ok(Vec::new()) };
        let Open { steps, plans, reading, handed, .. } = &mut *open;
        reading.left = self.config.answer_bytes_max;
        let collected = self.collect(reading).await;
        let described = numbered(&mut reading.described, *handed);
        self.keep(steps, plans, &described);
        collected?;
        name_columns(&mut reading.results, plans, handed.saturating_sub(1));
        open.reading.end()
    }

    /// Reads up to the end of the exchange, or up to where the watched step's answer is to be read in parts.
    async fn collect_until(&mut self, reading: &mut Reading, watch: Watch) -> Result<Remainder, Error> {
        let mut held = 0;
        loop {
            if watch.step == reading.results.len()
                && let Some(header) = Header::parse(&self.read)?
                && header.tag() == b'D'
            {
                let length = usize::try_from(header.len()).unwrap_or(usize::MAX);
                match watch.of {
                    Parts::Rows if held + length > watch.bytes_max && !reading.current.rows.is_empty() => {
                        return Ok(Remainder::Rows);
                    }
                    Parts::Rows => held += if self.read.len() > length { length } else { 0 },
                    Parts::Value if length > watch.bytes_max && reading.current.rows.is_empty() => {
                        match before_value(&mut self.read, &mut reading.left)? {
                            Before::Row(row, bytes) => {
                                reading.current.rows.push(row);
                                return Ok(Remainder::Value(bytes));
                            }
                            Before::More => {
                                self.fill().await?;
                                continue;
                            }
                            Before::Null => {}
                        }
                    }
                    Parts::Value => {}
                }
            }
            self.admit(&mut reading.left)?;
            let Some(message) = Message::parse(&mut self.read)? else {
                // A server that stops says why before it hangs up.
                self.fill().await.map_err(|lost| reading.failure.take().unwrap_or(lost))?;
                continue;
            };
            if self.take_in(message, reading).await? {
                return Ok(Remainder::Nothing);
            }
        }
    }
}

/// Columns by the step's number. What is read after parts began is counted from the watched step on.
fn numbered(described: &mut Vec<(usize, Arc<[Column]>)>, handed: usize) -> Vec<(usize, Arc<[Column]>)> {
    let first = handed.saturating_sub(1);
    std::mem::take(described).into_iter().map(|(at, columns)| (at + first, columns)).collect()
}

/// What stands before the last value of a row.
enum Before {
    /// The row without it, and its length. The buffer begins with its bytes.
    Row(Row, u64),
    /// It has not come yet.
    More,
    /// There is no last value.
    Null,
}

/// Takes the values before the last out of the buffer, which begins with the row's message.
fn before_value(read: &mut BytesMut, left: &mut usize) -> Result<Before, Error> {
    const HEAD: usize = 1 + 4;
    let bad = || Error::Protocol("a row that is not one".to_owned());
    let number = |at: usize| Some(i32::from_be_bytes(read.get(at..at + 4)?.try_into().ok()?));
    let Some(count) = read.get(HEAD..HEAD + 2) else { return Ok(Before::More) };
    let count = usize::from(u16::from_be_bytes([count[0], count[1]]));
    let mut at = HEAD + 2;
    let mut values: Vec<Option<Range<usize>>> = Vec::with_capacity(count);
    loop {
        let Some(length) = number(at) else { return Ok(Before::More) };
        at += 4;
        if values.len() + 1 == count {
            let Ok(bytes) = u64::try_from(length) else { return Ok(Before::Null) };
            *left = left.checked_sub(at).ok_or(Error::AnswerTooLarge { bytes_max: *left })?;
            let buffer = read.split_to(at).freeze();
            values.push(None);
            return Ok(Before::Row(Row { buffer, values: values.into() }, bytes));
        }
        if values.len() >= count {
            return Err(bad());
        }
        match usize::try_from(length) {
            Ok(length) if length > *left => return Err(Error::AnswerTooLarge { bytes_max: *left }),
            Ok(length) => {
                values.push(Some(at..at + length));
                at += length;
            }
            Err(_) => values.push(None),
        }
        if at > read.remaining() {
            return Ok(Before::More);
        }
    }
}
