use super::*;
use crate::config::Settings;
use http::HeaderName;

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Result<Request, Fault> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let incoming = Incoming { method: &method, path, query, headers: &map };
    parse(incoming, Bytes::copy_from_slice(body.as_bytes()), &Settings::default())
}

fn get(target: &str) -> Request {
    request("GET", target, &[], "").unwrap()
}

fn refused(target: &str) -> String {
    let fault = request("GET", target, &[], "").unwrap_err();
    format!(
        "{} {} | {}",
        fault.code,
        fault.message,
        fault.details.unwrap_or_default().as_str().unwrap_or_default()
    )
}

/// A select list as it was understood.
fn selected(items: &[SelectItem]) -> String {
    let parts: Vec<String> = items
        .iter()
        .map(|item| match item {
            SelectItem::Column(column) => {
                let mut text = String::new();
                text.extend(column.alias.iter().map(|alias| format!("{alias}=")));
                text.push_str(&column.field.name);
                for step in &column.field.path {
                    let arrow = if step.as_text { "->>" } else { "->" };
                    match &step.operand {
                        Operand::Key(key) => text.push_str(&format!("{arrow}'{key}'")),
                        Operand::Index(index) => text.push_str(&format!("{arrow}{index}")),
                    }
                }
                text.extend(column.cast.iter().map(|cast| format!("::{cast}")));
                text.extend(column.aggregate.iter().map(|aggregate| format!(".{}()", aggregate.as_str())));
                text.extend(column.aggregate_cast.iter().map(|cast| format!("::{cast}")));
                text
            }
            SelectItem::Embed(embed) => {
                let mut text = if embed.spread { "...".to_owned() } else { String::new() };
                text.extend(embed.alias.iter().map(|alias| format!("{alias}=")));
                text.push_str(&embed.relation);
                text.extend(embed.hint.iter().map(|hint| format!("!{hint}")));
                text.push_str(if embed.inner { "!inner" } else { "" });
                format!("{text}({})", selected(&embed.items))
            }
        })
        .collect();
    parts.join(" ")
}

#[test]
fn select_lists() {
    let check = |select: &str, expected: &str| {
        assert_eq!(selected(&get(&format!("/t?select={select}")).query.select), expected, "{select}");
    };
    check("", "");
    check("*", "*");
    check("id, name ,full name", "id name full name");
    check("a:b::text,\"x,y\"", "a=b::text x,y");
    check("data->a->>0::int,data->>\"b.c\"", "data->'a'->>0::int data->>'b.c'");
    check("data->-1->my-key", "data->-1->'my-key'");
    check("count(),n:a::int.sum()::text,b.max()", "*.count() n=a::int.sum()::text b.max()");
    check("count", "count");
    check("c:clients!fk!inner(id,...p(*)),tasks()", "c=clients!fk!inner(id ...p(*)) tasks()");
    check("a!inner!hint(x),b!left(y)", "a!hint!inner(x) b(y)");
}

#[test]
fn grammar_failures_say_where_and_why() {
    let check = |target: &str, expected: &str| assert_eq!(refused(target), expected);
    check(
        "/t?or=()",
        "PGRST100 \"failed to parse logic tree (())\" (line 1, column 4) | unexpected \")\" expecting field name \
         (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)",
    );
    check(
        "/t?id=0",
        "PGRST100 \"failed to parse filter (0)\" (line 1, column 1) | unexpected \"0\" expecting \"not\" or \
         operator (eq, gt, ...)",
    );
    check(
        "/t?order=id.asc.nullslasttt",
        "PGRST100 \"failed to parse order (id.asc.nullslasttt)\" (line 1, column 17) | unexpected 't' expecting \
         \",\" or end of input",
    );
    check(
        "/t?select=data->>--34",
        "PGRST100 \"failed to parse select parameter (data->>--34)\" (line 1, column 9) | unexpected \"-\" \
         expecting digit",
    );
    check(
        "/t?columns=",
        "PGRST100 \"failed to parse columns parameter ()\" (line 1, column 1) | unexpected end of input expecting \
         field name (* or [a..z0..9_$])",
    );
}

