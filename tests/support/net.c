#include "support/net.h"

#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "engine/gradient.h"
#include "formats/onnx.h"
#include "ops/eval.h"
#include "support/build.h"
#include "support/test.h"
#include "support/text.h"
#include "tensor/compare.h"

typedef struct reader {
    text_reader t;
    md_model *m;
} reader;

static void check(const reader *r, const char *what)
{
    if (r->t.fault || what)
        fail_msg("net: %s at '%.60s'", r->t.fault ? r->t.fault : what, r->t.p);
}

static md_value_id add_const(reader *r, const char *name, const char *type)
{
    md_error err = MD_ERROR_INIT;
    md_tensor t = MD_TENSOR_INIT;
    md_value_id id;
    char own[TEXT_WORD];

    text_tensor(&r->t, type, &t);
    check(r, NULL);
    snprintf(own, sizeof(own), "const%u", r->m->graph->n_values);
    assert_md_ok(
        md_graph_add_const(&id, r->m->graph, name ? name : own, t, &err), &err);
    return id;
}

/* One dimension: a number or a symbol. */
static md_dim take_dim(reader *r)
{
    md_error err = MD_ERROR_INIT;
    md_dim d = { .scale = 1 };
    char word[TEXT_WORD];

    if (*r->t.p <= '9')
        return MD_DIM((int64_t)text_number(&r->t));
    text_word(&r->t, word);
    assert_md_ok(md_model_symbol(&d.sym, r->m, word, &err), &err);
    return d;
}

static void take_input(reader *r, const char *name)
{
    md_error err = MD_ERROR_INIT;
    md_type type = { .has_rank = true };
    char word[TEXT_WORD];
    md_value_id id;

    text_word(&r->t, word);
    type.dtype = text_type(word);
    if (type.dtype == MD_DTYPE_NONE || !text_take(&r->t, '['))
        check(r, "a type expected");
    while (!text_take(&r->t, ']')) {
        if (!*r->t.p || type.rank == MD_RANK_MAX)
            check(r, "] expected");
        type.dim[type.rank++] = take_dim(r);
        (void)text_take(&r->t, ',');
    }
    assert_md_ok(md_graph_add_value(&id, r->m->graph, name, &err), &err);
    r->m->graph->values[id].type = type;
    assert_md_ok(md_graph_add_input(r->m->graph, id, &err), &err);
}

/* A name, `_` or a constant. */
static md_value_id take_operand(reader *r)
{
    char word[TEXT_WORD];
    md_value_id id;

    text_space(&r->t);
    text_word(&r->t, word);
    if (*r->t.p == '[')
        return add_const(r, NULL, word);
    if (strcmp(word, "_") == 0)
        return MD_VALUE_NONE;
    id = md_graph_find(r->m->graph, word);
    if (id == MD_VALUE_NONE)
        check(r, "a name that is defined above expected");
    return id;
}

/* Behind '=': "Op(a, b) x=1"; the word before '(' was taken to op. */
static void take_node(reader *r, const char *domain, const char *op,
                      char (*names)[TEXT_WORD], uint32_t n_out)
{
    md_error err = MD_ERROR_INIT;
    md_value_id in[NET_IO_MAX], out[NET_IO_MAX];
    uint32_t n_in = 0;
    md_node *n;

    while (!text_take(&r->t, ')')) {
        if (!*r->t.p || n_in == NET_IO_MAX)
            check(r, ") expected");
        in[n_in++] = take_operand(r);
        (void)text_take(&r->t, ',');
    }
    for (uint32_t i = 0; i < n_out; i++) {
        out[i] = MD_VALUE_NONE;
        if (strcmp(names[i], "_") != 0)
            assert_md_ok(
                md_graph_add_value(&out[i], r->m->graph, names[i], &err), &err);
    }
    assert_md_ok(md_graph_add_node(&n, r->m->graph,
                                   &(md_node_spec){ domain, op, names[0], in,
                                                    n_in, out, n_out },
                                   &err),
                 &err);
    for (r->t.p += strspn(r->t.p, " "); *r->t.p && !strchr(";\n", *r->t.p);
         r->t.p += strspn(r->t.p, " ")) {
        char name[TEXT_WORD];

        text_word(&r->t, name);
        if (!name[0] || *r->t.p != '=')
            check(r, "name=value expected");
        text_attr(&r->t, r->m->graph, n, name);
        check(r, NULL);
    }
}

