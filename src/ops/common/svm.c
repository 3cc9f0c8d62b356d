#include "ops/common/svm.h"

#include <math.h>
#include <string.h>

static md_status kernel_of(md_svm *m, const md_node *n, md_error *err)
{
    static const char *const names[] = { "LINEAR", "POLY", "RBF", "SIGMOID" };
    const char *name = md_node_attr_s(n, "kernel_type", "LINEAR");
    uint32_t n_params;
    const float *params = md_node_attr_fs(n, "kernel_params", &n_params);

    if (n_params != 0 && n_params != 3)
        return md_fail(err, MD_INVALID,
                       "kernel_params has %u elements, 3 expected",
                       (unsigned)n_params);
    if (params) {
        m->gamma = params[0];
        m->coef0 = params[1];
        m->degree = params[2];
    }
    for (size_t i = 0; i < MD_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            m->kernel = (md_svm_kernel)i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID,
                   "kernel_type is '%s', LINEAR, POLY, RBF or SIGMOID expected",
                   name);
}

/* The number of features, from a list that has `of` rows of them. */
static md_status features_of(md_svm *m, const char *name, const md_tensor *list,
                             int64_t of, md_error *err)
{
    int64_t n = md_tensor_n(list);

    if (n == 0 || n % of != 0)
        return md_fail(err, MD_INVALID,
                       "%s has %lld elements, a multiple of %lld expected",
                       name, (long long)n, (long long)of);
    m->n_features = n / of;
    return MD_OK;
}

md_status md_svm__of(md_svm *out, const md_node *n, int64_t n_vectors,
                     int64_t n_sets, md_error *err)
{
    md_svm m = { .n_vectors = n_vectors };
    md_tensor vectors = md_ml__list(n, "support_vectors");

    m.coefficients = md_ml__list(n, "coefficients");
    m.rho = md_ml__list(n, "rho");
    MD_TRY(kernel_of(&m, n, err));
    if (md_tensor_n(&m.rho) == 0)
        return md_fail(err, MD_INVALID, "rho is empty");
    if (n_vectors > 0) {
        MD_TRY(features_of(&m, "support_vectors", &vectors, n_vectors, err));
        m.vectors = vectors.data;
    } else {
        MD_TRY(features_of(&m, "coefficients", &m.coefficients, n_sets, err));
    }
    *out = m;
    return MD_OK;
}

static double distance(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++) {
        double d = (double)a[i] - b[i];

        sum += d * d;
    }
    return sum;
}

void md_svm__kernels(const md_svm *m, const float *x, double *out)
{
    for (int64_t i = 0; i < m->n_vectors; i++) {
        const float *v = m->vectors + i * m->n_features;

        if (m->kernel == MD_SVM_RBF) {
            out[i] = exp(-m->gamma * distance(x, v, m->n_features));
            continue;
        }
        out[i] = md_ml__dot(x, v, m->n_features);
        if (m->kernel == MD_SVM_POLY)
            out[i] = pow(m->gamma * out[i] + m->coef0, m->degree);
        else if (m->kernel == MD_SVM_SIGMOID)
            out[i] = tanh(m->gamma * out[i] + m->coef0);
    }
}

/* Q of the paper: the quadratic form whose minimum on the simplex is p. */
static void form(int64_t k, const double *r, double *q)
{
    for (int64_t i = 0; i < k; i++) {
        q[i * k + i] = 0.0;
        for (int64_t j = 0; j < k; j++) {
            if (j == i)
                continue;
            q[i * k + i] += r[j * k + i] * r[j * k + i];
            q[i * k + j] = -r[j * k + i] * r[i * k + j];
        }
    }
}

/* qp = q p; returns p q p. */
static double times(int64_t k, const double *q, const double *p, double *qp)
{
    double pqp = 0.0;

    for (int64_t i = 0; i < k; i++) {
        qp[i] = 0.0;
        for (int64_t j = 0; j < k; j++)
            qp[i] += q[i * k + j] * p[j];
        pqp += p[i] * qp[i];
    }
    return pqp;
}

static bool near(int64_t k, const double *qp, double pqp)
{
    double eps = 0.005 / (double)k;

    for (int64_t i = 0; i < k; i++) {
        if (fabs(qp[i] - pqp) >= eps)
            return false;
    }
    return true;
}

void md_svm__couple(int64_t k, const double *r, double *p, double *q)
{
    double *qp = q + k * k;

    form(k, r, q);
    for (int64_t i = 0; i < k; i++)
        p[i] = 1.0 / (double)k;
    for (int round = 0; round < 100; round++) {
        double pqp = times(k, q, p, qp);

        if (near(k, qp, pqp))
            break;
        for (int64_t i = 0; i < k; i++) {
            double diff = (pqp - qp[i]) / q[i * k + i];

            p[i] += diff;
            pqp = (pqp + diff * (diff * q[i * k + i] + 2.0 * qp[i])) /
                  ((1.0 + diff) * (1.0 + diff));
            for (int64_t j = 0; j < k; j++) {
                qp[j] = (qp[j] + diff * q[i * k + j]) / (1.0 + diff);
                p[j] /= 1.0 + diff;
            }
        }
    }
}
