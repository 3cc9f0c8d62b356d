/* The types of attributes.  What reads one takes its default when the type is
 * another, so here such an attribute is refused; so is a flag that is neither 0
 * nor 1, of which engines make one or the other. */
#include <string.h>

#include "ops/op.h"

typedef struct attr_row {
    const char *op; /* NULL: any */
    const char *name;
    md_attr_type type;
    int until; /* last opset version; 0: newest */
    bool flag; /* 0 or 1 */
} attr_row;

static const attr_row attr_rows[] = {
#define ATTR(name, type) { NULL, #name, MD_ATTR_##type, 0, false },
#define ATTR_OF(op, name, type, until)                                         \
    { #op, #name, MD_ATTR_##type, until, false },
#define FLAG(name) { NULL, #name, MD_ATTR_INT, 0, true },
#include "ops/attrs.def"
#undef FLAG
#undef ATTR
#undef ATTR_OF
};

/* The row of an attribute, NULL for one that the standard does not have. */
static const attr_row *find(const char *op, const char *name, int64_t opset)
{
    for (size_t i = 0; i < MD_COUNT(attr_rows); i++) {
        const attr_row *r = &attr_rows[i];

        if (r->name[0] == name[0] && strcmp(r->name, name) == 0 &&
            (!r->op || strcmp(r->op, op) == 0) &&
            (r->until == 0 || opset <= r->until))
            return r;
    }
    return NULL;
}

md_status md_op_check_attrs(const md_node *n, int64_t opset, md_error *err)
{
    for (uint32_t i = 0; i < n->n_attr; i++) {
        const md_attr *a = &n->attr[i];
        const attr_row *r = find(n->op, a->name, opset);

        if (r && r->type != a->type)
            return md_fail(err, MD_INVALID,
                           "attribute '%s' has type %s, %s expected", a->name,
                           md_attr_type_name(a->type),
                           md_attr_type_name(r->type));
        if (r && r->flag && a->v.i != 0 && a->v.i != 1)
            return md_fail(err, MD_INVALID,
                           "attribute '%s' is %lld, 0 or 1 expected", a->name,
                           (long long)a->v.i);
    }
    return MD_OK;
}
