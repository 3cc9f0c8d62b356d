/*
 * Gradients beside central differences, operator by operator: the adjoints of
 * ops/grad.h as the engine puts them together.
 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/session.h"
#include "support/build.h"
#include "support/net.h"

enum {
    TEXT_SIZE = 4096,
    BATCH = 3 /* of a free dimension */
};

#define GRADIENT "ai.onnx.preview.training.Gradient"

/*
 * Nets whose float64 inputs are differentiated, which end in y.  Numbers that
 * are added keep them away from where an operator has no derivative.
 */
static const char *const nets[] = {
    /* elementwise, one operand */
    "x f64[3,4]; y = Abs(x)",
    "x f64[7]; a = Tanh(x); b = Mul(a, f64[]{0.9}); y = Acos(b)",
    "x f64[7]; a = Exp(x); b = Add(a, f64[]{1.1}); y = Acosh(b)",
    "x f64[7]; a = Tanh(x); b = Mul(a, f64[]{0.9}); y = Asin(b)",
    "x f64[7]; y = Asinh(x)",
    "x f64[7]; y = Atan(x)",
    "x f64[7]; a = Tanh(x); b = Mul(a, f64[]{0.9}); y = Atanh(b)",
    "opset 28; x f64[7]; y = Celu(x) alpha=1.5",
    "x f64[9]; a = Ceil(x); y = Mul(a, x)",
    "x f64[9]; a = Floor(x); y = Add(a, x)",
    "x f64[9]; a = Round(x); y = Sub(x, a)",
    "x f64[9]; a = Sign(x); y = Mul(a, x)",
    "x f64[9]; y = Clip(x, f64[]{-0.5}, f64[]{0.7})",
    "x f64[9]; lo f64[]; a = Sub(lo, f64[]{1}); y = Clip(x, a)",
    "x f64[9]; hi f64[]; a = Mul(hi, f64[]{0.5}); y = Clip(x, _, a)",
    "opset 10; x f64[9]; y = Clip(x) min=-0.5 max=0.5",
    "x f64[9]; y = Clip(x)",
    "x f64[5]; y = Cos(x)",
    "x f64[5]; y = Cosh(x)",
    "x f64[9]; y = Elu(x) alpha=1.3",
    "x f64[5]; y = Erf(x)",
    "x f64[5]; y = Exp(x)",
    "x f64[9]; y = Gelu(x)",
    "x f64[9]; y = Gelu(x) approximate=\"tanh\"",
    "x f64[19]; a = Mul(x, f64[]{4}); y = HardSigmoid(a) alpha=0.3 beta=0.4",
    "x f64[19]; a = Mul(x, f64[]{4}); y = HardSwish(a)",
    "x f64[3]; y = Identity(x)",
    "x f64[9]; y = LeakyRelu(x) alpha=0.2",
    "x f64[9]; y = LeakyRelu(x)",
    "x f64[7]; a = Exp(x); b = Add(a, f64[]{0.1}); y = Log(b)",
    "x f64[9]; y = Mish(x)",
    "x f64[9]; y = Neg(x)",
    "x f64[7]; a = Exp(x); y = Reciprocal(a)",
    "x f64[9]; y = Relu(x)",
    "x f64[9]; y = Selu(x)",
    "x f64[9]; y = Selu(x) alpha=1.5 gamma=0.8",
    "x f64[19]; y = Shrink(x) lambd=0.6 bias=0.2",
    "x f64[9]; y = Sigmoid(x)",
    "x f64[9]; y = Sin(x)",
    "x f64[9]; y = Sinh(x)",
    "x f64[9]; y = Softplus(x)",
    "x f64[9]; y = Softsign(x)",
    "x f64[7]; a = Exp(x); y = Sqrt(a)",
    "opset 24; x f64[9]; y = Swish(x) alpha=1.7",
    "x f64[7]; a = Mul(x, f64[]{0.4}); y = Tan(a)",
    "x f64[9]; y = Tanh(x)",
    "x f64[19]; y = ThresholdedRelu(x) alpha=0.3",
    /* two operands and more, spread in each way */
    "a f64[2,3]; b f64[2,3]; y = Add(a, b)",
    "a f64[2,1,3]; b f64[4,1]; y = Add(a, b)",
    "a f64[3]; b f64[2,3]; y = Sub(a, b)",
    "a f64[]; b f64[2,3]; y = Mul(a, b)",
    "a f64[N,3]; b f64[3]; y = Mul(a, b)",
    "a f64[N,1]; b f64[M,3]; y = Mul(a, b)",
    "a f64[N]; y = Mul(a, a)",
    "opset 7; a f64[2,3]; b f64[2,3]; y = Mul(a, b)",
    "a f64[2,3]; b f64[3]; c = Exp(b); y = Div(a, c)",
    "a f64[2,3]; b f64[3]; c = Exp(a); y = Pow(c, b)",
    "a f64[5]; y = Pow(a, i64[]{3})",
    "a f64[5]; b f64[1]; c = Exp(b); y = Mod(a, c) fmod=1",
    "a f64[2,5]; s f64[5]; y = PRelu(a, s)",
    "a f64[2,3]; b f64[3]; c f64[2,1]; y = Sum(a, b, c)",
    "a f64[2,3]; b f64[3]; c f64[2,1]; y = Mean(a, b, c)",
    "a f64[2,3]; b f64[3]; c f64[2,1]; y = Max(a, b, c)",
    "a f64[N,3]; b f64[3]; y = Min(a, b)",
    "a f64[4]; b f64[2,1]; c = Greater(a, b); y = Where(c, a, b)",
    "a f64[4]; y = Expand(a, i64[3]{2 3 4})",
    /* products */
    "a f64[2,3]; b f64[3,4]; y = MatMul(a, b)",
    "a f64[5,2,3]; b f64[3,4]; y = MatMul(a, b)",
    "a f64[2,1,2,3]; b f64[5,3,4]; y = MatMul(a, b)",
    "a f64[3]; b f64[3,4]; y = MatMul(a, b)",
    "a f64[5,2,3]; b f64[3]; y = MatMul(a, b)",
    "a f64[3]; b f64[5,3,2]; y = MatMul(a, b)",
    "a f64[3]; b f64[3]; y = MatMul(a, b)",
    "a f64[N,2,3]; b f64[3,4]; y = MatMul(a, b)",
    "a f64[2,3]; b f64[3,4]; c f64[4]; y = Gemm(a, b, c) alpha=0.5 beta=2.0",
    "a f64[3,2]; b f64[3,4]; c f64[2,1]; y = Gemm(a, b, c) transA=1 alpha=1.5",
    "a f64[2,3]; b f64[4,3]; y = Gemm(a, b) transB=1",
    "a f64[3,2]; b f64[4,3]; c f64[]; y = Gemm(a, b, c) transA=1 transB=1",
    /* convolutions */
    "x f64[2,3,7]; w f64[4,3,3]; b f64[4]; y = Conv(x, w, b)",
    ("x f64[2,3,6,5]; w f64[4,3,3,2]; y = Conv(x, w) pads=[1,0,2,1] "
     "strides=[2,1]"),
    ("x f64[2,3,8,9]; w f64[2,3,3,3]; y = Conv(x, w) strides=[3,2] "
     "dilations=[2,2] pads=[0,1,1,2]"),
    ("x f64[2,4,6,6]; w f64[6,2,3,3]; b f64[6]; y = Conv(x, w, b) group=2 "
     "pads=[1,1,1,1] strides=[2,2]"),
    "x f64[2,3,6,6]; w f64[6,1,3,3]; y = Conv(x, w) group=3 dilations=[2,1]",
    "x f64[N,4,5,5]; w f64[4,1,3,3]; y = Conv(x, w) group=4 pads=[1,1,1,1]",
    ("x f64[N,2,H,W]; w f64[4,1,2,3]; y = Conv(x, w) group=2 strides=[2,2] "
     "pads=[1,1,1,1]"),
    ("x f64[N,2,H,W]; w f64[4,2,2,3]; y = Conv(x, w) strides=[2,3] "
     "pads=[1,1,1,1]"),
    ("x f64[1,2,6,7]; w f64[3,2,3,3]; y = Conv(x, w) strides=[2,2] "
     "auto_pad=\"SAME_UPPER\""),
    "x f64[1,2,6,7]; w f64[3,2,3,2]; y = Conv(x, w) auto_pad=\"SAME_LOWER\"",
    ("x f64[1,2,4,5,4]; w f64[3,2,2,2,3]; y = Conv(x, w) strides=[1,2,1] "
     "auto_pad=\"VALID\""),
    "x f64[2,3,5]; w f64[3,4,3]; b f64[4]; y = ConvTranspose(x, w, b)",
    ("x f64[2,3,4,3]; w f64[3,2,3,2]; y = ConvTranspose(x, w) strides=[2,3] "
     "pads=[1,0,1,1] output_padding=[1,2]"),
    ("x f64[1,4,3,3]; w f64[4,3,3,3]; b f64[6]; y = ConvTranspose(x, w, b) "
     "group=2 strides=[2,1] dilations=[1,2]"),
    "x f64[1,4,3,3]; w f64[4,1,2,2]; y = ConvTranspose(x, w) group=4",
    ("x f64[1,2,3,3]; w f64[2,2,3,3]; y = ConvTranspose(x, w) strides=[2,2] "
     "output_shape=[5,6]"),
    ("x f64[1,2,3,3]; w f64[2,2,3,3]; y = ConvTranspose(x, w) strides=[2,3] "
     "auto_pad=\"SAME_UPPER\""),
    "x f64[N,2,H]; w f64[2,2,3]; y = ConvTranspose(x, w) strides=[2]",
    /* pools */
    ("x f64[2,3,6,5]; y = MaxPool(x) kernel_shape=[3,2] strides=[2,1] "
     "pads=[1,0,1,1]"),
    ("x f64[N,2,7]; y = MaxPool(x) kernel_shape=[3] dilations=[2] ceil_mode=1 "
     "strides=[2]"),
    ("x f64[2,3,6,5]; y = AveragePool(x) kernel_shape=[3,2] strides=[2,1] "
     "pads=[1,0,1,1]"),
    ("x f64[N,3,6,5]; y = AveragePool(x) kernel_shape=[3,2] strides=[2,2] "
     "pads=[1,0,1,1] count_include_pad=1 ceil_mode=1"),
    ("x f64[2,3,6]; y = AveragePool(x) kernel_shape=[3] strides=[2] "
     "auto_pad=\"SAME_LOWER\""),
    "x f64[2,3,6]; y = LpPool(x) kernel_shape=[3] p=3",
    "x f64[2,3,6]; y = LpPool(x) kernel_shape=[3] strides=[2] pads=[1,1]",
    "x f64[N,3,4,5]; y = GlobalAveragePool(x)",
    "x f64[2,3,4,5]; y = GlobalMaxPool(x)",
    /* normalizations */
    ("x f64[4,3]; s f64[3]; b f64[3]; m f64[3]; v f64[3]; w = Exp(v); "
     "y = BatchNormalization(x, s, b, m, w) epsilon=0.1"),
    ("x f64[N,3,2,2]; s f64[3]; b f64[3]; m f64[3]; v f64[3]; w = Exp(v); "
     "y = BatchNormalization(x, s, b, m, w)"),
    ("x f64[N,3,2,2]; s f64[3]; b f64[3]; y, m, v = BatchNormalization(x, s, b, "
     "f64[3]{=0}, f64[3]{=1}) training_mode=1 epsilon=0.01"),
    ("x f64[5,3]; s f64[3]; b f64[3]; y, m, v = BatchNormalization(x, s, b, "
     "f64[3]{=0}, f64[3]{=1}) training_mode=1"),
    "x f64[2,3,4]; s f64[4]; b f64[4]; y = LayerNormalization(x, s, b)",
    ("x f64[N,3,4]; s f64[3,4]; y = LayerNormalization(x, s) axis=1 "
     "epsilon=0.1"),
    ("x f64[2,3,4]; s f64[3,1]; b f64[]; y = LayerNormalization(x, s, b) "
     "axis=-2"),
    "opset 23; x f64[2,3,4]; s f64[4]; y = RMSNormalization(x, s)",
    "opset 23; x f64[2,3,4]; s f64[3,4]; y = RMSNormalization(x, s) axis=-2",
    "x f64[N,3,4,2]; s f64[3]; b f64[3]; y = InstanceNormalization(x, s, b)",
    "x f64[2,5]; y = LpNormalization(x)",
    "x f64[2,5]; y = LpNormalization(x) p=1 axis=0",
    "x f64[2,5]; y = Softmax(x)",
    "x f64[2,5,3]; y = Softmax(x) axis=1",
    "opset 11; x f64[2,5,3]; y = Softmax(x)",
    "x f64[2,5]; y = LogSoftmax(x)",
    "opset 11; x f64[2,2,3]; y = LogSoftmax(x) axis=2",
    "x f64[6]; a = Hardmax(x); y = Mul(x, a)",
    "x f64[2,6,3]; s f64[6]; b f64[6]; y = GroupNormalization(x, s, b) num_groups=2",
    "opset 18; x f64[N,6,2,2]; s f64[3]; b f64[3]; y = GroupNormalization(x, s, b) num_groups=3 epsilon=0.1",
    "x f64[2,3,2,2]; y = MeanVarianceNormalization(x)",
    "x f64[4,3]; y = MeanVarianceNormalization(x) axes=[0]",
    "x f64[2,5,3]; y = LRN(x) size=3 alpha=0.5 beta=0.6 bias=1.5",
    "x f64[1,5,2,2]; y = LRN(x) size=4 alpha=0.5",
    "x f64[2,3,4]; s f64[4]; y = SimplifiedLayerNormalization(x, s)",
    "a f64[2,3]; b f64[3,4]; y = Einsum(a, b) equation=\"ij,jk->ik\"",
    "a f64[2,3,4]; b f64[2,5,4]; y = Einsum(a, b) equation=\"bij, bkj -> bik\"",
    "a f64[3]; b f64[4]; c f64[3,4]; y = Einsum(a, b, c) equation=\"i,j,ij->j\"",
    "x f64[1,2,3,4]; y = Resize(x, _, f32[4]{1 1 2 2}) mode=\"nearest\"",
    "x f64[N,2,5]; y = Resize(x, _, _, i64[3]{3 2 3}) mode=\"nearest\"",
    "x f64[2,3,4]; y = GlobalLpPool(x) p=3",
    /* losses */
    "x f64[3,5]; y = SoftmaxCrossEntropyLoss(x, i64[3]{1 4 0})",
    ("x f64[3,5]; y = SoftmaxCrossEntropyLoss(x, i32[3]{1 4 0}) "
     "reduction=\"none\""),
    ("x f64[3,5,2]; w f64[5]; v = Exp(w); y = SoftmaxCrossEntropyLoss(x, "
     "i64[3,2]{1 4 -1 3 0 -1}, v) ignore_index=-1"),
    ("x f64[3,5]; y = SoftmaxCrossEntropyLoss(x, i64[3]{1 9 0}) "
     "ignore_index=9 reduction=\"sum\""),
    ("x f64[3,5]; l, p = SoftmaxCrossEntropyLoss(x, i64[3]{1 4 0}); "
     "y = Mul(l, p)"),
    "x f64[3,5]; y = NegativeLogLikelihoodLoss(x, i64[3]{1 4 0})",
    ("x f64[3,5,2]; w f64[5]; v = Exp(w); y = NegativeLogLikelihoodLoss(x, "
     "i64[3,2]{1 4 2 3 0 2}, v) reduction=\"mean\" ignore_index=2"),
    /* reductions */
    "x f64[2,3,4]; y = ReduceSum(x, i64[2]{0 -1})",
    "x f64[2,3,4]; y = ReduceSum(x, i64[1]{1}) keepdims=0",
    "x f64[2,3,4]; y = ReduceSum(x) keepdims=0",
    "x f64[2,3]; y = ReduceSum(x) noop_with_empty_axes=1 keepdims=0",
    "opset 12; x f64[2,3,4]; y = ReduceSum(x) axes=[1] keepdims=0",
    "x f64[N,3,4]; y = ReduceMean(x, i64[2]{0 2}) keepdims=0",
    "opset 12; x f64[2,3,4]; y = ReduceMean(x) axes=[-1]",
    "x f64[2,3]; y = ReduceMean(x)",
    "x f64[2,3,4]; y = ReduceMax(x, i64[1]{1})",
    "x f64[2,3,4]; y = ReduceMin(x, i64[1]{-1}) keepdims=0",
    "x f64[2,3]; y = ReduceProd(x, i64[1]{1}) keepdims=0",
    "x f64[2,2]; a = Mul(x, f64[2,2]{1 0 1 1}); y = ReduceProd(a, i64[1]{1})",
    "x f64[2,3]; y = ReduceL1(x, i64[1]{0})",
    "x f64[2,3]; y = ReduceL2(x, i64[1]{0}) keepdims=0",
    "x f64[2,3]; y = ReduceSumSquare(x)",
    "x f64[2,3]; a = Exp(x); y = ReduceLogSum(a, i64[1]{1})",
    "x f64[2,3]; y = ReduceLogSumExp(x, i64[1]{1}) keepdims=0",
    /* elements that move */
    "x f64[2,3,4]; y = Transpose(x)",
    "x f64[2,3,4]; y = Transpose(x) perm=[1,2,0]",
    "x f64[2,3,4]; y = Reshape(x, i64[2]{4 -1})",
    "x f64[N,3,4]; y = Flatten(x)",
    "x f64[2,1,4]; y = Squeeze(x, i64[1]{1})",
    "x f64[2,4]; y = Unsqueeze(x, i64[2]{0 -1})",
    "a f64[2,3]; b f64[2,1]; c f64[2,2]; y = Concat(a, b, c) axis=1",
    "a f64[N,3]; b f64[N,3]; y = Concat(a, b) axis=-2",
    "x f64[6,2]; a, b, c = Split(x) axis=0; d = Mul(a, c); y = Exp(d)",
    ("opset 17; x f64[2,5]; a, b = Split(x, i64[2]{2 3}) axis=1; "
     "y = MatMul(x, f64[5,2]~1); z = Mul(y, a)"),
    ("x f64[24]; a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, b0, b1 = Split(x) "
     "num_outputs=12; a = Mul(a0, b1); b = Mul(a9, a4); y = Sub(a, b)"),
    ("x f64[5,6]; y = Slice(x, i64[2]{1 -2}, i64[2]{4 0}, i64[2]{0 1}, "
     "i64[2]{2 -1})"),
    "x f64[N,6]; y = Slice(x, i64[1]{1}, i64[1]{9})",
    "opset 9; x f64[4,3]; y = Slice(x) starts=[1] ends=[3]",
    "x f64[2,3]; y = Pad(x, i64[4]{1 0 -1 2})",
    "x f64[2,3]; y = Pad(x, i64[2]{2 1}, f64[]{7}, i64[1]{1})",
    "x f64[3,4]; y = Pad(x, i64[4]{1 2 1 2}) mode=\"reflect\"",
    "x f64[3,4]; y = Pad(x, i64[4]{1 2 0 3}) mode=\"edge\"",
    "opset 10; x f64[2,3]; y = Pad(x) pads=[1,0,0,2]",
    "x f64[4,3]; y = Gather(x, i64[2,2]{1 -1 1 0})",
    "x f64[2,4,3]; y = Gather(x, i32[2]{3 1}) axis=1",
    "x f64[2,3,4]; y = Gather(x, i64[]{2}) axis=-1",
    "x f64[3,3]; y = GatherElements(x, i64[2,3]{0 2 0 -1 2 1}) axis=0",
    "x f64[3,4]; y = GatherND(x, i64[3,1]{2 0 2})",
    "x f64[2,3,4]; y = GatherND(x, i64[2,1]{1 2}) batch_dims=1",
    "x f64[3,3]; u f64[2,3]; y = ScatterElements(x, i64[2,3]{1 0 2 0 2 1}, u)",
    ("x f64[4]; u f64[3]; y = ScatterElements(x, i64[3]{1 1 3}, u) "
     "reduction=\"add\""),
    "x f64[4,2]; u f64[2,2]; y = ScatterND(x, i64[2,1]{3 1}, u)",
    ("x f64[4,2]; u f64[2,2]; y = ScatterND(x, i64[2,1]{3 3}, u) "
     "reduction=\"add\""),
    "x f64[2,3]; y = Tile(x, i64[2]{2 3})",
    "x f64[3,5]; v, i = TopK(x, i64[1]{2}); y = Exp(v)",
    "x f64[3,5]; y, i = TopK(x, i64[1]{2}) axis=0 largest=0",
    "x f64[1,8,2,3]; y = DepthToSpace(x) blocksize=2",
    "x f64[1,8,2,3]; y = DepthToSpace(x) blocksize=2 mode=\"CRD\"",
    "x f64[1,2,4,6]; y = SpaceToDepth(x) blocksize=2",
    "x f64[3,4]; y = CumSum(x, i64[]{1})",
    "x f64[5]; y = CumSum(x, i64[]{0}) exclusive=1 reverse=1",
    "x f64[3,4]; y = Trilu(x)",
    "x f64[3,4]; y = Trilu(x, i64[]{1}) upper=0",
    "x f64[4,2]; y = Compress(x, bool[3]{0 1 1}) axis=0",
    "x f64[4,2]; y = ReverseSequence(x, i64[2]{3 4})",
    "x f64[4]; y = CastLike(x, f64[1]{0})",
    "x f64[4]; y = Dropout(x)",
    "x f64[4]; y = Dropout(x, f64[]{0.4}, bool[]{0})",
    "x f64[9]; y = Dropout(x, f64[]{0.4}, bool[]{1}) seed=7",
    "x f64[9]; y, m = Dropout(x, _, bool[]{1}) seed=7",
    /* of other domains, through their steps */
    "x f64[3]; b f64[3]; y = com.microsoft.QuickGelu(x); z = Add(y, b)",
    /* nets: values read in several places, and what does not count */
    "x f64[3]; a = Exp(x); b = Mul(a, x); c = Add(a, b); y = Mul(c, a)",
    "x f64[3]; a = Shape(x); b = Cast(a) to=11; c = Mul(x, b); y = Exp(c)",
    "x f64[2,3]; i = ArgMax(x) axis=1; y = GatherElements(x, i) axis=1",
    ("x f64[N,4]; w f64[4,5]; b f64[5]; v f64[5,3]; a = MatMul(x, w); "
     "c = Add(a, b); d = Relu(c); e = MatMul(d, v); y = LogSoftmax(e)"),
};

