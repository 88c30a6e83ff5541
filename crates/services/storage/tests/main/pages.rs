//! Lists over HTTP beside what the functions of the schema say to the same caller: of odd keys and times, flat levels
//! and levels with folders, page by page.

use crate::world::{World, dedicated, id, pooled, role, shard, user};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pg::{Connection, Param, param, text};
use serde_json::{Value, json};

/// A small generator: the same keys in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len())]
    }

    fn text(&mut self, longest: usize) -> String {
        (0..self.below(longest + 1))
            .map(|_| self.of(&['a', 'A', 'b', 'B', '/', '/', '!', '_', '%', '.', 'é', '"']))
            .collect()
    }
}

/// Times that have to be written: with a fraction, old, of other calendars' beginnings, and none.
const TIMES: [&str; 8] = [
    "'2026-11-21 13:17:09.123999Z'",
    "'2026-11-21 13:17:09Z'",
    "'1969-12-31 23:59:59.999999Z'",
    "'0044-03-15 BC'",
    "'12345-06-07 08:09:10.011Z'",
    "'infinity'",
    "'-infinity'",
    "null",
];
const DOCUMENTS: [&str; 4] = [
    r#"'{"size": 5, "eTag": "\"x\"", "n": 1.50}'"#,
    r#"'{"é": "\u0001\n☃", "a": [1, null]}'"#,
    "'7'",
    "null",
];

/// A caller: the token, and how a session becomes them.
struct Caller {
    token: String,
    role: &'static str,
    sub: String,
}

struct Place {
    world: World,
    session: Connection,
    app: Option<u32>,
}

impl Place {
    async fn new(world: World, app: Option<u32>) -> Place {
        world.post("/bucket", &role("service_role"), json!({ "name": "b", "public": false })).await.ok();
        let mut session = world.database.connect().await;
        if app.is_none() {
            session
                .batch("create policy own on storage.objects for select to authenticated using (owner_id = auth.uid()::text)")
                .await
                .unwrap();
        }
        Place { world, session, app }
    }

    /// Puts these keys into the bucket and nothing else, half of them as user 1's.
    async fn fill(&mut self, keys: &[String], random: &mut Random) {
        self.settings("service_role", "").await;
        self.session
            .batch(
                "set storage.allow_delete_query = 'true'; delete from storage.objects where bucket_id = 'b'",
            )
            .await
            .unwrap();
        for key in keys {
            let times = [(); 3].map(|()| random.of(&TIMES)).join(", ");
            let sql = format!(
                "insert into storage.objects (bucket_id, name, owner_id, created_at, updated_at, last_accessed_at, metadata)
                 values ('b', $1, $2, {times}, {})",
                random.of(&DOCUMENTS)
            );
            let owner = id(1 + random.below(2) as u8);
            self.session.query(&sql, &[text(key), text(owner)]).await.unwrap();
        }
    }

    /// Makes the session a caller's.
    async fn settings(&mut self, role: &str, sub: &str) {
        let app = self.app.map_or(String::new(), |app| app.to_string());
        let claims = serde_json::json!({ "role": role, "sub": sub }).to_string();
        let sql = "select set_config('role', $1, false), set_config('request.jwt.claim.sub', $2, false),
            set_config('rowhouse.app_id', $3, false), set_config('timezone', 'America/St_Johns', false),
            set_config('request.jwt.claims', $4, false)";
        self.session.query(sql, &[text(role), text(sub), text(app), text(claims)]).await.unwrap();
    }

    /// What a function of the schema says to a caller, an entry a row.
    async fn said(&mut self, caller: &Caller, name: &str, call: &str, params: &[Param]) -> Vec<Value> {
        self.settings(caller.role, &caller.sub).await;
        let iso = |column: &str| {
            format!(r#"to_char({column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"#)
        };
        let sql = format!(
            "select json_build_object('name', {name}, 'id', l.id, 'updated_at', {}, 'created_at', {},
               'last_accessed_at', {}, 'metadata', l.metadata)
             from {call} as l",
            iso("l.updated_at"),
            iso("l.created_at"),
            iso("l.last_accessed_at")
        );
        let rows = self.session.query(&sql, params).await.unwrap();
        let rows = rows.iter().map(|row| row.json(0).unwrap()).collect();
        self.settings("none", "").await;
        rows
    }

