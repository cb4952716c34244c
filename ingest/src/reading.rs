//! The account of a file whose reader may crash, hang or be stopped: what is known of it, how long the reader may
//! stay silent, and whether another one goes on behind what stopped it.

use std::time::Duration;

use crate::{Entry, Limits, Refusal, Told};

/// Documents of one file that may stop their readers; with more the rest is left out, because each costs its time.
const MAX_GIVEN_UP: usize = 4;

/// What is known of a file that is being read.
///
/// Whoever runs readers passes on what they tell, with how long that took, and stops a reader that is silent for longer
/// than [`Reading::patience`]. While [`Reading::goes_on`], another one is started, which leaves out the first
/// [`Reading::n_known`] entries.
#[derive(Debug)]
pub struct Reading {
    name: String,
    n_bytes: u64,
    limits: Limits,
    /// Instead of the limits' own.
    time: Option<Duration>,
    entries: Vec<Entry>,
    at_work: Option<(String, u64)>,
    /// What all documents together may still take, those apart that stop their readers.
    left: Duration,
    n_given_up: usize,
    goes_on: bool,
}

impl Reading {
    /// Nothing is known of this file yet. `time`, if given, is what each document may take, and all together.
    pub fn new(name: &str, n_bytes: u64, limits: &Limits, time: Option<Duration>) -> Self {
        Self {
            name: name.to_owned(),
            n_bytes,
            limits: *limits,
            time,
            entries: Vec::new(),
            at_work: None,
            left: time.unwrap_or_else(|| limits.max_time(n_bytes)),
            n_given_up: 0,
            goes_on: true,
        }
    }

    /// Entries that the next reader leaves out.
    pub fn n_known(&self) -> usize {
        self.entries.len()
    }

    /// Whether there may be more to read.
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// How long the reader may take until it tells the next thing. In all a file takes at most six times as long as
    /// its limit: what is read takes it once and a document more, what stops its readers four times.
    pub fn patience(&self) -> Duration {
        if self.left.is_zero() { Duration::ZERO } else { self.document_time() }
    }

    /// A reader told this, after so long.
    pub fn told(&mut self, told: Told, after: Duration) {
        self.left = self.left.saturating_sub(after);
        match told {
            Told::Begun { name, n_bytes } => self.at_work = Some((name, n_bytes)),
            Told::Read(entry) => {
                self.entries.push(entry);
                self.at_work = None;
            }
        }
    }

    /// The reader came to its end.
    pub fn done(&mut self) {
        self.goes_on = false;
    }

    /// The reader was silent for longer than it may be.
    pub fn timed_out(&mut self) {
        if self.left.is_zero() {
            return self.give_up(&format!("reading all of it took longer than {} s", self.time().as_secs()));
        }
        self.stopped(&format!("reading it took longer than {} s", self.document_time().as_secs()));
    }

    /// The reader ended before its time.
    pub fn stopped(&mut self, reason: &str) {
        let Some((name, n_bytes)) = self.at_work.take().filter(|(name, _)| *name != self.name) else {
            return self.give_up(reason);
        };
        let refusal = Refusal::GivenUp { name: name.clone(), reason: reason.to_owned() };
        self.entries.push(Entry { name, n_bytes, outcome: Err(refusal) });
        self.n_given_up += 1;
        if self.n_given_up == MAX_GIVEN_UP {
            self.give_up(&format!("{MAX_GIVEN_UP} files in it stopped their readers; the rest is left out"));
        }
    }

