/* A map for each row: its columns by class labels. */
#include <string.h>

#include "ops/common/ml.h"
#include "tensor/container.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .kind = MD_KIND_SEQUENCE,
                  .of = MD_KIND_MAP,
                  .dtype = MD_DTYPE_F32 };
    md_dim rows, cols;
    md_labels labels;

    MD_TRY(md_infer__need(c, 0, MD_T(F32), err));
    MD_TRY(md_labels__of(&labels, c->node, "classlabels_int64s",
                         "classlabels_strings", err));
    MD_TRY(md_ml__table(c, 0, &rows, &cols, err));
    MD_TRY(md_infer__must_equal(c, cols, MD_DIM(labels.n),
                                "the number of columns", err));
    t.key = labels.list.dtype;
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* The map of a row of values. */
static md_status zip(md_tensor *out, const md_tensor *labels, const float *row,
                     const md_alloc *alloc, md_error *err)
{
    md_tensor keys = MD_TENSOR_INIT, values = MD_TENSOR_INIT;
    md_status s;

    MD_GOTO(md_tensor_copy(&keys, labels, alloc, err));
    MD_GOTO(md_tensor_alloc(&values, MD_DTYPE_F32, &labels->shape, alloc, err));
    memcpy(values.data, row, md_tensor_size(&values));
    s = md_container_map(out, &keys, &values, alloc, err);
out:
    md_tensor_release(&keys);
    md_tensor_release(&values);
    return s;
}

static md_status fill(md_tensor *seq, const md_tensor *labels,
                      const md_tensor *in, const md_alloc *alloc, md_error *err)
{
    int64_t n = md_tensor_n(labels);

    for (int64_t r = 0; r < seq->shape.dim[0]; r++) {
        md_tensor map = MD_TENSOR_INIT;
        md_status s;

        MD_TRY(zip(&map, labels, (const float *)in->data + r * n, alloc, err));
        s = md_container_give(seq, r, &map, err);
        if (s != MD_OK) {
            md_tensor_release(&map);
            return s;
        }
    }
    return MD_OK;
}

/* A map has each key once. */
static md_status check_keys(const md_labels *l, md_arena *ar, md_error *err)
{
    md_lookup keys;

    MD_TRY(md_lookup__make(&keys, &l->list, l->n, ar, err));
    for (int64_t i = 0; i < l->n; i++) {
        int64_t at = md_lookup__find(&keys, &l->list, i);

        if (at != i)
            return md_fail(err, MD_INVALID,
                           "columns %lld and %lld have the same label",
                           (long long)i, (long long)at);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    const md_tensor *in = x->in[0];
    md_tensor seq = MD_TENSOR_INIT;
    md_tensor like = { .kind = MD_KIND_SEQUENCE,
                       .of = MD_KIND_MAP,
                       .dtype = MD_DTYPE_F32 };
    md_labels labels;
    md_arena ar;
    md_status s;
    md_infer c;

    md_arena_init(&ar, x->alloc, 0);
    MD_GOTO(md_exec__infer_view(x, &c, &ar, err));
    MD_GOTO(infer(&c, err));
    MD_GOTO(md_labels__of(&labels, x->node, "classlabels_int64s",
                          "classlabels_strings", err));
    MD_GOTO(check_keys(&labels, &ar, err));
    like.key = labels.list.dtype;
    MD_GOTO(md_container_alloc(&seq, &like,
                               in->shape.rank == 2 ? in->shape.dim[0] : 1,
                               x->alloc, err));
    MD_GOTO(fill(&seq, &labels.list, in, x->alloc, err));
    s = md_exec_give(x, 0, &seq, err);
out:
    md_tensor_release(&seq);
    md_arena_release(&ar);
    return s;
}

const md_op md_op_ml_zip_map = {
    .domain = "ai.onnx.ml",
    .name = "ZipMap",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
