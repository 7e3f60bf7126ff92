//! Every route with every kind of key and every method, as the served document lists them: a new route
//! is in the table as soon as it is served.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};

use crate::support::{
    PATIENCE, Process, Workplace,
    http::{self, Answer},
};

const CONFIG: &str = r#"
    [[providers]]
    id = "upstream"
    base_url = "http://127.0.0.1:1/v1"
    location = "local"
    models = [{ name = "m" }]
    api_keys = ["sk-upstream"]
"#;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Caller {
    NoKey,
    WrongKey,
    Revoked,
    RevokedAdmin,
    Client,
    Viewer,
    Admin,
}

use Caller::{Admin, Client, NoKey, Revoked, RevokedAdmin, Viewer, WrongKey};

const CALLERS: [Caller; 7] = [NoKey, WrongKey, Revoked, RevokedAdmin, Client, Viewer, Admin];

/// Whose a path is, as the document says.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Plane {
    Open,
    Relay,
    Management,
}

struct Pool {
    process: Process,
    #[expect(dead_code, reason = "the process runs in it")]
    workplace: Workplace,
    client: String,
    viewer: String,
    admin: String,
    revoked: String,
    revoked_admin: String,
    document: Value,
}

impl Pool {
    fn start() -> Self {
        let workplace = Workplace::new(CONFIG);
        let [admin, viewer, revoked_admin] =
            ["admin", "viewer", "admin"].map(|role| workplace.create_key(role));
        let id = revoked_admin.split('_').nth(1).unwrap();
        let revoke = workplace.run(&["keys", "revoke", id]);
        assert_eq!(revoke.code, Some(0), "{}", revoke.stderr);
        let process = workplace.serve();
        let address = process.address;
        let make = || {
            let made =
                http::ask(address, "POST /api/v1/client-keys", &admin, r#"{"name":"guest"}"#);
            assert_eq!(made.status, 201, "{}", made.body);
            made.json()
        };
        let text = |made: &Value, field: &str| made[field].as_str().unwrap().to_owned();
        let (client, revoked) = (text(&make(), "key"), make());
        let path = format!("DELETE /api/v1/client-keys/{}", text(&revoked, "id"));
        assert_eq!(http::ask(address, &path, &admin, "").status, 204);
        let revoked = text(&revoked, "key");
        let document = http::get(address, "/api/openapi.json", &admin).json();
        Self { process, workplace, client, viewer, admin, revoked, revoked_admin, document }
    }

    fn key(&self, caller: Caller) -> Option<&str> {
        match caller {
            NoKey => None,
            WrongKey => Some("ppk_0_0"),
            Revoked => Some(&self.revoked),
            RevokedAdmin => Some(&self.revoked_admin),
            Client => Some(&self.client),
            Viewer => Some(&self.viewer),
            Admin => Some(&self.admin),
        }
    }

    fn ask(&self, caller: Caller, method: &str, path: &str, length: usize) -> Answer {
        ask(self.process.address, method, path, self.key(caller), length)
    }

    fn schema<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let reference = schema["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
        reference.map_or(schema, |it| self.document.pointer(it).unwrap())
    }

    /// All paths of the document, with something in the place of their parameters.
    fn resources(&self) -> Vec<Resource> {
        let paths = self.document["paths"].as_object().unwrap();
        paths.iter().map(|(path, item)| self.resource(path, item)).collect()
    }

    fn resource(&self, described: &str, item: &Value) -> Resource {
        let operations = item.as_object().unwrap();
        let one = operations.values().next().unwrap();
        let mut path = described.to_owned();
        for parameter in one["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "path" {
                let words = &self.schema(&parameter["schema"])["enum"];
                let word = words[0].as_str().unwrap_or("x");
                path = path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), word);
            }
        }
        assert!(!path.contains('{'), "{described} has a parameter that is not described");
        let schemes: Vec<&str> = one["security"].as_array().unwrap()[0]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let plane = match schemes.as_slice() {
            [] => Plane::Open,
            ["client_key"] => Plane::Relay,
            ["admin_key"] => Plane::Management,
            other => panic!("{described} is for {other:?}"),
        };
        let mut methods = BTreeMap::new();
        // One path may fit several of the document's: names hold slashes and colons.
        for (other, item) in self.document["paths"].as_object().unwrap() {
            if other != described && !fits(other, &path) {
                continue;
            }
            for (method, operation) in item.as_object().unwrap() {
                methods.insert(method.to_uppercase(), envelope(operation));
                if method == "get" {
                    methods.insert("HEAD".to_owned(), envelope(operation));
                }
            }
        }
        Resource { path, methods, plane, envelope: envelope(one) }
    }
}

