//! Who may depend on whom, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use crate::process::{cargo, output};

/// Floors of the house, lowest first. A crate depends on its own floor and those below.
const FLOORS: [&str; 4] = ["ground", "works", "services", "house"];

/// Crates that only one of ours may name, and who.
const RESERVED: [(&str, &[&str]); 4] = [
    ("tokio-postgres", &["pg"]),
    ("postgres-protocol", &["pg", "pgwire"]),
    ("postgres-types", &["pg"]),
    ("anyhow", &["rowhouse", "xtask", "testkit"]),
];

/// What the ground floor's tree may not contain.
const NOT_ON_GROUND: [&str; 5] = ["tokio", "hyper", "axum", "async-std", "mio"];

struct Member {
    name: String,
    floor: String,
    /// Direct dependencies, development ones left out.
    direct: BTreeSet<String>,
    development: BTreeSet<String>,
    id: String,
}

pub fn check() -> Result<Vec<Finding>> {
    let text = output(cargo().args(["metadata", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let members = members(&metadata)?;
    let tree = normal_tree(&metadata)?;
    let mut findings = Vec::new();
    for member in &members {
        check_reserved(member, &mut findings);
        check_floors(member, &members, &mut findings);
        if member.floor == "ground" {
            for banned in reachable(&tree, &member.id).iter().filter(|n| NOT_ON_GROUND.contains(&n.as_str()))
            {
                findings.push(Finding::new(
                    &member.name,
                    format!("the ground floor is pure: {banned} is in its tree"),
                ));
            }
        }
    }
    Ok(findings)
}

fn check_reserved(member: &Member, findings: &mut Vec<Finding>) {
    for (reserved, owners) in RESERVED {
        let tests_may = reserved == "anyhow";
        let named = member.direct.contains(reserved) || (member.development.contains(reserved) && !tests_may);
        if named && !owners.contains(&member.name.as_str()) {
            findings
                .push(Finding::new(&member.name, format!("only {} may name {reserved}", owners.join(", "))));
        }
    }
}

fn check_floors(member: &Member, members: &[Member], findings: &mut Vec<Finding>) {
    let level = |floor: &str| FLOORS.iter().position(|f| *f == floor);
    for other in members.iter().filter(|m| member.direct.contains(&m.name)) {
        let message = match (member.floor.as_str(), other.floor.as_str()) {
            ("dev", _) => continue,
            (_, "dev") => format!("{} is for tests: make it a development dependency", other.name),
            ("services", "services") => format!("services never import each other ({})", other.name),
            ("services", _) if other.name == "catalog" => {
                "services are given a resolved project: no dependency on catalog".to_owned()
            }
            (mine, theirs) if level(theirs) > level(mine) => {
                format!("a crate of {mine} may not depend on {} of {theirs}, a higher floor", other.name)
            }
            _ => continue,
        };
        findings.push(Finding::new(&member.name, message));
    }
}

fn members(metadata: &Value) -> Result<Vec<Member>> {
    let ids: BTreeSet<&str> = strings(&metadata["workspace_members"]).collect();
    let packages = metadata["packages"].as_array().context("no packages")?;
    let ours = packages.iter().filter(|p| p["id"].as_str().is_some_and(|id| ids.contains(id)));
    Ok(ours
        .map(|package| {
            let name_of = |development: bool| {
                let dependencies = package["dependencies"].as_array().into_iter().flatten();
                dependencies
                    .filter(|d| (d["kind"].as_str() == Some("dev")) == development)
                    .filter_map(|d| d["name"].as_str().map(str::to_owned))
                    .collect()
            };
            let manifest = package["manifest_path"].as_str().unwrap_or_default();
            let floor = manifest.split("/crates/").nth(1).and_then(|rest| rest.split('/').next());
            Member {
                name: package["name"].as_str().unwrap_or_default().to_owned(),
                floor: floor.unwrap_or_default().to_owned(),
                direct: name_of(false),
                development: name_of(true),
                id: package["id"].as_str().unwrap_or_default().to_owned(),
            }
        })
        .collect())
}

/// Package id → (name, ids of its dependencies at run time).
type Tree = BTreeMap<String, (String, Vec<String>)>;

fn normal_tree(metadata: &Value) -> Result<Tree> {
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .context("no packages")?
        .iter()
        .filter_map(|p| Some((p["id"].as_str()?, p["name"].as_str()?)))
        .collect();
    let nodes = metadata["resolve"]["nodes"].as_array().context("no resolve graph")?;
    Ok(nodes
        .iter()
        .filter_map(|node| {
            let id = node["id"].as_str()?;
            let normal = node["deps"].as_array()?.iter().filter(|dep| {
                dep["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"].is_null())
            });
            let next = normal.filter_map(|dep| dep["pkg"].as_str().map(str::to_owned)).collect();
            Some((id.to_owned(), (names.get(id).copied().unwrap_or_default().to_owned(), next)))
        })
        .collect())
}

fn reachable(tree: &Tree, from: &str) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    let mut names = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Some((name, next)) = tree.get(id) {
            names.insert(name.clone());
            open.extend(next.iter().map(String::as_str));
        }
    }
    names
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, floor: &str, direct: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            floor: floor.to_owned(),
            direct: direct.iter().map(|d| (*d).to_owned()).collect(),
            development: BTreeSet::new(),
            id: name.to_owned(),
        }
    }

    fn findings_of(members: &[Member]) -> Vec<String> {
        let mut findings = Vec::new();
        for member in members {
            check_reserved(member, &mut findings);
            check_floors(member, members, &mut findings);
        }
        findings.into_iter().map(|f| f.place).collect()
    }

    #[test]
    fn the_house_stands() {
        let members = [
            member("sql", "ground", &[]),
            member("pg", "works", &["sql", "postgres-protocol"]),
            member("catalog", "works", &["pg"]),
            member("rest", "services", &["pg", "sql"]),
            member("rowhouse", "house", &["rest", "catalog", "anyhow"]),
        ];
        assert_eq!(findings_of(&members), Vec::<String>::new());
    }

    #[test]
    fn broken_floors_are_found() {
        let members = [
            member("sql", "ground", &["pg"]),
            member("pg", "works", &[]),
            member("catalog", "works", &["tokio-postgres"]),
            member("auth", "services", &["rest", "catalog"]),
            member("rest", "services", &["testkit"]),
            member("testkit", "dev", &["auth"]),
        ];
        assert_eq!(findings_of(&members), ["sql", "catalog", "auth", "auth", "rest"]);
    }
}
