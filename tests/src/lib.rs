//! Drives the real binary: a home of its own for every test, a server in it, and what a client would use.
//!
//! Nothing that ships is linked in: the tests see what a user sees.

mod binary;
mod client;
mod crash;
mod home;
mod proxy;
mod receiver;
mod server;
mod signed;
mod socket;
mod sql;
mod wait;
mod workflows;

pub use client::{Answer, Client};
pub use cogwheel_testkit::Backend;
pub use crash::{CrashPoint, Crashing};
pub use home::{Finished, Home};
pub use proxy::Proxy;
pub use receiver::{Message, Reaction, Receiver};
pub use server::Server;
pub use socket::Subscription;
pub use sql::Sql;
pub use wait::{until, within};
pub use workflows::{messages, step};

/// Makes each named function two tests, one a database: `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn sqlite() {
                super::$name($crate::Backend::Sqlite);
            }

            #[test]
            fn postgres() {
                super::$name($crate::Backend::Postgres);
            }
        })+
    };
}
