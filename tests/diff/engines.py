"""The three that compute a case: modeld (through libmodeld.so), onnxruntime,
and ONNX's reference evaluator, which decides where the two differ.

Each takes a serialized model and the inputs of one or several runs, in order,
and gives for each run the outputs in order or a Refused with the words of the
engine; of a model that it does not open it raises Refused.
"""
import ctypes
import math
import warnings

import ml_dtypes  # noqa: F401  (types that numpy lacks)
import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import RuntimeImplementationError

from case import code_of
from definitions import DEFINED


SPARSE = onnxruntime.capi.onnxruntime_pybind11_state.SparseTensor


class Refused(Exception):
    """`missing`: a sound model that this engine has no code for; `faulty`: a
    refusal that tells a user nothing."""

    def __init__(self, words, missing=False, faulty=False):
        super().__init__(words)
        self.missing, self.faulty = missing, faulty


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 512)]


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("threads", ctypes.c_int),
                ("precision", ctypes.c_int)]


class String(ctypes.Structure):
    _fields_ = [("p", ctypes.c_void_p), ("n", ctypes.c_size_t)]


class Tensor(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("rank", ctypes.c_int),
                ("dim", ctypes.c_int64 * 8), ("data", ctypes.c_void_p),
                ("size", ctypes.c_size_t), ("owner", ctypes.c_void_p)]


UNSUPPORTED, INTERNAL, STRING = 3, 18, 8


def attempt(run, *args):
    try:
        return run(*args)
    except Refused as e:
        return e


class Modeld:
    def __init__(self, path):
        self.lib = ctypes.CDLL(str(path))
        self.lib.modeld_model_n_outputs.restype = ctypes.c_size_t
        self.options = Options(ctypes.sizeof(Options), 1, 0)

    def check(self, code, err):
        if code:
            words = err.message.decode()
            raise Refused(words, code == UNSUPPORTED,
                          code == INTERNAL or not words)

    def run(self, model, runs):
        net, err = ctypes.c_void_p(), Error()
        self.check(self.lib.modeld_model_open_memory(
            ctypes.byref(net), model, ctypes.c_size_t(len(model)),
            ctypes.byref(self.options), ctypes.byref(err)), err)
        try:
            return [attempt(self.run_open, net, inputs) for inputs in runs]
        finally:
            self.lib.modeld_model_close(net)

    def run_open(self, net, inputs):
        kept = []  # what the tensors point to
        given = (Tensor * max(len(inputs), 1))()
        for slot, array in zip(given, inputs):
            fill(slot, array, kept)
        n = self.lib.modeld_model_n_outputs(net)
        made, err = (Tensor * n)(), Error()
        self.check(self.lib.modeld_model_run(
            net, given, ctypes.c_size_t(len(inputs)), made, ctypes.c_size_t(n),
            ctypes.byref(err)), err)
        outputs = [taken(slot) for slot in made]
        for slot in made:
            self.lib.modeld_tensor_release(ctypes.byref(slot))
        return outputs


def fill(slot, array, kept):
    slot.type, slot.rank = code_of(array), array.ndim
    slot.dim[:array.ndim] = array.shape
    if array.dtype == object:
        words = [w.encode() for w in array.ravel()]
        flat = (String * max(len(words), 1))()
        for s, w in zip(flat, words):
            s.p = ctypes.cast(ctypes.c_char_p(w), ctypes.c_void_p)
            s.n = len(w)
        kept += [words, flat]
        slot.data = ctypes.addressof(flat)
        slot.size = ctypes.sizeof(String) * len(words)
        return
    array = np.ascontiguousarray(array)
    kept.append(array)
    slot.data, slot.size = array.ctypes.data, array.nbytes


def taken(slot):
    shape = tuple(slot.dim[:slot.rank])
    n = math.prod(shape)
    if slot.type == STRING:
        flat = ctypes.cast(slot.data, ctypes.POINTER(String))
        words = [ctypes.string_at(flat[i].p, flat[i].n).decode(
            errors="replace") for i in range(n)]
        return np.array(words, dtype=object).reshape(shape)
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(slot.type))
    if slot.size == 0:
        return np.zeros(shape, dtype)
    # string_at would take 32 bits of the size.
    raw = bytes((ctypes.c_char * slot.size).from_address(slot.data))
    return np.frombuffer(raw, dtype)[:n].reshape(shape)


# What onnxruntime says where it has no code for a type or version.
LACKING = ["NOT_IMPLEMENTED", "under development", "_inlfunc_",
           "can't be converted to MLDataType", "is not supported with",
           "No corresponding Numpy type", "layout_ == 0 was false",
           "Unsupported data type: N11onnxruntime",
           "MatMulNBits on CPU does not support",
           "Currently do not support dims higher than 2",
           "does not support double yet", "Tensor type mismatch. T !=",
           "'Linear' mode only supports", "point must be constant",
           "past_key->DataRaw() == present_key"]


def dense(y):
    """An array; of a sparse one too."""
    if not isinstance(y, SPARSE):
        return np.asarray(y)
    values = y.values()
    out = np.zeros(y.dense_shape(), values.dtype)
    at = np.asarray(y.get_coo_data().indices())
    if at.ndim == 2:
        at = np.ravel_multi_index(tuple(at.T), out.shape)
    out.ravel()[at] = values
    return out


class Onnxruntime:
    """Its passes are off: they have faults of their own."""

    def __init__(self):
        o = self.options = onnxruntime.SessionOptions()
        o.intra_op_num_threads = 1
        o.log_severity_level = 4
        o.graph_optimization_level = \
            onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

    def run(self, model, runs):
        session = self.guard(lambda: onnxruntime.InferenceSession(
            model, self.options, providers=["CPUExecutionProvider"]))
        names = [i.name for i in session.get_inputs()]
        return [attempt(self.guard, lambda: [
            dense(y) for y in session.run(None, dict(zip(names, inputs)))])
            for inputs in runs]

    def run_raw(self, model, inputs):
        """One run, whatever kinds its values have."""
        session = self.guard(lambda: onnxruntime.InferenceSession(
            model, self.options, providers=["CPUExecutionProvider"]))
        names = [i.name for i in session.get_inputs()]
        return self.guard(lambda: session.run(None, dict(zip(names, inputs))))

    def guard(self, work):
        try:
            return work()
        except Exception as e:  # its classes have no base of their own
            words = str(e)
            raise Refused(words, any(w in words for w in LACKING)) from None


class Reference:
    def run(self, model, runs):
        return [attempt(self.run_one, model, inputs) for inputs in runs]

    def run_one(self, model, inputs):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                net = ReferenceEvaluator(onnx.load_from_string(model),
                                         new_ops=DEFINED)
                return [np.asarray(y) for y in net.run(
                    None, dict(zip(net.input_names, inputs)))]
        except (NotImplementedError, RuntimeImplementationError) as e:
            raise Refused(f"{type(e).__name__}: {e}", True) from None
        except Exception as e:  # whatever numpy raises is its refusal
            raise Refused(f"{type(e).__name__}: {e}") from None
