// Voy: a k-d tree in wasm. It is published for bundlers, so its module is put together here. It gives
// its state as a string; keeping that is left to its user.

import * as voy from "/node_modules/voy-search/voy_search_bg.js";
import { serve, shelf } from "./vectors.js";

const resource = (rows, ids) => ({
  embeddings: rows.map((row, i) => ({ id: String(ids[i]), title: "", url: "", embeddings: Array.from(row) })),
});

serve({
  version: "voy-search",
  async prepare() {
    const bytes = await (await fetch("/node_modules/voy-search/voy_search_bg.wasm")).arrayBuffer();
    const { instance } = await WebAssembly.instantiate(bytes, { "./voy_search_bg.js": voy });
    voy.__wbg_set_wasm(instance.exports);
  },
  create: () => new voy.Voy(),
  insert: (index, rows, ids) => index.add(resource(rows, ids)),
  search: (index, query, k) => index.search(query, k).neighbors.map(({ id }) => Number(id)),
  save: (index) => shelf.put(index.serialize()),
  async restore() {
    const state = await shelf.get();
    return state === undefined ? undefined : voy.Voy.deserialize(state);
  },
});
