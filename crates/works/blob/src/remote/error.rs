//! What an object store's errors mean. Their texts are not passed on: they may hold addresses, names of keys and
//! pieces of signed requests.

use crate::Error;
use object_store::client::{HttpError, HttpErrorKind};

/// Our error for one of the object store.
pub(crate) fn said(error: &object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => return Error::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            return Error::Remote("it refuses our credentials".to_owned());
        }
        _ => {}
    }
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(http) = cause.downcast_ref::<HttpError>() {
            return match http.kind() {
                HttpErrorKind::Timeout => Error::Slow,
                HttpErrorKind::Connect => Error::Remote("it cannot be reached".to_owned()),
                _ => Error::Remote("the connection broke".to_owned()),
            };
        }
        source = cause.source();
    }
    match status(&error.to_string()) {
        Some(416) => Error::Range,
        Some(429 | 503) => Error::Slow,
        Some(507) => Error::Full,
        Some(status) => Error::Remote(format!("it answered {status}")),
        None => Error::Remote("it answered something else than expected".to_owned()),
    }
}

/// The status in the text of an error. The crate has no other way to tell.
fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn errors_are_told_apart_and_say_nothing_secret() {
        let answered = |status: &str| said(&generic(&format!("non-2xx status code: {status} key=secret")));
        assert!(matches!(answered("503 Service Unavailable"), Error::Slow));
        assert!(matches!(answered("429 Too Many Requests"), Error::Slow));
        assert!(matches!(answered("416 Range Not Satisfiable"), Error::Range));
        assert!(matches!(answered("507 Insufficient Storage"), Error::Full));
        for text in [answered("500 Internal Server Error"), said(&generic("key=secret"))] {
            assert!(matches!(text, Error::Remote(_)));
            assert!(!text.to_string().contains("secret"), "{text}");
        }
        let timeout = HttpError::new(HttpErrorKind::Timeout, std::io::Error::other("x"));
        assert!(matches!(
            said(&object_store::Error::Generic { store: "S3", source: Box::new(timeout) }),
            Error::Slow
        ));
    }
}
