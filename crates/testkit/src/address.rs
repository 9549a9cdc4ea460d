//! Where the PostgreSQL for tests is.

use std::env;

const POSTGRES_URL: &str = "COGWHEEL_TEST_POSTGRES_URL";

/// A database whose role may create others.
///
/// # Panics
///
/// When none is named: a test that needs PostgreSQL never passes without it.
pub(crate) fn server() -> String {
    env::var(POSTGRES_URL).ok().filter(|url| !url.is_empty()).unwrap_or_else(|| {
        panic!(
            "{POSTGRES_URL} is not set: run `cargo xtask test`, which brings a PostgreSQL, or set it to the address of \
             one whose role may create databases"
        )
    })
}

/// The same server, another database.
pub(crate) fn with_database(url: &str, name: &str) -> String {
    let (place, query) = url.split_once('?').map_or((url, None), |(place, query)| (place, Some(query)));
    let authority = place.find("://").map_or(0, |at| at + 3);
    let end = place[authority..].find('/').map_or(place.len(), |at| authority + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &place[..end])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_of_an_address_is_replaced() {
        for (url, expected) in [
            ("postgres://me:pw@host:5433/postgres", "postgres://me:pw@host:5433/mine"),
            ("postgres://host", "postgres://host/mine"),
            ("postgres://me@host?host=/run/pg", "postgres://me@host/mine?host=/run/pg"),
            ("postgres://host/?sslmode=disable", "postgres://host/mine?sslmode=disable"),
            ("postgres:///x?host=/run/pg&port=5499", "postgres:///mine?host=/run/pg&port=5499"),
        ] {
            assert_eq!(with_database(url, "mine"), expected);
        }
    }
}
