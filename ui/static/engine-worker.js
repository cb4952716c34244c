// Loads the engine into this worker. Messages that come before it listens wait in `early`.
import init from "./engine.js";

self.early = [];
self.onmessage = (event) => self.early.push(event);
init().catch((error) => self.postMessage(JSON.stringify({ id: 0, event: { Fatal: { message: String(error) } } })));
