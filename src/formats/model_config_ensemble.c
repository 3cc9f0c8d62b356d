/* ensemble_scheduling: the steps of a model that is made of others. */
#include <string.h>

#include "formats/model_config_read.h"

enum {
    STEPS_MAX = 1024,
    PAIRS_MAX = 4096 /* of one map */
};

static md_status take_pair(md_config_reader *r, const md_textpb *key,
                           const md_textpb *value, void *to)
{
    md_config_pairs *list = to;
    md_config_pair *p;

    if (list->n == PAIRS_MAX)
        return md_fail(r->err, MD_TOO_LARGE, "a map of more than %d tensors",
                       PAIRS_MAX);
    MD_TRY(md_arena_grow(r->ar, &list->v, &list->cap, list->n, sizeof(*list->v),
                         r->err));
    p = &list->v[list->n++];
    *p = (md_config_pair){ .own = key->text };
    if (strlen(key->text) != key->size || key->size == 0)
        return md_config__fail(r, key, "the name of a tensor");
    if (!value)
        return md_fail(r->err, MD_INVALID,
                       "line %u: '%.100s' has no value, the name of a tensor "
                       "expected",
                       key->line, key->text);
    MD_TRY(md_config__text(r, value, &p->tensor));
    if (!p->tensor)
        return md_config__fail(r, value, "the name of a tensor");
    for (uint32_t i = 0; i + 1 < list->n; i++)
        if (strcmp(list->v[i].own, p->own) == 0)
            return md_fail(r->err, MD_INVALID, "line %u: '%.100s' given twice",
                           value->line, p->own);
    return MD_OK;
}

static md_status take_map(md_config_reader *r, const md_textpb *f, void *to)
{
    return md_config__map(r, f, take_pair, to);
}

static md_status take_version(md_config_reader *r, const md_textpb *f, void *to)
{
    return md_config__number(r, f, -1, INT64_MAX, to);
}

static md_status take_step(md_config_reader *r, const md_textpb *f, void *to)
{
    static const md_config_field list[] = {
        { "model_name", md_config__text, offsetof(md_config_step, model) },
        { "model_version", take_version, offsetof(md_config_step, version) },
        { "input_map", take_map, offsetof(md_config_step, inputs) },
        { "output_map", take_map, offsetof(md_config_step, outputs) },
        { "model_namespace", md_config__refuse, 0 },
        { NULL, NULL, 0 }
    };
    md_config_steps *steps = to;
    md_config_step *step;

    if (steps->n == STEPS_MAX)
        return md_fail(r->err, MD_TOO_LARGE,
                       "line %u: an ensemble of more than %d steps", f->line,
                       STEPS_MAX);
    MD_TRY(md_arena_grow(r->ar, &steps->v, &steps->cap, steps->n,
                         sizeof(*steps->v), r->err));
    step = &steps->v[steps->n++];
    *step = (md_config_step){ .version = -1 };
    MD_TRY(md_config__message(r, f, list, step));
    if (!step->model || step->inputs.n == 0 || step->outputs.n == 0)
        return md_fail(r->err, MD_INVALID,
                       "line %u: a step of the ensemble has no %s", f->line,
                       !step->model          ? "model_name"
                       : step->inputs.n == 0 ? "input_map"
                                             : "output_map");
    return MD_OK;
}

md_status md_config__ensemble(md_config_reader *r, const md_textpb *f, void *to)
{
    static const md_config_field list[] = { { "step", take_step, 0 },
                                            { NULL, NULL, 0 } };
    md_config_steps *steps = to;

    MD_TRY(md_config__message(r, f, list, steps));
    if (steps->n == 0)
        return md_fail(r->err, MD_INVALID,
                       "line %u: ensemble_scheduling has no step", f->line);
    return MD_OK;
}