    async fn list(&self, caller: &Caller, path: &str, body: &Value) -> Value {
        self.world.post(path, &caller.token, body.clone()).await.ok()
    }

    async fn check_first(&mut self, caller: &Caller, prefix: &str, random: &mut Random) {
        let search = if random.below(2) == 0 { String::new() } else { random.text(2) };
        let (limit, offset) = (random.of(&[1, 2, 7, 100, 5000]), random.of(&[0, 0, 1, 5, 40, 2000]));
        let (column, order) =
            (random.of(&["name", "name", "name", "created_at"]), random.of(&["asc", "desc"]));
        let body = json!({ "prefix": prefix, "search": search, "limit": limit, "offset": offset,
            "sortBy": { "column": column, "order": order } });
        let got = self.list(caller, "/object/list/b", &body).await;
        let prefix =
            if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") };
        let params = [text(prefix), param(limit), param(offset), text(search), text(column), text(order)];
        let call = "storage.search($1, 'b', $2, 1, $3, $4, $5, $6)";
        assert_eq!(got, Value::from(self.said(caller, "l.name", call, &params).await), "{body}");
    }

    async fn check_second(&mut self, caller: &Caller, prefix: &str, random: &mut Random) {
        let by_level = random.below(4) > 0;
        let (limit, order) = (random.of(&[1, 2, 7, 1000]), random.of(&["asc", "desc"]));
        let call = "storage.list_objects_with_delimiter('b', $1, $2, 100000, '', '', $3)";
        let params = [text(prefix), text(if by_level { "/" } else { "" }), text(order)];
        let name = "l.name || case when l.id is null then '/' else '' end";
        let all = self.said(caller, name, call, &params).await;
        let mut body = json!({ "prefix": prefix, "limit": limit, "with_delimiter": by_level,
            "sortBy": { "column": "name", "order": order } });
        let mut pages = all.chunks(limit).peekable();
        loop {
            let page = pages.next().unwrap_or_default();
            let mut got = self.list(caller, "/object/list-v2/b", &body).await;
            for key in ["folders", "objects"] {
                let wanted = page.iter().filter(|entry| entry["id"].is_null() == (key == "folders"));
                let wanted: Vec<Value> =
                    wanted.cloned().map(|entry| with_key(entry, prefix, by_level)).collect();
                assert_eq!(got[key].take(), Value::from(wanted), "{body}");
            }
            assert_eq!(got["hasNext"], pages.peek().is_some(), "{body}");
            if pages.peek().is_none() {
                break;
            }
            body["cursor"] = got["nextCursor"].take();
        }
    }
}

/// An entry as the second API shows it.
fn with_key(mut entry: Value, prefix: &str, by_level: bool) -> Value {
    if by_level {
        let level = prefix.matches('/').count();
        entry["key"] = json!(entry["name"].as_str().unwrap().split('/').nth(level).unwrap());
    }
    entry
}

fn callers() -> [Caller; 2] {
    [
        Caller { token: role("service_role"), role: "service_role", sub: String::new() },
        Caller { token: user(1), role: "authenticated", sub: id(1) },
    ]
}

async fn compare(mut place: Place, seed: u64) {
    let mut random = Random(seed);
    for round in 0..6 {
        // Few slashes make many flat levels.
        let folders = random.of(&["", "p/", "p/Q/", "é/"]);
        let mut keys: Vec<String> = (0..120)
            .map(|_| format!("{}{}", random.of(&["", folders]), random.text(4 + round % 3)))
            .collect();
        keys.retain(|key| !key.is_empty());
        keys.sort();
        keys.dedup();
        place.fill(&keys, &mut random).await;
        for _ in 0..12 {
            let key = &keys[random.below(keys.len())];
            let cut = key.char_indices().map(|(at, _)| at).nth(random.below(4)).unwrap_or_default();
            let prefix = random.of(&["", folders, folders.to_uppercase().as_str(), &key[..cut]]).to_owned();
            for caller in callers() {
                place.check_first(&caller, &prefix, &mut random).await;
                place.check_second(&caller, &prefix, &mut random).await;
            }
        }
    }
}

