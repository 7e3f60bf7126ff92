//! Bodies and paths of management calls, with our words when they do not parse.

use std::ops::Deref;

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest, dev,
    web::{Data, PathConfig, Payload},
};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_path_to_error::Track;

use super::{
    auth,
    body::Bodies,
    endpoint::refusal,
    problem::{ErrorResponse, Management, Problem},
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
    type Error = ErrorResponse<Management>;
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
            let key = auth::admitted(&request);
            let body = bodies.read(&request, payload, MAX_BODY, &key.id).await?;
            Ok(Self(parse(&body.bytes)?))
        })
    }
}

/// Errors: [`Problem::bad_request`], with the place in the body.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let (mut reader, mut track) = (serde_json::Deserializer::from_slice(body), Track::new());
    let value = strict::read(serde_path_to_error::Deserializer::new(&mut reader, &mut track));
    let error = match value.and_then(|value| reader.end().map(|()| value)) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let (place, said) = (track.path().to_string(), error.to_string());
    if !error.is_data() || place == "." || place == "?" {
        return Err(Problem::bad_request(format!("the body cannot be used: {said}")));
    }
    let position = format!(" at line {} column {}", error.line(), error.column());
    let said = said.strip_suffix(&position).unwrap_or(&said);
    Err(Problem::bad_request(format!("{place}: {said}")).about(place))
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Served {
        #[expect(dead_code, reason = "only read")]
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only read")]
        models: Vec<Served>,
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_place() {
        for (body, param, said) in [
            (
                r#"{"models":["a"]}"#,
                Some("models[0]"),
                "models[0]: invalid type: string \"a\", expected an object",
            ),
            (
                r#"{"models":[{"name":5}]}"#,
                Some("models[0].name"),
                "models[0].name: invalid type: integer `5`, expected a string",
            ),
            (
                r#"{"models":[{"nam":"a"}]}"#,
                Some("models[0].nam"),
                "models[0].nam: unknown field `nam`, expected `name`",
            ),
            ("[]", None, "the body cannot be used: "),
            ("{", None, "the body cannot be used: "),
            (r#"{"models":[]} x"#, None, "the body cannot be used: "),
        ] {
            let problem = parse::<Body>(body.as_bytes()).unwrap_err();
            assert!(problem.message.starts_with(said), "{body}: {}", problem.message);
            assert_eq!(problem.param.as_deref(), param, "{body}");
        }
    }
}
