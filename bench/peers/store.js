// Footnote's store on a file of the browser's storage; see `measure/src/store.rs`.

import init, { StoreMeter } from "/measure/measure.js";
import { answer } from "./calls.js";

let meter;

answer({
  async open({ name }) {
    await init();
    if (name !== undefined) meter = await StoreMeter.open(name);
    return { version: "footnote" };
  },
  /** Opens and closes a store; milliseconds. */
  opening: async (name) => ({ ms: await StoreMeter.timeOpening(name) }),
  fill: async (nDocuments) => JSON.parse(meter.fill(nDocuments)),
  stats: async () => JSON.parse(meter.stats()),
  search: async (nQueries) => JSON.parse(meter.search(nQueries)),
  /** Stores document after document, telling the page of each that was stored, until it is killed. */
  async ingest({ n }) {
    for (let i = 0; i < n; i++) {
      const { n_chunks: saved } = JSON.parse(meter.fill(1));
      self.postMessage({ saved });
      await new Promise((wake) => setTimeout(wake));
    }
  },
  /** What is there after a reload: the passages that can be found. */
  restore: async ({ n }) => ({ found: meter.nFound(n) }),
});
