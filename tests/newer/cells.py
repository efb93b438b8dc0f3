# ruff: noqa: E501  (a net per line)
"""Cells of mindspore.nn.

NETS = {name: (what the net is, inputs..., options)}: "name = a cell; ... -> what construct returns of x, y, z".
"""

import numpy as np

D = np.random.RandomState(11)


def U(*s, lo=-3, hi=3):
    return D.uniform(lo, hi, s).astype(np.float32)


X, Y = U(3, 4), U(3, 4)
S = U(2, 3, 4)
P = np.abs(S) + 0.5
I1 = U(2, 3, 10)
I2 = U(2, 4, 8, 8)
I3 = U(2, 2, 4, 6, 6)
N = D.randint(-5, 9, (3, 4)).astype(np.int32)
IDS = np.array([[2, 0, 1], [1, 1, 3]], np.int32)
V = U(4)
NETS = {}


def n(name, *a):
    NETS[name] = a


# nn cells
n("nn_dense_act", "d = nn.Dense(4, 8, activation='relu') -> self.d(x)", X)
n("nn_dense_nobias", "d = nn.Dense(4, 8, has_bias=False) -> self.d(x)", S)
n("nn_dense_4d", "d = nn.Dense(8, 3) -> self.d(x)", I2)
n("nn_conv1d", "c = nn.Conv1d(3, 6, 3, has_bias=True) -> self.c(x)", I1)
n("nn_conv1d_pad", "c = nn.Conv1d(3, 6, 3, stride=2, pad_mode='pad', padding=1) -> self.c(x)", I1)
n(
    "nn_conv2d_pad",
    "c = nn.Conv2d(4, 6, 3, stride=2, pad_mode='pad', padding=(1,1,0,2), has_bias=True) -> self.c(x)",
    I2,
)
n("nn_conv2d_dil", "c = nn.Conv2d(4, 6, 3, pad_mode='valid', dilation=2) -> self.c(x)", I2)
n("nn_conv2d_dw", "c = nn.Conv2d(4, 4, 3, group=4, has_bias=True) -> self.c(x)", I2)
n("nn_conv2d_dw2", "c = nn.Conv2d(4, 8, 3, group=4) -> self.c(x)", I2)
n("nn_conv2d_group", "c = nn.Conv2d(4, 6, 3, group=2, has_bias=True) -> self.c(x)", I2)
n("nn_conv2d_1x1", "c = nn.Conv2d(4, 6, 1) -> self.c(x)", I2)
n("nn_conv2d_rect", "c = nn.Conv2d(4, 6, (3,1), stride=(1,2), pad_mode='valid') -> self.c(x)", I2)
n("nn_conv2d_relu", "c = nn.Conv2d(4, 6, 3); r = nn.ReLU() -> y = self.c(x); (self.r(y), y)", I2)
n("nn_convt2d", "c = nn.Conv2dTranspose(4, 6, 3, stride=2, has_bias=True) -> self.c(x)", I2)
n("nn_convt2d_pad", "c = nn.Conv2dTranspose(4, 6, 3, stride=2, pad_mode='pad', padding=1) -> self.c(x)", I2)
n(
    "nn_convt2d_op",
    "c = nn.Conv2dTranspose(4, 6, 3, stride=2, pad_mode='pad', padding=1, output_padding=1) -> self.c(x)",
    I2,
)
n("nn_convt2d_valid", "c = nn.Conv2dTranspose(4, 6, 2, stride=2, pad_mode='valid') -> self.c(x)", I2)
n("nn_convt2d_group", "c = nn.Conv2dTranspose(4, 4, 3, stride=2, group=2) -> self.c(x)", I2)
n("nn_convt1d", "c = nn.Conv1dTranspose(3, 5, 3, stride=2) -> self.c(x)", I1)
n("nn_bn1d", "b = nn.BatchNorm1d(4) -> self.b(x)", X)
n(
    "nn_bn2d",
    "b = nn.BatchNorm2d(4, moving_mean_init='normal', moving_var_init='ones', gamma_init='normal') -> self.b(x)",
    I2,
)
n("nn_bn3d", "b = nn.BatchNorm3d(2) -> self.b(x)", I3)
n(
    "nn_conv_bn_relu",
    "c = nn.Conv2d(4, 6, 3); b = nn.BatchNorm2d(6, moving_mean_init='normal', gamma_init='normal'); r = nn.ReLU() -> self.r(self.b(self.c(x)))",
    I2,
)
n("nn_in2d", "b = nn.InstanceNorm2d(4) -> self.b(x)", I2)
n("nn_gn", "b = nn.GroupNorm(2, 4, gamma_init='normal') -> self.b(x)", I2)
n("nn_ln", "b = nn.LayerNorm((3,4), begin_norm_axis=1, begin_params_axis=1) -> self.b(x)", S)
n("nn_maxpool2d", "p = nn.MaxPool2d(3, 2) -> self.p(x)", I2)
n("nn_maxpool2d_same", "p = nn.MaxPool2d(3, 2, pad_mode='same') -> self.p(x)", I2)
n("nn_maxpool2d_pad", "p = nn.MaxPool2d(3, 2, pad_mode='pad', padding=1) -> self.p(x)", I2)
n("nn_maxpool1d", "p = nn.MaxPool1d(3, 2) -> self.p(x)", I1)
n("nn_maxpool3d", "p = nn.MaxPool3d(2, 2) -> self.p(x)", I3)
n("nn_avgpool2d", "p = nn.AvgPool2d(3, 2) -> self.p(x)", I2)
n("nn_avgpool2d_same", "p = nn.AvgPool2d(3, 2, pad_mode='same') -> self.p(x)", I2)
n("nn_avgpool2d_pad", "p = nn.AvgPool2d(3, 2, pad_mode='pad', padding=1) -> self.p(x)", I2)
n("nn_avgpool1d", "p = nn.AvgPool1d(3, 2) -> self.p(x)", I1)
n("nn_aap1d", "p = nn.AdaptiveAvgPool1d(5) -> self.p(x)", I1)
n("nn_aap2d", "p = nn.AdaptiveAvgPool2d((2, 4)) -> self.p(x)", I2)
n("nn_aap2d_odd", "p = nn.AdaptiveAvgPool2d(3) -> self.p(x)", I2)
n("nn_amp2d", "p = nn.AdaptiveMaxPool2d(2) -> self.p(x)", I2)
n("nn_embedding", "e = nn.Embedding(5, 4) -> self.e(x)", IDS)
n("nn_embedding_onehot", "e = nn.Embedding(5, 4, use_one_hot=True) -> self.e(x)", IDS)
n("nn_embedding_64", "e = nn.Embedding(5, 4) -> self.e(x)", IDS.astype(np.int64))
n("nn_emb_lookup", "e = nn.EmbeddingLookup(5, 4) -> self.e(x)", IDS)
n("nn_gru", "l = nn.GRU(4, 5, batch_first=True) -> self.l(x)[0]", S)
n("nn_rnn", "l = nn.RNN(4, 5) -> self.l(x)", S)
n("nn_grucell", "l = nn.GRUCell(4, 5) -> self.l(x, y)", X, U(3, 5))
n("nn_mha", "a = nn.MultiheadAttention(8, 2, batch_first=True) -> self.a(x, x, x)[0]", U(2, 3, 8))
n("nn_mha_w", "a = nn.MultiheadAttention(8, 2, batch_first=True) -> self.a(x, y, y)", U(2, 3, 8), U(2, 5, 8))
n("nn_tel", "a = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) -> self.a(x)", U(2, 3, 8))
n(
    "nn_tel_gelu",
    "a = nn.TransformerEncoderLayer(8, 2, 16, activation='gelu', norm_first=True, batch_first=True) -> self.a(x)",
    U(2, 3, 8),
)
n("nn_tdl", "a = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True) -> self.a(x, y)", U(2, 3, 8), U(2, 5, 8))
n("nn_te", "a = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2) -> self.a(x)", U(3, 2, 8))
n("nn_transformer", "a = nn.Transformer(8, 2, 1, 1, 16) -> self.a(x, y)", U(3, 2, 8), U(4, 2, 8))
n("nn_dropout", "d = nn.Dropout(p=0.5) -> self.d(x) + 1", X)
n("nn_dropout_only", "d = nn.Dropout(p=0.5) -> self.d(x)", X)
n("nn_flatten", "d = nn.Flatten() -> self.d(x)", I2)
n("nn_pad", "d = nn.Pad(((1,1),(0,2))) -> self.d(x)", X)
n("nn_pad_sym", "d = nn.Pad(((1,1),(0,2)), mode='SYMMETRIC') -> self.d(x)", X)
n("nn_pad_refl", "d = nn.Pad(((1,1),(0,2)), mode='REFLECT') -> self.d(x)", X)
for c in (
    "PReLU()",
    "LeakyReLU()",
    "LeakyReLU(0.5)",
    "ELU()",
    "ELU(1.0)",
    "CELU()",
    "CELU(0.5)",
    "SeLU()",
    "GELU()",
    "GELU(approximate=False)",
    "FastGelu()",
    "SiLU()",
    "Softmax()",
    "Softmax(0)",
    "LogSoftmax()",
    "Tanh()",
    "Hardtanh()",
    "Hardtanh(-2.0, 0.5)",
    "HSwish()",
    "HSigmoid()",
    "HShrink()",
    "SoftShrink()",
    "LogSigmoid()",
    "ReLU6()",
    "Softsign()",
    "Softmin()",
    "GLU()",
    "Threshold(0.5, 2.0)",
    "Mish()",
    "Tanhshrink()",
    "Sigmoid()",
    "ReLU()",
    "Identity()",
    "Swish()",
):
    key = "act_" + "".join(ch if ch.isalnum() else "_" for ch in c)
    n(key, f"a = nn.{c} -> self.a(x)", X)
    n(key + "_i", f"a = nn.{c} -> (self.a(x), x)", X)
