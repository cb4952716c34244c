// transformers.js with ONNX Runtime, as its own examples use it: a feature-extraction pipeline.

import { env, pipeline } from "/node_modules/@huggingface/transformers/dist/transformers.js";
import { answer } from "./calls.js";

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "/onnx/";
env.useBrowserCache = false;
env.backends.onnx.wasm.wasmPaths = "/node_modules/onnxruntime-web/dist/";

let extract;

answer({
  /** `file` is a stem in `onnx/`; `device` is "wasm" or "webgpu". */
  async open({ device, dtype, file, threads }) {
    env.backends.onnx.wasm.numThreads = threads;
    extract = await pipeline("feature-extraction", "all-MiniLM-L6-v2", { device, dtype, model_file_name: file });
    return { version: env.version, threads: env.backends.onnx.wasm.numThreads };
  },
  async embed(texts) {
    const begun = performance.now();
    const rows = await extract(texts, { pooling: "mean", normalize: true });
    return { ms: performance.now() - begun, vectors: rows.tolist() };
  },
});
