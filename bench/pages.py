#!/usr/bin/env python3
"""How long pages take in Chromium: a report until it can be read, filtered and scrolled; and `serve` from a dropped picture to its verdict.

Usage: pages.py --report FILE.html | --drop PHOTO… [--programs build/bin] [--weights FILE] [-- SERVE OPTIONS]
Needs Chromium and Selenium (tools/setup --with-browser). Each time runs until the browser has drawn what changed: two frames later.
"""
import argparse
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "bench"))
sys.path.insert(0, os.path.join(ROOT, "tests/programs"))
sys.path.append("/usr/lib/python3/dist-packages")  # Debian's, whichever Python runs
from serve_load import Server, machine

# act(), then two frames; milliseconds.
TIMED = """
const done = arguments[arguments.length - 1], began = performance.now();
(function () { %s })();
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
"""
# Scrolls down by a screen a frame, so often; the frames' lengths.
SCROLL = """
const done = arguments[1], frames = [];
let left = arguments[0], before = performance.now();
const step = (now) => {
  frames.push(now - before);
  before = now;
  scrollBy(0, innerHeight);
  left-- > 0 ? requestAnimationFrame(step) : done(frames.slice(1).sort((a, b) => a - b));
};
requestAnimationFrame(step);
"""


def browser():
    from check_pages import Browser
    return Browser("/tmp").driver


def memory_mb(driver):
    """The page's JavaScript heap, and the resident size of all of the browser's processes."""
    heap = driver.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"] / 2**20
    parent, children = driver.service.process.pid, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                children.setdefault(int(stat.read().rsplit(")", 1)[1].split()[1]), []).append(int(pid))
        except OSError:
            pass
    resident, open_ = 0, [parent]
    while open_:
        pid = open_.pop()
        open_ += children.get(pid, [])
        with open(f"/proc/{pid}/statm") as statm:
            resident += int(statm.read().split()[1]) * 4096 / 2**20
    return heap, resident


def say(what, milliseconds):
    print(f"| {what} | {milliseconds:.0f} |", flush=True)


def time_report(path):
    driver = browser()
    driver.set_script_timeout(600)
    driver.set_page_load_timeout(600)
    timed = lambda script: driver.execute_async_script(TIMED % script)
    choose = lambda name, value: timed(f"const s = document.querySelector('select[name={name}]'); s.value = '{value}'; s.dispatchEvent(new Event('change'))")
    began = time.monotonic()
    driver.get("file://" + os.path.abspath(path))
    timed("")
    loaded = 1e3 * (time.monotonic() - began)
    pictures = driver.execute_script("return entries.length")
    print(f"{os.path.basename(path)}: {pictures} pictures, {os.path.getsize(path) / 2**20:.1f} MiB; {machine()}\n\n| | ms |\n| --- | --- |")
    say("opened, first pictures drawn", loaded)
    say("another order", choose("order", "rising"))
    say("a filter by verdict", choose("verdict", "fake"))
    choose("verdict", "all")
    say("a letter typed into the search", timed("const t = document.querySelector('input[name=text]'); t.value = '7'; t.dispatchEvent(new Event('input'))"))
    timed("const t = document.querySelector('input[name=text]'); t.value = ''; t.dispatchEvent(new Event('input'))")
    say("the threshold moved", timed("const t = document.querySelector('input[name=threshold]'); t.value = 0.4; t.dispatchEvent(new Event('input', {bubbles: true}))"))
    frames = driver.execute_async_script(SCROLL, 100)
    say("a frame while scrolling, median", frames[len(frames) // 2])
    say("the longest of 100", frames[-1])
    say("boxes switched off, with what was scrolled over shown", timed("document.querySelector('#tools input[name=box]').click()"))
    for _ in range(400):
        if not driver.execute_script("if (!document.getElementById('more').hidden) { for (let i = 0; i < 20; ++i) showMore(); return true } return false"):
            break
    say("a frame with all shown, longest of 100", driver.execute_async_script(SCROLL, 100)[-1])
    say("boxes switched on, with all shown", timed("document.querySelector('#tools input[name=box]').click()"))
    say("another order, with all shown", choose("order", "name"))
    heap, resident = memory_mb(driver)
    print(f"\nJavaScript heap {heap:.0f} MiB; the browser's processes {resident:.0f} MiB (pages that they share counted in each)")
    driver.quit()


def time_drops(photos, programs, options):
    server = Server(programs, options)
    driver = browser()
    driver.get(f"http://127.0.0.1:{server.port}/")
    print(f"{machine()}\n\n| picture | bytes | from the drop to the verdict, ms |\n| --- | --- | --- |")
    chooser = driver.execute_script("const i = document.createElement('input'); i.type = 'file'; i.id = 'held'; document.body.append(i); return i")
    for photo in [photos[0], *photos]:  # the first picture plans the net; it comes twice
        chooser.send_keys(os.path.abspath(photo))
        milliseconds = driver.execute_async_script("""
            const done = arguments[0], file = document.getElementById('held').files[0], before = document.querySelectorAll('.card .tag').length;
            const held = new DataTransfer();
            held.items.add(file);
            const began = performance.now();
            const look = () => document.querySelectorAll('.card .tag').length > before ? done(performance.now() - began) : requestAnimationFrame(look);
            document.getElementById('drop').dispatchEvent(new DragEvent('drop', {dataTransfer: held, bubbles: true, cancelable: true}));
            look();""")
        print(f"| {os.path.basename(photo)} | {os.path.getsize(photo)} | {milliseconds:.0f} |", flush=True)
    driver.quit()
    server.end()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--report")
    arguments.add_argument("--drop", nargs="+")
    arguments.add_argument("--programs", default="build/bin")
    arguments.add_argument("--weights")
    own, serve_options = (sys.argv[1:], []) if "--" not in sys.argv else (sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:])
    o = arguments.parse_args(own)
    if o.report:
        time_report(o.report)
    if o.drop:
        time_drops(o.drop, o.programs, (["--weights", o.weights] if o.weights else []) + serve_options)


if __name__ == "__main__":
    main()
