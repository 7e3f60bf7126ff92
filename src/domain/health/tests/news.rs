//! What has to be told and published, and what is known already.

use super::*;

#[test]
fn a_failure_is_news_when_somebody_begins_to_be_counted_or_to_cool() {
    let failure = Failure::new(FailureClass::Server, "no");
    for key in [None, Some("a")] {
        let mut acme = Acme::default();
        let news = [0, 1, 2].map(|at| acme.fail_with(second(at), "m", key, &failure).is_news);
        assert_eq!(news, [true, false, true], "{key:?}");
        assert_eq!(acme.fail(4, "m", FailureClass::ClientFault), Blamed::default());
    }
}

#[test]
fn an_answer_is_news_to_those_against_whom_something_is_held() {
    let model = |name| ModelName::parse(name).unwrap();
    let wants = |acme: &Acme, name, key: Option<&str>| {
        let (provider, key) = (super::acme(), key.map(CredentialId::from));
        let used = Use { provider: &provider, credential: key.as_ref(), model: &model(name) };
        acme.state.view().wants_success(used)
    };
    let news_of_each = |acme: &Acme| {
        [("m", None), ("m", Some("a")), ("m", Some("b")), ("n", None), ("n", Some("a"))]
            .map(|(name, key)| wants(acme, name, key))
    };
    assert_eq!(news_of_each(&Acme::default()), [false; 5]);
    // Counted; cooled by the count; cooled at once.
    for (failures, class) in
        [(1, FailureClass::Server), (3, FailureClass::Server), (1, FailureClass::ModelMissing)]
    {
        let mut of_model = Acme::default();
        of_model.fails(failures, 0, "m", class);
        assert_eq!(news_of_each(&of_model), [true, true, true, false, false]);
    }
    let mut of_all = Acme::default();
    of_all.fails(3, 0, "other", FailureClass::Connect);
    assert_eq!(news_of_each(&of_all), [true; 5]);
    let mut of_key = Acme::default();
    of_key.fail_with(START, "o", Some("a"), &Failure::new(FailureClass::Auth, "401"));
    assert_eq!(news_of_each(&of_key), [false, true, false, false, true]);
}

#[test]
fn a_cooldown_is_new_once_and_then_begins_again_or_is_drawn_out() {
    let mut acme = Acme::default();
    let hinted = |hint| Failure {
        retry_after: Some(seconds(hint)),
        ..Failure::new(FailureClass::Server, "no")
    };
    let kinds: Vec<Vec<ChangeKind>> = [(0, 10), (5, 6), (9, 1), (11, 5)]
        .map(|(at, hint)| {
            let blamed = acme.fail_with(second(at), "m", None, &hinted(hint));
            blamed.changes.iter().map(|change| change.kind).collect()
        })
        .into();
    let (new, extended) = (vec![ChangeKind::New], vec![ChangeKind::Extended]);
    assert_eq!(kinds, [new, extended, vec![], vec![ChangeKind::Started]]);
}

#[test]
fn the_end_of_a_cooldown_is_news_once() {
    let mut acme = Acme::default();
    acme.fails(3, 0, "m", FailureClass::Server);
    assert_eq!(acme.state.expire(second(9)), (vec![], false));
    let (ended, is_news) = acme.state.expire(second(10));
    assert_eq!((ended.len(), ended[0].kind, is_news), (1, ChangeKind::Ended, true));
    assert_eq!(acme.state.expire(second(11)), (vec![], false));
    assert!(acme.answer(12, "m").is_empty(), "it has been told");
}

#[test]
fn a_trial_that_passes_is_news_once() {
    let mut acme = Acme::default();
    acme.fails(3, 0, "m", FailureClass::Server);
    let news = [9, 10, 11].map(|at| acme.state.passed(second(at), &of_model("m")));
    assert_eq!(news, [false, true, false]);
}
