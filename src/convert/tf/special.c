/* Nodes that carry something on, hold something, or call something. */
#include <string.h>

#include "convert/tf/lower.h"

typedef md_status lower_fn(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                           const md_tf_frame *f, const md_tf_node *node);

/* A node of the table below. */
typedef struct special {
    const char *op;
    lower_fn *lower;
    const char *outputs; /* attribute that lists or counts them; NULL: one */
    uint32_t n_outputs;  /* without such an attribute; 0: one */
} special;

static md_status lower_const(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                             const md_tf_frame *f, const md_tf_node *node)
{
    const md_tf_tensor *known = w->js ? md_tfjs_find(w->js, node->name) : NULL;
    md_tf_tensor t;

    (void)n_out;
    (void)f;
    out->kind = MD_TF_REF_TENSOR;
    if (known)
        return md_tf_add_const(&out->tensor, w, node->name, known);
    MD_TRY(md_tf_attr_tensor(&t, node, "value", w->arena, w->err));
    return md_tf_add_const(&out->tensor, w, node->name, &t);
}

/* Input i is output i. */
static md_status pass(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                      const md_tf_frame *f, const md_tf_node *node)
{
    for (uint32_t i = 0; i < n_out; i++)
        MD_TRY(md_tf_input(&out[i], w, f, node, i));
    return MD_OK;
}

static md_status nothing(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                         const md_tf_frame *f, const md_tf_node *node)
{
    (void)out;
    (void)n_out;
    (void)w;
    (void)f;
    (void)node;
    return MD_OK;
}

static md_status fail_input(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                            const md_tf_frame *f, const md_tf_node *node)
{
    (void)out;
    (void)n_out;
    (void)f;
    (void)node;
    return md_tf_fail(w, MD_CORRUPT,
                      "an input that is none of the model's is needed");
}

/* A variable or a table, used by whoever takes it. */
static md_status hold(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                      const md_tf_frame *f, const md_tf_node *node)
{
    (void)n_out;
    (void)w;
    (void)f;
    out->kind = MD_TF_REF_RESOURCE;
    out->resource = node;
    return MD_OK;
}

/* A variable of TensorFlow 1, which is read as it is named. */
static md_status old_variable(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                              const md_tf_frame *f, const md_tf_node *node)
{
    (void)n_out;
    (void)f;
    return md_tf_read_variable(out, w, node);
}

/* The variable that input 0 is. */
static md_status variable_input(md_tf_ref *out, md_tf_lower *w,
                                const md_tf_frame *f, const md_tf_node *node)
{
    md_tf_ref ref;

    MD_TRY(md_tf_input(&ref, w, f, node, 0));
    if (ref.kind != MD_TF_REF_RESOURCE ||
        strcmp(ref.resource->op, "VarHandleOp") != 0) {
        *out = (md_tf_ref){ .condition = -1 };
        return md_tf_refuse(w, "its input is no variable");
    }
    return md_tf_read_variable(out, w, ref.resource);
}

static md_status read_variable(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                               const md_tf_frame *f, const md_tf_node *node)
{
    (void)n_out;
    return variable_input(out, w, f, node);
}

/* ResourceGather(variable, indices): rows of the variable */
static md_status gather_variable(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                                 const md_tf_frame *f, const md_tf_node *node)
{
    static const md_tf_field fields[] = { { .kind = MD_TF_FIELD_INT },
                                          { .kind = MD_TF_FIELD_INT } };
    enum {
        GATHER = 36
    };
    md_fb_table options;
    md_tf_ref ref[2];
    int32_t in[2];
    int64_t batch;

    (void)n_out;
    MD_TRY(variable_input(&ref[0], w, f, node));
    MD_TRY(md_tf_input(&ref[1], w, f, node, 1));
    MD_TRY(md_tf_attr_int(&batch, node, "batch_dims", 0, w->err));
    if (ref[0].kind != MD_TF_REF_TENSOR || ref[1].kind != MD_TF_REF_TENSOR)
        return MD_OK;
    if (batch != 0)
        return md_tf_refuse(w, "batch axes");
    MD_TRY(md_tf_make_options(&options, w, fields, 2));
    in[0] = ref[0].tensor;
    in[1] = ref[1].tensor;
    out->kind = MD_TF_REF_TENSOR;
    return md_tf_add_simple(&out->tensor, w, GATHER, in, 2,
                            w->made->tensors[in[0]].dtype, options);
}

/* --- tables --- */

/* LookupTableFindV2(table, keys, otherwise): its operator has the words and
 * what they stand for as inputs 2 and 3. */
