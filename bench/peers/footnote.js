// Footnote's embedder and generator; see `measure/src/lib.rs`.

import init, { Meter } from "/measure/measure.js";
import { answer } from "./calls.js";

let meter;

answer({
  /** `load`: which of "embedder" and "generator". */
  async open({ tier, load, threads }) {
    await init();
    meter = await Meter.open(tier, threads, "/models");
    const loaded = [];
    if (load.includes("embedder")) loaded.push(JSON.parse(await meter.loadEmbedder()));
    if (load.includes("generator")) loaded.push(JSON.parse(await meter.loadGenerator()));
    return { version: meter.describe(), loaded };
  },
  /** Knows only this model, and loads it. */
  async loadGenerator(entry) {
    meter.know(JSON.stringify(entry));
    return JSON.parse(await meter.loadGenerator(entry.id));
  },
  heapBytes: () => meter.heapBytes(),
  loadTokenizers: () => meter.loadTokenizers(),
  tokenize: (which, text) => [...meter.tokenize(which, text)],
  embed: async (texts) => JSON.parse(await meter.embed(JSON.stringify(texts))),
  generate: async (prompt, nTokens) => JSON.parse(await meter.generate(prompt, nTokens)),
});
