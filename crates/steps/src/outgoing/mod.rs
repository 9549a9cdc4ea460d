//! Sends webhooks: one `POST` to an address that the policy allows, with a limit on everything.
//!
//! What a name stands for is looked up here, and only addresses that the policy allows are handed to the connection: a name
//! that changes its address between a check and the connection is of no use. Redirects are not followed.

mod policy;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use cogwheel_engine::ports::{OutgoingAnswer, OutgoingRequest, WebhookTransport};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::sync::OnceCell;

use crate::http::client::{USER_AGENT, chain, is_tls, tls};
use crate::text;

pub use policy::{Network, NotANetwork, TargetPolicy};

/// How much of an answer's body is kept, in bytes; the rest is not read.
const MAX_BODY: usize = 4 * 1024;

/// Sends webhooks to whom the policy allows.
#[derive(Debug)]
pub struct WebhookSender {
    policy: Arc<TargetPolicy>,
    /// Built at its first use: the system's certificates are many.
    client: OnceCell<Client>,
}

impl WebhookSender {
    /// A sender under this policy.
    pub fn new(policy: TargetPolicy) -> Self {
        Self { policy: Arc::new(policy), client: OnceCell::new() }
    }

    async fn client(&self) -> Result<&Client, String> {
        let unusable = |error: &(dyn Error + 'static)| format!("the HTTP client could not be set up: {}", chain(error));
        let built = self.client.get_or_try_init(|| async {
            let policy = Arc::clone(&self.policy);
            match tokio::task::spawn_blocking(move || build(policy)).await {
                Ok(Ok(client)) => Ok(client),
                Ok(Err(error)) => Err(unusable(&*error)),
                Err(error) => Err(unusable(&error)),
            }
        });
        built.await
    }

    async fn exchange(&self, url: Url, request: &OutgoingRequest) -> Result<OutgoingAnswer, String> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let client = self.client().await?;
        let sent = client.post(url).headers(headers(&request.headers)?).body(request.body.clone()).send().await;
        let mut response = sent.map_err(|error| failure(&host, error))?;
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Whatever becomes of the body: the status has said what the receiver makes of the message.
        let body = read_body(&mut response).await;
        Ok(OutgoingAnswer { status: response.status().as_u16(), retry_after, body: text::readable(&body) })
    }
}

#[async_trait]
impl WebhookTransport for WebhookSender {
    fn check(&self, url: &str) -> Result<String, String> {
        parsed(url, &self.policy).map(String::from)
    }

    async fn post(&self, request: OutgoingRequest) -> Result<OutgoingAnswer, String> {
        let url = parsed(&request.url, &self.policy)?;
        let limit = request.timeout;
        match tokio::time::timeout(limit, self.exchange(url, &request)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("the receiver did not answer within {} s", limit.as_secs())),
        }
    }
}

fn parsed(url: &str, policy: &TargetPolicy) -> Result<Url, String> {
    if url.contains('\0') {
        return Err("is no address: it has a NUL character in it".to_owned());
    }
    let url = Url::parse(url).map_err(|error| format!("is no address: {error}"))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(format!("must begin with http:// or https://, not {}:", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a user or a password in it; use a header that names a secret".to_owned());
    }
    let host = url.host_str().ok_or("names no host")?;
    // The address of a name is looked at when it is connected to; one that is written out is connected to as it is.
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
    match literal {
        Ok(address) if !policy.allows(address) => Err(refused(host)),
        Ok(_) | Err(_) => Ok(url),
    }
}

fn refused(host: &str) -> String {
    format!(
        "leads to `{host}`, which is not on the internet; the settings `webhooks.allowed_networks` and \
         `webhooks.allow_private_targets` say what else is allowed"
    )
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        // The value may be a secret.
        let wrong = || format!("the header `{name}` cannot be sent");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        headers.append(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
    }
    Ok(headers)
}

/// The beginning of the body, or as much of it as came before it broke off.
async fn read_body(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_BODY - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    body.truncate(text::cut(&body, MAX_BODY));
    body
}

fn build(policy: Arc<TargetPolicy>) -> Result<Client, Box<dyn Error + Send + Sync>> {
    Ok(Client::builder()
        .tls_backend_preconfigured(tls()?)
        .user_agent(USER_AGENT)
        .no_proxy()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .dns_resolver(Arc::new(Guarded { policy, look_up: system }))
        .build()?)
}

/// Why there was no answer from `host`.
fn failure(host: &str, error: reqwest::Error) -> String {
    // What it says of the address may hold a secret.
    let error = error.without_url();
    let refusal = std::iter::successors(Some(&error as &(dyn Error + 'static)), |error| (*error).source());
    if refusal.into_iter().any(<dyn Error>::is::<NotAllowed>) {
        return refused(host);
    }
    let what = if is_tls(&error) {
        format!("no trusted connection to `{host}` could be made")
    } else if error.is_connect() {
        format!("no connection to `{host}` could be made")
    } else {
        format!("the exchange with `{host}` broke off")
    };
    format!("{what}: {}", chain(&error))
}

/// Everything that a name stands for may not be sent to.
#[derive(Debug)]
struct NotAllowed;

impl Error for NotAllowed {}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its addresses are not on the internet")
    }
}

/// What a name stands for.
type Found = Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>>;

/// Looks names up and leaves out what the policy does not allow: the connection never learns of it.
struct Guarded<L> {
    policy: Arc<TargetPolicy>,
    look_up: L,
}

impl<L, F> Resolve for Guarded<L>
where
    L: Fn(String) -> F + Send + Sync,
    F: Future<Output = Found> + Send + 'static,
{
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        let found = (self.look_up)(name.as_str().to_owned());
        Box::pin(async move {
            let allowed: Vec<SocketAddr> =
                found.await?.into_iter().filter(|address| policy.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Box::new(NotAllowed) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Asks the system; the port is the connection's.
async fn system(name: String) -> Found {
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}