static bool is_float(const md_graph *g, md_value_id id)
{
    return md_dtype_is_float(g->values[id].type.dtype);
}

/* The net, s = sum of sin(y), and ds/dx of all inputs. */
static void compose(char text[TEXT_SIZE], const char *net)
{
    md_model *m = net_parse(net);
    const md_graph *g = m->graph;
    char names[256] = "", list[256] = "", out[256] = "";

    for (uint32_t i = 0; i < g->n_inputs; i++) {
        const char *name = g->values[g->inputs[i]].name;
        const char *comma = i ? ", " : "";

        assert_true(is_float(g, g->inputs[i]));
        snprintf(names + strlen(names), 256 - strlen(names), "%s%s", comma,
                 name);
        snprintf(list + strlen(list), 256 - strlen(list), "%s\"%s\"",
                 i ? "," : "", name);
        snprintf(out + strlen(out), 256 - strlen(out), "%sd_%s", comma, name);
    }
    snprintf(text, TEXT_SIZE,
             "%s; sine = Sin(y); total = ReduceSum(sine) keepdims=0; "
             "%s = " GRADIENT "(%s) xs=[%s] y=\"total\"; -> total, %s",
             net, out, names, list, out);
    md_model_free(m);
}

/* NULL, after telling why, when there is none. */
static md_session *open_net(const char *text, bool reference)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(text);
    md_session *s = NULL;

    opts.reference = reference;
    if (md_session_new(&s, m, &opts, &err) == MD_OK)
        return s;
    print_error("%s\n    %s\n", text, err.msg);
    md_model_free(m);
    return NULL;
}

