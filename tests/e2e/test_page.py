"""The page at /, in a browser, as someone uses it."""
import json
import urllib.request

import pytest

import browser
from serving import FASHION, convert, server

onnx = pytest.importorskip("onnx")
if browser.PROGRAM is None:
    pytest.skip("chromium is not installed", allow_module_level=True)

NAMES = ["fashion", "evil", "sum"]
EVIL = '<img src=x onerror="document.title=1">'


def one_node(path, operator, inputs, output, labels):
    """A net of one node over [N,3]."""
    def info(name):
        return onnx.helper.make_tensor_value_info(
            name, onnx.TensorProto.FLOAT, ["N", 3])

    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, inputs, [output])], "g",
        [info(name) for name in inputs], [info(output)])
    model = onnx.helper.make_model(
        graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.helper.set_model_props(model, {"modeld.labels": labels})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("net")
    convert(folder / "fashion.onnx")
    # names and labels that are HTML
    one_node(folder / "evil.onnx", "Relu", [EVIL], "</td><script>",
             "a\n" + EVIL + "\nc")
    one_node(folder / "sum.onnx", "Add", ["a", "b"], "c", "")
    with server(*(folder / f"{name}.onnx" for name in NAMES), "--listen",
                "127.0.0.1:0", "--log-level", "error") as (url, _):
        yield url


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser.page(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def page(tab, url):
    tab.open(url + "/")
    tab.until("document.querySelectorAll('#models tr').length === 3")
    return tab


def predict(page, model, text=None, file=None):
    page.value(f"el('model').value = {json.dumps(model)}")
    if text is not None:
        page.value(f"el('text').value = {json.dumps(text)}")
    if file:
        page.choose_file("#file", file)
    page.value("el('answer').textContent = ''")
    page.value("document.querySelector('button').click()")
    return page.until("el('answer').textContent")


def test_lists_the_models(page):
    rows = page.value("[...document.querySelectorAll('#models tr')].map("
                      "r => [...r.cells].map(c => c.innerText))")
    assert [r[0] for r in rows] == NAMES
    assert rows[0][1].endswith(": FP32 [-1, 32, 32, 3]")
    assert rows[0][2].endswith(": FP32 [-1, 10]")
    options = page.value("[...el('model').options].map(o => o.value)")
    assert options == NAMES
    assert rows[2][1] == "a: FP32 [-1, 3]\nb: FP32 [-1, 3]"


def test_predicts_from_numbers(page):
    answer = predict(page, "fashion", (FASHION / "boot.json").read_text())
    assert answer.startswith("Ankle boot (0.") and answer.endswith(" ms")
    names = page.value("[...document.querySelectorAll('#bars span:first-child"
                       "')].map(s => s.textContent)")
    assert len(names) == 5 and names[0] == "Ankle boot"
    values = page.value("[...document.querySelectorAll('meter')].map("
                        "m => m.value)")
    assert values == sorted(values, reverse=True) and 0 < values[0] <= 1
    assert json.loads(page.value("el('raw').textContent"))["class_index"] == 9


def test_predicts_from_a_picture(page):
    answer = predict(page, "fashion", file=FASHION / "boot.png")
    assert answer.startswith("Ankle boot (0.")
    assert not page.value("el('picture').hidden")
    assert page.until("el('picture').naturalWidth") > 0  # blob: is allowed


def test_numbers_take_the_place_of_a_picture(page):
    predict(page, "fashion", file=FASHION / "boot.png")
    page.value("el('text').focus()")
    page.call("Input.insertText", text='{"input_data": [1, 2]}')
    answer = predict(page, "fashion")
    assert answer.startswith("400: ") and "[2] given" in answer
    assert page.value("el('picture').hidden")


def test_shows_errors(page):
    answer = predict(page, "fashion", "{")
    assert answer.startswith("400: JSON at byte 1")
    assert page.value("el('answer').className") == "bad"
    assert page.value("el('bars').children.length") == 0
    # and it goes on
    answer = predict(page, "fashion", (FASHION / "boot.json").read_text())
    assert answer.startswith("Ankle boot")
    assert page.value("el('answer').className") == ""


def test_several_inputs(page):
    predict(page, "sum", '{"input_data": {"a": [1, 2, 3], "b": [0, 1, 0]}}')
    assert json.loads(page.value("el('raw').textContent"))["output"] == \
        [1, 3, 3]


def test_names_are_text(page):
    answer = predict(page, "evil", '{"input_data": [0, 5, 1]}')
    assert answer.startswith(EVIL + " (")
    assert EVIL in page.value("el('models').textContent")
    assert "</td><script>" in page.value("el('models').textContent")
    assert EVIL in page.value("el('bars').textContent")
    assert page.value("document.querySelectorAll('img').length") == 1
    assert page.value("document.title") == "modeld"


def test_asks_nobody_else(page, url):
    predict(page, "fashion", file=FASHION / "boot.png")
    assert page.requests and page.complaints == []
    for r in page.requests:
        assert r.startswith((url + "/", "blob:" + url + "/")), r


def test_the_policy_holds(page, url):
    """What a script that got in would try."""
    for script in ("fetch('http://127.0.0.1:9/')",
                   "fetch('https://example.invalid/')"):
        assert page.value(script + ".then(() => 'ok', e => 'refused')") == \
            "refused"
    assert page.value("""new Promise(done => {
        document.addEventListener('securitypolicyviolation',
                                  e => done(e.effectiveDirective));
        const s = document.createElement('script');
        s.src = '/openapi.json';
        document.body.append(s);
    })""") == "script-src-elem"
    with urllib.request.urlopen(url + "/", timeout=30) as r:
        policy = r.headers["Content-Security-Policy"]
        assert r.headers["X-Content-Type-Options"] == "nosniff"
    for part in ("default-src 'none'", "base-uri 'none'", "form-action 'none'",
                 "frame-ancestors 'none'"):
        assert part in policy.split("; ")


def test_fits_a_phone(page):
    page.call("Emulation.setDeviceMetricsOverride", width=360, height=640,
              deviceScaleFactor=1, mobile=True)
    predict(page, "fashion", (FASHION / "boot.json").read_text())
    assert page.value("document.documentElement.scrollWidth") <= 360
    page.call("Emulation.clearDeviceMetricsOverride")
