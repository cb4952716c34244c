"""Makes the ONNX file of a Llama that transformers.js loads from the very GGUF file Footnote loads.

    export_onnx_llama.py MODEL.gguf OUT_DIR

The graph has the operators of the models that are published for transformers.js: grouped-query attention with
rotation and cache in one, norms with the residual, and 4-bit matrices in blocks of 32 (MatMulNBits). ONNX Runtime
has whole numbers for zero points where Q4_1 has minimums, so the weights are rounded anew from what they expand to;
their number of bits, which speed depends on, is the same. The head has 4 bits too, where GGUF has 8: less to read
for the peer.

    onnx/model_q4.onnx          what transformers.js calls q4
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from gguf import GGUFReader, quants
from onnx import TensorProto, helper, numpy_helper

BLOCK = 32
MICROSOFT = "com.microsoft"


class Model:
    def __init__(self, path):
        reader = GGUFReader(path)
        self.tensors = {t.name: t for t in reader.tensors}
        self.fields = reader.fields

    def number(self, key):
        return self.fields["llama." + key].contents()

    def weight(self, name):
        tensor = self.tensors[name]
        return quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)


class Graph:
    def __init__(self):
        self.nodes, self.constants = [], {}

    def constant(self, name, values):
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def op(self, kind, names, inputs, domain="", **attributes):
        names = [names] if isinstance(names, str) else names
        node = helper.make_node(kind, inputs, names, name=names[0] + "_node", domain=domain, **attributes)
        self.nodes.append(node)
        return names[0]

    def linear(self, x, weight, name):
        """`x * weight^T`, with the weight in blocks of 4-bit numbers that have a scale and a zero point."""
        n_out, n_in = weight.shape
        blocks = weight.reshape(n_out, n_in // BLOCK, BLOCK)
        low, high = np.minimum(blocks.min(-1), 0), np.maximum(blocks.max(-1), 0)
        scale = np.maximum((high - low) / 15, 1e-10)
        zero = np.clip(np.round(-low / scale), 0, 15)
        q = np.clip(np.round(blocks / scale[..., None] + zero[..., None]), 0, 15).astype(np.uint8)
        packed = q[..., 0::2] | q[..., 1::2] << 4
        zero = zero.astype(np.uint8)
        if zero.shape[1] % 2:
            zero = np.pad(zero, ((0, 0), (0, 1)))
        inputs = [
            x,
            self.constant(name + "_q4", packed),
            self.constant(name + "_scales", scale.reshape(-1).astype(np.float32)),
            self.constant(name + "_zeros", (zero[:, 0::2] | zero[:, 1::2] << 4).reshape(-1)),
        ]
        return self.op("MatMulNBits", name, inputs, MICROSOFT, K=n_in, N=n_out, bits=4, block_size=BLOCK)


def halves(weight, n_heads):
    """GGUF has the pairs that are rotated beside each other, Hugging Face half a head apart."""
    n_out, n_in = weight.shape
    return weight.reshape(n_heads, n_out // n_heads // 2, 2, n_in).swapaxes(1, 2).reshape(n_out, n_in)


def decoder(model):
    graph = Graph()
    n_layers, n_heads = model.number("block_count"), model.number("attention.head_count")
    n_kv, d_model = model.number("attention.head_count_kv"), model.number("embedding_length")
    eps = model.number("attention.layer_norm_rms_epsilon")
    n_ctx, head_dim = model.number("context_length"), d_model // n_heads

    total = graph.op("Shape", "mask_shape", ["attention_mask"])
    total = graph.op("Gather", "total_i64", [total, graph.constant("one", np.array(1, np.int64))], axis=0)
    total = graph.op("Cast", "total", [total], to=TensorProto.INT32)
    axis = graph.constant("axis", np.array([1], np.int64))
    lengths = graph.op("ReduceSum", "lengths_i64", ["attention_mask", axis], keepdims=0)
    lengths = graph.op("Sub", "last_i64", [lengths, "one"])
    lengths = graph.op("Cast", "last", [lengths], to=TensorProto.INT32)
    speeds = model.number("rope.freq_base") ** (-np.arange(0, head_dim, 2) / head_dim)
    angles = np.arange(n_ctx)[:, None] * speeds
    cos = graph.constant("cos", np.cos(angles).astype(np.float32))
    sin = graph.constant("sin", np.sin(angles).astype(np.float32))

    embedding = model.weight("token_embd.weight")
    x = graph.op("Gather", "embedded", [graph.constant("embedding", embedding), "input_ids"], axis=0)
    inner = None
    for layer in range(n_layers):
        at, weight = f"l{layer}_", lambda part: model.weight(f"blk.{layer}.{part}.weight")

        def norm(x, residual, part):
            gamma = graph.constant(at + part + "_gamma", weight(part))
            if residual is None:
                name = at + part
                h = graph.op("SimplifiedLayerNormalization", name, [x, gamma], axis=-1, epsilon=eps, stash_type=1)
                return h, x
            names = [at + part, "", "", at + part + "_sum"]
            h = graph.op("SkipSimplifiedLayerNormalization", names, [x, residual, gamma], MICROSOFT, epsilon=eps)
            return h, names[3]

        h, x = norm(x, inner, "attn_norm")
        q = graph.linear(h, halves(weight("attn_q"), n_heads), at + "q")
        k = graph.linear(h, halves(weight("attn_k"), n_kv), at + "k")
        v = graph.linear(h, weight("attn_v"), at + "v")
        past = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        present = [f"present.{layer}.{kind}" for kind in ("key", "value")]
        heads = graph.op(
            "GroupQueryAttention",
            [at + "heads", *present],
            [q, k, v, *past, lengths, total, cos, sin],
            MICROSOFT,
            num_heads=n_heads,
            kv_num_heads=n_kv,
            do_rotary=1,
            rotary_interleaved=0,
            scale=float(1 / np.sqrt(head_dim)),
        )
        attended = graph.linear(heads, weight("attn_output"), at + "attended")
        h, x = norm(x, attended, "ffn_norm")
        gate = graph.linear(h, weight("ffn_gate"), at + "gate")
        gate = graph.op("Mul", at + "silu", [gate, graph.op("Sigmoid", at + "sigmoid", [gate])])
        up = graph.linear(h, weight("ffn_up"), at + "up")
        inner = graph.linear(graph.op("Mul", at + "gated", [gate, up]), weight("ffn_down"), at + "down")
    gamma = graph.constant("norm_gamma", model.weight("output_norm.weight"))
    h = graph.op("SkipSimplifiedLayerNormalization", "normed", [x, inner, gamma], MICROSOFT, epsilon=eps)
    graph.linear(h, embedding, "logits")
    return graph, (n_layers, n_kv, head_dim, len(embedding))


def main(path, out_dir):
    model = Model(path)
    graph, (n_layers, n_kv, head_dim, n_vocab) = decoder(model)

    def described(name, kind, *shape):
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [
        described("input_ids", TensorProto.INT64, "batch_size", "sequence_length"),
        described("attention_mask", TensorProto.INT64, "batch_size", "total_sequence_length"),
    ]
    outputs = [described("logits", TensorProto.FLOAT, "batch_size", "sequence_length", n_vocab)]
    for layer in range(n_layers):
        for kind in ("key", "value"):
            cache = ("batch_size", n_kv, "past_sequence_length", head_dim)
            inputs.append(described(f"past_key_values.{layer}.{kind}", TensorProto.FLOAT, *cache))
            cache = ("batch_size", n_kv, "total_sequence_length", head_dim)
            outputs.append(described(f"present.{layer}.{kind}", TensorProto.FLOAT, *cache))
    made = helper.make_model(
        helper.make_graph(graph.nodes, "llama", inputs, outputs, list(graph.constants.values())),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=8,
    )
    files = out_dir / "onnx"
    files.mkdir(parents=True, exist_ok=True)
    onnx.save(made, files / "model_q4.onnx")
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": model.number("embedding_length"),
        "num_hidden_layers": n_layers,
        "num_attention_heads": model.number("attention.head_count"),
        "num_key_value_heads": n_kv,
        "vocab_size": n_vocab,
        # A text ends where the benchmark ends it.
        "eos_token_id": None,
    }
    (out_dir / "config.json").write_text(json.dumps(config))
    print("model_q4.onnx", (files / "model_q4.onnx").stat().st_size)


main(Path(sys.argv[1]), Path(sys.argv[2]))
