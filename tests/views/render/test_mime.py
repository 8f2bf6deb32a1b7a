"""What an output and a Markdown cell look like in a terminal."""

import base64
import io
import json
import re
import struct
import unicodedata
from typing import Any

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from nbrun.views.render.mime import render_markdown, render_output
from nbrun.views.text.options import DisplayOptions

SGR = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202e\x1b]8;;http://evil\x1b\\"
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
MARKDOWN = st.lists(
    st.sampled_from(
        [
            *("# ", "> ", "- ", "1. ", "    ", "```", "~~~py\n", "\n", "\n\n", "|a|b|\n|-|-|\n|c|"),
            *("*", "**", "`", "~~", "[x](y)", "![a](b)", "[![a](b)](c)", "<http://a/%1b%07>", "\\"),
            *(
                "<br>",
                "<kbd>",
                "</kbd>",
                "<b>",
                "<host>",
                "<!-- x -->",
                "<div>\n",
                "<![foo[",
                "---",
            ),
            *("&#27;", "&#x202e;", "&rlm;", "&#x9b;", "<script>", "text ", HOSTILE, "[x]: y\n"),
        ]
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)


def printed(shown: RenderableType, width: int = 80) -> str:
    file = io.StringIO()
    Console(force_terminal=True, color_system="truecolor", width=width, file=file).print(shown)
    return file.getvalue()


def screen(shown: RenderableType) -> pyte.Screen:
    terminal = pyte.Screen(80, 40)
    pyte.Stream(terminal).feed(printed(shown).replace("\n", "\r\n"))
    return terminal


def rows(shown: RenderableType) -> list[str]:
    return [row.rstrip() for row in screen(shown).display if row.strip()]


def is_safe(shown: RenderableType, width: int = 80) -> bool:
    out = SGR.sub("", printed(shown, width))
    unsafe = {c for c in out if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}} - {"\n"}
    return not unsafe and not set(out) & set("\u202e\u200f\u061c")


def bundle(**data: Any) -> dict[str, Any]:
    """A display_data output: `text__plain` is the mime type text/plain."""
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


def test_a_stream_is_shown_as_a_terminal_would() -> None:
    output = {"output_type": "stream", "name": "stdout", "text": " 10%\r100%\n\x1b[31mred\x1b[0m\n"}
    shown = screen(render_output(output))
    assert [row.rstrip() for row in shown.display[:3]] == ["100%", "red", ""]
    assert shown.buffer[1][0].fg == "red"


def test_text_may_be_a_list_of_its_parts() -> None:
    output = {"output_type": "stream", "name": "stdout", "text": ["one\n", "two"]}
    assert rows(render_output(output)) == ["one", "two"]
    assert rows(render_output(bundle(text__plain=["a", "b"]))) == ["ab"]


def test_an_error_is_shown_by_its_traceback_with_its_colours() -> None:
    lines = ["\x1b[31mKeyError\x1b[0m", "  File x", "KeyError: 'a'"]
    shown = screen(render_output(error(traceback=lines)))
    assert shown.buffer[0][0].fg == "red"
    assert shown.display[2].rstrip() == "KeyError: 'a'"


@pytest.mark.parametrize("traceback", [[], [""], ["\n"]])
def test_an_error_without_traceback_is_shown_by_its_name_and_value(traceback: list[str]) -> None:
    assert rows(render_output(error(traceback=traceback))) == ["KeyError: a"]


def error(traceback: list[str]) -> dict[str, Any]:
    return {"output_type": "error", "ename": "KeyError", "evalue": "a", "traceback": traceback}


def test_html_without_a_table_is_shown_by_the_text_it_comes_with() -> None:
    assert rows(render_output(bundle(text__html="<pre>no</pre>", text__plain="   a\n0  1"))) == [
        *("   a", "0  1")
    ]


