"""Texts of PDFs by pdftotext and pypdf, and how near they and ours come to PDFium's, for `bench extract`.

    python extract.py FOLDER TEXTS

FOLDER holds the files, TEXTS our text of each (`a--b.pdf.txt` for `a/b.pdf`). Prints a line of JSON for each file
that PDFium finds text in, and one of versions.

Near is the share of characters that two texts have in common in the same order (normalised indel similarity, as
py-pdf/benchmarks measures it). Blanks and control characters do not count, ligatures and other compatibility forms
are resolved (NFKC), and a word that a hyphen parts at the end of a line is whole in all of them: PDFium and pdftotext
say it in one of two ways, pypdf and we as it is printed.
"""

import importlib.metadata
import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import unicodedata

import pypdf
import pypdfium2
from rapidfuzz.distance import Indel

MAX_SECONDS = 20
# Longer texts take minutes to compare.
MAX_CHARS = 400_000


def normalised(text):
    text = re.sub("(?:\ufffe|\x02|[-\u00ad\u2010]\\s*\n)\\s*", "", text)
    text = unicodedata.normalize("NFKC", text)
    return "".join(c for c in text if not c.isspace() and unicodedata.category(c)[0] != "C")[:MAX_CHARS]


def timed(read, path):
    started = time.perf_counter()
    signal.alarm(MAX_SECONDS)
    try:
        text = read(path)
    except Exception:
        text = ""
    finally:
        signal.alarm(0)
    return text, (time.perf_counter() - started) * 1e3


def by_pdftotext(path):
    command = ["pdftotext", "-enc", "UTF-8", "-nopgbrk", path, "-"]
    return subprocess.run(command, capture_output=True, timeout=MAX_SECONDS).stdout.decode(errors="replace")


def by_pypdf(path):
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def by_pdfium(path):
    with pypdfium2.PdfDocument(path) as document:
        return "\n".join(page.get_textpage().get_text_range() for page in document)


def give_up(*_):
    raise TimeoutError


def main():
    signal.signal(signal.SIGALRM, give_up)
    folder, texts = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for path in sorted(folder.rglob("*.pdf")):
        name = path.relative_to(folder).as_posix()
        reference = normalised(timed(by_pdfium, path)[0])
        if not reference:
            continue
        ours = texts / (name.replace("/", "--") + ".txt")
        row = {"file": name, "n_chars": len(reference)}
        row["ours"] = near(ours.read_text(errors="replace") if ours.exists() else "", reference)
        for tool, read in (("pdftotext", by_pdftotext), ("pypdf", by_pypdf)):
            text, ms = timed(read, path)
            row[tool] = near(text, reference)
            row[f"{tool}_ms"] = ms
        print(json.dumps(row), flush=True)
    version = subprocess.run(["pdftotext", "-v"], capture_output=True, text=True).stderr.splitlines()[0].split()[-1]
    versions = {"pdftotext": version, "pypdf": pypdf.__version__}
    print(json.dumps({"versions": versions | {"pdfium": importlib.metadata.version("pypdfium2")}}))


def near(text, reference):
    """`None` for no text."""
    text = normalised(text)
    return Indel.normalized_similarity(text, reference) if text else None


main()
