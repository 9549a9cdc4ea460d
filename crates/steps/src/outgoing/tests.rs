//! Against receivers of this process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A receiver that answers every connection so; its address.
async fn receiver(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = [0; 4096];
                let _ = stream.read(&mut read).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                if answer.ends_with("endless") {
                    let more = vec![b'x'; 64 * 1024];
                    while stream.write_all(&more).await.is_ok() {}
                }
                if answer.ends_with("slow") {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    address
}

fn open() -> WebhookSender {
    WebhookSender::new(TargetPolicy { allow_private: true, allowed: Vec::new() })
}

fn request(url: String) -> OutgoingRequest {
    let headers = vec![("webhook-id".to_owned(), "m".to_owned())];
    OutgoingRequest { url, headers, body: "{}".to_owned(), timeout: Duration::from_secs(2) }
}

#[tokio::test]
async fn an_answer_is_told_with_the_beginning_of_its_body() {
    let address = receiver("HTTP/1.1 503 x\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\nno").await;
    let answer = open().post(request(format!("http://{address}/a"))).await.unwrap();
    assert_eq!((answer.status, answer.retry_after.as_deref(), answer.body.as_str()), (503, Some("7"), "no"));
    let endless = receiver("HTTP/1.1 200 x\r\n\r\nendless").await;
    let answer = open().post(request(format!("http://{endless}/"))).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, MAX_BODY));
}

#[tokio::test]
async fn redirects_and_receivers_without_end_get_nowhere() {
    let elsewhere = receiver("HTTP/1.1 302 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(open().post(request(format!("http://{elsewhere}/"))).await.unwrap().status, 302);
    let slow = receiver("HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\nslow").await;
    let error = open().post(request(format!("http://{slow}/"))).await.unwrap_err();
    assert!(error.contains("did not answer within 2 s"), "{error}");
    let error = open().post(request("http://127.0.0.1:1/secret-path".to_owned())).await.unwrap_err();
    assert!(error.contains("no connection to `127.0.0.1`") && !error.contains("secret-path"), "{error}");
}

#[tokio::test]
async fn what_is_not_on_the_internet_is_refused_however_it_is_written() {
    let address = receiver("HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n").await;
    let port = address.port();
    let sender = WebhookSender::new(TargetPolicy::default());
    for host in
        ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "0"]
    {
        let url = format!("http://{host}:{port}/");
        assert!(sender.check(&url).unwrap_err().contains("not on the internet"), "{host}");
        assert!(sender.post(request(url)).await.is_err(), "{host}");
    }
    // A name is looked at when it is connected to.
    let url = format!("http://localhost:{port}/");
    assert_eq!(sender.check(&url), Ok(url.clone()));
    let error = sender.post(request(url.clone())).await.unwrap_err();
    assert!(error.contains("not on the internet"), "{error}");
    let allowed = TargetPolicy { allow_private: false, allowed: vec!["127.0.0.1".parse().unwrap()] };
    assert_eq!(WebhookSender::new(allowed).post(request(url)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_of_no_use() {
    let policy = Arc::new(TargetPolicy::default());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let look_up = move |_: String| {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        let address: IpAddr = if first { [93, 184, 215, 14].into() } else { [127, 0, 0, 1].into() };
        async move { Ok(vec![SocketAddr::new(address, 0), SocketAddr::new([10, 0, 0, 1].into(), 0)]) as Found }
    };
    let guarded = Guarded { policy, look_up };
    let first: Vec<_> = guarded.resolve("a.example".parse().unwrap()).await.unwrap().collect();
    assert_eq!(first, [SocketAddr::new([93, 184, 215, 14].into(), 0)], "only what is allowed is ever connected to");
    assert!(guarded.resolve("a.example".parse().unwrap()).await.err().unwrap().is::<NotAllowed>());
    assert_eq!(asked.load(Ordering::Relaxed), 2, "each connection asks anew");
}

#[test]
fn what_is_no_target_is_named() {
    let sender = WebhookSender::new(TargetPolicy::default());
    for (url, part) in [
        ("nowhere", "is no address"),
        ("ftp://a.example/", "not ftp:"),
        ("file:///etc/passwd", "not file:"),
        ("https://user:s3cret@a.example/", "user or a password"),
        ("http://", "is no address"),
        ("https://a.example/a\0b", "NUL"),
    ] {
        let error = sender.check(url).unwrap_err();
        assert!(error.contains(part) && !error.contains("s3cret"), "{url}: {error}");
    }
    let kept = |url| sender.check(url).unwrap();
    assert_eq!(kept("https://a.example:8443/hook?x=1"), "https://a.example:8443/hook?x=1");
    // As it is connected to, however it was written.
    assert_eq!(kept(" HTTPS://A.Example:443/a\t/../b c\n"), "https://a.example/b%20c");
}
