#include "cli/peers.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/peers_py.h"
#include "cli/print.h"

enum {
    ANSWER_SIZE = 2048,
    HEADER_MAX = 1 << 20
};

/* As in peers.py. */
static const char *const known[] = { "onnxruntime", "openvino" };

extern char **environ;

static bool is_known(const char *name, size_t n)
{
    for (size_t i = 0; i < MD_COUNT(known); i++) {
        if (strlen(known[i]) == n && memcmp(known[i], name, n) == 0)
            return true;
    }
    return false;
}

static bool is_there(const md_peers *p, const char *name)
{
    for (int i = 0; i < p->n; i++) {
        if (strcmp(p->peer[i].name, name) == 0)
            return true;
    }
    return false;
}

md_status md_peers_parse(md_peers *out, const char *list, md_error *err)
{
    *out = (md_peers){ .fd = -1 };
    for (const char *at = list;;) {
        size_t n = strcspn(at, ",");
        char name[MD_PEER_NAME];

        if (!is_known(at, n))
            return md_fail(err, MD_INVALID,
                           "--compare: '%.80s' given, expected some of "
                           "onnxruntime,openvino",
                           list);
        snprintf(name, sizeof(name), "%.*s", (int)n, at);
        if (is_there(out, name))
            return md_fail(err, MD_INVALID, "--compare: %s is there twice",
                           name);
        memcpy(out->peer[out->n++].name, name, sizeof(name));
        if (at[n] == '\0')
            return MD_OK;
        at += n + 1;
    }
}

/* ---- the child ---- */

static md_status spawn(md_peers *p, int theirs, md_error *err)
{
    char script[sizeof(md_peers_py) + 1], dash_c[] = "-c", name[256];
    char *argv[] = { name, dash_c, script, NULL };
    posix_spawn_file_actions_t to;
    int e;

    snprintf(name, sizeof(name), "%s", p->python);
    memcpy(script, md_peers_py, sizeof(md_peers_py));
    script[sizeof(md_peers_py)] = '\0';
    e = posix_spawn_file_actions_init(&to);
    if (e)
        return md_fail(err, MD_UNAVAILABLE, "--compare: %s", strerror(e));
    posix_spawn_file_actions_adddup2(&to, theirs, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&to, theirs, STDOUT_FILENO);
    /* Engines chatter there; what fails is in the answer. */
    posix_spawn_file_actions_addopen(&to, STDERR_FILENO, "/dev/null", 1, 0);
    e = posix_spawnp(&p->pid, p->python, &to, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&to);
    if (e) {
        p->pid = 0;
        return md_fail(err, MD_UNAVAILABLE, "--compare: cannot run '%s': %s",
                       p->python, strerror(e));
    }
    return MD_OK;
}

static md_status start(md_peers *p, md_error *err)
{
    int pair[2];
    md_status s;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return md_fail(err, MD_UNAVAILABLE, "--compare: %s", strerror(errno));
    p->fd = pair[0];
    s = spawn(p, pair[1], err);
    close(pair[1]);
    MD_TRY(s);
    p->answer = fdopen(p->fd, "r");
    return p->answer
               ? MD_OK
               : md_fail(err, MD_UNAVAILABLE, "--compare: %s", strerror(errno));
}

static md_status fail_ended(md_peers *p, md_error *err)
{
    int status = 0;

    if (p->pid > 0 && waitpid(p->pid, &status, 0) == p->pid)
        p->pid = 0;
    if (WIFSIGNALED(status))
        return md_fail(err, MD_UNAVAILABLE,
                       "--compare: '%s' ended by signal %d", p->python,
                       WTERMSIG(status));
    return md_fail(err, MD_UNAVAILABLE, "--compare: '%s' ended with status %d",
                   p->python, WEXITSTATUS(status));
}

/* A child that has ended is found when its answer is read. */
static void tell(const md_peers *p, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = send(p->fd, at, size, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        at += n;
        size -= (size_t)n;
    }
}

/* A line that begins with "ok ", less that; else what is wrong. */
static md_status hear(md_peers *p, char line[ANSWER_SIZE], md_error *err)
{
    if (!fgets(line, ANSWER_SIZE, p->answer))
        return fail_ended(p, err);
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "ok ", 3) == 0) {
        memmove(line, line + 3, strlen(line + 3) + 1);
        return MD_OK;
    }
    if (strncmp(line, "error ", 6) == 0)
        return md_fail(err, MD_UNAVAILABLE, "--compare: %.400s", line + 6);
    return md_fail(err, MD_UNAVAILABLE, "--compare: '%s' answers '%.80s'",
                   p->python, line);
}

