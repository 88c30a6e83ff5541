//! Mail: texts from templates, messages from texts, and their way out by SMTP.
//!
//! Nothing here is kept between messages: a [`Line`] is opened for those that wait, reuses its few connections
//! for them, and is dropped.

mod carrier;
mod letter;
mod plain;
mod smtp;
mod template;

pub use carrier::{Carrier, Inbox, Line, SendError};
pub use letter::{Letter, Mailbox};
pub use plain::plain;
pub use smtp::{Security, Smtp};
pub use template::{Mode, OUTPUT_MAX, RenderError, SOURCE_MAX, Template, TemplateError, one_line};
