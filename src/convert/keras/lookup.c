/*
 * Layers that make indices of words and numbers, and vectors of these:
 * StringLookup, IntegerLookup, CategoryEncoding, Discretization.
 *
 * A vocabulary is a LabelEncoder of ai.onnx.ml.  Index 0 is the mask's where
 * there is one, then come the indices of what is unknown, then the words.
 */
#include <stdlib.h>
#include <string.h>

#include "convert/keras/layer.h"

enum {
    ML_OPSET = 4,
    WORDS_MAX = 1 << 24
};

/* --- vectors of indices -------------------------------------------------- */

/* What becomes of indices: output_mode. */
typedef struct encoding {
    const char *mode;
    int64_t depth;
    md_dtype dtype;
    const float *weights; /* [depth], of tf_idf */
} encoding;

/* The mode under its present name. */
static const char *read_mode(const md_keras_build *b, const char *otherwise)
{
    const char *mode =
        md_keras_text(b->layer->config, "output_mode", otherwise);

    return strcmp(mode, "binary") == 0   ? "multi_hot"
           : strcmp(mode, "tf-idf") == 0 ? "tf_idf"
                                         : mode;
}

static md_status cast(md_keras_value *v, md_keras_build *b, md_dtype to,
                      md_error *err)
{
    md_node *node;

    if (v->dtype == to)
        return MD_OK;
    if (v->dtype == MD_DTYPE_STRING)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "text where it looks up numbers");
    MD_TRY(md_keras_op(&v->id, b, "Cast", &v->id, 1, &node, err));
    v->dtype = to;
    return md_node_set_attr_i(b->g, node, "to", to, err);
}

/* x op a scalar of its type. */
static md_status with_number(md_value_id *out, md_keras_build *b,
                             const char *op, const md_keras_value *x,
                             int64_t number, md_error *err)
{
    md_tensor t = MD_TENSOR_INIT;
    md_value_id in[2] = { x->id };

    MD_TRY(md_tensor_alloc(&t, x->dtype, &(md_shape){ 0, { 0 } },
                           b->model->alloc, err));
    md_tensor_set_i64(&t, 0, number);
    MD_TRY(md_keras_const(&in[1], b, "number", t, err));
    return md_keras_op(out, b, op, in, 2, NULL, err);
}

/* [..., depth] with ones at the indices; others than 0 to depth - 1 leave
 * zeros. */
static md_status one_hot(md_keras_value *v, md_keras_build *b,
                         const encoding *e, md_error *err)
{
    md_value_id in[3] = { v->id };
    md_tensor t = MD_TENSOR_INIT;

    if (v->rank + 1 > MD_RANK_MAX)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "input of rank %d",
                             v->rank);
    MD_TRY(md_keras_const_ints(&in[1], b, "depth", &e->depth, 1, err));
    MD_TRY(md_tensor_alloc(&t, e->dtype, &(md_shape){ 1, { 2 } },
                           b->model->alloc, err));
    for (int i = 0; i < 2; i++)
        md_tensor_set_i64(&t, i, i);
    MD_TRY(md_keras_const(&in[2], b, "values", t, err));
    MD_TRY(md_keras_op(&v->id, b, "OneHot", in, 3, NULL, err));
    v->dtype = e->dtype;
    v->dim[v->rank++] = e->depth;
    return MD_OK;
}

/* Sum or largest along axis 1, which goes. */
static md_status reduce(md_keras_value *v, md_keras_build *b, const char *op,
                        md_error *err)
{
    static const int64_t axis = 1;
    md_value_id in[2] = { v->id };
    md_node *node;

    MD_TRY(md_keras_const_ints(&in[1], b, "axes", &axis, 1, err));
    MD_TRY(md_keras_op(&v->id, b, op, in, 2, &node, err));
    memmove(&v->dim[1], &v->dim[2], (size_t)(v->rank - 2) * sizeof(*v->dim));
    v->rank--;
    return md_node_set_attr_i(b->g, node, "keepdims", 0, err);
}

