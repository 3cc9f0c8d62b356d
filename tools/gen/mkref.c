/*
 * Writes docs/reference/ from the lists that the program is made of, so that
 * the pages cannot say anything else.  `mkref DIR` makes DIR's files anew;
 * tools/lint/run.sh compares them with those that are committed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/options.h"
#include "base/attr.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/metrics.h"
#include "cli/cmd.h"
#include "ops/common/util.h"
#include "ops/grad.h"
#include "ops/lower.h"
#include "ops/op.h"
#include "serve/grpc.h"
#include "serve/route.h"

enum {
    PATH_SIZE = 4096
};

static void write_status(FILE *f)
{
    fputs("# Status codes\n\n"
          "What a failed call returns, and what a client of either protocol "
          "sees.\n\n"
          "| status | value | HTTP | gRPC | text |\n"
          "| --- | ---: | ---: | ---: | --- |\n",
          f);
#define X(name, value, http, grpc, text)                                       \
    fprintf(f, "| `%s` | %d | %d | %d | %s |\n", #name, value, http, grpc,     \
            text);
#include "base/status.def"
#undef X
}

static void write_cpu(FILE *f)
{
    fputs("# CPU levels\n\n"
          "`MODELD_CPU` takes one of these names, or `none`, and hides every "
          "instruction set that the level does not include.\n\n"
          "| name | what it stands for |\n"
          "| --- | --- |\n",
          f);
#define CPU(id, name, bit, needs, what)                                        \
    fprintf(f, "| `%s` | %s |\n", name, what);
#include "base/cpu_flags.def"
#undef CPU
}

static void write_dtypes(FILE *f)
{
    fputs("# Element types\n\n"
          "Value is ONNX's `TensorProto.DataType`; V2 the name in the Open "
          "Inference Protocol; NPY the descriptor that `predict` writes.\n\n"
          "| name | value | bits | V2 | NPY |\n"
          "| --- | ---: | ---: | --- | --- |\n",
          f);
#define DTYPE(id, value, bits, name, v2, npy, class)                           \
    fprintf(f, "| `%s` | %d | %d | %s | `%s%s` |\n", name, value, bits,        \
            v2[0] ? v2 : "-", npy[0] == '|' ? "\\" : "", npy);
#include "tensor/dtypes.def"
#undef DTYPE
}

/* Sets of element types with a name of their own, the larger first. */
static const struct {
    const char *name;
    uint32_t types;
} type_sets[] = {
    { "number", MD_TYPES_NUMBER }, { "float", MD_TYPES_FLOAT },
    { "int", MD_TYPES_SIGNED },    { "uint", MD_TYPES_UNSIGNED },
    { "float8", MD_TYPES_F8 },
};

/* "float, int32, bool"; "all" for what nearly everything is. */
static void write_types(FILE *f, uint32_t types)
{
    const char *comma = "";
    int n = 0;

    for (int t = 1; t < MD_DTYPE_N; t++)
        n += (int)(types >> t & 1);
    if (n >= 16) {
        fputs("all", f);
        return;
    }
    for (size_t i = 0; i < MD_COUNT(type_sets); i++) {
        if ((types & type_sets[i].types) != type_sets[i].types)
            continue;
        fprintf(f, "%s%s", comma, type_sets[i].name);
        types &= ~type_sets[i].types;
        comma = ", ";
    }
    for (int t = 1; t < MD_DTYPE_N; t++) {
        if (!(types >> t & 1))
            continue;
        fprintf(f, "%s%s", comma, md_dtype_name((md_dtype)t));
        comma = ", ";
    }
}

/* Types of the input that takes most, in the newest version of the row. */
static uint32_t types_of(const md_op *op)
{
    int64_t version = op->until ? op->until : 999;
    uint32_t most = 0;

    for (uint32_t i = 0; i < 4 && !op->domain[0]; i++) {
        uint32_t types = md_op_types(op->name, version, i);

        if (__builtin_popcount(types) > __builtin_popcount(most))
            most = types;
    }
    return most;
}

/* The lowering that an operator uses: the name of its kernels. */
static const char *fast_of(const md_op *op)
{
    static const struct {
        const md_fast *fast;
        const char *name;
    } rows[] = {
#define FAST(id) { &md_fast_##id, #id },
#include "ops/lower/fast.def"
#undef FAST
    };

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (rows[i].fast == op->fast)
            return rows[i].name;
    }
    return "";
}

static int count_cases(const char *stem)
{
    char path[PATH_SIZE], line[8192];
    int n = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.case", MD_CASES, stem);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        n += line[0] != '#' && line[0] != '\n';
    if (f)
        fclose(f);
    return n;
}

/* Tens from ten on, so that a new case seldom changes the page. */
static void write_cases(FILE *f, int n)
{
    if (n < 10)
        fprintf(f, "%d", n);
    else
        fprintf(f, "%d+", n / 10 * 10);
}

