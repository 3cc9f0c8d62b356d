#include "formats/pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODES_MAX = 1 << 26,
    MEMO_LEEWAY = 256, /* above what was put: picklers count up by one */
    REFUSED_MAX = 8    /* globals named in one message */
};

#define MARK UINT32_MAX /* on the stack */

/* Items of a container that grows: a chain, laid out in a row at the end. */
typedef struct cell {
    uint32_t node, next; /* next: 1 + index; 0: last */
} cell;

typedef struct machine {
    md_pickle *p;
    const unsigned char *at, *end;
    md_arena *arena;
    cell *cells;
    uint32_t *head, *tail; /* of the chain, by node: 1 + index of a cell */
    uint32_t n_cells, cap_cells, cap_nodes, cap_head, cap_tail;
    uint32_t *stack;
    uint32_t n_stack, cap_stack;
    uint32_t *memo; /* 1 + node; 0: empty */
    uint32_t cap_memo, n_puts;
    md_pickle_allow_fn *allow;
    uint32_t refused[REFUSED_MAX]; /* GLOBAL nodes */
    uint32_t n_refused;
    md_error *err;
} machine;

static md_status corrupt(const machine *m, const char *what)
{
    return md_fail(m->err, MD_CORRUPT, "pickle: %s at byte %zu", what,
                   (size_t)(m->at - m->p->bytes));
}

static md_status take(const unsigned char **out, machine *m, size_t n)
{
    *out = m->at; /* always: gcc cannot tell that a failure is no MD_OK */
    if (n > (size_t)(m->end - m->at))
        return md_fail(m->err, MD_CORRUPT,
                       "pickle: %zu bytes announced at byte %zu, %zu left", n,
                       (size_t)(m->at - m->p->bytes), (size_t)(m->end - m->at));
    m->at += n;
    return MD_OK;
}

static md_status take_size(size_t *out, machine *m, unsigned n)
{
    const unsigned char *p;

    *out = 0;
    MD_TRY(take(&p, m, n));
    for (unsigned i = 0; i < n; i++)
        *out |= (size_t)p[i] << (8 * i);
    return MD_OK;
}

/* Up to a newline, which is skipped. */
static md_status take_line(const unsigned char **out, size_t *n, machine *m)
{
    const unsigned char *nl = memchr(m->at, '\n', (size_t)(m->end - m->at));

    *out = m->at;
    *n = nl ? (size_t)(nl - m->at) : 0;
    if (!nl)
        return corrupt(m, "line without an end");
    m->at = nl + 1;
    return MD_OK;
}

/* --- nodes and stack --- */

static md_status add_node(uint32_t *out, machine *m, md_pickle_kind kind)
{
    md_pickle *p = m->p;

    if (p->n_nodes >= NODES_MAX)
        return md_fail(m->err, MD_TOO_LARGE, "pickle: more than %d objects",
                       NODES_MAX);
    MD_TRY(md_arena_grow(m->arena, &p->nodes, &m->cap_nodes, p->n_nodes,
                         sizeof(*p->nodes), m->err));
    MD_TRY(md_arena_grow(m->arena, &m->head, &m->cap_head, p->n_nodes,
                         sizeof(*m->head), m->err));
    MD_TRY(md_arena_grow(m->arena, &m->tail, &m->cap_tail, p->n_nodes,
                         sizeof(*m->tail), m->err));
    *out = p->n_nodes++;
    m->head[*out] = m->tail[*out] = 0;
    p->nodes[*out] = (md_pickle_node){ .kind = kind, .state = MD_PICKLE_NONE };
    return MD_OK;
}

static md_status push(machine *m, uint32_t node)
{
    MD_TRY(md_arena_grow(m->arena, &m->stack, &m->cap_stack, m->n_stack,
                         sizeof(*m->stack), m->err));
    m->stack[m->n_stack++] = node;
    return MD_OK;
}

static md_status pop(uint32_t *out, machine *m)
{
    if (m->n_stack == 0 || m->stack[m->n_stack - 1] == MARK)
        return corrupt(m, "empty stack");
    *out = m->stack[--m->n_stack];
    return MD_OK;
}

