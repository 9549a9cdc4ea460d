//! A flight, a hotel and a car service that keep to what a saga needs of its participants:
//!
//! - booking a trip twice is booking it once, since a caller that got no answer asks again;
//! - cancelling a booking that was never made succeeds, since the caller cannot know;
//! - what was cancelled stays so, since the request to book it may arrive late.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

/// There are no cars to be had there.
const WITHOUT_CARS: &str = "Nowhere";

/// The longest body that is read.
const LONGEST_BODY: u64 = 64 * 1024;

/// The bookings by path (`flights/<trip>`): a number, or nothing once they are cancelled.
type Bookings = BTreeMap<String, Option<usize>>;

/// Answers requests for as long as it can listen, each on a thread of its own.
pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    let bookings = Arc::new(Mutex::new(Bookings::new()));
    for connection in listener.incoming() {
        let (connection, bookings) = (connection?, Arc::clone(&bookings));
        // A caller that goes away gets no answer; that is all that can go wrong.
        thread::spawn(move || answer(&connection, &bookings));
    }
    Ok(())
}

fn answer(connection: &TcpStream, bookings: &Mutex<Bookings>) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap_or(0);
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = Vec::new();
    reader.take(length.min(LONGEST_BODY)).read_to_end(&mut body)?;
    let mut words = request.split_ascii_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, told) = {
        let mut bookings = bookings.lock().unwrap_or_else(PoisonError::into_inner);
        decide(&mut bookings, method, path.trim_start_matches('/'), &body)
    };
    let told = told.to_string();
    let mut writer = connection;
    write!(
        writer,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{told}",
        told.len()
    )
}

fn decide(bookings: &mut Bookings, method: &str, path: &str, body: &[u8]) -> (&'static str, Value) {
    if (method, path) == ("GET", "") {
        return ("200 OK", json!(bookings));
    }
    let Some((service @ ("flights" | "hotels" | "cars"), _trip)) = path.split_once('/') else {
        return ("404 Not Found", json!({ "error": "book with PUT /flights/<trip>, /hotels/<trip> or /cars/<trip>" }));
    };
    match (method, bookings.get(path)) {
        ("PUT", Some(Some(number))) => ("200 OK", json!({ "booking": number })),
        ("PUT", Some(None)) => ("409 Conflict", json!({ "error": "it was cancelled" })),
        ("PUT", None) => {
            let wanted: Value = serde_json::from_slice(body).unwrap_or_default();
            if service == "cars" && wanted["city"] == WITHOUT_CARS {
                return ("422 Unprocessable Content", json!({ "error": "there is no car" }));
            }
            let number = bookings.len() + 1;
            bookings.insert(path.to_owned(), Some(number));
            ("201 Created", json!({ "booking": number }))
        }
        ("DELETE", _) => {
            bookings.insert(path.to_owned(), None);
            ("200 OK", json!({ "cancelled": true }))
        }
        _ => ("405 Method Not Allowed", json!({ "error": "PUT books, DELETE cancels" })),
    }
}
