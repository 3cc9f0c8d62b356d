/* Graphs being made, frames, and the order in which nodes are looked at. */
#include "convert/tf/lower.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum {
    CALLS_MAX = 64,        /* functions in each other */
    NODES_MAX = 1 << 21,   /* looked at, in all calls */
    OUTPUTS_MAX = 1 << 14, /* of a node */
    SHOWN_MAX = 8,         /* refusals in one message */
    REFUSALS_MAX = 1000    /* kinds of them */
};

enum {
    NEW,
    OPENED, /* its inputs come first */
    DONE
};

/* --- messages --- */

md_status md_tf_fail(md_tf_lower *w, md_status s, const char *fmt, ...)
{
    char text[MD_ERROR_MSG_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!w->node)
        return md_fail(w->err, s, "tensorflow: %s", text);
    return md_fail(w->err, s, "tensorflow: %s '%.80s': %s", w->node->op,
                   w->node->name, text);
}

md_status md_tf_refuse(md_tf_lower *w, const char *why)
{
    for (uint32_t i = 0; i < w->n_refusals; i++) {
        if (strcmp(w->refusals[i].op, w->node->op) == 0 &&
            strcmp(w->refusals[i].why, why) == 0) {
            w->refusals[i].n++;
            return MD_OK;
        }
    }
    if (w->n_refusals == REFUSALS_MAX)
        return MD_OK;
    MD_TRY(md_arena_grow(w->arena, &w->refusals, &w->cap_refusals,
                         w->n_refusals, sizeof(*w->refusals), w->err));
    w->refusals[w->n_refusals++] =
        (md_tfl_refusal){ w->node->op, why, w->node->name, 1 };
    return MD_OK;
}

md_status md_tf_tell_refusals(const md_tf_lower *w)
{
    char text[MD_ERROR_MSG_SIZE] = "";
    size_t n = 0;

    if (w->n_refusals == 0)
        return MD_OK;
    for (uint32_t i = 0; i < w->n_refusals; i++) {
        const md_tfl_refusal *r = &w->refusals[i];

        n = strlen(text);
        if (i == SHOWN_MAX || n > sizeof(text) - 160) {
            snprintf(text + n, sizeof(text) - n, ", and %u more",
                     w->n_refusals - i);
            break;
        }
        snprintf(text + n, sizeof(text) - n, "%s%.40s (%u%s%.60s, at '%.40s')",
                 n ? ", " : "", r->op, r->n, r->why[0] ? ": " : "", r->why,
                 r->where);
    }
    return md_fail(w->err, MD_UNSUPPORTED,
                   "tensorflow: operators not supported: %s", text);
}

/* --- graphs being made --- */

void md_tf_begin_graph(md_tf_lower *w, md_tf_made *made)
{
    *made = (md_tf_made){ .n_ops = 0 };
    w->made = made;
}

static md_status copy_list(const int32_t **out, md_tf_lower *w,
                           const int32_t *list, uint32_t n)
{
    int32_t *copy = md_arena_calloc(w->arena, (size_t)n + 1, sizeof(*copy));

    if (!copy)
        return md_fail_nomem(w->err, n);
    if (n > 0)
        memcpy(copy, list, n * sizeof(*list));
    *out = copy;
    return MD_OK;
}

md_status md_tf_end_graph(uint32_t *index, md_tf_lower *w, md_tf_made *before,
                          const char *name, const int32_t *inputs,
                          uint32_t n_inputs, const int32_t *outputs,
                          uint32_t n_outputs)
{
    md_tf_made *made = w->made;
    md_tflite_graph g = { .name = name,
                          .tensors = made->tensors,
                          .ops = made->ops,
                          .n_tensors = made->n_tensors,
                          .n_ops = made->n_ops,
                          .n_inputs = n_inputs,
                          .n_outputs = n_outputs };

    MD_TRY(copy_list(&g.inputs, w, inputs, n_inputs));
    MD_TRY(copy_list(&g.outputs, w, outputs, n_outputs));
    MD_TRY(md_arena_grow(w->arena, &w->m->graphs, &w->cap_graphs,
                         w->m->n_graphs, sizeof(*w->m->graphs), w->err));
    *index = w->m->n_graphs++;
    w->m->graphs[*index] = g;
    w->made = before;
    return MD_OK;
}

md_status md_tf_add_tensor(int32_t *out, md_tf_lower *w, const char *name,
                           md_dtype dtype)
{
    md_tf_made *g = w->made;

    MD_TRY(md_arena_grow(w->arena, &g->tensors, &g->cap_tensors, g->n_tensors,
                         sizeof(*g->tensors), w->err));
    g->tensors[g->n_tensors] =
        (md_tflite_tensor){ .name = name, .dtype = dtype };
    *out = (int32_t)g->n_tensors++;
    return MD_OK;
}