static bool run(md_session *s, const md_tensor *in, md_tensor *out,
                const char *text)
{
    md_error err = MD_ERROR_INIT;

    if (md_session_run(s, in, out, md_alloc_default(), &err) == MD_OK)
        return true;
    print_error("%s\n    %s\n", text, err.msg);
    return false;
}

static double sum_at(md_session *s, const md_tensor *in, const char *text)
{
    md_tensor out[NET_IO_MAX];
    double sum;

    if (!run(s, in, out, text))
        return NAN;
    sum = md_tensor_get_f64(&out[0], 0);
    net_release(out, md_session_n_outputs(s));
    return sum;
}

/*
 * A step of 1e-5 leaves an error of its square times a third derivative, and
 * rounding of 1e-16 / 1e-5: both are far below the tolerance.
 */
static bool check_input(md_session *s, md_tensor *in, uint32_t i,
                        const md_tensor *got, const char *text)
{
    const double step = 1e-5, tolerance = 1e-6;

    assert_int_equal(got->dtype, in[i].dtype);
    assert_true(md_shape_equal(&got->shape, &in[i].shape));
    for (int64_t k = 0; k < md_tensor_n(&in[i]); k++) {
        double x = md_tensor_get_f64(&in[i], k), d, g;

        md_tensor_set_f64(&in[i], k, x + step);
        d = sum_at(s, in, text);
        md_tensor_set_f64(&in[i], k, x - step);
        d = (d - sum_at(s, in, text)) / (2 * step);
        md_tensor_set_f64(&in[i], k, x);
        g = md_tensor_get_f64(got, k);
        if (fabs(g - d) <= tolerance * (1 + fabs(d)))
            continue;
        print_error("%s\n    input %u, element %lld: %.9g, by differences "
                    "%.9g\n",
                    text, i, (long long)k, g, d);
        return false;
    }
    return true;
}

