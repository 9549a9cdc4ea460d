//! Finds out who a request comes from.

use crate::{AdminKey, Callback, CallbackKey};

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// The holder of the admin key: may do everything.
    Admin,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The request has no `Authorization` header.
    #[error(
        "credentials are missing; send `Authorization: Bearer <admin key>`, the key is in `admin.key` in the data folder"
    )]
    MissingCredentials,
    /// The header is there but cannot be understood.
    #[error("the Authorization header is malformed; it must read `Authorization: Bearer <admin key>`")]
    MalformedCredentials,
    /// The key is not the one of this server.
    #[error("the key is not valid for this server; the admin key is in `admin.key` in its data folder")]
    InvalidCredentials,
}

/// Turns the credentials of a request into a [`Principal`].
#[derive(Clone, Debug)]
pub struct Authenticator {
    mode: Mode,
    callbacks: Option<CallbackKey>,
}

#[derive(Clone, Debug)]
enum Mode {
    AdminKey(AdminKey),
    Insecure,
}

impl Authenticator {
    /// Lets in who presents the admin key.
    pub fn new(key: AdminKey) -> Self {
        Self { mode: Mode::AdminKey(key), callbacks: None }
    }

    /// Takes everybody for the admin. For `--insecure-no-auth` on a loopback address only.
    pub fn insecure() -> Self {
        Self { mode: Mode::Insecure, callbacks: None }
    }

    /// Also lets in who answers a step with a token that this key signed.
    #[must_use]
    pub fn with_callbacks(self, key: CallbackKey) -> Self {
        Self { callbacks: Some(key), ..self }
    }

    /// The step that a token lets answer; nothing where it is not one of this installation's.
    pub fn callback(&self, token: &str) -> Option<Callback> {
        self.callbacks.as_ref()?.open(token)
    }

    /// Who sent a request with this `Authorization` header (its whole value).
    ///
    /// # Errors
    ///
    /// There is no header, it is not of the form `Bearer <key>`, or the key is wrong.
    pub fn authenticate(&self, authorization_header: Option<&str>) -> Result<Principal, AuthError> {
        let Mode::AdminKey(key) = &self.mode else {
            return Ok(Principal::Admin);
        };
        let header = authorization_header.ok_or(AuthError::MissingCredentials)?;
        let (scheme, presented) = header.trim().split_once(' ').ok_or(AuthError::MalformedCredentials)?;
        let presented = presented.trim_start();
        if !scheme.eq_ignore_ascii_case("bearer") || presented.contains(char::is_whitespace) {
            return Err(AuthError::MalformedCredentials);
        }
        if key.verify(presented) { Ok(Principal::Admin) } else { Err(AuthError::InvalidCredentials) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authenticator() -> (Authenticator, String) {
        let folder = tempfile::tempdir().unwrap();
        let (key, _) = AdminKey::load_or_create(folder.path()).unwrap();
        (Authenticator::new(key), crate::read_admin_key(folder.path()).unwrap())
    }

    #[test]
    fn the_key_lets_in_whatever_the_case_of_the_scheme() {
        let (authenticator, key) = authenticator();
        for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
            assert_eq!(authenticator.authenticate(Some(&format!("{scheme} {key}"))), Ok(Principal::Admin), "{scheme}");
        }
    }

    #[test]
    fn everything_else_is_refused_for_its_reason() {
        let (authenticator, key) = authenticator();
        let refused = |header: Option<&str>| authenticator.authenticate(header).unwrap_err();
        assert_eq!(refused(None), AuthError::MissingCredentials);
        for malformed in ["", " ", "Bearer", "Bearer ", &key, &format!("Basic {key}"), &format!("Bearer {key} {key}")] {
            assert_eq!(refused(Some(malformed)), AuthError::MalformedCredentials, "{malformed:?}");
        }
        for invalid in ["Bearer x", &format!("Bearer {}", &key[1..]), &format!("Bearer {key}x")] {
            assert_eq!(refused(Some(invalid)), AuthError::InvalidCredentials, "{invalid:?}");
        }
    }

    #[test]
    fn the_insecure_mode_takes_everybody_for_the_admin() {
        let authenticator = Authenticator::insecure();
        assert_eq!(authenticator.authenticate(None), Ok(Principal::Admin));
        assert_eq!(authenticator.authenticate(Some("nonsense")), Ok(Principal::Admin));
    }

    #[test]
    fn debug_shows_no_key() {
        let (authenticator, key) = authenticator();
        assert!(!format!("{authenticator:?}").contains(&key[10..]));
    }
}
