//! An explanation's way through the stages.

use super::Rest;
use crate::bound;
use crate::execute::{self, Context, Examined};
use crate::faults;
use crate::plan::{Plan, Planner};
use crate::request::{self, Incoming};
use crate::schema::SchemaCache;
use crate::statement::{self, Form, VALUES_MAX};
use crate::why::{self, Asked, EXPLANATION, Subject};
use axum::body::Body;
use bytes::Bytes;
use fault::Fault;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response};
use model::{Caller, role};

impl Rest {
    /// Explains a request to whoever has the service key.
    pub(super) async fn explain(
        &self,
        incoming: Incoming<'_>,
        service: &Caller,
        cache: &SchemaCache,
        body: Bytes,
    ) -> Result<Response<Body>, Fault> {
        if &*service.role != role::SERVICE {
            return Err(faults::explain_forbidden());
        }
        let settings = &*self.settings;
        let asked = Asked::of(incoming.headers)?;
        let headers = asked.headers(incoming.headers);
        let bearer = match incoming.headers.get(why::TOKEN) {
            Some(token) => {
                let bearer = [b"Bearer ", token.as_bytes()].concat();
                let bearer = HeaderValue::from_bytes(&bearer)
                    .map_err(|_| faults::explain_header(why::TOKEN.as_str(), "it is no token"))?;
                Some(self.verifier.caller(Some(&bearer), self.clock.now())?)
            }
            None => None,
        };
        let anonymous = settings.db_anon_role.as_deref().unwrap_or(role::ANON);
        let caller = bound::claimed(asked.caller(bearer, anonymous), Some(&asked.bound));

        let incoming = Incoming { headers: &headers, ..incoming };
        let request = request::parse(incoming, body, settings)?;
        let Plan::Rows(plan) = (Planner { cache, settings }).plan(&request)? else {
            return Err(faults::not_explained());
        };
        let statement = statement::build(&plan, &request, settings);
        if statement.main.params().len() > VALUES_MAX {
            return Err(faults::too_many_values(VALUES_MAX));
        }
        let Form::Row(layout) = statement.form else { return Err(faults::not_explained()) };
        let (text, params) = (statement.main.text().to_owned(), statement.main.params().to_vec());
        let (schema, prefer) = (&*request.schema, &request.prefer);
        let context =
            Context { settings, caller: &caller, incoming, schema, prefer, bound: Some(&asked.bound) };
        let examined = Examined {
            context,
            request: &request,
            plan: &plan,
            statement: statement.main,
            layout,
            runs_writes: asked.runs_writes,
            service,
        };
        let (facts, trial) = execute::examine(&self.pool, examined).await?;
        let subject = Subject {
            caller: &caller,
            bound: &asked.bound,
            command: why::command(&plan),
            statement: (&text, &params),
            settings,
        };
        Ok(answer(&why::explanation(&subject, facts, trial)))
    }
}

fn answer(explanation: &serde_json::Value) -> Response<Body> {
    let text = format!("{explanation:#}\n");
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EXPLANATION));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    *response.body_mut() = Body::from(text);
    response
}
