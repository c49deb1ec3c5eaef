#!/usr/bin/env python3
"""serve as programs use it: verdicts that are infer's, refusals in one line, and bounds that hold against careless and
hostile callers. Usage: check_serve.py FOLDER_OF_PROGRAMS"""
import gzip
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import openapi_check
from pages_fixture import Fixture, Server, run_tests


def form(*parts):
    """A body of parts (name, filename, bytes), and its type."""
    body = b"".join(b'--XX\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n' % part for part in parts)
    return body + b"--XX--\r\n", "multipart/form-data; boundary=XX"


def huge_png(width, height):
    """A PNG of a few bytes that claims many pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def verdicts_are_those_of_infer(f):
    expected = f.infer(f.photo())
    with Server(f) as server:
        status, headers, body = server.post("v1/inspect?name=a.jpg&layers=1", bytes_of(f.photo()))
        said = json.loads(body)
        assert status == 200 and headers["Content-Type"].startswith("application/json"), status
        assert said["name"] == "a.jpg" and said["layers"].startswith("iVBOR")
        for key in ("width", "height", "verdict", "box", "regions", "weights_sha256"):
            assert said[key] == expected[key], f"{key}: {said[key]} is not infer's {expected[key]}"
        assert abs(said["fake_probability"] - expected["fake_probability"]) < 1e-6
        body, kind = form((b"picture", b"../../x/b.jpg", bytes_of(f.photo())), (b"picture", b'<b>"\xff', b"no picture"), (b"other", b"", b""))
        status, _, answer = server.post("v1/inspect", body, **{"Content-Type": kind})
        first, second = json.loads(answer)["pictures"]
        assert status == 200 and first["name"] == "b.jpg" and first["box"] == expected["box"] and "layers" not in first
        assert second["status"] == 422 and "error" in second
        model = json.loads(server.get("v1/model")[2])
        assert model["kind"] == "locator" and model["weights"]["SHA-256"] == expected["weights_sha256"] and "path" not in model["weights"]
        for _ in range(50):  # an answer is counted once it is sent
            metrics = server.get("metrics")[2].decode()
            counted = int(metrics.split('telltale_answers_total{status="2xx"} ')[1].split()[0])
            if counted >= 3:
                break
            time.sleep(0.1)
        assert "telltale_pictures_total 2\n" in metrics and counted >= 3, metrics


def answers_keep_to_the_openapi_file(f):
    photo, seen = bytes_of(f.photo()), {}
    with Server(f, "--body-mb", "1") as server:
        api = openapi_check.Api(server.get("openapi.json")[2])
        for method, path, query, headers, body in api.requests(400, photo):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request(method, path + ("?" + urllib.parse.urlencode(query) if query else ""), body=body, headers=headers)
            answer = connection.getresponse()
            said = answer.read()
            connection.close()
            broken = api.broken_promises(method, path, answer.status, answer.headers, said)
            assert not broken, f"{method} {path} {query} {headers} {(body or b'')[:200]}: {broken}; {said[:300]}"
            seen.setdefault(path, set()).add(answer.status)
            if body == photo and all(value in ("0", "1", "") for name, value in query if name == "layers") and headers.keys() <= {"Content-Type"}:
                assert answer.status == 200, f"a photograph as {headers} gets {answer.status}: {said}"
        assert {200, 400, 403, 405, 415, 422} <= seen["/v1/inspect"] and all({200, 405} <= seen[path] for path in api.spec["paths"]), seen
        assert server.get("healthz")[0] == 200


def a_picture_may_be_called_anything(f):
    photo = bytes_of(f.photo())
    assert len(photo) > 0
    with Server(f) as server:
        for kind in ("application/x-www-form-urlencoded", "image/jpeg", "text/plain"):  # the first is what curl says by itself
            padded = photo + b"\0" * 20000
            assert server.post("v1/inspect", padded, **{"Content-Type": kind})[0] == 200, kind
        assert server.post("v1/inspect?layers=maybe", photo)[0] == 400


def headers_are_strict(f):
    with Server(f) as server:
        for path in ("", "serve.js", "healthz", "nothing", "../etc/passwd", "openapi.json"):
            status, headers, _ = server.get(path)
            assert status == (404 if path in ("nothing", "../etc/passwd") else 200), (path, status)
            assert "default-src 'none'" in headers["Content-Security-Policy"] and "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert server.get("", Host="evil.example")[0] == 403, "another name that leads here"
        assert server.post("v1/inspect", b"x", Origin="http://evil.example")[0] == 403, "another site's page"


def what_is_wrong_is_said(f):
    with Server(f, "--megapixels", "1", "--body-mb", "1") as server:
        for body, headers, status, says in [
            (b"", {}, 400, "empty"),
            (b"hello", {}, 422, "not a JPEG"),
            (bytes_of(f.photo())[:300], {}, 422, "JPEG"),
            (huge_png(60000, 60000), {}, 413, "more than the 1000000 pixels"),
            (b"x" * (2 << 20), {}, 413, "too large"),
            (gzip.compress(b"0" * 1000), {"Content-Encoding": "gzip"}, 415, "not compressed"),
            (form((b"file", b"a", b"b"))[0], {"Content-Type": form()[1]}, 400, "no part named picture"),
            (form(*[(b"picture", b"a", b"b")] * 17)[0], {"Content-Type": form()[1]}, 400, "more than 16"),
            (b"--XX\r\nContent-Disposition: " + b"a" * 500000, {"Content-Type": form()[1]}, 400, "no end of its headers"),
        ]:
            got, _, answer = server.post("v1/inspect", body, **headers)
            assert got == status and says in json.loads(answer)["error"], (body[:40], got, answer)
        assert server.get("healthz")[0] == 200


def a_token_guards_what_others_may_reach(f):
    with Server(f, "--host", "0.0.0.0") as server:
        server.url = f"http://127.0.0.1:{server.port}/"
        assert len(server.token) == 32
        assert server.get("")[0] == 200 and server.get("healthz")[0] == 200
        for path in ("v1/model", "metrics"):
            assert server.get(path)[0] == 401 and server.get(path, Authorization="Bearer " + "0" * 32)[0] == 401
            assert server.get(path, Authorization="Bearer " + server.token)[0] == 200
        assert server.post("v1/inspect", bytes_of(f.photo()))[0] == 401


def slow_and_broken_callers_are_cut_off(f):
    with Server(f, "--seconds", "1", "--connections", "4") as server:
        def connect():
            return socket.create_connection(("127.0.0.1", server.port), timeout=20)
        head = f"POST /v1/inspect HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 1000\r\n\r\n".encode()
        broken = connect()
        broken.sendall(head + b"abc")
        broken.close()
        drips = [connect() for _ in range(4)]
        began, alive = time.time(), set(range(4))
        while alive and time.time() - began < 15:
            for i in sorted(alive):
                try:
                    drips[i].sendall(b"P" if time.time() - began < 0.2 else b"O")
                    drips[i].settimeout(0.01)
                    if drips[i].recv(100) == b"":
                        alive.discard(i)
                except TimeoutError:
                    pass
                except OSError:
                    alive.discard(i)
            time.sleep(0.1)
        assert not alive, "a slow sender keeps its connection"
        assert server.get("healthz")[0] == 200
        crowd = [connect() for _ in range(12)]  # 4 served, 4 wait, the rest is turned away
        time.sleep(0.3)
        turned = 0
        for one in crowd:
            one.settimeout(0.2)
            try:
                turned += one.recv(20).startswith(b"HTTP/1.1 503")
            except (TimeoutError, OSError):
                pass
        assert turned >= 4, f"{turned} of 12 were turned away"
        for one in crowd:
            one.close()


def a_hundred_at_once_are_answered_or_told_to_wait(f):
    with Server(f, "--queue", "16") as server:
        photo, answers = bytes_of(f.photo()), []
        server.post("v1/inspect", photo)
        before = server.resident_mb()

        def ask():
            try:
                answers.append(server.post("v1/inspect", photo)[0])
            except OSError as error:  # turned away before the body was sent
                answers.append(type(error).__name__)
        threads = [threading.Thread(target=ask) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 100 and answers.count(200) >= 16, answers
        assert all(a in (200, 503) or isinstance(a, str) for a in answers), answers
        assert server.get("healthz")[0] == 200
        assert server.resident_mb() < before + 300, f"{before:.0f} MB grew to {server.resident_mb():.0f}"


def mistakes_end_in_one_line(f):
    for arguments, code, says in [(["--weights", f.path("none")], 1, "none"), (["--weights", f.weights, "--port", "70000"], 2, "70000"),
                                  (["--weights", f.weights, "--token-file", f.path("none")], 2, "no token"),
                                  (["--weights", f.weights, "--reference", f.data + "/labels.csv"], 1, "predictions.csv")]:
        result = subprocess.run([os.path.join(f.programs, "serve"), "--quiet", "--device", "cpu", *arguments], capture_output=True, text=True, timeout=60)
        assert result.returncode == code and result.stderr.count("\n") == 1 and says in result.stderr, (arguments, result)


if __name__ == "__main__":
    run_tests([verdicts_are_those_of_infer, answers_keep_to_the_openapi_file, a_picture_may_be_called_anything, headers_are_strict, what_is_wrong_is_said, a_token_guards_what_others_may_reach,
               slow_and_broken_callers_are_cut_off, a_hundred_at_once_are_answered_or_told_to_wait, mistakes_end_in_one_line], Fixture)
