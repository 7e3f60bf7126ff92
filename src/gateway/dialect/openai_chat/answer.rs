//! The whole answer of an unstreamed request.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ErrorObject, is_blank, text_of, usage::parse_usage, wire::lenient::Items};
use crate::{
    domain::{
        failure::{Failure, FailureClass},
        usage::TokenUsage,
    },
    gateway::{
        dialect::object::Fields,
        failure::{AbnormalFinish, classify},
    },
};

/// A complete good answer. Its bytes go to the client as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeAnswer {
    /// Absent when the upstream reported none that can be read.
    pub usage: Option<TokenUsage>,
}

#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(borrow)]
    choices: Option<Items<Fields<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl WholeAnswer {
    /// Reads the body of a 200, all of it.
    ///
    /// Errors: the failure an error object or a finish reason stands for, or [`FailureClass::Server`] when
    /// the body is no answer.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let unusable =
            |what: &str| Failure { status: Some(200), ..Failure::new(FailureClass::Server, what) };
        let text = std::str::from_utf8(body).map_err(|_| unusable("the answer is not UTF-8"))?;
        let wire: WireAnswer<'_> = serde_json::from_str(text)
            .map_err(|_| unusable("the answer is not a JSON object of the expected shape"))?;
        if wire.error.is_some_and(|error| !is_blank(error)) {
            return Err(classify(200, ErrorObject::parse(body)));
        }
        let Some(Items(choices)) = wire.choices else {
            // Some servers send their error objects bare.
            return Err(match ErrorObject::parse(body) {
                Some(error) => classify(200, Some(error)),
                None => unusable("the answer has no choices"),
            });
        };
        if choices.is_empty() {
            return Err(unusable("the answer has no choices"));
        }
        if let Some(finish) = choices.iter().find_map(abnormal_finish) {
            return Err(finish.failure());
        }
        Ok(Self {
            usage: wire.usage.map(RawValue::get).and_then(parse_usage).map(|usage| usage.tokens),
        })
    }
}

fn abnormal_finish(choice: &Fields<'_>) -> Option<AbnormalFinish> {
    let word = text_of(choice.find("finish_reason")?.get())?;
    AbnormalFinish::of_chat(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(body: &str) -> FailureClass {
        WholeAnswer::parse(body.as_bytes()).expect_err(body).class
    }

    fn usage(json: &str) -> Option<TokenUsage> {
        let body = format!(r#"{{"choices":[{{}}],"usage":{json}}}"#);
        WholeAnswer::parse(body.as_bytes()).unwrap().usage
    }

    #[test]
    fn classes_of_tokens_are_disjoint() {
        let tokens = usage(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
                "prompt_tokens_details":{"cached_tokens":4},
                "completion_tokens_details":{"reasoning_tokens":3}}"#,
        );
        let expected = TokenUsage { input: 6, cache_read: 4, output: 5, ..TokenUsage::default() };
        assert_eq!(tokens, Some(expected));
        let nonsense = usage(r#"{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":4}}"#);
        assert_eq!(nonsense.unwrap().total(), 1);
    }

    #[test]
    fn usage_that_cannot_be_read_is_unknown_and_the_answer_still_good() {
        for odd in ["null", "{}", "[]", "7", r#"{"prompt_tokens":-1}"#, r#"{"prompt_tokens":"7"}"#]
        {
            assert_eq!(usage(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_200_without_a_whole_answer_is_the_servers_failure() {
        for body in ["", "{", "[]", "{}", r#"{"choices":[]}"#, r#"{"choices":{}}"#, "<html>"] {
            assert_eq!(class(body), FailureClass::Server, "{body}");
        }
        assert_eq!(class("{\"choices\":[{}]"), FailureClass::Server, "cut short");
        assert!(WholeAnswer::parse(b"{\"choices\":[\"\xff\"]}").is_err());
    }

    #[test]
    fn a_200_with_an_error_is_the_failure_it_stands_for() {
        let limited = r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;
        assert_eq!(class(limited), FailureClass::RateLimit);
        assert_eq!(class(r#"{"error":{"message":"no","code":402}}"#), FailureClass::Payment);
        assert_eq!(class(r#"{"error":"out of memory"}"#), FailureClass::Server);
        assert!(WholeAnswer::parse(br#"{"error":null,"choices":[{}]}"#).is_ok());
    }
}
