//! Where the bytes of an upload come from: the body itself, or a file in a form.

use super::Wanted;
use super::form::{Form, Part};
use crate::call::{Call, Incoming};
use crate::refusal::{self, Outcome, Refusal};
use crate::s3::Checked;
use bytes::{Bytes, BytesMut};
use http::header;
use model::Room;
use serde_json::Value;

/// The most fields of a form that are read.
const FIELDS_MAX: usize = 10;
/// The longest that the fields may be together, files but the first included: those are read and dropped.
const FIELD_BYTES_MAX: usize = 2 << 20;

/// Bytes on their way in.
pub(crate) enum Source {
    Raw(Incoming),
    /// Held against what its signature promises.
    Checked(Box<Checked>),
    Form(Box<FormFile>),
}

/// A file in a form. Fields may come before and after it.
pub(crate) struct FormFile {
    form: Form,
    file: Option<Part>,
    file_mime: Option<String>,
    fields: Vec<(String, String)>,
    /// How many more bytes the fields may have.
    left: usize,
    room: Room,
}

impl Source {
    /// The source of an upload by the request's own body.
    pub(crate) async fn of(call: &Call, incoming: Incoming) -> Outcome<Source> {
        let content_type = call.header(header::CONTENT_TYPE).unwrap_or_default();
        if !content_type.starts_with("multipart/form-data") {
            return Ok(Source::Raw(incoming));
        }
        let mut form = Box::new(FormFile {
            form: Form::of(call, incoming, no_boundary)?,
            file: None,
            file_mime: None,
            fields: Vec::new(),
            left: FIELD_BYTES_MAX,
            room: call.room.clone(),
        });
        form.advance().await?;
        if form.file.is_none() {
            return Err(no_content());
        }
        Ok(Source::Form(form))
    }

    /// The next piece; nothing at the end.
    pub(crate) async fn next(&mut self) -> Outcome<Option<Bytes>> {
        match self {
            Source::Raw(incoming) => incoming.next().await,
            Source::Checked(body) => body.next().await,
            Source::Form(form) => form.next().await,
        }
    }

    /// All of it, which is no longer than so many bytes.
    pub(crate) async fn whole(&mut self, bytes_max: usize) -> Outcome<Bytes> {
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() + first.len() + piece.len() > bytes_max {
                return Err(refusal::too_large());
            }
            if first.is_empty() && all.is_empty() {
                first = piece;
                continue;
            }
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&piece);
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }

    /// What the source itself says of the object: the fields of a form.
    pub(crate) fn complete(&self, mut wanted: Wanted) -> Outcome<Wanted> {
        let Source::Form(form) = self else { return Ok(wanted) };
        let field = |name: &str| form.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let declared = field("contentType").filter(|mime| !mime.is_empty()).or(form.file_mime.as_deref());
        declared.unwrap_or(crate::mime::DEFAULT).clone_into(&mut wanted.mime);
        wanted.cache_control = match field("cacheControl").filter(|seconds| !seconds.is_empty()) {
            Some(seconds) => format!("max-age={seconds}"),
            None => "no-cache".to_owned(),
        };
        if let Some(text) = field("metadata").or_else(|| field("userMetadata")) {
            wanted.user_metadata = user_metadata(text).or_else(|| Some("{}".to_owned()));
        }
        wanted.check()?;
        Ok(wanted)
    }
}

/// The user's own metadata: an object; anything else is dropped without a word.
pub(crate) fn user_metadata(text: &str) -> Option<String> {
    // In answers it stands deeper, and has to be readable there, too.
    let deeper = ["[[", text, "]]"].concat();
    let [[parsed]]: [[Value; 1]; 1] = serde_json::from_str(&deeper).ok()?;
    parsed.is_object().then(|| parsed.to_string().replace("\\u0000", ""))
}

impl FormFile {
    /// Reads fields up to the next file.
    async fn advance(&mut self) -> Outcome<()> {
        while let Some(mut part) = self.form.next().await? {
            let content_type = part.content_type();
            if part.file_name().is_some() || content_type.is_some() && self.file_mime.is_none() {
                if self.file_mime.is_some() {
                    // One file is enough.
                    part.whole(&mut self.left, refusal::too_large).await?;
                    continue;
                }
                self.file_mime = Some(content_type.unwrap_or_else(|| "text/plain".to_owned()));
                self.file = Some(part);
                return Ok(());
            }
            if self.fields.len() >= FIELDS_MAX {
                return Err(refusal::invalid_request("The form has too many fields"));
            }
            let value = part.whole(&mut self.left, super::too_large_metadata).await?;
            if !self.room.take(value.len() as u64) {
                return Err(refusal::no_room());
            }
            self.fields.push((part.name().to_owned(), String::from_utf8_lossy(&value).into_owned()));
        }
        Ok(())
    }

    async fn next(&mut self) -> Outcome<Option<Bytes>> {
        let Some(file) = self.file.as_mut() else { return Ok(None) };
        if let Some(piece) = file.next().await? {
            return Ok(Some(piece));
        }
        self.file = None;
        self.advance().await?;
        Ok(None)
    }
}

fn no_boundary() -> Refusal {
    refusal::invalid_request("Multipart: Boundary not found")
}

fn no_content() -> Refusal {
    refusal::invalid_request("No content provided")
}
