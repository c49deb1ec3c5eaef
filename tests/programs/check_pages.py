#!/usr/bin/env python3
"""The report and the served page in Chromium, as people use them. Usage: check_pages.py FOLDER_OF_PROGRAMS [SCREENSHOTS]
Exit code 77 where Chromium or Selenium is missing (tools/setup --with-browser installs them)."""
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.append("/usr/lib/python3/dist-packages")  # Debian's, whichever Python runs
try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select, WebDriverWait
except ImportError:
    print("skipped: no Selenium (tools/setup --with-browser)")
    sys.exit(77)
from pages_fixture import Fixture, Server, run_tests

SCREENSHOTS = sys.argv[2] if len(sys.argv) > 2 else None


class Browser:
    """Chromium without a window, 1280 × 900, downloads to a folder."""

    def __init__(self, downloads):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": downloads})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        from selenium.webdriver.chrome.service import Service
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        log = [line["message"] for line in self.driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING") and "status of 422" not in line["message"]]
        self.driver.quit()
        assert kind or not log, f"the browser complains: {log}"

    def look(self, scheme="light", width=1280, height=900):
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}  # or a click meets a page that still scrolls
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": name, "value": value} for name, value in features.items()]})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def shoot(self, name):
        if SCREENSHOTS:
            time.sleep(0.5)
            self.driver.save_screenshot(os.path.join(SCREENSHOTS, name + ".png"))

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition, what):
        WebDriverWait(self.driver, 60).until(lambda _: condition(), what)


def set_slider(browser, css, value):
    browser.js("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))", browser.one(css), value)


def painted_pixels(browser, css):
    """How many pixels of a canvas are not clear."""
    return browser.js("const c = document.querySelector(arguments[0]); if (c.hidden) return 0;"
                      "return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3 && v > 0).length", css)


def a_report_can_be_read_filtered_and_looked_into(f):
    page = f.path("report.html")
    f.run("eval", "--data", f.data, "--weights", f.weights, "--out", f.path("report"), "--report", page, "--split", "all")
    with open(f.path("report/report.json")) as file:
        measured = json.load(file)
    with Browser(f.folder) as b:
        b.look()
        b.driver.get("file://" + page)
        cells = lambda: [int(button.text.split()[0]) for button in b.all(".matrix button")]
        c = measured["confusion"]
        assert cells() == [c["true_negatives"], c["false_positives"], c["false_negatives"], c["true_positives"]], cells()
        assert f"{measured['roc_auc']:.4f}" in b.one("#charts").text
        assert f"{measured['calibration_error']:.4f}" in b.one("#charts").text
        assert len(b.all(".card")) == 60 and "60 of 60" in b.one("#count").text
        shown = [float(card.text.split("%")[0].split()[-1]) for card in b.all(".card .said")]
        assert shown == sorted(shown, reverse=True), "sorted by probability"
        b.shoot("report_light")
        # Filters.
        Select(b.one("select[name=split]")).select_by_value("test")
        assert 0 < len(b.all(".card")) < 60
        Select(b.one("select[name=split]")).select_by_value("all")
        set_slider(b, "input[name=threshold]", 0)
        assert cells() == [0, measured["reals"], 0, measured["fakes"]], "everything is called fake from 0 on"
        set_slider(b, "input[name=threshold]", 0.5)
        assert cells()[3] == c["true_positives"]
        b.all(".matrix button")[3].click()
        assert len(b.all(".card")) == c["true_positives"], "a cell leads to its pictures"
        Select(b.one("select[name=verdict]")).select_by_value("all")
        b.one("input[name=text]").send_keys("nosuchname")
        assert b.all(".card") == []
        b.one("input[name=text]").clear()
        b.one("input[name=text]").send_keys("0", Keys.BACKSPACE)
        # Layers.
        b.wait(lambda: b.all(".layered[data-layers=drawn]"), "layers are drawn")
        set_slider(b, "#tools input[name=opacity]", 1)
        before = painted_pixels(b, ".layered[data-layers=drawn] canvas")
        assert before > 0
        b.one("#tools input[name=heat]").click()
        assert painted_pixels(b, ".layered[data-layers=drawn] canvas") == 0, "the heat map is off"
        for name, css in (("mask", "path.painted"), ("box", "rect.truth")):
            assert b.all(".card " + css)
            b.one(f"#tools input[name={name}]").click()
            assert not b.all(".card " + css), f"{name} is off"
        # By keyboard: open, go on, close.
        b.one(".card button").send_keys(Keys.ENTER)
        first = b.one("#viewer h3").text
        b.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
        assert b.one("#viewer h3").text != first
        b.look("dark", 1000, 900)
        b.shoot("viewer_dark")
        b.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        assert not b.js("return document.getElementById('viewer').open")
        for scheme in ("light", "dark"):
            b.look(scheme, 390, 844)
            assert b.js("return document.documentElement.scrollWidth") <= 390, "nothing is wider than a phone"
            b.shoot("report_phone_" + scheme)
        assert b.js("return performance.getEntriesByType('resource').filter((e) => !e.name.startsWith('data:')).length") == 0, "no network"
        unnamed = b.js("return [...document.querySelectorAll('button, input, select')].filter((e) => e.offsetParent && !e.textContent.trim() &&"
                       " !e.ariaLabel && !(e.labels && e.labels.length)).map((e) => e.outerHTML)")
        assert unnamed == [], f"without a name for a screen reader: {unnamed}"
        assert b.js("return [...document.images].every((i) => i.alt)")
        if SCREENSHOTS:
            pdf = b.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]
            with open(os.path.join(SCREENSHOTS, "report.pdf"), "wb") as file:
                import base64
                file.write(base64.b64decode(pdf))


