//! Who may do what: the admin key, and who a request comes from.

mod admin_key;
mod authenticator;
mod error;
mod key_file;

pub use admin_key::{AdminKey, read_admin_key};
pub use authenticator::{AuthError, Authenticator, Principal};
pub use error::AccessError;
pub use key_file::ADMIN_KEY_FILE;
