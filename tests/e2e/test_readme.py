"""The commands that README.md and README.zh.md print, run as they stand there:
only ports and places for files are this test's own."""
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

from serving import MODELD

ROOT = pathlib.Path(__file__).resolve().parents[2]
READMES = ["README.md", "README.zh.md"]


def blocks(name):
    """The ```sh blocks of a file, as lists of commands without comments."""
    text = (ROOT / name).read_text(encoding="utf-8")
    out = []
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.S | re.M):
        lines = block.replace("\\\n", " ").splitlines()
        out.append([" ".join(re.sub(r"\s#\s.*", "", x).split())
                    for x in lines])
    return out


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A checkout whose program is the one under test."""
    place = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "examples", place / "examples")
    (place / "build").mkdir()
    (place / "build" / "modeld").symlink_to(pathlib.Path(MODELD).resolve())
    return place


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def test_both_languages_print_the_same_commands():
    assert blocks("README.md") == blocks("README.zh.md")
    assert len(blocks("README.md")) == 3


def test_make_targets_exist():
    words = [c.split() for c in blocks("README.md")[0]]
    assert words == [["make", "run"], ["make", "test"]]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:sudo )?make ([a-z]+)`", text))
    assert {"run", "install", "uninstall"} <= named
    for target in named | {"test"}:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True,
                       capture_output=True)


def test_commands_and_the_picture_of_a_boot(place):
    _, (curl,), commands = blocks("README.md")
    port, files = free_port(), place / "files"
    files.mkdir()
    *steps, serve = [c.replace("/tmp/", f"{files}/").replace("8080", port)
                     for c in commands]
    assert len(steps) == 10 and serve.startswith("modeld serve ")
    script = "set -e\n" + "\n".join(steps)
    done = subprocess.run(["bash", "-c", script], cwd=place, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "2 sets, 2 outputs, 0 missed" in said
    assert "accuracy on 500 samples: float 0.9200, int8 0.9200" in said
    assert "class 'Ankle boot'" in said
    assert "latency" in said and "QLinearConv" in said
    assert "agreement" in said
    assert sorted(p.name for p in files.iterdir()) == ["int8.onnx", "net.onnx",
                                                       "tuned.onnx"]
    server = subprocess.Popen(
        ["bash", "-c", f"{steps[0]}\nexec {serve}"], cwd=place, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert server.stdout.readline().startswith("serving on http://")
        answer = subprocess.run(
            ["bash", "-c", curl.replace("8080", port)], cwd=place, text=True,
            capture_output=True, timeout=60, check=True).stdout
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()
    assert '"Ankle boot"' in answer


def test_links_lead_somewhere():
    for name in READMES:
        text = (ROOT / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert link.startswith("http") or (ROOT / link).exists(), link
        for path in re.findall(r"`((?:examples|docs|src|include)/[\w./-]*)`",
                               text):
            assert (ROOT / path).exists(), path