md_status md_tf_add_const(int32_t *out, md_tf_lower *w, const char *name,
                          const md_tf_tensor *t)
{
    static const unsigned char nothing[1];
    md_tflite_tensor *c;

    MD_TRY(md_tf_add_tensor(out, w, name, t->dtype));
    c = &w->made->tensors[*out];
    c->has_rank = true;
    c->rank = t->shape.rank;
    for (int i = 0; i < c->rank; i++)
        c->dim[i] = t->shape.dim[i];
    c->data = t->data ? t->data : nothing;
    c->size = t->size;
    c->is_made = !t->in_file;
    return MD_OK;
}

md_status md_tf_add_ints(int32_t *out, md_tf_lower *w, const char *name,
                         const int64_t *v, uint32_t n)
{
    md_tf_tensor t = { .dtype = MD_DTYPE_I64, .shape = { 1, { n } } };
    int64_t *copy = md_arena_calloc(w->arena, (size_t)n + 1, sizeof(*copy));

    if (!copy)
        return md_fail_nomem(w->err, n);
    if (n > 0)
        memcpy(copy, v, n * sizeof(*v));
    t.data = (const unsigned char *)copy;
    t.size = n * sizeof(*v);
    return md_tf_add_const(out, w, name, &t);
}

md_status md_tf_add_op(md_tf_lower *w, const md_tflite_op *op)
{
    md_tf_made *g = w->made;

    MD_TRY(md_arena_grow(w->arena, &g->ops, &g->cap_ops, g->n_ops,
                         sizeof(*g->ops), w->err));
    g->ops[g->n_ops++] = *op;
    return MD_OK;
}

md_status md_tf_add_simple(int32_t *out, md_tf_lower *w, int code,
                           const int32_t *in, uint32_t n_in, md_dtype dtype,
                           md_fb_table options)
{
    md_tflite_op op = { .code = code,
                        .custom = w->node ? w->node->op : "",
                        .n_in = n_in,
                        .n_out = 1,
                        .options = options };

    MD_TRY(copy_list(&op.in, w, in, n_in)); /* out may be one of them */
    MD_TRY(md_tf_add_tensor(out, w, w->node ? w->node->name : "", dtype));
    MD_TRY(copy_list(&op.out, w, out, 1));
    return md_tf_add_op(w, &op);
}

bool md_tf_is_const(const md_tf_lower *w, const md_tf_ref *ref)
{
    return ref->kind == MD_TF_REF_TENSOR &&
           w->made->tensors[ref->tensor].data != NULL;
}

/* --- inputs --- */

uint32_t md_tf_n_inputs(const md_tf_node *n)
{
    uint32_t k = 0;

    /* Control inputs come last. */
    while (k < n->n_inputs && n->inputs[k][0] != '^')
        k++;
    return k;
}

/* Results of operators with several that have names of their own. */
static const char *const several[][2] = {
    { "BlockLSTM", "i,cs,f,o,ci,co,h" },
    { "BlockLSTMV2", "i,cs,f,o,ci,co,h" },
    { "CombinedNonMaxSuppression",
      "nmsed_boxes,nmsed_scores,nmsed_classes,valid_detections" },
    { "CudnnRNNV3", "output,output_h,output_c,reserve_space,host_reserved" },
    { "FusedBatchNorm", "y,batch_mean,batch_variance" },
    { "FusedBatchNormV2", "y,batch_mean,batch_variance" },
    { "FusedBatchNormV3", "y,batch_mean,batch_variance" },
    { "GRUBlockCell", "r,u,c,h" },
    { "ListDiff", "out,idx" },
    { "LSTMBlockCell", "i,cs,f,o,ci,co,h" },
    { "MaxPoolWithArgmax", "output,argmax" },
    { "Merge", "output,value_index" },
    { "NonMaxSuppressionV4", "selected_indices,valid_outputs" },
    { "NonMaxSuppressionV5", "selected_indices,selected_scores,valid_outputs" },
    { "Switch", "output_false,output_true" },
    { "TensorListPopBack", "output_handle,tensor" },
    { "TopK", "values,indices" },
    { "TopKV2", "values,indices" },
    { "Unique", "y,idx" },
    { "UniqueV2", "y,idx" },
    { "UniqueWithCounts", "y,idx,count" },
};

