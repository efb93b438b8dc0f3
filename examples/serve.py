"""Serve a sharded model over the Open Inference Protocol: REST on port 8080, gRPC on 8081, metrics at /metrics.

    examples/serve --model_path=models/MiniLM.mindir        # examples/serve.py in .venv-serve, which it makes once
    curl localhost:8080/v2/models/MiniLM/ready
    curl localhost:8080/v2/models/MiniLM                    # what it takes and gives

Requests that arrive together go through the model as one batch. When a rank fails, requests that are under way are
answered with 503, the model isn't ready, and its ranks restart. Options that aren't listed here are run.sh's.
"""

import asyncio
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.errors import InvalidInput, ModelNotReady
from kserve.utils.numpy_codec import from_np_dtype
from kserve.utils.utils import generate_uuid

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from suite import RankError
from suite.parsers import new_parser, open_service

ModelNotReady.reason = property(str)  # kserve's gRPC side sends it with UNAVAILABLE, but its class doesn't have it
OPTIONS = {
    "model_name": ("", "NAME", "its name in addresses (default: X)"),
    "http_port": (8080, "PORT", "for REST (default: 8080)"),
    "grpc_port": (8081, "PORT", "for gRPC (default: 8081)"),
}


class Sharded(Model):
    """A Service with the methods that the server expects of a model."""

    def __init__(self, name, service):
        super().__init__(name)
        self.service, self.ready = service, True

    async def healthy(self):
        return self.service.is_ready

    def get_input_types(self):
        return [described(value) for value in self.service.inputs]

    def get_output_types(self):
        return [described(value) for value in self.service.outputs]

    async def predict(self, payload, headers=None, response_headers=None):
        if not isinstance(payload, InferRequest):
            raise InvalidInput(f"POST to /v2/models/{self.name}/infer, with Content-Type: application/json")
        try:
            arrays = {given.name: given.as_numpy() for given in payload.inputs}
            if len(arrays) < len(payload.inputs):
                raise InvalidInput(f"two inputs have one name: {', '.join(given.name for given in payload.inputs)}")
            outputs = await asyncio.wrap_future(self.service.submit(arrays))
        except RankError as error:
            raise ModelNotReady(self.name, str(error).splitlines()[-1]) from None
        except (ArithmeticError, TypeError, ValueError) as error:  # of JSON's numbers, too: 300 as INT8
            raise InvalidInput(str(error)) from None
        is_binary, answers = payload.use_binary_outputs, []
        for name, array in outputs.items():
            answers.append(InferOutput(name, list(array.shape), from_np_dtype(array.dtype)))
            answers[-1].set_data_from_numpy(array, binary_data=is_binary)
        how = {"use_binary_outputs": is_binary, "requested_outputs": payload.request_outputs}
        return InferResponse(payload.id or generate_uuid(), self.name, answers, **how)


def described(value):
    return {"name": value.name, "datatype": from_np_dtype(np.dtype(value.dtype)), "shape": list(value.shape)}


def main():
    parser = new_parser(__doc__)
    with open_service(parser, OPTIONS) as (args, service):
        warnings.filterwarnings("ignore", "ORJSONResponse is deprecated")  # a problem of the server's own
        server = ModelServer(http_port=args.http_port, grpc_port=args.grpc_port, enable_latency_logging=False)
        levels = {"kserve": "CRITICAL", "kserve.trace": "ERROR", "uvicorn.access": "ERROR", "uvicorn.error": "ERROR"}
        for logger, level in levels.items():  # else there are lines for each request, and a trace for each 503
            logging.getLogger(logger).setLevel(level)
        model = Sharded(args.model_name or Path(args.model_path).stem, service)
        server.dataplane.ready = model.healthy  # its own says yes, whatever its models say
        where = f"REST on port {args.http_port}, gRPC on {args.grpc_port}"
        print(f"serve: {model.name}, {service}; {where}", file=sys.stderr, flush=True)
        server.start([model])


if __name__ == "__main__":
    main()
