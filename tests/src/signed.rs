//! Calls of webhooks, signed as senders sign them.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{Answer, Client};

impl Client {
    /// Calls a webhook of the default tenant as Standard Webhooks say, `seconds` from now.
    pub fn call_at(&self, path: &str, secret: &str, id: &str, body: &str, seconds: i64) -> Answer {
        let timestamp = (now() + seconds).to_string();
        let key = secret.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
        let key = key.unwrap_or_else(|| secret.as_bytes().to_vec());
        let signature = STANDARD.encode(mac(&key, &format!("{id}.{timestamp}.{body}")));
        let headers = [
            ("content-type", "application/json"),
            ("webhook-id", id),
            ("webhook-timestamp", &timestamp),
            ("webhook-signature", &format!("v1,{signature}")),
        ];
        self.send("POST", &format!("/hooks/default/{path}"), &headers, body.as_bytes())
    }

    /// The same, now.
    pub fn call(&self, path: &str, secret: &str, id: &str, body: &str) -> Answer {
        self.call_at(path, secret, id, body, 0)
    }

    /// Calls a webhook of the default tenant as GitHub does.
    pub fn call_as_github(&self, path: &str, secret: &str, delivery: &str, body: &str) -> Answer {
        let hex = mac(secret.as_bytes(), body).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let headers = [
            ("content-type", "application/json"),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", &format!("sha256={hex}")),
        ];
        self.send("POST", &format!("/hooks/default/{path}"), &headers, body.as_bytes())
    }
}

fn mac(key: &[u8], content: &str) -> Vec<u8> {
    let mut mac = <Hmac<Sha256>>::new_from_slice(key).expect("any key will do");
    mac.update(content.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[expect(clippy::disallowed_methods, reason = "what a sender signs is its own time")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    i64::try_from(since.as_secs()).expect("not that late")
}
