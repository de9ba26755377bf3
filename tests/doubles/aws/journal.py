"""Every request in one file, DATA/journal.jsonl; sensitive members are ***."""
import json
import threading


class Journal:
    def __init__(self, path, clock):
        self.clock = clock
        self.lock = threading.Lock()
        self.entries = []
        self.file = open(path, "a", encoding="utf-8")

    def note(self, kind, **fields):
        """Add a line; anything that JSON can carry."""
        with self.lock:
            entry = {"seq": len(self.entries) + 1,
                     "time": round(self.clock.now(), 3), "kind": kind,
                     **fields}
            self.entries.append(entry)
            self.file.write(json.dumps(entry, default=str) + "\n")
            self.file.flush()

    def since(self, seq):
        with self.lock:
            return self.entries[seq:]

    def close(self):
        with self.lock:
            self.file.close()
