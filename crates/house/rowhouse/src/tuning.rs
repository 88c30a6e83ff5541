//! The settings of a project on their way into the catalog: from a file, or by the command line while everything
//! runs.
//!
//! The catalog keeps them twice: as the services read them, and as they were written, in the words of
//! `config.toml`, so that single ones can be changed and shown. Secrets are sealed in the one, and the other is
//! sealed as a whole.

use crate::config::{self, ProjectConfig};
use crate::desk::{ACTOR, Desk};
use crate::wire::{ProjectSettings, SAML_KEY};
use anyhow::{Context, bail};
use catalog::projects::{project_change_settings, project_merge_settings};
use catalog::{audit, settings as sealing};
use model::secret::{MARK, marked};
use model::{ProjectRef, Secret, Tenancy};
use platform::{Platform, Project};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// The setting that holds the others as they were written.
const WRITTEN: &str = "written";
/// How often a change is tried that meets changes of others.
const ATTEMPTS_MAX: usize = 16;
/// What a secret is shown as.
const HIDDEN: &str = "(secret)";
/// What only the file of a local stack says.
const SECTIONS: [&str; 3] = ["api", "auth", "storage"];

/// A change of a project's settings, or a look at them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingsAction {
    Show,
    Change {
        /// TOML in the words of `config.toml`; it may hold secrets.
        set: Secret,
        /// Dotted names of what goes back to its default.
        unset: Vec<String>,
    },
}

impl Desk {
    /// Does it, and returns what is set then, secrets hidden.
    pub(crate) async fn settings(&self, project: &str, action: SettingsAction) -> anyhow::Result<Value> {
        let SettingsAction::Change { set, unset } = action else {
            let found = self.find(project).await?;
            let settings = ProjectSettings::of(self.platform.catalog(), &found);
            return Ok(shown(written(&self.platform, &found)?, &settings));
        };
        if self.local.is_some() {
            bail!("a local stack is configured by {}, which is read again when it changes", config::FILE);
        }
        for _ in 0..ATTEMPTS_MAX {
            let found = self.find(project).await?;
            let Some((after, settings)) = self.change(&found, set.expose(), &unset).await? else { continue };
            self.record(&found, set.expose(), &unset).await?;
            if let Some(wire) = &self.wire {
                wire.forget(&found.reference);
            }
            return Ok(shown(after, &settings));
        }
        bail!("others change the settings of this project all the time; nothing was changed")
    }

    /// Changes the settings of a project from how they were found. Nothing when somebody else has changed them
    /// meanwhile.
    async fn change(
        &self,
        found: &Project,
        set: &str,
        unset: &[String],
    ) -> anyhow::Result<Option<(Value, ProjectSettings)>> {
        let before = written(&self.platform, found)?;
        let after = changed(before.clone(), set, unset)?;
        let config = understood(&before, &after)?;
        if found.tenancy == Tenancy::Pooled {
            refuse_functions(&config)?;
        }
        let settings = ProjectSettings::from_config(&config);
        let sealed = sealed(&self.platform, &found.reference, &settings, &after).await?;
        let catalog = self.platform.catalog();
        let mut connection = catalog.connection().await?;
        // What is sealed looks different each time, so it tells every version from every other.
        let was = (WRITTEN, found.settings.get(WRITTEN));
        let is_done = project_change_settings(&mut connection, &found.reference, &sealed, was).await?;
        catalog.forget(&found.reference);
        Ok(is_done.then_some((after, settings)))
    }

    /// Which settings were changed goes into the audit log, their values do not.
    async fn record(&self, project: &Project, set: &str, unset: &[String]) -> anyhow::Result<()> {
        let set = flat(&serde_json::to_value(set.parse::<toml::Table>()?)?);
        let names: Vec<&str> =
            set.keys().map(String::as_str).chain(unset.iter().map(String::as_str)).collect();
        let details = Map::from_iter([("names".to_owned(), json!(names))]);
        let mut connection = self.platform.catalog().connection().await?;
        audit::audit_write(&mut connection, ACTOR, "project.settings", &project.reference, &details).await?;
        Ok(())
    }
}