static md_status look_up(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                         const md_tf_frame *f, const md_tf_node *node)
{
    const md_tf_table *table;
    md_tf_ref ref[3];
    int32_t in[4];
    int64_t type;

    (void)n_out;
    for (uint32_t i = 0; i < 3; i++)
        MD_TRY(md_tf_input(&ref[i], w, f, node, i));
    if (ref[1].kind != MD_TF_REF_TENSOR || ref[2].kind != MD_TF_REF_TENSOR)
        return MD_OK;
    table = ref[0].kind == MD_TF_REF_RESOURCE
                ? md_tf_find_table(w, ref[0].resource)
                : NULL;
    if (!table || !table->is_known)
        return md_tf_refuse(w, "a table whose contents are not in the file");
    in[0] = ref[1].tensor;
    in[1] = ref[2].tensor;
    MD_TRY(md_tf_add_const(&in[2], w, "keys", &table->keys));
    MD_TRY(md_tf_add_const(&in[3], w, "values", &table->values));
    MD_TRY(md_tf_attr_int(&type, node, "Tout", 0, w->err));
    out->kind = MD_TF_REF_TENSOR;
    return md_tf_add_simple(
        &out->tensor, w, md_tf_own_code("LookupTableFindV2"), in, 4,
        type > 0 && type < 200 ? md_tf_dtype((int)type) : MD_DTYPE_NONE,
        (md_fb_table){ .fb = NULL });
}

static md_status table_size(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                            const md_tf_frame *f, const md_tf_node *node)
{
    md_tf_tensor t = { .dtype = MD_DTYPE_I64, .size = sizeof(int64_t) };
    const md_tf_table *table;
    md_tf_ref ref;
    int64_t *n;

    (void)n_out;
    MD_TRY(md_tf_input(&ref, w, f, node, 0));
    table = ref.kind == MD_TF_REF_RESOURCE ? md_tf_find_table(w, ref.resource)
                                           : NULL;
    if (!table || !table->is_known)
        return md_tf_refuse(w, "a table whose contents are not in the file");
    n = md_arena_calloc(w->arena, 1, sizeof(*n));
    if (!n)
        return md_fail_nomem(w->err, sizeof(*n));
    *n = md_shape_n(&table->keys.shape);
    t.data = (const unsigned char *)n;
    out->kind = MD_TF_REF_TENSOR;
    return md_tf_add_const(&out->tensor, w, node->name, &t);
}

/* --- calls --- */

static md_status call(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                      const md_tf_frame *f, const md_tf_node *node)
{
    uint32_t n = md_tf_n_inputs(node);
    md_tf_ref *args = md_arena_calloc(w->arena, (size_t)n + 1, sizeof(*args));
    const char *name;

    if (!args)
        return md_fail_nomem(w->err, n);
    for (uint32_t i = 0; i < n; i++)
        MD_TRY(md_tf_input(&args[i], w, f, node, i));
    MD_TRY(md_tf_attr_function(&name, node, "f", w->arena, w->err));
    return md_tf_call(out, w, name, args, n, n_out);
}

/* --- Switch and Merge of TensorFlow 1 --- */

/* Both sides are computed, and Merge chooses: nothing here has an effect. */
static md_status lower_switch(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                              const md_tf_frame *f, const md_tf_node *node)
{
    md_tf_ref x;
    md_tf_ref condition;

    MD_TRY(md_tf_input(&x, w, f, node, 0));
    MD_TRY(md_tf_input(&condition, w, f, node, 1));
    if (condition.kind != MD_TF_REF_TENSOR)
        return MD_OK;
    for (uint32_t i = 0; i < n_out; i++) {
        out[i] = x;
        out[i].condition = condition.tensor;
        out[i].side = i == 1;
    }
    return MD_OK;
}