static bool check_net(const char *net, bool reference)
{
    md_tensor in[NET_IO_MAX], out[NET_IO_MAX];
    char text[TEXT_SIZE];
    md_session *s;
    uint32_t n;
    bool ok;

    compose(text, net);
    s = open_net(text, reference);
    if (!s)
        return false;
    n = md_session_n_inputs(s);
    net_inputs(in, md_session_model(s)->graph, BATCH, 11);
    for (uint32_t i = 0; i < n; i++) /* not the numbers of the one before */
        md_build_fill_any(&in[i], 1, 11 + 1000 * i);
    ok = run(s, in, out, text);
    for (uint32_t i = 0; i < n && ok; i++)
        ok = check_input(s, in, i, &out[i + 1], text);
    net_release(in, n);
    net_release(out, n + 1);
    md_session_free(s);
    return ok;
}

static void test_gradient__central_differences(void **state)
{
    int n_wrong = 0;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++)
        n_wrong += !check_net(nets[i], i % 4 == 0);
    assert_int_equal(n_wrong, 0);
}

/* `from` with f64 for f32. */
static void widen(char *text)
{
    for (char *at = text; (at = strstr(at, "f32"));)
        memcpy(at, "f64", 3);
}

/* Small numbers keep sums of some hundred products near 1, of which float32
 * leaves an error of some 1e-6; sin and what is behind it make more of it. */
