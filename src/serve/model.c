#include "serve/model.h"

#include <string.h>

#include "base/size.h"

static int find(const md_serve_io *ios, uint32_t n, md_str name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strlen(ios[i].name) == name.n &&
            memcmp(ios[i].name, name.p, name.n) == 0)
            return (int)i;
    return -1;
}

int md_serve_model_find_input(const md_serve_model *m, md_str name)
{
    return find(m->inputs, m->n_inputs, name);
}

int md_serve_model_find_output(const md_serve_model *m, md_str name)
{
    return find(m->outputs, m->n_outputs, name);
}

int64_t md_serve_io_sample(const md_serve_io *io)
{
    int64_t n = 1;

    if (!io->has_rank || io->shape.rank < 1 ||
        (io->shape.dim[0] != -1 && io->shape.dim[0] != 1))
        return 0;
    for (int i = 1; i < io->shape.rank; i++)
        if (io->shape.dim[i] < 1 || !md_mul_i64(&n, n, io->shape.dim[i]))
            return 0;
    return n;
}

md_status md_serve_io_check(const md_serve_model *m, const md_serve_io *io,
                            const md_shape *shape, md_error *err)
{
    char want[MD_SHAPE_TEXT];
    char got[MD_SHAPE_TEXT];
    bool fits = shape->rank == io->shape.rank;

    if (!io->has_rank)
        return MD_OK;
    for (int i = 0; fits && i < shape->rank; i++)
        fits = io->shape.dim[i] == -1 || io->shape.dim[i] == shape->dim[i];
    if (fits)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "unexpected shape for input '%s' for model '%s': %s "
                   "expected, %s given",
                   io->name, m->name,
                   md_shape_format(want, sizeof(want), &io->shape),
                   md_shape_format(got, sizeof(got), shape));
}

void md_serve_image_guess(md_serve_model *m)
{
    m->image = (md_picture){ .channel_axis = -1, .channels = 1 };
    if (m->n_inputs == 1 && m->inputs->has_rank)
        md_picture_guess(&m->image, m->inputs->dtype, &m->inputs->shape);
}

void md_serve_model_free(md_serve_model *m)
{
    md_arena arena;

    if (!m)
        return;
    if (m->engine && m->engine->free)
        m->engine->free(m->ctx);
    arena = m->arena; /* m itself lies in it */
    md_arena_release(&arena);
}