#[test]
fn filters() {
    let check = |value: &str, expected: Operation| {
        let request = get(&format!("/t?a={value}"));
        assert_eq!(request.query.filters[0].1.condition.operation, expected, "{value}");
    };
    let compare =
        |operator, quantifier, value: &str| Operation::Compare { operator, quantifier, value: value.into() };
    check("eq.a.b,c", compare(Operator::Equal, None, "a.b,c"));
    check("gte(any).{1,2}", compare(Operator::GreaterOrEqual, Some(Quantifier::Any), "{1,2}"));
    check("in.(a,\"b,\\\"c\\\"\",d e)", Operation::In(vec!["a".into(), "b,\"c\"".into(), "d e".into()]));
    check("in.()", Operation::In(vec![String::new()]));
    check("is.NULL", Operation::Is(IsValue::Null));
    check("isdistinct.x", Operation::IsDistinct("x".into()));
    assert!(get("/t?a=not.eq.1").query.filters[0].1.condition.negated);
    assert!(refused("/t?a=in.dian").starts_with("PGRST100"));
    assert!(refused("/t?a=is.nil").starts_with("PGRST100"));
}

#[test]
fn on_calls_what_is_no_condition_is_an_argument() {
    let request = get("/rpc/f?id=eq.1&name=in.dian&x=5&x=6");
    assert_eq!(request.query.filters.len(), 1);
    let arguments: Vec<(&str, &str)> =
        request.query.arguments.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(arguments, [("name", "in.dian"), ("x", "5"), ("x", "6")]);
}

#[test]
fn logic_trees() {
    let request = get("/t?b.not.or=(a.eq.\"x,y\",not.and(c.in.(1,2),d.cs.{a,b}),e->f.is.null)");
    let (path, logic) = &request.query.logic[0];
    assert_eq!(path, &["b"]);
    let Logic::Group { negated: true, any: true, items } = logic else { panic!("{logic:?}") };
    assert_eq!(items.len(), 3);
    let Logic::Group { negated: true, any: false, items } = &items[1] else { panic!("{items:?}") };
    let Logic::Filter(filter) = &items[1] else { panic!("{items:?}") };
    assert!(matches!(&filter.condition.operation, Operation::Compare { value, .. } if value == "{a,b}"));
}

#[test]
fn ranges_meet() {
    let span = |target: &str, range: &str| request("GET", target, &[("range", range)], "").map(|r| r.span);
    assert_eq!(span("/t?limit=5&offset=2", "0-3").unwrap(), Span { lower: 2, upper: Some(3) });
    assert_eq!(span("/t?limit=0", "").unwrap(), Span::ZERO);
    assert_eq!(span("/t?limit=x", "a-b").unwrap(), Span::ALL);
    assert_eq!(span("/t", "1-0").unwrap_err().code, "PGRST103");
    assert_eq!(span("/t?limit=-1", "").unwrap_err().code, "PGRST103");
    let request = get("/t?a.limit=1&a.b.offset=3");
    assert_eq!(request.query.ranges[0], (vec!["a".to_owned()], Span { lower: 0, upper: Some(0) }));
    assert_eq!(request.query.ranges[1].0, ["a", "b"]);
}

