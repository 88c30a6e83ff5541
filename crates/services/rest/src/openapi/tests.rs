use super::types::default_of;
use super::*;

#[test]
fn a_comment_has_a_summary_and_the_rest() {
    assert_eq!(summary(None), (None, None));
    assert_eq!(summary(Some("one")), (Some("one"), None));
    assert_eq!(summary(Some("one\n\ntwo\nthree")), (Some("one"), Some("two\nthree")));
}

#[test]
fn only_constants_are_defaults() {
    assert_eq!(default_of("text", "'a'::text"), Some(json!("a")));
    assert_eq!(default_of("integer", "42"), Some(json!(42)));
    assert_eq!(default_of("boolean", "false"), Some(json!(false)));
    assert_eq!(default_of("date", "'1900-01-01'::date"), Some(json!("1900-01-01")));
    assert_eq!(default_of("text", "now()"), None);
    assert_eq!(default_of("integer", "nextval('s')"), None);
}

#[test]
fn the_place_is_the_proxys_if_there_is_one() {
    let of = |uri: Option<&str>| {
        let settings = Settings { openapi_server_proxy_uri: uri.map(str::to_owned), ..Settings::default() };
        let place = Place::of(&settings);
        format!("{} {} {}", place.scheme, place.host, place.path)
    };
    assert_eq!(of(None), "http 0.0.0.0:3000 /");
    assert_eq!(of(Some("https://example.com/rest/v1")), "https example.com:443 /rest/v1");
    assert_eq!(of(Some("http://example.com:8080")), "http example.com:8080 /");
}

#[test]
fn a_pooled_projects_schema_is_shown_by_its_other_name() {
    let aliases = vec![("app_57".to_owned(), "public".to_owned())];
    let settings = Settings { aliases, db_extra_search_path: Vec::new(), ..Settings::default() };
    let shown = |shortened: bool, name: &str| {
        let local = Local::of(&settings, "app_57", shortened);
        format!("{} {}", local.column_type(name), local.argument_type(name))
    };
    assert_eq!(shown(true, "app_57.mood"), "public.mood mood");
    assert_eq!(shown(false, "app_57.mood"), "public.mood public.mood");
    assert_eq!(shown(true, "other.mood"), "other.mood other.mood");
}

#[test]
fn an_empty_schema_is_described() {
    let document =
        document(&SchemaCache::default(), &Settings::default(), "public", Some(&Visible::default()));
    assert_eq!(document["info"]["title"], "PostgREST API");
    assert_eq!(document["paths"].as_object().map(Map::len), Some(1));
}

use serde_json::Map;
