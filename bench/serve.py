#!/usr/bin/env python3
"""POST /predict under load: the server on one core, the client on another.

The int8 seed_cnn is asked with JSON and with PNG bodies.  wrk finds the highest
rate; then h2load sends half of it at a constant rate, over so many connections
that each is idle for longer than an answer takes: a late answer does not hold
back the requests after it.  Connections begin one after the other, since those
that begin together also ask together, and wait for each other.  `kept` is the
share of the wanted rate that was sent; latencies mean little when it is far
from 1.  The best round counts, the others tell how calm the machine was.
"""

import contextlib
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELD = ROOT / "build" / "modeld"
FASHION = ROOT / "examples" / "fashion"
BODIES = [("JSON", "boot.json", "application/json"),
          ("PNG", "boot.png", "image/png")]
ROUNDS = 3
SECONDS = 4
FULL_CONNECTIONS = 8
CONSTANT_CONNECTIONS = 16
STAGGER = "11ms"  # beside the milliseconds between two of a connection


def pinned(core, *words):
    return ["taskset", "-c", str(core), *map(str, words)]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(model, with_pid=False):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    p = subprocess.Popen(
        pinned(0, MODELD, "serve", model, "--listen", f"127.0.0.1:{port}",
               "--threads", 1, "--log-level", "error"))
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url + "/v2/health/ready").close()
                break
            time.sleep(0.05)
        yield (url, p.pid) if with_pid else url
    finally:
        p.terminate()
        p.wait()


def highest(url, folder, path, kind):
    """Requests a second that wrk gets answered."""
    script = folder / "post.lua"
    script.write_text(f'wrk.method = "POST"\n'
                      f'wrk.headers["Content-Type"] = "{kind}"\n'
                      f'wrk.body = io.open("{path}", "rb"):read("*a")\n')
    text = subprocess.run(
        pinned(1, "wrk", "-t1", f"-c{FULL_CONNECTIONS}", f"-d{SECONDS}s", "-s",
               script, url + "/predict"),
        check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in text, text
    return float(re.search(r"Requests/sec:\s*([\d.]+)", text).group(1))


def constant(url, folder, path, kind, rate):
    """Sorted latencies in ms at `rate` requests a second, and what share of
    the rate was kept."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    each = max(1, round(rate / CONSTANT_CONNECTIONS))
    wanted = each * CONSTANT_CONNECTIONS * SECONDS
    start = time.monotonic()
    subprocess.run(
        pinned(1, "h2load", "--h1", "-c", CONSTANT_CONNECTIONS, "-t1", "-n",
               wanted, "-r", 1, "--rate-period", STAGGER, "--rps", each,
               "-d", path, "-H", f"Content-Type: {kind}", f"--log-file={log}",
               url + "/predict"),
        check=True, stdout=subprocess.DEVNULL)
    took = time.monotonic() - start
    rows = [line.split() for line in log.read_text().splitlines()]
    bad = [r for r in rows if r[1] != "200"]
    assert len(rows) == wanted and not bad, f"{len(rows)} answers: {bad[:3]}"
    return sorted(int(r[2]) / 1e3 for r in rows), SECONDS / took


def at(times, share):
    return times[min(len(times) - 1, int(len(times) * share))]


def measure(url, folder, name, file, kind):
    path = FASHION / file
    best, rows = 0.0, []
    for _ in range(ROUNDS):
        best = max(best, highest(url, folder, path, kind))
    for _ in range(ROUNDS):
        times, kept = constant(url, folder, path, kind, best / 2)
        rows.append((at(times, 0.99), at(times, 0.9), at(times, 0.5), kept))
    p99, p90, p50, kept = min(rows)
    print(f"{name:<6}{best:>12.0f}{best / 2:>12.0f}{p50:>9.3f}{p90:>9.3f}"
          f"{p99:>9.3f}{kept:>8.2f}   " +
          " ".join(f"{r[0]:.3f}" for r in rows), flush=True)


def main():
    print("POST /predict, int8 seed_cnn, server on one core, client on another")
    print(f"{'body':<6}{'highest/s':>12}{'half/s':>12}{'p50 ms':>9}{'p90 ms':>9}"
          f"{'p99 ms':>9}{'kept':>8}   p99 of each round")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for words in (["convert", FASHION / "seed_cnn.keras", "-o",
                       folder / "float.onnx"],
                      ["quantize", folder / "float.onnx", "-o",
                       folder / "int8.onnx", "--data",
                       FASHION / "seed_cnn.calib.npz"]):
            subprocess.run([MODELD, *words], check=True,
                           stdout=subprocess.DEVNULL)
        with server(folder / "int8.onnx") as url:
            for body in BODIES:
                measure(url, folder, *body)


if __name__ == "__main__":
    sys.exit(main())
