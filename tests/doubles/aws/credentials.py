"""Access keys: one static, any number of temporary ones with a token.

Lifetimes are not scaled: clients refresh by the wall clock, 15 minutes ahead.
A test that wants an early end orders it through the admin endpoint.
"""
import secrets
import threading

# EC2 user guide, "IAM roles for Amazon EC2": about every 6 hours.
METADATA_LIFETIME_S = 6 * 3600
USER = "user/slipway"


class Key:
    def __init__(self, id, secret, token, principal, expires):
        self.id = id
        self.secret = secret
        self.token = token          # None for the static key
        self.principal = principal  # ARN as GetCallerIdentity tells it
        self.expires = expires      # epoch seconds, None: never


def random_id(prefix):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return prefix + "".join(secrets.choice(letters) for _ in range(16))


class Credentials:
    def __init__(self, world):
        self.world = world
        self.lock = threading.Lock()
        self.keys = {}
        self.of_role = {}
        self.lifetime_s = METADATA_LIFETIME_S
        self.static = self.add("AKIA", None,
                               f"arn:aws:iam::{world.account}:{USER}", None)

    def add(self, prefix, token, principal, expires):
        key = Key(random_id(prefix), secrets.token_urlsafe(30), token,
                  principal, expires)
        with self.lock:
            self.keys[key.id] = key
        return key

    def find(self, access_key):
        with self.lock:
            return self.keys.get(access_key)

    def temporary(self, role_name, session, lifetime_s):
        principal = (f"arn:aws:sts::{self.world.account}:assumed-role/"
                     f"{role_name}/{session}")
        # Tokens of AWS are long and full of what needs escaping.
        token = "IQoJ+/" + secrets.token_urlsafe(300) + "=="
        return self.add("ASIA", token, principal,
                        int(self.world.clock.now()) + lifetime_s)

    def for_role(self, role_name, session):
        """What the metadata services tell: the same until it is stale."""
        with self.lock:
            key = self.of_role.get(role_name)
        if key is None or key.expires < self.world.clock.now() + 60:
            key = self.temporary(role_name, session, self.lifetime_s)
            with self.lock:
                self.of_role[role_name] = key
        return key

    def expire(self, seconds):
        """All temporary keys end that soon, whatever was promised."""
        with self.lock:
            for key in self.keys.values():
                if key.token:
                    key.expires = self.world.clock.now() + seconds
            self.of_role.clear()

    def rotate(self):
        """All temporary keys are unknown at once."""
        with self.lock:
            self.keys = {k: v for k, v in self.keys.items() if not v.token}
            self.of_role.clear()
