#define _GNU_SOURCE /* dl_iterate_phdr */
#include "engine/pack_file.h"

#include <link.h>
#include <string.h>

#include "base/digest.h"
#include "base/size.h"

enum {
    VERSION = 1,
    HEAD_SIZE = 64,
    HEAD_SUMMED = 56, /* bytes under the head's own digest */
    ALIGN = 64,
    PAGE = 4096,
    CHUNK = 1 << 20 /* bytes that one thread checks at a time */
};

static const char magic[8] = { 'm', 'd', 'p', 'a', 'c', 'k', 'e', 'd' };

/* The head as it lies in the file, without holes. */
typedef struct head {
    char magic[8];
    uint32_t version, n_blocks;
    uint64_t size;
    md_pack_key key;
    uint64_t list_digest, digest;
} head;

_Static_assert(sizeof(head) == HEAD_SIZE, "no holes");
_Static_assert(sizeof(md_pack_block) == 40, "no holes");

/* ---- which program this is ---- */

/* The build ID among the notes in [p, p + n), put into *out. */
static bool find_build_id(uint64_t *out, const unsigned char *p, size_t n)
{
    ElfW(Nhdr) note;

    while (n >= sizeof(note)) {
        size_t name, all;

        memcpy(&note, p, sizeof(note));
        name = md_round_up(note.n_namesz, 4);
        all = sizeof(note) + name + md_round_up(note.n_descsz, 4);
        if (all > n)
            return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(p + sizeof(note), "GNU", 4) == 0) {
            *out = md_digest(0, p + sizeof(note) + name, note.n_descsz);
            return true;
        }
        p += all;
        n -= all;
    }
    return false;
}

/* Is this the program or library that this function is in?  Then its build ID
 * ends the search. */
static int look_at_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
    const uintptr_t here = (uintptr_t)&magic - info->dlpi_addr;
    bool mine = false;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];

        mine |= h->p_type == PT_LOAD && here >= h->p_vaddr &&
                here - h->p_vaddr < h->p_memsz;
    }
    for (int i = 0; mine && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];

        if (h->p_type == PT_NOTE &&
            find_build_id(ctx,
                          (const unsigned char *)info->dlpi_addr + h->p_vaddr,
                          h->p_memsz))
            break;
    }
    return mine;
}

uint64_t md_pack_program(void)
{
    uint64_t id = 0;

    (void)dl_iterate_phdr(look_at_object, &id);
    return id;
}

/* ---- digests of blocks ---- */

static int64_t n_chunks_of(uint64_t size)
{
    return (int64_t)(size / CHUNK + (size % CHUNK != 0));
}

static uint64_t chunk_digest(const unsigned char *p, uint64_t size, int64_t i)
{
    const uint64_t at = (uint64_t)i * CHUNK;

    return md_digest(0, p + at, size - at < CHUNK ? size - at : CHUNK);
}

/* What chunks add up to. */
static uint64_t add_chunk(uint64_t sum, uint64_t digest)
{
    return md_digest(sum, &digest, sizeof(digest));
}

static uint64_t block_digest(const unsigned char *p, uint64_t size)
{
    uint64_t sum = 0;

    for (int64_t i = 0; i < n_chunks_of(size); i++)
        sum = add_chunk(sum, chunk_digest(p, size, i));
    return sum;
}

typedef struct check_job {
    const md_pack_file *file;
    const int64_t *first; /* by block: the number of its first chunk */
    uint64_t *digests;    /* by chunk */
} check_job;