static void write_remarks(FILE *f, const md_op *op)
{
    static const struct {
        unsigned flag;
        const char *text;
    } rows[] = {
        { MD_OP_VIEW, "moves nothing" },
        { MD_OP_INPLACE, "in place" },
        { MD_OP_IMPURE, "random" },
        { MD_OP_SYMBOLIC, "planned by symbols" },
    };
    const char *comma = "";

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (!(op->flags & rows[i].flag))
            continue;
        fprintf(f, "%s%s", comma, rows[i].text);
        comma = ", ";
    }
    if (op->data) {
        fprintf(f, "%scontents followed", comma);
        comma = ", ";
    }
    if (md_grad_known(op))
        fprintf(f, "%sdifferentiable", comma);
}

static void write_versions(FILE *f, const md_op *o)
{
    fprintf(f, "%d", o->since);
    if (o->until == 0)
        fputs(" and later", f);
    else if (o->until > o->since)
        fprintf(f, " to %d", o->until);
}

static void write_operator(FILE *f, const md_op *o, const char *stem)
{
    fprintf(f, "| %s | %s | ", o->domain[0] ? o->domain : "ai.onnx", o->name);
    write_versions(f, o);
    if (o->in_max < 0)
        fprintf(f, " | %d or more | ", o->in_min);
    else if (o->in_max > o->in_min)
        fprintf(f, " | %d to %d | ", o->in_min, o->in_max);
    else
        fprintf(f, " | %d | ", o->in_min);
    write_types(f, types_of(o));
    fprintf(f, " | %s | ", fast_of(o));
    write_cases(f, count_cases(stem));
    fputs(" | ", f);
    write_remarks(f, o);
    fputs(" |\n", f);
}

static void write_operators(FILE *f)
{
    static const char *const stems[] = {
#define OP(id) #id,
#include "ops/ops.def"
#undef OP
    };

    fputs(
        "# Operators\n\n"
        "By domain, name and the opset versions that a row implements.\n\n"
        "- **types**: of the input that takes most, in the newest version. *float* is "
        "float16, bfloat16, float32 and float64; *int* and *uint* 8 to 64 "
        "bits; *number* all of these; *float8* all four.\n"
        "- **kernels**: the family that runs it where types and shapes "
        "allow; everything else runs as its portable definition.\n"
        "- **cases**: lines of `tests/ops/`; ONNX's own cases come on top.\n"
        "- **planned by symbols**: its shapes are expressions over the sizes "
        "of the model's inputs, and are not inferred again for new ones. "
        "**contents followed**: so are elements of small integer "
        "tensors.\n"
        "- **differentiable**: Gradient goes through it.\n\n"
        "| domain | operator | versions | inputs | types | kernels | cases | "
        "remarks |\n"
        "| --- | --- | --- | --- | --- | --- | ---: | --- |\n",
        f);
    for (size_t i = 0; i < MD_COUNT(stems); i++)
        write_operator(f, md_op_list()[i], stems[i]);
}

static void write_options(FILE *f)
{
    static const char *const types[] = {
        [MD_OPT_BOOL] = "true or false",
        [MD_OPT_INT] = "number",
        [MD_OPT_REAL] = "number: 2, 0.5, 1e-4",
        [MD_OPT_SIZE] = "size: 4096, 64k, 16M, 2GiB",
        [MD_OPT_DURATION] = "duration: 250ms, 30s, 5m, 1h",
        [MD_OPT_CHOICE] = "one of ",
        [MD_OPT_TEXT] = "text",
    };

    fputs("# Options\n\n"
          "Of `modeld serve` and `modeld config`: `--name value` on the "
          "command line (with `-` for `_`), `MODELD_NAME` in the environment, "
          "`name = value` in the file given with `--config`.  The first of "
          "these that has an option decides; `modeld config` shows which.\n\n"
          "A size is in bytes; k, M, G and T are powers of 1024, alone or "
          "with B or iB behind them, in capitals or not: 64k, 64KB and 64KiB "
          "are all 65536.\n\n"
          "| name | value | default | meaning |\n"
          "| --- | --- | --- | --- |\n",
          f);
    for (size_t i = 0; i < md_app_n_options; i++) {
        const md_opt_row *row = &md_app_options[i];

        fprintf(f, "| `%s` | %s", row->name, types[row->type]);
        for (const char *c = row->choices; c && *c; c++)
            fprintf(f, *c == '|' ? ", " : "%c", *c);
        fprintf(f, " | `%s` | %s |\n", row->otherwise, row->help);
    }
}

/* Text in a cell of a table. */
static void put_cell(FILE *f, const char *s)
{
    for (; *s; s++)
        fprintf(f, *s == '|' ? "\\%c" : "%c", *s);
}