/// Puts settings into the catalog, secrets sealed.
///
/// # Errors
/// When the catalog does not answer.
pub async fn save(
    platform: &Platform,
    project: &ProjectRef,
    settings: &ProjectSettings,
    written: &Value,
) -> anyhow::Result<()> {
    let sealed = sealed(platform, project, settings, written).await?;
    let catalog = platform.catalog();
    let mut connection = catalog.connection().await?;
    project_merge_settings(&mut connection, project, &sealed).await?;
    catalog.forget(project);
    Ok(())
}

/// Settings as the catalog keeps them.
async fn sealed(
    platform: &Platform,
    project: &ProjectRef,
    settings: &ProjectSettings,
    written: &Value,
) -> anyhow::Result<Map<String, Value>> {
    let catalog = platform.catalog();
    let mut map = match marked(settings)? {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    map.insert(WRITTEN.to_owned(), json!({ MARK: written.to_string() }));
    if let Some(key) = new_saml_key(platform, project, settings).await? {
        map.insert(SAML_KEY.to_owned(), json!({ MARK: key }));
    }
    let Value::Object(sealed) = sealing::seal(catalog.key(), project, Value::Object(map))? else {
        bail!("settings are an object");
    };
    Ok(sealed)
}

/// A key for single sign-on, if the project wants one and has none. It stays when single sign-on is switched off, so
/// that identity providers need not learn another later.
async fn new_saml_key(
    platform: &Platform,
    project: &ProjectRef,
    settings: &ProjectSettings,
) -> anyhow::Result<Option<String>> {
    if !settings.auth.saml.wants_key() {
        return Ok(None);
    }
    let found = platform::projects::show(platform, project.as_str()).await?;
    if found.settings.contains_key(SAML_KEY) {
        return Ok(None);
    }
    Ok(Some(tokio::task::spawn_blocking(auth::new_saml_key).await??))
}

/// The settings as they were written. A project that nobody has configured has the second factors of the platform's
/// own default, which the file's default leaves out.
fn written(platform: &Platform, project: &Project) -> anyhow::Result<Value> {
    match project.settings.get(WRITTEN) {
        Some(sealed) => {
            let text = sealing::open(platform.catalog().key(), &project.reference, sealed);
            let text = text.as_str().context("the stored settings do not open")?;
            Ok(serde_json::from_str(text)?)
        }
        None => {
            Ok(json!({ "auth": { "mfa": { "totp": { "enroll_enabled": true, "verify_enabled": true } } } }))
        }
    }
}

fn changed(mut before: Value, set: &str, unset: &[String]) -> anyhow::Result<Value> {
    let set: toml::Table = set.parse().context("not TOML")?;
    if let Some(name) = set.keys().find(|name| !SECTIONS.contains(&name.as_str())) {
        bail!("{name}: only settings below {} can be changed", SECTIONS.join(" and "));
    }
    merge(&mut before, serde_json::to_value(set)?);
    for name in unset {
        let mut at = Some(&mut before);
        let (path, last) = name.rsplit_once('.').with_context(|| format!("{name}: no such setting"))?;
        for step in path.split('.') {
            at = at.and_then(|value| value.get_mut(step));
        }
        at.and_then(Value::as_object_mut)
            .and_then(|map| map.shift_remove(last))
            .with_context(|| format!("{name} is not set"))?;
    }
    Ok(before)
}

/// Tables grow together, everything else gives way.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// What settings mean, if they mean something: what a file only warns of is an error here.
fn understood(before: &Value, after: &Value) -> anyhow::Result<ProjectConfig> {
    let read = |value: &Value| {
        let table: toml::Table = serde_json::from_value(value.clone())?;
        anyhow::Ok(config::read(table, &|_| None)?)
    };
    let known: HashSet<String> =
        read(before).map(|(_, warnings)| warnings).unwrap_or_default().into_iter().collect();
    let (config, warnings) = read(after)?;
    let news: Vec<String> = warnings.into_iter().filter(|warning| !known.contains(warning)).collect();
    if !news.is_empty() {
        bail!(news.join("\n").replace("unknown, ignored", "there is no such setting"));
    }
    if config.auth.jwt_secret.is_some() || config.auth.signing_keys_path.is_some() {
        bail!("keys are changed with: rowhouse projects keys");
    }
    Ok(config)
}

/// In a shard the functions would be everybody's.
fn refuse_functions(config: &ProjectConfig) -> anyhow::Result<()> {
    match config.auth.hook.functions().first() {
        Some(name) => bail!("auth.hook.{name}.uri: a pooled project has no functions; use a hook by HTTP"),
        None => Ok(()),
    }
}

/// Settings for people to look at: names with dots, and no secret.
fn shown(written: Value, settings: &ProjectSettings) -> Value {
    let mut secrets = HashSet::new();
    if let Ok(all) = marked(settings) {
        gather(&all, &mut secrets);
    }
    let mut shown = flat(&written);
    for value in shown.values_mut() {
        hide(value, &secrets);
    }
    Value::Object(shown)
}

fn gather(value: &Value, secrets: &mut HashSet<String>) {
    match value {
        Value::Object(map) => match map.get(MARK) {
            Some(Value::String(secret)) => drop(secrets.insert(secret.clone())),
            _ => map.values().for_each(|value| gather(value, secrets)),
        },
        Value::Array(items) => items.iter().for_each(|value| gather(value, secrets)),
        _ => {}
    }
}

fn hide(value: &mut Value, secrets: &HashSet<String>) {
    match value {
        Value::String(text) if holds(text, secrets) => HIDDEN.clone_into(text),
        Value::Number(number) if secrets.contains(&number.to_string()) => *value = HIDDEN.into(),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets)),
        _ => {}
    }
}

