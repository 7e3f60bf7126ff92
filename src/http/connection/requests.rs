//! The requests of a connection, told to it as they begin and end.

use std::{
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_http::{
    HttpMessage as _, Payload, Request, Response,
    body::{BodySize, BoxBody, MessageBody},
};
use actix_service::{IntoServiceFactory, ServiceFactory, apply_fn_factory};
use actix_web::{Error, HttpResponse};
use bytes::Bytes;

use super::{
    limits::{Connections, Full, ProxiedPlace},
    state::{State, UnderWay},
};
use crate::telemetry::Metrics;

/// Answers a request that is one too many of its address.
pub type Refuse = fn(&Request) -> HttpResponse;

/// `app`, whose requests are told to the connections they come over.
pub fn told<I, S>(
    app: I,
    connections: Connections,
    metrics: Arc<Metrics>,
    refuse: Refuse,
) -> impl ServiceFactory<Request, Config = (), Response = Response<Tracked>, Error = Error, InitError = ()>
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = (), Error = Error, InitError = ()>,
    S::Response: Into<Response<BoxBody>>,
{
    apply_fn_factory(app, move |mut request: Request, app: &S::Service| {
        let has_body = !matches!(request.payload(), Payload::None);
        let in_chunks = request.chunked().unwrap_or(false);
        let state = request.conn_data::<Rc<State>>().cloned();
        let under_way = state.map(|state| UnderWay::begin(state, has_body, in_chunks));
        let answer = match proxied(&request, &connections) {
            Ok(place) => Ok((actix_service::Service::call(app, request), place)),
            Err(full) => {
                metrics.connection_refused(full.as_str());
                Err(refuse(&request))
            }
        };
        async move {
            let (response, place) = match answer {
                Ok((answer, place)) => match answer.await {
                    Ok(response) => (response.into(), place),
                    Err(error) => (error.into(), place),
                },
                Err(response) => (response.into(), None),
            };
            if let Some(under_way) = &under_way {
                under_way.answered();
            }
            Ok(response.map_body(|_, body| Tracked { body, _until_sent: (under_way, place) }))
        }
    })
}

/// A place for a request that comes through a trusted proxy.
fn proxied(request: &Request, connections: &Connections) -> Result<Option<ProxiedPlace>, Full> {
    if !connections.limits_addresses() {
        return Ok(None);
    }
    let Some(peer) = request.peer_addr().map(|peer| peer.ip()) else { return Ok(None) };
    let client = connections.proxies().client(peer, request.headers());
    connections.enter_through_proxy(peer, client)
}

/// The body of an answer. The request is over when it is dropped.
pub struct Tracked {
    body: BoxBody,
    _until_sent: (Option<UnderWay>, Option<ProxiedPlace>),
}

impl MessageBody for Tracked {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
