//! A snapshot with its rendered answers.

use super::answer::Answer;
use crate::config::Snapshot;

/// The snapshot in use. A check-in is answered from one of these only.
#[derive(Debug)]
pub struct Served {
    pub snapshot: Snapshot,
    plain: Answer,
    by_rule: Vec<Answer>,
}

impl Served {
    /// Renders the answers. Their bodies are moved out of the snapshot, which does not need them any more.
    pub fn new(mut snapshot: Snapshot) -> Served {
        let taken = snapshot.taken;
        let answer = |body| Answer::of_config(body, taken);
        let by_rule = std::mem::take(&mut snapshot.by_rule);
        Served {
            plain: answer(std::mem::take(&mut snapshot.body)),
            by_rule: by_rule.into_iter().map(answer).collect(),
            snapshot,
        }
    }

    /// The answer to a check-in for which the rule of this index decides, or for which no rule does.
    pub(super) fn answer_of(&self, outcome: Option<usize>) -> &Answer {
        let by_rule = outcome.and_then(|index| self.by_rule.get(index));
        by_rule.unwrap_or(&self.plain)
    }
}
