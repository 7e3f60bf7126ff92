//! Upstreams as they are, and as they mislead.

use super::*;

const BASE: &str = "https://a.test/api";

fn questions() -> Vec<Probe> {
    let base: Url = BASE.parse().unwrap();
    let at =
        |format, path: &str| Endpoint { format, url: format!("{BASE}{path}").parse().unwrap() };
    let endpoints = [
        at(ApiFormat::Openai, "/v1/chat/completions"),
        at(ApiFormat::Anthropic, "/v1/messages"),
        at(ApiFormat::Responses, "/v1/responses"),
        at(ApiFormat::Google, "/v1beta/models"),
        at(ApiFormat::Ollama, "/api/chat"),
    ];
    probes(&base, &endpoints, ["nobody-1", "nobody-2"])
}

fn heard(status: u16, shape: Shape) -> ProbeAnswer {
    ProbeAnswer { status, shape }
}

fn error(status: u16, family: Family) -> ProbeAnswer {
    heard(status, Shape::Error { family, word: None })
}

/// What an upstream has told that answers each path as `answer` says.
fn told(answer: impl Fn(&str, Method) -> ProbeAnswer) -> FormatVerdict {
    let answers = questions().into_iter().map(|probe| {
        let path = probe.url.path().strip_prefix("/api").unwrap().to_owned();
        let answer = answer(&path, probe.method);
        (probe, Ok(answer))
    });
    judge(answers.collect())
}

fn formats(answer: impl Fn(&str, Method) -> ProbeAnswer) -> Vec<ApiFormat> {
    told(answer).formats
}

#[test]
fn nothing_is_asked_twice_and_each_way_of_asking_has_a_control() {
    let questions = questions();
    assert_eq!(questions.len(), 14);
    for probe in questions.iter().filter(|probe| probe.about.is_some()) {
        let is_control = |other: &&Probe| other.about.is_none() && other.method == probe.method;
        assert!(questions.iter().any(|other| is_control(&other)), "{probe:?}");
    }
    let paths: Vec<&str> = questions.iter().map(|probe| probe.url.path()).collect();
    assert!(paths.contains(&"/api/v1/nobody-1") && paths.contains(&"/api/v1beta/nobody-1"));
    assert!(paths.contains(&"/api/v1/models") && paths.contains(&"/api/api/tags"));
    assert!(paths.contains(&"/api/"));
}

#[test]
fn whoever_answers_everything_alike_has_told_nothing() {
    for answer in [
        error(401, Family::Openai),
        error(401, Family::Anthropic),
        error(401, Family::Google),
        error(400, Family::Ollama),
        error(403, Family::Openai),
        error(404, Family::Openai),
        error(429, Family::Openai),
        error(502, Family::Openai),
        heard(200, Shape::Page),
        heard(200, Shape::Json),
        heard(200, Shape::Models(Family::Openai)),
        heard(401, Shape::Json),
        heard(401, Shape::Empty),
        heard(302, Shape::Empty),
        heard(404, Shape::Text),
    ] {
        let verdict = told(|_, _| answer.clone());
        assert_eq!(verdict.formats, [], "{answer:?}");
        assert!(verdict.evidence.iter().all(|it| {
            matches!(it.tells, Tells::Control | Tells::Nothing | Tells::Inconclusive)
        }));
    }
}

#[test]
fn whoever_answers_nobody_has_told_nothing() {
    let answers = questions().into_iter().map(|probe| (probe, Err(FailureClass::Connect)));
    let verdict = judge(answers.collect());
    assert_eq!(verdict.formats, []);
    assert!(verdict.evidence.iter().all(|it| it.tells != Tells::Nothing));
}

#[test]
fn without_an_answer_to_the_controls_nothing_is_told() {
    let answers = questions().into_iter().map(|probe| match probe.about {
        None => (probe, Err(FailureClass::Silent)),
        Some(_) => (probe, Ok(error(401, Family::Openai))),
    });
    assert_eq!(judge(answers.collect()).formats, []);
}

