//! Stop strings that may be spread over several tokens.

/// Holds back the end of the text as long as it could be the beginning of a stop string.
pub(crate) struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

impl StopMatcher {
    /// Empty stop strings would end every text at once, and are left out.
    pub(crate) fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|s| !s.is_empty()).cloned().collect(), held: String::new() }
    }

    /// Takes new text; gives out what is safe to show, and whether a stop string was met, in which
    /// case the text ends before it.
    pub(crate) fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|s| self.held.find(s.as_str())).min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let keep_from = self.held.len() - self.n_possible_bytes();
        let rest = self.held.split_off(keep_from);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, once no more text comes.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes at the end of the held text that could still become a stop string.
    fn n_possible_bytes(&self) -> usize {
        let longest = |stop: &String| {
            let lengths = stop.char_indices().map(|(at, _)| at).rev();
            lengths.into_iter().find(|&n| self.held.ends_with(&stop[..n])).unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is given out piece by piece (the last entry: at the end), and whether it was stopped.
    #[track_caller]
    fn check(stops: &[&str], pieces: &[&str], expect: &[&str], expect_stopped: bool) {
        let stops: Vec<String> = stops.iter().map(|s| s.to_string()).collect();
        let mut matcher = StopMatcher::new(&stops);
        let mut given = Vec::new();
        let mut stopped = false;
        for piece in pieces {
            let (text, stop) = matcher.push(piece);
            given.push(text);
            stopped = stop;
            if stop {
                break;
            }
        }
        given.push(matcher.finish());
        assert_eq!(given, expect);
        assert_eq!(stopped, expect_stopped);
    }

    #[test]
    fn without_stops_everything_passes() {
        check(&[], &["a", "b"], &["a", "b", ""], false);
        check(&[""], &["a", "b"], &["a", "b", ""], false);
    }

    #[test]
    fn a_stop_within_one_piece_ends_before_it() {
        check(&["\n\n"], &["one\n\ntwo"], &["one", ""], true);
    }

    #[test]
    fn a_stop_across_pieces_is_never_shown() {
        check(&["Question:"], &["yes", ".\nQ", "uest", "ion: next"], &["yes", ".\n", "", "", ""], true);
    }

    #[test]
    fn a_false_beginning_is_given_out_later() {
        check(&["###"], &["a#", "#b", "#"], &["a", "##b", "", "#"], false);
        check(&["aab"], &["a", "a", "a", "b"], &["", "", "a", "", ""], true);
    }

    #[test]
    fn the_earliest_of_several_stops_wins() {
        check(&["zz", "y"], &["x y zz"], &["x ", ""], true);
    }

    #[test]
    fn stops_of_many_byte_characters() {
        check(&["。終"], &["猫。", "犬。", "終わり"], &["猫", "。犬", "", ""], true);
    }
}
