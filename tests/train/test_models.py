import pytest
import torch
from torch import Tensor, nn

from laennec.models import build_model
from laennec.models.chen2022 import ChenNet, FullyConnected, UpsamplingCnn
from laennec.models.metadata import (
    MetadataEmbedding,
)
from laennec.models.resnet import ResidualNet

IMAGE = (3, 64, 79)


def inputs(batch: int = 2) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(batch, *IMAGE, generator=generator)
    return image, torch.full((batch,), 4.5), torch.ones(batch).long(), torch.full((batch,), 2)


def test_cnn_has_the_papers_shapes() -> None:
    maps = UpsamplingCnn()(torch.zeros(2, *IMAGE))
    assert maps.shape == (2, 64, 16, 19)
    assert UpsamplingCnn(upsample=False)(torch.zeros(2, *IMAGE)).shape == (2, 64, 4, 4)
    kinds = [type(layer).__name__ for layer in UpsamplingCnn()]
    block = ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    assert kinds == [*block, *block, "Upsample", *block, "Upsample", *block]
    assert [layer.out_channels for layer in UpsamplingCnn() if isinstance(layer, nn.Conv2d)] == [
        8,
        16,
        32,
        64,
    ]


@pytest.mark.parametrize("frames", [76, 77, 78, 79])
def test_the_papers_output_fixes_76_to_79_frames(frames: int) -> None:
    assert UpsamplingCnn()(torch.zeros(1, 3, 64, frames)).shape[1:] == (64, 16, 19)


def test_upsampling_repeats_values() -> None:
    upsample = next(layer for layer in UpsamplingCnn() if isinstance(layer, nn.Upsample))
    assert upsample(torch.tensor([[[[1.0, 2.0]]]])).tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


def test_lstm_sees_304_steps_of_64_and_is_flattened() -> None:
    model = ChenNet()
    seen: list[Tensor] = []
    assert model.lstm is not None
    model.lstm.register_forward_hook(lambda _, args, output: seen.extend([args[0], output[0]]))
    features = model.features(inputs()[0])
    assert [tuple(x.shape) for x in seen] == [(2, 304, 64), (2, 304, 512)]
    assert model.lstm.num_layers == 1
    assert features.shape == (2, 304 * 512)


def test_steps_are_cells_with_time_running_fastest() -> None:
    model = ChenNet().eval()
    seen: list[Tensor] = []
    assert model.lstm is not None
    model.lstm.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    image = inputs(1)[0]
    model.features(image)
    maps = model.cnn(image)
    torch.testing.assert_close(seen[0][0, 19 * 3 + 7], maps[0, :, 3, 7])


def test_fully_connected_has_tanh_after_first_and_third_and_joins_after_second() -> None:
    head = FullyConnected(10, 7, (6, 5, 4), dropout=0.0).eval()
    features, age, sex, position = (
        torch.randn(3, 10),
        torch.tensor([1.0, 2.0, torch.nan]),
        *torch.ones(2, 3).long(),
    )
    hidden = head.second(torch.tanh(head.first(features)))
    joined = torch.cat([hidden, head.metadata(age, sex, position)], 1)
    assert joined.shape == (3, 5 + 3 * 64)
    expected = head.fourth(torch.tanh(head.third(joined)))
    torch.testing.assert_close(head(features, age, sex, position), expected)


@pytest.mark.parametrize(
    ("settings", "millions"),
    [
        ({"upsample": False, "lstm": False, "metadata": False}, 0.032),
        ({"lstm": False, "metadata": False}, 0.161),
        ({"metadata": False}, 2.297),
        ({}, 21.16),
        ({"bidirectional": True}, 20.63),
        ({"backbone": "resnet"}, 21.21),
    ],
)
def test_the_ablation_and_the_outlook(settings: dict[str, object], millions: float) -> None:
    model = build_model({"kind": "chen2022", **settings}, 7, IMAGE)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)
    assert model(*inputs()).shape == (2, 7)


def test_resnet_backbone_keeps_the_cnns_output_shape() -> None:
    assert ChenNet(backbone="resnet").cnn(torch.zeros(1, *IMAGE)).shape == (1, 64, 16, 19)


@pytest.mark.parametrize("model", [ChenNet(), ResidualNet(image=IMAGE, metadata=True)])
def test_metadata_changes_the_answer_and_may_be_missing(model: nn.Module) -> None:
    model.eval()
    image, age, sex, position = inputs(1)
    known = model(image, age, sex, position)
    for changed in ((age + 3, sex, position), (age, sex + 1, position), (age, sex, position + 1)):
        assert not torch.allclose(known, model(image, *changed))
    missing = model(image, torch.tensor([torch.nan]), torch.tensor([0]), torch.tensor([0]))
    assert missing.isfinite().all()
    assert not torch.allclose(known, missing)


def test_models_without_metadata_do_not_look_at_it() -> None:
    for model in (ChenNet(metadata=False).eval(), ResidualNet(image=IMAGE).eval()):
        image, age, sex, position = inputs(1)
        torch.testing.assert_close(
            model(image, age, sex, position), model(image, age * torch.nan, sex * 0, position * 0)
        )


def test_age_is_embedded_by_whole_years_and_the_oldest_share_one() -> None:
    embed = MetadataEmbedding(4)
    ages = torch.tensor([4.0, 4.9, 5.0, 18.0, 70.0, torch.nan, 0.1])
    rows = embed(ages, torch.zeros(7).long(), torch.zeros(7).long())[:, :4]
    torch.testing.assert_close(rows[0], rows[1])
    assert not torch.allclose(rows[1], rows[2])
    torch.testing.assert_close(rows[3], rows[4])
    torch.testing.assert_close(rows[5], embed.age.weight[0])
    torch.testing.assert_close(rows[6], embed.age.weight[1])