static void check_beside_double(const char *net)
{
    char narrow[TEXT_SIZE], wide[TEXT_SIZE];
    md_tensor in[2][NET_IO_MAX], out[2][NET_IO_MAX];
    md_session *s[2];
    uint32_t n;

    compose(narrow, net);
    snprintf(wide, TEXT_SIZE, "%s", narrow);
    widen(wide);
    s[0] = open_net(narrow, false);
    s[1] = open_net(wide, true);
    assert_true(s[0] && s[1]);
    n = md_session_n_inputs(s[0]);
    for (int k = 0; k < 2; k++) {
        net_inputs(in[k], md_session_model(s[k])->graph, BATCH, 5);
        for (uint32_t i = 0; i < n; i++)
            md_build_fill_any(&in[k][i], 0.3, 5 + 1000 * i);
        assert_true(run(s[k], in[k], out[k], net));
    }
    for (uint32_t i = 0; i < n + 1; i++) {
        for (int64_t k = 0; k < md_tensor_n(&out[0][i]); k++) {
            double a = md_tensor_get_f64(&out[0][i], k);
            double b = md_tensor_get_f64(&out[1][i], k);

            if (!(fabs(a - b) <= 1e-4 * (1 + fabs(b))))
                fail_msg("%s: output %u, element %lld: %.9g, %.9g expected",
                         net, i, (long long)k, a, b);
        }
    }
    for (int k = 0; k < 2; k++) {
        net_release(in[k], n);
        net_release(out[k], n + 1);
        md_session_free(s[k]);
    }
}

