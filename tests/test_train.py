"""Training: equal sizes, the same bits from the same seeds, and interruptions that leave no trace."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from covering import covered

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("sklearn")

from pullback.train import data, distortions, evaluation, loop, models  # noqa: E402
from pullback.train.distortions import DISTORTIONS  # noqa: E402
from pullback.train.runs import Configuration, Run, RunError, defaults  # noqa: E402

SMALL = Configuration(distortion="r", seeds=2, epochs=2, batch_size=50)
TRAININGS = len(SMALL.jobs)
BATCHES = 3


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks as small as these are not worth a second thread, and a busy machine makes them wait for it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class StopAt(loop.Silence):
    """Interrupts at the n-th event, a batch or the end of an epoch (when its checkpoint is written)."""

    def __init__(self, n: int, error: BaseException) -> None:
        self.left, self.error = n, error

    def batch(self):
        self.left -= 1
        if self.left == 0:
            raise self.error

    def epoch(self, row):
        self.batch()


@pytest.fixture(scope="module")
def few() -> data.Dataset:
    digits = data.load("digits")
    return dataclasses.replace(
        digits,
        train_images=digits.train_images[:130],
        train_labels=digits.train_labels[:130],
        test_images=digits.test_images[:60],
        test_labels=digits.test_labels[:60],
    )


@pytest.fixture(scope="module")
def unbroken(few, tmp_path_factory):
    run = Run.create(tmp_path_factory.mktemp("runs") / "unbroken", SMALL, few)
    return run, loop.train(run, few, loop.Silence())


def same_training(first, second) -> bool:
    histories = [[{k: v for k, v in row.items() if k != "seconds"} for row in one.history] for one in (first, second)]
    return histories[0] == histories[1] and all(torch.equal(first.state[k], second.state[k]) for k in first.state)


@covered(
    distortion=list(DISTORTIONS),
    classes=[2, 10, 62],
    transform=["affine", "translation", "projective", "tps", "free-form"],
    strength=2,
)
def test_the_models_are_of_equal_size(distortion, classes, transform):
    canvas = DISTORTIONS[distortion].canvas
    sizes = [models.count_parameters(models.build(name, canvas, classes, transform)) for name in models.MODELS]
    assert max(sizes) <= 1.05 * min(sizes)
    assert 190_000 < min(sizes) < 210_000


@pytest.mark.parametrize("channels", [1, 2])
def test_networks_for_sums_are_of_equal_size_too(channels):
    sizes = [models.count_parameters(models.build(name, 42, 19, "tps", channels)) for name in models.MODELS]
    assert max(sizes) <= 1.05 * min(sizes)


def test_sums_are_of_what_is_shown():
    """One-hot pictures, whose class can be read off their brightness."""
    images = torch.arange(1, 11).float()[:, None, None, None].expand(10, 1, 28, 28) / 10
    chosen = torch.arange(10)
    random = distortions.generator(0)
    boxes = distortions.ink_boxes(images)
    shown, sums = loop.shown("addition", DISTORTIONS["r"], images, chosen, boxes, chosen, random)
    assert shown.shape == (10, 2, 28, 28)
    brightness = 10 * shown[:, :, 14, 14] - 1
    torch.testing.assert_close(brightness[:, 0], chosen.float())
    torch.testing.assert_close(brightness.sum(1), sums.float())
    assert len(set(brightness[:, 1].round().tolist())) > 3, "the other one is drawn at random"


def test_mixed_precision_trains(few, tmp_path):
    settings = dataclasses.replace(SMALL, seeds=1, models=("st-cnn",), precision="bf16-mixed", epochs=4)
    (trained,) = loop.train(Run.create(tmp_path / "run", settings, few), few, loop.Silence())
    full = dataclasses.replace(settings, precision="32-true")
    (other,) = loop.train(Run.create(tmp_path / "full", full, few), few, loop.Silence())
    assert {value.dtype for value in trained.state.values()} == {torch.float32}
    first, last = (trained.history[k]["train_loss"] for k in (0, -1))
    assert last < first
    assert first == pytest.approx(other.history[0]["train_loss"], rel=0.05)
    assert first != other.history[0]["train_loss"]


def test_the_paper_schedule_drops_the_rate_twice(few, tmp_path):
    settings = dataclasses.replace(
        SMALL, seeds=1, models=("fcn",), epochs=6, schedule="paper", learning_rate=0.01, weight_decay=0.0
    )
    (trained,) = loop.train(Run.create(tmp_path / "run", settings, few), few, loop.Silence())
    rates = [row["learning_rate"] for row in trained.history]
    # After each epoch: a third of them at each rate, the last one's end being the next one's beginning.
    assert rates == pytest.approx([1e-2, 1e-3, 1e-3, 1e-4, 1e-4, 1e-4])


@pytest.mark.parametrize(
    ("schedule", "pictures", "wanted", "epochs"),
    [("fast", 1437, ("cnn",), 30), ("fast", 60_000, ("st-cnn",), 16), ("fast", 60_000, ("fcn",), 40)],
)
def test_defaults_depend_on_the_data(schedule, pictures, wanted, epochs):
    assert defaults(schedule, pictures, wanted)["epochs"] == epochs


def test_the_paper_schedule_has_150_000_iterations():
    settings = defaults("paper", 60_000, ("cnn",))
    assert 0 <= settings["epochs"] * -(-60_000 // settings["batch_size"]) - 150_000 < 235


@pytest.mark.parametrize(("distortion", "side"), [("r", 28), ("rts", 21), ("tc", 30)])
def test_large_canvases_are_pooled_after_the_transformer(distortion, side):
    seen = []
    network = models.build(models.ST_CNN, DISTORTIONS[distortion].canvas, 10)
    network.classifier.register_forward_pre_hook(lambda _, images: seen.append(images[0].shape))
    network(torch.zeros(2, 1, DISTORTIONS[distortion].canvas, DISTORTIONS[distortion].canvas))
    assert seen == [(2, 1, side, side)]


def test_the_transformer_starts_as_the_identity():
    network = models.build(models.ST_CNN, 42, 10)
    _, transform = network.rectify(torch.rand(3, 1, 42, 42))
    np.testing.assert_array_equal(transform.numpy().matrix, np.eye(2, 3)[None].repeat(3, 0))


def test_the_same_seeds_give_the_same_bits(few, unbroken, tmp_path):
    again = loop.train(Run.create(tmp_path / "again", SMALL, few), few, loop.Silence())
    assert all(same_training(*pair) for pair in zip(unbroken[1], again, strict=True))
    assert not same_training(again[0], again[2]), "other seeds give others"


def test_the_loss_of_a_short_batch_is_its_mean():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    training = loop.Training(network, dataclasses.replace(SMALL, batch_size=10), 2, 23)
    for index, count in ((0, 10), (1, 10), (2, 3)):
        images, labels = torch.rand(count, 1, 4, 4), torch.arange(count) % 2
        wanted = torch.nn.functional.cross_entropy(network(images), labels)
        torch.testing.assert_close(training.training_step((images, labels), index), wanted)


def test_every_epoch_has_pictures_of_its_own(few):
    batches = loop.TrainingBatches(few, DISTORTIONS["r"], 50, seed=0)
    first, again = list(batches), list(batches)
    batches.epoch = 1
    other = list(batches)
    assert len(first) == len(batches) == BATCHES
    assert all(torch.equal(a, b) for one, two in zip(first, again, strict=True) for a, b in zip(one, two, strict=True))
    assert not torch.equal(first[0][0], other[0][0])
    counts = [torch.bincount(torch.cat([labels for _, labels in epoch])) for epoch in (first, other)]
    assert torch.equal(*counts)
    assert torch.equal(counts[0], torch.bincount(torch.from_numpy(few.train_labels)))


def test_training_learns(few, tmp_path):
    settings = dataclasses.replace(SMALL, seeds=1, epochs=12, batch_size=16)
    trained = loop.train(Run.create(tmp_path / "run", settings, few), few, loop.Silence())
    assert all(one.history[-1]["train_loss"] < 0.8 * one.history[0]["train_loss"] for one in trained)


# Within the first epoch, between its batches and its checkpoint, within the second, at its end, in another model,
# in another seed.
EVENTS = [1, BATCHES, BATCHES + 1, BATCHES + 3, 2 * BATCHES + 2, 3 * BATCHES + 4, 5 * BATCHES + 7]


@pytest.mark.parametrize("event", EVENTS)
def test_an_interrupted_training_goes_on_to_the_same_bits(few, unbroken, tmp_path, event):
    run = Run.create(tmp_path / "run", SMALL, few)
    with pytest.raises(KeyboardInterrupt):
        loop.train(run, few, StopAt(event, KeyboardInterrupt()))
    assert not run.finished
    resumed = loop.train(Run.open(run.path), few, loop.Silence())
    assert all(same_training(*pair) for pair in zip(unbroken[1], resumed, strict=True))
    assert not run.last.exists()
    rows = [(run.path / "metrics.csv").read_text().splitlines() for run in (unbroken[0], run)]
    assert [line.rpartition(",")[0] for line in rows[0]] == [line.rpartition(",")[0] for line in rows[1]]


def test_several_interruptions_add_up_to_nothing(few, unbroken, tmp_path):
    run = Run.create(tmp_path / "run", SMALL, few)
    for _ in range(2 * TRAININGS - 1):
        with pytest.raises(KeyboardInterrupt):
            loop.train(run, few, StopAt(BATCHES + 2, KeyboardInterrupt()))
    resumed = loop.train(run, few, loop.Silence())
    assert all(same_training(*pair) for pair in zip(unbroken[1], resumed, strict=True))


def test_a_failure_is_not_swallowed_and_can_be_resumed(few, unbroken, tmp_path):
    run = Run.create(tmp_path / "run", SMALL, few)
    with pytest.raises(OSError, match="the cable"):
        loop.train(run, few, StopAt(BATCHES + 3, OSError("the cable")))
    resumed = loop.train(run, few, loop.Silence())
    assert all(same_training(*pair) for pair in zip(unbroken[1], resumed, strict=True))


def test_random_numbers_and_handlers_of_the_caller_are_left_alone(few, tmp_path):
    import signal

    handler = signal.getsignal(signal.SIGINT)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        loop.train(Run.create(tmp_path / "run", SMALL, few), few, StopAt(2, KeyboardInterrupt()))
    assert torch.equal(torch.get_rng_state(), before)
    assert signal.getsignal(signal.SIGINT) is handler


def test_measuring_anew_gives_what_training_measured(few, unbroken):
    run, trained = unbroken
    measured = evaluation.evaluate(run, loop.TestBatches(few, DISTORTIONS[SMALL.distortion]))
    assert [one.test_error for one in measured] == pytest.approx([one.test_error for one in trained], abs=1e-3)


def test_checkpoints_are_safetensors(unbroken):
    from safetensors.torch import load_file

    run, trained = unbroken
    for one in trained:
        state = load_file(run.path / "checkpoints" / f"{one.model}-seed{one.seed}.safetensors")
        assert state.keys() == one.state.keys()
        assert all(torch.equal(state[name], one.state[name]) for name in state)
        assert run.load(one.model, one.seed).history == one.history


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "empty":
        content = b""
    elif how == "cut short":
        content = content[: len(content) // 2]
    elif how == "text":
        content = b"not a checkpoint"
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["empty", "cut short", "text"])
def test_damaged_checkpoints_are_refused(unbroken, tmp_path, how):
    import shutil

    path = tmp_path / "run"
    shutil.copytree(unbroken[0].path, path)
    damage(path / "checkpoints" / "cnn-seed0.safetensors", how)
    with pytest.raises(RunError, match=r"cnn-seed0\.safetensors: corrupted"):
        Run.open(path).load("cnn", 0)


@pytest.mark.parametrize("how", ["cut short", "of something else"])
def test_a_damaged_checkpoint_of_the_training_under_way_is_refused(few, tmp_path, how):
    run = Run.create(tmp_path / "run", SMALL, few)
    with pytest.raises(KeyboardInterrupt):
        loop.train(run, few, StopAt(BATCHES + 1, KeyboardInterrupt()))
    if how == "cut short":
        damage(run.last, how)
    else:
        torch.save({"state_dict": {}}, run.last)
    with pytest.raises(RunError, match=r"last\.ckpt: corrupted; remove it"):
        loop.train(run, few, loop.Silence())


def test_a_checkpoint_of_another_program_is_refused(unbroken, tmp_path):
    import shutil

    from safetensors.torch import save_file

    path = tmp_path / "run"
    shutil.copytree(unbroken[0].path, path)
    save_file({"weight": torch.zeros(3)}, path / "checkpoints" / "cnn-seed0.safetensors")
    with pytest.raises(RunError, match="not a checkpoint of this program"):
        Run.open(path).load("cnn", 0)


def test_weights_that_do_not_fit_are_refused(unbroken, tmp_path):
    run, _ = unbroken
    trained = dataclasses.replace(run.load("cnn", 0), model="st-cnn")
    with pytest.raises(RunError, match="do not fit the network"):
        run.network(trained)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not readable as the configuration"),
        ("{}", "not readable as the configuration"),
        ('{"configuration": {"seeds": 0}, "dataset": {"classes": []}}', "seeds is 0"),
        ('{"configuration": {"colour": 1}, "dataset": {"classes": []}}', "not readable as the configuration"),
    ],
    ids=["empty", "without entries", "out of range", "unknown entry"],
)
def test_damaged_configurations_are_refused(tmp_path, text, words):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(RunError, match=words):
        Run.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("distortion", "shake"),
        ("transform", "magic"),
        ("models", ()),
        ("models", ("cnn", "rnn")),
        ("schedule", "slow"),
        ("precision", 16),
        ("seeds", 0),
        ("epochs", 1.5),
        ("batch_size", -3),
        ("learning_rate", float("nan")),
        ("weight_decay", "much"),
    ],
)
def test_configurations_out_of_range_are_refused(name, value):
    with pytest.raises(RunError, match=f"^{name} is {re.escape(repr(value))}"):
        dataclasses.replace(Configuration(), **{name: value})


def test_data_of_other_classes_are_refused(few, unbroken):
    with pytest.raises(RunError, match="was trained on the classes"):
        unbroken[0].check(dataclasses.replace(few, classes=("a", "b")))
