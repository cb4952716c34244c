// What the workers of the search benchmark share: the vectors, the questions, the right answers, and the
// clock. Each peer brings how it makes an index, searches, saves and restores. Its module is loaded in
// `prepare`: a worker that waits while it loads misses the page's first message.

import init, { StoreMeter } from "/measure/measure.js";
import { answer } from "./calls.js";

const DIMENSIONS = 384;
const TOP = 10;

/** Answers the benchmark for a peer. `save` and `restore` are those that its makers offer. */
export function serve({ version, prepare, create, insert, search, save, restore }) {
  let index, base, queries, nearest, ids;
  let nInserted = 0;

  const part = (vectors, at) => vectors.subarray(at * DIMENSIONS, (at + 1) * DIMENSIONS);

  async function add(n) {
    const rows = Array.from({ length: n }, (_, i) => part(base, nInserted + i));
    const first = nInserted;
    await insert(index, rows, rows.map((_, i) => first + i));
    nInserted += n;
  }

  answer({
    /** Makes `n` vectors and `nQueries` questions, none of them inserted yet. */
    async open({ n, nQueries }) {
      await init();
      await prepare?.();
      const all = StoreMeter.vectors(n, nQueries);
      base = all.subarray(0, n * DIMENSIONS);
      queries = Array.from({ length: nQueries }, (_, i) => part(all, n + i));
      nearest = queries.map((query) => exact(base, query));
      return { version };
    },
    /** Makes an index with the settings of the peer and inserts all; milliseconds. */
    async build(settings) {
      const start = performance.now();
      index = await create(base.length / DIMENSIONS, settings);
      nInserted = 0;
      await add(base.length / DIMENSIONS);
      return { ms: performance.now() - start };
    },
    /** Asks all questions once. */
    search(settings) {
      const times = [];
      let nFound = 0;
      queries.forEach((query, i) => {
        const start = performance.now();
        const found = search(index, query, TOP, settings);
        times.push(performance.now() - start);
        nFound += found.filter((id) => nearest[i].has(id)).length;
      });
      times.sort((a, b) => a - b);
      const at = (share) => times[Math.round((times.length - 1) * share)];
      const seconds = times.reduce((sum, ms) => sum + ms, 0) / 1e3;
      return {
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        per_second: times.length / seconds,
        recall: nFound / (queries.length * TOP),
      };
    },
    /** Inserts and saves batch after batch, telling the page of each that was saved, until it is killed. */
    async ingest({ batch }) {
      index = await create(base.length / DIMENSIONS, {});
      nInserted = 0;
      while (nInserted + batch <= base.length / DIMENSIONS) {
        await add(batch);
        await save(index);
        self.postMessage({ saved: nInserted });
      }
      return { saved: nInserted };
    },
    /** What is there after a reload: the vectors that can be found. */
    async restore({ n }) {
      const restored = await restore(base.length / DIMENSIONS);
      if (restored === undefined) return { found: 0 };
      let found = 0;
      for (let i = 0; i < n; i++) {
        if (search(restored, part(base, i), 1, {})[0] === i) found++;
      }
      return { found };
    },
  });
}

/** The indices of the nearest, by a plain scan. */
function exact(base, query) {
  const best = [];
  for (let row = 0, at = 0; at < base.length; row++) {
    let dot = 0;
    for (let d = 0; d < DIMENSIONS; d++, at++) dot += base[at] * query[d];
    if (best.length < TOP || dot > best[TOP - 1].dot) {
      const place = best.findIndex((other) => dot > other.dot);
      best.splice(place < 0 ? best.length : place, 0, { dot, row });
      best.length = Math.min(best.length, TOP);
    }
  }
  return new Set(best.map(({ row }) => row));
}

/** For peers that give their state to be kept somewhere: one value under one key. */
export const shelf = {
  async put(value) {
    const store = await open("readwrite");
    await done(store.put(value, "index"));
  },
  get: async () => done((await open("readonly")).get("index")),
};

function open(mode) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("shelf", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("values");
    request.onsuccess = () => resolve(request.result.transaction("values", mode).objectStore("values"));
    request.onerror = () => reject(request.error);
  });
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => {
      if (request.transaction.mode === "readonly") return resolve(request.result);
      request.transaction.oncomplete = () => resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  });
}
