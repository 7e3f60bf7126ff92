//! An operator's own rules for what a provider's errors mean.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most rules of one provider, and most texts or expressions of one rule.
pub const MAX_RULES: usize = 64;

/// Longest text or expression of a rule, in bytes.
pub const MAX_RULE_TEXT: usize = 1024;

/// Largest compiled expression, in bytes.
const MAX_COMPILED: usize = 1 << 18;

/// What an error that fits a rule leads to, whatever its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// The client gets it; nothing is cooled.
    Stop,
    StopAndCooldown,
    /// The next credential or provider is asked; nothing is cooled.
    Continue,
    ContinueAndCooldown,
}

impl RuleAction {
    pub fn stops(self) -> bool {
        matches!(self, Self::Stop | Self::StopAndCooldown)
    }

    pub fn cools(self) -> bool {
        matches!(self, Self::StopAndCooldown | Self::ContinueAndCooldown)
    }
}

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    #[error("status must be 400 to 599, or 200 for an error inside an answer that began well")]
    Status,
    #[error("a rule holds at most {MAX_RULES} texts, and each at most {MAX_RULE_TEXT} bytes")]
    TooLong,
    #[error("{expression:?} is not a regular expression: {reason}")]
    Expression { expression: String, reason: String },
}

/// Why the rules of a provider cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RulesError {
    #[error("there are more than {MAX_RULES} rules")]
    TooMany,
    /// `number` counts from 1.
    #[error("rule {number}: {error}")]
    Rule { number: usize, error: RuleError },
}

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// The upstream's status, or one that stands in its error. 200: any error inside an answer that
    /// began well.
    #[schema(minimum = 200, maximum = 599)]
    pub status: u16,
    /// Texts of which one must be in the upstream's body, in this case. With no texts and no expressions
    /// the status alone decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub contains: Vec<String>,
    /// Regular expressions of which one must fit the upstream's body, or the message in it: there `^` and `$`
    /// are its ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub matches: Vec<String>,
    pub action: RuleAction,
}

/// A rule that can be used.
#[derive(Debug, Clone)]
pub struct FailureRule {
    text: RuleText,
    expressions: Vec<Regex>,
}

impl PartialEq for FailureRule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl FailureRule {
    /// Errors: [`RuleError`].
    pub fn parse(text: RuleText) -> Result<Self, RuleError> {
        if !matches!(text.status, 200 | 400..600) {
            return Err(RuleError::Status);
        }
        let mut words = text.contains.iter().chain(&text.matches);
        let count = text.contains.len() + text.matches.len();
        if count > MAX_RULES || words.any(|word| word.is_empty() || word.len() > MAX_RULE_TEXT) {
            return Err(RuleError::TooLong);
        }
        let compile = |expression: &String| {
            let built = RegexBuilder::new(expression)
                .size_limit(MAX_COMPILED)
                .dfa_size_limit(MAX_COMPILED)
                .build();
            built.map_err(|error| RuleError::Expression {
                expression: expression.clone(),
                reason: error.to_string(),
            })
        };
        let expressions = text.matches.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { text, expressions })
    }

    pub fn text(&self) -> &RuleText {
        &self.text
    }

    pub fn action(&self) -> RuleAction {
        self.text.action
    }

    /// Whether an upstream's error is one this rule is about. `message`: what the body tells people.
    pub fn fits(&self, status: u16, body: &str, message: Option<&str>) -> bool {
        let is_unconditional = self.text.contains.is_empty() && self.expressions.is_empty();
        self.text.status == status
            && (is_unconditional
                || self.text.contains.iter().any(|text| body.contains(text.as_str()))
                || self.expressions.iter().any(|expression| {
                    expression.is_match(body) || message.is_some_and(|it| expression.is_match(it))
                }))
    }
}

/// Reads the rules of a provider.
///
/// Errors: [`RulesError`], for the first that cannot be used.
pub fn parse_rules(texts: Vec<RuleText>) -> Result<Vec<FailureRule>, RulesError> {
    if texts.len() > MAX_RULES {
        return Err(RulesError::TooMany);
    }
    let parse = |(index, text)| {
        let number = index + 1;
        FailureRule::parse(text).map_err(|error| RulesError::Rule { number, error })
    };
    texts.into_iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(contains: &[&str], matches: &[&str]) -> Result<FailureRule, RuleError> {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        FailureRule::parse(RuleText {
            status: 403,
            contains: owned(contains),
            matches: owned(matches),
            action: RuleAction::Continue,
        })
    }

    #[test]
    fn a_rule_fits_by_status_and_any_of_its_texts() {
        let both = rule(&["plan"], &["^quota [0-9]+$"]).unwrap();
        assert!(both.fits(403, "not in your plan", None));
        assert!(both.fits(403, "quota 12", None));
        assert!(!both.fits(403, "quota none", None));
        assert!(!both.fits(400, "plan", None));
        let (body, message) = (r#"{"error":{"message":"quota 12"}}"#, Some("quota 12"));
        assert!(both.fits(403, body, message));
        assert!(!both.fits(403, body, None));
        assert!(rule(&[], &[]).unwrap().fits(403, "", None));
    }

    #[test]
    fn of_many_rules_the_one_that_cannot_be_used_is_named() {
        let text = |status| RuleText {
            status,
            contains: vec![],
            matches: vec![],
            action: RuleAction::Stop,
        };
        let error = parse_rules(vec![text(403), text(204)]).unwrap_err();
        assert!(error.to_string().starts_with("rule 2: status must be 400 to 599"), "{error}");
        assert_eq!(parse_rules(vec![text(403); MAX_RULES]).unwrap().len(), MAX_RULES);
        assert_eq!(parse_rules(vec![text(403); MAX_RULES + 1]), Err(RulesError::TooMany));
    }

    #[test]
    fn what_cannot_be_matched_is_refused() {
        assert!(matches!(rule(&[], &["("]), Err(RuleError::Expression { .. })));
        assert_eq!(rule(&[""], &[]), Err(RuleError::TooLong));
        assert_eq!(rule(&[&"x".repeat(1025)], &[]), Err(RuleError::TooLong));
    }
}