#[test]
fn each_family_is_recognised_by_its_own_path() {
    use ApiFormat::*;
    let missing = || heard(404, Shape::Text);
    let at = |wanted: &'static str, answer: ProbeAnswer| {
        formats(move |path, _| if path == wanted { answer.clone() } else { missing() })
    };
    for status in [400, 401, 403, 405, 415, 422, 429] {
        assert_eq!(at("/v1/chat/completions", error(status, Family::Openai)), [Openai], "{status}");
        assert_eq!(at("/v1/responses", error(status, Family::Openai)), [Responses], "{status}");
        assert_eq!(at("/v1/messages", error(status, Family::Anthropic)), [Anthropic], "{status}");
        assert_eq!(at("/v1beta/models", error(status, Family::Google)), [Google], "{status}");
    }
    assert_eq!(at("/v1/models", heard(200, Shape::Models(Family::Openai))), [Openai]);
    assert_eq!(at("/v1/models", heard(200, Shape::Models(Family::Anthropic))), [Anthropic]);
    assert_eq!(at("/v1beta/models", heard(200, Shape::Models(Family::Google))), [Google]);
    assert_eq!(at("/api/tags", heard(200, Shape::Models(Family::Ollama))), [Ollama]);
    assert_eq!(at("/", heard(200, Shape::Greeting(Family::Ollama))), [Ollama]);
    assert_eq!(at("/api/chat", error(400, Family::Ollama)), [Ollama]);
}

#[test]
fn what_anyone_might_answer_tells_nothing() {
    let missing = || heard(404, Shape::Text);
    for (wanted, answer) in [
        ("/v1/chat/completions", heard(200, Shape::Json)),
        ("/v1/chat/completions", heard(401, Shape::Json)),
        ("/v1/chat/completions", heard(200, Shape::Page)),
        ("/v1/chat/completions", error(404, Family::Openai)),
        ("/v1/chat/completions", error(500, Family::Openai)),
        ("/v1/chat/completions", error(401, Family::Ollama)),
        ("/v1/models", error(401, Family::Openai)),
        ("/v1beta/models", error(401, Family::Openai)),
        ("/api/chat", error(401, Family::Ollama)),
        ("/api/chat", error(400, Family::Openai)),
        ("/", heard(200, Shape::Page)),
    ] {
        let found = formats(|path, _| if path == wanted { answer.clone() } else { missing() });
        assert_eq!(found, [], "{wanted} {answer:?}");
    }
}

#[test]
fn a_gateway_that_lets_nobody_in_below_one_folder_is_not_taken_for_all_formats() {
    // The controls stand in the same folders as what they are compared with.
    let found = formats(|path, _| {
        if path.starts_with("/v1/") { error(401, Family::Openai) } else { heard(404, Shape::Text) }
    });
    assert_eq!(found, []);
}

#[test]
fn a_gateway_with_one_way_of_writing_errors_speaks_what_it_has_paths_for() {
    use ApiFormat::*;
    let found = formats(|path, _| match path {
        "/v1/chat/completions" | "/v1/messages" => error(401, Family::Openai),
        _ => error(404, Family::Openai),
    });
    assert_eq!(found, [Openai, Anthropic]);
    let found = formats(|path, _| match path {
        "/v1/chat/completions" | "/v1/messages" => error(401, Family::Anthropic),
        _ => heard(404, Shape::Text),
    });
    assert_eq!(found, [Anthropic, Openai], "the surest first");
}

#[test]
fn a_limit_that_is_reached_on_the_way_tells_nothing() {
    let found = formats(|path, method| match (path, method) {
        ("/v1/responses" | "/v1/messages", Method::Post) => error(429, Family::Openai),
        _ => error(401, Family::Openai),
    });
    assert_eq!(found, []);
}

#[test]
fn another_word_for_the_same_status_is_another_answer() {
    let worded = |word: &str| {
        heard(400, Shape::Error { family: Family::Openai, word: Some(word.to_owned()) })
    };
    let found = formats(|path, _| match path {
        "/v1/chat/completions" => worded("missing_required_parameter"),
        _ => worded("unknown_url"),
    });
    assert_eq!(found, [ApiFormat::Openai]);
}
