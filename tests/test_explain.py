"""`explain` tells the way of a call, and `import pullback` brings NumPy alone."""

import subprocess
import sys

import numpy as np

import pullback as pb
from pullback import _native

IMAGE = np.zeros((3, 20, 30), np.float32)


def test_a_warp_is_fused():
    found = pb.explain(IMAGE, pb.Affine.identity(2), (5, 6), border="edge", frame="centered", dtype=np.float64)
    assert found.coordinates == "affine, fused"
    assert found.backend == "native"
    assert found.isa == _native.isa()
    assert found.border == ("edge", "edge")
    assert found.output_shape == (3, 5, 6)
    assert found.threads == pb.get_num_threads()
    assert found.extra_bytes <= found.threads * 2**20
    assert "instruction set" in str(found)


def test_coordinates_are_given():
    found = pb.explain(IMAGE, np.zeros((7, 2)), interpolation=("nearest", "linear"))
    assert found.coordinates == "given"
    assert found.interpolation == ("nearest", "linear")
    assert found.output_shape == (3, 7)


def test_an_antialiased_warp_tells_its_sub_samples():
    found = pb.explain(IMAGE, pb.Affine.scaling(4.0), antialias=True, mask=np.zeros((20, 30), bool))
    assert found.coordinates == "affine, fused, 49 sub-samples"
    assert pb.explain(IMAGE, pb.Affine.rotation(5), antialias=True).coordinates == "affine, fused"


def test_import_needs_numpy_alone():
    code = (
        "import sys; import pullback; heavy = {'torch', 'scipy', 'matplotlib', 'lightning', 'sklearn', 'cv2', 'typer'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
