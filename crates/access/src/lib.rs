//! Who may do what: the admin key, who a request comes from, who may answer a step, and the keys that lock secrets away.

mod admin_key;
mod authenticator;
mod callback;
mod error;
mod key_file;
mod master_key;

pub use admin_key::{AdminKey, read_admin_key};
pub use authenticator::{AuthError, Authenticator, Principal};
pub use callback::{Callback, CallbackKey};
pub use error::AccessError;
pub use key_file::ADMIN_KEY_FILE;
pub use master_key::{DataKey, MASTER_KEY_FILE, MasterKey, NotOpened};
