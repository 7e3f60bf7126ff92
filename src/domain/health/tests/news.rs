//! What has to be told and published, and what is known already.

use super::*;

#[test]
fn a_failure_is_news_when_somebody_begins_to_be_counted_or_to_cool() {
    let mut acme = Acme::default();
    let news: Vec<bool> =
        (0..3).map(|at| acme.fail(at, "m", FailureClass::Server).is_news).collect();
    assert_eq!(news, [true, false, true]);
    assert_eq!(acme.fail(4, "m", FailureClass::ClientFault), Blamed::default());
}
