//! The verdict in words.

use super::facts::{Facts, Policy, Relation, Sample, Trial};
use serde::Serialize;

/// What comes of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Allowed,
    /// It is allowed, and there is nothing for it to see or change.
    Empty,
    /// Refused for want of rights.
    Denied,
    /// It fails for another reason.
    Failed,
}

/// The verdict and its reasons. `command` is what is done with the first relation: `select`, `insert`, …
pub fn verdict(role: &str, command: &str, facts: &Facts, trial: &Trial) -> (Verdict, Vec<String>) {
    let mut reasons = Vec::new();
    match &facts.role {
        None => reasons.push(format!("denied: there is no role {role}")),
        Some(known) if !known.may_be_assumed => {
            reasons.push(format!(
                "denied: the data API may not become {role} (allow it with: grant {role} to authenticator)"
            ));
        }
        Some(_) => {}
    }
    for function in &facts.functions {
        let name = format!("{}.{}({})", function.schema, function.name, function.arguments);
        if !function.schema_usage {
            reasons.push(no_usage(role, &function.schema));
        }
        if !function.execute {
            reasons.push(format!("denied: role {role} has no EXECUTE on {name} (grant it with: grant execute on function {name} to {role})"));
        }
    }
    let mut always_empty = false;
    for (number, relation) in facts.relations.iter().enumerate() {
        let command = if number == 0 && facts.functions.is_empty() { command } else { "select" };
        missing_grants(relation, command, &mut reasons);
        always_empty |= row_security(relation, command, number == 0, &mut reasons);
    }
    let refused = trial.error.as_ref();
    if let Some(error) = refused {
        reasons.push(format!("PostgreSQL says ({}): {}", error.code, error.message));
    }
    let denied = reasons.iter().any(|reason| reason.starts_with("denied: "));
    let verdict = match (refused, trial.rows) {
        (Some(error), _) if error.code == "42501" => Verdict::Denied,
        (Some(_), _) if denied => Verdict::Denied,
        (Some(_), _) => Verdict::Failed,
        (None, Some(0)) => Verdict::Empty,
        (None, Some(_)) => Verdict::Allowed,
        (None, None) if always_empty => Verdict::Empty,
        (None, None) => Verdict::Allowed,
    };
    if let Some(rows) = trial.rows {
        reasons.push(format!("the request itself, carried out and rolled back: {rows} rows"));
    }
    if verdict != Verdict::Denied {
        // PostgreSQL did not mind: what looked missing was not needed, such as rights to columns that nobody asked for.
        for reason in &mut reasons {
            if let Some(rest) = reason.strip_prefix("denied: ") {
                *reason = format!("not needed here: {rest}");
            }
        }
    }
    (verdict, reasons)
}

fn no_usage(role: &str, schema: &str) -> String {
    format!(
        "denied: role {role} has no USAGE on schema {schema} (grant it with: grant usage on schema {schema} to {role})"
    )
}

fn missing_grants(relation: &Relation, command: &str, reasons: &mut Vec<String>) {
    let (role, name) = (&relation.acting_role, relation.shown());
    if !relation.schema_usage && relation.under.is_none() {
        reasons.push(no_usage(role, &relation.schema));
    }
    if relation.grants.get(command).copied().unwrap_or(true) {
        return;
    }
    let word = command.to_uppercase();
    match relation.column_grants.get(command) {
        Some(columns) => reasons
            .push(format!("role {role} has {word} on some columns of {name} only: {}", columns.join(", "))),
        None => reasons.push(format!(
            "denied: role {role} has no {word} on {name} (grant it with: grant {command} on {name} to {role})"
        )),
    }
}

