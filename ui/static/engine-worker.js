// Loads the engine into this worker: the build with threads and relaxed SIMD where the browser can
// run it, else the plain one. `?build=plain` or `?build=threads` decides instead.
// Messages that come before the engine listens wait in `early`.
import { canRunThreads } from "./engine-build.js";

self.early = [];
self.onmessage = (event) => self.early.push(event);

async function load() {
  const build = new URLSearchParams(self.location.search).get("build");
  if (build === "threads" || (build !== "plain" && canRunThreads())) {
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
