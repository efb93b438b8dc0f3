"""Serve a sharded model over the Open Inference Protocol: REST on port 8080, gRPC on 8081, metrics at /metrics.

    examples/serve --model_path=models/MiniLM.mindir        # examples/serve.py in .venv-serve, which it makes once
    curl localhost:8080/v2/models/MiniLM/ready
    curl localhost:8080/v2/models/MiniLM                    # what it takes and gives

Requests that come together go through the model as one batch. When a rank fails, what is under way is answered with
503, the model isn't ready, and its ranks start again. Options that aren't listed here are run.sh's.
"""

import asyncio
import logging
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.errors import InvalidInput, ModelNotReady
from kserve.utils.numpy_codec import from_np_dtype
from kserve.utils.utils import generate_uuid

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root))
from suite import RankError, Service  # noqa: E402  (found only now)
from suite.parsers import as_options, new_parser  # noqa: E402  (found only now)


class NotReady(ModelNotReady):
    """503 over HTTP and, as it has a reason, UNAVAILABLE over gRPC."""

    def __init__(self, name, why):
        super().__init__(name, why)
        self.reason = str(self)


class Sharded(Model):
    """A Service, as the server wants a model to be."""

    def __init__(self, name, service):
        super().__init__(name)
        self.service, self.ready = service, True

    async def healthy(self):
        return self.service.is_ready

    def load(self):
        raise NotReady(self.name, "its ranks are being started again: come back")

    def get_input_types(self):
        return [described(value) for value in self.service.inputs]

    def get_output_types(self):
        return [described(value) for value in self.service.outputs]

    async def predict(self, payload, headers=None, response_headers=None):
        if not isinstance(payload, InferRequest):
            raise InvalidInput(f"POST to /v2/models/{self.name}/infer, with Content-Type: application/json")
        try:
            arrays = {given.name: given.as_numpy() for given in payload.inputs}
            outputs = await asyncio.wrap_future(self.service.submit(arrays))
        except RankError as error:
            raise NotReady(self.name, str(error).splitlines()[-1]) from None
        except (TypeError, ValueError) as error:
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
    given = parser.add_argument_group("server")
    model_path, what = str(root / "models" / "Matmul.mindir"), "the sharded model (default: models/Matmul.mindir)"
    given.add_argument("--model_path", default=model_path, metavar="X.mindir", help=what)
    given.add_argument("--model_name", metavar="NAME", help="its name in addresses (default: X)")
    given.add_argument("--http_port", type=int, default=8080, metavar="PORT", help="for REST (default: 8080)")
    given.add_argument("--grpc_port", type=int, default=8081, metavar="PORT", help="for gRPC (default: 8081)")
    what = "milliseconds in which a request waits for others, to share a batch with them (default: 5)"
    given.add_argument("--wait", type=float, default=5, metavar="MS", help=what)
    what = "start the ranks again so often before a request has been answered, and then end (default: 3)"
    given.add_argument("--starts", type=int, default=3, metavar="N", help=what)
    args, words = parser.parse_known_args()
    name = args.model_name or Path(args.model_path).stem
    try:
        end = {"at_end": lambda: os.kill(os.getpid(), signal.SIGTERM)}
        service = Service(args.model_path, args.wait / 1000, args.starts, **end, **as_options(words))
    except ValueError as error:
        parser.error(str(error))
    except RankError as error:
        print(error, file=sys.stderr)
        sys.exit(error.status)
    with service:
        warnings.filterwarnings("ignore", "ORJSONResponse is deprecated")  # the server's own, of which it will learn
        server = ModelServer(http_port=args.http_port, grpc_port=args.grpc_port, enable_latency_logging=False)
        levels = {"kserve": "CRITICAL", "kserve.trace": "ERROR", "uvicorn.access": "ERROR", "uvicorn.error": "ERROR"}
        for logger, level in levels.items():  # or there are lines for each request, and a trace for each 503
            logging.getLogger(logger).setLevel(level)
        model = Sharded(name, service)
        server.dataplane.ready = model.healthy  # it says yes, whatever its models say
        batch = f"batches of {service.rows} rows" if service.rows else "one request at a time"
        what = f"{name}, {service.ranks} ranks on {service.backend}, {batch}"
        print(f"serve: {what}; REST on port {args.http_port}, gRPC on {args.grpc_port}", file=sys.stderr, flush=True)
        server.start([model])
    if service.error:
        print(f"{service.error}\nserve: {args.starts} starts in a row have failed", file=sys.stderr)
        sys.exit(service.error.status)


if __name__ == "__main__":
    main()