/* v are indices of type int64. */
static md_status encode(md_keras_value *v, md_keras_build *b, const encoding *e,
                        md_error *err)
{
    const bool one = strcmp(e->mode, "one_hot") == 0;
    const bool many = strcmp(e->mode, "multi_hot") == 0;
    md_keras_value counts;

    if (strcmp(e->mode, "int") == 0)
        return cast(v, b, e->dtype, err);
    if (!one && !many && strcmp(e->mode, "count") != 0 && !e->weights)
        return md_keras_refuse(b, err, "output_mode");
    if (!one && v->rank < 2)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "output_mode '%s' of an input of rank %d", e->mode,
                             v->rank);
    if (one && v->rank > 1 && v->dim[v->rank - 1] == 1) {
        MD_TRY(md_keras_squeeze(&v->id, b, "Squeeze", v->id, -1, err));
        v->rank--;
    }
    MD_TRY(one_hot(v, b, e, err));
    if (one)
        return MD_OK;
    MD_TRY(reduce(v, b, many ? "ReduceMax" : "ReduceSum", err));
    if (!e->weights)
        return MD_OK;
    MD_TRY(cast(v, b, MD_DTYPE_F32, err));
    counts = *v;
    return md_keras_scale(v, b, &counts, v->rank - 1, e->depth, e->weights,
                          NULL, err);
}

/* The type of what a layer gives that makes vectors: its policy's. */
static md_dtype result_type(const md_keras_build *b)
{
    const json_t *v = json_object_get(b->layer->config, "dtype");
    const char *name;
    md_dtype type;

    if (json_is_object(v)) /* a DTypePolicy */
        v = json_object_get(json_object_get(v, "config"), "name");
    name = json_string_value(v);
    type = name ? md_dtype_parse(name) : MD_DTYPE_F32;
    return md_dtype_is_integer(type) ? type : MD_DTYPE_F32;
}

md_status md_keras_emit_category_encoding(md_keras_build *b,
                                          const md_keras_value *x, uint32_t n_x,
                                          md_keras_value *out, md_error *err)
{
    const json_t *c = b->layer->config;
    const encoding e = { .mode = read_mode(b, "multi_hot"),
                         .depth = md_keras_int(
                             c, "num_tokens", md_keras_int(c, "max_tokens", 0)),
                         .dtype = result_type(b) };

    (void)n_x;
    if (e.depth < 1 || e.depth > INT32_MAX)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "num_tokens %lld, a fixed number expected",
                             (long long)e.depth);
    MD_TRY(md_keras_last(out, b, x, err));
    MD_TRY(cast(out, b, MD_DTYPE_I64, err));
    return encode(out, b, &e, err);
}

/* The bin's index is the number of boundaries that are not above the value. */
md_status md_keras_emit_discretization(md_keras_build *b,
                                       const md_keras_value *x, uint32_t n_x,
                                       md_keras_value *out, md_error *err)
{
    const json_t *list = json_object_get(b->layer->config, "bin_boundaries");
    const size_t n = json_array_size(list);
    const encoding e = { .mode = read_mode(b, "int"),
                         .depth = (int64_t)n + 1,
                         .dtype = strcmp(read_mode(b, "int"), "int") == 0
                                      ? MD_DTYPE_I32
                                      : MD_DTYPE_F32 };
    static const int64_t last = -1;
    md_tensor t = MD_TENSOR_INIT;
    md_value_id in[2];
    md_node *node;

    (void)n_x;
    if (n == 0 || n > WORDS_MAX)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "without bin_boundaries: it was never adapted");
    MD_TRY(md_keras_last(out, b, x, err));
    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_F32, &(md_shape){ 1, { (int64_t)n } },
                           b->model->alloc, err));
    for (size_t i = 0; i < n; i++)
        ((float *)t.data)[i] =
            (float)json_number_value(json_array_get(list, i));
    MD_TRY(md_keras_const(&in[1], b, "boundaries", t, err));
    MD_TRY(md_keras_squeeze(&in[0], b, "Unsqueeze", out->id, -1, err));
    MD_TRY(md_keras_op(&in[0], b, "GreaterOrEqual", in, 2, NULL, err));
    MD_TRY(md_keras_op(&in[0], b, "Cast", in, 1, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "to", MD_DTYPE_I64, err));
    MD_TRY(md_keras_const_ints(&in[1], b, "axes", &last, 1, err));
    MD_TRY(md_keras_op(&out->id, b, "ReduceSum", in, 2, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "keepdims", 0, err));
    out->dtype = MD_DTYPE_I64;
    out->mask = 0;
    return encode(out, b, &e, err);
}

/* --- vocabularies -------------------------------------------------------- */

/* A list of words or numbers, in the model's arena. */
typedef struct words {
    md_tensor *t; /* [n + 1]: room for the mask in front */
    int64_t n;
} words;

static bool is_number(const md_keras_build *b)
{
    return strcmp(b->layer->cls, "IntegerLookup") == 0;
}

