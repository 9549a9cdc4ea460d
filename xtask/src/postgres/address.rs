//! Whether a PostgreSQL answers at an address.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, PartialEq)]
enum Door {
    Tcp(String, u16),
    Socket(PathBuf),
}

/// Connects once to the server of `url`.
pub(super) fn knock(url: &str) -> Result<()> {
    match door(url)? {
        Door::Socket(path) => {
            UnixStream::connect(&path).with_context(|| format!("cannot connect to {}", path.display()))?;
        }
        Door::Tcp(host, port) => {
            let mut last = None;
            let addresses =
                (host.as_str(), port).to_socket_addrs().with_context(|| format!("cannot look up `{host}`"))?;
            for address in addresses {
                match TcpStream::connect_timeout(&address, PATIENCE) {
                    Ok(_) => return Ok(()),
                    Err(error) => last = Some(error),
                }
            }
            match last {
                Some(error) => return Err(error).with_context(|| format!("cannot connect to {host}:{port}")),
                None => bail!("`{host}` has no address"),
            }
        }
    }
    Ok(())
}

fn door(url: &str) -> Result<Door> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .context("a PostgreSQL address starts with postgres://")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let setting = |name: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    let authority = rest.split('/').next().unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, Some(port)),
        None => (place, None),
    };
    let port = port.or_else(|| setting("port").map(|(_, port)| port)).unwrap_or("5432");
    let port = port.parse().with_context(|| format!("`{port}` is no port"))?;
    let host = setting("host").map_or(host, |(_, host)| host).replace("%2F", "/").replace("%2f", "/");
    if host.starts_with('/') {
        return Ok(Door::Socket(PathBuf::from(host).join(format!(".s.PGSQL.{port}"))));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(Door::Tcp(if host.is_empty() { "localhost" } else { host }.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_are_understood() {
        let tcp = |host: &str, port| Door::Tcp(host.to_owned(), port);
        for (url, expected) in [
            ("postgres://me:p%40ss@db.example:5433/x", tcp("db.example", 5433)),
            ("postgresql://localhost/x?sslmode=disable", tcp("localhost", 5432)),
            ("postgres://me@[::1]:6000/x", tcp("::1", 6000)),
            ("postgres://me@[::1]/x", tcp("::1", 5432)),
            ("postgres:///x", tcp("localhost", 5432)),
            ("postgres:///x?host=/run/pg&port=5499", Door::Socket(PathBuf::from("/run/pg/.s.PGSQL.5499"))),
            ("postgres://me@%2Frun%2Fpg/x", Door::Socket(PathBuf::from("/run/pg/.s.PGSQL.5432"))),
        ] {
            assert_eq!(door(url).expect(url), expected, "{url}");
        }
        assert!(door("sqlite://x").is_err());
        assert!(door("postgres://h:port/x").is_err());
    }

    #[test]
    fn a_server_that_is_there_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("postgres://{}/x", listener.local_addr().expect("bound"));
        knock(&url).expect("it listens");
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let refused = knock("postgres://127.0.0.1:1/x").expect_err("nobody listens on port 1").to_string();
        assert_eq!(refused, "cannot connect to 127.0.0.1:1");
        let refused = knock("postgres:///x?host=/nowhere").expect_err("there is no such folder").to_string();
        assert_eq!(refused, "cannot connect to /nowhere/.s.PGSQL.5432");
    }
}
