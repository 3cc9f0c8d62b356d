"""The commands as a user meets them: answers, exit statuses, hints."""
import json
import os
import pathlib
import subprocess
import time

import pytest

np = pytest.importorskip("numpy")

MODELD = os.environ.get("MODELD", "build/modeld")
FASHION = pathlib.Path(__file__).parents[2] / "examples" / "fashion"
KERAS = FASHION / "seed_cnn.keras"
VECTORS = FASHION / "seed_cnn.vectors"


def modeld(*words, rc=0, env=None):
    """Run a command and return its two outputs."""
    p = subprocess.run([MODELD, *map(str, words)], text=True, timeout=300,
                       capture_output=True, env={**os.environ, **(env or {})})
    assert p.returncode == rc, f"{words}: {p.returncode}\n{p.stdout}{p.stderr}"
    assert bool(p.stderr) == bool(rc), p.stderr
    assert "Assertion" not in p.stderr
    return p.stdout, p.stderr


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """The demo net as ONNX."""
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    out, _ = modeld("convert", KERAS, "-o", path, "--labels",
                    FASHION / "labels.txt", "--check", VECTORS)
    assert "0 missed" in out
    return path


@pytest.fixture
def image():
    return np.load(VECTORS / "test_data_set_0" / "input_0.npy")[:1]


def commands():
    out, _ = modeld("help")
    return [line.split()[0] for line in out.splitlines()
            if line.startswith("  ")]


def test_help_of_every_command():
    names = commands()
    assert {"predict", "check", "inspect", "explain", "bench", "convert",
            "config", "version", "help"} <= set(names)
    for name in names:
        page, _ = modeld(name, "--help")
        assert page == modeld("help", name)[0]
        assert f"usage: modeld {name}" in page
        assert f"\nexample:\n  modeld {name}" in page


@pytest.mark.parametrize("words,hint", [
    (["pedict"], "did you mean 'predict'?"),
    (["bnech"], "did you mean 'bench'?"),
    (["frobnicate"], "is no command"),
    (["bench"], "0 of 1 arguments given: MODEL"),
    (["bench", "m", "--thread", "1"], "did you mean '--threads'?"),
    (["bench", "m", "--threads", "x"], "expected a number from 0 to 256"),
    (["bench", "m", "--precision", "fp8"], "expected one of fp32|strict"),
    (["check", "m"], "1 of 2 arguments given: MODEL DIR"),
    (["bench", "m", "--seconds", "-0.5"], "also a fraction, from 0 to 3600"),
    (["check", "m", "d", "--atol", "x"], "--atol: 'x' given, expected a num"),
    (["check", "m", "d", "--rtol", "nan"], "--rtol: 'nan' given"),
    (["inspect", "a", "b"], "'b' is one too many"),
    (["convert", "a"], "--output FILE is missing"),
    (["config", "--lisen", "x"], "did you mean '--listen'?"),
    (["config", "--log-level", "bogus"], "log level 'bogus' is unknown, expected error, warn"),
    (["config", "--cpu", "bogus"], "CPU level 'bogus' is unknown, expected"),
    (["inspect", "m", "--shape", "1,2"], "'1,2' given, expected NAME=D,D,..."),
    (["inspect", "m", "--shape", "x="], "'x=' given, expected NAME=D,D,..."),
    (["inspect", "m", "--shape", "x=1,"], "and up to 8 dims"),
    (["inspect", "m", "--shape", "x=1,a"], "and up to 8 dims"),
    (["inspect", "m", "--shape", "x=-1"], "and up to 8 dims"),
    (["bench", "m", "--shape", "x=1,1,1,1,1,1,1,1,1"], "up to 8 dims"),
    (["bench", "m", "--shape", "x=1 2"], "'x=1 2' given"),
])
def test_usage_errors(words, hint):
    out, err = modeld(*words, rc=2)
    assert out == ""
    assert hint in err
    assert "\nTry 'modeld " in err


