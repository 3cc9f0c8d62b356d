#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/shm.h"
#include "support/fail_alloc.h"

enum {
    SIZE = 10000,
    ROUNDS = 2000
};

/* A segment of this process, "/modeld-test-PID-a". */
typedef struct fixture {
    md_shm shm;
    char key[64];
    int fd;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    char bytes[SIZE];

    (void)snprintf(f.key, sizeof(f.key), "/modeld-test-%d-a", (int)getpid());
    md_shm_init(&f.shm, "//modeld-test-", md_alloc_default());
    f.fd = shm_open(f.key, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(f.fd >= 0);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7);
    assert_int_equal(write(f.fd, bytes, SIZE), SIZE);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    md_shm_release(&f->shm);
    shm_unlink(f->key);
    close(f->fd);
    return 0;
}

static void test_shm__what_may_be_registered(void **state)
{
    fixture *f = *state;
    char longer[MD_SHM_NAME_SIZE + 2];
    const struct {
        const char *name, *key;
        uint64_t offset, size;
        md_status want;
        const char *text;
    } cases[] = {
        { "", f->key, 0, 1, MD_INVALID, "name of 0 bytes given" },
        { longer, f->key, 0, 1, MD_INVALID, "name of 257 bytes given" },
        { "r", "", 0, 1, MD_INVALID, "without another slash" },
        { "r", "///", 0, 1, MD_INVALID, "without another slash" },
        { "r", "/modeld-test-/../x", 0, 1, MD_INVALID, "without another" },
        { "r", longer, 0, 1, MD_INVALID, "without another slash" },
        { "r", "/other", 0, 1, MD_DENIED, "begins with '/modeld-test-'" },
        { "r", "/modeld-test", 0, 1, MD_DENIED, "begins with" },
        { "r", "/modeld-test-none", 0, 1, MD_NOT_FOUND, "No such file" },
        { "r", f->key, 0, 0, MD_INVALID, "has 10000 bytes" },
        { "r", f->key, 0, SIZE + 1, MD_INVALID, "has 10000 bytes" },
        { "r", f->key, 1, SIZE, MD_INVALID, "has 10000 bytes" },
        { "r", f->key, SIZE, 1, MD_INVALID, "has 10000 bytes" },
        { "r", f->key, UINT64_MAX, 2, MD_INVALID, "has 10000 bytes" },
        { "r", f->key, 2, UINT64_MAX, MD_INVALID, "has 10000 bytes" },
    };
    md_error err = MD_ERROR_INIT;

    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        assert_md_fails(md_shm_register(&f->shm, cases[i].name, cases[i].key,
                                        cases[i].offset, cases[i].size, &err),
                        cases[i].want, &err, cases[i].text);
    assert_md_ok(md_shm_register(&f->shm, "r", f->key, 0, SIZE, &err), &err);
    assert_md_fails(md_shm_register(&f->shm, "r", f->key, 0, SIZE, &err),
                    MD_EXISTS, &err, "registered already");
}

static void test_shm__parts(void **state)
{
    fixture *f = *state;
    md_shm_part part = { "r", 10, 100, true };
    char got[100];
    char want[100];
    md_error err = MD_ERROR_INIT;

    assert_md_fails(md_shm_read(&f->shm, &part, got, &err), MD_NOT_FOUND, &err,
                    "unable to find shared memory region 'r'");
    assert_md_ok(md_shm_register(&f->shm, "r", f->key, 1000, 500, &err), &err);
    assert_md_ok(md_shm_read(&f->shm, &part, got, &err), &err);
    for (size_t i = 0; i < sizeof(want); i++)
        want[i] = (char)((1010 + i) * 7);
    assert_memory_equal(got, want, sizeof(want));
    assert_md_ok(md_shm_write(&f->shm, &part, "hello", 5, &err), &err);
    assert_int_equal(pread(f->fd, got, 7, 1009), 7);
    assert_memory_equal(got + 1, "hello", 5);
    assert_int_equal(got[0], (char)(1009 * 7));
    assert_int_equal(got[6], (char)(1015 * 7));
    assert_md_fails(md_shm_write(&f->shm, &part, want, 101, &err), MD_INVALID,
                    &err, "100 bytes given for an output, at least 101");
    part.offset = 401;
    assert_md_fails(md_shm_read(&f->shm, &part, got, &err), MD_INVALID, &err,
                    "offset 401 and 100 bytes given, the region has 500");
    part.offset = UINT64_MAX;
    assert_md_fails(md_shm_check_part(&f->shm, &part, &err), MD_INVALID, &err,
                    "the region has 500");
    part.offset = 400;
    assert_md_ok(md_shm_check_part(&f->shm, &part, &err), &err);
}

