"""The command line: it does what it says, and whatever a user gets wrong ends in one line and the exit code 2."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("typer")
pytest.importorskip("lightning")
iio = pytest.importorskip("imageio.v3")

from pullback import cli  # noqa: E402
from pullback.train import atomic, runs, table1_page  # noqa: E402

RUN = ("--distortion", "r", "--epochs", "2", "--seeds", "1", "--batch-size", "10")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks as small as these are not worth a second thread, and a busy machine makes them wait for it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    """A folder with two classes of pictures, bars and squares."""
    folder = tmp_path_factory.mktemp("shapes")
    random = np.random.default_rng(0)
    for name, height in (("bar", 16), ("square", 6)):
        (folder / name).mkdir()
        for k in range(20):
            picture = np.zeros((28, 28), np.uint8)
            picture[14 - height // 2 : 14 + height // 2, 11:17] = random.integers(150, 256)
            iio.imwrite(folder / name / f"{k}.png", picture)
    return folder


@pytest.fixture(scope="module")
def trained(shapes, tmp_path_factory) -> Path:
    """A run that was trained through the command line."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--data", str(shapes), *RUN, "--runs", str(folder), "--name", "shapes"])
    assert ended.value.code == 0
    return folder / "shapes"


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    iio.imwrite(path, np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8))
    return path