n("nn_softmax2d", "a = nn.Softmax2d() -> self.a(x)", I2)
n("nn_lrn", "a = nn.LRN() -> self.a(x)", I2)
n("nn_pixelshuffle", "a = nn.PixelShuffle(2) -> self.a(x)", I2)
n("nn_pixelunshuffle", "a = nn.PixelUnshuffle(2) -> self.a(x)", I2)
n("nn_channelshuffle", "a = nn.ChannelShuffle(2) -> self.a(x)", I2)
n("nn_upsample", "a = nn.Upsample(scale_factor=2.0, mode='nearest', recompute_scale_factor=True) -> self.a(x)", I2)
n("nn_upsample_bil", "a = nn.Upsample(size=(16,16), mode='bilinear') -> self.a(x)", I2)
n("nn_upsample_bila", "a = nn.Upsample(size=(16,16), mode='bilinear', align_corners=True) -> self.a(x)", I2)
n("nn_zeropad2d", "a = nn.ZeroPad2d((1,2,0,1)) -> self.a(x)", I2)
n("nn_constpad2d", "a = nn.ConstantPad2d((1,2,0,1), 0.5) -> self.a(x)", I2)
n("nn_reflpad2d", "a = nn.ReflectionPad2d((1,2,0,1)) -> self.a(x)", I2)
n("nn_replpad2d", "a = nn.ReplicationPad2d((1,2,0,1)) -> self.a(x)", I2)
n("nn_reflpad1d", "a = nn.ReflectionPad1d((1,2)) -> self.a(x)", I1)
n("nn_bidense", "a = nn.BiDense(4, 4, 3) -> self.a(x, y)", X, Y)
n("nn_unflatten", "a = nn.Unflatten(1, (2, 2)) -> self.a(x)", I2)
n("nn_mse", "a = nn.MSELoss() -> self.a(x, y)", X, Y)
n("nn_l1", "a = nn.L1Loss('none') -> self.a(x, y)", X, Y)
n("nn_smoothl1", "a = nn.SmoothL1Loss() -> self.a(x, y)", X, Y)
n("nn_huber", "a = nn.HuberLoss() -> self.a(x, y)", X, Y)
n("nn_bce", "a = nn.BCELoss(reduction='mean') -> self.a(ops.sigmoid(x), ops.sigmoid(y))", X, Y)
n("nn_bcel", "a = nn.BCEWithLogitsLoss() -> self.a(x, ops.sigmoid(y))", X, Y)
n("nn_ce", "a = nn.CrossEntropyLoss() -> self.a(x, y)", X, np.array([0, 3, 1], np.int32))
n("nn_nll", "a = nn.NLLLoss() -> self.a(x, y)", X, np.array([0, 3, 1], np.int32))
n("nn_kl", "a = nn.KLDivLoss() -> self.a(x, y)", X, np.abs(Y))
n(
    "nn_seq",
    "a = nn.SequentialCell(nn.Dense(4,8), nn.ReLU(), nn.Dense(8,8), nn.Tanh(), nn.Dense(8,2), nn.Softmax()) -> self.a(x)",
    X,
)
n("nn_reused", "d = nn.Dense(4, 4) -> self.d(self.d(self.d(x)))", X)
n(
    "nn_tied",
    "e = Parameter(Tensor(np.random.randn(5,4).astype(np.float32)), name='e') -> ops.matmul(ops.gather(self.e, x, 0), self.e.T)",
    IDS,
)
n("nn_moments", "a = nn.Moments(0) -> self.a(x)", X)
n(
    "nn_cellist",
    "a = nn.CellList([nn.Dense(4,4) for _ in range(3)]) -> x + self.a[0](x) + self.a[1](x) * self.a[2](x)",
    X,
)
