//! A participant that misbehaves: it answers later, twice, never or with a forged address; its requests come late, and a
//! server dies before it hears of an undo. At the end nothing is booked that should not be.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cogwheel_tests::{
    Answer, Backend, Client, Home, Message, Reaction, Receiver, Server, on_both_databases, step, until,
};
use serde_json::{Value, json};

on_both_databases!(
    a_later_answer_is_accepted_a_repeated_one_ignored_and_a_foreign_one_refused,
    an_answer_before_the_wait_is_kept,
    who_never_answers_is_undone_and_a_late_answer_ignored,
    an_undo_that_is_repeated_after_a_crash_is_one,
    an_undo_that_comes_first_keeps_what_comes_late_from_being_done,
);

/// What a participant knows of each booking: made, or cancelled for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Booking {
    Made,
    Cancelled,
}

/// The book of a participant, by the saga that a request belongs to. It keeps to the three rules.
#[derive(Clone, Debug, Default)]
struct Book(Arc<Mutex<BTreeMap<String, Booking>>>);

impl Book {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Booking>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a request asks for; the status of the answer.
    fn act(&self, request: &Message) -> u16 {
        let key = request.header("saga-id").to_owned();
        assert!(!key.is_empty() && request.header("idempotency-key").starts_with(&key), "{request:?}");
        let mut rows = self.rows();
        match (request.path.as_str(), rows.get(&key)) {
            ("/book", Some(Booking::Cancelled)) => 409,
            ("/book", _) => {
                rows.insert(key, Booking::Made);
                202
            }
            ("/cancel", known) => {
                let status = if known.is_some() { 200 } else { 404 };
                rows.insert(key, Booking::Cancelled);
                status
            }
            _ => 405,
        }
    }

    fn is_empty(&self) -> bool {
        !self.rows().values().any(|booking| *booking == Booking::Made)
    }
}

/// An order that is paid somewhere else: asked for with one request, and answered later.
fn home_with(backend: Backend, desk: &Receiver, patience: &str) -> Home {
    let mut home = Home::new(backend);
    home.set("server.public_url", "http://cogwheel.test/base/");
    home.write(
        "workflows/order.yaml",
        format!(
            r#"
inputs: {{ships: {{type: boolean, default: true}}}}
outputs: {{receipt: "${{{{ steps.paid.outputs.payload.receipt }}}}"}}
saga: {{on_undo_failure: pause}}
steps:
  - id: pay
    uses: http
    with: {{url: "{}", json: {{total: 5}}}}
    compensate:
      uses: http
      with: {{url: "{}", method: POST, json: {{}}, expect: [2xx, 404]}}
      retry: {{attempts: 5, delay: 50ms}}
  - {{id: paid, needs: [pay], uses: wait, timeout: {patience}, with: {{signal: callback.pay}}}}
  - {{id: ship, needs: [paid], if: "${{{{ inputs.ships }}}}", run: 'true'}}
"#,
            desk.url("/book"),
            desk.url("/cancel")
        ),
    );
    home
}

/// A participant that keeps this book.
fn desk(book: &Book) -> Receiver {
    let desk = Receiver::new();
    let book = book.clone();
    desk.behave(move |request| Reaction::Status(book.act(request)));
    desk
}

/// The path for the answer to the participant's first request.
fn callback(desk: &Receiver) -> String {
    until("the participant to be asked", || desk.messages().first().map(path_of))
}

fn path_of(request: &Message) -> String {
    let url = request.header("callback-url");
    let path = url.strip_prefix("http://cogwheel.test/base").unwrap_or_else(|| panic!("no address in {request:?}"));
    assert!(path.starts_with("/callbacks/"), "{path}");
    path.to_owned()
}

fn call_back(client: &Client, path: &str, payload: &Value) -> Answer {
    client.send("POST", path, &[("content-type", "application/json")], payload.to_string().as_bytes())
}

fn told(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["isNew"].clone())
}

fn waits(server: &Server, id: &str) {
    until("the wait for the answer", || (step(&server.execution(id), "paid")["status"] == "WAITING").then_some(()));
}