@pytest.mark.parametrize("command", ["inspect", "explain", "bench", "predict"])
def test_files_that_are_no_models(command, tmp_path):
    bad = tmp_path / "bad.onnx"
    missing = tmp_path / "missing.onnx"
    for content in (b"", b"not a model", os.urandom(1000), b"PK\3\4",
                    b"\x89HDF\r\n\x1a\n", KERAS.read_bytes()[:9999]):
        bad.write_bytes(content)
        _, err = modeld(command, bad, rc=1)
        assert err.startswith(f"modeld {command}: ")
        assert err.count("\n") == 1
    bad.write_bytes(b"not a model")
    _, err = modeld(command, bad, rc=1)
    assert "expected ONNX model, Keras .keras and .h5" in err
    _, err = modeld(command, missing, rc=1)
    assert "No such file or directory" in err and str(missing) in err
    _, err = modeld(command, tmp_path, rc=1)
    assert "holds no model, expected one with saved_model.pb" in err


def test_inspect(net):
    out, _ = modeld("inspect", net)
    assert "float32[batch,32,32,3]" in out
    facts = json.loads(modeld("inspect", net, "--json")[0])
    assert facts["inputs"][0]["shape"] == [-1, 32, 32, 3]
    assert facts["parameters"] == 122570
    assert facts["operators"]["Conv"] == 3
    assert facts["macs"] > 4e6 and facts["memory_bytes"] > 0
    more = json.loads(modeld("inspect", net, "--json", "--shape",
                             "input_layer=8,32,32,3")[0])
    assert more["macs"] == 8 * facts["macs"]


def test_inspect_takes_the_source_too(net):
    keras = json.loads(modeld("inspect", KERAS, "--json")[0])
    onnx = json.loads(modeld("inspect", net, "--json")[0])
    assert keras["operators"] == onnx["operators"]


def test_shape_of_an_unknown_input(net):
    _, err = modeld("inspect", net, "--shape", "x=1", rc=1)
    assert "'x=1' given, expected NAME=D,D,... with the name of an input" in err


def test_explain(net):
    out, _ = modeld("explain", net)
    assert "conv" in out and "Softmax" in out
    steps = json.loads(modeld("explain", net, "--json")[0])
    assert any(s.get("operator") == "Softmax" or "Softmax" in json.dumps(s)
               for s in steps)


def test_explain_obeys_the_cpu_mask(net):
    out, _ = modeld("explain", net, env={"MODELD_CPU": "none"})
    assert "avx" not in out
    _, err = modeld("explain", net, rc=1, env={"MODELD_CPU": "486"})
    assert "CPU level '486' is unknown" in err


def test_check(net):
    out, _ = modeld("check", net, VECTORS)
    assert "2 sets, 2 outputs, 0 missed" in out
    got = json.loads(modeld("check", net, VECTORS, "--json")[0])["vectors"]
    assert got["missed"] == 0 and got["sets"] == 2
    assert got["abs_max"] <= 1e-5


def test_check_one_folder_without_sets(net):
    out, _ = modeld("check", net, VECTORS / "test_data_set_1")
    assert "1 sets, 1 outputs, 0 missed" in out


def test_check_finds_a_miss(net, tmp_path):
    image = np.load(VECTORS / "test_data_set_0" / "input_0.npy")
    wrong = np.load(VECTORS / "test_data_set_0" / "output_0.npy")
    wrong.flat[0] += 0.5
    np.save(tmp_path / "input_0.npy", image)
    np.save(tmp_path / "output_0.npy", wrong)
    out, err = modeld("check", net, tmp_path, rc=1)
    assert "MISS" in out
    assert "1 of 1 outputs differ" in err
    modeld("check", net, tmp_path, "--atol", "0.6")
    np.save(tmp_path / "output_0.npy", wrong[..., :-1])
    assert "MISS" in modeld("check", net, tmp_path, rc=1)[0]


def test_check_without_vectors(net, tmp_path):
    assert "no folder" in modeld("check", net, tmp_path / "x", rc=1)[1]
    assert "no input_0.pb" in modeld("check", net, tmp_path, rc=1)[1]
    np.save(tmp_path / "input_0.npy", np.zeros((1, 32, 32, 3), "f"))
    assert "no output_0.pb" in modeld("check", net, tmp_path, rc=1)[1]


