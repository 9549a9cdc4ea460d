//! The schema as the server uses it: limits first, then the request with loaders of its own.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, SchemaBuilder};
use cogwheel_access::Principal;
use cogwheel_engine::Engine;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};

use crate::errors::{ErrorCode, complete, refusal};
use crate::loaders::{Batches, Gathering};
use crate::roots::{Mutation, Query, Subscription};
use crate::shape::Shape;
use crate::types::Budget;
use crate::{Limits, Services};

/// The API, ready to answer. Clones share everything.
///
/// Run it on the engine's runtime: reads that many fields share are spawned where the request runs.
#[derive(Clone)]
pub struct Schema {
    inner: async_graphql::Schema<Query, Mutation, Subscription>,
    services: Arc<dyn Services>,
    limits: Limits,
}

impl Schema {
    /// A schema over a running engine.
    pub fn new(engine: Arc<Engine>, limits: Limits) -> Self {
        Self::over(Arc::new(engine), limits)
    }

    /// A schema over anything that offers the engine's services.
    pub fn over(services: Arc<dyn Services>, limits: Limits) -> Self {
        let builder =
            if limits.introspection { builder() } else { builder().disable_introspection().disable_suggestions() };
        let inner = builder
            .limit_complexity(limits.complexity)
            // Depth and directives are checked, and named, before the library looks.
            .limit_recursive_depth(limits.depth + 1)
            .finish();
        Self { inner, services, limits }
    }

    /// The services it answers from.
    pub fn services(&self) -> &Arc<dyn Services> {
        &self.services
    }

    /// What the request would do, if it is within the limits and well-formed.
    pub fn operation(&self, request: &mut Request) -> Result<OperationType, Box<Response>> {
        self.look(request).map(|(kind, _)| kind)
    }

    /// Answers a query or mutation.
    pub async fn execute(&self, principal: Principal, mut request: Request) -> Response {
        match self.look(&mut request) {
            Ok((OperationType::Subscription, _)) => refusal(
                ErrorCode::BadUserInput,
                "subscriptions need a WebSocket with the sub-protocol graphql-transport-ws",
            ),
            Ok((OperationType::Query | OperationType::Mutation, shape)) => {
                let gathering = Gathering::default();
                let request = self.prepare(principal, request, &gathering).data(Budget::default());
                self.finish(&shape, gathering.run(self.inner.execute(request)).await)
            }
            Err(refused) => *refused,
        }
    }

    /// Answers any operation with a stream: a subscription with as many answers as it brings, anything else with one.
    pub fn subscribe(&self, principal: Principal, mut request: Request) -> BoxStream<'static, Response> {
        let schema = self.clone();
        match self.look(&mut request) {
            Ok((OperationType::Subscription, shape)) => {
                let gathering = Gathering::default();
                let answers = self.inner.execute_stream(self.prepare(principal, request, &gathering));
                gathering.run_stream(answers).map(move |response| schema.finish(&shape, response)).boxed()
            }
            Ok((OperationType::Query | OperationType::Mutation, _)) => {
                async move { schema.execute(principal, request).await }.into_stream().boxed()
            }
            Err(refused) => stream::iter([*refused]).boxed(),
        }
    }

    /// What the request would do, and the order of its fields.
    fn look(&self, request: &mut Request) -> Result<(OperationType, Shape), Box<Response>> {
        Limits::check_text(&request.query)?;
        let name = request.operation_name.clone();
        let document = match request.parsed_query() {
            Ok(document) => document,
            Err(error) => return Err(Box::new(complete(Response::from_errors(vec![error])))),
        };
        self.limits.check(document)?;
        let mut operations = document.operations.iter();
        let operation = match name {
            Some(name) => operations
                .find(|(known, _)| known.is_some_and(|known| known.as_str() == name))
                .ok_or_else(|| format!("the document has no operation `{name}`")),
            None => match (operations.next(), operations.next()) {
                (Some(only), None) => Ok(only),
                (Some(_), Some(_)) => {
                    Err("the document has several operations; name one in `operationName`".to_owned())
                }
                (None, _) => Err("the document has no operation".to_owned()),
            },
        };
        match operation {
            Ok((_, operation)) => {
                let shape = Shape::of(document, &operation.node.selection_set.node);
                Ok((operation.node.ty, shape))
            }
            Err(message) => Err(Box::new(refusal(ErrorCode::BadUserInput, message))),
        }
    }

    fn prepare(&self, principal: Principal, request: Request, gathering: &Gathering) -> Request {
        let loader = Batches::loader(Arc::clone(&self.services), gathering);
        request.data(principal).data(loader).data(Arc::clone(&self.services))
    }

    fn finish(&self, shape: &Shape, mut response: Response) -> Response {
        response.data = shape.arrange(response.data);
        complete(self.limits.name(response))
    }
}

/// The schema in the schema definition language, as committed in `schema.graphql`.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().prefer_single_line_descriptions().include_specified_by();
    let text = builder().finish().sdl_with_options(options);
    format!("{}\n", text.trim_end())
}

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    async_graphql::Schema::build(Query::default(), Mutation::default(), Subscription)
}
