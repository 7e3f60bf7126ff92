//! How much a model is to think before it answers, in the words of every API.

/// How hard to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    pub const ALL: [Self; 6] =
        [Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == word)
    }

    /// The tokens such an effort stands for where only a budget can be said.
    pub fn budget(self) -> u64 {
        match self {
            Self::Minimal => 1_024,
            Self::Low => 2_048,
            Self::Medium => 8_192,
            Self::High => 16_384,
            Self::XHigh => 24_576,
            Self::Max => 32_768,
        }
    }

    /// The effort that comes nearest to a budget without going below it.
    pub fn of_budget(tokens: u64) -> Self {
        Self::ALL.into_iter().find(|effort| effort.budget() >= tokens).unwrap_or(Self::Max)
    }
}

/// What the client has said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkingMode {
    /// Not at all.
    Off,
    /// As the model sees fit.
    Adaptive,
    Effort(Effort),
    /// At most so many tokens.
    Budget(u64),
}

/// How a model is to think, and what of it is to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thinking {
    /// Absent: whatever is usual there.
    pub mode: Option<ThinkingMode>,
    /// Whether its thoughts, or a summary of them, are to be in the answer. Absent: as is usual.
    pub is_shown: Option<bool>,
    /// How a summary is to be written (`auto`, `concise`, `detailed`).
    pub summary: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_and_budgets_lead_to_each_other() {
        for effort in Effort::ALL {
            assert_eq!(Effort::parse(effort.as_str()), Some(effort));
            assert_eq!(Effort::of_budget(effort.budget()), effort);
        }
        assert_eq!(Effort::of_budget(0), Effort::Minimal);
        assert_eq!(Effort::of_budget(2_049), Effort::Medium);
        assert_eq!(Effort::of_budget(u64::MAX), Effort::Max);
    }
}
