//! Pages found by cursors.

use super::{Answer, Api};
use http::StatusCode;

const SCRIPT: &str = "
    create type api.mood as enum ('sad', 'glad');
    create table api.items (
        id uuid primary key, a int, b text, at timestamptz not null, price numeric, ratio float8, mood api.mood, doc jsonb);
    insert into api.items select md5(n::text)::uuid, nullif(n % 4, 0), nullif(chr(97 + n % 3) || E'\"\\',', 'b\"'','),
        timestamptz '2026-01-01 00:00:00.123456+00' + (n % 5) * interval '1 microsecond', (n % 3) / 7.0,
        case n % 5 when 0 then null when 1 then 'NaN' when 2 then 'Infinity' else n / 3.0 end,
        case n % 3 when 0 then 'sad'::api.mood when 1 then 'glad' end, null
      from generate_series(1, 37) as n;
    create table api.pairs (x int, y text, cursor text, primary key (x, y));
    insert into api.pairs select n % 3, n::text, 'c' || n from generate_series(1, 10) as n;
    create table api.keyless (n int);
    create view api.doubled as select i.id, i.a, g from api.items as i, generate_series(1, 2) as g;
    grant select on api.items, api.pairs, api.keyless, api.doubled to anon";

const KEYSET: (&str, &str) = ("prefer", "pagination=keyset");

async fn api() -> Api {
    let api = Api::new().await;
    api.database.connect().await.batch(SCRIPT).await.unwrap();
    api
}

async fn page(api: &Api, target: &str) -> Answer {
    api.send("GET", target, &[KEYSET], "").await
}

fn ids(answer: &Answer) -> Vec<String> {
    let rows: Vec<serde_json::Value> = serde_json::from_str(&answer.body).unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_put_together_are_the_whole_in_every_order() {
    let api = api().await;
    for order in [
        "",
        "id.desc",
        "a",
        "a.desc",
        "a.nullsfirst",
        "a.desc.nullslast",
        "b.desc,a.nullsfirst",
        "at,b.desc.nullslast",
        "at.desc,price.desc,ratio",
        "ratio.desc.nullslast,mood",
        "mood.nullsfirst,at.desc,id.desc",
        "doc,a",
    ] {
        let tie = if order.is_empty() { "id".to_owned() } else { format!("{order},id") };
        let whole = ids(&api.get(&format!("/items?select=id&order={tie}")).await);
        assert_eq!(whole.len(), 37);
        let order = if order.is_empty() { String::new() } else { format!("&order={order}") };
        for limit in [1, 5, 37] {
            let mut read = Vec::new();
            let mut cursor = String::new();
            loop {
                let answer = page(&api, &format!("/items?select=id&limit={limit}{order}{cursor}")).await;
                assert_eq!(answer.status, StatusCode::OK, "{order} {}", answer.body);
                assert_eq!(answer.header("preference-applied"), "pagination=keyset");
                read.extend(ids(&answer));
                let next = answer.header("next-cursor");
                if next.is_empty() {
                    assert_eq!(answer.header("link"), "");
                    break;
                }
                cursor = format!("&cursor={next}");
                let link = format!("<?select=id&limit={limit}{order}{cursor}>; rel=\"next\"");
                assert_eq!(answer.header("link"), link);
            }
            assert_eq!(read, whole, "{order} limit {limit}");
        }
    }
}

#[tokio::test]
async fn rows_that_come_and_go_do_not_shift_pages() {
    let api = api().await;
    let first = page(&api, "/pairs?limit=3").await;
    assert_eq!(first.body.matches('{').count(), 3);
    api.value("delete from api.pairs where (x, y) in (select x, y from api.pairs order by x, y limit 3)")
        .await;
    api.value("insert into api.pairs values (-1, 'new')").await;
    let second = page(&api, &format!("/pairs?limit=3&cursor={}", first.header("next-cursor"))).await;
    let rest = "select json_agg(p) from (select * from api.pairs where x >= 0 order by x, y limit 3) as p";
    assert_eq!(second.body, api.value(rest).await);
}

#[tokio::test]
async fn everything_else_works_with_pages() {
    let api = api().await;
    let filtered = page(&api, "/items?select=id&a=eq.1&limit=4").await;
    let next = filtered.header("next-cursor").to_owned();
    let counted = [("prefer", "pagination=keyset, count=exact")];
    let second =
        api.send("GET", &format!("/items?select=id&a=eq.1&limit=4&cursor={next}"), &counted, "").await;
    // The total is that of all pages.
    assert_eq!(second.header("content-range"), "0-3/10");
    let lines = [KEYSET, ("accept", "application/x-ndjson")];
    let second_lines =
        api.send("GET", &format!("/items?select=id&a=eq.1&limit=4&cursor={next}"), &lines, "").await;
    assert_eq!(second_lines.body.lines().count(), 4);
    assert_eq!(second_lines.header("next-cursor"), second.header("next-cursor"));
    let csv = [KEYSET, ("accept", "text/csv")];
    assert_eq!(
        api.send("GET", "/items?select=id&a=eq.1&limit=4", &csv, "").await.header("next-cursor"),
        next
    );
    let head = api.send("HEAD", "/items?select=id&a=eq.1&limit=4", &[KEYSET], "").await;
    assert_eq!((head.header("next-cursor"), head.body.as_str()), (next.as_str(), ""));
    let embedded = page(&api, "/todos?select=id,people!inner(name)&people.name=eq.Ada&limit=1").await;
    assert_ne!(embedded.header("next-cursor"), "");
    let next = embedded.header("next-cursor");
    let last =
        page(&api, &format!("/todos?select=id,people!inner(name)&people.name=eq.Ada&limit=1&cursor={next}"))
            .await;
    assert_eq!(
        (last.body.as_str(), last.header("next-cursor")),
        (r#"[{"id":2,"people":{"name": "Ada"}}]"#, "")
    );
    assert_eq!(page(&api, "/items?limit=0").await.header("next-cursor"), "");
    assert_eq!(page(&api, "/items").await.header("next-cursor"), "");
}

#[tokio::test]
async fn cursor_is_a_column_without_the_preference() {
    let api = api().await;
    assert_eq!(api.get("/pairs?cursor=eq.c4&select=y").await.body, r#"[{"y":"4"}]"#);
    let plain = api.send("GET", "/pairs?cursor=eq.c4&limit=1", &[("prefer", "count=exact")], "").await;
    assert_eq!((plain.header("next-cursor"), plain.header("link")), ("", ""));
}

#[tokio::test]
async fn wrong_cursors_and_orders_that_are_not_total_are_refused() {
    let api = api().await;
    let first = page(&api, "/items?order=a&limit=3").await;
    let next = first.header("next-cursor");
    for (target, code) in [
        ("/items?order=a&limit=3&cursor=".to_owned(), "RH100"),
        ("/items?order=a&limit=3&cursor".to_owned(), "RH100"),
        ("/items?order=a&limit=3&cursor=nonsense".to_owned(), "RH100"),
        (format!("/items?order=a&limit=3&cursor={next}x"), "RH100"),
        (format!("/items?order=a.desc&limit=3&cursor={next}"), "RH100"),
        (format!("/pairs?limit=3&cursor={next}"), "RH100"),
        ("/items?limit=3&offset=3".to_owned(), "RH101"),
        ("/items?order=doc-%3Ea&limit=3".to_owned(), "RH101"),
        ("/todos?select=id,people(name)&order=people(name)&limit=1".to_owned(), "RH101"),
        ("/keyless?limit=3".to_owned(), "RH101"),
        ("/items?order=nothing&limit=3".to_owned(), "RH101"),
        // Its key is the table's, but it shows each row twice.
        ("/doubled?limit=3".to_owned(), "RH101"),
    ] {
        let answer = page(&api, &target).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, code), "{target}");
    }
    // A forged cursor's values are values.
    let long = page(&api, "/items?order=a&limit=3&cursor=AQ").await;
    assert!(long.body.contains("not one of ours"), "{}", long.body);
}
