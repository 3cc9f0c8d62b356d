/*
 * Status codes and error texts.
 *
 * A function that can fail returns md_status and takes `md_error *err` last.
 * err lives on the caller's stack, is untouched on success and may be NULL.
 * No allocation and no thread-local state are involved, so errors survive
 * thread pools and running out of memory.
 */
#ifndef MD_BASE_ERROR_H
#define MD_BASE_ERROR_H

#include "base/attr.h"

typedef enum md_status {
#define X(name, value, http, grpc, text) MD_##name = (value),
#include "base/status.def"
#undef X
} md_status;

enum {
    MD_ERROR_MSG_SIZE = 512
};

/* Caller-owned, usually on the stack.  Untouched when the call succeeds. */
typedef struct md_error {
    md_status status;
    char msg[MD_ERROR_MSG_SIZE];
} md_error;

#define MD_ERROR_INIT                                                          \
    {                                                                          \
        MD_OK,                                                                 \
        {                                                                      \
            0                                                                  \
        }                                                                      \
    }

/* Short text of a status ("invalid argument"); never NULL. */
const char *md_status_text(md_status s);

/* Name of a status ("INVALID"); never NULL. */
const char *md_status_name(md_status s);

/* The HTTP status code and the gRPC code that a status maps to. */
int md_status_http(md_status s);
int md_status_grpc(md_status s);

/* Record s and a formatted reason in err (may be NULL); returns s.  Texts are
 * lower case without a final period: thing, value, expectation.  Whatever is
 * formatted in, the message is one line of UTF-8: control characters and other
 * bytes become '?'. */
md_status md_fail(md_error *err, md_status s, const char *fmt, ...)
    MD_PRINTF(3, 4);

/* Shorthand for an allocation of `size` bytes that failed. */
md_status md_fail_nomem(md_error *err, unsigned long long size);

/* Prefix the message already in err with context ("node 'conv1': "). */
md_status md_wrap(md_error *err, md_status s, const char *fmt, ...)
    MD_PRINTF(3, 4);

/* The analyser sees one file at a time: tell it that a failure is returned. */
#if defined(__clang_analyzer__) && !defined(MD_ERROR_IMPL)
#define md_fail(err, s, ...) ((md_fail)((err), (s), __VA_ARGS__), (s))
#define md_fail_nomem(err, size) ((md_fail_nomem)((err), (size)), MD_NOMEM)
#define md_wrap(err, s, ...) ((md_wrap)((err), (s), __VA_ARGS__), (s))
#endif

/* Forward a failure to the caller. */
#define MD_TRY(expr)                                                           \
    do {                                                                       \
        md_status md_try_ = (expr);                                            \
        if (md_try_ != MD_OK)                                                  \
            return md_try_;                                                    \
    } while (0)

/* Forward a failure to the clean-up label `out`; needs `md_status s`. */
#define MD_GOTO(expr)                                                          \
    do {                                                                       \
        s = (expr);                                                            \
        if (s != MD_OK)                                                        \
            goto out;                                                          \
    } while (0)

#endif
