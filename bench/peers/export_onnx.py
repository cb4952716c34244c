"""Makes the ONNX files that transformers.js loads from the very weights Footnote loads.

    export_onnx.py MODEL_DIR OUT_DIR

MODEL_DIR holds all-MiniLM-L6-v2 as safetensors. The graph has the operators that PyTorch's exporter
writes for a BERT encoder (opset 17), so that ONNX Runtime's fusions find what they look for. Three
variants come out, in the layout transformers.js expects:

    onnx/model.onnx             f32
    onnx/model_fused.onnx       f32 after ONNX Runtime's own optimizer: Attention, SkipLayerNormalization, BiasGelu
    onnx/model_quantized.onnx   8-bit weights and activations (dynamic quantisation), what transformers.js calls q8
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model
from safetensors.numpy import load_file

INT64 = np.int64


class Graph:
    """Collects nodes and constants; every method gives the name of what it adds."""

    def __init__(self):
        self.nodes = []
        self.constants = {}

    def constant(self, name, values):
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(values, order="C", copy=True), name)
        return name

    def ints(self, *values):
        return self.constant("i_" + "_".join(map(str, values)), np.array(values, INT64))

    def scalar(self, name, value):
        return self.constant(name, np.array(value, np.float32))

    def op(self, kind, name, *inputs, **attributes):
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name + "_node", **attributes))
        return name


def encoder(weights, config):
    """The graph: ids, mask and types [batch, length] to states [batch, length, hidden]."""
    graph = Graph()
    hidden, n_heads = config["hidden_size"], config["num_attention_heads"]
    eps = config["layer_norm_eps"]

    def norm(x, source, name):
        gamma = graph.constant(name + "_gamma", weights[source + ".weight"])
        beta = graph.constant(name + "_beta", weights[source + ".bias"])
        return graph.op("LayerNormalization", name, x, gamma, beta, axis=-1, epsilon=eps)

    def linear(x, source, name):
        product = graph.op("MatMul", name + "_mm", x, graph.constant(name + "_w", weights[source + ".weight"].T))
        return graph.op("Add", name, graph.constant(name + "_b", weights[source + ".bias"]), product)

    mask = graph.op("Unsqueeze", "mask_1", "attention_mask", graph.ints(1))
    mask = graph.op("Unsqueeze", "mask_2", mask, graph.ints(2))
    mask = graph.op("Cast", "mask_f32", mask, to=TensorProto.FLOAT)
    mask = graph.op("Sub", "mask_off", graph.scalar("one", 1.0), mask)
    mask = graph.op("Mul", "mask_add", mask, graph.scalar("lowest", np.finfo(np.float32).min))

    word = graph.constant("word", weights["embeddings.word_embeddings.weight"])
    kind = graph.constant("type", weights["embeddings.token_type_embeddings.weight"])
    place = graph.constant("position", weights["embeddings.position_embeddings.weight"])
    positions = graph.constant("positions", np.arange(config["max_position_embeddings"], dtype=INT64)[None])
    shape = graph.op("Shape", "ids_shape", "input_ids")
    length = graph.op("Gather", "length", shape, graph.constant("i1", np.array(1, INT64)), axis=0)
    length = graph.op("Unsqueeze", "length_1", length, graph.ints(0))
    places = graph.op("Slice", "places", positions, graph.ints(0), length, graph.ints(1), graph.ints(1))
    x = graph.op("Gather", "word_rows", word, "input_ids", axis=0)
    x = graph.op("Add", "word_type", x, graph.op("Gather", "type_rows", kind, "token_type_ids", axis=0))
    x = graph.op("Add", "embedded", x, graph.op("Gather", "place_rows", place, places, axis=0))
    x = norm(x, "embeddings.LayerNorm", "embedded_norm")

    split = graph.ints(0, 0, n_heads, hidden // n_heads)
    merge = graph.ints(0, 0, hidden)
    for layer in range(config["num_hidden_layers"]):
        source, at = f"encoder.layer.{layer}.", f"l{layer}_"

        def heads(name, order):
            y = linear(x, source + "attention.self." + name, at + name)
            y = graph.op("Reshape", at + name + "_split", y, split)
            return graph.op("Transpose", at + name + "_heads", y, perm=order)

        query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
        scores = graph.op("MatMul", at + "scores", query, key)
        scores = graph.op("Div", at + "scaled", scores, graph.scalar("sqrt_head", np.sqrt(hidden // n_heads)))
        scores = graph.op("Add", at + "masked", scores, mask)
        context = graph.op("MatMul", at + "context", graph.op("Softmax", at + "shares", scores, axis=-1), value)
        context = graph.op("Transpose", at + "context_t", context, perm=[0, 2, 1, 3])
        context = graph.op("Reshape", at + "merged", context, merge)
        y = linear(context, source + "attention.output.dense", at + "attended")
        x = norm(graph.op("Add", at + "sum_1", y, x), source + "attention.output.LayerNorm", at + "norm_1")

        y = linear(x, source + "intermediate.dense", at + "up")
        gate = graph.op("Erf", at + "erf", graph.op("Div", at + "over", y, graph.scalar("sqrt_2", np.sqrt(2.0))))
        gate = graph.op("Mul", at + "gated", y, graph.op("Add", at + "erf_1", gate, "one"))
        y = linear(graph.op("Mul", at + "gelu", gate, graph.scalar("half", 0.5)), source + "output.dense", at + "down")
        is_last = layer == config["num_hidden_layers"] - 1
        y = graph.op("Add", at + "sum_2", y, x)
        x = norm(y, source + "output.LayerNorm", "last_hidden_state" if is_last else at + "norm_2")
    return graph


def main(model_dir, out_dir):
    config = json.loads((model_dir / "config.json").read_text())
    graph = encoder(load_file(model_dir / "model.safetensors"), config)

    def described(name, kind, *more):
        return helper.make_tensor_value_info(name, kind, ["batch_size", "sequence_length", *more])

    inputs = [described(name, TensorProto.INT64) for name in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [described("last_hidden_state", TensorProto.FLOAT, config["hidden_size"])]
    constants = list(graph.constants.values())
    model = helper.make_model(
        helper.make_graph(graph.nodes, "bert", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)

    files = out_dir / "onnx"
    files.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(model_dir / name, out_dir / name)
    # transformers.js wants this file too, which Footnote does not fetch.
    tokenizer = {"tokenizer_class": "BertTokenizer", "model_max_length": config["max_position_embeddings"]}
    (out_dir / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    plain = files / "model.onnx"
    onnx.save(model, plain)
    fused = optimize_model(
        str(plain),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        opt_level=0,
        only_onnxruntime=False,
        use_gpu=False,
    )
    fused.save_model_to_file(str(files / "model_fused.onnx"))
    print("fused:", fused.get_fused_operator_statistics())
    quantized = files / "model_quantized.onnx"
    quantize_dynamic(plain, quantized, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    for file in sorted(files.iterdir()):
        print(file.name, file.stat().st_size)


main(Path(sys.argv[1]), Path(sys.argv[2]))