/* The place of a result's name; 0 for operators with one. */
static uint32_t place_of(const char *op, const char *name, size_t n)
{
    uint32_t k = 0;

    for (size_t i = 0; i < sizeof(several) / sizeof(several[0]); i++) {
        const char *p = several[i][1];

        if (strcmp(several[i][0], op) != 0)
            continue;
        for (;; k++) {
            size_t size = strcspn(p, ",");

            if (size == n && strncmp(p, name, n) == 0)
                return k;
            if (!p[size])
                return OUTPUTS_MAX;
            p += size + 1;
        }
    }
    return 0;
}

md_status md_tf_resolve(const md_tf_node **node, uint32_t *output,
                        md_tf_lower *w, const md_tf_frame *f, const char *input)
{
    size_t n = strcspn(input, ":");
    const char *p = input + n;
    unsigned long k = 0;

    *output = 0;
    *node = NULL;
    if (f->function && !*p && md_tf_find_arg(f->function, input) >= 0) {
        *output = (uint32_t)md_tf_find_arg(f->function, input);
        return MD_OK;
    }
    *node = md_tf_find_node(f->nodes, input, n);
    if (!*node)
        return md_tf_fail(w, MD_CORRUPT, "its input '%.80s' is nowhere", input);
    if (*p == ':' && f->function && (p[1] < '0' || p[1] > '9')) {
        size_t size = strcspn(p + 1, ":");

        k = place_of((*node)->op, p + 1, size);
        p += 1 + size;
    }
    if (*p == ':')
        k += strtoul(p + 1, NULL, 10);
    if (k >= OUTPUTS_MAX)
        return md_tf_fail(w, MD_CORRUPT, "its input '%.80s' is nowhere", input);
    *output = (uint32_t)k;
    return MD_OK;
}

md_status md_tf_input(md_tf_ref *out, md_tf_lower *w, const md_tf_frame *f,
                      const md_tf_node *n, uint32_t i)
{
    const md_tf_node *from;
    uint32_t k;
    size_t at;

    if (i >= md_tf_n_inputs(n))
        return md_tf_fail(w, MD_CORRUPT, "it has %u inputs, %u expected",
                          md_tf_n_inputs(n), i + 1);
    MD_TRY(md_tf_resolve(&from, &k, w, f, n->inputs[i]));
    if (!from) {
        *out = f->args[k];
        return MD_OK;
    }
    at = (size_t)(from - f->nodes->nodes);
    if (k >= f->n_values[at])
        return md_tf_fail(w, MD_CORRUPT, "'%.80s' has %u outputs", from->name,
                          f->n_values[at]);
    *out = f->values[at][k];
    return MD_OK;
}

/* --- frames --- */

md_status md_tf_frame_open(md_tf_frame *out, md_tf_lower *w,
                           const md_tf_function *fn, const md_tf_ref *args)
{
    const md_tf_nodes *nodes = fn ? &fn->body : &w->graph->main;
    size_t n = (size_t)nodes->n + 1;

    *out = (md_tf_frame){ .nodes = nodes, .function = fn, .args = args };
    w->n_nodes += nodes->n;
    if (w->n_nodes > NODES_MAX)
        return md_tf_fail(w, MD_TOO_LARGE,
                          "more than %d nodes, those of a function counted "
                          "each time it is called",
                          NODES_MAX);
    out->values = md_arena_calloc(w->arena, n, sizeof(*out->values));
    out->n_values = md_arena_calloc(w->arena, n, sizeof(*out->n_values));
    out->state = md_arena_calloc(w->arena, n, 1);
    if (!out->values || !out->n_values || !out->state)
        return md_fail_nomem(w->err, n);
    return MD_OK;
}

/* Nodes waiting, in the arena: only its last user needs it. */
typedef struct stack {
    uint32_t *at;
    uint32_t n, cap;
} stack;

static md_status push(stack *s, md_tf_lower *w, const md_tf_frame *f,
                      const md_tf_node *node)
{
    MD_TRY(
        md_arena_grow(w->arena, &s->at, &s->cap, s->n, sizeof(*s->at), w->err));
    s->at[s->n++] = (uint32_t)(node - f->nodes->nodes);
    return MD_OK;
}

/* Loops of TensorFlow 1 are circles; nothing is looked for behind them. */
static bool is_old_loop(const md_tf_node *n)
{
    static const char *const ops[] = { "Enter",           "RefEnter", "Exit",
                                       "NextIteration",   "LoopCond", "RefExit",
                                       "RefNextIteration" };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (strcmp(n->op, ops[i]) == 0)
            return true;
    }
    return false;
}

