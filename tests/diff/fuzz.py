#!/usr/bin/env python3
"""Differential fuzzing: modeld beside onnxruntime.

    build/venv/bin/python tests/diff/fuzz.py --cases 50000
    build/venv/bin/python tests/diff/fuzz.py --op Pow --cases 1000 --seed 7
    build/venv/bin/python tests/diff/fuzz.py --only Pow/123    # one case
    build/venv/bin/python tests/diff/fuzz.py --only Pow/123~   # changed

Case OPERATOR/NUMBER is drawn from its name alone (operators.py; "Graph" is a
net of many operators, graphs.py; "Flow" one with subgraphs, flow.py; "Symbols"
a net that computes its shapes, run at several sizes, symbols.py).  Cases run
in child processes, so that a crash is one more answer.  Cases in failed.txt,
which once failed, are run before the others.  The last lines are the tally;
the exit status is 0 when every operator is drawn, no difference is left
unexplained and nothing crashed.
"""
import argparse
import collections
import itertools
import mmap
import os
import pathlib
import pickle
import re
import resource
import signal
import struct
import sys
import time

try:
    import onnxruntime  # noqa: F401
except ImportError:
    print("onnxruntime is missing: make deps")
    sys.exit(77)  # skipped, to ctest

import contrib  # noqa: F401  (adds to OPERATORS)
import engines
import flow
import graphs
import judge
import layers  # noqa: F401
import maps
import microsoft  # noqa: F401
import ml  # noqa: F401
import mutate
import numeric  # noqa: F401
import older  # noqa: F401
import pictures  # noqa: F401
import quantized  # noqa: F401
import sequences  # noqa: F401
import symbols
import text  # noqa: F401
from case import Case
from operators import OPERATORS

HERE = pathlib.Path(__file__).parent
FAILED = HERE / "failed.txt"
LIBRARY = HERE.parents[1] / "build/dev/libmodeld.so"
LIST = HERE.parents[1] / "docs/reference/operators.md"
PHASES = ["drawing", "modeld", "onnxruntime", "reference"]
MEMORY = 6 << 30  # bytes of address space for a child
SECONDS = 20      # of computing, for one case
ASLEEP = 300      # seconds that a case may take on a busy machine
BATCH = 200       # cases a child
FAULT = 70        # exit status of a child that raised an exception


def draw(name):
    op, number = name.split("/")
    case = Case(op, int(number.rstrip("~")))
    if op == "Graph":
        graphs.draw(case)
    elif op == "Flow":
        flow.draw(case)
    elif op == "Symbols":
        symbols.draw(case)
    else:
        n_outputs = OPERATORS[op](case) or 1
        if number.endswith("~"):
            mutate.mutate(case)
        case.node(n_outputs)
    return case


class Phase:
    """What a child is at: number of the case and phase; outlives it."""

    def __init__(self):
        self.memory = mmap.mmap(-1, 8)

    def set(self, number, phase):
        self.memory[:8] = struct.pack("<II", number, phase)

    def get(self):
        return struct.unpack("<II", self.memory[:8])


def run_case(name, number, phase, three):
    phase.set(number, 0)
    case = draw(name)
    if case.maps is not None:
        return maps.judge(case, three[3], three[1])
    phase.set(number, 1)
    ours = judge.answer(three[0], case)
    phase.set(number, 2)
    theirs = judge.answer(three[1], case)
    phase.set(number, 3)
    return judge.judge(case, ours, theirs, *three[1:3])


