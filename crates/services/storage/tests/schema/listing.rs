//! Listings of random keys, compared with the slow way, whole and page by page, as one who sees everything and as
//! one whom policies apply to.

use crate::model::{self, Entry, Object};
use crate::world::{database, rows};
use pg::{Connection, Param, param, text};

/// A small generator: the same keys in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn text(&mut self, longest: usize) -> String {
        let length = self.below(longest + 1);
        (0..length).map(|_| b"aAbB//!_%.z"[self.below(11)] as char).collect()
    }
}

/// Fills the bucket anew; half of the keys are what `authenticated` may see.
async fn fill(session: &mut Connection, random: &mut Random) -> (Vec<Object>, Vec<Object>) {
    let mut keys: Vec<String> = (0..150).map(|_| random.text(7)).filter(|key| !key.is_empty()).collect();
    keys.sort();
    keys.dedup();
    let objects: Vec<Object> = keys
        .into_iter()
        .map(|key| Object {
            key,
            created: random.below(40) as i64 * 300,
            updated: random.below(40) as i64 * 300,
        })
        .collect();
    session.batch("set storage.allow_delete_query = 'true'; delete from storage.objects").await.unwrap();
    let mut mine = Vec::new();
    for object in &objects {
        let is_mine = random.below(2) == 0;
        if is_mine {
            mine.push(object.clone());
        }
        let sql = "insert into storage.objects (bucket_id, name, owner_id, created_at, updated_at)
            values ('b', $1, $2, 'epoch'::timestamptz + $3::bigint * interval '1 us',
              'epoch'::timestamptz + $4::bigint * interval '1 us')";
        let owner = if is_mine { "me" } else { "other" };
        let params = [text(&object.key), text(owner), param(object.created), param(object.updated)];
        rows(session, sql, &params).await;
    }
    (objects, mine)
}

async fn session() -> Connection {
    let mut session = database().await.connect().await;
    session
        .batch(
            "insert into storage.buckets (id, name) values ('b', 'b');
             grant all on storage.objects to authenticated;
             create policy mine on storage.objects for select to authenticated using (owner_id = 'me')",
        )
        .await
        .unwrap();
    session
}

/// Runs the check as one who sees everything and as one who sees half.
async fn rounds<F>(seed: u64, check: F)
where
    F: AsyncFn(&mut Connection, &[Object], &mut Random),
{
    let mut random = Random(seed);
    let mut session = session().await;
    for _ in 0..8 {
        let (all, mine) = fill(&mut session, &mut random).await;
        check(&mut session, &all, &mut random).await;
        session.batch("set role authenticated").await.unwrap();
        check(&mut session, &mine, &mut random).await;
        session.batch("reset role").await.unwrap();
    }
}

/// A prefix that most often leads somewhere.
fn prefix(random: &mut Random, objects: &[Object]) -> String {
    if random.below(4) == 0 {
        return String::new();
    }
    let key = &objects[random.below(objects.len())].key;
    key[..random.below(key.len() + 1)].to_owned()
}

/// The pages of a listing together; `page` gives at most so many entries that follow an entry.
async fn walk<F>(session: &mut Connection, size: usize, page: F) -> Vec<Entry>
where
    F: AsyncFn(&mut Connection, usize, &[Entry]) -> Vec<Entry>,
{
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let more = page(session, size, &entries).await;
        assert!(more.len() <= size && entries.len() < 1000, "{more:?} after {entries:?}");
        let ends = more.len() < size;
        entries.extend(more);
        if ends {
            return entries;
        }
    }
}

fn entries(rows: &[pg::Row], delimiter: &str) -> Vec<Entry> {
    rows.iter()
        .map(|row| {
            let (name, is_folder) = (row.text(0).unwrap(), row.text(1).is_none());
            Entry { path: if is_folder { format!("{name}{delimiter}") } else { name.to_owned() }, is_folder }
        })
        .collect()
}