/* Inputs that are not lowered yet come first. */
static md_status open_node(stack *s, md_tf_lower *w, md_tf_frame *f,
                           const md_tf_node *node)
{
    w->node = node;
    /* The last one ends on top: pads and crops are known before what is padded
     * is looked at (convert/tflite/dilate.c). */
    for (uint32_t i = 0; i < md_tf_n_inputs(node) && !is_old_loop(node); i++) {
        const md_tf_node *from;
        uint32_t k;
        unsigned state;

        MD_TRY(md_tf_resolve(&from, &k, w, f, node->inputs[i]));
        if (!from)
            continue;
        state = f->state[from - f->nodes->nodes];
        if (state == OPENED)
            return md_tf_fail(w, MD_CORRUPT, "it depends on itself");
        if (state == NEW)
            MD_TRY(push(s, w, f, from));
    }
    return MD_OK;
}

static md_status run(stack *s, md_tf_lower *w, md_tf_frame *f)
{
    const md_tf_node *before = w->node;

    while (s->n > 0) {
        uint32_t at = s->at[s->n - 1];
        const md_tf_node *node = &f->nodes->nodes[at];

        if (f->state[at] == NEW) {
            f->state[at] = OPENED;
            MD_TRY(open_node(s, w, f, node));
            continue;
        }
        s->n--;
        if (f->state[at] == DONE)
            continue;
        w->node = node;
        MD_TRY(md_tf_lower_node(&f->values[at], &f->n_values[at], w, f, node));
        f->state[at] = DONE;
    }
    w->node = before;
    return MD_OK;
}

md_status md_tf_eval(md_tf_ref *out, md_tf_lower *w, md_tf_frame *f,
                     const char *tensor)
{
    const md_tf_node *node;
    uint32_t k;
    stack s = { .n = 0 };
    size_t at;

    MD_TRY(md_tf_resolve(&node, &k, w, f, tensor));
    if (!node) {
        *out = f->args[k];
        return MD_OK;
    }
    MD_TRY(push(&s, w, f, node));
    MD_TRY(run(&s, w, f));
    at = (size_t)(node - f->nodes->nodes);
    if (k >= f->n_values[at])
        return md_tf_fail(w, MD_CORRUPT, "'%.80s' has %u outputs", tensor,
                          f->n_values[at]);
    *out = f->values[at][k];
    return MD_OK;
}

md_status md_tf_call(md_tf_ref *out, md_tf_lower *w, const char *function,
                     const md_tf_ref *args, uint32_t n_args, uint32_t n_out)
{
    const md_tf_function *fn =
        function ? md_tf_find_function(w->graph, function) : NULL;
    md_tf_frame f;

    if (!fn)
        return md_tf_fail(w, MD_CORRUPT, "function '%.80s' is not there",
                          function ? function : "");
    if (fn->n_args != n_args || fn->n_rets < n_out)
        return md_tf_fail(w, MD_CORRUPT,
                          "function '%.80s' has %u arguments and %u results, "
                          "%u and %u expected",
                          function, fn->n_args, fn->n_rets, n_args, n_out);
    if (++w->depth > CALLS_MAX)
        return md_tf_fail(w, MD_TOO_LARGE,
                          "functions that call each other, deeper than %d or "
                          "in a circle",
                          CALLS_MAX);
    MD_TRY(md_tf_frame_open(&f, w, fn, args));
    for (uint32_t i = 0; i < n_out; i++)
        MD_TRY(md_tf_eval(&out[i], w, &f, fn->rets[i].value));
    MD_TRY(md_tf_note_changes(w, &f));
    w->depth--;
    return MD_OK;
}

/* --- nodes --- */

/* One item of a row's types: "attr", "attr=3" with a default, "=3" fixed; with
 * "*attr" behind it, so many times. */
static md_status read_item(int64_t *type, int64_t *times, md_tf_lower *w,
                           const md_tf_node *node, const char *p, size_t n)
{
    char text[64] = "";
    char *count;
    char *otherwise;

    memcpy(text, p, n < sizeof(text) - 1 ? n : sizeof(text) - 1);
    count = strchr(text, '*');
    if (count)
        *count++ = '\0';
    otherwise = strchr(text, '=');
    if (otherwise)
        *otherwise++ = '\0';
    *type = otherwise ? strtol(otherwise, NULL, 10) : 0;
    *times = 1;
    if (count)
        MD_TRY(md_tf_attr_int(times, node, count, 0, w->err));
    if (text[0])
        MD_TRY(md_tf_attr_int(type, node, text, *type, w->err));
    if (*times < 0 || *times > OUTPUTS_MAX)
        return md_tf_fail(w, MD_CORRUPT, "%lld outputs", (long long)*times);
    return MD_OK;
}

