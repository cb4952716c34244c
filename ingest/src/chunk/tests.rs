use super::*;
use crate::{Hint, Limits, ingest, slice};
use std::cell::Cell;

fn words(text: &str) -> u32 {
    text.split_whitespace().count() as u32
}

fn chunks_of(name: &str, source: &str, policy: &ChunkPolicy) -> (Document, Vec<Chunk>) {
    let hint = Hint { name, ..Hint::default() };
    let (doc, _) = ingest(source.as_bytes(), &hint, &Limits::default()).expect("text is read");
    let chunks = chunk(&doc, policy, &words);
    assert_complete(&doc, &chunks);
    (doc, chunks)
}

/// In order, disjoint, slices of their spans, nothing lost but blanks.
fn assert_complete(doc: &Document, chunks: &[Chunk]) {
    let mut at = 0;
    for chunk in chunks {
        assert!(chunk.span.start >= at && !chunk.span.is_empty(), "{:?}", chunk.span);
        assert_eq!(slice(&doc.text, Span::new(at, chunk.span.start)).trim(), "");
        assert_eq!(chunk.text, slice(&doc.text, chunk.span));
        at = chunk.span.end;
    }
    assert_eq!(slice(&doc.text, Span::new(at, u32::MAX)).trim(), "");
}

fn policy(target: u32, max: u32, min: u32) -> ChunkPolicy {
    ChunkPolicy { target_tokens: target, max_tokens: max, min_tokens: min }
}

fn sentence(n: usize) -> String {
    format!("Sentence number {n} has six words. ")
}

