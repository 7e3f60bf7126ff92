//! `demo`: everything it tells to try can be tried, and nothing of it stays.

use crate::{
    CHAT,
    support::{Process, Workplace, http},
};

/// The first key of a kind in what the demo prints.
fn key(demo: &Process, kind: &str) -> String {
    let printed = demo.printed();
    let rest = &printed[printed.find(kind).unwrap()..];
    rest.split(['\'', '"']).next().unwrap().to_owned()
}

#[test]
fn the_demo_fails_over_shows_events_and_leaves_nothing_behind() {
    let workplace = Workplace::new("");
    let mut demo = workplace.start(&["demo", "--bind", "127.0.0.1:0"]);
    demo.line_with("Stop with Ctrl-C.");
    let (client, admin) = (key(&demo, "ppk_"), key(&demo, "ppa_"));
    let question = r#"{"model":"demo","messages":[{"role":"user","content":"Say hello."}]}"#;

    let answer = http::ask(demo.address, CHAT, &client, question);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("x-providerpool-provider"), Some("steady"));
    let attempts: u32 = answer.header("x-providerpool-attempts").unwrap().parse().unwrap();
    assert!(attempts > 1, "{}", answer.head);

    let mut events = http::Events::subscribe(demo.address, &admin, "failover,request");
    events.wait_for("failover");
    events.wait_for("request.finished");

    let streamed = question.replace("{\"model\"", "{\"stream\":true,\"model\"");
    let mut stream = http::open(demo.address, CHAT, &client, "", &streamed);
    assert!(stream.read_until("data: [DONE]"));

    demo.terminate();
    assert_eq!(demo.ended().code(), Some(0), "{}", demo.said());
    let left: Vec<_> = std::fs::read_dir(workplace.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "providerpool.toml" && name != "stderr.log")
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
