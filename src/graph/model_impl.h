/* What the files of the graph module share about models. */
#ifndef MD_GRAPH_MODEL_IMPL_H
#define MD_GRAPH_MODEL_IMPL_H

#include "graph/graph.h"

/* md_map_forget for what lies in one of the model's files; else nothing. */
void md_model__forget(const md_model *m, const void *p, size_t size);

#endif
