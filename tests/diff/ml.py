"""How cases of ai.onnx.ml are drawn."""
import numpy as np

from operators import I64, draws

ML = "ai.onnx.ml."
WORDS = ["", "a", "b", "ab", "\u00e9", "zz", "A", "cat"]
POSTS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]


def features(c, most=6, special=True):
    """Rows of features: [N,F]."""
    n, f = c.pick(0, 1, 1, 2, 3, 7, 17, 40), c.rng.randint(1, most)
    dtype = c.type()
    kind = "any" if special and c.chance(0.3) else "tame"
    if dtype.kind in "iu":
        kind = "small"
    x = c.values(dtype, [n, f], kind)
    c.feed(x, constant=False)
    return x


def floats(c, n, low=-2, high=2):
    return [round(float(v), 3) for v in c.bits.uniform(low, high, n)]


def wrong(c, n):
    """A length, seldom another one."""
    return n + 1 if c.bad() else n


@draws(ML + "Binarizer")
def binarizer(c):
    c.attr(threshold=c.pick(0.0, 0.5, -1.0, None))
    features(c)


@draws(ML + "Scaler")
def scaler(c):
    x = features(c)
    n = c.pick(1, wrong(c, x.shape[1]))
    c.attr(offset=floats(c, n), scale=floats(c, n))
    c.scale = 4.0


@draws(ML + "Normalizer")
def normalizer(c):
    c.attr(norm="L3" if c.bad() else c.pick("MAX", "L1", "L2"))
    features(c, special=False)
    c.scale = 1.0


@draws(ML + "Imputer")
def imputer(c):
    x = features(c)
    n = c.pick(1, wrong(c, x.shape[1]))
    if x.dtype.kind == "f":
        c.attr(imputed_value_floats=floats(c, n),
               replaced_value_float=c.pick(0.0, float("nan"), 1.0))
    else:
        c.attr(imputed_value_int64s=[c.rng.randint(-9, 9) for _ in range(n)],
               replaced_value_int64=c.pick(0, 1, 3))


@draws(ML + "ArrayFeatureExtractor")
def array_feature_extractor(c):
    x = c.values(c.type(), c.shape(c.pick(1, 2, 2, 3)))
    c.feed(x, constant=False)
    n = c.rng.randint(1, 5)
    top = x.shape[-1] - 1
    index = [c.rng.randint(0, max(top, 0)) for _ in range(n)]
    if c.bad() or top < 0:
        index[0] = c.pick(-1, top + 1)
    c.feed(np.array(index, I64).reshape(c.pick([n], [1, n])))


@draws(ML + "FeatureVectorizer")
def feature_vectorizer(c):
    n, dtype, dims = c.pick(1, 2, 5), c.type(), []
    for _ in range(c.rng.randint(1, 4)):
        width = c.rng.randint(1, 4)
        c.feed(c.values(dtype, [n, width], "tame" if dtype.kind == "f" else
                        "small"), constant=False)
        dims.append(width if c.chance(0.8) else c.rng.randint(1, 5))
    c.attr(inputdimensions=dims)


def categories(c, text, n=5):
    if text:
        return c.rng.sample(WORDS, min(n, len(WORDS)))
    return c.rng.sample(range(-8, 9), n)


@draws(ML + "OneHotEncoder")
def one_hot_encoder(c):
    dtype = c.type()
    text = dtype == object
    cats = categories(c, text)
    c.attr(**{"cats_strings" if text else "cats_int64s": cats})
    c.attr(zeros=c.pick(0, 1, 1, 1, None))
    c.feed(c.values(dtype, c.shape(c.pick(1, 2)), "small"), constant=False)


@draws(ML + "CategoryMapper")
def category_mapper(c):
    dtype = c.pick(np.dtype("int64"), np.dtype(object))
    strings = categories(c, True)
    c.attr(cats_strings=strings,
           cats_int64s=categories(c, False, wrong(c, len(strings))))
    if dtype == object:
        c.attr(default_int64=c.pick(None, -5))
    else:
        c.attr(default_string=c.pick(None, "none"))
    c.feed(c.values(dtype, c.shape(), "small"), constant=False)


@draws(ML + "LabelEncoder")
def label_encoder(c):
    if c.version == 1:
        dtype = c.pick(np.dtype("int64"), np.dtype(object))
        c.attr(classes_strings=categories(c, True))
        if dtype == object:
            c.attr(default_int64=c.pick(None, 7))
        else:
            c.attr(default_string=c.pick(None, "x"))
        c.feed(c.values(dtype, c.shape(), "small"), constant=False)
        return
    kinds = {"strings": object, "int64s": "int64", "floats": "float32"}
    key, value = c.pick(*kinds), c.pick(*kinds)
    n = 4
    for side, kind in (("keys", key), ("values", value)):
        count = wrong(c, n)
        if kind == "floats":
            pool = [0.0, 1.0, -1.0, 0.5, 2.0, float("nan")]
            items = c.rng.sample(pool, count)
        else:
            items = categories(c, kind == "strings", count)
        c.attr(**{f"{side}_{kind}": items})
    if c.chance(0.5):
        c.attr(**{"strings": dict(default_string="other"),
                  "int64s": dict(default_int64=99),
                  "floats": dict(default_float=-1.5)}[value])
    x = c.values(np.dtype(kinds[key]), c.shape(), "small")
    if key == "floats" and x.size and c.chance(0.5):
        x.flat[0] = np.nan
    c.feed(x, constant=False)