#[test]
fn bodies_yield_their_keys_and_nothing_else() {
    let check = |content_type: &str, body: &str, expected: &str| {
        let shown = match request("POST", "/t", &[("content-type", content_type)], body) {
            Ok(Request { payload: Some(Payload::Json(raw)), columns, .. }) => {
                format!("{columns:?} {}", String::from_utf8_lossy(&raw))
            }
            Ok(other) => format!("{other:?}"),
            Err(fault) => format!("{} {}", fault.code, fault.message),
        };
        assert_eq!(shown, expected);
    };
    check("application/json", r#" {"b":1.10,"a":null}"#, r#"{"a", "b"}  {"b":1.10,"a":null}"#);
    check("application/json", r#"[{"a":1},{"a":[1e999]}]"#, r#"{"a"} [{"a":1},{"a":[1e999]}]"#);
    check("application/json", r#"[{"a":1},{"b":1}]"#, "PGRST102 All object keys must match");
    check("application/json", "[1]", "PGRST102 All object keys must match");
    check("application/json", "5", "{} []");
    check("application/json", "{\"a\":", "PGRST102 Empty or invalid json");
    check("application/json", "", "PGRST102 Empty or invalid json");
    check(
        "text/csv",
        "a,b\n1,\"x \"\"y\"\"\nz\"\nNULL,\n",
        r#"{"a", "b"} [{"a":"1","b":"x \"y\"\nz"},{"a":null,"b":""}]"#,
    );
    check("text/csv", "a,b\n1\n", "PGRST102 All lines must have same number of fields");
    check("application/x-www-form-urlencoded", "a=1+2&b=%C3%A9", r#"{"a", "b"} {"a":"1 2","b":"é"}"#);
    check("text/plain", "x", "PGRST102 Content-Type not acceptable: text/plain");
}

#[test]
fn media_types_are_ranked_and_named() {
    let check = |header: &str, expected: &[&str]| {
        let request = request("GET", "/t", &[("accept", header)], "").unwrap();
        let names: Vec<String> = request.accept.iter().map(MediaType::name).collect();
        assert_eq!(names, expected, "{header}");
    };
    check("text/csv;q=0.5, application/json", &["application/json", "text/csv"]);
    check("*/*, text/html", &["text/html", "*/*"]);
    check("application/vnd.pgrst.object", &["application/vnd.pgrst.object+json"]);
    check(
        "application/vnd.pgrst.array+json;nulls=stripped",
        &["application/vnd.pgrst.array+json;nulls=stripped"],
    );
    check(
        "application/vnd.pgrst.plan+json; for=\"text/csv\"; options=analyze|wal;",
        &["application/vnd.pgrst.plan+json; for=\"text/csv\"; options=analyze|wal"],
    );
    check("image/svg+xml;x", &["image/svg+xml;x"]);
}

#[test]
fn the_first_preference_of_a_kind_counts() {
    let headers =
        [("prefer", "count=exact, return=minimal , nonsense"), ("prefer", "count=planned,max-affected=3")];
    let prefer = request("GET", "/t", &headers, "").unwrap().prefer;
    assert_eq!(prefer.count, Some(Count::Exact));
    assert_eq!(prefer.representation, Some(Representation::Minimal));
    assert_eq!(prefer.max_affected, Some(3));
    assert_eq!(prefer.unknown, ["nonsense"]);
    assert_eq!(prefer.applied().unwrap(), "return=minimal, count=exact");
}

#[test]
fn resources_and_methods() {
    let code = |method: &str, target: &str| {
        request(method, target, &[], "{}").map_or_else(|f| f.code.into_owned(), |_| "ok".into())
    };
    assert_eq!(code("GET", "/"), "ok");
    assert_eq!(code("GET", "/a/b"), "PGRST125");
    assert_eq!(code("PUT", "/rpc/f"), "PGRST101");
    assert_eq!(code("TRACE", "/t"), "PGRST117");
    assert_eq!(code("PUT", "/t?limit=1"), "PGRST114");
    let action = get("/%E5%9C%8D%E6%A3%8B").action;
    assert_eq!(action, Action::Read { relation: "圍棋".into(), head: false });
}

#[test]
fn the_canonical_query_is_sorted_and_encoded() {
    assert_eq!(get("/t?b=eq.x%20y&a=gt.1&b=lt.z").query.canonical, "a=gt.1&b=eq.x%20y,lt.z");
}

/// Whatever a client sends, the parser answers; it never panics and never loops.
#[test]
fn nonsense_is_refused_in_finite_time() {
    let pieces = [
        "(", ")", ",", ".", "\"", "\\", "::", ":", "!", "->", "->>", "-", "*", "...", "and", "or", "not",
        "eq", "in", "is", "a", "é", "1", "{", "}", " ", "%", "=", "&", "count()", "order", "limit", "any",
        "\t", "\u{0}",
    ];
    let mut state = 7u64;
    for _ in 0..20_000 {
        let mut text = String::from("/t?select=");
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        let _ = request("GET", &text, &[], "");
        let _ = request("GET", &text.replacen("select", "order", 1), &[], "");
        let _ = request("GET", &text.replacen("select=", "or=(", 1), &[], "");
        let _ = request("GET", &text.replacen("select=", "a=in.", 1), &[], "");
    }
    let deep = format!("/t?select={}", "a(".repeat(5000));
    assert_eq!(request("GET", &deep, &[], "").unwrap_err().code, "PGRST100");
    let deep = format!("/t?or={}", "(or".repeat(5000));
    assert_eq!(request("GET", &deep, &[], "").unwrap_err().code, "PGRST100");
}
