/* One confined child per job, and the parent's side of it. */
#define _GNU_SOURCE /* pipe2 */
#include "convert/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "convert/sandbox.h"

enum {
    READ_SIZE = 1 << 20,
    EXIT_REPORTED = 1 /* a failure, told through the status pipe */
};

/* What the child says at its end, in one write. */
typedef struct report {
    int32_t status;
    char msg[MD_ERROR_MSG_SIZE];
} report;

/* The parent's view of a child. */
typedef struct child {
    pid_t pid;
    int data, status; /* read ends */
} child;

static md_status write_all(int fd, const void *data, size_t size, md_error *err)
{
    const char *p = data;

    while (size > 0) {
        ssize_t n = write(fd, p, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return md_fail(err, MD_IO, "result pipe: %s", strerror(errno));
        p += n;
        size -= (size_t)n;
    }
    return MD_OK;
}

md_status md_child_write(md_child_out *out, const void *data, size_t size,
                         md_error *err)
{
    MD_TRY(write_all(out->fd, data, size, err));
    out->size += size;
    return MD_OK;
}

/* Handlers of the parent must not run in the child. */
static void reset_signals(void)
{
    struct sigaction act = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        sigaction(sig, &act, NULL); /* SIGKILL and SIGSTOP refuse: fine */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void be_child(const md_child_job *job, const md_child_limits *limits,
                     int data_fd, int status_fd)
{
    md_sandbox box = { .fd = { data_fd, status_fd },
                       .memory = limits->memory,
                       .cpu_s = limits->cpu_s };
    md_child_out out = { .fd = data_fd };
    md_error err = MD_ERROR_INIT;
    report rep;
    md_status s = MD_OK;

    reset_signals();
    if (job->prepare)
        s = job->prepare(job->ctx, &err);
    if (s == MD_OK)
        s = md_sandbox_enter(&box, &err);
    if (s == MD_OK)
        s = job->run(job->ctx, &out, &err);
    if (s != MD_OK) {
        memset(&rep, 0, sizeof(rep));
        rep.status = (int32_t)s;
        memcpy(rep.msg, err.msg, sizeof(rep.msg));
        rep.msg[sizeof(rep.msg) - 1] = '\0';
        (void)write_all(status_fd, &rep, sizeof(rep), NULL);
        _exit(EXIT_REPORTED);
    }
    _exit(0);
}

static void close_pair(const int fd[2])
{
    for (int i = 0; i < 2; i++) {
        if (fd[i] >= 0)
            close(fd[i]);
    }
}

static md_status start(child *c, const md_child_job *job,
                       const md_child_limits *limits, md_error *err)
{
    int data[2] = { -1, -1 };
    int status[2] = { -1, -1 };

    if (pipe2(data, O_CLOEXEC) != 0 || pipe2(status, O_CLOEXEC) != 0 ||
        (c->pid = fork()) < 0) {
        md_status s = md_fail(err, MD_UNAVAILABLE, "%s: child process: %s",
                              job->name, strerror(errno));

        close_pair(data);
        close_pair(status);
        return s;
    }
    if (c->pid == 0)
        be_child(job, limits, data[1], status[1]);
    close(data[1]);
    close(status[1]);
    c->data = data[0];
    c->status = status[0];
    return MD_OK;
}

/* Append what can be read now; *open is false at the end. */
static md_status take(md_buf *out, bool *open, int fd, const char *name,
                      md_error *err)
{
    /* One byte more than the limit allows tells that there is too much. */
    size_t room = out->limit - out->size;
    size_t want = room < READ_SIZE ? room : READ_SIZE;
    char extra;
    ssize_t n;

    if (want > 0) {
        MD_TRY(md_buf_reserve(out, want, err));
        n = read(fd, out->data + out->size, want);
    } else {
        n = read(fd, &extra, 1);
    }
    if (n < 0)
        return errno == EINTR
                   ? MD_OK
                   : md_fail(err, MD_IO, "%s: %s", name, strerror(errno));
    *open = n > 0;
    if (n > 0 && want == 0)
        return md_fail(err, MD_TOO_LARGE,
                       "%s: contents exceed the limit of %zu bytes", name,
                       out->limit);
    out->size += want > 0 ? (size_t)n : 0;
    if (n > 0)
        out->data[out->size] = '\0';
    return MD_OK;
}

/* Read until the child closes its end, within the time. */
static md_status collect(md_buf *out, const child *c, const char *name,
                         int64_t timeout_ms, md_error *err)
{
    int64_t start_ns = md_clock_ns();
    bool open = true;

    while (open) {
        int64_t gone = (md_clock_ns() - start_ns) / 1000000;
        struct pollfd p = { .fd = c->data, .events = POLLIN };
        int64_t left = timeout_ms - gone;
        int n = left > 0 ? poll(&p, 1, left < 1000 ? (int)left : 1000) : 0;

        if (left <= 0)
            return md_fail(err, MD_TIMEOUT, "%s: not read within %lld ms", name,
                           (long long)timeout_ms);
        if (n > 0)
            MD_TRY(take(out, &open, c->data, name, err));
    }
    return MD_OK;
}

/* Wait for the end; the child's status word, 0 when someone else took it. */
static int reap(pid_t pid)
{
    int word = 0;

    while (waitpid(pid, &word, 0) < 0) {
        if (errno != EINTR)
            return 0;
    }
    return word;
}

static md_status judge(int word, int status_fd, const char *name, md_error *err)
{
    report rep;
    ssize_t n = read(status_fd, &rep, sizeof(rep));

    if (n == (ssize_t)sizeof(rep) && rep.status > MD_OK &&
        rep.status <= MD_INTERNAL) {
        rep.msg[sizeof(rep.msg) - 1] = '\0';
        return md_fail(err, (md_status)rep.status, "%s: %s", name, rep.msg);
    }
    if (WIFSIGNALED(word) && WTERMSIG(word) == SIGSYS)
        return md_fail(err, MD_CORRUPT,
                       "%s: file made its reader attempt a forbidden call",
                       name);
    if (WIFSIGNALED(word) &&
        (WTERMSIG(word) == SIGXCPU || WTERMSIG(word) == SIGKILL))
        return md_fail(err, MD_CORRUPT,
                       "%s: file used up its reader's time or memory", name);
    if (WIFSIGNALED(word) || WEXITSTATUS(word) != 0 || n > 0)
        return md_fail(err, MD_CORRUPT, "%s: file crashed its reader (%s %d)",
                       name, WIFSIGNALED(word) ? "signal" : "exit",
                       WIFSIGNALED(word) ? WTERMSIG(word) : WEXITSTATUS(word));
    return MD_OK;
}

md_status md_child_run(md_buf *out, const md_child_job *job,
                       const md_child_limits *limits, md_error *err)
{
    child c = { 0, -1, -1 };
    md_status s;
    int word;

    MD_TRY(start(&c, job, limits, err));
    s = collect(out, &c, job->name, limits->timeout_ms, err);
    if (s != MD_OK)
        kill(c.pid, SIGKILL);
    word = reap(c.pid);
    if (s == MD_OK)
        s = judge(word, c.status, job->name, err);
    close(c.data);
    close(c.status);
    return s;
}