def labels(c, n, ints="classlabels_ints"):
    if c.chance(0.5):
        c.attr(classlabels_strings=[f"c{i}" for i in range(n)])
    else:
        c.attr(**{ints: c.rng.sample(range(10), n)})


@draws(ML + "LinearClassifier")
def linear_classifier(c):
    x = features(c, special=False)
    n = c.pick(2, 3, 5)
    sets = 1 if n == 2 and c.chance(0.3) else n
    labels(c, n)
    c.attr(coefficients=floats(c, wrong(c, sets * x.shape[1])),
           intercepts=floats(c, sets), post_transform=c.pick(*POSTS))
    c.scale = 30.0
    return 2


@draws(ML + "LinearRegressor")
def linear_regressor(c):
    x = features(c, special=False)
    n = c.pick(1, 1, 2, 4)
    c.attr(targets=n, coefficients=floats(c, wrong(c, n * x.shape[1])),
           intercepts=floats(c, n), post_transform=c.pick(*POSTS))
    c.scale = 30.0


def kernel(c):
    c.attr(kernel_type=c.pick("LINEAR", "POLY", "RBF", "SIGMOID"),
           kernel_params=[c.pick(0.1, 0.5), c.pick(0.0, 1.0),
                          c.pick(1.0, 2.0, 3.0)],
           post_transform=c.pick("NONE", "NONE", *POSTS))


@draws(ML + "SVMRegressor")
def svm_regressor(c):
    x = features(c, special=False)
    n, f = c.pick(0, 3, 7), x.shape[1]
    kernel(c)
    c.attr(n_supports=n, rho=floats(c, 1), one_class=c.pick(0, 0, 1),
           coefficients=floats(c, wrong(c, n or f)))
    if n:
        c.attr(support_vectors=floats(c, n * f))
    c.scale = 3000.0


@draws(ML + "SVMClassifier")
def svm_classifier(c):
    x = features(c, special=False)
    n, f = c.pick(2, 2, 3, 4), x.shape[1]
    kernel(c)
    labels(c, n)
    pairs = n * (n - 1) // 2
    if c.chance(0.3):
        c.attr(coefficients=floats(c, wrong(c, n * f)), rho=floats(c, 1))
    else:
        per = [c.rng.randint(1, 4) for _ in range(n)]
        c.attr(vectors_per_class=per, rho=floats(c, pairs),
               support_vectors=floats(c, sum(per) * f),
               coefficients=floats(c, (n - 1) * sum(per)))
        if c.chance(0.5):
            c.attr(prob_a=floats(c, pairs, -2, -0.5),
                   prob_b=floats(c, pairs, -0.5, 0.5))
    c.scale = 3000.0
    return 2


# Trees.

MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ",
         "BRANCH_NEQ"]
SPLITS = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0]


class Trees:
    """Random trees as rows: (tree, id, mode, feature, split, yes, no)."""

    def __init__(self, c, n_features):
        self.c, self.nodes, self.leaves = c, [], []
        self.n_features = n_features
        modes = MODES if c.chance(0.3) else [c.pick(*MODES)]
        self.modes = modes
        for tree in range(c.pick(1, 2, 5, 20)):
            self.count = 0
            self.grow(tree, c.pick(0, 1, 3, 5))

    def grow(self, tree, depth):
        c, at = self.c, self.count
        self.count += 1
        if depth == 0 or c.chance(0.15):
            self.nodes.append((tree, at, "LEAF", 0, 0.0, 0, 0))
            self.leaves.append((tree, at))
            return at
        place = len(self.nodes)
        self.nodes.append(None)
        yes, no = self.grow(tree, depth - 1), self.grow(tree, depth - 1)
        self.nodes[place] = (tree, at, c.pick(*self.modes),
                             c.rng.randrange(self.n_features),
                             c.pick(*SPLITS), yes, no)
        return at

    def attrs(self):
        c = self.c
        names = ["nodes_treeids", "nodes_nodeids", "nodes_modes",
                 "nodes_featureids", "nodes_values", "nodes_truenodeids",
                 "nodes_falsenodeids"]
        lists = {k: list(v) for k, v in zip(names, zip(*self.nodes))}
        if c.chance(0.4):
            lists["nodes_missing_value_tracks_true"] = [
                c.pick(0, 1) for _ in self.nodes]
        if c.bad():
            lists[c.pick("nodes_truenodeids", "nodes_falsenodeids",
                         "nodes_treeids")][0] += 100
        c.attr(**lists)


