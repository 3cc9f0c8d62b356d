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
    snprintf(buf, size, "%s%s%s%s", f->bias ? "+bias " : "",
             f->residual != MD_VALUE_NONE ? "+add " : "",
             f->act != MD_ACT_NONE ? "+" : "", act_names[f->act]);
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

static md_status put_json(const md_session *s, const md_inst *inst, md_buf *out,
                          md_error *err)
{
    char fused[64];

    format_fused(fused, sizeof(fused), inst);
    MD_TRY(md_buf_puts(out, "{\"node\":\"", err));
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

static md_status put_text(const md_session *s, const md_inst *inst, md_buf *out,
                          md_error *err)
{
    char fused[64], name[NAME_SIZE];

    format_fused(fused, sizeof(fused), inst);
    snprintf(name, sizeof(name), "%s", inst->node ? inst->node->name : "");
    md_text_plain(name, strlen(name));
    MD_TRY(md_buf_printf(out, err, "%-24s %-20s %-28s %s>%s %-12s %s\n", name,
                         inst->node ? inst->node->op : "Reorder", inst->kernel,
                         inst->n_in ? layout_name(s, inst->in[0]) : "-",
                         layout_name(s, inst->out[0]), fused,
                         inst->why ? inst->why : ""));
    return MD_OK;
}

md_status md_session_explain(const md_session *s, bool json, md_buf *out,
                             md_error *err)
{
    if (json)
        MD_TRY(md_buf_puts(out, "[", err));
    else
        MD_TRY(md_buf_printf(out, err, "%-24s %-20s %-28s %s %-12s %s\n",
                             "node", "operator", "kernel", "layout", "fused",
                             "why not faster"));
    for (uint32_t i = 0; i < s->n_insts; i++) {
        if (json && i)
            MD_TRY(md_buf_puts(out, ",\n", err));
        MD_TRY(json ? put_json(s, &s->insts[i], out, err)
                    : put_text(s, &s->insts[i], out, err));
    }
    return json ? md_buf_puts(out, "]\n", err) : MD_OK;
}
