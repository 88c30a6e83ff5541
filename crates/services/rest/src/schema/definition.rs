//! Where a view's columns come from, read from the view's stored definition.
//!
//! PostgreSQL keeps, for every output column of a query, the table and column that it passes through
//! unchanged (`resorigtbl`, `resorigcol`). They are only to be had from the text of `pg_rewrite.ev_action`,
//! a nested list of nodes; this reads the outermost query's target list and skips the rest.

/// An output column of a view that is a column of another relation, unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// The number of the view's column.
    pub column: i16,
    /// The relation it comes from, by oid; it may be a view again.
    pub relation: u32,
    /// The number of that relation's column.
    pub relation_column: i16,
}

/// Depth of the outermost query's fields: inside `({QUERY …`.
const QUERY_DEPTH: usize = 2;
/// Depth of the fields of a target list's entries: inside `({QUERY … ({TARGETENTRY …`.
const ENTRY_DEPTH: usize = 4;

#[derive(Default)]
struct Entry {
    column: i64,
    relation: i64,
    relation_column: i64,
}

impl Entry {
    fn origin(&self) -> Option<Origin> {
        let origin = Origin {
            column: self.column.try_into().ok()?,
            relation: self.relation.try_into().ok()?,
            relation_column: self.relation_column.try_into().ok()?,
        };
        (origin.relation != 0 && origin.relation_column > 0).then_some(origin)
    }
}

/// The origins of a view's columns, given the text of its rule's `ev_action`. A text of another form yields
/// nothing: such a view has no keys, which is what a view over expressions has too.
pub(super) fn origins(action: &str) -> Vec<Origin> {
    let bytes = action.as_bytes();
    let mut found = Vec::new();
    let (mut depth, mut i) = (0usize, 0usize);
    let mut in_list = false;
    let mut entry = Entry::default();
    let mut field: &[u8] = b"";
    while i < bytes.len() {
        match bytes[i] {
            b'{' | b'(' => {
                depth += 1;
                i += 1;
                if in_list && depth == ENTRY_DEPTH {
                    entry = Entry::default();
                }
            }
            b'}' | b')' => {
                if in_list && depth == ENTRY_DEPTH {
                    found.extend(entry.origin());
                }
                depth = depth.saturating_sub(1);
                i += 1;
            }
            b' ' | b'\n' => i += 1,
            _ => {
                let start = i;
                i = token_end(bytes, start);
                let token = &bytes[start..i];
                if depth == QUERY_DEPTH && token.starts_with(b":") {
                    if in_list {
                        break;
                    }
                    in_list = token == b":targetList";
                } else if in_list && depth == ENTRY_DEPTH {
                    match field {
                        b":resno" => entry.column = number(token),
                        b":resorigtbl" => entry.relation = number(token),
                        b":resorigcol" => entry.relation_column = number(token),
                        _ => {}
                    }
                    field = token;
                }
            }
        }
    }
    found
}

/// The end of the token that starts here. A backslash takes the next byte's meaning away.
fn token_end(bytes: &[u8], start: usize) -> usize {
    let mut i = start;
    while i < bytes.len() && !matches!(bytes[i], b' ' | b'\n' | b'{' | b'}' | b'(' | b')') {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    i.min(bytes.len())
}

fn number(token: &[u8]) -> i64 {
    std::str::from_utf8(token).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_target_list_alone_counts() {
        let action = "({QUERY :rtable ({RTE :subquery {QUERY :targetList ({TARGETENTRY :resno 9 :resorigtbl 9 \
             :resorigcol 9})} :names (\"a\\)\" \"b\")}) :targetList ({TARGETENTRY :expr {VAR :varno 1 :resno 7} \
             :resno 1 :resname id :ressortgroupref 0 :resorigtbl 16521 :resorigcol 2 :resjunk false} \
             {TARGETENTRY :expr {CONST :constvalue 4 [ 1 0 0 0 ]} :resno 2 :resname n\\ m\\{ :resorigtbl 0 \
             :resorigcol 0 :resjunk false}) :override 0 :returningList <>})";
        assert_eq!(origins(action), [Origin { column: 1, relation: 16521, relation_column: 2 }]);
    }

    #[test]
    fn any_text_is_survived() {
        for text in ["", "<>", "((((", "}}})", "({QUERY :targetList <> :x 1})", "({QUERY :targetList (\\"] {
            assert_eq!(origins(text), []);
        }
    }
}
