//! What is written to standard error, and what never is.

use crate::{
    CHAT, QUESTION, STREAMED_QUESTION,
    support::{Workplace, http},
    upstream::{COPILOT_TOKEN, Upstream},
    with_provider,
};

#[test]
fn each_request_is_one_line_and_a_filter_takes_it_away() {
    for (level, lines) in [("info", 2), ("info,providerpool::requests=off", 0)] {
        let upstream = Upstream::start();
        let config = format!("log.level = \"{level}\"\n{}", with_provider(upstream.address));
        let workplace = Workplace::new(&config);
        let client = workplace.create_key("client");
        let mut pool = workplace.serve();
        let answered = http::ask(pool.address, CHAT, &client, QUESTION);
        assert_eq!(answered.status, 200);
        let unknown = QUESTION.replace("\"m\"", "\"no-such-model\"");
        assert_eq!(http::ask(pool.address, CHAT, &client, &unknown).status, 404);
        pool.terminate();
        assert_eq!(pool.ended().code(), Some(0), "{}", pool.said());

        let said = pool.said();
        let told: Vec<&str> = said.lines().filter(|line| line.contains(" request ")).collect();
        assert_eq!(told.len(), lines, "{said}");
        if let [completed, failed] = told[..] {
            for part in [
                "INFO",
                "request completed",
                "request_id=",
                "client_key=",
                "model=m",
                "provider=upstream",
                "attempts=1",
                "input_tokens=",
                "output_tokens=",
                "duration_ms=",
            ] {
                assert!(completed.contains(part), "{part} is not in {completed}");
            }
            assert!(failed.contains("request failed") && failed.contains("model=no-such-model"));
            assert!(!failed.contains("provider="), "{failed}");
        }
    }
}

#[test]
fn no_credential_and_no_token_that_it_is_exchanged_for_is_logged_even_at_the_lowest_level() {
    const GITHUB: &str = "gho_not-to-be-seen-0123456789";

    let upstream = Upstream::start();
    let copilot = with_provider(upstream.address)
        .replace("sk-not-to-be-seen", GITHUB)
        .replace("/v1\"", "\"\napi_format = \"copilot\"");
    let workplace = Workplace::new(&format!("log.level = \"trace\"\n{copilot}"));
    let client = workplace.create_key("client");
    let mut pool = workplace.serve();
    assert_eq!(http::ask(pool.address, CHAT, &client, QUESTION).status, 200);
    let mut stream = http::open(pool.address, CHAT, &client, "", STREAMED_QUESTION);
    assert!(stream.read_until("Hello"));
    upstream.end_stream.send(()).unwrap();
    assert!(stream.read_until("data: [DONE]"));
    pool.terminate();
    assert_eq!(pool.ended().code(), Some(0), "{}", pool.said());

    let said = pool.said();

    assert!(said.contains("a GitHub token is exchanged"), "{said}");
    for secret in [GITHUB, COPILOT_TOKEN, "not-to-be-seen"] {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
}
