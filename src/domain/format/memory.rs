//! What the answers of one provider have told of its formats.

use std::{collections::HashMap, time::Duration};

use crate::domain::{failure::WrongFormat, id::ModelName, provider::ApiFormat, time::Timestamp};

/// Most models of one provider of which something is remembered; past it, the least recently noted is
/// forgotten.
const MAX_MODELS: usize = 256;

/// How long a format that was found not to be there is left alone: as long as a missing model is.
const ABSENCE: Duration = Duration::from_hours(1);

/// In which formats a provider has answered, and in which it has said that it does not. Lost with the
/// process.
#[derive(Debug, Clone, Default)]
pub struct FormatMemory {
    everywhere: Learnt,
    models: HashMap<ModelName, Learnt>,
    /// How many notes were taken.
    notes: u64,
}

/// What is remembered of one model, or of the provider whatever the model.
#[derive(Debug, Clone, Default)]
struct Learnt {
    /// The latest first.
    answered: Vec<ApiFormat>,
    /// Found not to be there, and until when that is believed.
    absent: Vec<(ApiFormat, Timestamp)>,
    /// The number of its last note.
    noted: u64,
}

/// Whose answers a memory is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    OfModel,
    OfProvider,
}

impl Learnt {
    fn has_answered(&self, format: ApiFormat) -> bool {
        self.answered.contains(&format)
    }

    fn is_absent(&self, now: Timestamp, format: ApiFormat) -> bool {
        self.absent.iter().any(|(absent, until)| *absent == format && now < *until)
    }

    fn note_answer(&mut self, format: ApiFormat) {
        self.absent.retain(|(absent, _)| *absent != format);
        self.answered.retain(|known| *known != format);
        self.answered.insert(0, format);
    }

    fn note_absence(&mut self, format: ApiFormat, until: Timestamp) {
        self.answered.retain(|known| *known != format);
        self.absent.retain(|(absent, _)| *absent != format);
        self.absent.push((format, until));
    }
}

/// What is remembered about one model.
#[derive(Debug, Clone, Copy)]
pub struct Recollection<'m> {
    of_model: Option<&'m Learnt>,
    everywhere: &'m Learnt,
}

impl Recollection<'_> {
    /// Whose answers, the model's or those of others, have come in this format.
    pub fn answered(self, format: ApiFormat) -> Option<Remembered> {
        if self.of_model.is_some_and(|learnt| learnt.has_answered(format)) {
            return Some(Remembered::OfModel);
        }
        self.everywhere.has_answered(format).then_some(Remembered::OfProvider)
    }

    /// Whether this format was found not to be there a short while ago, and for which models. What a
    /// model has answered in is there for it, whatever others say.
    pub fn absent(self, now: Timestamp, format: ApiFormat) -> Option<Remembered> {
        if self.of_model.is_some_and(|learnt| learnt.is_absent(now, format)) {
            return Some(Remembered::OfModel);
        }
        if self.of_model.is_some_and(|learnt| learnt.has_answered(format)) {
            return None;
        }
        self.everywhere.is_absent(now, format).then_some(Remembered::OfProvider)
    }
}

