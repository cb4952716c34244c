//! HTML: the readable part as text with block breaks.

use crate::BlockKind;
use crate::blocks::ByteBlock;
use ego_tree::{NodeId, NodeRef, iter::Edge};
use scraper::{Html, Node, node::Element};

mod depth;

/// Text, title and blocks of an HTML page.
pub(crate) struct Page {
    pub(crate) title: Option<String>,
    pub(crate) authors: Vec<String>,
    pub(crate) created: Option<String>,
    pub(crate) text: String,
    pub(crate) blocks: Vec<ByteBlock>,
}

/// How `<meta>` elements call an author, and the day a page was published: HTML's own names, those of the Open
/// Graph, Dublin Core and scholarly indexes.
const AUTHOR_NAMES: [&str; 5] =
    ["author", "article:author", "dc.creator", "dcterms.creator", "citation_author"];
const DATE_NAMES: [&str; 9] = [
    "article:published_time",
    "date",
    "dc.date",
    "dcterms.date",
    "dcterms.created",
    "datepublished",
    "citation_publication_date",
    "citation_date",
    "pubdate",
];

/// Extracts `<main>`, or else the articles, or else the body without its navigation.
pub(crate) fn parse(source: &str) -> Page {
    let html = Html::parse_document(&depth::bounded(source));
    let root = html.tree.root();
    let mut writer = Writer::default();
    for node in readable_roots(root) {
        writer.walk(node);
    }
    if writer.text.is_empty() {
        writer = Writer { keeps_navigation: true, ..Writer::default() };
        writer.walk(root);
    }
    let title = find(root, |e| e.name() == "title")
        .map(words)
        .filter(|t| !t.is_empty())
        .or_else(|| writer.first_heading());
    let authors = meta(root, &AUTHOR_NAMES);
    let created = meta(root, &DATE_NAMES).into_iter().next();
    Page { title, authors, created, text: writer.text, blocks: writer.blocks }
}

