//! The order in which the engine serves what several tabs ask of it.

use std::collections::{HashSet, VecDeque};

use crate::RequestId;

/// Requests that are remembered, so that one which is sent twice is served once: more than all tabs
/// together have waiting when the engine moves.
const MAX_KNOWN: usize = 16_384;

/// A request's number and the tab that chose it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asker {
    /// The tab.
    pub tab: String,
    /// The request.
    pub id: RequestId,
}

/// Whether a request waits for files that came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Before every file that waits.
    Soon,
    /// After everything else: a file.
    Patient,
}

/// What a cancel has hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// A request that waited; it is gone.
    Waiting,
    /// The request that is being served, and that has to be stopped.
    Running,
    /// Nothing: it has been served, or was never sent.
    Nothing,
}

/// Waiting requests, and the one that is being served.
#[derive(Debug)]
pub struct Desk<T> {
    soon: VecDeque<(Asker, T)>,
    patient: VecDeque<(Asker, T)>,
    running: Option<(Asker, Turn)>,
    known: HashSet<Asker>,
    /// The same, oldest first.
    order: VecDeque<Asker>,
}

impl<T> Default for Desk<T> {
    fn default() -> Self {
        Self {
            soon: VecDeque::new(),
            patient: VecDeque::new(),
            running: None,
            known: HashSet::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Desk<T> {
    /// Takes a request, unless it was taken before.
    pub fn take(&mut self, asker: Asker, turn: Turn, item: T) -> bool {
        if !self.known.insert(asker.clone()) {
            return false;
        }
        self.order.push_back(asker.clone());
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        match turn {
            Turn::Soon => self.soon.push_back((asker, item)),
            Turn::Patient => self.patient.push_back((asker, item)),
        }
        true
    }

    /// The request whose turn it is; it runs until [`Desk::end`].
    pub fn begin(&mut self) -> Option<(Asker, T)> {
        let (turn, (asker, item)) = match self.soon.pop_front() {
            Some(next) => (Turn::Soon, next),
            None => (Turn::Patient, self.patient.pop_front()?),
        };
        self.running = Some((asker.clone(), turn));
        Some((asker, item))
    }

    /// The running request has ended.
    pub fn end(&mut self) {
        self.running = None;
    }

    /// Gives up a request.
    pub fn cancel(&mut self, asker: &Asker) -> Cancelled {
        if self.running.as_ref().is_some_and(|(running, _)| running == asker) {
            return Cancelled::Running;
        }
        let n_before = self.soon.len() + self.patient.len();
        self.soon.retain(|(waiting, _)| waiting != asker);
        self.patient.retain(|(waiting, _)| waiting != asker);
        match self.soon.len() + self.patient.len() < n_before {
            true => Cancelled::Waiting,
            false => Cancelled::Nothing,
        }
    }

    /// Gives up what a tab asked that nobody will hear, which is everything but its files. Returns
    /// whether the running request is among it, and has to be stopped.
    pub fn leave(&mut self, tab: &str) -> bool {
        self.soon.retain(|(waiting, _)| waiting.tab != tab);
        matches!(&self.running, Some((running, Turn::Soon)) if running.tab == tab)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(tab: &str, id: RequestId) -> Asker {
        Asker { tab: tab.into(), id }
    }

    fn desk() -> Desk<&'static str> {
        let mut desk = Desk::default();
        assert!(desk.take(asker("a", 1), Turn::Patient, "file 1"));
        assert!(desk.take(asker("a", 2), Turn::Patient, "file 2"));
        assert!(desk.take(asker("b", 1), Turn::Soon, "question"));
        desk
    }

    fn drain(desk: &mut Desk<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| desk.begin().map(|(_, item)| item)).collect()
    }

    #[test]
    fn files_wait_for_everything_else() {
        let mut desk = desk();
        assert_eq!(desk.begin().map(|(_, item)| item), Some("question"));
        assert!(desk.take(asker("a", 3), Turn::Soon, "a later question"));
        assert_eq!(drain(&mut desk), ["a later question", "file 1", "file 2"]);
    }

    #[test]
    fn what_is_sent_twice_is_served_once() {
        let mut desk = desk();
        assert!(!desk.take(asker("a", 1), Turn::Patient, "file 1 again"));
        assert_eq!(drain(&mut desk).len(), 3);
        desk.end();
        assert!(!desk.take(asker("b", 1), Turn::Soon, "question again"));
        assert!(desk.take(asker("b", 2), Turn::Soon, "the next question"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut desk = Desk::default();
        for id in 0..2 * MAX_KNOWN as u32 {
            assert!(desk.take(asker("a", id), Turn::Soon, ()));
            desk.begin();
        }
        assert_eq!((desk.known.len(), desk.order.len()), (MAX_KNOWN, MAX_KNOWN));
    }

    #[test]
    fn a_cancel_hits_the_very_request() {
        let mut desk = desk();
        desk.begin();
        assert_eq!(desk.cancel(&asker("b", 1)), Cancelled::Running);
        assert_eq!(desk.cancel(&asker("a", 1)), Cancelled::Waiting);
        assert_eq!(desk.cancel(&asker("a", 1)), Cancelled::Nothing);
        assert_eq!(desk.cancel(&asker("b", 2)), Cancelled::Nothing);
        desk.end();
        assert_eq!(desk.cancel(&asker("b", 1)), Cancelled::Nothing);
        assert_eq!(drain(&mut desk), ["file 2"]);
    }

    #[test]
    fn who_leaves_gives_up_questions_and_not_files() {
        let mut desk = desk();
        desk.begin();
        assert!(!desk.leave("a"), "another tab's question goes on");
        assert!(desk.leave("b"), "nobody hears the answer");
        desk.end();
        desk.take(asker("a", 4), Turn::Soon, "a question");
        desk.leave("a");
        assert_eq!(desk.begin().map(|(_, item)| item), Some("file 1"));
        assert!(!desk.leave("a"), "the file is still added");
    }
}
