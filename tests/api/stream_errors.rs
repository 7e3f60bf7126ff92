//! Errors that an upstream sends inside a stream, after it has begun well: what its dialect says of the
//! cause, who is asked to go on, whom it blames, and what the client is told in its own dialect.

use providerpool::domain::provider::ApiFormat;
use serde_json::{Value, json};

use crate::{
    faults::{Wrong, check_all_at_once, named},
    support::{
        Reply, Setup, Streaming, TestApp, chat_body,
        dialect::{CLIENTS, Client, FORMATS, events, events_saying, script, whole},
        script::{Script, Step, content, raw, stream},
        settled,
    },
};

/// Pools that are tried at once.
const AT_ONCE: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    RateLimit,
    Overload,
    Server,
    Auth,
    Payment,
    Refusal,
    TooLong,
    ClientFault,
}

const CAUSES: [Cause; 8] = [
    Cause::RateLimit,
    Cause::Overload,
    Cause::Server,
    Cause::Auth,
    Cause::Payment,
    Cause::Refusal,
    Cause::TooLong,
    Cause::ClientFault,
];

/// What the upstream says of it, beside its message.
const MESSAGE: &str = "no, says the upstream";

impl Cause {
    fn class(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::Overload => "overload",
            Self::Server => "server",
            Self::Auth => "auth",
            Self::Payment => "payment",
            Self::Refusal => "refusal",
            Self::TooLong => "context_too_long",
            Self::ClientFault => "client_fault",
        }
    }

    /// Whether another candidate may go on with the stream.
    fn is_resumed(self) -> bool {
        !self.is_the_clients()
    }

    /// Whether it is about the request, so that the client is told the upstream's own words.
    fn is_the_clients(self) -> bool {
        matches!(self, Self::Refusal | Self::TooLong | Self::ClientFault)
    }

    /// The scope that is left alone at once.
    fn cools(self) -> Option<&'static str> {
        match self {
            Self::RateLimit => Some("credential_model"),
            Self::Auth | Self::Payment => Some("credential"),
            _ => None,
        }
    }

    /// The status that the error would have had before the stream, and its code.
    fn told(self) -> (u16, &'static str) {
        match self {
            Self::RateLimit => (429, "rate_limited"),
            Self::Overload => (503, "overloaded"),
            Self::Server => (502, "upstream_error"),
            Self::Auth => (502, "upstream_auth"),
            Self::Payment => (429, "insufficient_quota"),
            Self::Refusal => (400, "content_filter"),
            Self::TooLong => (400, "context_length_exceeded"),
            Self::ClientFault => (400, "invalid_request"),
        }
    }

    /// OpenAI's word for it.
    fn code(self) -> Value {
        match self {
            Self::RateLimit => json!("rate_limit_exceeded"),
            Self::Overload => json!("server_is_overloaded"),
            Self::Server => json!("server_error"),
            Self::Auth => json!("invalid_api_key"),
            Self::Payment => json!("insufficient_quota"),
            Self::Refusal => json!("content_filter"),
            Self::TooLong => json!("context_length_exceeded"),
            Self::ClientFault => json!("invalid_prompt"),
        }
    }

    /// How an upstream sends it, in each way its dialect has. None: it has no words for this.
    fn events(self, format: ApiFormat) -> Vec<String> {
        match format {
            ApiFormat::Responses => self.of_responses(),
            ApiFormat::Anthropic => self.of_messages(),
            ApiFormat::Google => self.of_gemini(),
            ApiFormat::Ollama => self.of_ollama(),
            _ => self.of_chat(),
        }
    }

    fn of_chat(self) -> Vec<String> {
        let error = json!({"message": MESSAGE, "type": "x", "param": null, "code": self.code()});
        let mut ways = vec![json!({ "error": error })];
        match self {
            Self::TooLong => {
                let message = format!("This model's maximum context length is 8 tokens. {MESSAGE}");
                ways.push(json!({"error": {"type": "invalid_request_error", "message": message}}));
            }
            Self::ClientFault => {
                ways.push(json!({"error": {"type": "invalid_request_error", "message": MESSAGE}}));
            }
            Self::RateLimit => ways.push(json!({"error": {"code": 429, "message": MESSAGE}})),
            Self::Server => ways.push(json!({"object": "error", "message": MESSAGE, "code": 500})),
            _ => {}
        }
        ways.into_iter().map(|error| format!("data: {error}\n\n")).collect()
    }

    fn of_responses(self) -> Vec<String> {
        let flat = json!({"type": "error", "code": self.code(), "message": MESSAGE, "param": null,
            "sequence_number": 9});
        let error = json!({"code": self.code(), "message": MESSAGE});
        let nested = json!({"type": "error", "error": error});
        let failed = json!({"type": "response.failed",
            "response": {"id": "resp_1", "object": "response", "status": "failed", "error": error}});
        let named = |event: &Value| {
            format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
        };
        [flat, nested, failed].iter().map(named).collect()
    }

    fn of_messages(self) -> Vec<String> {
        let long = format!("prompt is too long: 9 tokens > 8 maximum, {MESSAGE}");
        let (kind, message) = match self {
            Self::RateLimit => ("rate_limit_error", MESSAGE),
            Self::Overload => ("overloaded_error", MESSAGE),
            Self::Server => ("api_error", MESSAGE),
            Self::Auth => ("authentication_error", MESSAGE),
            Self::Payment => ("billing_error", MESSAGE),
            Self::Refusal => return Vec::new(),
            Self::TooLong => ("invalid_request_error", &*long),
            Self::ClientFault => ("invalid_request_error", MESSAGE),
        };
        let event = json!({"type": "error", "error": {"type": kind, "message": message}});
        vec![format!("event: error\ndata: {event}\n\n")]
    }

    fn of_gemini(self) -> Vec<String> {
        let long = format!(
            "The input token count (9) exceeds the maximum number of tokens allowed (8). {MESSAGE}"
        );
        let (code, status, message) = match self {
            Self::RateLimit | Self::Payment => (429, "RESOURCE_EXHAUSTED", MESSAGE),
            Self::Overload => (503, "UNAVAILABLE", MESSAGE),
            Self::Server => (500, "INTERNAL", MESSAGE),
            Self::Auth => (401, "UNAUTHENTICATED", MESSAGE),
            Self::Refusal => return Vec::new(),
            Self::TooLong => (400, "INVALID_ARGUMENT", &*long),
            Self::ClientFault => (400, "INVALID_ARGUMENT", MESSAGE),
        };
        let details = match self {
            Self::Payment => json!([{"violations": [{"quotaId": "GenerateRequestsPerDay"}]}]),
            _ => json!([]),
        };
        let error = json!({"code": code, "status": status, "message": message, "details": details});
        vec![format!("data: {}\n\n", json!({ "error": error }))]
    }

    /// Its own server has a text and nothing more; what stands before it may add a status.
    fn of_ollama(self) -> Vec<String> {
        let line = match self {
            Self::RateLimit => json!({"error": MESSAGE, "status": 429}),
            Self::Overload => {
                json!({"error": format!("Server overloaded, please retry shortly ({MESSAGE})")})
            }
            Self::Server => json!({ "error": MESSAGE }),
            Self::Auth => json!({"error": MESSAGE, "status_code": 401}),
            Self::Payment => json!({"error": MESSAGE, "status_code": 402}),
            Self::Refusal => return Vec::new(),
            Self::TooLong => {
                json!({"error": format!("the input length exceeds the context length, {MESSAGE}")})
            }
            Self::ClientFault => json!({"error": MESSAGE, "status": 400}),
        };
        vec![format!("{line}\n")]
    }
}

