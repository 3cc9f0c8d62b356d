#include "support/build.h"

#include <stdio.h>
#include <string.h>

#include "support/test.h"

md_model *md_build_model(int64_t opset)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;

    assert_md_ok(md_model_new(&m, md_alloc_default(), 0, &err), &err);
    assert_md_ok(md_model_set_opset(m, "", opset, &err), &err);
    assert_md_ok(md_model_set_opset(m, "com.microsoft", 1, &err), &err);
    assert_md_ok(md_model_set_opset(m, "ai.onnx.ml", 3, &err), &err);
    assert_md_ok(md_model_set_opset(m, "ai.onnx.preview.training", 1, &err),
                 &err);
    assert_md_ok(md_model_set_opset(m, "modeld", 1, &err), &err);
    return m;
}

md_value_id md_build_input(md_model *m, const char *name, md_dtype dtype,
                           int rank, const int64_t *dims)
{
    md_error err = MD_ERROR_INIT;
    md_value_id id = MD_VALUE_NONE;
    md_type t = { .dtype = dtype, .has_rank = true, .rank = rank };

    for (int i = 0; i < rank; i++) {
        t.dim[i] = MD_DIM(dims[i]);
        if (dims[i] < 0) {
            t.dim[i] = (md_dim){ .scale = 1 };
            assert_md_ok(md_model_symbol(&t.dim[i].sym, m, "batch", &err),
                         &err);
        }
    }
    assert_md_ok(md_graph_add_value(&id, m->graph, name, &err), &err);
    m->graph->values[id].type = t;
    assert_md_ok(md_graph_add_input(m->graph, id, &err), &err);
    return id;
}

void md_build_fill(float *p, int64_t n, float deviation, uint32_t seed)
{
    uint32_t s = seed * 2654435761u + 12345u;

    for (int64_t i = 0; i < n; i++) {
        float sum = 0.0f;

        for (int k = 0; k < 4; k++) { /* four uniforms: variance 1/3 */
            s = s * 1664525u + 1013904223u;
            sum += (float)(s >> 8) * (1.0f / 8388608.0f) - 1.0f;
        }
        p[i] = sum * 0.866f * deviation;
    }
}

void md_build_fill_any(md_tensor *out, double range, uint32_t seed)
{
    int64_t n = md_tensor_n(out);
    const bool whole = md_dtype_is_integer(out->dtype);
    float v;

    for (int64_t i = 0; i < n; i++) {
        if (whole) {
            seed = seed * 1664525u + 1013904223u;
            v = (float)((double)(seed >> 8) / (1 << 24));
            v = md_dtype_is_signed(out->dtype) ? 2 * v - 1 : v;
            md_tensor_set_f64(out, i, (double)v * (range + 0.999));
        } else {
            md_build_fill(&v, 1, (float)range, seed + (uint32_t)i);
            md_tensor_set_f64(out, i, (double)v);
        }
    }
}

static md_value_id add_const(md_model *m, md_tensor t)
{
    md_error err = MD_ERROR_INIT;
    md_value_id id = MD_VALUE_NONE;
    char name[24];

    snprintf(name, sizeof(name), "c%u", m->graph->n_values);
    assert_md_ok(md_graph_add_const(&id, m->graph, name, t, &err), &err);
    return id;
}

static md_tensor make(md_dtype dtype, int rank, const int64_t *dims)
{
    md_error err = MD_ERROR_INIT;
    md_shape shape = { .rank = rank };
    md_tensor t = MD_TENSOR_INIT;

    if (rank)
        memcpy(shape.dim, dims, sizeof(dims[0]) * (size_t)rank);
    assert_md_ok(md_tensor_alloc(&t, dtype, &shape, md_alloc_default(), &err),
                 &err);
    return t;
}

md_value_id md_build_random(md_model *m, int rank, const int64_t *dims,
                            float deviation, uint32_t seed)
{
    md_tensor t = make(MD_DTYPE_F32, rank, dims);

    md_build_fill(t.data, md_tensor_n(&t), deviation, seed);
    return add_const(m, t);
}

md_value_id md_build_scalar(md_model *m, md_dtype dtype, double v)
{
    md_tensor t = make(dtype, 0, NULL);

    md_tensor_set_f64(&t, 0, v);
    return add_const(m, t);
}

md_value_id md_build_ints(md_model *m, int n, const int64_t *v)
{
    int64_t dim = n;
    md_tensor t = make(MD_DTYPE_I64, 1, &dim);

    if (n)
        memcpy(t.data, v, sizeof(v[0]) * (size_t)n);
    return add_const(m, t);
}

md_value_id md_build_node(md_model *m, const char *op, int n_in,
                          const md_value_id *in)
{
    md_error err = MD_ERROR_INIT;
    md_value_id out = MD_VALUE_NONE;
    char name[64];

    snprintf(name, sizeof(name), "%s_%u", op, m->graph->n_values);
    assert_md_ok(md_graph_add_value(&out, m->graph, name, &err), &err);
    assert_md_ok(md_graph_add_node(NULL, m->graph,
                                   &(md_node_spec){ "", op, name, in,
                                                    (uint32_t)n_in, &out, 1 },
                                   &err),
                 &err);
    return out;
}

md_node *md_build_def(md_model *m, md_value_id id)
{
    assert_non_null(m->graph->values[id].def);
    return m->graph->values[id].def;
}

void md_build_attr_ints(md_model *m, md_value_id id, const char *name, int n,
                        const int64_t *v)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_node_set_attr_is(m->graph, md_build_def(m, id), name, v,
                                     (uint32_t)n, &err),
                 &err);
}

void md_build_attr_int(md_model *m, md_value_id id, const char *name, int64_t v)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(
        md_node_set_attr_i(m->graph, md_build_def(m, id), name, v, &err), &err);
}

void md_build_output(md_model *m, md_value_id id)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_graph_add_output(m->graph, id, &err), &err);
}