/* Its owner may do that at any time; nothing here dies of it. */
static void test_shm__a_segment_that_becomes_shorter(void **state)
{
    fixture *f = *state;
    const md_shm_part part = { "r", 0, SIZE, true };
    static char bytes[SIZE];
    struct stat st;
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_shm_register(&f->shm, "r", f->key, 0, SIZE, &err), &err);
    assert_int_equal(ftruncate(f->fd, 5000), 0);
    assert_md_fails(md_shm_read(&f->shm, &part, bytes, &err), MD_INVALID, &err,
                    "has become shorter");
    assert_md_fails(md_shm_write(&f->shm, &part, bytes, SIZE, &err), MD_INVALID,
                    &err, "has become shorter");
    assert_int_equal(fstat(f->fd, &st), 0);
    assert_int_equal(st.st_size, 5000);
}

static void test_shm__one_that_may_only_be_read(void **state)
{
    fixture *f = *state;
    enum {
        NOBODY = 65534
    };
    const md_shm_part part = { "r", 0, 10, true };
    const bool is_root = geteuid() == 0;
    char bytes[10];
    md_error err = MD_ERROR_INIT;
    md_status s;

    assert_int_equal(fchmod(f->fd, 0400), 0);
    if (is_root) { /* who may do anything: be somebody else for a while */
        assert_int_equal(fchown(f->fd, NOBODY, NOBODY), 0);
        assert_int_equal(seteuid(NOBODY), 0);
    }
    s = md_shm_register(&f->shm, "r", f->key, 0, SIZE, &err);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_md_ok(s, &err);
    assert_md_ok(md_shm_read(&f->shm, &part, bytes, &err), &err);
    assert_md_fails(md_shm_write(&f->shm, &part, bytes, 10, &err), MD_DENIED,
                    &err, "may not write");
}

typedef struct told {
    size_t n;
    uint64_t size;
} told;

static void count(void *ctx, const md_shm_status *st)
{
    told *t = ctx;

    t->n++;
    t->size += st->size;
}

static void test_shm__status_and_unregistering(void **state)
{
    fixture *f = *state;
    told t = { 0 };
    char name[16];
    md_error err = MD_ERROR_INIT;

    for (int i = 0; i < MD_SHM_REGIONS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "r%d", i);
        assert_md_ok(md_shm_register(&f->shm, name, f->key, 0, 1, &err), &err);
    }
    assert_md_fails(md_shm_register(&f->shm, "one", f->key, 0, 1, &err),
                    MD_BUSY, &err, "more than 256");
    assert_md_ok(md_shm_each(&f->shm, "", count, &t, &err), &err);
    assert_int_equal(t.n, MD_SHM_REGIONS_MAX);
    assert_md_ok(md_shm_unregister(&f->shm, "r7", &err), &err);
    assert_md_ok(md_shm_unregister(&f->shm, "r7", &err), &err);
    assert_md_fails(md_shm_each(&f->shm, "r7", count, &t, &err), MD_NOT_FOUND,
                    &err, "'r7'");
    assert_md_ok(md_shm_register(&f->shm, "one", f->key, 3, 20, &err), &err);
    t = (told){ 0 };
    assert_md_ok(md_shm_each(&f->shm, "one", count, &t, &err), &err);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.size, 20);
    assert_md_ok(md_shm_unregister(&f->shm, "", &err), &err);
    t = (told){ 0 };
    assert_md_ok(md_shm_each(&f->shm, "", count, &t, &err), &err);
    assert_int_equal(t.n, 0);
}

