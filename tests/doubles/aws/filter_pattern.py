"""Filter patterns of CloudWatch Logs, as the user guide describes them.

Terms (`ERROR`, `"a phrase"`, all must be there), `?A ?B` (any), `-A` (none),
`{ $.path op value && … }` on JSON.  The space-delimited form and %regex%
are refused in words.
"""
import fnmatch
import json
import re

from core import AwsError

TERM = re.compile(r'\s*([?-]?)(?:"((?:\\.|[^"\\])*)"|([^\s"]+))')
TOKEN = re.compile(r'\s*(\(|\)|&&|\|\||!=|<=|>=|=|<|>|"(?:\\.|[^"\\])*"'
                   r'|[^\s()"=<>!&|]+)')


def bad(why):
    return AwsError("InvalidParameterException",
                    f"Invalid filter pattern: {why}")


def compile(pattern):
    """A function text -> bool."""
    pattern = pattern.strip()
    if not pattern:
        return lambda text: True
    if pattern.startswith("{"):
        if not pattern.endswith("}"):
            raise bad("'}' is missing")
        return Json(pattern[1:-1]).matches
    if pattern.startswith("[") or "%" in pattern:
        raise bad("this form is not known to the double")
    return terms(pattern)


def terms(pattern):
    groups = {"": [], "?": [], "-": []}
    at = 0
    while at < len(pattern):
        match = TERM.match(pattern, at)
        if not match:
            raise bad(f"at character {at}")
        sign, quoted, bare = match.groups()
        if quoted is None and not re.fullmatch(r"[\w.*:/@-]+", bare):
            raise bad(f"'{bare}' must be quoted")
        text = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        groups[sign].append(text)
        at = match.end()
    return lambda text: (all(t in text for t in groups[""])
                         and not any(t in text for t in groups["-"])
                         and (not groups["?"]
                              or any(t in text for t in groups["?"])))


class Json:
    """Recursive descent: or := and (|| and)*, and := atom (&& atom)*."""

    def __init__(self, text):
        self.tokens = []
        at = 0
        text = text.strip()
        while at < len(text):
            match = TOKEN.match(text, at)
            if not match:
                raise bad(f"at character {at}")
            self.tokens.append(match.group(1))
            at = match.end()
        self.test = self.alternatives()
        if self.tokens:
            raise bad(f"'{self.tokens[0]}' is not expected")

    def matches(self, text):
        try:
            value = json.loads(text)
        except ValueError:
            return False
        return isinstance(value, dict) and self.test(value)

    def next(self):
        if not self.tokens:
            raise bad("it ends too early")
        return self.tokens.pop(0)

    def alternatives(self):
        tests = [self.conjunction()]
        while self.tokens and self.tokens[0] == "||":
            self.next()
            tests.append(self.conjunction())
        return lambda value: any(t(value) for t in tests)

    def conjunction(self):
        tests = [self.atom()]
        while self.tokens and self.tokens[0] == "&&":
            self.next()
            tests.append(self.atom())
        return lambda value: all(t(value) for t in tests)

    def atom(self):
        token = self.next()
        if token == "(":
            test = self.alternatives()
            if self.next() != ")":
                raise bad("')' is missing")
            return test
        if not token.startswith("$."):
            raise bad(f"'{token}' is no selector")
        return self.comparison(token[2:].split("."), self.next())

    def comparison(self, path, operator):
        if operator == "IS":
            wanted = {"NULL": None, "TRUE": True, "FALSE": False}
            word = self.next()
            return lambda value: select(value, path, "none") is wanted[word]
        if operator == "NOT" and self.next() == "EXISTS":
            return lambda value: select(value, path, bad) is bad
        if operator in ("=", "!="):
            test = equality(self.next())
            return lambda value: (test(select(value, path, None))
                                  == (operator == "="))
        if operator in ("<", ">", "<=", ">="):
            return order(operator, path, self.next())
        raise bad(f"'{operator}' is no operator")


def select(value, path, default):
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return default
        value = value[name]
    return value


def equality(word):
    if re.fullmatch(r"-?\d+(\.\d+)?", word):
        number = float(word)
        return lambda v: isinstance(v, (int, float)) and v == number
    glob = re.sub(r"\\(.)", r"\1", word.strip('"')).replace("[", "[[]")
    return lambda v: isinstance(v, str) and fnmatch.fnmatchcase(v, glob)


def order(operator, path, word):
    try:
        number = float(word)
    except ValueError:
        raise bad(f"'{word}' is no number") from None
    compare = {"<": float.__lt__, ">": float.__gt__, "<=": float.__le__,
               ">=": float.__ge__}[operator]

    def test(value):
        found = select(value, path, None)
        return isinstance(found, (int, float)) and compare(float(found),
                                                           number)
    return test