def test_predict_from_every_kind_of_file(net, image, tmp_path):
    np.save(tmp_path / "a.npy", image)
    np.save(tmp_path / "b.npy", image.astype("f8"))
    np.save(tmp_path / "c.npy", image[0])
    np.savez(tmp_path / "d.npz", input_layer=image)
    (tmp_path / "e.json").write_text(json.dumps(image.tolist()))
    (tmp_path / "f.json").write_text(
        json.dumps({"input_data": image.ravel().tolist()}))
    (tmp_path / "g.json").write_text(
        json.dumps({"input_layer": image[0].tolist()}))
    answers = []
    for name in sorted(os.listdir(tmp_path)):
        out, _ = modeld("predict", net, "--input", tmp_path / name, "--json")
        answer = json.loads(out)["outputs"][0]
        assert answer["shape"] == [1, 10]
        answers.append(answer["data"])
    assert len(answers) == 7
    for a in answers:
        np.testing.assert_allclose(a, answers[0], atol=1e-6)


def test_predict_writes_npy(net, image, tmp_path):
    np.save(tmp_path / "in.npy", np.concatenate([image] * 3))
    out, _ = modeld("predict", net, "-i",
                    f"input_layer={tmp_path / 'in.npy'}", "-o",
                    tmp_path / "out")
    assert "class 'Shirt'" in out
    y = np.load(tmp_path / "out" / "dense_1.npy")
    want = np.load(VECTORS / "test_data_set_0" / "output_0.npy")[:1]
    assert y.dtype == np.float32 and y.shape == (3, 10)
    np.testing.assert_allclose(y, np.concatenate([want] * 3), atol=1e-5)


@pytest.mark.parametrize("array,text", [
    (np.zeros((1, 32, 32, 4), "f"), "[1,32,32,4]"),
    (np.zeros((1, 5), "f"), "[1,5]"),
    (np.zeros((1, 32, 32, 3), "i4"), "int32 given, expected float32"),
    (np.zeros((1, 32, 32, 3), "?"), "bool given, expected float32"),
    (np.zeros((), "f"), "'input_layer'"),
])
def test_predict_refuses_other_shapes_and_types(net, tmp_path, array, text):
    np.save(tmp_path / "x.npy", array)
    _, err = modeld("predict", net, "-i", tmp_path / "x.npy", rc=1)
    assert text in err and "input_layer" in err


@pytest.mark.parametrize("body,text", [
    ("", "JSON at byte 0"),
    ("[1,2", "JSON at byte 4"),
    ("[[1,2],[3]]", "ragged"),
    ("[" * 10000, "deeper than the limit"),
    ('["a"]', "expected a number"),
    ('{"y": [1]}', "the model has no input 'y'"),
    ('{"input_layer": [1], "input_layer": [1]}', "given twice"),
    ("[1] 2", "JSON at byte 4"),
])
def test_predict_refuses_other_json(net, tmp_path, body, text):
    (tmp_path / "x.json").write_text(body)
    assert text in modeld("predict", net, "-i", tmp_path / "x.json", rc=1)[1]


def test_predict_needs_its_inputs(net, tmp_path, image):
    assert "input 'input_layer' is missing" in modeld("predict", net, rc=1)[1]
    np.save(tmp_path / "x.npy", image)
    assert "has no input 'y'" in modeld(
        "predict", net, "-i", f"y={tmp_path / 'x.npy'}", rc=1)[1]
    (tmp_path / "x.dat").write_text("nonsense")
    for name, text in (("x.dat", "is of no known format"),
                       ("none.npy", "No such file"),
                       ("none.json", "No such file")):
        err = modeld("predict", net, "-i", tmp_path / name, rc=1)[1]
        assert text in err and err.count(str(tmp_path / name)) == 1
    assert "x.npy" in modeld("predict", net, "-i", tmp_path / "x.npy", "-o",
                             tmp_path / "x.npy", rc=1)[1]