    /// What became of all that is in the file.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    fn document_time(&self) -> Duration {
        let n_bytes = self.at_work.as_ref().map_or(self.n_bytes, |(_, n_bytes)| *n_bytes);
        self.time.unwrap_or_else(|| self.limits.max_time(n_bytes.min(self.n_bytes)))
    }

    fn time(&self) -> Duration {
        self.time.unwrap_or_else(|| self.limits.max_time(self.n_bytes))
    }

    fn give_up(&mut self, reason: &str) {
        let (name, reason) = (self.name.clone(), reason.to_owned());
        let outcome = Err(Refusal::GivenUp { name: name.clone(), reason });
        self.entries.push(Entry { name, n_bytes: self.n_bytes, outcome });
        self.goes_on = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hint, ingest_each};

    const SECOND: Duration = Duration::from_secs(1);

    fn begun(name: &str, n_bytes: u64) -> Told {
        Told::Begun { name: name.to_owned(), n_bytes }
    }

    fn read(name: &str) -> Told {
        let outcome = Err(Refusal::Empty { name: name.to_owned() });
        Told::Read(Entry { name: name.to_owned(), n_bytes: 0, outcome })
    }

    fn reasons(reading: Reading) -> Vec<String> {
        let outcomes = reading.into_entries().into_iter().map(|entry| entry.outcome);
        outcomes.map(|outcome| outcome.expect_err("none of these is a document").to_string()).collect()
    }

    #[test]
    fn a_document_that_stops_its_reader_costs_itself_and_few_may() {
        let mut reading = Reading::new("a.zip", 2 << 20, &Limits::default(), None);
        assert_eq!(reading.patience(), 14 * SECOND);
        reading.told(begun("a.zip/1", 1 << 20), SECOND);
        assert_eq!(reading.patience(), 12 * SECOND);
        reading.told(read("a.zip/1"), SECOND);
        reading.told(begun("a.zip/2", 200 << 20), SECOND);
        assert_eq!(reading.patience(), 14 * SECOND, "no longer than its archive may take");
        reading.timed_out();
        assert_eq!((reading.n_known(), reading.goes_on(), reading.patience()), (2, true, 14 * SECOND));
        for i in 3..6 {
            assert!(reading.goes_on());
            reading.told(begun(&format!("a.zip/{i}"), 1), Duration::ZERO);
            reading.stopped("its reader crashed");
        }
        assert!(!reading.goes_on());
        let reasons = reasons(reading);
        assert!(
            reasons[1].starts_with("a.zip/2 was given up: reading it took longer than 14 s"),
            "{reasons:?}"
        );
        assert!(reasons[4].contains("a.zip/5 was given up: its reader crashed"), "{reasons:?}");
        assert!(reasons[5].contains("a.zip was given up: 4 files in it"), "{reasons:?}");
    }

    #[test]
    fn all_documents_together_have_a_time_and_what_is_no_member_costs_the_file() {
        let mut reading = Reading::new("a.zip", 1, &Limits::default(), Some(2 * SECOND));
        for _ in 0..2 {
            reading.told(begun("a.zip/1", 1), Duration::ZERO);
            reading.told(read("a.zip/1"), SECOND);
        }
        assert_eq!(reading.patience(), Duration::ZERO);
        reading.timed_out();
        assert!(!reading.goes_on());
        assert!(reasons(reading)[2].contains("a.zip was given up: reading all of it took longer than 2 s"));
        for at_work in [None, Some(begun("b.pdf", 1))] {
            let mut reading = Reading::new("b.pdf", 1, &Limits::default(), None);
            at_work.into_iter().for_each(|told| reading.told(told, SECOND));
            reading.timed_out();
            assert!(!reading.goes_on());
            assert_eq!(reasons(reading).len(), 1);
        }
    }

    #[test]
    fn another_reader_goes_on_behind_what_is_known() {
        let mail = b"From: a@b.example\r\nSubject: Tea\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nSteep it.\r\n\
            --x\r\nContent-Disposition: attachment; filename=note.txt\r\n\r\nFor four minutes.\r\n--x--\r\n";
        let hint = Hint { name: "tea.eml", ..Hint::default() };
        let told = |n_known| {
            let mut all = Vec::new();
            ingest_each(mail, &hint, &Limits::default(), n_known, &mut |told| all.push(told));
            all
        };
        let all = told(0);
        assert_eq!(all[0], begun("tea.eml", mail.len() as u64));
        assert!(matches!(&all[1], Told::Read(entry) if entry.outcome.is_ok()), "{all:?}");
        assert_eq!(all[2], begun("tea.eml/note.txt", 19));
        assert_eq!((told(1).as_slice(), told(2).len()), (&all[2..], 0));
    }
}