/// A text may hold several secrets, one after the other.
fn holds(text: &str, secrets: &HashSet<String>) -> bool {
    secrets.contains(text) || text.split(['|', ',']).any(|part| secrets.contains(part))
}

fn flat(value: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    flatten(String::new(), value, &mut out);
    out
}

fn flatten(path: String, value: &Value, out: &mut Map<String, Value>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(path, value, out);
            }
        }
        value => drop(out.insert(path, value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_settings_are_changed_and_taken_back() {
        let before = json!({ "auth": { "site_url": "https://a.dev", "sms": { "max_frequency": "5s" } } });
        let after = changed(
            before,
            "auth.enable_signup = false\nauth.sms.enable_signup = true",
            &["auth.site_url".to_owned()],
        )
        .unwrap();
        assert_eq!(
            after,
            json!({ "auth": { "enable_signup": false, "sms": { "max_frequency": "5s", "enable_signup": true } } })
        );
        let config = understood(&json!({}), &after).unwrap();
        assert!(!config.auth.enable_signup && config.auth.sms.enable_signup);
        assert!(changed(after.clone(), "", &["auth.site_url".to_owned()]).is_err());
        assert!(changed(after, "db.port = 1", &[]).is_err());
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_name() {
        let refused = |set: &str| {
            let after = changed(json!({}), set, &[]).unwrap();
            understood(&json!({}), &after).unwrap_err().to_string()
        };
        assert!(refused("auth.enable_signup = \"perhaps\"").starts_with("auth.enable_signup: expected"));
        assert!(
            refused("auth.enable_singup = true").starts_with("auth.enable_singup: there is no such setting")
        );
        assert!(refused("auth.site_url = \"env(NOPE)\"").starts_with("auth.site_url: "));
        assert!(refused(&format!("auth.jwt_secret = \"{}\"", "x".repeat(32))).contains("projects keys"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let written =
            json!({ "auth": { "sms": { "test_otp": { "4152127777": 123_456 } }, "site_url": "x" } });
        let config = understood(&json!({}), &written).unwrap();
        let shown = shown(written, &ProjectSettings::from_config(&config));
        assert_eq!(shown, json!({ "auth.sms.test_otp.4152127777": "(secret)", "auth.site_url": "x" }));
    }
}
