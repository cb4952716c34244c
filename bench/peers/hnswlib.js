// hnswlib-wasm: hnswlib compiled by Emscripten; its file system is copied to IndexedDB.

import { serve } from "./vectors.js";

const FILE = "bench.dat";
let lib, syncFileSystem;

serve({
  version: "hnswlib-wasm",
  async prepare() {
    const module = await import("/node_modules/hnswlib-wasm/dist/hnswlib.js");
    syncFileSystem = module.syncFileSystem;
    lib = await module.loadHnswlib("IDBFS");
  },
  create(n, { links = 16, efBuild = 200 }) {
    const index = new lib.HierarchicalNSW("ip", 384, "");
    index.initIndex(n, links, efBuild, 100);
    return index;
  },
  insert: (index, rows, ids) => index.addPoints(rows, ids, false),
  search(index, query, k, { ef = 64 }) {
    if (index.getEfSearch() !== ef) index.setEfSearch(ef);
    return Array.from(index.searchKnn(query, k, undefined).neighbors);
  },
  async save(index) {
    await index.writeIndex(FILE);
    await syncFileSystem("write");
  },
  async restore(n) {
    await syncFileSystem("read");
    if (!lib.EmscriptenFileSystemManager.checkFileExists(FILE)) return undefined;
    const index = new lib.HierarchicalNSW("ip", 384, "");
    await index.readIndex(FILE, n);
    return index;
  },
});
