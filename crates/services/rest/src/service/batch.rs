//! A batch's way through the stages.

use super::{Rest, bound_of, log};
use crate::batch::{self, Failure};
use crate::bound;
use crate::execute::{self, Context};
use crate::request::{Incoming, Preferences};
use crate::response;
use crate::schema::SchemaCache;
use axum::body::Body;
use fault::Fault;
use http::Response;
use http::request::Parts;
use model::Caller;

impl Rest {
    /// Answers a batch. The fault of one operation is the whole answer.
    pub(super) async fn batch(
        &self,
        parts: &Parts,
        caller: &Caller,
        cache: &SchemaCache,
        body: &[u8],
    ) -> Result<Response<Body>, Fault> {
        let operations = batch::operations(&parts.headers, body)?;
        match self.perform(parts, caller, cache, operations).await {
            Ok(response) => Ok(response),
            Err(Failure { operation, mut fault }) => {
                log(&fault);
                bound::explain(&mut fault, bound_of(parts));
                response::show_schemas(&mut fault, &self.settings);
                Ok(response::batch_fault_response(&fault, operation, &self.settings))
            }
        }
    }

    async fn perform(
        &self,
        parts: &Parts,
        caller: &Caller,
        cache: &SchemaCache,
        operations: Vec<Result<batch::Operation, Fault>>,
    ) -> Result<Response<Body>, Failure> {
        let settings = &*self.settings;
        let mut prepared = Vec::with_capacity(operations.len());
        for (number, operation) in operations.into_iter().enumerate() {
            let ready = operation.and_then(|operation| batch::prepare(operation, cache, settings));
            prepared.push(ready.map_err(|fault| Failure { operation: Some(number), fault })?);
        }
        let context = Context {
            settings,
            caller,
            incoming: Incoming { method: &parts.method, path: "/", query: "", headers: &parts.headers },
            schema: settings.default_schema(),
            prefer: &Preferences::parse(&parts.headers, settings.db_tx_end.allow_override),
            bound: bound_of(parts),
        };
        let done = execute::run_batch(&self.pool, context, prepared).await?;
        batch::results(done, settings).await.map_err(|fault| Failure { operation: None, fault })
    }
}
