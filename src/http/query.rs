//! Queries, with the parameter at fault in the answer.

use std::{
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::de::DeserializeOwned;

use super::{endpoint::refusal, problem::Problem};

/// The query of a request.
#[derive(Debug)]
pub struct Query<T>(T);

impl<T> Query<T> {
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = parse(request.query_string()).map(Self);
        ready(read.map_err(|problem| refusal(request, problem)))
    }
}

/// Errors: [`Problem::bad_request`], about the parameter that cannot be used.
fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let parameter = error.path().to_string();
        let said = error.into_inner();
        // What is not of one parameter: one that is not known, or that is there twice.
        if parameter == "." || parameter == "?" {
            return Problem::bad_request(format!("the query cannot be used: {said}"));
        }
        Problem::bad_request(format!("{parameter}: {said}")).about(parameter)
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        limit: Option<usize>,
        cursor: Option<String>,
    }

    #[test]
    fn a_query_is_read_as_it_is_escaped() {
        let page: Page = parse("cursor=a%2Fb+c&limit=5").unwrap();
        assert_eq!((page.limit, page.cursor.as_deref()), (Some(5), Some("a/b c")));
        let page: Page = parse("").unwrap();
        assert_eq!((page.limit, page.cursor), (None, None));
    }

    #[test]
    fn the_parameter_at_fault_is_named() {
        for query in ["limit=-1", "cursor=a&limit=many", "limit="] {
            let problem = parse::<Page>(query).unwrap_err();
            assert!(problem.message.starts_with("limit: "), "{query}: {}", problem.message);
            assert_eq!(problem.param.as_deref(), Some("limit"), "{query}");
        }
        let unknown = parse::<Page>("limits=1").unwrap_err();
        assert!(unknown.message.contains("`limits`"), "{}", unknown.message);
        let twice = parse::<Page>("limit=1&limit=2").unwrap_err();
        assert!(twice.message.contains("`limit`"), "{}", twice.message);
    }
}