static md_status add_item(machine *m, uint32_t to, uint32_t node)
{
    uint32_t at;

    MD_TRY(md_arena_grow(m->arena, &m->cells, &m->cap_cells, m->n_cells,
                         sizeof(*m->cells), m->err));
    at = m->n_cells++;
    m->cells[at] = (cell){ node, 0 };
    if (m->tail[to])
        m->cells[m->tail[to] - 1].next = at + 1;
    else
        m->head[to] = at + 1;
    m->tail[to] = at + 1;
    m->p->nodes[to].n++;
    return MD_OK;
}

/* Index on the stack behind the last mark. */
static md_status find_mark(uint32_t *out, machine *m)
{
    *out = 0;
    for (uint32_t i = m->n_stack; i-- > 0;) {
        if (m->stack[i] == MARK) {
            *out = i + 1;
            return MD_OK;
        }
    }
    return corrupt(m, "no mark");
}

/* A container of the `n` topmost objects. */
static md_status collect(machine *m, md_pickle_kind kind, uint32_t from,
                         uint32_t cut)
{
    uint32_t node;

    MD_TRY(add_node(&node, m, kind));
    for (uint32_t i = from; i < m->n_stack; i++) {
        if (m->stack[i] == MARK)
            return corrupt(m, "mark inside a container");
        MD_TRY(add_item(m, node, m->stack[i]));
    }
    if (kind == MD_PICKLE_DICT && m->p->nodes[node].n % 2)
        return corrupt(m, "key without a value");
    m->n_stack = cut;
    return push(m, node);
}

static md_status collect_marked(machine *m, md_pickle_kind kind)
{
    uint32_t from;

    MD_TRY(find_mark(&from, m));
    return collect(m, kind, from, from - 1);
}

static md_status collect_n(machine *m, md_pickle_kind kind, uint32_t n)
{
    if (m->n_stack < n)
        return corrupt(m, "empty stack");
    return collect(m, kind, m->n_stack - n, m->n_stack - n);
}

/* Put stack[from..] into the container below, and drop them and `marks`. */
static md_status extend(machine *m, uint32_t from, uint32_t marks,
                        md_pickle_kind kind)
{
    uint32_t below = from - marks;
    uint32_t to;

    if (below == 0 || m->stack[below - 1] == MARK)
        return corrupt(m, "nothing to put items into");
    to = m->stack[below - 1];
    /* OrderedDict() and the like are calls that get items as a dict does. */
    if (m->p->nodes[to].kind != kind &&
        !(m->p->nodes[to].kind == MD_PICKLE_CALL && kind == MD_PICKLE_DICT))
        return corrupt(m, "items for an object of another kind");
    if (kind == MD_PICKLE_DICT && (m->n_stack - from) % 2)
        return corrupt(m, "key without a value");
    for (uint32_t i = from; i < m->n_stack; i++) {
        if (m->stack[i] == MARK)
            return corrupt(m, "mark inside a container");
        MD_TRY(add_item(m, to, m->stack[i]));
    }
    m->n_stack = below;
    return MD_OK;
}

static md_status extend_marked(machine *m, md_pickle_kind kind)
{
    uint32_t from;

    MD_TRY(find_mark(&from, m));
    return extend(m, from, 1, kind);
}

static md_status extend_n(machine *m, md_pickle_kind kind, uint32_t n)
{
    if (m->n_stack < n + 1)
        return corrupt(m, "empty stack");
    return extend(m, m->n_stack - n, 0, kind);
}

/* --- plain objects --- */

static md_status push_int(machine *m, md_pickle_kind kind, int64_t v)
{
    uint32_t node;

    MD_TRY(add_node(&node, m, kind));
    m->p->nodes[node].v.i = v;
    return push(m, node);
}

static md_status push_float(machine *m, double v)
{
    uint32_t node;

    MD_TRY(add_node(&node, m, MD_PICKLE_FLOAT));
    m->p->nodes[node].v.f = v;
    return push(m, node);
}

static md_status make_text(uint32_t *out, machine *m, md_pickle_kind kind,
                           const unsigned char *p, size_t n)
{
    if (n > UINT32_MAX)
        return md_fail(m->err, MD_TOO_LARGE, "pickle: text of %zu bytes", n);
    MD_TRY(add_node(out, m, kind));
    m->p->nodes[*out].v.i = p - m->p->bytes;
    m->p->nodes[*out].n = (uint32_t)n;
    return MD_OK;
}

