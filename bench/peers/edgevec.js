// EdgeVec: HNSW in wasm with SIMD; snapshots in IndexedDB. Its exact search takes vectors of bits only. Of unit
// vectors the Euclidean distance has the order of the cosine, with which it finds next to nothing.

import init, { EdgeVec, EdgeVecConfig, MetricType } from "/node_modules/edgevec/edgevec.js";
import { serve } from "./vectors.js";

const NAME = "bench";

serve({
  version: "edgevec",
  prepare: () => init(),
  create(_n, { ef = 64 }) {
    const config = new EdgeVecConfig(384);
    config.setMetricType(MetricType.L2);
    config.ef_search = ef;
    return new EdgeVec(config);
  },
  insert(index, rows) {
    for (const row of rows) index.insert(row);
  },
  search: (index, query, k) => index.search(query, k).map(({ id }) => id - 1), // they count from 1
  save: (index) => index.save(NAME),
  // 0.9.0 refuses the snapshots that it saves: "Deserialization failed: This is a feature that PostCard will never
  // implement", without any kill, too.
  restore: () => EdgeVec.load(NAME).catch(() => undefined),
});
