#include "serve/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct md_shm_region {
    md_shm_region *next;
    int fd;
    bool read_only;
    uint32_t n_users; /* copying, without the lock; freed by the last */
    bool gone;        /* unregistered */
    uint64_t offset;
    uint64_t size;
    char name[MD_SHM_NAME_SIZE];
    char key[MD_SHM_NAME_SIZE];
};

/* shm_open takes slashes before the name, and several. */
static const char *bare(const char *key)
{
    return key + strspn(key, "/");
}

void md_shm_init(md_shm *s, const char *prefix, const md_alloc *alloc)
{
    *s = (md_shm){ .alloc = alloc, .prefix = prefix ? bare(prefix) : NULL };
    pthread_mutex_init(&s->lock, NULL);
}

static void free_region(const md_shm *s, md_shm_region *r)
{
    close(r->fd);
    md_free(s->alloc, r);
}

void md_shm_release(md_shm *s)
{
    while (s->regions) {
        md_shm_region *r = s->regions;

        s->regions = r->next;
        free_region(s, r);
    }
    if (s->alloc)
        pthread_mutex_destroy(&s->lock);
}

md_status md_shm_check(const md_shm *s, md_error *err)
{
    if (s->prefix)
        return MD_OK;
    return md_fail(err, MD_UNSUPPORTED,
                   "shared memory is off: the server was started without "
                   "shm_prefix");
}

/* ---- registering ---- */

/* Place of the pointer to the region; of the last NULL when there is none. */
static md_shm_region **find(md_shm *s, const char *name)
{
    md_shm_region **at = &s->regions;

    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static md_status fail_unknown(md_error *err, const char *name)
{
    return md_fail(err, MD_NOT_FOUND,
                   "unable to find shared memory region '%.200s'", name);
}

static md_status check_names(const md_shm *s, const char *name, const char *key,
                             md_error *err)
{
    MD_TRY(md_shm_check(s, err));
    if (!*name || strlen(name) >= MD_SHM_NAME_SIZE)
        return md_fail(err, MD_INVALID,
                       "shared memory region: name of %zu bytes given, 1 to "
                       "%d expected",
                       strlen(name), MD_SHM_NAME_SIZE - 1);
    if (!*bare(key) || strlen(key) >= MD_SHM_NAME_SIZE ||
        strchr(bare(key), '/'))
        return md_fail(err, MD_INVALID,
                       "shared memory region '%s': key '%.200s' given, "
                       "'/name' without another slash expected",
                       name, key);
    if (strncmp(bare(key), s->prefix, strlen(s->prefix)) != 0)
        return md_fail(err, MD_DENIED,
                       "shared memory region '%s': key '%s' given, one that "
                       "begins with '/%s' expected",
                       name, key, s->prefix);
    return MD_OK;
}

/* *size gets the segment's. */
static md_status open_segment(md_shm_region *r, uint64_t *size, md_error *err)
{
    struct stat st;

    r->fd = shm_open(r->key, O_RDWR | O_CLOEXEC, 0);
    if (r->fd < 0 && errno == EACCES) {
        r->fd = shm_open(r->key, O_RDONLY | O_CLOEXEC, 0);
        r->read_only = true;
    }
    if (r->fd < 0 || fstat(r->fd, &st) != 0)
        return md_fail(err, errno == EACCES ? MD_DENIED : MD_NOT_FOUND,
                       "unable to open shared memory region '%s': %s", r->key,
                       strerror(errno));
    *size = S_ISREG(st.st_mode) && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    return MD_OK;
}

static md_status check_range(const md_shm_region *r, uint64_t size,
                             md_error *err)
{
    if (r->size > 0 && r->offset <= size && r->size <= size - r->offset)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "shared memory region '%s': offset %llu and %llu bytes "
                   "given, the segment has %llu bytes",
                   r->name, (unsigned long long)r->offset,
                   (unsigned long long)r->size, (unsigned long long)size);
}