#[tokio::test]
async fn by_delimiter() {
    rounds(7, async |session, objects, random| {
        for _ in 0..8 {
            let prefix = prefix(random, objects);
            let delimiter = ["/", "/", "/", "a", "//", "!_", ""][random.below(7)];
            let size = [1, 2, 3, 7, 500][random.below(5)];
            for order in ["asc", "desc"] {
                let mut wanted = model::level(objects, &prefix, delimiter);
                if order == "desc" {
                    wanted.reverse();
                }
                let got = walk(session, size, async |session, size, before| {
                    let token = before.last().map_or("", |entry| &entry.path);
                    let sql = "select name, id from storage.list_objects_with_delimiter('b', $1, $2, $3, '', $4, $5)";
                    let params = [text(&prefix), text(delimiter), param(size), text(token), text(order)];
                    entries(&rows(session, sql, &params).await, delimiter)
                });
                assert_eq!(got.await, wanted, "{prefix:?} {delimiter:?} {size} {order}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_listing_begins_behind_a_key_or_a_folder() {
    rounds(11, async |session, objects, random| {
        for _ in 0..20 {
            let prefix = prefix(random, objects);
            let start = if random.below(2) == 0 {
                random.text(4)
            } else {
                objects[random.below(objects.len())].key.clone()
            };
            let later: Vec<Object> = objects.iter().filter(|object| object.key > start).cloned().collect();
            // The start is a folder: all of it lies before.
            let mut wanted = model::level(&later, &prefix, "/");
            wanted.retain(|entry| entry.path != start);
            let sql = "select name, id from storage.list_objects_with_delimiter('b', $1, '/', 1000, $2)";
            let got = entries(&rows(session, sql, &[text(&prefix), text(&start)]).await, "/");
            assert_eq!(got, wanted, "{prefix:?} {start:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_cursor_of_the_reference_names_a_folder_without_its_slash() {
    rounds(19, async |session, objects, random| {
        let keys: Vec<Object> = objects.to_vec();
        for _ in 0..10 {
            let prefix = prefix(random, objects);
            let size = [1, 3, 500][random.below(3)];
            let wanted = model::level(objects, &prefix, "/");
            // A name that is both a file and a folder is taken for the file; an empty last segment has no name.
            let is_plain = |entry: &Entry| {
                let name = entry.path.strip_suffix('/').unwrap_or(&entry.path);
                !name.is_empty() && !name.ends_with('/') && !keys.iter().any(|object| object.key == name)
            };
            if !wanted.iter().filter(|entry| entry.is_folder).all(is_plain) {
                continue;
            }
            for order in ["asc", "desc"] {
                let mut wanted = wanted.clone();
                if order == "desc" {
                    wanted.reverse();
                }
                let got = walk(session, size, async |session, size, before| {
                    let last = before.last().map_or("", |entry| &entry.path);
                    let is_folder = before.last().is_some_and(|entry| entry.is_folder);
                    let token = last.strip_suffix('/').filter(|_| is_folder).unwrap_or(last);
                    let sql = "select name, id from storage.search_v2($1, 'b', $2, 1, $3, $4)";
                    let params = [text(&prefix), param(size), text(token), text(order)];
                    entries(&rows(session, sql, &params).await, "/")
                });
                assert_eq!(got.await, wanted, "{prefix:?} {size} {order}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_second_api_by_time() {
    rounds(13, async |session, objects, random| {
        for _ in 0..15 {
            let prefix = prefix(random, objects);
            let size = [2, 7, 500][random.below(3)];
            let column = ["created_at", "updated_at"][random.below(2)];
            for order in ["asc", "desc"] {
                let mut wanted = model::level_by_time(objects, &prefix, column == "updated_at");
                if order == "desc" {
                    wanted.reverse();
                }
                let (mut got, mut after) = (Vec::new(), (String::new(), String::new()));
                loop {
                    let sql = "select name, id, to_char(
                          case $5::text when 'updated_at' then updated_at else created_at end at time zone 'UTC',
                          'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')
                        from storage.search_v2($1, 'b', $2, 1, $3, $4, $5, $6)";
                    let params = [text(&prefix), param(size), text(&after.0), text(order), text(column), text(&after.1)];
                    let page = rows(session, sql, &params).await;
                    let ends = page.len() < size;
                    got.extend(entries(&page, "/"));
                    if ends {
                        break;
                    }
                    let last = entries(&page[page.len() - 1..], "/").remove(0);
                    after = (last.path, page[page.len() - 1].text(2).unwrap().to_owned());
                    assert!(got.len() < 1000);
                }
                assert_eq!(got, wanted, "{prefix:?} {size} {column} {order}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_first_api() {
    rounds(17, async |session, objects, random| {
        for _ in 0..6 {
            let mut prefix = prefix(random, objects);
            if !prefix.is_empty() && !prefix.ends_with('/') {
                prefix.push('/');
            }
            let search = if random.below(2) == 0 { String::new() } else { random.text(2) };
            let size = [1, 2, 3, 7, 500][random.below(5)];
            for order in ["asc", "desc"] {
                for column in ["name", "created_at"] {
                    let mut wanted = match column {
                        "name" => model::folded(objects, &prefix, &search),
                        _ => model::folded_by_time(objects, &prefix, &search),
                    };
                    if order == "desc" {
                        wanted.reverse();
                        // Folders come first in any case.
                        wanted.sort_by_key(|entry| column != "name" && !entry.is_folder);
                    }
                    let got = walk(session, size, async |session, size, before| {
                        let sql =
                            "select lower(name), id from storage.search($1, 'b', $2, 1, $3, $4, $5, $6)";
                        let params: [Param; 6] = [
                            text(&prefix),
                            param(size),
                            param(before.len()),
                            text(&search),
                            text(column),
                            text(order),
                        ];
                        entries(&rows(session, sql, &params).await, "/")
                    });
                    assert_eq!(got.await, wanted, "{prefix:?} {search:?} {size} {order} {column}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_deep_page_is_found_among_many_files_and_folders() {
    let mut session = session().await;
    session
        .batch(
            "insert into storage.objects (bucket_id, name)
             select 'b', case when n % 7 = 0 then format('p/%s/x%s', n / 400, n) else format('p/F%s', n) end
             from generate_series(1, 6000) as n",
        )
        .await
        .unwrap();
    for order in ["asc", "desc"] {
        let list = format!(
            "select lower(name) || (id is null)::text from storage.search('p/', 'b', $1, 1, $2, '', 'name', '{order}')"
        );
        let mut whole = Vec::new();
        for offset in (0..6000).step_by(1500) {
            let page = rows(&mut session, &list, &[param(1500), param(offset)]).await;
            whole.extend(page.iter().map(|row| row.text(0).unwrap().to_owned()));
        }
        assert_eq!(whole.len(), 6000 - 6000 / 7 + 15, "{order}");
        for offset in [1, 99, 100, 101, 102, 900, 2500, 4999, 5000, 5155, 5157, 5158, 9999] {
            let page = rows(&mut session, &list, &[param(5), param(offset)]).await;
            let page: Vec<_> = page.iter().map(|row| row.text(0).unwrap().to_owned()).collect();
            let wanted = &whole[offset.min(whole.len())..(offset + 5).min(whole.len())];
            assert_eq!(page, wanted, "{offset} {order}");
        }
    }
}

#[tokio::test]
async fn uploads_in_parts() {
    let mut session = session().await;
    session
        .batch(
            "insert into storage.s3_multipart_uploads (id, bucket_id, key, version, upload_signature, created_at)
             select u.id, 'b', u.key, 'v', 's', 'epoch'::timestamptz + u.at * interval '1 s'
             from (values ('9', 'a', 1), ('2', 'a', 2), ('3', 'a', 2), ('4', 'd/x', 5), ('5', 'd/y', 3), ('6', 'e', 1))
               as u (id, key, at)",
        )
        .await
        .unwrap();
    let list = "select key || coalesce(' ' || id, '')
        from storage.list_multipart_uploads_with_delimiter('b', $1, $2, $3, $4, $5)";
    for (prefix, delimiter, most, key, upload, wanted) in [
        ("", "/", 100, "", "", vec!["a 9", "a 2", "a 3", "d/", "e 6"]),
        ("", "", 100, "", "", vec!["a 9", "a 2", "a 3", "d/x 4", "d/y 5", "e 6"]),
        ("", "/", 2, "a", "2", vec!["a 3", "d/"]),
        ("", "/", 2, "a", "", vec!["d/", "e 6"]),
        ("", "/", 2, "d/", "", vec!["e 6"]),
        ("d/", "/", 100, "d/x", "4", vec!["d/y 5"]),
        ("x", "/", 100, "", "", vec![]),
    ] {
        let params = [text(prefix), text(delimiter), param(most), text(key), text(upload)];
        let got = rows(&mut session, list, &params).await;
        let got: Vec<_> = got.iter().map(|row| row.text(0).unwrap()).collect();
        assert_eq!(got, wanted, "{prefix} {delimiter} {most} {key} {upload}");
    }
}
