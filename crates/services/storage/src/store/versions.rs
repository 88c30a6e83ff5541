//! Which bodies rows name.

use crate::db::Step;
use pg::{param, text};
use uuid::Uuid;

/// Whether the asking role sees every row of the project. In a shard that is so when the app is set and policies show
/// all of its rows: where none did, there would be no rows and no error.
pub(crate) fn sees_all(is_pooled: bool) -> Step {
    let sql = "
select case when $1::boolean
  then coalesce(current_setting('rowhouse.app_id', true), '') <> ''
    and (
      select count(*) filter (where policyname = 'service' and permissive = 'PERMISSIVE' and cmd = 'ALL'
          and qual = 'true' and 'service_role' = any (roles)) = 3
        and count(*) filter (where permissive <> 'PERMISSIVE' and policyname <> 'own_app') = 0
      from pg_catalog.pg_policies
      where schemaname = 'storage'
        and tablename in ('objects', 's3_multipart_uploads_parts', 'resumable_uploads'))
  else not (row_security_active('storage.objects') or row_security_active('storage.s3_multipart_uploads_parts')
    or row_security_active('storage.resumable_uploads'))
  end";
    Step::new(sql, [param(is_pooled)])
}

/// Versions between two, both included, that a row of any table names, in whichever letters.
pub(crate) fn named(first: Uuid, last: Uuid) -> Step {
    let sql = r#"
select version from storage.objects where lower(version) collate "C" between $1 and $2
union all
select version from storage.s3_multipart_uploads_parts where lower(version) collate "C" between $1 and $2
union all
select version::text from storage.resumable_uploads where version between $1::uuid and $2::uuid"#;
    Step::new(sql, [text(first.to_string()), text(last.to_string())])
}
