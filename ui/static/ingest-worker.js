// Loads the parser into this worker, which reads one untrusted file and is then thrown away.
import init from "./ingest.js";

self.early = [];
self.onmessage = (event) => self.early.push(event);
init().catch((error) => self.postMessage(JSON.stringify({ Crashed: { message: String(error) } })));