def table(c):
    """Features that often equal a split; NaN too."""
    x = features(c)
    if x.dtype.kind == "f":
        x[...] = c.bits.choice(SPLITS + [0.25, 1.5], x.shape)
        if x.size and c.chance(0.4):
            x.flat[c.rng.randrange(x.size)] = np.nan
    return x


@draws(ML + "TreeEnsembleRegressor")
def tree_ensemble_regressor(c):
    x = table(c)
    trees, n = Trees(c, x.shape[1]), c.pick(1, 1, 2, 3)
    trees.attrs()
    votes = [(t, i, c.rng.randrange(n)) for t, i in trees.leaves
             for _ in range(1 if n == 1 else c.pick(1, 2))]
    c.attr(n_targets=n, target_treeids=[v[0] for v in votes],
           target_nodeids=[v[1] for v in votes],
           target_ids=[v[2] for v in votes],
           target_weights=floats(c, len(votes)),
           aggregate_function=c.pick("SUM", "SUM", "AVERAGE", "MIN", "MAX"),
           post_transform=c.pick("NONE", "NONE", *POSTS))
    if c.chance(0.3):
        c.attr(base_values=floats(c, n))
    c.scale = 30.0


@draws(ML + "TreeEnsembleClassifier")
def tree_ensemble_classifier(c):
    x = table(c)
    trees, n = Trees(c, x.shape[1]), c.pick(2, 2, 3, 5)
    trees.attrs()
    if n == 2 and c.chance(0.7):
        votes = [(t, i, 0) for t, i in trees.leaves]
    else:
        votes = [(t, i, k) for t, i in trees.leaves for k in range(n)]
    labels(c, n, "classlabels_int64s")
    low = c.pick(0.0, -1.0)
    c.attr(class_treeids=[v[0] for v in votes],
           class_nodeids=[v[1] for v in votes],
           class_ids=[v[2] for v in votes],
           class_weights=floats(c, len(votes), low, 1),
           post_transform=c.pick("NONE", *POSTS))
    if c.chance(0.2):
        c.attr(base_values=floats(c, 1 if len({v[2] for v in votes}) == 1
                                  else n))
    c.scale = 30.0
    return 2


@draws(ML + "TreeEnsemble")
def tree_ensemble(c):
    from onnx import numpy_helper
    x = table(c)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype("float32")
    trees, n = Trees(c, x.shape[1]), c.pick(1, 2, 3)
    inner = [r for r in trees.nodes if r[2] != "LEAF"]
    place = {r[:2]: i for i, r in enumerate(inner)}
    leaf = {k: i for i, k in enumerate(trees.leaves)}
    lists = {k: [] for k in ("nodes_featureids", "nodes_truenodeids",
                             "nodes_falsenodeids", "nodes_trueleafs",
                             "nodes_falseleafs")}
    modes, splits, members, roots = [], [], [], {}
    for tree, at, mode, feature, split, yes, no in inner:
        roots.setdefault(tree, len(modes))
        modes.append(MODES.index(mode))
        if c.chance(0.1):
            modes[-1] = 6
            members += c.rng.sample(SPLITS[4:], c.rng.randint(1, 4))
            members.append(np.nan)
        splits.append(split)
        lists["nodes_featureids"].append(feature)
        for side, to in (("true", yes), ("false", no)):
            is_leaf = (tree, to) in leaf
            lists[f"nodes_{side}leafs"].append(int(is_leaf))
            lists[f"nodes_{side}nodeids"].append(
                leaf[tree, to] if is_leaf else place[tree, to])
    for tree, at in trees.leaves:
        if (tree, 0) == (tree, at):  # a tree of one leaf
            roots[tree] = len(modes)
            modes.append(0)
            splits.append(0.0)
            lists["nodes_featureids"].append(0)
            for side in ("true", "false"):
                lists[f"nodes_{side}leafs"].append(1)
                lists[f"nodes_{side}nodeids"].append(leaf[tree, at])
    c.attr(**lists)
    if members:
        c.attr(membership_values=numpy_helper.from_array(
            np.array(members, dtype)))
    if c.chance(0.4):
        c.attr(nodes_missing_value_tracks_true=[c.pick(0, 1) for _ in modes])
    c.attr(n_targets=n, tree_roots=[roots[t] for t in sorted(roots)],
           nodes_modes=numpy_helper.from_array(np.array(modes, np.uint8)),
           nodes_splits=numpy_helper.from_array(np.array(splits, dtype)),
           leaf_targetids=[c.rng.randrange(n) for _ in leaf],
           leaf_weights=numpy_helper.from_array(
               np.array(floats(c, len(leaf)), dtype)),
           aggregate_function=c.pick(0, 1, 1, 2, 3),
           post_transform=c.pick(0, 0, 1, 2, 3, 4))
    c.scale = 30.0
