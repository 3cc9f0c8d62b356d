#include "data/array.h"

#include <math.h>
#include <string.h>

#include "base/num.h"
#include "base/size.h"

void md_array_release(md_array *a)
{
    md_tensor_release(&a->t);
    md_map_release(&a->map);
}

const void *md_array_bytes(const md_array *a, int64_t sample, size_t *size)
{
    *size = (size_t)a->n * md_dtype_bits(a->t.dtype) / 8;
    return (const char *)a->t.data + (size_t)sample * *size;
}

/* ---- shapes ---- */

/* The stored shape of a sample, and the wanted one with -1 for what is free;
 * false when the type has no samples. */
static bool sample_shapes(md_shape *stored, md_shape *want, const md_tensor *t,
                          const md_type *type)
{
    if (t->shape.rank < 1 || !type->has_rank || type->rank < 1)
        return false;
    stored->rank = t->shape.rank - 1;
    want->rank = type->rank - 1;
    for (int i = 0; i < stored->rank; i++)
        stored->dim[i] = t->shape.dim[i + 1];
    for (int i = 0; i < want->rank; i++)
        want->dim[i] = type->dim[i + 1].sym ? -1 : type->dim[i + 1].k;
    return true;
}

static bool same_dims(const md_shape *a, const md_shape *want)
{
    bool same = a->rank == want->rank;

    for (int i = 0; same && i < a->rank; i++)
        same = want->dim[i] == -1 || want->dim[i] == a->dim[i];
    return same;
}

static md_shape without_ones(const md_shape *s)
{
    md_shape out = { .rank = 0 };

    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] != 1)
            out.dim[out.rank++] = s->dim[i];
    }
    return out;
}

static bool is_known(const md_shape *s)
{
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] < 0)
            return false;
    }
    return true;
}

/* Colors from the last axis to the first, or back. */
static bool moves_colors(md_array *a, const md_shape *from, const md_shape *to)
{
    if (from->rank != 3 || to->rank != 3)
        return false;
    a->to_first = from->dim[2] == 3 && to->dim[0] == 3 &&
                  from->dim[0] == to->dim[1] && from->dim[1] == to->dim[2];
    a->moves = a->to_first ||
               (from->dim[0] == 3 && to->dim[2] == 3 &&
                from->dim[1] == to->dim[0] && from->dim[2] == to->dim[1]);
    if (a->moves)
        a->plane = md_shape_n(from) / 3;
    return a->moves;
}

/* The shape that samples get. */
static bool find_sample(md_array *a, md_shape *out, const md_shape *stored,
                        const md_shape *want)
{
    md_shape bare = without_ones(stored), bare_want = without_ones(want);

    *out = *stored;
    if (same_dims(stored, want))
        return true;
    if (!is_known(want))
        return false;
    *out = *want;
    if (md_shape_equal(&bare, &bare_want) || moves_colors(a, stored, want))
        return true;
    return bare_want.rank <= 1 && stored->rank > 1 &&
           md_shape_n(stored) == md_shape_n(want);
}

/* ---- values ---- */

/* The recorded scale of pixels, in (0, inf); 0: none. */
static float recorded_scale(const md_model *m)
{
    const char *text = md_model_meta(m, "modeld.input.scale");
    const unsigned char *p = (const unsigned char *)text;
    float v = 0.0f;

    if (!text || md_num_f32(&v, &p, p, p + strlen(text)) != MD_NUM_OK || *p ||
        !(v > 0.0f) || !isfinite(v))
        return 0.0f;
    return v;
}

static md_status make_tables(md_array *a, md_dataset *d, uint32_t i,
                             const md_model *m, md_error *err)
{
    float scale = recorded_scale(m);
    md_picture p;

    MD_TRY(md_source__picture(&p, m, i, err));
    if (!p.accepted) {
        p = (md_picture){ .channel_axis = -1, .channels = 1 };
        p.scale = 1.0f / 255.0f;
        p.std[0] = 1.0f;
    }
    if (scale > 0.0f && !md_model_meta(m, "modeld.image.scale"))
        p.scale = scale;
    a->is_pixels = true;
    a->n_tables = p.channels;
    a->table =
        md_arena_calloc(&d->arena, (size_t)p.channels, sizeof(*a->table));
    if (!a->table)
        return md_fail_nomem(err, sizeof(*a->table));
    for (int c = 0; c < p.channels; c++)
        md_picture_table(a->table[c], &p, c);
    if (p.channels > 1 && !a->moves)
        a->plane =
            p.channel_axis < p.height_axis ? d->inputs[i].n / p.channels : 1;
    return MD_OK;
}