def test_html_that_comes_with_no_text_is_read() -> None:
    html = (
        "<style>p {}</style><script>alert(1)</script><h1>Disk &amp; memory</h1><p>all\n  well</p>"
        "<table><tr><th>host</th><th>free</th></tr><tr><td>db1</td><td>10</td></tr></table>"
        "<pre>a\n  b</pre>"
    )
    read = ["Disk & memory", "all well", "host  free", "────  ────", "db1     10", "a", "  b"]
    assert rows(render_output(bundle(text__html=html))) == read
    says_nothing = "<IPython.core.display.HTML object>"
    assert rows(render_output(bundle(text__html=html, text__plain=says_nothing))) == read


def test_html_that_cannot_be_parsed_is_shown_as_it_is() -> None:
    assert rows(render_output(bundle(text__html="<![foo[ x"))) == ["<![foo[ x"]


def test_markdown_is_shown_rather_than_the_name_of_its_class() -> None:
    output = bundle(text__markdown="**done**", text__plain="<IPython.core.display.Markdown object>")
    shown = screen(render_output(output))
    assert (shown.buffer[0][0].data, shown.buffer[0][0].bold) == ("d", True)


def test_latex_is_shown_as_unicode() -> None:
    assert rows(render_output(bundle(text__latex=r"$\frac{1}{2}$"))) == ["1/2"]


def test_json_is_laid_out_and_cut() -> None:
    assert rows(render_output(bundle(application__json={"a": ["é"]}))) == [
        *("{", '  "a": [', '    "é"', "  ]", "}")
    ]
    long = printed(render_output(bundle(application__json=list(range(1000)))))
    assert SGR.sub("", long).splitlines()[-2:] == ["  398,", "… 602 more lines"]


def test_a_long_line_of_json_is_cut() -> None:
    assert len(printed(render_output(bundle(application__json="x" * 100_000)))) < 2_000


@pytest.mark.parametrize(
    ("mime", "data"),
    [("image__png", png(640, 480)), ("image__jpeg", jpeg(640, 480)), ("image__gif", gif(640, 480))],
)
def test_a_picture_that_can_not_be_drawn_is_described_in_one_line(mime: str, data: str) -> None:
    output = bundle(**{mime: data})
    (line,) = rows(render_output(output, record_hint="run.ipynb"))
    assert line.startswith(f"{mime.replace('__', '/')} 640×480, ")
    assert line.endswith(" kB (see run.ipynb)")


def test_a_figure_is_described_with_its_text_and_dimly() -> None:
    figure = bundle(image__png=png(640, 480), text__plain="<Figure size 640x480 with 1 Axes>")
    assert rows(render_output(figure)) == [
        "image/png 640×480, 12 kB: <Figure size 640x480 with 1 Axes>"
    ]
    assert printed(render_output(figure)).startswith("\x1b[2m")


@pytest.mark.parametrize("data", ["", "garbage", "iVBORw0KGgo=", "/9j/4AAA", "R0lGODlh", "é" * 99])
def test_a_picture_whose_header_is_not_readable_is_described_without_its_size(data: str) -> None:
    assert rows(render_output(bundle(image__png=data))) == ["image/png, 1 kB"]


def test_an_svg_is_described_by_its_size() -> None:
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
def test_what_a_terminal_cannot_show_is_named(mime: str) -> None:
    shown = render_output(bundle(**{mime: "x"}, text__html="<p>no"), record_hint="out.ipynb")
    if mime.startswith("application/vnd."):
        assert rows(shown) == [f"{mime}, 1 kB (see out.ipynb)"]
    assert rows(render_output(bundle(**{mime: "x"}))) == [f"{mime}, 1 kB"]


def test_a_widget_that_comes_with_text_is_shown_by_it() -> None:
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
def test_a_malformed_output_is_shown_as_json(malformed: dict[str, Any]) -> None:
    shown = "".join(rows(render_output(malformed)))
    assert shown == json.dumps(malformed) or shown == malformed.get("traceback")


@pytest.mark.parametrize("malformed", [None, 5, "x", [], {"output_type": object()}])
def test_what_is_no_output_at_all_is_shown_too(malformed: Any) -> None:
    assert rows(render_output(malformed))


