//! A line to the database that a test can cut.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Stands between a server and its PostgreSQL.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    upstream: String,
    line: Arc<Mutex<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    is_cut: bool,
    /// Both ends of every connection.
    open: Vec<TcpStream>,
}

impl Proxy {
    /// Listens for connections to the database of `url`.
    ///
    /// # Panics
    ///
    /// When `url` does not name a host.
    pub fn to(url: &str) -> Self {
        let (before, rest) = url.rsplit_once('@').expect("the URL of the test database names a user");
        let (place, database) = rest.split_once('/').expect("it names a database");
        let place = if place.contains(':') { place.to_owned() } else { format!("{place}:5432") };
        let upstream = place.to_socket_addrs().ok().and_then(|mut found| found.next());
        let upstream = upstream.unwrap_or_else(|| panic!("{place} is no host that this test could cut off"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let line = Arc::new(Mutex::new(Line::default()));
        let served = Arc::clone(&line);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut line = served.lock().unwrap_or_else(PoisonError::into_inner);
                // A closed connection is what both ends get to see.
                if !line.is_cut
                    && let Ok(server) = TcpStream::connect(upstream)
                {
                    line.open.extend(connect(client, server).into_iter().flatten());
                }
            }
        });
        Self { url: format!("{before}@{address}/{database}"), upstream: url.to_owned(), line }
    }

    /// The URL of the database itself.
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// The URL of the database by way of this.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends all connections; nobody gets a new one.
    pub fn cut(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.is_cut = true;
        for end in line.open.drain(..) {
            // It may have been closed before.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).is_cut = false;
    }
}

/// Passes bytes on in both directions until one end closes.
fn connect(client: TcpStream, server: TcpStream) -> io::Result<[TcpStream; 2]> {
    let ends = [client.try_clone()?, server.try_clone()?];
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let (mut from_server, mut to_client) = (server, client);
    thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    Ok(ends)
}
