//! Which media type a reply has and what makes it.

use crate::config::Settings;
use crate::faults;
use crate::request::{MediaType, PlanType};
use crate::schema::{HandlerTarget, Name, SchemaCache};
use fault::Fault;

/// What turns rows into a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker {
    /// There is no body.
    Nothing,
    Json {
        stripped: bool,
    },
    /// The only row.
    Single {
        stripped: bool,
    },
    Csv,
    /// A JSON value on each line.
    Lines,
    GeoJson,
    /// An aggregate over the rows. `row_type` is what a row is cast to first.
    Aggregate {
        function: Name,
        row_type: Option<Name>,
    },
    /// The function that was called makes the body itself.
    Value,
}

/// What rows are asked for, as far as their handlers are concerned.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The relation, or the function and its row type.
    pub name: &'a Name,
    /// The function that is called.
    pub function: Option<&'a Name>,
    /// Nothing but `*` is selected: handlers of the relation itself may serve it.
    pub selects_all: bool,
}

/// The first accepted type that can be made.
pub fn negotiate(
    accept: &[MediaType],
    subject: Subject,
    cache: &SchemaCache,
    settings: &Settings,
) -> Result<(Maker, MediaType), Fault> {
    accept
        .iter()
        .find_map(|media| pick(media, subject, cache, settings))
        .ok_or_else(|| faults::not_acceptable(accept))
}

fn pick(
    media: &MediaType,
    subject: Subject,
    cache: &SchemaCache,
    settings: &Settings,
) -> Option<(Maker, MediaType)> {
    match media {
        MediaType::Singular { stripped } => Some((Maker::Single { stripped: *stripped }, media.clone())),
        MediaType::ArrayStripped => Some((Maker::Json { stripped: true }, media.clone())),
        MediaType::Plan(plan) => {
            let PlanType { of, .. } = &**plan;
            if !settings.db_plan_enabled || matches!(of, MediaType::Plan(_)) {
                return None;
            }
            pick(of, subject, cache, settings).map(|(maker, _)| (maker, media.clone()))
        }
        other => custom(other, subject, cache).or_else(|| builtin(other)),
    }
}

fn builtin(media: &MediaType) -> Option<(Maker, MediaType)> {
    let maker = match media {
        MediaType::Json | MediaType::Any => Maker::Json { stripped: false },
        MediaType::Csv => Maker::Csv,
        MediaType::Lines => Maker::Lines,
        MediaType::GeoJson => Maker::GeoJson,
        _ => return None,
    };
    Some((maker, if *media == MediaType::Any { MediaType::Json } else { media.clone() }))
}

/// A handler of the database: one for anything, one of the relation or function, one for every relation.
fn custom(media: &MediaType, subject: Subject, cache: &SchemaCache) -> Option<(Maker, MediaType)> {
    let handlers = cache.media();
    if handlers.is_empty() {
        return None;
    }
    let wanted = media.name().to_lowercase();
    let relation = HandlerTarget::Relation(subject.name.clone());
    let function = subject.function.map(|name| HandlerTarget::Function(name.clone()));
    let own = |name: &str| {
        let found = function.as_ref().and_then(|target| handlers.find(target, name));
        found.or_else(|| handlers.find(&relation, name)).filter(|_| subject.selects_all)
    };
    let (handler, sent) = match (own("*/*"), own(&wanted), handlers.find(&HandlerTarget::Any, &wanted)) {
        (Some(any), _, _) => (any, MediaType::OctetStream),
        (None, Some(handler), _) | (None, None, Some(handler)) => match media {
            MediaType::Any => (handler, MediaType::OctetStream),
            media => (handler, media.clone()),
        },
        (None, None, None) => return None,
    };
    let maker = match &handler.target {
        HandlerTarget::Function(_) => Maker::Value,
        HandlerTarget::Any => Maker::Aggregate { function: handler.function.clone(), row_type: None },
        HandlerTarget::Relation(name) => {
            Maker::Aggregate { function: handler.function.clone(), row_type: Some(name.clone()) }
        }
    };
    Some((maker, sent))
}