static md_status new_list(md_tensor **out, md_keras_build *b, md_dtype dtype,
                          int64_t n, md_error *err)
{
    md_arena *ar = &b->model->arena;
    const size_t each = dtype == MD_DTYPE_STRING ? sizeof(md_str) : 8;
    md_tensor *t = md_arena_calloc(ar, 1, sizeof(*t));

    if (t)
        t->data = md_arena_calloc(ar, (size_t)n, each);
    if (!t || !t->data)
        return md_fail_nomem(err, (size_t)n * each);
    t->dtype = dtype;
    t->shape = (md_shape){ 1, { n } };
    *out = t;
    return MD_OK;
}

/* Element i of a list is the n characters of text. */
static md_status set_word(md_tensor *t, int64_t i, md_keras_build *b,
                          const char *text, size_t n, md_error *err)
{
    const char *copy;

    if (t->dtype != MD_DTYPE_STRING) {
        char *end;
        const char *z = md_arena_strndup(b->arena, text, n);

        if (!z)
            return md_fail_nomem(err, n);
        ((int64_t *)t->data)[i] = strtoll(z, &end, 10);
        if (n > 0 && !*end)
            return MD_OK;
        return md_keras_fail(b, err, MD_CORRUPT,
                             "'%.40s' in the vocabulary is no number", z);
    }
    copy = md_arena_strndup(&b->model->arena, text, n);
    if (!copy)
        return md_fail_nomem(err, n);
    ((md_str *)t->data)[i] = (md_str){ copy, n };
    return MD_OK;
}

/* A token as the configuration has it: text or a number. */
static md_status set_token(md_tensor *t, int64_t i, md_keras_build *b,
                           const json_t *v, md_error *err)
{
    if (t->dtype == MD_DTYPE_STRING && json_is_string(v))
        return set_word(t, i, b, json_string_value(v), json_string_length(v),
                        err);
    if (t->dtype != MD_DTYPE_STRING && json_is_integer(v)) {
        ((int64_t *)t->data)[i] = json_integer_value(v);
        return MD_OK;
    }
    return md_keras_fail(b, err, MD_CORRUPT, "token %lld is no %s",
                         (long long)i,
                         t->dtype == MD_DTYPE_STRING ? "text" : "integer");
}

static md_status words_of_list(words *w, md_keras_build *b, const json_t *list,
                               md_dtype type, md_error *err)
{
    w->n = (int64_t)json_array_size(list);
    MD_TRY(new_list(&w->t, b, type, w->n + 1, err));
    for (int64_t i = 0; i < w->n; i++)
        MD_TRY(set_token(w->t, i + 1, b, json_array_get(list, (size_t)i), err));
    return MD_OK;
}

/* The lines of a file, without empty ones at its end. */
static md_status words_of_text(words *w, md_keras_build *b, md_str text,
                               md_dtype type, md_error *err)
{
    const char *at = text.p, *end = text.p + text.n;

    while (end > at && (end[-1] == '\n' || end[-1] == '\r'))
        end--;
    w->n = end > at;
    for (const char *p = at; p < end; p++)
        w->n += *p == '\n';
    MD_TRY(new_list(&w->t, b, type, w->n + 1, err));
    for (int64_t i = 0; i < w->n; i++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((stop ? stop : end) - at);

        MD_TRY(set_word(w->t, i + 1, b, at,
                        n > 0 && at[n - 1] == '\r' ? n - 1 : n, err));
        at += n + 1;
    }
    return MD_OK;
}

static md_status read_words(words *w, md_keras_build *b, md_dtype type,
                            md_error *err)
{
    const json_t *list = json_object_get(b->layer->config, "vocabulary");

    if (json_is_array(list) && json_array_size(list) <= WORDS_MAX)
        return words_of_list(w, b, list, type, err);
    if (list && !json_is_null(list))
        return md_keras_refuse(b, err, "vocabulary");
    if (!b->layer->vocabulary.p)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "without a vocabulary: it was never adapted, or "
                             "saved in a format that leaves it out (.h5)");
    return words_of_text(w, b, b->layer->vocabulary, type, err);
}

/* One layer's table. */
typedef struct table {
    words w;
    bool invert, has_mask;
    bool whole;      /* of indices, not of vectors */
    int64_t n_oov;   /* indices of what is unknown */
    int64_t oov;     /* the first of these */
    int64_t first;   /* of the words */
    int64_t skipped; /* words at the list's begin that are special ones */
    encoding e;
} table;

static bool same_token(const md_tensor *t, int64_t i, const json_t *v)
{
    if (t->dtype == MD_DTYPE_STRING) {
        const md_str *s = (const md_str *)t->data + i;
        const char *text = json_string_value(v);

        return text && s->n == json_string_length(v) &&
               memcmp(s->p, text, s->n) == 0;
    }
    return json_is_integer(v) &&
           ((const int64_t *)t->data)[i] == json_integer_value(v);
}

