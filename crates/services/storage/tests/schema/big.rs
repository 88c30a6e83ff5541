//! A folder of a million objects. Slow to make, so only run when asked for:
//! `cargo test -p storage --test schema -- --ignored --nocapture`.

use crate::world::{database, rows};

#[tokio::test]
#[ignore = "makes a million rows"]
async fn a_page_of_a_million_reads_a_page() {
    let mut session = database().await.connect().await;
    session
        .batch(
            "insert into storage.buckets (id, name) values ('b', 'b');
             create policy mine on storage.objects for select to authenticated using (owner_id = 'me');
             insert into storage.objects (bucket_id, name, owner_id, metadata)
             select 'b', format('photos/IMG_%s.jpg', lpad(n::text, 7, '0')), 'me',
               jsonb_build_object('size', n, 'mimetype', 'image/jpeg', 'cacheControl', 'max-age=3600')
             from generate_series(1, 1000000) as n",
        )
        .await
        .unwrap();
    session.batch("vacuum analyze storage.objects").await.unwrap();
    for role in ["service_role", "authenticated"] {
        session.batch(&format!("set role {role}")).await.unwrap();
        for (call, pages_most) in [
            ("storage.search('photos/', 'b', 100)", Some(400)),
            ("storage.search('photos/', 'b', 100, 1, 0, 'img_05')", Some(400)),
            ("storage.search('', 'b', 100)", Some(100)),
            ("storage.search('photos/', 'b', 100, 1, 900000)", None),
            ("storage.search('photos/', 'b', 100, 1, 0, '', 'updated_at', 'desc')", None),
            ("storage.search_v2('photos/', 'b', 1000, 2)", Some(1500)),
            ("storage.search_v2('photos/', 'b', 1000, 2, 'photos/IMG_0900000.jpg')", Some(1500)),
            ("storage.search_v2('photos/', 'b', 1000, 2, 'photos/IMG_0900000.jpg', 'desc')", Some(1500)),
            ("storage.search_v2('', 'b', 1000, 1)", Some(100)),
            ("storage.search_v2('photos/', 'b', 1000, 2, '', 'desc', 'created_at')", None),
        ] {
            // The second time, when plans are made and pages are read.
            let explain = format!("explain (analyze, buffers, format json) select * from {call}");
            rows(&mut session, &explain, &[]).await;
            let plan = rows(&mut session, &explain, &[]).await;
            let plan: serde_json::Value = plan[0].json(0).unwrap();
            let (plan, time) = (&plan[0]["Plan"], &plan[0]["Execution Time"]);
            let count = |name: &str| plan[name].as_u64().unwrap_or_default();
            let pages = count("Shared Hit Blocks") + count("Shared Read Blocks");
            println!("{role}: {call}: {} rows, {pages} pages, {time} ms", count("Actual Rows"));
            if let Some(most) = pages_most {
                assert!(pages <= most, "{call} as {role} reads {pages} pages");
            }
        }
        session.batch("reset role").await.unwrap();
    }
}
