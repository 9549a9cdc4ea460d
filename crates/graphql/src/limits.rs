//! How much one request may ask for, checked before anything is executed.

use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Positioned, Response, ServerError};

use crate::cursor::{DEFAULT_PAGE, MAX_PAGE};
use crate::errors::{ErrorCode, refusal};

/// Brackets inside brackets that the parser is given; it needs stack for each.
const MAX_NESTING: usize = 128;

/// What a list costs beside its rows: it is a query of its own.
const LIST_COST: usize = 100;

/// What one request may ask for, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Fields inside fields.
    pub depth: usize,
    /// Selected fields, where each field in a list counts as often as the list may have rows.
    pub complexity: usize,
    /// Selected fields and fragments as written, with every fragment counted where it is used.
    pub selections: usize,
    /// Directives on one field.
    pub directives: usize,
    /// Whether clients may read the schema itself.
    pub introspection: bool,
}

impl Default for Limits {
    /// Depth 20 (the usual introspection query needs 15), complexity 200 000, 5 000 selections, 4 directives.
    fn default() -> Self {
        Self { depth: 20, complexity: 200_000, selections: 5_000, directives: 4, introspection: true }
    }
}

impl Limits {
    /// Refuses a text that would overflow the parser.
    pub(crate) fn check_text(query: &str) -> Result<(), Box<Response>> {
        if nesting(query) > MAX_NESTING {
            return Err(over(format!("the document is over the limit of {MAX_NESTING} brackets inside brackets")));
        }
        Ok(())
    }

    /// Refuses a document that asks for too much, whatever it costs to find out.
    pub(crate) fn check(&self, document: &ExecutableDocument) -> Result<(), Box<Response>> {
        let mut walk = Walk { limits: self, document, selections: 0 };
        for (_, operation) in document.operations.iter() {
            walk.selection_set(&operation.node.selection_set.node, 1, 0)?;
        }
        Ok(())
    }

    /// Puts the limit's name and value where the GraphQL library only says that the query is too complex.
    pub(crate) fn name(&self, mut response: Response) -> Response {
        if response.errors.iter().any(|error| error.message == "Query is too complex.") {
            response = *over(format!(
                "the query is over the complexity limit of {}; each field in a list counts as often as its page may \
                 have rows, so ask for smaller pages or fewer fields",
                self.complexity
            ));
        }
        response
    }
}

/// What a connection's page costs.
pub(crate) fn page_cost(first: Option<i32>, last: Option<i32>, row: usize) -> usize {
    let asked = first.or(last).map_or(DEFAULT_PAGE, |asked| u32::try_from(asked).unwrap_or(0));
    list_cost(asked.min(MAX_PAGE) as usize, row)
}

/// What a list of so many rows costs.
pub(crate) fn list_cost(rows: usize, row: usize) -> usize {
    LIST_COST.saturating_add(rows.saturating_mul(row))
}

fn over(message: String) -> Box<Response> {
    Box::new(refusal(ErrorCode::TooComplex, message))
}

/// The way through a document, with its fragments where they are used.
struct Walk<'a> {
    limits: &'a Limits,
    document: &'a ExecutableDocument,
    selections: usize,
}

