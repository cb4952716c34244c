//! Markdown: the text stays verbatim, the parser only says where blocks are.

use crate::BlockKind;
use crate::blocks::ByteBlock;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag};
use std::ops::Range;

/// Lines of a front matter that are looked at.
const MAX_FRONT_LINES: usize = 200;

/// The title and the blocks of a Markdown text, ascending.
pub(crate) fn parse(text: &str) -> (Option<String>, Vec<ByteBlock>) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut walk = Walk::default();
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        walk.event(text, event, range);
    }
    let title = walk.front_matter_title.or(walk.first_heading).filter(|t| !t.is_empty());
    (title, walk.blocks)
}

/// A heading's words, without the marks around and within them.
pub(crate) fn plain_heading(source: &str) -> String {
    let mut words = String::new();
    for event in Parser::new(source) {
        match event {
            Event::Text(t) | Event::Code(t) => words.push_str(&t),
            Event::SoftBreak | Event::HardBreak => words.push(' '),
            _ => {}
        }
    }
    words.trim().to_owned()
}

/// A list item whose own text is being collected.
struct Item {
    /// Where text that belongs to no block yet starts.
    start: usize,
    /// Where the item's own inline text ends so far.
    inline_end: usize,
}

#[derive(Default)]
struct Walk {
    blocks: Vec<ByteBlock>,
    /// Open containers; `None` for those that are no list items.
    containers: Vec<Option<Item>>,
    /// How many tags are open within the block that is taken as a whole.
    leaf_depth: usize,
    heading: Option<String>,
    first_heading: Option<String>,
    front_matter_title: Option<String>,
}

impl Walk {
    fn event(&mut self, text: &str, event: Event, range: Range<usize>) {
        if self.leaf_depth > 0 {
            match event {
                Event::Start(_) => self.leaf_depth += 1,
                Event::End(_) => self.leaf_depth -= 1,
                Event::Text(t) | Event::Code(t) => {
                    if let Some(heading) = &mut self.heading {
                        heading.push_str(&t);
                    }
                }
                _ => {}
            }
            if self.leaf_depth == 0
                && let Some(heading) = self.heading.take()
            {
                self.first_heading.get_or_insert(heading.trim().to_owned());
            }
            return;
        }
        match event {
            Event::Start(tag) => self.start(text, tag, range),
            Event::End(tag) => {
                use pulldown_cmark::TagEnd::{BlockQuote, FootnoteDefinition, Item, List};
                if matches!(tag, BlockQuote(_) | FootnoteDefinition | Item | List(_)) {
                    self.flush_item();
                    self.containers.pop();
                }
            }
            Event::Rule => self.flush_item(),
            _ => self.inline(range),
        }
    }

    fn start(&mut self, text: &str, tag: Tag, range: Range<usize>) {
        let kind = match tag {
            Tag::Item => {
                self.containers.push(Some(Item { start: range.start, inline_end: range.start }));
                return;
            }
            Tag::List(_) | Tag::BlockQuote(_) | Tag::FootnoteDefinition(_) => {
                self.flush_item();
                self.containers.push(None);
                return;
            }
            Tag::Heading { level, .. } => {
                self.heading = Some(String::new());
                BlockKind::Heading { level: level_number(level) }
            }
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => BlockKind::Code,
            Tag::Table(_) => BlockKind::Table,
            Tag::Paragraph | Tag::HtmlBlock => BlockKind::Paragraph,
            Tag::MetadataBlock(_) => {
                self.front_matter_title = front_matter_title(&text[range.clone()]);
                BlockKind::Paragraph
            }
            // Inline tags; nothing needs to be known about what is in them.
            _ => {
                self.inline(range);
                self.leaf_depth = 1;
                return;
            }
        };
        self.leaf(kind, range);
    }

    /// A block that is taken as a whole. The first one of a list item takes the item's mark along.
    fn leaf(&mut self, mut kind: BlockKind, mut range: Range<usize>) {
        let in_item = self.containers.iter().any(Option::is_some);
        if let Some(Some(item)) = self.containers.last_mut() {
            if item.inline_end > item.start {
                self.flush_item();
            } else if kind == BlockKind::Paragraph {
                range.start = item.start.min(range.start);
            }
        }
        if let Some(Some(item)) = self.containers.last_mut() {
            (item.start, item.inline_end) = (range.end, range.end);
        }
        if in_item && kind == BlockKind::Paragraph {
            kind = BlockKind::ListItem;
        }
        self.blocks.push(ByteBlock { kind, start: range.start, end: range.end });
        self.leaf_depth = 1;
    }

    fn inline(&mut self, range: Range<usize>) {
        if let Some(Some(item)) = self.containers.last_mut() {
            item.inline_end = item.inline_end.max(range.end);
        }
    }

    fn flush_item(&mut self) {
        if let Some(Some(item)) = self.containers.last_mut()
            && item.inline_end > item.start
        {
            let (start, end) = (item.start, item.inline_end);
            item.start = end;
            self.blocks.push(ByteBlock { kind: BlockKind::ListItem, start, end });
        }
    }
}

fn level_number(level: HeadingLevel) -> u8 {
    level as u8
}

