//! Plans that were made before, by the shape of a request.
//!
//! Requests of an application differ in their values, seldom in anything else: the same columns of the same relation
//! under the same conditions. The shape of a request is the request without its values ([`values`]). Its plan and
//! its statement are made once, with stand-ins where the values were; among the statement's parameters the stand-ins
//! tell where each value goes ([`template`]). A shape whose stand-ins do not all come out as parameters of their own
//! is planned each time. So nothing about the planner or the statements has to be known here, and a value cannot
//! be taken for something else.
//!
//! The plans of one project, bounded in number and size, and forgotten when its schema cache is exchanged.

mod template;
#[cfg(test)]
mod tests;
mod values;

use crate::plan::{Plan, Planner, Rows};
use crate::request::{Action, Calling, MediaType, Payload, Request};
use crate::schema::SchemaCache;
use crate::statement::{self, Statement};
use fault::Fault;
use lru::LruCache;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use template::Template;
use values::Values;

/// The most shapes that are kept.
const SHAPES_MAX: usize = 256;
/// The most bytes that all of them may weigh.
const WEIGHT_MAX: usize = 2 * 1024 * 1024;
/// What is heavier is planned each time.
const SHAPE_WEIGHT_MAX: usize = 64 * 1024;
/// What a shape and its plan take for each byte that the shape is made of.
const WEIGHT_PER_BYTE: usize = 8;

/// A plan with its statement.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once a request and taken apart at once; a box would be one more allocation"
)]
pub enum Planned {
    Rows(Arc<Rows>, Statement),
    Describe { head: bool, schema: String },
    Info { allow: String },
}

/// The plans that one project's requests had.
#[derive(Debug, Default)]
pub struct Plans {
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    /// What they were made from.
    schema: Weak<SchemaCache>,
    /// By shape; nothing where a shape has to be planned each time.
    shapes: LruCache<Request, Entry>,
    weight: usize,
}

#[derive(Debug)]
struct Entry {
    made: Option<Arc<Made>>,
    weight: usize,
}

/// A plan and what makes its statement.
#[derive(Debug)]
struct Made {
    plan: Arc<Rows>,
    template: Template,
}

impl Plans {
    /// Plans a request and writes its statement, or remembers both.
    ///
    /// # Errors
    /// Those of the planner.
    pub fn plan(
        &self,
        planner: Planner<'_>,
        schema: &Arc<SchemaCache>,
        request: &mut Request,
    ) -> Result<Planned, Fault> {
        if !may_be_kept(request) {
            return plan_anew(planner, request);
        }
        let values = Values::take(request);
        let known =
            self.kept(schema).as_mut().and_then(|kept| kept.shapes.get(request).map(|e| e.made.clone()));
        match known {
            Some(Some(made)) => {
                let statement = made.template.statement(&values);
                values.give_back(request);
                Ok(Planned::Rows(Arc::clone(&made.plan), statement))
            }
            Some(None) => {
                values.give_back(request);
                plan_anew(planner, request)
            }
            None => self.plan_first(planner, schema, request, values),
        }
    }

    /// Plans a shape for the first time.
    fn plan_first(
        &self,
        planner: Planner<'_>,
        schema: &Arc<SchemaCache>,
        request: &mut Request,
        values: Values,
    ) -> Result<Planned, Fault> {
        let shape = request.clone();
        let stand_ins = values.stand_ins();
        stand_ins.clone().give_back(request);
        let made = match plan_anew(planner, request) {
            Ok(Planned::Rows(plan, statement)) => {
                Template::of(statement, &stand_ins).map(|template| Arc::new(Made { plan, template }))
            }
            _ => None,
        };
        let planned = match &made {
            Some(made) => {
                let statement = made.template.statement(&values);
                values.give_back(request);
                Planned::Rows(Arc::clone(&made.plan), statement)
            }
            None => {
                values.give_back(request);
                plan_anew(planner, request)?
            }
        };
        self.keep(schema, shape, made);
        Ok(planned)
    }

    fn keep(&self, schema: &Arc<SchemaCache>, shape: Request, made: Option<Arc<Made>>) {
        let text = made.as_ref().map_or(0, |made| made.template.bytes());
        let weight = text + WEIGHT_PER_BYTE * bytes_of(&shape);
        if weight > SHAPE_WEIGHT_MAX {
            return;
        }
        let mut kept = self.kept(schema);
        let kept = kept.get_or_insert_with(|| Kept::new(schema));
        kept.weight += weight;
        if let Some((_, old)) = kept.shapes.push(shape, Entry { made, weight }) {
            kept.weight -= old.weight;
        }
        while kept.shapes.len() > SHAPES_MAX || kept.weight > WEIGHT_MAX {
            let Some((_, old)) = kept.shapes.pop_lru() else { break };
            kept.weight -= old.weight;
        }
    }

    /// What is kept for this schema cache; what was for another is dropped.
    fn kept(&self, schema: &Arc<SchemaCache>) -> MutexGuard<'_, Option<Kept>> {
        // At worst an entry is missing, whatever panicked.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_some_and(|kept| !std::ptr::eq(kept.schema.as_ptr(), Arc::as_ptr(schema))) {
            *kept = None;
        }
        kept
    }
}

impl Kept {
    fn new(schema: &Arc<SchemaCache>) -> Self {
        // A weak reference keeps the address from being used again, and not what was there.
        Kept { schema: Arc::downgrade(schema), shapes: LruCache::unbounded(), weight: 0 }
    }
}

fn plan_anew(planner: Planner<'_>, request: &Request) -> Result<Planned, Fault> {
    Ok(match planner.plan(request)? {
        Plan::Rows(rows) => {
            let statement = statement::build(&rows, request, planner.settings);
            Planned::Rows(Arc::from(rows), statement)
        }
        Plan::Describe { head, schema } => Planned::Describe { head, schema },
        Plan::Info { allow } => Planned::Info { allow },
    })
}

/// Whether a shape is likely to come again, and its values are where they can be told from it. An offset is part of
/// the shape, and arguments in the query string decide which function they mean.
fn may_be_kept(request: &Request) -> bool {
    let action = match &request.action {
        Action::Read { .. } | Action::Mutate { .. } => true,
        Action::Call { how, .. } => *how == Calling::Post,
        _ => false,
    };
    action
        && matches!(request.payload, None | Some(Payload::Json(_)))
        && request.query.arguments.is_empty()
        && request.span.lower == 0
        // A cursor comes once, and its values are conditions.
        && request.prefer.pagination.is_none()
        && request.query.ranges.iter().all(|(_, span)| span.lower == 0)
        && !request.accept.iter().any(|media| matches!(media, MediaType::Plan(_)))
}

/// Of how many bytes a shape is made.
fn bytes_of(shape: &Request) -> usize {
    struct Counter(usize);
    impl Hasher for Counter {
        fn write(&mut self, bytes: &[u8]) {
            self.0 += bytes.len();
        }
        fn finish(&self) -> u64 {
            self.0 as u64
        }
    }
    let mut counter = Counter(0);
    shape.hash(&mut counter);
    counter.0
}