static md_status push_text(machine *m, md_pickle_kind kind, unsigned width)
{
    const unsigned char *p;
    uint32_t node;
    size_t n;

    MD_TRY(take_size(&n, m, width));
    MD_TRY(take(&p, m, n));
    MD_TRY(make_text(&node, m, kind, p, n));
    return push(m, node);
}

/* Little-endian two's complement of any length. */
static md_status push_long(machine *m, unsigned width)
{
    const unsigned char *p;
    uint64_t v = 0;
    uint32_t node;
    size_t n;

    MD_TRY(take_size(&n, m, width));
    MD_TRY(take(&p, m, n));
    if (n > 8) {
        MD_TRY(make_text(&node, m, MD_PICKLE_BIG, p, n));
        return push(m, node);
    }
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    if (n > 0 && n < 8 && (p[n - 1] & 0x80))
        v |= UINT64_MAX << (8 * n);
    return push_int(m, MD_PICKLE_INT, (int64_t)v);
}

/* Decimal text of protocol 0: "12", "01" (true), "12L". */
static md_status push_decimal(machine *m)
{
    const unsigned char *p;
    char text[32];
    char *rest;
    long long v;
    size_t n;

    MD_TRY(take_line(&p, &n, m));
    if (n == 2 && p[0] == '0' && (p[1] == '0' || p[1] == '1'))
        return push_int(m, MD_PICKLE_BOOL, p[1] - '0');
    if (n > 0 && p[n - 1] == 'L')
        n--;
    if (n == 0 || n > 20)
        return corrupt(m, "not a number of 64 bits");
    memcpy(text, p, n);
    text[n] = '\0';
    v = strtoll(text, &rest, 10);
    if (*rest != '\0')
        return corrupt(m, "not a number");
    return push_int(m, MD_PICKLE_INT, v);
}

static md_status push_float_text(machine *m)
{
    const unsigned char *p;
    char text[64];
    char *rest;
    double v;
    size_t n;

    MD_TRY(take_line(&p, &n, m));
    if (n == 0 || n >= sizeof(text))
        return corrupt(m, "not a number");
    memcpy(text, p, n);
    text[n] = '\0';
    v = strtod(text, &rest);
    if (*rest != '\0')
        return corrupt(m, "not a number");
    return push_float(m, v);
}

