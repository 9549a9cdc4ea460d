//! Stand-ins of the three services that the example `trip-booking` books with.

mod services;

use std::net::TcpListener;

/// Where the example's inputs look for them.
const ADDRESS: &str = "127.0.0.1:8431";

#[expect(clippy::print_stdout, reason = "whoever starts it wants to know where it listens")]
fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind(ADDRESS)?;
    println!("flights, hotels and cars can be booked at http://{ADDRESS}/; Ctrl-C ends");
    services::serve(&listener)
}