/// A stream of this format that says "Hello" and then this.
fn broken_by(format: ApiFormat, error: &str) -> Script {
    let (events, _) = events(format);
    let first = events.iter().position(|event| event.contains("Hello")).unwrap();
    let begun = events.into_iter().take(first + 1).fold(script(format), Script::send);
    // What comes behind an error counts for nothing.
    begun.send(error).send(events_saying(format, &[" never"]).0.pop().unwrap())
}

/// What is wrong with the error that a client's stream ends with.
fn fault_in(client: Client, cause: Cause, code: Option<&str>, last: &Value) -> Option<String> {
    let (status, usual) = cause.told();
    let code = code.filter(|_| cause.is_the_clients()).unwrap_or(usual);
    let message = match client {
        Client::Responses if last["type"] == "response.failed" => {
            &last["response"]["error"]["message"]
        }
        Client::Responses => &last["message"],
        Client::OllamaChat | Client::OllamaGenerate => &last["error"],
        _ => &last["error"]["message"],
    };
    let message = message.as_str().unwrap_or_default();
    let is_passed_on = message.contains(MESSAGE);
    let says_it_broke = message.matches("broke off").count();
    if is_passed_on != cause.is_the_clients() || says_it_broke != usize::from(!is_passed_on) {
        return Some(format!("the message {message:?}"));
    }
    let kind = match status {
        429 => "rate_limit_error",
        503 => "overloaded_error",
        400 => "invalid_request_error",
        _ => "api_error",
    };
    let is_good = match client {
        Client::Chat | Client::Completions => last["error"]["code"] == code,
        Client::Responses if last["type"] == "response.failed" => {
            let code = match code {
                "rate_limited" => "rate_limit_exceeded",
                "overloaded" => "server_is_overloaded",
                "upstream_error" => "server_error",
                other => other,
            };
            last["response"]["error"]["code"] == code
        }
        Client::Responses => last["code"] == code && last["error"]["code"] == code,
        Client::Messages => last["error"]["type"] == kind,
        Client::Gemini | Client::GeminiArray => last["error"]["code"] == status,
        Client::OllamaChat | Client::OllamaGenerate => true,
    };
    (!is_good).then(|| format!("the error {last}"))
}

