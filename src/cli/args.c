#include "cli/args.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

/* What parsing goes through. */
typedef struct parser {
    md_args *args;
    const md_cmd *cmd;
    char **argv;
    int argc;
    int i; /* next word */
} parser;

static const md_flag *find_flag(const md_cmd *cmd, const char *name, size_t n)
{
    for (size_t i = 0; i < cmd->n_flags; i++) {
        if (strlen(cmd->flags[i].name) == n &&
            memcmp(cmd->flags[i].name, name, n) == 0)
            return &cmd->flags[i];
    }
    return NULL;
}

static const md_flag *find_letter(const md_cmd *cmd, char letter)
{
    for (size_t i = 0; i < cmd->n_flags; i++) {
        if (cmd->flags[i].letter == letter)
            return &cmd->flags[i];
    }
    return NULL;
}

/* Take the value: behind '=' or the next word. */
static md_status take_value(parser *p, const char *word, const char *inside,
                            const char **value, md_error *err)
{
    if (inside) {
        *value = inside;
        return MD_OK;
    }
    if (p->i == p->argc)
        return md_fail(err, MD_INVALID, "%s needs a value", word);
    *value = p->argv[p->i++];
    return MD_OK;
}

static md_status add_given(parser *p, const md_flag *flag, const char *word,
                           const char *value, md_error *err)
{
    md_opt_row row = { .name = flag->name,
                       .type = flag->type,
                       .min = flag->min,
                       .max = flag->max,
                       .choices = flag->choices };
    md_given g = { .flag = flag, .text = value };
    char expected[160];

    if (md_opt_parse(&row, value, &g.num, NULL) != MD_OK) {
        md_opt_expected(expected, sizeof(expected), &row);
        return md_fail(err, MD_INVALID, "%s: '%.80s' given, expected %s", word,
                       value, expected);
    }
    p->args->given[p->args->n_given++] = g;
    return MD_OK;
}

static md_status fail_unknown(const parser *p, const char *word,
                              const char *name, md_error *err)
{
    const md_args *a = p->args;
    md_nearest near;
    const char *best;

    md_nearest_init(&near, name);
    md_nearest_offer(&near, "help");
    for (size_t i = 0; i < p->cmd->n_flags; i++)
        md_nearest_offer(&near, p->cmd->flags[i].name);
    if (p->cmd->takes_options) {
        for (size_t i = 0; i < a->cli->n_options; i++)
            md_nearest_offer(&near, a->cli->options[i].name);
    }
    best = md_nearest_best(&near);
    if (!best)
        return md_fail(err, MD_INVALID, "option '%.80s' is unknown", word);
    /* Options are words with '_', which the command line writes as '-'. */
    name = md_arena_strdup(a->arena, best);
    if (!name)
        return md_fail_nomem(err, strlen(best) + 1);
    for (char *c = strchr(name, '_'); c; c = strchr(c, '_'))
        *c = '-';
    return md_fail(err, MD_INVALID,
                   "option '%.80s' is unknown, did you mean '--%s'?", word,
                   name);
}

/* A program option: checked and set at once. */
static md_status set_option(parser *p, const char *word, const char *name,
                            const char *inside, md_error *err)
{
    const md_opt_row *row = md_opts_find(p->args->opts, name);
    const char *value = "true";

    if (!inside && row->type == MD_OPT_BOOL)
        inside = value;
    MD_TRY(take_value(p, word, inside, &value, err));
    return md_opts_set(p->args->opts, name, value, MD_OPT_COMMAND_LINE, word,
                       err);
}

/* "--name" or "--name=value". */
static md_status parse_long(parser *p, const char *word, md_error *err)
{
    md_args *a = p->args;
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const char *inside = equals ? equals + 1 : NULL;
    const md_flag *flag = find_flag(p->cmd, name, n);
    const char *value = "true";
    char *copy;

    if (flag) {
        if (flag->type == MD_OPT_BOOL && !inside)
            inside = value;
        MD_TRY(take_value(p, word, inside, &value, err));
        return add_given(p, flag, word, value, err);
    }
    copy = md_arena_strndup(a->arena, name, n);
    if (!copy)
        return md_fail_nomem(err, n + 1);
    if (p->cmd->takes_options && md_opts_find(a->opts, copy))
        return set_option(p, word, copy, inside, err);
    return fail_unknown(p, word, copy, err);
}

/* "-o". */
static md_status parse_short(parser *p, const char *word, md_error *err)
{
    const md_flag *flag = word[2] ? NULL : find_letter(p->cmd, word[1]);
    const char *value = "true";

    if (!flag)
        return md_fail(err, MD_INVALID, "option '%.80s' is unknown", word);
    if (flag->type != MD_OPT_BOOL)
        MD_TRY(take_value(p, word, NULL, &value, err));
    return add_given(p, flag, word, value, err);
}