/* ---- what is said ---- */

static void put_inputs(md_json_writer *w, const md_peers_job *job)
{
    md_json_put_name(w, "inputs");
    md_json_put_array(w);
    for (uint32_t i = 0; i < md_session_n_inputs(job->session); i++) {
        const md_tensor *t = md_run_input(job->run, i);

        md_json_put_object(w);
        md_cli_json_str(w, "name", md_session_input(job->session, i)->name);
        md_cli_json_str(w, "dtype", md_dtype_name(t->dtype));
        md_cli_json_int(w, "size", (int64_t)md_tensor_size(t));
        md_json_put_name(w, "shape");
        md_json_put_array(w);
        for (int d = 0; d < t->shape.rank; d++)
            md_json_put_i64(w, t->shape.dim[d]);
        md_json_put_end(w);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

static md_status put_header(md_buf *b, const md_peers *p,
                            const md_peers_job *job, md_error *err)
{
    md_json_writer w;

    md_json_writer_init(&w, b);
    md_json_put_object(&w);
    md_cli_json_str(&w, "model", job->model);
    md_cli_json_str(&w, "precision", job->precision);
    md_cli_json_int(&w, "threads", job->threads);
    md_json_put_name(&w, "peers");
    md_json_put_array(&w);
    for (int i = 0; i < p->n; i++)
        md_json_put_str(&w, p->peer[i].name);
    md_json_put_end(&w);
    put_inputs(&w, job);
    md_json_put_end(&w);
    MD_TRY(md_json_finish(&w, err));
    return md_buf_putc(b, '\n', err);
}

/* Text is no array of bytes. */
static md_status check_inputs(const md_peers_job *job, md_error *err)
{
    for (uint32_t i = 0; i < md_session_n_inputs(job->session); i++) {
        if (md_run_input(job->run, i)->dtype == MD_DTYPE_STRING)
            return md_fail(err, MD_UNSUPPORTED,
                           "--compare: input '%s' is string, numbers expected",
                           md_session_input(job->session, i)->name);
    }
    return MD_OK;
}

static md_status introduce(md_peers *p, const md_peers_job *job, md_error *err)
{
    char line[ANSWER_SIZE];
    const char *at = line;
    md_buf b;
    md_status s;

    md_buf_init(&b, md_alloc_default(), HEADER_MAX);
    s = put_header(&b, p, job, err);
    if (s == MD_OK)
        tell(p, b.data, b.size);
    md_buf_release(&b);
    MD_TRY(s);
    for (uint32_t i = 0; i < md_session_n_inputs(job->session); i++) {
        const md_tensor *t = md_run_input(job->run, i);

        tell(p, t->data, md_tensor_size(t));
    }
    MD_TRY(hear(p, line, err));
    for (int i = 0; i < p->n; i++) {
        int n = (int)strcspn(at, " ");

        snprintf(p->peer[i].version, sizeof(p->peer[i].version), "%.*s", n, at);
        at += n + (at[n] == ' ');
    }
    return MD_OK;
}

md_status md_peers_open(md_peers *p, const md_peers_job *job, md_error *err)
{
    md_status s;

    MD_TRY(check_inputs(job, err));
    p->python = job->python;
    s = start(p, err);
    if (s == MD_OK)
        s = introduce(p, job, err);
    if (s != MD_OK)
        md_peers_close(p);
    return s;
}

md_status md_peers_run(md_peers *p, int i, double seconds, int64_t *min_ns,
                       int64_t *p50_ns, md_error *err)
{
    char line[ANSWER_SIZE];
    long long least, middle;

    snprintf(line, sizeof(line), "%d %.6f\n", i, seconds);
    tell(p, line, strlen(line));
    MD_TRY(hear(p, line, err));
    if (sscanf(line, "%lld %lld", &least, &middle) != 2 || least <= 0 ||
        middle < least)
        return md_fail(err, MD_UNAVAILABLE, "--compare: '%s' answers '%.80s'",
                       p->python, line);
    *min_ns = least;
    *p50_ns = middle;
    return MD_OK;
}

void md_peers_close(md_peers *p)
{
    if (p->answer)
        fclose(p->answer); /* and fd: the child ends at the end of its input */
    else if (p->fd >= 0 && p->n)
        close(p->fd);
    if (p->pid > 0)
        waitpid(p->pid, NULL, 0);
    *p = (md_peers){ .fd = -1 };
}
