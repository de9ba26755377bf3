#!/usr/bin/python3
"""Push crafted packs over SSH and compare what the server answers.

  packs.py APP SSH-COMMAND...   the command up to the host: ssh -p 2222 git@host

Each case is a pack made here from scratch, a ref to create, and whether the
push is accepted (None: either, but it is answered).  TAP on stdout.  Nothing is shared with what it tests.
"""
import hashlib
import os
import struct
import subprocess
import sys
import zlib

COMMIT, TREE, BLOB, TAG, OFS_DELTA, REF_DELTA = 1, 2, 3, 4, 6, 7
NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}
ZERO = "0" * 40
ANSWER_S = 60


def oid(kind, data):
    head = NAMES[kind] + b" %d\0" % len(data)
    return hashlib.sha1(head + data).digest()


def entry(kind, data, size=None, base=b""):
    """One object of a pack; `size` may lie, `base` goes before the data."""
    size = len(data) if size is None else size
    byte = kind << 4 | size & 15
    size >>= 4
    out = bytearray()
    while size:
        out.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    out.append(byte)
    return bytes(out) + base + zlib.compress(data, 9)


def pack(*entries, count=None, junk=b"", trailer=None):
    body = b"PACK" + struct.pack(">II", 2,
                                 len(entries) if count is None else count)
    body += b"".join(entries)
    return body + (trailer or hashlib.sha1(body).digest()) + junk


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def insert(base_size, text):
    """A delta that ignores its base and spells `text` out."""
    out = varint(base_size) + varint(len(text))
    for i in range(0, len(text), 127):
        part = text[i:i + 127]
        out += bytes([len(part)]) + part
    return out


def tree(*entries):
    """(mode, name, id) in the order given."""
    return b"".join(mode + b" " + name + b"\0" + i for mode, name, i in entries)


def commit(tree_id, parents=(), head=None, tail=b"message\n"):
    who = b"A U Thor <a@example.com> 1700000000 +0000\n"
    lines = b"tree " + tree_id.hex().encode() + b"\n"
    for p in parents:
        lines += b"parent " + p.hex().encode() + b"\n"
    lines += head if head is not None else (b"author " + who +
                                            b"committer " + who)
    return lines + b"\n" + tail


def whole(blob=b"hello\n", entries=None, more=()):
    """A commit with its tree and blob; (pack, id of the commit)."""
    b = oid(BLOB, blob)
    t = tree(*(entries(b) if entries else [(b"100644", b"file", b)]))
    c = commit(oid(TREE, t))
    return (pack(entry(BLOB, blob), entry(TREE, t), entry(COMMIT, c), *more),
            oid(COMMIT, c))


def named(name, mode=b"100644"):
    return whole(entries=lambda b: [(mode, name, b)])


def odd_commit(**how):
    blob = b"hello\n"
    t = tree((b"100644", b"file", oid(BLOB, blob)))
    c = commit(oid(TREE, t), **how)
    return (pack(entry(BLOB, blob), entry(TREE, t), entry(COMMIT, c)),
            oid(COMMIT, c))


def delta_that_gives(kind, base, result):
    d = insert(len(base), result)
    return (pack(entry(kind, base),
                 entry(REF_DELTA, d, base=oid(kind, base))), oid(kind, base))


def lying_size(size):
    blob = b"hello, this is a blob\n"
    return pack(entry(BLOB, blob, size=size)), oid(BLOB, blob)


def delta_cycle():
    x, y = b"x" * 40, b"y" * 40
    return (pack(entry(REF_DELTA, insert(40, x), base=oid(BLOB, y)),
                 entry(REF_DELTA, insert(40, y), base=oid(BLOB, x))),
            oid(BLOB, x))


def delta_bomb():
    base = b"\0" * (16 << 20)
    size = 1 << 30
    copies = size // 0xFFFFFF
    # Copy 0xffffff bytes from offset 0, again and again.
    d = varint(len(base)) + varint(copies * 0xFFFFFF)
    d += b"\xf0\xff\xff\xff" * copies
    return (pack(entry(BLOB, base), entry(REF_DELTA, d, base=oid(BLOB, base))),
            oid(BLOB, base))


def delta_chain(length):
    text = b"start"
    entries = [entry(BLOB, text)]
    for i in range(length):
        new = b"link %d" % i
        entries.append(entry(REF_DELTA, insert(len(text), new),
                             base=oid(BLOB, text)))
        text = new
    t = tree((b"100644", b"file", oid(BLOB, text)))
    c = commit(oid(TREE, t))
    return (pack(*entries, entry(TREE, t), entry(COMMIT, c)), oid(COMMIT, c))


def without(missing):
    blob = b"not sent: " + missing.encode()
    t = tree((b"100644", b"file", oid(BLOB, blob)))
    parents = [oid(COMMIT, b"no such commit")] if missing == "parent" else []
    c = commit(oid(TREE, t), parents)
    parts = {"blob": entry(BLOB, blob), "tree": entry(TREE, t)}
    parts.pop(missing, None)
    return pack(*parts.values(), entry(COMMIT, c)), oid(COMMIT, c)


