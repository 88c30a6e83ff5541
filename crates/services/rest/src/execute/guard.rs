//! Refusing what a policy decides by a setting that the request's API key does not carry.
//!
//! PostgreSQL itself refuses only in sessions that never held the setting; in later ones it is empty, and rows that
//! belong to nobody would be everybody's. So a statement of ours asks before the main one. It looks at policies that
//! insist on the setting: one that takes its absence into account is left alone.

use super::Context;
use crate::plan::{Level, Rows};
use crate::schema::Name;
use crate::statement::array_literal;
use pg::{Param, Pipeline};

/// Names of settings that no session can have begin like this. Its `current_setting` always fails, with a message
/// that names the setting.
pub const NEVER_SET: &str = "unset:";

/// Views count with the tables under them. Whoever is above the policies is not refused.
const SQL: &str = "with recursive reached (id) as (
  select c.oid from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted (schema, name)
    join pg_catalog.pg_namespace as n on n.nspname = wanted.schema
    join pg_catalog.pg_class as c on c.relname = wanted.name and c.relnamespace = n.oid
  union
  select d.refobjid from reached
    join pg_catalog.pg_class as view on view.oid = reached.id and view.relkind in ('v', 'm')
    join pg_catalog.pg_rewrite as r on r.ev_class = view.oid
    join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
      and d.refclassid = 'pg_catalog.pg_class'::regclass
), policies (text) as (
  select pg_catalog.lower(pg_catalog.concat(
      pg_catalog.pg_get_expr(p.polqual, p.polrelid), ' ', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)))
  from reached join pg_catalog.pg_policy as p on p.polrelid = reached.id
  where pg_catalog.row_security_active(reached.id) and (p.polroles = '{0}'
    or exists (select from pg_catalog.unnest(p.polroles) as r where pg_catalog.pg_has_role(r, 'usage')))
)
select pg_catalog.current_setting('unset:' || name) from pg_catalog.unnest($3::text[]) as name
where exists (select from policies
  where pg_catalog.strpos(text, 'current_setting(''' || pg_catalog.lower(name) || '''::text)') > 0)";

/// Adds the statement that fails for a request whose key lacks a setting, unless it lacks none.
pub(super) fn add(pipeline: &mut Pipeline, context: Context<'_>, plan: &Rows) {
    let missing = context.bound.map_or(&[][..], model::Bound::missing);
    if missing.is_empty() {
        return;
    }
    let mut relations = Vec::new();
    add_relations(&plan.root, &mut relations);
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let mut params = name_lists(&relations).to_vec();
    params.push(pg::text(array_literal(&missing)));
    context.fixed_step(pipeline, SQL, params);
}

fn add_relations(level: &Level, relations: &mut Vec<Name>) {
    relations.push(level.relation.clone());
    level.embeds.iter().for_each(|embed| add_relations(embed, relations));
}

/// Schemas and names as two arrays.
pub(super) fn name_lists(names: &[Name]) -> [Param; 2] {
    let list = |part: fn(&Name) -> &str| {
        let all: Vec<String> = names.iter().map(|name| part(name).to_owned()).collect();
        pg::text(array_literal(&all))
    };
    [list(|name| &name.schema), list(|name| &name.name)]
}