/* Gradients by the kernels of float32, beside those in float64. */
static void test_gradient__float32(void **state)
{
    static const char *const rows[] = {
        "x f32[N,3,9,9]; w f32[8,3,3,3]; b f32[8]; c = Conv(x, w, b) "
        "strides=[2,2] pads=[1,1,1,1]; d = Relu(c); p = MaxPool(d) "
        "kernel_shape=[2,2]; f = Flatten(p); v f32[128,5]; h f32[5]; "
        "l = Gemm(f, v, h); y = LogSoftmax(l)",
        "x f32[N,4,8]; s f32[8]; b f32[8]; n = LayerNormalization(x, s, b); "
        "w f32[8,8]; q = MatMul(n, w); t = Transpose(n) perm=[0,2,1]; "
        "a = MatMul(q, t); p = Softmax(a); o = MatMul(p, n); g = Gelu(o); "
        "y = Add(g, x)",
        "x f32[N,4,5,5]; w f32[4,1,3,3]; s f32[4]; b f32[4]; c = Conv(x, w) "
        "group=4 pads=[1,1,1,1]; n, m, v = BatchNormalization(c, s, b, "
        "f32[4]{=0}, f32[4]{=1}) training_mode=1; h = HardSwish(n); "
        "y = GlobalAveragePool(h)",
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++)
        check_beside_double(rows[i]);
}