/// What the `<meta>` elements of these names say, in the order of the names, each once. An address of a
/// profile is no name.
fn meta(root: NodeRef<'_, Node>, names: &[&str]) -> Vec<String> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let elements = root.descendants().filter_map(|node| node.value().as_element());
    for element in elements.filter(|element| element.name() == "meta") {
        let name = ["name", "property", "itemprop"].iter().find_map(|attribute| element.attr(attribute));
        let name = name.unwrap_or_default().to_ascii_lowercase();
        let content = element.attr("content").unwrap_or_default();
        let content = content.split_whitespace().collect::<Vec<_>>().join(" ");
        let rank = names.iter().position(|known| *known == name);
        if let Some(rank) = rank.filter(|_| !content.is_empty() && !content.contains("://")) {
            found.push((rank, content));
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    let mut values: Vec<String> = Vec::new();
    for (_, value) in found {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// The outermost `main` elements, else the outermost articles, else the root.
fn readable_roots(root: NodeRef<'_, Node>) -> Vec<NodeRef<'_, Node>> {
    let is_main = |e: &Element| e.name() == "main" || e.attr("role") == Some("main");
    let is_article = |e: &Element| e.name() == "article";
    for wanted in [&is_main as &dyn Fn(&Element) -> bool, &is_article] {
        let found = outermost(root, wanted);
        if found.iter().any(|&n| !words(n).is_empty()) {
            return found;
        }
    }
    vec![root]
}

fn outermost<'a>(root: NodeRef<'a, Node>, wanted: &dyn Fn(&Element) -> bool) -> Vec<NodeRef<'a, Node>> {
    let mut found: Vec<NodeRef<'a, Node>> = Vec::new();
    let mut within: Option<NodeId> = None;
    for edge in root.traverse() {
        match edge {
            Edge::Open(node) if within.is_none() && node.value().as_element().is_some_and(wanted) => {
                within = Some(node.id());
                found.push(node);
            }
            Edge::Close(node) if within == Some(node.id()) => within = None,
            _ => {}
        }
    }
    found
}

fn find(root: NodeRef<'_, Node>, wanted: impl Fn(&Element) -> bool) -> Option<NodeRef<'_, Node>> {
    root.descendants().find(|n| n.value().as_element().is_some_and(&wanted))
}

/// All text below a node, its blanks collapsed.
fn words(node: NodeRef<'_, Node>) -> String {
    let mut all = String::new();
    for text in node.descendants().filter_map(|n| n.value().as_text()) {
        all.push_str(text);
    }
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text and blocks while walking the tree.
#[derive(Default)]
struct Writer {
    text: String,
    blocks: Vec<ByteBlock>,
    /// Roles of the open elements that give their text one, innermost last.
    roles: Vec<(NodeId, BlockKind)>,
    /// Where the open block's text starts.
    start: usize,
    /// Written before the first character of the next block.
    prefix: &'static str,
    /// A blank is due before the next word.
    blank_due: bool,
    keeps_navigation: bool,
}

impl Writer {
    fn walk(&mut self, root: NodeRef<'_, Node>) {
        let is_whole_page = root.value().is_document();
        let mut skipped: Option<NodeId> = None;
        for edge in root.traverse() {
            match edge {
                Edge::Open(_) if skipped.is_some() => {}
                Edge::Open(node) => match node.value() {
                    Node::Text(text) => self.text(text),
                    Node::Element(e) if self.skips(e, is_whole_page) => skipped = Some(node.id()),
                    Node::Element(e) => self.open(e, node),
                    _ => {}
                },
                Edge::Close(node) if skipped == Some(node.id()) => skipped = None,
                Edge::Close(_) if skipped.is_some() => {}
                Edge::Close(node) => {
                    if let Some(e) = node.value().as_element() {
                        self.close(e, node.id());
                    }
                }
            }
        }
        self.flush();
    }

    fn skips(&self, e: &Element, is_whole_page: bool) -> bool {
        match e.name() {
            "script" | "style" | "template" | "noscript" | "svg" | "math" | "head" | "iframe" | "object"
            | "canvas" | "audio" | "video" | "select" | "button" | "dialog" => true,
            "nav" => !self.keeps_navigation,
            // Within an article they belong to it; a whole page's own are banners.
            "header" | "footer" | "aside" if !is_whole_page => e.name() == "footer",
            _ => e.attr("hidden").is_some() || e.attr("aria-hidden") == Some("true") || is_note_link(e),
        }
    }

    fn open(&mut self, e: &Element, node: NodeRef<'_, Node>) {
        let role = match e.name() {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                Some(BlockKind::Heading { level: e.name().as_bytes()[1] - b'0' })
            }
            "li" => Some(BlockKind::ListItem),
            "pre" => Some(BlockKind::Code),
            "table" if !is_layout_table(node) => Some(BlockKind::Table),
            _ => None,
        };
        if self.role() == BlockKind::Table {
            self.open_in_table(e);
            return;
        }
        if e.name() == "br" {
            self.line_break();
        } else if role.is_some() || is_block(e.name()) {
            self.flush();
        }
        if let Some(role) = role {
            self.roles.push((node.id(), role));
            self.prefix = if role == BlockKind::ListItem { "- " } else { "" };
        }
    }

    /// A table is one block: a line per row, bars between cells.
    fn open_in_table(&mut self, e: &Element) {
        match e.name() {
            "tr" | "caption" => self.line_break(),
            "td" | "th" if self.text.len() > self.start && !self.text.ends_with('\n') => {
                self.text.push_str(" |");
                self.blank_due = true;
            }
            _ if is_block(e.name()) || e.name() == "br" => self.blank_due = true,
            _ => {}
        }
    }

    fn close(&mut self, e: &Element, id: NodeId) {
        if self.role() == BlockKind::Table && e.name() == "caption" {
            self.line_break();
        }
        let ends_role = self.roles.last().is_some_and(|&(open, _)| open == id);
        if ends_role || (self.role() != BlockKind::Table && is_block(e.name())) {
            self.flush();
        }
        if ends_role {
            self.roles.pop();
            self.prefix = "";
        }
    }

    fn role(&self) -> BlockKind {
        self.roles.last().map_or(BlockKind::Paragraph, |&(_, role)| role)
    }

    fn text(&mut self, text: &str) {
        if self.role() == BlockKind::Code {
            self.begin_block();
            self.text.push_str(text);
            return;
        }
        for c in text.chars() {
            if c.is_whitespace() && c != '\u{a0}' {
                self.blank_due = true;
                continue;
            }
            let at_start = self.text.len() == self.start;
            if at_start {
                self.begin_block();
            } else if self.blank_due && !self.text.ends_with('\n') {
                self.text.push(' ');
            }
            self.blank_due = false;
            self.text.push(if c == '\u{a0}' { ' ' } else { c });
        }
    }

    /// Parts a new block from the one before and writes its mark.
    fn begin_block(&mut self) {
        if self.text.len() != self.start {
            return;
        }
        if !self.text.is_empty() {
            let both_items = self.role() == BlockKind::ListItem
                && self.blocks.last().is_some_and(|b| b.kind == BlockKind::ListItem);
            self.text.push_str(if both_items { "\n" } else { "\n\n" });
        }
        self.start = self.text.len();
        self.text.push_str(self.prefix);
        self.prefix = "";
    }

    fn line_break(&mut self) {
        if self.text.len() > self.start && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.blank_due = false;
    }

    /// Ends the open block.
    fn flush(&mut self) {
        self.blank_due = false;
        let block = &self.text[self.start..];
        let n_kept = block.trim_end().len();
        self.text.truncate(self.start + n_kept);
        if n_kept > 0 {
            let (kind, start) = (self.role(), self.start);
            self.blocks.push(ByteBlock { kind, start, end: self.text.len() });
        }
        self.start = self.text.len();
    }

    fn first_heading(&self) -> Option<String> {
        let block = self.blocks.iter().find(|b| matches!(b.kind, BlockKind::Heading { .. }))?;
        Some(self.text[block.start..block.end].replace('\n', " "))
    }
}

/// The number that links to a note, and the arrow that links back.
fn is_note_link(e: &Element) -> bool {
    let role = e.attr("role").or_else(|| e.attr("epub:type")).unwrap_or("");
    matches!(role, "doc-noteref" | "doc-backlink" | "noteref" | "backlink")
}

/// Tables that hold tables, headings or lists arrange a page; they are no data.
fn is_layout_table(table: NodeRef<'_, Node>) -> bool {
    table
        .descendants()
        .skip(1)
        .filter_map(|n| n.value().as_element())
        .any(|e| matches!(e.name(), "table" | "h1" | "h2" | "h3" | "h4" | "ul" | "ol" | "pre" | "form"))
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "center"
            | "dd"
            | "details"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hr"
            | "legend"
            | "li"
            | "main"
            | "nav"
            | "ol"
            | "p"
            | "pre"
            | "section"
            | "summary"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "ul"
            | "caption"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use BlockKind::{Code, Heading, ListItem, Paragraph, Table};

    fn check(source: &str, want: &[(BlockKind, &str)]) {
        let page = parse(source);
        let got: Vec<_> = page.blocks.iter().map(|b| (b.kind, &page.text[b.start..b.end])).collect();
        assert_eq!(got, want, "{source}");
    }

    #[test]
    fn blocks_and_entities() {
        check(
            "<h1>A &amp; B</h1><p>One <b>t</b>wo\n three&nbsp;&lt;4&gt;<br>five</p>six<div>seven</div>",
            &[
                (Heading { level: 1 }, "A & B"),
                (Paragraph, "One two three <4>\nfive"),
                (Paragraph, "six"),
                (Paragraph, "seven"),
            ],
        );
        check(
            "<ul><li>one<li><p>two</p><ol><li>deep</ol></ul><pre>a\n  b</pre>",
            &[(ListItem, "- one"), (ListItem, "- two"), (ListItem, "- deep"), (Code, "a\n  b")],
        );
        check(
            "<table><caption>C</caption><tr><th>a<th>b<tr><td><p>1</p><td>2 <i>x</i></table>z",
            &[(Table, "C\na | b\n1 | 2 x"), (Paragraph, "z")],
        );
        check(
            "<table><tr><td><h2>H</h2>text</td><td>more</td></tr></table>",
            &[(Heading { level: 2 }, "H"), (Paragraph, "text"), (Paragraph, "more")],
        );
    }

    #[test]
    fn only_the_readable_part() {
        check(
            "<title>t</title><style>s</style><nav>menu</nav><header>banner</header><p>text<script>1<2</script></p>",
            &[(Paragraph, "banner"), (Paragraph, "text")],
        );
        check(
            "<header>banner</header><nav>m</nav><main><header>Lead</header><p>text</p><footer>f</footer></main><footer>z</footer>",
            &[(Paragraph, "Lead"), (Paragraph, "text")],
        );
        check("<p>x<article>one</article>y<article>two</article>", &[(Paragraph, "one"), (Paragraph, "two")]);
        check("<main></main><p hidden>h</p><p>text</p>", &[(Paragraph, "text")]);
        check("<nav>only a menu</nav>", &[(Paragraph, "only a menu")]);
    }

    #[test]
    fn authors_and_dates() {
        let page = parse(
            "<meta name=DC.creator content='Ana  Duarte'><meta property='article:author' content='https://x.org/ana'>\
             <meta name=date content=2026-11-25><meta name=author content='Émile Ruiz'>\
             <meta property='article:published_time' content='2026-11-24T08:30:00Z'>\
             <meta name=author content='Émile Ruiz'><p>text",
        );
        assert_eq!(page.authors, ["Émile Ruiz", "Ana Duarte"]);
        assert_eq!(page.created.as_deref(), Some("2026-11-24T08:30:00Z"));
        let page = parse("<meta charset=utf-8><meta name=author content=' '><p>text");
        assert_eq!((page.authors, page.created), (Vec::new(), None));
    }

    #[test]
    fn titles() {
        for (source, want) in [
            ("<title> The\n title </title><h1>H</h1>", Some("The title")),
            ("<title></title><p>a<h2>Head <i>ing</i></h2>", Some("Head ing")),
            ("<p>none", None),
        ] {
            assert_eq!(parse(source).title.as_deref(), want);
        }
    }
}
