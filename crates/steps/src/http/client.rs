//! The clients that all exchanges share, and how they fail.

use std::error::Error;
use std::io;
use std::sync::Arc;

use cogwheel_engine::{Failure, FailureKind};
use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 10;

/// Who we say we are.
pub(crate) const USER_AGENT: &str = concat!("cogwheel/", env!("CARGO_PKG_VERSION"));

/// Built at their first use: the system's certificates are many.
#[derive(Default)]
pub(super) struct Clients {
    built: OnceCell<Built>,
}

/// A client has one way with redirects.
struct Built {
    following: Client,
    staying: Client,
}

impl Clients {
    /// The client that follows redirects, or the one that does not.
    pub(super) async fn get(&self, follows_redirects: bool) -> Result<&Client, Failure> {
        let built = self.built.get_or_try_init(|| async {
            match tokio::task::spawn_blocking(build).await {
                Ok(built) => built.map_err(|error| unusable(&*error)),
                Err(error) => Err(unusable(&error)),
            }
        });
        built.await.map(|built| if follows_redirects { &built.following } else { &built.staying })
    }
}

fn build() -> Result<Built, Box<dyn Error + Send + Sync>> {
    let tls = tls()?;
    let client = |redirects| {
        Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(redirects)
            .build()
    };
    Ok(Built { following: client(Policy::limited(MAX_REDIRECTS))?, staying: client(Policy::none())? })
}

/// How sessions are secured with others.
pub(crate) fn tls() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots())
        .with_no_client_auth())
}

/// The authorities that the system trusts; Mozilla's, where the system has none, as in small containers.
fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn unusable(error: &(dyn Error + 'static)) -> Failure {
    Failure::retriable(FailureKind::Internal, "the HTTP client could not be set up").with_detail(chain(error))
}

/// Why there was no whole answer from `host`.
pub(super) fn failure(host: &str, error: reqwest::Error) -> Failure {
    // What it says of the address may hold a secret.
    let error = error.without_url();
    let retriable = |title: String, code: &str| Failure::retriable(FailureKind::Http, title).with_code(code);
    let permanent = |title: String, code: &str| Failure::permanent(FailureKind::Http, title).with_code(code);
    let failure = if is_tls(&error) {
        permanent(format!("no trusted connection to `{host}` could be made"), "tls")
    } else if error.is_dns() {
        retriable(format!("no address was found for `{host}`"), "dns")
    } else if error.is_connect() {
        retriable(format!("no connection to `{host}` could be made"), "connect")
    } else if error.is_redirect() {
        permanent(format!("`{host}` redirects more than {MAX_REDIRECTS} times, or to nowhere"), "redirect")
    } else if error.is_builder() {
        return Failure::permanent(FailureKind::Input, "the request cannot be sent").with_detail(chain(&error));
    } else {
        retriable(format!("the exchange with `{host}` broke off"), "interrupted")
    };
    failure.with_detail(chain(&error))
}

/// Whether the other side, or we, refused the TLS session.
pub(crate) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<rustls::Error>)
}

pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut messages: Vec<_> = causes(error).map(ToString::to_string).collect();
    // An error that only wraps another says the same.
    messages.dedup();
    messages.join(": ")
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        // The source of an I/O error that wraps another is the other's source, which leaves out the other itself.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => (*error).source(),
        }
    })
}
