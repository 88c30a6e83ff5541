//! Whether a file is of the type that its sender says: for buckets that take only some.
//!
//! Only what is certain counts. A type without a mark of its own is not questioned, and of two pictures or two films
//! it does not matter which is which: a browser shows both or neither. What must not pass is a program or a page
//! under the name of a picture.

/// Marks that a file of the type always begins with.
const MARKED: [&str; 5] = ["image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp"];
/// Types of files that run.
const PROGRAMS: [&str; 10] = [
    "application/vnd.microsoft.portable-executable",
    "application/x-msdownload",
    "application/x-msdos-program",
    "application/x-dosexec",
    "application/x-executable",
    "application/x-elf",
    "application/x-mach-binary",
    "application/x-sharedlib",
    "application/java-vm",
    "application/wasm",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Picture,
    /// Sound and film share their containers.
    Film,
    Font,
    Text,
    Program,
    Other,
}

impl Family {
    fn of(mime: &str) -> Family {
        let kind = mime.split('/').next().unwrap_or_default();
        match kind {
            _ if PROGRAMS.contains(&mime) => Family::Program,
            _ if mime.contains("font") => Family::Font,
            "image" => Family::Picture,
            "audio" | "video" => Family::Film,
            "text" => Family::Text,
            _ if mime == "application/ogg" => Family::Film,
            _ => Family::Other,
        }
    }
}

/// Whether the first bytes of a file are certainly of another kind than the declared type, which has no parameters.
pub(crate) fn contradicts(declared: &str, first: &[u8]) -> bool {
    if first.is_empty() || declared == crate::mime::DEFAULT {
        return false;
    }
    let Some(found) = infer::get(first).map(|found| found.mime_type()) else {
        return MARKED.contains(&declared);
    };
    if found == declared {
        return false;
    }
    match (Family::of(declared), Family::of(found)) {
        (declared, found) if declared == found && declared != Family::Other => false,
        // Some marks are two letters long, and a text may begin with them.
        (Family::Text, _) => !is_text(first),
        (Family::Picture, Family::Text) if declared == "image/svg+xml" => {
            !first.windows(4).any(|w| w == b"<svg")
        }
        (Family::Picture, _) if declared == "image/svg+xml" => found != "application/gzip",
        (Family::Picture | Family::Film | Family::Font, _) => true,
        (Family::Program, _) => false,
        (Family::Other, Family::Program) => true,
        (Family::Other, Family::Other) => {
            declared == "application/pdf" || found == "application/pdf" && is_text_type(declared)
        }
        (Family::Other, _) => {
            matches!(declared, "application/pdf" | "application/zip")
                || is_text_type(declared) && !is_text(first)
        }
    }
}

fn is_text_type(declared: &str) -> bool {
    matches!(declared, "application/json" | "application/xml" | "application/javascript")
        || declared.ends_with("+json")
        || declared.ends_with("+xml")
}

/// Whether the bytes can be the beginning of a text.
fn is_text(first: &[u8]) -> bool {
    let whole = match std::str::from_utf8(first) {
        Ok(_) => true,
        // A character was cut off at the end.
        Err(error) => error.error_len().is_none(),
    };
    let is_utf16 = first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]);
    is_utf16 || (whole && !first.contains(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
    const GIF: &[u8] = b"GIF89a\x01\0\x01\0";
    const WEBP: &[u8] = b"RIFF\x24\0\0\0WEBPVP8 ";
    const PDF: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3";
    const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\x08\0";
    const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0";
    const ELF: &[u8] =
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0\x40\x10\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    const EXE: &[u8] = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0";
    const PAGE: &[u8] = b"<!DOCTYPE html><html><script>alert(1)</script>";
    const SCRIPT: &[u8] = b"#!/bin/sh\nrm -rf /\n";
    const MP4: &[u8] = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41";
    const MP3: &[u8] = b"ID3\x04\0\0\0\0\0\0\0\0";
    const WOFF: &[u8] = b"wOFF\0\x01\0\0\0\0\0\0";
    const XML: &[u8] = b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>";

    #[test]
    fn programs_and_pages_are_no_pictures() {
        for file in [ELF, EXE, PAGE, SCRIPT, PDF, ZIP, MP4, WOFF, b"just text", &[0, 1, 2, 3]] {
            for declared in MARKED {
                assert!(contradicts(declared, file), "{declared}: {file:?}");
            }
        }
        for file in [ELF, EXE, PAGE, SCRIPT] {
            for declared in
                ["video/mp4", "audio/mpeg", "font/woff2", "application/pdf", "image/avif", "image/x-own"]
            {
                assert!(contradicts(declared, file), "{declared}: {file:?}");
            }
        }
        for (declared, file) in [
            ("text/plain", PNG),
            ("text/plain", ELF),
            ("text/csv", EXE),
            ("application/pdf", ZIP),
            ("application/pdf", PNG),
            ("application/json", ELF),
            ("application/json", PNG),
            ("application/json", PDF),
            ("application/zip", ELF),
            ("application/zip", PAGE),
            ("video/mp4", PNG),
            ("image/svg+xml", PAGE),
            ("image/svg+xml", PNG.get(..4).unwrap_or(ELF)),
            ("image/svg+xml", ELF),
        ]
        .into_iter()
        .filter(|(_, file)| file.len() > 4)
        {
            assert!(contradicts(declared, file), "{declared}: {file:?}");
        }
    }

    #[test]
    fn files_are_what_they_say_or_close_to_it() {
        for (declared, file) in [
            ("image/png", PNG),
            ("image/jpeg", JPEG),
            ("image/gif", GIF),
            ("image/webp", WEBP),
            ("image/png", JPEG), // a browser shows it all the same
            ("application/pdf", PDF),
            ("application/zip", ZIP),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ZIP),
            ("application/epub+zip", ZIP),
            ("video/mp4", MP4),
            ("audio/mp4", MP4),
            ("audio/mpeg", MP3),
            ("font/woff", WOFF),
            ("application/font-woff", WOFF),
            ("image/svg+xml", XML),
            ("image/svg+xml", b"<!-- by hand --><svg/>"),
            ("image/svg+xml", b"<svg/>"),
            ("image/svg+xml", GZIP),
            ("application/xml", XML),
            ("text/html", PAGE),
            ("text/plain", PAGE),
            ("text/markdown", b"<!-- a comment -->"),
            ("text/csv", b"BMW,Audi\n"), // two letters of a bitmap
            ("text/plain", b"MZ is how programs begin"),
            ("text/plain", SCRIPT),
            ("application/x-sh", SCRIPT),
            ("application/x-msdownload", EXE),
            ("application/octet-stream", ELF),
            ("application/x-own", b"own"),
            ("text/plain", "grün".as_bytes().get(..3).unwrap_or_default()),
            ("image/png", b""),
        ] {
            assert!(!contradicts(declared, file), "{declared}: {file:?}");
        }
    }
}
