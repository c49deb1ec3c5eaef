#!/usr/bin/env python3
"""How `serve` bears callers: answers a second, how long they take and memory, by how many call at once; with slow senders and broken uploads beside them.

Each caller sends its picture again as soon as it has its answer, over one connection for as long as the server keeps it. Whoever is told to come back (503, or turned
away before an answer) waits a tenth of a second. Callers run in this process, on the same machine: they take their share of it.

Usage: serve_load.py PHOTO [--programs build/bin] [--weights FILE] [--seconds 20] [--callers 1,8,100] [--json FILE] [-- SERVE OPTIONS]
Python's standard library is all it needs.
"""
import argparse
import asyncio
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import time

PATIENCE = 60  # seconds that a caller waits for an answer


class Server:
    """`serve` on a free port."""

    def __init__(self, programs, options):
        self.process = subprocess.Popen([os.path.join(programs, "serve"), "--port", "0", "--quiet", *options], stdout=subprocess.PIPE, text=True)
        address = self.process.stdout.readline().strip()
        if not address:
            sys.exit("serve_load: serve did not start; what it said stands above")
        self.port = int(address.split("#")[0].rstrip("/").rsplit(":", 1)[1])

    def memory_mb(self, what):
        """VmRSS: now; VmHWM: the most since forget_peak."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(what)) / 1024

    def forget_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as file:
            file.write("5")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=60) != 0:
            sys.exit(f"serve_load: serve ended with {self.process.returncode}")


class Tally:
    def __init__(self):
        self.seconds, self.statuses, self.turned_away = [], {}, 0

    def row(self, name, wall, server):
        """A line of the table."""
        times = sorted(self.seconds)
        share = lambda p: 1e3 * times[min(len(times) - 1, int(p * len(times)))] if times else None
        return {"callers": name, "answers_a_second": len(times) / wall, "p50_ms": share(0.5), "p99_ms": share(0.99), "longest_ms": share(1),
                "told_to_come_back": self.statuses.get(503, 0) + self.turned_away, "other_statuses": {s: n for s, n in self.statuses.items() if s not in (200, 503)},
                "peak_mb": server.memory_mb("VmHWM")}


def request(port, body, path="/v1/inspect"):
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def answer(reader):
    """(status, whether the connection goes on); raises where none comes."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    await reader.readexactly(int(fields.get("content-length", 0)))
    return int(lines[0].split()[1]), fields.get("connection") != "close"


async def ask_until(end, port, message, tally):
    """One caller."""
    reader = writer = None
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(message)
            await writer.drain()
            status, goes_on = await asyncio.wait_for(answer(reader), PATIENCE)
        except (OSError, asyncio.IncompleteReadError):
            tally.turned_away += 1
            status, goes_on = None, False
        if status is not None:
            tally.statuses[status] = tally.statuses.get(status, 0) + 1
        if status == 200:
            tally.seconds.append(time.monotonic() - began)
        if not goes_on:
            if writer:
                writer.close()
            writer = None
        if status != 200:
            await asyncio.sleep(0.1)
    if writer:
        writer.close()


async def drip(end, port, cut_off):
    """A slow sender: a byte a second of a request that never ends."""
    while time.monotonic() < end:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            began = time.monotonic()
            for byte in request(port, b"x" * 10000):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)
                if time.monotonic() > end:
                    return
        except OSError:
            cut_off.append(time.monotonic() - began)


async def break_off(end, port, photo, broken, seed):
    """Uploads that end early, lie about their length, or hold rubbish."""
    chance = random.Random(seed)
    whole = request(port, photo)
    while time.monotonic() < end:
        damaged = bytearray(photo)
        for _ in range(20):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        form = b"--b\r\nContent-Disposition: form-data; name=picture\r\n\r\n" + photo[: chance.randrange(len(photo))]
        message, leaves = chance.choice([(whole[: chance.randrange(1, len(whole))], True), (request(port, bytes(damaged)), False), (request(port, b"rubbish"), False),
                                         (request(port, form).replace(b"application/octet-stream", b"multipart/form-data; boundary=b"), False)])
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(message)
            await writer.drain()
            if not leaves:
                await asyncio.wait_for(answer(reader), PATIENCE)
        except (OSError, asyncio.IncompleteReadError):
            pass
        if writer:
            writer.close()
        broken.append(1)
        await asyncio.sleep(0.02)


async def load(server, callers, seconds, message, beside=lambda end: []):
    tally = Tally()
    server.forget_peak()
    began = time.monotonic()
    end = began + seconds
    await asyncio.gather(*(ask_until(end, server.port, message, tally) for _ in range(callers)), *beside(end))
    return tally, time.monotonic() - began


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(": ")[1].strip() for line in info if line.startswith("model name")), platform.processor())
    return f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the beginning"


def show(row):
    milliseconds = lambda v: "–" if v is None else f"{v:.0f}"
    print(f"| {row['callers']} | {row['answers_a_second']:.1f} | {milliseconds(row['p50_ms'])} | {milliseconds(row['p99_ms'])} | {row['told_to_come_back']} | {row['peak_mb']:.0f} |"
          + (f"  other statuses: {row['other_statuses']}" if row["other_statuses"] else ""), flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("photo")
    arguments.add_argument("--programs", default="build/bin")
    arguments.add_argument("--weights")
    arguments.add_argument("--seconds", type=float, default=20, help="of each row")
    arguments.add_argument("--callers", default="1,8,100")
    arguments.add_argument("--json")
    own, serve_options = (sys.argv[1:], []) if "--" not in sys.argv else (sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:])
    o = arguments.parse_args(own)
    with open(o.photo, "rb") as file:
        photo = file.read()
    about = machine()
    server = Server(o.programs, (["--weights", o.weights] if o.weights else []) + serve_options)
    message = request(server.port, photo)
    asyncio.run(load(server, 1, 1, message))  # the first picture plans the net
    at_rest = server.memory_mb("VmRSS")
    print(f"{os.path.basename(o.photo)}, {len(photo)} bytes, {o.seconds:g} s a row, on {about}\nserve at rest: {at_rest:.0f} MB\n")
    print("| callers at once | answers a second | p50, ms | p99, ms | told to come back | peak memory, MB |\n| --- | --- | --- | --- | --- | --- |")
    rows = []

    def measure(name, callers, beside=lambda end: [], seconds=o.seconds):
        tally, wall = asyncio.run(load(server, callers, seconds, message, beside))
        rows.append(tally.row(name, wall, server))
        show(rows[-1])
    for callers in map(int, o.callers.split(",")):
        measure(str(callers), callers)
    cut_off, broken = [], []
    measure("8, beside 16 slow senders", 8, lambda end: [drip(end, server.port, cut_off) for _ in range(16)],
            seconds=max(o.seconds, 40))  # by itself serve bears a request for 30 s
    measure("8, beside 8 who break off or send rubbish", 8, lambda end: [break_off(end, server.port, photo, broken, seed) for seed in range(8)])
    print(f"\n{len(cut_off)} slow senders were cut off{f', after {statistics.median(cut_off):.0f} s' if cut_off else ''}; {len(broken)} uploads were broken; "
          f"serve then at rest: {server.memory_mb('VmRSS'):.0f} MB")
    if o.json:
        with open(o.json, "w") as file:
            json.dump({"photo_bytes": len(photo), "seconds": o.seconds, "machine": about, "serve_options": serve_options, "at_rest_mb": at_rest, "rows": rows,
                       "slow_senders_cut_off": len(cut_off), "broken_uploads": len(broken)}, file, indent=1)
    server.end()


if __name__ == "__main__":
    main()
