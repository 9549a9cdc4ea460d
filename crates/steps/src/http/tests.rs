//! Exchanges with a server in this process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cogwheel_engine::{FailureKind, Outcome};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Http;
use crate::harness::{Attempt, Ended};

fn http() -> Http {
    Http::new(Arc::new(|_, step| Some(format!("https://here/callbacks/{step}"))))
}

/// Far longer than anything here takes; only a hang gets there.
const HANG: Duration = Duration::from_mins(1);

/// Answers each connection with what `answer` makes of the path of its only request; with nothing, it never ends.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&seen), Arc::clone(&answer)));
            }
        });
        Self { address, requests }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut connection: TcpStream, seen: Arc<Mutex<Vec<String>>>, answer: Arc<impl Fn(&str) -> String>) {
    let mut request = String::new();
    while !is_whole(&request) {
        let mut part = [0; 4096];
        let length = connection.read(&mut part).await.unwrap();
        request.push_str(std::str::from_utf8(&part[..length]).unwrap());
    }
    let path = request.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push(request);
    let answer = answer(&path);
    connection.write_all(answer.as_bytes()).await.unwrap();
    if answer.is_empty() {
        // Until the client hangs up.
        while connection.read(&mut [0; 16]).await.is_ok_and(|length| length > 0) {}
    }
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

async fn run(input: Value) -> Ended {
    tokio::time::timeout(HANG, Attempt::new().run(&http(), input)).await.expect("the step hangs")
}

#[tokio::test]
async fn an_answer_becomes_outputs() {
    let server = Server::answering(|path| match path {
        "/json" => answer(
            "200 OK",
            "Content-Type: application/problem+json; charset=utf-8\r\nX-A: 1\r\nX-a: 2\r\n",
            "{\"a\": [1]}",
        ),
        "/empty" => answer("204 No Content", "content-type: application/json\r\n", ""),
        _ => answer("200 OK", "content-type: text/plain\r\n", "3 rows ✓"),
    })
    .await;

    let output = run(json!({"url": server.url("/json")})).await.completed();
    assert_eq!((&output["status"], &output["body"]), (&json!(200), &json!({"a": [1]})));
    assert_eq!(output["headers"]["x-a"], "1, 2");
    assert_eq!(output["url"], server.url("/json"));
    assert!(output["duration_ms"].is_u64());
    assert_eq!(run(json!({"url": server.url("/")})).await.completed()["body"], "3 rows ✓");
    assert_eq!(run(json!({"url": server.url("/empty")})).await.completed()["body"], Value::Null);
}

#[tokio::test]
async fn a_request_carries_what_the_step_says_and_its_key() {
    let server = Server::answering(|_| answer("200 OK", "", "")).await;
    let attempt = Attempt::new();
    let key = attempt.context.step_key.clone();
    let input =
        json!({"url": server.url("/in?a=1"), "query": {"b": 2}, "headers": {"X-Own": "yes"}, "json": {"rows": 3}});
    attempt.run(&http(), input).await.completed();
    run(json!({"url": server.url("/"), "method": "GET"})).await.completed();

    let requests = server.requests();
    assert!(requests[0].starts_with("POST /in?a=1&b=2 HTTP/1.1\r\n"), "{}", requests[0]);
    for part in
        ["x-own: yes\r\n", "content-type: application/json\r\n", "user-agent: cogwheel/", "\r\n\r\n{\"rows\":3}"]
    {
        assert!(requests[0].contains(part), "{part}: {}", requests[0]);
    }
    assert!(requests[0].contains("callback-url: https://here/callbacks/load\r\n"), "{}", requests[0]);
    assert!(requests[0].contains(&format!("idempotency-key: {key}\r\n")));
    assert!(!requests[1].contains("idempotency-key") && !requests[1].contains("callback-url"));
}

#[tokio::test]
async fn an_unexpected_status_fails_and_leaves_the_outputs() {
    let server = Server::answering(|path| match path {
        "/busy" => answer(
            "503 Service Unavailable",
            "content-type: application/json\r\nretry-after: 5\r\n",
            "{\"why\": \"busy\"}",
        ),
        "/late" => answer("429 Too Many Requests", "", ""),
        "/long" => answer("400 Bad Request", "", &"é".repeat(2000)),
        "/broken" => answer("500 Internal Server Error", "content-type: application/json\r\n", "<html>"),
        _ => answer("404 Not Found", "", "nothing here"),
    })
    .await;

    let (failure, output) = run(json!({"url": server.url("/busy")})).await.failed(FailureKind::Http);
    assert!(failure.retriable && failure.code() == "http.503");
    assert_eq!(failure.detail.as_deref(), Some("{\"why\": \"busy\"}"));
    assert_eq!((&output["status"], &output["body"]["why"]), (&json!(503), &json!("busy")));
    assert_eq!(output["headers"]["retry-after"], "5");

    let (failure, _) = run(json!({"url": server.url("/late")})).await.failed(FailureKind::Http);
    assert!(failure.retriable && failure.detail.is_none());
    let (failure, _) = run(json!({"url": server.url("/")})).await.failed(FailureKind::Http);
    assert!(!failure.retriable && failure.code() == "http.404");
    let (failure, _) = run(json!({"url": server.url("/long")})).await.failed(FailureKind::Http);
    assert_eq!(failure.detail.unwrap(), "é".repeat(1024));
    let (failure, output) = run(json!({"url": server.url("/broken")})).await.failed(FailureKind::Http);
    assert_eq!((failure.code(), &output["body"]), ("http.500", &Value::Null));
    assert_eq!(run(json!({"url": server.url("/"), "expect": [200, "4*"]})).await.completed()["status"], 404);
    let (failure, _) =
        run(json!({"url": server.url("/long"), "expect": 404, "max_response": 10})).await.failed(FailureKind::Http);
    assert_eq!((failure.code(), failure.detail.as_deref()), ("http.400", Some("ééééé")));
}

#[tokio::test]
async fn what_is_too_large_or_no_json_is_an_output_that_fails() {
    let server = Server::answering(|path| match path {
        "/json" => answer("200 OK", "content-type: application/json\r\n", "{"),
        _ => answer("200 OK", "", "0123456789"),
    })
    .await;
    assert_eq!(run(json!({"url": server.url("/"), "max_response": 10})).await.completed()["body"], "0123456789");
    let (failure, output) = run(json!({"url": server.url("/"), "max_response": 9})).await.failed(FailureKind::Output);
    assert!(!failure.retriable && failure.title.contains("larger than 9 bytes"));
    assert_eq!((&output["status"], &output["body"]), (&json!(200), &Value::Null));
    run(json!({"url": server.url("/json")})).await.failed(FailureKind::Output);
}

#[tokio::test]
async fn redirects_are_followed_unless_they_are_not() {
    let server = Server::answering(|path| match path {
        "/here" => answer("302 Found", "location: /there\r\n", ""),
        "/round" => answer("307 Temporary Redirect", "location: /round\r\n", ""),
        _ => answer("200 OK", "", "arrived"),
    })
    .await;
    let output = run(json!({"url": server.url("/here")})).await.completed();
    assert_eq!((&output["body"], &output["url"]), (&json!("arrived"), &json!(server.url("/there"))));
    let stays = run(json!({"url": server.url("/here"), "follow_redirects": false, "expect": "3xx"})).await.completed();
    assert_eq!((&stays["status"], &stays["headers"]["location"]), (&json!(302), &json!("/there")));
    let (failure, _) = run(json!({"url": server.url("/round")})).await.failed(FailureKind::Http);
    assert_eq!((failure.code(), failure.retriable), ("http.redirect", false));
    assert_eq!(server.requests().iter().filter(|request| request.contains("/round")).count(), 11);
}

#[tokio::test]
async fn connections_that_do_not_come_about_have_their_codes() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (failure, output) = run(json!({"url": format!("http://{closed}/?secret=x")})).await.failed(FailureKind::Http);
    assert!(failure.retriable && failure.code() == "http.connect" && output.is_null());
    assert!(!format!("{failure:?}").contains("secret"));

    let (failure, _) = run(json!({"url": "http://nowhere.invalid/"})).await.failed(FailureKind::Http);
    assert!(failure.retriable && failure.code() == "http.dns", "{failure:?}");

    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", mute.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut connection, _) = mute.accept().await.unwrap();
        connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        while connection.read(&mut [0; 1024]).await.is_ok_and(|length| length > 0) {}
    });
    let (failure, _) = run(json!({ "url": url })).await.failed(FailureKind::Http);
    assert!(!failure.retriable && failure.code() == "http.tls", "{failure:?}");

    let cut = Server::answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_owned()).await;
    let (failure, _) = run(json!({"url": cut.url("/")})).await.failed(FailureKind::Http);
    assert!(failure.retriable && failure.code() == "http.interrupted", "{failure:?}");
}

#[tokio::test]
async fn a_stopped_attempt_hangs_up() {
    let server = Server::answering(|_| String::new()).await;
    let attempt = Attempt::new();
    let stop = attempt.context.stop.clone();
    let (http, url) = (http(), server.url("/slow"));
    let stops = async {
        while server.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
    };
    let ends = tokio::time::timeout(HANG, attempt.run(&http, json!({ "url": url })));
    let (ended, ()) = tokio::join!(ends, stops);
    ended.expect("the step hangs").was_stopped();
}

#[tokio::test]
async fn a_malformed_input_fails_without_a_request() {
    let outcome = run(json!({"url": "http://localhost", "uri": "x"})).await.outcome;
    let Outcome::Failed { failure, output: None } = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.code(), failure.retriable), ("input", false));
}
