#!/usr/bin/env python3
"""Writes golden.jsonl: what Jinja says to the templates of templates.txt, of discovery/ and of the recorded house, with the
additions of Home Assistant.

Needs jinja2 3.1 and nothing else. Run it in this directory. The additions are written anew, from their documentation.
"""
import base64, datetime as dt, glob, gzip, json, math, re, statistics, struct, zoneinfo
import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

ZONE = zoneinfo.ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2024, 5, 17, 12, 34, 56, 789000, dt.timezone.utc)
MISSING = object()


def no_default(value, default):
    if default is MISSING:
        raise ValueError(f"invalid input {value!r} but no default was specified")
    return default


def forgiving(f):
    def call(value, default=MISSING):
        try:
            return f(value)
        except (ValueError, TypeError):
            return no_default(value, default)
    return call


def to_int(value, default=MISSING, base=10):
    return no_default(value, default) if (r := jinja2.filters.do_int(value, MISSING, base)) is MISSING else r


def round_(value, precision=0, method="common", default=MISSING):
    try:
        m = float(10**precision)
        value = {"ceil": lambda v: math.ceil(v * m) / m, "floor": lambda v: math.floor(v * m) / m,
                 "half": lambda v: round(v * 2) / 2}.get(method, lambda v: round(v, precision))(float(value))
        return int(value) if precision == 0 else value
    except (ValueError, TypeError):
        return no_default(value, default)


def boolean(value, default=MISSING):
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        v = value.lower().strip()
        if v in ("1", "true", "yes", "on", "enable"): return True
        if v in ("0", "false", "no", "off", "disable"): return False
    elif isinstance(value, (int, float)):
        return value != 0
    return no_default(value, default)


def is_number(value):
    try:
        return math.isfinite(float(value))
    except (ValueError, TypeError):
        return False


def iif(value, if_true=True, if_false=False, if_none=MISSING):
    if value is None and if_none is not MISSING: return if_none
    return if_true if value else if_false


def stat(f):
    def call(*args, default=MISSING):
        values = args
        if hasattr(args[0], "__iter__"):
            values = args[0]
            if len(args) > 1: default = args[1]
        elif len(args) == 1:
            raise TypeError
        try:
            return f(list(values))
        except (TypeError, statistics.StatisticsError):
            return no_default(args, default)
    return call


def of_several(name):
    def call(*args):
        f = jinja2.filters.FILTERS[name]
        return f(env, args[0] if len(args) == 1 else args)
    return call


def arithmetic(op):
    def call(value, amount, default=MISSING):
        try:
            return op(float(value), amount)
        except (ValueError, TypeError):
            return no_default(value, default)
    return call


def log(value, base=math.e, default=MISSING):
    try:
        return math.log(float(value), float(base))
    except (ValueError, TypeError):
        return no_default(value, default)


def parse_datetime(s):
    if not re.match(r"\d{4}-\d\d-\d\d([T ].*)?$", s): raise ValueError
    return dt.datetime.fromisoformat(s.replace("Z", "+00:00"))


def as_timestamp(v):
    return aware(v if isinstance(v, dt.datetime) else parse_datetime(str(v))).timestamp()


def aware(d):
    return d if d.tzinfo else d.replace(tzinfo=ZONE)


def from_timestamp(v):
    return dt.datetime.fromtimestamp(v, dt.timezone.utc)


def as_datetime(value, default=MISSING):
    if isinstance(value, dt.datetime): return value
    try:
        return from_timestamp(float(value))
    except (ValueError, TypeError):
        try:
            return parse_datetime(value)
        except (ValueError, TypeError):
            if default is MISSING and isinstance(value, str): return None
            return no_default(value, default)


def timestamp_custom(value, fmt="%Y-%m-%d %H:%M:%S", local=True, default=MISSING):
    try:
        d = from_timestamp(value)
        return (d.astimezone(ZONE) if local else d).strftime(fmt)
    except (ValueError, TypeError):
        return no_default(value, default)


def strptime(s, fmt, default=MISSING):
    try:
        return dt.datetime.strptime(s, fmt)
    except (ValueError, TypeError, AttributeError):
        return no_default(s, default)


def today_at(s=""):
    d = NOW.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    if s:
        parts = [int(p) for p in s.split(":")]
        d = d.replace(hour=parts[0], minute=parts[1], second=parts[2] if len(parts) > 2 else 0)
    return d


