//! HTTP: routes, authentication, GraphQL over HTTP and WebSocket, health.
