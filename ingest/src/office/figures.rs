//! Charts as tables of their values, and diagrams as lists of their words: parts of their own, which slides, pages
//! and sheets show (ECMA-376, part 1, 21.2 and 21.4).

use super::formats::show_by_code;
use super::package::{Package, Relation};
use crate::compose::Composer;
use crate::xml::{Element, Node, Xml};
use std::collections::{BTreeMap, HashMap};

/// Cells of a chart; one with more is a cloud of points that nobody reads.
const MAX_CELLS: usize = 10_000;

/// What a chart or a diagram says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Figure {
    /// Of the chart and its axes.
    titles: Vec<String>,
    tables: Vec<Vec<Vec<String>>>,
    points: Vec<String>,
}

impl Figure {
    /// Leaves the words alone, where the values stand in a table already.
    pub(super) fn leave_out_values(&mut self) {
        self.tables.clear();
    }

    pub(super) fn write(&self, composer: &mut Composer<'_>) {
        self.titles.iter().for_each(|title| composer.paragraph(title));
        self.tables.iter().for_each(|rows| composer.table(rows));
        self.points.iter().for_each(|point| composer.item(point));
    }
}

/// The chart or the diagram that an element of a drawing shows, if it is there.
pub(super) fn shown_by(package: &Package<'_>, relations: &[Relation], e: &Element<'_>) -> Option<Figure> {
    let (key, read) = match e.name() {
        "chart" => ("r:id", chart as fn(&mut Xml<'_>) -> Figure),
        "relIds" => ("r:dm", diagram as fn(&mut Xml<'_>) -> Figure),
        _ => return None,
    };
    let id = e.prefixed_attr(key)?;
    let source = package.optional(&relations.iter().find(|r| r.id == id)?.target)?;
    let mut xml = Xml::new(&source);
    let figure = read(&mut xml);
    package.note(&xml);
    Some(figure)
}

/// Values by their number within a series.
type Points = BTreeMap<u32, String>;

#[derive(Default)]
struct Series {
    name: String,
    /// What values are shown over; the innermost level first where there are several.
    categories: Vec<Points>,
    /// One for each measure: bubbles have a size besides a height.
    values: Vec<Points>,
}

impl Series {
    fn category(&self, idx: u32) -> String {
        let (inner, outer) = match self.categories.split_first() {
            Some((inner, outer)) => (inner.get(&idx), outer),
            None => return String::new(),
        };
        // An outer category is said once for all that it holds.
        let outer =
            outer.iter().rev().filter_map(|level| level.range(..=idx).next_back().map(|(_, name)| name));
        outer.chain(inner).map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

fn chart(xml: &mut Xml<'_>) -> Figure {
    let mut figure = Figure::default();
    let mut all: Vec<Series> = Vec::new();
    while let Some(node) = xml.next() {
        let Node::Open(e) = node else { continue };
        match e.name() {
            "title" => figure.titles.extend(Some(rich_text(xml, "title")).filter(|t| !t.is_empty())),
            "ser" => all.push(series(xml)),
            // Pictures of the chart for programs that cannot draw it, and its own settings.
            "Fallback" | "extLst" => xml.skip_element(),
            _ => {}
        }
    }
    let mut n_cells_left = MAX_CELLS;
    let mut rest = all.as_slice();
    while let Some(first) = rest.first() {
        // Series over the same categories are columns of one table.
        let is_alike = |s: &Series| s.categories == first.categories || s.categories.is_empty();
        let n = rest.iter().position(|s| !is_alike(s)).unwrap_or(rest.len());
        figure.tables.extend(table(&rest[..n], &mut n_cells_left));
        rest = &rest[n..];
    }
    figure
}

/// Up to the end of the series.
fn series(xml: &mut Xml<'_>) -> Series {
    let mut series = Series::default();
    while let Some(node) = xml.next() {
        match node {
            Node::Open(e) => match e.name() {
                "tx" => series.name = rich_text(xml, "tx"),
                "cat" => series.categories = levels(xml, "cat"),
                "xVal" => series.categories = levels(xml, "xVal"),
                name @ ("val" | "yVal" | "bubbleSize") => {
                    let name = name.to_owned();
                    series.values.extend(levels(xml, &name).into_iter().next());
                }
                "extLst" | "dLbls" | "trendline" | "errBars" => xml.skip_element(),
                _ => {}
            },
            Node::Close(name) if name == "ser" => break,
            _ => {}
        }
    }
    series
}

/// The values of an element, as they are kept from the workbook behind it; several levels of categories are several.
fn levels(xml: &mut Xml<'_>, end: &str) -> Vec<Points> {
    let mut levels = vec![Points::new()];
    let (mut idx, mut code) = (0, String::new());
    while let Some(node) = xml.next() {
        match node {
            Node::Open(e) => match e.name() {
                // The formula of a range is no value.
                "f" => xml.skip_element(),
                "formatCode" => code = xml.inner_text(),
                "pt" => idx = e.attr("idx").and_then(|i| i.parse().ok()).unwrap_or(0),
                "v" => {
                    let text = xml.inner_text();
                    let text = if code.is_empty() { text } else { show_by_code(&text, &code) };
                    if let Some(level) = levels.last_mut() {
                        level.insert(idx, text);
                    }
                }
                _ => {}
            },
            Node::Close(name) if name == "lvl" => levels.push(Points::new()),
            Node::Close(name) if name == end => break,
            Node::Close(_) | Node::Text(_) => {}
        }
    }
    levels.retain(|level| !level.is_empty());
    levels
}

/// A row for each category, a column for each series.
fn table(all: &[Series], n_cells_left: &mut usize) -> Option<Vec<Vec<String>>> {
    let columns: Vec<(&str, &Points)> =
        all.iter().flat_map(|s| s.values.iter().map(move |values| (s.name.as_str(), values))).collect();
    let mut numbers: Vec<u32> = columns.iter().flat_map(|(_, values)| values.keys().copied()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let first = all.first()?;
    let mut rows = Vec::new();
    if columns.iter().any(|(name, _)| !name.is_empty()) {
        let names = columns.iter().map(|(name, _)| (*name).to_owned());
        rows.push(std::iter::once(String::new()).chain(names).collect());
    }
    for idx in numbers {
        *n_cells_left = n_cells_left.checked_sub(columns.len() + 1)?;
        let values = columns.iter().map(|(_, values)| values.get(&idx).cloned().unwrap_or_default());
        rows.push(std::iter::once(first.category(idx)).chain(values).collect());
    }
    Some(rows)
}

/// The words of a title or a name, up to the end of its element: written there, or kept from a cell.
fn rich_text(xml: &mut Xml<'_>, end: &str) -> String {
    let mut text = String::new();
    while let Some(node) = xml.next() {
        match node {
            Node::Open(e) if matches!(e.name(), "t" | "v") => text += &xml.inner_text(),
            Node::Close(name) if name == "p" && !text.is_empty() => text.push(' '),
            Node::Close(name) if name == end => break,
            _ => {}
        }
    }
    text.trim().to_owned()
}

/// The points of a diagram in the order in which they hang together.
fn diagram(xml: &mut Xml<'_>) -> Figure {
    let mut texts: Vec<(String, String)> = Vec::new();
    let mut root = String::new();
    let mut below: HashMap<String, BTreeMap<u32, String>> = HashMap::new();
    while let Some(node) = xml.next() {
        let Node::Open(e) = node else { continue };
        match e.name() {
            "pt" => {
                let id = e.attr("modelId").unwrap_or_default();
                match e.attr("type").as_deref() {
                    Some("doc") => root = id,
                    None | Some("node" | "asst") => texts.push((id, rich_text(xml, "pt"))),
                    // How points are drawn.
                    Some(_) => xml.skip_element(),
                }
            }
            "cxn" if e.attr("type").is_none_or(|kind| kind == "parOf") => {
                let order = e.attr("srcOrd").and_then(|order| order.parse().ok()).unwrap_or(0);
                if let (Some(from), Some(to)) = (e.attr("srcId"), e.attr("destId")) {
                    below.entry(from).or_default().insert(order, to);
                }
            }
            _ => {}
        }
    }
    let mut by_id: HashMap<&str, &str> =
        texts.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    let mut points = Vec::new();
    // Points still to be written, the next one last; each is followed once, whatever hangs below it.
    let mut due = vec![root];
    while let Some(id) = due.pop() {
        points.extend(by_id.remove(id.as_str()).map(str::to_owned));
        due.extend(below.remove(&id).into_iter().flat_map(|children| children.into_values().rev()));
    }
    // What hangs nowhere.
    points.extend(texts.iter().filter_map(|(id, _)| by_id.remove(id.as_str()).map(str::to_owned)));
    points.retain(|point| !point.trim().is_empty());
    Figure { points, ..Figure::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_chart(series: &str, want: &[&[&[&str]]]) {
        let source = format!("<chartSpace><plotArea>{series}</plotArea></chartSpace>");
        let tables = chart(&mut Xml::new(&source)).tables;
        let want: Vec<Vec<Vec<String>>> = want
            .iter()
            .map(|rows| rows.iter().map(|row| row.iter().map(|&c| c.to_owned()).collect()).collect())
            .collect();
        assert_eq!(tables, want);
    }

    #[test]
    fn categories_of_several_levels_and_series_of_their_own() {
        let cities = "<cat><multiLvlStrCache><lvl><pt idx='0'><v>Oslo</v></pt><pt idx='1'><v>Bergen</v></pt>\
                      <pt idx='2'><v>Turku</v></pt></lvl><lvl><pt idx='0'><v>NO</v></pt><pt idx='2'><v>FI</v></pt>\
                      </lvl></multiLvlStrCache></cat>";
        let values = "<val><numCache><formatCode>0%</formatCode><pt idx='0'><v>0.5</v></pt><pt idx='2'><v>.25</v>\
                      </pt></numCache></val>";
        let bubbles = "<ser><xVal><numLit><pt idx='0'><v>1</v></pt></numLit></xVal>\
                       <yVal><numLit><pt idx='0'><v>2</v></pt></numLit></yVal>\
                       <bubbleSize><numLit><pt idx='0'><v>3</v></pt></numLit></bubbleSize></ser>";
        check_chart(
            &format!(
                "<ser><tx><strRef><f>A!B1</f><strCache><pt idx='0'><v>rain</v></pt></strCache></strRef></tx>{cities}{values}</ser>{bubbles}"
            ),
            &[&[&["", "rain"], &["NO Oslo", "50%"], &["FI Turku", "25%"]], &[&["1", "2", "3"]]],
        );
    }

    #[test]
    fn a_cloud_of_points_is_left_out() {
        let points: String = (0..MAX_CELLS).map(|i| format!("<pt idx='{i}'><v>{i}</v></pt>")).collect();
        check_chart(&format!("<ser><val>{points}</val></ser>"), &[]);
    }

    #[test]
    fn points_of_a_diagram_come_in_their_order() {
        let point = |id: &str, kind: &str, text: &str| {
            format!("<pt modelId='{id}'{kind}><t><p><r><t>{text}</t></r></p></t></pt>")
        };
        let points = [
            point("0", " type='doc'", ""),
            point("b", "", "second"),
            point("x", " type='pres'", "how it looks"),
            point("a", "", "first"),
            point("c", "", "below"),
            point("l", "", "alone"),
        ];
        let line = |from: &str, to: &str, order: u32| {
            format!("<cxn srcId='{from}' destId='{to}' srcOrd='{order}'/>")
        };
        // A ring ends.
        let lines = [line("0", "b", 1), line("0", "a", 0), line("a", "c", 0), line("c", "a", 0)];
        let source = format!("<dataModel>{}{}</dataModel>", points.concat(), lines.concat());
        assert_eq!(diagram(&mut Xml::new(&source)).points, ["first", "below", "second", "alone"]);
    }
}
