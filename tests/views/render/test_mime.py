"""Jupyter outputs as renderables for a terminal."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.views.render.mime import render_output
from nbrun.views.text.options import DisplayOptions
from tests.support.rendered_text import HOSTILE, SGR, is_safe, printed, rows, screen

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


MIMES = st.sampled_from(
    [
        *("text/plain", "text/html", "text/markdown", "text/latex", "application/json", "x"),
        *("image/png", "image/jpeg", "image/svg+xml", "application/vnd.plotly.v1+json"),
    ]
)


def bundle(**data: Any) -> dict[str, Any]:
    """Return a display_data output. The keyword `text__plain` is the mime type text/plain."""
    named = {name.replace("__", "/"): value for name, value in data.items()}
    return {"output_type": "display_data", "data": named, "metadata": {}}


def png(width: int, height: int) -> str:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)
    return base64.encodebytes(header + bytes(12_000 - len(header))).decode()


def jpeg(width: int, height: int) -> str:
    exif = b"\xff\xe1" + struct.pack(">H", 60_000) + b"\xff\xc0" * 29_999
    frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width)
    return base64.b64encode(b"\xff\xd8" + exif + frame + bytes(99)).decode()


def gif(width: int, height: int) -> str:
    return base64.b64encode(b"GIF89a" + struct.pack("<HH", width, height) + bytes(99)).decode()


def test_stream_shown_as_a_terminal_would() -> None:
    output = {"output_type": "stream", "name": "stdout", "text": " 10%\r100%\n\x1b[31mred\x1b[0m\n"}
    shown = screen(render_output(output))
    assert [row.rstrip() for row in shown.display[:3]] == ["100%", "red", ""]
    assert shown.buffer[1][0].fg == "red"


def test_text_accepted_as_list_of_parts() -> None:
    output = {"output_type": "stream", "name": "stdout", "text": ["one\n", "two"]}
    assert rows(render_output(output)) == ["one", "two"]
    assert rows(render_output(bundle(text__plain=["a", "b"]))) == ["ab"]


def test_error_shows_coloured_traceback() -> None:
    lines = ["\x1b[31mKeyError\x1b[0m", "  File x", "KeyError: 'a'"]
    shown = screen(render_output(error(traceback=lines)))
    assert shown.buffer[0][0].fg == "red"
    assert shown.display[2].rstrip() == "KeyError: 'a'"


@pytest.mark.parametrize("traceback", [[], [""], ["\n"]])
def test_error_without_traceback_shows_name_and_value(traceback: list[str]) -> None:
    assert rows(render_output(error(traceback=traceback))) == ["KeyError: a"]


def error(traceback: list[str]) -> dict[str, Any]:
    return {"output_type": "error", "ename": "KeyError", "evalue": "a", "traceback": traceback}


def test_html_without_table_shown_by_its_text() -> None:
    assert rows(render_output(bundle(text__html="<pre>no</pre>", text__plain="   a\n0  1"))) == [
        *("   a", "0  1")
    ]


def test_html_read_when_bundle_has_no_text() -> None:
    html = (
        "<style>p {}</style><script>alert(1)</script><h1>Disk &amp; memory</h1><p>all\n  well</p>"
        "<table><tr><th>host</th><th>free</th></tr><tr><td>db1</td><td>10</td></tr></table>"
        "<pre>a\n  b</pre>"
    )
    read = ["Disk & memory", "all well", "host  free", "────  ────", "db1     10", "a", "  b"]
    assert rows(render_output(bundle(text__html=html))) == read
    says_nothing = "<IPython.core.display.HTML object>"
    assert rows(render_output(bundle(text__html=html, text__plain=says_nothing))) == read


def test_unparsable_html_shown_as_source() -> None:
    assert rows(render_output(bundle(text__html="<![foo[ x"))) == ["<![foo[ x"]


def test_markdown_preferred_to_class_name() -> None:
    output = bundle(text__markdown="**done**", text__plain="<IPython.core.display.Markdown object>")
    shown = screen(render_output(output))
    assert (shown.buffer[0][0].data, shown.buffer[0][0].bold) == ("d", True)


def test_latex_shown_as_unicode() -> None:
    assert rows(render_output(bundle(text__latex=r"$\frac{1}{2}$"))) == ["1/2"]


def test_json_indented_and_cut() -> None:
    assert rows(render_output(bundle(application__json={"a": ["é"]}))) == [
        *("{", '  "a": [', '    "é"', "  ]", "}")
    ]
    long = printed(render_output(bundle(application__json=list(range(1000)))))
    assert SGR.sub("", long).splitlines()[-2:] == ["  398,", "… 602 more lines"]


def test_long_json_line_cut() -> None:
    assert len(printed(render_output(bundle(application__json="x" * 100_000)))) < 2_000


@pytest.mark.parametrize(
    ("mime", "data"),
    [("image__png", png(640, 480)), ("image__jpeg", jpeg(640, 480)), ("image__gif", gif(640, 480))],
)
def test_undrawable_image_described_in_one_line(mime: str, data: str) -> None:
    output = bundle(**{mime: data})
    (line,) = rows(render_output(output, record_hint="run.ipynb"))
    assert line.startswith(f"{mime.replace('__', '/')} 640×480, ")
    assert line.endswith(" kB (see run.ipynb)")


def test_figure_described_dimly_with_its_text() -> None:
    figure = bundle(image__png=png(640, 480), text__plain="<Figure size 640x480 with 1 Axes>")
    assert rows(render_output(figure)) == [
        "image/png 640×480, 12 kB: <Figure size 640x480 with 1 Axes>"
    ]
    assert printed(render_output(figure)).startswith("\x1b[2m")


@pytest.mark.parametrize("data", ["", "garbage", "iVBORw0KGgo=", "/9j/4AAA", "R0lGODlh", "é" * 99])
def test_image_with_bad_header_described_without_pixel_size(data: str) -> None:
    assert rows(render_output(bundle(image__png=data))) == ["image/png, 1 kB"]


def test_svg_described_by_its_size() -> None:
    svg = bundle(**{"image__svg+xml": "<svg>" + " " * 8_000 + "</svg>"})
    assert rows(render_output(svg, display=DisplayOptions(pictures=False))) == [
        "image/svg+xml, 8 kB"
    ]


@pytest.mark.parametrize(
    "mime",
    [
        "application/vnd.jupyter.widget-view+json",
        "application/vnd.plotly.v1+json",
        "application/vnd.vegalite.v5+json",
        "application/javascript",
        "application/pdf",
    ],
)
def test_unsupported_mime_type_named(mime: str) -> None:
    shown = render_output(bundle(**{mime: "x"}, text__html="<p>no"), record_hint="out.ipynb")
    if mime.startswith("application/vnd."):
        assert rows(shown) == [f"{mime}, 1 kB (see out.ipynb)"]
    assert rows(render_output(bundle(**{mime: "x"}))) == [f"{mime}, 1 kB"]


def test_widget_shown_by_its_text() -> None:
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    assert rows(render_output(bundle(**widget, text__plain=" 50%|█████     |"))) == [
        " 50%|█████     |"
    ]


@pytest.mark.parametrize(
    "malformed",
    [
        {},
        {"output_type": "stream"},
        {"output_type": "stream", "text": 5},
        {"output_type": "stream", "text": [5]},
        {"output_type": "error", "traceback": "x", "ename": 1},
        {"output_type": "error", "traceback": [1]},
        {"output_type": "display_data"},
        {"output_type": "display_data", "data": ["x"]},
        {"output_type": "display_data", "data": {"text/plain": {"a": 1}}},
        {"output_type": "unheard of"},
    ],
)
def test_malformed_output_shown_as_json(malformed: dict[str, Any]) -> None:
    shown = "".join(rows(render_output(malformed)))
    text, _, reason = shown.partition("(can't be drawn: ")
    assert text == json.dumps(malformed) or shown == malformed.get("traceback")
    assert reason or shown == malformed.get("traceback")


@pytest.mark.parametrize("malformed", [None, 5, "x", [], {"output_type": object()}])
def test_value_that_is_no_output_still_shown(malformed: Any) -> None:
    assert rows(render_output(malformed))


def test_malformed_output_cut_at_2000_characters() -> None:
    assert 2_000 < len(printed(render_output({"output_type": "x" * 9_999}))) < 2_400


def test_output_nested_too_deep_for_json_named() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert rows(render_output(deep))[0] == "an output that can't be shown: dict"
    assert rows(render_output(bundle(application__json=deep)))


def test_empty_bundle_shows_nothing() -> None:
    assert rows(render_output(bundle())) == []


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "stream", "text": HOSTILE},
        {"output_type": "error", "traceback": [], "ename": HOSTILE, "evalue": HOSTILE},
        {"output_type": HOSTILE},
        *(bundle(**{mime: HOSTILE}) for mime in ("text/plain", "text/html", "text/markdown")),
        *(bundle(**{mime: HOSTILE}) for mime in ("text/latex", "application/json", HOSTILE)),
        bundle(image__png="", text__plain=HOSTILE),
    ],
)
def test_hostile_output_has_no_effect_on_terminal(output: dict[str, Any]) -> None:
    shown = screen(render_output(output, record_hint=HOSTILE))
    assert (shown.title, shown.icon_name) == ("", "")
    assert is_safe(render_output(output, record_hint=HOSTILE))
    assert "<U+202E>" in "".join(row.rstrip() for row in shown.display)


@given(st.dictionaries(MIMES, st.text() | JSON, max_size=4) | JSON)
def test_any_bundle_renders_safely(data: Any) -> None:
    assert is_safe(render_output({"output_type": "display_data", "data": data}))


@given(st.dictionaries(st.sampled_from(["output_type", "text", "data", "traceback"]), JSON) | JSON)
def test_any_output_renders_safely(output: Any) -> None:
    assert is_safe(render_output(output))
