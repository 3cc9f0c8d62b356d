/* Confined children: what comes back, and what they cannot do. */
#include "support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "convert/child.h"

static md_status run_job(md_buf *out,
                         md_status (*fn)(void *, md_child_out *, md_error *),
                         void *ctx, const md_child_limits *limits,
                         md_error *err)
{
    static const md_child_limits defaults = MD_CHILD_LIMITS_INIT;
    md_child_job job = { .name = "job", .run = fn, .ctx = ctx };

    return md_child_run(out, &job, limits ? limits : &defaults, err);
}

static md_status say(void *ctx, md_child_out *out, md_error *err)
{
    return md_child_write(out, ctx, strlen(ctx), err);
}

static void test_child__returns_what_it_writes(void **state)
{
    md_error err = MD_ERROR_INIT;
    char text[] = "result";
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), 100);
    assert_md_ok(run_job(&out, say, text, NULL, &err), &err);
    assert_int_equal(out.size, 6);
    assert_memory_equal(out.data, "result", 6);
    md_buf_release(&out);
}

static md_status say_nothing(void *ctx, md_child_out *out, md_error *err)
{
    (void)ctx;
    (void)out;
    (void)err;
    return MD_OK;
}

static void test_child__may_write_nothing(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), 100);
    assert_md_ok(run_job(&out, say_nothing, NULL, NULL, &err), &err);
    assert_int_equal(out.size, 0);
    md_buf_release(&out);
}

static md_status say_much(void *ctx, md_child_out *out, md_error *err)
{
    size_t n = *(size_t *)ctx;
    char block[4096];

    memset(block, 'x', sizeof(block));
    for (; n > 0; n -= n < sizeof(block) ? n : sizeof(block))
        MD_TRY(md_child_write(out, block, n < sizeof(block) ? n : sizeof(block),
                              err));
    return MD_OK;
}

static void test_child__output_is_bounded(void **state)
{
    static const size_t limit = 3000000;
    md_error err = MD_ERROR_INIT;
    size_t n = limit;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), limit);
    assert_md_ok(run_job(&out, say_much, &n, NULL, &err), &err);
    assert_int_equal(out.size, limit);
    md_buf_release(&out);
    n = limit + 1;
    assert_md_fails(run_job(&out, say_much, &n, NULL, &err), MD_TOO_LARGE, &err,
                    "job: contents exceed the limit of 3000000 bytes");
    md_buf_release(&out);
}

static md_status refuse(void *ctx, md_child_out *out, md_error *err)
{
    (void)ctx;
    MD_TRY(md_child_write(out, "some", 4, err));
    return md_fail(err, MD_DENIED, "thing 7 is not wanted");
}

static void test_child__status_and_text_come_back(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), 100);
    assert_md_fails(run_job(&out, refuse, NULL, NULL, &err), MD_DENIED, &err,
                    "job: thing 7 is not wanted");
    md_buf_release(&out);
}

/* What hostile bytes could make a reader do; none may reach its goal.  Those
 * that return tell through their status whether the attempt failed. */
static md_status crash(void *ctx, md_child_out *out, md_error *err)
{
    (void)ctx;
    (void)out;
    (void)err;
    raise(SIGSEGV);
    return MD_OK;
}

static md_status open_file(void *ctx, md_child_out *out, md_error *err)
{
    int fd = open("/etc/passwd", O_RDONLY);

    (void)ctx;
    (void)out;
    return fd >= 0 ? MD_OK : md_fail(err, MD_DENIED, "open: %d", errno);
}

static md_status open_socket(void *ctx, md_child_out *out, md_error *err)
{
    (void)ctx;
    (void)out;
    (void)err;
    (void)socket(AF_INET, SOCK_STREAM, 0);
    return MD_OK;
}

static md_status start_process(void *ctx, md_child_out *out, md_error *err)
{
    (void)ctx;
    (void)out;
    (void)err;
    if (fork() == 0)
        _exit(0);
    return MD_OK;
}

static md_status run_program(void *ctx, md_child_out *out, md_error *err)
{
    (void)ctx;
    (void)out;
    (void)err;
    execl("/bin/true", "true", (char *)NULL);
    return MD_OK;
}

static md_status signal_parent(void *ctx, md_child_out *out, md_error *err)
{
    (void)ctx;
    (void)out;
    (void)err;
    kill(getppid(), SIGTERM);
    return MD_OK;
}

static md_status make_code(void *ctx, md_child_out *out, md_error *err)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)ctx;
    (void)out;
    (void)p;
    (void)err;
    return MD_OK;
}

static md_status write_elsewhere(void *ctx, md_child_out *out, md_error *err)
{
    (void)out;
    (void)err;
    (void)!write(*(int *)ctx, "leak", 4);
    return MD_OK;
}

