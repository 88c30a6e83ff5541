use super::*;
use crate::plan::{Plan, Planner};
use crate::request::{Incoming, parse};
use crate::schema::{
    Argument, Column, ColumnPair, Function, Name, PgType, Relation, RelationKind, Relationship,
    RelationshipKind, ReturnType, SchemaCache, SchemaPart, Volatility,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use std::collections::HashMap;
use std::sync::Arc;

fn column(name: &str, type_name: &str) -> Column {
    Column {
        name: name.into(),
        comment: None,
        nullable: true,
        base_type: type_name.into(),
        nominal_type: type_name.into(),
        max_length: None,
        default: (name == "done").then(|| "false".into()),
        enum_labels: Box::default(),
        generated: false,
        identity: false,
    }
}

fn relation(name: &str, columns: &[(&str, &str)]) -> (Arc<str>, Arc<Relation>) {
    let relation = Relation {
        name: Name::new("s", name),
        comment: None,
        kind: RelationKind::Table,
        insertable: true,
        updatable: true,
        deletable: true,
        primary_key: Box::new(["id".into()]),
        columns: columns.iter().map(|(name, type_name)| column(name, type_name)).collect(),
    };
    (name.into(), Arc::new(relation))
}

fn relationship(from: &str, to: &str, kind: RelationshipKind) -> (Arc<str>, Vec<Arc<Relationship>>) {
    let relationship = Relationship {
        table: Name::new("s", from),
        foreign_table: Name::new("s", to),
        is_self: false,
        table_is_view: false,
        foreign_table_is_view: false,
        kind,
    };
    (from.into(), vec![Arc::new(relationship)])
}

fn pairs(source: &str, target: &str) -> Arc<[ColumnPair]> {
    Arc::new([ColumnPair { source: source.into(), target: target.into() }])
}

/// People and their todos, and a function.
pub(crate) fn cache() -> SchemaCache {
    let constraint: Arc<str> = "todos_owner_fkey".into();
    let function = Function {
        arguments: Box::new([Argument {
            name: "n".into(),
            type_name: "integer".into(),
            cast_type: "integer".into(),
            required: true,
            variadic: false,
        }]),
        returns: ReturnType::SetOf(PgType::Composite { name: Name::new("s", "todos"), is_domain: false }),
        volatility: Volatility::Stable,
        oid: 1,
        name: Name::new("s", "first_todos"),
        comment: None,
        variadic: false,
        isolation: None,
        settings: Box::default(),
    };
    let part = SchemaPart {
        comment: None,
        relations: HashMap::from([
            relation(
                "todos",
                &[
                    ("id", "bigint"),
                    ("title", "text"),
                    ("done", "boolean"),
                    ("data", "jsonb"),
                    ("owner", "uuid"),
                ],
            ),
            relation("people", &[("id", "uuid"), ("name", "text")]),
        ]),
        functions: HashMap::from([("first_todos".into(), vec![Arc::new(function)])]),
        relationships: HashMap::from([
            relationship(
                "todos",
                "people",
                RelationshipKind::ManyToOne {
                    constraint: Arc::clone(&constraint),
                    columns: pairs("owner", "id"),
                },
            ),
            relationship(
                "people",
                "todos",
                RelationshipKind::OneToMany { constraint, columns: pairs("id", "owner") },
            ),
        ]),
    };
    SchemaCache::new(HashMap::from([("s".into(), part)]), Vec::new(), crate::schema::MediaHandlers::default())
}

fn statement(method: &str, target: &str, prefer: &str, body: &str) -> Result<Statement, fault::Fault> {
    let settings =
        Settings { db_schemas: vec!["s".into()], db_aggregates_enabled: true, ..Settings::default() };
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = HeaderMap::from_iter([(HeaderName::from_static("prefer"), prefer.parse().unwrap())]);
    let incoming = Incoming { method: &method, path, query, headers: &headers };
    let request = parse(incoming, Bytes::copy_from_slice(body.as_bytes()), &settings)?;
    match (Planner { cache: &cache(), settings: &settings }).plan(&request)? {
        Plan::Rows(rows) => Ok(build(&rows, &request, &settings)),
        other => panic!("{other:?}"),
    }
}

/// The statement of a request, with its values after it.
fn sql(method: &str, target: &str, prefer: &str, body: &str) -> String {
    let statement = statement(method, target, prefer, body).unwrap();
    let params: Vec<String> = statement
        .main
        .params()
        .iter()
        .map(|param| String::from_utf8_lossy(param.as_ref().unwrap()).into_owned())
        .collect();
    let left = "nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), '')";
    format!("{} [{}]", statement.main.text().replace(left, "GUCS"), params.join(" | "))
}

#[test]
fn a_read_is_one_select_without_a_common_table_expression() {
    assert_eq!(
        sql("GET", "/todos?select=id,title&done=is.false&order=id.desc&limit=5&offset=10", "", ""),
        "select null::bigint, count(*), GUCS, coalesce(json_agg(_rest_t), '[]') from (select \
         \"todos\".\"id\", \"todos\".\"title\" from \"s\".\"todos\" as \"todos\" where \"todos\".\"done\" is false \
         order by \"todos\".\"id\" desc limit 5 offset $1) as _rest_t [10]"
    );
}

#[test]
fn embeds_are_lateral_joins() {
    assert_eq!(
        sql("GET", "/todos?select=id,who:people!inner(name)&who.name=eq.x", "count=exact", ""),
        "select count(*), count(*), GUCS, coalesce(json_agg(_rest_t), '[]') from (select \"todos\".\"id\", \
         to_jsonb(\"todos_who_1\".*) as \"who\" from \"s\".\"todos\" as \"todos\" inner join lateral (select \
         \"people_1\".\"name\" from \"s\".\"people\" as \"people_1\" where \"people_1\".\"name\" = $1 and \
         \"people_1\".\"id\" = \"todos\".\"owner\") as \"todos_who_1\" on true) as _rest_t [x]"
    );
    assert_eq!(
        sql("GET", "/people?select=todos(id)&todos.limit=1&todos=not.is.null&limit=2", "count=exact", ""),
        "select (select count(*) from (select 1 from \"s\".\"people\" as \"people\" where exists (select 1 from \
         \"s\".\"todos\" as \"todos_1\" where \"todos_1\".\"owner\" = \"people\".\"id\")) as pgrst_count), count(*), \
         GUCS, coalesce(json_agg(_rest_t), '[]') from (select \
         coalesce(\"people_todos_1\".\"people_todos_1\", '[]') as \"todos\" from \"s\".\"people\" as \"people\" left \
         join lateral (select jsonb_agg(\"people_todos_1\") as \"people_todos_1\" from (select \
         \"todos_1\".\"id\" from \"s\".\"todos\" as \"todos_1\" where \"todos_1\".\"owner\" = \"people\".\"id\" limit \
         1) as \"people_todos_1\") as \"people_todos_1\" on true where \"people_todos_1\" is distinct from null \
         limit 2) as _rest_t []"
    );
}

#[test]
fn the_text_depends_on_the_shape_only() {
    let text = |target: &str| statement("GET", target, "", "").unwrap().main.text().to_owned();
    assert_eq!(text("/todos?id=in.(1,2,3)&data->a=eq.x"), text("/todos?id=in.(9)&data->zz=eq.y"));
    assert_eq!(text("/todos?offset=1&title=like.*x*"), text("/todos?offset=99&title=like.y"));
    assert_eq!(text("/todos?limit=1001"), text("/todos?limit=123456"));
    // But for usual limits, which the planner is to know.
    assert!(text("/todos?limit=1000").ends_with(" limit 1000) as _rest_t"));
    assert_eq!(text("/todos?title=fts(french).a"), text("/todos?title=fts(english).b"));
}

#[test]
fn writes_return_no_more_than_was_asked() {
    assert_eq!(
        sql("POST", "/todos", "", r#"{"title":"x","done":true}"#),
        "with pgrst_source as (insert into \"s\".\"todos\"(\"done\", \"title\") select \"pgrst_body\".\"done\", \
         \"pgrst_body\".\"title\" from json_to_record($1::json) as pgrst_body(\"done\" boolean, \"title\" text) \
         returning 1) select null::bigint, count(*), null, GUCS, null, null from pgrst_source as _rest_t \
         [{\"title\":\"x\",\"done\":true}]"
    );
    assert_eq!(
        sql("DELETE", "/todos?id=eq.1&select=title", "return=representation", ""),
        "with pgrst_source as (delete from \"s\".\"todos\" where \"todos\".\"id\" = $1 returning \"todos\".\"title\") \
         select null::bigint, count(*), null, GUCS, null, coalesce(json_agg(_rest_t), '[]') from (select \
         \"todos\".\"title\" from pgrst_source as \"todos\") as _rest_t [1]"
    );
    assert!(sql("PATCH", "/todos?id=eq.1", "", "{}").contains("where false"));
    let merged =
        sql("POST", "/todos?on_conflict=title", "resolution=merge-duplicates", r#"[{"id":1,"title":"x"}]"#);
    assert!(merged.contains("on conflict (\"title\") do update set \"id\" = excluded.\"id\""), "{merged}");
    let defaults = sql("POST", "/todos?columns=title,done", "missing=default", r#"[{"title":"x"}]"#);
    assert!(defaults.contains("jsonb_build_object('done', false) || elem"), "{defaults}");
}

#[test]
fn calls_name_their_arguments() {
    assert_eq!(
        sql("GET", "/rpc/first_todos?n=3&select=title", "", ""),
        "with pgrst_source as (select \"pgrst_call\".\"title\" from \"s\".\"first_todos\"(\"n\" := $1::integer) as \
         pgrst_call) select null::bigint, count(*), GUCS, coalesce(json_agg(_rest_t), '[]') from (select \
         \"todos\".\"title\" from pgrst_source as \"todos\") as _rest_t [3]"
    );
    let posted = sql("POST", "/rpc/first_todos", "", r#"{"n":3}"#);
    assert!(
        posted.contains("from json_to_record($1::json) as pgrst_body(\"n\" integer), lateral"),
        "{posted}"
    );
}

#[test]
fn aggregates_group_by_the_rest() {
    let text = sql("GET", "/todos?select=done,n:id.count(),...people(name)", "", "");
    assert!(text.contains("count(\"todos\".\"id\") as \"n\""), "{text}");
    assert!(text.contains("group by \"todos\".\"done\", \"todos_people_1\".\"name\""), "{text}");
}

#[test]
fn a_casts_type_is_words_only() {
    let text = |select: &str| {
        statement("GET", &format!("/todos?select={select}"), "", "").unwrap().main.text().to_owned()
    };
    assert!(text("id::double%20precision").contains("cast(\"todos\".\"id\" as double precision)"));
    assert!(text("id::my$type").contains(" as my$type)"));
    assert!(!text("id::$$,title::$1%20$$").contains('$'));
}

#[test]
fn a_name_is_embedded_once() {
    let fault = statement("GET", "/people?select=todos(id),todos(title)", "", "").unwrap_err();
    assert_eq!(
        (&*fault.code, &*fault.message),
        ("42712", "table name \"people_todos_1\" specified more than once")
    );
    assert!(statement("GET", "/people?select=todos(id),more:todos(title)", "", "").is_ok());
}

/// A statement's text without what stands in quotes.
fn unquoted(text: &str) -> String {
    let mut rest = String::new();
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => rest.push(c),
        }
    }
    assert_eq!(quote, None, "a quote is left open: {text}");
    rest
}

/// Wherever a client's text goes, it is bound or quoted.
#[test]
fn no_text_of_a_request_becomes_sql() {
    let evils =
        ["EVIL", "EVIL\"", "EVIL'", "EVIL\"\"'; drop table x; --", "EVIL$1", "EVIL\\", "EVIL/*", "EVIL)"];
    let mut made = 0;
    for evil in evils {
        let quoted = format!("\"{}\"", evil.replace('\\', "\\\\").replace('"', "\\\""));
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let (raw, quoted) = (encode(evil), encode(&quoted));
        for (method, target, body) in [
            ("GET", format!("/todos?title=eq.{raw}"), String::new()),
            ("GET", format!("/todos?title=in.({quoted},{raw})"), String::new()),
            ("GET", format!("/todos?title=fts({raw}).{raw}"), String::new()),
            ("GET", format!("/todos?{quoted}=eq.1"), String::new()),
            ("GET", format!("/todos?select={quoted}:title,x:{quoted},data->{quoted}"), String::new()),
            ("GET", format!("/todos?select={quoted}:people(name)&order={quoted}(name)"), String::new()),
            ("GET", format!("/todos?select=title::{raw}"), String::new()),
            ("GET", format!("/todos?order={quoted}.asc,data->{quoted}"), String::new()),
            ("GET", format!("/todos?or=({quoted}.eq.{quoted},title.like.{quoted})"), String::new()),
            ("GET", format!("/todos?limit={raw}&offset={raw}"), String::new()),
            ("POST", format!("/todos?on_conflict={quoted}"), format!("{{\"title\":{:?}}}", evil)),
            ("POST", format!("/todos?select={quoted}"), "[{\"title\":1}]".to_owned()),
            (
                "PATCH",
                format!("/todos?title=eq.{raw}&select=*,{quoted}:people(*)"),
                "{\"title\":1}".to_owned(),
            ),
            ("POST", "/rpc/first_todos".to_owned(), format!("{{\"n\":{:?}}}", evil)),
            ("GET", format!("/rpc/first_todos?n={raw}&select={quoted}"), String::new()),
        ] {
            let Ok(statement) =
                statement(method, &target, "return=representation, resolution=merge-duplicates", &body)
            else {
                continue;
            };
            made += 1;
            let plain = unquoted(statement.main.text());
            // A type's name stands without quotes; it has nothing but letters, digits, blanks, `_` and `$`.
            let plain =
                plain.replace(&format!("as {}", evil.trim_matches(|c: char| "\"'\\/*)".contains(c))), "");
            assert!(!plain.contains("EVIL"), "{method} {target}: {plain}");
            assert!(!plain.contains("drop") && !plain.contains("--"), "{plain}");
        }
    }
    assert!(made > 80, "only {made} statements were made");
}
