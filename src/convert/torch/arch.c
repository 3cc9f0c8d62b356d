#include "convert/torch/arch.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convert/torch/program.h"

enum {
    NAME_SIZE = 256
};

static const md_arch_row *const rows[] = {
#define ARCH(id) &md_arch_##id,
#include "convert/torch/arch.def"
#undef ARCH
    NULL
};

/* "resnet50" is a resnet: its tensors tell the rest. */
static bool is_called(const md_arch_row *r, const char *name)
{
    const char *p = r->also;

    if (strncmp(name, r->name, strlen(r->name)) == 0)
        return true;
    while (p && *p) {
        size_t n = strcspn(p, " ");

        if (strncmp(name, p, n) == 0)
            return true;
        p += n + strspn(p + n, " ");
    }
    return false;
}

/* With or without a prefix. */
static bool is_known(md_arch *a, const md_arch_row *r)
{
    a->row = r;
    for (int i = -1; i < (int)MD_COUNT(r->prefix); i++) {
        a->prefix = i < 0 ? "" : r->prefix[i];
        if (a->prefix &&
            (r->mark ? md_arch_has(a, "%s", r->mark) : r->knows(a)))
            return true;
    }
    a->prefix = "";
    return false;
}

bool md_arch_find(md_arch *a, const char *name)
{
    for (size_t i = 0; rows[i]; i++) {
        if (name && !is_called(rows[i], name))
            continue;
        /* Of one that is asked for, what is missing is told later. */
        if (is_known(a, rows[i]) || name)
            return true;
    }
    return false;
}

static const md_torch_weight *find(const md_arch *a, const char *fmt,
                                   va_list ap, char name[NAME_SIZE])
{
    size_t n = strlen(a->prefix);
    const md_torch_weight *w;

    snprintf(name, NAME_SIZE, "%s", a->prefix);
    vsnprintf(name + n, NAME_SIZE - n, fmt, ap);
    w = md_torch_weights_find(a->w, name);
    /* Heads lie outside of what the prefix is for. */
    return w ? w : md_torch_weights_find(a->w, name + n);
}

md_tv md_arch_weight(md_arch *a, const char *fmt, ...)
{
    char name[NAME_SIZE];
    const md_torch_weight *w;
    md_tv v;
    va_list ap;

    va_start(ap, fmt);
    w = find(a, fmt, ap, name);
    va_end(ap);
    if (!w) {
        md_emit_fail(&a->b->e, MD_UNSUPPORTED,
                     "no tensor '%.80s', which %s has", name, a->row->title);
        return md_tv_none();
    }
    v = md_torch_constant(a->b, &w->view, w->name);
    if (md_dtype_is_float(w->view.dtype) && v.kind == MD_TV_TENSOR)
        v.v.t->id = md_emit_cast(&a->b->e, v.v.t->id, MD_DTYPE_F32);
    return v;
}

bool md_arch_has(const md_arch *a, const char *fmt, ...)
{
    char name[NAME_SIZE];
    const md_torch_weight *w;
    va_list ap;

    va_start(ap, fmt);
    w = find(a, fmt, ap, name);
    va_end(ap);
    return w != NULL;
}

int64_t md_arch_size(const md_arch *a, int axis, const char *fmt, ...)
{
    char name[NAME_SIZE];
    const md_torch_weight *w;
    va_list ap;

    va_start(ap, fmt);
    w = find(a, fmt, ap, name);
    va_end(ap);
    return w && axis < w->view.shape.rank ? w->view.shape.dim[axis] : 0;
}

int64_t md_arch_int(const md_arch *a, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(a->config, key);

    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

double md_arch_float(const md_arch *a, const char *key, double otherwise)
{
    const json_t *v = json_object_get(a->config, key);

    return json_is_number(v) ? json_number_value(v) : otherwise;
}

const char *md_arch_text(const md_arch *a, const char *key,
                         const char *otherwise)
{
    const char *s = json_string_value(json_object_get(a->config, key));

    return s ? s : otherwise;
}

md_tv md_arch_op(md_arch *a, const char *op, const md_tv *args, uint32_t n)
{
    return md_torch_call_op(a->b, op, args, n, NULL, NULL, 0);
}

md_tv md_arch_ints(md_arch *a, const int64_t *v, uint32_t n)
{
    md_tv out = md_tv_list(a->b, MD_TV_LIST, n);

    for (uint32_t i = 0; i < n && out.kind == MD_TV_LIST; i++)
        md_tv_append(a->b, out.v.list, md_tv_int(v[i]));
    return out;
}

md_tv md_arch_input(md_arch *a, const char *name, md_dtype dtype, int rank,
                    const char *const *symbols, const int64_t *sizes)
{
    md_type t = { .dtype = dtype, .has_rank = true, .rank = rank };

    for (int i = 0; i < rank; i++) {
        t.dim[i] = symbols[i] ? (md_dim){ .scale = 1 } : MD_DIM(sizes[i]);
        a->open_sizes = a->open_sizes || (i > 0 && symbols[i]);
        if (symbols[i])
            md_emit_ok(&a->b->e, md_model_symbol(&t.dim[i].sym, a->b->e.model,
                                                 symbols[i], a->b->e.err));
    }
    return md_tv_tensor(a->b, md_emit_input(&a->b->e, &t, name));
}

void md_arch_output(md_arch *a, md_tv v, const char *name)
{
    md_torch_output(a->b, &v, name);
}
