//! Source code: verbatim, in blocks that begin where a definition does.

use crate::BlockKind;
use crate::blocks::ByteBlock;

/// Longer paragraphs of code are cut by the chunks anyway. Lines.
const MAX_BLOCK_LINES: usize = 200;

/// Blocks of code: from a line at the left edge that follows a blank line to the next such line.
pub(crate) fn parse(text: &str) -> Vec<ByteBlock> {
    let mut blocks = Vec::new();
    let (mut start, mut at, mut n_lines) = (0, 0, 0);
    let mut is_after_blank = false;
    for line in text.split_inclusive('\n') {
        let is_blank = line.trim().is_empty();
        let is_at_edge = !line.starts_with([' ', '\t', '}', ')', ']']);
        if (is_after_blank && !is_blank && is_at_edge) || n_lines >= MAX_BLOCK_LINES {
            blocks.push(ByteBlock { kind: BlockKind::Code, start, end: at });
            (start, n_lines) = (at, 0);
        }
        is_after_blank = is_blank;
        at += line.len();
        n_lines += 1;
    }
    blocks.push(ByteBlock { kind: BlockKind::Code, start, end: at });
    blocks
}

/// Whether files with this extension are source code, markup or settings.
pub(crate) fn is_extension(extension: &str) -> bool {
    const EXTENSIONS: &str = " asm awk bash bat bib c cc cfg cl clj cljs cmake conf cpp cs css cu cxx d dart diff \
        el elm erl ex exs f f90 fish for fs fsx gd glsl go gradle graphql groovy h hcl hh hpp hrl hs hxx ini java jl js \
        jsx kt kts lean less lisp lua m mk ml mli mm nim nix pas patch php pl pm properties proto ps1 py pyi r rake rb \
        rkt rs s sass sbt scala scm scss sh sol sql sty svelte swift tcl tex tf toml ts tsx v vb vhd vhdl vim vue wat \
        wgsl xml xsd xsl yaml yml zig zsh ";
    !extension.is_empty() && EXTENSIONS.contains(&format!(" {extension} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_stay_together() {
        let text = "import os\n\n# one\ndef one():\n    a\n\n    b\n\ndef two():\n    c\n}\n";
        let got: Vec<&str> = parse(text).iter().map(|b| &text[b.start..b.end]).collect();
        assert_eq!(got, ["import os\n\n", "# one\ndef one():\n    a\n\n    b\n\n", "def two():\n    c\n}\n"]);
        assert_eq!(parse(&"x\n".repeat(500)).len(), 3);
    }

    #[test]
    fn extensions() {
        assert!(is_extension("rs") && is_extension("zsh") && is_extension("asm"));
        assert!(!is_extension("") && !is_extension("txt") && !is_extension("rs rust"));
    }
}