impl FormatMemory {
    pub fn about(&self, model: &ModelName) -> Recollection<'_> {
        Recollection { of_model: self.models.get(model), everywhere: &self.everywhere }
    }

    /// Whether an answer in this format would be news.
    pub fn is_news(&self, model: &ModelName, format: ApiFormat) -> bool {
        let is_latest = |learnt: &Learnt| learnt.answered.first() == Some(&format);
        !self.models.get(model).is_some_and(is_latest) || !self.everywhere.has_answered(format)
    }

    /// A model has answered in this format.
    pub fn note_answer(&mut self, model: &ModelName, format: ApiFormat) {
        self.of(model).note_answer(format);
        self.everywhere.note_answer(format);
    }

    /// A model could not be asked in this format, because the provider does not have it.
    pub fn note_absence(
        &mut self,
        now: Timestamp,
        model: &ModelName,
        format: ApiFormat,
        wrong: WrongFormat,
    ) {
        let until = now.plus(ABSENCE);
        self.of(model).note_absence(format, until);
        if wrong == WrongFormat::Everywhere {
            self.everywhere.note_absence(format, until);
        }
    }

    fn of(&mut self, model: &ModelName) -> &mut Learnt {
        self.notes += 1;
        if !self.models.contains_key(model) && self.models.len() >= MAX_MODELS {
            let oldest = self.models.iter().min_by_key(|(_, learnt)| learnt.noted);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.models.remove(&oldest);
            }
        }
        let learnt = self.models.entry(model.clone()).or_default();
        learnt.noted = self.notes;
        learnt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn model(name: &str) -> ModelName {
        ModelName::parse(name).unwrap()
    }

    #[test]
    fn an_answer_is_remembered_of_the_model_and_of_the_provider() {
        let mut memory = FormatMemory::default();
        assert!(memory.is_news(&model("a"), ApiFormat::Openai));
        memory.note_answer(&model("a"), ApiFormat::Openai);
        assert!(!memory.is_news(&model("a"), ApiFormat::Openai));
        let answered = |name: &str, format| memory.about(&model(name)).answered(format);
        assert_eq!(answered("a", ApiFormat::Openai), Some(Remembered::OfModel));
        assert_eq!(answered("b", ApiFormat::Openai), Some(Remembered::OfProvider));
        assert_eq!(answered("a", ApiFormat::Ollama), None);
    }

    #[test]
    fn what_is_not_there_for_one_model_may_be_for_others() {
        let mut memory = FormatMemory::default();
        memory.note_absence(NOW, &model("a"), ApiFormat::Openai, WrongFormat::ForModel);
        memory.note_absence(NOW, &model("a"), ApiFormat::Google, WrongFormat::Everywhere);
        let absent = |name: &str, format| memory.about(&model(name)).absent(NOW, format);
        assert_eq!(absent("a", ApiFormat::Openai), Some(Remembered::OfModel));
        assert_eq!(absent("b", ApiFormat::Openai), None);
        assert_eq!(absent("b", ApiFormat::Google), Some(Remembered::OfProvider));
    }

    #[test]
    fn the_latest_word_counts() {
        let mut memory = FormatMemory::default();
        memory.note_answer(&model("a"), ApiFormat::Openai);
        memory.note_absence(NOW, &model("b"), ApiFormat::Openai, WrongFormat::Everywhere);
        assert_eq!(
            memory.about(&model("a")).absent(NOW, ApiFormat::Openai),
            None,
            "it has answered"
        );
        assert!(memory.about(&model("c")).absent(NOW, ApiFormat::Openai).is_some());
        memory.note_absence(NOW, &model("a"), ApiFormat::Openai, WrongFormat::ForModel);
        assert!(memory.about(&model("a")).absent(NOW, ApiFormat::Openai).is_some());
        memory.note_answer(&model("b"), ApiFormat::Openai);
        assert_eq!(memory.about(&model("c")).absent(NOW, ApiFormat::Openai), None);
    }

    #[test]
    fn an_absence_is_believed_for_an_hour() {
        let mut memory = FormatMemory::default();
        memory.note_absence(NOW, &model("a"), ApiFormat::Openai, WrongFormat::Everywhere);
        let last = NOW.plus(ABSENCE).minus(Duration::from_millis(1));
        assert!(memory.about(&model("a")).absent(last, ApiFormat::Openai).is_some());
        assert_eq!(memory.about(&model("a")).absent(NOW.plus(ABSENCE), ApiFormat::Openai), None);
    }

    #[test]
    fn at_the_bound_the_least_recently_noted_model_is_forgotten() {
        let mut memory = FormatMemory::default();
        for n in 0..MAX_MODELS {
            memory.note_answer(&model(&format!("m{n}")), ApiFormat::Openai);
        }
        memory.note_answer(&model("m0"), ApiFormat::Openai);
        memory.note_answer(&model("new"), ApiFormat::Openai);
        assert_eq!(memory.models.len(), MAX_MODELS);
        let answered = |name| memory.about(&model(name)).answered(ApiFormat::Openai);
        assert_eq!(answered("m1"), Some(Remembered::OfProvider));
        assert_eq!(answered("m0"), Some(Remembered::OfModel));
    }
}
