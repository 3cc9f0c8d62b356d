#include "cli/model.h"
#include "cli/print.h"

static md_status run(const md_args *a, md_error *err)
{
    md_cli_session s;
    char weights[512];
    md_status st;
    md_buf b;

    MD_TRY(md_cli_session_open(&s, a->pos[0], a, err));
    md_buf_init(&b, md_alloc_default(), (size_t)256 << 20);
    st = md_session_explain(s.session, md_args_has(a, "json"), &b, err);
    if (st == MD_OK)
        md_cli_print(&b, a->cli->out);
    else
        md_buf_release(&b);
    md_cli_packed_format(weights, sizeof(weights), s.session);
    if (st == MD_OK && !md_args_has(a, "json") && weights[0])
        md_cli_printf(a->cli->out, "weights: %s\n", weights);
    md_cli_session_close(&s);
    return st;
}

static const md_flag flags[] = { MD_FLAG_THREADS, MD_FLAG_PRECISION,
                                 MD_FLAG_WEIGHT_CACHE, MD_FLAGS_SOURCE,
                                 MD_FLAG_JSON };

const md_cmd md_cmd_explain = {
    .usage = "MODEL [--precision P] [--json]",
    .text = "Shows each step that running takes: its kernel, the layouts of "
            "its operands, what\nwas fused into it, and why no faster kernel "
            "was taken; and whether packed\nweights are mapped from a file.",
    .example = "modeld explain net.onnx",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .run = run,
};
