#include "support/h5_build.h"

#include <stdio.h>
#include <string.h>

#include "support/test.h"

hid_t h5_new(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file;

    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    assert_true(H5Pset_fapl_core(access, 1 << 16, 0) >= 0);
    file = H5Fcreate("memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    assert_true(file >= 0);
    H5Pclose(access);
    return file;
}

/* Links that make the groups in front of them. */
static hid_t with_parents(void)
{
    hid_t list = H5Pcreate(H5P_LINK_CREATE);

    H5Pset_create_intermediate_group(list, 1);
    return list;
}

void h5_group(hid_t file, const char *path)
{
    hid_t list = with_parents();
    hid_t g = H5Gcreate2(file, path, list, H5P_DEFAULT, H5P_DEFAULT);

    assert_true(g >= 0);
    H5Gclose(g);
    H5Pclose(list);
}

static void add_floats(hid_t file, const char *path, int rank,
                       const hsize_t *dims, const float *data, hid_t create)
{
    hid_t list = with_parents();
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t d = H5Dcreate2(file, path, H5T_IEEE_F32LE, space, list, create,
                         H5P_DEFAULT);

    assert_true(d >= 0);
    if (data)
        assert_true(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                             data) >= 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(list);
}

void h5_floats(hid_t file, const char *path, int rank, const hsize_t *dims,
               const float *data)
{
    add_floats(file, path, rank, dims, data, H5P_DEFAULT);
}

void h5_floats_packed(hid_t file, const char *path, int rank,
                      const hsize_t *dims, const float *data)
{
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);

    H5Pset_chunk(create, rank, dims);
    H5Pset_shuffle(create);
    H5Pset_deflate(create, 6);
    add_floats(file, path, rank, dims, data, create);
    H5Pclose(create);
}

static void add_attribute(hid_t file, const char *path, const char *name,
                          hid_t type, hid_t space, const void *data)
{
    hid_t o = H5Oopen(file, path, H5P_DEFAULT);
    hid_t a = H5Acreate2(o, name, type, space, H5P_DEFAULT, H5P_DEFAULT);

    assert_true(a >= 0);
    assert_true(H5Awrite(a, type, data) >= 0);
    H5Aclose(a);
    H5Oclose(o);
    H5Sclose(space);
    H5Tclose(type);
}

void h5_text(hid_t file, const char *path, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, H5T_VARIABLE);
    add_attribute(file, path, name, type, H5Screate(H5S_SCALAR), &text);
}

void h5_texts(hid_t file, const char *path, const char *name, size_t n,
              const char *const *text)
{
    hsize_t dim = n;
    hid_t type = H5Tcopy(H5T_C_S1);
    char data[8][80] = { { 0 } };

    H5Tset_size(type, sizeof(data[0]));
    for (size_t i = 0; i < n; i++)
        snprintf(data[i], sizeof(data[i]), "%s", text[i]);
    add_attribute(file, path, name, type, H5Screate_simple(1, &dim, NULL),
                  data);
}

void h5_finish(hid_t file, md_buf *out)
{
    md_error err = MD_ERROR_INIT;
    ssize_t n;

    H5Fflush(file, H5F_SCOPE_GLOBAL);
    n = H5Fget_file_image(file, NULL, 0);
    assert_true(n > 0);
    assert_md_ok(md_buf_reserve(out, (size_t)n, &err), &err);
    assert_int_equal(H5Fget_file_image(file, out->data + out->size, (size_t)n),
                     n);
    out->size += (size_t)n;
    H5Fclose(file);
}

void keras_h5_begin(keras_h5 *k, const char *version, const char *config)
{
    memset(k, 0, sizeof(*k));
    k->file = h5_new();
    h5_text(k->file, "/", "model_config", config);
    h5_text(k->file, "/", "keras_version", version);
    h5_group(k->file, "model_weights");
}

/* Write the list of the weights of the layer that is done. */
static void end_layer(keras_h5 *k)
{
    char path[128];

    if (!k->layer[0])
        return;
    snprintf(path, sizeof(path), "model_weights/%s", k->layer);
    h5_texts(k->file, path, "weight_names", k->n_names, k->names);
    k->n_names = 0;
}

void keras_h5_weight(keras_h5 *k, const char *layer, const char *weight,
                     int rank, const hsize_t *dims, const float *data)
{
    char path[256];

    if (strcmp(k->layer, layer) != 0) {
        end_layer(k);
        snprintf(k->layer, sizeof(k->layer), "%s", layer);
    }
    snprintf(k->name_text[k->n_names], sizeof(k->name_text[0]), "%s/%s", layer,
             weight);
    snprintf(path, sizeof(path), "model_weights/%s/%s", layer,
             k->name_text[k->n_names]);
    h5_floats(k->file, path, rank, dims, data);
    k->names[k->n_names] = k->name_text[k->n_names];
    k->n_names++;
}

void keras_h5_finish(keras_h5 *k, md_buf *out)
{
    end_layer(k);
    h5_finish(k->file, out);
}
