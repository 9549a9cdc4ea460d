//! What clients may rely on: the committed schema, and a description of everything in it.

use async_graphql::Request;
use cogwheel_access::Principal;
use serde_json::Value;

use crate::fake::Fake;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema.graphql");

#[test]
fn the_committed_schema_is_the_one_served() {
    let sdl = cogwheel_graphql::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(COMMITTED, &sdl).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == sdl,
        "schema.graphql is not up to date; run `cogwheel schema graphql > schema.graphql` and review the difference"
    );
}

/// Names, descriptions and kinds of everything: types, fields, arguments, input fields, enum values.
async fn items() -> Vec<(&'static str, String, Value)> {
    let query = "{ __schema { types { name kind description
        fields { name description args { name description } }
        inputFields { name description }
        enumValues { name description } } } }";
    let response = Fake::default().schema().execute(Principal::Admin, Request::new(query)).await;
    let data = response.data.into_json().unwrap();
    let name = |item: &Value| item["name"].as_str().unwrap().to_owned();
    let mut items = Vec::new();
    for ty in data["__schema"]["types"].as_array().unwrap() {
        // Types of the GraphQL specification itself are described there.
        if name(ty).starts_with("__") || ["ID", "Int", "Float", "String", "Boolean"].contains(&name(ty).as_str()) {
            continue;
        }
        items.push(("type", name(ty), ty.clone()));
        for kind in ["fields", "inputFields", "enumValues"] {
            for item in ty[kind].as_array().into_iter().flatten() {
                items.push((kind, name(item), item.clone()));
                let args = item["args"].as_array().into_iter().flatten();
                items.extend(args.map(|arg| ("args", name(arg), arg.clone())));
            }
        }
    }
    items
}

#[tokio::test]
async fn everything_has_a_description() {
    let has_text = |item: &Value| item["description"].as_str().is_some_and(|text| !text.trim().is_empty());
    let without: Vec<_> = items().await.into_iter().filter(|(_, _, item)| !has_text(item)).collect();
    assert!(without.is_empty(), "without a description: {without:#?}");
}

#[tokio::test]
async fn names_are_written_as_clients_expect() {
    for (kind, name, _) in items().await {
        let fits = match kind {
            "type" => name.starts_with(char::is_uppercase) && name.chars().all(char::is_alphanumeric),
            "enumValues" => name.chars().all(|c| c.is_ascii_uppercase() || c == '_'),
            _ => name.starts_with(char::is_lowercase) && name.chars().all(char::is_alphanumeric),
        };
        assert!(fits, "{kind}: {name}");
    }
}

/// What GraphQL clients and consoles send first.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { queryType { name } mutationType { name }
    subscriptionType { name } types { ...FullType }
    directives { name description locations args { ...InputValue } } } }
    fragment FullType on __Type { kind name description
      fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
      inputFields { ...InputValue } interfaces { ...TypeRef }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
      ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

#[tokio::test]
async fn the_usual_introspection_query_is_within_the_limits() {
    let data = Fake::default().data(INTROSPECTION).await;
    assert_eq!(data["__schema"]["queryType"]["name"], "Query");
}
