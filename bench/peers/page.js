// Engines by name, each in a worker of its own. The benchmark calls `start` and `call`.

const engines = new Map();
let nCalls = 0;

/** Starts an engine; its other calls wait for the answer of `open`. */
globalThis.start = (name, script, options) => {
  const worker = new Worker(script, { type: "module" });
  const waiting = new Map();
  const engine = { worker, waiting, saved: [] };
  worker.onmessage = ({ data: { id, result, error, saved } }) => {
    if (saved !== undefined) return void engine.saved.push(saved);
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(`${name}: ${error}`));
  };
  worker.onerror = (event) => {
    for (const { reject } of waiting.values()) reject(new Error(`${name}: ${event.message ?? "the worker did not load"}`));
    waiting.clear();
  };
  engines.set(name, engine);
  return call(name, "open", options);
};

/** Calls a method of an engine. */
globalThis.call = (name, method, ...args) =>
  new Promise((resolve, reject) => {
    const { worker, waiting } = engines.get(name);
    const id = ++nCalls;
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, method, args });
  });

/** Lets an engine ingest until it has told of `n` saved batches, then kills it; the last number told of. */
globalThis.killAfter = async (name, n, options) => {
  const { worker, saved } = engines.get(name);
  const ended = call(name, "ingest", options).then(() => true);
  while (saved.length < n && !(await Promise.race([ended, new Promise((wake) => setTimeout(wake, 1, false))])));
  worker.terminate();
  engines.delete(name);
  return saved.at(-1) ?? 0;
};

/** Ends an engine and frees its memory. */
globalThis.stop = (name) => {
  engines.get(name)?.worker.terminate();
  engines.delete(name);
};

globalThis.isReady = true;