/* The list may have the special tokens already. */
static void skip_special(table *t, const md_keras_build *b)
{
    const json_t *c = b->layer->config;

    if (t->first > t->w.n)
        return;
    for (int64_t i = 0; i < t->first; i++) {
        const char *key = i < t->oov ? "mask_token" : "oov_token";

        if (!same_token(t->w.t, i + 1, json_object_get(c, key)))
            return;
    }
    t->skipped = t->first;
}

static md_status read_weights(table *t, md_keras_build *b, md_error *err)
{
    const json_t *list = json_object_get(b->layer->config, "idf_weights");
    const int64_t n = (int64_t)json_array_size(list);
    float *to = md_arena_calloc(b->arena, (size_t)t->e.depth, sizeof(*to));
    const int64_t front = t->skipped > 0 ? 0 : t->first;
    double mean = 0;

    if (!to)
        return md_fail_nomem(err, (size_t)t->e.depth * sizeof(*to));
    t->e.weights = to;
    if (b->layer->n_w == 1) {
        const md_tensor *w;

        MD_TRY(md_keras_weight(&w, b, 0, 1, &t->e.depth, err));
        for (int64_t i = 0; i < t->e.depth; i++)
            to[i] = (float)md_tensor_get_f64(w, i);
        return MD_OK;
    }
    if (n != t->w.n || front + n > t->e.depth)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "%lld idf_weights for %lld words", (long long)n,
                             (long long)t->w.n);
    for (int64_t i = 0; i < n; i++) {
        to[front + i] =
            (float)json_number_value(json_array_get(list, (size_t)i));
        mean += to[front + i] / (double)n;
    }
    for (int64_t i = 0; i < front; i++)
        to[i] = (float)mean;
    return MD_OK;
}

static md_status read_table(table *t, md_keras_build *b, md_error *err)
{
    const json_t *c = b->layer->config;
    const json_t *mask = json_object_get(c, "mask_token");
    int64_t depth;

    t->e = (encoding){ .mode = read_mode(b, "int"), .dtype = MD_DTYPE_I64 };
    t->invert = md_keras_bool(c, "invert", false);
    t->has_mask = mask && !json_is_null(mask);
    t->whole = strcmp(t->e.mode, "int") == 0;
    t->n_oov = md_keras_int(c, "num_oov_indices", 1);
    t->oov = t->has_mask && t->whole;
    if (t->n_oov < 0 || t->n_oov > WORDS_MAX || (t->invert && !t->whole))
        return md_keras_refuse(b, err,
                               t->invert ? "output_mode" : "num_oov_indices");
    if (t->n_oov > 1 && !t->invert &&
        (!is_number(b) ||
         strcmp(md_keras_text(c, "oov_method", "floormod"), "floormod") != 0))
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "num_oov_indices %lld: what is unknown is told "
                             "apart by FarmHash, for which ONNX has nothing",
                             (long long)t->n_oov);
    MD_TRY(read_words(&t->w, b, is_number(b) ? MD_DTYPE_I64 : MD_DTYPE_STRING,
                      err));
    t->first = t->oov + t->n_oov;
    skip_special(t, b);
    depth = t->first + t->w.n - t->skipped;
    t->e.depth = md_keras_bool(c, "pad_to_max_tokens", false)
                     ? md_keras_int(c, "max_tokens", depth)
                     : depth;
    if (depth <= t->first || t->e.depth < depth)
        return md_keras_fail(
            b, err, MD_CORRUPT, "a vocabulary of %lld words, of at most %lld",
            (long long)(depth - t->first), (long long)t->e.depth);
    return strcmp(t->e.mode, "tf_idf") == 0 ? read_weights(t, b, err) : MD_OK;
}

/* The list from the mask on, or the first word, as a tensor. */
static md_tensor view(const md_tensor *all, int64_t from)
{
    const size_t each = all->dtype == MD_DTYPE_STRING ? sizeof(md_str) : 8;
    md_tensor t = *all;

    t.data = (char *)all->data + (size_t)from * each;
    t.shape.dim[0] -= from;
    return t;
}

/* Words and their indices, as lists of one length; what is the mask has the
 * index `mask`. */
static md_status pair(md_tensor *tokens, md_tensor **indices, const table *t,
                      md_keras_build *b, int64_t mask, md_error *err)
{
    const int64_t from = t->skipped + !t->has_mask;
    const int64_t n = t->w.n + 1 - from;
    int64_t *to;

    MD_TRY(new_list(indices, b, MD_DTYPE_I64, n, err));
    to = (*indices)->data;
    for (int64_t i = 0; i < n; i++)
        to[i] = t->first + i - t->has_mask;
    *tokens = view(t->w.t, from);
    if (!t->has_mask)
        return MD_OK;
    to[0] = mask;
    return set_token(t->w.t, from, b,
                     json_object_get(b->layer->config, "mask_token"), err);
}