def test_bench(net):
    got = json.loads(modeld("bench", net, "--threads", 1, "--seconds", 0,
                            "--batch", 2, "--json")[0])
    assert got["batch"] == 2 and got["threads"] == 1 and got["runs"] >= 20
    assert 0 < got["min_ms"] <= got["p50_ms"] <= got["p90_ms"] <= got["p99_ms"]
    for key in ("load_ms", "rss_mb", "macs", "gflops", "peak_share"):
        assert got[key] > 0
    start = time.monotonic()
    assert "latency" in modeld("bench", net, "--seconds", 0.25)[0]
    assert 0.25 <= time.monotonic() - start < 10


def test_convert_leaves_nothing_half_done(tmp_path):
    bad = tmp_path / "bad.keras"
    bad.write_bytes(KERAS.read_bytes()[:5000])
    modeld("convert", bad, "-o", tmp_path / "out.onnx", rc=1)
    modeld("convert", KERAS, "-o", tmp_path / "no" / "out.onnx", rc=1)
    assert os.listdir(tmp_path) == ["bad.keras"]


def test_convert_tells_json(tmp_path):
    got = json.loads(modeld("convert", KERAS, "-o", tmp_path / "a.onnx",
                            "--json", "--check", VECTORS)[0])
    assert got["parameters"] == 122570 and got["vectors"]["missed"] == 0


def test_options_and_their_sources(tmp_path):
    conf = tmp_path / "modeld.conf"
    conf.write_text("threads = 2 # two\nqueue_max = 5\nlisten = :1\n")
    out, _ = modeld("config", "--config", conf, "--listen", ":3", "--json",
                    env={"MODELD_QUEUE_MAX": "6", "MODELD_LISTEN": ":2"})
    got = json.loads(out)
    assert got["threads"]["value"] == 2
    assert got["threads"]["where"] == f"{conf}:1"
    assert got["queue_max"] == {**got["queue_max"], "value": 6,
                                "source": "environment"}
    assert got["listen"]["value"] == ":3"
    assert got["idle_timeout"]["source"] == "default"
    conf.write_text("threads = 2\nlissten = x\n")
    _, err = modeld("config", "--config", conf, rc=1)
    assert f"{conf}:2" in err and "did you mean 'listen'?" in err


def test_quantize(net, tmp_path):
    int8 = tmp_path / "int8.onnx"
    got = json.loads(modeld("quantize", net, "-o", int8, "--data",
                            FASHION / "seed_cnn.calib.npz", "--test",
                            FASHION / "seed_cnn.test.npz", "--json")[0])
    assert got["accuracy_int8"] >= got["accuracy_float"] - 0.003
    assert int8.stat().st_size < 0.3 * net.stat().st_size
    picture = ("-i", FASHION / "boot.png")
    assert "class 'Ankle boot'" in modeld("predict", int8, *picture)[0]
    # Up to the softmax, which is float, every instruction set computes the
    # same integers: a code that differs would be 1e-2 off here.
    answers = [json.loads(modeld("predict", int8, *picture, "--json",
                                 env={"MODELD_CPU": level})[0])
               for level in ("all", "none", "avx2", "avx512")]
    for answer in answers:
        np.testing.assert_allclose(answer["outputs"][0]["data"],
                                   answers[0]["outputs"][0]["data"], rtol=2e-6)


def test_quantize_refuses(net, tmp_path):
    out = tmp_path / "out.onnx"
    data = FASHION / "seed_cnn.calib.npz"
    assert "--mode static needs --data" in modeld("quantize", net, "-o", out,
                                              rc=2)[1]
    for words, text in (
            (["--data", tmp_path / "no.npz"], "no.npz"),
            (["--data", FASHION / "fmnist_bn.calib.npz"], "28"),
            (["--data", data, "--test", tmp_path / "no.npz"], "no.npz")):
        assert text in modeld("quantize", net, "-o", out, *words, rc=1)[1]
    np.savez(tmp_path / "y.npz", q=np.zeros((2, 32, 32, 3), "f"))
    assert "input_layer" in modeld("quantize", net, "-o", out, "--data",
                                   tmp_path / "y.npz", rc=1)[1]
    assert not out.exists()