impl Walk<'_> {
    /// `depth` counts fields, `fragments` the fragments on the way here: a cycle of them comes to the limit, too.
    fn selection_set(&mut self, set: &SelectionSet, depth: usize, fragments: usize) -> Result<(), Box<Response>> {
        if !set.items.is_empty() && depth + fragments > self.limits.depth {
            return Err(over(format!(
                "the query is over the depth limit of {} fields inside fields",
                self.limits.depth
            )));
        }
        for Positioned { node, .. } in &set.items {
            self.selections += 1;
            if self.selections > self.limits.selections {
                let limit = self.limits.selections;
                return Err(over(format!("the query is over the limit of {limit} selected fields, aliases included")));
            }
            match node {
                Selection::Field(field) => {
                    self.directives(field)?;
                    self.selection_set(&field.node.selection_set.node, depth + 1, fragments)?;
                }
                Selection::InlineFragment(inline) => {
                    self.selection_set(&inline.node.selection_set.node, depth, fragments + 1)?;
                }
                Selection::FragmentSpread(spread) => {
                    // An unknown fragment is the validator's business.
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                        self.selection_set(&fragment.node.selection_set.node, depth, fragments + 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn directives(&self, field: &Positioned<Field>) -> Result<(), Box<Response>> {
        if field.node.directives.len() <= self.limits.directives {
            return Ok(());
        }
        let limit = self.limits.directives;
        let message = format!("field `{}` is over the limit of {limit} directives", field.node.name.node);
        let mut response = over(message.clone());
        let extensions = response.errors.pop().and_then(|error| error.extensions);
        let mut error = ServerError::new(message, Some(field.pos));
        error.extensions = extensions;
        response.errors.push(error);
        Err(response)
    }
}

/// How deep the brackets of a document go, those in strings and comments left out.
fn nesting(query: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = query;
    while let Some(at) = rest.find(['{', '[', '(', '}', ']', ')', '"', '#']) {
        let found = &rest[at..];
        rest = &found[1..];
        match found.as_bytes()[0] {
            b'{' | b'[' | b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'"' => rest = after_string(found),
            b'#' => rest = rest.find(['\n', '\r']).map_or("", |end| &rest[end..]),
            _ => depth = depth.saturating_sub(1),
        }
    }
    deepest
}

/// What follows the string that `text` begins with.
fn after_string(text: &str) -> &str {
    let quote = if text.starts_with("\"\"\"") { "\"\"\"" } else { "\"" };
    let mut rest = &text[quote.len()..];
    while let Some(at) = rest.find(['"', '\\']) {
        let found = &rest[at..];
        if let Some(after) = found.strip_prefix(quote) {
            return after;
        }
        let step = 1 + usize::from(found.starts_with('\\')) * found[1..].chars().next().map_or(0, char::len_utf8);
        rest = &found[step..];
    }
    ""
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn refused(query: &str) -> Option<String> {
        let limits = Limits::default();
        let result = Limits::check_text(query).and_then(|()| limits.check(&parse_query(query).unwrap()));
        result.err().map(|mut response| response.errors.remove(0).message)
    }

    #[test]
    fn an_ordinary_query_passes() {
        assert_eq!(refused("{ viewer { kind } workflows(first: 5) { nodes { name } } }"), None);
    }

    #[test]
    fn depth_counts_fields_and_the_fragments_on_the_way() {
        let deep = format!("{}id{}", "{ a ".repeat(30), "}".repeat(30)).replace("a id", "id");
        assert!(refused(&deep).unwrap().contains("depth limit of 20"));
        assert!(refused("{ ...A } fragment A on Query { ...A }").unwrap().contains("depth limit of 20"));
    }

    #[test]
    fn a_fragment_bomb_is_refused_without_unfolding_it() {
        let fragment = |i: usize| format!("fragment F{i} on Query {{ ...F{n} ...F{n} ...F{n} }}", n = i + 1);
        let fragments = (0..17).map(fragment).collect::<Vec<_>>().join(" ");
        let query = format!("{{ ...F0 }} {fragments} fragment F17 on Query {{ viewer {{ kind }} }}");
        assert!(refused(&query).unwrap().contains("limit of 5000 selected fields"));
    }

    #[test]
    fn aliases_and_directives_are_counted() {
        let aliases = (0..6_000).map(|i| format!("a{i}: viewer {{ kind }}")).collect::<Vec<_>>().join(" ");
        assert!(refused(&format!("{{ {aliases} }}")).unwrap().contains("limit of 5000 selected fields"));
        let directives = "@include(if: true) ".repeat(5);
        assert!(refused(&format!("{{ viewer {directives} {{ kind }} }}")).unwrap().contains("limit of 4 directives"));
    }

    #[test]
    fn brackets_are_counted_outside_strings_and_comments_only() {
        assert_eq!(nesting("{a(b: [{c: 1}])}"), 4);
        assert_eq!(nesting("{a(b: \"[[[[\\\"[[\") } # {{{{\n{"), 2);
        assert_eq!(nesting("{a(b: \"\"\"[[ \" [[ \\\"\"\" [[\"\"\")}"), 2);
        assert!(refused(&"{a".repeat(300_000)).unwrap().contains("limit of 128 brackets"));
        assert!(refused(&format!("{{a(b: {}", "[".repeat(300_000))).unwrap().contains("limit of 128 brackets"));
    }

    #[test]
    fn a_page_costs_its_rows_and_never_more_than_the_largest_page() {
        assert_eq!(page_cost(None, None, 3), 100 + 150);
        assert_eq!(page_cost(Some(10), None, 3), 100 + 30);
        assert_eq!(page_cost(None, Some(7), 1), 107);
        assert_eq!(page_cost(Some(i32::MAX), None, 3), 100 + 300);
        assert_eq!(page_cost(Some(-5), None, 3), 100);
    }
}
