//! Links, headings, and the names of files.

use std::{collections::HashSet, path::Path};

use regex::Regex;

use crate::{Page, root};

/// The name by which GitHub and mdBook link to a heading.
fn anchor(heading: &str) -> String {
    let link = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap();
    let text = link.replace_all(heading, "$1").to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(path: &Path) -> HashSet<String> {
    let (_, text) = Page::read(path).blocks();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    for page in Page::all() {
        let folder = page.path.parent().unwrap();
        for found in link.captures_iter(&page.blocks().1) {
            let target = &found[1];
            if target.starts_with("http://") || target.starts_with("https://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.path.clone() } else { folder.join(file) };
            let leads = root().join(&path).exists()
                && (heading.is_empty() || anchors(&path).contains(heading));
            if !leads {
                broken.push(format!("{}: {target}", page.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
}

#[test]
fn every_page_of_the_book_stands_in_its_summary_once() {
    let summary = Page::read("docs/SUMMARY.md").text;
    for page in Page::all() {
        let Ok(name) = page.path.strip_prefix("docs") else { continue };
        let count = summary.matches(&format!("({})", name.display())).count();
        let wanted = usize::from(name != Path::new("SUMMARY.md"));
        assert_eq!(count, wanted, "{} in the summary", name.display());
    }
}

#[test]
fn every_file_that_is_named_is_there() {
    let folders = "benches|catalog|deploy|docs|fuzz|migrations|src|tests";
    let named = Regex::new(&format!("`((?:{folders})/[A-Za-z0-9_./-]*)`")).unwrap();
    let mut missing = Vec::new();
    for page in Page::all() {
        for found in named.captures_iter(&page.blocks().1) {
            if !root().join(&found[1]).exists() {
                missing.push(format!("{}: {}", page.path.display(), &found[1]));
            }
        }
    }
    assert!(missing.is_empty(), "named, and not there: {missing:#?}");
}

#[test]
fn readme_is_short() {
    assert!(Page::read("README.md").text.lines().count() < 150);
}