/* The block that a chunk is in: the last one that begins at or before it. */
static uint32_t block_of(const check_job *j, int64_t chunk)
{
    uint32_t lo = 0, hi = j->file->n_blocks;

    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (j->first[mid] <= chunk)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void check_chunk(void *ctx, int64_t chunk, int worker)
{
    const check_job *j = ctx;
    const uint32_t i = block_of(j, chunk);
    const md_pack_block b = md_pack_file_block(j->file, i);
    const unsigned char *p = j->file->bytes + b.offset;
    const int64_t at = chunk - j->first[i];
    const uint64_t left = b.size - (uint64_t)at * CHUNK;

    (void)worker;
    md_map_fetch(p + at * CHUNK, left < CHUNK ? (size_t)left : (size_t)CHUNK);
    j->digests[chunk] = chunk_digest(p, b.size, at);
}

static md_status compare(const check_job *j, md_error *err)
{
    for (uint32_t i = 0; i < j->file->n_blocks; i++) {
        const md_pack_block b = md_pack_file_block(j->file, i);
        uint64_t sum = 0;

        for (int64_t k = 0; k < n_chunks_of(b.size); k++)
            sum = add_chunk(sum, j->digests[j->first[i] + k]);
        if (sum != b.digest)
            return md_fail(err, MD_CORRUPT,
                           "block %u of %u at byte %llu is damaged", i,
                           j->file->n_blocks, (unsigned long long)b.offset);
    }
    return MD_OK;
}

md_status md_pack_file_check(const md_pack_file *f, md_pool *pool,
                             const md_alloc *alloc, md_error *err)
{
    int64_t *first = md_calloc(alloc, f->n_blocks + (size_t)1, sizeof(*first));
    check_job j = { f, first, NULL };
    int64_t n = 0;
    md_status s = MD_OK;

    for (uint32_t i = 0; i < f->n_blocks && first; i++) {
        first[i] = n;
        n += n_chunks_of(md_pack_file_block(f, i).size);
    }
    if (first)
        j.digests = md_calloc(alloc, (size_t)n + 1, sizeof(*j.digests));
    if (!j.digests) {
        s = md_fail_nomem(err, (size_t)n * sizeof(*j.digests));
    } else {
        md_pool_run(pool, MD_POOL_WIDTH_MAX, n, check_chunk, &j);
        s = compare(&j, err);
    }
    md_free(alloc, j.digests);
    md_free(alloc, first);
    return s;
}

/* ---- reading ---- */

static md_status read_head(head *h, const unsigned char *bytes, size_t size,
                           md_error *err)
{
    if (size < HEAD_SIZE)
        return md_fail(err, MD_CORRUPT, "%zu bytes given, %d or more expected",
                       size, HEAD_SIZE);
    memcpy(h, bytes, HEAD_SIZE);
    if (memcmp(h->magic, magic, sizeof(magic)) != 0)
        return md_fail(err, MD_CORRUPT, "no file of packed weights");
    if (h->version != VERSION)
        return md_fail(err, MD_MISMATCH, "version %u given, %d expected",
                       h->version, VERSION);
    if (md_digest(0, bytes, HEAD_SUMMED) != h->digest)
        return md_fail(err, MD_CORRUPT, "the head is damaged");
    if (h->size != size)
        return md_fail(err, MD_CORRUPT, "%zu bytes given, %llu expected", size,
                       (unsigned long long)h->size);
    if (h->n_blocks > MD_PACK_BLOCKS_MAX ||
        h->n_blocks > (size - HEAD_SIZE) / sizeof(md_pack_block))
        return md_fail(err, MD_CORRUPT, "%u blocks in %zu bytes", h->n_blocks,
                       size);
    return MD_OK;
}

static md_status check_key(const md_pack_key *given, const md_pack_key *key,
                           md_error *err)
{
    if (given->program != key->program)
        return md_fail(err, MD_MISMATCH,
                       "another build of the program made it");
    if (given->model != key->model)
        return md_fail(err, MD_MISMATCH, "the model's files have changed");
    if (given->settings != key->settings)
        return md_fail(err, MD_MISMATCH, "it is for another CPU or precision");
    return MD_OK;
}

md_status md_pack_file_read(md_pack_file *out, const void *bytes, size_t size,
                            const md_pack_key *key, md_error *err)
{
    md_pack_file f = { .bytes = bytes };
    size_t list;
    uint64_t end;
    head h;

    MD_TRY(read_head(&h, bytes, size, err));
    MD_TRY(check_key(&h.key, key, err));
    list = h.n_blocks * sizeof(md_pack_block);
    if (md_digest(0, f.bytes + HEAD_SIZE, list) != h.list_digest)
        return md_fail(err, MD_CORRUPT, "the list of blocks is damaged");
    f.n_blocks = h.n_blocks;
    end = HEAD_SIZE + list;
    for (uint32_t i = 0; i < f.n_blocks; i++) {
        const md_pack_block b = md_pack_file_block(&f, i);

        if (b.offset % ALIGN || b.offset < end || b.offset > size ||
            b.size == 0 || b.size > size - b.offset)
            return md_fail(
                err, MD_CORRUPT, "block %u: %llu bytes at %llu of %zu", i,
                (unsigned long long)b.size, (unsigned long long)b.offset, size);
        end = b.offset + b.size;
    }
    *out = f;
    return MD_OK;
}

md_pack_block md_pack_file_block(const md_pack_file *f, uint32_t i)
{
    md_pack_block b;

    memcpy(&b, f->bytes + HEAD_SIZE + i * sizeof(b), sizeof(b));
    return b;
}

/* ---- writing ---- */

static uint64_t place(uint64_t end, uint64_t size)
{
    return md_round_up(end, size >= PAGE ? PAGE : ALIGN);
}

md_status md_pack_file_write(md_file_writer *w, const md_pack_key *key,
                             md_pack_block *blocks, const void *const *data,
                             uint32_t n, md_error *err)
{
    static const unsigned char zeros[PAGE];
    head h = { .version = VERSION, .n_blocks = n, .key = *key };
    uint64_t at = HEAD_SIZE + n * sizeof(*blocks);

    for (uint32_t i = 0; i < n; i++) {
        blocks[i].offset = place(at, blocks[i].size);
        blocks[i].digest = block_digest(data[i], blocks[i].size);
        at = blocks[i].offset + blocks[i].size;
    }
    memcpy(h.magic, magic, sizeof(magic));
    h.size = at;
    h.list_digest = md_digest(0, blocks, n * sizeof(*blocks));
    h.digest = md_digest(0, &h, HEAD_SUMMED);
    MD_TRY(md_file_writer_append(w, &h, sizeof(h), err));
    MD_TRY(md_file_writer_append(w, blocks, n * sizeof(*blocks), err));
    at = HEAD_SIZE + n * sizeof(*blocks);
    for (uint32_t i = 0; i < n; i++) {
        MD_TRY(md_file_writer_append(w, zeros, blocks[i].offset - at, err));
        MD_TRY(md_file_writer_append(w, data[i], blocks[i].size, err));
        at = blocks[i].offset + blocks[i].size;
    }
    return MD_OK;
}
