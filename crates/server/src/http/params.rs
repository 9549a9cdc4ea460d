//! The parameters of a GraphQL request, from a body or a query string.

use actix_web::web;
use async_graphql::{Request, Variables};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a request names.
#[derive(Debug, Deserialize)]
pub(crate) struct Params {
    query: String,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    /// No extension is supported; it has to be an object all the same.
    #[serde(rename = "extensions")]
    _extensions: Option<Map<String, Value>>,
}

/// The same in a query string, where objects are JSON texts.
#[derive(Deserialize)]
struct QueryString {
    query: Option<String>,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

impl Params {
    /// Reads a body.
    pub(crate) fn from_json(body: &[u8]) -> Result<Self, String> {
        if body.trim_ascii_start().starts_with(b"[") {
            return Err("several requests at once are not supported; send one object".to_owned());
        }
        serde_json::from_slice(body).map_err(|error| {
            format!("the body is no GraphQL request, {{\"query\": \"…\", \"variables\": {{…}}}}: {error}")
        })
    }

    /// Reads a query string.
    pub(crate) fn from_query(query: &str) -> Result<Self, String> {
        let given = web::Query::<QueryString>::from_query(query)
            .map_err(|error| format!("the query string cannot be read: {error}"))?
            .into_inner();
        let Some(query) = given.query else {
            return Err("the parameter `query` is missing; send GraphQL requests with POST, or queries with \
                        GET /graphql?query=…"
                .to_owned());
        };
        Ok(Self {
            query,
            operation_name: given.operation_name.filter(|name| !name.is_empty()),
            variables: object("variables", given.variables)?,
            _extensions: object("extensions", given.extensions)?,
        })
    }

    /// As the schema takes it.
    pub(crate) fn into_request(self) -> Request {
        let request =
            Request::new(self.query).variables(Variables::from_json(Value::Object(self.variables.unwrap_or_default())));
        match self.operation_name {
            Some(name) => request.operation_name(name),
            None => request,
        }
    }
}

fn object(name: &str, text: Option<String>) -> Result<Option<Map<String, Value>>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    serde_json::from_str(&text).map_err(|error| format!("the parameter `{name}` is no JSON object: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_and_query_strings_read_the_same() {
        let body = br#"{"query": "{a}", "operationName": "A", "variables": {"n": 1}, "extensions": {}}"#;
        let query = "query=%7Ba%7D&operationName=A&variables=%7B%22n%22%3A1%7D&extensions=";
        for params in [Params::from_json(body).unwrap(), Params::from_query(query).unwrap()] {
            let request = params.into_request();
            assert_eq!((request.query.as_str(), request.operation_name.as_deref()), ("{a}", Some("A")));
            assert_eq!(request.variables.len(), 1);
        }
    }

    #[test]
    fn malformed_requests_say_what_is_wrong() {
        for (body, says) in [
            ("", "EOF while parsing"),
            ("{", "EOF while parsing"),
            ("{}", "missing field `query`"),
            (r#"{"query": 1}"#, "expected a string"),
            (r#"{"query": "{a}", "variables": [1]}"#, "expected a map"),
            (r#" [{"query": "{a}"}]"#, "several requests at once"),
        ] {
            let error = Params::from_json(body.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        for (query, says) in
            [("", "`query` is missing"), ("query=%7Ba%7D&variables=x", "the parameter `variables` is no JSON object")]
        {
            let error = Params::from_query(query).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
