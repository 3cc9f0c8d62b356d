/* Trees by the places of their nodes and leaves. */
#include "ops/common/forest.h"
#include "ops/lower.h"

const md_op md_op_ml_tree_ensemble = {
    .domain = "ai.onnx.ml",
    .name = "TreeEnsemble",
    .since = 5,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = md_forest__infer,
    .run = md_forest__run,
    .fast = &md_fast_forest,
};