def a_training_can_be_followed(f):
    page = f.path("training.html")
    f.run("train", "--task", "locate", "--data", f.data, "--out", f.path("followed"), "--width", "8", "--window", "0", "--epochs", "3", "--batch", "8", "--report", page)
    with open(f.path("followed/results.csv")) as file:
        header, *rows = [line.split(",") for line in file.read().splitlines()]
    with Browser(f.folder) as b:
        for scheme in ("light", "dark"):
            b.look(scheme)
            b.driver.get("file://" + page)
            b.shoot("training_" + scheme)
        titles = [caption.text.split("\n")[0].strip() for caption in b.all("#charts figcaption")]
        assert titles[:2] == ["learning rate", "loss"], titles
        assert len(titles) == len({name.removeprefix("train_").removeprefix("val_") for name in header[1:]}), titles
        loss = b.all("#charts figure")[1]
        assert len(loss.find_elements(By.CSS_SELECTOR, "path.series")) == 2, "training and validation"
        assert len(loss.find_elements(By.CSS_SELECTOR, "circle.dot")) == 2 * len(rows)
        shown = loss.find_elements(By.CSS_SELECTOR, "tbody td")[1].get_attribute("textContent")
        assert abs(float(shown) - float(rows[0][header.index("train_loss")])) < 1e-3 * float(shown), shown
        assert not b.one("#pictures").is_displayed() and not b.all("#confusion > *")
        assert "--epochs 3" in b.one("#command").text and "dice" not in b.one("#summary").text
        assert {"Weights", "Recipe", "Dataset", "Run"} == {h.text for h in b.all("#cards h3")}


def a_painter_in_training_can_be_followed(f):
    page, run = f.path("painter.html"), f.path("painter")
    said = f.run("train", "--task", "inpaint", "--photos", f.path("data/photos"), "--out", run, "--width", "4", "--size", "32", "--batch", "4", "--steps", "30",
                 "--adversarial-weight", "0", "--report-steps", "2", "--validation-photos", "3", "--report", page)
    with open(run + "/results.csv") as file:
        header, *rows = [line.split(",") for line in file.read().splitlines()]
    assert len(rows) == 15, said
    with Browser(f.folder) as b:
        for scheme, width in (("light", 1280), ("dark", 390)):
            b.look(scheme, width)
            b.driver.get("file://" + page)
            assert b.js("return document.documentElement.scrollWidth") <= width
            b.shoot("painter_" + scheme)
        titles = [caption.text.split("\n")[0].strip() for caption in b.all("#charts figcaption")]
        assert {"coarse l1", "refined l1", "psnr", "ssim"} <= set(titles) and not {"real hinge", "judgement", "mean fill psnr"} & set(titles), titles
        psnr = b.all("#charts figure")[titles.index("psnr")]
        assert len(psnr.find_elements(By.CSS_SELECTOR, "path.series")) == 2 and "mean colour" in psnr.text
        assert b.one("#samples").is_displayed() and b.one("#sheet-tools output").text == "step 30"
        b.wait(lambda: b.js("return document.getElementById('sheet').naturalWidth") > 4 * 32, "a sheet")
        last = b.one("#sheet").get_attribute("src")
        b.one("#sheet-tools input").send_keys(Keys.HOME)
        assert b.one("#sheet-tools output").text == "step 2" and b.one("#sheet").get_attribute("src") != last
        assert b.js("return data.sheets.length") == 12, "of fifteen sheets"
        assert b.one("#sheet").get_attribute("alt").startswith("step 2: ")
        kept = next(row for row in rows if "after step " + row[0] + "," in b.one("#summary").text)
        shown = next(row.text for row in b.all("#measure-table tr") if row.text.startswith("psnr"))
        assert f"{float(kept[header.index('val_psnr')]):.4f}" in shown, (kept, shown)
        assert "--task inpaint" in b.one("#command").text
        assert {"Weights", "Recipe", "Photographs", "Run"} == {h.text for h in b.all("#cards h3")}
    f.run("train", "--task", "inpaint", "--photos", f.path("data/photos"), "--out", run, "--report", run + "/page.html", code=2)


