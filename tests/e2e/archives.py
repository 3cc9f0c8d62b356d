"""The archives of models of other frameworks in ../shared/data, with their
recorded inputs and outputs: what is in them, and whether answers meet them.
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


def allowed(limits, want):
    """How far an answer may be from `want`, by an entry's tolerance."""
    if "steps" not in limits:
        a = limits.get("abs", limits.get("atol"))
        return a + limits.get("rel", limits.get("rtol")) * np.abs(want)
    if want.dtype.kind != "f":
        return limits["steps"]
    # Multiples of the output's scale, which is their smallest distance.
    values = np.unique(want)
    step = np.diff(values).min() if len(values) > 1 else 1
    return limits["steps"] * step * (1 + 1e-4)


def differs(entry, name, want, got):
    """Why `got` is not the output `name` of an entry, or None."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return (f"{name}: {got.dtype} {list(got.shape)}, expected "
                f"{want.dtype} {list(want.shape)}")
    error = np.abs(got.astype(float) - want.astype(float))
    if not (error <= allowed(entry["tolerance"], want)).all():
        return f"{name}: off by {error.max():.3g}"
    return None