/// What row-level security does; whether it lets nothing through at all.
fn row_security(relation: &Relation, command: &str, is_root: bool, reasons: &mut Vec<String>) -> bool {
    let (role, name) = (&relation.acting_role, relation.shown());
    if relation.rls.enabled && !relation.rls.applies {
        reasons.push(format!(
            "row-level security of {name} is on, but not for role {role}: it owns the table or bypasses it"
        ));
    }
    if !relation.rls.applies {
        return false;
    }
    let concerned: Vec<&Policy> =
        relation.policies.iter().filter(|policy| policy.concerns(command)).collect();
    let word = command.to_uppercase();
    if !concerned.iter().any(|policy| policy.permissive) {
        let effect = if command == "insert" { "every row is refused" } else { "always empty" };
        reasons.push(format!(
            "row-level security of {name} is on and no policy applies to role {role} for {word}: {effect}"
        ));
        return is_root;
    }
    for policy in &concerned {
        let kind = if policy.permissive { "policy" } else { "restrictive policy" };
        let text = match &policy.sample {
            Some(Sample::Rows { rows, passing }) => format!("lets {passing} of {rows} rows through"),
            Some(Sample::Failed { error }) => format!("cannot be evaluated: {error}"),
            None if command == "insert" => {
                format!(
                    "wants of new rows: {}",
                    policy.check.as_ref().or(policy.using.as_ref()).map_or("true", |text| text)
                )
            }
            None => "applies".to_owned(),
        };
        reasons.push(format!("{kind} \"{}\" of {name} {text}", policy.name));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Refusal, Role};
    use super::*;

    fn facts() -> Facts {
        let relation = serde_json::json!({
            "schema": "public", "name": "todos", "kind": "table", "under": null, "acting_role": "anon",
            "owner": "postgres", "rls": { "enabled": false, "forced": false, "applies": false },
            "schema_usage": true, "grants": { "select": true, "insert": true, "update": true, "delete": true },
            "column_grants": {}, "policies": [],
        });
        let role = Role { name: "anon".into(), may_be_assumed: true, superuser: false, bypasses_rls: false };
        let relation = serde_json::from_value(relation).unwrap();
        Facts { role: Some(role), relations: vec![relation], functions: Vec::new() }
    }

    fn refused(code: &str) -> Trial {
        let error = Refusal {
            code: code.into(),
            message: "no".into(),
            details: None,
            hint: None,
            during: "statement",
        };
        Trial { error: Some(error), ..Trial::default() }
    }

    fn rows(rows: i64) -> Trial {
        Trial { rows: Some(rows), ..Trial::default() }
    }

    #[test]
    fn a_missing_grant_is_named_with_its_remedy() {
        let mut facts = facts();
        facts.relations[0].grants.insert("select".into(), false);
        let (verdict, reasons) = verdict("anon", "select", &facts, &refused("42501"));
        assert_eq!(verdict, Verdict::Denied);
        assert_eq!(
            reasons[0],
            "denied: role anon has no SELECT on public.todos (grant it with: grant select on public.todos to anon)"
        );
    }

    #[test]
    fn no_policy_means_always_empty() {
        let mut facts = facts();
        facts.relations[0].rls.applies = true;
        let (found, reasons) = verdict("anon", "select", &facts, &rows(0));
        assert_eq!(found, Verdict::Empty);
        assert!(
            reasons[0].ends_with("no policy applies to role anon for SELECT: always empty"),
            "{reasons:?}"
        );
        let (found, reasons) = verdict("anon", "insert", &facts, &refused("42501"));
        assert_eq!(found, Verdict::Denied);
        assert!(reasons[0].ends_with("every row is refused"), "{reasons:?}");
    }

    #[test]
    fn what_postgresql_says_counts_most() {
        let mut facts = facts();
        assert_eq!(verdict("anon", "select", &facts, &rows(3)).0, Verdict::Allowed);
        assert_eq!(verdict("anon", "select", &facts, &refused("22P02")).0, Verdict::Failed);
        assert_eq!(verdict("anon", "select", &facts, &refused("42501")).0, Verdict::Denied);
        facts.relations[0].grants.insert("select".into(), false);
        let (found, reasons) = verdict("anon", "select", &facts, &rows(1));
        assert_eq!(found, Verdict::Allowed);
        assert!(reasons[0].starts_with("not needed here: "), "{reasons:?}");
        facts.role = None;
        assert_eq!(verdict("nobody", "select", &facts, &refused("22023")).0, Verdict::Denied);
    }
}
