"""The trained net of the tests of commands that train, and a run of them."""
import os
import pathlib
import subprocess

MODELD = os.environ.get("MODELD", "build/modeld")
FASHION = pathlib.Path(__file__).parents[2] / "examples" / "fashion"
IMAGES_500 = FASHION / "fmnist_bn.test.npz"
IMAGES_300 = FASHION / "fmnist_bn.calib.npz"  # others


def modeld(*words, rc=0):
    p = subprocess.run([MODELD, *map(str, words)], text=True, timeout=600,
                       capture_output=True)
    assert p.returncode == rc, f"{words}: {p.returncode}\n{p.stdout}{p.stderr}"
    return p.stdout + p.stderr


def converted(folder):
    path = folder / "net.onnx"
    modeld("convert", FASHION / "fmnist_bn.keras", "-o", path)
    return path
