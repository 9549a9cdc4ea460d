//! Reads a database URL without ever repeating its password.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use cogwheel_engine::ports::StoreError;
use sea_orm::sqlx::postgres::PgConnectOptions;

use super::open_postgres;

/// What a URL names.
#[derive(Clone)]
pub(super) enum Target {
    /// A file.
    Sqlite(PathBuf),
    /// A database of a server.
    Postgres(Box<PgConnectOptions>),
}

impl fmt::Debug for Target {
    /// Without credentials: the driver's own form shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite file `{}`", path.display()),
            Self::Postgres(connect) => f.write_str(&open_postgres::place(connect)),
        }
    }
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        if let Some(rest) = url.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() || path.starts_with(":memory:") || path.contains('?') {
                return Err(unusable(url, "name a file, as in sqlite:data/cogwheel.db"));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            // The parser's own message may repeat parts of the URL, the password among them.
            let options = PgConnectOptions::from_str(url)
                .map_err(|_| unusable(url, "write it as postgres://user:password@host:5432/database"))?;
            return Ok(Self::Postgres(Box::new(options.application_name("cogwheel"))));
        }
        Err(unusable(url, "it must begin with sqlite: or postgres://"))
    }
}

fn unusable(url: &str, advice: &str) -> StoreError {
    StoreError::Unavailable(format!("the database URL `{}` cannot be used: {advice}", redacted(url)))
}

/// The URL with `***` where its password and its parameters stand.
fn redacted(url: &str) -> String {
    let (place, query) = url.split_once('?').map_or((url, ""), |(place, _)| (place, "?***"));
    let hidden = match (place.split_once("://"), place.rsplit_once('@')) {
        (Some((scheme, _)), Some((credentials, host))) => {
            let user = credentials.trim_start_matches(scheme).trim_start_matches("://");
            match user.split_once(':') {
                Some((user, _)) => format!("{scheme}://{user}:***@{host}"),
                None => place.to_owned(),
            }
        }
        _ => place.to_owned(),
    };
    format!("{hidden}{query}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn refusal(url: &str) -> String {
        Target::parse(url).expect_err("refused").to_string()
    }

    #[test]
    fn a_file_is_named_with_or_without_slashes() {
        for (url, path) in [
            ("sqlite:data/cogwheel.db", "data/cogwheel.db"),
            ("sqlite:/var/lib/cogwheel.db", "/var/lib/cogwheel.db"),
            ("sqlite:///var/lib/cogwheel.db", "/var/lib/cogwheel.db"),
        ] {
            assert!(matches!(Target::parse(url), Ok(Target::Sqlite(found)) if found == Path::new(path)), "{url}");
        }
    }

    #[test]
    fn a_password_is_never_repeated() {
        for url in [
            "mysql://root:secret@host/db",
            "postgres://me:sec@ret@host:notaport/db",
            "postgres://me:secret@host:5432/db?sslmode=secret",
            "sqlite:file?key=secret",
        ] {
            let shown = redacted(url);
            assert!(!shown.contains("secret") && !shown.contains("sec@ret"), "{shown}");
        }
        assert!(refusal("mysql://root:secret@host/db").contains("mysql://root:***@host/db"));
        assert!(!refusal("postgres://me:secret@host:notaport/db").contains("secret"));
    }

    #[test]
    fn debugging_shows_no_password() {
        let target = Target::parse("postgres://me:geheim@host/db").expect("a place");
        assert_eq!(format!("{target:?}"), "database `db` at host:5432");
    }

    #[test]
    fn an_unknown_scheme_is_told_what_is_known() {
        assert!(refusal("oracle:db").contains("sqlite: or postgres://"));
        assert!(refusal("sqlite::memory:").contains("name a file"));
    }
}
