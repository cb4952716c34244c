//! Subtitles, SubRip and WebVTT: what is said as running text, with a page for each minute.

use crate::compose::Composer;

/// Silence that parts paragraphs, in milliseconds.
const PAUSE_MS: u64 = 3_000;
/// A paragraph ends with the next sentence after this, and anyway after twice as much. Bytes.
const MAX_PARAGRAPH_BYTES: usize = 600;
/// A cue further after the one before has a damaged time, in milliseconds: 12 hours.
const MAX_JUMP_MS: u64 = 12 * 3_600_000;

/// Whether a text begins as subtitles do.
pub(crate) fn looks_like_subtitles(text: &str) -> bool {
    if text.trim_start_matches('\u{feff}').starts_with("WEBVTT") {
        return true;
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_number = lines.next().is_some_and(|line| line.bytes().all(|b| b.is_ascii_digit()));
    is_number && lines.next().is_some_and(|line| times_of(line).is_some())
}

/// Reads the cues. Page `i + 1` begins with the first one of minute `i`.
pub(crate) fn parse(text: &str, composer: &mut Composer<'_>) {
    let mut writer =
        Writer { composer, paragraph: String::new(), last_line: String::new(), end_ms: 0, n_pages: 0 };
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if writer.composer.is_full() {
            return;
        }
        // Everything else outside of cues is numbers, notes and styles.
        let Some((start_ms, end_ms)) = times_of(line) else { continue };
        writer.time(start_ms, end_ms);
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty() && times_of(line).is_none()) {
            // The number of the next cue, where no blank line is before it.
            let is_number = line.trim().bytes().all(|b| b.is_ascii_digit());
            if !(is_number && lines.peek().is_some_and(|next| times_of(next).is_some())) {
                writer.line(&plain(line));
            }
        }
    }
    writer.flush();
}

struct Writer<'a, 'c> {
    composer: &'a mut Composer<'c>,
    paragraph: String,
    last_line: String,
    end_ms: u64,
    n_pages: u64,
}

impl Writer<'_, '_> {
    /// A cue begins.
    fn time(&mut self, start_ms: u64, end_ms: u64) {
        let is_sound = start_ms < self.end_ms + MAX_JUMP_MS;
        let start_ms = if is_sound { start_ms } else { self.end_ms };
        let minute = start_ms / 60_000;
        let is_pause = start_ms > self.end_ms + PAUSE_MS;
        let n_bytes = self.paragraph.len();
        let is_whole = self.paragraph.ends_with(['.', '!', '?', '…', '。', '"', '”']);
        let is_due = minute >= self.n_pages || n_bytes > MAX_PARAGRAPH_BYTES;
        if is_pause || (is_due && is_whole) || n_bytes > 2 * MAX_PARAGRAPH_BYTES {
            self.flush();
        }
        while self.paragraph.is_empty() && self.n_pages <= minute && !self.composer.is_full() {
            self.composer.page();
            self.n_pages += 1;
        }
        if is_sound {
            self.end_ms = end_ms.max(start_ms).min(start_ms + PAUSE_MS * 20);
        }
    }

    /// A line of a cue. Captions that roll up repeat the line before.
    fn line(&mut self, line: &str) {
        if line.is_empty() || *line == self.last_line {
            return;
        }
        let starts_turn = line.starts_with(['-', '–', '—']) && !self.paragraph.is_empty();
        if !self.paragraph.is_empty() {
            self.paragraph.push(if starts_turn { '\n' } else { ' ' });
        }
        self.paragraph.push_str(line);
        self.last_line = line.to_owned();
    }

    fn flush(&mut self) {
        self.composer.paragraph(&std::mem::take(&mut self.paragraph));
    }
}

/// The times of a line such as `00:01:02,500 --> 00:01:04,000`, in milliseconds.
fn times_of(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_once("-->")?;
    Some((time_of(start.trim())?, time_of(end.split_whitespace().next()?)?))
}

/// Hours, minutes and seconds.
const MAX_CLOCK_PARTS: usize = 3;

/// `HH:MM:SS,mmm`; hours and the fraction may be missing.
fn time_of(time: &str) -> Option<u64> {
    let (clock, fraction) = time.split_once([',', '.']).unwrap_or((time, "0"));
    let mut seconds: u64 = 0;
    let mut n_parts = 0;
    for part in clock.split(':') {
        if n_parts == MAX_CLOCK_PARTS {
            return None;
        }
        let part: u64 = part.parse().ok().filter(|&part| part < 1_000_000)?;
        seconds = seconds * 60 + part;
        n_parts += 1;
    }
    let millis: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    (n_parts >= 2).then_some(seconds * 1000 + millis)
}

/// A line without marks; `<v Name>` becomes `Name: `.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.trim();
    while let Some(at) = rest.find(['<', '{']) {
        let (before, mark) = rest.split_at(at);
        text.push_str(before);
        let close = if mark.starts_with('<') { '>' } else { '}' };
        // A brace that is no position mark, a sign that opens nothing.
        let is_mark = mark.starts_with("{\\") || mark.starts_with('<');
        let Some(end) = mark.find(close).filter(|_| is_mark) else {
            text.push_str(&mark[..1]);
            rest = &mark[1..];
            continue;
        };
        if let Some(voice) = mark[..end].strip_prefix("<v").and_then(|v| v.split_once(' ')) {
            text.push_str(voice.1.trim());
            text.push_str(": ");
        }
        rest = &mark[end + 1..];
    }
    text.push_str(rest);
    let text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_marks() {
        assert_eq!(times_of("00:01:02,500 --> 00:01:04.25 line:90%"), Some((62_500, 64_250)));
        assert_eq!(times_of("01:02.5 --> 01:03"), Some((62_500, 63_000)));
        for odd in [
            "a --> b",
            "1 --> 2",
            "00:00:00",
            "1:2:3:4 --> 1:2:3:5",
            "99999999:00 --> 0:1",
            "9:9:9:9:9:9:9:9:9:9:9:9:9:9:9:9 --> 1",
        ] {
            assert_eq!(times_of(odd), None, "{odd}");
        }
        for (line, want) in [
            ("<i>Hello</i> {\\an8}there", "Hello there"),
            ("<v Jan Holm>Ahoy &amp; welcome</v>", "Jan Holm: Ahoy & welcome"),
            ("a < b {c}", "a < b {c}"),
            ("<00:00:01.000><c.loud>now</c>", "now"),
        ] {
            assert_eq!(plain(line), want);
        }
    }

    #[test]
    fn subtitles_are_recognised() {
        assert!(
            looks_like_subtitles("WEBVTT\n\n")
                && looks_like_subtitles("1\r\n00:00:01,000 --> 00:00:02,000\r\nx")
        );
        assert!(!looks_like_subtitles("1\n2\n3") && !looks_like_subtitles("text"));
    }
}