def child(names, phase, out, library):
    """Sends (number, verdict, words) for each name."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    three = (engines.Modeld(library), engines.Onnxruntime(),
             engines.Reference(), library.parent / "modeld")
    with os.fdopen(out, "wb") as pipe:
        for i, name in enumerate(names):
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(ASLEEP)
            try:
                answer = run_case(name, i, phase, three)
            except MemoryError:  # of this program, beside the engines'
                answer = "unjudged", "more memory than a case has"
            pickle.dump((i, *answer), pipe)
            pipe.flush()
    os._exit(0)


def start(names, phase, library):
    get, put = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(get)
        try:
            child(names, phase, put, library)
        except BaseException:
            import traceback
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
            os._exit(FAULT)
    os.close(put)
    return pid, os.fdopen(get, "rb")


def answers(pipe):
    while True:
        try:
            yield pickle.load(pipe)
        except EOFError:
            return


def run(names, library, tell):
    """Calls tell(name, verdict, words) for each name."""
    phase = Phase()
    while names:
        batch, seen = names[:BATCH], 0
        phase.set(0, 0)
        pid, pipe = start(batch, phase, library)
        for i, verdict, words in answers(pipe):
            tell(batch[i], verdict, words)
            seen = i + 1
        pipe.close()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if seen < len(batch):
            at = PHASES[phase.get()[1]]
            # A fault of this program hides what the engines say.
            others = at in PHASES[2:] and status != FAULT
            tell(batch[seen], "foreign" if others else "crash",
                 f"{at}: " + (signal.Signals(-status).name if status < 0
                              else f"exit status {status}"))
            seen += 1
        names = names[seen:]


class Tally:
    def __init__(self, verbose):
        self.counts = collections.Counter()
        self.rules, self.stricter, self.by_op, self.compared = (
            collections.Counter() for _ in range(4))
        self.open = {name for name, words in failed()
                     if words.startswith("open ")}
        self.verbose = verbose

    def tell(self, name, verdict, words):
        if name in self.open and verdict in ("unexplained", "crash"):
            verdict = "open"
        self.counts[verdict] += 1
        if verdict == "rule":
            self.rules[words] += 1
        elif verdict == "stricter":
            self.stricter[re.sub(r"'[^']*'|-?[0-9][0-9.e+]*", "N", words)] += 1
        op = name.split("/")[0]
        self.by_op[op] += 1
        self.compared[op] += verdict not in ("refused", "foreign", "unjudged")
        if self.verbose or verdict in ("unexplained", "crash"):
            print(f"{name}: {verdict} {words}"[:600], flush=True)

    def total(self, seconds):
        c = self.counts
        if self.verbose:
            for words, n in self.stricter.most_common():
                print(f"{n:7} stricter: {words}")
        for why, n in self.rules.most_common():
            print(f"{n:7} {why}")
        fewest = min(self.by_op, key=self.by_op.get)
        print(f"{len(self.by_op)} operators and kinds of nets, each drawn "
              f"{self.by_op[fewest]} times and more ({fewest}); compared with "
              "nobody: " + (", ".join(sorted(
                  op for op in self.by_op if not self.compared[op])) or "none"))
        print(f"{c.total()} cases in {seconds:.0f} s: {c['same']} the same, "
              f"{c['refused']} refused by both")
        print(f"{c['rule']} differences explained by rule, {c['reference']} "
              f"decided by the reference, {c['wider']} by onnxruntime in "
              "another type")
        print(f"{c['stricter']} changed cases that modeld refuses and "
              "onnxruntime does not")
        print(f"{c['unjudged']} that nobody else computes, {c['foreign']} "
              f"crashes of others, {c['open']} known to fail")
        print(f"{c['unexplained']} unexplained, {c['crash']} crashes")
        return c["unexplained"] + c["crash"]


# Operators that have no cases of their own, and why.
UNDRAWN = {
    "modeld.BlockBias": "a part of SparseAttention",
    "ai.onnx.preview.FlexAttentionScores": "modeld's own, a part of "
    "FlexAttention with graphs",
    "ai.onnx.preview.FlexAttentionValues": "the other part",
    "ai.onnx.preview.training.Gradient": "which nobody else runs; "
    "tests/unit/engine/test_gradient.c beside differences",
    "modeld.ConvIntegerToFloat": "ConvInteger and what scales its sums",
    "modeld.QLinearMatMulToFloat": "QLinearMatMul and DequantizeLinear",
    "modeld.BatchNormalizationGrad": "a part of Gradient",
    "modeld.ConvWeights": "a part of Gradient",
    "modeld.PoolSpread": "a part of Gradient",
    "modeld.ReluGrad": "a part of Gradient",
    "modeld.SeededDropout": "a part of training",
    "modeld.SumToShape": "another",
    "modeld.QkvAttention": "what is left of com.microsoft.Attention and "
    "QAttention once they are projected",
    "modeld.QkvPackedAttention": "the same of PackedAttention"}


def not_drawn():
    """Operators of the list that nobody draws, and what is named in vain."""
    there = set()
    for line in LIST.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 4 and cells[2] not in ("operator", "---"):
            domain = "" if cells[1] == "ai.onnx" else cells[1] + "."
            there.add(domain + cells[2])
    drawn = {op.partition("+")[0] for op in OPERATORS}
    return sorted((there ^ drawn) - (there & set(UNDRAWN))), len(there)


def failed():
    """(name, words) of the cases in failed.txt."""
    return [line.split(None, 1) for line in FAILED.read_text().splitlines()
            if line and line[0] != "#"]


def drawn(args):
    """Names of the cases: those that once failed, then new ones: every
    operator in turn, one in four of them changed (mutate.py), then nets, one
    to so many operators."""
    if args.only:
        return args.only
    names = [] if args.op else [name for name, _ in failed()]
    ops = args.op or sorted(OPERATORS)
    nets = {} if args.op else {
        net: max(len(ops) // part, 1)
        for net, part in (("Graph", 8), ("Flow", 16), ("Symbols", 16))}
    first = args.seed * 1000000
    for step in itertools.count():
        if len(names) >= args.cases:
            return names[:args.cases]
        names += [f"{op}/{first + step}{'~' * ((i + step) % 4 == 3)}"
                  for i, op in enumerate(ops)]
        for net, n in nets.items():
            names += [f"{net}/{first + step * n + i}" for i in range(n)]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--cases", type=int, default=2000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--op", action="append", help="only this operator")
    p.add_argument("--only", action="append", help="only this case: OP/NUMBER")
    p.add_argument("--library", default=LIBRARY, type=pathlib.Path)
    p.add_argument("--verbose", action="store_true", help="a line for each")
    args = p.parse_args()
    bare, n_ops = not_drawn()
    if bare or not n_ops:
        print(f"of {n_ops} operators without drawing, or drawn in vain:",
              *bare)
        return 1
    tally, begin = Tally(args.verbose), time.monotonic()
    run(drawn(args), args.library, tally.tell)
    return 1 if tally.total(time.monotonic() - begin) else 0


if __name__ == "__main__":
    sys.exit(main())
