//! What a client may say about its routing, in headers of its own.

use actix_web::HttpRequest;

use super::problem::Problem;
use crate::domain::{
    id::ProviderId,
    model::{Capabilities, Capability},
    route::{Mode, RouteOptions, Strategy},
};

/// Most providers that one request may exclude.
pub const MAX_EXCLUDED: usize = 64;

/// Reads the headers `x-providerpool-mode`, `-strategy`, `-exclude`, `-prefer`, `-require`, `-relax`
/// and `-strict`.
///
/// Errors: [`Problem::bad_request`] that names the header: a wish that is not understood is not
/// passed over.
pub fn route_options(request: &HttpRequest) -> Result<RouteOptions, Problem> {
    let headers = request.headers();
    // Most requests have none of them, and one look says so.
    if !headers.keys().any(|name| name.as_str().starts_with("x-providerpool-")) {
        return Ok(RouteOptions::default());
    }
    let text = |name: &str| text_of(request, name);
    let wrong = |name: &str, wanted: &str| Problem::bad_request(format!("{name} must be {wanted}"));
    let mut options = RouteOptions::default();
    if let Some(word) = text("x-providerpool-mode")? {
        let wanted = || wrong("x-providerpool-mode", "auto, cloud or local");
        options.mode = Mode::parse(&word).ok_or_else(wanted)?;
    }
    if let Some(word) = text("x-providerpool-strategy")? {
        let words = Strategy::ALL.map(Strategy::as_str).join(", ");
        let wanted = || wrong("x-providerpool-strategy", &format!("one of {words}"));
        options.strategy = Some(Strategy::parse(&word).ok_or_else(wanted)?);
    }
    if let Some(list) = text("x-providerpool-exclude")? {
        let wanted = || wrong("x-providerpool-exclude", "ids of providers, at most 64");
        let ids: Result<Vec<_>, _> = words(&list).map(ProviderId::parse).collect();
        options.exclude = ids.ok().filter(|ids| ids.len() <= MAX_EXCLUDED).ok_or_else(wanted)?;
    }
    if let Some(id) = text("x-providerpool-prefer")? {
        let wanted = |_| wrong("x-providerpool-prefer", "the id of a provider");
        options.prefer = Some(ProviderId::parse(&id).map_err(wanted)?);
    }
    if let Some(list) = text("x-providerpool-require")? {
        let known = Capability::ALL.map(Capability::as_str).join(", ");
        let wanted = || wrong("x-providerpool-require", &format!("of {known}"));
        let required: Option<Capabilities> = words(&list).map(Capability::parse).collect();
        options.required = required.ok_or_else(wanted)?;
    }
    if let Some(word) = text("x-providerpool-relax")? {
        let wanted = || wrong("x-providerpool-relax", "true or false");
        options.relax = word.parse().map_err(|_| wanted())?;
    }
    if let Some(word) = text("x-providerpool-strict")? {
        let wanted = || wrong("x-providerpool-strict", "true or false");
        options.strict = word.parse().map_err(|_| wanted())?;
    }
    Ok(options)
}

/// What a header says; one that is sent more than once says all of it, with commas between.
fn text_of(request: &HttpRequest, name: &str) -> Result<Option<String>, Problem> {
    let values: Result<Vec<&str>, _> =
        request.headers().get_all(name).map(|value| value.to_str()).collect();
    let values = values.map_err(|_| Problem::bad_request(format!("{name} must be ASCII text")))?;
    Ok((!values.is_empty()).then(|| values.join(",").trim().to_owned()))
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn options(headers: &[(&'static str, &'static str)]) -> Result<RouteOptions, Problem> {
        let request = headers
            .iter()
            .fold(TestRequest::default(), |request, header| request.insert_header(*header));
        route_options(&request.to_http_request())
    }

    #[test]
    fn without_headers_there_are_no_wishes() {
        assert_eq!(options(&[("x-other", "1")]).ok(), Some(RouteOptions::default()));
    }

    #[test]
    fn every_wish_is_read() {
        let read = options(&[
            ("x-providerpool-mode", "local"),
            ("x-providerpool-strategy", "least_busy"),
            ("x-providerpool-exclude", "a, B"),
            ("x-providerpool-prefer", "c"),
            ("x-providerpool-require", "vision,tools"),
            ("x-providerpool-relax", "true"),
            ("x-providerpool-strict", "true"),
        ]);
        let id = |id| ProviderId::parse(id).unwrap();
        let expected = RouteOptions {
            mode: Mode::Local,
            strategy: Some(Strategy::LeastBusy),
            exclude: vec![id("a"), id("b")],
            prefer: Some(id("c")),
            required: Capabilities::NONE.with(Capability::Vision).with(Capability::Tools),
            relax: true,
            strict: true,
        };
        assert_eq!(read.ok(), Some(expected));
    }

    #[test]
    fn a_header_that_is_sent_twice_says_both() {
        let request = TestRequest::default()
            .append_header(("x-providerpool-exclude", "a"))
            .append_header(("x-providerpool-exclude", "b"))
            .append_header(("x-providerpool-mode", "local"))
            .to_http_request();
        let excluded = route_options(&request).ok().map(|options| options.exclude.len());
        assert_eq!(excluded, Some(2));
        let twice = TestRequest::default()
            .append_header(("x-providerpool-mode", "local"))
            .append_header(("x-providerpool-mode", "cloud"))
            .to_http_request();
        assert!(route_options(&twice).is_err(), "one of two modes was chosen");
    }

    #[test]
    fn a_wish_that_is_not_understood_is_refused_by_name() {
        for (name, value) in [
            ("x-providerpool-mode", "cheap"),
            ("x-providerpool-strategy", "best"),
            ("x-providerpool-exclude", "a b"),
            ("x-providerpool-prefer", "?"),
            ("x-providerpool-require", "vision, taste"),
            ("x-providerpool-relax", "perhaps"),
            ("x-providerpool-exclude", "caf\u{e9}"),
        ] {
            let problem = options(&[(name, value)]).expect_err(name);
            assert!(problem.message.contains(name), "{name}");
        }
    }
}
