// EdgeVec: HNSW, or exact search ("flat"), in wasm with SIMD; snapshots in IndexedDB.

import init, { EdgeVec, EdgeVecConfig, JsIndexType, MetricType } from "/node_modules/edgevec/edgevec.js";
import { serve } from "./vectors.js";

const NAME = "bench";

serve({
  version: "edgevec",
  prepare: () => init(),
  create(_n, { kind = "hnsw", ef = 64 }) {
    const config = new EdgeVecConfig(384);
    config.indexType = kind === "flat" ? JsIndexType.Flat : JsIndexType.Hnsw;
    config.setMetricType(MetricType.Cosine);
    if (kind !== "flat") config.ef_search = ef;
    return new EdgeVec(config);
  },
  insert(index, rows) {
    for (const row of rows) index.insert(row);
  },
  search: (index, query, k) => index.search(query, k).map(({ id }) => id),
  save: (index) => index.save(NAME),
  restore: () => EdgeVec.load(NAME).catch(() => undefined),
});
