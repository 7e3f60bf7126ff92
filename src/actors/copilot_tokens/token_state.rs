//! Which tokens there are, and whose exchange is under way. Knows no actor, clock or network.

use std::{collections::HashMap, sync::Arc, time::Duration};

use url::Url;

use crate::{
    domain::{
        id::{CredentialId, ProviderId},
        time::Timestamp,
    },
    gateway::copilot_token::CopilotToken,
};

/// A token that lasts no longer than this is got anew while it is still given out.
const RENEWED_BEFORE_END: Duration = Duration::from_mins(5);

/// How long after an exchange that failed none is tried for an account whose token still lasts.
const PAUSE: Duration = Duration::from_secs(30);

/// Most tokens kept. Past it the one that ends first goes, and is got anew when it is asked for.
const MAX_KEPT: usize = 1_000;

/// Whose token it is. A key that is replaced, and an address that is changed, is another account.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Account {
    pub provider_id: ProviderId,
    pub credential_id: CredentialId,
    /// That of the secret.
    pub fingerprint: String,
    /// Where it is exchanged.
    pub exchange_url: Url,
}

/// What to do for one who asks.
pub enum Step {
    Use(Arc<CopilotToken>),
    /// Give it, and begin an exchange.
    UseAndRefresh(Arc<CopilotToken>),
    /// An exchange is under way.
    Wait,
    /// Begin an exchange, and wait for it.
    Exchange,
}

#[derive(Default)]
struct Entry {
    token: Option<Arc<CopilotToken>>,
    is_under_way: bool,
    /// Before this, a token that still lasts is not got anew.
    not_before: Option<Timestamp>,
}

/// The tokens, and the exchanges under way: never two of one account.
#[derive(Default)]
pub struct TokenState {
    entries: HashMap<Account, Entry>,
}

impl TokenState {
    /// What to do for one who asks. An exchange that is to begin counts as under way.
    pub fn ask(
        &mut self,
        now: Timestamp,
        account: &Account,
        refused: Option<&Arc<CopilotToken>>,
    ) -> Step {
        let entry = match self.entries.get_mut(account) {
            Some(entry) => entry,
            None => self.entries.entry(account.clone()).or_default(),
        };
        let lasts = |token: &Arc<CopilotToken>| {
            token.expires_at > now && refused.is_none_or(|refused| !Arc::ptr_eq(token, refused))
        };
        entry.token = entry.token.take().filter(lasts);
        let Some(token) = entry.token.clone() else {
            if entry.is_under_way {
                return Step::Wait;
            }
            entry.is_under_way = true;
            return Step::Exchange;
        };
        let is_due = token.expires_at.since(now) <= RENEWED_BEFORE_END
            && entry.not_before.is_none_or(|not_before| not_before <= now);
        if is_due && !entry.is_under_way {
            entry.is_under_way = true;
            return Step::UseAndRefresh(token);
        }
        Step::Use(token)
    }

    /// An exchange is over. One that failed leaves the token there is, for as long as it lasts.
    pub fn finish(&mut self, now: Timestamp, account: &Account, got: Option<Arc<CopilotToken>>) {
        let entry = self.entries.entry(account.clone()).or_default();
        entry.is_under_way = false;
        entry.not_before = if got.is_none() { Some(now.plus(PAUSE)) } else { None };
        if got.is_some() {
            entry.token = got;
        }
        self.prune(now);
    }

    /// No exchange is under way any more, and none of them will be over.
    pub fn forget_exchanges(&mut self) {
        for entry in self.entries.values_mut() {
            entry.is_under_way = false;
        }
    }

