"""What TensorRT builds a rank's engine from: the shard with collectives that it has, a precision, and a cache.

An engine is kept in a folder under a name that stands for all that it depends on, with its SHA-256 beside it. It is
used only if every rank has one that is complete: TensorRT runs the collectives while it builds, so ranks that build
would wait for ranks that don't.
"""

import configparser
import contextlib
import ctypes
import glob
import hashlib
import os
import tempfile

import mindspore_lite as mslite

import mindir
import ranks
from suite import kept, reading

SECTION = "gpu_context"  # of mindspore_lite's configuration file
PRECISION_MODE = {"fp32": "enforce_fp32", "fp16": "preferred_fp16"}


@contextlib.contextmanager
def prepared(comm, context, model_path, config_file="", precision=None, cache=None):
    """Yield the (model path, configuration file) to build this rank's engine from; keep the built engine in `cache`.

    Raises Stop (status 2) if the shard can't be built. All ranks enter and leave it together.
    """
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        config = _configuration(config_file, precision, cache)
        path = _in_known_collectives(model_path, comm.size, config, folder)
        place = _place(cache, comm, context, path, config) if cache else None
        found = place and all(comm.allgather(kept.is_whole(place)))
        built = os.path.join(folder, "engine")
        if cache:
            config[SECTION]["serialize_path"] = place if found else built
        written = os.path.join(folder, "config.ini")
        with open(written, "w") as file:
            config.write(file, space_around_delimiters=False)
        yield path, written
        if cache and not found:
            engines = sorted(glob.glob(f"{glob.escape(built)}_trt*"))
            kept.keep_files(place, {engine: engine[len(built) :] for engine in engines})


def _in_known_collectives(model_path, count, config, folder):
    """Copy the shard to `folder` with the collectives that TensorRT has, in two dimensions; return the path."""
    shard, mode = reading.load(model_path), config[SECTION]["precision_mode"]
    mindir.check_tensorrt(shard)
    if shard.collectives and mode != PRECISION_MODE["fp32"]:
        raise ranks.Stop(
            ranks.REFUSED,
            f"{model_path}: precision {mode} isn't safe with collectives ({shard.collectives[0].node}): mindspore_lite "
            "tells TensorRT that they take any mixture of types, and each rank times them for itself, so that ranks "
            "wait for each other or exchange different types: use fp32",
        )
    mindir.in_two_dimensions(mindir.split_all_reduce(mindir.repair(shard, "gpu"), count))
    return mindir.save(shard, folder)


def _configuration(config_file, precision, cache):
    """Return the user's configuration with this precision in it."""
    config = configparser.ConfigParser(delimiters="=", comment_prefixes="#", interpolation=None, default_section="")
    config.optionxform = str  # keys as they are written
    try:
        if config_file:
            with open(config_file) as file:  # mindspore_lite reads an indented line like any other
                config.read_file((line.strip() for line in file), config_file)
    except (OSError, UnicodeError, configparser.Error) as error:
        raise ranks.Stop(ranks.REFUSED, f"--config_file {config_file}: can't be read: {error}") from None
    if not config.has_section(SECTION):
        config.add_section(SECTION)
    mode = config[SECTION].get("precision_mode", PRECISION_MODE[precision or "fp32"])
    if precision and mode != PRECISION_MODE[precision]:
        raise ranks.Stop(
            ranks.REFUSED,
            f"{config_file}: precision_mode={mode}, but --precision {precision}: drop one of them",
        )
    if cache and "serialize_path" in config[SECTION]:
        raise ranks.Stop(ranks.REFUSED, f"{config_file}: serialize_path, but --engine_cache too: drop one of them")
    config[SECTION]["precision_mode"] = mode
    return config


def _place(cache, comm, context, model_path, config):
    """Make the folder `cache`; return what the names of this rank's engine in it begin with.

    It is the same only for the same model, configuration, number of ranks, versions and kind of card.
    """
    cuda, card = ctypes.CDLL("libcuda.so.1"), ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(card, len(card), context.gpu.device_id)
    tensorrt = ctypes.CDLL("libnvinfer.so.8").getInferLibVersion()
    settings = {section: sorted(config.items(section)) for section in config.sections()}
    digest = hashlib.sha256(repr((mslite.__version__, tensorrt, card.value, comm.rank, comm.size, settings)).encode())
    tensors = mindir.load(model_path).model.graph.parameter
    data = {mindir.data_file(model_path, tensor) for tensor in tensors if tensor.HasField("external_data")}
    for path in [model_path, *sorted(data)]:
        kept.add_file(digest, path)
    kept.make_folder(cache)
    return os.path.join(cache, digest.hexdigest()[:32])