static void write_command(FILE *f, const md_cmd_row *row)
{
    const md_cmd *cmd = row->cmd;

    fprintf(f, "\n## modeld %s\n\n    modeld %s%s%s\n", row->name, row->name,
            *cmd->usage ? " " : "", cmd->usage);
    if (*cmd->text)
        fprintf(f, "\n%s\n", cmd->text);
    if (cmd->n_flags)
        fputs("\n| flag | meaning |\n| --- | --- |\n", f);
    for (size_t i = 0; i < cmd->n_flags; i++) {
        const md_flag *flag = &cmd->flags[i];

        fputs("| ", f);
        if (flag->letter)
            fprintf(f, "`-%c`, ", flag->letter);
        fprintf(f, "`--%s%s%s` | ", flag->name, flag->arg ? " " : "",
                flag->arg ? flag->arg : "");
        put_cell(f, flag->help);
        fputs(" |\n", f);
    }
    if (cmd->takes_options)
        fputs("\nTakes every [option](options.md) of the program, too.\n", f);
    fprintf(f, "\nExample:\n\n    %s\n", cmd->example);
}

static void write_commands(FILE *f)
{
    fputs("# Commands\n\n"
          "`modeld COMMAND --help` shows the same.\n\n"
          "| command | does |\n"
          "| --- | --- |\n",
          f);
    for (const md_cmd_row *r = md_cmds; r->name; r++)
        fprintf(f, "| [`modeld %s`](#modeld-%s) | %s |\n", r->name, r->name,
                r->summary);
    for (const md_cmd_row *r = md_cmds; r->name; r++)
        write_command(f, r);
}

static void write_routes(FILE *f)
{
    fputs("# Routes\n\n"
          "`GET /openapi.json` has the same with the schemas.  A failure "
          "answers `{\"error\": \"...\"}`; see [status](status.md).\n\n"
          "| method | path | takes | answers | |\n"
          "| --- | --- | --- | --- | --- |\n",
          f);
    for (size_t i = 0; i < MD_N_ROUTES; i++) {
        const md_route *r = md_routes[i];

        for (size_t k = 0; k < MD_COUNT(r->paths); k++)
            if (r->paths[k])
                fprintf(f, "| %s | `%s` | %s | %s | %s |\n", r->method,
                        r->paths[k], r->request_type ? r->request_type : "",
                        r->reply_type, k == 0 ? r->summary : "the same");
    }
    fputs("\n## gRPC\n\n"
          "On the same port; `grpcurl -plaintext ADDRESS describe` tells the "
          "messages.\n\n"
          "| service | method | |\n| --- | --- | --- |\n",
          f);
    for (size_t i = 0; i < MD_N_GRPCS; i++)
        fprintf(f, "| %s | %s | %s |\n", md_grpc_methods[i]->service,
                md_grpc_methods[i]->name, md_grpc_methods[i]->summary);
}

static void write_metrics(FILE *f)
{
    static const char *const kinds[] = { [MD_COUNTER] = "counter",
                                         [MD_GAUGE] = "gauge",
                                         [MD_HISTOGRAM] = "histogram" };

    fputs("# Metrics\n\n"
          "What the server counts itself; `GET /metrics` also tells of "
          "queue, connections, memory and process.\n\n"
          "| name | kind | labels | question it answers |\n"
          "| --- | --- | --- | --- |\n",
          f);
#define METRIC(kind, id, name, help, labels, bounds)                           \
    fprintf(f, "| `%s` | %s | %s | %s |\n", name, kinds[kind], labels, help);
#include "serve/metrics.def"
#undef METRIC
}

static const struct {
    const char *name;
    void (*write)(FILE *f);
} pages[] = {
    { "status.md", write_status },   { "cpu.md", write_cpu },
    { "dtypes.md", write_dtypes },   { "operators.md", write_operators },
    { "options.md", write_options }, { "commands.md", write_commands },
    { "routes.md", write_routes },   { "metrics.md", write_metrics },
};

static int write_page(const char *dir, const char *name, void (*write)(FILE *))
{
    char path[PATH_SIZE];
    FILE *f;
    int ok;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    if (!f) {
        fprintf(stderr, "mkref: %s: %s\n", path, strerror(errno));
        return 0;
    }
    write(f);
    fputs("\nGenerated by tools/gen/mkref.c: change the list, then run "
          "`make reference`.\n",
          f);
    ok = !ferror(f);
    return fclose(f) == 0 && ok;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: mkref DIR\n", stderr);
        return 2;
    }
    if (mkdir(argv[1], 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "mkref: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    for (size_t i = 0; i < MD_COUNT(pages); i++)
        if (!write_page(argv[1], pages[i].name, pages[i].write))
            return 1;
    return 0;
}
