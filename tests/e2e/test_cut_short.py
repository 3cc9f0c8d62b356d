"""Model files of every format that end too early, given to every command that
takes a MODEL: the message names the file and what was expected."""
import os
import pathlib
import subprocess

import pytest

MODELD = os.environ.get("MODELD", "build/modeld")
FASHION = pathlib.Path(__file__).parents[2] / "examples" / "fashion"
CALIB = FASHION / "seed_cnn.calib.npz"

COMMANDS = {
    "serve": ["--listen", "127.0.0.1:0"],
    "predict": ["-i", FASHION / "boot.png"],
    "check": [FASHION / "seed_cnn.vectors"],
    "inspect": [],
    "explain": [],
    "convert": ["-o", "out.onnx"],
    "quantize": ["-o", "out.onnx", "--data", CALIB],
    "bench": ["--seconds", "0"],
}

# What is left of the file, by its ending, and what is said; the end of it is
# what convert says of ONNX, which it does not take.
UNKNOWN = "is no model of a known format, expected ONNX model, Keras"
CUTS = [
    (".keras", 3, UNKNOWN),
    (".keras", 9999, "cut short: end record missing in 9999 bytes"),
    (".keras", -1, "cut short: end record missing in "),
    (".h5", 7, UNKNOWN),
    (".h5", 9999, "not a readable HDF5 file: truncated file: eof = 9999"),
    (".h5", -1, "not a readable HDF5 file: truncated file: eof = "),
    (".onnx", 7, "6 bytes announced, 3 left"),
    (".onnx", 9999, "bytes announced, 99"),
    (".onnx", -1, "92 bytes announced, 91 left"),
]


def run(cwd, *words):
    return subprocess.run([os.path.abspath(MODELD), *map(str, words)],
                          cwd=cwd, text=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    p = run(folder, "convert", FASHION / "seed_cnn.keras", "-o", "net.onnx",
            "--labels", FASHION / "labels.txt")
    assert p.returncode == 0
    return {".keras": FASHION / "seed_cnn.keras",
            ".h5": FASHION / "seed_cnn.h5", ".onnx": folder / "net.onnx"}


@pytest.mark.parametrize("command", COMMANDS)
def test_models_cut_short(files, tmp_path, command):
    for ending, size, text in CUTS:
        cut = tmp_path / f"cut{ending}"
        cut.write_bytes(files[ending].read_bytes()[:size])
        p = run(tmp_path, command, cut, *COMMANDS[command])
        if command == "convert" and (ending == ".onnx" or text == UNKNOWN):
            text = "is nothing that can be converted, expected Keras"
        assert p.returncode == 1, (ending, size)
        # The server's log tells it, too, for who reads that.
        said = [x for x in p.stderr.splitlines() if not x.startswith("time=")]
        assert p.stdout == "" and len(said) == 1, p.stderr
        assert said[0].startswith(f"modeld {command}: "), p.stderr
        assert said[0].count(str(cut)) == 1, p.stderr
        assert text in said[0], p.stderr
        assert not (tmp_path / "out.onnx").exists()