static void take_definition(reader *r, char (*names)[TEXT_WORD], uint32_t n)
{
    char word[TEXT_WORD], domain[2 * TEXT_WORD] = "";

    text_space(&r->t);
    text_word(&r->t, word);
    if (*r->t.p == '[') {
        (void)add_const(r, names[0], word);
        return;
    }
    while (text_take(&r->t, '.')) {
        size_t used = strlen(domain);

        snprintf(domain + used, sizeof(domain) - used, "%s%s", used ? "." : "",
                 word);
        text_word(&r->t, word);
    }
    if (!text_take(&r->t, '('))
        check(r, "( expected");
    take_node(r, domain, word, names, n);
}

static void take_outputs(reader *r)
{
    md_error err = MD_ERROR_INIT;

    do {
        assert_md_ok(md_graph_add_output(r->m->graph, take_operand(r), &err),
                     &err);
    } while (text_take(&r->t, ','));
}

static void take_statement(reader *r)
{
    char names[NET_IO_MAX][TEXT_WORD];
    uint32_t n = 0;

    if (strncmp(r->t.p, "->", 2) == 0) {
        r->t.p += 2;
        take_outputs(r);
        return;
    }
    do {
        text_space(&r->t);
        text_word(&r->t, names[n++]);
    } while (n < NET_IO_MAX && text_take(&r->t, ','));
    text_space(&r->t);
    if (strcmp(names[0], "opset") == 0) {
        md_error err = MD_ERROR_INIT;

        assert_md_ok(
            md_model_set_opset(r->m, "", (int64_t)text_number(&r->t), &err),
            &err);
    } else if (text_take(&r->t, '=')) {
        take_definition(r, names, n);
    } else {
        take_input(r, names[0]);
    }
}

md_model *net_parse(const char *text)
{
    md_error err = MD_ERROR_INIT;
    reader r = { .t.p = text, .m = md_build_model(21) };

    for (text_space(&r.t); *r.t.p; text_space(&r.t)) {
        take_statement(&r);
        check(&r, NULL);
        (void)text_take(&r.t, ';');
    }
    assert_md_ok(md_graph_verify(r.m->graph, &err), &err);
    return r.m;
}

md_model *net_load(const char *text, const md_alloc *alloc)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(text), *copy = NULL;
    md_buf bytes;

    md_buf_init(&bytes, md_alloc_default(), (size_t)1 << 24);
    assert_md_ok(md_onnx_write(m, &bytes, &err), &err);
    assert_md_ok(
        md_onnx_parse(&copy, bytes.data, bytes.size, NULL, alloc, &err), &err);
    md_buf_release(&bytes);
    md_model_free(m);
    return copy;
}

/* Messages of cmocka end after 1024 characters; a net may be longer. */
static void fail_net(const char *text, const char *what, const md_error *err)
{
    print_error("%s\n", text);
    fail_msg("%s: %s", what, err->msg);
}

md_session *net_open(const char *text, const md_session_opts *opts)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(text);
    md_session *s = NULL;
    md_status st = md_session_new(&s, m, opts, &err);

    if (st != MD_OK)
        fail_net(text, md_status_name(st), &err);
    return s;
}

void net_inputs(md_tensor *in, const md_graph *g, int64_t n, uint32_t seed)
{
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        md_type t = g->values[g->inputs[i]].type;
        md_error err = MD_ERROR_INIT;
        md_shape shape;

        for (int d = 0; d < t.rank; d++)
            t.dim[d] = t.dim[d].sym ? MD_DIM(n) : t.dim[d];
        assert_true(md_type_static(&t, &shape));
        assert_md_ok(
            md_tensor_alloc(&in[i], t.dtype, &shape, md_alloc_default(), &err),
            &err);
        md_build_fill_any(&in[i],
                          md_dtype_bits(t.dtype) == 8 &&
                                  t.dtype != MD_DTYPE_BOOL
                              ? (double)md_dtype_int_max(t.dtype)
                              : 1.0,
                          seed + i);
    }
}