/// All clients of one pool, one after the other.
async fn run(format: ApiFormat, cause: Cause, error: String, beside: bool) -> Vec<String> {
    let setup = Setup { backup: beside, speaks: Some(format), ..Setup::default() };
    let app = TestApp::with(setup).await;
    let mut wrong = Vec::new();
    for client in CLIENTS {
        let what = format!(
            "{client:?} over {format:?} {cause:?} {}: {error}",
            if beside { "beside another" } else { "alone" }
        );
        wrong.extend(named(what, try_one(&app, client, format, cause, &error, beside)).await);
    }
    wrong
}

async fn try_one(
    app: &TestApp,
    client: Client,
    format: ApiFormat,
    cause: Cause,
    error: &str,
    beside: bool,
) -> Vec<String> {
    let mut wrong = Wrong::default();
    let sent = error.to_owned();
    app.upstream.answer(move |_| broken_by(format, &sent).into());
    app.upstream.forget_calls();
    app.backup.forget_calls();

    let streaming = Streaming::to(client.ask(app, true)).await;
    let id = streaming.header("x-request-id").to_owned();
    let text = streaming.rest().await;

    let seen = client.events(&text);
    let said: String = seen.iter().map(|event| client.said_in(event)).collect();
    let is_served = beside && cause.is_resumed();
    if is_served {
        wrong.unless(said == "Hello world" && client.is_complete(&text), "all of it", &text);
    } else {
        let code = code_of(error);
        wrong.unless(said == "Hello" && client.is_failed(&text), "what came, and an error", &text);
        let last = seen.last().cloned().unwrap_or_default();
        let fault = fault_in(client, cause, code.as_deref(), &last);
        wrong.unless(fault.is_none(), "an error of its class", &fault);
        let is_whole =
            last["type"] == "response.failed" && last["sequence_number"] == seen.len() - 1;
        wrong.unless(client != Client::Responses || is_whole, "the end of its response", &last);
    }
    // Who has failed may say all of it again where nobody else can, but not what limits it.
    let asks_again = !is_served && matches!(cause, Cause::Overload | Cause::Server);
    let calls = (app.upstream.calls(), app.backup.calls());
    let expected = (1 + usize::from(asks_again), usize::from(is_served));
    wrong.unless(calls == expected, &format!("{expected:?} calls"), &calls);
    let trace = app.trace(&id).await;
    let failure = &trace["attempts"][0]["failure"];
    wrong.unless(failure["class"] == cause.class(), "its class on the trace", failure);
    let detail = failure["detail"].as_str().unwrap_or_default();
    wrong.unless(!detail.contains("broke off"), "what it was, once", &detail);
    // Not those that hold: a short one may be over before it is listed.
    let look = async || app.cooldowns_of(&id).await;
    let is_good = |begun: &Vec<Value>| {
        let scopes =
            begun.iter().map(|it| (it["scope"].as_str().unwrap(), it["cause"].as_str().unwrap()));
        scopes.eq(cause.cools().map(|scope| (scope, cause.class())))
    };
    let cooldowns = settled(look, is_good).await;
    wrong.unless(is_good(&cooldowns), &format!("should cool {:?}", cause.cools()), &cooldowns);

    // A good answer makes up for all that went wrong.
    app.upstream.recover();
    app.delete("/api/v1/cooldowns").await;
    app.upstream.next(whole(format));
    let well = Reply::to(app.relay(chat_body("hello", false).to_string())).await;
    wrong.unless(well.status == 200, "it should be well again", &well.text());
    wrong.into_words()
}

