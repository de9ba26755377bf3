"""Ordered misfortune: what goes wrong, where, at which call, how often.

A fault is a JSON object:
  kind         one of the table below, or a word that a part asks for
  service      "ecs"; any API when absent; "registry" for the data plane of
               ECR, "metadata" for credentials of instances and containers
  operation    "UpdateService", "PUT manifests", a path of the metadata; any
               when absent
  subject      what take() is asked about (a task family, a container name)
  skip         let that many matching calls pass first
  times        then strike that often; for ever when absent
  probability  of striking, by a seeded generator; 1 when absent
and the options of its kind.
"""
import random
import threading

# Kinds that the API and the registry know, with their options.
REQUEST_KINDS = {
    "throttle": "ThrottlingException; retry_after_ms: x-amz-retry-after",
    "error": "code, message, status",
    "access-denied": "names the action",
    "expired-token": "whatever the key says",
    "http-500": "an HTML page, as a proxy answers",
    "http-503": "the same",
    "delay": "seconds (unscaled), then the true answer",
    "reset": "the connection is reset before anything is done",
    "lost-reply": "the operation is done, then the connection is reset",
    "truncate": "the operation is done, the answer ends after `bytes`",
}


class Faults:
    def __init__(self, seed):
        self.lock = threading.Lock()
        self.random = random.Random(seed)
        self.list = []

    def order(self, fault):
        if not isinstance(fault.get("kind"), str):
            raise ValueError("a fault needs a kind")
        with self.lock:
            self.list.append({**fault, "seen": 0, "struck": 0})

    def clear(self):
        with self.lock:
            self.list.clear()

    def all(self):
        with self.lock:
            return [dict(fault) for fault in self.list]

    def strikes(self, fault):
        fault["seen"] += 1
        if fault["seen"] <= fault.get("skip", 0):
            return False
        if fault["struck"] >= fault.get("times", float("inf")):
            return False
        if self.random.random() >= fault.get("probability", 1):
            return False
        fault["struck"] += 1
        return True

    def first(self, matches):
        with self.lock:
            for fault in self.list:
                if matches(fault) and self.strikes(fault):
                    return dict(fault)
        return None

    def of_request(self, service, operation):
        """The fault that hits this call, or None."""
        api = service not in ("registry", "metadata")
        return self.first(lambda f: f["kind"] in REQUEST_KINDS
                          and f.get("service", service if api else None)
                          == service
                          and f.get("operation", operation) == operation)

    def take(self, kind, subject=None):
        """For the parts behind the API: the ordered fault, or None."""
        return self.first(lambda f: f["kind"] == kind
                          and f.get("subject", subject) == subject)
