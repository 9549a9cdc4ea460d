//! How the server comes up and goes down.

use std::net::TcpListener;

use cogwheel_server::{Server, ServerConfig};

use crate::server::{Running, config};

#[test]
fn an_address_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let error = Server::bind(ServerConfig { listen, ..config() }).unwrap_err().to_string();
    assert!(error.starts_with(&format!("the address {listen} is in use")), "{error}");
    assert!(error.contains("--listen"), "{error}");
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let listen = "192.0.2.1:0".parse().unwrap();
    let error = Server::bind(ServerConfig { listen, ..config() }).unwrap_err().to_string();
    assert!(error.starts_with("cannot listen on 192.0.2.1:0"), "{error}");
}

#[test]
fn it_ends_when_told_to_stop() {
    let server = Running::new();
    assert_eq!(server.ask("{ viewer { kind } }").status, 200);
    server.stop();
    server.wait().unwrap();
}
