//! The documents: what they link to is there, what they show is taken, what they say of settings is so.

#![expect(
    clippy::unwrap_used,
    reason = "in tests, helpers of tests included, it says what is wrong"
)]

mod examples;
mod links;
mod settings;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of the commands, which use more of it")]
mod support;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A page of Markdown.
struct Page {
    /// Below the root of the repository.
    path: PathBuf,
    text: String,
}

/// A fenced block of a page.
struct Block {
    /// What stands behind the fence: the language, and perhaps more.
    info: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = fs::read_to_string(root().join(&path)).unwrap();
        Self { path, text }
    }

    /// All of them, README first.
    fn all() -> Vec<Self> {
        let mut book: Vec<PathBuf> = fs::read_dir(root().join("docs"))
            .unwrap()
            .map(|entry| Path::new("docs").join(entry.unwrap().file_name()))
            .collect();
        book.sort();
        let others = ["README.md", "CONTRIBUTING.md", "benches/README.md", "fuzz/README.md"];
        others.map(PathBuf::from).into_iter().chain(book).map(Self::read).collect()
    }

    /// Its fenced blocks, and the text without them.
    fn blocks(&self) -> (Vec<Block>, String) {
        let (mut blocks, mut rest, mut open) = (Vec::new(), String::new(), None::<Block>);
        for line in self.text.lines() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(info), None) => {
                    open = Some(Block { info: info.trim().to_owned(), text: String::new() });
                }
                (Some(_), Some(block)) => blocks.push(block),
                (None, Some(mut block)) => {
                    block.text += line;
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {
                    rest += line;
                    rest.push('\n');
                }
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.path.display());
        (blocks, rest)
    }
}

/// Blocks of all pages with exactly this behind their fence, each with the name of its page.
fn blocks_of(info: &str) -> Vec<(String, String)> {
    let of_page = |page: Page| {
        let name = page.path.display().to_string();
        page.blocks().0.into_iter().map(move |block| (name.clone(), block))
    };
    let all = Page::all().into_iter().flat_map(of_page);
    all.filter(|(_, block)| block.info == info).map(|(page, block)| (page, block.text)).collect()
}
