#include "support/keras_net.h"

#include <stdio.h>
#include <string.h>

#include "convert/convert.h"
#include "ops/eval.h"
#include "support/h5_build.h"
#include "support/test.h"

int64_t keras_count(const keras_array *a)
{
    int64_t n = 1;

    for (int i = 0; i < a->rank; i++)
        n *= a->dim[i];
    return n;
}

float *keras_values(const keras_array *a)
{
    size_t n = (size_t)keras_count(a);
    float *v = test_malloc((n ? n : 1) * sizeof(*v));
    uint32_t s = a->seed * 2654435761u + 1u;

    for (size_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        v[i] = a->data ? a->data[i] : (float)(s >> 24) / 64 - 2;
        if (!a->data) /* -2 to 2 in steps of a half: products are exact */
            v[i] = (float)(int)(v[i] * 2) / 2;
    }
    return v;
}

void keras_net_file(md_buf *out, const keras_net_def *net)
{
    uint32_t in_layer = 0;
    keras_h5 k;

    keras_h5_begin(&k, net->version ? net->version : "3.5.0", net->config);
    for (size_t i = 0; i < net->n_w; i++) {
        const keras_array *w = &net->w[i];
        hsize_t dim[KERAS_RANK] = { 0 };
        float *v = keras_values(w);
        char name[16];

        in_layer = i && strcmp(w->layer, w[-1].layer) == 0 ? in_layer + 1 : 0;
        for (int d = 0; d < w->rank; d++)
            dim[d] = (hsize_t)w->dim[d];
        snprintf(name, sizeof(name), "w%u", in_layer);
        keras_h5_weight(&k, w->layer, name, w->rank, dim, v);
        test_free(v);
    }
    keras_h5_finish(&k, out);
}

md_status keras_net_convert(md_model **out, const keras_net_def *net,
                            md_error *err)
{
    md_buf file;
    md_status s;

    md_buf_init(&file, md_alloc_default(), 1 << 24);
    keras_net_file(&file, net);
    s = md_convert_bytes(out, file.data, file.size, "net", NULL, NULL,
                         md_alloc_default(), err);
    md_buf_release(&file);
    return s;
}

void keras_net_run(md_tensor *out, uint32_t n_out, const keras_net_def *net,
                   const keras_array *in, uint32_t n_in)
{
    md_tensor t[4] = { MD_TENSOR_INIT, MD_TENSOR_INIT, MD_TENSOR_INIT,
                       MD_TENSOR_INIT };
    const md_tensor *ptr[4] = { &t[0], &t[1], &t[2], &t[3] };
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;

    assert_in_range(n_in, 1, 4);
    assert_md_ok(keras_net_convert(&m, net, &err), &err);
    assert_int_equal(m->graph->n_inputs, n_in);
    assert_int_equal(m->graph->n_outputs, n_out);
    for (uint32_t i = 0; i < n_in; i++) {
        t[i].dtype = MD_DTYPE_F32;
        t[i].shape.rank = in[i].rank;
        memcpy(t[i].shape.dim, in[i].dim, sizeof(in[i].dim));
        t[i].data = keras_values(&in[i]);
    }
    assert_md_ok(
        md_graph_eval(out, m->graph, ptr, md_alloc_default(), NULL, &err),
        &err);
    for (uint32_t i = 0; i < n_in; i++)
        test_free(t[i].data);
    md_model_free(m);
}

const char *keras_sequential(char *buf, size_t size, int rank,
                             const int64_t *dim, const char *layers)
{
    char shape[128] = "null";
    size_t at = 4;
    int n;

    for (int i = 1; i < rank; i++)
        at += (size_t)snprintf(shape + at, sizeof(shape) - at, ",%lld",
                               (long long)dim[i]);
    n = snprintf(buf, size,
                 "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\","
                 "\"layers\":[{\"class_name\":\"InputLayer\",\"config\":{"
                 "\"name\":\"x\",\"batch_shape\":[%s]}},%s]}}",
                 shape, layers);
    assert_true(n > 0 && (size_t)n < size);
    return buf;
}