/// The authors and the date that a Markdown text names in its front matter.
pub(crate) fn about(text: &str) -> (Vec<String>, Option<String>) {
    let mut lines = text.lines();
    let fence = lines.next().map(str::trim_end).filter(|line| matches!(*line, "---" | "+++"));
    let Some(fence) = fence else { return (Vec::new(), None) };
    let block: Vec<&str> = lines.take_while(|line| line.trim_end() != fence).take(MAX_FRONT_LINES).collect();
    let block = block.join("\n");
    let named = ["author", "authors"].iter().find_map(|key| front_matter_value(&block, key));
    let named = named.unwrap_or_default();
    let authors = named.trim_matches(['[', ']']).split(',');
    let authors = authors.map(|author| author.trim().trim_matches(['"', '\'']).trim().to_owned());
    (authors.filter(|author| !author.is_empty()).collect(), front_matter_value(&block, "date"))
}

fn front_matter_title(block: &str) -> Option<String> {
    front_matter_value(block, "title")
}

/// The value of `key: ..` (YAML) or `key = ..` (TOML), without quotes.
fn front_matter_value(block: &str, key: &str) -> Option<String> {
    block.lines().find_map(|line| {
        let rest = line.strip_prefix(key)?.trim_start();
        let value = rest.strip_prefix([':', '='])?.trim();
        let value = value.trim_matches(['"', '\'']).trim();
        (!value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::complete;
    use BlockKind::{Code, Heading, ListItem, Paragraph, Table};

    fn check(text: &str, want: &[(BlockKind, &str)]) {
        let blocks = complete(text, parse(text).1);
        let got: Vec<_> = blocks.iter().map(|b| (b.kind, &text[b.start..b.end])).collect();
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn blocks_are_verbatim_ranges() {
        check(
            "# One\n\nText *so* far\ngoes on.\n\nTwo\n---\n\nMore.\n",
            &[
                (Heading { level: 1 }, "# One"),
                (Paragraph, "Text *so* far\ngoes on."),
                (Heading { level: 2 }, "Two\n---"),
                (Paragraph, "More."),
            ],
        );
        check(
            "A\n\n```rust\nfn main() {}\n\n// end\n```\n\nB",
            &[(Paragraph, "A"), (Code, "```rust\nfn main() {}\n\n// end\n```"), (Paragraph, "B")],
        );
        check(
            "| a | b |\n|---|---|\n| 1 | 2 |\n\nafter",
            &[(Table, "| a | b |\n|---|---|\n| 1 | 2 |"), (Paragraph, "after")],
        );
        check("> quoted\n> text\n\nplain", &[(Paragraph, "> quoted\n> text"), (Paragraph, "plain")]);
        check(
            "See [a].\n\n[a]: http://a.example\n",
            &[(Paragraph, "See [a]."), (Paragraph, "[a]: http://a.example")],
        );
        check("---\ntitle: T\n---\n\ntext", &[(Paragraph, "---\ntitle: T\n---"), (Paragraph, "text")]);
    }

    #[test]
    fn list_items_are_blocks_with_their_marks() {
        check("- one\n- **two** x\n", &[(ListItem, "- one"), (ListItem, "- **two** x")]);
        check(
            "1. one\n   - deep `x`\n   - er\n2. two\n",
            &[(ListItem, "1. one"), (ListItem, "- deep `x`"), (ListItem, "- er"), (ListItem, "2. two")],
        );
        check("- one\n\n  more\n\n- two", &[(ListItem, "- one"), (ListItem, "more"), (ListItem, "- two")]);
        check(
            "- one\n\n  ```\n  code\n  ```\n- [ ] task",
            &[(ListItem, "- one"), (Code, "```\n  code\n  ```"), (ListItem, "- [ ] task")],
        );
    }

    #[test]
    fn authors_and_date_come_from_front_matter() {
        let both = |text: &str| about(text);
        assert_eq!(
            both(
                "---\ntitle: T\nauthors: [Ana Duarte, \"Émile Ruiz\"]\ndate: 2026-11-25\n---\n\nauthor: no\n"
            ),
            (vec!["Ana Duarte".to_owned(), "Émile Ruiz".to_owned()], Some("2026-11-25".to_owned()))
        );
        assert_eq!(both("+++\nauthor = 'Ana'\n+++\n"), (vec!["Ana".to_owned()], None));
        assert_eq!(both("# T\n\nauthor: Ana\n"), (vec![], None));
    }

    #[test]
    fn titles_come_from_front_matter_or_the_first_heading() {
        for (text, want) in [
            ("---\ntitle: \"The *title*\"\n---\n# Other", Some("The *title*")),
            ("+++\ntitle = 'T'\n+++\n", Some("T")),
            ("text\n\n## The `main` part\n\n# Later", Some("The main part")),
            ("text only", None),
        ] {
            assert_eq!(parse(text).0.as_deref(), want, "{text}");
        }
        assert_eq!(plain_heading("## The `main` [part](x) **now** ##"), "The main part now");
        assert_eq!(plain_heading("Two\nlines\n==="), "Two lines");
    }
}