/// The code that stands in an error event.
fn code_of(event: &str) -> Option<String> {
    let json = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(event);
    let json: Value = serde_json::from_str(json).unwrap();
    let places = ["/error/code", "/response/error/code", "/code"];
    places.iter().find_map(|place| match json.pointer(place)? {
        Value::String(code) => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    })
}

async fn check(causes: &[Cause]) {
    let mut pools = Vec::new();
    for format in FORMATS {
        for cause in causes {
            for error in cause.events(format) {
                pools.push(run(format, *cause, error.clone(), false));
                pools.push(run(format, *cause, error, true));
            }
        }
    }
    check_all_at_once(AT_ONCE, pools).await;
}

#[actix_web::test]
async fn what_another_candidate_may_go_on_after_keeps_its_class() {
    check(&CAUSES[..3]).await;
}

#[actix_web::test]
async fn what_is_wrong_with_a_key_keeps_its_class() {
    check(&CAUSES[3..5]).await;
}

#[actix_web::test]
async fn what_is_wrong_with_a_request_keeps_its_class_and_is_never_routed_around() {
    check(&CAUSES[5..]).await;
}

/// A provider of its own, `ruled`, behind the upstream of `backup`.
async fn with_rule(rule: Value) -> TestApp {
    let app = TestApp::start().await;
    let ruled = json!({"id": "ruled", "name": "ruled", "location": "local", "priority": 90,
        "rules": [rule], "api_format": "openai", "models": [{"name": "test-model"}],
        "base_url": format!("http://{}", app.backup.address)});
    assert_eq!(app.post("/api/v1/providers", ruled).await.status, 201);
    app.post("/api/v1/providers/ruled/keys", json!({"key": "sk-ruled"})).await;
    app
}

#[actix_web::test]
async fn a_rule_sees_an_error_inside_a_stream_that_has_begun() {
    let words = json!({"error": {"message": "this is not in your plan", "type": "server_error"}});
    let rule = json!({"status": 200, "contains": ["not in your plan"], "action": "stop"});
    let app = with_rule(rule).await;
    app.backup.next(stream().send(content("one")).send(format!("data: {words}\n\n")));

    let text = app.stream("hello").await.rest().await;

    let last = Client::Chat.events(&text).pop().unwrap();
    assert_eq!(last["error"]["message"], "this is not in your plan", "{text}");
    assert_eq!(last["error"]["code"], "upstream_error", "{text}");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (0, 1), "a rule says stop");
}

#[actix_web::test]
async fn what_a_rule_stops_at_is_told_as_what_it_is() {
    for (status, code, kind, retry_after) in [
        (400, "invalid_request", "invalid_request_error", ""),
        (401, "upstream_auth", "authentication_error", ""),
        (429, "rate_limited", "rate_limit_error", "1"),
        (500, "upstream_error", "server_error", ""),
        (503, "overloaded", "server_error", "1"),
    ] {
        for words in [json!({"error": {"message": "not today"}}).to_string(), "oh".to_owned()] {
            let app = with_rule(json!({"status": status, "action": "stop"})).await;
            app.backup.answer(move |_| Step::from(raw(status, words.clone())));

            let answer = app.chat("hello").await;

            let what = format!("{status}: {}", answer.text());
            assert_eq!(answer.status, status, "{what}");
            assert_eq!(answer.json["error"]["code"], code, "{what}");
            assert_eq!(answer.json["error"]["type"], kind, "{what}");
            assert_eq!(answer.header("retry-after"), retry_after, "{what}");
            assert_eq!((app.upstream.calls(), app.backup.calls()), (0, 1), "{what}");
        }
    }
}
