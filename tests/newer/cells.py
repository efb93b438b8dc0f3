# ruff: noqa: E501  (a net per line)
"""Cells of mindspore.nn. values.py says how a net is written."""

import numpy as np
from newer.values import I1, I2, I3, IDS, Nets, S, U, X, Y

NETS = Nets()
# nn cells
NETS.net("nn_dense_act", "d = nn.Dense(4, 8, activation='relu') -> self.d(x)", X)
NETS.net("nn_dense_nobias", "d = nn.Dense(4, 8, has_bias=False) -> self.d(x)", S)
NETS.net("nn_dense_4d", "d = nn.Dense(8, 3) -> self.d(x)", I2)
NETS.net("nn_conv1d", "c = nn.Conv1d(3, 6, 3, has_bias=True) -> self.c(x)", I1)
NETS.net("nn_conv1d_pad", "c = nn.Conv1d(3, 6, 3, stride=2, pad_mode='pad', padding=1) -> self.c(x)", I1)
NETS.net(
    "nn_conv2d_pad",
    "c = nn.Conv2d(4, 6, 3, stride=2, pad_mode='pad', padding=(1,1,0,2), has_bias=True) -> self.c(x)",
    I2,
)
NETS.net("nn_conv2d_dil", "c = nn.Conv2d(4, 6, 3, pad_mode='valid', dilation=2) -> self.c(x)", I2)
NETS.net("nn_conv2d_dw", "c = nn.Conv2d(4, 4, 3, group=4, has_bias=True) -> self.c(x)", I2)
NETS.net("nn_conv2d_dw2", "c = nn.Conv2d(4, 8, 3, group=4) -> self.c(x)", I2)
NETS.net("nn_conv2d_group", "c = nn.Conv2d(4, 6, 3, group=2, has_bias=True) -> self.c(x)", I2)
NETS.net("nn_conv2d_1x1", "c = nn.Conv2d(4, 6, 1) -> self.c(x)", I2)
NETS.net("nn_conv2d_rect", "c = nn.Conv2d(4, 6, (3,1), stride=(1,2), pad_mode='valid') -> self.c(x)", I2)
NETS.net("nn_conv2d_relu", "c = nn.Conv2d(4, 6, 3); r = nn.ReLU() -> y = self.c(x); (self.r(y), y)", I2)
NETS.net("nn_convt2d", "c = nn.Conv2dTranspose(4, 6, 3, stride=2, has_bias=True) -> self.c(x)", I2)
NETS.net("nn_convt2d_pad", "c = nn.Conv2dTranspose(4, 6, 3, stride=2, pad_mode='pad', padding=1) -> self.c(x)", I2)
NETS.net(
    "nn_convt2d_op",
    "c = nn.Conv2dTranspose(4, 6, 3, stride=2, pad_mode='pad', padding=1, output_padding=1) -> self.c(x)",
    I2,
)
NETS.net("nn_convt2d_valid", "c = nn.Conv2dTranspose(4, 6, 2, stride=2, pad_mode='valid') -> self.c(x)", I2)
NETS.net("nn_convt2d_group", "c = nn.Conv2dTranspose(4, 4, 3, stride=2, group=2) -> self.c(x)", I2)
NETS.net("nn_convt1d", "c = nn.Conv1dTranspose(3, 5, 3, stride=2) -> self.c(x)", I1)
NETS.net("nn_bn1d", "b = nn.BatchNorm1d(4) -> self.b(x)", X)
NETS.net(
    "nn_bn2d",
    "b = nn.BatchNorm2d(4, moving_mean_init='normal', moving_var_init='ones', gamma_init='normal') -> self.b(x)",
    I2,
)
NETS.net("nn_bn3d", "b = nn.BatchNorm3d(2) -> self.b(x)", I3)
NETS.net(
    "nn_conv_bn_relu",
    "c = nn.Conv2d(4, 6, 3); b = nn.BatchNorm2d(6, moving_mean_init='normal', gamma_init='normal'); r = nn.ReLU() -> self.r(self.b(self.c(x)))",
    I2,
)
NETS.net("nn_in2d", "b = nn.InstanceNorm2d(4) -> self.b(x)", I2)
NETS.net("nn_gn", "b = nn.GroupNorm(2, 4, gamma_init='normal') -> self.b(x)", I2)
NETS.net("nn_ln", "b = nn.LayerNorm((3,4), begin_norm_axis=1, begin_params_axis=1) -> self.b(x)", S)
NETS.net("nn_maxpool2d", "p = nn.MaxPool2d(3, 2) -> self.p(x)", I2)
NETS.net("nn_maxpool2d_same", "p = nn.MaxPool2d(3, 2, pad_mode='same') -> self.p(x)", I2)
NETS.net("nn_maxpool2d_pad", "p = nn.MaxPool2d(3, 2, pad_mode='pad', padding=1) -> self.p(x)", I2)
NETS.net("nn_maxpool1d", "p = nn.MaxPool1d(3, 2) -> self.p(x)", I1)
NETS.net("nn_maxpool3d", "p = nn.MaxPool3d(2, 2) -> self.p(x)", I3)
NETS.net("nn_avgpool2d", "p = nn.AvgPool2d(3, 2) -> self.p(x)", I2)
NETS.net("nn_avgpool2d_same", "p = nn.AvgPool2d(3, 2, pad_mode='same') -> self.p(x)", I2)
NETS.net("nn_avgpool2d_pad", "p = nn.AvgPool2d(3, 2, pad_mode='pad', padding=1) -> self.p(x)", I2)
NETS.net("nn_avgpool1d", "p = nn.AvgPool1d(3, 2) -> self.p(x)", I1)
NETS.net("nn_aap1d", "p = nn.AdaptiveAvgPool1d(5) -> self.p(x)", I1)
NETS.net("nn_aap2d", "p = nn.AdaptiveAvgPool2d((2, 4)) -> self.p(x)", I2)
NETS.net("nn_aap2d_odd", "p = nn.AdaptiveAvgPool2d(3) -> self.p(x)", I2)
NETS.net("nn_amp2d", "p = nn.AdaptiveMaxPool2d(2) -> self.p(x)", I2)
NETS.net("nn_embedding", "e = nn.Embedding(5, 4) -> self.e(x)", IDS)
NETS.net("nn_embedding_onehot", "e = nn.Embedding(5, 4, use_one_hot=True) -> self.e(x)", IDS)
NETS.net("nn_embedding_64", "e = nn.Embedding(5, 4) -> self.e(x)", IDS.astype(np.int64))
NETS.net("nn_emb_lookup", "e = nn.EmbeddingLookup(5, 4) -> self.e(x)", IDS)
NETS.net("nn_gru", "l = nn.GRU(4, 5, batch_first=True) -> self.l(x)[0]", S)
NETS.net("nn_rnn", "l = nn.RNN(4, 5) -> self.l(x)", S)
NETS.net("nn_grucell", "l = nn.GRUCell(4, 5) -> self.l(x, y)", X, U(3, 5))
NETS.net("nn_mha", "a = nn.MultiheadAttention(8, 2, batch_first=True) -> self.a(x, x, x)[0]", U(2, 3, 8))
NETS.net("nn_mha_w", "a = nn.MultiheadAttention(8, 2, batch_first=True) -> self.a(x, y, y)", U(2, 3, 8), U(2, 5, 8))
NETS.net("nn_tel", "a = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) -> self.a(x)", U(2, 3, 8))
NETS.net(
    "nn_tel_gelu",
    "a = nn.TransformerEncoderLayer(8, 2, 16, activation='gelu', norm_first=True, batch_first=True) -> self.a(x)",
    U(2, 3, 8),
)
NETS.net("nn_tdl", "a = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True) -> self.a(x, y)", U(2, 3, 8), U(2, 5, 8))
NETS.net("nn_te", "a = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2) -> self.a(x)", U(3, 2, 8))
NETS.net("nn_transformer", "a = nn.Transformer(8, 2, 1, 1, 16) -> self.a(x, y)", U(3, 2, 8), U(4, 2, 8))
NETS.net("nn_dropout", "d = nn.Dropout(p=0.5) -> self.d(x) + 1", X)
NETS.net("nn_dropout_only", "d = nn.Dropout(p=0.5) -> self.d(x)", X)
NETS.net("nn_flatten", "d = nn.Flatten() -> self.d(x)", I2)
NETS.net("nn_pad", "d = nn.Pad(((1,1),(0,2))) -> self.d(x)", X)
NETS.net("nn_pad_sym", "d = nn.Pad(((1,1),(0,2)), mode='SYMMETRIC') -> self.d(x)", X)
NETS.net("nn_pad_refl", "d = nn.Pad(((1,1),(0,2)), mode='REFLECT') -> self.d(x)", X)
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
    NETS.net(key, f"a = nn.{c} -> self.a(x)", X)
    NETS.net(key + "_i", f"a = nn.{c} -> (self.a(x), x)", X)
