//! What is held against whom when something else than an answer was asked for.

use super::*;

#[test]
fn a_failure_beside_answers_does_not_judge_a_provider_on_trial() {
    let (provider, model) = (acme(), ModelName::parse("m").unwrap());
    let used = Use { provider: &provider, credential: None, model: &model };
    let failure = Failure::new(FailureClass::Server, "no");
    assert!(Purpose::Answer.judges(&whole(), used, &failure));
    assert!(!Purpose::OwnModel.judges(&whole(), used, &failure));
    assert!(Purpose::OwnModel.judges(&of_model("m"), used, &failure));
}

#[test]
fn what_is_asked_beside_answers_holds_nothing_against_them_unless_it_names_the_model() {
    for class in FailureClass::ALL {
        let mut acme = Acme { purpose: Purpose::Aside, ..Acme::default() };
        let hint = Some(seconds(9));
        let failure = Failure { retry_after: hint, ..Failure::new(class, "no") };
        for key in [None, Some("a"), Some("b")] {
            for _ in 0..6 {
                assert_eq!(acme.fail_with(START, "m", key, &failure), Blamed::default());
            }
        }
        let used_to_judge = Purpose::Aside.judges(
            &whole(),
            Use {
                provider: &super::acme(),
                credential: None,
                model: &ModelName::parse("m").unwrap(),
            },
            &failure,
        );
        assert!(!used_to_judge, "{class:?}");
        let named = Failure { names_model: true, ..failure };
        acme.fail_with(START, "m", None, &named);
        let is_cooled = acme.left(0, &of_model("m")).is_some();
        assert_eq!(is_cooled, class == FailureClass::ModelMissing, "{class:?}");
    }
}

#[test]
fn a_model_that_is_there_for_something_else_is_blamed_alone() {
    for class in FailureClass::ALL {
        let mut acme = Acme { purpose: Purpose::OwnModel, ..Acme::default() };
        for model in ["embed", "other"] {
            for key in [None, Some("a"), Some("b")] {
                for _ in 0..6 {
                    acme.fail_with(START, model, key, &Failure::new(class, "no"));
                }
            }
        }
        for cooldown in acme.state.view().cooldowns().list(START) {
            assert!(cooldown.scope.model().is_some(), "{class:?}: {cooldown:?}");
        }
    }
}
