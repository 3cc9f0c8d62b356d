#include "registry/stamp.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"

static uint64_t mix(uint64_t seed, const void *p, size_t n)
{
    const uint64_t key[2] = { seed, 0x6d6f64656c64 };

    return md_hash_keyed(key, p, n);
}

void md_stamp_text(md_stamp *st, const char *text)
{
    st->hash = mix(st->hash, text, strlen(text));
}

static void add_path(md_stamp *st, char path[MD_STAMP_PATH_MAX], int depth);

/* Sums, because a folder's entries come in no order. */
static void add_entries(md_stamp *st, char path[MD_STAMP_PATH_MAX], int depth)
{
    const size_t n = strlen(path);
    const struct dirent *e;
    uint64_t sum = 0;
    DIR *dir;

    dir = depth < MD_STAMP_DEPTH ? opendir(path) : NULL;
    while (dir && (e = readdir(dir))) {
        const size_t room = MD_STAMP_PATH_MAX - n;
        md_stamp entry = { 0, st->changed_ns };

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strlen(e->d_name) + 2 > room)
            continue;
        (void)snprintf(path + n, room, "/%s", e->d_name);
        md_stamp_text(&entry, e->d_name);
        add_path(&entry, path, depth + 1);
        path[n] = '\0';
        sum += entry.hash;
        st->changed_ns = entry.changed_ns;
    }
    if (dir)
        closedir(dir);
    st->hash = mix(st->hash, &sum, sizeof(sum));
}

static void add_path(md_stamp *st, char path[MD_STAMP_PATH_MAX], int depth)
{
    struct stat about;
    int64_t changed;

    if (stat(path, &about) != 0) {
        md_stamp_text(st, "");
        return;
    }
    changed = (int64_t)about.st_ctim.tv_sec * 1000000000 +
              (int64_t)about.st_ctim.tv_nsec;
    if (changed > st->changed_ns)
        st->changed_ns = changed;
    if (S_ISDIR(about.st_mode)) {
        add_entries(st, path, depth);
    } else {
        const uint64_t of[] = {
            (uint64_t)about.st_size,        (uint64_t)changed,
            (uint64_t)about.st_mtim.tv_sec, (uint64_t)about.st_mtim.tv_nsec,
            (uint64_t)about.st_ino,         (uint64_t)about.st_dev
        };

        st->hash = mix(st->hash, of, sizeof(of));
    }
}

void md_stamp_tree(md_stamp *st, const char *path)
{
    char copy[MD_STAMP_PATH_MAX];

    if (strlen(path) >= sizeof(copy)) {
        md_stamp_text(st, path);
        return;
    }
    memcpy(copy, path, strlen(path) + 1);
    add_path(st, copy, 0);
}
