"""The GPU's Model without a GPU: on a Context of the CPU, whose outputs lie elsewhere but are the same."""

import weakref
from unittest import mock

import mindspore_lite as mslite
import numpy as np
import pytest
from conftest import MODEL, ROOT

from suite import memory
from suite.gpu_model import Model, Output

OPEN = ROOT / "tests" / "fixtures" / "dynamic" / "2" / "Net.mindir"  # 8 columns, any number of rows


def built(kind, path=MODEL):
    context, model = mslite.Context(), kind()
    context.target = ["cpu"]
    model.build_from_file(str(path), mslite.ModelType.MINDIR, context)
    return model


def expected(array, path=MODEL):
    model = built(mslite.Model, path)
    model.resize(model.get_inputs(), [list(array.shape)])
    tensors = model.get_inputs()
    tensors[0].set_data_from_numpy(array)
    return model.predict(tensors)[0].get_data_to_numpy().copy()


@pytest.fixture
def arrays():
    return np.random.RandomState(4).standard_normal((3, 4, 256)).astype(np.float32)


def test_what_changes_in_an_inputs_memory_is_predicted(arrays):
    model, given = built(Model), arrays[0].copy()
    tensors = model.get_inputs()
    tensors[0].set_data_from_numpy(given)
    for array in (*arrays, *arrays):
        given[:] = array
        (output,) = model.predict(tensors)
        assert np.array_equal(output.get_data_to_numpy(), expected(array))


def test_an_output_holds_its_memory(arrays):
    """Somebody may read it after the Model is gone."""
    array, tensor = arrays[0].copy(), mslite.Tensor()
    tensor.dtype, tensor.shape = mslite.DataType.FLOAT32, list(array.shape)
    output, place = Output(tensor._tensor, array), weakref.ref(array)
    del array
    found = output.get_data_to_numpy()
    del output, tensor
    assert place() is not None
    assert np.array_equal(found, arrays[0])
    del found
    assert place() is None


def test_locked_pages_stay(monkeypatch):
    """Another array at the same address would be taken for one whose pages are locked."""
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: mock.Mock())
    monkeypatch.setattr(memory, "LOCKED", type(memory.LOCKED)())
    array = np.ones(memory.WORTH, np.uint8)
    place = weakref.ref(array)
    memory.lock_pages([array])
    del array
    assert place() is not None


def test_another_array_takes_the_place_of_the_first(arrays):
    model = built(Model)
    for array in (*arrays, *arrays):
        (tensor,) = model.get_inputs()
        tensor.set_data_from_numpy(array)
        assert np.array_equal(tensor.get_data_to_numpy(), array)
        assert np.array_equal(model.predict([tensor])[0].get_data_to_numpy(), expected(array))


def test_as_many_tensors_as_inputs_are_wanted(arrays):
    model = built(Model)
    (tensor,) = model.get_inputs()
    tensor.set_data_from_numpy(arrays[0])
    for _ in range(3):
        model.predict([tensor])
        with pytest.raises(RuntimeError):
            model.predict([])


def test_tensors_of_the_callers_own_are_taken_too(arrays):
    model, own = built(Model), mslite.Tensor()
    (tensor,) = model.get_inputs()
    own.name, own.dtype, own.shape = tensor.name, tensor.dtype, tensor.shape
    for array in arrays:
        tensor.set_data_from_numpy(arrays[0])
        own.set_data_from_numpy(array)
        assert np.array_equal(model.predict([own])[0].get_data_to_numpy(), expected(array))
        assert np.array_equal(model.predict([tensor])[0].get_data_to_numpy(), expected(arrays[0]))


@pytest.mark.parametrize("wrong", [lambda x: x.astype(np.float64), lambda x: x[:2], lambda x: x.T])
def test_an_array_that_does_not_fit_is_refused(arrays, wrong):
    (tensor,) = built(Model).get_inputs()
    with pytest.raises(RuntimeError, match="takes float32, 4096 bytes"):
        tensor.set_data_from_numpy(wrong(arrays[0]))


def test_a_resized_model_predicts_in_its_new_shape():
    model = built(Model, OPEN)
    for rows in (2, 5, 2):
        array = np.arange(rows * 8, dtype=np.float32).reshape(rows, 8)
        model.resize(model.get_inputs(), [[rows, 8]])
        tensors = model.get_inputs()
        tensors[0].set_data_from_numpy(array)
        for _ in range(2):
            assert np.array_equal(model.predict(tensors)[0].get_data_to_numpy(), expected(array, OPEN))
    assert {shape for _, shape in model.arrays} == {(2, 8), (5, 8)}  # one memory for each, whenever it comes back
