// Orama: text and vectors in JavaScript; vectors are scanned. `save` gives its state; keeping that is
// left to its user.

import { create, insertMultiple, load, save, searchVector } from "/node_modules/@orama/orama/dist/browser/index.js";
import { serve, shelf } from "./vectors.js";

const empty = () => create({ schema: { vector: "vector[384]" } });

serve({
  version: "orama",
  create: empty,
  insert: (index, rows, ids) =>
    insertMultiple(index, rows.map((row, i) => ({ id: String(ids[i]), vector: Array.from(row) })), 1000),
  search: (index, query, k) =>
    searchVector(index, {
      vector: { value: Array.from(query), property: "vector" },
      limit: k,
      similarity: -1,
      includeVectors: false,
    }).hits.map(({ id }) => Number(id)),
  save: async (index) => shelf.put(save(index)),
  async restore() {
    const state = await shelf.get();
    if (state === undefined) return undefined;
    const index = empty();
    load(index, state);
    return index;
  },
});