def where_a_detector_looked_can_be_seen(f):
    run, page = f.path("looks"), f.path("looks.html")
    f.run("train", "--data", f.data, "--net", "resnet18", "--width", "0.125", "--size", "128", "--out", run, "--epochs", "2", "--batch", "12")
    f.run("infer", f.path("data/images"), "--weights", run + "/best.safetensors", "--explain", "--report", page, "--threshold", "0", "--json", f.path("looks.jsonl"))
    with Browser(f.folder) as b:
        b.look()
        b.driver.get("file://" + page)
        b.wait(lambda: len(b.all(".layered[data-layers=drawn]")) == 60, "maps are drawn")
        set_slider(b, "#tools input[name=opacity]", 1)
        assert any(painted_pixels(b, f".card:nth-child({i}) canvas") > 0 for i in range(1, 61)), "no map shows anything"
        assert "where the net looked" in b.one("#tools").text and "no probability" in b.one("#cards").text
        b.shoot("looks_light")
        b.look("dark", 390, 844)
        b.shoot("looks_phone_dark")


def what_infer_said_can_be_read(f):
    page = f.path("said.html")
    broken = f.path("<img src=x onerror=document.title='broken'>.jpg")
    with open(broken, "w") as file:
        file.write("no picture")
    f.run("infer", f.photo(), broken, "--weights", f.weights, "--report", page, "--json", f.path("said.jsonl"), code=1)
    with Browser(f.folder) as b:
        b.driver.get("file://" + page)
        assert len(b.all(".card")) == 2 and "1 not read" in b.one("#summary").text
        assert b.driver.title == "What infer said", "a name became markup"
        assert not b.one("#measures").is_displayed()


def a_picture_is_dropped_judged_and_saved(f):
    expected = f.infer(f.photo())
    with Server(f) as server, Browser(f.folder) as b:
        b.look()
        b.driver.get(server.url)
        b.wait(lambda: "locator answers" in b.one("#model").text, "the model is named")
        b.one("#files").send_keys(f.photo())
        b.wait(lambda: b.all(".card .tag"), "a verdict")
        assert b.one(".card .tag").text == expected["verdict"]
        shown = float(b.one(".card .said").text.split("%")[0].split()[-1])
        assert abs(shown - 100 * expected["fake_probability"]) < 0.06, (shown, expected)
        b.wait(lambda: b.all(".layered[data-layers=drawn]"), "layers are drawn")
        # Dropping, as the page hears of it.
        b.js("const t = new DataTransfer(); t.items.add(new File(['no picture'], 'note.png', {type: 'image/png'}));"
             "document.getElementById('drop').dispatchEvent(new DragEvent('drop', {dataTransfer: t, bubbles: true, cancelable: true}))")
        b.wait(lambda: len(b.all(".card")) == 2, "the second answer")
        assert "not a JPEG" in b.one(".card .error").text
        b.one(".card button").click()
        set_slider(b, "#viewer input[name=zoom]", 4)
        assert b.js("const s = document.querySelector('.stage'); return s.scrollWidth > 2 * s.clientWidth"), "zoomed"
        b.shoot("serve_viewer")
        b.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        b.shoot("serve_light")
        b.look("dark", 390, 844)
        assert b.js("return document.documentElement.scrollWidth") <= 390
        b.shoot("serve_phone_dark")
        b.js("document.getElementById('save-report').click()")
        saved = f.path("telltale-report.html")
        b.wait(lambda: os.path.exists(saved), "the report is saved")
        b.driver.get("file://" + saved)
        assert len(b.all(".card")) == 2 and "1 not read" in b.one("#summary").text
        b.wait(lambda: b.all(".layered[data-layers=drawn]"), "its layers are drawn")


if __name__ == "__main__":
    if not all(os.path.exists(path) for path in ("/usr/bin/chromium", "/usr/bin/chromedriver")):
        print("skipped: no Chromium (tools/setup --with-browser)")
        sys.exit(77)
    run_tests([a_report_can_be_read_filtered_and_looked_into, a_training_can_be_followed, a_painter_in_training_can_be_followed, where_a_detector_looked_can_be_seen, what_infer_said_can_be_read, a_picture_is_dropped_judged_and_saved], Fixture)
