"""What the tests of the pages share: a small dataset, a locator trained on it, and a running `serve`."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import urllib.request

SIZE = 64


class Fixture:
    """Programs from `programs`; everything made lies in `folder`, which vanishes at the end."""

    def __init__(self, programs):
        self.programs = programs
        self.temporary = tempfile.TemporaryDirectory(prefix="telltale-pages-")
        self.folder = self.temporary.name
        self.data, self.weights = self.path("data"), self.path("run/best.safetensors")
        self.run("synth", "--scenes", "60", "--size", str(SIZE), "--width", "2", "--weights", "random:1", "--split", ".6,.2,.2", "--out", self.data)
        self.run("train", "--task", "locate", "--data", self.data, "--out", self.path("run"), "--width", "8", "--epochs", "3", "--lr", "0.01",
                 "--window", "32", "--batch", "12", "--seed", "5")

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, program, *arguments, code=0):
        result = subprocess.run([os.path.join(self.programs, program), *arguments, "--quiet", "--device", "cpu", "--threads", "1"], capture_output=True, text=True)
        assert result.returncode == code, f"{program}: exit code {result.returncode}\n{result.stderr}"
        return result.stdout

    def photo(self, index=0):
        """The path of a picture of the dataset."""
        names = sorted(os.listdir(self.path("data/images")))
        return self.path("data/images/" + names[index])

    def infer(self, path):
        """What `infer` says of a picture."""
        return json.loads(self.run("infer", path, "--weights", self.weights))


class Server:
    """`serve` on a free port, ended and checked at the end of a with block."""

    def __init__(self, fixture, *arguments):
        command = [os.path.join(fixture.programs, "serve"), "--weights", fixture.weights, "--port", "0", "--quiet", "--device", "cpu", "--threads", "1", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url, _, fragment = self.process.stdout.readline().strip().partition("#")
        assert self.url, self.process.stderr.read()
        self.token = fragment.partition("=")[2]
        self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=30)
        if kind is None:
            assert self.process.returncode == 0, f"serve: exit code {self.process.returncode}\n{errors}"

    def resident_mb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

    def get(self, path, **headers):
        """(status, headers, body) of a GET."""
        return self.send(urllib.request.Request(self.url + path, headers=headers))

    def post(self, path, body, **headers):
        return self.send(urllib.request.Request(self.url + path, data=body, headers={"Content-Type": "application/octet-stream", **headers}, method="POST"))

    @staticmethod
    def send(request):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()


def run_tests(tests, make):
    """Runs every function of `tests` with what `make(programs)` gives; the programs' folder is the first argument."""
    context = make(sys.argv[1])
    failed = 0
    for test in tests:
        try:
            test(context)
            print(f"ok      {test.__name__}", flush=True)
        except Exception as error:  # the next one may still tell something
            failed += 1
            line = traceback.extract_tb(error.__traceback__)[1].lineno
            print(f"FAILED  {test.__name__}, line {line}: {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)