@pytest.fixture
def run(capsys):
    """Call the command line; return exit code, stdout and stderr."""

    def call(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        output, errors = capsys.readouterr()
        return ended.value.code, output, errors

    return call


@pytest.fixture
def refused(run):
    """Call the command line, which must say why not in one line; return that."""

    def call(*arguments) -> str:
        code, output, errors = run(*arguments)
        assert code == 2
        assert output == ""
        assert errors.startswith("pullback: ")
        assert errors.count("\n") == 1
        assert errors.endswith("\n")
        return errors

    return call


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Go on as soon as a process has written a file."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)


def everything_in(folder: Path) -> set[str]:
    """What is there, but for TensorBoard's files, which have names of their own."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "tensorboard" not in path.parts}


def test_training_leaves_a_whole_run(trained):
    assert everything_in(trained) == {
        "config.json",
        "metrics.csv",
        "report.html",
        "checkpoints",
        "checkpoints/cnn-seed0.safetensors",
        "checkpoints/st-cnn-seed0.safetensors",
    }
    rows = (trained / "metrics.csv").read_text().splitlines()
    assert rows[0] == ",".join(runs.COLUMNS)
    assert [row.split(",")[:3] for row in rows[1:]] == [
        [model, "0", epoch] for model in ("cnn", "st-cnn") for epoch in "12"
    ]


def test_training_leaves_curves_for_tensorboard(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for model in ("cnn", "st-cnn"):
        events = EventAccumulator(str(trained / "tensorboard" / f"{model}-seed0")).Reload()
        history = runs.Run.open(trained).load(model, 0).history
        for name in ("train_loss", "test_error", "learning_rate"):
            scalars = events.Scalars(name)
            assert [scalar.step for scalar in scalars] == [1, 2]
            np.testing.assert_allclose([scalar.value for scalar in scalars], [row[name] for row in history], rtol=1e-6)


def test_evaluate_prints_what_training_measured(trained, run):
    code, output, errors = run("evaluate", trained)
    assert (code, errors) == (0, "")
    for job in (("cnn", 0), ("st-cnn", 0)):
        assert f"{runs.Run.open(trained).load(*job).test_error:.2f}" in output


def test_confusion_counts_every_test_picture(trained, run):
    code, output, errors = run("evaluate", trained, "--confusion")
    assert (code, errors) == (0, "")
    opened = runs.Run.open(trained)
    for model, title in (("cnn", "\nCNN, read as"), ("st-cnn", "ST-CNN, read as")):
        lines = [line.split() for line in output.partition(title)[2].splitlines()]
        rows = [line[1:] for line in lines if len(line) == 3 and line[0] in ("bar", "square")][:2]
        counts = np.array([[0 if count == "·" else int(count) for count in row] for row in rows])
        assert counts.sum() == 8
        assert 100 * (1 - np.trace(counts) / 8) == pytest.approx(opened.load(model, 0).test_error)


def test_export_writes_a_graph_that_gives_the_same(trained, run, refused, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    import pullback as pb

    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for model, outputs in (("st-cnn", ["logits", "warped"]), ("cnn", ["logits"])):
        target = tmp_path / f"{model}.onnx"
        code, output, errors = run("export", trained, target, "--model", model, "--batch-size", "3")
        assert (code, errors) == (0, ""), errors
        assert str(target) in output
        session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
        assert [found.name for found in session.get_outputs()] == outputs
        network = pb.train.load(trained, model)
        with torch.no_grad():
            warped = network.rectify(images)[0] if model == "st-cnn" else images
            wanted = [network(images), warped][: len(outputs)]
        for one, other in zip(session.run(None, {"images": images.numpy()}), wanted, strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=1e-5)
    assert "no fcn is trained; there is cnn with seed 0, st-cnn with seed 0" in refused(
        "export", trained, tmp_path / "no.onnx", "--model", "fcn"
    )


def test_load_gives_the_module(trained):
    import pullback as pb

    network = pb.train.load(trained)
    assert isinstance(network.transformer, pb.nn.SpatialTransformer)
    assert not network.training
    assert pb.train.load(trained, "cnn").transformer is None
    with pytest.raises(ValueError, match="no cnn with seed 3 is trained"):
        pb.train.load(trained, "cnn", 3)
    with pytest.raises(ValueError, match="no such run"):
        pb.train.load(trained / "nowhere")


def test_a_run_may_have_more_seeds_later(shapes, run, tmp_path):
    where = ("--runs", tmp_path, "--name", "more")
    options = ("--data", shapes, *RUN[:-2], "--batch-size", "10", "--epochs", "1", "--models", "fcn,st-fcn")
    assert run("train", *options, *where)[0] == 0
    first = runs.Run.open(tmp_path / "more").load("st-fcn", 0)
    assert run("train", "--resume", *where, "--seeds", "2")[0] == 0
    opened = runs.Run.open(tmp_path / "more")
    assert opened.configuration.seeds == 2
    assert [(one.model, one.seed) for one in opened.trained()] == [("fcn", 0), ("st-fcn", 0), ("fcn", 1), ("st-fcn", 1)]
    assert opened.load("st-fcn", 0).history == first.history


def test_evaluate_takes_other_data(trained, shapes, refused, run, tmp_path):
    assert run("evaluate", trained, "--data", shapes)[0] == 0
    assert "was trained on the classes bar, square" in refused("evaluate", trained, "--data", "digits")


@pytest.mark.parametrize(("options", "side"), [((), 62), (("--size", "50"), 50)], ids=["own size", "--size"])
def test_rectify_writes_one_picture_each(trained, run, photo, shapes, tmp_path, options, side):
    out = tmp_path / "new" / "out"
    gray = tmp_path / "gray.png"
    iio.imwrite(gray, np.full((62, 40), 9, np.uint8))
    clash = tmp_path / "other" / "gray.png"
    clash.parent.mkdir()
    shutil.copy(gray, clash)
    code, _, errors = run("rectify", trained, gray, clash, "--out", out, *options)
    assert (code, errors) == (0, "")
    assert everything_in(out) == {"gray.png", "gray-2.png"}
    assert iio.imread(out / "gray.png").shape == (side, side)
    run("rectify", trained, photo, shapes / "bar", "--out", out)
    assert len(everything_in(out)) == 2 + 1 + 20
    assert iio.imread(out / "photo.png").shape == (31, 31, 3)


def test_rectify_averages_what_it_makes_smaller(trained, run, tmp_path):
    """A grating, finer than the samples of the result, becomes grey: without that, black or white."""
    picture = np.zeros((280, 280), np.uint8)
    picture[:, ::2] = 200
    iio.imwrite(tmp_path / "grating.png", picture)
    assert run("rectify", trained, tmp_path / "grating.png", "--out", tmp_path / "out", "--size", "28")[0] == 0
    middle = iio.imread(tmp_path / "out" / "grating.png")[8:20, 8:20].astype(float)
    np.testing.assert_allclose(middle, 100, atol=20)


def test_rectify_writes_nothing_if_one_picture_is_bad(trained, refused, photo, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(photo.read_bytes()[:100])
    assert "bad.png: not readable" in refused("rectify", trained, photo, bad, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", ["gray", "colour", "gray and alpha", "colour and alpha", "16 bits"])
def test_warping_by_nothing_changes_nothing(run, tmp_path, mode):
    channels = {"gray": (), "colour": (3,), "gray and alpha": (2,), "colour and alpha": (4,), "16 bits": ()}[mode]
    dtype = np.uint16 if mode == "16 bits" else np.uint8
    picture = np.random.default_rng(0).integers(1, np.iinfo(dtype).max, (9, 14, *channels), dtype=dtype)
    iio.imwrite(tmp_path / "in.png", picture)
    assert run("warp", tmp_path / "in.png", tmp_path / "out.png") == (0, "", "")
    np.testing.assert_array_equal(iio.imread(tmp_path / "out.png"), iio.imread(tmp_path / "in.png"))


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotation_is_counter_clockwise_about_the_middle(run, photo, tmp_path, degrees):
    picture = iio.imread(photo)
    turned = np.rot90(picture, degrees // 90)
    height, width = turned.shape[:2]
    run("warp", photo, tmp_path / "out.png", "--rotate", degrees, "--shape", f"{height}x{width}")
    np.testing.assert_array_equal(iio.imread(tmp_path / "out.png"), turned)


def test_scale_and_translate(run, tmp_path):
    picture = np.zeros((41, 41), np.uint8)
    picture[10:31, 10:31] = 200
    iio.imwrite(tmp_path / "in.png", picture)
    run("warp", tmp_path / "in.png", tmp_path / "out.png", "--scale", "0.5", "--translate", "8", "-3")
    ink = np.argwhere(iio.imread(tmp_path / "out.png") > 100)
    np.testing.assert_allclose(ink.mean(0), [28, 17])
    assert len(ink) == pytest.approx(10.5**2, rel=0.15)


@pytest.mark.parametrize(
    ("options", "corner"),
    [
        ((), 0),
        (("--fill", "77"), 77),
        (("--border", "edge"), 9),
        (("--border", "wrap", "--interpolation", "nearest"), 9),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_lies_beyond_the_picture(run, tmp_path, options, corner):
    iio.imwrite(tmp_path / "in.png", np.full((8, 8), 9, np.uint8))
    run("warp", tmp_path / "in.png", tmp_path / "out.png", "--translate", "20", "20", *options)
    assert (iio.imread(tmp_path / "out.png") == corner).all()


def test_hidden_colours_do_not_bleed(run, tmp_path):
    picture = np.zeros((9, 9, 4), np.uint8)
    picture[...] = (255, 0, 0, 0)
    picture[3:6, 3:6] = (0, 0, 255, 255)
    iio.imwrite(tmp_path / "in.png", picture)
    run("warp", tmp_path / "in.png", tmp_path / "out.png", "--rotate", "30")
    seen = iio.imread(tmp_path / "out.png")
    assert (seen[seen[..., 3] > 0][:, :3] == (0, 0, 255)).all()
    assert ((seen[..., 3] > 0) & (seen[..., 3] < 255)).any()


def test_info(run):
    import pullback

    code, output, errors = run("info")
    assert (code, errors) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert facts["pullback"] == pullback.__version__
    assert facts["threads"] == str(pullback.get_num_threads())


def test_version(run):
    import pullback

    assert run("--version") == (0, pullback.__version__ + "\n", "")


def test_help_comes_without_heavy_imports():
    code = (
        "import sys; from pullback import cli\n"
        "try: cli.main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'lightning', 'sklearn', 'matplotlib', 'imageio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--resume" in done.stdout


@pytest.mark.parametrize(
    ("missing", "arguments"), [("typer", ["info"]), ("imageio", ["warp", "a.png", "b.png"]), ("lightning", ["train"])]
)
def test_a_missing_extra_is_named(missing, arguments):
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {missing!r}: raise ModuleNotFoundError(name, name={missing!r})\n"
        "sys.meta_path.insert(0, Missing())\n"
        f"from pullback import cli; cli.main({arguments!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'pullback[train]'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fly",), "No such command"),
        (("train", "--speed", "3"), "--speed"),
        (("train", "--epochs", "many"), "--epochs"),
        (("train", "--epochs", "0"), "epochs is 0"),
        (("train", "--distortion", "shake"), "distortion is 'shake'; choose from r, rts"),
        (("train", "--transform", "magic"), "transform is 'magic'"),
        (("train", "--data", "nowhere"), "no such folder"),
        (("train", "--data", "."), "folder.png: holds no pictures"),
        (("train", "--name", "../up"), "without any path"),
        (("train", "--resume"), "nothing to resume"),
        (("train", "--resume", "--name", "gone"), "no such run"),
        (("evaluate", "gone"), "gone: no such run"),
        (("evaluate",), "Missing argument"),
        (("rectify", "gone", "photo.png", "--out", "out"), "gone: no such run"),
        (("warp", "gone.png", "out.png"), "gone.png: no such picture"),
        (("warp", "notes.txt", "out.png"), "notes.txt: not readable"),
        (("warp", "photo.png", "out.xyz"), "names no picture format"),
        (("warp", "photo.png", "gone/out.png"), "gone/out.png: No such file"),
        (("warp", "photo.png", "folder.png"), "not a regular file"),
        (("warp", "photo.png", "out.png", "--shape", "12"), "--shape is '12'"),
        (("warp", "photo.png", "out.png", "--shape", "0x4"), "--shape is '0x4'"),
        (("warp", "photo.png", "out.png", "--shape", "90000000x90000000"), "more memory"),
        (("warp", "photo.png", "out.png", "--scale", "0"), "--scale is 0.0"),
        (("warp", "photo.png", "out.png", "--border", "glue"), "`border` is 'glue'"),
        (("warp", "photo.png", "out.png", "--interpolation", "magic"), "`interpolation` is 'magic'"),
        (("warp", "photo.png", "out.png", "--fill", "1,2"), "`fill` has 2"),
        (("warp", "photo.png", "out.png", "--fill", "red"), "--fill is 'red'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_refused_and_leaves_nothing_behind(refused, photo, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("no picture")
    Path("folder.png").mkdir()
    before = everything_in(tmp_path)
    assert words in refused(*arguments)
    assert everything_in(tmp_path) == before


def test_a_run_is_not_overwritten(trained, shapes, refused):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    arguments = ("train", "--data", shapes, *RUN, "--runs", trained.parent, "--name", trained.name)
    assert "exists already; go on with it with --resume" in refused(*arguments)
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_a_run_goes_on_only_as_it_was_started(trained, refused):
    arguments = ("train", "--resume", "--runs", trained.parent, "--name", trained.name, "--epochs", "9")
    assert "was started with epochs 2" in refused(*arguments)


@pytest.mark.parametrize("command", ["evaluate", "rectify", "resume"])
def test_a_corrupted_checkpoint_is_refused(trained, refused, photo, tmp_path, command):
    path = tmp_path / "runs" / "broken"
    shutil.copytree(trained, path)
    checkpoint = path / "checkpoints" / "st-cnn-seed0.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    before = everything_in(tmp_path)
    if command == "resume":
        code, _, errors = cli_run("train", "--resume", "--runs", path.parent, "--name", path.name)
        assert code == 2
    else:
        more = [photo, "--out", tmp_path / "out"] if command == "rectify" else []
        errors = refused(command, path, *more)
    assert "st-cnn-seed0.safetensors: corrupted" in errors
    assert everything_in(tmp_path) == before


def cli_run(*arguments) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "pullback.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


# In the order of writing: config.json; last.ckpt and metrics.csv after each of two epochs, and the model's own
# checkpoint; the same for the second model; metrics.csv; report.html.
@pytest.mark.parametrize("nth", [1, 2, 3, 5, 6, 7, 11, 12, 13])
def test_a_full_disk_leaves_whole_files_and_a_run_that_goes_on(run, trained, shapes, tmp_path, monkeypatch, nth):
    written = 0
    replace = os.replace

    def on_a_small_disk(source, target):
        nonlocal written
        written += 1
        if written == nth:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    where = ("--runs", tmp_path / "runs", "--name", "full")
    monkeypatch.setattr(atomic.os, "replace", on_a_small_disk)
    code, _, errors = run("train", "--data", shapes, *RUN, *where)
    monkeypatch.undo()
    assert code == 2
    assert errors.count("\n") == 1
    assert "No space left on device" in errors
    left = everything_in(tmp_path)
    assert not [name for name in left if Path(name).name.startswith(".")]
    if nth == 1:
        assert not left
        return
    for checkpoint in (tmp_path / "runs").rglob("*.ckpt"):
        runs.read_checkpoint(checkpoint)
    assert run("train", "--resume", *where)[0] == 0
    assert everything_in(tmp_path / "runs" / "full") == everything_in(trained)
    errors_of = [
        [line.split(",")[7] for line in (path / "metrics.csv").open()] for path in (trained, tmp_path / "runs/full")
    ]
    assert errors_of[0] == errors_of[1]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["warp", "rectify", "train"])
def test_what_the_system_says_of_a_full_disk(refused, run, trained, shapes, photo, tmp_path, monkeypatch, command):
    def full(path: Path) -> Path:
        temporary = path.parent / f".{path.name}.full"
        temporary.symlink_to("/dev/full")
        return temporary

    out = tmp_path / "out"
    arguments = {
        "warp": ("warp", photo, tmp_path / "warped.png"),
        "rectify": ("rectify", trained, photo, "--out", out),
        "train": ("train", "--data", shapes, *RUN, "--runs", out),
    }[command]
    monkeypatch.setattr(atomic, "_new_file", full)
    assert "No space left on device" in refused(*arguments)
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()] == [photo]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_stdout_is_one_line_too():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pullback.cli", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "pullback: No space left on device\n"


def test_an_interrupted_training_says_how_to_go_on(shapes, tmp_path):
    options = ["--data", str(shapes), "--distortion", "r", "--epochs", "5000", "--runs", str(tmp_path)]
    command = [sys.executable, "-m", "pullback.cli", "train", *options, "--name", "long"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    checkpoint = tmp_path / "long" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 60
    while not checkpoint.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == f"pullback: interrupted; go on with: pullback train --resume --name long --runs {tmp_path}\n"
    runs.read_checkpoint(checkpoint)
    assert not [name for name in everything_in(tmp_path) if Path(name).name.startswith(".")]


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_a_killed_training_goes_on_to_the_same_weights(shapes, run, tmp_path, delay):
    """Killed at some moment after its first epoch, with no chance to say anything."""
    options = ["--data", str(shapes), "--distortion", "r", "--epochs", "20", "--batch-size", "10", "--seeds", "1"]
    options += ["--models", "st-fcn", "--runs", str(tmp_path)]
    assert run("train", *options, "--name", "unbroken")[0] == 0
    command = [sys.executable, "-m", "pullback", "train", *options, "--name", "killed"]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    wait_for(tmp_path / "killed" / "checkpoints" / "last.ckpt", process)
    time.sleep(delay)
    process.kill()
    process.wait(timeout=30)
    if not delay:
        assert not runs.Run.open(tmp_path / "killed").finished
    assert run("train", "--resume", "--runs", tmp_path, "--name", "killed")[0] == 0
    one, other = (runs.Run.open(tmp_path / name).load("st-fcn", 0) for name in ("unbroken", "killed"))
    assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    assert [row["test_loss"] for row in one.history] == [row["test_loss"] for row in other.history]


def test_runs_without_a_name_do_not_get_in_each_others_way(tmp_path, shapes, run):
    arguments = ("train", "--data", shapes, *RUN, "--epochs", "1", "--runs", tmp_path)
    assert run(*arguments)[0] == run(*arguments)[0] == 0
    name = f"{shapes.name}-r"
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}-2"}


def test_resume_without_a_name_finds_the_newest_unfinished_run(tmp_path, shapes, run):
    arguments = ("train", "--data", shapes, *RUN, "--runs", tmp_path)
    for _ in range(3):
        run(*arguments)
    newest_but_one = tmp_path / f"{shapes.name}-r-2"
    (newest_but_one / "checkpoints" / "st-cnn-seed0.safetensors").unlink()
    (newest_but_one / "report.html").unlink()
    code, output, errors = run("train", "--resume", "--data", shapes, "--distortion", "r", "--runs", tmp_path)
    assert (code, errors) == (0, "")
    assert str(newest_but_one / "report.html") in output
    assert (newest_but_one / "report.html").is_file()


# ---- addition, reproduce


def test_addition_learns_sums(run, refused, shapes, photo, tmp_path):
    where = ("--runs", tmp_path, "--name", "sums")
    code, output, errors = run("train", "addition", *where, "--epochs", "1", "--seeds", "1", "--transform", "affine")
    assert (code, errors) == (0, "")
    assert [name in output for name in ("FCN", "ST-FCN", "2ST-FCN")] == [True] * 3
    opened = runs.Run.open(tmp_path / "sums")
    assert opened.classes == tuple(str(k) for k in range(19))
    assert "add up two of digits" in (tmp_path / "sums" / "report.html").read_text(encoding="utf-8")
    assert run("evaluate", tmp_path / "sums", "--confusion")[0] == 0
    assert "no pose of one" in refused("rectify", tmp_path / "sums", photo, "--out", tmp_path / "out")
    assert "addition needs the digits" in refused("train", "addition", "--data", shapes, "--runs", tmp_path / "x")

    # The report has the command that trains such a run, and what is not said when a run goes on is as it was.
    page = (tmp_path / "sums" / "report.html").read_text(encoding="utf-8")
    command = re.search(r"<code>pullback (train addition .*?)</code>", page)[1]
    assert run(*command.split(), "--runs", tmp_path, "--name", "again")[0] == 0
    assert runs.Run.open(tmp_path / "again").configuration == opened.configuration
    assert run("train", "addition", "--resume", *where, "--seeds", "2")[0] == 0
    assert runs.Run.open(tmp_path / "sums").configuration.seeds == 2
    assert "transform affine" in refused("train", "addition", "--resume", *where, "--transform", "tps")


def test_options_ahead_of_a_subcommand_are_not_lost(refused, tmp_path):
    assert "--epochs stands before addition" in refused("train", "--epochs", "3", "addition", "--runs", tmp_path)
    assert "--data stands before colocalise" in refused("train", "--data", "x", "colocalise", "--out", tmp_path / "out")


def test_reproduce_refuses_what_it_cannot_read(refused, tmp_path):
    options = ("--runs", tmp_path / "runs", "--out", tmp_path / "results")
    assert "nowhere" in refused("reproduce", "table1", "--data", tmp_path / "nowhere", *options)
    assert not (tmp_path / "runs").exists()


def test_an_interrupted_table_begins_no_other_cell(shapes, tmp_path):
    command = [sys.executable, "-m", "pullback", "reproduce", "table1", "--data", str(shapes), "--seeds", "1"]
    command += ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--cells", "r-"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path / "runs" / "r-fcn" / "checkpoints" / "last.ckpt", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    there = everything_in(tmp_path / "runs")
    assert len({Path(name).parts[0] for name in there}) < 8
    time.sleep(1)
    assert everything_in(tmp_path / "runs") == there, "nobody trains on"


def test_reproduce_trains_what_is_not_there_and_writes_the_page(run, refused, shapes, tmp_path):
    where = ("--runs", tmp_path / "runs", "--out", tmp_path / "results")
    options = ("reproduce", "table1", "--data", shapes, "--cells", "r-fcn,r-st-fcn-affine", *where)
    code, output, errors = run(*options, "--seeds", "1")
    assert (code, errors) == (0, "")
    assert [line.split()[0] for line in output.splitlines()[:2]] == ["r-fcn", "r-st-fcn-affine"]
    first = runs.Run.open(tmp_path / "runs" / "r-fcn").load("fcn", 0)
    code, output, _ = run(*options, "--seeds", "2", "--jobs", "2")
    assert code == 0
    assert output.count("seed 1") == 2
    assert "seed 0" not in output
    opened = runs.Run.open(tmp_path / "runs" / "r-fcn")
    assert opened.load("fcn", 0).history == first.history
    errors_of = [one.test_error for one in opened.trained()]
    page = (tmp_path / "results" / "table1.md").read_text(encoding="utf-8")
    assert f"{np.mean(errors_of):.2f} ± {np.std(errors_of, ddof=1):.2f}" in page
    assert "| CNN | – (1.2) |" in page
    assert "2 × " in page
    rows = (tmp_path / "results" / "table1-metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 * opened.configuration.epochs
    record = (tmp_path / "results" / "table1.json").read_text(encoding="utf-8")
    assert f'"data": "{shapes.name}"' in record
    assert str(shapes.parent) not in record
    assert (tmp_path / "results" / "table1.svg").read_text().startswith("<?xml")
    assert "was started with other settings" in refused(*options, "--seeds", "2", "--schedule", "paper")
    assert "give table1" in refused("reproduce", "table2", "--data", shapes, *where)
    assert "is the beginning of none" in refused(*options[:4], "--cells", "q", *where)
    # Runs that are not here leave what the page has of them.
    shutil.rmtree(tmp_path / "runs" / "r-fcn")
    table1_page.write(tmp_path / "runs", tmp_path / "results")
    assert (tmp_path / "results" / "table1.md").read_text(encoding="utf-8") == page
    assert (tmp_path / "results" / "table1-metrics.csv").read_text().splitlines() == rows