#[test]
fn sections_bound_chunks_and_give_their_path() {
    let source = "intro\n\n# Top\n\n## One *two*\n\nfirst\n\n## Three\n\nsecond\n\nthird\n\n# Last\n";
    let (_, chunks) = chunks_of("a.md", source, &ChunkPolicy::default());
    let got: Vec<(&str, Vec<&str>)> = chunks
        .iter()
        .map(|c| (c.text.as_str(), c.heading_path.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        got,
        [
            ("intro", vec![]),
            ("# Top\n\n## One *two*\n\nfirst", vec!["Top", "One two"]),
            ("## Three\n\nsecond\n\nthird", vec!["Top", "Three"]),
            ("# Last", vec!["Last"]),
        ]
    );
}

#[test]
fn paragraphs_are_packed_to_the_target_and_small_rests_join() {
    let paragraph = |n: usize| (0..n).map(sentence).collect::<String>();
    for (n_sentences, n_words) in
        [(vec![2, 1, 2, 2, 1], vec![18, 12, 18]), (vec![3, 1], vec![24]), (vec![1, 4, 4], vec![30, 24])]
    {
        let source = n_sentences.into_iter().map(paragraph).collect::<Vec<_>>().join("\n\n");
        let (_, chunks) = chunks_of("a.txt", &source, &policy(20, 30, 8));
        assert_eq!(chunks.iter().map(|c| words(&c.text)).collect::<Vec<_>>(), n_words);
    }
}

#[test]
fn what_fits_is_not_cut() {
    let code = format!("```\n{}```", "let x = 1;\n".repeat(6));
    let table = format!("| a | b |\n|---|---|\n{}", "| 1 | 2 |\n".repeat(3));
    let source = format!("Some words come first here.\n\n{code}\n\n{table}\n\nAnd last words.");
    let (_, chunks) = chunks_of("a.md", &source, &policy(20, 30, 2));
    assert!(chunks.iter().any(|c| c.text.contains(&code)), "{chunks:#?}");
    assert!(chunks.iter().any(|c| c.text.contains(table.trim())), "{chunks:#?}");
}

#[test]
fn what_does_not_fit_is_cut_at_lines_sentences_words_and_characters() {
    let code = format!("```\n{}```", "    let x = 1;\n".repeat(30));
    let (_, chunks) = chunks_of("a.md", &code, &policy(20, 30, 2));
    assert!(chunks.len() > 3 && chunks[1].text.starts_with("    let"), "{chunks:#?}");

    let prose: String = (0..30).map(sentence).collect();
    let (_, chunks) = chunks_of("a.txt", &prose, &policy(20, 30, 2));
    assert!(chunks.iter().all(|c| c.text.ends_with('.')), "{chunks:#?}");

    let (_, chunks) = chunks_of("a.txt", &"word ".repeat(500), &policy(20, 30, 2));
    assert!(chunks.iter().all(|c| words(&c.text) <= 30 && c.text.ends_with("word")));

    let source = "漢".repeat(1000);
    let hint = Hint { name: "a.txt", ..Hint::default() };
    let (doc, _) = ingest(source.as_bytes(), &hint, &Limits::default()).expect("text is read");
    let chunks = chunk(&doc, &policy(20, 30, 2), &|t| t.chars().count() as u32);
    assert_complete(&doc, &chunks);
    assert!(chunks.iter().all(|c| c.span.len() <= 30) && chunks.len() < 60);
}

#[test]
fn headings_stay_with_their_text() {
    let long: String = (0..4).map(sentence).collect();
    let source = format!("# A heading of five words\n\n{long}\n\n## B\n\n{long}");
    let (_, chunks) = chunks_of("a.md", &source, &policy(20, 26, 4));
    for chunk in &chunks {
        let last = chunk.text.lines().last().expect("chunks have text");
        assert!(!last.starts_with('#'), "{chunks:#?}");
    }
}

#[test]
fn the_limit_includes_the_headings_that_are_prefixed() {
    let heading = "word ".repeat(12);
    let source = format!("# {heading}\n\n{}", (0..50).map(sentence).collect::<String>());
    let (doc, chunks) = chunks_of("a.md", &source, &policy(40, 50, 4));
    for chunk in &chunks {
        let embedded = chunk.embedding_text(doc.title.as_deref().expect("has a heading"));
        assert!(words(&embedded) <= 50, "{embedded}");
    }
}

#[test]
fn embedding_text_names_each_heading_once() {
    let chunk = |path: &[&str], text: &str| Chunk {
        span: Span::new(0, 1),
        page: None,
        heading_path: path.iter().map(|&p| p.to_owned()).collect(),
        text: text.to_owned(),
    };
    assert_eq!(chunk(&[], "text").embedding_text(""), "text");
    assert_eq!(chunk(&["A", "B"], "text").embedding_text("T"), "T > A > B\ntext");
    assert_eq!(chunk(&["T", "B"], "## B\n\ntext").embedding_text("T"), "T\n## B\n\ntext");
    let long = "x".repeat(150);
    assert_eq!(chunk(&[&long, "B"], "text").embedding_text("T"), format!("{long} > B\ntext"));
}

#[test]
fn tokens_are_counted_a_constant_number_of_times() {
    for source in ["word ".repeat(40_000), (0..8_000).map(sentence).collect(), "x".repeat(200_000)] {
        let n_bytes = Cell::new(0);
        let hint = Hint { name: "a.txt", ..Hint::default() };
        let (doc, _) = ingest(source.as_bytes(), &hint, &Limits::default()).expect("text is read");
        let chunks = chunk(&doc, &ChunkPolicy::default(), &|text| {
            n_bytes.set(n_bytes.get() + text.len());
            text.len().div_ceil(4) as u32
        });
        assert_complete(&doc, &chunks);
        assert!(n_bytes.get() <= 6 * source.len(), "{} of {}", n_bytes.get(), source.len());
    }
}

#[test]
fn odd_policies_and_blocks_do_no_harm() {
    let source = "# H\n\nOne two three. Four five six.\n\n- item\n- item\n\n```\ncode\n```\n";
    for (target, max, min) in [(0, 0, 0), (1, 1, 9), (u32::MAX, 5, 0), (5, 5, 5)] {
        chunks_of("a.md", source, &policy(target, max, min));
    }
    let (mut doc, _) = chunks_of("a.md", source, &ChunkPolicy::default());
    for block in &mut doc.blocks {
        block.span = Span::new(block.span.end + 3, block.span.start);
    }
    doc.blocks[0].span = Span::new(0, u32::MAX);
    assert_complete(&doc, &chunk(&doc, &ChunkPolicy::default(), &words));
    doc.blocks.clear();
    assert_complete(&doc, &chunk(&doc, &ChunkPolicy::default(), &words));
}

#[test]
fn hyphens_at_line_ends_join_words_for_search() {
    for (text, want) in [
        ("of taki-\nmata sanc\u{2010}\ntus", "of takimata sanctus"),
        ("Jean-\nPaul, 1-\n2 and a -\nb", "Jean-\nPaul, 1-\n2 and a -\nb"),
        ("end-\n", "end-\n"),
    ] {
        let chunk =
            Chunk { span: Span::new(0, 1), page: None, heading_path: Vec::new(), text: text.to_owned() };
        assert_eq!(chunk.embedding_text(""), want);
    }
}

#[test]
fn spans_are_found_again_in_the_text_to_embed() {
    let text = "Über the light-\nhouses. No well-known is\u{2010}\nland — é.";
    let path = vec!["A".to_owned(), "B".to_owned()];
    for heading_path in [Vec::new(), path] {
        let chunk = Chunk { span: Span::new(0, 1), page: None, heading_path, text: text.to_owned() };
        let embedded = chunk.embedding_text("T");
        let spans = crate::sentences(text);
        let places = chunk.places_in_embedding_text("T", &spans);
        let found: Vec<&str> = places.into_iter().map(|place| &embedded[place]).collect();
        assert_eq!(found, ["Über the lighthouses.", "No well-known island — é."]);
        let beyond = chunk.places_in_embedding_text("T", &[Span::new(0, 1_000)]);
        assert!(embedded[beyond[0].clone()].starts_with("Über"));
    }
}

#[test]
fn page_furniture_is_in_no_chunk() {
    let text = "One two.\n\n12\n\nThe Book\n\nThree four.";
    let span = |part: &str| {
        let start = text.find(part).expect("it is there") as u32;
        Span::new(start, start + part.len() as u32)
    };
    let block = |kind, part| crate::Block { kind, span: span(part), page: Some(1) };
    let doc = Document {
        kind: Kind::Pdf,
        title: None,
        authors: Vec::new(),
        created: None,
        text: text.to_owned(),
        blocks: vec![
            block(BlockKind::Paragraph, "One two."),
            block(BlockKind::PageFurniture, "12"),
            block(BlockKind::PageFurniture, "The Book"),
            block(BlockKind::Paragraph, "Three four."),
        ],
        page_starts: vec![0],
    };
    let count = |text: &str| text.split_whitespace().count() as u32;
    let texts: Vec<String> =
        chunk(&doc, &ChunkPolicy::default(), &count).into_iter().map(|c| c.text).collect();
    assert_eq!(texts, ["One two.", "Three four."]);
}
