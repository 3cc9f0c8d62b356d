#!/usr/bin/env python3
"""What a call costs besides its model: an identity of four floats, over REST
and gRPC, beside the static answers of nginx and nghttpd where they are
installed (apt-get install nginx-light nghttp2-server).

The server runs on one core, the client on another.  Requests a second depend
on who else uses the machine; the processor time that the server spends on a
request hardly does, and is what counts.  Rounds are interleaved; the best one
of each row is told.
"""

import contextlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import onnx
from tritonclient.grpc import service_pb2

from serve import free_port, pinned, server

ROUNDS = 5
N = 60000
NGINX = """daemon off; worker_processes 1; error_log /dev/null; pid {dir}/pid;
events {{}} http {{ access_log off; keepalive_requests 100000000;
client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; scgi_temp_path {dir}/s;
fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u;
server {{ listen 127.0.0.1:{port}; location / {{ return 200 "an answer"; }} }} }}
"""


def make_files(folder):
    h = onnx.helper
    io = [h.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["n", 4])
          for n in "xy"]
    graph = h.make_graph([h.make_node("Identity", ["x"], ["y"])], "id",
                         io[:1], io[1:])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)],
                           ir_version=9), folder / "id.onnx")
    r = service_pb2.ModelInferRequest(model_name="id")
    r.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    r.raw_input_contents.append(bytes(16))
    message = r.SerializeToString()
    (folder / "grpc").write_bytes(struct.pack(">BI", 0, len(message)) + message)
    (folder / "json").write_text('{"inputs":[{"name":"x","shape":[1,4],'
                                 '"datatype":"FP32","data":[1,2,3,4]}]}')
    (folder / "answer").write_text("an answer")


def h2load(url, *words):
    return pinned(1, "h2load", "-n", N, "-c", 1, "-m", 100, *words, url)


def h1load(url, *words):
    return pinned(1, "h2load", "--h1", "-n", N, "-c", 16, *words, url)


def ticks(pid):
    """Processor time of a process and its children, in seconds."""
    total = 0
    for p in [pid, *children(pid)]:
        f = pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")")[1].split()
        total += int(f[11]) + int(f[12])
    return total / os.sysconf("SC_CLK_TCK")


def children(pid):
    with contextlib.suppress(OSError):
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return text.split()
    return []


def one(pid, words):
    """Microseconds of processor time for a request, and requests a second."""
    before = ticks(pid)
    text = subprocess.run(words, check=True, capture_output=True,
                          text=True).stdout
    assert f"{N} succeeded" in text, text
    assert re.search(rf"status codes: {N} 2xx", text), text
    rate = re.search(r"([\d.]+) req/s", text).group(1)
    return (ticks(pid) - before) / N * 1e6, float(rate)


@contextlib.contextmanager
def started(*words):
    p = subprocess.Popen(pinned(0, *words), stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield p.pid
    finally:
        p.terminate()
        p.wait()


def rows_of(stack, folder):
    """(name, process, client, the peer it is compared with)."""
    url, pid = stack.enter_context(server(folder / "id.onnx", True))
    grpc = ("-H", "content-type: application/grpc", "-H", "te: trailers", "-d",
            folder / "grpc")
    rows = [("REST infer", pid, h1load(url + "/v2/models/id/infer", "-d",
                                       folder / "json"), "nginx"),
            ("REST live", pid, h1load(url + "/v2/health/live"), "nginx"),
            ("gRPC infer", pid, h2load(
                url + "/inference.GRPCInferenceService/ModelInfer", *grpc),
             "nghttpd"),
            ("HTTP/2 live", pid, h2load(url + "/v2/health/live"), "nghttpd")]
    if shutil.which("nginx"):
        port = free_port()
        conf = folder / "nginx.conf"
        conf.write_text(NGINX.format(dir=folder, port=port))
        pid = stack.enter_context(started("nginx", "-p", folder, "-c", conf))
        rows.append(("nginx", pid, h1load(f"http://127.0.0.1:{port}/"), ""))
    if shutil.which("nghttpd"):
        port = free_port()
        pid = stack.enter_context(started("nghttpd", "--no-tls", "-n1", "-d",
                                          folder, port))
        rows.append(("nghttpd", pid,
                     h2load(f"http://127.0.0.1:{port}/answer"), ""))
    return rows


def main():
    with tempfile.TemporaryDirectory() as name, \
            contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        make_files(folder)
        rows = rows_of(stack, folder)
        best = {}
        for _ in range(ROUNDS):
            for label, pid, words, _ in rows:
                cost, rate = one(pid, words)
                was = best.get(label, (cost, rate))
                best[label] = min(cost, was[0]), max(rate, was[1])
        print("Identity of four floats, server on one core, client on another")
        print(f"{'':<12}{'us/request':>12}{'of a core/s':>13}{'seen/s':>10}"
              "   its peer's time of ours")
        for label, _, _, peer in rows:
            cost, rate = best[label]
            share = f"{best[peer][0] / cost:8.2f}" if peer in best else ""
            print(f"{label:<12}{cost:>12.2f}{1e6 / cost:>13.0f}{rate:>10.0f}"
                  f"   {share}")


if __name__ == "__main__":
    sys.exit(main())
