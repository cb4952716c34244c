// Loads the parser into this worker, which reads untrusted files and is thrown away with the first that ends badly.
import init from "./ingest.js";

self.early = [];
self.onmessage = (event) => self.early.push(event);
// A trap while a message that came early is read reaches the engine as any other does.
init().catch(reportError);