static md_status label_encoder(md_value_id *out, md_keras_build *b,
                               md_value_id x, const md_tensor *keys,
                               const md_tensor *values,
                               const md_tensor *otherwise, md_error *err)
{
    static const char *const name[] = { "keys_tensor", "values_tensor",
                                        "default_tensor" };
    const md_tensor *t[] = { keys, values, otherwise };
    md_node *node;

    MD_TRY(md_model_set_opset(b->model, "ai.onnx.ml", ML_OPSET, err));
    MD_TRY(md_graph_add_value(out, b->g, NULL, err));
    MD_TRY(md_keras_stem(b, *out, "LabelEncoder", err));
    MD_TRY(md_graph_add_node(
        &node, b->g,
        &(md_node_spec){ "ai.onnx.ml", "LabelEncoder", NULL, &x, 1, out, 1 },
        err));
    for (int i = 0; i < 3; i++) {
        const md_attr a = { .name = name[i],
                            .type = MD_ATTR_TENSOR,
                            .v.t = t[i] };

        MD_TRY(md_node_add_attr(b->g, node, &a, err));
    }
    return MD_OK;
}

/* Indices to words. */
static md_status look_back(md_keras_value *v, const table *t, md_keras_build *b,
                           md_error *err)
{
    md_tensor *keys, *values, *otherwise, tokens;

    MD_TRY(cast(v, b, MD_DTYPE_I64, err));
    MD_TRY(pair(&tokens, &keys, t, b, 0, err));
    MD_TRY(new_list(&values, b, tokens.dtype, 1, err));
    *values = tokens;
    MD_TRY(new_list(&otherwise, b, tokens.dtype, 1, err));
    MD_TRY(set_token(otherwise, 0, b,
                     json_object_get(b->layer->config, "oov_token"), err));
    v->dtype = tokens.dtype;
    return label_encoder(&v->id, b, v->id, keys, values, otherwise, err);
}

/* Numbers that are not there share several indices, by the remainder. */
static md_status spread_unknown(md_keras_value *v, const table *t,
                                md_keras_build *b, const md_keras_value *x,
                                md_error *err)
{
    md_keras_value rest = *x;
    md_value_id in[3];

    MD_TRY(with_number(&rest.id, b, "Mod", x, t->n_oov, err));
    MD_TRY(with_number(&in[1], b, "Add", &rest, t->oov, err));
    MD_TRY(with_number(&in[0], b, "Equal", v, -1, err));
    in[2] = v->id;
    return md_keras_op(&v->id, b, "Where", in, 3, NULL, err);
}

/* Words to indices. */
static md_status look_up(md_keras_value *v, const table *t, md_keras_build *b,
                         md_error *err)
{
    /* beyond the vectors: a mask leaves them alone, and so does, where nothing
     * may be unknown, what is */
    const int64_t none = t->whole ? -1 : t->e.depth;
    md_tensor *keys, *values, *otherwise, tokens;
    md_keras_value x;

    if (is_number(b))
        MD_TRY(cast(v, b, MD_DTYPE_I64, err));
    else if (v->dtype != MD_DTYPE_STRING)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "numbers where it looks "
                             "up text");
    x = *v;
    MD_TRY(pair(&tokens, &values, t, b, t->whole ? 0 : t->e.depth, err));
    MD_TRY(new_list(&keys, b, tokens.dtype, 1, err));
    *keys = tokens;
    MD_TRY(new_list(&otherwise, b, MD_DTYPE_I64, 1, err));
    *(int64_t *)otherwise->data = t->n_oov == 1  ? t->oov
                                  : t->n_oov > 1 ? -1
                                                 : none;
    MD_TRY(label_encoder(&v->id, b, v->id, keys, values, otherwise, err));
    v->dtype = MD_DTYPE_I64;
    if (t->n_oov > 1)
        MD_TRY(spread_unknown(v, t, b, &x, err));
    return encode(v, b, &t->e, err);
}

md_status md_keras_emit_lookup(md_keras_build *b, const md_keras_value *x,
                               uint32_t n_x, md_keras_value *out, md_error *err)
{
    table t = { .skipped = 0 };

    (void)n_x;
    MD_TRY(read_table(&t, b, err));
    MD_TRY(md_keras_last(out, b, x, err));
    out->mask = 0;
    return t.invert ? look_back(out, &t, b, err) : look_up(out, &t, b, err);
}