/* " G(" is a Gradient. */
static void with_domain(char out[TEXT_SIZE], const char *net)
{
    size_t n = 0;

    for (; *net && n + sizeof(GRADIENT) + 4 < TEXT_SIZE; net++) {
        out[n++] = *net;
        if (strncmp(net, " G(", 3) == 0) {
            memcpy(out + n, GRADIENT, sizeof(GRADIENT) - 1);
            n += sizeof(GRADIENT) - 1;
            net++;
        }
    }
    out[n] = '\0';
}

static void check_names(const char *net, const double *want)
{
    char text[TEXT_SIZE], whole[TEXT_SIZE];
    md_tensor in[NET_IO_MAX], out[NET_IO_MAX];
    md_session *s;

    snprintf(whole, TEXT_SIZE, "x f64[1]; z f64[1]; %s", net);
    with_domain(text, whole);
    s = open_net(text, false);
    assert_non_null(s);
    net_inputs(in, md_session_model(s)->graph, 1, 1);
    md_tensor_set_f64(&in[0], 0, 3);
    md_tensor_set_f64(&in[1], 0, 5);
    assert_true(run(s, in, out, text));
    for (uint32_t i = 0; i < md_session_n_outputs(s); i++) {
        double got = md_tensor_get_f64(&out[i], 0);

        if (fabs(got - want[i]) > 1e-12 * fabs(want[i])) /* rounding of exp */
            fail_msg("%s: output %u is %.17g, %g expected", net, i, got,
                     want[i]);
    }
    net_release(in, 2);
    net_release(out, md_session_n_outputs(s));
    md_session_free(s);
}

static void check_refused(const char *net, md_status status, const char *why)
{
    md_error err = MD_ERROR_INIT;
    char text[TEXT_SIZE];
    md_session *s = NULL;
    md_model *m;
    md_status st;

    with_domain(text, net);
    m = net_parse(text);
    st = md_session_new(&s, m, NULL, &err);
    if (status == MD_OK)
        assert_md_ok(st, &err);
    else
        assert_md_fails(st, status, &err, why);
    if (st != MD_OK)
        md_model_free(m);
    md_session_free(s);
}

