"""llama.cpp on this machine's processor, asked line by line.

    run_llama_cpp.py MODEL.gguf N_THREADS N_CTX

Each line of standard input is `{"prompt", "n_tokens"}`; each line of standard output the times of a
greedy continuation: `{"n_prompt", "prompt_ms", "n_decoded", "decode_ms"}`. `prompt_ms` ends with the
first new token.
"""

import json
import sys
from time import perf_counter

import llama_cpp

path, n_threads, n_ctx = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
llama = llama_cpp.Llama(path, n_ctx=n_ctx, n_threads=n_threads, n_threads_batch=n_threads, verbose=False)
print(json.dumps({"version": llama_cpp.__version__}), flush=True)

for line in sys.stdin:
    request = json.loads(line)
    ids = llama.tokenize(request["prompt"].encode(), add_bos=False, special=True)
    llama.reset()
    begun = perf_counter()
    first, n_tokens = None, 0
    for _ in llama.generate(ids, temp=0.0, top_k=1, repeat_penalty=1.0, reset=True):
        n_tokens += 1
        first = first or perf_counter()
        if n_tokens == request["n_tokens"]:
            break
    times = {
        "n_prompt": len(ids),
        "prompt_ms": (first - begun) * 1e3,
        "n_decoded": n_tokens - 1,
        "decode_ms": (perf_counter() - first) * 1e3,
    }
    print(json.dumps(times), flush=True)
