//! Calls: the first part of a statement that asks a function for rows.

use super::{array_literal, filter};
use crate::plan::{Arguments, Call, Returning, Value};
use crate::schema::Argument;
use bytes::Bytes;
use sql::{Fragment, Param};

/// The alias of the function's result.
const CALL: &str = "pgrst_call";
/// The alias of the body's values.
const BODY: &str = "pgrst_body";

/// The SELECT from a function.
pub fn call(f: &mut Fragment, call: &Call) {
    let value = call.function.returns_scalar() || call.function.returns_set_of_scalar();
    f.push("select ");
    match &call.returning {
        _ if value => {
            f.push("pgrst_call.pgrst_scalar");
        }
        Returning::Nothing | Returning::All => {
            f.push("pgrst_call.*");
        }
        Returning::Columns(names) => {
            f.join(", ", names, |f, name| filter::qualified(f, CALL, name));
        }
    }
    f.push(" from ");
    if let Arguments::Json { body, is_object, arguments } = &call.arguments {
        body_values(f, body, *is_object, arguments);
        f.push(", lateral ");
    }
    if value {
        f.push("(select ");
    }
    f.qualified(&call.function.name.schema, &call.function.name.name).push("(");
    arguments(f, &call.arguments);
    f.push(if value { ") as pgrst_scalar) as " } else { ") as " }).push(CALL);
}

fn body_values(f: &mut Fragment, body: &Bytes, is_object: bool, arguments: &[Argument]) {
    let columns = |f: &mut Fragment| {
        f.push("(").join(", ", arguments, |f, argument| {
            f.quoted(&argument.name).push(" ").catalog_text(&argument.cast_type);
        });
        f.push(")");
    };
    if is_object {
        f.push("json_to_record(").bind(body.clone()).push("::json) as ").push(BODY);
        columns(f);
    } else {
        f.push("(select * from json_to_recordset(").bind(body.clone()).push("::json) as _");
        columns(f);
        f.push(" limit 1) ").push(BODY);
    }
}

fn arguments(f: &mut Fragment, arguments: &Arguments) {
    match arguments {
        Arguments::None => {}
        Arguments::Whole { body, argument } => {
            f.bind_param(whole(body, argument)).push("::").catalog_text(&argument.type_name);
        }
        Arguments::Direct(values) => {
            f.join(", ", values, |f, (argument, value)| {
                name(f, argument);
                match value {
                    Value::One(text) => f.bind(text.clone()),
                    Value::Many(texts) => f.bind(array_literal(texts)),
                };
                f.push("::").catalog_text(&argument.cast_type);
            });
        }
        Arguments::Json { arguments, .. } => {
            f.join(", ", arguments, |f, argument| {
                name(f, argument);
                filter::qualified(f, BODY, &argument.name);
            });
        }
    }
}

fn name(f: &mut Fragment, argument: &Argument) {
    f.push(if argument.variadic { "variadic " } else { "" }).quoted(&argument.name).push(" := ");
}

/// A body as a parameter. All parameters travel as text, so bytes are written in hexadecimal.
fn whole(body: &Bytes, argument: &Argument) -> Param {
    if &*argument.type_name != "bytea" {
        return Some(body.clone());
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Vec::with_capacity(body.len() * 2 + 2);
    text.extend_from_slice(b"\\x");
    for byte in body {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    Some(text.into())
}
