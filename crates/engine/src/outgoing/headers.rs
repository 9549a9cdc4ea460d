//! The headers that a webhook adds to its messages. Their values may name secrets, and are opened when a message is sent.

use serde_json::{Map, Value};

/// How many there may be.
const MOST: usize = 20;

/// The longest value, in bytes.
const LONGEST_VALUE: usize = 4096;

/// What follows from the message, or from how it is sent.
const FORBIDDEN: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// What every name that is ours, or the proxy's, begins with.
const FORBIDDEN_PREFIXES: [&str; 3] = ["webhook-", "cogwheel-", "proxy-"];

/// What carries credentials, so that its value must be a secret.
const CONFIDENTIAL: [&str; 6] = ["api-key", "authorization", "cookie", "x-api-key", "x-auth-token", "x-api-token"];

/// A piece of a value.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Secret(&'t str),
}

/// Headers as they are kept: an object of texts, by names in lower case.
///
/// # Errors
///
/// The name of the wrong one, and what is wrong with it.
pub(super) fn check(given: &[(String, String)]) -> Result<Value, (String, String)> {
    let mut kept = Map::new();
    for (name, value) in given {
        let wrong = |why: &str| Err((name.clone(), why.to_owned()));
        let lower = name.to_ascii_lowercase();
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if lower.is_empty() || lower.len() > 100 || !lower.chars().all(is_token) {
            return wrong("is no name of a header");
        }
        if FORBIDDEN.contains(&lower.as_str()) || FORBIDDEN_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
            return wrong("is set by the server");
        }
        if value.len() > LONGEST_VALUE {
            return wrong("is longer than 4096 bytes");
        }
        if !value.chars().all(|c| c == '\t' || c == ' ' || c.is_ascii_graphic()) {
            return wrong("has a character in it that no header can have");
        }
        let pieces = pieces(value).map_err(|why| (name.clone(), why))?;
        let has_secret = pieces.iter().any(|piece| matches!(piece, Piece::Secret(_)));
        if CONFIDENTIAL.contains(&lower.as_str()) && !has_secret {
            return wrong("is confidential: set a secret and write `${{ secrets.NAME }}` in its place");
        }
        if kept.insert(lower, Value::String(value.clone())).is_some() {
            return wrong("is there twice");
        }
    }
    if kept.len() > MOST {
        return Err((String::new(), format!("there are more than {MOST} headers")));
    }
    Ok(Value::Object(kept))
}

/// The headers with what their secrets are.
///
/// # Errors
///
/// Why a value cannot be had.
pub(super) async fn opened<F: Future<Output = Result<String, String>>>(
    kept: &Value,
    secret: impl Fn(String) -> F,
) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    for (name, value) in kept.as_object().into_iter().flatten() {
        let mut text = String::new();
        for piece in pieces(value.as_str().unwrap_or_default())? {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Secret(name) => text.push_str(&secret(name.to_owned()).await?),
            }
        }
        if !text.chars().all(|c| c == '\t' || c == ' ' || c.is_ascii_graphic()) {
            return Err(format!("the secret in the header `{name}` has a character in it that no header can have"));
        }
        headers.push((name.clone(), text));
    }
    Ok(headers)
}

/// `Bearer ${{ secrets.TOKEN }}` as text and the name of a secret.
fn pieces(value: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${{") {
        let (inner, after) = after.split_once("}}").ok_or("has an expression in it that is not closed by `}}`")?;
        let name = inner.trim().strip_prefix("secrets.").filter(|name| is_name(name));
        let name = name.ok_or("has an expression in it that is not `${{ secrets.NAME }}`")?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Secret(name));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(name: &str, value: &str) -> Result<Value, String> {
        check(&[(name.to_owned(), value.to_owned())]).map_err(|(_, why)| why)
    }

    #[test]
    fn headers_are_kept_by_their_lower_names() {
        assert_eq!(one("X-Team", "data"), Ok(json!({"x-team": "data"})));
        let bearer = "Bearer ${{ secrets.SHOP_TOKEN }}";
        assert_eq!(one("Authorization", bearer), Ok(json!({ "authorization": bearer })));
        let twice = [("a".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())];
        assert_eq!(check(&twice).unwrap_err().1, "is there twice");
        let many: Vec<_> = (0..21).map(|n| (format!("x-{n}"), String::new())).collect();
        assert!(check(&many).is_err());
    }

    #[test]
    fn what_is_ours_or_dangerous_is_refused() {
        for name in ["Host", "content-length", "Webhook-Id", "cogwheel-x", "Proxy-Authorization", "connection"] {
            assert_eq!(one(name, "x"), Err("is set by the server".to_owned()), "{name}");
        }
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("é", "x"),
            ("x", "a\r\nb: c"),
            ("x", "a\0"),
            ("x", "ü"),
            ("authorization", "Bearer plain"),
            ("cookie", "a=b"),
            ("x", "${{ secrets.A"),
            ("x", "${{ inputs.a }}"),
            ("x", "${{ secrets. }}"),
            ("x", &"y".repeat(4097)),
        ] {
            assert!(one(name, value).is_err(), "{name}: {value}");
        }
    }

    #[tokio::test]
    async fn secrets_are_opened_where_they_stand() {
        let kept = json!({"authorization": "Bearer ${{ secrets.A }}.${{secrets.B}}!", "x-team": "data"});
        let known = |name: String| async move {
            if name == "GONE" { Err("nobody has set it".to_owned()) } else { Ok(name.to_lowercase()) }
        };
        let headers = opened(&kept, known).await.unwrap();
        let expected = [("authorization", "Bearer a.b!"), ("x-team", "data")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(opened(&json!({"x": "${{ secrets.GONE }}"}), known).await.is_err());
        let bad = |_: String| async { Ok("a\r\nb".to_owned()) };
        assert!(opened(&json!({"x": "${{ secrets.A }}"}), bad).await.unwrap_err().contains("no header"));
    }
}
