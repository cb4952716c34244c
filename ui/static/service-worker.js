// Keeps one version of the app in the browser: it starts without a network, and it is isolated from
// other sites, so that it may use threads, also where the server cannot send the headers for that.
//
// Every file is fetched with its hash, and a version is used only when all of its files are there:
// what a server holds in the middle of an update is refused as a whole. A new version waits until no
// tab uses the old one; `page-start.js` tells it when that is so.

// Name to hash of every file of this version, and its own hash; the build fills them in.
const FILES = {};
const VERSION = "";
// The build of the engine that this browser does not take (`engine-build.js`), and need not keep.
const ENGINES = { plain: ["engine.js", "engine_bg.wasm"], threads: ["engine-threads.js", "engine-threads_bg.wasm"] };
const unwanted = ENGINES[new URLSearchParams(self.location.search).get("without")] ?? [];

const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};
const PREFIX = "footnote-";
const CACHE = PREFIX + VERSION;

const addressOf = (name) => new URL(name, self.registration.scope).href;

// Fetches a file of this version, and fails where the server holds another one.
async function keep(cache, name) {
  const response = await fetch(addressOf(name), { integrity: FILES[name], cache: "no-cache" });
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  headers.delete("Content-Encoding");
  headers.delete("Content-Length");
  await cache.put(addressOf(name), new Response(response.body, { headers }));
}

self.addEventListener("install", (event) => event.waitUntil((async () => {
  const cache = await caches.open(CACHE);
  const wanted = Object.keys(FILES).filter((name) => !unwanted.includes(name));
  await Promise.all(wanted.map((name) => keep(cache, name)));
})()));

self.addEventListener("activate", (event) => event.waitUntil((async () => {
  const others = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(others.map((name) => caches.delete(name)));
})()));

self.addEventListener("message", (event) => {
  if (event.data === "take over") event.waitUntil(self.skipWaiting());
  if (event.data === "version") event.ports[0].postMessage(VERSION);
});

// The file of this version that a request means; models, and what is not ours, come from the network.
function nameOf(request) {
  if (request.method !== "GET" || !request.url.startsWith(self.registration.scope)) return undefined;
  const path = request.url.slice(self.registration.scope.length).split(/[?#]/)[0];
  const name = decodeURIComponent(path) || "index.html";
  return Object.hasOwn(FILES, name) ? name : undefined;
}

self.addEventListener("fetch", (event) => {
  const name = nameOf(event.request);
  if (name !== undefined) event.respondWith(answer(name));
});

async function answer(name) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(addressOf(name));
  if (kept) return kept;
  // The browser has thrown it away, or it is the other engine.
  await keep(cache, name);
  return cache.match(addressOf(name));
}
