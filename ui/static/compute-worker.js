// One more thread of a program: an instance of its own on the memory that all of them share.
self.onmessage = async ({ data: { program, module, memory } }) => {
  const thread = await import(program);
  // Kernels keep their buffers on the heap; a megabyte of stack is plenty.
  await thread.default({ module_or_path: module, memory, thread_stack_size: 1 << 20 });
  try {
    thread.computeForever();
  } catch (error) {
    // The others wait for this thread, and would do so for ever.
    thread.computeCrashed();
    throw error;
  }
};
// A script or a module that does not load is an error that the starter of this worker hears of.
self.onunhandledrejection = (event) => {
  event.preventDefault();
  setTimeout(() => { throw event.reason; });
};
