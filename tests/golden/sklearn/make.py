#!/usr/bin/env python3
"""Makes the files beside it: classifiers of scikit-learn 1.9 by skl2onnx 1.20
(pip install scikit-learn skl2onnx), and in answers.json what scikit-learn says
of some rows: labels and probabilities.

usage: tests/golden/sklearn/make.py
"""
import json
import pathlib

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

HERE = pathlib.Path(__file__).parent
ROWS = 12


def iris_logistic():
    """Labels are strings."""
    data = load_iris()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return model, data.data, data.target_names[data.target]


def cancer_boosting():
    """Two classes, labels are integers."""
    data = load_breast_cancer()
    model = GradientBoostingClassifier(n_estimators=20, max_depth=3,
                                       random_state=1)
    return model, data.data, data.target


def digits_forest():
    """Ten classes, every leaf votes for all; labels from 10 to 100."""
    data = load_digits()
    model = RandomForestClassifier(n_estimators=5, max_depth=4,
                                   random_state=1)
    return model, data.data, 10 * data.target + 10


def iris_svm():
    """Probabilities of support vectors."""
    data = load_iris()
    rows = np.arange(150) % 5 == 0
    return (SVC(probability=True, random_state=1), data.data[rows],
            data.target_names[data.target[rows]])


def main():
    answers = {}
    for make in (iris_logistic, cancer_boosting, digits_forest, iris_svm):
        model, x, y = make()
        x = x.astype(np.float32)
        model.fit(x, y)
        net = to_onnx(model, x[:1], target_opset={"": 18, "ai.onnx.ml": 3})
        (HERE / f"{make.__name__}.onnx").write_bytes(net.SerializeToString())
        rows = x[:: len(x) // ROWS][:ROWS]
        answers[make.__name__] = {
            "rows": rows.tolist(), "labels": model.predict(rows).tolist(),
            "classes": model.classes_.tolist(),
            "probabilities": model.predict_proba(rows).round(7).tolist()}
    (HERE / "answers.json").write_text(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
