#include "support/node_case.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/gradient.h"
#include "engine/session.h"
#include "formats/onnx.h"
#include "formats/tensor_pb.h"
#include "formats/value_pb.h"
#include "ops/eval.h"
#include "support/opeval.h"
#include "tensor/compare.h"

enum {
    VALUES_MAX = 64,
    PATH_MAX_ = 1024
};

typedef struct run {
    const char *folder;
    md_model *model;
    md_tensor in[VALUES_MAX], want[VALUES_MAX], got[VALUES_MAX];
    md_error err;
} run;

/* Values `what`_0.pb ... of a data set; *n of them. */
static md_status load_set(run *r, int set, const char *what, md_tensor *t,
                          const md_value_id *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char path[PATH_MAX_];

        snprintf(path, sizeof(path), "%s/test_data_set_%d/%s_%u.pb", r->folder,
                 set, what, (unsigned)i);
        if (access(path, R_OK) != 0)
            return md_fail(&r->err, MD_UNSUPPORTED, "no %s_%u.pb", what,
                           (unsigned)i);
        MD_TRY(md_value_pb_load(&t[i], &r->model->graph->values[ids[i]].type,
                                path, md_alloc_default(), &r->err));
    }
    return MD_OK;
}

static md_status check_inference(run *r)
{
    const md_graph *g = r->model->graph;
    const md_tensor *in[VALUES_MAX] = { NULL };
    const md_node *n = g->nodes[0];
    int64_t opset;

    if (g->n_nodes != 1 || n->n_in > VALUES_MAX || n->n_out > g->n_outputs)
        return MD_OK;
    for (uint32_t i = 0; i < n->n_in; i++) {
        for (uint32_t k = 0; n->in[i] != MD_VALUE_NONE && k < g->n_inputs; k++)
            in[i] = g->inputs[k] == n->in[i] ? &r->in[k] : in[i];
        if (n->in[i] != MD_VALUE_NONE && !in[i])
            in[i] = g->values[n->in[i]].cdata;
    }
    for (uint32_t i = 0, o = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE && g->outputs[o++] != n->out[i])
            return MD_OK;
        if (n->out[i] == MD_VALUE_NONE)
            return MD_OK;
    }
    opset = md_model_opset(r->model, n->domain);
    if (opeval_infer_agrees(r->model, n, opset, in, r->got) &&
        opeval_symbols_agree(r->model, n, opset, in, r->got))
        return MD_OK;
    return md_fail(&r->err, MD_MISMATCH, "inference contradicts the result");
}

static md_status run_set(run *r, int set)
{
    const md_graph *g = r->model->graph;
    const md_tensor *in[VALUES_MAX];

    MD_TRY(load_set(r, set, "input", r->in, g->inputs, g->n_inputs));
    MD_TRY(load_set(r, set, "output", r->want, g->outputs, g->n_outputs));
    for (uint32_t i = 0; i < g->n_inputs; i++)
        in[i] = &r->in[i];
    MD_TRY(md_graph_eval(r->got, g, in, md_alloc_default(), NULL, &r->err));
    for (uint32_t i = 0; i < g->n_outputs; i++)
        MD_TRY(md_tensor_compare(NULL, &r->got[i], &r->want[i], 1e-7, 1e-3,
                                 &r->err));
    return check_inference(r);
}

static void clear(run *r)
{
    for (int i = 0; i < VALUES_MAX; i++) {
        md_tensor_release(&r->in[i]);
        md_tensor_release(&r->want[i]);
        md_tensor_release(&r->got[i]);
    }
}

static md_status run_all(run *r)
{
    char path[PATH_MAX_];

    snprintf(path, sizeof(path), "%s/model.onnx", r->folder);
    MD_TRY(md_onnx_load(&r->model, path, md_alloc_default(), &r->err));
    MD_TRY(md_model_inline(r->model, &r->err));
    MD_TRY(md_gradient_expand(r->model, &r->err));
    if (r->model->graph->n_inputs > VALUES_MAX ||
        r->model->graph->n_outputs > VALUES_MAX)
        return md_fail(&r->err, MD_UNSUPPORTED, "too many values");
    for (int set = 0;; set++) {
        snprintf(path, sizeof(path), "%s/test_data_set_%d", r->folder, set);
        if (access(path, R_OK) != 0)
            return set ? MD_OK
                       : md_fail(&r->err, MD_UNSUPPORTED, "no data set");
        MD_TRY(run_set(r, set));
        clear(r);
    }
}

static node_result finish(run *r, md_status s, char *why, size_t why_size)
{
    clear(r);
    md_model_free(r->model);
    if (s == MD_OK)
        return NODE_PASS;
    snprintf(why, why_size, "%s: %s", md_status_name(s), r->err.msg);
    return s == MD_UNSUPPORTED ? NODE_UNSUPPORTED : NODE_FAIL;
}

node_result node_case_run(const char *folder, char *why, size_t why_size)
{
    run r = { .folder = folder };

    return finish(&r, run_all(&r), why, why_size);
}

/* As the runner of these models makes their inputs. */
static md_status count_up(md_tensor *t, const md_type *type, md_error *err)
{
    md_shape shape = { .rank = type->rank };
    int64_t n;

    for (int i = 0; i < type->rank; i++)
        shape.dim[i] = md_dim_is_const(type->dim[i]) ? type->dim[i].k : 1;
    MD_TRY(md_tensor_alloc(t, type->dtype, &shape, md_alloc_default(), err));
    n = md_tensor_n(t);
    for (int64_t i = 0; i < n; i++)
        md_tensor_set_f64(t, i, (double)i / (double)n);
    return MD_OK;
}

static md_status run_light(run *r, const char *model)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_session *session;
    char path[PATH_MAX_];
    md_status s = MD_OK;

    MD_TRY(md_onnx_load(&r->model, model, md_alloc_default(), &r->err));
    MD_TRY(md_session_new(&session, r->model, &opts, &r->err));
    r->model = NULL; /* the session's */
    snprintf(path, sizeof(path), "%.*s_output_0.pb",
             (int)(strlen(model) - strlen(".onnx")), model);
    for (uint32_t i = 0; i < md_session_n_inputs(session) && s == MD_OK; i++)
        s = count_up(&r->in[i], &md_session_input(session, i)->type, &r->err);
    if (s == MD_OK)
        s = md_tensor_pb_load(&r->want[0], path, md_alloc_default(), &r->err);
    if (s == MD_OK)
        s = md_session_run(session, r->in, r->got, md_alloc_default(), &r->err);
    if (s == MD_OK)
        s = md_tensor_compare(NULL, &r->got[0], &r->want[0], 1e-7, 1e-3,
                              &r->err);
    md_session_free(session);
    return s;
}

node_result node_case_run_light(const char *model, char *why, size_t why_size)
{
    run r = { .folder = NULL };

    return finish(&r, run_light(&r, model), why, why_size);
}