def age(value, precision=1):
    if not isinstance(value, dt.datetime) or NOW < aware(value): return value
    s, out = round((NOW - aware(value)).total_seconds()), []
    for name, size in (("year", 31536000), ("month", 2592000), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if s < size: continue
        last = len(out) + 1 == precision
        n = round(s / size) if last else int(s // size)
        out.append(f"{n} {name}" + ("" if n == 1 else "s"))
        if last: break
        s -= n * size
    return " ".join(out) or "0 seconds"


def is_defined(v):
    if isinstance(v, jinja2.Undefined): v()
    return v


def packer(v, f):
    try:
        return struct.pack(f, v)
    except struct.error:
        return None


def unpacker(v, f, offset=0):
    try:
        return struct.unpack_from(f, v, offset)[0]
    except struct.error:
        return None


def decode64(v, encoding="utf-8"):
    b = base64.b64decode(v)
    return b if encoding is None else b.decode(encoding)


def load(text):
    def order(pairs):
        return dict(sorted(dict(pairs).items(), key=lambda p: p[0].encode()))
    def integer(s):
        n = int(s)
        return n if -2**63 <= n < 2**63 else float(n)
    def bad(s): raise ValueError(s)
    return json.loads(text, object_pairs_hook=order, parse_int=integer, parse_constant=bad)


def from_json(v, default=MISSING):
    try:
        return load(v)
    except (ValueError, TypeError):
        return no_default(v, default)


def to_json(v, ensure_ascii=False, pretty_print=False, sort_keys=False):
    if ensure_ascii:
        return json.dumps(v, indent=2 if pretty_print else None, sort_keys=sort_keys)
    if pretty_print:
        return json.dumps(v, ensure_ascii=False, indent=2, sort_keys=sort_keys)
    return json.dumps(v, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)


def flags(i): return re.I if i else 0
def findall(v, find="", ignorecase=False): return re.findall(find, str(v), flags(ignorecase))


def ordinal(v):
    s = str(v)
    return s + (["th", "st", "nd", "rd"] + ["th"] * 6)[int(s[-1])] if int(s[-2:]) % 100 not in (11, 12, 13) else s + "th"


def real(f): return forgiving(lambda v: f(float(v)))


env = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"])
both = {
    "float": forgiving(float), "int": to_int, "bool": boolean, "is_number": is_number, "iif": iif, "log": log,
    "sqrt": real(math.sqrt), "sin": real(math.sin), "cos": real(math.cos), "asin": real(math.asin), "atan": real(math.atan),
    "average": stat(statistics.fmean), "median": stat(statistics.median),
    "bitwise_and": lambda a, b: a & b, "bitwise_or": lambda a, b: a | b, "bitwise_xor": lambda a, b: a ^ b,
    "as_timestamp": forgiving(as_timestamp), "as_datetime": as_datetime, "as_local": lambda d: aware(d).astimezone(ZONE),
    "relative_time": age, "time_since": age, "today_at": today_at, "pack": packer, "unpack": unpacker,
    "clamp": lambda v, a, b: max(float(a), min(float(b), float(v))),
}
env.filters.update(both)
env.globals.update(both)
env.filters.update({
    "round": round_, "multiply": arithmetic(lambda a, b: a * b), "add": arithmetic(lambda a, b: a + b),
    "timestamp_custom": timestamp_custom,
    "timestamp_local": forgiving(lambda v: from_timestamp(v).astimezone(ZONE).isoformat()),
    "timestamp_utc": forgiving(lambda v: from_timestamp(v).isoformat()),
    "is_defined": is_defined, "from_json": from_json, "to_json": to_json, "ord": ord, "ordinal": ordinal,
    "base64_encode": lambda v: base64.b64encode(v.encode() if isinstance(v, str) else v).decode(), "base64_decode": decode64,
    "from_hex": bytes.fromhex, "contains": lambda a, b: b in a,
    "regex_match": lambda v, find="", ignorecase=False: bool(re.match(find, str(v), flags(ignorecase))),
    "regex_search": lambda v, find="", ignorecase=False: bool(re.search(find, str(v), flags(ignorecase))),
    "regex_replace": lambda v="", find="", replace="", ignorecase=False: re.sub(find, replace, str(v), flags=flags(ignorecase)),
    "regex_findall": findall, "regex_findall_index": lambda v, find="", index=0, ignorecase=False: findall(v, find, ignorecase)[index],
})
env.globals.update({
    "now": lambda: NOW.astimezone(ZONE), "utcnow": lambda: NOW, "strptime": strptime, "timedelta": dt.timedelta,
    "min": of_several("min"), "max": of_several("max"), "pi": math.pi, "e": math.e, "zip": zip,
})
env.tests.update({
    "is_number": is_number, "match": env.filters["regex_match"], "search": env.filters["regex_search"],
    "contains": lambda a, b: b in a, "list": lambda v: isinstance(v, list), "tuple": lambda v: isinstance(v, tuple),
    "datetime": lambda v: isinstance(v, dt.datetime),
})

JSON = '{"t":21.0,"f":0.1,"i":5,"n":null,"yes":true,"no":false,"s":"on","u":"ä\\"\'\\n","l":[1,"x",null,[2.5]],"d":{"b":1,"a":{"z":[{"k":"v"}]}},"e":"","big":123456789012345678901234567890,"tiny":1e-7,"huge":1e16,"neg":-7,"items":3,"update":{"state":"idle"},"temp":"23.5 C","sp":"  a b  ","o":{},"num":"42"}'


def templates():
    """Yields (template, payload, variables)."""
    for name in sorted({*(line for line in open("templates.txt").read().split("\n") if line and not line.startswith("## "))}):
        yield name.replace("⏎", "\n"), JSON, {}
    for payload in ("21.5", "ON", "", " x ", "[1,2]", '"q"', "null", "5", '{"a":{"b":[1,{"c":2}]}}', "nan", "1e400", "{bad"):
        for t in ("{{ value }}", "{{ value_json }}", "{{ value_json.a }}", "{{ value_json.a.b }}", "{{ value_json['a']['b'][1].c }}",
                  "{{ value_json[0] }}", "{{ value_json[-1] }}", "{{ value | float(0) | round(1) }}", "{{ value | int(-1) }}",
                  "{{ value_json is defined }}", "{{ value_json.a is defined }}", "{{ value_json.a.x is defined }}", "{{ value_json.a | is_defined }}",
                  "{{ value|upper }}", "{{ value == 'ON' }}", "{{ value | from_json('no') }}", "{{ value_json | tojson }}", "{{ value|bool(none) }}"):
            yield t, payload, {}
    for t, v in (('{ "position": {{ position }} }', {"position": 40}), ("{{ value }}", {"value": 1.0}), ("{{ value }}", {"value": None}),
                 ("{{ red }},{{ green }},{{ blue }}", {"red": 255, "green": 0, "blue": 7}), ("{{ value | round(1) }}", {"value": 21.55}),
                 ('{"t": {{ value | tojson }}}', {"value": 'a"b'}), ("{{ value * 2 }}{{ entity_id }}", {"value": 3, "entity_id": "sensor.x"}),
                 ("{{ value_json.x }}", {"value": 1}), ("{{ options | join(',') }}", {"options": ["a", "b"]}), ("{{ value is true }}", {"value": True})):
        yield t, None, v





def bound(config):
    """Yields the templates of a discovery message with the topics whose payloads they see; a command's has None."""
    if isinstance(config, list):
        for c in config:
            yield from bound(c)
    elif isinstance(config, dict):
        for key, value in config.items():
            if isinstance(value, (dict, list)):
                yield from bound(value)
            elif key.endswith("_template"):
                stem = key.removesuffix("_template")
                topics = ("topic", "state_topic") if stem == "value" else (stem + "_topic", stem.replace("_state", "") + "_state_topic")
                yield value, None if "command" in key or stem == "set_position" else next((config[t] for t in topics if t in config), "")


def discovered():
    """Yields a row for each template that was discovered and up to three payloads of its topic."""
    with gzip.open("../../../testdata/zigbee2mqtt/house.jsonl.gz", "rt") as f:
        messages = [json.loads(line) for line in f]
    configs, payloads = [json.load(open(p))["payload"] for p in sorted(glob.glob("discovery/*.json"))], {}
    for m in messages:
        if m["topic"].startswith("homeassistant/") and m["topic"].endswith("/config") and m["payload"]:
            configs.append(json.loads(m["payload"]))
        elif len(m.get("payload", "")) < 2000 and m.get("payload"):
            seen = payloads.setdefault(m["topic"], [])
            if m["payload"] not in seen and len(seen) < 40: seen.append(m["payload"])
    taken = {}
    for template, topic in sorted({(t, topic or "") if topic is not None else (t, None) for c in configs for t, topic in bound(c)}, key=repr):
        if topic is None:
            for v in ({"value": "heat", "position": 40}, {"value": 5, "tone": "fire", "volume_level": 0.6, "duration": 3}):
                yield template, None, v
            continue
        for payload in payloads.get(topic, []) + ['{"update":{"state":"idle"},"running_state":"heat"}']:
            if taken.setdefault(template, 0) < 3 and (payload[0] == "{" or taken[template] < 1):
                taken[template] += 1
                yield template, payload, {}


def expect(t, payload, variables):
    if payload is not None:
        variables = dict(variables, value=payload)
        try:
            variables["value_json"] = load(payload)
        except ValueError:
            pass
    try:
        compiled = env.from_string(t.strip())
    except (jinja2.TemplateSyntaxError, SyntaxError):
        return {"error": "syntax"}
    try:
        return {"out": compiled.render(variables).strip()}
    except (jinja2.UndefinedError, jinja2.exceptions.SecurityError):
        return {"error": "undefined"}
    except Exception:
        return {"error": "failed"}


with open("golden.jsonl", "w") as f:
    for t, payload, variables in [*templates(), *discovered()]:
        row = {"template": t, "payload": payload, "vars": variables, **expect(t, payload, variables)}
        f.write(json.dumps({k: v for k, v in row.items() if v or k == "out" or k == "payload" and v is not None}, ensure_ascii=False) + "\n")