static md_status add_outputs(int32_t **out, uint32_t *n, md_tf_lower *w,
                             const md_tf_node *node, const char *types)
{
    uint32_t cap = 0;

    *out = NULL;
    *n = 0;
    for (const char *p = types;; p++) {
        size_t size = strcspn(p, ",");
        int64_t type;
        int64_t times;

        MD_TRY(read_item(&type, &times, w, node, p, size));
        for (; times > 0; times--) {
            const char *name = node->name;

            if (*n > 0)
                name = md_arena_printf(w->arena, "%.300s:%u", node->name, *n);
            if (!name)
                return md_fail_nomem(w->err, 1);
            MD_TRY(
                md_arena_grow(w->arena, out, &cap, *n, sizeof(**out), w->err));
            MD_TRY(md_tf_add_tensor(&(*out)[*n], w, name,
                                    type > 0 && type < 200
                                        ? md_tf_dtype((int)type)
                                        : MD_DTYPE_NONE));
            (*n)++;
        }
        p += size;
        if (!*p)
            return MD_OK;
    }
}

/* Inputs as tensors; *usable is false when one of them is none. */
static md_status list_inputs(int32_t **out, uint32_t *n, bool *usable,
                             md_tf_ref *mark, md_tf_lower *w,
                             const md_tf_frame *f, const md_tf_node *node)
{
    *n = md_tf_n_inputs(node);
    *usable = true;
    *mark = (md_tf_ref){ .condition = -1 };
    *out = md_arena_calloc(w->arena, (size_t)*n + 1, sizeof(**out));
    if (!*out)
        return md_fail_nomem(w->err, *n);
    for (uint32_t i = 0; i < *n; i++) {
        md_tf_ref ref = { .condition = -1 };

        MD_TRY(md_tf_input(&ref, w, f, node, i));
        *usable = *usable && ref.kind == MD_TF_REF_TENSOR;
        (*out)[i] = ref.tensor;
        if (ref.kind == MD_TF_REF_TENSOR && ref.condition >= 0)
            *mark = ref;
    }
    return MD_OK;
}

static md_status lower_row(md_tf_ref **out, uint32_t *n, md_tf_lower *w,
                           const md_tf_frame *f, const md_tf_node *node,
                           const md_tf_row *row)
{
    md_tflite_op op = { .code = row->code, .custom = node->op };
    int32_t *ins;
    int32_t *outs;
    bool usable;
    md_tf_ref mark;

    MD_TRY(list_inputs(&ins, &op.n_in, &usable, &mark, w, f, node));
    MD_TRY(add_outputs(&outs, &op.n_out, w, node, row->types));
    MD_TRY(md_tf_options(&op.options, w, node, row->options));
    op.in = ins;
    op.out = outs;
    *n = op.n_out;
    *out = md_arena_calloc(w->arena, (size_t)*n + 1, sizeof(**out));
    if (!*out)
        return md_fail_nomem(w->err, *n);
    if (!usable) {
        if (w->n_refusals == 0)
            return md_tf_refuse(w, "of a variable or a table");
        return MD_OK;
    }
    for (uint32_t i = 0; i < *n; i++)
        (*out)[i] = (md_tf_ref){ .kind = MD_TF_REF_TENSOR,
                                 .tensor = outs[i],
                                 .condition = mark.condition,
                                 .side = mark.side };
    return md_tf_add_op(w, &op);
}

md_status md_tf_lower_node(md_tf_ref **out, uint32_t *n, md_tf_lower *w,
                           const md_tf_frame *f, const md_tf_node *node)
{
    const md_tf_row *row = md_tf_row_find(node->op);
    bool done = false;

    if (row)
        return lower_row(out, n, w, f, node, row);
    MD_TRY(md_tf_n_outputs(n, w, node));
    if (*n > OUTPUTS_MAX)
        return md_tf_fail(w, MD_CORRUPT, "%u outputs", *n);
    *out = md_arena_calloc(w->arena, (size_t)*n + 1, sizeof(**out));
    if (!*out)
        return md_fail_nomem(w->err, *n);
    for (uint32_t i = 0; i < *n; i++)
        (*out)[i] = (md_tf_ref){ .condition = -1 };
    if (is_old_loop(node))
        return md_tf_refuse(w, "a loop of TensorFlow 1");
    MD_TRY(md_tf_lower_special(&done, *out, *n, w, f, node));
    if (!done)
        MD_TRY(md_tf_lower_window(&done, *out, w, f, node));
    if (!done)
        MD_TRY(md_tf_lower_fused(&done, *out, w, f, node));
    if (!done)
        return md_tf_refuse(w, "");
    return MD_OK;
}
