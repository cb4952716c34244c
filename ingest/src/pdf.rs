//! PDF: the objects of a file by `pdf-extract` and the parser in it, what stands above them here.
//!
//! The way of a file: its objects are loaded with bounds and repairs (`open`), the operators of each
//! page are followed (`interpret`) with what the fonts say of codes and widths (`fonts`), which tells
//! where characters stand (`glyphs`), and positions make lines (`lines`). The outline names headings
//! (`outline`), what repeats on pages is set apart (`furniture`), and blocks are made (`assemble`).
//! A page whose codes say nothing to us is given to `pdf-extract`'s own interpreter (`second`).

mod annotations;
mod assemble;
mod cmap;
mod collections;
mod fonts;
mod furniture;
mod glyphs;
mod info;
mod interpret;
mod lexer;
mod lines;
mod lost;
mod matrix;
mod objects;
mod open;
mod outline;
mod pages;
mod programs;
mod second;
mod simple;
mod standard;
mod streams;
mod widths;
mod xref;

use crate::blocks::{complete, to_blocks};
use crate::text::CodePoints;
use crate::{Document, Hint, Kind, Limits, Refusal, Warning, WarningCode};
use glyphs::Collector;
use interpret::Interpreter;
use lines::{Line, lines};
use second::SecondReader;
use std::collections::HashSet;

/// Pages named one by one in a warning.
const MAX_NAMED_PAGES: usize = 8;

/// Reads a PDF.
pub(crate) fn read(bytes: &[u8], hint: &Hint, limits: &Limits) -> Result<(Document, Vec<Warning>), Refusal> {
    let mut warnings = Vec::new();
    let file = open::open(bytes, hint, &mut warnings)?;
    let mut reader = Reader::new(hint, limits, warnings);
    reader.pages(&file);
    let Reader { pages, mut warnings, lost, comments, .. } = reader;
    let is_empty: Vec<bool> = pages
        .iter()
        .zip(&comments)
        .map(|(lines, comments)| lines.is_empty() && comments.is_empty())
        .collect();
    let assembled = assemble::assemble(furniture::part(pages), &comments);
    if assembled.text.trim().is_empty() {
        let name = hint.name.to_owned();
        return Err(match lost.first() {
            Some((page, reason)) => Refusal::Unreadable { name, reason: format!("page {page}: {reason}") },
            None if warnings.iter().any(|w| w.code == WarningCode::Damaged) => {
                Refusal::Unreadable { name, reason: "it is damaged, and no text was left in it".to_owned() }
            }
            None => Refusal::NoText { name },
        });
    }
    warn_of_lost_pages(&lost, &mut warnings);
    warn_of_empty_pages(&is_empty, &lost, &mut warnings);
    let mut chars = CodePoints::new(&assembled.text);
    let page_starts: Vec<u32> = assembled.page_starts.iter().map(|&at| chars.at(at)).collect();
    let blocks = complete(&assembled.text, assembled.blocks);
    let blocks = to_blocks(&assembled.text, &blocks, &page_starts);
    let title = guarded(|| info::title(&file)).unwrap_or_default().or(assembled.heading);
    let (authors, created) = guarded(|| info::authors_and_date(&file)).unwrap_or_default();
    let document =
        Document { kind: Kind::Pdf, title, authors, created, text: assembled.text, blocks, page_starts };
    Ok((document, warnings))
}

struct Reader<'a> {
    hint: &'a Hint<'a>,
    limits: &'a Limits,
    warnings: Vec<Warning>,
    pages: Vec<Vec<Line>>,
    /// The comments of each page.
    comments: Vec<Vec<String>>,
    /// Pages that failed, with the reason.
    lost: Vec<(usize, String)>,
    /// Pages, counted from 0, that show what says nothing, and how many of their glyphs say something.
    mute: Vec<(usize, usize)>,
    n_chars_left: usize,
}

impl<'a> Reader<'a> {
    fn new(hint: &'a Hint<'a>, limits: &'a Limits, warnings: Vec<Warning>) -> Self {
        let n_chars_left = limits.max_text_chars as usize;
        let (pages, comments, lost, mute) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { hint, limits, warnings, pages, comments, lost, mute, n_chars_left }
    }

    fn pages(&mut self, file: &pdf_extract::Document) {
        let max_pages = self.limits.max_pages as usize;
        // One more than allowed, to know whether any are left out.
        let pages = guarded(|| pages::list(file, max_pages.saturating_add(1))).unwrap_or_default();
        let empty = pdf_extract::Dictionary::new();
        let mut interpreter = Interpreter::new(file, &empty);
        let mut cut_at = (pages.len() > max_pages).then_some(max_pages);
        let mut cut_pages = Vec::new();
        for (i, page) in pages.iter().take(max_pages).enumerate() {
            if self.n_chars_left == 0 || interpreter.is_spent() {
                cut_at = Some(i);
                break;
            }
            if self.page(page, i + 1, &mut interpreter) {
                cut_pages.push(i + 1);
            }
            let comments = guarded(|| annotations::comments(file, page.dict)).unwrap_or_default();
            self.n_chars_left =
                comments.iter().fold(self.n_chars_left, |n, text| n.saturating_sub(text.len()));
            self.comments.push(comments);
        }
        let fonts_read = self.read_again(file, &pages, &mut interpreter);
        let ids: Vec<_> = pages.iter().map(|page| page.id).collect();
        let entries = guarded(|| outline::read(file, &ids)).unwrap_or_default();
        outline::mark(&entries, &mut self.pages);
        if let Some(n_read) = cut_at {
            self.warn(
                WarningCode::Truncated,
                format!(
                    "only the first {n_read} pages of {} were read; split it to have the rest",
                    self.hint.name
                ),
            );
        }
        if !cut_pages.is_empty() {
            let message = format!("{} holds more than can be read and was cut", page_list(&cut_pages));
            self.warn(WarningCode::Truncated, message);
        }
        let n_unknown_codes = interpreter.n_unknown_codes(&fonts_read);
        if n_unknown_codes > 0 {
            let message = format!(
                "{n_unknown_codes} different characters have no meaning outside this file's fonts and are missing from the text"
            );
            self.warn(WarningCode::Damaged, message);
        }
    }

