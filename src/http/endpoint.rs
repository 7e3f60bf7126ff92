//! One list for what is served and for what is described, so that neither can hold what the other
//! lacks; and what is answered where nothing is served.

use actix_web::{
    HttpRequest, HttpResponse, Route,
    dev::ResourceDef,
    guard,
    http::{Method, StatusCode, header, header::HeaderValue},
    web::Data,
};
use utoipa::openapi::{OpenApi, PathItem, path::Operation};

use super::{
    auth,
    plane::{Plane, spoken},
    problem::{ErrorResponse, Management, Problem},
};
use crate::{
    actors::{access_keys::KeyRing, published::Published},
    domain::id::RequestId,
};

/// A handler, and where it is served: as its `#[utoipa::path]` says.
pub struct Endpoint {
    pub method: Method,
    /// As it is described.
    pub path: String,
    /// The parameter that takes the rest of the path, or all up to what follows it.
    slashed: Option<&'static str>,
    make_route: fn() -> Route,
    description: OpenApi,
}

/// The [`Endpoint`] of a handler.
macro_rules! endpoint {
    ($handler:ident) => {{
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($handler))]
        struct Described;
        $crate::http::endpoint::Endpoint::new(
            || actix_web::web::to($handler),
            <Described as utoipa::OpenApi>::openapi(),
        )
    }};
}
pub(super) use endpoint;

impl Endpoint {
    /// `description`: of this one handler.
    pub fn new(make_route: fn() -> Route, description: OpenApi) -> Self {
        let (path, item) = description.paths.paths.first_key_value().expect("it has a path");
        let (method, _) = operations(item).next().expect("it has a method");
        let (method, path) = (method.clone(), path.clone());
        Self { method, path, slashed: None, make_route, description }
    }

    /// Lets this parameter hold slashes, as names of models do.
    pub fn with_slashes(self, parameter: &'static str) -> Self {
        Self { slashed: Some(parameter), ..self }
    }

    /// Its path as the router takes it.
    pub fn pattern(&self) -> String {
        match self.slashed {
            None => self.path.clone(),
            Some(name) => self.path.replace(&format!("{{{name}}}"), &format!("{{{name}:.*}}")),
        }
    }

    /// Takes its method, and HEAD wherever it takes GET: the server leaves the body out.
    pub fn route(&self) -> Route {
        let route = (self.make_route)();
        if self.method == Method::GET {
            return route.guard(guard::Any(guard::Get()).or(guard::Head()));
        }
        route.method(self.method.clone())
    }

    pub fn into_description(self) -> OpenApi {
        self.description
    }
}

/// The operations of a path, with their methods.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// Which methods each path takes.
pub struct Table(Vec<(ResourceDef, Method)>);

impl Table {
    pub fn new(endpoints: &[Endpoint]) -> Self {
        let row = |it: &Endpoint| (ResourceDef::new(it.pattern()), it.method.clone());
        Self(endpoints.iter().map(row).collect())
    }

    /// What may be asked of a path: the value of `allow`. `None`: there is nothing there.
    fn allowed(&self, path: &str) -> Option<String> {
        let mut words: Vec<&str> = Vec::new();
        for (_, method) in self.0.iter().filter(|(pattern, _)| pattern.is_match(path)) {
            words.push(method.as_str());
            if *method == Method::GET {
                words.push("HEAD");
            }
        }
        if words.is_empty() {
            return None;
        }
        words.push("OPTIONS");
        words.sort_unstable();
        words.dedup();
        Some(words.join(", "))
    }

    /// The path that was meant, where it ends with a slash too many, or a client's base URL holds too much
    /// or too little.
    fn meant(&self, path: &str) -> Option<String> {
        let bare = path.trim_end_matches('/');
        let ends_with_slash = bare.len() < path.len() && self.allowed(bare).is_some();
        if ends_with_slash {
            return Some(bare.to_owned());
        }
        let with = format!("/v1{bare}");
        let without = bare.strip_prefix("/v1").filter(|rest| rest.starts_with('/'));
        let meant = [Some(with), without.map(str::to_owned)].into_iter().flatten();
        let is_there =
            |path: &String| Plane::of(path) == Plane::Relay && self.allowed(path).is_some();
        meant.into_iter().find(is_there)
    }
}

/// Answers what no route has taken: 404, or 405 with `allow` where another method is, which OPTIONS
/// asks for. Without a key nothing is told but what OPTIONS may ask of the relay: browsers ask that
/// before they send a key. Management has looked at the key already.
pub async fn not_served(
    request: HttpRequest,
    table: Data<Table>,
    keys: Data<Published<KeyRing>>,
) -> Result<HttpResponse, actix_web::Error> {
    let (method, path) = (request.method(), request.path());
    let Some(allowed) = table.allowed(path) else {
        let hint = table.meant(path).map(|meant| format!("; did you mean {meant}?"));
        let message = format!("there is no {method} {path}{}", hint.unwrap_or_default());
        let problem = Problem::not_found("route_not_found", message);
        // Ollama's paths and management's begin alike: who manages is told so by management.
        if auth::manages(&request, &keys) {
            return Err(ErrorResponse::<Management>::from(problem).into());
        }
        return Err(refusal(&request, problem));
    };
    let mut response = if *method == Method::OPTIONS {
        HttpResponse::NoContent().finish()
    } else {
        let problem = Problem::method_not_allowed(method, path, &allowed);
        refusal(&request, problem).error_response()
    };
    if response.status() != StatusCode::UNAUTHORIZED && response.status() != StatusCode::FORBIDDEN {
        let allowed = HeaderValue::try_from(allowed).expect("names of methods are ASCII");
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    Ok(response)
}

/// A problem in the dialect of whoever asks. On the relay a key comes first: without one, nothing else
/// is told. Management has looked at it already.
pub fn refusal(request: &HttpRequest, problem: Problem) -> actix_web::Error {
    if Plane::of(request.path()) != Plane::Relay {
        return ErrorResponse::<Management>::from(problem).into();
    }
    let keys = request.app_data::<Data<Published<KeyRing>>>();
    let refused = auth::client(request, keys.expect("the server gives every scope its data"));
    let problem = refused.err().unwrap_or(problem);
    ErrorResponse::of(spoken(request), problem, RequestId::generate()).into()
}