static md_status add(md_shm *s, md_shm_region *r, md_error *err)
{
    md_status status = MD_OK;

    pthread_mutex_lock(&s->lock);
    if (*find(s, r->name)) {
        status =
            md_fail(err, MD_EXISTS,
                    "shared memory region '%s' is registered already", r->name);
    } else if (s->n_regions == MD_SHM_REGIONS_MAX) {
        status = md_fail(err, MD_BUSY,
                         "more than %d shared memory regions are registered",
                         MD_SHM_REGIONS_MAX);
    } else {
        r->next = s->regions;
        s->regions = r;
        s->n_regions++;
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

md_status md_shm_register(md_shm *s, const char *name, const char *key,
                          uint64_t offset, uint64_t size, md_error *err)
{
    md_shm_region *r;
    uint64_t whole = 0;
    md_status status;

    MD_TRY(check_names(s, name, key, err));
    r = md_calloc(s->alloc, 1, sizeof(*r));
    if (!r)
        return md_fail_nomem(err, sizeof(*r));
    r->fd = -1;
    r->offset = offset;
    r->size = size;
    memcpy(r->name, name, strlen(name) + 1);
    memcpy(r->key, key, strlen(key) + 1);
    status = open_segment(r, &whole, err);
    if (status == MD_OK)
        status = check_range(r, whole, err);
    if (status == MD_OK)
        status = add(s, r, err);
    if (status != MD_OK) {
        if (r->fd >= 0)
            close(r->fd);
        md_free(s->alloc, r);
    }
    return status;
}

/* Take the region at *at off the list. */
static void drop(md_shm *s, md_shm_region **at)
{
    md_shm_region *r = *at;

    *at = r->next;
    s->n_regions--;
    r->gone = true;
    if (r->n_users == 0)
        free_region(s, r);
}

md_status md_shm_unregister(md_shm *s, const char *name, md_error *err)
{
    MD_TRY(md_shm_check(s, err));
    pthread_mutex_lock(&s->lock);
    if (*name && *find(s, name))
        drop(s, find(s, name));
    while (!*name && s->regions)
        drop(s, &s->regions);
    pthread_mutex_unlock(&s->lock);
    return MD_OK;
}

md_status md_shm_each(md_shm *s, const char *name,
                      void (*fn)(void *ctx, const md_shm_status *st), void *ctx,
                      md_error *err)
{
    bool found = false;

    MD_TRY(md_shm_check(s, err));
    pthread_mutex_lock(&s->lock);
    for (const md_shm_region *r = s->regions; r; r = r->next) {
        const md_shm_status st = { r->name, r->key, r->offset, r->size };

        if (*name && strcmp(r->name, name) != 0)
            continue;
        found = true;
        fn(ctx, &st);
    }
    pthread_mutex_unlock(&s->lock);
    return found || !*name ? MD_OK : fail_unknown(err, name);
}

/* ---- copying ---- */

/* Is the part inside of its region? */
static md_status check_inside(const md_shm_region *r, const md_shm_part *part,
                              md_error *err)
{
    if (part->offset <= r->size && part->size <= r->size - part->offset)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "shared memory region '%s': offset %llu and %llu bytes "
                   "given, the region has %llu bytes",
                   r->name, (unsigned long long)part->offset,
                   (unsigned long long)part->size, (unsigned long long)r->size);
}

/* The region stays, whatever happens to its name, until it is put back. */
static md_status borrow(md_shm *s, md_shm_region **out, const md_shm_part *part,
                        md_error *err)
{
    md_shm_region *r;
    md_status status;

    MD_TRY(md_shm_check(s, err));
    pthread_mutex_lock(&s->lock);
    r = *find(s, part->region);
    status = r ? check_inside(r, part, err) : fail_unknown(err, part->region);
    if (status == MD_OK) {
        r->n_users++;
        *out = r;
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

static void put_back(md_shm *s, md_shm_region *r)
{
    bool last;

    pthread_mutex_lock(&s->lock);
    last = --r->n_users == 0 && r->gone;
    pthread_mutex_unlock(&s->lock);
    if (last)
        free_region(s, r);
}

md_status md_shm_check_part(md_shm *s, const md_shm_part *part, md_error *err)
{
    md_shm_region *r = NULL;

    MD_TRY(borrow(s, &r, part, err));
    put_back(s, r);
    return MD_OK;
}

/* All of it by pread; less is told by a false. */
static bool read_all(int fd, unsigned char *to, size_t size, uint64_t at)
{
    while (size > 0) {
        const ssize_t n = pread(fd, to, size, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        size -= (size_t)n;
        at += (uint64_t)n;
    }
    return true;
}

static bool write_all(int fd, const unsigned char *from, size_t size,
                      uint64_t at)
{
    while (size > 0) {
        const ssize_t n = pwrite(fd, from, size, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        size -= (size_t)n;
        at += (uint64_t)n;
    }
    return true;
}

static md_status fail_short(md_error *err, const md_shm_region *r)
{
    return md_fail(err, MD_INVALID,
                   "shared memory region '%s': its segment '%s' has become "
                   "shorter",
                   r->name, r->key);
}

md_status md_shm_read(md_shm *s, const md_shm_part *part, void *to,
                      md_error *err)
{
    md_shm_region *r = NULL;
    md_status status = MD_OK;

    MD_TRY(borrow(s, &r, part, err));
    if (!read_all(r->fd, to, (size_t)part->size, r->offset + part->offset))
        status = fail_short(err, r);
    put_back(s, r);
    return status;
}

/* Writing must not make a segment longer than its owner has it. */
static bool is_there(const md_shm_region *r, uint64_t end)
{
    struct stat st;

    return fstat(r->fd, &st) == 0 && (uint64_t)st.st_size >= end;
}

md_status md_shm_write(md_shm *s, const md_shm_part *part, const void *from,
                       size_t size, md_error *err)
{
    md_shm_region *r = NULL;
    md_status status = MD_OK;
    uint64_t at;

    MD_TRY(borrow(s, &r, part, err));
    at = r->offset + part->offset;
    if (size > part->size)
        status = md_fail(err, MD_INVALID,
                         "shared memory region '%s': %llu bytes given for an "
                         "output, at least %zu expected",
                         r->name, (unsigned long long)part->size, size);
    else if (r->read_only)
        status = md_fail(err, MD_DENIED,
                         "shared memory region '%s': the server may not write "
                         "to its segment '%s'",
                         r->name, r->key);
    else if (!is_there(r, at + size) || !write_all(r->fd, from, size, at))
        status = fail_short(err, r);
    put_back(s, r);
    return status;
}
