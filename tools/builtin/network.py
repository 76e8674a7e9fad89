"""The network: RegNetX blocks for one grey plane of 32 x 32 pixels. Tensors are named as torchvision names them."""

import numpy as np
import torch
from torch import nn

SIDE = 32
STEM = 32
DEPTHS, STRIDES, GROUP = (1, 2, 2, 1), (1, 2, 2, 2), 16
# The parts of red, green and blue in a grey plane (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)


def convolution(inputs, outputs, kernel, stride=1, groups=1):
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]


class Block(nn.Module):
    """y = relu(shortcut(x) + c(relu(b(relu(a(x))))))."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.proj = nn.Sequential(*convolution(inputs, width, 1, stride)) if stride != 1 or inputs != width else None
        self.f = nn.Sequential()
        self.f.a = nn.Sequential(*convolution(inputs, width, 1), nn.ReLU(inplace=True))
        self.f.b = nn.Sequential(*convolution(width, width, 3, stride, width // GROUP), nn.ReLU(inplace=True))
        self.f.c = nn.Sequential(*convolution(width, width, 1))

    def forward(self, x):
        return torch.relu((x if self.proj is None else self.proj(x)) + self.f(x))


class Trunk(nn.Module):
    """n x planes x 32 x 32 to n x features."""

    def __init__(self, features, planes=1):
        super().__init__()
        self.stem = nn.Sequential(*convolution(planes, STEM, 3, 2), nn.ReLU(inplace=True))
        self.trunk_output = nn.Sequential()
        inputs = STEM
        for stage, (width, depth, stride) in enumerate(zip((32, 64, 128, features), DEPTHS, STRIDES), 1):
            blocks = nn.Sequential()
            for number in range(depth):
                blocks.add_module(f"block{stage}-{number}", Block(inputs, width, stride if number == 0 else 1))
                inputs = width
            self.trunk_output.add_module(f"block{stage}", blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] ** 2 * module.out_channels // module.groups
                nn.init.normal_(module.weight, 0, (2 / fan_out) ** 0.5)

    def forward(self, x):
        return self.trunk_output(self.stem(x)).mean((2, 3))


def stored(trunk):
    """The state dict as it is published: three planes in the stem, so that it makes a colour picture grey; weights of
    convolutions in half precision, batch norms in single."""
    state = {}
    for name, tensor in trunk.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name == "stem.0.weight":
            tensor = tensor * torch.tensor(LUMA).reshape(1, 3, 1, 1)
        tensor = tensor.detach().float().contiguous()
        state[name] = (tensor.half() if tensor.dim() == 4 else tensor).numpy()
    return state


def started(trunk, state):
    """Gives `trunk` (one plane) a published state dict; its last stage only where it has as many features."""
    state = {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in state.items()}
    state["stem.0.weight"] = state["stem.0.weight"].sum(1, keepdim=True)
    own = trunk.state_dict()
    fitting = {name: value for name, value in state.items() if own[name].shape == value.shape}
    trunk.load_state_dict(fitting, strict=False)


def loaded(state):
    """The network of a published state dict, for three equal or coloured planes."""
    trunk = Trunk(features=state["trunk_output.block4.block4-0.f.c.0.weight"].shape[0], planes=3)
    trunk.load_state_dict({name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in state.items()},
                          strict=False)
    return trunk.eval()