/// The schema of an operation's errors. OpenAI's, where the same path has many.
fn envelope(operation: &Value) -> String {
    if operation["responses"].get("401").is_none() {
        return "ManagementError".to_owned();
    }
    let schema = &operation["responses"]["401"]["content"]["application/json"]["schema"];
    let name = schema["$ref"].as_str().map(|it| it.rsplit('/').next().unwrap());
    name.unwrap_or("OpenAiError").to_owned()
}

fn fits(described: &str, path: &str) -> bool {
    let fits = |(described, word): (&str, &str)| {
        described == word
            || described.starts_with('{') && (!described.contains(':') || word.contains(':'))
    };
    described.split('/').count() == path.split('/').count()
        && described.split('/').zip(path.split('/')).all(fits)
}

struct Resource {
    path: String,
    /// That are served, HEAD among them, each with the schema of its errors.
    methods: BTreeMap<String, String>,
    plane: Plane,
    /// The schema of the errors of all others.
    envelope: String,
}

impl Resource {
    fn expected(&self, caller: Caller, method: &str) -> Expected {
        let served = if method == "OPTIONS" {
            Expected::Options
        } else if self.methods.contains_key(method) {
            Expected::Served
        } else {
            Expected::Status(405)
        };
        let only_looks = matches!(method, "GET" | "HEAD" | "OPTIONS")
            || (method, self.path.as_str()) == ("POST", "/api/v1/routes/explain");
        match (self.plane, caller) {
            (Plane::Open, _) | (Plane::Relay, Client) | (Plane::Management, Admin) => served,
            // Browsers ask before they send a key.
            (Plane::Relay, _) if method == "OPTIONS" => served,
            (Plane::Management, Viewer) if only_looks => served,
            (Plane::Relay, Viewer | Admin) | (Plane::Management, Client | Viewer) => {
                Expected::Status(403)
            }
            (Plane::Relay | Plane::Management, NoKey | WrongKey | Revoked | RevokedAdmin) => {
                Expected::Status(401)
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Status(u16),
    /// 204 and `allow`.
    Options,
    /// Whatever its handler says to a request without a body.
    Served,
}

/// Sends the head of a request and no body, however long it is announced.
fn ask(address: SocketAddr, method: &str, path: &str, key: Option<&str>, length: usize) -> Answer {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let key = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    let announced = if length > 0 || !matches!(method, "GET" | "HEAD" | "OPTIONS") {
        format!("content-type: application/json\r\ncontent-length: {length}\r\n")
    } else {
        String::new()
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{key}{announced}\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    let mut connection = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = connection.read_line(&mut head);
        assert!(read.is_ok_and(|length| length > 0), "{method} {path}: no whole head: {head}");
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head: head.to_lowercase(), body: String::new() };
    if method == "HEAD" {
        // All there is up to the end, since there must be nothing.
        connection.read_to_string(&mut answer.body).unwrap();
    } else {
        // No further: who refuses may close only after a while.
        let length = answer.header("content-length").map_or(0, |it| it.parse().unwrap());
        let mut body = vec![0; length];
        connection.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
    }
    answer
}

/// Asserts that an error looks as the document says.
fn has_envelope(answer: &Answer, envelope: &str, what: &str) {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
    assert!(answer.header("x-request-id").is_some(), "{what}: {}", answer.head);
    let json = answer.json();
    let error = &json["error"];
    let fits = match envelope {
        "ManagementError" => error["code"].is_string() && error["request_id"].is_string(),
        "OpenAiError" => error["type"].is_string() && error.get("param").is_some(),
        "AnthropicError" => json["type"] == "error" && error["type"].is_string(),
        "GoogleError" => error["code"] == answer.status && error["status"].is_string(),
        "OllamaError" => error.is_string(),
        other => panic!("{what}: an envelope {other} is not known"),
    };
    assert!(fits, "{what}: not {envelope}: {}", answer.body);
}

#[test]
fn every_route_takes_who_it_is_for_and_refuses_everybody_else() {
    let pool = Pool::start();
    let resources = pool.resources();
    assert!(resources.len() > 30, "only {} paths are described", resources.len());
    for resource in &resources {
        for caller in CALLERS {
            for method in METHODS {
                let what = format!("{method} {} as {caller:?}", resource.path);
                let expected = resource.expected(caller, method);
                let is_refused = matches!(expected, Expected::Status(401 | 403));
                // Who is refused is refused on the head: a body is announced and never sent.
                let length = if is_refused && method != "HEAD" { 100 } else { 0 };
                let answer = pool.ask(caller, method, &resource.path, length);
                match expected {
                    Expected::Status(status) => assert_eq!(answer.status, status, "{what}"),
                    Expected::Options => assert_eq!(answer.status, 204, "{what}"),
                    Expected::Served => {
                        let refusals = [401, 403, 405, 500, 501];
                        assert!(!refusals.contains(&answer.status), "{what}: {}", answer.status);
                        assert!(!answer.body.contains("\"route_not_found\""), "{what}");
                    }
                }
                let is_bearer = answer.header("www-authenticate") == Some("bearer");
                assert_eq!(is_bearer, answer.status == 401, "{what}: {}", answer.head);
                let allow = answer.header("allow").unwrap_or_default();
                let allows = |it: &str| allow.split(", ").any(|word| word == it.to_lowercase());
                if matches!(expected, Expected::Options | Expected::Status(405)) {
                    let all = resource.methods.keys().all(|it| allows(it)) && allows("OPTIONS");
                    assert!(
                        all && !(expected != Expected::Options && allows(method)),
                        "{what}: {allow}"
                    );
                } else {
                    assert_eq!(allow, "", "{what}");
                }
                if method == "HEAD" {
                    assert_eq!(answer.body, "", "{what}");
                } else if let Expected::Status(_) = expected {
                    let envelope = resource.methods.get(method).unwrap_or(&resource.envelope);
                    has_envelope(&answer, envelope, &what);
                }
            }
        }
    }
}

#[test]
fn head_says_what_get_would_and_sends_no_body() {
    let pool = Pool::start();
    for resource in pool.resources().iter().filter(|it| it.methods.contains_key("GET")) {
        let caller = if resource.plane == Plane::Relay { Client } else { Admin };
        let get = pool.ask(caller, "GET", &resource.path, 0);
        let head = pool.ask(caller, "HEAD", &resource.path, 0);
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{}", resource.path);
        let names = |answer: &Answer| {
            let lines = answer.head.lines().skip(1);
            let mut names: Vec<_> =
                lines.map(|line| line.split(':').next().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&head), names(&get), "{}", resource.path);
        assert_eq!(head.header("content-type"), get.header("content-type"), "{}", resource.path);
    }
}

#[test]
fn without_a_key_nothing_is_told_of_what_management_does_not_have() {
    let pool = Pool::start();
    for path in ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/providers/x/y", "/metrics/x"] {
        for (caller, status) in [(NoKey, 401), (Revoked, 401), (Client, 403), (Admin, 404)] {
            for method in METHODS {
                let what = format!("{method} {path} as {caller:?}");
                let answer = pool.ask(caller, method, path, 0);
                assert_eq!(answer.status, status, "{what}");
                assert_eq!(answer.header("allow"), None, "{what}");
                if method != "HEAD" {
                    has_envelope(&answer, "ManagementError", &what);
                }
            }
        }
    }
}

#[test]
fn what_the_relay_does_not_have_is_said_in_the_dialect_that_was_asked() {
    let pool = Pool::start();
    for (path, envelope) in [
        ("/api/ps", "OllamaError"),
        ("/api/nothing", "OllamaError"),
        ("/v1/nothing", "OpenAiError"),
        ("/v1/messages/nothing", "AnthropicError"),
        ("/v1beta/nothing", "GoogleError"),
    ] {
        for (caller, status) in [(NoKey, 401), (Revoked, 401), (Client, 404)] {
            let answer = pool.ask(caller, "GET", path, 0);
            assert_eq!(answer.status, status, "{path} as {caller:?}");
            has_envelope(&answer, envelope, &format!("{path} as {caller:?}"));
        }
    }
    let managing = pool.ask(Admin, "GET", "/api/nothing", 0);
    assert_eq!(managing.status, 404);
    has_envelope(&managing, "ManagementError", "/api/nothing as Admin");
    for (asked, meant) in [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/messages", "/v1/messages"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/chat/completions/", "/v1/chat/completions"),
        ("/health/live/", "/health/live"),
    ] {
        let answer = pool.ask(Client, "POST", asked, 0);
        assert_eq!(answer.status, 404, "{asked}");
        assert!(answer.body.contains(&format!("did you mean {meant}?")), "{}", answer.body);
    }
}

#[test]
fn who_looks_at_the_address_alone_is_greeted() {
    let pool = Pool::start();
    for method in ["GET", "HEAD"] {
        let answer = pool.ask(NoKey, method, "/", 0);
        assert_eq!(answer.status, 200, "{method}");
        let is_greeting = answer.body.starts_with("providerpool ") && answer.body.contains("/v1");
        assert_eq!(is_greeting, method == "GET", "{}", answer.body);
    }
    assert_eq!(pool.ask(Client, "POST", "/", 0).status, 405);
}

#[test]
fn a_body_of_management_that_is_no_object_is_refused() {
    let pool = Pool::start();
    let mut asked = 0;
    for (described, item) in pool.document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let takes_body = operation.get("requestBody").is_some();
            if !takes_body || !operation["security"][0]["admin_key"].is_array() {
                continue;
            }
            let path = pool.resource(described, &json!({ method: operation })).path;
            // Providers of the catalogue are there, so that nothing else can be wrong.
            let path = path.replace("/providers/x", "/providers/openai");
            let request = format!("{} {path}", method.to_uppercase());
            for body in ["[]", "[[]]", r#"["a","b","c"]"#, "\"a\"", "null", "1"] {
                let answer = http::ask(pool.process.address, &request, &pool.admin, body);
                assert_eq!(answer.status, 400, "{request} {body}: {}", answer.body);
                assert_eq!(answer.json()["error"]["code"], "invalid_request", "{request} {body}");
            }
            asked += 1;
        }
    }
    assert!(asked >= 8, "only {asked} operations take a body");
}

#[test]
fn an_array_is_no_object_inside_a_body_either() {
    let pool = Pool::start();
    for (request, body) in [
        ("PUT /api/v1/routes/r", r#"{"targets":[["upstream","m",1]]}"#),
        ("PUT /api/v1/routes/r", r#"{"strategy":{"priority":null}}"#),
        (
            "POST /api/v1/providers",
            r#"{"id":"a","name":"A","base_url":"http://127.0.0.1:1","location":"local","models":[["m"]]}"#,
        ),
        ("POST /api/v1/routes/explain", r#"{"model":"m","mode":{"auto":null}}"#),
    ] {
        let answer = http::ask(pool.process.address, request, &pool.admin, body);
        assert_eq!(answer.status, 400, "{request} {body}: {}", answer.body);
        assert!(answer.body.contains("invalid type"), "{}", answer.body);
    }
}
