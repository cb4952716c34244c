// Loads the engine into this worker: the build with threads and relaxed SIMD where the browser can
// run it, else the plain one. `?build=plain` or `?build=threads` decides instead.
// Messages that come before the engine listens wait in `early`.
self.early = [];
self.onmessage = (event) => self.early.push(event);

// A module whose only function swizzles bytes in the relaxed way.
const RELAXED_SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0,
  10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11,
);

// Memory may be shared in some browsers even where the page is not isolated from other sites; then
// no thread can be started, and the engine runs on one.
function hasSharedMemory() {
  try {
    const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    return Object.prototype.toString.call(buffer) === "[object SharedArrayBuffer]";
  } catch {
    return false;
  }
}

async function load() {
  const build = new URLSearchParams(self.location.search).get("build");
  const isCapable = () =>
    WebAssembly.validate(RELAXED_SIMD) && hasSharedMemory() && typeof Atomics.waitAsync === "function";
  if (build === "threads" || (build !== "plain" && isCapable())) {
    try {
      return await (await import("./engine-threads.js")).default();
    } catch (error) {
      if (build === "threads") throw error;
      // As where 32 bits of addresses cannot be reserved.
      console.warn(`The engine runs on one thread: ${error}`);
    }
  }
  return (await import("./engine.js")).default();
}

load().catch((error) => self.postMessage(JSON.stringify({ id: 0, event: { Fatal: { message: String(error) } } })));
