//! Log probabilities of tokens.
//!
//! Source: <https://ai.google.dev/api/generate-content#LogprobsResult> (read 2026-11).

use serde_json::value::RawValue;

use crate::{
    domain::chat::{TokenLogprob, TopLogprob},
    gateway::dialect::gemini::{
        LogprobsResult, TokenCandidate, WrittenLogprob, WrittenLogprobs, WrittenTop,
    },
};

pub(super) fn read(raw: &RawValue) -> Option<Vec<TokenLogprob>> {
    let result: LogprobsResult<'_> = serde_json::from_str(raw.get()).ok()?;
    let mut tops = result.top_candidates.unwrap_or_default().into_iter();
    let tokens = result.chosen_candidates?.into_iter().map(|chosen| {
        let top = tops.next().and_then(|top| top.candidates).unwrap_or_default();
        let (token, logprob) = token(chosen);
        let top = top.into_iter().map(|candidate| {
            let (token, logprob) = self::token(candidate);
            TopLogprob { token, logprob, bytes: None }
        });
        TokenLogprob { token, logprob, bytes: None, top: top.collect() }
    });
    Some(tokens.collect())
}

fn token(candidate: TokenCandidate<'_>) -> (String, f64) {
    let token = candidate.token.map(|token| token.0.into_owned()).unwrap_or_default();
    (token, candidate.log_probability.unwrap_or(0.0))
}

pub(super) fn write(tokens: &[TokenLogprob]) -> WrittenLogprobs<'_> {
    let has_tops = tokens.iter().any(|token| !token.top.is_empty());
    let chosen = tokens
        .iter()
        .map(|token| WrittenLogprob { token: &token.token, log_probability: token.logprob });
    let tops = tokens.iter().filter(|_| has_tops).map(|token| {
        let top = token.top.iter();
        let candidates =
            top.map(|top| WrittenLogprob { token: &top.token, log_probability: top.logprob });
        WrittenTop { candidates: candidates.collect() }
    });
    WrittenLogprobs { chosen_candidates: chosen.collect(), top_candidates: tops.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_with_those_that_were_not_chosen_and_written_again() {
        let json = r#"{"chosenCandidates":[{"token":"a","logProbability":-0.5},{"token":"b","logProbability":-0.25}],"topCandidates":[{"candidates":[{"token":"a","logProbability":-0.5},{"token":"c","logProbability":-1.5}]},{"candidates":[]}]}"#;
        let tokens = read(serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(tokens.len(), 2);
        assert_eq!(tokens[0].top[1].token, "c");
        assert!((tokens[1].logprob + 0.25).abs() < f64::EPSILON);
        assert_eq!(serde_json::to_string(&write(&tokens)).unwrap(), json);
    }
}
