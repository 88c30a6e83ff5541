use super::*;
use crate::config::Settings;
use crate::request::{Incoming, parse};
use crate::statement::tests::cache;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};

struct Bench {
    plans: Plans,
    schema: Arc<SchemaCache>,
    settings: Settings,
}

impl Bench {
    fn new() -> Self {
        let settings =
            Settings { db_schemas: vec!["s".into()], db_aggregates_enabled: true, ..Settings::default() };
        Bench { plans: Plans::default(), schema: Arc::new(cache()), settings }
    }

    fn request(&self, method: &str, target: &str, prefer: &str, body: &str) -> Request {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = HeaderMap::from_iter([(HeaderName::from_static("prefer"), prefer.parse().unwrap())]);
        let incoming = Incoming { method: &method, path, query, headers: &headers };
        parse(incoming, Bytes::copy_from_slice(body.as_bytes()), &self.settings).unwrap()
    }

    /// The statement by way of the kept plans, checked against one that was made anew.
    fn check(&self, method: &str, target: &str, prefer: &str, body: &str) {
        let planner = Planner { cache: &self.schema, settings: &self.settings };
        let untouched = self.request(method, target, prefer, body);
        let Ok(Planned::Rows(_, fresh)) = plan_anew(planner, &untouched) else { panic!("{method} {target}") };
        let mut request = untouched.clone();
        let kept = self.plans.plan(planner, &self.schema, &mut request).unwrap();
        let Planned::Rows(_, kept) = kept else { panic!("{method} {target}") };
        assert_eq!(format!("{kept:?}"), format!("{fresh:?}"), "{method} {target}");
        assert_eq!(request, untouched, "the request is as it was");
    }

    fn shapes(&self) -> usize {
        self.plans.kept(&self.schema).as_ref().map_or(0, |kept| kept.shapes.len())
    }

    /// How many of the shapes have a plan.
    fn made(&self) -> usize {
        let kept = self.plans.kept(&self.schema);
        kept.as_ref().map_or(0, |kept| kept.shapes.iter().filter(|(_, entry)| entry.made.is_some()).count())
    }
}