static void test_shm__is_off_without_a_prefix(void **state)
{
    fixture *f = *state;
    const md_shm_part part = { "r", 0, 1, true };
    char byte;
    md_error err = MD_ERROR_INIT;
    md_shm off;

    md_shm_init(&off, NULL, md_alloc_default());
    assert_md_fails(md_shm_register(&off, "r", f->key, 0, 1, &err),
                    MD_UNSUPPORTED, &err, "shared memory is off");
    assert_md_fails(md_shm_unregister(&off, "", &err), MD_UNSUPPORTED, &err,
                    "is off");
    assert_md_fails(md_shm_each(&off, "", count, NULL, &err), MD_UNSUPPORTED,
                    &err, "is off");
    assert_md_fails(md_shm_read(&off, &part, &byte, &err), MD_UNSUPPORTED, &err,
                    "is off");
    md_shm_release(&off);
}

static void test_shm__out_of_memory(void **state)
{
    fixture *f = *state;
    md_error err = MD_ERROR_INIT;
    fail_alloc fa;
    md_shm shm;

    fail_alloc_init(&fa);
    md_shm_init(&shm, "/", &fa.alloc);
    fail_alloc_arm(&fa, 0);
    assert_int_equal(md_shm_register(&shm, "r", f->key, 0, 1, &err), MD_NOMEM);
    assert_true(fail_alloc_disarm(&fa));
    assert_md_ok(md_shm_register(&shm, "r", f->key, 0, 1, &err), &err);
    md_shm_release(&shm);
    assert_int_equal(fa.n_live, 0);
}

/* ---- regions that come and go while others read them ---- */

typedef struct reader {
    fixture *f;
    _Atomic bool *ends;
    pthread_t thread;
    bool ok;
} reader;

static void *read_on(void *arg)
{
    reader *r = arg;
    const md_shm_part part = { "r", 0, SIZE, true };
    static _Thread_local char bytes[SIZE];

    r->ok = true;
    while (!atomic_load(r->ends)) {
        const md_status s = md_shm_read(&r->f->shm, &part, bytes, NULL);

        r->ok &= s == MD_NOT_FOUND ||
                 (s == MD_OK && bytes[SIZE - 1] == (char)((SIZE - 1) * 7));
    }
    return NULL;
}

static void test_shm__threads(void **state)
{
    fixture *f = *state;
    _Atomic bool ends = false;
    reader readers[3];

    for (size_t i = 0; i < MD_COUNT(readers); i++) {
        readers[i] = (reader){ .f = f, .ends = &ends };
        assert_int_equal(
            pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        md_error err = MD_ERROR_INIT;

        assert_md_ok(md_shm_register(&f->shm, "r", f->key, 0, SIZE, &err),
                     &err);
        assert_md_ok(md_shm_unregister(&f->shm, i % 2 ? "r" : "", &err), &err);
    }
    atomic_store(&ends, true);
    for (size_t i = 0; i < MD_COUNT(readers); i++) {
        pthread_join(readers[i].thread, NULL);
        assert_true(readers[i].ok);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shm__what_may_be_registered),
        TEST(test_shm__parts),
        TEST(test_shm__a_segment_that_becomes_shorter),
        TEST(test_shm__one_that_may_only_be_read),
        TEST(test_shm__status_and_unregistering),
        TEST(test_shm__is_off_without_a_prefix),
        TEST(test_shm__out_of_memory),
        TEST(test_shm__threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