/* Of a scalar function of two numbers: what each net's outputs are. */
static void test_gradient__of_names(void **state)
{
    static const struct {
        const char *net;
        double want[4]; /* the first elements of the outputs, x is 3, z is 5 */
    } rows[] = {
        /* more than once; what is not asked for; not depended on */
        { "y = Mul(x, z); a, b = G(x, z) xs=[\"x\",\"z\"] y=\"y\"; "
          "-> a, b",
          { 5, 3 } },
        { "y = Mul(x, z); a = G(x, z) xs=[\"x\"] zs=[\"z\"] y=\"y\"; -> a",
          { 5 } },
        { "y = Mul(x, z); _, b = G(x, z) xs=[\"x\",\"z\"] y=\"y\"; -> b",
          { 3 } },
        { "y = Mul(x, x); a, b = G(x, z) xs=[\"x\",\"z\"] y=\"y\"; "
          "-> a, b",
          { 6, 0 } },
        { "a = G(x) xs=[\"x\"] y=\"x\"; -> a", { 1 } },
        { "y = Floor(x); a = G(x) xs=[\"x\"] y=\"y\"; -> a", { 0 } },
        /* with respect to what is computed: then it is independent */
        { "h = Mul(x, x); y = Mul(h, x); a, b = G(h, x) "
          "xs=[\"h\",\"x\"] y=\"y\"; -> a, b",
          { 3, 9 } },
        { "h = Mul(x, x); y = Mul(h, x); a = G(x, h) xs=[\"x\"] "
          "zs=[\"h\"] y=\"y\"; -> a",
          { 9 } },
        /* at other values: x is z there */
        { "y = Mul(x, x); a = G(z) xs=[\"x\"] y=\"y\"; -> a, y", { 10, 9 } },
        { "h = Exp(x); y = Mul(h, h); a = G(z) xs=[\"h\"] y=\"y\"; -> a",
          { 10 } },
        { "h = Exp(x); y = Mul(h, x); a = G(z) xs=[\"h\"] y=\"y\"; -> a",
          { 3 } },
        { "y = Mul(x, z); a, b = G(z, z) xs=[\"x\",\"z\"] y=\"y\"; "
          "-> a, b",
          { 5, 5 } },
        { "y = Mul(x, z); a, b = G(z, x) xs=[\"x\",\"z\"] y=\"y\"; "
          "-> a, b",
          { 3, 5 } },
        /* gradients of gradients, in either order of the nodes */
        { "c = Mul(x, x); y = Mul(c, x); a = G(x) xs=[\"x\"] y=\"y\"; "
          "b = G(x) xs=[\"x\"] y=\"a\"; d = G(x) xs=[\"x\"] y=\"b\"; "
          "-> a, b, d",
          { 27, 18, 6 } },
        { "c = Mul(x, x); y = Mul(c, z); a, b = G(x, z) "
          "xs=[\"x\",\"z\"] y=\"y\"; t = Mul(a, b); d, e = G(x, z) "
          "xs=[\"x\",\"z\"] y=\"t\"; -> d, e", /* t = 2xz * xx */
          { 270, 54 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++)
        check_names(rows[i].net, rows[i].want);
}

/* What is refused when the model is loaded, and what is said of it. */
static void test_gradient__refused(void **state)
{
    static const struct {
        const char *net;
        md_status status;
        const char *text;
    } rows[] = {
        { "x f64[3]; y = NonZero(x); z = Cast(y) to=11; a = G(x) "
          "xs=[\"x\"] y=\"z\"; -> a",
          MD_OK, NULL }, /* integers: no gradient flows, zeros */
        { "opset 11; x f64[2,2]; y = Det(x); z = Neg(y); a = G(x) xs=[\"x\"] "
          "y=\"z\"; -> a",
          MD_UNSUPPORTED, "node 'y' (Det): the operator has no gradient" },
        { "x f64[3]; y = Neg(x); a = G(x) xs=[\"q\"] y=\"y\"; -> a", MD_INVALID,
          "node 'a' (Gradient): xs names 'q', which is no value" },
        { "x f64[3]; y = Neg(x); a = G(x) xs=[\"x\"] y=\"q\"; -> a", MD_INVALID,
          "y names 'q'" },
        { "x f64[3]; y = Neg(x); a = G(x) xs=[\"x\"] zs=[\"q\"] y=\"y\"; "
          "-> a",
          MD_INVALID, "1 inputs and 1 outputs given, 2" },
        { "x f64[3]; y = Neg(x); a = G(x) y=\"y\"; -> a", MD_INVALID,
          "xs is missing" },
        { "x f64[3]; y = Neg(x); a = G(x) xs=[\"x\"]; -> a", MD_INVALID,
          "y is missing" },
        { "x f64[3]; y = Neg(x); a = G(x) xs=[\"x\"] y=1; -> a", MD_INVALID,
          "y" },
        { "x i64[3]; y = Neg(x); a = G(x) xs=[\"x\"] y=\"y\"; -> a", MD_INVALID,
          "float" },
        { "x f64[3]; y = Shape(x); a = G(x) xs=[\"x\"] y=\"y\"; -> a",
          MD_INVALID, "'y' is of type int64, a tensor of floats expected" },
        { "x f64[3]; y = Neg(x); a, b = G(x) xs=[\"x\"] y=\"y\"; -> a",
          MD_INVALID, "at most 1 (xs) expected" },
        { "x f64[3]; y = Neg(x); a = G(x) xs=[\"x\"] y=\"a\"; -> a", MD_CORRUPT,
          "y depends on its own gradient" },
        { "a f64[2,2]; y = Einsum(a) equation=\"ii->i\"; z = Neg(y); b = G(a) "
          "xs=[\"a\"] y=\"z\"; -> b",
          MD_UNSUPPORTED, "node 'y' (Einsum): an equation without" },
        { "a f64[2,2]; y = Einsum(a) equation=\"ij->i\"; b = G(a) "
          "xs=[\"a\"] y=\"y\"; -> b",
          MD_UNSUPPORTED, "node 'y' (Einsum): an axis that is summed in one" },
        { "x f64[1,1,4]; y = Resize(x, _, f32[3]{1 1 2}) mode=\"linear\"; "
          "b = G(x) xs=[\"x\"] y=\"y\"; -> b",
          MD_UNSUPPORTED, "node 'y' (Resize): mode is linear" },
        { "x f64[4]; s i64[N]; r = Reshape(x, s); y = Transpose(r) "
          "perm=[99,0]; a = G(x) xs=[\"x\"] y=\"y\"; -> a",
          MD_UNSUPPORTED, "node 'y' (Transpose): perm has the value 99" },
        { "x f64[4]; s i64[N]; r = Reshape(x, s); w f64[2,2]; "
          "y = MatMul(r, w); a = G(x) xs=[\"x\"] y=\"y\"; -> a",
          MD_UNSUPPORTED, "node 'y' (MatMul): a rank is not known" },
        { "x f64[3]; u f64[2]; y = ScatterElements(x, i64[2]{0 1}, u) "
          "reduction=\"max\"; a = G(x, u) xs=[\"x\",\"u\"] y=\"y\"; -> a",
          MD_UNSUPPORTED, "node 'y' (ScatterElements): reduction is max" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++)
        check_refused(rows[i].net, rows[i].status, rows[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient__central_differences),
        cmocka_unit_test(test_gradient__float32),
        cmocka_unit_test(test_gradient__of_names),
        cmocka_unit_test(test_gradient__refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