void net_release(md_tensor *t, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        md_tensor_release(&t[i]);
}

void net_expect(md_tensor *want, const char *text, const md_tensor *in)
{
    const md_tensor *p[NET_IO_MAX];
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(text);

    for (uint32_t i = 0; i < m->graph->n_inputs; i++)
        p[i] = &in[i];
    assert_md_ok(md_gradient_expand(m, &err), &err);
    assert_md_ok(
        md_graph_eval(want, m->graph, p, md_alloc_default(), NULL, &err), &err);
    md_model_free(m);
}

char *net_explain(const md_session *s)
{
    md_error err = MD_ERROR_INIT;
    md_buf out;

    md_buf_init(&out, md_alloc_default(), 1 << 20);
    assert_md_ok(md_session_explain(s, false, &out, &err), &err);
    assert_md_ok(md_buf_putc(&out, '\0', &err), &err);
    return (char *)out.data;
}

void net_check(const char *text, const md_session_opts *opts, int64_t n,
               double tolerance, double step)
{
    md_tensor in[NET_IO_MAX], want[NET_IO_MAX], got[NET_IO_MAX];
    md_session *s = net_open(text, opts);
    uint32_t n_in = md_session_n_inputs(s), n_out = md_session_n_outputs(s);
    md_error err = MD_ERROR_INIT;
    md_status st;

    net_inputs(in, md_session_model(s)->graph, n, 7);
    net_expect(want, text, in);
    st = md_session_run(s, in, got, md_alloc_default(), &err);
    if (st != MD_OK)
        fail_net(text, md_status_name(st), &err);
    for (uint32_t i = 0; i < n_out; i++) {
        bool whole = !md_dtype_is_float(want[i].dtype);

        if (md_tensor_compare(NULL, &got[i], &want[i], whole ? step : tolerance,
                              whole ? 0 : tolerance, &err) != MD_OK)
            fail_net(text, "wrong", &err);
    }
    net_release(in, n_in);
    net_release(want, n_out);
    net_release(got, n_out);
    md_session_free(s);
}

static bool has_word(const char *text, const char *word, size_t n)
{
    for (const char *at = strstr(text, " "); at; at = strstr(at + 1, " ")) {
        if (strncmp(at + 1, word, n) == 0 && strchr(" \n", at[1 + n]))
            return true;
    }
    return false;
}

static void check_words(const net_row *row, const char *text, const char *words,
                        bool there)
{
    size_t n;

    for (const char *w = words; *w; w += n + (w[n] == ' ')) {
        n = strcspn(w, " ");
        if (has_word(text, w, n) != there)
            fail_msg("'%.*s' is %s in\n%sof\n%s", (int)n, w,
                     there ? "missing" : "not wanted", text, row->text);
    }
}

static void check_explained(const net_row *row)
{
    md_session *s = net_open(row->text, NULL);
    char *text = net_explain(s);

    check_words(row, text, row->has, true);
    check_words(row, text, row->lacks, false);
    md_free(md_alloc_default(), text);
    md_session_free(s);
}

void net_check_words(const net_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_explained(&rows[i]);
}

void net_check_rows(const net_row *rows, size_t n, double step)
{
    static const uint32_t masks[] = { MD_CPU_NONE, MD_CPU_ALL };

    for (size_t i = 0; i < n * MD_COUNT(masks); i++) {
        const net_row *row = &rows[i / MD_COUNT(masks)];

        md_cpu_set_mask(masks[i % MD_COUNT(masks)]);
        check_explained(row);
        net_check(row->text, NULL, 2, 1e-5, step);
        md_cpu_set_mask(MD_CPU_ALL);
    }
}