static md_status push_binfloat(machine *m)
{
    const unsigned char *p;
    uint64_t bits = 0;
    double v;

    MD_TRY(take(&p, m, 8));
    for (unsigned i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    memcpy(&v, &bits, sizeof(v));
    return push_float(m, v);
}

/* Protocol 0 texts: quoted, or raw with escapes; those without a backslash
 * are what picklers write for names. */
static md_status push_line(machine *m, bool quoted)
{
    const unsigned char *p;
    uint32_t node;
    size_t n;

    MD_TRY(take_line(&p, &n, m));
    if (memchr(p, '\\', n))
        return md_fail(m->err, MD_UNSUPPORTED,
                       "pickle: text with escapes at byte %zu, protocol 2 or "
                       "later expected",
                       (size_t)(m->at - m->p->bytes));
    if (quoted) {
        if (n < 2 || (p[0] != '\'' && p[0] != '"') || p[n - 1] != p[0])
            return corrupt(m, "text without quotes");
        p++;
        n -= 2;
    }
    MD_TRY(make_text(&node, m, MD_PICKLE_TEXT, p, n));
    return push(m, node);
}

static md_status push_small(machine *m, unsigned width)
{
    size_t v;

    MD_TRY(take_size(&v, m, width));
    return push_int(m, MD_PICKLE_INT,
                    width == 4 ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v);
}

/* --- globals --- */

static md_status push_global(machine *m, uint32_t module, uint32_t name)
{
    const md_pickle_node *a = &m->p->nodes[module];
    const md_pickle_node *b = &m->p->nodes[name];
    uint32_t node;

    if (a->kind != MD_PICKLE_TEXT || b->kind != MD_PICKLE_TEXT)
        return corrupt(m, "global whose names are no texts");
    if (!m->allow((const char *)m->p->bytes + a->v.i, a->n,
                  (const char *)m->p->bytes + b->v.i, b->n)) {
        if (m->n_refused < REFUSED_MAX)
            m->refused[m->n_refused] = m->p->n_nodes;
        m->n_refused++;
    }
    MD_TRY(add_node(&node, m, MD_PICKLE_GLOBAL));
    MD_TRY(add_item(m, node, module));
    MD_TRY(add_item(m, node, name));
    return push(m, node);
}

static md_status push_global_lines(machine *m)
{
    uint32_t name[2];

    for (int i = 0; i < 2; i++) {
        const unsigned char *p;
        size_t n;

        MD_TRY(take_line(&p, &n, m));
        MD_TRY(make_text(&name[i], m, MD_PICKLE_TEXT, p, n));
    }
    return push_global(m, name[0], name[1]);
}

static md_status push_stack_global(machine *m)
{
    uint32_t module, name;

    MD_TRY(pop(&name, m));
    MD_TRY(pop(&module, m));
    return push_global(m, module, name);
}

static md_status build(machine *m)
{
    uint32_t state;

    MD_TRY(pop(&state, m));
    if (m->n_stack == 0 || m->stack[m->n_stack - 1] == MARK)
        return corrupt(m, "empty stack");
    m->p->nodes[m->stack[m->n_stack - 1]].state = (int32_t)state;
    return MD_OK;
}

/* --- memo --- */

static md_status put(machine *m, size_t i)
{
    if (m->n_stack == 0 || m->stack[m->n_stack - 1] == MARK)
        return corrupt(m, "empty stack");
    if (i > (size_t)m->n_puts + MEMO_LEEWAY)
        return md_fail(m->err, MD_CORRUPT,
                       "pickle: memo index %zu at byte %zu, about %u expected",
                       i, (size_t)(m->at - m->p->bytes), m->n_puts);
    while (i >= m->cap_memo)
        MD_TRY(md_arena_grow(m->arena, &m->memo, &m->cap_memo, m->cap_memo,
                             sizeof(*m->memo), m->err));
    m->memo[i] = m->stack[m->n_stack - 1] + 1;
    m->n_puts++;
    return MD_OK;
}

static md_status get(machine *m, size_t i)
{
    if (i >= m->cap_memo || m->memo[i] == 0)
        return md_fail(m->err, MD_CORRUPT,
                       "pickle: memo %zu at byte %zu was never put", i,
                       (size_t)(m->at - m->p->bytes));
    return push(m, m->memo[i] - 1);
}

static md_status memo_line(machine *m, bool is_put)
{
    const unsigned char *p;
    size_t v = 0;
    size_t n;

    MD_TRY(take_line(&p, &n, m));
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9' || i > 9)
            return corrupt(m, "not a memo index");
        v = v * 10 + (p[i] - '0');
    }
    return is_put ? put(m, v) : get(m, v);
}

static md_status memo_index(machine *m, unsigned width, bool is_put)
{
    size_t i;

    MD_TRY(take_size(&i, m, width));
    return is_put ? put(m, i) : get(m, i);
}

static md_status drop(machine *m)
{
    if (m->n_stack == 0)
        return corrupt(m, "empty stack");
    m->n_stack--;
    return MD_OK;
}

static md_status dup(machine *m)
{
    if (m->n_stack == 0 || m->stack[m->n_stack - 1] == MARK)
        return corrupt(m, "empty stack");
    return push(m, m->stack[m->n_stack - 1]);
}

static md_status drop_marked(machine *m)
{
    uint32_t from;

    MD_TRY(find_mark(&from, m));
    m->n_stack = from - 1;
    return MD_OK;
}

static md_status skip_header(machine *m, int op)
{
    size_t v;

    MD_TRY(take_size(&v, m, op == 0x80 ? 1 : 8));
    if (op == 0x80 && v > 5)
        return md_fail(m->err, MD_UNSUPPORTED,
                       "pickle: protocol %zu, at most 5 expected", v);
    return MD_OK;
}

/* --- opcodes --- */

