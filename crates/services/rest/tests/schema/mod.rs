//! The schema cache: what is read, what is deduced, when it is read again.

mod loading;
mod reloading;

use rest::config::Settings;

/// Settings that expose these schemas.
fn exposing(schemas: &[&str]) -> Settings {
    Settings { db_schemas: schemas.iter().map(|name| (*name).to_owned()).collect(), ..Settings::default() }
}
