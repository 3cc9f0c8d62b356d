"""Small files of the PyTorch archives (shared/data/torch-models.tar.xz and
torch-more.tar.xz, written by PyTorch 2.15) and what they compute, for clones
without the archives:  make.py FOLDER-WITH-BOTH-UNPACKED

NAME.npz holds, for each case, "<case>/in:<input>" and "<case>/out:<place>";
inputs.json what --inputs is told for TorchScript files, tolerances of the
manifests in tolerance.json.  checkpoints.npz holds the tensors of odd.*.
"""
import json
import pathlib
import shutil
import sys

import numpy as np

FILES = ["control_flow.scripted.pt", "cond.pt2", "nested.scripted.pt",
         "nested.given.pt2", "nested.absent.pt2", "multi_io.static.pt2",
         "multi_io.frozen.pt", "dtypes.traced.pt", "dtypes.pt2",
         "bags.scripted.pt", "gru_both.frozen.pt",
         "products.frozen.pt", "conv1d3d.traced.pt", "shapes_net.traced.pt"]
CHECKPOINTS = ["odd.pth", "odd.legacy.pth", "odd.safetensors", "wrapped.pth"]
HOSTILE_MAX = 2048


def main():
    root, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
    inputs, tolerance = {}, {}
    for manifest in root.rglob("manifest.json"):
        top = manifest.parent
        for e in json.loads(manifest.read_text()).get("files", []):
            source = top / e["file"]
            if source.name in FILES:
                shutil.copy(source, here)
                arrays = {}
                for v in e["vectors"]:
                    for k, p in v["inputs"].items():
                        arrays[f"{v['case']}/in:{k}"] = np.load(top / p)
                    for i, p in enumerate(v["outputs"].values()):
                        arrays[f"{v['case']}/out:{i:03}"] = np.load(top / p)
                np.savez_compressed(here / (source.name + ".npz"), **arrays)
                tolerance[source.name] = e["tolerance"]
                if "inputs" in e:
                    inputs[source.name] = ";".join(
                        f"{i['name']}={i['dtype']}"
                        f"[{','.join('?' if d < 0 else str(d) for d in i['shape'])}]"
                        for i in e["inputs"])
            elif source.name in CHECKPOINTS:
                shutil.copy(source, here)
                np.savez_compressed(
                    here / (source.name + ".npz"),
                    **{k: np.load(top / p) for k, p in e["tensors"].items()})
            elif source.parent.name == "hostile" and \
                    source.stat().st_size <= HOSTILE_MAX:
                shutil.copy(source, here / "hostile")
    (here / "inputs.json").write_text(json.dumps(inputs, indent=1) + "\n")
    (here / "tolerance.json").write_text(json.dumps(tolerance, indent=1) + "\n")


main()
