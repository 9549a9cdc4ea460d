//! A receiver of webhooks, written from the public description of Standard Webhooks alone, and as bad as tests want it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Message {
    /// The path that was asked for.
    pub path: String,
    headers: Vec<(String, String)>,
    /// The body, to the byte.
    pub body: Vec<u8>,
}

impl Message {
    /// The value of a header, by its name in lower case; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The `webhook-id`.
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// Whether it was signed with this secret: HMAC-SHA256 over `{id}.{timestamp}.{body}`, keyed with the base64 after
    /// `whsec_`, is one of the `v1` signatures.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key =
            STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret of Standard Webhooks")).expect("base64");
        let mut mac = <Hmac<Sha256>>::new_from_slice(&key).expect("any key will do");
        mac.update(format!("{}.{}.", self.id(), self.header("webhook-timestamp")).as_bytes());
        mac.update(&self.body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|given| given == expected)
    }
}

/// What a receiver does with a message.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and a header.
    With(u16, &'static str, String),
    /// Says nothing for so long, then answers 200.
    Late(Duration),
    /// Answers 200 and begins a body that never ends coming, a byte at a time.
    Drip,
    /// Answers 200 with a body without end.
    Flood,
    /// Hangs up.
    HangUp,
}

type Behaviour = dyn FnMut(&Message) -> Reaction + Send;

struct Shared {
    messages: Mutex<Vec<Message>>,
    behaviour: Mutex<Box<Behaviour>>,
}

/// A receiver on a port of its own. It answers 200 until it is told otherwise.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// Begins to listen.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let behaviour: Box<Behaviour> = Box::new(|_| Reaction::Status(200));
        let shared = Arc::new(Shared { messages: Mutex::default(), behaviour: Mutex::new(behaviour) });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { address, shared }
    }

    /// Its address with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same, by a name that stands for it.
    pub fn named_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// What it does from now on.
    pub fn behave(&self, behaviour: impl FnMut(&Message) -> Reaction + Send + 'static) {
        *lock(&self.shared.behaviour) = Box::new(behaviour);
    }

    /// Every message so far, in the order in which they came.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.shared.messages).clone()
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) {
        let Some(message) = read(stream) else { return };
        lock(&self.messages).push(message.clone());
        let reaction = (lock(&self.behaviour))(&message);
        // Whoever sent it may have given up.
        let _ = answer(stream, &reaction);
    }
}

fn answer(mut stream: &TcpStream, reaction: &Reaction) -> std::io::Result<()> {
    let end = "content-length: 2\r\nconnection: close\r\n\r\nok";
    match reaction {
        Reaction::Status(status) => write!(stream, "HTTP/1.1 {status} x\r\n{end}"),
        Reaction::With(status, name, value) => write!(stream, "HTTP/1.1 {status} x\r\n{name}: {value}\r\n{end}"),
        Reaction::Late(time) => {
            pause(*time);
            write!(stream, "HTTP/1.1 200 x\r\n{end}")
        }
        Reaction::Drip => {
            write!(stream, "HTTP/1.1 200 x\r\ncontent-length: 100000\r\n\r\n")?;
            loop {
                stream.write_all(b"x")?;
                pause(Duration::from_millis(100));
            }
        }
        Reaction::Flood => {
            write!(stream, "HTTP/1.1 200 x\r\nconnection: close\r\n\r\n")?;
            let much = vec![b'x'; 1 << 20];
            loop {
                stream.write_all(&much)?;
            }
        }
        Reaction::HangUp => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a slow receiver, on a thread of its own")]
fn pause(time: Duration) {
    thread::sleep(time);
}

fn read(stream: &TcpStream) -> Option<Message> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Message { path, headers, body })
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
