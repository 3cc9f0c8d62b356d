"""The archives of models of other frameworks in ../shared/data, with their
recorded inputs and outputs: what is in them, how a user names their inputs,
and whether answers meet them.
"""
import json
import pathlib
import re
import tarfile

import numpy as np

DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
NAMES = ("tf-models", "torch-models", "torch-more", "real-models")


def archive(name):
    return DATA / f"{name}.tar.xz"


def entries(name):
    """Records of the manifest with a file of their own; None without the
    archive."""
    if not archive(name).exists():
        return None
    with tarfile.open(archive(name)) as tar:
        path = next(n for n in tar.getnames() if n.endswith("manifest.json"))
        listed = json.load(tar.extractfile(path))
    records = [e for part in ("files", "entries", "other")
               for e in listed.get(part, [])]
    return [e for e in records if "file" in e]


def unpack(name, folder):
    with tarfile.open(archive(name)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def file_of(name):
    """Where `modeld predict` writes the output called name."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".npy"


def spec_of(entry, case, root):
    """What a user says (--inputs) of the inputs of TorchScript, which has no
    types of them; None where the file says it itself."""
    if entry["format"] != "torchscript":
        return None
    if "inputs" in entry and "torch" in entry:
        return ";".join(
            f"{i['name']}={i['dtype']}"
            f"[{','.join('?' if d < 0 else str(d) for d in i['shape'])}]"
            for i in entry["inputs"])
    arrays = {k: np.load(root / p) for k, p in case["inputs"].items()}
    return ";".join(f"{k}={x.dtype}[{','.join(map(str, x.shape))}]"
                    for k, x in arrays.items() if x.ndim > 0)


def pairs(recorded, names):
    """Recorded paths by the model's own names: where PyTorch calls an input or
    output something else than the record, order decides."""
    if all(k in names for k in recorded):
        return dict(recorded)
    return dict(zip(names, recorded.values()))


def allowed(entry, want):
    """How far an answer may be from `want`, by an entry's tolerance."""
    limits = entry["tolerance"]
    if "steps" not in limits:
        a = limits.get("abs", limits.get("atol"))
        if "torch" in entry: # of the largest output, where that is above 1
            a *= max(1, np.abs(want).max(initial=0))
        return a + limits.get("rel", limits.get("rtol")) * np.abs(want)
    if want.dtype.kind != "f":
        return limits["steps"]
    # Multiples of the output's scale, which is their smallest distance.
    values = np.unique(want)
    step = np.diff(values).min() if len(values) > 1 else 1
    return limits["steps"] * step * (1 + 1e-4)


def differs(entry, name, want, got):
    """Why `got` is not the output `name` of an entry, or None."""
    if want.dtype.kind == "S" and got.dtype.kind == "U":
        same = got.shape == want.shape and (got == want.astype(str)).all()
        return None if same else f"{name}: another text"
    if got.shape != want.shape or got.dtype != want.dtype:
        return (f"{name}: {got.dtype} {list(got.shape)}, expected "
                f"{want.dtype} {list(want.shape)}")
    error = np.abs(got.astype(float) - want.astype(float))
    if not (error <= allowed(entry, want.astype(float))).all():
        return f"{name}: off by {error.max():.3g}"
    return None
