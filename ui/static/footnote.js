// The engine for pages of your own: chat completions, embeddings and models in the shape of OpenAI's API,
// computed in this browser. `footnote.d.ts` has the types, docs/JAVASCRIPT.md an introduction.
//
//   import { Footnote } from "./footnote.js";
//   const footnote = await Footnote.open();
//   const answer = await footnote.chat.completions.create({ messages: [{ role: "user", content: "Hello" }] });

/** What the engine refuses, in the words of OpenAI's errors. */
export class FootnoteError extends Error {
  constructor(status, { message, type, param = null, code = null }) {
    super(message);
    this.name = "FootnoteError";
    Object.assign(this, { status, type, param, code });
  }
}

const failed = (message) => new FootnoteError(500, { message, type: "server_error" });
const stopped = () => new DOMException("The request was stopped.", "AbortError");

const TIERS = { auto: "Auto", cpu: "Cpu", gpu: "Gpu" };

// An event is a word, or an object with one key.
const parts = (event) => (typeof event === "string" ? [event, undefined] : Object.entries(event)[0]);

export class Footnote {
  #worker;
  #lastId = 0;
  // Requests without an answer, by id. When the engine moves to another tab they are asked again.
  #pending = new Map();
  #onProgress;
  #setup;

  constructor(options) {
    const { engine, tier = "auto", generator = true, threads = null, mirror = null, onProgress } = options;
    if (!Object.hasOwn(TIERS, tier)) throw new TypeError(`tier is ${tier}; take one of ${Object.keys(TIERS).join(", ")}`);
    this.#onProgress = onProgress ?? (() => {});
    this.#setup = {
      tier: TIERS[tier],
      generator: generator !== false,
      generator_model: typeof generator === "string" ? generator : null,
      threads,
      mirror,
    };
    this.#worker = new Worker(engine ?? new URL("engine-worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#take(JSON.parse(data));
    this.#worker.onerror = (event) => this.#die(event.message ?? "The engine did not load.");
    this.chat = { completions: { create: (body, options) => this.#chat(body, options) } };
    this.embeddings = { create: async (body, options) => (await this.#api("embeddings", body, options)).body };
    this.models = { list: async (options) => (await this.#api("models", {}, options)).body };
  }

  /** Starts an engine, fetches its models where they are not here yet, and waits until it is ready. */
  static async open(options = {}) {
    const footnote = new Footnote(options);
    try {
      await footnote.#ask({ Open: footnote.#setup }, options);
    } catch (error) {
      footnote.close();
      throw error;
    }
    return footnote;
  }

  /** Ends the engine. What was not answered fails. */
  close() {
    this.#die("The engine was closed.");
  }

  #chat(body, options) {
    return body.stream ? this.#stream(body, options) : this.#api("chat/completions", body, options).then(({ body }) => body);
  }

  // The pieces of an answer. The request is made at once; who leaves the loop early stops it.
  async #stream(body, options = {}) {
    const pieces = [];
    let wake = () => {};
    let end;
    const stop = new AbortController();
    const signal = options.signal ? AbortSignal.any([stop.signal, options.signal]) : stop.signal;
    const onPiece = (piece) => {
      pieces.push(piece);
      wake();
    };
    const asked = this.#api("chat/completions", body, { signal, onPiece });
    asked.then(() => (end = {}), (error) => (end = { error })).finally(() => wake());
    // What is wrong with the request itself is told before the first piece.
    while (!pieces.length && !end) await new Promise((done) => (wake = done));
    if (!pieces.length && end?.error) throw end.error;
    async function* iterate() {
      try {
        for (;;) {
          while (pieces.length) yield pieces.shift();
          if (end?.error) throw end.error;
          if (end) return;
          await new Promise((done) => (wake = done));
        }
      } finally {
        stop.abort();
      }
    }
    return iterate();
  }

  async #api(path, body, options) {
    const { status, body: answer } = await this.#ask({ Api: { path, body: JSON.stringify(body) } }, options);
    if (status !== 200) throw new FootnoteError(status, answer.error);
    return { body: answer };
  }

  // Sends a request and waits for the event that ends it.
  #ask(request, { signal, onPiece } = {}) {
    if (!this.#worker) return Promise.reject(failed("The engine was closed."));
    if (signal?.aborted) return Promise.reject(stopped());
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#pending.delete(id);
        this.#post(++this.#lastId, { Cancel: { id } });
        reject(stopped());
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      const end = (settle) => (value) => {
        signal?.removeEventListener("abort", onAbort);
        settle(value);
      };
      this.#pending.set(id, { request, onPiece, nPieces: 0, resolve: end(resolve), reject: end(reject) });
      this.#post(id, request);
    });
  }

  #post(id, request) {
    this.#worker?.postMessage(JSON.stringify({ id, request }));
  }

  #take({ id, event }) {
    const [kind, value] = parts(event);
    if (kind === "Moved") {
      for (const [id, { request }] of this.#pending) this.#post(id, request);
      return;
    }
    if (kind === "Starting") return this.#onProgress(progress(value));
    if (kind === "Fatal") return this.#die(value.message);
    const pending = this.#pending.get(id);
    if (!pending) return;
    if (kind === "Begun") {
      // What was told of a stream cannot be taken back, when another tab's engine begins it anew.
      if (!pending.nPieces) return;
      this.#post(++this.#lastId, { Cancel: { id } });
      this.#settle(id, ({ reject }) => reject(failed("The engine moved; ask again.")));
    } else if (kind === "ApiPiece") {
      pending.nPieces++;
      pending.onPiece?.(value);
    } else if (kind === "Api") {
      this.#settle(id, ({ resolve }) => resolve(value));
    } else if (kind === "Ready") {
      this.#settle(id, ({ resolve }) => resolve());
    } else if (kind === "Stopped") {
      this.#settle(id, ({ reject }) => reject(stopped()));
    } else if (kind === "Failed" || kind === "Damaged") {
      this.#settle(id, ({ reject }) => reject(failed(value.message)));
    }
  }

  #settle(id, how) {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    how(pending);
  }

  #die(message) {
    this.#worker?.terminate();
    this.#worker = null;
    for (const id of [...this.#pending.keys()]) this.#settle(id, ({ reject }) => reject(failed(message)));
  }
}

// A step on the way to being ready.
function progress(step) {
  const [kind, value] = parts(step);
  if (kind === "Fetching") {
    const { model, file, done_bytes, total_bytes, bytes_per_s, left_ms } = value;
    return {
      step: "fetching", model, file, doneBytes: done_bytes, totalBytes: total_bytes,
      bytesPerSecond: bytes_per_s ?? null, leftMs: left_ms ?? null,
    };
  }
  return kind === "Loading" ? { step: "loading", model: value.model } : { step: kind === "Store" ? "opening" : "starting" };
}
