"""Clients of examples/serve.py, in its environment: each sends random rows and compares the answers with float64.

    serve_client.py HTTP_PORT GRPC_PORT MODEL WEIGHT.npy CLIENTS

Every other one uses gRPC. Prints "begun" once each has had an answer, goes on until stdin ends, and then prints as JSON
how many answers were right, what was wrong, and [began, ended, status] of each request that failed, by time.time().
"""

import json
import sys
import threading
import time

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException


class Client:
    def __init__(self, number, ports, model, weight):
        self.model, self.weight, self.draw = model, weight, np.random.RandomState(number)
        self.api = (tritonclient.http, tritonclient.grpc)[number % 2]
        self.server = self.api.InferenceServerClient(f"localhost:{ports[number % 2]}")
        (self.name,) = [value["name"] if number % 2 == 0 else value.name for value in self.metadata("inputs")]
        (self.output,) = [value["name"] if number % 2 == 0 else value.name for value in self.metadata("outputs")]
        self.right, self.wrong, self.failed = 0, [], []

    def metadata(self, key):
        found = self.server.get_model_metadata(self.model)
        return found[key] if isinstance(found, dict) else getattr(found, key)

    def send_rows(self):
        x = self.draw.standard_normal((self.draw.randint(1, 7), len(self.weight))).astype(np.float32)
        given = self.api.InferInput(self.name, list(x.shape), "FP32")
        given.set_data_from_numpy(x)
        began = time.time()
        try:
            found = self.server.infer(self.model, [given]).as_numpy(self.output)
        except InferenceServerException as error:
            self.failed.append([began, time.time(), str(error.status())])
            time.sleep(0.05)
            return
        expected = x.astype(np.float64) @ self.weight
        if found.shape == expected.shape and np.max(np.abs(found - expected)) <= 1e-5 * np.max(np.abs(expected)):
            self.right += 1
        else:
            self.wrong.append([x.tolist(), found.tolist()])


def main():
    *ports, model, weight, count = sys.argv[1:]
    weight, found, over = np.load(weight).astype(np.float64), [], threading.Event()
    begun = threading.Barrier(int(count) + 1)

    def run_client(number):  # a client is made and used in one thread
        client = Client(number, ports, model, weight)
        found.append(client)
        try:
            client.send_rows()
            begun.wait()
            while not over.is_set():
                client.send_rows()
        except Exception as error:
            client.wrong.append(repr(error))
            begun.abort()
            raise

    threads = [threading.Thread(target=run_client, args=(number,)) for number in range(int(count))]
    for thread in threads:
        thread.start()
    begun.wait()
    print("begun", flush=True)
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    lists = {key: sum((getattr(client, key) for client in found), []) for key in ("wrong", "failed")}
    print(json.dumps({"right": [client.right for client in found], **lists}))


if __name__ == "__main__":
    main()
