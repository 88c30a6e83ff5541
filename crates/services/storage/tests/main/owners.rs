//! What lists cost a user whose objects lie among those of others. Slow to make, so only run when asked for:
//! `cargo test -p storage --test main -- --ignored --nocapture owners`.

use crate::world::{id, shard};
use pg::Connection;

/// Objects of 2,000 users, 100 each, in one bucket where owners see their own and in one of folders.
const FILL: &str = "
    set rowhouse.app_id = '1';
    insert into storage.buckets (id, name, access) values ('own', 'own', 'owner'), ('fold', 'fold', 'folder');
    insert into storage.objects (bucket_id, name, owner_id, metadata)
    select b.id,
      case b.id
        when 'fold' then format('00000000-0000-4000-8000-%s/IMG_%s.jpg', lpad((n % 2000)::text, 12, '0'), n / 2000)
        else format('IMG_%s.jpg', lpad(n::text, 7, '0'))
      end,
      format('00000000-0000-4000-8000-%s', lpad((n % 2000)::text, 12, '0')),
      jsonb_build_object('size', n, 'mimetype', 'image/jpeg', 'cacheControl', 'max-age=3600')
    from generate_series(1, 200000) as n, storage.buckets as b;
    reset rowhouse.app_id";

/// Pages read and milliseconds.
async fn cost(session: &mut Connection, sql: &str) -> (u64, f64) {
    let explain = format!("explain (analyze, buffers, format json) {sql}");
    let mut plan = serde_json::Value::Null;
    // The second time, when plans are made and pages are read.
    for _ in 0..2 {
        let rows = session.query(&explain, &[]).await.unwrap();
        plan = rows.first().unwrap().json(0).unwrap();
    }
    if std::env::var_os("PLANS").is_some() {
        println!("{}", serde_json::to_string_pretty(&plan[0]["Plan"]).unwrap());
    }
    let count = |name: &str| plan[0]["Plan"][name].as_u64().unwrap_or_default();
    let pages = count("Shared Hit Blocks") + count("Shared Read Blocks");
    println!("{sql}: {} rows, {pages} pages, {} ms", count("Actual Rows"), plan[0]["Execution Time"]);
    (pages, plan[0]["Execution Time"].as_f64().unwrap_or_default())
}

#[tokio::test]
#[ignore = "makes 400,000 rows"]
async fn lists_of_one_among_many() {
    let mut session = shard().await.connect().await;
    session.batch(FILL).await.unwrap();
    session.batch("vacuum analyze storage.objects").await.unwrap();
    let me = id(7);
    let settings = format!(
        "set rowhouse.app_id = '1'; set request.jwt.claim.sub = '{me}';
         set search_path = storage, extensions; set role authenticated"
    );
    session.batch(&settings).await.unwrap();
    for sql in [
        "select * from storage.search('', 'own', 100)",
        "select * from storage.search('', 'own', 100, 1, 0, 'IMG_01')",
        "select * from storage.search_v2('', 'own', 100)",
        "select * from storage.objects where bucket_id = 'own' order by name collate \"C\" limit 100",
        "select * from storage.search('', 'fold', 100)",
        "select * from storage.search_v2('', 'fold', 100)",
        "select * from storage.objects where bucket_id = 'fold' order by name collate \"C\" limit 100",
        &format!("select * from storage.search('{me}/', 'fold', 100)"),
        &format!("select * from storage.search_v2('{me}/', 'fold', 100, 2)"),
        "select * from storage.objects where bucket_id = 'own' and name = 'IMG_0000007.jpg'",
    ] {
        cost(&mut session, sql).await;
    }
    session.batch("begin").await.unwrap();
    let keys: Vec<String> = (0..100).map(|n| format!("'IMG_{:07}.jpg'", n * 2000 + 7)).collect();
    let delete = format!(
        "delete from storage.objects where bucket_id = 'own' and name = any (array[{}])",
        keys.join(", ")
    );
    session.batch("set local storage.allow_delete_query = 'true'").await.unwrap();
    cost(&mut session, &delete).await;
    session.batch("rollback").await.unwrap();
}