fn a_later_answer_is_accepted_a_repeated_one_ignored_and_a_foreign_one_refused(backend: Backend) {
    let book = Book::default();
    let desk = desk(&book);
    let home = home_with(backend, &desk, "1m");
    let server = home.serve();
    let id = server.start("order", &json!({}));
    waits(&server, &id);
    let path = callback(&desk);
    let (about, signature) = path.rsplit_once('.').expect("what it is about, and a signature");
    let others = "AAAA".repeat(signature.len() / 4);
    for forged in [format!("{about}.{others}"), about.to_owned(), format!("{about}."), "/callbacks/x".to_owned()] {
        assert_eq!(call_back(&server, &forged, &json!({})).status, 404, "{forged}");
    }
    assert_eq!(server.send("POST", &path, &[], b"{").status, 400, "no JSON");
    assert_eq!(server.send("GET", &path, &[], b"").status, 405);
    assert_eq!(step(&server.execution(&id), "paid")["status"], "WAITING", "none of these was an answer");

    assert_eq!(told(&call_back(&server, &path, &json!({"receipt": 7}))), (202, json!(true)));
    assert_eq!(told(&call_back(&server, &path, &json!({"receipt": 8}))), (200, json!(false)));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(execution["result"]["receipt"], 7, "the first answer counts");
    assert_eq!(told(&call_back(&server, &path, &json!({"receipt": 9}))), (200, json!(false)));
    assert!(!book.is_empty());
    drop(home.run(&["db", "verify", "--data"]).with_code(0));
}

fn an_answer_before_the_wait_is_kept(backend: Backend) {
    let (desk, book) = (Receiver::new(), Book::default());
    let home = home_with(backend, &desk, "1m");
    let server = home.serve();
    let (client, answering) = (Client::clone(&server), book.clone());
    // It answers before its own 202, when the step that asks has not even ended.
    desk.behave(move |request| {
        let status = answering.act(request);
        assert_eq!(call_back(&client, &path_of(request), &json!({"receipt": 1})).status, 202);
        Reaction::Status(status)
    });
    let id = server.start("order", &json!({}));
    assert_eq!(server.ended_as(&id, "COMPLETED")["result"]["receipt"], 1);
}

fn who_never_answers_is_undone_and_a_late_answer_ignored(backend: Backend) {
    let book = Book::default();
    let desk = desk(&book);
    let home = home_with(backend, &desk, "300ms");
    let server = home.serve();
    let id = server.start("order", &json!({}));
    let execution = server.ended_as(&id, "COMPENSATED");
    assert_eq!((&execution["error"]["kind"], &execution["error"]["step"]), (&json!("timeout"), &json!("paid")));
    assert!(book.is_empty(), "{book:?}");
    assert_eq!(told(&call_back(&server, &callback(&desk), &json!({"receipt": 1}))), (200, json!(false)));
    assert_eq!(server.execution(&id)["status"], "COMPENSATED");
    assert_eq!(home.sql().number("select count(*) from signals"), 0, "nothing is kept that nobody takes");
}

fn an_undo_that_is_repeated_after_a_crash_is_one(backend: Backend) {
    let (desk, book) = (Receiver::new(), Book::default());
    let home = home_with(backend, &desk, "300ms");
    let server = home.serve();
    let (undone, hear) = mpsc::channel();
    let (died, dead) = mpsc::channel::<()>();
    let acting = book.clone();
    let mut is_first = true;
    // The first undo is done, and the server that asked for it dies before it hears so.
    desk.behave(move |request| {
        let status = acting.act(request);
        if request.path == "/cancel" && std::mem::take(&mut is_first) {
            undone.send(()).expect("the test waits");
            dead.recv().expect("the test kills the server");
            return Reaction::HangUp;
        }
        Reaction::Status(status)
    });
    let id = server.start("order", &json!({}));
    hear.recv().expect("the undo comes");
    server.crash();
    died.send(()).expect("the participant waits");
    let server = home.serve();
    server.ended_as(&id, "COMPENSATED");
    let undos: Vec<Message> = desk.messages().into_iter().filter(|message| message.path == "/cancel").collect();
    let keys: Vec<&str> = undos.iter().map(|message| message.header("idempotency-key")).collect();
    assert_eq!((keys.len(), keys[0]), (2, keys[1]), "the same undo, asked for again");
    assert!(book.is_empty(), "{book:?}");
    drop(home.run(&["db", "verify", "--data"]).with_code(0));
}

fn an_undo_that_comes_first_keeps_what_comes_late_from_being_done(backend: Backend) {
    let (desk, book) = (Receiver::new(), Book::default());
    let home = home_with(backend, &desk, "1m");
    let server = home.serve();
    let acting = book.clone();
    // The connection of the request breaks, and the request itself is still on its way.
    desk.behave(move |request| match request.path.as_str() {
        "/book" => Reaction::HangUp,
        _ => Reaction::Status(acting.act(request)),
    });
    let id = server.start("order", &json!({}));
    let execution = server.ended_as(&id, "COMPENSATED");
    assert_eq!(execution["error"]["code"], "http.interrupted", "{execution:#}");
    let undo = step(&execution, "pay.compensate");
    assert_eq!(
        (&undo["status"], &undo["output"]["status"]),
        (&json!("COMPLETED"), &json!(404)),
        "undone before it was done"
    );
    let late = desk.messages().into_iter().find(|message| message.path == "/book").expect("it was sent");
    assert_eq!(book.act(&late), 409, "what was undone is not done any more");
    assert!(book.is_empty(), "{book:?}");
}
