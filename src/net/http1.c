/*
 * The parser is a loop over states; each looks at one line or one run of
 * body bytes.  A state's function returns true when parsing can go on and
 * false when h->event is to be told to the caller.
 *
 * The buffer holds, from offset 0: the head, the decoded body, and behind
 * h->pos bytes not looked at yet.  Between body and pos lies what chunk
 * framing took; close_gap moves the rest down, so that a body in a million
 * chunks needs no more memory than in one.
 */
#include "net/http1.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum state {
    START,      /* request line */
    FIELDS,     /* up to the empty line */
    BODY,       /* counted by Content-Length */
    CHUNK_SIZE, /* a line */
    CHUNK_DATA,
    CHUNK_END, /* CR LF behind the data */
    TRAILERS,
    DONE,
    FAILED
};

enum {
    READ_SIZE_MIN = 4 * 1024,
    READ_SIZE_MAX = 64 * 1024,
    SLACK_SIZE = 2 * READ_SIZE_MAX, /* pipelined bytes, chunk framing */
    HEAD_SIZE_CAP = 1024 * 1024,
    CHUNK_LINE_MAX = 256,          /* size and extensions, which are ignored */
    CHUNK_FRAMING_MAX = 16 * 1024, /* of what sizes did not need, in all */
    KEEP_SIZE_MAX = 128 * 1024
};

md_status md_http1_limits_check(const md_http1_limits *limits, md_error *err)
{
    /* Lengths are summed digit by digit up to the limit and one more. */
    if (limits->body_size_max > SIZE_MAX / 32 ||
        limits->head_size_max > HEAD_SIZE_CAP)
        return md_fail(err, MD_INVALID,
                       "body limit %zu and head limit %u, at most %zu and %d "
                       "expected",
                       limits->body_size_max, limits->head_size_max,
                       SIZE_MAX / 32, HEAD_SIZE_CAP);
    return MD_OK;
}

md_status md_http1_init(md_http1 *h, const md_http1_limits *limits,
                        const md_alloc *alloc, md_error *err)
{
    size_t slack = (size_t)limits->head_size_max + SLACK_SIZE;

    *h = (md_http1){ .limits = *limits, .event = MD_HTTP1_MORE };
    MD_TRY(md_http1_limits_check(limits, err));
    md_buf_init(&h->in, alloc, slack + limits->body_size_max);
    h->fields = md_calloc(alloc, limits->n_fields_max, sizeof(*h->fields));
    if (!h->fields)
        return md_fail_nomem(err, limits->n_fields_max * sizeof(*h->fields));
    return MD_OK;
}

void md_http1_release(md_http1 *h)
{
    if (h->fields) {
        md_free(h->in.alloc, h->fields);
        md_buf_release(&h->in);
        h->fields = NULL;
    }
}

/* ---- what may stand where ---- */

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z');
}

