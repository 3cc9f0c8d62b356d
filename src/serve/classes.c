#include "serve/classes.h"

#include <stdio.h>
#include <string.h>

/* The ZipMap whose result is output i and nothing else. */
static md_node *zip_map_of(const md_graph *g, uint32_t i)
{
    md_node *n = g->values[g->outputs[i]].def;

    if (!n || strcmp(n->domain, "ai.onnx.ml") != 0 ||
        strcmp(n->op, "ZipMap") != 0 || n->n_in != 1 || n->n_out != 1 ||
        md_graph_count_uses(g, g->outputs[i]) != 1)
        return NULL;
    return n;
}

/* Decimal text of n numbers. */
static md_status number_labels(const char **labels, md_arena *ar,
                               const int64_t *v, uint32_t n, md_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        char text[24];

        (void)snprintf(text, sizeof(text), "%lld", (long long)v[i]);
        labels[i] = md_arena_strdup(ar, text);
        if (!labels[i])
            return md_fail_nomem(err, sizeof(text));
    }
    return MD_OK;
}

static md_status text_labels(const char **labels, md_arena *ar, const md_str *v,
                             uint32_t n, md_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        labels[i] = md_arena_strndup(ar, v[i].p, v[i].n);
        if (!labels[i])
            return md_fail_nomem(err, v[i].n + 1);
    }
    return MD_OK;
}

static md_status read_labels(md_serve_classes *out, md_model *m,
                             const md_node *n, md_error *err)
{
    const md_attr *texts = md_node_attr(n, "classlabels_strings");
    uint32_t n_numbers = 0;
    const int64_t *numbers =
        md_node_attr_is(n, "classlabels_int64s", &n_numbers);
    const uint32_t n_texts =
        texts && texts->type == MD_ATTR_STRINGS ? texts->n : 0;
    const uint32_t count = n_numbers ? n_numbers : n_texts;
    const char **labels =
        md_arena_calloc(&m->arena, (size_t)count + 1, sizeof(*labels));

    if (!labels)
        return md_fail_nomem(err, count * sizeof(*labels));
    if (n_numbers)
        MD_TRY(number_labels(labels, &m->arena, numbers, n_numbers, err));
    else if (n_texts)
        MD_TRY(text_labels(labels, &m->arena, texts->v.ss, n_texts, err));
    out->labels = labels;
    out->numbers = n_numbers ? numbers : NULL;
    out->n = count;
    return MD_OK;
}

/* Its result is its input; what type that has, inference tells. */
static void pass_on(md_graph *g, md_node *n)
{
    n->domain = "";
    n->op = "Identity";
    n->opset = 0;
    n->n_attr = 0;
    g->values[n->out[0]].type = (md_type){ .dtype = MD_DTYPE_F32 };
}

md_status md_serve_classes_take(md_serve_classes *out, md_model *model,
                                md_error *err)
{
    md_graph *g = model->graph;

    *out = (md_serve_classes){ .output = NULL };
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        md_node *n = zip_map_of(g, i);

        if (!n)
            continue;
        if (!out->output) {
            MD_TRY(read_labels(out, model, n, err));
            out->output = g->values[g->outputs[i]].name;
        }
        pass_on(g, n);
    }
    return MD_OK;
}
