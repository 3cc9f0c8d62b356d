"""Other engines, for `modeld bench --compare`; modeld runs this with python3.

On standard input: a line of JSON {"model", "threads", "precision", "peers",
"inputs": [{"name", "dtype", "shape", "size"}]}, then the bytes of the inputs in
their order.  The answer to that and to every following line "INDEX SECONDS",
which has one peer run for a while, is a line: "ok ...", for the first the
versions, else minimum and median in nanoseconds and the number of runs; or
"error ..." in words.
"""
import importlib
import json
import sys
import time

RUNS_MIN = 3
SETTLE = 0.05  # seconds, in which its threads stop to spin


def onnxruntime(module, job, feeds):
    opts = module.SessionOptions()
    opts.intra_op_num_threads = job["threads"]
    opts.inter_op_num_threads = 1
    opts.log_severity_level = 4
    session = module.InferenceSession(job["model"], opts,
                                      providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    given = {name: module.OrtValue.ortvalue_from_numpy(value)
             for name, value in feeds.items()}
    for name, value in given.items():
        binding.bind_ortvalue_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    options = module.RunOptions()
    # Beneath its wrappers, which take longer than many a node.
    inner, bound = session._sess, binding._iobinding

    def run(kept=(session, binding, given, feeds)):
        inner.run_with_iobinding(bound, options)

    return run


def openvino(module, job, feeds):
    core = module.Core()
    model = core.read_model(job["model"])
    model.reshape({name: list(value.shape) for name, value in feeds.items()})
    kind = {"bf16": "bf16", "auto": "bf16"}.get(job["precision"], "f32")
    request = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": job["threads"],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": kind}).create_infer_request()
    for name, value in feeds.items():
        request.set_tensor(name, module.Tensor(value))

    def run(kept=feeds):
        request.start_async()
        request.wait()

    return run


MAKERS = {"onnxruntime": onnxruntime, "openvino": openvino}


def read_feeds(job, np):
    feeds = {}
    for x in job["inputs"]:
        data = sys.stdin.buffer.read(x["size"])
        try:
            dtype = np.dtype(x["dtype"])
        except TypeError:
            raise ValueError(f"input '{x['name']}' is {x['dtype']}, which "
                             "numpy does not have") from None
        feeds[x["name"]] = np.frombuffer(data, dtype).reshape(
            x["shape"]).copy()
    return feeds


def load(name):
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise ValueError(f"{sys.executable} cannot import {name}: {e}") \
            from None


def prepare(job):
    np = load("numpy")
    feeds = read_feeds(job, np)
    runs, versions = [], []
    for peer in job["peers"]:
        module = load(peer)
        versions.append(str(module.__version__).split("-")[0])
        try:
            runs.append(MAKERS[peer](module, job, feeds))
            runs[-1]()
        except Exception as e:
            raise ValueError(f"{peer}: {e}") from None
    return runs, versions


def measure(run, seconds):
    times = []
    run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < RUNS_MIN:
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    time.sleep(SETTLE)
    times.sort()
    return f"{times[0]} {times[(len(times) - 1) // 2]} {len(times)}"


def answer(text):
    sys.stdout.write(" ".join(text.split()) + "\n")
    sys.stdout.flush()


def main():
    try:
        runs, versions = prepare(json.loads(sys.stdin.buffer.readline()))
        answer("ok " + " ".join(v.replace(" ", "") for v in versions))
        for line in sys.stdin.buffer:
            index, seconds = line.split()
            answer("ok " + measure(runs[int(index)], float(seconds)))
    except Exception as e:
        answer(f"error {e}")


main()