#[test]
fn statements_are_the_same_as_made_anew_whatever_the_values() {
    let bench = Bench::new();
    let all = [
        ("GET", "/todos?select=id,title&id=eq.A&limit=20", "", ""),
        ("GET", "/todos?title=like.*A*&title=ilike(any).{A,*B}", "count=exact", ""),
        ("GET", "/todos?id=in.(A,B,\"c,d\")&id=not.in.()", "count=planned", ""),
        ("GET", "/todos?or=(id.eq.A,and(title.neq.B,title.isdistinct.A))&done=is.true", "", ""),
        ("GET", "/todos?title=fts(french).A&title=phfts.B", "count=estimated", ""),
        ("GET", "/todos?data->A->>b=eq.A&order=id.desc", "", ""),
        (
            "GET",
            "/people?select=*,todos(id,title)&todos.title=eq.A&todos.limit=3&name=gt.B",
            "count=exact",
            "",
        ),
        ("DELETE", "/todos?id=eq.A", "return=representation", ""),
        ("PATCH", "/todos?id=eq.A&title=like.B*", "return=minimal", r#"{"title":"A"}"#),
        ("POST", "/todos", "return=minimal", r#"[{"title":"A"},{"title":"B"}]"#),
        ("POST", "/todos", "return=representation,resolution=merge-duplicates", r#"{"title":"A"}"#),
        ("POST", "/rpc/first_todos?title=eq.B", "", r#"{"n":"A"}"#),
    ];
    for (method, target, prefer, body) in all {
        let before = bench.shapes();
        for (a, b) in [("1", "x"), ("", ""), ("' \\ \" $1 %*", "é\u{1}"), ("1", "x")] {
            let escape = |text: &str| {
                percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
            };
            let json = |text: &str| serde_json::to_string(text).unwrap().trim_matches('"').to_owned();
            // The key of a path is part of the shape; here it is a capital letter that must stay.
            let target = target.replace("->A", "->KEY").replace('A', &escape(a)).replace('B', &escape(b));
            let body = body.replace('A', &json(a)).replace('B', &json(b));
            bench.check(method, &target, prefer, &body);
        }
        assert_eq!(bench.shapes(), before + 1, "{method} {target}");
    }
    assert_eq!(bench.made(), all.len());
}

#[test]
fn what_is_no_value_makes_another_shape() {
    let bench = Bench::new();
    for (n, (target, prefer)) in [
        ("/todos?id=eq.1", ""),
        ("/todos?id=gt.1", ""),
        ("/todos?id=not.eq.1", ""),
        ("/todos?id=eq(any).1", ""),
        ("/todos?title=eq.1", ""),
        ("/todos?id=is.null", ""),
        ("/todos?id=is.true", ""),
        ("/todos?id=eq.1&limit=1", ""),
        ("/todos?id=eq.1&limit=2", ""),
        ("/todos?id=eq.1&order=id", ""),
        ("/todos?id=eq.1&select=id", ""),
        ("/todos?id=eq.1&id=eq.1", ""),
        ("/todos?id=eq.1", "count=exact"),
        ("/todos?title=fts(french).1", ""),
        ("/todos?title=fts(english).1", ""),
        ("/people?id=eq.1", ""),
    ]
    .into_iter()
    .enumerate()
    {
        bench.check("GET", target, prefer, "");
        assert_eq!(bench.shapes(), n + 1, "{target}");
    }
    let before = bench.shapes();
    for body in [r#"{"title":1}"#, r#"[{"title":1}]"#, r#"{"id":1}"#, r#"{"id":1,"title":1}"#] {
        bench.check("POST", "/todos", "", body);
    }
    assert_eq!(bench.shapes(), before + 4);
}

#[test]
fn what_does_not_come_again_is_not_kept() {
    let bench = Bench::new();
    bench.check("GET", "/todos?offset=10", "", "");
    bench.check("GET", "/rpc/first_todos?n=3", "", "");
    assert_eq!(bench.shapes(), 0);
}

#[test]
fn faults_name_what_the_client_said() {
    let bench = Bench::new();
    let planner = Planner { cache: &bench.schema, settings: &bench.settings };
    for _ in 0..2 {
        let mut request = bench.request("GET", "/todo?title=eq.a", "", "");
        let fault = bench.plans.plan(planner, &bench.schema, &mut request).unwrap_err();
        assert_eq!(fault.code, "PGRST205");
        assert_eq!(request, bench.request("GET", "/todo?title=eq.a", "", ""));
    }
    assert_eq!(bench.shapes(), 0);
}

#[test]
fn number_and_size_are_bounded() {
    let bench = Bench::new();
    for n in 0..2 * SHAPES_MAX {
        bench.check("GET", &format!("/todos?data->{n}=eq.1"), "", "");
    }
    assert_eq!(bench.shapes(), SHAPES_MAX);
    bench.check("GET", &format!("/todos?data->{}=eq.1", "x".repeat(SHAPE_WEIGHT_MAX)), "", "");
    let kept = bench.plans.kept(&bench.schema);
    let kept = kept.as_ref().unwrap();
    assert!(kept.shapes.iter().all(|(_, entry)| entry.weight <= SHAPE_WEIGHT_MAX));
    assert_eq!(kept.weight, kept.shapes.iter().map(|(_, entry)| entry.weight).sum::<usize>());
    assert!(kept.weight <= WEIGHT_MAX);
}

#[test]
fn another_schema_cache_begins_anew() {
    let mut bench = Bench::new();
    bench.check("GET", "/todos?id=eq.1", "", "");
    assert_eq!(bench.shapes(), 1);
    let before = Arc::downgrade(&bench.schema);
    bench.schema = Arc::new(cache());
    assert!(before.upgrade().is_none(), "plans do not keep the schema cache that they were made from");
    assert_eq!(bench.shapes(), 0);
    bench.check("GET", "/todos?id=eq.1", "", "");
    assert_eq!(bench.shapes(), 1);
}
