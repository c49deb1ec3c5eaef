"""Requests made from an OpenAPI file, right ones and wrong ones, and whether what comes back is what the file promises."""
import json
import random

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "QUERY", "BREW"]
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


class Api:
    """An OpenAPI file, and a seeded source of requests."""

    def __init__(self, text, seed=1):
        self.spec, self.chance = json.loads(text), random.Random(seed)

    def resolved(self, node):
        while "$ref" in node:
            found = self.spec
            for key in node["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            node = found
        return node

    def complaints(self, value, schema, where="body"):
        """How a JSON value differs from a schema, in the words of OpenAPI 3.0 that the file uses; an unknown word is an error."""
        schema = self.resolved(schema)
        unknown = set(schema) - {"type", "nullable", "description", "format", "required", "properties", "items", "minItems", "maxItems", "minimum", "maximum", "enum",
                                 "oneOf", "anyOf"}
        assert not unknown, f"the check does not know {unknown}"
        if value is None and schema.get("nullable"):
            return []
        for word, fits in (("oneOf", lambda n: n == 1), ("anyOf", lambda n: n >= 1)):
            if word in schema:
                tries = [self.complaints(value, s, where) for s in schema[word]]
                return [] if fits(tries.count([])) else [f"{where}: {tries.count([])} of {word} fit: {tries}"]
        kind = schema.get("type")
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind in ("number", "integer"):
            if not number or (kind == "integer" and value != int(value)):
                return [f"{where}: {value!r} is no {kind}"]
            if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
                return [f"{where}: {value} is out of range"]
        elif kind and not isinstance(value, TYPES[kind]):
            return [f"{where}: {value!r} is no {kind}"]
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where}: {value!r} is none of {schema['enum']}"]
        found = []
        if kind == "object":
            found += [f"{where}: lacks {name}" for name in schema.get("required", []) if name not in value]
            for name, inner in schema.get("properties", {}).items():
                if name in value:
                    found += self.complaints(value[name], inner, f"{where}.{name}")
        if kind == "array":
            if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
                found.append(f"{where}: {len(value)} items")
            for i, item in enumerate(value):
                found += self.complaints(item, schema.get("items", {}), f"{where}[{i}]")
        return found

    def broken_promises(self, method, path, status, headers, body):
        """What of an answer the file does not say."""
        operations = self.spec["paths"][path]
        if method.lower() not in operations and not (method == "HEAD" and "get" in operations):
            allowed = headers.get("Allow", "")
            return [] if status == 405 and all(name.upper() in allowed for name in operations) else [f"an undeclared method gets {status}, Allow: {allowed!r}"]
        responses = operations["get" if method == "HEAD" else method.lower()]["responses"]
        if str(status) not in responses:
            return [f"{status} is not declared"]
        response = self.resolved(responses[str(status)])
        kind = headers.get("Content-Type", "").split(";")[0]
        if kind not in response["content"]:
            return [f"{status} comes as {kind!r}"]
        if method == "HEAD":
            return [] if body == b"" else ["HEAD has a body"]
        schema = response["content"][kind]["schema"]
        return self.complaints(json.loads(body) if kind == "application/json" else body.decode(), schema)

    # ---- Requests

    def noise(self, most=2000):
        return self.chance.randbytes(self.chance.randrange(most))

    def text(self):
        return "".join(self.chance.choice(["a", "ü", "/", "\\", "..", "%", "&", "<b>", "\x00", "\r\n", '"', "\U0001f600", "x" * 300]) for _ in range(self.chance.randrange(6)))

    def damaged(self, photo):
        """A photograph cut, or with bytes of it changed."""
        if self.chance.random() < 0.5:
            return photo[: self.chance.randrange(len(photo))]
        bytes_ = bytearray(photo)
        for _ in range(self.chance.randrange(1, 30)):
            bytes_[self.chance.randrange(len(bytes_))] = self.chance.randrange(256)
        return bytes(bytes_)

    def form(self, photo):
        """(body, type) of a form that may be none."""
        part = lambda: (b'--b\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n' % (
            self.chance.choice([b"picture"] * 4 + [b"other", self.noise(20)]), self.text().encode().replace(b"\r\n", b"")) +
            self.chance.choice([photo, self.damaged(photo), self.noise(), b""]) + b"\r\n")
        body = b"".join(part() for _ in range(self.chance.choice([0, 1, 1, 2, 3, 17]))) + b"--b--\r\n"
        if self.chance.random() < 0.3:
            body = body[: self.chance.randrange(len(body))]
        return body, self.chance.choice(["multipart/form-data; boundary=b"] * 4 + ["multipart/form-data", "Multipart/Form-Data;boundary=\"b\"", "multipart/form-data; boundary=c"])

    def requests(self, count, photo):
        """`count` of (method, path, query as pairs, headers, body)."""
        for _ in range(count):
            path = self.chance.choice(list(self.spec["paths"]) + ["/v1/inspect"] * 6)
            declared = [name.upper() for name in self.spec["paths"][path]]
            method = self.chance.choice(declared * 8 + METHODS)
            if method != "POST" or path != "/v1/inspect":
                yield method, path, [], {}, None
                continue
            query = [(name, self.chance.choice([self.text(), "0", "1", "1", "2", ""])) for name in ("name", "layers", "no") if self.chance.random() < 0.4]
            body, kind = self.chance.choice([(photo, "image/jpeg"), (photo, "application/x-www-form-urlencoded"), (photo, self.text().encode("ascii", "ignore").decode().replace("\x00", "").replace("\r\n", "")),
                                             (self.damaged(photo), "image/png"), (self.noise(), "application/octet-stream"), (b"", "application/octet-stream"), self.form(photo), self.form(photo)])
            headers = {"Content-Type": kind} if kind.strip() else {}
            if self.chance.random() < 0.05:
                headers["Content-Encoding"] = "gzip"
            if self.chance.random() < 0.05:
                headers["Origin"] = "http://elsewhere.example"
            yield method, path, query, headers, body
