/* What runs how, and why: for people who wonder where the time goes. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "engine/program.h"

enum {
    NAME_SIZE = 41 /* of a node, as much as a line has room for */
};

static const char *const act_names[MD_ACT_COUNT] = {
    [MD_ACT_NONE] = "",
    [MD_ACT_RELU] = "relu",
    [MD_ACT_CLIP] = "clip",
    [MD_ACT_SCALE] = "scale",
    [MD_ACT_LEAKY_RELU] = "leaky_relu",
    [MD_ACT_SIGMOID] = "sigmoid",
    [MD_ACT_TANH] = "tanh",
    [MD_ACT_SILU] = "silu",
    [MD_ACT_HARD_SIGMOID] = "hard_sigmoid",
    [MD_ACT_HARD_SWISH] = "hard_swish",
    [MD_ACT_GELU_ERF] = "gelu",
    [MD_ACT_GELU_TANH] = "gelu_tanh",
};

/* "+bias +add +relu" into buf. */
static void format_fused(char *buf, size_t size, const md_inst *inst)
{
    const md_fused *f = inst->node ? inst->node->fused : NULL;

    buf[0] = '\0';
    if (!f)
        return;
    snprintf(buf, size, "%s%s%s%s%s", f->bias ? "+bias " : "",
             f->residual != MD_VALUE_NONE && !f->codes ? "+add " : "",
             f->act != MD_ACT_NONE ? "+" : "", act_names[f->act],
             !f->codes               ? ""
             : f->act != MD_ACT_NONE ? " +add"
                                     : "+add");
}

static const char *layout_name(const md_session *s, uint32_t slot)
{
    return slot == MD_SLOT_NONE ? "-" : md_layout_name(s->slots[slot].layout);
}

/* JSON string contents of a name or a reason. */
static md_status put_escaped(md_buf *out, const char *s, md_error *err)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c < 0x20 || c == '"' || c == '\\')
            MD_TRY(md_buf_printf(out, err, "\\u%04x", c));
        else
            MD_TRY(md_buf_putc(out, *s, err));
    }
    return MD_OK;
}

/* Where an instruction is: "", or behind the names of the nodes and attributes
 * that its subgraph is in: "node/attribute/". */
typedef struct place {
    const struct place *outer; /* NULL: the main graph's */
    const char *node, *attr;
} place;

static md_status put_place(const place *at, md_buf *out, md_error *err)
{
    if (!at)
        return MD_OK;
    MD_TRY(put_place(at->outer, out, err));
    MD_TRY(put_escaped(out, at->node, err));
    MD_TRY(md_buf_putc(out, '/', err));
    MD_TRY(put_escaped(out, at->attr, err));
    return md_buf_putc(out, '/', err);
}

static md_status put_json(const md_session *s, const md_inst *inst,
                          const place *at, md_buf *out, md_error *err)
{
    char fused[64];

    format_fused(fused, sizeof(fused), inst);
    MD_TRY(md_buf_puts(out, "{\"node\":\"", err));
    MD_TRY(put_place(at, out, err));
    MD_TRY(put_escaped(out, inst->node ? inst->node->name : "", err));
    MD_TRY(md_buf_printf(out, err,
                         "\",\"op\":\"%s\",\"kernel\":\"%s\",\"in\":\"%s\",",
                         inst->node ? inst->node->op : "Reorder", inst->kernel,
                         inst->n_in ? layout_name(s, inst->in[0]) : "-"));
    MD_TRY(md_buf_printf(out, err, "\"out\":\"%s\",\"fused\":\"%s\",\"why\":\"",
                         layout_name(s, inst->out[0]), fused));
    MD_TRY(put_escaped(out, inst->why ? inst->why : "", err));
    return md_buf_puts(out, "\"}", err);
}

/* The end of "name", with what it is in as far as a column has room. */
static void format_name(char *buf, size_t size, const md_inst *inst,
                        const place *at)
{
    const char *name = inst->node ? inst->node->name : "";

    if (at)
        snprintf(buf, size, "%s%.*s/%s", at->outer ? ".../" : "", NAME_SIZE / 2,
                 at->attr, name);
    else
        snprintf(buf, size, "%s", name);
    md_text_plain(buf, strlen(buf));
}

static md_status put_text(const md_session *s, const md_inst *inst,
                          const place *at, md_buf *out, md_error *err)
{
    char fused[64], name[NAME_SIZE];

    format_fused(fused, sizeof(fused), inst);
    format_name(name, sizeof(name), inst, at);
    MD_TRY(md_buf_printf(out, err, "%-24s %-20s %-28s %s>%s %-12s %s\n", name,
                         inst->node ? inst->node->op : "Reorder", inst->kernel,
                         inst->n_in ? layout_name(s, inst->in[0]) : "-",
                         layout_name(s, inst->out[0]), fused,
                         inst->why ? inst->why : ""));
    return MD_OK;
}

static md_status put_session(const md_session *s, const place *at, bool json,
                             bool *begun, md_buf *out, md_error *err);

/* The subgraphs of a node, behind it; that of a branch which cannot run is
 * left out. */
static md_status put_bodies(const md_node *n, const place *at, bool json,
                            bool *begun, md_buf *out, md_error *err)
{
    for (uint32_t i = 0; i < n->n_attr; i++) {
        const place inner = { at, n->name[0] ? n->name : n->op,
                              n->attr[i].name };
        md_graph *const *list;
        uint32_t n_list = md_attr_graphs(&n->attr[i], &list);

        for (uint32_t k = 0; k < n_list; k++)
            MD_TRY(put_session(list[k]->impl, &inner, json, begun, out, err));
    }
    return MD_OK;
}

static md_status put_session(const md_session *s, const place *at, bool json,
                             bool *begun, md_buf *out, md_error *err)
{
    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];

        if (json && *begun)
            MD_TRY(md_buf_puts(out, ",\n", err));
        *begun = true;
        MD_TRY(json ? put_json(s, inst, at, out, err)
                    : put_text(s, inst, at, out, err));
        if (inst->node)
            MD_TRY(put_bodies(inst->node, at, json, begun, out, err));
    }
    return MD_OK;
}

md_status md_session_explain(const md_session *s, bool json, md_buf *out,
                             md_error *err)
{
    bool begun = false;

    if (json)
        MD_TRY(md_buf_puts(out, "[", err));
    else
        MD_TRY(md_buf_printf(out, err, "%-24s %-20s %-28s %s %-12s %s\n",
                             "node", "operator", "kernel", "layout", "fused",
                             "why not faster"));
    MD_TRY(put_session(s, NULL, json, &begun, out, err));
    return json ? md_buf_puts(out, "]\n", err) : MD_OK;
}
