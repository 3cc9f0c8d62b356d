/* Stop words taken out, the rest in lower or upper case.  Cases are Unicode's,
 * whatever language `locale` names, so that a model answers everywhere alike. */
#include <string.h>

#include "base/letters.h"
#include "base/utf8.h"
#include "ops/common/ml.h"

enum change {
    NONE,
    LOWER,
    UPPER
};

static md_status change_of(enum change *out, const md_node *n, md_error *err)
{
    static const char *const names[] = { "NONE", "LOWER", "UPPER" };
    const char *name = md_node_attr_s(n, "case_change_action", "NONE");

    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum change)i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID,
                   "case_change_action is '%s', NONE, LOWER or UPPER expected",
                   name);
}

/* s in another case, in the arena. */
static md_status convert(md_str *out, md_str s, enum change change,
                         const md_letters *letters, md_arena *ar, md_error *err)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n = 0, size;
    char *to;

    *out = s;
    if (change == NONE || s.n == 0)
        return MD_OK;
    if (!md_utf8_valid(s.p, s.n))
        return md_fail(err, MD_INVALID, "a string is not UTF-8");
    if (!md_mul_size(&size, s.n, 4))
        return md_fail_nomem(err, SIZE_MAX);
    to = md_arena_alloc(ar, size);
    if (!to)
        return md_fail_nomem(err, size);
    for (size_t at = 0; at < s.n;) {
        size_t k = md_utf8_next(p + at, s.n - at);
        uint32_t rune = md_utf8_get(p + at, k);

        rune = change == LOWER ? md_letters_lower(letters, rune)
                               : md_letters_upper(letters, rune);
        n += md_utf8_put(to + n, rune);
        at += k;
    }
    *out = (md_str){ to, n };
    return MD_OK;
}

/* All strings of t in lower case, for the search. */
static md_status fold(md_tensor *t, const md_letters *letters, md_arena *ar,
                      md_error *err)
{
    const md_str *from = t->data;
    md_str *to;

    MD_TRY(md_exec__scratch(&to, ar, md_tensor_n(t), sizeof(*to), err));
    for (int64_t i = 0; i < md_tensor_n(t); i++)
        MD_TRY(convert(&to[i], from[i], LOWER, letters, ar, err));
    t->data = to;
    return MD_OK;
}

/* keep[i]: element i is no stop word; *n_kept counts them. */
static md_status find_kept(const md_node *n, const md_tensor *in, uint8_t *keep,
                           int64_t *n_kept, const md_letters *letters,
                           md_arena *ar, md_error *err)
{
    bool exact = md_node_attr_i(n, "is_case_sensitive", 0) != 0;
    md_tensor stop = md_ml__list(n, "stopwords"), x = *in;
    md_lookup l;

    if (!exact && md_tensor_n(&stop)) {
        MD_TRY(fold(&stop, letters, ar, err));
        MD_TRY(fold(&x, letters, ar, err));
    }
    MD_TRY(md_lookup__make(&l, &stop, md_tensor_n(&x), ar, err));
    *n_kept = 0;
    for (int64_t i = 0; i < md_tensor_n(&x); i++) {
        keep[i] = md_lookup__find(&l, &x, i) < 0;
        *n_kept += keep[i];
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = *c->in[0];
    enum change change;

    MD_TRY(md_infer__need(c, 0, MD_T(STRING), err));
    MD_TRY(md_infer__rank(c, 0, 1, 2, err));
    MD_TRY(change_of(&change, c->node, err));
    t.dtype = MD_DTYPE_STRING;
    if (t.has_rank) {
        if (t.rank == 2 && md_dim_is_const(t.dim[0]) && t.dim[0].k != 1)
            return md_fail(err, MD_INVALID, "input 0 has %lld rows, 1 expected",
                           (long long)t.dim[0].k);
        if (t.rank == 2)
            t.dim[0] = MD_DIM(1);
        MD_TRY(md_infer__fresh(c, &t.dim[t.rank - 1], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status give(md_exec *x, const uint8_t *keep, int64_t n_kept,
                      const md_letters *letters, md_error *err)
{
    const md_tensor *in = x->in[0];
    md_shape shape = in->shape;
    enum change change;
    md_tensor *out;
    md_str *to;

    MD_TRY(change_of(&change, x->node, err));
    shape.dim[shape.rank - 1] = n_kept ? n_kept : 1;
    MD_TRY(md_exec_output(x, 0, MD_DTYPE_STRING, &shape, &out, err));
    if (!out)
        return MD_OK;
    to = out->data;
    *to = (md_str){ "", 0 };
    for (int64_t i = 0; i < md_tensor_n(in); i++) {
        if (keep[i])
            MD_TRY(convert(to++, ((const md_str *)in->data)[i], change, letters,
                           x->text, err));
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    int64_t n_kept = 0;
    md_letters letters;
    uint8_t *keep;
    md_arena ar;
    md_status s;
    md_infer c;

    md_arena_init(&ar, x->alloc, 0);
    md_letters_init(&letters);
    MD_GOTO(md_exec__infer_view(x, &c, &ar, err));
    MD_GOTO(infer(&c, err));
    MD_GOTO(md_exec__scratch(&keep, &ar, md_tensor_n(x->in[0]), 1, err));
    MD_GOTO(find_kept(x->node, x->in[0], keep, &n_kept, &letters, &ar, err));
    s = give(x, keep, n_kept, &letters, err);
out:
    md_letters_release(&letters);
    md_arena_release(&ar);
    return s;
}

const md_op md_op_string_normalizer = {
    .domain = "",
    .name = "StringNormalizer",
    .since = 10,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
