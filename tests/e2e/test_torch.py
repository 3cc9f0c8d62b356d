"""Files of PyTorch against what PyTorch answered: those in tests/golden/torch,
and those of ../shared/data/torch-models.tar.xz and torch-more.tar.xz within
the tolerances of their manifests; silero's TorchScript of real-models.tar.xz.

A clone without the archives skips theirs.
"""
import json
import os
import pathlib
import re
import subprocess
import tarfile
import zipfile

import pytest

np = pytest.importorskip("numpy")
import archives  # noqa: E402
from archives import file_of  # noqa: E402

MODELD = os.environ.get("MODELD", "build/modeld")
GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "torch"
DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
ARCHIVES = {"models": DATA / "torch-models.tar.xz",
            "more": DATA / "torch-more.tar.xz",
            "real": DATA / "real-models.tar.xz"}

# The engine's integer kernels round once less than QuantizeLinear behind a
# product of floats: a code may be the next one, and what follows moves with
# it.  Measured 0.0009 of outputs up to 0.5.
INT8_TOLERANCE = 0.01


def convert(source, to, inputs=None):
    command = [MODELD, "convert", str(source), "-o", str(to)]
    if inputs:
        command += ["--inputs", inputs]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def ends(model):
    done = subprocess.run([MODELD, "inspect", str(model), "--json"],
                          capture_output=True, text=True, check=True)
    io = json.loads(done.stdout)
    return [[x["name"] for x in io[k]] for k in ("inputs", "outputs")]