static bool is_one_of(unsigned char c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

static bool is_token_char(unsigned char c)
{
    return is_alnum(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

static bool is_token(md_slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!is_token_char((unsigned char)s.data[i]))
            return false;
    return s.size > 0;
}

/* Field values: no control characters but the tab. */
static bool is_field_value(md_slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* RFC 3986 without the fragment, which never goes on the wire. */
static bool is_target(md_slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];

        if (!is_alnum(c) && !is_one_of(c, "-._~:/?[]@!$&'()*+,;=%"))
            return false;
    }
    return s.size > 0;
}

/* Take the front of s up to the first `end`, or all of it: letters, digits
 * and what RFC 3986 lets stand in a name or in brackets. */
static bool skip_host(md_slice *s, char end)
{
    while (s->size && *s->data != end) {
        unsigned char c = (unsigned char)*s->data;

        if (!is_alnum(c) && !is_one_of(c, ":-._~%!$&'()*+,;="))
            return false;
        s->data++;
        s->size--;
    }
    return true;
}

/* host [":" port], the host a name or an address in brackets; whether it
 * means anything is not asked here. */
static bool is_authority(md_slice s)
{
    bool bracketed = s.size && s.data[0] == '[';
    size_t skip = bracketed ? 1 : 0;

    s.data += skip;
    s.size -= skip;
    if (!skip_host(&s, bracketed ? ']' : ':') || (bracketed && s.size == 0))
        return false;
    s.data += skip;
    s.size -= skip;
    if (s.size && *s.data != ':')
        return false;
    for (size_t i = 1; i < s.size; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    return true;
}

/* ---- helpers of the states ---- */

static bool fail(md_http1 *h, int status, const char *text)
{
    h->state = FAILED;
    h->event = MD_HTTP1_ERROR;
    h->error_status = status;
    snprintf(h->error_text, sizeof(h->error_text), "%s", text);
    return false;
}

/* `what` goes over a limit that an operator may have set. */
static bool fail_limit(md_http1 *h, int status, const char *what, size_t limit,
                       const char *unit)
{
    char text[MD_HTTP1_ERROR_SIZE];

    snprintf(text, sizeof(text), "%s the limit of %zu %s", what, limit, unit);
    return fail(h, status, text);
}

static bool fail_body(md_http1 *h)
{
    return fail_limit(h, 413, "body is larger than", h->limits.body_size_max,
                      "bytes");
}

static bool want_more(md_http1 *h)
{
    h->event = MD_HTTP1_MORE;
    return false;
}

static bool finish(md_http1 *h)
{
    h->state = DONE;
    h->event = MD_HTTP1_DONE;
    return false;
}

static md_slice slice_of(const md_http1 *h, md_http1_part part)
{
    return (md_slice){ (const char *)h->in.data + part.at, part.size };
}

/* s must lie in the head, whose offsets fit in 32 bits. */
static md_http1_part part_of(const md_http1 *h, md_slice s)
{
    return (md_http1_part){ (uint32_t)(s.data - (const char *)h->in.data),
                            (uint32_t)s.size };
}

static void fail_line(md_http1 *h, int status)
{
    switch (status) {
    case 414:
        (void)fail_limit(h, status, "request line is longer than",
                         h->limits.line_size_max, "bytes");
        break;
    case 431:
        (void)fail_limit(h, status, "head is longer than",
                         h->limits.head_size_max, "bytes");
        break;
    default:
        (void)fail_limit(h, status, "chunk size is longer than", CHUNK_LINE_MAX,
                         "bytes");
    }
}

/*
 * The next line without its CR LF, and step over it.  False when it has not
 * all come, or when it is longer than max (then the request has failed with
 * `status`) or not ended by CR LF.
 */
static bool take_line(md_http1 *h, size_t max, int status, md_slice *line)
{
    const char *base = (const char *)h->in.data;
    size_t from = h->scan > h->pos ? h->scan : h->pos;
    const char *nl;
    size_t size;

    if (from >= h->in.size)
        return want_more(h);
    nl = memchr(base + from, '\n', h->in.size - from);
    size = (nl ? (size_t)(nl - base) : h->in.size) - h->pos;
    if (size > max) {
        fail_line(h, status);
        return false;
    }
    if (!nl) {
        h->scan = h->in.size;
        return want_more(h);
    }
    if (size == 0 || nl[-1] != '\r')
        return fail(h, 400, "line ends without carriage return");
    *line = (md_slice){ base + h->pos, size - 1 };
    h->pos += size + 1;
    h->scan = h->pos;
    return true;
}

/* ---- request line ---- */

/* "http://host[:port][/path][?query]": keep the host, leave the rest. */
static bool take_authority(md_http1 *h, md_slice *target)
{
    md_slice rest = *target;
    size_t skip;
    size_t n = 0;

    if (rest.size >= 7 &&
        md_slice_eq_nocase((md_slice){ rest.data, 7 }, "http://"))
        skip = 7;
    else if (rest.size >= 8 &&
             md_slice_eq_nocase((md_slice){ rest.data, 8 }, "https://"))
        skip = 8;
    else
        return false;
    rest.data += skip;
    rest.size -= skip;
    while (n < rest.size && rest.data[n] != '/' && rest.data[n] != '?')
        n++;
    /* RFC 9110 4.2.1: an empty host is no http host. */
    if (n == 0 || rest.data[0] == ':' ||
        !is_authority((md_slice){ rest.data, n }))
        return false;
    h->host = part_of(h, (md_slice){ rest.data, n });
    h->absolute = true;
    *target = (md_slice){ rest.data + n, rest.size - n };
    return true;
}

static bool set_target(md_http1 *h, md_slice target)
{
    const char *mark;

    if (!is_target(target))
        return fail(h, 400, "request target has an invalid character");
    if (md_slice_eq(target, "*")) {
        if (!md_slice_eq(md_http1_method(h), "OPTIONS"))
            return fail(h, 400, "request target '*' is for OPTIONS only");
    } else if (target.data[0] != '/' && !take_authority(h, &target)) {
        return fail(h, 400, "request target does not begin with '/'");
    }
    mark = target.size ? memchr(target.data, '?', target.size) : NULL;
    if (mark) {
        size_t n = (size_t)(mark - target.data);

        h->query = part_of(h, (md_slice){ mark + 1, target.size - n - 1 });
        target.size = n;
    }
    h->path = part_of(h, target);
    return true;
}

static bool set_version(md_http1 *h, md_slice version)
{
    if (version.size != 8 || memcmp(version.data, "HTTP/", 5) != 0 ||
        version.data[5] < '0' || version.data[5] > '9' ||
        version.data[6] != '.' || version.data[7] < '0' ||
        version.data[7] > '9')
        return fail(h, 400, "request line does not end in a version");
    if (version.data[5] != '1')
        return fail(h, 505, "HTTP/1.1 or HTTP/1.0 expected");
    h->minor = version.data[7] != '0';
    return true;
}

static bool step_start(md_http1 *h)
{
    md_slice line;
    const char *sp1;
    const char *sp2;
    const char *end;
    md_slice method;

    /* Something else than HTTP (a TLS hello, say) need not be waited for. */
    if (h->pos < h->in.size && h->in.data[h->pos] != '\r' &&
        !is_token_char(h->in.data[h->pos]))
        return fail(h, 400, "request does not begin with a method");
    if (!take_line(h, h->limits.line_size_max, 414, &line))
        return false;
    if (line.size == 0) {
        /* RFC 9112 2.2: one empty line before the request is tolerated. */
        if (h->pos > 2)
            return fail(h, 400, "empty lines in place of a request");
        return true;
    }
    end = line.data + line.size;
    sp1 = memchr(line.data, ' ', line.size);
    sp2 = sp1 ? memchr(sp1 + 1, ' ', (size_t)(end - sp1 - 1)) : NULL;
    if (!sp2)
        return fail(h, 400, "request line is not 'method target version'");
    method = (md_slice){ line.data, (size_t)(sp1 - line.data) };
    if (!is_token(method))
        return fail(h, 400, "method has an invalid character");
    h->method = part_of(h, method);
    /* Before the target: PRI * HTTP/2.0 deserves to hear 505. */
    if (!set_version(h, (md_slice){ sp2 + 1, (size_t)(end - sp2 - 1) }))
        return false;
    if (md_slice_eq(method, "CONNECT"))
        return fail(h, 501, "method CONNECT is not supported");
    if (!set_target(h, (md_slice){ sp1 + 1, (size_t)(sp2 - sp1 - 1) }))
        return false;
    h->state = FIELDS;
    return true;
}

/* ---- fields ---- */

static bool set_length(md_http1 *h, md_slice value)
{
    uint64_t n = 0;

    if (h->has_length)
        return fail(h, 400, "content-length is given twice");
    h->has_length = true;
    if (value.size == 0)
        return fail(h, 400, "content-length is not a number");
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return fail(h, 400, "content-length is not a number");
        if (n <= h->limits.body_size_max)
            n = n * 10 + (uint64_t)(value.data[i] - '0');
    }
    if (n > h->limits.body_size_max)
        return fail_body(h);
    h->left = (size_t)n;
    return true;
}

static bool set_encoding(md_http1 *h, md_slice value)
{
    if (h->has_encoding)
        return fail(h, 400, "transfer-encoding is given twice");
    h->has_encoding = true;
    if (h->minor == 0)
        return fail(h, 400, "transfer-encoding in HTTP/1.0");
    if (!md_slice_eq_nocase(value, "chunked"))
        return fail(h, 501, "transfer-encoding other than chunked");
    return true;
}

static bool set_host(md_http1 *h, md_slice value)
{
    if (h->has_host)
        return fail(h, 400, "host is given twice");
    h->has_host = true;
    if (!is_authority(value))
        return fail(h, 400, "host has an invalid character");
    if (!h->absolute) /* RFC 9112 3.2.2: the target's host goes first */
        h->host = part_of(h, value);
    return true;
}

static bool set_connection(md_http1 *h, md_slice list)
{
    md_slice item;

    while (md_slice_next_item(&list, &item)) {
        if (md_slice_eq_nocase(item, "close"))
            h->wants_close = true;
        else if (md_slice_eq_nocase(item, "keep-alive"))
            h->wants_keep_alive = true;
    }
    return true;
}

static bool set_expect(md_http1 *h, md_slice value)
{
    if (!md_slice_eq_nocase(value, "100-continue"))
        return fail(h, 417, "expectation other than 100-continue");
    h->expects_continue = h->minor > 0;
    return true;
}

/* Fields that decide about framing; the others are only stored. */
static bool note_field(md_http1 *h, md_slice name, md_slice value)
{
    static const struct {
        const char *name;
        bool (*set)(md_http1 *h, md_slice value);
    } known[] = {
        { "connection", set_connection },
        { "content-length", set_length },
        { "expect", set_expect },
        { "host", set_host },
        { "transfer-encoding", set_encoding },
    };

    for (size_t i = 0; i < MD_COUNT(known); i++)
        if (md_slice_eq_nocase(name, known[i].name))
            return known[i].set(h, value);
    return true;
}

/* "name: value"; fails the request when the line is not that. */
static bool split_field(md_http1 *h, md_slice line, md_slice *name,
                        md_slice *value)
{
    const char *colon;

    if (line.data[0] == ' ' || line.data[0] == '\t')
        return fail(h, 400, "field line is folded");
    colon = memchr(line.data, ':', line.size);
    if (!colon)
        return fail(h, 400, "field line has no colon");
    name->data = line.data;
    name->size = (size_t)(colon - line.data);
    if (!is_token(*name))
        return fail(h, 400, "field name has an invalid character");
    value->data = colon + 1;
    value->size = line.size - name->size - 1;
    *value = md_slice_trim(*value);
    if (!is_field_value(*value))
        return fail(h, 400, "field value has an invalid character");
    return true;
}

static bool end_head(md_http1 *h)
{
    if (h->minor > 0 && !h->has_host)
        return fail(h, 400, "host is missing");
    if (h->has_length && h->has_encoding)
        return fail(h, 400, "content-length beside transfer-encoding");
    h->body_at = h->pos;
    if (!h->has_encoding && h->left == 0)
        return finish(h);
    h->state = h->has_encoding ? CHUNK_SIZE : BODY;
    h->event = MD_HTTP1_HEAD;
    return false;
}

static bool step_fields(md_http1 *h)
{
    md_slice line;
    md_slice name;
    md_slice value;

    /* pos may pass the limit by the line end, hence the comparison. */
    if (!take_line(h,
                   h->limits.head_size_max > h->pos
                       ? h->limits.head_size_max - h->pos
                       : 0,
                   431, &line))
        return false;
    if (line.size == 0)
        return end_head(h);
    if (!split_field(h, line, &name, &value))
        return false;
    if (h->n_fields == h->limits.n_fields_max)
        return fail_limit(h, 431, "head has more fields than",
                          h->limits.n_fields_max, "fields");
    h->fields[h->n_fields++] =
        (md_http1_field){ part_of(h, name), part_of(h, value) };
    return note_field(h, name, value);
}

/* ---- body ---- */

static bool step_body(md_http1 *h)
{
    size_t n = h->in.size - h->pos;

    if (n > h->left)
        n = h->left;
    h->pos += n;
    h->body_size += n;
    h->left -= n;
    return h->left == 0 ? finish(h) : want_more(h);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool step_chunk_size(md_http1 *h)
{
    md_slice line;
    uint64_t n = 0;
    size_t i = 0;
    size_t needed = 0;

    if (!take_line(h, CHUNK_LINE_MAX, 400, &line))
        return false;
    for (; i < line.size && hex_value(line.data[i]) >= 0; i++) {
        if (n <= h->limits.body_size_max)
            n = n * 16 + (uint64_t)hex_value(line.data[i]);
        needed += n != 0;
    }
    if (i == 0)
        return fail(h, 400, "chunk size is not a number");
    if (i < line.size && line.data[i] != ';')
        return fail(h, 400, "chunk size is followed by something else");
    if (!is_field_value((md_slice){ line.data + i, line.size - i }))
        return fail(h, 400, "chunk extension has an invalid character");
    /* A byte of body in 256 bytes of framing would pass every other limit. */
    h->framing_size += line.size - needed;
    if (h->framing_size > CHUNK_FRAMING_MAX)
        return fail(h, 400, "chunk framing is longer than the limit");
    if (n > h->limits.body_size_max - h->body_size)
        return fail_body(h);
    h->left = (size_t)n;
    h->state = n ? CHUNK_DATA : TRAILERS;
    return true;
}

static bool step_chunk_data(md_http1 *h)
{
    size_t n = h->in.size - h->pos;

    if (n > h->left)
        n = h->left;
    memmove(h->in.data + h->body_at + h->body_size, h->in.data + h->pos, n);
    h->pos += n;
    h->body_size += n;
    h->left -= n;
    if (h->left)
        return want_more(h);
    h->state = CHUNK_END;
    return true;
}

static bool step_chunk_end(md_http1 *h)
{
    const unsigned char *p = h->in.data + h->pos;
    size_t n = h->in.size - h->pos;

    if ((n >= 1 && p[0] != '\r') || (n >= 2 && p[1] != '\n'))
        return fail(h, 400, "chunk is not as long as its size says");
    if (n < 2)
        return want_more(h);
    h->pos += 2;
    h->state = CHUNK_SIZE;
    return true;
}

/* Trailers are checked and dropped: no route has a use for them, and merged
 * into the fields they could say what the head was checked not to say. */
static bool step_trailers(md_http1 *h)
{
    md_slice line;
    md_slice name;
    md_slice value;

    if (!take_line(h, h->limits.head_size_max - h->trailer_size, 431, &line))
        return false;
    if (line.size == 0)
        return finish(h);
    if (!split_field(h, line, &name, &value))
        return false;
    if (h->n_trailers++ == h->limits.n_fields_max)
        return fail_limit(h, 431, "body has more trailers than",
                          h->limits.n_fields_max, "trailers");
    h->trailer_size += line.size;
    return true;
}

/* ---- the loop ---- */

/* Move what has not been parsed down to the end of the decoded body. */
static void close_gap(md_http1 *h)
{
    size_t end = h->body_at + h->body_size;
    size_t gap = h->pos - end;

    if (gap == 0)
        return;
    memmove(h->in.data + end, h->in.data + h->pos, h->in.size - h->pos);
    h->in.size -= gap;
    h->in.data[h->in.size] = '\0';
    h->pos = end;
    h->scan = h->scan > gap ? h->scan - gap : 0;
}

static bool step_once(md_http1 *h)
{
    switch ((enum state)h->state) {
    case START:
        return step_start(h);
    case FIELDS:
        return step_fields(h);
    case BODY:
        return step_body(h);
    case CHUNK_SIZE:
        return step_chunk_size(h);
    case CHUNK_DATA:
        return step_chunk_data(h);
    case CHUNK_END:
        return step_chunk_end(h);
    case TRAILERS:
        return step_trailers(h);
    case DONE:
    case FAILED:
        break;
    }
    return false;
}

md_http1_event md_http1_step(md_http1 *h)
{
    while (step_once(h))
        ;
    if (h->event == MD_HTTP1_MORE && h->has_encoding && h->state > BODY)
        close_gap(h);
    return h->event;
}

void *md_http1_space(md_http1 *h, size_t *size)
{
    size_t want = READ_SIZE_MIN;

    if (h->state == BODY && h->left > want)
        want = h->left < READ_SIZE_MAX ? h->left : READ_SIZE_MAX;
    if (md_buf_reserve(&h->in, want, NULL) != MD_OK)
        return NULL;
    *size = h->in.cap - 1 - h->in.size;
    return h->in.data + h->in.size;
}

void md_http1_commit(md_http1 *h, size_t size)
{
    assert(size < h->in.cap - h->in.size);
    h->in.size += size;
    h->in.data[h->in.size] = '\0';
}

size_t md_http1_capacity(const md_http1 *h)
{
    return h->in.cap;
}

void md_http1_refuse(md_http1 *h, int status, const char *text)
{
    (void)fail(h, status, text);
}

md_http1_event md_http1_feed(md_http1 *h, const void *data, size_t size,
                             size_t *used)
{
    md_http1_event e = md_http1_step(h);

    *used = 0;
    while (e == MD_HTTP1_MORE && *used < size) {
        size_t room = 0;
        void *to = md_http1_space(h, &room);
        size_t n = size - *used < room ? size - *used : room;

        if (!to) {
            fail(h, 503, "out of memory");
            return h->event;
        }
        memcpy(to, (const char *)data + *used, n);
        md_http1_commit(h, n);
        *used += n;
        e = md_http1_step(h);
    }
    return e;
}

void md_http1_next(md_http1 *h)
{
    md_buf in;

    assert(h->state == DONE);
    md_buf_consume(&h->in, h->pos);
    /* A rare large body must not stay with an idle connection. */
    if (h->in.size == 0 && h->in.cap > KEEP_SIZE_MAX)
        md_buf_release(&h->in);
    in = h->in;
    *h = (md_http1){ .limits = h->limits,
                     .fields = h->fields,
                     .event = MD_HTTP1_MORE };
    h->in = in;
}

bool md_http1_is_idle(const md_http1 *h)
{
    /* An empty line before it is not the request's. */
    return h->state == START && h->pos == h->in.size;
}

bool md_http1_in_body(const md_http1 *h)
{
    return h->state >= BODY && h->state < DONE;
}

bool md_http1_has_unread(const md_http1 *h)
{
    return h->pos < h->in.size;
}

bool md_http1_is_untouched(const md_http1 *h)
{
    return h->state == START && h->pos == 0;
}

md_slice md_http1_unread(const md_http1 *h)
{
    return (md_slice){ (const char *)h->in.data + h->pos, h->in.size - h->pos };
}

bool md_http1_keep_alive(const md_http1 *h)
{
    if (h->state == FAILED || h->wants_close)
        return false;
    return h->minor > 0 || h->wants_keep_alive;
}

md_slice md_http1_method(const md_http1 *h)
{
    return slice_of(h, h->method);
}

md_slice md_http1_path(const md_http1 *h)
{
    /* "http://host" and "http://host?query" have an empty path. */
    return h->path.size ? slice_of(h, h->path) : md_slice_of("/");
}

md_slice md_http1_query(const md_http1 *h)
{
    return slice_of(h, h->query);
}

md_slice md_http1_host(const md_http1 *h)
{
    return slice_of(h, h->host);
}

void md_http1_field_at(const md_http1 *h, uint32_t i, md_slice *name,
                       md_slice *value)
{
    assert(i < h->n_fields);
    *name = slice_of(h, h->fields[i].name);
    *value = slice_of(h, h->fields[i].value);
}

md_slice md_http1_field_get(const md_http1 *h, const char *name)
{
    for (uint32_t i = 0; i < h->n_fields; i++)
        if (md_slice_eq_nocase(slice_of(h, h->fields[i].name), name))
            return slice_of(h, h->fields[i].value);
    return (md_slice){ NULL, 0 };
}

uint32_t md_http1_field_count(const md_http1 *h, const char *name)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < h->n_fields; i++)
        n += md_slice_eq_nocase(slice_of(h, h->fields[i].name), name);
    return n;
}

md_slice md_http1_body(const md_http1 *h)
{
    return (md_slice){ (const char *)h->in.data + h->body_at, h->body_size };
}

size_t md_http1_body_received(const md_http1 *h)
{
    return h->body_size;
}
