"""Differences from onnxruntime that are explained, each with its reason.

A row: the operators (None: all), the reason, and when it applies, given the
case, modeld's outputs and refusal, and onnxruntime's.
"""

RULES = []