def test_a_malformed_output_is_cut_at_2000_characters() -> None:
    assert 2_000 < len(printed(render_output({"output_type": "x" * 9_999}))) < 2_100


def test_an_output_nested_too_deep_for_json_is_named() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert rows(render_output(deep)) == ["an output that can't be shown: dict"]
    assert rows(render_output(bundle(application__json=deep)))


def test_an_empty_bundle_shows_nothing() -> None:
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
def test_a_hostile_output_has_no_effect_on_the_terminal(output: dict[str, Any]) -> None:
    shown = screen(render_output(output, record_hint=HOSTILE))
    assert (shown.title, shown.icon_name) == ("", "")
    assert is_safe(render_output(output, record_hint=HOSTILE))
    assert "<U+202E>" in "".join(row.rstrip() for row in shown.display)


@given(st.dictionaries(MIMES, st.text() | JSON, max_size=4) | JSON)
def test_no_bundle_is_ever_refused(data: Any) -> None:
    assert is_safe(render_output({"output_type": "display_data", "data": data}))


@given(st.dictionaries(st.sampled_from(["output_type", "text", "data", "traceback"]), JSON) | JSON)
def test_no_output_is_ever_refused(output: Any) -> None:
    assert is_safe(render_output(output))


def test_headings_stand_at_the_left_in_bold() -> None:
    shown = screen(render_markdown("# Restore *db1*\n\n## Check"))
    assert shown.display[0].startswith("Restore db1")
    assert shown.display[2].startswith("Check")
    assert all(shown.buffer[row][0].bold for row in (0, 2))


def test_a_link_is_shown_with_its_address_and_is_not_active() -> None:
    text = render_markdown("[the wiki](https://wiki/restore) and <https://wiki/>")
    assert rows(text) == ["the wiki (https://wiki/restore) and https://wiki/"]
    assert "\x1b]8" not in printed(text)


def test_a_picture_in_markdown_is_named_where_it_stands() -> None:
    assert rows(render_markdown("before ![the plan](attachment:plan.png) after")) == [
        "before [image: the plan (attachment:plan.png)] after"
    ]


def test_controls_written_as_entities_or_in_addresses_have_no_effect() -> None:
    text = render_markdown("&#x202e;x <http://a/%1b]0;owned%07> ![&#x202e;](b)")
    assert is_safe(text)
    assert screen(text).title == ""
    assert "<U+202E>x" in rows(text)[0]


def test_colours_in_markdown_are_shown_as_text() -> None:
    assert rows(render_markdown("a \x1b[8mb")) == ["a ^[[8mb"]


def test_blanks_in_angle_brackets_are_shown_and_formatting_is_not() -> None:
    assert rows(render_markdown("ssh <host> as <b>root</b><!-- x --><br/>then</kbd> wait")) == [
        *("ssh <host> as root", "then wait")
    ]


def test_a_block_of_html_in_markdown_is_read() -> None:
    assert rows(render_markdown('<div class="alert">\n<b>Do not</b> reboot\n</div>\n\nnow')) == [
        *("Do not reboot", "now")
    ]


def test_code_in_markdown_is_indented_and_keeps_the_background() -> None:
    text = render_markdown("```bash\necho $HOME\n```")
    assert rows(text) == ["    echo $HOME"]
    assert {cell.bg for cell in screen(text).buffer[0].values()} == {"default"}


@pytest.mark.parametrize("depth", [1, 5, 15, 25, 60])
@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("mark", ["> ", "- "])
def test_deeply_nested_text_is_never_lost(depth: int, width: int, mark: str) -> None:
    out = SGR.sub("", printed(render_markdown(mark * depth + "stop"), width))
    assert "stop" in out


@given(MARKDOWN, st.sampled_from([20, 80]))
def test_no_markdown_is_ever_refused(text: str, width: int) -> None:
    assert is_safe(render_markdown(text), width)
