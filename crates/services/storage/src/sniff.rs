//! Whether a file is of the type that its sender says: for buckets that take only some.

/// Whether the first bytes of a file are certainly of another kind than the declared type.
///
/// Only kinds that can be told apart with certainty count: pictures, sound, films, fonts, archives, programs and
/// pages. A text declared as another text is not questioned, nor is anything that has no mark of its own.
pub(crate) fn contradicts(declared: &str, first: &[u8]) -> bool {
    let Some(found) = infer::get(first) else {
        // A picture, a film and a sound have a mark; what has none is none.
        let (kind, sub) = declared.split_once('/').unwrap_or((declared, ""));
        let marked = ["png", "jpeg", "jpg", "gif", "webp", "bmp", "tiff", "avif", "heic"];
        return !first.is_empty() && kind == "image" && marked.contains(&sub) && infer::get(first).is_none();
    };
    let found = found.mime_type();
    if found == declared || declared == crate::mime::DEFAULT {
        return false;
    }
    let kind = |mime: &str| mime.split('/').next().unwrap_or_default().to_owned();
    match (kind(declared).as_str(), kind(found).as_str()) {
        ("image" | "audio" | "video" | "font", "image" | "audio" | "video" | "font") => {
            !same_family(&kind(declared), &kind(found))
        }
        ("image" | "audio" | "video" | "font", _) => !is_container(declared, found),
        ("text", "text") => false,
        ("text", _) => true,
        // Documents are archives inside.
        (_, "application") => is_program(found),
        _ => declared == "application/pdf",
    }
}

/// Sound and film share their containers.
fn same_family(a: &str, b: &str) -> bool {
    let family = |kind: &str| if kind == "audio" { "video".to_owned() } else { kind.to_owned() };
    family(a) == family(b)
}

/// Pictures that are text or archives inside.
fn is_container(declared: &str, found: &str) -> bool {
    let text_inside = declared == "image/svg+xml" && (found == "text/xml" || found == "text/html");
    text_inside
        || found == "application/ogg"
        || (declared.starts_with("font/") && found.starts_with("application/font"))
}

fn is_program(found: &str) -> bool {
    matches!(
        found,
        "application/vnd.microsoft.portable-executable"
            | "application/x-executable"
            | "application/x-mach-binary"
            | "application/x-msdownload"
            | "application/java-vm"
    )
}
