"""The other server of server.py: all-MiniLM-L6-v2 in one piece, PyTorch, under kserve, as its tutorial has a model.

server_torch.py FOLDER_OF_THE_MODEL HTTP_PORT THREADS
"""

import asyncio
import logging
import sys

import numpy as np
import torch
from kserve import InferOutput, InferResponse, Model, ModelServer
from sentence_transformers import SentenceTransformer


class MiniLM(Model):
    def __init__(self, folder):
        super().__init__("MiniLM")
        self.net, self.ready = SentenceTransformer(folder, device="cpu").eval(), True

    def embed(self, arrays):
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(array.astype(np.int64)) for name, array in arrays.items()}
            return self.net(tensors)["sentence_embedding"].numpy()

    async def predict(self, payload, headers=None, response_headers=None):
        arrays = {given.name: given.as_numpy() for given in payload.inputs}
        found = await asyncio.to_thread(self.embed, arrays)
        answer = InferOutput("embeddings", list(found.shape), "FP32")
        answer.set_data_from_numpy(found, binary_data=True)
        how = {"use_binary_outputs": payload.use_binary_outputs, "requested_outputs": payload.request_outputs}
        return InferResponse(payload.id or "1", self.name, [answer], **how)


folder, port, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
server = ModelServer(http_port=int(port), enable_grpc=False, enable_latency_logging=False)
for logger in ("kserve", "kserve.trace", "uvicorn.access", "uvicorn.error"):
    logging.getLogger(logger).setLevel("CRITICAL")
server.start([MiniLM(folder)])
