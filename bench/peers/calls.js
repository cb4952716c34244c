// The worker's end of `page.js`: methods by name, each call answered with its result or its error.

export function answer(methods) {
  self.onmessage = async ({ data: { id, method, args } }) => {
    try {
      self.postMessage({ id, result: await methods[method](...args) });
    } catch (error) {
      self.postMessage({ id, error: String(error?.stack ?? error?.message ?? error) });
    }
  };
}
