use super::*;
use crate::schema::definition::Origin;

fn column(number: i16, name: &str) -> KeyColumn {
    KeyColumn { number, name: name.into() }
}

fn key(name: &str, columns: &[(i16, &str)], kind: KeyKind) -> Key {
    Key {
        name: name.into(),
        columns: columns.iter().map(|(number, name)| column(*number, name)).collect(),
        kind,
    }
}

fn foreign(relation: u32, columns: &[(i16, &str)]) -> KeyKind {
    KeyKind::Foreign {
        relation,
        columns: columns.iter().map(|(number, name)| column(*number, name)).collect(),
    }
}

fn table(id: u32, schema: &str, name: &str, keys: Vec<Key>) -> KeyedRelation {
    KeyedRelation { id, name: Name::new(schema, name), is_view: false, keys, origins: Vec::new() }
}

fn view(id: u32, name: &str, origins: &[(i16, u32, i16)]) -> KeyedRelation {
    let origins = origins
        .iter()
        .map(|(column, relation, relation_column)| Origin {
            column: *column,
            relation: *relation,
            relation_column: *relation_column,
        })
        .collect();
    KeyedRelation { id, name: Name::new("api", name), is_view: true, keys: Vec::new(), origins }
}

fn primary() -> Key {
    key("pk", &[(1, "id")], KeyKind::Primary)
}

/// Deduces, and shows the relationships of `api` as `origin target kind(columns)`.
fn check(relations: Vec<KeyedRelation>, views: &[(u32, &[&str])], expected: &[&str]) -> Deduced {
    let exposed = relations.iter().filter(|item| &*item.name.schema == "api").map(|item| item.id).collect();
    let views = views
        .iter()
        .map(|(id, columns)| (*id, (1i16..).zip(columns.iter().map(|name| Arc::from(*name))).collect()))
        .collect();
    let deduced =
        deduce(Known { relations: &relations, exposed: &exposed, views: &views, computed: Vec::new() });
    let mut shown: Vec<String> =
        deduced.relationships.values().flat_map(HashMap::values).flatten().map(|item| show(item)).collect();
    shown.sort();
    assert_eq!(shown, expected);
    deduced
}

fn show(item: &Relationship) -> String {
    let columns = |pairs: &[ColumnPair]| {
        pairs.iter().map(|pair| format!("{}={}", pair.source, pair.target)).collect::<Vec<_>>().join(",")
    };
    let kind = match &item.kind {
        RelationshipKind::ManyToOne { columns: pairs, .. } => format!("m2o({})", columns(pairs)),
        RelationshipKind::OneToMany { columns: pairs, .. } => format!("o2m({})", columns(pairs)),
        RelationshipKind::OneToOne { columns: pairs, is_parent, .. } => {
            format!("o2o({},{is_parent})", columns(pairs))
        }
        RelationshipKind::ManyToMany(junction) => format!(
            "m2m({}: {} {})",
            junction.table.name,
            columns(&junction.source_columns),
            columns(&junction.target_columns)
        ),
        RelationshipKind::Computed { function, .. } => format!("computed({})", function.name),
    };
    format!("{} {} {kind}", item.table.name, item.foreign_table.name)
}

#[test]
fn a_foreign_key_leads_both_ways() {
    let tasks =
        table(2, "api", "tasks", vec![primary(), key("fk", &[(2, "project_id")], foreign(1, &[(1, "id")]))]);
    check(
        vec![table(1, "api", "projects", vec![primary()]), tasks],
        &[],
        &["projects tasks o2m(id=project_id)", "tasks projects m2o(project_id=id)"],
    );
}

#[test]
fn a_unique_foreign_key_is_one_to_one() {
    let country = table(1, "api", "country", vec![primary()]);
    let keys = vec![
        key("u", &[(2, "country_id")], KeyKind::Unique),
        key("fk", &[(2, "country_id")], foreign(1, &[(1, "id")])),
    ];
    check(
        vec![country, table(2, "api", "capital", keys)],
        &[],
        &["capital country o2o(country_id=id,false)", "country capital o2o(id=country_id,true)"],
    );
}

fn junction() -> Vec<KeyedRelation> {
    let keys = vec![
        key("pk", &[(1, "user_id"), (2, "task_id")], KeyKind::Primary),
        key("fk_task", &[(2, "task_id")], foreign(2, &[(1, "id")])),
        key("fk_user", &[(1, "user_id")], foreign(1, &[(1, "id")])),
    ];
    vec![
        table(1, "api", "users", vec![primary()]),
        table(2, "api", "tasks", vec![primary()]),
        table(3, "api", "users_tasks", keys),
    ]
}