def predict(model, given, to):
    to.mkdir()
    command = [MODELD, "predict", str(model), "--output", str(to)]
    for name, path in given.items():
        command += ["--input", f"{name}={path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {p.name: np.load(p) for p in to.glob("*.npy")}


def compare(mine, want, tolerance, name):
    assert mine.shape == want.shape and mine.dtype == want.dtype, name
    largest = max(1, np.abs(want.astype(float)).max(initial=0))
    error = np.abs(mine.astype(float) - want.astype(float))
    limit = (tolerance["abs"] * largest +
             tolerance["rel"] * np.abs(want.astype(float)))
    assert (error <= limit).all(), (name, error.max())


def check(model, case, given, wanted, tolerance, tmp_path):
    """Inputs and outputs by their order; given and wanted are paths."""
    names, outputs = ends(model)
    assert len(outputs) == len(wanted)
    got = predict(model, dict(zip(names, given)), tmp_path / case)
    for name, want in zip(outputs, wanted):
        compare(got[file_of(name)], want, tolerance, name)


# --- golden files ---

def golden():
    return sorted(p for p in GOLDEN.glob("*.pt*")
                  if p.suffix in (".pt", ".pt2") and
                  p.with_name(p.name + ".npz").exists())


@pytest.mark.parametrize("path", golden(), ids=lambda p: p.name)
def test_golden(path, tmp_path):
    inputs = json.loads((GOLDEN / "inputs.json").read_text()).get(path.name)
    tolerance = json.loads((GOLDEN / "tolerance.json").read_text())[path.name]
    known = dict(np.load(path.with_name(path.name + ".npz")))
    for case in sorted({k.split("/")[0] for k in known}):
        given = {k.split(":")[1]: x for k, x in known.items()
                 if k.startswith(case + "/in:")}
        spec = inputs
        if path.name.startswith("nested.scripted") and "bias" in given:
            spec += ";bias=float32[%s]" % ",".join(
                map(str, given["bias"].shape))
        model = tmp_path / f"{case}.onnx"
        done = convert(path, model, spec)
        assert done.returncode == 0, done.stderr
        paths = []
        for name, x in given.items():
            paths.append(tmp_path / f"{case}-{file_of(name)}")
            np.save(paths[-1], x)
        wanted = [known[k] for k in sorted(known)
                  if k.startswith(case + "/out:")]
        check(model, case, paths, wanted, tolerance, tmp_path)


@pytest.mark.parametrize("path", sorted((GOLDEN / "hostile").glob("*")),
                         ids=lambda p: p.name)
def test_hostile(path, tmp_path):
    refuse(path, tmp_path)


def test_names_what_is_missing(tmp_path):
    done = convert(GOLDEN / "hostile" / "reduce_system.pth",
                   tmp_path / "x.onnx")
    assert done.returncode != 0
    assert "'posix.system'" in done.stderr and "tensors" in done.stderr
    done = convert(GOLDEN / "odd.pth", tmp_path / "x.onnx")
    assert done.returncode != 0 and "bfloat16" in done.stderr


def script(path, code):
    """A TorchScript archive of a module without attributes."""
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("m/data.pkl", b"\x80\x02c__torch__\nM\n)\x81}b.")
        z.writestr("m/constants.pkl", b"\x80\x02).")
        z.writestr("m/code/__torch__.py", code)


def test_lists_all_that_is_missing(tmp_path):
    script(tmp_path / "m.pt", """class M(Module):
  def forward(self: __torch__.M,
    x: Tensor) -> Tensor:
    a = torch.nosuch(x)
    b = torch.relu(torch.nosuch(x))
    c = torch.other(torch.add(a, b))
    return torch.cat([c, x])
""")
    done = convert(tmp_path / "m.pt", tmp_path / "x.onnx", "x=float32[2,3]")
    assert done.returncode == 1
    assert "nosuch (2)" in done.stderr and "other (1)" in done.stderr


def test_in_place(tmp_path):
    """Writing into a view writes into what it is a view of, and into others."""
    script(tmp_path / "m.pt", """class M(Module):
  def forward(self: __torch__.M,
    x: Tensor) -> Tensor:
    y = torch.clone(x)
    row = torch.select(y, 0, 1)
    part = torch.slice(row, 0, 1, 3)
    turned = torch.transpose(y, 0, 1)
    _0 = torch.mul_(part, 10)
    _1 = torch.zero_(torch.select(turned, 0, 0))
    _2 = torch.add_(row, 1, alpha=0.5)
    return torch.stack([y, torch.transpose(turned, 0, 1)])
""")
    done = convert(tmp_path / "m.pt", tmp_path / "x.onnx", "x=float32[2,4]")
    assert done.returncode == 0, done.stderr
    x = np.arange(8, dtype=np.float32).reshape(2, 4) + 1
    np.save(tmp_path / "x.npy", x)
    got = predict(tmp_path / "x.onnx", {"x": tmp_path / "x.npy"},
                  tmp_path / "out")["output.npy"]
    want = x.copy()
    want[1, 1:3] *= 10
    want[:, 0] = 0
    want[1] += 0.5
    assert (got == want).all()


@pytest.mark.parametrize("n", [0, 1, 5])
def test_lists_and_state_in_loops(n, tmp_path):
    """A list that a loop fills, and numbers that go round."""
    script(tmp_path / "m.pt", """class M(Module):
  def forward(self: __torch__.M,
    x: Tensor,
    n: int) -> Tuple[Tensor, Tensor]:
    out = annotate(List[Tensor], [torch.mul(x, 0)])
    y = x
    k = 1
    for i in range(n):
      y0 = torch.add(y, torch.mul(k, i))
      k0 = torch.add(k, 2)
      y, k = y0, k0
    rows = annotate(List[Tensor], [])
    for j in range(n):
      _0 = torch.append(rows, torch.add(x, j))
    return (y, torch.cat(rows, 0))
""")
    done = convert(tmp_path / "m.pt", tmp_path / "x.onnx", "x=float32[2,3]")
    assert done.returncode == 0, done.stderr
    x = np.float32([[1, 2, 3], [4, 5, 6]])
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "n.npy", np.int64(n))
    got = predict(tmp_path / "x.onnx", {"x": tmp_path / "x.npy",
                                        "n": tmp_path / "n.npy"},
                  tmp_path / "out")
    y = x + sum((1 + 2 * i) * i for i in range(n))
    assert (got["output_0.npy"] == y).all()
    rows = np.concatenate([x + j for j in range(n)]) if n else np.empty((0, 3))
    assert (got["output_1.npy"] == rows).all()


