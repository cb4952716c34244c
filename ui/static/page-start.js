// Loads the page's module, after the service worker where that has to come first. Where it cannot be
// loaded, says so in the place of the application.
import { canRunThreads } from "./engine-build.js";
import { VERSION } from "./version.js";

// Set while a page is loaded again to be isolated, so that this is tried once.
const TRIED = "footnote-isolation-tried";
// What each tab's engine holds; see `engine/worker/lock.rs`.
const TAB_LOCK = "footnote-tab-";

const container = navigator.serviceWorker;
const query = new URLSearchParams(location.search);
const isWanted = container && query.get("service-worker") !== "off";

// What the first start needs more urgently than the next one has this long to be on its way.
const REGISTER_AFTER_MS = 2000;

// What the engine's worker will take; see `engine-worker.js`.
const build = query.get("build") ?? (canRunThreads() ? "threads" : "plain");
const register = () => container.register(`service-worker.js?without=${build === "plain" ? "threads" : "plain"}`);

const changed = () => new Promise((done) => container.addEventListener("controllerchange", done, { once: true }));

// Whether no other tab has the app open, and so no other tab uses the old version. What a page that has
// just gone still holds is given a moment.
async function isAlone() {
  for (let nLeft = 10; nLeft > 0; nLeft--) {
    const { held = [] } = (await navigator.locks?.query()) ?? {};
    if (!held.some(({ name }) => name.startsWith(TAB_LOCK))) return true;
    await new Promise((wake) => setTimeout(wake, 30));
  }
  return false;
}

// Does what needs a fresh page; `true` where the page is being loaded again.
async function prepare() {
  const registration = await container.getRegistration();
  if (registration?.waiting && container.controller && (await isAlone())) {
    const taken = changed();
    registration.waiting.postMessage("take over");
    await taken;
    location.reload();
    return true;
  }
  if (self.crossOriginIsolated || container.controller || sessionStorage.getItem(TRIED)) return false;
  // A host that cannot isolate the page: the service worker can, from the next load on.
  sessionStorage.setItem(TRIED, "yes");
  await register();
  await container.ready;
  location.reload();
  return true;
}

// A page that came from the network gets its later workers from the service worker: both have to be of
// one version, which they are unless the server or a cache on the way changed in between.
async function keep() {
  await register();
  const { active } = await container.ready;
  if (container.controller) return;
  const { port1, port2 } = new MessageChannel();
  const kept = new Promise((done) => { port1.onmessage = ({ data }) => done(data); });
  active.postMessage("version", [port2]);
  if ((await kept) !== VERSION) location.reload();
}

async function start() {
  if (isWanted) {
    // Without it the app works as well, though not without a network, and perhaps on one thread.
    const report = (error) => console.warn(`No service worker: ${error}`);
    if (await prepare().catch(report)) return;
    setTimeout(() => keep().catch(report), REGISTER_AFTER_MS);
  }
  const page = await import("./page.js");
  await page.default();
}

start().catch((error) => {
  const place = document.getElementById("boot");
  if (place) {
    place.setAttribute("role", "alert");
    place.textContent =
      `Footnote could not start here: ${error}. ` +
      "Use a current Chrome, Edge, Firefox or Safari, or reload the page if the connection broke.";
  }
});
