/* Tensors of the inference call that lie in shared memory. */
#include "serve/server_impl.h"
#include "serve/v2.h"

typedef struct source {
    md_shm *shm;
    const md_shm_part *part;
} source;

static md_status fill(void *ctx, void *to, md_error *err)
{
    const source *s = ctx;

    return md_shm_read(s->shm, s->part, to, err);
}

static md_status check(const md_shm_part *part, md_error *err)
{
    if (part->has_size)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "parameter 'shared_memory_byte_size' is missing beside "
                   "'shared_memory_region'");
}

md_status md_v2__read_shared(md_v2_request *r, int index, const md_shape *shape,
                             const md_shm_part *part, md_error *err)
{
    const size_t most = r->feed.call->server->opts.http.limits.body_size_max;
    source from = { &r->feed.call->server->shm, part };
    const char *name = r->feed.model->inputs[index].name;
    md_status s = check(part, err);

    if (s == MD_OK && part->size > most)
        s = md_fail(err, MD_TOO_LARGE,
                    "%llu bytes of shared memory given, at most %zu expected",
                    (unsigned long long)part->size, most);
    /* Before memory is taken for what is not there. */
    if (s == MD_OK)
        s = md_shm_check_part(from.shm, part, err);
    if (s != MD_OK)
        return md_wrap(err, s, "input '%s': ", name);
    return md_feed_read_from(&r->feed, (uint32_t)index, shape, fill, &from,
                             (size_t)part->size, err);
}

md_status md_v2__check_shared(const md_v2_request *r, const md_shm_part *part,
                              md_error *err)
{
    if (!part->region)
        return MD_OK;
    MD_TRY(check(part, err));
    return md_shm_check_part(&r->feed.call->server->shm, part, err);
}

md_status md_v2__write_shared(const md_v2_request *r, const md_v2_output *o,
                              size_t *size, md_error *err)
{
    md_shm *shm = &r->feed.call->server->shm;
    const md_tensor *t = md_feed_output(&r->feed, o->index);
    const char *name = r->feed.model->outputs[o->index].name;
    md_buf made;
    md_status s;

    *size = md_v2__raw_size(t);
    if (t->dtype != MD_DTYPE_STRING) {
        s = md_shm_write(shm, &o->shared, t->data, *size, err);
    } else {
        md_buf_init(&made, r->feed.call->server->request_alloc,
                    r->feed.call->server->opts.http.reply_size_max);
        s = md_v2__raw_append(&made, t, err);
        if (s == MD_OK)
            s = md_shm_write(shm, &o->shared, made.data, *size, err);
        md_buf_release(&made);
    }
    return s == MD_OK ? MD_OK : md_wrap(err, s, "output '%s': ", name);
}
