//! Lists of the documents that the program has too: routes, failure classes, strategies, metrics.

use std::collections::BTreeSet;

use providerpool::{
    domain::{failure::FailureClass, route::Strategy},
    telemetry::Metrics,
};
use regex::Regex;

use crate::Page;

#[test]
fn the_routes_of_management_are_those_that_are_served() {
    let served = serde_json::to_value(providerpool::http::document()).unwrap();
    let served: BTreeSet<String> = served["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(path, methods)| Some((path.strip_prefix("/api/v1")?, methods.as_object()?)))
        .flat_map(|(path, methods)| {
            methods.keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let row = Regex::new(r"`([A-Z]+ /[a-z_{}/-]+)").unwrap();
    let page = Page::read("docs/management.md").text;
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let listed: BTreeSet<String> =
        rows.flat_map(|line| row.captures_iter(line).map(|found| found[1].to_owned())).collect();
    assert_eq!(listed, served);
}

#[test]
fn every_word_of_a_list_is_explained() {
    let classes = FailureClass::ALL.map(FailureClass::as_str).to_vec();
    let strategies = Strategy::ALL.map(Strategy::as_str).to_vec();
    for (page, words) in [("docs/failover.md", classes), ("docs/routing.md", strategies)] {
        let text = Page::read(page).text;
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        for word in words {
            let is_there = rows.iter().any(|row| row.contains(&format!("`{word}`")));
            assert!(is_there, "{page} has no row for {word}");
        }
    }
}

#[test]
fn every_metric_is_listed() {
    let text = Page::read("docs/operations.md").text;
    let page = Metrics::new().render();
    for name in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        let is_there =
            ["`", "_total`", "_info`"].iter().any(|end| text.contains(&format!("`{name}{end}")));
        assert!(is_there, "{name} is not listed");
    }
}
