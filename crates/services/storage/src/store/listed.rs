//! Listings in the order of keys: an entry a row, folders as one entry each.
//!
//! There are two ways to the same page. The short one reads an index row by row, and is right when none of the rows
//! lies in a folder of the level. The function of the schema also leaps over what is in a folder, which makes every
//! row dearer. See [`crate::listing`].

use super::entry::entry;
use super::iso;
use crate::db::Step;
use pg::{param, text};

/// Behind everything that begins with a text.
pub(crate) const LAST: char = '\u{10FFFF}';

/// A page of a listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: &'a str,
    /// A key, or a folder with its delimiter.
    pub(crate) after: &'a str,
    pub(crate) limit: usize,
    pub(crate) ascends: bool,
}

impl Page<'_> {
    /// Beyond what a row of the page lies.
    fn place(&self) -> String {
        let mut place = self.after.to_owned();
        let beyond = match (self.after, self.ascends) {
            ("", ascends) => {
                place.push_str(self.prefix);
                if ascends {
                    return String::new();
                }
                true
            }
            (_, ascends) => ascends && self.begins_behind_a_folder(),
        };
        if beyond {
            place.push(LAST);
        }
        place
    }

    /// Whether the key that the page follows is all of a folder: what follows are not its members.
    fn begins_behind_a_folder(&self) -> bool {
        // Of a key that does not begin with the prefix as many characters are passed over.
        let passed = self.prefix.chars().count();
        let rest = self.after.char_indices().nth(passed).map_or("", |(at, _)| &self.after[at..]);
        !self.delimiter.is_empty()
            && rest.find(self.delimiter).is_some_and(|at| at + self.delimiter.len() == rest.len())
    }
}

/// [Entries](super::entry::Entry) of the level that the asking role sees; folders are named without their last
/// delimiter.
pub(crate) fn leaping(bucket: &str, page: &Page<'_>) -> Step {
    let sql = concat!(
        "select ",
        entry!("l"),
        " from storage.list_objects_with_delimiter($1, $2, $3, $4::integer, $5, '', $6) as l"
    );
    let (limit, order) = (param(page.limit), if page.ascends { "asc" } else { "desc" });
    let params =
        [text(bucket), text(page.prefix), text(page.delimiter), limit, text(page.after), text(order)];
    Step::new(sql, params).binary()
}

/// The rows of a page when nothing lies in folders: whoever reads them sees whether it is so.
pub(crate) fn flat(bucket: &str, page: &Page<'_>) -> Step {
    macro_rules! rows {
        ($beyond:literal, $order:literal) => {
            concat!(
                "select ",
                entry!("o"),
                " from storage.objects as o where o.bucket_id = $1 and o.name collate \"C\" ",
                $beyond,
                " $2 and o.name collate \"C\" >= $3 and o.name collate \"C\" < $4 order by o.name collate \"C\"",
                $order,
                " limit $5::bigint"
            )
        };
    }
    let sql = if page.ascends { rows!(">", "") } else { rows!("<", " desc") };
    let end = [page.prefix, LAST.encode_utf8(&mut [0; 4])].concat();
    let params = [text(bucket), text(page.place()), text(page.prefix), text(end), param(page.limit)];
    Step::new(sql, params).binary()
}

/// Key, id and time of uploads in parts that the asking role sees; what several begin with has no id. A page begins
/// behind the upload `id` of the key, or behind everything of that key.
pub(crate) fn uploads(bucket: &str, page: &Page<'_>, id: &str) -> Step {
    let sql = concat!(
        "select l.key, l.id, ",
        iso!("l.created_at"),
        " from storage.list_multipart_uploads_with_delimiter($1, $2, $3, $4::integer, $5, $6) as l"
    );
    let limit = param(page.limit);
    Step::new(sql, [text(bucket), text(page.prefix), text(page.delimiter), limit, text(page.after), text(id)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_where_the_one_before_ended() {
        let place = |prefix: &str, delimiter: &str, after: &str, ascends| {
            Page { prefix, delimiter, after, limit: 1, ascends }.place()
        };
        assert_eq!(place("a/", "/", "", true), "");
        assert_eq!(place("a/", "/", "", false), "a/\u{10FFFF}");
        assert_eq!(place("a/", "/", "a/b", true), "a/b");
        assert_eq!(place("a/", "/", "a/b/", true), "a/b/\u{10FFFF}");
        assert_eq!(place("a/", "/", "a/b/", false), "a/b/");
        assert_eq!(place("a/", "/", "a/b/c/", true), "a/b/c/");
        assert_eq!(place("a/", "", "a/b/", true), "a/b/");
        assert_eq!(place("é/", "/", "a/b/", true), "a/b/\u{10FFFF}");
        assert_eq!(place("", "//", "a//", true), "a//\u{10FFFF}");
    }
}
