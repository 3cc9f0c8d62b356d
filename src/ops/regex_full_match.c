/* Whether each string matches a pattern from its first to its last byte. */
#include "ops/common/regex.h"
#include "ops/common/util.h"

static md_status compile(md_regex **out, const md_node *n,
                         const md_alloc *alloc, md_error *err)
{
    const md_attr *a = md_node_attr(n, "pattern");

    if (!a)
        return md_fail(err, MD_INVALID, "pattern is missing");
    return md_regex_new(out, a->v.s, alloc, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_regex *re;

    MD_TRY(md_infer__need(c, 0, MD_T(STRING), err));
    if (c->model) { /* at load; a run finds out by itself */
        MD_TRY(compile(&re, c->node, c->model->alloc, err));
        md_regex_free(re);
    }
    md_infer__like(c, 0, 0, MD_DTYPE_BOOL);
    return MD_OK;
}

static md_status match_all(md_exec *x, md_tensor *out, md_regex *re,
                           md_error *err)
{
    const md_str *in = x->in[0]->data;

    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        bool match;

        MD_TRY(md_regex_full_match(&match, re, in[i], err));
        ((uint8_t *)out->data)[i] = match;
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out;
    md_regex *re;
    md_status s = MD_OK;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    MD_TRY(compile(&re, x->node, x->alloc, err));
    if (out)
        s = match_all(x, out, re, err);
    md_regex_free(re);
    return s;
}

const md_op md_op_regex_full_match = {
    .domain = "",
    .name = "RegexFullMatch",
    .since = 20,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
