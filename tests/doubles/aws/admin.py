"""The tests' own endpoint: journal, faults, time, credentials.

GET    /journal?since=N       entries after the Nth, as a JSON list
GET    /faults                what is ordered, with how often it struck
POST   /faults                order one, or a list of them (see faults.py)
DELETE /faults                forget them all
POST   /clock                 {"skew": seconds}: shift what the double says
                              and believes the time is
                              {"scale": n}: of what takes time from now on
POST   /credentials           {"expire_in": seconds}: of all temporary keys
                              {"rotate": true}: temporary keys are unknown
                              {"lifetime": seconds}: of the metadata's keys
POST   /registry              {"expire_tokens": true}: of the data plane
"""
import json
import urllib.parse

from web import Handler


class AdminHandler(Handler):
    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        action = getattr(self, f"{self.command.lower()}_"
                         + url.path.strip("/").replace("/", "_"), None)
        body = self.body()
        if action is None or body is None:
            self.reply_json(404, {"error": "no such thing"})
            return
        try:
            value = json.loads(body) if body else {}
            query = dict(urllib.parse.parse_qsl(url.query))
            self.reply_json(200, action(query, value))
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            self.reply_json(400, {"error": str(e)})

    def get_journal(self, query, value):
        return self.world.journal.since(int(query.get("since", 0)))

    def get_faults(self, query, value):
        return self.world.faults.all()

    def post_faults(self, query, value):
        for fault in value if isinstance(value, list) else [value]:
            self.world.faults.order(fault)

    def delete_faults(self, query, value):
        self.world.faults.clear()

    def post_clock(self, query, value):
        clock = self.world.clock
        if "skew" in value:
            clock.skew = float(value["skew"])
        if "scale" in value:
            clock.scale = float(value["scale"])

    def post_credentials(self, query, value):
        credentials = self.world.credentials
        if "expire_in" in value:
            credentials.expire(float(value["expire_in"]))
        if "lifetime" in value:
            credentials.lifetime_s = int(value["lifetime"])
        if value.get("rotate"):
            credentials.rotate()

    def post_registry(self, query, value):
        if value.get("expire_tokens"):
            self.world.ecr.expire_tokens()