static md_status lower_merge(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                             const md_tf_frame *f, const md_tf_node *node)
{
    enum {
        SELECT_V2 = 123
    };
    md_tf_ref ref[2];
    const md_tflite_tensor *c;
    int32_t in[3];

    (void)n_out;
    if (md_tf_n_inputs(node) != 2)
        return md_tf_refuse(w, "of other than two branches");
    for (uint32_t i = 0; i < 2; i++) {
        MD_TRY(md_tf_input(&ref[i], w, f, node, i));
        if (ref[i].kind != MD_TF_REF_TENSOR)
            return MD_OK;
    }
    if (ref[0].condition < 0 || ref[0].condition != ref[1].condition ||
        ref[0].side == ref[1].side)
        return md_tf_refuse(w, "branches of different conditions");
    c = &w->made->tensors[ref[0].condition];
    if (c->data && c->dtype == MD_DTYPE_BOOL && c->rank == 0) {
        out[0] = ref[0].side == (c->data[0] != 0) ? ref[0] : ref[1];
        out[0].condition = -1;
        return MD_OK;
    }
    in[0] = ref[0].condition;
    in[1] = ref[ref[0].side ? 0 : 1].tensor;
    in[2] = ref[ref[0].side ? 1 : 0].tensor;
    out[0].kind = MD_TF_REF_TENSOR;
    return md_tf_add_simple(&out[0].tensor, w, SELECT_V2, in, 3,
                            w->made->tensors[in[1]].dtype,
                            (md_fb_table){ .fb = NULL });
}

static const special specials[] = {
    { "Assert", nothing, NULL, 0 },
    { "AnonymousHashTable", hold, NULL, 0 },
    { "AnonymousMutableHashTable", hold, NULL, 0 },
    { "CheckNumerics", pass, NULL, 0 },
    { "CheckNumericsV2", pass, NULL, 0 },
    { "Const", lower_const, NULL, 0 },
    { "DebugGradientIdentity", pass, NULL, 0 },
    { "DisableCopyOnRead", nothing, NULL, 0 },
    { "EnsureShape", pass, NULL, 0 },
    { "HashTable", hold, NULL, 0 },
    { "HashTableV2", hold, NULL, 0 },
    { "Identity", pass, NULL, 0 },
    { "IdentityN", pass, "T", 0 },
    { "EmptyTensorList", md_tf_list_empty, NULL, 0 },
    { "If", md_tf_lower_if, "Tout", 0 },
    { "LookupTableFind", look_up, NULL, 0 },
    { "LookupTableFindV2", look_up, NULL, 0 },
    { "LookupTableSize", table_size, NULL, 0 },
    { "LookupTableSizeV2", table_size, NULL, 0 },
    { "Merge", lower_merge, NULL, 2 },
    { "MutableHashTableV2", hold, NULL, 0 },
    { "NoOp", nothing, NULL, 0 },
    { "PartitionedCall", call, "Tout", 0 },
    { "Placeholder", fail_input, NULL, 0 },
    { "PlaceholderV2", fail_input, NULL, 0 },
    { "PlaceholderWithDefault", pass, NULL, 0 },
    { "PreventGradient", pass, NULL, 0 },
    { "ReadVariableOp", read_variable, NULL, 0 },
    { "ResourceGather", gather_variable, NULL, 0 },
    { "Snapshot", pass, NULL, 0 },
    { "StatefulPartitionedCall", call, "Tout", 0 },
    { "StatelessIf", md_tf_lower_if, "Tout", 0 },
    { "StatelessWhile", md_tf_lower_while, "T", 0 },
    { "StopGradient", pass, NULL, 0 },
    { "Switch", lower_switch, NULL, 2 },
    { "RefSwitch", lower_switch, NULL, 2 },
    { "RefMerge", lower_merge, NULL, 2 },
    { "RefIdentity", pass, NULL, 0 },
    { "TensorListFromTensor", pass, NULL, 0 },
    { "TensorListPushBack", md_tf_list_push, NULL, 0 },
    { "TensorListReserve", md_tf_list_reserve, NULL, 0 },
    { "TensorListSetItem", md_tf_list_set, NULL, 0 },
    { "TensorListStack", pass, NULL, 0 },
    { "VarHandleOp", hold, NULL, 0 },
    { "Variable", old_variable, NULL, 0 },
    { "VariableV2", old_variable, NULL, 0 },
    { "While", md_tf_lower_while, "T", 0 },
};

static const special *find(const char *op)
{
    for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
        if (strcmp(specials[i].op, op) == 0)
            return &specials[i];
    }
    return NULL;
}

md_status md_tf_n_outputs(uint32_t *out, md_tf_lower *w, const md_tf_node *node)
{
    const special *s = find(node->op);
    int64_t unused;

    *out = s && s->n_outputs ? s->n_outputs : 1;
    if (s && s->outputs)
        return md_tf_attr_ints(&unused, 1, out, node, s->outputs, w->err);
    return MD_OK;
}

md_status md_tf_lower_special(bool *done, md_tf_ref *out, uint32_t n_out,
                              md_tf_lower *w, const md_tf_frame *f,
                              const md_tf_node *node)
{
    const special *s = find(node->op);

    *done = s != NULL;
    return s ? s->lower(out, n_out, w, f, node) : MD_OK;
}
