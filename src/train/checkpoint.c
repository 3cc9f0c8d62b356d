#include "train/checkpoint.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"

/* Of this machine's byte order: a checkpoint stays where it was made. */
typedef struct header {
    char mark[16];
    uint64_t key[2];
    int64_t step;
    double loss;
    int64_t right;
    uint64_t n;
    uint64_t sum; /* of the header without it, and the state */
} header;

static const char mark[16] = "modeld training";

static uint64_t checksum(const header *h, const void *state, size_t n)
{
    const uint64_t first[2] = { 0, 0 };
    uint64_t key[2] = { 0, md_hash_keyed(first, h, offsetof(header, sum)) };

    return md_hash_keyed(key, state, n * sizeof(float));
}

md_status md_checkpoint_save(const md_checkpoint *c, const char *path,
                             md_error *err)
{
    header h;
    md_file_writer w;
    md_status s;

    memset(&h, 0, sizeof(h));
    memcpy(h.mark, mark, sizeof(mark));
    memcpy(h.key, c->key, sizeof(h.key));
    h.step = c->step;
    h.loss = c->loss;
    h.right = c->right;
    h.n = c->n;
    h.sum = checksum(&h, c->state, c->n);
    MD_TRY(md_file_writer_open(&w, path, md_alloc_default(), err));
    s = md_file_writer_append(&w, &h, sizeof(h), err);
    if (s == MD_OK)
        s = md_file_writer_append(&w, c->state, c->n * sizeof(*c->state), err);
    if (s == MD_OK)
        return md_file_writer_commit(&w, err);
    md_file_writer_abort(&w);
    return s;
}

static md_status take(md_checkpoint *c, const md_map *map, md_error *err)
{
    const unsigned char *state = map->data + sizeof(header);
    header h;

    if (map->size < sizeof(h))
        return md_fail(err, MD_CORRUPT, "not a checkpoint: %zu bytes",
                       map->size);
    memcpy(&h, map->data, sizeof(h));
    if (memcmp(h.mark, mark, sizeof(mark)) != 0)
        return md_fail(err, MD_CORRUPT, "not a checkpoint");
    if ((map->size - sizeof(h)) / sizeof(float) != h.n ||
        (map->size - sizeof(h)) % sizeof(float) != 0 ||
        checksum(&h, state, h.n) != h.sum)
        return md_fail(err, MD_CORRUPT, "the checkpoint is damaged");
    if (memcmp(h.key, c->key, sizeof(h.key)) != 0 || h.n != c->n || h.step < 0)
        return md_fail(err, MD_INVALID,
                       "the checkpoint is of another training: the model, the "
                       "data or the options differ");
    c->step = h.step;
    c->loss = h.loss;
    c->right = h.right;
    memcpy(c->state, state, c->n * sizeof(*c->state));
    return MD_OK;
}

md_status md_checkpoint_load(md_checkpoint *c, const char *path, bool *found,
                             md_error *err)
{
    struct stat st;
    md_map map;
    md_status s;

    *found = false;
    if (stat(path, &st) != 0)
        return MD_OK;
    MD_TRY(md_map_open(&map, path, err));
    s = take(c, &map, err);
    md_map_release(&map);
    *found = s == MD_OK;
    return s == MD_OK ? s : md_wrap(err, s, "'%s': ", path);
}
