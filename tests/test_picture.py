"""The picture of a split: it shows what the files hold, and nothing in it covers anything else."""

import sys
import xml.etree.ElementTree as ET
from collections import Counter

import numpy as np
import pytest
import splits
from conftest import MODEL, ROOT, command

import mindir
from mindir.parts import find_part

SVG = "{http://www.w3.org/2000/svg}"


def drawn(path, tmp_path):
    done = command(sys.executable, "-m", "mindir", path, "--picture", tmp_path / "out.svg")
    assert done.returncode == 0, done.stderr
    return ET.parse(str(tmp_path / "out.svg")).getroot()


def texts(picture):
    return Counter(element.text for element in picture.iter(f"{SVG}text"))


def test_the_products_picture_is_the_one_in_the_documents(tmp_path):
    assert texts(drawn(MODEL, tmp_path))["columns 64–127"] == 1
    for path, name in ((MODEL, "product"), (splits.SPLITS / "mlp2d_semi_4" / "Net.mindir", "mesh")):
        drawn(path, tmp_path)
        assert (tmp_path / "out.svg").read_text() == (ROOT / "docs" / f"split_{name}.svg").read_text()


def test_a_mesh_shows_its_parts_and_groups(tmp_path):
    found = texts(drawn(splits.SPLITS / "mlp2d_semi_4" / "Net.mindir", tmp_path))
    assert found["rows 0–63"] == found["rows 64–127"] == found["columns 0–63"] == found["values 64–127"] == 2
    assert all(found[f"ranks {pair}"] == 1 for pair in ("0, 1", "2, 3", "0, 2", "1, 3"))


def test_a_pipeline_shows_who_sends_and_who_has_nothing(tmp_path):
    found = texts(drawn(splits.SPLITS / "pipe_tensor_4" / "Net.mindir", tmp_path))
    assert found["none"] == 4
    assert found["rank 0 to rank 2"] == found["rank 1 to rank 3"] == 1


@pytest.mark.parametrize("name", splits.NAMES)
def test_no_text_covers_another_or_is_outside(name, tmp_path):
    picture = drawn(splits.SPLITS / name / "Net.mindir", tmp_path)
    boxes = []
    for element in picture.iter(f"{SVG}text"):
        size = 12 if "quiet" in element.get("class") else 14
        width, x, y = 0.62 * size * len(element.text), float(element.get("x")), float(element.get("y"))
        left = x - width / 2 if element.get("text-anchor") == "middle" else x
        boxes.append((left, y - size, left + width, y, element.text))
    for index, (left, top, right, bottom, text) in enumerate(boxes):
        assert left >= 0 and right <= float(picture.get("width")), text
        assert top >= 0 and bottom <= float(picture.get("height")), text
        for other in boxes[:index]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart, (text, other[4])


def as_bytes(array):
    return np.ascontiguousarray(array)[..., None].view(np.uint8)


def test_a_part_is_found_by_its_values():
    whole = np.arange(96, dtype=np.float32).reshape(8, 12)
    for part, places in (
        (whole[4:, 6:], [(4, 8), (6, 12)]),
        (whole[:, 1:4], [(0, 8), (1, 4)]),
        (whole, [(0, 8), (0, 12)]),
    ):
        assert find_part(as_bytes(whole), as_bytes(part)) == (places, True)
    assert find_part(as_bytes(whole), as_bytes(whole[4:] + 1)) == (None, False)
    assert find_part(as_bytes(whole), as_bytes(whole.T)) == (None, False)
    zeros = np.zeros((8, 12), np.float32)
    assert find_part(as_bytes(zeros), as_bytes(zeros[4:])) == ([(0, 4), (0, 12)], False)


def test_a_picture_needs_the_shards(tmp_path):
    (tmp_path / "Net.mindir").write_bytes(MODEL.read_bytes())
    done = command(sys.executable, "-m", "mindir", tmp_path / "Net.mindir", "--picture", tmp_path / "out.svg")
    assert done.returncode == 2
    assert "Net0.mindir" in done.stderr
    assert not (tmp_path / "out.svg").exists()
    with pytest.raises(mindir.MindIRError):
        mindir.load(str(tmp_path / "Net0.mindir"))