    /// Reads a page; true if a limit cut it.
    fn page<'f>(&mut self, page: &pages::Page<'f>, number: usize, interpreter: &mut Interpreter<'f>) -> bool {
        let max_chars = self.n_chars_left.min(self.limits.max_page_chars as usize);
        let mut collector = Collector::new(page.n_quarter_turns, max_chars);
        let hit_limit = guarded(|| interpreter.page(page, &mut collector)).unwrap_or_else(|reason| {
            self.lost.push((number, reason));
            false
        });
        if collector.is_nearly_mute() {
            self.mute.push((number - 1, collector.n_written));
        }
        // What a failing page gave before it failed is kept.
        self.n_chars_left = self.n_chars_left.saturating_sub(collector.n_chars);
        self.pages.push(lines(&collector.glyphs, collector.fields.clone()));
        hit_limit
    }

    /// Gives mute pages to the second reader, and tells which fonts it understood.
    fn read_again<'f>(
        &mut self,
        file: &'f pdf_extract::Document,
        pages: &[pages::Page<'f>],
        interpreter: &mut Interpreter<'f>,
    ) -> HashSet<usize> {
        let mut fonts_read = HashSet::new();
        let has_text = self.pages.iter().any(|lines| !lines.is_empty());
        if has_text && !second::IS_CONTAINED {
            return fonts_read;
        }
        let mut second = SecondReader::new(file);
        for (i, n_written) in std::mem::take(&mut self.mute) {
            if self.n_chars_left == 0 || interpreter.is_spent() || second.is_spent() {
                break;
            }
            let max_chars = self.n_chars_left.min(self.limits.max_page_chars as usize);
            let recording = guarded(|| interpreter.record(&pages[i], max_chars)).unwrap_or_default();
            let mut collector = Collector::new(pages[i].n_quarter_turns, max_chars);
            if second.page(&recording, &mut collector) && collector.n_written > n_written {
                self.n_chars_left = self.n_chars_left.saturating_sub(collector.n_chars);
                self.pages[i] = lines(&collector.glyphs, collector.fields.clone());
                fonts_read.extend(recording.fonts());
            }
        }
        fonts_read
    }

    fn warn(&mut self, code: WarningCode, message: String) {
        self.warnings.push(Warning { code, message });
    }
}

fn warn_of_lost_pages(lost: &[(usize, String)], warnings: &mut Vec<Warning>) {
    let Some((_, reason)) = lost.first() else { return };
    let numbers: Vec<usize> = lost.iter().map(|&(number, _)| number).collect();
    warnings.push(Warning {
        code: WarningCode::PageLost,
        message: format!("{} could not be read in full ({reason})", page_list(&numbers)),
    });
}

fn warn_of_empty_pages(is_empty: &[bool], lost: &[(usize, String)], warnings: &mut Vec<Warning>) {
    let empty: Vec<usize> = (1..=is_empty.len())
        .filter(|number| is_empty[number - 1] && lost.iter().all(|(l, _)| l != number))
        .collect();
    if !empty.is_empty() {
        warnings.push(Warning {
            code: WarningCode::PagesWithoutText,
            message: format!(
                "{} without text, blank or scanned; text recognition (OCR) would make scans readable",
                page_list(&empty)
            ),
        });
    }
}

/// "page 3", "pages 1, 2 and 5 more".
fn page_list(numbers: &[usize]) -> String {
    let named: Vec<String> = numbers.iter().take(MAX_NAMED_PAGES).map(usize::to_string).collect();
    let noun = if numbers.len() == 1 { "page" } else { "pages" };
    let more = match numbers.len() - named.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("{noun} {}{more}", named.join(", "))
}

/// Runs `work`; a panic in it becomes a reason, quietly. Where panics abort, it is not caught.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    quiet::during(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))).map_err(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown");
        let message: String = message.chars().take(120).collect();
        format!("the PDF parser stopped: {}", message.replace('\n', " "))
    })
}

/// Panics that are caught here say nothing on standard error.
mod quiet {
    use std::cell::Cell;

    thread_local! {
        static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    }

    #[cfg(panic = "unwind")]
    fn install_hook() {
        static INSTALLED: std::sync::Once = std::sync::Once::new();
        INSTALLED.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !IS_QUIET.get() {
                    previous(info);
                }
            }));
        });
    }

    /// A panic that ends the program must be heard.
    #[cfg(not(panic = "unwind"))]
    fn install_hook() {}

    pub(super) fn during<T>(work: impl FnOnce() -> T) -> T {
        install_hook();
        let was_quiet = IS_QUIET.replace(true);
        let result = work();
        IS_QUIET.set(was_quiet);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_reasons() {
        assert_eq!(guarded(|| 3), Ok(3));
        let reason = guarded(|| -> u32 { panic!("missing\nkey") });
        assert_eq!(reason, Err("the PDF parser stopped: missing key".to_owned()));
    }

    #[test]
    fn page_lists_stay_short() {
        assert_eq!(page_list(&[3]), "page 3");
        assert_eq!(page_list(&[1, 2]), "pages 1, 2");
        assert_eq!(page_list(&(1..=20).collect::<Vec<_>>()), "pages 1, 2, 3, 4, 5, 6, 7, 8 and 12 more");
    }
}
