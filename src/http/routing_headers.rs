//! What a client may say about its routing, in headers of its own.

use actix_web::HttpRequest;

use super::problem::Problem;
use crate::{
    actors::registry::ProviderTable,
    domain::{
        id::ProviderId,
        model::{Capabilities, Capability},
        name::nearest,
        route::{Mode, RouteOptions, Strategy},
    },
};

/// Most providers that one request may exclude.
pub const MAX_EXCLUDED: usize = 64;

/// What the names of the pool's headers begin with.
const PREFIX: &str = "x-providerpool-";

/// All that a client may wish, behind [`PREFIX`]. Another name that begins so is one that was mistyped.
const WISHES: [&str; 10] = [
    "timeout-ms",
    "mode",
    "strategy",
    "across-tiers",
    "exclude",
    "prefer",
    "require",
    "relax",
    "strict",
    "session",
];

/// What each request to the relay may say about its routing. Described alone: they are read by
/// [`route_options`], and where they are used.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is described, and never made")]
pub struct RoutingHeaders {
    /// Longest time this request may take, in milliseconds.
    #[param(rename = "x-providerpool-timeout-ms", minimum = 1)]
    timeout_ms: Option<u64>,
    /// Where it may be served. Absent: auto.
    #[param(rename = "x-providerpool-mode")]
    mode: Option<Mode>,
    /// How candidates are ordered, instead of the route's strategy.
    #[param(rename = "x-providerpool-strategy")]
    strategy: Option<Strategy>,
    /// Whether that orders all candidates, whatever the priority of their providers. Absent: as the
    /// route says.
    #[param(rename = "x-providerpool-across-tiers")]
    across_tiers: Option<bool>,
    /// Ids of providers that are not to be asked, at most 64, with commas between them.
    #[param(rename = "x-providerpool-exclude")]
    exclude: Option<String>,
    /// A provider that is asked first, when it can serve the request.
    #[param(rename = "x-providerpool-prefer")]
    prefer: Option<ProviderId>,
    /// What the model must be able to do, beside what the body shows: of vision, audio, tools, json,
    /// thinking, streaming, with commas between them.
    #[param(rename = "x-providerpool-require")]
    require: Option<String>,
    /// Whether models that lack something of it may be asked after all others.
    #[param(rename = "x-providerpool-relax")]
    relax: Option<bool>,
    /// Whether to refuse rather than lose anything of it in translation.
    #[param(rename = "x-providerpool-strict")]
    strict: Option<bool>,
    /// Names a session, whose requests go to the same place while it is well.
    #[param(rename = "x-providerpool-session")]
    session: Option<String>,
}

/// Reads the headers `x-providerpool-mode`, `-strategy`, `-across-tiers`, `-exclude`, `-prefer`,
/// `-require`, `-relax` and `-strict`.
///
/// Errors: [`Problem::bad_request`] that names the header: a wish that is not understood is not
/// passed over.
pub fn route_options(request: &HttpRequest) -> Result<RouteOptions, Problem> {
    let headers = request.headers();
    // Most requests have none of them, and one look says so.
    let ours = || headers.keys().filter_map(|name| name.as_str().strip_prefix(PREFIX));
    if ours().next().is_none() {
        return Ok(RouteOptions::default());
    }
    if let Some(unknown) = ours().find(|wish| !WISHES.contains(wish)) {
        return Err(unknown_header(unknown));
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
    if let Some(word) = text("x-providerpool-across-tiers")? {
        let wanted = || wrong("x-providerpool-across-tiers", "true or false");
        options.across_tiers = Some(word.parse().map_err(|_| wanted())?);
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
        let read = |word| {
            let wanted =
                || wrong("x-providerpool-require", &format!("of {known}, and not {word:?}"));
            Capability::parse(word).ok_or_else(wanted)
        };
        options.required = words(&list).map(read).collect::<Result<Capabilities, _>>()?;
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

fn unknown_header(wish: &str) -> Problem {
    let meant = match nearest(wish, &WISHES) {
        Some(nearest) => format!("did you mean {PREFIX}{nearest}?"),
        None => format!("known behind {PREFIX} are {}", WISHES.join(", ")),
    };
    Problem::bad_request(format!("{PREFIX}{wish} is no header of the pool; {meant}"))
}

/// Names the providers that a request speaks of and that are not there. They keep it from nothing: one
/// may have been deleted since the client was set up.
pub fn unknown_providers(options: &RouteOptions, providers: &ProviderTable) -> Option<String> {
    let spoken_of = options.exclude.iter().chain(&options.prefer);
    let unknown = spoken_of.filter(|id| providers.find_row(id).is_none());
    let names: Vec<&str> = unknown.map(ProviderId::as_str).collect();
    (!names.is_empty()).then(|| format!("there is no provider {}", names.join(", ")))
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
            ("x-providerpool-across-tiers", "true"),
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
            across_tiers: Some(true),
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
    fn what_was_mistyped_is_told_with_what_was_meant() {
        let said = |header| options(&[header]).unwrap_err().message;
        assert_eq!(
            said(("x-providerpool-exlude", "acme")),
            "x-providerpool-exlude is no header of the pool; did you mean x-providerpool-exclude?"
        );
        let words = said(("x-providerpool-foo", "1"));
        assert!(words.contains("; known behind x-providerpool- are timeout-ms, mode, "), "{words}");
        let words = said(("x-providerpool-require", "vision, taste"));
        assert!(words.ends_with(", and not \"taste\""), "{words}");
    }

    #[test]
    fn a_wish_that_is_not_understood_is_refused_by_name() {
        for (name, value) in [
            ("x-providerpool-mode", "cheap"),
            ("x-providerpool-strategy", "best"),
            ("x-providerpool-across-tiers", "yes"),
            ("x-providerpool-exclude", "a b"),
            ("x-providerpool-prefer", "?"),
            ("x-providerpool-require", "vision, taste"),
            ("x-providerpool-relax", "perhaps"),
            ("x-providerpool-exclude", "caf\u{e9}"),
            ("x-providerpool-exlude", "acme"),
            ("x-providerpool-provider", "acme"),
        ] {
            let problem = options(&[(name, value)]).expect_err(name);
            assert!(problem.message.contains(name), "{name}");
        }
    }
}
