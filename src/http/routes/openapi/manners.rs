//! What all operations of a plane have in common, added to each: its name, who may call it, and what it
//! answers to what is no good request. A handler describes only what is its own.

use actix_web::http::Method;
use utoipa::openapi::{
    Content, HeaderBuilder, Object, PathItem, Ref, RefOr, Required, Response, ResponseBuilder,
    Schema, Type,
    path::{Operation, ParameterIn},
    schema::AnyOfBuilder,
    security::SecurityRequirement,
};

use super::variants::forbid_null;
use crate::http::plane::Plane;

const JSON: &str = "application/json";

/// Completes all operations of a path.
pub fn complete(path: &str, item: &mut PathItem) {
    for (method, operation) in [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ] {
        if let Some(operation) = operation {
            complete_one(path, &method, operation);
        }
    }
}

fn complete_one(path: &str, method: &Method, operation: &mut Operation) {
    let plane = Plane::of(path);
    operation.operation_id = Some(name(method, path));
    operation.security = Some(security(plane));
    if let Some(body) = &mut operation.request_body {
        body.required = Some(Required::True);
        for content in body.content.values_mut() {
            // What is passed on is an object at least.
            if plane == Plane::Relay && !matches!(content.schema, Some(RefOr::Ref(_))) {
                content.schema = Some(Object::with_type(Type::Object).into());
            }
        }
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        // It is there or it is not: in a path, a query or a header, `null` is a word like any other.
        if let Some(schema) = &mut parameter.schema {
            forbid_null(schema);
        }
    }
    for (status, description) in refusals(plane, method, operation) {
        let added = || ResponseBuilder::new().description(description).build().into();
        operation.responses.responses.entry(status.to_owned()).or_insert_with(added);
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let is_error = status.starts_with(['4', '5']);
        if is_error && response.content.is_empty() {
            let content = Content::new(Some(error_schema(path)));
            response.content.insert(JSON.to_owned(), content);
        }
        if status == "200" && plane == Plane::Relay {
            describe_answer(response);
        }
        if response.description.is_empty() {
            usual_words(status).clone_into(&mut response.description);
        }
        for (header, description) in headers(plane, status) {
            let header_is = HeaderBuilder::new().description(Some(description)).build();
            response.headers.entry(header.to_owned()).or_insert(header_is);
        }
    }
}

/// `get_providers_by_id` for `GET /api/v1/providers/{id}`: no two are alike, and none changes when a
/// handler is named anew.
fn name(method: &Method, path: &str) -> String {
    let own = path.strip_prefix("/api/v1").unwrap_or(path);
    let own = own.replace('{', "by_").replace('}', "");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = own.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{}_{}", method.as_str().to_ascii_lowercase(), words.join("_"))
}

fn security(plane: Plane) -> Vec<SecurityRequirement> {
    let schemes: &[&str] = match plane {
        Plane::Management => &["admin_key"],
        Plane::Relay => &[
            "client_key",
            "client_key_as_anthropics",
            "client_key_as_googles",
            "client_key_in_query",
        ],
        Plane::Open | Plane::Nowhere => return vec![SecurityRequirement::default()],
    };
    let none = Vec::<String>::new;
    schemes.iter().map(|scheme| SecurityRequirement::new(*scheme, none())).collect()
}

/// What a status says of which a handler says no more.
fn usual_words(status: &str) -> &'static str {
    match status {
        "201" => "It was made",
        "204" => "It is gone",
        "400" => "Something that was sent cannot be used; the message names it",
        "404" => "There is no such thing",
        "409" => "It cannot be changed here, or is there already",
        "503" => "It is not ready",
        _ => "What was asked for",
    }
}

/// What an operation answers beside its own, by status.
fn refusals(
    plane: Plane,
    method: &Method,
    operation: &Operation,
) -> Vec<(&'static str, &'static str)> {
    let has_body = operation.request_body.is_some();
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let takes_words = parameters
        .iter()
        .any(|it| matches!(it.parameter_in, ParameterIn::Path | ParameterIn::Query));
    let mut all = Vec::new();
    if plane != Plane::Relay || !has_body {
        all.push(("429", "Too much is asked from this address at once"));
    }
    if plane == Plane::Open {
        return all;
    }
    all.push(("401", "There is no key, or none that is known here"));
    all.push(("403", "The key is not for this"));
    if has_body || takes_words {
        all.push(("400", "Something that was sent cannot be used; the message names it"));
    }
    if has_body {
        all.push(("408", "The body did not arrive in time"));
        all.push(("413", "The body is too large"));
    }
    if plane == Plane::Management {
        all.push(("503", "A part of the pool is restarting, or the database is away"));
        if parameters.iter().any(|it| it.parameter_in == ParameterIn::Path) {
            all.push(("404", usual_words("404")));
        }
        if *method != Method::GET {
            // Of whatever is in the configuration file, or came to the database from another process.
            all.push(("409", usual_words("409")));
            all.push(("500", "The database refused the change; the log says why"));
        }
        return all;
    }
    if has_body {
        all.push(("404", "No provider in use serves the model"));
        all.push(("429", "All who could answer have limits that are reached"));
        all.push(("502", "All who could answer have failed"));
        all.push(("503", "Nobody can answer now, or the pool is full or stopping"));
        all.push(("504", "Nobody has answered in time"));
        all.push(("4XX", "The upstream's word on what was sent"));
        all.push(("5XX", "The upstream's word, where a rule of the provider passes it on"));
    }
    all
}

/// An error in the dialect of the path.
fn error_schema(path: &str) -> RefOr<Schema> {
    let of = Ref::from_schema_name;
    match path.split('/').nth(1) {
        _ if Plane::of(path) != Plane::Relay => of("ManagementError").into(),
        Some("v1beta") => of("GoogleError").into(),
        Some("api") => of("OllamaError").into(),
        _ if path.starts_with("/v1/messages") => of("AnthropicError").into(),
        _ if path.ends_with(":{method}") => of("GoogleError").into(),
        // Its clients say by a header which of them they are.
        _ if path.starts_with("/v1/models") => RefOr::T(Schema::AnyOf(
            AnyOfBuilder::new()
                .item(of("OpenAiError"))
                .item(of("AnthropicError"))
                .item(of("GoogleError"))
                .build(),
        )),
        _ => of("OpenAiError").into(),
    }
}

/// An answer of the relay is the upstream's, in the dialect of the path; nothing is promised of it here
/// but that it is JSON, where the handler does not say more.
fn describe_answer(response: &mut Response) {
    if response.content.is_empty() {
        let anything = Content::new(Some(Object::with_type(Type::Object)));
        response.content.insert(JSON.to_owned(), anything);
    }
}

fn headers(plane: Plane, status: &str) -> Vec<(&'static str, &'static str)> {
    let is_error = status.starts_with(['4', '5']);
    let mut all = Vec::new();
    if plane == Plane::Relay || plane == Plane::Management && is_error {
        all.push(("x-request-id", "Names the request"));
    }
    if status == "401" {
        all.push(("www-authenticate", "`Bearer`"));
    }
    if matches!(status, "429" | "503") {
        all.push(("retry-after", "Seconds after which to ask again"));
    }
    all
}
