/* Trees by ids, whose leaves vote for classes. */
#include "ops/common/forest.h"
#include "ops/lower.h"

const md_op md_op_ml_tree_ensemble_classifier = {
    .domain = "ai.onnx.ml",
    .name = "TreeEnsembleClassifier",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 2,
    .infer = md_forest__infer,
    .run = md_forest__run,
    .fast = &md_fast_forest,
};
