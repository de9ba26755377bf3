"""CloudWatch Logs: groups, streams, and two ways of reading that differ.

GetLogEvents reads one stream at once and its token stays the same at the
end.  FilterLogEvents reads all, sees an event only after it was ingested,
answers with empty pages in between, and ends without a token.
"""
import bisect
import hashlib

import filter_pattern
from core import AwsError, Service

MAX_BATCH_BYTES = 1048576    # API PutLogEvents
EVENT_OVERHEAD = 26          # the same
MAX_EVENT_BYTES = 262144     # quotas
MAX_PAGE = 10000
MAX_PAGE_BYTES = 1048576
FUTURE_MS = 2 * 3600 * 1000
PAST_MS = 14 * 86400 * 1000
RETENTION_DAYS = {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545,
                  731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
# Every seventh event is ingested late, so that readers meet disorder.
LATE_EVERY, LATE_TIMES = 7, 3
# FilterLogEvents looks at that many events per page, matching or not.
SCAN = 500


class Event:
    __slots__ = ("key", "message", "ingested", "visible")

    def __init__(self, timestamp, number, message, ingested, visible):
        self.key = (timestamp, number)  # number: order of arrival
        self.message = message
        self.ingested = ingested
        self.visible = visible          # epoch seconds, for FilterLogEvents

    def __lt__(self, other):
        return self.key < other.key


class Stream:
    def __init__(self, name, created):
        self.name = name
        self.created = created
        self.events = []  # sorted by timestamp, then arrival
        self.last_ingested = None


class Group:
    def __init__(self, name, created):
        self.name = name
        self.created = created
        self.retention = None
        self.tags = {}
        self.streams = {}


class Logs(Service):
    id = "logs"
    unsupported = {
        "CreateLogGroup": {"kmsKeyId"},
        "DescribeLogGroups": {"accountIdentifiers", "includeLinkedAccounts"},
        "GetLogEvents": {"unmask"},
        "FilterLogEvents": {"unmask"},
    }

    def __init__(self, world):
        super().__init__(world)
        self.groups = {}
        self.count = 0
        self.searches = 0

    def now_ms(self):
        return int(self.world.clock.now() * 1000)

    # ---- groups and streams ----

    def group(self, name):
        if name not in self.groups:
            raise AwsError("ResourceNotFoundException",
                           "The specified log group does not exist.")
        return self.groups[name]

    def stream(self, group_name, name):
        group = self.group(group_name)
        if name not in group.streams:
            raise AwsError("ResourceNotFoundException",
                           "The specified log stream does not exist.")
        return group.streams[name]

    def has_group(self, name):
        with self.lock:
            return name in self.groups

    def CreateLogGroup(self, params, request):
        name = params["logGroupName"]
        with self.lock:
            if name in self.groups:
                raise AwsError("ResourceAlreadyExistsException",
                               "The specified log group already exists")
            self.groups[name] = Group(name, self.now_ms())
            self.groups[name].tags = params.get("tags", {})
        return {}

    def ListTagsForResource(self, params, request):
        """By ARN, without the :* that DescribeLogGroups adds."""
        prefix = self.world.arn("logs", "log-group:")
        arn = params["resourceArn"]
        with self.lock:
            name = arn[len(prefix):] if arn.startswith(prefix) else ""
            return {"tags": self.group(name).tags}

    def DeleteLogGroup(self, params, request):
        with self.lock:
            self.group(params["logGroupName"])
            del self.groups[params["logGroupName"]]
        return {}

    def PutRetentionPolicy(self, params, request):
        if params["retentionInDays"] not in RETENTION_DAYS:
            raise AwsError("InvalidParameterException", "1 validation error "
                           f"detected: Value '{params['retentionInDays']}' at"
                           " 'retentionInDays' failed to satisfy constraint: "
                           "Member must satisfy enum value set")
        with self.lock:
            self.group(params["logGroupName"]).retention = \
                params["retentionInDays"]
        return {}

    def CreateLogStream(self, params, request):
        name = params["logStreamName"]
        with self.lock:
            group = self.group(params["logGroupName"])
            if name in group.streams:
                raise AwsError("ResourceAlreadyExistsException",
                               "The specified log stream already exists")
            group.streams[name] = Stream(name, self.now_ms())
        return {}

    def DescribeLogGroups(self, params, request):
        prefix = params.get("logGroupNamePrefix", "")
        word = params.get("logGroupNamePattern", "")
        with self.lock:
            found = [self.shown_group(g) for n, g in sorted(
                self.groups.items()) if n.startswith(prefix) and word in n]
        return page("logGroups", found, params)

    def shown_group(self, group):
        shown = {"logGroupName": group.name, "creationTime": group.created,
                 "metricFilterCount": 0,
                 "arn": self.world.arn("logs", f"log-group:{group.name}:*"),
                 "storedBytes": sum(len(e.message) for s in
                                    group.streams.values() for e in s.events)}
        if group.retention is not None:
            shown["retentionInDays"] = group.retention
        return shown

    def DescribeLogStreams(self, params, request):
        prefix = params.get("logStreamNamePrefix", "")
        by_time = params.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            raise AwsError("InvalidParameterException", "Cannot order by "
                           "LastEventTime with a logStreamNamePrefix.")
        name = self.named_group(params)
        with self.lock:
            found = [s for n, s in sorted(self.group(name).streams.items())
                     if n.startswith(prefix)]
            if by_time:
                found.sort(key=lambda s: s.events[-1].key if s.events
                           else (0, 0))
            if params.get("descending"):
                found.reverse()
            found = [self.shown_stream(name, s) for s in found]
        return page("logStreams", found, params)

    def shown_stream(self, group_name, stream):
        shown = {"logStreamName": stream.name, "creationTime": stream.created,
                 "arn": self.world.arn("logs", f"log-group:{group_name}:log-"
                                       f"stream:{stream.name}"),
                 "uploadSequenceToken": "49", "storedBytes": 0}
        if stream.events:
            shown["firstEventTimestamp"] = stream.events[0].key[0]
            shown["lastEventTimestamp"] = stream.events[-1].key[0]
            shown["lastIngestionTime"] = stream.last_ingested
        return shown

    def named_group(self, params):
        """By name or, in newer clients, by ARN without :*."""
        identifier = params.get("logGroupIdentifier")
        if identifier is None:
            if "logGroupName" not in params:
                raise AwsError("InvalidParameterException", "Exactly one of "
                               "logGroupName or logGroupIdentifier is needed")
            return params["logGroupName"]
        return identifier.replace(self.world.arn("logs", "log-group:"), "")

    # ---- writing ----

    def PutLogEvents(self, params, request):
        events = [(e["timestamp"], e["message"]) for e in params["logEvents"]]
        self.check_batch(events)
        now = self.now_ms()
        good, rejected = [], {}
        for number, (timestamp, message) in enumerate(events):
            if timestamp < now - PAST_MS:
                rejected["tooOldLogEventEndIndex"] = number + 1
            elif timestamp > now + FUTURE_MS:
                rejected.setdefault("tooNewLogEventStartIndex", number)
            else:
                good.append((timestamp, message))
        with self.lock:
            self.add(self.stream(params["logGroupName"],
                                 params["logStreamName"]), good)
        reply = {"nextSequenceToken": "49"}
        if rejected:
            reply["rejectedLogEventsInfo"] = rejected
        return reply

    @staticmethod
    def check_batch(events):
        times = [timestamp for timestamp, _ in events]
        sizes = [len(message.encode()) for _, message in events]
        problem = None
        if times != sorted(times):
            problem = ("Log events in a single PutLogEvents request must be "
                       "in chronological order.")
        elif times[-1] - times[0] > 86400 * 1000:
            problem = ("The batch of log events in a single PutLogEvents "
                       "request cannot span more than 24 hours.")
        elif max(sizes) + EVENT_OVERHEAD > MAX_EVENT_BYTES:
            problem = "Log event too large: exceeds limit of 262144"
        elif sum(sizes) + EVENT_OVERHEAD * len(sizes) > MAX_BATCH_BYTES:
            problem = "Upload too large: exceeds limit of 1048576"
        if problem:
            raise AwsError("InvalidParameterException", problem)

    def put_events(self, group_name, stream_name, events):
        """As Docker's awslogs driver does it: the stream is made."""
        with self.lock:
            group = self.group(group_name)
            if stream_name not in group.streams:
                group.streams[stream_name] = Stream(stream_name,
                                                    self.now_ms())
            self.add(group.streams[stream_name], events)

    def add(self, stream, events):
        now = self.world.clock.now()
        lag = self.world.clock.constant("log-ingestion")
        for timestamp, message in events:
            self.count += 1
            late = LATE_TIMES if self.count % LATE_EVERY == 0 else 1
            bisect.insort(stream.events, Event(
                timestamp, self.count, message, int(now * 1000),
                now + lag * late))
            stream.last_ingested = int(now * 1000)

    # ---- reading one stream ----

    def GetLogEvents(self, params, request):
        low = (params.get("startTime", 0), -1)
        high = (params.get("endTime", 1 << 62), -1)
        limit = params.get("limit", MAX_PAGE)
        with self.lock:
            stream = self.stream(self.named_group(params),
                                 params["logStreamName"])
            events = [e for e in stream.events if low <= e.key < high]
        token = params.get("nextToken")
        if token is None:
            forward = params.get("startFromHead", False)
            at = 0 if forward else len(events)
        else:
            forward, key = parse_token(token)
            keys = [e.key for e in events]
            at = (bisect.bisect_right if forward else bisect.bisect_left)(
                keys, key)
        chosen = bounded(events[at:at + limit] if forward else
                         events[max(0, at - limit):at], forward)
        return self.event_page(chosen, token, forward, low)

    @staticmethod
    def event_page(chosen, token, forward, low):
        """At the end the token that was sent comes back."""
        if chosen:
            ahead = make_token("f", chosen[-1].key)
            back = make_token("b", chosen[0].key)
        else:
            # Tokens are places between events: both ways start from there.
            key = parse_token(token)[1] if token else (max(low[0], 0), 0)
            ahead, back = make_token("f", key), make_token("b", key)
        return {"events": [{"timestamp": e.key[0], "message": e.message,
                            "ingestionTime": e.ingested} for e in chosen],
                "nextForwardToken": ahead, "nextBackwardToken": back}

    # ---- searching a group ----

    def FilterLogEvents(self, params, request):
        if "logStreamNames" in params and "logStreamNamePrefix" in params:
            raise AwsError("InvalidParameterException", "logStreamNames and "
                           "logStreamNamePrefix can't both be specified")
        wanted = filter_pattern.compile(params.get("filterPattern", ""))
        with self.lock:
            found = self.candidates(params)
        after, first = self.search_start(params)
        found = [(e, s) for e, s in found if e.key > after]
        if first and self.empty_page_due():
            return {"events": [], "searchedLogStreams": [],
                    "nextToken": make_token("s", after)}
        chosen = []
        last = None
        limit = params.get("limit", MAX_PAGE)
        for event, stream in found[:SCAN]:
            if len(chosen) == limit:
                break
            last = event
            if wanted(event.message):
                chosen.append((event, stream))
        reply = {"events": [shown_event(e, s) for e, s in chosen],
                 "searchedLogStreams": []}
        if last is not None and last is not found[-1][0]:
            reply["nextToken"] = make_token("s", last.key)
        return reply

    def candidates(self, params):
        """What the search may see now, by time over all streams."""
        group = self.group(self.named_group(params))
        names = params.get("logStreamNames")
        prefix = params.get("logStreamNamePrefix", "")
        if names and not set(names) <= set(group.streams):
            raise AwsError("ResourceNotFoundException",
                           "The specified log stream does not exist.")
        low = params.get("startTime", 0)
        high = params.get("endTime", 1 << 62)
        now = self.world.clock.now()
        found = [(e, s.name) for s in group.streams.values()
                 if (s.name in names if names else s.name.startswith(prefix))
                 for e in s.events
                 if low <= e.key[0] <= high and e.visible <= now]
        found.sort(key=lambda pair: pair[0].key)
        return found

    @staticmethod
    def search_start(params):
        token = params.get("nextToken")
        if token is None:
            return (-1, -1), True
        return parse_token(token, "s")[1], False

    def empty_page_due(self):
        """Every second search begins with a page that holds nothing."""
        with self.lock:
            self.searches += 1
            return self.searches % 2 == 0


def page(name, found, params):
    """A page of a Describe call; the token is the place in the list."""
    token = params.get("nextToken", "0")
    if not token.isdigit():
        raise AwsError("InvalidParameterException",
                       "The specified nextToken is invalid.")
    start, end = int(token), int(token) + params.get("limit", 50)
    reply = {name: found[start:end]}
    if end < len(found):
        reply["nextToken"] = str(end)
    return reply


def bounded(events, forward):
    """As many as fit into a reply, from the side that reading starts at."""
    size = 0
    ordered = events if forward else reversed(events)
    chosen = []
    for event in ordered:
        size += len(event.message.encode()) + EVENT_OVERHEAD
        if size > MAX_PAGE_BYTES:
            break
        chosen.append(event)
    return chosen if forward else chosen[::-1]


def make_token(kind, key):
    return f"{kind}/{key[0] + 1:020d}{key[1] + 1:036d}"


def parse_token(token, kinds="fb"):
    kind, _, digits = token.partition("/")
    if kind not in kinds or len(digits) != 56 or not digits.isdigit():
        raise AwsError("InvalidParameterException",
                       "The specified nextToken is invalid.")
    return kind == "f", (int(digits[:20]) - 1, int(digits[20:]) - 1)


def shown_event(event, stream):
    digest = hashlib.sha256(f"{stream}{event.key}".encode()).hexdigest()
    number = int(digest[:40], 16)
    return {"logStreamName": stream, "timestamp": event.key[0],
            "message": event.message, "ingestionTime": event.ingested,
            "eventId": f"3{number % 10 ** 55:055d}"}


SERVICE = Logs
