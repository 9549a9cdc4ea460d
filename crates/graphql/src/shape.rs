//! The order of the fields as asked for: fields are resolved side by side, and answers must not show which came first.

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Value};

/// The response keys of a selection in order, each with what is selected below it.
pub(crate) struct Shape(Vec<(Name, Shape)>);

impl Shape {
    /// The shape of an operation whose fragments are known to end.
    pub(crate) fn of(document: &ExecutableDocument, selections: &SelectionSet) -> Self {
        let mut shape = Self(Vec::new());
        shape.add(document, selections);
        shape
    }

    fn add(&mut self, document: &ExecutableDocument, selections: &SelectionSet) {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => {
                    let below = self.below(&field.node.response_key().node);
                    below.add(document, &field.node.selection_set.node);
                }
                Selection::InlineFragment(inline) => self.add(document, &inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                        self.add(document, &fragment.node.selection_set.node);
                    }
                }
            }
        }
    }

    fn below(&mut self, key: &Name) -> &mut Self {
        let at = self.0.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
            self.0.push((key.clone(), Self(Vec::new())));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// Puts the fields of an answer in order.
    pub(crate) fn arrange(&self, value: Value) -> Value {
        // What has nothing selected below it is a scalar, whatever it looks like.
        match value {
            Value::List(items) if !self.0.is_empty() => {
                Value::List(items.into_iter().map(|item| self.arrange(item)).collect())
            }
            Value::Object(mut fields) if !self.0.is_empty() => {
                let known = self.0.iter().filter_map(|(key, below)| {
                    let value = fields.swap_remove(key)?;
                    Some((key.clone(), below.arrange(value)))
                });
                Value::Object(known.collect())
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use async_graphql::value;

    use super::*;

    #[test]
    fn fields_come_in_the_order_of_the_query_through_fragments_and_aliases() {
        let query = "{ a { ...F z } list { y x } ... on Query { last } json a { b } } fragment F on A { d: c b }";
        let document = parse_query(query).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let shape = Shape::of(&document, &operation.node.selection_set.node);
        let data = value!({
            "json": {"q": 1, "p": 2}, "last": 1, "list": [{"x": 1, "y": 2}, null], "a": {"z": 1, "b": 2, "d": 3},
        });
        let arranged = serde_json::to_string(&shape.arrange(data)).unwrap();
        let expected = r#"{"a":{"d":3,"b":2,"z":1},"list":[{"y":2,"x":1},null],"last":1,"json":{"q":1,"p":2}}"#;
        assert_eq!(arranged, expected);
    }
}