NETS.net("nn_softmax2d", "a = nn.Softmax2d() -> self.a(x)", I2)
NETS.net("nn_lrn", "a = nn.LRN() -> self.a(x)", I2)
NETS.net("nn_pixelshuffle", "a = nn.PixelShuffle(2) -> self.a(x)", I2)
NETS.net("nn_pixelunshuffle", "a = nn.PixelUnshuffle(2) -> self.a(x)", I2)
NETS.net("nn_channelshuffle", "a = nn.ChannelShuffle(2) -> self.a(x)", I2)
NETS.net(
    "nn_upsample", "a = nn.Upsample(scale_factor=2.0, mode='nearest', recompute_scale_factor=True) -> self.a(x)", I2
)
NETS.net("nn_upsample_bil", "a = nn.Upsample(size=(16,16), mode='bilinear') -> self.a(x)", I2)
NETS.net("nn_upsample_bila", "a = nn.Upsample(size=(16,16), mode='bilinear', align_corners=True) -> self.a(x)", I2)
NETS.net("nn_zeropad2d", "a = nn.ZeroPad2d((1,2,0,1)) -> self.a(x)", I2)
NETS.net("nn_constpad2d", "a = nn.ConstantPad2d((1,2,0,1), 0.5) -> self.a(x)", I2)
NETS.net("nn_reflpad2d", "a = nn.ReflectionPad2d((1,2,0,1)) -> self.a(x)", I2)
NETS.net("nn_replpad2d", "a = nn.ReplicationPad2d((1,2,0,1)) -> self.a(x)", I2)
NETS.net("nn_reflpad1d", "a = nn.ReflectionPad1d((1,2)) -> self.a(x)", I1)
NETS.net("nn_bidense", "a = nn.BiDense(4, 4, 3) -> self.a(x, y)", X, Y)
NETS.net("nn_unflatten", "a = nn.Unflatten(1, (2, 2)) -> self.a(x)", I2)
NETS.net("nn_mse", "a = nn.MSELoss() -> self.a(x, y)", X, Y)
NETS.net("nn_l1", "a = nn.L1Loss('none') -> self.a(x, y)", X, Y)
NETS.net("nn_smoothl1", "a = nn.SmoothL1Loss() -> self.a(x, y)", X, Y)
NETS.net("nn_huber", "a = nn.HuberLoss() -> self.a(x, y)", X, Y)
NETS.net("nn_bce", "a = nn.BCELoss(reduction='mean') -> self.a(ops.sigmoid(x), ops.sigmoid(y))", X, Y)
NETS.net("nn_bcel", "a = nn.BCEWithLogitsLoss() -> self.a(x, ops.sigmoid(y))", X, Y)
NETS.net("nn_ce", "a = nn.CrossEntropyLoss() -> self.a(x, y)", X, np.array([0, 3, 1], np.int32))
NETS.net("nn_nll", "a = nn.NLLLoss() -> self.a(x, y)", X, np.array([0, 3, 1], np.int32))
NETS.net("nn_kl", "a = nn.KLDivLoss() -> self.a(x, y)", X, np.abs(Y))
NETS.net(
    "nn_seq",
    "a = nn.SequentialCell(nn.Dense(4,8), nn.ReLU(), nn.Dense(8,8), nn.Tanh(), nn.Dense(8,2), nn.Softmax()) -> self.a(x)",
    X,
)
NETS.net("nn_reused", "d = nn.Dense(4, 4) -> self.d(self.d(self.d(x)))", X)
NETS.net(
    "nn_tied",
    "e = Parameter(Tensor(np.random.randn(5,4).astype(np.float32)), name='e') -> ops.matmul(ops.gather(self.e, x, 0), self.e.T)",
    IDS,
)
NETS.net("nn_moments", "a = nn.Moments(0) -> self.a(x)", X)
NETS.net(
    "nn_cellist",
    "a = nn.CellList([nn.Dense(4,4) for _ in range(3)]) -> x + self.a[0](x) + self.a[1](x) * self.a[2](x)",
    X,
)
