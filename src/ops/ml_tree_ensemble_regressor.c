/* Trees by ids, whose leaves have weights for targets. */
#include "ops/common/forest.h"
#include "ops/lower.h"

const md_op md_op_ml_tree_ensemble_regressor = {
    .domain = "ai.onnx.ml",
    .name = "TreeEnsembleRegressor",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = md_forest__infer,
    .run = md_forest__run,
    .fast = &md_fast_forest,
};