static md_status check_dtype(const md_array *a, const md_data_input *in,
                             md_error *err)
{
    md_dtype from = a->t.dtype, to = in->dtype;

    if ((from == to && from != MD_DTYPE_STRING && md_dtype_bits(from) >= 8) ||
        (md_dtype_is_integer(from) && md_dtype_is_integer(to)) ||
        (to == MD_DTYPE_F32 && md_dtype_is_float(from)) ||
        (md_dtype_is_float(to) && from == MD_DTYPE_U8))
        return MD_OK;
    return md_fail(err, MD_INVALID, "data for '%s': %s given, %s expected",
                   in->name, md_dtype_name(from), md_dtype_name(to));
}

md_status md_array_fit(md_array *a, md_dataset *d, uint32_t i,
                       const md_model *m, md_error *err)
{
    md_data_input *in = &d->inputs[i];
    const md_type *type = md_source__type(m, i);
    char want[MD_SHAPE_TEXT * 2], got[MD_SHAPE_TEXT];
    md_shape stored, wanted;

    if (!sample_shapes(&stored, &wanted, &a->t, type) ||
        !find_sample(a, &in->sample, &stored, &wanted))
        return md_fail(err, MD_INVALID, "data for '%s': %s given, %s expected",
                       in->name, md_shape_format(got, sizeof(got), &a->t.shape),
                       md_type_format(want, sizeof(want), m, type));
    MD_TRY(check_dtype(a, in, err));
    a->n = in->n = md_shape_n(&in->sample);
    if (a->t.dtype == MD_DTYPE_U8 && md_dtype_is_float(in->dtype))
        return make_tables(a, d, i, m, err);
    return MD_OK;
}

/* ---- reading ---- */

/* Where stored element k of a sample goes. */
static int64_t place(const md_array *a, int64_t k)
{
    if (!a->moves)
        return k;
    return a->to_first ? k % 3 * a->plane + k / 3
                       : k % a->plane * 3 + k / a->plane;
}

/* The table of stored element k. */
static const float *table_of(const md_array *a, int64_t k)
{
    if (a->n_tables == 1)
        return a->table[0];
    if (a->moves)
        return a->table[a->to_first ? k % 3 : k / a->plane];
    return a
        ->table[a->plane == 1 ? k % a->n_tables : k / a->plane % a->n_tables];
}

static void read_pixels(const md_array *a, const md_data_input *in,
                        const uint8_t *from, void *to)
{
    md_tensor t = { .dtype = in->dtype, .shape = { 1, { a->n } }, .data = to };
    const float *table = a->table[0];
    float *v = to;

    if (in->dtype == MD_DTYPE_F32 && a->n_tables == 1 && !a->moves) {
        for (int64_t k = 0; k < a->n; k++)
            v[k] = table[from[k]];
        return;
    }
    for (int64_t k = 0; k < a->n; k++)
        md_tensor_set_f64(&t, place(a, k), table_of(a, k)[from[k]]);
}

/* Integers of another width must fit; floats are rounded. */
static md_status convert(const md_array *a, const md_data_input *in,
                         int64_t sample, md_tensor *t, md_error *err)
{
    for (int64_t k = 0; k < a->n; k++) {
        const int64_t at = sample * a->n + k, to = place(a, k);

        if (md_dtype_is_float(in->dtype)) {
            md_tensor_set_f64(t, to, md_tensor_get_f64(&a->t, at));
            continue;
        }
        md_tensor_set_i64(t, to, md_tensor_get_i64(&a->t, at));
        if (md_tensor_get_i64(t, to) != md_tensor_get_i64(&a->t, at))
            return md_fail(err, MD_INVALID,
                           "data for '%s': %lld in sample %lld does not fit %s",
                           in->name, (long long)md_tensor_get_i64(&a->t, at),
                           (long long)sample, md_dtype_name(in->dtype));
    }
    return MD_OK;
}

static md_status check_finite(const md_data_input *in, int64_t sample,
                              const md_tensor *t, md_error *err)
{
    const float *v = t->data;
    bool finite = true;

    if (!md_dtype_is_float(t->dtype))
        return MD_OK;
    for (int64_t k = 0; k < in->n; k++)
        finite &= isfinite(t->dtype == MD_DTYPE_F32 ? (double)v[k]
                                                    : md_tensor_get_f64(t, k));
    if (!finite)
        return md_fail(err, MD_INVALID,
                       "data for '%s': sample %lld holds NaN or infinity",
                       in->name, (long long)sample);
    return MD_OK;
}

md_status md_array_read(const md_array *a, const md_data_input *in,
                        int64_t sample, void *to, md_error *err)
{
    md_tensor t = { .dtype = in->dtype, .shape = { 1, { a->n } }, .data = to };
    size_t size;
    const void *from = md_array_bytes(a, sample, &size);

    if (a->n == 0)
        return MD_OK;
    if (a->is_pixels) {
        read_pixels(a, in, from, to);
        return MD_OK;
    }
    if (a->t.dtype == in->dtype && !a->moves)
        memcpy(to, from, size);
    else
        MD_TRY(convert(a, in, sample, &t, err));
    return check_finite(in, sample, &t, err);
}
