/*
 * libhdf5, loaded when a file is read.
 *
 * Linked the ordinary way it brings some thirty libraries (by way of libcurl)
 * into a process that may never see an HDF5 file: docs/adr/0024.
 */
#ifndef MD_CONVERT_HDF5_LIB_H
#define MD_CONVERT_HDF5_LIB_H

/* Debian 12 has 1.10; newer versions keep its interface behind this. */
#define H5_USE_110_API
#include <hdf5.h>
/* Its constants start the library, by a call that is not linked here. */
#undef H5CHECK
#define H5CHECK
#undef H5OPEN
#define H5OPEN

#include "base/error.h"

/* What is used of it: lib->Fopen() is H5Fopen(). */
typedef struct md_hdf5_lib {
#define FUNCTION(name) __typeof__(H5##name) *name;
#define ID(name) const hid_t *name;
#include "convert/hdf5_lib.def"
#undef FUNCTION
#undef ID
} md_hdf5_lib;

/*
 * Load the library `soname` and find its functions.  It stays loaded: this is
 * for the child process (convert/child.h), and for tests.  MD_UNAVAILABLE says
 * what is missing and what to install.
 */
md_status md_hdf5_lib_load(md_hdf5_lib *out, const char *soname, md_error *err);

#endif