#[tokio::test]
async fn pages_of_a_dedicated_project_are_those_of_the_functions() {
    compare(Place::new(dedicated().await, None).await, 23).await;
}

#[tokio::test]
async fn pages_of_a_pooled_project_are_those_of_the_functions() {
    let shard = shard().await;
    let service = role("service_role");
    let other = pooled(&shard, 2).await;
    other.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    for key in ["a", "b/other", "p/a", "p/b/c"] {
        other.upload(&format!("b/{key}"), &user(1), "another app's", false).await.ok();
    }
    compare(Place::new(pooled(&shard, 1).await, Some(1)).await, 29).await;
    assert_eq!(other.names("b", &service, "").await, ["a", "b", "p"]);
}

#[tokio::test]
async fn a_level_may_get_folders_and_lose_them() {
    let world = dedicated().await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    for key in ["a", "c", "x/1"] {
        world.upload(&format!("b/{key}"), &service, key, false).await.ok();
    }
    let shown = async |prefix: &str, wanted: &[&str]| {
        for _ in 0..2 {
            assert_eq!(world.names("b", &service, prefix).await, wanted);
            let body = json!({ "prefix": prefix, "with_delimiter": true });
            let page = world.post("/object/list-v2/b", &service, body).await.ok();
            let mut keys: Vec<&str> = ["folders", "objects"]
                .iter()
                .flat_map(|part| page[part].as_array().unwrap())
                .map(|entry| entry["key"].as_str().unwrap())
                .collect();
            keys.sort_unstable();
            assert_eq!(keys, wanted);
        }
    };
    shown("", &["a", "c", "x"]).await;
    shown("x/", &["1"]).await;
    for folders in [["x/b/1", "x/b/2"], ["x/1/1", "x/2/1"]] {
        for key in folders {
            world.upload(&format!("b/{key}"), &service, key, false).await.ok();
        }
        shown("x/", if folders[0] == "x/b/1" { &["1", "b"] } else { &["1", "1", "2"] }).await;
        let body = json!({ "prefixes": folders });
        world.with_json(http::Method::DELETE, "/object/b", &service, body).await.ok();
        shown("x/", &["1"]).await;
    }
    // A folder among what an offset passes over is one entry.
    for key in ["x/0/1", "x/0/2", "x/3"] {
        world.upload(&format!("b/{key}"), &service, key, false).await.ok();
    }
    for (offset, wanted) in [(1, vec!["1", "3"]), (2, vec!["3"]), (3, vec![])] {
        for limit in [100, 1] {
            let body = json!({ "prefix": "x", "offset": offset, "limit": limit });
            let page = world.post("/object/list/b", &service, body).await.ok();
            let names: Vec<_> = page.as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
            assert_eq!(names, wanted[..wanted.len().min(limit)], "{offset} {limit}");
        }
    }
}

#[tokio::test]
async fn a_cursor_may_lie_outside_of_the_prefix() {
    let world = dedicated().await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    for key in ["p/a", "p/b", "p/c"] {
        world.upload(&format!("b/{key}"), &service, key, false).await.ok();
    }
    for (after, order, wanted) in [
        ("a", "asc", vec!["p/a", "p/b", "p/c"]),
        ("z", "asc", vec![]),
        ("p/b", "asc", vec!["p/c"]),
        ("p/b", "desc", vec!["p/a"]),
        ("a", "desc", vec![]),
        ("z", "desc", vec!["p/c", "p/b", "p/a"]),
    ] {
        for by_level in [true, false] {
            let cursor = STANDARD.encode(format!("l:{after}\no:{order}\nv:2"));
            let body = json!({ "prefix": "p/", "with_delimiter": by_level, "cursor": cursor });
            let page = world.post("/object/list-v2/b", &service, body).await.ok();
            let names: Vec<_> =
                page["objects"].as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
            assert_eq!(names, wanted, "{after} {order}");
        }
    }
}
