//! Bodies and paths of management calls, with our words when they do not parse.

use std::ops::Deref;

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest, dev,
    web::{Data, PathConfig, Payload},
};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::{
    body::Bodies,
    endpoint::refusal,
    problem::{Failure, Management, Problem},
};
use crate::gateway::dialect::strict;

/// Largest body of a management call, in bytes. A provider with 2000 models fits.
pub const MAX_BODY: usize = 1024 * 1024;

/// The JSON body of a management call. It is read after the key was checked, as all bodies are.
pub struct JsonBody<T>(T);

impl<T> JsonBody<T> {
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for JsonBody<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = Failure<Management>;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let (request, payload) = (request.clone(), Payload::from_request(request, payload));
        Box::pin(async move {
            if !is_json(&request) {
                let message = "the body must be JSON, sent as 'Content-Type: application/json'";
                return Err(Problem::bad_request(message).into());
            }
            let payload = payload.await.expect("a payload is always there");
            let bodies = request.app_data::<Data<Bodies>>();
            let bodies = bodies.expect("the server gives every scope its bodies");
            let body = bodies.read(&request, payload, MAX_BODY).await?;
            Ok(Self(parse(&body.bytes)?))
        })
    }
}

/// Errors: [`Problem::bad_request`], with the place in the body.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    strict::from_slice(body).map_err(|error| {
        Problem::bad_request(format!("the body cannot be used: Json deserialize error: {error}"))
    })
}

fn is_json(request: &HttpRequest) -> bool {
    let Ok(Some(mime)) = request.mime_type() else { return false };
    mime.subtype() == "json" || mime.suffix().is_some_and(|suffix| suffix == "json")
}

pub fn path_config() -> PathConfig {
    PathConfig::default().error_handler(|error, request| {
        refusal(request, Problem::bad_request(format!("the path cannot be used: {error}")))
    })
}
