/*
 * TorchScript: programs as restricted Python text, and the objects that they
 * belong to.
 */
#ifndef MD_CONVERT_TORCH_SCRIPT_H
#define MD_CONVERT_TORCH_SCRIPT_H

#include "convert/torch/build.h"

/* Attribute `slot` of an object. */
md_tv md_torch_object_at(const md_torch_object *o, uint32_t slot);
void md_torch_object_put(md_torch_object *o, uint32_t slot, md_tv v);

#endif
