"""Makes the files beside it: models of XGBoost (.json, .ubj) and LightGBM
(.txt) of a few small trees, and in NAME.npz their input `x` and what they
answer, by modeld's names.  Made with xgboost 3.2.0 and lightgbm 4.7.0:

    python3 -m venv t && t/bin/pip install xgboost-cpu lightgbm
    t/bin/python tests/golden/trees/make.py tests/golden/trees"""
import pathlib
import sys

import lightgbm as lgb
import numpy as np
import xgboost as xgb

FOLDER = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(2)
N, F = 240, 5

x = rng.standard_normal((N, F)).astype(np.float32)
x[rng.random((N, F)) < 0.15] = np.nan
z = np.nan_to_num(x)
score = z[:, 0] - 2 * z[:, 1] * (z[:, 2] > 0) + 0.5 * z[:, 3]
two = (score > 0).astype(int)
three = np.digitize(score, [-0.7, 0.7])
count = np.clip(np.round(np.exp(score / 2)), 0, 9)
test = np.concatenate([x[:24], rng.standard_normal((8, F)) * 3]).astype(
    np.float32)


def keep(name, **out):
    np.savez_compressed(FOLDER / f"{name}.npz", x=test, **{
        k: np.asarray(v, np.int64 if k == "label" else np.float32)
        for k, v in out.items()})


def classes(p):
    p = np.asarray(p)
    if p.ndim == 1:
        return {"label": p > 0.5, "probabilities": np.stack([1 - p, p], 1)}
    return {"label": p.argmax(1), "probabilities": p}


def column(v):
    v = np.asarray(v)
    return {"variable": v[:, None] if v.ndim == 1 else v}


def xgboost(name, objective, y, ending="json", form=column, **more):
    booster = xgb.train({"objective": objective, "max_depth": 3, "eta": 0.5,
                         "seed": 1, **more}, xgb.DMatrix(x, label=y), 4)
    booster.save_model(FOLDER / f"xgb_{name}.{ending}")
    keep(f"xgb_{name}", **form(booster.predict(xgb.DMatrix(test))))


def lightgbm(name, objective, y, form=column, **more):
    booster = lgb.train({"objective": objective, "num_leaves": 6, "seed": 1,
                         "min_data_in_leaf": 8, "verbose": -1, **more},
                        lgb.Dataset(x, label=y), 4)
    booster.save_model(FOLDER / f"lgb_{name}.txt")
    keep(f"lgb_{name}", **form(booster.predict(test)))


xgboost("binary", "binary:logistic", two, form=classes)
xgboost("binary_ubj", "binary:logistic", two, "ubj", classes, base_score=0.3)
xgboost("classes", "multi:softprob", three, form=classes, num_class=3)
xgboost("classes_ubj", "multi:softprob", three, "ubj", classes, num_class=3)
xgboost("forest", "reg:squarederror", score, num_parallel_tree=3,
        subsample=0.7)
xgboost("dart", "reg:squarederror", score, booster="dart", rate_drop=0.5)
xgboost("poisson", "count:poisson", count)
xgboost("logistic", "reg:logistic", two)
xgboost("raw", "binary:logitraw", two)
xgboost("hinge", "binary:hinge", two,
        form=lambda p: {"label": p.astype(int)})
xgboost("targets", "reg:squarederror", np.stack([score, -score * 2], 1))
xgboost("absolute", "reg:absoluteerror", score)
xgboost("pairs", "rank:pairwise", two)
lightgbm("binary", "binary", two, classes)
lightgbm("slope", "binary", two, classes, sigmoid=2.5)
lightgbm("classes", "multiclass", three, classes, num_class=3)
lightgbm("each", "multiclassova", three, classes, num_class=3)
lightgbm("numbers", "regression", score)
lightgbm("root", "regression", score * np.abs(score), reg_sqrt=True)
lightgbm("poisson", "poisson", count)
lightgbm("forest", "regression", score, boosting="rf", bagging_freq=1,
         bagging_fraction=0.6)
lightgbm("dart", "regression", score, boosting="dart")
lightgbm("quantile", "quantile", score, alpha=0.7)
lightgbm("plain", "regression", score, use_missing=False)
lightgbm("zeros", "binary", two, classes, zero_as_missing=True, num_iterations=3)
lightgbm("stump", "regression", np.ones(N))

# What is refused: categories, linear leaves, leaves of several values.
kinds = np.stack([rng.integers(0, 6, N), z[:, 0]], 1)
by_kind = (kinds[:, 0] % 2 + kinds[:, 1] > 0.5).astype(int)
refused = FOLDER / "refused"
refused.mkdir(exist_ok=True)
lgb.train({"objective": "binary", "num_leaves": 4, "verbose": -1,
           "min_data_in_leaf": 8, "min_data_per_group": 5, "cat_smooth": 1},
          lgb.Dataset(kinds, label=by_kind,
                                               categorical_feature=[0]),
          2).save_model(refused / "categories.txt")
lgb.train({"objective": "regression", "num_leaves": 4, "verbose": -1,
           "min_data_in_leaf": 8, "linear_tree": True},
          lgb.Dataset(z, label=score), 2).save_model(refused / "linear.txt")
d = xgb.DMatrix(kinds, label=by_kind, feature_types=["c", "q"],
                enable_categorical=True)
xgb.train({"objective": "binary:logistic", "max_depth": 2}, d,
          2).save_model(refused / "categories.json")
xgb.train({"objective": "reg:squarederror", "booster": "gblinear"},
          xgb.DMatrix(z, label=score), 2).save_model(refused / "linear.json")
xgb.train({"objective": "reg:squarederror", "max_depth": 2,
           "multi_strategy": "multi_output_tree", "tree_method": "hist"},
          xgb.DMatrix(x, label=np.stack([score, -score], 1)),
          2).save_model(refused / "leaves.json")
