use providerpool::domain::chat::Losses;

use crate::{
    dialects::{ALL, asking, shown},
    essence::assert_nothing_is_lost_in_silence,
    fixtures::{cases, good},
    golden::{Gallery, Story},
    streaming::error_view,
};

#[test]
fn answers_are_written_for_every_other_client() {
    let mut gallery = Gallery::default();
    let request = asking();
    for dialect in &ALL {
        for case in cases(dialect, "answers") {
            let answer = dialect.upstream.read_answer(&case.bytes);
            let mut story = Story::default();
            for other in ALL.iter().filter(|other| other.dialect != dialect.dialect) {
                match &answer {
                    Ok(answer) => {
                        let mut losses = answer.losses.clone();
                        let body = other.client.write_answer(answer, &shown(&request), &mut losses);
                        story.tell(other, &losses, &body);
                    }
                    Err(failure) => {
                        let body = other.client.error_body(&error_view(failure));
                        story.tell(other, &Losses::default(), &body);
                    }
                }
            }
            gallery.check(dialect, "answers", &case.name, &story);
        }
    }
    gallery.close();
}

#[test]
fn only_what_has_failed_is_a_failure() {
    for dialect in &ALL {
        for case in cases(dialect, "answers") {
            let answer = dialect.upstream.read_answer(&case.bytes);
            assert_eq!(answer.is_err(), case.is_failure(), "{} {}", dialect.name(), case.name);
        }
    }
}

#[test]
fn what_an_answer_loses_on_its_way_is_named() {
    let mut broken = Vec::new();
    let request = asking();
    for dialect in &ALL {
        for case in good(dialect, "answers") {
            let answer = dialect.upstream.read_answer(&case.bytes).unwrap();
            for other in &ALL {
                let way = format!("{} {} to {}", dialect.name(), case.name, other.name());
                let mut losses = answer.losses.clone();
                let body = other.client.write_answer(&answer, &shown(&request), &mut losses);
                match other.upstream.read_answer(&body) {
                    Ok(arrived) => broken.extend(assert_nothing_is_lost_in_silence(
                        &way,
                        &(&answer).into(),
                        &(&arrived).into(),
                        &losses,
                    )),
                    Err(failure) => broken.push(format!("{way}: {}", failure.detail)),
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