#[test]
fn a_junction_makes_many_to_many() {
    check(
        junction(),
        &[],
        &[
            "tasks users m2m(users_tasks: id=task_id id=user_id)",
            "tasks users_tasks o2m(id=task_id)",
            "users tasks m2m(users_tasks: id=user_id id=task_id)",
            "users users_tasks o2m(id=user_id)",
            "users_tasks tasks m2o(task_id=id)",
            "users_tasks users m2o(user_id=id)",
        ],
    );
}

#[test]
fn a_junction_needs_both_keys_in_its_primary_key() {
    let mut relations = junction();
    relations[2].keys[0] = key("pk", &[(3, "id")], KeyKind::Primary);
    check(
        relations,
        &[],
        &[
            "tasks users_tasks o2m(id=task_id)",
            "users users_tasks o2m(id=user_id)",
            "users_tasks tasks m2o(task_id=id)",
            "users_tasks users m2o(user_id=id)",
        ],
    );
}

#[test]
fn views_stand_for_tables_that_are_not_exposed() {
    let actors = table(1, "private", "actors", vec![primary()]);
    let roles = table(
        2,
        "private",
        "roles",
        vec![primary(), key("fk", &[(2, "actor_id")], foreign(1, &[(1, "id")]))],
    );
    let deduced = check(
        vec![actors, roles, view(3, "actors", &[(1, 1, 1)]), view(4, "roles", &[(1, 2, 1), (2, 2, 2)])],
        &[(3, &["actor"]), (4, &["role", "whose"])],
        &["actors roles o2m(actor=whose)", "roles actors m2o(whose=actor)"],
    );
    assert_eq!(deduced.view_primary_keys[&3], ["actor".into()]);
}

#[test]
fn views_of_views_are_traced_and_repeated_columns_count_each() {
    let a = table(1, "api", "a", vec![primary()]);
    let b = table(2, "private", "b", vec![key("fk", &[(1, "a_id")], foreign(1, &[(1, "id")]))]);
    check(
        vec![a, b, view(3, "inner", &[(1, 2, 1)]), view(4, "outer", &[(1, 3, 1), (2, 3, 1)])],
        &[(3, &["x"]), (4, &["y", "z"])],
        &[
            "a inner o2m(id=x)",
            "a outer o2m(id=y)",
            "a outer o2m(id=z)",
            "inner a m2o(x=id)",
            "outer a m2o(y=id)",
            "outer a m2o(z=id)",
        ],
    );
}

#[test]
fn a_key_shown_in_part_does_not_count() {
    let a = table(1, "api", "a", vec![key("pk", &[(1, "x"), (2, "y")], KeyKind::Primary)]);
    let deduced = check(vec![a, view(2, "v", &[(1, 1, 1)])], &[(2, &["x"])], &[]);
    assert!(deduced.view_primary_keys[&2].is_empty());
}

#[test]
fn a_view_that_leads_to_itself_ends() {
    check(vec![view(1, "v", &[(1, 2, 1)]), view(2, "w", &[(1, 1, 1)])], &[(1, &["x"]), (2, &["x"])], &[]);
}

#[test]
fn other_schemas_are_out_of_reach() {
    let a = table(1, "api", "a", vec![primary()]);
    let b = table(2, "private", "b", vec![key("fk", &[(1, "a_id")], foreign(1, &[(1, "id")]))]);
    check(vec![a, b], &[], &[]);
}

#[test]
fn a_computed_relationship_replaces_the_deduced_one_of_its_name() {
    let tasks = table(2, "api", "tasks", vec![key("fk", &[(1, "project_id")], foreign(1, &[(1, "id")]))]);
    let relations = vec![table(1, "api", "projects", vec![primary()]), tasks];
    let computed = Computed {
        function: Name::new("api", "projects"),
        table: Name::new("api", "tasks"),
        foreign_table: Name::new("api", "projects"),
        to_one: true,
    };
    let known = Known {
        relations: &relations,
        exposed: &HashSet::from([1, 2]),
        views: &HashMap::new(),
        computed: vec![computed],
    };
    let deduced = deduce(known);
    let shown: Vec<String> = deduced.relationships["api"]["tasks"].iter().map(|item| show(item)).collect();
    assert_eq!(shown, ["tasks projects computed(projects)"]);
}
