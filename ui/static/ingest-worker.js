// Loads the parser into this worker, which reads one untrusted file and is then thrown away.
import init from "./ingest.js";

self.early = [];
self.onmessage = (event) => self.early.push(event);
// A trap while a message that came early is read reaches the engine as any other does.
init().catch(reportError);