def cases():
    good, good_id = whole()
    blob = b"hello\n"
    yield "a plain commit", True, (good, good_id)
    yield "a submodule", True, whole(
        entries=lambda b: [(b"160000", b"sub", b)])
    yield "a delta chain of 2000", True, delta_chain(2000)
    yield "a blob of 512 MiB in half a megabyte", True, whole(b"\0" * (1 << 29))
    yield "a delta that gives its own base again", False, \
        delta_that_gives(BLOB, blob, blob)
    yield "a delta that gives a malformed tree", False, \
        delta_that_gives(TREE, tree((b"100644", b"f", oid(BLOB, blob))),
                         b"no tree at all")
    yield "a declared size that is too small", False, lying_size(5)
    yield "a declared size that is too large", False, lying_size(500)
    for name in (b".git", b".GiT", ".g\u200cit".encode(), b"git~1", b".",
                 b"..", b"a/../../etc/passwd"):
        yield f"a tree entry called {ascii(name.decode())}", False, named(name)
    yield "a submodule called ../../x", False, whole(
        b'[submodule "../../x"]\n\tpath = x\n\turl = https://example.com/x\n',
        lambda b: [(b"100644", b".gitmodules", b)])
    yield "a submodule with the URL -u./evil", False, whole(
        b'[submodule "x"]\n\tpath = x\n\turl = -u./evil\n',
        lambda b: [(b"100644", b".gitmodules", b)])
    yield "a .gitmodules that is a link", False, named(b".gitmodules",
                                                       b"120000")
    yield "a .gitattributes with an overlong line", False, whole(
        b"x" * 5000 + b" text\n", lambda b: [(b"100644", b".gitattributes", b)])
    yield "two entries of one name", False, whole(
        entries=lambda b: [(b"100644", b"a", b), (b"100644", b"a", b)])
    yield "entries out of order", False, whole(
        entries=lambda b: [(b"100644", b"b", b), (b"100644", b"a", b)])
    yield "a mode with a zero in front", False, named(b"file", b"0100644")
    yield "a folder that is a file", False, named(b"dir", b"40000")
    b = oid(BLOB, blob)
    c = commit(b)
    yield "a commit whose tree is a blob", False, (
        pack(entry(BLOB, blob), entry(COMMIT, c)), oid(COMMIT, c))
    who = b"A <a@example.com> 1700000000 +0000\n"
    yield "two authors", False, odd_commit(
        head=b"author " + who + b"author " + who + b"committer " + who)
    yield "no committer", False, odd_commit(head=b"author " + who)
    yield "an author without an address", False, odd_commit(
        head=b"author A 1700000000 +0000\ncommitter " + who)
    yield "a NUL in the head of a commit", False, odd_commit(
        head=b"author A\0 <a@example.com> 1700000000 +0000\ncommitter " + who)
    for missing in ("blob", "tree", "parent"):
        yield f"a {missing} that is missing", False, without(missing)
    yield "fewer objects than announced", False, (
        pack(entry(BLOB, blob), count=2), b)
    yield "a wrong checksum", False, (
        pack(entry(BLOB, blob), trailer=b"\1" * 20), b)
    # Refused when they come in one read with the end, else never read.
    yield "bytes behind the end", None, (
        pack(entry(BLOB, blob), junk=b"junk" * 100), b)
    yield "a delta against nothing", False, (
        pack(entry(REF_DELTA, insert(5, b"text"), base=b"\2" * 20)), b)
    yield "a delta before the beginning", False, (
        pack(entry(OFS_DELTA, insert(5, b"text"), base=b"\xff\x7f")), b)
    yield "deltas that need one another", False, delta_cycle()
    yield "4294967295 objects announced", False, (
        pack(entry(BLOB, blob), count=0xFFFFFFFF), b)
    yield "much more data than declared", False, (
        pack(entry(BLOB, b"\0" * (64 << 20), size=10)), b)
    # The sanitizers' build cannot limit memory: see base/proc.c.
    is_asan = os.environ.get("VARIANT") == "asan"
    yield "a delta of 16 MiB to 1 GiB", None if is_asan else False, \
        delta_bomb()
    yield "no pack at all", False, (b"", b)
    yield "text in the place of a pack", False, (b"GET / HTTP/1.1\r\n" * 9, b)
    yield "half a pack", False, (good[:len(good) // 2], good_id)
    yield "and a plain commit again", True, whole(b"after all that\n")


def pkt(data):
    return b"%04x" % (len(data) + 4) + data


def packets(data):
    """The payloads of a stream of pkt-lines, as far as it goes."""
    out = []
    while len(data) >= 4:
        size = int(data[:4], 16)
        out.append(data[4:size] if size else None)
        data = data[max(size, 4):]
    return out


def push(ssh, app, ref, new, data):
    """(accepted, what the server said)."""
    child = subprocess.Popen([*ssh, f"git-receive-pack '{app}'"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    request = pkt(f"{ZERO} {new.hex()} {ref}\0report-status".encode()) + b"0000"
    try:
        out, err = child.communicate(request + data, timeout=ANSWER_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return False, "no answer in time", True
    lines = packets(out)
    report = lines[lines.index(None) + 1:] if None in lines else []
    said = b" | ".join(p for p in report if p) + b" || " + err[-600:]
    accepted = b"unpack ok\n" in report and any(
        p and p.startswith(b"ok " + ref.encode()) for p in report)
    return accepted, said.decode(errors="replace"), False


def main():
    app, ssh = sys.argv[1], sys.argv[2:]
    number = failed = 0
    for name, expected, (data, new) in cases():
        number += 1
        accepted, said, hung = push(ssh, app, f"refs/tags/case-{number}", new,
                                    data)
        good = expected in (accepted, None) and not hung
        failed += not good
        verdict = {True: "accepted", False: "refused", None: "answered"}[
            expected]
        print(f"{'ok' if good else 'not ok'} {number} - {verdict}: {name}")
        if not good:
            print("# " + said.replace("\n", "\n# "))
        sys.stdout.flush()
    print(f"1..{number}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
