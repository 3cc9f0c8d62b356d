/* Strings cut at a delimiter, or without one at white space, whose runs count
 * as one and do not matter at the ends; fewer parts than the most are filled up
 * with empty ones. */
#include <string.h>

#include "ops/common/util.h"

typedef struct splitter {
    md_str delimiter; /* n 0: white space */
    int64_t most;     /* cuts, INT64_MAX: no limit */
} splitter;

static splitter splitter_of(const md_node *n)
{
    const md_attr *a = md_node_attr(n, "delimiter");
    splitter s = { .most = md_node_attr_i(n, "maxsplit", -1) };

    if (a)
        s.delimiter = a->v.s;
    if (s.most < 0)
        s.most = INT64_MAX;
    return s;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static md_str skip_space(md_str s)
{
    while (s.n && is_space(*s.p)) {
        s.p++;
        s.n--;
    }
    return s;
}

/* Where the next delimiter begins, s.n when there is none. */
static size_t find(const splitter *k, md_str s)
{
    size_t n = k->delimiter.n, at = 0;

    if (n == 0) {
        while (at < s.n && !is_space(s.p[at]))
            at++;
        return at;
    }
    for (; at + n <= s.n; at++) {
        if (memcmp(s.p + at, k->delimiter.p, n) == 0)
            return at;
    }
    return s.n;
}

/* The number of parts of s, which go to out where it is not NULL. */
static int64_t split(const splitter *k, md_str s, md_str *out)
{
    int64_t n = 0;

    if (k->delimiter.n == 0)
        s = skip_space(s);
    if (k->delimiter.n == 0 && s.n == 0)
        return 0;
    for (;;) {
        size_t at = n < k->most ? find(k, s) : s.n;
        bool last = at == s.n;

        if (out)
            out[n] = (md_str){ s.p, at };
        n++;
        if (last)
            return n;
        at += k->delimiter.n;
        s = (md_str){ s.p + at, s.n - at };
        if (k->delimiter.n)
            continue;
        s = skip_space(s);
        if (s.n == 0)
            return n;
    }
}

static md_status infer(const md_infer *c, md_error *err)
{
    splitter k = splitter_of(c->node);
    md_type y = *c->in[0], z = y;
    int64_t most = 0;

    MD_TRY(md_infer__need(c, 0, MD_T(STRING), err));
    y.dtype = MD_DTYPE_STRING;
    z.dtype = MD_DTYPE_I64;
    if (y.has_rank) {
        if (y.rank == MD_RANK_MAX)
            return md_fail(err, MD_UNSUPPORTED, "the result's rank is above %d",
                           MD_RANK_MAX);
        MD_TRY(md_infer__fresh(c, &y.dim[y.rank], err));
        for (int64_t i = 0; c->cin[0] && i < md_tensor_n(c->cin[0]); i++) {
            int64_t n = split(&k, ((const md_str *)c->cin[0]->data)[i], NULL);

            most = n > most ? n : most;
        }
        if (c->cin[0])
            y.dim[y.rank] = MD_DIM(most);
        y.rank++;
    }
    md_infer__give(c, 0, &y);
    md_infer__give(c, 1, &z);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    const md_str *in = x->in[0]->data;
    splitter k = splitter_of(x->node);
    md_tensor *out[2];

    MD_TRY(md_exec__outputs(x, infer, out, 2, err));
    for (int64_t i = 0; i < md_tensor_n(x->in[0]); i++) {
        int64_t most = out[0] ? out[0]->shape.dim[out[0]->shape.rank - 1] : 0;
        md_str *to = most ? (md_str *)out[0]->data + i * most : NULL;
        int64_t n = split(&k, in[i], to);

        for (int64_t j = n; to && j < most; j++)
            to[j] = (md_str){ "", 0 };
        if (out[1])
            ((int64_t *)out[1]->data)[i] = n;
    }
    return MD_OK;
}

const md_op md_op_string_split = {
    .domain = "",
    .name = "StringSplit",
    .since = 20,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
};
