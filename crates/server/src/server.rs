//! Binds the address, then serves until it is told to stop.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use actix_web::{App, HttpServer, web};
use cogwheel_access::Authenticator;
use cogwheel_graphql::Schema;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::state::State;
use crate::{ServerConfig, callbacks, files, health, hooks, http};

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Somebody else listens there.
    #[error(
        "the address {address} is in use: stop the program that listens there (perhaps another cogwheel), or choose \
         another address with `--listen` or COGWHEEL_LISTEN"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The system does not let us have the address.
    #[error("cannot listen on {address}: {source}; choose another address with `--listen` or COGWHEEL_LISTEN")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server broke down.
    #[error("the HTTP server failed: {0}")]
    Serve(#[source] io::Error),
}

/// A server that holds its address.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes the address. Clients may connect from now on; they are answered once [`Server::serve`] runs.
    ///
    /// # Errors
    ///
    /// The address is in use or cannot be had.
    pub fn bind(config: ServerConfig) -> Result<Self, ServerError> {
        let address = config.listen;
        let bind = |source: io::Error| match source.kind() {
            ErrorKind::AddrInUse => ServerError::InUse { address },
            _ => ServerError::Bind { address, source },
        };
        let listener = TcpListener::bind(address).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Self { config, listener, address })
    }

    /// The address that it holds, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled; then takes no more requests, ends subscriptions, and lets open requests end.
    ///
    /// Call it on the engine's runtime: requests run there.
    ///
    /// # Errors
    ///
    /// The server cannot be set up, or breaks down.
    pub async fn serve(
        self,
        schema: Schema,
        authenticator: Authenticator,
        stop: CancellationToken,
    ) -> Result<(), ServerError> {
        let config = self.config.clone();
        let state = web::Data::new(State {
            schema,
            authenticator,
            config: self.config,
            runtime: Handle::current(),
            stop: stop.clone(),
        });
        let serving = HttpServer::new(move || App::new().app_data(state.clone()).configure(routes))
            .workers(config.workers)
            .max_connections(config.max_connections)
            .client_request_timeout(config.head_timeout)
            .keep_alive(config.keep_alive)
            .shutdown_timeout(config.shutdown_grace.as_secs().max(1))
            .shutdown_signal(stop.cancelled_owned())
            // Nothing here blocks; the default would allow hundreds of threads.
            .worker_max_blocking_threads(1)
            .listen(self.listener)
            .map_err(ServerError::Serve)?
            .run();
        serving.await.map_err(ServerError::Serve)
    }
}

fn routes(app: &mut web::ServiceConfig) {
    app.service(
        web::resource("/graphql")
            .route(web::get().to(http::get))
            .route(web::post().to(http::post))
            .default_service(web::to(http::other_method)),
    )
    .service(web::resource("/files").route(web::post().to(files::upload)).default_service(web::to(files::only_post)))
    .service(
        web::resource("/files/{id}")
            .route(web::get().to(files::download))
            .route(web::head().to(files::download))
            .default_service(web::to(files::only_get)),
    )
    .service(web::resource("/hooks/{tenant}/{path:.+}").route(web::to(hooks::receive)))
    .service(
        web::resource("/callbacks/{token}")
            .route(web::post().to(callbacks::receive))
            .default_service(web::to(callbacks::only_post)),
    )
    .service(web::resource("/health/live").route(web::get().to(health::live)))
    .service(web::resource("/health/ready").route(web::get().to(health::ready)))
    .default_service(web::to(http::nothing_here));
}