static md_status step_text(machine *m, int op)
{
    switch (op) {
    case 'U':
        return push_text(m, MD_PICKLE_TEXT, 1); /* SHORT_BINSTRING */
    case 'T':
        return push_text(m, MD_PICKLE_TEXT, 4); /* BINSTRING */
    case 0x8c:
        return push_text(m, MD_PICKLE_TEXT, 1); /* SHORT_BINUNICODE */
    case 'X':
        return push_text(m, MD_PICKLE_TEXT, 4); /* BINUNICODE */
    case 0x8d:
        return push_text(m, MD_PICKLE_TEXT, 8); /* BINUNICODE8 */
    case 'C':
        return push_text(m, MD_PICKLE_BYTES, 1);
    case 'B':
        return push_text(m, MD_PICKLE_BYTES, 4);
    case 0x8e: /* BINBYTES8 */
    case 0x96: /* BYTEARRAY8 */
        return push_text(m, MD_PICKLE_BYTES, 8);
    case 'S':
        return push_line(m, true);
    case 'V':
        return push_line(m, false);
    default:
        return md_fail(m->err, MD_UNSUPPORTED,
                       "pickle: opcode 0x%02x at byte %zu is not read",
                       (unsigned)op, (size_t)(m->at - 1 - m->p->bytes));
    }
}

static md_status step_number(machine *m, int op)
{
    switch (op) {
    case 'N':
        return push_int(m, MD_PICKLE_NULL, 0);
    case 0x88:
    case 0x89:
        return push_int(m, MD_PICKLE_BOOL, op == 0x88);
    case 'J':
        return push_small(m, 4);
    case 'M':
        return push_small(m, 2);
    case 'K':
        return push_small(m, 1);
    case 0x8a:
        return push_long(m, 1);
    case 0x8b:
        return push_long(m, 4);
    case 'I':
    case 'L':
        return push_decimal(m);
    case 'F':
        return push_float_text(m);
    case 'G':
        return push_binfloat(m);
    default:
        return step_text(m, op);
    }
}

static md_status step_memo(machine *m, int op)
{
    switch (op) {
    case 'p':
        return memo_line(m, true);
    case 'g':
        return memo_line(m, false);
    case 'q':
        return memo_index(m, 1, true);
    case 'r':
        return memo_index(m, 4, true);
    case 'h':
        return memo_index(m, 1, false);
    case 'j':
        return memo_index(m, 4, false);
    case 0x94:
        return put(m, m->n_puts);
    case '0':
        return drop(m);
    case '1':
        return drop_marked(m);
    case '2':
        return dup(m);
    case 0x80: /* PROTO */
    case 0x95: /* FRAME */
        return skip_header(m, op);
    default:
        return step_number(m, op);
    }
}

static md_status step(machine *m, int op)
{
    switch (op) {
    case '(':
        return push(m, MARK);
    case ')':
        return collect_n(m, MD_PICKLE_TUPLE, 0);
    case 0x85:
    case 0x86:
    case 0x87:
        return collect_n(m, MD_PICKLE_TUPLE, (uint32_t)op - 0x84);
    case 't':
        return collect_marked(m, MD_PICKLE_TUPLE);
    case ']':
        return collect_n(m, MD_PICKLE_LIST, 0);
    case 'l':
        return collect_marked(m, MD_PICKLE_LIST);
    case '}':
        return collect_n(m, MD_PICKLE_DICT, 0);
    case 'd':
        return collect_marked(m, MD_PICKLE_DICT);
    case 0x8f:
        return collect_n(m, MD_PICKLE_SET, 0);
    case 0x91:
        return collect_marked(m, MD_PICKLE_SET);
    case 'a':
        return extend_n(m, MD_PICKLE_LIST, 1);
    case 'e':
        return extend_marked(m, MD_PICKLE_LIST);
    case 's':
        return extend_n(m, MD_PICKLE_DICT, 2);
    case 'u':
        return extend_marked(m, MD_PICKLE_DICT);
    case 0x90:
        return extend_marked(m, MD_PICKLE_SET);
    case 'c':
        return push_global_lines(m);
    case 0x93:
        return push_stack_global(m);
    case 'R':
        return collect_n(m, MD_PICKLE_CALL, 2);
    case 0x81:
        return collect_n(m, MD_PICKLE_OBJECT, 2);
    case 'Q':
        return collect_n(m, MD_PICKLE_PERSISTENT, 1);
    case 'b':
        return build(m);
    default:
        return step_memo(m, op);
    }
}

/* --- the end --- */

/* Items of each container in a row. */
static md_status lay_out(machine *m)
{
    md_pickle *p = m->p;

    p->items =
        md_arena_calloc(m->arena, (size_t)m->n_cells + 1, sizeof(*p->items));
    if (!p->items)
        return md_fail_nomem(m->err, m->n_cells);
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        p->nodes[i].first = p->n_items;
        for (uint32_t at = m->head[i]; at; at = m->cells[at - 1].next)
            p->items[p->n_items++] = m->cells[at - 1].node;
    }
    return MD_OK;
}

