"""Chromium without a window, driven over a pipe by its DevTools protocol."""
import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time

PROGRAM = (shutil.which("chromium-headless-shell") or
           shutil.which("chromium") or shutil.which("google-chrome"))


class Page:
    """A tab.  `requests` are the URLs it asked for, `complaints` what the
    console would show in red."""

    def __init__(self, send, receive):
        self.send_bytes, self.receive_bytes = send, receive
        self.n = 0
        self.session = None
        self.requests = []
        self.complaints = []
        target = self.call("Target.createTarget", url="about:blank")
        self.session = self.call("Target.attachToTarget", flatten=True,
                                 targetId=target["targetId"])["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(domain + ".enable")

    def note(self, message):
        method, params = message.get("method"), message.get("params")
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            if params["entry"]["level"] == "error":
                self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))

    def call(self, method, **params):
        self.n += 1
        message = {"id": self.n, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.send_bytes(json.dumps(message).encode() + b"\0")
        while True:
            reply = json.loads(self.receive_bytes())
            if reply.get("id") == self.n:
                assert "error" not in reply, (method, reply["error"])
                return reply["result"]
            self.note(reply)

    def value(self, script):
        """What a JavaScript expression is."""
        r = self.call("Runtime.evaluate", expression=script,
                      returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in r, r
        return r["result"].get("value")

    def until(self, script):
        """Wait until an expression is true, and tell its value."""
        end = time.monotonic() + 30
        while not (value := self.value(script)):
            assert time.monotonic() < end, script + ": " + self.value(
                "document.body.innerText")
            time.sleep(0.02)
        return value

    def open(self, url):
        self.requests.clear()
        self.complaints.clear()
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && "
                   f"location.href.startsWith({json.dumps(url)})")

    def choose_file(self, selector, path):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)
        self.call("DOM.setFileInputFiles", files=[str(path)],
                  nodeId=node["nodeId"])

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot")["data"]
        path.write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def page(profile):
    """A Page of a new Chromium, which keeps its files in `profile`."""
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    p = subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{their_in} 4>&{their_out}', "-", PROGRAM,
         "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-dev-shm-usage", "--disable-background-networking",
         "--disable-component-update", f"--user-data-dir={profile}",
         "--remote-debugging-pipe"],
        pass_fds=(their_in, their_out), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    os.close(their_in)
    os.close(their_out)
    rest = b""

    def receive():
        nonlocal rest
        while b"\0" not in rest:
            assert select.select([our_in], [], [], 60)[0], "no word from it"
            part = os.read(our_in, 65536)
            assert part, "the browser has ended"
            rest += part
        message, rest = rest.split(b"\0", 1)
        return message

    try:
        yield Page(lambda data: os.write(our_out, data), receive)
    finally:
        p.kill()
        p.wait()
        os.close(our_in)
        os.close(our_out)
