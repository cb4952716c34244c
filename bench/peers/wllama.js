// wllama: llama.cpp compiled to wasm. Its own timings are taken, which leave out its own overhead.

import { Wllama } from "/node_modules/@wllama/wllama/esm/index.js";
import { answer } from "./calls.js";

const silent = { debug() {}, log() {}, warn: console.warn, error: console.error };
let wllama;

answer({
  async open({ model, threads, context }) {
    wllama = new Wllama(
      { default: "/node_modules/@wllama/wllama/esm/wasm/wllama.wasm" },
      { logger: silent, suppressNativeLog: true },
    );
    const file = await (await fetch(model)).blob();
    await wllama.loadModel([file], { n_threads: threads, n_gpu_layers: 0, n_ctx: context });
    return { version: Wllama.getLibllamaVersion(), threads: wllama.getNumThreads() };
  },
  async generate(prompt, nTokens) {
    const { timings, choices } = await wllama.createCompletion({
      prompt,
      max_tokens: nTokens,
      temperature: 0,
      ignore_eos: true,
      cache_prompt: false,
    });
    return {
      n_prompt: timings.prompt_n,
      prompt_ms: timings.prompt_ms,
      // The first new token comes out of the prompt's last step.
      n_decoded: timings.predicted_n - 1,
      decode_ms: timings.predicted_ms,
      text: choices[0].text,
    };
  },
});
