// transformers.js with ONNX Runtime as a generator. Token ids come from outside, so that no tokenizer differs.

import { AutoModelForCausalLM, Tensor, env } from "/node_modules/@huggingface/transformers/dist/transformers.js";
import { answer } from "./calls.js";

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "/onnx/";
env.useBrowserCache = false;
env.backends.onnx.wasm.wasmPaths = "/node_modules/onnxruntime-web/dist/";

let model;

answer({
  /** `model` is a folder in `onnx/`; `device` is "wasm" or "webgpu". */
  async open({ model: name, device, dtype, threads }) {
    env.backends.onnx.wasm.numThreads = threads;
    model = await AutoModelForCausalLM.from_pretrained(name, { device, dtype });
    return { version: env.version, threads: env.backends.onnx.wasm.numThreads };
  },
  async generate(ids, nTokens) {
    const times = [];
    const begun = performance.now();
    await model.generate({
      input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]),
      attention_mask: new Tensor("int64", new BigInt64Array(ids.length).fill(1n), [1, ids.length]),
      max_new_tokens: nTokens,
      do_sample: false,
      // It is given the prompt first, then each token.
      streamer: { put: () => times.push(performance.now()), end() {} },
    });
    const tokenTimes = times.slice(1);
    return {
      n_prompt: ids.length,
      prompt_ms: tokenTimes[0] - begun,
      n_decoded: tokenTimes.length - 1,
      decode_ms: tokenTimes.at(-1) - tokenTimes[0],
    };
  },
});
