// Which build of the engine this browser can run.

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

// Whether the build with threads and relaxed SIMD runs here.
export function canRunThreads() {
  return WebAssembly.validate(RELAXED_SIMD) && hasSharedMemory() && typeof Atomics.waitAsync === "function";
}