    /// Drops what is of no more use, and what is too much.
    fn prune(&mut self, now: Timestamp) {
        self.entries.retain(|_, entry| {
            entry.is_under_way || entry.token.as_ref().is_some_and(|token| token.expires_at > now)
        });
        let kept = |entry: &Entry| Some(entry.token.as_ref()?.expires_at);
        while self.entries.values().filter_map(kept).count() > MAX_KEPT {
            let ends = self.entries.iter().filter_map(|(id, entry)| Some((kept(entry)?, id)));
            let Some((_, first)) = ends.min_by_key(|(end, _)| *end) else { return };
            let first = first.clone();
            tracing::debug!(provider = %first.provider_id, "a Copilot token too much was dropped");
            let entry = self.entries.get_mut(&first).filter(|entry| entry.is_under_way);
            match entry {
                Some(entry) => entry.token = None,
                None => drop(self.entries.remove(&first)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn start() -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000)
    }

    fn account(credential: &str, fingerprint: &str) -> Account {
        Account {
            provider_id: ProviderId::parse("copilot").unwrap(),
            credential_id: credential.into(),
            fingerprint: fingerprint.into(),
            exchange_url: "https://api.github.com/x".parse().unwrap(),
        }
    }

    fn token(text: &str, expires_at: Timestamp) -> Arc<CopilotToken> {
        let secret = text.to_owned().into();
        Arc::new(CopilotToken { secret, expires_at, chat_url: None })
    }

    /// The step in a word, with the token that is given.
    fn step(step: &Step) -> (&'static str, String) {
        let text = |token: &CopilotToken| token.secret.expose_secret().to_owned();
        match step {
            Step::Use(token) => ("use", text(token)),
            Step::UseAndRefresh(token) => ("refresh", text(token)),
            Step::Wait => ("wait", String::new()),
            Step::Exchange => ("exchange", String::new()),
        }
    }

    fn asked(state: &mut TokenState, now: Timestamp, account: &Account) -> (&'static str, String) {
        step(&state.ask(now, account, None))
    }

    #[test]
    fn a_token_is_got_once_and_given_to_all_until_it_is_about_to_end() {
        let (mut state, now, account) = (TokenState::default(), start(), account("a", "f"));
        assert_eq!(asked(&mut state, now, &account).0, "exchange");
        assert_eq!(asked(&mut state, now, &account).0, "wait");
        state.finish(now, &account, Some(token("one", now.plus(30 * MINUTE))));
        assert_eq!(asked(&mut state, now, &account), ("use", "one".into()));

        let late = now.plus(25 * MINUTE);
        assert_eq!(asked(&mut state, late.minus(Duration::from_millis(1)), &account).0, "use");
        assert_eq!(asked(&mut state, late, &account), ("refresh", "one".into()));
        assert_eq!(
            asked(&mut state, late, &account),
            ("use", "one".into()),
            "one refresh at a time"
        );
        state.finish(late, &account, Some(token("two", late.plus(30 * MINUTE))));
        assert_eq!(asked(&mut state, late, &account), ("use", "two".into()));
    }

    #[test]
    fn what_has_ended_is_given_to_nobody() {
        let (mut state, now, account) = (TokenState::default(), start(), account("a", "f"));
        state.finish(now, &account, Some(token("one", now.plus(30 * MINUTE))));
        let end = now.plus(30 * MINUTE);
        assert_eq!(asked(&mut state, end, &account).0, "exchange");
        assert_eq!(asked(&mut state, end, &account).0, "wait");
    }

    #[test]
    fn a_refresh_that_fails_leaves_what_lasts_and_is_tried_again_after_a_pause() {
        let (mut state, now, account) = (TokenState::default(), start(), account("a", "f"));
        state.finish(now, &account, Some(token("one", now.plus(5 * MINUTE))));
        assert_eq!(asked(&mut state, now, &account).0, "refresh");
        state.finish(now, &account, None);
        assert_eq!(asked(&mut state, now, &account), ("use", "one".into()));
        assert_eq!(asked(&mut state, now.plus(PAUSE), &account), ("refresh", "one".into()));
        // Whoever has nothing does not wait for the end of a pause.
        state.finish(now, &account, None);
        assert_eq!(asked(&mut state, now.plus(5 * MINUTE), &account).0, "exchange");
    }

    #[test]
    fn a_refused_token_goes_and_a_newer_one_stays() {
        let (mut state, now, account) = (TokenState::default(), start(), account("a", "f"));
        let (one, two) = (token("one", now.plus(30 * MINUTE)), token("two", now.plus(30 * MINUTE)));
        state.finish(now, &account, Some(Arc::clone(&one)));
        assert_eq!(step(&state.ask(now, &account, Some(&one))).0, "exchange");
        assert_eq!(step(&state.ask(now, &account, Some(&one))).0, "wait");
        state.finish(now, &account, Some(Arc::clone(&two)));
        assert_eq!(step(&state.ask(now, &account, Some(&one))), ("use", "two".into()));
        assert_eq!(step(&state.ask(now, &account, Some(&two))).0, "exchange");
    }

    #[test]
    fn accounts_share_nothing_and_a_replaced_key_is_another_account() {
        let (mut state, now) = (TokenState::default(), start());
        let first = account("a", "f");
        state.finish(now, &first, Some(token("one", now.plus(30 * MINUTE))));
        let moved =
            Account { exchange_url: "https://gate.test/x".parse().unwrap(), ..first.clone() };
        for other in [account("b", "f"), account("a", "g"), moved] {
            assert_eq!(asked(&mut state, now, &other).0, "exchange");
        }
        assert_eq!(asked(&mut state, now, &first), ("use", "one".into()));
    }

    #[test]
    fn exchanges_that_a_restart_has_cut_off_are_made_again() {
        let (mut state, now, account) = (TokenState::default(), start(), account("a", "f"));
        assert_eq!(asked(&mut state, now, &account).0, "exchange");
        state.forget_exchanges();
        assert_eq!(asked(&mut state, now, &account).0, "exchange");
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_ends_first_goes() {
        let (mut state, now) = (TokenState::default(), start());
        let of = |n: usize| account(&n.to_string(), "f");
        for n in 0..=MAX_KEPT {
            let lasts = Duration::from_secs(3_600 + u64::try_from(n).unwrap());
            state.finish(now, &of(n), Some(token("t", now.plus(lasts))));
        }
        assert_eq!(state.entries.len(), MAX_KEPT);
        assert_eq!(asked(&mut state, now, &of(0)).0, "exchange");
        assert_eq!(asked(&mut state, now, &of(MAX_KEPT)).0, "use");
        // Those that have ended go by themselves.
        let late = now.plus(Duration::from_hours(3));
        state.finish(late, &of(1), None);
        assert_eq!(state.entries.len(), 1, "but for the exchange under way");
    }

    proptest! {
        #[test]
        fn one_exchange_of_an_account_at_a_time_and_no_token_past_its_end(
            events in prop::collection::vec((0_u64..120, 0_usize..3, any::<bool>()), 1..200),
        ) {
            let (mut state, mut now) = (TokenState::default(), start());
            let accounts = [account("a", "f"), account("a", "g"), account("b", "f")];
            let mut under_way = [false; 3];
            for (pause, whose, is_good) in events {
                now = now.plus(Duration::from_secs(pause));
                if under_way[whose] && is_good {
                    let text = whose.to_string();
                    let got = (pause % 3 > 0).then(|| token(&text, now.plus(7 * MINUTE)));
                    state.finish(now, &accounts[whose], got);
                    under_way[whose] = false;
                }
                match state.ask(now, &accounts[whose], None) {
                    Step::Use(token) | Step::UseAndRefresh(token) if token.expires_at <= now => {
                        prop_assert!(false, "a token was given after its end");
                    }
                    Step::Use(token) => {
                        prop_assert_eq!(token.secret.expose_secret(), &whose.to_string());
                    }
                    Step::UseAndRefresh(_) | Step::Exchange => {
                        prop_assert!(!under_way[whose]);
                        under_way[whose] = true;
                    }
                    Step::Wait => prop_assert!(under_way[whose]),
                }
            }
        }
    }
}