def test_used_as_it_is(tmp_path):
    """Commands take such a file where they take a model."""
    given = dict(np.load(GOLDEN / "cond.pt2.npz"))
    np.save(tmp_path / "x.npy", given["pos/in:x"])
    got = predict(GOLDEN / "cond.pt2", {"x": tmp_path / "x.npy"},
                  tmp_path / "out")
    # What the archives' manifests ask of float32 programs.
    assert np.allclose(got["output.npy"], given["pos/out:000"], atol=2e-5)


@pytest.mark.parametrize("spec, what", [
    ("x", "name=type"), ("x=float33[1]", "name=type"),
    ("x=float32[1", "name=type"), ("x=float32[1,1,1,1,1,1,1,1,1]", "name=type"),
    ("x=float32[?,5]", "not supported")])
def test_inputs_are_checked(spec, what, tmp_path):
    done = convert(GOLDEN / "control_flow.scripted.pt", tmp_path / "x.onnx",
                   spec)
    assert done.returncode != 0 and what in done.stderr, done.stderr


# --- archives ---

def refuse(path, tmp_path):
    before = {p for p in tmp_path.iterdir()}
    done = subprocess.run([os.path.abspath(MODELD), "convert", str(path), "-o",
                           "x.onnx"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("modeld convert:")
    assert {p for p in tmp_path.iterdir()} == before, "something was written"


def entries(which):
    if not ARCHIVES[which].exists():
        return None
    with tarfile.open(ARCHIVES[which]) as tar:
        name = next(n for n in tar.getnames() if n.endswith("manifest.json"))
        listed = json.load(tar.extractfile(name))
    return listed.get("files", [])


def listed(wanted):
    out = []
    for which in ("models", "more"):
        found = entries(which)
        if found is None:
            out.append(pytest.param(None, None, id=f"no-{which}-archive",
                                    marks=pytest.mark.skip(
                                        reason=f"{ARCHIVES[which]} is missing")))
            continue
        out += [pytest.param(which, e, id=pathlib.Path(e["file"]).name)
                for e in found if wanted(e)]
    return out


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    made = {}

    def get(which):
        if which not in made:
            made[which] = tmp_path_factory.mktemp(which)
            with tarfile.open(ARCHIVES[which]) as tar:
                tar.extractall(made[which], filter="data")
        return made[which]

    return get


def meets_by_definition(model, given, wanted, tolerance):
    """The file itself, run by another engine that fuses nothing."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(model), options)
    got = session.run(None, {i.name: np.load(p) for i, p in
                             zip(session.get_inputs(), given)})
    for mine, want in zip(got, wanted):
        compare(mine, want, tolerance, "by definition")


@pytest.mark.parametrize("which, entry", listed(
    lambda e: e["format"] in ("pt2", "torchscript") and
    e.get("expect") != "refuse"))
def test_archive(which, entry, unpacked, tmp_path):
    root = unpacked(which)
    tolerance = entry["tolerance"]
    for v in entry["vectors"]:
        model = tmp_path / f"{v['case']}.onnx"
        done = convert(root / entry["file"], model,
                       archives.spec_of(entry, v, root))
        assert done.returncode == 0, done.stderr
        given = [root / p for p in v["inputs"].values()]
        wanted = [np.load(root / p) for p in v["outputs"].values()]
        if ".int8." in entry["file"]:
            meets_by_definition(model, given, wanted, tolerance)
            tolerance = {"abs": INT8_TOLERANCE, "rel": 0}
        check(model, v["case"], given, wanted, tolerance, tmp_path)


@pytest.mark.parametrize("which, entry", listed(
    lambda e: e.get("expect") == "refuse"))
def test_refused(which, entry, unpacked, tmp_path):
    refuse(unpacked(which) / entry["file"], tmp_path)


# What a process may open besides its input: how it starts, what the machine is
# like, and the seed of JSON objects.
SYSTEM = ("/etc/ld.so", "/lib/", "/usr/lib/", "/proc/", "/sys/", "/dev/null",
          "/dev/urandom")


def touched(path, tmp_path):
    """What a process that reads the file does, by the kernel's account: other
    files that it opened, programs that it started, sockets."""
    log = tmp_path / "strace"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-s", "400", "-o", log, "-e",
         "trace=open,openat,creat,execve,execveat,socket,connect,unlink,"
         "unlinkat,rename,renameat2,mkdir,mkdirat,symlink,link,ptrace",
         MODELD, "convert", path, "-o", tmp_path / "x.onnx"],
        capture_output=True, text=True, errors="replace", timeout=120)
    if "ptrace" in done.stderr and "not permitted" in done.stderr:
        pytest.skip("this machine lets nobody be traced")
    assert done.returncode == 1, done.stderr
    out, started = [], 0
    for line in log.read_text(errors="replace").splitlines():
        call = re.match(r"\d+\s+(\w+)\(.*?(?:\"(.*?)\")?.*\)\s+= (-?\d+)", line)
        if not call or int(call[3]) < 0:
            continue
        name = re.search(r'"(.*?)"', line)
        name = name[1] if name else ""
        started += call[1] == "execve"
        if call[1] == "execve" and started == 1 and name == MODELD:
            continue
        if call[1] in ("open", "openat") and "O_RDONLY" in line and (
                name == str(path) or name.startswith(SYSTEM)):
            continue
        out.append(line)
    assert started, "nothing was traced"
    return out


def test_what_is_opened_is_seen(tmp_path):
    """A config.json beside weights is read, and in the account."""
    source = GOLDEN.parent / "torch_arch" / "llama" / "model.safetensors"
    (tmp_path / "x.safetensors").write_bytes(source.read_bytes())
    (tmp_path / "config.json").write_text("{}")
    seen = touched(tmp_path / "x.safetensors", tmp_path)
    assert len(seen) == 1 and "config.json" in seen[0]


@pytest.mark.parametrize("path", sorted((GOLDEN / "hostile").glob("*")),
                         ids=lambda p: p.name)
def test_hostile_touches_nothing(path, tmp_path):
    assert touched(path, tmp_path) == []


@pytest.mark.parametrize("which, entry", listed(
    lambda e: e.get("expect") == "refuse"))
def test_refused_touches_nothing(which, entry, unpacked, tmp_path):
    assert touched(unpacked(which) / entry["file"], tmp_path) == []


# --- a module with state ---

@pytest.mark.parametrize("case", ["sequence", "sequence_8khz", "batch"])
def test_silero(case, unpacked, tmp_path):
    """State goes in and comes out; both rates are in one model."""
    if not ARCHIVES["real"].exists():
        pytest.skip(f"{ARCHIVES['real']} is missing")
    root = unpacked("real") / "silero_jit"
    model = tmp_path / "silero.onnx"
    done = convert(root / "silero_vad.jit", model, "x=float32[?,?]")
    assert done.returncode == 0, done.stderr
    names, outputs = ends(model)
    assert names == ["x", "sr", "_state", "_context"]
    assert outputs == ["output", "_state/out", "_context/out"]
    folder = root / "vectors" / case
    x, sr = (np.load(folder / f"input.{k}.npy") for k in ("x", "sr"))
    want = np.load(folder / "output.speech_probs.npy").reshape(-1, 1)
    rows = [x] if case == "batch" else [x[i:i + 1] for i in range(len(x))]
    n = rows[0].shape[0]
    state = {"_state": np.zeros((2, n, 128), np.float32),
             "_context": np.zeros((n, 64 if int(sr) == 16000 else 32),
                                  np.float32)}
    got = []
    for i, row in enumerate(rows):
        given = {"x": row, "sr": np.int64(sr), **state}
        for k, v in given.items():
            np.save(tmp_path / f"{k}.npy", v)
        out = predict(model, {k: tmp_path / f"{k}.npy" for k in given},
                      tmp_path / f"turn{i}")
        got.append(out["output.npy"])
        state = {k: out[file_of(k + "/out")] for k in state}
    assert np.allclose(np.concatenate(got), want, rtol=1e-3, atol=1e-4)