static void test_child__forbidden_calls_end_it(void **state)
{
    static const struct {
        md_status (*run)(void *, md_child_out *, md_error *);
        const char *text;
    } cases[] = {
        { open_socket, "forbidden call" }, { start_process, "forbidden call" },
        { run_program, "forbidden call" }, { signal_parent, "forbidden call" },
        { make_code, "forbidden call" },   { crash, "signal" },
    };
    md_error err = MD_ERROR_INIT;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), 100);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_status s = run_job(&out, cases[i].run, NULL, NULL, &err);

        /* A sanitizer turns a crash into an exit of its own. */
        if (cases[i].run == crash && s == MD_CORRUPT)
            continue;
        assert_md_fails(s, MD_CORRUPT, &err, cases[i].text);
    }
    md_buf_release(&out);
}

static void test_child__no_file_can_be_opened(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), 100);
    assert_md_fails(run_job(&out, open_file, NULL, NULL, &err), MD_DENIED, &err,
                    "open: 13");
    md_buf_release(&out);
}

static void test_child__no_descriptor_is_inherited(void **state)
{
    md_error err = MD_ERROR_INIT;
    char seen[8] = "";
    int fd[2];
    md_buf out;

    (void)state;
    assert_int_equal(pipe(fd), 0);
    md_buf_init(&out, md_alloc_default(), 100);
    assert_md_fails(run_job(&out, write_elsewhere, &fd[1], NULL, &err),
                    MD_CORRUPT, &err, "forbidden call");
    close(fd[1]);
    assert_int_equal(read(fd[0], seen, sizeof(seen)), 0);
    close(fd[0]);
    md_buf_release(&out);
}

static md_status spin(void *ctx, md_child_out *out, md_error *err)
{
    volatile unsigned n = 0;

    (void)ctx;
    (void)out;
    (void)err;
    while (n < UINT32_MAX || n > 0)
        n++;
    return MD_OK;
}

static void test_child__time_is_limited(void **state)
{
    md_child_limits limits = MD_CHILD_LIMITS_INIT;
    md_error err = MD_ERROR_INIT;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), 100);
    limits.timeout_ms = 50;
    assert_md_fails(run_job(&out, spin, NULL, &limits, &err), MD_TIMEOUT, &err,
                    "job: not read within 50 ms");
    limits.timeout_ms = 60000;
    limits.cpu_s = 1;
    assert_md_fails(run_job(&out, spin, NULL, &limits, &err), MD_CORRUPT, &err,
                    "used up its reader's time");
    md_buf_release(&out);
}

static md_status take_memory(void *ctx, md_child_out *out, md_error *err)
{
    size_t size = *(size_t *)ctx;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)out;
    return p != MAP_FAILED ? MD_OK : md_fail_nomem(err, size);
}

static bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return false;
}

static void test_child__memory_is_limited(void **state)
{
    md_child_limits limits = MD_CHILD_LIMITS_INIT;
    md_error err = MD_ERROR_INIT;
    size_t size = (size_t)64 << 20;
    md_buf out;

    (void)state;
    if (is_sanitized())
        skip();
    md_buf_init(&out, md_alloc_default(), 100);
    assert_md_ok(run_job(&out, take_memory, &size, &limits, &err), &err);
    limits.memory = (size_t)32 << 20;
    assert_md_fails(run_job(&out, take_memory, &size, &limits, &err), MD_NOMEM,
                    &err, "job: out of memory");
    md_buf_release(&out);
}

static void *run_some(void *ctx)
{
    char text[] = "result";

    for (int i = 0; i < 10; i++) {
        md_error err = MD_ERROR_INIT;
        md_buf out;

        md_buf_init(&out, md_alloc_default(), 100);
        if (run_job(&out, say, text, NULL, &err) != MD_OK || out.size != 6)
            *(bool *)ctx = false;
        md_buf_release(&out);
    }
    return NULL;
}

static void test_child__many_threads_at_once(void **state)
{
    bool ok[4] = { true, true, true, true };
    pthread_t t[4];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, run_some, &ok[i]), 0);
    for (size_t i = 0; i < MD_COUNT(t); i++) {
        pthread_join(t[i], NULL);
        assert_true(ok[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child__returns_what_it_writes),
        cmocka_unit_test(test_child__may_write_nothing),
        cmocka_unit_test(test_child__output_is_bounded),
        cmocka_unit_test(test_child__status_and_text_come_back),
        cmocka_unit_test(test_child__forbidden_calls_end_it),
        cmocka_unit_test(test_child__no_file_can_be_opened),
        cmocka_unit_test(test_child__no_descriptor_is_inherited),
        cmocka_unit_test(test_child__time_is_limited),
        cmocka_unit_test(test_child__memory_is_limited),
        cmocka_unit_test(test_child__many_threads_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