static md_status tell_refused(const machine *m, const char *allowed)
{
    char text[MD_ERROR_MSG_SIZE] = "";
    size_t at = 0;

    for (uint32_t i = 0; i < m->n_refused && i < REFUSED_MAX; i++) {
        const md_pickle_node *g = &m->p->nodes[m->refused[i]];
        const md_pickle_node *a = md_pickle_item(m->p, g, 0);
        const md_pickle_node *b = md_pickle_item(m->p, g, 1);
        int n = snprintf(
            text + at, sizeof(text) - at, "%s'%.*s.%.*s'", at ? ", " : "",
            a->n < 40 ? (int)a->n : 40, (const char *)m->p->bytes + a->v.i,
            b->n < 40 ? (int)b->n : 40, (const char *)m->p->bytes + b->v.i);

        if (n > 0 && at + (size_t)n < sizeof(text) - 128)
            at += (size_t)n;
    }
    return md_fail(m->err, MD_UNSUPPORTED,
                   "pickle: %u globals refused: %s; expected %s, nothing is "
                   "ever called",
                   m->n_refused, text, allowed);
}

static md_status run(machine *m)
{
    int op = 0;

    while (op != '.') {
        if (m->at == m->end)
            return corrupt(m, "no end");
        op = *m->at++;
        if (op != '.')
            MD_TRY(step(m, op));
    }
    MD_TRY(pop(&m->p->root, m));
    m->p->size = (size_t)(m->at - m->p->bytes);
    return lay_out(m);
}

md_status md_pickle_parse(md_pickle *out, const void *bytes, size_t size,
                          md_pickle_allow_fn *allow, const char *allowed,
                          md_arena *arena, md_error *err)
{
    machine m = { .p = out, .arena = arena, .allow = allow, .err = err };

    *out = (md_pickle){ .bytes = bytes, .size = size };
    m.at = bytes;
    m.end = m.at + size;
    MD_TRY(run(&m));
    if (m.n_refused > 0)
        return tell_refused(&m, allowed);
    return md_pickle_check(out, arena, err);
}

/* --- what somebody else made --- */

static bool has_text(uint32_t kind)
{
    return kind == MD_PICKLE_TEXT || kind == MD_PICKLE_BYTES ||
           kind == MD_PICKLE_BIG;
}

static bool has_items(uint32_t kind)
{
    return kind >= MD_PICKLE_TUPLE;
}

static bool is_sound(const md_pickle *p, const md_pickle_node *n)
{
    if (n->kind >= MD_PICKLE_KINDS || n->state < MD_PICKLE_NONE ||
        n->state >= (int64_t)p->n_nodes)
        return false;
    if (has_text(n->kind))
        return n->v.i >= 0 && (uint64_t)n->v.i <= p->size &&
               n->n <= p->size - (uint64_t)n->v.i;
    if (!has_items(n->kind))
        return n->n == 0;
    if (n->first > p->n_items || n->n > p->n_items - n->first)
        return false;
    switch (n->kind) {
    case MD_PICKLE_GLOBAL:
        return n->n == 2 && p->items[n->first] < p->n_nodes &&
               p->items[n->first + 1] < p->n_nodes &&
               p->nodes[p->items[n->first]].kind == MD_PICKLE_TEXT &&
               p->nodes[p->items[n->first + 1]].kind == MD_PICKLE_TEXT;
    case MD_PICKLE_CALL:
        return n->n >= 2 && n->n % 2 == 0; /* and items of a dict */
    case MD_PICKLE_OBJECT:
        return n->n == 2;
    case MD_PICKLE_PERSISTENT:
        return n->n == 1;
    case MD_PICKLE_DICT:
        return n->n % 2 == 0;
    default:
        return true;
    }
}

/* A walk over all nodes below a node, without recursion. */
typedef struct place {
    uint32_t node, next; /* items, then the state */
    uint32_t below;      /* height of the highest one seen */
} place;

enum {
    NEW = 0, /* else the node's height */
    OPEN = UINT16_MAX
};