static md_status parse_words(parser *p, md_error *err)
{
    md_args *a = p->args;
    bool flags_end = false;

    while (p->i < p->argc) {
        const char *word = p->argv[p->i++];

        if (flags_end || word[0] != '-' || word[1] == '\0')
            a->pos[a->n_pos++] = word;
        else if (strcmp(word, "--") == 0)
            flags_end = true;
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            a->help = true;
        else if (word[1] == '-')
            MD_TRY(parse_long(p, word, err));
        else
            MD_TRY(parse_short(p, word, err));
    }
    return MD_OK;
}

static md_status check_required(const md_args *a, md_error *err)
{
    for (size_t i = 0; i < a->row->cmd->n_flags; i++) {
        const md_flag *flag = &a->row->cmd->flags[i];

        if (flag->required && !md_args_has(a, flag->name))
            return md_fail(err, MD_INVALID, "--%s %s is missing: %s",
                           flag->name, flag->arg, a->row->cmd->usage);
    }
    return MD_OK;
}

md_status md_args_parse(md_args *out, const md_cli *cli, const md_cmd_row *row,
                        md_opts *opts, md_arena *arena, int argc, char **argv,
                        md_error *err)
{
    parser p = { out, row->cmd, argv, argc, 0 };
    size_t n = (size_t)argc + 1;
    md_status s;

    *out = (md_args){ .cli = cli, .row = row, .opts = opts, .arena = arena };
    out->pos = md_arena_calloc(arena, n, sizeof(*out->pos));
    out->given = md_arena_calloc(arena, n, sizeof(*out->given));
    if (!out->pos || !out->given)
        return md_fail_nomem(err, n * sizeof(*out->given));
    s = parse_words(&p, err);
    if (out->help)
        return MD_OK;
    MD_TRY(s);
    if (out->n_pos < row->cmd->n_min)
        return md_fail(err, MD_INVALID, "%d of %d arguments given: %s",
                       out->n_pos, row->cmd->n_min, row->cmd->usage);
    if (row->cmd->n_max >= 0 && out->n_pos > row->cmd->n_max)
        return md_fail(err, MD_INVALID,
                       "argument '%.80s' is one too many, expected %d",
                       out->pos[row->cmd->n_max], row->cmd->n_max);
    MD_TRY(check_required(out, err));
    return row->cmd->check ? row->cmd->check(out, err) : MD_OK;
}

/* The last value given for name, or NULL. */
static const md_given *find_given(const md_args *a, const char *name)
{
    assert(find_flag(a->row->cmd, name, strlen(name)));
    for (int i = a->n_given; i-- > 0;) {
        if (strcmp(a->given[i].flag->name, name) == 0)
            return &a->given[i];
    }
    return NULL;
}

bool md_args_has(const md_args *a, const char *name)
{
    const md_given *g = find_given(a, name);

    return g && (g->flag->type != MD_OPT_BOOL || g->num != 0);
}

const char *md_args_text(const md_args *a, const char *name,
                         const char *otherwise)
{
    const md_given *g = find_given(a, name);

    return g ? g->text : otherwise;
}

int64_t md_args_int(const md_args *a, const char *name, int64_t otherwise)
{
    const md_given *g = find_given(a, name);

    return g ? g->num : otherwise;
}

double md_args_real(const md_args *a, const char *name, double otherwise)
{
    const md_given *g = find_given(a, name);

    if (g)
        md_opt_real(&otherwise, g->text);
    return otherwise;
}

int md_args_choice(const md_args *a, const char *name, int otherwise)
{
    const md_given *g = find_given(a, name);
    const char *at = g ? g->flag->choices : NULL;

    for (int i = 0; at; i++) {
        const size_t n = strcspn(at, "|");

        if (strlen(g->text) == n && strncmp(at, g->text, n) == 0)
            return i;
        at = at[n] ? at + n + 1 : NULL;
    }
    return otherwise;
}

static bool is_given(const md_args *a, const char *name)
{
    return find_flag(a->row->cmd, name, strlen(name)) && find_given(a, name);
}

const char *md_args_option_text(const md_args *a, const char *name)
{
    return is_given(a, name) ? md_args_text(a, name, "")
                             : md_opts_text(a->opts, name);
}

int64_t md_args_option_int(const md_args *a, const char *name)
{
    return is_given(a, name) ? md_args_int(a, name, 0)
                             : md_opts_int(a->opts, name);
}

const char *md_args_next(const md_args *a, const char *name, int *i)
{
    for (; *i < a->n_given; ++*i) {
        if (strcmp(a->given[*i].flag->name, name) == 0)
            return a->given[(*i)++].text;
    }
    return NULL;
}
