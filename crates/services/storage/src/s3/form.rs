//! Uploads by HTML forms: the fields come first, a signed policy says what they may be, and the file comes last.

use super::objects::set;
use super::xml::Xml;
use super::{Checked, identity, refused};
use crate::Storage;
use crate::call::{Call, Incoming};
use crate::mime;
use crate::names::{BucketName, ObjectKey};
use crate::refusal::{self, Outcome, Refusal};
use crate::upload::{Form, Part, Permission, Source, Wanted};
use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::{Map, Value};
use sigv4::PostForm;

/// The most fields of a form, and all of their bytes.
const FIELDS_MAX: usize = 100;
const FIELD_BYTES_MAX: usize = 256 << 10;

/// The file of a form.
pub(super) struct File {
    part: Part,
    /// What the file is read from.
    _form: Form,
}

impl File {
    /// The next piece; nothing at the end. Fields behind the file are not read: the policy could not cover them.
    pub(super) async fn next(&mut self) -> Outcome<Option<Bytes>> {
        self.part.next().await
    }
}

type Fields = Vec<(String, String)>;

/// Reads the fields up to the file. Names in lower case: there are two spellings.
async fn read(call: &Call, body: Incoming) -> Outcome<(Fields, File)> {
    let mut form = Form::of(call, body, || refusal::invalid_request("The form has no boundary"))?;
    let (mut fields, mut left) = (Fields::new(), FIELD_BYTES_MAX);
    let mut file_name = String::new();
    while let Some(mut part) = form.next().await? {
        let name = part.name().to_ascii_lowercase();
        if name == "file" {
            file_name.push_str(part.file_name().unwrap_or_default());
            substitute(&mut fields, &file_name);
            return Ok((fields, File { part, _form: form }));
        }
        let value = part.whole(&mut left, too_long).await?;
        if fields.len() >= FIELDS_MAX {
            return Err(refusal::invalid_request("The form has too many fields"));
        }
        if !call.room.take(value.len() as u64) {
            return Err(refusal::no_room());
        }
        let value = String::from_utf8(value)
            .map_err(|_| refusal::invalid_request("A field of the form is no text"))?;
        fields.push((name, value));
    }
    Err(refused::invalid_argument("POST requires exactly one file upload per request."))
}

fn too_long() -> Refusal {
    refusal::invalid_request("The fields of the form are too long")
}

/// Puts the file's own name into the key, where the form says so.
fn substitute(fields: &mut Fields, file_name: &str) {
    let base = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    for (_, value) in fields.iter_mut().filter(|(name, _)| name == "key") {
        *value = value.replace("${filename}", base);
    }
}

/// `POST /<bucket>`
pub(super) async fn upload(
    storage: &Storage,
    call: &Call,
    bucket: BucketName,
    body: Incoming,
) -> Outcome<Response<Body>> {
    let (fields, file) = read(call, body).await?;
    if !fields.iter().any(|(name, _)| matches!(name.as_str(), "policy" | "x-amz-signature")) {
        return Err(identity::missing());
    }
    let form = PostForm::read(&fields)?;
    let identity = identity::of_form(storage, call, &form)?;
    form.policy.check(&fields, bucket.as_str(), call.now.into())?;
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let key = field("key")
        .ok_or_else(|| refused::invalid_argument("Bucket POST must contain a field named 'key'."))?;
    let key = storage.key(key)?;
    let done = Done::of(&fields, &bucket, &key);
    let wanted = Wanted {
        bucket,
        key,
        mime: field("content-type").unwrap_or(mime::DEFAULT).to_owned(),
        cache_control: field("cache-control").unwrap_or("no-cache").to_owned(),
        robots: None,
        user_metadata: Some(user_metadata(&fields)),
        // The request's length is the whole form's.
        declared: None,
        is_exact: false,
        upsert: true,
        if_match: None,
        permission: Permission::Policies,
        limit: storage.settings.standard_limit(),
    };
    let scope = call.scope(identity, "storage.s3.upload");
    let body = Checked::of_file(file, form.policy.length());
    let stored = storage.store(&scope, wanted, Source::Checked(Box::new(body))).await?;
    Ok(done.answer(&stored.etag))
}

fn user_metadata(fields: &Fields) -> String {
    let members = fields.iter().filter_map(|(name, value)| {
        Some((name.strip_prefix("x-amz-meta-")?.to_owned(), Value::from(value.as_str())))
    });
    Value::Object(members.collect::<Map<_, _>>()).to_string()
}

/// How the form wants to hear that it was taken.
struct Done {
    status: StatusCode,
    redirect: Option<String>,
    bucket: String,
    key: String,
}

impl Done {
    fn of(fields: &Fields, bucket: &BucketName, key: &ObjectKey) -> Done {
        let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let status = match field("success_action_status") {
            Some("201") => StatusCode::CREATED,
            Some("204") => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        };
        let redirect = field("success_action_redirect").or_else(|| field("redirect"));
        let is_web = |url: &&str| url.starts_with("https://") || url.starts_with("http://");
        Done {
            status,
            redirect: redirect.filter(is_web).map(str::to_owned),
            bucket: bucket.as_str().to_owned(),
            key: key.as_str().to_owned(),
        }
    }

    fn answer(self, etag: &str) -> Response<Body> {
        let location = ["/", &self.bucket, "/", &sigv4::encode_path(&self.key)].concat();
        let mut response = if self.status == StatusCode::CREATED && self.redirect.is_none() {
            let mut xml = Xml::new("PostResponse");
            xml.leaf("Location", &location)
                .leaf("Bucket", &self.bucket)
                .leaf("Key", &self.key)
                .leaf("ETag", etag);
            xml.answer()
        } else {
            Response::new(Body::empty())
        };
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        set(headers, header::ETAG, etag);
        set(headers, header::LOCATION, &location);
        if let Some(url) = &self.redirect {
            let [bucket, key, etag] = [&self.bucket, &self.key, etag].map(|text: &str| sigv4::encode(text));
            let mark = if url.contains('?') { '&' } else { '?' };
            let url = format!("{url}{mark}bucket={bucket}&key={key}&etag={etag}");
            set(headers, header::LOCATION, &url);
            *response.status_mut() = StatusCode::SEE_OTHER;
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_go_into_keys() {
        let mut fields = vec![
            ("key".to_owned(), "user/${filename}".to_owned()),
            ("x".to_owned(), "${filename}".to_owned()),
        ];
        substitute(&mut fields, "C:\\dir\\..\\a.png");
        assert_eq!(fields[0].1, "user/a.png");
        assert_eq!(fields[1].1, "${filename}");
    }
}