/* The next node below that of the place; false when there is none. */
static bool step_down(uint32_t *to, const md_pickle *p, place *top)
{
    const md_pickle_node *n = &p->nodes[top->node];
    uint32_t n_items = has_items(n->kind) ? n->n : 0;

    if (top->next > n_items || (top->next == n_items && n->state < 0))
        return false;
    *to = top->next < n_items ? p->items[n->first + top->next]
                              : (uint32_t)n->state;
    top->next++;
    return true;
}

static md_status walk(const md_pickle *p, uint16_t *height, md_error *err)
{
    place stack[MD_PICKLE_DEPTH_MAX + 1];
    uint32_t depth = 1;

    stack[0] = (place){ .node = p->root };
    height[p->root] = OPEN;
    while (depth > 0) {
        place *top = &stack[depth - 1];
        uint32_t to;

        if (!step_down(&to, p, top)) {
            uint32_t h = top->below + 1;

            height[top->node] = (uint16_t)h;
            depth--;
            if (depth > 0 && stack[depth - 1].below < h)
                stack[depth - 1].below = h;
        } else if (height[to] == OPEN) {
            return md_fail(err, MD_CORRUPT, "pickle: an object in itself");
        } else if (height[to] != NEW) {
            top->below = top->below < height[to] ? height[to] : top->below;
        } else {
            height[to] = OPEN;
            if (depth <= MD_PICKLE_DEPTH_MAX)
                stack[depth] = (place){ .node = to };
            depth++;
        }
        if (depth + (depth > 0 ? stack[depth - 1].below : 0) >
            MD_PICKLE_DEPTH_MAX)
            return md_fail(err, MD_TOO_LARGE,
                           "pickle: objects in each other deeper than %d",
                           MD_PICKLE_DEPTH_MAX);
    }
    return MD_OK;
}

md_status md_pickle_check(const md_pickle *p, md_arena *arena, md_error *err)
{
    uint16_t *height =
        md_arena_calloc(arena, (size_t)p->n_nodes + 1, sizeof(*height));

    if (!height)
        return md_fail_nomem(err, p->n_nodes);
    if (p->root >= p->n_nodes)
        return md_fail(err, MD_CORRUPT, "pickle: no root");
    for (uint32_t i = 0; i < p->n_items; i++) {
        if (p->items[i] >= p->n_nodes)
            return md_fail(err, MD_CORRUPT, "pickle: item %u is no object", i);
    }
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        if (!is_sound(p, &p->nodes[i]))
            return md_fail(err, MD_CORRUPT, "pickle: object %u is malformed",
                           i);
    }
    return walk(p, height, err);
}

/* --- reading --- */

const md_pickle_node *md_pickle_item(const md_pickle *p,
                                     const md_pickle_node *n, uint32_t i)
{
    return &p->nodes[p->items[n->first + i]];
}

bool md_pickle_is(const md_pickle *p, const md_pickle_node *n, const char *text)
{
    return n && n->kind == MD_PICKLE_TEXT && n->n == strlen(text) &&
           memcmp(p->bytes + n->v.i, text, n->n) == 0;
}

bool md_pickle_is_global(const md_pickle *p, const md_pickle_node *n,
                         const char *module, const char *name)
{
    return n && n->kind == MD_PICKLE_GLOBAL &&
           md_pickle_is(p, md_pickle_item(p, n, 0), module) &&
           md_pickle_is(p, md_pickle_item(p, n, 1), name);
}

const md_pickle_node *md_pickle_get(const md_pickle *p,
                                    const md_pickle_node *dict, const char *key)
{
    /* Items of a call that gives a dict lie behind what and arguments. */
    uint32_t from = dict && dict->kind == MD_PICKLE_CALL ? 2 : 0;

    if (!dict || (dict->kind != MD_PICKLE_DICT && dict->kind != MD_PICKLE_CALL))
        return NULL;
    for (uint32_t i = dict->n; i > from; i -= 2) {
        if (md_pickle_is(p, md_pickle_item(p, dict, i - 2), key))
            return md_pickle_item(p, dict, i - 1);
    }
    return NULL;
}

const char *md_pickle_text(const md_pickle *p, const md_pickle_node *n,
                           md_arena *arena)
{
    if (!n || n->kind != MD_PICKLE_TEXT || memchr(p->bytes + n->v.i, 0, n->n))
        return NULL;
    return md_arena_strndup(arena, (const char *)p->bytes + n->v.i, n->n);
}
