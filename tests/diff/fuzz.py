#!/usr/bin/env python3
"""Differential fuzzing: modeld beside onnxruntime.

    build/venv/bin/python tests/diff/fuzz.py --cases 50000
    build/venv/bin/python tests/diff/fuzz.py --op Pow --cases 1000 --seed 7
    build/venv/bin/python tests/diff/fuzz.py --only Pow/123    # one case

Case OPERATOR/NUMBER is drawn from its name alone (operators.py; "Graph" is a
net of many operators, graphs.py; "Flow" one with subgraphs, flow.py).  Cases run in child processes, so that a
net of many operators, graphs.py; "Symbols" a net that computes its shapes, run
at several sizes, symbols.py).  Cases run in child processes, so that a
crash is one more answer.  Cases in failed.txt, which once failed, are run
before the others.  The last lines are the tally; the exit status is 0 when no
difference is left unexplained and nothing crashed.
"""
import argparse
import collections
import mmap
import os
import pathlib
import pickle
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

import engines
import flow
import graphs
import judge
import layers  # noqa: F401  (adds to OPERATORS)
import ml  # noqa: F401
import numeric  # noqa: F401
import text  # noqa: F401
import microsoft  # noqa: F401
import ml  # noqa: F401
import quantized  # noqa: F401
import text  # noqa: F401
import symbols
from case import Case
from operators import OPERATORS

HERE = pathlib.Path(__file__).parent
FAILED = HERE / "failed.txt"
LIBRARY = HERE.parents[1] / "build/dev/libmodeld.so"
PHASES = ["drawing", "modeld", "onnxruntime", "reference"]
MEMORY = 6 << 30  # bytes of address space for a child
SECONDS = 20      # for one case
BATCH = 200       # cases a child


def draw(name):
    op, number = name.split("/")
    case = Case(op, int(number))
    if op == "Graph":
        graphs.draw(case)
    elif op == "Flow":
        flow.draw(case)
    elif op == "Symbols":
        symbols.draw(case)
    else:
        case.node(OPERATORS[op](case) or 1)
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
    phase.set(number, 1)
    ours = judge.answer(three[0], case)
    phase.set(number, 2)
    theirs = judge.answer(three[1], case)
    phase.set(number, 3)
    return judge.judge(case, ours, theirs, *three[1:])


def child(names, phase, out, library):
    """Sends (number, verdict, words) for each name."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    three = (engines.Modeld(library), engines.Onnxruntime(),
             engines.Reference())
    with os.fdopen(out, "wb") as pipe:
        for i, name in enumerate(names):
            signal.alarm(SECONDS)
            pickle.dump((i, *run_case(name, i, phase, three)), pipe)
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
            os._exit(70)
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
            tell(batch[seen], "foreign" if at in PHASES[2:] else "crash",
                 f"{at}: " + (signal.Signals(-status).name if status < 0
                              else f"exit status {status}"))
            seen += 1
        names = names[seen:]


class Tally:
    def __init__(self, verbose):
        self.counts = collections.Counter()
        self.rules = collections.Counter()
        self.open = {name for name, words in failed()
                     if words.startswith("open ")}
        self.verbose = verbose

    def tell(self, name, verdict, words):
        if name in self.open and verdict in ("unexplained", "crash"):
            verdict = "open"
        self.counts[verdict] += 1
        if verdict == "rule":
            self.rules[words] += 1
        if self.verbose or verdict in ("unexplained", "crash"):
            print(f"{name}: {verdict} {words}"[:600], flush=True)

    def total(self, seconds):
        c = self.counts
        for why, n in self.rules.most_common():
            print(f"{n:7} {why}")
        print(f"{c.total()} cases in {seconds:.0f} s: {c['same']} the same, "
              f"{c['refused']} refused by both")
        print(f"{c['rule']} differences explained by rule, {c['reference']} "
              f"decided by the reference, {c['wider']} by onnxruntime in "
              "another type")
        print(f"{c['unjudged']} that nobody else computes, {c['foreign']} "
              f"crashes of others, {c['open']} known to fail")
        print(f"{c['unexplained']} unexplained, {c['crash']} crashes")
        return c["unexplained"] + c["crash"]


def failed():
    """(name, words) of the cases in failed.txt."""
    return [line.split(None, 1) for line in FAILED.read_text().splitlines()
            if line and line[0] != "#"]


def drawn(args):
    """Names of the cases: those that once failed, then new ones, every
    operator in turn, one in eight a graph, one in sixteen with subgraphs."""
    if args.only:
        return args.only
    names = [] if args.op else [name for name, _ in failed()]
    ops = args.op or sorted(OPERATORS)
    step = 0
    while len(names) < args.cases:
        for op in ops:
            names.append(f"{op}/{args.seed * 1000000 + step}")
        if not args.op:
            for op, part in (("Graph", 7), ("Flow", 15)):
                names += [f"{op}/{args.seed * 1000000 + step * 16 + i}"
                          for i in range(max(len(ops) // part, 1))]
            names += [f"{net}/{args.seed * 1000000 + step * 16 + i}"
                      for i in range(max(len(ops) // 14, 1))
                      for net in ("Graph", "Symbols")]
        step += 1
    return names[:args.cases]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--cases", type=int, default=2000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--op", action="append", help="only this operator")
    p.add_argument("--only", action="append", help="only this case: OP/NUMBER")
    p.add_argument("--library", default=LIBRARY)
    p.add_argument("--verbose", action="store_true", help="a line for each")
    args = p.parse_args()
    tally, begin = Tally(args.verbose), time.monotonic()
    run(drawn(args), args.library, tally.tell)
    return 1 if tally.total(time.monotonic() - begin) else 0


if __name__ == "__main__":
    sys.exit(main())
