//! The addresses under which others answer a step later: whoever has one may answer that step, and do nothing else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What the key is derived for.
const PURPOSE: &[u8] = b"cogwheel callbacks";

/// The key that tokens are signed with. All servers of an installation have the same.
#[derive(Clone)]
pub struct CallbackKey([u8; 32]);

/// The step that a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The id of its execution.
    pub execution: String,
    /// The step's key.
    pub step: String,
}

impl CallbackKey {
    /// The key that follows from a secret.
    pub(crate) fn derived_from(secret: &[u8]) -> Self {
        Self(tag(secret, PURPOSE).finalize().into_bytes().into())
    }

    /// The token of a step: the same each time, so that it can be taken for a repetition.
    pub fn token(&self, execution: &str, step: &str) -> String {
        let about = format!("{execution}/{step}");
        let signature = tag(&self.0, about.as_bytes()).finalize().into_bytes();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(about), URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a token stands for; nothing where another key signed it, or it was changed. The comparison takes the same
    /// time wherever they differ.
    pub fn open(&self, token: &str) -> Option<Callback> {
        let (about, signature) = token.split_once('.')?;
        let (about, signature) = (URL_SAFE_NO_PAD.decode(about).ok()?, URL_SAFE_NO_PAD.decode(signature).ok()?);
        tag(&self.0, &about).verify_slice(&signature).ok()?;
        let about = String::from_utf8(about).ok()?;
        let (execution, step) = about.split_once('/')?;
        Some(Callback { execution: execution.to_owned(), step: step.to_owned() })
    }
}

impl fmt::Debug for CallbackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackKey(***)")
    }
}

fn tag(key: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256>>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_for_its_step_alone() {
        let key = CallbackKey::derived_from(b"secret");
        let token = key.token("0192", "load[3].send");
        let known = Callback { execution: "0192".to_owned(), step: "load[3].send".to_owned() };
        assert_eq!(key.open(&token), Some(known));
        assert_eq!(token, key.token("0192", "load[3].send"), "the same each time");
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{token}");
        let (about, signature) = token.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode("0192/pay");
        let foreign = CallbackKey::derived_from(b"other").token("0192", "load[3].send");
        for forged in
            ["", ".", about, &format!("{about}."), &format!("{other}.{signature}"), &token[..token.len() - 2], &foreign]
        {
            assert_eq!(key.open(forged), None, "{forged}");
        }
        assert_eq!(format!("{key:?}"), "CallbackKey(***)");
    }
}
