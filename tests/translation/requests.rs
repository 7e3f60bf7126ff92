use crate::{
    dialects::{ALL, model, target},
    essence::assert_nothing_is_lost_in_silence,
    fixtures::cases,
    golden::{Gallery, Story},
};

#[test]
fn requests_are_written_for_every_other_upstream() {
    let mut gallery = Gallery::default();
    for dialect in &ALL {
        for case in cases(dialect, "requests") {
            let request = dialect.read_request(&case.bytes).unwrap();
            let mut story = Story::default();
            for other in ALL.iter().filter(|other| other.dialect != dialect.dialect) {
                let written = other.upstream.write_request(&request, &target(&model()));
                story.tell(other, &written.losses, &written.body);
            }
            gallery.check(dialect, "requests", &case.name, &story);
        }
    }
    gallery.close();
}

#[test]
fn what_a_request_loses_on_its_way_is_named() {
    let mut broken = Vec::new();
    for dialect in &ALL {
        for case in cases(dialect, "requests") {
            let request = dialect.read_request(&case.bytes).unwrap();
            for other in &ALL {
                let written = other.upstream.write_request(&request, &target(&model()));
                let way = format!("{} {} to {}", dialect.name(), case.name, other.name());
                match other.read_request(&written.body) {
                    Ok(arrived) => broken.extend(assert_nothing_is_lost_in_silence(
                        &way,
                        &(&request).into(),
                        &(&arrived).into(),
                        &written.losses,
                    )),
                    Err(error) => broken.push(format!("{way}: {error}")),
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
